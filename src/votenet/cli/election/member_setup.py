"""The roll of an election whose members have no keys: voting codes, the keys that follow, the cards.

The election's `uuid` is the salt of the keys, and the root of the roll is in the definition. So codes, keys,
roll and definition are made in one go; the genesis file is written last.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from votenet.ballots.voter_list import Member
from votenet.cli import ui
from votenet.cli.election.card_page import Card, card_page
from votenet.cli.election.card_words import CardKind
from votenet.config import InstanceDirs
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, Voter
from votenet.core.election.voting_code import RANDOM_BYTES, code_from, key_of_code
from votenet.errors import Command, ConfigError
from votenet.secret.credentials import credential_of_code, public_credential
from votenet.storage.genesis_file import read_genesis
from votenet.storage.member_files import CodesFile, MemberFiles, MemberNote, MembersFile, secret_file
from votenet.storage.output_file import STDOUT

DEFAULT_URL: Final = "http://127.0.0.1:8080"
"""Where `up` serves the page unless told otherwise."""
CARDS_CAN_VOTE: Final = (
    "A person who prints a card, or reads this file, could vote for the holders of its cards."
)


class MadeMembers(NamedTuple):
    """The roll of a new election, and what its organiser keeps. `codes`: by voter id."""

    roll: Roll
    notes: tuple[MemberNote, ...]
    codes: Mapping[str, str]


def new_code() -> str:
    return code_from(secrets.token_bytes(RANDOM_BYTES))


def make_members(members: Sequence[Member], uuid: str, *, secret: bool = False) -> MadeMembers:
    """The roll of these members. Those without a key get a voting code, and the key that follows from it.

    Args:
        secret: their ballots are; the credential follows from the code, too.

    Raises:
        ConfigError: bad-roll; with secret ballots a member has a key of their own.
    """
    own = [one.voter_id for one in members if one.key]
    if secret and own:
        raise ConfigError(
            f"{own[0]!r} has a key of their own, and no credential for secret ballots follows from it",
            code="bad-roll",
            next_step="Leave the keys out of the list: every member gets a card.",
        )
    codes = {one.voter_id: new_code() for one in members if not one.key}
    voters = [_voter(one, codes.get(one.voter_id, ""), uuid, secret) for one in members]
    notes = (MemberNote(one.voter_id, one.name, "own" if one.key else "card") for one in members)
    return MadeMembers(Roll(voters), tuple(notes), codes)


def _voter(member: Member, code: str, uuid: str, secret: bool) -> Voter:
    key = member.key or key_of_code(code, uuid).public_hex
    return Voter(member.voter_id, key, member.weight, credential_on_roll(code, uuid) if secret else "")


def credential_on_roll(code: str, uuid: str) -> str:
    """The public credential of the voter with this code, as Belenios writes it."""
    return public_credential(credential_of_code(code, uuid), uuid).written()


def keep_members(
    folder: Path, election: Election, made: MadeMembers, public_url: str, *, genesis: Path | None = None
) -> None:
    """Write codes, members and cards beside a genesis file that is not there yet.

    Args:
        public_url: of the page; empty where it is not known yet.
        genesis: the genesis file, where it is not that of an instance.

    Raises:
        StorageError, ConfigError: they cannot be written.
    """
    files = MemberFiles(folder)
    network_hex = election.network_hex
    url = public_url or DEFAULT_URL
    files.write_members(
        MembersFile(network_id=network_hex, public_url=url, guessed=not public_url, members=made.notes)
    )
    if made.codes:
        files.write_codes(CodesFile(network_id=network_hex, codes=dict(made.codes)))
        write_cards(files.cards, election, cards_of(made.notes, made.codes), url, genesis=genesis)


def cards_of(notes: Iterable[MemberNote], codes: Mapping[str, str]) -> list[Card]:
    """The cards of the members who have a code, in the order of the list of members."""
    return [Card(one.voter_id, one.name, codes[one.voter_id]) for one in notes if one.voter_id in codes]


def write_cards(
    path: Path,
    election: Election,
    cards: Sequence[Card],
    public_url: str,
    *,
    kind: CardKind = "card",
    genesis: Path | None = None,
) -> None:
    """Write the page of cards, for its owner alone to read.

    Args:
        election: in force; its closing time stands on the cards.
        genesis: the genesis file, where it is not that of an instance.

    Raises:
        ConfigError: output-failed.
    """
    lines = card_page(
        election.definition,
        cards,
        public_url,
        closes=election.closes,
        kind=kind,
        note=_note(cards, kind, genesis),
    )

    if path == STDOUT:
        ui.echo_bytes("".join(f"{line}\n" for line in lines).encode())
        return

    many = len(cards) if len(cards) > 1000 else None
    with secret_file(path) as file, ui.progress("Cards", many) as tell:
        done = 0
        for line in lines:
            file.write(line.encode() + b"\n")
            if line == "</section>":
                done += 1
                tell(done)


def cards_lines(folder: Path, election: Election, genesis: Path | None = None) -> Iterator[str]:
    """What the organiser is told of cards that are not handed out yet; nothing where there are none.

    Args:
        genesis: the genesis file, where it is not that of an instance.
    """
    files = MemberFiles(folder)
    kept = files.read_members(election.network_hex)
    if kept is None or not files.cards.exists():
        return
    yield f"Voting cards to print: {files.cards}. {CARDS_CAN_VOTE}"
    if is_local(kept.public_url):
        yield "The address on them leads to this machine only. Give the address that phones can reach:"
        yield f"  {_cards_command(genesis, '--public-url', 'https://vote.example.org')}"
    yield f"When they are handed out: {_cards_command(genesis, '--forget')}"


def _cards_command(genesis: Path | None, *options: str) -> Command:
    where = () if genesis is None else ("--genesis", str(genesis))
    return Command("voters", "cards", *where, *options)


def cards_here(dirs: InstanceDirs, page_url: str | None) -> Iterator[str]:
    """`cards_lines` of the election of an instance, whose page is at this address.

    Cards that were written before the page had its address get it.
    """
    files = MemberFiles(dirs.state)
    if not (files.cards.exists() and dirs.genesis.exists()):
        return
    try:
        yield from _with_page(files, read_genesis(dirs.genesis), dirs.instance, page_url)
    except ConfigError as error:
        yield f"{error.message}. {error.next_step}"


def _with_page(files: MemberFiles, election: Election, instance: str, page_url: str | None) -> Iterator[str]:
    from votenet.cli.election.in_force import in_force_here

    kept, codes = files.read_members(election.network_hex), files.read_codes(election.network_hex)
    if kept and codes and kept.guessed and page_url not in (None, kept.public_url):
        kept = msgspec.structs.replace(kept, public_url=page_url)
        election = in_force_here(election, instance)
        write_cards(files.cards, election, cards_of(kept.members, codes.codes), kept.public_url)
        files.name_page(election.network_hex, kept.public_url, guessed=True)
    yield from cards_lines(files.folder, election)


def _note(cards: Sequence[Card], kind: CardKind, genesis: Path | None) -> Iterable[str]:
    what = "voting card" if kind == "card" else "invitation"
    yield f"{ui.count_of(len(cards), what)}, eight on an A4 page. Print at 100 %, without headers, and cut."
    if kind == "card":
        yield f"{CARDS_CAN_VOTE} When all are handed out, type: {_cards_command(genesis, '--forget')}"
    else:
        yield "A person who prints an invitation could use it before its member. Remove this file afterwards."


def is_local(public_url: str) -> bool:
    """Whether only programs of this machine find a page at this address."""
    host = urlsplit(public_url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"
