"""The page's own words, by language. A third language is one more column.

The words of the back end are in `assistant/texts.py`; the company's are quoted from its documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from assistant.texts import fill
from assistant.ui import texts_answers, texts_dashboard, texts_desk, texts_loop, texts_team

LANGUAGES = ("en", "zh")
NAMES = {"en": "English", "zh": "中文"}
Say = Callable[..., str]

TEXTS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "{company} assistant", "zh": "{company}智能助手"},
    "assistant": {"en": "Assistant", "zh": "智能助手"},
    "you": {"en": "You", "zh": "您"},
    "new": {"en": "New conversation", "zh": "新对话"},
    "conversations": {"en": "Your conversations", "zh": "您的对话"},
    "no_conversations": {"en": "Conversations you have will be kept here.", "zh": "您的对话会保存在这里。"},
    "delete": {"en": "Delete this conversation", "zh": "删除此对话"},
    "staff_page": {"en": "Staff", "zh": "员工页面"},
    "to_chat": {"en": "Back to the chat", "zh": "返回对话"},
    "collection": {"en": "Ask about", "zh": "咨询范围"},
    "question": {"en": "Your question", "zh": "您的问题"},
    "placeholder": {"en": "Ask a question …", "zh": "请输入您的问题……"},
    "send": {"en": "Send", "zh": "发送"},
    "stop": {"en": "Stop", "zh": "停止"},
    "retry": {"en": "Ask again", "zh": "重新回答"},
    "edit": {"en": "Edit question", "zh": "修改问题"},
    "cancel": {"en": "Cancel", "zh": "取消"},
    "editing": {
        "en": "You are editing your last question; its answer will be replaced.",
        "zh": "您正在修改上一个问题，原回答将被替换。",
    },
    "hello": {"en": "How can we help?", "zh": "请问有什么可以帮您？"},
    "promise": {
        "en": "Every answer quotes {company}'s own documents and shows where it comes from.",
        "zh": "每个回答都引用{company}的资料原文，并注明出处。",
    },
    "examples": {"en": "For example", "zh": "您可以这样问"},
    "collection_gone": {
        "en": "The documents that this conversation is about were removed. Begin a new conversation.",
        "zh": "此对话所依据的文档已被移除，请新建对话。",
    },
    "empty_collection": {
        "en": "There are no documents yet. Add some on the staff's page.",
        "zh": "还没有任何文档，请先在员工页面的“文档管理”中添加。",
    },
    "searching": {"en": "Looking in the documents …", "zh": "正在查找资料……"},
    "waiting": {"en": "Your question is number {n} in the line …", "zh": "您的问题排在第 {n} 位……"},
    "reading": {"en": "Reading {n} {n:passage|passages} …", "zh": "正在阅读 {n} 段资料……"},
    "stopped": {"en": "Stopped before an answer.", "zh": "已停止，尚无回答。"},
    "ANSWERED": {"en": "Answered from the documents", "zh": "已根据资料回答"},
    "UNSURE": {"en": "Perhaps no answer", "zh": "仅供参考"},
    "CHAT": {"en": "Reply", "zh": "回复"},
    "NOT_IN_KNOWLEDGE_BASE": {"en": "Not in the documents", "zh": "资料中没有"},
    "NEEDS_HUMAN": {"en": "A person will take over", "zh": "转人工客服"},
    "COMPONENT_FAILED": {"en": "A component failed", "zh": "部分组件出错"},
    "failed_component": {"en": "Not working: {component}", "zh": "未能工作的组件：{component}"},
    "contact": {"en": "You can reach a person here: {contact}", "zh": "人工客服联系方式：{contact}"},
    "sources": {"en": "Sources", "zh": "出处"},
    "why": {"en": "Why this answer?", "zh": "为什么这样回答？"},
    "why_part": {
        "en": "Without this passage the model finds its answer {times} times less likely.",
        "zh": "没有这段资料，模型给出该回答的可能性会降低到 1/{times}。",
    },
    "why_none": {
        "en": "The model's words hardly depend on this passage (another may say the same).",
        "zh": "模型的措辞几乎不依赖这段资料（其他资料可能说了同样的内容）。",
    },
    "why_impossible": {"en": "This answer was not made from passages.", "zh": "该回答不是根据资料生成的。"},
    "source": {"en": "Source {n}", "zh": "出处 {n}"},
    "page": {"en": "page {n}", "zh": "第 {n} 页"},
    "whole": {"en": "Whole passage", "zh": "查看整段"},
    "looked_at": {"en": "Passages that were looked at", "zh": "查看过的资料"},
    "receipt": {"en": "Receipt", "zh": "回执"},
    "rate_up": {"en": "Helpful", "zh": "有帮助"},
    "rate_down": {"en": "Not helpful", "zh": "没有帮助"},
    "rate_correction": {"en": "What would be right?", "zh": "正确的答案应该是什么？"},
    "rate_consent": {
        "en": "This conversation may be used to improve the assistant",
        "zh": "允许用这段对话来改进智能助手",
    },
    "rate_send": {"en": "Send", "zh": "提交"},
    "rate_thanks": {"en": "Thank you.", "zh": "谢谢您的反馈。"},
    "rate_refused": {"en": "That could not be sent. Reload the page.", "zh": "提交失败，请刷新页面后重试。"},
    "language_warning": {
        "en": "Some documents here are in a language that the search model ({embedder}) does not know ({languages}). Answers about them may be missing.",
        "zh": "部分文档的语言（{languages}）不受检索模型（{embedder}）支持，相关问题可能查不到答案。",
    },
    "gone": {"en": "This conversation is not available.", "zh": "此对话不可用。"},
    "address_refused": {
        "en": "This is not an e-mail address (for example: name@example.com), or nobody is needed any more.",
        "zh": "邮箱地址不正确（例如 name@example.com），或已不再需要人工客服。",
    },
    "broken": {"en": "Something went wrong on our side. Please try again.", "zh": "我们这边出了问题，请重试。"},
    # The staff's page
    "documents_title": {"en": "Documents", "zh": "文档管理"},
    "documents_hint": {
        "en": "What the assistant may answer from. PDF, Word, HTML, Markdown, text, CSV, Excel, or a zip of them.",
        "zh": "智能助手回答的依据。支持 PDF、Word、HTML、Markdown、文本、CSV、Excel，或包含它们的 zip。",
    },
    "password": {"en": "Password", "zh": "密码"},
    "password_hint": {
        "en": "This page is for the shop's staff. The owner's password is in the settings, or in the file that the server named when it started.",
        "zh": "此页面仅供商家员工使用。密码在设置中，或在服务器启动时提示的文件里。",
    },
    "enter": {"en": "Sign in", "zh": "登录"},
    "leave": {"en": "Sign out", "zh": "退出登录"},
    "wrong_password": {
        "en": "That is not the password, or there were too many tries. Wait a minute and try again.",
        "zh": "密码不正确，或尝试次数过多。请稍等一分钟再试。",
    },
    "not_inside": {"en": "Please sign in again.", "zh": "请重新登录。"},
    "which_collection": {"en": "Collection", "zh": "知识库"},
    "which_collection_hint": {
        "en": "Choose one, or type a new name: small letters, digits, - and _.",
        "zh": "请选择，或输入新名称：小写字母、数字、- 和 _。",
    },
    "bad_collection": {
        "en": "A collection's name has small letters, digits, - and _ only.",
        "zh": "知识库名称只能包含小写字母、数字、- 和 _。",
    },
    "files": {"en": "Files to add", "zh": "要添加的文件"},
    "add": {"en": "Add to the collection", "zh": "添加到知识库"},
    "no_files": {"en": "Choose files first.", "zh": "请先选择文件。"},
    "adding": {"en": "Reading the files", "zh": "正在读取文件"},
    "added_summary": {
        "en": "{documents} {documents:document|documents} and {passages} {passages:passage|passages} are in “{collection}” now; it took {seconds} s.",
        "zh": "“{collection}”现有 {documents} 个文档、{passages} 段资料；用时 {seconds} 秒。",
    },
    "verdict_head": {"en": "File|Verdict|Passages|Reason", "zh": "文件|结果|段数|说明"},
    "added": {"en": "Added", "zh": "已添加"},
    "replaced": {"en": "Replaced", "zh": "已替换"},
    "unchanged": {"en": "Unchanged", "zh": "未变化"},
    "removed": {"en": "Removed", "zh": "已删除"},
    "refused": {"en": "Refused", "zh": "未接受"},
    "documents_head": {
        "en": "Document|Kind|Language|Characters",
        "zh": "文档|类型|语言|字数",
    },
    "no_documents": {"en": "No documents in this collection.", "zh": "此知识库中没有文档。"},
    "to_remove": {"en": "Documents to remove", "zh": "要删除的文档"},
    "remove": {"en": "Remove", "zh": "删除"},
    "removed_summary": {"en": "Removed {n} from “{collection}”.", "zh": "已从“{collection}”中删除 {n} 个文档。"},
    "collection_facts": {
        "en": "{documents} {documents:document|documents} · {passages} {passages:passage|passages} · languages: {languages} · search model: {embedder}",
        "zh": "{documents} 个文档 · {passages} 段资料 · 语言：{languages} · 检索模型：{embedder}",
    },
    # The Train page
    "train_title": {"en": "Training", "zh": "训练"},
    "train_hint": {
        "en": "Teach the assistant from your own conversations. What is learned is an adapter: it is judged first, put to use only where nothing got worse, and taken back with one click.",
        "zh": "用您自己的对话训练智能助手。学到的内容是一个适配器：先评估，只有各项指标都没有变差才会启用，并可一键撤回。",
    },
    "train_exam_hint": {
        "en": "The exam judges the adapter: for answers a golden file of questions; for classes and entities records that were not trained on. Without an exam, answers are kept aside.",
        "zh": "评测题用于评估适配器：回答用标准问答文件；分类与实体用未参与训练的数据。没有评测题时，回答适配器不会自动启用。",
    },
    "train_task": {"en": "What is learned", "zh": "学习内容"},
    "train_chat": {"en": "Answers", "zh": "回答"},
    "train_classify": {"en": "Classes of texts", "zh": "文本分类"},
    "train_tag": {"en": "Entities", "zh": "实体"},
    "train_data": {"en": "Records (JSONL, CSV)", "zh": "训练数据（JSONL、CSV）"},
    "train_suite": {"en": "Exam (optional)", "zh": "评测题（可选）"},
    "train_check": {"en": "Check the records", "zh": "检查数据"},
    "train_name": {"en": "Name of the adapter", "zh": "适配器名称"},
    "train_epochs": {"en": "Passes over the records", "zh": "训练轮数"},
    "train_rank": {"en": "Size (rank)", "zh": "大小（rank）"},
    "train_small": {"en": "For a small machine: adapts the upper layers only", "zh": "适合小型机器：只调整上层"},
    "train_private": {
        "en": "With differential privacy: bounds what the adapter may reveal of any one customer",
        "zh": "使用差分隐私训练：限制适配器可能透露的单个客户信息",
    },
    "train_epsilon": {"en": "Epsilon, after this training", "zh": "训练后的 epsilon"},
    "train_delta": {"en": "Delta", "zh": "delta"},
    "train_unit": {"en": "Hides the presence of a", "zh": "保护单位"},
    "train_batch": {"en": "Records or customers a step", "zh": "每步的记录数或客户数"},
    "quote": {
        "en": "This would spend epsilon {epsilon} at delta {delta} per {unit}: noise {noise}, {steps} {steps:step|steps}, signal to noise {signal}. Under 0.01 little is learned.",
        "zh": "此训练将对每个{unit}消耗 epsilon {epsilon}（delta {delta}）：噪声 {noise}，{steps} 步，信噪比 {signal}。低于 0.01 时几乎学不到内容。",
    },
    "quote_head": {"en": "Epsilon|Noise|Signal to noise", "zh": "epsilon|噪声|信噪比"},
    "quote_go": {
        "en": "Nothing is spent yet. Press Start again to train by this plan.",
        "zh": "尚未消耗任何预算。再次点击“开始训练”即按此方案训练。",
    },
    "train_start": {"en": "Start training", "zh": "开始训练"},
    "train_stop": {"en": "Stop", "zh": "停止"},
    "train_resume": {"en": "Go on with “{name}”", "zh": "继续训练“{name}”"},
    "train_unfinished": {
        "en": "A training called “{name}” was cut short and can go on. Choose another name, or go on with it.",
        "zh": "名为“{name}”的训练曾被中断，可以继续。请换一个名称，或继续该训练。",
    },
    "train_no_data": {"en": "Choose a file with records first.", "zh": "请先选择训练数据文件。"},
    "train_good": {"en": "No line is wrong.", "zh": "没有发现错误。"},
    "train_statistics_head": {"en": "In the records|", "zh": "数据概况|"},
    "train_labels_head": {"en": "Label|Records", "zh": "标签|数量"},
    "stat_records": {"en": "Records", "zh": "条数"},
    "stat_customers": {"en": "Customers", "zh": "客户数"},
    "stat_duplicates": {"en": "Duplicates", "zh": "重复"},
    "stat_characters_median": {"en": "Characters, median", "zh": "字符数（中位数）"},
    "stat_characters_longest": {"en": "Characters, longest", "zh": "字符数（最长）"},
    "stat_grounded": {"en": "With passages", "zh": "带资料原文"},
    "stat_labels": {"en": "Labels", "zh": "标签数"},
    "train_idle": {"en": "No training has run since the server started.", "zh": "服务器启动后尚未训练。"},
    "train_preparing": {"en": "Reading the records and loading the model …", "zh": "正在读取数据并加载模型……"},
    "train_training": {
        "en": "Step {step} of {steps} · loss {loss} · {rate} tokens/s · {left} left",
        "zh": "第 {step}/{steps} 步 · 损失 {loss} · {rate} 词元/秒 · 剩余 {left}",
    },
    "train_judging": {"en": "Asking the exam, {what}: {done} of {total}", "zh": "正在评测（{what}）：{done}/{total}"},
    "before": {"en": "before", "zh": "训练前"},
    "after": {"en": "after", "zh": "训练后"},
    "train_interrupted": {"en": "Stopped. It can go on from where it was.", "zh": "已停止，可以从中断处继续。"},
    "train_live": {"en": "{adapter} is trained and live.", "zh": "{adapter} 已训练完成并启用。"},
    "train_aside": {"en": "{adapter} is trained and kept aside: {why}", "zh": "{adapter} 已训练完成，暂不启用：{why}"},
    "train_curve": {"en": "Loss by step, from {first} to {last}", "zh": "各步损失：从 {first} 到 {last}"},
    "train_picture": {"en": "The training of {adapter}: loss by step", "zh": "{adapter} 的训练：各步损失"},
    "adapters_title": {"en": "Adapters", "zh": "适配器"},
    "adapters_head": {"en": "Adapter|Task|Records|Made|In use", "zh": "适配器|任务|数据量|日期|使用情况"},
    "adapters_none": {"en": "No adapter has been trained yet.", "zh": "还没有训练过适配器。"},
    "adapter": {"en": "Adapter", "zh": "适配器"},
    "measures_head": {"en": "{suite}|Before|After|Change", "zh": "{suite}|训练前|训练后|变化"},
    "not_judged": {"en": "No exam has judged this adapter.", "zh": "此适配器尚未经过评测。"},
    "use": {"en": "Put to use", "zh": "启用"},
    "use_force": {"en": "Although the exam objects (its card will say so)", "zh": "忽略评测结果强制启用（会记入说明）"},
    "rollback": {"en": "Back to what answered before", "zh": "恢复到之前的版本"},
    "used": {"en": "{adapter} answers from the next question on.", "zh": "从下一个问题起由 {adapter} 回答。"},
    "switched_off": {"en": "{adapter} is switched off.", "zh": "{adapter} 已停用。"},
    "bare_model": {"en": "the bare model", "zh": "原始模型"},
    "live": {"en": "live", "zh": "已启用"},
    "refresh": {"en": "Refresh", "zh": "刷新"},
    # The Privacy tab
    "privacy_title": {"en": "Privacy", "zh": "隐私"},
    "privacy_hint": {
        "en": "What training may reveal of a customer, what left this machine, and how to forget somebody.",
        "zh": "训练可能透露多少客户信息、哪些内容离开过本机，以及如何删除某位客户的数据。",
    },
    "privacy_training": {"en": "Spent by training", "zh": "训练的隐私消耗"},
    "privacy_no_spend": {
        "en": "No training is on the book, and no budget is set.",
        "zh": "账本上没有训练记录，也未设置预算。",
    },
    "privacy_spent": {
        "en": "ε {spent} of {budget} spent, {left} left.",
        "zh": "已消耗 ε {spent}，预算 {budget}，剩余 {left}。",
    },
    "privacy_no_budget": {"en": "ε {spent} spent; no budget is set.", "zh": "已消耗 ε {spent}，未设置预算。"},
    "privacy_infinite": {
        "en": "No bound: there was training without differential privacy, so nothing limits what a model may reveal of a {unit}.",
        "zh": "无上限：曾进行过没有差分隐私的训练，模型可能透露任何{unit}的信息，程度不受限制。",
    },
    "privacy_per": {"en": "Per {unit}, at δ {delta}.", "zh": "以{unit}为单位，δ = {delta}。"},
    "unit_example": {"en": "record", "zh": "记录"},
    "unit_customer": {"en": "customer", "zh": "客户"},
    "unit_partner": {"en": "partner", "zh": "合作方"},
    "privacy_everyone": {"en": "All customers, over all data sets", "zh": "全部客户（所有数据集合计）"},
    "privacy_people": {"en": "Customers of “{name}”, over their data sets", "zh": "“{name}”的客户（所有数据集合计）"},
    "privacy_not_covered": {
        "en": "Not covered by ε: answers quoted from documents, and text sent to a remote engine.",
        "zh": "ε 不涵盖：从文档引用的回答，以及发送到远程引擎的文本。",
    },
    "privacy_history_head": {
        "en": "At (UTC)|Data set|For|Mechanism|Noise|Steps",
        "zh": "时间 (UTC)|数据集|用途|机制|噪声|步数",
    },
    "privacy_nonprivate": {"en": "not private", "zh": "非隐私"},
    "privacy_open": {"en": "(open)", "zh": "（未结算）"},
    "forget_title": {"en": "Forget a customer", "zh": "删除客户数据"},
    "forget_hint": {
        "en": "Deletes conversations, feedback, documents, vectors, caches and training rows of one customer, and signs a receipt. It cannot be undone.",
        "zh": "删除一位客户的对话、反馈、文档、向量、缓存和训练数据，并签发回执。此操作无法撤销。",
    },
    "find_text": {
        "en": "What they wrote: an e-mail address, an order number …",
        "zh": "客户写过的内容：邮箱、订单号……",
    },
    "find": {"en": "Find", "zh": "查找"},
    "find_head": {"en": "Customer|Conversations|Last (UTC)", "zh": "客户|对话数|最近 (UTC)"},
    "find_nobody": {
        "en": "Nobody wrote that. Give at least three characters.",
        "zh": "没有人写过。请至少输入三个字符。",
    },
    "customer_id": {"en": "Customer's id", "zh": "客户编号"},
    "forget_sure": {"en": "Delete everything of this customer", "zh": "确认删除该客户的全部数据"},
    "forget_unsure": {"en": "Tick the box first: it cannot be undone.", "zh": "请先勾选确认：此操作无法撤销。"},
    "forget": {"en": "Forget", "zh": "删除"},
    "forgot": {
        "en": "Deleted: {rows} {rows:row|rows}, {documents} {documents:document|documents}, {lines} {lines:line|lines} of files, {copies} cached {copies:copy|copies}. Then {strings} {strings:string was|strings were} searched for in every file.",
        "zh": "已删除：{rows} 条记录、{documents} 个文档、{lines} 行文件内容、{copies} 个缓存副本；随后在所有文件中搜索了 {strings} 个字符串。",
    },
    "forgot_trace": {"en": "Still there, and not ours to change: {file}", "zh": "仍有残留且无法自动更改：{file}"},
    "not_undone": {"en": "What this does not undo:", "zh": "无法撤销的部分："},
    "receipt_of": {"en": "Receipt of {when}", "zh": "{when} 的回执"},
    "egress_title": {"en": "What left this machine", "zh": "离开本机的内容"},
    "egress_none": {"en": "Nothing was sent to a remote engine.", "zh": "没有向远程引擎发送过任何内容。"},
    "egress_sum": {
        "en": "Requests: {n}, {bytes} bytes in all. The text itself is not kept.",
        "zh": "共 {n} 次请求，{bytes} 字节。不保存文本本身。",
    },
    "egress_local": {"en": "Never sent away: {names}", "zh": "禁止外发：{names}"},
    "egress_head": {"en": "At (UTC)|Destination|Collection|Bytes|Digest", "zh": "时间 (UTC)|目的地|知识库|字节|摘要"},
    # Recommendations
    "goods_title": {"en": "Recommendations", "zh": "商品推荐"},
    "goods_hint": {
        "en": "What a customer did, what they are recommended and why. Conditions are applied before anything is ranked.",
        "zh": "查看客户的行为、推荐结果及理由。先按条件筛选，再排序。",
    },
    "goods_catalogue": {"en": "Catalogue", "zh": "商品目录"},
    "goods_customer": {"en": "Customer", "zh": "客户"},
    "goods_request": {"en": "Request", "zh": "需求"},
    "goods_request_example": {"en": "waterproof boots under 100, not leather", "zh": "100 以下的防水靴，不要皮革"},
    "goods_filter": {"en": "Filter in force", "zh": "当前筛选条件"},
    "goods_filter_hint": {
        "en": "Edit it and apply: price < 100; colour = blue | navy; material != leather",
        "zh": "可编辑后应用（字段名用英文）：price < 100; colour = blue | navy; material != leather",
    },
    "goods_ask": {"en": "Recommend", "zh": "推荐"},
    "goods_refine": {"en": "Apply the edited filter", "zh": "应用修改后的条件"},
    "goods_none": {
        "en": "There is no catalogue yet: `confide catalog import FILE` reads one.",
        "zh": "还没有商品目录：请运行 `confide catalog import FILE` 导入。",
    },
    "goods_left": {"en": "{n} fit", "zh": "共 {n} 项符合"},
    "goods_more": {"en": "Details", "zh": "详情"},
    "goods_stock": {"en": "{n} in stock", "zh": "库存 {n}"},
    "goods_no_stock": {"en": "Out of stock", "zh": "缺货"},
    "goods_history": {"en": "History", "zh": "历史记录"},
    "goods_no_history": {"en": "Nothing is known of this customer yet.", "zh": "暂无此客户的记录。"},
    "goods_history_head": {"en": "Day|What|Item", "zh": "日期|行为|商品"},
    "goods_item": {"en": "What happened with", "zh": "记录对商品的行为"},
    "goods_event": {"en": "Event", "zh": "行为"},
    "goods_record": {"en": "Record", "zh": "记录"},
    "goods_view": {"en": "viewed", "zh": "浏览"},
    "goods_click": {"en": "clicked", "zh": "点击"},
    "goods_cart": {"en": "into the cart", "zh": "加入购物车"},
    "goods_buy": {"en": "bought", "zh": "购买"},
    "goods_rating": {"en": "rated", "zh": "评分"},
    "goods_dismiss": {"en": "not for me", "zh": "不感兴趣"},
    "goods_click_it": {"en": "I like this", "zh": "感兴趣"},
    "goods_buy_it": {"en": "I have this", "zh": "已购买"},
    "goods_dismiss_it": {"en": "Not for me", "zh": "不感兴趣"},
    "goods_propensity": {"en": "How likely are purchases? (takes a moment)", "zh": "购买概率（需要片刻）"},
    "goods_propensity_of": {
        "en": "The probability that a customer buys an item within {days} days, on {n} pairs of customers it never saw: predicted and observed differ by {error} on average.",
        "zh": "客户在 {days} 天内购买某商品的概率；在未见过的 {n} 组客户与商品上，预测与实际平均相差 {error}。",
    },
    "goods_likely_head": {
        "en": "What this customer is recommended|How likely it is bought",
        "zh": "为该客户推荐的商品|购买概率",
    },
    "goods_reliability_head": {"en": "Predicted|Observed|Pairs|", "zh": "预测|实际|组数|"},
    **texts_answers.TEXTS,
    **texts_dashboard.TEXTS,
    **texts_desk.TEXTS,
    **texts_loop.TEXTS,
    **texts_team.TEXTS,
}


def words(language: str) -> Say:
    """The function that says a text in one language.

    >>> words("en")("page", n=3)
    'page 3'
    """

    def say(key: str, **values: object) -> str:
        return fill(TEXTS[key][language], language, **values)

    return say
