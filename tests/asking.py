"""An assistant over two short policies, and what every answer of it keeps: the walk's events and exact citations."""

from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.ingest import ingest
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Conversation, Delta, Done, Found

POLICY = """# Returns

Unused items can be returned within 30 days of delivery. Delivery costs are refunded only when the item was faulty.

# Repairs

Broken tent poles are repaired for 15 EUR in every store. Zips are repaired only if the product is clean.
"""


def over_policies(folder, engine=None, shape="quote-first", threshold=0.05, **model):
    """An assistant whose collection `shop` has POLICY, with the `hashing` embedder; close it."""
    (folder / "policy.md").write_text(POLICY)
    settings = load_settings(
        data_dir=folder / "data",
        collection="shop",
        model={"engine": "echo", "shape": shape, **model},
        retrieval={"embedder": "hashing", "threshold": threshold},
    )
    store = Store.open(settings.data_dir)
    searcher = Searcher(store, settings)
    ingest([folder / "policy.md"], store=store, settings=settings, index=searcher, collection="shop")
    return Assistant(settings=settings, store=store, searcher=searcher, engine=engine or EchoEngine(script=["."]))


def run(assistant, question, conversation=None, **kwargs):
    events = list(assistant.ask(conversation or Conversation(""), question, **kwargs))
    assert isinstance(events[0], Found)
    assert isinstance(events[-1], Done)
    assert all(isinstance(event, Delta) for event in events[1:-1])
    answer = events[-1].answer
    assert "".join(event.text for event in events[1:-1]) == answer.text
    return answer


def exact(assistant, answer):
    for citation in answer.citations:
        stored = assistant.store.passage("default", citation.passage_id)
        assert stored is not None
        assert stored.text[citation.start : citation.end] == citation.quote
        assert answer.text[citation.answer_start : citation.answer_end]
    return True
