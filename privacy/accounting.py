"""Spends and a delta to epsilon, and back: the noise that a target epsilon needs.

Not a place where anything is kept (`ledger.py`) or trained (`dpsgd.py`). Epsilon is an upper bound from
privacy loss distributions (dp-accounting), neighbours by adding or removing one unit; the grid is
refined until the bound stands still, and every grid errs upwards. Never the Gaussian approximation, which
understates.

Sources: Koskela et al., arXiv 1906.03049; Doroshenko et al., arXiv 2207.04380 (connect the dots);
Ganesh, arXiv 2401.10294 (groups of a customer's examples).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from privacy.errors import BadRequest, BudgetExceeded
from privacy.types import Affordable, PrivacyBudget, PrivacySpend, Unit

Events = tuple[tuple[tuple[str, float, float, int], int], ...]
"""What was spent: ((mechanism, noise, sample rate, group), steps), in order: the same sums, to the last digit."""

MECHANISMS = ("dpsgd", "gaussian", "laplace", "discrete-laplace", "nonprivate")
EPSILONS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
_RANK: dict[Unit, int] = {"example": 0, "customer": 1, "partner": 2}
_GRIDS = (1e-3, 1e-4, 1e-5)
_STANDS_STILL = 0.002
_MEANINGLESS = 60.0  # beyond it the rough bound will do, and the grids would grow without end
_CELLS = 1e5
_ORDERS = [*range(2, 65), 96, 128, 192, 256, 512, 1024]
_LEAST_NOISE, _MOST_NOISE = 0.3, 1e3
_NO_NOISE = 1e-6  # below it the bound is beyond any number worth computing


def epsilon(spends: Iterable[PrivacySpend], delta: float, *, unit: Unit = "example") -> float:
    """The epsilon, at `delta` and for one `unit`, of all spends together: an upper bound.

    A spend for a larger unit counts as it is. A spend per example counts for a customer by the most
    examples one customer has, and is infinite where that is not known.

    Raises:
        BadRequest: a parameter is out of its range; all of them are named.

    >>> round(epsilon([PrivacySpend("dpsgd", 1.0, 0.01, 1000, 1.0, "example", "chats")], 1e-5), 2)
    1.83
    """
    spends = [spend for spend in spends if spend.steps > 0 or _faults(spend)]
    faults = [fault for spend in spends for fault in _faults(spend)]
    if not 0 < delta < 1:
        faults.append(f"delta is {delta}, not between 0 and 1")
    if faults:
        raise BadRequest(f"No epsilon can be given: {'; '.join(faults)}.")
    events: Counter[tuple[str, float, float, int]] = Counter()
    for spend in spends:
        group = _group(spend, unit)
        if spend.mechanism == "nonprivate" or spend.noise_multiplier < _NO_NOISE or group is None:
            return math.inf
        events[(spend.mechanism, spend.noise_multiplier, spend.sample_rate, group)] += spend.steps
    return _refined(tuple(sorted(events.items())), delta) if events else 0.0


@functools.lru_cache(maxsize=4096)  # a tenth of a second and more, and a book is asked again at every look and charge
def _refined(events: Events, delta: float) -> float:
    """The bound on ever finer grids until it stands still; a coarse grid is only too careful."""
    rough = _rough(events, delta)
    if rough > _MEANINGLESS:
        return rough
    bound = rough
    for grid in _GRIDS:
        if grid < _GRIDS[0] and bound / grid > _CELLS:
            break
        finer = _compose(events, delta, grid)
        if grid < _GRIDS[0] and bound - finer <= _STANDS_STILL * finer:
            return min(bound, finer)
        bound = min(bound, finer)
        if bound >= 1 and all(10 * grid <= rate / noise for (_, noise, rate, _), _ in events):
            break  # a step's loss spans many cells of the grid: a finer one would not move the bound
    return bound


def _rough(events: Events, delta: float) -> float:
    """A looser bound at once, by Renyi differential privacy: a group's members count as if they came together."""
    from dp_accounting import GaussianDpEvent, LaplaceDpEvent, PoissonSampledDpEvent, ZCDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=_ORDERS)
    for (mechanism, noise, rate, group), steps in events:
        if mechanism == "discrete-laplace":  # pure: epsilon group/noise is at most half its square in zCDP
            accountant.compose(ZCDpEvent(xi=0.0, rho=(group / noise) ** 2 / 2), steps)
            continue
        step = (LaplaceDpEvent if mechanism == "laplace" else GaussianDpEvent)(noise / group)
        if mechanism != "laplace" and rate < 1:
            step = PoissonSampledDpEvent(1 - (1 - rate) ** group, step)
        accountant.compose(step, steps)
    return float(accountant.get_epsilon(delta))


def _compose(events: Events, delta: float, grid: float) -> float:
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=grid)
    for event, steps in events:
        accountant.compose(_event(*event), steps)
    return float(accountant.get_epsilon(delta))


def _event(mechanism: str, noise: float, rate: float, group: int) -> Any:
    """One step as dp-accounting's event."""
    import dp_accounting as dp
    from scipy.stats import binom

    if mechanism == "discrete-laplace":
        return dp.dp_event.DiscreteLaplaceDpEvent(1 / noise, group)
    if mechanism == "laplace":
        # of a group any member may be sampled; then all of them count
        either = 1 - (1 - rate) ** group
        return dp.PoissonSampledDpEvent(either, dp.LaplaceDpEvent(noise / group))
    if rate == 1:
        return dp.GaussianDpEvent(noise / group)
    if group == 1:
        return dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise))
    present = range(group + 1)
    likely = [float(p) for p in binom.pmf(list(present), group, rate)]
    return dp.dp_event.MixtureOfGaussiansDpEvent(noise, [float(n) for n in present], [p / sum(likely) for p in likely])


def _group(spend: PrivacySpend, unit: Unit) -> int | None:
    """How many of the spend's units one `unit` holds; None = nobody knows."""
    if _RANK[spend.unit] >= _RANK[unit]:
        return 1
    return spend.per_customer if (spend.unit, unit) == ("example", "customer") else None


def _faults(spend: PrivacySpend) -> list[str]:
    faults = []
    if spend.mechanism not in MECHANISMS:
        faults.append(f"the mechanism {spend.mechanism!r} is not one of {', '.join(MECHANISMS)}")
    if spend.unit not in _RANK:
        faults.append(f"the unit {spend.unit!r} is not one of {', '.join(_RANK)}")
    if not (math.isfinite(spend.noise_multiplier) and spend.noise_multiplier >= 0):
        faults.append(f"the noise multiplier is {spend.noise_multiplier}")
    if not 0 <= spend.sample_rate <= 1:
        faults.append(f"the sample rate is {spend.sample_rate}, not between 0 and 1")
    if spend.mechanism == "discrete-laplace" and spend.sample_rate != 1:
        faults.append(f"the sample rate of a count is {spend.sample_rate}, not 1")
    if isinstance(spend.steps, bool) or not isinstance(spend.steps, int) or spend.steps < 0:
        faults.append(f"the steps are {spend.steps!r}")
    if not spend.clip_norm > 0:
        faults.append(f"the clip norm is {spend.clip_norm}")
    if spend.per_customer is not None and (type(spend.per_customer) is not int or spend.per_customer < 1):
        faults.append(f"a customer has at most {spend.per_customer} units")
    return faults


def calibrate(
    budget: PrivacyBudget, *, sample_rate: float, steps: int, spent: Sequence[PrivacySpend] = (), per_customer: int = 1
) -> float:
    """The least noise multiplier (three digits) that keeps a whole plan, after what was spent, in the budget.

    Raises:
        BudgetExceeded: what was spent leaves nothing, or no noise is enough for so many steps.
        BadRequest: a parameter is out of its range.
    """

    from scipy.optimize import brentq

    @functools.cache
    def after(noise: float) -> float:
        unit: Unit = "example" if per_customer > 1 else budget.unit
        plan = PrivacySpend("dpsgd", noise, sample_rate, steps, 1.0, unit, "", per_customer)
        return epsilon([*spent, plan], budget.delta, unit=budget.unit)

    if not budget.epsilon > 0:
        raise BadRequest(f"The target epsilon is {budget.epsilon}; it must be above 0.")
    already = epsilon(spent, budget.delta, unit=budget.unit)
    if already >= budget.epsilon:
        spent_words = f"Epsilon {already:.3g} is" if already < math.inf else "An infinite epsilon is"
        raise BudgetExceeded(
            f"{spent_words} spent already and the target is {budget.epsilon:g}: no noise makes up for that.",
            hint="Raise the budget, or use data that was not trained on before.",
        )
    low, high = _LEAST_NOISE, 1.0
    while after(high) > budget.epsilon:
        low, high = high, high * 2
        if high > _MOST_NOISE:
            raise BudgetExceeded(
                f"No noise keeps {steps} steps within epsilon {budget.epsilon:g}; {already:.3g} is spent already.",
                hint="Take fewer steps or a smaller sample rate.",
            )
    if after(low) <= budget.epsilon:
        return low

    def over(x: float) -> float:
        return math.log(max(after(math.exp(x)) / budget.epsilon, 1e-12))  # with a large delta epsilon can be 0

    # epsilon falls nearly as a power of the noise: in logarithms the root is found in a few steps
    root = brentq(over, math.log(low), math.log(high), xtol=5e-4)
    noise = _upwards(math.exp(root))
    while after(noise) > budget.epsilon:
        noise = _upwards(noise * 1.0005)
    return noise


def _upwards(value: float) -> float:
    """Rounded up to four significant digits: a hair more noise, never less."""
    scale = 10.0 ** (3 - math.floor(math.log10(value)))
    return math.ceil(round(value * scale, 6)) / scale


def afford(
    *,
    units: int,
    batch: int,
    steps: int,
    trainable: int,
    delta: float,
    unit: Unit = "example",
    spent: Sequence[PrivacySpend] = (),
    epsilons: Sequence[float] = EPSILONS,
) -> list[Affordable]:
    """What a data set of `units` can afford: for each epsilon the noise and the signal that is left.

    `batch` is the expected number of units in a step, `trainable` the number of trained weights.
    Epsilons that what was spent has used up are left out.
    """
    if units < 1 or not 1 <= batch <= units or steps < 1 or trainable < 1:
        raise BadRequest(f"{units} units, {batch} a step, {steps} steps, {trainable} weights: no such plan.")
    table = []
    for target in epsilons:
        budget = PrivacyBudget(target, delta, unit)
        try:
            noise = calibrate(budget, sample_rate=batch / units, steps=steps, spent=spent)
        except BudgetExceeded:
            continue
        table.append(Affordable(target, noise, steps, batch / units, batch / (noise * math.sqrt(trainable))))
    return table
