"""Numbers about answers and rankings, each with its 95 % interval. Pure.

Thin wrappers: intervals are scipy's, ranking measures pytrec_eval's (the field's trec_eval).
What a text says is extracted here on its own terms, not by `citations.py`: a judge that shared
the product's eyes would share its blind spots. Not a model judging a model.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from assistant.types import Measure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SEED = 20_240_229
_RESAMPLES, _AT_ONCE = 2000, 50


def share(name: str, flags: Sequence[bool]) -> Measure:
    """The share of True, with Wilson's interval, which is honest at 0 and 1 too.

    >>> measure = share("recall", [True] * 20)
    >>> measure.value, round(measure.low, 2), measure.high
    (1.0, 0.84, 1.0)
    """
    from scipy.stats import binomtest

    if not flags:
        return Measure(name=name, value=0.0, n=0)
    found = sum(flags)
    interval = binomtest(found, len(flags)).proportion_ci(confidence_level=0.95, method="wilson")
    return Measure(
        name=name, value=found / len(flags), low=float(interval.low), high=float(interval.high), n=len(flags)
    )


def mean(name: str, values: Sequence[float], *, seed: int = SEED) -> Measure:
    """The mean over questions, with a bootstrap interval."""
    return ratio(name, values, [1.0] * len(values), seed=seed)


def ratio(name: str, parts: Sequence[float], wholes: Sequence[float], *, seed: int = SEED) -> Measure:
    """sum(parts) / sum(wholes), one pair a question; questions are resampled whole. `n` = questions.

    >>> ratio("facts", [2, 0], [2, 2]).value
    0.5
    """
    import numpy as np

    kept = [(part, whole) for part, whole in zip(parts, wholes, strict=True) if whole]
    if not kept:
        return Measure(name=name, value=0.0, n=0)
    table = np.asarray(kept, dtype=np.float64)
    value = float(table[:, 0].sum() / table[:, 1].sum())
    sums = _resampled(table, seed)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))
    return Measure(name=name, value=value, low=float(low), high=float(high), n=len(table))


def difference(
    name: str,
    before: Sequence[tuple[float, float]],
    after: Sequence[tuple[float, float]],
    *,
    seed: int = SEED,
) -> Measure:
    """sum(parts) / sum(wholes) of `after` minus that of `before`, paired: both in the same order of questions.

    A question that counts on neither side is left out; questions are resampled whole.

    >>> difference("facts", [(0, 1), (1, 1)], [(1, 1), (1, 1)]).value
    0.5
    """
    import numpy as np

    table = np.asarray([(*one, *other) for one, other in zip(before, after, strict=True)], dtype=np.float64)
    table = table.reshape(-1, 4)
    table = table[(table[:, 1] > 0) | (table[:, 3] > 0)]
    if not len(table):
        return Measure(name=name, value=0.0, n=0)
    sums = np.concatenate([table.sum(axis=0)[None], _resampled(table, seed)])  # (1 + resamples, 4)
    wholes = np.maximum(sums[:, [1, 3]], 1e-9)
    change = sums[:, 2] / wholes[:, 1] - sums[:, 0] / wholes[:, 0]
    low, high = np.quantile(change[1:], (0.025, 0.975))
    return Measure(name=name, value=float(change[0]), low=float(low), high=float(high), n=len(table))


def _resampled(table: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """(resamples, columns) sums of rows drawn with replacement, as many as there are."""
    import numpy as np

    chance, rows = np.random.default_rng(seed), len(table)
    drawn = (chance.integers(rows, size=(_AT_ONCE, rows)) for _ in range(_RESAMPLES // _AT_ONCE))
    return np.concatenate([table[some].sum(axis=1) for some in drawn])  # all at once takes gigabytes for many rows


def quantile(name: str, values: Sequence[float], q: float) -> Measure:
    """The q-quantile of the values, without an interval."""
    import numpy as np

    return Measure(name=name, value=float(np.quantile(values, q)) if values else 0.0, n=len(values))


def ranking(
    relevant: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Mapping[str, float]], measures: Iterable[str]
) -> dict[str, list[float]]:
    """measure -> one value a query, by trec_eval. `relevant`: query -> document -> grade; `ranked`: -> score.

    Measures by trec_eval's names: "ndcg_cut_10", "recall_5", "recip_rank". A query without any
    ranked document counts as 0, which trec_eval alone would leave out.
    """
    import pytrec_eval

    names = list(measures)
    families = {re.sub(r"_(\d+)$", r".\1", name) for name in names}
    scored = pytrec_eval.RelevanceEvaluator({query: dict(grades) for query, grades in relevant.items()}, families)
    results = scored.evaluate({query: dict(ranked.get(query, {})) for query in relevant})
    return {name: [results.get(query, {}).get(name, 0.0) for query in relevant] for name in names}


def rouge_l(texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """Of each text its ROUGE-L F1 against its reference (Lin 2004), stemmed, by Google's `rouge-score`.

    >>> rouge_l(["the tent is red"], ["the tent was red"])
    [0.75]
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return [
        float(scorer.score(reference, text)["rougeL"].fmeasure)
        for text, reference in zip(texts, references, strict=True)
    ]


# What a text says

_LINK = r"(?:https?://|www\.)[^\s<>\"'，。；）)\]】》]+"
_MAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_DOMAIN = r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|eu|de|cn|io|example|shop)\b(?:/[\w/.-]*)?"
_NUMBER = r"\d+(?:[.,:]\d+)*"
_CLAIM = re.compile(f"{_MAIL}|{_LINK}|{_DOMAIN}|{_NUMBER}", re.IGNORECASE)
_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_NUMBER_WORD = {word: str(number) for number, word in enumerate(_WORDS, start=2)} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000",
}  # fmt: skip
_HAN = {"两": "2", "二": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "八": "8", "九": "9", "十": "10"}
_HAN_COUNT = re.compile(
    r"([两二三四五六七八九])?(十)?([二三四五六七八九])?(?=个?(?:天|日|年|月|周|小时|分钟|元|欧元|件|次|折))"
)


def normal(text: str) -> str:
    """The text for comparing: NFKC, case folded, white space single, quotes and dashes straight.

    >>> normal("  Ｆree\\n “Returns” – 30 days ")
    'free "returns" - 30 days'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.translate(str.maketrans("‘’“”–—−", "''\"\"---"))
    return " ".join(text.split())


def contains(text: str, phrase: str) -> bool:
    """Whether the text contains the phrase; a number at its edge must be whole.

    >>> contains("Within 30 days you are refunded.", "30 days"), contains("It is refunded.", "refund")
    (True, True)
    >>> contains("Within 130 days.", "30 days"), contains("4.90 EUR", "4.9")
    (False, False)
    """
    phrase = normal(phrase)
    start = r"(?<!\d)(?<!\d[.,])" if phrase[:1].isdigit() else ""
    end = r"(?!\d|[.,]\d)" if phrase[-1:].isdigit() else ""
    return re.search(start + re.escape(phrase).replace(r"\ ", r"\s*") + end, normal(text)) is not None


@functools.lru_cache(maxsize=4096)
def claims(text: str) -> frozenset[str]:
    """The numbers, prices, dates, links and e-mail addresses of a text, in one spelling each.

    Number words count as numbers, from two up, since "one" is seldom a quantity.

    >>> sorted(claims("Thirty days; €1,200.50 or 4.90; see www.shop.example, mail a@b.example"))
    ['1200.5', '30', '4.9', 'a@b.example', 'www.shop.example']
    >>> sorted(claims("十四天内，两件九折"))
    ['14', '2', '9']
    """
    text = unicodedata.normalize("NFKC", text).lower()
    found = {_spell(match.group()) for match in _CLAIM.finditer(text)}
    found |= {_NUMBER_WORD[word] for word in re.findall(r"[a-z]+", text) if word in _NUMBER_WORD}
    for tens, ten, ones in _HAN_COUNT.findall(text):
        if ten:
            found.add(str(10 * int(_HAN.get(tens, "1")) + int(_HAN.get(ones, "0"))))
        elif tens or ones:
            found.add(_HAN[ones or tens])
    return frozenset(found)


def _spell(claim: str) -> str:
    claim = claim.rstrip(".,:;/!?")
    if not re.fullmatch(_NUMBER, claim):
        return claim
    claim = re.sub(r",(?=\d{3}(?!\d))", "", claim)
    if re.fullmatch(r"\d+[.,]\d+", claim):
        claim = claim.replace(",", ".").rstrip("0").rstrip(".")
    return claim.lstrip("0") if re.fullmatch(r"0+[1-9]\d*", claim) else claim
