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
from assistant.language import content_words
from assistant.recommend.amounts import SPENT, amounts, in_digits
from assistant.recommend.cells import halves, holds, normal, singular
from assistant.recommend.lexicon import FALSE, TERMS, TRUE
from assistant.recommend.log import Mask
from assistant.recommend.orders import Order, cheap, superlative
from assistant.recommend.refusals import TOKEN, Mention, blanked, cues, is_refused, is_small, refusals
from assistant.recommend.table import Table

Words = Mapping[str, Mapping[str, Sequence[str]]]
_ALLERGY = re.compile(r"\b([a-z]{3,})[\s-]+(?:allerg\w+|intoleran\w+)")
_CONTRACTED = re.compile(r"\b(do|does|did|ca|wo|is|are|was|were|would|should|could|must|has|have)nt\b")
_STOCK = re.compile(r"\b(?:in stock|on stock|available(?: now)?|ready to ship)\b|有货|现货|有库存")
_PERSONS = re.compile(
    r"(?:\bfor )?\b(one|two|three|four|five|six|seven|eight|\d+)[\s-]*(?:person|persons|people|man|adults)\b|(\d+)\s*人"
)
_SIZE = re.compile(
    r"\b(?:in )?(?:a )?(?:size|sz|eu)\s*:?\s*([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)\b|\b([2-4]?x{1,3}[sl])\b|\bin ([sml])\b|([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)\s*(?:码|(?<!月)(?<!月\d)(?<!月\d\d)号(?![前后线楼店电之以到])(?!就|送|发|出))|[尺码]码?\s*[:：是为]?\s*([2-4]?x{0,3}[sml]|\d{1,3})\b"
)
_ASIDE = re.compile(r"\b(?:in|inside|for|on|onto|with|under|into|beside) (?:the|my|a|an|our|your) $")
_OR_SIZE = re.compile(r"\s*(?:or|/|或者?)\s*([2-4]?x{0,3}[sml]|\d{1,3}(?:\.5)?)(?![\w.])")
_SIZE_RANGE = re.compile(
    r"(\b(?:in )?(?:sizes?|sz|eu)\s*:?\s*(?:from |between )?|尺?码数?\s*[:：是为在]?\s*)?(?<![a-z0-9.])(?<!\d,)(\d{1,3})\s*(?:-|–|—|~|to|and|到|至|和)\s*(\d{1,3})(?![\d.,]*\d)(\s*[码号])?"
)
_NO_SIZES = (
    re.compile(r"(?:between|from|for|of|budget|prices?|under|over|介于|预算|价格?|[€$£¥])\s*(?:是|为|在|:)?\s*$"),
    re.compile(r"\s*(?:[€$£¥元块欧美英人千百万天克%]|[a-z])"),
)
_SIZES_MOST = 12
"""A range of more sizes than this is none."""
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
_ASKING = frozenset(
    "u got sell stock carry offer look looking search want need like find show buy please person people one ones them these those which"
    " recommend suggest gift something anything i'm i'd we're we'd hi hello hey".split()
)
_ASKING_ZH = re.compile(
    r"有没有|没有|不[带含]|哪[些款种个双顶件条]?|什么|推荐|想|需要|适合|请问|可以|你好|您好|[你您我]们?|一?[个款双顶件条种]|帮|给|看|找|买|卖|要|的|是|有|吗|呢|啊|能|最|里面?"
)
"""Words of a request that ask for goods and say nothing of which."""
_GOES_ON = re.compile(r"((?![的色款类吗呢了吧啊呀嘛么有要好行多大小])[\u3400-\u9fff])(?=[吗呢么啊]?\W*$)")
_SHORT = re.compile(r"(?:\b(?:ca|wo|sha))?n't\b|'(?:s|re|m|ve|ll|d)\b")
"""What contractions end with: "that's" says no more than "that"."""
_NUMBERS = {word: number for number, word in enumerate("one two three four five six seven eight".split(), start=1)}
_BEHIND = frozenset("at by for from in of on to under with without".split())
"""With one of these a category's last words are no kind of thing: "toys for dogs"."""
_NOT_DOWN = (
    set("go come get calm slow cut narrow bring sit write break walk up scroll mark marked way".split()),
    set("to the from on below under by".split()),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A request understood: hard conditions, what is left of the text, and whether it points to what was bought.

    `order` is what a superlative asked for ("the cheapest"); `unread` are the words of substance that became neither.
    `called` are the ids of the items that it calls by their whole names; `hinted`: a word that became no condition
    stands in items' names.
    """

    conditions: tuple[Condition, ...]
    about: str
    like_own: bool = False
    currency: str = ""
    order: Order | None = None
    unread: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    hinted: bool = False


class Vocabulary:
    """What can be said about one catalogue. Built once; `understand` is pure."""

    def __init__(self, table: Table, words: Words) -> None:
        self._table = table
        self._phrases: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        self._names = {singular(token) for text in table.column("name").cells for token in TOKEN.findall(normal(text))}
        for field, values in words.items():
            for value, spellings in values.items():
                if self._is_filled(field):
                    self._add(field, value, [value, *spellings])
        self._called = _whole_names(table)
        self._longest_name = max((len(phrase) for phrase in self._called), default=0)
        self._categories()
        self._attributes()
        for field, value, term in ((f, v, t) for f, terms in TERMS.items() for v, t in terms.items()):
            if self._is_filled(field):
                self._add(field, value, [word for word in term.words if not self._taken(word)])
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)
        numeric = [name for name in table.attributes if table.is_numeric(name)]
        self._weight = next((name for name in numeric if name.startswith("weight")), "")
        kinds = [
            phrase for phrase, meanings in self._phrases.items() if any(field == "category" for field, _ in meanings)
        ]
        self._goods = frozenset(word for phrase in kinds for word in phrase)
        self._numeric = [name for name in numeric if name != self._weight]

    def understand(self, request: str) -> Wish:
        """The conditions of a request.

        Each is one that the catalogue has a field for; a value that no row has is still a condition, so that
        an impossible wish is answered as one.
        """
        text = _CONTRACTED.sub(r"\1n't", normal(request))
        own, called = _OWN.search(text), self._items_called(text)
        text = _GOES_WITH.sub(lambda match: " " * len(match.group()), text)
        conditions: list[Condition] = []
        text, order = superlative(text, self._weight, self._is_filled)
        text, stock = _STOCK.subn(" ", text)
        if stock and self._table.counts_stock:
            conditions.append(Condition("stock", ">=", ("1",)))
        text = self._size_range(in_digits(text), conditions)
        found = amounts(text, columns=self._numeric, weight=self._weight, goods=self._goods)
        text = self._persons(found.rest, conditions)
        text = self._sizes(text, conditions)
        mentions = self._mentions(text)
        if order is None and self._is_filled("price"):
            text, order = cheap(text, mentions)
        choices, open_ = self._choices(text, mentions)
        conditions = [*choices, *found.conditions, *conditions]
        text = self._bare_persons(text, conditions)
        left = self._bare_size(text, mentions, conditions)
        unread = _unread(text, [one for one in mentions if one not in open_])
        left, hinted = left.replace(SPENT, " ").strip(), self._is_hinted(blanked(text, mentions), unread)
        return Wish(tuple(conditions), left, own is not None, found.currency, order, unread, called, hinted)

    # What is built

    def _add(self, field: str, value: str, spellings: Sequence[str]) -> None:
        for spelling in spellings:
            phrase = _phrase(spelling)
            if phrase:
                meanings = self._phrases.setdefault(phrase, [])
                if (field, value) not in meanings:
                    meanings.append((field, value))

    def _is_filled(self, field: str) -> bool:
        """Whether any row says something in a field. Of one that none does, nothing can be asked."""
        return field in self._table.fields and any(self._table.column(field).cells)

    def _taken(self, spelling: str) -> bool:
        """Whether the shop itself uses the phrase, for a category or a brand."""
        return any(field in {"category", "brand"} for field, _ in self._phrases.get(_phrase(spelling), ()))

    def _kinds(self, split: Mapping[str, Sequence[str]]) -> None:
        """What several categories end with means all of them: "food" is dry food, wet food and food."""
        kinds: dict[tuple[str, ...], dict[str, None]] = {}
        for value, parts in split.items():
            for words in (normal(part).split() for part in parts if part.isascii()):
                for start in range(0 if _BEHIND.isdisjoint(words) else len(words), len(words)):
                    kinds.setdefault(_phrase(" ".join(words[start:])), {})[value] = None
        known = {_phrase(word) for terms in TERMS.values() for term in terms.values() for word in term.words}
        for phrase, values in kinds.items():
            own = any(_phrase(value) != phrase for _, value in self._phrases.get(phrase, ()))  # the shop's own word
            if len(values) > 1 and not own and phrase not in known and content_words(" ".join(phrase)):
                for value in values:
                    self._add("category", value, [" ".join(phrase)])

    def _categories(self) -> None:
        parts: Counter[str] = Counter()
        values = [value for value in self._table.column("category").cells if value]
        split = {
            value: [part.strip() for part in re.split(r"\band\b|&|,|/|和|与|、", value) if part.strip()]
            for value in values
        }
        for value in values:
            parts.update(set(map(normal, split[value])))
        split = {value: [value, *(part for part in split[value] if parts[normal(part)] == 1)] for value in values}
        self._kinds(split)
        for value in values:
            self._add("category", value, split[value])
        for value in self._table.column("brand").cells:
            self._add("brand", value, [value])
        for value in self._table.column("brand").cells:  # EHEIM 伊罕 is called by either half, 苹果（Apple） too
            for half in halves(value):
                if all(field == "brand" for field, _ in self._phrases.get(_phrase(half), ())):
                    self._add("brand", value, [half])

    def _attributes(self) -> None:
        """The values of columns with few of them (genre, level): each is a choice; of yes and no, the column's name."""
        for field in ("colour", *self._table.attributes):
            cells = self._table.column(field).cells
            said, name = {normal(text).strip() for text in cells} - {""}, field.replace("_", " ")
            if said.intersection(TRUE) and said.issubset((*TRUE, *FALSE)) and not self._table.is_numeric(field):
                self._add(field, "yes", [one for one in (name, name.replace(" ", "-")) if not self._taken(one)])
            values = {part.strip() for text in cells for part in re.split(r"[|;]", text)} - {""}
            if len(values) > 60 or self._table.is_numeric(field) or field in {"capacity"}:
                continue
            for value in values:
                plain = 1 < len(value) <= 30 and not re.search(r"\d|,", value)
                known = normal(value) in {*TRUE, *FALSE, normal(field), *TERMS.get(field, {})}
                if plain and not known and not self._taken(value):
                    self._add(field, value, [value])

    # What is understood

    def _items_called(self, text: str) -> tuple[str, ...]:
        """Ids of the items whose whole names stand in a text; of two names over the same words the longer."""
        tokens = [singular(token) for token in TOKEN.findall(text)]
        found: dict[str, None] = {}
        at = 0
        while at < len(tokens):
            sizes = range(min(self._longest_name, len(tokens) - at), 1, -1)
            size = next((size for size in sizes if tuple(tokens[at : at + size]) in self._called), 0)
            found |= dict.fromkeys(self._called.get(tuple(tokens[at : at + size]), ()))
            at += size or 1
        return tuple(found)

    def _mentions(self, text: str) -> list[Mention]:
        """The phrases of the vocabulary in a text, the longest first from the left."""
        tokens = [(match.start(), match.end(), singular(match.group())) for match in TOKEN.finditer(text)]
        found, at = [], 0
        while at < len(tokens):
            for size in range(min(self._longest, len(tokens) - at), 0, -1):
                phrase = tuple(token for _, _, token in tokens[at : at + size])
                meanings = self._phrases.get(phrase)
                if phrase == ("down",):
                    meanings = [("material", "down")] if self._is_down(tokens, at) else None
                if meanings:
                    start, end = tokens[at][0], tokens[at + size - 1][1]
                    found.append(Mention(start, end, tuple(meanings), text[start:end]))
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

    def _choices(self, text: str, mentions: Sequence[Mention]) -> tuple[list[Condition], list[Mention]]:
        """The conditions of the mentions, and the mentions that are neither surely wanted nor surely refused."""
        mentions = _without_context(text, mentions)
        said = refusals(text, mentions)
        wanted: dict[str, list[str]] = {}
        refused: dict[str, list[str]] = {}
        open_ = [one for number, one in enumerate(mentions) if number not in said.denied | said.doubtful]
        for number, mention in enumerate(mentions):
            narrowed = any(one.is_kind_of(mention) for one in open_)
            for field, value in () if narrowed or number in said.doubtful else mention.meanings:
                target = refused if number in said.denied else wanted
                if value not in target.setdefault(field, []):
                    target[field].append(value)
        for number in said.denied:  # "shoes, not sandals": both words mean one category
            for field, value in mentions[number].meanings:
                if any(mentions[number].is_kind_of(one) for one in open_):  # "food, not dry food"
                    wanted["category"] = [kind for kind in wanted.get("category", ()) if kind != value]
                elif field == "category" and value in wanted.get("category", []):
                    refused["category"].remove(value)
                    refused.setdefault("name", []).append(singular(mentions[number].text))
                elif field not in {"category", "name"} and (
                    self._called_so(mentions[number].text, field).any()  # for rows without the field
                    or self._is_a_name(mentions[number].text, field, value)
                ):
                    refused.setdefault("name", []).append(mentions[number].text)
        for word in self._denied_names(text, mentions):
            refused.setdefault("name", []).append(word)
        for field, values in refused.items():  # said both ways: it is not required
            wanted[field] = [value for value in wanted.get(field, ()) if field == "category" or value not in values]
        kind = tuple(wanted.get("category", ()))
        for mention in mentions if kind else ():
            for field, value in mention.meanings:
                if field in TERMS and field != "name" and value in wanted.get(field, ()):
                    rows = self._table.mask(Condition("category", "is", kind)) & self._called_so(mention.text, field)
                    if rows.any():  # "black tea", where mugs have a colour and teas have none
                        wanted[field].remove(value)
        for mention in mentions:
            for field, value in mention.meanings if "name" not in wanted else ():
                if value in wanted.get(field, ()) and self._is_a_name(mention.text, field, value):
                    wanted[field].remove(value)
                    wanted["name"] = [mention.text]
        found = [Condition(field, "is", tuple(values)) for field, values in wanted.items() if values]
        found += [Condition(field, "not", tuple(dict.fromkeys(values))) for field, values in refused.items() if values]
        return found, [mentions[number] for number in sorted(said.doubtful)]

    def _called_so(self, word: str, field: str) -> Mask:
        """(n,) the rows that say nothing in a field and have the word in their names."""
        column = self._table.column(field)
        empty = column.cells.index("") if "" in column.cells else -1
        silent: Mask = column.codes == empty
        return silent & self._table.mask(Condition("name", "is", (word,))) if silent.any() else silent

    def _is_a_name(self, word: str, field: str, value: str) -> bool:
        """Whether a value of a free column says rather what things are called: one food is for 斗鱼, others are 斗鱼."""
        if field not in self._table.attributes or field in TERMS:
            return False
        named, said = (self._table.mask(Condition(*one)) for one in (("name", "is", (word,)), (field, "is", (value,))))
        return bool((named | said).sum() == named.sum() >= 2 * said.sum())

    def _is_hinted(self, left: str, unread: Sequence[str]) -> bool:
        """Whether a word outside the mentions stands in items' names; in Chinese its last letter: 新手缸 is a 缸."""
        heads = re.findall(r"[\u3400-\u9fff](?![\u3400-\u9fff])", _ASKING_ZH.sub(" ", left))
        return any(singular(word) in self._names for word in (*heads, *unread) if word.isalpha())

    def _denied_names(self, text: str, mentions: Sequence[Mention]) -> list[str]:
        """Refused words that are no mention but stand in items' names."""
        found = [(match[1], match.start(1)) for match in _ALLERGY.finditer(text)]
        for cue in cues(text, mentions):
            rest = text[cue.end() :]
            after = next((one for one in re.finditer(r"[a-z]+", rest) if not is_small(one.group())), None)
            least = 4 if cue.group().endswith(("not", "n't")) else 3  # "not set up" is of no "Tent Set"
            if after and len(after.group()) >= least and is_small(rest[: after.start()]):
                found.append((after.group(), cue.end() + after.start()))
        inside = [range(one.start, one.end) for one in mentions]
        return [
            singular(word)
            for word, start in found
            if singular(word) in self._names and content_words(word) and not any(start in one for one in inside)
        ]

    def _persons(self, text: str, conditions: list[Condition]) -> str:
        if "capacity" not in self._table.fields:
            return text
        match = _PERSONS.search(text)
        if match is None:
            return text
        if not is_refused(text, match.start()):
            conditions.append(_room_for(match[1] or match[2]))
        return text[: match.start()] + " " * len(match.group()) + text[match.end() :]

    def _sizes(self, text: str, conditions: list[Condition]) -> str:
        match = _SIZE.search(text)
        if match is None or any(one.field == "size" for one in conditions) or not any(self._table.column("size").cells):
            return text
        values, end = [next(group for group in match.groups() if group)], match.end()
        while more := _OR_SIZE.match(text, end):
            values, end = [*values, more[1]], more.end()
        if not is_refused(text, match.start()):
            conditions.append(Condition("size", "is", tuple(value.upper() for value in values)))
        return text[: match.start()] + " " * (end - match.start()) + text[end:]

    def _size_range(self, text: str, conditions: list[Condition]) -> str:
        """ "size 40-42" is three sizes; so is "boots 40-42" where boots come in both and no money is named."""
        sizes = self._table.column("size")
        said = self._mentions(text)
        goods = [value for one in said for field, value in one.meanings if field == "category"]
        for match in _SIZE_RANGE.finditer(text) if any(sizes.cells) else ():
            low, high = sorted((int(match[2]), int(match[3])))
            if high - low >= _SIZES_MOST:
                continue
            if not match[1] and not match[4]:
                aside = _NO_SIZES[0].search(text[: match.start()]) or _NO_SIZES[1].match(text, match.end())
                if aside or not goods:
                    continue
                cells = {
                    sizes.cells[code]
                    for code in sizes.codes[self._table.mask(Condition("category", "is", tuple(goods)))].tolist()
                }
                if not all(any(holds("size", str(end), one) for one in cells) for end in (low, high)):
                    continue
            if not is_refused(text, match.start()):
                conditions.append(Condition("size", "is", tuple(str(size) for size in range(low, high + 1))))
            return text[: match.start()] + " " * len(match.group()) + text[match.end() :]
        return text

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

    def _bare_size(self, text: str, mentions: Sequence[Mention], conditions: list[Condition]) -> str:
        """A number that nothing else explains is a size, where the goods that were asked for come in it."""
        match = _BARE.search(text)
        chosen = [one for one in conditions if one.field == "category" and one.test == "is"]
        if (
            match
            and chosen
            and not is_refused(text, match.start())
            and not any(one.field == "size" for one in conditions)
        ):
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


def _phrase(text: str) -> tuple[str, ...]:
    """The words of a text as they are looked up."""
    return tuple(singular(token) for token in TOKEN.findall(normal(text)))


def _whole_names(table: Table) -> dict[tuple[str, ...], list[str]]:
    """The words of each item's names -> its id (and those of its namesakes). A name of one word is no sure sign."""
    made: dict[tuple[str, ...], list[str]] = {}
    for item in table.items:
        for name in (item.name, *item.names.values()):
            phrase = _phrase(name)
            if len(phrase) > (1 if name.isascii() else 2) and item.id not in made.setdefault(phrase, []):
                made[phrase].append(item.id)
    return made


def _unread(text: str, mentions: Sequence[Mention]) -> tuple[str, ...]:
    """Words of substance outside all mentions; a Chinese letter that goes on with one at the end is such a word: 玻璃盖."""
    ends = [found[1] for one in mentions if (found := _GOES_ON.match(text, one.end))]
    text = _ASKING_ZH.sub(" ", _SHORT.sub(" ", blanked(text, mentions)))
    return tuple([word for word in content_words(text) if word not in _ASKING] + ends)


def _without_context(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Without the categories that only say where or with what a thing is used: "a lamp for my tent"."""
    goods = [one for one in mentions if any(field == "category" for field, _ in one.meanings)]
    aside = [one for one in goods if _ASIDE.search(text[: one.start])]
    return [one for one in mentions if one not in aside or len(aside) == len(goods)]
