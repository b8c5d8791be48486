"""Hardware descriptions: what is read, what is refused and how, what the shipped profiles say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from boards import BOARD, mistakes, written

from eeaug import hardware
from eeaug.errors import InputError
from eeaug.hardware import Hardware, Level, Link, Memory, Processor


def mistake(tmp_path: Path, old: str, new: str) -> str:
    """The only mistake of the board with one text in it replaced."""
    assert old in BOARD
    (line,) = mistakes(tmp_path, BOARD.replace(old, new, 1))
    return line


def test_every_field_is_read_and_the_defaults_are_filled_in(tmp_path: Path) -> None:
    board = hardware.read(written(tmp_path, BOARD))
    no_rates = dict.fromkeys(("default", *hardware.KINDS))
    assert board == Hardware(
        name="board",
        source=None,
        input_at="little",
        exclusive=False,
        baseline=None,
        processors=(
            Processor(
                "little",
                no_rates | {"default": 1e6, "conv": 2.5e6},
                "int8",
                "sram",
                "flash",
                clock_hz=8e6,  # of the first of the operating points
                operating_points=(Level("fast", 8e6, 1.1), Level("slow", 2e6, switch_s=1e-5)),
            ),
            Processor("big", no_rates, "float32", "sram", "sram", 0.5, 0.0, 1e-3, "TFLM", "measured"),
        ),
        memories=(Memory("sram", 262144), Memory("flash", 1000000, "guess")),
        links=(Link("little", "big", None, 0.0, None),),
    )


def test_rate_is_its_own_or_the_default_or_unknown(tmp_path: Path) -> None:
    board = hardware.read(written(tmp_path, BOARD))
    little, big = board.processors
    assert (little.rate("conv"), little.rate("dense"), big.rate("conv")) == (2.5e6, 1e6, None)
    assert (little.bytes_per_element, big.bytes_per_element) == (1, 4)


def test_lookup_by_name(tmp_path: Path) -> None:
    board = hardware.read(written(tmp_path, BOARD))
    assert board.processor("big") is board.processors[1]
    assert board.memory("flash") is board.memories[1]
    assert board.link("little", "big") is board.links[0]
    assert board.link("big", "little") is None
    with pytest.raises(InputError, match="no processor 'bik'; did you mean 'big'"):
        board.processor("bik")
    with pytest.raises(InputError, match="no memory 'rom'"):
        board.memory("rom")


TOP = "name: board"
FIRST, RATES = "processors[0]", "processors[0].rates_macs_per_s"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("schema_version: 1\n", "", "schema_version: missing"),
        ("schema_version: 1", "schema_version: 2", "schema_version: must be 1, given 2"),
        ("schema_version: 1", "schema_version: true", "schema_version: must be 1, given true"),
        (TOP, "name: on", "name: must be text, given true; put it in quotes"),
        (TOP, "name: [a]", "name: must be text, given a list"),
        (TOP, f"{TOP}\ninput_at: bog", "input_at: there is no processor 'bog'; did you mean 'big'?"),
        (TOP, f"{TOP}\nbaseline: gpu", "baseline: there is no processor 'gpu' (known: little, big)"),
        (TOP, f"{TOP}\nexclusive: 1", "exclusive: must be true or false, given 1"),
        (TOP, f"{TOP}\nexclusive:", "exclusive: must be true or false, given null"),
        (TOP, f"{TOP}\nProcessors: []", "Processors: unknown key; did you mean 'processors'?"),
        (TOP, f"{TOP}\n1: x", "1: unknown key; known keys: schema_version, name"),
        (TOP, f"{TOP}\nname: other", "name: stands a second time in line 3"),
        ("{name: little", "{name: 8051", f"{FIRST}.name: must be a name of letters"),
        ("{name: little", "{name: ../up", f"{FIRST}.name: must be a name of letters"),
        ("default: 1e6, ", "", f"{RATES}.default: missing"),
        ("{default: 1e6, conv: 2.5e6}", "1e6", f"{RATES}: must be a mapping with the keys default"),
        ("default: 1e6, ", "default: 1e6, default: 2e6, ", f"{RATES}.default: stands a second time"),
        ("conv: 2.5e6", "convolution: 1", f"{RATES}.convolution: unknown key; known keys: default, conv"),
        ("arithmetic: int8, ", "", f"{FIRST}.arithmetic: missing"),
        ("int8", "8", f"{FIRST}.arithmetic: must be one of int8, int16, float16, float32, given 8"),
        ("ram: sram", "ram: sran", f"{FIRST}.ram: there is no memory 'sran'; did you mean 'sram'?"),
        (
            "active_power_w: 0.5",
            "active_power_w: 0",
            "processors[1].active_power_w: must be a number greater",
        ),
        (
            "power_w: 0,",
            "power_w: -1,",
            "processors[1].sleep_power_w: must be a number of at least 0 or null",
        ),
        (", bytes: 0x40000", "", "memories[0].bytes: missing"),
        ("to: big", "to: little", "links[0].to: links little to itself"),
        ("to: big", "to: cloud", "links[0].to: there is no processor 'cloud'"),
        ("{from: little", "{sender: x, from: little", "links[0].sender: unknown key; known keys: from, to"),
        (", bandwidth_bytes_per_s: null", "", "links[0].bandwidth_bytes_per_s: missing"),
        ("per_s: null", "per_s: 0", "links[0].bandwidth_bytes_per_s: must be a number greater than 0"),
        (
            "null}]\n",
            "1, latency_s: null}]\n",
            "links[0].latency_s: must be a number of at least 0, given null",
        ),
        ("links: [", "links: [3, ", "links[0]: must be a mapping with the keys from, to"),
        (
            "links: [",
            "links: [{from: little, to: big, bandwidth_bytes_per_s: 1}, ",
            "links[1].to: links[0] already goes from little to big",
        ),
    ],
)
def test_each_mistake_is_named_with_its_path(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert mistake(tmp_path, old, new).startswith(expected)


@pytest.mark.parametrize("value", ["0", "-1", "true", "'25 M'", ".inf", ".nan", "1e999", "[]", "1" * 400])
def test_a_rate_is_a_finite_positive_number_or_null(tmp_path: Path, value: str) -> None:
    line = mistake(tmp_path, "conv: 2.5e6", f"conv: {value}")
    assert line.startswith(f"{RATES}.conv: must be a number greater than 0 or null, given ")
    assert len(line) < 160


@pytest.mark.parametrize("value", ["0.5", "-1", "0", "1 MiB", "null", ".inf", "true"])
def test_bytes_are_a_whole_number(tmp_path: Path, value: str) -> None:
    line = mistake(tmp_path, "bytes: 0x40000", f"bytes: {value}")
    assert line.startswith("memories[0].bytes: must be a whole number greater than 0, given ")


@pytest.mark.parametrize("value", ["1e6", "1000000", "1.0e+6", "'1000000.0'", "1_000_000"])
def test_every_spelling_of_a_number_is_understood(tmp_path: Path, value: str) -> None:
    board = hardware.read(written(tmp_path, BOARD.replace("conv: 2.5e6", f"conv: {value}")))
    assert board.processor("little").rate("conv") == 1e6


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("processors", "[]", "processors: must be a list of mappings with the keys name"),
        ("memories", "{sram: 1}", "memories: must be a list of mappings with the keys name, bytes"),
        ("links", "null", "links: must be a list of mappings with the keys from, to"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, key: str, value: str, expected: str) -> None:
    document = yaml.safe_load(BOARD) | {key: yaml.safe_load(value)}
    assert any(line.startswith(expected) for line in mistakes(tmp_path, yaml.safe_dump(document)))


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    text = BOARD.replace("ram: sram", "ran: sram").replace("0x40000", "-1").replace("to: big", "to: bug")
    lines = mistakes(tmp_path, text)
    assert sorted(line.split(":")[0] for line in lines) == [
        "links[0].to",
        "memories[0].bytes",
        "processors[0].ram",
        "processors[0].ran",
        "processors[1].ram",
        "processors[1].ran",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: big", "name: little", "processors[1].name: 'little' stands a second time"),
        ("name: flash,", "name: sram,", "memories[1].name: 'sram' stands a second time"),
    ],
)
def test_a_name_stands_once(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in mistakes(tmp_path, BOARD.replace(old, new))


def test_a_broken_name_does_not_accuse_those_who_refer_to_it(tmp_path: Path) -> None:
    assert mistake(tmp_path, "name: sram", "name: s ram").startswith("memories[0].name: must be a name")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"name: [1\nother: 2\n", "line 2, column 6: not valid YAML: "),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: not valid YAML: "),
        (b"name: !!python/object:os.system {}\n", "line 1, column 7: not valid YAML: "),
        (b"{[a, b]: 1}\n", "line 1, column 2: not valid YAML: "),
        (b"name: 2024-13-01\n", "not valid YAML: "),
        (b"\x89HDF\r\n\x1a\n\x00", "not a YAML text file: "),
        (b"just words\n", "the file: must be a mapping with the keys schema_version, name"),
        (b"[" * 5000, "not valid YAML: "),
    ],
)
def test_what_is_no_yaml_mapping_ends_in_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        hardware.read(str(path))
    assert str(caught.value).startswith(f"{path}: {expected}")
    assert "\n" not in str(caught.value)


def test_anchors_and_merge_keys_are_no_repeated_keys(tmp_path: Path) -> None:
    text = BOARD.replace("- {name: little", "- &p {name: little").replace("links:", "  # same again\nlinks:")
    text = text.replace("memories:", "  - {<<: *p, name: twin}\nmemories:")
    twin = hardware.read(written(tmp_path, text)).processor("twin")
    assert twin == replace(hardware.read(written(tmp_path, BOARD)).processors[0], name="twin")


def test_a_mapping_that_contains_itself_is_refused(tmp_path: Path) -> None:
    assert "unknown key" in mistake(tmp_path, "name: board", "name: board\nx: &x {y: *x}")


def test_an_existing_path_wins_over_a_shipped_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hardware.read("psoc6").name == hardware.read("psoc6.yaml").name == "psoc6"
    (tmp_path / "psoc6").mkdir()  # a folder is no description and hides none
    assert hardware.read("psoc6").name == "psoc6"
    (tmp_path / "psoc6.yaml").write_text(BOARD, encoding="utf-8")
    assert hardware.read("psoc6.yaml").name == "board"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("psoc7", "neither a file nor a shipped profile; did you mean 'psoc6'?"),
        ("STM32U575", "did you mean 'stm32u575'?"),
        ("no/such.yaml", f"shipped profiles: {', '.join(hardware.shipped())}"),
        ("", "name is empty; give a YAML file or one of the shipped profiles"),
        (".", "is a directory"),
        ("x" * 5000, "File name too long"),
    ],
)
def test_unknown_hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        hardware.read(name)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# --- warnings


def test_warnings_name_what_stays_unknown(tmp_path: Path) -> None:
    assert hardware.warnings(hardware.read(written(tmp_path, BOARD))) == (
        "processors[0].active_power_w: null: no energy can be estimated on little",
        "processors[1].rates_macs_per_s.default: null: no latency can be estimated on big",
        "links[0].bandwidth_bytes_per_s: null: no latency of a hand-over from little to big can be estimated",
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("default: null", "default: null, conv: 1.0e6", "no latency of pointwise, depthwise, dense can be"),
        ("conv: 2.5e6", "conv: 25", "rates_macs_per_s.conv: 25 MAC/s is very slow; is it given in millions?"),
        ("sleep_power_w: 0", "sleep_power_w: 1", "processors[1].sleep_power_w: more than active_power_w"),
        ("flash: flash,", "flash: sram,", "memories[1]: no processor uses flash"),
    ],
)
def test_warnings_name_what_is_probably_not_meant(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in BOARD
    board = hardware.read(written(tmp_path, BOARD.replace(old, new, 1)))
    assert any(expected in line for line in hardware.warnings(board))


def test_the_papers_profile_has_no_warnings() -> None:
    assert hardware.warnings(hardware.read("psoc6")) == ()


# --- performance levels


def with_levels(
    tmp_path: Path, levels: str, more: str = "clock_hz: 1.0e8, active_power_w: 0.02"
) -> hardware.Hardware:
    old = BOARD[BOARD.index("operating_points") : BOARD.index("\n  - {name: big")]
    text = BOARD.replace(old, f"{more}, operating_points: {levels}}}")
    return hardware.read(written(tmp_path, text))


def test_a_level_scales_times_by_its_clock_and_power_by_clock_and_square_of_voltage(tmp_path: Path) -> None:
    board = with_levels(
        tmp_path,
        "[{name: lp, clock_hz: 1.0e8, voltage_v: 1.1}, {name: ulp, clock_hz: 2.5e7, voltage_v: 0.9},"
        " {name: said, clock_hz: 5.0e7, active_power_w: 0.007}, {name: dark, clock_hz: 5.0e7}]",
        "clock_hz: 1.0e8, active_power_w: 0.02, overhead_s_per_layer: 1.0e-5",
    )
    lp, ulp, said, dark, big = hardware.modes(board)
    assert [mode.nominal for mode in (lp, ulp, said, dark, big)] == [True, False, False, False, True]
    assert [mode.index for mode in (lp, ulp, said, dark, big)] == [0, 0, 0, 0, 1]
    assert (lp.processor.rate("conv"), lp.processor.active_power_w) == (2.5e6, 0.02)
    assert ulp.processor.rate("conv") == pytest.approx(2.5e6 / 4)
    assert ulp.processor.overhead_s(3, 0) == pytest.approx(4 * 3e-5)
    assert ulp.processor.clock_hz == 2.5e7
    assert ulp.processor.active_power_w == pytest.approx(0.02 / 4 * (0.9 / 1.1) ** 2)
    assert said.processor.active_power_w == 0.007
    assert dark.processor.active_power_w is None
    assert (big.level, big.processor) == (None, board.processors[1])
    assert any("operating_points[3].active_power_w: null" in line for line in hardware.warnings(board))
    assert len([line for line in hardware.warnings(board) if "operating_points" in line]) == 1


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ("[{name: a, clock_hz: 1.0e8}, {name: a, clock_hz: 5.0e7}]", "operating_points[1].name: 'a' stands"),
        ("[{name: a, clock_hz: 5.0e7}]", "operating_points: none has the processor's clock_hz 1e+08, given 5e+07"),
        ("[{name: a, clock_hz: 1.0e8, active_power_w: 1}]",
         "operating_points[0].active_power_w: must be that of the processor, whose clock it has, 0.02, given 1"),
        ("[{name: a}]", "operating_points[0].clock_hz: missing; must be a number greater than 0"),
    ],
)  # fmt: skip
def test_levels_that_contradict_their_processor(tmp_path: Path, levels: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        with_levels(tmp_path, levels)
    assert f"processors[0].{expected}" in str(caught.value)


def test_changing_levels_takes_the_time_of_the_one_that_is_entered(tmp_path: Path) -> None:
    board = with_levels(tmp_path, "[{name: lp, clock_hz: 1.0e8, switch_s: 1.0e-4}, {name: ulp, clock_hz: 2.5e7}]")
    lp, ulp, big = hardware.modes(board)
    assert (lp.switch_s(ulp), ulp.switch_s(lp), lp.switch_s(lp)) == (1e-4, 0.0, 0.0)
    assert (lp.switch_s(big), big.switch_s(lp)) == (0.0, 0.0)  # it has no levels to change
