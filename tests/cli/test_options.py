"""Options that several commands share."""

from __future__ import annotations

import click
from click.testing import CliRunner

from votenet.cli.options import instance_option, json_option, node_option


@click.command()
@node_option
@instance_option
@json_option
def _echo(node: str | None, instance: str, as_json: bool) -> None:
    click.echo(f"{node} {instance} {as_json}")


def test_defaults_flags_and_environment() -> None:
    run = CliRunner()
    assert run.invoke(_echo, []).output == "None default False\n"
    assert run.invoke(_echo, ["-i", "x", "--node", "h:1", "--json"]).output == "h:1 x True\n"
    environment = {"VOTENET_INSTANCE": "y", "VOTENET_NODE": "h:2"}
    assert run.invoke(_echo, [], env=environment).output == "h:2 y False\n"
    assert run.invoke(_echo, ["-i", "x"], env=environment).output == "h:2 x False\n"
