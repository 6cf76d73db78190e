"""The words of signing in and of the Team tab, by language. Merged into the page's by `texts.py`."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "user_name": {"en": "User name", "zh": "用户名"},
    "user_name_hint": {"en": "Empty: the owner", "zh": "留空即为所有者"},
    "own_password": {"en": "Choose or change your password", "zh": "设置或修改密码"},
    "new_password": {"en": "New password", "zh": "新密码"},
    "new_password_hint": {"en": "At least 10 characters", "zh": "至少 10 个字符"},
    "choose_password": {
        "en": "This password was for once. Choose your own below; it is the one from now on.",
        "zh": "这是一次性密码。请在下方设置您自己的密码，以后用新密码登录。",
    },
    "leave_as": {"en": "Sign out ({name})", "zh": "退出（{name}）"},
    "not_allowed": {
        "en": "Your account ({role}) may look, not change this. Ask the owner.",
        "zh": "您的账号（{role}）可以查看，但不能更改。请联系所有者。",
    },
    "owners_only": {"en": "This is for the owner.", "zh": "仅限所有者。"},
    "sso": {"en": "Sign in with {provider}", "zh": "使用 {provider} 登录"},
    "sso_refused": {
        "en": "The identity provider did not let you in, or your account there has no role here. Ask the owner.",
        "zh": "身份提供方未通过登录，或您的账号在此没有角色。请联系所有者。",
    },
    "owner": {"en": "owner", "zh": "所有者"},
    "staff": {"en": "staff", "zh": "客服"},
    "viewer": {"en": "viewer", "zh": "只读"},
    "team_title": {"en": "Team", "zh": "团队"},
    "team_hint": {
        "en": "Who may enter this page. A viewer looks; staff also works at the desk and keeps documents; an owner "
        "also trains, erases and decides here.",
        "zh": "谁可以进入此页面。只读账号可查看；客服还可接待客户、维护文档；所有者还可训练、清除数据并管理账号。",
    },
    "team_head": {"en": "User name|Role|Added|Last sign-in|", "zh": "用户名|角色|添加时间|上次登录|"},
    "team_never": {"en": "never", "zh": "从未"},
    "team_waiting": {"en": "has to choose a password", "zh": "尚未设置密码"},
    "team_sso": {"en": "by the identity provider", "zh": "由身份提供方登录"},
    "team_setting": {"en": "password from the settings", "zh": "密码来自设置"},
    "team_name": {"en": "User name or e-mail", "zh": "用户名或邮箱"},
    "team_role": {"en": "Role", "zh": "角色"},
    "team_add": {"en": "Add", "zh": "添加"},
    "team_account": {"en": "Account", "zh": "账号"},
    "team_set_role": {"en": "Change role", "zh": "更改角色"},
    "team_renew": {"en": "New one-time password", "zh": "新的一次性密码"},
    "team_remove": {"en": "Remove", "zh": "删除"},
    "team_once": {
        "en": "One-time password of {name}: {password}  Pass it on now; it is shown once, and whoever signs in with it "
        "chooses their own.",
        "zh": "{name} 的一次性密码：{password}  请立即转告；它只显示一次，首次登录时须设置自己的密码。",
    },
    "team_removed": {"en": "{name} is removed and signed out.", "zh": "{name} 已删除并退出登录。"},
    "team_changed": {"en": "{name} is {role} now.", "zh": "{name} 现在是{role}。"},
    "log_title": {"en": "Who changed what", "zh": "操作记录"},
    "log_head": {"en": "When (UTC)|Who|What|", "zh": "时间（UTC）|操作者|操作|"},
    "log_none": {"en": "Nothing was changed yet.", "zh": "尚无操作。"},
    "log_csv": {"en": "All of it as CSV", "zh": "下载全部（CSV）"},
}
