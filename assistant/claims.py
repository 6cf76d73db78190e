"""Whether a piece of evidence says what a sentence says. Pure.

The rules refuse when in doubt: every content word, number and name of the sentence must be in the evidence,
with the same polarity, the same conditions, the same quantities and the same parties. They are not a model
of meaning: they judge sentences that stay close to their source. Which piece of which passage
is the evidence is `citations.py`. Sources: the error classes are those of HalluLens and of the "faithful but
wrong" cases in `docs/answers-with-proof.md`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from assistant import language
from assistant.facts import amounts, facts, fold, numbers, root, subjects, terms


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
    if normal(sentence) == normal(evidence):
        return ""
    for check in (
        _no_claim,
        _missing_facts,
        _missing_words,
        _subject,
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


def normal(text: str) -> str:
    """A text as it is compared for being the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .。!！")


def coverage(sentence: str, evidence: str) -> float:
    """The share of the sentence's content words that the evidence contains; 0 for a sentence without any."""
    said = terms(sentence)
    return len(said & terms(evidence)) / len(said) if said else 0.0


def is_question(text: str) -> bool:
    """Whether a text asks: then it says nothing."""
    return text.rstrip().endswith(("?", "？"))


def leads_with_verdict(text: str) -> bool:
    """Whether a text starts with a yes or no, which belongs to a question that is not in it."""
    return bool(_YES_NO.match(text))


# The checks: each returns what is wrong, or ""

_YES_NO = re.compile(
    r"^\W*(yes|no|yep|nope|sure|of course|certainly|absolutely|correct|right|是的|是|对|不是|不|不可以|不能|可以|能|当然|没有|没错)(?=[\s,.!，。！]|$)",
    re.IGNORECASE,
)


def _no_claim(sentence: str, evidence: str) -> str:
    """What cannot be checked against a passage: a bare yes or no, a question, hidden characters."""
    if leads_with_verdict(sentence):
        return "it starts with a yes or no that the passage does not say"
    if is_question(sentence):
        return "it is a question"
    if any(unicodedata.category(letter) in {"Cf", "Cc", "Co", "Cn"} and letter not in "\n\t" for letter in sentence):
        return "it has characters that cannot be seen"
    return "" if len(terms(sentence)) > 1 else "it says too little to be checked"


def _missing_words(sentence: str, evidence: str) -> str:
    """Every content word must be in the evidence, in some form; numbers are facts, a few words say nothing."""
    known = {root(term) for term in terms(evidence)}
    extra = [term for term in terms(sentence) - _CONNECTING if not term[0].isdigit() and root(term) not in known]
    return "it says more than the passage" if extra else ""


_CONNECTING = frozenset(
    "also however therefore please simply case item product customer way information according passage policy offer".split()
)


def _missing_facts(sentence: str, evidence: str) -> str:
    """Numbers must be in the evidence, beside the same word and in the same order: 14 days is not 14 EUR."""
    missing = numbers(sentence) - numbers(evidence) or facts(sentence) - facts(evidence)
    if missing:
        return f"it says {', '.join(sorted(missing))}, which the passage does not"
    written = amounts(evidence)
    for unit, said in amounts(sentence).items():
        rest = iter(written.get(unit, ()))
        if not all(number in rest for number in said):  # a subsequence: each is looked for behind the one before
            return f"it says {', '.join(said)} {unit}, which the passage does not"
    if len(facts(evidence)) > 1:  # of several numbers, each belongs to its word: tents 3 years, stoves 4 years
        moved = subjects(sentence) - subjects(evidence)
        return f"it says {' '.join(min(moved))}, which the passage does not" if moved else ""
    return ""


_VERB = re.compile(
    r"\b(?:is|are|was|were|can|cannot|may|must|will|has|have|does|do|costs?|takes?|gets?)\b|[:：]|是|可|不|需|应|将|为|会|能|享|由|须",
    re.IGNORECASE,
)


def _subject(sentence: str, evidence: str) -> str:
    """It speaks of what the passage speaks of: what stands before the passage's verb is in it."""
    verb = _VERB.search(evidence)
    subject = evidence[: verb.start()] if verb else ""
    said = {root(term) for term in terms(sentence)}
    return (
        "" if {root(term) for term in terms(subject)} <= said else f"it does not speak of {' '.join(subject.split())}"
    )


_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|cannot|without|\w+n['’]t|unable|impossible|refuse[sd]?|denied|"
    r"non)\b|[不没無无未勿莫]|非(?!常)|禁止|拒绝",
    re.IGNORECASE,
)


def _polarity(sentence: str, evidence: str) -> str:
    """As many negations as the evidence has, and of the same words. Of a record, only the fields it speaks of count."""
    lines = [evidence[start:end] for start, end in language.fields(evidence)] or [evidence]
    said = terms(sentence)
    relevant = [line for line in lines if terms(line) & said]
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
        found.update(root(fold(word)) for word in after or before)
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
        needed = {root(term) for term in terms(clause)}
        said = {root(term) for term in terms(sentence)}
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
        pairs |= {(match.group().lower(), root(word)) for word in after if not word[0].isdigit()}
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
    """Who does it to whom: the party before a deed must be the same on both sides, as often."""
    written = _doers(evidence)
    for deed, doers in _doers(sentence).items():
        if deed not in written and any(doers):
            return "it says somebody does what the passage does not"
        if Counter(filter(None, doers)) - Counter(filter(None, written.get(deed, ()))):
            return "it changes who does what"
    return ""


def _doers(text: str) -> dict[str, list[str]]:
    """The party before each deed; "" where there is none or the deed is done to it."""
    doers: dict[str, list[str]] = {}
    for deed in _DEED.finditer(text):
        name = next(group for group in deed.groups() if group).lower()
        name = {"paid": "pay", "bore": "bear", "borne": "bear", "sent": "send", "kept": "keep", "got": "get",
                "gave": "give", "given": "give"}.get(name, name)  # fmt: skip
        before = list(_PARTY.finditer(text, 0, deed.start()))
        passive = bool(
            re.search(r"\b(?:is|are|was|were|be|been|being|get|gets)\s+(?:\w+ly\s+)?$", text[: deed.start()])
        )
        doers.setdefault(name, []).append((before[-1].lastgroup or "") if before and not passive else "")
    return doers
