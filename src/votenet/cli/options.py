"""Options that several commands share.

What lives here: click decorators. What must not: work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from votenet.config import DEFAULT_INSTANCE

F = TypeVar("F", bound=Callable[..., Any])


def instance_option(command: F) -> F:
    """`-i/--instance NAME`: which network on this machine."""
    return click.option(
        "-i",
        "--instance",
        default=DEFAULT_INSTANCE,
        show_default=True,
        envvar="VOTENET_INSTANCE",
        help="Name of the network on this machine; several can run side by side.",
    )(command)


def json_option(command: F) -> F:
    """`--json`: stable output for programs, on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def node_option(command: F) -> F:
    """`--node HOST:PORT`: ask this node instead of one of the running instance."""
    return click.option(
        "--node",
        metavar="HOST:PORT",
        envvar="VOTENET_NODE",
        help="Ask this node instead of one of the network running here.",
    )(command)
