from hypothesis import given
from hypothesis import strategies as st

from assistant import gate


def test_an_ipv6_address_counts_as_its_network():
    one, other = ({"client": (host, 1)} for host in ("2001:db8::1", "2001:db8::ffff"))
    assert gate.address(one) == gate.address(other) == "2001:db8::/64"
    assert gate.address({"client": ("10.0.0.7", 1)}) == "10.0.0.7"
    assert gate.address({"client": None}) == "unknown"


def test_a_hash_belongs_to_the_first_session_that_uses_it():
    owners = gate._Owners()
    assert owners.claim("abc", "a")
    assert not owners.claim("abc", "b")
    assert owners.claim("abc", "a")


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc"))))
def test_no_hash_ever_answers_to_two_sessions(claims: list[tuple[str, str]]):
    owners, held = gate._Owners(), {}
    for session_hash, session in claims:
        if owners.claim(session_hash, session):
            assert held.setdefault(session_hash, session) == session


def test_a_full_table_gives_nothing_away(monkeypatch):
    monkeypatch.setattr(gate, "_HASHES", 2)
    owners = gate._Owners()
    assert owners.claim("a", "1")
    assert owners.claim("b", "1")
    assert not owners.claim("c", "2")
    assert not owners.claim("a", "2")


def test_a_strange_hash_is_nobodys():
    owners = gate._Owners()
    for strange in ("", "a/b", "a" * 41, "é", "a\n"):
        assert not owners.claim(strange, "a")
