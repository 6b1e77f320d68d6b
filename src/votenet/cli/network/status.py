"""`votenet ps` and `votenet status`: the programs of a network, and how each node sees the chain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from votenet.cli import targets, ui
from votenet.cli.election.amendment_view import amendment_lines, closes_words
from votenet.cli.network import view
from votenet.cli.network.finality_view import finality_lines, of_answers
from votenet.cli.network.finding import LEAVES_LISTS, by_warning
from votenet.cli.network.view import cut_off_line, show
from votenet.cli.options import instance_option, json_option, node_option, placed
from votenet.cli.targets import remedy
from votenet.cli.where import look_at, need_network, where_option
from votenet.config import instance_dirs
from votenet.core.election.quorum import NEVER_FINAL
from votenet.errors import NotRunning, VotenetError
from votenet.processes.control import ask

if TYPE_CHECKING:
    from rich.table import Table

    from votenet.core.election.definition import Election
    from votenet.protocol.wire.address import Address
    from votenet.protocol.wire.client_messages import NodeStatus

_COLUMNS: Final = (
    "node", "address", "state", "height", "final", "tip", "votes", "waiting", "peers", "synced", "mining",
    "kernel", "uptime",
)  # fmt: skip
_LEFT: Final = ("node", "address", "state", "tip", "synced", "mining", "kernel")
_DISPENSABLE: Final = ("mining", "kernel", "uptime", "peers", "synced", "tip")
"""Columns that a narrow terminal goes without, the first of these first."""


@click.command(
    epilog="""\b
Examples:
  votenet ps
  votenet ps --json | jq '.programs[] | {name, state, height}'

\b
Exit codes: 0 a network runs, 3 none runs."""
)
@instance_option
@json_option
def ps(instance: str, as_json: bool) -> None:
    """Show the programs of the network and their state.

    \b
    starting   begun, not yet listening, connected and caught up
    ready      all of that
    unready    was ready, is not now: it can save nothing
    backoff    died; waits before it is started again
    removed    failed too often; out of the network, tried again every five minutes
    failed     cannot work as configured; not started again
    paused     stopped by a signal (SIGSTOP)
    cut off    ready, but kept from other nodes, without peers, or on another chain than most
    stopping, stopped
    """
    show(ask(instance_dirs(instance), {"command": "status"}), as_json, finality=True)


@click.command(
    epilog="""
Examples:

\b
  votenet status
  votenet status --voter voter123      (where that voter's vote stands)
  votenet status --network https://vote.example.org     (all nodes, from any machine)
  votenet status --network genesis.json --bootstrap boot.example.org:4000
"""
)
@click.option("--voter", metavar="VOTER_ID", help="Show where the vote of this voter stands.")
@node_option
@where_option
@instance_option
@json_option
def status(
    voter: str | None,
    node: str | None,
    where: str | None,
    bootstraps: tuple[Address, ...],
    instance: str,
    as_json: bool,
) -> None:
    """Show height, tip, peers and waiting votes of every node, asked directly.

    Nodes that are paused, stopped or have failed are listed with what brings them back; so is a node that is
    cut off from the others.

    With --network: all nodes of a network wherever they run, named ones first, each known by its key; with
    version, clock and free disk, and those that do not answer.
    """
    need_network(where, bootstraps)
    if where is not None:
        if voter is not None or node is not None:
            raise click.UsageError("--network goes with neither --voter nor --node")
        _show_network(where, bootstraps, instance, as_json)
        return
    if voter is not None:
        _show_voter(voter, instance, node, as_json)
        return
    programs = {} if node else targets.node_programs(instance)
    page = None if node else targets.page_program(instance)
    import asyncio  # an answer that no network runs needs none of these

    from votenet.client.failover import ask_each
    from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

    asked = targets.node_addresses(instance, node) if node or targets.answering(programs) else []
    found = asyncio.run(ask_each(asked, lambda open_node: open_node.ask(GetStatus(), NodeStatus)))
    answers: dict[str, NodeStatus | VotenetError] = {str(address): answer for address, answer in found}
    answers |= {address: _away(program) for address, program in programs.items() if address not in answers}
    answers = {address: answers[address] for address in programs or answers}
    if as_json:
        known = {a: {key: p.get(key) for key in ("name", "state", "cut_off")} for a, p in programs.items()}
        ui.print_json([_row_as_json(a, s, known.get(a, {})) for a, s in answers.items()])
    else:
        console = ui.console()
        console.print(status_table(answers, programs, console.width))
        said = [s for s in answers.values() if not isinstance(s, VotenetError)]
        for line in (
            *_hours(said, _amended(answers)),
            *_final(said, programs.values()),
            *([view.page_line(page, instance)] if page else ()),
            *_troubles(answers, programs, instance),
        ):
            ui.echo(line)
        ui.print_lies(lie for one in said for lie in one.lies)
    errors = [s for s in answers.values() if isinstance(s, VotenetError)]
    if len(errors) == len(answers):
        errors[0].reported = True
        raise errors[0]


def _show_network(where: str, bootstraps: tuple[Address, ...], instance: str, as_json: bool) -> None:
    from votenet.cli.network.network_status import show_network

    way, view = look_at(where, bootstraps, instance)
    show_network(view, way.page, as_json)


def _away(program: Mapping[str, Any]) -> VotenetError:
    name, state = program["name"], program["state"]
    why = f": {program['cause']}" if program["cause"] and state in ("removed", "failed", "backoff") else ""
    return NotRunning(f"{name} is {state}{why}", code=state, next_step=remedy(program))


def _row_as_json(
    address: str, answer: NodeStatus | VotenetError, known: Mapping[str, Any]
) -> dict[str, object]:
    if isinstance(answer, VotenetError):
        return {"address": address, **known, "error": answer.as_dict()}
    return {"address": address, **known, **_fields(answer)}


def status_table(
    answers: Mapping[str, NodeStatus | VotenetError], programs: Mapping[str, Any], width: int
) -> Table:
    """A row for each node, with as many columns as fit into `width`."""
    rows = [_cells(address, found, programs.get(address)) for address, found in answers.items()]
    return ui.fitting_table(rows, _LEFT, _DISPENSABLE, width)


def _cells(
    address: str, found: NodeStatus | VotenetError, program: Mapping[str, Any] | None
) -> dict[str, str]:
    state = view.state_word(program) if program else ""
    if isinstance(found, VotenetError):
        named = {
            "node": program["name"] if program else "?",
            "address": address,
            "state": state or "no answer",
        }
        return {**dict.fromkeys(_COLUMNS, ""), **named}
    return dict(zip(_COLUMNS, (
        found.name, address, state or ("cut off" if found.cut_off else "answers"), f"{found.height:,}",
        "-" if found.finality is None else f"{found.finality.certificate:,}",
        found.tip[:12], f"{found.votes:,}", f"{found.waiting:,}", str(found.peers), _yes(found.synced),
        _yes(found.mining), found.kernel, ui.duration(found.uptime),
    ), strict=True))  # fmt: skip


def _troubles(
    answers: Mapping[str, NodeStatus | VotenetError], programs: Mapping[str, Any], instance: str
) -> Iterator[str]:
    """A sentence about each node that is not as it should be, and what to type next."""
    from votenet.protocol.wire.client_messages import CUT_OFF

    told: list[tuple[str, str]] = []
    for address, found in answers.items():
        program = programs.get(address)
        if fault := program and program.get("cut_off"):
            yield cut_off_line(program, instance)
        if isinstance(found, VotenetError):
            step = placed(found.next_step, instance)
            yield found.message + (f". Next: {step}" if step else "")
            continue
        for warning in found.warnings:
            if not (fault and warning.code == CUT_OFF):  # said already
                told.append((found.name, warning.message))
        if found.finality is not None and found.finality.leaves_lists:
            told.append((found.name, LEAVES_LISTS))
    yield from (f"{names}: {text}" for names, text in by_warning(told))


def _fields(found: object) -> dict[str, object]:
    import msgspec

    fields = msgspec.to_builtins(found)
    fields.pop("type", None)
    return dict(fields)


def _amended(answers: Mapping[str, NodeStatus | VotenetError]) -> Election | None:
    """The election in force at the node that has the most amendments; None where no node has one."""
    import asyncio

    from votenet.client.answers import fetch_in_force
    from votenet.client.failover import ask_each
    from votenet.protocol.wire.address import parse_address

    counts = {a: one.amendments for a, one in answers.items() if not isinstance(one, VotenetError)}
    address = max(counts, key=counts.__getitem__, default="")
    if not counts.get(address):
        return None
    (found,) = asyncio.run(ask_each([parse_address(address)], fetch_in_force))
    return None if isinstance(found[1], VotenetError) else found[1]


def _hours(found: list[NodeStatus], amended: Election | None) -> Iterator[str]:
    """When voting opens and closes, where the election says so, and what was amended."""
    now = time.time()
    if amended is not None:
        found = [one for one in found if one.amendments == len(amended.amendments)] or found
    for one in found[:1]:
        if one.opens is not None:
            yield f"Voting {'opens' if now < one.opens else 'opened'}: {ui.when(one.opens)}"
        if one.closes is not None:
            first = one.closes if amended is None else amended.definition.closes
            yield f"Voting {'closes' if now < one.closes else 'closed'}: {closes_words(one.closes, first)}"
    if amended is not None:
        yield from amendment_lines(amended.amendments, amended.definition.closes)


def _final(found: list[NodeStatus], programs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What is final, as the node with the newest certificate says it."""
    from votenet.protocol.wire.client_messages import NO_QUORUM

    stands = [one.finality for one in found if one.finality is not None]
    if found and not stands:
        yield f"Final: {NEVER_FINAL}."
    if not stands:
        return
    best = max(stands, key=lambda one: (one.certificate, len(one.signers)))
    rounds = max((one.round for one in stands if one.round), default=0)
    late = f"; block {best.decided + 1} is in round {rounds}" if rounds else ""
    first, *costs = finality_lines(of_answers(found, programs), len(best.signers), late)
    yield first
    if not any(warning.code == NO_QUORUM for one in found for warning in one.warnings):  # they say more
        yield from costs


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _show_voter(voter: str, instance: str, node: str | None, as_json: bool) -> None:
    from votenet.client.answers import ON_CHAIN

    with targets.connect(instance, node) as election:
        found = election.vote_status(voter)
        address = election.node
    if as_json:
        ui.print_json({"node": str(address), **_fields(found)})
        return
    if found.state == "unknown":
        ui.echo(f"No vote of {voter!r} is known at {address}.")
        return
    fields: list[tuple[str, object]] = [("vote id", found.vote_id)]
    if found.time is not None:
        fields.append(("time", ui.when(found.time)))
    if found.state in ON_CHAIN:
        confirmed = ui.count_of(found.confirmations, "confirmation")
        standing = "final" if found.state == "final" else confirmed
        heading = f"{voter}: in block {found.height} ({standing}), says {address}."
        fields += [
            ("block", found.block),
            ("height", found.height),
            ("position", found.position),
            ("confirmations", found.confirmations),
        ]
    else:
        heading = f"{voter}: received by {address}, waiting for its block."
    ui.print_fields(heading, fields)
