"""`votenet top`: a network at work, live.

What lives here: options, the screen, when it is drawn anew. What must not: asking and reckoning
(`top_view.py`).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from votenet.cli import output
from votenet.cli.options import instance_option, json_option

if TYPE_CHECKING:
    from votenet.cli.top_view import Picture

EPILOG = """
Examples:

\b
  votenet top
  votenet top --once                 (one picture, then the end)
  votenet top --json --interval 5    (a JSON document on a line every five seconds)
"""


@click.command(epilog=EPILOG)
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two pictures; rates are those of up to ten seconds.",
)
@instance_option
@json_option
def top(once: bool, interval: float, instance: str, as_json: bool) -> None:
    """Show nodes, heights, rates, waiting votes and the count, until Ctrl-C.

    Without a terminal pictures follow each other as plain text.
    """
    from votenet.cli.top_view import Watch

    watch = Watch(instance)
    watch.look()  # rates need two looks
    if once:
        time.sleep(interval)
        _print(watch.look(), as_json)
    elif as_json or not sys.stdout.isatty():
        while True:
            _sleep(interval)
            _print(watch.look(), as_json)
    else:
        _live(watch, interval)


def _live(watch: object, interval: float) -> None:
    from rich.live import Live

    from votenet.cli.top_view import Watch, drawn

    assert isinstance(watch, Watch)
    console = output.console()
    with Live(drawn(watch.look()), console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(interval)
            live.update(drawn(watch.look()), refresh=True)


def _sleep(seconds: float) -> None:
    """Until the next picture, or the end of whoever reads them."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        output.stop_if_unread()
        time.sleep(min(left, 0.2))


def _print(picture: Picture, as_json: bool) -> None:
    if as_json:
        output.echo_json(picture.as_dict())
        return
    from votenet.cli.top_view import drawn

    output.console(width=160).print(drawn(picture))
