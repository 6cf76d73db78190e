"""Laws of clipping, noise and Poisson samples."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.errors import BadRequest, NotFinite
from privacy.noise import add_noise, chosen, clip, gaussian, norm, random_bytes

finite = st.floats(-(2.0**50), 2.0**50, width=32, allow_subnormal=False)
lists = st.lists(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=5), elements=finite), max_size=4)


def seeded(seed=7):
    return random.Random(seed).randbytes


@settings(deadline=None)
@given(parts=lists, bound=st.floats(1e-3, 1e3))
def test_a_clipped_norm_is_never_over_its_bound_and_keeps_the_direction(parts, bound):
    clipped = clip(parts, bound)
    assert norm(clipped) <= bound
    assert [part.shape for part in clipped] == [part.shape for part in parts]
    assert all(part.dtype == np.float32 for part in clipped)
    if norm(parts) <= bound:
        assert all(np.array_equal(a, b) for a, b in zip(parts, clipped, strict=True))


def test_zeros_and_nothing_stay_what_they_are():
    assert clip([], 1.0) == []
    assert not clip([np.zeros(3)], 1.0)[0].any()


def test_clipping_copies():
    mine = np.zeros(3)
    clip([mine], 1.0)[0][:] = 5
    assert not mine.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(NotFinite):
        clip([np.array([1.0, bad])], 1.0)
    with pytest.raises(NotFinite):
        add_noise([np.array([1.0, bad])], 1.0)


def test_numbers_whose_squares_overflow_are_clipped_all_the_same():
    assert norm(clip([np.full(4, 3e38, dtype=np.float32)], 1.0)) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_bound_that_is_no_bound_is_refused(bad):
    with pytest.raises(BadRequest):
        clip([np.ones(2)], bad)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_noise_that_is_no_noise_is_refused(bad):
    with pytest.raises(BadRequest):
        gaussian((2,), bad)


def test_the_noise_is_normal():
    from scipy import stats

    sample = gaussian((300, 1000), 2.5, entropy=seeded())
    assert sample.shape == (300, 1000)
    assert stats.kstest(sample.ravel(), "norm", args=(0, 2.5)).pvalue > 0.001
    assert sample.std() == pytest.approx(2.5, rel=0.01)
    assert abs(np.corrcoef(sample[:, :500].ravel(), sample[:, 500:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(np.abs(sample[:, :500].ravel()), np.abs(sample[:, 500:].ravel()))[0, 1]) < 0.01


def test_a_value_is_the_sum_of_four_normals_not_one():
    calls = []

    def counting(size):
        calls.append(size)
        return seeded()(size)

    gaussian((10,), 1.0, entropy=counting)
    assert len(calls) == 4


def test_the_worst_bits_give_finite_noise():
    for byte in (b"\x00", b"\xff"):
        assert np.isfinite(gaussian((1000,), 1.0, entropy=lambda size, byte=byte: byte * size)).all()


def test_noise_is_never_the_same_twice_unless_the_bits_are():
    assert not np.array_equal(gaussian((50,), 1.0), gaussian((50,), 1.0))
    assert np.array_equal(gaussian((51,), 1.0, entropy=seeded()), gaussian((51,), 1.0, entropy=seeded()))


def test_noise_keeps_shape_and_dtype_and_zero_noise_changes_nothing():
    parts = [np.ones((2, 3), np.float32), np.zeros(4)]
    noised = add_noise(parts, 1.0)
    assert [(part.shape, part.dtype) for part in noised] == [((2, 3), np.float32), ((4,), np.float64)]
    assert all(np.array_equal(a, b) for a, b in zip(parts, add_noise(parts, 0.0), strict=True))


def test_a_poisson_sample_takes_each_on_its_own():
    from scipy import stats

    bits = seeded(11)
    draws = [chosen(2000, 0.03, entropy=bits) for _ in range(400)]
    sizes = np.array([len(draw) for draw in draws])
    assert sizes.mean() == pytest.approx(60, rel=0.03)
    assert sizes.var() == pytest.approx(2000 * 0.03 * 0.97, rel=0.25)
    counts = np.bincount(np.concatenate(draws), minlength=2000)
    assert stats.kstest(counts, stats.binom(400, 0.03).cdf).statistic < 0.2
    assert all((np.diff(draw) > 0).all() for draw in draws)


def test_the_ends_of_sampling():
    assert len(chosen(100, 0.0)) == 0
    assert len(chosen(100, 1.0)) == 100
    assert len(chosen(0, 0.5)) == 0
    with pytest.raises(BadRequest):
        chosen(3, 1.5)


def test_random_bytes_are_many_even_and_never_twice_the_same():
    sizes = (0, 1, 64, 65, 100_000)
    assert [len(random_bytes(size)) for size in sizes] == list(sizes)
    assert random_bytes(1000) != random_bytes(1000)
    counts = np.bincount(np.frombuffer(random_bytes(256_000), np.uint8), minlength=256)
    assert ((counts - 1000) ** 2 / 1000).sum() < 380  # chi-square, 255 degrees of freedom: p about 1e-6
