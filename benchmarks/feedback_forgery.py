"""1,000 forged, replayed and foreign ratings over HTTP, each of which must be refused, beside honest ones, which must not.

The attacker has everything a visitor has: their own pass, ids they used, ids of others that leaked, the source code.
"""

from __future__ import annotations

import base64
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import itsdangerous

from assistant.feedback import Feedback
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.openai_client import QUESTION, api

ATTACKS = 1000
VISITORS = 8
SITE = "http://shop.example"
Forge = Callable[[random.Random], tuple["_Visitor", str]]


class _Visitor:
    """A visitor of an allowed site, with the ids of their answers: some used, the last one not."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/v1", headers={"origin": SITE}, timeout=120)
        token = self.http.post("/visitors", json={}).raise_for_status().json()["token"]
        self.http.headers["authorization"] = f"Bearer {token}"
        self.used: list[str] = []
        self.honest = 0
        for _ in range(2):
            self.fresh = self.ask()
            for _ in range(2):
                self.used.append(self.fresh)
                answer = self.rate(self.fresh)
                self.honest += answer.status_code == 200
                self.fresh = answer.json().get("answer", "")
        self.unused = self.ask()

    def ask(self) -> str:
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        return str(self.http.post("/chat/completions", json=body).raise_for_status().json()["confide"]["answer"])

    def rate(self, answer: str) -> httpx.Response:
        return self.http.post("/feedback", json={"answer": answer, "rating": "down", "consent": True})


def run(seed: int = 0) -> Report:
    """`accepted` of the attacks; `honest_refused` of the honest ratings, before and after them."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, api(Path(folder), cors_origins=(SITE,)) as (url, assistant):
        visitors = [_Visitor(url) for _ in range(VISITORS)]
        kinds = _kinds(visitors, Feedback(assistant.store, assistant.settings.tenant, rng.randbytes(32)))
        accepted: Counter[str] = Counter()
        rows = len(assistant.feedback.newest(assistant.settings.collection, limit=10**6))
        for number in range(ATTACKS):
            name = list(kinds)[number % len(kinds)]
            visitor, forged = kinds[name](rng)
            accepted[name] += visitor.rate(forged).status_code == 200
        grown = len(assistant.feedback.newest(assistant.settings.collection, limit=10**6)) - rows
        honest = sum(one.honest for one in visitors) + sum(one.rate(one.unused).status_code == 200 for one in visitors)
    measures = (
        Measure("accepted", accepted.total(), n=ATTACKS),
        Measure("rows_made", grown, n=ATTACKS),
        Measure("honest_refused", 5 * VISITORS - honest, n=5 * VISITORS),
    )
    return Report("feedback-forgery", measures, provenance(seed=seed, kinds=sorted(kinds), accepted=dict(accepted)))


def _kinds(visitors: list[_Visitor], foreign: Feedback) -> dict[str, Forge]:
    """Each way to forge: who sends what."""

    def somebody(rng: random.Random) -> _Visitor:
        return rng.choice(visitors)

    def others(rng: random.Random) -> tuple[_Visitor, str]:
        one, two = rng.sample(visitors, 2)
        return one, two.unused

    def changed(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        place = rng.randrange(len(one.unused) - 1)  # the last letter of base64 may have bits that nobody reads
        letter = rng.choice([x for x in "ABCxyz019-_." if x != one.unused[place]])
        return one, one.unused[:place] + letter + one.unused[place + 1 :]

    def rewritten(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        content = foreign._signer.loads_unsafe(one.unused)[1]
        content[5] = rng.randrange(1, 9)
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
        return one, ".".join([body, *one.unused.rsplit(".", 2)[1:]])

    def resigned(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        return one, str(foreign._signer.dumps(foreign._signer.loads_unsafe(one.unused)[1]))

    def spliced(rng: random.Random) -> tuple[_Visitor, str]:
        one, two = rng.sample(visitors, 2)
        return one, ".".join([two.unused.rsplit(".", 2)[0], *one.unused.rsplit(".", 2)[1:]])

    def unsigned(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        return one, rng.choice(["", ".", "..", one.unused.rsplit(".", 2)[0], one.unused.rpartition(".")[0] + "."])

    def weak(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        key = rng.choice([b"", b"secret", b"confide.answer", b"0" * 32])
        return one, str(
            itsdangerous.URLSafeTimedSerializer(key or b"\0", salt="confide.answer").dumps(
                foreign._signer.loads_unsafe(one.unused)[1]
            )
        )

    def garbage(rng: random.Random) -> tuple[_Visitor, str]:
        return somebody(rng), base64.urlsafe_b64encode(rng.randbytes(rng.randrange(200))).decode()

    def replayed(rng: random.Random) -> tuple[_Visitor, str]:
        one = somebody(rng)
        return one, rng.choice(one.used)

    def stolen_used(rng: random.Random) -> tuple[_Visitor, str]:
        one, two = rng.sample(visitors, 2)
        return one, rng.choice(two.used)

    return {
        "replayed": replayed, "somebody else's": others, "somebody else's, used": stolen_used, "a letter changed": changed,
        "content rewritten": rewritten, "signed with another key": resigned, "signed with a weak key": weak,
        "spliced of two": spliced, "unsigned": unsigned, "garbage": garbage,
    }  # fmt: skip
