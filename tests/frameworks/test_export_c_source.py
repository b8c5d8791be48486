"""C code by itself: decisions against numpy's, what is read of emx-onnx-cgen's text, names and literals."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools import needs_host

from eeaug.cascade.combining import combined
from eeaug.cascade.output import KINDS, MEASURES, Decision
from eeaug.errors import ConversionError
from eeaug.export import names
from eeaug.export.c import decisions, onnx_source, stage_source, text, toolchain
from eeaug.export.c.plan import PlannedStage, plan
from eeaug.export.c.stage_code import kernel_files, kernels, stage_code
from eeaug.frameworks import keras_to_onnx, onnx_session

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
compiler = toolchain.host()

MAIN = """
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#define OUTPUTS {outputs}
{code}
int main(void)
{{
    float said[2][OUTPUTS];
    const float *rows[2];
    const float weights[2] = {{0.3f, 1.0f}};
    while (fread(said, sizeof said, 1, stdin) == 1) {{
        float q[OUTPUTS];
        rows[0] = said[0];
        rows[1] = said[1];
        hear(rows, weights, 2, q);
        printf("%.9g %lld %.9g %lld\\n", (double)confidence(said[1]), (long long)predicted(said[1]),
               (double)confidence(q), (long long)predicted(q));
    }}
    return 0;
}}
"""


def probabilities(decision: Decision, n: int) -> np.ndarray:
    """Sure ones, unsure ones, and some that are exactly 0 or 1."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (n, decision.outputs)).astype(np.float32)
    if decision.kind == "softmax":
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
    else:
        p = 1 / (1 + np.exp(-z))
    p[:3] = 0
    p[:3, 0] = 1
    return p.astype(np.float32)


@needs_host
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "blank"])  # which no C file has
def test_decisions_are_those_of_numpy(kind: str, measure: str, tmp_path: Path) -> None:
    decision = Decision(kind, {"softmax": 5, "binary": 2, "multilabel": 4}[kind], measure)
    parts = (decisions.sure, decisions.confidence, decisions.predicted, decisions.hear)
    code = MAIN.format(outputs=decision.outputs, code="\n".join(part(decision) for part in parts))
    (tmp_path / "main.c").write_text(code, encoding="utf-8")
    assert compiler is not None
    build = [compiler, *STRICT, "-O2", "-o", "main", "main.c", "-lm"]
    subprocess.run(build, cwd=tmp_path, check=True)
    earlier, own = probabilities(decision, 400), probabilities(decision, 400)[::-1].copy()
    given = np.stack([earlier, own], axis=1).astype("<f4").tobytes()
    said = subprocess.run([tmp_path / "main"], input=given, capture_output=True, check=True).stdout.split()
    found = np.array(said, dtype=np.float64).reshape(-1, 4)
    for columns, p in ((found[:, :2], own), (found[:, 2:], combined([earlier, own], [0.3, 1.0], decision))):
        confidence, predicted = decision.answers(p)
        np.testing.assert_allclose(columns[:, 0], confidence, atol=2e-6)
        clear = decision.margins(p) > 1e-5
        assert (columns[clear, 1] == predicted[clear]).all()
        assert clear.sum() > 300


NODE = """
/*
 * Node 0:
 * OpType: {operator}
 * Name: A
 */
EMX_NODE_FN void node0_a(const float input0[1][4], {more}float output[1][4]) {{
{body}
}}

_Bool stage_0_load(const char *path) {{
    (void)path;
    return 1;
}}

void stage_0(const float input[1][4], float probabilities[1][4]) {{
{calls}
}}
"""
LOOP = """\
    for (idx_t i0 = 0; i0 < 1; ++i0) {
        for (idx_t i1 = 0; i1 < 4; ++i1) {
            %s
        }
    }"""


def read(body: str, calls: str = "    node0_a(input, probabilities);", **changes: Any) -> onnx_source.StageCode:
    text = NODE.format(**{"operator": "Relu", "more": "", "body": body, "calls": calls, **changes})
    return onnx_source.parsed(f"/* header */\n#include <math.h>\n{text}", "stage_0", ["input", "probabilities"])


def test_elementwise_functions_may_write_over_what_they_read() -> None:
    relu = read(LOOP % "output[i0][i1] = input0[i0][i1] > 0.0f ? input0[i0][i1] : 0.0f;")
    assert relu.calls[0].over == ("input",)
    assert relu.calls[0].reads == ("input",)
    assert relu.calls[0].writes == ("probabilities",)
    assert "stage_0_load" not in relu.preamble


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("output[i0][i1] = input0[i0][3 - i1];", "Relu"),
        ("output[i0][i1] = input0[i0][i1] + input0[i0][0];", "Relu"),
        ("output[i0][i1] = 0.0f; output[i0][i1] += input0[i0][i1];", "Relu"),
        ("const float *all = (const float *)input0; output[i0][i1] = all[i1];", "Relu"),
        ("output[i0][i1] = input0[i0][i1];", "Softmax"),
    ],
)
def test_others_may_not(body: str, operator: str) -> None:
    assert read(LOOP % body, operator=operator).calls[0].over == ()


def test_large_arrays_of_functions_become_scratch_memory() -> None:
    source = read(
        "    float values[20];\n    float few[4];\n    float grid[3][8];\n    values[0] = few[1] + grid[2][7];"
    )
    assert source.calls[0].scratch == 80 + 96
    code = source.functions["node0_a"]
    assert "float *const values = (float *)(void *)(scratch + 0);" in code
    assert "float few[4];" in code
    assert "float (*const grid)[8] = (float (*)[8])(void *)(scratch + 80);" in code
    assert code.splitlines()[0].endswith("float output[1][4], unsigned char *scratch) {")


def test_parameters_without_use_are_left_out() -> None:
    idle = "const int64_t repeats[2], "
    calls = "    int64_t tmp0[2];\n    node0_a(input, tmp0, probabilities);"
    source = read(LOOP % "output[i0][i1] = input0[i0][i1];", calls, operator="Tile", more=idle)
    assert "(const float input0[1][4], float output[1][4]) {" in source.functions["node0_a"]
    assert source.calls[0].reads == ("input",)


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        ("    float *tmp0 = malloc(16);", "not understood: float *tmp0 = malloc(16);"),
        ("    other(input, probabilities);", "calls other and does not write it"),
        ("    node0_a(input);", "called with 1 arguments"),
        ("    node0_a(input, tmp9);", "uses tmp9 and does not declare it"),
    ],
)
def test_what_is_not_understood_is_refused(calls: str, says: str) -> None:
    with pytest.raises(ConversionError, match=re.escape(says)):
        read(LOOP % "output[i0][i1] = input0[i0][i1];", calls)


def test_an_operator_without_code_is_refused() -> None:
    from onnx import TensorProto, helper

    pytest.importorskip("emx_onnx_cgen")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "probabilities")]
    node = helper.make_node("Wobble", ["x"], ["probabilities"], domain="nowhere")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    with pytest.raises(ConversionError, match=r"emx-onnx-cgen cannot write stage_0 as C: .*Wobble"):
        onnx_source.generated(helper.make_model(graph, opset_imports=opsets), "stage_0")


@pytest.mark.parametrize("value", [1.0, 0.1, 1e-30, 3.4e38, -255.0, 0.7246246933937073, 2.0**-149])
def test_literals_are_exact(value: float) -> None:
    written = text.literal(value)
    assert written.endswith("f")
    assert np.float32(written[:-1]) == np.float32(value)
    assert "." in written or "e" in written


def test_names_in_c_are_apart() -> None:
    assert text.c_name("Cortex-M4.0") == "cortex_m4_0"
    assert text.c_name("a-b", ["a_b"]) == "a_b_2"
    assert text.stems(["a-b", "a_b", "result", "stage_1"]) == ["a_b", "a_b_2", "result_2", "on_stage_1"]
    assert text.stems(["a", "a_in", "to_a", "a-context"]) == ["a", "a_in_2", "to_a_2", "a_context_2"]


# --- whole networks

PROGRAM = """
#include <stdio.h>
#include "cascade_stage_0.h"
static double arena[{words}];
static float input[{inputs}];
int main(void)
{{
    float out[4];
    if (fread(input, sizeof input, 1, stdin) != 1) {{
        return 1;
    }}
    cascade_stage_0(arena, input, out);
    return fwrite(out, sizeof out, 1, stdout) != 1;
}}
"""


def branches(keras: Any) -> Any:
    """Layers of which the generator makes other loops than of convolutions, and two branches."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="elu")(inputs))
    x = layers.UpSampling2D()(layers.Conv2DTranspose(4, 2, strides=2)(x))
    x = layers.Concatenate()([layers.Conv2D(3, 1, activation="hard_swish")(x), layers.Cropping2D(0)(x)])
    x = layers.Flatten()(
        layers.AveragePooling2D(7)(layers.LayerNormalization()(layers.PReLU(shared_axes=[1, 2])(x)))
    )
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


@needs_host
def test_other_layers_give_what_onnx_runtime_gives(keras: Any, tmp_path: Path) -> None:
    pytest.importorskip("emx_onnx_cgen")
    keras.utils.set_random_seed(3)
    net = branches(keras)
    proto = keras_to_onnx.to_onnx(net.inputs[0], {"probabilities": net.outputs[0]}, input_name="input")
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    source = stage_code(onnx_source.simplified(tmp_path / "model.onnx"), "stage_0")
    made = plan([PlannedStage(source, True, False, 4 * 768, 16, 0, 0, False)])
    assert made.bytes <= 1.05 * made.least
    code = stage_source.implementation(
        "cascade", 0, "branches", source, made.calls[0], made.offsets[0], made.scratch[0]
    )
    (tmp_path / "cascade_stage_0.c").write_text(code, encoding="utf-8")
    (tmp_path / "cascade_stage_0.h").write_text(
        stage_source.header("cascade", 0, "branches", made.bytes, 768, 4, None), encoding="utf-8"
    )
    for name, content in kernel_files("cascade", kernels([source])).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "main.c").write_text(PROGRAM.format(words=made.bytes // 8, inputs=768), encoding="utf-8")
    build = [str(compiler), *STRICT, "-O2", "-o", "main", "main.c", "cascade_kernels.c", "cascade_stage_0.c", "-lm"]
    subprocess.run(build, cwd=tmp_path, check=True)
    x = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype("<f4")
    said = [subprocess.run([tmp_path / "main"], input=one.tobytes(), capture_output=True, check=True) for one in x]
    found = np.array([np.frombuffer(done.stdout, "<f4") for done in said])
    (expected,) = onnx_session.session(tmp_path / "model.onnx", 1).run(None, {"input": x})
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.ptp(expected, axis=0).max() > 0.1, "samples differ"


ODD = [
    "it's", 'a "quoted" one', "back\\slash\\", "two\nlines", "*/ int main;", "/* again", "what??/", "größe 日本",
    "\x1b[31m", "",
]  # fmt: skip


@needs_host
def test_odd_names_are_strings_and_comments_of_c(tmp_path: Path) -> None:
    from eeaug.export.c import common_files

    listed = ",\n".join(names.quoted(name) for name in ODD)
    comments = "\n".join(f"/* {common_files.plain(name)} */" for name in ODD)
    (tmp_path / "names.c").write_text(
        f"{comments}\n#include <stdio.h>\nint main(void) {{ static const char *const n[] = {{{listed}}};\n"
        'for (unsigned i = 0; i < sizeof n / sizeof *n; ++i) { printf("%s\\n|", n[i]); } return 0; }\n',
        encoding="utf-8",
    )
    line = [str(compiler), *STRICT, "-o", str(tmp_path / "names"), str(tmp_path / "names.c")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([tmp_path / "names"], capture_output=True, check=True).stdout.decode()
    assert said.split("\n|")[:-1] == ODD


@pytest.mark.parametrize("used", [True, False])
def test_parameters_of_a_stage_are_all_used_or_said_to_be_idle(used: bool) -> None:
    """The input may lie in the arena already."""
    source = read(LOOP % "output[i0][i1] = input0[i0][i1];")
    calls = source.calls if used else ()
    code = stage_source.implementation("cascade", 0, "a stage", source, calls, {}, {})
    for name in ("arena", "input", "probabilities"):
        assert (f"(void){name};" in code) == (name == "arena" or not used)
