"""A prompt holds whole passages and whole turns, within its budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import prompts
from assistant.types import Message


def build(turns, passages, budget):
    return prompts.build(
        turns,
        passages,
        company="Ridge",
        answer_language="en",
        budget=budget,
        count_tokens=lambda text: len(text.split()),
    )


turn = st.builds(Message, st.sampled_from(["user", "assistant"]), st.text("ab \n", min_size=1, max_size=80))


@given(
    st.lists(turn, max_size=8),
    st.lists(st.text("xyz ", min_size=1, max_size=200), min_size=1, max_size=8),
    st.integers(200, 400),
)
def test_what_is_kept_is_whole_and_fits_and_what_is_not_is_said(history, passages, budget):
    question = Message("user", "what now?")
    prompt = build([*history, question], passages, budget)
    assert prompt.tokens <= budget or len(prompt.messages) == 2
    body = prompt.messages[-1].text
    kept = [passage for number, passage in enumerate(passages, 1) if f"[{number}] {passage}" in body]
    assert kept == passages[: len(kept)]
    assert kept
    said = "\n\n".join(message.text for message in prompt.messages[1:]).partition("Passages:")[0].removesuffix("\n\n")
    assert said in {"\n\n".join(turn.text for turn in history[start:]) for start in range(len(history) + 1)}
    roles = [message.role for message in prompt.messages]
    assert roles == ["system", *["user", "assistant"] * (len(roles) // 2 - 1), "user"]
    cut = len(kept) < len(passages) or len(prompt.messages) - 2 < len(history)
    assert cut or not prompt.notes
    assert body.endswith("Question: what now?")


def test_what_one_side_said_in_several_messages_is_one_turn():
    turns = [
        Message("user", "I want a person"), Message("assistant", "A person will answer."), Message("assistant", "I am Ana."),
        Message("user", "Thanks"), Message("user", "How long?"),
    ]  # fmt: skip
    _, first, second, last = build(turns, ["Boots: 30 days."], 400).messages
    assert (first, second) == (turns[0], Message("assistant", "A person will answer.\n\nI am Ana."))
    assert last.text == "Thanks\n\nPassages:\n[1] Boots: 30 days.\n\nQuestion: How long?"


def test_the_last_passages_go_before_the_oldest_turns_are_cut():
    turns = [Message("user", "one two"), Message("assistant", "three four"), Message("user", "five")]
    prompt = build(turns, ["a " * 50, "b " * 50, "c " * 50], 200)
    assert "[1]" in prompt.messages[-1].text
    assert "[3]" not in prompt.messages[-1].text
    assert any("passages did not fit" in note for note in prompt.notes)


@pytest.mark.parametrize(
    ("earlier", "question"),
    [
        ("How long can I return boots?", "And if they are worn?"),
        ("How much is the Alder tent?", "is it waterproof?"),
        ("退货期限是多久？", "那会员呢？"),
        ("What does delivery to Norway cost?", "and Sweden?"),
        ("Do you repair zips?", "What about poles?"),
    ],
)
def test_a_question_that_leans_on_the_conversation_takes_it_along(earlier, question):
    turns = [Message("user", earlier), Message("assistant", "..."), Message("user", question)]
    assert prompts.standalone(turns) == f"{earlier} {question}"


def test_a_question_that_stands_alone_stays_alone():
    turns = [
        Message("user", "How much is the Alder tent?"),
        Message("assistant", "."),
        Message("user", "Which payment methods do you accept in stores?"),
    ]
    assert prompts.standalone(turns) == "Which payment methods do you accept in stores?"


@pytest.mark.parametrize(
    ("earlier", "question"),
    [
        ("Do you have a store in Paris?", "How long can I return a tent?"),
        ("Do you sharpen knives?", "Is there parking?"),
        ("Do you sharpen knives?", "Do you gift wrap?"),
        ("Do you take old pans?", "Can I return something that was engraved?"),
    ],
)
def test_a_whole_sentence_however_short_is_read_by_itself_first(earlier, question):
    asked = prompts.asked([Message("user", earlier), Message("assistant", "No."), Message("user", question)])
    assert (asked.query, asked.other) in {(question, f"{earlier} {question}"), (question, "")}
    assert not asked.torn
    assert (
        prompts.standalone([Message("user", earlier), Message("assistant", "No."), Message("user", question)])
        == question
    )


@pytest.mark.parametrize("question", ["What is the price?", "What is it made of?", "Does that last?", "And why?"])
def test_what_leans_by_its_words_is_read_behind_the_last_question_only(question):
    turns = [
        Message("user", "How much is the Alder tent?"),
        Message("assistant", "249 EUR."),
        Message("user", question),
    ]
    assert prompts.asked(turns) == prompts.Asked(f"{turns[0].text} {question}")


@pytest.mark.parametrize("question", ["Which colours?", "For Gold members?", "Opening hours?"])
def test_a_few_words_are_read_behind_the_last_question_first_and_then_by_themselves(question):
    earlier = "How much is the Alder tent?"
    turns = [Message("user", earlier), Message("assistant", "249 EUR."), Message("user", question)]
    assert prompts.asked(turns) == prompts.Asked(f"{earlier} {question}", question)
    assert prompts.standalone(turns) == f"{earlier} {question}"


def test_a_question_stays_alone_unless_its_context_answers_it_far_better():
    both = prompts.Asked("q", "c q")
    assert not both.other_instead(0.1, lambda: 0.4)
    assert both.other_instead(0.1, lambda: 0.6)
    assert not both.other_instead(0.9, lambda: 0.95)
    assert both.other_instead(0.6, lambda: 0.99)

    def never() -> float:
        raise AssertionError("the second reading was not needed")

    assert not prompts.Asked("q").other_instead(0.1, never)


def test_a_short_chinese_question_is_read_alone_and_joined():
    turns = [Message("user", "可以寄到中国吗？"), Message("assistant", "不可以。"), Message("user", "怎么取消订单？")]
    assert prompts.asked(turns) == prompts.Asked("怎么取消订单？", "可以寄到中国吗？ 怎么取消订单？", torn=True)


@pytest.mark.parametrize("question", ["多少钱", "几天？", "怎么收费呢", "要多久", "要钱吗", "多少錢", "怎麼收費"])
def test_a_chinese_question_without_a_word_of_substance_is_read_behind_the_last_one_only(question):
    turns = [Message("user", "可以寄养吗"), Message("assistant", "可以。"), Message("user", question)]
    assert prompts.asked(turns) == prompts.Asked(f"可以寄养吗 {question}")
    assert prompts.asked([*turns[:2], Message("user", "几点开门")]).query == "几点开门"


def test_whom_a_chinese_customer_addresses_is_no_word_of_the_question():
    assert prompts.asked([Message("user", "亲，鱼缸包邮不")]) == prompts.Asked("鱼缸包邮不")


@pytest.mark.parametrize("question", ["👌", "👍🏽", "?", "？？", "...", ":)", "!", "。", "- -", "❤️", "👎"])
@pytest.mark.parametrize("earlier", ["What does express delivery cost?", "退货期限是多久？"])
def test_a_text_without_a_letter_or_digit_never_repeats_the_question_before(earlier, question):
    turns = [Message("user", earlier), Message("assistant", "9.90 EUR."), Message("user", question)]
    assert prompts.asked(turns) == prompts.Asked(question)


@pytest.mark.parametrize("question", ["2?", "XL?", "红色？", "呢？", "Å?"])
def test_a_text_of_one_letter_or_digit_may_lean_on_the_question_before(question):
    turns = [Message("user", "有靴子吗？"), Message("assistant", "有。"), Message("user", question)]
    asked = prompts.asked(turns)
    assert f"有靴子吗？ {question}" in (asked.query, asked.other)


def test_a_prompt_says_nothing_secret():
    prompt = build([Message("user", "hi")], ["p"], 500)
    text = "\n".join(message.text for message in prompt.messages).lower()
    assert "password" not in text
    assert "key" not in text
