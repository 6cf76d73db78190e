"""Who calls: keys, passes and sessions, each with its limits and its own collection; everybody else is nobody."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from live import Visitor
from open_house import SITE, OpenHouse, open_house

from assistant.keys import Keys, Role

BODY = {"messages": [{"role": "user", "content": "How long can I return items?"}]}
DOORS = [
    ("POST", "/chat/completions"), ("GET", "/models"), ("GET", "/models/shop"), ("POST", "/embeddings"),
    ("POST", "/recommend"), ("POST", "/recommend/events"), ("GET", "/documents"), ("POST", "/documents"),
    ("DELETE", "/documents/returns.md"), ("GET", "/conversations/c_1"), ("POST", "/feedback"), ("GET", "/feedback"),
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def passed(house: OpenHouse, site: str = SITE, collection: str = "shop") -> str:
    answer = house.http(None, origin=site).post("/visitors", json={"collection": collection})
    return str(answer.raise_for_status().json()["token"])


@pytest.mark.parametrize("authorization", [None, "Bearer ck_x", "Bearer", "Basic abc", "Bearer vt_forged"])
def test_no_door_opens_without_a_good_key(tmp_path, authorization: str | None):
    with open_house(tmp_path) as house:
        client = house.http(None, **({"authorization": authorization} if authorization else {}))
        for method, path in DOORS:
            answer = client.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 401, path
            assert answer.json()["error"]["type"] == "authentication_error"


def test_guessing_keys_is_slowed(tmp_path):
    with open_house(tmp_path) as house:
        client = house.http(None, authorization="Bearer ck_wrong")
        statuses = [client.get("/models").status_code for _ in range(35)]
        assert statuses[0] == 401
        assert statuses[-1] == 429


def test_a_revoked_key_is_refused(house: OpenHouse):
    keys = Keys(house.assistant.store, "default")
    key, text = keys.create("old", role=Role.VISITOR)
    house.openai(key=text).models.list()
    keys.revoke(key.id)
    with pytest.raises(openai.AuthenticationError):
        house.openai(key=text).models.list()


def test_a_key_has_its_own_limits(house: OpenHouse):
    keys = Keys(house.assistant.store, "default")
    for name, limits in (("minute", {"per_minute": 2}), ("day", {"per_minute": 100, "per_day": 2})):
        client = house.http(key=keys.create(name, role=Role.VISITOR, **limits)[1])
        answers = [client.get("/models") for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1


def test_a_key_of_one_collection_knows_no_other(house: OpenHouse):
    text = Keys(house.assistant.store, "default").create("one", role=Role.OWNER, collection="other")[1]
    client = house.http(key=text)
    assert {one["confide"]["collection"] for one in client.get("/models").json()["data"]} <= {"other", ""}
    assert client.post("/chat/completions", json={**BODY, "model": "shop"}).status_code == 404
    assert client.get("/documents", params={"collection": "shop"}).status_code == 404
    assert client.post("/recommend", json={"collection": "shop"}).status_code == 404
    upload = client.post("/documents", params={"collection": "shop"}, files={"file": ("a.txt", b"text")})
    assert upload.status_code == 403


def test_the_pages_session_asks_for_itself_and_staff_need_the_password(house: OpenHouse):
    visitor = Visitor(house.url, house.app)
    assert visitor.client.post("/v1/chat/completions", json=BODY).status_code == 200
    assert visitor.client.get("/v1/documents").status_code == 403


def test_a_pass_is_good_on_its_own_site_alone(house: OpenHouse):
    token = passed(house)
    asked = house.http(None, authorization=f"Bearer {token}", origin=SITE).post("/chat/completions", json=BODY)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in asked.headers
    elsewhere = house.http(None, authorization=f"Bearer {token}")
    assert elsewhere.post("/chat/completions", json=BODY).status_code == 401


def test_a_site_that_is_not_listed_gets_no_pass(house: OpenHouse):
    answer = house.http(None, origin="https://evil.example").post("/visitors", json={})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_pass_of_one_collection_asks_no_other(house: OpenHouse):
    token = passed(house, collection="other")
    client = house.http(None, authorization=f"Bearer {token}", origin=SITE)
    assert client.post("/chat/completions", json={**BODY, "model": "shop"}).status_code == 404
    assert client.post("/chat/completions", json={**BODY, "model": "other"}).status_code == 200


def test_there_is_no_pass_for_a_collection_that_does_not_exist(house: OpenHouse):
    assert house.http(None, origin=SITE).post("/visitors", json={"collection": "nothing"}).status_code == 404


def test_a_pass_may_do_what_a_visitor_may(house: OpenHouse):
    client = house.http(None, authorization=f"Bearer {passed(house)}", origin=SITE)
    assert client.get("/documents").status_code == 403
    assert client.post("/embeddings", json={"model": "shop", "input": "x"}).status_code == 403
    assert client.post("/recommend", json={"customer": "c0"}).status_code == 403
