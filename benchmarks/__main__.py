"""`python -m benchmarks list` and `python -m benchmarks NAME [--json] [--save FILE]`.

One contract for every number of the project: a benchmark is a function that takes nothing (or a seed, where
each run is to be another one: `--seed` repeats it) and returns a `Report`. A new one is a line of REGISTRY.
"""

from __future__ import annotations

import argparse
import importlib
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assistant import console
from assistant.errors import BadInput, ConfideError
from assistant.registry import did_you_mean
from assistant.types import Report


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`target`: "module:function"; `minutes` on two cores; `goals`: measure -> (">=", ">", "<=" or "=", number).

    `seeded`: the function takes a seed, and a new one is drawn for each run.
    """

    target: str
    minutes: float
    what: str
    goals: dict[str, tuple[str, float]] = field(default_factory=dict)
    seeded: bool = False

    def run(self, seed: int | None = None) -> Report:
        """Measures. Imports what it needs only now."""
        module, _, function = self.target.partition(":")
        measure: Callable[..., Report] = getattr(importlib.import_module(module), function)
        if not self.seeded:
            return measure()
        seed = secrets.randbelow(2**32) if seed is None else seed
        console.tell(f"seed {seed}")
        return measure(seed)

    def goal(self, measure: str) -> str:
        """The goal as it is shown, "" where there is none."""
        sign, number = self.goals.get(measure, ("", 0.0))
        words = {">=": "at least ", ">": "above ", "<=": "at most ", "=": ""}
        return f"{words[sign]}{number:g}" if sign else ""

    def missed(self, report: Report) -> list[str]:
        """The measures that do not reach their goal, or were not measured."""
        values = {measure.name: measure.value for measure in report.measures}
        reached = {
            ">=": lambda v, g: v >= g,
            ">": lambda v, g: v > g,
            "<=": lambda v, g: v <= g,
            "=": lambda v, g: v == g,
        }
        return [
            name
            for name, (sign, goal) in self.goals.items()
            if name not in values or not reached[sign](values[name], goal)
        ]


REGISTRY: dict[str, Benchmark] = {
    "shop": Benchmark(
        "benchmarks.shop:run",
        5,
        "the demo shop's 120 questions through the whole walk ask, on the default model",
        {
            "recall@5": (">=", 0.95),
            "citations_exact": (">=", 1.0),
            "refusal_recall": (">=", 0.90),
            "false_refusals": ("<=", 0.10),
            "answer_facts": (">=", 0.85),
            "false_claims": ("<=", 0.02),
            "unsupported_facts": ("=", 0),
            "answer_facts_gain_low": (">", 0),
        },
    ),
    "scifact": Benchmark(
        "benchmarks.retrieval:scifact", 15, "BEIR SciFact: English retrieval", {"ndcg@10": (">=", 0.70)}
    ),
    "xquad": Benchmark(
        "benchmarks.retrieval:xquad",
        4,
        "XQuAD paragraphs: Chinese questions to Chinese and to English text",
        {"ndcg@10_zh": (">=", 0.95), "ndcg@10_zh_en": (">=", 0.80)},
    ),
    "dstc11-selection": Benchmark(
        "benchmarks.retrieval:dstc11_selection",
        6,
        "DSTC11 track 5, dev half: which knowledge a dialogue asks for; the organisers' f1 is 0.837",
    ),
    "calibrate": Benchmark(
        "benchmarks.calibrate:run",
        22,
        "fits the reader and the refusal thresholds on the calibration companies; writes calibration.json",
    ),
    "tune-judge": Benchmark(
        "benchmarks.tune_judge:run",
        90,
        "the judge learns further on the companies of calibration/near (TUNE_MINUTES); writes a judge.safetensors to try",
    ),
    "follow-ups": Benchmark(
        "benchmarks.follow_ups:run",
        1,
        "short questions of conversations, follow-ups and new topics: answered about what was asked",
    ),
    "several": Benchmark(
        "benchmarks.several:run",
        3,
        "two questions of the demo shop in one message: facts of both said, against reading it as one and asking one by one",
    ),
    "redaction": Benchmark(
        "benchmarks.redaction:run",
        0.3,
        "personal data in 2,000 synthetic messages (en, zh, de, es), a fresh seed each time",
        {"recall": (">=", 0.99), "precision": (">=", 0.95)},
    ),
    "erasure": Benchmark(
        "benchmarks.erasure:run",
        0.2,
        "50 strings of a customer planted all over a data folder, forgotten, and looked for byte by byte",
        {"found": ("=", 0), "vectors_found": ("=", 0), "others_lost": ("=", 0), "found_before": (">=", 50)},
    ),
    "dstc11-answers": Benchmark(
        "benchmarks.dstc11_answers:run",
        240,
        "DSTC11 track 5, dev half: answers from gold knowledge with and without an adapter; the organisers' rougeL is 0.287",
        {"rougeL": (">=", 0.287), "gain_low": (">", 0)},
    ),
    "serving": Benchmark(
        "benchmarks.serving:run",
        5,
        "the engine openvino against transformers' generate: one at a time, with an adapter, eight at once, second turns",
        {
            "decode_ratio": (">=", 2.0),
            "lora_decode_ratio": (">=", 1.7),
            "throughput_ratio_8": (">=", 3.0),
            "second_turn_ratio": ("<=", 0.2),
            "grounded_decode_ratio": (">=", 2.0),
        },
    ),
    "ask-latency": Benchmark(
        "benchmarks.ask_latency:run",
        3,
        "seconds to the first visible text of whole asks at a real server over the demo shop, one user and eight",
        {"p50": ("<=", 1.0), "p95": ("<=", 3.0)},
    ),
    "start": Benchmark(
        "benchmarks.ask_latency:start",
        2,
        "a server's second start: from the command to the first answer's end, and its resident memory",
        {"seconds": ("<=", 12), "resident_mb": ("<=", 1500)},
    ),
    "fairness": Benchmark(
        "benchmarks.ask_latency:fairness",
        4,
        "whole answers to a quiet visitor while another keeps eight questions under way, over the same alone",
        {"ratio_p95": ("<=", 2.0)},
    ),
    "load": Benchmark(
        "benchmarks.load:run",
        11,
        "8 to 48 customers who chat with a real server as people do, by locust: how many it holds",
    ),
    "quantised-quality": Benchmark(
        "benchmarks.quantised_quality:run",
        12,
        "answers to DSTC11's questions with weights of eight and four bits, against float32: ROUGE-L and seconds",
    ),
    "isolation": Benchmark(
        "benchmarks.isolation:run",
        5,
        "500 requests in turns under three adapters of one engine, caches on, against each adapter alone",
        {"leaks": ("=", 0), "leaks[hf]": ("=", 0), "distinct": (">=", 1.0), "distinct[hf]": (">=", 1.0)},
    ),
    "embedding": Benchmark(
        "benchmarks.embedding:run",
        1,
        "the English encoder as it is run here against sentence-transformers in float32, in turns",
        {"ratio": (">=", 2.5), "min_cosine": (">=", 0.99)},
    ),
    "ingest": Benchmark(
        "benchmarks.ingest_speed:run",
        3,
        "the walk ingest on a folder of mixed files against the bare embedder on the same texts",
        {"ratio": (">=", 0.7)},
    ),
    "retrieval-latency": Benchmark(
        "benchmarks.retrieval_latency:run",
        6,
        "a hybrid search over 100,000 passages, the question's embedding included",
        {"p95_ms": ("<=", 30)},
    ),
    "training-speed": Benchmark(
        "benchmarks.training_speed:run",
        4,
        "a chat adapter's training on this processor against a bare PyTorch + PEFT loop",
        {"tokens_ratio": (">=", 1.2), "memory_ratio": ("<=", 1.0), "preset_ratio": (">=", 3.0)},
    ),
    "citations-fuzz": Benchmark(
        "benchmarks.citations_fuzz:run",
        5,
        "10,000 model outputs, hostile ones among them, against the citation check",
        {"violations": ("=", 0)},
        seeded=True,
    ),
    "aggregation": Benchmark(
        "benchmarks.federation:aggregation",
        0.5,
        "aggregated LoRA products against their exact mean, masked and plain",
        {"masked_error": ("<=", 1e-4), "plain_error": ("<=", 1e-6)},
    ),
    "masking": Benchmark(
        "benchmarks.federation:masks",
        0.2,
        "what secure aggregation costs a partner, 368,640 numbers, five partners",
        {"seconds_per_partner": ("<=", 0.5)},
    ),
    "gate": Benchmark(
        "benchmarks.federation:gates", 0.1, "malformed updates that the gate accepts", {"accepted": ("=", 0)}
    ),
    "federated-ledger": Benchmark(
        "benchmarks.federated_ledger:run",
        3,
        "ten private rounds, three partners, bundled encoder: each partner's book against its one calibration",
        {"epsilon_error": ("<=", 0.001)},
    ),
    "federated-identity": Benchmark(
        "benchmarks.federated_identity:run",
        4,
        "real daemons over TLS: expired certificate, wrong authority, unregistered key, revoked key, replayed update",
        {"accepted": ("=", 0), "honest_accepted": (">=", 6)},
    ),
    "federated-kills": Benchmark(
        "benchmarks.federated_kills:run",
        8,
        "real daemons: SIGKILL of the coordinator and of a partner, mid-round and between rounds",
        {"rounds_lost": ("<=", 1), "double_adds": ("=", 0), "endless_waits": ("=", 0)},
    ),
    "federated-traffic": Benchmark(
        "benchmarks.federated_daemons:traffic",
        5,
        "megabytes of a whole run through a relay: ten rounds, three partners, default model, both directions",
        {"megabytes": ("<=", 50)},
    ),
    "hostile": Benchmark(
        "benchmarks.federated_hostile:run",
        10,
        "one hostile partner of five, nine attacks, in robust mode; plain averaging is the control",
        {"worst_loss_percent": ("<=", 5), "plain_fails": ("=", 1)},
    ),
    "federated-banking77": Benchmark(
        "benchmarks.federated_banking77:run",
        20,
        "BANKING77 among five partners, evenly and skewed by label, beside one company with all of it",
        {"gap_iid": ("<=", 1), "gap_dirichlet": ("<=", 3), "over_best_single": (">=", 0.001)},
    ),
    "federated-dstc11": Benchmark(
        "benchmarks.federated_dstc11:run",
        30,
        "DSTC11 track 5 among three partners by hotel and restaurant, beside one company with all of it",
        {"rougeL_ratio": (">=", 0.98), "over_best_single": (">=", 0.0001)},
    ),
    "movielens": Benchmark(
        "benchmarks.movielens:run",
        4,
        "MovieLens small 2016: the scorers and the blend, leave the last out, all unseen items ranked",
        {"hr@10": (">=", 0.090), "ndcg@10": (">=", 0.045)},
    ),
    "scorer-agreement": Benchmark(
        "benchmarks.scorer_agreement:run",
        0.2,
        "each scorer against the textbook's formula in float64",
        {"max_error": ("<=", 1e-6)},
    ),
    "shop-recommend": Benchmark(
        "benchmarks.recommend:shop",
        3,
        "60 requests with conditions, a third Chinese; the facts of 1,000 generated ones",
        {"constraints_kept": (">=", 1.0), "parsed_correctly": (">=", 0.95), "untrue_facts": ("=", 0)},
    ),
    "recommend-latency": Benchmark(
        "benchmarks.recommend_size:latency", 4, "the walk recommend at 100,000 items", {"p95_ms": ("<=", 50)}
    ),
    "recommend-scale": Benchmark(
        "benchmarks.recommend_size:scale",
        6,
        "fitting on 1,000,000 synthetic interactions; the approximate index at 1,000,000 items",
        {"fit_seconds": ("<=", 60), "peak_mb": ("<=", 2000), "recall@100": (">=", 0.95), "p95_ms_ann": ("<=", 10)},
    ),
    "banking77": Benchmark(
        "benchmarks.banking77:run",
        6,
        "BANKING77: 77 intents, LoRA on the bundled encoder beside a linear SVM",
        {"accuracy": (">=", 0.925)},
    ),
    "banking77-10shot": Benchmark(
        "benchmarks.banking77:few",
        8,
        "BANKING77 with ten examples a class, five draws",
        {"accuracy": (">=", 0.85)},
    ),
    "phrasebank": Benchmark(
        "benchmarks.phrasebank:run",
        8,
        "Financial PhraseBank, all annotators agree: sentiment, five folds",
        {"accuracy": (">=", 0.95)},
    ),
    "german-credit": Benchmark(
        "benchmarks.german_credit:run", 3, "German credit as text: risk, and a fairness report by sex and age"
    ),
    "wnut17": Benchmark("benchmarks.wnut17:run", 4, "WNUT 2017: emerging entities, LoRA tagging beside a CRF"),
    "names": Benchmark(
        "benchmarks.names:run",
        5,
        "names and places in WNUT 2017: the recall of a tagger for the redactor, trained on its sentences",
    ),
    "ledger-accounting": Benchmark(
        "benchmarks.privacy_ledger:accounting",
        8,
        "epsilon from the privacy book on 200 random plans, against dp-accounting and Opacus",
        {"max_relative_error": ("<=", 0.01), "understated": ("=", 0)},
    ),
    "ledger-kills": Benchmark(
        "benchmarks.privacy_ledger:kills",
        3,
        "500 SIGKILLs at random moments of charging, training and settling",
        {"understated": ("=", 0), "broken": ("=", 0), "steps_taken": (">=", 1000)},
    ),
    "ledger-race": Benchmark(
        "benchmarks.privacy_ledger:racing",
        3,
        "50 processes that spend one budget at once",
        {"overspent": ("=", 0), "lost_rows": ("=", 0), "left_unused": ("=", 0)},
    ),
    "ledger-tamper": Benchmark(
        "benchmarks.privacy_ledger:tampering",
        1,
        "edits, roll-backs, copies and forgeries of the privacy book",
        {"undetected": ("=", 0), "false_alarms": ("=", 0)},
    ),
    "curated": Benchmark(
        "benchmarks.curated:run",
        0.5,
        "paraphrases that an approved question recognises, and near misses that it must not",
        {
            "near_misses_taken_made_with": ("=", 0),
            "near_misses_taken_held_out": ("=", 0),
            "recognised_held_out": (">=", 0.6),
        },
    ),
    "loop": Benchmark(
        "benchmarks.loop:run",
        15,
        "three turns of the loop on the demo shop: simulated customers rate and correct, staff approve, an adapter is trained",
        {"answer_facts_gain_low": (">", 0), "approved_wrongly": ("=", 0)},
    ),
    "feedback-forgery": Benchmark(
        "benchmarks.feedback_forgery:run",
        0.5,
        "1,000 forged, replayed and foreign ratings over HTTP, beside honest ones",
        {"accepted": ("=", 0), "honest_refused": ("=", 0)},
        seeded=True,
    ),
    "widget": Benchmark(
        "benchmarks.widget:run",
        1,
        "the widget's size packed; whom page, widget and server ask with every feature used once, in Chromium",
        {"kilobytes_gzipped": ("<=", 20), "foreign_requests": ("=", 0)},
    ),
    "accessibility": Benchmark(
        "benchmarks.accessibility:run",
        4,
        "what axe finds in Chromium on the chat page, the staff's tabs and the widget, wide and narrow, light and dark",
        {"serious": ("=", 0)},
    ),
    "desk-kills": Benchmark(
        "benchmarks.desk_kills:run",
        10,
        "200 SIGKILLs of the server while simulated customers and staff hand conversations over and back over HTTP",
        {"lost": ("=", 0), "doubled": ("=", 0), "misdirected": ("=", 0)},
        seeded=True,
    ),
    "openai-client": Benchmark(
        "benchmarks.openai_client:run",
        0.5,
        "the official client's calls against our API: streams, errors, unknown models, over-long input",
        {"failures": ("=", 0)},
    ),
    "privacy-audit": Benchmark(
        "benchmarks.privacy_training:audit",
        6,
        "attacks on a private training and on its control without noise, three seeds, epsilon 3",
        {"audited_over_claimed": ("<=", 1), "control_epsilon": (">=", 3)},
    ),
    "dp-speed": Benchmark(
        "benchmarks.privacy_training:speed",
        3,
        "a step of DP-LoRA over a step of plain LoRA, same sequences, default chat model",
        {"time_ratio": ("<=", 1.15), "memory_ratio": ("<=", 1.30)},
    ),
    "dp-utility": Benchmark(
        "benchmarks.privacy_training:utility",
        22,
        "PhraseBank at epsilon 8 beside training without privacy, in five folds",
        {"gap_phrasebank_8": ("<=", 3)},
    ),
    "dp-utility-banking77": Benchmark(
        "benchmarks.privacy_training:utility_banking77",
        20,
        "BANKING77 at epsilon 8 and 3 beside training without privacy",
        {},
    ),
}


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 measured, 1 failed, 2 bad input. A missed goal is shown, not an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures; `list` names what there is.")
    parser.add_argument("name", help="a name of `list`, or list")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the report there too, as JSON")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a goal is missed")
    parser.add_argument("--seed", type=int, help="repeat a run of a benchmark that draws a seed")
    asked = parser.parse_args(arguments)
    try:
        if asked.name == "list":
            return _list(asked.json)
        return _measure(asked.name, as_json=asked.json, save=asked.save, strict=asked.strict, seed=asked.seed)
    except ConfideError as error:
        console.tell(f"{error.message} {error.hint}".strip())
        return error.exit_code
    except FileNotFoundError as error:
        from benchmarks.common import data_root

        if data_root() not in Path(str(error.filename)).parents:  # a fault of the program
            raise
        console.tell(f"{error.filename} is not here: the data set is incomplete. docs/benchmarks.md says what it is.")
        return 2
    except KeyboardInterrupt:
        console.tell("Interrupted.")
        return 130


def _list(as_json: bool) -> int:
    if as_json:
        console.print_json([{"name": n, "minutes": b.minutes, "what": b.what} for n, b in REGISTRY.items()])
    else:
        rows = [(name, f"{each.minutes:g}", each.what) for name, each in REGISTRY.items()]
        console.print_table(("benchmark", "minutes", "what"), rows)
    return 0


def _measure(name: str, *, as_json: bool, save: Path | None, strict: bool, seed: int | None) -> int:
    if name not in REGISTRY:
        raise BadInput(f"There is no benchmark {name!r}.", hint=did_you_mean(name, REGISTRY))
    if save:
        console.require_writable(save)
    benchmark = REGISTRY[name]
    console.tell(f"{name}: {benchmark.what}; about {benchmark.minutes:g} minutes on two cores")
    report = benchmark.run(seed)
    if save:
        save.write_text(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if as_json:
        console.print_json(report.to_dict())
    else:
        console.print_report(report, targets={measure: benchmark.goal(measure) for measure in benchmark.goals})
    missed = benchmark.missed(report)
    if missed:
        console.tell(f"Below its goal: {', '.join(missed)}")
    return 1 if missed and strict else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
