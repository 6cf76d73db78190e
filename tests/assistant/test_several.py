"""Laws of a message that asks several things: cut only where each part asks by itself, and nothing is lost."""

import re
from dataclasses import replace

import pytest
from asking import exact, over_policies, run
from hypothesis import given
from hypothesis import strategies as st

from assistant.composer import Piece
from assistant.draft import Draft
from assistant.hosting import Choice
from assistant.several import LONGEST, MOST, answers, questions
from assistant.types import CollectionInfo, Conversation, Delta, Found, Hit, Message, Outcome, Passage, Usage

CUT = [
    ("Do you ship to Norway? What are your opening hours?", "Do you ship to Norway?", "What are your opening hours?"),
    (
        "How long do I have to return boots, and what does shipping cost?",
        "How long do I have to return boots",
        "what does shipping cost?",
    ),
    (
        "What is your return policy and how do I start a return?",
        "What is your return policy",
        "how do I start a return?",
    ),
    (
        "How long is the warranty? And who pays for return shipping?",
        "How long is the warranty?",
        "who pays for return shipping?",
    ),
    (
        "I bought boots. Can I return them? They are worn. Who pays?",
        "I bought boots. Can I return them?",
        "They are worn. Who pays?",
    ),
    (
        "Hi! How are you? Do you sell tents? What do they cost?",
        "Hi! How are you? Do you sell tents?",
        "What do they cost?",
    ),
    (
        "Recommend a tent under 200 euros. And how long is the warranty?",
        "Recommend a tent under 200 euros.",
        "how long is the warranty?",
    ),
    ("What happens if my parcel is lost and who pays?", "What happens if my parcel is lost", "who pays?"),
    ("Who won the match? Are boots repaired?", "Who won the match?", "Are boots repaired?"),
    (
        "Price of the large copper pan with lid? Ordering to Zurich - who settles the customs bill?",
        "Price of the large copper pan with lid?",
        "Ordering to Zurich - who settles the customs bill?",
    ),
    ("微信付款行不行？能用借记卡吗？", "微信付款行不行？", "能用借记卡吗？"),
    (
        "Wie lange kann ich Stiefel zurückgeben? Was kostet der Versand?",
        "Wie lange kann ich Stiefel zurückgeben?",
        "Was kostet der Versand?",
    ),
    ("退货要几天？运费谁出？", "退货要几天？", "运费谁出？"),
    ("退货要几天，运费谁出？", "退货要几天", "运费谁出？"),
    ("你好，请问可以退货吗？另外多久到账？", "你好，请问可以退货吗？", "多久到账？"),
    ("推荐一款帐篷。保修几年？", "推荐一款帐篷。", "保修几年？"),
    ("Where are you? Is there parking?", "Where are you?", "Is there parking?"),
    ("what are the opening times and where are you", "what are the opening times", "where are you"),
    ("你们几点开门，可以带狗吗，有停车位吗", "你们几点开门", "可以带狗吗", "有停车位吗"),
    ("你们几点开门 可以带狗吗 有停车位吗", "你们几点开门", "可以带狗吗", "有停车位吗"),
    ("支持花呗吗，能开专票吗", "支持花呗吗", "能开专票吗"),
    ("可以开发票吗 还有会员打几折", "可以开发票吗", "会员打几折"),
    ("多久发货\n运费多少", "多久发货", "运费多少"),
    ("你們幾點開門，可以帶狗嗎，有停車位嗎", "你們幾點開門", "可以帶狗嗎", "有停車位嗎"),
    ("1.多久发货 2.运费多少", "1.多久发货", "运费多少"),
]
WHOLE = [
    "Who pays for return shipping?",
    "How and when can I return boots?",
    "Can you help me? How long is the warranty?",
    "Hello! How are you? Do you sell tents?",
    "Can you tell me when the shop opens and when it closes?",
    "Which is better, the Lark or the Kestrel? Why?",
    "Can I return boots? Even worn ones?",
    "Can I return boots? What about sandals?",
    "When in doubt? What then? Do you know?",
    "Is that so? Can I return boots? Really?",
    "Do you sell can openers and are?",
    "I want boots and can openers and do you ship to France?",
    "If my tent is torn and is past its warranty, what can I do?",
    "I would like to return my boots. I bought them last week.",
    "Do you take back used boots, and if not, the box?",
    "What do you mean by indoors? ???",
    "I want to talk to a person. How long does it take? Is anyone there?",
    "Thanks! 👍",
    "如果鞋子坏了怎么办，可以退吗？",
    "如果丢了怎么办，多久能补？",
    "If I return boots, who pays and how long is the refund?",
    "你好，请问可以退货吗？",
    "怎么退货，需要身份证吗？",
    "怎么退货，可以退到店里吗",
    "可以退货吗，拆封的可以吗",
    "鞋子坏了怎么办，能换货吗",
    "鱼缸多少钱，还有货吗",
    "请问 几点开门",
    "2.5米的缸多少钱 包邮吗",
    "推荐鱼缸 60厘米 多少钱",
    "I need a bed for my dog. How fast do you deliver?",
]


@pytest.mark.parametrize("row", CUT, ids=lambda row: row[0])
def test_a_message_that_asks_several_things_is_cut_into_its_questions(row):
    message, *parts = row
    assert questions(message) == tuple(parts)


@pytest.mark.parametrize("message", WHOLE)
def test_what_asks_one_thing_stays_whole(message):
    assert questions(message) == (message,)


def test_a_wish_for_goods_of_the_catalogue_is_a_part_by_itself():
    def wanted(sentence: str) -> bool:
        return sentence.startswith("I need a bed")

    parts = ("I need a bed for my dog.", "How fast do you deliver?")
    assert questions(" ".join(parts), wanted) == parts
    told = "I need a card for my dog. How fast do you deliver it?"
    assert questions(told, wanted) == (told,)


PIECES = st.sampled_from(
    ["How long is the warranty?", "And who pays?", "I bought boots.", "Hello!", "is it free", " and what does it cost", "？", "...", "退货要几天", "，运费谁出？", "另外", "还有多久到账？", "Recommend a tent.", "\n", "ok", " "]
)  # fmt: skip
CONNECTORS = re.compile(r"and|plus|also|另外|还有|[\W_]", re.IGNORECASE)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_nothing_is_lost_but_what_joined_the_questions_and_no_part_is_cut_again(message):
    parts = questions(message)
    assert 1 <= len(parts) <= MOST
    assert CONNECTORS.sub("", "".join(parts)) == CONNECTORS.sub("", message)
    if len(parts) > 1:
        assert all(len(part) < len(message) for part in parts)


def test_a_story_stays_whole():
    asked = "How long is the warranty? Who pays? "
    assert len(questions(asked)) == 2
    assert questions(asked * LONGEST) == (asked * LONGEST,)


@pytest.fixture
def make(tmp_path):
    made = []

    def build(**settings):
        made.append(over_policies(tmp_path, **settings))
        return made[-1]

    yield build
    for assistant in made:
        assistant.close()


def test_each_question_of_a_message_is_answered_behind_a_line_that_repeats_it(make):
    assistant = make(shape="quotes")
    answer = run(
        assistant,
        "Within how many days can unused items be returned, and what does it cost to have broken tent poles repaired?",
    )
    assert answer.outcome is Outcome.ANSWERED
    first, second = answer.text.split("“What does it cost to have broken tent poles repaired?”\n")
    assert first.startswith("“Within how many days can unused items be returned”\n")
    assert "within 30 days of delivery" in first
    assert "15 EUR in every store" in second
    assert exact(assistant, answer)
    assert {hit.passage.id for hit in answer.hits} >= {citation.passage_id for citation in answer.citations}


def test_what_no_document_answers_is_said_by_name_beside_what_one_does(make):
    assistant = make(shape="quotes", threshold=0.35)
    answer = run(assistant, "Who won the football match? What does it cost to have broken tent poles repaired?")
    assert answer.outcome is Outcome.ANSWERED
    assert "15 EUR in every store" in answer.text
    assert answer.text.count("Who won the football match?") == 1
    assert "could not find" in answer.text
    assert any("Who won the football match?" in note for note in answer.receipt.notes)
    assert answer.receipt.support >= answer.receipt.threshold


def test_where_no_question_is_answered_there_is_one_refusal(make):
    answer = run(make(threshold=0.99), "Who won the football match? When does the moon rise?")
    assert answer.outcome is Outcome.NOT_IN_KNOWLEDGE_BASE
    assert answer.text.count("could not find") == 1
    assert answer.citations == ()


def test_a_later_question_is_understood_in_the_one_before_it(make):
    assistant, asked = make(shape="quotes"), []
    read = assistant._read
    assistant._read = lambda draft, query, **how: (asked.append(query), read(draft, query, **how))[1]
    run(assistant, "Are broken tent poles repaired? And is it free?")
    assert any("poles" in query and "free" in query for query in asked)


def test_the_receipt_of_several_answers_hides_nothing_of_any():
    info = CollectionInfo("default", "shop", ("en",), "hashing", 0.5)
    passages = [Passage(f"p{n}", "d", "d.md", "default", "shop", f"Fact {n}.", 0, 7, "") for n in range(2)]
    heard = []

    def walk(conversation, one):
        heard.append([(message.role, message.text) for message in conversation.messages])
        number = len(heard) - 1
        one.hits, one.support = (Hit(passages[number], 0.9, "dense"),), 0.9 - number / 10
        one.sure, one.reread, one.shape, one.query = number == 0, number == 0, "quotes", one.question
        one.usage, one.notes = Usage(10, 1), [f"note {number}"]
        yield Found(one.hits)
        yield one.add(Piece(f"Fact {number}.", ()))

    draft = Draft("One? Two?", info, "en", Choice((None,)))
    begun = Conversation("", "", (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "One? Two?")))
    events = list(answers(walk, begun, draft, ["One?", "Two?"]))
    assert [type(event) for event in events] == [Found, Delta, Delta, Delta, Delta]
    talk = [("user", "Hi"), ("assistant", "Hello"), ("user", "One?")]
    assert heard == [talk, [*talk, ("assistant", "Fact 0."), ("user", "Two?")]]
    assert [hit.passage.id for hit in draft.hits] == ["p0", "p1"]
    assert (draft.sure, draft.reread, draft.shape, draft.query) == (False, True, "quotes", "One? | Two?")
    assert (draft.usage, draft.notes, draft.outcome) == (Usage(20, 2), ["note 0", "note 1"], Outcome.ANSWERED)
    assert draft.support == pytest.approx(0.8)


def test_what_the_staff_approved_for_the_whole_message_wins(make, monkeypatch):
    assistant = make(shape="quotes")
    seen = []
    monkeypatch.setattr(assistant, "_approved", lambda draft, asked: seen.append(draft.question))
    message = "Are broken poles repaired? What does it cost?"
    run(assistant, message, replace(Conversation(""), messages=(Message("user", "Hello"),)))
    assert seen == [message, "Are broken poles repaired?", "What does it cost?"]
