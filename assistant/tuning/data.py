"""A user's JSONL, CSV or CoNLL file -> checked records, or the list of everything wrong with it.

A file with one bad line gives no records: all problems are listed at once with their lines. It is
not the tokenizer (`tasks.py`): a record is still text. Formats, by task:

- pairs: `{"prompt": [{"role", "content"}, ...], "chosen": [{"role", "content"}], "rejected": [...], "passages",
  "customer", "company"}` lines, as TRL's trainers read them; texts instead of lists of messages will do;
- chat: `{"messages": [{"role", "content"}, ...], "passages": [{"text"}, ...], "customer", "company"}` lines,
  the last message the assistant's; with passages the record is grounded (passages may be strings);
- classify: `{"text", "label", "customer"}` lines, or a CSV with these columns;
- tag: `{"tokens": [...], "tags": [...], "customer"}` lines, or CoNLL (a word and its tag a line).
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from assistant import language
from assistant.errors import BadInput
from assistant.settings import Settings
from assistant.tuning.records import ChatRow, ClassifyRow, PairRow, Records, Row, TagRow, leaks, records_of, text_of
from assistant.types import Message, Role, Task
from privacy.erasure import Tombstones

__all__ = [
    "ChatRow", "ClassifyRow", "PairRow", "Records", "Row", "TagRow", "leaks", "read_records", "records_for",
    "records_of", "text_of",
]  # fmt: skip

MAX_CHARS = 100_000
"""A longer row is a mistake of the export, not a conversation."""
SHOWN = 20
"""Problems that are listed before the rest is counted."""


def read_records(path: Path, task: Task, labels: Sequence[str] | None = None, *, pairs: bool = False) -> Records:
    """The checked records of a file. `labels`: the only ones allowed, in their order (None = those found).

    `pairs`: chat records that are pairs of answers.

    Raises:
        BadInput: lists every line that is wrong and why; there are no records then.
    """
    if task not in get_args(Task):
        raise BadInput(f"There is no task {task!r}.", hint=f"Known: {', '.join(get_args(Task))}.")
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 (byte {error.start}).", hint="Save it as UTF-8.") from error
    problems: list[str] = []
    rows: list[Row] = []
    parse = _pair if pairs else _PARSERS[task]
    for line, value in lines_of(path, task, text, problems):
        try:
            rows.append(parse(value, line))
        except (_Wrong, RecursionError) as wrong:
            problems.append(f"line {line}: {wrong}")
    if labels is not None:
        problems += _unknown_labels(rows, labels)
    if not rows and not problems:
        problems.append("there are no records in it")
    if problems:
        _refuse(path, problems)
    return records_of(task, rows, labels=labels, sha256=hashlib.sha256(raw).hexdigest())


def records_for(path: Path, task: Task, settings: Settings, *, pairs: bool = False) -> Records:
    """The records of a file that may be trained on: an old file does not bring back a customer who was erased.

    Raises:
        BadInput: as `read_records`.
    """
    records = read_records(path, task, pairs=pairs)
    gone = Tombstones(settings.data_dir, settings.tenant).erased(row.customer for row in records.rows)
    if not gone:
        return records
    rest = records.subset(i for i, row in enumerate(records.rows) if row.customer not in gone)
    left_out = f"{len(records) - len(rest)} records are of customers who were erased: they are left out."
    return dataclasses.replace(rest, warnings=(*rest.warnings, left_out))


# Reading


class _Wrong(ValueError):
    """A row is wrong, and why."""


def lines_of(path: Path, task: Task, text: str, problems: list[str]) -> Iterator[tuple[int, Any]]:
    """(line number, decoded value) of each record in the text of a file; what is no record is added to `problems`."""
    if path.suffix.lower() in {".csv", ".tsv"}:
        yield from _csv_rows(text, "\t" if path.suffix.lower() == ".tsv" else ",", problems)
    elif task == "tag" and not text.lstrip().startswith("{"):
        yield from _conll_rows(text, problems)
    else:
        for line, part in enumerate(text.split("\n"), start=1):
            if part.strip():
                try:
                    yield line, json.loads(part)
                except (ValueError, RecursionError) as error:
                    problems.append(f"line {line}: not JSON ({error})")


def _csv_rows(text: str, delimiter: str, problems: list[str]) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row:
                problems.append(f"line {reader.line_num}: more columns than the header")
            else:
                yield reader.line_num, {key: value for key, value in row.items() if value is not None}
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not CSV ({error})")


def _conll_rows(text: str, problems: list[str]) -> Iterator[tuple[int, Any]]:
    tokens: list[str] = []
    tags: list[str] = []
    start = 1
    for line, part in enumerate([*text.split("\n"), ""], start=1):
        fields = part.split()
        if not fields or fields[0] == "-DOCSTART-":
            if tokens:
                yield start, {"tokens": tokens, "tags": tags}
            tokens, tags, start = [], [], line + 1
        elif len(fields) < 2:
            problems.append(f"line {line}: a word without a tag")
        else:
            tokens.append(fields[0])
            tags.append(fields[-1])


def _chat(value: Any, line: int) -> ChatRow:
    value = _object(value, {"messages", "passages", "customer", "company"})
    listed = value.get("messages")
    if not isinstance(listed, list) or not listed:
        raise _Wrong('no "messages", a list of {"role", "content"}')
    messages = tuple(_message(each) for each in listed)
    roles = [message.role for message in messages]
    if roles[-1] != "assistant" or "user" not in roles:
        raise _Wrong("it must ask something (user) and end with the assistant's answer")
    turns = roles[1:] if roles[0] == "system" else roles
    if any(role != ("user", "assistant")[place % 2] for place, role in enumerate(turns)):
        raise _Wrong("after an optional system message, user and assistant must take turns")
    passages = value.get("passages", [])
    if not isinstance(passages, list):
        raise _Wrong('"passages" is not a list')
    found = tuple(_text(each.get("text") if isinstance(each, dict) else each, "a passage") for each in passages)
    row = ChatRow(messages, found, _name(value, "customer"), _name(value, "company"), line)
    _check_length(row)
    return row


def _pair(value: Any, line: int) -> PairRow:
    if not isinstance(value, dict) or not {"prompt", "chosen", "rejected"} <= value.keys():
        raise _Wrong('a pair has "prompt", "chosen" and "rejected"')
    prompt = value["prompt"]
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(asked, list):
        raise _Wrong('"prompt" is neither a text nor a list of messages')
    rest = {key: value[key] for key in ("passages", "customer", "company") if key in value}
    sides = []
    for key in ("chosen", "rejected"):
        said = value[key]
        answer = [{"role": "assistant", "content": said}] if isinstance(said, str) else said
        if not isinstance(answer, list) or len(answer) != 1:
            raise _Wrong(f'"{key}" is not one answer')
        sides.append(_chat({"messages": [*asked, *answer], **rest}, line))
    if sides[0] == sides[1]:
        raise _Wrong("both answers are the same")
    return PairRow(*sides)


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        raise _Wrong('a message is not {"role", "content"}')
    role = value.get("role")
    if role not in get_args(Role):
        raise _Wrong(f"the role {role!r} is none of {', '.join(get_args(Role))}")
    return Message(cast(Role, role), _text(value.get("content"), '"content"'))


def _classify(value: Any, line: int) -> ClassifyRow:
    value = _object(value, {"text", "label", "customer"})
    label = value.get("label")
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    row = ClassifyRow(_text(value.get("text"), '"text"'), _text(label, '"label"'), _name(value, "customer"), line)
    _check_length(row)
    return row


def _tag(value: Any, line: int) -> TagRow:
    value = _object(value, {"tokens", "tags", "customer"})
    tokens, tags = value.get("tokens"), value.get("tags")
    if not isinstance(tokens, list) or not isinstance(tags, list) or not tokens:
        raise _Wrong('no "tokens" and "tags", two lists of texts')
    if len(tokens) != len(tags):
        raise _Wrong(f"{len(tokens)} tokens, but {len(tags)} tags")
    for tag in tags:
        if tag != "O" and not (isinstance(tag, str) and tag[:2] in {"B-", "I-"} and tag[2:]):
            raise _Wrong(f'the tag {tag!r} is not "O", "B-..." or "I-..."')
    words = tuple(_text(token, "a token") for token in tokens)
    row = TagRow(words, tuple(map(language.clean, tags)), _name(value, "customer"), line)
    _check_length(row)
    return row


_PARSERS: dict[str, Callable[[Any, int], Row]] = {"chat": _chat, "classify": _classify, "tag": _tag}


def _object(value: Any, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong("not a JSON object")
    missing = {next(iter(known & {"messages", "text", "tokens"}))} - value.keys()
    if missing:
        raise _Wrong(f"no {', '.join(map(repr, sorted(missing)))}; it has {', '.join(map(repr, value)) or 'nothing'}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{what} is missing" if value is None else f"{what} is not a text")
    text = language.clean(value).strip()
    if not text:
        raise _Wrong(f"{what} is empty")
    return text


def _name(value: dict[str, Any], key: str) -> str:
    name = value.get(key)
    if name is not None and not isinstance(name, str | int):
        raise _Wrong(f'"{key}" is not a text')
    return "" if name is None else language.clean(str(name)).strip()


def _check_length(row: Row) -> None:
    length = len(text_of(row))
    if length > MAX_CHARS:
        raise _Wrong(f"{length} characters; the longest allowed is {MAX_CHARS}")


def _unknown_labels(rows: Iterable[Row], labels: Sequence[str]) -> list[str]:
    known = set(labels)
    found = []
    for row in rows:
        used = (row.label,) if isinstance(row, ClassifyRow) else row.tags if isinstance(row, TagRow) else ()
        found += [
            f"line {row.line}: the label {label!r} is not allowed"
            for label in dict.fromkeys(used)
            if label not in known
        ]
    return found


def _refuse(path: Path, problems: Sequence[str]) -> None:
    ordered = sorted(problems, key=lambda problem: int("".join(filter(str.isdigit, problem.partition(":")[0])) or 0))
    shown = "\n".join(f"  {problem}" for problem in ordered[:SHOWN])
    more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise BadInput(
        f"{path} has {len(problems)} problem{'s' if len(problems) > 1 else ''}; nothing was trained:\n{shown}{more}",
        hint="docs/fine-tuning.md shows each format.",
    )
