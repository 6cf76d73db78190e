"""shop-recommend, scorer-agreement, recommend-latency, recommend-scale: the recommender on the demo shop and at size.

shop-recommend: 60 requests (`recommend_requests.jsonl`), 20 Chinese, written with their conditions before the
parser was, by the same author. `parsed_correctly`: field, test and numbers are the ones written down, and the
values are, or choose the same rows as the pattern written beside them. `constraints_kept`: every item shown
satisfies every written condition, judged on the CSV by those patterns, not by the product's filter.
`untrue_facts`: names, prices, stock levels and counts in the text and reasons of 1,000 generated requests that
are not the CSV's, read by a judge of its own.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import random
import re
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from assistant.advisor import Advisor, Query
from assistant.goods import Advice, Condition, Item
from assistant.language import stem
from assistant.likeness import Encode, encoder
from assistant.metrics import quantile, share
from assistant.recommend import factors, scorers
from assistant.recommend.blend import Blend
from assistant.recommend.candidates import Nearest
from assistant.recommend.catalog import read_catalog
from assistant.recommend.interactions import read_interactions
from assistant.recommend.log import History, Log
from assistant.recommend.recommender import scorers_for
from assistant.recommend.table import Table
from assistant.registry import resolve
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.stock import Stock
from assistant.store import Store
from assistant.types import Measure, Report
from benchmarks.common import ROOT, provenance

SHOP = ROOT / "examples" / "demo_shop"
REQUESTS = Path(__file__).parent / "recommend_requests.jsonl"
SEED = 20_240_229


def demo_shop(folder: Path, encode: Encode | None = None) -> Advisor:
    """An advisor over the demo shop in a fresh data folder; the default embedder where none is given."""
    store = Store.open(folder)
    settings = load_settings(data_dir=folder)
    shelf = Stock(store, settings.tenant, "shop")
    items = read_catalog(SHOP / "documents" / "products.csv").items
    shelf.put(items)
    shelf.save_words(json.loads((SHOP / "words.json").read_text(encoding="utf-8")))
    shelf.add(read_interactions(SHOP / "interactions.csv", items={item.id for item in items}).interactions)
    return Advisor(store, settings.tenant, encode or encoder(Searcher(store, settings), settings, lambda name: False))


def plain(collection: str, said: Any) -> Any:
    """Hashed words as vectors: quick, for what does not depend on meaning."""
    return _hashing().encode(list(said))


@functools.cache
def _hashing() -> Any:
    return resolve("embedders", "hashing")(load_settings())


# shop-recommend


def shop() -> Report:
    """The 60 requests and the 1,000."""
    with (SHOP / "documents" / "products.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["sku"]: row for row in csv.DictReader(stream)}
    wanted = [json.loads(line) for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        advisor = demo_shop(Path(folder))
        parsed: list[bool] = []
        kept: list[bool] = []
        missed: list[str] = []
        empty = 0
        for one in wanted:
            said = advisor.understand("shop", one["request"]).conditions
            parsed.append(_same(said, one["conditions"], rows))
            query = Query(one.get("customer", ""), one["request"], language=one["language"], n=10)
            advice = advisor.recommend("shop", query)
            possible = [row for row in rows.values() if int(row["stock"]) and _keeps(row, one["conditions"])]
            shown = [rows[found.item.id] for found in advice.recommendations]
            kept.append(all(_keeps(row, one["conditions"]) for row in shown) and bool(shown or not possible))
            empty += not shown
            missed += [] if parsed[-1] and kept[-1] else [one["id"]]
        chinese = [flag for flag, one in zip(parsed, wanted, strict=True) if one["language"] == "zh"]
        advisor = demo_shop(Path(folder) / "plain", plain)  # which items are found does not matter to their facts
        untrue, facts = _untrue(advisor, rows)
    measures = (
        share("constraints_kept", kept),
        share("parsed_correctly", parsed),
        share("parsed_correctly_zh", chinese),
        Measure("requests_without_items", empty, n=len(wanted)),
        Measure("untrue_facts", untrue, n=facts),
    )
    return Report("shop-recommend", measures, provenance(load_settings(), missed=missed))


def _same(said: tuple[Condition, ...], written: list[dict[str, Any]], rows: dict[str, dict[str, str]]) -> bool:
    """Whether the conditions found are the ones written down."""
    if Counter((one.field, one.test) for one in said) != Counter((one["field"], one["test"]) for one in written):
        return False
    table = Table(read_catalog(SHOP / "documents" / "products.csv").items)
    left = list(said)
    for gold in written:
        same = next(
            (
                one
                for one in left
                if (one.field, one.test) == (gold["field"], gold["test"]) and _alike(one, gold, table, rows)
            ),
            None,
        )
        if same is None:
            return False
        left.remove(same)
    return True


def _alike(one: Condition, gold: dict[str, Any], table: Table, rows: dict[str, dict[str, str]]) -> bool:
    if sorted(stem(value.casefold()) for value in one.values) == sorted(
        stem(value.casefold()) for value in gold["values"]
    ):
        return True
    if "accept" not in gold:
        return False
    chosen = {table.items[row].id for row in np.flatnonzero(table.mask(one))}
    return chosen == {sku for sku, row in rows.items() if _keeps(row, [gold])}


def _keeps(row: dict[str, str], conditions: list[dict[str, Any]]) -> bool:
    """Whether a row of the CSV satisfies conditions as they were written down."""
    for one in conditions:
        text = row[{"size": "size_range"}.get(one["field"], one["field"])]
        if one["test"] in {"<", "<=", ">", ">="}:
            number, limit = float(text), float(one["values"][0])
            good = {"<": number < limit, "<=": number <= limit, ">": number > limit, ">=": number >= limit}[one["test"]]
        else:
            pattern = one.get("accept") or "|".join(rf"^{re.escape(value)}$" for value in one["values"])
            good = bool(re.search(pattern, text, re.IGNORECASE)) == (one["test"] == "is")
        if not good:
            return False
    return True


def _untrue(advisor: Advisor, rows: dict[str, dict[str, str]]) -> tuple[int, int]:
    """(facts that are not the files', facts looked at) over 1,000 generated requests."""
    with (SHOP / "interactions.csv").open(encoding="utf-8", newline="") as stream:
        events = list(csv.DictReader(stream))
    takers: dict[str, set[str]] = {}
    own: dict[str, set[str]] = {}
    for event in events:
        own.setdefault(event["customer"], set()).add(event["item"])
        if event["event"] in {"buy", "rating"}:
            takers.setdefault(event["item"], set()).add(event["customer"])
    wrong = seen = 0
    for query in generated(rows):
        advice = advisor.recommend("shop", query)
        for fact in facts_of(advice, query, rows, takers=takers, own=own):
            seen += 1
            wrong += not fact
    return wrong, seen


def generated(rows: dict[str, dict[str, str]], n: int = 1000) -> list[Query]:
    """Requests made of the catalogue's own values, half of them Chinese, a third for a known customer."""
    dice = random.Random(SEED)
    categories = sorted({row["category"] for row in rows.values()})
    chinese = {
        "tents": "帐篷",
        "jackets": "夹克",
        "sleeping bags": "睡袋",
        "boots and shoes": "鞋",
        "backpacks": "背包",
        "trousers": "裤子",
    }
    found = []
    for number in range(n):
        price, colour = (
            dice.choice((30, 60, 100, 150, 250, 400)),
            dice.choice(("blue", "black", "orange", "green", "red")),
        )
        customer = f"C-{dice.randint(1, 300):03d}" if number % 3 == 0 else ""
        if number % 2:
            name = dice.choice(list(chinese))
            text = dice.choice(
                (
                    f"推荐{price}元以下的{chinese[name]}",
                    f"想买{chinese[name]}，不要{dice.choice('黑红蓝')}色的",
                    f"有没有{price}欧以内防水的{chinese[name]}",
                )
            )
        else:
            name = dice.choice(categories)
            text = dice.choice(
                (
                    f"{name} under {price}",
                    f"recommend {name}, not {colour}, up to {price} euros",
                    f"{colour} {name} between 20 and {price}",
                    "something new for me",
                )
            )
        found.append(Query(customer, text, n=dice.choice((3, 5, 10)), language="zh" if number % 2 else "en"))
    return found


def facts_of(
    advice: Advice,
    query: Query,
    rows: dict[str, dict[str, str]],
    *,
    takers: dict[str, set[str]],
    own: dict[str, set[str]],
) -> list[bool]:
    """Whether each name, price, stock level and count of an advice is the files'."""
    facts: list[bool] = []
    lines = [line for line in advice.text.split("\n") if re.match(r"\d+\. ", line)]
    facts.append(len(lines) == len(advice.recommendations))
    names = {row["name"] for row in rows.values()} | {row["name_zh"] for row in rows.values()}
    for line, one in zip(lines, advice.recommendations, strict=False):
        row = rows[one.item.id]
        name, _, rest = re.sub(r"^\d+\. ", "", line).replace("：", ": ").rpartition(": ")
        numbers = re.findall(r"\d+(?:\.\d+)?", rest)
        facts += [name in {row["name"], row["name_zh"]}, numbers[:1] == [row["price"]], numbers[1:] == [row["stock"]]]
        facts.append("out of stock" not in rest or row["stock"] == "0")
        facts += _card(one.item, row)
        for reason in one.reasons:
            if reason.kind == "together":
                both = takers[one.item.id] & takers[reason.item]
                facts += [len(both) == int(reason.value), reason.item in own[query.customer]]
            elif reason.kind == "popular":
                facts.append(len(takers[one.item.id]) == int(reason.value))
            elif reason.kind == "matches":
                cell = (
                    f"{row['price']} {row['currency']}"
                    if reason.field == "price"
                    else row[{"size": "size_range"}.get(reason.field, reason.field)]
                )
                facts.append(reason.value == cell)
            elif reason.kind == "shares":
                facts += [
                    row[reason.field] == reason.value == rows[reason.item][reason.field],
                    reason.item in own[query.customer],
                ]
            if reason.item:
                facts.append(any(name in reason.text for name in names))
    return facts


def _card(item: Item, row: dict[str, str]) -> list[bool]:
    return [
        str(item.price) == row["price"],
        item.stock == int(row["stock"]),
        item.name == row["name"],
        item.names["zh"] == row["name_zh"],
    ]


# scorer-agreement


def agreement() -> Report:
    """The largest difference between each scorer and the textbook's formula, in float64, on a small log."""
    dice = np.random.default_rng(SEED)
    users, items = dice.integers(0, 40, 600), dice.integers(0, 60, 600)
    log = Log.of(users, items, n_users=40, n_items=60)
    x = (np.bincount(log.users * 60 + log.items, minlength=2400).reshape(40, 60) > 0).astype(float)
    taken = np.stack(
        [np.bincount(history.items, minlength=60) / max(len(history.items), 1) for history in log.histories()]
    )
    errors = {
        "popularity": np.abs(_fitted(scorers.Popularity(), log) - np.bincount(log.items, minlength=60)).max(),
        "ease_by_customers": np.abs(_fitted(scorers.Ease(regularization=20), log) - taken @ _ease(x, 20)).max(),
        "ease_by_items": np.abs(_ease_by_items()).max(),
        "item-knn": np.abs(_fitted(scorers.ItemKNN(k=60), log) - taken @ _cosine(x)).max(),
        "session": np.abs(_fitted(scorers.Transitions(window=2, recent=0), log) - taken @ _next(log, 2)).max(),
        "als_fold_in": _als_error(log, x),
        "bpr_product": _bpr_error(log),
    }
    measures = [Measure("max_error", float(max(errors.values())))]
    measures += [Measure(f"max_error_{name}", float(error)) for name, error in errors.items()]
    return Report("scorer-agreement", tuple(measures), provenance(load_settings()))


def _fitted(scorer: scorers.Scorer, log: Log) -> Any:
    scorer.fit(log)
    return scorer.scores(log.histories())


def _ease(x: Any, regularization: float) -> Any:
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def _ease_by_items() -> Any:
    """With more customers than items the other side is solved: against the formula too."""
    dice = np.random.default_rng(1)
    log = Log.of(dice.integers(0, 90, 500), dice.integers(0, 30, 500), n_users=90, n_items=30)
    x = (np.bincount(log.users * 30 + log.items, minlength=2700).reshape(90, 30) > 0).astype(float)
    taken = np.stack([np.bincount(one.items, minlength=30) / max(len(one.items), 1) for one in log.histories()])
    return _fitted(scorers.Ease(regularization=20), log) - taken @ _ease(x, 20)


def _cosine(x: Any) -> Any:
    norms = np.sqrt((x**2).sum(axis=0))
    similar = (x.T @ x) / np.maximum(np.outer(norms, norms), 1e-12)
    np.fill_diagonal(similar, 0)
    return similar


def _next(log: Log, window: int) -> Any:
    counts = np.zeros((log.n_items, log.n_items))
    for history in log.histories():
        for place, item in enumerate(history.items):
            for distance in range(1, window + 1):
                if place + distance < len(history.items):
                    counts[item, history.items[place + distance]] += 1 / distance
    return counts


def _als_error(log: Log, x: Any) -> float:
    """A customer's vector against the normal equations solved directly (float32 factors: relative error)."""
    model = factors.Als(factors=8, regularization=0.1, alpha=3)
    model.fit(log)
    y = model.item_factors.astype(np.float64)
    history = History.of(sorted(np.flatnonzero(x[3])))
    c = 3.0
    mine = y[history.items]
    left = y.T @ y + mine.T @ mine * (c - 1) + 0.1 * np.eye(8)
    direct = np.linalg.solve(left, c * mine.sum(axis=0))
    return float(np.abs(model.customers([history])[0] - direct).max() / np.abs(direct).max())


def _bpr_error(log: Log) -> float:
    model = factors.Bpr(factors=8, iterations=5)
    model.fit(log)
    history = log.histories()[5]
    product = model.scores([history])[0]
    chosen = model.scores([history], np.array([7, 3]))[0]
    return float(np.abs(product[[7, 3]] - chosen).max())


# recommend-latency and recommend-scale


def latency() -> Report:
    """The walk at 100,000 items: request understood, filtered, ranked, explained; nothing is phrased by a model.

    The catalogue is the demo shop's 224 rows, repeated with other prices and stock; vectors are the real
    embedder's with noise, so that they differ. 200 requests, half with a history, one at a time.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(data_dir=Path(folder))
        store = Store.open(Path(folder))
        real = encoder(Searcher(store, settings), settings, lambda name: False)
        rows = read_catalog(SHOP / "documents" / "products.csv").items
        items = multiplied(rows, 100_000)
        spread = _spread(real, len(items))
        shelf = Stock(store, settings.tenant, "big")
        shelf.put(items)
        shelf.save_words(json.loads((SHOP / "words.json").read_text(encoding="utf-8")))
        shelf.add(_scattered(items))
        advisor = Advisor(store, settings.tenant, spread)
        started = time.perf_counter()
        advisor.shop("big")
        ready = time.perf_counter() - started
        wanted = [json.loads(line)["request"] for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
        seconds, cpu = [], []
        for number in range(220):
            query = Query(
                f"C-{number % 300:03d}" if number % 2 else "", wanted[number % len(wanted)] if number % 4 else ""
            )
            began, spent = time.perf_counter(), time.thread_time()
            advisor.recommend("big", query)
            seconds.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.thread_time() - spent))
    timed = seconds[20:]  # the first ones load what is loaded once
    measures = (
        quantile("p95_ms", timed, 0.95),
        quantile("p50_ms", timed, 0.5),
        quantile("p95_cpu_ms", cpu[20:], 0.95),
        Measure("ready_seconds", ready),
    )
    return Report("recommend-latency", measures, provenance(load_settings(), items=100_000))


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


def _scattered(items: list[Item]) -> list[Any]:
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
    """Fitting the whole blend on 1,000,000 synthetic interactions; the approximate index at 1,000,000 items.

    100,000 customers, 50,000 items, popularity by Zipf's law, tastes in 200 groups. The index holds vectors of
    64 dimensions in 2,000 groups with noise of the groups' own size, and is asked with vectors of the same kind;
    recall is against the exact search.
    """
    before = _peak()
    log = synthetic()
    started = time.perf_counter()
    blend = Blend(scorers_for(True))
    blend.fit(log)
    seconds, peak = time.perf_counter() - started, _peak()
    del blend, log
    recall, timed, built = _index()
    measures = (
        Measure("fit_seconds", seconds, n=1_000_000),
        Measure("peak_mb", peak, n=1_000_000),
        Measure("mb_before", before),
        Measure("recall@100", recall, n=1_000_000),
        quantile("p95_ms_ann", timed, 0.95),
        Measure("index_seconds", built),
    )
    return Report("recommend-scale", measures, provenance(load_settings()))


def synthetic(n: int = 1_000_000, customers: int = 100_000, items: int = 50_000) -> Log:
    """A log with a long tail and groups of taste."""
    dice = np.random.default_rng(SEED)
    groups = 200
    users = dice.integers(0, customers, n)
    popular = 1 / np.arange(1, items // groups + 1) ** 0.9
    popular /= popular.sum()
    inside = dice.choice(items // groups, n, p=popular)
    group = np.where(dice.random(n) < 0.8, users % groups, dice.integers(0, groups, n))
    return Log.of(users, inside * groups + group, dice.random(n) * 365, n_users=customers, n_items=items)


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
