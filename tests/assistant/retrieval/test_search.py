"""A question finds its own collection's passages, the current ones, and nobody else's."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant.errors import BadInput, UnknownName
from assistant.retrieval import index as indexes
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.search import Searcher, default_threshold, sure_support
from assistant.settings import RetrievalSettings, Settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, Passage

DOCUMENTS = {
    "returns": "Returns are free. Send the parcel back within 30 days.",
    "shipping": "Shipping to Norway takes 5 days.",
    "gifts": "Gift cards never expire.",
    "chinese": "退货期限为30天。运费由本店承担。",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def settings_of(folder: Path, **retrieval: object) -> Settings:
    return Settings(data_dir=folder, retrieval=RetrievalSettings(embedder="hashing", **retrieval))


def add_collection(store: Store, tenant: str = "acme", name: str = "shop", *, embedder: str = "hashing") -> None:
    store.save_collection(CollectionInfo(tenant, name, ("en",), embedder, 0.5))


_SERIAL = itertools.count()


def add(store: Store, name: str, text: str, tenant: str = "acme", collection: str = "shop") -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    document = Document(f"d{next(_SERIAL)}", tenant, collection, name, text, digest, "text")
    passage = Passage(f"{document.id}p", document.id, name, tenant, collection, text, 0, len(text), digest)
    store.change_documents([(document, [passage])])
    return document.id


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Searcher:
    add_collection(store)
    for name, text in DOCUMENTS.items():
        add(store, name, text)
    searcher = Searcher(store, settings_of(tmp_path))
    searcher.refresh("acme", "shop")
    return searcher


def names(searcher: Searcher, question: str, **options: object) -> list[str]:
    return [hit.passage.document for hit in searcher.search("acme", "shop", question, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("退貨期限？", ["退貨期限?", "退货期限?"]),
        ("退货期限？", ["退货期限?"]),
        ("Returns to 臺北?", ["Returns to 臺北?"]),
    ],
)
def test_a_traditional_question_is_looked_for_in_both_scripts(
    shop: Searcher, question: str, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    encode = HashingEmbedder.encode

    def watched(self: HashingEmbedder, texts: Sequence[str]) -> object:
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(HashingEmbedder, "encode", watched)
    shop.search("acme", "shop", question)
    assert seen == read


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("Can I send my parcel back?", "returns"),
        ("shipping to norway", "shipping"),
        ("gift card", "gifts"),
        ("退货", "chinese"),
        ("ｇｉｆｔ　ｃａｒｄ", "gifts"),
    ],
)
def test_the_best_hit_is_the_passage_that_speaks_of_it(shop: Searcher, question: str, document: str) -> None:
    assert names(shop, question)[0] == document


def test_hits_are_the_stored_passages_best_first(shop: Searcher, store: Store) -> None:
    hits = shop.search("acme", "shop", "shipping a parcel as a gift", 3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.found_by for hit in hits} == {"fused"}
    for hit in hits:
        assert store.passage("acme", hit.passage.id) == hit.passage


def test_k_bounds_the_hits_and_top_k_is_its_default(shop: Searcher, store: Store) -> None:
    for number in range(10):
        add(store, f"more{number}", f"Parcel number {number}.")
    shop.refresh("acme", "shop")
    assert len(names(shop, "parcel")) == Settings().retrieval.top_k
    assert len(names(shop, "parcel", k=2)) == 2
    assert names(shop, "parcel", k=0) == []


@pytest.mark.parametrize("question", ["", "  \n", "\u3000"])
def test_a_blank_question_finds_nothing(shop: Searcher, question: str) -> None:
    assert shop.search("acme", "shop", question) == ()


def test_a_question_with_nothing_in_common_finds_nothing(shop: Searcher) -> None:
    assert shop.search("acme", "shop", "!!!") == ()


def test_a_variant_of_the_question_counts(shop: Searcher) -> None:
    assert names(shop, "and for that?", variants=["shipping to norway"])[0] == "shipping"


def test_fusion_off_searches_vectors_alone(store: Store, tmp_path: Path) -> None:
    add_collection(store)
    add(store, "returns", DOCUMENTS["returns"])
    hits = Searcher(store, settings_of(tmp_path, fusion="off")).search("acme", "shop", "parcel")
    assert [hit.found_by for hit in hits] == ["dense"]


def test_an_unknown_collection_says_what_was_meant(shop: Searcher) -> None:
    with pytest.raises(UnknownName, match='Did you mean "shop"'):
        shop.search("acme", "shpo", "parcel")
    with pytest.raises(UnknownName, match="confide ingest"):
        shop.refresh("other", "shop")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "C:\\x", "."])
def test_a_name_that_would_leave_the_folder_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    add_collection(store, name=name)
    searcher = Searcher(store, settings_of(tmp_path))
    for act in (searcher.refresh, searcher.drop):
        with pytest.raises(BadInput):
            act("acme", name)


def test_a_removed_passage_disappears_before_any_refresh(shop: Searcher, store: Store) -> None:
    removed = next(document.id for document in store.documents("acme", "shop") if document.name == "gifts")
    store.change_documents([], [removed])
    assert "gifts" not in names(shop, "gift card")
    shop.refresh("acme", "shop")
    assert "gifts" not in names(shop, "gift card")


def test_an_unchanged_store_keeps_its_manifest_and_a_changed_one_does_not(shop: Searcher, store: Store) -> None:
    before = shop.manifest("acme", "shop")
    assert shop.refresh("acme", "shop") == before
    add(store, "new", "A new page.")
    assert shop.refresh("acme", "shop") == shop.manifest("acme", "shop") != before


def test_progress_counts_only_new_texts(shop: Searcher, store: Store) -> None:
    add(store, "new", "A new page.")
    told: list[tuple[int, int]] = []
    shop.refresh("acme", "shop", lambda done, total: told.append((done, total)))
    assert told == [(0, 1), (1, 1)]


def test_a_second_process_uses_the_index_on_disk(shop: Searcher, store: Store, tmp_path: Path) -> None:
    other = Searcher(store, settings_of(tmp_path))
    assert other.manifest("acme", "shop") == shop.manifest("acme", "shop")
    add(store, "new", "Hammocks are new.")
    other.refresh("acme", "shop")
    assert names(shop, "hammocks")[0] == "new"


@pytest.mark.parametrize("damage", ["vectors.faiss", "manifest.json", "passages.json", "units.npy", "current"])
def test_a_damaged_index_is_rebuilt_and_says_so(
    shop: Searcher, store: Store, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    next(tmp_path.glob(f"indexes/**/{damage}")).write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert names(Searcher(store, settings_of(tmp_path)), "gift card")[0] == "gifts"
    assert "rebuil" in caplog.text


def test_an_index_older_than_the_store_is_rebuilt_at_the_next_start(
    shop: Searcher, store: Store, tmp_path: Path
) -> None:
    add(store, "new", "Hammocks are new.")
    assert names(Searcher(store, settings_of(tmp_path)), "hammocks")[0] == "new"


def test_a_changed_setting_rebuilds(shop: Searcher, store: Store, tmp_path: Path) -> None:
    other = Searcher(store, settings_of(tmp_path, fusion="off"))
    assert other.refresh("acme", "shop") != shop.manifest("acme", "shop")


def test_other_terms_make_bm25_anew_and_embed_nothing(
    shop: Searcher, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.index("acme", "shop").manifest
    assert "terms" not in dataclasses.replace(before, terms=0).to_json()  # an index of before has its id without
    monkeypatch.setattr(indexes, "TERMS", before.terms + 1)
    monkeypatch.setattr(HashingEmbedder, "encode", lambda *_: pytest.fail("vectors were there"))
    after = Searcher(store, settings_of(tmp_path)).index("acme", "shop").manifest
    assert (after.terms, after.content) == (before.terms + 1, before.content)


def test_drop_removes_every_file(shop: Searcher, tmp_path: Path) -> None:
    shop.drop("acme", "shop")
    shop.drop("acme", "shop")
    assert not (tmp_path / "indexes" / "acme" / "shop").exists()


def test_idf_is_higher_for_rarer_terms(shop: Searcher, store: Store) -> None:
    add(store, "more", "Gift wrapping. Parcel size.")
    shop.refresh("acme", "shop")
    idf = shop.idf("acme", "shop")
    assert idf("gift") < idf("norway") < idf("zebra")


def test_readers_go_on_while_the_index_is_rewritten(shop: Searcher, store: Store) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                assert names(shop, "gift card")[0] == "gifts"
            except BaseException as error:  # a thread's failure must reach the test
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=shop.refresh, args=("acme", "shop")) for _ in range(4)]
    for thread in readers:
        thread.start()
    for number, thread in enumerate(writers):
        add(store, f"new{number}", f"Page {number}.")
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not failures
    assert {"new0", "new1", "new2", "new3"} <= set(names(shop, "page", k=20))


def test_the_index_in_force_answers_while_another_thread_makes_the_next(
    shop: Searcher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names(shop, "gift card")[0] == "gifts"
    monkeypatch.setattr(store, "mark", lambda *_: "a database's, changed")
    add(store, "new", "Hammocks are new.")
    embedding, done = threading.Event(), threading.Event()

    def slow(*_: int) -> None:
        embedding.set()
        done.wait(10)

    found: list[str] = []
    writer = threading.Thread(target=shop.refresh, args=("acme", "shop", slow))
    reader = threading.Thread(target=lambda: found.extend(names(shop, "gift card")))
    writer.start()
    assert embedding.wait(10)
    reader.start()
    reader.join(2)
    answered = found[:1]
    done.set()
    writer.join()
    reader.join()
    assert answered == ["gifts"]
    assert names(shop, "hammocks")[0] == "new"


def test_a_reranker_orders_the_hits(store: Store, tmp_path: Path, tiny_cross_encoder: Path) -> None:
    add_collection(store)
    for name, text in DOCUMENTS.items():
        add(store, name, text)
    searcher = Searcher(store, settings_of(tmp_path, reranker=str(tiny_cross_encoder)))
    hits = searcher.search("acme", "shop", "send the parcel to norway", 2)
    assert [hit.found_by for hit in hits] == ["rerank", "rerank"]
    assert hits[0].score >= hits[1].score


def test_the_embedder_is_loaded_once_and_named_by_the_collection(shop: Searcher) -> None:
    assert shop.embedder("acme", "shop") is shop.embedder("acme", "shop")
    assert shop.embedder("acme", "shop").name == "hashing"
    assert shop.embedder_languages("minilm") == ("en",)
    assert shop.embedder_languages("some/model") == ()


def test_every_threshold_is_a_share() -> None:
    assert all(0 <= default_threshold(name) <= 1 for name in ("minilm", "use-multilingual", "hashing", "other"))


@pytest.mark.parametrize("embedder", ["minilm", "bilingual", "use-multilingual", "hashing"])
def test_between_a_refusal_and_a_sure_answer_there_is_room_for_a_warning(embedder: str) -> None:
    info = CollectionInfo("t", "c", ("en",), embedder, default_threshold(embedder))
    assert info.threshold < sure_support(info) < 1


@pytest.mark.parametrize("threshold", [0.9, 1.0])
def test_what_is_refused_is_never_surer_than_what_is_answered(threshold: float) -> None:
    assert sure_support(CollectionInfo("t", "c", ("en",), "hashing", threshold)) == threshold


def test_every_file_of_the_index_lies_under_its_tenant(shop: Searcher, tmp_path: Path) -> None:
    inside = tmp_path / "indexes" / "acme" / "shop"
    written = [path for path in (tmp_path / "indexes").rglob("*") if path.is_file()]
    assert written
    assert all(path.is_relative_to(inside) for path in written)
    assert indexes.load(inside).manifest.tenant == "acme"


OWNERS = [(tenant, name) for tenant in ("acme", "bolt", "acme-2") for name in ("shop", "staff")]
WORDS = "tent boat stove lamp rope shoe sock bag tarp axe map pan cup".split()


class _World:
    """Random additions, removals, reindexings and questions over several tenants' collections."""

    def __init__(self, store: Store, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.store, self.searcher = store, Searcher(store, settings_of(folder))
        self.documents: dict[tuple[str, str], dict[str, str]] = {owner: {} for owner in OWNERS}
        self.questions = 0
        for owner in OWNERS:
            add_collection(store, *owner)
            for _ in range(4):
                self.change(owner)
            self.searcher.refresh(*owner)

    def step(self) -> None:
        owner, dice = self.random.choice(OWNERS), self.random.random()
        if dice < 0.01:
            self.change(owner)
        elif dice < 0.02:
            self.searcher.refresh(*owner)
        elif dice < 0.023:
            self.searcher.drop(*owner)
        else:
            self.ask(owner)

    def change(self, owner: tuple[str, str]) -> None:
        held = self.documents[owner]
        if len(held) > 6 or (held and self.random.random() < 0.4):
            gone = self.random.choice(sorted(held))
            self.store.change_documents([], [gone])
            del held[gone]
            return
        text = " ".join(self.random.choices(WORDS, k=6)) + f" of {owner[0]} {owner[1]}."
        held[add(self.store, f"page{next(_SERIAL)}", text, *owner)] = text

    def ask(self, owner: tuple[str, str]) -> None:
        other = self.random.choice(OWNERS)
        texts = list(self.documents[other].values())
        question = self.random.choice(texts) if texts and self.random.random() < 0.5 else self.random.choice(WORDS)
        for hit in self.searcher.search(*owner, question, 8, variants=texts[:1]):
            assert (hit.passage.tenant, hit.passage.collection) == owner
            assert hit.passage.document_id in self.documents[owner]
        self.questions += 1


def test_no_foreign_or_removed_passage_ever_comes_back(store: Store, tmp_path: Path) -> None:
    world = _World(store, tmp_path, seed=1)
    while world.questions < 500:
        world.step()


@pytest.mark.slow
def test_no_foreign_or_removed_passage_ever_comes_back_in_ten_thousand_questions(store: Store, tmp_path: Path) -> None:
    world = _World(store, tmp_path, seed=2)
    while world.questions < 10_000:
        world.step()
