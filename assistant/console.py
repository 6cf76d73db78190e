"""What the command line shows: tables, bars, JSON, remarks. Results on stdout, the rest on stderr.

Not a judge of what is shown. rich is imported when something is drawn, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.types import Adapter, Answer, IngestReport, Measure, Report
from privacy.logs import RedactingFormatter

Progress = Callable[[str, float, float], None]
"""Called with what is going on, how much is done, and of how much."""


def tell(text: str) -> None:
    """A remark or an error, on stderr."""
    print(text, file=sys.stderr)


def log(*, verbose: bool) -> None:
    """Sends the log to stderr, without personal data: warnings in a line each, or everything with tracebacks."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(levelname)s %(name)s: %(message)s") if verbose else _Short("%(message)s")
    handler.setFormatter(RedactingFormatter(plain))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])


class _Short(logging.Formatter):
    """A line a record: a traceback says nothing to most people."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return f"{ei[0].__name__}: {ei[1]} (--verbose shows where)"

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return ""


def require_writable(path: Path) -> None:
    """Tries a file that is written when long work is done; a missing folder is made.

    Raises:
        BadInput: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        path.open("a").close()
        if new:
            path.unlink()
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.", hint="Give another file.") from error


def print_json(data: Any) -> None:
    """One JSON value on stdout, nothing else."""
    print(json.dumps(data, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; a pipe gets 200 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # a file's name is no markup
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_sources(answer: Answer) -> None:
    """What stands below an answer: its outcome, its quotes, what went wrong."""
    lines = ["", "", f"[{answer.outcome}]"]
    for number, citation in enumerate(answer.citations, start=1):
        where = f"{citation.document}, page {citation.page}" if citation.page else citation.document
        lines.append(f"  {number}. {where}: “{' '.join(citation.quote.split())}”")
    if answer.receipt.failed_component:
        lines.append(f"  failed: {answer.receipt.failed_component}")
    lines += [f"  note: {note}" for note in answer.receipt.notes]
    print("\n".join(lines))


def print_ingest(report: IngestReport) -> None:
    """The verdict on each file, then the sums; warnings on stderr."""
    rows = [(file.name, file.verdict.value, str(file.passages or ""), file.reason) for file in report.files]
    print_table(("file", "verdict", "passages", "why"), rows)
    print(f"{report.collection}: {report.documents} documents, {report.passages} passages, {report.seconds:.1f} s")
    for warning in report.warnings:
        tell(f"Warning: {warning}")


def print_report(report: Report, *, targets: Mapping[str, str] | None = None) -> None:
    """A report as a table; `targets` (measure -> text) stand beside the values."""
    rows = []
    for measure in report.measures:
        bounds = "" if measure.low is None or measure.high is None else f"{measure.low:.3f} to {measure.high:.3f}"
        row = [measure.name, f"{measure.value:.4g}", bounds, str(measure.n or "")]
        rows.append([*row, targets.get(measure.name, "")] if targets else row)
    columns = ["measure", "value", "95 %", "n"]
    print_table([*columns, "target"] if targets else columns, rows)


def print_before_after(adapter: Adapter) -> None:
    """An adapter's suite without and with it; nothing where none has judged it."""
    if adapter.after is None:
        return
    before = {measure.name: measure for measure in (adapter.before.measures if adapter.before else ())}
    after = {measure.name: measure for measure in adapter.after.measures}
    rows = [
        (name, measure_text(before.get(name)), measure_text(measure), measure_text(after.get(f"{name}_gain")))
        for name, measure in after.items()
        if not name.endswith("_gain")
    ]
    print_table((adapter.after.suite, "before", "after", "change"), rows)


def measure_text(measure: Measure | None) -> str:
    """A value and its 95 % interval; "" where there is none."""
    if measure is None:
        return ""
    bounds = "" if measure.low is None or measure.high is None else f"  ({measure.low:.3f} to {measure.high:.3f})"
    return f"{measure.value:.4g}{bounds}"


def privacy_of(adapter: Adapter) -> str:
    """What an adapter's training spent, in words."""
    if not adapter.privacy:
        return "not known"
    if any(spend.mechanism == "nonprivate" for spend in adapter.privacy):
        return "none: an ordinary run, epsilon is infinite"
    return ", ".join(f"{one.mechanism}, sigma {one.noise_multiplier:g}, {one.steps} steps" for one in adapter.privacy)


@contextlib.contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A bar on stderr while it lasts; nothing is shown where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(doing: str, done: float, total: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {escape(doing)}")

        yield show
