"""shop-recommend: the recommender on the demo shop.

60 requests (`recommend_requests.jsonl`), 20 Chinese, written with their conditions before the
parser was, by the same author. `parsed_correctly`: field, test and numbers are the ones written down, and the
values are, or choose the same rows as the pattern written beside them. `constraints_kept`: every item shown
satisfies every written condition, judged on the CSV by those patterns, not by the product's filter.
`untrue_facts`: names, prices, stock levels and counts in the text and reasons of 1,000 generated requests that
are not the CSV's, read by a judge of its own.
"""

from __future__ import annotations

import csv
import functools
import json
import random
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from assistant.advisor import Advisor, Query
from assistant.goods import Advice, Condition, Item
from assistant.language import stem
from assistant.likeness import Encode, encoder
from assistant.metrics import share
from assistant.recommend.catalog import read_catalog
from assistant.recommend.interactions import read_interactions
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
