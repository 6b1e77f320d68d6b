"""Targets: archives and receipts, read by votenet and by the second verifier: both must say the same.

"The same" is: both take it, and then count the same, or both refuse it. Which of several faults is named
first is not compared here: the corpus of single faults does that.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import lzma
import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from fuzz.engine import Target
from fuzz.files import folder
from support.amended_files import good_amended
from support.amended_records import receipts as amended_receipts
from support.amended_records import results as amended_results
from support.archives import NOW, good_archive, good_receipt, tampered, tampered_receipts
from support.elections import CREATED, TRIVIAL_BITS, UUID, key_of, mine_block
from support.named_files import good_archives as good_named_archives
from support.second_opinion import same_contests
from support.tampered_amendments import broken_amendments
from support.tampered_evidence import result_with, tampered_results
from support.tampered_named_files import tampered_archives as tampered_named_archives
from support.tampered_named_receipts import good_receipts as good_named_receipts
from support.tampered_named_receipts import tampered_receipts as tampered_named_receipts
from verifier.test_votenet_verifier import verifier
from votenet.client.archive_file import lines_of, open_archive
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.encoding import canonical
from votenet.core.faults import FAULTS
from votenet.core.ledger.block import genesis_header, order_votes
from votenet.core.ledger.vote import HashedVote, hash_vote, sign_vote
from votenet.core.log.merkle import merkle_path
from votenet.core.records.archive import ArchiveCheck, archive_lines
from votenet.core.records.final_result import check_result, decode_result
from votenet.core.records.receipt import check_receipt, decode_receipt, encode_receipt, make_receipt
from votenet.errors import ConfigError, NotProven
from votenet.pow import bits_to_target

EASY: Final = 2**250
"""The forger does the work for targets above this: 64 nonces on average at most."""


def _verdict(check: Callable[[], Any], kind: type[Exception]) -> tuple[Any, str]:
    """(what came of it, the code of the fault); a code that the documents do not name is a finding."""
    try:
        return check(), ""
    except kind as error:
        found = error
    code: str = found.code  # type: ignore[attr-defined]
    assert code in FAULTS, code
    return None, code


def compare_archives(data: bytes, suffix: str = "") -> bool:
    """Whether both take it; an AssertionError where they do not agree."""
    with folder() as place:
        path = place / f"archive{suffix}"
        path.write_bytes(data)

        def audit() -> Any:
            with contextlib.closing(open_archive(path)) as source, source.stream() as file:
                return ArchiveCheck(lines_of(file), NOW).run()

        ours, code = _verdict(audit, NotProven)
        theirs, other = _verdict(lambda: verifier.check_archive(str(path), None, NOW), verifier.Fault)
    assert (ours is None) == (theirs is None), f"votenet: {code or 'holds'}, the verifier: {other or 'holds'}"
    if ours is None:
        return False
    for name in ("height", "tip", "votes", "work", "network_id", "title", "final", "closes", "cancelled"):
        assert theirs[name] == getattr(ours, name), name
    assert tuple(theirs["signed_by"]) == ours.signed_by
    same_contests(theirs["contests"], ours.contests)
    return True


def compare_receipts(data: bytes) -> bool:
    """As `compare_archives`."""
    with folder() as place:
        path = place / "receipt"
        path.write_bytes(data)
        theirs, other = _verdict(lambda: verifier.check_receipt(str(path), None, NOW), verifier.Fault)
    ours, code = _verdict(lambda: check_receipt(decode_receipt(data), NOW), NotProven)
    assert (ours is None) == (theirs is None), f"votenet: {code or 'holds'}, the verifier: {other or 'holds'}"
    if ours is None:
        return False
    for name in ("title", "network_id", "voter_id", "vote_id", "final"):
        assert theirs[name] == getattr(ours, name), name
    assert tuple(map(tuple, theirs["choices"])) == ours.choices
    for name in ("signed_by", "received_by"):
        assert tuple(theirs.get(name, ())) == getattr(ours, name), name
    if ours.chain is not None:
        for name in ("block", "height", "position", "work"):
            assert theirs[name] == getattr(ours.chain, name), name
    return True


def compare_results(data: bytes) -> bool:
    """As `compare_archives`, for a final result without its archive."""
    with folder() as place:
        path = place / "result"
        path.write_bytes(data)
        theirs, other = _verdict(lambda: verifier.check_result(str(path), None, NOW), verifier.Fault)
    ours, code = _verdict(lambda: check_result(decode_result(data)), NotProven)
    assert (ours is None) == (theirs is None), f"votenet: {code or 'holds'}, the verifier: {other or 'holds'}"
    return ours is not None


def archives(data: bytes) -> None:
    compare_archives(data)


def packed_archives(data: bytes) -> None:
    """First byte: .gz, .xz."""
    compare_archives(data[1:], ".gz" if data[:1] == b"g" else ".xz")


def receipts(data: bytes) -> None:
    compare_receipts(data)


def results(data: bytes) -> None:
    compare_results(data)


# -- recipes ---------------------------------------------------------------------------------------


def forged(data: bytes) -> None:
    """An election, its archive and a receipt, as a recipe asks for, with signatures and work done anew.

    A recipe is JSON: `definition` (fields that differ), `blocks`: lists of `[voter, signer, choices,
    {fields set after signing}]`, `headers`: {height: {field: value}}.
    """
    try:
        recipe = msgspec.json.decode(data)
        election = _election(recipe["definition"])
        pairs, blocks = _blocks(election, recipe)
    except (ConfigError, ValueError, TypeError, LookupError, AttributeError, OverflowError, struct.error):
        return  # nothing that a file could say
    except RecursionError:
        return  # a recipe nested too deeply to be read; what reads files has to refuse such a one itself
    compare_archives(b"".join(archive_lines(election, [(*pair, b"{}") for pair in pairs])))
    headers = [raw.hex() for raw, _ in pairs]
    for height, votes in enumerate(blocks, start=1):
        for at, hashed in enumerate(votes[:2]):
            path = [sibling.hex() for sibling in merkle_path([one.id for one in votes], at)]
            made = make_receipt(
                election, hashed.vote, headers[:height], path=path, position=at, size=len(votes)
            )
            compare_receipts(encode_receipt(made))


def _election(fields: dict[str, Any]) -> Election:
    basis: dict[str, Any] = {
        "chain": {"bits": TRIVIAL_BITS}, "created": CREATED, "title": "Forged", "uuid": UUID
    }  # fmt: skip
    return Election(msgspec.convert(basis | fields, ElectionDefinition, strict=True))


def _blocks(
    election: Election, recipe: dict[str, Any]
) -> tuple[list[tuple[bytes, bytes]], list[tuple[HashedVote, ...]]]:
    if bits_to_target(election.bits) < EASY:
        raise ValueError("too much work")
    parent, pairs, bodies = genesis_header(election), [], []
    for height, body in enumerate(recipe["blocks"][:20], start=1):
        votes = order_votes([_vote(election, *one) for one in body[:10]])
        fields = {"time": None, **recipe["headers"].get(str(height), {})}
        allowed = {name: fields[name] for name in ("time", "version") if name in fields}
        block = mine_block(election, parent, votes, **allowed)
        parent = block.header
        pairs.append((parent.pack(), b",".join(hashed.record for hashed in votes)))
        bodies.append(votes)
    return pairs, bodies


def _vote(
    election: Election, voter: str, signer: str, choices: list[str], after: dict[str, Any]
) -> HashedVote:
    made = sign_vote(
        key_of(signer[:50]), network_hex=election.network_hex, voter_id=voter, choices=[choices], time=CREATED
    )
    # Only what a reader of the record would take: other shapes are for the target of raw bytes.
    record = msgspec.json.decode(made.record) | after
    return hash_vote(msgspec.json.decode(canonical(record), type=type(made.vote)))


def _recipes() -> list[bytes]:
    names = ["A", "B", "Ç", "D \U0001f5f3"]
    blocks = [
        [["ann", "ann", ["A"], {}], ["bob", "bob", ["B"], {}]],
        [],
        [["cy", "cy", ["B"], {}], ["dé", "d", ["Ç"], {}], ["e", "e", ["A"], {}]],
    ]
    ranked = [
        [[f"v{n}{k}", "k", [names[(n + k) % 4], names[(n * k + 1) % 4]], {}] for k in range(4)]
        for n in range(5)
    ]
    for body in ranked:
        for one in body:
            one[2] = list(dict.fromkeys(one[2]))
    plain: dict[str, Any] = {"contests": [_contest(names)]}
    approval, ranked_ones = (
        {"contests": [_contest(names, method=method, max=2)]} for method in ("approval", "instant-runoff")
    )
    hours = {"opens": CREATED, "closes": CREATED + 3}
    found = [
        {"definition": plain, "blocks": blocks, "headers": {}},
        {"definition": plain, "blocks": blocks, "headers": {"2": {"time": CREATED + 9}}},
        {"definition": approval, "blocks": ranked, "headers": {"1": {"version": 1}}},
        {"definition": ranked_ones, "blocks": ranked, "headers": {}},
        {"definition": approval | hours, "blocks": blocks, "headers": {}},
        {"definition": plain, "headers": {},
         "blocks": [[["ann", "ann", ["A"], {"signature": "00" * 64}], ["bob", "eve", ["B"], {"time": 5}]]]},
    ]  # fmt: skip
    return [json.dumps(recipe, ensure_ascii=False).encode() for recipe in found]


def _contest(names: list[str], **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"name": name} for name in names], "title": "Forged", **fields}


def _archives() -> list[bytes]:
    bad = [data for _, data in (*tampered().values(), *tampered_named_archives().values())]
    bad += [made.data for _, made in broken_amendments().values()]
    good = [good_archive(), *good_named_archives().values(), *(made.data for made in good_amended().values())]
    kept = [*good, *(data for data in bad if len(data) < 50_000)]
    return [data for data in kept if b'"weighted":true' not in data]  # these need their roll


def _packed() -> list[bytes]:
    return [b"g" + gzip.compress(good_archive(), mtime=0), b"x" + lzma.compress(good_archive())]


def _receipts() -> list[bytes]:
    bad = (*tampered_receipts().values(), *tampered_named_receipts().values())
    amended = [case.data for case in amended_receipts().values() if len(case.data) < 50_000]
    good = [good_receipt(), good_receipt(4, 2), *good_named_receipts().values()]
    return [*good, *amended, *(data for _, data in bad)]


def _results() -> list[bytes]:
    amended = [case.data for case in amended_results().values()]
    return [result_with(), *(data for _, data in tampered_results().values()), *amended]


def both_agree_on_the_seeds() -> int:
    """How many seeds both take: a differential target that never accepts anything tests little."""
    taken = sum(map(compare_archives, _archives())) + sum(map(compare_receipts, _receipts()))
    taken += sum(map(compare_results, _results()))
    assert ArchiveCheck(io.BytesIO(good_archive()), NOW).run().votes > 0
    return taken


TARGETS: Final = (
    Target("archives", archives, _archives, weight=2.0),
    Target("packed-archives", packed_archives, _packed),
    Target("receipts", receipts, _receipts),
    Target("results", results, _results),
    Target("forged", forged, _recipes, max_bytes=16384, weight=3.0),
)
