from __future__ import annotations

import pytest

from assistant.engines.echo import EchoEngine
from assistant.settings import Settings
from assistant.testing import EngineContract, ask
from assistant.types import Message


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self) -> EchoEngine:
        return EchoEngine()


def test_script_is_answered_in_turn_and_its_last_entry_repeats():
    engine = EchoEngine(script=("one", "two"))
    assert [ask(engine) for _ in range(3)] == ["one", "two", "two"]


def test_echo_repeats_the_last_message():
    assert ask(EchoEngine(), (Message("user", "first"), Message("user", "a  b"))) == "a  b"


def test_registry_makes_an_echo():
    from assistant import registry

    assert registry.resolve("engines", "echo")(Settings()).name == "echo"
