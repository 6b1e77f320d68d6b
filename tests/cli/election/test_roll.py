"""Roll files: written, read, and whose roll the one of an instance is."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.elections import key_of, make_election
from votenet.cli.election.roll import election_with_roll, read_roll, roll_here, roll_of, write_roll
from votenet.config import DEFAULT_INSTANCE, instance_dirs
from votenet.core.election.roll import Roll
from votenet.errors import ConfigError

ROLL, OTHER = (Roll([(name, key_of(name).public_hex)]) for name in ("ann", "bo"))


def test_a_roll_is_written_and_read(tmp_path: Path) -> None:
    write_roll(tmp_path / "roll.json", ROLL)
    assert read_roll(tmp_path / "roll.json").keys == ROLL.keys
    election = make_election(roll=ROLL)
    assert election_with_roll(election, tmp_path / "roll.json").registered == ROLL.keys
    with pytest.raises(ConfigError) as missing:
        election_with_roll(election, None)
    assert missing.value.code == "roll-missing"
    with pytest.raises(ConfigError, match="cannot write"):
        write_roll(tmp_path / "none" / "roll.json", ROLL)


def test_the_roll_of_an_instance_is_that_of_its_election(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    assert roll_here(DEFAULT_INSTANCE) is None
    state = instance_dirs().state
    state.mkdir(parents=True)
    write_roll(state / "roll.json", ROLL)
    assert (found := roll_here(DEFAULT_INSTANCE)) is not None
    assert found.keys == ROLL.keys
    assert roll_of(make_election(roll=ROLL), DEFAULT_INSTANCE) is not None
    assert roll_of(make_election(roll=OTHER), DEFAULT_INSTANCE) is None
    assert roll_of(make_election(), DEFAULT_INSTANCE) is None


def test_a_roll_that_is_not_there_is_asked_of_the_organiser_and_made_for_a_new_election_alone(
    tmp_path: Path,
) -> None:
    """Who made the roll of an election a second time would write over the only right one."""
    with pytest.raises(ConfigError) as missing:
        read_roll(tmp_path / "roll.json")
    assert missing.value.code == "roll-missing"
    assert "Ask the organiser" in str(missing.value.next_step)
    with pytest.raises(ConfigError) as new:
        read_roll(tmp_path / "roll.json", for_new=True)
    assert new.value.code == "roll-missing"
    assert "votenet voters import" in str(new.value.next_step)
    with pytest.raises(ConfigError) as folder:
        read_roll(tmp_path)
    assert folder.value.code == "bad-roll"
