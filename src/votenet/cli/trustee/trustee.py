"""`votenet trustee`: the ceremony in which trustees make the key of an election with secret ballots."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from votenet.cli import ui
from votenet.cli.election.election_from_file import election_of_file
from votenet.cli.options import FilePath, json_option
from votenet.cli.trustee.bulletin_view import bulletin_facts, bulletin_lines
from votenet.cli.trustee.decrypt import decrypt
from votenet.cli.trustee.own_election import (
    check_own_election,
    named_election,
    own_election_facts,
    own_election_lines,
)
from votenet.cli.trustee.recovery_card import CARD_IS_THE_KEY, CARD_WORDS, recovery_page
from votenet.cli.trustee.recovery_input import asked_seed
from votenet.cli.trustee.submit import submit
from votenet.config import instance_dirs
from votenet.core.election.ceremony_draft import check_same_draft, draft_of
from votenet.core.election.election_file import ElectionFile
from votenet.core.election.simple_definition import uuid_from
from votenet.errors import Command, ConfigError, NextStep
from votenet.secret.ceremony.bulletin import STEPS, Bulletin
from votenet.secret.ceremony.draft import CeremonyDraft, cost_of_loss
from votenet.secret.ceremony.trustee import next_record, restore_share
from votenet.secret.ceremony.trustee import rehearse as rehearsal_of
from votenet.secret.group import BASE, multiply
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.ceremony_folder import PAGE_NAME, CeremonyFolder
from votenet.storage.enrolment_store import EnrolmentStore
from votenet.storage.member_files import secret_file
from votenet.storage.output_file import refuse_existing
from votenet.storage.trustee_key import TrusteeKeyFile

_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_folder = click.argument("folder", type=_FOLDER)
_name = click.argument("name", metavar="NAME")
_key = click.option("--key", type=_FILE, help="File of your key  [among the keys of this user].")
_code_file = click.option("--code-file", type=FilePath(), help="File with the code of a card; - is a pipe.")


@click.group(
    epilog="""\b
Examples:
  votenet trustee init election.toml          the organiser begins: makes the folder `ceremony`
  votenet trustee join ceremony Citra         a trustee makes a key and two recovery cards; again: next step
  votenet trustee rehearse ceremony Citra     once the key is made: type in a card, decrypt a test tally
  votenet trustee status ceremony             who is waited for
  votenet trustee status ceremony --genesis genesis.json     the election is made: are its keys yours?
  votenet trustee recover ceremony Citra      the key is lost: back from a card
  votenet trustee decrypt ceremony Citra --archive election.jsonl.xz     afterwards: a share of the count
  votenet trustee submit share-1.json         the organiser: hands in a share that comes as a file

\b
Trustees pass the folder on, by mail or on a stick, or share it: nothing in it is secret. Put all files of all
trustees together; their names and their order do not matter. Who types no commands opens trustee.html in the
folder with a browser: it does the same, and needs no network. See docs/secret-ballots.md."""
)
def trustee() -> None:
    """Make the key of an election with secret ballots, together, and decrypt its count."""


@trustee.command()
@click.argument("file", type=FilePath())
@click.option(
    "--all-needed", is_flag=True, help="All trustees are needed: after one lost key nothing is counted."
)
@json_option
def init(file: Path, all_needed: bool, as_json: bool) -> None:
    """Begin the ceremony of an election FILE: write the draft that its trustees make a key for."""
    found = _secret_election(file)
    assert found.trustees is not None
    names, threshold, name = found.trustees
    _check_threshold(file, threshold, len(names), all_needed)
    folder = CeremonyFolder(file.parent / name)
    definition = msgspec.structs.replace(found.definition, uuid=_uuid_for(file, found, folder))
    draft = draft_of(definition, names, threshold)
    if folder.draft_path.exists():
        check_same_draft(folder.draft(), draft)
    folder.begin(draft, files("votenet.web").joinpath("static", PAGE_NAME).read_bytes())
    page = f"A trustee who types no commands opens {folder.path / PAGE_NAME} in a browser."
    _show(folder, as_json, [f"The ceremony is in {folder.path}.", page, cost_of_loss(threshold, len(names))])


@trustee.command()
@_folder
@_name
@_key
@click.option("--cards", type=_FILE, help="Page with the recovery cards  [recovery-PLACE.html, here].")
@click.option(
    "--language", type=click.Choice(list(CARD_WORDS)), default="en", help="Of the cards: id, Indonesian."
)
@json_option
def join(folder: Path, name: str, key: Path | None, cards: Path | None, language: str, as_json: bool) -> None:
    """Take your next step in the ceremony in FOLDER, as the trustee NAME. Run it again for the step after.

    The first time it makes your key, and two recovery cards to print.
    """
    ceremony = CeremonyFolder(folder)
    bulletin = ceremony.bulletin()
    bulletin.check_going()
    draft = bulletin.draft
    place = draft.place_of(name)
    file = _key_file(key, draft, place)
    page = cards or Path(f"recovery-{place}.html")
    if _is_in(ceremony, file.path) or (_is_in(ceremony, page) and (cards or not file.path.exists())):
        raise _shared(ceremony, _joining_elsewhere(ceremony, name, key, page, language))
    seed, lines = file.read(draft.digest, place), list[str]()
    if seed is None:
        _refuse_second_key(bulletin, place)
        seed = _new_key(draft, place, file, page, language)
        lines += [
            f"Your key is made. Print the two recovery cards, then remove the file: {page}",
            CARD_IS_THE_KEY,
        ]
    elif cards is not None:
        _write_cards(draft, place, seed, page, language)
        lines += [f"Your recovery cards, to print: {page}", CARD_IS_THE_KEY]
    lines += _take_steps(ceremony, seed, place)
    _show(ceremony, as_json, lines)


@trustee.command()
@_folder
@_name
@_code_file
@json_option
def rehearse(folder: Path, name: str, code_file: Path | None, as_json: bool) -> None:
    """Show that your recovery card works: type it in, and decrypt a test tally with what it restores.

    The election cannot be made before every trustee has done so.
    """
    ceremony = CeremonyFolder(folder)
    bulletin = ceremony.bulletin()
    bulletin.check_going()
    place = bulletin.draft.place_of(name)
    if not bulletin.is_whole("key"):
        bulletin.check_complete()  # says who is waited for, before a card is asked for
    seed = asked_seed(code_file)
    _check_owner(bulletin, seed, place)
    path = ceremony.hand_in(rehearsal_of(bulletin, seed))
    _show(ceremony, as_json, [f"Your card works. Handed in: {path}"])


@trustee.command()
@_folder
@_name
@_key
@_code_file
@json_option
def recover(folder: Path, name: str, key: Path | None, code_file: Path | None, as_json: bool) -> None:
    """Write the file of your key again, from a recovery card and the ceremony in FOLDER."""
    ceremony = CeremonyFolder(folder)
    bulletin = ceremony.bulletin()
    draft = bulletin.draft
    place = draft.place_of(name)
    file = _key_file(key, draft, place)
    if _is_in(ceremony, file.path):
        raise _shared(ceremony, Command.calling("trustee recover", str(folder), name))
    seed = asked_seed(code_file)
    _check_owner(bulletin, seed, place)
    if bulletin.is_whole("key"):
        restore_share(bulletin, seed)
    file.write(draft.digest, place, seed)
    _show(ceremony, as_json, [f"Your key is back: {file.path}"])


@trustee.command()
@_folder
@click.option(
    "--genesis", type=FilePath(), help="Genesis file of the election that was made: check its keys."
)
@click.option("--node", metavar="HOST:PORT", help="The same for the election of this node.")
@json_option
def status(folder: Path, genesis: Path | None, node: str | None, as_json: bool) -> None:
    """Say who has done what in the ceremony in FOLDER, and who is waited for.

    With --genesis or --node, before anybody votes: check that the election has the trustees' keys.
    """
    if genesis is not None and node is not None:
        raise click.UsageError("--genesis and --node each name an election: leave one out")
    ceremony = CeremonyFolder(folder)
    election = named_election(genesis, node)
    if election is None:
        _show(ceremony, as_json, [])
        return
    check_own_election(election, ceremony.bulletin(), folder)
    if as_json:
        ui.print_json({"folder": str(folder), **own_election_facts(election)})
        return
    for line in own_election_lines(election):
        ui.echo(line)


trustee.add_command(decrypt)
trustee.add_command(submit)


# -- what the commands do --------------------------------------------------------------------------------


def _secret_election(file: Path) -> ElectionFile:
    """Raises ConfigError, code bad-genesis, after every fault was said."""
    found = election_of_file(file)
    if found.trustees is None:
        raise ConfigError(
            f"the ballots of {file} are public: it needs no trustees",
            code="contradiction",
            next_step='For secret ballots write above all tables: secrecy = "secret"; and add a table'
            ' [trustees] with: names = ["Ann", "Bo", "Cy"]',
        )
    return found


def _check_threshold(file: Path, threshold: int, size: int, all_needed: bool) -> None:
    """Raises ConfigError, all-needed, contradiction, unless it was said that all are needed, and they are."""
    if threshold == size and not all_needed:
        raise ConfigError(
            cost_of_loss(threshold, size).removesuffix("."),
            code="all-needed",
            next_step=NextStep(
                "Let fewer be needed than there are: 2 of 3. If it has to be so: {}",
                Command.calling("trustee init", str(file), options=("--all-needed",)),
            ),
        )
    if all_needed and threshold != size:
        raise ConfigError(
            f"--all-needed says that all {size} trustees are needed, and {file} says {threshold}",
            code="contradiction",
            next_step=f"Leave it out, or write below [trustees]: threshold = {size}",
        )


def _uuid_for(file: Path, found: ElectionFile, folder: CeremonyFolder) -> str:
    """The uuid of a ceremony that has begun, or of the folder in which members enrol, or a new one."""
    if folder.draft_path.exists():
        return folder.draft().uuid
    if found.enrolment:
        return EnrolmentStore(file.parent / found.enrolment).invitations().uuid
    return uuid_from(secrets.token_bytes(16))


def _take_steps(ceremony: CeremonyFolder, seed: TrusteeSeed, place: int) -> Iterator[str]:
    """Hand in every record that this trustee can make now; yields what is said of each.

    It ends with a record that does not count: the bulletin says why.

    Raises:
        NotProven: two-records; wrong-card; bad-share, when another trustee sent a wrong one.
    """
    for _ in STEPS:
        bulletin = ceremony.bulletin()
        record = next_record(bulletin, seed, place)
        if record is None:
            return
        path = ceremony.hand_in(record)
        yield f"Handed in: {path}"
        if (record.step, place) not in ceremony.bulletin().records:
            return


def _key_file(key: Path | None, draft: CeremonyDraft, place: int) -> TrusteeKeyFile:
    if key is not None:
        return TrusteeKeyFile(key)
    return TrusteeKeyFile.usual(instance_dirs().keys, draft.digest, place)


def _is_in(ceremony: CeremonyFolder, path: Path) -> bool:
    """Whether a file lies in the folder of the ceremony, wherever links lead."""
    return Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(ceremony.path))


def _joining_elsewhere(
    ceremony: CeremonyFolder, name: str, key: Path | None, page: Path, language: str
) -> Command:
    """How to join with key and cards outside of the folder of the ceremony."""
    kept = () if key is None or _is_in(ceremony, key) else ("--key", str(key))
    cards = Path(os.path.expanduser("~"), page.name) if _is_in(ceremony, page) else page
    options = (*kept, "--cards", str(cards), "--language", language)
    return Command.calling("trustee join", str(ceremony.path), name, options=options)


def _shared(ceremony: CeremonyFolder, elsewhere: Command) -> ConfigError:
    return ConfigError(
        f"your key or its cards would lie in {ceremony.path}, the folder that all trustees get",
        code="open-file",
        next_step=NextStep("Whoever has them has your key. Keep them elsewhere: {}", elsewhere),
    )


def _refuse_second_key(bulletin: Bulletin, place: int) -> None:
    """Raises ConfigError, code no-key, when the key of this trustee was made elsewhere."""
    if place in bulletin.certificate_keys:
        name = bulletin.draft.name_of(place)
        raise ConfigError(
            f"{name} has made a key already, and it is not on this machine",
            code="no-key",
            next_step=NextStep(
                "With a recovery card you get it back: {}. If it was not you, tell the others: begin again",
                Command("trustee", "recover", "FOLDER", name),
            ),
        )


def _new_key(
    draft: CeremonyDraft, place: int, file: TrusteeKeyFile, page: Path, language: str
) -> TrusteeSeed:
    """A new seed, written; its cards are there before it is. Raises ConfigError."""
    seed = TrusteeSeed.draw(os.urandom)
    _write_cards(draft, place, seed, page, language)
    try:
        file.write(draft.digest, place, seed)
    except BaseException:
        page.unlink(missing_ok=True)
        raise
    return seed


def _write_cards(draft: CeremonyDraft, place: int, seed: TrusteeSeed, page: Path, language: str) -> None:
    """Raises ConfigError: file-exists, output-failed."""
    refuse_existing(page, False)
    with secret_file(page) as output:
        for line in recovery_page(draft, place, seed, language):
            output.write(line.encode() + b"\n")


def _check_owner(bulletin: Bulletin, seed: TrusteeSeed, place: int) -> None:
    """Raises ConfigError, code wrong-card, when this is not the card of this trustee."""
    keys = bulletin.certificate_keys.get(place)
    if keys is None or keys.verification != multiply(BASE, seed.signing_key):
        raise ConfigError(
            f"this is not the card of {bulletin.draft.name_of(place)} in this ceremony",
            code="wrong-card",
            next_step="Compare the name and the number of the ceremony on the card.",
        )


def _show(ceremony: CeremonyFolder, as_json: bool, lines: list[str]) -> None:
    bulletin = ceremony.bulletin()
    if as_json:
        facts: dict[str, Any] = {"folder": str(ceremony.path), **bulletin_facts(bulletin)}
        ui.print_json(facts)
        return
    for line in lines:
        ui.echo(line)
    ui.echo(f"{bulletin.draft.name}: {bulletin.draft.threshold} of {bulletin.draft.size} trustees count.")
    for line in bulletin_lines(bulletin, ceremony.path):
        ui.echo(line)
