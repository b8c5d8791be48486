"""The picture of a model's blocks: every layer once, every edge forwards, nothing on top of another."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
from report_kinds import Reader

from eeaug import hardware
from eeaug.backbone import keras_files
from eeaug.cli.inspect import _facts
from eeaug.cli.inspect import inspect as command
from eeaug.report import units
from eeaug.report.render import block_picture, page

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A stem, an inception block, a residual block and a classifier, on two processors, one with an open rate."""
    keras = keras_files.import_keras()
    layers = keras.layers
    start = keras.Input((16, 16, 3))
    stem = layers.Conv2D(8, 3, padding="same", name="stem")(start)
    one = layers.Conv2D(8, 1, name="one")(stem)
    two = layers.ReLU(name="two_relu")(layers.Conv2D(8, 3, padding="same", name="two")(stem))
    three = layers.Conv2D(8, 3, padding="same", name="three_b")(layers.Conv2D(4, 1, name="three_a")(stem))
    mixed = layers.Concatenate(name="mixed")([one, two, three])
    side = layers.BatchNormalization(name="side_norm")(layers.Conv2D(24, 3, padding="same", name="side")(mixed))
    added = layers.ReLU(name="added_relu")(layers.Add(name="added")([mixed, side]))
    pooled = layers.GlobalAveragePooling2D(name="pool")(added)
    path = tmp_path_factory.mktemp("picture") / "branched.keras"
    keras.Model(start, layers.Dense(5, activation="softmax", name="answer")(pooled)).save(path)
    return _facts(path, hardware.read("rk3588-cloud"), None, None, False, None, ())


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_layer_is_in_one_node_and_every_block_has_its_figures(branched: dict[str, Any]) -> None:
    svg = block_picture.svg(branched)
    nodes = [r[0].text or "" for r in ElementTree.fromstring(svg).iter(f"{SVG}rect") if len(r)]
    drawn = [name for node in nodes for name in node.split(", ")]
    assert sorted(drawn) == sorted(call["name"] for call in branched["calls"])
    assert "two, two_relu" in nodes and "side, side_norm" in nodes and "added, added_relu, pool" in nodes
    words = texts(svg)
    for block in branched["blocks"]:
        assert block["block"] in words
        assert any(f"{block['parameters']:,} weights" in text for text in words)
        assert f"{units.macs(block['macs'])} MACs" in words
        if block["location"]:
            low, high = (units.macs(m) for m in block["head_macs"])
            assert any(f"{len(block['heads'])} heads to try, {low} to {high} MACs" in text for text in words)
        else:
            assert any(block["reason"] in text for text in words)
    circles = [c.get("class") for c in ElementTree.fromstring(svg).iter(f"{SVG}circle") if c.get("r") == "6"]
    assert circles.count("yes") == branched["locations"] and circles.count("end") == 2


def test_an_open_rate_is_unknown_and_never_0(branched: dict[str, Any]) -> None:
    times = {p["name"]: p["block_latency_s"] for p in branched["hardware"]["processors"]}
    assert times["cpu"][0] is None and times["mali"][0] > 0
    assert any("cpu unknown*" in text for text in texts(block_picture.svg(branched)))


def random_block(seed: int) -> nx.DiGraph:
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph()
    graph.add_node(block_picture.START)
    names = [block_picture.START, *(f"n{i}" for i in range(int(rng.integers(1, 12))))]
    for i, name in enumerate(names[1:], start=1):
        for source in rng.choice(i, size=min(i, int(rng.integers(1, 4))), replace=False):
            graph.add_edge(names[source], name)
    return graph


@pytest.mark.parametrize("seed", range(40))
def test_nothing_lies_on_top_of_another_and_edges_go_forwards(seed: int) -> None:
    graph = random_block(seed)
    edges = set(graph.edges)
    placed = block_picture._layout(graph)
    assert len(set(placed.values())) == len(placed) == len(graph)
    assert all(placed[b][0] - placed[a][0] == 1 for a, b in graph.edges)
    followed = set()
    for source, target in graph.edges:
        if isinstance(source, tuple):
            continue
        path = [source, target]
        while isinstance(path[-1], tuple):  # a bend has one way out
            (onward,) = graph.successors(path[-1])
            path.append(onward)
        followed.add((source, path[-1]))
    assert followed == edges


def test_what_is_too_entangled_is_said_instead(branched: dict[str, Any]) -> None:
    names = [f"l{i}" for i in range(60)]
    calls = [
        {"name": n, "kind": "Conv2D", "inputs": names[max(0, i - 3) : i], "shape": [4], "kernel": [3, 3], "macs": 9}
        for i, n in enumerate(names)
    ]  # fmt: skip
    block = branched["blocks"][0] | {"block": "l59", "layers": names}
    words = " ".join(texts(block_picture.svg(branched | {"blocks": [block], "calls": calls, "hardware": None})))
    assert "60 layers, too entangled to be drawn" in words and "60 Conv2D" in words


def test_names_are_text(branched: dict[str, Any]) -> None:
    evil = "<a href='x'>&"
    block = branched["blocks"][-1] | {"block": evil, "reason": evil}
    facts = branched | {"blocks": [block], "model": evil}
    assert evil in texts(block_picture.svg(facts)) and "<a href='x" not in page.inspected(facts)


def test_the_page_has_the_picture_and_the_table(branched: dict[str, Any]) -> None:
    html = page.inspected(branched)
    words = " ".join(" ".join(Reader(html).words).split())
    for block in branched["blocks"]:
        assert f" {units.macs(block['macs'])} {block['parameters']:,} {block['peak_elements']:,} " in words
    assert "<svg" in html and "the classifier itself" in words and "unknown" in words
    assert not re.search(r"https?://(?!www\.w3\.org)", html) and html.count("<script") == 1


@pytest.mark.parametrize("form", ["svg", "html"])
def test_the_command_writes_it(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner
    from conftest import EXAMPLES

    monkeypatch.chdir(tmp_path)
    model = str(EXAMPLES / "fashion_resnet.h5")
    done = CliRunner().invoke(command, [model, "--hw", "psoc6", "--format", form, "-o", f"x.{form}"])
    assert (done.exit_code, done.stdout) == (0, "")
    text = Path(f"x.{form}").read_text(encoding="utf-8")
    assert text.startswith("<svg" if form == "svg" else "<!doctype html>")
    assert "stack1_out" in text and "4 locations for exits" in text if form == "svg" else "9.346 M MACs" in text
    if form == "svg":  # the picture in README.md
        assert (EXAMPLES.parent / "docs" / "fashion_resnet.svg").read_text(encoding="utf-8") == text
    again = CliRunner().invoke(command, [model, "--format", form, "-o", f"x.{form}"])
    assert again.exit_code != 0 and "--force" in str(again.exception)
    assert CliRunner().invoke(command, [model, "--format", form, "--json"]).exit_code == 2
    table = CliRunner().invoke(command, [model, "-o", "x.txt"])
    assert table.exit_code == 0 and "stem_relu" in Path("x.txt").read_text(encoding="utf-8")
    assert json.loads(CliRunner().invoke(command, [model, "--json"]).stdout)["calls"][0]["macs"] >= 0
