"""`votenet top`: a network at work, live.

What lives here: options, the screen, when it is drawn anew. What must not: asking and reckoning
(`top_view.py`).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

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
            time.sleep(interval)
            _print(watch.look(), as_json)
    else:
        _live(watch, interval)


def _live(watch: object, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from votenet.cli.network_view import wants_colour
    from votenet.cli.top_view import Watch, drawn

    assert isinstance(watch, Watch)
    console = Console(no_color=not wants_colour(sys.stdout), highlight=False, markup=False, emoji=False)
    with Live(drawn(watch.look()), console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(interval)
            live.update(drawn(watch.look()), refresh=True)


def _print(picture: Picture, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(picture.as_dict(), ensure_ascii=False))
        return
    from rich.console import Console

    from votenet.cli.network_view import wants_colour
    from votenet.cli.top_view import drawn

    width = None if sys.stdout.isatty() else 160
    Console(
        width=width, no_color=not wants_colour(sys.stdout), highlight=False, markup=False, emoji=False
    ).print(drawn(picture))
