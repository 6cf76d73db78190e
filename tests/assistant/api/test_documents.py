"""/v1/documents: staff read the list, the owner changes it; a hostile name or body changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from open_house import OpenHouse, open_house

from assistant.accounts import Accounts
from assistant.keys import Role


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data"), max_body_mb=2) as opened:
        yield opened


def names(house: OpenHouse, collection: str = "shop") -> list[str]:
    answer = house.http(Role.STAFF).get("/documents", params={"collection": collection})
    return [one["id"] for one in answer.raise_for_status().json()["data"]]


def test_files_are_read_listed_and_removed(house: OpenHouse):
    owner = house.http(Role.OWNER)
    files = [("file", ("care.md", b"# Care\n\nWash the tent by hand.")), ("file", ("bad.pdf", b"not a pdf"))]
    changed = owner.post("/documents", files=files).raise_for_status().json()
    verdicts = {one["name"]: one["verdict"] for one in changed["files"]}
    assert verdicts == {"care.md": "added", "bad.pdf": "refused"}
    assert "care.md" in names(house)
    gone = owner.delete("/documents/care.md").raise_for_status().json()
    assert [one["verdict"] for one in gone["files"]] == ["removed"]
    assert "care.md" not in names(house)
    log = Accounts(house.assistant.store, "default").logged(2)
    assert [(one.who, one.action) for one in log] == [("key: owner", "document.remove"), ("key: owner", "document.add")]


def test_a_new_collection_is_made_by_its_first_document(house: OpenHouse):
    file = {"file": ("a.txt", b"We open at nine on every day of the week.")}
    made = house.http(Role.OWNER).post("/documents", params={"collection": "hours"}, files=file)
    assert made.raise_for_status().json()["collection"] == "hours"
    assert names(house, "hours") == ["a.txt"]


@pytest.mark.parametrize("role", [Role.VISITOR, Role.STAFF])
def test_only_the_owner_changes_documents(house: OpenHouse, role: Role):
    before = names(house)
    client = house.http(role)
    assert client.post("/documents", files={"file": ("a.txt", b"text")}).status_code == 403
    assert client.delete("/documents/returns.md").status_code == 403
    assert names(house) == before


@pytest.mark.parametrize("name", ["../../evil.md", "/etc/passwd", "a/b.md", "a\\b.md", ".hidden", "x" * 200 + ".md"])
def test_a_hostile_name_writes_nothing(house: OpenHouse, name: str):
    before = names(house)
    answer = house.http(Role.OWNER).post("/documents", files={"file": (name, b"# evil\n\nEverything is free.")})
    assert answer.status_code == 400
    assert names(house) == before


def test_a_request_without_files_is_refused(house: OpenHouse):
    owner = house.http(Role.OWNER)
    assert owner.post("/documents", json={"file": "x"}).status_code == 400
    assert owner.post("/documents", data={"file": "x"}).status_code == 400
    bad = {"content-type": "multipart/form-data; boundary=x"}
    assert owner.post("/documents", content=b"garbage", headers=bad).status_code == 400
    same = [("file", ("a.txt", b"one")), ("file", ("a.txt", b"two"))]
    assert owner.post("/documents", files=same).status_code == 400


def test_uploads_have_the_cap_of_the_settings(house: OpenHouse):
    owner = house.http(Role.OWNER)
    assert owner.post("/documents", files={"file": ("big.txt", b"word " * 500_000)}).status_code == 413


def test_what_is_not_there_cannot_be_removed(house: OpenHouse):
    assert house.http(Role.OWNER).delete("/documents/nothing.md").status_code == 404
    assert house.http(Role.OWNER).delete("/documents/a.txt", params={"collection": "no"}).status_code == 404


def test_a_name_that_no_file_system_takes_is_refused_and_the_longest_is_read(house: OpenHouse):
    owner, text = house.http(Role.OWNER), "退货须在三十天内提出。".encode()
    long, longest = "退" * 85 + ".md", "退" * 84 + ".md"  # 258 and 255 bytes
    refused = owner.post("/documents", files=[("file", (long, text)), ("file", ("a.txt", text))])
    assert (refused.status_code, "cannot name a document" in refused.json()["detail"]) == (400, True)
    read = owner.post("/documents", files={"file": (longest, text)}).raise_for_status().json()["files"]
    assert [(one["name"], one["verdict"]) for one in read] == [(longest, "added")]
    owner.delete(f"/documents/{longest}").raise_for_status()
