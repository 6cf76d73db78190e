"""The assistant's errors: each message says what happened and what to do next.

ConfideError
├── BadInput                 the caller's to mend; exit code 2
│   ├── SettingsError        a setting is wrong or does not exist
│   ├── UnknownName          no such engine, embedder, collection ...; says "did you mean"
│   ├── DocumentRefused      a file that cannot be read, and why
│   ├── AdapterRefused       an adapter's folder that is unsafe, damaged, or made for another model
│   ├── RatingRefused        an answer that the caller may not rate, or not again with this id
│   └── CaseRefused          a conversation at the desk that somebody else has, or nobody
├── EngineError              the language model failed; the answer falls back to quotes
│   ├── EngineTimeout
│   ├── EngineUnavailable
│   └── AdapterUnsupported   this engine cannot host adapters, or not this one
├── TrainingFailed           a training run cannot go on; what was before stays
├── ModelNotReady            the weights are not on this machine yet
├── IndexMismatch            an index and its manifest disagree; rebuilt from the store
├── IndexUnavailable         the server that has the vectors cannot be reached, or does not let us
├── Busy                     too many questions wait; come back in a while
└── StoreError
    └── StoreBusy            another process holds this data folder
"""

from __future__ import annotations


class ConfideError(Exception):
    """Root of the tree. `hint` is the next thing to do, a command where there is one."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}".strip())


class BadInput(ConfideError):
    """The caller's input is wrong; nothing was changed."""

    exit_code = 2


class SettingsError(BadInput):
    """A setting has a wrong value, or there is no such setting."""


class UnknownName(BadInput):
    """There is nothing by this name."""


class DocumentRefused(BadInput):
    """A file cannot be read as a document."""


class AdapterRefused(BadInput):
    """An adapter's folder is unsafe, damaged or made for another model; what answered before still does."""


class RatingRefused(BadInput):
    """A rating of an answer that is not the caller's, or whose signed id is forged, too old or used."""


class CaseRefused(BadInput):
    """A conversation at the desk is not this person's to write in or to end."""


class EngineError(ConfideError):
    """The language model could not answer."""


class EngineTimeout(EngineError):
    """The language model took longer than its limit."""


class EngineUnavailable(EngineError):
    """The language model, or the server that holds it, cannot be reached or loaded."""


class AdapterUnsupported(EngineError):
    """The engine cannot host this adapter."""


class TrainingFailed(ConfideError):
    """A training run cannot go on."""


class ModelNotReady(ConfideError):
    """The model's weights are not on this machine."""


class IndexMismatch(ConfideError):
    """An index does not belong to its manifest, or is damaged."""


class IndexUnavailable(ConfideError):
    """The server that has the index's vectors does not answer."""


class StoreError(ConfideError):
    """The database refused."""


class StoreBusy(StoreError):
    """Another process is at work on the data folder."""


class Busy(ConfideError):
    """Too many questions wait. `wait_s`: seconds until another try; `theirs`: the caller's own are too many."""

    def __init__(self, message: str, *, wait_s: int, theirs: bool = False) -> None:
        super().__init__(message, hint=f"Try again in {wait_s} seconds.")
        self.wait_s = wait_s
        self.theirs = theirs
