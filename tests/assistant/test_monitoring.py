"""/healthz names the failing part with 503; /metrics counts, says nothing of customers and goes to the staff only."""

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from stand_in import StandIn, furnish
from starlette.testclient import TestClient

from assistant.accounts import Role as AccountRole
from assistant.guard import SESSION
from assistant.keys import Keys, Role
from assistant.monitoring import add_monitoring
from assistant.sessions import Session
from assistant.settings import load_settings
from assistant.types import Conversation

QUESTION = "Does my cousin Bartholomew get the delivery costs back?"
HERE, FAR = ("127.0.0.1", 50000), ("203.0.113.7", 50000)
FORWARDED = {"x-forwarded-for": "203.0.113.7"}


class Door:
    """Lets one session in, as a viewer."""

    def may(self, session, role):
        return session == "ada" and AccountRole.VIEWER.covers(role)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory):
    made = StandIn(load_settings(data_dir=tmp_path_factory.mktemp("data")))
    furnish(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(assistant):
    inner = FastAPI()
    add_monitoring(inner, assistant, Door())

    async def app(scope, receive, send):
        name = dict(scope.get("headers", ())).get(b"x-test-session", b"").decode()
        await inner({**scope, SESSION: Session(name) if name else None}, receive, send)

    return lambda address=HERE: TestClient(app, client=address)


def values(text):
    families = text_string_to_metric_families(text)
    return {(one.name, *sorted(one.labels.values())): one.value for family in families for one in family.samples}


def test_metrics_count_answers_and_name_no_customer(assistant, client):
    list(assistant.ask(Conversation("c-visitor", "visitor-77"), QUESTION, collection="shop"))
    text = client().get("/metrics").text
    found = values(text)
    assert found["confide_answers_total", "ANSWERED", "shop"] == 1
    assert found["confide_answer_seconds_count", "shop"] == 1
    assert found["confide_passages", "shop"] == 2
    assert found["confide_part_working", "disk"] == 1
    assert not [word for word in ("Bartholomew", "visitor-77", "c-visitor") if word in text]


def test_metrics_are_for_this_machine_a_staff_key_and_the_staff_only(assistant, client):
    keys = Keys(assistant.store, "default")
    assert client().get("/metrics").status_code == 200
    assert client().get("/metrics", headers=FORWARDED).status_code == 404
    for role, status in ((Role.VISITOR, 404), (Role.STAFF, 200), (Role.OWNER, 200)):
        bearer = {"authorization": f"Bearer {keys.create(role.value, role=role)[1]}"}
        assert client(FAR).get("/metrics", headers=bearer).status_code == status
    for headers, status in (({}, 404), ({"x-test-session": "eve"}, 404), ({"x-test-session": "ada"}, 200)):
        assert client(FAR).get("/metrics", headers=headers).status_code == status
    assert client(FAR).get("/metrics", headers={"authorization": "Bearer ck_nonsense"}).status_code == 404


def test_a_failing_part_is_named_with_503_and_why_only_to_the_staff(assistant, client, monkeypatch):
    monkeypatch.setattr("assistant.health.KEPT_S", -1.0)
    assert client(FAR).get("/healthz").status_code == 200
    monkeypatch.setattr(type(assistant.searcher), "is_sound", lambda *_: False)
    answer = client(FAR).get("/healthz")
    body = answer.json()
    assert answer.status_code == 503
    assert (body["status"], body["parts"]["index"], body["parts"]["store"]) == ("failing", "failing", "ok")
    assert "why" not in body
    assert "shop" in client(FAR).get("/healthz", headers={"x-test-session": "ada"}).json()["why"]["index"]


def test_a_lost_store_fails_health_and_not_the_server(assistant, client, monkeypatch):
    monkeypatch.setattr("assistant.health.KEPT_S", -1.0)
    monkeypatch.setattr(assistant.store, "collections", lambda tenant: 1 / 0)
    assert client().get("/healthz").status_code == 503
    assert values(client().get("/metrics").text)["confide_part_working", "store"] == 0
