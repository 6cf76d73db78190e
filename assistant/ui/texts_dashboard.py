"""The words of the Dashboard tab, by language. Merged into the page's by `texts.py`."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "dashboard_title": {"en": "Dashboard", "zh": "数据看板"},
    "dashboard_collection": {"en": "Collection", "zh": "知识库"},
    "dashboard_all": {"en": "All collections", "zh": "全部知识库"},
    "dashboard_period": {"en": "Period", "zh": "时间段"},
    "dashboard_days": {"en": "{n} days", "zh": "{n} 天"},
    "dashboard_answers": {"en": "Answers", "zh": "回答数"},
    "dashboard_conversations": {"en": "in {n} {n:conversation|conversations}", "zh": "来自 {n} 个对话"},
    "dashboard_answered": {"en": "Answered", "zh": "已回答"},
    "dashboard_approved": {"en": "{n} by approved answers", "zh": "其中 {n} 个为标准答案"},
    "dashboard_coverage": {"en": "With quotes", "zh": "附有引文"},
    "dashboard_of": {"en": "of {n} that could quote", "zh": "共 {n} 个可引用的回答"},
    "dashboard_ratings": {"en": "Helpful", "zh": "好评"},
    "dashboard_rated": {"en": "{up} up · {down} down · {n} corrected", "zh": "{up} 好评 · {down} 差评 · {n} 条更正"},
    "dashboard_unrated": {"en": "nobody rated an answer", "zh": "尚无评价"},
    "dashboard_seconds": {"en": "Seconds, median", "zh": "用时中位数（秒）"},
    "dashboard_p95": {"en": "95 of 100 within {s} s", "zh": "95% 在 {s} 秒内"},
    "dashboard_tokens": {"en": "Tokens", "zh": "词元数"},
    "dashboard_split": {"en": "{prompt} read · {written} written", "zh": "读取 {prompt} · 生成 {written}"},
    "dashboard_volume": {"en": "Answers by day (UTC)", "zh": "每日回答 (UTC)"},
    "dashboard_opinions": {"en": "Ratings by day (UTC)", "zh": "每日评价 (UTC)"},
    "dashboard_used": {"en": "Tokens by day (UTC)", "zh": "每日词元数 (UTC)"},
    "dashboard_most": {"en": "{day}: {n} at most", "zh": "最多的一天：{day}，{n}"},
    "dashboard_none": {"en": "Nothing was asked in this period.", "zh": "该时间段内没有提问。"},
    "dashboard_lacking": {"en": "What the knowledge base lacks", "zh": "知识库缺少的内容"},
    "dashboard_lacking_hint": {
        "en": "Questions that were not answered from the documents, by topic; a customer counts once. Add a document, or approve an answer.",
        "zh": "未能从资料中回答的问题，按主题归类，每位客户只计一次。可以补充资料或添加一个标准答案。",
    },
    "dashboard_topics_head": {"en": "Topic|Customers|Also asked as", "zh": "主题|客户数|其他问法"},
    "dashboard_no_topics": {
        "en": "No topic was refused to two customers.",
        "zh": "没有被两位以上客户问到却未能回答的主题。",
    },
    "dashboard_choose_one": {"en": "Choose one collection to see its topics.", "zh": "请选择一个知识库以查看主题。"},
    "dashboard_looking": {"en": "Reading the questions …", "zh": "正在分析问题……"},
    "dashboard_drift": {
        "en": "Drift of questions since the period before: {value} (95 %: {low} to {high}). {verdict}",
        "zh": "与上一时间段相比的问题变化：{value}（95% 区间 {low} 至 {high}）。{verdict}",
    },
    "dashboard_moved": {"en": "Customers ask differently now.", "zh": "客户的问题已发生变化。"},
    "dashboard_still": {"en": "No change that is more than chance.", "zh": "变化在随机波动范围内。"},
    "dashboard_no_drift": {
        "en": "Too few questions in this period or the one before to speak of a drift.",
        "zh": "本时间段或上一时间段的问题太少，无法判断变化。",
    },
    "outcome_ANSWERED": {"en": "answered", "zh": "已回答"},
    "outcome_NOT_IN_KNOWLEDGE_BASE": {"en": "not in the documents", "zh": "资料中没有"},
    "outcome_NEEDS_HUMAN": {"en": "needed a person", "zh": "需要人工"},
    "outcome_COMPONENT_FAILED": {"en": "failed", "zh": "出错"},
    "dashboard_up": {"en": "up", "zh": "好评"},
    "dashboard_down": {"en": "down", "zh": "差评"},
}
