"""Attacks on a trained model, and what they prove about its epsilon: a lower bound, to hold against the claim.

Canaries are made-up examples; each is included in the training with probability one half by an unpredictable coin. An
attacker then scores each of them (higher = looks trained on) and guesses. `audit` says how large epsilon must be at
least, at 95 % confidence, for guesses this good, beside membership inference and exposure. Every audit has a control
that must be caught: the same training without noise. A low bound proves nothing more than that these attacks failed.

Not training (the caller trains) and no accounting. Sources: Steinke, Nasr, Jagielski, arXiv 2305.08846 (one run,
theorem 5.2); Carlini et al., arXiv 2112.03570 (reference attack, TPR at low FPR); Carlini et al., arXiv 1802.08232
(exposure).
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privacy.errors import AuditFailed, BadRequest
from privacy.noise import Entropy, chosen, random_bytes

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_SHARES = (1.0, 0.75, 0.5, 0.25)
_MOST_EPSILON = 30.0
FEWEST = 20
"""Canaries: fewer prove nothing."""

NOT_COVERED = (
    "Retrieval over raw documents: what is in the knowledge base can be quoted, and epsilon says nothing about it.",
    "Text that is sent to a remote engine: it leaves this machine as it is.",
    "Losses and measures that were shown or stored while training: they are the data holder's own.",
    "Records of people whose other records are in data sets that this book does not know.",
)


@dataclass(frozen=True, slots=True)
class Attack:
    """How well one training was seen through. `epsilon` is the audited lower bound at 95 %."""

    epsilon: float
    guesses: int
    correct: int
    auroc: float
    tpr_at_1_fpr: float
    reference_auroc: float | None
    exposure: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """One audit: the claim, the attack on the private training, the attack on the control without noise."""

    claimed_epsilon: float
    delta: float
    unit: str
    mechanism: str
    canaries: int
    private: Attack
    control: Attack

    @property
    def objections(self) -> list[str]:
        """Why the claim does not stand, or this audit could not have told; [] where all is well."""
        found = []
        if self.private.epsilon > self.claimed_epsilon:
            found.append(
                f"Attacks prove an epsilon of at least {self.private.epsilon:.2f}; "
                f"{self.claimed_epsilon:.2f} is claimed."
            )
        if not self.control.epsilon > max(1.0, self.private.epsilon):
            found.append(
                f"The control without noise shows an epsilon of {self.control.epsilon:.2f} only: "
                "these attacks would not have noticed a fault."
            )
        return found

    def require(self) -> None:
        """Raises AuditFailed where there are objections."""
        if self.objections:
            blind = "It could not have told: more canaries, passes or a higher learning rate make attacks sharper."
            disproved = self.private.epsilon > self.claimed_epsilon
            raise AuditFailed(" ".join(self.objections), hint="Do not put this adapter to use." if disproved else blind)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**dataclasses.asdict(self), "not_covered": list(NOT_COVERED), "objections": self.objections}


def coins(count: int, *, entropy: Entropy = random_bytes) -> Flags:
    """(count,) which canaries are included: each by its own unpredictable coin."""
    included = np.zeros(count, dtype=bool)
    included[chosen(count, 0.5, entropy=entropy)] = True
    return included


def attack(
    scores: Scores, included: Flags, *, delta: float, reference: Scores | None = None, confidence: float = 0.95
) -> Attack:
    """What an attacker learns from one score a canary; `reference` are a model's that saw none of them.

    Raises:
        BadRequest: fewer than `FEWEST` canaries, or all of them on one side.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    scores = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-1e30, posinf=1e30, neginf=-1e30)
    if len(scores) < FEWEST or included.all() or not included.any():
        raise BadRequest(f"{len(scores)} canaries, {int(included.sum())} of them included: too few to audit by.")
    calibrated = scores if reference is None else scores - reference
    epsilon, guesses, correct = one_run(calibrated, included, delta=delta, confidence=confidence)
    false, true, _ = roc_curve(included, calibrated)
    return Attack(
        epsilon, guesses, correct, float(roc_auc_score(included, scores)),
        float(true[false <= 0.01].max()),
        None if reference is None else float(roc_auc_score(included, calibrated)),
        tuple(exposure(scores[included], scores[~included])),
    )  # fmt: skip


def one_run(scores: Scores, included: Flags, *, delta: float, confidence: float = 0.95) -> tuple[float, int, int]:
    """(lower bound of epsilon, guesses, correct guesses) of the best share of canaries to guess on.

    The attacker says "in" for the highest scores, "out" for the lowest, and abstains in between; for looking at
    several shares the confidence is divided among them.
    """
    order, best = np.argsort(scores), (0.0, 0, 0)
    for share in _SHARES:
        half = int(len(scores) * share) // 2
        if half < 1:
            continue
        correct = int((~included[order[:half]]).sum() + included[order[-half:]].sum())
        bound = _lower_bound(len(scores), 2 * half, correct, delta, (1 - confidence) / len(_SHARES))
        if bound > best[0] or not best[1]:
            best = (bound, 2 * half, correct)
    return best


def _lower_bound(total: int, guesses: int, correct: int, delta: float, p: float) -> float:
    """The largest epsilon that is ruled out at level p; 0 where none is."""
    if _likelihood(total, guesses, correct, 0.0, delta) >= p:
        return 0.0
    low, high = 0.0, _MOST_EPSILON
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if _likelihood(total, guesses, correct, middle, delta) < p else (low, middle)
    return low


def _likelihood(total: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """How likely so many correct guesses are at most, for any (epsilon, delta) private training: theorem 5.2."""
    from scipy.stats import binom

    rate = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guesses, rate))
    below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guesses, rate)) if correct else np.zeros(0)
    most = float((below / np.arange(1, correct + 1)).max()) if correct else 0.0
    return min(1.0, tail + 2 * total * delta * most)


def exposure(members: Scores, others: Scores) -> list[float]:
    """Bits by which each included canary stands out among the ones that were left out; 0 = not at all."""
    others = np.sort(others)
    ranks = 1 + len(others) - np.searchsorted(others, members, side="right")
    return [float(bits) for bits in np.maximum(0.0, math.log2(len(others) + 1) - np.log2(ranks))]


def as_html(report: AuditReport, *, subject: str = "", day: str = "") -> str:
    """The report as a page that a lawyer can read; it loads nothing from anywhere. `subject` was audited on `day`."""
    verdict = "The claim stands against these attacks." if not report.objections else " ".join(report.objections)
    claim = "infinite" if math.isinf(report.claimed_epsilon) else f"{report.claimed_epsilon:.2f}"
    odds = "no limit at all" if report.claimed_epsilon > 60 else f"{_round(math.exp(report.claimed_epsilon))} to 1"
    head = " · ".join(part for part in (subject, day) if part)
    rows = [("", "private training", "control without noise")] + [
        (name, show(report.private), show(report.control)) for name, show in _LINES.items()
    ]
    cells = "\n".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    limits = "\n".join(f"<li>{html.escape(line)}</li>" for line in NOT_COVERED)
    return _PAGE.format(
        verdict=html.escape(verdict), claim=claim, delta=f"{report.delta:g}", unit=html.escape(report.unit),
        mechanism=html.escape(report.mechanism), canaries=report.canaries, rows=cells, limits=limits,
        head=html.escape(head), odds=odds,
    )  # fmt: skip


def _round(value: float) -> str:
    """Two digits that count: 20.1 -> 20, 2981 -> 3,000."""
    places = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return f"{round(value, -places):,.0f}" if value >= 10 else f"{value:.1f}"


_LINES: dict[str, Callable[[Attack], str]] = {
    "epsilon is at least (95 %)": lambda one: f"{one.epsilon:.2f}",
    "correct guesses": lambda one: f"{one.correct} of {one.guesses}",
    "members told from others (AUROC; 0.5 = by chance)": lambda one: f"{one.auroc:.3f}",
    "members found when 1 % of others are accused": lambda one: f"{one.tpr_at_1_fpr:.3f}",
    "the same against a reference model (AUROC)": lambda one: (
        "not done" if one.reference_auroc is None else f"{one.reference_auroc:.3f}"
    ),
    "bits by which a canary stands out (median)": lambda one: f"{float(np.median(one.exposure)):.1f}",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Privacy audit</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }} td {{ border: 1px solid #999; padding: .3rem .6rem }}</style></head><body>
<h1>Privacy audit</h1>
<p>{head}</p>
<p><strong>{verdict}</strong></p>
<p>Claimed: differential privacy with epsilon {claim} at delta {delta}, for each {unit}: whoever sees the trained
model can tell whether one {unit} was in the training data only so far as epsilon allows. Neighbouring data sets
differ by one {unit} that is added or removed. In words: somebody who knows all the other records, and for whom it was
even (1 to 1) whether one {unit} was among them, can become sure of it to at most {odds} by studying the model; except
with a chance of {delta}, with which the promise may fail.</p>
<p>Mechanism: {mechanism}. In each step every {unit} is taken by chance at the sample rate, what it would change is
cut to the clip norm, and random noise larger than that by the noise multiplier is added to the sum.</p>
<p>Tested: {canaries} made-up records, each included with probability one half, were looked for in the trained
model. The control is the same training without noise; an audit that does not find them there would find nothing
anywhere.</p>
<table>{rows}</table>
<h2>What this does not cover</h2>
<ul>{limits}</ul>
<p>A low bound does not prove privacy; the proof is the mechanism. A bound above the claim proves that the claim is
false.</p>
</body></html>
"""
