"""Companies in one text file each: `near/NAME.txt` and `apart/NAME.txt` (the format: README.md). Standard library only.

`read` parses a file, `write_documents` writes what a company would upload, `Company.questions` are rows
like those of a `questions.jsonl`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["prose", "faq", "record"]

_QUESTION = re.compile(r"^([+\-~])(-?)(zh|en)?\s+(.*)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_RECORD = re.compile(r"^[\w \u4e00-\u9fff]+[:：]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


class BadCompany(ValueError):
    """What is wrong with a file, a line of the message each: `FILE:LINE: what`."""


@dataclass(frozen=True, slots=True)
class Question:
    """`needed`: numbers of the sentences or names of the fields that answer it; none where nothing does.

    `earlier` is what the customer had asked before, "" where it stands alone.
    """

    text: str
    language: str
    line: int
    needed: tuple[str, ...] = ()
    earlier: str = ""


@dataclass(slots=True)
class Block:
    """A paragraph, a FAQ row or a row of a table, and the questions about it.

    `sentences` are the paragraph's or the answer's, `asked` is the FAQ's question, `fields` are the row's.
    """

    document: str
    headings: tuple[str, ...]
    kind: Kind = "prose"
    text: str = ""
    sentences: tuple[str, ...] = ()
    asked: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def gold(self, question: Question) -> list[dict[str, str]]:
        """The places that answer: a sentence as `quote`, a field as `record` (the row's first value) and `field`."""
        if self.kind == "record":
            name = next(iter(self.fields.values()))
            return [{"document": self.document, "record": name, "field": each} for each in question.needed]
        return [{"document": self.document, "quote": self.sentences[int(each) - 1]} for each in question.needed]


@dataclass(frozen=True, slots=True)
class Company:
    """A file: the company's name, its language and its blocks in order."""

    file: str
    name: str
    language: str
    blocks: tuple[Block, ...]

    def questions(self) -> list[dict[str, Any]]:
        """Rows with `id`, `language`, `question`, `history`, `answerable` and `gold`."""
        return [
            {
                "id": f"{self.file}-{question.line}",
                "language": question.language,
                "question": question.text,
                "history": _history(question.earlier),
                "answerable": bool(question.needed),
                "gold": block.gold(question),
            }
            for block in self.blocks
            for question in block.questions
        ]


def read(path: Path) -> Company:
    """The company of a file.

    Raises:
        BadCompany: with every line that is not as the format says.
    """
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, path: str) -> Company:
    """The company of a file's text; `path` is for messages and, without its ending, for ids."""
    stem = Path(path).stem
    name, spoken = stem.capitalize(), "zh" if _CHINESE.search(text) else "en"
    blocks: list[Block] = []
    problems: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        try:
            if not line:
                continue
            if line.startswith("!"):
                name, spoken = _headline(line[1:])
            elif line.startswith("@"):
                blocks.append(_block(line[1:]))
            elif blocks and not blocks[-1].text:
                _fill(blocks[-1], line)
            elif blocks and (parts := _QUESTION.match(line)):
                blocks[-1].questions.append(_question(parts, blocks[-1], spoken, number))
            else:
                raise ValueError(f"not understood: {line[:60]}")
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    problems += [f"{path}: {document} has blocks of different kinds" for document in _mixed(blocks)]
    problems += [f"{path}: {block.document} has a heading without text" for block in blocks if not block.text]
    if problems:
        raise BadCompany("\n".join(problems))
    return Company(stem, name, spoken, tuple(blocks))


def write_documents(company: Company, folder: Path) -> None:
    """Writes the company's documents into a folder that is there."""
    documents: dict[str, list[Block]] = {}
    for block in company.blocks:
        documents.setdefault(block.document, []).append(block)
    for name, blocks in documents.items():
        target = folder / name
        if blocks[0].kind == "faq":
            _write_table(target, [{"question": block.asked, "answer": block.text} for block in blocks])
        elif blocks[0].kind == "record":
            _write_table(target, [block.fields for block in blocks])
        else:
            target.write_text(_headed(blocks), encoding="utf-8")


def split_sentences(text: str) -> tuple[str, ...]:
    """Sentences as the files number them: cut after . ! ? before a space, and after 。！？."""
    return tuple(part for part in _SENTENCE_END.split(text.strip()) if part.strip())


def _headline(line: str) -> tuple[str, str]:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 3 or parts[2] not in ("en", "zh"):
        raise ValueError("the first line is `! name | what it is | en` (or zh)")
    return parts[0], parts[2]


def _block(line: str) -> Block:
    document, bar, heading = (part.strip() for part in line.partition("|"))
    if not document or Path(document).name != document:
        raise ValueError(f"not a document's name: {document!r}")
    return Block(document, tuple(part.strip() for part in heading.split(">")) if bar else ())


def _fill(block: Block, line: str) -> None:
    """Takes the line under a heading as the block's text."""
    block.text = line
    if block.document.startswith("faq"):
        asked, bar, answer = line.partition(" | ")
        block.kind, block.asked, block.text = "faq", asked.strip(), answer.strip() or line
        block.sentences = split_sentences(answer)
        if not bar or not block.sentences:
            raise ValueError("a FAQ's line is `question | answer`")
    elif block.document.endswith(".csv") and _RECORD.match(line):
        block.kind = "record"
        for part in filter(None, (part.strip() for part in re.split("[;；]", line))):
            label, *value = re.split("[:：]", part, maxsplit=1)
            if not value:
                raise ValueError(f"not `field: value`: {part}")
            block.fields[label.strip()] = value[0].strip()
    else:
        block.sentences = split_sentences(line)


def _question(parts: re.Match[str], block: Block, spoken: str, number: int) -> Question:
    sign, negated, language, text = parts.groups()
    earlier = ""
    if sign == "~":
        earlier, arrow, text = (part.strip() for part in text.partition("=>"))
        if not arrow:
            raise ValueError("a follow-up is `~ earlier question => question`")
    answerable = sign == "+" or (sign == "~" and not negated)
    if not answerable:
        if re.search(r"#\d", text):
            raise ValueError("a question that nothing answers has no #")
        return Question(text.strip(), language or spoken, number, earlier=earlier)
    text, mark, needed = text.rpartition("#")
    if not mark:
        raise ValueError("no # with what answers it")
    places = tuple(part.strip() for part in needed.split(","))
    for place in places:
        if block.kind == "record" and place not in block.fields:
            raise ValueError(f"no field {place!r}; there are {', '.join(block.fields)}")
        if block.kind != "record" and not (place.isdecimal() and 1 <= int(place) <= len(block.sentences)):
            raise ValueError(f"no sentence {place!r} of {len(block.sentences)}")
    return Question(text.strip(), language or spoken, number, places, earlier)


def _mixed(blocks: Sequence[Block]) -> list[str]:
    kinds: dict[str, set[Kind]] = {}
    for block in blocks:
        kinds.setdefault(block.document, set()).add(block.kind)
    return [document for document, found in kinds.items() if len(found) > 1]


def _history(earlier: str) -> list[dict[str, str]]:
    return [{"role": "user", "text": earlier}, {"role": "assistant", "text": "..."}] if earlier else []


def _write_table(target: Path, rows: Sequence[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _headed(blocks: Sequence[Block]) -> str:
    """Paragraphs under their headings, each heading once."""
    parts: list[str] = []
    last: tuple[str, ...] = ()
    for block in blocks:
        for depth, heading in enumerate(block.headings, 1):
            if last[:depth] != block.headings[:depth]:
                parts.append("#" * depth + " " + heading)
        last = block.headings
        parts.append(block.text)
    return "\n\n".join(parts) + "\n"
