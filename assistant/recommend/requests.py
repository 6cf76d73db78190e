"""A customer's words to hard conditions, in English and Chinese, by the catalogue's own vocabulary.

Rules, not a model: what is understood is shown as a filter that can be edited, and what is not understood
stays in `about` for the ranking, which never breaks a condition. Whether a message asks for goods at all is
decided in `intents.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.goods import Condition
from assistant.language import content_words, stem
from assistant.recommend.amounts import amounts
from assistant.recommend.cells import holds, normal
from assistant.recommend.lexicon import TERMS
from assistant.recommend.table import Table

Words = Mapping[str, Mapping[str, Sequence[str]]]
_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[\u3400-\u9fff]|[^\sa-z0-9]")
_NOT = re.compile(
    r"\b(?:not|no|non|without|except(?:ing)?(?: for)?|excluding|other than|(?:any|every)thing but|all but|nothing|neither|nor|avoid|hate|free of|rather than|instead of)\b"
    r"|n't(?: want| like| need| be)?\b|不要|不想要|不含|不是|不带|不喜欢|别要|别是|除了|除去|排除|避免|非(?!常)|(?<!有)没有|别"
)
_CLAUSE = re.compile(r"[,;.!?，。；！？]|\b(?:but|however|only|please)\b|但是|但|其他|其它")
_SMALL = frozenset(
    "a an any anything something things the made of in with from by colour color coloured colored be is to want like need contain containing 的 用 有 含 牌".split()
)
_JOIN = re.compile(r"^(?:\s|or|nor|and|either|/|、|和|或者|或|跟|与|色|的|any|a|an)*$")
_STOCK = re.compile(r"\b(?:in stock|on stock|available(?: now)?|ready to ship)\b|有货|现货|有库存")
_PERSONS = re.compile(
    r"(?:\bfor )?\b(one|two|three|four|five|six|seven|eight|\d+)[\s-]*(?:person|persons|people|man|adults)\b|(\d+)\s*人"
)
_SIZE = re.compile(
    r"\b(?:in )?(?:a )?(?:size|sz|eu)\s*:?\s*([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)\b|\b([2-4]?x{1,3}[sl])\b|\bin ([sml])\b|([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)\s*[码号]|[尺码]码?\s*[:：是为]?\s*([2-4]?x{0,3}[sml]|\d{1,3})\b"
)
_ASIDE = re.compile(r"\b(?:in|inside|for|on|onto|with|under|into|beside) (?:the|my|a|an|our|your) $")
_OR_SIZE = re.compile(r"\s*(?:or|/|或者?)\s*([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)(?![\w.])")
_BARE = re.compile(
    r"(?<![\w.,-])(\d{1,3}(?:\.5)?)(?=\s*(?:$|[,;.!?，。]|(?:and|or|for|in|with|but|not|please|under|below|max|up)\b))"
)
_FOR_SO_MANY = re.compile(
    r"\bfor (one|two|three|four|five|six|seven|eight|[1-8])(?=\s*(?:$|[,;.!?，。]|(?:and|or|in|with|but|not|please|under|below|max|up)\b))"
)
_OWN = re.compile(
    r"\b(?:like|similar to|as|such as|matching|match)\s+(?:the|my|those|that)\b[^,.;!?]{0,40}?(?:\b(?:i|i've|i have)\s+(?:already\s+)?(?:bought|ordered|own|have|got|purchased)\b|(?<=my )\w+)"
    r"|(?:类似|像|和|跟|与)我?(?:之前|上次|以前|已经)?我?买过?的"
)
_GOES_WITH = re.compile(
    r"\b(?:to go|goes|go|going|fits?|for use|to use) with (?:the|my)\b[^,.;!?]*|(?:搭配|配)我的[^，。；]*"
)
_CHEAPEST = re.compile(r"\b(?:cheapest|least expensive|lowest[ -]priced?|most affordable)\b|最便宜|最低价|价格最低")
_DEAREST = re.compile(r"\b(?:most expensive|dearest|priciest|highest[ -]priced?)\b|最贵|价格最高")
_LIGHTEST, _HEAVIEST = re.compile(r"\blightest\b|最轻"), re.compile(r"\bheaviest\b|最重(?!要)")
_ASKING = frozenset(
    "u got sell stock carry offer look looking search want need like find show buy please person people one ones them these those which"
    " recommend suggest gift something anything i'm i'd we're we'd hi hello hey".split()
)
_ASKING_ZH = re.compile(
    r"有没有|没有|哪[些款种个双顶件条]?|什么|推荐|想|需要|适合|请问|可以|你好|您好|[你您我]们?|一?[个款双顶件条种]|帮|给|看|找|买|卖|要|的|是|有|吗|呢|啊|能|最|里面?"
)
"""Words of a request that ask for goods and say nothing of which."""
_NUMBERS = {word: number for number, word in enumerate("one two three four five six seven eight".split(), start=1)}
_NOT_DOWN = (
    set("go come get calm slow cut narrow bring sit write break walk up scroll mark marked way".split()),
    set("to the from on below under by".split()),
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to come first: the least of a numeric field, or the most."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A request understood: hard conditions, what is left of the text, and whether it points to what was bought.

    `order` is what a superlative asked for ("the cheapest"); `unread` are the words of substance that became neither.
    `called` are the ids of the items that it calls by their whole names.
    """

    conditions: tuple[Condition, ...]
    about: str
    like_own: bool = False
    currency: str = ""
    order: Order | None = None
    unread: tuple[str, ...] = ()
    called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    meanings: tuple[tuple[str, str], ...]
    text: str


class Vocabulary:
    """What can be said about one catalogue. Built once; `understand` is pure."""

    def __init__(self, table: Table, words: Words) -> None:
        self._table = table
        self._phrases: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._names = {stem(token) for text in table.column("name").cells for token in _TOKEN.findall(normal(text))}
        for field, values in words.items():
            for value, spellings in values.items():
                if field in table.fields:
                    self._add(field, value, [value, *spellings])
        self._called = _whole_names(table)
        self._longest_name = max((len(phrase) for phrase in self._called), default=0)
        self._categories()
        self._attributes()
        for field, value, term in ((f, v, t) for f, terms in TERMS.items() for v, t in terms.items()):
            if field in table.fields:
                self._add(field, value, [word for word in term.words if not self._taken(word)])
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)
        numeric = [name for name in table.attributes if table.is_numeric(name)]
        self._weight = next((name for name in numeric if name.startswith("weight")), "")
        self._numeric = [name for name in numeric if name != self._weight]

    def understand(self, request: str) -> Wish:
        """The conditions of a request.

        Each is one that the catalogue has a field for; a value that no row has is still a condition, so that
        an impossible wish is answered as one.
        """
        text = normal(request)
        own, called = _OWN.search(text), self._items_called(text)
        text = _GOES_WITH.sub(lambda match: " " * len(match.group()), text)
        conditions: list[Condition] = []
        text, order = self._order(text)
        text, stock = _STOCK.subn(" ", text)
        if stock and "stock" in self._table.fields:
            conditions.append(Condition("stock", ">=", ("1",)))
        found = amounts(text, columns=self._numeric, weight=self._weight)
        text = self._persons(found.rest, conditions)
        text = self._sizes(text, conditions)
        mentions = self._mentions(text)
        conditions = [*self._choices(text, mentions), *found.conditions, *conditions]
        text = self._bare_persons(text, conditions)
        left = self._bare_size(text, mentions, conditions)
        unread = _unread(text, mentions)
        return Wish(tuple(conditions), left, own is not None, found.currency, order=order, unread=unread, called=called)

    # What is built

    def _add(self, field: str, value: str, spellings: Sequence[str]) -> None:
        for spelling in spellings:
            phrase = tuple(stem(token) for token in _TOKEN.findall(normal(spelling)))
            if phrase:
                meanings = self._phrases.setdefault(phrase, [])
                if (field, value) not in meanings:
                    meanings.append((field, value))

    def _taken(self, spelling: str) -> bool:
        """Whether the shop itself uses the phrase, for a category or a brand."""
        phrase = tuple(stem(token) for token in _TOKEN.findall(normal(spelling)))
        return any(field in {"category", "brand"} for field, _ in self._phrases.get(phrase, ()))

    def _categories(self) -> None:
        parts: Counter[str] = Counter()
        values = [value for value in self._table.column("category").cells if value]
        split = {
            value: [part.strip() for part in re.split(r"\band\b|&|,|/|和|与|、", value) if part.strip()]
            for value in values
        }
        for value in values:
            parts.update(set(map(normal, split[value])))
        for value in values:
            self._add("category", value, [value, *(part for part in split[value] if parts[normal(part)] == 1)])
        for value in self._table.column("brand").cells:
            self._add("brand", value, [value])

    def _attributes(self) -> None:
        """The values of columns with few of them (genre, level): each is a choice."""
        for field in ("colour", *self._table.attributes):
            cells = self._table.column(field).cells
            values = {part.strip() for text in cells for part in re.split(r"[|;]", text)} - {""}
            if len(values) > 60 or self._table.is_numeric(field) or field in {"capacity"}:
                continue
            for value in values:
                plain = 1 < len(value) <= 30 and not re.search(r"\d|,", value)
                known = normal(value) in {"yes", "no", normal(field), *TERMS.get(field, {})}
                if plain and not known and not self._taken(value):
                    self._add(field, value, [value])

    # What is understood

    def _items_called(self, text: str) -> tuple[str, ...]:
        """Ids of the items whose whole names stand in a text; of two names over the same words the longer."""
        tokens = [stem(token) for token in _TOKEN.findall(text)]
        found: dict[str, None] = {}
        at = 0
        while at < len(tokens):
            sizes = range(min(self._longest_name, len(tokens) - at), 1, -1)
            size = next((size for size in sizes if tuple(tokens[at : at + size]) in self._called), 0)
            found |= dict.fromkeys(self._called.get(tuple(tokens[at : at + size]), ()))
            at += size or 1
        return tuple(found)

    def _mentions(self, text: str) -> list[_Mention]:
        """The phrases of the vocabulary in a text, the longest first from the left."""
        tokens = [(match.start(), match.end(), stem(match.group())) for match in _TOKEN.finditer(text)]
        found, at = [], 0
        while at < len(tokens):
            for size in range(min(self._longest, len(tokens) - at), 0, -1):
                phrase = tuple(token for _, _, token in tokens[at : at + size])
                meanings = self._phrases.get(phrase)
                if phrase == ("down",):
                    meanings = [("material", "down")] if self._is_down(tokens, at) else None
                if meanings:
                    start, end = tokens[at][0], tokens[at + size - 1][1]
                    found.append(_Mention(start, end, tuple(meanings), text[start:end]))
                    at += size
                    break
            else:
                at += 1
        return found

    def _is_down(self, tokens: Sequence[tuple[int, int, str]], at: int) -> bool:
        """Whether "down" is the filling, not the direction."""
        before = tokens[at - 1][2] if at else ""
        after = tokens[at + 1][2] if at + 1 < len(tokens) else ""
        return "material" in self._table.fields and before not in _NOT_DOWN[0] and after not in _NOT_DOWN[1]

    def _order(self, text: str) -> tuple[str, Order | None]:
        """The text without its superlatives, and what the last of them asks for, where the catalogue has such numbers."""
        last, order = -1, None
        for words, field, descending in (
            (_CHEAPEST, "price", False), (_DEAREST, "price", True), (_LIGHTEST, self._weight, False), (_HEAVIEST, self._weight, True),
        ):  # fmt: skip
            for found in words.finditer(text) if field in self._table.fields else ():
                if found.start() > last:
                    last, order = found.start(), Order(field, descending)
        for words in (_CHEAPEST, _DEAREST, _LIGHTEST, _HEAVIEST):
            text = words.sub(lambda found: " " * len(found.group()), text)
        return text, order

    def _choices(self, text: str, mentions: Sequence[_Mention]) -> list[Condition]:
        mentions = _without_context(text, mentions)
        denied = self._denied(text, mentions)
        wanted: dict[str, list[str]] = {}
        refused: dict[str, list[str]] = {}
        for number, mention in enumerate(mentions):
            for field, value in mention.meanings:
                target = refused if number in denied else wanted
                if value not in target.setdefault(field, []):
                    target[field].append(value)
        for number in denied:  # "shoes, not sandals": both words mean one category
            for field, value in mentions[number].meanings:
                if field == "category" and value in wanted.get("category", []):
                    refused["category"].remove(value)
                    refused.setdefault("name", []).append(stem(mentions[number].text))
        for word in self._denied_names(text, mentions):
            refused.setdefault("name", []).append(word)
        found = [Condition(field, "is", tuple(values)) for field, values in wanted.items() if values]
        return found + [Condition(field, "not", tuple(values)) for field, values in refused.items() if values]

    def _denied(self, text: str, mentions: Sequence[_Mention]) -> set[int]:
        """Which mentions stand under a "not": the first after it in its clause, and what is joined to that."""
        denied: set[int] = set()
        for cue in _NOT.finditer(text):
            end = cue.end()
            first = True
            for number, mention in enumerate(mentions):
                if mention.start < end:
                    continue
                between = text[end : mention.start]
                if (
                    _CLAUSE.search(between)
                    or (first and not _SMALL.issuperset(_TOKEN.findall(between)))
                    or (not first and not _JOIN.match(between))
                ):
                    break
                same = first or {field for field, _ in mention.meanings} & {
                    field for field, _ in mentions[number - 1].meanings
                }
                if not same:
                    break
                denied.add(number)
                first, end = False, mention.end
        for number, mention in enumerate(mentions):
            if re.match(r"[\s-]*free\b", text[mention.end :]):
                denied.add(number)
        return denied

    def _denied_names(self, text: str, mentions: Sequence[_Mention]) -> list[str]:
        """Refused words that are no mention but stand in items' names."""
        found = []
        for cue in _NOT.finditer(text):
            after = re.match(r"\s*(?:a |an |any |the )?([a-z]{4,})\b", text[cue.end() :])
            start = cue.end() + after.start(1) if after else 0
            if after and not any(one.start <= start < one.end for one in mentions) and stem(after[1]) in self._names:
                found.append(stem(after[1]))
        return found

    def _persons(self, text: str, conditions: list[Condition]) -> str:
        if "capacity" not in self._table.fields:
            return text
        match = _PERSONS.search(text)
        if match is None:
            return text
        conditions.append(_room_for(match[1] or match[2]))
        return text[: match.start()] + " " * len(match.group()) + text[match.end() :]

    def _sizes(self, text: str, conditions: list[Condition]) -> str:
        match = _SIZE.search(text)
        if match is None or not any(self._table.column("size").cells):
            return text
        values, end = [next(group for group in match.groups() if group)], match.end()
        while more := _OR_SIZE.match(text, end):
            values, end = [*values, more[1]], more.end()
        conditions.append(Condition("size", "is", tuple(value.upper() for value in values)))
        return text[: match.start()] + " " * (end - match.start()) + text[end:]

    def _bare_persons(self, text: str, conditions: list[Condition]) -> str:
        """So many without a word for whom are persons ("for four"), where the goods that were asked for come for persons."""
        match = _FOR_SO_MANY.search(text)
        chosen = [one for one in conditions if one.field == "category" and one.test == "is"]
        if match is None or not chosen or "capacity" not in self._table.fields:
            return text
        capacity = self._table.column("capacity")
        codes = set(capacity.codes[self._table.mask(chosen[0])].tolist())
        counted = any("person" in capacity.cells[code] for code in codes)
        if not counted or any(one.field == "capacity" for one in conditions):
            return text
        conditions.append(_room_for(match[1]))
        return text[: match.start()] + " " * len(match.group()) + text[match.end() :]

    def _bare_size(self, text: str, mentions: Sequence[_Mention], conditions: list[Condition]) -> str:
        """A number that nothing else explains is a size, where the goods that were asked for come in it."""
        match = _BARE.search(text)
        chosen = [one for one in conditions if one.field == "category" and one.test == "is"]
        if match and chosen and not any(one.field == "size" for one in conditions):
            sizes = self._table.column("size")
            codes = set(sizes.codes[self._table.mask(chosen[0])].tolist())
            if any(holds("size", match[1], sizes.cells[code]) for code in codes):
                conditions.append(Condition("size", "is", (match[1],)))
                text = text[: match.start()] + " " * len(match.group()) + text[match.end() :]
        return " ".join(text.split())


def _room_for(said: str) -> Condition:
    """For so many persons, in words or digits."""
    number = _NUMBERS.get(said) or int(said)
    return Condition("capacity", "is", (f"{number} person{'s' if number > 1 else ''}",))


def _whole_names(table: Table) -> dict[tuple[str, ...], list[str]]:
    """The words of each item's names -> its id (and those of its namesakes). A name of one word is no sure sign."""
    made: dict[tuple[str, ...], list[str]] = {}
    for item in table.items:
        for name in (item.name, *item.names.values()):
            phrase = tuple(stem(token) for token in _TOKEN.findall(normal(name)))
            if len(phrase) > (1 if name.isascii() else 2) and item.id not in made.setdefault(phrase, []):
                made[phrase].append(item.id)
    return made


def _unread(text: str, mentions: Sequence[_Mention]) -> tuple[str, ...]:
    """Words of substance outside all mentions."""
    for one in mentions:
        text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    return tuple(word for word in content_words(_ASKING_ZH.sub(" ", text)) if word not in _ASKING)


def _without_context(text: str, mentions: Sequence[_Mention]) -> list[_Mention]:
    """Without the categories that only say where or with what a thing is used: "a lamp for my tent"."""
    goods = [one for one in mentions if any(field == "category" for field, _ in one.meanings)]
    aside = [one for one in goods if _ASIDE.search(text[: one.start])]
    return [one for one in mentions if one not in aside or len(aside) == len(goods)]
