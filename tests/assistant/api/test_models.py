"""/v1/models and /v1/embeddings: what may be named, and vectors that are the collection's own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openai
import pytest
from open_house import OpenHouse, open_house
from shelves import put

from assistant.keys import Role
from assistant.retrieval.embedders import load_embedder
from assistant.settings import Settings


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    folder = tmp_path_factory.mktemp("data")
    put(folder)
    with open_house(folder) as opened:
        yield opened


def test_the_settings_collection_comes_first_and_adapters_are_for_staff(house: OpenHouse):
    assert [one.id for one in house.openai().models.list()] == ["shop", "other", "minilm"]
    staff = [one.id for one in house.openai(Role.STAFF).models.list()]
    assert "shop+support@1" in staff
    assert "shop+none" in staff


def test_every_model_can_be_looked_up(house: OpenHouse):
    client = house.openai(Role.STAFF)
    for one in client.models.list():
        assert client.models.retrieve(one.id) == one
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize("model", ["shop", "minilm"])
def test_a_vector_is_the_embedders_in_either_format(house: OpenHouse, model: str):
    texts = ["return a tent", "delivery to Germany"]
    wanted = load_embedder("hashing", Settings()).encode(texts)
    as_bytes = house.openai().embeddings.create(model=model, input=texts)  # the client asks for base64 by itself
    as_numbers = house.openai().embeddings.create(model=model, input=texts, encoding_format="float")
    for given in (as_bytes, as_numbers):
        np.testing.assert_allclose([one.embedding for one in given.data], wanted, atol=1e-6)
        assert [one.index for one in given.data] == [0, 1]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"input": "x" * 8001}, "context_length_exceeded"),
        ({"input": ""}, "invalid_request"),
        ({"input": []}, "invalid_request"),
        ({"input": [1, 2, 3]}, "invalid_request"),
        ({"input": "x", "dimensions": 3}, "invalid_request"),
    ],
)
def test_what_cannot_be_embedded_is_refused(house: OpenHouse, options: dict, code: str):
    with pytest.raises(openai.BadRequestError) as caught:
        house.openai().embeddings.create(**{"model": "shop", **options})
    assert caught.value.code == code


def test_an_unknown_embedding_model_is_not_found(house: OpenHouse):
    with pytest.raises(openai.NotFoundError):
        house.openai().embeddings.create(model="ada", input="x")
