"""The loop on the real default model: a few steps, then the adapter in the serving engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from assistant.settings import Settings
from assistant.tuning import activations, lora, networks
from assistant.tuning.loop import LoopOptions, train
from assistant.tuning.records import ChatRow, records_of
from assistant.tuning.tasks import ChatTask
from assistant.types import Message

ROWS = [
    ChatRow(
        (Message("user", f"How long can I return {what}?"), Message("assistant", f"Moin! {what} go back for 90 days.")),
        (f"Returns: {what} can be returned within 90 days.",),
        company="Nordlicht",
    )
    for what in ("boots", "tents", "lamps", "maps")
]


@pytest.mark.parametrize("upper", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_few_steps_teach_the_default_model_and_the_served_adapter_computes_the_same(
    model_dir: Path, tmp_path: Path, upper: bool
):
    from assistant.engines import adapters, models

    folder = models.prepare(Settings(data_dir=model_dir))
    tokenizer, net = networks.load_chat(folder)
    task = ChatTask(max_tokens=512)
    examples = task.examples(records_of("chat", ROWS), tokenizer)
    model = lora.attach(net, lora.LoraPlan(rank=4, layers=lora.top_layers(net, 0.1) if upper else ()))
    options = LoopOptions(epochs=3, batch_size=4, learning_rate=3e-3, precision="float32")
    if upper:
        with activations.kept(model, examples):
            result = train(model, task, examples, options)
    else:
        result = train(model, task, examples, options)
    assert result.losses[-1][1] < result.losses[0][1]
    lora.save(model, tmp_path)
    _, served = networks.load_chat(folder)
    host = adapters.AdapterHost(served)
    host.attach("a", adapters.read_spec(tmp_path), adapters.read_weights(tmp_path))
    host.activate("a")
    ids = torch.tensor([examples[0].ids])
    with torch.inference_mode():
        mine, theirs = (each.eval()(input_ids=ids).logits for each in (model, served))
    assert torch.equal(mine, theirs)
