"""The mean of several classifiers."""

import numpy as np
import pytest

from assistant.errors import BadInput
from assistant.tuning.ensemble import Ensemble


class Sure:
    def __init__(self, labels, odds):
        self.labels, self._odds = tuple(labels), odds

    def classify(self, texts):
        return np.tile(np.array(self._odds, np.float32), (len(texts), 1))


def test_the_mean_is_by_label_whatever_the_order_of_a_members_head():
    both = Ensemble([Sure("ab", [0.8, 0.2]), Sure("ba", [0.6, 0.4])])
    assert both.labels == ("a", "b")
    assert np.allclose(both.classify(["x", "y"]), [[0.6, 0.4]] * 2)


def test_one_member_is_itself_and_probabilities_stay_probabilities():
    alone = Sure("abc", [0.2, 0.3, 0.5])
    assert np.allclose(Ensemble([alone]).classify(["x"]), alone.classify(["x"]))
    three = Ensemble([alone, Sure("abc", [1.0, 0.0, 0.0]), Sure("cab", [1.0, 0.0, 0.0])])
    assert np.allclose(three.classify(["x"]).sum(), 1.0)


@pytest.mark.parametrize("members", [[], [Sure("ab", [0.5, 0.5]), Sure("ac", [0.5, 0.5])]])
def test_other_labels_are_refused(members):
    with pytest.raises(BadInput, match="same labels"):
        Ensemble(members)
