"""`ask`: one question, its answer and its sources."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import console
from assistant.commands.opening import AdapterOption, CollectionOption, JsonOption, assistant_of
from assistant.errors import BadInput, ConfideError

if TYPE_CHECKING:
    from assistant.types import Answer, AskEvent, Conversation


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    collection: CollectionOption = None,
    adapter: AdapterOption = None,
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Earlier messages, oldest first: [{"role": "user", "text": "..."}, ...]'),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Asks one question and prints the answer with its sources."""
    if not question.strip():
        raise BadInput("The question is empty.", hint='For example: ask "Can I return a tent?"')
    conversation = _conversation(history)
    with assistant_of(context) as assistant:
        answer = _ask(assistant.ask(conversation, question, collection=collection, adapter=adapter), quiet=as_json)
    if as_json:
        console.print_json(answer.to_dict())
    else:
        console.print_sources(answer)


def _ask(events: Iterator[AskEvent], *, quiet: bool) -> Answer:
    """The whole answer; its text is printed as it comes unless `quiet`."""
    from assistant.types import Delta, Done

    for event in events:
        if isinstance(event, Delta) and not quiet:
            sys.stdout.write(event.text)
            sys.stdout.flush()
        elif isinstance(event, Done):
            return event.answer
    raise ConfideError("The assistant stopped before its answer was whole.", hint="`confide doctor` looks further.")


def _conversation(history: Path | None) -> Conversation:
    from uuid import uuid4

    from assistant.types import Conversation, Message

    if history is None:
        return Conversation(id=uuid4().hex)
    shape = 'It should be a JSON list like [{"role": "user", "text": "..."}, {"role": "assistant", "text": "..."}].'
    try:
        rows = json.loads(history.read_text(encoding="utf-8"))
        messages = tuple(Message(role=row["role"], text=row["text"]) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"The history {history} cannot be read: {error}.", hint=shape) from error
    if any(message.role not in ("user", "assistant") or not isinstance(message.text, str) for message in messages):
        raise BadInput(f"The history {history} has a message that is neither user nor assistant.", hint=shape)
    return Conversation(id=uuid4().hex, messages=messages)
