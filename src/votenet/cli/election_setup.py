"""Making or reusing the election of an instance when `votenet up` starts it.

What lives here: the choice of candidates and of the difficulty, the genesis file. What must not:
the definition's rules (`core/election.py`), starting anything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from votenet.cli.actions import read_genesis
from votenet.cli.roll import read_roll, write_roll
from votenet.config import DEFAULT_DIFFICULTY, InstanceDirs, private_dir
from votenet.core.election import (
    DEFAULT_CANDIDATES,
    DEFAULT_TITLE,
    ChainParameters,
    Election,
    ElectionDefinition,
    check_definition,
    election_from_file,
)
from votenet.core.limits import MAX_BLOCK_SECONDS, MAX_CHOICES, Method
from votenet.core.roll import Roll, with_roll
from votenet.errors import ConfigError, PowError
from votenet.pow import available_kernels, bits_for_zero_bits, bits_to_target, measure_rate, selected_kernel
from votenet.storage.output_file import store

LONGEST_BLOCK: Final = 2.0
"""Seconds that a block may take on average on this machine before the difficulty is lowered."""
LOWEST_DIFFICULTY: Final = 8

Say = Callable[[str], None]


class _Rules(NamedTuple):
    """What may be asked of an election beside its candidates; None where nothing was."""

    title: str | None = None
    difficulty: int | None = None
    max_choices: int | None = None
    method: Method | None = None
    opens: int | None = None
    closes: int | None = None


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
    method: Method | None = None,
    opens: int | None = None,
    closes: int | None = None,
    roll: Path | None = None,
    kernel: str | None = None,
    say: Say,
) -> Path:
    """The genesis file of this instance: the one given, the one it has, or a new one.

    Raises:
        ConfigError: the choices contradict each other, or what the instance already holds.
    """
    kernel = None if kernel == "auto" else kernel
    check_kernel(kernel)
    _drop_unusable(dirs, say)
    rules = _Rules(title or None, difficulty, max_choices, method, opens, closes)
    asked = bool(candidates or candidates_from or rules != _Rules())
    voters = None if roll is None else read_roll(roll)
    if genesis is not None:
        if asked:
            raise ConfigError(
                "--genesis already says title, candidates, method, hours and difficulty",
                code="contradiction",
                next_step="Leave out the other options, or --genesis.",
            )
        given = read_genesis(genesis)
        _check_same(dirs, given)
        _keep_roll(dirs, given, voters)
        return _take(dirs, given)
    if dirs.genesis.exists() and not asked:
        held = read_genesis(dirs.genesis)
        _keep_roll(dirs, held, voters)
        say(f"Going on with the election {held.definition.title!r}.")
        return dirs.genesis
    names = _candidates(candidates, candidates_from, choice_column)
    if dirs.genesis.exists():
        _keep_roll(dirs, read_genesis(dirs.genesis), voters)
        return _reuse(dirs, rules, names if (candidates or candidates_from) else None)
    root = None if voters is None else voters.root_hex
    election = _new(rules, names, root, int(time.time()), lambda: _bits(difficulty, kernel, say))
    _keep_roll(dirs, election, voters)
    return _take(dirs, election)


def roll_path(dirs: InstanceDirs) -> Path:
    """Where an instance keeps the roll of its election, if it has one."""
    return dirs.genesis.with_name("roll.json")


def _keep_roll(dirs: InstanceDirs, election: Election, voters: Roll | None) -> None:
    """The roll beside the genesis file, where the nodes read it. Raises ConfigError."""
    kept = roll_path(dirs)
    if not dirs.genesis.exists():  # of a start that did not get far
        kept.unlink(missing_ok=True)
    if voters is None and kept.exists():
        voters = read_roll(kept)
    with_roll(election, voters)
    if voters is not None and not kept.exists():
        private_dir(dirs.state)
        write_roll(kept, voters)


def _drop_unusable(dirs: InstanceDirs, say: Say) -> None:
    """An election that no node takes and that has no chain keeps nothing: it is made anew.

    Raises:
        ConfigError: bad-genesis; it has a chain.
    """
    try:
        election_from_file(dirs.genesis.read_bytes(), str(dirs.genesis))
    except OSError:
        return  # there is none, or `read_genesis` says why it cannot be read
    except ConfigError as error:
        from votenet.storage.block_store import DATABASE_NAME

        if any(dirs.state.glob(f"node-*/{DATABASE_NAME}")):
            raise ConfigError(
                error.message,
                code=error.code,
                next_step="Start another with -i NAME, or delete this one with: votenet down --purge",
            ) from error
        say(f"The election here cannot be used and has no votes, so it is replaced: {error.message}")
        dirs.genesis.unlink()


def _new(
    rules: _Rules, names: tuple[str, ...], roll_root: str | None, now: int, bits: Callable[[], int]
) -> Election:
    """A new election, checked before the difficulty is measured and before anything is written."""
    if rules.closes is not None and rules.closes <= now:
        raise ConfigError("--closes is in the past", code="bad-hours", next_step="Give a later time.")
    if rules.opens is not None and rules.closes is not None and rules.closes <= rules.opens:
        raise ConfigError(
            "--closes is not after --opens", code="bad-hours", next_step="Open first, then close."
        )
    method = rules.method or "plurality"
    usual = 1 if method == "plurality" else min(len(names), MAX_CHOICES)
    asked = ElectionDefinition(
        title=rules.title or DEFAULT_TITLE,
        candidates=names,
        closes=rules.closes,
        created=now,
        max_choices=rules.max_choices or usual,
        method=method,
        opens=rules.opens,
        registration="open" if roll_root is None else "roll",
        roll_root=roll_root,
        chain=ChainParameters(bits=bits_for_zero_bits(LOWEST_DIFFICULTY)),
    )
    check_definition(asked)
    return Election(msgspec.structs.replace(asked, chain=ChainParameters(bits=bits())))


def fitting_difficulty(rate: float, wanted: int = DEFAULT_DIFFICULTY) -> int:
    """Leading zero bits at which one miner of `rate` nonces/s takes LONGEST_BLOCK at most, on average.

    One, because nodes take turns: as a rule a single one searches (`protocol/mining.py`).
    """
    difficulty = wanted
    while difficulty > LOWEST_DIFFICULTY and 2.0**difficulty / rate > LONGEST_BLOCK:
        difficulty -= 1
    return difficulty


def check_kernel(kernel: str | None) -> None:
    """Before anything is started. Raises ConfigError, naming the kernels there are."""
    if kernel not in (None, "auto", *available_kernels()):
        usable = ", ".join(available_kernels())
        raise ConfigError(
            f"no kernel is called {kernel!r} here",
            code="no-such-kernel",
            next_step=f"Choose one of: {usable}. See: votenet doctor",
        )


def _bits(difficulty: int | None, kernel: str | None, say: Say) -> int:
    if difficulty is None:
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
        from votenet.cli.ballots import distinct_choices

        return distinct_choices(source, column)
    return tuple(given) or DEFAULT_CANDIDATES


def _reuse(dirs: InstanceDirs, rules: _Rules, names: tuple[str, ...] | None) -> Path:
    """Options may repeat what the instance holds; they cannot change it."""
    held = read_genesis(dirs.genesis).definition
    bits = rules.difficulty and bits_for_zero_bits(rules.difficulty)
    other = [
        f"{option} is {_shown(option, has)}, not {_shown(option, wanted)}"
        for option, wanted, has in (
            ("--title", rules.title, held.title),
            ("--candidate", names, held.candidates),
            ("--max-choices", rules.max_choices, held.max_choices),
            ("--difficulty", bits, held.chain.bits),
            ("--method", rules.method, held.method),
            ("--opens", rules.opens, held.opens),
            ("--closes", rules.closes, held.closes),
        )
        if wanted is not None and wanted != has
    ]
    if other:
        raise ConfigError(
            f"this instance holds the election {held.title!r}, which cannot be changed: {'; '.join(other)}",
            code="other-election",
            next_step="Leave these options out to go on with it, start another network with -i NAME,"
            " or delete this one with its votes: votenet down --purge",
        )
    return dirs.genesis


def _shown(option: str, value: Any) -> str:
    """A setting of an election in words."""
    from votenet.cli.render import when

    if value is None:
        return "not set"
    if option in ("--opens", "--closes"):
        return when(value)
    if option == "--candidate":
        return ", ".join(value[:5]) + (f" and {len(value) - 5} more" if len(value) > 5 else "")
    return str(256 - bits_to_target(value).bit_length()) if option == "--difficulty" else repr(value)


def _check_same(dirs: InstanceDirs, election: Election) -> None:
    if dirs.genesis.exists() and read_genesis(dirs.genesis).network_id != election.network_id:
        raise ConfigError(
            "this instance already holds another election",
            code="other-election",
            next_step="Leave these options out to go on with it, start another network with -i NAME,"
            " or delete this one with its votes: votenet down --purge",
        )


def _take(dirs: InstanceDirs, election: Election) -> Path:
    if dirs.genesis.exists():
        return dirs.genesis
    private_dir(dirs.state)
    store(dirs.genesis, election.to_file())
    return dirs.genesis
