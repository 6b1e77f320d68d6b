"""Headers that a node sends page by page, each page checked before the next one is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header, check_sequence
from votenet.core.ledger.statement import Commit
from votenet.errors import Rejected
from votenet.pow import bits_to_target


def check_page(
    election: Election, headers: Sequence[Header], height: int, commit: Commit | None
) -> list[bytes]:
    """The hashes of headers that follow each other, whose work holds, and that named nodes have decided.

    So a node cannot make up pages without end: each header costs it the work of genesis at least, and with
    named nodes a quorum of them has signed.

    Args:
        height: of the last header.
        commit: of the last header; None without named nodes.

    Raises:
        Rejected: broken-chain, bad-bits, bad-work, bad-commit.
    """
    hashes, fault = check_sequence(headers)
    if fault is not None:
        raise fault
    easiest = bits_to_target(election.bits)
    for header in headers:
        if header.bits != election.bits and (election.named or bits_to_target(header.bits) > easiest):
            raise Rejected("bad-bits", f"{header.bits:#010x} is no difficulty of this election")
    if headers and election.named:
        if commit is None:
            raise Rejected("bad-commit", "they come without the commit of the named nodes")
        commit.check(election.network_hex, height, hashes[-1].hex(), election.statement_keys, election.quorum)
    return hashes
