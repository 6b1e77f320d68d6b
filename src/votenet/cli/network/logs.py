"""`votenet logs`: what the programs of a network have written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from votenet.cli import ui
from votenet.cli.network.control import nodes_argument
from votenet.cli.options import instance_option, json_option
from votenet.config import instance_dirs
from votenet.processes.logs import LogReader, in_local_time, line_time, parse_since, select_logs
from votenet.text import visible

_PREFIX_COLOURS: Final = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


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
    dirs = instance_dirs(instance)
    try:
        start = None if since is None else parse_since(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    programs = select_logs(dirs, names)
    colour = ui.wants_colour(sys.stdout)
    prefixes = {n: "" if no_prefix else log_prefix(n, programs, colour) for n in programs}
    if lines is None and start is None:
        lines = 20
    reader = LogReader(dirs, programs)
    for news, found in ((False, reader.past(lines, start)), (True, _forever(reader) if follow else ())):
        for name, line in found:
            _show_line(name, line, None if as_json else prefixes[name], news)
    for name, line in reader.rests():
        _show_line(name, line, None if as_json else prefixes[name], False)


def _show_line(name: str, line: str, prefix: str | None, news: bool) -> None:
    """As text with a prefix, or as JSON."""
    if prefix is None:
        ui.echo_json(log_fields(name, line, time.time() if news else None))
    else:
        ui.echo(in_local_time(line), prefix=prefix)


def _forever(reader: Any) -> Iterator[tuple[str, str]]:
    while True:
        yield from reader.news()
        ui.stop_if_unread()
        time.sleep(0.1)


def log_prefix(name: str, names: Iterable[str], colour: bool) -> str:
    """`node-1 | `, padded to the longest name, each program in its own colour."""
    ordered = list(names)
    text = visible(f"{name:<{max(map(len, ordered), default=0)}} | ")
    if not colour:
        return text
    return f"\x1b[{_PREFIX_COLOURS[ordered.index(name) % len(_PREFIX_COLOURS)]}m{text}\x1b[0m"


def log_fields(name: str, line: str, read_at: float | None) -> dict[str, Any]:
    """One log line for a program.

    `time` is our own clock's when the line was read as it came, null for one that was there before;
    `own_time` is what the line says of itself, which may be false. Both in Unix seconds.
    """
    return {"program": name, "time": read_at, "own_time": line_time(line), "line": line}
