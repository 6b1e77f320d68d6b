"""Four real named nodes and a real `votenet web` beside them, for tests in a browser."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from support.amendments import amendment
from support.elections import key_of
from support.named_programs import NAMED, NamedPrograms
from support.ports import free_port
from votenet.core.election.definition import Candidate, Contest, Election
from votenet.core.ledger.vote import sign_vote
from votenet.protocol.wire.address import Address


def contest(id: str, title: str, *names: str, **fields: Any) -> Contest:
    candidates = tuple(Candidate(name=name) for name in names)
    return Contest(id=id, title=title, candidates=candidates, **fields)


CHAIR: Final = contest("chair", "Chair", "Alice", "Bob", "Carol", method="plurality")
SITE: Final = contest("site", "Where to build", "Lake", "River", "Harbour", method="instant-runoff", max=3)


class PageNetwork(NamedPrograms):
    """The nodes named-0 to named-3 and the page. Its programs are ended and started by their names."""

    def __init__(self, folder: Path, contests: Sequence[Contest] = (CHAIR, SITE), **others: Any) -> None:
        """`others` as of `NamedPrograms`: closes, roll, more of the definition."""
        super().__init__(folder, **others)
        definition = msgspec.structs.replace(self.election.definition, contests=tuple(contests))
        self.election = Election(definition)
        (folder / "genesis.json").write_bytes(self.election.to_file())
        self.page = Address("127.0.0.1", free_port())
        self.url = f"http://{self.page}"

    def start_all(self, *options: str) -> None:
        """Starts all, and waits until the page knows the election. `options` of the page."""
        for index in range(NAMED):
            self.start_named(index)
        self.start_page(*options)

    def start_page(self, *options: str) -> None:
        nodes = [word for address in self.addresses for word in ("--node", str(address))]
        where = ("--port", str(self.page.port), "--network-id", self.election.network_hex)
        self.start("web", "web", *where, *nodes, *self._options, *options)
        self.wait_for(lambda: self.get("/api/v1/state")[0] == 200)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer of the page; 0 while it does not answer."""
        link = http.client.HTTPConnection(self.page.host, self.page.port, timeout=60)
        try:
            link.request("GET", path)
            answer = link.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            link.close()

    def vote(self, voter_id: str, *choices: Sequence[str]) -> None:
        """Hands a vote to the first node; `choices` of each contest. Returns as soon as the node has it."""
        vote = sign_vote(
            key_of(voter_id),
            network_hex=self.election.network_hex,
            voter_id=voter_id,
            choices=[list(one) for one in choices],
            time=int(time.time()),
        )
        self.wait_for(lambda: self.submit(0, [vote]))

    def wait_until_final(self, votes: int) -> None:
        """Until all nodes have so many votes in blocks that a quorum has signed."""
        self.wait_for(lambda: self.all_count(votes))


@contextlib.contextmanager
def page_network(folder: Path, **options: Any) -> Iterator[PageNetwork]:
    """A network that runs, with its page. `options` as of PageNetwork."""
    made = PageNetwork(folder, **options)
    try:
        made.start_all()
        yield made
    finally:
        made.end()


def closes_soon(network: PageNetwork, notices: Iterator[int]) -> bool:
    """Whether the closing time has changed; a slow network may miss the minute of notice: then once more."""
    known = network.amendments(1)
    if known.get("count") == 0 and 1 not in known.get("waiting", ()):
        closes = int(time.time()) + next(notices)
        network.submit_amendment(1, amendment(network.election, "close", number=1, closes=closes))
    return known.get("count") == 1
