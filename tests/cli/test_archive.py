"""`votenet export`, `audit` and `import` as typed, beside a running node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome, RunningNode

from archive_support import archive_of, election, good_archive, good_receipt, roll_archive, tampered
from support import CREATED, make_election, make_vote
from votenet.core.outcome import lot
from votenet.storage.block_store import SqliteBlockStore

Cli = Callable[..., Outcome]


@pytest.fixture
def voted(cli: Cli, node: RunningNode) -> list[str]:
    """Some votes on the chain of a node that goes on running; the options that name it."""
    for voter, choice in (("a1", "Alice"), ("a2", "Bob"), ("a3", "Bob")):
        cli("vote", "--node", str(node.address), voter, choice)
    return ["--data-dir", str(node.genesis.parent / "data"), "--genesis", str(node.genesis)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.xz"])
def test_the_archive_of_a_running_node_holds_and_counts_as_the_node_does(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"election.{suffix}"
    done = cli("export", *voted, "-o", str(path))
    assert (done.code, done.err) == (0, "")
    assert f"votenet audit {path}" in done.out
    report = json.loads(cli("audit", str(path), "--json").out)
    results = json.loads(cli("results", "--node", str(node.address), "--json").out)
    assert report["counts"] == [[name, votes] for name, votes in results["counts"].items()]
    for name in ("votes", "height", "tip", "network_id", "title"):
        assert report[name] == results[name]


def test_the_report_fits_a_page_and_says_what_was_checked(cli: Cli, voted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(cli("export", *voted).out, encoding="utf-8")
    shown = cli("audit", str(path))
    assert shown.code == 0
    assert len(shown.out.splitlines()) < 30
    assert shown.out.startswith(f"{path} agrees with itself; compared with nothing else.")
    assert "hours" not in shown.out, "this election has none: nothing was checked"
    for word in ("Checked:", "every signature", "Counted again (plurality)", "Bob", "tip"):
        assert word in shown.out
    assert "a.jsonl: 100%, block" in shown.err


def test_a_node_starts_from_an_import(cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path) -> None:
    path, folder = tmp_path / "a.jsonl.gz", tmp_path / "fresh"
    cli("export", *voted, "-o", str(path))
    done = cli("import", str(path), "--data-dir", str(folder), "--json")
    assert done.code == 0
    store = SqliteBlockStore(folder, node.election)
    try:
        stored = store.load()
    finally:
        store.close()
    assert stored.headers[-1][0].hash.hex() == json.loads(done.out)["tip"]
    assert {"a1", "a2", "a3"} <= set(stored.voters)
    again = cli("export", "--data-dir", str(folder), "--genesis", str(folder / "genesis.json"))
    assert again.out == cli("export", *voted).out
    assert cli("import", str(path), "--data-dir", str(folder)).code == 78


def test_a_tampered_archive_is_refused_with_exit_1_and_its_code(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(tampered()["signature-by-another-key"][1])
    done = cli("audit", str(path), "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "bad-signature"
    assert "line 5" in done.err
    folder = tmp_path / "fresh"
    assert cli("import", str(path), "--data-dir", str(folder)).code == 1
    assert [entry.name for entry in folder.iterdir()] == ["lock"]


def test_a_receipt_and_an_archive_that_are_mixed_up_lead_to_the_right_command(
    cli: Cli, tmp_path: Path
) -> None:
    receipt, archive = tmp_path / "r.json", tmp_path / "a.jsonl"
    receipt.write_bytes(good_receipt())
    archive.write_bytes(good_archive())
    for command, path, right in (("audit", receipt, "verify"), ("verify", archive, "audit")):
        done = cli(command, str(path))
        assert (done.code, "[wrong-format]" in done.err) == (1, True)
        assert f"votenet {right} {path}" in done.err
        assert cli(right, str(path)).code == 0


def test_the_network_may_be_demanded(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(good_archive())
    assert cli("audit", str(path)).code == 0
    capitals = cli("audit", str(path), "--network", election().network_hex.upper())
    assert capitals.code == 0
    assert capitals.out.startswith(f"{path} holds.")
    assert "compared with  the network id given" in capitals.out
    assert cli("audit", str(path), "--network", "5e1f").code == 2
    done = cli("audit", str(path), "--network", "00" * 32)
    assert done.code == 1
    assert "[network-mismatch]" in done.err


def audited(cli: Cli, path: Path, data: bytes, *options: str) -> str:
    path.write_bytes(data)
    done = cli("audit", str(path), *options)
    assert done.code == 0, done.err
    return done.out


def test_the_audit_of_a_runoff_shows_rounds_ties_lots_and_hours(cli: Cli, tmp_path: Path) -> None:
    held = make_election(
        candidates=("Ann", "Bo", "Cy"), method="instant-runoff", max_choices=3,
        opens=CREATED, closes=CREATED + 60,
    )  # fmt: skip
    ballots = (("Ann",), ("Ann",), ("Bo",), ("Bo",), ("Cy",))
    votes = [make_vote(held, f"v{number}", *names) for number, names in enumerate(ballots)]
    shown = audited(cli, tmp_path / "a", archive_of(held, votes))
    assert "Counted again (instant-runoff)" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["1", "Ann", "2,", "Bo", "2,", "Cy", "1", "0", "Cy"] in rows
    assert any(row[:1] == ["2"] and row[5] == "1" for row in rows), "one ballot is exhausted"
    first, second = sorted(("Ann", "Bo"), key=lambda name: lot(held, name), reverse=True)
    assert f"Tied: {first}, {second}; the lot chose {first}" in shown
    assert f"Tie in round 2 between Ann, Bo: {second} left, by lot" in shown
    assert "Won by" not in shown
    assert "opening hours" in shown
    assert "opens " in shown
    assert "closes " in shown
    won = audited(cli, tmp_path / "b", archive_of(held, [*votes[:4], make_vote(held, "v4", "Cy", "Bo")]))
    assert "Won by: Bo" in won
    going_on = make_election(candidates=("Ann", "Bo"))
    assert "Leading: Ann" in audited(cli, tmp_path / "c", archive_of(going_on, [make_vote(going_on, "v")]))


def test_the_audit_with_a_roll_shows_the_turnout(cli: Cli, tmp_path: Path) -> None:
    roll, data = roll_archive(("ann", "ann"))
    (tmp_path / "roll.json").write_bytes(roll.to_file())
    shown = audited(cli, tmp_path / "a", data, "--roll", str(tmp_path / "roll.json"))
    assert "1 of 2 registered (50.0%)" in shown
    assert "every voter and key against the roll" in shown
    assert "turnout" not in audited(cli, tmp_path / "a", data)
    folder = tmp_path / "node"
    assert cli("import", str(tmp_path / "a"), "--data-dir", str(folder)).code == 78
    done = cli(
        "import", str(tmp_path / "a"), "--data-dir", str(folder), "--roll", str(tmp_path / "roll.json")
    )
    assert done.code == 0
    assert (folder / "roll.json").read_bytes() == roll.to_file()


def test_without_a_network_the_next_step_is_told(cli: Cli, tmp_path: Path) -> None:
    done = cli("export")
    assert done.code == 3
    assert "--data-dir" in done.err
    assert cli("audit", str(tmp_path / "none")).code == 78
