"""Matrices of few bits: widened as the format says, and multiplied by OpenVINO as by numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.retrieval import bert, quick


def a_block_matrix(rng: np.random.Generator, rows: int, columns: int) -> bert.Blocks:
    blocks = np.empty((rows, columns // 32), dtype=bert.BLOCK)
    blocks["scale"] = rng.uniform(0.01, 0.1, blocks.shape)
    blocks["pairs"] = rng.integers(0, 256, (*blocks.shape, 16))
    return bert.Blocks(blocks)


def bytes_of(rng: np.random.Generator, rows: int, columns: int) -> bert.Bytes:
    numbers = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
    return bert.Bytes(numbers, rng.uniform(0.001, 0.01, rows).astype(np.float16))


def test_a_block_is_a_scale_and_two_numbers_a_byte() -> None:
    wide = np.array(bert.Blocks(np.array([[(0.5, [0x80, 0xF7] + [0x88] * 14)]], dtype=bert.BLOCK)))[0]
    assert wide.dtype == np.float32
    assert (wide[0], wide[16], wide[1], wide[17]) == (-4.0, 0.0, -0.5, 3.5)
    assert not wide[2:16].any()


def test_rows_are_widened_as_they_are_looked_up() -> None:
    matrix = a_block_matrix(np.random.default_rng(0), 10, 64)
    assert np.array(matrix).shape == matrix.shape == (10, 64)
    assert np.array_equal(matrix[np.array([[3, 1], [9, 9]])], np.array(matrix)[[[3, 1], [9, 9]]])


def test_a_row_of_bytes_is_multiplied_by_its_scale() -> None:
    matrix = bert.Bytes(np.array([[2, -4], [1, 0]], np.int8), np.array([0.5, 3.0], np.float16))
    assert np.array(matrix).tolist() == [[1, -2], [3, 0]]


def test_a_change_is_added_as_it_is() -> None:
    base = np.ones((2, 3), np.float32)
    change = bert.Changed(base, np.array([[1.0], [2.0]], np.float32), np.array([[1.0, 0.0, 3.0]], np.float32))
    assert np.array(change).tolist() == [[2, 1, 4], [3, 1, 7]]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), rows=st.sampled_from([1, 3, 32, 64]), groups=st.integers(1, 4))
def test_openvino_multiplies_by_few_bits_as_by_the_whole_matrix(seed: int, rows: int, groups: int) -> None:
    openvino = pytest.importorskip("openvino")
    rng, width = np.random.default_rng(seed), 32 * groups
    blocks = a_block_matrix(rng, rows, width)
    low = bert.Changed(blocks, bytes_of(rng, rows, 5), bytes_of(rng, 5, width))
    given = rng.normal(size=(2, 3, width)).astype(np.float32)
    for matrix in (blocks, bytes_of(rng, rows, width), low, np.array(low)):
        x = openvino.opset13.parameter([-1, -1, width], np.float32)
        graph = openvino.Model([bert._product(x, matrix)], [x], "product")
        found = quick.compiled(graph, bert.EXACT)([given])
        assert np.allclose(found, given @ np.array(matrix).T, atol=1e-3, rtol=1e-4)
