"""Names and places for the redactor: what a tagger finds that is trained on a few thousand tagged sentences.

The tagger is the one of `train tag --out names` (LoRA on the bundled encoder). It learns persons and locations from WNUT
2017's training part, tweets in careless English, and is judged once on the test part,
whose names it has hardly met. A name counts as found when all of its words are.

Source: Derczynski et al. 2017, Results of the WNUT2017 Shared Task (ACL W17-4418).
"""

from __future__ import annotations

from dataclasses import replace

from assistant import named
from assistant.tuning.data import read_records
from assistant.tuning.records import Records, TagRow, records_of
from assistant.types import Report
from benchmarks.classifying import Recipe, tuned
from benchmarks.common import eval_data, provenance

RECIPE = Recipe(epochs=5, learning_rate=1e-3, batch_size=32)
KEPT = ("person", "location")


def run() -> Report:
    """`recall` of names and addresses, each apart too, and `precision`, with Wilson's intervals."""
    folder = eval_data("wnut17")
    files = (folder / "wnut17train.conll", folder / "emerging.test.annotated")
    train, test = (_only(read_records(file, "tag")) for file in files)
    said = tuned(train, RECIPE).tag(records_of("tag", test.rows, labels=train.labels))
    right = [row.tags for row in test.rows if isinstance(row, TagRow)]
    return Report("names", named.found(zip(right, said, strict=True)), provenance(seed=0, files=files))


def _only(records: Records) -> Records:
    """The records with the tags of persons and locations alone."""
    rows = [row for row in records.rows if isinstance(row, TagRow)]
    return records_of(
        "tag", [replace(row, tags=tuple(tag if tag[2:] in KEPT else "O" for tag in row.tags)) for row in rows]
    )
