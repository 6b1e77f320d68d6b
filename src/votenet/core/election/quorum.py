"""How many of n named nodes may lie, must agree, and must hold a vote."""

from __future__ import annotations

from typing import Final

NEVER_FINAL: Final = "never final: no nodes are named, so anybody may rewrite this"
"""What is said of an election without named nodes."""
NOT_FINAL_WHILE_AWAY: Final = "votes are received and saved, none becomes final until they are back"
"""What it costs to have fewer than a quorum of named nodes."""


def faults_of(nodes: int) -> int:
    """f: how many of `nodes` named nodes may lie without a false result."""
    return max(nodes - 1, 0) // 3


def quorum_of(nodes: int) -> int:
    """q: the smallest number of nodes greater than (n + f) / 2. Two quorums share an honest node."""
    return (nodes + faults_of(nodes)) // 2 + 1


def enough_holders(nodes: int) -> int:
    """How many named nodes must hold a vote before closing, so that it is counted.

    It is counted with f liars who leave it out, and with whatever lists missing from the closing block.
    """
    return nodes - quorum_of(nodes) + 2 * faults_of(nodes) + 1


def enough_tellers(nodes: int) -> int:
    """How many other named nodes must tell their heights, so that one of them is honest and was in the quorum
    that decided the newest block.

    A node that forgot what it signed was at most one height beyond that one. At least a quorum without
    itself, so that only one of two processes with one key hears of so many.
    """
    return max(quorum_of(nodes) - 1, nodes - quorum_of(nodes) + faults_of(nodes) + 1)


def holders_sentence(holders: int, nodes: int) -> str:
    """What a voter may rely on whose vote `holders` of `nodes` named nodes have signed for before closing."""
    held = f"received by {holders} of {nodes}"
    enough = enough_holders(nodes)
    if holders < enough:
        return f"{held}: wait for final, or for {enough} of {nodes}"
    liars = faults_of(nodes)
    if liars == 0:
        return f"{held}: it will be counted, if no named node lies"
    return f"{held}: it will be counted, even if {liars} of them {'lies' if liars == 1 else 'lie'}"


def tolerance_sentence(nodes: int) -> str:
    """What an organiser may expect of `nodes` named nodes."""
    quorum, liars = quorum_of(nodes), faults_of(nodes)
    down = nodes - quorum
    if nodes == 1:
        return "1 named node: it decides alone"
    must = f"{nodes} named nodes: {'both' if nodes == 2 else quorum} must agree"
    if not down:
        return f"{must}, none may be down or lie"
    if down == liars:
        return f"{must}, {down} may be down or lie"
    return f"{must}, {down} may be down, {'and ' + str(liars) + ' of them' if liars else 'none'} may lie"
