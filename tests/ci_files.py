"""The scripts of the examples of continuous integration."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from conftest import EXAMPLES

__all__ = ["NAMES", "scripts"]

NAMES = ("github-actions.yml", "gitlab-ci.yml")


def scripts(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every script of a CI file, in order, with the variables it runs with."""
    document = yaml.safe_load((EXAMPLES / "ci" / name).read_text(encoding="utf-8"))
    if name.startswith("gitlab"):
        for job in document.values():
            assert job["artifacts"]["reports"]["junit"] == "check.xml" and job["artifacts"]["when"] == "always"
            for part in ("before_script", "script", "after_script"):
                yield from ((text, job["variables"]) for text in job[part])
        return
    assert document[True].keys() == {"push", "pull_request"}, "YAML 1.1 reads `on` as true"
    for job in document["jobs"].values():
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "run" in step:
                yield step["run"], {**document["env"], **step.get("env", {})}
