"""Statements of consensus rounds: as named nodes sign them, as messages carry them, as a store keeps them."""

from __future__ import annotations

import msgspec

from votenet.core.election.definition import Election
from votenet.core.ledger.statement import PrecommitStatement, PrevoteStatement, ProposalStatement, Statement
from votenet.protocol.consensus.outputs import (
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    RoundStatement,
    SavedState,
)
from votenet.protocol.wire.named_messages import ConsensusVote, ProposalSeen


def statement_of(made: RoundStatement, election: Election) -> Statement:
    network, block = election.network_hex, made.value.hex()
    if made.kind == PROPOSAL:
        return ProposalStatement(
            block=block,
            height=made.height,
            network_id=network,
            node=made.node,
            round=made.round,
            valid_round=made.valid_round,
        )
    kind = PrevoteStatement if made.kind == PREVOTE else PrecommitStatement
    return kind(block=block, height=made.height, network_id=network, node=made.node, round=made.round)


def read_vote(vote: ConsensusVote) -> RoundStatement:
    value = bytes.fromhex(vote.block)
    return RoundStatement(vote.kind, vote.height, vote.round, vote.node, value, NO_ROUND, vote.signature)


def write_vote(made: RoundStatement) -> ConsensusVote:
    kind = "precommit" if made.kind == PRECOMMIT else "prevote"
    return ConsensusVote(
        kind=kind,  # type: ignore[arg-type]
        height=made.height,
        round=made.round,
        node=made.node,
        signature=made.signature,
        block=made.value.hex(),
    )


def read_proposal(seen: ProposalSeen) -> RoundStatement:
    value = bytes.fromhex(seen.block)
    return RoundStatement(
        PROPOSAL, seen.height, seen.round, seen.node, value, seen.valid_round, seen.signature
    )


def write_proposal(made: RoundStatement) -> ProposalSeen:
    return ProposalSeen(
        height=made.height,
        round=made.round,
        valid_round=made.valid_round,
        node=made.node,
        signature=made.signature,
        block=made.value.hex(),
    )


class _WrittenState(msgspec.Struct, array_like=True):
    height: int
    round: int
    valid: list[ConsensusVote]
    own: list[tuple[str, int, str, int]]


def encode_state(state: SavedState) -> bytes:
    """What a restart needs, in JSON. Own statements are signed again when they are sent again."""
    own = [(made.kind, made.round, made.value.hex(), made.valid_round) for made in state.own]
    written = _WrittenState(state.height, state.round, list(map(write_vote, state.valid)), own)
    return msgspec.json.encode(written)


def decode_state(data: bytes, index: int = 0) -> SavedState | None:
    """Raises ValueError (a msgspec.DecodeError): this is not what was saved."""
    if not data:
        return None
    read = msgspec.json.decode(data, type=_WrittenState)
    own = tuple(
        RoundStatement(kind, read.height, number, index, bytes.fromhex(value), valid)
        for kind, number, value, valid in read.own
    )
    return SavedState(read.height, read.round, tuple(map(read_vote, read.valid)), own)
