"""`votenet status`: how each node sees the chain.

What lives here: options and the table. What must not: the work (`actions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

if TYPE_CHECKING:
    from rich.table import Table

    from votenet.errors import VotenetError
    from votenet.protocol.messages import NodeStatus


@click.command(
    epilog="""
Examples:

\b
  votenet status
  votenet status --voter voter123      (where that voter's vote stands)
"""
)
@click.option("--voter", metavar="VOTER_ID", help="Show where the vote of this voter stands.")
@node_option
@instance_option
@json_option
def status(voter: str | None, node: str | None, instance: str, as_json: bool) -> None:
    """Show height, tip, peers and waiting votes of every node, asked directly.

    Nodes that are paused, stopped or have failed are listed with what brings them back; so is a node that is
    cut off from the others.
    """
    from votenet.cli import actions, render
    from votenet.errors import VotenetError

    if voter is not None:
        _show_voter(actions.node_addresses(instance, node), voter, as_json)
        return
    programs = {} if node else actions.node_programs(instance)
    asked = actions.node_addresses(instance, node) if node or actions.answering(programs) else []
    answers: dict[str, NodeStatus | VotenetError] = {
        str(address): answer for address, answer in actions.run(actions.fetch_status(asked))
    }
    answers |= {address: _away(program) for address, program in programs.items() if address not in answers}
    answers = {address: answers[address] for address in programs or answers}
    if as_json:
        known = {a: {key: p.get(key) for key in ("name", "state", "cut_off")} for a, p in programs.items()}
        render.print_json([_row_as_json(a, s, known.get(a, {})) for a, s in answers.items()])
    else:
        render.print_table(_table(answers, programs))
        said = [s for s in answers.values() if not isinstance(s, VotenetError)]
        for line in (*_hours(said), *_troubles(answers, programs, instance)):
            echo(line)
    errors = [s for s in answers.values() if isinstance(s, VotenetError)]
    if len(errors) == len(answers):
        raise render.reported(errors[0])


def _away(program: Mapping[str, Any]) -> VotenetError:
    """Why a node of the network here was not asked."""
    from votenet.errors import NotRunning

    name, state = program["name"], program["state"]
    step = {"paused": f"votenet resume {name}", "stopped": f"votenet start {name}"}.get(state)
    why = f": {program['cause']}" if program["cause"] and state in ("removed", "failed", "backoff") else ""
    return NotRunning(f"{name} is {state}{why}", code=state, next_step=step or f"votenet logs {name}")


def _row_as_json(
    address: str, answer: NodeStatus | VotenetError, known: Mapping[str, Any]
) -> dict[str, object]:
    from votenet.errors import VotenetError

    if isinstance(answer, VotenetError):
        return {"address": address, **known, "error": answer.as_dict()}
    return {"address": address, **known, **_fields(answer)}


def _table(answers: Mapping[str, NodeStatus | VotenetError], programs: Mapping[str, Any]) -> Table:
    from votenet.cli import network_view, render
    from votenet.errors import VotenetError

    made = render.table(
        "",
        [("node", "left"), ("address", "left"), ("state", "left"), ("height", "right"), ("tip", "left"),
         ("votes", "right"), ("waiting", "right"), ("peers", "right"), ("synced", "left"), ("mining", "left"),
         ("kernel", "left"), ("uptime", "right")],
    )  # fmt: skip
    for address, found in answers.items():
        program = programs.get(address)
        state = network_view.state_word(program) if program else ""
        if isinstance(found, VotenetError):
            made.add_row(program["name"] if program else "?", address, state or "no answer")
            continue
        made.add_row(
            found.name, address, state or ("cut off" if found.cut_off else "answers"), str(found.height),
            found.tip[:16], f"{found.votes:,}", f"{found.waiting:,}", str(found.peers), _yes(found.synced),
            _yes(found.mining), found.kernel, network_view.duration(found.uptime),
        )  # fmt: skip
    return made


def _troubles(
    answers: Mapping[str, NodeStatus | VotenetError], programs: Mapping[str, Any], instance: str
) -> Iterator[str]:
    """A sentence about each node that is not as it should be, and what to type next."""
    from votenet.cli.hints import for_instance
    from votenet.errors import VotenetError
    from votenet.protocol.messages import CUT_OFF

    for address, found in answers.items():
        program = programs.get(address)
        name = program["name"] if program else address
        if fault := program and program.get("cut_off"):
            step = for_instance(fault["next_step"], instance)
            yield f"{name} is cut off: {fault['message']}. Next: {step}"
        if isinstance(found, VotenetError):
            step = for_instance(found.next_step, instance)
            yield found.message + (f". Next: {step}" if step else "")
            continue
        for warning in found.warnings:
            if not (fault and warning.code == CUT_OFF):  # said already
                yield f"{found.name}: {for_instance(warning.message, instance)}"


def _fields(found: object) -> dict[str, object]:
    import msgspec

    fields = msgspec.to_builtins(found)
    fields.pop("type", None)
    return dict(fields)


def _hours(found: list[NodeStatus]) -> Iterator[str]:
    """When voting opens and closes, where the election says so: the same at every node."""
    from votenet.cli.render import when

    for one in found[:1]:
        if one.opens is not None:
            yield f"Voting opens: {when(one.opens)}"
        if one.closes is not None:
            yield f"Voting closes: {when(one.closes)}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _show_voter(addresses: object, voter: str, as_json: bool) -> None:
    from votenet.cli import actions, render
    from votenet.protocol.messages import GetVoteStatus, VoteStatus

    address, found = actions.run(
        actions.ask_one(addresses, GetVoteStatus(voter_id=voter), VoteStatus)  # type: ignore[arg-type]
    )
    if as_json:
        render.print_json({"node": str(address), **_fields(found)})
        return
    if found.state == "unknown":
        echo(f"No vote of {voter!r} is known at {address}.")
        return
    fields = [("vote id", found.vote_id), ("time", render.when(found.time))]
    if found.state == "in_block":
        fields += [
            ("block", found.block),
            ("height", found.height),
            ("position", found.position),
            ("confirmations", found.confirmations),
        ]
    if found.state == "in_block":
        confirmed = render.count_of(found.confirmations, "confirmation")
        heading = f"{voter}: in block {found.height} ({confirmed}), says {address}."
    else:
        heading = f"{voter}: accepted by {address}, waiting for its block."
    render.print_fields(heading, fields)
