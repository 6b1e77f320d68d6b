"""`votenet replay` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Outcome, RunningNode


def test_s10_a_file_is_cast_counted_and_summed_up(
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("member,first\n" + "".join(f"p{n},{('Alice', 'Bob')[n % 2]}\n" for n in range(100)))
    options = (str(file), "--voter-column", "member", "--choice", "first", "--node", str(node.address))
    sample = json.loads(cli("replay", *options, "--sample", "10", "--json").out)
    assert (sample["read"], sample["accepted"], sample["all_in_blocks"]) == (10, 10, True)
    rest = cli("replay", *options)
    assert rest.code == 0
    assert "accepted" in rest.out
    assert "repeated" in rest.out
    assert "cast: 100 of 100" in rest.err
    assert json.loads(cli("replay", *options, "--limit", "5", "--json").out)["repeated"] == 5


def test_refused_ballots_end_in_exit_1_with_reasons(
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("first\nAlice\nZorro\n")
    done = cli("replay", str(file), "--prefix", "bad-", "--node", str(node.address))
    assert done.code == 1
    assert "refused: unknown-candidate" in done.out
    assert "1 ballots were refused" in done.err


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    assert "minneapolis-2013" in cli("replay", "--help").out
