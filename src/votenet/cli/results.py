"""`votenet results`: the count.

What lives here: options and the table. What must not: counting (`core/tally.py`, at the node).
"""

from __future__ import annotations

import click

from votenet.cli.options import instance_option, json_option, node_option

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
    import time

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
        time.sleep(0.5)


def _show(address: str, found: object, as_json: bool) -> None:
    from votenet.cli import render
    from votenet.protocol.messages import Results

    assert isinstance(found, Results)
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
    click.echo(
        f"{found.votes:,} votes in {found.height} blocks, {found.waiting:,} waiting; "
        f"{found.method}; from {address}"
    )


def _as_json(address: str, found: object) -> dict[str, object]:
    from votenet.protocol.messages import Results

    assert isinstance(found, Results)
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
            click.echo(f"{address} did not answer: {error.message}", err=True)
    if not same:
        differ = VotenetError(
            "the nodes do not agree (yet)",
            code="nodes-disagree",
            next_step="Look at their tips with: votenet status. A block may be on its way; ask again.",
        )
        raise render.reported(differ)
