"""A real file system that is full: a tmpfs of some hundred kilobytes, in a mount namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crash.harness import python_path
from crash.workload import ELECTION, opened
from support.elections import make_votes
from votenet.core.ledger.vote import HashedVote
from votenet.errors import StorageError
from votenet.protocol.node.events import SaveVotes
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

SIZE_KIB: Final = 400
BALLAST_KIB: Final = 150
BATCH: Final = 20


def why_not() -> str:
    """'' where a namespace with a file system of its own can be made, else the reason."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    done = subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/tmp"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"mounting is not permitted here: {done.stderr.strip()}"


def run_on_a_small_disk(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run this module with `folder` on a small tmpfs; exit code 0 when every promise was kept."""
    script = f'mount -t tmpfs -o size={SIZE_KIB}k none "$1" && exec "$2" -m crash.small_disk "$1"'
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-ec", script, "sh", folder, sys.executable],
        env={"PYTHONPATH": python_path(), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def fill(home: Path) -> None:
    """Take votes until the disk is full, make room, go on; everything acknowledged is there at the end."""
    ballast = home / "ballast"
    ballast.write_bytes(bytes(BALLAST_KIB * 1024))
    acknowledged: list[str] = []
    votes = make_votes(ELECTION, 40 * BATCH)
    batches = [votes[at : at + BATCH] for at in range(0, len(votes), BATCH)]
    refused = 0
    with opened(home) as (store, _):
        for batch in batches:
            why = refusal(store, batch)
            if why is not None:
                assert "the disk is full" in why.message, why.message
                assert why.next_step
                refused += 1
                assert [hashed.voter_id for hashed in store.load().waiting] == acknowledged
                if not ballast.exists():
                    break
                ballast.unlink()
                store.apply([SaveVotes(batch)])
            acknowledged += [hashed.voter_id for hashed in batch]
    assert refused == 2, f"the disk was full {refused} times, not twice"
    with tempfile.TemporaryDirectory(dir=home.parent) as elsewhere:
        moved = shutil.copytree(home, Path(elsewhere) / "moved")
        with opened(moved) as (store, _):
            assert [hashed.voter_id for hashed in store.load().waiting] == acknowledged
    print(f"{len(acknowledged)} votes acknowledged, full twice, none lost")


def refusal(store: SqliteBlockStore, votes: Sequence[HashedVote]) -> StorageError | None:
    try:
        store.apply([SaveVotes(votes)])
    except StorageError as error:
        return error
    return None


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
