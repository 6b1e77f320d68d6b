"""`votenet results`: the count."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from votenet.cli import targets, ui
from votenet.cli.election import outcome_view
from votenet.cli.election.amendment_view import amendment_lines, cancellation, closes_words
from votenet.cli.election.final_result import write_final_result
from votenet.cli.election.roll import read_roll, roll_of
from votenet.cli.options import FilePath, instance_option, json_option, node_option
from votenet.cli.where import (
    as_network_id,
    is_here,
    look_at,
    need_network,
    no_node_answers,
    where_option,
)
from votenet.client.answers import fetch_election
from votenet.client.connection import NodeConnection
from votenet.client.counting import Counted, count_as_json, fetch_count, finality
from votenet.client.failover import ask_each
from votenet.client.log_view import LogView
from votenet.config import known_dir
from votenet.core.election.definition import Election
from votenet.core.election.outcome_text import ballots_line, undecided_because
from votenet.core.election.quorum import NOT_FINAL_WHILE_AWAY
from votenet.errors import Command, NextStep, Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import Results
from votenet.storage.known_elections import KnownElections

if TYPE_CHECKING:
    from votenet.client.network_view import NetworkView, SeenNode
    from votenet.client.sync_client import ElectionClient


@click.command(
    epilog="""
Examples:

\b
  votenet results
  votenet results --all-nodes        (ask every node and compare)
  votenet results --follow           (print again with every new block)
  votenet results --final -o result.json   (once voting is over)
  votenet results --network https://vote.example.org     (all nodes, from any machine)
"""
)
@click.option("--all-nodes", is_flag=True, help="Ask every node; exit 1 if answers disagree or are false.")
@click.option("--final", is_flag=True, help="Write the final result that named nodes signed, as one file.")
@click.option("-o", "--output", type=FilePath(), help="File for --final.  [default: standard output]")
@click.option(
    "--roll",
    type=FilePath(),
    help="Roll file for --final, where votes have weights  [that of the network here].",
)
@click.option("-f", "--follow", is_flag=True, help="Print again whenever the chain grows, until Ctrl-C.")
@node_option
@where_option
@instance_option
@json_option
def results(
    all_nodes: bool,
    final: bool,
    output: Path | None,
    roll: Path | None,
    follow: bool,
    node: str | None,
    where: str | None,
    bootstraps: tuple[Address, ...],
    instance: str,
    as_json: bool,
) -> None:
    """Count the votes on the chain, as one node sees it, and say whether they are final.

    A winner is named only in a final result: voting is over, and named nodes have signed it. An election with
    results = "after-close" shows the number of votes until then. That hides nothing from those who run nodes:
    they can read every vote.

    --all-nodes compares. --final fetches the whole chain, checks it, and writes the result as a file that
    proves who signed it.

    --network finds all nodes of a network wherever they run, and compares as --all-nodes does; named nodes
    alone, where the election names some. With --node, or of the network here, a network id says instead of
    which network the count must be.
    """
    need_network(where, bootstraps)
    network_hex, view = _network(where, bootstraps, node, instance)
    if not final and (output is not None or roll is not None):
        raise click.UsageError("--output and --roll go with --final")
    if final:
        if all_nodes or follow or as_json:
            raise click.UsageError("--final goes with neither --all-nodes, --follow nor --json")
        with _client(instance, node, network_hex, view) as election:
            voters = roll_of(election.election, instance) if roll is None else read_roll(roll)
            write_final_result(election, output, voters, here=node is None and view is None)
        return
    if view is not None and not follow:
        _compare_network(view, as_json)
        return
    if all_nodes and view is None:
        addresses = targets.node_addresses(instance, node)
        network_id = network_hex or targets.network_here(instance, node)
        _compare(addresses, network_id, as_json, None if node else instance)
        return
    shown: tuple[object, ...] = ()
    with _client(instance, node, network_hex, view) as election:
        while True:
            counted = election.at_one_node(functools.partial(fetch_count, election.log))
            found = counted.results
            if shown != (now := (found.tip, found.final_height, found.over, found.decrypted_by)):
                shown = now
                if node is None and view is None:
                    counted.warnings.extend(targets.cut_off_here(instance, counted.node))
                _show(counted, f"as counted by {counted.node} alone", as_json)
            if not follow:
                return
            ui.stop_if_unread()
            time.sleep(0.5)


def _network(
    where: str | None, bootstraps: tuple[Address, ...], node: str | None, instance: str
) -> tuple[str | None, NetworkView | None]:
    """The id that the network must have, or all nodes of the network that was named."""
    if where is None:
        return None, None
    network_id = as_network_id(where)
    if network_id is not None and (node is not None or is_here(network_id, bootstraps, instance)):
        return network_id, None
    if node is not None:
        raise click.UsageError("--network WHERE goes with no --node, only a network id does")
    return None, look_at(where, bootstraps, instance)[1]


def _client(
    instance: str, node: str | None, network_hex: str | None, view: NetworkView | None
) -> ElectionClient:
    """Of the nodes of a view, else of the node that was named, or of the network here.

    Raises Unreachable if no node of the view is believed.
    """
    if view is None:
        return targets.connect(instance, node, network_hex)
    from votenet.client.sync_client import ElectionClient

    addresses = [one.address for one in view.believed if one.address is not None]
    if not addresses:
        raise no_node_answers(view)
    return ElectionClient(addresses, network_id=view.election.network_hex)


def _deciding(view: NetworkView) -> list[SeenNode]:
    """Named nodes; all nodes where none is named. The word of a relay says nothing about what is decided."""
    return [one for one in view.nodes if one.index is not None or not view.election.named]


def _compare_network(view: NetworkView, as_json: bool) -> None:
    """Compare the nodes of a view, and name those that are missing. Raises as `_compare`."""
    asked = [one.address for one in view.believed if one.address is not None]
    if not asked:
        raise no_node_answers(view)
    names = {str(one.address): one.name for one in view.nodes if one.address is not None}
    absent = [
        (one.name, one.error) for one in _deciding(view) if one.address not in asked and one.error is not None
    ]
    too_few = bool(view.election.named) and view.taking_part < view.election.quorum
    _compare(asked, view.election.network_hex, as_json, names=names, absent=absent, too_few=too_few)


EXPORT = Command("export", "-o", "election.jsonl")
AUDIT = Command("audit", "election.jsonl")


def _show(counted: Counted, asked: str, as_json: bool, *, several: bool = False) -> None:
    """Print a count. Args: several: the answers of several nodes were compared."""
    if as_json:
        ui.print_json(count_as_json(counted))
        return
    found = counted.results
    now = int(time.time())
    if found.cancelled:
        ui.echo(found.title)
        ui.echo(cancellation(counted.election.amendments, counted.cancelled_at))
    else:
        _show_contests(found, now, counted.election)
    for line in standing(found, now, counted.election):
        ui.echo(line)
    total, blocks = ui.count_of(found.votes, "vote"), ui.count_of(found.height, "block")
    methods = ", ".join(dict.fromkeys(one.method for one in counted.election.definition.contests))
    ui.echo(f"{total} in {blocks}, {found.waiting:,} waiting; {methods}; {asked}")
    if counted.election.named and found.contests and not found.cancelled:
        again = "--final counts again" if found.final else "an audit counts again"
        compares = "" if several else "--all-nodes compares, "
        ui.echo(f"How the votes fall on the candidates is the word of nodes: {compares}{again}.")
    if not several:
        _warn([counted], {})
    ui.print_lies(counted.lies)


def _warn(found: Sequence[Counted], names: Mapping[str, str]) -> None:
    """What nodes warn of; one line for those that say the same."""
    warned: dict[str, list[str]] = {}
    for counted in found:
        for warning in counted.warnings:
            warned.setdefault(warning, []).append(names.get(counted.node, counted.node))
    for warning, nodes in warned.items():
        ui.say(f"Warning: {', '.join(nodes)}: {warning}")


def _show_contests(found: Results, now: int, election: Election) -> None:
    several = len(found.contests) > 1
    if not found.contests:
        ui.echo(found.title)
        if election.secret is None:
            ui.echo(outcome_view.counts_hidden(found.closes, now))
        else:
            ui.echo(outcome_view.counts_encrypted(found.votes, found.decrypted_by, election))
    if several:
        ui.echo(found.title)
        ui.echo("")
    for report in found.contests:
        outcome_view.show_contest(report, report.title, found.final)
        if several or report.blank:
            ui.echo(ballots_line(report))
            ui.echo("")


def standing(found: Results, now: int, election: Election) -> Iterator[str]:
    """Whether more may come, turnout, hours, amendments, and how final it is, each in a line.

    Args:
        election: as it is in force.
    """
    named = election.named
    reason = undecided_because(
        opens=found.opens,
        closes=found.closes,
        named=named,
        over=found.over,
        final=found.final,
        now=now,
        cancelled=found.cancelled,
    )
    if reason:
        yield f"Nothing is decided: {reason}."
    if found.registered is not None:
        yield f"Turnout: {outcome_view.turnout(found.votes, found.registered)}"
    if found.opens is not None:
        yield f"{'Opened' if now >= found.opens else 'Opens'}: {ui.when(found.opens)}"
    if found.closes is not None:
        word = "Closed" if now >= found.closes else "Closes"
        yield f"{word}: {closes_words(found.closes, election.definition.closes)}"
    yield from amendment_lines(election.amendments, election.definition.closes)
    yield f"{finality(found, named)}."


def _counted_differently(found: Sequence[Counted]) -> list[str]:
    """Two nodes that have the same blocks, and other counts; empty if there are none."""
    of_tip: dict[tuple[str, str], Counted] = {}
    for counted in found:
        other = of_tip.setdefault((counted.election.network_hex, counted.results.tip), counted)
        same = _what_is_counted(other.results) == _what_is_counted(counted.results)
        encrypted = counted.election.secret is not None and not (
            other.results.contests and counted.results.contests
        )  # one of the two has no count yet
        if not same and not encrypted:
            return [other.node, counted.node]
    return []


def differences(found: Sequence[Counted], names: Mapping[str, str]) -> Iterator[str]:
    """Where counts differ: a line for each, with the nodes that have it."""
    alike: dict[tuple[object, ...], list[Counted]] = {}
    for counted in found:
        alike.setdefault((counted.results.tip, str(counted.results.contests)), []).append(counted)
    for group in alike.values():
        results, nodes = group[0].results, [names.get(one.node, one.node) for one in group]
        final = "" if results.final_height is None else f", final up to {results.final_height:,}"
        votes, blocks = ui.count_of(results.votes, "vote"), ui.count_of(results.height, "block")
        yield f"{', '.join(nodes)}: {votes} in {blocks}{final}, tip {results.tip[:12]}"


def _what_is_counted(results: Results) -> tuple[object, ...]:
    return results.votes, results.height, results.contests


def _compare(
    addresses: Sequence[Address],
    network_id: str | None,
    as_json: bool,
    instance: str | None = None,
    *,
    names: Mapping[str, str] | None = None,
    absent: Sequence[tuple[str, VotenetError]] = (),
    too_few: bool = False,
) -> None:
    """Ask all nodes, and show the count, who differs, and where.

    Args:
        instance: the network whose supervisor may know of nodes that are cut off.
        names: of named nodes, by address.
        absent: nodes that do not answer, by name.
        too_few: fewer named nodes take part than must agree.
    """
    known = KnownElections(known_dir())
    views: dict[str, LogView] = {}

    async def ask(asked: NodeConnection) -> Counted:
        election = await fetch_election(asked, network_id)
        view = views.setdefault(election.network_hex, LogView(election, known))
        return await fetch_count(view, asked)

    answers = asyncio.run(ask_each(addresses, ask))
    apart = {str(a): [] if instance is None else targets.cut_off_here(instance, str(a)) for a in addresses}
    found = [answer for _, answer in answers if not isinstance(answer, VotenetError)]
    lost = [(str(address), error) for address, error in answers if isinstance(error, VotenetError)]
    lost += absent
    if contradiction := next((error for _, error in lost if error.code == "split-view"), None):
        raise contradiction
    if not found:
        raise lost[0][1]
    for counted in found:
        counted.warnings.extend(apart[counted.node])
    lies = tuple(dict.fromkeys(lie for counted in found for lie in counted.lies))
    same = len({(one.election.network_id, one.results.tip, str(one.results.contests)) for one in found}) == 1
    if as_json:
        unreachable = [{"node": address, "error": error.as_dict()} for address, error in lost]
        nodes = [count_as_json(counted) for counted in found]
        ui.print_json({"agree": same, "lies": lies, "nodes": nodes, "unreachable": unreachable})
    else:
        _show_alike([found[0]._replace(lies=lies), *found[1:]], same, names or {})
        for address, error in lost:
            ui.say(f"Warning: {address} is left out: {error.message}")
        if too_few and not any(one.results.ended for one in found):
            ui.say(f"Warning: Too few take part: {NOT_FINAL_WHILE_AWAY}.")
    _check_agreement(found, lost, same, any(apart.values()))


def _show_alike(found: Sequence[Counted], same: bool, names: Mapping[str, str]) -> None:
    """The count of the first node, where others differ, and what they warn of."""
    asked = f"as counted by {ui.count_of(len(found), 'node')}"
    asked += " alike" if same else f" which differ: this is the count of {found[0].node}"
    _show(found[0], asked, False, several=len(found) > 1)
    for line in () if same else differences(found, names):
        ui.echo(line)
    if len(found) > 1:
        _warn(found, names)


def _check_agreement(
    found: Sequence[Counted], lost: Sequence[tuple[str, VotenetError]], same: bool, cut_off: bool
) -> None:
    """Raises VotenetError: nodes-disagree. `lost` are nodes without an answer, with their errors."""
    if liars := _counted_differently(found):
        raise VotenetError(
            f"{' and '.join(liars)} count the same blocks differently: one of them is broken, or lies",
            code="nodes-disagree",
            next_step=NextStep("Count again from the blocks: {} && {}", EXPORT, AUDIT),
            reported=True,
        )
    if not same or any(not isinstance(error, Unreachable) for _, error in lost):
        raise VotenetError(
            "the nodes do not agree (yet)",
            code="nodes-disagree",
            next_step=NextStep("Nodes that are cut off cannot: see {}", Command("ps"))
            if cut_off
            else NextStep(
                "A block may be on its way: ask again. Look at their tips with: {}", Command("status")
            ),
            reported=True,
        )
