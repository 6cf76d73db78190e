"""Export and combination from the shelf, on a tiny base that is the model in force."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
import tiny_gguf
from tiny import llama, save, tokenizer

from assistant import export
from assistant.adapters import WEIGHTS, Shelf
from assistant.engines import models
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.runs import Plan, Run
from assistant.settings import Settings
from assistant.vetting import verify

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
