"""Which adapter computes an answer, and that the engine has it loaded while it does.

The store says what is live (another process may have changed it since the last question); a folder is
vetted before the engine sees it. An adapter that is refused, or cannot be loaded now, is passed over for what was
live before it, and the answer's notes say so. Nothing is stopped for a change: the engine loads between two requests.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assistant import spent
from assistant.adapters import BARE, BUILT_IN_ID, Shelf, is_built_in
from assistant.deployments import Deployment, Deployments
from assistant.engines import models
from assistant.engines.base import Engine, HostsAdapters
from assistant.errors import AdapterRefused, AdapterUnsupported, ConfideError, EngineError, UnknownName
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import Adapter
from assistant.vetting import Base, base_of, stamp, verify

LOADED = 4
"""More adapters than this are not kept in memory; the one that was used longest ago goes."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """The adapters that may compute an answer, the wanted one first; None is the bare model.

    `asked`: the request named it, so no other may take its place.
    """

    adapters: tuple[str | None, ...]
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Leased:
    """The adapter that the engine has, and what there is to say about it."""

    adapter: str | None
    notes: tuple[str, ...] = ()


class Hosting:
    """The adapters of a data folder in one running engine. Thread-safe."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.shelf = Shelf(settings.data_dir)
        self.deployments = Deployments(store)
        self._settings = settings
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._leases: Counter[str] = Counter()
        self._used: dict[str, None] = {}  # the adapters of the engine, the last used at the end
        self._refused: dict[str, tuple[object, str]] = {}
        self._base: Base | None = None

    def choose(self, collection: str, conversation: str, wanted: str | None = None) -> Choice:
        """Who answers: `wanted` ("none" = the bare model), or what is live in the collection.

        Where nothing was put to use that is the built-in adapter, if it fits the model.

        Raises:
            UnknownName: there is no such adapter.
            AdapterRefused: its card cannot be read.
        """
        if wanted == BARE:
            return Choice((None,), asked=True)
        if wanted is not None:
            remote = self._settings.model.engine == "remote" or bool(self._settings.remote.url)
            return Choice((wanted if remote else self.shelf.find(wanted).id,), asked=True)
        candidates: dict[str | None, None] = {}
        deployment = self.deployments.current(self._settings.tenant, collection)
        while deployment is not None:
            arm = deployment.arm(conversation) or BUILT_IN_ID
            candidates[None if arm == BARE else arm] = None
            deployment = self._before(deployment, tuple(candidates))
        if None not in candidates:
            candidates |= {BUILT_IN_ID: None, None: None}
        return Choice(tuple(candidates))

    def _before(self, deployment: Deployment, found: tuple[str | None, ...]) -> Deployment | None:
        """What was live before; needed only where the wanted one cannot be had."""
        if found[0] is None or (len(found) == 1 and found[0] in self._used):
            return None
        return self.deployments.before(deployment)

    @contextlib.contextmanager
    def lease(self, engine: Engine, choice: Choice) -> Iterator[Leased]:
        """The adapter, loaded, and kept loaded until the context ends.

        Raises:
            AdapterUnsupported: the request named one that is refused or does not fit.
            EngineUnavailable: the request named one that cannot be loaded now.
        """
        if not isinstance(engine, HostsAdapters):
            yield _elsewhere(engine, choice)
            return
        leased = self._take(engine, choice)
        try:
            yield leased
        finally:
            if leased.adapter is not None:
                with self._lock:
                    self._leases[leased.adapter] -= 1

    def spent(self, adapter: str | None, language: str) -> str:
        """What the training of the adapter that answers has spent, in words."""
        card = None
        if adapter is not None:
            with contextlib.suppress(UnknownName, AdapterRefused):  # a remote server's own is not on this shelf
                card = self.shelf.find(adapter)
        return spent.in_words(adapter, card, language)

    def vet(self, adapter: Adapter) -> None:
        """Reads an adapter's folder again, and for chat whether it was made for the model in force.

        Raises:
            AdapterRefused: with its reasons.
        """
        verify(Path(adapter.path), self._base_of_model() if adapter.task == "chat" else None)

    def _take(self, engine: HostsAdapters, choice: Choice) -> Leased:
        notes: list[str] = []
        for adapter in choice.adapters:
            if adapter is None:
                break
            try:
                self._hold(engine, adapter)
            except (AdapterRefused, EngineError, UnknownName) as error:
                fits = isinstance(error, EngineError) and not isinstance(error, AdapterUnsupported)
                if choice.asked and fits:
                    raise
                if choice.asked:
                    raise AdapterUnsupported(error.message, hint=error.hint) from error
                if is_built_in(adapter) and not fits:  # it was not chosen: for another model there is none
                    continue
                _log.warning("the adapter %s is not used: %s", adapter, error.message)
                notes.append(f"the adapter {adapter} is not used: {error.message}")
                continue
            return Leased(adapter, tuple(notes))
        return Leased(None, tuple(notes))

    def _hold(self, engine: HostsAdapters, adapter: str) -> None:
        """Counts one more use of an adapter, which is loaded first where it is not."""
        if self._count(engine, adapter):
            return
        with self._loading:
            if not self._count(engine, adapter):
                self._load(engine, adapter)
                with self._lock:
                    self._used[adapter] = None
                    self._leases[adapter] += 1
                self._make_room(engine)

    def _count(self, engine: HostsAdapters, adapter: str) -> bool:
        with self._lock:
            if adapter not in self._used or adapter not in engine.adapters():
                return False
            self._used[adapter] = self._used.pop(adapter)
            self._leases[adapter] += 1
            return True

    def _load(self, engine: HostsAdapters, adapter: str) -> None:
        """Vets the folder and hands it to the engine. What was refused is not read again until it changes."""
        folder = Path(self.shelf.find(adapter).path)
        now = stamp(folder)
        known = self._refused.get(adapter)
        if known is not None and known[0] == now:
            raise AdapterRefused(known[1])
        try:
            base = self._base_of_model()
            if base is None and is_built_in(adapter):
                raise AdapterRefused("It was made for the default model alone.")
            verify(folder, base)
            engine.add_adapter(adapter, folder)
        except (AdapterRefused, AdapterUnsupported) as error:
            self._refused[adapter] = (now, error.message)
            raise

    def _make_room(self, engine: HostsAdapters) -> None:
        with self._lock:
            idle = [name for name in self._used if not self._leases[name]]
            leaving = idle[: max(0, len(self._used) - LOADED)]
            for name in leaving:
                del self._used[name]
        for name in leaving:
            with contextlib.suppress(AdapterUnsupported):
                engine.remove_adapter(name)

    def _base_of_model(self) -> Base | None:
        """The model in force as adapters have to fit it; None where its weights are not here: the servers judge."""
        if self._base is None and not self._settings.remote.adapters:
            with contextlib.suppress(ConfideError, OSError, ValueError):
                folder, info = models.resolve(self._settings)
                self._base = base_of(folder, name=info.name, sha256=info.sha256)
        return self._base


def _elsewhere(engine: Engine, choice: Choice) -> Leased:
    """An engine that loads none of our folders: a request may still name what its server has."""
    wanted = choice.adapters[0]
    if choice.asked or wanted is None:
        return Leased(wanted)
    if is_built_in(wanted):
        return Leased(None)
    return Leased(None, (f"the adapter {wanted} is not used: the engine {engine.name} hosts none",))
