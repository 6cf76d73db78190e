"""From the partners' updates to the next shared adapter. Pure arrays: no wire, no clock, no files.

A LoRA layer computes `x + scale * B A x`, A (r, in), B (out, r). The mean of the products is not
the product of the means; with one frozen A that all share it is: `mean(B_i) A == mean(B_i A)`.
So B alone is trained and sent by default, which is exact, linear (it can be masked) and half the
traffic. The other exact ways need every partner's own matrices.

Sources: FFA-LoRA (arXiv:2403.12313), FedSVD (arXiv:2505.12805), FLoRA stacking (arXiv:2409.05976),
FedOpt (arXiv:2003.00295), trimmed mean and median (arXiv:1803.01498), Krum (Blanchard et al. 2017).
What is not here: what an update must satisfy before it may be added (`gate.py`), masks (`masking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federated.errors import BadRequest
from federated.types import Arrays

Matrix = NDArray[np.float64]


def norm(update: Mapping[str, Matrix]) -> float:
    """The L2 norm over all tensors of an update."""
    return float(np.sqrt(sum(float(np.vdot(array, array)) for array in update.values())))


def clip(update: Arrays, clip_norm: float) -> Arrays:
    """The update, scaled down where its norm is above `clip_norm`. A zero update stays zero."""
    size = norm(update)
    factor = 1.0 if size <= clip_norm else clip_norm / size
    return {name: array * factor for name, array in update.items()}


def mean(updates: Sequence[Arrays], weights: Sequence[float] | None = None) -> Arrays:
    """The weighted mean of each tensor, in float64.

    Raises:
        BadRequest: no update, or weights that are negative, not finite, or all zero.
    """
    shares = _shares(len(updates), weights)
    return {
        name: np.asarray(
            sum(share * np.asarray(update[name], np.float64) for share, update in zip(shares, updates, strict=True))
        )
        for name in updates[0]
    }


def _shares(count: int, weights: Sequence[float] | None) -> list[float]:
    if count == 0:
        raise BadRequest("There is nothing to aggregate.")
    values = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise BadRequest(f"The weights {weights} are not {count} shares.")
    return [float(value) for value in values / values.sum()]


def median(updates: Sequence[Arrays]) -> Arrays:
    """The coordinate-wise median: holds while fewer than half of the partners are hostile."""
    return {name: np.median(_stack(updates, name), axis=0) for name in updates[0]}


def trimmed_mean(updates: Sequence[Arrays], hostile: int) -> Arrays:
    """The mean of each coordinate without its `hostile` largest and smallest values.

    Raises:
        BadRequest: fewer than `2 * hostile + 1` updates.
    """
    if len(updates) < 2 * hostile + 1:
        raise BadRequest(
            f"A trimmed mean against {hostile} hostile partners needs {2 * hostile + 1} updates, not {len(updates)}."
        )
    kept = slice(hostile, len(updates) - hostile)
    return {name: np.sort(_stack(updates, name), axis=0)[kept].mean(axis=0) for name in updates[0]}


def multi_krum(updates: Sequence[Arrays], hostile: int) -> Arrays:
    """The mean of the `n - hostile - 2` updates that are closest to their neighbours.

    Raises:
        BadRequest: fewer than `2 * hostile + 3` updates, where Krum proves nothing.
    """
    count = len(updates)
    if count < 2 * hostile + 3:
        raise BadRequest(f"Krum against {hostile} hostile partners needs {2 * hostile + 3} updates; there are {count}.")
    flat = np.stack([np.concatenate([np.ravel(update[name]) for name in sorted(update)]) for update in updates])
    squares = np.einsum("ij,ij->i", flat, flat)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * flat @ flat.T, 0)
    np.fill_diagonal(distances, np.inf)
    near = count - hostile - 2
    scores = np.sort(distances, axis=1)[:, :near].sum(axis=1)
    chosen = np.argsort(scores, kind="stable")[:near]
    return mean([updates[index] for index in sorted(chosen)])


def _stack(updates: Sequence[Arrays], name: str) -> Matrix:
    if not updates:
        raise BadRequest("There is nothing to aggregate.")
    return np.stack([np.asarray(update[name], np.float64) for update in updates])


Rule = Literal["mean", "trimmed-mean", "median", "multi-krum"]


def robust(updates: Sequence[Arrays], rule: Rule, *, hostile: int) -> Arrays:
    """The updates clipped to their median norm, then combined by a rule that outvotes `hostile` of them.

    Clipping first takes the reach from an update of huge norm, which a mean of few would feel.
    """
    sizes = [norm(update) for update in updates]
    limit = float(np.median(sizes)) if sizes else 0.0
    clipped = [clip(update, limit) for update in updates]
    if rule == "mean":
        return mean(clipped)
    if rule == "median":
        return median(clipped)
    if rule == "trimmed-mean":
        return trimmed_mean(clipped, hostile)
    return multi_krum(clipped, hostile)


# Both matrices trained


def product_mean(
    pairs: Sequence[tuple[Matrix, Matrix]], weights: Sequence[float] | None = None
) -> tuple[Matrix, Matrix]:
    """Stacked factors of the exact weighted mean of the products `B_i A_i`.

    Args:
        pairs: (A_i (r_i, in), B_i (out, r_i)); ranks may differ.
        weights: a share per partner; None = uniform.

    Returns:
        A (sum r_i, in) and B (out, sum r_i) with `B @ A == sum w_i B_i A_i`.
    """
    shares = _shares(len(pairs), weights)
    stacked_a = np.concatenate([np.asarray(a, np.float64) for a, _ in pairs], axis=0)
    stacked_b = np.concatenate(
        [share * np.asarray(b, np.float64) for share, (_, b) in zip(shares, pairs, strict=True)], axis=1
    )
    return stacked_a, stacked_b


def refactorise(a: Matrix, b: Matrix, rank: int) -> tuple[Matrix, Matrix, float]:
    """The best factors of rank `rank` of `B A`, the rows of A orthonormal; and what is lost.

    Costs QR of the thin factors and an SVD of (r, r): the product itself is never formed. After
    it A is frozen anew and training goes on from B. Post-processing: costs no privacy.

    Returns:
        A (rank, in), B (out, rank), and the Frobenius norm of the difference to `B A`.
    """
    q_b, r_b = np.linalg.qr(np.asarray(b, np.float64))
    q_a, r_a = np.linalg.qr(np.asarray(a, np.float64).T)
    u, s, vt = np.linalg.svd(r_b @ r_a.T, full_matrices=False)
    kept = min(rank, s.size)
    new_a = vt[:kept] @ q_a.T
    new_b = (q_b @ u[:, :kept]) * s[:kept]
    if kept < rank:
        new_a = np.concatenate([new_a, np.zeros((rank - kept, new_a.shape[1]))])
        new_b = np.concatenate([new_b, np.zeros((new_b.shape[0], rank - kept))], axis=1)
    return new_a, new_b, float(np.sqrt((s[kept:] ** 2).sum()))


def refactored(weights: Arrays, frozen: Arrays) -> tuple[Arrays, Arrays]:
    """(B and the rest, A) with the same products, the rows of each A orthonormal.

    Args:
        weights: `...lora_B...` matrices (out, r), and what is trained beside them.
        frozen: the `...lora_A...` matrices (r, in) of the same layers.
    """
    trained, fixed = dict(weights), dict(frozen)
    for name, b in weights.items():
        other = _twin(name)
        if other in frozen:
            fixed[other], trained[name], _ = refactorise(frozen[other], b, b.shape[1])
    return trained, fixed


def stacked(start: Arrays, changes: Sequence[Arrays], weights: Sequence[float] | None = None) -> Arrays:
    """The next weights where partners train both matrices: factors of the mean of their products.

    The exact mean of n products of rank r has rank n r; its best approximation of rank r is kept, which is
    exact where the partners agree on r directions. What is no pair of matrices is averaged.
    """
    shares = _shares(len(changes), weights)
    found = {name: start[name] + change for name, change in mean(changes, shares).items()}
    for name in [name for name in start if _twin(name) in start and "lora_B" in name]:
        other = _twin(name)
        pairs = [(start[other] + each[other], start[name] + each[name]) for each in changes]
        a, b = product_mean(pairs, shares)
        found[other], found[name], _ = refactorise(a, b, start[name].shape[1])
    return found


def _twin(name: str) -> str:
    """The A of a B."""
    return name.replace("lora_B", "lora_A")


def widen(b: Matrix, rank: int) -> Matrix:
    """B of a partner that trains only its first columns, with zeros to the shared rank: (out, rank).

    Raises:
        BadRequest: it has more columns than the shared rank.
    """
    if b.shape[1] > rank:
        raise BadRequest(f"An update of rank {b.shape[1]} does not fit into the shared rank {rank}.")
    return np.concatenate([b, np.zeros((b.shape[0], rank - b.shape[1]))], axis=1)


# The server's step


@dataclass(frozen=True, slots=True, eq=False)
class ServerStep:
    """How the mean update is applied: plain, with momentum, or by Adam; with its running state.

    `apply` returns the step to add to the weights and the state after it, which is checkpointed.
    """

    rule: Literal["plain", "momentum", "adam"] = "plain"
    learning_rate: float = 1.0
    momentum: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)

    def apply(self, update: Arrays) -> tuple[Arrays, ServerStep]:
        """The step for this mean update. The signs are those of an update to *add*."""
        if self.rule == "plain":
            return {name: self.learning_rate * array for name, array in update.items()}, self
        own = 1.0 if self.rule == "momentum" else 1.0 - self.momentum
        first = {name: self.momentum * self.first.get(name, 0.0) + own * array for name, array in update.items()}
        if self.rule == "momentum":
            second = self.second
            step = {name: self.learning_rate * array for name, array in first.items()}
        else:
            second = {
                name: self.beta2 * self.second.get(name, 0.0) + (1 - self.beta2) * array**2
                for name, array in update.items()
            }
            step = {name: self.learning_rate * first[name] / (np.sqrt(second[name]) + self.tau) for name in update}
        state = ServerStep(self.rule, self.learning_rate, self.momentum, self.beta2, self.tau, first, second)
        return step, state
