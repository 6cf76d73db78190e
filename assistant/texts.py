"""What the product says in its own words, by language. A third language is one more column.

Not the language model's words, and not the company's: those are quoted from its documents. A word that depends on a
number is written `{n:item|items}`, in the forms that the language has, in the order of `PLURALS`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

LANGUAGES = ("en", "zh")
PLURALS: Mapping[str, Callable[[int], int]] = {"en": lambda n: int(n != 1), "zh": lambda n: 0}
"""language -> which form a number takes, by the rules of Unicode's CLDR."""

_TEXTS: dict[str, dict[str, str]] = {
    "refusal": {
        "en": "I could not find this in {company}'s documents, so I would rather not guess. You can rephrase the question or ask for a person.",
        "zh": "我在{company}的资料中没有找到相关内容，因此不便猜测。您可以换一种说法，或要求转人工客服。",
    },
    "not_found_of_several": {
        "en": "I could not find this in {company}'s documents: {question} You can rephrase it or ask for a person.",
        "zh": "我在{company}的资料中没有找到这个问题的答案：{question}。您可以换一种说法，或要求转人工客服。",
    },
    "unsure": {
        "en": "I am not sure that {company}'s documents answer this. The nearest I found is below; a person can tell you for certain.",
        "zh": "我不确定{company}的资料能否回答这个问题。以下是最接近的内容；如需确认，可以要求转人工客服。",
    },
    "handover": {
        "en": "I am passing you on to a colleague at {company}. They will see this conversation.",
        "zh": "我正在为您转接{company}的人工客服，同事会看到这段对话。",
    },
    "private": {
        "en": "I cannot see orders, accounts or payments. I am passing you on to a colleague at {company} who can look this up; please have your order or customer number at hand.",
        "zh": "我无法查看订单、账户或付款信息。我正在为您转接{company}的同事查询，请准备好您的订单号或客户编号。",
    },
    "with_person": {
        "en": "{person} has this conversation and answers here.",
        "zh": "{person}正在处理此对话，会在这里回复您。",
    },
    "desk_closed": {
        "en": "Nobody is at the desk right now; we answer here from {when} on. If you leave an e-mail address, we can also write to you.",
        "zh": "人工客服目前不在线，我们会从{when}起在这里回复您。您也可以留下邮箱，方便我们联系您。",
    },
    "offer_person": {
        "en": "I am sorry for the trouble. Would you rather talk to a colleague at {company}? Just say so.",
        "zh": "给您添麻烦了，非常抱歉。如果您希望由{company}的同事来处理，请告诉我“转人工”。",
    },
    "greeting": {
        "en": "Hello! I answer questions from {company}'s own documents and show where each answer comes from. What would you like to know?",
        "zh": "您好！我根据{company}的资料回答问题，并标明每个答案的出处。请问您想了解什么？",
    },
    "nothing_asked": {
        "en": "I found no question in this. What would you like to know? You can also ask for a person.",
        "zh": "我没有看到具体的问题。请问您想了解什么？您也可以要求转人工客服。",
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
    "advice": {"en": "These fit best:", "zh": "为您推荐："},
    "advice_one": {"en": "This fits:", "zh": "为您推荐："},
    "advice_called": {"en": "In the catalogue:", "zh": "目录中的信息："},
    "advice_least": {"en": "Lowest {field} first:", "zh": "从低到高（{field}）："},
    "advice_most": {"en": "Highest {field} first:", "zh": "从高到低（{field}）："},
    "advice_beside": {
        "en": "I could not find an answer to this in {company}'s documents. These come nearest in the catalogue:",
        "zh": "我在{company}的资料中没有找到答案。目录中最接近的商品：",
    },
    "advice_line": {"en": "{n}. {name}: {price}{stock}", "zh": "{n}. {name}：{price}{stock}"},
    "advice_bare": {"en": "{n}. {name}{stock}", "zh": "{n}. {name}{stock}"},
    "advice_stock": {"en": ", {n} in stock", "zh": "，库存 {n}"},
    "advice_no_stock": {"en": ", out of stock", "zh": "，暂时缺货"},
    "advice_none": {
        "en": "Nothing in the catalogue fits all of this: {filter}.",
        "zh": "目录中没有同时符合以下条件的商品：{filter}。",
    },
    "advice_relax": {"en": "Without “{condition}” there are {n}.", "zh": "如果去掉“{condition}”，有 {n} 项符合。"},
    "advice_empty": {
        "en": "There is nothing left to recommend: everything that fits was bought or dismissed.",
        "zh": "没有可推荐的了：符合条件的商品都已购买或被您排除。",
    },
    "advice_all": {"en": "That is all that fits.", "zh": "符合条件的商品都已列出。"},
    "condition_is": {"en": "{field}: {values}", "zh": "{field}：{values}"},
    "condition_not": {"en": "{field}: not {values}", "zh": "{field}：不要{values}"},
    "condition_or": {"en": " or ", "zh": "或"},
    "condition_stock": {"en": "in stock", "zh": "有货"},
    "because_matches": {"en": "{field}: {value}", "zh": "{field}：{value}"},
    "because_together": {
        "en": "{value} {value:customer|customers} who took {item} took this too",
        "zh": "{value} 位选择了{item}的客户也选择了它",
    },
    "because_shares": {
        "en": "{field} {value}, like {item} in your history",
        "zh": "与您记录中的{item}同为{field}：{value}",
    },
    "because_like": {"en": "Similar to {item}", "zh": "与{item}相似"},
    "because_popular": {"en": "{value} {value:customer|customers} took it", "zh": "{value} 位客户选择过"},
    "because_new": {"en": "New: nobody has taken it yet", "zh": "新品：还没有客户选择过"},
    "because_requires": {"en": "You have done {item}, which it builds on", "zh": "您已完成它的前置内容：{item}"},
    "currency_note": {
        "en": "Prices here are in {ours}; the amount you gave was read as {ours}, not {theirs}.",
        "zh": "这里的价格以 {ours} 计；您给出的金额按 {ours} 而不是 {theirs} 理解。",
    },
    "no_catalogue": {"en": "There is no catalogue here yet.", "zh": "这里还没有商品目录。"},
    "approved_answer": {"en": "Approved answer {n}", "zh": "标准答案 {n}"},
    "this_company": {"en": "this company", "zh": "本公司"},
    "spent_nobody": {
        "en": "No adapter had a part in this answer: it holds nothing that training learned from customers.",
        "zh": "此回答未使用任何适配器，不含通过训练从客户数据中学到的内容。",
    },
    "spent_built_in": {
        "en": "The adapter that Confide brings had a part in this answer. It learned from public and invented texts: it holds nothing of your customers.",
        "zh": "此回答使用了 Confide 自带的适配器。它只从公开和虚构的文本中学习，不含您客户的任何数据。",
    },
    "spent_unknown": {
        "en": "{adapter} had a part in this answer. What its training spent is not on its card: take its epsilon for infinite.",
        "zh": "此回答使用了 {adapter}。其卡片上没有训练的隐私开销：请视其 epsilon 为无穷大。",
    },
    "spent_all": {
        "en": "{adapter} had a part in this answer. It was trained without differential privacy: its epsilon is infinite, nothing bounds what it may reveal of the records it learned from.",
        "zh": "此回答使用了 {adapter}。它未采用差分隐私训练：epsilon 为无穷大，它可能泄露训练记录的程度没有上限。",
    },
    "spent": {
        "en": "{adapter} had a part in this answer. Its training spent epsilon {epsilon} at delta {delta} for each {unit}: whether any one {unit} was among its records can be told from it only so far as that allows.",
        "zh": "此回答使用了 {adapter}。其训练对每个{unit}的隐私开销为 epsilon {epsilon}（delta {delta}）：外界只能在此限度内判断某一{unit}是否在训练数据中。",
    },
    "gate_session": {"en": "There is no session. Please reload the page.", "zh": "会话已失效，请刷新页面。"},
    "gate_not_yours": {"en": "This is not yours.", "zh": "您无权访问此内容。"},
    "gate_sign_in": {"en": "This needs a sign-in on the staff's page.", "zh": "请先在员工页面登录。"},
    "gate_role": {"en": "This needs an account with the role {role}.", "zh": "此操作需要具有 {role} 角色的账号。"},
    "gate_rate": {
        "en": "Too many questions. Please wait {n} {n:second|seconds}.",
        "zh": "提问过于频繁，请在 {n} 秒后重试。",
    },
    "gate_pages": {
        "en": "Too many pages are open. Close some, then reload.",
        "zh": "打开的页面过多，请关闭一些后刷新。",
    },
    "busy": {
        "en": "The assistant is busy. Please try again in {n} {n:second|seconds}.",
        "zh": "智能助手正忙，请在 {n} 秒后重试。",
    },
    "busy_theirs": {
        "en": "Your earlier questions are still being answered. Please try again in {n} {n:second|seconds}.",
        "zh": "您之前的问题仍在回答中，请在 {n} 秒后重试。",
    },
    "unit_example": {"en": "record", "zh": "记录"},
    "unit_customer": {"en": "customer", "zh": "客户"},
    "unit_partner": {"en": "partner", "zh": "合作方"},
}


def say(key: str, language: str, **values: object) -> str:
    """The text of `key` in a language, English where there is none in that language.

    >>> say("thanks", "en")
    "You're welcome! Is there anything else I can help with?"
    """
    texts = _TEXTS[key]
    return fill(texts.get(language, texts["en"]), language if language in texts else "en", **values)


class _Filler(string.Formatter):
    """What `str.format` does, and the forms of words."""

    def __init__(self, language: str) -> None:
        self._plural = PLURALS[language]

    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" not in format_spec:
            return str(super().format_field(value, format_spec))
        return format_spec.split("|")[self._plural(int(str(value).replace(",", "")))]


def fill(text: str, language: str, **values: object) -> str:
    """The text with its braces filled.

    >>> [fill("{n} {n:answer|answers}", "en", n=n) for n in (0, 1, "1,200")]
    ['0 answers', '1 answer', '1,200 answers']
    """
    return _Filler(language).format(text, **values)


def keys() -> list[str]:
    """All keys, for the test that every language has every text."""
    return list(_TEXTS)


def table() -> dict[str, dict[str, str]]:
    """key -> language -> text: what the page's own translations are made from."""
    return {key: dict(texts) for key, texts in _TEXTS.items()}
