"""Fixtures of the whole suite: the real default model, prepared once and loaded once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chromium
import pytest

from assistant.settings import Settings

if TYPE_CHECKING:
    from assistant.engines.hf import HfEngine

# Test processes run side by side: each with a thread a core would spend its time waiting for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Somebody's own settings would change what is tested, and CONFIDE_DATA_DIR what is written to and erased.
for variable in [name for name in os.environ if name.startswith("CONFIDE_") and name != "CONFIDE_EVAL_DATA"]:
    del os.environ[variable]

ROOT = Path(__file__).resolve().parent.parent


LONGEST = (
    "flows", "federated", "assistant/engines", "assistant/widget", "assistant/tuning", "assistant/api",
    "assistant/retrieval", "benchmarks", "privacy",
)  # fmt: skip
"""Folders of tests whose files take long: they come first, so that no process is left with one while the other idles."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, each file's tests in their own order."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(ROOT / "tests").as_posix()
        return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of the test session's own, with the default model prepared.

    The model itself is made once in the checkout's `data/` (where `make run` has it too) under a
    lock, and linked: worker processes and later sessions find it there.
    """
    pytest.importorskip("torch")
    from assistant.engines import models
    from assistant.errors import ModelNotReady

    shared = ROOT / "data"
    try:
        models.prepare(Settings(data_dir=shared))
    except ModelNotReady as error:
        pytest.skip(str(error))
    data_dir = tmp_path_factory.mktemp("data")
    (data_dir / "models").symlink_to(shared / "models", target_is_directory=True)
    return data_dir


@pytest.fixture(scope="session")
def hf_engine(model_dir: Path) -> Iterator[HfEngine]:
    """The engine hf on the default model; shared by all tests of a process, so leave it as it was."""
    from assistant.engines import hf

    engine = hf.build(Settings(data_dir=model_dir))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, for the tests of one file; mark them `chromium.NEEDED`."""
    with chromium.launched() as opened:
        yield opened
