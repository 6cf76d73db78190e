"""/v1/conversations: a visitor reads their own thread back as it was given; nobody else's exists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from open_house import SITE, OpenHouse, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def visitor(house: OpenHouse):
    made = house.http(None, origin=SITE).post("/visitors", json={"collection": "shop"}).raise_for_status().json()
    return house.http(None, authorization=f"Bearer {made['token']}", origin=SITE)


def test_a_thread_is_read_back_as_it_was_given(house: OpenHouse):
    client = visitor(house)
    question = {"messages": [{"role": "user", "content": "How long can I return items?"}]}
    given = client.post("/chat/completions", json=question).json()
    thread = client.get(f"/conversations/{given['confide']['conversation']}").raise_for_status().json()["data"]
    assert [one["role"] for one in thread] == ["user", "assistant"]
    assert thread[1]["content"] == given["choices"][0]["message"]["content"]
    assert thread[1]["annotations"] == given["choices"][0]["message"]["annotations"]
    assert thread[1]["confide"]["outcome"] == given["confide"]["outcome"]


def test_somebody_elses_thread_does_not_exist(house: OpenHouse):
    question = {"messages": [{"role": "user", "content": "How long can I return items?"}]}
    mine = visitor(house).post("/chat/completions", json=question).json()["confide"]["conversation"]
    other = visitor(house)
    assert other.get(f"/conversations/{mine}").status_code == 404
    assert other.post("/chat/completions", json={**question, "conversation": mine}).status_code == 404


def test_a_pass_is_renewed_for_the_same_visitor_and_a_strange_one_is_nobodys(house: OpenHouse):
    client = visitor(house)
    question = {"messages": [{"role": "user", "content": "How long can I return items?"}]}
    mine = client.post("/chat/completions", json=question).json()["confide"]["conversation"]
    fresh = client.post("/visitors", json={"collection": "shop"}).raise_for_status().json()["token"]
    held = client.headers["authorization"]
    strange = {"authorization": f"{held[:-3]}abc"}
    other = client.post("/visitors", json={"collection": "shop"}, headers=strange).raise_for_status().json()["token"]
    elsewhere = client.post("/visitors", json={"collection": "other"}).raise_for_status().json()["token"]
    found = [
        client.get(f"/conversations/{mine}", headers={"authorization": f"Bearer {token}"}).status_code
        for token in (fresh, other, elsewhere)
    ]
    assert found == [200, 404, 404]


def test_a_visitor_learns_what_the_chat_shows_first(house: OpenHouse):
    made = house.http(None, origin=SITE).post("/visitors", json={}).json()
    assert made["company"]["en"] == "Juniper"
    assert made["contact"] == "help@juniper.example"
    assert made["examples"]["en"]
