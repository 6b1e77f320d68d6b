"""Making or reusing the election of an instance when `votenet up` starts it."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from votenet.cli import ui
from votenet.cli.election.roll import read_roll, roll_path, write_roll
from votenet.config import DEFAULT_DIFFICULTY, InstanceDirs, private_dir
from votenet.core.election.definition import (
    ChainParameters,
    Election,
    ElectionDefinition,
    NamedNode,
    Witness,
    check_definition,
    election_from_file,
)
from votenet.core.election.roll import Roll, with_roll
from votenet.core.election.simple_definition import (
    DEFAULT_CANDIDATES,
    DEFAULT_TITLE,
    simple_definition,
    uuid_from,
)
from votenet.core.keys import SigningKey, node_keys
from votenet.core.limits import MAX_BLOCK_SECONDS, MAX_CHOICES
from votenet.core.log.signed_note import parse_key
from votenet.core.methods.registry import method_named
from votenet.errors import Command, ConfigError, NextStep, NotProven, PowError
from votenet.pow import available_kernels, bits_for_zero_bits, bits_to_target, measure_rate, selected_kernel
from votenet.storage.blocks.tables import DATABASE_NAME
from votenet.storage.files import write_atomically
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import AUTHORITY, AUTHORITY_KEY_NAME, NODE_KEY_NAME, load_or_make_key
from votenet.storage.member_files import MemberFiles

LONGEST_BLOCK: Final = 2.0
"""Seconds that a block may take on average on this machine before the difficulty is lowered."""
NAMED_SEARCH: Final = 0.05
"""Seconds that a search takes on average where named nodes decide, on this machine: work protects no result
there, votes wait for it, and a named node of another kind may search forty times slower."""
LOWEST_DIFFICULTY: Final = 8
OTHER_ELECTION: Final = NextStep(
    "Leave these options out to go on with it, start another network with -i NAME, or delete this one with"
    " its votes: {}",
    Command("down", "--purge"),
)

Say = Callable[[str], None]


class _Rules(NamedTuple):
    """What may be asked of an election beside its candidates; None where nothing was."""

    title: str | None = None
    difficulty: int | None = None
    max_choices: int | None = None
    method: str | None = None
    opens: int | None = None
    closes: int | None = None
    named_nodes: bool | None = None
    grace: int | None = None
    witnesses: tuple[Witness, ...] | None = None


def prepare_genesis(
    dirs: InstanceDirs,
    *,
    title: str | None,
    candidates: Sequence[str],
    candidates_from: Path | None,
    choice_column: str | None,
    difficulty: int | None,
    max_choices: int | None,
    genesis: Path | None,
    method: str | None = None,
    opens: int | None = None,
    closes: int | None = None,
    roll: Path | None = None,
    kernel: str | None = None,
    named_nodes: bool | None = None,
    nodes: int | None = None,
    grace: int | None = None,
    witnesses: Sequence[tuple[str, str, str]] = (),
    say: Say,
) -> Path:
    """The genesis file of this instance: the one given, the one it has, or a new one.

    Args:
        named_nodes: whether a new election names the `nodes` nodes of this instance.
        grace: seconds after closing in which named nodes still take votes that came in time.
        witnesses: name, key and URL of each.

    Raises:
        ConfigError: the choices contradict each other, or what the instance already holds.
    """
    kernel = None if kernel == "auto" else kernel
    check_kernel(kernel)
    drop_unusable(dirs, say)
    outsiders = tuple(_witness(*one) for one in witnesses) or None
    rules = _Rules(
        title or None, difficulty, max_choices, method, opens, closes, named_nodes, grace, outsiders
    )
    asked = bool(candidates or candidates_from or rules != _Rules())
    voters = None if roll is None else read_roll(roll, for_new=True)
    if genesis is not None:
        if asked:
            raise ConfigError(
                "--genesis already says title, candidates, method, hours, difficulty and witnesses",
                code="contradiction",
                next_step="Leave out the other options, or --genesis.",
            )
        given = read_genesis(genesis)
        _check_same(dirs, given)
        keep_roll(dirs, given, voters)
        return take_genesis(dirs, given)
    if dirs.genesis.exists() and not asked:
        held = read_genesis(dirs.genesis)
        keep_roll(dirs, held, voters)
        say(f"Going on with the election {held.definition.title!r}.")
        return dirs.genesis
    names = _candidates(candidates, candidates_from, choice_column)
    if dirs.genesis.exists():
        keep_roll(dirs, read_genesis(dirs.genesis), voters)
        return _reuse(dirs, rules, names if (candidates or candidates_from) else None)
    asked_for = _new(rules, names, voters, int(time.time()), uuid_from(secrets.token_bytes(16)))
    named = 0 if named_nodes is False else nodes or 0
    bits = chosen_bits(difficulty, kernel, say, named=bool(named))
    election = Election(with_node_keys(dirs, asked_for, named, bits))
    keep_roll(dirs, election, voters)
    return take_genesis(dirs, election)


def _witness(name: str, key: str, url: str) -> Witness:
    try:
        parse_key(key)
        return msgspec.convert({"key": key, "name": name, "url": url}, Witness)
    except NotProven as error:
        raise ConfigError(
            f"the key of the witness {name!r} cannot be read: {error.message}",
            code="bad-witness",
            next_step=NextStep(
                "Ask the people of the witness for the line that they get from: {}",
                Command("witness", "--show-key", "--data-dir", "DIR"),
            ),
        ) from error
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the witness {name!r} has no name, or its address is not valid: {url!r}",
            code="bad-witness",
            next_step="Give its name, its key and its address, http://HOST:PORT or https://HOST.",
        ) from error


def with_node_keys(
    dirs: InstanceDirs, asked: ElectionDefinition, named: int, bits: int
) -> ElectionDefinition:
    """The definition with the keys of `node-1` to `node-<named>`, which are made where there are none."""
    nodes = []
    for number in range(1, named + 1):
        name = f"node-{number}"
        nodes.append(named_node(name, load_or_make_key(node_key_path(dirs, name), "node")))
    private_dir(dirs.state)
    authority = load_or_make_key(authority_path(dirs), AUTHORITY)
    chain = msgspec.structs.replace(asked.chain, bits=bits)
    return msgspec.structs.replace(asked, authority_key=authority.public_hex, chain=chain, nodes=tuple(nodes))


def named_node(name: str, key: SigningKey) -> NamedNode:
    """A node of a definition, by the key of its data folder."""
    keys = node_keys(key.seed)
    return NamedNode(
        cosign_key=keys.cosign.public_hex,
        log_key=keys.log.public_hex,
        name=name,
        node_key=keys.node.public_hex,
        statement_key=keys.statement.public_hex,
    )


def node_key_path(dirs: InstanceDirs, name: str) -> Path:
    return private_dir(dirs.data_dir(name)) / NODE_KEY_NAME


def authority_path(dirs: InstanceDirs) -> Path:
    """Where an instance keeps the key of its election's authority, if it has made it. No node gets it."""
    return dirs.genesis.with_name(AUTHORITY_KEY_NAME)


def keep_roll(dirs: InstanceDirs, election: Election, voters: Roll | None) -> None:
    kept = roll_path(dirs)
    if not dirs.genesis.exists():  # of a start that did not get far
        kept.unlink(missing_ok=True)
        MemberFiles(dirs.state).remove()
    if voters is None and kept.exists():
        voters = read_roll(kept)
    with_roll(election, voters)
    if voters is not None and not kept.exists():
        private_dir(dirs.state)
        write_roll(kept, voters)


def drop_unusable(dirs: InstanceDirs, say: Say) -> None:
    """Remove an election that no node accepts and that has no chain.

    Raises:
        ConfigError: bad-genesis; it has a chain.
    """
    try:
        election_from_file(dirs.genesis.read_bytes(), str(dirs.genesis))
    except OSError:
        return  # there is none, or `read_genesis` says why it cannot be read
    except ConfigError as error:
        if any(dirs.state.glob(f"node-*/{DATABASE_NAME}")):
            raise ConfigError(
                error.message,
                code=error.code,
                next_step=NextStep(
                    "Start another with -i NAME, or delete this one with: {}", Command("down", "--purge")
                ),
            ) from error
        say(f"The election here cannot be used and has no votes, so it is replaced: {error.message}")
        dirs.genesis.unlink()


def _new(
    rules: _Rules, names: tuple[str, ...], voters: Roll | None, now: int, uuid: str
) -> ElectionDefinition:
    """A new election, checked before the difficulty is measured and before anything is written."""
    if rules.closes is not None and rules.closes <= now:
        raise ConfigError("--closes is in the past", code="bad-hours", next_step="Give a later time.")
    if rules.opens is not None and rules.closes is not None and rules.closes <= rules.opens:
        raise ConfigError(
            "--closes is not after --opens", code="bad-hours", next_step="Open first, then close."
        )
    if rules.named_nodes is False and not (rules.grace is None and rules.witnesses is None):
        raise ConfigError(
            "--grace and --witness are for elections with named nodes",
            code="contradiction",
            next_step="Leave them out, or leave out --no-named-nodes.",
        )
    method = method_named(rules.method or "plurality")
    if method.name == "motion":
        raise ConfigError(
            "a motion needs a threshold, which no option says",
            code="bad-genesis",
            next_step=NextStep(
                "Describe it in a file: {}", Command("election", "new", "-o", "election.toml")
            ),
        )
    easiest = bits_for_zero_bits(LOWEST_DIFFICULTY)
    chain = ChainParameters(bits=easiest)
    if rules.grace is not None:
        chain = ChainParameters(bits=easiest, grace_seconds=rules.grace)
    usual = method.max_choices or min(len(names), MAX_CHOICES)
    asked = simple_definition(
        title=rules.title or DEFAULT_TITLE,
        candidates=names,
        closes=rules.closes,
        created=now,
        max_choices=rules.max_choices or usual,
        method=method.name,
        opens=rules.opens,
        roll_root=None if voters is None else voters.root_hex,
        roll_size=None if voters is None else len(voters.keys),
        uuid=uuid,
        chain=chain,
        witnesses=rules.witnesses or (),
    )
    if voters is not None and voters.weighted:
        asked = msgspec.structs.replace(asked, weighted=True)
    check_definition(asked)
    return asked


def fitting_difficulty(rate: float) -> int:
    """Leading zero bits at which one miner of `rate` nonces/s takes LONGEST_BLOCK at most, on average.

    One, because nodes take turns: as a rule a single one searches (`protocol/node/mining.py`).
    """
    difficulty = DEFAULT_DIFFICULTY
    while difficulty > LOWEST_DIFFICULTY and 2.0**difficulty / rate > LONGEST_BLOCK:
        difficulty -= 1
    return difficulty


def named_difficulty(rate: float) -> int:
    """Leading zero bits at which one miner of `rate` nonces/s takes about NAMED_SEARCH, on average."""
    return max(round(math.log2(rate * NAMED_SEARCH)), LOWEST_DIFFICULTY)


def check_kernel(kernel: str | None) -> None:
    """Before anything is started. Raises ConfigError, naming the kernels there are."""
    if kernel not in (None, "auto", *available_kernels()):
        usable = ", ".join(available_kernels())
        raise ConfigError(
            f"no kernel is called {kernel!r} here",
            code="no-such-kernel",
            next_step=NextStep("Choose one of: {}. See: {}", usable, Command("doctor")),
        )


def chosen_bits(difficulty: int | None, kernel: str | None, say: Say, *, named: bool) -> int:
    if difficulty is None and named:
        difficulty = named_difficulty(measure_rate(time.perf_counter, kernel=kernel))
    elif difficulty is None:
        rate = measure_rate(time.perf_counter, kernel=kernel)
        difficulty = fitting_difficulty(rate)
        if difficulty < DEFAULT_DIFFICULTY:
            say(
                f"Difficulty lowered from {DEFAULT_DIFFICULTY} to {difficulty} bits: this machine searches "
                f"{rate / 1e6:.2f} million nonces a second on a core ({kernel or selected_kernel()}), "
                f"and a block should not take over {LONGEST_BLOCK:g} s."
            )
    elif difficulty > DEFAULT_DIFFICULTY:
        _check_difficulty(difficulty, measure_rate(time.perf_counter, kernel=kernel))
    try:
        return bits_for_zero_bits(difficulty)
    except PowError as error:
        raise ConfigError(
            error.message, code="bad-difficulty", next_step="Leave --difficulty out to have one that fits."
        ) from error


def _check_difficulty(difficulty: int, rate: float) -> None:
    """No vote would ever be in a block. Raises ConfigError."""
    hardest = int(math.log2(rate * MAX_BLOCK_SECONDS))
    if difficulty > hardest:
        hours = 2.0**difficulty / rate / 3600
        raise ConfigError(
            f"with {difficulty} bits a block would take this machine some {hours:,.0f} hours",
            code="bad-difficulty",
            next_step=f"Give {hardest} bits or fewer, or leave --difficulty out: it is then made to fit.",
        )


def _candidates(given: Sequence[str], source: Path | None, column: str | None) -> tuple[str, ...]:
    if given and source:
        raise ConfigError(
            "candidates are given twice",
            code="contradiction",
            next_step="Use --candidate or --candidates-from, not both.",
        )
    if source is not None:
        from votenet.ballots.check import ReadingOptions, found_candidates
        from votenet.ballots.layout import Columns
        from votenet.storage.ballot_source import read_ballot_file

        columns = Columns((column,) if column else ())
        return found_candidates(read_ballot_file(source), ReadingOptions(columns))
    return tuple(given) or DEFAULT_CANDIDATES


def _reuse(dirs: InstanceDirs, rules: _Rules, names: tuple[str, ...] | None) -> Path:
    """Options may repeat what the instance holds; they cannot change it."""
    election = read_genesis(dirs.genesis)
    held = election.definition
    bits = rules.difficulty and bits_for_zero_bits(rules.difficulty)
    other = [
        f"{option} is {_shown(option, has)}, not {_shown(option, wanted)}"
        for option, wanted, has in (
            ("--title", rules.title, held.title),
            ("--candidate", names, election.names),
            ("--max-choices", rules.max_choices, held.contests[0].max),
            ("--difficulty", bits, held.chain.bits),
            ("--method", rules.method, held.contests[0].method),
            ("--opens", rules.opens, held.opens),
            ("--closes", rules.closes, held.closes),
            ("--named-nodes", rules.named_nodes, bool(held.nodes)),
            ("--grace", rules.grace, held.chain.grace_seconds),
            ("--witness", rules.witnesses, held.witnesses),
        )
        if wanted is not None and wanted != has
    ]
    if other:
        raise ConfigError(
            f"this instance holds the election {held.title!r}, which cannot be changed: {'; '.join(other)}",
            code="other-election",
            next_step=OTHER_ELECTION,
        )
    return dirs.genesis


def _shown(option: str, value: Any) -> str:
    if value is None:
        return "not set"
    if option in ("--opens", "--closes"):
        return ui.when(value)
    if option == "--witness":
        return ", ".join(f"{witness.name} at {witness.url}" for witness in value) or "not set"
    if option == "--candidate":
        return ", ".join(value[:5]) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return str(256 - bits_to_target(value).bit_length()) if option == "--difficulty" else repr(value)


def _check_same(dirs: InstanceDirs, election: Election) -> None:
    if dirs.genesis.exists() and read_genesis(dirs.genesis).network_id != election.network_id:
        raise ConfigError(
            "this instance already holds another election", code="other-election", next_step=OTHER_ELECTION
        )


def take_genesis(dirs: InstanceDirs, election: Election) -> Path:
    if dirs.genesis.exists():
        return dirs.genesis
    private_dir(dirs.state)
    write_atomically(dirs.genesis, election.to_file(), mode=None)
    return dirs.genesis
