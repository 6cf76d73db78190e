"""A wish for a person is always understood; a question is never chatter."""

import pytest

from assistant.smalltalk import Intent, intent


@pytest.mark.parametrize(
    "message",
    [
        "I want a person", "I want to talk to a human", "can i speak with someone please?", "Human please", "agent",
        "Let me speak to your manager", "Connect me to customer service", "I'd like a real person", "give me a human!!",
        "Is there a real person I can chat with?", "transfer me to an agent", "get me a representative now",
        "I need to talk to a real human being", "You are useless, I want to speak to a person about my order",
        "put me through to a member of staff", "can I chat with a live agent", "escalate this to a supervisor",
        "人工", "转人工", "我要人工客服", "请帮我转接人工客服", "我想找真人", "有没有人工服务", "我要和真人说话", "找客服",
    ],
)  # fmt: skip
def test_a_wish_for_a_person_is_understood(message):
    assert intent(message) is Intent.PERSON


@pytest.mark.parametrize(
    "message",
    [
        "How many people fit in the tent?", "What are the phone hours of customer service?", "Is this a two person tent?",
        "Can a person under 18 open an account?", "How do I contact you by e-mail?", "Do you deliver to a person other than me?",
        "hi, can I return worn boots?", "thanks, and what about the delivery costs?", "Hello, do you ship to Norway?",
        "这个帐篷能住几个人？", "你好，可以退货吗？", "谢谢，那运费呢？", "客服电话几点上班？", "双人帐篷多少钱？", "What can you do about a broken pole?",
    ],
)  # fmt: skip
def test_a_question_goes_to_the_documents(message):
    assert intent(message) is Intent.QUESTION


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Hi", Intent.GREETING), ("hello there!", Intent.GREETING), ("Good morning", Intent.GREETING), ("你好", Intent.GREETING),
        ("您好，在吗", Intent.GREETING), ("Hey, how are you?", Intent.GREETING), ("Thanks!", Intent.THANKS), ("thank you so much", Intent.THANKS),
        ("ok great, thanks", Intent.THANKS), ("谢谢", Intent.THANKS), ("好的，谢谢您", Intent.THANKS), ("bye", Intent.GOODBYE), ("再见", Intent.GOODBYE),
        ("who are you?", Intent.WHO), ("are you a robot?", Intent.WHO), ("你是谁", Intent.WHO), ("你是机器人吗？", Intent.WHO),
    ],
)  # fmt: skip
def test_chatter_is_recognised(message, expected):
    assert intent(message) is expected
