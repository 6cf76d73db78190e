"""The description of the API: complete, and its page loads nothing. Then the description is turned against the API."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from open_house import OpenHouse, open_house

from assistant.keys import Role


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data"), requests_per_minute=100_000) as opened:
        yield opened


def test_every_door_is_described(house: OpenHouse):
    described = httpx.get(f"{house.url}/v1/openapi.json").json()
    paths = {"/chat/completions", "/models", "/embeddings", "/recommend", "/documents", "/visitors"}
    assert paths <= set(described["paths"])
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            assert "422" not in operation["responses"]


def test_the_page_loads_nothing_from_anywhere(house: OpenHouse):
    answer = httpx.get(f"{house.url}/v1/docs")
    assert "/v1/chat/completions" in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|@import|https?://|url\(", answer.text)


def test_a_path_that_reaches_no_door_is_refused_in_the_same_shape(house: OpenHouse):
    for path in ("nowhere", "models/a%0Ab", "%0A"):
        answer = httpx.get(f"{house.url}/v1/{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["message"]
    assert httpx.get(f"{house.url}/receipts/none").json().keys() == {"detail"}


def fuzz(house: OpenHouse, examples: int) -> None:
    """Requests that fit the description and such as do not: no 5xx, every answer as described."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

    schema = schemathesis.openapi.from_url(f"{house.url}/v1/openapi.json")
    headers = {"authorization": f"Bearer {house.keys[Role.OWNER]}"}
    # What a schema cannot say (the last message is the user's, a filter names fields) is refused with a reason.
    # Every request here has the key and unknown query parameters are passed over, so that not every request that was
    # made wrong is wrong; those without a key are test_house.py's, wrong bodies those of each door.
    excluded = [positive_data_acceptance, ignored_auth, negative_data_rejection]
    for result in schema.get_all_operations():
        for mode in schemathesis.GenerationMode:

            @given(case=result.ok().as_strategy(generation_mode=mode))
            @settings(
                max_examples=examples,
                derandomize=examples < 100,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            def send(case):
                case.call_and_validate(headers=headers, excluded_checks=excluded)

            send()


def test_requests_that_fit_the_description_never_break_the_server(house: OpenHouse):
    fuzz(house, 15)


@pytest.mark.slow
def test_many_requests_that_fit_the_description_never_break_the_server(house: OpenHouse):
    fuzz(house, 300)
