"""A shop without documents whose customers were answered and rated it: for tests of what is learned from that."""

from assistant.feedback import Feedback, Opinion
from assistant.lessons import Lessons
from assistant.rows import Base, now
from assistant.settings import Settings
from assistant.store import Store, Turn
from assistant.types import CollectionInfo, Conversation, Message

SAID = "How long can I return boots? I am max@web.de"
RIGHT = "Within 30 days, call 0151 23456789."


class House:
    def __init__(self, folder):
        self.settings = Settings(data_dir=folder)
        self.store = Store.open(folder)
        self.store.save_collection(CollectionInfo("default", "shop", ("en",), "hashing", 0.5))
        self.feedback = Feedback.open(self.store, self.settings)
        self.lessons = Lessons(self.store, self.settings)

    def rate(self, n, customer="u1", *, rating="down", correction=RIGHT, consent=True, cited=True, outcome="ANSWERED"):
        """One answered question and its rating; the ticket to change it."""
        answer = {"id": f"a{n}", "outcome": outcome, "text": f"Within 14 days ({n}).", "hits": [], "receipt": {}}
        answer["citations"] = [{}] if cited else []
        turns = [
            Turn(f"q{n}", Message("user", SAID), None, now()),
            Turn(f"a{n}", Message("assistant", answer["text"]), answer, now()),
        ]
        self.store.append_turns(Conversation(f"c{n}", customer), tenant="default", collection="shop", turns=turns)
        ticket = self.feedback.ticket(f"a{n}", f"c{n}", visitor=customer, collection="shop")
        return self.feedback.rate(ticket, Opinion(rating, correction, consent), visitor=customer)[1]

    def person(self, n, *said, answer=RIGHT, rating="up", consent=True):
        """(who, text) messages of a conversation, then a person's answer, rated; a "bot" has an outcome."""
        talk, turns = Conversation(f"c{n}", f"u{n}"), []
        for place, (who, text) in enumerate(said):
            data = None if who == "user" else {"id": f"b{n}-{place}", "outcome": who, "text": text, "hits": []}
            role = "user" if who == "user" else "assistant"
            turns.append(Turn(f"t{n}-{place}", Message(role, text), data, now()))
        turns.append(Turn(f"s:{n}", Message("assistant", answer), None, now(), "Ada"))
        self.store.append_turns(talk, tenant="default", collection="shop", turns=turns)
        written = self.store.turns(talk.id, talk.customer)[-1].answer_id
        ticket = self.feedback.ticket(written, talk.id, visitor=talk.customer, collection="shop")
        return self.feedback.rate(ticket, Opinion(rating, "", consent), visitor=talk.customer)[1]

    def take(self, turn):
        with self.store.tables(Base.metadata).begin() as session:
            return self.lessons.take(session, "shop", turn)
