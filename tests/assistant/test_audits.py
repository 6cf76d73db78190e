"""The walk audit on a network of a few thousand weights: charged, reported twice, nothing kept; an adapter's verdict."""

import contextlib
import dataclasses
import json
import math

import pytest

pytest.importorskip("torch")
from tiny import bert, save, tokenizer

from assistant import audits, finetune
from assistant.adapters import Shelf
from assistant.charging import Privately
from assistant.errors import AdapterRefused, BadInput
from assistant.runs import Plan, Run, assembled
from assistant.settings import Settings
from assistant.tuning.private import Goal
from assistant.types import Adapter, Example
from privacy.audit import Attack, AuditReport
from privacy.erasure import Marks, Tombstones
from privacy.errors import AuditFailed, BadRequest
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget, PrivacySpend


@pytest.fixture
def plan(tmp_path):
    rows = [{"text": f"it is {mood} {n}", "label": mood} for n in range(15) for mood in ("angry", "happy")]
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    base = save(bert(), tmp_path / "encoder", tokenizer(bert=True))
    return Plan("classify", tmp_path / "moods.jsonl", "audit", base=str(base), rank=2, epochs=3, batch_size=16)


def test_an_audit_is_charged_and_reported_and_keeps_no_adapter(plan, tmp_path):
    settings, book = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data")
    goal = Goal(PrivacyBudget(3.0, 1e-5, "example"))
    report = audits.audit(plan, settings, goal, book, canaries=30)
    assert report.private.epsilon <= report.claimed_epsilon <= 3.0
    (charge,) = book.book().charges.values()
    assert (charge.purpose, charge.settled) == ("audit", charge.spend.steps)
    page, data = audits.save(report, tmp_path / "out", subject="A training on moods")
    assert "A training on moods" in page.read_text()
    assert "Privacy audit" in page.read_text()
    assert json.loads(data.read_text())["canaries"] == 30
    assert Shelf(settings.data_dir).all() == []


class Hosts:
    """As much of an assistant as the gate looks at."""

    def __init__(self, shelf):
        self.hosting, self.shelf = self, shelf

    def vet(self, adapter):
        pass


def test_an_adapter_whose_claim_was_disproved_is_never_put_to_use(plan, tmp_path, monkeypatch):
    settings, book = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data")
    goal = Goal(PrivacyBudget(3.0, 1e-5, "example"))
    made, _ = Run(dataclasses.replace(plan, name="moods"), settings, private=Privately(goal, book)).train()
    honest = audits.audit_adapter(made, plan.data, settings, book, learning_rate=3e-3, canaries=30, base=plan.base)
    assert honest.mechanism.startswith("dpsgd")
    assert not any("prove" in line for line in honest.objections)
    caught = Attack(7.0, 30, 30, 1.0, 1.0, 1.0, (5.0,))

    def found(*arguments, **options):
        options["plan"]([])
        return AuditReport(2.9, 1e-5, "example", "dpsgd", 30, caught, caught)

    monkeypatch.setattr("assistant.tuning.audited.audit", found)
    report = audits.audit_adapter(made, plan.data, settings, book, learning_rate=3e-3, canaries=30, base=plan.base)
    with pytest.raises(AuditFailed):
        report.require()
    shelf = Shelf(settings.data_dir)
    card = shelf.find("moods")
    assert [one.value("audited_epsilon") for one in card.audits][1:] == [7.0]
    assert any("at least 7.00" in line for line in finetune.objections_to(card))
    with pytest.raises(AdapterRefused, match="claimed"):
        finetune.promote(Hosts(shelf), card, force=True)
    assert len([one for one in book.book().charges.values() if one.purpose == "audit"]) == 2


@pytest.mark.parametrize(("unit", "most"), [("example", 21), ("customer", 4)])
def test_an_adapter_s_audit_counts_the_customers_of_the_records_that_it_takes(plan, tmp_path, monkeypatch, unit, most):
    charged = []

    def stops(*_, plan, canaries, **options):
        rows = [Example((1,), (1,), owner="anna")] * 20 + [Example((1,), (1,), owner="ben"), *canaries]
        charged.append(plan([*rows, rows[0]]))
        with pytest.raises(BadInput, match="which customer") if unit == "customer" else contextlib.nullcontext():
            charged.append(plan([Example((1,), (1,))]))
        raise InterruptedError

    monkeypatch.setattr("assistant.tuning.audited.audit", stops)
    monkeypatch.setattr("assistant.tuning.private.hook", lambda *_, **options: None)
    was = PrivacySpend("dpsgd", 9.0, 0.1, 20, 1.0, unit, "old", 1 if unit == "example" else 4)
    card = Adapter("moods", 1, "", "classify", plan.base, "", "", 2, 1.0, (), privacy=(was,), labels=("angry", "happy"))
    with pytest.raises(InterruptedError):
        audits.audit_adapter(
            card, plan.data, Settings(data_dir=tmp_path), Ledger(tmp_path), learning_rate=1e-3, base=plan.base
        )
    assert charged[0] == dataclasses.replace(was, dataset="moods", per_customer=most)
    assert [one.per_customer for one in charged[1:]] == ([None] if unit == "example" else [])


def test_too_few_canaries_are_refused_before_anything_is_charged(plan, tmp_path):
    book, goal = Ledger(tmp_path / "data"), Goal(PrivacyBudget(3.0, 1e-5, "example"))
    with pytest.raises(BadRequest, match="nothing was charged"):
        audits.audit(plan, Settings(data_dir=tmp_path / "data"), goal, book, canaries=10)
    assert book.reports() == {}


def test_an_adapter_that_claims_nothing_is_not_audited(plan, tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    made, _ = Run(dataclasses.replace(plan, name="plain", held_out=0.0), settings).train()
    with pytest.raises(BadInput, match="claims no epsilon"):
        audits.audit_adapter(made, plan.data, settings, Ledger(tmp_path / "data"), learning_rate=1e-3)
    assert math.isinf(made.privacy[0].clip_norm)


def test_an_audit_learns_nothing_from_who_was_erased(plan, tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    rows = [{"text": f"it is {n}", "label": "ab"[n % 2], "customer": "anna" if n < 4 else f"c{n}"} for n in range(10)]
    plan.data.write_text("\n".join(map(json.dumps, rows)))
    marks = Marks(settings.data_dir)
    Tombstones(settings.data_dir).add(marks.of("anna"), "2026-01-01")
    assert {one.owner for one in assembled(plan, settings).examples} == {f"c{n}" for n in range(4, 10)}
    book = audits._knowing(plan, settings, Ledger(tmp_path / "data"))
    assert len(book._known["moods"].records) == 6
    for row in rows:
        Tombstones(settings.data_dir).add(marks.of(row["customer"]), "2026-01-01")
    with pytest.raises(BadInput, match="erased"):
        assembled(plan, settings)
