"""What a question asks of a record: which of its fields, and whether it says nothing else. Pure.

"How heavy is the Kestrel 2?" over the row of the Kestrel 2 needs no judgement: the question has a name, a field that
the row has, and no word beside. `asked_for` finds such fields. One word that neither explains ("to repair", "in
Berlin"), and there are none: the reader judges as of prose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from assistant import language
from assistant.types import Passage

MAX_CALLED = 2
"""A question that so many records at most answer names one of them; more are a sort of goods ("the tents")."""

_FIELDS = tuple(
    (re.compile(asked, re.I), tuple(re.compile(label, re.I) for label in labels))
    for asked, *labels in (
        (r"\bhow heavy\b|\b(?:how much|what) (?:do|does)\b(?=.*\bweigh\b)|\bweigh(?:s|t)?\b|\bheavy\b|多重|(?:的)?重量|多少(?:克|公斤|千克)|几(?:公)?斤重?|重不重|重吗", r"^(?:net )?weight|^(?:净|自)?重量?$"),
        (r"\bhow many (?:people|persons)(?: (?:can|does|do))?(?: (?:fit|sleep|it hold))?\b(?:.*\b(?:fit|sleep)\b)?|\bcapacity\b|\bvolume\b|\bhow many lit(?:re|er)s\b|(?:能|可以?)?(?:睡|住|容纳)(?:得?下)?(?:几|多少)个?人|(?:几|多少)个?人(?:用|睡|住)?|(?:多大)?容量(?:多大)?", r"capacity|volume|容量"),
        (r"\bhow much\b|\bpric(?:e|es|ed|ing)\b|\bcosts?\b|\bhow expensive\b|多少钱|价格|价钱|售价|价位|怎么卖|卖多少|几块钱", r"^price(?!.*from)|^cost$|^(?:价格|零?售价|单价|标价)$", r"price|(?:平日|周末|成人|儿童|会员|月|年|日|起)价$|premium|月租|租金"),
        (r"\b(?:do|have) you (?:still )?(?:have|sell|stock|got)\b|\b(?:do|have) you got\b|\bhow many (?:are )?(?:there|left)\b|\bstocked\b|\bstock\b|\bavailab(?:le|ility)\b|\bleft\b|\bsold out\b|有没有货|有现货|有货|现货|缺货|卖完|库存|还有(?:多少|货)|还?剩(?:余|下)?|有\s*(?:没有)?\s*[吗么]|有没有|卖不卖|卖[吗么]", r"stock|availab|库存|现货"),
        (r"\bmade (?:of|from|out of)\b|\bmaterials?\b|\bfabric\b|(?:什么|哪种|啥)?(?:材质|材料|料子|面料)(?:做的?)?|(?:用)?(?:什么|啥)做的", r"material|fabric|材质|面料|材料"),
        (r"\bcolou?rs?\b|颜色", r"colou?r|颜色"),
        (r"\bhow wide\b|多宽", r"^width|^宽度?$", r"size|dimension|尺寸"),
        (r"\bhow long\b|多长(?!时间)", r"^length|^长度?$", r"size|dimension|尺寸", r"^term$|duration|minutes"),
        (r"\bhow (?:tall|high)\b|多高", r"^height|^高度?$"),
        (r"\bhow deep\b|多深", r"^depth|^深度?$"),
        (r"\bhow (?:big|large)\b|多大", r"size|dimension|尺寸|尺码|^面积$|capacity|容量", r"规格|diameter"),
        (r"\bsizes?\b|\bdimensions?\b|尺码|尺寸", r"size|dimension|尺寸|尺码|^面积$"),
        (r"\b(?:how )?water ?proof\b|\bwater[- ]?resistant\b|\b(?:in|for|against) (?:the )?rain\b|(?:能|可以?)?(?:防不防水|防水|防雨|淋雨|下雨(?:天|时)?)(?:性能|性)?", r"water|防水"),
        (r"\bseasons?\b|\b(?:for|in) (?:the )?(?:winter|summer|spring|autumn)\b|季节?|(?:冬天|夏天|冬季|夏季|春天|秋天)", r"season|季"),
        (r"\bbrand\b|\bwho makes\b|\bmaker\b|\bmanufacturer\b|品牌|(?:什么|哪个)?牌子|什么牌", r"brand|maker|manufacturer|品牌|牌子"),
        (r"\btell me (?:more |something )?about\b|\bspecial about\b|\bdescri(?:be|ption)\b|介绍|特点|怎么样", r"descri|about|描述|简介|介绍|说明|特点"),
        (r"\bdishwasher(?:[- ]?(?:safe|proof))?\b|(?:能|可以?)?(?:用|进|放)?洗碗机(?:洗|清洗)?", r"dishwasher|洗碗机"),
    )
)  # fmt: skip
"""What is asked of a product, in phrases, each taken away before the next is looked for, and the labels of the fields
that say it: those of the first pattern that the record has."""
_NAME = re.compile(r"(?:name|title|product|item|品名|名称|商品|产品|标题)", re.I)
_IDENTITY = re.compile(r"(?:categor|type|kind|brand|maker|类别|分类|品类|种类|品牌)", re.I)
"""What a product may be called by beside its name: "the Kestrel 2 tent", "the Ridgeline Kestrel 2"."""
_YES_NO = re.compile(
    r"^\W*(?:(?:and|but|so) )?(?:is|are|does|do|can|could|has|have|will|would)\b|吗\W*$|[是有能会可]不[是能会可]|有没有|没有?\W*$"
)
_UNIT = re.compile(r" (?:[ckm]?m|k?g|ml|l|sqm|inch|w|mah|gb|gbp|eur|usd|cny|pence|years|minutes)$")
"""What a column's label may end in: "weight_g", "length_cm"."""
_SAID_BESIDE = frozenset(
    "product item model article current currently now today right exactly actually come use looking interested pls sell u kg gram good suitable".split()
)
_SAID_BESIDE_HAN = re.compile(
    r"请问|你好|您好|我?想(?:问|知道|了解|买|要)|你们|您们?|我|这[款个种件双顶台]?|那[款个种件双顶台]?|的|是|吗|呢|呀|啊|吧|么|了|有|在|卖|能|可以|可|要|用|适合|现在|多久|多长时间|几种?|啥|最|目前|还|都|和|跟|以及|多少|什么|哪些|哪种|几种|一下|一[款个件]|款|个|做|穿"
)


@dataclass(frozen=True, slots=True)
class _Record:
    """A record's lines by (label, value, start), and the values that it is called by."""

    lines: tuple[tuple[str, str, int], ...]
    names: tuple[str, ...]
    identity: frozenset[str]


def asked_for(question: str, passages: Sequence[Passage]) -> set[tuple[str, int]]:
    """(passage id, start) of the fields that a question asks for; empty where a word is left unexplained.

    "How heavy is the Alder 2?" asks for one field, "How heavy is the Alder 2 when it is wet?" for none.
    """
    question = _folded(question)
    *before, last = (question[start:end] for start, end in language.sentences(question)) if question else ("",)
    records = _records(passages)
    for context in ("", " ".join(before)):
        called = _called(last, context, records)
        if called and len(called) <= MAX_CALLED:
            return {(one, start) for one, starts in called.items() for start in starts}
    return set()


def with_name(questions: Sequence[str], find: Callable[[str], Sequence[Passage]]) -> str:
    """The last of a conversation's questions behind the name of the one record that those before it are about.

    "How heavy is the Alder 2?", "And how large is it?" is "alder 2 And how large is it?": what was asked of the record
    before is not asked again. "And the Lark?" behind it is "lark how large is it?". "" where the last asks for no field
    of such a record, or any of them says more than that. `find` gives the passages for a text.
    """
    *before, last = questions
    if before and (name := _only_named(_folded(last), _records(find(last)))):
        previous = with_name(before, find) or before[-1]
        asked = _nameless(_folded(previous), _records(find(previous)))
        return f"{name} {asked}" if asked else ""
    for place in reversed(range(len(before))):
        records = _records(find(before[place]))
        called = _called(_folded(last), _folded(" ".join(before[place:])), records)
        if len(called) == 1:
            names = records[next(iter(called))].names
            same_script = (name for name in names if language.is_han(name) == language.is_han(last))
            return f"{next(same_script, names[0])} {last}"
    return ""


def field_match(question: str, text: str) -> float:
    """1 where the field is the one asked for, -1 where another one is, 0 where the question names none."""
    label = _labelled(re.split("[:：]", text, maxsplit=1)[0])
    asked = [pattern for phrase, patterns in _FIELDS if phrase.search(question) for pattern in patterns]
    named = set(language.content_words(label)) & set(language.content_words(question))
    if named or any(pattern.search(label) for pattern in asked):
        return 1.0
    return -1.0 if asked else 0.0


def _only_named(text: str, records: Mapping[str, _Record]) -> str:
    """The name of the one record that a text calls by its whole name, with no word of substance beside it; else ""."""
    found = set()
    for record in records.values():
        for name in record.names:
            at = _whole(name).search(text)
            if at is not None and not _unexplained(f"{text[: at.start()]} {text[at.end() :]}", record):
                found.add(name)
    return found.pop() if len(found) == 1 else ""


def _nameless(text: str, records: Mapping[str, _Record]) -> str:
    """A question without the whole name of a record in it, where it asks for a field of that; else ""."""
    for one in _called(text, "", records):
        for name in records[one].names:
            if _whole(name).search(text):
                return " ".join(_whole(name).sub(" ", text).split())
    return ""


def _folded(text: str) -> str:
    folded = re.sub("['’](?:s|re|d|ll)\\b", " ", unicodedata.normalize("NFKC", text).casefold())  # what's, where's
    return " ".join((language.simplified(folded) if language.is_han(folded) else folded).split())


def _labelled(label: str) -> str:
    """A column's label as it is compared: "weight_g" is the weight."""
    return _UNIT.sub("", label.strip().casefold().replace("_", " "))


def _records(passages: Sequence[Passage]) -> dict[str, _Record]:
    return {passage.id: record for passage in passages if (record := _record(passage)) is not None}


def _called(last: str, context: str, records: Mapping[str, _Record]) -> dict[str, set[int]]:
    """Starts of the fields that a sentence asks for, by the record; of those with a whole name in it, where there are."""
    found = {one: starts for one, record in records.items() if (starts := _explained(last, context, record))}
    whole = {one for one in found if any(name in f"{context} {last}" for name in records[one].names)}
    return {one: found[one] for one in whole} or found


def _record(passage: Passage) -> _Record | None:
    """The passage as a record; None where it is prose."""
    lines = []
    for start, end in language.fields(passage.text):
        label, _, value = passage.text[start:end].replace("：", ":").partition(":")
        lines.append((_labelled(label), _folded(value), start))
    if not lines:
        return None
    names = tuple(value for label, value, _ in lines if _NAME.match(label) and value) or (lines[0][1],)
    identity = " ".join((*names, *(value for label, value, _ in lines if _IDENTITY.match(label))))
    return _Record(tuple(lines), names, frozenset(language.content_words(identity)))


def _explained(last: str, context: str, record: _Record) -> set[int]:
    """Starts of the fields that the last sentence asks for.

    None where record and fields do not explain every word of it and of what stands before it, or none names the record.
    """
    rest, called = _without_name(last, record)
    beside, called_before = _without_name(context, record)
    if not called and not called_before:
        return set()
    starts: set[int] = set()
    for label, value, start in record.lines[1:]:
        for words in (label,) if _IDENTITY.match(label) or _NAME.match(label) else (label, value):
            if len(words) > (1 if language.is_han(words) else 2) and _whole(words).search(rest):
                starts.add(start)
                rest = _whole(words).sub(" ", rest)
    for phrase, labels in _FIELDS:
        if phrase.search(rest):
            fields = ({start for said, _, start in record.lines[1:] if label.search(said)} for label in labels)
            of_first = next(filter(None, fields), None)
            if of_first is not None:
                starts |= of_first
                rest = phrase.sub(" ", rest)
        beside = phrase.sub(" ", beside)
    left = _unexplained(rest, record)
    if left and (starts or not _YES_NO.search(last)):
        return set()
    if left:
        saying = [(len(value), start) for label, value, start in record.lines[1:] if _says(f"{label} {value}", left)]
        if not saying:
            return set()
        starts.add(min(saying)[1])
    return starts if not _unexplained(beside, record) else set()


def _says(text: str, words: set[str]) -> bool:
    """Whether a field has all words of a question that are left."""
    has = frozenset(language.content_words(text))
    return all(word in has or (language.is_han(word) and len(word) > 1 and word in text) for word in words)


def _without_name(text: str, record: _Record) -> tuple[str, bool]:
    """The text without what it calls the record by, and whether it does: a whole name, or words of one."""
    for name in sorted(record.names, key=len, reverse=True):
        if (at := _whole(name).search(text)) is not None:
            return f"{text[: at.start()]} {text[at.end() :]}", True
    called = False
    for name in record.names:
        if language.is_han(name):
            part = max(
                (name[a:b] for a in range(len(name)) for b in range(a + 2, len(name) + 1) if name[a:b] in text),
                key=len,
                default="",
            )
            if len(part) > 2:
                text, called = text.replace(part, " "), True
        else:
            words = set(language.content_words(name))
            said = [word for word in language.words(text) if language.stem(word) in words]
            if len(set(said)) > 1 and not all(map(str.isdecimal, said)):
                text = re.sub(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, said))})(?![a-z0-9])", " ", text)
                called = True
    return text, called


def _whole(name: str) -> re.Pattern[str]:
    """A name as it stands in a text, between other words."""
    return re.compile(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])")


def _unexplained(rest: str, record: _Record) -> set[str]:
    """The words that are left of a question."""
    left = {word for word in language.content_words(rest) if not language.is_han(word)}
    han = set(re.findall(r"[\u3400-\u9fff]+", _SAID_BESIDE_HAN.sub(" ", rest)))
    return (left - record.identity - _SAID_BESIDE) | han
