"""`votenet trustee submit`: shares that trustees made without a network, handed in at a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from votenet.cli import targets, ui
from votenet.cli.archive.belenios_export import read_share_file
from votenet.cli.options import FilePath, instance_option, json_option, node_option
from votenet.cli.trustee.decrypt import hand_in
from votenet.client.secret_votes import submit_share
from votenet.errors import Command
from votenet.secret.documents import encode

if TYPE_CHECKING:
    from votenet.client.sync_client import ElectionClient


@click.command(
    epilog="""\b
Examples:
  votenet trustee submit share-1.json share-3.json --node votes.example.org:3000

\b
A share is public. The node checks each, and passes it on to the others."""
)
@click.argument("files", nargs=-1, required=True, type=FilePath(), metavar="FILE...")
@node_option
@instance_option
@json_option
def submit(files: tuple[Path, ...], node: str | None, instance: str, as_json: bool) -> None:
    """Hand in shares of the count, which trustees made with trustee.html or from an archive."""
    shares = [read_share_file(file) for file in files]
    with targets.connect(instance, node) as election:
        for file, share in zip(files, shares, strict=True):
            _hand_in(election, encode(share).decode(), share.place)
            if not as_json:
                ui.echo(f"A node has checked and taken the share of trustee {share.place}: {file}")
    if as_json:
        ui.print_json({"handed_in": [share.place for share in shares]})
    else:
        ui.echo(f"When enough trustees have decrypted: {Command('results')}")


def _hand_in(election: ElectionClient, share: str, place: int) -> None:
    """Raises Rejected: not-final, bad-decryption; NoAnswer."""
    hand_in(lambda: election.at_one_node(lambda asked: submit_share(asked, share, place)))
