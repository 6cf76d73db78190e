"""The walk audit on a network of a few thousand weights: charged, reported twice, nothing kept."""

import json

import pytest

pytest.importorskip("torch")
from tiny import bert, save, tokenizer

from assistant import audits
from assistant.adapters import Shelf
from assistant.runs import Plan
from assistant.settings import Settings
from assistant.tuning.private import Goal
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget


def test_an_audit_is_charged_and_reported_and_keeps_no_adapter(tmp_path):
    rows = [{"text": f"it is {mood} {n}", "label": mood} for n in range(15) for mood in ("angry", "happy")]
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    base = save(bert(), tmp_path / "encoder", tokenizer(bert=True))
    plan = Plan("classify", tmp_path / "moods.jsonl", "audit", base=str(base), rank=2, epochs=3, batch_size=16)
    settings, book = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data")
    goal = Goal(PrivacyBudget(3.0, 1e-5, "example"))
    report = audits.audit(plan, settings, goal, book, canaries=30)
    assert report.private.epsilon <= report.claimed_epsilon <= 3.0
    (charge,) = book.book().charges.values()
    assert (charge.purpose, charge.settled) == ("audit", charge.spend.steps)
    page, data = audits.save(report, tmp_path / "out")
    assert "Privacy audit" in page.read_text()
    assert json.loads(data.read_text())["canaries"] == 30
    assert Shelf(settings.data_dir).all() == []
