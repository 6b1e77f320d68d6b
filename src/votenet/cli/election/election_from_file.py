"""An election out of `election.toml`: read with its roll, made, or compared with that of an instance."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from votenet.ballots.voter_list import Member, read_member_list
from votenet.cli import ui
from votenet.cli.election.election_setup import (
    OTHER_ELECTION,
    check_kernel,
    chosen_bits,
    drop_unusable,
    keep_roll,
    take_genesis,
    with_node_keys,
)
from votenet.cli.election.member_setup import MadeMembers, keep_members, make_members
from votenet.cli.election.roll import read_roll, roll_path
from votenet.config import InstanceDirs
from votenet.core.election.ceremony_draft import check_same_draft, completed, draft_of
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.election.election_file import ElectionFile, read_election_file
from votenet.core.election.roll import Roll
from votenet.core.election.secret_rules import with_belenios
from votenet.core.election.simple_definition import uuid_from
from votenet.core.election.toml_table import FileFault
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import Command, ConfigError, NextStep, NotProven, VotenetError
from votenet.secret.ceremony.bulletin import Bulletin
from votenet.storage.ceremony_folder import CeremonyFolder
from votenet.storage.enrolment_store import EnrolmentStore, Invited
from votenet.storage.files import write_atomically
from votenet.storage.genesis_file import MAX_GENESIS, read_genesis
from votenet.storage.input_file import STDIN, read_input

IN_THE_FILE: Final = (
    "title", "candidates", "candidates_from", "choice_column", "difficulty", "max_choices", "method",
    "opens", "closes", "roll", "genesis", "grace", "witnesses",
)  # fmt: skip
"""Options of `up` that the file takes the place of."""
_WRITE_ONE: Final = NextStep("Write one with: {}", Command("election", "new", "-o", "election.toml"))


class SourcedElection(NamedTuple):
    """An election file with its roll. The definition has the roll's root, and no keys and no time yet.

    `members`: in place of a roll, which is made with the definition.
    """

    file: ElectionFile
    definition: ElectionDefinition
    voters: Roll | None
    members: tuple[Member, ...] = ()
    uuid: str = ""
    """That of the folder in which members have enrolled, or of its trustees' draft; empty for a new one."""
    bulletin: Bulletin | None = None
    """Of the ceremony of its trustees, complete, where its ballots are secret."""

    def made(self, now: float) -> MadeElection:
        """The definition of an election that is made now, its roll, and the voting codes of its members."""
        uuid = self.uuid or uuid_from(secrets.token_bytes(16))
        definition = msgspec.structs.replace(self.definition, created=int(now), uuid=uuid)
        if self.bulletin is not None:
            definition = completed(definition, self.bulletin)
        trustees = None if self.bulletin is None else self.bulletin.trustees
        if not self.members:
            return MadeElection(definition, self.voters, None, trustees)
        made = make_members(self.members, definition.uuid, secret=trustees is not None)
        definition = msgspec.structs.replace(
            definition, roll_root=made.roll.root_hex, roll_size=len(made.roll.keys)
        )
        return MadeElection(definition, made.roll, made, trustees)


class MadeElection(NamedTuple):
    """A new election; `members` where they have voting codes, or are known by name.

    The definition lacks its nodes' and its authority's keys, and `belenios`, which comes last.
    """

    definition: ElectionDefinition
    voters: Roll | None
    members: MadeMembers | None
    trustees: bytes | None = None
    """The proof of the trustees' keys, where ballots are secret."""


TRUSTEES_NAME: Final = "trustees.json"
"""Beside the genesis file: Belenios' `trustees`, whose hash the definition has."""


def read_source(path: Path, now: float | None) -> tuple[SourcedElection | None, list[FileFault]]:
    """The election of a file, or everything that is wrong with it and its roll.

    Args:
        now: with it, the election is to be made: one that is over by then is refused, and so are two members
            with one key. In one that was made, members enrol all the time.

    Raises:
        ConfigError: there is no such file.
    """
    data = read_input(path, MAX_GENESIS, code="bad-genesis", next_step=_WRITE_ONE)
    found, faults = read_election_file(data)
    if found is None:
        return None, faults
    definition = found.definition
    if now is not None and definition.closes is not None and definition.closes <= now:
        faults.append(FileFault("closes", None, "it closes in the past", "Give a later time."))
    voters, members = None, tuple[Member, ...]()
    if found.roll:
        voters, wrong = _roll_of(path.parent / found.roll, definition, found.trustees is not None)
        faults += wrong
    elif found.members or found.enrolment:
        members, wrong = _members_of(path.parent, found, definition)
        faults += wrong
        if now is not None and found.enrolment:
            faults += _twins_of(path, found, members)
    if voters is not None:
        definition = msgspec.structs.replace(
            definition, roll_root=voters.root_hex, roll_size=len(voters.keys)
        )
    elif members:
        definition = msgspec.structs.replace(definition, roll_size=len(members))
    if faults:
        return None, faults
    uuid = EnrolmentStore(path.parent / found.enrolment).invitations().uuid if found.enrolment else ""
    return SourcedElection(found, definition, voters, members, uuid), faults


def load_source(path: Path, now: float | None) -> SourcedElection:
    """The election of a file.

    Raises:
        ConfigError: bad-genesis, after every fault was said.
    """
    found, faults = read_source(path, now)
    if found is None:
        say_faults(faults)
        raise faulty(path, faults)
    return found


def with_ceremony(path: Path, source: SourcedElection) -> SourcedElection:
    """The same with the key that its trustees have made, where its ballots are secret.

    Raises:
        ConfigError: no-ceremony; ceremony-incomplete and two-records, with what to type.
        NotProven: bad-draft, when the file has changed since its trustees began.
    """
    table = source.file.trustees
    if table is None:
        return source
    folder = CeremonyFolder(path.parent / table.folder)
    bulletin = folder.bulletin()
    draft = bulletin.draft
    definition = msgspec.structs.replace(source.definition, uuid=source.uuid or draft.uuid)
    check_same_draft(draft, draft_of(definition, table.names, table.threshold))
    try:
        bulletin.check_complete()
    except NotProven as error:
        step = Command.calling("trustee status", str(folder.path))
        raise ConfigError(
            f"the trustees of this election have no key yet: {error.message}",
            code=error.code,
            next_step=NextStep("See what each of them types: {}", step),
        ) from None
    return source._replace(uuid=draft.uuid, bulletin=bulletin)


def election_of_file(path: Path) -> ElectionFile:
    """What an election file says; its roll is not looked at.

    Raises:
        ConfigError: bad-genesis, after every fault was said.
    """
    found, faults = read_election_file(read_input(path, MAX_GENESIS, code="bad-genesis"))
    if found is None:
        say_faults(faults)
        raise faulty(path, faults)
    return found


def say_faults(faults: list[FileFault]) -> None:
    for fault in faults:
        ui.say(str(fault))
        if fault.next_step:
            ui.say(f"  {fault.next_step}")


def faulty(path: Path, faults: list[FileFault]) -> ConfigError:
    """The error about a file with faults that were said."""
    many = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    if path == STDIN:
        return ConfigError(f"it has {many}", code="bad-genesis", next_step="Mend what is named above.")
    step = NextStep("Mend what is named above, then: {}", Command.calling("election check", str(path)))
    return ConfigError(f"{path} has {many}", code="bad-genesis", next_step=step)


def genesis_from_file(dirs: InstanceDirs, options: Mapping[str, Any], *, say: Callable[[str], None]) -> Path:
    """The genesis file of an instance that holds the election of `options["file"]`.

    Raises:
        ConfigError: contradiction, bad-genesis, other-election.
    """
    path: Path = options["file"]
    if twice := [name for name in IN_THE_FILE if options[name]]:
        options_given = ", ".join(map(_option, twice))
        raise _contradiction(f"{path} already says what {options_given} says", "Leave them out, or the file.")
    check_kernel(options["kernel"])
    drop_unusable(dirs, say)
    held = read_genesis(dirs.genesis) if dirs.genesis.exists() else None
    now = time.time()
    source = load_source(path, now if held is None else None)
    _check_nodes(path, source.definition, options["named_nodes"])
    if held is not None:
        _check_same(path, source, held, options["named_nodes"], roll_path(dirs))
        keep_roll(dirs, held, source.voters)
        say(f"Going on with the election {held.definition.title!r}.")
        return dirs.genesis
    source = with_ceremony(path, source)
    count: int = 0 if options["named_nodes"] is False else options["nodes"] or 0
    kernel = None if options["kernel"] == "auto" else options["kernel"]
    bits = chosen_bits(source.file.difficulty, kernel, say, named=bool(count))
    made = source.made(now)
    election = Election(with_belenios(with_node_keys(dirs, made.definition, count, bits)))
    keep_roll(dirs, election, made.voters)
    if made.trustees is not None:
        write_atomically(dirs.state / TRUSTEES_NAME, made.trustees)
    if made.members is not None:  # before the genesis file: an election never lacks its cards
        public_url = options.get("public_url") or source.file.public_url
        keep_members(dirs.state, election, made.members, public_url)
    return take_genesis(dirs, election)


def page_settings_of(path: Path) -> dict[str, str]:
    """What an election file says of the page, as options of `up`: its address, the folder of enrolment."""
    found, _ = read_election_file(read_input(path, MAX_GENESIS, code="bad-genesis"))
    if found is None:
        return {}
    folder = str(path.parent / found.enrolment) if found.enrolment else ""
    return {"public_url": found.public_url, "enrolment": folder}


def _option(name: str) -> str:
    """As it is typed."""
    return {"candidates": "--candidate", "witnesses": "--witness"}.get(name, "--" + name.replace("_", "-"))


def _roll_of(path: Path, definition: ElectionDefinition, secret: bool) -> tuple[Roll | None, list[FileFault]]:
    try:
        voters = read_roll(path, for_new=True)
    except ConfigError as error:
        return None, [FileFault("roll", None, error.message, str(error.next_step))]
    if voters.weighted and not definition.weighted:
        step = "Write weighted = true, or make a roll without weights."
        return None, [FileFault("roll", None, f"the roll {path} has weights, the election has none", step)]
    if secret and voters.credentials is None:
        step = 'Name the list of members in its place: members = "members.csv". Each gets a card.'
        wrong = f"the roll {path} has no credentials for secret ballots"
        return None, [FileFault("roll", None, wrong, step)]
    return voters, []


def _members_of(
    folder: Path, file: ElectionFile, definition: ElectionDefinition
) -> tuple[tuple[Member, ...], list[FileFault]]:
    key = "members" if file.members else "enrolment"
    try:
        members = tuple(_listed(folder, file))
    except VotenetError as error:
        return (), [FileFault(key, None, error.message, str(error.next_step))]
    if not definition.weighted and any(one.weight != 1 for one in members):
        step = "Write weighted = true, or take the column with the weights out."
        return (), [FileFault(key, None, f"{getattr(file, key)} has weights, the election has none", step)]
    if file.trustees is not None and any(one.key for one in members):
        step = "Leave the keys out of the list: every member gets a card."
        wrong = "secret ballots need a credential, and none follows from a key of a member's own"
        return (), [FileFault(key, None, wrong, step)]
    if not members:
        step = "Wait until members have enrolled; or name the list of members, too: the others get cards."
        return (), [FileFault(key, None, f"no member has enrolled in {file.enrolment} yet", step)]
    return members, []


def _twins_of(path: Path, file: ElectionFile, members: Sequence[Member]) -> Iterator[FileFault]:
    """Members with one key: one of them has enrolled with the public key of another on the list."""
    owners = dict[str, str]()
    for one in members:
        other = owners.setdefault(one.key or one.voter_id, one.voter_id)
        if other == one.voter_id:
            continue
        folder = path.parent / file.enrolment
        keys = EnrolmentStore(folder).enrolled()
        again = one.voter_id if one.voter_id in keys else other
        given = "FILE" if path == STDIN else str(path)
        anew = Command.calling(
            "voters invite",
            str(path.parent / (file.members or "members.csv")),
            options=("-f", given, "--enrolment", str(folder), "--again", again, "-o", "again.html"),
        )
        wrong = f"{other!r} and {one.voter_id!r} have one key: {again!r} has enrolled with the other's"
        yield FileFault("enrolment", None, wrong, f"Ask that member, and invite this one anew: {anew}")


def _listed(folder: Path, file: ElectionFile) -> Iterator[Member]:
    """The members on the list, with the keys of those who have enrolled; without a list those alone.

    Raises:
        VotenetError: a file or folder cannot be read.
    """
    keys, invited = dict[str, str](), tuple[Invited, ...]()
    if file.enrolment:
        store = EnrolmentStore(folder / file.enrolment)
        invited = store.invitations().members
        keys = {one.voter_id: one.public_key for one in store.enrolled().values()}
    if not file.members:
        for one in invited:
            if one.voter_id in keys:
                yield Member(one.voter_id, one.name, keys[one.voter_id], one.weight)
        return
    path = folder / file.members
    for member in read_member_list(read_input(path, MAX_RECEIPT, code="bad-roll"), path.name):
        yield member._replace(key=member.key or keys.get(member.voter_id, ""))


def _check_nodes(path: Path, definition: ElectionDefinition, named_nodes: bool | None) -> None:
    if definition.nodes:
        step = Command.calling("election create", str(path), options=("-o", "genesis.json"))
        raise _contradiction(
            f"{path} names nodes by their keys: they are not made here",
            NextStep("Make the genesis file, and start each node with it: {}", step),
        )
    if named_nodes is False and definition.witnesses:
        raise _contradiction(
            "witnesses are for elections with named nodes", "Leave --no-named-nodes out, or the witnesses."
        )


def _check_same(
    path: Path, source: SourcedElection, held: Election, named_nodes: bool | None, roll: Path
) -> None:
    """Raises ConfigError: other-election."""
    has = held.definition
    chain = source.definition.chain
    root, size = source.definition.roll_root, source.definition.roll_size
    if source.file.enrolment:  # members enrol all the time
        root, size = has.roll_root, has.roll_size
    elif source.members and roll.exists() and _same_members(source.members, read_roll(roll)):
        root = has.roll_root
    if source.file.difficulty is None:
        chain = msgspec.structs.replace(chain, bits=held.bits)
    wanted = msgspec.structs.replace(
        source.definition,
        authority_key=has.authority_key,
        belenios=has.belenios,
        chain=chain,
        created=has.created,
        nodes=has.nodes,
        roll_root=root,
        roll_size=size,
        secrecy="public" if source.file.trustees is None else "secret",
        trustees=None if source.file.trustees is None else has.trustees,
        uuid=has.uuid,
    )
    other = [name for name in wanted.__struct_fields__ if getattr(wanted, name) != getattr(has, name)]
    if named_nodes is not None and named_nodes != bool(has.nodes):
        other.append("nodes")
    if other:
        raise ConfigError(
            f"this instance holds the election {has.title!r}, which cannot be changed; {path} differs in"
            f" {', '.join(other)}",
            code="other-election",
            next_step=OTHER_ELECTION,
        )


def _same_members(members: Sequence[Member], roll: Roll) -> bool:
    """Whether this is the roll that was made of these members."""
    return {one.voter_id: one.weight for one in members} == roll.weights and all(
        one.key in ("", roll.keys[one.voter_id]) for one in members
    )


def _contradiction(what: str, next_step: str) -> ConfigError:
    return ConfigError(what, code="contradiction", next_step=next_step)
