"""The walk evaluate: a golden file -> the same `Assistant.ask` as everybody's -> a `Report`.

It judges the assistant in force, whatever its model, documents and settings are. Every measure is
computed from the answer and the store by plain rules; no model judges. What the measures mean is in
`docs/benchmarks.md`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import metrics, several, texts
from assistant.core import Assistant
from assistant.errors import BadInput, ConfideError
from assistant.golden import Gold, Question, read_golden
from assistant.provenance import provenance
from assistant.store import Store
from assistant.types import Answer, Citation, Conversation, Done, Hit, Measure, Outcome, Report

CUT = 5
REFUSALS = (Outcome.NOT_IN_KNOWLEDGE_BASE, Outcome.NEEDS_HUMAN)
FROM_ROWS = ("advice_", "because_", "condition_")
"""Texts of the product that are filled from rows of the catalogue: what is filled in has to have a source."""
NEVER_SAID = ("spent", "unit_", "approved_answer", "gate_", "busy")
"""Texts of the product that stand below an answer, name a document or refuse a request: never in an answer."""
LOWER_IS_BETTER = ("false_refusals", "answerable_warned", "false_claims", "unsupported_facts", "component_failures")
NEITHER_IS_BETTER = ("unanswerable_warned",)
"""Fewer warnings are better where the rest is refused, and worse where it is answered."""
_EXACT = ("citations_exact", "unsupported_facts")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, its answer and what was found wrong or right with it."""

    question: Question
    answer: Answer
    gold_found: bool
    facts_found: tuple[bool, ...]
    citations_exact: tuple[bool, ...]
    claimed: tuple[str, ...]
    unsupported: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """A line of the details file, made to be read by people."""
        question, answer = self.question, self.answer
        missing = [facts for facts, found in zip(question.facts, self.facts_found, strict=True) if not found]
        return {
            "id": question.id,
            "language": question.language,
            "kinds": list(question.kinds),
            "question": question.question,
            "answerable": question.answerable,
            "outcome": answer.outcome.value,
            "text": answer.text,
            "gold_found": self.gold_found,
            "gold": [dataclasses.asdict(gold) for gold in question.gold],
            "missing_facts": [list(facts) for facts in missing],
            "false_claims": list(self.claimed),
            "unsupported_facts": list(self.unsupported),
            "inexact_citations": self.citations_exact.count(False),
            "citations": [dataclasses.asdict(citation) for citation in answer.citations],
            "found": [[hit.passage.document, hit.passage.text] for hit in answer.hits[:CUT]],
            "support": answer.receipt.support,
            "threshold": answer.receipt.threshold,
            "notes": list(answer.receipt.notes),
            "seconds": answer.receipt.seconds,
        }


def evaluate(
    golden: Path,
    assistant: Assistant,
    *,
    collection: str | None = None,
    adapter: str | None = None,
    progress: Progress | None = None,
    details: Path | None = None,
    suite: str = "",
) -> Report:
    """The report on all questions of a golden file; `details` gets a line a question as it is answered.

    `adapter` computes the answers ("none" = the bare model) instead of the collection's live one.

    Raises:
        BadInput: the golden file has faults, each listed; nothing was asked.
        UnknownName: there is no such collection or adapter.
    """
    rows = judge_all(golden, assistant, collection=collection, adapter=adapter, progress=progress, details=details)
    return report_on(rows, golden, assistant, suite=suite)


def judge_all(
    golden: Path,
    assistant: Assistant,
    *,
    collection: str | None = None,
    adapter: str | None = None,
    progress: Progress | None = None,
    details: Path | None = None,
) -> list[Judged]:
    """Every question of a golden file with its answer, judged. As `evaluate`, which sums it up."""
    questions = read_golden(golden)
    name = collection or assistant.settings.collection
    assistant.warm(name)  # the first question's seconds are not those of loading
    judged: list[Judged] = []
    with details.open("w", encoding="utf-8") if details else contextlib.nullcontext() as lines:
        for number, question in enumerate(questions):
            if progress:
                progress(question.id, number, len(questions))
            answer = _answer(assistant, question, name, adapter)
            judged.append(judge(question, answer, store=assistant.store, tenant=assistant.settings.tenant))
            if lines:
                lines.write(json.dumps(judged[-1].to_dict(), ensure_ascii=False) + "\n")
                lines.flush()
    return judged


def report_on(judged: Sequence[Judged], golden: Path, assistant: Assistant, *, suite: str = "") -> Report:
    """The measures over all answers, and where they come from."""
    receipt = judged[-1].answer.receipt
    facts = {
        "engine": receipt.engine,
        "model": receipt.model,
        "model_sha256": receipt.model_sha256,
        "adapter": next((row.answer.receipt.adapter for row in judged if row.answer.receipt.adapter), None),
        "index_manifest": receipt.index_manifest,
        "embedder": receipt.embedder,
        "threshold": receipt.threshold,
    }
    origin = provenance(assistant.settings, seed=metrics.SEED, files=(golden,), **facts)
    return Report(suite=suite or golden.stem, measures=tuple(measures(judged)), provenance=origin)


def _answer(assistant: Assistant, question: Question, collection: str, adapter: str | None) -> Answer:
    conversation = Conversation(id=uuid.uuid4().hex, messages=question.history)
    for event in assistant.ask(conversation, question.question, collection=collection, adapter=adapter):
        if isinstance(event, Done):
            return event.answer
    raise ConfideError(f"Question {question.id} got no answer.", hint="`python app.py doctor` looks for the cause.")


# One answer


def judge(question: Question, answer: Answer, *, store: Store, tenant: str) -> Judged:
    """What holds of one answer. Quotes are read back from the store, not taken from the answer."""
    return Judged(
        question=question,
        answer=answer,
        gold_found=any(_is_found(gold, answer.hits[:CUT], store) for gold in question.gold),
        facts_found=tuple(any(metrics.contains(answer.text, fact) for fact in facts) for facts in question.facts),
        citations_exact=tuple(_is_exact(citation, tenant, store) for citation in answer.citations),
        claimed=tuple(claim for claim in question.false_claims if re.search(claim, " ".join(answer.text.split()))),
        unsupported=tuple(_unsupported(question, answer, tenant, store)),
    )


def _is_found(gold: Gold, hits: Sequence[Hit], store: Store) -> bool:
    """Among the hits is a passage of that document that holds the quote, or half of it where a cut runs through."""
    wanted = metrics.normal(gold.quote)
    for hit in hits:
        if hit.passage.document != gold.document:
            continue
        if wanted in metrics.normal(hit.passage.text):
            return True
        document = store.document(hit.passage.document_id)
        place = _locate(gold.quote, document.text) if document else None
        if place and 2 * (min(place[1], hit.passage.end) - max(place[0], hit.passage.start)) >= place[1] - place[0]:
            return True
    return False


def misplaced(golden: Path, store: Store, *, tenant: str, collection: str) -> list[str]:
    """What of a golden file's `gold` the collection does not have, in words: such a place can never be found."""
    texts_of = {document.name: document.text for document in store.each_document(tenant, collection)}
    told = []
    for question in read_golden(golden):
        for gold in question.gold:
            if gold.document not in texts_of:
                told.append(f"{question.id}: there is no document {gold.document!r}")
            elif not _locate(gold.quote, texts_of[gold.document]):
                told.append(f"{question.id}: {gold.document} has no {gold.quote!r}")
    return told


def _locate(quote: str, text: str) -> tuple[int, int] | None:
    found = re.search(r"\s+".join(re.escape(word) for word in quote.split()), text, re.IGNORECASE)
    return found.span() if found else None


def _is_exact(citation: Citation, tenant: str, store: Store) -> bool:
    """The quote is that span of the stored passage, and the passage that span of its stored document."""
    passage = store.passage(tenant, citation.passage_id)
    document = store.document(passage.document_id) if passage else None
    return (
        passage is not None
        and document is not None
        and bool(citation.quote)
        and passage.text[citation.start : citation.end] == citation.quote
        and document.text[passage.start : passage.end] == passage.text
        and document.name == citation.document
    )


def _unsupported(question: Question, answer: Answer, tenant: str, store: Store) -> list[str]:
    """Numbers, prices, dates, links and addresses no cited passage has; fixed texts and repeated questions apart."""
    known: frozenset[str] = frozenset()
    for citation in answer.citations:
        passage = store.passage(tenant, citation.passage_id)
        known |= metrics.claims(passage.text) if passage else frozenset()
    if answer.advice is not None:
        known |= metrics.claims(json.dumps(answer.to_dict()["advice"], ensure_ascii=False))
    said = answer.text
    for part in several.questions(question.question):
        said = said.replace(several.repeated(part), " ")
    return sorted(metrics.claims(_without_fixed(said)) - known)


def _without_fixed(text: str) -> str:
    """The text without the product's own sentences, into which a company's name is set."""
    for key, spellings in texts.table().items():
        if key.startswith((*FROM_ROWS, *NEVER_SAID)):
            continue
        for template in spellings.values():
            text = re.sub(".{0,80}?".join(re.escape(part) for part in re.split(r"\{\w+\}", template)), " ", text)
    return text


# All answers


def measures(judged: Sequence[Judged]) -> Iterable[Measure]:
    """The fixed measures, then recall and facts by language and by kind. What nothing was asked for is left out."""
    return [each for each in _measures(judged) if each.n or each.name == "citations_exact"]


def _measures(judged: Sequence[Judged]) -> Iterable[Measure]:
    answerable = [row for row in judged if row.question.answerable]
    unanswerable = [row for row in judged if not row.question.answerable]
    exact = [flag for row in judged for flag in row.citations_exact]
    yield _recall(f"recall@{CUT}", answerable)
    yield metrics.share("citations_exact", exact) if exact else Measure("citations_exact", 1.0)
    yield metrics.share("refusal_recall", [row.answer.outcome in REFUSALS for row in unanswerable])
    yield metrics.share("false_refusals", [row.answer.outcome in REFUSALS for row in answerable])
    yield metrics.share("unanswerable_warned", [_warned(row) for row in unanswerable])
    yield metrics.share("answerable_warned", [_warned(row) for row in answerable])
    yield _facts("answer_facts", answerable)
    yield metrics.share("false_claims", [bool(row.claimed) for row in judged])
    yield Measure("unsupported_facts", float(sum(len(row.unsupported) for row in judged)), n=len(judged))
    failed = [row.answer.outcome is Outcome.COMPONENT_FAILED for row in judged]
    yield metrics.share("component_failures", failed)
    for group, rows in _groups(answerable).items():
        yield _recall(f"recall@{CUT}[{group}]", rows)
        yield _facts(f"answer_facts[{group}]", rows)
    seconds = [row.answer.receipt.seconds for row in judged]
    yield metrics.quantile("seconds_p50", seconds, 0.5)
    yield metrics.quantile("seconds_p95", seconds, 0.95)


def _recall(name: str, rows: Sequence[Judged]) -> Measure:
    return metrics.share(name, [row.gold_found for row in rows])


def _facts(name: str, rows: Sequence[Judged]) -> Measure:
    found = metrics.ratio(name, [sum(row.facts_found) for row in rows], [len(row.facts_found) for row in rows])
    if 0 < found.value < 1:
        return found
    # A bootstrap of questions that are all alike has no width; Wilson's interval has.
    like = metrics.share(name, [found.value == 1] * found.n)
    return dataclasses.replace(found, low=like.low, high=like.high)


def _warned(row: Judged) -> bool:
    """An answer that says that it may not be one."""
    return row.answer.outcome is Outcome.ANSWERED and not row.answer.receipt.sure


def _groups(rows: Sequence[Judged]) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for row in rows:
        for group in dict.fromkeys((row.question.language, *row.question.kinds)):
            if group:
                groups.setdefault(group, []).append(row)
    return dict(sorted(groups.items()))


# Against an earlier report


def compare(report: Report, earlier: Report) -> list[str]:
    """What got worse, in words; [] where nothing did.

    A value is worse when it leaves the earlier one's 95 % interval on the bad side; exactness
    has no tolerance. Measures by group and seconds are shown, not compared: too few, or another machine.
    """
    regressions: list[str] = []
    values = {measure.name: measure for measure in report.measures}
    for before in earlier.measures:
        if "[" in before.name or before.name.startswith("seconds") or before.name in NEITHER_IS_BETTER:
            continue
        if not before.n and before.name not in _EXACT:  # reports of before told what was not asked as 0
            continue
        now = values.get(before.name)
        if now is None:
            regressions.append(f"{before.name} is no longer measured (it was {before.value:.3f})")
            continue
        lower_is_better = before.name in LOWER_IS_BETTER
        bound = before.high if lower_is_better else before.low
        bound = before.value if bound is None or before.name in _EXACT else bound
        if (now.value > bound) if lower_is_better else (now.value < bound):
            regressions.append(f"{before.name} was {before.value:.3f}, is {now.value:.3f}")
    return regressions


def golden_of(report: Report) -> str:
    """The SHA-256 of the golden file that a report is of; "" where it does not say."""
    return next(iter(report.provenance.get("files", {}).values()), "")


def read_report(path: Path) -> Report:
    """A report that `--save` or `--json` wrote.

    Raises:
        BadInput: it is not one.
    """
    try:
        return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} is not a report: {error}.", hint="Make one with --save REPORT.json.") from error
