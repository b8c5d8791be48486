"""Hand-overs in fewer bits: what arrives is near what was sent, and stays the same when it is sent again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.cascade.encoding import Encoding
from eeaug.hardware.fields import ENCODINGS

VALUES = st.floats(-1e4, 1e4, width=32)


@given(values=st.lists(VALUES, min_size=1, max_size=50), kind=st.sampled_from(ENCODINGS))
def test_what_arrives(values: list[float], kind: str) -> None:
    x = np.array(values, np.float32)
    encoding = Encoding.of(kind, float(x.min()), float(x.max()))
    sent = encoding.encoded(x)
    assert sent.nbytes == len(x) * encoding.bytes_per_element
    came = encoding.received(x)
    assert came.dtype == np.float32
    np.testing.assert_array_equal(encoding.encoded(came), sent)
    near = {"float32": 0.0, "float16": float(np.abs(x).max()) * 2**-11 + 2**-24, "int8": 0.51 * encoding.scale}
    assert np.abs(came - x).max() <= near[kind] * 1.001
    assert Encoding.from_dict(encoding.as_dict()) == encoding


def test_zero_stays_zero() -> None:
    for least, most in ((0.0, 6.0), (-3.0, 5.0), (-4.0, 0.0), (1.0, 2.0), (0.0, 0.0)):
        assert Encoding.of("int8", least, most).received(np.zeros(1, np.float32)) == 0


def test_what_is_beyond_the_range_is_cut() -> None:
    far = np.array([-1e30, 1e30], np.float32)
    np.testing.assert_allclose(Encoding.of("int8", -1, 1).received(far), [-1, 1], atol=0.01)
    assert np.isfinite(Encoding.of("float16", -1, 1).received(far)).all()


@pytest.mark.parametrize("kind", ENCODINGS)
def test_ranges_of_activations(kind: str) -> None:
    """After a ReLU, all 256 steps serve."""
    encoding = Encoding.of(kind, 0.0, 11.1)
    if kind == "int8":
        assert encoding.zero_point == -128
        assert encoding.encoded(np.array([11.1], np.float32)) == 127
