"""Calibrating on toy cases: what is held out, what the judge adds, where supports are shifted to, what is kept on disk."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from assistant.citations import Span
from assistant.errors import BadInput, ModelNotReady
from assistant.retrieval import e5, judge, reader
from assistant.retrieval.reader import Question, Unit
from assistant.types import Message, Passage
from benchmarks import calibrate, kept_verdicts
from benchmarks.calibrate import Case, HeldOut
from benchmarks.kept_verdicts import Judged, Kept, Verdicts

UNIT, SUPPORT = len(reader.UNIT_FEATURES), len(reader.SUPPORT_FEATURES)
JUDGED, READ = len(reader.JUDGE_FEATURES), len(reader.READ_FEATURES)


def passage(text, document="a.md"):
    return Passage(document, document, document, "local", "kiosk", text, 0, len(text), "")


class ToyReader:
    """Its first feature of support is the best unit's cosine."""

    def support_features(self, asked, units, rows, scores):
        assert rows.shape[1] == UNIT  # the judge's verdicts join after
        return np.resize(rows[int(np.argmax(scores))], SUPPORT).astype(np.float32)


def toy(seed, count=60, *, language="en", model=True):
    """Cases whose features tell, with noise, what answers: the judge's more than the reader's, the model's most."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        answerable = bool(number % 3)
        there = passage("One. Two.")
        units = [Unit(Span(there, 0, 4), "", 0), Unit(Span(there, 5, 9), "", 0)]
        labels = rng.permutation([answerable, False])
        features = (rng.normal(size=(2, UNIT)) + 0.3 * labels[:, None]).astype(np.float32)
        heard = language in judge.LANGUAGES
        verdicts = (rng.normal(size=2) + 3 * labels).astype(np.float32) if heard else None
        unanswered = float(rng.normal() + 3 * (not answerable)) if language == "en" and model else None
        asked = Question("?", (), (), np.zeros(1, np.float32))
        reads = ToyReader()
        cases.append(
            Case(answerable, language, asked, units, features, labels, True, reads, True, verdicts, unanswered)
        )
    return cases


def companies():
    return [toy(1), toy(2), toy(3, language="zh"), toy(4, language="de")]


def unheard(cases):
    """The same, not read by the judge and the chat model."""
    return [dataclasses.replace(case, verdicts=None, unanswered=None) for case in cases]


def test_a_company_is_judged_by_what_the_others_taught(monkeypatch):
    cases = companies()
    fitted, real = [], calibrate.fit
    monkeypatch.setattr(calibrate, "fit", lambda seen: fitted.append({id(case) for case in seen}) or real(seen))
    held = calibrate.held_out(cases)
    everything = {id(case) for each in cases for case in each}
    assert fitted == [everything - {id(case) for case in each} for each in cases]
    assert len(held.support) == len(everything)


def widths(model):
    return {name: len(part["weights"]) for name, part in model.items()}


def test_each_model_has_the_features_that_its_cases_have():
    cases = [case for each in companies() for case in each]
    plain, judged = {"unit": UNIT, "field": UNIT, "support": SUPPORT}, SUPPORT + JUDGED
    row = calibrate.fit(cases)
    assert {name: widths(model) for name, model in row.items()} == {
        "plain": plain,
        "judged": {"unit": UNIT + 1, "field": UNIT + 1, "support": judged, "read": judged + READ},
    }
    assert row["judged"]["unit"]["weights"][-1] > 0
    assert row["judged"]["read"]["weights"][-1] < 0
    assert row["plain"] == calibrate.fit(unheard(cases))["plain"]
    assert "read" not in calibrate.fit(toy(1, model=False))["judged"]
    assert calibrate.fit(toy(1, language="de")).keys() == {"plain"}


def test_fields_have_a_model_of_their_own_where_one_is_gold():
    cases = toy(1)
    assert (model := calibrate.fit(cases)["judged"])["field"] == model["unit"]
    for case in cases:
        case.units[1] = dataclasses.replace(case.units[1], record=True)
    assert (model := calibrate.fit(cases)["judged"])["field"] != model["unit"]


def test_what_was_not_asked_is_not_read():
    held = calibrate.held_out(companies())
    assert not np.isnan(held.support).any()
    for language, judged, read in (("en", True, True), ("zh", True, False), ("de", False, False)):
        own = held.language == language
        assert own.any()
        assert (~np.isnan(held.judged[own]) == judged).all()
        assert (~np.isnan(held.read[own]) == read).all()


def test_a_question_without_units_is_refused_and_one_that_is_no_question_not_judged():
    cases, model = toy(5), calibrate.fit(toy(6))
    cases[0].units, cases[1].asks = [], False
    held = calibrate.judge(cases, model)
    assert len(held.support) == len(cases) - 1
    assert held.support[0] == 0
    assert np.isnan([held.judged[0], held.read[0], held.place[0]]).all()


def test_the_place_of_the_gold_unit_is_the_judges_where_it_has_read(monkeypatch):
    def last(width, weight=0.0):
        return {"weights": [*[0.0] * (width - 1), weight], "bias": 0.0}

    model = {
        "plain": {"unit": last(UNIT), "field": last(UNIT), "support": last(SUPPORT)},
        "judged": {"unit": last(UNIT + 1, 1.0), "field": last(UNIT + 1), "support": last(SUPPORT + JUDGED)},
    }
    case = dataclasses.replace(toy(1, 2)[1], labels=np.array([False, True]), verdicts=np.array([0.0, 5.0], np.float32))
    nothing = dataclasses.replace(case, labels=np.array([False, False]))
    held = calibrate.judge([case, *unheard([case]), nothing], model)
    assert held.place[:2].tolist() == [0, 1]
    assert np.isnan(held.place[2])
    assert np.isnan(calibrate.judge([case], {"plain": model["plain"]}).judged).all()
    monkeypatch.setattr(reader, "JUDGED_UNITS", 1)
    assert calibrate.judge([case], model).place.tolist() == [1]  # gold was not read: the other is the best without it


def test_the_judge_puts_gold_first_and_tells_what_is_answerable():
    cases = [toy(seed) for seed in (1, 2, 3)]
    held, without = calibrate.held_out(cases), calibrate.held_out([unheard(each) for each in cases])
    assert np.mean(held.place[held.answerable] < 1) > np.mean(without.place[held.answerable] < 1) + 0.1
    assert held.support == pytest.approx(without.support)

    def apart(support):
        return np.mean(support[held.answerable][:, None] > support[~held.answerable])

    assert apart(held.read) > apart(held.judged) > apart(held.support) + 0.05


def random_held(seed=0, count=4000):
    rng = np.random.default_rng(seed)
    answerable = rng.random(count) < 0.6
    support, judged, read = (
        1 / (1 + np.exp(-(rng.normal(size=count) + power * (2 * answerable - 1)))) for power in (0.7, 1.2, 1.8)
    )
    language = rng.choice(["en", "zh", "de"], count)
    judged[language == "de"] = read[language != "en"] = np.nan
    return HeldOut(answerable, language, support, judged, read, np.where(answerable, 0.0, np.nan))


def test_each_language_refuses_as_many_of_the_answerable_at_one_threshold():
    held = random_held()
    threshold = float(np.quantile(held.support[held.answerable], calibrate.FALSE_REFUSALS))
    support, _ = calibrate.combined(held, threshold)
    for language in ("en", "zh", "de"):
        refused = np.mean(support[held.answerable & (held.language == language)] < threshold)
        assert refused == pytest.approx(calibrate.FALSE_REFUSALS, abs=0.003)


def test_the_chat_model_is_asked_only_where_the_judge_is_in_doubt():
    held = random_held()
    support, shifts = calibrate.combined(held, 0.3)
    models = {("plain", "support"): held.support, ("judged", "support"): held.judged, ("judged", "read"): held.read}
    for language in ("en", "zh", "de"):
        own = held.language == language
        plain, judged, read = (
            calibrate._shifted(values[own], shifts[name].get(language, 0.0)) for name, values in models.items()
        )
        doubted = (judged > reader.READ_FROM) & (judged < reader.READ_TO) & ~np.isnan(read)
        assert doubted.any() == (language == "en")
        assert not doubted.all()
        assert support[own] == pytest.approx(np.where(doubted, read, np.where(np.isnan(judged), plain, judged)))


def test_the_row_is_shifted_as_the_figures_are():
    cases = companies()
    bare = calibrate.fit([case for each in cases for case in each])
    row, held, support = calibrate.calibrated(cases)
    again, shifts = calibrate.combined(held, row["threshold"])
    assert (again == support).all()
    assert shifts.keys() == {("plain", "support"), ("judged", "support"), ("judged", "read")}
    place = reader.SUPPORT_FEATURES.index("zh")
    for (reading, name), shift in shifts.items():
        was, now = bare[reading][name], row[reading][name]
        moved = now["bias"] - was["bias"], np.subtract(now["weights"], was["weights"])
        assert moved[0] == pytest.approx(shift["en"], abs=1e-3)
        assert moved[0] + moved[1][place] == pytest.approx(shift.get("zh", shift["en"]), abs=1e-3)
        assert not np.delete(moved[1], place).any()
    for reading in ("plain", "judged"):
        assert [row[reading][name] for name in ("unit", "field")] == [bare[reading][name] for name in ("unit", "field")]
    assert 0 < row["threshold"] < row["sure"] < 1
    assert np.mean(support[held.answerable] < row["sure"]) == pytest.approx(calibrate.UNSURE, abs=0.02)


def test_where_nothing_was_judged_there_is_the_plain_reading_only():
    row, held, support = calibrate.calibrated([toy(seed, language="de") for seed in (1, 2, 3)])
    assert row.keys() == {"threshold", "sure", "plain"}
    assert support == pytest.approx(held.support, abs=1e-3)  # one language: nothing to shift


def test_the_report_is_by_language_where_wanted():
    row, held, support = calibrate.calibrated(cases := companies())
    everyone = [case for each in cases for case in each]
    found = {measure.name: measure for measure in calibrate.summary("bilingual", everyone, held, support, row)}
    what = ("auroc", "refusal_recall", "refused_or_warned", "gold_first", "gold_in_three")
    for which in ("bilingual", "bilingual_en", "bilingual_zh"):
        assert {f"{name}_{which}" for name in what} <= found.keys()
    assert {"recall@5_bilingual", "threshold_bilingual"} <= found.keys()
    for model, asked in (("judged", 180), ("unjudged", 180), ("read", 120)):
        assert found[f"auroc_{model}_bilingual"].n == asked
    other = {measure.name for measure in calibrate.summary("hashing", everyone, held, support, row)}
    assert not any(name.endswith(("_en", "_zh")) for name in other)


def test_the_report_says_how_often_gold_stands_first_and_among_three():
    row, held, support = calibrate.calibrated(cases := companies())
    known = held.answerable & (held.language == "zh")
    held.place[known] = np.resize([0, 0, 1, 2, 3, np.nan], known.sum())
    everyone = [case for each in cases for case in each]
    found = {measure.name: measure for measure in calibrate.summary("bilingual", everyone, held, support, row)}
    placed = int(np.count_nonzero(~np.isnan(held.place[known])))
    for name, most in (("gold_first_bilingual_zh", 1), ("gold_in_three_bilingual_zh", 3)):
        assert (found[name].value, found[name].n) == (float(np.sum(held.place[known] < most) / placed), placed)


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
    assert Verdicts(engine, "built-in@1", "two", file).unanswered([Message("user", "为什么？")], hits, "Sol") is None
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


def test_without_the_judges_package_only_what_is_kept_can_be_said(tmp_path, monkeypatch):
    file = tmp_path / "judge.jsonl"
    monkeypatch.setattr(kept_verdicts, "load_judge", lambda: SimpleNamespace(scores=lambda question, pairs: [2.0]))
    Judged(file).scores("q", [("k", "a")])
    monkeypatch.setattr(e5, "installed", lambda: None)
    monkeypatch.setattr(kept_verdicts, "load_judge", judge.load_judge.__wrapped__)
    assert Judged(file).scores("q", [("k", "a")]).tolist() == [2]
    with pytest.raises(ModelNotReady, match=e5.PACKAGE):
        Judged(file).scores("q", [("k", "a"), ("k", "b")])


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
