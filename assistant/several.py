"""A message that asks several things: its questions, and their answers one after another.

Rules, not a model: a question that is cut in two is answered worse than two that are read as one, so a message is
cut only where each part asks by itself. English and Chinese; in other languages only between whole sentences.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Generator, Iterator, Sequence

from assistant import language, smalltalk
from assistant.composer import Piece
from assistant.draft import Draft
from assistant.types import AskEvent, Conversation, Found, Message, Outcome, Usage

MOST = 4
"""Questions of a message that are answered each by itself; what comes after is read with the last."""

LONGEST = 1000
"""Characters of a message that may be cut: a longer one is a story, and every joint of it would be looked at."""
WORDS = 4
"""Content words with a question mark behind them that are a question, however they begin."""

_NOT_I = r"(?!(?:i|you|we|they|it|he|she|the|my|your|this|that|these|those|to)\b)"
_VERB = r"(?:am|do|does|did|is|are|was|were|can|could|will|would|should|may|must|has|have)"
# The beginning of a question that stands alone: "how long is", "who pays", "do you"; not "when it is closed", "can openers".
_BEGINS = (
    rf"(?:(?:what|when|where|why|who|which|how)(?:['’]s\b|\s+{_NOT_I}(?:\w+\s+){{0,3}}?(?:{_VERB}|pays?|costs?|happens?|comes?|counts?)\b)"
    rf"|{_VERB}(?:n['’]t)?\s+(?:i|you|we|they|it|he|she|there|the|my|your|this|that|these|those|any|an?|all)\b)"
)
_CLAUSE = r"(?:^|[.!,;:–—\n]\s*|\s-\s|\b(?:and|but|or|so|also|plus)\s+)\W*(?:(?:up to|within|in|at|on|for|from|to|by|until|under|with|through) )?"
_BEGINS_ANY = rf"(?:(?:what|how)(?! about\b)|when|where|why(?! not\b)|who|which|{_VERB}(?:n['’]t)?)\s+\w+\s+\w|who\s+\w{{4,}}|where (?:is|are) \w"
_ASKS = re.compile(_CLAUSE + _BEGINS, re.IGNORECASE)
_ASKS_MARKED = re.compile(rf"{_CLAUSE}(?:{_BEGINS}|{_BEGINS_ANY})", re.IGNORECASE)
"""With a question mark behind it anything that begins like a question is one."""
_ASKS_HAN = re.compile(
    r"吗|么[？?]|呢|几|多少|多久|多长|多大|多高|谁|哪|什么|怎么|怎样|如何|何时|是否|能不能|可不可以|有没有|有多|还是|([\u4e00-\u9fff])不\1|吧[？?]|不[？?]$"
)
_AND = re.compile(rf"[\s,;]+(?:and|plus)\s+(?:also\s+)?(?={_BEGINS})", re.IGNORECASE)
# Where Chinese has no comma it has a space or a line break.
_MARK_HAN = r"(?:[，,；;。]\s*|(?<=[\u4e00-\u9fff])\s+)"
_ALSO_HAN = r"(?:另外|还有(?!没|[吗货位票]|现货|库存|名额)|以及|并且|同时|顺便)"  # 还有货吗 asks whether some is left
_OWN_HAN = r"(?:你们?|店里|请问)?(?:可以|能|支持|有|会|卖|收|接受|提供)[^，,；;。？?\s]{2,}[吗么]"
_AND_HAN = re.compile(
    rf"{_MARK_HAN}(?={_ALSO_HAN})|(?:[，,；;]|(?<=[\u4e00-\u9fff])\s+)(?=[^，,；;。？?]*(?:几|多少|多久|谁|哪|什么时候|何时|怎么))"
    # a second yes or no of its own behind a first one, or behind the place or the hours; "怎么退，能退到店里吗" is one question
    rf"|(?:(?<=[吗么])|(?:(?<=几点)|(?<=开门)|(?<=关门)|(?<=营业)|(?<=哪里)|(?<=哪儿)|(?<=地址)|(?<=电话)))(?:[，,；;]\s*|\s+)(?={_OWN_HAN})"
)
_JOINS = re.compile(
    rf"^\W*(?:\d[.、)）](?!\d)|(?:and|plus)(?:\s+also)?\b|also\b|{_ALSO_HAN}(?:问一下|问下|问)?)[\s,，：:]*",
    re.IGNORECASE,
)
_IF = re.compile(r"^\W*(?:如果|要是|假如|万一|when|if)", re.IGNORECASE)
_END = re.compile(r"[?？]+[\"'”’)）」』!！]*|(?<=\w)[.!。！]+(?=\s|$|[\u4e00-\u9fff])")
_WISH = re.compile(
    r"^\W*(?:please\s+)?(?:recommend|suggest|show me|find me)\b|^\W*(?:请|帮我|给我)*推荐", re.IGNORECASE
)
_WHERE = re.compile(
    r"^\W*(?:(?:and|so|also|hi|hello)\W+)*where (?:are|r) (?:you|u)(?: guys)?(?: located| based)?\W*$", re.IGNORECASE
)
"""A question without a word of substance."""
# Asks nothing of the documents, though it ends in a question mark.
_EMPTY = re.compile(
    r"^\W*(?:(?:hi|hello|hey|ok(?:ay)?|so|well|sorry|please)\b\W*)*(?:(?:can|could|may|might|would|will) (?:i|you|anyone|someone|somebody)\b(?: please)?"
    r"(?: (?:ask|help|tell|assist|answer|explain|advise))(?: (?:me|us|you|with|out|something|a|an|some|two|few|question|questions|this|that|these|it|please))*"
    r"|(?:is|was|does|would) (?:that|this|it) (?:so|ok(?:ay)?|right|true|correct|clear|possible|make sense|be (?:ok(?:ay)?|possible))"
    r"|(?:are|is) (?:you|anyone|anybody|someone) (?:there|sure|serious)|(?:do|did) you (?:know|understand|get (?:it|that)|mean (?:it|that))|what do you (?:think|mean|say)"
    r"|how (?:are|r) (?:you|u)(?: doing)?(?: today)?)\W*$"
    r"|^\W*(?:请问|你好|您好|在吗|可以问|想问|有个问题|能帮我|可以帮我)?(?:一下|个问题|吗|么|\W)*$",
    re.IGNORECASE,
)


def questions(message: str, wanted: Callable[[str], bool] = lambda sentence: False) -> tuple[str, ...]:
    """The questions of a message in their order, each with what is said around it; the message itself where it is one.

    `wanted` tells whether a sentence wishes for goods of the catalogue: that is a part as well.

    >>> questions("I bought boots. How long can I return them? And who pays for it?")
    ('I bought boots. How long can I return them?', 'who pays for it?')
    >>> questions("退货要几天？运费谁出？"), questions("Can I return boots? Even worn ones?")
    (('退货要几天？', '运费谁出？'), ('Can I return boots? Even worn ones?',))
    """
    if len(message) > LONGEST or smalltalk.intent(message) is not smalltalk.Intent.QUESTION:
        return (message,)
    parts: list[str] = []
    pending = ""
    for chunk in _chunks(message, wanted):
        joined = f"{pending} {chunk}".strip()
        if _asks(chunk) or wanted(chunk):
            parts.append(joined)
            pending = ""
        elif parts:
            parts[-1] = f"{parts[-1]} {chunk}"
        else:
            pending = joined
    if len(parts) < 2:
        return (message,)
    first, *rest = [*parts[: MOST - 1], " ".join(parts[MOST - 1 :])] if len(parts) > MOST else parts
    return (first, *(_JOINS.sub("", part) or part for part in rest))


def repeated(question: str) -> str:
    """The line that a question's answer stands behind."""
    return f"“{question[:1].upper()}{question[1:]}”"


def answers(
    answer: Callable[[Conversation, Draft], Generator[AskEvent]],
    conversation: Conversation,
    draft: Draft,
    parts: Sequence[str],
) -> Iterator[AskEvent]:
    """Answers each of the questions behind a line that repeats it; what no document answers is said at the end, once.

    `answer` is the walk of one question. Each is asked as if those before it had been asked and answered, so "who
    pays for it?" is understood.
    """
    *before, _ = conversation.messages
    unfound: list[str] = []
    made: list[Draft] = []
    for part in parts:
        one = Draft(part, draft.info, draft.language, draft.choice)
        before.append(Message("user", part))
        seen = 0
        asked = dataclasses.replace(conversation, messages=tuple(before))
        with contextlib.closing(answer(asked, one)) as events:
            for event in events:
                if isinstance(event, Found):
                    draft.hits = tuple({hit.passage.id: hit for hit in (*draft.hits, *one.hits)}.values())
                    if not made:  # of a whole answer there is one; the rest come with it
                        yield event
                    continue
                if one.outcome is Outcome.NOT_IN_KNOWLEDGE_BASE and one.advice is None:
                    continue
                for piece in one.pieces[seen:]:
                    if not seen:
                        yield draft.add(Piece(repeated(part), ()))
                        piece = dataclasses.replace(piece, lead="\n")
                    seen += 1
                    yield draft.add(piece)
        if not seen:
            unfound.append(part)
        made.append(one)
        before.append(Message("assistant", "".join(piece.lead + piece.text for piece in one.pieces).strip()))
    _sum_up(draft, made)
    if len(unfound) == len(parts):
        yield draft.say("refusal")
    elif unfound:
        draft.notes.append(f"not in the documents: {' | '.join(unfound)}")
        yield draft.say("not_found_of_several", question=" ".join(map(repeated, unfound)))


_WEIGHT = (Outcome.NOT_IN_KNOWLEDGE_BASE, Outcome.ANSWERED, Outcome.NEEDS_HUMAN, Outcome.COMPONENT_FAILED)
"""The last of these that a part has is the whole message's."""


def _sum_up(draft: Draft, made: Sequence[Draft]) -> None:
    """What the receipts of the questions would say goes into the whole message's; its support is its weakest answer's."""
    answered = [one for one in made if one.outcome is Outcome.ANSWERED]
    draft.outcome = max((one.outcome for one in made), key=_WEIGHT.index)
    draft.query = " | ".join(filter(None, (one.query for one in made)))
    draft.support = min(one.support for one in answered or made)
    draft.sure, draft.reread = all(one.sure for one in made), any(one.reread for one in made)
    draft.usage = Usage(sum(one.usage.prompt_tokens for one in made), sum(one.usage.completion_tokens for one in made))
    for one in made:
        draft.shape = one.shape if one.shape != "none" else draft.shape
        draft.failed, draft.adapter = draft.failed or one.failed, one.adapter or draft.adapter
        draft.privacy, draft.advice = one.privacy or draft.privacy, draft.advice or one.advice
        draft.notes += one.notes


def _chunks(message: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The message cut behind its question marks and wishes, and where another whole question is joined on by "and"."""
    start = 0
    for found in [*_END.finditer(message), None]:
        end = found.end() if found else len(message)
        if found and found.group()[0] in ".!。！":
            told = message[start:end].strip()
            if not _WISH.search(told) and not wanted(told):
                continue  # what is told belongs to the question behind it
        sentence, start = message[start:end].strip(), end
        if not sentence:
            continue
        han = language.is_han(sentence)
        last = 0
        for joint in (_AND_HAN if han else _AND).finditer(language.simplified(sentence)):
            left, right = sentence[last : joint.start()], sentence[joint.end() :]
            wish = joint.group().isspace() and _WISH.search(left)  # "推荐鱼缸 60厘米 多少钱"
            if _asks(left) and _asks(right) and not _IF.search(left) and not wish:
                yield left.strip()
                last = joint.end()
        yield sentence[last:].strip()


def _asks(chunk: str) -> bool:
    """Whether it is a question that documents could answer, by itself or behind the one before it."""
    chunk = language.simplified(chunk)
    if _WHERE.search(chunk):
        return True
    if _EMPTY.search(chunk) or not language.content_words(chunk):
        return False
    if smalltalk.intent(chunk) is not smalltalk.Intent.QUESTION:
        return False
    if _WISH.search(chunk):
        return True
    if language.is_han(chunk):
        return bool(_ASKS_HAN.search(chunk))
    if not chunk.rstrip("\"'”’)!").endswith("?"):
        return bool(_ASKS.search(chunk))
    last = re.split(r"[.!;\n]\s", chunk)[
        -1
    ]  # "Price of the large one with a lid?" has words enough to be one, "Price?" has not
    return bool(_ASKS_MARKED.search(chunk)) or len(language.content_words(last)) >= WORDS
