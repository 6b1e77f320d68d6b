"""`votenet demo`: an election from start to stop, checked as a sceptic would.

What lives here: the option, the table of checks. What must not: the steps (`demo_run.py`).
"""

from __future__ import annotations

import click

from votenet.cli.options import json_option
from votenet.cli.output import echo


@click.command()
@click.option(
    "--ballots",
    type=click.IntRange(10, 80_101),
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

    Starts a network, casts real ballots (Minneapolis 2013), kills a node with -9 in the middle, compares
    the count of every node with the others and with a direct count of the file, and stops everything.
    """
    import time

    from votenet.cli import render
    from votenet.cli.demo_run import Demo
    from votenet.cli.stop_signals import stop_in_order
    from votenet.errors import VotenetError
    from votenet.processes.signals import reset_inherited

    began = time.monotonic()
    reset_inherited()
    stop_in_order()
    run = Demo(ballots, nodes, say=lambda text: echo(f"... {text}", err=True))
    checks, counts = run.run(keep=keep)
    seconds = time.monotonic() - began
    failed = [check for check in checks if not check.passed]
    if as_json:
        render.print_json(
            {
                "passed": not failed,
                "seconds": round(seconds, 1),
                "checks": [{"check": c.what, "passed": c.passed, "found": c.found} for c in checks],
                "counts": [{"candidate": n, "votenet": a, "file": b} for n, a, b in counts],
            }
        )
    else:
        made = render.table("The count", [("candidate", "left"), ("votenet", "right"), ("the file", "right")])
        for name, ours, theirs in counts:
            made.add_row(name, f"{ours:,}", f"{theirs:,}")
        render.print_table(made)
        echo()
        made = render.table("What was checked", [("", "left"), ("", "left"), ("found", "left")])
        for check in checks:
            made.add_row("ok" if check.passed else "FAILED", check.what, check.found)
        render.print_table(made)
        echo()
        echo(f"{len(checks) - len(failed)} of {len(checks)} checks passed in {seconds:.1f} s.")
    if failed:
        wrong = VotenetError(
            f"{len(failed)} checks failed",
            code="demo-failed",
            next_step="Run it again with --keep and look at the logs it names.",
        )
        raise render.reported(wrong)
