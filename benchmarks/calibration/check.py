"""Check the calibration companies: every quote, fact and regex, and the mix.

Usage: python benchmarks/calibration/check.py
Exits with 1 and a list of problems if a rule is broken. Standard library only.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import compact

HERE = Path(__file__).resolve().parent
KINDS = {"fact", "yes_no", "conditional", "follow_up", "product", "unanswerable"}
FIELDS = {"id", "language", "question", "history", "kinds", "answerable", "gold", "facts", "false_claims"}
LEAST = {"kitchen": 150, "bank": 90}


@dataclass
class Passage:
    """A paragraph, a list item, a table row or a CSV row."""

    text: str
    cells: list[str]


def norm(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class _Blocks(HTMLParser):
    BLOCK = frozenset({"p", "li", "td", "th", "h1", "h2", "h3", "h4", "div", "section", "main", "ul", "ol", "body"})
    SKIP = frozenset({"style", "script", "title", "nav", "head"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._now = ""
        self._skip = 0

    def _flush(self) -> None:
        if norm(self._now):
            self.blocks.append(norm(self._now))
        self._now = ""

    def handle_starttag(self, tag, attrs):
        if tag in self.SKIP:
            self._skip += 1
        if tag in self.BLOCK:
            self._flush()

    def handle_endtag(self, tag):
        if tag in self.SKIP:
            self._skip -= 1
        if tag in self.BLOCK:
            self._flush()

    def handle_data(self, data):
        if not self._skip:
            self._now += data


def _markdown(text: str) -> list[Passage]:
    passages = []
    for block in re.split(r"\n\s*\n", text):
        plain: list[str] = []
        for line in block.strip().splitlines():
            if line.startswith("#"):
                continue
            if line.startswith("|"):
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                if not set("".join(cells)) <= set("-: "):
                    passages.append(Passage(" | ".join(cells), cells))
            elif line.startswith("- "):
                passages.append(Passage(line[2:], [line[2:]]))
            else:
                plain.append(line)
        if plain:
            passages.append(Passage("\n".join(plain), ["\n".join(plain)]))
    return passages


def load_documents(folder) -> dict[str, list[Passage]]:
    documents: dict[str, list[Passage]] = {}
    for path in sorted(Path(folder).iterdir()):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            rows = list(csv.reader(text.splitlines()))
            documents[path.name] = [Passage(" | ".join(row), row) for row in rows[1:]]
        elif path.suffix == ".html":
            parser = _Blocks()
            parser.feed(text)
            parser._flush()
            documents[path.name] = [Passage(block, [block]) for block in parser.blocks]
        elif path.suffix == ".md":
            documents[path.name] = _markdown(text)
        else:
            blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
            documents[path.name] = [Passage(block, [block]) for block in blocks]
    return documents


def _contains(text: str, part: str) -> bool:
    return norm(part).lower() in norm(text).lower()


def check(company: str) -> tuple[list[str], Counter]:
    folder = HERE / company
    documents = load_documents(folder / "documents")
    problems: list[str] = []
    counts: Counter = Counter()
    ids: set[str] = set()
    asked: set[str] = set()

    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        item = json.loads(line)
        name = f"{company} {item.get('id', f'line {number}')}"

        def bad(text: str, name: str = name) -> None:
            problems.append(f"{name}: {text}")

        if set(item) != FIELDS:
            bad(f"fields {sorted(set(item) ^ FIELDS)}")
            continue
        if item["id"] in ids:
            bad("id used twice")
        ids.add(item["id"])
        key = norm(item["question"]).lower() + json.dumps(item["history"])
        if key in asked:
            bad("question asked twice")
        asked.add(key)
        if item["language"] not in ("en", "zh"):
            bad("language")
        if item["language"] != language_of(item["question"]):
            bad("language does not fit the question")
        kinds = set(item["kinds"])
        if not kinds or kinds - KINDS:
            bad(f"kinds {sorted(kinds)}")
        if ("unanswerable" in kinds) == item["answerable"]:
            bad("answerable does not fit kinds")
        if ("follow_up" in kinds) != bool(item["history"]):
            bad("follow_up does not fit history")
        roles = [turn["role"] for turn in item["history"]]
        if roles != ["user", "assistant"] * (len(roles) // 2) or len(roles) > 4:
            bad(f"history roles {roles}")

        counts["questions"] += 1
        counts[item["language"]] += 1
        counts["answerable"] += item["answerable"]
        counts.update(kinds)
        counts["yes_no or conditional"] += bool(kinds & {"yes_no", "conditional"})
        if not item["answerable"]:
            counts[f"unanswerable {item['language']}"] += 1
            if item["gold"] or item["facts"] or item["false_claims"]:
                bad("unanswerable, but has gold, facts or false claims")
            continue

        if not item["gold"]:
            bad("no gold")
        if not 1 <= len(item["facts"]) <= 3:
            bad(f"{len(item['facts'])} facts")
        if kinds & {"yes_no", "conditional"} and not item["false_claims"]:
            bad("no false claims")
        patterns = []
        for pattern in item["false_claims"]:
            try:
                patterns.append(re.compile(pattern))
            except re.error as error:
                bad(f"regex {pattern!r}: {error}")
        for gold in item["gold"]:
            counts["gold passages"] += 1
            passages = [
                passage
                for passage in documents.get(gold["document"], [])
                if any(norm(gold["quote"]) in norm(cell) for cell in passage.cells)
            ]
            if len(passages) != 1:
                bad(f"quote found in {len(passages)} passages of {gold['document']}: {gold['quote']}")
                continue
            for fact in item["facts"]:
                if not any(_contains(passages[0].text, way) for way in fact):
                    bad(f"fact {fact} is not in {gold['document']}: {gold['quote']}")
            for pattern in patterns:
                if pattern.search(norm(gold["quote"])):
                    bad(f"false claim {pattern.pattern!r} matches gold: {gold['quote']}")
                elif gold["document"] != "products.csv" and any(
                    pattern.search(norm(cell)) for cell in passages[0].cells[-1:]
                ):
                    bad(f"false claim {pattern.pattern!r} matches the passage of: {gold['quote']}")

    total = counts["questions"] or 1
    if total < LEAST[company]:
        problems.append(f"{company}: only {total} questions")
    shares = {"zh": (20, 32), "unanswerable": (25, 35), "follow_up": (10, 16), "yes_no or conditional": (27, 45)}
    if company == "kitchen":
        shares["product"] = (12, 20)
    for what, (low, high) in shares.items():
        share = 100 * counts[what] / total
        if not low <= share <= high:
            problems.append(f"{company}: {what} is {share:.0f} %, not {low} to {high} %")
    return problems, counts


def check_dialogues() -> tuple[list[str], Counter]:
    """Every gold quote of dialogues.jsonl is in its document once."""
    problems: list[str] = []
    counts: Counter = Counter()
    documents = {company: load_documents(HERE / company / "documents") for company in LEAST}
    for line in (HERE / "dialogues.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        counts[f"{item['kind']} {item['language']}"] += 1
        if item["kind"] not in ("follow_up", "new_topic") or item["answerable"] != bool(item["gold"]):
            problems.append(f"{item['id']}: kind or answerable")
        for gold in item["gold"]:
            passages = documents[item["company"]].get(gold["document"], [])
            found = sum(any(norm(gold["quote"]) in norm(cell) for cell in passage.cells) for passage in passages)
            if found != 1:
                problems.append(f"{item['id']}: quote found in {found} passages: {gold['quote']}")
    return problems, counts


def language_of(question: str) -> str:
    """Chinese where it has Chinese letters and as many of them as Latin words: a name in the other language is no reason."""
    chinese = len(re.findall(r"[\u4e00-\u9fff]", question))
    return "zh" if chinese and chinese >= len(re.findall(r"[A-Za-z][A-Za-z'-]+", question)) else "en"


def check_compact(path: Path) -> tuple[list[str], Counter]:
    """A company of one file: that it can be read, no question twice, and, apart, the mix of the questions."""
    try:
        company = compact.read(path)
    except compact.BadCompany as error:
        return str(error).splitlines(), Counter()
    rows = company.questions()
    counts = Counter(questions=len(rows), answerable=sum(row["answerable"] for row in rows))
    counts.update(row["language"] for row in rows)
    counts["follow_up"] = sum(bool(row["history"]) for row in rows)
    asked = Counter(norm(row["question"]).lower() + json.dumps(row["history"]) for row in rows)
    problems = [f"{path}: asked twice: {text}" for text, times in asked.items() if times > 1]
    for row in rows:
        if row["language"] != language_of(row["question"]):
            problems.append(f"{path}: {row['id']}: language does not fit the question")
    share = 100 * counts["answerable"] / len(rows)
    if path.parent.name == "apart" and not (len(rows) >= 200 and 50 <= share <= 70):
        problems.append(f"{path}: {len(rows)} questions, {share:.0f} % answerable")
    return problems, counts


def main() -> int:
    problems: list[str] = []
    found, counts = check_dialogues()
    problems += found
    print("dialogues: " + ", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    for company in LEAST:
        found, counts = check(company)
        problems += found
        print(company + ": " + ", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    for path in sorted([*HERE.glob("apart/*.txt"), *HERE.glob("near/*.txt")]):
        found, counts = check_compact(path)
        problems += found
        named = f"{path.parent.name}/{path.stem}"
        print(f"{named}: " + ", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    for problem in problems:
        print("PROBLEM " + problem)
    print("passed" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
