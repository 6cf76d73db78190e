"""Which words made a classifier decide: integrated gradients from its input embeddings.

The scores of a text add up to what its words, against a text of unknown words, add to the class's logit;
they describe the model, not the world.

Source: Sundararajan et al. 2017 (arXiv:1703.01365), by captum's `LayerIntegratedGradients`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.errors import BadInput
from assistant.tuning import networks, precision
from assistant.tuning.classifier import LoadedClassifier

STEPS = 32
"""Points between the blank text and the text at which the gradient is taken."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class WordScore:
    """A word of the text, `text[start:end]`, and how far it speaks for (or, below 0, against) the label."""

    word: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """`error` is what the scores and the true difference of the logit lack of each other, as a share of it."""

    label: str
    probability: float
    words: tuple[WordScore, ...]
    error: float


def attribute(classifier: LoadedClassifier, text: str, *, label: str = "", steps: int = STEPS) -> Attribution:
    """What each word of a text adds to a label (the likeliest, where none is named).

    Raises:
        BadInput: it is a tagger or reads each text twice, there is no such label, or the text is empty.
    """
    import torch
    from captum.attr import LayerIntegratedGradients

    if classifier.task != "classify":
        raise BadInput("Words are scored for a classifier, not for a tagger.")
    if classifier.model.reader is not None:
        raise BadInput("Words are scored on the bundled encoder, not on a model that reads each text twice.")
    if label and label not in classifier.labels:
        raise BadInput(f"There is no label {label!r}.", hint=f"Known: {', '.join(classifier.labels)}.")
    if not text.strip():
        raise BadInput("The text is empty.")
    odds = classifier.classify([text])[0]
    place = classifier.labels.index(label) if label else int(odds.argmax())
    model, tokenizer = classifier.model, classifier.tokenizer
    encoded = tokenizer.backend_tokenizer.encode(text, add_special_tokens=True)
    window = networks.window(model)
    special = encoded.special_tokens_mask[:window]
    unknown = tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([encoded.ids[:window]], device=precision.device_of(model))
    blank = torch.where(torch.tensor([special], device=ids.device).bool(), ids, torch.full_like(ids, unknown))
    method = LayerIntegratedGradients(model, networks.core(model).get_input_embeddings())
    scores, delta = method.attribute(
        ids, baselines=blank, additional_forward_args=(torch.ones_like(ids),), target=place, n_steps=steps,
        internal_batch_size=8, return_convergence_delta=True,
    )  # fmt: skip
    each = scores.sum(-1)[0].tolist()
    words = _by_word(text, encoded.offsets[:window], special, each)
    whole = sum(each)
    return Attribution(classifier.labels[place], float(odds[place]), words, abs(float(delta)) / max(abs(whole), 1e-6))


def _by_word(
    text: str, offsets: list[tuple[int, int]], special: list[int], scores: list[float]
) -> tuple[WordScore, ...]:
    """The scores of a word's pieces, added up; pieces beyond the window count for nothing."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    sums = [0.0] * len(words)
    for (start, end), skip, score in zip(offsets, special, scores, strict=True):
        at = next((place for place, (_, stop) in enumerate(words) if start < stop and end > start), None)
        if not skip and at is not None:
            sums[at] += score
    return tuple(WordScore(text[start:end], start, end, score) for (start, end), score in zip(words, sums, strict=True))
