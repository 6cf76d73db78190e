"""Fifty strings of one customer planted all over a data folder, `forget`, and a byte-grep of what is left.

Planted in conversations (some deleted by the customer before), documents of theirs (text, headings, names), ratings, the
queue of feedback, training files with and without their id, logs, the upload cache and other caches; in
UTF-8, UTF-16, JSON escapes and base64; Latin and Chinese. Other customers have data in the same places and
keep it. The grep is this file's own, not the product's: every file's bytes, SQLite's free pages and write-ahead log
included, and the float32 vectors of what was planted in documents. `found_before` is the control.
"""

from __future__ import annotations

import base64
import csv
import dataclasses
import datetime as dt
import json
import random
import secrets
import sqlite3
import string
import tempfile
import time
from pathlib import Path

import numpy as np

from assistant.erase import forget
from assistant.ingest import ingest
from assistant.owners import Owners
from assistant.retrieval.search import Searcher
from assistant.rows import Base
from assistant.settings import Settings, load_settings
from assistant.store import Store, Turn
from assistant.types import Conversation, Measure, Message, Report
from benchmarks.common import provenance

N = 50
OTHERS = 200
_NOW = dt.datetime(2026, 1, 1)
_CHINESE = "银杏叶飘落在青石板上远山如黛江水东流去渔舟唱晚归来迟月明星稀乌鹊南飞绕树三匝何枝可依"


@dataclasses.dataclass
class _Folder:
    """A data folder with everything in it. `planted` are the strings, `customer` whose they are."""

    root: Path
    rng: random.Random
    settings: Settings
    store: Store
    searcher: Searcher
    customer: str
    planted: list[str]

    def string(self, *, latin: bool = False) -> str:
        """A planted string that is nowhere else."""
        word = "".join(self.rng.choice(string.ascii_lowercase) for _ in range(14))
        chinese = "".join(self.rng.sample(_CHINESE, 12))
        made = (
            f"zq{word} {self.rng.randint(10**6, 10**7)}"
            if latin or self.rng.random() < 0.6
            else f"{chinese}ü{word[:6]}"
        )
        self.planted.append(made)
        return made


def run() -> Report:
    """The report of a fresh seed."""
    seed = secrets.randbelow(2**31)
    with tempfile.TemporaryDirectory(prefix="confide-erasure-") as where:
        folder = _furnished(Path(where), seed)
        vectors = _vectors(folder)
        before = sum(bool(_found(folder.root, one)) for one in folder.planted)
        vectors_before = sum(bool(_grep(folder.root, [one])) for one in vectors)
        others = _others(folder)
        began = time.perf_counter()
        done = forget(folder.customer, store=folder.store, settings=folder.settings, index=folder.searcher)
        seconds = time.perf_counter() - began
        after = {one: _found(folder.root, one) for one in folder.planted}
        for one, places in after.items():
            if places:
                print(f"still there: {one!r} in {places}")
        measures = (
            Measure("found", float(sum(map(bool, after.values()))), n=len(folder.planted)),
            Measure("vectors_found", float(sum(bool(_grep(folder.root, [one])) for one in vectors)), n=len(vectors)),
            Measure("found_before", float(before), n=len(folder.planted)),
            Measure("vectors_found_before", float(vectors_before), n=len(vectors)),
            Measure("others_lost", float(others - _others(folder)), n=others),
            Measure("receipt_complete", float(done.complete)),
            Measure("seconds", seconds),
        )
        folder.store.close()
    return Report("erasure", measures, provenance(seed=seed))


def _furnished(where: Path, seed: int) -> _Folder:
    root = where / "data"
    settings = load_settings(data_dir=root, retrieval={"embedder": "hashing", "threshold": 0.05})
    store = Store.open(root)
    rng = random.Random(seed)
    customer = "v_" + "".join(rng.choice(string.ascii_letters) for _ in range(22))
    folder = _Folder(root, rng, settings, store, Searcher(store, settings), customer, [])
    _conversations(folder)
    _documents(folder, where / "files")
    _own_tables(folder)
    _tables(folder)
    _training(folder)
    _copies(folder)
    if len(folder.planted) != N:
        raise AssertionError(f"{len(folder.planted)} strings were planted, not {N}")
    return folder


def _talk(folder: _Folder, customer: str, conversation: str, said: list[str]) -> None:
    turns = []
    for number, text in enumerate(said):
        turns.append(Turn(f"q{number}", Message("user", text), None, _NOW))
        answer = {"text": "Let me see.", "receipt": {"query": text, "notes": [text]}}
        turns.append(Turn(f"a{number}", Message("assistant", "Let me see."), answer, _NOW))
    folder.store.append_turns(Conversation(conversation, customer), tenant="default", collection="shop", turns=turns)


def _conversations(folder: _Folder) -> None:
    """12 strings in 6 conversations among 200 of others; one conversation was deleted by the customer."""
    for number in range(OTHERS):
        _talk(folder, f"other-{number}", f"c-other-{number}", [f"Is article {number} still to be had in blue?"] * 3)
        if number % 34 == 0:
            said = [f"My order is about {folder.string()} and nothing else, please." for _ in range(2)]
            _talk(folder, folder.customer, f"c-mine-{number:09d}", said)
    folder.store.remove_conversation(f"c-mine-{34:09d}", folder.customer)


def _documents(folder: _Folder, files: Path) -> None:
    """10 strings in letters of theirs, one of them in the letter's name; the company's own documents beside."""
    files.mkdir()
    named = folder.string(latin=True).replace(" ", "-")
    folder.planted[-1] = named
    for number in range(3):
        name = f"{named}.md" if number == 0 else f"letter-{number}.md"
        body = "\n\n".join(f"The {folder.string()} was broken when it came." for _ in range(2))
        (files / name).write_text(f"# About {folder.string()}\n\n{body}\n", encoding="utf-8")
    for number in range(20):
        (files / f"policy-{number}.md").write_text(
            f"# Policy {number}\n\nArticle {number} can be returned in 30 days.\n"
        )
    ingest([files], store=folder.store, settings=folder.settings, index=folder.searcher)
    for document in folder.store.documents("default", "shop"):
        if not document.name.rpartition("/")[2].startswith("policy"):
            Owners(folder.store).claim("default", "shop", document.name, folder.customer)


def _own_tables(folder: _Folder) -> None:
    """6 strings in what ratings, approved answers, the desk and the loop keep of a customer."""
    words = {
        "ratings": "correction", "curated_phrasings": "text", "curated_suggestions": "question", "desk_cases": "name",
        "desk_notes": "text", "lessons": "question",
    }  # fmt: skip
    blank = {str: "x", int: 0, bool: False, bytes: b"", dt.datetime: _NOW}
    whose = {"customer": folder.customer, "conversation": f"c-mine-{0:09d}", "tenant": "default", "collection": "shop"}
    with sqlite3.connect(folder.root / "confide.db") as connection:
        for name, column in words.items():
            table = Base.metadata.tables[name]
            row = {each.name: blank[each.type.python_type] for each in table.columns if each.autoincrement is not True}
            row |= {key: value for key, value in whose.items() if key in row} | {column: folder.string()}
            marks = ", ".join("?" * len(row))
            values = [str(value) if isinstance(value, dt.datetime) else value for value in row.values()]
            connection.execute(f"insert into {name} ({', '.join(row)}) values ({marks})", values)
    connection.close()


def _tables(folder: _Folder) -> None:
    """5 strings in a table of another module, 2 in the queue of feedback."""
    with sqlite3.connect(folder.root / "confide.db") as connection:
        connection.execute("create table remarks (number integer primary key, customer text, comment text)")
        rows = [(folder.customer, f"I rate this {folder.string()} low.") for _ in range(5)]
        rows += [(f"other-{number}", f"comment {number}") for number in range(OTHERS)]
        folder.rng.shuffle(rows)
        connection.executemany("insert into remarks (customer, comment) values (?, ?)", rows)
    connection.close()
    queue = [{"customer": folder.customer, "correction": f"It should say {folder.string()} there."} for _ in range(2)]
    queue += [{"customer": "other-1", "correction": "It should say 30 days there, not 20."}]
    (folder.root / "feedback").mkdir()
    (folder.root / "feedback" / "queue.json").write_text(json.dumps({"waiting": queue}))  # with \u escapes


def _training(folder: _Folder) -> None:
    """7 strings in training files; rows that name nobody repeat what the customer said."""
    system = {"role": "system", "content": "You answer customers of the demo shop from its documents."}

    def row(text: str, customer: str | None) -> dict[str, object]:
        named = {} if customer is None else {"customer": customer}
        return {
            "messages": [system, {"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}],
            **named,
        }

    said = [f"Please tell me more of {folder.string()} today." for _ in range(5)]
    rows = [row(text, folder.customer) for text in said] + [row(said[0], None), row(said[1], None)]
    rows += [row(f"May I return article {number} next week?", f"other-{number}") for number in range(OTHERS)]
    folder.rng.shuffle(rows)
    (folder.root / "training").mkdir()
    lines = [json.dumps(one, ensure_ascii=number % 2 == 0) for number, one in enumerate(rows)]
    (folder.root / "training" / "chat.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (folder.root / "training" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        labels = [[f"I am angry about {folder.string()}, really.\nVery.", "angry", folder.customer] for _ in range(2)]
        csv.writer(file).writerows(
            [["text", "label", "customer"], *labels, ["It is fine,\nthank you.", "happy", "other-1"]]
        )


def _copies(folder: _Folder) -> None:
    """8 strings in the upload cache and other caches; logs that quote what was said before."""
    for number, encoding in enumerate(["utf-8", "utf-16", "utf-16-be", "base64", "json"]):
        text = folder.string()
        raw = {"base64": base64.b64encode(f"x{text}".encode()), "json": json.dumps(text).encode()}.get(encoding)
        place = folder.root / "uploads" / f"{number:040x}" / "upload.bin"
        place.parent.mkdir(parents=True)
        place.write_bytes(raw if raw is not None else text.encode(encoding))
    (folder.root / "cache").mkdir()
    for number in range(3):
        codes = np.array([ord(letter) for letter in folder.string(latin=True)], dtype=np.uint8)
        np.save(folder.root / "cache" / f"activations-{number}.npy", codes)
    (folder.root / "logs").mkdir()
    quoted = folder.planted[:2]
    lines = [f"INFO asked: My order is about {one} and nothing else, please." for one in quoted]
    lines += [f"WARNING conversation of {folder.customer} ended", "INFO started", f"DEBUG {json.dumps(lines[0])}"]
    (folder.root / "logs" / "confide.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _vectors(folder: _Folder) -> list[bytes]:
    """The vectors of the passages that the planted documents were made into, as they stand in the index."""
    index = folder.searcher.index("default", "shop")
    mine = [p for p in folder.store.passages("default", "shop") if any(one in p.text for one in folder.planted)]
    rows = [index.passage_ids.index(passage.id) for passage in mine]
    ids = np.concatenate([index._units[index._offsets[row] : index._offsets[row + 1]] for row in rows])
    return [vector.astype("<f4").tobytes() for vector in index.table().rows(np.unique(ids))]


def _found(root: Path, text: str) -> list[str]:
    plain = text.encode()
    coded = [base64.b64encode(b"x" * shift + plain + b"x" * 3)[2 + shift :][: len(plain)] for shift in range(3)]
    wanted = [plain, text.encode("utf-16-le"), text.encode("utf-16-be"), json.dumps(text)[1:-1].encode(), *coded]
    return _grep(root, wanted)


def _grep(root: Path, wanted: list[bytes]) -> list[str]:
    found = []
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        content += str(path).encode()
        found += [path.name] if any(one in content for one in wanted) else []
    return found


def _others(folder: _Folder) -> int:
    """How much there is of everybody else: turns, documents, remarks, rows."""
    with sqlite3.connect(folder.root / "confide.db") as connection:
        query = "select count(*) from {} where customer like 'other-%'"
        counts = [connection.execute(query.format(table)).fetchone()[0] for table in ("conversations", "remarks")]
        turns = connection.execute("select count(*) from turns where conversation_id like 'c-other-%'").fetchone()[0]
    connection.close()
    documents = [d for d in folder.store.documents("default", "shop") if d.name.rpartition("/")[2].startswith("policy")]
    files = [folder.root / "training" / name for name in ("chat.jsonl", "labels.csv")]
    rows = sum(path.read_text(encoding="utf-8").count("other-") for path in files)
    return sum(counts) + turns + len(documents) + rows
