import pytest

from assistant import registry
from assistant.errors import UnknownName


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, entries in registry.BUILT_IN.items() for name in entries]
)
def test_every_built_in_name_resolves_to_something_callable(kind, name):
    assert callable(registry.resolve(kind, name))


def test_an_unknown_name_proposes_the_nearest():
    with pytest.raises(UnknownName, match='Did you mean "echo"'):
        registry.resolve("engines", "ecko")


def test_a_name_like_no_other_gets_the_whole_list():
    with pytest.raises(UnknownName, match="Known: echo, hf, openvino, remote"):
        registry.resolve("engines", "zzzzzz")


def test_names_are_sorted():
    assert registry.names("engines") == sorted(registry.names("engines"))


def test_nothing_known_gives_no_hint():
    assert registry.did_you_mean("x", []) == ""
