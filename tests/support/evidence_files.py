"""Evidence against one lying node of five, of every kind, and the statements that it is made of.

Import with `from support.evidence_files import good_evidence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.elections import CREATED, keys_of_node, make_election, make_vote, named_nodes
from votenet.core.election.definition import Election
from votenet.core.ledger.closing import merge_lists
from votenet.core.ledger.statement import (
    NIL,
    ClosingListStatement,
    PrecommitStatement,
    PrevoteStatement,
    ProposalStatement,
    Signed,
    Statement,
    signed,
)
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.log.merkle import consistency_ranges, leaf_hash, merkle_root
from votenet.core.log.signed_note import SignedNote
from votenet.core.records.acceptance import AcceptedGroup, accept_group
from votenet.core.records.evidence import (
    Evidence,
    FinalChain,
    evidence_of_acceptance,
    evidence_of_growth,
    evidence_of_roots,
    evidence_of_two,
)

CLOSES = CREATED + 1000
ELECTION = make_election(nodes=named_nodes(5), closes=CLOSES)
OTHER = make_election(nodes=named_nodes(5), closes=CLOSES, title="Another election")
HASHES = [letter * 32 for letter in ("aa", "bb", "cc")]
LIAR = 3


def sign(statement: Statement) -> Signed[Any]:
    return signed(statement, keys_of_node(statement.node).statement)


def voted(kind: type[Statement], block: str, node: int = LIAR, height: int = 12, **more: Any) -> Signed[Any]:
    """A signed proposal, prevote or precommit."""
    rest = {"valid_round": -1} if kind is ProposalStatement else {}
    members = {"network_id": ELECTION.network_hex, "round": 0, **rest, **more}
    return sign(kind(node=node, block=block, height=height, **members))


def closing_list(root: str, node: int = LIAR, closes: int = CLOSES) -> Signed[ClosingListStatement]:
    return sign(
        ClosingListStatement(
            closes=closes, count=1, height=9, network_id=ELECTION.network_hex, node=node, root=root
        )
    )


def two(first: Signed[Any], second: Signed[Any]) -> Evidence:
    made = evidence_of_two(ELECTION, first, second)
    assert made is not None
    return made


def cosigned(leaves: Sequence[bytes], node: int = LIAR, time: int = 1) -> SignedNote:
    text = checkpoint_text(ELECTION.network_id, len(leaves), merkle_root(leaves))
    return make_certificate(text, [cosign_checkpoint(keys_of_node(node).cosign, node, text, time)])


def growth_nodes(leaves: Sequence[bytes], old: int) -> list[bytes]:
    return [merkle_root(leaves[start:end]) for start, end in consistency_ranges(old, len(leaves))]


LEAVES = [leaf_hash(b"%d" % number) for number in range(12)]
CHANGED = [*LEAVES[:4], leaf_hash(b"changed"), *LEAVES[5:]]


def accepted(election: Election, time: int, *vote_ids: bytes) -> AcceptedGroup:
    key = keys_of_node(LIAR).statement
    return accept_group(key, network_hex=election.network_hex, node=LIAR, time=time, vote_ids=vote_ids)


VOTE = make_vote(ELECTION, "voter-9")
GROUP = accepted(ELECTION, CLOSES - 1, make_vote(ELECTION).id, VOTE.id)
WITHOUT = FinalChain(merge_lists({0: [VOTE.id], 1: [], 2: [], LIAR: []}), {"voter-1"}, ELECTION)
"""A final chain without the vote."""

GOOD: dict[str, Evidence] = {
    "two-proposals": two(voted(ProposalStatement, HASHES[0]), voted(ProposalStatement, HASHES[1])),
    "two-prevotes": two(voted(PrevoteStatement, HASHES[1]), voted(PrevoteStatement, NIL)),
    "two-precommits": two(voted(PrecommitStatement, HASHES[1]), voted(PrecommitStatement, HASHES[0])),
    "two-lists": two(closing_list(HASHES[0]), closing_list(HASHES[1])),
    "two-roots": evidence_of_roots(ELECTION, LIAR, cosigned(LEAVES), cosigned(CHANGED)),
    "bad-growth": evidence_of_growth(
        ELECTION, LIAR, cosigned(LEAVES[:7]), cosigned(CHANGED), growth_nodes(CHANGED, 7)
    ),
    "broken-acceptance": evidence_of_acceptance(ELECTION, GROUP.acceptance(1), VOTE.vote),
}
