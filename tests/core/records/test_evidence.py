"""Evidence proves every lie, and no file can be made against an honest node."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import key_of, keys_of_node, make_election, make_vote, named_nodes
from support.evidence_files import (
    CHANGED,
    CLOSES,
    ELECTION,
    GOOD,
    GROUP,
    HASHES,
    LEAVES,
    LIAR,
    OTHER,
    VOTE,
    WITHOUT,
    accepted,
    closing_list,
    cosigned,
    growth_nodes,
    sign,
    voted,
)
from support.secret_definitions import SecretSetup
from votenet.core.encoding import canonical
from votenet.core.ledger import secret_vote
from votenet.core.ledger.closing import merge_lists
from votenet.core.ledger.statement import (
    NIL,
    HourPassedStatement,
    MinerStatement,
    PrecommitStatement,
    PrevoteStatement,
    ProposalStatement,
    Signed,
    Statement,
    signed,
)
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.log.signed_note import SignedNote, sign_note
from votenet.core.records.acceptance import accept_group
from votenet.core.records.evidence import (
    MAX_PROOF_BYTES,
    Evidence,
    EvidenceReport,
    FinalChain,
    check_evidence,
    check_lie,
    contradict,
    decode_evidence,
    encode_evidence,
    evidence_of_acceptance,
    evidence_of_growth,
    evidence_of_roots,
    evidence_of_two,
    evidence_with,
    kind_of,
)
from votenet.errors import NotProven

OF_STATEMENTS = [GOOD[kind] for kind in ("two-proposals", "two-prevotes", "two-precommits", "two-lists")]
SENTENCES = {
    "two-proposals": "Node 3 (Node 3) proposed two different blocks at height 12 in round 0.",
    "two-prevotes": "Node 3 (Node 3) prevoted a block and none at height 12 in round 0.",
    "two-precommits": "Node 3 (Node 3) precommitted two different blocks at height 12 in round 0.",
    "two-lists": "Node 3 (Node 3) signed two different closing lists for one closing time.",
    "two-roots": (
        "Node 3 (Node 3) showed different voters different chains: it cosigned two logs of 12 records."
    ),
    "bad-growth": (
        "Node 3 (Node 3) changed what it had cosigned: its log of 12 records does not begin with the 7 "
        "records that it cosigned."
    ),
    "broken-acceptance": (
        "Node 3 (Node 3) signed that it accepted the vote of 'voter-9' before closing, and left it out."
    ),
}


def code(evidence: Evidence, *, trusted: str | None = None, chain: FinalChain | None = WITHOUT) -> str:
    """The code that the evidence is refused with; empty if it holds."""
    try:
        check_evidence(evidence, trusted, chain)
    except NotProven as error:
        return error.code
    return ""


def changed(evidence: Evidence, **members: Any) -> Evidence:
    """The evidence with other members of its proof, or of itself."""
    of_file = {name: members.pop(name) for name in list(members) if hasattr(evidence, name)}
    proof = msgspec.structs.replace(evidence.proof, **members)
    return msgspec.structs.replace(evidence, proof=proof, **of_file)


# -- good evidence -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GOOD)
def test_each_lie_is_proven_and_said_in_a_sentence(kind: str) -> None:
    made = GOOD[kind]
    assert kind_of(made) == kind
    data = encode_evidence(made)
    assert decode_evidence(data) == made
    assert json.loads(data)["kind"] == kind
    report = check_evidence(decode_evidence(data), ELECTION.network_hex, WITHOUT)
    assert report == EvidenceReport(
        kind, "Test election", ELECTION.network_hex, LIAR, "Node 3", SENTENCES[kind]
    )


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_has_one_spelling(kind: str) -> None:
    data = encode_evidence(GOOD[kind])
    for wrong, expected in [
        (data[:-1], "truncated"),
        (data.replace(b'"node":3', b'"node": 3', 1), "not-canonical"),
        (data.replace(b'"kind":', b'"kind":"two-lists","kind":', 1), "duplicate-key"),
        (data.replace(b'"kind":"', b'"kind":"no-', 1), "bad-record"),
        (data.replace(b'"proof":{', b'"proof":{"more":1,', 1), "bad-record"),
        (b"[]\n", "bad-record"),
        (b"\xff\n", "not-json"),
    ]:
        with pytest.raises(NotProven) as caught:
            decode_evidence(wrong)
        assert caught.value.code == expected, wrong[:80]


@pytest.mark.parametrize("kind", GOOD)
def test_evidence_is_of_one_network_and_of_one_node(kind: str) -> None:
    made = GOOD[kind]
    assert code(made, trusted=OTHER.network_hex) == "network-mismatch"
    assert code(changed(made, format="votenet-receipt")) == "wrong-format"
    assert code(changed(made, version=2)) == "wrong-version"
    assert code(changed(made, definition=msgspec.structs.replace(ELECTION.definition, opens=CLOSES))) == (
        "bad-genesis"
    )
    assert code(changed(made, node=5)) == "bad-evidence"
    assert code(changed(made, node=2)) == "bad-evidence"
    assert code(changed(made, definition=OTHER.definition)) in ("bad-evidence", "bad-cosignature")
    nodes = ELECTION.definition.nodes
    framed = msgspec.structs.replace(ELECTION.definition, nodes=(*nodes[:3], nodes[4], nodes[3]))
    assert code(changed(made, definition=framed)) in ("bad-evidence", "bad-cosignature")


# -- files against honest nodes ------------------------------------------------------------------


def pairs(kind: type[Statement]) -> list[tuple[Signed[Any], Signed[Any]]]:
    """Two statements of this kind that an honest node may sign both."""
    block = voted(kind, HASHES[0])
    return [
        (block, block),
        (block, voted(kind, HASHES[1], height=13)),
        (block, voted(kind, HASHES[1], round=1)),
        (block, voted(kind, HASHES[1], node=2)),
        (block, voted(kind, HASHES[1], network_id=OTHER.network_hex)),
    ]


HONEST_PAIRS = [
    *pairs(ProposalStatement),
    *pairs(PrevoteStatement),
    *pairs(PrecommitStatement),
    (voted(ProposalStatement, HASHES[0]), voted(ProposalStatement, HASHES[0], valid_round=0)),
    (voted(PrevoteStatement, HASHES[0]), voted(PrecommitStatement, HASHES[1])),
    (closing_list(HASHES[0]), closing_list(HASHES[0])),
    (closing_list(HASHES[0]), closing_list(HASHES[1], closes=CLOSES + 1)),
    (closing_list(HASHES[0]), closing_list(HASHES[1], node=2)),
    (
        sign(MinerStatement(block=HASHES[0], height=12, network_id=ELECTION.network_hex, node=3)),
        sign(MinerStatement(block=HASHES[1], height=12, network_id=ELECTION.network_hex, node=3)),
    ),
    (
        sign(HourPassedStatement(closes=CLOSES, network_id=ELECTION.network_hex, node=3)),
        sign(HourPassedStatement(closes=CLOSES + 1, network_id=ELECTION.network_hex, node=3)),
    ),
]


@pytest.mark.parametrize(("first", "second"), HONEST_PAIRS)
def test_two_statements_that_an_honest_node_may_sign_are_no_evidence(
    first: Signed[Any], second: Signed[Any]
) -> None:
    assert evidence_of_two(ELECTION, first, second) is None
    assert evidence_of_two(ELECTION, second, first) is None
    for made in OF_STATEMENTS:
        for one, other in ((first, second), (second, first)):
            assert code(changed(made, first=one, second=other)) == "bad-evidence"


def test_statements_that_are_not_signed_or_not_in_order_are_no_evidence() -> None:
    for made in OF_STATEMENTS:
        proof: Any = made.proof
        unsigned = Signed(signature="00" * 64, statement=proof.second.statement)
        by_another = signed(proof.second.statement, key_of("stranger"))
        for second in (unsigned, by_another, proof.first):
            assert code(changed(made, second=second)) == "bad-evidence"
        assert code(changed(made, first=proof.second, second=proof.first)) == "bad-evidence"


def test_checkpoints_that_an_honest_node_may_cosign_are_no_evidence() -> None:
    made = GOOD["two-roots"]

    def roots(first: SignedNote, second: SignedNote) -> str:
        return code(evidence_of_roots(ELECTION, LIAR, first, second))

    assert roots(cosigned(LEAVES), cosigned(LEAVES, time=2)) == "bad-evidence", "cosigned again"
    assert roots(cosigned(LEAVES), cosigned(CHANGED[:11])) == "bad-evidence", "two sizes"
    assert roots(cosigned(LEAVES), cosigned(CHANGED, node=2)) == "bad-evidence", "two nodes"
    proof: Any = made.proof
    assert code(changed(made, first=proof.second, second=proof.first)) == "bad-evidence"
    text = checkpoint_text(OTHER.network_id, len(LEAVES), merkle_root(LEAVES))
    foreign = make_certificate(text, [cosign_checkpoint(keys_of_node(LIAR).cosign, LIAR, text, 1)])
    assert roots(foreign, cosigned(CHANGED)) == "bad-cosignature"
    one, other = cosigned(LEAVES), cosigned(LEAVES, node=2)
    quorum = SignedNote(one.text, (*one.signatures, *other.signatures))
    assert roots(quorum, cosigned(CHANGED)) == "bad-evidence", "one signature is enough"
    by_log = SignedNote(one.text, (sign_note(keys_of_node(LIAR).log, one.text.split("\n")[0], one.text),))
    assert roots(by_log, cosigned(CHANGED)) == "bad-cosignature"
    assert code(changed(made, first="no note")) == "bad-note"


def test_growth_is_bad_only_if_the_new_root_says_so() -> None:
    def growth(old: Sequence[bytes], new: Sequence[bytes], nodes: Sequence[bytes]) -> str:
        return code(evidence_of_growth(ELECTION, LIAR, cosigned(old), cosigned(new), nodes))

    assert growth(LEAVES[:7], CHANGED, growth_nodes(CHANGED, 7)) == ""
    assert growth(LEAVES[:7], LEAVES, growth_nodes(LEAVES, 7)) == "bad-evidence"
    assert growth(LEAVES[:7], CHANGED, growth_nodes(LEAVES, 7)) == "bad-evidence"
    assert growth(LEAVES[:7], LEAVES, growth_nodes(CHANGED, 7)) == "bad-evidence"
    assert growth(LEAVES[:7], CHANGED, growth_nodes(CHANGED, 7)[:-1]) == "bad-evidence"
    assert growth(LEAVES, CHANGED[:7], growth_nodes(CHANGED, 7)) == "bad-evidence"
    # Hashes that lead to the old root of an honest node, and to a new one that it never cosigned.
    seed = growth_nodes(LEAVES, 8)[0]
    assert growth(LEAVES[:8], LEAVES, [seed, leaf_hash(b"invented")]) == "bad-evidence"


@pytest.mark.parametrize(
    ("why", "chain"),
    [
        ("the vote is in the list", WITHOUT._replace(listed=merge_lists({0: [], LIAR: [VOTE.id]}))),
        ("its list is missing", WITHOUT._replace(listed=merge_lists({0: [], 1: [], 2: [], 4: []}))),
        ("a vote of the voter counts", WITHOUT._replace(voters={"voter-9"})),
    ],
)
def test_a_kept_promise_is_no_evidence(why: str, chain: FinalChain) -> None:
    assert code(GOOD["broken-acceptance"], chain=chain) == "bad-evidence", why


def test_an_acceptance_is_evidence_only_if_the_node_signed_it_in_time() -> None:
    made = GOOD["broken-acceptance"]
    assert code(made, chain=None) == "needs-archive"
    acceptance = GROUP.acceptance(1)
    late = accept_group(
        keys_of_node(LIAR).statement,
        network_hex=ELECTION.network_hex,
        node=LIAR,
        time=CLOSES,
        vote_ids=[VOTE.id],
    )
    foreign = make_vote(OTHER, "voter-9")
    forged = msgspec.structs.replace(VOTE.vote, signature="00" * 64)
    for changes in [
        {"acceptance": late.acceptance(0)},
        {"acceptance": msgspec.structs.replace(acceptance, index=0)},
        {"acceptance": msgspec.structs.replace(acceptance, time=CLOSES - 2)},
        {"acceptance": msgspec.structs.replace(acceptance, node=2)},
        {"vote": foreign.vote},
        {"vote": forged},
        {"vote": make_vote(ELECTION, "voter-8").vote},
    ]:  # fmt: skip
        assert code(changed(made, **changes)) == "bad-evidence"
    endless = make_election(nodes=named_nodes(5))
    vote = make_vote(endless, "voter-9")
    group = accepted(endless, 1, vote.id)
    never = WITHOUT._replace(election=endless)
    assert (
        code(evidence_of_acceptance(endless, group.acceptance(0), vote.vote), chain=never) == "bad-evidence"
    )


def of_secret_vote(setup: SecretSetup, vote: HashedVote) -> tuple[Evidence, FinalChain]:
    """That LIAR accepted this vote, and a final chain without it."""
    election = setup.election
    group = accepted(election, setup.closes - 1, vote.id)
    listed = merge_lists({0: [vote.id], 1: [], 2: [], LIAR: []})
    chain = FinalChain(listed, set(), election)
    return evidence_of_acceptance(election, group.acceptance(0), vote.vote), chain


def test_the_acceptance_of_an_honest_node_never_costs_the_proofs_of_a_secret_ballot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = SecretSetup()
    vote = setup.vote("voter-1")
    made, chain = of_secret_vote(setup, vote)
    assert check_lie(made, setup.election, chain).endswith("and left it out.")

    def checked(*args: object) -> None:
        raise AssertionError("the proofs were checked")

    monkeypatch.setattr(secret_vote, "check_ballot", checked)
    kept = chain._replace(voters={"voter-1"})
    for known, expected in ((None, "needs-archive"), (kept, "bad-evidence")):
        with pytest.raises(NotProven) as caught:
            check_lie(made, setup.election, known)
        assert caught.value.code == expected


def test_who_left_out_a_secret_ballot_that_proves_nothing_broke_no_promise() -> None:
    setup = SecretSetup()
    ballot = setup.ballot("voter-1")
    forged = ballot[:-5] + ("7" if ballot[-5] != "7" else "8") + ballot[-4:]
    made, chain = of_secret_vote(setup, setup.vote("voter-1", ballot=forged))
    with pytest.raises(NotProven, match="not signed with the credential"):
        check_lie(made, setup.election, chain)


# -- properties ----------------------------------------------------------------------------------

KINDS: tuple[type[Statement], ...] = (ProposalStatement, PrevoteStatement, PrecommitStatement)
WISHES = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(1, 2),
        st.integers(0, 1),
        st.sampled_from([NIL, *HASHES[:2]]),
    ),
    max_size=12,
)
"""Kind, height, round, block: what a program would like to sign, one after the other."""


def wished(kind: type[Statement], height: int, round_number: int, block: str) -> Signed[Any]:
    if kind is ProposalStatement and block == NIL:
        block = HASHES[2]
    return voted(kind, block, height=height, round=round_number)


@given(WISHES)
def test_a_node_that_signs_once_in_each_round_is_never_caught(wishes: list[Any]) -> None:
    said: dict[Any, Signed[Any]] = {}
    for kind, height, round_number, block in wishes:
        wanted = voted(
            kind, HASHES[2] if kind is ProposalStatement else block, height=height, round=round_number
        )
        said.setdefault((kind, height, round_number), wanted)
    for first, second in itertools.product(said.values(), repeat=2):
        assert evidence_of_two(ELECTION, first, second) is None
        for made in OF_STATEMENTS:
            assert code(changed(made, first=first, second=second)) == "bad-evidence"


@given(WISHES)
def test_every_two_contradicting_statements_are_evidence(wishes: list[Any]) -> None:
    said = {wished(*wish) for wish in wishes}
    for first, second in itertools.combinations(said, 2):
        one, other = first.statement, second.statement
        same_round = type(one) is type(other) and (one.height, one.round) == (other.height, other.round)
        made = evidence_of_two(ELECTION, first, second)
        assert (made is not None) is same_round is contradict(one, other)
        if made is not None:
            assert check_evidence(decode_evidence(encode_evidence(made))).node == LIAR


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=2),
    nodes=st.lists(st.integers(0, 90), max_size=6),
    honest=st.booleans(),
)
def test_a_log_that_only_grows_is_never_caught(sizes: list[int], nodes: list[int], honest: bool) -> None:
    """Whatever hashes of its own tree, or invented ones, are shown."""
    leaves = [leaf_hash(b"%d" % number) for number in range(40)]
    old, new = sorted(sizes)
    hashes = [leaves[n] if n < 40 else merkle_root(leaves[: n - 40]) for n in nodes]
    given_nodes = growth_nodes(leaves[:new], old) if honest and old < new else hashes
    first, second = cosigned(leaves[:old]), cosigned(leaves[:new], time=2)
    assert code(evidence_of_roots(ELECTION, LIAR, first, second)) == "bad-evidence"
    assert code(evidence_of_growth(ELECTION, LIAR, first, second, given_nodes)) == "bad-evidence"


@given(st.integers(0, 29), st.integers(1, 10), st.integers(1, 10))
def test_every_log_that_was_changed_is_evidence(place: int, more: int, growth: int) -> None:
    old, new = place + more, place + more + growth
    leaves = [leaf_hash(b"%d" % number) for number in range(new)]
    other = [*leaves[:place], leaf_hash(b"changed"), *leaves[place + 1 :]]
    made = evidence_of_growth(
        ELECTION, LIAR, cosigned(leaves[:old]), cosigned(other), growth_nodes(other, old)
    )
    assert check_evidence(decode_evidence(encode_evidence(made))).kind == "bad-growth"
    assert code(evidence_of_roots(ELECTION, LIAR, cosigned(leaves), cosigned(other))) == ""


@settings(max_examples=300)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_no_other_bytes_accuse_another_node(kind: str, data: st.DataObject) -> None:
    raw = bytearray(canonical(GOOD[kind]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.sampled_from(b'0123456789abcdef"{}[],:-'))
    try:
        report = check_evidence(decode_evidence(bytes(raw) + b"\n"), None, WITHOUT)
    except NotProven:
        return
    assert bytes(raw) == canonical(GOOD[kind])
    assert report.node == LIAR


def test_a_proof_of_a_message_is_refused_by_its_length_before_it_is_read() -> None:
    with pytest.raises(NotProven) as refused:
        evidence_with(ELECTION, "two-roots", 0, b" " * (MAX_PROOF_BYTES + 1))
    assert refused.value.code == "bad-evidence"
    assert "at most 80,000 bytes" in refused.value.message
