"""The operator's channel of a node: a unix socket in its data folder.

There is no such door on TCP: only this user on this machine can ban, or see who is banned.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from votenet.config import InstanceDirs, private_dir, short_run_dir
from votenet.errors import Command, NextStep, NotRunning, VotenetError
from votenet.network.node.ban_list import BanList
from votenet.processes.control import ask
from votenet.processes.control_server import Progress


def control_socket(data_dir: Path) -> Path:
    """The socket of the node with this data folder; its folder is made if a long path needs another."""
    folder = short_run_dir(data_dir.absolute())
    return (folder if folder == data_dir.absolute() else private_dir(folder)) / "control.sock"


def ask_node(data_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the node with this data folder. Raises NotRunning; VotenetError: it refused."""
    socket = control_socket(data_dir)
    try:
        return ask(InstanceDirs(data_dir.name, data_dir, socket.parent, data_dir), request, timeout=10.0)
    except NotRunning as error:
        raise NotRunning(
            f"no node is running with the data folder {data_dir}",
            next_step=NextStep(
                "Name the folder of a node that runs, or start this one with: {}",
                Command("node", "--data-dir", str(data_dir), "--genesis", "FILE"),
            ),
        ) from error


class NodeControl:
    """Answers the operator of one running node."""

    def __init__(self, bans: BanList) -> None:
        self._bans = bans

    async def handle(self, request: dict[str, Any], progress: Progress) -> Mapping[str, Any]:
        """`ban` (subject, seconds), `unban` (subject), `banned`. A ban is on the disk when it is answered.

        Raises:
            VotenetError: bad-message, unknown-type; Rejected: bad-address.
        """
        command = request["command"]
        if command == "banned":
            return {"bans": [ban._asdict() for ban in self._bans.now()]}
        if command not in ("ban", "unban"):
            raise VotenetError(f"a node knows no command {command!r}", code="unknown-type")
        subject = request.get("subject")
        if not isinstance(subject, str):
            raise VotenetError("the subject is missing", code="bad-message")
        if command == "unban":
            return {"lifted": await self._bans.unban(subject)}
        seconds = request.get("seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= 366 * 86400:
            raise VotenetError("seconds must be from 1 to a year", code="bad-message")
        return {"bans": [ban._asdict() for ban in await self._bans.ban(subject, seconds)]}
