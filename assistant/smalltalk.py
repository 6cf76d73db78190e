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
# What is passed on to a person with its customer; a parcel or a booking is not.
_CASE = r"(?:\w+ )?(?:case|call|chat|complaint|conversation|request|issue|problem|question|matter)"
_STAFF = r"(?:客服|真人|经理|主管|老板|店长|负责人|工作人员)"
_PERSON = re.compile(
    rf"(?<!am i )(?<!are we )\b(?:speak(?:ing)?|talk(?:ing)?|chat(?:ting)?|write)\s+(?:\w+\s+){{0,2}}?(?:to|with)\s+(?:an?\s+|the\s+|your\s+|some\s+)?(?:\w+\s+)?{_PERSON_NOUN}\b"
    r"|\b(?:want|need|like|get|give|have|prefer|looking for)\s+(?:me\s+|to have\s+)?(?:an?\s+|the\s+|some\s+|your\s+)?(?:real\s+|actual\s+|live\s+)?"
    r"(?:human(?: being)?|person|agent|representative|operator|manager|supervisor|customer (?:service|support|care)|live chat)(?:\s+(?:please|now|instead|here|to (?:help|talk|speak|chat)).*)?[\s.!?]*$"
    rf"|\b(?:connect|transfer|forward|pass|hand|put)\s+(?:me|us|(?:my|this) {_CASE})\b.{{0,20}}\b(?:to|with|over|through)\b.{{0,20}}\b{_PERSON_NOUN}\b"
    rf"|\bescalate\b.{{0,30}}\b(?:to|with)\b.{{0,20}}\b{_PERSON_NOUN}\b"
    rf"|\b(?:connect|transfer|forward|pass|hand|put)\s+this\s+(?:\w+\s+)?(?:to|with)\s+(?!another\b)(?:\w+\s+){{0,2}}?{_PERSON_NOUN}\b(?!\s+else|.*\b(?:store|shop|counter|branch)\b)"
    r"|\b(?:connect|transfer|forward|put through)\s+(?:to|with)\s+(?:me\s+)?(?:an?\s+|the\s+|your\s+)?(?:\w+\s+)?(?:human|agent|representative|operator|supervisor|manager)\b"
    r"|^\W*(?:(?:an?\s+|your\s+|the\s+)?(?:real\s+|live\s+)?(?:human|person|agent|representative|operator|manager|supervisor|customer (?:service|support|care)))(?:\s+please)?\W*$"
    r"|\b(?:(?:can|could|would|please have|please ask|have|ask|get) (?:some(?:one|body)|any(?:one|body)|a (?:human|person|colleague|manager)|your \w+)(?: please)?(?: to)?|^\W*please|^\W*(?:can|could) you(?: please)?|^)\W*"
    r"(?:(?:call|phone|ring)(?: me| us)(?: back)?|call back)\b(?!\s+(?:before|when|if|once|prior|ahead|after|as soon)\b)(?:\W+(?:please|about|regarding|on \+?\d|at \d|now|today|tomorrow|asap|this|instead)\b.*)?\W*$"
    r"|\b(?:don['’]?t|do not|never|stop|sick of|tired of|fed up with|hate|instead of|rather not|no longer)\s+(?:want(?:ed)? to\s+|wanna\s+|like to\s+|like\s+)?(?:talk|speak|chat|deal|writ)(?:e|ing)?\s+(?:to|with)\s+(?:an?\s+|this\s+|your\s+|the\s+|some\s+)?(?:\w+\s+)?(?:(?:chat)?bots?|robots?|machines?|computers?|ai|programs?)\b"
    r"|^\W*no (?:more )?(?:(?:chat)?bots?|robots?|machines?)\b(?: please)?\W*$"
    r"|\bnot (?:a |talking to a )?(?:bot|robot|machine)\b.*\b(?:human|person)\b"
    r"|\b(?:is there|are there|can) (?:an? )?(?:human|real person|real people|someone real)\b"
    r"|\b(?:contact|reach)(?:ing)? (?:an?\s+|your\s+)?(?:real\s+|live\s+)?(?:human|person|agent|representative|operator)\b"
    r"|\bhuman (?:agent|help|support|assistance)\b"
    rf"|转(?:接)?(?:到|给|至)?(?:人工|{_STAFF})|(?:人工|真人)(?:客服|服务|座席|坐席|接听)(?!费|.{{0,6}}(?:几点|上班|下班|时间|电话|收费))|^\W*(?:有(?:没有)?)?真人(?:在|接|吗|么|没有)*\W*$"
    r"|(?:(?:找|换|叫|请)(?:个|一个|一位|位)?(?:人工|真人|活人)(?![费智成草皮合安装搭秀模教])|(?<![不需])要(?:个|一个|一位|位)?(?:人工|真人|活人)(?=\W|$|[来回帮接和跟给说聊谈吧啊呀了客服]|处理|解)|需要(?:个|一个|一位|位)?(?:人工|真人|活人)(?:帮助|处理)?[吧了\s，,。！!]*$)"
    rf"|(?:找|叫|喊|换|见|联系|接通|(?<![不需])要|我需要|给我|请|让)(?:一下|个|一个|一位|位|你们?的?|您的?)*(?:在线)?{_STAFF}(?:人员|专员)?(?:来|投诉|解决|处理|(?:和|跟)?我?(?:说|谈|聊|沟通|联系)(?:话|谈|聊|一下|我)?|给我.{{0,8}}|[吧啊呀了]|[，,。！!](?!.*(?:电话|几点)).*)*[\s。！!]*$"
    rf"|(?:^|[\s，,。！!])(?:我|请问|请)?(?:能不能|可不可以|能|可以)(?:帮我)?(?:找|叫|换|让|请|联系)(?:一下|个|一个|一位|位|你们?的?)*{_STAFF}(?:来|说话?|谈谈?|聊聊?|沟通|处理|联系我|给我.{{0,6}})?[吗么？?\s]*$"
    r"|(?:^|[\s，,。！!])(?:(?:请|麻烦|能不能|能|可以|有人|让人|叫人|可不可以)(?:你们|您|派人|让人|找人|有人|能|可以)*)?(?:给我|帮我)?(?:回|打)(?:个|一个)?电话(?:给我)?(?:吧|吗|么)?[\s。！!？?]*$"
    rf"|和(?:真)?人(?:说话|聊|沟通|对话)|(?:跟|和|与)(?:你们?的?)?(?:人工|{_STAFF})(?:人员)?(?:说|聊|谈|沟通|对话|讲)(?![了过])|(?:不想?要?|别|讨厌)(?:再)?(?:跟|和|与)(?:机器人?|ai|人工智能)(?:说|聊|谈|沟通|对话|讲)|^\W*不要机器人\W*$"
    rf"|^\W*(?:人工|(?:有(?:没有)?|在线)?{_STAFF})(?:在|吗|么|呢|在不在)*\W*$",
    re.IGNORECASE,
)  # fmt: skip
# A customer's own order, account or application: no document knows it, a person can look it up.
_OWN = r"(?:order|orders|parcel|package|shipment|refund|application|claim|transfer|payment|return|card|account|balance|points|subscription|loan|invoice|warranty|repair|booking|voucher|gift card)"
_THING = r"(?:order|parcel|package|shipment|refund|claim|ticket|application|booking|ref|reference|case)"
_ID = r"\s*(?:#|no\.?|number|nr)?\s?(?:[A-Z]{1,4}-?)?\d{3,}(?![\d.,]*\s*(?:eur|euros?|usd|dollars?|gbp|pounds?|days?|km|kg|€|£|\$|%))"
# "Is my card charged when the order is shipped?" asks for a rule, and so does 订单满多少包邮.
_UNLESS = r"(?:(?!\b(?:if|when|once|after|before|until|unless|while|whenever|as soon as)\b).)*"
_LOOK_UP = r"帮我(?:再|先)?(?:查询?|看|核实)(?:一下|下|查|看|一看)?"
_NO_RULE = r"(?!(?:(?![，。]).){0,8}?(?:满|怎么|如何|多久|能不能|可以|可不可以|要不要))"
_PRIVATE = re.compile(
    rf"\b(?:has|have|did|was|were)\s+my\s+(?:\w+\s+){{0,3}}?{_OWN}\b{_UNLESS}\b(?:yet|already|go(?:ne)? through|been (?:approved|sent|shipped|paid|charged|processed|received|dispatched)|arrived?|shipped|dispatched|approved|processed|received|declined|blocked|on its way|out for delivery)\b"
    rf"|\b(?:is|are)\s+my\s+(?:\w+\s+){{0,3}}?{_OWN}\b{_UNLESS}\b(?:yet|already|on its way|out for delivery|(?:approved|processed|received|shipped|dispatched|declined|blocked)\W*$)"
    rf"|\bwhy (?:was|is|did|has) my\s+(?:\w+\s+){{0,2}}?{_OWN}\b.*\b(?:declined|rejected|blocked|late|delayed|cancelled|stuck|not (?:here|arrived)|yesterday|today|this morning)\b"
    rf"|\b(?:where(?:'s| is| are| will| does)\s+my\s+(?:own\s+)?(?:\w+\s+)?(?:order|parcel|package|shipment|delivery|stuff|refund|tent|boots|jacket|pan)|when(?:'s| is| are| will| does)\s+my\s+(?:own\s+)?(?:\w+\s+)?(?:order|parcel|package|shipment|delivery|stuff))\b(?!.*\b(?:if|once|after|when|made|kept|stored|charged|paid|final|confirmed|(?:shipped|sent|ship|dispatched|delivered|coming) from)\b)"
    rf"|\b(?:which|what) (?:day|time|date)\b.*\bmy (?:own )?(?:order|parcel|package|delivery)\b.*\b(?:come|arrive|be here|get here|delivered)\b|\b(?:day|days)\b.{{0,12}}\bmy own (?:order|parcel)\b"
    r"|\bhow (?:many|much) (?:\w+ ){0,2}?(?:points?|credits?|miles|stamps|vouchers|money|funds|balance)?\s*(?:do i|have i|i(?:'ve)?) (?:still )?(?:have|got)(?: (?:left|remaining|available|saved|collected|now|right now|currently|at the moment|already|(?:on|in) (?:my|the) (?:\w+ ){0,2}\w+))+\W*$"
    r"|\bhow (?:many|much) (?:\w+ ){0,2}?(?:points?|credits?|miles|stamps|vouchers|money|funds) (?:do i|have i) (?:still )?(?:have|got)\W*$|^(?!.*\b(?:how|where) (?:do|can|could) i\b).*\bhow (?:many|much)\b.{0,20}\b(?:is|are) (?:still )?left (?:on|in) my\b"
    r"|\bwhat(?:'s| is) (?:the balance|my (?:current )?(?:balance|points|order status|order number|customer number|password|pin))\b"
    rf"|^(?!.*\b(?:how|where)\b.{{0,40}}\b(?:status|tracking)).*\b(?:status|tracking (?:number|status)) (?:of|for) (?:my|order)\b|\b(?:check|look up|look into|tell me about|find|pull up|cancel|track)\b.{{0,15}}\b{_THING}{_ID}\b|\bmy {_THING}{_ID}\b.*\b(?:where|when|status|yet|arrive)|\b(?:where|when|status|yet|approved|did|has)\b.*\b{_THING}{_ID}\b"
    r"|\bwhat did i (?:buy|order|pay|spend)\b|\bmy last (?:order|purchase|payment|invoice)\b.*\b(?:how much|what|when|total)\b|\b(?:how much|what|when)\b.*\bmy last (?:order|purchase|payment|invoice)\b"
    r"|(?<!如果)(?<!要是)(?<!假如)(?<!万一)(?<!怎么查)(?<!怎么看)(?<!如何查)我的?(?:(?![，。？?每]|(?<!最)后(?![来天])|的话).){0,8}(?:订单|包裹|快递|退款|申请|贷款|账户|积分|余额|退货|维修|货)(?:(?![，。？?每]|(?<!最)后(?![来天])|的话).){0,12}"
    r"(?:到哪|到了吗|到了没|发货了吗|发货了没|批下来|批了|下来了|还剩|还有多少|有多少(?:积分|余额|钱)?[了呢啊呀]?\W*$|到账了|处理好|修好|寄出|什么时候到(?!账)|(?:状态|进度)(?!.{0,6}(?:哪|怎么|如何))|怎么还没|还没到)"
    rf"|{_LOOK_UP}(?:(?![，。？?]).){{0,10}}?(?:我(?:的|那|上|昨)(?:(?![，。？?]).){{0,10}}?(?:订单|包裹|快递|退款|退货|申请|贷款|账户|账单|积分|余额|预约|维修|[单卡货券])|订单|单号|运单){_NO_RULE}|{_LOOK_UP}.{{0,6}}?(?:余额|还剩|[a-z]{{0,4}}-?\d{{4,}}(?=\W|$|[的到物状发单]))"
    rf"|(?:我(?:的|上|那|昨)[^，。？?]{{0,8}}(?:单|包裹|快递|退款)|单号)[^。？?]{{0,12}}{_LOOK_UP}"
    r"|(?:订单|单号|运单)号?(?:是|为|码|[:：#]|\s|no\.?)*[a-z]{0,4}-?\d{3,}(?!\d|[\d.,]*\s*(?:元|块|欧|美|%|天|eur|€)).*(?:哪|吗|没|状态|什么时候)|我(?:上次|上周|昨天|前天|刚才?)(?:买|下|申请|退|订)[^，。？?]{0,14}(?:了吗|了没|到哪|下来|进度|多少钱)|(?:怎么|为什么)还没(?:到(?!货)|发货|收到|退)",
    re.IGNORECASE,
)  # fmt: skip
_FILLER = (
    r"(?:\s*(?:there|again|everyone|all|team|confide|bot|assistant|dear|sir|madam|friend|大家|各位|呀|啊|哈|哦|呢))*"
)
_HELLO = r"(?:hi+|hello+|hey+|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|morning|你好|您好|嗨|哈喽|哈啰|早上好|下午好|晚上好|早安|早|在吗|在不在|有人吗)"
# What only announces a question, before it is asked.
_ANNOUNCED = (
    r"(?:(?:just )?i(?:['’]ve| have|['’]d like to ask| would like to ask| want to ask| wanted to ask)(?: got)?(?: just)? (?:you )?(?:an?|some|one|two|a few|a couple of|several)?(?: \w+)? ?questions?(?: for you| please| to ask)*"
    r"|(?:just )?(?:a )?(?:quick )?question|(?:can|could|may) i (?:please )?ask (?:you )?(?:something|(?:an?|one|some)(?: quick)? questions?)|(?:can|could) you (?:please )?help(?: me)?(?: out| please)?|i(?: would|['’]d)? (?:need|like) (?:some |your )?help(?: please)?"
    r"|请问(?:一下|下)?|(?:我)?(?:想|要)(?:请)?(?:问|咨询|请教|了解)(?:你|您|你们)?(?:一下|下|个|一个|几个|点)?(?:问题|事情?)?|我?有(?:个|一个|些|几个|点)?(?:问题|疑问)(?:想?要?(?:请)?(?:问|咨询|请教)(?:一下|下|你|您|你们)*)?|(?:能|可以|可否)(?:帮|问)(?:我|你|您)?(?:一下|个忙|个问题|一个问题|下)?吗?)"
)
_WHEN_DONE = r"(?:for now|for today|at the moment|right now)"
_BYE = (
    r"(?:bye+(?:[\s-]?bye)?(?: for now)?|good ?bye|good ?night|see (?:you|ya)(?: later| soon)?|take care|(?:have|enjoy) (?:an?|your|the rest of your) (?:\w+ )?(?:day|one|evening|weekend|night|week|afternoon)"
    r"|再见|拜+|回头见|下次见|晚安|祝(?:你|您)(?:生活|工作)?(?:愉快|顺利))"
)
_THEN = r"(?=\W*$|\s*[,.;!–—-]|\s+(?:thank|thx|that|it\b|bye|i['’]m|all\b|you\b))"  # "no good" and 没有收到 end nothing
_NO_MORE = (
    rf"(?:nope|nah|no(?: (?:more|other|further|need|questions?))*{_THEN}|nothing(?: else| more)?(?: {_WHEN_DONE})?{_THEN}|not {_WHEN_DONE}"
    r"|(?:暂时|现在|目前|应该)?没(?:有|啥)?(?:什么|其他|其它|别的)*(?:问题|疑问|事情?)?(?:要问的)?[了啦]|(?:先|就|暂时)?不(?:用|需要|必|要)[了啦]"
    r"|(?<![\u4e00-\u9fff])(?:(?:暂时|现在|目前|应该)?没(?:有|啥|什么)(?:什么|其他|其它|别的)*(?:问题|疑问|事情?)?|没事|(?:先|就|暂时)?不(?:用|需要|必|要)|不了)(?![\u4e00-\u9fff])|(?<![\u4e00-\u9fff])(?:没有|不用|不需要)(?=谢|感谢|多谢|再见|拜)"
    r"|就这些了?|就这样吧?|算了)"
)
_THANKED = (
    r"(?:(?:many |big |huge |a thousand )?(?:thank(?:s+| you+| u)|thx|tysm|ty|cheers)(?: (?:you|u|a (?:lot|bunch|ton|million)|(?:so |very )?much|again|ever so|indeed|anyway|though|kindly|guys|mate|man|buddy|folks|all|everyone|for (?:your|the|all|that|this|it|clarifying|explaining|letting me know|clearing)(?: (?!what|how|when|where|which|who|why|do|does|is|are|can)\w+){0,3}))*"
    r"|(?:i )?(?:really |very )?(?:much )?appreciate(?:d| it| that| this| your \w+)(?: a lot| very much)?|you (?:really |have )?helped(?: me| us)?(?: a lot| very much)?|(?:i|we)(?:['’]ll| will) (?:do|try|check|have a look)(?: at)?(?: that| it| this| there)*|you(?:['’]re| are|['’]ve been| have been)(?: so| very| really| most| super| extremely)* (?:helpful|kind|great|the best|awesome)"
    rf"|(?:that|this|it|which)(?:['’]?s| is| was| will be| would be| has| really| totally| perfectly| certainly| all)*(?: all| so| very| really| super| quite| just| exactly)* (?:helps?|helped|helpful|answers?|answered|clears?|cleared|clear|solves?|solved|explains?|explained|settles?|all|everything|it|great|perfect|good|fine|nice|kind|quick|fast|enough|useful|what i (?:needed|wanted|was looking for))(?: (?:me|it|that|this|up|a lot|everything|my questions?|i (?:needed|wanted)|(?:to know)|very much|perfectly|{_WHEN_DONE}))*"
    r"|(?:非常|十分|万分|真的?|太|多)*(?:感谢|谢谢?)(?:了|啦|您|你|们|各位|大家|哦|啊|哈|呀)*(?:的?(?:耐心|热心|及时|详细)?的?(?:帮助|帮忙|解答|回答|回复|解释|讲解|服务|支持|提醒))?了?|(?:辛苦|麻烦)(?:你|您)?了|帮(?:了)?(?:我)?大忙了?|(?:真|太|很|非常|挺)(?:有用|有帮助|棒|贴心|清楚)[了啊]?)"
)
_GOT_IT = (
    r"(?:(?:good|great) (?:stuff|job|work|service)|ok(?:ay)?|kk?|great|perfect|super|cool|nice|good to know|good|awesome|wonderful|excellent|brilliant|fantastic|lovely|amazing|alright|all (?:right|good|clear|set|sorted|done)|right|clear|sorted|will do|(?:very|really|so|most|super|quite) (?:helpful|useful|kind|clear|good|nice|quick)|fine|got it|i see|(?:i )?(?:understood|understand)|noted|(?:that )?makes sense|no (?:problem|worries)|never ?mind|i['’]?m (?:good|fine|done|all set)"
    r"|好的?[吧呀啊哦滴嘞]?|行[吧了]?|嗯+|哦+|我?(?:明白了?|知道了)|了解了?|清楚了?|懂了|收到|太好了|很好|够了|可以了|解决了|原来如此|没问题)"
)
# An approving face alone. Others ("?", an angry one) say that something is missing.
_APPROVES = re.compile(
    r"^(?=.*[^\s!.~])(?:[\s!.~\ufe0f\U0001f3fb-\U0001f3ff]|👍|👌|🙏|❤|😊|🙂|😀|😃|😄|😁|😍|🥰|😘|🤗|👏|💯|✅|🎉|🙌|🤝|💪|🌹|[:;]-?\)|\^_?\^)+$"
)
# Nothing but these phrases, so that a question behind a "thanks" is still answered.
_TOLD = (
    rf"\W*+(?:(?:(?:oh|ah|aha|wow|well|and)\W+(?=\w))?(?>(?:{_NO_MORE}|{_BYE}|{_THANKED}|{_GOT_IT})(?![a-z'’]))\W*+)++$"
)
_PATTERNS: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        Intent.GREETING,
        re.compile(
            rf"^\W*{_HELLO}{_FILLER}(?:\W*(?:在吗|在不在|有人吗)\W*)?(?:\W+how (?:are|r) (?:you|u)(?: doing)?(?: today)?)?(?:\W*{_ANNOUNCED})?\W*$"
            rf"|^\W*how are you(?: doing)?(?: today)?\W*$|^\W*{_ANNOUNCED}\W*$|^[👋\s\U0001f3fb-\U0001f3ff]+$",
            re.IGNORECASE,
        ),
    ),
    (Intent.GOODBYE, re.compile(rf"^(?!.*[?？])(?=.*(?<![a-z])(?:{_BYE}|{_NO_MORE})(?![a-z])){_TOLD}", re.IGNORECASE)),
    (Intent.THANKS, re.compile(rf"^(?!.*[?？]){_TOLD}", re.IGNORECASE)),
    (Intent.THANKS, _APPROVES),
    (
        Intent.WHO,
        re.compile(
            r"^\W*(?:who|what) are you\W*$|\bare you (?:a |an )?(?:bot|robot|human|real|real person|person|machine|ai|chatbot)\W*$|^\W*what can you do(?: for me)?\W*$"
            r"|^\W*(?:am i|are we|is this) (?:(?:talking|speaking|chatting|writing) (?:to|with) )?(?:an? )?(?:\w+ )?(?:(?:chat)?bot|robot|human|person|machine|ai)(?: or .{1,20})?\W*$"
            r"|^\W*what(?:'s| is) your name\W*$|^\W*(?:你|您)叫什么(?:名字)?\W*$|^\W*(?:你|您)(?:能|可以|会)(?:做|干)(?:什么|些什么|啥)\W*$"
            r"|^\W*(?:你|您)们?(?:是|到底是|是不是)(?:谁|什么|(?:机器人?|真人|人|人工智能|人工|ai)(?:还是(?:机器人?|真人|人|人工智能|人工|ai))?)\w{0,3}\W*$",
            re.IGNORECASE,
        ),
    ),
)  # fmt: skip
_SIMPLE = str.maketrans(
    "轉接幫個經們員聯係繫負責機說話談講溝對還嗎麼沒請問題諮詢謝見訂單號貨遞發維換戶積餘額賬帳貸買錢剛後進狀態處為時間點電費幾煩讓給應該樣瞭務會專這誰現預約別",
    "转接帮个经们员联系系负责机说话谈讲沟对还吗么没请问题咨询谢见订单号货递发维换户积余额账账贷买钱刚后进状态处为时间点电费几烦让给应该样了务会专这谁现预约别",
)
"""Traditional characters as the patterns here are written."""


def intent(message: str) -> Intent:
    """What the message wants. A wish for a person wins over everything else.

    >>> [intent(text).value for text in ("Hi there!", "谢谢", "I want to talk to a real person", "Do you sell tents?")]
    ['greeting', 'thanks', 'person', 'question']
    """
    message = message.translate(_SIMPLE)
    if _PERSON.search(message):
        return Intent.PERSON
    if _PRIVATE.search(message):
        return Intent.PRIVATE
    return next((found for found, pattern in _PATTERNS if pattern.search(message)), Intent.QUESTION)
