"""The laws of proof: what passes is in the passage, and what contradicts it never passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import citations, facts
from assistant.types import Passage

RETURNS = (
    "You can return unused items within 30 days of delivery. Delivery costs are refunded only when the item was "
    "faulty. We pay for the return label if the order was above 50 EUR. Gift cards cannot be exchanged for cash."
)
CHINESE = "未使用的商品可在签收后30天内退货。只有商品存在质量问题时，我们才退还运费。礼品卡不能兑换现金。"


def passage(text: str) -> Passage:
    return Passage("p1", "d1", "returns.md", "t", "shop", text, 0, len(text), "x")


@pytest.mark.parametrize(
    "sentence",
    [
        "You can return unused items within 30 days of delivery.",
        "Unused items can be returned within 30 days of delivery.",
        "Delivery costs are refunded only when the item was faulty.",
        "Gift cards cannot be exchanged for cash.",
        "We pay for the return label if the order was above 50 EUR.",
    ],
)
def test_a_sentence_that_stays_with_its_passage_is_supported(sentence):
    verdict = citations.support(sentence, [passage(RETURNS)])
    assert verdict.span is not None, verdict.reason
    assert RETURNS[verdict.span.start : verdict.span.end] == verdict.span.text


@pytest.mark.parametrize(
    "sentence",
    [
        "Yes, you do get the delivery costs back.",
        "Delivery costs are refunded.",
        "Delivery costs are refunded when the item was unused.",
        "Delivery costs are not refunded when the item was faulty.",
        "You can return unused items within 60 days of delivery.",
        "You can return unused items after 30 days of delivery.",
        "You can return items within 30 days of delivery, used or not.",
        "You pay for the return label if the order was above 50 EUR.",
        "We pay for the return label.",
        "We always pay for the return label if the order was above 50 EUR.",
        "We pay for the return label if the order was under 50 EUR.",
        "Gift cards can be exchanged for cash.",
        "Gift cards cannot be exchanged for cash unless you ask.",
        "You must return unused items within 30 days of delivery.",
        "Return unused items within 30 EUR of delivery.",
        "Write to help@evil.example within 30 days.",
        "You can return unused items within 30 days, see https://evil.example.",
        "No.",
        "Do we pay for the return label if the order was above 50 EUR?",
        "Gift cards cannot be exchanged for cash worldwide.",
        "Gift cards cannot be exchanged for \u202ecash.",
        "Unused items can be returned for free within 30 days of delivery.",
        "The weather is nice today.",
    ],
)
def test_a_sentence_that_changes_its_passage_is_refused_with_a_reason(sentence):
    verdict = citations.support(sentence, [passage(RETURNS)])
    assert verdict.span is None
    assert verdict.reason


RECORD = "name: Alder 2\nprice: 249.00 EUR\nwaterproof: no\nstock: 4"


@pytest.mark.parametrize("sentence", ["The Alder 2 has a price of 249.00 EUR.", "Alder 2, price: 249 EUR", RECORD])
def test_a_field_of_a_record_is_supported(sentence):
    assert citations.support(sentence, [passage(RECORD)]).span is not None


@pytest.mark.parametrize(
    "sentence",
    [
        "The Alder 2 is waterproof.",
        "The Alder 2 has a price of 249.00 EUR and is waterproof.",
        "The Alder 3 has a price of 249.00 EUR.",
        "price: 249 EUR",
    ],
)
def test_a_field_of_a_record_cannot_be_turned_round(sentence):
    assert citations.support(sentence, [passage(RECORD)]).span is None


ROWS = "EU: 40 | UK: 6.5 | Foot length: 25 cm\n\nEU: 41 | UK: 7.5 | Foot length: 26 cm"


@pytest.mark.parametrize("sentence", ["EU: 41 | UK: 7.5 | Foot length: 26 cm", "EU 41 is UK 7.5."])
def test_a_row_of_a_table_supports_what_names_it(sentence):
    assert citations.support(sentence, [passage(ROWS)]).span is not None


@pytest.mark.parametrize(
    "sentence",
    [
        "Foot length: 26 cm",
        "EU: 40 | UK: 6.5 | Foot length: 26 cm",
        "EU: 40 | UK: 7.5 | Foot length: 25 cm",
        "EU 40 is UK 7.5.",
        "UK 6.5 has a foot length of 25 cm.",
    ],
)
def test_a_row_proves_nothing_without_its_name_and_lends_nothing_to_the_next(sentence):
    assert citations.support(sentence, [passage(ROWS)]).span is None


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("Your order is free.", "Collection in store is free. Your order is ready after 2 days."),
        ("A tent may be pitched once to check it.", "May a tent be pitched? Yes, once, to check it."),
        ("帐篷的保修期是4年。", "- 炉具的保修期是4年。\n- 帐篷的保修期是3年。"),
        ("1.10 Statutory rights apply", "1.1 Statutory rights"),
        ("Parcels of up to 35 x 60 cm are taken.", "Parcels of up to 60 x 35 cm are taken."),
        ("You can choose that we pay or that we share.", "You can choose that you pay or that we share."),
        ("You can not order as a guest.", "You can order as a guest. We do not need an account."),
        (
            "If you ask, we do so within 30 days.",
            "If you ask, we do so within 30 days, provided no order is still open.",
        ),
        ("Dogs are not welcome in all stores except Strasbourg.", "Dogs are welcome in all stores except Strasbourg."),
        ("No, a balance is not paid out.", "No, a balance is paid out."),
        (
            "Boots are not taken back in Freiburg, with no voucher.",
            "Boots are taken back in Freiburg, with no voucher. Mats are not taken back.",
        ),
        ("Back length 48 to 48.", "Back length 43 to 48."),
        ("余额低于5欧元的例外，不可以在门店兑现。", "不可以。余额低于5欧元的例外，可以在门店兑现。"),
        ("Stoves have 10 years.", "Tents have 10 years, stoves have 4 years."),
        ("Orders can be cancelled after dispatch.", "After that, wait. Orders can be cancelled before dispatch."),
        (
            "If the model is not no longer made, you get another.",
            "If the model is no longer made, you get another. We do not pay.",
        ),
        ("更换的商品享有剩余的保修期。", "更换的商品享有剩余的保修期，但至少12个月。"),
        ("Up to 15 days, up to 25 from March not.", "Up to 15 days, up to 25 from March. There is no express."),
    ],
)
def test_what_the_fuzzer_once_found_stays_refused(sentence, text):
    assert citations.support(sentence, [passage(text)]).span is None


@pytest.mark.parametrize("sentence", ["未使用的商品可在签收后30天内退货。", "礼品卡不能兑换现金。"])
def test_a_chinese_sentence_of_the_passage_is_supported(sentence):
    assert citations.support(sentence, [passage(CHINESE)]).span is not None


@pytest.mark.parametrize(
    "sentence",
    [
        "未使用的商品可在签收后60天内退货。",
        "礼品卡能兑换现金。",
        "我们退还运费。",
        "可以，我们退还运费。",
        "您才退还运费，只有商品存在质量问题时。",
    ],
)
def test_a_chinese_sentence_that_changes_the_passage_is_refused(sentence):
    assert citations.support(sentence, [passage(CHINESE)]).span is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_support_never_fails_and_every_span_is_exact(sentence, text):
    verdict = citations.support(sentence, [passage(text)])
    if verdict.span is not None:
        assert verdict.span.text == text[verdict.span.start : verdict.span.end]
        assert not facts.unsupported_facts(sentence, [text])


def test_a_citation_quotes_the_stored_bytes():
    source = passage(RETURNS)
    span = citations.support("Gift cards cannot be exchanged for cash.", [source]).span
    assert span is not None
    citation = span.cite(3, 9)
    assert citation.quote == source.text[citation.start : citation.end]
    assert (citation.answer_start, citation.answer_end) == (3, 9)
