"""loop: three turns of the loop on the demo shop, before and after.

Half of the golden set's answerable questions, drawn by a fixed seed, are ever asked by simulated customers, in three
thirds: one a turn, each by another customer, who rates the answer by the golden facts and, where it lacks one, corrects
it with the gold quote and the facts, with consent. A simulated colleague accepts every correction and approves it as an
answer; every fourth praised answer goes to the exam of the gate instead of the training. Then a turn of the loop trains
an adapter on all lessons so far, under the ledger, and the gate decides.

Measured, before the first turn and after the last, are questions that no customer asked word for word: the asked half in
other words (a rule-based rewording, below), and the half that nobody asked, as it stands. So `answer_facts_gain` is over
all answerable questions; `..._asked` and `..._never_asked` are its parts. What the never-asked half gains is owed to the
adapter alone; what the asked half gains, mostly to the approved answers. `approved_wrongly` counts questions, the
unanswerable ones too, that got an answer approved for another one.
"""

from __future__ import annotations

import contextlib
import random
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant import metrics
from assistant.core import Assistant
from assistant.curated import Draft
from assistant.errors import BadInput
from assistant.evaluate import Judged, judge
from assistant.feedback import Opinion
from assistant.golden import Question, read_golden
from assistant.lessons import ACCEPTED
from assistant.loop import Loop, LoopTurn
from assistant.runs import Plan
from assistant.settings import load_settings
from assistant.trainer import Trainer
from assistant.types import Conversation, Done, Measure, Report
from benchmarks.common import provenance
from benchmarks.shop import SHOP, ingested

TURNS, SEED, EXAM_EVERY = 3, 11, 4
COLLECTION = "shop"
Pair = tuple[float, float]


def run() -> Report:
    """The report of three turns."""
    return simulate(read_golden(SHOP / "golden.jsonl"))


def simulate(questions: Sequence[Question], *, train: bool = True) -> Report:
    """Three turns; without `train` only what people do, for a quick look."""
    settings = load_settings()
    answerable = [question for question in questions if question.answerable]
    rng = random.Random(SEED)
    order = rng.sample(range(len(answerable)), len(answerable))
    asked, never = order[: len(order) // 2], order[len(order) // 2 :]
    exam = [reworded(answerable[n], rng) for n in asked] + [answerable[n] for n in never]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").symlink_to((settings.data_dir / "models").resolve(), target_is_directory=True)
        here = settings.model_copy(
            update={"data_dir": folder, "loop": settings.loop.model_copy(update={"share": 0.0, "least": 1})}
        )
        house = _House(ingested(here, folder, SHOP / "documents", COLLECTION), train)
        before = [house.judged(question) for question in exam]
        turns = []
        for turn in range(TURNS):
            house.customers(turn, [answerable[n] for n in asked[turn::TURNS]])
            turns.append(house.turn())
        after = [house.judged(question) for question in exam]
        wrong = house.wrongly([*exam, *(one for one in questions if not one.answerable)])
        measures = [*_changes(before, after, len(asked)), *house.counts(turns, after, len(asked)), wrong]
        house.assistant.close()
    facts = provenance(settings, seed=SEED, files=(SHOP / "golden.jsonl",), trained=train)
    return Report("loop", tuple(measures), facts)


class _House:
    """The demo shop with its customers and its colleague."""

    def __init__(self, assistant: Assistant, train: bool) -> None:
        self.assistant, self._train = assistant, train
        self.loop = Loop(assistant, Trainer(assistant))
        self.approved: dict[str, str] = {}
        self.rated = {"up": 0, "down": 0}
        self.praised: list[str] = []

    def judged(self, question: Question) -> Judged:
        return self._answered(question, Conversation("", "", question.history))

    def customers(self, turn: int, questions: Sequence[Question]) -> None:
        """Each question is asked by a customer of its own, rated, and corrected where a fact is missing."""
        for number, question in enumerate(questions):
            customer = f"customer-{turn}-{number}"
            talk = f"talk-{turn}-{number}"
            row = self._answered(question, Conversation(talk, customer, question.history))
            right = all(row.facts_found) and not row.claimed
            opinion = Opinion("up", "", True) if right else Opinion("down", correction(question), True)
            self.rated[opinion.rating] += 1
            self.praised += [row.answer.id] if right and row.answer.citations else []
            feedback = self.assistant.feedback
            ticket = feedback.ticket(row.answer.id, talk, visitor=customer, collection=COLLECTION)
            feedback.rate(ticket, opinion, visitor=customer)

    def turn(self) -> LoopTurn | None:
        """The colleague reviews; then the loop turns, where it is to."""
        self.loop.collect(COLLECTION)
        for lesson in self.loop.lessons.waiting(COLLECTION):
            self.loop.lessons.decide(lesson.id, ACCEPTED, by="colleague")
        for answer in self.praised[::EXAM_EVERY]:
            with contextlib.suppress(BadInput):  # no document proves it: it stays a lesson
                self.loop.examine(answer, COLLECTION, by="colleague")
        self.praised = []
        curated = self.assistant.approvals.curated
        for one in curated.suggestions(COLLECTION):
            if not one.answer:
                continue
            made = curated.approve(one.id, Draft((one.question,), one.answer, sure=True), by="colleague")
            self.approved[made.id] = one.question
        if not self._train:
            return None
        plan = Plan("chat", Path(), "loop", preset="small", epochs=1, held_out=0.0)
        self.loop.begin(COLLECTION, by="colleague", plan=plan)
        return self.loop.wait(COLLECTION)

    def wrongly(self, questions: Sequence[Question]) -> Measure:
        """How many questions get an answer that was approved for another one: the facts of the two differ.

        Of follow-ups nothing is matched, and nothing is wrong of a question whose facts are not known.
        """
        wrong, questions = 0, [each for each in questions if not each.history and (each.facts or not each.answerable)]
        for question in questions:
            match = self.assistant.approvals.match(COLLECTION, question.question)
            wrong += match is not None and not all(_says(match.answer.text, one) for one in question.facts)
            wrong += match is not None and not question.answerable
        return Measure("approved_wrongly", float(wrong), n=len(questions))

    def counts(self, turns: Sequence[LoopTurn | None], after: Sequence[Judged], asked: int) -> list[Measure]:
        given = [row.answer.receipt.shape == "approved" for row in after]
        states = [turn.state for turn in turns if turn is not None]
        return [
            Measure("rated_up", float(self.rated["up"])),
            Measure("corrected", float(self.rated["down"])),
            Measure("approved", float(len(self.approved))),
            Measure("approved_given_asked", float(sum(given[:asked])), n=asked),
            Measure("approved_given_never_asked", float(sum(given[asked:])), n=len(given) - asked),
            Measure("turns_live", float(states.count("live")), n=len(states)),
            Measure("turns_refused", float(states.count("refused")), n=len(states)),
            Measure("lessons", float(max((turn.lessons for turn in turns if turn is not None), default=0))),
        ]

    def _answered(self, question: Question, conversation: Conversation) -> Judged:
        for event in self.assistant.ask(conversation, question.question, collection=COLLECTION):
            if isinstance(event, Done):
                return judge(question, event.answer, store=self.assistant.store, tenant=self.assistant.settings.tenant)
        raise AssertionError("every question ends with Done")


def correction(question: Question) -> str:
    """What a customer who knows better writes: the gold quote, and the facts where it does not have them."""
    quote = question.gold[0].quote
    missing = [spellings[0] for spellings in question.facts if not _says(quote, spellings)]
    return f"{quote.rstrip('.。')}: {', '.join(missing)}." if missing else quote


def _says(text: str, spellings: Sequence[str]) -> bool:
    return any(metrics.contains(text, spelling) for spelling in spellings)


_REWORDINGS = tuple(
    (re.compile(pattern, re.IGNORECASE), new)
    for pattern, new in (
        (r"^how much is (.+?)\?", r"what does \1 cost?"),
        (r"^how much (?:does|do) (.+?) cost\?", r"what is the price of \1?"),
        (r"^what does (.+?) cost\?", r"how much is \1?"),
        (r"^can i (.+?)\?", r"is it possible to \1?"),
        (r"^do you (sell|have|offer|accept|ship|deliver) (.+?)\?", r"can you tell me if you \1 \2?"),
        (r"^is there (.+?)\?", r"do you have \1?"),
        (r"^what(?:'s| is) (.+?)\?", r"can you tell me what \1 is?"),
        (r"^how long (.+?)\?", r"how much time \1?"),
        (r"^how do i (.+?)\?", r"what do i have to do to \1?"),
        (r"^how can i (.+?)\?", r"what is the way to \1?"),
        (r"^(?:are|is|does|do|will|may|must|when|where|which|who|why|what) .+", r"\g<0>"),
        (r"(?:能不能|能否|可不可以)", "可以"),
        (r"多少钱", "价格是多少"),
        (r"怎么", "如何"),
        (r"多久", "多长时间"),
        (r"可以(.+?)吗", r"能不能\1"),
    )
)
_FRAMES = {
    "en": ("Hi, {}", "Hello! {} Thanks", "Quick question: {}", "{} please"),
    "zh": ("请问{}", "您好，{}", "你好，请问{}谢谢"),
}


def reworded(question: Question, rng: random.Random) -> Question:
    """The question as another customer would put it: the first rewording that fits, in a polite frame, in lower case."""
    text = question.question.strip()
    for pattern, new in _REWORDINGS:
        changed = pattern.sub(new, text, count=1)
        if changed != text:
            text = changed
            break
    frames = _FRAMES.get(question.language, _FRAMES["en"])
    if rng.random() < 0.5:
        text = text[:1].lower() + text[1:]
    return replace(question, id=f"{question.id}-reworded", question=rng.choice(frames).format(text))


def _changes(before: Sequence[Judged], after: Sequence[Judged], asked: int) -> list[Measure]:
    def facts(rows: Sequence[Judged]) -> list[Pair]:
        return [(sum(row.facts_found), len(row.facts_found)) for row in rows]

    gain = metrics.difference("answer_facts_gain", facts(before), facts(after))
    sides = [
        metrics.ratio(f"answer_facts_{name}", *zip(*facts(rows), strict=True))
        for name, rows in (("before", before), ("after", after))
    ]
    claims = [[(float(bool(row.claimed)), 1.0) for row in rows] for rows in (before, after)]
    exact = [flag for row in after for flag in row.citations_exact]
    return [
        *sides,
        gain,
        Measure("answer_facts_gain_low", gain.low if gain.low is not None else 0.0, n=gain.n),
        metrics.difference("answer_facts_gain_asked", facts(before[:asked]), facts(after[:asked])),
        metrics.difference("answer_facts_gain_never_asked", facts(before[asked:]), facts(after[asked:])),
        metrics.difference("false_claims_gain", *claims),
        metrics.share("citations_exact", exact),
    ]
