"""A classifier's head from the data itself, without steps: class centroids to start from, or a fitted probe.

With centroids an untrained adapter is already a nearest-centroid classifier, so training starts near its
end and a class with ten examples is learned from all ten. Both read the data: a private run must not use them.

Sources: prototypical networks (Snell et al. 2017, arXiv:1703.05175); linear probing before fine-tuning
(Kumar et al. 2022, arXiv:2202.10054).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assistant.tuning import precision
from assistant.tuning.batches import physical
from assistant.tuning.networks import SHARPNESS, Classifier
from assistant.tuning.tasks import ClassifyTask
from assistant.types import Example

_PART = 4096


def start_from_centroids(model: Classifier, task: ClassifyTask, examples: Sequence[Example]) -> None:
    """Sets the head's rows to the classes' centroids, of length one; a class without examples gets zeros."""
    import torch

    rows = torch.from_numpy(embeddings(model, task, examples))
    sums = torch.zeros(len(task.labels), rows.shape[1])
    sums.index_add_(0, torch.tensor([example.labels[0] for example in examples]), rows)
    with torch.no_grad():
        model.head.weight.copy_(torch.nn.functional.normalize(sums, dim=-1))
        model.head.bias.zero_()


def fit_probe(model: Classifier, task: ClassifyTask, examples: Sequence[Example], *, strength: float = 30.0) -> None:
    """Sets the head to the logistic regression of the classes on what the network makes of the texts now.

    For few examples: the best linear head there is for these features, where steps of an optimizer would
    stop short of it. `strength` is the inverse of the regularisation (scikit-learn's C). Every class must occur.
    """
    import torch
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=300)
    fitted.fit(embeddings(model, task, examples), [example.labels[0] for example in examples])
    weight, bias = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
    if len(task.labels) == 2:  # scikit-learn keeps one row for two classes
        weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
    with torch.no_grad():
        model.head.weight.copy_(weight / SHARPNESS)
        model.head.bias.copy_(bias / SHARPNESS * model.length)


def embeddings(model: Classifier, task: ClassifyTask, examples: Sequence[Example]) -> npt.NDArray[np.float32]:
    """(n, d) rows of length one, in the order of the examples: what the head reads."""
    import torch

    rows = np.zeros((len(examples), model.head.in_features), dtype=np.float32)
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))  # as `physical` sorts them
    device, at = precision.device_of(model), 0
    model.eval()
    with torch.inference_mode(), precision.context(model, precision.of_base(model)):
        for part in physical(examples, _PART):
            batch = task.collate(part, device)
            found = model.embed(batch.ids, batch.attention).float().cpu().numpy()
            rows[order[at : at + len(part)]] = found
            at += len(part)
    return rows
