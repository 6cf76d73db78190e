"""The benchmark desk-kills in small: nothing is lost, doubled or misdirected by SIGKILLs; a server that does is found out."""

import pytest

from benchmarks.desk_kills import measured

pytestmark = pytest.mark.slow


def test_five_kills_lose_double_and_misdirect_nothing():
    report = measured(5, seed=1)
    assert [report.value(name) for name in ("lost", "doubled", "misdirected")] == [0, 0, 0]
    assert report.value("takeovers") > 0


@pytest.mark.parametrize(("broken", "found"), [("ids", "doubled"), ("write", "lost"), ("take", "misdirected")])
def test_a_planted_mistake_is_found(broken: str, found: str):
    assert measured(5, seed=1, broken=broken).value(found) > 0
