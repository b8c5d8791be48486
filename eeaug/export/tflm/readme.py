"""``README.md`` below ``tflm/``, with a whole program."""

from __future__ import annotations

from importlib.resources import files

from eeaug.export.tflm import stream
from eeaug.export.tflm.source import DriverCascade, identifier

__all__ = ["readme"]

_STREAMS = """
## Streams

Of samples that follow each other, decisions may remember those before: `@{prefix}::Stream` is the state,
`@{prefix}::kStreamBytes` for each stream, where all processors reach it.

```
@{prefix}::Reset(&stream);  // before the first sample, and after a gap
status = @{prefix}::@{stem}::Push(...);  // as Run(), with &stream instead of a point
```

`kRemembered`: as `kLeft`, because of samples before. A stage that something else runs has no `Push()`: give what it
says to `@{prefix}::Decided()`.
"""


def readme(cascade: DriverCascade) -> str:
    """The text for this cascade."""
    prefix, rows, decides = cascade.prefix, [], ""
    if cascade.streams is not None:
        decides = f", `{stream.file(prefix)}`"
    for name, parts in cascade.parts.items():
        arenas = " + ".join(f"{part.arena.bytes:,}" for part in parts)
        sources = ", ".join(f"`{prefix}_stage_{part.number}_model.cc`" for part in parts)
        rows.append(f"| {name} | `{prefix}::{identifier(name)}` | {sources}{decides} | {arenas} |")
    text = files("eeaug.export.tflm").joinpath("templates/README.md").read_text(encoding="utf-8")
    known = {"streams": "" if cascade.streams is None else _STREAMS}
    known |= {"prefix": prefix, "PREFIX": prefix.upper(), "memory": "\n".join(rows), "main": _main(cascade)}
    known["place"] = ", place" if cascade.stages[0].row.several else ""
    known["stem"] = identifier(next(iter(cascade.parts)))
    for key, value in known.items():
        text = text.replace(f"@{{{key}}}", value)
    return text


def _main(cascade: DriverCascade) -> str:
    """A program that runs every processor's part that is here, one after the other."""
    prefix, last_stage = cascade.prefix, len(cascade.stages) - 1
    listed = list(cascade.parts.items())
    variables, lines, indent = [], [], "  "
    first = listed[0][1][0].number
    variables.append(
        f"static {prefix}::Handover{first} to_{first};  // as another processor has sent it"
        if first
        else f"static int8_t sample[{prefix}::kInputSize];"
    )
    setups = " || ".join(f"!{prefix}::{identifier(name)}::Setup()" for name, _ in listed)
    lines.append(f"  if ({setups}) return 1;")
    if not first:
        place = ", i" if cascade.stages[0].row.several else ""
        lines += [
            f"  for (int i = 0; i < {prefix}::kInputSize; ++i) {{  // yours reads and prepares what a sensor says",
            f"    sample[i] = {prefix}::QuantisedInput(static_cast<float>(i % 7) / 7.0f{place});", "  }",
        ]  # fmt: skip
    lines.append(f"  {prefix}::Answer answer = {{}};\n  {prefix}::Status status = {prefix}::Status::kGoesOn;")
    for i, (name, parts) in enumerate(listed):
        number, end = parts[0].number, parts[-1].number
        if i:
            lines.append(f"{indent}if (status == {prefix}::Status::kGoesOn) {{  // on {name}, with what was sent")
            indent += "  "
        arguments = [f"to_{number}" if number else "sample"]
        if end < last_stage:
            variables.append(
                f"static {prefix}::Handover{end + 1} to_{end + 1};  // of plain numbers: send it as it is"
            )
            arguments.append(f"&to_{end + 1}")
        arguments += ["&answer", *([f"{prefix}::kDefault"] if number < last_stage else [])]
        lines.append(f"{indent}status = {prefix}::{identifier(name)}::Run({', '.join(arguments)});")
    while len(indent) > 2:
        indent = indent[2:]
        lines.append(f"{indent}}}")
    label = f"{prefix}::kClasses[answer.label]" if cascade.decision.kind != "multilabel" else None
    shown = f'printf("%s", {label})' if label else 'printf("labels %lx", static_cast<unsigned long>(answer.label))'
    lines += [
        f"  if (status != {prefix}::Status::kLeft) return 1;", f"  {shown};",
        '  printf(": left at stage %d, confidence %d / 256\\n", answer.stage, answer.confidence + 128);',
    ]  # fmt: skip
    top = f'#include <cstdio>\n\n#include "{prefix}.h"\n\n'
    return "\n".join([top + "\n".join(variables), "", "int main() {", *lines, "  return 0;", "}", ""])
