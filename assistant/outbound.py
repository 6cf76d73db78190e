"""What goes to a remote engine: asked for, redacted, written down, and only then sent.

The customer's words are redacted; passages are the company's own documents and go as they are. The switch and the
log themselves are `privacy/policy.py`'s.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from assistant import registry
from assistant.engines.base import Engine
from assistant.errors import EngineUnavailable
from assistant.settings import Settings
from assistant.types import Message
from privacy.policy import Egress
from privacy.recognise import Found
from privacy.redaction import Redactor


class Outbound:
    """The way out of a data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._egress = Egress(settings.data_dir, settings.privacy.local_only)

    def allows(self, collection: str) -> bool:
        """Whether anything of a collection may be sent away."""
        return self._egress.allows(collection)

    def redacted(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The conversation without recognised personal data."""
        return tuple(dataclasses.replace(one, text=self._redactor.redact(one.text).text) for one in messages)

    def find(self, text: str) -> list[Found]:
        """What is personal in a text, as the settings want it: their order numbers, their finder."""
        return self._redactor.find(text)

    def record(self, engine: Engine, collection: str, messages: Sequence[Message]) -> None:
        """Writes down that these messages are about to be sent.

        Raises:
            EngineUnavailable: it cannot be written down, so it must not be sent.
        """
        sent = json.dumps([[one.role, one.text] for one in messages], ensure_ascii=False)
        size = len(sent.encode("utf-8", "surrogatepass"))
        try:
            self._egress.record(self._destination(engine), collection, size=size, text=self._redactor.redact(sent))
        except OSError as error:
            raise EngineUnavailable(
                f"The log of what leaves this machine cannot be written ({error.strerror}): nothing was sent."
            ) from error

    def _destination(self, engine: Engine) -> str:
        """The servers' addresses without user, password and query; another remote engine's name."""
        if engine.name != "remote":
            return engine.name
        urls = [urlsplit(url) for url in self._settings.remote.urls]
        return ", ".join(urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", "")) for url in urls)

    @functools.cached_property
    def _redactor(self) -> Redactor:
        return redactor(self._settings)


def redactor(settings: Settings) -> Redactor:
    """The redactor of a data folder, as its settings want it.

    Raises:
        UnknownName: there is no such finder.
    """
    wanted = settings.privacy
    finder = registry.resolve("finders", wanted.finder)(settings) if wanted.finder else None
    return Redactor.open(settings.data_dir, order_formats=wanted.order_formats, finder=finder)
