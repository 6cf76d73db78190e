"""The Federation tab shows a run as it was, to the staff only, and nothing from outside is markup."""

from __future__ import annotations

import html
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("flwr")
pytest.importorskip("gradio")
from federated import panel
from federated.coordinator import Address, Home
from federated.learning import Recipe
from federated.rounds import RunConfig
from federated.types import Refusal, RoundResult


def front(data_dir: Path, language: str = "en") -> Any:
    return SimpleNamespace(settings=SimpleNamespace(data_dir=data_dir), language=language, say=lambda key: key)


def made(folder: Path) -> Home:
    home = Home(folder / "federated" / "spring" / "hub")
    home.init(RunConfig("spring", 2), Recipe(), Address(), data_dir=folder)
    home.invite("north")
    result = RoundResult(
        1, "ab", True, ("north",), (Refusal("south", "<script>alert(1)</script>"),), "", 2_000_000, 1_000_000,
        {"north/score": -1.25, "pooled_score": -1.125, "pooled_n": 37.0, "score": -2.75}, 12.0,
    )  # fmt: skip
    (home.folder / "run").mkdir()
    (home.folder / "run" / "rounds.jsonl").write_text(json.dumps(result.to_dict()) + "\n")
    outcome = {"adapter": "shared-spring@1", "objections": [], "rounds": 1, "baseline": {"north/score": -1.5}}
    (home.folder / "run" / "outcome.json").write_text(json.dumps(outcome))
    return home


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_run_is_shown_with_what_was_refused_and_why(tmp_path: Path, language: str) -> None:
    made(tmp_path)
    _, body = panel._view(front(tmp_path, language), None, inside=True)
    together = {"en": "all of their 37 records together", "zh": "全部 37 条记录合计"}[language]
    for said in ("shared-spring@1", "-1.500", "-1.250", "2.00 / 1.00", "north", "-2.750", "-1.125", together):
        assert said in html.unescape(body)
    assert "<script>" not in body


def test_what_became_of_a_run_is_said_as_it_was_in_both_languages() -> None:
    from federated import showing
    from federated.rounds import UNMEASURED

    def shown(language: str, missing: dict[str, str] | None = None, **outcome: Any) -> str:
        whole = {"adapter": None, "objections": [], "rounds": 2, **outcome}
        return html.unescape(showing._ending(whole, showing.sayer(language), missing))

    assert "bad" not in shown("en", sums="/d/goods.safetensors")
    assert "/d/goods.safetensors" in shown("zh", sums="/d/goods.safetensors")
    assert "worse" not in shown("en", objections=[UNMEASURED])
    assert "measured" not in shown("zh", objections=[UNMEASURED])
    assert "north/score：之前 -1.5，之后 -2" in shown("zh", objections=["north/score: -1.5 before, -2 after"])
    assert "after round 2" in shown("en", adapter="shared-run@1", ended="The run's privacy is spent.")
    assert "south has not got it: away" in shown("en", {"south": "away"}, adapter="shared-run@1")


def test_a_partners_spend_is_its_books_whatever_was_sent_twice_and_for_whichever_unit(tmp_path: Path) -> None:
    from federated import showing
    from privacy.types import PrivacySpend

    say = showing.sayer("en")
    customer = PrivacySpend("gaussian", 2.0, 1.0, 1, 1.0, "customer", "own")
    partner = PrivacySpend("gaussian", 2.0, 1.0, 1, 1.0, "partner", "own")

    def shown(book: tuple[PrivacySpend, ...], *sent: PrivacySpend) -> str:
        own: Any = SimpleNamespace(spends=lambda: book)
        return showing._own_spend(own, [{"spend": spend.to_dict()} for spend in sent], say)

    assert shown((customer,), customer, customer) == shown((customer,), customer)
    assert shown((), customer) == shown((customer,))
    both = shown((customer, partner))
    assert both == shown((partner, customer))
    assert "per customer" in both
    assert "No bound" in shown((), PrivacySpend.nonprivate("own"))


def test_a_data_folder_below_one_called_app_shows_its_runs(tmp_path: Path) -> None:
    made(tmp_path / "app" / "data")
    assert list(panel.folders(tmp_path / "app" / "data")) == ["spring/hub"]


def test_strangers_see_nothing_and_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert "none" not in panel._view(front(tmp_path), None, inside=True)[1].lower().split("no run")[0]
    made(tmp_path)
    assert "shared-spring" not in panel._view(front(tmp_path), None, inside=False)[1]


def test_the_audit_pack_has_no_keys_and_no_weights(tmp_path: Path) -> None:
    import zipfile

    home = made(tmp_path)
    home.pack(tmp_path / "pack.zip")
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        assert set(archive.namelist()) == {"partners.json", "run.json", "run/rounds.jsonl", "run/outcome.json"}
        text = b"".join(archive.read(name) for name in archive.namelist())
    assert b"PRIVATE" not in text
    assert b"token" not in text
