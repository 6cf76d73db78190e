"""Classifiers at work: what a text is, by one adapter or several together, and what they are worth on records.

A report is accuracy with its interval and calibration; on request by group of any column of the file, and with
the texts disturbed. It trains nothing and decides nothing about anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.adapters import Shelf
from assistant.engines import models
from assistant.errors import AdapterRefused, BadInput
from assistant.provenance import provenance
from assistant.router import load
from assistant.settings import Settings
from assistant.types import Adapter, Measure, Report
from assistant.vetting import verify

if TYPE_CHECKING:
    from assistant.tuning.attribution import WordScore
    from assistant.tuning.classifier import LoadedClassifier
    from assistant.tuning.ensemble import Ensemble


@dataclass(frozen=True, slots=True)
class Verdict:
    """A text's classes with their probabilities, the likeliest first; `words` says which words spoke for it."""

    text: str
    classes: tuple[tuple[str, float], ...]
    words: tuple[WordScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`report` on all records; the measures of each group; what to bear in mind."""

    report: Report
    groups: dict[str, tuple[Measure, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def classify(names: Sequence[str], texts: Sequence[str], settings: Settings, *, why: bool = False) -> list[Verdict]:
    """The classes of each text, by the mean of the named adapters' probabilities. `why` scores the words.

    Raises:
        UnknownName, AdapterRefused: there is no such adapter, or it is damaged or of another base.
        BadInput: it is no classifier, or the adapters tell different classes apart.
    """
    from assistant.tuning.attribution import attribute

    members = _members(names, settings)
    if why and len(members) > 1:
        raise BadInput("Words are scored for one classifier, not for several together.", hint="Name one.")
    together = _together(members)
    verdicts = []
    for text, odds in zip(texts, together.classify(texts), strict=True):
        order = sorted(zip(together.labels, map(float, odds), strict=True), key=lambda pair: -pair[1])
        verdicts.append(Verdict(text, tuple(order), attribute(members[0], text).words if why else ()))
    return verdicts


def judge(
    names: Sequence[str], data: Path, settings: Settings, *,
    by: str = "", label: str = "", disturbed: bool = False, pictures: Path | None = None,
) -> Judgement:  # fmt: skip
    """What classifiers are worth on records with the right classes.

    `by`: a column of the file; its groups are compared for the class `label`. `disturbed`: the texts with
    typos, other casing and other words around them too. `pictures`: a folder for PNG files.

    Raises:
        UnknownName, AdapterRefused: as `classify`.
        BadInput: the records, the column or the label are wrong; says which.
    """
    from assistant.tuning import evaluation, fairness, robustness
    from assistant.tuning import pictures as drawn
    from assistant.tuning.data import read_records
    from assistant.tuning.records import ClassifyRow

    together = _together(_members(names, settings))
    records = read_records(data, "classify", labels=together.labels)
    rows = [row for row in records.rows if isinstance(row, ClassifyRow)]
    column = _column(data, by, [row.line for row in rows]) if by else []
    if by and label not in together.labels:
        raise BadInput(
            f"Groups are compared for one class, and {label!r} is none.",
            hint=f"--label {', --label '.join(together.labels)}.",
        )
    texts, right = [row.text for row in rows], [row.label for row in rows]
    odds = together.classify(texts)
    gold = [together.labels.index(each) for each in right]
    measures = evaluation.classification(gold, odds)
    said = [together.labels[place] for place in odds.argmax(1)]
    groups, warnings = {}, records.warnings
    if by:
        found = fairness.by_group(right, said, column, positive=label)
        groups, warnings = found.groups, (*warnings, *found.warnings)
        measures += found.gaps
    if disturbed:
        measures += robustness.robustness(
            texts, right, lambda lines: [together.labels[place] for place in together.classify(lines).argmax(1)]
        )[1:]
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        table = evaluation.confusion(gold, odds.argmax(1).tolist(), len(together.labels))
        drawn.confusion_png(table, together.labels, pictures / "confusion.png")
        drawn.reliability_png(evaluation.reliability(gold, odds), pictures / "reliability.png")
    about = provenance(settings, files=(data,), adapters=list(names), column=by, label=label)
    return Judgement(Report("classifier", tuple(measures), about), groups, tuple(warnings))


def _members(names: Sequence[str], settings: Settings) -> list[LoadedClassifier]:
    from assistant.tuning.classifier import LoadedClassifier

    shelf, found = Shelf(settings.data_dir), []
    for name in names:
        adapter = shelf.find(name)
        if adapter.task != "classify":
            raise BadInput(f"{adapter.id} is for {adapter.task}, not for classes.", hint="`adapters list` shows which.")
        verify(Path(adapter.path))
        network = _opened(adapter, settings)
        assert isinstance(network, LoadedClassifier)
        found.append(network)
    return found


def _opened(adapter: Adapter, settings: Settings) -> Any:
    """The classifier of an adapter, on the bundled encoder or on the language model that it was made for."""
    from assistant.tuning import classifier, networks

    if adapter.base == networks.MINILM:
        return load(adapter)
    named = settings.model_copy(update={"model": settings.model.model_copy(update={"name": adapter.base})})
    folder = models.prepare(named)
    if models.resolve(named)[1].sha256 != adapter.base_sha256:
        raise AdapterRefused(f"{adapter.id} was made for other weights of {adapter.base}.")
    return classifier.load(Path(adapter.path), folder, name=adapter.base)


def _together(members: Sequence[LoadedClassifier]) -> Ensemble:
    from assistant.tuning.ensemble import Ensemble

    return Ensemble(members)


def _column(path: Path, name: str, lines: Sequence[int]) -> list[str]:
    """The column's value of the records on these lines."""
    from assistant.tuning.data import lines_of

    text = path.read_bytes().decode("utf-8-sig")
    values = {line: value.get(name) for line, value in lines_of(path, "classify", text, [])}
    missing = [line for line in lines if values.get(line) in (None, "")]
    if missing:
        some = ", ".join(map(str, missing[:5]))
        raise BadInput(f"{len(missing)} of {len(lines)} records have no {name!r} (line {some}).", hint="--by COLUMN")
    return [str(values[line]) for line in lines]
