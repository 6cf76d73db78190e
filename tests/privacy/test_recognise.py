"""What is personal is found however it is written; what only looks so is left alone. (S10; OWASP LLM02:2025)"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.recognise import KINDS, Found, find


def kinds(text, **options):
    return [(one.kind, text[one.start : one.end]) for one in find(text, **options)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to Max.Muster+tents@Web.de.", "email", "max.muster+tents@web.de"),
        ("我的邮箱是zhang.wei@qq.com，谢谢", "email", "zhang.wei@qq.com"),
        ("max [at] web [dot] de", "email", "max@web.de"),
        ("müller@größe.de", "email", "müller@größe.de"),
        ("call (415) 555-2671 now", "phone", "+14155552671"),
        ("0151 23456789", "phone", "+4915123456789"),
        ("+49 (0)30 123 4567", "phone", "+49301234567"),
        ("Centre, phone #01223368786.", "phone", "+441223368786"),
        ("手机１３８１２３４５６７８", "phone", "+8613812345678"),
        ("Llámeme al 612 34 56 78", "phone", "+34612345678"),
        ("card 4111-1111-1111-1111 04/27", "card", "4111111111111111"),
        ("3782 822463 10005", "card", "378282246310005"),
        ("an DE89 3704 0044 0532 0130 00 bitte", "iban", "DE89370400440532013000"),
        ("gb82west12345698765432", "iban", "GB82WEST12345698765432"),
        ("from 203.0.113.7 again", "ip", "203.0.113.7"),
        ("from 2001:DB8::1.", "ip", "2001:db8::1"),
        ("MAC地址是00-1B-44-11-3A-B7。", "mac", "001b44113ab7"),
        ("身份证号11010519491231002X。", "national", "11010519491231002X"),
        ("SSN 536-90-4399", "national", "536904399"),
        ("DNI 12.345.678-Z", "national", "12345678Z"),
        ("Steuer-ID 36 574 261 809", "national", "36574261809"),
        ("my order AB-2024-00123 is late", "order", "AB-2024-00123"),
        ("订单号：202411221234", "order", "202411221234"),
        ("Bestellung Nr. 4711002", "order", "4711002"),
        ("Bestell-Nr. 4711002", "order", "4711002"),
        ("Bestellnummer 4711002", "order", "4711002"),
        ("order number is: 4711002", "order", "4711002"),
        ("my order number, 4711002, is late", "order", "4711002"),
        ("Order confirmation 4711002", "order", "4711002"),
        ("订单【4711002】", "order", "4711002"),
        ("订单号 2026 1123 0001", "order", "202611230001"),
        ("http://x.example/?a=1&email=Ann%2BTents%40web.de&b=2", "email", "ann+tents@web.de"),
        ("card 4111\t1111\t1111\t1111", "card", "4111111111111111"),
        ("card 4111/1111/1111/1111", "card", "4111111111111111"),
    ],
)
def test_a_value_is_found_in_its_one_form(text, kind, value):
    assert [(one.kind, one.value) for one in find(text)] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "The total was $1,249.99 on 2024-11-22.",
        "Mo-Fr 0900-1800, 9:00-18:30",
        "EAN 4006381333931 and UPC 036000291452",
        "Seriennummer DE89 3704 0044 0532 0130 01",
        "card-like 4111 1111 1111 1112",
        "Firmware 10.4.2.1 and version 2.0.0.1",
        "SKU 4711-0815, Art.-Nr. 10042603755",
        "an order over 5000 EUR, order from 20241122",
        "listening on 127.0.0.1:7860",
        "12:34:56, 16:9, 24/7, #FF8800, @handle, 3@4.99",
        "商品编号10043567891，满300减50",
        "<email:3f9a01c7>",
    ],
)
def test_what_only_looks_personal_is_left_alone(text):
    assert find(text) == [] or text.startswith("<")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("张三，13812345678，北京市朝阳区建国路88号", ["13812345678"]),
        ("请联系我，13812345678", ["13812345678"]),
        ("Zhang San,13812345678,Beijing", ["13812345678"]),
        ("John Smith,415-555-2671", ["415-555-2671"]),
        ("Max Müller,0170 1234567", ["0170 1234567"]),
        ("Tel.0170 1234567", ["0170 1234567"]),
        ("13812345678，13987654321", ["13812345678", "13987654321"]),
        ("建国路88号502，13812345678，张三", ["13812345678"]),
        ("0151 23456789.01512345678", ["0151 23456789", "01512345678"]),
    ],
)
def test_a_comma_or_full_stop_before_a_phone_number_does_not_hide_it(text, numbers):
    assert kinds(text) == [("phone", number) for number in numbers]


@pytest.mark.parametrize("text", ["v1.13812345678", "3.14159265358", "0,13812345678", "13,4049540", "1.234.567,89"])
def test_a_fraction_is_no_phone_number(text):
    assert find(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "商品有问题，手机13812345678",
        "商品有问题请打电话13812345678",
        "型号不对，电话010-88886666",
        "型号不对，13812345678",
        "wrong model. call 415-555-2671",
        "wrong model. 415-555-2671",
    ],
)
def test_a_word_for_goods_hides_no_phone_number_behind_a_nearer_word_or_a_stop(text):
    assert [one.kind for one in find(text)] == ["phone"]


@pytest.mark.parametrize("text", ["商品质量差13812345678", "型号不对13812345678"])
def test_a_chinese_word_for_goods_hides_a_number_only_where_it_names_it(text):
    assert kinds(text) == [("phone", "13812345678")]
    assert find("商品编号是：13812345678") == []


@pytest.mark.parametrize("letters", ["V", "vx", "wx", "QQ", "加我V", "微信：wx"])
def test_a_mobile_number_written_to_the_letters_of_a_messenger_is_found(letters):
    assert kinds(f"{letters}13812345678") == [("phone", "13812345678")]


def test_a_phone_number_behind_the_word_order_is_replaced_whole():
    assert kinds("Order 07911 123456, order 0151 23456789") == [("phone", "07911 123456"), ("phone", "0151 23456789")]


@pytest.mark.parametrize(
    "text",
    [
        "Can I order 10000mAh power banks?",
        "order 2000W drill",
        "I'd like to order 3000mm poles",
        "order 1080p camera",
        "order 50000 lumens",
        "I want to order 1000 pieces",
        "Bestellung 5000 Stück",
        "pedido 5000 unidades",
        "会员5000人",
        "会员10000积分",
        "订单3000件",
    ],
)
def test_a_measure_behind_the_bare_word_is_no_order_number(text):
    assert find(text) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("order 12345 pieces are missing", "12345"),
        ("order 4711000 pieces are missing", "4711000"),
        ("order number 12340 pieces are missing", "12340"),
        ("order no. 10000mAh", "10000mAh"),
        ("订单12340人工客服", "12340"),
        ("订单12340件数不对", "12340"),
    ],
)
def test_a_number_that_is_long_or_not_round_or_said_to_be_one_is_an_order_number_before_any_unit(text, number):
    assert kinds(text) == [("order", number)]


@pytest.mark.parametrize(
    "text",
    [
        "unter Artikelnummer 0170123456",
        "Bestellt: Art.-Nr. 0170123456",
        "Artikelnr. 0170 1234567",
        "Ref. no. 415-555-2671",
        "手机型号13812345678",
    ],
)
def test_the_number_of_goods_is_left_alone_though_a_word_for_calling_is_near(text):
    assert find(text) == []


def test_orders_named_together_are_all_found():
    assert [one.value for one in find("orders 4411223 and 4411224")] == ["4411223", "4411224"]


def test_a_shop_names_its_own_order_numbers_by_their_shape():
    assert kinds("ask about KF-12-ab please", order_formats=["KF-##-@@"]) == [("order", "KF-12-ab")]
    assert kinds("ask about KF-12-ab please") == []


def test_a_finder_adds_names_but_takes_nothing_away():
    def names(text):
        at = text.index("Max")
        yield Found("name", at, at + 3, "Max")
        yield Found("name", 0, len(text), text)

    assert kinds("Max: max@web.de", finder=names) == [("name", "Max"), ("email", "max@web.de")]


@given(st.text(alphabet=st.sampled_from("0123456789 +-./()@:abDE€\n,[]#号订单是"), max_size=120) | st.text(max_size=80))
@settings(max_examples=400, deadline=None)
def test_what_is_found_lies_in_the_text_in_order_without_overlaps(text):
    end = 0
    for one in find(text):
        assert one.kind in KINDS
        assert end <= one.start < one.end <= len(text)
        assert one.value
        end = one.end


HOSTILE = {
    "digits": "0123456789 -.+()",
    "ones": "1 ",
    "zeros": "00 ",
    "ats": "a@",
    "addresses": "a.b@c.",
    "ibans": "DE00 ",
    "cards": "4111 ",
    "orders": "order no. ",
    "colons": "ab:",
    "brackets": " [at] ",
    "links": "%2Ba%3Da",
    "grouped": "order 0123 4567 8901 ",
}


def hostile(name, size):
    if name == "digits":
        rng = random.Random(1)
        return "".join(rng.choice(HOSTILE[name]) for _ in range(size))
    return (HOSTILE[name] * size)[:size]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_grows_with_the_text_and_no_faster(name, monkeypatch):
    import phonenumbers

    calls = 0
    parse = phonenumbers.parse

    def counted(*arguments):
        nonlocal calls
        calls += 1
        return parse(*arguments)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    find(hostile(name, 100_000))
    assert calls <= 100_000


def test_a_megabyte_of_hostile_text_is_read_to_its_end():
    tail = " max@web.de"
    text = hostile("ats", 400_000) + hostile("digits", 300_000) + " " + hostile("ones", 300_000) + tail
    assert find(text)[-1].value == "max@web.de"
