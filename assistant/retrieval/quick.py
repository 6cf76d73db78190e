"""Sentence encoders on OpenVINO: the weights that sentence-transformers runs, several times as many texts a second.

For models of the BERT kind whose vector is the mean over the tokens at length one (all-MiniLM-L6-v2 and its relatives);
others, and machines with a GPU or without OpenVINO, stay with sentence-transformers. The graph is written once, from
the safetensors, into the data folder; after that neither torch nor transformers is loaded to embed.

Vectors agree with sentence-transformers' up to the number format (`python -m benchmarks embedding` prints how far), but
are not its bytes: `runtime` says who made them, and an index keeps it.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from assistant.errors import BadInput

Vectors = npt.NDArray[np.float32]
TOKENS = 2048
"""Tokens, padding with them, that are computed together."""
_WIDTH = 16
"""Batches are padded to a multiple of it: each further shape costs the runtime milliseconds."""
_MODULES = ["Transformer", "Pooling", "Normalize"]


def serves(folder: Path) -> bool:
    """Whether OpenVINO is here, no GPU is, and the model in `folder` is of the kind that is served."""
    if _gpu() or importlib.util.find_spec("openvino") is None or not (folder / "tokenizer.json").is_file():
        return False
    try:
        kinds = [str(part["type"]).rpartition(".")[2] for part in _read(folder / "modules.json")]
        pooling = _read(folder / "1_Pooling" / "config.json")
        bert = _read(folder / "config.json").get("model_type") == "bert"
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    modes = [name for name, on in pooling.items() if name.startswith("pooling_mode") and on]
    return bert and kinds == _MODULES and modes == ["pooling_mode_mean_tokens"]


def _gpu() -> bool:
    """Whether torch would compute elsewhere; it is asked, which takes seconds, only where it might."""
    if sys.platform != "darwin" and ctypes.util.find_library("cuda") is None:
        return False
    import torch

    return bool(torch.cuda.is_available() or torch.backends.mps.is_available())


class QuickEncoder:
    """A compiled encoder. Safe to use from several threads: each has its own request.

    Raises:
        BadInput: the model cannot be written for OpenVINO.
    """

    def __init__(self, folder: Path, cache: Path, *, digest: str) -> None:
        """`folder` has the model; its graph is kept in `cache` under `digest`, which stands for the weights."""
        from tokenizers import Tokenizer

        self.runtime = f"openvino {version('openvino')}"
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(int(_read(folder / "sentence_bert_config.json")["max_seq_length"]))
        self._tokenizer.no_padding()
        self._infer = compiled(_written(folder, cache, digest))
        self.dimension = int(_read(folder / "config.json")["hidden_size"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 unit rows in the order of `texts`, computed in batches of like length."""
        ids = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(ids), self.dimension), dtype=np.float32)
        for rows in _batches([len(row) for row in ids]):
            width = -(-len(ids[rows[-1]]) // _WIDTH) * _WIDTH
            padded = np.zeros((len(rows), width), dtype=np.int64)
            seen = np.zeros_like(padded)
            for place, row in enumerate(rows):
                padded[place, : len(ids[row])] = ids[row]
                seen[place, : len(ids[row])] = 1
            vectors[rows] = self._infer([padded, seen])
        return vectors


def compiled(graph: Any, properties: Mapping[str, Any] | None = None) -> Callable[[list[npt.NDArray[Any]]], Vectors]:
    """A graph (or its file), ready to run: its inputs to its first output. Safe to call from several threads."""
    import openvino

    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or (os.cpu_count() or 1)
    wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, **(properties or {})}
    model: Any = openvino.Core().compile_model(graph, "CPU", wanted)
    requests = threading.local()

    def infer(inputs: list[npt.NDArray[Any]]) -> Vectors:
        if not hasattr(requests, "one"):
            requests.one = model.create_infer_request()
        found: Vectors = requests.one.infer(inputs)[0]
        return found

    return infer


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places by length, shortest first, as many at once as TOKENS holds of the longest."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _written(folder: Path, cache: Path, digest: str) -> Path:
    """The graph's file, made where it is missing, whole or not at all."""
    target = cache / f"encoder-{digest}-{version('openvino')}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / ".encoder.lock"):
        if not target.is_dir():
            work = Path(tempfile.mkdtemp(prefix=".encoder.", dir=cache))
            try:
                _convert(folder, work / "model.xml")
                os.replace(work, target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target / "model.xml"


def _convert(folder: Path, file: Path) -> None:
    """Traces the network with its pooling. Raises BadInput."""
    import openvino
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as said

    said.disable_progress_bar()
    net = AutoModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True, trust_remote_code=False,
        use_safetensors=True,
    )  # fmt: skip

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net.eval()

        def forward(self, ids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            states = self.net(input_ids=ids, attention_mask=seen, token_type_ids=torch.zeros_like(ids))[0]
            share = seen.unsqueeze(-1).to(states.dtype)
            return torch.nn.functional.normalize((states * share).sum(1) / share.sum(1).clamp(min=1e-9))

    example = torch.ones(2, 7, dtype=torch.long)
    anything = openvino.PartialShape([-1, -1])
    try:
        with _quiet():
            traced: Any = openvino.convert_model(Pooled(), example_input=(example, example), input=[anything, anything])
            openvino.save_model(traced, file, compress_to_fp16=False)
    except Exception as error:  # the converter raises whatever its stages raise
        raise BadInput(f"The model in {folder} cannot be written for OpenVINO: {error}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of each branch it fixes; that the graph is right is what the tests and the benchmark show."""
    import warnings

    logging.getLogger("nncf").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
