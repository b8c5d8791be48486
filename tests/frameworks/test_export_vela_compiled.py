"""Stages compiled for an NPU: ends as before; what is left to the processor, or cannot be, is said."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from boards import board, core
from int8_parts import converted

from eeaug.errors import ConversionError
from eeaug.export import vela
from eeaug.frameworks import tflite_file
from eeaug.hardware import Hardware, Memory, Processor

pytestmark = pytest.mark.skipif(find_spec("ethosu") is None, reason="the package ethos-u-vela is not installed")

CORE = replace(core("m55", 1e9, 0.1), accelerator="ethos-u55-128", clock_hz=400e6)


def target(processor: Processor) -> Hardware:
    memories = Memory("ram", 1 << 20), Memory("flash", 1 << 22)
    return replace(board(processor, links=()), memories=memories)


def network(*, slopes: bool) -> Any:
    import keras
    from keras import layers

    given = keras.Input((12, 12, 4), name="x")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(given)
    if slopes:
        x = layers.PReLU(alpha_initializer=keras.initializers.RandomNormal(seed=0))(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(given, x)


def int8(*, slopes: bool = False) -> bytes:
    return converted(
        network(slopes=slopes), np.random.default_rng(0).normal(0, 1, (16, 12, 12, 4)).astype(np.float32)
    )


@pytest.fixture(scope="module")
def plain() -> bytes:
    return int8()


@pytest.mark.parametrize(
    ("processor", "system", "mode"),
    [
        (CORE, "Ethos_U55_High_End_Embedded", "Shared_Sram"),
        (replace(CORE, flash="ram"), "Ethos_U55_High_End_Embedded", "Sram_Only"),
        (replace(CORE, accelerator="ethos-u65-256"), "Ethos_U65_Embedded", "Shared_Sram"),
        (replace(CORE, accelerator="ethos-u85-1024"), "Ethos_U85_SYS_Flash_High", "Shared_Sram"),
    ],
)
def test_a_compiled_stage_takes_and_gives_what_the_int8_stage_does(
    plain: bytes, processor: Processor, system: str, mode: str
) -> None:
    content, facts = vela.compiled(target(processor), processor, plain, "0-m55")
    assert vela.ends(content) == vela.ends(plain)
    assert sorted(vela.ends(content)) == ["in input", "out probabilities"]
    assert (facts.system, facts.memory_mode, facts.clock_hz) == (system, mode, 400e6)
    assert facts.accelerator == processor.accelerator
    assert facts.on_cpu == ()
    assert facts.cycles > 1000
    assert 12 * 12 * 8 <= facts.sram_bytes < 1 << 16
    assert vela.compiled(target(processor), processor, plain, "0-m55") == (content, facts)  # the same bytes


def test_without_a_clock_vela_s_own_serves(plain: bytes) -> None:
    processor = replace(CORE, clock_hz=None)
    assert vela.compiled(target(processor), processor, plain, "0-m55")[1].clock_hz == 500e6


def test_what_the_npu_cannot_do_is_named() -> None:
    content, facts = vela.compiled(target(CORE), CORE, int8(slopes=True), "0-m55")
    assert facts.on_cpu == ("DEQUANTIZE", "NEG", "QUANTIZE")
    assert set(tflite_file.operators(content)) == {"CUSTOM", *facts.on_cpu}


def test_a_larger_npu_takes_fewer_cycles(plain: bytes) -> None:
    small, large = (
        vela.compiled(target(p), p, plain, "0-m55")[1].cycles
        for p in (replace(CORE, accelerator=f"ethos-u55-{macs}") for macs in (32, 256))
    )
    assert large < small


def test_vela_s_reason_is_told() -> None:
    with pytest.raises(ConversionError, match="stage 0-m55: Vela refused it: "):
        vela.compiled(target(CORE), CORE, b"no such file", "0-m55")


def test_other_ends_are_refused(plain: bytes, tmp_path: Any) -> None:
    """A file that takes its input at another scale would decide otherwise."""
    entry = SimpleNamespace(
        name="0-m55", vela=object(), files={"vela": "vela.tflite", "tflite-int8": "int8.tflite"}
    )
    work: Any = SimpleNamespace(directory=tmp_path, manifest=SimpleNamespace(stages=[entry]))
    (tmp_path / "int8.tflite").write_bytes(plain)
    content = vela.compiled(target(CORE), CORE, plain, "0-m55")[0]
    (tmp_path / "vela.tflite").write_bytes(content)
    reference: Any = None
    checked = vela.check(work, reference)
    assert checked.as_dict() == {"samples": 0, "disagreements": None, "near_threshold": None}  # nothing ran it
    (tmp_path / "int8.tflite").write_bytes(tflite_file.with_input(plain, tflite_file.inputs(plain)[0], 0.5, 3))
    with pytest.raises(ConversionError, match="stage 0-m55: Vela's file takes and gives"):
        vela.check(work, reference)
