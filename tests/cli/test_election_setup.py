"""The election that `up` makes: candidates, difficulty, reuse, contradictions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support import key_of, make_election
from votenet.cli.actions import read_genesis
from votenet.cli.election_setup import fitting_difficulty, prepare_genesis, roll_path
from votenet.cli.network_prepare import roll_args
from votenet.config import InstanceDirs
from votenet.core.roll import Roll
from votenet.errors import ConfigError
from votenet.pow import bits_for_zero_bits

NOTHING: dict[str, Any] = {
    "title": None,
    "candidates": (),
    "candidates_from": None,
    "choice_column": None,
    "difficulty": None,
    "max_choices": None,
    "genesis": None,
}


def _dirs(tmp_path: Path) -> InstanceDirs:
    return InstanceDirs("test", tmp_path / "state", tmp_path / "run", tmp_path / "keys")


def _prepare(dirs: InstanceDirs, said: list[str] | None = None, **options: Any) -> Path:
    return prepare_genesis(dirs, **{**NOTHING, **options}, say=(said if said is not None else []).append)


def test_s11_the_default_candidates_are_the_chapters(tmp_path: Path) -> None:
    election = read_genesis(_prepare(_dirs(tmp_path), difficulty=8))
    assert election.definition.candidates == ("Alice", "Bob", "Charlie")
    assert election.bits == bits_for_zero_bits(8)


def test_candidates_come_from_options_or_a_file(tmp_path: Path) -> None:
    made = _prepare(_dirs(tmp_path / "a"), candidates=("Dora", "Emil"), difficulty=8, title="Board")
    assert read_genesis(made).definition.candidates == ("Dora", "Emil")
    source = Path("minneapolis-2013")
    made = _prepare(_dirs(tmp_path / "b"), candidates_from=source, choice_column="rank1", difficulty=8)
    assert len(read_genesis(made).definition.candidates) == 38


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
    held = read_genesis(made).definition
    assert (held.method, held.max_choices) == (method or "plurality", most)
    two = {"candidates": names, "method": method, "max_choices": 2, "difficulty": 8}
    if most > 1:
        assert read_genesis(_prepare(_dirs(tmp_path / "b"), **two)).definition.max_choices == 2
        return
    with pytest.raises(ConfigError, match="plurality counts one choice") as refused:
        _prepare(_dirs(tmp_path / "b"), **two)
    assert "--method approval" in refused.value.next_step


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
        ({"candidates": ("Ann", "Bo"), "max_choices": 3, "method": "approval"}, "3 choices are allowed"),
        ({"candidates_from": "choice\nAnn\n" + LONG + "\n"}, "candidate 2, .* has 201 characters"),
        ({"candidates_from": "choice\nAnn\nBo \n"}, "candidate 2, 'Bo ', has a space at its end"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_what_no_node_takes_is_refused_before_anything_is_written(
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
    assert read_genesis(_prepare(dirs, candidates=("Ann", "Bo"), difficulty=8)).candidates == {"Ann", "Bo"}


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
    assert roll_args(dirs) == ("--roll", str(roll_path(dirs)))
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
    assert roll_args(third) == ()


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


def test_a_difficulty_at_which_no_block_would_ever_be_found_is_refused(tmp_path: Path) -> None:
    dirs = _dirs(tmp_path)
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
