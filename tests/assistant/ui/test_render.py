"""Nothing from outside becomes markup, and every quote is shown where it stands."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.types import CollectionInfo, Document, FileVerdict, Message, Outcome, Verdict
from assistant.ui import render
from assistant.ui.render import Look
from assistant.ui.texts import words

LOOK = Look(words("en"), "zh", "help@juniper.example")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "![x](http://a/b)",
        "\n\n<img src=x>\n\n",
        "{{constructor}}",
        "$$x$$",
        "</div>",
        "&lt;b>",
    ]
)


class Tags(HTMLParser):
    """The tags, attributes and text of a piece of HTML, as a browser reads it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def answer(
    text: str = "An answer.",
    *,
    passage: str = "An answer. And more.",
    spans: tuple[tuple[int, int, int], ...] = (),
    **hit: Any,
) -> dict[str, Any]:
    """`Answer.to_dict` with one passage; `spans` are (start, end in the passage, end in the answer)."""
    found = {"passage_id": "p", "document": "a.md", "page": 3, "headings": ["Top", "Below"], "text": passage, **hit}
    cited = [
        {"passage_id": "p", "document": found["document"], "start": start, "end": end, "quote": passage[start:end],
         "page": found["page"], "answer_start": 0, "answer_end": at}
        for start, end, at in spans
    ]  # fmt: skip
    receipt = {"seconds": 0.5, "model": "m", "failed_component": None}
    return {"id": "1", "outcome": "ANSWERED", "text": text, "citations": cited, "hits": [found], "receipt": receipt}


@given(TEXT)
def test_safe_text_has_no_tag_no_line_and_reads_the_same(text: str):
    made = render.safe(text)
    assert not re.search(r"[<>\"'`*_\[\]()!$\\{}|#~\n\r]", re.sub(r"&#\d+;", "", made))
    parsed = Tags(f"<p>{made}</p>")
    assert parsed.tags == ["p"]
    plain = "".join(letter for letter in text if letter.isalnum() and letter.isprintable())
    assert [letter for letter in parsed.text if letter in plain] == list(plain) or not plain


@given(TEXT.filter(lambda text: text.isprintable() and not any(letter in text for letter in "\u200e\u200f\u061c")))
def test_printable_text_is_shown_as_it_is(text: str):
    assert html.unescape(render.safe(text)) == text


@pytest.mark.parametrize("letter", ["\u202e", "\u2066", "\u200f"])
def test_marks_that_reverse_the_reading_direction_are_left_out(letter: str):
    assert render.safe(f"a{letter}b") == "ab"


@given(TEXT, TEXT, TEXT, TEXT)
def test_an_answer_has_only_our_tags_whatever_is_in_it(text: str, passage: str, name: str, heading: str):
    data = answer(text, passage=passage, spans=((0, len(passage), len(text)),), document=name, headings=[heading])
    data["receipt"]["model"] = name
    made = render.answer(data, LOOK, 1)
    parsed = Tags(made)
    ours = {"div", "h2", "h3", "h4", "a", "span", "mark", "details", "summary", "pre", "p"}
    assert set(parsed.tags) <= ours
    assert {key for key, _ in parsed.attributes} <= {"class", "id", "href", "title"}
    assert "\n" not in made
    assert all(value == "zh#source-1-1" for key, value in parsed.attributes if key == "href")


@given(TEXT, TEXT)
def test_a_thread_and_the_tables_have_only_our_tags(text: str, name: str):
    from datetime import datetime

    from assistant.store import Turn

    turns = [Turn("1", Message("user", text), None, datetime(2026, 1, 1))]
    document = Document("d", "t", "c", name, text, "0" * 64, name, name)
    pieces = [
        render.thread(turns, LOOK, name), render.live(text, name, LOOK, text), render.welcome(name, LOOK, empty=False),
        render.documents([document], LOOK), render.notice(text, "bad"),
        render.verdicts([FileVerdict(name, Verdict.REFUSED, text)], LOOK),
        render.banner(CollectionInfo("t", "c", (text, "xx"), name, 0.5), ["en"], LOOK),
    ]  # fmt: skip
    tags = {tag for piece in pieces for tag in Tags(piece).tags}
    assert tags <= {"div", "h1", "h2", "p", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert not any("\n" in piece for piece in pieces)


def test_the_quote_is_marked_in_its_passage():
    made = render.answer(answer(passage="One. An answer. More.", spans=((5, 15, 10),)), LOOK, 0)
    assert "<mark>An answer&#46;</mark>" in made
    assert Tags(made).text.count("One. An answer. More.") == 1


@given(st.text("abc. \n", min_size=1, max_size=1200), st.data())
def test_marks_are_exactly_the_quotes(passage: str, data: st.DataObject):
    at = st.integers(0, len(passage))
    spans = [tuple(sorted((data.draw(at), data.draw(at)))) for _ in range(data.draw(st.integers(1, 4)))]
    made = render._highlighted(passage, spans, 0, len(passage))
    marked = "".join(html.unescape(piece) for piece in re.findall("<mark>(.*?)</mark>", made))
    quoted = {place for start, end in spans for place in range(start, end)}
    wanted = "".join(letter for place, letter in enumerate(passage) if place in quoted)
    assert "".join(marked.split()) == "".join(wanted.split())
    assert html.unescape(re.sub("</?mark>", "", made)) == passage


def test_a_long_passage_is_shown_around_the_quote_with_the_whole_behind_a_click():
    passage = "word " * 200 + "THE QUOTE." + " word" * 200
    made = render.answer(answer(passage=passage, spans=((1000, 1010, 5),)), LOOK, 0)
    assert made.count("<mark>THE QUOTE&#46;</mark>") == 2
    excerpt = re.search(r'excerpt">(.*?)</div>', made)
    assert excerpt is not None
    assert len(html.unescape(excerpt[1])) < 400
    assert "Whole passage" in made


def test_a_source_says_where_it_stands():
    text = Tags(render.answer(answer(spans=((0, 10, 10),)), LOOK, 0)).text
    assert "a.md" in text
    assert "Top › Below › page 3" in text


def test_two_quotes_of_one_passage_are_one_source_with_one_number():
    data = answer("One. Two.", passage="One. Two.", spans=((0, 4, 4), (5, 9, 9)))
    made = render.answer(data, LOOK, 7)
    assert made.count('class="source"') == 1
    assert made.count('href="zh#source-7-1"') == 2


def test_a_citation_of_a_passage_that_is_not_among_the_hits_still_shows_its_quote():
    data = answer(spans=((0, 10, 10),))
    data["hits"] = []
    assert "An answer." in Tags(render.answer(data, LOOK, 0)).text


@pytest.mark.parametrize("end", [-5, 0, 3, 10_000])
def test_a_marker_outside_the_text_stays_inside(end: int):
    data = answer("abcdef", spans=((0, 2, end),))
    assert Tags(render.answer(data, LOOK, 0)).text.replace("1", "", 1).startswith("Assistantabcdef")


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_outcome_has_a_chip(outcome: Outcome, language: str):
    data = answer(spans=((0, 2, 2),)) | {"outcome": outcome.value}
    made = render.answer(data, Look(words(language)), 0)
    assert f'class="chip {outcome.lower()}"' in made
    assert words(language)(outcome.value) in html.unescape(made)


@pytest.mark.parametrize("sure", [True, False])
def test_an_answer_that_may_be_none_has_no_chip_that_says_answered(sure: bool):
    data = answer(spans=((0, 2, 2),))
    data["receipt"]["sure"] = sure
    made = render.answer(data, LOOK, 0)
    assert ('class="chip answered"' in made, 'class="chip unsure"' in made) == (sure, not sure)


def test_a_failed_component_is_named():
    data = answer() | {"outcome": "COMPONENT_FAILED"}
    data["receipt"]["failed_component"] = "engine"
    assert "engine" in Tags(render.answer(data, LOOK, 0)).text


def test_a_handover_names_the_contact():
    data = answer() | {"outcome": "NEEDS_HUMAN"}
    assert "help@juniper.example" in Tags(render.answer(data, LOOK, 0)).text


def test_a_refusal_shows_what_was_looked_at():
    data = answer() | {"outcome": "NOT_IN_KNOWLEDGE_BASE"}
    assert "a.md › Top › Below" in Tags(render.answer(data, LOOK, 0)).text


def test_what_the_adapter_that_answered_has_spent_stands_in_words_above_the_receipt():
    data = answer()
    data["receipt"]["privacy"] = "support@1 had a part in this answer. <b>Its epsilon is infinite</b>."
    made = render.answer(data, LOOK, 0).partition("<pre>")[0]
    assert data["receipt"]["privacy"] in html.unescape(made)
    assert "<b>" not in made


def test_the_receipt_is_json():
    import json

    made = render.answer(answer(), LOOK, 0)
    receipt = re.search("<pre>(.*?)</pre>", made)
    assert receipt is not None
    assert json.loads(html.unescape(receipt[1])) == {
        "id": "1", "outcome": "ANSWERED", "seconds": 0.5, "model": "m", "failed_component": None
    }  # fmt: skip


def test_a_warning_names_the_languages_that_the_embedder_does_not_know():
    info = CollectionInfo("t", "c", ("en", "zh"), "minilm", 0.5)
    assert "zh" in Tags(render.banner(info, ("en",), LOOK)).text
    assert render.banner(info, ("en", "zh"), LOOK) == ""
    assert render.banner(info, (), LOOK) == ""


def test_refused_files_come_first():
    files = [FileVerdict("a", Verdict.ADDED), FileVerdict("z", Verdict.REFUSED, "It is empty.")]
    text = Tags(render.verdicts(files, LOOK)).text
    assert text.index("It is empty.") < text.index("Added")


@pytest.mark.parametrize(
    ("nats", "said"), [(2.302585, "10 times"), (20.0, "1000+ times"), (0.1, "hardly depend"), (-3.0, "hardly depend")]
)
def test_a_source_says_what_it_contributed_where_that_was_asked(nats: float, said: str):
    data = answer(spans=((0, 10, 10),))
    assert said in html.unescape(Tags(render.answer(data, LOOK, 0, {"p": nats})).text)
    assert "likely" not in Tags(render.answer(data, LOOK, 0)).text
