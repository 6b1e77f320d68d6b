"""`votenet vote`: cast one vote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from votenet.cli import targets, ui
from votenet.cli.archive.archive_files import write_lines
from votenet.cli.election.in_force import amended_at
from votenet.cli.election.roll import read_roll, roll_of
from votenet.cli.options import (
    FilePath,
    FiniteRange,
    instance_option,
    json_option,
    network_option,
    node_option,
    placed,
)
from votenet.cli.votes.choices import choice_fields, given_choices
from votenet.cli.votes.code_input import asked_code, is_typed, need_roll, voter_of_code
from votenet.client.election_client import CAST_SECONDS
from votenet.client.refusals import explained
from votenet.config import instance_dirs
from votenet.core.election.quorum import NEVER_FINAL, holders_sentence
from votenet.core.election.roll import Roll, check_voter, with_roll
from votenet.core.records.receipt import encode_receipt
from votenet.core.text import check_voter_id
from votenet.errors import Command, NextStep, Rejected, VotenetError, WaitTimedOut
from votenet.secret.credentials import credential_of_code
from votenet.storage.key_store import KeyStore, read_voter_key

if TYPE_CHECKING:
    from votenet.client.sync_client import ElectionClient
    from votenet.client.voting import CastResult
    from votenet.core.election.definition import Election
    from votenet.core.keys import SigningKey


@click.command(
    epilog="""
Examples:

\b
  votenet vote voter123 Alice
  votenet vote voter124 Bob --wait 0       (returns once a node has it on its disk)
  votenet vote voter125 Bob --receipt bob.json
  votenet vote -i ranked voter123 Bo Cy    (ranked, where the election allows it)
  votenet vote --code                      (asks for the code on a voting card, then for choices)
  votenet vote --code Alice

Without a candidate each contest is asked for, and nothing is cast before you have seen all and said yes. What
is typed behind a command stays in the shell's history, and other users of the machine can see it while the
command runs; what is asked for does not.

The vote is final once a quorum of the election's named nodes has signed the log with it: this is checked
here. Until then it is received. The proof to keep is a file of its own, and --receipt writes what there is.
Complete it later with: votenet receipt --upgrade FILE

In an election without a roll the voter's key is made on first use and kept for this user. With a roll, only
the key on the roll can vote: one of this user's (votenet keys list), or that of --key FILE. Where the roll
itself is known here, another key or id is refused before anything is sent. With --code the key follows from
the code on a voting card, and the roll says whose it is.

Votes are public: anybody who reaches a node can read who voted how. Where the
election has secret ballots, votes are encrypted, and only --code or --code-file votes
(docs/secret-ballots.md). Neither the result nor --json tells a secret choice;
let it be asked for, too.
"""
)
@click.argument("voter_id", required=False)
@click.argument("choices", nargs=-1, metavar="[CANDIDATE]...")
@click.option(
    "--in",
    "in_contests",
    multiple=True,
    metavar="CONTEST=CANDIDATE[,...]",
    help="Choices in one of several contests. A contest that is left out stays blank, where that is allowed.",
)
@click.option("--key", "key_file", type=FilePath(), help="Sign with the key in this file, made for VOTER_ID.")
@click.option(
    "--code",
    "by_code",
    is_flag=True,
    help="Vote with the code on a card, without VOTER_ID: asked for, or read from standard input.",
)
@click.option("--code-file", type=FilePath(), help="The same with the code in this file.")
@click.option(
    "--roll",
    "roll_file",
    type=FilePath(),
    help="The roll: another id or key is refused before anything is sent  [that of the network here].",
)
@click.option(
    "--wait",
    type=FiniteRange(0),
    default=CAST_SECONDS,
    show_default=True,
    help="Seconds to wait until the vote is final; 0 returns once it is received.",
)
@click.option(
    "--confirmations",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Without named nodes: blocks to wait for.",
)
@click.option("--receipt", "receipt_file", type=FilePath(), help="Write the receipt to this file.")
@node_option
@network_option
@instance_option
@json_option
def vote(
    voter_id: str | None,
    choices: tuple[str, ...],
    in_contests: tuple[str, ...],
    key_file: Path | None,
    by_code: bool,
    code_file: Path | None,
    roll_file: Path | None,
    wait: float,
    confirmations: int,
    receipt_file: Path | None,
    node: str | None,
    network_hex: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Cast a signed vote for VOTER_ID and say where it stands: received, in a block, or final.

    Ctrl-C ends the wait. A vote that was received stays valid.
    """
    code = credential = None
    by_code = by_code or code_file is not None
    if by_code:
        choices = choices if voter_id is None else (voter_id, *choices)  # the first operand is a candidate
        if choices and in_contests:
            raise _no_voter_id(choices[0], by="with --in no candidate beside it")
        voter_id = None
        code = _read_code(key_file, code_file)
    elif voter_id is None:
        raise click.UsageError("name the voter: VOTER_ID; or vote with the code on a card: --code")
    key = None if key_file is None else read_voter_key(key_file, voter_id).key
    with targets.connect(instance, node, network_hex) as election:
        shown = _Cast(receipt_file, instance, node, as_json, wait > 0, election.election)
        roll = roll_of(election.election, instance) if roll_file is None else read_roll(roll_file)
        if by_code:
            _refuse_voter_id(election.election, roll, choices)
            in_force = _in_force(election, need_roll(election.election, roll))
            code = code or asked_code(None)
        if code is not None:
            voter_id, key = voter_of_code(code, in_force, roll)
            credential = credential_of_code(code, election.election.definition.uuid)
            ui.say(f"Voting as {voter_id}.")
        assert voter_id is not None
        if roll is not None:
            _check_roll(election, roll, voter_id, key, instance)
        if not choices and not in_contests:
            _refuse_second_vote(election, voter_id)
        ballots = given_choices(election.election, choices, in_contests)
        try:
            cast = election.cast(
                voter_id,
                ballots,
                key=key,
                wait=wait,
                confirmations=confirmations,
                on_received=shown.received,
                credential=credential,
            )
        except (WaitTimedOut, KeyboardInterrupt):
            shown.not_in_time()
            raise
        if receipt_file is not None and cast.state == "in_block" and not cast.named:
            cast = replace(cast, receipt=election.receipt(voter_id))
    if node is None:
        cast = replace(cast, warnings=(*cast.warnings, *targets.cut_off_here(instance, cast.node)))
    shown.end(cast)


def _refuse_voter_id(election: Election, roll: Roll | None, choices: Sequence[str]) -> None:
    """Raises VotenetError, code contradiction: the first of the candidates, if any, is a voter id."""
    if not choices:
        return
    word, *rest = choices
    names = {name for contest in election.contests for name in contest.names}
    is_voter = roll is not None and word in roll.keys
    if word not in names and (is_voter or (rest and names.issuperset(rest))):
        # A secret choice is not printed again.
        again = Command.calling("vote", *([] if election.secret else rest), options=("--code",))
        raise _no_voter_id(word, step=NextStep("Leave it out, the code says who votes: {}", again))


def _no_voter_id(word: str, *, by: str = "", step: str | NextStep = "") -> VotenetError:
    return VotenetError(
        f"with a code no voter id is given{by and f', and {by}'}: {word!r} is too much",
        code="contradiction",
        next_step=step or "Leave it out: the code says who votes.",
    )


def _check_roll(
    election: ElectionClient, roll: Roll, voter_id: str, key: SigningKey | None, instance: str
) -> None:
    """Refuse another id or key than the roll in force has before anything is sent."""
    in_force = _in_force(election, roll)
    if key is None:
        stored = KeyStore(instance_dirs(instance).keys).find(voter_id)
        key = None if stored is None else stored.key
    check_voter(in_force.registered or {}, voter_id, None if key is None else key.public_hex)


def _refuse_second_vote(election: ElectionClient, voter_id: str) -> None:
    """Ask nobody for choices whose vote no node would take. Raises Rejected: already-voted, bad-vote."""
    try:
        check_voter_id(voter_id)
        found = election.vote_status(voter_id)
        if found.state != "unknown":
            where = {"time": found.time, "block": found.block, "height": found.height}
            raise Rejected("already-voted", f"{voter_id!r} has already voted", **where)
    except Rejected as refusal:
        raise explained(refusal, voter_id) from None


def _in_force(election: ElectionClient, roll: Roll | None) -> Election:
    known = election.election if roll is None else with_roll(election.election, roll)
    return amended_at(election, known)


def _read_code(key_file: Path | None, code_file: Path | None) -> str | None:
    """The code of a file or of standard input; None where a person types it: that is asked for later."""
    if key_file is not None:
        raise click.UsageError("a key follows from the code: leave out --key, or --code")
    return None if is_typed(code_file) else asked_code(code_file)


@dataclass
class _Cast:
    """What is printed and written about a vote, at each step."""

    receipt_file: Path | None
    instance: str
    node: str | None
    as_json: bool
    waits: bool
    election: Election
    cast: CastResult | None = None

    def received(self, cast: CastResult) -> None:
        """Nothing that happens from now on loses the vote, or what the nodes signed."""
        self.cast = cast
        self._write(cast)
        if cast.named and self.waits and not self.as_json:
            ui.say(
                f"{received_sentence(cast)}. Waiting until it is final: Ctrl-C ends the wait, not the vote."
            )

    def not_in_time(self) -> None:
        """It was received, if it came so far; whether it is final is not known here."""
        if self.cast is None or not self.cast.named or self.as_json:
            return
        ui.echo(f"{received_sentence(self.cast)}. Not final yet.")
        self._say_next(self.cast)

    def end(self, cast: CastResult) -> None:
        self._write(cast)
        if self.as_json:
            ui.print_json(as_json_record(cast))
            return
        ui.print_fields(f"{heading(cast)}.", list(_fields(cast, self.election)))
        if not cast.named:
            ui.echo(f"{NEVER_FINAL} (docs/security.md).".capitalize())
        for warning in cast.warnings:
            ui.say(f"Warning: {cast.node}: {warning}")
        self._say_next(cast)

    def _write(self, cast: CastResult) -> None:
        if self.receipt_file is not None and cast.receipt is not None:
            write_lines(self.receipt_file, [encode_receipt(cast.receipt)])

    def _say_next(self, cast: CastResult) -> None:
        """How to get the proof, or its final form."""
        if self.receipt_file is not None and cast.receipt is not None:
            if cast.state == "final" or not cast.named:
                step = NextStep("Wrote {}, the proof to keep.", str(self.receipt_file))
            else:
                upgrade = Command.calling("receipt", options=("--upgrade", str(self.receipt_file)))
                step = NextStep("Wrote {}. Complete it later:  {}", str(self.receipt_file), upgrade)
        else:
            proof = Command.calling("receipt", cast.voter_id, options=("-o", "receipt.json"))
            step = NextStep("Proof to keep:  {}", proof)
        if cast.named or cast.state == "in_block":
            ui.say(placed(step, self.instance, self.node))


def received_sentence(cast: CastResult) -> str:
    """Who holds the vote, and what that promises."""
    if not cast.received_by:
        return f"Received by {cast.node}, which signed nothing for it"
    return holders_sentence(len(cast.received_by), cast.named).capitalize()


def heading(cast: CastResult) -> str:
    if cast.state == "final":
        return f"Your vote is final, signed by {len(cast.signed_by)} of {cast.named}"
    if cast.state == "in_block":
        confirmed = "not final yet" if cast.named else ui.count_of(cast.confirmations, "confirmation")
        return f"Your vote is in block {cast.height} ({confirmed})"
    if cast.named:
        return f"{received_sentence(cast)}. Not final yet"
    return "Your vote is received: it is saved at one node and waits for its block"


def as_json_record(cast: CastResult) -> dict[str, Any]:
    """The result without its receipt, which is a file of its own."""
    return {name: getattr(cast, name) for name in cast.__slots__ if name != "receipt"}


def _fields(cast: CastResult, election: Election) -> Iterator[tuple[str, str]]:
    yield "voter", cast.voter_id
    yield from choice_fields(election, cast.choices)
    yield "vote id", cast.vote_id
    yield "time", ui.when(cast.time)
    if cast.received_by:
        yield "received by", ", ".join(cast.received_by)
    if cast.signed_by:
        yield "signed by", ", ".join(cast.signed_by)
    if cast.state != "final":
        yield "node", cast.node if cast.named else f"{cast.node}, and no other was asked"
    if cast.height is not None:
        yield "block", str(cast.block)
        yield "height", str(cast.height)
        yield "position", str(cast.position)
    if cast.height is not None and not cast.named:
        yield "confirmations", str(cast.confirmations)
