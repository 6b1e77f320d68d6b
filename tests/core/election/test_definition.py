"""The genesis definition: defaults, checks, the genesis file, a network id that never moves."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from support.elections import CREATED, make_election, with_contest
from votenet.core.election.definition import (
    Candidate,
    ChainParameters,
    Election,
    NamedNode,
    Quorum,
    Threshold,
    Witness,
    election_from_file,
)
from votenet.core.election.definition_rules import definition_faults
from votenet.core.election.simple_definition import simple_definition
from votenet.core.encoding import canonical
from votenet.core.limits import MAX_CANDIDATES
from votenet.errors import ConfigError
from votenet.pow import bits_for_zero_bits

GOLDEN_DEFINITION = (
    b'{"authority_key":null,"belenios":"",'
    b'"chain":{"bits":503382015,"block_seconds":1,"grace_seconds":30,"max_block_votes":20480},"closes":null,'
    b'"contests":[{"blank":false,"candidates":[{"name":"Alice","statement":""},{"name":"Bob","statement":""}],'
    b'"description":"","id":"1","max":1,"method":"plurality","min":1,"quorum":null,"seats":1,'
    b'"threshold":null,"title":"Golden election"}],"created":1700000000,"language":"en","nodes":[],'
    b'"opens":null,"organiser":"","registration":"open","results":"live","roll_root":null,"roll_size":null,'
    b'"secrecy":"public","time_zone":"UTC","title":"Golden election","trustees":null,'
    b'"uuid":"GoLden11111111","version":2,"weighted":false,"witnesses":[]}'
)
GOLDEN_NETWORK_ID = "85c7a21e7d5c9464463a2d06898e93d414c596b2d046031406e3752ede730071"
VKEY = "w.example+0123abcd+" + "A" * 44


def golden() -> Election:
    return Election(
        simple_definition(
            candidates=("Alice", "Bob"),
            chain=ChainParameters(bits=bits_for_zero_bits(24)),
            created=CREATED,
            title="Golden election",
            uuid="GoLden11111111",
        )
    )


def a_node(number: int, **change: str) -> NamedNode:
    kinds = ("cosign_key", "log_key", "node_key", "statement_key")
    keys = {kind: f"{10 * number + place:064x}" for place, kind in enumerate(kinds)}
    return NamedNode(**{"name": f"Node {number}", **keys, **change})


def test_the_network_id_is_the_hash_of_these_bytes() -> None:
    network_id = hashlib.sha256(b"votenet/genesis/2\n" + GOLDEN_DEFINITION).hexdigest()
    assert golden().network_hex == golden().network_id.hex() == network_id == GOLDEN_NETWORK_ID


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Golden elections"},
        {"created": CREATED + 1},
        {"chain": ChainParameters(bits=bits_for_zero_bits(23))},
        {"chain": ChainParameters(bits=bits_for_zero_bits(24), max_block_votes=4999)},
        {"opens": CREATED},
        {"closes": CREATED},
        {"chain": ChainParameters(bits=bits_for_zero_bits(24), grace_seconds=0)},
        {"nodes": (a_node(1),)},
        {"witnesses": (Witness(name="W", key=VKEY, url="https://w.example/"),)},
        {"authority_key": "00" * 32},
        {"registration": "roll", "roll_root": "00" * 32, "roll_size": 2},
        {"registration": "roll", "roll_root": "00" * 32, "roll_size": 3},
        {"organiser": "A club"},
        {"language": "id-ID"},
        {"time_zone": "Asia/Jakarta"},
        {"uuid": "GoLden11111112"},
    ],
    ids=str,
)
def test_every_field_moves_the_network_id(change: dict[str, object]) -> None:
    changed = Election(msgspec.structs.replace(golden().definition, **change))
    assert changed.network_id != golden().network_id


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": (Candidate(name="Alice"), Candidate(name="Rob"))},
        {"candidates": (Candidate(name="Bob"), Candidate(name="Alice"))},
        {"candidates": (Candidate(name="Alice"), Candidate(name="Bob", statement="Two lines:\n- this one."))},
        {"method": "approval"},
        {"method": "approval", "max": 2},
        {"title": "Chair"},
        {"description": "Who leads the club?\n\nFor two years."},
        {"id": "chair"},
    ],
    ids=str,
)
def test_every_field_of_a_contest_moves_the_network_id(change: dict[str, object]) -> None:
    assert Election(with_contest(golden().definition, **change)).network_id != golden().network_id


def test_a_genesis_file_carries_the_election() -> None:
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


def test_values_that_follow_from_the_definition() -> None:
    election = make_election(bits=0x1D00FFFF, max_choices=2, method="approval")
    assert election.target == 0xFFFF << 208  # Bitcoin's first target
    assert election.bits == 0x1D00FFFF
    assert election.contests[0].definition.max == 2
    assert election.names == ("Alice", "Bob", "Charlie")
    assert election.contests[0].candidates == {"Alice", "Bob", "Charlie"}
    assert election.contests[0].definition is election.definition.contests[0]
    assert (election.named, election.quorum, election.statement_keys) == (0, 0, ())


def test_values_that_follow_from_the_named_nodes() -> None:
    nodes = [a_node(number) for number in range(4)]
    election = make_election(nodes=nodes)
    assert (election.named, election.faults, election.quorum) == (4, 1, 3)
    assert [election.node_index(node.node_key) for node in nodes] == [0, 1, 2, 3]
    assert election.node_index(nodes[0].statement_key) is None
    assert election.statement_keys == tuple(bytes.fromhex(node.statement_key) for node in nodes)
    assert election.cosign_keys == tuple(bytes.fromhex(node.cosign_key) for node in nodes)


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
        ({"uuid": "0" * 14}, "uuid"),
        ({"uuid": "1" * 15}, "uuid"),
        ({"roll_root": "00" * 32}, "not its size"),
        ({"roll_size": 3}, "open to everybody but names a roll"),
        ({"nodes": [a_node(1), a_node(1, name="Other")]}, "'Node 1' and 'Other' have the same key"),
        ({"nodes": [a_node(1, log_key=a_node(1).node_key)]}, "'Node 1' has one key twice"),
        ({"nodes": [a_node(1), a_node(2, name="Node  1")]}, "a node looks the same twice"),
        ({"nodes": [a_node(1, name="\n")]}, "the name of node 0, .*, has a control character"),
        ({"nodes": [a_node(1, log_key="x")]}, "log_key"),
        ({"nodes": [a_node(number) for number in range(65)]}, "nodes"),
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


def contest_of(**fields: Any) -> dict[str, object]:
    return {"contests": (msgspec.structs.replace(golden().definition.contests[0], **fields),)}


TWICE = golden().definition.contests[0]
SIMPLE = Threshold(basis="cast", share="simple")
CONTRADICTIONS: list[tuple[dict[str, object], str]] = [
    ({"contests": (TWICE, TWICE)}, "two contests have the id '1'"),
    (
        {"contests": (TWICE, msgspec.structs.replace(TWICE, id="2"))},
        "a contest is listed twice",
    ),
    (
        {"contests": tuple(msgspec.structs.replace(TWICE, id=str(n), max=2) for n in range(2))},
        "contest '0': plurality counts one choice a ballot, not 2",
    ),
    (contest_of(seats=2), "plurality fills one seat, not 2"),
    (contest_of(method="approval", seats=2), "2 seats for 2 candidates leave nothing to decide"),
    (contest_of(min=0), "a ballot may have no choices"),
    (contest_of(min=2), "at least 2 choices and at most 1 contradict each other"),
    (contest_of(threshold=SIMPLE), "only a motion has a threshold or a quorum"),
    (contest_of(quorum=Quorum(percent=50)), "only a motion has a threshold or a quorum"),
    ({"weighted": True}, "its votes have weights, but no roll says which"),
    ({"results": "after-close", "closes": None}, "its results are shown after closing, but it never closes"),
    ({"secrecy": "secret"}, "secret ballots need a roll"),
    ({"belenios": "{}"}, "its ballots are public, but it has a definition for secret ones"),
]


@pytest.mark.parametrize(("change", "says"), CONTRADICTIONS, ids=[says for _, says in CONTRADICTIONS])
def test_what_contradicts_itself_is_named_with_all_other_faults(change: dict[str, object], says: str) -> None:
    definition = msgspec.structs.replace(golden().definition, **change)
    assert any(says in wrong for wrong, _ in definition_faults(definition))
    with pytest.raises(ConfigError) as caught:
        Election(definition)
    assert caught.value.code == "bad-genesis"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"description": "d" * 2001}, "the description of the contest has 2001 characters"),
        ({"description": "a\tb"}, "the description of the contest has a control character"),
        ({"candidates": (Candidate(name="A", statement="s" * 2001),)}, "statement of candidate 1 has 2001"),
        ({"candidates": (Candidate(name="A", statement=" s"),)}, "the statement of candidate 1 has a space"),
        ({"title": "a\nb"}, "the title of the contest, .*, has a control character"),
    ],
    ids=str,
)
def test_a_contest_with_a_text_that_cannot_be_shown(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Election(with_contest(golden().definition, **change))


def test_an_organiser_is_one_line() -> None:
    with pytest.raises(ConfigError, match="the organiser has a control character"):
        Election(msgspec.structs.replace(golden().definition, organiser="A\nB"))


def test_the_largest_definition_is_valid() -> None:
    names = [f"{n:04}".ljust(200, "x") for n in range(MAX_CANDIDATES)]
    election = make_election(candidates=names, max_choices=64, method="approval", title="t" * 200)
    assert election_from_file(election.to_file()).network_id == election.network_id


VALID = msgspec.json.decode(make_election().to_file())
CONTEST = VALID["contests"][0]
NODE = msgspec.to_builtins(a_node(1))
WITNESS = {"name": "W", "key": VKEY, "url": "https://w.example"}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"version": 3},
        {"registration": "none"},
        {"contests": []},
        {"contests": [CONTEST] * 65},
        {"contests": [CONTEST | {"method": "borda"}]},
        {"contests": [CONTEST | {"max": 2}]},
        {"contests": [CONTEST | {"surprise": 1}]},
        {"contests": [CONTEST | {"id": "a b"}]},
        {"contests": [CONTEST | {"seats": 0}]},
        {"contests": [CONTEST | {"quorum": {"percent": 101}}]},
        {"contests": [CONTEST | {"threshold": {"basis": "cast", "share": "half"}}]},
        {"nodes": [NODE | {"surprise": 1}]},
        {"nodes": [NODE | {"name": ""}]},
        {"nodes": [{"node_key": NODE["node_key"]}]},
        {"witnesses": [WITNESS | {"key": VKEY[:-1]}]},
        {"witnesses": [WITNESS | {"key": VKEY + "\n"}]},
        {"witnesses": [WITNESS | {"url": "ftp://w.example"}]},
        {"witnesses": [WITNESS] * 65},
        {"language": "e"},
        {"language": "en\n"},
        {"language": "en_GB"},
        {"time_zone": "Asia/Jakarta "},
        {"uuid": "VotenetTest110"},
        {"results": "never"},
        {"secrecy": "none"},
        {"roll_size": 0},
        {"surprise": 1},
        {"title": ""},
        {"title": "t" * 201},
        {"contests": [CONTEST | {"candidates": [{"name": "A"}, {"name": ""}]}]},
        {"contests": [CONTEST | {"candidates": ["Alice"]}]},
        {"created": -1},
        {"created": 2**32},
        {"created": 1.5},
        {"opens": 2**53},
        {"contests": [CONTEST | {"max": 0}]},
        {"contests": [CONTEST | {"max": 65}]},
        {"nodes": [NODE | {"log_key": "AA" * 32}]},
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


@pytest.mark.parametrize("field", ["title", "chain", "contests", "created", "uuid"])
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
    "change", [{"title": "t" * 201}, {"max": 2}, {"candidates": (Candidate(name=""),)}], ids=str
)
def test_a_definition_that_readers_refuse_cannot_be_made(change: dict[str, object]) -> None:
    """The same check: a definition is refused before it is written, not when a node reads it."""
    definition = with_contest(golden().definition, **change)
    with pytest.raises(ConfigError):
        Election(definition)
    with pytest.raises(ConfigError) as read:
        election_from_file(canonical(definition))
    assert read.value.code == "bad-genesis"
