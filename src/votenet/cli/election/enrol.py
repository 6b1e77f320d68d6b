"""`votenet voters invite` and `approve`: members who make their own keys, with an invitation."""

from __future__ import annotations

import csv
import io
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from votenet.ballots.voter_list import Member, read_member_list
from votenet.cli import targets, ui
from votenet.cli.election.amend import AmendmentOptions, amendment_options
from votenet.cli.election.card_page import PATHS, Card
from votenet.cli.election.cards import public_url_option
from votenet.cli.election.election_from_file import election_of_file
from votenet.cli.election.in_force import amended_at
from votenet.cli.election.member_setup import DEFAULT_URL, is_local, new_code, write_cards
from votenet.cli.election.roll import read_roll, roll_of
from votenet.cli.options import FilePath, FlagOnly, given_roll_option, instance_option, json_option
from votenet.client.amendments import Change
from votenet.client.sync_client import ElectionClient
from votenet.config import instance_dirs
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.election.election_file import ElectionFile
from votenet.core.election.roll import Roll, not_on_roll, with_roll
from votenet.core.election.simple_definition import uuid_from
from votenet.core.election.voting_code import invitation_hash, shown_code
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import Command, ConfigError, NextStep, Rejected, SomeFailed
from votenet.storage.enrolment_store import Enrolled, EnrolmentStore, InvitationsFile, Invited
from votenet.storage.genesis_file import read_genesis
from votenet.storage.input_file import read_input
from votenet.storage.member_files import MemberFiles, MemberNote, secret_file
from votenet.text import BOM, spreadsheet_cell

enrolment_option = click.option(
    "--enrolment",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("enrolment"),
    show_default=True,
    metavar="FOLDER",
    help="Folder in which members enrol.",
)


# -- invite ----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet voters invite members.csv -f election.toml -o invitations.html    eight on an A4 page
  votenet voters invite members.csv -f election.toml -o invitations.csv     to send them by mail
  votenet web --setup enrolment --host 0.0.0.0                              members enrol here
  votenet voters status --enrolment enrolment                               who is missing
  votenet voters invite members.csv -f election.toml --again 0017 -o again.html

A member opens the page, and makes a voting code that no other person has. The folder keeps the hash of an
invitation, and the public key. Members who were invited before keep their invitation."""
)
@click.argument("members", type=FilePath())
@click.option("-f", "--file", type=FilePath(), help="File of the election  [the election that runs here].")
@click.option(
    "-o", "--output", type=FilePath(), required=True, help="File to write: .html to print, or .csv."
)
@enrolment_option
@public_url_option
@click.option(
    "--again", multiple=True, metavar="VOTER_ID", help="Invite this member anew: an earlier key is dropped."
)
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@instance_option
@json_option
def invite(
    members: Path,
    file: Path | None,
    output: Path,
    folder: Path,
    public_url: str | None,
    again: tuple[str, ...],
    force: bool,
    instance: str,
    as_json: bool,
) -> None:
    """Make invitations for the members of the CSV file MEMBERS: id, and name, weight where there are any."""
    listed = read_member_list(read_input(members, MAX_RECEIPT, code="bad-roll"), members.name)
    definition, url = _election(file, instance)
    url = public_url or url or DEFAULT_URL
    store = EnrolmentStore(folder)
    with store.inviting():  # until all is written: another organiser's invitations hold, too
        _refuse_existing(output, force)
        before = store.invitations() if store.is_made() else None
        made, cards = _invited(definition, before, listed, again)
        if cards:
            _write(output, Election(definition), cards, url)
        if made != before:
            store.invite(made)  # last: until then no invitation holds
    if as_json:
        facts = {"file": str(output) if cards else None, "invitations": len(cards), "members": len(listed)}
        ui.print_json(facts | {"enrolment": str(folder), "public_url": url})
        return
    if not cards:
        now = "" if made == before else f" Names and weights are now those of {members.name}."
        ui.echo(f"All members were invited before.{now} To invite one anew: --again VOTER_ID")
        return
    ui.echo(
        f"Wrote {ui.count_of(len(cards), 'invitation')} to {output}, for the page {url}{PATHS['invitation']}"
    )
    if is_local(url):
        ui.say("That address leads to this machine only: give --public-url URL.")


def _refuse_existing(output: Path, force: bool) -> None:
    """Raises ConfigError, code file-exists."""
    if output.exists() and not force:
        raise ConfigError(
            f"{output} is there already, and the invitations in it may not be handed out yet",
            code="file-exists",
            next_step="Name another file, or replace it with --force.",
        )


def _write(output: Path, election: Election, cards: Sequence[Card], url: str) -> None:
    """Write new invitations. Raises ConfigError, code output-failed."""
    if output.suffix == ".csv":
        _write_csv(output, cards, url)
    else:
        write_cards(output, election, cards, url, kind="invitation")


def _election(file: Path | None, instance: str) -> tuple[ElectionDefinition, str]:
    """The election of a file with the address of its page, or the one that runs here. Raises ConfigError."""
    if file is None:
        genesis = instance_dirs(instance).genesis
        if not genesis.exists():
            raise click.UsageError("name the file of the election: -f election.toml")
        definition = read_genesis(genesis).definition
        _refuse_secret(definition.secrecy == "secret")
        return definition, ""
    found = election_of_file(file)
    _refuse_secret(found.trustees is not None)
    return _without_roll(found), found.public_url


def _refuse_secret(secret: bool) -> None:
    """Raises ConfigError, code contradiction, for secret ballots: no code of a member's own can vote."""
    if secret:
        raise ConfigError(
            "members who make codes of their own get no credential for secret ballots",
            code="contradiction",
            next_step=NextStep(
                'Name the list of members in the election file: members = "members.csv". Each gets a card.'
                " A late member gets one with: {}",
                Command("voters", "add", "VOTER_ID", "--card"),
            ),
        )


def _without_roll(file: ElectionFile) -> ElectionDefinition:
    """The definition with a new salt: the roll comes later."""
    return msgspec.structs.replace(file.definition, uuid=uuid_from(secrets.token_bytes(16)))


def _invited(
    definition: ElectionDefinition,
    before: InvitationsFile | None,
    listed: Sequence[Member],
    again: Sequence[str],
) -> tuple[InvitationsFile, list[Card]]:
    """All who are invited from now on, and the new invitations. Raises Rejected: not-on-roll."""
    ids = [one.voter_id for one in listed]
    for voter_id in again:
        if voter_id not in ids:
            raise not_on_roll(ids, voter_id)
    kept = {one.voter_id: one.invitation for one in (before.members if before else ())}
    cards = [
        Card(one.voter_id, one.name, new_code())
        for one in listed
        if one.voter_id not in kept or one.voter_id in again
    ]
    hashes = kept | {card.voter_id: invitation_hash(card.code) for card in cards}
    others = (one for one in (before.members if before else ()) if one.voter_id not in set(ids))
    new = (Invited(one.voter_id, one.name, one.weight, hashes[one.voter_id]) for one in listed)
    members = (*others, *new)
    uuid = before.uuid if before else definition.uuid
    return InvitationsFile(uuid=uuid, title=definition.title, members=members), cards


def _write_csv(path: Path, cards: Sequence[Card], url: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("id", "name", "invitation", "link"))
    for card in cards:
        code = shown_code(card.code)
        row = (card.voter_id, card.name, code, f"{url}{PATHS['invitation']}#{code}")
        writer.writerow([spreadsheet_cell(cell) for cell in row])
    with secret_file(path) as file:
        file.write((BOM + text.getvalue()).encode())


# -- status before the election --------------------------------------------------------------------


def show_enrolment(folder: Path, *, as_json: bool) -> None:
    """Print who has enrolled, and who is missing."""
    store = EnrolmentStore(folder)
    invited, enrolled = store.invitations().members, store.enrolled()
    rows = [_enrolment_row(one, enrolled.get(one.voter_id)) for one in invited]
    if as_json:
        ui.print_json({"invited": len(invited), "enrolled": len(enrolled), "members": rows})
        return
    made = ui.table("", [("voter", "left"), ("name", "left"), ("key made", "left")])
    for one in invited:
        key = enrolled.get(one.voter_id)
        made.add_row(one.voter_id, one.name, "missing" if key is None else ui.when(key.at))
    ui.print_table(made)
    ui.echo(f"Enrolled: {len(enrolled):,} of {len(invited):,}.")


def _enrolment_row(invited: Invited, key: Enrolled | None) -> dict[str, object]:
    made = {"public_key": None, "at": None} if key is None else {"public_key": key.public_key, "at": key.at}
    return {"voter_id": invited.voter_id, "name": invited.name, **made}


# -- approve ---------------------------------------------------------------------------------------


@click.command(
    epilog="""Shows what it will sign, and asks. A member who is not on the roll is added. One who is on it
with another key (invited anew after a lost key) votes with the new one, unless that member has voted."""
)
@enrolment_option
@given_roll_option
@click.option("--yes", cls=FlagOnly, is_flag=True, help="Do not ask; needed where there is no terminal.")
@amendment_options
def approve(asked: AmendmentOptions, folder: Path, roll_file: Path | None, yes: bool) -> None:
    """Put the members who have enrolled since the election was made on its roll, with the authority's key."""
    store = EnrolmentStore(folder)
    invited = {one.voter_id: one for one in store.invitations().members}
    enrolled = store.enrolled()
    with targets.connect(asked.instance, asked.node, asked.network_hex) as election:
        _refuse_secret(election.election.secret is not None)
        key = asked.key_for(election.election)
        roll = roll_of(election.election, asked.instance) if roll_file is None else read_roll(roll_file)
        changes = waiting_changes(invited, enrolled, _in_force(election, roll, store), asked.reason)
        if not changes:
            _tell([], as_json=asked.as_json)
            return
        _confirm(changes, invited, yes)
        refused = []
        for number, change in enumerate(changes, start=1):
            try:
                election.amend(key, change, wait=asked.wait if number == len(changes) else 0)
            except Rejected as error:
                ui.say(f"  {change.voter_id}: {error.message}")
                refused.append(change)
                continue
            _note(asked.instance, election.election, invited[change.voter_id or ""])
    _tell([one for one in changes if one not in refused], as_json=asked.as_json)
    if refused:
        raise SomeFailed(
            f"{ui.count_of(len(refused), 'amendment')} of {len(changes)} were refused, as said above",
            next_step=NextStep("See who is on the roll and has voted: {}", Command("voters", "status")),
            reported=asked.as_json,
        )


def _note(instance: str, election: Election, member: Invited) -> None:
    """The member has a key of their own from now on."""
    files = MemberFiles(instance_dirs(instance).state)
    files.note(election.network_hex, MemberNote(member.voter_id, member.name, "own"))
    files.keep_code(election.network_hex, member.voter_id, None)


def waiting_changes(
    invited: Mapping[str, Invited], enrolled: Mapping[str, Enrolled], in_force: Election, reason: str
) -> list[Change]:
    """What puts the members on the roll who have enrolled and are not on it with their key.

    A key that was replaced does not come back.
    """
    said, registered = reason.strip() or "enrolled by invitation", in_force.registered or {}
    changes = []
    for voter_id, one in invited.items():
        key = enrolled[voter_id].public_key if voter_id in enrolled else None
        if key is None or in_force.was_on_roll(key):
            continue
        if voter_id in registered:
            changes.append(Change("replace-key", voter_id=voter_id, key=key, reason=said))
        else:
            changes.append(Change("add-voter", voter_id=voter_id, key=key, weight=one.weight, reason=said))
    return changes


def _in_force(election: ElectionClient, roll: Roll | None, store: EnrolmentStore) -> Election:
    """The election with its roll as it is in force. Raises ConfigError: roll-missing; other-election."""
    known = with_roll(election.election, roll)
    if known.registered is None or store.invitations().uuid != known.definition.uuid:
        raise ConfigError(
            f"members have enrolled in {store.folder} for another election",
            code="other-election",
            next_step="Name the folder that the election was made from: --enrolment FOLDER",
        )
    return amended_at(election, known)


def _confirm(changes: Sequence[Change], invited: Mapping[str, Invited], yes: bool) -> None:
    for change in changes:
        name = invited[change.voter_id or ""].name
        what = "add" if change.action == "add-voter" else "replace the key of"
        ui.say(f"  {what} {change.voter_id}{f' ({name})' if name else ''}: {change.key}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask at, add --yes.")
    if not click.confirm(f"Sign {ui.count_of(len(changes), 'amendment')}?", err=True):
        ui.say("Nothing was signed.")
        sys.exit(1)


def _tell(changes: Sequence[Change], *, as_json: bool) -> None:
    if as_json:
        ui.print_json({"signed": [one._asdict() for one in changes], "at": int(time.time())})
        return
    ui.echo(f"Signed: {ui.count_of(len(changes), 'amendment')}." if changes else "No member is waiting.")
