"""What earlier releases wrote, read by this version and the second verifier: the same verdicts and counts."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.belenios_check import read_archive
from votenet.core.election.roll import roll_from_file, with_roll
from votenet.core.records.archive import archive_lines
from votenet.core.records.evidence import check_evidence, decode_evidence
from votenet.core.records.final_result import check_result, decode_result
from votenet.errors import NotProven
from votenet.storage.blocks.chain_reader import best_height, read_chain, stored_certificate, stored_shares
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.ceremony_folder import CeremonyFolder
from votenet.storage.genesis_file import read_genesis
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

HERE = Path(__file__).parent
VERIFIER = HERE.parents[1] / "verifier" / "votenet_verifier.py"
RELEASES = sorted(path for path in HERE.iterdir() if (path / "public").is_dir())
ELECTIONS = [path for release in RELEASES for path in sorted(release.iterdir()) if path.name != "evidence"]
NAMES = [f"{path.parent.name} {path.name}" for path in ELECTIONS]
REGISTERED = "localhost:3999"


def unpacked(folder: Path, name: str, target: Path) -> Path:
    path = target / name
    path.write_bytes(lzma.decompress((folder / f"{name}.xz").read_bytes()))
    return path


def agrees(found: Any, expected: Any) -> bool:
    """Whether all that was said then is said now; more may be said."""
    if isinstance(expected, dict):
        return all(name in found and agrees(found[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(agrees, found, expected))
    return bool(found == expected)


def cli(*words: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def second(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, str(VERIFIER), *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def roll_of(folder: Path) -> tuple[str, ...]:
    return ("--roll", str(folder / "roll.json")) if (folder / "roll.json").exists() else ()


@pytest.fixture(params=ELECTIONS, ids=NAMES)
def election(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_there_is_a_release_with_every_kind_of_file() -> None:
    for release in RELEASES:
        held = {path.relative_to(release).parts[0] for path in release.rglob("*")}
        assert held >= {"public", "secret", "amended", "evidence"}


def test_archives_are_counted_as_then(election: Path, tmp_path: Path) -> None:
    path = unpacked(election, "archive.jsonl", tmp_path)
    expected = json.loads((election / "expected.json").read_text())["archive"]
    assert agrees(cli("audit", path, *roll_of(election)), expected)
    said = second("archive", path, *roll_of(election))
    for contest in expected["contests"]:
        for candidate, votes in contest["counts"]:
            assert candidate in said
            assert str(votes) in said


def receipts(folder: Path) -> Iterator[tuple[Path, Any]]:
    for name, expected in json.loads((folder / "expected.json").read_text()).items():
        if name != "archive":
            yield folder / name, expected


def test_receipts_hold_as_then(election: Path) -> None:
    found = list(receipts(election))
    assert found
    for path, expected in found:
        assert agrees(cli("verify", path, *roll_of(election)), expected)
        said = second("receipt", path, *roll_of(election))
        assert ("encrypted" in said) == (election.name == "secret")


def test_final_results_hold(election: Path) -> None:
    path = election / "result.json"
    if path.exists():
        check_result(decode_result(path.read_bytes()), None, None)
        second("result", path)


def test_the_folder_of_a_node_gives_the_same_archive(election: Path, tmp_path: Path) -> None:
    """Opened as a starting node does, with all its checks; an old database may be converted on the way."""
    folder = tmp_path / "node"
    folder.mkdir()
    for packed in (election / "node").iterdir():
        unpacked(election / "node", packed.name.removesuffix(".xz"), folder)
    made = read_genesis(election / "genesis.json")
    if roll_of(election):
        made = with_roll(made, roll_from_file((election / "roll.json").read_bytes()))
    SqliteBlockStore(folder, made).close()
    height, note = stored_certificate(folder)
    shares = stored_shares(folder) if made.secret is not None else ()
    lines = archive_lines(made, read_chain(folder, made, up_to=height), note, shares)
    assert b"".join(lines) == lzma.decompress((election / "archive.jsonl.xz").read_bytes())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_backup_is_restored_with_the_blocks_of_then(release: Path, tmp_path: Path) -> None:
    saved, folder = unpacked(release / "amended", "node.backup", tmp_path), tmp_path / "again"
    expected = json.loads((release / "amended" / "expected.json").read_text())["archive"]
    done = subprocess.run(
        [sys.executable, "-m", "votenet", "restore", str(saved), "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected["network_id"] in done.stdout
    assert best_height(folder) == expected["height"]
    assert (folder / "node.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_proofs_of_lies_hold(release: Path) -> None:
    files = sorted((release / "evidence").glob("[!g]*.json"))
    assert len(files) >= 7
    for path in files:
        proof = decode_evidence(path.read_bytes())
        if path.stem != "broken-acceptance":
            check_evidence(proof, None, None)
            continue
        with pytest.raises(NotProven) as refused:  # that a vote was left out is seen in an archive
            check_evidence(proof, None, None)
        assert refused.value.code == "needs-archive"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_the_registry_of_a_bootstrap_server_is_read(release: Path, tmp_path: Path) -> None:
    store = SqlitePeerStore(unpacked(release / "secret", "peers.db", tmp_path))
    try:
        assert store.find(REGISTERED) is not None
    finally:
        store.close()


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_the_archive_of_belenios_is_read(release: Path) -> None:
    archive = read_archive((release / "secret" / "election.bel").read_bytes())
    assert len(archive.ballots) == 5
    assert archive.result is not None


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_ceremony_is_read(release: Path) -> None:
    bulletin = CeremonyFolder(release / "secret" / "ceremony").bulletin()
    assert bulletin.waiting() is None
