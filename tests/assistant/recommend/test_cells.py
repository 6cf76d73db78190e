"""What a cell says: spellings, families, sizes, and what only looks like it."""

from __future__ import annotations

import pytest

from assistant.recommend.cells import grams, holds, is_true, price


@pytest.mark.parametrize(("field", "value", "cell", "holding"), [
    ("colour", "blue", "night blue", True), ("colour", "blue", "navy", True), ("colour", "red", "coloured", False),
    ("name", "men", "Rain Jacket Women", False), ("name", "men", "Rain Jacket Men", True),
    ("material", "leather", "suede, mesh", True), ("material", "leather", "synthetic leather", False),
    ("material", "down", "polyester down to the hem", True), ("size", "43", "40-47", True), ("size", "43", "36-42", False),
    ("size", "43.5", "40-47", False), ("size", "43.5", "40-47, half sizes", True), ("size", "M", "S-XXL", True),
    ("size", "XXL", "XS-L", False), ("size", "XXL", "XS-XXL", True), ("size", "M", "S, M, L", True), ("size", "8", "7-10", True),
    ("size", "L", "183 x 55 cm", False), ("size", "M", "10 m", False), ("size", "M", "1.8 m", False), ("size", "L", "0.5 l", False), ("size", "L", "2 L", False),
    ("size", "M", "36 S | 38 M | 40 L", True), ("size", "L", "M, L", True), ("name", "harness", "Two Harnesses", True), ("name", "knives", "Bread Knife", True), ("name", "lens", "Lenses", True),
    ("brand", "Alda", "Alda", True), ("season", "winter", "four seasons", True),
])  # fmt: skip
def test_what_a_cell_says(field: str, value: str, cell: str, holding: bool):
    assert holds(field, value, cell) is holding


@pytest.mark.parametrize(("cell", "yes"), [
    ("yes, membrane", True), ("10000 mm", True), ("IPX7", True), ("IP65", True), ("5 ATM", True), ("waterproof", True),
    ("no", False), ("no, water-repellent", False), ("IPX4", False), ("splash-proof", False), ("", False),
])  # fmt: skip
def test_only_what_keeps_water_out_is_waterproof(cell: str, yes: bool):
    assert is_true(cell) is yes


@pytest.mark.parametrize(("cell", "amount", "currency"), [
    ("1.299,00 €", "1299.00", "EUR"), ("1,299.00", "1299.00", ""), ("1'299.00", "1299.00", ""), ("1,29,900.00", "129900.00", ""),
    ("1\u202f299,00 €", "1299.00", "EUR"), ("12.500", "12.500", ""), ("1,299", "1299", ""), ("1.299 €", "1299", "EUR"),
    ("0.299 €", "0.299", "EUR"), ("$1.299", "1.299", "USD"), ("1.299 kr", "1299", ""), ("2.500.000 ₫", "2500000", ""),
    ("¥1.2万", "12000", "CNY"), ("￥1,234", "1234", "CNY"), ("300元", "300", "CNY"), (".99 €", "0.99", "EUR"), ("49,- €", "49", "EUR"),
    ("Rs.500", "500", ""), ("HK$99", "99", "HKD"), ("CA$99", "99", "CAD"), ("A$99", "99", "AUD"), ("US$99", "99", "USD"),
])  # fmt: skip
def test_a_price_is_the_number_that_a_reader_sees(cell: str, amount: str, currency: str):
    found, said = price(cell)
    assert (str(found), said) == (amount, currency)


@pytest.mark.parametrize(
    "cell", ["29,90 € (statt 39,90 €)", "$1,299.00 $1,499.00", "3 for 10 €", "29.90 / 100g", "10-20", "10 20"]
)
def test_a_price_of_two_numbers_is_none(cell: str):
    with pytest.raises(ValueError, match="more than one number"):
        price(cell)


def test_a_price_below_zero_or_without_a_number_is_none():
    assert price("") == (None, "")
    for cell, told in (("-5 €", "negative"), ("on request", "not a number")):
        with pytest.raises(ValueError, match=told):
            price(cell)


@pytest.mark.parametrize(("cell", "factor", "said"), [
    ("1,200", 1, "1200"), ("1,200.5", 1, "1200.5"), ("1,5", 1, "1.5"), ("0,500", 1, "0.5"), ("1,200", 1000, "1200"), ("light", 1, "light"),
])  # fmt: skip
def test_a_weight_in_grams_has_thousands(cell: str, factor: int, said: str):
    assert grams(cell, factor) == said
