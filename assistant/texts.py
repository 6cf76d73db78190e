"""What the product says in its own words, by language. A third language is one more column.

Not the language model's words, and not the company's: those are quoted from its documents.
"""

from __future__ import annotations

LANGUAGES = ("en", "zh")

_TEXTS: dict[str, dict[str, str]] = {
    "refusal": {
        "en": "I could not find this in {company}'s documents, so I would rather not guess. You can rephrase the question or ask for a person.",
        "zh": "我在{company}的资料中没有找到相关内容，因此不便猜测。您可以换一种说法，或要求转人工客服。",
    },
    "handover": {
        "en": "I am passing you on to a colleague at {company}. They will see this conversation.",
        "zh": "我正在为您转接{company}的人工客服，同事会看到这段对话。",
    },
    "private": {
        "en": "I cannot see orders, accounts or payments. I am passing you on to a colleague at {company} who can look this up; please have your order or customer number at hand.",
        "zh": "我无法查看订单、账户或付款信息。我正在为您转接{company}的同事查询，请准备好您的订单号或客户编号。",
    },
    "greeting": {
        "en": "Hello! I answer questions from {company}'s own documents and show where each answer comes from. What would you like to know?",
        "zh": "您好！我根据{company}的资料回答问题，并标明每个答案的出处。请问您想了解什么？",
    },
    "thanks": {"en": "You're welcome! Is there anything else I can help with?", "zh": "不客气！还有什么可以帮您的吗？"},
    "goodbye": {"en": "Goodbye, and thank you for writing to {company}.", "zh": "再见，感谢您联系{company}。"},
    "who": {
        "en": "I am {company}'s assistant, a program. I answer from {company}'s documents and quote them; a person can take over at any time.",
        "zh": "我是{company}的智能助手（程序）。我根据{company}的资料回答并引用原文；您也可以随时转人工客服。",
    },
    "failed": {
        "en": "The language model is not available right now. These passages from {company}'s documents may answer your question:",
        "zh": "语言模型暂时不可用。以下{company}资料的原文可能回答您的问题：",
    },
    "failed_empty": {
        "en": "Something went wrong on our side and I could not look this up. Please try again, or ask for a person.",
        "zh": "我们这边出了问题，未能查到答案。请重试，或要求转人工客服。",
    },
    "this_company": {"en": "this company", "zh": "本公司"},
}


def say(key: str, language: str, **values: str) -> str:
    """The text of `key` in a language, English where there is none in that language.

    >>> say("thanks", "en")
    "You're welcome! Is there anything else I can help with?"
    """
    texts = _TEXTS[key]
    return texts.get(language, texts["en"]).format(**values)


def keys() -> list[str]:
    """All keys, for the test that every language has every text."""
    return list(_TEXTS)


def table() -> dict[str, dict[str, str]]:
    """key -> language -> text: what the page's own translations are made from."""
    return {key: dict(texts) for key, texts in _TEXTS.items()}
