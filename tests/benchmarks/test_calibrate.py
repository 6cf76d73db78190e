"""Calibrating on toy cases: what is held out, where supports are shifted to, what is kept on disk."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from assistant.citations import Span
from assistant.errors import BadInput
from assistant.retrieval import reader
from assistant.retrieval.reader import Question, Unit
from assistant.types import Message, Passage
from benchmarks import calibrate, kept_verdicts
from benchmarks.calibrate import Case, HeldOut
from benchmarks.kept_verdicts import Judged, Kept, Verdicts

SUPPORT, JUDGED, READ = len(reader.SUPPORT_FEATURES), len(reader.JUDGE_FEATURES), len(reader.READ_FEATURES)


def passage(text, document="a.md"):
    return Passage(document, document, document, "local", "kiosk", text, 0, len(text), "")


class ToyReader:
    """Its first feature of support is the best unit's cosine."""

    def support_features(self, asked, units, rows, scores):
        return np.resize(rows[int(np.argmax(scores))], SUPPORT).astype(np.float32)


def toy(seed, count=60, *, english=True, model=True):
    """Cases whose features tell, with noise, what is answerable: the judge's more than the reader's, the model's most."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        answerable = bool(number % 3)
        there = passage("One. Two.")
        units = [Unit(Span(there, 0, 4), "", 0), Unit(Span(there, 5, 9), "", 0)]
        features = rng.normal(size=(2, len(reader.UNIT_FEATURES))).astype(np.float32)
        features[0] += 1.5 * answerable
        verdicts = rng.normal(size=2).astype(np.float32) + 2 * answerable if english else None
        unanswered = float(rng.normal() + 3 * (not answerable)) if english and model else None
        asked = Question("?", (), (), np.zeros(1, np.float32))
        labels = np.array([answerable, False])
        language = "en" if english else "zh"
        reads = ToyReader()
        cases.append(
            Case(answerable, language, asked, units, features, labels, True, reads, True, verdicts, unanswered)
        )
    return cases


def companies():
    return [toy(1), toy(2), toy(3), toy(4, english=False)]


def test_a_company_is_judged_by_what_the_others_taught(monkeypatch):
    cases = companies()
    fitted, real = [], calibrate.fit
    monkeypatch.setattr(calibrate, "fit", lambda seen: fitted.append({id(case) for case in seen}) or real(seen))
    held = calibrate.held_out(cases)
    everything = {id(case) for each in cases for case in each}
    assert fitted == [everything - {id(case) for case in each} for each in cases]
    assert len(held.support) == len(everything)


def test_each_model_has_the_features_that_its_cases_have():
    row = calibrate.fit([case for each in companies() for case in each])
    assert len(row["support"]["weights"]) == SUPPORT
    assert len(row["judged"]["weights"]) == SUPPORT + JUDGED
    assert len(row["read"]["weights"]) == SUPPORT + JUDGED + READ
    assert row["read"]["weights"][-1] < 0
    without = calibrate.fit(toy(1, model=False))
    assert "read" not in without
    assert "judged" not in calibrate.fit(toy(1, english=False))


def test_what_was_not_asked_is_not_read():
    cases = companies()
    held = calibrate.held_out(cases)
    assert np.isnan(held.judged[held.language == "zh"]).all()
    assert not np.isnan(held.read[held.language == "en"]).any()


def test_a_question_without_units_is_refused_and_one_that_is_no_question_not_judged():
    cases, model = toy(5), calibrate.fit(toy(6))
    cases[0].units, cases[1].asks = [], False
    held = calibrate.judge(cases, model)
    assert len(held.support) == len(cases) - 1
    assert held.support[0] == 0
    assert np.isnan(held.judged[0])


def random_held(seed=0, count=4000):
    rng = np.random.default_rng(seed)
    answerable = rng.random(count) < 0.6
    support, judged, read = (
        1 / (1 + np.exp(-(rng.normal(size=count) + power * (2 * answerable - 1)))) for power in (0.7, 1.2, 1.8)
    )
    english = rng.random(count) < 0.5
    judged[~english] = read[~english] = np.nan
    return HeldOut(answerable, np.where(english, "en", "zh"), support, judged, read)


def test_all_models_refuse_as_many_of_the_answerable_at_one_threshold():
    held = random_held()
    threshold = float(np.quantile(held.support[held.answerable], calibrate.FALSE_REFUSALS))
    support, _, _ = calibrate.combined(held, threshold)
    for chosen in (~np.isnan(held.judged), np.isnan(held.judged)):
        refused = np.mean(support[held.answerable & chosen] < threshold)
        assert refused == pytest.approx(calibrate.FALSE_REFUSALS, abs=0.01)


def test_the_chat_model_is_asked_only_where_the_judge_is_in_doubt():
    held = random_held()
    support, judged_shift, read_shift = calibrate.combined(held, 0.3)
    heard = ~np.isnan(held.judged)
    after = calibrate._shifted(held.judged, judged_shift)
    doubted = heard & (after > reader.READ_FROM) & (after < reader.READ_TO)
    assert doubted.any()
    assert (heard & ~doubted).any()
    assert (support[~heard] == held.support[~heard]).all()
    assert support[heard & ~doubted] == pytest.approx(after[heard & ~doubted])
    assert support[doubted] == pytest.approx(calibrate._shifted(held.read, read_shift)[doubted])


def test_the_row_is_shifted_as_the_figures_are():
    cases = companies()
    bare = calibrate.fit([case for each in cases for case in each])
    row, held, _ = calibrate.calibrated(cases)
    support, judged_shift, read_shift = calibrate.combined(held, row["threshold"])
    assert row["judged"]["bias"] == pytest.approx(bare["judged"]["bias"] + judged_shift, abs=1e-3)
    assert row["read"]["bias"] == pytest.approx(bare["read"]["bias"] + read_shift, abs=1e-3)
    assert row["support"] == bare["support"]
    assert 0 < row["threshold"] < row["sure"] < 1
    assert np.mean(support[held.answerable] < row["sure"]) == pytest.approx(calibrate.UNSURE, abs=0.02)


def test_the_report_is_by_language_where_wanted():
    row, held, support = calibrate.calibrated(cases := companies())
    everyone = [case for each in cases for case in each]
    names = {measure.name for measure in calibrate.summary("bilingual", everyone, held, support, row)}
    for language in ("en", "zh"):
        assert {f"{what}_bilingual_{language}" for what in ("auroc", "refusal_recall", "refused_or_warned")} <= names
    assert {"recall@5_bilingual", "auroc_bilingual", "threshold_bilingual"} <= names
    other = {measure.name for measure in calibrate.summary("hashing", everyone, held, support, row)}
    assert not any(name.endswith(("_en", "_zh")) for name in other)


def test_gold_of_a_record_is_the_named_field_of_the_named_record():
    row = {"gold": [{"document": "p.csv", "record": "Lune Dark", "field": "price"}]}
    text = "name: Lune Dark\nprice: €7\nweight: 1 kg"
    right, other = passage(text, "p.csv"), passage(text.replace("Dark", "Darker"), "p.csv")

    def unit(of, label):
        start = of.text.index(label)
        end = of.text.find("\n", start)
        return Unit(Span(of, start, len(of.text) if end < 0 else end), "", 0, record=True)

    assert calibrate.is_gold(unit(right, "price"), row)
    assert not calibrate.is_gold(unit(right, "weight"), row)
    assert not calibrate.is_gold(unit(other, "price"), row)
    assert calibrate.holds(right, row["gold"][0])
    assert not calibrate.holds(passage(text, "q.csv"), row["gold"][0])


def test_gold_of_prose_is_the_sentence():
    there = passage("Papers stay. Magazines  go back.")
    row = {"gold": [{"document": "a.md", "quote": "Magazines go back."}]}
    assert calibrate.is_gold(Unit(Span(there, 13, len(there.text)), "", 0), row)
    assert not calibrate.is_gold(Unit(Span(there, 0, 12), "", 0), row)


class ToyEngine:
    name, location = "toy", "local"
    model = SimpleNamespace(context_tokens=2048, sha256="m", languages=("en",))

    def __init__(self):
        self.asked = 0

    def count_tokens(self, text):
        return len(text)

    def begins(self, messages, word, options):
        self.asked += 1
        return -float(len(messages[-1].text)) / 1000


def test_a_verdict_is_asked_for_once_for_an_adapter_and_a_prompt(tmp_path):
    engine, file = ToyEngine(), tmp_path / "new" / "begins.jsonl"
    turns = [Message("user", "Why?")]
    hits = [SimpleNamespace(passage=passage("Because."))]
    first = Verdicts(engine, "built-in@1", "one", file).unanswered(turns, hits, "Lune")
    assert Verdicts(engine, "built-in@1", "one", file).unanswered(turns, hits, "Lune") == first
    assert engine.asked == 1
    Verdicts(engine, "built-in@1", "two", file).unanswered(turns, hits, "Lune")
    Verdicts(engine, "built-in@1", "two", file).unanswered(turns, hits, "Sol")
    assert engine.asked == 3
    chinese = [SimpleNamespace(passage=dataclasses.replace(passage("因为。"), language="zh"))]
    assert Verdicts(engine, "built-in@1", "two", file).unanswered(turns, [*hits, *chinese], "Sol") is None
    assert engine.asked == 3


def test_the_judge_reads_a_pair_once(tmp_path, monkeypatch):
    read = []

    def scores(question, pairs):
        read.extend(pairs)
        return np.arange(len(pairs), dtype=np.float32)

    monkeypatch.setattr(kept_verdicts, "load_judge", lambda: SimpleNamespace(scores=scores))
    judged = Judged(tmp_path / "judge.jsonl")
    assert judged.scores("q", [("k", "a"), ("k", "b")]).tolist() == [0, 1]
    assert Judged(tmp_path / "judge.jsonl").scores("q", [("k", "b"), ("k", "c"), ("k", "a")]).tolist() == [1, 0, 0]
    assert read == [("k", "a"), ("k", "b"), ("k", "c")]


def test_what_is_kept_is_told_apart(tmp_path):
    kept = Kept(tmp_path / "a.jsonl")
    kept.add(1.0, "ab", "c")
    assert kept.get("ab", "c") == 1.0
    assert kept.get("a", "bc") is None


def test_only_named_embedders_are_fitted(monkeypatch):
    monkeypatch.setenv(calibrate.ONLY, "minilm, bilingual")
    assert calibrate.wanted() == ("minilm", "bilingual")
    monkeypatch.setenv(calibrate.ONLY, "")
    assert calibrate.wanted() == calibrate.EMBEDDERS
    monkeypatch.setenv(calibrate.ONLY, "nomic")
    with pytest.raises(BadInput):
        calibrate.wanted()


def test_other_embedders_rows_stay(tmp_path, monkeypatch):
    target = tmp_path / "calibration.json"
    monkeypatch.setattr(calibrate, "TARGET", target)
    calibrate._write(calibrate.blank())
    monkeypatch.setenv(calibrate.ONLY, "hashing")
    everyone = iter([*companies(), *companies()])
    monkeypatch.setattr(calibrate, "collect", lambda embedder, company, model: next(everyone))
    report = calibrate.run()
    assert "auroc_hashing" in {measure.name for measure in report.measures}
    table = calibrate.json.loads(target.read_text(encoding="utf-8"))
    assert list(table["embedders"]) == ["use-multilingual", "hashing"]
    assert table["embedders"]["use-multilingual"] == calibrate.blank()["embedders"]["use-multilingual"]
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]
