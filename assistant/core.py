"""The walk ask: a question of a conversation -> Found, Delta ..., Done.

One synchronous generator feeds every face. It composes organs and owns no framework: the page, the
API and the command line only show what it yields. Text is yielded after it was checked, so what
a reader sees is never taken back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Generator, Iterator

from assistant import composer, language, prompts, registry, several, smalltalk, texts, verdict
from assistant.advisor import Advisor, Query
from assistant.approvals import Approvals, Match
from assistant.citations import Span
from assistant.composer import Dropped, Piece
from assistant.counter import Counter
from assistant.desk import Desk
from assistant.draft import Draft
from assistant.engines import choice
from assistant.engines.base import Batches, Engine
from assistant.engines.watch import watched
from assistant.errors import BadInput, ConfideError, EngineError, EngineUnavailable, UnknownName
from assistant.feedback import Feedback
from assistant.goods import Advice
from assistant.hosting import Hosting
from assistant.hours import Hours
from assistant.likeness import encoder
from assistant.line import Line
from assistant.outbound import Outbound
from assistant.retrieval.reader import Reader, Reading, names_field
from assistant.retrieval.search import Searcher, sure_support
from assistant.router import Router
from assistant.settings import Settings
from assistant.store import STOPPED, Store, Turn
from assistant.types import (
    MAX_QUESTION_CHARS,
    Answer,
    AskEvent,
    CollectionInfo,
    Company,
    Conversation,
    Delta,
    Done,
    Found,
    GenerateOptions,
    Hit,
    Message,
    ModelInfo,
    Outcome,
    Usage,
)

CONNECTING_SENTENCES = 2
"""After the quotes the model is read for so many sentences: more would only keep the customer waiting."""
_ANSWERS = uuid.UUID("6f0f7f5e-0d0c-4d53-9c3f-4b1f5d1f6a51")
"""Names answers after their questions' ids, so that a question sent again gets its answer once."""
_log = logging.getLogger(__name__)
_SMALL_TALK = {
    smalltalk.Intent.PERSON: "handover",
    smalltalk.Intent.PRIVATE: "private",
    smalltalk.Intent.GREETING: "greeting",
    smalltalk.Intent.THANKS: "thanks",
    smalltalk.Intent.GOODBYE: "goodbye",
    smalltalk.Intent.WHO: "who",
}


class Assistant:
    """A company's assistant over one data folder. Thread-safe; close it when done."""

    def __init__(self, *, settings: Settings, store: Store, searcher: Searcher, engine: Engine | None = None) -> None:
        self.settings = settings
        self.store = store
        self.searcher = searcher
        self._engine = engine
        self._engine_lock = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self.hosting = Hosting(settings, store)
        self.outbound = Outbound(settings)
        self.feedback = Feedback.open(store, settings)
        self.desk = Desk(store, settings.tenant, Hours.read(settings.desk.hours))
        embedder = functools.partial(searcher.embedder, settings.tenant)
        self.approvals = Approvals(store, settings.tenant, embedder, self.outbound.find)
        self.listeners: list[Callable[[str, Answer], None]] = []
        """Called with (collection, answer) for every answer but those of a named adapter: trials are no customers."""
        server = settings.server
        one_by_one = choice.engine_name(settings) == "hf"
        places = min(2, server.concurrency) if one_by_one else server.concurrency
        self.line = Line(places, server.queue_size, patience_s=server.wait_s)
        self.router = Router(self.hosting.shelf, self.hosting.deployments, settings.tenant)
        encode = encoder(searcher, settings, lambda name: bool(store.collection(settings.tenant, name)))
        models = settings.data_dir / "cache" / "recommend" / settings.tenant
        self.advisor = Advisor(store, settings.tenant, encode, folder=models)
        self.counter = Counter(self.advisor, store)

    @classmethod
    def open(cls, settings: Settings) -> Assistant:
        """The assistant of a data folder. The language model is loaded at the first answer, or by `warm`."""
        store = Store.of(settings)
        return cls(settings=settings, store=store, searcher=Searcher(store, settings))

    @property
    def engine(self) -> Engine:
        """The language model's engine, loaded at first use. Raises EngineUnavailable, which says what to do."""
        with self._engine_lock:
            if self._engine is None:
                try:
                    self._engine = registry.resolve("engines", choice.engine_name(self.settings))(self.settings)
                except EngineError:
                    raise
                except Exception as error:  # a full disk, too
                    said = getattr(error, "message", f"The model cannot be loaded: {error}")
                    raise EngineUnavailable(said, hint=getattr(error, "hint", "")) from error
                if isinstance(self._engine, Batches):  # `hf`: it knows its device only now
                    self.line.widen(min(self._engine.places, self.settings.server.concurrency))
            return self._engine

    @property
    def is_loaded(self) -> bool:
        """Whether the engine is in memory."""
        return self._engine is not None

    def warm(self, collection: str = "") -> None:
        """Loads the model and a collection's index, so that the first customer does not wait."""
        choice = self.hosting.choose(name := collection or self.settings.collection, "")
        with contextlib.suppress(EngineError), self.hosting.lease(self.engine, choice):
            pass
        info = self.store.collection(self.settings.tenant, name)
        if info and info.passages:
            hits = self.searcher.search(info.tenant, info.name, "hello", 1)
            self._reader(info).read("hello", hits)
        if self.advisor.has_catalogue(name):
            self.advisor.shop(name)

    def close(self) -> None:
        """Frees the model and closes the store."""
        if self._engine is not None:
            self._engine.close()
        self.store.close()

    def company(self, collection: str | None = None) -> Company:
        """Whose documents a collection holds; an empty `Company` where nobody said."""
        return self._collection(collection).company

    def ask(
        self,
        conversation: Conversation,
        question: str,
        *,
        collection: str | None = None,
        adapter: str | None = None,
        client_id: str | None = None,
    ) -> Iterator[AskEvent]:
        """Answers a question of a conversation: `Found`, then `Delta`s, then exactly one `Done`.

        A conversation with a customer is kept in the store, the question before the answer is
        made; `client_id` makes a repeated call store it once. `adapter` computes this answer ("none" =
        the bare model) instead of the collection's live one. Closing the generator stops the model
        and keeps what was said so far.

        While a person has the conversation the question is theirs: nothing is generated, and `Done` names them.

        Raises:
            BadInput: the question is empty or longer than MAX_QUESTION_CHARS.
            UnknownName: there is no such collection or adapter.
        """
        question = language.clean(question).strip()
        if not question:
            raise BadInput("The question is empty.", hint="Ask something.")
        if len(question) > MAX_QUESTION_CHARS:
            raise BadInput(f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARS} are read.")
        info = self._collection(collection)
        fallback = info.languages[0] if len(info.languages) == 1 else "en"
        choice = self.hosting.choose(info.name, conversation.id, adapter)
        draft = Draft(question, info, language.detect(question, default=fallback), choice)
        answer_id = uuid.uuid5(_ANSWERS, f"{conversation.id}/{client_id or uuid.uuid4().hex}").hex
        person = self._receive(conversation, draft, client_id or uuid.uuid4().hex)
        known = self._known(conversation, answer_id) if client_id and not person else None
        if person or known is not None:
            yield from self._passed_on(draft, person) if known is None else _again(known)
            return
        done = False
        try:
            yield from self._walk(conversation.with_message(Message("user", question)), draft)
            yield from self._offer_person(draft, conversation.id)
            answer = self._answer(answer_id, draft)
            self._keep(conversation, info, answer)
            done = True
            for tell in self.listeners if adapter is None else ():
                tell(info.name, answer)
            yield Done(answer)
        finally:
            if not done and draft.pieces:  # the reader stopped it, or something broke: keep what was seen
                draft.notes.append(STOPPED)
                self._keep(conversation, info, self._answer(answer_id, draft))

    def _receive(self, conversation: Conversation, draft: Draft, client_id: str) -> str:
        """Keeps the question; the person who has the conversation, "" = the assistant is to answer."""
        if not conversation.customer:  # nobody could ever read it back
            return ""
        turn = Turn(client_id, Message("user", draft.question), None, _now())
        return self.desk.receive(conversation, turn, collection=draft.info.name)

    def _passed_on(self, draft: Draft, person: str) -> Iterator[AskEvent]:
        """What a customer is told whose question went to a person, who answers in the thread."""
        draft.outcome = Outcome.NEEDS_HUMAN
        yield Found(())
        yield draft.add(Piece(texts.say("with_person", draft.language, person=person), (), ""))
        yield Done(dataclasses.replace(self._answer(uuid.uuid4().hex, draft), by=person))

    def _known(self, conversation: Conversation, answer_id: str) -> Answer | None:
        """The answer that a question sent again has already; one that was stopped is made again."""
        turns = self.store.turns(conversation.id, conversation.customer)
        data = next((turn.answer for turn in turns if turn.client_id == answer_id and not turn.is_stopped), None)
        if data is None:
            return None
        passages = self.store.passages_by_id(self.settings.tenant, [hit["passage_id"] for hit in data["hits"]])
        return Answer.from_dict(data, passages)

    def recommend(self, query: Query, *, collection: str | None = None) -> Advice:
        """Items for a customer or a request; see `advisor.Query`. Raises BadInput."""
        return self.advisor.recommend(collection or self.settings.collection, query)

    def _walk(self, conversation: Conversation, draft: Draft) -> Generator[AskEvent]:
        # 1. What the staff approved for this question wins; chatter and the wish for a person reach no documents.
        intent, asked = smalltalk.intent(draft.question), prompts.asked(conversation.messages)
        if intent in {smalltalk.Intent.QUESTION, smalltalk.Intent.PRIVATE}:
            match = self._approved(draft, asked)
            if match is not None:
                yield from self._say_approved(conversation, draft, match)
                return
        if intent is not smalltalk.Intent.QUESTION or not any(map(str.isalnum, draft.question)):  # "😡" names nothing
            person = intent in {smalltalk.Intent.PERSON, smalltalk.Intent.PRIVATE}
            draft.outcome = Outcome.NEEDS_HUMAN if person else Outcome.ANSWERED
            yield Found(())
            yield draft.say(_SMALL_TALK.get(intent, "nothing_asked"))
            if person and conversation.customer and not self.desk.hours.is_open(dt.datetime.now(dt.UTC)):
                when = self.desk.hours.says_when(dt.datetime.now(dt.UTC), draft.language)
                yield draft.add(Piece(texts.say("desk_closed", draft.language, when=when), ()))
            return
        if len(parts := several.questions(draft.question, functools.partial(self.counter.wanted, draft.info.name))) > 1:
            yield from several.answers(self._walk, conversation, draft, parts)
            return
        # 2. Goods, instead of an answer or beside it.
        named = self.searcher.with_name(draft.info, prompts.thread(conversation.messages))
        offer = self.counter.offer(conversation, draft.info.name, named or draft.question, draft.language)
        if offer is not None and (offer.alone or offer.advice.recommendations):
            draft.advice = offer.advice
        if offer is not None and offer.alone:
            draft.shape = "goods"
            yield Found(())
            yield draft.add(Piece(offer.advice.text, (), ""))
            return
        # 3. Passages, for a query that needs no conversation.
        named = offer.question if offer is not None and offer.question else named
        asked = prompts.Asked(named, whole=True) if named else asked
        draft.query = asked.query
        try:
            reading = self._find(draft, asked)
        except Exception as error:
            _log.exception("retrieval failed")
            draft.outcome, draft.failed = Outcome.COMPONENT_FAILED, "retrieval"
            draft.notes.append(f"retrieval: {type(error).__name__}")
            yield Found(())
            yield draft.say("failed_empty")
            return
        yield Found(draft.hits)
        # 4. Support decides; where it is in doubt, the model's verdict is a part of it.
        reading = self._reread(conversation, draft, reading)
        if reading.support < draft.info.threshold or not reading.units:
            draft.outcome = Outcome.NOT_IN_KNOWLEDGE_BASE
            yield draft.say("refusal") if offer is None else draft.goods(offer.advice, "advice_beside")
            return
        unsure = reading.support < sure_support(draft.info)
        if unsure and offer is not None and offer.advice.recommendations:  # their rows are nearer
            yield draft.goods(offer.advice, "advice_called")
        if unsure and not names_field(draft.query, reading):  # true quotes, but perhaps of something else: it says so
            draft.sure = False
            yield draft.say("unsure")
        # 5. Quotes and checked sentences.
        yield from self._compose(conversation, draft, reading)

    def _offer_person(self, draft: Draft, conversation: str) -> Iterator[AskEvent]:
        """A person, to a customer whom the router finds upset, after the answer; off without its adapters."""
        try:
            route = self.router.route(draft.question, draft.info.name, conversation=conversation)
        except Exception as error:  # an answer never fails for what only accompanies it
            _log.exception("the router failed")
            draft.notes.append(f"router: {type(error).__name__}")
            return
        if route is None:
            return
        draft.notes += route.notes()
        if route.offers_person and draft.outcome is not Outcome.NEEDS_HUMAN:
            yield draft.say("offer_person")

    def _approved(self, draft: Draft, asked: prompts.Asked) -> Match | None:
        """The approved answer of the question, where there is one."""
        try:
            for query in filter(None, (asked.query, asked.other)):
                match = self.approvals.match(draft.info.name, query)
                if match is not None:
                    draft.query = query
                    return match
        except Exception as error:  # the ordinary answer is there without it
            _log.exception("approved answers could not be asked")
            draft.notes.append(f"approved answers: {type(error).__name__}")
        return None

    def _say_approved(self, conversation: Conversation, draft: Draft, match: Match) -> Iterator[AskEvent]:
        """It cites itself, whole: what the staff wrote is a stored passage."""
        passage = match.passage
        draft.shape, draft.support = "approved", match.likeness
        draft.hits = (Hit(passage, match.likeness, "dense"),)
        draft.notes.append(f"the staff approved this answer ({match.answer.id}) for this question")
        yield Found(draft.hits)
        yield draft.add(Piece(passage.text, (Span(passage, 0, len(passage.text)),)))
        if conversation.customer:
            self.approvals.curated.hit(match.answer.id)

    def _find(self, draft: Draft, asked: prompts.Asked) -> Reading:
        """The passages and what they say; a second time where only that tells whether the question stands alone."""
        draft.hits, reading = self._read(draft, asked.query, whole=asked.whole)
        other = functools.cache(lambda: self._read(draft, asked.other))
        if asked.other_instead(reading.support, lambda: other()[1].support):
            draft.query, (draft.hits, reading) = asked.other, other()
        draft.support = reading.support
        return reading

    def _read(self, draft: Draft, query: str, *, whole: bool = False) -> tuple[tuple[Hit, ...], Reading]:
        info = draft.info
        variants = () if whole or query == draft.question else (draft.question,)
        hits = self.searcher.search(info.tenant, info.name, query, self.settings.retrieval.top_k, variants=variants)
        return hits, self._reader(info).read(query, hits)

    def _reread(self, conversation: Conversation, draft: Draft, reading: Reading) -> Reading:
        """The reading, with the verdict of the built-in adapter where one is wanted and can be had."""
        reader = self._reader(draft.info)
        no_model = draft.choice.adapters[0] is None or self.settings.model.shape == "quotes"
        if no_model or not reader.doubts(reading):
            return reading
        found, limit = [hit.passage for hit in draft.hits], self.settings.model.time_limit_s
        who, kept = self._company_name(draft), conversation.id or None
        asked = verdict.Asked(conversation.messages, found, who, draft.language, limit, kept)
        try:
            unanswered = verdict.of_built_in(self.hosting, self.engine, asked)
        except EngineError as error:  # the answer is made without it, and says itself that the engine failed
            _log.warning("no verdict of the model: %s", error)
            return reading
        if unanswered is not None:
            reading = reader.reread(reading, unanswered)
            draft.notes.append(f"in doubt ({draft.support:.2f}): with the model's verdict {reading.support:.2f}")
            draft.support, draft.reread = reading.support, True
        return reading

    def _company_name(self, draft: Draft) -> str:
        return draft.info.company.name(draft.language) or texts.say("this_company", draft.language)

    def _compose(self, conversation: Conversation, draft: Draft, reading: Reading) -> Iterator[AskEvent]:
        leading = composer.quotes(reading)
        try:
            draft.shape = self._shape(draft, reading)
            if draft.shape != "free":
                yield from map(draft.add, leading)
            if draft.shape != "quotes":
                yield from self._generate(conversation, draft, reading)
        except EngineError as error:
            _log.warning("the engine failed: %s", error)
            draft.outcome, draft.failed = Outcome.COMPONENT_FAILED, "engine"
            draft.notes.append(f"engine: {error.message}")
            if not draft.pieces:
                yield draft.say("failed")
        if not any(piece.spans for piece in draft.pieces):
            if draft.failed is None:
                draft.notes.append("no sentence of the model was supported: the best passages are quoted")
            yield from map(draft.add, leading)

    def _shape(self, draft: Draft, reading: Reading) -> str:
        """How this answer is made; `quotes` where a field is the answer or the model does not write the language."""
        if self.engine.location == "remote" and not self.outbound.allows(draft.info.name):
            draft.notes.append(f"{draft.info.name} does not leave this machine: quotes only, nothing was sent")
            return "quotes"
        shape = self.settings.model.shape
        if shape == "auto":
            shape = "quote-first"
        if shape == "quote-first" and reading.looked_up:
            return "quotes"
        model = self.engine.model
        if shape != "quotes" and model.languages and draft.language not in model.languages:
            draft.notes.append(f"{model.name} does not write {draft.language}: the passages are quoted verbatim")
            return "quotes"
        return shape

    def _generate(self, conversation: Conversation, draft: Draft, reading: Reading) -> Iterator[AskEvent]:
        """The model's sentences that pass the check, as each of them ends."""
        with self.hosting.lease(self.engine, draft.choice) as leased:
            draft.adapter = leased.adapter
            draft.notes += leased.notes
            draft.privacy = self.hosting.spent(leased.adapter, draft.language)
            yield from self._write(conversation, draft, reading)

    def _write(self, conversation: Conversation, draft: Draft, reading: Reading) -> Iterator[AskEvent]:
        engine, wanted = self.engine, self.settings.model
        passages = draft.evidence()
        away = engine.location == "remote"
        prompt = prompts.build(
            self.outbound.redacted(conversation.messages) if away else conversation.messages,
            [passage.text for passage in passages],
            company=self._company_name(draft),
            answer_language=draft.language,
            budget=engine.model.context_tokens - wanted.max_new_tokens,
            count_tokens=functools.lru_cache(engine.count_tokens),
        )
        draft.notes += prompt.notes
        if away:
            self.outbound.record(engine, draft.info.name, prompt.messages)
        options = GenerateOptions(
            max_new_tokens=wanted.max_new_tokens,
            temperature=wanted.temperature,
            time_limit_s=wanted.time_limit_s,
            adapter=draft.adapter,
            conversation=conversation.id or None,
        )
        most = CONNECTING_SENTENCES if draft.shape == "quote-first" else None
        written: list[str] = []
        with contextlib.closing(watched(engine, prompt.messages, options)) as stream:
            for sentence in itertools.islice(composer.sentences_of(stream), most):
                written.append(sentence)
                if sentence.strip() == verdict.REFUSAL:
                    continue
                unit = composer.pointed(sentence, reading.units)
                if unit is not None:  # it points at a sentence of a passage, which is quoted
                    yield from map(draft.add, composer.quoted(unit, draft.pieces, reading.units))
                    continue
                piece = composer.checked(sentence, passages, draft.pieces)
                if isinstance(piece, Piece):
                    yield draft.add(piece)
                elif isinstance(piece, Dropped):
                    draft.notes.append(f"dropped a sentence of the model ({piece.reason}): {piece.text}")
        draft.usage = Usage(prompt.tokens, engine.count_tokens(" ".join(written)))

    def _answer(self, answer_id: str, draft: Draft) -> Answer:
        manifest = ""
        with contextlib.suppress(ConfideError):
            manifest = self.searcher.manifest(draft.info.tenant, draft.info.name)
        engine, model = choice.engine_name(self.settings), ModelInfo("", "", 0)
        if self._engine is not None:
            engine, model = self._engine.name, self._engine.model
        return draft.answer(answer_id, engine=engine, model=model, index_manifest=manifest)

    def _keep(self, conversation: Conversation, info: CollectionInfo, answer: Answer) -> None:
        """Stores an answer; where it says that a person is needed, the conversation is on the queue with it."""
        if not conversation.customer:
            return
        turn = Turn(answer.id, Message("assistant", answer.text), answer.to_dict(), _now())
        if answer.outcome is Outcome.NEEDS_HUMAN:
            self.desk.queue(conversation, turn, collection=info.name)
        else:
            self.store.append_turns(conversation, tenant=info.tenant, collection=info.name, turns=[turn])

    def _collection(self, name: str | None) -> CollectionInfo:
        name = name or self.settings.collection
        info = self.store.collection(self.settings.tenant, name, counted=False)
        if info is None:
            known = [known.name for known in self.store.collections(self.settings.tenant)]
            hint = registry.did_you_mean(name, known) or "`python app.py ingest PATH` makes one."
            raise UnknownName(f"There is no collection called {name!r}.", hint=hint)
        return info

    def _reader(self, info: CollectionInfo) -> Reader:
        key = f"{info.tenant}/{info.name}/{self.searcher.manifest(info.tenant, info.name)}"
        reader = self._readers.get(key)
        if reader is None:
            searcher, which = self.searcher, (info.tenant, info.name)
            reader = Reader(searcher.embedder(*which), searcher.idf(*which), searcher.known(*which))
            self._readers = {**dict(list(self._readers.items())[-7:]), key: reader}
        return reader


def _again(answer: Answer) -> Iterator[AskEvent]:
    """An answer that was given before."""
    yield Found(answer.hits)
    yield Delta(answer.text)
    yield Done(answer)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
