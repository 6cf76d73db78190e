"""Customers who chat: a locust script that asks a running server as people do, with pauses between their questions.

A customer asks one to four questions in a conversation, waits between them (about `--think` seconds, from half to one
and a half times as long), then the next customer comes. The questions are the titles of the demo shop's own FAQ, one in
ten of them Chinese; none is of its golden set. Told apart are the seconds until the door lets a question in, until its
first visible text, and until the answer is whole; a question that is turned away counts as failed.

    locust -f benchmarks/customers.py --headless -H http://127.0.0.1:7860 --key ck_... -u 16 -r 2 -t 5m \
        --csv load --html load.html

`python -m benchmarks load` does that for several numbers of customers against a server of its own.
"""

from __future__ import annotations

import csv
import json
import random
import secrets
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from locust import HttpUser, events, task

DOCUMENTS = Path(__file__).resolve().parent.parent / "examples" / "demo_shop" / "documents"
CHINESE = 0.1
LET_IN, FIRST, WHOLE = "let in", "first text", "whole answer"


@events.init_command_line_parser.add_listener
def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--key", default="", help="A key: `python app.py keys create load --per-minute 100000`.")
    parser.add_argument("--think", type=float, default=30.0, help="Seconds between a customer's questions, about.")
    parser.add_argument("--collection", default="shop", help="What is asked.")


def titles(file: str) -> list[str]:
    """The questions of one FAQ."""
    with (DOCUMENTS / file).open(encoding="utf-8") as rows:
        return [row[0] for row in list(csv.reader(rows))[1:]]


ENGLISH, OTHERS = titles("faq.csv"), titles("faq.zh.csv")


class Customer(HttpUser):
    """One who asks."""

    def on_start(self) -> None:
        """They do not all come at once."""
        self.left = 0
        time.sleep(random.uniform(0, self.options.think))

    @property
    def options(self) -> Any:
        """What the command line says."""
        return self.environment.parsed_options

    def wait_time(self) -> float:
        """Reads the answer, thinks, types."""
        return self.options.think * random.uniform(0.5, 1.5)

    @task
    def ask(self) -> None:
        """The next question, in the conversation of the one before or as a new customer."""
        if not self.left:
            self.left, self.name, self.conversation = random.randint(1, 4), f"customer-{secrets.token_hex(4)}", None
        self.left -= 1
        body = {
            "model": self.options.collection,
            "messages": [{"role": "user", "content": random.choice(OTHERS if random.random() < CHINESE else ENGLISH)}],
            "stream": True,
            "user": self.name,
            "conversation": self.conversation,
        }
        headers = {"authorization": f"Bearer {self.options.key}"}
        self.began = time.perf_counter()
        with self.client.post(
            "/v1/chat/completions", json=body, headers=headers, stream=True, catch_response=True, name=LET_IN,
            timeout=300,
        ) as answer:  # fmt: skip
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code} {answer.text[:100]}")
                return
            self._read(answer)

    def _read(self, answer: Any) -> None:
        """The stream to its end."""
        first = False
        for line in answer.iter_lines():
            if not line.startswith(b"data: {"):
                continue  # a position, or the end
            event = json.loads(line[6:])
            if "error" in event:
                self._tell(WHOLE, RuntimeError(event["error"]["message"]))
                return
            if not first and event["choices"] and event["choices"][0]["delta"].get("content"):
                first = True
                self._tell(FIRST)
            if confide := event.get("confide"):
                self.conversation = confide["conversation"] or None
                failed = confide["outcome"] == "COMPONENT_FAILED"
                self._tell(WHOLE, RuntimeError("a component failed") if failed else None)

    def _tell(self, name: str, error: Exception | None = None) -> None:
        took = 1000 * (time.perf_counter() - self.began)
        self.environment.events.request.fire(
            request_type="SSE", name=name, response_time=took, response_length=0, exception=error, context={}
        )
