"""`/embeddings`: texts to the vectors that the collections are searched by. For keys, not for visitors."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.chat import Text
from assistant.api.house import Caller, House, TheHouse, Who
from assistant.api.problems import ApiError
from assistant.types import CollectionInfo

router = APIRouter()
MOST_TEXTS = 128
MAX_CHARS = 8000


class EmbeddingsBody(BaseModel):
    """What is embedded: one text, or several. Lists of token ids are not read."""

    model_config = ConfigDict(strict=True)
    model: str = Field(max_length=200)
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(default=None, ge=1)


class Embedding(BaseModel):
    """A unit vector: numbers, or their bytes (float32, little-endian) as base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """What was read; an embedder's tokens are not counted, so these are characters divided by four."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """One vector a text, in their order."""

    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


@router.post("/embeddings", summary="Texts to unit vectors")
def embeddings(house: TheHouse, caller: Who, body: EmbeddingsBody) -> Embeddings:
    """`model` is a collection or its embedder."""
    if caller.key is None:
        raise ApiError(403, "Embeddings need a key.", code="insufficient_permissions")
    texts = [body.input] if isinstance(body.input, str) else body.input
    long = [place for place, text in enumerate(texts) if len(text) > MAX_CHARS]
    if long:
        many = f"Text {long[0]} has {len(texts[long[0]])} characters; at most {MAX_CHARS} are read."
        raise ApiError(400, many, code="context_length_exceeded", param="input")
    if not all(text.strip() for text in texts):
        raise ApiError(400, "A text is empty.", code="invalid_request", param="input")
    info = _collection(house, caller, body.model)
    embedder = house.assistant.searcher.embedder(info.tenant, info.name)
    if body.dimensions not in {None, embedder.dimension}:
        raise ApiError(
            400, f"These vectors have {embedder.dimension} numbers.", code="invalid_request", param="dimensions"
        )
    rows = embedder.encode(texts)
    as_text = body.encoding_format == "base64"
    data = [
        Embedding(
            index=n, embedding=base64.b64encode(row.astype("<f4").tobytes()).decode() if as_text else row.tolist()
        )
        for n, row in enumerate(rows)
    ]
    read = sum(len(text) for text in texts) // 4
    return Embeddings(model=body.model, data=data, usage=EmbeddingUsage(prompt_tokens=read, total_tokens=read))


def _collection(house: House, caller: Caller, model: str) -> CollectionInfo:
    """A collection of this name, or one that has this embedder."""
    known = house.collections(caller)
    by_embedder = [info for info in known if info.embedder == model]
    return by_embedder[0] if by_embedder else house.collection(caller, model, param="model")
