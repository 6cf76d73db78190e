import pytest

from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.errors import EngineUnavailable
from assistant.ingest import ingest
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Conversation, Message
from assistant.why import why

POLICY = (
    "# Repairs\n\nBroken tent poles are repaired for 15 EUR.\n\n# Post\n\nParcels with tent poles leave on Monday.\n"
)
QUESTION = "How much does it cost to have broken tent poles repaired?"


class Scoring(EchoEngine):
    """Finds a text the likelier the more of its words the prompt holds."""

    def __init__(self):
        super().__init__(script=["."])
        self.asked = []

    def logprobs(self, prompts, text, *, adapter=None):
        self.asked.append((len(prompts), adapter))
        seen = [{word for message in prompt for word in message.text.split()} for prompt in prompts]
        return [-float(sum(word not in known for word in text.split())) for known in seen]


@pytest.fixture
def make(tmp_path):
    made = []

    def build(engine):
        (tmp_path / "policy.md").write_text(POLICY)
        settings = load_settings(
            data_dir=tmp_path / "data", collection="shop", model={"engine": "echo"},
            retrieval={"embedder": "hashing", "threshold": 0.05, "passage_chars": 100},
        )  # fmt: skip
        store = Store.open(settings.data_dir)
        searcher = Searcher(store, settings)
        ingest([tmp_path / "policy.md"], store=store, settings=settings, index=searcher, collection="shop")
        made.append(Assistant(settings=settings, store=store, searcher=searcher, engine=engine))
        return made[-1]

    yield build
    for assistant in made:
        assistant.close()


def answered(assistant):
    *_, done = assistant.ask(Conversation(""), QUESTION)
    return done.answer.to_dict()


def test_the_quoted_passage_contributes_most_in_one_batch(make):
    engine = Scoring()
    assistant = make(engine)
    answer = answered(assistant)
    found = {each.passage_id: each.nats for each in why(assistant, [Message("user", QUESTION)], answer)}
    assert list(found) == [hit["passage_id"] for hit in answer["hits"]]
    assert len(found) > 1
    cited = answer["citations"][0]["passage_id"]
    assert found[cited] == max(found.values()) > 0
    assert engine.asked == [(len(found) + 1, None)]


def test_an_answer_without_passages_has_no_contributions(make):
    assistant = make(Scoring())
    assert why(assistant, [Message("user", "hi")], {**answered(assistant), "hits": []}) == ()


def test_an_engine_that_cannot_score_says_so(make):
    assistant = make(EchoEngine(script=["."]))
    with pytest.raises(EngineUnavailable, match="cannot tell"):
        why(assistant, [Message("user", QUESTION)], answered(assistant))
