"""The walk ingest: what is in the store and the index after it, whatever happens on the way."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from assistant import ingest as walk
from assistant.errors import BadInput, StoreBusy
from assistant.ingest import ingest, languages_of, remove_documents
from assistant.retrieval.reader import split_units
from assistant.retrieval.search import Searcher
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import Company, Document, Verdict

RETURNS = "# Returns\n\nYou can return an item within 30 days of delivery, unless it was used."
DELIVERY = "# Delivery\n\nDelivery to Austria costs 6.90 euros and takes two working days."


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


class Shop:
    """A data folder, a folder of documents, and the walk over them with the hashing embedder."""

    def __init__(self, root, **retrieval):
        self.folder = root / "documents"
        self.folder.mkdir(exist_ok=True)
        self.settings = Settings(data_dir=root / "data", retrieval={"embedder": "hashing"} | retrieval)
        self.store = Store.open(self.settings.data_dir)
        self.index = Searcher(self.store, self.settings)

    def write(self, **files):
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text, encoding="utf-8")

    def ingest(self, *paths, **options):
        places = {"store": self.store, "settings": self.settings, "index": self.index}
        return ingest(list(paths) or [self.folder], **places, **options)

    def verdicts(self, **options):
        return {file.name: file.verdict for file in self.ingest(**options).files}

    def names(self):
        return [document.name for document in self.store.documents("default", "shop")]

    def found(self, query):
        return [hit.passage.document for hit in self.index.search("default", "shop", query, 3)]


def test_documents_are_found_after_ingest(shop):
    shop.write(returns_md=RETURNS, delivery_md=DELIVERY)
    report = shop.ingest()
    assert (report.collection, report.documents, report.passages) == ("shop", 2, 2)
    assert [file.passages for file in report.files] == [1, 1]
    assert shop.found("delivery to Austria")[0] == "delivery.md"


def test_unchanged_is_skipped_changed_is_replaced_and_nothing_is_doubled(shop):
    shop.write(returns_md=RETURNS, delivery_md=DELIVERY)
    shop.ingest()
    shop.write(returns_md=RETURNS.replace("30", "60"))
    assert shop.verdicts() == {"returns.md": Verdict.REPLACED, "delivery.md": Verdict.UNCHANGED}
    texts = [passage.text for passage in shop.store.passages("default", "shop")]
    assert sum("30 days" in text for text in texts) == 0
    assert sum("60 days" in text for text in texts) == 1


def test_a_document_that_disappeared_goes_only_with_prune(shop):
    shop.write(returns_md=RETURNS, delivery_md=DELIVERY)
    shop.ingest()
    (shop.folder / "returns.md").unlink()
    shop.ingest()
    assert shop.names() == ["delivery.md", "returns.md"]
    assert shop.verdicts(prune=True) == {"delivery.md": Verdict.UNCHANGED, "returns.md": Verdict.REMOVED}
    assert shop.names() == ["delivery.md"]
    assert "returns.md" not in shop.found("return an item within 30 days")


@pytest.mark.parametrize("alone", [False, True])
def test_prune_leaves_what_an_archive_held_that_cannot_be_opened(shop, alone):
    archive = shop.folder / "old.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("returns.md", RETURNS)
    shop.write(delivery_md=DELIVERY)
    given = [archive] if alone else [shop.folder]
    shop.ingest(*given)
    held = [name for name in shop.names() if name.endswith("returns.md")]
    archive.write_bytes(archive.read_bytes()[:60])
    (shop.folder / "delivery.md").unlink()
    files = {file.name: file.verdict for file in shop.ingest(*given, prune=True).files}
    assert files == {"old.zip": Verdict.REFUSED} | ({} if alone else {"delivery.md": Verdict.REMOVED})
    assert shop.names() == held


def test_an_empty_folder_changes_nothing_even_with_prune(shop, tmp_path):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no files"):
        shop.ingest(tmp_path / "empty", prune=True)
    assert shop.names() == ["returns.md"]


def test_a_bad_file_is_refused_with_its_reason_and_the_rest_is_stored(shop):
    shop.write(returns_md=RETURNS, empty_txt="", broken_pdf="%PDF-1.7 nonsense")
    report = shop.ingest()
    refused = {file.name: file.reason for file in report.files if file.verdict is Verdict.REFUSED}
    assert set(refused) == {"empty.txt", "broken.pdf"}
    assert all(refused.values())
    assert shop.names() == ["returns.md"]


def test_a_new_version_that_cannot_be_read_leaves_the_old_one(shop):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    shop.write(returns_md="")
    (file,) = shop.ingest(prune=True).files
    assert (file.verdict, "kept" in file.reason) == (Verdict.REFUSED, True)
    assert shop.found("return an item") == ["returns.md"]


def test_nothing_but_bad_files_makes_no_collection(shop):
    shop.write(empty_txt="")
    report = shop.ingest()
    assert (report.documents, shop.store.collections("default")) == (0, [])


def test_removed_documents_are_gone_from_the_answers_at_once(shop):
    shop.write(returns_md=RETURNS, delivery_md=DELIVERY)
    shop.ingest()
    report = remove_documents(["returns.md"], store=shop.store, settings=shop.settings, index=shop.index)
    assert (report.documents, report.files[0].verdict) == (1, Verdict.REMOVED)
    assert "returns.md" not in shop.found("return an item within 30 days")


def test_removing_an_unknown_document_removes_nothing_and_proposes_a_name(shop):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    with pytest.raises(BadInput, match=r'Did you mean "returns\.md"'):
        remove_documents(["returns.md", "return.md"], store=shop.store, settings=shop.settings, index=shop.index)
    assert shop.names() == ["returns.md"]


def test_collections_and_tenants_are_kept_apart(shop):
    shop.write(returns_md=RETURNS)
    shop.ingest(collection="a")
    shop.ingest(collection="b")
    assert {info.name: info.documents for info in shop.store.collections("default")} == {"a": 1, "b": 1}
    assert shop.store.collections("other") == []


def test_progress_ends_where_it_said_it_would(shop):
    shop.write(returns_md=RETURNS, delivery_md=DELIVERY)
    calls = []
    shop.ingest(progress=lambda stage, done, total: calls.append((stage, done, total)))
    assert [call for call in calls if call[0] == "read"] == [("read", 0, 2), ("read", 1, 2), ("read", 2, 2)]
    assert {stage for stage, _, _ in calls} <= {"read", "index"}


# The collection's languages, embedder and threshold


def a_document(language, size):
    return walk._outline(Document("d", "t", "c", "a", "x" * size, "0", "txt", language))


def test_languages_of_a_tenth_of_the_text_or_less_do_not_count():
    assert languages_of([a_document("en", 80), a_document("de", 11), a_document("fr", 9)]) == ("en", "de")
    assert languages_of([]) == ()


class StubIndex:
    """An index that is always in line, and knows embedders by their languages."""

    def refresh(self, tenant, collection, progress=None):
        return "manifest"

    def embedder_languages(self, name):
        return {"minilm": ("en",), "use-multilingual": ("en", "zh", "de")}.get(name, ())


def auto(tmp_path):
    shop = Shop(tmp_path, embedder="auto")
    shop.index = StubIndex()
    return shop


CHINESE = "# 退货\n\n您可以在收货后三十天内退货，商品必须未使用、配件齐全、吊牌完好。"


@pytest.mark.parametrize(
    ("text", "embedder"), [(RETURNS, "minilm"), (CHINESE, "use-multilingual"), (RETURNS + CHINESE, "use-multilingual")]
)
def test_the_embedder_is_chosen_by_the_first_documents_language(tmp_path, text, embedder):
    shop = auto(tmp_path)
    shop.write(a_md=text)
    shop.ingest()
    info = shop.store.collection("default", "shop")
    assert info.embedder == embedder
    assert info.threshold > 0


def test_a_language_that_the_embedder_does_not_know_is_a_warning(tmp_path):
    shop = auto(tmp_path)
    shop.write(a_md=RETURNS)
    assert shop.ingest().warnings == ()
    shop.write(b_md=CHINESE)
    (warning,) = shop.ingest().warnings
    assert all(word in warning for word in ("minilm", "zh", "b.md", "use-multilingual"))
    assert shop.store.collection("default", "shop").embedder == "minilm"


def test_settings_decide_over_the_defaults_and_the_company_is_kept(tmp_path):
    shop = auto(tmp_path)
    shop.write(a_md=RETURNS)
    shop.ingest()
    company = Company(names={"en": "Ridgeline"})
    shop.store.save_collection(dataclasses.replace(shop.store.collection("default", "shop"), company=company))
    retrieval = shop.settings.retrieval.model_copy(update={"embedder": "use-multilingual", "threshold": 0.25})
    shop.settings = shop.settings.model_copy(update={"retrieval": retrieval})
    shop.ingest()
    info = shop.store.collection("default", "shop")
    assert (info.embedder, info.threshold, info.company) == ("use-multilingual", 0.25, company)


# What is cut, and how it is written


def test_other_chunker_settings_cut_unchanged_documents_again(tmp_path):
    shop = Shop(tmp_path)
    shop.write(
        long_md="\n\n".join(f"Paragraph {n} says that item {n} ships in {n} days." for n in range(30)), short_md="Hi."
    )
    before = shop.ingest()
    shop = Shop(tmp_path, passage_chars=200)
    report = shop.ingest()
    assert {file.name: file.verdict for file in report.files} == {"long.md": "replaced", "short.md": "unchanged"}
    assert report.passages > before.passages
    assert all(len(passage.text) <= 200 for passage in shop.store.passages("default", "shop"))
    assert set(shop.verdicts().values()) == {Verdict.UNCHANGED}


def test_every_row_of_a_workbook_is_a_record_and_one_stored_with_its_title_in_the_first_is_cut_again(shop):
    import openpyxl

    book = openpyxl.Workbook()
    for name, title in (("Cleaning", []), ("Moving", ["Prices 2026"])):
        sheet = book.create_sheet(name)
        for row in filter(None, (title, ["Service", "Size", "Price"], ["Tank", "60 cm", 120], ["Tank", "120 cm", 198])):
            sheet.append(row)
    book.save(shop.folder / "prices.xlsx")
    assert shop.ingest().passages == 4
    passages = shop.store.passages("default", "shop")
    assert [split_units(passage, 0)[0].record for passage in passages] == [True] * 4
    assert [passage.headings for passage in passages[1:3]] == [("Cleaning",), ("Moving", "Prices 2026")]
    (document,) = shop.store.documents("default", "shop")
    first, *others = passages
    with_title = dataclasses.replace(first, text=document.text[: first.end], start=0)
    shop.store.change_documents([(document, [with_title, *others])], [document.id])
    assert shop.verdicts() == {"prices.xlsx": Verdict.REPLACED}
    assert shop.store.passages("default", "shop") == passages


def test_a_document_that_is_not_among_the_paths_is_cut_again_too(tmp_path):
    shop = Shop(tmp_path)
    shop.write(long_md="\n\n".join(f"Paragraph {n} says that item {n} ships in {n} days." for n in range(30)))
    shop.ingest()
    (shop.folder / "long.md").unlink()
    shop = Shop(tmp_path, passage_chars=200)
    shop.write(other_md=RETURNS)
    assert shop.verdicts() == {"other.md": Verdict.ADDED, "long.md": Verdict.REPLACED}


def test_a_large_ingest_is_written_in_batches_and_a_killed_one_is_completed(shop, monkeypatch):
    shop.write(**{f"d{n}_md": f"# Delivery {n}\n\nDelivery costs {n} euros to Austria." for n in range(6)})
    monkeypatch.setattr(walk, "BATCH_CHARS", 1)
    writes, whole = [], shop.store.change_documents

    def dies_at_the_third(added, removed=()):
        writes.append(len(added))
        if len(writes) == 3:
            raise KeyboardInterrupt
        whole(added, removed)

    monkeypatch.setattr(shop.store, "change_documents", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        shop.ingest()
    assert len(shop.names()) == 2
    monkeypatch.setattr(shop.store, "change_documents", whole)
    report = shop.ingest()
    assert report.documents == 6
    assert shop.found("Delivery costs 5 euros")[0] == "d5.md"


def test_the_old_index_serves_while_batches_are_written(shop, monkeypatch):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    monkeypatch.setattr(walk, "BATCH_CHARS", 1)
    shop.write(delivery_md=DELIVERY)
    served = []
    shop.ingest(progress=lambda stage, done, total: served.append(shop.found("delivery to Austria")))
    assert served[0] == ["returns.md"] or served[0] == []
    assert all("delivery.md" not in found for found in served)
    assert shop.found("delivery to Austria")[0] == "delivery.md"


def test_what_a_new_version_keeps_is_found_before_the_index_follows_and_what_it_drops_is_not(shop, monkeypatch):
    shop.write(terms_md=f"{RETURNS}\n\n{DELIVERY}\n\n# Gifts\n\nGift cards never expire.")
    shop.ingest()
    shop.write(terms_md=f"# News\n\nWe moved.\n\n{RETURNS}\n\n{DELIVERY}")
    monkeypatch.setattr(shop.index, "refresh", lambda *_: "")
    shop.ingest()
    found = [hit.passage for hit in shop.index.search("default", "shop", "delivery to Austria, gift cards", 3)]
    assert {passage.text for passage in found} == {RETURNS.strip("# "), DELIVERY.strip("# ")}
    (whole,) = shop.store.documents("default", "shop")
    assert all(whole.text[passage.start : passage.end] == passage.text for passage in found)


def test_a_second_writer_waits_and_then_says_who_is_at_work(shop, monkeypatch):
    shop.write(returns_md=RETURNS)
    monkeypatch.setattr(walk, "WAIT_S", 0.1)
    with walk._writing(shop.settings):
        with pytest.raises(StoreBusy, match="Another process is changing"):
            shop.ingest()
        with pytest.raises(StoreBusy):
            remove_documents(["returns.md"], store=shop.store, settings=shop.settings, index=shop.index)
    assert shop.verdicts() == {"returns.md": Verdict.ADDED}


def test_two_processes_that_ingest_one_collection_at_once_both_succeed(shop):
    shop.write(**{f"d{n}_md": f"# Delivery {n}\n\nDelivery costs {n} euros to Austria." for n in range(20)})
    command = [sys.executable, "-c", KILLED, str(shop.folder), str(shop.settings.data_dir)]
    root, environment = Path(walk.__file__).parent.parent, {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=root, env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(shop.names()) == 20


# Crashes


def test_a_failure_while_reading_leaves_everything_as_it_was(shop, monkeypatch):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    shop.write(returns_md="Something else entirely.", delivery_md=DELIVERY)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(walk, "split", fail)
    with pytest.raises(KeyboardInterrupt):
        shop.ingest()
    assert shop.found("return an item") == ["returns.md"]


def test_a_crash_between_store_and_index_is_mended_when_the_index_is_next_opened(shop):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    shop.write(delivery_md=DELIVERY)

    class Dies(StubIndex):
        def refresh(self, tenant, collection, progress=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest([shop.folder], store=shop.store, settings=shop.settings, index=Dies())
    shop.index = Searcher(shop.store, shop.settings)
    assert shop.found("delivery to Austria")[0] == "delivery.md"


KILLED = """
import sys
from pathlib import Path
from assistant import ingest as walk
from assistant.retrieval.search import Searcher
from assistant.settings import Settings
from assistant.store import Store

folder, data = map(Path, sys.argv[1:])
settings = Settings(data_dir=data, retrieval={"embedder": "hashing"})
store = Store.open(data)
walk.ingest([folder], store=store, settings=settings, index=Searcher(store, settings), prune=True,
            progress=lambda stage, done, total: print(stage, done, flush=True))
print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("moment", ["read 0", "read 1", "read 12", "index", "done"])
def test_sigkill_at_any_moment_leaves_the_old_state_or_the_new_one(shop, moment):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    (shop.folder / "returns.md").unlink()
    shop.write(**{f"new{n}_md": f"# Delivery {n}\n\nDelivery costs {n} euros to Austria." for n in range(40)})
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(shop.folder), str(shop.settings.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(walk.__file__).parent.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for line in process.stdout:
        if line.startswith(moment):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store.open(shop.settings.data_dir)
    names = [document.name for document in store.documents("default", "shop")]
    assert names == ["returns.md"] or (len(names) == 40 and "returns.md" not in names)
    if moment.startswith("read"):
        assert names == ["returns.md"]
    found = Searcher(store, shop.settings).search("default", "shop", "return an item, delivery to Austria", 5)
    assert found
    assert {hit.passage.document for hit in found} <= set(names)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_no_reading_process_outlives_the_walk(shop):
    shop.write(returns_md=RETURNS)
    shop.ingest()
    deadline = time.monotonic() + 5
    while _children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _children()


def _children():
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    pids = path.read_text().split() if path.exists() else []
    commands = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    return [file for file in commands if file.exists() and b"assistant.retrieval.parsing" in file.read_bytes()]
