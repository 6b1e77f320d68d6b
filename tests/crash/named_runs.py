"""Four real named nodes; one of them is killed, or its disk fails, at an operation of its storage.

Each operation lies between what the node decided to say and the saying of it: a vote or an amendment that is
accepted, a proposal, a prevote, a precommit, a decided block, a certificate. After the restart no node has
evidence against it, all that it acknowledged is decided, and all four have one certified chain.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from crash.harness import ERRNOS, Outcome
from support.amendments import amendment
from support.elections import make_votes
from support.named_programs import NAMED, NamedPrograms
from votenet.core.election.amendment import Amendment
from votenet.core.ledger.vote import HashedVote

VICTIM: Final = 0
FAR: Final = 4_900_000_000
PATIENCE: Final = 60.0


class NamedBench:
    """A network that stays up while its first node dies again and again; a context manager."""

    def __init__(self, scratch: Path, shim: Path) -> None:
        self.network = NamedPrograms(scratch)
        self._folder, self._shim = scratch / self.network.name(VICTIM), shim
        self._voters = self._amendments = 0
        self._cast: list[HashedVote] = []

    def __enter__(self) -> NamedBench:
        try:
            for index in range(NAMED):
                self.network.start_named(index)
            self.network.wait_for(lambda: self.network.all_count(0), PATIENCE)
        except BaseException:  # pytest.fail, too: none is left behind
            self.network.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.network.end()

    def operations(self) -> tuple[list[str], int]:
        """Operations of a run with a vote and an amendment by name, and how many only opened the store."""
        log = self._folder.with_suffix(".log-of-operations")
        self.network.stop(self.network.name(VICTIM))
        self._start_faulty(LOG=str(log))
        self._wait_until_up()
        opening = len(log.read_text().splitlines())
        (vote,), change = self._next_votes(), self._next_amendment()
        self._hand_in(vote, change)
        self._settle()
        return log.read_text().splitlines(), opening

    def kill(self, number: int, operation: str, when: str) -> Outcome:
        """kill -9 at an operation of a run that takes a vote and decides it."""
        return self._experiment(operation, f"named: kill {when}", AT=str(number), ACTION=when)

    def fail(self, number: int, operation: str, name: str) -> Outcome:
        """The disk fails from this operation on, until the process is started again."""
        return self._experiment(operation, f"named: {name}", AT=str(number), ACTION=str(ERRNOS[name]))

    def _experiment(self, operation: str, fault: str, **faults: str) -> Outcome:
        name = self.network.name(VICTIM)
        self.network.stop(name)
        self._start_faulty(**faults)
        (vote,), change = self._next_votes(), self._next_amendment()
        # 1. The victim gets an amendment and a vote as soon as it listens, unless it dies before. It has a
        #    while for the rest.
        process, told, taken = self.network.running[name], False, False
        deadline = time.monotonic() + PATIENCE / 4
        while process.poll() is None and time.monotonic() < deadline:
            taken = taken or self.network.submit_amendment(VICTIM, change)
            told = told or self.network.submit(VICTIM, [vote])
            if told and taken and self._all_is_there():
                break
            time.sleep(0.05)
        self.network.kill(name)
        # 2. It comes back with a disk that works. What it did not acknowledge is handed in again.
        self.network.start_named(VICTIM)
        self._wait_until_up()
        if told and self._state(vote) == "unknown":
            return Outcome(operation, fault, False, "an acknowledged vote is lost")
        if taken and not self._has_amendment(change):
            return Outcome(operation, fault, False, "an acknowledged amendment is lost")
        self._hand_in(vote, change)
        self._settle()
        lies = [lie for index in range(NAMED) for lie in self.network.lies(index)]
        return Outcome(
            operation, fault, not (told and taken), f"it contradicted itself: {lies}" if lies else ""
        )

    def _hand_in(self, vote: HashedVote, change: Amendment) -> None:
        self.network.wait_for(lambda: self.network.submit_amendment(VICTIM, change), PATIENCE)
        self.network.wait_for(lambda: self.network.submit(VICTIM, [vote]), PATIENCE)

    def _state(self, vote: HashedVote) -> str:
        asked = b'{"type":"get_vote_status","voter_id":"%s"}' % vote.voter_id.encode()
        return str(self.network.answered(VICTIM, asked, "state")["state"])

    def _has_amendment(self, change: Amendment) -> bool:
        known = self.network.answered(VICTIM, b'{"type":"get_amendments"}', "count")
        return change.number <= known["count"] or change.number in known.get("waiting", ())

    def _next_amendment(self) -> Amendment:
        """Voting closes a second earlier, in a hundred years."""
        number = self._amendments = self._amendments + 1
        return amendment(self.network.election, "close", number=number, closes=FAR - number)

    def _next_votes(self) -> list[HashedVote]:
        self._voters += 1
        made = make_votes(self.network.election, 1, first=self._voters)
        self._cast += made
        return made

    def _settle(self) -> None:
        """Wait until all nodes have one chain with all votes and amendments, and its certificate."""
        self.network.wait_for(self._all_is_there, PATIENCE)

    def _all_is_there(self) -> bool:
        counts = {self.network.results(index).get("amendments", 0) for index in range(NAMED)}
        return counts == {self._amendments} and self.network.all_count(len(self._cast))

    def _wait_until_up(self) -> None:
        self.network.wait_for(lambda: self.network.results(VICTIM), PATIENCE)

    def _start_faulty(self, **faults: str) -> None:
        named = [f"IO_FAULTS_{name}={value}" for name, value in faults.items()]
        folder = f"IO_FAULTS_FOLDER={self._folder.resolve()}"
        self.network.start_named(VICTIM, f"LD_PRELOAD={self._shim}", folder, *named)
