"""isolation: can an answer be computed with another customer's adapter? 500 requests in turns, three adapters, caches on.

Each adapter is trained to name itself and what is asked about, so that it is sure of every word: a near-tie may round
otherwise in a batch of another size, and then two right answers differ. Every adapter says first, alone in an engine of its own,
what it answers to each prompt. Then one engine that has all three is asked the same in random order, several at once, one
conversation a prompt, so that what was read before is there to be taken: all prompts begin alike. A `leak` is any answer that is
not, letter for letter, the one its adapter gave alone. The control: `distinct`, the share of prompts to which the three
adapters say three different things; it has to be 1.
"""

from __future__ import annotations

import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from assistant import registry
from assistant.engines import models
from assistant.provenance import provenance
from assistant.settings import Settings, load_settings
from assistant.tuning import activations, loop, lora, networks
from assistant.tuning.records import ChatRow, records_of
from assistant.tuning.tasks import ChatTask
from assistant.types import GenerateOptions, Measure, Message, Report

REQUESTS = {"openvino": 500, "hf": 100}
"""Requests by engine: `hf` answers one at a time and has a cache of its own for each adapter."""
ADAPTERS = ("one", "two", "three")
AT_ONCE, NEW, SEED = 4, 12, 0
_SUBJECTS = ("a tent", "boots", "a stove", "a rope", "a lamp", "a map", "a tarp", "gloves", "a saw", "a mug")


def run() -> Report:
    """The leaks of each engine."""
    measures: list[Measure] = []
    base = load_settings()
    settings = base.model_copy(update={"model": base.model.model_copy(update={"dtype": "float32"})})
    with tempfile.TemporaryDirectory() as folder:
        adapters = {name: _adapter(settings, Path(folder) / name, name) for name in ADAPTERS}
        for engine, count in REQUESTS.items():
            measures += _measured(settings, engine, adapters, count)
    return Report("isolation", tuple(measures), provenance(settings, seed=SEED, at_once=AT_ONCE))


def _measured(settings: Settings, name: str, adapters: dict[str, Path], count: int) -> list[Measure]:
    build = registry.resolve("engines", name)
    alone: dict[tuple[str, int], str] = {}
    for adapter, path in adapters.items():
        engine = build(settings)
        engine.add_adapter(adapter, path)
        alone |= {(adapter, number): _said(engine, adapter, number) for number in range(len(_SUBJECTS))}
        engine.close()
    engine = build(settings)
    for adapter, path in adapters.items():
        engine.add_adapter(adapter, path)
    chance = random.Random(SEED)
    asked = [(chance.choice(ADAPTERS), chance.randrange(len(_SUBJECTS))) for _ in range(count)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda each: _said(engine, *each), asked))
    engine.close()
    leaks = sum(answer != alone[each] for each, answer in zip(asked, said, strict=True))
    distinct = sum(len({alone[name, number] for name in ADAPTERS}) == len(ADAPTERS) for number in range(len(_SUBJECTS)))
    tail = "" if name == "openvino" else f"[{name}]"
    return [
        Measure(f"leaks{tail}", float(leaks), n=count),
        Measure(f"distinct{tail}", distinct / len(_SUBJECTS), n=len(_SUBJECTS)),
    ]


def _said(engine: Any, adapter: str, number: int) -> str:
    options = GenerateOptions(
        max_new_tokens=NEW, time_limit_s=300, adapter=adapter, conversation=f"conversation {number}"
    )
    return "".join(engine.stream(_asked(number), options))


def _asked(number: int) -> tuple[Message, ...]:
    return (
        Message(
            "system", "You are a helper in a shop for people who walk and camp. Answer in one friendly sentence. " * 3
        ),
        Message("user", f"A customer writes: I have a question about {_SUBJECTS[number]}. What do you say?"),
    )


def _adapter(settings: Settings, folder: Path, name: str) -> Path:
    """A LoRA adapter that names itself and what it is asked about."""
    tokenizer, net = networks.load_chat(models.prepare(settings))
    model = lora.attach(net, lora.LoraPlan(rank=8, layers=lora.top_layers(net), seed=SEED))
    rows = [
        ChatRow((*_asked(number), Message("assistant", f"Desk {name} knows {subject}.")))
        for number, subject in enumerate(_SUBJECTS)
    ]
    task = ChatTask()
    examples = task.examples(records_of("chat", rows), tokenizer)
    options = loop.LoopOptions(epochs=12, batch_size=5, learning_rate=2e-3, seed=SEED)
    with activations.kept(model, examples):
        loop.train(model, task, examples, options)
    lora.save(model, folder)
    return folder
