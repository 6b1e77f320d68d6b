"""Points in C: the same answers as one multiplication at a time, what is refused, that other threads run."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import votenet.secret
from support import ed25519_reference as reference
from support.belenios_check import verify_archive
from support.forged_ballots import BALLOT_FORGERIES, forged_ballots, sample, signed_again
from support.forged_elections import ELECTION_FORGERIES, polled, whole
from support.plain_ballot_check import check_ballot_plainly, verdict
from votenet.errors import NotProven
from votenet.secret import group
from votenet.secret.ballot import check_ballot
from votenet.secret.belenios_archive import write_archive
from votenet.secret.documents import encode, fingerprint
from votenet.secret.elgamal import Encryption
from votenet.secret.group import BASE, GROUP_ORDER, IDENTITY, Combination, Point, Scalar, SumPoint, multiply
from votenet.secret.proofs import Knowledge, OneIsZero, Power, SchnorrProof, claims_hold, prove_knowledge

native = pytest.importorskip("votenet.secret.native", reason="the C core is not built")

SMALL = [Point(one.packed()) for one in reference.small_points()]
MEMBERS = [BASE, IDENTITY, *(multiply(BASE, number) for number in (2, 3**50, 5**70))]
OUTSIDE = [
    *(one for one in SMALL if one != IDENTITY),
    *(Point((reference.GENERATOR.times(3) + one).packed()) for one in reference.small_points()[1:]),
    Point((reference.FIELD + 1).to_bytes(32, "little")),  # the identity, not canonical
    Point(bytes([1]) + bytes(30) + b"\x80"),
    Point((2).to_bytes(32, "little")),  # not on the curve
    Point(b"\xff" * 32),
]
FACTORS = [0, 1, 2, 8, GROUP_ORDER - 1, GROUP_ORDER - 8, 3**100, 2**251 + 5]
points = st.sampled_from([*MEMBERS, *OUTSIDE])
factors = st.sampled_from(FACTORS) | st.integers(0, GROUP_ORDER - 1)
combinations = st.builds(Combination, points, factors, points, factors)


@pytest.fixture(params=["C", "Python"])
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that runs with the C core, and again without."""
    if request.param == "Python":
        monkeypatch.setattr(group, "native_group", lambda: None)
    return str(request.param)


def test_c_is_what_computes_here() -> None:
    assert group.native_group() is native


@given(st.lists(combinations, max_size=6))
def test_combinations_are_those_of_the_reference(wanted: list[Combination]) -> None:
    assert group.combine(wanted) == [group._combine(*one) for one in wanted]


@given(combinations)
def test_a_point_outside_the_group_has_no_combination(wanted: Combination) -> None:
    """Whatever its factor, also zero. Of members the value is that of plain numbers."""
    (found,) = group.combine([wanted])
    if wanted.base in OUTSIDE or wanted.other in OUTSIDE:
        assert found is None
        return
    plain = [reference.unpacked(one) for one in (wanted.base, wanted.other)]
    assert plain[0] is not None
    assert plain[1] is not None
    value = plain[0].times(wanted.exponent) + plain[1].times(wanted.other_exponent)
    assert found == value.packed()


@given(st.data())
def test_sums_are_those_of_the_reference(data: st.DataObject) -> None:
    given_points = data.draw(st.lists(points, min_size=1, max_size=6))
    pairs = [
        tuple(data.draw(st.integers(0, len(given_points) + number - 1)) for _ in range(2))
        for number in range(data.draw(st.integers(0, 8)))
    ]
    assert group.add_pairs(given_points, pairs) == group._add_pairs(given_points, pairs)  # type: ignore[arg-type]


def test_a_factor_is_taken_modulo_the_order_before_c_sees_it(core: str) -> None:
    for factor in (GROUP_ORDER, GROUP_ORDER + 7, -1, 2**255 + 3):
        found = group.combine([Combination(MEMBERS[2], factor, MEMBERS[3], 5)])
        assert found == [group.add(multiply(MEMBERS[2], factor), multiply(MEMBERS[3], 5))]
    assert group.combine([]) == group.add_pairs([], []) == []


def test_c_refuses_arguments_that_python_never_sends() -> None:
    ffi, null = native.ffi, native.ffi.NULL
    good, results = ffi.new("uint8_t[2]", b"\x07\x07"), ffi.new("uint8_t[64]")
    term = BASE + bytes([3]) + bytes(31) + BASE + bytes([4]) + bytes(31)
    right = [native.GROUP, term * 2, 2, results, good]
    assert native.lib.votenet_combine(*right) == 2
    assert bytes(good) == b"\x01\x01"
    order = GROUP_ORDER.to_bytes(32, "little")
    for scalar in (order, b"\xff" * 32, (GROUP_ORDER + 1).to_bytes(32, "little"), bytes(31) + b"\x80"):
        for wrong in (BASE + scalar + term[64:], term[:96] + scalar):
            assert native.lib.votenet_combine(native.GROUP, term + wrong, 2, results, good) == -1
            assert bytes(good) == bytes(2)
    for place in (0, 1, 3, 4):
        assert native.lib.votenet_combine(*right[:place], null, *right[place + 1 :]) == -1
    table = ffi.new("uint8_t[128]", BASE + BASE)
    for pairs in ([2, 0, 0, 0], [0, 0, 0, 3], [0, 0, 2**32 - 1, 0]):
        places = ffi.new("uint32_t[]", pairs)
        assert native.lib.votenet_add_pairs(native.GROUP, table, 2, places, 2, good) == -1
        assert bytes(good) == bytes(2)
    right = [native.GROUP, table, 2, ffi.new("uint32_t[]", [0, 1, 2, 0]), 2, good]
    assert native.lib.votenet_add_pairs(*right) == 2
    assert ffi.buffer(table)[96:] == multiply(BASE, 3)
    for place in (0, 1, 3, 5):
        assert native.lib.votenet_add_pairs(*right[:place], null, *right[place + 1 :]) == -1
    for member in ("add", "is_member", "multiply", "multiply_base"):
        part = ffi.new("votenet_group *", native.GROUP[0])
        setattr(part, member, null)
        assert native.lib.votenet_add_pairs(part, *right[1:]) == -1
        assert native.lib.votenet_combine(part, term, 1, results, good) == -1


def test_points_and_terms_of_a_wrong_length_do_not_reach_c() -> None:
    for wrong in (b"", bytes(127), bytes(129)):
        with pytest.raises(AssertionError):
            native.combine([wrong])
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(AssertionError):
            native.add_pairs([BASE, wrong], [(0, 0)])


# -- proofs ----------------------------------------------------------------------------------------------


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all strings in a document."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, str):
        yield path
    for name, inner in rows:
        yield from leaves(inner, (*path, name))


BALLOT = json.loads(sample().ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
PATHS = list(leaves(BALLOT))


def changed(changes: dict[tuple[Any, ...], str]) -> bytes:
    document = json.loads(json.dumps(BALLOT))
    for path, value in changes.items():
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
    return msgspec.json.encode(document)


def same_verdict(raw: bytes) -> object:
    """Of this ballot, by the plain check, with C and without."""
    arguments = (sample().election, raw, sample().roll)
    plain = verdict(check_ballot_plainly, *arguments)
    assert verdict(check_ballot, *arguments) == plain
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "native_group", lambda: None)
        assert verdict(check_ballot, *arguments) == plain
    return plain


def test_every_forged_ballot_has_one_verdict() -> None:
    for raw, code in forged_ballots().values():
        assert same_verdict(raw)[0] == code  # type: ignore[index]
    for change, _ in BALLOT_FORGERIES.values():
        document = json.loads(json.dumps(BALLOT))
        change(document)
        assert isinstance(same_verdict(msgspec.json.encode(document)), tuple)
    assert not isinstance(same_verdict(msgspec.json.encode(BALLOT)), tuple)


@pytest.mark.parametrize("outside", range(len(OUTSIDE) + 1))
def test_no_point_of_a_ballot_is_outside_the_group(outside: int) -> None:
    """Not even beside another fault, whether the challenges that it meets are zero or not."""
    wrong = [*OUTSIDE, IDENTITY][outside].written()
    members = [path for path in PATHS if path[-1] in ("alpha", "beta", "credential")]
    assert len(members) == 13
    for path in members:
        assert same_verdict(changed({path: wrong}))[0] == "bad-point"  # type: ignore[index]
    zeros = {path: "0" for path in PATHS if path[-1] in ("challenge", "response")}
    for path in members[1::4]:
        assert same_verdict(changed({**zeros, path: wrong}))[0] == "bad-point"  # type: ignore[index]
    assert same_verdict(changed({members[1]: wrong, ("election_uuid",): "1" * 14}))[0] == "bad-point"  # type: ignore[index]


class AnyCredential:
    """What a node looks up in: whose credential it is, is asked elsewhere."""

    def __contains__(self, credential: object) -> bool:
        return True


def test_a_credential_outside_the_group_is_refused_where_nobody_looks_it_up(core: str) -> None:
    """Some with an even challenge: the point of order two comes to nothing then, and the signature holds."""
    order_two = Point((2**255 - 20).to_bytes(32, "little"))
    for number in range(8):
        document = {name: BALLOT[name] for name in BALLOT if name != "signature"}
        document["credential"] = group.add(multiply(BASE, 5), order_two).written()
        digest = fingerprint(msgspec.json.encode(document))
        proof = prove_knowledge(5, [BASE], f"sig|{digest}|", random.Random(number).randbytes)
        document["signature"] = {"hash": digest, "proof": json.loads(encode(proof))}
        arguments = (sample().election, msgspec.json.encode(document), AnyCredential())
        found = verdict(check_ballot, *arguments)
        assert found == verdict(check_ballot_plainly, *arguments)
        assert found[0] == "bad-point"  # type: ignore[index]


def test_the_signed_bytes_are_those_without_the_signature() -> None:
    """Also where the hash looks like the member that is cut out."""
    document = json.loads(json.dumps(BALLOT))
    document["signature"]["hash"] = 'x,"signature":{"hash":"'
    assert same_verdict(msgspec.json.encode(document))[0] == "bad-ballot-signature"  # type: ignore[index]
    assert not isinstance(same_verdict(signed_again(document)), tuple)


@given(st.data())
def test_damaged_ballots_have_one_verdict(data: st.DataObject) -> None:
    """Some with a signature that holds again."""
    texts = st.sampled_from(
        ["0", "1", str(GROUP_ORDER - 1), str(GROUP_ORDER), "", *(one.written() for one in OUTSIDE + MEMBERS)]
    )
    changes = data.draw(st.dictionaries(st.sampled_from(PATHS), texts, min_size=1, max_size=3))
    raw = changed(changes)
    if data.draw(st.booleans()):
        try:
            raw = signed_again(json.loads(raw))
        except NotProven:
            return
    assert isinstance(same_verdict(raw), tuple)


def test_a_fault_of_a_later_contest_is_told_after_a_proof_before_it() -> None:
    document = json.loads(json.dumps(BALLOT))
    document["answers"][0]["individual_proofs"][1][0]["response"] = "5"
    document["answers"][1]["choices"].pop()
    code, message = same_verdict(signed_again(document))  # type: ignore[misc]
    assert (code, message[:9]) == ("bad-choice-proof", "contest 1")


scalars = st.sampled_from([0, 1, GROUP_ORDER - 1, GROUP_ORDER, GROUP_ORDER + 1]) | st.integers(0, 2**256)
proofs = st.builds(
    lambda challenge, response: SchnorrProof(challenge=Scalar(challenge), response=Scalar(response)),
    scalars,
    scalars,
)


def claim_verdict(claim: Knowledge | OneIsZero) -> object:
    try:
        return claims_hold([claim])
    except NotProven as error:
        return error.code


@given(proofs, st.lists(st.builds(Power, points, points), max_size=3))
def test_claims_of_knowledge_have_one_verdict(proof: SchnorrProof, powers: list[Power]) -> None:
    claim = Knowledge(proof, powers, "x|")
    found = claim_verdict(claim)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "native_group", lambda: None)
        assert claim_verdict(claim) == found
    outside = any(one in OUTSIDE for power in powers for one in power)
    assert found == ("bad-point" if outside else [False])


@given(st.lists(proofs, max_size=3), st.lists(st.builds(Encryption, points, points), max_size=3), points)
def test_claims_that_one_is_zero_have_one_verdict(
    several: list[SchnorrProof], encryptions: list[Encryption], key: Point
) -> None:
    claim = OneIsZero(several, encryptions, key, "x|")
    found = claim_verdict(claim)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "native_group", lambda: None)
        assert claim_verdict(claim) == found
    assert found in ("bad-point", [False])


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_none_of_many_claims_slips(core: str, bad: int) -> None:
    rng = random.Random(5)
    claims = [
        Knowledge(
            prove_knowledge(number, [BASE], "x|", rng.randbytes), [Power(BASE, multiply(BASE, known))], "x|"
        )
        for number, known in ((one + 2, one + 2 + (one == bad)) for one in range(7))
    ]
    assert claims_hold(claims) == [one != bad for one in range(7)]


def test_whole_elections_hold_without_c_as_with_it(core: str) -> None:
    vector = Path(__file__).parent.parent / "vectors" / "belenios" / "JUKAAfQKwDeaXu.bel"
    assert verify_archive(vector.read_bytes()).counts == ((2, 1), (1, 1, 1, 1))
    assert verify_archive(write_archive(whole())).counts is not None
    assert len(polled().tally[0]) == 3
    for forge, code in ELECTION_FORGERIES.values():
        with pytest.raises(NotProven) as caught:
            verify_archive(write_archive(forge(whole())))
        assert caught.value.code == code


# -- the call itself -------------------------------------------------------------------------------------


def test_other_threads_run_meanwhile() -> None:
    """This thread counts while another is in C: one that kept the lock would leave it at nought.

    On a busy machine one call may be over before this thread gets a processor: then another is looked at.
    """
    deadline = time.monotonic() + 60.0
    while turns_during_a_call() <= 2:
        assert time.monotonic() < deadline


def turns_during_a_call() -> int:
    """How often this thread ran while another one was in C."""
    entered, left = threading.Event(), threading.Event()
    scalar = bytes([9]) * 31 + b"\x01"
    terms = [MEMBERS[2] + scalar + MEMBERS[3] + scalar] * 1500

    def check() -> None:
        entered.set()
        assert None not in native.combine(terms)
        left.set()

    thread = threading.Thread(target=check)
    thread.start()
    entered.wait()
    turns = 0
    while not left.wait(0.001):
        turns += 1
    thread.join()
    return turns


def test_another_pynacl_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = native.FUNCTIONS[0]._replace(type="int(*)(void)")
    with monkeypatch.context() as patch:
        patch.setattr(native, "FUNCTIONS", (changed,))
        with pytest.raises(ImportError, match="crypto_core_ed25519_add is a"):
            native.find_group()
    monkeypatch.setattr(native.sodium, "lib", native.lib)  # a library without that function
    with pytest.raises(ImportError, match="no crypto_core_ed25519_add"):
        native.find_group()


def test_an_older_build_of_the_c_core_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "lib", object())
    with pytest.raises(ImportError, match="build it again"):
        native.find_group()


def test_a_library_that_takes_other_points_for_members_fails_the_self_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which of its functions is wrong does not matter."""

    @native.ffi.callback("votenet_is_member")
    def always(point: object) -> int:
        return 1

    @native.ffi.callback("votenet_multiply")
    def nothing(product: object, scalar: object, point: object) -> int:
        return 0

    for member, wrong in (("is_member", always), ("multiply", nothing)):
        part = native.ffi.new("votenet_group *", native.GROUP[0])
        setattr(part, member, wrong)
        monkeypatch.setattr(native, "GROUP", part)
        with pytest.raises(ImportError, match="do not compute"):
            native.self_test()


def test_without_the_c_core_python_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    group.native_group.cache_clear()
    monkeypatch.delattr(votenet.secret, "native")
    monkeypatch.setitem(sys.modules, "votenet.secret.native", None)
    try:
        assert group.native_group() is None
        check_ballot(sample().election, msgspec.json.encode(BALLOT), sample().roll)
        assert isinstance(group.combine([Combination(BASE, 1, BASE, 1)])[0], SumPoint)
    finally:
        group.native_group.cache_clear()
