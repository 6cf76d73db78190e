"""ask-latency, start, fairness: what a visitor of the demo shop waits for, at the door of a real server.

`ask-latency`: seconds from the request to the first visible text of a whole ask, retrieval included, over HTTP; one user
after another, and eight at once, each with questions of their own order. `start`: from the command of a second start to
the end of the first answer, and the server's resident memory then. `fairness`: the time of whole answers to a quiet visitor
while another has eight questions under way all the time, over that of the same questions asked alone (p95 of each).
"""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assistant.core import engine_name
from assistant.metrics import quantile
from assistant.provenance import provenance
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.running import QUESTIONS, Running, furnished, running

ALONE, USERS, FLOOD = 2, 8, 8
"""Rounds over the questions by one user; users at once; questions that the flooding visitor keeps under way."""


def run() -> Report:
    """Seconds to the first visible text."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        key = furnished(settings, Path(folder) / "data")
        with running(Path(folder) / "data", key) as server:
            server.ask(QUESTIONS[0], user="first")
            one = [server.ask(question, user=f"one{n}")[0] for n in range(ALONE) for question in QUESTIONS]
            began = time.perf_counter()
            with ThreadPoolExecutor(USERS) as pool:
                eight = [
                    first for firsts in pool.map(lambda user: _several(server, user), range(USERS)) for first in firsts
                ]
            took = time.perf_counter() - began
    measures = (
        quantile("p50", one, 0.5),
        quantile("p95", one, 0.95),
        quantile("p50[8]", eight, 0.5),
        quantile("p95[8]", eight, 0.95),
        Measure("answers_per_minute[8]", 60 * len(eight) / took, n=len(eight)),
    )
    return Report("ask-latency", measures, provenance(settings, seed=0, engine=engine_name(settings)))


def start() -> Report:
    """Seconds of a second start, and its memory."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        key = furnished(settings, Path(folder) / "data")
        seconds, memory = 0.0, 0.0
        for _ in range(2):  # the second counts
            with running(Path(folder) / "data", key) as server:
                server.ask(QUESTIONS[0], user="one")
                seconds = time.perf_counter() - server.began
                for question in QUESTIONS:
                    server.ask(question, user="one")
                memory = server.memory_mb()
    measures = (Measure("seconds", seconds, n=1), Measure("resident_mb", memory, n=1))
    return Report("start", measures, provenance(settings, seed=0, engine=engine_name(settings)))


def fairness() -> Report:
    """The p95 of a quiet visitor beside a flood, over its p95 alone."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        key = furnished(settings, Path(folder) / "data")
        with running(Path(folder) / "data", key) as server:
            server.ask(QUESTIONS[0], user="first")
            alone = _quiet(server, "alone")
            done, flooded = threading.Event(), [0]

            def flood(number: int) -> None:
                while not done.is_set():
                    server.ask(QUESTIONS[number % len(QUESTIONS)], user="flood")
                    flooded[0] += 1

            with ThreadPoolExecutor(FLOOD) as pool:
                floods = [pool.submit(flood, number) for number in range(FLOOD)]
                try:
                    beside = _quiet(server, "beside")
                finally:
                    done.set()
            for each in floods:
                each.result()  # a flood that broke off would flatter
    measures = (
        Measure("ratio_p95", quantile("", beside, 0.95).value / quantile("", alone, 0.95).value, n=len(alone)),
        Measure("ratio_p50", quantile("", beside, 0.5).value / quantile("", alone, 0.5).value, n=len(alone)),
        quantile("p95_alone", alone, 0.95),
        quantile("p95_beside", beside, 0.95),
        Measure("flooding_answers", float(flooded[0]), n=flooded[0]),
    )
    return Report("fairness", measures, provenance(settings, seed=0, engine=engine_name(settings)))


def _several(server: Running, user: int) -> list[float]:
    order = QUESTIONS[user:] + QUESTIONS[:user]
    return [server.ask(question, user=f"user{user}")[0] for question in order[:6]]


def _quiet(server: Running, name: str) -> list[float]:
    """Whole answers, one after another, each question by a new visitor so that nothing of it is remembered."""
    return [server.ask(question, user=f"{name}{n}")[1] for n in range(ALONE) for question in QUESTIONS]
