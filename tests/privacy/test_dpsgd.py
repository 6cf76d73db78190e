"""Laws of private steps: what is drawn, what is added up, what is refused. The rest is asked by the conformance suite."""

import collections
import math
import random

import pytest
import torch

from privacy.dpsgd import PoissonBatches, Private, private_mean
from privacy.errors import BadRequest, NotPrivate
from privacy.types import PrivacySpend


class Point:
    def __init__(self, number, owner=""):
        self.owner, self.x = owner, torch.randn(4, generator=torch.Generator().manual_seed(number))


class Loop:
    def __init__(self, examples, steps=10):
        self.examples, self._steps = examples, steps

    def __len__(self):
        return self._steps


def spend(**changes):
    made = {
        "mechanism": "dpsgd", "noise_multiplier": 0.0, "sample_rate": 1.0, "steps": 10, "clip_norm": 1.0,
        "unit": "example", "dataset": "d", "per_customer": None,
    }  # fmt: skip
    return PrivacySpend(**{**made, **changes})


def started(plan, examples, steps=10, seed=None):
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 3)
    hook = Private(plan) if seed is None else Private(plan, entropy=random.Random(seed).randbytes)
    net, optimizer, batches = hook(net, torch.optim.SGD(net.parameters(), lr=1.0), Loop(examples, steps))
    return net, optimizer, batches, hook


def go(net, optimizer, batch, size=100):
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        (net(torch.stack([point.x for point in part])) ** 2).sum().backward()
        optimizer.gather(part)
    optimizer.step()


def test_a_customer_s_examples_count_as_one_and_at_most_so_many_a_step():
    points = [Point(n, owner="one") for n in range(50)] + [Point(99, owner="two")]
    batches = PoissonBatches(points, spend(unit="customer", per_customer=5), 200)
    drawn = collections.Counter(id(point) for batch in batches for point in batch)
    assert len(batches.units) == 2
    assert all(sum(point.owner == "one" for point in batch) == 5 for batch in batches)
    assert len(drawn) == 51  # all of them come, in turn


def rows_of(points):
    return torch.stack([point.x for point in points])


def test_a_private_mean_counts_a_customer_once_and_nobody_longer_than_one():
    points = [Point(n, owner="one") for n in range(3)] + [Point(9, owner="two")]
    for point in points:
        point.x = point.x / point.x.norm()
    mine = (torch.stack([point.x for point in points[:3]]).mean(0) + points[3].x) / 2
    plan = spend(unit="customer", per_customer=5)
    assert torch.allclose(private_mean(rows_of, points, plan).float(), mine, atol=1e-5)
    points[3].x = points[3].x * 100
    assert torch.allclose(private_mean(rows_of, points, plan).float(), mine, atol=1e-5)
    points[3].x = points[3].x * math.nan
    assert private_mean(rows_of, points, plan).norm() <= 0.5


def test_a_private_mean_has_the_noise_of_one_step_even_of_nobody():
    points = [Point(n) for n in range(50)]
    plan = spend(noise_multiplier=3.0, sample_rate=1e-9)
    drawn = private_mean(lambda some: torch.zeros(len(some), 4000), points, plan)
    assert drawn.std() == pytest.approx(3.0, rel=0.1)  # over the expected size, at least 1
    plan = spend(noise_multiplier=3.0)
    drawn = private_mean(lambda some: torch.zeros(len(some), 4000), points, plan)
    assert drawn.std() == pytest.approx(3.0 / 50, rel=0.1)


def test_nobody_s_examples_are_one_customer_s_since_they_may_be():
    assert len(PoissonBatches([Point(n) for n in range(7)], spend(unit="customer"), 1).units) == 1


def test_a_row_that_is_listed_twice_is_two_rows():
    point = Point(1)
    batches = PoissonBatches([point, point, point], spend(), 1)
    assert len(next(iter(batches))) == 3
    net, optimizer, batches, _ = started(spend(), [point, point])
    go(net, optimizer, next(iter(batches)))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_customer_moves_the_weights_by_at_most_the_clip_norm_however_the_batch_is_cut(size):
    points = [Point(n, owner="one") for n in range(8)]
    net, optimizer, batches, _ = started(spend(unit="customer", clip_norm=0.3, per_customer=6), points)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    go(net, optimizer, next(iter(batches)), size)
    moved = torch.cat([p.detach().flatten() for p in net.parameters()]) - before
    assert 0.29 < float(moved.norm()) <= 0.3


def test_more_steps_than_charged_are_refused_before_they_begin():
    with pytest.raises(NotPrivate, match="11 steps"):
        started(spend(), [Point(1)], steps=11)


@pytest.mark.parametrize(
    "wrong", [{"mechanism": "gaussian"}, {"unit": "partner"}, {"clip_norm": math.inf}, {"noise_multiplier": math.nan}]
)
def test_a_plan_that_is_none_of_private_training_is_refused(wrong):
    with pytest.raises(BadRequest):
        Private(spend(**wrong))


def test_batch_normalisation_is_refused():
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    with pytest.raises(NotPrivate, match="cannot be trained privately"):
        Private(spend())(net, torch.optim.SGD(net.parameters(), lr=1.0), Loop([Point(1)]))


def test_the_model_is_an_ordinary_one_again_after_close_and_the_hook_can_be_used_again():
    net, optimizer, batches, hook = started(spend(), [Point(n) for n in range(4)])
    go(net, optimizer, next(iter(batches)))
    hook.close()
    (net(torch.ones(2, 4)) ** 2).sum().backward()
    assert not any(hasattr(parameter, "grad_sample") for parameter in net.parameters())
    hook(net, torch.optim.SGD(net.parameters(), lr=1.0), Loop([Point(1)]))
    hook.close()


def test_a_step_is_cut_off_and_the_next_one_refuses_what_was_left_out():
    points = [Point(n) for n in range(4)]
    net, optimizer, batches, _ = started(spend(), points)
    batch = next(iter(batches))
    (net(torch.stack([point.x for point in batch[:2]])) ** 2).sum().backward()
    optimizer.gather(batch[:2])
    with pytest.raises(NotPrivate, match="left out"):
        optimizer.step()
    assert optimizer.steps_taken == 0


def test_only_tests_are_repeatable():
    def weights(seed):
        net, optimizer, batches, _ = started(
            spend(noise_multiplier=1.0, sample_rate=0.5), [Point(1), Point(2)], seed=seed
        )
        for batch in batches:
            go(net, optimizer, batch)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(None), weights(None))
