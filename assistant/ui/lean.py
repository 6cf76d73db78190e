"""Gradio's import without half of its work; to be imported before anything else imports Gradio.

At each import Gradio parses the source of every component twice and renders a stub file for editors from it, which is
then compared with the one beside the source: 1.5 of its 3 seconds, and a write into the installation. A class without a
source file is passed over by Gradio itself, so for the time of the import its components have none.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads them when it is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@contextlib.contextmanager
def _without_stubs() -> Iterator[None]:
    found = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("no stub is wanted")
        return found(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = found


with _without_stubs():
    import gradio  # noqa: F401
