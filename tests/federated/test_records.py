"""Laws of translation: what goes out comes back the same, and what cannot be read is refused, never a crash."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("flwr")
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from safetensors.numpy import save

from benchmarks.malformed import PLAN, good
from federated import records
from federated.errors import UpdateRefused
from federated.masking import Disclosure
from privacy.types import PrivacySpend

WELL = records.from_update(good())
WHOLE = save({"x": np.zeros(2)})


def with_file(file: bytes) -> RecordDict:
    """A good update, but for its tensors."""
    arrays = ArrayRecord({"safetensors": Array("uint8", (len(file),), "safetensors", file)})
    return RecordDict({"about": WELL["about"], "arrays": arrays})


def test_a_plan_and_its_weights_come_back() -> None:
    start = {spec.name: np.full(spec.shape, 0.25) for spec in PLAN.tensors}
    plan, weights = records.to_plan(records.from_plan(PLAN, start))
    assert plan == PLAN
    assert plan.digest() == PLAN.digest()
    for name, array in start.items():
        np.testing.assert_array_equal(weights[name], array)


def test_an_update_comes_back_with_the_same_claim() -> None:
    update = good(spend=PrivacySpend.nonprivate("mine"))
    again = records.to_update(records.from_update(update))
    assert again.claim() == update.claim()
    assert again.signature == update.signature


def test_tensors_come_back_with_their_types_and_cost_one_array() -> None:
    kinds = (np.float16, np.float32, np.float64, np.int8, np.int32, np.uint32, np.int64, np.uint64)
    sent = {np.dtype(kind).name: np.arange(6, dtype=kind).reshape(2, 3).T for kind in kinds}
    content = records.pack({}, sent)
    assert len(content["arrays"]) == 1
    found = records.arrays(content)
    for name, array in sent.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert not records.arrays(records.pack({}, {}))


def test_what_a_sender_says_of_its_bytes_is_not_believed() -> None:
    """NumPy would unpack a zip, or make room for a quintillion numbers."""
    for lie in (
        b"PK\x03\x04" + bytes(60),
        b"\x93NUMPY\x01\x00F\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}" % 2**50,
    ):
        content = records.pack({}, {})
        content["arrays"] = ArrayRecord({"safetensors": Array("float64", (2**50,), "numpy.ndarray", lie)})
        with pytest.raises(UpdateRefused):
            records.arrays(content)


def test_a_disclosure_comes_back() -> None:
    disclosure = Disclosure("p0", ("p0", "p1", "p2"), bytes(32), {"p3": bytes(range(32))})
    assert records.to_disclosure(records.from_disclosure(disclosure)) == disclosure


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"about": ConfigRecord({"json": "not json"})}),
        RecordDict({"about": ConfigRecord({"json": "[1, 2]"})}),
        RecordDict({"about": ConfigRecord({"json": "[" * 100_000})}),
        RecordDict({"about": ConfigRecord({"json": "{}"})}),
        records.pack({"partner": "p0", "arrived": 3, "own_seed": "zz", "pair_seeds": []}),
        records.pack({"partner": "p0", "arrived": [], "own_seed": "00", "pair_seeds": {}}),
        records.pack({"scales": 3, "run": "r"}, {"x": np.zeros(2)}),
        with_file(b"no safetensors"),
        with_file(WHOLE[:-1]),
        with_file((1 << 60).to_bytes(8, "little") + WHOLE[8:]),
        RecordDict({"about": WELL["about"], "arrays": ArrayRecord({"x": Array(np.zeros(2))})}),
        RecordDict({"about": WELL["about"], "arrays": ConfigRecord({"safetensors": 3})}),
    ],
)
def test_what_cannot_be_read_is_refused(content: RecordDict) -> None:
    for read in (records.to_update, records.to_disclosure):
        with pytest.raises(UpdateRefused):
            read(content)
