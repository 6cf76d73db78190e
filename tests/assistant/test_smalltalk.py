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


@pytest.mark.parametrize(
    "message",
    [
        "我要客服", "客服", "轉人工", "我要找你们经理", "Can someone call me?", "I don't want to talk to a bot", "我要找你們經理", "人工", "客服在吗", "叫你们经理来", "我想找人工客服",
        "请转接客服", "能转人工吗", "能让你们经理给我打电话吗", "请给我打电话", "我不想和机器人说话", "不要机器人", "找店长", "让负责人来", "我想找真人聊聊", "我要和真人说话", "有没有真人", "你好，我要客服", "联系客服",
        "I want a person", "Transfer me to a colleague please", "pass me on to a human", "hand me over to a colleague",
        "escalate it to a supervisor", "transfer to a human", "customer service", "get me a supervisor", "please call me back",
        "Can someone call me about my order?", "Do not want to speak with a robot", "I hate talking to bots", "Can anyone call me back today?",
        "stop, I want to talk to someone", "Please transfer my case to a colleague", "Please put me through to your manager",
        "I'd like to speak with a member of staff", "can somebody phone me today?", "never talking to a bot again, give me a human",
        "let me talk to somebody real", "forward this to a manager please", "I want customer service", "Please have somebody call me", "叫你们负责人来",
        "换个真人来", "转客服", "我不要跟机器人聊", "能找个真人吗", "有没有客服", "我要见你们经理", "快转人工！", "找你们老板", "轉接客服",
    ],
)  # fmt: skip
def test_a_wish_for_a_person_is_understood_however_it_is_put(message):
    assert intent(message) is Intent.PERSON


@pytest.mark.parametrize(
    "message",
    [
        "Where is my order 4711?", "我的退款到账了吗", "How many points do I have?", "Where is my parcel 4411?",
        "How many club points do I have left at the moment?", "how much do I have left on my gift card", "Has my refund been paid?",
        "Is my order 4711 shipped?", "Why was my card declined this morning?", "track my order 4711", "what is my balance",
        "is my claim approved yet", "cancel order 88123 please", "my order #AB-4711 where is it", "what did I order last time?", "帮我查一下订单4711",
        "帮我查下订单到哪了", "帮我查一下卡里还剩多少钱", "我的包裹7823到哪儿了？", "我的积分有多少", "我上周申请的贷款批下来了吗？", "订单号是884120到哪了", "我的订单什么时候到？", "我的维修进度", "幫我查一下我的訂單", "帮我查查我的退款",
        "帮我查 4711920", "Where's my package?", "has my payment gone through?", "Have you seen whether my order has shipped, order 88123",
        "how much credit do I have left on my account", "is my refund on its way", "find my order 4711", "我的申请批了没，进度怎么样", "帮我看看我的快递到哪了",
        "我昨天申请的退款到账了吗", "我的货发货了吗",
    ],
)  # fmt: skip
def test_what_only_a_person_can_look_up_is_private(message):
    assert intent(message) is Intent.PRIVATE


@pytest.mark.parametrize(
    "message",
    [
        "How many days do I have to return my boots?", "How much time do I have to cancel my booking?",
        "Is my card charged when the order is shipped?", "When will my refund be paid?", "Is my warranty void if I have already opened the device?",
        "how many days do I have if I pay by card?", "帮我看一下你们的退货政策", "帮我查一下营业时间", "帮我看看有没有防水的靴子", "我申请退款后钱什么时候到账？", "我的积分有多少有效期？", "帮我看看加急配送多少钱",
        "帮我查一下门店营业时间", "How do I transfer money to someone else?", "Can I transfer my booking to someone else?",
        "Can I hand the parcel over to your staff in the store?", "维修需要人工费吗？", "how much do I have to pay now?",
        "How long do I have left to return it?", "How many points do I need?", "How much money do I have to spend to get a gold card?",
        "Are my returns processed by hand?", "Where is my jacket made?", "Where can I see my order status?",
        "Can I cancel an order over 100 euros?", "Where do I find the tracking number for my order?",
        "Was my understanding right that returns are free?", "Does my order get shipped when it is partly paid?",
        "How much is left of the warranty after two years?", "Has my return to include the box if it was already damaged?",
        "How do I cancel an order 24 hours after buying?", "帮我看看100元以下的帐篷", "帮我查一下北京到上海的快递费", "帮我看看会员有什么好处", "帮我看看我的退货要怎么寄", "如果我的包裹还没到怎么办？",
        "怎么查我的订单状态？", "帮我看看礼品卡能不能退", "我的退款什么时候到账", "帮我看看怎么申请退款", "帮我看看双人帐篷还有没有货", "我的脚比较宽，帮我看看哪双靴子合适",
        "Does the warranty pass to the person I sell the suitcase to?", "Can I pass my membership on to someone else?",
        "Can I put the tent up with two people?", "Can I hand back the boots to an employee in the store?",
        "Will someone call me before the delivery?", "Can you call me when my order arrives?", "How do I pass the bike to a new owner?",
        "Is there a staff discount?", "Do you use AI?", "Do you have live chat hours?", "I want a person-sized tent", "安装需要人工吗", "这是人工草皮吗",
        "客服电话几点上班？", "有真人教练吗", "需要联系客服吗", "我要客服电话", "送货前会给我打电话吗", "这款是人工合成的吗", "门店经理能批准退货吗", "要人工费吗", "Thanks, but how long does it take?",
        "Thanks, what about Norway?", "No, I mean boots", "No refund?", "thanks can you do that", "no help", "not helpful",
        "That did not answer my question", "Is it good", "good boots", "I need an answer", "ok, express", "no problem with returns after 30 days?",
        "fine mesh", "what a mess", "thank you card", "see you store opening", "Hello, can you help me find a tent", "hi there, do you sell tents",
        "Hi I need help pitching my tent", "Can you help me with my return?", "好的，那会员呢", "没有发票怎么办", "不用钥匙可以吗", "不要快递", "好的帐篷", "行李箱", "早上几点开门",
        "没有票了", "很清楚了，但是运费多少", "没有会员卡", "不需要发票", "你好，可以退货吗？", "你好我想问一下有没有帐篷", "有个问题，帐篷漏水", "再见面要预约吗", "100", "??", "👎", "asdfgh", "Do you?", "不好",
        "No thanks needed, what about express?", "Is my deposit refunded when I cancel?", "When will my card be charged?",
        "How much do I have to spend for free delivery?", "Can I give my gift card to somebody else?",
        "How can I pass my loyalty points to my wife?", "Can I put the voucher together with the discount for employees?",
        "how many people work at your company", "Where do I hand in my return?", "How will I know my parcel has arrived?",
        "Are my details deleted after my account is closed?", "How many stamps do I need for a free coffee?", "Could I track the parcel by phone?",
        "Can a colleague pick up my order?", "Is your staff trained?", "帮我查一下去挪威的运费", "帮我查查巴黎店在哪", "帮我看看买两件有没有折扣", "我要是退货，运费谁出？", "订单金额低于50元收运费吗",
        "退款一般多久到账", "帮我看看3000毫升的水袋", "积分有多少种用法", "请问人工服务时间是几点到几点", "经理推荐的是哪款", "需要打电话预约吗", "找不到发票怎么办", "店里有工作人员讲解吗",
        "No thanks, but is there a cheaper one?", "Great, and the red one?", "thanks for that, is it waterproof", "No shipping costs?",
        "great tent", "Nice, any discount", "bye the way do you ship", "nothing in stock", "Got it, and for Gold members", "all good brands",
        "好，那退货呢", "行，多少钱", "没有问题的话怎么下单", "不用付运费吗", "太好了，有红色吗", "早上开门吗", "请问有停车位吗", "嗯，那瑞典呢", "hello I need a tent",
        "good evening, is delivery free?", "question about shipping", "no good", "nothing good", "nothing helped", "没收到", "没有收到", "收到没", "没明白",
        "没懂", "没好", "不要好的", "不知道", "不可以", "没解决", "解决了没有", "不好用", "不够", "没谢谢我", "no it did not help", "not good", "no right of return",
        "right boots", "有没有了", "你收到了没", "thank you, I also need a receipt", "good, and if it rains", "Thanks, I still have one more question",
        "No, I already paid", "thank you for the order, it is broken", "Thanks, I also want a tent", "fine print of the warranty",
        "see you have tents", "sorted by price", "all set for climbing", "it is good for rain", "which is all season",
        "you helped my friend return boots", "oh no, it broke", "不要这个", "没有红色", "好了再通知我", "谢谢，还想问运费", "解决不了", "好的话我要两个", "早上送吗", "没有了就换一个", "可以了吗",
    ],
)  # fmt: skip
def test_an_ordinary_question_is_neither_private_nor_a_wish_for_a_person_nor_chatter(message):
    assert intent(message) is Intent.QUESTION


@pytest.mark.parametrize(
    "message",
    [
        "Thanks, that helps!", "👌", "thank you very much indeed", "Great, that answers it", "👍", "好的，谢谢您", "謝謝", "ok great, thanks", "got it",
        "Thanks for your help", "Thanks a bunch", "Great, thank you for the quick reply", "That was helpful, thanks", "much appreciated", "👍🏽",
        "👍👍", "thanks :)", "okay got it thank you", "That solved it", "good to know", "thx!", "Cool, that explains it, thank you", "That's great",
        "明白了，谢谢", "非常感谢您的帮助", "知道了谢谢", "嗯嗯", "辛苦了", "谢谢啦", "明白，很清楚", "了解，感谢", "謝謝你的幫助", "cheers",
    ],
)  # fmt: skip
def test_thanks_are_no_question(message):
    assert intent(message) is Intent.THANKS


@pytest.mark.parametrize(
    "message",
    [
        "No thank you, bye", "ok no", "没有了谢谢", "No thanks", "不用了，谢谢", "再見", "bye", "no", "No, that's all, thanks", "No more questions", "ok bye",
        "see you later", "No, I'm good", "that's all, bye", "not right now, thanks", "Thanks for your help, have a great weekend!", "没有了", "不用",
        "没事了，谢谢", "谢谢，拜拜", "就这些，谢谢", "沒有了，謝謝", "算了，谢谢", "没了，谢谢您", "祝您生活愉快",
    ],
)  # fmt: skip
def test_who_needs_nothing_more_says_goodbye(message):
    assert intent(message) is Intent.GOODBYE


@pytest.mark.parametrize(
    "message",
    [
        "Thanks, you helped me a lot", "Brilliant, cheers", "ok thank you bye", "no that was everything", "Great, thanks for explaining",
        "Thanks, have a good one", "no more questions, thank you", "Thanks, I'll do that", "No, that's fine", "thanks, all sorted",
        "No thanks, I'm fine", "that answered my question, thanks", "ah ok thanks", "👌👌", "thank youuu", "no worries", "谢谢你的解答", "不用了，拜拜",
        "没有问题了，谢谢", "行，谢谢", "谢谢，再见！", "好滴谢谢", "谢谢，帮大忙了", "谢谢，不需要了", "了解了，多谢", "没别的了", "謝謝，不用了", "no, thats all thanks", "No. Thanks!",
        "ok no thanks", "no bye", "right, thanks", "Thanks and bye", "没有", "不用，谢谢", "不用谢谢", "好的没有了", "没问题", "thanks for the info",
        "Ok, thank you for letting me know", "No, nothing else, thank you", "That clears it up, thanks", "I see, thank you", "no, all good, thanks",
        "Thanks, bye bye", "nothing more, bye", "Great stuff, thanks", "no thx", "that will be all, thank you", "no further questions",
        "Good, thank you", "Excellent. Bye!", "ok good to know, thanks", "好，谢谢", "好的，谢谢你的帮助！", "非常清楚，谢谢", "不用谢", "知道了，谢谢您", "我明白了", "没啥了，谢谢",
        "可以了，谢谢", "先不用了，谢谢", "多谢多谢",
    ],
)  # fmt: skip
def test_how_a_conversation_ends_is_no_question(message):
    assert intent(message) in {Intent.THANKS, Intent.GOODBYE}


@pytest.mark.parametrize(
    "message",
    [
        "Hi", "Hi, I have a question", "你好，我想问一下", "早", "早！", "hi I have a quick question", "I have a question", "Good morning, I need help",
        "hey how are you", "您好，请问", "请问一下", "早啊", "你好，有个问题想请教", "可以问个问题吗", "請問", "hi can you help me please", "hi just a quick question",
        "Hello there", "Hi, can I ask a question?", "hello, I have a small question", "你好呀", "哈喽，在吗", "早上好！", "嗨，有个问题", "您好，我想了解一下",
        "Hi, I need some help please",
    ],
)  # fmt: skip
def test_a_greeting_or_the_announcement_of_a_question_is_a_greeting(message):
    assert intent(message) is Intent.GREETING


@pytest.mark.parametrize(
    "message",
    [
        "你是真人吗？", "你是真人还是机器人", "你是机器人吗？", "are you a robot?", "Am I talking to a real person?", "am I chatting with a bot?", "你们是机器人吗", "你是不是机器人",
        "你是人吗", "你是真人嗎", "who are you?", "你是谁", "Is this a bot or a human?", "is this a bot?", "您是人工还是机器人？",
    ],
)  # fmt: skip
def test_whether_it_is_a_machine_is_no_wish_for_a_person(message):
    assert intent(message) is Intent.WHO


PERSON = [
    "I want to speak to the vet", "can i talk to dr okafor", "can I speak to the owner", "Can I speak to the doctor please?", "can i speak to reception please",
    "can I speak to Joanna", "can the manager call me", "can a nurse call me back please", "please ask Joanna to call me",
    "Please ask Dr. Okafor to call me back", "I'd like a call back", "I’d like a callback please", "human plz", "real person pls",
    "let me talk to the head chef", "we need to talk to your events manager about a wedding", "I want to talk with Maria",
    "could I speak with the accounts department", "Could we talk to the trainer about our dog", "connect me to reception", "put me through to the vet please",
    "can you transfer me to sales", "give me a call please", "can I get a call back today?", "is there anyone I can talk to", "someone to talk to please",
    "I need help from a real person", "is the manager available?", "Hi, can I speak to the practice manager about my bill?",
    "No, I want to talk to the pharmacist", "I don’t want to talk to a bot", "could the owner ring me tomorrow", "have the vet call me please", "来个真人", "来个人",
    "有没有活人", "活人", "人工人工", "人工 人工", "能不能找个人跟我说", "别用机器人敷衍我", "来个人工客服", "快来个人", "能不能来个人", "找个人来", "别老拿机器人糊弄我", "接人工", "切换到人工", "我想跟你们兽医说", "能不能直接和医生聊几句",
    "我要和王老师沟通", "叫你们店员来", "老板，转人工", "找个人帮我解决", "亲，我要人工", "不要再用AI回复", "我要跟你们的设计师谈",
]  # fmt: skip


def test_a_wish_for_a_person_by_title_or_name_is_understood_in_everyday_words():
    assert [message for message in PERSON if intent(message) is not Intent.PERSON] == []


PRIVATE = [
    "my order hasn't arrived", "my order hasn’t arrived yet", "I still haven't received my order", "I haven't received my refund", "my package never arrived",
    "my package is late", "why hasn't my order arrived", "i was charged twice for my order", "when is my booking", "is my reservation confirmed",
    "please cancel my booking", "My parcel still hasn't come", "my refund has not been paid yet", "you charged me twice", "I never got my refund",
    "I'm still waiting for my refund", "what time is my appointment?", "is my order ready for collection?", "was i charged twice?",
    "can you cancel my appointment for tomorrow please", "hasn't my order shipped yet", "my delivery is 3 days late", "reschedule my appointment please",
    "I ordered last week but my parcel has not arrived", "Why has my parcel not arrived?", "my booking was never confirmed", "我还没收到退款", "我还有多少积分", "我有多少积分",
    "查一下我的积分", "快递到哪了", "东西到哪了", "我买的鱼发货了吗", "发货了吗", "我昨天下的单什么时候发货", "怎么还不发货", "我的快递呢", "我的订单", "查物流", "退款到账了吗", "我的退款呢", "帮我取消订单", "帮我改下地址", "催一下发货", "亲，发货了吗",
    "发货了没", "怎么还没发货", "为什么还没收到", "我的包裹去哪了", "能帮我取消订单吗", "麻烦帮我催下快递", "钱退了吗", "订单发货了吗", "我还没收到货", "我有几张优惠券", "查快递", "我买的东西到哪里了", "我上个月订的货什么时候到", "我還有多少積分",
    "怎么还不退款",
]  # fmt: skip


def test_everyday_trouble_with_ones_own_order_is_private():
    assert [message for message in PRIVATE if intent(message) is not Intent.PRIVATE] == []


ASKED = [
    "should I talk to my doctor first?", "Do I have to speak to the vet before the vaccination?", "Do I need to talk to a lawyer?",
    "Can I talk to my dog on the camera?", "how do I talk to the speaker", "When can I talk to the trainer?", "Where can I talk to the designer?",
    "Can I chat with other members?", "Can I talk to you in German?", "I need to talk to my bank, what document do you give me?",
    "if I want to speak to the vet at night, what does it cost?", "Can I speak to the nurse before my appointment?", "What do I need to talk to the vet about?",
    "Can I talk to Alexa with it?", "I want a headset to talk to friends", "I want to talk about your prices", "Can the courier call me before delivery?",
    "Can the courier call me?", "can the watch call me", "will the vet call me after the operation?", "Can the vet call me when the results are there?",
    "Can I get a call before the delivery?", "Do I get a call back?", "What does a call back cost?", "Do you help people with allergies?",
    "Is the manager's special available?", "Is the vet available on Sundays?", "is the playroom free?", "Can you put me on the waiting list?",
    "Can you connect me to the wifi?", "Do you offer help from a person in the store?", "How do I contact the vet?", "Does the doctor speak German?",
    "Is there anyone who can repair it?", "can I have a call centre number", "Can I talk with the dog during its stay?", "Do I have to call you to book?",
    "Is there someone to clean the room", "Can I speak to the driver in English?", "what if my order hasn't arrived?", "What happens when my package is late?",
    "My parcel has not arrived. What should I do?", "what can I do if I haven't received my refund", "how do I cancel my booking", "Can I cancel my booking?",
    "What does it cost to cancel my booking?", "When is my booking confirmed?", "When is my booking final?", "What time is my appointment if I book online?",
    "What if I was charged twice?", "Am I charged twice if I change the date?", "Is my booking confirmed once I paid?", "Who pays when my parcel is lost?",
    "my card was lost", "When is my order charged?", "How long is my order kept?", "Is my deposit refunded",
    "I haven't got my receipt any more, can I return it?", "Do I get a refund if my delivery is late?", "Can I reschedule my appointment?",
    "Why is my card not accepted abroad?", "my tent is missing a pole", "Is a reservation confirmed by e-mail?", "I haven't got my card with me, can I pay?",
    "my dog has never been vaccinated", "my cat is late for the booster", "cancel my order after it was shipped?", "来一个人多少钱", "一个人来可以吗", "能来一个人吗", "来个人字拖",
    "来一个人工草皮", "有没有活虾", "可以找个人代收吗", "能派个人来安装吗", "找个人帮我搬要多少钱", "不要用机器人洗缸", "你们用机器人吗", "别用热水洗", "需要和医生沟通吗", "手术前我要和医生沟通吗", "可以和孩子一起来吗", "和老师说话要预约吗", "客服几点下班",
    "真人兽医几点上班", "老板推荐哪款", "老板娘做的菜有什么", "扫地机器人多少钱", "接人工湖的水", "能带老人来吗", "找医生要预约吗", "积分怎么查", "怎么查我的积分", "在哪里查物流", "如何查询我的积分", "可以用积分吗", "我有多少积分可以升级金卡", "有多少积分能换",
    "多久发货", "什么时候发货", "今天下单什么时候发货", "下单后能取消订单吗", "取消订单要手续费吗", "发货了还能改地址吗", "如果发货了怎么办", "快递到哪里都包邮吗", "付款后多久发货", "我没收到货怎么办", "没收到货可以退款吗", "退款多久到账", "退款到账要几天",
    "怎么催发货", "怎么还价", "为什么还不能退", "到货了吗", "有货吗", "可以改地址吗", "怎么知道发货了吗", "我的钱多久退", "货到付款吗", "发货前会通知吗", "查物流要收费吗", "帮我改成红色的", "订单满多少包邮", "我的鱼呢", "有几张优惠券可以叠加",
    "88元的鱼缸有吗", "在哪里", "在店里吃吗", "有人体工学椅吗", "亲子房多少钱", "亲子活动几点", "有事可以退吗", "老板电器保修几年", "早餐几点", "打扰别人要罚款吗", "小姐姐穿多大码", "886型号有货吗", "感恩节营业吗", "先这样再那样可以吗",
    "in stock?", "is there anyone under 18", "亲，鱼缸包邮吗", "老板 鱼缸怎么卖", "亲 能退吗", "明白了，但是运费呢", "知道怎么退吗", "你在哪", "有人在家才能送吗", "有个事故怎么赔",
    "Why hasn't my payment to a new recipient arrived?",
]  # fmt: skip


def test_a_question_in_the_same_words_reaches_the_documents():
    assert [message for message in ASKED if intent(message) is not Intent.QUESTION] == []


CHATTER = {
    Intent.GREETING: "亲|亲 在吗|亲亲在吗|在么|在？|您好，有人在吗|中午好|打扰一下|有个事问一下|請問在嗎|亲 在不在呀|掌柜的在吗|掌櫃的在嗎|老闆在嗎|小姐姐在吗|老板在吗|老板|你好老板|亲，你好|你好，亲|有人在么|不好意思打扰了|上午好，打扰一下|is anyone there?|hello, are you there?|在嘛",
    Intent.THANKS: "谢谢老板|谢谢亲|多谢老板|辛苦啦|知道啦|明白啦|3q|感恩|多謝晒|明白啦，谢谢|了解啦|懂啦",
    Intent.GOODBYE: "拜拜啦|88|886|先这样吧|谢谢，先这样|好的，88|那先这样吧",
}  # fmt: skip


def test_chatter_as_chinese_customers_write_it_is_recognised():
    assert [(m, want) for want, messages in CHATTER.items() for m in messages.split("|") if intent(m) is not want] == []
