from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.catalogue import CATALOGUE, find, recommend


def test_names_are_unique_and_found_by_name_and_id_in_any_case():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert find(entry.name.upper()) is entry
        assert find(entry.source) is entry
    assert find("no-such-model") is None


@given(memory=st.floats(0, 1000), gpu=st.booleans())
def test_recommended_model_fits_and_more_memory_never_means_a_smaller_one(memory: float, gpu: bool):
    entry = recommend(memory, gpu)
    assert entry is CATALOGUE[0] or entry.memory_gb <= memory
    assert gpu or not entry.gpu
    assert recommend(memory + 8, gpu).memory_gb >= entry.memory_gb


def test_a_laptop_and_a_gpu_get_different_models():
    assert recommend(16, gpu=False).name == "qwen2.5-1.5b"
    assert recommend(24, gpu=True).name == "qwen2.5-7b"
