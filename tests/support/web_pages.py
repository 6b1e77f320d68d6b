"""Elections as the pages see them, in every state, without nodes: snapshots out of a club's evening."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from html import unescape
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import httpx
import msgspec

from support.amendments import amendment
from support.club_evening import certificate_with_witness, club_evening
from support.elections import make_election, named_nodes
from support.secret_definitions import SecretSetup
from votenet.core.election.contest import CheckedContest
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import Certificate
from votenet.core.methods.tally import Tally
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.election_report import ALL_ROUNDS
from votenet.errors import Stopping, Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetProof, Proof, Results, VoteStatus
from votenet.web.api.chain_index import ChainIndex
from votenet.web.live_view import WAITING
from votenet.web.serving.server import make_app
from votenet.web.settings import WebSettings
from votenet.web.snapshot import NodeView, Snapshot, State, state_of

T = TypeVar("T")

NODES: Final = tuple(
    NodeView(f"127.0.0.1:{9000 + place}", f"Node {place}", up=True, height=9, final_height=9, signs=True)
    for place in range(5)
)
STRANGE: Final = '<b>Ann</b> & "عبد الله" {count} ' + "w" * 150
"""A name with markup, letters from right to left, a placeholder, and no blank to break at."""


class FixedView:
    """A `LiveView` that shows one snapshot for ever; None: no node has answered.

    `genesis`: the election that it knows before.
    """

    def __init__(self, snapshot: Snapshot | None, certificate: Certificate | None = None) -> None:
        self.latest = snapshot
        self.genesis: Election | None = None
        self.log = SimpleNamespace(newest=certificate)
        self.streams = 0
        self.nodes = [] if snapshot is None else list(snapshot.nodes)
        self._ended = asyncio.Event()

    @property
    def known_election(self) -> Election | None:
        return self.genesis if self.latest is None else self.latest.election

    @property
    def election(self) -> Election:
        return self.known_election or self.snapshot.election

    def check_begun(self) -> None:
        if self.genesis is not None:
            assert self.snapshot

    @property
    def snapshot(self) -> Snapshot:
        if self.latest is None and self.genesis is not None:
            raise Unreachable("the nodes have not been found yet", code=WAITING, next_step="Wait.")
        if self.latest is None:
            raise Unreachable("no node of this election answers", next_step="Try again in a moment.")
        return self.latest

    async def changed(self, after: Snapshot | None) -> Snapshot:
        """What it shows; a reader who has seen something waits until the server stops."""
        if after is None and self.latest is not None:
            return self.latest
        await self._ended.wait()
        raise Stopping("the server stops")

    def end(self) -> None:
        self._ended.set()

    async def ask(self, work: Callable[[Any], Awaitable[T]], *, other_than: object = ()) -> T:
        """Asks the one node that there is (`FixedNode`)."""
        return await work(FixedNode(self.snapshot))

    async def ask_trusted(self, work: Callable[[Any], Awaitable[T]]) -> T:
        return await self.ask(work)

    def asked(self) -> None:
        """Nothing: it shows what it has."""


class FixedNode:
    """A node that knows the votes of the club's evening."""

    address = Address("127.0.0.1", 9000)

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._blocks = club_evening_read(snapshot.results.over)[1]

    async def ask(self, question: Any, _: object) -> Any:
        for height, block in enumerate(self._blocks, start=1):
            for position, vote in enumerate(block.votes):
                if vote.voter_id == question.voter_id:
                    if isinstance(question, GetProof):
                        return Proof(vote=vote.vote, height=height, position=position)
                    return self._status(vote, height, position)
        return Proof() if isinstance(question, GetProof) else VoteStatus(question.voter_id, "unknown")

    def _status(self, vote: HashedVote, height: int, position: int) -> VoteStatus:
        final = (self._snapshot.final_height or 0) >= height
        return VoteStatus(
            vote.voter_id,
            "final" if final else "in_block",
            vote_id=vote.id.hex(),
            block=self._blocks[height - 1].header.hash.hex(),
            height=height,
            position=position,
        )


class FixedReader:
    """A `ChainReader` of the club's evening."""

    def __init__(self, closed: bool) -> None:
        check, self._blocks = club_evening_read(closed)
        self._index = ChainIndex(check.election)
        for block in self._blocks:
            self._index.append(block)

    async def index(self) -> ChainIndex:
        return self._index

    async def block(self, height: int, who: str = "") -> Block:
        return self._blocks[height - 1]


@cache
def club_evening_read(closed: bool) -> tuple[ArchiveCheck, list[Block]]:
    """The archive of the club's evening, checked, and its blocks above genesis."""
    roll, file = club_evening(closed)
    lines = file.pack(certificate_with_witness(file)).splitlines(keepends=True)
    check = ArchiveCheck(lines, 2_000_000_000, roll=roll)
    return check, [Block(entry.header, tuple(votes), entry.extras) for entry, votes in check.blocks()]


@cache
def club_evening_shown(closed: bool) -> tuple[Snapshot, Certificate]:
    """The club's evening behind its last block, and its certificate."""
    check, _ = club_evening_read(closed)
    election, tally, found = check.election, check.chain.tally, check.certificate
    assert found is not None
    height = check.chain.tip.height
    reports = [
        CheckedContest(contest.definition, election.network_hex, only=True, round_counts=ALL_ROUNDS).report(
            counted, election.roll_weight
        )
        for contest, counted in zip(election.contests, tally.contests, strict=True)
    ]
    results = results_of(
        election,
        contests=tuple(reports),
        votes=tally.votes,
        height=height,
        final_height=height,
        signed_by=election.node_names(sorted(found.signers)),
        over=check.end.over,
        amendments=len(election.amendments),
    )
    nodes = tuple(msgspec.structs.replace(node, height=height, final_height=height) for node in NODES)
    now = check.chain.tip.header.time
    return Snapshot(election, state_of(election, results, now), results, nodes, now), found


def results_of(election: Election, **fields: Any) -> Results:
    """What a node answers about this election."""
    told: dict[str, Any] = {
        "title": election.definition.title,
        "contests": (),
        "votes": 0,
        "waiting": 0,
        "height": 0,
        "tip": "00" * 32,
        "network_id": election.network_hex,
        "opens": election.definition.opens,
        "closes": election.closes,
        "registered": election.roll_size,
    }
    return Results(**(told | fields))


def shown(state: str) -> Snapshot:
    """The club's evening in one of the five states, or `hidden`: open, and counts only after closing."""
    done, _ = club_evening_shown(True)
    live, _ = club_evening_shown(False)
    match state:
        case "final":
            return done
        case "open":
            return live
        case "closed":
            results = msgspec.structs.replace(done.results, final_height=4, signed_by=("Node 1",))
            return replace(done, state="closed", results=results)
        case "before":
            opens = live.election.definition.opens or live.at
            return replace(live, state="before", at=opens - 7200, results=results_of(live.election))
        case "hidden":
            return replace(live, results=msgspec.structs.replace(live.results, contests=()))
        case "cancelled":
            reports = tuple(contest.cancelled_report() for contest in live.election.contests)
            results = msgspec.structs.replace(live.results, contests=reports, cancelled=True)
            cancel = amendment(live.election, "cancel", reason="The hall burned down")
            election = live.election.amended([cancel])
            return replace(live, election=election, state="cancelled", results=results, cancelled_at=live.at)
    raise ValueError(state)


def secret_snapshot(state: State = "open", decrypted_by: tuple[int, ...] = ()) -> Snapshot:
    """An election with secret ballots, and no vote. `decrypted_by`: places of trustees, too few to count."""
    election = SecretSetup(by_code=True).election
    results = results_of(election, decrypted_by=decrypted_by, signed_by=("Node 0",))
    return Snapshot(election, state, results, NODES, election.definition.created + 60)


STATES: Final = ("before", "open", "hidden", "closed", "final", "cancelled")


def strange_snapshot() -> Snapshot:
    """An open election without a roll, whose every text is foreign and long."""
    election = make_election(
        title=STRANGE,
        candidates=(STRANGE, "Bob", "شارلي"),
        nodes=named_nodes(5),
        method="instant-runoff",
        max_choices=3,
    )
    report = election.contests[0].report(_tally_of(election))
    results = results_of(
        election, contests=(report,), votes=9, height=3, final_height=2, signed_by=("Node 0",)
    )
    return Snapshot(election, "open", results, NODES, election.definition.created + 60)


def _tally_of(election: Election) -> Tally:
    first, second, third = election.names
    tally = Tally()
    tally.add([(first, second), (first,), (second, third), (third, second), (second,), (first,)])
    return tally


def html_of(
    path: str, snapshot: Snapshot | None, lang: str = "en", settings: WebSettings | None = None
) -> tuple[int, str]:
    """Status and text of a page that shows this snapshot."""

    async def ask() -> tuple[int, str]:
        certificate = None if snapshot is None else club_evening_shown(True)[1]
        app = make_app(FixedView(snapshot, certificate), settings or WebSettings())  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client:
            answer = await client.get(f"{path}{'&' if '?' in path else '?'}lang={lang}")
        return answer.status_code, answer.text

    return asyncio.run(ask())


def text_of(html: str) -> str:
    """What a reader sees of the content of a page, blanks made one."""
    body = html[html.index("<main") : html.index("</main>")]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())
