"""German credit: risk from an application written as text, and how the classifier treats women and the young.

An example of a fairness report, not a model to decide about people: 1,000 old loans, and any gap found may be
the data's own. One fifth is held out.

Source: Hofmann, Statlog (German Credit Data), UCI; sex from attribute 9, age from 13.
"""

from __future__ import annotations

import numpy as np

from assistant import metrics
from assistant.tuning import evaluation
from assistant.tuning.fairness import by_group
from assistant.tuning.records import ClassifyRow, records_of
from assistant.types import Measure, Report
from benchmarks.classifying import Recipe, numbers, tuned
from benchmarks.common import eval_data, provenance

RECIPE = Recipe(epochs=6, learning_rate=1e-3, batch_size=32, balanced=True)
_NUMBERS = {1: "months", 4: "marks of credit", 7: "percent of income in instalments"}
_WORDS = {
    "A11": "overdrawn account", "A12": "little on the account", "A13": "much on the account", "A14": "no account",
    "A30": "no credits before", "A31": "all credits here repaid", "A32": "credits repaid till now",
    "A33": "late repayments before", "A34": "critical account",
    "A40": "new car", "A41": "used car", "A42": "furniture", "A43": "television", "A44": "appliances", "A45": "repairs",
    "A46": "education", "A48": "retraining", "A49": "business", "A410": "other purpose",
    "A61": "few savings", "A62": "some savings", "A63": "good savings", "A64": "large savings", "A65": "savings unknown",
    "A71": "unemployed", "A72": "employed under a year", "A73": "employed under four years",
    "A74": "employed under seven years", "A75": "employed long",
    "A101": "alone", "A102": "with a co-applicant", "A103": "with a guarantor",
    "A121": "owns land", "A122": "owns a life insurance", "A123": "owns a car", "A124": "owns nothing known",
    "A141": "other bank's instalments", "A142": "store instalments", "A143": "no other instalments",
    "A151": "rents", "A152": "owns the home", "A153": "lives free",
    "A171": "unskilled non-resident", "A172": "unskilled", "A173": "skilled", "A174": "highly qualified",
}  # fmt: skip
_WOMEN = {"A92", "A95"}


def run() -> Report:
    """Accuracy on the held-out fifth; by group the share found good, and the gaps."""
    path = eval_data("german_credit") / "german.data"
    fields = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    rows = [ClassifyRow(describe(each), "good" if each[20] == "1" else "bad") for each in fields]
    order = np.random.default_rng(0).permutation(len(rows))
    held, rest = order[: len(rows) // 5].tolist(), order[len(rows) // 5 :].tolist()
    records = records_of("classify", rows)
    test = records.subset(held)
    odds = tuned(records.subset(rest), RECIPE).classify(test)
    gold = numbers(test)
    found = [records.labels[place] for place in odds.argmax(1)]
    right = [records.labels[place] for place in gold]
    columns = {
        "sex": ["women" if fields[place][8] in _WOMEN else "men" for place in held],
        "age": ["under 26" if int(fields[place][12]) < 26 else "26 and older" for place in held],
    }
    measures: list[Measure] = evaluation.classification(gold, odds)
    measures.append(metrics.share("good_share", [each == "good" for each in right]))
    for column, groups in columns.items():
        report = by_group(right, found, groups, positive="good")
        for name, each in report.groups.items():
            measures += [_named(f"{measure.name}[{name}]", measure) for measure in each]
        measures += [_named(f"{measure.name}[{column}]", measure) for measure in report.gaps]
    return Report("german-credit", tuple(measures), provenance(seed=0, files=(path,)))


def describe(fields: list[str]) -> str:
    """The application in words, without sex, age and nationality."""
    words = [_WORDS[code] for place, code in enumerate(fields[:20]) if code in _WORDS and place != 8]
    numbers = [f"{fields[place]} {unit}" for place, unit in _NUMBERS.items()]
    return ", ".join([*numbers, *words])


def _named(name: str, measure: Measure) -> Measure:
    return Measure(name, measure.value, measure.low, measure.high, measure.n)
