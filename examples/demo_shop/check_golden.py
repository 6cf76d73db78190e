"""Check golden.jsonl and company.json against the documents. Exit status 1 if a rule is broken.

Run:  python check_golden.py      (needs pypdf, python-docx and lxml)

The rules are described in README.md.
"""

from __future__ import annotations

import collections
import csv
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE / "documents"
KINDS = {"fact", "yes_no", "conditional", "follow_up", "product", "unanswerable"}
FIELDS = {"id", "language", "question", "history", "kinds", "answerable", "gold", "facts", "false_claims"}


def squeeze(text: str) -> str:
    return " ".join(text.split())


class Passage:
    """One place a quote can stand in: a paragraph, or a row of cells."""

    def __init__(self, text: str, cells: list[str] | None = None):
        self.text = squeeze(text)
        self.cells = [squeeze(cell) for cell in cells] if cells is not None else None


def passages(path: Path) -> list[Passage]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [Passage("; ".join(f"{k}: {v}" for k, v in row.items()), list(row.values())) for row in rows]
    if path.suffix == ".md":
        found = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("|"):
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                found.append(Passage(" | ".join(cells), cells))
            elif line.strip():
                found.append(Passage(line.lstrip("#- ")))
        return found
    if path.suffix == ".txt":
        return [Passage(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if path.suffix == ".html":
        from lxml import html

        found = []
        for node in html.parse(str(path)).getroot().iter("p", "li", "tr", "h1", "h2", "h3"):
            if node.tag == "tr":
                cells = [cell.text_content() for cell in node]
                found.append(Passage(" | ".join(cells), cells))
            else:
                found.append(Passage(node.text_content()))
        return found
    if path.suffix == ".docx":
        import docx

        return [Passage(p.text) for p in docx.Document(str(path)).paragraphs if p.text.strip()]
    if path.suffix == ".pdf":
        import pypdf

        return [Passage(page.extract_text()) for page in pypdf.PdfReader(str(path)).pages]
    raise ValueError(f"no reader for {path.name}")


def main() -> int:
    errors: list[str] = []

    def need(condition: bool, message: str) -> None:
        if not condition:
            errors.append(message)

    documents = {path.name: passages(path) for path in sorted(DOCUMENTS.iterdir())}
    questions = [json.loads(line) for line in (HERE / "golden.jsonl").read_text(encoding="utf-8").splitlines()]

    # The documents
    need(len(documents["faq.csv"]) >= 45, "faq.csv: fewer than 45 rows")
    need(len(documents["faq.zh.csv"]) >= 30, "faq.zh.csv: fewer than 30 rows")
    need(len(documents["products.csv"]) >= 220, "products.csv: fewer than 220 rows")
    need(len(documents["warranty-and-repair.pdf"]) >= 4, "the PDF has fewer than 4 pages")
    with (DOCUMENTS / "products.csv").open(encoding="utf-8", newline="") as stream:
        products = list(csv.DictReader(stream))
    for column in ("sku", "name", "name_zh", "description"):
        need(len({row[column] for row in products}) == len(products), f"products.csv: {column} is not unique")
    need(
        all(re.fullmatch(r"\d+\.\d\d", row["price"]) for row in products), "products.csv: a price without two decimals"
    )
    need(
        all(row["stock"].isdigit() and row["weight_g"].isdigit() for row in products),
        "products.csv: stock or weight is no number",
    )
    need(any(row["stock"] == "0" for row in products), "products.csv: nothing is out of stock")

    # Every question
    for item in questions:
        where = item.get("id", "?")
        need(set(item) == FIELDS, f"{where}: fields {sorted(set(item) ^ FIELDS)}")
        need(bool(item["kinds"]) and set(item["kinds"]) <= KINDS, f"{where}: kinds")
        need(item["language"] in ("en", "zh"), f"{where}: language")
        need(
            bool(re.search("[一-鿿]", item["question"])) == (item["language"] == "zh"),
            f"{where}: question is in the other language",
        )
        need(("follow_up" in item["kinds"]) == bool(item["history"]), f"{where}: history and follow_up do not agree")
        need(
            [turn["role"] for turn in item["history"]] == ["user", "assistant"] * (len(item["history"]) // 2),
            f"{where}: roles",
        )
        patterns = []
        for pattern in item["false_claims"]:
            try:
                patterns.append(re.compile(pattern))
            except re.error as error:
                errors.append(f"{where}: {pattern!r} {error}")
        if "unanswerable" in item["kinds"]:
            need(
                item["kinds"] == ["unanswerable"] and not item["answerable"],
                f"{where}: unanswerable mixed with other kinds",
            )
            need(not item["gold"] and not item["facts"], f"{where}: unanswerable with gold or facts")
            continue
        need(item["answerable"] is True and bool(item["gold"]), f"{where}: no gold")
        need(1 <= len(item["facts"]) <= 3, f"{where}: {len(item['facts'])} facts")
        if {"yes_no", "conditional"} & set(item["kinds"]):
            need(bool(item["false_claims"]), f"{where}: no false_claims")
        for gold in item["gold"]:
            quote = squeeze(gold["quote"])
            label = f"{where} {gold['document']} {quote[:40]!r}"
            if gold["document"] not in documents:
                errors.append(f"{label}: no such document")
                continue
            holders = [p for p in documents[gold["document"]] if quote in p.text]
            need(bool(holders), f"{label}: not in the document")
            if not holders:
                continue
            # A quote that is a cell of a table stands for its row; the cell must point to one row only.
            rows = [p for p in holders if p.cells is not None and quote in p.cells]
            is_faq = gold["document"].startswith("faq")
            if rows and not is_faq:
                need(len(rows) == 1 and len(holders) == 1, f"{label}: the cell points to {len(holders)} places")
                passage = rows[0].text
            else:
                need(len(holders) == 1, f"{label}: found in {len(holders)} places")
                passage = quote
            if gold["document"] == "products.csv":
                need(quote in {row["name"] for row in products}, f"{label}: not a product name")
            for fact in item["facts"]:
                need(
                    any(squeeze(a).casefold() in passage.casefold() for a in fact),
                    f"{label}: fact {fact} not in the passage",
                )
            for pattern in patterns:
                for text in {quote, passage, gold["quote"]}:
                    need(not pattern.search(text), f"{label}: false claim {pattern.pattern!r} matches the gold")
                # The whole FAQ answer, or the whole paragraph, is a right answer too (a PDF page is not one).
                for holder in holders if not gold["document"].endswith(".pdf") else []:
                    whole = next(c for c in holder.cells if quote in c) if holder.cells else holder.text
                    need(
                        not pattern.search(whole),
                        f"{label}: false claim {pattern.pattern!r} matches the text around the gold",
                    )

    # Counts
    def count(test) -> int:
        return sum(1 for item in questions if test(item))

    kinds = collections.Counter(kind for item in questions for kind in item["kinds"])
    need(len(questions) == 120, f"{len(questions)} questions")
    need(
        [item["id"] for item in questions] == [f"g{n:03d}" for n in range(1, len(questions) + 1)],
        "ids are not g001, g002, ...",
    )
    need(len({item["question"] for item in questions}) == len(questions), "a question stands twice")
    need(count(lambda i: i["language"] == "zh") == 30, "not 30 Chinese questions")
    need(kinds["unanswerable"] == 30, "not 30 unanswerable questions")
    need(count(lambda i: i["language"] == "zh" and not i["answerable"]) == 8, "not 8 unanswerable Chinese questions")
    need(kinds["follow_up"] == 15, "not 15 follow-ups")
    need(count(lambda i: i["language"] == "zh" and "follow_up" in i["kinds"]) >= 3, "fewer than 3 Chinese follow-ups")
    both = count(lambda i: bool({"yes_no", "conditional"} & set(i["kinds"])))
    need(both == 30, f"{both} yes/no or conditional questions")
    need(kinds["product"] >= 20, "fewer than 20 product questions")
    used = collections.Counter(name for item in questions for name in {g["document"] for g in item["gold"]})
    for name in documents:
        need(used[name] > 0, f"{name}: no question about it")

    company = json.loads((HERE / "company.json").read_text(encoding="utf-8"))
    need(set(company) == {"name", "name_zh", "languages", "examples", "contact"}, "company.json: fields")
    need(
        all(len(company["examples"][language]) == 4 for language in company["languages"]),
        "company.json: not 4 examples a language",
    )
    need(
        not {e for v in company["examples"].values() for e in v} & {i["question"] for i in questions},
        "company.json: an example is a golden question",
    )

    for error in errors:
        print("ERROR", error)
    print(f"{len(documents)} documents, {len(questions)} questions")
    print("kinds:", dict(sorted(kinds.items())), "yes/no or conditional:", both)
    print("questions per document:", dict(used.most_common()))
    print("FAILED" if errors else "OK")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
