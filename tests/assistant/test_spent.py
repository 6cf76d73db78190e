"""What a receipt says of the adapter that answered."""

import math

import pytest

from assistant import spent
from assistant.types import Adapter
from privacy.accounting import epsilon
from privacy.types import PrivacySpend


def adapter(*spends):
    return Adapter("support", 3, "", "chat", "base", "", "", 2, 4.0, (), privacy=spends)


PRIVATE = PrivacySpend("dpsgd", 1.0, 0.02, 300, 1.0, "customer", "chats")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_private_training_is_told_with_its_unit_epsilon_and_delta(language):
    said = spent.in_words("support@3", adapter(PRIVATE), language)
    value = math.ceil(100 * epsilon([PRIVATE], 1e-5, unit="customer")) / 100
    assert all(part in said for part in ("support@3", f"{value:.2f}", "1e-05"))
    assert ("customer" if language == "en" else "客户") in said


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_ordinary_training_is_infinite_in_plain_words_whatever_came_beside_it(language):
    said = spent.in_words("support@3", adapter(PRIVATE, PrivacySpend.nonprivate("chats")), language)
    assert ("infinite" if language == "en" else "无穷大") in said


def test_what_is_not_known_is_no_promise():
    assert "infinite" in spent.in_words("support@3", adapter(), "en")
    assert "infinite" in spent.in_words("theirs@1", None, "en")


def test_without_an_adapter_nothing_learned_is_in_it():
    assert spent.in_words(None, None, "en").startswith("No adapter")


def test_trainings_per_record_and_per_customer_are_told_per_record():
    mixed = adapter(PRIVATE, PrivacySpend("dpsgd", 1.0, 0.02, 300, 1.0, "example", "chats"))
    assert "each record" in spent.in_words("support@3", mixed, "en")


def test_the_short_form_says_the_same():
    value = math.ceil(100 * epsilon([PRIVATE], 1e-5, unit="customer")) / 100
    assert spent.short(adapter(PRIVATE)) == f"epsilon {value:.2f} per customer at delta 1e-05"
    assert spent.short(adapter(PrivacySpend.nonprivate("chats"))) == "epsilon is infinite"
    assert "infinite" in spent.short(adapter())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_built_in_adapter_holds_nothing_of_customers_and_its_namesake_is_not_believed(language):
    said = spent.in_words("built-in@1", None, language)
    assert ("nothing of your customers" if language == "en" else "不含您客户") in said
    assert ("infinite" if language == "en" else "无穷大") in spent.in_words("built-in@2", None, language)
