"""What a folder must be before it comes near a model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from shelves import BASE, CARD, put, write

from assistant.adapters import CONFIG, WEIGHTS, Shelf
from assistant.errors import AdapterRefused
from assistant.vetting import base_of, template_sha256, verify


def made(tmp_path, card=CARD, **shape):
    return Path(Shelf(tmp_path).save(card, lambda folder: write(folder, **shape)).path)


def test_a_whole_adapter_of_this_base_passes(tmp_path):
    adapter = put(tmp_path)
    assert verify(Path(adapter.path), BASE) == adapter


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Path(put(tmp_path_factory.mktemp("data")).path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_found(whole, tmp_path_factory, data):
    name = data.draw(st.sampled_from([WEIGHTS, CONFIG, "card.json"]))
    original = (whole / name).read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    flipped = bytearray(original)
    flipped[place] ^= bit
    (whole / name).write_bytes(bytes(flipped))
    try:
        refused = False
        try:
            verify(whole, BASE)
        except AdapterRefused:
            refused = True
        same = name == "card.json" and _means_the_same(original, bytes(flipped))
        assert refused or same
    finally:
        (whole / name).write_bytes(original)


def _means_the_same(one, other):
    """A flip in the card's white space changes no word of it."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["adapter_model.bin", "model.pkl", "run.py", "README.md", "x.pt"])
def test_a_file_that_is_not_data_is_refused_unread(tmp_path, name):
    folder = made(tmp_path)
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(AdapterRefused, match=name):
        verify(folder)


def test_links_and_folders_are_refused(tmp_path):
    folder = made(tmp_path)
    (folder / "more").mkdir()
    (folder / "there.json").symlink_to("/etc/passwd")
    with pytest.raises(AdapterRefused, match=r"more is not a plain file; there\.json is not a plain file"):
        verify(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, "card.json"])
def test_a_missing_file_is_named(tmp_path, name):
    folder = made(tmp_path)
    (folder / name).unlink()
    with pytest.raises(AdapterRefused, match=f"{name} is missing"):
        verify(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, value):
    with pytest.raises(AdapterRefused, match="not finite"):
        verify(made(tmp_path, value=value))


def test_a_bfloat16_nan_is_seen_too(tmp_path):
    import torch
    from safetensors.torch import save_file as save

    def bfloat(folder):
        write(folder)
        save({"a.lora_A.weight": torch.full((2, 8), float("nan"), dtype=torch.bfloat16)}, folder / WEIGHTS)

    with pytest.raises(AdapterRefused, match="not finite"):
        verify(Path(Shelf(tmp_path).save(CARD, bfloat).path))


def test_another_base_is_refused_with_both_names(tmp_path):
    folder = made(tmp_path, card=replace(CARD, base="other", base_sha256="d" * 64))
    with pytest.raises(AdapterRefused, match=r"made for other .* the model here is tiny"):
        verify(folder, BASE)


def test_another_chat_template_is_refused(tmp_path):
    with pytest.raises(AdapterRefused, match="chat template"):
        verify(made(tmp_path, card=replace(CARD, template_sha256="e" * 64)), BASE)


def test_another_rank_than_the_card_says_is_refused(tmp_path):
    with pytest.raises(AdapterRefused, match=r"rank 3, the card 2.*card says rank 2"):
        verify(made(tmp_path, rank=3))


def test_matrices_that_do_not_fit_the_base_are_refused(tmp_path):
    with pytest.raises(AdapterRefused, match=r"shape \(6, 8\)"):
        verify(made(tmp_path, columns=9), BASE)
    with pytest.raises(AdapterRefused, match=r"layers\.7.* is no layer of the base"):
        verify(made(tmp_path, module="base_model.model.model.layers.7.self_attn.q_proj"), BASE)


@pytest.mark.parametrize("inner", ["bert.model.layers", "layers"])
def test_a_task_model_may_wrap_its_base_more_or_less_deep(tmp_path, inner):
    assert verify(made(tmp_path, module=f"base_model.model.{inner}.0.self_attn.q_proj"), BASE)


def test_a_file_that_the_card_does_not_know_is_refused(tmp_path):
    folder = made(tmp_path)
    (folder / "head.json").write_text("{}")
    with pytest.raises(AdapterRefused, match=r"head\.json is not as it was written"):
        verify(folder)


@pytest.mark.parametrize("key", ["auto_mapping", "megatron_config", "layer_replication", "trainable_token_indices"])
def test_a_config_that_names_code_or_changes_the_base_is_refused(tmp_path, key):
    def names_code(folder):
        write(folder)
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(config | {key: {"parent_library": "os"}}))

    with pytest.raises(AdapterRefused, match=key):
        verify(Path(Shelf(tmp_path).save(CARD, names_code).path))


def test_everything_wrong_is_said_at_once(tmp_path):
    folder = made(tmp_path, card=replace(CARD, base_sha256="d" * 64), rank=3, value=float("nan"))
    (folder / CONFIG).write_text("{")
    with pytest.raises(AdapterRefused) as refused:
        verify(folder, BASE)
    for part in ("SHA-256", "cannot be read", "not finite", "rank 2", "made for"):
        assert part in refused.value.message


def test_a_base_is_read_from_its_headers(tmp_path):
    save_file({"a.weight": np.zeros((2, 3), np.float32)}, tmp_path / "model.safetensors")
    base = base_of(tmp_path, name="x", sha256="y")
    assert base.shapes == {"a.weight": (2, 3)}
    assert base.template_sha256 == ""
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert template_sha256(tmp_path) != ""
