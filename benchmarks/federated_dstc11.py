"""DSTC11 track 5 among three companies, each with the questions about its own hotels and restaurants.

The task and the data are those of `dstc11-answers`: the product's grounded prompt, the human answer as the
reference. Three partners train by masked rounds, weighed by their rows, beside one company with all rows, and beside
each of the three alone; all sides have the same start, seed, rate and number of passes over their rows. One company
takes `batch` rows a step, a partner a third of them, in the federation and alone: so the pooled run and the shared one
take the same number of steps one after the other. The small-machine preset (upper fifth of the layers, frozen A, B
trained); options were chosen by the loss on other rows of the training fold. The test is of other dialogues, about all
places, answered by the engine that serves (openvino). The ratio's interval is over test answers (bootstrap).

Long, so it goes on where it was: rounds and answers lie under benchmarks/results/federated-dstc11.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import console
from assistant.engines import hardware, models
from assistant.engines.openvino import OpenVinoEngine
from assistant.errors import BadInput
from assistant.metrics import rouge_l
from assistant.settings import load_settings
from assistant.tuning import activations, lora, networks
from assistant.tuning.data import ChatRow, Records
from assistant.tuning.tasks import ChatTask
from assistant.types import Company, GenerateOptions, Message, Report
from benchmarks import dstc11_answers as answering
from benchmarks.common import ROOT, mean, provenance, ratio
from benchmarks.federated_classifier import Ground, conduct
from federated import partition
from federated.learning import put_weights, weights_of
from federated.partition import Parts
from federated.rounds import RunConfig
from federated.types import Arrays

PARTNERS, NEW, AT_ONCE = 3, 64, 24


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained. All of it decides which pieces on the disk fit."""

    train_rows: int = 150
    test_rows: int = 200
    rounds: int = 16
    passes: float = 0.25
    rate: float = 8e-3
    batch: int = 8
    rank: int = 16
    clip_norm: float = 100.0
    seed: int = 20_240_229


def run(plan: Plan = Plan()) -> Report:
    """rougeL of the shared adapter over that of the pooled one, and over the best partner's own."""
    train, test = answering.folds(
        answering.read_rows(), answering.Plan(2, plan.train_rows, plan.test_rows, seed=plan.seed)
    )[0]
    parts = partition.by_owner([place_of(row) for row in train.rows], PARTNERS, seed=plan.seed)
    sides: dict[str, Parts] = {"shared": parts, "pooled": (tuple(range(len(train))),)}
    sides |= {f"alone-{number}": (part,) for number, part in enumerate(parts)}
    folder = _folder(plan, train)
    trained = _trained(plan, train, sides, folder)
    references = [row.messages[-1].text for row in test.rows if isinstance(row, ChatRow)]
    said = _answers(plan, trained, test, folder)
    found = {name: rouge_l(said[name], references) for name in trained}
    means = {name: float(np.mean(scores)) for name, scores in found.items()}
    best = max((name for name in means if name.startswith("alone")), key=means.__getitem__)
    against = ratio("rougeL_ratio", found["shared"], found["pooled"])
    over = mean("over_best_single", [a - b for a, b in zip(found["shared"], found[best], strict=True)])
    measures = (against, over, *(mean(f"rougeL[{name}]", scores) for name, scores in found.items()))
    about = {"plan": asdict(plan), "sizes": [len(part) for part in parts]}
    return Report("federated-dstc11", measures, provenance(load_settings(), seed=plan.seed, about=about))


def place_of(row: Any) -> str:
    """The hotel or restaurant that a row's first passage is about."""
    return str(row.passages[0]).partition(": ")[0].removesuffix(", a review")


def _folder(plan: Plan, train: Records) -> Path:
    info = models.resolve(load_settings())[1]
    about = json.dumps([asdict(plan), info.sha256, [row.messages[-1].text for row in train.rows]])
    return ROOT / "benchmarks" / "results" / "federated-dstc11" / hashlib.sha256(about.encode()).hexdigest()[:12]


def _model(plan: Plan) -> tuple[Any, Any]:
    tokenizer, net = networks.load_chat(models.prepare(load_settings()), dtype=hardware.choose_dtype("auto", "cpu"))
    shape = lora.LoraPlan("frozen-a", plan.rank, layers=lora.top_layers(net), seed=plan.seed)
    return tokenizer, lora.attach(net, shape)


def _trained(plan: Plan, train: Records, sides: Mapping[str, Parts], folder: Path) -> dict[str, Arrays]:
    """Each side's weights, by the names they have outside of `activations.kept`."""
    tokenizer, model = _model(plan)
    task = _task()
    examples = task.examples(train, tokenizer)
    outside = {id(value): name for name, value in lora.trainable(model).items()}
    training = {"epochs": plan.passes, "learning_rate": plan.rate, "precision": "bfloat16", "seed": plan.seed}
    found = {}
    with activations.kept(model, examples, folder=folder / "kept"):
        names = {name: outside[id(value)] for name, value in lora.trainable(model).items()}
        ground = Ground(model, tokenizer, task, examples, train, (), np.zeros(0), weights_of(model))
        for side, parts in sides.items():
            batch = plan.batch if side == "pooled" else round(plan.batch / PARTNERS)
            config = RunConfig(
                side, plan.rounds, mode="masked" if len(parts) > 1 else "plain", encoding="float32",
                quorum=len(parts), clip_norm=plan.clip_norm, training=training | {"batch_size": batch}, cosine=True,
                weights=tuple((f"p{place}", float(len(part))) for place, part in enumerate(parts)),
            )  # fmt: skip
            weights = conduct(ground, parts, config, folder / side)
            found[side] = {names[name]: array for name, array in weights.items()}
            console.tell(f"{side}: trained on {[len(part) for part in parts]} rows")
    return found


def _answers(plan: Plan, trained: Mapping[str, Arrays], test: Records, folder: Path) -> dict[str, list[str]]:
    """Each side's answers to the test's questions, from the pieces on the disk and what is missing of them."""
    said = {side: answering._said(folder / side / "answers.jsonl") for side in trained}
    if any(len(found) < len(test) for found in said.values()):
        tokenizer, model = _model(plan)
        prompts = [_task().messages(row, tokenizer) for row in test.rows]
        with contextlib.closing(_engine(folder)) as engine:
            for side, weights in trained.items():
                missing = [place for place in range(len(test)) if place not in said[side]]
                if missing:
                    put_weights(model, weights)
                    lora.save(model, folder / side / "adapter")
                    engine.add_adapter(side, folder / side / "adapter")
                    said[side] |= _say(engine, side, {place: prompts[place] for place in missing}, folder)
                    engine.remove_adapter(side)
                    console.tell(f"{side}: answered")
    return {side: [found[place] for place in range(len(test))] for side, found in said.items()}


def _say(engine: OpenVinoEngine, side: str, prompts: Mapping[int, Sequence[Message]], folder: Path) -> dict[int, str]:
    """Answers by place; each is appended to the side's file as it comes."""
    options = GenerateOptions(max_new_tokens=NEW, adapter=side, time_limit_s=600.0)
    said = {}
    with ThreadPoolExecutor(AT_ONCE) as threads, (folder / side / "answers.jsonl").open("a", encoding="utf-8") as file:
        answers = threads.map(lambda place: "".join(engine.stream(prompts[place], options)).strip(), prompts)
        for place, text in zip(prompts, answers, strict=True):
            said[place] = text
            file.write(json.dumps({"place": place, "text": text}) + "\n")
            file.flush()
    return said


def _engine(folder: Path) -> OpenVinoEngine:
    """The engine that serves, which writes what it makes of the adapters below the benchmark's own folder."""
    settings = load_settings()
    like = models.source_of(settings)
    if like is None:
        raise BadInput("federated-dstc11 answers with the engine openvino, which serves models that came as a GGUF.")
    info, cache = models.resolve(settings)[1], folder / "openvino"
    return OpenVinoEngine(models.prepare(settings), info, like=like, cache=cache, aliases=models.aliases(settings))


def _task() -> ChatTask:
    return ChatTask(max_tokens=1024, company=Company({"en": "Cambridge hotels and restaurants"}))
