from __future__ import annotations

import functools

import pytest
import torch

from assistant.engines import hardware
from assistant.errors import EngineUnavailable


def test_device_that_is_not_here_is_refused_and_auto_takes_one_that_is():
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    assert here[hardware.choose_device("auto")]
    for device, present in here.items():
        if present:
            assert hardware.choose_device(device) == device
        else:
            with pytest.raises(EngineUnavailable, match=device):
                hardware.choose_device(device)


def test_dtype_asked_for_is_taken():
    assert hardware.choose_dtype("float16", "cpu") == "float16"
    assert hardware.choose_dtype("auto", "mps") == "bfloat16"
    assert hardware.choose_dtype("auto", "cpu") in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("asked", "physical", "cores", "wanted"),
    [("", 1, 1, 1), ("", 2, 2, 1), ("", 8, 8, 7), ("2", 8, 8, 2), ("1", 8, 8, 1), ("", 4, 8, 4), ("8", 8, 8, 7)],
)
def test_a_core_is_left_free_unless_fewer_threads_were_asked_for(
    monkeypatch, asked: str, physical: int, cores: int, wanted: int
):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: physical)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(cores), raising=False)
    assert hardware.choose_threads() == wanted


def test_thread_setting_is_put_back():
    before = torch.get_num_threads()
    with hardware.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_bfloat16_is_chosen_only_where_the_card_has_it_itself(monkeypatch):
    for has, taken in ((False, "float16"), (True, "bfloat16")):
        supported = functools.partial(lambda has, including_emulation=True: has or including_emulation, has)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        assert hardware.choose_dtype("auto", "cuda") == taken
