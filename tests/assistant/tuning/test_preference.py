"""Pairs: the paper's loss on numbers worked out by hand, the reference asked once, and a margin that one loop raises."""

from __future__ import annotations

import json
import math

import pytest
import tiny
import torch

from assistant.errors import BadInput
from assistant.tuning import activations, loop, lora
from assistant.tuning.data import read_records
from assistant.tuning.preference import make_task, margins
from assistant.tuning.records import ChatRow, PairRow, members_of, records_of
from assistant.types import Example, Message

ASKED = Message("user", "how long can i return boots")


def pair(good: str, bad: str, customer: str = "", asked: Message = ASKED) -> PairRow:
    sides = (ChatRow((asked, Message("assistant", text)), customer=customer) for text in (good, bad))
    return PairRow(*sides)


ROWS = [pair("30 days", "no", "a"), pair("yes it is open", "red tent of the shop", "b"), pair("late", "a is it", "c")]
RECORDS = records_of("chat", ROWS)


class Spoken(torch.nn.Module):
    """A model whose logits are a table: token t is followed by token v with weight table[t][v]."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table, self.head = torch.nn.Parameter(table), torch.nn.Identity()
        self.config = type("C", (), {})()

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head

    def forward(self, input_ids, **_more):
        return type("O", (), {"logits": self.head(self.table[input_ids])})()


def test_the_loss_is_the_papers_on_logits_worked_out_by_hand():
    example = Example((0, 1, 2, 0, 2), (0, 1, 1, 0, 1), (3,))  # prompt 0; chosen 1 2, rejected 2
    policy = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    task = make_task(RECORDS)
    task.refer(Spoken(torch.zeros(3, 3)), [example])  # the reference finds every token as likely as any other
    loss = task.losses(Spoken(policy), task.collate([example]))
    log_chosen = (1 - math.log(math.e + 2)) + (2 - math.log(math.e**2 + 2))  # 1 after 0, then 2 after 1
    log_rejected = -math.log(math.e + 2)
    against = 2 * math.log(1 / 3) - math.log(1 / 3)
    expected = -math.log(1 / (1 + math.exp(-0.1 * ((log_chosen - log_rejected) - against))))
    assert float(loss) == pytest.approx(expected, abs=1e-6)
    assert task.reference == {example.ids: pytest.approx(against, abs=1e-6)}


def test_before_the_training_every_pair_costs_log_two_and_nothing_else_can():
    net, task = lora.attach(tiny.llama(), lora.LoraPlan(rank=4)), make_task(RECORDS)
    examples = task.examples(RECORDS, tiny.tokenizer())
    with pytest.raises(ValueError, match="refer"):
        task.losses(net, task.collate(examples))
    task.refer(net, examples)
    assert task.losses(net, task.collate(examples)).tolist() == pytest.approx([math.log(2)] * 3, abs=1e-5)


@pytest.mark.parametrize("kept", [False, True])
def test_the_one_loop_raises_the_margin_of_every_pair_and_leaves_the_reference(kept: bool):
    layers = (1,) if kept else ()
    net, task = lora.attach(tiny.llama(), lora.LoraPlan(rank=4, layers=layers)), make_task(RECORDS)
    examples = task.examples(RECORDS, tiny.tokenizer())
    task.refer(net, examples)
    before = dict(task.reference)
    options = loop.LoopOptions(epochs=12, batch_size=2, learning_rate=1e-2, precision="float32")
    if kept:
        with activations.kept(net, task.sides(examples)):
            result = loop.train(net, task, examples, options)
    else:
        result = loop.train(net, task, examples, options)
    assert result.losses[-1][1] < result.losses[0][1]
    assert all(margin > before[one.ids] + 1 for one, margin in task.asked(net, examples))
    assert task.reference == before


def test_both_sides_are_the_prompt_and_their_own_answer_whatever_stands_beside_them():
    net, task = tiny.llama().eval(), make_task(RECORDS)
    examples = task.examples(RECORDS, tiny.tokenizer())
    good, bad = task.sides(examples[:1])
    shared = min(place for place, on in enumerate(good.mask) if on)
    assert good.ids[:shared] == bad.ids[:shared]
    assert tiny.tokenizer().decode([i for i, on in zip(bad.ids, bad.mask, strict=True) if on]) == "no <|im_end|>"
    with torch.no_grad():
        together = margins(net, task.collate(examples))
        alone = torch.cat([margins(net, task.collate([one])) for one in examples])
    assert torch.allclose(together, alone, atol=1e-4)


def test_a_file_of_pairs_is_read_as_trl_writes_it_and_its_faults_are_listed(tmp_path):
    file = tmp_path / "pairs.jsonl"
    prompt, answer = [{"role": "user", "content": "When?"}], [{"role": "assistant", "content": "Now."}]
    good = {
        "prompt": prompt,
        "chosen": answer,
        "rejected": [{"role": "assistant", "content": "Never."}],
        "customer": "c",
    }
    plain = {"prompt": "When?", "chosen": "Now.", "rejected": "Never.", "passages": [{"text": "Open now."}]}
    file.write_text("\n".join(map(json.dumps, [good, plain])))
    records = read_records(file, "chat", pairs=True)
    assert [row.rejected.messages[-1].text for row in records.rows] == ["Never.", "Never."]
    assert records.rows[1].chosen.passages == ("Open now.",)
    assert members_of(records)[0] == ("When?\nNow.", "c")
    file.write_text(
        "\n".join(map(json.dumps, [good, {"prompt": "x"}, {**plain, "rejected": "Now."}, {**good, "chosen": []}]))
    )
    with pytest.raises(BadInput) as caught:
        read_records(file, "chat", pairs=True)
    assert [f"line {n}:" in caught.value.message for n in (1, 2, 3, 4)] == [False, True, True, True]
    with pytest.raises(BadInput, match="line 1"):
        read_records(file, "chat")


def test_pairs_that_are_too_long_are_listed():
    task = make_task(RECORDS, max_tokens=12)
    with pytest.raises(BadInput, match="Longer than 12 tokens"):
        task.examples(RECORDS, tiny.tokenizer())
