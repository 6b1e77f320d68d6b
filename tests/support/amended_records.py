"""Receipts, final results and evidence of amended elections, good ones and tampered ones.

Each case: the code of both readers (empty: it holds), the file, the roll, and for evidence the archive.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from support.amended_files import VOTERS, AmendedFile, amendable, replaced_late, roll_of, with_voters
from support.elections import CREATED, key_of
from support.named_files import CLOSES, Batch, Json, NamedFile, named_definition, record_id
from votenet.core.election.roll import Roll
from votenet.core.encoding import canonical
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import FinalResult, encode_result, result_of_archive

LIAR: Final = 2


class Case(NamedTuple):
    code: str
    data: bytes
    roll: Roll | None = None
    archive: bytes = b""


# -- receipts ----------------------------------------------------------------------------------------


def final(file: AmendedFile, vote: Json, amendments: list[Json] | None = None) -> bytes:
    """The receipt of a vote in the log; by default with all amendments of the file."""
    proof = file.log_proof(file.log.index(record_id(vote)))
    return file.receipt(vote, proof=proof, amendments=file.amendments if amendments is None else amendments)


def received(file: AmendedFile, time: int, *amendments: Json) -> bytes:
    """The receipt of a vote that a node accepted at that time."""
    vote = file.vote("v")
    acceptance = file.acceptance(1, [record_id(vote)], 0, time=time)
    return file.receipt(vote, acceptances=[acceptance], amendments=list(amendments))


@cache
def receipts() -> dict[str, Case]:
    roll = roll_of(VOTERS)
    added, replaced, open_ = with_voters(), with_voters(), AmendedFile()
    early, late = added.keyed_vote("bo", "bo"), added.keyed_vote("di")
    added.cast(early).amend(added.voter("add-voter", "di"), added.voter("add-voter", "ed", number=2))
    added.cast(late)
    old, new = replaced.keyed_vote("ann", "ann"), replaced.keyed_vote("ann")
    replaced.amend(replaced.voter("replace-key", "ann")).cast(new)
    one, two = added.amendments
    later, sooner = open_.hours("extend", CLOSES + 600), open_.hours("close", CLOSES - 300)
    cancel = open_.amendment("cancel")
    chain = NamedFile(named_definition(0, authority_key=key_of("the authority").public_hex))
    good = {
        "of-an-added-voter": final(added, late),
        "of-a-voter-from-before": final(added, early, []),
        "with-later-amendments": final(added, early),
        "with-the-first-alone": final(added, late, [one]),
        "of-a-replaced-key": final(replaced, new),
    }
    bad: dict[str, tuple[str, bytes]] = {
        "added-voter-left-out": ("not-on-roll", final(added, late, [])),
        "replaced-key-left-out": ("wrong-key", final(replaced, new, [])),
        "key-of-before": ("wrong-key", replaced.receipt(old, proof="x", amendments=replaced.amendments)),
        "not-signed": ("bad-amendment", final(added, late, [one | {"signature": "00" * 64}])),
        "changed-after-signing": ("bad-amendment", final(added, late, [one | {"reason": "x"}])),
        "number-2-first": ("bad-amendment", final(added, late, [two])),
        "the-other-way-round": ("bad-amendment", final(added, late, [two, one])),
        "one-twice": ("bad-amendment", final(added, late, [one, one])),
        "of-the-old-key": (
            "bad-amendment",
            final(added, late, [added.voter("add-voter", "ed", "bo", number=1)]),
        ),
        "without-its-kind": ("bad-record", final(added, late, [_without(one, "kind")])),
        "of-another-kind": ("bad-record", final(added, late, [one | {"kind": "closing-list"}])),
        "null": ("bad-record", added.receipt(late, proof="x", amendments=None)),
        "too-many": ("bad-record", final(added, late, 10_001 * [one])),
        "as-many-as-may-be": ("bad-amendment", final(added, late, 10_000 * [one])),
    }
    hours: dict[str, tuple[str, bytes]] = {
        "in-the-extended-hours": ("", received(open_, CLOSES + 599, later)),
        "after-the-extended-hours": ("bad-acceptance", received(open_, CLOSES + 600, later)),
        "after-hours-not-extended": ("bad-acceptance", received(open_, CLOSES)),
        "after-an-earlier-closing": ("bad-acceptance", received(open_, CLOSES - 300, sooner)),
        "of-a-cancelled-election": ("cancelled", received(open_, CREATED + 5, cancel)),
        "of-a-chain": ("bad-amendment", _of_chain(chain, cancel)),
    }
    return {
        **{name: Case("", data, roll) for name, data in good.items()},
        **{f"{name}-without-the-roll": Case("", data) for name, data in good.items()},
        **{name: Case(code, data, roll) for name, (code, data) in bad.items()},
        **{name: Case(code, data) for name, (code, data) in hours.items()},
        "key-of-before-without-the-roll": Case("wrong-key", bad["key-of-before"][1]),
        "without-the-member": Case("bad-record", _without_amendments(final(added, late))),
    }


def _without(record: Json, name: str) -> Json:
    return {key: value for key, value in record.items() if key != name}


def _without_amendments(receipt: bytes) -> bytes:
    assert receipt.startswith(b'{"acceptances":[],"amendments":')
    record = json.loads(receipt)
    return canonical(_without(record, "amendments")) + b"\n"


def _of_chain(file: NamedFile, amendment: Json) -> bytes:
    """A receipt without named nodes, which carries an amendment."""
    vote = file.vote("v")
    file.block(Batch([vote]), miner=lambda _: None)
    chain = {"headers": [file.lines[0]["header"]], "path": [], "position": 0, "size": 1}
    return file.receipt(vote, chain=chain, amendments=[amendment])


# -- evidence ----------------------------------------------------------------------------------------


def broken(file: AmendedFile, vote: Json, time: int) -> bytes:
    """Evidence that a node accepted a vote and left it out."""
    acceptance = file.acceptance(LIAR, [record_id(vote)], 0, time=time)
    record = {
        "definition": file.definition,
        "format": "votenet-evidence",
        "kind": "broken-acceptance",
        "node": LIAR,
        "proof": {"acceptance": acceptance, "vote": vote},
        "version": 1,
    }
    return canonical(record) + b"\n"


@cache
def evidence() -> dict[str, Case]:
    roll = roll_of(VOTERS)
    later, sooner, gone = AmendedFile(), AmendedFile(), AmendedFile()
    later.amend(later.hours("extend", CLOSES + 600)).close()
    sooner.amend(sooner.hours("close", CLOSES - 300)).close()
    gone.amend(gone.amendment("cancel"))
    never = AmendedFile(amendable(closes=None))
    never.amend(never.hours("close", CLOSES)).close()
    voters = with_voters()
    voters.amend(voters.voter("replace-key", "ann"), voters.voter("add-voter", "di", number=2)).close()

    def in_hours(code: str, file: AmendedFile, time: int) -> Case:
        return Case(code, broken(file, file.vote("v"), time), None, file.pack())

    def of_voter(code: str, voter: str, key: str = "", *, bare: bool = False) -> Case:
        data = broken(voters, voters.keyed_vote(voter, key), CREATED + 5)
        return Case(code, data, None if bare else roll, voters.pack())

    return {
        "in-the-extended-hours": in_hours("", later, CLOSES + 599),
        "after-the-extended-hours": in_hours("bad-evidence", later, CLOSES + 600),
        "before-an-earlier-closing": in_hours("", sooner, CLOSES - 301),
        "after-an-earlier-closing": in_hours("bad-evidence", sooner, CLOSES - 300),
        "before-the-only-closing": in_hours("", never, CLOSES - 1),
        "of-a-cancelled-election": in_hours("cancelled", gone, CREATED + 5),
        "of-a-cancelled-election-not-signed": Case(
            "not-final", broken(gone, gone.vote("v"), CREATED + 5), None, gone.pack("")
        ),
        "by-the-key-of-before": of_voter("bad-evidence", "ann", "ann"),
        "by-the-key-of-before-without-the-roll": of_voter("bad-evidence", "ann", "ann", bare=True),
        "by-the-key-in-force": of_voter("", "ann"),
        "of-an-added-voter": of_voter("", "di"),
        "of-a-voter-from-before": of_voter("", "bo", "bo"),
        "of-a-stranger": of_voter("bad-evidence", "ed"),
        "alone": of_voter("needs-archive", "bo", "bo")._replace(archive=b""),
    }


# -- final results -----------------------------------------------------------------------------------

WEIGHTS: Final = {"ann": 5, "bo": 3, "cy": 1}
MOTION: Final = {
    "method": "motion",
    "quorum": {"percent": 50},
    "threshold": {"basis": "roll", "share": "absolute"},
}


@cache
def motion() -> AmendedFile:
    """A closed election with weights: two thirds of the votes come by amendments, and one is left out."""
    file = with_voters(WEIGHTS, contest=MOTION)
    late, held = replaced_late(file)
    file.cast(file.keyed_vote("bo", "bo", "Bob"))
    file.amend(file.voter("add-voter", "di", weight=9), file.voter("replace-key", "ann", number=2))
    file.cast(file.keyed_vote("di")).amend(file.hours("extend", CLOSES + 300))
    return file.close(held).end(not_counted=[late])


Change = Callable[[Json], Json]


@cache
def right_result() -> FinalResult:
    """The final result that the product makes of `motion`."""
    check = ArchiveCheck(io.BytesIO(motion().pack()), CREATED + 100_000, roll=roll_of(WEIGHTS))
    return result_of_archive(check, check.blocks())


def changed_results() -> dict[str, tuple[str, str, Change]]:
    """Changes of the final result of `motion`: (code with the archive, code alone, the change)."""
    file = motion()
    one, two, three = file.amendments
    cancel = file.amendment("cancel")
    many = [
        file.amendment("add-voter", key=key_of(f"m{n}").public_hex, number=n, voter_id=f"m{n}", weight=1)
        for n in range(4, 40)
    ]

    def amendments(*records: Any) -> Change:
        return lambda result: result | {"amendments": list(records)}

    return {
        "left-out": ("wrong-totals", "", amendments()),
        "last-left-out": ("wrong-totals", "", amendments(one, two)),
        "first-left-out": ("bad-amendment", "bad-amendment", amendments(two, three)),
        "the-other-way-round": ("bad-amendment", "bad-amendment", amendments(one, three, two)),
        "changed-after-signing": (
            "bad-amendment",
            "bad-amendment",
            amendments(one | {"weight": 8}, two, three),
        ),
        "cancelled": ("cancelled", "cancelled", amendments(one, two, three, cancel)),
        "more-than-the-log-holds": ("wrong-totals", "wrong-totals", amendments(one, two, three, *many)),
        "a-text": ("bad-record", "bad-record", amendments("extend")),
        "conditions-of-the-roll-before": ("wrong-totals", "", _other_conditions),
    }


@cache
def results() -> dict[str, Case]:
    """Final results of `motion`: code with the archive, file, roll, archive. The good one has no name."""
    data, roll, archive = encode_result(right_result()), roll_of(WEIGHTS), motion().pack()
    made = {"": Case("", data, roll, archive)}
    for name, (code, _, change) in changed_results().items():
        made[name] = Case(code, canonical(change(json.loads(data))) + b"\n", roll, archive)
    return made


def _other_conditions(result: Json) -> Json:
    (contest,) = result["contests"]
    threshold, quorum = contest["conditions"]
    return result | {"contests": [contest | {"conditions": [threshold | {"needed": 5}, quorum]}]}
