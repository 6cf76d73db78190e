"""The words of the Answers tab, by language. Merged into the page's by `texts.py`."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "answers_title": {"en": "Answers", "zh": "标准答案"},
    "answers_hint": {
        "en": "An approved answer is given word for word when its question is asked, also in other words with the same numbers and names. For every other question it does not exist.",
        "zh": "标准答案会在客户提出对应问题时逐字给出（换一种说法、数字和名称相同也算）；对其他问题则不起作用。",
    },
    "answers_choose": {"en": "Edit", "zh": "编辑"},
    "answers_new": {"en": "A new answer", "zh": "新建答案"},
    "answers_questions": {"en": "Questions, one a line", "zh": "问题（每行一个）"},
    "answers_answer": {"en": "Answer, as customers read it", "zh": "答案（客户看到的原文）"},
    "answers_until": {
        "en": "Valid until the end of this day in {zone} (2026-12-31; empty: for ever)",
        "zh": "有效期至当日结束，时区 {zone}（如 2026-12-31；留空为长期有效）",
    },
    "answers_sure": {
        "en": "Addresses and numbers in it are the company's own: everybody may read them",
        "zh": "其中的联系方式与号码属于公司，可向所有人公开",
    },
    "answers_approve": {"en": "Approve", "zh": "批准"},
    "answers_decline": {"en": "Decline", "zh": "拒绝"},
    "answers_switch": {"en": "Switch on or off", "zh": "启用或停用"},
    "answers_remove": {"en": "Delete", "zh": "删除"},
    "answers_mine": {"en": "Look for often asked questions (30 days)", "zh": "从最近 30 天的对话中查找常见问题"},
    "answers_waiting": {"en": "Waiting for review", "zh": "等待审核"},
    "answers_none_waiting": {"en": "Nothing waits for review.", "zh": "没有等待审核的内容。"},
    "answers_waiting_head": {"en": "Question|Suggested answer|From|Customers", "zh": "问题|建议答案|来源|客户数"},
    "answers_approved": {"en": "Approved", "zh": "已批准"},
    "answers_none": {"en": "No answer is approved yet.", "zh": "还没有标准答案。"},
    "answers_head": {"en": "Questions|Answer|Given|Approved (UTC)|", "zh": "问题|答案|使用次数|批准 (UTC)|"},
    "answers_more": {"en": "and {n} more", "zh": "另有 {n} 个"},
    "answers_live": {"en": "live", "zh": "使用中"},
    "answers_off": {"en": "off", "zh": "停用"},
    "answers_expired": {"en": "expired", "zh": "已过期"},
    "answers_done": {"en": "Approved: customers get it from now on.", "zh": "已批准，即刻生效。"},
    "answers_declined": {"en": "Declined.", "zh": "已拒绝。"},
    "answers_removed": {"en": "Deleted.", "zh": "已删除。"},
    "answers_switched_on": {"en": "Switched on.", "zh": "已启用。"},
    "answers_switched_off": {"en": "Switched off.", "zh": "已停用。"},
    "answers_mined": {"en": "{n} often asked questions wait for review.", "zh": "有 {n} 个常见问题等待审核。"},
    "answers_no_collection": {"en": "There are no documents yet.", "zh": "还没有文档。"},
    "answers_choose_first": {"en": "Choose one first.", "zh": "请先选择一项。"},
    "answers_bad_date": {
        "en": "“{text}” is no date: 2026-12-31 is one.",
        "zh": "“{text}”不是有效日期，请写成 2026-12-31。",
    },
    "source_desk": {"en": "desk", "zh": "客服台"},
    "source_correction": {"en": "correction", "zh": "客户更正"},
    "source_mined": {"en": "conversations", "zh": "对话"},
    "source_staff": {"en": "staff", "zh": "员工"},
}
