"""The sentences of the synthetic messages, by language. What they are for: `personal_data.py`."""

from __future__ import annotations

# {} is the personal value

SAID: dict[str, dict[str, list[str]]] = {
    "en": {
        "email": [
            "You can reach me at {}.",
            "my mail is {} thanks",
            "Please send the invoice to <{}>",
            "email: {}",
            "({})",
            "https://shop.example/leave?email={}&news=1",
        ],
        "phone": [
            "Call me on {} after six.",
            "my number is {}",
            "Tel. {}",
            "Phone: {}, mornings only",
            "ring {} please",
            "Zhang San,{},Beijing",
            "John Smith,{}",
            "Wrong model. Call {}",
            "Order {}",
        ],
        "card": [
            "I paid with card {} yesterday.",
            "Visa {} exp 04/27",
            "the number on my card is {}",
            "charge {} again",
        ],
        "iban": ["Refund it to {}.", "My IBAN is {}, name as above.", "account {} please", "IBAN: {}"],
        "ip": ["Your shop blocks my address {}.", "login from {} was not me", "ping from {} times out", "IP={};"],
        "mac": ["The tracker's MAC is {}.", "wifi adapter {} cannot connect", "device ({}) offline"],
        "order": [
            "My order {} has not arrived.",
            "order number {}",
            "Where is order no. {}?",
            "It is about invoice {}.",
            "Order confirmation {}",
            "my order number is: {}",
            "my order number, {}, is late",
        ],
        "national": [
            "My social security number is {}.",
            "SSN {}",
            "National insurance no. {} for the tax form",
            "ID: {}",
        ],
    },
    "zh": {
        "email": ["我的邮箱是{}，请发发票。", "邮箱：{}", "请联系{}谢谢", "发到 {} 就行"],
        "phone": [
            "我的手机号是{}。",
            "电话：{}",
            "请打{}联系我",
            "手机{}，微信同号",
            "联系方式 {} 张先生",
            "张三，{}，北京市朝阳区建国路88号",
            "请联系我，{}",
            "商品有问题，手机{}",
            "商品有问题请打电话{}",
            "型号不对，电话{}",
            "商品质量差{}",
        ],
        "wechat": ["加我V{}", "微信wx{}", "QQ{}", "VX{}，谢谢"],
        "card": ["我用银行卡{}付的款。", "卡号{}", "退到这张卡：{}，谢谢"],
        "iban": ["请退款到国际账户{}。", "IBAN：{}"],
        "ip": ["我的IP是{}，打不开网页。", "登录地址{}不是我本人"],
        "mac": ["手环的MAC地址是{}。", "设备{}连不上"],
        "order": [
            "我的订单号是{}，还没发货。",
            "订单编号：{}",
            "查一下订单{}",
            "单号{}什么时候到？",
            "订单【{}】还没到",
            "订单号，{}",
        ],
        "national": ["我的身份证号是{}。", "身份证：{}", "证件号码{}用于实名认证"],
    },
    "de": {
        "email": ["Sie erreichen mich unter {}.", "Meine E-Mail: {}", "bitte an {} schicken", "Rechnung an {}, danke!"],
        "phone": [
            "Rufen Sie mich unter {} an.",
            "Tel.: {}",
            "meine Handynummer ist {}",
            "Mobil {}, ab 18 Uhr",
            "Max Müller,{}",
            "Tel.{}",
        ],
        "card": ["Ich habe mit der Karte {} bezahlt.", "Kreditkarte {} gültig bis 04/27", "Kartennummer: {}"],
        "iban": ["Bitte erstatten Sie auf {}.", "IBAN: {}", "mein Konto {} bei der Bank"],
        "ip": ["Meine IP-Adresse {} ist gesperrt.", "Anmeldung von {} war nicht ich"],
        "mac": ["Die MAC-Adresse lautet {}.", "Gerät {} verbindet sich nicht"],
        "order": [
            "Meine Bestellung {} ist nicht da.",
            "Bestellnummer: {}",
            "Es geht um Rechnung {}.",
            "Auftrag Nr. {}",
            "Bestell-Nr. {}",
            "Rechnungs-Nr.: {}",
        ],
        "national": ["Meine Steuer-ID ist {}.", "Steueridentifikationsnummer {}", "IdNr. {}"],
    },
    "es": {
        "email": ["Mi correo es {}.", "escríbame a {} por favor", "Email: {}", "La factura a {}, gracias"],
        "phone": [
            "Llámeme al {} por la tarde.",
            "Teléfono: {}",
            "mi móvil es {}",
            "Tel. {} (Lucía)",
            "Lucía García,tel.{}",
        ],
        "card": ["Pagué con la tarjeta {}.", "Número de tarjeta: {}", "tarjeta {} caducidad 04/27"],
        "iban": ["Devuélvanlo a la cuenta {}.", "IBAN {}", "mi cuenta es {}"],
        "ip": ["Mi dirección IP es {}.", "Acceso desde {} no fui yo"],
        "mac": ["La MAC del dispositivo es {}.", "el equipo {} no conecta"],
        "order": ["Mi pedido {} no ha llegado.", "número de pedido: {}", "Sobre la factura {}.", "Pedido nº {}"],
        "national": ["Mi DNI es {}.", "NIF: {}", "documento {}", "con DNI {} y domicilio en Sevilla"],
    },
}
NAMES = {
    "en": ["My name is {}.", "Regards, {}"], "zh": ["我叫{}。", "收件人{}"], "de": ["Mein Name ist {}.", "Gruß, {}"],
    "es": ["Me llamo {}.", "Saludos, {}"],
}  # fmt: skip
CHINESE = ["张伟", "王芳", "李娜", "陈晓明", "欧阳静"]
STREETS = {
    "en": ["12 Baker Street, London NW1 6XE", "742 Evergreen Terrace, Springfield 62704", "1600 Pine Ave, Seattle"],
    "zh": ["上海市徐汇区漕溪北路88号3单元502室", "北京市海淀区中关村大街27号"],
    "de": ["Hauptstraße 12, 10115 Berlin", "Am Markt 3a, 01067 Dresden"],
    "es": ["Calle Mayor 14, 3º B, 28013 Madrid", "Avenida del Puerto 221, 46023 Valencia"],
}
LIVES = {"en": "I live at {}.", "zh": "地址是{}。", "de": "Ich wohne {}.", "es": "Vivo en {}."}

# Nothing personal

PLAIN: dict[str, list[str]] = {
    "en": ["The total was {money}.", "I ordered it on {date}.", "Is SKU {sku} in stock?", "Are you open {hours}?", "An order of {money} ships free?",
           "EAN {ean} is on the box.", "Serial {serial} is printed below.", "It says {odd}.", "firmware {v4} installed", "the order from {date} was fine",
           "Orders over {money} get {odd}.", "Part {sku} replaces {sku}.", "Delivery to ZIP 94107 took {n} days.", "invoice total {money}",
           "Can I order {n}000mAh power banks?", "I want to order {n}000 pieces.", "Where do I order {n}000 lumens?", "We order {n}00W drills."],
    "zh": ["一共{money}。", "我是{date}下单的。", "货号{sku}还有吗？", "营业时间是{hours}吗？", "条码{ean}对吗？", "序列号{serial}。", "上面写着{odd}。",
           "固件版本{v4}", "订单满{money}包邮吗？", "商品编号{sku}和{sku}有什么区别？", "邮编100080送{n}天了", "{date}的订单已收到", "会员{n}000积分能换什么？", "订单{n}000件有折扣吗？",
           "会员{n}000人以上吗？"],
    "de": ["Der Betrag war {money}.", "Ich habe am {date} bestellt.", "Ist Art.-Nr. {sku} lieferbar?", "Haben Sie {hours} Uhr geöffnet?",
           "Auf der Packung steht EAN {ean}.", "Seriennummer {serial}.", "Dort steht {odd}.", "Firmware {v4} läuft", "Die Bestellung vom {date} kam an.",
           "Ab {money} Bestellwert gratis?", "Modell {sku} statt {sku}.", "PLZ 30159 dauert {n} Tage?", "Rechnung über {money}",
           "Geht eine Bestellung {n}000 Stück?"],
    "es": ["El total fue {money}.", "Lo pedí el {date}.", "¿Hay stock de la ref. {sku}?", "¿Abren de {hours}?", "El código EAN es {ean}.",
           "Número de serie {serial}.", "Pone {odd}.", "versión {v4} instalada", "El pedido del {date} llegó bien.", "¿Pedidos de {money} sin gastos?",
           "La pieza {sku} sustituye a {sku}.", "El CP 28013 tarda {n} días.", "factura de {money}",
           "¿Aceptan un pedido {n}000 unidades?"],
}  # fmt: skip
