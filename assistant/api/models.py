"""`/models`: what the chat and the embeddings can be asked as a model: collections, adapters, embedders.

A chat model is a collection (`shop`), or for staff a collection with an adapter (`shop+support@2`, `shop+none` = the
bare model). An embedding model is the embedder of a collection.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from assistant.adapters import BARE
from assistant.api.house import Caller, House, TheHouse, Who
from assistant.api.problems import ApiError
from assistant.keys import Role
from assistant.types import CollectionInfo

router = APIRouter()


class About(BaseModel):
    """What a model is made of; "" where it has none."""

    kind: Literal["chat", "embedding"]
    collection: str = ""
    adapter: str = ""


class Model(BaseModel):
    """A model as OpenAI's clients read it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "confide"
    confide: About


class Models(BaseModel):
    """All models that a caller may name."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", summary="Collections, adapters and embedders as models")
def models(house: TheHouse, caller: Who) -> Models:
    """The first is what is asked where nothing is named."""
    return Models(data=_all(house, caller))


@router.get("/models/{model:path}", summary="One model")
def model(house: TheHouse, caller: Who, model: str) -> Model:
    """Raises 404 where there is none of this name."""
    for known in _all(house, caller):
        if known.id == model:
            return known
    raise ApiError(
        404, f"There is no model {model!r}. GET /v1/models lists them.", code="model_not_found", param="model"
    )


def chosen(house: House, caller: Caller, name: str) -> tuple[CollectionInfo, str | None]:
    """The collection and the adapter (None = the live one) that a model's name means. Raises ApiError."""
    collection, _, adapter = name.partition("+")
    info = house.collection(caller, collection, param="model")
    if not adapter:
        return info, None
    caller.need(Role.STAFF)
    if adapter not in _adapters(house):
        raise ApiError(404, f"There is no model {name!r}.", code="model_not_found", param="model")
    return info, adapter


def _all(house: House, caller: Caller) -> list[Model]:
    infos = house.collections(caller)
    found = [Model(id=info.name, confide=About(kind="chat", collection=info.name)) for info in infos]
    if caller.role.covers(Role.STAFF):
        found += [
            Model(id=f"{info.name}+{name}", confide=About(kind="chat", collection=info.name, adapter=name))
            for info in infos
            for name in _adapters(house)
        ]
    embedders = {info.embedder: info for info in infos if info.embedder}
    return found + [
        Model(id=name, confide=About(kind="embedding")) for name in embedders if name not in {m.id for m in found}
    ]


def _adapters(house: House) -> list[str]:
    return [BARE, *(adapter.id for adapter in house.assistant.hosting.shelf.all() if adapter.task == "chat")]
