"""/v1/desk: staff take conversations over HTTP; customers see who answers; nobody else gets in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from open_house import SITE, OpenHouse, open_house

from assistant.accounts import Accounts
from assistant.accounts import Role as Duty
from assistant.keys import Keys, Role
from assistant.sessions import COOKIE, Sessions

ASK = "I want a person"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data"), requests_per_minute=20) as opened:
        yield opened


def visitor(house: OpenHouse) -> httpx.Client:
    made = house.http(None, origin=SITE).post("/visitors", json={"collection": "shop"}).raise_for_status().json()
    return house.http(None, authorization=f"Bearer {made['token']}", origin=SITE)


def ask(client: httpx.Client, text: str, conversation: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": text}], "conversation": conversation, **more}
    done: dict[str, Any] = client.post("/chat/completions", json=body).raise_for_status().json()
    return done["confide"]


def colleague(house: OpenHouse, name: str) -> httpx.Client:
    text = Keys(house.assistant.store, "default").create(name, role=Role.STAFF, per_minute=10_000)[1]
    return house.http(key=text)


def test_a_conversation_is_handed_over_and_back(house: OpenHouse):
    customer, anna, bob = visitor(house), colleague(house, "Anna"), colleague(house, "Bob")
    told = ask(customer, ASK)
    here = told["conversation"]
    assert (told["outcome"], told["person"]) == ("NEEDS_HUMAN", "")
    assert customer.get(f"/conversations/{here}").json()["desk"] == "waiting"
    line = next(one for one in anna.get("/desk").json()["data"] if one["conversation"] == here)
    assert (line["state"], line["topic"], line["mine"]) == ("waiting", ASK, False)
    assert anna.post(f"/desk/{here}/take", json={}).json()["case"]["mine"] is True
    refused = bob.post(f"/desk/{here}/take", json={})
    assert (refused.status_code, "Anna has this" in refused.json()["detail"]) == (409, True)
    assert bob.post(f"/desk/{here}/messages", json={"id": "1", "text": "Hi"}).status_code == 409

    assert ask(customer, "Hello?", here, message_id="m1")["person"] == "Anna"
    for _ in range(2):
        anna.post(f"/desk/{here}/messages", json={"id": "1", "text": "Hello, Anna here."}).raise_for_status()
        anna.post(f"/desk/{here}/notes", json={"id": "1", "text": "secret"}).raise_for_status()
    thread = customer.get(f"/conversations/{here}").json()
    assert (thread["desk"], thread["person"]) == ("taken", "Anna")
    assert [(one["id"], one["by"], one["content"]) for one in thread["data"][-2:]] == [
        ("m1", "", "Hello?"),
        (thread["data"][-1]["id"], "Anna", "Hello, Anna here."),
    ]
    assert "secret" not in str(thread)
    helped = {"answer": thread["data"][-1]["answer"], "rating": "up", "consent": True}
    assert visitor(house).post("/feedback", json=helped).status_code == 403
    assert customer.post("/feedback", json=helped).status_code == 200
    assert customer.get(f"/conversations/{here}").json()["data"][-1]["rating"] == "up"
    assert anna.get("/feedback").json()["data"][0]["answer"] == "Hello, Anna here."
    news = customer.get(f"/conversations/{here}", params={"after": thread["data"][-1]["number"]}).json()
    assert news["data"] == []

    assert anna.post(f"/desk/{here}/return").json()["case"]["state"] == "returned"
    assert ask(customer, "How long can I return items?", here)["person"] == ""
    assert anna.get(f"/desk/{here}").json()["notes"][0]["text"] == "secret"


def test_a_first_message_sent_again_begins_one_conversation(house: OpenHouse):
    customer = visitor(house)
    first, again = (ask(customer, ASK, message_id="first")["conversation"] for _ in range(2))
    assert first == again
    thread = customer.get(f"/conversations/{first}").json()["data"]
    assert [one["content"] for one in thread].count(ASK) == 1


def test_an_address_is_left_by_who_waits_only(house: OpenHouse):
    customer = visitor(house)
    here = ask(customer, "How long can I return items?")["conversation"]
    assert customer.post(f"/conversations/{here}/address", json={"email": "max@web.de"}).status_code == 400
    ask(customer, ASK, here)
    assert customer.post(f"/conversations/{here}/address", json={"email": "nonsense"}).status_code == 400
    assert visitor(house).post(f"/conversations/{here}/address", json={"email": "max@web.de"}).status_code == 404
    assert customer.post(f"/conversations/{here}/address", json={"email": "max@web.de"}).status_code == 200
    assert customer.get(f"/conversations/{here}").json()["reachable"] is True


def test_customers_and_keys_of_other_collections_do_not_get_to_the_desk(house: OpenHouse):
    customer = visitor(house)
    here = ask(customer, ASK)["conversation"]
    other = Keys(house.assistant.store, "default").create("o", role=Role.STAFF, collection="other")[1]
    for client, code in ((customer, 403), (house.http(Role.VISITOR), 403), (house.http(key=other), 404)):
        assert client.get(f"/desk/{here}").status_code == code
        assert client.post(f"/desk/{here}/take", json={}).status_code == code
    assert here not in house.http(key=other).get("/desk").text


def test_looking_for_news_leaves_room_for_questions(house: OpenHouse):
    customer = visitor(house)
    here = ask(customer, ASK)["conversation"]
    assert {customer.get(f"/conversations/{here}").status_code for _ in range(40)} == {200}
    assert ask(customer, "Hello?", here)["outcome"]


@pytest.mark.parametrize(("duty", "code"), [(Duty.VIEWER, 403), (Duty.STAFF, 200), (Duty.OWNER, 200)])
def test_an_account_reads_the_desk_as_staff_only(house: OpenHouse, duty: Duty, code: int):
    here = ask(visitor(house), ASK)["conversation"]
    session = Sessions.open(house.assistant.settings.data_dir).new()
    accounts = Accounts(house.assistant.store, "default")
    accounts.admit(f"{duty}@example.org", duty)
    accounts.sign_in(session.id, f"{duty}@example.org", seconds=60)
    client = house.http(None, cookie=f"{COOKIE}={session.cookie}")
    assert [client.get(path).status_code for path in ("/desk", f"/desk/{here}")] == [code, code]


def test_a_back_end_reads_what_a_person_wrote_to_each_of_its_customers(house: OpenHouse):
    shop, anna = house.http(Role.VISITOR), colleague(house, "Anna")
    here = ask(shop, ASK, user="customer-1")["conversation"]
    anna.post(f"/desk/{here}/take", json={}).raise_for_status()
    anna.post(f"/desk/{here}/messages", json={"id": "1", "text": "Hello, Anna here."}).raise_for_status()
    path, mine, others = f"/conversations/{here}", {"user": "customer-1"}, ({}, {"user": "customer-2"})
    said = shop.get(path, params=mine).raise_for_status().json()["data"][-1]
    assert (said["by"], said["content"]) == ("Anna", "Hello, Anna here.")
    assert shop.post("/feedback", json={"answer": said["answer"], "rating": "up", **mine}).status_code == 200
    reach = {"email": "max@web.de"}
    assert {shop.get(path, params=user).status_code for user in others} == {404}
    assert {shop.post(f"{path}/address", json={**reach, **user}).status_code for user in others} == {404}
    assert shop.post(f"{path}/address", json={**reach, **mine}).status_code == 200
    assert anna.get(f"/desk/{here}").json()["case"]["email"] == "max@web.de"
