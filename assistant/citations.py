"""Proof: whether a sentence is supported by spans of stored passages, and which. Pure.

Word overlap is not support. A sentence passes only when one or two consecutive sentences of one
passage contain nearly all it says, every number and name of it, with the same polarity, the same
conditions, the same quantities and the same parties. The rules refuse when in doubt: a refused
sentence is replaced by the quote itself, so refusing costs style and passing costs truth.

It is not a model of meaning: it judges sentences that stay close to their source, which is what
a support assistant should say. Sources: the error classes are those of HalluLens and of the
"faithful but wrong" cases in `docs/answers-with-proof.md`.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from assistant import language
from assistant.types import Citation, Passage


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a passage: `passage.text[start:end]`."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        """The quote, byte for byte."""
        return self.passage.text[self.start : self.end]

    def cite(self, answer_start: int, answer_end: int) -> Citation:
        """The citation of this span for a part of the answer."""
        return Citation(
            passage_id=self.passage.id,
            document=self.passage.document,
            start=self.start,
            end=self.end,
            quote=self.text,
            page=self.passage.page,
            answer_start=answer_start,
            answer_end=answer_end,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The span that supports a sentence, or why there is none."""

    span: Span | None
    reason: str = ""


def support(sentence: str, passages: Sequence[Passage]) -> Verdict:
    """The best span of the passages that supports the sentence, or the reason of the nearest miss.

    Evidence is one sentence of a passage or two consecutive ones; the shortest that is enough wins.
    """
    nearest = Verdict(None, "nothing in the passages says this")
    nearest_coverage = 0.0
    for passage in passages:
        contradicted: set[int] = set()
        for span in evidence_spans(passage):
            covered = coverage(sentence, span.text)
            if covered < 0.5 or contradicted & {span.start, span.end}:
                continue
            problem = objection(sentence, span.text)
            if not problem:
                return Verdict(span)
            if covered == 1.0:  # it speaks of just this and says it differently: a neighbour must not lend its words
                contradicted |= {span.start, span.end}
            if covered >= nearest_coverage:
                nearest, nearest_coverage = Verdict(None, problem), covered
    return nearest


def evidence_spans(passage: Passage) -> list[Span]:
    """Single sentences first, then pairs of neighbours."""
    cuts = language.sentences(passage.text)
    singles = [Span(passage, start, end) for start, end in cuts]
    pairs = [
        Span(passage, first[0], second[1])
        for first, second in itertools.pairwise(cuts)
        if not _YES_NO.match(passage.text[first[0] : first[1]])  # its no must not lend itself to what follows
    ]
    return singles + pairs


def objection(sentence: str, evidence: str) -> str:
    """Why the evidence does not support the sentence; "" when it does.

    >>> objection("Yes, you do get the delivery costs back.",
    ...           "Delivery costs are refunded only when the item was faulty.")
    'it starts with a yes or no that the passage does not say'
    >>> objection("Delivery costs are refunded.", "Delivery costs are refunded only when the item was faulty.")
    'it leaves out a condition: only when the item was faulty'
    >>> objection("We refund delivery costs only when the item was faulty.",
    ...           "We refund delivery costs only when the item was faulty, within 14 days.")
    ''
    """
    if _normal(sentence) == _normal(evidence):
        return ""
    for check in (
        _no_claim,
        _missing_facts,
        _missing_words,
        _polarity,
        _conditions,
        _quantifiers,
        _modals,
        _parties,
    ):
        problem = check(sentence, evidence)
        if problem:
            return problem
    return ""


def coverage(sentence: str, evidence: str) -> float:
    """The share of the sentence's content words that the evidence contains; 0 for a sentence without any."""
    said = _terms(sentence)
    return len(said & _terms(evidence)) / len(said) if said else 0.0


# Facts: what must never be invented

_URL = r"(?:https?://|www\.)[^\s<>\"'）)\]]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|eu|de|cn|io|example|shop|co\.uk)\b(?:/[^\s<>\"')\]]*)?"
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_NUMBER = r"\d+(?:[.,:/\-]\d+)*"
_FACT = re.compile(f"{_EMAIL}|{_URL}|{_NUMBER}", re.IGNORECASE)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
    if value > 1  # "one" and "zero" are seldom quantities
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100", "thousand": "1000"}
_HAN_DIGITS = {han: str(value) for value, han in enumerate("零一二三四五六七八九十")} | {"两": "2"}
_HAN_NUMBER = re.compile(r"([零一二两三四五六七八九十]{1,3})(?=[天日月年周个件次欧元小时分钟倍位人折份%])")
_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()


@functools.lru_cache(maxsize=4096)
def facts(text: str) -> frozenset[str]:
    """The numbers, prices, dates, links and e-mail addresses of a text, in one spelling each.

    >>> sorted(facts("Within thirty days, €4.90 or 1,200.00 EUR; write to a@b.example"))
    ['1200', '30', '4.9', 'a@b.example']
    """
    text = unicodedata.normalize("NFKC", text)
    found = {_spell(match.group()) for match in _FACT.finditer(text)}
    lowered = re.findall(r"[a-z]+", text.lower())
    found |= {_NUMBER_WORDS[word] for word in lowered if word in _NUMBER_WORDS}
    found |= {word for word in lowered if word in _DAYS or (word in _MONTHS and word not in {"may", "march"})}
    found |= {_han_value(match.group(1)) for match in _HAN_NUMBER.finditer(text)}
    return frozenset(found)


def unsupported_facts(text: str, evidence: Sequence[str]) -> list[str]:
    """The facts of a text that no piece of evidence contains, sorted."""
    known = frozenset().union(*(facts(piece) for piece in evidence))
    return sorted(facts(text) - known)


def _spell(fact: str) -> str:
    fact = fact.lower().rstrip(".,:/-")
    if "@" in fact or not fact[:1].isdigit() or re.search(r"[a-z:/]", fact):
        return fact
    digits = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", fact).replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    return digits.lstrip("0") or "0"


def _han_value(han: str) -> str:
    if "十" not in han or han == "十":
        return "".join(_HAN_DIGITS[digit] for digit in han)
    tens, _, ones = han.partition("十")
    return str(10 * int(_HAN_DIGITS.get(tens, "1")) + int(_HAN_DIGITS.get(ones, "0")))


# The checks: each returns what is wrong, or ""

_YES_NO = re.compile(
    r"^\W*(yes|no|yep|nope|sure|of course|certainly|absolutely|correct|right|是的|是|对|不是|不|不可以|不能|可以|能|当然|没有|没错)(?=[\s,.!，。！]|$)",
    re.IGNORECASE,
)


def _no_claim(sentence: str, evidence: str) -> str:
    """What cannot be checked against a passage: a bare yes or no, a question, hidden characters."""
    if _YES_NO.match(sentence):
        return "it starts with a yes or no that the passage does not say"
    if sentence.rstrip().endswith(("?", "？")):
        return "it is a question"
    if any(unicodedata.category(letter) in {"Cf", "Cc", "Co", "Cn"} and letter not in "\n\t" for letter in sentence):
        return "it has characters that cannot be seen"
    return "" if len(_terms(sentence)) > 1 else "it says too little to be checked"


def _missing_words(sentence: str, evidence: str) -> str:
    """Every content word must be in the evidence, in some form; numbers are facts, a few words say nothing."""
    known = {_root(term) for term in _terms(evidence)}
    extra = [term for term in _terms(sentence) - _CONNECTING if not term[0].isdigit() and _root(term) not in known]
    return "it says more than the passage" if extra else ""


_CONNECTING = frozenset(
    "also however therefore please simply case item product customer way information according passage policy offer".split()
)


def _root(term: str) -> str:
    """A word without its commonest endings: returned, returning, return; payment stays apart from pay."""
    if not term.isascii() or len(term) < 5:
        return term
    return re.sub(r"(?:ing|ed|es|s|e|ly)$", "", term)


def _missing_facts(sentence: str, evidence: str) -> str:
    """Numbers must be in the evidence, beside the same word: 14 days is not 14 EUR."""
    missing = _numbers(sentence) - _numbers(evidence) or facts(sentence) - facts(evidence)
    if missing:
        return f"it says {', '.join(sorted(missing))}, which the passage does not"
    stray = _units(sentence) - _units(evidence)
    if stray:
        return f"it says {' '.join(min(stray))}, which the passage does not"
    if len(facts(evidence)) > 1:  # of several numbers, each belongs to its word: tents 3 years, stoves 4 years
        moved = _subjects(sentence) - _subjects(evidence)
        return f"it says {' '.join(min(moved))}, which the passage does not" if moved else ""
    return ""


def _numbers(text: str) -> Counter[str]:
    """How often each number stands there: "48 to 48" is not "43 to 48"."""
    return Counter(_spell(found) for found in re.findall(_NUMBER, unicodedata.normalize("NFKC", text)))


def _subjects(text: str) -> frozenset[tuple[str, str]]:
    """Each number with the content word before it."""
    pairs = set()
    for match in re.finditer(_NUMBER, text):
        before = [
            word
            for word in language.content_words(text[max(0, match.start() - 40) : match.start()])
            if not word[0].isdigit()
        ]
        pairs |= {(_root(_SYNONYM.get(word, word)), _spell(match.group())) for word in before[-1:]}
    return frozenset(pairs)


_UNIT = re.compile(r"(€|\$|£|¥)?\s?(\d+(?:[.,]\d+)*)[ \u00a0-]?(%|€|\$|£|¥|[a-z]+|[\u4e00-\u9fff])?", re.IGNORECASE)


def _units(text: str) -> frozenset[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    for before, number, after in _UNIT.findall(unicodedata.normalize("NFKC", text)):
        unit = before or "".join(language.content_words(after))
        unit = {"eur": "€", "euro": "€", "percent": "%", "欧": "€", "元": "¥", "日": "天"}.get(unit, unit)
        if unit:
            pairs.add((_spell(number), unit))
    return frozenset(pairs)


_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|cannot|without|\w+n['’]t|unable|impossible|refuse[sd]?|denied|"
    r"non)\b|[不没無无未勿莫]|非(?!常)|禁止|拒绝",
    re.IGNORECASE,
)


def _polarity(sentence: str, evidence: str) -> str:
    """As many negations as the evidence has, and of the same words. Of a record, only the fields it speaks of count."""
    lines = [evidence[start:end] for start, end in language.fields(evidence)] or [evidence]
    said = _terms(sentence)
    relevant = [line for line in lines if _terms(line) & said]
    written = sum(len(_NEGATION.findall(line)) for line in relevant)
    moved = _negated(sentence) - sum(map(_negated, relevant), Counter())
    if len(_NEGATION.findall(sentence)) != written or moved:
        return "it turns a no of the passage into a yes, or a yes into a no"
    return ""


def _negated(text: str) -> Counter[str]:
    """What each negation denies: the content word after it (of Chinese: two characters), at the end the one before."""
    found: Counter[str] = Counter()
    for match in _NEGATION.finditer(text):
        after = language.content_words(text[match.end() : match.end() + 40])[:1]
        before = language.content_words(text[max(0, match.start() - 40) : match.start()])[-1:]
        found.update(_root(_SYNONYM.get(word, word)) for word in after or before)
    return found


_CONDITION = re.compile(
    r"\b(?:only|unless|except|provided|providing|as long as|so long as|other than|apart from|excluding|if|when|whenever|"
    r"where|once|until|subject to|in case|on condition|depending|otherwise|with the exception|between|during|"
    r"but|while|even|with|without|using|via)\b|但|而|仅|只有|只限|只|除非|除了|除|如果|如|若|假如|一旦|凡|必须|须|前提|条件|情况下|否则|以外",
    re.IGNORECASE,
)


def _conditions(sentence: str, evidence: str) -> str:
    """Every condition of the evidence is in the sentence, and it adds none."""
    for marker in _CONDITION.finditer(evidence):
        clause = re.split(r"[.;!?。；！？]\s|[,，](?!\s*(?:or|and|或))", evidence[marker.start() :])[0].strip(" .。")
        needed = {_root(term) for term in _terms(clause)}
        said = {_root(term) for term in _terms(sentence)}
        if not needed <= said or not _markers(clause) <= _markers(sentence):
            return f"it leaves out a condition: {clause}"
    if _markers(sentence) - _markers(evidence):
        return "it adds a condition"
    return ""


_MARKERS = {
    "only": r"\bonly\b|仅|只",
    "unless": r"\bunless\b|\bexcept\b|\bexcluding\b|\bother than\b|\bapart from\b|\bexception\b|除|以外",
    "if": r"\bif\b|\bwhen(?:ever)?\b|\bprovided\b|\bproviding\b|\bas long as\b|\bso long as\b|\bwhere\b|\bonce\b|\bin case\b"
    r"|\bsubject to\b|\bon condition\b|\bdepending\b|如|若|一旦|凡|前提|条件|情况",
    "until": r"\buntil\b",
    "during": r"\bbetween\b|\bduring\b|\bwhile\b",
    "but": r"\bbut\b|但|而",
    "must": r"必须|须",
    "otherwise": r"\botherwise\b|否则",
}


def _markers(text: str) -> frozenset[str]:
    return frozenset(name for name, pattern in _MARKERS.items() if re.search(pattern, text, re.IGNORECASE))


_QUANTIFIERS = re.compile(
    r"\b(?:all|every|always|any|anything|anytime|never|both|each|everything|everyone|fully|completely|entire|whole|half|"
    r"most|some|unlimited|free|gratis|guaranteed?|at least|at most|up to|more than|less than|no more than|within|after|before|until|over|under|above|below|since|from)\b|以上|以下|以内|以后|之前|之后|至少|至多|最多|超过|不足|免费|包邮|赠送|所有|全部|任何|每|总是|一律|均|都|半",
    re.IGNORECASE,
)


def _quantifiers(sentence: str, evidence: str) -> str:
    extra = Counter(map(str.lower, _QUANTIFIERS.findall(sentence))) - Counter(
        map(str.lower, _QUANTIFIERS.findall(evidence))
    )
    if extra:
        return f"it says {min(extra)!r}, which the passage does not"
    moved = _related(sentence) - _related(evidence)
    return f"it says {' '.join(min(moved))!r}, which the passage does not" if moved else ""


_RELATION = re.compile(
    r"\b(within|after|before|until|over|under|above|below|since|up to|at least|at most)\b", re.IGNORECASE
)


def _related(text: str) -> frozenset[tuple[str, str]]:
    """Each word of time or amount with the word it is said of: before dispatch, after delivery."""
    pairs = set()
    for match in _RELATION.finditer(text):
        after = language.content_words(text[match.end() : match.end() + 40])[:1]
        pairs |= {(match.group().lower(), _root(word)) for word in after if not word[0].isdigit()}
    return frozenset(pairs)


_MODALS = {
    "must": r"\b(?:must|have to|has to|need to|needs to|required|shall|obliged)\b|必须|须|应当",
    "may": r"\b(?:can|may|could|might|able to|allowed|possible)\b|可以|可|能",
    "will": r"\b(?:will|guarantee[sd]?)\b|保证|会",
}


def _modals(sentence: str, evidence: str) -> str:
    for name in ("must", "may"):
        if re.search(_MODALS[name], sentence, re.IGNORECASE) and not re.search(_MODALS[name], evidence, re.IGNORECASE):
            return "it allows or demands what the passage does not"
    return ""


_PARTY = re.compile(r"(?P<shop>\b(?:we|us|our|ours|the shop|the store|the company|the bank)\b|我们|本店|本公司|商家|我行|本行)"
                    r"|(?P<customer>\b(?:you|your|yours|customers?|the buyer|members?)\b|您|你|顾客|客户|买家|会员|用户)", re.IGNORECASE)  # fmt: skip
_DEED = re.compile(
    r"\b(pay|refund|reimburse|charge|cover|bear|send|ship|collect|keep|return|replace|repair|receive|get|give|cancel|"
    r"deduct|credit|provide|exchange|arrange|contact|waive)(?:s|ed|d|ing)?\b|\b(paid|bore|borne|sent|kept|got|gave|given)\b"
    r"|(支付|退款|退还|承担|收取|寄回|寄送|更换|维修|赔偿|补偿|提供|取消|联系|负责)",
    re.IGNORECASE,
)


def _parties(sentence: str, evidence: str) -> str:
    """Who does it to whom: the party before a deed must be the same on both sides."""
    said, written = _doers(sentence), _doers(evidence)
    for deed, doer in said.items():
        if doer is not None and deed in written and written[deed] != doer:
            return "it changes who does what"
        if doer is not None and deed not in written:
            return "it says somebody does what the passage does not"
    return ""


def _doers(text: str) -> dict[str, str | None]:
    doers: dict[str, str | None] = {}
    for deed in _DEED.finditer(text):
        name = next(group for group in deed.groups() if group).lower()
        name = {"paid": "pay", "bore": "bear", "borne": "bear", "sent": "send", "kept": "keep", "got": "get",
                "gave": "give", "given": "give"}.get(name, name)  # fmt: skip
        before = list(_PARTY.finditer(text, 0, deed.start()))
        passive = bool(
            re.search(r"\b(?:is|are|was|were|be|been|being|get|gets)\s+(?:\w+ly\s+)?$", text[: deed.start()])
        )
        doers.setdefault(name, before[-1].lastgroup if before and not passive else None)
    return doers


@functools.lru_cache(maxsize=8192)
def _terms(text: str) -> frozenset[str]:
    return frozenset(_SYNONYM.get(word, word) for word in language.content_words(text))


_SYNONYM = {
    "euro": "eur", "refunded": "refund", "refunding": "refund", "returned": "return", "returning": "return",
    "delivered": "delivery", "deliver": "delivery", "shipped": "ship", "shipping": "ship", "paid": "pay", "payment": "pay",
    "sent": "send", "bought": "buy", "covered": "cover", "covers": "cover", "charged": "charge", "repaired": "repair",
    "replaced": "replace", "exchanged": "exchange", "cancelled": "cancel", "ordered": "order", "orders": "order",
}  # fmt: skip


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .。!！")
