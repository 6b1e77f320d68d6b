"""Only the node writes lines into its log, and nothing in it drives a terminal."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversary.arena import Node, player
from adversary.text import ADVERSARIES, FORGED
from support.elections import make_election
from votenet.pow import bits_for_zero_bits

SECONDS = max(float(os.environ.get("ADVERSARY_SECONDS", "0")) / 2, 1.0)
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) votenet[.\w]*: .|  ")
_hosts = itertools.count(101)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election(bits=bits_for_zero_bits(8), created=int(time.time()) - 60).to_file())
    made = Node(tmp_path / "node", genesis)
    yield made
    assert made.end() == 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_stranger_forges_no_line_of_the_log(node: Node, name: str) -> None:
    async def play() -> None:
        await node.listens()
        genesis = node.folder.parent / "genesis.json"
        await player("text.py", name, node.address, f"127.0.0.{next(_hosts)}", SECONDS, genesis)

    asyncio.run(play())
    log = node.log()
    lines = log.removesuffix("\n").split("\n")
    assert len(lines) > 3
    assert not [line for line in lines if line.startswith(FORGED[:30])]
    assert not [line for line in lines if not LINE.match(line)], "a line that the node did not begin"
    assert not [line for line in lines if len(line) > 2000]
    acting = {c for c in log if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")}
    assert not acting
