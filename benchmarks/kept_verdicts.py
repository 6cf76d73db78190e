"""The verdicts of the judge and of the chat model on calibration questions, kept on disk: they take minutes to compute.

They lie in benchmarks/results/calibrate, each under a sum over the weights and the text that it is of.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant import adapters, language, registry, verdict
from assistant.errors import ModelNotReady
from assistant.retrieval import e5, reader
from assistant.retrieval.judge import load_judge
from assistant.retrieval.reader import Array
from assistant.settings import load_settings
from assistant.types import GenerateOptions, Hit, Message
from benchmarks.common import ROOT

KEPT = ROOT / "benchmarks" / "results" / "calibrate"
WEIGHTS = Path(reader.__file__).with_name("judge.safetensors")


class Kept:
    """Numbers that are dear to compute, on disk by what they were computed of."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, float] = {}
        if file.exists():
            rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
            self._known = {row["key"]: row["value"] for row in rows}

    def get(self, *said: Any) -> float | None:
        """The number of these, None where it is not known."""
        return self._known.get(_digest(said))

    def add(self, value: float, *said: Any) -> None:
        """Keeps a number."""
        key = _digest(said)
        self._known[key] = value
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "value": value}) + "\n")


class Judged:
    """The judge; its verdicts are kept on disk."""

    def __init__(self, kept: Path) -> None:
        self._kept = Kept(kept)
        self._sha256 = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

    def scores(self, question: str, sentences: Sequence[tuple[str, str]]) -> Array:
        """As `Judge.scores`."""
        said = [(self._sha256, question, key, text) for key, text in sentences]
        new = [number for number, each in enumerate(said) if self._kept.get(*each) is None]
        if new:
            judge = load_judge()
            if judge is None:
                raise ModelNotReady(
                    f"The judge needs the package {e5.PACKAGE}.", hint="`python app.py doctor` says how."
                )
            verdicts = judge.scores(question, [sentences[number] for number in new])
            for number, logit in zip(new, verdicts, strict=True):
                self._kept.add(float(logit), *said[number])
        return np.array([self._kept.get(*each) for each in said], dtype=np.float32)


class Verdicts:
    """The chat model with the built-in adapter; how likely an answer begins with a word is kept on disk."""

    def __init__(self, engine: Any, adapter: str, adapter_sha256: str, kept: Path) -> None:
        self._engine, self._adapter, self._sha256, self._kept = engine, adapter, adapter_sha256, Kept(kept)
        self.name, self.model = engine.name, engine.model
        self.count_tokens = engine.count_tokens
        self._asked = self._new = 0

    def unanswered(self, turns: Sequence[Message], hits: Sequence[Hit], company: str) -> float | None:
        """The log-odds that the passages do not answer the last turn, as the product asks for them; None where it does not."""
        asked = verdict.Asked(turns, [hit.passage for hit in hits], company, language.detect(turns[-1].text))
        if not verdict.knows_languages(self.model, asked):
            return None
        self._asked += 1
        return verdict.unanswered(self, asked, adapter=self._adapter)  # type: ignore[arg-type]

    def begins(self, messages: Sequence[Message], word: str, options: GenerateOptions) -> float:
        """The engine's answer, or the one kept."""
        said = (self._sha256, self.model.sha256, word, *((each.role, each.text) for each in messages))
        nats = self._kept.get(*said)
        if nats is None:
            self._new += 1
            nats = float(self._engine.begins(messages, word, options))
            self._kept.add(nats, *said)
        return nats

    def progress(self) -> str:
        """How many questions were asked so far, and how many of them only now."""
        return f"; the chat model read {self._asked} so far, {self._new} of them now"


@contextlib.contextmanager
def chat_model() -> Iterator[Verdicts]:
    """The default model with the adapter that Confide brings."""
    engine = registry.resolve("engines", "openvino")(load_settings())
    try:
        card = adapters.read_card(adapters.SHIPPED)
        engine.add_adapter(card.id, adapters.SHIPPED)
        weights = hashlib.sha256((adapters.SHIPPED / adapters.WEIGHTS).read_bytes()).hexdigest()
        yield Verdicts(engine, card.id, weights, KEPT / "begins.jsonl")
    finally:
        engine.close()


def _digest(said: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
