"""`votenet chaos`: break a network on purpose, at random, and see that every promise holds."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import click

from votenet.cli import ui
from votenet.cli.archive.archive_files import write_lines
from votenet.cli.options import FilePath, FiniteRange, json_option
from votenet.cli.stop_signals import stop_in_order
from votenet.config import instance_dirs
from votenet.lab.chaos_plan import FAULTS, Planner
from votenet.lab.chaos_report import as_html
from votenet.lab.chaos_run import Chaos, ChaosResult
from votenet.lab.fork_picture import fork_picture
from votenet.processes.signals import reset_inherited

INSTANCE: Final = "chaos"
MOST_NODES: Final = 20


@click.command(
    epilog="""\b
Examples:
  votenet chaos --seed 1 --duration 120 --report chaos.html
  votenet chaos --duration 30                 with a seed of its own, which it prints
  votenet chaos --no-named-nodes --fault partition --duration 12 --picture fork.svg

\b
The run has a network of its own, in a folder of its own, beside any other. The same seed makes the same
faults in the same order; how many of them fit into the duration depends on the machine.

\b
Exit codes: 0 every invariant held, 1 one is broken (named; the folder with the logs is kept)."""
)
@click.option("--seed", type=click.IntRange(min=0), help="What to do, and in which order.  [random]")
@click.option(
    "--duration", type=FiniteRange(0, 86400), default=120.0, show_default=True,
    help="Seconds during which faults are made; longer where a slow machine makes less than one in 6 s.",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(3, MOST_NODES), default=5, show_default=True, help="Nodes at the start."
)
@click.option(
    "--report", type=FilePath(),
    help="Write a timeline of what was done, and how long each recovery took (HTML).",
)  # fmt: skip
@click.option(
    "--named-nodes/--no-named-nodes", "named", default=True, show_default=True,
    help="Whether the election names the nodes. Without named nodes a partition makes a fork.",
)  # fmt: skip
@click.option(
    "--fault", "faults", type=click.Choice(list(FAULTS)), multiple=True,
    help="Make only faults of this kind; repeatable.  [all kinds]",
)  # fmt: skip
@click.option(
    "--picture", type=FilePath(),
    help="Draw which node stood on which branch, from moment to moment (SVG).",
)  # fmt: skip
@json_option
def chaos(
    seed: int | None,
    duration: float,
    nodes: int,
    report: Path | None,
    named: bool,
    faults: tuple[str, ...],
    picture: Path | None,
    as_json: bool,
) -> None:
    """Kill, pause, cut, slow, scale and restart a network at random while votes come in.

    After each step every invariant is checked: one live process a node, no acknowledged vote lost, all
    nodes agree once nothing keeps them apart, every end has one recorded cause, restarts within their limit,
    and in the end no process, port, lock or socket left. A run that injected no fault fails.
    """
    reset_inherited()
    stop_in_order()
    chosen = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    ui.say(f"seed {chosen}, {nodes} nodes, {duration:g} s of faults")
    home, before = Path(tempfile.mkdtemp(prefix="votenet-chaos-")), os.environ.get("VOTENET_HOME")
    os.environ["VOTENET_HOME"] = str(home)  # of this process and all that it starts
    broken = True
    try:
        planner = Planner(chosen, nodes, [FAULTS[name] for name in faults])
        dirs = instance_dirs(INSTANCE)
        draws = picture is not None  # blocks that are found too fast cannot be told apart
        how = {"named": named, "record": draws, "slow_blocks": draws}
        run = Chaos(home, dirs, chosen, duration, nodes, ui.say, planner, **how)
        outcome = run.run()
        broken = outcome.broken is not None
    finally:
        if broken:
            ui.say(f"Its chains and logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
        os.environ.pop("VOTENET_HOME")
        if before is not None:
            os.environ["VOTENET_HOME"] = before
    more = [] if named else ["--no-named-nodes"]
    outcome.options = (*more, *(word for name in faults for word in ("--fault", name)))
    if picture is not None and outcome.recording is not None:
        write_lines(picture, [fork_picture(outcome).encode()])
    if report is not None:
        write_lines(report, [as_html(outcome).encode()])
    _tell(outcome, as_json)
    if outcome.broken is not None:
        outcome.broken.reported = as_json
        raise outcome.broken


def _tell(outcome: ChaosResult, as_json: bool) -> None:
    if as_json:
        found = {
            "seed": outcome.seed,
            "faults": outcome.faults,
            "votes": outcome.votes,
            "seconds": round(outcome.seconds, 1),
            "stop_seconds": outcome.stop_seconds,
            "broken": None if outcome.broken is None else outcome.broken.message,
            "steps": [
                {"at": round(d.at, 2), "step": str(d.step), "ready": round(d.ready, 3), "agreed": d.agreed}
                for d in outcome.steps
            ],
        }
        ui.echo_json(found)
        return
    if outcome.broken is None:
        ui.echo(
            f"{outcome.faults} faults in {outcome.seconds:.0f} s, {outcome.votes:,} votes counted; "
            f"every invariant held. Again: {outcome.again}"
        )
    else:
        ui.echo(
            f"broken after {outcome.faults} faults; again: {outcome.again}",
            err=True,
        )
