"""quantised-quality: what fewer bits a weight cost the answers to DSTC11's questions, beside what they save in time.

The same grounded prompts as `dstc11-answers`, the bundled model without an adapter, greedy. The reference is the
engine `hf` in float32; the others are `openvino` with weights of eight bits (what is served) and of four.
`rougeL` is against the human answers, `cost` the reference's less theirs, answer by answer; `seconds_ratio` the
reference's seconds over theirs, each with its own way of computing several at once.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

from assistant.engines import models, openvino, ov_files, quantised
from assistant.metrics import rouge_l
from assistant.provenance import provenance
from assistant.settings import Settings, load_settings
from assistant.tuning import networks
from assistant.tuning.answers import answers
from assistant.tuning.data import ChatRow
from assistant.tuning.tasks import ChatTask
from assistant.types import Company, GenerateOptions, Measure, Message, Report
from benchmarks.common import mean
from benchmarks.dstc11_answers import Plan, folds, read_rows

NEW, AT_ONCE = 64, 8
KINDS = {"8": "q8_0", "4": "q4_0"}
"""Bits a weight, and the format that the engine is given."""


def run() -> Report:
    """ROUGE-L and seconds of each number of bits."""
    settings = load_settings()
    _, test = folds(read_rows(), Plan(folds=2, train_rows=600, test_rows=120))[0]
    rows = [row for row in test.rows if isinstance(row, ChatRow)]
    references = [row.messages[-1].text for row in rows]
    path = models.prepare(settings)
    tokenizer, net = networks.load_chat(path, dtype="float32")
    task = ChatTask(max_tokens=1024, company=Company({"en": "Cambridge hotels and restaurants"}))
    prompts = [task.messages(row, tokenizer) for row in rows]
    began = time.perf_counter()
    texts = dict(answers(net, tokenizer, prompts, max_new_tokens=NEW, batch_size=AT_ONCE))
    whole = time.perf_counter() - began
    exact = rouge_l([texts[place] for place in range(len(rows))], references)
    measures = [mean("rougeL[32]", exact)]
    for bits, kind in KINDS.items():
        with _engine(settings, kind) as engine:
            began = time.perf_counter()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                said = list(pool.map(functools.partial(_said, engine), prompts))
            took = time.perf_counter() - began
        scores = rouge_l(said, references)
        measures += [
            mean(f"rougeL[{bits}]", scores),
            mean(f"cost[{bits}]", [before - after for before, after in zip(exact, scores, strict=True)]),
            Measure(f"seconds_ratio[{bits}]", whole / took, n=len(rows)),
        ]
    return Report("quantised-quality", tuple(measures), provenance(settings, seed=Plan().seed, new_tokens=NEW))


@contextmanager
def _engine(settings: Settings, kind: str) -> Iterator[openvino.OpenVinoEngine]:
    """The engine over weights of this format, written into a folder of its own."""
    path, info = models.prepare(settings), models.resolve(settings)[1]
    source = models.source_of(settings)
    if source is None:
        raise RuntimeError("the model did not come as GGUF")
    write = functools.partial(quantised.write, kind=kind)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(ov_files.quantised, "write", write):
        engine = openvino.OpenVinoEngine(path, info, like=source, cache=Path(folder))
        with closing(engine):
            yield engine


def _said(engine: openvino.OpenVinoEngine, prompt: Sequence[Message]) -> str:
    return "".join(engine.stream(prompt, GenerateOptions(max_new_tokens=NEW, time_limit_s=600))).strip()
