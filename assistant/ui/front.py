"""What the page's handlers share: who asks, what may be shown, the walk ask as HTML.

No Gradio here: handlers turn Gradio's values into calls of these methods and back. A handler never
takes a conversation id at its word: `Front.own` answers with one of the visitor's own, or a new one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from assistant.core import Assistant
from assistant.desk import OPEN, Standing, State
from assistant.errors import BadInput
from assistant.line import Asker
from assistant.sessions import Door, Sessions
from assistant.settings import Settings
from assistant.store import Turn, before
from assistant.types import CollectionInfo, Company, Conversation, Delta, Done, Found
from assistant.ui import render
from assistant.ui.render import Look
from assistant.ui.texts import Say, words
from assistant.why import why

HISTORY = 40
"""The last turns that a question is understood in."""
_LOOK_S = 1.0
"""How often a waiting question looks whether its position has changed."""


class Visitor(Protocol):
    """Who a request comes from, as the server established it: never what the client says it is."""

    @property
    def session(self) -> str:
        """The session of the signed cookie."""
        ...

    @property
    def address(self) -> str:
        """Where it comes from."""
        ...


@dataclass(frozen=True, slots=True)
class Front:
    """A page's way to the assistant, in one language."""

    assistant: Assistant
    sessions: Sessions
    door: Door
    language: str
    path: str

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.assistant.settings

    @property
    def say(self) -> Say:
        """The page's words in its language."""
        return words(self.language)

    def look(self, collection: str = "") -> Look:
        """How a thread about a collection is shown."""
        return Look(self.say, self.path, self.company(collection).contact)

    # Collections

    def collections(self) -> list[CollectionInfo]:
        """The collections that can be asked, the default one first."""
        found = self.assistant.store.collections(self.settings.tenant)
        return sorted(found, key=lambda info: (info.name != self.settings.collection, info.name))

    def collection(self, name: str | None) -> CollectionInfo | None:
        """The collection of this name; the default one where there is none."""
        known = self.collections()
        return next((info for info in known if info.name == name), known[0] if known else None)

    def about(self, conversation: str, chosen: str | None) -> CollectionInfo | None:
        """What is asked in a conversation: once it is stored its own collection, else the chosen one."""
        return self.collection(self.assistant.store.collection_of(conversation) or chosen)

    def company(self, collection: str | None) -> Company:
        """Whose documents they are."""
        info = self.collection(collection)
        return info.company if info else Company()

    def company_name(self, collection: str | None = None) -> str:
        """The company's name in the page's language; "" where nobody said."""
        return self.company(collection).name(self.language)

    def examples(self, collection: str | None, n: int) -> list[str]:
        """Example questions in the page's language."""
        return list(self.company(collection).examples.get(self.language, ()))[:n]

    def banner(self, collection: str | None) -> str:
        """The warning of a collection, as HTML; "" where all is well."""
        info = self.collection(collection)
        return (
            render.banner(info, self.assistant.searcher.embedder_languages(info.embedder), self.look()) if info else ""
        )

    # Conversations

    def own(self, session: str, conversation: str | None) -> str:
        """The conversation if it is this visitor's, else a new one of theirs."""
        if conversation and self.sessions.owns(session, conversation):
            return conversation
        return self.sessions.new_conversation(session)

    def turns(self, session: str, conversation: str) -> list[Turn]:
        """The stored turns of the visitor's own conversation."""
        return self.assistant.store.turns(conversation, session)

    def titles(self, session: str) -> list[tuple[str, str]]:
        """(title, id) of the visitor's conversations, newest first."""
        found = self.assistant.store.conversations(self.settings.tenant, session)
        return [(one.title or "…", one.id) for one in found]

    def thread(self, session: str, conversation: str, collection: str | None) -> str:
        """The conversation as HTML; a welcome where nothing was said yet."""
        turns = self.turns(session, conversation)
        if turns:
            return render.thread(turns, self._rated(session, conversation, collection), conversation)
        info = self.collection(collection)
        name = self.company_name(collection)
        return render.welcome(name or self.say("assistant"), self.look(), empty=not (info and info.passages))

    def explained(self, visitor: Visitor, conversation: str, collection: str | None) -> str:
        """The conversation as HTML, with what each source contributed to the last answer.

        Raises:
            BadInput: the last answer was not made from passages.
            EngineError: the engine cannot tell.
            Busy: too many questions wait.
        """
        session = visitor.session
        turns, info = self.turns(session, conversation), self.about(conversation, collection)
        last = turns[-1].answer if turns else None
        if info is None or last is None or not last["hits"] or not last["citations"]:
            raise BadInput(self.say("why_impossible"))
        messages = [turn.message for turn in turns[-HISTORY - 1 : -1]]
        with self.assistant.line.join(Asker(session, visitor.address)) as ticket:
            ticket.wait()
            found = why(self.assistant, messages, last, collection=info.name)
        parts = {each.passage_id: each.nats for each in found}
        return render.thread(turns, self._rated(session, conversation, info.name), conversation, why=parts)

    def last_question(self, session: str, conversation: str) -> str:
        """The text of the last question; "" where there is none."""
        turns = self.turns(session, conversation)
        return next((turn.message.text for turn in reversed(turns) if turn.message.role == "user"), "")

    def may_ask_again(self, session: str, conversation: str) -> bool:
        """Whether the last question can be dropped: no person has it or will, none wrote since."""
        turns, standing = self.turns(session, conversation), self.standing(conversation)
        asked = [place for place, turn in enumerate(turns) if turn.message.role == "user"]
        return bool(asked) and not (standing and standing.state in OPEN) and not any(t.by for t in turns[asked[-1] :])

    def forget_last_question(self, session: str, conversation: str) -> None:
        """Drops the last question and what came after it: it is asked again, or anew. What is a person's stays.

        Raises:
            BadInput: a person has the conversation, or wrote since.
        """
        turns = self.turns(session, conversation)
        if turns and not self.may_ask_again(session, conversation):
            raise BadInput(self.say("with_a_person"))
        asked = [place for place, turn in enumerate(turns) if turn.message.role == "user"]
        if asked:
            self.assistant.store.drop_turns_after(conversation, session, keep=asked[-1])

    def _rated(self, session: str, conversation: str, collection: str | None) -> Look:
        """How a stored conversation is shown to whom it belongs: its answers can be rated."""
        feedback, about = self.assistant.feedback, self.assistant.store.collection_of(conversation)
        ratings = feedback.of(conversation)

        def rate(answer: str) -> tuple[str, str]:
            known = ratings.get(answer)
            ticket = feedback.ticket(
                answer, conversation, visitor=session, collection=about, changes=known.changes if known else 0
            )
            return ticket, known.opinion.rating if known else ""

        return dataclasses.replace(self.look(collection or ""), rate=rate, person=self.person(session, conversation))

    # A person instead of the assistant

    def standing(self, conversation: str) -> Standing | None:
        """Where the conversation stands with people."""
        return self.assistant.desk.standing(conversation)

    def person(self, session: str, conversation: str) -> str:
        """What the customer is told about it; "" where the assistant has the conversation, and has said so."""
        standing = self.standing(conversation)
        if standing is None or standing.state is State.RESOLVED:
            return ""
        if standing.state is State.RETURNED and not self.turns(session, conversation)[-1].by:
            return ""
        return self.say(f"person_{standing.state}", name=standing.staff)

    def seen(self, session: str, conversation: str) -> str:
        """Changes with everything that can be new in a conversation: who has it, what was said."""
        turns, standing = self.turns(session, conversation), self.standing(conversation)
        return f"{turns[-1].number if turns else 0} {standing}"

    def delete(self, session: str, conversation: str) -> None:
        """Deletes the visitor's own conversation."""
        self.assistant.store.remove_conversation(conversation, session)

    # The walk ask

    def ask(
        self, visitor: Visitor, conversation: str, question: str, collection: str | None, *, again: bool = False,
        message: str = "",
    ) -> Generator[str]:  # fmt: skip
        """The turn in the making as HTML, again and again: first its place in the line; ends when it is stored.

        Closing it stops the model. `again`: the last question is dropped before. `message` is the page's id of it: sent
        twice with it (a double press), it is kept and answered once.

        Raises:
            BadInput: the question is empty or too long, there is no collection, or the conversation's is gone.
            Busy: too many questions wait; nothing was dropped.
        """
        info = self.about(conversation, collection)
        if info is None:
            raise BadInput(self.say("empty_collection"))
        look, standing = self.look(info.name), self.standing(conversation)
        if standing is not None and standing.state is State.TAKEN:  # a person's: no place before the model is needed
            yield from self._answer(visitor.session, conversation, question, info, look, message)
            return
        if self.assistant.store.collection_of(conversation) not in {"", info.name}:
            raise BadInput(self.say("collection_gone"))
        with self.assistant.line.join(Asker(visitor.session, visitor.address)) as ticket:
            pause = 0.0
            while not ticket.wait(pause):
                pause = _LOOK_S
                yield render.live(question, "", look, self.say("waiting", n=ticket.ahead + 1))
            known = {turn.client_id for turn in self.turns(visitor.session, conversation)} if again else set()
            if again and f"m:{message}" not in known:
                self.forget_last_question(visitor.session, conversation)
            yield from self._answer(visitor.session, conversation, question, info, look, message)

    def _answer(
        self, session: str, conversation: str, question: str, info: CollectionInfo, look: Look, message: str
    ) -> Generator[str]:
        turns = before(self.turns(session, conversation), f"m:{message}")[-HISTORY:]
        thread = Conversation(conversation, session, tuple(turn.message for turn in turns))
        said, status = "", self.say("searching")
        yield render.live(question, said, look, status)
        for event in self.assistant.ask(
            thread, question, collection=info.name, client_id=f"m:{message}" if message else None
        ):
            if isinstance(event, Found):
                status = self.say("reading", n=len(event.hits)) if event.hits else status
            elif isinstance(event, Delta):
                said, status = said + event.text, ""
            elif isinstance(event, Done):
                return
            yield render.live(question, said, look, status)
