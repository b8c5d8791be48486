"""What stages on servers mean, in sentences."""

from __future__ import annotations

from eeaug.report.units import points, seconds, share, size
from eeaug.report.words.facts import Report, accuracy_name, shown

__all__ = ["sentence"]


def sentence(report: Report) -> str:
    """What is sent, and what is answered while the connection is down; empty: no stage is on a server."""
    remote = report["design"].get("remote")
    if remote is None:
        return ""
    servers = " and ".join(remote["processors"])
    part = "the test samples" if remote["split"] == "test" else "the calibration samples"
    each = size(remote["bytes_each"]) + ("" if remote["encoding"] is None else f" as {remote['encoding']}")
    text = (
        f"Over the network to {servers} go {share(remote['sent'])} of {part}, {each} each: "
        f"{size(remote['mean_bytes'])} on average, where the input of every sample would be "
        f"{size(remote['input_bytes'])}."
    )
    if remote["handover_s"] is not None:
        text += f" A hand-over takes {seconds(remote['handover_s'])} on average"
        if remote["handover_p95_s"] is not None:
            text += f", 95 of 100 less than {seconds(remote['handover_p95_s'])}, which limits go by"
        text += "."
    if remote["link_down_accuracy"] is None:
        return f"{text} Without a connection there is no answer: no stage runs before it."
    if remote["sent"] == 0:
        return text
    result = shown(report)[1]["accuracy"]
    change = points(remote["link_down_accuracy"] - result)
    return (
        f"{text} With the link down, the last exit before it answers for these: {accuracy_name(report)} "
        f"{share(remote['link_down_accuracy'])} ({change})."
    )
