import pytest
import tiny
import torch

from assistant.engines.scoring import logprobs


@pytest.mark.parametrize("net", [tiny.llama(), tiny.gpt2()], ids=["llama", "gpt2"])
def test_a_batch_gives_what_each_prompt_gives_token_by_token(net):
    prompts, answer = [[5, 6, 7, 8, 9], [11, 12], [3, 4, 5]], [20, 21, 22]
    expected = []
    for prompt in prompts:
        with torch.inference_mode():
            odds = torch.log_softmax(net(torch.tensor([prompt + answer])).logits[0], dim=-1)
        expected.append(sum(float(odds[len(prompt) + place - 1, token]) for place, token in enumerate(answer)))
    assert logprobs(net, prompts, answer, device="cpu") == pytest.approx(expected, abs=1e-4)
