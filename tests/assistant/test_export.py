"""Export and combination from the shelf, on a tiny base that is the model in force."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
import tiny_gguf
from tiny import llama, save, tokenizer

from assistant import export
from assistant.adapters import CONFIG, WEIGHTS, Shelf
from assistant.engines import models
from assistant.erase import is_unknown
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.runs import Plan, Run
from assistant.settings import Settings
from assistant.vetting import verify
from privacy.erasure import Learned, Marks

TEXTS = ["how long can i return boots", "is it open late", "x"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    base = save(llama(), folder / "base", tokenizer())
    made = Settings(data_dir=folder / "data", model={"name": str(base)})
    rows = [
        {"messages": [{"role": "user", "content": f"is it {n}"}, {"role": "assistant", "content": "yes"}]}
        for n in range(12)
    ]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plan = Plan("chat", folder / "chat.jsonl", "one", rank=2, epochs=4, batch_size=4, learning_rate=1e-2)
    Run(plan, made).train()
    Run(replace(plan, name="two", seed=3), made).train()
    return made


def test_an_exported_adapter_is_a_model_and_its_loss_is_measured(settings, tmp_path):
    done = export.merge("one", tmp_path / "merged", settings, texts=TEXTS, dtype="float32")
    measures = {measure.name: measure.value for measure in done.measures}
    assert measures["perplexity_after"] == pytest.approx(measures["perplexity_before"], rel=0.02)
    assert measures["same_next_token"] >= 0.8
    assert 0 <= measures["kl_divergence"] < 0.01
    assert Run(
        Plan("chat", settings.data_dir.parent / "chat.jsonl", "on", base=str(done.path), rank=2), settings
    ).train()


def test_an_adapter_of_a_gguf_model_is_one_quantised_file_again(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(tiny_gguf.SIZES, "intermediate_size", 64)
    tiny_gguf.write_gguf(tiny_gguf.reference("llama"), "llama", tmp_path / "base.gguf")
    made = Settings(data_dir=tmp_path / "data", model={"name": str(tmp_path / "base.gguf")})
    models.prepare(made)
    plan = Plan("chat", settings.data_dir.parent / "chat.jsonl", "one", rank=2, epochs=1, learning_rate=1e-3)
    Run(plan, made).train()
    done = export.quantise("one", tmp_path / "out.gguf", made, texts=["is it open", "yes it is"])
    measures = {measure.name: measure.value for measure in done.measures}
    assert measures["perplexity_after"] == pytest.approx(measures["perplexity_before"], rel=0.05)
    assert done.path.stat().st_size > 1000
    with pytest.raises(BadInput, match="came as a GGUF"):
        export.quantise("one", tmp_path / "other.gguf", settings, texts=["x"])


def test_a_combination_is_an_adapter_that_nothing_has_judged(settings):
    made = export.combine("both", [("one", 0.5), ("two", 0.5)], settings)
    assert verify(Path(made.path)) == made
    assert (made.rank, made.after, made.method) == (4, None, "combined")
    assert "0.5 x one@1" in made.notes[0]
    assert made.privacy


def test_a_combination_learned_from_all_that_its_parts_and_their_parents_learned_from(settings):
    shelf, learned = Shelf(settings.data_dir), Learned(settings.data_dir)
    marks = {name: Marks(settings.data_dir).of(name) for name in ("c17", "c18")}
    for adapter, customer in (("one", "c17"), ("two", "c18")):
        found = shelf.amend(shelf.find(adapter), owners=1)
        learned.remember(found.sha256, [customer])
    later = shelf.save(
        replace(shelf.find("two"), name="later", parent="one@1", owners=0),
        lambda folder: [shutil.copyfile(file, folder / file.name) for file in files(shelf.find("two"))],
    )
    made = export.combine("union", [("two", 0.5), (later.id, 0.5)], settings)
    assert (made.owners, learned.of(made.sha256)) == (1, {marks["c17"], marks["c18"]})
    assert made.sha256 in learned.from_(marks["c17"])
    shelf.amend(shelf.find("later"), parent="gone@1")
    unknown = export.combine("unknown", [("two", 0.25), ("later", 0.5)], settings)
    assert not learned.knows(unknown.sha256)
    assert is_unknown(unknown, learned)
    assert is_unknown(export.combine("again", [("one", 0.5), ("unknown", 0.5)], settings), learned)


def files(adapter):
    return [file for file in Path(adapter.path).iterdir() if file.name in (WEIGHTS, CONFIG)]


def test_what_cannot_be_exported_says_why(settings, tmp_path):
    with pytest.raises(UnknownName, match="Did you mean"):
        export.merge("ones", tmp_path / "m", settings, texts=TEXTS)
    with pytest.raises(BadInput, match="no text"):
        export.merge("one", tmp_path / "m", settings, texts=[])
    with pytest.raises(BadInput, match="at least two"):
        export.combine("single", [("one", 1.0)], settings)
    broken = Run(Plan("chat", settings.data_dir.parent / "chat.jsonl", "broken", rank=2), settings).train()[0]
    file = Path(Shelf(settings.data_dir).find(broken.id).path) / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(AdapterRefused):
        export.merge("broken", tmp_path / "m", settings, texts=TEXTS)
