"""The named nodes of an election that run in an instance here, and what it costs to stop some of them."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from votenet.cli.election.election_setup import authority_path
from votenet.config import InstanceDirs
from votenet.core.election.definition import Election
from votenet.core.election.quorum import NEVER_FINAL, NOT_FINAL_WHILE_AWAY, tolerance_sentence
from votenet.errors import Command, ConfigError, NextStep, VotenetError
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import AUTHORITY, NODE_KEY_NAME, read_key

_AT_WORK = ("starting", "ready", "unready", "backoff", "paused")


def named_programs(dirs: InstanceDirs, election: Election) -> set[str]:
    """Names of the programs of an instance whose keys are in the definition."""
    found = set()
    for path in dirs.state.glob(f"node-*/{NODE_KEY_NAME}"):
        with contextlib.suppress(ConfigError):
            if election.node_index(read_key(path, "node").public_hex) is not None:
                found.add(path.parent.name)
    return found


def check_quorum(dirs: InstanceDirs, status: Mapping[str, Any], names: Sequence[str], again: Command) -> None:
    """Check that enough named nodes go on when programs of a running network stop.

    Args:
        names: what is to stop; a name may be a pattern such as `node-*`.
        again: the command that stops them all the same.

    Raises:
        VotenetError: no-quorum.
    """
    if not names:
        return
    election = read_genesis(Path(status["genesis"]))
    at_work = {program["name"] for program in status["programs"] if program["state"] in _AT_WORK}
    stopped = {name for name in at_work if any(fnmatch.fnmatch(name, pattern) for pattern in names)}
    named = named_programs(dirs, election)
    refuse_below_quorum(election, named, at_work & named, (at_work - stopped) & named, again)


def refuse_below_quorum(
    election: Election,
    named: Collection[str],
    before: Collection[str],
    after: Collection[str],
    again: Command,
) -> None:
    """Refuse to have fewer named nodes at work than must agree; those of other machines are thought to be up.

    Args:
        named: the named nodes of this instance.
        before: those of them at work, and `after` those that would be.

    Raises:
        VotenetError: no-quorum.
    """
    left = election.named - len(named) + len(after)
    if left >= election.quorum or len(after) >= len(before):
        return
    raise VotenetError(
        f"fewer than {election.quorum} of {election.named} named nodes: {NOT_FINAL_WHILE_AWAY}",
        code="no-quorum",
        next_step=NextStep("If that is meant: {}", again),
    )


def who_decides(dirs: InstanceDirs, election: Election, nodes: Sequence[str]) -> str:
    """How what is final comes about, for the organiser. `nodes` are the names of the nodes here."""
    if not election.named:
        return NEVER_FINAL
    named = named_programs(dirs, election)
    relays = len(set(nodes) - named)
    words = tolerance_sentence(election.named)
    if len(named) < election.named:
        words += f"; {len(named) or 'none'} of them {'runs' if len(named) == 1 else 'run'} here"
    return words + (f"; {relays} more relay{'s' if relays > 1 else ''}" if relays else "")


def keys_held_here(dirs: InstanceDirs, election: Election) -> str:
    """Which keys are on this machine, for the organiser; empty without that of the election's authority."""
    path = authority_path(dirs)
    try:
        held = read_key(path, AUTHORITY).public_hex
    except ConfigError:
        return ""
    if not election.named or held != election.definition.authority_key:
        return ""
    if len(named_programs(dirs, election)) < election.named:
        return f"that of the authority is here: {path}"
    return f"all in one hand: those of the nodes, and that of the authority, {path}"
