"""Clip arrays to a norm and add Gaussian noise to them, with a generator nobody can predict.

Not training (`dpsgd.py` uses this for its noise) and no accounting. The bits are a ChaCha20 stream (RFC 8439)
under a key that the operating system draws anew each time; a test may hand in its own. Plain floating-point
Gaussians leak through the gaps between the numbers they can take (Mironov, CCS 2012): every value here is the
sum of four independent Box-Muller normals, which makes an attacker's search exponentially larger (Holohan and
Braghin, arXiv 2107.10138, section 5; what Opacus calls its secure mode).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from privacy.errors import BadRequest, NotFinite

Array = npt.NDArray[np.floating]
Entropy = Callable[[int], bytes]
"""n -> n random bytes. `random_bytes` everywhere but in tests."""

_SUMMED = 4
_CHUNK = 1 << 18
_A_HAIR = 1e-6  # rounding to float32 may not lift a clipped norm over its bound


def random_bytes(count: int) -> bytes:
    """`count` bytes that nobody can predict: the operating system's, stretched by ChaCha20 to be quick."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    if count <= 64:
        return os.urandom(count)
    stream = Cipher(algorithms.ChaCha20(os.urandom(32), bytes(16)), mode=None).encryptor()
    return stream.update(bytes(count))


def norm(arrays: Sequence[Array]) -> float:
    """The Euclidean norm of all arrays together; nan or inf where they hold such."""
    return math.sqrt(sum(float(np.sum(np.square(array, dtype=np.float64))) for array in arrays))


def clip(arrays: Sequence[Array], clip_norm: float) -> list[Array]:
    """The arrays scaled together so that their norm is at most `clip_norm`; shapes and dtypes stay.

    Raises:
        NotFinite: an entry is NaN or infinite: nothing bounded can be made of it.
        BadRequest: the clip norm is not a positive number.
    """
    _positive(clip_norm, "clip norm")
    total = norm(arrays)
    if not math.isfinite(total):
        raise NotFinite("An update holds NaN or infinite numbers.", hint="Lower the learning rate, or leave it out.")
    if total <= clip_norm:
        return [np.array(array) for array in arrays]
    factor = clip_norm / total * (1 - _A_HAIR)
    return [(array * factor).astype(array.dtype) for array in arrays]


def gaussian(shape: tuple[int, ...], std: float, *, entropy: Entropy = random_bytes) -> npt.NDArray[np.float64]:
    """Independent normals of mean 0 and standard deviation `std`, unpredictable, in float64.

    Raises:
        BadRequest: `std` is negative, NaN or infinite.
    """
    if not (math.isfinite(std) and std >= 0):
        raise BadRequest(f"The standard deviation of the noise is {std}.")
    flat = np.empty(math.prod(shape), dtype=np.float64)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        part[:] = _normals(part.size, entropy)
        for _ in range(_SUMMED - 1):
            part += _normals(part.size, entropy)
    flat *= std / math.sqrt(_SUMMED)
    return flat.reshape(shape)


def add_noise(arrays: Sequence[Array], std: float, *, entropy: Entropy = random_bytes) -> list[Array]:
    """The arrays plus independent normals, summed in float64 and then rounded to their dtype.

    Raises:
        NotFinite: an entry is NaN or infinite; noise would not hide it.
    """
    if not math.isfinite(norm(arrays)):
        raise NotFinite("Noise cannot hide NaN or infinite numbers.", hint="Clip first.")
    return [(array + gaussian(array.shape, std, entropy=entropy)).astype(array.dtype) for array in arrays]


def chosen(count: int, probability: float, *, entropy: Entropy = random_bytes) -> npt.NDArray[np.intp]:
    """Indices below `count`, each taken on its own with `probability`: a Poisson sample, often of another size.

    Raises:
        BadRequest: the probability is not between 0 and 1.
    """
    if not 0 <= probability <= 1:
        raise BadRequest(f"The sample rate is {probability}, not between 0 and 1.")
    return np.flatnonzero(_uniforms(count, entropy) <= probability) if probability else np.empty(0, np.intp)


def _normals(count: int, entropy: Entropy) -> npt.NDArray[np.float64]:
    """Box-Muller: both coordinates of uniform directions at Rayleigh distances, in float64."""
    half = (count + 1) // 2
    uniforms = _uniforms(2 * half, entropy)
    radius = np.sqrt(-2.0 * np.log(uniforms[:half]))
    angle = 2.0 * np.pi * uniforms[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def _uniforms(count: int, entropy: Entropy) -> npt.NDArray[np.float64]:
    """Uniform on (0, 1] in steps of 2^-53: never 0, whose logarithm is infinite."""
    words = np.frombuffer(entropy(8 * count), dtype=np.uint64)
    return ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53


def _positive(value: float, name: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BadRequest(f"The {name} is {value}; it must be a positive number.")
