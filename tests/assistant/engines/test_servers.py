"""Who is asked next, and who rests: by a clock of the tests' own."""

from __future__ import annotations

import pytest

from assistant.engines.servers import LONGEST_REST_S, OPENS_AFTER, REST_S, Servers


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def servers(clock: list[float]) -> Servers:
    return Servers(["one", "two"], lambda url: None, clock=lambda: clock[0])


def ready(servers: Servers) -> list[str]:
    return [server.url for server in servers.ready()]


def test_the_least_busy_is_asked_first(servers: Servers):
    with servers.asking(servers.all[0]):
        assert ready(servers) == ["two", "one"]
    assert ready(servers) == ["one", "two"]


def test_one_that_fails_several_times_running_rests_and_comes_back_with_one_request(servers: Servers, clock):
    sick = servers.all[0]
    for _ in range(OPENS_AFTER):
        assert ready(servers)[0] == "one"
        servers.failed(sick)
    assert ready(servers) == ["two"]
    clock[0] += REST_S
    assert ready(servers) == ["two", "one"]
    with servers.asking(sick):
        assert ready(servers) == ["two"]
    servers.worked(sick)
    assert ready(servers) == ["one", "two"]


def test_an_answer_between_failures_forgives_them(servers: Servers):
    for _ in range(5):
        servers.failed(servers.all[0])
        servers.failed(servers.all[0])
        servers.worked(servers.all[0])
    assert ready(servers) == ["one", "two"]


def test_it_rests_longer_each_time_and_never_for_ever(servers: Servers, clock):
    sick, rests = servers.all[0], []
    for _ in range(OPENS_AFTER + 12):
        servers.failed(sick)
        rests.append(sick.rests_until - clock[0])
    assert rests[OPENS_AFTER] == 2 * rests[OPENS_AFTER - 1] == 2 * REST_S
    assert max(rests) == LONGEST_REST_S
