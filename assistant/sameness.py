"""Whether two questions ask the same: likeness alone does not tell, so the rules refuse when in doubt. Pure.

"What does delivery to Germany cost?" is nearer to the same about Austria than to most of its own paraphrases. So a
likeness of vectors only proposes; it counts where both have the same numbers, names, denials, the same kind of
question, no word that the other lacks but fillers and synonyms, and the same direction ("from A to B"). A refused
paraphrase costs the approved answer one customer, who gets the ordinary one; a wrong one would be a false answer in
the staff's name.
Calibrated on `benchmarks/calibration/same_questions.jsonl`: `python -m benchmarks curated`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

from assistant import language
from assistant.facts import facts, fold, root

LIKENESS = {"minilm": 0.80, "use-multilingual": 0.75, "bilingual": 0.78}
"""The least cosine of two questions' vectors, by embedder; others propose nothing.

One in twenty of the paraphrases that pass the rules is less alike; no near miss of the calibration passes the rules.
"""


def same_words(one: str, other: str) -> bool:
    """Whether they are the same but for case, punctuation and white space."""
    return _bare(one) == _bare(other)


def difference(one: str, other: str) -> str:
    """Why two like questions are not the same; "" where nothing tells them apart.

    >>> difference("What does delivery to Germany cost?", "How much is shipping to Germany?")
    ''
    >>> difference("What does delivery to Germany cost?", "What does delivery to Austria cost?")
    'another name'
    >>> difference("Can I cancel before dispatch?", "Can I cancel after dispatch?")
    'another alternative'
    """
    for reason, holds in _CHECKS.items():
        if not holds(one, other):
            return reason
    return ""


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())


# What a question counts, denies, asks for and names


_COUNT_WORDS = {word: str(n) for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}
_COUNTED = re.compile(r"(\d[\d.,]*|\b(?:" + "|".join(_COUNT_WORDS) + r")\b)\s*([^\W\d_]+)", re.IGNORECASE)


def _moved(one: str, other: str) -> bool:
    """Whether a number that both have counts something else: two vouchers in one order, one voucher in two."""
    counted = dict(_counts(other))
    return any(number in counted and counted[number] != what for number, what in _counts(one))


def _counts(text: str) -> list[tuple[str, str]]:
    found = _COUNTED.findall(unicodedata.normalize("NFKC", text))
    return [(_COUNT_WORDS.get(number.lower(), number), _same(language.stem(what.lower()))[: 2 if what[0] > "⺀" else None])
            for number, what in found]  # fmt: skip


_EITHER_OR = re.compile(r"(.)[不没]\1|有没有|可不可以|是否")
_DENIAL = re.compile(r"\b(?:not|no|never|without|cannot|non|unable|\w+n['’]t)\b|[不没無无未勿非]", re.IGNORECASE)


def _denials(text: str) -> int:
    return len(_DENIAL.findall(_EITHER_OR.sub("", text)))


_KINDS = {
    "cost": r"\bhow much\b(?! (?:can|may)\b|.{0,30}\bweigh)|\bcosts?\b|\bprices?\b|\bpricing\b|\bfees?\b|\bcharged?\b|多少钱|几钱|费用|运费|手续费|收费|年费|价格|价钱|收多少|免费",
    "free": r"\bfree\b|\bgratis\b|\bat no cost\b|免费|免运费|包邮",
    "term": r"\bhow (?:long|fast|soon|quick\w*|many (?:working |business )?(?:days|weeks|months|years|hours))\b|\b(?:return|warranty|delivery|notice|cancellation) (?:period|time)\b|\bdeadline\b|\buntil when\b|多久|几天|多少天|期限|几年|几个月|多长时间",
    "when": r"(?<!until )\bwhen\b(?! i\b)|\bwhat time\b|\bopening (?:hours|times?)\b|几点|营业时间|什么时候|何时",
    "where": r"\bwhere\b|\baddress\b|哪里|哪儿|在哪|何处|地址",
    "why": r"\bwhy\b|为什么|为何",
    "who": r"\bwho(?:se|m)?\b|谁",
    "how": r"\bhow (?:do|can|should|must|to|would|am|will|are)\b|\bhow\W*$|\bwhat (?:do|must|should) i (?:\w+ ){0,3}do\b|\bbest way\b|怎么(?!样)|如何|怎样",
    "often": r"\bhow often\b|多久一次",
    "limit": r"\blimit\b|\bmaximum\b|\bminimum\b|\bat (?:most|least)\b|\bup to\b|限额|最多|最少|最低|最高|最长|上限",
    "count": r"\bhow many\b(?! (?:working |business )?(?:days|weeks|months|years|hours))|多少(?!钱|天)[积分个张件]|几(?=[个分张期件])",
    "weight": r"\bweigh\w*\b|\bheavy\b|重量|多重",
}  # fmt: skip
_KIND = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _KINDS.items()}


@functools.lru_cache(maxsize=4096)
def _kinds(text: str) -> frozenset[str]:
    """What is asked for: a price, a time, the way to do it. What is free is asked for by that word alone."""
    found = {name for name, pattern in _KIND.items() if pattern.search(text)}
    if _HAN.search(text) and not _ASKS_WHAT.search(text) and (not found or _YES_OR_NO.search(text)):
        found.add("whether")  # whether there is a members' price; not: how much it is
    return frozenset(found - {"cost"} if "free" in found else found)


_ASKS_WHAT = re.compile(r"多[少久长高大重远快]|几|什么|啥|怎|如何|何时|何处|为何|哪|谁")
_YES_OR_NO = re.compile(r"吗|" + _EITHER_OR.pattern)


_NAME = re.compile(r"\b[A-Z][\w'’-]*|\b[A-Za-z][\w-]*\d[\w-]*")
_HAN = re.compile(r"[\u3400-\u9fff]")


def _other_names(one: str, other: str) -> set[str]:
    """The names in one that the other does not have: capitals within a sentence, Latin letters among Chinese ones."""
    known = {language.stem(word.lower()) for word in re.findall(r"[\w'’-]+", _HAN.sub(" ", other))}
    text = _HAN.sub(" ", one)
    found = {match.group() for match in _NAME.finditer(text) if re.search(r"[\w,;:)]\s*$", text[: match.start()])}
    return {name for name in found - {"I", "I'm", "I'd", "I've"} if language.stem(name.lower()) not in known}


_CHOICES = tuple(
    re.compile(choice, re.IGNORECASE)
    for choice in (
        r"\bbefore\b|\bprior\b", r"\bafter\b|\bonce\b", r"\bduring\b|\bwhile\b", r"\bsince\b", r"\bbetween\b",
        r"\b(?:over|above|more|most)\b", r"\b(?:under|below|less|least)\b", r"\bonly\b", r"\b(?:all|every|each)\b",
        r"\bfrom\b", r"\bi (?:have to |need to |must )?(?:pay|cover|bear|send)\b(?! (?:with|by|in|for))|我(?:自己|要|需要|来)*(?:出|支?付(?!款)|承担)",
        r"\byou (?:buy|purchase|collect|pick|fetch|call)\b",
        r"\bif\b|\bunless\b|\bexcept\b", r"\bother than\b|\bbesides\b", r"\bout\b|\boff\b",
    )
)  # fmt: skip
"""Small words that change what is asked: both questions have them, or neither."""

# What a question says


@functools.lru_cache(maxsize=4096)
def _said(text: str) -> frozenset[str]:
    """Its words in one form each; of Chinese its characters. Fillers and what only asks do not count."""
    if _HAN.search(text):
        text = unicodedata.normalize("NFKC", text)
        for pattern, same in _HAN_SAME:
            text = pattern.sub(same, text)
        return frozenset(map(_same, re.findall(r"[\u3400-\u9fff]|\d+|[a-z]+", text.lower())))
    text = text.replace("’", "'")
    for pattern, same in _LATIN_SAME:
        text = pattern.sub(same, text)
    return frozenset(map(_same, language.content_words(text))) - _FILLERS


def _same(word: str) -> str:
    return root(_SAME.get(fold(word), fold(word)))


_DAYS = r"many (?:working |business )?(?:days|hours)"
_LATIN_SAME = tuple(
    (re.compile(pattern, re.IGNORECASE), same)
    for pattern, same in (
        (rf"(\bhow (?:long|{_DAYS})\b.*)\btakes?\b", r"\1"), (r"\byou take\b", "you accept"),
        (rf"\bbest way\b|\bhow (?:{_DAYS}|fast|quick\w*|soon|high)\b|\bopening (?:hours|times?)\b", " "),
        (r"\byou offer\b|\bgives? me\b", " "), (r"\bin a single\b", "in one"),
    )
)  # fmt: skip
"""Where a word only asks, or stands for another; elsewhere the same word tells questions apart."""
_SAME = {
    "delivery": "ship", "dispatch": "ship", "post": "ship", "postage": "ship", "swap": "exchange",
    "installment": "instalment", "children": "child", "kid": "child", "knives": "knife", "redeem": "use",
    "reimburse": "refund", "purchase": "buy", "mobile": "phone", "cell": "phone", "colour": "color", "e-mail": "email",
    "mail": "email", "accessible": "access", "accessibility": "access", "withdrawal": "withdraw", "cancelling": "cancel", "cancelled": "cancel",
    "coupon": "voucher", "daily": "day", "hourly": "hour", "monthly": "month", "yearly": "year", "annual": "year", "weekly": "week",
    "different": "another", "booked": "book", "reservation": "book", "reserve": "book", "repairing": "repair", "store": "shop", "stores": "shop",
}  # fmt: skip
_FILLERS = frozenset(
    root(fold(word))
    for word in (
        "possible able allow still way go put come work run please kind type sort cost "
        "price fee charge long time period opening deadline until possibly actually exactly "
        "currently wonder wondering question ask explain help thing stuff forgot forget need want would what's whats "
        "how's it's is isn't i'm i'd per one into currently information info about hi hello "
        "hey there dear team generally usually happen make happens sure anyone anybody somebody someone rather "
        "back send sent shall may might even"
    ).split()
) - {root("back"), root("send")}  # fmt: skip
_HAN_SAME = tuple(
    (re.compile(pattern), same)
    for pattern, same in (
        (r"(.)[不没]\1", r"\1"),
        (r"[能可][不]?[能可]以?|(?<!不)可以|能够|能(?!量)|是不是|是否|有没有|要不要|请问|麻烦|一下|你们|您们?|我们?|我|想要?|该|应该?|成为|收到|支持|办理|需要|要", ""),
        (r"如何|怎样|怎么办?", ""), (r"之前|以前", "前"), (r"之后|以后", "后"), (r"之内|以内", "内"), (r"丢失", "丢"),
        (r"星期|礼拜", "周"), (r"国外|海外", "境外"), (r"现金", "现"), (r"送货到|寄到|寄往|寄去|送到|发货到|配送到", "寄"),
        (r"几点开门.?几点关门", ""), (r"开门", "开"), (r"关门", "关"), (r"接受", "收"),
        (r"多少天|几天|多久|多长时间|期限", "限"), (r"收?多少钱|几钱|价格|价钱|费用|收费|手续费|运费", "费"), (r"每日", "每天"), (r"支付", "付"),
        (r"付款", "付"), (r"取消", "消"), (r"利息", "利率"),
        (r"多少|什么时候|几点|何时|营业时间|几|什么|吗|呢|呀|啊|的|是|了|个|有|在|到|放进|放|进|里|和|会|都", ""),
    )
)  # fmt: skip

_TURN = re.compile(
    r"(?P<to>\b(?:in|on)?to\b|[寄换转兑改]?[到至往成]|[寄换转兑]|[升降]级)|(?P<source>\bfrom\b|从)|(?P<purpose>\bfor\b)|(?P<with>\bwith\b)"
    r"|(?P<than>\bthan\b|\binstead of\b|比|而不是|代替)|(?P<before>\bbefore\b|前)|(?P<after>\bafter\b|后)|[,;:?!，；：？！]| - ",
    re.IGNORECASE,
)
_PERSON = re.compile(r"^ (?:me|us|you)\b|^给?[我你您]")  # elsewhere they say nothing of the subject


@functools.lru_cache(maxsize=4096)
def _sides(text: str) -> dict[str, frozenset[str]]:
    """What follows the last word of each kind that has two sides, up to the next: {"source": {"basic"}, "to": {"pro"}}."""
    found: dict[str, frozenset[str]] = {}
    for turn in _TURN.finditer(text):
        if turn.lastgroup:
            rest = _TURN.split(text[turn.end() :], maxsplit=1)[0]
            found[turn.lastgroup] = _said(rest) | set(_PERSON.findall(rest.lower()))
    return found


def _turned(one: str, other: str) -> bool:
    """Whether words change sides: from Basic to Pro, from Pro to Basic. Elsewhere paraphrases order them freely."""
    theirs = _sides(other)
    return any(said - theirs.get(turn, said) and theirs[turn] - said for turn, said in _sides(one).items())


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "another language": lambda one, other: bool(_HAN.search(one)) == bool(_HAN.search(other)),
    "another number": lambda one, other: facts(one) == facts(other) and not _moved(one, other),
    "another denial": lambda one, other: _denials(one) == _denials(other),
    "another kind of question": lambda one, other: _kinds(one) == _kinds(other),
    "another name": lambda one, other: not (_other_names(one, other) or _other_names(other, one)),
    "another alternative": lambda one, other: all(bool(it.search(one)) == bool(it.search(other)) for it in _CHOICES),
    "another word": lambda one, other: _said(one) == _said(other),
    "another order": lambda one, other: not _turned(one, other),
}
"""reason -> whether two questions agree in it."""
