"""Values with units: what is read, what is refused with which hint; of commands, in files and from Python."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.data.priors import parse_priors
from eeaug.errors import InputError
from eeaug.report import units
from eeaug.settings.options import settings
from eeaug.support import quantities
from eeaug.support.quantities import (
    BYTES,
    DROP,
    GIGABYTES,
    JOULES,
    SECONDS,
    SHARE,
    QuantityError,
    apart,
    as_given,
    parse,
)

entry: Any = importlib.import_module("eeaug.cli.main")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1%", DROP, 0.01), ("0.5pp", DROP, 0.005), ("0.01", DROP, 0.01), ("20%", DROP, 0.2), ("100 %", DROP, 1.0),
        ("30%", SHARE, 0.3), ("0.3", SHARE, 0.3), ("1", SHARE, 1.0),
        ("200ms", SECONDS, 0.2), ("2.5 s", SECONDS, 2.5), ("3us", SECONDS, 3e-6), ("3 µs", SECONDS, 3e-6),
        ("2500", SECONDS, 2500.0), ("1e3ms", SECONDS, 1.0), ("2min", SECONDS, 120.0), ("1_000ms", SECONDS, 1.0),
        ("2.5 mJ", JOULES, 0.0025), ("3uJ", JOULES, 3e-6), ("1Wh", JOULES, 3600.0),
        ("64k", BYTES, 64_000), ("64kB", BYTES, 64_000), ("64K", BYTES, 64_000), ("64 KiB", BYTES, 65_536),
        ("64Ki", BYTES, 65_536), ("1MB", BYTES, 1e6), ("262144", BYTES, 262_144), ("2MiB", BYTES, 2 << 20),
        ("20", GIGABYTES, 20e9), ("2GB", GIGABYTES, 2e9), ("500 MB", GIGABYTES, 5e8), ("1GiB", GIGABYTES, 1 << 30),
    ],
)  # fmt: skip
def test_values(text: str, kind: quantities.Kind, value: float) -> None:
    assert parse(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("1", DROP, "1 is 100 percentage points; did you mean 1%? If not, write 100%"),
        ("0.2", DROP, "0.2 is 20 percentage points; did you mean 0.2%?"),
        ("1.5", DROP, "1.5 is 150 percentage points; did you mean 1.5%?"),
        ("30", SHARE, "did you mean 30%?"),
        ("1 percent", DROP, "did you mean 1%?"),
        ("0,5%", DROP, "did you mean 0.5%?"),
        ("200 msec", SECONDS, "did you mean 200ms?"),
        ("200 MS", SECONDS, "did you mean 200ms?"),
        ("2 seconds", SECONDS, "did you mean 2s?"),
        ("5 parsecs", SECONDS, "no such unit of a time (s, ms, us, ns, min, h, d)"),
        ("3 MJ", JOULES, "did you mean 3mJ?"),
        ("64 kb", BYTES, "did you mean 64kB?"),
        ("64 kib", BYTES, "did you mean 64KiB?"),
        ("200ms", BYTES, "no such unit of a size"),
        ("fast", SECONDS, "'fast' is not a time, such as 200ms"),
        ("", SHARE, "'' is not a share"),
        ("nan", SHARE, "nan is not a finite number"),
        ("-inf", SECONDS, "-inf is not a finite number"),
        ("1e999", SECONDS, "1e999 is not a finite number"),
        ("1e999999999%", DROP, "is not a finite number"),
        ("1e308", GIGABYTES, "is not a finite number"),
        ("9" * 6000, SECONDS, "is not a time"),
        ("\u0663%", SHARE, "is not a share"),
        ("1\0s", SECONDS, "no such unit"),
    ],
)
def test_mistakes_have_the_right_hint(text: str, kind: quantities.Kind, said: str) -> None:
    with pytest.raises(QuantityError) as error:
        parse(text, kind)
    assert said in str(error.value) and len(str(error.value)) < 200


@given(st.floats(0, 1))
def test_a_drop_is_written_as_it_is_read(share: float) -> None:
    assert parse(as_given(share, DROP), DROP) == share


@given(st.text(max_size=80), st.sampled_from([SHARE, DROP, SECONDS, JOULES, BYTES, GIGABYTES]))
def test_any_text_is_a_value_or_one_message(text: str, kind: quantities.Kind) -> None:
    try:
        assert isinstance(parse(text, kind), float)
    except QuantityError as error:
        assert len(str(error)) < 260


@given(
    st.sampled_from(
        [lambda v: units.points(v, signed=False), units.share, units.seconds, units.joules, units.size]
    ),
    st.floats(1e-6, 1.0),
    st.floats(1e-9, 1e-2),
)
def test_two_figures_of_a_sentence_differ(text: Any, first: float, more: float) -> None:
    second = first * (1 + more)
    words = apart(text, first, second)
    assert words[0] != words[1]
    assert apart(text, first, first) == (text(first), text(first))


def test_the_figures_of_the_report_that_was_wrong() -> None:
    assert apart(lambda v: f"{100 * v:.2f} points", 0.00501, 0.005) == ("0.501 points", "0.500 points")


# -- options ------------------------------------------------------------------------------------------

TARGET = ("augment", "none.h5", "--hw", "psoc6")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*TARGET, "--max-accuracy-drop", "1"), "1 is 100 percentage points; did you mean 1%?"),
        ((*TARGET, "--max-class-drop", "0.5"), "0.5 is 50 percentage points; did you mean 0.5%?"),
        (("retarget", "none", "-o", "x", "--max-accuracy-drop", "2"), "did you mean 2%?"),
        (("check", "none", "--max-accuracy-drop", "1"), "did you mean 1%?"),
        (("check", "none", "--min-macs-saved", "30"), "did you mean 30%?"),
        ((*TARGET, "--risk", "5"), "did you mean 5%?"),
        ((*TARGET, "--max-latency", "200 msec"), "did you mean 200ms?"),
        ((*TARGET, "--max-cache", "1e308"), "is not a finite number"),
        ((*TARGET, "--max-cache", "1e300"), "is not a finite number"),
        ((*TARGET, "--max-cache", "1e12"), "not in the range"),
        ((*TARGET, "--max-locations", "9" * 30), "not in the range"),
        ((*TARGET, "--finetune", "9" * 12), "not in the range"),
        ((*TARGET, "--threads", "100000"), "not in the range"),
        (("evaluate", "none", "--data", "x", "--threads", "99999999999"), "not in the range"),
        (("evaluate", "none", "--data", "x", "--threads", "100000"), "not in the range"),
        (("report", "none", "--period", "1e300", "--battery", "1J"), "not in the range"),
        ((*TARGET, "--seed", "9" * 6000), "--seed"),
    ],
)
def test_options_are_refused_in_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert entry.run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and said in err and len(err) <= 301


@pytest.mark.parametrize("given", ["1%", "0.5pp", "25%", "0.1"])
def test_right_ones_go_on_to_the_model(
    given: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(f"{{max-latency: 200ms, max-accuracy-drop: {given}, max-cache: 2 GB}}")
    assert entry.run([*TARGET, "--config", "run.yaml", "-o", "x"]) == 2
    assert "no such model file" in capsys.readouterr().err
    monkeypatch.setenv("EEAUG_AUGMENT_MAX_CLASS_DROP", given)
    assert entry.run([*TARGET, "-o", "x"]) == 2
    assert "no such model file" in capsys.readouterr().err


def test_from_python() -> None:
    made = settings(
        Path(), "", None, cache="c", max_latency_s="200ms", max_accuracy_drop="1%", risk="5%",
        max_cache_bytes="2GB", threshold={"a": "90%"}, priors={"b": "95%"},
    )  # fmt: skip
    goal = made.goal
    assert (goal.max_latency_s, goal.max_accuracy_drop, goal.risk, made.running.max_cache_bytes) == (
        0.2,
        0.01,
        0.05,
        2 * 10**9,
    )
    assert goal.threshold == {"a": 0.9} and made.input.priors == "b=0.95"
    with pytest.raises(InputError, match=r"max_accuracy_drop: 1 is 100 percentage points; did you mean 1%\?"):
        settings(Path(), "", None, cache="c", max_accuracy_drop=1)
    assert settings(Path(), "", None, cache="c", max_accuracy_drop="30%").goal.max_accuracy_drop == 0.3


def test_priors() -> None:
    assert parse_priors("_silence_=90%,b=0.05", ["a", "b", "_silence_"]) == {2: 0.9, 1: 0.05}
    with pytest.raises(InputError, match=r"did you mean 95%\?"):
        parse_priors("a=95", ["a", "b"])
