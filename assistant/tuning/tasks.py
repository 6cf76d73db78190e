"""What is learned: chat, classify, tag. Each turns records into token ids, and a batch into losses.

A loss is per sequence, the mean over its own supervised tokens, and never an average over the
batch: then one record moves the sum by its own loss alone, which differential privacy counts on
(transformers' `.loss` divides by the tokens of the whole batch). It is not the loop.

Source: Yu et al., Differentially private fine-tuning of language models (arXiv:2110.06500).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from assistant import language, prompts, template, texts
from assistant.errors import BadInput
from assistant.tuning.records import ChatRow, ClassifyRow, Records, Row, TagRow
from assistant.types import UNNAMED, Company, Example, Message
from assistant.types import Task as TaskName

if TYPE_CHECKING:
    import torch

ANSWER_TOKENS = 160
"""Room that serving leaves for the answer ([model] max_new_tokens): the prompt is cut to the same budget."""
MAX_TOKENS: dict[TaskName, int] = {"chat": 2048, "classify": 256, "tag": 512}
"""The longest example by task, unless another limit is asked for."""
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")
"""What templates end a turn with, where a tokenizer has it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side, padded on the right: all (n, t) but `classes` and `weight` (n,).

    `tags` holds a class a position; `classes` the class of the sequence.
    """

    ids: torch.Tensor
    attention: torch.Tensor
    mask: torch.Tensor
    tags: torch.Tensor
    classes: torch.Tensor
    weight: torch.Tensor
    against: torch.Tensor | None = None
    """Of pairs (n,): what the reference model makes of them; None where it is not asked for."""

    @property
    def tokens(self) -> int:
        """Real tokens, without padding."""
        return int(self.attention.sum())


class Task(Protocol):
    """What the loop needs of a task."""

    @property
    def name(self) -> TaskName:
        """Which of the three."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes or tags in the order of the head, () for chat."""
        ...

    def examples(self, records: Records, tokenizer: Any) -> tuple[Example, ...]:
        """The records as ids and masks. Raises BadInput: lists every record that is too long."""
        ...

    def collate(self, examples: Sequence[Example], device: str = "cpu") -> Batch:
        """The examples as one batch (none: a batch of no rows)."""
        ...

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """(n,) float32: each sequence's own mean loss times its weight."""
        ...


class _Collating:
    """Collation is the same for every task."""

    def collate(self, examples: Sequence[Example], device: str = "cpu") -> Batch:
        """See `Task.collate`."""
        return collate(examples, device)


@dataclass(frozen=True, slots=True)
class ChatTask(_Collating):
    """Supervised answers. Grounded rows get the product's own prompt, as serving builds it.

    `max_tokens` bounds prompt and answer together; `company` is that of rows that name none.
    """

    max_tokens: int = MAX_TOKENS["chat"]
    company: Company = UNNAMED
    name: TaskName = field(default="chat", init=False)
    labels: tuple[str, ...] = field(default=(), init=False)

    def examples(self, records: Records, tokenizer: Any) -> tuple[Example, ...]:
        """One example a row: all answers of a plain conversation, the last of a grounded one."""
        made = [(row, self.example(row, tokenizer)) for row in records.rows if isinstance(row, ChatRow)]
        _check_lengths(made, self.max_tokens)
        return tuple(example for _, example in made)

    def example(self, row: ChatRow, tokenizer: Any) -> Example:
        """Ids of prompt and answer; the mask is 1 on the answer and the token that ends it."""
        messages = self.messages(row, tokenizer)
        if row.passages or len(row.messages) <= 3:
            ids, mask = _one_answer(tokenizer, messages, row.messages[-1])
        else:
            ids, mask = _all_answers(tokenizer, row.messages)
        return Example(tuple(ids), tuple(mask), owner=row.customer)

    def messages(self, row: ChatRow, tokenizer: Any) -> tuple[Message, ...]:
        """What the model is shown before it answers last: equal to what the running assistant shows it."""
        turns = row.messages[:-1]
        if not row.passages:
            return turns
        spoken = language.detect(turns[-1].text)
        return prompts.build(
            [turn for turn in turns if turn.role != "system"],
            row.passages,
            company=row.company or self.company.name(spoken) or texts.say("this_company", spoken),
            answer_language=spoken,
            budget=self.max_tokens - ANSWER_TOKENS,
            count_tokens=functools.lru_cache(lambda text: len(template.encode(tokenizer, text))),
        ).messages

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """Cross-entropy of the supervised tokens."""
        return _per_sequence(*surprise(model, batch)) * batch.weight


@dataclass(frozen=True, slots=True)
class ClassifyTask(_Collating):
    """One class a text.

    `balanced` weighs each class by its rarity (mean weight 1). `smoothing` is the share of a label's
    certainty that goes to the other classes: less sure of noisy labels, better calibrated.
    """

    labels: tuple[str, ...]
    max_tokens: int = MAX_TOKENS["classify"]
    balanced: bool = False
    smoothing: float = 0.0
    name: TaskName = field(default="classify", init=False)

    def examples(self, records: Records, tokenizer: Any) -> tuple[Example, ...]:
        """One example a row, with its class and weight."""
        rows = [row for row in records.rows if isinstance(row, ClassifyRow)]
        counts = Counter(row.label for row in rows)
        number = {label: place for place, label in enumerate(self.labels)}
        start, end = _specials(tokenizer)
        made: list[tuple[Row, Example]] = []
        for row in rows:
            ids = (*start, *template.encode(tokenizer, row.text), *end)
            weight = len(rows) / (len(counts) * counts[row.label]) if self.balanced else 1.0
            made.append((row, Example(ids, (1,) * len(ids), (number[row.label],), row.customer, weight)))
        _check_lengths(made, self.max_tokens)
        return tuple(example for _, example in made)

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """Cross-entropy of the class."""
        from torch.nn import functional

        logits = model(input_ids=batch.ids, attention_mask=batch.attention)
        losses = functional.cross_entropy(
            logits.float(), batch.classes, reduction="none", label_smoothing=self.smoothing
        )
        return losses * batch.weight

    def predict(self, model: Any, batch: Batch) -> torch.Tensor:
        """Probabilities (n, labels)."""
        import torch

        return torch.softmax(model(input_ids=batch.ids, attention_mask=batch.attention).float(), dim=-1)


@dataclass(frozen=True, slots=True)
class TagTask(_Collating):
    """One tag a word: the first piece of a word carries it."""

    labels: tuple[str, ...]
    max_tokens: int = MAX_TOKENS["tag"]
    name: TaskName = field(default="tag", init=False)

    def examples(self, records: Records, tokenizer: Any) -> tuple[Example, ...]:
        """One example a row; `labels` hold a tag at each word's first piece."""
        number = {label: place for place, label in enumerate(self.labels)}
        pieces = _WordPieces(tokenizer)
        made: list[tuple[Row, Example]] = []
        for row in records.rows:
            if isinstance(row, TagRow):
                ids, mask = pieces(row.tokens)
                tags = iter(row.tags)
                labels = tuple(number[next(tags)] if first else 0 for first in mask)
                made.append((row, Example(ids, mask, labels, row.customer)))
        _check_lengths(made, self.max_tokens)
        return tuple(example for _, example in made)

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """Mean cross-entropy over each sentence's words."""
        from torch.nn import functional

        where = batch.mask.bool()
        logits = model(input_ids=batch.ids, attention_mask=batch.attention)[where]
        each = functional.cross_entropy(logits.float(), batch.tags[where], reduction="none")
        return _per_sequence(each, where) * batch.weight

    def predict(self, model: Any, batch: Batch) -> list[torch.Tensor]:
        """Of each sentence the probabilities (words, labels)."""
        import torch

        odds = torch.softmax(model(input_ids=batch.ids, attention_mask=batch.attention).float(), dim=-1)
        return [each[mask.bool()] for each, mask in zip(odds, batch.mask, strict=True)]


def surprise(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(cross-entropy of each supervised token, row by row; where they are (n, t-1)) of a causal model.

    The head computes logits at those tokens alone.
    """
    from torch.nn import functional

    from assistant.tuning.networks import core

    where = batch.mask[:, 1:].bool()  # the token at t+1 is predicted from position t
    pick = functional.pad(where, (0, 1))
    head = core(model).get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _head, inputs: (inputs[0][pick],))
    try:
        logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
    finally:
        handle.remove()
    return functional.cross_entropy(logits.float(), batch.ids[:, 1:][where], reduction="none"), where


def make_task(
    records: Records, *, max_tokens: int = 0, company: Company = UNNAMED, balanced: bool = False, window: int = 0
) -> Task:
    """The task of these records with its labels; `max_tokens` 0 = the task's own default.

    `window` is what the base can read at most: a classifier or tagger gets no longer text, whatever `max_tokens` says.
    """
    most = max_tokens or MAX_TOKENS[records.task]
    if records.task == "chat":
        return ChatTask(most, company)
    most = min(most, window or most)
    if records.task == "classify":
        return ClassifyTask(records.labels, most, balanced)
    return TagTask(records.labels, most)


def collate(examples: Sequence[Example], device: str = "cpu") -> Batch:
    """A batch of the examples, padded on the right to the longest."""
    import torch

    size = (len(examples), max((len(example.ids) for example in examples), default=1))
    ids, attention, mask, tags = (torch.zeros(size, dtype=torch.long) for _ in range(4))
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        attention[row, :length] = 1
        mask[row, :length] = torch.tensor(example.mask)
        if len(example.labels) == length > 1:
            tags[row, :length] = torch.tensor(example.labels)
    classes = torch.tensor([example.labels[0] if example.labels else 0 for example in examples], dtype=torch.long)
    weight = torch.tensor([example.weight for example in examples], dtype=torch.float32)
    return Batch(*(each.to(device) for each in (ids, attention, mask, tags, classes, weight)))


def _per_sequence(each: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """(n,) means of the values of each row; `each` lists them row by row. A row without any gives 0."""
    counts = where.sum(1)
    rows = where.nonzero()[:, 0]
    return each.new_zeros(len(where)).index_add(0, rows, each) / counts.clamp(min=1)


def _one_answer(tokenizer: Any, messages: Sequence[Message], answer: Message) -> tuple[list[int], list[int]]:
    prompt = template.render(tokenizer, messages)
    whole = template.render(tokenizer, [*messages, answer], answering=False)
    if not whole.startswith(prompt):
        raise BadInput(
            "The model's chat template writes a finished answer differently from one it asks for.",
            hint="This model cannot be tuned for chat; choose another.",
        )
    asked = template.encode(tokenizer, prompt)
    said = _until_end(tokenizer, template.encode(tokenizer, whole[len(prompt) :]))
    return asked + said, [0] * len(asked) + [1] * len(said)


def _all_answers(tokenizer: Any, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """Every answer of a conversation supervised, where the template writes earlier turns unchanged."""
    places = [place for place, message in enumerate(messages) if message.role == "assistant"]
    ids: list[int] = []
    mask: list[int] = []
    done = ""
    for place in places:
        prompt = template.render(tokenizer, messages[:place])
        whole = template.render(tokenizer, messages[: place + 1], answering=False)
        if not (prompt.startswith(done) and whole.startswith(prompt)):
            return _one_answer(tokenizer, messages[:-1], messages[-1])
        asked = template.encode(tokenizer, prompt[len(done) :])
        said = template.encode(tokenizer, whole[len(prompt) :])
        trained = len(_until_end(tokenizer, said))
        ids += asked + said
        mask += [0] * len(asked) + [1] * trained + [0] * (len(said) - trained)
        done = whole
    return ids, mask


def _until_end(tokenizer: Any, ids: list[int]) -> list[int]:
    """The ids up to the one that ends the turn, which is learned too."""
    known = (tokenizer.backend_tokenizer.token_to_id(name) for name in _TURN_ENDS)  # its whole vocabulary takes 30 ms
    ends = {tokenizer.eos_token_id, *(token for token in known if token is not None)}
    return next((ids[: place + 1] for place, token in enumerate(ids) if token in ends), ids)


def _specials(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer puts before and after a text."""
    bare = template.encode(tokenizer, "a")
    dressed = list(tokenizer.backend_tokenizer.encode("a", add_special_tokens=True).ids)
    at = next(place for place in range(len(dressed)) if dressed[place : place + len(bare)] == bare)
    return tuple(dressed[:at]), tuple(dressed[at + len(bare) :])


@dataclass(slots=True)
class _WordPieces:
    """Words -> (ids, mask); the mask is 1 at each word's first piece, one for every word."""

    tokenizer: Any
    start: tuple[int, ...] = field(init=False)
    end: tuple[int, ...] = field(init=False)
    spaced: bool = field(init=False)

    def __post_init__(self) -> None:
        self.start, self.end = _specials(self.tokenizer)
        self.spaced = template.encode(self.tokenizer, " a") != template.encode(self.tokenizer, "a")

    def __call__(self, words: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ids, mask = list(self.start), [0] * len(self.start)
        for place, word in enumerate(words):
            spaced = f" {word}" if self.spaced and place else word
            pieces = template.encode(self.tokenizer, spaced) or [self.tokenizer.unk_token_id or 0]
            ids += pieces
            mask += [1] + [0] * (len(pieces) - 1)
        return (*ids, *self.end), (*mask, *(0 for _ in self.end))


def _check_lengths(made: Sequence[tuple[Row, Example]], most: int) -> None:
    problems = [f"line {row.line}: {len(made.ids)} tokens" for row, made in made if len(made.ids) > most]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise BadInput(
            f"{len(problems)} records are longer than {most} tokens; nothing was trained:\n{shown}{more}",
            hint="Shorten them, or raise the limit (--max-tokens), up to what the base can read.",
        )
