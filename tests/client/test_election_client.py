"""The asynchronous client as a program uses it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import RunningNode
from tests.client.test_observer import peer

from support.elections import key_of, make_election, named_nodes
from support.lying_node import Answer, election_info, lying_node, results_info
from support.ports import free_port
from support.shown_log import SignedLog, leaves
from votenet.client.election_client import AsyncElectionClient
from votenet.core.encoding import canonical
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import NotProven, NotRunning, Rejected, Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    CheckpointMessage,
    ElectionInfo,
    GetCheckpoint,
    GetElection,
    GetStatus,
    NodeStatus,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.peer_messages import GetHeaders, Headers


def dead() -> str:
    return f"127.0.0.1:{free_port()}"


def test_cast_ask_and_prove(node: RunningNode, tmp_path: Path) -> None:
    """The voter's key is made on first use; a receipt must be signed by it."""

    async def main() -> None:
        async with AsyncElectionClient([dead(), str(node.address)], keys=tmp_path / "keys") as election:
            assert election.candidates == ("Alice", "Bob", "Charlie")
            assert (await election.vote_status("ann")).state == "unknown"
            cast = await election.cast("ann", "Bob")
            assert (await election.vote_status("ann")).vote_id == cast.vote_id
            assert election.network_id == cast.network_id == node.election.network_hex
            assert election.node == node.address
            results = await election.results()
            assert dict(results.contests[0].counts)["Bob"] == 1
            assert (await election.status()).votes == results.votes
            receipt = await election.receipt("ann")
            assert await election.confirmations(receipt) >= 1
            assert (await election.proof("ann")).vote == receipt.vote
            height = await election.at_one_node(lambda open_node: open_node.ask(GetStatus(), NodeStatus))
            assert height.height >= 1
            with pytest.raises(NotProven) as refused:
                await election.receipt("ann", key="ab" * 32)
            assert refused.value.code == "other-key"

    asyncio.run(main())
    assert len(list((tmp_path / "keys").glob("*.json"))) == 1


def test_a_node_whose_election_is_not_valid_is_passed_over() -> None:
    election = make_election()
    broken = election_info(election) | {"definition": {"title": 7}}

    async def main(*addresses: Address) -> Address:
        async with AsyncElectionClient(addresses) as client:
            await client.status()
            return client.node

    with lying_node(election, {"get_election": lambda _: broken}) as bad, lying_node(election, {}) as good:
        assert asyncio.run(main(bad, good)) == good


def test_a_node_of_another_network_is_refused(node: RunningNode) -> None:
    async def main() -> None:
        async with AsyncElectionClient(node.address, network_id="ab" * 32):
            pytest.fail("it is of another network")

    with pytest.raises(Rejected) as refused:
        asyncio.run(main())
    assert refused.value.code == "network-mismatch"


def test_the_next_node_must_show_the_same_election() -> None:
    one, other = make_election(), make_election(title="Other")
    alive = [True]

    def dies(_: object) -> dict[str, object]:
        if not alive:
            raise ConnectionError
        return results_info(one)

    async def main() -> None:
        async with AsyncElectionClient([first, stranger]) as election:
            assert (await election.results()).title == one.definition.title
            alive.clear()
            await election.results()

    with lying_node(one, {"get_results": dies}) as first, lying_node(other, {}) as stranger:
        with pytest.raises(Rejected) as refused:
            asyncio.run(main())
        assert refused.value.code == "network-mismatch"


def test_without_any_node_the_reason_is_told() -> None:
    async def enter(*addresses: str | Address) -> None:
        async with AsyncElectionClient(addresses):
            pytest.fail("there is no node")

    with pytest.raises(Unreachable):
        asyncio.run(enter(dead()))
    with pytest.raises(NotRunning):
        asyncio.run(enter())
    with pytest.raises(Rejected):
        AsyncElectionClient("nonsense")


def test_the_archive_of_a_node_holds_and_its_progress_is_told(node: RunningNode) -> None:
    told: list[tuple[int, int]] = []
    counted: dict[str, int] = {}

    async def main() -> list[bytes]:
        async with AsyncElectionClient(node.address) as election:
            for voter, choice in (("a1", "Alice"), ("a2", "Bob"), ("a3", "Bob")):
                await election.cast(voter, choice, key=key_of(voter))
            counted.update((await election.results()).contests[0].counts)
            return [line async for line in election.archive(lambda done, total: told.append((done, total)))]

    report = ArchiveCheck(asyncio.run(main()), int(time.time())).run()
    assert dict(report.contests[0].counts) == counted
    assert report.votes >= 3
    assert report.network_id == node.election.network_hex
    assert told == [(n, report.height) for n in range(1, report.height + 1)]


# -- what is remembered --------------------------------------------------------------------------------


def network_of(address: Address, **options: Any) -> tuple[str, str]:
    """The network id at an address, and why it is believed to be the right one."""

    async def main() -> tuple[str, str]:
        async with AsyncElectionClient(address, **options) as election:
            return election.network_id, election.anchor

    return asyncio.run(main())


def test_the_network_of_an_address_is_remembered_on_first_use() -> None:
    one, other = make_election(), make_election(title="Other")
    shown = [one]
    answers: dict[str, Answer] = {"get_election": lambda _: election_info(shown[0])}
    with lying_node(one, answers, free_port()) as address:
        assert network_of(address) == (one.network_hex, "first use")
        assert network_of(address) == (one.network_hex, "remembered")
        shown[0] = other
        with pytest.raises(Rejected) as refused:
            network_of(address)
        assert refused.value.code == "network-mismatch"
        assert "than the one remembered here" in refused.value.message
        assert "--network ID" in refused.value.next_step
        # The organisers say that this is the election: from now on it is the one that is remembered.
        assert network_of(address, network_id=other.network_hex) == (other.network_hex, "given")
        assert network_of(address) == (other.network_hex, "remembered")
    with lying_node(one, {}, free_port()) as elsewhere:
        assert network_of(elsewhere) == (one.network_hex, "first use")


def test_a_home_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with lying_node(make_election(), {}) as address:
        for _ in range(2):
            assert network_of(address, known=tmp_path / "file" / "known")[1] == "first use"


def test_a_log_that_contradicts_the_one_seen_before_is_a_split_view(tmp_path: Path) -> None:
    election = make_election(nodes=named_nodes(3))
    shown = [SignedLog(election, leaves(8))]
    answers: dict[str, Answer] = {
        "get_results": lambda _: results_info(election, Bob=len(shown[0].leaves) - 2) | {"final_height": 1},
        "get_checkpoint": lambda request: shown[0].checkpoint(request),
    }

    async def results(address: Address) -> tuple[str, ...]:
        async with AsyncElectionClient(address, known=tmp_path) as client:
            return (await client.results()).signed_by

    with lying_node(election, answers) as address:
        assert asyncio.run(results(address)) == ("Node 0", "Node 1")
        shown[0] = SignedLog(election, leaves(11))
        assert asyncio.run(results(address)) == ("Node 0", "Node 1")
        shown[0] = SignedLog(election, leaves(20, other_from=9))
        with pytest.raises(NotProven) as refused:
            asyncio.run(results(address))
    assert refused.value.code == "split-view"
    assert len(list((tmp_path / "evidence").iterdir())) == 2


def test_with_named_nodes_receipt_proof_and_results_are_final(named_node: RunningNode) -> None:
    async def main() -> None:
        async with AsyncElectionClient(named_node.address) as election:
            cast = await election.cast("ann", "Bob")
            receipt = await election.receipt("ann")
            assert receipt.proof
            assert (await election.proof("ann")).proof
            assert await election.confirmations(receipt) >= 1
            assert (await election.vote_status("ann")).state == cast.state == "final"
            results = await election.results()
            assert results.final_height == results.height
            assert results.signed_by == ("Node 0",)
            assert election.log.newest is not None
            assert election.log.newest.size == results.votes + results.height + 1

    asyncio.run(main())


def test_no_archive_is_made_of_a_node_that_hides_blocks_which_are_final() -> None:
    """Its certificate is of block 1, and it gives none."""
    election = make_election(nodes=named_nodes(4))
    log, shown = SignedLog(election, leaves(5)), msgspec.Raw(canonical(election.definition))

    def answers(message: Message) -> list[Message | VotenetError]:
        match message:
            case GetElection(id=number):
                return [ElectionInfo(definition=shown, network_id=election.network_hex, id=number)]
            case GetCheckpoint(id=number):
                return [msgspec.convert(log.checkpoint({}) | {"id": number}, CheckpointMessage)]
            case GetHeaders(id=number):
                return [Headers(headers=(), id=number)]
        return []

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            peer(answers, election.network_hex) as address,
            AsyncElectionClient(str(address)) as client,
        ):
            with pytest.raises(Unreachable, match="gave 0 of the 1 blocks"):
                [line async for line in client.archive()]

    asyncio.run(main())
