"""Browsers that vote on the page and look around, for as long as a soak lasts.

Each of them loads the booth with everything that it names, posts a vote that it has signed, fetches the
receipt of a received vote, looks at other pages until its vote is final, fetches the final receipt, and comes
back as the next voter. Beside that it keeps one event stream open.

The page and the nodes behind it fail meanwhile. So a lost connection, 503 and 429 are no breach: a browser
tries again a moment later, with the same bytes. Every other answer but 200 is one.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from http_client import Answer, Http, connected
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.protocol.wire.address import Address

GZIP = "Accept-Encoding: gzip"
PAGES = ("/", "/results", "/chain", "/nodes", "/screen", "/api/v1/results", "/api/v1/blocks", "/api/v1/nodes")
LOADED = re.compile(r"""(?:src|href)=["'](/static/[^"']+)["']""")
AGAIN_SECONDS, LOOK_SECONDS, REST_SECONDS = 1.0, 1.0, (1.0, 4.0)
FINAL_SECONDS = 180.0
"""So long a browser looks after its vote; what is not final by then is asked for at the end of the soak."""
TRIES_SECONDS = 120.0
"""So long one request may fail before that is a breach: longer than any fault lasts."""
MAYBE_LATER = frozenset({429, 503})
NOT_YET = frozenset({404, 409})
"""Of a receipt: the node that was asked does not have the vote, or not its certificate."""


class NoAnswer(Exception):
    """A request got no good answer; `args` say why."""


class Browsers:
    """`count` browsers at one page. `run` ends after `stop`, when each has the answer to its last vote.

    `cast` maps the voters whose vote was received to its id; `choices` counts them by candidate. Receipts are
    lines of the file `receipts`.
    """

    def __init__(self, page: Address, election: Election, count: int, receipts: Path) -> None:
        self._page, self._election, self._count = page, election, count
        self._receipts: BinaryIO = receipts.open("wb")
        self._stopping = asyncio.Event()
        self._made = 0
        self.cast: dict[str, str] = {}
        self.choices: Counter[str] = Counter()
        self.without_receipt: set[str] = set()
        self.breaches: list[str] = []
        self.received: list[float] = []
        """Seconds from the first post of a vote to the answer that it was received."""
        self.final: list[float] = []
        self.told: Counter[str] = Counter()
        """Answers by status, connections that were lost, events that came."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            streams = [tasks.create_task(self._follow()) for _ in range(self._count)]
            people = [tasks.create_task(self._person()) for _ in range(self._count)]
            await asyncio.wait(people)
            for stream in streams:
                stream.cancel()

    def stop(self) -> None:
        self._stopping.set()

    async def fetch_missing(self) -> None:
        """The receipts that were not to be had in time, once the network has settled."""
        for voter in sorted(self.without_receipt):
            await self._fetch_receipt(voter)
        self._receipts.close()

    # -- one browser -------------------------------------------------------------------------------

    async def _person(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._visit(self._next_vote())
            except NoAnswer as error:
                self.breaches.append(str(error))
            await asyncio.sleep(random.uniform(*REST_SECONDS))

    def _next_vote(self) -> HashedVote:
        self._made += 1
        return sign_vote(
            SigningKey(random.randbytes(32)),
            network_hex=self._election.network_hex,
            voter_id=f"browser-{self._made}",
            choices=[[random.choice(self._election.names)]],
            time=int(time.time()),
        )

    async def _visit(self, vote: HashedVote) -> None:
        booth = await self._get("/vote", GZIP)
        text = gzip.decompress(booth.body) if booth.headers.get("content-encoding") else booth.body
        for name in dict.fromkeys(LOADED.findall(text.decode())):
            await self._get(name, GZIP)
        began = time.monotonic()
        await self._ask("/api/v1/votes", vote.record)
        self.received.append(time.monotonic() - began)
        self.cast[vote.voter_id] = vote.id.hex()
        self.choices[vote.vote.choices[0][0]] += 1
        await self._fetch_receipt(vote.voter_id, "&received=1")
        while time.monotonic() < began + FINAL_SECONDS:
            await self._get(random.choice(PAGES), GZIP)
            found = await self._get(f"/api/v1/vote?voter={vote.voter_id}")
            if json.loads(found.body)["state"] == "final" and await self._fetch_receipt(vote.voter_id):
                self.final.append(time.monotonic() - began)
                return
            await asyncio.sleep(LOOK_SECONDS)
        self.without_receipt.add(vote.voter_id)

    async def _fetch_receipt(self, voter: str, which: str = "") -> bool:
        answer = await self._ask(f"/api/v1/receipt?voter={voter}{which}", None, NOT_YET)
        if answer.status == 200:
            self._receipts.write(answer.body)
            self.without_receipt.discard(voter)
        return answer.status == 200

    async def _follow(self) -> None:
        while True:
            try:
                async with connected(self._page) as http:
                    stream = await http.stream("/api/v1/events")
                    while await stream.readline():
                        self.told["event"] += 1
            except (OSError, EOFError, TimeoutError, AssertionError):
                self.told["stream lost"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    # -- one request -------------------------------------------------------------------------------

    async def _get(self, path: str, *headers: str) -> Answer:
        return await self._ask(path, None, frozenset(), *headers)

    async def _ask(
        self, path: str, body: bytes | None, others: frozenset[int] = frozenset(), *headers: str
    ) -> Answer:
        """The answer, 200 or one of `others`. Raises NoAnswer."""
        deadline, why = time.monotonic() + TRIES_SECONDS, ""
        while time.monotonic() < deadline:
            try:
                async with connected(self._page) as http:
                    answer = await _once(http, path, body, headers)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
                self.told["connection lost"] += 1
                why = repr(error)
            else:
                self.told[str(answer.status)] += 1
                if answer.status == 200 or answer.status in others:
                    return answer
                why = f"{answer.status} {answer.body[:200]!r}"
                if answer.status not in MAYBE_LATER:
                    break
            await asyncio.sleep(AGAIN_SECONDS)
        raise NoAnswer(f"{'POST' if body else 'GET'} {path}: {why}")


async def _once(http: Http, path: str, body: bytes | None, headers: Sequence[str]) -> Answer:
    return await (http.get(path, *headers) if body is None else http.post(path, body))
