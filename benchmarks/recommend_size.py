"""recommend-latency and recommend-scale: the recommender at 100,000 and 1,000,000 items, and at 1,000,000 interactions."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from assistant.advisor import Advisor, Query
from assistant.goods import Interaction, Item
from assistant.likeness import Encode, encoder
from assistant.metrics import quantile
from assistant.recommend.candidates import Nearest
from assistant.recommend.catalog import read_catalog
from assistant.recommend.interactions import read_interactions
from assistant.recommend.recommender import fit
from assistant.recommend.table import Table
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.stock import Stock
from assistant.store import Store
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.recommend import REQUESTS, SEED, SHOP


def latency() -> Report:
    """The walk at 100,000 items: request understood, filtered, ranked, explained; nothing is phrased by a model.

    The catalogue is the demo shop's 224 rows, repeated with other prices and stock; vectors are the real
    embedder's with noise, so that they differ. 200 requests, half with a history, one at a time, of 60 texts:
    `p95_ms_first` is that of the first time each is asked, when nothing of it is remembered. `ready_seconds` is
    the first start, `again_seconds` a second one, with the models kept on disk.
    """
    wanted = [json.loads(line)["request"] for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        advisor, ready = _big_shop(Path(folder))
        advisor.recommend("big", Query(request="hello"))  # loads what is loaded once
        seconds, cpu, first = [], [], []
        asked: set[str] = set()
        for number in range(200):
            request = wanted[number % len(wanted)] if number % 4 else ""
            query = Query(f"C-{number % 300:03d}" if number % 2 else "", request)
            began, spent = time.perf_counter(), time.process_time()
            advisor.recommend("big", query)
            seconds.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - spent))
            first += [seconds[-1]] if request not in asked else []
            asked.add(request)
        _, again = _big_shop(Path(folder))
    measures = (
        quantile("p95_ms", seconds, 0.95),
        quantile("p50_ms", seconds, 0.5),
        quantile("p95_ms_first", first, 0.95),
        quantile("p95_cpu_ms", cpu, 0.95),
        Measure("ready_seconds", ready),
        Measure("again_seconds", again),
    )
    return Report("recommend-latency", measures, provenance(load_settings(), items=100_000))


def _big_shop(folder: Path) -> tuple[Advisor, float]:
    """(the advisor of 100,000 items, how many seconds it took from the stored catalogue to the first answer)."""
    settings = load_settings(data_dir=folder)
    store = Store.open(folder)
    shelf = Stock(store, settings.tenant, "big")
    items = multiplied(read_catalog(SHOP / "documents" / "products.csv").items, 100_000)
    shelf.put(items)
    shelf.save_words(json.loads((SHOP / "words.json").read_text(encoding="utf-8")))
    shelf.add(_scattered(items))
    encode = _spread(encoder(Searcher(store, settings), settings, lambda name: False), len(items))
    advisor = Advisor(store, settings.tenant, encode, folder=folder / "cache")
    started = time.perf_counter()
    advisor.shop("big")
    return advisor, time.perf_counter() - started


def multiplied(rows: tuple[Item, ...], n: int) -> list[Item]:
    """`n` items like these, with ids, names, prices and stock of their own."""
    dice = random.Random(SEED)
    found = []
    for number in range(n):
        row = rows[number % len(rows)]
        price = row.price * dice.randint(50, 150) / 100 if row.price is not None else None
        price = price.quantize(row.price) if price is not None and row.price is not None else None
        own = {"id": f"{row.id}-{number}", "name": f"{row.name} No {number}", "stock": dice.randint(0, 40)}
        found.append(dataclasses.replace(row, price=price, **own))
    return found


def _spread(real: Encode, n: int) -> Encode:
    """The real embedder for requests; for the catalogue the first 224 texts' vectors with noise."""

    def encode(collection: str, said: Any) -> Any:
        if len(said) < n:
            return real(collection, said)
        base = np.asarray(real(collection, said[:224]), dtype=np.float32)
        noise = (
            np.random.default_rng(SEED).normal(0, 0.5 / np.sqrt(base.shape[1]), (n, base.shape[1])).astype(np.float32)
        )
        vectors = base[np.arange(n) % len(base)] + noise
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return encode


def _scattered(items: list[Item]) -> list[Interaction]:
    """The demo shop's interactions, each on one of the copies of its item."""
    dice = random.Random(SEED)
    copies = len(items) // 224
    found = []
    place = {item.id.rsplit("-", 1)[0]: number for number, item in enumerate(items[:224])}
    for one in read_interactions(SHOP / "interactions.csv").interactions:
        copy = place[one.item] + 224 * dice.randint(0, copies - 1)
        found.append(dataclasses.replace(one, item=items[copy].id))
    return found


def scale() -> Report:
    """What a shop's start fits, on 1,000,000 synthetic interactions; the approximate index at 1,000,000 items.

    `fit_seconds` is the product's whole fit: popularity, item-kNN, transitions, EASE and ALS twice (the first time
    without each customer's last event, to learn the blend's weights), who took what, words, the factors' index.
    100,000 customers, 50,000 items, popularity by Zipf's law, tastes in 200 groups. The index holds vectors of
    64 dimensions in 2,000 groups with noise of the groups' own size, and is asked with vectors of the same kind;
    recall is against the exact search.
    """
    table, interactions = synthetic()
    before = _peak()
    started, spent = time.perf_counter(), time.process_time()
    model = fit(table, interactions)
    seconds, cpu, peak = time.perf_counter() - started, time.process_time() - spent, _peak()
    weights = dict(zip([one.name for one in model.blend.scorers], model.blend.weights.round(3).tolist(), strict=True))
    del model, table, interactions
    recall, timed, built = _index()
    measures = (
        Measure("fit_seconds", seconds, n=1_000_000),
        Measure("fit_cpu_seconds", cpu, n=1_000_000),
        Measure("peak_mb", peak, n=1_000_000),
        Measure("mb_before", before),
        Measure("recall@100", recall, n=1_000_000),
        quantile("p95_ms_ann", timed, 0.95),
        Measure("index_seconds", built),
    )
    return Report("recommend-scale", measures, provenance(load_settings(), weights=weights))


def synthetic(n: int = 1_000_000, customers: int = 100_000, items: int = 50_000) -> tuple[Table, list[Interaction]]:
    """A catalogue of names, and a log with a long tail and groups of taste, by time."""
    dice = np.random.default_rng(SEED)
    groups = 200
    users = dice.integers(0, customers, n)
    popular = 1 / np.arange(1, items // groups + 1) ** 0.9
    popular /= popular.sum()
    inside = dice.choice(items // groups, n, p=popular)
    group = np.where(dice.random(n) < 0.8, users % groups, dice.integers(0, groups, n))
    seconds = np.sort(dice.integers(0, 365 * 86_400, n))
    names = [f"I{number}" for number in range(items)]
    people = [f"C{number}" for number in range(customers)]
    origin = dt.datetime(2025, 1, 1)
    log = [
        Interaction(people[user], names[item], "buy", origin + dt.timedelta(seconds=second))
        for user, item, second in zip(users.tolist(), (inside * groups + group).tolist(), seconds.tolist(), strict=True)
    ]
    return Table([Item(name, f"Thing {number}") for number, name in enumerate(names)]), log


def _index() -> tuple[float, list[float], float]:
    dice = np.random.default_rng(SEED)
    centres = dice.normal(size=(2000, 64)).astype(np.float32)
    vectors = centres[dice.integers(0, 2000, 1_000_000)] + dice.normal(size=(1_000_000, 64)).astype(np.float32)
    queries = centres[dice.integers(0, 2000, 200)] + dice.normal(size=(200, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    started = time.perf_counter()
    near = Nearest(vectors)
    built = time.perf_counter() - started
    timed, hits = [], []
    for query in queries:
        began = time.perf_counter()
        found = near.search(query, 100)[0]
        timed.append(1000 * (time.perf_counter() - began))
        exact = vectors @ query
        hits.append(len(set(found.tolist()) & set(np.argpartition(-exact, 99)[:100].tolist())) / 100)
    return float(np.mean(hits)), timed, built


def _peak() -> float:
    """The most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
