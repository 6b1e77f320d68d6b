"""`votenet voters cards`: print the voting cards of members who have no key of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from votenet.cli import ui
from votenet.cli.election.card_page import CARDS_ON_A_SHEET, Card
from votenet.cli.election.in_force import in_force_here
from votenet.cli.election.member_setup import (
    CARDS_CAN_VOTE,
    cards_of,
    is_local,
    write_cards,
)
from votenet.cli.options import FilePath, FlagOnly, instance_option, json_option
from votenet.config import instance_dirs
from votenet.core.election.definition import Election
from votenet.core.election.roll import not_on_roll
from votenet.core.election.voting_code import key_of_code
from votenet.errors import Command, ConfigError, NextStep
from votenet.storage.genesis_file import read_genesis
from votenet.storage.member_files import MemberFiles, MembersFile
from votenet.storage.output_file import STDOUT


def public_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of `--public-url`: the address without a slash at its end."""
    from votenet.core.election.election_file import is_public_url

    if value is not None and not is_public_url(value):
        raise click.BadParameter("give it like https://vote.example.org", ctx, param)
    return None if value is None else value.rstrip("/")


public_url_option = click.option(
    "--public-url",
    metavar="URL",
    callback=public_url,
    help="Address of the page as voters' phones reach it  [as last time].",
)


@click.command(
    epilog=f"""\b
Examples:
  votenet voters cards                                        all cards, eight on an A4 page
  votenet voters cards --public-url https://vote.example.org  with another address on them
  votenet voters cards 0017 0023 -o two.html                  some cards again
  votenet voters cards --forget                               once they are handed out

{CARDS_CAN_VOTE} Each file is for you alone to read (mode 0600). A lost card is replaced with
votenet voters replace-key VOTER_ID --card: the old one can then no longer vote."""
)
@click.argument("voter_ids", nargs=-1, metavar="[VOTER_ID]...")
@click.option("-o", "--output", type=FilePath(), help="File to write  [cards.html beside the genesis file].")
@public_url_option
@click.option("--genesis", type=FilePath(), help="The election  [that of the network here].")
@click.option("--forget", cls=FlagOnly, is_flag=True, help="Remove the codes and cards from this machine.")
@instance_option
@json_option
def cards(
    voter_ids: tuple[str, ...],
    output: Path | None,
    public_url: str | None,
    genesis: Path | None,
    forget: bool,
    instance: str,
    as_json: bool,
) -> None:
    """Write the voting cards of all members who have a code, or of VOTER_ID..., as an HTML page to print."""
    election = read_genesis(genesis or instance_dirs(instance).genesis)
    files = MemberFiles((genesis or instance_dirs(instance).genesis).parent)
    if forget:
        _forget(files, genesis is None, as_json)
        return
    kept, codes = files.read_members(election.network_hex), files.read_codes(election.network_hex)
    if kept is None or codes is None:
        raise _no_codes(files)
    chosen = _chosen(kept, codes.codes, voter_ids)
    in_force = in_force_here(election, instance)
    chosen, replaced = _still_valid(chosen, in_force)
    if public_url is not None:
        files.name_page(election.network_hex, public_url)
        kept = msgspec.structs.replace(kept, public_url=public_url, guessed=False)
    target = output or (files.some_cards(voter_ids) if voter_ids else files.cards)
    write_cards(target, in_force, chosen, kept.public_url, genesis=genesis)
    if target == STDOUT:
        return
    sheets = -(-len(chosen) // CARDS_ON_A_SHEET)
    if as_json:
        facts = {"cards": len(chosen), "sheets": sheets, "public_url": kept.public_url, "replaced": replaced}
        ui.print_json({"file": str(target), **facts})
        return
    count = ui.count_of(len(chosen), "voting card")
    ui.echo(f"Wrote {count} to {target}, for {ui.count_of(sheets, 'A4 page')}.")
    if replaced:
        ui.say(f"Left out, because the roll has another key by now: {', '.join(replaced)}")
    ui.say(CARDS_CAN_VOTE)
    if is_local(kept.public_url):
        ui.say(f"The address on them, {kept.public_url}, leads to this machine only: give --public-url URL.")


def _forget(files: MemberFiles, ours: bool, as_json: bool) -> None:
    gone = files.forget_codes(ours)
    if as_json:
        ui.print_json({"removed": [str(path) for path in gone]})
        return
    if gone:
        ui.echo(f"Removed: {', '.join(path.name for path in gone)}. These cards cannot be printed again.")
    else:
        ui.echo("There are no codes here.")
    ui.say(f"Cards that were written with -o, or outside of {files.folder}, are not known here: remove them.")


def _chosen(kept: MembersFile, codes: Mapping[str, str], voter_ids: Sequence[str]) -> list[Card]:
    """The cards of these members, or of all who have a code. Raises Rejected, ConfigError."""
    notes = kept.by_id()
    for voter_id in voter_ids:
        if voter_id not in notes:
            raise not_on_roll(notes, voter_id)
        if voter_id not in codes:
            raise ConfigError(
                f"{voter_id!r} has a key of their own, and no card",
                code="no-codes",
                next_step=NextStep(
                    "Give this voter a card instead, if the key is lost: {}",
                    Command.calling("voters replace-key", voter_id, options=("--card",)),
                ),
            )
    return cards_of([notes[one] for one in dict.fromkeys(voter_ids)] if voter_ids else kept.members, codes)


def _still_valid(chosen: Sequence[Card], election: Election) -> tuple[list[Card], list[str]]:
    """The cards that can vote, and the voters whose card was replaced elsewhere."""
    uuid, registered = election.definition.uuid, election.registered
    if registered is None:
        return list(chosen), []
    keys = {one.voter_id: key_of_code(one.code, uuid).public_hex for one in chosen}
    valid = [one for one in chosen if registered.get(one.voter_id) == keys[one.voter_id]]
    return valid, [one.voter_id for one in chosen if one not in valid]


def _no_codes(files: MemberFiles) -> ConfigError:
    return ConfigError(
        f"there are no codes in {files.folder}: they were forgotten, or all voters have keys",
        code="no-codes",
        next_step=NextStep(
            "A voter gets a new card with: {}", Command("voters", "replace-key", "VOTER_ID", "--card")
        ),
    )
