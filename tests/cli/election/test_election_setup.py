"""The election that `up` makes: candidates, difficulty, reuse, contradictions."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from support.elections import key_of, make_election
from votenet.cli.election import election_setup
from votenet.cli.election.election_setup import (
    fitting_difficulty,
    named_difficulty,
    prepare_genesis,
)
from votenet.cli.election.roll import roll_path
from votenet.config import InstanceDirs
from votenet.core.election.roll import Roll
from votenet.core.keys import node_keys
from votenet.core.log.signed_note import COSIGNATURE_V1, VerifierKey
from votenet.errors import ConfigError
from votenet.pow import bits_for_zero_bits
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import load_or_make_key, read_key

NOTHING: dict[str, Any] = {
    "title": None,
    "candidates": (),
    "candidates_from": None,
    "choice_column": None,
    "difficulty": None,
    "max_choices": None,
    "genesis": None,
}


OUTSIDER = (
    "Union",
    str(VerifierKey("union.example", COSIGNATURE_V1, key_of("union").public)),
    "http://127.0.0.1:4100",
)
"""A witness: name, key, URL."""


def _dirs(tmp_path: Path) -> InstanceDirs:
    return InstanceDirs("test", tmp_path / "state", tmp_path / "run", tmp_path / "keys")


def _prepare(dirs: InstanceDirs, said: list[str] | None = None, **options: Any) -> Path:
    return prepare_genesis(dirs, **{**NOTHING, **options}, say=(said if said is not None else []).append)


def test_the_default_candidates_are_alice_bob_and_charlie(tmp_path: Path) -> None:
    election = read_genesis(_prepare(_dirs(tmp_path), difficulty=8))
    assert election.names == ("Alice", "Bob", "Charlie")
    assert election.bits == bits_for_zero_bits(8)


def test_an_election_names_the_nodes_of_its_instance_and_keeps_their_keys(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    dirs.data_dir("node-2").mkdir(parents=True)
    before = load_or_make_key(dirs.data_dir("node-2") / "node.key", "node")
    made = read_genesis(_prepare(dirs, difficulty=8, nodes=3, named_nodes=True)).definition
    assert [node.name for node in made.nodes] == ["node-1", "node-2", "node-3"]
    for node in made.nodes:
        path = dirs.data_dir(node.name) / "node.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = node_keys(read_key(path, "node").seed)
        public = [key.public_hex for key in (keys.node, keys.statement, keys.cosign, keys.log)]
        assert public == [node.node_key, node.statement_key, node.cosign_key, node.log_key]
    assert made.nodes[1].node_key == before.public_hex
    authority = dirs.state / "authority.key"
    assert stat.S_IMODE(authority.stat().st_mode) == 0o600
    assert made.authority_key == read_key(authority, "authority").public_hex
    again = read_genesis(_prepare(dirs, nodes=5)).definition
    assert again == made, "an election that is made names no more nodes"


def test_grace_and_witnesses_are_in_the_definition(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    wanted = {"grace": 0, "witnesses": (OUTSIDER, ("Bar", OUTSIDER[1], "https://bar.example/w"))}
    made = read_genesis(_prepare(dirs, difficulty=8, nodes=1, **wanted))
    assert made.definition.chain.grace_seconds == 0
    assert [(one.name, one.key, one.url) for one in made.definition.witnesses] == list(wanted["witnesses"])
    assert [url for _, url in made.witnesses] == ["http://127.0.0.1:4100", "https://bar.example/w"]
    assert read_genesis(_prepare(dirs, nodes=1, **wanted)).network_id == made.network_id
    for other, said in (
        ({"grace": 30}, "--grace is 0, not 30"),
        ({"witnesses": (OUTSIDER,)}, "--witness is Union at .*, Bar at .*, not Union at http"),
    ):
        with pytest.raises(ConfigError, match=said):
            _prepare(dirs, nodes=1, **other)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"witnesses": (("Union", "no key", OUTSIDER[2]),)}, "bad-witness", "Union"),
        ({"witnesses": ((*OUTSIDER[:2], "127.0.0.1:4100"),)}, "bad-witness", "'127.0.0.1:4100'"),
        ({"witnesses": (("", *OUTSIDER[1:]),)}, "bad-witness", "no name"),
        ({"witnesses": (("a\x1bb", *OUTSIDER[1:]),)}, "bad-genesis", "the name of witness 1"),
        ({"witnesses": (OUTSIDER,), "named_nodes": False}, "contradiction", "named nodes"),
        ({"grace": 0, "named_nodes": False}, "contradiction", "named nodes"),
    ],
)
def test_witnesses_that_could_not_cosign_are_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], code: str, said: str
) -> None:
    dirs = _dirs(tmp_path)
    with pytest.raises(ConfigError, match=said) as refused:
        _prepare(dirs, difficulty=8, nodes=1, **options)
    assert refused.value.code == code
    assert not dirs.state.exists()


def test_an_election_without_named_nodes_is_made_on_demand(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    made = read_genesis(_prepare(dirs, difficulty=8, nodes=3, named_nodes=False))
    assert made.definition.nodes == ()
    assert list(dirs.state.glob("node-*")) == []
    assert read_genesis(_prepare(dirs, named_nodes=False, nodes=3)).network_id == made.network_id
    with pytest.raises(ConfigError, match="--named-nodes is False, not True"):
        _prepare(dirs, named_nodes=True, nodes=3)


def test_candidates_come_from_options_or_a_file(tmp_path: Path) -> None:
    made = _prepare(_dirs(tmp_path / "a"), candidates=("Dora", "Emil"), difficulty=8, title="Board")
    assert read_genesis(made).names == ("Dora", "Emil")
    source = Path("minneapolis-2013")
    made = _prepare(_dirs(tmp_path / "b"), candidates_from=source, choice_column="rank1", difficulty=8)
    assert len(read_genesis(made).names) == 36


@pytest.mark.parametrize(("rate", "bits"), [(10e6, 19), (250e3, 14), (1.0, 8)])
def test_where_named_nodes_decide_a_search_takes_a_twentieth_of_a_second(rate: float, bits: int) -> None:
    assert named_difficulty(rate) == bits
    assert rate < 1000 or 0.035 < 2.0**bits / rate < 0.071


def test_the_same_instance_goes_on_with_its_election(tmp_path: Path) -> None:
    dirs, said = _dirs(tmp_path), list[str]()
    first = read_genesis(_prepare(dirs, difficulty=8)).network_id
    assert read_genesis(_prepare(dirs, said)).network_id == first
    assert said == ["Going on with the election 'Election'."]
    assert read_genesis(_prepare(dirs, difficulty=8)).network_id == first


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"candidates": ("Zoe",)}, "--candidate"),
        ({"title": "Other"}, "--title"),
        ({"max_choices": 2}, "--max-choices"),
        ({"difficulty": 9}, "--difficulty"),
        ({"method": "approval"}, "--method"),
        ({"opens": 1}, "--opens"),
        ({"closes": 1}, "--closes"),
    ],
)
def test_an_instance_cannot_change_its_election(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    dirs = _dirs(tmp_path)
    _prepare(dirs, difficulty=8)
    with pytest.raises(ConfigError, match=named) as refused:
        _prepare(dirs, **options)
    assert refused.value.code == "other-election"


@pytest.mark.parametrize(
    ("method", "candidates", "most"),
    [
        ("plurality", 3, 1),
        ("approval", 3, 3),
        ("instant-runoff", 5, 5),
        ("instant-runoff", 70, 64),
        (None, 3, 1),
    ],
)
def test_methods_have_fitting_limits(tmp_path: Path, method: Any, candidates: int, most: int) -> None:
    names = tuple(f"c{number}" for number in range(candidates))
    made = _prepare(_dirs(tmp_path), candidates=names, method=method, difficulty=8)
    held = read_genesis(made)
    assert (held.definition.contests[0].method, held.definition.contests[0].max) == (
        method or "plurality",
        most,
    )
    two = {"candidates": names, "method": method, "max_choices": 2, "difficulty": 8}
    if most > 1:
        assert read_genesis(_prepare(_dirs(tmp_path / "b"), **two)).definition.contests[0].max == 2
        return
    with pytest.raises(ConfigError, match="plurality counts one choice") as refused:
        _prepare(_dirs(tmp_path / "b"), **two)
    assert "approval or instant-runoff" in refused.value.next_step


LONG = "n" * 201


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"title": LONG}, "the title, .* has 201 characters, 1 too many"),
        ({"title": " Board"}, "the title, ' Board', has a space at its beginning"),
        ({"candidates": ("Ann", LONG)}, "candidate 2, .* has 201 characters, 1 too many"),
        ({"candidates": ("Ann", "")}, "candidate 2 is empty"),
        ({"candidates": ("Ann", "Bo ", "Cy")}, "candidate 2, 'Bo ', has a space at its end"),
        ({"candidates": ("Ann", "Bo\u202e")}, "candidate 2, .* has a character that cannot be seen"),
        ({"candidates": ("Ann", "Ann")}, "a candidate is listed twice: 'Ann' as number 1 and 2"),
        ({"candidates": tuple(f"c{n}" for n in range(1001))}, "1 to 1000 candidates, not 1001"),
        ({"candidates": ("Ann", "Bo"), "max_choices": 2}, "plurality counts one choice"),
        (
            {"candidates": ("Yes", "No"), "method": "motion"},
            "a motion needs a threshold, which no option says",
        ),
        ({"candidates": ("Ann", "Bo"), "max_choices": 3, "method": "approval"}, "3 choices are allowed"),
        ({"candidates_from": "choice\nAnn\n" + LONG + "\n"}, "candidate 2, .* has 201 characters"),
        (
            {"candidates_from": "choice\nAnn\nBo\u202e\n"},
            "candidate 2, .* has a character that cannot be seen",
        ),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_definition_that_nodes_refuse_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    """The same instance can be used at once: nothing has to be deleted first."""
    dirs, said = _dirs(tmp_path), list[str]()
    if "candidates_from" in options:
        file = tmp_path / "ballots.csv"
        file.write_text(options["candidates_from"], encoding="utf-8")
        options = {"candidates_from": file}
    with pytest.raises(ConfigError, match=says) as refused:
        _prepare(dirs, said, **options)
    assert refused.value.code == "bad-genesis"
    assert refused.value.next_step
    assert not dirs.state.exists()
    assert said == [], "nothing was measured either"
    assert read_genesis(_prepare(dirs, candidates=("Ann", "Bo"), difficulty=8)).names == ("Ann", "Bo")


def test_an_election_that_no_node_takes_is_replaced_unless_it_has_votes(tmp_path: Path) -> None:
    dirs, said = _dirs(tmp_path), list[str]()
    made = _prepare(dirs, difficulty=8)
    spoiled = made.read_bytes().replace(b'"Election"', b'"' + b"E" * 201 + b'"')
    made.write_bytes(spoiled)
    assert read_genesis(_prepare(dirs, said, difficulty=8)).definition.title == "Election"
    assert "replaced" in said[0]
    made.write_bytes(spoiled)
    (dirs.state / "node-1").mkdir()
    (dirs.state / "node-1" / "chain.db").write_bytes(b"votes")
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, difficulty=8)
    assert "votenet down --purge" in refused.value.next_step
    assert made.read_bytes() == spoiled


def test_hours_are_kept_and_checked(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    for wrong in ({"closes": 5}, {"opens": 2**32, "closes": 2**32}):
        with pytest.raises(ConfigError) as refused:
            _prepare(dirs, difficulty=8, **wrong)
        assert refused.value.code == "bad-hours"
        assert not dirs.genesis.exists()
    held = read_genesis(_prepare(dirs, difficulty=8, opens=2**32, closes=2**33)).definition
    assert (held.opens, held.closes) == (2**32, 2**33)
    _prepare(dirs, closes=2**33)


def test_a_roll_is_kept_beside_the_genesis(tmp_path: Path) -> None:
    dirs, file, other = _dirs(tmp_path), tmp_path / "roll.json", tmp_path / "other.json"
    voters = Roll([("ann", key_of("ann").public_hex)])
    file.write_bytes(voters.to_file())
    other.write_bytes(Roll([("bo", key_of("bo").public_hex)]).to_file())
    held = read_genesis(_prepare(dirs, difficulty=8, roll=file)).definition
    assert (held.registration, held.roll_root) == ("roll", voters.root_hex)
    assert roll_path(dirs).is_file()
    file.unlink()
    _prepare(dirs)
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, roll=other)
    assert refused.value.code == "roll-mismatch"
    second = _dirs(tmp_path / "second")
    with pytest.raises(ConfigError) as refused:
        _prepare(second, genesis=dirs.genesis)
    assert refused.value.code == "roll-missing"
    _prepare(second, genesis=dirs.genesis, roll=roll_path(dirs))
    assert roll_path(second).read_bytes() == voters.to_file()
    third = _dirs(tmp_path / "third")
    third.state.mkdir(parents=True)
    roll_path(third).write_bytes(voters.to_file())  # of a start that was cut off
    _prepare(third, difficulty=8)
    assert not roll_path(third).exists()
    assert not held.weighted
    other.write_bytes(Roll([("bo", key_of("bo").public_hex, 3)]).to_file())
    assert read_genesis(_prepare(_dirs(tmp_path / "fourth"), difficulty=8, roll=other)).definition.weighted


def test_a_given_genesis_is_taken_and_another_refused(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    (tmp_path / "one.json").write_bytes(make_election(title="One").to_file())
    (tmp_path / "two.json").write_bytes(make_election(title="Two").to_file())
    made = _prepare(dirs, genesis=tmp_path / "one.json")
    assert read_genesis(made).network_id == make_election(title="One").network_id
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, genesis=tmp_path / "two.json")
    assert refused.value.code == "other-election"
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, genesis=tmp_path / "one.json", title="X")
    assert refused.value.code == "contradiction"


def test_candidates_given_twice_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        _prepare(_dirs(tmp_path), candidates=("A",), candidates_from=Path("minneapolis-2013"))
    assert refused.value.code == "contradiction"


@pytest.mark.parametrize(
    ("rate", "bits"),
    [
        (25e6, 24),  # SHA-NI: 0.7 s a block
        (8.4e6, 24),  # just under two seconds
        (2.7e6, 22),  # generic C
        (0.7e6, 20),  # hashlib
        (1.0, 8),  # never below the floor
    ],
)
def test_the_difficulty_fits_the_machine(rate: float, bits: int) -> None:
    assert fitting_difficulty(rate) == bits
    assert bits == 8 or 2**bits / rate <= 2.0


def test_an_unknown_kernel_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, kernel="abacus")
    assert refused.value.code == "no-such-kernel"
    assert "python" in refused.value.next_step
    assert not dirs.state.exists()


def test_the_difficulty_is_measured_with_the_kernel_that_will_mine(tmp_path: Path) -> None:
    said: list[str] = []
    made = _prepare(_dirs(tmp_path), said, kernel="python")
    assert read_genesis(made).bits != bits_for_zero_bits(24)
    assert "(python)" in said[0]


def test_a_difficulty_at_which_no_block_would_ever_be_found_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dirs = _dirs(tmp_path)
    monkeypatch.setattr(election_setup, "measure_rate", lambda timer, kernel=None: 1e6)
    with pytest.raises(ConfigError, match="hours") as refused:
        _prepare(dirs, difficulty=64)
    assert refused.value.code == "bad-difficulty"
    assert not dirs.state.exists()
    hardest = re.findall("Give ([0-9]+) bits", refused.value.next_step)
    assert read_genesis(_prepare(dirs, difficulty=int(hardest[0]) - 1)).bits


@pytest.mark.parametrize(
    "change", [{"title": "t" * 201}, {"max_choices": 2}, {"candidates": ["A", "A\u200b"]}]
)
def test_a_genesis_file_that_no_node_takes_is_not_taken(tmp_path: Path, change: dict[str, Any]) -> None:
    dirs, file = _dirs(tmp_path), tmp_path / "given.json"
    file.write_text(json.dumps(json.loads(make_election().to_file()) | change), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        _prepare(dirs, genesis=file)
    assert (refused.value.code, dirs.state.exists()) == ("bad-genesis", False)
