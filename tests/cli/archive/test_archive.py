"""`votenet export`, `audit` and `import` as typed, beside a running node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.archives import archive_of, election, good_archive, good_receipt, roll_archive, tampered
from support.dask_cluster import dask_cluster
from support.elections import CREATED, key_of, make_election, make_vote
from support.log_tiles import decode_bundle
from support.named_files import good_archives, whole_story
from votenet.cli.election.roll import roll_path
from votenet.config import instance_dirs
from votenet.core.election.roll import Roll
from votenet.core.ledger.block import genesis_header
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

Cli = Callable[..., CommandResult]


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
    assert report["contests"] == results["contests"]
    for name in ("votes", "height", "tip", "network_id", "title"):
        assert report[name] == results[name]


def test_the_log_of_a_running_node_as_tiles(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path
) -> None:
    done = cli("export", *voted, "--tiles", str(tmp_path / "log"))
    assert (done.code, done.err) == (0, "")
    assert "no checkpoint" in done.out, "this election has no named nodes"
    height = json.loads(cli("results", "--node", str(node.address), "--json").out)["height"]
    (bundle,) = (tmp_path / "log" / "tile" / "entries").glob("000.p/*")
    entries = decode_bundle(bundle.read_bytes())
    assert len(entries) == 3 + height + 1
    assert entries[0] == genesis_header(node.election).pack()
    assert cli("export", *voted, "--tiles", str(tmp_path / "log")).code == 78
    assert cli("export", *voted, "--tiles", "x", "-o", "y").code == 2


def test_the_report_fits_a_page_and_lists_the_checks(cli: Cli, voted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(cli("export", *voted).out, encoding="utf-8")
    shown = cli("audit", str(path))
    assert shown.code == 0
    assert len(shown.out.splitlines()) < 30
    remembered = "with the network id remembered from 127.0.0.1:"
    assert shown.out.startswith(f"{path} agrees with itself and {remembered}")
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


def test_an_audit_on_a_cluster_prints_what_one_machine_prints(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "election.jsonl"
    path.write_bytes(good_archive())
    with dask_cluster(str(tmp_path)) as address:
        there = cli("audit", str(path), "--dask", address)
    assert there == cli("audit", str(path))
    assert there.code == 0
    nowhere = cli("audit", str(path), "--dask", "10.0.0.9")
    assert (nowhere.code, "bad-address" in nowhere.err) == (78, True)


def test_an_audit_says_who_signed_a_final_result(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "named.jsonl"
    path.write_bytes(good_archives()["whole"])
    shown = cli("audit", str(path), "--network", whole_story().file.network_hex).out
    signed = "finality       final result: signed by 4 of 5: node 0, node 1, node 2, node 3"
    assert f"{signed}\n" in shown
    alone = cli("audit", str(path)).out
    assert f"{signed} (nodes that the file itself names: compare its network id)\n" in alone
    assert "closing lists, the votes that they count, the certificate, totals" in shown
    assert "Are these all votes?" not in shown
    report = json.loads(cli("audit", str(path), "--json").out)
    assert (report["final"], report["signed_by"][0], report["closed"]) == (True, "node 0", True)
    path.write_bytes(good_archives()["while-voting"])
    shown = cli("audit", str(path)).out
    assert "these votes are final, more may come: signed by" in shown
    assert "Are these all votes?" in shown


def test_the_final_result_is_one_file_that_is_compared_with_the_archive(cli: Cli, tmp_path: Path) -> None:
    path, result = tmp_path / "named.jsonl", tmp_path / "result.json"
    path.write_bytes(good_archives()["whole"])
    done = cli("audit", str(path), "--result", str(result))
    assert f"votenet audit {path} --compare {result}" in done.out
    record = json.loads(result.read_bytes())
    assert (record["format"], record["votes"]) == ("votenet-result", 10)
    assert sum(votes for _, votes in record["contests"][0]["counts"]) == 10
    assert record["not_counted"]
    done = cli("audit", str(path), "--compare", str(result))
    assert (done.code, done.out.endswith(f"{result} says the same.\n")) == (0, True)
    result.write_bytes(result.read_bytes().replace(b'"votes":10', b'"votes":11'))
    done = cli("audit", str(path), "--compare", str(result), "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "wrong-totals")
    for archive in ("while-voting", "half-counted", "whole-without-certificate"):
        path.write_bytes(good_archives()[archive])
        done = cli("audit", str(path), "--result", str(tmp_path / "none"), "--json")
        assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "not-final")
    assert not (tmp_path / "none").exists()


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
    first, second = sorted(("Ann", "Bo"), key=held.contests[0].lot, reverse=True)
    assert f"Tied so far: {first}, {second}" in shown
    assert f"Tie in round 2 between Ann, Bo: {second} left, by lot" in shown
    assert "opening hours" in shown
    assert "opens " in shown
    assert "closes " in shown
    alone = audited(cli, tmp_path / "b", archive_of(held, [*votes[:4], make_vote(held, "v4", "Cy", "Bo")]))
    assert "Ahead so far: Bo" in alone, "an election without named nodes is never final"
    going_on = make_election(candidates=("Ann", "Bo"))
    assert "Ahead so far: Ann" in audited(
        cli, tmp_path / "c", archive_of(going_on, [make_vote(going_on, "v")])
    )


def test_the_audit_shows_no_counts_before_the_closing_where_they_are_shown_after_it(
    cli: Cli, tmp_path: Path
) -> None:
    for closes, shown in ((2**32 - 1, False), (CREATED + 60, True)):
        held = make_election(candidates=("Ann", "Bo"), results="after-close", closes=closes)
        found = audited(cli, tmp_path / "a", archive_of(held, [make_vote(held, "v", "Bo")]))
        assert ("Counts are shown after closing, at " in found) is not shown
        assert ("Bo" in found.split()) is shown
        told = json.loads(cli("audit", str(tmp_path / "a"), "--json").out)
        assert (told["counts_shown"], bool(told["contests"]), told["votes"]) == (shown, shown, 1)


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


def test_the_roll_of_the_network_here_is_used_if_it_is_of_the_election(cli: Cli, tmp_path: Path) -> None:
    roll, data = roll_archive(("ann", "ann"))
    here = roll_path(instance_dirs())
    here.parent.mkdir(parents=True)
    here.write_bytes(roll.to_file())
    shown = " ".join(audited(cli, tmp_path / "a", data).split())
    assert f"agrees with itself and with the roll {here}." in shown
    assert "every voter and key against the roll" in shown
    assert json.loads(cli("audit", str(tmp_path / "a"), "--json").out)["compared_with"] == {"roll": str(here)}
    other = cli("audit", str(tmp_path / "a"), "-i", "another", "--json").out
    assert json.loads(other)["compared_with"] == {}
    for text in (Roll([("zoe", key_of("zoe").public_hex)]).to_file(), b"damaged"):
        here.write_bytes(text)  # of another election, or of none
        assert "turnout" not in audited(cli, tmp_path / "a", data)


def test_without_a_network_the_next_step_is_told(cli: Cli, tmp_path: Path) -> None:
    done = cli("export")
    assert done.code == 3
    assert "--data-dir" in done.err
    assert cli("audit", str(tmp_path / "none")).code == 78


def test_a_chain_fetched_from_a_node_is_the_chain_in_its_folder(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    where = ("--node", str(node.address))
    for voter, choice in (("a1", "Alice"), ("a2", "Bob"), ("a3", "Bob")):
        cli("vote", *where, voter, choice)
    path = tmp_path / "election.jsonl"
    done = cli("export", *where, "--genesis", str(node.genesis), "-o", str(path))
    assert done.code == 0, done.err
    assert f"{node.address}: 100%" in done.err
    own = ("--data-dir", str(node.genesis.parent / "data"), "--genesis", str(node.genesis))
    assert path.read_text(encoding="utf-8") == cli("export", *own).out
    assert cli("audit", str(path)).code == 0


def test_a_failed_fetch_leaves_no_file(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    path, other = tmp_path / "election.jsonl", tmp_path / "other.json"
    other.write_bytes(make_election(title="Another").to_file())
    where = ("--node", str(node.address), "-o", str(path))
    assert "[network-mismatch]" in cli("export", *where, "--genesis", str(other)).err
    assert cli("export", *where, "--data-dir", str(tmp_path)).code == 2
    assert "[bad-address]" in cli("export", "--node", "nonsense", "-o", str(path)).err
    assert not path.exists()


# -- named nodes ---------------------------------------------------------------------------------------


def test_the_archive_of_named_nodes_ends_with_their_certificate(
    cli: Cli, named_node: RunningNode, tmp_path: Path
) -> None:
    where = ("--node", str(named_node.address))
    for voter in ("n1", "n2", "n3"):
        assert cli("vote", *where, voter, "Bob").code == 0
    near, far = tmp_path / "near.jsonl", tmp_path / "far.jsonl"
    folder = ("--data-dir", str(named_node.genesis.parent / "data"), "--genesis", str(named_node.genesis))
    assert cli("export", *folder, "-o", str(near)).code == 0
    assert cli("export", *where, "-o", str(far)).code == 0
    for path in (near, far):
        report = json.loads(
            cli("audit", str(path), "--network", named_node.election.network_hex, "--json").out
        )
        assert (report["votes"], report["signed_by"]) == (3, ["Node 0"])
        assert report["finality"] == "these votes are final, more may come: signed by 1 of 1: Node 0"
    done = cli("export", *folder, "--tiles", str(tmp_path / "log"))
    assert "no checkpoint" not in done.out
    assert (tmp_path / "log" / "checkpoint").exists()


def test_a_node_proves_the_votes_of_an_import_with_its_certificate(
    cli: Cli, named_node: RunningNode, tmp_path: Path
) -> None:
    assert cli("vote", "--node", str(named_node.address), "before", "Alice").code == 0
    path, data = tmp_path / "a.jsonl", tmp_path / "data"
    cli("export", "--node", str(named_node.address), "-o", str(path))
    done = cli("import", str(path), "--data-dir", str(data))
    assert done.code == 0
    assert "cannot give these blocks to a fresh node" in done.out
    assert f"votenet import {path} --data-dir DIR" in done.out
    with node_of(named_node.election, tmp_path) as copy:  # of the same named node: the other one is not asked
        where = ("--node", str(copy.address))
        receipt = tmp_path / "r.json"
        assert cli("receipt", *where, "before", "-o", str(receipt)).code == 0
        report = json.loads(cli("verify", str(receipt), "--json").out)
        assert (report["final"], report["signed_by"]) == (True, ["Node 0"])
        assert "final, more may come: signed by 1 of 1" in cli("results", *where).out


def test_an_import_that_named_nodes_have_not_signed_is_refused(cli: Cli, tmp_path: Path) -> None:
    path, folder = tmp_path / "a.jsonl", tmp_path / "fresh"
    for name, code in (("whole-without-certificate", 1), ("while-voting", 0)):
        path.write_bytes(good_archives()[name])
        done = cli("import", str(path), "--data-dir", str(folder))
        assert (done.code, "[not-final]" in done.err) == (code, code == 1)
        assert (folder / "chain.db").exists() is (code == 0)
