"""The count of one node with what a reader should know beside it, and its JSON form."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from votenet.client.answers import fetch_amendments, fetch_cancelled_at
from votenet.client.connection import NodeConnection
from votenet.client.log_view import LogView, fetch_final_results
from votenet.core.election.definition import Election
from votenet.core.election.quorum import NEVER_FINAL
from votenet.protocol.wire.client_messages import NOT_SYNCED, GetStatus, NodeStatus, Results


class Counted(NamedTuple):
    """The count of a node, with the election in force. `lies`: those of named nodes that are proven there.

    `cancelled_at`: when the election was cancelled (Unix seconds), where that is known.
    """

    node: str
    election: Election
    results: Results
    warnings: list[str]
    lies: tuple[str, ...]
    cancelled_at: int | None = None


async def fetch_count(view: LogView, node: NodeConnection) -> Counted:
    """The count of a node, checked as `fetch_final_results` does. Raises as that."""
    results = await fetch_final_results(node, view)
    status = await node.ask(GetStatus(), NodeStatus)
    warnings = warnings_of(status)
    if node.address in view.behind:
        warnings.append("its log is shorter than one seen before: it is catching up, or hides the rest")
    in_force = view.election
    if results.amendments:
        in_force = (await fetch_amendments(node, in_force, last=results.amendments)).election
    cancelled_at = await fetch_cancelled_at(node, in_force, results)
    return Counted(str(node.address), in_force, results, warnings, status.lies, cancelled_at)


def warnings_of(status: NodeStatus) -> list[str]:
    """Why the count of this node may lack votes, a sentence each."""
    found = [warning.message for warning in status.warnings]
    if not status.synced and not any(warning.code in NOT_SYNCED for warning in status.warnings):
        found.append("it is catching up: votes that others have may be missing in its count")
    return found


def finality(found: Results, named: int) -> str:
    """How final a count is, by the certificate of `named` nodes."""
    if not named:
        return f"{NEVER_FINAL} (docs/security.md)".capitalize()
    if found.final_height is None:
        return f"Not final: none of the {named} named nodes has signed yet"
    signers = f"signed by {len(found.signed_by)} of {named}: {', '.join(found.signed_by)}"
    if found.final and not found.contests:
        return f"The votes are final, and still encrypted: {signers}"
    if found.final:
        return f"Final result: {signers}"
    if found.cancelled and found.final_height == found.height:
        return f"Cancelled: {signers}"
    if found.final_height < found.height:
        return f"Final up to block {found.final_height:,} of {found.height:,}: {signers}"
    return f"These votes are final, more may come: {signers}"


def count_as_json(counted: Counted) -> dict[str, object]:
    """What `votenet results --json` prints."""
    found = counted.results
    return {
        "title": found.title,
        "contests": msgspec.to_builtins(found.contests),
        "counts_shown": bool(found.contests),
        "votes": found.votes,
        "waiting": found.waiting,
        "height": found.height,
        "tip": found.tip,
        "network_id": found.network_id,
        "node": counted.node,
        "counted_by": [counted.node],
        "opens": found.opens,
        "closes": found.closes,
        "registered": found.registered,
        "amendments": msgspec.to_builtins(counted.election.amendments),
        "cancelled": found.cancelled,
        "cancelled_at": counted.cancelled_at,
        "final": found.final,
        "finality": finality(found, counted.election.named),
        "final_height": found.final_height,
        "signed_by": found.signed_by,
        **({} if counted.election.secret is None else {"decrypted_by": found.decrypted_by}),
        "warnings": counted.warnings,
        "lies": counted.lies,
    }
