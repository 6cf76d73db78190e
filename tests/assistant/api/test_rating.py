"""/v1/feedback: the id that comes with an answer rates it, once, by whom it was given to; staff read it redacted."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from open_house import SITE, OpenHouse, open_house

from assistant.keys import Role

BODY = {"messages": [{"role": "user", "content": "How long can I return items?"}]}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def visitor(house: OpenHouse) -> httpx.Client:
    token = house.http(None, origin=SITE).post("/visitors", json={}).json()["token"]
    return house.http(None, authorization=f"Bearer {token}", origin=SITE)


def rate(client: httpx.Client, answer: str, **body: object) -> httpx.Response:
    return client.post("/feedback", json={"answer": answer, "rating": "up", **body})


def test_an_answer_is_rated_and_changed_by_whom_it_was_given_to(house: OpenHouse):
    client = visitor(house)
    given = client.post("/chat/completions", json=BODY).json()["confide"]
    assert given["rating"] is None
    first = rate(client, given["answer"]).raise_for_status().json()
    assert rate(client, given["answer"]).status_code == 403
    assert rate(visitor(house), first["answer"]).status_code == 403
    assert rate(client, first["answer"], rating="down", correction="No, 60.", consent=True).status_code == 200
    thread = client.get(f"/conversations/{given['conversation']}").json()["data"][1]["confide"]
    assert thread["rating"] == "down"
    assert rate(client, thread["answer"]).status_code == 200  # a reloaded page may change it


def test_a_key_rates_for_the_customer_it_asked_for(house: OpenHouse):
    client = house.http()
    answer = client.post("/chat/completions", json={**BODY, "user": "anna"}).json()["confide"]["answer"]
    assert rate(client, answer, user="bob").status_code == 403
    assert rate(client, answer).status_code == 403
    assert rate(client, answer, user="anna").status_code == 200


@pytest.mark.parametrize("body", [{"rating": "best"}, {"correction": "x" * 4001}, {"consent": "yes"}, {"more": 1}])
def test_a_wrong_opinion_is_refused(house: OpenHouse, body: dict):
    assert rate(house.http(), "x", **body).status_code == 400


def test_staff_read_ratings_without_personal_data(house: OpenHouse):
    client = visitor(house)
    answer = client.post("/chat/completions", json=BODY).json()["confide"]["answer"]
    rate(client, answer, rating="down", correction="Write to anna@example.com.").raise_for_status()
    assert client.get("/feedback").status_code == 403
    line = house.http(Role.STAFF).get("/feedback").json()["data"][0]
    assert line["question"] == "How long can I return items?"
    assert "30 days" in line["answer"]
    assert "anna@example.com" not in line["correction"]
