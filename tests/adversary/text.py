"""Adversaries that write: they try to put lines of their own into a node's log, and commands to a terminal.

Started as the players of `adversaries.py`:

    python text.py NAME PORT SOURCE SECONDS GENESIS
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from adversary.adversaries import Foul
from votenet.core.keys import SigningKey
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.messages import encode_message

FORGED = "2026-01-01T00:00:00.000Z WARNING votenet.node: stopping, the election was cancelled"
"""What the operator is to read as a line of the node's own."""
HOSTILE = f"x\n{FORGED}\n\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj.exe\u2028{FORGED}\u2066 [bold]y[/bold]"


async def forge_log_by_hello(foul: Foul) -> None:
    """As the address at which we claim to listen: "joined peer %s"."""
    while foul.playing:
        wire = await foul.dial()
        if wire is not None:
            identity = LocalNode(SigningKey(os.urandom(32)), foul.network, HOSTILE, False)
            connection = Connection(identity, outbound=True, challenge=os.urandom(32))
            await wire.send(encode_message(connection.hello(0, 0)) + b"\n")
            line = await wire.line(2.0)
            if line is not None and not line.startswith(b'{"error"'):
                for answer in connection.receive(line, 0, 0)[1]:
                    await wire.send(encode_message(answer) + b"\n")
                await wire.rest(0.2)
            wire.close()
        await asyncio.sleep(0.1)


async def forge_log_by_refusal(foul: Foul) -> None:
    """As the reason for which we, a peer, refuse the node: "refused us: %s"."""
    while foul.playing:
        wire = await foul.peer()
        if wire is not None:
            refusal = {"code": "busy", "message": HOSTILE + "y" * 100_000}
            await wire.send(json.dumps({"error": refusal}).encode() + b"\n")
            await wire.rest(0.2)
            wire.close()
        await asyncio.sleep(0.1)


ADVERSARIES: dict[str, Callable[[Foul], Awaitable[None]]] = {
    play.__name__: play for play in (forge_log_by_hello, forge_log_by_refusal)
}


def main(name: str, port: str, source: str, seconds: str, genesis: str) -> None:
    from votenet.storage.genesis_file import read_genesis

    foul = Foul(int(port), source, float(seconds), read_genesis(Path(genesis)), frozenset())
    asyncio.run(ADVERSARIES[name](foul))
    print(json.dumps({"codes": foul.codes, "lines": foul.lines}))


if __name__ == "__main__":
    main(*sys.argv[1:])
