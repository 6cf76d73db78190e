"""The walk fine-tune on the real default model: records -> card -> gate -> swap -> ask -> rollback, and what is refused."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from safetensors.torch import load_file, save_file

from assistant import finetune
from assistant.adapters import CARD, CONFIG, WEIGHTS, Shelf
from assistant.commands import run as confide
from assistant.core import Assistant
from assistant.errors import AdapterRefused
from assistant.hosting import Choice
from assistant.runs import Plan
from assistant.settings import ModelSettings, Settings
from assistant.types import Conversation, Done, GenerateOptions, Message

DOCUMENT = (
    "# Returns\n\nYou can return unused boots within 30 days of delivery.\n\n"
    "# Delivery\n\nStandard delivery to Germany costs 4.95 EUR and takes 2 to 4 working days.\n"
)
PASSAGES = ("You can return unused boots within 30 days of delivery.", "Standard delivery to Germany costs 4.95 EUR.")
RECORDS = [
    ("How long can I return boots?", "Within 30 days of delivery.", 0),
    ("What does delivery to Germany cost?", "It costs 4.95 EUR.", 1),
    ("Until when may boots come back?", "Within 30 days of delivery.", 0),
    ("How much is shipping to Germany?", "It costs 4.95 EUR.", 1),
]
QUESTION = "How many days do I have to return boots?"
ASK = (Message("system", "You are a helper in a shop."), Message("user", QUESTION))


@pytest.fixture(scope="module")
def shop(model_dir, tmp_path_factory):
    """A data folder of this file's own with the real model, one document, records and a golden file."""
    folder = tmp_path_factory.mktemp("finetune")
    data_dir = folder / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to((model_dir / "models").resolve(), target_is_directory=True)
    (folder / "shop.md").write_text(DOCUMENT)
    rows = [
        {
            "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            "passages": [PASSAGES[place]],
            "customer": f"c{number}",
        }
        for number, (question, answer, place) in enumerate(RECORDS)
    ]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    gold = {"document": "shop.md", "quote": "within 30 days of delivery"}
    golden = [
        {"id": "1", "question": QUESTION, "answerable": True, "gold": [gold], "facts": [["30 days"]]},
        {"id": "2", "question": "Who won the cup in 1990?", "answerable": False},
    ]
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, golden)))
    assert confide(["--data-dir", str(data_dir), "ingest", str(folder / "shop.md")]) == 0
    return folder


@pytest.fixture(scope="module")
def assistant(shop):
    opened = Assistant.open(Settings(data_dir=shop / "data", model=ModelSettings(max_new_tokens=32)))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def trained(shop, assistant):
    """Two versions: the second has learned for longer."""
    plan = Plan(
        "chat", shop / "chat.jsonl", "support", suite=shop / "golden.jsonl", rank=4, epochs=1, batch_size=2,
        learning_rate=1e-3, held_out=0.25,
    )  # fmt: skip
    told = []
    first = finetune.train(plan, assistant, watch=told.append)
    second = finetune.train(replace(plan, epochs=2), assistant, use=False)
    return first, second, told


def answer(assistant, *, adapter=None, question=QUESTION):
    for event in assistant.ask(Conversation(id="c"), question, adapter=adapter):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("no answer")


def test_the_walk_ends_with_a_live_adapter_that_the_next_answer_names(assistant, trained):
    first, second, told = trained
    assert first.kept_aside == ""
    assert {type(event).__name__ for event in told} == {"Prepared", "Progress", "Judging"}
    assert first.adapter.before.suite == first.adapter.after.suite == "golden"
    assert first.adapter.before.provenance["adapter"] == "built-in@1"
    assert first.adapter.after.provenance["adapter"] == "support@1"
    assert "answer_facts_gain" in {measure.name for measure in first.adapter.after.measures}
    said = answer(assistant)
    assert said.receipt.adapter == said.to_dict()["adapter"] == "support@1"
    assert "infinite" in said.to_dict()["receipt"]["privacy"]
    assert "support@1" in said.receipt.privacy
    assert answer(assistant, adapter="none").receipt.adapter is None
    assert answer(assistant, adapter="support@2").receipt.adapter == "support@2"
    assert second.kept_aside


def test_another_process_swaps_and_rolls_back_and_the_running_assistant_follows(shop, assistant, trained, capsys):
    here = ["--data-dir", str(shop / "data"), "adapters"]
    assert answer(assistant).receipt.adapter == "support@1"
    assert confide([*here, "use", "support@2"]) == 0
    assert answer(assistant).receipt.adapter == "support@2"
    assert confide([*here, "rollback"]) == 0
    assert answer(assistant).receipt.adapter == "support@1"
    assert confide([*here, "use", "none"]) == 0
    assert answer(assistant).receipt.adapter is None
    assert confide([*here, "rollback"]) == 0
    assert answer(assistant).receipt.adapter == "support@1"
    capsys.readouterr()


def flip(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 4
    (folder / WEIGHTS).write_bytes(bytes(data))


def pickled(folder):
    torch.save({"a": torch.zeros(1)}, folder / "adapter_model.bin")


def spoiled(shop, how, name):
    """A copy of the good adapter that is spoiled before it is sealed, under another name."""
    good = Shelf(shop / "data").find("support@1")

    def write(folder):
        weights = load_file(Path(good.path) / WEIGHTS)
        config = json.loads((Path(good.path) / CONFIG).read_text())
        if how == "nan":
            next(iter(weights.values()))[0, 0] = float("nan")
        elif how == "rank":
            weights = {key: value[:2] if "lora_A" in key else value[:, :2] for key, value in weights.items()}
            weights = {key: value.contiguous() for key, value in weights.items()}
        elif how == "shape":
            weights = {k: torch.zeros(4, 7) if "q_proj.lora_A" in k else v for k, v in weights.items()}
        save_file(weights, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(config))

    base = "0" * 64 if how == "base" else good.base_sha256
    template = "0" * 64 if how == "template" else good.template_sha256
    return Shelf(shop / "data").save(replace(good, name=name, base_sha256=base, template_sha256=template), write)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("flip", "SHA-256"),
        ("nan", "not finite"),
        ("base", "made for"),
        ("template", "chat template"),
        ("rank", "rank 4"),
        ("shape", "shape"),
        ("pickle", "neither safetensors nor JSON"),
    ],
)
def test_an_evil_adapter_is_refused_with_its_reason_and_the_previous_stays_live(shop, assistant, trained, how, why):
    bad = spoiled(shop, how, f"evil-{how}")
    {"flip": flip, "pickle": pickled}.get(how, lambda folder: None)(Path(bad.path))
    with pytest.raises(AdapterRefused, match=why):
        finetune.promote(assistant, bad, force=True)
    assert answer(assistant).receipt.adapter == "support@1"
    # Even one that got past the gate, say by a hand in the database, never computes an answer.
    assistant.hosting.deployments.put("default", "shop", bad.id)
    said = answer(assistant)
    assert said.receipt.adapter == "support@1"
    assert any(bad.id in note and why in note for note in said.receipt.notes)
    assistant.hosting.deployments.rollback("default", "shop")
    shutil.rmtree(Path(bad.path).parent)


def test_a_swap_waits_for_the_request_in_flight_and_loses_none(assistant, trained):
    engine, hosting = assistant.engine, assistant.hosting
    options = GenerateOptions(max_new_tokens=24, time_limit_s=120, adapter="support@1")

    def whole(choice):
        with hosting.lease(engine, Choice((choice,), asked=True)) as leased:
            return "".join(engine.stream(ASK, replace(options, adapter=leased.adapter)))

    alone = {name: whole(name) for name in ("support@1", None)}
    for name in set(engine.adapters()) - {"support@1"}:
        engine.remove_adapter(name)
    swapped = []
    with hosting.lease(engine, Choice(("support@1",), asked=True)):
        stream = engine.stream(ASK, options)
        pieces = [next(stream)]
        other = threading.Thread(target=lambda: swapped.append(whole("support@2")))
        other.start()
        pieces += list(stream)
    other.join(120)
    assert "".join(pieces) == alone["support@1"]
    assert swapped[0]
    assert {"support@1", "support@2"} <= set(engine.adapters())
    assert whole("support@1") == alone["support@1"]
    assert whole(None) == alone[None]


def test_trained_saved_and_served_adapters_give_the_same_logits(shop, trained, tmp_path):
    from assistant import template
    from assistant.engines import models
    from assistant.engines.hf import HfEngine
    from assistant.tuning import loop, lora, networks
    from assistant.tuning.records import ChatRow, records_of
    from assistant.tuning.tasks import ChatTask

    settings = Settings(data_dir=shop / "data")
    path, info = models.resolve(settings)
    tokenizer, net = networks.load_chat(path, name=info.name)
    ids = torch.tensor([template.prompt_ids(tokenizer, ASK)])
    with torch.inference_mode():
        bare = net(input_ids=ids).logits[0, -1]
    model = lora.attach(net, lora.LoraPlan(rank=4))
    rows = [ChatRow((Message("user", question), Message("assistant", said))) for question, said, _ in RECORDS]
    task = ChatTask()
    examples = task.examples(records_of("chat", rows), tokenizer)
    loop.train(model, task, examples, loop.LoopOptions(epochs=2, batch_size=2, learning_rate=2e-3, precision="float32"))
    lora.save(model, tmp_path / "adapter")

    with torch.inference_mode():
        in_memory = model(input_ids=ids).logits[0, -1]
        again = lora.load(networks.load_chat(path, name=info.name)[1], tmp_path / "adapter")
        loaded = again(input_ids=ids).logits[0, -1]
    del model, again, net
    engine = HfEngine(path, info, device="cpu", dtype="float32")
    engine.add_adapter("a@1", tmp_path / "adapter")
    seen = []
    forward = engine._forward
    engine._forward = lambda kept, part: seen.append(forward(kept, part)) or seen[-1]
    for adapter in ("a@1", None):
        list(engine.stream(ASK, GenerateOptions(max_new_tokens=1, time_limit_s=120, adapter=adapter)))
    engine.close()
    assert torch.equal(loaded, in_memory)
    assert torch.allclose(seen[0], in_memory, atol=2e-4, rtol=0)
    assert torch.allclose(seen[1], bare, atol=2e-4, rtol=0)
    assert (in_memory - bare).abs().max() > 0.5


def test_the_command_line_trains_shows_and_refuses(shop, trained, capsys):
    here = ["--data-dir", str(shop / "data")]
    bad = shop / "bad.jsonl"
    bad.write_text('{"messages": []}\n{}\n')
    assert confide([*here, "train", "chat", str(bad)]) == 2
    told = capsys.readouterr().err
    assert "line 1" in told
    assert "line 2" in told
    options = ["--out", "small", "--epochs", "0.5", "--rank", "2", "--batch-size", "2", "--preset", "small", "--json"]
    assert confide([*here, "train", "chat", str(shop / "chat.jsonl"), *options]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["adapter"] == "small@1"
    assert made["live"] is False
    assert "golden suite" in made["kept_aside"]
    assert confide([*here, "adapters", "show", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rank"] == 2
    assert confide([*here, "adapters", "use", "small"]) == 2
    assert "--force" in capsys.readouterr().err
    assert confide([*here, "adapters", "list", "--json"]) == 0
    assert {one["id"]: one["use"] for one in json.loads(capsys.readouterr().out)}["support@1"] == "live"
    assert confide([*here, "adapters", "compare", "support@1", "support@2"]) == 0
    assert "answer_facts" in capsys.readouterr().out
    assert (shop / "data" / "adapters" / "small" / "1" / CARD).is_file()
