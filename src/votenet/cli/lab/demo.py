"""`votenet demo`: an election from start to stop, checked as a sceptic would."""

from __future__ import annotations

import time

import click

from votenet.cli import ui
from votenet.cli.options import json_option
from votenet.cli.stop_signals import stop_in_order
from votenet.errors import VotenetError
from votenet.lab.demo_record import ALL_BALLOTS
from votenet.lab.demo_run import run_demo
from votenet.lab.demo_secret import run_secret_demo
from votenet.processes.signals import reset_inherited


@click.command()
@click.option(
    "--ballots",
    type=click.IntRange(10, ALL_BALLOTS),
    default=5000,
    show_default=True,
    envvar="DEMO_BALLOTS",
    help="Ballots to cast, spread evenly over the record.",
)
@click.option("--nodes", type=click.IntRange(2, 20), default=5, show_default=True, help="Nodes to start.")
@click.option("--keep", is_flag=True, help="Keep chains and logs, and print where they are.")
@json_option
def demo(ballots: int, nodes: int, keep: bool, as_json: bool) -> None:
    """Run a whole election on this machine, in a folder of its own, and check it.

    Starts a network with two contests: the mayor of Minneapolis in 2013, with real ballots, and a motion that
    is made up. Casts the ballots, kills a node with -9 in the middle, takes receipts, waits until voting
    closes and the result is final, compares every node's count with a count by hand, and stops everything.

    Then a small election with secret ballots: three trustees make its key, and two of them decrypt its count.
    """
    began = time.monotonic()
    reset_inherited()
    stop_in_order()
    checks, counts = run_demo(ballots, nodes, _say, keep=keep)
    more = run_secret_demo(_say, keep=keep)
    checks, counts = checks + more[0], counts + more[1]
    seconds = time.monotonic() - began
    failed = [check for check in checks if not check.passed]
    if as_json:
        ui.print_json(
            {
                "passed": not failed,
                "seconds": round(seconds, 1),
                "checks": [{"check": c.what, "passed": c.passed, "found": c.seen} for c in checks],
                "contests": [
                    {
                        "title": one.title,
                        "decided": one.decided,
                        "counts": [{"candidate": n, "votenet": a, "by_hand": b} for n, a, b in one.counts],
                    }
                    for one in counts
                ],
            }
        )
    else:
        for one in counts:
            ui.echo(f"{one.title}: {one.decided}")
            made = ui.table("", [("candidate", "left"), ("votenet", "right"), ("by hand", "right")])
            for name, ours, theirs in one.counts:
                made.add_row(name, f"{ours:,}", f"{theirs:,}")
            ui.print_table(made)
            ui.echo()
        made = ui.table("What was checked", [("", "left"), ("", "left"), ("found", "left")])
        for check in checks:
            made.add_row("ok" if check.passed else "FAILED", check.what, check.seen)
        ui.print_table(made)
        ui.echo()
        ui.echo(f"{len(checks) - len(failed)} of {len(checks)} checks passed in {seconds:.1f} s.")
    if failed:
        raise VotenetError(
            f"{len(failed)} checks failed",
            code="demo-failed",
            next_step="Run it again with --keep and look at the logs it names.",
            reported=True,
        )


def _say(text: str) -> None:
    ui.say(f"... {text}")
