"""int8 C by itself: operators bit for bit as LiteRT's reference kernels, decisions as numpy's, cores in QEMU."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from int8_parts import BOARDS, Built, built, converted
from numpy.typing import NDArray
from tools import needs_arm, needs_host, needs_sanitisers

from eeaug.cascade.combining import combined
from eeaug.cascade.output import KINDS, MEASURES, Quantised
from eeaug.errors import ConversionError
from eeaug.export.c import toolchain
from eeaug.export.c_int8 import decisions, fixed_point, operators
from eeaug.frameworks import tflite_session
from eeaug.support.sample_layout import SampleLayout

STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror"]
SHAPE = (9, 11, 6)
compiler = toolchain.host()


def head(layers: Any, x: Any) -> Any:
    return layers.Dense(4, activation="softmax")(layers.Flatten()(x))


def mixed(layers: Any, i: Any) -> Any:
    """Strides, 1 × 1, padding on one side, dilation, two multiples of channels."""
    x = layers.Conv2D(7, (2, 3), dilation_rate=2, padding="same", activation="relu")(i)
    x = layers.Conv2D(5, 3, strides=(2, 1), padding="same", activation="relu6")(x)
    x = layers.Conv2D(8, 1, strides=2)(layers.Conv2D(9, 1)(x))
    x = layers.DepthwiseConv2D((3, 2), depth_multiplier=3, padding="same")(x)
    return head(layers, layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x))


def gated(layers: Any, i: Any) -> Any:
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling2D()(i))
    x = layers.Multiply()([i, layers.Reshape((1, 1, 6))(gate)])
    x = layers.Subtract()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    return head(layers, layers.Multiply()([x, layers.Activation("tanh")(i)]))


def pooled(layers: Any, i: Any) -> Any:
    x = layers.AveragePooling2D((3, 2), strides=2, padding="same")(layers.MaxPooling2D(3, 1, padding="same")(i))
    both = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    return layers.Dense(4, activation="softmax")(layers.Concatenate()(both))


def moved(layers: Any, i: Any) -> Any:
    x = layers.Cropping2D(((1, 2), (2, 1)))(layers.ZeroPadding2D(((2, 1), (0, 3)))(i))
    return head(layers, layers.Permute((3, 1, 2))(layers.UpSampling2D()(x)))


def elementwise(layers: Any, i: Any) -> Any:
    x = layers.Add()([layers.LeakyReLU()(i), layers.Activation("sigmoid")(i)])
    x = layers.Maximum()([x, layers.Minimum()([i, layers.Conv2D(6, 1)(i)])])
    return head(layers, layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(x)))


def recurrent(layers: Any, i: Any) -> Any:
    return layers.Dense(1, activation="sigmoid")(layers.GRU(4)(layers.LSTM(5, return_sequences=True)(i)))


def over_time(layers: Any, i: Any) -> Any:
    x = layers.Conv1D(6, 5, strides=2, padding="same", activation="relu")(layers.Conv1D(4, 3, padding="causal")(i))
    return layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))


def normed(layers: Any, i: Any) -> Any:
    return head(layers, layers.Activation("gelu")(layers.LayerNormalization()(layers.Conv2D(6, 3)(i))))


NETS: list[tuple[Callable[[Any, Any], Any], tuple[int, ...]]] = [
    (mixed, SHAPE), (gated, SHAPE), (pooled, SHAPE), (moved, SHAPE), (elementwise, SHAPE), (recurrent, (5, 4)),
    (over_time, (32, 3)), (normed, SHAPE),
]  # fmt: skip


def small(keras: Any, net: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> tuple[bytes, NDArray[np.int8]]:
    """A network of random weights in int8, and 100 samples."""
    keras.utils.set_random_seed(len(net.__name__))
    inputs = keras.Input(shape)
    model = keras.Model(inputs, net(keras.layers, inputs))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x = rng.normal(0, 1, (100, *shape)).astype(np.float32)
    content = converted(model, x)
    session = tflite_session.Session(content, 1)
    (takes,) = session.inputs.values()
    assert takes is not None
    return content, takes.quantised(x)


def expected(content: bytes, q: NDArray[np.int8]) -> NDArray[np.int8]:
    session = tflite_session.Session(content, 1, reference=True)
    (result,) = session.run(["probabilities"], {"input": q})
    assert np.ptp(result.astype(int), axis=0).max() > 8, "samples differ"
    return np.asarray(result, np.int8)


def here(stage: Built, q: NDArray[np.int8], *flags: str) -> NDArray[np.int8]:
    line = [str(compiler), *STRICT, *flags, *stage.includes, "-o", "main", "main.c", *stage.sources]
    done = subprocess.run(line, cwd=stage.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([stage.folder / "main"], input=q.tobytes(), capture_output=True, check=False)
    assert said.returncode == 0, said.stderr.decode()
    return np.frombuffer(said.stdout, np.int8).reshape(len(q), -1)


@needs_host
@pytest.mark.parametrize(("net", "shape"), NETS, ids=lambda value: getattr(value, "__name__", ""))
def test_operators_give_what_litert_gives(keras: Any, net: Any, shape: Any, tmp_path: Path) -> None:
    """Bit for bit, on 100 samples, compiled without a warning."""
    content, q = small(keras, net, shape)
    for vectors in (False, True):
        stage = built(content, tmp_path, vectors=vectors)
        assert stage.plan.bytes <= 1.05 * stage.plan.least
        np.testing.assert_array_equal(here(stage, q), expected(content, q))


@needs_sanitisers
def test_nothing_undefined_is_done(keras: Any, tmp_path: Path) -> None:
    content, q = small(keras, mixed, SHAPE)
    stage = built(content, tmp_path, vectors=False)
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    np.testing.assert_array_equal(here(stage, q, *flags), expected(content, q))


@needs_arm
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board.cpu))
@pytest.mark.parametrize(("net", "shape"), [NETS[0], NETS[5]], ids=["mixed", "recurrent"])
def test_every_core_gives_what_litert_gives(keras: Any, board: Any, net: Any, shape: Any, tmp_path: Path) -> None:
    """In QEMU, with the extensions that each has and files for it, or for any core; 100 samples by their CRC."""
    board.skip_if_missing()
    content, q = small(keras, net, shape)
    for vectors in (False, True):
        stage = built(content, tmp_path, vectors=vectors)
        said = board.run(stage, q, STRICT)
        assert said == zlib.crc32(expected(content, q).tobytes())


def test_without_vectors_less_memory_is_planned(keras: Any, tmp_path: Path) -> None:
    def net(layers: Any, i: Any) -> Any:
        return head(layers, layers.DepthwiseConv2D(3, padding="same")(i))

    content, _ = small(keras, net, SHAPE)
    names = {"input": "input", "probabilities": "probabilities"}
    scratch = [sum(call.scratch for call in operators.lowered(content, names, vectors=v).calls) for v in (0, 1)]
    assert scratch == [0, 4 * 124 * 9]  # of the depthwise layer


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (lambda layers, i: layers.Conv2D(6, 3, groups=2)(i), r"there is no int8 C for CONV_2D in groups"),
    ],
)
def test_what_there_is_no_c_for_is_named(keras: Any, net: Any, says: str) -> None:
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, head(keras.layers, net(keras.layers, inputs)))
    content = converted(model, np.random.default_rng(0).normal(size=(8, *SHAPE)).astype(np.float32))
    with pytest.raises(ConversionError, match=says):
        operators.lowered(content, {"input": "input", "probabilities": "probabilities"})


# --- decisions in integers

MAIN = """
#include <stdint.h>
#include <stdio.h>
#define OUTPUTS {outputs}
{code}
int main(void)
{{
    int8_t said[2][OUTPUTS];
    const int8_t *rows[2] = {{said[0], said[1]}};
    const int32_t weights[2] = {{{weights}}};
    while (fread(said, sizeof said, 1, stdin) == 1) {{
        int32_t p[OUTPUTS], q[OUTPUTS];
        shares(said[1], p);
        hear(rows, weights, 2, q);
        printf("%d %lld ", confidence(p), (long long)predicted(p));
        printf("%d %lld\\n", confidence(q), (long long)predicted(q));
    }}
    return 0;
}}
"""


@needs_host
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "blank"])  # which no C file has
def test_decisions_are_those_of_numpy(kind: str, measure: str, tmp_path: Path) -> None:
    decision = Quantised(kind, {"softmax": 5, "binary": 2, "multilabel": 4}[kind], measure)
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2.5, (2, 600, decision.outputs))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True) if kind == "softmax" else 1 / (1 + np.exp(-z))
    q = np.clip(np.rint(p * 256) - 128, -128, 127).astype(np.int8)
    q[:, :3], q[:, :3, 0] = -128, 127
    arithmetic = decisions.int8("net", [tflite_session.Quantisation(1.0, 0)], SampleLayout(("x",), ((4,),)))
    weights = [0.3, 1.0]
    code = MAIN.format(
        outputs=decision.outputs,
        code=arithmetic.decisions(decision, True),
        weights=", ".join(map(arithmetic.weight, weights)),
    )
    (tmp_path / "main.c").write_text(code, encoding="utf-8")
    subprocess.run([str(compiler), *STRICT, "-o", "main", "main.c"], cwd=tmp_path, check=True)
    given = np.ascontiguousarray(q.transpose(1, 0, 2)).tobytes()
    said = subprocess.run([tmp_path / "main"], input=given, capture_output=True, check=True).stdout.split()
    rows = np.array(said, dtype=np.int64).reshape(-1, 4)
    real = [((row.astype(np.float32) + 128) / 256) for row in q]
    confidence, predicted = decision.answers(real[1])
    np.testing.assert_array_equal(rows[:, 0], confidence * 256 - 128)
    np.testing.assert_array_equal(rows[:, 1], predicted)
    confidence, predicted = decision.answers(combined(real, weights, decision))
    assert np.abs(rows[:, 2] - (confidence * 256 - 128)).max() <= 1  # where a step is nearly a tie
    assert (rows[:, 2] != confidence * 256 - 128).mean() < 0.005
    assert (rows[:, 3] != predicted).mean() < 0.005


# --- fixed point


@pytest.mark.parametrize("real", [0.75, 1e-9, 0.5, 3.0, 1 - 1e-12, 2.0**-31, 1e-12])
def test_factors_are_close_and_normal(real: float) -> None:
    q, shift = fixed_point.factor(real)
    assert q == 0 or 2**30 <= q < 2**31
    assert q * 2.0 ** (shift - 31) == pytest.approx(real, rel=2e-9, abs=2.0**-32)


def test_shifts_round_halves_away_from_zero_and_products_up() -> None:
    for x in range(-40, 40):
        assert fixed_point.divided(x, 2) == int(np.sign(x) * np.floor(abs(x) / 4 + 0.5))
        assert fixed_point.multiplied(x, 1 << 30) == np.floor(x / 2 + 0.5)


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.37])
def test_exponentials_are_those_of_numpy(scale: float) -> None:
    values = fixed_point.exponentials(scale, 1.0)
    np.testing.assert_allclose(values / 2**31, np.exp(-scale * np.arange(len(values))), atol=3e-7)
    assert len(values) == 256 or np.exp(-scale * len(values)) < 1e-5
