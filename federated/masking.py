"""Secure aggregation: the coordinator learns the sum of the updates and nothing about one of them.

Every two partners share a secret (X25519 of their enrolled keys) from which they draw, for one
attempt of one round, the same random vector; one adds it, the other subtracts it, so all pair masks
cancel in the sum. Each partner adds a mask of its own too, which it discloses only when it is told
who arrived: for each partner that did not arrive it discloses the pair's seed of this attempt
instead. So a late update stays unreadable, and a drop-out does not void the round.

What it assumes: the coordinator follows the protocol (it may look at everything it holds), at
least `THRESHOLD` updates arrive, and no coalition leaves fewer than two honest partners. A
coordinator that tells different partners different lists of arrivals could strip one update; so could
one that has a round repeated with fewer partners, by the difference of the two sums. Disclosures are
not signed: nothing shows it afterwards.

Where the run hides partners (`--dp partner`), each adds integer noise before its masks, so much that
`quorum` of them carry the whole calibrated noise: those that drop out take away only what was extra.

Sources: Bonawitz et al., CCS 2017 (double masking); HKDF RFC 5869; ChaCha20 RFC 8439; distributed integer
noise: Kairouz, Liu, Steinke, arXiv:2102.06387 (at 10^5 steps and more the rounding changes nothing).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from federated.encoding import dequantise, flatten, quantise, step_size, unflatten, wrapped
from federated.errors import PlanRefused, RoundVoid
from federated.types import Arrays, Encoded, RoundPlan
from privacy.noise import Entropy, gaussian, random_bytes

THRESHOLD = 3
LEAST_SHARE = 0.1
"""The least share of a masked round, the largest being 1: below it the sum would be nearly one partner's update."""
_TAILS = 10.0
"""Standard deviations of the sum's noise that the integers leave room for; a wrap would only spoil the sum."""
_ROUNDED = 1.01
"""What rounding to integer steps may lengthen a sum by, and more."""
_SEED_BYTES = 32
Vector = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a partner discloses once it knows who arrived: its own seed, and one per drop-out."""

    partner: str
    arrived: tuple[str, ...]
    own_seed: bytes
    pair_seeds: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Masker:
    """One partner's side of one attempt of a round. Made anew for each plan; answers once.

    `own_seed` must outlive a crash of the partner between its update and its disclosure: the
    partner stores it with its round.
    """

    me: str
    private_key: X25519PrivateKey
    public_keys: Mapping[str, bytes]
    plan: RoundPlan
    own_seed: bytes = field(default_factory=lambda: secrets.token_bytes(_SEED_BYTES))
    entropy: Entropy = random_bytes
    _disclosed: Disclosure | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        missing = [name for name in self.plan.partners if name != self.me and name not in self.public_keys]
        if self.me not in self.plan.partners or missing:
            raise PlanRefused(f"The plan's partners do not fit the enrolled keys: {missing or self.me} is not known.")
        if len(self.plan.partners) < THRESHOLD or self.plan.quorum < THRESHOLD:
            raise PlanRefused(
                f"A masked round needs a quorum of at least {THRESHOLD}: the sum of two shows each the other's update."
            )
        if len(self.plan.weights) != len(self.plan.partners) or not alike(self.plan.weights):
            raise PlanRefused("The shares of this masked round would nearly show one partner's update in the sum.")

    def protect(self, update: Arrays, weight: float = 1.0) -> dict[str, Encoded]:
        """The update times its weight as masked integers; each alone is uniformly random.

        Args:
            update: clipped to the plan's `clip_norm`.
            weight: the plan's weight of this partner, at most 1: the mean needs no other.
        """
        vector = flatten({name: array * weight for name, array in update.items()}, self.plan.tensors)
        count, room = len(self.plan.partners), _room(self.plan)
        total = quantise(vector, self.plan.clip_norm, count, noise=room)
        if self.plan.hides_partners:
            total += wrapped(noise_share(self.plan, entropy=self.entropy))
        total += _expand(self.own_seed, total.size)
        for peer in self.plan.partners:
            if peer != self.me:
                total += _signed(_expand(self._pair_seed(peer), total.size), add=self.me < peer)
        return {name: Encoded(part) for name, part in unflatten(total, self.plan.tensors).items()}

    def disclose(self, arrived: Sequence[str]) -> Disclosure:
        """What lets the coordinator take the masks off the sum of `arrived`, and off nothing else.

        Raises:
            RoundVoid: too few arrived, this partner is not among them, or another list was
                answered before: two lists would lay an update bare.
        """
        names = tuple(sorted(set(arrived)))
        if self._disclosed is not None and self._disclosed.arrived != names:
            raise RoundVoid("This partner has answered another list of arrivals in this round; it answers one only.")
        strangers = set(names) - set(self.plan.partners)
        if len(names) < max(THRESHOLD, self.plan.quorum) or self.me not in names or strangers:
            raise RoundVoid(f"{len(names)} arrivals, {self.me} or a stranger among them: nothing is disclosed.")
        gone = [peer for peer in self.plan.partners if peer not in names]
        self._disclosed = Disclosure(self.me, names, self.own_seed, {peer: self._pair_seed(peer) for peer in gone})
        return self._disclosed

    def _pair_seed(self, peer: str) -> bytes:
        shared = self.private_key.exchange(X25519PublicKey.from_public_bytes(self.public_keys[peer]))
        pair = "|".join(sorted((self.me, peer)))
        derive = HKDF(hashes.SHA256(), _SEED_BYTES, salt=self.plan.digest(), info=f"confide pair mask {pair}".encode())
        return derive.derive(shared)


def alike(shares: Sequence[float]) -> bool:
    """Whether shares are positive and of like size, so that their sum hides each.

    >>> alike([1.0, 0.2, 0.5]), alike([1.0, 0.0, 0.5]), alike([])
    (True, False, True)
    """
    return all(0 < share < math.inf and share >= LEAST_SHARE * max(shares) for share in shares)


def unmask(plan: RoundPlan, total: Vector, disclosures: Sequence[Disclosure]) -> Arrays:
    """The sum of the arrived updates: the masks taken off the sum of their masked vectors.

    Args:
        plan: the attempt's plan.
        total: (n,) the sum modulo 2^32 of the arrived vectors, in the plan's order.
        disclosures: one of each arrived partner, all with the same list.

    Raises:
        RoundVoid: one is missing, or the lists differ.
    """
    lists = {disclosure.arrived for disclosure in disclosures}
    senders = tuple(sorted(disclosure.partner for disclosure in disclosures))
    if len(lists) != 1 or senders != next(iter(lists)):
        raise RoundVoid("Not every partner whose update arrived has disclosed its mask; the sum cannot be read.")
    result = total.copy()
    gone = {peer for peer in plan.partners if peer not in senders}
    for disclosure in disclosures:
        if set(disclosure.pair_seeds) != gone:
            raise RoundVoid(f"{disclosure.partner} has not disclosed the masks it shares with {sorted(gone)}.")
        result -= _expand(disclosure.own_seed, result.size)
        for peer, seed in disclosure.pair_seeds.items():
            result -= _signed(_expand(seed, result.size), add=disclosure.partner < peer)
    values = dequantise(result, plan.clip_norm, len(plan.partners), noise=_room(plan))
    return unflatten(values, plan.tensors)


def longest(plan: RoundPlan, senders: Sequence[str]) -> float:
    """The largest norm that the sum of these partners' clipped updates can have, with the noise that they add."""
    shares = sum(plan.weights[plan.partners.index(name)] for name in senders)
    noise = 0.0
    if plan.dp is not None and plan.hides_partners:
        std = plan.dp.noise_multiplier * plan.clip_norm * math.sqrt(len(senders) / plan.quorum)
        noise = std * (math.sqrt(plan.size) + _TAILS)
    return _ROUNDED * (plan.clip_norm * shares + noise)


def noise_share(plan: RoundPlan, *, entropy: Entropy = random_bytes) -> NDArray[np.int64]:
    """One partner's part of the sum's noise, (n,) integer steps: `quorum` parts carry all that was calibrated."""
    assert plan.dp is not None
    step = step_size(plan.clip_norm, len(plan.partners), _room(plan))
    # rounding to steps may lengthen an update by half a step in every direction
    sensitivity = plan.clip_norm / step + 0.5 * math.sqrt(plan.size)
    std = plan.dp.noise_multiplier * sensitivity / math.sqrt(plan.quorum)
    return np.rint(gaussian((plan.size,), std, entropy=entropy)).astype(np.int64)


def _room(plan: RoundPlan) -> float:
    """The most that noise adds to a sum, all partners' noise together."""
    if plan.dp is None or not plan.hides_partners:
        return 0.0
    return _TAILS * plan.dp.noise_multiplier * plan.clip_norm * math.sqrt(len(plan.partners) / plan.quorum)


def add(total: Vector | None, tensors: Mapping[str, Encoded], plan: RoundPlan) -> Vector:
    """The running sum with one masked update more: the update itself need not be kept."""
    vector = np.concatenate([np.ravel(tensors[spec.name].data) for spec in plan.tensors])
    return vector.astype(np.uint32) if total is None else total + vector


def _expand(seed: bytes, size: int) -> Vector:
    """`size` uniform 32-bit integers: the ChaCha20 key stream of a seed that is used once."""
    stream = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(4 * size))
    return np.frombuffer(stream, dtype="<u4").astype(np.uint32)


def _signed(vector: Vector, *, add: bool) -> Vector:
    return vector if add else (~vector + np.uint32(1))
