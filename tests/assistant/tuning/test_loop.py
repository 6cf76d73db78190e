from __future__ import annotations

import dataclasses
import functools
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny
import torch

from assistant.errors import BadInput, TrainingFailed
from assistant.tuning import loop, lora, precision
from assistant.tuning.loop import LoopOptions, Progress, StopTraining, train
from assistant.tuning.tasks import ChatTask
from assistant.types import Example

TASK = ChatTask()
FAST = LoopOptions(epochs=2, batch_size=4, learning_rate=1e-2, precision="float32", checkpoint_every=2)


def examples(count: int = 24, seed: int = 0) -> tuple[Example, ...]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for place in range(count):
        length = 6 + place % 9
        ids = torch.randint(0, 20, (length,), generator=generator).tolist()
        made.append(Example(tuple(ids), (0,) * (length - 3) + (1, 1, 1), owner=str(place)))
    return tuple(made)


def model(*, dropout: float = 0.0, method: lora.Method = "lora"):
    return lora.attach(tiny.llama(), lora.LoraPlan(method, rank=4, dropout=dropout, steps=12))


def weights(trained) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in lora.trainable(trained).items()}


def same(one, two) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one) and one.keys() == two.keys()


def test_the_loss_falls_and_only_the_adapter_moves():
    learnable = [dataclasses.replace(each, ids=(*each.ids[:-3], 7, 8, 9)) for each in examples()]
    net = model()
    base = {n: p.clone() for n, p in net.named_parameters() if not p.requires_grad}
    result = train(net, TASK, learnable, dataclasses.replace(FAST, epochs=6))
    assert result.losses[-1][1] < result.losses[0][1] - 0.5
    assert (result.ended, result.steps, len(result.losses)) == ("finished", 36, 36)
    assert all(torch.equal(base[n], p) for n, p in net.named_parameters() if n in base)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    made = []
    for seed in (1, 1, 2):
        net = model(dropout=0.2)
        train(net, TASK, examples(), dataclasses.replace(FAST, seed=seed))
        made.append(weights(net))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_the_callers_random_numbers_are_left_alone():
    net = model(dropout=0.2)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    train(net, TASK, examples(8), FAST)
    assert torch.equal(torch.rand(3), wanted)


def test_parts_of_any_size_add_up_to_the_same_step():
    made = []
    for tokens in (1, 30, 10_000):
        net = model()
        train(net, TASK, examples(), dataclasses.replace(FAST, part_tokens=tokens))
        made.append(weights(net))
    for other in made[1:]:
        assert all(torch.allclose(made[0][name], other[name], atol=1e-5) for name in other)


SCRIPT = """
import os, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
import torch
torch.set_num_threads(1)
import test_loop as t
from assistant.tuning import lora, loop
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
net = t.model(dropout=0.2)
def at(progress):
    if progress.step == {step}:
        os.kill(os.getpid(), {number})
result = loop.train(net, t.TASK, t.examples(), t.FAST, valid=t.examples(4, 1), checkpoint=Path({folder!r}), on_progress=at)
lora.save(net, Path({folder!r}) / "out")
print(result.ended, result.steps)
"""


def in_a_process(folder: Path, step: int, number: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
    """Trains in a process of its own, which sends itself a signal at a step."""
    root = Path(__file__).resolve().parents[3]
    paths = [str(root), str(Path(__file__).parent)]
    code = SCRIPT.format(paths=paths, step=step, number=int(number), folder=str(folder))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of SCRIPT's run where no signal comes."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    net = model(dropout=0.2)
    train(net, TASK, examples(), FAST, valid=examples(4, 1), checkpoint=folder)
    lora.save(net, folder / "out")
    return (folder / "out" / lora.WEIGHTS).read_bytes()


def test_a_run_killed_and_resumed_ends_with_the_same_bytes_as_one_that_was_not(tmp_path: Path, uninterrupted: bytes):
    assert in_a_process(tmp_path, step=7).returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert in_a_process(tmp_path, step=-1).returncode == 0
    assert (tmp_path / "out" / lora.WEIGHTS).read_bytes() == uninterrupted


def test_a_stop_writes_a_checkpoint_and_the_next_run_goes_on(tmp_path: Path):
    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise StopTraining

    net = model(dropout=0.2)
    first = train(net, TASK, examples(), FAST, checkpoint=tmp_path, on_progress=stop)
    assert first.ended == "interrupted"
    assert 5 <= first.steps <= 6
    resumed, whole = model(dropout=0.2), model(dropout=0.2)
    second = train(resumed, TASK, examples(), FAST, checkpoint=tmp_path)
    straight = train(whole, TASK, examples(), FAST)
    assert same(weights(resumed), weights(whole))
    assert second.losses == straight.losses
    assert second.tokens == straight.tokens
    assert list(tmp_path.iterdir()) == [], "the checkpoint of a finished run is gone"


def test_ctrl_c_writes_a_checkpoint_and_the_next_run_goes_on(tmp_path: Path, uninterrupted: bytes):
    ended, steps = in_a_process(tmp_path, step=5, number=signal.SIGINT).stdout.split()
    assert ended == "interrupted"
    assert 5 <= int(steps) <= 6
    assert in_a_process(tmp_path, step=-1).stdout.split() == ["finished", "12"]
    assert (tmp_path / "out" / lora.WEIGHTS).read_bytes() == uninterrupted


def test_averaged_weights_are_the_mean_of_the_last_steps_also_of_a_run_that_went_on(tmp_path: Path):
    def stop(progress: Progress) -> None:
        seen.append((progress.learning_rate, weights(net)))
        if progress.step == 9 and len(seen) == 9:
            raise StopTraining

    seen, net, options = [], model(), dataclasses.replace(FAST, averaged=0.5)  # the last 6 of 12 steps
    train(net, TASK, examples(), options, checkpoint=tmp_path, on_progress=stop)
    assert same(weights(net), seen[8][1]), "an interrupted run has the weights it goes on with"
    net = model()
    train(net, TASK, examples(), options, checkpoint=tmp_path, on_progress=stop)
    assert [rate for rate, _ in seen[1:]] == [FAST.learning_rate] * 11, "the rate stays up"
    for name, value in weights(net).items():
        assert torch.allclose(value, torch.stack([each[name] for _, each in seen[6:]]).mean(0), atol=1e-6)


@pytest.mark.parametrize("method", ["adalora", "dora", "frozen-a"])
def test_every_variant_goes_on_with_the_same_weights(tmp_path: Path, method: lora.Method):
    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise StopTraining

    train(model(method=method), TASK, examples(), FAST, checkpoint=tmp_path, on_progress=stop)
    resumed, whole = model(method=method), model(method=method)
    train(resumed, TASK, examples(), FAST, checkpoint=tmp_path)
    train(whole, TASK, examples(), FAST)
    assert same(weights(resumed), weights(whole))


def test_a_run_in_a_thread_can_be_stopped(tmp_path: Path):
    results = []

    def stop(progress: Progress) -> None:
        raise StopTraining

    def work() -> None:
        results.append(train(model(), TASK, examples(), FAST, checkpoint=tmp_path, on_progress=stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results[0].steps == 1


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path):
    def stop(progress: Progress) -> None:
        raise StopTraining

    train(model(), TASK, examples(), FAST, checkpoint=tmp_path, on_progress=stop)
    for data, options in ((examples(23), FAST), (examples(), dataclasses.replace(FAST, seed=9))):
        with pytest.raises(BadInput, match="other data"):
            train(model(), TASK, data, options, checkpoint=tmp_path)


def test_a_checkpoint_holds_nothing_but_safetensors_and_json(tmp_path: Path):
    def stop(progress: Progress) -> None:
        raise StopTraining

    train(model(), TASK, examples(), FAST, valid=examples(4, 1), checkpoint=tmp_path, on_progress=stop)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_early_stopping_ends_with_the_best_weights_that_were_seen():
    net = model()
    options = dataclasses.replace(FAST, epochs=40, patience=2, learning_rate=3e-2)
    valid = examples(6, seed=3)  # unrelated data: learning the other by heart does not help
    result = train(net, TASK, examples(), options, valid=valid)
    assert result.ended == "early"
    best = min(result.valid_losses, key=lambda each: each[1])
    assert result.best_step == best[0]
    assert loop.evaluate(net, TASK, valid) == pytest.approx(best[1], rel=1e-5)


def test_progress_counts_every_step_and_ends_at_zero_seconds():
    seen: list[Progress] = []
    train(model(), TASK, examples(), FAST, valid=examples(4, 1), on_progress=seen.append)
    assert [each.step for each in seen] == list(range(1, 13))
    assert seen[-1].seconds_left == 0
    assert seen[-1].epoch == 2
    assert [each.step for each in seen if each.valid_loss is not None] == [6, 12]
    rates = [each.learning_rate for each in seen]
    assert max(rates) == pytest.approx(FAST.learning_rate)
    assert rates[-1] < 0.3 * max(rates)


def test_nothing_to_train_on_and_no_adapter_are_refused():
    with pytest.raises(BadInput, match="nothing to train on"):
        train(model(), TASK, (), FAST)
    with pytest.raises(BadInput, match="no adapter"):
        train(tiny.llama(), TASK, examples(), FAST)


def test_a_loss_that_is_not_finite_ends_the_run_with_advice():
    net = model()
    with torch.no_grad():
        next(iter(lora.trainable(net).values())).fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="lower learning rate"):
        train(net, TASK, examples(), FAST)


def test_an_adapter_that_does_not_move_is_a_failure_not_a_result():
    with pytest.raises(TrainingFailed, match="do not move"):
        train(model(), TASK, examples(), dataclasses.replace(FAST, learning_rate=0.0))


class Recorder:
    """What a private optimizer sees, without any noise."""

    def __init__(self, inner) -> None:
        self.inner, self.seen = inner, []

    def gather(self, part) -> None:
        self.seen[-1:] = [self.seen[-1] + 1] if self.seen else [1]

    def step(self) -> None:
        self.inner.step()
        self.seen.append(0)


class Poisson(list):
    pass


def test_private_batches_may_be_empty_and_parts_smaller_than_batches():
    made: list[Recorder] = []

    def private(net, optimizer, batches):
        data = batches.examples
        made.append(Recorder(optimizer))
        made[0].seen.append(0)
        return net, made[0], Poisson([data[:5], (), data[5:6], ()])

    result = train(model(), TASK, examples(), dataclasses.replace(FAST, part_tokens=20), private=private)
    assert result.steps == 4
    assert [step for step, _ in result.losses] == [1, 3], "an empty batch has no loss, but is a step"
    parts = made[0].seen[:4]
    assert parts[0] > 1
    assert parts[1:] == [0, 1, 0]


def test_a_card_that_only_imitates_bfloat16_computes_in_float32(monkeypatch):
    net = tiny.llama().to("meta")  # any device that is not the processor
    for has, taken in ((False, "float32"), (True, "bfloat16")):
        supported = functools.partial(lambda has, including_emulation=True: has or including_emulation, has)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        assert precision.choose("auto", net, TASK, examples(2)) == precision.of_reading(net) == taken
