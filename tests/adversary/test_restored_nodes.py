"""A named node with an old disk, one that runs twice, a new node among liars: as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adversary.arena import PATIENCE, Node
from adversary.named_arena import NamedArena, NamedNode, named_arena
from crash.harness import build_shim, compiler
from support.elections import make_election, mine_header, named_nodes
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.block import Header, genesis_header
from votenet.core.ledger.statement import Commit
from votenet.core.limits import BLOCK_VERSION
from votenet.errors import VotenetError
from votenet.pow import bits_for_zero_bits
from votenet.protocol.node.round_statements import decode_state
from votenet.protocol.wire.client_messages import NodeStatus
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetHeaders, Headers
from votenet.storage.blocks.tables import unseal

OLD = 1


@pytest.mark.e2e
def test_a_restored_backup_does_not_vote_twice(tmp_path: Path) -> None:
    async def test(arena: NamedArena) -> None:
        victim = arena.nodes[OLD]
        await arena.vote(3)
        await arena.agree()
        # 1. A backup of a running node, at a moment in which it has just voted.
        await arena.vote(2)
        assert victim.end() == 0
        shutil.copytree(victim.folder, tmp_path / "backup")
        arena.nodes.remove(victim)
        again = arena.start(OLD)
        await again.listens()
        await arena.vote(10)
        await arena.agree()
        # 2. It is killed among decisions, and comes back with the old disk: others have what it acknowledged.
        await arena.vote(4)
        await arena.all_hold()
        await arena.vote(1)
        again.process.kill()
        again.end()
        arena.nodes.remove(again)
        shutil.rmtree(again.folder)
        shutil.copytree(tmp_path / "backup", again.folder)
        await arena.vote(5)
        restored = arena.start(OLD)
        await restored.listens()
        await arena.agree()
        # 3. It takes part again: without it and another one there is no quorum.
        other = next(node for node in arena.nodes if node.index == 3)
        assert other.end() == 0
        arena.nodes.remove(other)
        await arena.vote(4)
        await arena.agree()
        assert not any((await arena.lies()).values())

    with named_arena(tmp_path) as arena:
        asyncio.run(test(arena))
        arena.check_logs()


def votenet(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def put_back(arena: NamedArena, backup: Path, folder: Path) -> None:
    """Its folder made anew by `votenet restore`."""
    where = ("--data-dir", str(folder))
    votenet("restore", str(backup), *where, "--network", arena.election.network_hex)


async def is_silent(node: NamedNode) -> bool:
    return any(warning.code == "restored" for warning in (await node.status()).warnings)


def signed_at(node: NamedNode) -> int:
    """The height of its newest own statement, as it is saved."""
    ((sealed,),) = node.read("SELECT value FROM meta WHERE name = 'finality'")
    found = decode_state(unseal("finality", sealed))
    assert found is not None
    return found.height


@pytest.mark.e2e
def test_a_node_restored_by_the_command_is_silent_until_others_have_decided_two_more_blocks(
    tmp_path: Path,
) -> None:
    async def test(arena: NamedArena) -> None:
        victim, backup = arena.nodes[OLD], tmp_path / "north.backup"
        await arena.vote(2)
        await arena.agree()
        # 1. A backup of a node that runs; it signs for more blocks before its disk is lost.
        where = ("--data-dir", str(victim.folder), "--genesis", str(arena.genesis))
        await asyncio.to_thread(votenet, "backup", *where, "-o", str(backup))
        for _ in range(3):
            await arena.vote(1)
            await arena.agree()
        await arena.all_hold()
        victim.process.kill()
        victim.end()
        arena.nodes.remove(victim)
        shutil.rmtree(victim.folder)
        # 2. It comes back, catches up, and signs nothing.
        put_back(arena, backup, victim.folder)
        restored = arena.start(OLD)
        await restored.listens()
        await arena.agree()
        assert await is_silent(restored)
        before, height = signed_at(restored), (await restored.status()).height
        assert before < height
        # 3. The others go on; it follows them, and speaks beyond what its lost disk can have signed.
        while await is_silent(restored):
            await arena.vote(1)
            await arena.agree()
        assert (await restored.status()).height >= height + 2
        # 4. It counts again: without it and another one there is no quorum.
        other = next(node for node in arena.nodes if node.index == 3)
        assert other.end() == 0
        arena.nodes.remove(other)
        await arena.vote(2)
        await arena.agree()
        assert signed_at(restored) > height + 2
        assert not any((await arena.lies()).values())

    with named_arena(tmp_path) as arena:
        asyncio.run(test(arena))
        arena.check_logs()


@pytest.mark.e2e
def test_one_backup_restored_twice_makes_no_liar(tmp_path: Path) -> None:
    """Two copies run: whatever links each of them gets, they do not contradict each other."""

    async def test(arena: NamedArena) -> None:
        victim, backup = arena.nodes[OLD], tmp_path / "north.backup"
        await arena.vote(2)
        await arena.agree()
        where = ("--data-dir", str(victim.folder), "--genesis", str(arena.genesis))
        await asyncio.to_thread(votenet, "backup", *where, "-o", str(backup))
        await arena.vote(2)
        await arena.all_hold()
        await arena.agree()
        assert victim.end() == 0
        arena.nodes.remove(victim)
        shutil.rmtree(victim.folder)
        copies = [victim.folder, tmp_path / "copy"]
        for folder in copies:
            put_back(arena, backup, folder)
        for folder in copies:
            arena.start(OLD, folder).lie = "it runs twice"
        for _ in range(6):
            await arena.vote(2)
            await arena.agree()
        assert not any((await arena.lies()).values())

    with named_arena(tmp_path) as arena:
        asyncio.run(test(arena))
        arena.check_logs(links=False)


@pytest.mark.e2e
@pytest.mark.skipif(compiler() is None, reason="no C compiler: no disk can be made to fail")
def test_the_election_goes_on_beside_a_node_whose_disk_is_full_and_that_says_so(tmp_path: Path) -> None:
    healed = tmp_path / "healed"

    async def test(arena: NamedArena, environment: dict[str, str]) -> None:
        await arena.vote(2)
        await arena.agree()
        assert arena.nodes[OLD].end() == 0
        del arena.nodes[OLD]
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            full = arena.start(OLD)
        full.lie = "its disk is full"
        await full.listens()

        async def stands() -> tuple[bool, int]:
            """Whether it says that it cannot save, and how many votes it has; it drops links meanwhile."""
            with contextlib.suppress(VotenetError):
                status = await full.status()
                return any(warning.code == "cannot-save" for warning in status.warnings), status.votes
            return False, 0

        while not (await stands())[0]:
            await arena.vote(1)  # at the others, who lose nothing
        await arena.vote(3)
        await arena.agree()
        healed.touch()
        await arena.vote(1)

        async def is_back() -> bool:
            return await stands() == (False, len(arena.acknowledged))

        await arena.until(is_back)
        assert not any((await arena.lies()).values())

    faults = {"FOLDER": (tmp_path / f"n{OLD}").resolve(), "AT": 150, "ACTION": errno.ENOSPC, "HEALED": healed}
    named = {f"IO_FAULTS_{name}": str(value) for name, value in faults.items()}
    (tmp_path / "shim").mkdir()
    with named_arena(tmp_path) as arena:
        asyncio.run(test(arena, {"LD_PRELOAD": str(build_shim(tmp_path / "shim")), **named}))
        arena.check_logs()


@pytest.mark.e2e
def test_two_processes_with_one_key_are_shown_and_decide_nothing_twice(tmp_path: Path) -> None:
    async def test(arena: NamedArena) -> None:
        await arena.vote(3)
        await arena.agree()
        twin = arena.start(OLD, tmp_path / "twin")
        twin.lie = "it runs twice"
        with contextlib.suppress(VotenetError):
            await twin.listens()

        async def shown() -> bool:
            statuses = [await node.status() for node in arena.nodes if node.index == OLD and node.alive]
            return any(warning.code == "key-twice" for status in statuses for warning in status.warnings)

        await arena.until(shown)
        await arena.vote(8)
        await arena.agree()
        for found in (await arena.lies()).values():
            assert {node for node, _ in found} <= {OLD}

    with named_arena(tmp_path) as arena:
        asyncio.run(test(arena))


class FalseNode:
    """A stranger's node: it takes links, claims all the work in the world, and serves its own chain."""

    def __init__(self, election: Election) -> None:
        self.election, self.key = election, SigningKey(os.urandom(32))
        self.asked = 0
        parent, self.headers = genesis_header(election), []
        for _ in range(30):
            parent = mine_header(
                Header(BLOCK_VERSION, parent.hash, os.urandom(32), parent.time, election.bits, 0)
            )
            self.headers.append(parent.pack().hex())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = "{}:{}".format(*writer.get_extra_info("sockname"))
        us = LocalNode(self.key, self.election.network_hex, own, False)
        connection = Connection(us, outbound=False, challenge=os.urandom(32))
        with contextlib.closing(writer), contextlib.suppress(OSError, VotenetError):
            while line := await reader.readline():
                message, answers = connection.receive(line.rstrip(b"\n"), 30, 2**200, int(time.time()))
                if isinstance(message, GetHeaders):
                    self.asked += 1
                    commit = Commit(round=0, signatures={str(node): "00" * 64 for node in range(4)})
                    answers = [Headers(headers=tuple(self.headers), commit=commit, id=message.id)]
                for answer in answers:
                    writer.write(encode_message(answer) + b"\n")


@pytest.mark.e2e
def test_a_new_node_that_is_told_of_liars_alone_believes_nothing_and_is_not_synced(tmp_path: Path) -> None:
    election = make_election(bits=bits_for_zero_bits(8), created=int(time.time()) - 60, nodes=named_nodes(5))
    (tmp_path / "genesis.json").write_bytes(election.to_file())

    async def test() -> NodeStatus:
        false = FalseNode(election)
        async with await asyncio.start_server(false.serve, "127.0.0.1", 0, limit=2**25) as server:
            port = server.sockets[0].getsockname()[1]
            node = Node(tmp_path / "relay", tmp_path / "genesis.json", "--peer", f"127.0.0.1:{port}")
            try:
                await node.listens()
                async with asyncio.timeout(PATIENCE):
                    while not false.asked:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                await asyncio.sleep(1.0)
                return await node.status()
            finally:
                assert node.end() == 0
                assert "defect" not in node.log()

    status = asyncio.run(test())
    assert (status.height, status.synced) == (0, False)
