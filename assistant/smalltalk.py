"""Messages that are not questions to the documents: greetings, thanks, the wish for a
person, and what only a person can look up: the customer's own order or account.

Rules, not a model: "I want a person" must always be understood, and a question must never be
taken for chatter. English and Chinese; other languages go to the documents. Pure.
"""

from __future__ import annotations

import enum
import re

from assistant import language


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
# Whom the company has of its own, by a title or a name: "the vet", "Dr Okafor", "Joanna"; not who or what a customer talks to elsewhere.
_NOBODY = (
    r"(?!(?:me|you|him|her|it|them|us|this|that|these|those|my\w*|our\w*|his|their|other\w*|another|each|everyone|everybody|no|nobody|all|about|before|after|when|while|if|during|in|on|at|of|and|or|via|through|using|with|without|by|from|as|for|to|please|is|are|should|would|will|do|can|the|an?|your"
    r"|friends?|famil(?:y|ies)|kids?|child(?:ren)?|bab(?:y|ies)|wife|husband|guests?|customers?|users?|members?|players?|students?|strangers?|neighbou?rs?|couriers?|drivers?|post(?:man|men)?|carriers?|banks?|dogs?|cats?|pets?|animals?|horses?|birds?|plants?"
    r"|app|apps|watch|watches|phones?|tablets?|laptops?|devices?|speakers?|cameras?|alarms?|machines?|systems?|printers?|tv|wi|wifi|wlan|internet|network|bluetooth|server|group|class|page|alexa|siri|google|(?:chat)?bots?|robots?|ai|assistants?|computers?)\b)"
)
_SOMEBODY = rf"(?:(?:the|an?|your|one of (?:the|your))\s+)?{_NOBODY}[\w.-]+(?:\s+{_NOBODY}[\w.-]+){{0,2}}?"
_ABOUT = r"(?:\s+(?:please|directly|now|right now|instead|today|tomorrow|asap|again|here|about|regarding|on the phone|by phone|on \+?\d)\b.*)?\W*$"
_NOT_BEFORE = r"(?!\s+(?:before|when|if|once|prior|ahead|after|as soon)\b)"
_STAFF = r"(?:客服|真人|经理|主管|老板|店长|负责人|工作人员)"
_EXPERT = r"(?:医生|兽医|大夫|护士|老师|教练|师傅|顾问|设计师|律师|技术员?|技术人员|售后|销售|财务|前台|总监|主任|院长|校长|店员|店家|掌柜)"
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
    rf"|(?<!do )(?<!if )(?<!when )(?<!should )(?<!must )\b(?:i|we)(?:['’]d| would)? (?:really |just )?(?:want|like|need|prefer|wish) to (?:please )?(?:speak|talk) (?:directly )?(?:to|with) {_SOMEBODY}(?=\W|$)(?!.*\b(?:should i|do i have to|do i need to|how (?:do|can))\b)"
    rf"|(?:\blet me|(?<!how )(?<!where )(?<!when )(?<!who )(?<!whom )(?<!why )(?<!what )\b(?:can|could|may) (?:i|we))(?: please| just)? (?:speak|talk|chat) (?:directly )?(?:to|with) {_SOMEBODY}{_ABOUT}"
    rf"|^\W*(?:please )?(?:(?:can|could) you )?(?:please )?(?:connect me|transfer me|put me through|pass me (?:on|over)) (?:to|with) {_SOMEBODY}{_ABOUT}"
    rf"|(?:\b(?:can|could|would)|\b(?:please )?(?:ask|have|get)) {_SOMEBODY}(?: please)?(?: to)? (?:call|phone|ring) (?:me|us)(?: back)?{_NOT_BEFORE}{_ABOUT}"
    rf"|(?<!do i )(?<!how do i )(?<!how can i )\b(?:(?:i(?:['’]d| would) like|i want|i need|can i (?:get|have|request)|could i (?:get|have)|give me|request|arrange)(?: to (?:request|arrange|have|get))?) an? (?:phone )?call(?:[ -]?back)?{_NOT_BEFORE}{_ABOUT}|^\W*(?:an? )?call[ -]?back(?: please)?\W*$"
    r"|\b(?:some|any)(?:one|body) (?:real )?(?:(?:that |who |whom )?(?:i|we) (?:can|could|may)|to) (?:speak|talk|chat)(?: (?:to|with))?(?: please)?\W*$"
    r"|\b(?:help|answer|reply|response) from an? (?:real |actual |live )?(?:human(?: being)?|person|agent|representative|manager)\b(?!.*\b(?:store|shop|branch)\b)"
    rf"|\bis (?:there )?(?:an?|the|your|any|some)\s+(?:\w+\s+)?(?:human|real person|manager|supervisor|agent|operator|representative) (?:there|here|available|around|free)\W*$"
    rf"|转(?:接)?(?:到|给|至)?(?:人工|{_STAFF})|(?:人工|真人)(?:客服|服务|座席|坐席|接听)(?!费|.{{0,6}}(?:几点|上班|下班|时间|电话|收费))|^\W*(?:有(?:没有)?)?(?:真人|活人)(?:在|接|吗|么|没有)*\W*$"
    r"|(?:(?:找|换|叫|请)(?:个|一个|一位|位)?(?:人工|真人|活人)(?![费智成草皮合安装搭秀模教])|(?<![不需])要(?:个|一个|一位|位)?(?:人工|真人|活人)(?=\W|$|[来回帮接和跟给说聊谈吧啊呀了客服]|处理|解)|需要(?:个|一个|一位|位)?(?:人工|真人|活人)(?:帮助|处理)?[吧了\s，,。！!]*$)"
    rf"|(?:找|叫|喊|换|见|联系|接通|(?<![不需])要|我需要|给我|请|让)(?:一下|个|一个|一位|位|你们?的?|您的?)*(?:在线)?{_STAFF}(?:人员|专员)?(?:来|投诉|解决|处理|(?:和|跟)?我?(?:说|谈|聊|沟通|联系)(?:话|谈|聊|一下|我)?|给我.{{0,8}}|[吧啊呀了]|[，,。！!](?!.*(?:电话|几点)).*)*[\s。！!]*$"
    rf"|(?:^|[\s，,。！!])(?:我|请问|请)?(?:能不能|可不可以|能|可以)(?:帮我)?(?:找|叫|换|让|请|联系)(?:一下|个|一个|一位|位|你们?的?)*{_STAFF}(?:来|说话?|谈谈?|聊聊?|沟通|处理|联系我|给我.{{0,6}})?[吗么？?\s]*$"
    r"|(?:^|[\s，,。！!])(?:(?:请|麻烦|能不能|能|可以|有人|让人|叫人|可不可以)(?:你们|您|派人|让人|找人|有人|能|可以)*)?(?:给我|帮我)?(?:回|打)(?:个|一个)?电话(?:给我)?(?:吧|吗|么)?[\s。！!？?]*$"
    rf"|和(?:真)?人(?:说话|聊|沟通|对话)|(?:跟|和|与)(?:你们?的?)?(?:人工|{_STAFF})(?:人员)?(?:说|聊|谈|沟通|对话|讲)(?![了过])|(?:不想?要?|别|讨厌)(?:再)?(?:跟|和|与)(?:机器人?|ai|人工智能)(?:说|聊|谈|沟通|对话|讲)|^\W*不要机器人\W*$"
    rf"|^\W*(?:(?:人工\W*)+|(?:有(?:没有)?|在线)?(?!老板[在吗么不]*\W*$){_STAFF})(?:在|吗|么|呢|在不在)*\W*$"
    rf"|来(?:个|位|一个|一位)(?:(?:人工|真人|活人)(?![费智成草皮合安装搭秀模教])|{_STAFF})|(?:^|[\s，,。！!]|快|请|麻烦|给我|能不能|可不可以|能|可以|赶紧)来(?:个|位)人(?:[吧啊呀吗么]*[\s，,。！!？?]*$|(?:跟|和|给)我(?:说|聊|谈|讲|解释)|(?:帮我)?(?:解决|处理))"
    r"|(?:找|叫|喊|换|派)(?:个|位|一个|一位)人(?:来)?(?:[吧啊呀]?[\s，,。！!]*$|(?:跟|和|给|与)我(?:们)?(?:说|聊|谈|讲|解释|沟通|联系|回|打)|(?:帮我)?(?:解决|处理)(?!.*多少))"
    r"|(?:别|不要|少)(?:再|总|老|光)?(?:用|拿|让)(?:个)?(?:机器人?|ai|人工智能|智能客服)(?:来)?(?:敷衍|糊弄|应付|打发|忽悠|回复|回答|回我|跟我|和我)|接(?:通|入)?(?:人工|真人|活人)(?=\W|$|[吧啊呀了客])|切(?:换)?(?:到|成)?人工(?=\W|$|[吧啊呀了客])"
    rf"|(?:我(?:想|要|需要)(?:直接)?|让我)(?:跟|和|与)(?:你们?的?|您的?)?[\u4e00-\u9fff]?{_EXPERT}(?:直接|亲自|当面|电话)?(?:说|聊|谈|沟通|讲|通话|通电话|对话)(?![了过])(?!.*[吗？?])"
    rf"|(?:^|[\s，,。！!]|我)(?:能不能|可不可以|能|可以)(?:让我)?(?:直接)?(?:跟|和|与)(?:你们?的?|您的?)?[\u4e00-\u9fff]?{_EXPERT}(?:直接|亲自|电话)?(?:说|聊|谈|沟通|讲|通话|通电话|对话)(?:几句|一下|话|聊|谈)?[吗么？?\s]*$"
    rf"|(?:找|叫|让|请)(?:一下)?(?:你们|您)的?{_EXPERT}(?:来|接|跟我|和我|给我|联系我)?[\s。！!]*$",
    re.IGNORECASE,
)  # fmt: skip
# A customer's own order, account or application: no document knows it, a person can look it up.
_OWN = r"(?:order|orders|parcel|package|shipment|refund|application|claim|transfer|payment|return|card|account|balance|points|subscription|loan|invoice|warranty|repair|booking|reservation|appointment|voucher|gift card)"
_THING = r"(?:order|parcel|package|shipment|refund|claim|ticket|application|booking|ref|reference|case)"
_ID = r"\s*(?:#|no\.?|number|nr)?\s?(?:[A-Z]{1,4}-?)?\d{3,}(?![\d.,]*\s*(?:eur|euros?|usd|dollars?|gbp|pounds?|days?|km|kg|€|£|\$|%))"
# "Is my card charged when the order is shipped?" asks for a rule, and so does 订单满多少包邮.
_UNLESS = r"(?:(?!\b(?:if|when|once|after|before|until|unless|while|whenever|as soon as)\b).)*"
# "What if my parcel never arrives?" and "My parcel has not come. What can I do?" ask for a rule as well.
_CLAUSE = r"(?:^|[.,!?;]\s*|\bbut\s+)(?:(?!\b(?:if|when|once|unless|until|suppose|case|whenever|before|after|as long as)\b)[^.,!?;])*?"
_ONLY_TOLD = r"(?!.*\b(?:what (?:should|can|could|do|shall|must|now|happens|to)|how (?:do|can|long|to)|can i|could i|may i|am i|do i|should i|who)\b)"
_NOT_YET = r"(?:(?:(?:still|has|have|had|did|is|was)\s+)*(?:has|have|had|did|is|was)(?:n['’]?t| not| never)|(?:has |have )?never|still not|not)(?:\s+(?:yet|even|been|still|actually))*"
_LOOK_UP = r"帮我(?:再|先)?(?:查询?|看|核实)(?:一下|下|查|看|一看)?"
_NO_RULE = r"(?!(?:(?![，。]).){0,8}?(?:满|怎么|如何|多久|能不能|可以|可不可以|要不要))"
_PRIVATE = re.compile(
    rf"\b(?:has|have|did|was|were|(?<!why )(?:has|have|did|was|were)n['’]?t)\s+my\s+(?:\w+\s+){{0,3}}?{_OWN}\b{_UNLESS}\b(?:yet|already|go(?:ne)? through|been (?:approved|sent|shipped|paid|charged|processed|received|dispatched)|arrived?|shipped|dispatched|approved|processed|received|declined|blocked|on its way|out for delivery)\b"
    rf"|(?<!when )\b(?:is|are)\s+my\s+(?:\w+\s+){{0,3}}?{_OWN}\b{_UNLESS}\b(?:yet|already|on its way|out for delivery|(?:approved|processed|received|shipped|dispatched|declined|blocked|confirmed|booked|ready(?: (?:for (?:pick-?up|collection)|to (?:collect|pick up|be picked up)))?)\W*$)"
    rf"|\bwhy (?:was|is|did|has) my\s+(?:\w+\s+){{0,2}}?{_OWN}\b.*\b(?:declined|rejected|blocked|late|delayed|cancelled|stuck|not (?:here|arrived)|yesterday|today|this morning)\b"
    rf"|\b(?:where(?:'s| is| are| will| does)\s+my\s+(?:own\s+)?(?:\w+\s+)?(?:order|parcel|package|shipment|delivery|stuff|refund|tent|boots|jacket|pan)|when(?:'s| is| are| will| does)\s+my\s+(?:own\s+)?(?:\w+\s+)?(?:order|parcel|package|shipment|delivery|stuff))\b(?!.*\b(?:if|once|after|when|made|kept|stored|charged|paid|final|confirmed|(?:shipped|sent|ship|dispatched|delivered|coming) from)\b)"
    rf"|\b(?:which|what) (?:day|time|date)\b.*\bmy (?:own )?(?:order|parcel|package|delivery)\b.*\b(?:come|arrive|be here|get here|delivered)\b|\b(?:day|days)\b.{{0,12}}\bmy own (?:order|parcel)\b"
    r"|\bhow (?:many|much) (?:\w+ ){0,2}?(?:points?|credits?|miles|stamps|vouchers|money|funds|balance)?\s*(?:do i|have i|i(?:'ve)?) (?:still )?(?:have|got)(?: (?:left|remaining|available|saved|collected|now|right now|currently|at the moment|already|(?:on|in) (?:my|the) (?:\w+ ){0,2}\w+))+\W*$"
    r"|\bhow (?:many|much) (?:\w+ ){0,2}?(?:points?|credits?|miles|stamps|vouchers|money|funds) (?:do i|have i) (?:still )?(?:have|got)\W*$|^(?!.*\b(?:how|where) (?:do|can|could) i\b).*\bhow (?:many|much)\b.{0,20}\b(?:is|are) (?:still )?left (?:on|in) my\b"
    r"|\bwhat(?:'s| is) (?:the balance|my (?:current )?(?:balance|points|order status|order number|customer number|password|pin))\b"
    rf"|^(?!.*\b(?:how|where)\b.{{0,40}}\b(?:status|tracking)).*\b(?:status|tracking (?:number|status)) (?:of|for) (?:my|order)\b|\b(?:check|look up|look into|tell me about|find|pull up|cancel|track)\b.{{0,15}}\b{_THING}{_ID}\b|\bmy {_THING}{_ID}\b.*\b(?:where|when|status|yet|arrive)|\b(?:where|when|status|yet|approved|did|has)\b.*\b{_THING}{_ID}\b"
    rf"|{_CLAUSE}\bmy\s+(?:\w+\s+){{0,2}}?{_OWN}\s+{_NOT_YET}\s+(?:arrived?|come|came|here|shown up|turned up|delivered|shipped|sent|dispatched|received|refunded|paid|processed|confirmed|approved)\b{_ONLY_TOLD}"
    rf"|{_CLAUSE}\bi(?:['’]ve)?\s+(?:still )?{_NOT_YET}\s+(?:received?|got(?:ten)?|get|had|seen)\s+my\s+(?:\w+\s+){{0,2}}?{_OWN}\b(?!\s+(?:with me|any ?more|to hand|here|on me)){_ONLY_TOLD}|{_CLAUSE}\bwaiting (?:for|on) my\s+(?:\w+\s+){{0,2}}?{_OWN}\b{_ONLY_TOLD}"
    rf"|{_CLAUSE}\bmy\s+(?:\w+\s+){{0,2}}?(?:order|parcel|package|shipment|delivery)(?:['’]s| is| was| has been| seems)(?: still| very| really| so| already| now| to be)* (?:late|delayed|lost|missing|overdue|stuck|\d+ days late)\b{_ONLY_TOLD}"
    rf"|\bwhy (?:has|have|is|was|did)(?:n['’]?t| not) my\s+(?:\w+\s+){{0,2}}?(?:order|parcel|package|shipment|delivery|refund|booking|reservation)\b.*\b(?:arrived?|come|here|shipped|sent|delivered|refunded|paid|processed|confirmed)\b"
    rf"|{_CLAUSE}\b(?:(?:i(?:['’]ve| have)?|my card) (?:was|were|been|got|has been)|you(?:['’]ve| have)?|was i)\s+(?:charged|billed|debited)\b[^.,!?;]{{0,20}}?\b(?:twice|two times|double|again|too much)\b{_ONLY_TOLD}|{_CLAUSE}\bi(?:['’]ve| have)? (?:was|been|got) double[ -]charged\b{_ONLY_TOLD}"
    r"|\b(?:when|what time|what day|which day)(?:['’]s| is| are)\s+my\s+(?:next |own )?(?:\w+ )?(?:booking|appointment|reservation)\b(?!.*\b(?:if|once|after|when|made|confirmed|charged|paid|final|binding|refunded|cancelled|valid|due)\b)"
    r"|^\W*(?:(?:hi|hello|hey)\W+)?(?:please\s+)?(?:(?:can|could) you (?:please )?)?(?:cancel|reschedule|rebook|postpone) my (?:\w+ )?(?:order|booking|appointment|reservation)(?:\s+(?:please|for|on|at|to|from|today|tomorrow|number|no\.?)\b.*)?\W*$"
    r"|\bwhat did i (?:buy|order|pay|spend)\b|\bmy last (?:order|purchase|payment|invoice)\b.*\b(?:how much|what|when|total)\b|\b(?:how much|what|when)\b.*\bmy last (?:order|purchase|payment|invoice)\b"
    r"|(?<!如果)(?<!要是)(?<!假如)(?<!万一)(?<!怎么查)(?<!怎么看)(?<!如何查)我的?(?:(?![，。？?每]|(?<!最)后(?![来天])|的话).){0,8}(?:订单|包裹|快递|退款|申请|贷款|账户|积分|余额|退货|维修|货)(?:(?![，。？?每]|(?<!最)后(?![来天])|的话).){0,12}"
    r"(?:到哪|到了吗|到了没|发货了吗|发货了没|批下来|批了|下来了|还剩|还有多少|有多少(?:积分|余额|钱)?[了呢啊呀]?\W*$|到账了|处理好|修好|寄出|什么时候到(?!账)|(?:状态|进度)(?!.{0,6}(?:哪|怎么|如何))|怎么还没|还没到)"
    rf"|{_LOOK_UP}(?:(?![，。？?]).){{0,10}}?(?:我(?:的|那|上|昨)(?:(?![，。？?]).){{0,10}}?(?:订单|包裹|快递|退款|退货|申请|贷款|账户|账单|积分|余额|预约|维修|[单卡货券])|订单|单号|运单){_NO_RULE}|{_LOOK_UP}.{{0,6}}?(?:余额|还剩|[a-z]{{0,4}}-?\d{{4,}}(?=\W|$|[的到物状发单]))"
    rf"|(?:我(?:的|上|那|昨)[^，。？?]{{0,8}}(?:单|包裹|快递|退款)|单号)[^。？?]{{0,12}}{_LOOK_UP}"
    r"|(?:订单|单号|运单)号?(?:是|为|码|[:：#]|\s|no\.?)*[a-z]{0,4}-?\d{3,}(?!\d|[\d.,]*\s*(?:元|块|欧|美|%|天|eur|€)).*(?:哪|吗|没|状态|什么时候)|我(?:上次|上周|昨天|前天|刚才?)(?:买|下|申请|退|订)[^，。？?]{0,14}(?:了吗|了没|到哪|下来|进度|多少钱)|(?:怎么|为什么|为啥|咋)还(?:没有?|不)(?:到(?!货)|发货|收到|退(?!货)|送到|送来|寄)"
    r"|^(?!.*(?:如果|要是|假如|万一|怎么(?:查|看|知道)|如何|在哪[里儿]?(?:能|可以)?查)).*?(?:"
    r"(?:^|[\s，,。！!]|亲)我(?:现在|目前|卡里|账户里?)?还?(?:有|剩)(?:下|了)?(?:多少|几)[个点张次]?(?:积分|余额|优惠券|券|钱)(?:可以用|可用|能用)?"
    r"|(?:^|[\s，,。！!])(?:请|麻烦|我想|我要|想)?(?:帮我)?查(?:询|看)?(?:一下|下|一查)?(?:我的)?(?:积分|余额|订单|物流|快递|包裹|退款进度)吧?"
    r"|(?:^|[\s，,。！!]|我的?|我买的)(?:快递|物流|东西|包裹|货|订单)(?:现在|都)?到哪(?:里|儿)?了"
    r"|(?:^|[\s，,。！!]|订单|包裹|东西|我[^，。？?]{0,10})(?:已经|都)?(?:发货|发出|寄出)(?:了(?:吗|没有?|么)|没有?)|(?:^|[\s，,。！!]|我的)(?:退款|钱|货款)(?:已经)?(?:到账|退|退回来?|下来)了(?:吗|没有?|么)"
    r"|(?:^|[\s，,。！!])我的?(?:快递|包裹|退款|订单|货)(?:呢|去哪[里儿]?了|哪去了)?|我(?:上次|上个?月|上周|昨天|昨晚|前天|前几天)(?:买|下|订)[^，。？?]{0,8}什么时候(?:能|可以)?(?:到|发货?|送到?|寄出?)"
    r"|我(?:一直|到现在)?(?:还|都)?没有?(?:收到|拿到)(?:我的?)?(?:退款|快递|包裹|货|东西|订单)"
    r"|(?:^|[\s，,。！!])(?:能不能|可以|能)?(?:请|麻烦)?(?:你们?|您)?(?:帮我|给我)(?:取消|修改|改)(?:一下|下)?(?:我的?|那个|昨天的?)?(?:订单|收货地址|地址|收货人)[吗么吧]?|(?:^|[\s，,。！!])(?:请|麻烦|能不能|可以)?(?:帮我)?催(?:一下|下|催)?(?:发货|快递|物流|订单|退款)吧?"
    r")[了呢啊呀]?[\s。！!？?~～]*$",
    re.IGNORECASE,
)  # fmt: skip
_FILLER = rf"(?:[\s,，~～]*(?:there|again|everyone|all|team|confide|bot|assistant|dear|sir|madam|friend|大家|各位|呀|啊|哈|哦|呢|{language.ADDRESS}))*"
_THERE = r"(?:在[吗么嘛不](?:在)?|有人在?[吗么不]|在(?=\W*$)|(?:is (?:anyone|anybody|someone|somebody)|are you|anyone|anybody) (?:there|here)(?=\W*$))"
_HELLO = rf"(?:hi+|hello+|hey+|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|morning|你好|您好|嗨|哈喽|哈啰|早上好|上午好|中午好|下午好|晚上好|早安|早|{_THERE}|{language.ADDRESS}(?=\W*(?:{_THERE}|$)))"
# What only announces a question, before it is asked.
_ANNOUNCED = (
    r"(?:(?:just )?i(?:['’]ve| have|['’]d like to ask| would like to ask| want to ask| wanted to ask)(?: got)?(?: just)? (?:you )?(?:an?|some|one|two|a few|a couple of|several)?(?: \w+)? ?questions?(?: for you| please| to ask)*"
    r"|(?:just )?(?:a )?(?:quick )?question|(?:can|could|may) i (?:please )?ask (?:you )?(?:something|(?:an?|one|some)(?: quick)? questions?)|(?:can|could) you (?:please )?help(?: me)?(?: out| please)?|i(?: would|['’]d)? (?:need|like) (?:some |your )?help(?: please)?"
    rf"|请问(?:一下|下)?{_THERE}?|(?:不好意思)?打扰(?:一下|下|了)|(?:我)?(?:想|要)(?:请)?(?:问|咨询|请教|了解)(?:你|您|你们)?(?:一下|下|个|一个|几个|点)?(?:问题|事情?)?|我?有(?:个|一个|些|几个|点)?(?:问题|疑问|事情?儿?)(?:想?要?(?:请)?(?:问|咨询|请教)(?:一下|下|你|您|你们)*)?|(?:能|可以|可否)(?:帮|问)(?:我|你|您)?(?:一下|个忙|个问题|一个问题|下)?吗?)"
)
_WHEN_DONE = r"(?:for now|for today|at the moment|right now)"
_BYE = (
    r"(?:bye+(?:[\s-]?bye)?(?: for now)?|good ?bye|good ?night|see (?:you|ya)(?: later| soon)?|take care|(?:have|enjoy) (?:an?|your|the rest of your) (?:\w+ )?(?:day|one|evening|weekend|night|week|afternoon)"
    r"|再见|拜+[啦了]?|(?<!\d)886?(?!\d)|回头见|下次见|晚安|祝(?:你|您)(?:生活|工作)?(?:愉快|顺利))"
)
_THEN = r"(?=\W*$|\s*[,.;!–—-]|\s+(?:thank|thx|that|it\b|bye|i['’]m|all\b|you\b))"  # "no good" and 没有收到 end nothing
_NO_MORE = (
    rf"(?:nope|nah|no(?: (?:more|other|further|need|questions?))*{_THEN}|nothing(?: else| more)?(?: {_WHEN_DONE})?{_THEN}|not {_WHEN_DONE}"
    r"|(?:暂时|现在|目前|应该)?没(?:有|啥)?(?:什么|其他|其它|别的)*(?:问题|疑问|事情?)?(?:要问的)?[了啦]|(?:先|就|暂时)?不(?:用|需要|必|要)[了啦]"
    r"|(?<![\u4e00-\u9fff])(?:(?:暂时|现在|目前|应该)?没(?:有|啥|什么)(?:什么|其他|其它|别的)*(?:问题|疑问|事情?)?|没事|(?:先|就|暂时)?不(?:用|需要|必|要)|不了)(?![\u4e00-\u9fff])|(?<![\u4e00-\u9fff])(?:没有|不用|不需要)(?=谢|感谢|多谢|再见|拜)"
    r"|就这些了?|那?(?:先|就)这样吧?|算了)"
)
_THANKED = (
    r"(?:(?:many |big |huge |a thousand )?(?:thank(?:s+| you+| u)|thx|tysm|ty|3q|cheers)(?: (?:you|u|a (?:lot|bunch|ton|million)|(?:so |very )?much|again|ever so|indeed|anyway|though|kindly|guys|mate|man|buddy|folks|all|everyone|for (?:your|the|all|that|this|it|clarifying|explaining|letting me know|clearing)(?: (?!what|how|when|where|which|who|why|do|does|is|are|can)\w+){0,3}))*"
    r"|(?:i )?(?:really |very )?(?:much )?appreciate(?:d| it| that| this| your \w+)(?: a lot| very much)?|you (?:really |have )?helped(?: me| us)?(?: a lot| very much)?|(?:i|we)(?:['’]ll| will) (?:do|try|check|have a look)(?: at)?(?: that| it| this| there)*|you(?:['’]re| are|['’]ve been| have been)(?: so| very| really| most| super| extremely)* (?:helpful|kind|great|the best|awesome)"
    rf"|(?:that|this|it|which)(?:['’]?s| is| was| will be| would be| has| really| totally| perfectly| certainly| all)*(?: all| so| very| really| super| quite| just| exactly)* (?:helps?|helped|helpful|answers?|answered|clears?|cleared|clear|solves?|solved|explains?|explained|settles?|all|everything|it|great|perfect|good|fine|nice|kind|quick|fast|enough|useful|what i (?:needed|wanted|was looking for))(?: (?:me|it|that|this|up|a lot|everything|my questions?|i (?:needed|wanted)|(?:to know)|very much|perfectly|{_WHEN_DONE}))*"
    rf"|唔该晒?|(?:非常|十分|万分|真的?|太|多)*(?:感谢|谢谢?|感恩)(?:了|啦|您|你|们|各位|大家|哦|啊|哈|呀|晒|{language.ADDRESS})*(?:的?(?:耐心|热心|及时|详细)?的?(?:帮助|帮忙|解答|回答|回复|解释|讲解|服务|支持|提醒))?了?|(?:辛苦|麻烦)(?:你|您)?[了啦]|帮(?:了)?(?:我)?大忙了?|(?:真|太|很|非常|挺)(?:有用|有帮助|棒|贴心|清楚)[了啊]?)"
)
_GOT_IT = (
    r"(?:(?:good|great) (?:stuff|job|work|service)|ok(?:ay)?|kk?|great|perfect|super|cool|nice|good to know|good|awesome|wonderful|excellent|brilliant|fantastic|lovely|amazing|alright|all (?:right|good|clear|set|sorted|done)|right|clear|sorted|will do|(?:very|really|so|most|super|quite) (?:helpful|useful|kind|clear|good|nice|quick)|fine|got it|i see|(?:i )?(?:understood|understand)|noted|(?:that )?makes sense|no (?:problem|worries)|never ?mind|i['’]?m (?:good|fine|done|all set)"
    r"|好的?[吧呀啊哦滴嘞]?|行[吧了]?|嗯+|哦+|我?(?:明白[了啦]?|知道[了啦])|了解[了啦]?|清楚[了啦]?|懂[了啦]|收到|太好了|很好|够了|可以了|解决了|原来如此|没问题)"
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
            rf"^\W*{_HELLO}{_FILLER}(?:\W*{_THERE}{_FILLER}\W*)?(?:\W+how (?:are|r) (?:you|u)(?: doing)?(?: today)?)?(?:\W*{_ANNOUNCED})?\W*$"
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
_PLEASE = re.compile(r"\b(?:pl[sz]+|pleas)\b", re.IGNORECASE)


def intent(message: str) -> Intent:
    """What the message wants. A wish for a person wins over everything else.

    >>> [intent(text).value for text in ("Hi there!", "谢谢", "I want to talk to a real person", "Do you sell tents?")]
    ['greeting', 'thanks', 'person', 'question']
    """
    message = _PLEASE.sub("please", language.unaddressed(language.simplified(message).replace("’", "'")))
    if _PERSON.search(message):
        return Intent.PERSON
    if _PRIVATE.search(message):
        return Intent.PRIVATE
    return next((found for found, pattern in _PATTERNS if pattern.search(message)), Intent.QUESTION)
