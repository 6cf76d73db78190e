"""What a text is made of: its language, its sentences, its words. Pure.

Sentences are returned as spans, so that a quote stays byte-exact. Language detection is lingua's
(n-gram models, offline); words of Chinese are character pairs, which search well without a
dictionary and split the same way in a question and in a passage.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import LanguageDetector

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN_SIGN = re.compile(r"[。！？，、；：「」『』【】《》]|……")
_LETTER = re.compile(r"[^\W\d_]")
_CJK_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_PLAIN = r"[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"  # "2015年" is a number and a character
_WORD = re.compile(rf"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+|{_PLAIN}(?:[.,'’\-]{_PLAIN})*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|incl|excl|max|min|no|nr|vs|mr|mrs|ms|dr|st|inc|ltd|co|fig|sec|art|tel|est)|\b[A-Za-z])\.$",
    re.IGNORECASE,
)
# A sentence ends at 。！？ anywhere, at . ! ? before white space, and at a blank line or one that starts a list.
_BREAK = re.compile(
    r"[。！？；](?:[”’」』）\"')\]])*|[.!?]+(?:[\"'”’)\]])*(?=\s|$)|\n[ \t]*\n|\n(?=[ \t]*(?:[-*•·|#]|\d+[.)、]))|\n"
)
_FIELD = re.compile(r"[^\s:：][^:：\n]{0,40}[:：] ?\S")
_SHORT_FIELD = re.compile(r"[^\s:：][^:：\n]{0,40}(?:: |：)\S.*(?<![.!?;。！？；])")
"""A field that is no sentence and no time of day: two of these are a row of two columns."""
_STOPWORDS = frozenset(
    """a an the is are was were be been being am do does did doing done have has had having i me my mine we us our
    you your yours he him his she her it its they them their this that these those who whom whose which what when where why how
    of to in on at by for from with without about into onto over under as or and but if then than so not no nor too very
    can could will would shall should may might must just also there here any some all each every more most other
    such only own same s t re ve ll d m please hi hello hey thanks thank ok okay tell know want need like get got let
    much many long""".split()
)
ADDRESS = r"(?:亲+(?:爱的)?|老板娘?|掌柜的?|店家|店主|小姐姐|小哥哥)"
"""Whom a Chinese customer addresses before or behind a message."""
_LEADING_ADDRESS = re.compile(rf"^\W*{ADDRESS}[\s,，~～。！!、]+(?=\w)")
_ACCOUNT = re.compile(r"帐(?=[户号单目])")
_WEEKDAY = re.compile(r"(?<!个)(?:星期|礼拜)([一二三四五六日天])(?![次个天])")  # "每星期一次" is no Monday
_FREQUENT_HAN = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所得"
    "等部度家小您请天内可退货款品商订单价问答"
)


def clean(text: str) -> str:
    """The text without what no database or tokenizer takes: NUL, and half of a surrogate pair, which becomes "?".

    >>> clean("ten\\x00ts \\ud83d")
    'tents ?'
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def unaddressed(message: str) -> str:
    """The message without whom it addresses: documents say nothing of 亲 or 老板.

    >>> unaddressed("亲，鱼缸包邮吗"), unaddressed("老板")
    ('鱼缸包邮吗', '老板')
    """
    found = _LEADING_ADDRESS.match(simplified(message))
    return message[found.end() :] if found else message


def simplified(text: str) -> str:
    """The text in simplified characters, one for one, so that places in it stay; for matching, never for showing.

    >>> simplified("退貨後多久退款到帳戶？帳篷呢？")
    '退货后多久退款到账户？帐篷呢？'
    """
    return text if text.isascii() else _ACCOUNT.sub("账", text.translate(_SIMPLIFIED))


def is_traditional(text: str) -> bool:
    """Whether it is written in traditional characters; some stand in simplified text as well, as in names."""
    return sum(ord(char) in _SIMPLIFIED for char in text) > 0.1 * len(_HAN.findall(text))


def detect(text: str, *, default: str = "en") -> str:
    """The ISO 639-1 code of the text's language; `default` where it is too short to tell.

    >>> detect("可以退货吗？"), detect("Do I get the delivery costs back?")
    ('zh', 'en')
    """
    letters = len(_LETTER.findall(text))
    if not letters:  # "。。。" is Chinese as well, where nothing speaks for Japanese
        return "zh" if default != "ja" and _HAN_SIGN.search(text) else default
    if _KANA.search(text):
        return "ja"
    if is_han(text):
        return "zh"
    if letters < 12 and text.isascii():
        return default
    ranked = _detector().compute_language_confidence_values(text)
    if not ranked:
        return default
    best = ranked[0]
    code = best.language.iso_code_639_1.name.lower()
    sure = best.value > (0.5 if letters >= 60 else 0.8)
    return code if sure else default


def is_han(text: str) -> bool:
    """Whether it is written in Han characters: one weighs several Latin letters, and brand names stay Latin."""
    letters = len(_LETTER.findall(text))
    return bool(letters) and len(_HAN.findall(text)) / letters > 0.25


def is_gb18030(data: bytes) -> bool:
    """Whether the bytes are GB 18030, judged by how everyday its characters would be.

    GB 2312 sorts the 3,755 most used characters into the rows B0-D7: Latin, Big5 and Japanese bytes
    read as GB fall elsewhere. Korean bytes fall into B0-C8 only, and give no frequent characters.
    """
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    leads = [
        code[0] for char in text if not char.isascii() and len(code := char.encode("gb18030")) == 2 and code[1] > 0xA0
    ]
    wide = sum(not char.isascii() for char in text)
    everyday = sum(0xB0 <= lead <= 0xD7 for lead in leads)
    marks = sum(0xA1 <= lead <= 0xA3 for lead in leads)
    if not everyday or everyday + marks < 0.85 * wide:
        return False
    frequent = sum(char in _FREQUENT_HAN for char in text)
    return frequent >= 0.04 * everyday or any(0xC9 <= lead <= 0xD7 for lead in leads)


@functools.cache
def _detector() -> LanguageDetector:
    from lingua import Language, LanguageDetectorBuilder

    known = "ARABIC CHINESE DUTCH ENGLISH FRENCH GERMAN ITALIAN JAPANESE KOREAN POLISH PORTUGUESE RUSSIAN SPANISH THAI"
    languages = [getattr(Language, name) for name in [*known.split(), "TURKISH"]]
    return LanguageDetectorBuilder.from_languages(*languages).with_low_accuracy_mode().build()


def sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) spans of the sentences, in order, without the white space around them.

    >>> [("Ships in 2.5 days. Free over 50 EUR.")[a:b] for a, b in sentences("Ships in 2.5 days. Free over 50 EUR.")]
    ['Ships in 2.5 days.', 'Free over 50 EUR.']
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for found in _BREAK.finditer(text):
        if found.group().startswith("\n"):
            if not _ends_sentence(text, found):
                continue
        elif found.group()[0] == "." and _ABBREVIATION.search(text, start, found.end()):
            continue
        _add(spans, text, start, found.end())
        start = found.end()
    _add(spans, text, start, len(text))
    return spans


def fields(text: str) -> list[tuple[int, int]]:
    """The spans of the lines of a record ("name: Alder 2", "price: 249.00 EUR"); [] where the text is prose.

    >>> [("name: Alder 2\\nprice: 249.00 EUR\\nstock: 4")[a:b] for a, b in fields("name: Alder 2\\nprice: 249.00 EUR\\nstock: 4")]
    ['name: Alder 2', 'price: 249.00 EUR', 'stock: 4']
    >>> fields("Ticket: Adult\\nPrice: £12"), fields("Returns: within 30 days.\\nRefunds: at once.")
    ([(0, 13), (14, 24)], [])
    """
    lines = text.split("\n")
    if lines[0].rstrip().endswith(("?", "？")) and not _FIELD.match(lines[0]):
        return []  # a FAQ, whatever other columns its row has
    two = len(lines) == 2 and all(_SHORT_FIELD.fullmatch(line) for line in lines)
    if not two and len(lines) < 3:
        return []
    if sum(bool(_FIELD.match(line)) for line in lines) < 0.7 * len(lines):
        return []
    spans, start = [], 0
    for line in lines:
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def cells(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of the cells of a row ("Size: S | Chest: 83 cm") in `text[start:end]`; [] where it is none.

    >>> [("Size: S | Chest: 83 cm")[a:b] for a, b in cells("Size: S | Chest: 83 cm", 0, 22)]
    ['Size: S', 'Chest: 83 cm']
    """
    spans: list[tuple[int, int]] = []
    for piece in text[start:end].split(" | "):
        _add(spans, text, start, start + len(piece))
        start += len(piece) + 3
    labelled = sum(bool(_FIELD.match(text[left:right])) for left, right in spans)
    return spans if len(spans) > 1 and labelled >= 0.7 * len(spans) else []


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    """Whether a line break ends a sentence: not where a wrapped line goes on in lower case."""
    if found.group().count("\n") > 1:
        return True
    rest = text[found.end() : found.end() + 40].lstrip(" \t")
    if re.match(r"[-*•·|#]|\d+[.)、]", rest):
        return True
    before = text[: found.start()].rstrip()
    line = before.rpartition("\n")[2]
    if rest[:1].islower() or (before[-1:] in {",", "，", "、"}):
        return False
    return not (len(line) > 60 and before[-1:].isalnum())  # a long line without an end is wrapped


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    if right > left:
        spans.append((start + left, start + right))


def words(text: str) -> list[str]:
    """The searchable terms: lower-case words and numbers; character pairs of Chinese and Japanese, simplified.

    >>> words("Tents from 99.50 EUR"), words("退貨期限"), words("礼拜天")
    (['tents', 'from', '99.50', 'eur'], ['退货', '货期', '期限'], ['周日'])
    """
    terms: list[str] = []
    text = simplified(unicodedata.normalize("NFKC", text).lower())
    for token in _WORD.findall(_WEEKDAY.sub(lambda found: "周" + found[1].replace("天", "日"), text)):
        if _CJK_RUN.fullmatch(token):
            terms += [token[i : i + 2] for i in range(len(token) - 1)] or [token]
        else:
            terms.append(token.replace("’", "'"))
    return terms


def content_words(text: str) -> list[str]:
    """`words` without the ones that say nothing of the subject, plurals folded.

    >>> content_words("Do I get the delivery costs back?")
    ['delivery', 'cost', 'back']
    """
    return [stem(word) for word in words(text) if word not in _STOPWORDS and (len(word) > 1 or word.isdigit())]


def stem(word: str) -> str:
    """A light English stem (Harman's s-stemmer): only plurals, so that unlike words stay apart."""
    if not word.isascii() or len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


_PAIRS = (
    "皚皑藹蔼礙碍愛爱骯肮襖袄奧奥壩坝罷罢擺摆襬摆敗败頒颁闆板辦办絆绊幫帮綁绑鎊镑謗谤剝剥飽饱寶宝報报鮑鲍盃杯輩辈貝贝鋇钡狽狈備备憊惫繃绷筆笔畢毕斃毙幣币閉闭闢辟邊边編编貶贬變变辯辩辮辫標标錶表鱉鳖別别彆别癟瘪瀕濒濱滨賓宾餅饼並并併并撥拨"
    "缽钵鉑铂駁驳蔔卜補补佈布纔才財财採采綵彩參参蠶蚕殘残慚惭慘惨燦灿蒼苍艙舱倉仓滄沧廁厕側侧冊册測测層层詫诧攙搀摻掺蟬蝉饞馋讒谗纏缠剷铲鏟铲產产産产闡阐顫颤場场嘗尝嚐尝長长償偿腸肠廠厂暢畅鈔钞車车徹彻塵尘陳陈襯衬撐撑稱称懲惩誠诚騁骋喫吃"
    "癡痴遲迟馳驰恥耻齒齿熾炽沖冲衝冲蟲虫寵宠疇畴躊踌籌筹綢绸醜丑齣出櫥橱廚厨鋤锄雛雏礎础儲储觸触處处傳传瘡疮牀床闖闯創创錘锤鎚锤脣唇純纯綽绰辭辞詞词賜赐聰聪蔥葱囪囱從从叢丛湊凑竄窜錯错達达帶带貸贷擔担單单膽胆憚惮誕诞彈弹噹当當当擋挡黨党"
    "盪荡蕩荡檔档搗捣島岛禱祷導导盜盗燈灯鄧邓敵敌滌涤牴抵遞递締缔顛颠點点墊垫電电澱淀彫雕弔吊釣钓調调諜谍疊叠釘钉頂顶錠锭訂订丟丢東东鼕冬動动棟栋凍冻鬥斗犢犊獨独讀读賭赌鍍镀鍛锻斷断緞缎兌兑隊队對对噸吨頓顿鈍钝奪夺墮堕鵝鹅額额訛讹惡恶餓饿"
    "兒儿爾尔餌饵貳贰發发髮发罰罚閥阀琺珐礬矾釩钒煩烦範范販贩飯饭氾泛汎泛訪访紡纺飛飞誹诽廢废費费紛纷墳坟奮奋憤愤糞粪豐丰楓枫鋒锋風风瘋疯馮冯縫缝諷讽鳳凤彿佛膚肤輻辐撫抚輔辅賦赋復复複复負负訃讣婦妇縛缚該该鈣钙蓋盖乾干幹干榦干桿杆趕赶稈秆"
    "贛赣岡冈剛刚鋼钢綱纲崗岗槓杠鎬镐擱搁鴿鸽閣阁鉻铬個个箇个給给龔龚宮宫鞏巩貢贡鉤钩溝沟構构購购夠够蠱蛊穀谷顧顾僱雇颳刮掛挂枴拐關关觀观館馆慣惯貫贯廣广規规歸归龜龟閨闺軌轨詭诡櫃柜貴贵劊刽輥辊滾滚鍋锅國国過过駭骇韓韩漢汉號号閤合閡阂鶴鹤"
    "賀贺橫横恆恒轟轰鬨哄鴻鸿紅红後后壺壶鬍胡護护滬沪戶户嘩哗譁哗華华畫画劃划話话懷怀壞坏歡欢環环還还緩缓換换喚唤瘓痪煥焕渙涣黃黄謊谎揮挥輝辉迴回毀毁燬毁賄贿穢秽會会燴烩匯汇彙汇諱讳誨诲繪绘葷荤渾浑獲获穫获貨货禍祸擊击機机積积飢饥饑饥跡迹"
    "蹟迹譏讥雞鸡鷄鸡績绩緝缉極极輯辑級级擠挤幾几薊蓟劑剂濟济計计記记際际繼继紀纪夾夹傢家莢荚頰颊賈贾鉀钾價价駕驾殲歼監监堅坚箋笺間间艱艰姦奸緘缄繭茧檢检鹼碱揀拣撿捡簡简儉俭減减薦荐檻槛鑑鉴鑒鉴踐践賤贱見见鍵键艦舰劍剑餞饯漸渐濺溅澗涧薑姜"
    "將将漿浆蔣蒋槳桨獎奖講讲醬酱膠胶澆浇驕骄嬌娇攪搅鉸铰矯矫僥侥腳脚餃饺繳缴絞绞轎轿較较階阶節节傑杰潔洁結结誡诫屆届緊紧錦锦僅仅謹谨進进晉晋燼烬儘尽盡尽勁劲荊荆莖茎鯨鲸驚惊經经頸颈靜静鏡镜徑径逕径痙痉競竞淨净糾纠廄厩舊旧駒驹侷局舉举據据"
    "鉅巨鋸锯懼惧劇剧鵑鹃捲卷絹绢覺觉決决訣诀絕绝鈞钧軍军駿骏開开凱凯顆颗殼壳剋克課课墾垦懇恳釦扣庫库褲裤誇夸塊块儈侩寬宽礦矿曠旷況况虧亏窺窥饋馈潰溃崑昆綑捆睏困擴扩闊阔蠟蜡臘腊萊莱來来賴赖藍蓝欄栏攔拦籃篮闌阑蘭兰瀾澜攬揽覽览懶懒纜缆爛烂"
    "濫滥撈捞勞劳樂乐鐳镭壘垒類类淚泪稜棱釐厘籬篱貍狸離离裏里裡里鯉鲤禮礼慄栗麗丽厲厉勵励礫砾曆历歷历瀝沥隸隶倆俩聯联蓮莲連连鐮镰憐怜漣涟簾帘斂敛臉脸鏈链戀恋煉炼鍊炼練练糧粮涼凉樑梁兩两輛辆諒谅療疗遼辽瞭了獵猎臨临鄰邻鱗鳞凜凛賃赁齡龄鈴铃"
    "靈灵嶺岭領领餾馏劉刘龍龙聾聋嚨咙籠笼壟垄攏拢隴陇樓楼婁娄摟搂簍篓蘆芦盧卢顱颅廬庐爐炉擄掳滷卤鹵卤虜虏魯鲁賂赂祿禄錄录陸陆驢驴呂吕鋁铝侶侣屢屡縷缕慮虑濾滤綠绿巒峦攣挛孿孪灤滦亂乱掄抡輪轮倫伦侖仑崙仑淪沦綸纶論论蘿萝羅罗邏逻鑼锣籮箩騾骡"
    "駱骆絡络媽妈瑪玛碼码螞蚂馬马罵骂嗎吗買买麥麦賣卖邁迈脈脉瞞瞒饅馒蠻蛮滿满貓猫錨锚鉚铆貿贸麼么黴霉沒没鎂镁門门悶闷們们濛蒙矇蒙錳锰夢梦謎谜彌弥瀰弥祕秘覓觅冪幂綿绵緬缅麵面廟庙滅灭憫悯閩闽鳴鸣銘铭謬谬謀谋畝亩吶呐鈉钠納纳難难撓挠腦脑惱恼"
    "鬧闹餒馁內内擬拟膩腻攆撵唸念孃娘釀酿鳥鸟聶聂齧啮鑷镊鎳镍檸柠獰狞寧宁擰拧濘泞鈕钮紐纽膿脓濃浓農农瘧疟諾诺歐欧鷗鸥毆殴嘔呕盤盘龐庞拋抛賠赔噴喷鵬鹏騙骗飄飘頻频貧贫蘋苹憑凭評评潑泼頗颇撲扑舖铺鋪铺僕仆樸朴譜谱棲栖慼戚悽凄淒凄臍脐齊齐騎骑"
    "豈岂啓启啟启氣气棄弃訖讫牽牵鉛铅韆千遷迁簽签籤签謙谦錢钱鉗钳潛潜淺浅譴谴塹堑槍枪嗆呛牆墙薔蔷強强搶抢鍬锹橋桥喬乔僑侨翹翘竅窍竊窃欽钦親亲寢寝輕轻氫氢傾倾頃顷請请慶庆瓊琼窮穷鞦秋趨趋區区軀躯驅驱齲龋權权勸劝卻却鵲鹊確确羣群讓让饒饶擾扰"
    "繞绕熱热韌韧認认紉纫榮荣絨绒軟软銳锐閏闰潤润灑洒薩萨鰓鳃賽赛傘伞喪丧騷骚掃扫澀涩殺杀剎刹紗纱篩筛曬晒刪删閃闪陝陕贍赡繕缮傷伤賞赏燒烧紹绍賒赊捨舍攝摄懾慑設设紳绅瀋沈審审嬸婶腎肾滲渗聲声昇升陞升繩绳勝胜聖圣師师獅狮溼湿濕湿詩诗屍尸蝨虱"
    "時时蝕蚀實实識识駛驶勢势適适釋释飾饰視视試试壽寿獸兽樞枢輸输書书贖赎屬属朮术術术樹树豎竖數数帥帅雙双誰谁稅税順顺說说説说碩硕爍烁絲丝飼饲鬆松聳耸慫怂頌颂訟讼誦诵蒐搜擻擞囌苏蘇苏訴诉肅肃痠酸雖虽隨随綏绥歲岁孫孙損损筍笋簑蓑縮缩瑣琐鎖锁"
    "獺獭撻挞檯台臺台颱台態态攤摊貪贪癱瘫灘滩壇坛罈坛譚谭談谈嘆叹歎叹湯汤燙烫濤涛絛绦討讨騰腾謄誊銻锑題题體体屜屉條条貼贴鐵铁廳厅聽听銅铜統统頭头禿秃圖图塗涂團团糰团頹颓蛻蜕託托脫脱鴕鸵馱驮駝驼橢椭窪洼襪袜彎弯灣湾頑顽輓挽萬万網网韋韦違违"
    "圍围為为爲为濰潍維维葦苇偉伟偽伪緯纬餵喂謂谓衛卫衞卫溫温聞闻紋纹穩稳問问甕瓮撾挝蝸蜗渦涡窩窝臥卧嗚呜鎢钨烏乌汙污誣诬無无蕪芜吳吴塢坞霧雾務务誤误錫锡犧牺谿溪襲袭蓆席習习銑铣係系繫系戲戏細细蝦虾轄辖峽峡俠侠狹狭廈厦嚇吓鮮鲜縴纤纖纤鹹咸"
    "賢贤銜衔閑闲閒闲絃弦顯显險险現现獻献縣县餡馅羨羡憲宪綫线線线廂厢鑲镶鄉乡詳详響响項项嚮向蕭萧囂嚣銷销曉晓嘯啸蠍蝎協协挾挟攜携脅胁諧谐寫写洩泄瀉泻謝谢鋅锌釁衅興兴倖幸兇凶洶汹脩修鏽锈繡绣虛虚噓嘘須须鬚须許许敘叙卹恤緒绪續续軒轩懸悬選选"
    "癬癣絢绚學学勛勋勳勋燻熏詢询尋寻馴驯訓训訊讯遜逊壓压鴉鸦鴨鸭啞哑亞亚訝讶嚥咽煙烟鹽盐嚴严巖岩顏颜閻阎艷艳豔艳厭厌硯砚彥彦諺谚驗验鴦鸯楊杨揚扬瘍疡陽阳癢痒養养樣样瑤瑶搖摇堯尧遙遥窯窑謠谣葯药藥药爺爷頁页業业葉叶醫医頤颐遺遗儀仪蟻蚁藝艺"
    "億亿憶忆義义詣诣議议誼谊譯译異异繹绎蔭荫陰阴銀银飲饮隱隐櫻樱嬰婴鷹鹰應应纓缨瑩莹螢萤營营熒荧蠅蝇贏赢穎颖喲哟擁拥傭佣踴踊詠咏湧涌優优憂忧郵邮鈾铀猶犹遊游誘诱於于輿舆餘余魚鱼漁渔娛娱與与嶼屿語语鬱郁籲吁禦御癒愈慾欲獄狱譽誉預预馭驭鴛鸳"
    "淵渊轅辕園园員员圓圆緣缘遠远願愿約约躍跃鑰钥嶽岳粵粤悅悦閱阅閲阅雲云勻匀隕陨運运蘊蕴醞酝暈晕韻韵雜杂災灾載载暫暂讚赞贊赞贓赃臟脏髒脏鑿凿棗枣譟噪責责擇择則则澤泽賊贼贈赠紮扎軋轧閘闸柵栅詐诈齋斋債债氈毡霑沾盞盏斬斩輾辗嶄崭棧栈佔占戰战"
    "綻绽張张漲涨帳帐賬账脹胀趙赵轍辙這这貞贞針针偵侦診诊鎮镇陣阵掙挣睜睁徵征猙狰爭争幀帧癥症鄭郑証证證证織织職职執执隻只紙纸誌志摯挚擲掷緻致幟帜製制質质滯滞鍾钟鐘钟終终種种腫肿眾众衆众週周軸轴皺皱晝昼驟骤硃朱豬猪諸诸誅诛燭烛矚瞩囑嘱貯贮"
    "鑄铸築筑註注駐驻專专磚砖轉转賺赚樁桩莊庄裝装妝妆壯壮狀状錐锥贅赘墜坠綴缀諄谆準准濁浊茲兹諮咨資资漬渍蹤踪綜综總总縱纵鄒邹詛诅組组鉆钻鑽钻蕎荞飩饨飪饪餛馄驛驿鈦钛鋰锂鐲镯箏筝靚靓鱸鲈鯊鲨鱷鳄鰻鳗"
)
_SIMPLIFIED = dict(zip(map(ord, _PAIRS[::2]), _PAIRS[1::2], strict=True))
"""Traditional -> simplified: the frequent characters of Big5 whose simplified form is a frequent one of GB 2312, and a
few of shops' own, by OpenCC's table. Simplified text hardly has the first (乾, 後, 徵, 於, 瞭 in names); 著, 藉 it has."""
