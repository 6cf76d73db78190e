"""The reader: which sentences of the found passages answer the question, and how well.

Every sentence is scored by a few readable features (similarity to the question by the
collection's embedder, alone and under its heading; the share of the question's words it has,
weighted by how rare they are). Two logistic models over them, fitted on the calibration companies
(`python -m benchmarks calibrate`), give the sentence's probability of answering and the support of the
whole: the probability that the passages answer at all. Support under the collection's threshold is
a refusal. Where the question is in a language of the learned judge (`judge.py`), the judge reads the best sentences beside the
question, and its verdicts join the features of both; where that leaves support in doubt, so does the verdict of the chat
model (`doubts`, `reread`). The coefficients are data (`calibration.json`); nothing here is tuned on the exam.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant import language
from assistant.citations import Span
from assistant.facts import amounts, facts
from assistant.retrieval.calibration import calibration
from assistant.retrieval.embedders import Embedder
from assistant.retrieval.judge import LANGUAGES, load_judge
from assistant.retrieval.lookup import asked_for, field_match
from assistant.types import Hit, Passage

Array = npt.NDArray[np.float32]

CACHE_SIZE = 20_000
"""Vectors of sentences kept in memory: 40 MB at 512 dimensions."""

UNIT_FEATURES = ("cos", "cos_key", "cos_both", "words", "words_both", "facts", "rank", "length", "type")
SUPPORT_FEATURES = (
    "best", "margin", "cos", "cos_key", "cos_both", "words", "words_both", "words_all", "rare", "unknown", "facts",
    "length", "type", "record", "record_words", "zh", "zh_words",
)  # fmt: skip
JUDGE_FEATURES = ("judge", "judge_mean", "judge_best")
"""What support has beside SUPPORT_FEATURES where the judge has read: the highest verdict, the mean of the three highest,
that of the best unit. A unit has its own verdict beside UNIT_FEATURES."""
JUDGED_UNITS = 12
"""The judge reads so many units, a quarter of a second on two cores: all 19 tell as much (docs/answers-with-proof.md)."""
READ_FEATURES = ("unanswered",)
"""What "read" has beside these: the chat model's own verdict (`assistant/verdict.py`)."""
READ_FROM, READ_TO = 0.1, 0.9
"""Between these supports that verdict is asked for; beyond them it changed next to nothing (docs/answers-with-proof.md)."""
LOOKED_UP = 0.99
"""The least support of a field that is looked up: of 1,276 such questions about 108 calibration companies 1,260 were right."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or a field of a passage, with what stands above it: a heading, a FAQ's question, a product's name."""

    span: Span
    key: str
    rank: int
    record: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """Units best first with their probabilities, and the probability that they answer the question.

    `features` are what a further verdict joins, None where none may. `looked_up`: the first units are the fields of a
    record that the question asks for by their names, and it asks for nothing else (`lookup.py`).
    """

    units: tuple[Unit, ...]
    scores: tuple[float, ...]
    support: float
    features: Array | None = None
    looked_up: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question's parts, computed once."""

    text: str
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    vector: Array


class Reader:
    """Reads for one collection: its embedder, how rare its words are, and which vectors its index has."""

    def __init__(
        self,
        embedder: Embedder,
        idf: Callable[[str], float],
        known: Callable[[Sequence[str]], Mapping[str, Array]] = lambda texts: {},
    ) -> None:
        self._embedder = embedder
        self._idf = idf
        self._known = known
        self._model = calibration(embedder.name)
        self._vectors: dict[str, Array] = {}

    def read(self, question: str, hits: Sequence[Hit]) -> Reading:
        """The units of the hits, best first, and the support of the best."""
        if language.is_han(question) and not language.is_traditional("".join(hit.passage.text for hit in hits)):
            question = language.simplified(question)  # the models tell the scripts apart
        asked = self.analyse(question)
        units = self.units(asked, hits)
        if not units:
            return Reading((), (), 0.0)
        rows = self.unit_features(asked, units)
        scores, model = unit_scores(rows, units, self._model["plain"]), self._model["plain"]
        judge = load_judge() if "judged" in self._model and judgeable(question) else None
        if judge is None:
            features = self.support_features(asked, units, rows, scores)
        else:
            model, best = self._model["judged"], judged_first(scores)
            verdicts = judge.scores(question, [(units[place].key, units[place].span.text) for place in best])
            scores = judged_scores(rows, units, scores, best, verdicts, model)
            features = self.support_features(asked, units, rows, scores)
            features = np.concatenate([features, judge_features(verdicts, scores[best])])
        support = float(logistic(features[None, :], model["support"])[0])
        looked = looked_up(question, units)
        if looked.any():
            own = {unit.span.passage.id for unit, found in zip(units, looked, strict=True) if found}
            others = np.array([unit.record and unit.span.passage.id not in own for unit in units])
            scores = np.where(looked, LOOKED_UP, np.where(others, 0.0, scores))
            support = max(support, LOOKED_UP)
        order = np.lexsort((~looked, -scores))
        return Reading(
            tuple(units[place] for place in order),
            tuple(float(scores[place]) for place in order),
            support,
            None if judge is None or looked.any() else features,
            bool(looked.any()),
        )

    def doubts(self, reading: Reading) -> bool:
        """Whether the chat model's verdict is wanted: the support is neither high nor low, and the verdict has a weight."""
        return (
            reading.features is not None and "read" in self._model["judged"] and READ_FROM < reading.support < READ_TO
        )

    def reread(self, reading: Reading, unanswered: float) -> Reading:
        """The reading with the support that it has by the chat model's verdict, too. Only where it `doubts`."""
        known = np.zeros(0, np.float32) if reading.features is None else reading.features
        features = np.append(known, np.float32(unanswered)).astype(np.float32)
        return replace(reading, support=float(logistic(features[None, :], self._model["judged"]["read"])[0]))

    def analyse(self, question: str) -> Question:
        """The question's distinct content words, their weights and its vector."""
        terms = tuple(dict.fromkeys(language.content_words(question)))
        return Question(question, terms, tuple(self._idf(term) for term in terms), self._encode(question))

    def units(self, asked: Question, hits: Sequence[Hit]) -> list[Unit]:
        """What may answer: every sentence and field of the hits but those of records of other things."""
        unknown = any(self._is_unknown(term) for term in asked.terms if _is_word(term))
        others = _of_other_things([hit.passage for hit in hits], asked, unknown=unknown)
        units = [unit for rank, hit in enumerate(hits) for unit in split_units(hit.passage, rank)]
        return [unit for unit in units if not (unit.record and unit.span.passage.id in others)]

    def unit_features(self, asked: Question, units: Sequence[Unit]) -> Array:
        """(n, len(UNIT_FEATURES)) float32, in the order of UNIT_FEATURES."""
        texts = [unit.span.text for unit in units]
        both = [f"{unit.key} {text}".strip() for unit, text in zip(units, texts, strict=True)]
        self._warm([*texts, *(unit.key for unit in units), *both])
        wanted = facts(asked.text)
        rows = []
        for unit, text, joined in zip(units, texts, both, strict=True):
            known = frozenset(language.content_words(joined))
            rows.append(
                (
                    float(self._encode(text) @ asked.vector),
                    float(self._encode(unit.key) @ asked.vector) if unit.key else 0.0,
                    float(self._encode(joined) @ asked.vector),
                    _covered(asked, frozenset(language.content_words(text))),
                    _covered(asked, known),
                    len(wanted & facts(joined)) / len(wanted) if wanted else 1.0,
                    1.0 / (1 + unit.rank),
                    min(len(text), 300) / 300,
                    field_match(asked.text, text) if unit.record else _type_match(asked.text, text),
                )
            )
        return np.asarray(rows, dtype=np.float32)

    def support_features(self, asked: Question, units: Sequence[Unit], rows: Array, scores: Array) -> Array:
        """(len(SUPPORT_FEATURES),) float32 of the best unit and of all units together."""
        best = int(np.argmax(scores))
        others = [
            score
            for unit, score in zip(units, scores, strict=True)
            if unit.span.passage.id != units[best].span.passage.id
        ]
        passage = units[best].span.passage
        said = frozenset(language.content_words(" ".join((*passage.headings, passage.text))))
        everything = frozenset(
            itertools.chain.from_iterable(language.content_words(unit.key + " " + unit.span.text) for unit in units)
        )
        column = dict(zip(UNIT_FEATURES, rows[best], strict=True))
        record, chinese = units[best].record, language.detect(asked.text) in {"zh", "ja"}
        rarest = max(asked.weights, default=0.0)
        rare = [term in said for term, weight in zip(asked.terms, asked.weights, strict=True) if weight >= 0.8 * rarest]
        # that documents in another language lack a word tells nothing
        told = asked.terms if language.is_han(asked.text) == language.is_han(passage.text) else ()
        return np.asarray(
            (
                float(np.log(scores[best] / (1 - scores[best] + 1e-6) + 1e-6)),
                float(scores[best] - max(others, default=0.0)),
                float(rows[:, 0].max()),
                float(rows[:, 1].max()),
                column["cos_both"],
                column["words"],
                _covered(asked, said),
                _covered(asked, everything),
                float(np.mean(rare)) if rare else 0.0,
                float(np.mean([self._is_unknown(term) for term in told])) if told else 0.0,
                column["facts"],
                min(len(asked.terms), 12) / 12,
                column["type"],
                float(record),
                record * column["words_both"],
                float(chinese),
                chinese * column["words_both"],
            ),
            dtype=np.float32,
        )

    def _is_unknown(self, term: str) -> bool:
        """Whether no passage of the collection has the word."""
        return self._idf(term) > 0.97 * self._idf("\x00")

    def _encode(self, text: str) -> Array:
        self._warm([text])
        return self._vectors[text]

    def _warm(self, texts: Sequence[str]) -> None:
        """Embeds what neither cache nor index has in one batch: a batch costs a fraction of single calls."""
        if len(self._vectors) > CACHE_SIZE:
            self._vectors = {}
        missing = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        if missing:
            self._vectors.update(self._known(missing))
            missing = [text for text in missing if text not in self._vectors]
        if missing:
            for text, vector in zip(missing, self._embedder.encode(missing), strict=True):
                self._vectors[text] = vector


def looked_up(question: str, units: Sequence[Unit]) -> npt.NDArray[np.bool_]:
    """(n,) whether each unit is a field that the question asks for by its name, and the record's; see `lookup.py`."""
    records = {unit.span.passage.id: unit.span.passage for unit in units if unit.record}
    fields = asked_for(question, list(records.values()))
    return np.array([(unit.span.passage.id, unit.span.start) in fields for unit in units], dtype=bool)


def split_units(passage: Passage, rank: int) -> list[Unit]:
    """The passage's sentences under their key. A FAQ's question, its category and a heading are no answers."""
    path = " ".join(passage.headings[-2:])
    first_line = passage.text.split("\n", 1)[0]
    faq = first_line.rstrip().endswith(("?", "？"))
    filed = faq or passage.document.lower().endswith(_TABLES)
    cuts = _unfiled(passage.text) if filed else language.sentences(passage.text)
    records = [Span(passage, start, end) for start, end in language.fields(passage.text)]
    if records:
        return [Unit(span, records[0].text if span.start else path, rank, record=True) for span in records]
    if faq and len(cuts) > 1:
        rest = [(start, end) for start, end in cuts if start > len(first_line)]
        return [Unit(Span(passage, start, end), first_line, rank) for start, end in rest]
    headings = {heading.strip().casefold() for heading in passage.headings}
    spans = [Span(passage, start, end) for start, end in cuts]
    body = [span for span in spans if headings.isdisjoint({_title(span.text), _title(_line(span))})] or spans
    return [Unit(span, path, rank) for span in body]


_TABLES = (".csv", ".tsv", ".xlsx")
_FILED = re.compile(r"^(?:category|categories|tags?|keywords?|分类|类别|标签|关键词|关键字)[:：].*$|\Z", re.I | re.M)


def _unfiled(text: str) -> list[tuple[int, int]]:
    """The sentences of a FAQ without the lines that say where it is filed: these are found by, not quoted."""
    spans: list[tuple[int, int]] = []
    at = 0
    for filed in _FILED.finditer(text):
        spans += [(at + start, at + end) for start, end in language.sentences(text[at : filed.start()])]
        at = filed.end()
    return spans


def _title(text: str) -> str:
    """A text as a heading is compared, without the marks of Markdown."""
    return text.strip("# ").casefold()


def _line(span: Span) -> str:
    """The whole line that a sentence stands in, else itself: "3. Making a claim" is cut behind its number."""
    text = span.passage.text
    start, end = text.rfind("\n", 0, span.start) + 1, text.find("\n", span.start)
    line = text[start:] if end < 0 else text[start:end]
    return line if span.end <= start + len(line) else span.text


def _of_other_things(passages: Sequence[Passage], asked: Question, *, unknown: bool) -> set[str]:
    """Ids of the records that are not of the thing that a question names.

    Where it names one whole ("Kestrel 2"), that is another which has this name and more ("Kestrel 2 Footprint"). Where
    it names one whole, or has a word that no passage knows, so is every record of whose name it has no word (of none of
    its values, where no field is called a name: the first may be a number).
    """
    said = frozenset(asked.terms)
    named = {passage.id: _names(passage) for passage in passages}
    names = {passage_id: found for passage_id, (found, _) in named.items() if found}
    called = {name for found in names.values() for name in found if name <= said and not all(map(str.isdecimal, name))}
    others = set()
    for passage_id, found in names.items():
        words = set(filter(_is_word, named[passage_id][1]))
        longer = any(one < name and said.isdisjoint(name - one) for name in found for one in called)
        nothing = bool(words) and said.isdisjoint(words) and bool(unknown or called)
        if (longer or nothing) and called.isdisjoint(found):
            others.add(passage_id)
    return others | _of_other_ranges(passages, asked.text)


_AMOUNT = r"(?:[€$£¥]\s?)?(\d+(?:\.\d+)?)\s*"
_RANGE = re.compile(
    rf"(?P<most>up to|under|below|less than|max\.?|≤|<)?(?P<least>over|above|more than|from|≥|>)?\s*{_AMOUNT}(?:[a-z]*\s*(?:-|–|—|~|to|至|到)\s*{_AMOUNT})?"
    r"(?P<unit>[a-z]{1,8}|[\u4e00-\u9fff]{1,2}?)\s*(?P<below>及?以[下内])?(?P<above>及?以上|\+|and (?:more|over))?",
    re.IGNORECASE,
)


def _of_other_ranges(passages: Sequence[Passage], question: str) -> set[str]:
    """Ids of the records of a range ("Weight: 10 - 25 kg") that the question's one number of its unit is outside of.

    Only where another record's range under the same label holds it.
    """
    asked = {
        unit: float(found[0]) for unit, found in amounts(question).items() if len(found) == 1 and _is_number(found[0])
    }
    holds: dict[str, dict[str, bool]] = {}
    for passage in passages:
        for start, end in language.fields(passage.text):
            label, _, value = passage.text[start:end].replace("：", ":").partition(":")
            found = _RANGE.fullmatch(value.strip())
            unit = next(iter(amounts(f"1 {found['unit']}")), "") if found else ""
            if found and unit in asked and (ends := _ends(found)):
                holds.setdefault(f"{label}\n{unit}", {})[passage.id] = ends[0] <= asked[unit] <= ends[1]
    return {
        one
        for of_label in holds.values()
        if any(of_label.values())
        for one, holds_it in of_label.items()
        if not holds_it
    }


def _ends(found: re.Match[str]) -> tuple[float, float] | None:
    """The least and the most of a range, both in it; None for a single amount."""
    first, last = float(found[3]), found[4]
    if last is not None:
        return first, float(last)
    if found["most"] or found["below"]:
        return -np.inf, first
    return (first, np.inf) if found["least"] or found["above"] else None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _names(passage: Passage) -> tuple[list[frozenset[str]], frozenset[str]]:
    """The words of a record's name, in each language that it has one in, and those it is known by; none for prose."""
    lines = [passage.text[start:end] for start, end in language.fields(passage.text)]
    values = [frozenset(language.content_words(re.split("[:：]", line, maxsplit=1)[-1])) for line in lines]
    called = [value for line, value in zip(lines, values, strict=True) if line.startswith("name")]
    return called or values[:1], frozenset().union(*(called or values))


def _is_word(term: str) -> bool:
    """Whether it is a word of letters with spaces around it: pairs of Chinese characters may be cut across words."""
    return term.isascii() and not term.isdecimal()


def judgeable(question: str) -> bool:
    """Whether the judge knows the language of the question."""
    return language.detect(question) in LANGUAGES


def judged_first(scores: Array) -> npt.NDArray[np.int64]:
    """The places of the units that the judge reads, best first by their scores without it."""
    order: npt.NDArray[np.int64] = np.argsort(-scores, kind="stable")
    return order[:JUDGED_UNITS]


def judged_scores(
    rows: Array,
    units: Sequence[Unit],
    scores: Array,
    best: npt.NDArray[np.int64],
    verdicts: Array,
    model: dict[str, Any],
) -> Array:
    """(n,) scores with the verdicts of the units `best` as a feature; what was not judged stands behind these."""
    judged = unit_scores(np.column_stack([rows[best], verdicts]), [units[place] for place in best], model)
    together: Array = np.minimum(scores, np.nextafter(judged.min(), np.float32(0)))
    together[best] = judged
    return together


def judge_features(verdicts: Array, scores: Array) -> Array:
    """(len(JUDGE_FEATURES),) float32 of the judge's logits of units and of their scores; there is at least one."""
    highest = np.sort(verdicts)[-3:]
    return np.asarray((highest[-1], highest.mean(), verdicts[np.argmax(scores)]), dtype=np.float32)


def unit_scores(rows: Array, units: Sequence[Unit], model: dict[str, Any]) -> Array:
    """(n,) float32: prose by the model "unit", fields of a record by the model "field" of a reading ("plain", "judged")."""
    record = np.array([unit.record for unit in units], dtype=bool)
    return np.where(record, logistic(rows, model["field"]), logistic(rows, model["unit"])).astype(np.float32)


def logistic(rows: Array, model: dict[str, Any]) -> Array:
    """(n,) float32 probabilities of (n, d) feature rows under a model of `calibration.json`."""
    weights = np.asarray(model["weights"], dtype=np.float32)
    logits = rows @ weights + np.float32(model["bias"])
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)


def _covered(asked: Question, known: frozenset[str]) -> float:
    total = sum(asked.weights)
    if not total:
        return 0.0
    return sum(weight for term, weight in zip(asked.terms, asked.weights, strict=True) if term in known) / total


# What kind of answer is asked for, and whether a sentence has one
_TYPES = (
    (re.compile(r"\bhow much\b|\bprice\b|\bcosts?\b|\bfees?\b|\bexpensive\b|多少钱|价格|费用|收费|运费|几钱", re.I),
     re.compile(r"[€$£¥]\s?\d|\d[\d.,]*\s?(?:eur|euros?|usd|gbp|rmb|yuan|%|元|欧)|\bfree\b|免费|包邮", re.I)),
    (re.compile(r"\bhow long\b|\bhow (?:many )?(?:days|weeks|months|years)\b|\bhow soon\b|\bdeadline\b|多久|几天|多长时间|期限|什么时候", re.I),
     re.compile(r"\b(?:\d+|one|two|three|four|five|six|ten|thirty)[\s-]+(?:working |business |calendar )?(?:hours?|days?|weeks?|months?|years?|minutes?)|[\d一二三四五六七八九十两]+\s?个?(?:工作)?(?:天|日|周|星期|月|年|小时|分钟)", re.I)),
    (re.compile(r"\bwhen\b|\bwhat time\b|\bopening hours\b|\bopen\b|几点|营业时间|开门", re.I),
     re.compile(r"\d{1,2}[:.]\d\d|\b\d{1,2}\s?(?:am|pm)\b|monday|tuesday|wednesday|thursday|friday|saturday|sunday|\d+\s?(?:days?|hours?|weeks?)|周[一二三四五六日]|星期|\d+\s?[天日点时]", re.I)),
    (re.compile(r"\bwhere\b|\baddress\b|\bstores?\b|哪里|地址|门店|在哪", re.I),
     re.compile(r"\b(?:street|road|square|avenue|lane|strasse|straße)\b|\b\d{4,6}\b|[街路号区]", re.I)),
    (re.compile(r"\be-?mail|\bcontact\b|\bphone\b|\bcall\b|\breach you\b|邮箱|电话|联系", re.I), re.compile(r"@|\+?\d[\d \-/]{6,}", re.I)),
    (re.compile(r"\bweigh|\bheavy\b|\bweight\b|多重|重量", re.I), re.compile(r"weight|\d\s?(?:kg|g|grams?)\b|重|克|公斤", re.I)),
    (re.compile(r"\bhow many\b|\bin stock\b|\bavailable\b|\bhow big\b|\bcapacity\b|\bsize\b|多少|几|库存|有货|现货|尺码|容量", re.I),
     re.compile(r"\d|stock|库存", re.I)),
    (re.compile(r"\bmade of\b|\bmaterial\b|\bfabric\b|材质|材料|面料", re.I), re.compile(r"material|材质|面料", re.I)),
)  # fmt: skip


def names_field(question: str, reading: Reading) -> bool:
    """Whether the best unit is of the very product that a question names, and that has the field it asks for."""
    if not reading.units or not reading.units[0].record:
        return False
    passage = reading.units[0].span.passage
    name, *others = (passage.text[start:end] for start, end in language.fields(passage.text))
    words = set(language.content_words(re.split("[:：]", name, maxsplit=1)[-1]))
    named = bool(words) and words <= set(language.content_words(question))
    return named and any(field_match(question, text) > 0 for text in others)


def _type_match(question: str, text: str) -> float:
    """1 where the text has what the question asks for (a price, a time ...), -1 where it lacks it, 0 where nothing is asked."""
    for asked, answer in _TYPES:
        if asked.search(question):
            return 1.0 if answer.search(text) else -1.0
    return 0.0
