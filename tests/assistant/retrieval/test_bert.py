"""Matrices of bytes: rounded, widened, and multiplied by OpenVINO as by numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.retrieval import bert, quick


def test_a_group_of_bytes_is_multiplied_by_its_scale() -> None:
    matrix = bert.Bytes(np.array([[[2, -4], [1, 0]]], np.int8), np.array([[0.5, 3.0]], np.float32))
    assert np.array(matrix).tolist() == [[1, -2, 3, 0]]


@given(seed=st.integers(0, 99), rows=st.integers(1, 5), groups=st.integers(1, 3))
def test_a_rounded_number_is_half_a_step_of_its_group_away_at_most(seed: int, rows: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(rows, groups * bert.GROUP)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    matrix[0, : bert.GROUP] = 0
    away = np.abs(np.array(bert.rounded(matrix)) - matrix).reshape(rows, groups, -1)
    step = np.abs(matrix).reshape(rows, groups, -1).max(-1, keepdims=True) / 127
    assert (away <= 0.5001 * step).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), rows=st.sampled_from([1, 3, 32, 64]), groups=st.integers(1, 3))
def test_openvino_multiplies_by_bytes_as_by_the_whole_matrix(seed: int, rows: int, groups: int) -> None:
    openvino = pytest.importorskip("openvino")
    rng, width = np.random.default_rng(seed), bert.GROUP * groups
    whole = rng.normal(size=(rows, width)).astype(np.float32)
    given = rng.normal(size=(2, 3, width)).astype(np.float32)
    for matrix in (bert.rounded(whole), whole):
        x = openvino.opset13.parameter([-1, -1, width], np.float32)
        graph = openvino.Model([bert._product(x, matrix)], [x], "product")
        found = quick.compiled(graph, bert.EXACT)([given])
        assert np.allclose(found, given @ np.array(matrix).T, atol=1e-4, rtol=1e-4)
