"""The Training tab's HTML: nothing from outside is markup, and the drawings survive the page's sanitizer."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from shelves import CARD

from assistant.finetune import Judging, Trained
from assistant.runs import Prepared
from assistant.trainer import State
from assistant.tuning.loop import Progress, TrainingResult
from assistant.types import Measure, Report
from assistant.ui import render_train
from assistant.ui.render import Look
from assistant.ui.texts import words

LOOK = Look(words("en"))
OURS = {"div", "p", "svg", "rect", "line", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "span"}
STEP = Progress(3, 10, 0.3, 1.5, 1e-4, 80.0, 65.0)
nasty = st.sampled_from(["<img src=x onerror=alert(1)>", "[a](javascript:x)", "`x`", "{{x}}", "<svg/onload=x>"])


def tags(html):
    return set(re.findall(r"</?([a-z0-9]+)", html))


@given(nasty)
def test_names_warnings_and_errors_are_shown_as_text(text):
    judged = replace(CARD, name="a", notes=(text,), after=Report(text, (Measure(text, 1.0, 0.5, 1.5, 3),)))
    shown = [
        render_train.data({"records": 3.0}, {text: 2}, [text], LOOK),
        render_train.state(State("failed", error=f"{text}\n{text}"), LOOK),
        render_train.state(State("preparing", prepared=Prepared(1, 1, {}, {}, (text,))), LOOK),
        render_train.before_after(judged, LOOK),
        render_train.adapters([replace(judged, created=text)], {}, LOOK),
    ]
    for html in shown:
        assert tags(html) <= OURS
        assert text not in html


def test_every_phase_says_how_it_stands():
    result = TrainingResult("finished", 10, (), (), 10, 100, 1.0, "float32")
    wanted = {
        "No training": State(),
        "loading the model": State("preparing"),
        "Step 3 of 10": State("training", progress=STEP),
        "before": State("judging", judging=Judging("before", 2, 8)),
        "support": State("done", trained=Trained(CARD, result)),
        "because": State("done", trained=Trained(CARD, result, "because")),
        "go on": State("interrupted"),
    }
    for text, state in wanted.items():
        assert text in re.sub(r"&#(\d+);", lambda one: chr(int(one[1])), render_train.state(state, LOOK))


@given(st.lists(st.floats(0.01, 20), max_size=400))
def test_the_curve_stays_in_its_frame_and_short(losses):
    html = render_train.curve(list(enumerate(losses, start=1)), LOOK)
    assert (html == "") == (len(losses) < 3)
    places = [float(place) for place in re.findall(r'[xy][12]="([\d.-]+)%"', html)]
    assert all(-0.1 <= place <= 100.1 for place in places)
    assert html.count("<line") <= 210


def test_the_drawings_need_nothing_that_the_sanitizer_takes_away():
    html = render_train.state(State("training", progress=STEP, losses=((1, 2.0), (2, 1.0), (3, 0.5))), LOOK)
    assert "viewBox" not in html
    assert "style=" not in html
    assert 'width="30%"' in html
