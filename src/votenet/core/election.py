"""The genesis definition: what is voted on, by what rules, on what chain.

What lives here: the Election record, its checks, the network id, and the genesis file's bytes.
What must not: files, votes, counting.

The network id is the hash of the canonical definition and the Merkle root of the genesis block,
so two networks that differ in one candidate can never be mistaken for each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal

import msgspec

from votenet.core.encoding import DOMAIN_GENESIS, Hex32, Unsigned, canonical, domain_hash
from votenet.errors import ConfigError, PowError
from votenet.pow import bits_to_target

DEFAULT_CANDIDATES: Final = ("Alice", "Bob", "Charlie")
"""The chapter's three (S11)."""
MAX_NAME: Final = 200
"""Characters of a title or a candidate: enough for a name with titles and a party."""
MAX_CANDIDATES: Final = 1000
"""Enough for an open list; keeps the definition and every results line small."""
MAX_CHOICES: Final = 64
"""Ranks on one ballot; the longest real ranked ballots have about 40."""
MAX_BLOCK_VOTES: Final = 20_480
"""What a network on two busy cores accepts in some seconds: there the search for a nonce, which goes
behind the checking of votes, takes as long, and each block costs another search."""
MAX_BLOCK_SECONDS: Final = 3600
"""An hour between blocks: more than anybody would wait for a receipt."""
MAX_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""Sum of the records of one block: keeps a block on one line of bounded length."""

_BREAKING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Method = Literal["plurality", "approval", "instant-runoff"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class ChainParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits and difficulty of the chain. `bits` is a compact target, never undercut later.

    `block_seconds` is the interval between blocks that retargeting aims at while votes wait.
    """

    bits: Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFFFF)]
    block_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_SECONDS)] = 1
    max_block_votes: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_VOTES)] = MAX_BLOCK_VOTES


class ElectionDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is hashed into the network id. Times are Unix seconds; None where there is no limit."""

    authority_key: Hex32 | None = None
    candidates: tuple[Name, ...] = DEFAULT_CANDIDATES
    chain: ChainParameters
    closes: Unsigned | None = None
    created: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
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
        """Raises ConfigError when the definition contradicts itself.

        Args:
            registered: key (hexadecimal) of every voter on the roll, from `core/roll.py`; without, who
                votes is not checked: a client that only looks has no roll.
        """
        _check(definition)
        self.definition = definition
        self.bits = definition.chain.bits
        self.target = _target(self.bits)
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

    def to_file(self) -> bytes:
        """The genesis file: the definition, indented for people."""
        return msgspec.json.format(canonical(self.definition), indent=2) + b"\n"


def election_from_file(data: bytes) -> Election:
    """Read a genesis file.

    Raises:
        ConfigError: code bad-genesis, with the field that is wrong.
    """
    try:
        return Election(msgspec.json.decode(data, type=ElectionDefinition))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConfigError(
            f"the genesis file is not valid: {error}",
            code="bad-genesis",
            next_step="Take the genesis file of the network. Where that of a network here is: votenet ls",
        ) from error


def has_control_character(text: str) -> bool:
    """Whether a name would break a line or a terminal. Fixed by code point: every Python agrees.

    C0, DEL and C1 (a terminal may take U+009B for ESC [), and the line and paragraph separators.
    """
    return _BREAKING.search(text) is not None


def _check(definition: ElectionDefinition) -> None:
    names = definition.candidates
    wrong = None
    if not 1 <= len(names) <= MAX_CANDIDATES:
        wrong = f"it needs 1 to {MAX_CANDIDATES} candidates, not {len(names)}"
    elif len(set(names)) != len(names):
        wrong = "a candidate is listed twice"
    elif any(has_control_character(name) or name != name.strip(" ") for name in (*names, definition.title)):
        wrong = "the title or a candidate has a control character or a space at its edge"
    elif definition.max_choices > len(names):
        wrong = f"{definition.max_choices} choices are allowed but there are {len(names)} candidates"
    elif None not in (definition.opens, definition.closes) and definition.closes <= definition.opens:  # type: ignore[operator]
        wrong = "it closes before it opens"
    elif definition.registration == "roll" and definition.roll_root is None:
        wrong = "it has a roll but not its root"
    if wrong is not None:
        raise ConfigError(f"the election is not valid: {wrong}", code="bad-genesis")


def _target(bits: int) -> int:
    try:
        return bits_to_target(bits)
    except PowError as error:
        raise ConfigError(f"the election is not valid: {error.message}", code="bad-genesis") from error
