"""`votenet evidence`: proofs that a named node lied."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from votenet.cli import targets, ui
from votenet.cli.archive.archive_files import read_final_chain, write_lines
from votenet.cli.election.roll import KnownRoll
from votenet.cli.options import (
    FilePath,
    instance_option,
    json_option,
    network_option,
    node_option,
    roll_option,
)
from votenet.cli.votes.receipt import read_receipt
from votenet.core.encoding import canonical
from votenet.core.faults import fault
from votenet.core.limits import MAX_ARCHIVE_LINE
from votenet.core.records.archive import checked_election
from votenet.core.records.evidence import (
    EVIDENCE_KINDS,
    check_evidence,
    check_lie,
    decode_evidence,
    encode_evidence,
    evidence_of_acceptance,
    kind_of,
)
from votenet.core.records.receipt import decode_receipt
from votenet.errors import Command, NextStep, NotProven, VotenetError
from votenet.storage.input_file import read_input
from votenet.storage.output_file import STDOUT

LIES: Final = {
    "two-proposals": "it proposed two different blocks in one consensus round",
    "two-prevotes": "it prevoted two different blocks in one consensus round",
    "two-precommits": "it precommitted two different blocks in one consensus round",
    "two-lists": "it signed two closing lists for one closing time",
    "two-roots": "it cosigned two different logs of one size",
    "bad-growth": "it cosigned a log that does not continue what it had cosigned",
    "broken-acceptance": "it accepted a vote before closing and left it out (check it with --archive)",
}


@click.group()
def evidence() -> None:
    """List, show and check proofs that a named node lied.

    A named node lies when it signs two different things where an honest node signs one, or leaves out a vote
    that it signed for. Its signatures prove that to every reader.
    """


@evidence.command("list")
@node_option
@instance_option
@json_option
def list_(node: str | None, instance: str, as_json: bool) -> None:
    """List the proofs that a node has. Each is checked here. Example: votenet evidence list"""
    with targets.connect(instance, node) as election:
        proofs, asked = election.evidence(), election.node
        names = [one.name for one in election.election.definition.nodes]
    if as_json:
        ui.print_json([{"node": one.node, "name": names[one.node], "kind": kind_of(one)} for one in proofs])
        return
    if not proofs:
        ui.echo(f"{asked} has no proof that a named node lied.")
        return
    made = ui.table("", [("node", "right"), ("name", "left"), ("kind", "left"), ("what it did", "left")])
    for one in proofs:
        made.add_row(str(one.node), names[one.node], kind_of(one), LIES[kind_of(one)])
    ui.print_table(made)
    first = Command("evidence", "show", str(proofs[0].node), kind_of(proofs[0]), "-o", "evidence.json")
    ui.echo(f"As a file, to show to others: {first}")


@evidence.command(
    "show",
    epilog="""
Examples:

\b
  votenet evidence show 3 two-precommits
  votenet evidence show 3 two-precommits -o evidence.json
""",
)
@click.argument("node_index", metavar="NODE", type=click.IntRange(min=0))
@click.argument("kind", type=click.Choice(sorted(EVIDENCE_KINDS)))
@click.option("-o", "--output", type=FilePath(), help="File to write, to show to others.")
@node_option
@instance_option
@json_option
def show(
    node_index: int, kind: str, output: Path | None, node: str | None, instance: str, as_json: bool
) -> None:
    """Show the proof of this KIND against named node NODE, an index from 0 on; with -o, write its file."""
    with targets.connect(instance, node) as election:
        proofs, asked, network = election.evidence(), election.node, election.network_id
    proof = next((one for one in proofs if (one.node, kind_of(one)) == (node_index, kind)), None)
    if proof is None:
        raise VotenetError(
            f"{asked} has no proof of this kind against named node {node_index}",
            code="no-evidence",
            next_step=NextStep("See what there is: {}", Command("evidence", "list")),
        )
    data = encode_evidence(proof)
    if output not in (None, STDOUT):
        write_lines(output, [data])
        check = Command.calling("evidence verify", str(output), options=("--network", network))
        ui.echo(f"Wrote {output}. Check it anywhere with: {check}")
    elif as_json or output == STDOUT:
        ui.echo_bytes(data)
    else:
        name = proof.definition.nodes[node_index].name
        fields = [("kind", kind), ("against", f"named node {node_index}, {name}"), ("network id", network)]
        ui.print_fields(LIES[kind], fields)
        ui.echo(json.dumps(json.loads(canonical(proof.proof)), indent=2))


@evidence.command(
    "make",
    epilog="""
Example:

\b
  votenet evidence make receipt.json --archive election.jsonl.xz

For a receipt with signatures of named nodes that have received the vote. Writes evidence-NODE.json for each
of them that left the vote out.
""",
)
@click.argument("receipt_file", metavar="RECEIPT", type=FilePath())
@click.option("--archive", type=FilePath(), required=True, help="Archive of the whole election.")
@roll_option
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write.  [default: the current folder]",
)
@instance_option
@json_option
def make(
    receipt_file: Path, archive: Path, roll: Path | None, folder: Path, instance: str, as_json: bool
) -> None:
    """Prove that named nodes left out the vote of RECEIPT, which they had signed for."""
    receipt = decode_receipt(read_receipt(receipt_file))
    election = checked_election(receipt.definition)
    chain = read_final_chain(archive, election.network_hex, KnownRoll(roll, instance))
    written, reason = [], "the receipt has no signature of a node that received the vote"
    for acceptance in receipt.acceptances:
        proof = evidence_of_acceptance(election, acceptance, receipt.vote)
        try:
            sentence = check_lie(proof, election, chain)
        except NotProven as error:
            reason = error.message
            continue
        path = folder / f"evidence-{acceptance.node}.json"
        write_lines(path, [encode_evidence(proof)])
        written.append({"node": acceptance.node, "file": str(path), "sentence": sentence})
    if not written:
        raise VotenetError(
            f"no named node is proven to have broken its word: {reason}",
            code="no-evidence",
            next_step=NextStep("See what the receipt says: {}", Command.calling("verify", str(receipt_file))),
        )
    if as_json:
        ui.print_json(written)
        return
    given = ("--archive", str(archive), *(() if roll is None else ("--roll", str(roll))))
    for one in written:
        check = Command.calling("evidence verify", str(one["file"]), options=given)
        ui.echo(str(one["sentence"]))
        ui.echo(f"Wrote {one['file']}. Check it with: {check}")


@evidence.command(
    "verify",
    epilog="""
Examples:

\b
  votenet evidence verify evidence.json --network NETWORK_ID
  votenet evidence verify evidence.json --archive election.jsonl.xz --json

Needs no network. Give the network id that the organisers published: a stranger can make an election of
their own and lie in it. An accepted vote that was left out needs the archive of the election, too.
""",
)
@click.argument("evidence_file", metavar="FILE", type=FilePath())
@network_option
@click.option("--archive", type=FilePath(), help="Archive of the whole election.")
@roll_option
@instance_option
@json_option
def verify(
    evidence_file: Path,
    network_hex: str | None,
    archive: Path | None,
    roll: Path | None,
    instance: str,
    as_json: bool,
) -> None:
    """Check FILE offline; exit 1 with the reason if it proves nothing."""
    proof = decode_evidence(_read(evidence_file))
    try:
        network = checked_election(proof.definition).network_hex
        voters = KnownRoll(roll, instance)
        chain = None if archive is None else read_final_chain(archive, network, voters)
        report = check_evidence(proof, network_hex, chain)
    except NotProven as error:
        if error.code == "needs-archive":
            again = Command.calling("evidence verify", str(evidence_file), options=("--archive", "ARCHIVE"))
            raise error.advising(NextStep("Give it: {}", again)) from None
        raise
    anchors = ui.anchors(network_id=network_hex)
    if as_json:
        ui.print_json(asdict(report) | {"compared_with": anchors})
        return
    ui.print_fields(
        report.sentence,
        [
            ("compared with", ui.compared_with(anchors, "--network")),
            ("election", report.title),
            ("network id", report.network_id),
            ("kind", report.kind),
            ("signed by", f"named node {report.node}, {report.name}"),
        ],
    )
    if not anchors:
        ui.echo("The file agrees with itself. Is this the network id that the organisers published?")


def _read(path: Path) -> bytes:
    step = NextStep("Name a file of evidence, as {} reads it.", Command("evidence", "verify", "FILE"))
    data = read_input(path, MAX_ARCHIVE_LINE + 1, code="bad-evidence-file", next_step=step)
    if len(data) > MAX_ARCHIVE_LINE:
        raise fault("line-too-long", f"a file of evidence has at most {MAX_ARCHIVE_LINE} bytes")
    return data
