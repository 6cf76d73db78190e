"""Whether a message asks for goods, for an answer, or for both; and how a follow-up refines what was shown.

Rules, not a model. A question about terms, orders or facts must reach the documents, so a message is taken for a
wish only where its words say so and the catalogue has something that it names. English and Chinese. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from assistant.recommend.cells import normal
from assistant.recommend.orders import COMPARED
from assistant.recommend.requests import Wish

MOST_CALLED = 3
"""Items that a message calls by name, to be shown beside its answer."""
Decision = Literal["answer", "advise", "both"]
Turn = Literal["cheaper", "dearer", "like", "other", "compare", "about", "refine"]
_STRONG = re.compile(
    r"\b(?:recommend|recommendations?|suggest|suggestions?|gift idea|show me|find me|help me (?:find|choose|pick)|which \w+(?: \w+)? (?:should|would) (?:i|you))\b|推荐|给我看|帮我(?:找|挑|选)|送礼|礼物"
)
_WISH = re.compile(
    r"\b(?:i'm |i am |we're |we are )?(?:looking for|searching for|after a|in search of)\b|\b(?:(?:i|we)(?:'d like| would like| want| need|'m in need of)|and (?:need|want) (?:an?|some|new))\b(?! to (?:return|exchange|cancel|know|complain|speak|talk|track|send|change))"
    r"|\b(?:something|anything|gift) (?:like|similar|for|from|by|in|under|below|waterproof|warm|light)|\bgift for\b|^(?:any|a|an|some)\b|想买|想要|要买|需要|想找|找一|来一|挑一|买一|看看|类似|预算|\bbudget\b"
)
_HAVE = re.compile(
    r"\bdo (?:you|u|ya) (?:have|sell|stock|carry)\b|\b(?:you )?got any\b|\bhave you got\b|\bare there any\b|有没有|有哪些|有什么"
)
_QUESTION = re.compile(rf"{_HAVE.pattern}|\b(?:which|what)\b|哪(?:些|款|种|个)|(?:有|卖|出售)[^，。,;；]*吗[？?]?$")
_ASKED = re.compile(r"^(?:is|are|do|does|did|can|will)\b|(?:吗|呢|[?？])$")
_ANYTHING = re.compile(
    r"\b(?:(?:some|any)thing|gifts?|presents?)\b|\bwhat (?:else )?(?:do you|have you) (?:have|got|sell|stock|carry)\b|有什么|有哪些|买到?(?:点|些)?什么|东西|礼物"
)
"""Stands for goods of any kind."""
_TERMS = re.compile(
    r"\b(?:return\w*|refund\w*|exchang\w+|repair\w*|warranty|guarantee|deliver\w*|shipping|shipped|ship|cancel\w*|wash\w*|clean\w*|pay\w*|invoice|complain\w*|broken|torn|store|shop|open(?:ing)?|track\w*|voucher|coupon|discount|"
    r"order(?:ed|s)?|account|membership|policy|how (?:do|can|long|many|often|does|should)|am i|why|when|where|who)\b"
    r"|退|换货|维修|修理|保修|质保|配送|发货|运费|送货|清洗|怎么(?!.?[这那]么)|如何|多久|什么时候|哪里|为什么|支付|付款|发票|优惠券|会员|订单|取消|投诉|上门|回收|寄养|分期|预约|包赔|赔[付偿]|保活|(?<![免易])安装"
)
"""What is said of terms, orders and accounts."""
_MAY = re.compile(r"\b(?:can|could|may) i\b|能不能|可以.{0,6}吗")
"""Asks leave for something, or politely for goods: "can I see cheaper ones?"."""
_FACTS = re.compile(r"\b(?:how much|is it|is the|is this|does|difference|compare|mean|weigh\w*|cost)\b|多少钱|区别")
"""What is asked of a thing that is known already."""
_GENERIC = re.compile(
    r"\b(?:something|anything|products?|items?|gift|present|what(?:'s| is) (?:new|popular)|me)\b[\s.!?]*$|\bfor me\b|(?:商品|东西|产品|礼物|什么好)"
)
_GOODS = {"category", "brand", "colour", "material", "name", "size", "season", "waterproof", "capacity"}
_CHEAPER = re.compile(
    r"\b(?:cheaper|less expensive|lower(?:-| )priced?|more affordable|not (?:so|as|that) expensive|too expensive)\b|便宜[一点些的]*|太贵|更实惠|低价"
)
_DEARER = re.compile(r"\b(?:more expensive|higher end|better quality|premium|pricier)\b|更好的|更贵|高端|贵一点")
_LIKE = re.compile(
    r"\b(?:more |others? |something |anything |similar |ones? )*(?:like|similar to|resembling)\b|类似|相似|像|同类"
)
_OTHER = re.compile(
    r"\b(?:(?:show|any|what|see|some)(?: \w+){0,2} (?:more|others?|else)|(?:some|any)thing else|(?:more|other) (?:options|choices|ones|results)|none of (?:these|those|them))\b|^(?:show me )?(?:the )?(?:more|others?|next)(?: ones?)?(?: please)?[\s.!?]*$|换一批|还有别的|还有其他|别的|其他的|再来|更多"
)
_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5, "last": -1,
    "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9, "10": 10,
}  # fmt: skip
_POINTED = re.compile(
    r"(?:\bthe )?\b(?:first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th) (?:one|item|product)\b|\b(?:number|option) ?\d{1,2}\b"
    r"|\bthe (?:first|second|third|fourth|fifth|last)(?=\W*$| (?:is|has|in|come|comes|cost|costs|weigh|weighs|available|made)\b)"
    r"|(?:第\s*(?:[一二三四五]|\d{1,2})|最后一?)\s*[个款件种](?!月|小时|星期|礼拜)",
    re.IGNORECASE,
)
"""One of a list, in a question about it; "the first appointment" is none."""
_PLACE = re.compile(
    r"\b(?:the |number |no\.? ?|#)?(first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th)\b|\b(?:number|no\.?|option|#) ?(\d{1,2})\b|第\s*([一二三四五]|\d{1,2})\s*[个款件种]?|(最后)一?[个款件种]"
)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """How a message changes what was shown. `place` counts from 1 (-1 = the last, 0 = none was named)."""

    turn: Turn
    place: int = 0


def decide(message: str, wish: Wish) -> Decision:
    """What a message wants, where nothing was shown before.

    >>> from assistant.goods import Condition
    >>> tents = Wish((Condition("category", "is", ("tents",)),), "")
    >>> decide("recommend a tent", tents), decide("Can I return a tent?", tents), decide("Which tents do you have?", tents)
    ('advise', 'answer', 'advise')
    """
    text = normal(message).strip()
    named = {one.field for one in wish.conditions} & _GOODS
    choices = any(one.test in {"is", "not"} for one in wish.conditions)  # of the shop's own columns, too
    terms = bool(_TERMS.search(text) or _MAY.search(text))
    service = terms or bool(_FACTS.search(text))
    strong = bool(_STRONG.search(text))
    if strong and (named or _GENERIC.search(text) or wish.like_own):
        return "both" if service else "advise"
    anything = _ANYTHING.search(text) and (_QUESTION.search(text) or _WISH.search(text) or _ANYTHING.match(text))
    if choices and not named and not terms and (strong or anything):
        return "both" if wish.unread or service else "advise"
    if wish.order is not None and "category" in named and not (service and wish.unread):
        return "advise"
    if wish.called and not terms and len(wish.called) <= MOST_CALLED:
        return "both"
    priced = any(one.field == "price" for one in wish.conditions)
    if priced and not named and not service and _ANYTHING.search(text) and not wish.unread:
        return "advise"
    if priced and not named and not service and wish.hinted and (strong or _WISH.search(text)):
        return "both"
    if service or not (named or wish.like_own):
        return "answer"
    if _QUESTION.search(text):
        if "category" in named and not wish.unread:
            return "advise"
        return "both" if "category" in named or len(named) > 1 else "answer"
    if wish.like_own:
        return "advise"
    if _WISH.search(text):  # "I need help pitching my tent" may be no wish for a tent
        return "both" if wish.unread else "advise"
    refuses = len(named) > 1 and any(one.test == "not" for one in wish.conditions)  # 不要红色的 斗鱼
    if len(wish.conditions) == 1 or not ("category" in named or refuses):
        return "answer"
    return "both" if wish.unread or _ASKED.search(text) else "advise"


def wants(message: str) -> bool:
    """Whether the words themselves ask for goods, so that it is worth saying that there are none."""
    text = normal(message).strip()
    return any(words.search(text) for words in (_STRONG, _WISH, _HAVE))


def with_name(message: str, name: str) -> str:
    """The message with the item that it points to called by its name.

    >>> with_name("Is the second one in stock?", "Rain Boot")
    'Is Rain Boot in stock?'
    """
    return _POINTED.sub(lambda _: name, message, count=1)


def follow_up(message: str, wish: Wish) -> FollowUp | None:
    """How a message refines the list that was shown before; None where it is about something else.

    >>> follow_up("more like the second", Wish((), "")), follow_up("便宜一点的", Wish((), ""))
    (FollowUp(turn='like', place=2), FollowUp(turn='cheaper', place=0))
    """
    text = normal(message).strip()
    place = _place(text)
    kind = any(one.field == "category" for one in wish.conditions)
    terms = bool(_TERMS.search(text))
    if wish.order is not None and not terms and (place or not wish.unread) and COMPARED.search(text):
        return FollowUp("compare")
    if wish.order is not None and not kind and not wish.unread:  # "which of them is the lightest?"
        return FollowUp("refine")
    if terms:  # "is express delivery cheaper?"
        return None
    about = FollowUp("about", place) if place and _POINTED.search(text) else None
    if _CHEAPER.search(text):
        return FollowUp("cheaper", place)
    if _MAY.search(text) or _FACTS.search(text):
        return about
    if _DEARER.search(text):
        return FollowUp("dearer", place)
    if place and _LIKE.search(text):
        return FollowUp("like", place)
    if _OTHER.search(text):
        return FollowUp("other", place)
    short = len(re.findall(r"[a-z0-9']+|[\u3400-\u9fff]", text)) <= 12
    # 第二个有货吗 asks of one item, it does not refine the list.
    changed = [one for one in wish.conditions if about is None or one.field != "stock"]
    if short and changed and not (kind or wish.called):
        return FollowUp("refine", place)
    return about


def _place(text: str) -> int:
    found = _PLACE.search(text)
    if found is None:
        return 0
    said = next(group for group in found.groups() if group)
    return -1 if said == "最后" else _ORDINALS.get(said, 0)
