"""What the commands do: finding nodes, casting votes, asking.

What lives here: the asynchronous work behind the command files. What must not: options, tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from votenet.cli.hints import command_line, for_instance
from votenet.config import instance_dirs
from votenet.core.election import Election, election_from_file
from votenet.core.keys import SigningKey
from votenet.core.vote import SealedVote, check_vote, sign_vote
from votenet.errors import (
    REFUSALS,
    ConfigError,
    Kind,
    NotProven,
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

MAX_GENESIS: Final = 16 * 1024 * 1024
"""Bytes of a genesis file: a thousand candidates fill a few hundred thousand."""

M = TypeVar("M")


def read_genesis(path: Path) -> Election:
    """The election in a genesis file. Raises ConfigError."""
    from votenet.storage.input_file import read_input

    data = read_input(
        path,
        MAX_GENESIS,
        code="bad-genesis",
        next_step="Take the genesis file of the network. Where that of a network here is: votenet ls",
    )
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
    programs = node_programs(instance)
    if not (found := answering(programs)):
        states = ", ".join(f"{p['name']} is {p['state']}" for p in programs.values())
        first = next(iter(programs.values()))
        step = {"paused": "votenet resume", "stopped": "votenet start"}.get(first["state"], "votenet logs")
        raise NotRunning(f"no node of this network answers: {states}", next_step=f"{step} {first['name']}")
    return found


def node_programs(instance: str) -> dict[str, dict[str, Any]]:
    """The nodes of the running instance as its supervisor sees them, by address. Raises NotRunning."""
    try:
        programs = network_status(instance)["programs"]
    except NotRunning as error:
        error.next_step += "; or ask a node of a network elsewhere with --node HOST:PORT"
        raise
    return {p["address"]: p for p in programs if p["role"] == "node"}


def cut_off_here(instance: str, address: str) -> list[str]:
    """What the supervisor here knows and the node itself does not: a partition leaves it some peers."""
    fault = node_programs(instance).get(address, {}).get("cut_off")
    if not fault:
        return []
    step = for_instance(fault["next_step"], instance)
    return [f"it is cut off: {fault['message']}; what others have may be missing. Next: {step}"]


def answering(programs: Mapping[str, Mapping[str, Any]]) -> list[Address]:
    """Which of them can be asked: ready ones first, and of these the ones that are not cut off."""
    ready = [p for p in programs.values() if p["state"] == "ready"]
    rest = [p for p in programs.values() if p["state"] in ("starting", "unready")]
    ready.sort(key=lambda program: program.get("cut_off") is not None)
    return [parse_address(p["address"]) for p in (*ready, *rest)]


def bootstrap_address(instance: str) -> Address:
    """The bootstrap server of the running instance. Raises NotRunning."""
    for program in network_status(instance)["programs"]:
        if program["role"] == "bootstrap":
            return parse_address(program["address"])
    raise NotRunning("this network has no bootstrap server", next_step="See what runs with: votenet ps")


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


async def ask_each(
    addresses: Sequence[Address], ask: Callable[[Address], Awaitable[M]]
) -> list[tuple[Address, M | VotenetError]]:
    """What `ask` makes of each node at once, or why it did not."""

    async def one(address: Address) -> M | VotenetError:
        try:
            return await ask(address)
        except VotenetError as error:
            return error

    return list(zip(addresses, await asyncio.gather(*(one(a) for a in addresses)), strict=True))


async def ask_all(
    addresses: Sequence[Address], request: Any, expected: type[M]
) -> list[tuple[Address, M | VotenetError]]:
    """What each node answers to one request, or why it did not."""

    async def one(address: Address) -> M:
        return (await ask_one([address], request, expected))[1]

    return await ask_each(addresses, one)


async def fetch_results(
    addresses: Sequence[Address], network_hex: str | None = None
) -> tuple[Address, Results, NodeStatus]:
    """The count at the first node that answers, and what that node says about itself.

    Args:
        network_hex: the network that it must be of, where that is known.

    Raises:
        NotProven: wrong-answer; the results are not of the election that the node shows.
        Rejected: network-mismatch.
    """
    error: VotenetError = NotRunning("no node to ask")
    for address in addresses:
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                election = await fetch_election(client, network_hex)
                found = await client.ask(GetResults(), Results)
                status = await client.ask(GetStatus(), NodeStatus)
        except Unreachable as failure:
            error = failure
            continue
        check_results(address, found, election)
        return address, found, status
    raise error


def check_results(address: Address, found: Results, election: Election) -> None:
    """Whether results are of this election at all. Raises NotProven, code wrong-answer."""
    definition = election.definition
    shown = (found.network_id, found.title, found.method, found.opens, found.closes)
    wanted = (
        election.network_hex, definition.title, definition.method, definition.opens, definition.closes
    )  # fmt: skip
    if shown != wanted or {name for name, _ in found.counts} != election.candidates:
        raise wrong_answer(address, "results that are not those of the election it shows")


def wrong_answer(address: Address, what: str) -> NotProven:
    """An answer that cannot be one to the question: a fault of that node, or a lie."""
    return NotProven(
        f"{address} answered with {what}",
        code="wrong-answer",
        next_step="Do not believe that node. Ask another one with --node HOST:PORT.",
    )


async def fetch_status(addresses: Sequence[Address]) -> list[tuple[Address, NodeStatus | VotenetError]]:
    return await ask_all(addresses, GetStatus(), NodeStatus)


def network_here(instance: str, node: str | None = None) -> str | None:
    """The network id of the instance on this machine: what its nodes must be of.

    None for a node that was named, and where the instance has no election. Raises ConfigError.
    """
    if node is not None:
        return None
    path = instance_dirs(instance).genesis
    try:
        data = path.read_bytes()  # our own file: the reader of other people's takes its time to load
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}",
            code="bad-genesis",
            next_step="Check its owner and mode.",
        ) from error
    return election_from_file(data).network_hex


async def fetch_election(client: NodeClient, network_hex: str | None = None) -> Election:
    """The election of the node at the other end, checked against the id it claims, and the one it must have.

    Raises:
        Rejected: network-mismatch.
    """
    info = await client.ask(GetElection(), ElectionInfo)
    election = election_from_file(bytes(info.definition), f"what {client.address} tells of its election")
    if election.network_hex != info.network_id:
        raise Rejected(
            "network-mismatch", f"{client.address} shows an election that is not its own"
        ).advising("Ask another node: --node HOST:PORT; this one is broken, or lies.")
    if network_hex not in (None, election.network_hex):
        raise Rejected("network-mismatch", f"{client.address} is a node of another network").advising(
            "Ask a node of the network that you mean: --node HOST:PORT. Networks here: votenet ls"
        )
    return election


# -- casting a vote --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a voter gets. `state` is "accepted" (on a node's disk) or "in_block".

    `node` is the one that was asked last, and the only one that says so; `warnings` is what it says is wrong
    with itself.
    """

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
    method: str = "plurality"
    warnings: tuple[str, ...] = ()


class VoterKey(Protocol):
    """A key to sign with, which is kept once a vote may have been taken, or else dropped."""

    @property
    def key(self) -> SigningKey: ...

    def keep(self) -> None: ...

    def drop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Signed:
    """The vote, the election it is for, the key it is signed with."""

    sealed: SealedVote
    election: Election
    key: VoterKey


async def cast_vote(
    addresses: Sequence[Address],
    voter_id: str,
    choices: Sequence[str],
    key_for: Callable[[Election], VoterKey],
    *,
    wait: float,
    confirmations: int = 1,
    network_hex: str | None = None,
) -> Receipt:
    """Sign a vote, hand it to the first node that takes it, and wait for its block.

    The key is made only once the election is known and the choices fit, and is dropped when every node has
    refused the vote. A node that fails in between is passed over; the same signed vote goes to the next, so
    it cannot be counted twice.

    Raises:
        Rejected: the vote was refused for good.
        NotProven: wrong-answer; a node answered about another vote.
        WaitTimedOut: accepted, but not in a block within `wait` seconds; it stays valid.
        Unreachable: no node took it.
    """
    signed: _Signed | None = None
    maybe_taken = False
    refusal: VotenetError | None = NotRunning("no node to ask")
    try:
        for address in addresses:
            try:
                async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                    if signed is None:
                        signed = _sign(await fetch_election(client, network_hex), voter_id, choices, key_for)
                    before, maybe_taken = maybe_taken, True
                    refusal = await submit(client, signed.sealed)
            except (Unreachable, Rejected) as failure:
                refusal, before = failure, maybe_taken
            if refusal is None and signed is not None:
                signed.key.keep()
                order = [address, *(other for other in addresses if other != address)]
                return await _await_block(order, signed, wait, confirmations)
            maybe_taken = before
            if isinstance(refusal, Rejected) and refusal.kind is not Kind.TEMPORARY:
                break
    finally:
        if signed is not None:
            signed.key.keep() if maybe_taken else signed.key.drop()
    assert refusal is not None
    raise refusal


def _sign(
    election: Election, voter_id: str, choices: Sequence[str], key_for: Callable[[Election], VoterKey]
) -> _Signed:
    check_choices(election, choices)
    key = key_for(election)
    sealed = sign_vote(
        key.key,
        network_hex=election.network_hex,
        voter_id=voter_id,
        choices=choices,
        time=int(time.time()),
    )
    try:
        check_vote(sealed, election)
    except Rejected:
        key.drop()
        raise
    return _Signed(sealed, election, key)


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


async def submit(client: NodeClient, sealed: SealedVote) -> Rejected | None:
    """Hand one vote to one node; why the node refused it. A vote that is there already is no refusal.

    Raises:
        NotProven: wrong-answer.
        Unreachable: it may have been taken, or not. Rejected: the link was refused; the same holds.
    """
    taken = await client.ask(SubmitVotes(votes=(sealed.vote,)), VotesTaken)
    if [outcome.vote_id for outcome in taken.outcomes] != [sealed.id.hex()]:
        raise wrong_answer(client.address, "what became of another vote")
    refusal = taken.outcomes[0].error
    return None if refusal is None or refusal["code"] == "duplicate-vote" else rejected_from(refusal)


def rejected_from(fields: dict[str, object]) -> Rejected:
    """A refusal as a node sent it, as one of ours."""
    code, message = str(fields.get("code")), str(fields.get("message"))
    details = {k: v for k, v in fields.items() if k not in ("code", "kind", "message", "next_step")}
    return Rejected(code if code in REFUSALS else "bad-vote", message, **details)


async def _await_block(
    addresses: Sequence[Address], signed: _Signed, wait: float, confirmations: int
) -> Receipt:
    deadline = time.monotonic() + wait
    receipt = _receipt(addresses[0], signed, None)
    index = 0
    while True:
        address = addresses[index % len(addresses)]
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                while True:
                    receipt = await _look(client, signed, receipt)
                    if receipt.confirmations >= confirmations or wait <= 0:
                        return await _with_warnings(client, receipt)
                    if time.monotonic() > deadline:
                        raise _not_in_time(receipt, wait, confirmations)
                    await asyncio.sleep(POLL_SECONDS)
        except Unreachable:
            if time.monotonic() > deadline:
                raise _not_in_time(receipt, wait, confirmations) from None
            index += 1
            await asyncio.sleep(POLL_SECONDS)


async def _look(client: NodeClient, signed: _Signed, before: Receipt) -> Receipt:
    """How the vote stands at this node now; as before, where it does not have it yet."""
    voter_id = signed.sealed.voter_id
    status = await client.ask(GetVoteStatus(voter_id=voter_id), VoteStatus)
    if status.voter_id != voter_id:
        raise wrong_answer(client.address, f"the vote of {status.voter_id!r}, not of {voter_id!r}")
    if status.vote_id is None:
        return before
    if status.vote_id != signed.sealed.id.hex():
        raise Rejected("already-voted", f"another vote of {voter_id!r} is in its place")
    if status.state == "in_block" and None in (status.block, status.height, status.position):
        raise wrong_answer(client.address, "a block without its number")
    return _receipt(client.address, signed, status)


async def _with_warnings(client: NodeClient, receipt: Receipt) -> Receipt:
    """What the node that says so knows to be wrong with itself."""
    status = await client.ask(GetStatus(), NodeStatus)
    return replace(receipt, warnings=tuple(warning.message for warning in status.warnings))


def _not_in_time(receipt: Receipt, wait: float, confirmations: int) -> WaitTimedOut:
    look = command_line("status", options=("--voter", receipt.voter_id))
    if receipt.height is not None:
        return WaitTimedOut(
            f"the vote {receipt.vote_id} is in block {receipt.height}, with {receipt.confirmations} of"
            f" {confirmations} confirmations after {wait:g} s",
            code="not-confirmed-yet",
            next_step=f"Blocks are mined only while votes wait: the next votes confirm it. Look with: {look}",
        )
    return WaitTimedOut(
        f"the vote {receipt.vote_id} is accepted and saved, but not in a block after {wait:g} s",
        code="not-in-block-yet",
        next_step=f"It will be counted with the next block; look with: {look}",
    )


def _receipt(address: Address, signed: _Signed, status: VoteStatus | None) -> Receipt:
    sealed = signed.sealed
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
        method=signed.election.definition.method,
    )
