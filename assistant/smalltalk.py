"""Messages that are not questions to the documents: greetings, thanks, the wish for a
person, and what only a person can look up: the customer's own order or account.

Rules, not a model: "I want a person" must always be understood, and a question must never be
taken for chatter. English and Chinese; other languages go to the documents. Pure.
"""

from __future__ import annotations

import enum
import re


class Intent(enum.StrEnum):
    """What a message wants, where that can be told by its words alone."""

    QUESTION = "question"
    GREETING = "greeting"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    WHO = "who"
    PERSON = "person"
    PRIVATE = "private"


_PERSON_NOUN = (
    r"(?:human(?: being)?|(?:real|actual|live) (?:person|human|agent)|person|people|someone|somebody|agent|representative|rep|operator|"
    r"advis[oe]r|colleague|employee|staff(?: member)?|member of staff|team member|manager|supervisor|customer (?:service|support|care))"
)
_PERSON = re.compile(
    rf"\b(?:speak|talk|chat|write)\s+(?:\w+\s+){{0,2}}?(?:to|with)\s+(?:an?\s+|the\s+|your\s+|some\s+)?(?:\w+\s+)?{_PERSON_NOUN}\b"
    rf"|\b(?:want|need|like|get|give|have|prefer|looking for)\s+(?:me\s+|to have\s+)?(?:an?\s+|the\s+|some\s+)?(?:real\s+|actual\s+|live\s+)?"
    r"(?:human(?: being)?|person|agent|representative|operator|live chat)(?:\s+(?:please|now|instead|here|to (?:help|talk|speak|chat)).*)?[\s.!?]*$"
    rf"|\b(?:connect|transfer|forward|escalate|pass|hand|put)\b.{{0,30}}\b(?:to|with|over|through)\b.{{0,20}}\b{_PERSON_NOUN}\b"
    rf"|^\W*(?:(?:a\s+)?(?:real\s+|live\s+)?(?:human|person|agent|representative|operator))(?:\s+please)?\W*$"
    r"|\bnot (?:a |talking to a )?(?:bot|robot|machine)\b.*\b(?:human|person)\b"
    r"|\b(?:is there|are there|can) (?:an? )?(?:human|real person|real people|someone real)\b"
    r"|\bhuman (?:agent|help|support|assistance)\b"
    r"|转(?:接)?(?:到)?(?:人工|真人|客服)|人工(?:客服|服务|座席|坐席|接听)|真人(?:客服|服务)?|(?:要|找|换|叫|需要|想要|请)(?:个|一个|一位|位)?(?:人工|真人|活人)"
    r"|(?:找|联系|接通)(?:一下)?(?:你们的?)?客服(?:人员)?[吧。！!\s]*$|和(?:真)?人(?:说话|聊|沟通|对话)|(?:跟|和|与)(?:人工|真人|客服)(?:人员)?(?:说|聊|谈|沟通|对话|讲)"
    r"|^\W*人工\W*$",
    re.IGNORECASE,
)  # fmt: skip
# A customer's own order, account or application: no document knows it, a person can look it up.
_OWN = r"(?:order|orders|parcel|package|shipment|refund|application|claim|transfer|payment|return|card|account|balance|points|subscription|loan|invoice|warranty|repair|booking|voucher|gift card)"
_PRIVATE = re.compile(
    rf"\b(?:has|have|did|was|were|is|are)\s+my\s+(?:\w+\s+){{0,3}}?{_OWN}\b.*\b(?:yet|already|go(?:ne)? through|been (?:approved|sent|shipped|processed|received|dispatched)|arrived?|shipped|dispatched|approved|processed|received|declined|blocked|on its way|out for delivery)\b"
    rf"|\bwhy (?:was|is|did|has) my\s+(?:\w+\s+){{0,2}}?{_OWN}\b.*\b(?:declined|rejected|blocked|late|delayed|cancelled|stuck|not (?:here|arrived)|yesterday|today|this morning)\b"
    rf"|\b(?:where|when)(?:'s| is| are| will| does)\s+my\s+(?:own\s+)?(?:\w+\s+)?(?:order|parcel|package|shipment|delivery|stuff|refund|tent|boots|jacket|pan)\b(?!.*\b(?:if|once|after|when)\b)"
    rf"|\b(?:which|what) (?:day|time|date)\b.*\bmy (?:own )?(?:order|parcel|package|delivery)\b.*\b(?:come|arrive|be here|get here|delivered)\b|\b(?:day|days)\b.{{0,12}}\bmy own (?:order|parcel)\b"
    rf"|\bhow (?:many|much)\b.*\b(?:do i have|have i got|is left|are left|left)\b.*\b(?:my|account|card|points|now|at the moment|balance)\b|\bhow many (?:\w+ )?points do i have\b|\bwhat(?:'s| is) (?:the balance|my (?:current )?(?:balance|points|order status|order number|customer number|password|pin))\b"
    rf"|\b(?:status|tracking (?:number|status)) (?:of|for) (?:my|order)\b|\b(?:check|look up|look into|tell me about|find|pull up|cancel|track)\b.{{0,15}}\b(?:my|order)\b.{{0,20}}(?:#|no\.?|number|nr)?\s?\d{{3,}}|\bmy (?:order|parcel|ticket|claim) (?:#|no\.?|number|nr)?\s?[A-Z]{{0,4}}-?\d{{3,}}\b.*\b(?:where|when|status|yet|arrive)|\b(?:where|when|status|yet|approved|did|has)\b.*\b(?:order|parcel|ref|reference|ticket|application|claim) (?:#|no\.?|number|nr)?\s?[A-Z]{{0,4}}-?\d{{3,}}\b"
    r"|\bwhat did i (?:buy|order|pay|spend)\b|\bmy last (?:order|purchase|payment|invoice)\b.*\b(?:how much|what|when|total)\b|\b(?:how much|what|when)\b.*\bmy last (?:order|purchase|payment|invoice)\b"
    r"|我的?[^，。？?]{0,8}(?:订单|包裹|快递|退款|申请|贷款|账户|积分|余额|退货|维修|货)[^，。？?]{0,12}(?:到哪|到了吗|到了没|发货了吗|发货了没|批下来|批了|下来了|还剩|还有多少|有多少|到账了|处理好|修好|寄出|什么时候到|状态|进度|怎么还没|还没到)"
    r"|帮我(?:查|看)(?:一下|下|查|看)?|(?:订单|单号|运单)号?[^，。？?]{0,4}[A-Za-z]*\d{3,}.*(?:哪|吗|没|状态|什么时候)|我(?:上次|上周|昨天|前天|刚才?)(?:买|下|申请|退|订)[^，。？?]{0,14}(?:了吗|了没|到哪|下来|进度|多少钱)|(?:怎么|为什么)还没(?:到|发货|收到|退)",
    re.IGNORECASE,
)  # fmt: skip
_FILLER = (
    r"(?:\s*(?:there|again|everyone|all|team|confide|bot|assistant|dear|sir|madam|friend|大家|各位|呀|啊|哈|哦|呢))*"
)
_PATTERNS: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        Intent.GREETING,
        re.compile(
            rf"^\W*(?:hi+|hello+|hey+|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|你好|您好|嗨|哈喽|哈啰|早上好|下午好|晚上好|早安|在吗|在不在|有人吗){_FILLER}(?:\W*(?:在吗|在不在|有人吗)\W*)?"
            r"(?:\W+how (?:are|r) (?:you|u)(?: doing)?(?: today)?)?\W*$|^\W*how are you(?: doing)?(?: today)?\W*$",
            re.IGNORECASE,
        ),
    ),
    (
        Intent.THANKS,
        re.compile(
            r"^\W*(?:(?:ok(?:ay)?|great|perfect|super|cool|nice|good|awesome|wonderful|alright|好的?|行|嗯|明白了?|知道了|了解|太好了)\W*)*"
            r"(?:(?:many\s+)?thanks?(?:\s+(?:you|u|a lot|so much|very much|again|a million|for (?:your|the|all your|that|this)(?: \w+){0,2}))*|thx|ty|cheers|"
            r"that(?:'s| is) (?:all|great|perfect|helpful|very helpful)|(?:非常|多|太)?(?:感谢|谢谢?)(?:您|你|啦|了|你们)?(?:的?帮助)?)\W*$"
            r"|^\W*(?:ok(?:ay)?|great|perfect|got it|i see|understood|cool|好的?|行|嗯+|明白了?|知道了|了解了?|收到)\W*$",
            re.IGNORECASE,
        ),
    ),
    (
        Intent.GOODBYE,
        re.compile(
            r"^\W*(?:(?:ok(?:ay)?|thanks?|thank you|好的?|谢谢)\W*)*(?:bye+(?:[\s-]?bye)?|good ?bye|see (?:you|ya)(?: later| soon)?|have a (?:nice|good|great) (?:day|one|evening|weekend)|"
            r"再见|拜拜|回头见|下次见)\W*$",
            re.IGNORECASE,
        ),
    ),
    (
        Intent.WHO,
        re.compile(
            r"^\W*(?:who|what) are you\W*$|\bare you (?:a |an )?(?:bot|robot|human|real|real person|person|machine|ai|chatbot)\W*$|^\W*what can you do(?: for me)?\W*$"
            r"|^\W*what(?:'s| is) your name\W*$|^\W*(?:你|您)是(?:谁|什么|机器人|真人|人工智能|ai)\w{0,3}\W*$|^\W*(?:你|您)(?:能|可以|会)(?:做|干)(?:什么|些什么|啥)\W*$|^\W*(?:你|您)叫什么(?:名字)?\W*$",
            re.IGNORECASE,
        ),
    ),
)  # fmt: skip


def intent(message: str) -> Intent:
    """What the message wants. A wish for a person wins over everything else.

    >>> [intent(text).value for text in ("Hi there!", "谢谢", "I want to talk to a real person", "Do you sell tents?")]
    ['greeting', 'thanks', 'person', 'question']
    """
    if _PERSON.search(message):
        return Intent.PERSON
    if _PRIVATE.search(message):
        return Intent.PRIVATE
    return next((found for found, pattern in _PATTERNS if pattern.search(message)), Intent.QUESTION)
