"""What the commands do: finding nodes, casting votes, asking.

What lives here: the asynchronous work behind the command files. What must not: options, tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from votenet.config import instance_dirs
from votenet.core.election import Election, ElectionDefinition, election_from_file
from votenet.core.vote import SealedVote, sign_vote
from votenet.errors import (
    REFUSALS,
    ConfigError,
    Kind,
    NotRunning,
    Rejected,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)
from votenet.network.client import NodeClient
from votenet.protocol.address import Address, parse_address
from votenet.protocol.messages import (
    ElectionInfo,
    GetElection,
    GetResults,
    GetStatus,
    GetVoteStatus,
    NodeStatus,
    Results,
    SubmitVotes,
    VotesTaken,
    VoteStatus,
)

DIAL_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.04
"""Between two looks whether a vote is in a block; a look costs the node 50 microseconds."""

M = TypeVar("M")


def read_genesis(path: Path) -> Election:
    """The election in a genesis file. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the genesis file {path}: {error.strerror or error}",
            code="bad-genesis",
            next_step="Take the genesis file of the network, or make one with: votenet up",
        ) from error
    return election_from_file(data)


# -- finding the network ---------------------------------------------------------------------------


def network_status(instance: str) -> dict[str, Any]:
    """What the supervisor of an instance says. Raises NotRunning."""
    from votenet.processes.control import ask

    return ask(instance_dirs(instance), {"command": "status"})


def node_addresses(instance: str, node: str | None = None) -> list[Address]:
    """Where to find nodes: the one named, or those of the running instance, ready ones first.

    Raises:
        NotRunning: no network of that name runs here.
        Rejected: bad-address.
    """
    if node:
        return [parse_address(node)]
    programs = [p for p in network_status(instance)["programs"] if p["role"] == "node"]
    ready = [p for p in programs if p["state"] == "ready"]
    rest = [p for p in programs if p["state"] in ("starting", "unready")]
    if not ready and not rest:
        raise NotRunning("no node of this network is running", next_step="See what happened with: votenet ps")
    return [parse_address(p["address"]) for p in (*ready, *rest)]


def bootstrap_address(instance: str) -> Address:
    """The bootstrap server of the running instance. Raises NotRunning."""
    for program in network_status(instance)["programs"]:
        if program["role"] == "bootstrap":
            return parse_address(program["address"])
    raise NotRunning("this network has no bootstrap server")


def run(work: Any) -> Any:
    """Run a coroutine of this module from a command."""
    return asyncio.run(work)


# -- asking ----------------------------------------------------------------------------------------


async def ask_one(addresses: Sequence[Address], request: Any, expected: type[M]) -> tuple[Address, M]:
    """The answer of the first node that gives one. Raises the last node's error."""
    error: VotenetError = NotRunning("no node to ask")
    for address in addresses:
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                return address, await client.ask(request, expected)
        except Unreachable as failure:
            error = failure
    raise error


async def ask_all(
    addresses: Sequence[Address], request: Any, expected: type[M]
) -> list[tuple[Address, M | VotenetError]]:
    """What each node answers, or why it did not."""

    async def one(address: Address) -> M | VotenetError:
        try:
            return (await ask_one([address], request, expected))[1]
        except VotenetError as error:
            return error

    return list(zip(addresses, await asyncio.gather(*(one(a) for a in addresses)), strict=True))


async def fetch_results(addresses: Sequence[Address]) -> tuple[Address, Results]:
    return await ask_one(addresses, GetResults(), Results)


async def fetch_status(addresses: Sequence[Address]) -> list[tuple[Address, NodeStatus | VotenetError]]:
    return await ask_all(addresses, GetStatus(), NodeStatus)


async def fetch_election(client: NodeClient) -> Election:
    """The election of the node at the other end, checked against the id it claims."""
    import msgspec

    info = await client.ask(GetElection(), ElectionInfo)
    election = Election(msgspec.json.decode(info.definition, type=ElectionDefinition))
    if election.network_hex != info.network_id:
        raise Rejected("network-mismatch", f"{client.address} shows an election that is not its own")
    return election


# -- casting a vote --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a voter gets. `state` is "accepted" (on a node's disk) or "in_block"."""

    voter_id: str
    choices: tuple[str, ...]
    vote_id: str
    network_id: str
    node: str
    state: str
    time: int
    block: str | None = None
    height: int | None = None
    position: int | None = None
    confirmations: int = 0


async def cast_vote(
    addresses: Sequence[Address],
    voter_id: str,
    choices: Sequence[str],
    key_of: Callable[[], Any],
    *,
    wait: float,
    confirmations: int = 1,
) -> Receipt:
    """Sign a vote, hand it to the first node that takes it, and wait for its block.

    The key is made only once the election is known and the choices fit. A node that fails in between
    is passed over; the same signed vote goes to the next, so it cannot be counted twice.

    Raises:
        Rejected: the vote was refused for good.
        WaitTimedOut: accepted, but not in a block within `wait` seconds; it stays valid.
        Unreachable: no node took it.
    """
    sealed: SealedVote | None = None
    error: VotenetError = NotRunning("no node to ask")
    for address in addresses:
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                if sealed is None:
                    election = await fetch_election(client)
                    check_choices(election, choices)
                    sealed = sign_vote(
                        key_of(),
                        network_hex=election.network_hex,
                        voter_id=voter_id,
                        choices=choices,
                        time=int(time.time()),
                    )
                await submit(client, sealed)
        except (Unreachable, Rejected) as failure:
            if isinstance(failure, Rejected) and failure.kind is not Kind.TEMPORARY:
                raise
            error = failure
            continue
        order = [address, *(other for other in addresses if other != address)]
        return await _await_block(order, sealed, wait, confirmations)
    raise error


def check_choices(election: Election, choices: Sequence[str]) -> None:
    """A friendly refusal before anything is signed. Raises Rejected."""
    unknown = [choice for choice in choices if choice not in election.candidates]
    names = election.definition.candidates
    if unknown:
        listed = ", ".join(names[:50]) + (", …" if len(names) > 50 else "")
        raise Rejected(
            "unknown-candidate",
            f"{unknown[0]!r} is not a candidate. The candidates are: {listed}",
            candidates=list(names),
        )
    if len(choices) > election.max_choices:
        raise Rejected("bad-choices", f"this election allows {election.max_choices} choices on a ballot")


async def submit(client: NodeClient, sealed: SealedVote) -> None:
    """One vote to one node. Raises Rejected; a vote that is there already is not an error."""
    taken = await client.ask(SubmitVotes(votes=(sealed.vote,)), VotesTaken)
    refusal = taken.outcomes[0].error
    if refusal is not None and refusal["code"] != "duplicate-vote":
        raise rejected_from(refusal)


def rejected_from(fields: dict[str, object]) -> Rejected:
    """A refusal as a node sent it, as one of ours."""
    code, message = str(fields.get("code")), str(fields.get("message"))
    details = {k: v for k, v in fields.items() if k not in ("code", "kind", "message", "next_step")}
    return Rejected(code if code in REFUSALS else "bad-vote", message, **details)


async def _await_block(
    addresses: Sequence[Address], sealed: SealedVote, wait: float, confirmations: int
) -> Receipt:
    deadline = time.monotonic() + wait
    receipt = _receipt(addresses[0], sealed, None)
    index = 0
    while True:
        address = addresses[index % len(addresses)]
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                while True:
                    status = await client.ask(GetVoteStatus(voter_id=sealed.voter_id), VoteStatus)
                    if status.vote_id == sealed.id.hex():
                        receipt = _receipt(address, sealed, status)
                        if status.confirmations >= confirmations or wait <= 0:
                            return receipt
                    elif status.vote_id is not None:
                        raise Rejected("already-voted", f"another vote of {sealed.voter_id!r} was counted")
                    if time.monotonic() > deadline:
                        raise _not_in_time(receipt, wait)
                    await asyncio.sleep(POLL_SECONDS)
        except Unreachable:
            if time.monotonic() > deadline:
                raise _not_in_time(receipt, wait) from None
            index += 1
            await asyncio.sleep(POLL_SECONDS)


def _not_in_time(receipt: Receipt, wait: float) -> WaitTimedOut:
    return WaitTimedOut(
        f"the vote {receipt.vote_id} is accepted and saved, but not in a block after {wait:g} s",
        code="not-in-block-yet",
        next_step="It will be counted with the next block; look with: votenet status",
    )


def _receipt(address: Address, sealed: SealedVote, status: VoteStatus | None) -> Receipt:
    return Receipt(
        voter_id=sealed.voter_id,
        choices=sealed.vote.choices,
        vote_id=sealed.id.hex(),
        network_id=sealed.vote.network_id,
        node=str(address),
        state="accepted" if status is None else status.state,
        time=sealed.vote.time,
        block=None if status is None else status.block,
        height=None if status is None else status.height,
        position=None if status is None else status.position,
        confirmations=0 if status is None else status.confirmations,
    )
