"""dstc11-answers: does an adapter trained on support answers write them better, on dialogues it never saw?

DSTC11 track 5, the dev half: the customer's turn and the gold knowledge go into the product's own grounded
prompt, the human answer is the reference. Five folds over whole dialogues; each fold's adapter (all
layers, one pass) is trained on the four others and answers a sample of its own. `rougeL` is of the tuned model, `rougeL_untuned`
of the same model and prompts without it, `gain` their difference answer by answer. Both answer with one of five
beams, the one that answers drawn from the same model agree with most (`consensus.py`: it aims at rougeL and is no way
to serve); `rougeL_beam` is of the best beam, `rougeL_beam_preset` of the best beam with the small-machine preset's
adapter (upper layers, four passes), `gain_over_preset` what the plan has more (both on two of the folds). The organisers' 0.287 is a BART trained
on 28,000 turns, decoded with five beams and measured on the whole validation set.

Long without a GPU, so it goes on where it was: pieces lie under benchmarks/results/dstc11-answers.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from assistant import console
from assistant.engines import hardware, models
from assistant.metrics import rouge_l
from assistant.settings import load_settings
from assistant.tuning import activations, loop, lora, networks
from assistant.tuning.data import ChatRow, Records, records_of
from assistant.tuning.tasks import ChatTask
from assistant.types import Company, Measure, Message, Report
from benchmarks.common import ROOT, eval_data, mean, provenance
from benchmarks.consensus import Decoding, Speaker, consensus, speaker

REFERENCE = {"organisers_rougeL": 0.287}
TURNS = 3
"""Of the dialogue, so many turns are shown: the question and the exchange before it."""
BEAMS, DRAWN = Decoding(5), Decoding(32, drawn=True)
"""Both sides decode so. Chosen on dialogues of a training side, see docs/fine-tuning.md."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained and how much of the data is used. All of it decides which pieces fit together."""

    folds: int = 5
    train_rows: int = 1000
    test_rows: int = 120
    epochs: float = 1.0
    learning_rate: float = 5e-4
    rank: int = 16
    layers: str = ""
    seed: int = 20_240_229


PRESET: dict[str, Any] = {"layers": "upper fifth", "epochs": 4.0, "learning_rate": 1e-3}
"""What the small-machine preset has otherwise: the rows are the plan's."""
PRESET_FOLDS = 2
"""It is measured on the first so many folds only: four passes take long, and two folds tell."""


def run(plan: Plan = Plan()) -> Report:
    """The report; with pieces of an earlier, unfinished run it takes only the rest of the time."""
    scores: dict[str, list[float]] = {}
    for fold, (train, test) in enumerate(folds(read_rows(), plan)):
        references = [row.messages[-1].text for row in test.rows if isinstance(row, ChatRow)]
        for side, tuned in (("_untuned", False), ("", True)):
            beams, drawn = (fold_answers(plan, fold, train, test, how, tuned=tuned) for how in (BEAMS, DRAWN))
            agreed = [consensus(*both) for both in zip(beams, drawn, strict=True)]
            scores.setdefault(f"rougeL{side}", []).extend(rouge_l(agreed, references))
            scores.setdefault(f"rougeL_beam{side}", []).extend(rouge_l([first for first, *_ in beams], references))
        if fold < PRESET_FOLDS:
            beams = fold_answers(replace(plan, **PRESET), fold, train, test, BEAMS, tuned=True)
            scores.setdefault("rougeL_beam_preset", []).extend(rouge_l([first for first, *_ in beams], references))
    gain = _gain("gain", scores, "rougeL", "rougeL_untuned")
    measures = [mean(name, values) for name, values in sorted(scores.items())]
    measures += [gain, Measure("gain_low", gain.low if gain.low is not None else 0.0, n=gain.n)]
    measures.append(_gain("gain_beam", scores, "rougeL_beam", "rougeL_beam_untuned"))
    measures.append(_gain("gain_over_preset", scores, "rougeL_beam", "rougeL_beam_preset"))
    about = {"seed": plan.seed, "plan": asdict(plan), "decoding": [asdict(BEAMS), asdict(DRAWN)]}
    return Report("dstc11-answers", tuple(measures), provenance(load_settings(), **about, **REFERENCE))


def _gain(name: str, scores: Mapping[str, Sequence[float]], of: str, over: str) -> Measure:
    """One side less another, answer by answer; of the answers that both have, the first ones."""
    return mean(name, [after - before for after, before in zip(scores[of], scores[over], strict=False)])


def read_rows() -> Records:
    """The turns that need knowledge as grounded chat rows; `customer` is the dialogue."""
    folder = eval_data("dstc11_dev")
    logs, labels, known = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("logs", "labels", "knowledge")
    )
    rows = []
    for log, label in zip(logs, labels, strict=True):
        if label["target"]:
            turns = [Message("user" if turn["speaker"] == "U" else "assistant", turn["text"]) for turn in log]
            dialogue = hashlib.sha256("\n".join(turn["text"] for turn in log[:1]).encode()).hexdigest()[:16]
            passages = tuple(_passage(known, entry) for entry in label["knowledge"])
            messages = (*turns[-TURNS:], Message("assistant", label["response"]))
            rows.append(ChatRow(messages, passages, customer=dialogue))
    return records_of("chat", rows)


def _passage(known: Any, entry: Any) -> str:
    place = known[entry["domain"]][str(entry["entity_id"])]
    if entry["doc_type"] == "faq":
        faq = place["faqs"][str(entry["doc_id"])]
        return f"{place['name']}: {faq['question']} {faq['answer']}"
    return f"{place['name']}, a review: {place['reviews'][str(entry['doc_id'])]['sentences'][str(entry['sent_id'])]}"


def folds(data: Records, plan: Plan) -> list[tuple[Records, Records]]:
    """(train, test) of each fold, sampled; no dialogue is on both sides."""
    dialogues = sorted({row.customer for row in data.rows})
    chance = random.Random(plan.seed)
    chance.shuffle(dialogues)
    number = {dialogue: place % plan.folds for place, dialogue in enumerate(dialogues)}
    made = []
    for fold in range(plan.folds):
        inside = [place for place, row in enumerate(data.rows) if number[row.customer] == fold]
        outside = [place for place, row in enumerate(data.rows) if number[row.customer] != fold]
        train = data.subset(chance.sample(outside, min(plan.train_rows, len(outside))))
        made.append((train, data.subset(chance.sample(inside, min(plan.test_rows, len(inside))))))
    return made


def fold_answers(
    plan: Plan, fold: int, train: Records, test: Records, how: Decoding, *, tuned: bool
) -> list[list[str]]:
    """The answers to each of the fold's test questions, from the pieces on disk and what is missing of them."""
    settings = load_settings()
    path, info = models.prepare(settings), models.resolve(settings)[1]
    rows = replace(plan, layers="", epochs=0, learning_rate=0, rank=0)  # what an untuned answer depends on
    about = json.dumps(asdict(plan if tuned else rows)) + info.sha256
    folder = ROOT / "benchmarks" / "results" / "dstc11-answers" / hashlib.sha256(about.encode()).hexdigest()[:12]
    done = folder / f"fold{fold}-{'drawn' if how.drawn else 'beams'}{how.count}.jsonl"
    said = _said(done)
    if len(said) < len(test):
        device = hardware.choose_device("auto")
        tokenizer, net = networks.load_chat(path, dtype=hardware.choose_dtype("auto", device))
        net.to(device)
        task = ChatTask(max_tokens=1024, company=Company({"en": "Cambridge hotels and restaurants"}))
        if tuned:
            _train(net, task, train, tokenizer, plan, folder / f"fold{fold}")
        prompts = {place: task.messages(row, tokenizer) for place, row in enumerate(test.rows) if place not in said}
        adapter = folder / f"fold{fold}" / "adapter" if tuned else None
        said |= _say(speaker(settings, folder.parent / "openvino", adapter), prompts, how, done)
    return [said[place] for place in range(len(test))]


def _train(net: Any, task: ChatTask, train: Records, tokenizer: Any, plan: Plan, folder: Path) -> None:
    """The fold's adapter, unless it is there."""
    if (folder / "adapter" / lora.WEIGHTS).is_file():
        return
    layers = lora.top_layers(net) if plan.layers else ()
    model = lora.attach(net, lora.LoraPlan(rank=plan.rank, layers=layers, seed=plan.seed))
    examples = task.examples(train, tokenizer)
    options = loop.LoopOptions(
        epochs=plan.epochs, batch_size=8, learning_rate=plan.learning_rate, checkpoint_every=20, seed=plan.seed,
        part_tokens=16_384 if torch.cuda.is_available() else 2048,
    )  # fmt: skip

    def show(progress: loop.Progress) -> None:
        if progress.step % 10 == 0:
            console.tell(
                f"step {progress.step}/{progress.steps} loss {progress.loss:.3f} "
                f"{progress.tokens_per_second:.0f} tokens/s, {progress.seconds_left / 60:.0f} min left"
            )

    if layers:
        with activations.kept(model, examples, folder=folder / "kept"):
            loop.train(model, task, examples, options, checkpoint=folder / "checkpoint", on_progress=show)
        activations.forget(folder / "kept")
    else:
        loop.train(model, task, examples, options, checkpoint=folder / "checkpoint", on_progress=show)
    lora.save(model, folder / "adapter")


def _say(who: Speaker, prompts: Mapping[int, Sequence[Message]], how: Decoding, done: Path) -> dict[int, list[str]]:
    """The answers to these prompts; each prompt's are appended as they come."""
    done.parent.mkdir(parents=True, exist_ok=True)
    said = {}
    with done.open("a", encoding="utf-8") as file:
        for place, texts in who.say(prompts, how):
            said[place] = texts
            file.write(json.dumps({"place": place, "text": texts}) + "\n")
            file.flush()
    return said


def _said(path: Path) -> dict[int, Any]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {entry["place"]: entry["text"] for entry in map(json.loads, lines)}
