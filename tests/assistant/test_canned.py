from pathlib import Path

import pytest

from assistant.canned import Canned, Shelf
from assistant.errors import BadInput
from assistant.store import Store


def test_names_are_put_in_and_unknown_ones_close_up():
    hello = Canned("Hello", {"en": "Hello {customer}, {company} here.", "zh": "您好，{company}为您服务。"})
    assert hello.filled("en", company="Juniper", customer="Max") == "Hello Max, Juniper here."
    assert hello.filled("en", company="Juniper") == "Hello, Juniper here."
    assert hello.filled("zh", company="朱尼珀") == "您好，朱尼珀为您服务。"
    assert hello.filled("en", company="{staff}", customer="x", staff="Anna") == "Hello x, {staff} here."


def test_answers_are_kept_replaced_and_removed(tmp_path: Path):
    store = Store.open(tmp_path)
    shelf = Shelf(store, "default")
    shelf.save(" Good  bye ", {"en": "Bye", "zh": " "})
    shelf.save("Good bye", {"en": "Good bye!"})
    assert shelf.all() == [Canned("Good bye", {"en": "Good bye!"})]
    assert Shelf(store, "other").all() == []
    shelf.remove("Good bye")
    assert shelf.all() == []
    store.close()


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path):
    store = Store.open(tmp_path)
    with pytest.raises(BadInput, match=r"title.*text"):
        Shelf(store, "default").save("", {"en": ""})
    with pytest.raises(BadInput, match="Nobody knows price"):
        Shelf(store, "default").save("x", {"en": "{price}"})
    store.close()
