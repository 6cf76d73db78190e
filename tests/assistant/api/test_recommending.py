"""/v1/recommend: a session asks for itself, staff for anybody; bad bodies are refused, too many too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from live import Visitor, served
from stand_in import StandIn, furnish
from wares import ITEMS, WORDS, events

from assistant import server
from assistant.advisor import Advisor
from assistant.settings import ServerSettings, Settings
from assistant.stock import Stock

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, object, StandIn]]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        server=ServerSettings(admin_password=PASSWORD, requests_per_minute=25),  # type: ignore[arg-type]
    )
    assistant = StandIn(settings)
    furnish(assistant)
    assistant.advisor = Advisor(assistant.store, settings.tenant)
    shelf = Stock(assistant.store, settings.tenant, settings.collection)
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    app = server.create_app(assistant, settings)
    with served(app) as url:
        yield url, app, assistant
    assistant.close()


@pytest.fixture
def visitor(house) -> Visitor:
    return Visitor(house[0], house[1])


def recommend(visitor: Visitor, **body: object) -> httpx.Response:
    return visitor.client.post("/v1/recommend", json=body)


def test_a_visitor_gets_goods_that_satisfy_the_request(visitor: Visitor):
    data = recommend(visitor, request="waterproof boots under 100", n=3).raise_for_status().json()
    assert [one["item"]["id"] for one in data["recommendations"]] == ["rain-boot"]
    assert data["recommendations"][0]["item"]["price"] == "60.00"
    assert {"field": "price", "test": "<", "values": ["100"]} in data["conditions"]


def test_an_edited_filter_is_applied_and_a_wrong_one_explained(visitor: Visitor):
    data = recommend(visitor, filter="category = fuel; price < 10").raise_for_status().json()
    assert [one["item"]["id"] for one in data["recommendations"]] == ["gas-can"]
    wrong = recommend(visitor, filter="colur = red")
    assert wrong.status_code == 400
    assert "colour" in wrong.json()["detail"]


def test_what_a_visitor_dismisses_does_not_come_back_to_them_alone(house, visitor: Visitor):
    done = visitor.client.post("/v1/recommend/events", json={"item": "rain-boot", "event": "dismiss"})
    assert done.json() == {"recorded": "dismiss", "item": "rain-boot"}
    assert recommend(visitor, request="waterproof boots under 100").json()["recommendations"] == []
    other = Visitor(house[0], house[1])
    assert recommend(other, request="waterproof boots under 100").json()["recommendations"]


def test_another_customer_is_for_staff_alone(visitor: Visitor):
    assert recommend(visitor, customer="c0").status_code == 403


def test_without_a_session_there_is_nothing(house):
    assert httpx.post(f"{house[0]}/v1/recommend", json={}).status_code == 401


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"n": 0}', b'{"n": "3"}', b'{"secret": 1}', b'{"request": "' + b"x" * 2000 + b'"}']
)
def test_a_wrong_body_is_refused_with_a_reason(visitor: Visitor, body: bytes):
    answer = visitor.client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_another_sites_page_cannot_ask(visitor: Visitor):
    assert visitor.client.post("/v1/recommend", json={}, headers={"origin": "https://evil.example"}).status_code == 403


def test_too_many_requests_are_told_to_wait(visitor: Visitor):
    answers = [recommend(visitor, n=1) for _ in range(27)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
