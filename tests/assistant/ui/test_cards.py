"""A card says what its row says, and nothing from a catalogue becomes markup."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from wares import DAY, ITEMS

from assistant.advisor import render as told
from assistant.goods import Advice, Condition, Interaction, Item, Reason, Recommendation
from assistant.ui import cards
from assistant.ui.render import Look, safe
from assistant.ui.texts import words

LOOK = Look(words("en"), "zh")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    ["<script>", '"><img src=x onerror=1>', "![x](y)"]
)


def advice(item: Item, reason: str = "because") -> Advice:
    found = (Recommendation(item, 1.0, (Reason("matches", text=reason),)),)
    return Advice("asked", told(found, ()), found, (Condition("price", "<", ("100",)),), 1, notes=("a note",))


@given(TEXT, TEXT, TEXT)
def test_whatever_a_catalogue_says_is_text(name: str, value: str, event: str):
    item = Item(
        name,
        name,
        {"zh": value},
        Decimal("1.50"),
        "EUR",
        value,
        value,
        value,
        value,
        3,
        value,
        attributes={name: value},
    )
    data = advice(item, value).to_dict()
    made = (
        cards.cards(data, LOOK, language="zh", act=True)
        + cards.conditions(data, LOOK, language="zh")
        + cards.notes(data)
    )
    made += cards.history([Interaction("c", name, "buy", DAY)], {name: item}, LOOK)
    ours = {
        "div",
        "h4",
        "span",
        "ul",
        "li",
        "details",
        "summary",
        "a",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    pieces = [piece.split(">")[0].split()[0].strip("/") for piece in made.split("<")[1:]]
    assert set(pieces) <= ours
    assert "\n" not in made
    assert "onerror" not in made.replace(safe("onerror"), "") or "<img" not in made


def test_a_card_and_the_text_say_the_same_price_and_stock():
    for item in ITEMS:
        data = advice(item).to_dict()
        card = cards.cards(data, LOOK, language="en")
        assert safe(f"{item.price} EUR") in card
        assert f"{item.price} EUR" in data["text"]
        assert safe("Out of stock" if item.stock == 0 else f"{item.stock} in stock") in card


def test_yuan_have_their_sign_in_chinese_on_the_card_and_in_the_text():
    item = Item("a", "A", price=Decimal("1280"), currency="CNY")
    assert safe("¥1280") in cards.cards(advice(item).to_dict(), LOOK, language="zh")
    assert told(advice(item).recommendations, (), language="zh").endswith("A：¥1280")
    assert told(advice(item).recommendations, ()).endswith("A: 1280 CNY")


def test_acting_on_a_card_names_its_item_in_a_way_that_comes_back():
    item = Item("a-b/ü#1", "Odd id")
    made = cards.cards(advice(item).to_dict(), LOOK, language="en", act=True)
    assert 'href="zh#act-dismiss-a_2d_b_2f__fc__23_1"' in made
    assert "act" not in cards.cards(advice(item).to_dict(), LOOK, language="en")


def test_the_reliability_picture_has_a_line_a_bin():
    made = cards.reliability([(0.01, 0.02, 100), (0.2, 0.1, 100)], LOOK)
    assert made.count("<tr>") == 3
    assert made.count("█") >= 4
