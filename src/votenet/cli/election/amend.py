"""What the election's authority changes while it runs: hours and roll, by amendments that it signs."""

from __future__ import annotations

import functools
import shlex
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import msgspec

from votenet.cli import targets, ui
from votenet.cli.election.amendment_view import change_words
from votenet.cli.election.cards import public_url_option
from votenet.cli.election.in_force import amended_at
from votenet.cli.election.new_card import NewCard, note_key
from votenet.cli.election.roll import read_roll, roll_of
from votenet.cli.options import (
    FilePath,
    FiniteRange,
    FlagOnly,
    given_roll_option,
    hour,
    instance_option,
    json_option,
    network_option,
    node_option,
    parse_span,
)
from votenet.client.amendments import AmendmentResult, Change
from votenet.client.election_client import CAST_SECONDS
from votenet.client.sync_client import ElectionClient
from votenet.config import instance_dirs
from votenet.core.election.amendment import bad_amendment
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll
from votenet.core.keys import SigningKey, is_public_key
from votenet.core.limits import MAX_WEIGHT
from votenet.core.text import did_you_mean, folded
from votenet.errors import REFUSALS, Command, Kind, NextStep, Rejected, VotenetError
from votenet.storage.files import is_open_to_others
from votenet.storage.key_store import AUTHORITY, AUTHORITY_KEY_NAME, read_voter_key


@dataclass(frozen=True, slots=True)
class AmendmentOptions:
    """The options that all amendments have."""

    authority_key: Path | None
    reason: str
    wait: float
    node: str | None
    network_hex: str | None
    instance: str
    as_json: bool

    def run(
        self,
        change: Change,
        check: Callable[[ElectionClient], object] = lambda election: None,
        card: NewCard | None = None,
    ) -> None:
        """Sign the change, hand it to a node, wait until it is final, and print where it stands.

        Args:
            check: what is refused before anything is signed.
            card: gives the key of the change.
        """
        with targets.connect(self.instance, self.node, self.network_hex) as election:
            key = self.key_for(election.election)
            check(election)
            change = change._replace(reason=self.reason.strip())
            if card is not None:
                card.write(election.amended())
                known = election.election
                change = change._replace(key=card.key_in(known), credential=card.credential_in(known))
            try:
                result = election.amend(
                    key, change, wait=self.wait, on_taken=functools.partial(self._taken, card)
                )
            except Rejected as refusal:
                if card is not None and refusal.kind is Kind.PERMANENT:  # else a node may have taken it
                    card.drop()
                if refusal.next_step == REFUSALS["bad-amendment"][1]:
                    refusal.advising(_advice(change, election.amended()))
                raise
        self._print(result)

    def key_for(self, election: Election) -> SigningKey:
        """The key that may change the election: the one in the file that was named, or that is here.

        Raises:
            Rejected: bad-amendment; the election has no such key, or the file another one.
            VotenetError: no-key; it is not here.
            ConfigError: bad-key.
        """
        wanted = election.definition.authority_key
        given = None if self.authority_key is None else _authority_in(self.authority_key)
        if not election.named or wanted is None:
            raise bad_amendment("the election names no nodes, or no authority").advising(
                "It stays as it is. To hold another election instead, stop this one."
            )
        if given is not None and given.public_hex != wanted:
            raise bad_amendment(
                f"{self.authority_key} has another key than that of this election's authority"
            ).advising(f"Give the file of the key {wanted}: --authority-key FILE")
        here = instance_dirs(self.instance).genesis.with_name(AUTHORITY_KEY_NAME)
        if given is None and here.exists():
            given = _authority_in(here)
        if given is not None and given.public_hex == wanted:
            return given
        raise VotenetError(
            "the key of the election's authority is not here",
            code="no-key",
            next_step=f"Give its file: --authority-key FILE. It is called {AUTHORITY_KEY_NAME}, and was"
            " written beside the genesis file when the election was made.",
        )

    def _taken(self, card: NewCard | None, result: AmendmentResult) -> None:
        amendment = result.amendment
        if amendment.voter_id is not None:
            note_key(self.instance, result.before, amendment.voter_id, card)
        if card is not None:
            card.tell()
        if self.wait > 0 and not self.as_json:
            ui.say(f"{_standing(result)} Waiting until it is final: Ctrl-C ends the wait, not the amendment.")

    def _print(self, result: AmendmentResult) -> None:
        amendment = result.amendment
        if self.as_json:
            where = {"state": result.state, "node": result.node, "signed_by": result.signed_by}
            ui.print_json(msgspec.to_builtins(amendment) | where)
            return
        fields = [("change", change_words(amendment, result.before.closes))]
        fields += [("reason", amendment.reason)] if amendment.reason else []
        ui.print_fields(
            _standing(result), [*fields, ("network", amendment.network_id), ("node", result.node)]
        )


def _authority_in(path: Path) -> SigningKey:
    """The authority's key in a file, with a warning where other users may read it. Raises ConfigError."""
    key = read_voter_key(path, AUTHORITY).key
    if is_open_to_others(path):
        ui.say(
            f"Warning: others may read {path}, and change the election with it. To end that, type:"
            f" chmod 600 {shlex.quote(str(path))}"
        )
    return key


def _advice(change: Change, in_force: Election) -> str:
    """What to do about a change that was refused."""
    if in_force.cancelled:
        return "Nothing can be changed any more."
    moves = change.closes is not None or change.later is not None
    if moves and in_force.closes is None:
        return NextStep("Give it a closing time: {}", Command("election", "close", "+2h"))
    if moves and in_force.closes is not None:
        wanted = (
            "a later time" if change.action == "extend" else "an earlier time, two minutes from now or more"
        )
        return f"Voting closes {ui.when(in_force.closes)}. Give {wanted}."
    if change.action == "replace-key" and change.voter_id is not None:
        look = Command("status", "--voter", change.voter_id)
        return NextStep("A vote that was cast stays. Look whether there is one: {}", look)
    return NextStep("See what was changed before: {}", Command("status"))


def _standing(result: AmendmentResult) -> str:
    name = f"Amendment {result.amendment.number}"
    if result.state == "final":
        return f"{name} is final, signed by {len(result.signed_by)} of {result.before.named}."
    if result.state == "in_block":
        return f"{name} is in a block at {result.node}, not final yet."
    return f"{name} is saved at {result.node} and waits for its block."


def amendment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `AmendmentOptions`; the command gets them as its first argument."""

    @functools.wraps(command)
    def with_options(*operands: Any, **given: Any) -> None:
        asked = AmendmentOptions(*(given.pop(one.name) for one in fields(AmendmentOptions)))
        command(asked, *operands, **given)

    for option in (
        json_option,
        instance_option,
        network_option,
        node_option,
        click.option(
            "--wait",
            type=FiniteRange(0),
            default=CAST_SECONDS,
            show_default=True,
            help="Seconds to wait until it is final; 0 returns once a node has saved it.",
        ),
        click.option(
            "--reason", default="", metavar="TEXT", help="Why, for the minutes; everybody reads it."
        ),
        click.option(
            "--authority-key",
            type=FilePath(),
            help="Key file of the election's authority  [that beside the genesis file here].",
        ),
    ):
        with_options = option(with_options)
    return with_options


# -- hours -----------------------------------------------------------------------------------------

_NOTICE = """
TIME is {} or has its zone (2027-05-31T21:30+02:00). The change must be in a block a minute before the closing
time in force, and a minute before TIME.
"""


def _extension(ctx: click.Context, param: click.Parameter, value: str) -> Change:
    later = parse_span(value)
    if later is not None:
        return Change("extend", later=later)
    return Change("extend", closes=hour(ctx, param, value))


@click.command(epilog=_NOTICE.format("counted from the closing time in force (+30m, +2h)"))
@click.argument("time", callback=_extension)
@amendment_options
def extend(asked: AmendmentOptions, time: Change) -> None:
    """Close voting later: at TIME, or so much later than it would close now (+30m: half an hour)."""
    asked.run(time)


@click.command(epilog=_NOTICE.format("a time from now (+30m, +2h)"))
@click.argument("time", callback=hour)
@amendment_options
def close(asked: AmendmentOptions, time: int) -> None:
    """Close voting earlier, at TIME; or at all, where the election has no closing time."""
    asked.run(Change("close", closes=time))


@click.command()
@click.option("--yes", cls=FlagOnly, is_flag=True, help="Do not ask; needed where there is no terminal.")
@amendment_options
def cancel(asked: AmendmentOptions, yes: bool) -> None:
    """Cancel the election, for good: no more votes are taken, and none is counted."""

    def confirm(election: ElectionClient) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.UsageError("cancel cannot be undone: without a terminal to ask at, add --yes.")
        title = election.election.definition.title
        if not click.confirm(f"Cancel the election {title!r}? It cannot be undone.", err=True):
            ui.say("Nothing was cancelled.")
            sys.exit(1)

    asked.run(Change("cancel"), confirm)


# -- roll ------------------------------------------------------------------------------------------


def _key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """KEY, or what makes a card: the command gets the public key, or the card, as its third argument."""

    @functools.wraps(command)
    def with_options(
        asked: AmendmentOptions,
        voter_id: str,
        *,
        key: str | None,
        card: bool,
        name: str | None,
        output: Path | None,
        public_url: str | None,
        **own: Any,
    ) -> None:
        if card == (key is not None) or (not card and (name or output or public_url)):
            raise click.UsageError("give either the voter's public KEY, or --card to make a voting card.")
        voter = unicodedata.normalize("NFC", voter_id.strip())
        made = NewCard(voter, asked.instance, name, output, public_url) if card else None
        command(asked, voter, None if key is None else _public_key(key), made, **own)

    for option in (
        public_url_option,
        click.option("-o", "--output", type=FilePath(), help="Card to write  [card-VOTER_ID.html]."),
        click.option("--name", metavar="NAME", help="Name on the card  [as known from the list of members]."),
        click.option("--card", is_flag=True, help="Make a voting code and its card instead of taking KEY."),
        click.argument("key", required=False),
        click.argument("voter_id"),
    ):
        with_options = option(with_options)
    return with_options


@click.command()
@amendment_options
@_key_options
@click.option("--weight", type=click.IntRange(1, MAX_WEIGHT), default=1, help="Weight of each vote  [1].")
@given_roll_option
def add(
    asked: AmendmentOptions,
    voter_id: str,
    key: str | None,
    card: NewCard | None,
    weight: int,
    roll_file: Path | None,
) -> None:
    """Add VOTER_ID to the roll of the running election, with the public KEY (64 digits) or a new card."""
    _amend_roll(asked, Change("add-voter", voter_id=voter_id, key=key, weight=weight), card, roll_file)


@click.command("replace-key")
@amendment_options
@_key_options
@given_roll_option
def replace_key(
    asked: AmendmentOptions, voter_id: str, key: str | None, card: NewCard | None, roll_file: Path | None
) -> None:
    """Let VOTER_ID, who has lost a key or card and has not voted, vote with the public KEY or a new card."""
    _amend_roll(asked, Change("replace-key", voter_id=voter_id, key=key), card, roll_file)


def _amend_roll(
    asked: AmendmentOptions, change: Change, card: NewCard | None, roll_file: Path | None
) -> None:
    roll = None if roll_file is None else read_roll(roll_file)
    asked.run(change, lambda election: _check_roll(election, change, roll, asked.instance), card)


def _public_key(text: str) -> str:
    key = text.strip().lower()
    if not is_public_key(key):
        raise bad_amendment(f"{text!r} is no Ed25519 public key").advising(
            NextStep(
                "The voter makes a key, and hands in its public half: {}", Command("keys", "make", "VOTER_ID")
            )
        )
    return key


def _check_roll(election: ElectionClient, change: Change, given: Roll | None, instance: str) -> None:
    """Refuse what the roll in force does not allow: the roll that was given, or that is here.

    Raises:
        Rejected: bad-amendment.
    """
    roll = given or roll_of(election.election, instance)
    if roll is None:
        if election.election.definition.registration == "roll":
            ui.say(
                "Warning: the roll is not here (--roll FILE), so no id that looks like another one is found."
            )
        return
    in_force = amended_at(election, with_roll(election.election, roll))
    assert in_force.registered is not None
    assert change.voter_id is not None
    if change.action == "add-voter":
        _check_new(in_force, change.voter_id, change.key)
    elif change.voter_id not in in_force.registered:
        meant = did_you_mean(change.voter_id, in_force.registered)
        refusal = bad_amendment(f"{change.voter_id!r} is not on the roll")
        raise refusal if meant is None else refusal.advising(f"Did you mean {meant}?")
    if owner := next((voter for voter, key in in_force.registered.items() if key == change.key), None):
        raise bad_amendment(f"this is the key of {owner!r}").advising("Each voter needs a key of their own.")


def _check_new(in_force: Election, voter_id: str, key: str | None) -> None:
    assert in_force.registered is not None
    form = folded(voter_id)
    twin = next((known for known in in_force.registered if folded(known) == form), None)
    if twin == voter_id:
        again = Command.calling("voters replace-key", voter_id, key or "--card")
        raise bad_amendment(f"{voter_id!r} is on the roll").advising(
            NextStep("To give this voter another key: {}", again)
        )
    if twin is not None:
        raise bad_amendment(f"people would take {voter_id!r} for {twin!r}, who is on the roll").advising(
            "Give an id that differs in more than case, spaces or the form of its letters."
        )
