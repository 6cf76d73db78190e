"""HTML and Markdown: headings, paragraphs, lists and tables, as a reader of the page sees them.

What the page does not show is not read: scripts, styles, navigation, hidden elements, comments.
Text is inserted plain; nothing of the markup survives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from assistant.retrieval.formats.layout import Draft, Parsed, one_line
from assistant.retrieval.formats.plain import decode

if TYPE_CHECKING:
    from bs4.element import Tag
    from markdown_it.token import Token

_DROPPED = (
    "script style noscript template nav iframe object embed svg canvas math audio video head select option datalist "
    "textarea input dialog"
).split()
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form header hgroup "
    "html li main ol p pre section summary table ul h1 h2 h3 h4 h5 h6 caption tr td th hr".split()
)
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])", re.I
)
_PAIR = r"""[\w"'][\w"'./-]*(?: [\w"'./-]+)?:(?:[ \t].*)?"""
_FRONT_MATTER = re.compile(rf"\A---[ \t]*\n{_PAIR}\n(?:(?:{_PAIR}|-[ \t].*|[ \t].*|)\n)*?(?:---|\.\.\.)[ \t]*\n")
"""From "key: value" on more of them, list items, lines that are indented or blank: anything else there is text."""
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_-]{2,30})""", re.I)


def read_html(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """An HTML page. Its title is a heading where it has no h1."""
    draft = Draft(max_bytes)
    _add_html(draft, _decode_html(data), titled=True)
    return draft.finish("html")


def _decode_html(data: bytes) -> str:
    """By what the bytes are; a page that names an encoding of one byte is taken at its word."""
    if declared := _CHARSET.search(data[:4096]):
        encoding = declared[1].decode("ascii").lower()
        encoding = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(encoding, encoding)
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            try:
                return data.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                pass
    return decode(data)


def _add_html(draft: Draft, text: str, *, titled: bool) -> None:
    from bs4 import BeautifulSoup
    from bs4.element import PreformattedString

    soup = BeautifulSoup(text, "lxml")
    title = soup.title.get_text() if soup.title else ""
    for hidden in [tag for tag in soup.find_all(True) if tag.name in _DROPPED or _is_hidden(tag)]:
        hidden.decompose()
    for note in soup.find_all(string=lambda string: isinstance(string, PreformattedString)):
        note.extract()
    if titled and not soup.find("h1"):
        draft.heading(1, title)
    _walk(draft, soup)


def _is_hidden(tag: Tag) -> bool:
    if tag.attrs is None:  # its parent was removed
        return False
    style = str(tag.get("style") or "")
    return tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or bool(_HIDDEN_STYLE.search(style))


def _walk(draft: Draft, root: Tag) -> None:
    """Blocks in reading order, without recursion: a page may nest deeper than Python's stack."""
    from bs4.element import NavigableString, Tag

    inline: list[str] = []
    stack: list[Tag | NavigableString | None] = [root]
    bullets = 0

    def flush() -> None:
        nonlocal bullets
        text = "\n".join(one_line(line) for line in "".join(inline).split("\x1e"))
        inline.clear()
        if text.strip():
            draft.block(f"- {text.strip()}" if bullets else text)
            bullets = 0

    while stack:
        node = stack.pop()
        if node is None:
            flush()
            bullets = 0
        elif isinstance(node, NavigableString):
            inline.append(str(node))
        elif node.name == "br":
            inline.append("\x1e")
        elif node.name in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            flush()
            draft.heading(int(node.name[1]), node.get_text(" "))
        elif node.name == "table" and not node.find("table"):
            flush()
            _add_table(draft, node)
        else:
            block = node.name in _BLOCKS
            if block:
                flush()
                bullets = int(node.name == "li")
                stack.append(None)
            stack.extend(reversed([child for child in node.contents if isinstance(child, Tag | NavigableString)]))
    flush()


def _add_table(draft: Draft, table: Tag) -> None:
    """A table's rows; a first row of th cells, or a thead, names the columns."""
    if caption := table.find("caption"):
        draft.block(one_line(caption.get_text(" ")))
    rows = table.find_all("tr")
    cells = [[cell.get_text(" ") for cell in row.find_all(["td", "th"])] for row in rows]
    first = rows[0].find_all(["td", "th"]) if rows else []
    header = bool(first) and (all(cell.name == "th" for cell in first) or rows[0].find_parent("thead") is not None)
    draft.table(cells, header=header)


def read_markdown(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A Markdown file: headings by its structure, links and emphasis as their text."""
    from markdown_it import MarkdownIt

    text = _FRONT_MATTER.sub("", decode(data).replace("\r\n", "\n").replace("\r", "\n"))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    draft = Draft(max_bytes)
    _add_markdown(draft, tokens)
    return draft.finish("md")


def _add_markdown(draft: Draft, tokens: list[Token]) -> None:
    """Appends a token stream. A list is one block a level-one item run, items on lines with "- "."""
    items: list[str] = []
    rows: list[list[str]] = []
    depth, fresh = 0, False
    for at, token in enumerate(tokens):
        kind = token.type
        if kind in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif kind in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
            if not depth:
                draft.block("\n".join(items))
                items = []
        elif kind == "list_item_open":
            fresh = True
        elif kind == "tr_open":
            rows.append([])
        elif kind == "table_close":
            draft.table(rows, header=True)
            rows = []
        elif kind in {"inline", "fence", "code_block", "html_block"}:
            text = _inline(token) if kind == "inline" else token.content
            before = tokens[at - 1].type if at else ""
            if before == "heading_open" and not depth:
                draft.heading(int(tokens[at - 1].tag[1]), text)
            elif before in {"th_open", "td_open"}:
                rows[-1].append(text)
            elif depth:
                indent = "  " * (depth - 1)
                items += [f"{indent}{'- ' if fresh else '  '}{text.strip()}"]
                fresh = False
            elif kind == "html_block":
                _add_html(draft, text, titled=False)
            else:
                draft.block(text)


def _inline(token: Token) -> str:
    """The text of an inline token: a wrapped line goes on with a space, a hard break is a line end."""
    parts: list[str] = []
    for child in token.children or []:
        if child.type in {"text", "code_inline"} or child.type == "image":
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append(" ")
        elif child.type == "hardbreak" or (child.type == "html_inline" and child.content.lower().startswith("<br")):
            parts.append("\n")
    return "".join(parts)
