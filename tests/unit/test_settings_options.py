"""Options as Python values: what the command takes, they take; what is wrong is said in a line."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from eeaug.cli.augment import augment as command
from eeaug.cli.retarget import retarget
from eeaug.errors import InputError
from eeaug.settings import Contradiction, Settings
from eeaug.settings.contradictions import python
from eeaug.settings.options import KINDS, OF_A_RETARGET, Choice, Number, changes, settings
from eeaug.settings.settings import PARTS
from eeaug.settings.vocabulary import INHERITED

PARAMETERS = {p.name: p for p in command.params}


def made(**given: Any) -> Settings:
    return settings(Path("m.h5"), "psoc6", None, **{"cache": "cache", **given})


def test_every_field_has_a_kind() -> None:
    assert {*KINDS} == {f.name for part in PARTS.values() for f in fields(part)} - {"model", "hardware", "data"}


@pytest.mark.parametrize("name", [n for n, p in PARAMETERS.items() if n in KINDS])
def test_values_are_those_of_the_command(name: str) -> None:
    theirs, mine = PARAMETERS[name].type, KINDS[name]
    if isinstance(theirs, click.Choice):
        assert isinstance(mine, Choice)
        assert [str(value) for value in mine.of] == [*theirs.choices]
    elif isinstance(theirs, click.IntRange | click.FloatRange):
        assert isinstance(mine, Number)
        assert (mine.least, mine.above, mine.below) == (theirs.min, theirs.min_open, theirs.max_open)
        assert mine.most == (float("inf") if theirs.max is None else theirs.max)
        assert mine.whole == isinstance(theirs, click.IntRange)
    else:
        assert not isinstance(mine, Choice | Number)
    if isinstance(theirs, click.types.BoolParamType):
        assert mine(name, True) is True


def test_values_become_plain_ones() -> None:
    found = made(
        max_latency_s=np.float32(2.5), points=5, formats="tflite", target_class=[np.int64(3), "Shirt"],
        exit_at="stem_relu", threshold={"stem_relu": 0.97}, forbid=None, output="out", max_cache_bytes=10**9,
    )  # fmt: skip
    goal, running = found.goal, found.running
    assert (goal.max_latency_s, type(goal.max_latency_s)) == (2.5, float)
    assert (goal.points, running.formats, goal.target_class) == (5, ("keras", "onnx", "tflite"), ("3", "Shirt"))
    assert (goal.exit_at, goal.threshold, goal.forbid) == ({"stem_relu": None}, {"stem_relu": 0.97}, ())
    assert (running.output, goal.max_accuracy_drop) == (Path("out"), 0.01)
    assert made(exit_at={"a": "cm0p", "b": None}).goal.exit_at == {"a": "cm0p", "b": None}
    assert made(efficiency_weight=0.3).goal.max_accuracy_drop is None
    assert made(priors={"Shirt": 0.5, 3: 0.25}).input.priors == "Shirt=0.5,3=0.25"


def test_streams() -> None:
    asked = made(stream=True, debounce="2/3", background=["a", 3], max_missed="1%/3")
    assert asked.goal.max_missed == (0.01, 3) == made(stream=True, max_missed=(0.01, 3)).goal.max_missed
    assert made(stream=True, max_missed=0.02).goal.max_missed == (0.02, None)
    assert (asked.goal.memory, asked.goal.debounce, asked.goal.background) == (32, (2, 3), ("a", "3"))
    stored = {"stream": True, "refresh": 32, "debounce": "2/3", "background": ["a", "3"], "max_missed": "0.01/3"}
    assert stored.items() <= asked.as_dict(3).items()
    assert not {*stored} & {*made().as_dict(3)}


def test_the_budget_of_blank_is_what_may_be_lost_of_somethings() -> None:
    for options, budget in (({"blank": True}, 0.01), ({"blank_when": "max(a) < 1", "max_blank_loss": "5%"}, 0.05)):
        asked = made(**options)
        assert asked.blank and asked.goal.max_accuracy_drop == asked.goal.max_blank_loss == budget
        assert not asked.goal.reuse and replace(asked, running=asked.running) == asked
        stored = asked.as_dict(3)
        assert Settings.of(model=Path("m"), hardware="psoc6", **{k: stored[k] for k in options}).blank
    assert not made().blank and "max_blank_loss" not in made().as_dict(3)


def test_unknown_options_are_type_errors_with_a_hint() -> None:
    with pytest.raises(TypeError, match=r"no option 'max_latency'; did you mean 'max_latency_s'\?"):
        made(max_latency=2.5)
    with pytest.raises(TypeError, match=r"no option 'zzz'; there are output, force, "):
        made(zzz=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_latency_s": 0}, "max_latency_s: must be a number above 0; given 0"),
        ({"max_latency_s": float("nan")}, "max_latency_s: must be a number above 0; given nan"),
        ({"max_latency_s": "fast"}, "max_latency_s: 'fast' is not a time, such as 200ms"),
        ({"max_accuracy_drop": 1.5}, "max_accuracy_drop: 1.5 is 150 percentage points; did you mean 1.5%?"),
        ({"risk": 1}, "risk: must be a number above 0 and below 1; given 1"),
        ({"max_exits": 1.0}, "max_exits: must be a whole number of at least 0 and at most 6; given 1.0"),
        ({"seed": True}, "seed: must be a whole number of at least 0 and at most 2147483647; given True"),
        ({"effort": "quik"}, "effort: must be one of 'quick', 'normal', 'thorough'; given 'quik'; did you mean"),
        ({"points": 2}, "points: must be one of 1, 3, 4, 5; given 2"),
        ({"force": 1}, "force: must be True or False; given 1"),
        ({"cache": 3}, "cache: must be a path; given 3"),
        ({"forbid": {"a": 1}}, "forbid: must be a name, or a list of names; given {'a': 1}"),
        ({"exit_at": {"a": 1}}, "exit_at: must be names of locations, or a mapping from them to names"),
        ({"threshold": {"a": 2}}, "threshold['a']: 2 is more than 1, which is 100%; did you mean 2%?"),
        ({"threshold": "a=0.9"}, "threshold: must be a mapping from names of locations to thresholds; given 'a="),
        ({"priors": {"a": -1}}, "priors['a']: must be a number of at least 0 and at most 1; given -1"),
        ({"formats": "c", "c_prefix": "9lives"}, "c_prefix='9lives': must be a letter, then at most 39"),
        ({"formats": "c", "c_prefix": "Float"}, "c_prefix='Float': a file of this name with .h would hide"),
        ({"formats": "tflite", "c_prefix": "kws"}, "c_prefix= is for the formats tflm, c, c-int8, none of which"),
        ({"blank": True, "blank_when": "max(a) < 1"}, "blank= takes labels, blank_when= the outputs of the given "
            "model"),
        ({"blank_when": "max(a)"}, '--blank-when "max(a)": it is a number and must be a comparison'),
        ({"max_blank_loss": 0.1}, "max_blank_loss= is the budget of blank= or blank_when=: neither was given"),
        ({"blank": True, "max_accuracy_drop": 0.1}, "cannot be combined with max_accuracy_drop=; max_blank_loss= "
            "is the budget"),
        ({"blank": True, "priors": "a=0.9"}, "all outputs stay the given model's: it cannot be combined with "
            "priors="),
        ({"blank_when": "max(a) < 1", "finetune": 2}, "blank_when=: exits only recognise empty samples"),
        ({"blank": True, "labels": "none"}, "cannot be combined with labels="),
        ({"blank": True, "output_name": "a"}, "cannot be combined with output_name="),
        ({"blank": True, "efficiency_weight": 0.5}, "cannot be combined with efficiency_weight="),
        ({"blank": True, "formats": "c"}, "formats='c': its last stage must be a classifier, which blank= does "
            "not have"),
        ({"refresh": 4}, "refresh= is for stream=, which was not given"),
        ({"debounce": "2/3"}, "debounce= is for stream=, which was not given"),
        ({"background": "a"}, "background= is for stream=, which was not given"),
        ({"max_missed": "1%"}, "max_missed= is for stream=, which was not given"),
        ({"stream": True, "max_missed": "1%/0"}, "max_missed: must be a share of the events, perhaps with /"),
        ({"stream": True, "debounce": "3/2"}, "debounce: must be M/N, 1 ≤ M ≤ N ≤ 32, as '2/3'; given '3/2'"),
        ({"stream": True, "debounce": (2, 33)}, "debounce: must be M/N, 1 ≤ M ≤ N ≤ 32, as '2/3'; given (2, 33)"),
        ({"stream": True, "refresh": 0}, "refresh: must be a whole number of at least 1 and at most 65535"),
        ({"stream": True, "unit": "sample"}, "stream=: decisions with memory cannot be combined with unit="),
        ({"stream": True, "blank": True}, "stream=: decisions with memory cannot be combined with blank="),
        ({"stream": True, "formats": "triton"}, "stream=: triton files cannot remember the samples before"),
        ({"formats": "tflight"}, "formats='tflight': no such format; did you mean 'tflite'?"),
        ({"least_alpha": 0.9}, "least_alpha= is about the thresholds of target_class="),
        ({"efficiency_weight": 0.5, "max_accuracy_drop": 0.1}, "efficiency_weight= and max_accuracy_drop= are two"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_values(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        made(**given)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "command", "python"),
    [
        ({"risk": 0.1, "finetune": 3},
         "--risk: nothing can be promised here: --finetune replaces the given model",
         "risk=: nothing can be promised here: finetune= replaces the given model"),
        ({"promise": "proven", "calibrate_on": "train"},
         "--promise proven: nothing can be promised here: the given model was trained on the samples of --cal",
         "promise='proven': nothing can be promised here: the given model was trained on the samples of calib"),
        ({"promise": "expected", "scoring": "independent"},
         "--promise expected: nothing can be promised here: --scoring independent is the paper's flow",
         "promise='expected': nothing can be promised here: scoring='independent' is the paper's flow"),
        ({"promise": "none", "risk": 0.05},
         "--risk is about proofs: it cannot be combined with --promise none",
         "risk= is about proofs: it cannot be combined with promise='none'"),
        ({"exit_weight": 0.5},
         "--exit-weight is about the joint training of --recipe trecx, which was not given",
         "exit_weight= is about the joint training of recipe='trecx', which was not given"),
        ({"target_class": ("1",), "threshold": {"a{b}": 0.5}},
         "--threshold a{b}=0.5: with --target-class it must be above 0.5, up to 1",
         "threshold['a{b}']=0.5: with target_class= it must be above 0.5, up to 1"),
        ({"heads": ("{risk}",)}, "--heads {risk}: no such family", "heads='{risk}': no such family"),
        ({"recipe": "trecx", "max_class_drop": 0.1},
         "--max-class-drop compares with the given model, class by class: it cannot be combined with --recipe "
         "trecx",
         "max_class_drop= compares with the given model, class by class: it cannot be combined with "
         "recipe='trecx'"),
        ({"finetune": 2, "max_class_drop": 0.1},
         "--max-class-drop compares with the given model, class by class: it cannot be combined with --finetune",
         "max_class_drop= compares with the given model, class by class: it cannot be combined with finetune="),
    ],
    ids=str,
)  # fmt: skip
def test_a_contradiction_names_options_as_its_door_does(given: dict[str, Any], command: str, python: str) -> None:
    with pytest.raises(Contradiction) as theirs:
        Settings.of(model=Path("m.h5"), hardware="psoc6", **given)
    with pytest.raises(InputError) as mine:
        made(**given)
    assert str(theirs.value).startswith(command) and str(mine.value).startswith(python)


def test_names_from_files_stay_as_they_are() -> None:
    error = Contradiction("{exit_at} and {forbid}: {1}, {0}", "{risk}", "{0}", exit_at="{1}:cpu")
    assert str(error) == "--exit-at {1}:cpu and --forbid: {0}, {risk}"
    assert error.worded(python) == "exit_at['{1}']='cpu' and forbid=: {0}, {risk}"
    assert error.options == ("exit_at", "forbid")


def test_retarget_takes_the_same_in_python_as_on_the_command_line() -> None:
    """All else is about data and training, which an earlier bundle has behind it."""
    of_the_command = {param.name for param in retarget.params}
    others = {"directory", "hardware", "manifest_sha256", "dry_run", "as_json", "quiet", "verbose"}
    assert of_the_command - others == {*INHERITED, *OF_A_RETARGET}
    with pytest.raises(TypeError, match=r"retarget\(\) has no option 'effort'"):
        changes(effort="quick")
    taken_away = changes(max_latency_s=None, forbid=None, exit_at=None)
    assert taken_away == {"max_latency_s": None, "forbid": (), "exit_at": {}}
