"""A secret election over real sockets: five named nodes, votes that the client encrypts, two shares, counts.

What comes out is an archive that is checked again, and a `.bel` archive that belenios-tool proves.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest
from tests.e2e.conftest import Votenet

from support.amendments import amendment
from support.belenios_tool import find_tool
from support.elections import key_of
from support.lying_node import Answer, lying_node
from support.named_programs import write_node_key
from support.ports import free_port
from support.processes import PATIENCE, Programs
from support.secret_definitions import UUID, SecretSetup, code_of, contest
from support.secret_elections import TIME
from support.secret_history import AFTER, secret_history
from votenet.client.election_client import AsyncElectionClient
from votenet.client.secret_votes import (
    ArchivedShares,
    encrypted_ballot,
    fetch_shares,
    submit_share,
)
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.election.voting_code import shown_code
from votenet.core.ledger.block import Block, Header, unpack_header
from votenet.core.ledger.extras import decode_extras
from votenet.core.ledger.secret_count import EncryptedCount, SecretSum, checked_share, open_count
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import NotProven, Rejected, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import AmendmentTaken, SubmitAmendment
from votenet.secret.ballot import check_ballot
from votenet.secret.belenios_archive import BeleniosArchive, OwnedPart
from votenet.secret.credentials import credential_of_code, write_public_credentials
from votenet.secret.documents import encode
from votenet.secret.group import Point
from votenet.secret.tally import decrypted_powers, result_of
from votenet.secret.trustees import TrusteeGroup, key_of_threshold
from votenet.storage.blocks.tables import split_records

NODES: Final = 5
DAY: Final = 86_400
CONTESTS: Final = (
    contest(),
    contest("Setuju?", ("Ya", "Tidak"), id="2", method="approval", blank=True, max=2),
)
CHOICES: Final = {
    "voter-1": {"1": ["Alice"], "2": ["Ya", "Tidak"]},
    "voter-2": {"1": ["Çelik"], "2": ["Ya"]},
    "voter-3": {"1": ["Alice"], "2": []},
}
COUNTS: Final = [(("Alice", 2), ("Çelik", 1), ("Bob", 0)), (("Ya", 2), ("Tidak", 1))]


class SecretPrograms(Programs):
    """Five real nodes of a secret election, as child processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.setup = SecretSetup(
            contests=CONTESTS, closes=int(time.time()) + DAY, nodes=NODES, grace=1, by_code=True
        )
        self.election = self.setup.election
        (folder / "genesis.json").write_bytes(self.election.to_file())
        (folder / "roll.json").write_bytes(self.setup.roll.to_file())
        self.addresses = [Address("127.0.0.1", free_port()) for _ in range(NODES)]

    def start_all(self) -> None:
        for index, address in enumerate(self.addresses):
            name = f"named-{index}"
            write_node_key(self.folder / name, index)
            peers = [word for other in self.addresses if other != address for word in ("--peer", str(other))]
            self.node(name, address, *peers, "--roll", str(self.folder / "roll.json"))

    def where(self, index: int = 0) -> tuple[str, ...]:
        """Options of a command that asks a node."""
        return "--node", str(self.addresses[index]), "--network", self.election.network_hex

    def votenet(self, *words: str, exit_code: int | None = 0) -> str:
        """What a command prints, on both streams."""
        done = Votenet(self.folder / "voter")(*words, exit_code=exit_code)
        return done.stdout + done.stderr

    def client(self, index: int = 0) -> AsyncElectionClient:
        return AsyncElectionClient(
            self.addresses[index], network_id=self.election.network_hex, remember=False, discover=True
        )


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[SecretPrograms]:
    made = SecretPrograms(tmp_path)
    try:
        made.start_all()
        yield made
    finally:
        made.end()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Return once it is true. What a node that is busy or starting cannot answer is asked again."""
    deadline = time.monotonic() + 4 * PATIENCE
    while True:
        try:
            if await condition():
                return
        except (VotenetError, OSError):
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def cast_all(programs: SecretPrograms) -> None:
    """Each voter votes with the code on the card."""
    async with programs.client() as client:
        for voter, choices in list(CHOICES.items())[:2]:
            credential = credential_of_code(code_of(voter), UUID)
            cast = await client.cast(
                voter, choices, key=programs.setup.voter_key(voter), wait=4 * PATIENCE, credential=credential
            )
            assert (cast.state, cast.choices) == ("final", ())
        with pytest.raises(VotenetError) as caught:
            await client.cast("voter-4", CHOICES["voter-1"], key=programs.setup.voter_key("voter-4"))
        assert caught.value.code == "no-credential"
        with pytest.raises(Rejected) as refused:
            await client.cast(
                "voter-4", CHOICES["voter-1"], key=programs.setup.voter_key("voter-4"),
                credential=credential_of_code(code_of("voter-5"), UUID),
            )  # fmt: skip
        assert refused.value.code == "unknown-credential"
    await asyncio.to_thread(vote_by_command, programs)


def vote_by_command(programs: SecretPrograms) -> None:
    """The third voter types the code on the card, and leaves the second contest blank."""
    card = programs.folder / "card"
    card.write_text(shown_code(code_of("voter-3")))
    said = programs.votenet(
        "vote", "--code-file", str(card), "--in", "1=Alice", "--roll", str(programs.folder / "roll.json"),
        "--wait", str(4 * PATIENCE), *programs.where(),
    )  # fmt: skip
    assert "Your vote is final" in said
    assert "encrypted" in said
    assert "Alice" not in said
    refused = programs.votenet("vote", "voter-4", "--in", "1=Alice", *programs.where(), exit_code=None)
    assert "[no-credential]" in refused or "[no-key]" in refused


async def close(programs: SecretPrograms) -> None:
    """The authority closes the election as soon as it may; on a busy machine it tries again, later."""
    notices = itertools.count(64, 8)

    async def closed() -> bool:
        async with programs.client() as client:
            amended = await client.amended()
            if amended.closes is not None and amended.closes < time.time() + DAY / 2:
                return True
            one = _closing(amended, int(time.time()) + next(notices))
            await client.at_one_node(lambda node: node.ask(SubmitAmendment(amendment=one), AmendmentTaken))
            await asyncio.sleep(3.0)
        return False

    await until(closed)


def _closing(amended: Election, closes: int) -> Amendment:
    return amendment(amended, "close", by=key_of("authority"), closes=closes, reason="early")


async def checked_archive(programs: SecretPrograms) -> tuple[ArchiveCheck, list[HashedVote]]:
    """The archive that a node gives, checked, and its votes in their order."""
    async with programs.client(1) as client:
        lines = [line async for line in client.archive()]
    check = ArchiveCheck(lines, int(time.time()), roll=programs.setup.roll)
    votes = [vote for _, block in check.blocks() for vote in block]
    return check, votes


async def hand_in(programs: SecretPrograms, place: int, share: str, index: int) -> None:
    async def taken() -> bool:
        async with programs.client(index) as client:
            await client.at_one_node(lambda node: submit_share(node, share, place))
        return True

    await until(taken)


def bel_archive(
    programs: SecretPrograms, counted: EncryptedCount, votes: list[HashedVote], shares: list[str]
) -> BeleniosArchive:
    """The `.bel` archive of the finished election."""
    setup, election = programs.setup, programs.election
    secret = election.secret
    assert secret is not None
    checked = [checked_share(election, counted, share) for share in shares]
    group = TrusteeGroup(2, election.trustee_keys, key_of_threshold(election.trustee_keys, 2))
    decryptions = {one.place: one.decryption for one in checked}
    powers = decrypted_powers(counted.tally, [group], decryptions)
    roll = {Point.parse(setup.public_credential(voter)): 1 for voter in setup.voters}
    for vote in votes:
        check_ballot(secret, vote.vote.ballot.encode(), roll)
    return BeleniosArchive(
        timestamp=TIME,
        election=secret.raw,
        trustees=setup.trustees_file,
        credentials=write_public_credentials(roll),
        ballots=tuple(vote.vote.ballot.encode() for vote in votes),
        closed=True,
        encrypted_tally=encode(counted.tally),
        num_tallied=counted.votes,
        total_weight=counted.weight,
        decryptions=tuple(OwnedPart(one.place, encode(one.decryption)) for one in checked),
        result=encode(result_of(powers, counted.weight)),
    )


async def whole_election(programs: SecretPrograms) -> BeleniosArchive:
    election, setup = programs.election, programs.setup

    async def are_ready() -> bool:
        """Not all at one moment: one node may be behind the other."""
        for index in range(NODES):
            async with programs.client(index) as client:
                if not (await client.at_one_node(fetch_shares)).final:
                    return False
        return True

    async def answers() -> bool:
        async with programs.client() as client:
            return len((await client.status()).network_id) == 64

    # 1. Votes, each final; the closing; the result is final, and nobody can count yet.
    await until(answers)
    await cast_all(programs)
    await close(programs)
    await until(are_ready)
    async with programs.client() as client:
        results = await client.results()
    assert (results.final, results.votes, results.contests, results.decrypted_by) == (True, 3, (), ())
    said = await asyncio.to_thread(programs.votenet, "results", *programs.where(2))
    assert "3 votes, encrypted; waiting for 2 of 3 trustees." in said
    before, votes = await checked_archive(programs)
    assert before.report().encrypted
    # 2. Two trustees make their shares from the archive, and give them to different nodes.
    sums = SecretSum(election)
    sums.add(votes, election)
    counted = EncryptedCount.of(sums)
    shares = [setup.share(place, counted) for place in (1, 3)]
    await hand_in(programs, 1, shares[0], 0)
    await hand_in(programs, 3, shares[1], 4)
    # 3. Every node counts, and the archive has the shares.
    for index in range(NODES):

        async def counts(index: int = index) -> bool:
            async with programs.client(index) as client:
                found = await client.results()
            return [report.counts for report in found.contests] == COUNTS

        await until(counts)
    said = await asyncio.to_thread(programs.votenet, "results", *programs.where(2))
    assert "Alice" in said
    assert "encrypted" not in said
    after, _ = await checked_archive(programs)
    assert after.decrypted_by == (1, 3)
    report = after.report()
    assert (report.encrypted, report.counts_shown, report.final) == (False, True, True)
    assert [one.counts for one in report.contests] == COUNTS
    assert [one.blank for one in report.contests] == [0, 1]
    return bel_archive(programs, counted, votes, shares)


@pytest.mark.long
def test_a_whole_secret_election_at_five_nodes(programs: SecretPrograms, tmp_path: Path) -> None:
    archive = asyncio.run(whole_election(programs))
    folder = tmp_path / "tool"
    folder.mkdir()
    assert find_tool(folder).proves(archive, UUID)


def test_a_public_election_needs_no_credential_and_a_wrong_one_is_told() -> None:
    setup = SecretSetup()
    assert encrypted_ballot(setup.election, [["Alice"]], credential_of_code("a", UUID)) != ""
    with pytest.raises(NotProven) as caught:
        encrypted_ballot(setup.election, [["Alice"]], "no credential")
    assert caught.value.code == "bad-credential"
    public = Election(setup.define(secrecy="public", trustees=None, belenios=""))
    assert encrypted_ballot(public, [["Alice"]], None) == ""


def test_what_the_client_encrypts_is_what_was_chosen() -> None:
    setup = SecretSetup(contests=CONTESTS)
    votes = [
        setup.vote(
            voter,
            ballot=encrypted_ballot(
                setup.election,
                [choices["1"], choices["2"]],
                credential_of_code(code_of(voter), UUID),
            ),
        )
        for voter, choices in CHOICES.items()
    ]
    counted = setup.counted(votes)
    shares = [checked_share(setup.election, counted, setup.share(place, counted)) for place in (2, 3)]
    opened = open_count(setup.election, counted, {one.place: one.decryption for one in shares})
    assert opened is not None
    assert [report.counts for report in setup.election.reports(opened)] == COUNTS
    assert msgspec.json.decode(votes[0].record)["choices"] == []


def test_the_next_step_without_a_code_does_not_tell_the_choice() -> None:
    election = SecretSetup(contests=CONTESTS).election
    with pytest.raises(VotenetError) as refused:
        encrypted_ballot(election, [["Bob"], []], None)
    assert refused.value.code == "no-credential"
    assert str(refused.value.next_step) == "Vote with the code on your card: votenet vote --code"


# -- shares in an archive ------------------------------------------------------------------------------


class FinishedNode:
    """Answers as a node of the finished election does, from its second answer on; before that nothing is
    signed there. `shares`: what it has then; None: it hangs up when it is asked for them."""

    def __init__(self, shares: Sequence[str] | None, *, asked: int = 0) -> None:
        self.shares, self.asked = shares, asked

    @property
    def answers(self) -> dict[str, Answer]:
        return {"get_shares": self._shares, "get_checkpoint": self._checkpoint}

    def _is_final(self) -> bool:
        self.asked += 1
        return self.asked > 1

    def _shares(self, _: object) -> dict[str, object]:
        if self.shares is None:
            raise ConnectionError
        final = self._is_final()
        shares = list(self.shares) if final else []
        return {"type": "share_list", "shares": shares, "threshold": 2, "final": final}

    def _checkpoint(self, _: object) -> dict[str, object]:
        if not self._is_final():
            return {"type": "checkpoint", "note": "", "height": 0}
        history = secret_history()
        return {"type": "checkpoint", "note": history.certificate, "height": len(history.blocks)}


class ReadBlocks:
    """Stands for an Observer: the blocks of the finished election."""

    def __init__(self, address: Address, election: Election, *, dial_timeout: float) -> None:
        self._blocks = [
            Block(unpack_header(raw), tuple(split_records(records)), decode_extras(extras))
            for raw, records, extras in secret_history().blocks
        ]

    async def __aenter__(self) -> ReadBlocks:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def headers(self) -> list[Header]:
        return [block.header for block in self._blocks]

    async def blocks(self, headers: Sequence[Header]) -> AsyncIterator[Block]:
        for block in self._blocks[: len(headers)]:
            yield block


def archived(monkeypatch: pytest.MonkeyPatch, *nodes: FinishedNode) -> ArchiveCheck:
    """What a client makes of these nodes, checked."""
    monkeypatch.setattr("votenet.client.observer.Observer", ReadBlocks)
    history = secret_history()

    async def lines() -> list[bytes]:
        async with AsyncElectionClient(addresses, remember=False) as client:
            return [line async for line in client.archive()]

    with contextlib.ExitStack() as stack:
        addresses = [stack.enter_context(lying_node(history.setup.election, node.answers)) for node in nodes]
        found = asyncio.run(lines())
    check = ArchiveCheck(found, AFTER, roll=history.setup.roll)
    check.run()
    return check


def test_an_archive_of_a_node_whose_result_becomes_final_meanwhile_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shares that were asked for behind the certificate stood beside one of a result that is not final."""
    check = archived(monkeypatch, FinishedNode(history_shares(1, 2)))
    assert check.report().final
    assert check.shares == ()


def test_certificate_and_shares_are_those_of_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    behind, ahead = FinishedNode(None), FinishedNode(history_shares(1, 2), asked=1)
    check = archived(monkeypatch, behind, ahead)
    assert (check.report().final, check.decrypted_by) == (True, (1, 2))


def test_shares_that_do_not_hold_are_left_out_of_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    history = secret_history()
    one, three = history_shares(1, 3)
    fewer = history.setup.counted(history.votes[1:])
    given = [three, history.setup.share(2, fewer), "{}", one, one + " ", three]
    check = archived(monkeypatch, FinishedNode(given, asked=1))
    assert check.shares == (one, three)
    assert not check.report().encrypted


def history_shares(*places: int) -> list[str]:
    history = secret_history()
    return [history.setup.share(place, history.counted) for place in places]


def test_votes_that_are_no_ballots_leave_the_shares_as_they_came() -> None:
    setup = SecretSetup()
    shares = ArchivedShares(setup.election)
    shares.count([setup.vote("voter-1", ballot="{}")])  # none were fetched: nothing is summed
    for ballot in ("{}", "[" * 5000, '{"answers":[{"choices":[{"alpha":"x","beta":"y"}]}]}'):
        with pytest.raises(NotProven) as caught:
            SecretSum(setup.election).add([setup.vote("voter-1", ballot=ballot)], setup.election)
        assert caught.value.code == "bad-document"
