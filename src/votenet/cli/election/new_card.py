"""A card for one voter of an election that runs: a late member, or one who has lost a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from votenet.cli import ui
from votenet.cli.election.card_page import Card
from votenet.cli.election.member_setup import (
    CARDS_CAN_VOTE,
    DEFAULT_URL,
    credential_on_roll,
    is_local,
    new_code,
    write_cards,
)
from votenet.config import instance_dirs
from votenet.core.election.definition import Election
from votenet.core.election.voting_code import key_of_code
from votenet.storage.member_files import MemberFiles, MemberNote, secret_file


@dataclass
class NewCard:
    """Written before the amendment is signed, so that no voter is left without one; dropped if it is refused.

    `name`: None where it is known from before. `public_url`: None for that of the other cards.
    """

    voter_id: str
    instance: str
    name: str | None = None
    output: Path | None = None
    public_url: str | None = None
    code: str = field(default_factory=new_code, repr=False)
    written: Path | None = None
    _before: bytes | None = field(default=None, init=False, repr=False)
    """What the file held: an older card, or those of others."""

    def key_in(self, election: Election) -> str:
        return key_of_code(self.code, election.definition.uuid).public_hex

    def credential_in(self, election: Election) -> str | None:
        """The public credential, where ballots are secret."""
        if election.secret is None:
            return None
        return credential_on_roll(self.code, election.definition.uuid)

    def write(self, election: Election) -> None:
        """Raises ConfigError."""
        files = MemberFiles(instance_dirs(self.instance).state)
        kept = files.read_members(election.network_hex)
        known = None if kept is None else kept.by_id().get(self.voter_id)
        here = files if kept is not None else MemberFiles(Path())
        self.written = self.output or here.some_cards([self.voter_id])
        self.public_url = self.public_url or (kept.public_url if kept else DEFAULT_URL)
        name = self.name or (known.name if known else "")
        if self.written.is_file():
            self._before = self.written.read_bytes()
        write_cards(self.written, election, [Card(self.voter_id, name, self.code)], self.public_url)

    def drop(self) -> None:
        """The amendment is refused: the card is worth nothing, and what the file held comes back."""
        if self.written is None or not self.written.is_file():
            return
        if (before := self._before) is None:
            self.written.unlink()
            return
        with secret_file(self.written) as file:
            file.write(before)

    def tell(self) -> None:
        ui.say(f"New card: {self.written}. {CARDS_CAN_VOTE}")
        if self.public_url is not None and is_local(self.public_url):
            ui.say(
                f"The address on it, {self.public_url}, leads to this machine only: give --public-url URL."
            )


def note_key(instance: str, election: Election, voter_id: str, card: NewCard | None) -> None:
    """Keep whether the voter has a card or a key of their own from now on, where members are kept."""
    files = MemberFiles(instance_dirs(instance).state)
    note = MemberNote(voter_id) if card is None else MemberNote(voter_id, card.name or "", "card")
    files.note(election.network_hex, note)
    files.keep_code(election.network_hex, voter_id, None if card is None else card.code)
