"""`votenet results`: the count.

What lives here: options and the tables. What must not: counting (`core/tally.py` and
`core/outcome.py`, at the node).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from votenet.cli import output
from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

if TYPE_CHECKING:
    from votenet.protocol.address import Address
    from votenet.protocol.messages import NodeStatus, Results

EPILOG = """
Examples:

\b
  votenet results
  votenet results --all-nodes        (ask every node and compare)
  votenet results --follow           (print again with every new block)
"""


@click.command(epilog=EPILOG)
@click.option("--all-nodes", is_flag=True, help="Ask every node; exit 1 if answers disagree or are false.")
@click.option("-f", "--follow", is_flag=True, help="Print again whenever the chain grows, until Ctrl-C.")
@node_option
@instance_option
@json_option
def results(all_nodes: bool, follow: bool, node: str | None, instance: str, as_json: bool) -> None:
    """Count the votes on the chain, as one node sees it; --all-nodes compares."""
    from votenet.cli import actions

    addresses = actions.node_addresses(instance, node)
    network_hex = actions.network_here(instance, node)
    if all_nodes:
        _compare(addresses, network_hex, as_json, None if node else instance)
        return
    shown = ""
    while True:
        address, found, status = actions.run(actions.fetch_results(addresses, network_hex))
        if found.tip != shown:
            shown = found.tip
            warnings = warnings_of(status)
            if node is None and not status.cut_off:
                warnings += actions.cut_off_here(instance, str(address))
            _show(found, str(address), f"asked {address} alone", warnings, as_json)
        if not follow:
            return
        output.stop_if_unread()
        time.sleep(0.5)


def warnings_of(status: NodeStatus) -> list[str]:
    """Why the count of this node may lack votes, a sentence each."""
    found = [warning.message for warning in status.warnings]
    if not status.synced and not status.cut_off:
        found.append("it is catching up: votes that others have may be missing in its count")
    return found


def _show(found: Results, node: str, asked: str, warnings: list[str], as_json: bool) -> None:
    from votenet.cli import outcome_view, render

    if as_json:
        render.print_json(_as_json(node, found) | {"warnings": warnings})
        return
    made = render.table(
        found.title, [("candidate", "left"), ("votes", "right"), ("share", "right"), ("", "left")]
    )
    for candidate, votes in found.counts:
        share = votes / found.votes if found.votes else 0.0
        made.add_row(candidate, f"{votes:,}", f"{share:.1%}", render.bar(share))
    render.print_table(made)
    if found.outcome is not None:
        outcome_view.show_rounds(found.outcome)
    for line in verdict(found, int(time.time())):
        echo(line)
    total, blocks = render.count_of(found.votes, "vote"), render.count_of(found.height, "block")
    echo(f"{total} in {blocks}, {found.waiting:,} waiting; {found.method}; {asked}")
    for warning in warnings:
        echo(f"Warning: {node}: {warning}", err=True)


def verdict(found: Results, now: int) -> Iterator[str]:
    """Who leads or won, turnout and hours, each in a line."""
    from votenet.cli import outcome_view
    from votenet.cli.render import when

    outcome = found.outcome
    open_because = still_open(found, now)
    if outcome is None or outcome.state == "undecided":
        yield "Undecided: no votes" + (" yet." if open_because else ".")
    elif outcome.state == "tied":
        so_far = f"Tied so far: {outcome_view.listed(outcome.winners)}"
        yield so_far if open_because else outcome_view.tie(outcome)
    else:
        yield f"{'Leading so far' if open_because else 'Winner'}: {outcome.winners[0]}"
    if open_because:
        yield f"Nothing is decided: {open_because}."
    if outcome is not None:
        yield from outcome_view.tie_breaks(outcome)
    if found.registered is not None:
        yield f"Turnout: {outcome_view.turnout(found.votes, found.registered)}"
    if found.opens is not None:
        yield f"{'Opened' if now >= found.opens else 'Opens'}: {when(found.opens)}"
    if found.closes is not None:
        yield f"{'Closed' if now >= found.closes else 'Closes'}: {when(found.closes)}"
    if not open_because:
        yield "Not final: a chain with more work can still replace this one (docs/security.md)."


def still_open(found: Results, now: int) -> str:
    """Why the count can still grow by the rules; empty once it cannot."""
    if found.closes is None:
        return "this election has no closing time"
    if found.opens is not None and now < found.opens:
        return "voting has not begun"
    if now < found.closes:
        return "voting goes on"
    if found.waiting:
        return "voting has ended, but votes still wait for their block"
    return ""


def _as_json(address: str, found: Results) -> dict[str, object]:
    import msgspec

    return {
        "title": found.title,
        "method": found.method,
        "counts": dict(found.counts),
        "votes": found.votes,
        "waiting": found.waiting,
        "height": found.height,
        "tip": found.tip,
        "network_id": found.network_id,
        "node": address,
        "outcome": msgspec.to_builtins(found.outcome),
        "opens": found.opens,
        "closes": found.closes,
        "registered": found.registered,
    }


def _compare(
    addresses: Sequence[Address], network_hex: str | None, as_json: bool, instance: str | None = None
) -> None:
    """`instance`: where the supervisor here may know of nodes that are cut off."""
    from votenet.cli import actions, render
    from votenet.errors import Unreachable, VotenetError

    answers = actions.run(actions.ask_each(addresses, lambda one: actions.fetch_results([one], network_hex)))
    apart = {str(a): [] if instance is None else actions.cut_off_here(instance, str(a)) for a in addresses}
    found = [
        (str(a), r[1], warnings_of(r[2]) + apart[str(a)])
        for a, r in answers
        if not isinstance(r, VotenetError)
    ]
    lost = [(str(a), r) for a, r in answers if isinstance(r, VotenetError)]
    if not found:
        raise lost[0][1]
    same = len({(r.network_id, r.tip, r.counts) for _, r, _ in found}) == 1
    if as_json:
        render.print_json(
            {
                "agree": same,
                "nodes": [_as_json(a, r) | {"warnings": warnings} for a, r, warnings in found],
                "unreachable": [{"node": a, "error": e.as_dict()} for a, e in lost],
            }
        )
    else:
        first, count, warnings = found[0]
        asked = f"asked {render.count_of(len(found), 'node')}, "
        asked += "which agree" if same else f"which differ: this is the count of {first}"
        _show(count, first, asked, warnings, False)
        for address, _, more in found[1:]:
            for warning in more:
                echo(f"Warning: {address}: {warning}", err=True)
        for address, error in lost:
            echo(f"Warning: {address} is left out: {error.message}", err=True)
    if not same or any(not isinstance(error, Unreachable) for _, error in lost):
        differ = VotenetError(
            "the nodes do not agree (yet)",
            code="nodes-disagree",
            next_step="Nodes that are cut off cannot: see votenet ps"
            if any(apart.values())
            else "A block may be on its way: ask again. Look at their tips with: votenet status",
        )
        raise render.reported(differ)
