"""An index whose vectors are on a server keeps the laws of one that has them; processes share them, tenants do not."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import test_index as index_laws
import test_search as search_laws
from test_search import add, add_collection, names, settings_of, store  # noqa: F401
from vector_server import VectorServerStandIn

from assistant.errors import IndexMismatch, IndexUnavailable, SettingsError
from assistant.retrieval import index as indexes
from assistant.retrieval import qdrant
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.qdrant import VectorServer
from assistant.retrieval.search import Searcher
from assistant.store import Store

pytestmark = [
    pytest.mark.skipif(
        not find_spec("qdrant_client"), reason="pip install -r requirements-qdrant.txt -c constraints.txt"
    ),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
    pytest.mark.filterwarnings("ignore:Api key is used:UserWarning"),
]
# ruff: noqa: F811  (`store` is a fixture of the file whose laws hold here too)


@pytest.fixture
def local() -> VectorServer:
    """Qdrant's local mode, in memory."""
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:", force_disable_check_same_thread=True)
    return VectorServer(client, "memory")


@pytest.mark.parametrize(
    "law",
    [
        index_laws.test_a_loaded_index_is_the_one_that_was_built,
        index_laws.test_the_manifest_covers_every_file,
        index_laws.test_a_text_seen_before_is_not_embedded_again,
        index_laws.test_equal_sentences_share_a_vector_and_find_every_owner,
        functools.partial(index_laws.test_a_collection_without_words_is_an_index_too, texts=[]),
        functools.partial(index_laws.test_a_crash_while_writing_leaves_the_old_version, step="pointer"),
    ],
)
def test_the_laws_of_an_index_hold(
    law: Callable[..., None], local: VectorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = indexes.Recipe("acme", "shop", 700, 0.2, local)
    monkeypatch.setattr(index_laws, "RECIPE", recipe)
    monkeypatch.setattr(indexes, "load", functools.partial(indexes.load, server=local))
    wants_patch = "monkeypatch" in inspect.signature(law).parameters
    law(tmp_path, monkeypatch=monkeypatch) if wants_patch else law(tmp_path)


def test_it_scores_as_faiss_does(local: VectorServer, tmp_path: Path) -> None:
    texts = [f"Tent number {number} is {colour}. It costs {number} euro." for number in range(20) for colour in "ab"]
    passages = [index_laws.passage(f"p{number}", text) for number, text in enumerate(texts)]
    embedder = HashingEmbedder()
    ours, theirs = (
        indexes.build(
            tmp_path / str(server is None), indexes.Recipe("acme", "shop", 700, 0.2, server), passages=passages,
            embedder=embedder, old=None, progress=lambda done, total: None,
        )
        for server in (None, local)
    )  # fmt: skip
    question, rows = embedder.encode(["the red tent number 7"])[0], np.arange(len(texts))
    np.testing.assert_allclose(theirs.dense(question, rows), ours.dense(question, rows), atol=1e-6)
    same = embedder.encode(["Tent number 7 is b."])[0]
    assert theirs.candidates(same, [], 1).tolist() == ours.candidates(same, [], 1).tolist()
    assert theirs.agreement(passages[:4], embedder) == pytest.approx(1.0)


def test_vectors_that_are_not_there_are_not_guessed(local: VectorServer) -> None:
    table = local.table("acme", "shop", HashingEmbedder())
    table = table.updated({1: "one"}, HashingEmbedder().encode, progress=lambda done, total: None)
    for ask in (lambda ids: table.cosines(ids, HashingEmbedder().encode(["x"])[0]), table.rows):
        with pytest.raises(IndexMismatch, match="lacks 1"):
            ask(np.array([1, 2]))
    with pytest.raises(IndexMismatch, match="has no"):
        local.open("confide.acme.shop.000000000000")


# Over HTTP


@pytest.fixture(scope="module")
def wire() -> Iterator[VectorServerStandIn]:
    with VectorServerStandIn(key="secret") as server:
        yield server


@pytest.fixture
def server(wire: VectorServerStandIn) -> Iterator[VectorServerStandIn]:
    yield wire
    wire.fail = 0
    wire.seen.clear()
    for name in wire.sets:
        wire.db.delete_collection(name)


@pytest.fixture
def searchers(
    store: Store, server: VectorServerStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Searcher, Searcher]:
    """Two processes with folders of their own, on one store and one vector server."""
    # As a PostgreSQL says it; an SQLite has one index beside it.
    monkeypatch.setattr(Store, "mark", lambda self, *owner: str(len(self.documents(*owner))))
    add_collection(store)
    for name, text in search_laws.DOCUMENTS.items():
        add(store, name, text)
    one, two = (Searcher(store, settings_of(tmp_path / name, index_url=server.url)) for name in ("one", "two"))
    one.refresh("acme", "shop")
    return one, two


@pytest.mark.slow
@pytest.mark.parametrize(
    "law",
    [
        search_laws.test_hits_are_the_stored_passages_best_first,
        search_laws.test_a_question_with_nothing_in_common_finds_nothing,
        search_laws.test_a_removed_passage_disappears_before_any_refresh,
        search_laws.test_an_unchanged_store_keeps_its_manifest_and_a_changed_one_does_not,
        search_laws.test_readers_go_on_while_the_index_is_rewritten,
    ],
)
def test_the_laws_of_search_hold(law: Callable[..., None], searchers: tuple[Searcher, Searcher], store: Store) -> None:
    law(searchers[0], store) if "store" in inspect.signature(law).parameters else law(searchers[0])


def test_what_one_process_embedded_no_other_embeds_again(
    searchers: tuple[Searcher, Searcher], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = searchers
    embedded: list[str] = []
    encode = HashingEmbedder.encode
    monkeypatch.setattr(HashingEmbedder, "encode", lambda self, texts: (embedded.extend(texts), encode(self, texts))[1])
    assert names(two, "gift card")[0] == "gifts"
    assert embedded == ["gift card"]
    add(store, "new", "Hammocks are new.")
    two.refresh("acme", "shop")
    embedded.clear()
    assert names(one, "hammocks")[0] == "new"
    assert embedded == ["hammocks"]


def test_the_server_has_no_word_of_a_document_and_nothing_that_is_gone_from_the_store(
    searchers: tuple[Searcher, Searcher], store: Store, server: VectorServerStandIn
) -> None:
    names(searchers[0], "How do I send my parcel back?")
    sent = " ".join(server.seen).lower()
    assert not [word for word in ("parcel", "norway", "gift", "returns", "退货") if word in sent]
    before = server.db.count(server.sets[0]).count
    gone = next(document.id for document in store.documents("acme", "shop") if document.name == "gifts")
    store.change_documents([], [gone])
    searchers[0].refresh("acme", "shop")
    assert server.db.count(server.sets[0]).count == before - 1


def test_what_another_process_took_away_is_noticed_and_made_anew(
    searchers: tuple[Searcher, Searcher], server: VectorServerStandIn
) -> None:
    one, two = searchers
    assert names(two, "gift card")[0] == "gifts"
    one.drop("acme", "shop")
    assert server.sets == []
    assert names(two, "gift card")[0] == "gifts"
    table = two.index("acme", "shop").table()
    server.db.delete(
        table.name, points_selector=[int(id) for id in table.nearest(HashingEmbedder().encode(["gift"])[0], 3)]
    )
    assert names(two, "gift card")[0] == "gifts"


def test_tenants_and_collections_have_sets_of_their_own(
    store: Store, server: VectorServerStandIn, tmp_path: Path
) -> None:
    searcher = Searcher(store, settings_of(tmp_path, index_url=server.url))
    owners = [("acme", "shop"), ("acme", "shop-2"), ("acme-shop", "2"), ("bolt", "shop")]
    for owner in owners:
        add_collection(store, *owner)
        add(store, "-".join(owner), "Gift cards never expire.", *owner)
        searcher.refresh(*owner)
    assert len(server.sets) == len(owners)
    for owner in owners:
        assert [hit.passage.document for hit in searcher.search(*owner, "gift cards")] == ["-".join(owner)]
    searcher.drop("acme", "shop")
    assert len(server.sets) == len(owners) - 1
    assert searcher.is_sound("acme", "shop-2")
    assert not searcher.is_sound("acme", "shop")


@pytest.mark.slow
def test_changing_where_the_vectors_are_rebuilds(
    searchers: tuple[Searcher, Searcher], store: Store, tmp_path: Path
) -> None:
    here = Searcher(store, settings_of(tmp_path / "one"))
    assert names(here, "gift card")[0] == "gifts"
    assert here.index("acme", "shop").manifest.vectors == "flat"
    assert names(searchers[0], "gift card")[0] == "gifts"
    assert searchers[0].index("acme", "shop").manifest.vectors == "qdrant"


def test_a_server_that_fails_or_is_not_there_is_named(
    searchers: tuple[Searcher, Searcher], server: VectorServerStandIn, store: Store, tmp_path: Path
) -> None:  # fmt: skip
    one, _ = searchers
    server.fail = 503
    for ask in (lambda: names(one, "gift card"), lambda: one.is_sound("acme", "shop")):
        with pytest.raises(IndexUnavailable, match=r"vector server at http://127.0.0.1:\d+ answered 503"):
            ask()
    server.fail = 0
    assert names(one, "gift card")[0] == "gifts"
    away = Searcher(store, settings_of(tmp_path / "one", index_url="http://127.0.0.1:9"))
    with pytest.raises(IndexUnavailable, match=r"cannot be reached.*retrieval\.index_url"):
        names(away, "gift card")
    wrong = Searcher(store, settings_of(tmp_path / "one", index_url=server.url.replace("secret", "guess")))
    with pytest.raises(IndexUnavailable, match=r"answered 401.*Its key") as caught:
        names(wrong, "gift card")
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize("url", ["qdrant", "postgresql://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="index_url is not an address"):
        qdrant.connect(url)


def test_installations_that_share_a_server_do_not_meet(local: VectorServer) -> None:
    other = VectorServer(local.client, "memory", space="shop-a")
    for server in (local, other):
        server.table("acme", "shop", HashingEmbedder())
    other.drop("acme", "shop")
    assert local.has("acme", "shop")
    assert not other.has("acme", "shop")
    with pytest.raises(SettingsError, match="name before the key"):  # a dot would reach into another's names
        qdrant.connect("http://confide.acme:KEY@host:6333")


def test_without_its_package_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(SettingsError, match=r"requirements-qdrant\.txt"):
        qdrant.connect("http://127.0.0.1:6333")
