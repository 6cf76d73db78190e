"""An answer in the making, and the answer with its receipt that becomes of it. Decides nothing: that is `core.py`."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field

from assistant import composer, spent, texts
from assistant.adapters import is_built_in
from assistant.composer import Piece
from assistant.goods import Advice
from assistant.hosting import Choice
from assistant.types import Answer, CollectionInfo, Delta, Hit, ModelInfo, Outcome, Passage, Receipt, Usage


@dataclass(slots=True)
class Draft:
    """An answer in the making: what was found, what was said, what is worth a note."""

    question: str
    info: CollectionInfo
    language: str
    choice: Choice
    query: str = ""
    started: float = field(default_factory=time.perf_counter)
    hits: tuple[Hit, ...] = ()
    pieces: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outcome: Outcome = Outcome.ANSWERED
    support: float = 0.0
    sure: bool = True
    reread: bool = False
    shape: str = "none"
    usage: Usage = field(default_factory=Usage)
    failed: str | None = None
    adapter: str | None = None
    privacy: str = ""
    advice: Advice | None = None

    def say(self, key: str, **values: str) -> Delta:
        """One of the product's own texts, with `values` for what it leaves open."""
        return self.add(Piece(self._told(key, **values), ()))

    def goods(self, advice: Advice, key: str) -> Delta:
        """The items of an advice below one of the product's own texts; why there are none, where there are none."""
        self.advice = advice
        if not advice.recommendations:
            return self.add(Piece(advice.text, ()))
        head = self._told(key)
        return self.add(Piece("\n".join([head, *advice.text.split("\n")[1:]]), ()))

    def _told(self, key: str, **values: str) -> str:
        company = self.info.company.name(self.language) or texts.say("this_company", self.language)
        return texts.say(key, self.language, company=company, **values)

    def add(self, piece: Piece) -> Delta:
        """Adds a piece, a paragraph of its own unless it says how it joins; returns what the reader sees of it."""
        if self.pieces and not piece.lead[:1].isspace():
            piece = dataclasses.replace(piece, lead="\n\n" + piece.lead)
        self.pieces.append(piece)
        return Delta(piece.lead + piece.text)

    def evidence(self) -> list[Passage]:
        """What the model reads: the passages quoted, which it only connects; where none is quoted, all found.

        An adapter was trained to find the answer, so it reads all, as they were found; the built-in one only where it
        has read them for its verdict.
        """
        passages = [span.passage for piece in self.pieces for span in piece.spans]
        reads_all = self.reread if is_built_in(self.adapter) else self.adapter is not None
        if reads_all or not passages:
            passages = [hit.passage for hit in self.hits]
        return list({passage.id: passage for passage in passages}.values())

    def answer(self, answer_id: str, *, engine: str, model: ModelInfo, index_manifest: str) -> Answer:
        """The answer as it stands now."""
        text, cited = composer.render(self.pieces)
        receipt = Receipt(
            engine=engine,
            model=model.name,
            model_sha256=model.sha256,
            adapter=self.adapter,
            index_manifest=index_manifest,
            embedder=self.info.embedder,
            shape=self.shape,
            query=self.query,
            language=self.language,
            support=round(self.support, 4),
            threshold=self.info.threshold,
            usage=self.usage,
            seconds=round(time.perf_counter() - self.started, 3),
            notes=tuple(self.notes),
            failed_component=self.failed,
            privacy=self.privacy or spent.in_words(None, None, self.language),
            sure=self.sure,
        )
        return Answer(answer_id, self.outcome, text, cited, self.hits, receipt, self.advice)
