"""Which of the mentioned things a request refuses: "not red", "allergic to nuts", "红色的不要". English and Chinese. Pure.

What stands within the reach of a negation that is not understood is doubtful, and becomes no condition at all: a
customer is never shown what they refused because it was taken for a wish. Amounts are `amounts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.recommend.amounts import SPENT

TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[\u3400-\u9fff]|[^\sa-z0-9]")
_HEAVY = "heavy|expensive|big|large|small|tight|loose|warm|hot|cold|thick|thin|long|short|bulky|light|cheap|pricey|dear|wide|narrow|bright|loud|fancy|hard|soft|stiff|far|much|picky|fussy|bad"
_LEAKS = "leak|itch|scratch|pill|shrink|fade|break|slip|smell|sweat|rust|freeze|tear|squeak|hurt|weigh|look|feel|fall"
_IDLE = re.compile(  # words of negation that refuse nothing that could be mentioned
    rf"\bnot (?:only|just|sure|certain|for (?:me|us|myself))\b|\bnothing (?:but|beats|better)\b|\b(?:no|without) (?:problem|doubt|idea|clue|rush|hurry|worries)\b|\bwhy (?:not|don't)\b"
    rf"|(?:\b(?:not|never|isn't|aren't|don't be|be|without being)\b|n't)(?: be| get)?(?: too| so| that| very| overly| all that| as)? (?:{_HEAVY})\b(?! of)"
    rf"|(?:\b(?:not|never)|n't) (?:{_LEAKS})s?\b|(?:\bnot|n't) (?:know|decide|think of|find|wait|forget)\b|\b(?:do|did|have|are|is|would|could|can|wo|ca)n't (?:you|there)\b|\byou (?:do not|don't|did not|didn't|have not|haven't) (?:have|sell|stock|carry|offer|got)\b"
    r"|\b(?:i|we) (?:can't|cannot|could not|couldn't|do not|don't) (?:see|find)\b|\ballerg\w+-(?:friendly|tested|free)|\banti-?\s?allerg\w+|\bno-(?:iron|name|show|slip)\b"
    r"|不知|不确定|不清楚|不了解|不懂|不错|不同|不过(?!敏)|不好意思|不锈|差不多|不仅|不但|不只|不光|不止|不怕|不如|不妨|不得不|不会(?=[选挑搭])|[找买看]不到|([^防含带])不\1|没问题|没关系|没事|没错|没想到|除了(?=[^，。]{1,10}[，,]?还(?:要|想|需要))"
    r"|(?:你们|你|您|店里|这里|难道)(?:就|都|也|还)?没有?(?=[^，。；!！]*(?:吗|么))"
    r"|不(?:想要|想买|要|会|能|用|是|想|得)?(?:太|那么|这么|很|特别|过于)?(?:贵|重|大|小|厚|薄|长|短|紧|松|热|冷|花哨|笨重|显眼|高|低|沉|硬|软|闷|吵|复杂|占地方)(?![^，。]{0,2}色)|别太(?:贵|重|大|小|厚|薄|花哨)"
    r"|不(?:会|能|易)?(?:漏|进|透|渗)水|不(?:会|能|易)?(?:掉色|褪色|起球|变形|缩水|扎|磨脚|打滑|滑|生锈|沾|皱|断|破|臭)"
)
_DOUBT = (  # neither asked for nor refused
    rf"{SPENT}|\b(?:needn't|need not|no need|not necessar\w+|no matter|whether or not|no preference)\b|n't (?:really |even )?(?:need|have) to\b|\bnot (?:need|have|required|necessary) to\b|n't matter\b|(?:n't|\bnot) (?:mind|care)\b"
    r"|\b(?:i|we)(?:(?: do not| don't| did not| didn't| have not| haven't| have never|'ve never)(?: yet| really| even)? (?:have|own|owned|had|got|bought|tried|used|worn|been)\b| have no\b|'ve no\b| haven't any\b)"
    r"|\b(?:is|are|do|does|did)n't (?:it|they|this|that|these|those)\b"
    r"|不介意|不在乎|不在意|不管|不论|无论|无所谓|不限|不需要|不用|不必|无需|不一定|没必要|未必|不挑|不反对|不排斥|不讨厌|不拒绝|我们?(?:家里?)?(?:现在|目前)?(?:还|都|也)?没有?|没[买用穿试]过|[防含带]不(?=[防含带])"
    r"|(?<=[，。；,;!?！？])没有(?=[^，。；]*(?:吗|么))|^没有(?=[^，。；]*(?:吗|么))|非要|非得"
)
_ALLERGY = r"\ballerg\w+(?:\s*(?:to|against|for|:|is|are))?|\bintoleran\w+(?: (?:to|of))?|\bsensitive to|\breact(?:s|ing)?(?: badly)? to|对(?=[^，。；,;]{1,15}(?<!不)(?:过敏|不耐受))"
_STRONG = (
    r"\b(?:no|none|without|w/o|except(?:ing)?(?: for)?|exclud(?:e|es|ing)|other than|apart from|(?:any|every)thing but|all but|nothing|neither|nor|avoid(?:s|ing)?|skip|omit|leave out|minus|ignore|hates?|dislikes?|detest|loathe|refuse|reject|free (?:of|from)|rather than|instead of"
    r"|stay away from|steer clear of|(?:sick|tired) of|fed up with|never|cannot|can not|unable to|not)\b|n't(?: want| like| need| be)?\b"
    r"|不要|不想要|不含|不是|不带|不喜欢|不想买|不买|不吃|不穿|不喝|不接受|不考虑|不能|不可以?|不行|不许|别要|别是|除了|除去|除(?=[^，。,；]{1,12}(?:以外|之外|外))|排除|避免|避开|无法|没法|没办法|难以|去掉|去除|剔除|讨厌|厌恶|反感|嫌弃|拒绝|杜绝|[吃穿戴喝受用]不了|接受不了|忌|勿"
    r"|对(?=[^，。；,;]{1,15}(?:反感|没兴趣|不感兴趣|无感))|(?<!有)没有|(?<![特区级类个性分告识鉴派差辨])别(?![的人处致墅针扭])"
)
_NEAR = r"\bnon\b|非(?![常洲凡得要])|无(?![线论缝痕])|没(?!有)|零"
"""These refuse only what follows at once: "non-slip red boots" are red."""
_CUE = re.compile(
    rf"(?P<doubt>{_DOUBT})|(?P<allergy>{_ALLERGY})|(?P<strong>{_STRONG})|(?P<near>{_NEAR})|(?P<weak>(?<![吃穿戴喝受用])不)"
)
_CLAUSE = re.compile(
    r"[,;.!?，。；！？]|\b(?:but|however|only|please)\b|\b(?:and|so) (?:i|we|would|want|need|like|prefer|looking|please|recommend|show|suggest|can|could|what|which)\b|但是|但|其他|其它|而是|而要|可是|请"
)
_SMALL = frozenset(
    "a an any anything something things the made of in with from by for colour color coloured colored be is are to want like need contain contains containing have has had having show me see"
    " recommend suggest give buy wear wearing eat eating take use drink trace traces too very much got get i we us our my bring offer sell include includes including look looking interested"
    " fond keen tolerate stand bear accept consider go into real pure genuine kind kinds type types sort sorts of more longer all every certain some tree dairy animal reaction reactions"
    " severely highly extremely really ( it they that which".split()
) | frozenset("的用有含牌想要买看推荐喜欢爱吃穿戴喝能可以会得应该考虑接受希望愿意选给我们这那种些款是任何一切所有带里面成分到太再买于和跟让")  # fmt: skip
_JOIN = re.compile(r"^(?:\s|or|nor|and|either|/|&|、|和|或者|或|跟|与|及|色|的|any|a|an)*$")
_LACKS = frozenset({"不带", "不含", "没有", "没", "无"})
_SOUGHT = re.compile(r"(?:推荐|想要|想买|找|挑|选|来|买|有没有|有)[一个款件些只台套点]*$")
_LIST = re.compile(r"^\s*[,，]?\s*(?:or|and|nor|/|、|或者?|和|以及|及|与|跟)?\s*$")
_CLOSES = re.compile(r"or|and|或|和|及|与|跟")
_ACCEPTS = re.compile(
    r"^[色的]*\s*(?:is |are |would be )?(?:fine|ok|okay|good|great|please|instead|可以|也行|也可|就好|都行|就行|行|没问题|倒)"
)
_WITHIN = frozenset("in with of made from by containing contain contains that which are is have has any a an the colour color 里 带 有 含 是 中".split())  # fmt: skip
_RESTRICTS = re.compile(r"\s*(?:(?:that|which|who|whose|with|without|if|when|unless)\b|不|没)")
_REFUSED = re.compile(  # behind what it refuses
    r"^[\s-]*(?:allerg\w+|intoleran\w+)|^[\s-]*(?:ones? |things? )?(?:(?:is|are|was)(?: strictly| absolutely)? )?(?:excluded|excepted|forbidden|off[- ]limits|taboo|a no-?go|dangerous|deadly|(?:bad|poison|a problem) for)\b"
    r"|^ (?:is|are) out\b(?! of)|^ (?:makes?|gives?) me\b|^ (?:is a no\b|(?:isn't|aren't|(?:is |are )?not) (?:for me|ok|okay|fine|wanted|allowed|acceptable|possible|an option|my)\b)"
    r"|^[色的款类牌子制品质材，,]*\s*(?:除外|以外|之外|外(?=的))"
    r"|^[色的款类制品质材]*\s*(?:我们?|孩子|宝宝|他|她|家人|本人)?(?:就|都|也|一律|统统|真的|实在|绝对|是|全|千万|最好)*"
    r"(?:过敏|不耐受|免谈|(?:不要了?|不行|不可以|不考虑|不喜欢|不想要|不想买|不吃|不穿|不买|不接受|不想|算了|别推荐|别要|讨厌|[吃穿戴喝受用]不了|接受不了)(?=[了的啊哦吧呢哈]*\s*(?:$|[,，。；;!！?？、])))"
)
_HARM = re.compile(
    r"\b(?:allerg\w*|intoleran\w+|itch\w*|rash|hives|kills?|anaphyla\w+)\b|(?<![防抗低脱])过敏|(?<![不止])痒|起疹"
)
_FREE = re.compile(r"^[\s-]*free\b(?!\s+(?:shipping|delivery|returns?|of|from)\b)")
_QUESTIONED = re.compile(  # behind what it may refuse
    r"^ (?:ones? |things? )?(?:(?:is|are|does|do|would|can|could|should|must|will|was|were)(?:n't| not\b| never\b)|(?:can't|cannot|won't)\b|or not\b)"
    r"|^[色的款类制品质材]*\s*(?:对?(?:我们?|孩子|宝宝|他|她)(?:来说)?)?(?:就|都|也|一律|真的|实在|绝对|是|千万|最好)*(?:不(?:太|怎么|大|是很)?(?:要|能|可|行|许|准|想|喜|爱|吃|穿|喝|戴|买|用|碰|选|接受|考虑|适合|合适|好|衬|舒服|带|含|是|必|需|一定|重要)|没必要|无所谓|别|勿|忌|免)"
)


_MOST_JOINED = 12
"""So many things are refused by one word behind them."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase of the vocabulary in a text, and the (field, value) pairs that it can mean."""

    start: int
    end: int
    meanings: tuple[tuple[str, str], ...]
    text: str

    @property
    def fields(self) -> set[str]:
        """What it speaks of."""
        return {field for field, _ in self.meanings}

    @property
    def is_goods(self) -> bool:
        """Whether it says what kind of thing is meant."""
        return "category" in self.fields

    def is_kind_of(self, other: Mention) -> bool:
        """Whether the other means several kinds of goods and this some of them: dry food, of food."""
        return self.fields == other.fields == {"category"} and set(self.meanings) < set(other.meanings)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Places in the list of mentions: surely refused, and not surely wanted."""

    denied: frozenset[int]
    doubtful: frozenset[int]


def refusals(text: str, mentions: Sequence[Mention]) -> Refusals:
    """What of the mentions a text (normal form) refuses."""
    text = _idle_blanked(text, mentions)
    denied: set[int] = set()
    doubtful: set[int] = set()
    twice: set[int] = set()  # refused by a negation that stands under another: "not without wool"
    negated: set[int] = set()
    spent: set[int] = set()  # where the negations stand that found what they refuse
    open_from = -1
    for cue in _CUE.finditer(text):
        if any(one.start <= cue.start() < one.end for one in mentions):  # 不锈钢
            continue
        if text[cue.start() - 1 : cue.start()] in {"都", "也"} and any(
            0 <= cue.start() - one.end <= 3 for one in mentions
        ):
            continue  # 红色和黑色都不要的帐篷: it refuses what stands before it
        ahead = _ahead(text, cue, mentions)
        run, maybe = _run(text, cue, ahead, mentions)
        doubtful |= maybe
        if run:
            spent.add(cue.start())
            negated.update(
                run if cue.lastgroup in {"weak", "near"} or cue.group() in {"不是", "没有", "不带", "不含"} else ()
            )
        between = text[open_from : cue.start()]
        under = open_from >= 0 and not _CLAUSE.search(between) and cue.group() not in {"no", "none", "neither", "nor"}
        (twice if under else denied).update(run)
        goods = [number for number in run if mentions[number].is_goods]
        last = mentions[run[-1]].end if run else cue.end()
        if cue.lastgroup == "doubt":
            open_from = -1
        elif not run or (len(goods) == len(run) and _RESTRICTS.match(text, last)):
            open_from = last
        elif not under:
            open_from = -1
    for number, one in enumerate(mentions):
        behind = text[one.end : one.end + 40]
        found = _REFUSED.match(behind) or _FREE.match(behind) or (None if one.is_goods else _QUESTIONED.match(behind))
        if found is None or (
            found.re is not _FREE and any(one.end <= place <= one.end + found.end() for place in spent)
        ):
            continue
        if one.fields == {"name"} and _HARM.search(found.group()):
            continue  # who has the allergy: 孩子过敏
        meant, joined = _chain(text, mentions, number)
        if found.re is _REFUSED:
            denied |= meant
            doubtful |= joined
            twice |= meant & negated  # 不防水的不要
        elif found.re is _FREE:
            denied.add(number)
            doubtful |= (meant | joined) - {number}
        else:
            doubtful |= meant
    doubtful |= _near_harm(text, mentions, bool(denied))
    denied -= twice
    return Refusals(frozenset(denied), frozenset((doubtful | twice) - denied))


def cues(text: str, mentions: Sequence[Mention]) -> list[re.Match[str]]:
    """The words of a text that refuse what follows."""
    found = _CUE.finditer(_idle_blanked(text, mentions))
    return [cue for cue in found if cue.lastgroup not in {"doubt", "weak"}]


def blanked(text: str, mentions: Sequence[Mention]) -> str:
    """The text without its mentions, as long as it was."""
    for one in mentions:
        text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    return text


def is_refused(text: str, start: int) -> bool:
    """Whether a negation stands right before a place: "not size 43"."""
    return any(cue.end() <= start and is_small(text[cue.end() : start]) for cue in cues(text, ()))


def is_small(words: str) -> bool:
    """Whether words say nothing of their own between a negation and what it refuses."""
    return _SMALL.issuperset(TOKEN.findall(words))


def _idle_blanked(text: str, mentions: Sequence[Mention]) -> str:
    """The text without the words of negation that refuse nothing: "not only", "don't you have", 不错."""
    starts = {one.start for one in mentions}

    def blank(found: re.Match[str]) -> str:
        speaks = starts.intersection(range(found.start(), found.end()))  # "not too light blue"
        return found.group() if speaks else " " * len(found.group())

    return _IDLE.sub(blank, text)


def _ahead(text: str, cue: re.Match[str], mentions: Sequence[Mention]) -> list[int]:
    """The mentions behind a cue in its clause. A bare 不 with a verb of its own ends at 的: 不起球的羊毛衫."""
    found = []
    for number, one in enumerate(mentions):
        if one.start < cue.end():
            continue
        between = text[cue.end() : one.start]
        if _CLAUSE.search(between) or (cue.lastgroup == "weak" and "的" in between and not is_small(between)):
            break
        found.append(number)
    return found


def _run(
    text: str, cue: re.Match[str], ahead: Sequence[int], mentions: Sequence[Mention]
) -> tuple[list[int], set[int]]:
    """Of the mentions ahead of a cue: those it surely refuses (the first, and what is joined to it), those in doubt."""
    if cue.lastgroup == "doubt":
        return [], {number for number in ahead if not mentions[number].is_goods}
    run: list[int] = []
    doubtful: set[int] = set()
    at = cue.end()
    for number in ahead:
        one, between = mentions[number], text[at : mentions[number].start]
        if not run:
            if not is_small(between) or (cue.lastgroup == "near" and between.strip(" -")):
                break
        elif one.is_goods and between.strip() == "的" and _is_without(text, cue):  # 不带过滤的鱼缸 is a tank
            break
        elif not (_JOIN.match(between) and one.fields & mentions[run[-1]].fields):
            if all(mentions[place].is_goods for place in run) and not one.is_goods:  # "no tents in red"
                kinds = {meaning for place in run for meaning in mentions[place].meanings}
                apart = any(
                    kinds & set(other.meanings) and other.text != mentions[run[0]].text for other in mentions[: run[0]]
                )
                words = set(TOKEN.findall(between))
                if apart or not words or not words <= _WITHIN:
                    doubtful.add(number)
                    if words and not apart:
                        doubtful |= set(run)
                        run = []
                    break
                run = []
            else:
                break
        run.append(number)
        at = one.end
    if not run:
        return [], doubtful or (set() if cue.lastgroup == "near" else set(ahead))
    more, closed = _listed(text, mentions, run)
    if closed and cue.group() not in {"not", "n't", "不是", "n't be"}:
        return run + more, doubtful
    return run, doubtful | set(more)


def _is_without(text: str, cue: re.Match[str]) -> bool:
    """Whether a cue says what the goods behind it are to lack; 不要狗的玩具 may refuse the goods themselves."""
    return cue.group() in _LACKS or (cue.group() == "不要" and bool(_SOUGHT.search(text[: cue.start()])))


def _listed(text: str, mentions: Sequence[Mention], run: Sequence[int]) -> tuple[list[int], bool]:
    """What goes on a list of refused things behind a comma ("wool, down or silk"), and whether an "or" closes it."""
    more: list[int] = []
    closed = False
    last = run[-1]
    while last + 1 < len(mentions) and mentions[last + 1].fields & mentions[run[-1]].fields:
        between = text[mentions[last].end : mentions[last + 1].start].strip("色的 ")
        if not _LIST.match(between) or not between:
            break
        closed = closed or bool(_CLOSES.search(between))
        last += 1
        more.append(last)
    if not more:
        return [], False
    follows = last + 1 < len(mentions) and not text[mentions[last].end : mentions[last + 1].start].strip("色的 ")
    if _ACCEPTS.match(text[mentions[last].end :]) or (follows and mentions[last + 1].is_goods and not closed):
        return [], False
    return more, closed


def _near_harm(text: str, mentions: Sequence[Mention], understood: bool) -> set[int]:
    """What is spoken of beside an allergy; where nothing was understood to be refused, all that is mentioned."""
    found: set[int] = set()
    for harm in _HARM.finditer(text):
        beside = {
            number
            for number, one in enumerate(mentions)
            if not one.is_goods
            and one.fields != {"name"}
            and not re.search("[,;.!?，。；！？]", text[min(harm.end(), one.end) : max(harm.start(), one.start)])
        }
        found |= beside or {number for number, one in enumerate(mentions) if not understood and not one.is_goods}
    return found


def _chain(text: str, mentions: Sequence[Mention], last: int) -> tuple[set[int], set[int]]:
    """What a refusal behind a mention means (红色的帐篷不要: the red ones), and what joined to it is in doubt."""
    first = last
    while first and last - first < _MOST_JOINED and _JOIN.match(text[mentions[first - 1].end : mentions[first].start]):
        first -= 1
    places = range(first, last + 1)
    said = [place for place in places if not mentions[place].is_goods] or [last]
    meant = {place for place in said if mentions[place].fields & mentions[said[-1]].fields}
    return meant, set(said) - meant
