"""Five named nodes, some of an earlier version, upgraded one after the other on their folders.

`make mixed` installs the earlier version into a folder of its own and names that in VOTENET_OLD_SITE.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversary.named_arena import NamedArena, NamedNode
from votenet import __version__

OLD_SITE = os.environ.get("VOTENET_OLD_SITE", "")
OLD, NEW = OLD_SITE, ""
FIRST_OLD = (0, 1, 2)
"""Nodes that are of the earlier version at first. A quorum of four needs both versions."""


@contextlib.contextmanager
def version(site: str) -> Iterator[None]:
    """Programs that are started inside are of this version."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (site, before)))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


class MixedArena(NamedArena):
    """`old`: indexes of the nodes that run the earlier version when they start next."""

    def __init__(self, folder: Path) -> None:
        self.old = set(FIRST_OLD)
        super().__init__(folder)

    def start(self, index: int, folder: Path | None = None) -> NamedNode:
        with version(OLD if index in self.old else NEW):
            return super().start(index, folder)

    def node(self, index: int) -> NamedNode:
        return next(node for node in self.nodes if node.index == index)

    async def upgrade(self, index: int) -> None:
        """Stop a node, and start it again on its folder with the program of today."""
        node = self.node(index)
        assert node.end() == 0, node.log()
        self.nodes.remove(node)
        self.old.discard(index)
        again = self.start(index)
        await again.listens()
        assert (await again.status()).version == __version__


def votenet(site: str, home: Path, *words: str) -> str:
    """What a command of a version prints."""
    with version(site):
        done = subprocess.run(
            [sys.executable, "-m", "votenet", *words],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            env={**os.environ, "VOTENET_HOME": str(home)},
        )
    assert done.returncode == 0, f"{words} of {site or 'today'}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def commands_work(arena: MixedArena, folder: Path) -> None:
    """Both versions' commands at a node of each version: they vote, and get a receipt that both verify."""
    for site in (OLD, NEW):
        home = folder / f"home-{bool(site)}"
        for index in (FIRST_OLD[0], 4):
            place = ("--node", str(arena.node(index).address))
            voter = f"voter-{bool(site)}-{index}"
            votenet(site, home, "vote", *place, voter, "Alice", "--wait", "120")
            arena.acknowledged.add(voter)
            assert json.loads(votenet(site, home, "status", *place, "--json"))
            receipt = folder / f"{voter}.receipt"
            votenet(site, home, "receipt", *place, voter, "-o", str(receipt))
            for reader in (OLD, NEW):
                checked = ("verify", str(receipt), "--network", arena.election.network_hex)
                votenet(reader, home, *checked)


def results_agree(arena: MixedArena, folder: Path) -> None:
    """The counts of both versions' commands at all nodes, and of both versions' audits."""
    counts = []
    for site in (OLD, NEW):
        home = folder / f"home-{bool(site)}"
        for node in arena.nodes:
            shown = json.loads(votenet(site, home, "results", "--node", str(node.address), "--json"))
            counts.append(shown["contests"])
        archive = folder / f"archive-{bool(site)}.jsonl"
        votenet(site, home, "export", "--node", str(arena.nodes[0].address), "-o", str(archive))
        for reader in (OLD, NEW):
            check = ("audit", str(archive), "--network", arena.election.network_hex, "--json")
            report = json.loads(votenet(reader, home, *check))
            counts.append(report["contests"])
            assert report["votes"] == len(arena.acknowledged)
    assert all(count == counts[0] for count in counts)


@pytest.mark.e2e
@pytest.mark.skipif(
    not OLD_SITE, reason="no earlier version is named in VOTENET_OLD_SITE: make mixed does it"
)
def test_nodes_of_two_versions_decide_together_and_are_upgraded_one_after_the_other(tmp_path: Path) -> None:
    async def test(arena: MixedArena) -> None:
        await arena.ready()
        versions = {status.version for status in await arena.statuses()}
        assert len(versions) == 2
        await arena.vote(10)
        await arena.agree()
        await asyncio.to_thread(commands_work, arena, tmp_path)
        await arena.agree()
        for index in FIRST_OLD:
            await arena.upgrade(index)
            await arena.vote(5)
            await arena.agree()
        assert {status.version for status in await arena.statuses()} == {__version__}
        await asyncio.to_thread(results_agree, arena, tmp_path)
        assert not any((await arena.lies()).values())

    arena = MixedArena(tmp_path)
    try:
        asyncio.run(test(arena))
    finally:
        arena.end()
    arena.check_logs()
