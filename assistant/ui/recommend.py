"""The Recommendations tab of the staff's page: a customer, what they did, what they are recommended and why.

Every handler asks the door again whether its session is inside: a customer's history is nobody else's. The
filter is a text that can be edited; what was edited is what applies. Gradio <-> `Advisor`, nothing else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.advisor import Query
from assistant.errors import BadInput, ConfideError
from assistant.gate import ADMIN, STAFF
from assistant.goods import Event
from assistant.recommend.filters import to_text
from assistant.ui import cards, render
from assistant.ui.front import Front
from assistant.ui.parts import html, not_allowed, visitor

EVENTS = ("view", "click", "cart", "buy", "dismiss")
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Shelfside:
    """The components of the tab."""

    catalogue: gr.Dropdown
    customer: gr.Dropdown
    request: gr.Textbox
    filter: gr.Textbox
    notice: gr.Markdown
    conditions: gr.Markdown
    found: gr.Markdown
    item: gr.Dropdown
    event: gr.Radio
    history: gr.Markdown
    reliability: gr.Markdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab and wires it."""
    say = front.say
    html(f'<p class="quiet">{render.safe(say("goods_hint"))}</p>')
    tab_itself = Context.block
    with gr.Row():
        catalogue = gr.Dropdown([], label=say("goods_catalogue"), elem_id="goods-catalogue")
        customer = gr.Dropdown([], label=say("goods_customer"), elem_id="goods-customer", allow_custom_value=True)
    request = gr.Textbox(
        label=say("goods_request"), placeholder=say("goods_request_example"), elem_id="goods-request", max_length=1000
    )
    edited = gr.Textbox(
        label=say("goods_filter"), info=say("goods_filter_hint"), elem_id="goods-filter", max_length=1000
    )
    with gr.Row():
        ask = gr.Button(say("goods_ask"), variant="primary", elem_id="goods-ask")
        refine = gr.Button(say("goods_refine"), elem_id="goods-refine")
    notice, conditions, found = html("", elem_id="goods-notice"), html(""), html("", elem_id="goods-found")
    with gr.Row(equal_height=True):
        item = gr.Dropdown([], label=say("goods_item"), elem_id="goods-item")
        event = gr.Radio([(say(f"goods_{name}"), name) for name in EVENTS], value="view", label=say("goods_event"))
        record = gr.Button(say("goods_record"), scale=0, elem_id="goods-record")
    html(f"<h3>{render.safe(say('goods_history'))}</h3>")
    history = html("", elem_id="goods-history")
    measure = gr.Button(say("goods_propensity"), elem_id="goods-propensity")
    reliability = html("", elem_id="goods-reliability")
    tab = Shelfside(catalogue, customer, request, edited, notice, conditions, found, item, event, history, reliability)
    handlers = _Handlers(front, tab)
    outputs = tab.outputs()
    admin: dict[str, Any] = {"api_visibility": "private", "concurrency_id": ADMIN, "concurrency_limit": 1}
    if isinstance(tab_itself, gr.Tab):
        tab_itself.select(handlers.goods_open, [catalogue], outputs, **admin, show_progress_on=[found])
    known = [catalogue, customer, request]
    gr.on([ask.click, request.submit, customer.input], handlers.goods_ask, known, outputs, **admin)
    gr.on([refine.click, edited.submit], handlers.goods_refine, [*known, edited], outputs, **admin)
    record.click(handlers.goods_record, [*known, item, event], outputs, **{**admin, "concurrency_id": STAFF})
    measure.click(handlers.goods_propensity, [catalogue, customer], outputs, **admin)


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, tab: Shelfside) -> None:
        self._front = front
        self._tab = tab

    def goods_open(self, catalogue: str | None, request: gr.Request) -> Update:
        tab, front = self._tab, self._front
        if not self._is_inside(request):
            return self._refused()
        if catalogue:  # it was opened before, and is as it was left
            return {tab.notice: ""}
        names = front.assistant.advisor.catalogues()
        if not names:
            return {tab.notice: render.notice(front.say("goods_none"), "bad")}
        name = front.settings.collection if front.settings.collection in names else names[0]
        people = [one.customer for one in front.assistant.advisor.shelf(name).customers()]
        chosen = people[0] if people else ""
        return {
            **self._advise(name, chosen, "", None),
            tab.catalogue: gr.update(choices=names, value=name),
            tab.customer: gr.update(choices=sorted(people), value=chosen),
        }

    def goods_ask(self, catalogue: str, customer: str, text: str, request: gr.Request) -> Update:
        return self._advise(catalogue, customer, text, None) if self._is_inside(request) else self._refused()

    def goods_refine(self, catalogue: str, customer: str, text: str, edited: str, request: gr.Request) -> Update:
        return self._advise(catalogue, customer, text, edited) if self._is_inside(request) else self._refused()

    def goods_record(
        self, catalogue: str, customer: str, text: str, item: str, event: str, request: gr.Request
    ) -> Update:
        if not self._front.door.may(visitor(request).session, Role.STAFF):
            return {self._tab.notice: not_allowed(self._front, request)}
        try:
            self._front.assistant.advisor.record(catalogue, customer or "", item or "", cast(Event, event))
        except ConfideError as error:
            return {self._tab.notice: render.notice(f"{error.message} {error.hint}", "bad")}
        self._front.door.log(visitor(request).session, "goods.record", f"{catalogue}: {event} {item}")
        return self._advise(catalogue, customer, text, None)

    def goods_propensity(self, catalogue: str, customer: str, request: gr.Request) -> Update:
        if not self._is_inside(request):
            return self._refused()
        tab, front = self._tab, self._front
        advisor = front.assistant.advisor
        try:
            fitted = advisor.propensity(catalogue)
            found = advisor.recommend(catalogue, Query(customer or "", n=9, language=front.language)).recommendations
            chances = advisor.likely(catalogue, customer or "", [one.item.id for one in found])
        except BadInput as error:
            return {tab.notice: render.notice(f"{error.message} {error.hint}", "bad")}
        names = [one.item.title(front.language) for one in found]
        text = front.say(
            "goods_propensity_of", days=f"{fitted.days:.0f}", error=f"{fitted.error:.2%}", n=f"{fitted.n:,}"
        )
        return {
            tab.reliability: cards.likely(names, chances, front.look())
            + f'<p class="quiet">{render.safe(text)}</p>'
            + cards.reliability(fitted.bins, front.look())
        }

    def _advise(self, catalogue: str, customer: str, text: str, edited: str | None) -> Update:
        """The cards, the history and the filter in force."""
        tab, front = self._tab, self._front
        advisor, language, look = front.assistant.advisor, front.language, front.look()
        try:
            chosen = None if edited is None else advisor.read_filter(catalogue, edited)
            query = Query(customer or "", (text or "").strip(), chosen, n=9, language=language)
            advice = advisor.recommend(catalogue, query)
        except ConfideError as error:
            return {tab.notice: render.notice(f"{error.message} {error.hint}", "bad")}
        except Exception:
            _log.exception("a recommendation failed")
            return {tab.notice: render.notice(front.say("broken"), "bad")}
        data, shop = advice.to_dict(), advisor.shop(catalogue)
        said = "" if advice.recommendations else render.notice(advice.text, "bad")
        return {
            tab.notice: said + cards.notes(data),
            tab.conditions: cards.conditions(data, look, language=language),
            tab.filter: to_text(advice.conditions),
            tab.found: cards.cards(data, look, language=language),
            tab.item: gr.update(
                choices=[(cards.line(one.item), one.item.id) for one in advice.recommendations], value=None
            ),
            tab.history: cards.history(advisor.shelf(catalogue).history(customer or ""), shop.items, look),
        }

    def _is_inside(self, request: gr.Request) -> bool:
        return self._front.door.is_inside(visitor(request).session)

    def _refused(self) -> Update:
        tab = self._tab
        emptied = dict.fromkeys([tab.conditions, tab.found, tab.history, tab.reliability], "")
        return {**emptied, tab.notice: render.notice(self._front.say("not_inside"), "bad")}
