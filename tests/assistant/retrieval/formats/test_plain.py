"""Bytes to characters: the encodings that customers' files come in."""

import pytest

from assistant.retrieval.formats.layout import Refused, clean
from assistant.retrieval.formats.plain import decode, heading_level, is_western, read

CHINESE = (
    "收货后 30 天内可以退货。商品必须未使用、配件齐全、吊牌完好。订单分几个包裹送达的，期限从最后一个包裹送达之日起算。"
)
SAMPLES = {
    "zh": CHINESE,
    "zh-short": "退货政策",
    "zh-product": "名称,价格\n红隼双人帐篷,289.00\n花岗岩四季帐篷,629.00\n",
    "de": "Rücksendungen sind kostenlos, außer für Möbel. Größere Stücke holen wir für 24,00 € ab.",
    "fr": "Les retours sont gratuits pendant trente jours à compter de la livraison. Les chaussures portées à l'extérieur "
    "ne peuvent pas être échangées, même après un délai très court.",
    "ru": "Вы можете вернуть товар в течение тридцати дней после доставки. Обувь можно примерять только в помещении.",
    "ko": "상품을 받은 날부터 삼십 일 이내에 반품할 수 있습니다. 신발은 실내에서만 신어 보실 수 있습니다.",
    "ja": "商品の到着後三十日以内であれば返品できます。靴は室内でのみ試し履きしてください。",
    "zh-tw": "收到商品後三十天內可以退貨，但商品必須沒有使用過，而且配件和吊牌都要齊全。鞋子只能在室內試穿。",
}


@pytest.mark.parametrize(
    ("sample", "encoding"),
    [
        *[(sample, encoding) for sample in SAMPLES for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")],
        *[(sample, encoding) for sample in ("zh", "de") for encoding in ("utf-16-le", "utf-16-be")],
        ("zh", "gbk"),
        ("zh", "gb18030"),
        ("zh-short", "gbk"),
        ("zh-product", "gbk"),
        ("zh-tw", "big5"),
        ("de", "cp1252"),
        ("fr", "iso-8859-15"),
        ("ru", "cp1251"),
        ("ko", "euc_kr"),
        ("ja", "shift_jis"),
        ("ja", "euc_jp"),
    ],
)
def test_a_text_survives_its_encoding(sample, encoding):
    assert decode(SAMPLES[sample].encode(encoding)) == SAMPLES[sample]


@pytest.mark.parametrize(
    "text",
    [
        "Delivery costs £4.95. It’s free over £50 – always.\n",
        "name,price\nCafé crème,€5\nTent,£20\n",
        "Delivery costs €4.95 and takes two days.",
        "Wash at 30°C. Do not tumble dry.",
        "We sell crème, crêpe and jalapeño.",
        "Größe 42 ± 1: 2½ m², 2 × 3 m, Alder™ für „draußen“ … ab 4,95 €.",
        "As devoluções não custam nada.",
        "¿Envío gratis? ¡Sí, en España!",
        "Où est votre magasin? À l’été prochain.",
        "Vi sender smørrebrød til Ærø på én dag.",
    ],
)
def test_a_short_western_text_of_windows_keeps_its_letters(text):
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Model X, цена 5 EUR", "cp1251"),
        ("Model X, цена 5 EUR", "koi8_r"),
        ("Zwrot w ciągu 30 dni jest bezpłatny. Proszę zachować paragon.", "cp1250"),
        ("Vrácení zboží je možné do třiceti dnů.", "cp1250"),
        ("Doprava zdarma nad 1000 Kč.", "cp1250"),
        ("Cort pentru două persoane", "cp1250"),
        ("Kettő darab", "cp1250"),
        ("Tent A: 텐트", "euc_kr"),
        ("Tent 5000원", "euc_kr"),
        ("Tent A: テント", "shift_jis"),
        ("Tent A: テント", "euc_jp"),
        ("Schöne Zelte für vier Leute", "cp850"),
        ("Déjà reçu, à côté", "cp850"),
        ("It costs “one… two”.", "mac_roman"),
        ("It’s £5 for the café.", "utf-8"),
        ("Σκηνή A, 5 EUR", "cp1253"),
    ],
)
def test_bytes_of_another_script_are_not_taken_for_western_ones(text, encoding):
    assert not is_western(text.encode(encoding))


def test_a_broken_byte_order_mark_and_binary_data_are_refused():
    with pytest.raises(Refused, match="damaged"):
        decode(b"\xff\xfe" + "ab".encode("utf-16-le") + b"\x00\xd8")
    with pytest.raises(Refused, match="binary"):
        decode(bytes(range(32)) * 100)


def test_utf8_with_a_broken_byte_is_refused_with_its_line_and_never_guessed():
    data = f"Erste Zeile.\n{SAMPLES['zh']}".encode()
    with pytest.raises(Refused, match="line 2"):
        decode(data[:-1])
    with pytest.raises(Refused, match="line 2"):
        decode(data[:30] + data[31:])


def test_stray_nuls_and_controls_in_a_text_are_dropped():
    assert read(b"Returns\x00 are\x07 free.", name="a.txt", max_bytes=1000).text == "Returns are free."


def test_what_cannot_be_seen_is_not_in_the_text():
    hidden = "".join(map(chr, range(0xE0041, 0xE0060)))
    assert clean(f"a\u200bb\u202ec\ufeff{hidden}\u00ad\r\nd\u00a0e\u2028f") == "abc\nd e\nf"
    assert clean("cafe\u0301 ⼀⽣⻬") == "café 一生齐"


def test_headings_of_a_plain_text_are_found_and_lists_are_not():
    text = "STORES\n\nWe have six.\n\nMUNICH (new)\nOpen on Monday.\n\nHours\n=====\nTen to six.\n\n1.1 First step\n1.2 Second step\n"
    parsed = read(text.encode(), name="a.txt", max_bytes=1000)
    assert [heading[:2] for heading in parsed.headings] == [(1, "STORES"), (1, "MUNICH (new)"), (1, "Hours")]
    assert all(parsed.text[start:].startswith(title) for _, title, start in parsed.headings)
    assert heading_level("第三章 退款") == 1
    assert heading_level("BUY 2 GET 1") == 0
