"""`votenet trustee decrypt`: a trustee's share of the count, once the result is final."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from votenet.cli import targets, ui
from votenet.cli.archive.archive_files import checking
from votenet.cli.archive.belenios_export import archived
from votenet.cli.election.roll import KnownRoll
from votenet.cli.options import FilePath, instance_option, json_option, node_option, roll_option
from votenet.cli.trustee.own_election import check_own_election
from votenet.cli.trustee.recovery_input import asked_seed
from votenet.client.secret_votes import submit_share
from votenet.config import instance_dirs
from votenet.core.records.secret_archive import SecretArchive, read_secret_archive
from votenet.errors import Command, ConfigError, Rejected
from votenet.secret.ceremony.bulletin import Bulletin
from votenet.secret.ceremony.trustee import derived_entropy, restore_share
from votenet.secret.decryption_share import DecryptionShare, make_share
from votenet.secret.documents import encode
from votenet.secret.finished_election import count_ballots
from votenet.secret.group import BASE, Point, multiply
from votenet.secret.key_generation import TrusteeSeed
from votenet.secret.tally import EncryptedTally
from votenet.storage.ceremony_folder import CeremonyFolder
from votenet.storage.output_file import STDOUT, write_output
from votenet.storage.trustee_key import TrusteeKeyFile

SUM_SECONDS: Final = 60.0
"""In which a node has summed the votes of a final result."""


@click.command(
    epilog="""\b
Examples:
  votenet trustee decrypt ceremony Citra --node votes.example.org:3000
  votenet trustee decrypt ceremony Citra --archive election.jsonl.xz --roll roll.json -o citra.json

\b
From a node it fetches the votes, and hands the share in there. With an archive it needs no network: pass the
file of the share on to the organiser. The share is public: it opens the sums of all votes, and no vote."""
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("name", metavar="NAME")
@click.option(
    "--archive", type=FilePath(), help="Archive of the election, in place of a node: votenet export."
)
@click.option("-o", "--output", type=FilePath(), help="File for the share  [share-PLACE.json].")
@click.option("--key", type=FilePath(), help="File of your key  [among the keys of this user].")
@click.option("--code-file", type=FilePath(), help="File with the code of a card, where the key is lost.")
@roll_option
@node_option
@instance_option
@json_option
def decrypt(
    folder: Path,
    name: str,
    archive: Path | None,
    output: Path | None,
    key: Path | None,
    code_file: Path | None,
    roll: Path | None,
    node: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Decrypt your share of the count of a final election, as the trustee NAME.

    All votes are checked first. Where your key is lost, a card is asked for.
    """
    bulletin = CeremonyFolder(folder).bulletin()
    place = bulletin.draft.place_of(name)
    file = TrusteeKeyFile(key) if key else _usual_file(bulletin, place)
    known = KnownRoll(roll, instance)

    def made(found: SecretArchive) -> str:
        check_own_election(found.election, bulletin, folder)
        seed = (None if code_file else file.read(bulletin.draft.digest, place)) or asked_seed(code_file)
        tally = count_ballots(found.secret, found.ballots, found.weights).tally
        share = encode(_share(found, tally, bulletin, place, seed)).decode()
        file.note_count(found.election.network_hex, hashlib.sha256(encode(tally)).hexdigest())
        ui.say(f"Decrypting the sum of {ui.count_of(len(found.ballots), 'vote')}.")
        return share

    target = output or Path(f"share-{place}.json")
    if archive is not None:
        with checking(archive, roll=known) as (check, blocks):
            share = made(read_secret_archive(check, blocks))
        write_output(target, share.encode() + b"\n")
    else:
        with targets.connect(instance, node) as election:
            share = made(archived(election.archive(lambda done, blocks: None), known))
            write_output(target, share.encode() + b"\n")
            hand_in(lambda: election.at_one_node(lambda asked: submit_share(asked, share, place)))
    _tell(target, place, archive is None, as_json)


def hand_in(submit: Callable[[], object], seconds: float = SUM_SECONDS, pause: float = 0.5) -> None:
    """Submit a share, again while the node sums the votes: the result was final before it does.

    Args:
        seconds: until its answer that it is not ready is believed.
        pause: seconds between two attempts.

    Raises:
        Rejected: as the node says.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            submit()
        except Rejected as error:
            if error.code != "not-final" or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(pause)


def _tell(target: Path, place: int, handed_in: bool, as_json: bool) -> None:
    if target == STDOUT:
        return
    if as_json:
        ui.print_json({"file": str(target), "place": place, "handed_in": handed_in})
        return
    ui.echo(f"Your share of the count is in {target}. It is public.")
    if handed_in:
        ui.echo(f"A node has checked and taken it. When enough trustees have decrypted: {Command('results')}")
    else:
        ui.echo(f"Give it to the organiser, who hands it in: {Command('trustee', 'submit', str(target))}")


def _usual_file(bulletin: Bulletin, place: int) -> TrusteeKeyFile:
    return TrusteeKeyFile.usual(instance_dirs().keys, bulletin.draft.digest, place)


def _share(
    found: SecretArchive, tally: EncryptedTally, bulletin: Bulletin, place: int, seed: TrusteeSeed
) -> DecryptionShare:
    """Raises ConfigError, wrong-card; NotProven.

    Nonces depend on the private key, too: other trustees can make two ceremonies with one election key, in
    which it differs by a number that they know; two proofs with one nonce would then give it away.
    """
    own = restore_share(bulletin, seed)
    if own.place != place:
        names = bulletin.draft.name_of(own.place), bulletin.draft.name_of(place)
        raise ConfigError(
            f"this is the card of {names[0]}, not of {names[1]}",
            code="wrong-card",
            next_step="Give the name that stands on the card.",
        )
    summed = hashlib.sha256(encode(tally)).hexdigest()
    key = Point(multiply(BASE, own.secret)).written()
    entropy = derived_entropy(seed, "share", found.secret.fingerprint, summed, key)
    return make_share(found.secret, tally, place, own.secret, entropy)
