"""`votenet results`: the count.

What lives here: options and the tables. What must not: counting (`core/tally.py` and
`core/outcome.py`, at the node).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from votenet.cli import output
from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

if TYPE_CHECKING:
    from votenet.core.outcome import Outcome
    from votenet.protocol.messages import Results

LEADERS: Final = 3
"""Candidates named in a line of the table of rounds."""

EPILOG = """
Examples:

\b
  votenet results
  votenet results --all-nodes        (ask every node and compare)
  votenet results --follow           (print again with every new block)
"""


@click.command(epilog=EPILOG)
@click.option("--all-nodes", is_flag=True, help="Ask every node; exit 1 if two that answer disagree.")
@click.option("-f", "--follow", is_flag=True, help="Print again whenever the chain grows, until Ctrl-C.")
@node_option
@instance_option
@json_option
def results(all_nodes: bool, follow: bool, node: str | None, instance: str, as_json: bool) -> None:
    """Count the votes on the chain, as any node sees it."""
    from votenet.cli import actions

    addresses = actions.node_addresses(instance, node)
    if all_nodes:
        _compare(addresses, as_json)
        return
    shown = ""
    while True:
        address, found = actions.run(actions.fetch_results(addresses))
        if found.tip != shown:
            shown = found.tip
            _show(str(address), found, as_json)
        if not follow:
            return
        output.stop_if_unread()
        time.sleep(0.5)


def _show(address: str, found: Results, as_json: bool) -> None:
    from votenet.cli import render

    if as_json:
        render.print_json(_as_json(address, found))
        return
    made = render.table(
        found.title, [("candidate", "left"), ("votes", "right"), ("share", "right"), ("", "left")]
    )
    for candidate, votes in found.counts:
        share = votes / found.votes if found.votes else 0.0
        made.add_row(candidate, f"{votes:,}", f"{share:.1%}", render.bar(share))
    render.print_table(made)
    if found.outcome is not None and found.outcome.rounds:
        _show_rounds(found.outcome)
    for line in verdict(found, int(time.time())):
        echo(line)
    echo(
        f"{found.votes:,} votes in {found.height} blocks, {found.waiting:,} waiting; "
        f"{found.method}; from {address}"
    )


def verdict(found: Results, now: int) -> Iterator[str]:
    """Who won, turnout and hours, each in a line."""
    from votenet.cli.render import when

    outcome = found.outcome
    final = found.closes is not None and now >= found.closes and not found.waiting
    if outcome is None or outcome.state == "undecided":
        yield "Undecided: no votes" + ("." if final else " yet.")
    elif outcome.state == "tied":
        yield f"Tied: {', '.join(outcome.winners)} (in the order of their lots; see docs/elections.md)"
    else:
        yield f"{'Winner' if final or found.closes is None else 'Ahead'}: {outcome.winners[0]}"
    for one in outcome.rounds if outcome is not None else ():
        if one.tie_break:
            how = "lot" if one.tie_break == "lot" else f"the fewest votes in {one.tie_break}"
            yield (
                f"Tie in round {one.number} between {', '.join(one.tied)}: {one.eliminated[0]} left, by {how}"
            )
    if found.registered is not None:
        share = found.votes / found.registered if found.registered else 0.0
        yield f"Turnout: {found.votes:,} of {found.registered:,} registered ({share:.1%})"
    if found.opens is not None:
        yield f"{'Opened' if now >= found.opens else 'Opens'}: {when(found.opens)}"
    if found.closes is not None:
        yield f"{'Closed' if now >= found.closes else 'Closes'}: {when(found.closes)}"


def _show_rounds(outcome: Outcome) -> None:
    """One line a round: the leaders, and who leaves. A wide table of all counts helps nobody."""
    from votenet.cli import render

    made = render.table(
        "", [("round", "right"), ("most votes", "left"), ("exhausted", "right"), ("eliminated", "left")]
    )
    if outcome.rounds_left_out:
        made.add_row("", f"({outcome.rounds_left_out} earlier rounds are not shown)", "", "")
    for one in outcome.rounds:
        leaders = ", ".join(f"{name} {votes:,}" for name, votes in one.counts[:LEADERS])
        more = len(one.counts) - LEADERS
        out = one.eliminated
        gone = ", ".join(out) if len(out) <= LEADERS else f"{len(out)} candidates without votes"
        made.add_row(
            str(one.number), leaders + (f", {more} more" if more > 0 else ""), f"{one.exhausted:,}", gone
        )
    render.print_table(made)


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


def _compare(addresses: object, as_json: bool) -> None:
    from votenet.cli import actions, render
    from votenet.errors import VotenetError
    from votenet.protocol.messages import GetResults, Results

    answers = actions.run(actions.ask_all(addresses, GetResults(), Results))  # type: ignore[arg-type]
    found = [(str(a), r) for a, r in answers if isinstance(r, Results)]
    lost = [(str(a), r) for a, r in answers if isinstance(r, VotenetError)]
    if not found:
        raise lost[0][1]
    same = len({(r.tip, r.counts) for _, r in found}) == 1
    if as_json:
        render.print_json(
            {
                "agree": same,
                "nodes": [_as_json(a, r) for a, r in found],
                "unreachable": [{"node": a, "error": e.as_dict()} for a, e in lost],
            }
        )
    else:
        _show(f"{len(found)} nodes" if same else found[0][0], found[0][1], False)
        for address, error in lost:
            echo(f"{address} did not answer: {error.message}", err=True)
    if not same:
        differ = VotenetError(
            "the nodes do not agree (yet)",
            code="nodes-disagree",
            next_step="Look at their tips with: votenet status. A block may be on its way; ask again.",
        )
        raise render.reported(differ)
