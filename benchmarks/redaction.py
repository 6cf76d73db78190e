"""Recall and precision of the recogniser of personal data on fresh synthetic messages.

A value counts as found when every letter and digit of it is inside what was replaced; what was replaced counts as
right when at least 80 % of its letters and digits are personal. The seed is drawn anew each run and printed
in the provenance. Where the XQuAD paragraphs are at hand (Wikipedia, full of dates and figures, with next
to no personal data) the replacements per thousand of them are reported too.
"""

from __future__ import annotations

import json
import secrets

from assistant.errors import BadInput
from assistant.registry import names, resolve
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import eval_data, provenance, share
from benchmarks.personal_data import LANGUAGES, UNSTRUCTURED, Gold, Sample, messages
from privacy.recognise import Finder, Found, find

N = 2000
_RIGHT = 0.8


def run() -> Report:
    """The report of N messages of a fresh seed."""
    seed = secrets.randbelow(2**31)
    samples = list(messages(N, seed))
    found = [find(sample.text) for sample in samples]
    return Report("redaction", (*structured(samples, found), *_names(samples), *_real()), provenance(seed=seed))


def structured(samples: list[Sample], found: list[list[Found]]) -> tuple[Measure, ...]:
    """Recall and precision in all, by language and by kind."""
    hits: dict[str, list[bool]] = {"recall": [], "precision": []}
    for sample, ours in zip(samples, found, strict=True):
        gold = [one for one in sample.gold if one.kind not in UNSTRUCTURED]
        for one in gold:
            for name in ("recall", f"recall[{sample.language}]", f"recall[{one.kind}]"):
                hits.setdefault(name, []).append(missed(sample.text, one, ours) == 0)
        for mine in ours:
            for name in ("precision", f"precision[{sample.language}]", f"precision[{mine.kind}]"):
                hits.setdefault(name, []).append(is_right(sample.text, mine, gold))
    return tuple(share(name, values) for name, values in sorted(hits.items(), key=_order))


def missed(text: str, gold: Gold, ours: list[Found]) -> int:
    """Letters and digits of a value that stay readable."""
    covered = {place for one in ours for place in range(one.start, one.end)}
    return sum(text[place].isalnum() and place not in covered for place in range(gold.start, gold.end))


def is_right(text: str, mine: Found, gold: list[Gold]) -> bool:
    """Whether what was replaced is mostly personal."""
    personal = {place for one in gold for place in range(one.start, one.end)}
    places = [place for place in range(mine.start, mine.end) if text[place].isalnum()]
    return sum(place in personal for place in places) >= _RIGHT * len(places)


def _order(item: tuple[str, list[bool]]) -> tuple[bool, bool, str]:
    return "[" in item[0], item[0].startswith("precision"), item[0]


def _names(samples: list[Sample]) -> list[Measure]:
    """Recall of names and addresses by each finder that is ready here: a tagger of one's own, plugins."""
    measures = []
    for name in names("finders"):
        try:
            finder: Finder = resolve("finders", name)(load_settings())
        except BadInput:  # no tagger was trained
            continue
        for kind in sorted(UNSTRUCTURED):
            gold = [(sample, one) for sample in samples for one in sample.gold if one.kind == kind]
            seen = [missed(sample.text, one, list(finder(sample.text))) == 0 for sample, one in gold]
            measures.append(share(f"recall[{kind}, {name}]", seen))
    return measures


def _real() -> list[Measure]:
    """Replacements per 1,000 XQuAD paragraphs, by language; nothing where they are not at hand."""
    try:
        root = eval_data("xquad")
    except BadInput:
        return []
    measures = []
    for folder in sorted(path for path in root.iterdir() if path.name in LANGUAGES):
        rows = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(row)["text"] for row in rows]
        replaced = sum(len(find(text)) for text in texts)
        measures.append(Measure(f"xquad_per_1000[{folder.name}]", 1000 * replaced / len(texts), n=len(texts)))
    return measures
