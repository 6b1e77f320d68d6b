"""Evidence: a file that proves a lie of one named node to strangers, offline.

It holds what the node signed with its own keys and cannot have signed honestly, and the definition that names
these keys. An honest node signs one block in a round, one closing list, one root for each size of the log,
and keeps what it accepted: so no file can be made against it. The exception is a node that has lost its disk
and without whose closing list the election could not end (`protocol/node/restored.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, get_args, get_type_hints

import msgspec

from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.faults import fault
from votenet.core.ledger.closing import ListedIds
from votenet.core.ledger.statement import (
    NIL,
    AnyStatement,
    ClosingListStatement,
    PrecommitStatement,
    PrevoteStatement,
    ProposalStatement,
    Signed,
    Statement,
)
from votenet.core.ledger.vote import (
    HashedVote,
    Vote,
    check_ballot,
    check_on_roll,
    forgery,
    hash_vote,
    signature_holds,
)
from votenet.core.log.certificate import Certificate, cosigner_of, good_lines, log_origin
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint
from votenet.core.log.merkle import roots_from_consistency
from votenet.core.log.signed_note import SignedNote, parse_note
from votenet.core.records.acceptance import Acceptance
from votenet.core.records.archive import checked_election
from votenet.core.records.canonical_record import check_format, decode_record
from votenet.errors import NotProven, Rejected

EVIDENCE_FORMAT: Final = "votenet-evidence"
EVIDENCE_VERSION: Final = 1
MAX_PROOF_BYTES: Final = 80_000
"""Of the `proof` in a message: a vote of the largest size, and its acceptance. Two checkpoints have 700."""


# -- the file ----------------------------------------------------------------------------------------


class Pair(msgspec.Struct, Generic[AnyStatement], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two statements that no honest node signs both; `first` has the smaller canonical bytes."""

    first: Signed[AnyStatement]
    second: Signed[AnyStatement]


class NotePair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two checkpoints of one size, each with the node's cosignature alone; `first` is the smaller text."""

    first: str
    second: str


class BrokenGrowth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two checkpoints that the node cosigned. `nodes` (`roots_from_consistency`) lead to the root of `new`,
    and to another root than that of `old`."""

    new: str
    nodes: tuple[Hex32, ...]
    old: str


class AcceptedVote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    acceptance: Acceptance
    vote: Vote


class _Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """`node` is the index of the named node that lied."""

    definition: ElectionDefinition
    format: str
    node: Unsigned
    version: Unsigned


class TwoProposals(_Evidence, frozen=True, kw_only=True, tag="two-proposals"):
    proof: Pair[ProposalStatement]


class TwoPrevotes(_Evidence, frozen=True, kw_only=True, tag="two-prevotes"):
    proof: Pair[PrevoteStatement]


class TwoPrecommits(_Evidence, frozen=True, kw_only=True, tag="two-precommits"):
    proof: Pair[PrecommitStatement]


class TwoLists(_Evidence, frozen=True, kw_only=True, tag="two-lists"):
    proof: Pair[ClosingListStatement]


class TwoRoots(_Evidence, frozen=True, kw_only=True, tag="two-roots"):
    proof: NotePair


class BadGrowth(_Evidence, frozen=True, kw_only=True, tag="bad-growth"):
    proof: BrokenGrowth


class BrokenAcceptance(_Evidence, frozen=True, kw_only=True, tag="broken-acceptance"):
    """Whether the vote was left out is looked up in the final chain."""

    proof: AcceptedVote


Evidence = TwoProposals | TwoPrevotes | TwoPrecommits | TwoLists | TwoRoots | BadGrowth | BrokenAcceptance


EVIDENCE_KINDS: Final[dict[str, type[Evidence]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Evidence)
}


def kind_of(evidence: Evidence) -> str:
    return str(evidence.__struct_config__.tag)


def encode_evidence(evidence: Evidence) -> bytes:
    """The bytes of the file: canonical JSON and a newline."""
    return canonical(evidence) + b"\n"


def decode_evidence(data: bytes) -> Evidence:
    """Raises NotProven as `decode_record` does; truncated when the closing newline is missing."""
    if not data.endswith(b"\n"):
        raise fault("truncated", "a file of evidence ends with a newline")
    return decode_record(data[:-1], Evidence)  # type: ignore[arg-type]


def evidence_with(election: Election, kind: str, node: int, proof: bytes) -> Evidence:
    """Evidence whose definition the reader has already, out of a message; `proof` is JSON.

    Raises:
        NotProven: bad-evidence; the kind is unknown, or its proof has other members or is too long.
    """
    made = EVIDENCE_KINDS.get(kind)
    if made is None:
        raise _unproven(f"there is no evidence of the kind {kind!r}")
    if len(proof) > MAX_PROOF_BYTES:
        raise _unproven(f"a proof in a message has at most {MAX_PROOF_BYTES:,} bytes")
    try:
        return _made(made, election, node, msgspec.json.decode(proof, type=get_type_hints(made)["proof"]))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _unproven(f"it is no evidence of the kind {kind}: {str(error)[:200]}") from None


# -- making it ---------------------------------------------------------------------------------------


def contradict(first: Statement, second: Statement) -> bool:
    """Whether no honest node signs both of these: two blocks in one round, two lists for one closing time."""
    one, other = _choice(first), _choice(second)
    same_place = type(first) is type(second) and one[:-1] == other[:-1]
    return same_place and one[-1] is not None and one[-1] != other[-1]


def _choice(statement: Statement) -> tuple[object, ...]:
    """Where an honest node signs once, and last, what it signed there; None where it may sign again."""
    signer = statement.network_id, statement.node
    if isinstance(statement, ProposalStatement | PrevoteStatement | PrecommitStatement):
        return *signer, statement.height, statement.round, statement.block
    if isinstance(statement, ClosingListStatement):
        return *signer, statement.closes, statement
    return *signer, None


def evidence_of_two(
    election: Election, first: Signed[AnyStatement], second: Signed[AnyStatement]
) -> Evidence | None:
    """The evidence in two statements whose signatures hold; None if they do not contradict each other."""
    if not contradict(first.statement, second.statement):
        return None
    first, second = sorted((first, second), key=lambda one: canonical(one.statement))
    kinds: dict[type, Any] = {
        ProposalStatement: TwoProposals,
        PrevoteStatement: TwoPrevotes,
        PrecommitStatement: TwoPrecommits,
        ClosingListStatement: TwoLists,
    }
    return _made(
        kinds[type(first.statement)], election, first.statement.node, Pair(first=first, second=second)
    )


def evidence_of_roots(election: Election, node: int, first: SignedNote, second: SignedNote) -> Evidence:
    """For two checkpoints of one size with different roots, each with the cosignature of the node alone."""
    texts = sorted((str(first), str(second)))
    return _made(TwoRoots, election, node, NotePair(first=texts[0], second=texts[1]))


def evidence_of_growth(
    election: Election, node: int, old: SignedNote, new: SignedNote, nodes: Sequence[bytes]
) -> Evidence:
    """For two checkpoints of which the larger does not continue the smaller one; see `BrokenGrowth`."""
    proof = BrokenGrowth(new=str(new), nodes=tuple(node.hex() for node in nodes), old=str(old))
    return _made(BadGrowth, election, node, proof)


def evidence_of_split(
    election: Election, old: Certificate, new: Certificate, nodes: Sequence[bytes]
) -> list[Evidence]:
    """Against each named node that signed two certificates of contradicting logs; see `BrokenGrowth`."""
    found = []
    for node in sorted(old.signers.keys() & new.signers.keys()):
        key = [election.named_keys.cosign_keys[node]]
        first, second = (SignedNote(one.note.text, (good_lines(one.note, key)[0],)) for one in (old, new))
        if old.size == new.size:
            found.append(evidence_of_roots(election, node, first, second))
        else:
            found.append(evidence_of_growth(election, node, first, second, nodes))
    return found


def evidence_of_acceptance(election: Election, acceptance: Acceptance, vote: Vote) -> Evidence:
    """For a vote that a node accepted before closing, and that was left out."""
    proof = AcceptedVote(acceptance=acceptance, vote=vote)
    return _made(BrokenAcceptance, election, acceptance.node, proof)


def _made(kind: Callable[..., Evidence], election: Election, node: int, proof: object) -> Evidence:
    return kind(
        definition=election.definition,
        format=EVIDENCE_FORMAT,
        node=node,
        proof=proof,
        version=EVIDENCE_VERSION,
    )


# -- checking it -------------------------------------------------------------------------------------


class FinalChain(NamedTuple):
    """What the final chain of an election says: the closing lists in it, who has a vote on it, and the
    election in force behind it."""

    listed: ListedIds
    voters: Container[str]
    election: Election


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """The content of evidence that was checked. `sentence` says the lie to a person."""

    kind: str
    title: str
    network_id: str
    node: int
    name: str
    sentence: str


def check_evidence(
    evidence: Evidence, trusted: str | None = None, chain: FinalChain | None = None
) -> EvidenceReport:
    """Check that the node lied, by its keys in the definition.

    Args:
        trusted: the network id (hexadecimal) of the election in which it is said to have lied.
        chain: that election's final chain, which a broken acceptance is compared with.

    Raises:
        NotProven: with the code of the first fault; needs-archive for a broken acceptance without `chain`.
    """
    check_format(evidence.format, evidence.version, EVIDENCE_FORMAT, EVIDENCE_VERSION)
    election = checked_election(evidence.definition)
    if trusted not in (None, election.network_hex):
        raise fault("network-mismatch", f"this evidence is of network {election.network_hex}")
    sentence = check_lie(evidence, election, chain)
    return EvidenceReport(
        kind=kind_of(evidence),
        title=evidence.definition.title,
        network_id=election.network_hex,
        node=evidence.node,
        name=evidence.definition.nodes[evidence.node].name,
        sentence=sentence,
    )


def check_lie(evidence: Evidence, election: Election, chain: FinalChain | None) -> str:
    """Check evidence that was made with this election's definition; returns the lie in a sentence.

    Raises:
        NotProven: as `check_evidence`.
    """
    if evidence.node >= election.named:
        raise _unproven(f"the definition has no named node {evidence.node}")
    try:
        lie = _lie(evidence, election, chain)
    except Rejected as error:
        raise _unproven(error.message) from error
    return f"Node {evidence.node} ({election.definition.nodes[evidence.node].name}) {lie}."


def _unproven(what: str) -> NotProven:
    return fault("bad-evidence", what)


def _lie(evidence: Evidence, election: Election, chain: FinalChain | None) -> str:
    """What the node did, as the end of a sentence. Raises NotProven or Rejected if it is not proven."""
    if isinstance(evidence, TwoRoots):
        return _two_roots(evidence, election)
    if isinstance(evidence, BadGrowth):
        return _bad_growth(evidence, election)
    if isinstance(evidence, BrokenAcceptance):
        return _broken_acceptance(evidence, election, chain)
    return _two_statements(evidence.proof.first, evidence.proof.second, evidence.node, election)


_VERBS: Final = {
    ProposalStatement: "proposed",
    PrevoteStatement: "prevoted",
    PrecommitStatement: "precommitted",
}


def _two_statements(first: Signed[Any], second: Signed[Any], node: int, election: Election) -> str:
    for made in (first, second):
        made.check(election.network_hex, election.statement_keys)
        if made.statement.node != node:
            raise _unproven(f"named node {made.statement.node} signed this, not {node}")
    one, other = first.statement, second.statement
    if canonical(one) >= canonical(other):
        raise _unproven("the two statements are the same, or not in their order")
    if not contradict(one, other):
        raise _unproven("an honest node may sign both of these statements")
    if isinstance(one, ProposalStatement | PrevoteStatement | PrecommitStatement):
        blocks = "a block and none" if one.block == NIL else "two different blocks"  # the smaller one is none
        return f"{_VERBS[type(one)]} {blocks} at height {one.height:,} in round {one.round:,}"
    return "signed two different closing lists for one closing time"


def _two_roots(evidence: TwoRoots, election: Election) -> str:
    first = _cosigned(evidence.proof.first, evidence.node, election)
    second = _cosigned(evidence.proof.second, evidence.node, election)
    if evidence.proof.first >= evidence.proof.second:
        raise _unproven("the two checkpoints are the same, or not in their order")
    if first.size != second.size or first.root == second.root:
        raise _unproven("an honest node may cosign both of these checkpoints")
    return f"showed different voters different chains: it cosigned two logs of {first.size:,} records"


def _bad_growth(evidence: BadGrowth, election: Election) -> str:
    old = _cosigned(evidence.proof.old, evidence.node, election)
    new = _cosigned(evidence.proof.new, evidence.node, election)
    roots = roots_from_consistency(old.size, new.size, [bytes.fromhex(node) for node in evidence.proof.nodes])
    # The new root commits to each of the nodes, so they say what the old root must be. The old root commits
    # only to some of them: nodes that lead to it and to another new root prove nothing.
    if roots is None or roots[1] != new.root:
        raise _unproven("the hashes do not lead to the root of the larger checkpoint")
    if roots[0] == old.root:
        raise _unproven("the larger checkpoint continues the smaller one")
    return (
        f"changed what it had cosigned: its log of {new.size:,} records does not begin with the {old.size:,} "
        "records that it cosigned"
    )


def _cosigned(text: str, node: int, election: Election) -> Checkpoint:
    """A checkpoint of this election's log with one signature, the cosignature of this node."""
    note = parse_note(text)
    if len(note.signatures) != 1 or str(note) != text:
        raise _unproven("the checkpoint has other signatures than that of the node")
    signer = cosigner_of(note.signatures[0], note.text, election.named_keys)
    if signer != node:
        raise _unproven(f"named node {signer} cosigned this, not {node}")
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_origin(election.network_id) or checkpoint.extensions:
        raise _unproven("the checkpoint is of another log, or has more lines")
    return checkpoint


def _broken_acceptance(evidence: BrokenAcceptance, election: Election, chain: FinalChain | None) -> str:
    # 1. The node accepted this vote.
    acceptance, hashed = evidence.proof.acceptance, hash_vote(evidence.proof.vote)
    check_ballot(hashed, election)
    if not signature_holds(hashed):
        raise _unproven(f"the vote of {hashed.voter_id!r} is not signed by its key")
    acceptance.check(election.network_hex, hashed.id, election.statement_keys)
    if acceptance.node != evidence.node:
        raise _unproven(f"named node {acceptance.node} accepted this vote, not {evidence.node}")
    # 2. It did so before the closing time in force, of a voter whose key in force this is.
    if chain is None:
        raise fault("needs-archive", "whether the vote was left out is seen in the archive of the election")
    closes = chain.election.closes
    if closes is None or acceptance.time >= closes:
        raise _unproven("the vote was not accepted before the closing time of the election")
    check_on_roll(hashed.vote, chain.election)
    # 3. It left the vote out, and no vote of this voter is counted.
    _check_left_out(hashed, evidence.node, chain)
    # 4. An honest node would have taken it. The proofs of a secret ballot cost a hundred times as much as all
    #    before, so nobody can have them checked with the acceptance of an honest node.
    if (wrong := forgery(hashed, election)) is not None:
        raise _unproven(wrong.message)
    return f"signed that it accepted the vote of {hashed.voter_id!r} before closing, and left it out"


def _check_left_out(hashed: HashedVote, node: int, chain: FinalChain) -> None:
    if node not in chain.listed.nodes:
        raise _unproven(f"the closing block has no list of named node {node}")
    if hashed.id in chain.listed.in_list(chain.listed.nodes.index(node)):
        raise _unproven(f"named node {node} has this vote in its closing list")
    if hashed.voter_id in chain.voters:
        raise _unproven(f"a vote of {hashed.voter_id!r} is counted")
