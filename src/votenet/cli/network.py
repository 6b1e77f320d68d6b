"""`up`, `down`, `ps`, `logs` and the hidden `supervise`: one network on this machine.

What lives here: options and the order of steps. What must not: tables (`network_view.py`), anything
about processes (`votenet.processes`); heavy modules are imported where a command needs them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from votenet.cli import output
from votenet.cli.network_control import nodes_argument
from votenet.cli.options import FilePath, FlagOnly, hour, instance_option, json_option
from votenet.cli.output import echo, echo_json
from votenet.config import MAX_NODES, instance_dirs
from votenet.core.limits import MAX_CHOICES, METHODS

if TYPE_CHECKING:
    pass


# -- up -------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet up                              five nodes in the foreground; Ctrl-C stops them
  votenet up --nodes 5 --detach           in the background; returns when all are ready
  votenet up -d --title "Board 2026" --candidate Ann --candidate Bo
  votenet up -d --method instant-runoff --closes +2h --candidate Ann --candidate Bo --candidate Cy
  votenet up -d -i second                 a second network beside the first, on its own ports
  votenet up -d --nodes 7 --dry-run       what would be started, where, with which commands

\b
Exit codes: 0 ready (or already running), 5 timed out, 6 some programs failed,
75 another `up` is at work, 78 bad configuration, 130 stopped by Ctrl-C.
Data, logs and locks live in the state folder of this user, or below VOTENET_HOME."""
)
@click.option(
    "--nodes",
    type=click.IntRange(1, MAX_NODES),
    default=5,
    help="How many nodes  [as last time; 5 for a new network].",
)
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when all are ready.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds to wait for ready.",
)
@click.option("--bootstrap-port", type=click.IntRange(1, 65535), help="Port of the bootstrap server [4000].")
@click.option("--node-port", type=click.IntRange(1, 65535), help="Port of node-1; the others follow [3000].")
@click.option("--title", help="Title of the election.")
@click.option(
    "--candidate", "candidates", multiple=True, metavar="NAME", help="A candidate; give it several times."
)
@click.option(
    "--candidates-from",
    type=FilePath(),
    help="Take the candidates from a CSV file of ballots, or from minneapolis-2013.",
)
@click.option("--choice-column", metavar="COL", help="Column of that file which holds the choice.")
@click.option(
    "--difficulty", type=click.IntRange(1, 64), metavar="BITS", help="Leading zero bits of a block hash."
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    help="How ballots are counted  [plurality]; see docs/elections.md.",
)
@click.option(
    "--roll",
    type=FilePath(exists=True),
    help="Only those on this roll may vote; see: votenet help roll create",
)
@click.option(
    "--max-choices",
    type=click.IntRange(1, MAX_CHOICES),
    metavar="N",
    help="Choices on one ballot [plurality: 1; else the number of candidates].",
)
@click.option(
    "--opens", callback=hour, metavar="TIME", help="Refuse votes before: +30m, 2027-05-31T08:00+02:00."
)
@click.option(
    "--closes", callback=hour, metavar="TIME", help="Refuse votes from then on: +2h, or as --opens."
)
@click.option(
    "--genesis",
    type=FilePath(exists=True),
    help="Join the election that this file defines instead of making one.",
)
@click.option(
    "--kernel",
    metavar="NAME",
    envvar="VOTENET_KERNEL",
    help="Nonce search kernel of the nodes, e.g. generic; see: votenet doctor",
)
@click.option(
    "--give-up", is_flag=True, help="Do not retry a program that was removed for failing too often."
)
@click.option("--restart-limit", type=int, metavar="N", help="Failures that remove a program [5].")
@click.option("--restart-window", type=float, metavar="S", help="Seconds within which they count [120].")
@click.option("--restart-max-delay", type=float, metavar="S", help="Longest pause before a restart [30].")
@click.option(
    "--hang-timeout",
    type=click.FloatRange(1, 86400),
    default=20.0,
    show_default=True,
    help="Seconds without a heartbeat after which a program is taken to hang, and restarted.",
)
@click.option("--dry-run", is_flag=True, help="Show ports, folders and commands; start nothing.")
@click.option("--program", cls=FlagOnly, hidden=True, help="Command to run instead of votenet itself.")
@instance_option
@json_option
def up(
    instance: str,
    detach: bool,
    timeout: float,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Start a network: a bootstrap server and its nodes.

    Makes an election on first use (candidates Alice, Bob and Charlie unless told otherwise) and
    reuses it, with its votes, afterwards. Crashed programs are started again. If a port of the
    usual block (4000, 3000, 3001, …) is taken, the whole block moves and this is said.

    If the network runs already, it is made as the options and the configuration say: another number
    of nodes, other settings, one program restarted after the other; what was stopped, removed or has
    failed is started. With --detach, programs that a supervisor left when it died go on; in the
    foreground they are stopped and started anew.
    """
    from votenet.cli import network_plan, network_up

    dirs = instance_dirs(instance)
    default = click.core.ParameterSource.DEFAULT
    ctx = click.get_current_context()
    given = {name for name in options if ctx.get_parameter_source(name) is not default}
    if dry_run:
        network_plan.dry_run(dirs, detach=detach, as_json=as_json, options=options, given=given)
    else:
        network_up.up(dirs, detach=detach, timeout=timeout, as_json=as_json, options=options, given=given)


# -- supervise ------------------------------------------------------------------------------------


@click.command(hidden=True)
@click.option(
    "--inherit",
    cls=FlagOnly,
    type=int,
    multiple=True,
    metavar="FD",
    help="Lock inherited from `up --detach`.",
)
@instance_option
def supervise(instance: str, inherit: tuple[int, ...]) -> None:
    """Run the supervisor of a detached network: what `up --detach` starts.

    Without inherited locks it starts the network of the last `up` again, e.g. from systemd.
    """
    from votenet.cli.network_run import run_supervisor

    sys.exit(run_supervisor(instance_dirs(instance), inherit))


# -- down -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet down                 stop; chains, votes and logs stay for the next `up`
  votenet down --purge         and remove this network's chains, logs and election; asks before
  votenet down --purge --yes   the same without a question: for scripts
  votenet down --timeout 2     kill what has not stopped after two seconds

\b
Exit codes: 0 nothing runs any more (or nothing ran), 1 something is left, 2 --purge without a terminal
and without --yes, 5 timed out."""
)
@click.option(
    "--purge",
    cls=FlagOnly,
    is_flag=True,
    help="Also remove its data: chains, logs, election. Voters' keys stay.",
)
@click.option(
    "--yes", cls=FlagOnly, is_flag=True, help="Do not ask before --purge; needed where there is no terminal."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds a program has to stop before it is killed.",
)
@instance_option
@json_option
def down(instance: str, purge: bool, yes: bool, timeout: float, as_json: bool) -> None:
    """Stop the network, cleanly and with proof.

    Nodes stop first, the bootstrap server last. It is over when no process is left, the ports are
    free and the data is unlocked. Also ends what a supervisor that died has left behind.
    """

    from votenet.cli import network_down

    dirs = instance_dirs(instance)
    if purge and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--purge deletes votes: without a terminal to ask at, add --yes.")
        if not click.confirm(f"Remove all chains, votes and logs of {instance!r}?", err=True):
            echo("Nothing was stopped, nothing was removed.", err=True)
            sys.exit(1)
    network_down.down(dirs, grace=timeout, purge=purge, as_json=as_json)


# -- ps -------------------------------------------------------------------------------------------


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
    from votenet.cli.network_view import show
    from votenet.processes.control import ask

    show(ask(instance_dirs(instance), {"command": "status"}), as_json)


# -- logs -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet logs                    the last 20 lines of every program
  votenet logs -f node-1 node-2   follow two nodes; also 'node-*'
  votenet logs --since 10m        what was said in the last ten minutes
  votenet logs -n 100 supervisor  what the supervisor of a detached network did

\b
Exit codes: 0 ok, 3 no logs yet, 4 no such node."""
)
@nodes_argument(required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "-n",
    "--tail",
    "lines",
    type=click.IntRange(min=0),
    default=None,
    help="Lines of each program [20, or all of --since].",
)
@click.option("--since", metavar="T", help="Only lines since then: 90s, 10m, 2h, or an ISO time.")
@click.option("--no-prefix", is_flag=True, help="Without the program's name before each line.")
@instance_option
@json_option
def logs(
    instance: str,
    names: tuple[str, ...],
    follow: bool,
    lines: int | None,
    since: str | None,
    no_prefix: bool,
    as_json: bool,
) -> None:
    """Show or follow the logs of the nodes.

    Works also after `down`: logs of the last six incarnations of each program are kept. Times are shown in
    the zone of this machine; the files, and --json, have UTC.
    """
    from votenet.cli import network_view
    from votenet.processes import log_reader
    from votenet.processes.logs import parse_since

    dirs = instance_dirs(instance)
    try:
        start = None if since is None else parse_since(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    programs = log_reader.select(dirs, names)
    colour = network_view.wants_colour(sys.stdout)
    prefixes = {n: "" if no_prefix else network_view.log_prefix(n, programs, colour) for n in programs}
    if lines is None and start is None:
        lines = 20
    reader = log_reader.Reader(dirs, programs)
    for news, found in ((False, reader.past(lines, start)), (True, _forever(reader) if follow else ())):
        for name, line in found:
            _show_line(name, line, None if as_json else prefixes[name], news)
    for name, line in reader.rests():
        _show_line(name, line, None if as_json else prefixes[name], False)


def _show_line(name: str, line: str, prefix: str | None, news: bool) -> None:
    """As text with a prefix, or as JSON."""
    from votenet.cli import network_view
    from votenet.processes.logs import in_local_time

    if prefix is None:
        echo_json(network_view.log_fields(name, line, time.time() if news else None))
    else:
        echo(in_local_time(line), prefix=prefix)


def _forever(reader: Any) -> Iterator[tuple[str, str]]:
    while True:
        yield from reader.news()
        output.stop_if_unread()
        time.sleep(0.1)
