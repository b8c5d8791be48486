"""``eeaug hw list|show|check|reference``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eeaug import hardware
from eeaug.cli.hw import hw
from eeaug.cli.hw_reference import EXAMPLE
from eeaug.cli.main import run as run_eeaug
from eeaug.errors import InputError
from eeaug.hardware import fields


def run(*arguments: str) -> Result:
    return CliRunner().invoke(hw, arguments, env={"COLUMNS": "120"})


def words(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_list_names_every_shipped_profile() -> None:
    text = words(run("list"))
    for name in hardware.shipped():
        assert name in text
    assert "sram 768 KiB" in text


def test_list_json() -> None:
    entries = json.loads(run("list", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(hardware.shipped())
    (psoc6,) = [entry for entry in entries if entry["name"] == "psoc6"]
    assert psoc6["processors"] == ["cm0p", "cm4f"]
    assert psoc6["memories"] == {"sram": 1048576, "flash": 2097152}
    assert psoc6["source"].startswith("Infineon PSoC 6")


def test_show_says_unknown_for_what_is_not_known() -> None:
    text = words(run("show", "psoc6-measured"))
    assert "rate (default) 8.6 M MAC/s 40 M MAC/s" in text
    assert "conv unknown (default) 77.1 M MAC/s" in text
    assert "active power 19.14 mW 31.96 mW" in text
    assert "sleep power unknown unknown" in text
    assert "cm0p cm4f 400 MB/s 0 s as computed unknown" in text
    assert "one at a time" in text


def test_show_without_links_and_with_several_processors() -> None:
    assert "Links" not in words(run("show", "stm32u575"))
    assert "rate (default) unknown 20.1 G MAC/s unknown" in words(run("show", "rk3588-cloud"))


def test_show_json_has_the_keys_of_the_file_format(tmp_path: Path) -> None:
    document = json.loads(run("show", "psoc6", "--json").stdout)
    assert document == hardware.as_dict(hardware.read("psoc6"))
    path = tmp_path / "again.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    assert hardware.read(str(path)) == hardware.read("psoc6")


def test_a_source_with_brackets_is_no_markup(tmp_path: Path) -> None:
    text = hardware.dump(hardware.read("stm32u575")).replace("name: stm32u575", "name: '[bold]board'")
    path = tmp_path / "board.yaml"
    path.write_text(text, encoding="utf-8")
    assert "[bold]board" in words(run("show", str(path)))


def test_check_of_a_sound_profile_is_one_line() -> None:
    result = run("check", "stm32u575")
    assert (result.exit_code, result.stdout) == (0, "stm32u575: ok: 1 processor, 2 memories, 0 links\n")


def test_check_says_which_processor_serves_nothing() -> None:
    assert run("check", "psoc6").stdout.splitlines() == [
        "psoc6: ok: 2 processors, 2 memories, 1 link",
        "warning: processors[0]: cm0p: cm4f is at least 7.5 times as fast and takes at most 22 % of its energy per "
        "MAC: placing anything on cm0p saves neither, unless waking cm4f (wakeup_s is null and counts as 0) or "
        "handing over to it costs more",
    ]


def test_check_prints_warnings_and_succeeds() -> None:
    lines = run("check", "rk3588-cloud").stdout.splitlines()
    assert lines[0] == "rk3588-cloud: ok: 3 processors, 2 memories, 3 links"
    path = "warning: processors[0].rates_macs_per_s.default"
    assert f"{path}: null: no latency can be estimated on cpu" in lines


@pytest.mark.parametrize("command", ["check", "show"])
def test_mistakes_raise_an_input_error_and_print_nothing(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("schema_version: 1\nname: bad\nprocesors: []\n", encoding="utf-8")
    result = run(command, str(path))
    assert isinstance(result.exception, InputError)
    assert "procesors: unknown key; did you mean 'processors'?" in str(result.exception)
    assert "memories: missing" in str(result.exception)
    assert result.stdout == ""


def test_mistakes_stand_on_lines_of_their_own_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("schema_version: 1\nname: [bad]\nprocesors: []\nmemories: []\n", encoding="utf-8")
    assert run_eeaug(["hw", "check", "bad.yaml"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: bad.yaml: 4 mistakes\n"
        "  procesors: unknown key; did you mean 'processors'?\n"
        "  memories: must be a list of mappings with the keys name, bytes, bandwidth_bytes_per_s, source, "
        "given an empty list\n"
        "  processors: missing; must be a list of mappings with the keys name, rates_macs_per_s, "
        "overhead_s_per_layer, overhead_s_per_element, arithmetic, ram, "
        "flash, active_power_w, sleep_power_w, wakeup_s, runtime, cpu, accelerator, remote, clock_hz, "
        "operating_points, "
        "cycles_per_instruction, basis, source\n"
        "  name: must be text, given a list\n",
    )


# --- reference


def test_the_documented_reference_is_what_the_command_prints() -> None:
    printed = run("reference").stdout
    documented = Path(__file__).parents[2] / "docs" / "hardware.md"
    assert documented.read_text(encoding="utf-8") == printed, "run: eeaug hw reference > docs/hardware.md"


def test_the_reference_names_every_field_and_every_profile() -> None:
    text = run("reference").stdout
    keys = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    flat = list(fields.FIELDS)
    for field in flat:
        flat += field.fields  # grows while it is read: fields of fields too
    assert sorted(keys) == sorted([*(field.key for field in flat), *hardware.shipped()])


def test_the_example_of_the_reference_is_sound(tmp_path: Path) -> None:
    assert EXAMPLE in run("reference").stdout
    path = tmp_path / "my-board.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    result = run("check", str(path))
    assert result.stdout.splitlines() == [
        "my-board: ok: 2 processors, 2 memories, 1 link",
        "warning: processors[1].active_power_w: null: no energy can be estimated on big",
    ]


def test_hw_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from eeaug.cli.hw import hw\n"
        "hw(['check', 'psoc6'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'onnx', 'onnxruntime', 'networkx', 'numpy', 'rich'}\n"
        "sys.exit(f'imported: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
