"""Laws of encoding: what one round loses the next one sends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.encoding import DTYPES, decode, dequantise, encode, flatten, quantise, unflatten
from federated.errors import BadRequest
from federated.types import TensorSpec

SPECS = (TensorSpec("x", (4, 3)), TensorSpec("y", (5,)))


def arrays(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {spec.name: scale * rng.normal(size=spec.shape) for spec in SPECS}


@pytest.mark.parametrize("encoding", ["float32", "float16", "int8"])
@given(seed=st.integers(0, 1000), scale=st.floats(1e-4, 1e3))
@settings(max_examples=20, deadline=None)
def test_sent_plus_lost_is_what_was_wanted(encoding: str, seed: int, scale: float) -> None:
    update = arrays(seed, scale)
    sent, lost = encode(update, encoding)  # type: ignore[arg-type]
    for name, value in decode(sent).items():
        assert sent[name].data.dtype == np.dtype(DTYPES[encoding])  # type: ignore[index]
        np.testing.assert_allclose(value + lost[name], update[name], atol=1e-12 * scale)


@pytest.mark.parametrize("encoding", ["float16", "int8"])
def test_with_error_feedback_the_sum_over_rounds_is_off_by_one_rounding_only(encoding: str) -> None:
    sent_sum, wanted, residual = {s.name: np.zeros(s.shape) for s in SPECS}, arrays(0), None
    for _ in range(200):
        sent, residual = encode(wanted, encoding, residual)  # type: ignore[arg-type]
        for name, value in decode(sent).items():
            sent_sum[name] += value
    for name, value in sent_sum.items():
        assert np.abs(value - 200 * wanted[name]).max() < 0.05


def test_a_tensor_of_zeros_survives_int8() -> None:
    sent, _ = encode({"x": np.zeros((4, 3))}, "int8")
    assert sent["x"].scale == 1.0
    assert not sent["x"].data.any()


def test_masked_is_not_an_encoding_of_its_own() -> None:
    with pytest.raises(BadRequest):
        encode(arrays(0), "masked")


def test_flatten_and_unflatten_are_inverse() -> None:
    update = arrays(3)
    for name, value in unflatten(flatten(update, SPECS), SPECS).items():
        np.testing.assert_array_equal(value, update[name])


@given(seed=st.integers(0, 1000), partners=st.integers(1, 200), bound=st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_the_largest_sum_never_wraps(seed: int, partners: int, bound: float) -> None:
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=8) * bound
    total = np.zeros(8, np.uint32)
    for _ in range(partners):
        total += quantise(signs, bound, partners)
    np.testing.assert_allclose(dequantise(total, bound, partners), partners * signs, rtol=1e-6)
