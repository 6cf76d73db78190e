"""tune-judge: the judge learns further on the companies of `calibration/near`; writes a new judge.safetensors.

Each question is searched in its company's documents as the product does. Of the sentences found the judge learns
which answer: they compete in one softmax with "none of them", which is right for a near miss. Its layers learn
by LoRA, with their norms and biases and the head; the sums with what was learned before are cut to the same ranks.
The figures, of the file before and of the one written, are of companies that are kept aside, and of plain questions, which
it must not unlearn.

It writes benchmarks/results/tune-judge/judge.safetensors; the product's file stays as it is. Who takes the new one
calibrates anew, and can tune on: the questions are drawn in another order for each file that it begins with. TUNE_MINUTES=60 says how long it learns (searching comes on top, once); Ctrl-C ends it early with what
it has learned.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save
from torch import nn

from assistant import console
from assistant.errors import BadInput, ModelNotReady
from assistant.retrieval import e5, judge, reader
from assistant.retrieval.calibration import calibration
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks import calibrate
from benchmarks.calibration import compact
from benchmarks.common import ROOT, provenance
from benchmarks.kept_verdicts import WEIGHTS

COMPANIES = Path(__file__).parent / "calibration" / "near"
TARGET = ROOT / "benchmarks" / "results" / "tune-judge"
ASIDE = ("tushu", "shuma", "stridewell", "lindholm")
"""Never learned from: by these before and after are compared."""
DIALOGUES = calibrate.COMPANIES / "dialogues.jsonl"
MINUTES = "TUNE_MINUTES"
FOUND, SHOWN = reader.JUDGED_UNITS, 6
"""Sentences kept of a question, as many as the judge reads, and those of them that it is learned with."""
LAYERS, RANK, RATE, QUESTIONS = 12, 16, 3e-4, 8
"""Upper layers that learn, their LoRA's rank, the highest learning rate, questions a step."""
BATCH_TOKENS = 6000

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the judge is asked it: (key, sentence) of what was found, best first, and which of them answer."""

    company: str
    language: str
    text: str
    sentences: list[tuple[str, str]]
    gold: list[bool]


def run() -> Report:
    """Learns and writes the file; the report has AUROC of the highest verdict and how often a gold sentence is highest."""
    file = e5.installed()
    if file is None:
        raise ModelNotReady(f"The judge needs the package {e5.PACKAGE}.", hint="`python app.py doctor` says how.")
    minutes = os.environ.get(MINUTES, "60")
    try:
        seconds = 60 * float(minutes)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadInput(f"{MINUTES} is {minutes!r}.", hint="It is a number of minutes.")
    asked = [each for path in sorted(COMPANIES.glob("*.txt")) for each in questions(path)]
    aside = [each for each in asked if each.company in ASIDE]
    others = [each for each in asked if each.company not in ASIDE]
    file_before = WEIGHTS.read_bytes()
    stored, seed = load(file_before), int(hashlib.sha256(file_before).hexdigest()[:8], 16)
    torch.manual_seed(seed)
    base = e5.read(file)
    learner, plain = Learner(base, stored), plain_questions()
    measures = [*figures(learner, aside, plain, "before")]
    steps, tokens = learn(learner, others, seconds, seed)
    made = merged(stored, *learner.learned())
    measures += figures(Learner(base, made), aside, plain, "after")
    measures += [Measure("questions", len(others)), Measure("steps", steps), Measure("tokens", tokens)]
    _write(TARGET / WEIGHTS.name, save(made))
    console.tell(f"{TARGET / WEIGHTS.name} is written. Copied to {WEIGHTS} it is the product's; then calibrate.")
    return Report("tune-judge", tuple(measures), provenance(load_settings(), seed=seed))


def questions(path: Path) -> list[Asked]:
    """A company's questions with what is found for them; kept on disk by the company's text.

    A question whose answer was not found teaches nothing: neither yes nor no would be right.
    """
    text = path.read_bytes()
    kept = TARGET / f"{path.stem}-{hashlib.sha256(text).hexdigest()[:12]}.jsonl"
    if kept.exists():
        return [Asked(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
    company = compact.read(path)
    with tempfile.TemporaryDirectory() as folder:
        compact.write_documents(company, Path(folder))
        found = _found(path.stem, calibrate.Source(company.name, Path(folder), company.questions()))
    lines = (json.dumps(asdict(each), ensure_ascii=False) for each in found)
    _write(kept, "".join(f"{line}\n" for line in lines).encode())
    console.tell(f"{path.stem}: {len(found)} questions")
    return found


def plain_questions() -> list[Asked]:
    """Short questions in the documents' own words that have an answer ("Do you gift wrap?"), of companies that calibrate.

    A judge that learned from cunning questions alone refuses these: of 33 English ones it would have refused 25.
    """
    rows = [json.loads(line) for line in DIALOGUES.read_text(encoding="utf-8").splitlines()]
    found = []
    for company in calibrate.NAMES:
        own = [row for row in rows if row["company"] == company and row["kind"] == "new_topic" and row["answerable"]]
        alone = [{**row, "history": []} for row in own]
        found += _found(company, calibrate.Source(company, calibrate.COMPANIES / company / "documents", alone))
    return found


def _found(name: str, its: calibrate.Source) -> list[Asked]:
    """A company's questions with the sentences that the judge would be asked about; those whose answer was found, or have none."""
    model, found = calibration("bilingual")["plain"], []
    for case, _, _ in calibrate.searched("bilingual", its):
        if (
            case.asks
            and case.units
            and reader.judgeable(case.asked.text)
            and (case.labels.any() or not case.answerable)
        ):
            best = np.argsort(-reader.unit_scores(case.features, case.units, model), kind="stable")
            places = [int(best[place]) for place in shown(case.labels[best].tolist(), FOUND)]
            said = [(case.units[place].key, case.units[place].span.text) for place in places]
            found.append(
                Asked(name, case.language, case.asked.text, said, [bool(case.labels[place]) for place in places])
            )
    return found


def shown(gold: Sequence[bool], most: int) -> list[int]:
    """The first places, at most so many; the first gold one takes the last's where none of them is gold."""
    places = list(range(min(most, len(gold))))
    if any(gold) and not any(gold[:most]):
        places[-1] = list(gold).index(True)
    return places


class Learner:
    """The judge in PyTorch: its upper LAYERS under LoRA, the others as they are."""

    def __init__(self, base: e5.Model, stored: Mapping[str, Any]) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers import BertConfig, BertModel

        weights = judge.changed(base.weights(), stored)
        self._words: Any = weights.pop("embeddings.word_embeddings.weight")
        self._ids = e5.Words(base).ids
        config = BertConfig(**{**base.config, "vocab_size": 1}, attn_implementation="eager")  # words are looked up here
        net = BertModel(config, add_pooling_layer=False)
        net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()}, strict=False)
        total = int(base.config["num_hidden_layers"])
        self.first = max(0, total - LAYERS)
        upper = LoraConfig(
            r=RANK,
            lora_alpha=RANK,
            target_modules=["query", "key", "value", "dense"],
            layers_to_transform=list(range(self.first, total)),
            layers_pattern="layer",
        )
        self.net: Any = get_peft_model(net, upper).base_model.model.eval()
        self.head = nn.ModuleDict({"hidden": nn.Linear(768, 192), "out": nn.Linear(192, 1)})
        with torch.no_grad():
            for name, parameter in self.head.named_parameters():
                parameter.copy_(torch.from_numpy(judge.widened(stored, f"head.{name}")))
        for number in range(self.first, total):
            for name, parameter in self.net.encoder.layer[number].named_parameters():
                if "LayerNorm" in name or name.endswith("bias"):
                    parameter.requires_grad_(True)

    def groups(self) -> list[dict[str, Any]]:
        """What learns, for the optimiser: norms and biases at a third of the rate."""
        low, slow = [*self.head.parameters()], []
        for name, parameter in self.net.named_parameters():
            if parameter.requires_grad:
                (low if "lora_" in name else slow).append(parameter)
        return [{"params": low, "rate": RATE}, {"params": slow, "rate": RATE / 3}]

    def pairs(self, asked: Asked, places: Sequence[int]) -> list[tuple[list[int], int]]:
        """The judge's input of a question with the sentences at these places."""
        own = self._ids(asked.text)
        sentences = [asked.sentences[place] for place in places]
        return [judge.pair(own, self._ids(f"{key}: {text}" if key else text)) for key, text in sentences]

    def logits(self, pairs: Sequence[tuple[list[int], int]]) -> torch.Tensor:
        """(n,) logits, as `Judge.scores` has them; those of like length are read together."""
        found: list[tuple[int, torch.Tensor]] = []
        for places in judge.batches([len(ids) for ids, _ in pairs], BATCH_TOKENS):
            found += zip(places, self._read([pairs[place] for place in places]), strict=True)
        return torch.stack([logit for _, logit in sorted(found, key=lambda each: each[0])])

    def _read(self, pairs: Sequence[tuple[list[int], int]]) -> torch.Tensor:
        ids, kinds, seen = np.zeros((3, len(pairs), max(len(row) for row, _ in pairs)), dtype=np.int64)
        for place, (row, asked) in enumerate(pairs):
            ids[place, : len(row)] = row
            kinds[place, asked : len(row)] = 1
            seen[place, : len(row)] = 1
        mask = torch.from_numpy(seen)
        shade = (1.0 - mask[:, None, None, :].float()) * -1e4
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                vectors = torch.from_numpy(self._words[ids])
                states = self.net.embeddings(inputs_embeds=vectors, token_type_ids=torch.from_numpy(kinds))
                for layer in self.net.encoder.layer[: self.first]:
                    states = _first(layer(states, shade))
            for layer in self.net.encoder.layer[self.first :]:
                states = _first(layer(states, shade))
            states, weight = states.float(), mask[:, :, None].float()
            both = torch.cat([states[:, 0], (states * weight).sum(1) / weight.sum(1)], -1)
            return self.head["out"](nn.functional.gelu(self.head["hidden"](both)))[:, 0].float()

    def learned(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """(changes (out, in) by the matrix's stem, what takes the place of norms, biases and the head by name)."""
        changes, instead = {}, {f"head.{name}": _numbers(value) for name, value in self.head.named_parameters()}
        for name, module in self.net.named_modules():
            if hasattr(module, "get_delta_weight") and "default" in getattr(module, "lora_A", {}):
                changes[name] = _numbers(module.get_delta_weight("default"))
        for name, parameter in self.net.named_parameters():
            if parameter.requires_grad and "lora_" not in name:
                instead[name.replace(".base_layer.", ".")] = _numbers(parameter)
        return changes, instead


def learn(learner: Learner, asked: Sequence[Asked], seconds: float, seed: int = 0) -> tuple[int, int]:
    """Steps for so long, at a rate that rises and falls; (steps, tokens). Ctrl-C ends it early."""
    groups = learner.groups()
    optimiser = torch.optim.AdamW([{"params": each["params"]} for each in groups], betas=(0.9, 0.98), weight_decay=0.01)
    every = [parameter for each in groups for parameter in each["params"]]
    draw, left = random.Random(seed), list[Asked]()
    steps = tokens = 0
    start = time.monotonic()
    with console.progress("learning") as show:
        try:
            while (done := (time.monotonic() - start) / max(seconds, 1e-9)) < 1:
                share = min(1.0, (done + 0.005) / 0.08) * max(0.02, (1 - done) / 0.92)
                for group, each in zip(optimiser.param_groups, groups, strict=True):
                    group["lr"] = each["rate"] * share
                if len(left) < QUESTIONS:
                    left = draw.sample(list(asked), len(asked))
                batch = [left.pop() for _ in range(min(QUESTIONS, len(left)))]
                places = [shown(each.gold, SHOWN) for each in batch]
                pairs = [learner.pairs(each, own) for each, own in zip(batch, places, strict=True)]
                logits = learner.logits([pair for each in pairs for pair in each]).split([len(each) for each in pairs])
                gold = [
                    torch.tensor([each.gold[place] for place in own]) for each, own in zip(batch, places, strict=True)
                ]
                loss = torch.stack([loss_of(own, right) for own, right in zip(logits, gold, strict=True)]).mean()
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(every, 1.0)
                optimiser.step()
                steps, tokens = steps + 1, tokens + sum(len(ids) for each in pairs for ids, _ in each)
                show(f"loss {float(loss.detach()):.2f}", done, 1)
        except KeyboardInterrupt:
            console.tell(f"Ended after {steps} steps.")
    return steps, tokens


def loss_of(logits: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """A question's loss from (n,) logits and which sentences answer: a softmax with "none" at 0, each sentence, the highest."""
    chances = torch.log_softmax(torch.cat([logits, logits.new_zeros(1)]), 0)
    right = torch.logsumexp(chances[:-1][gold], 0) if gold.any() else chances[-1]
    wanted = gold.float()
    entropy = nn.functional.binary_cross_entropy_with_logits
    return -right + 2 * entropy(logits, wanted) + 0.5 * entropy(logits.max(), wanted.max())


def figures(learner: Learner, asked: Sequence[Asked], plain: Sequence[Asked], when: str) -> list[Measure]:
    """By language: AUROC of the highest verdict, how often a gold sentence has it, and how many plain questions are refused.

    Those are the `plain` ones under the verdict that refuses as many of the answerable as the product does.
    """
    from sklearn.metrics import roc_auc_score

    def verdicts(own: Sequence[Asked]) -> list[Array]:
        with torch.no_grad():
            return [_numbers(learner.logits(learner.pairs(each, range(len(each.gold))))) for each in own]

    measures = []
    for language in sorted({each.language for each in asked}):
        own = [each for each in asked if each.language == language]
        logits, known = verdicts(own), np.array([any(each.gold) for each in own])
        highest = np.array([each.max() for each in logits])
        first = [each.gold[int(one.argmax())] for each, one in zip(own, logits, strict=True) if any(each.gold)]
        measures.append(
            Measure(f"gold_first_{language}_{when}", float(np.mean(first)) if first else math.nan, n=len(first))
        )
        if known.any() and not known.all():
            measures.append(Measure(f"auroc_{language}_{when}", float(roc_auc_score(known, highest)), n=len(own)))
            least = np.quantile(highest[known], calibrate.FALSE_REFUSALS)
            refused = [one.max() < least for one in verdicts([each for each in plain if each.language == language])]
            if refused:
                measures.append(Measure(f"plain_refused_{language}_{when}", float(np.mean(refused)), n=len(refused)))
    return measures


def merged(stored: Mapping[str, Any], changes: Mapping[str, Array], instead: Mapping[str, Array]) -> dict[str, Any]:
    """The file's tensors with what was learned: each matrix's changes, old and new, at the ranks of before."""
    made = dict(stored)
    for stem, change in changes.items():
        before = judge.widened(stored, f"{stem}.up") @ judge.widened(stored, f"{stem}.down")
        rank = stored[f"{stem}.down"].shape[0]
        left, sizes, right = np.linalg.svd(before + change, full_matrices=False)
        root = np.sqrt(sizes[:rank])
        for part, value in (("up", left[:, :rank] * root), ("down", root[:, None] * right[:rank])):
            made[f"{stem}.{part}"], made[f"{stem}.{part}.scale"] = in_bytes(value)
    for name, value in instead.items():
        if f"{name}.scale" in stored:
            made[name], made[f"{name}.scale"] = in_bytes(value)
        elif name in stored:
            made[name] = value.astype(stored[name].dtype)
    return made


def in_bytes(matrix: Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(bytes, (rows,) scales) of a matrix, as `judge.widened` reads them."""
    scale = np.maximum((np.abs(matrix).max(1) / 127).astype(np.float16), np.float16(6e-8))
    return np.clip(np.round(matrix / scale.astype(np.float32)[:, None]), -127, 127).astype(np.int8), scale


def _write(file: Path, data: bytes) -> None:
    """The whole file or none of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(data)
    part.replace(file)


def _first(given: Any) -> Any:
    """A layer's states, whether it gives them alone or in a tuple."""
    return given[0] if isinstance(given, tuple) else given


def _numbers(value: torch.Tensor) -> Array:
    return np.ascontiguousarray(value.detach().float().numpy())
