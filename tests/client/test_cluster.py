"""Audits on a real Dask cluster of two workers: the report and the faults of one machine; wrong workers."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from support.archives import good_archive, tampered
from support.dask_cluster import dask_cluster
from support.elections import make_election, make_vote
from votenet.client import cluster
from votenet.client.archive_file import opened_check
from votenet.core.ledger.vote import hash_votes, signature_holds
from votenet.core.records.archive import ArchiveReport
from votenet.errors import NotProven, VotenetError


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dask_cluster(str(tmp_path_factory.mktemp("dask"))) as address:
        yield address


def report(path: Path, scheduler: str | None = None) -> ArchiveReport:
    with opened_check(path, cluster=scheduler) as (check, _):
        return check.run()


def test_a_cluster_gives_the_report_that_one_machine_gives(scheduler: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(good_archive())
    assert msgspec.to_builtins(report(path, scheduler)) == msgspec.to_builtins(report(path))


def test_a_forged_vote_is_refused_with_the_words_of_one_machine(scheduler: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    forged = [data for code, data in tampered().values() if code == "bad-signature"]
    assert len(forged) > 3
    for data in forged:
        path.write_bytes(data)
        said = []
        for where in (scheduler, None):
            with pytest.raises(NotProven) as caught:
                report(path, where)
            said.append((caught.value.code, str(caught.value)))
        assert said[0] == said[1]
        assert said[0][0] == "bad-signature"


def test_a_worker_that_checks_nothing_is_found(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "archive"
    path.write_bytes(good_archive())
    monkeypatch.setattr(cluster, "forged_records", lambda _records, _genesis: [])
    with pytest.raises(VotenetError) as caught:
        report(path, scheduler)
    assert caught.value.code == "cluster-wrong"


def test_a_worker_that_dies_is_replaced(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mark, check = tmp_path / "archive", tmp_path / "died", cluster.forged_records

    def dying(records: list[bytes], genesis: bytes) -> list[int]:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return check(records, genesis)

    path.write_bytes(good_archive())
    monkeypatch.setattr(cluster, "forged_records", dying)
    assert report(path, scheduler) == report(path)
    assert mark.exists()


def test_a_worker_with_another_version_is_named(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(VotenetError) as caught, cluster.on_cluster(scheduler):
        pass
    assert caught.value.code == "other-version"
    assert "votenet 0.0.1" in str(caught.value.next_step)


def test_a_wrong_address_and_no_scheduler_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'votenet[dask]'")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing answers
        wrong = {"10.0.0.9:8786": "bad-address", f"tcp://127.0.0.1:{taken.getsockname()[1]}": "no-cluster"}
        for address, code in wrong.items():
            with pytest.raises(VotenetError) as caught, cluster.on_cluster(address):
                pass
            assert caught.value.code == code


def test_a_cluster_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dask_cluster(str(tmp_path), workers=0) as address:
        monkeypatch.setattr(cluster, "CONNECT_SECONDS", 5.0)
        with pytest.raises(VotenetError) as caught, cluster.on_cluster(address):
            pass
    assert caught.value.code == "no-workers"


def test_a_spoiled_vote_is_the_vote_but_for_its_signature() -> None:
    election = make_election()
    votes = [make_vote(election, "voter")]
    spoiled = msgspec.json.decode(cluster.spoiled(votes[0]), type=type(votes[0].vote))
    assert msgspec.structs.replace(spoiled, signature=votes[0].vote.signature) == votes[0].vote
    assert not signature_holds(hash_votes([spoiled])[0])
    records = [cluster.spoiled(votes[0]), votes[0].record, cluster.spoiled(votes[0])]
    assert cluster.forged_records(records, election.to_file()) == [0, 2]
