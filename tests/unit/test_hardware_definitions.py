"""The definitions of the fields of a hardware description: read as they say, written as they are read."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from boards import BOARD, mistakes, written
from hypothesis import given, settings
from hypothesis import strategies as st

from eeaug import hardware
from eeaug.errors import InputError
from eeaug.hardware import Hardware, Level, Link, Memory, Processor
from eeaug.hardware import fields as hardware_fields
from eeaug.support.strict_yaml import Field


def definitions(fields: tuple[Field, ...], path: tuple[str | int, ...] = ()) -> list[tuple[str, tuple, Field]]:
    """(path as errors write it, keys that lead there, field) of every field, in the first item of each list."""
    found = []
    for field in fields:
        keys = (*path, field.key)
        shown = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
        found.append((shown, keys, field))
        found += definitions(field.fields, (*keys, 0) if field.kind == "list" else keys)
    return found


DEFINITIONS = definitions(hardware_fields.FIELDS)


DEFINED = pytest.mark.parametrize(("path", "keys", "field"), DEFINITIONS, ids=[d[0] for d in DEFINITIONS])


def changed(keys: tuple, value: object = None, *, remove: bool = False) -> str:
    """The board with another value at one place, or without it."""
    document = yaml.safe_load(BOARD)
    owner = document
    for key in keys[:-1]:
        owner = owner[key]
    if remove:
        owner.pop(keys[-1], None)
    else:
        owner[keys[-1]] = value
    return yaml.safe_dump(document)


def test_every_operation_type_has_a_rate() -> None:
    assert [path for path, _, field in DEFINITIONS if field.unit == "MAC/s"] == [
        f"processors[0].rates_macs_per_s.{kind}" for kind in ("default", *hardware.KINDS)
    ]


@DEFINED
def test_a_wrong_value_is_answered_with_what_is_wanted(
    tmp_path: Path, path: str, keys: tuple, field: Field
) -> None:
    wrong = "-" if field.kind in ("mapping", "list") else [[]]
    (line,) = mistakes(tmp_path, changed(keys, wrong))
    given = "'-'" if wrong == "-" else "a list"
    assert line == f"{path}: must be {field.wanted}, given {given}"


@DEFINED
def test_null_is_a_value_exactly_where_it_is_said_to_be(
    tmp_path: Path, path: str, keys: tuple, field: Field
) -> None:
    assert ("or null" in field.wanted) == (field.null is not None)
    if field.null is None:
        assert mistakes(tmp_path, changed(keys, None))[0].startswith(f"{path}: must be ")
    else:
        hardware.read(written(tmp_path, changed(keys, None)))


@DEFINED
def test_a_field_may_be_left_out_unless_it_is_required(
    tmp_path: Path, path: str, keys: tuple, field: Field
) -> None:
    text = changed(keys, remove=True)
    if field.required:
        assert f"{path}: missing; must be {field.wanted}" in mistakes(tmp_path, text)
        return
    assert field.default is None or field.null is None  # or there were two answers to what leaving it out means
    without = hardware.read(written(tmp_path, text))
    if field.null is not None:
        assert without == hardware.read(written(tmp_path, changed(keys, None)))
    else:
        explicit = [] if field.default == () else field.default
        assert without == hardware.read(written(tmp_path, changed(keys, explicit)))


@pytest.mark.parametrize("name", hardware.shipped())
def test_a_dumped_profile_is_read_back_equal(tmp_path: Path, name: str) -> None:
    profile = hardware.read(name)
    text = hardware.dump(profile)
    assert text.startswith("schema_version: 1\n")
    assert hardware.read(written(tmp_path, text)) == profile


@st.composite
def targets(draw: st.DrawFn) -> Hardware:
    memory_names = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    processor_names = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    processors = tuple(
        Processor(
            name,
            {key: draw(rates) for key in ("default", *hardware.KINDS)},
            draw(st.sampled_from(["int8", "int16", "float16", "float32"])),
            draw(st.sampled_from(memory_names)),
            draw(st.sampled_from(memory_names)),
            active_power_w=draw(rates),
            wakeup_s=draw(rates),
            runtime=draw(notes),
            cpu=draw(st.none() | st.sampled_from(hardware_fields.CPUS)),
            source=draw(notes),
            clock_hz=levels[0].clock_hz if levels else draw(rates),
            operating_points=levels,
        )
        for name, levels in ((name, draw(some_levels)) for name in processor_names)
    )
    links = tuple(
        Link(a, b, draw(rates), 0.25, draw(rates), draw(notes))
        for a in processor_names
        for b in processor_names
        if a != b
    )
    memories = tuple(Memory(name, draw(st.integers(1, 2**50))) for name in memory_names)
    baseline = draw(st.none() | st.sampled_from(processor_names))
    return Hardware(
        draw(names),
        draw(notes),
        processor_names[-1],
        draw(st.booleans()),
        baseline,
        processors,
        memories,
        links,
    )


@settings(max_examples=40, deadline=None)
@given(targets())
def test_any_hardware_survives_dump_and_read(target: Hardware) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert hardware.read(written(Path(folder), hardware.dump(target))) == target


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_value_anywhere_ends_in_anything_but_an_input_error(data: st.DataObject) -> None:
    document = yaml.safe_load(BOARD)
    owner = data.draw(
        st.sampled_from(
            [
                document,
                document["processors"][1],
                document["processors"][0]["rates_macs_per_s"],
                document["processors"][0]["operating_points"][1],
                document["memories"][0],
                document["links"][0],
            ]
        )
    )
    owner[data.draw(st.sampled_from([*owner, "baseline", "exclusive"]))] = data.draw(junk)
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), yaml.safe_dump(document, allow_unicode=True))
        with suppress(InputError):
            hardware.warnings(hardware.read(path))


rates = st.none() | st.floats(min_value=1e-300, allow_infinity=False)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)


notes = st.none() | st.text(min_size=1).map(lambda text: " ".join(text.split())).filter(bool)


clocks = st.floats(min_value=1e-300, allow_infinity=False)


some_levels = st.lists(names, max_size=3, unique=True).flatmap(
    lambda each: st.tuples(
        *(st.builds(Level, st.just(name), clocks, voltage_v=rates, switch_s=rates, source=notes) for name in each)
    )
)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
