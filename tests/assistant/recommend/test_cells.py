"""What a cell says: spellings, families, sizes, and what only looks like it."""

from __future__ import annotations

import pytest

from assistant.recommend.cells import holds, is_true


@pytest.mark.parametrize(("field", "value", "cell", "holding"), [
    ("colour", "blue", "night blue", True), ("colour", "blue", "navy", True), ("colour", "red", "coloured", False),
    ("name", "men", "Rain Jacket Women", False), ("name", "men", "Rain Jacket Men", True),
    ("material", "leather", "suede, mesh", True), ("material", "leather", "synthetic leather", False),
    ("material", "down", "polyester down to the hem", True), ("size", "43", "40-47", True), ("size", "43", "36-42", False),
    ("size", "43.5", "40-47", False), ("size", "43.5", "40-47, half sizes", True), ("size", "M", "S-XXL", True),
    ("size", "XXL", "XS-L", False), ("size", "XXL", "XS-XXL", True), ("size", "M", "S, M, L", True), ("size", "8", "7-10", True),
    ("size", "L", "183 x 55 cm", False), ("brand", "Alda", "Alda", True), ("season", "winter", "four seasons", True),
])  # fmt: skip
def test_what_a_cell_says(field: str, value: str, cell: str, holding: bool):
    assert holds(field, value, cell) is holding


@pytest.mark.parametrize(("cell", "yes"), [
    ("yes, membrane", True), ("10000 mm", True), ("IPX7", True), ("IP65", True), ("5 ATM", True), ("waterproof", True),
    ("no", False), ("no, water-repellent", False), ("IPX4", False), ("splash-proof", False), ("", False),
])  # fmt: skip
def test_only_what_keeps_water_out_is_waterproof(cell: str, yes: bool):
    assert is_true(cell) is yes
