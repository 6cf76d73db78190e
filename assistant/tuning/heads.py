"""Where a classifier's head starts: the centroid of each class, in what the frozen base makes of the texts.

With it an untrained adapter is already a nearest-centroid classifier, so training starts near its end
and a class with ten examples is learned from all ten. It is computed from the data: a private run must
not use it.

Source: prototypical networks (Snell et al. 2017, arXiv:1703.05175).
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.tuning import precision
from assistant.tuning.batches import physical
from assistant.tuning.networks import Classifier
from assistant.tuning.tasks import ClassifyTask
from assistant.types import Example

_PART = 4096


def start_from_centroids(model: Classifier, task: ClassifyTask, examples: Sequence[Example]) -> None:
    """Sets the head's rows to the classes' centroids, of length one; a class without examples gets zeros."""
    import torch

    width = model.head.in_features
    sums = torch.zeros(len(task.labels), width)
    device = precision.device_of(model)
    model.eval()
    with torch.no_grad(), precision.context(model, precision.of_base(model)):
        for part in physical(examples, _PART):
            batch = task.collate(part, device)
            rows = model.embed(batch.ids, batch.attention).float().cpu()
            sums.index_add_(0, batch.classes.cpu(), rows)
        model.head.weight.copy_(torch.nn.functional.normalize(sums, dim=-1))
        model.head.bias.zero_()
