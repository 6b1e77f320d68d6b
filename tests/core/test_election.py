"""The genesis definition: defaults, checks, the genesis file, a network id that never moves."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from support import CREATED, make_election
from votenet.core.election import (
    ChainParameters,
    Election,
    ElectionDefinition,
    election_from_file,
)
from votenet.core.encoding import canonical
from votenet.core.limits import MAX_CANDIDATES
from votenet.errors import ConfigError
from votenet.pow import bits_for_zero_bits

GOLDEN_DEFINITION = (
    b'{"authority_key":null,"candidates":["Alice","Bob","Charlie"],'
    b'"chain":{"bits":503382015,"block_seconds":1,"max_block_votes":20480},"closes":null,"created":1700000000,'
    b'"max_choices":1,"method":"plurality","node_keys":[],"opens":null,"registration":"open",'
    b'"roll_root":null,"title":"Golden election","version":1}'
)
GOLDEN_NETWORK_ID = "735cf7bf1c8ba5acbc648db12f7336fa7c204bb942acae399ae66f321f4887a6"


def golden() -> Election:
    return Election(
        ElectionDefinition(
            chain=ChainParameters(bits=bits_for_zero_bits(24)),
            created=CREATED,
            title="Golden election",
        )
    )


def test_s11_the_candidates_are_alice_bob_and_charlie_by_default() -> None:
    assert golden().definition.candidates == ("Alice", "Bob", "Charlie")
    assert golden().candidates == {"Alice", "Bob", "Charlie"}


def test_the_network_id_is_the_hash_of_these_bytes() -> None:
    network_id = hashlib.sha256(b"votenet/genesis/1\n" + GOLDEN_DEFINITION).hexdigest()
    assert golden().network_hex == golden().network_id.hex() == network_id == GOLDEN_NETWORK_ID


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Golden elections"},
        {"candidates": ("Alice", "Bob", "Charly")},
        {"candidates": ("Bob", "Alice", "Charlie")},
        {"created": CREATED + 1},
        {"chain": ChainParameters(bits=bits_for_zero_bits(23))},
        {"chain": ChainParameters(bits=bits_for_zero_bits(24), max_block_votes=4999)},
        {"opens": CREATED},
        {"closes": CREATED},
        {"method": "approval"},
        {"method": "approval", "max_choices": 2},
        {"node_keys": ("00" * 32,)},
        {"authority_key": "00" * 32},
        {"roll_root": "00" * 32},
        {"registration": "roll", "roll_root": "00" * 32},
    ],
    ids=str,
)
def test_every_field_moves_the_network_id(change: dict[str, object]) -> None:
    changed = Election(msgspec.structs.replace(golden().definition, **change))
    assert changed.network_id != golden().network_id


def test_s11_a_genesis_file_carries_the_election() -> None:
    election = make_election(candidates=["Ágnes", "Bo “B” Li", "周"], opens=CREATED, closes=CREATED + 9)
    data = election.to_file()
    again = election_from_file(data)
    assert again.definition == election.definition
    assert again.network_id == election.network_id
    assert again.to_file() == data
    assert data.endswith(b"}\n")
    assert len(data.splitlines()) > 10, "for people to read"


def test_spaces_and_order_in_the_file_do_not_matter() -> None:
    members = msgspec.json.decode(golden().to_file())
    shuffled = msgspec.json.encode(dict(reversed(members.items())))
    assert election_from_file(shuffled).network_id == golden().network_id


def test_what_follows_from_the_definition() -> None:
    election = make_election(bits=0x1D00FFFF, max_choices=2, method="approval")
    assert election.target == 0xFFFF << 208  # Bitcoin's first target
    assert election.bits == 0x1D00FFFF
    assert election.max_choices == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"candidates": ()}, "1 to 1000 candidates"),
        ({"candidates": [f"c{n}" for n in range(MAX_CANDIDATES + 1)]}, "1 to 1000 candidates"),
        ({"candidates": ("A", "B", "A")}, "twice"),
        ({"candidates": ("A", "B\n")}, "control character"),
        ({"candidates": ("A", "\x1b[31mB")}, "control character"),
        ({"candidates": ("A", "\x9b31mB")}, "control character"),
        ({"candidates": ("A", " B")}, "candidate 2, ' B', has a space at its beginning"),
        ({"candidates": ("A", "B ")}, "candidate 2, 'B ', has a space at its end"),
        ({"title": "Title\x7f"}, "control character"),
        ({"title": " Title"}, "the title, .*, has a space at its beginning"),
        ({"candidates": ("A", "B"), "max_choices": 3, "method": "approval"}, "3 choices"),
        ({"max_choices": 3}, "plurality counts one choice a ballot, not 3"),
        ({"method": "borda"}, "the method 'borda' is not known"),
        ({"title": ""}, "the title is empty"),
        ({"title": "t" * 201}, "the title, 't.*…', has 201 characters, 1 too many"),
        ({"candidates": ("A", "")}, "candidate 2 is empty"),
        ({"candidates": ("A", "c" * 300)}, "candidate 2, 'c.*…', has 300 characters, 100 too many"),
        ({"candidates": ("Ann", "Bo\u200b")}, "candidate 2, .*, has .* cannot be seen .U.200B. in place 3"),
        ({"candidates": ("Ann Li", "Bo", "Ann\u00a0Li")}, "looks the same twice: .* as number 1 and 3"),
        ({"created": 2**32}, "created"),
        ({"node_keys": ("x",)}, "node_keys"),
        ({"version": 2}, "version"),
        ({"registration": "roll"}, "not its root"),
        ({"opens": CREATED, "closes": CREATED}, "closes before it opens"),
        ({"opens": CREATED + 1, "closes": CREATED}, "closes before it opens"),
        ({"bits": 0x01003456}, "zero"),
        ({"bits": 0x04923456}, "negative"),
        ({"bits": 0xFF123456}, "256 bits"),
    ],
    ids=str,
)
def test_a_definition_that_contradicts_itself(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        make_election(**fields)  # type: ignore[arg-type]
    assert caught.value.code == "bad-genesis"


def test_the_largest_definition_is_valid() -> None:
    names = [f"{n:04}".ljust(200, "x") for n in range(MAX_CANDIDATES)]
    election = make_election(candidates=names, max_choices=64, method="approval", title="t" * 200)
    assert election_from_file(election.to_file()).network_id == election.network_id


VALID = msgspec.json.decode(make_election().to_file())


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"registration": "none"},
        {"method": "borda"},
        {"max_choices": 2},
        {"surprise": 1},
        {"title": ""},
        {"title": "t" * 201},
        {"candidates": ["A", ""]},
        {"candidates": "Alice"},
        {"created": -1},
        {"created": 2**32},
        {"created": 1.5},
        {"opens": 2**53},
        {"max_choices": 0},
        {"max_choices": 65},
        {"node_keys": ["AA" * 32]},
        {"authority_key": "00" * 31},
        {"authority_key": "00" * 32 + "\n"},
        {"chain": {"bits": 0}},
        {"chain": {"bits": 2**32}},
        {"chain": {"bits": 0x1D00FFFF, "max_block_votes": 0}},
        {"chain": {"bits": 0x1D00FFFF, "max_block_votes": 20_481}},
        {"chain": {"bits": 0x1D00FFFF, "surprise": 1}},
        {"chain": {}},
    ],
    ids=str,
)
def test_a_genesis_file_with_a_wrong_field(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="genesis file is not valid") as caught:
        election_from_file(msgspec.json.encode(VALID | change))
    assert caught.value.code == "bad-genesis"
    assert caught.value.next_step


@pytest.mark.parametrize("field", ["title", "chain", "created"])
def test_a_genesis_file_without_a_field(field: str) -> None:
    members = {name: value for name, value in VALID.items() if name != field}
    with pytest.raises(ConfigError, match=field):
        election_from_file(msgspec.json.encode(members))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"title":"\xff"}', b"[" * 100_000, b'{"title":"\\ud800"}'],
    ids=lambda data: ascii(data[:10]),
)
def test_garbage_is_no_genesis_file(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        election_from_file(data)
    assert caught.value.code == "bad-genesis"


@pytest.mark.parametrize(
    "change", [{"title": "t" * 201}, {"max_choices": 2}, {"candidates": ("A", "")}], ids=str
)
def test_what_a_reader_refuses_cannot_be_made(change: dict[str, object]) -> None:
    """The same check: a definition is refused before it is written, not when a node reads it."""
    definition = msgspec.structs.replace(golden().definition, **change)
    with pytest.raises(ConfigError):
        Election(definition)
    with pytest.raises(ConfigError) as read:
        election_from_file(canonical(definition))
    assert read.value.code == "bad-genesis"
