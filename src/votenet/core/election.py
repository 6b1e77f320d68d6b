"""The genesis definition: what is voted on, by what rules, on what chain.

What lives here: the Election record, its checks, the network id, and the genesis file's bytes.
What must not: files, votes, counting.

The network id is the hash of the canonical definition and the Merkle root of the genesis block,
so two networks that differ in one candidate can never be mistaken for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Final, Literal

import msgspec

from votenet.core.encoding import DOMAIN_GENESIS, Hex32, Unsigned, canonical, domain_hash
from votenet.core.limits import (
    MAX_BLOCK_SECONDS,
    MAX_BLOCK_VOTES,
    MAX_CANDIDATES,
    MAX_CHOICES,
    MAX_NAME,
    MAX_U32,
    METHODS,
    Method,
)
from votenet.core.text import skeleton, text_fault
from votenet.errors import ConfigError, PowError
from votenet.pow import bits_to_target

DEFAULT_CANDIDATES: Final = ("Alice", "Bob", "Charlie")
"""The chapter's three (S11)."""
DEFAULT_TITLE: Final = "Election"
MAX_OFFERED: Final = 50
"""Candidates that a refusal names in its sentence."""
OFFERED_CHARACTERS: Final = 400
"""Of the names of candidates in a refusal."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class ChainParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Difficulty and size of the blocks of a chain. `bits` is a compact target, never undercut later.

    `block_seconds` is the interval between blocks that retargeting aims at while votes wait.
    """

    bits: Annotated[int, msgspec.Meta(ge=1, le=MAX_U32)]
    block_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_SECONDS)] = 1
    max_block_votes: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_VOTES)] = MAX_BLOCK_VOTES


class ElectionDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is hashed into the network id. Times are Unix seconds; None where there is no limit."""

    authority_key: Hex32 | None = None
    candidates: tuple[Name, ...] = DEFAULT_CANDIDATES
    chain: ChainParameters
    closes: Unsigned | None = None
    created: Annotated[int, msgspec.Meta(ge=0, le=MAX_U32)]
    max_choices: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] = 1
    method: Method = "plurality"
    node_keys: tuple[Hex32, ...] = ()
    opens: Unsigned | None = None
    registration: Literal["open", "roll"] = "open"
    roll_root: Hex32 | None = None
    title: Name
    version: Literal[1] = 1


class Election:
    """A checked definition with what follows from it: id, target, the set of candidates."""

    def __init__(self, definition: ElectionDefinition, registered: Mapping[str, str] | None = None) -> None:
        """Raises ConfigError, code bad-genesis, when `check_definition` refuses the definition.

        Args:
            registered: key (hexadecimal) of every voter on the roll, from `core/roll.py`; without, who
                votes is not checked: a client that only looks has no roll.
        """
        check_definition(definition)
        self.definition = definition
        self.bits = definition.chain.bits
        self.target = bits_to_target(self.bits)
        self.candidates = frozenset(definition.candidates)
        self.max_choices = definition.max_choices
        self.registered = registered

    @cached_property
    def network_id(self) -> bytes:
        """32 bytes; also the genesis block's Merkle root."""
        return domain_hash(DOMAIN_GENESIS, canonical(self.definition))

    @cached_property
    def network_hex(self) -> str:
        return self.network_id.hex()

    @cached_property
    def offer(self) -> tuple[str, tuple[str, ...]]:
        """Whom one can vote for, in words, and by name where the names are few.

        A stranger's request may have a thousand votes for nobody, and each refusal says this.
        """
        names = self.definition.candidates
        lengths = list(accumulate(map(len, names)))
        shown = min(MAX_OFFERED, sum(length <= OFFERED_CHARACTERS for length in lengths))
        words = ", ".join(names[:shown])
        if shown < len(names):
            words += f", … ({len(names)} in all)"
        return words, names if lengths[-1] <= OFFERED_CHARACTERS else ()

    def to_file(self) -> bytes:
        """The genesis file: the definition, indented for people."""
        return msgspec.json.format(canonical(self.definition), indent=2) + b"\n"


def election_from_file(data: bytes, source: str = "the genesis file") -> Election:
    """The election that a genesis file or a node tells of; `source` names it in an error.

    Raises:
        ConfigError: code bad-genesis, with the field that is wrong.
    """
    try:
        definition = msgspec.json.decode(data, type=ElectionDefinition)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"{source} is not valid: {error}") from error
    for wrong, _ in _faults(definition):
        raise _bad(f"{source} is not valid: {wrong}")
    return Election(definition)


def check_definition(definition: ElectionDefinition) -> None:
    """Every rule about a definition: when it is made, read from a file, sent by a node or in an archive.

    Raises:
        ConfigError: code bad-genesis, with the first rule that is broken and what to change.
    """
    for wrong, next_step in _faults(definition):
        raise _bad(f"the election is not valid: {wrong}", next_step)


def _bad(what: str, next_step: str = "") -> ConfigError:
    usual = "Take the genesis file of the network. Where that of a network here is: votenet ls"
    return ConfigError(what, code="bad-genesis", next_step=next_step or usual)


def _faults(definition: ElectionDefinition) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to change) of everything that is wrong, the most telling first."""
    names, method = definition.candidates, definition.method
    yield from _name_faults("the title", definition.title)
    if not 1 <= len(names) <= MAX_CANDIDATES:
        yield f"it needs 1 to {MAX_CANDIDATES} candidates, not {len(names)}", "Change the list of candidates."
    for number, name in enumerate(names, start=1):
        yield from _name_faults(f"candidate {number}", name)
    yield from _twins(names)
    if method not in METHODS:
        yield f"the method {method!r} is not known", f"Choose one of: {', '.join(METHODS)}"
    if method == "plurality" and definition.max_choices != 1:
        yield (
            f"plurality counts one choice a ballot, not {definition.max_choices}",
            "Leave --max-choices out, or count with --method approval or instant-runoff.",
        )
    if definition.max_choices > len(names):
        yield (
            f"{definition.max_choices} choices are allowed but there are {len(names)} candidates",
            "Allow as many choices as there are candidates, or fewer.",
        )
    if None not in (definition.opens, definition.closes) and definition.closes <= definition.opens:  # type: ignore[operator]
        yield "it closes before it opens", "Let it open first, then close."
    if definition.registration == "roll" and definition.roll_root is None:
        yield "it has a roll but not its root", ""
    yield from _refusals(lambda: bits_to_target(definition.chain.bits))
    yield from _refusals(lambda: msgspec.json.decode(canonical(definition), type=ElectionDefinition))


def _name_faults(what: str, name: str) -> Iterator[tuple[str, str]]:
    shown = f"{what}, {_cut(name)}," if name else what
    if not name:
        yield f"{what} is empty", "Give it a name, or leave it out."
    elif len(name) > MAX_NAME:
        yield (
            f"{shown} has {len(name)} characters, {len(name) - MAX_NAME} too many",
            (f"Shorten it: a title or a candidate has at most {MAX_NAME} characters."),
        )
    elif wrong := text_fault(name):
        yield f"{shown} has {wrong}", "Take it out and try again."


def _cut(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "…")


def _twins(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    seen: dict[str, tuple[int, str]] = {}
    for number, name in enumerate(names, start=1):
        first, like = seen.setdefault(skeleton(name), (number, name))
        if first != number:
            how = "is listed twice" if like == name else "looks the same twice"
            yield f"a candidate {how}: {_cut(name)} as number {first} and {number}", "Leave one of them out."


def _refusals(check: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """What `check` raises, where it refuses."""
    try:
        check()
    except PowError as error:
        yield error.message, ""
    except (msgspec.DecodeError, UnicodeError) as error:
        yield str(error), ""
