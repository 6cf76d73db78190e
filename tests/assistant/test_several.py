"""Laws of a message that asks several things: cut only where each part asks by itself, and nothing is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.several import MOST, questions

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
    "你好，请问可以退货吗？",
    "怎么退货，需要身份证吗？",
]


@pytest.mark.parametrize("row", CUT, ids=lambda row: row[0])
def test_a_message_that_asks_several_things_is_cut_into_its_questions(row):
    message, *parts = row
    assert questions(message) == tuple(parts)


@pytest.mark.parametrize("message", WHOLE)
def test_what_asks_one_thing_stays_whole(message):
    assert questions(message) == (message,)


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
