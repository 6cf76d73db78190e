"""`/recommend` and its events: the walk recommend over HTTP. A caller recommends for itself; staff for anybody."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from assistant.advisor import MOST, Query
from assistant.api.house import Caller, House, TheHouse, Who
from assistant.keys import Role
from assistant.language import detect

router = APIRouter()
_STRICT = ConfigDict(extra="forbid", strict=True)


class RecommendBody(BaseModel):
    """What is asked. `filter` is the text form; absent = the request's own conditions, and in stock."""

    model_config = _STRICT
    request: str = Field(default="", max_length=1000)
    customer: str = Field(default="", max_length=200)
    filter: str | None = Field(default=None, max_length=1000)
    n: int = Field(default=10, ge=1, le=MOST)
    collection: str = Field(default="", max_length=63)
    language: Literal["", "en", "zh"] = ""


class EventBody(BaseModel):
    """What the caller did with an item."""

    model_config = _STRICT
    item: str = Field(max_length=200)
    event: Literal["view", "click", "cart", "buy", "dismiss"]
    collection: str = Field(default="", max_length=63)


@router.post("/recommend", summary="Items for a request or a customer, with reasons")
def recommend(house: TheHouse, caller: Who, body: RecommendBody) -> dict[str, Any]:
    """Conditions are applied before anything is ranked; names, prices and reasons are the catalogue's."""
    if body.customer and body.customer != caller.id:
        caller.need(Role.STAFF)
    advisor, name = house.assistant.advisor, _catalogue(house, caller, body.collection)
    conditions = None if body.filter is None else advisor.read_filter(name, body.filter)
    language = body.language or ("zh" if body.request and detect(body.request) == "zh" else "en")
    query = Query(body.customer or caller.id, body.request.strip(), conditions, body.n, language)
    return advisor.recommend(name, query).to_dict()


@router.post("/recommend/events", summary="What the caller did with an item")
def event(house: TheHouse, caller: Who, body: EventBody) -> dict[str, str]:
    """It counts in the next list: what was dismissed does not come back."""
    name = _catalogue(house, caller, body.collection)
    house.assistant.advisor.record(name, caller.id, body.item, body.event)
    return {"recorded": body.event, "item": body.item}


def _catalogue(house: House, caller: Caller, name: str) -> str:
    """The collection whose catalogue is meant; it may have no documents."""
    if caller.collection:
        return house.collection(caller, name).name
    return name or house.assistant.settings.collection
