"""What leaves as `Redacted` holds no recognised personal data, and nothing else makes a `Redacted`. (S10)"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.erasure import Marks, Tombstones
from privacy.redaction import Redacted, Redactor, training_row, write_lines

KEY = b"k" * 32
TEXTS = st.text(alphabet=st.sampled_from("0123456789 +-./()@:abDE<>emailphone\n,[]#号订单是"), max_size=100)


@pytest.fixture
def redactor():
    return Redactor(KEY)


def test_a_value_has_one_pseudonym_however_it_is_written(redactor):
    one = redactor.redact("0151 23456789").text
    assert one == redactor.redact("+49 (0)151-23456789").text == redactor.redact("0049 151 23456789").text
    assert one.startswith("<phone:")
    assert one != redactor.redact("0151 23456780").text


def test_pseudonyms_of_two_holders_cannot_be_joined(redactor):
    other = Redactor(b"o" * 32)
    assert redactor.redact("max@web.de").text != other.redact("max@web.de").text


def test_a_pseudonym_is_not_the_plain_hash_of_the_value(redactor):
    import hashlib

    assert hashlib.sha256(b"max@web.de").hexdigest()[:8] not in redactor.redact("max@web.de").text


def test_what_is_around_a_value_stays_to_the_letter(redactor):
    text = redactor.redact("Hello, max@web.de!\nOrder: 3 tents.").text
    assert text.startswith("Hello, <email:")
    assert text.endswith(">!\nOrder: 3 tents.")


def test_a_value_split_by_invisible_characters_is_found(redactor):
    assert redactor.redact("max\u200b@web\u00ad.de").counts == {"email": 1}


@given(TEXTS | st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_redacting_twice_changes_nothing_more(text):
    once = Redactor(KEY).redact(text)
    assert Redactor(KEY).redact(once.text).text == once.text


def test_nothing_but_a_redactor_makes_a_redacted():
    for make in (lambda: Redacted("max@web.de", {}), lambda: Redacted("x", {}, seal=object())):
        with pytest.raises(TypeError):
            make()


def test_a_redacted_does_not_change(redactor):
    done = redactor.redact("hello")
    with pytest.raises(AttributeError):
        done.text = "max@web.de"


def test_data_is_redacted_to_its_leaves_keys_and_numbers(redactor):
    data = {"max@web.de": ["call 0151 23456789", {"n": 13812345678, "price": 12.5, "ok": True, "none": None}]}
    done = redactor.redact_data(data)
    back = json.loads(done.text)
    assert "web.de" not in done.text
    assert "23456789" not in done.text
    assert "13812345678" not in done.text
    assert done.counts == {"email": 1, "phone": 2}
    assert next(iter(back.values()))[1]["price"] == 12.5


def test_a_training_row_names_the_customer_by_mark_and_can_be_forgotten(redactor, tmp_path):
    mark = Marks(tmp_path).of("visitor-17")
    row = training_row(redactor, [("user", "I am max@web.de"), ("assistant", "Hello!")], mark=mark)
    data = json.loads(row.text)
    assert data["customer"] == mark
    assert data["messages"][0]["content"].startswith("I am <email:")
    Tombstones(tmp_path).add(mark, "2026-01-01")
    assert Tombstones(tmp_path).erased([data["customer"], "visitor-18"]) == {mark}


def test_marks_are_never_taken_for_personal_data(redactor, tmp_path):
    marks = [Marks(tmp_path).of(str(number)) for number in range(500)]
    assert [redactor.redact(mark).text for mark in marks] == marks


def test_only_redacted_lines_are_written_for_others(redactor, tmp_path):
    path = tmp_path / "export.jsonl"
    assert write_lines(path, [redactor.redact("max@web.de\nthere"), redactor.redact("b")]) == 2
    assert path.read_text().count("\n") == 2
    with pytest.raises(AttributeError):
        write_lines(path, [("max@web.de",)])
    assert "web.de" not in path.read_text()


def test_the_type_checker_refuses_plain_text_where_redacted_is_asked_for():
    from mypy import api

    code = "from pathlib import Path; from privacy.redaction import write_lines; write_lines(Path('x'), ['max@web.de'])"
    out, _, status = api.run(["-c", code, "--follow-imports=silent", "--ignore-missing-imports", "--config-file="])
    assert status == 1
    assert "Redacted" in out
