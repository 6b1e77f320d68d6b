"""`votenet receipt` and `votenet verify`: the proof that a vote is final, and its check offline."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from votenet.cli import targets, ui
from votenet.cli.archive.archive_files import seen_at, write_lines
from votenet.cli.election import final_result
from votenet.cli.election.amendment_view import amendment_lines
from votenet.cli.election.roll import KnownRoll
from votenet.cli.options import (
    FilePath,
    instance_option,
    json_option,
    network_option,
    node_option,
    placed,
    roll_option,
)
from votenet.cli.votes.choices import choice_fields
from votenet.client.sync_client import ElectionClient
from votenet.core.election.definition import Election
from votenet.core.election.quorum import NEVER_FINAL, holders_sentence
from votenet.core.faults import fault
from votenet.core.limits import ARCHIVE_FORMAT, MAX_RECEIPT
from votenet.core.records.receipt import ChainFacts, Receipt, check_receipt, decode_receipt, encode_receipt
from votenet.errors import Command, NextStep, NotProven, NotRunning, Rejected, VotenetError
from votenet.storage.input_file import read_input
from votenet.storage.output_file import STDOUT


@click.command(
    epilog="""
Examples:

\b
  votenet receipt voter123 -o receipt.json
  votenet receipt --upgrade receipt.json        (once its vote is final)
  votenet receipt voter123 --tlog-proof -o vote.tlog-proof
  votenet verify receipt.json

With named nodes a receipt proves that the vote is final: a quorum of them has signed the log with it. That is
checked before it is written. Until then it proves which of them have received the vote, and --upgrade
completes it later. Without named nodes no vote is ever final, and it proves that the vote is on the chain of
one node.
"""
)
@click.argument("voter_id", required=False)
@click.option("-o", "--output", type=FilePath(), help="File to write.  [default: standard output]")
@click.option("--upgrade", type=FilePath(), help="Complete this receipt of a vote that was only received.")
@click.option(
    "--tlog-proof", is_flag=True, help="Write the proof alone, as C2SP tlog-proof, for other tools."
)
@node_option
@network_option
@instance_option
def receipt(
    voter_id: str | None,
    output: Path | None,
    upgrade: Path | None,
    tlog_proof: bool,
    node: str | None,
    network_hex: str | None,
    instance: str,
) -> None:
    """Write the proof that the vote of VOTER_ID is final, or was received.

    It holds the vote itself: the file shows how VOTER_ID voted, and so does the chain.
    """
    if (voter_id is None) is (upgrade is None):
        raise click.UsageError("give a VOTER_ID, or --upgrade FILE")
    if upgrade is not None:
        made, address = _upgraded(upgrade, node, network_hex, instance)
        output = output or upgrade
    else:
        assert voter_id is not None
        with targets.connect(instance, node, network_hex) as election:
            made = election.receipt(voter_id, received=not tlog_proof)
            address = str(election.node)
    data = made.proof.encode() if tlog_proof else encode_receipt(made)
    if tlog_proof and not data:
        raise fault("not-final", f"there is no such proof: this election is {NEVER_FINAL}")
    if made.acceptances:
        ui.say(f"Not final yet: {holders_sentence(len(made.acceptances), len(made.definition.nodes))}.")
    if output in (None, STDOUT):
        ui.echo_bytes(data)
        return
    write_lines(output, [data])
    if tlog_proof:
        ui.echo(f"Wrote {output}. Its leaf is the hash of the vote's record (docs/audit.md).")
    elif made.acceptances:
        complete = Command.calling("receipt", options=("--upgrade", str(output)))
        step = NextStep("Wrote {}. Once the vote is final:  {}", str(output), complete)
        ui.echo(placed(step, instance, node))
    else:
        check = Command.calling("verify", str(output), options=("--network", made.vote.network_id))
        proven = "proof that the vote is final" if made.proof else f"from {address} alone"
        ui.echo(f"Wrote {output}, {proven}. Check it anywhere with: {check}")


def _upgraded(path: Path, node: str | None, network_hex: str | None, instance: str) -> tuple[Receipt, str]:
    """The final receipt of the vote in a receipt, and the node that gave it.

    Raises:
        NotProven: the file does not hold; not-final; abandoned, when another vote is in its place.
    """
    old = decode_receipt(read_receipt(path))
    report = check_receipt(old, int(time.time()), network_hex)
    if old.chain is not None:
        raise fault("not-final", f"nothing completes this receipt: the election is {NEVER_FINAL}")
    with targets.connect(instance, node, report.network_id) as election:
        try:
            made = election.receipt(report.voter_id, key=old.vote.voter_key)
        except (Rejected, NotProven) as error:
            if error.code not in ("not-found", "not-final"):
                raise
            raise NotProven(
                f"the vote is not final at {election.node} yet",
                code="not-final",
                next_step="Ask again in a moment. If it never comes, show the receipt to the organisers: it"
                f" proves that these received it: {', '.join(report.received_by) or 'none'}.",
            ) from None
        address = str(election.node)
    if made.vote != old.vote:
        raise fault("abandoned", f"another vote of {report.voter_id!r} is in its place")
    return made, address


@click.command(
    epilog="""
Examples:

\b
  votenet verify receipt.json
  votenet verify receipt.json --network NETWORK_ID --json
  votenet verify receipt.json --node 127.0.0.1:3000
  votenet verify result.json --network NETWORK_ID

Needs no network. A receipt alone shows only that it agrees with itself: anybody can make an election, and
name its nodes. Give the network id that the organisers published (--network), and their roll (--roll).
Without named nodes ask a node that you trust (--node) whether the block is still on its chain. What was
compared is printed.
"""
)
@click.argument("receipt_file", metavar="FILE", type=FilePath())
@network_option
@roll_option
@click.option("--node", metavar="HOST:PORT", help="Ask this node whether the block is still on the chain.")
@instance_option
@json_option
def verify(
    receipt_file: Path,
    network_hex: str | None,
    roll: Path | None,
    node: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Check a receipt or a final result offline; exit 1 with the reason if it does not hold."""
    voters = KnownRoll(roll, instance)
    data = read_receipt(receipt_file)
    if data.startswith(final_result.START):
        if node is not None or roll is not None:
            raise click.UsageError("--node and --roll are for receipts: a final result names no voters")
        final_result.show_final_result(data, network_hex, as_json, seen_at)
        return
    found = decode_receipt(data)
    report = check_receipt(found, int(time.time()), network_hex, voters)
    try:
        confirmations = None if node is None else _confirmations(found, node)
    except VotenetError as error:
        if not isinstance(error, NotProven) and error.exit_code == NotProven.exit_code:
            error.exit_code = NotRunning.exit_code  # that code says that the receipt does not hold
        raise
    remembered = None if network_hex is not None else seen_at(report.network_id)
    anchors = ui.anchors(network_id=network_hex, remembered=remembered, roll=voters.path, node=node)
    if as_json:
        asked = {} if confirmations is None else {"confirmations": confirmations}
        told = asdict(report)
        told |= told.pop("chain") or {}
        told["amendments"] = msgspec.to_builtins(found.amendments)
        ui.print_json(told | asked | {"compared_with": anchors})
        return
    standing = (
        []
        if confirmations is None
        else [("on the chain", f"at {node}, {ui.count_of(confirmations, 'confirmation')}")]
    )
    ui.print_fields(
        ui.check_heading("The receipt", anchors),
        [
            ("compared with", ui.compared_with(anchors, "--network, --roll or --node")),
            ("finality", ui.finality(report.finality, report.signed_by + report.received_by, anchors)),
            *([("received by", ", ".join(report.received_by))] if report.received_by else []),
            *standing,
            ("election", report.title),
            ("network id", report.network_id),
            ("registration", report.registration),
            ("voter", report.voter_id),
            *choice_fields(Election(found.definition), report.choices),
            ("vote id", report.vote_id),
            ("time", ui.when(report.time)),
            *_chain_fields(report.chain),
        ],
    )
    for line in amendment_lines(found.amendments, found.definition.closes):
        ui.echo(line)
    if node is None and report.chain is not None:
        ui.echo("No node was asked: a single searcher can make such a file (docs/audit.md).")


def _chain_fields(facts: ChainFacts | None) -> list[tuple[str, str]]:
    if facts is None:
        return []
    return [
        ("block", facts.block),
        ("block time", ui.when(facts.block_time)),
        ("height", f"{facts.height:,}"),
        ("position", str(facts.position)),
        ("work", f"{facts.work:,} hashes expected"),
    ]


def _confirmations(receipt: Receipt, node: str) -> int:
    """What this node says. Raises NotProven: network-mismatch, abandoned."""
    with ElectionClient(node) as election:
        return election.confirmations(receipt)


def read_receipt(path: Path) -> bytes:
    data = read_input(
        path,
        MAX_RECEIPT + 1,
        code="bad-receipt-file",
        next_step=NextStep("Make a receipt with: {}", Command("receipt", "VOTER_ID", "-o", "FILE")),
    )
    if len(data) > MAX_RECEIPT:
        raise fault("line-too-long", f"a receipt has at most {MAX_RECEIPT} bytes")
    if data.startswith(f'{{"format":"{ARCHIVE_FORMAT}"'.encode()):
        step = Command.calling("audit", str(path))
        raise NotProven(
            "this is an archive, not a receipt",
            code="wrong-format",
            next_step=NextStep("Check it with: {}", step),
        )
    return data
