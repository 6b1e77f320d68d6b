"""A real `votenet node` that is killed, or whose disk fails, at each step of taking votes and mining.

The client believes only what it was told. After the kill the node is started again without the shim
and asked for every vote that it acknowledged; then it must go on: a fresh vote, all votes in blocks.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from crash.harness import ERRNOS, Outcome, child_environment
from support.elections import EASY_BITS, make_election, make_votes
from support.ports import free_port
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.messages import encode_message

PATIENCE: Final = 60.0
ELECTION: Final = make_election(bits=EASY_BITS)
BATCHES: Final = (make_votes(ELECTION, 2), make_votes(ELECTION, 1, first=3))
FRESH: Final = make_votes(ELECTION, 1, first=9)
ALL: Final = (*BATCHES[0], *BATCHES[1], *FRESH)


class Gone(Exception):
    """The node died, or closed the connection."""


class NodeRun:
    """`votenet node` on a folder; a context manager that ends it with kill -9 if it still runs."""

    def __init__(self, folder: Path, environment: dict[str, str], *options: str) -> None:
        self.port = free_port()
        genesis = folder / "genesis.json"
        genesis.write_bytes(ELECTION.to_file())
        self._errors = folder / "stderr"
        where = ["--data-dir", folder / "home" / "data", "--genesis", genesis]
        where += ["--port", str(self.port), *options]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "votenet", "node", *where],
                env={**environment, "VOTENET_HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def __enter__(self) -> NodeRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def ask(self, request: bytes) -> dict[str, Any]:
        """One request on a connection of its own. Raises Gone."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as link:
                    link.sendall(request)
                    with link.makefile("rb") as lines:
                        answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
                        if not answer:
                            raise Gone("no answer")
                        return answer
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Gone(f"nothing listens: {self.errors[-500:]}") from None
                time.sleep(0.01)
            except OSError as error:
                raise Gone(str(error)) from error

    def submit(self, votes: list[HashedVote]) -> str:
        """'' when all were acknowledged, else the first code. Raises Gone."""
        message = SubmitVotes(votes=tuple(hashed.vote for hashed in votes), id=1)
        answer = self.ask(encode_message(message) + b"\n")
        if "error" in answer:
            return str(answer["error"]["code"])
        codes = [outcome.get("error", {}).get("code", "") for outcome in answer["outcomes"]]
        return next((code for code in codes if code not in ("", "duplicate-vote")), "")

    def state(self, vote: HashedVote) -> str:
        """unknown, accepted, in_block; or the code of a node that is starting over. Raises Gone."""
        answer = self.ask(_line(type="get_vote_status", voter_id=vote.voter_id))
        return str(answer["error"]["code"] if "error" in answer else answer["state"])

    def wait_until_mined(self, votes: list[HashedVote]) -> None:
        """Raises Gone; TimeoutError when they are in no block for long."""
        deadline = time.monotonic() + PATIENCE
        while any(self.state(vote) != "in_block" for vote in votes):
            if time.monotonic() > deadline:
                raise TimeoutError("the votes come into no block")
            time.sleep(0.01)

    def wait_until_dead(self) -> None:
        self.process.wait(PATIENCE)


def _line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


class NodeBench:
    """Experiments with one real node; every one starts from the same folder, made by a real node."""

    def __init__(self, scratch: Path, shim: Path) -> None:
        self._scratch, self._shim = scratch, shim
        self._seed = scratch / "seed"
        (self._seed / "home").mkdir(parents=True)
        with NodeRun(self._seed, child_environment(shim)) as node:
            node.ask(_line(type="ping"))
            assert node.stop() == 0, node.errors

    @contextlib.contextmanager
    def _folder(self, name: str) -> Iterator[Path]:
        folder = self._scratch / name
        shutil.copytree(self._seed, folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def operations(self) -> tuple[list[str], int]:
        """Names of the operations of a run without faults, and how many of them only opened the store."""
        with self._folder("operations") as folder:
            log = folder / "log"
            faults = {"IO_FAULTS_FOLDER": str(folder / "home"), "IO_FAULTS_LOG": str(log)}
            with NodeRun(folder, child_environment(self._shim, **faults)) as node:
                node.ask(_line(type="ping"))
                opening = len(log.read_text().splitlines())
                for batch in BATCHES:
                    code = node.submit(batch)
                    assert code == "", f"{code}: {node.errors}"
                    node.wait_until_mined(batch)
                count = log.read_text().splitlines()
            return count, opening

    def kill(self, number: int, operation: str, when: str) -> Outcome:
        """kill -9 at an operation; every vote acknowledged until then is there afterwards."""
        with self._folder(f"{number}-{when}") as folder:
            faults = {"FOLDER": folder / "home", "AT": number, "ACTION": when}
            told: list[HashedVote] = []
            # An operation that this run never reaches: the node is killed while nothing happens.
            problem = ""
            with self._faulty(folder, faults) as node, contextlib.suppress(Gone):
                try:
                    for batch in BATCHES:
                        if node.submit(batch) == "":
                            told += batch
                        node.wait_until_mined(batch)
                except TimeoutError as error:
                    problem = f"{error}, before it was killed ({node.errors[-500:]})"
            problem = problem or self._judge(folder, told)
            return Outcome(operation, f"node: kill {when}", False, problem)

    def fail(self, number: int, operation: str, name: str) -> Outcome:
        """A disk that fails from this operation on: the voter is told, the node stays, and goes on later."""
        with self._folder(f"{number}-{name}") as folder:
            healed = folder / "healed"
            faults = {"FOLDER": folder / "home", "AT": number, "ACTION": ERRNOS[name], "HEALED": healed}
            told: list[HashedVote] = []
            refused, problem = "", ""
            with self._faulty(folder, faults) as node:
                try:
                    refused = self._submit_refused(node)
                    healed.touch()
                    told = [vote for batch in BATCHES for vote in batch]
                    for batch in BATCHES:
                        self._submit_again(node, batch)
                        node.wait_until_mined(batch)
                except (Gone, TimeoutError) as error:
                    problem = f"{error} ({node.errors[-300:]})"
            problem = problem or self._judge(folder, told)
            if refused not in ("", "storage-failed"):
                problem = problem or f"refused with {refused}"
            return Outcome(operation, f"node: {name}", bool(refused), problem)

    def _submit_refused(self, node: NodeRun) -> str:
        """The code of the first refusal, '' when mining alone met the fault (or nothing did)."""
        for batch in BATCHES:
            code = node.submit(batch)
            if code:
                return code
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and "cannot save" not in node.errors:
                if node.state(batch[0]) == "in_block":
                    break
                time.sleep(0.02)
        return ""

    def _submit_again(self, node: NodeRun, batch: list[HashedVote]) -> None:
        deadline = time.monotonic() + PATIENCE
        while (code := node.submit(batch)) not in ("", "already-voted"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"still refused with {code}")
            time.sleep(0.05)

    def _faulty(self, folder: Path, faults: dict[str, object]) -> NodeRun:
        named = {f"IO_FAULTS_{name}": str(value) for name, value in faults.items()}
        return NodeRun(folder, child_environment(self._shim, **named))

    def _judge(self, folder: Path, told: list[HashedVote]) -> str:
        environment = child_environment(self._shim)
        with NodeRun(folder, environment) as node:
            try:
                lost = [vote.voter_id for vote in told if node.state(vote) not in ("accepted", "in_block")]
                if lost:
                    return f"acknowledged and lost: {lost}"
                code = node.submit(FRESH)
                if code:
                    return f"a fresh vote is refused: {code}"
                node.wait_until_mined([*told, *FRESH])
                there = [
                    vote for vote in ALL if node.state(vote) != "unknown"
                ]  # some unacknowledged, perhaps
                node.wait_until_mined(there)
                counted = node.ask(_line(type="get_results"))["votes"]
                if counted != len(there):
                    return f"{len(there)} voters have a vote in a block, but {counted} votes are counted"
            except (Gone, TimeoutError) as error:
                return f"{error} ({node.errors[-300:]})"
            if node.stop() != 0 or "Traceback" in node.errors:
                return f"a trace, or a bad end: {node.errors[-300:]}"
        return ""
