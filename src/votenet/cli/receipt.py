"""`votenet receipt` and `votenet verify`: the proof that a vote is on the chain, and its check offline.

What lives here: options, asking a node for the parts, what is printed. What must not: the check
itself (`core/receipt.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from votenet.cli.options import FilePath, instance_option, json_option, network_option, node_option
from votenet.cli.output import echo, echo_bytes
from votenet.storage.output_file import STDOUT

if TYPE_CHECKING:
    from votenet.core.receipt import Receipt, ReceiptReport
    from votenet.network.client import NodeClient
    from votenet.protocol.address import Address

RECEIPT_EPILOG = """
Examples:

\b
  votenet receipt voter123 -o receipt.json
  votenet verify receipt.json
"""
VERIFY_EPILOG = """
Examples:

\b
  votenet verify receipt.json
  votenet verify receipt.json --network NETWORK_ID --json
  votenet verify receipt.json --node 127.0.0.1:3000

Needs no network. A receipt alone shows only that it agrees with itself: anybody can make one. Give the
network id that the organisers published (--network), their roll (--roll), and a node that you trust (--node),
which is asked whether the block is still on its chain. What was compared is printed.
"""


@click.command(epilog=RECEIPT_EPILOG)
@click.argument("voter_id")
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    help="File to write.  [default: standard output]",
)
@node_option
@instance_option
def receipt(voter_id: str, output: Path | None, node: str | None, instance: str) -> None:
    """Write the proof that the vote of VOTER_ID is on the chain.

    It holds the vote itself: whoever has the file knows how VOTER_ID voted, as everybody does who
    has the chain.
    """
    from votenet.cli import actions
    from votenet.cli.archive_files import write_lines
    from votenet.cli.hints import command_line
    from votenet.core.receipt import encode_receipt

    addresses, network_hex = actions.node_addresses(instance, node), actions.network_here(instance, node)
    key = _key_here(voter_id, instance)
    address, made = actions.run(fetch_receipt(addresses, voter_id, key, network_hex))
    data = encode_receipt(made)
    if output in (None, STDOUT):
        echo_bytes(data)
        return
    write_lines(output, [data])
    check = command_line("verify", str(output), options=("--network", made.vote.network_id))
    echo(f"Wrote {output}, from {address} alone. Check it anywhere with: {check}")


def _key_here(voter_id: str, instance: str) -> str | None:
    """The public key that this user has for the voter, if any."""
    from votenet.config import instance_dirs
    from votenet.storage.key_store import KeyStore

    found = KeyStore(instance_dirs(instance).keys).find(voter_id)
    return None if found is None else found.key.public_hex


@click.command(epilog=VERIFY_EPILOG)
@click.argument("receipt_file", metavar="RECEIPT", type=FilePath())
@network_option
@click.option("--roll", type=FilePath(), help="Roll file to check the voter by.")
@click.option("--node", metavar="HOST:PORT", help="Ask this node whether the block is still on the chain.")
@json_option
def verify(
    receipt_file: Path, network_hex: str | None, roll: Path | None, node: str | None, as_json: bool
) -> None:
    """Check a receipt offline; exit 1 with the reason if it does not hold."""
    from votenet.cli import actions, render
    from votenet.cli.roll import read_roll
    from votenet.core.receipt import check_receipt, decode_receipt
    from votenet.errors import NotProven, NotRunning, VotenetError
    from votenet.protocol.address import parse_address

    voters = None if roll is None else read_roll(roll)
    found = decode_receipt(_read(receipt_file))
    report = check_receipt(found, int(time.time()), network_hex, voters)
    try:
        confirmations = None if node is None else actions.run(confirmations_of(report, parse_address(node)))
    except VotenetError as error:
        if not isinstance(error, NotProven) and error.exit_code == NotProven.exit_code:
            error.exit_code = NotRunning.exit_code  # that code says that the receipt does not hold
        raise
    anchors = render.anchors(network_id=network_hex, roll=roll, node=node)
    if as_json:
        asked = {} if confirmations is None else {"confirmations": confirmations}
        render.print_json(asdict(report) | asked | {"compared_with": anchors})
        return
    standing = (
        []
        if confirmations is None
        else [("on the chain", f"at {node}, {render.count_of(confirmations, 'confirmation')}")]
    )
    render.print_fields(
        "The receipt holds."
        if anchors
        else "The receipt agrees with itself; it was compared with nothing else.",
        [
            ("compared with", render.compared_with(anchors, "--network, --roll or --node")),
            *standing,
            ("election", report.title),
            ("network id", report.network_id),
            ("registration", report.registration),
            ("voter", report.voter_id),
            ("choice", render.preferences(report.choices, found.definition.method)),
            ("vote id", report.vote_id),
            ("time", render.when(report.time)),
            ("block", report.block),
            ("block time", render.when(report.block_time)),
            ("height", f"{report.height:,}"),
            ("position", str(report.position)),
            ("work", f"{report.work:,} hashes expected"),
        ],
    )
    if node is None:
        echo("No node was asked: whoever searches a block alone can make such a file (docs/audit.md).")


def _read(path: Path) -> bytes:
    from votenet.cli.hints import command_line
    from votenet.core.evidence import fault
    from votenet.core.limits import ARCHIVE_FORMAT, MAX_RECEIPT
    from votenet.errors import NotProven
    from votenet.storage.input_file import read_input

    data = read_input(
        path,
        MAX_RECEIPT + 1,
        code="bad-receipt-file",
        next_step="Make a receipt with: votenet receipt VOTER_ID -o FILE",
    )
    if len(data) > MAX_RECEIPT:
        raise fault("line-too-long", f"a receipt has at most {MAX_RECEIPT} bytes")
    if data.startswith(f'{{"format":"{ARCHIVE_FORMAT}"'.encode()):
        step = command_line("audit", str(path))
        raise NotProven(
            "this is an archive, not a receipt", code="wrong-format", next_step=f"Check it with: {step}"
        )
    return data


async def confirmations_of(report: ReceiptReport, address: Address) -> int:
    """Blocks on the best branch of the node at `address` from the receipt's block on, that one included.

    Raises:
        NotProven: abandoned; the block is not on that branch. The message says where the vote is now.
        NotProven: network-mismatch; the node belongs to another election.
        Unreachable: it does not answer.
    """
    from votenet.cli.actions import DIAL_SECONDS, fetch_election
    from votenet.core.evidence import fault
    from votenet.network.client import NodeClient
    from votenet.protocol.messages import GetVoteStatus, VoteStatus

    async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
        if (await fetch_election(client)).network_hex != report.network_id:
            raise fault("network-mismatch", f"{address} belongs to another network")
        status = await client.ask(GetVoteStatus(voter_id=report.voter_id), VoteStatus)
    if status.block == report.block:
        return status.confirmations
    if status.state == "in_block":
        now = f"the vote there is in block {status.block} at height {status.height}: make a new receipt"
    elif status.state == "accepted":
        now = "the vote there waits for a block: make a new receipt soon"
    else:
        now = f"no vote of {report.voter_id!r} is known there: is that node up to date?"
    raise fault("abandoned", f"the block is not on the chain of {address}; {now}")


async def fetch_receipt(
    addresses: Sequence[Address], voter_id: str, key: str | None = None, network_hex: str | None = None
) -> tuple[Address, Receipt]:
    """The receipt of a voter, checked, from the first node that answers; and which one that was.

    Args:
        key: the voter's public key, where it is known here: no other may have signed the vote.
        network_hex: the network that it must be of, where that is known.

    Raises:
        Rejected: not-found; the vote is in no block. network-mismatch.
        NotProven: the node's answers do not hold (wrong-answer: they are about another voter), or other-key.
        Unreachable: no node answered.
    """
    from votenet.cli.actions import DIAL_SECONDS
    from votenet.core.receipt import check_receipt
    from votenet.errors import NotRunning, Unreachable, VotenetError
    from votenet.network.client import NodeClient

    error: VotenetError = NotRunning("no node to ask")
    for address in addresses:
        try:
            async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
                made = await _ask(client, voter_id, network_hex)
        except Unreachable as failure:
            error = failure
            continue
        check_receipt(made, int(time.time()))
        _check_owner(made, voter_id, key, address)
        return address, made
    raise error


def _check_owner(made: Receipt, voter_id: str, key: str | None, address: Address) -> None:
    """Whether this is the vote that was asked for. Raises NotProven."""
    from votenet.cli.actions import wrong_answer
    from votenet.errors import NotProven

    if made.vote.voter_id != voter_id:
        raise wrong_answer(address, f"the vote of {made.vote.voter_id!r}, not of {voter_id!r}")
    if key not in (None, made.vote.voter_key):
        raise NotProven(
            f"the vote of {voter_id!r} at {address} is signed by the key {made.vote.voter_key[:16]}…, not by"
            f" yours, {(key or '')[:16]}…: somebody else voted under this id",
            code="other-key",
            next_step="Ask another node with --node HOST:PORT; if it says the same, tell the organisers.",
        )


async def _ask(client: NodeClient, voter_id: str, network_hex: str | None) -> Receipt:
    from votenet.cli.actions import fetch_election
    from votenet.core.block import header_from_hex
    from votenet.core.receipt import make_receipt
    from votenet.errors import Rejected, Unreachable
    from votenet.protocol.messages import GetHeaders, GetProof, Headers, Proof

    election = await fetch_election(client, network_hex)
    proof = await client.ask(GetProof(voter_id=voter_id), Proof)
    if proof.vote is None:
        raise Rejected("not-found", f"no vote of {voter_id!r} is in a block at {client.address}")
    headers = list(proof.headers[: proof.height])
    while headers and len(headers) < proof.height:
        last = header_from_hex(headers[-1]).hash.hex()
        more = (await client.ask(GetHeaders(locator=(last,)), Headers)).headers
        if not more:
            break
        headers += more[: proof.height - len(headers)]
    if not headers or headers[-1] != proof.header:
        raise Unreachable(f"the chain at {client.address} changed meanwhile: ask again")
    return make_receipt(
        election, proof.vote, headers, path=proof.path, position=proof.position, size=proof.size
    )
