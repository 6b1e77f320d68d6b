"""Signatures and secret ballots of an archive, checked on the workers of a Dask cluster.

Votes go there in ranges of blocks, as `archive_signatures.py` makes them. All other rules, the order and the
count stay here, so the report is the same. Whoever audits must own the cluster: a worker that lies can hide a
forgery. One that does not check at all is found, because each range holds one vote more, whose signature was
spoiled here.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from votenet import __version__
from votenet.core.election.definition import Election, election_from_file
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import HashedVote, Vote, forgeries, hash_votes
from votenet.core.records.archive_signatures import MAX_BATCHES, Forgery, StartCheck, first_forgery
from votenet.errors import ConfigError, Unreachable, VotenetError
from votenet.text import visible

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS: Final = 30.0
"""For the scheduler, and then for its first worker."""
RETRIES: Final = 3
"""How often Dask gives a range to another worker after one has died."""
RANGES_A_THREAD: Final = 2
"""Ranges under way for each thread of the cluster: one is checked while the next is on its way."""

_CHECK_WORKERS: Final = (
    "Look at the logs of the scheduler and its workers, then audit again; or leave out --dask."
)


@contextlib.contextmanager
def on_cluster(address: str) -> Iterator[tuple[StartCheck, int]]:
    """Checks on the workers of the cluster whose scheduler is at `address`, and how many may be under way.

    Args:
        address: `tcp://HOST:PORT`, or `tls://HOST:PORT` with the certificates of Dask's own configuration.

    Raises:
        ConfigError: no-dask, bad-address; other-version: a worker has none or another version of votenet.
        Unreachable: no-cluster, no-workers.
    """
    with _connected(address) as client:
        threads = _threads(client)
        yield _start_check(client), max(MAX_BATCHES, RANGES_A_THREAD * threads)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Client]:
    if not address.startswith(("tcp://", "tls://")):
        raise ConfigError(
            f"{visible(address)} is no address of a Dask scheduler",
            code="bad-address",
            next_step="Give it as the scheduler prints it: --dask tcp://HOST:8786",
        )
    try:
        import distributed
    except ImportError as error:
        raise ConfigError(
            "Dask is not installed",
            code="no-dask",
            next_step="Install it here and on the workers: pip install 'distributed>=2024.8'",
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised as an error
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unreachable(
            f"no Dask scheduler answers at {visible(address)}",
            code="no-cluster",
            next_step="Start one with: dask scheduler; then a worker on each machine: dask worker tcp://HOST:8786",
        ) from error
    with contextlib.closing(client):
        yield client


def _threads(client: Client) -> int:
    """The threads of all workers, each of which has this version of votenet. Raises as `on_cluster`."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        versions = client.run(worker_version)
    except TimeoutError as error:
        raise Unreachable(
            "the Dask cluster has no workers",
            code="no-workers",
            next_step="Start one on each machine: dask worker tcp://HOST:8786",
        ) from error
    except ImportError as error:
        raise _other_version("none") from error
    for worker, version in sorted(versions.items()):
        if version != __version__:
            raise _other_version(version, worker)
    return sum(client.nthreads().values())


def _other_version(version: str, worker: str = "a worker") -> ConfigError:
    return ConfigError(
        f"{visible(worker)} of the Dask cluster does not have votenet {__version__}: {visible(version)}",
        code="other-version",
        next_step=f"Install votenet {__version__} on every worker, the same as here.",
    )


def worker_version() -> str:
    """Runs on a worker: its version of votenet."""
    return __version__


def _start_check(client: Client) -> StartCheck:
    """A StartCheck whose work is done by the cluster."""

    def start(votes: Sequence[HashedVote], election: Election) -> Callable[[], Forgery | None]:
        place = secrets.randbelow(len(votes) + 1)
        records = [hashed.record for hashed in votes]
        records.insert(place, spoiled(votes[min(place, len(votes) - 1)]))
        sent: Any = client.submit(forged_records, records, election.to_file(), retries=RETRIES, pure=False)

        def wait() -> Forgery | None:
            found = _answer(sent)
            if place not in found:
                raise _not_checked()
            if len(found) == 1:
                return None
            # What a worker calls forged is checked again here: the words are the same as without a cluster.
            bad = first_forgery(votes, election)
            if bad is None:
                raise _not_checked()
            return bad

        return wait

    return start


def _answer(sent: Any) -> set[int]:
    from distributed import CancelledError, KilledWorker

    try:
        return set(sent.result())
    except (KilledWorker, CancelledError, OSError) as error:
        raise Unreachable(
            "the Dask cluster ended while it checked", code="cluster-failed", next_step=_CHECK_WORKERS
        ) from error


def _not_checked() -> VotenetError:
    return VotenetError(
        "a worker of the Dask cluster has checked wrongly",
        code="cluster-wrong",
        next_step="Audit without --dask, and look at the installations of the workers.",
    )


def spoiled(hashed: HashedVote) -> bytes:
    """The record of a vote with one digit of its signature changed."""
    good, place = hashed.vote.signature, secrets.randbelow(64)
    digit = "0" if good[place] != "0" else "1"
    signature = good[:place] + digit + good[place + 1 :]
    return canonical(msgspec.structs.replace(hashed.vote, signature=signature))


def forged_records(records: Sequence[bytes], genesis: bytes) -> list[int]:
    """Runs on a worker: the places of the records whose signature or secret ballot does not hold.

    Args:
        records: canonical votes.
        genesis: the genesis file of their election. (The proofs of a ballot depend on nothing that an
            amendment changes.)
    """
    votes = hash_votes([msgspec.json.decode(record, type=Vote) for record in records])
    return [place for place, wrong in enumerate(forgeries(votes, _election(genesis))) if wrong is not None]


@lru_cache(maxsize=4)
def _election(genesis: bytes) -> Election:
    return election_from_file(genesis)
