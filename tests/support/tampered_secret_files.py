"""Archives, receipts and results of a secret election with one fault each: the codes, and Belenios' archives.

Where a fault would hide behind another one, voters have signed, nodes have mined and certified it again: all
of them are in it. `bel` holds the same fault as far as Belenios' archive can have it.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from support.elections import CREATED, key_of
from support.named_files import Json, NamedFile, record_id
from support.secret_definitions import SecretSetup
from support.secret_files import SETUP as OTHER
from support.secret_poll import CHOICES, POLL, PollFile, edited, poll, signed, voted
from support.tampered_secret_ballots import spelled, tampered_ballots
from votenet.core.election.definition import ElectionDefinition
from votenet.core.election.secret_rules import with_belenios
from votenet.core.encoding import DOMAIN_ROLL, canonical
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import encode_result, result_of_archive
from votenet.secret.ballot import check_ballot, make_ballot
from votenet.secret.belenios_archive import BeleniosArchive, OwnedPart
from votenet.secret.credentials import secret_exponent, write_public_credentials
from votenet.secret.decryption_share import make_share
from votenet.secret.definition import SecretElection, read_election
from votenet.secret.documents import encode
from votenet.secret.group import BASE, GROUP_ORDER, Point, multiply
from votenet.secret.tally import EncryptedTally, decrypt_partially, sum_ballots

LATER = CREATED + 100_000
"""The clock of the readers."""


class Tampered(NamedTuple):
    """A file, what goes with it, and what it is refused for."""

    code: str
    """Of product and second verifier; empty where the file holds."""
    data: bytes
    check: str = "archive"
    roll: bytes | None = POLL.roll.to_file()
    archive: bytes | None = None
    """With which a result is compared."""
    bel: BeleniosArchive | None = None
    """Belenios' archive with the same fault; None where it has no place for it."""


Corpus = dict[str, Tampered]


@cache
def honest() -> BeleniosArchive:
    """Belenios' archive of the election, with the result by trustees 1 and 2."""
    state = poll().rng.getstate()
    found = poll().archive()
    poll().rng.setstate(state)
    return found


def shares(*places: int) -> list[str]:
    return [poll().share(place) for place in places]


@cache
def good_files() -> Corpus:
    """What holds: with enough shares there are counts."""
    whole = voted().packed(shares(1, 2))
    vote = voted().lines[0]["votes"][0]
    return {
        "all shares": Tampered("", voted().packed(shares(1, 2, 3)), bel=honest()),
        "enough shares": Tampered("", voted().packed(shares(1, 3))),
        "a share too few": Tampered("", voted().packed(shares(2)), bel=_parts(1)),
        "no share": Tampered("", voted().packed()),
        "a result": Tampered("", _result(), "result", archive=whole),
        "a receipt": Tampered("", _receipt(vote), "receipt"),
    }


@cache
def tampered_files() -> Corpus:
    """All of them, by kind and name."""
    kinds: dict[str, Callable[[], Corpus]] = {
        "ballot": _ballot_faults,
        "vote": _vote_faults,
        "roll": _roll_faults,
        "definition": _definition_faults,
        "share": _share_faults,
        "count": _count_faults,
        "receipt": _receipt_faults,
    }
    return {f"{kind}/{name}": case for kind, make in kinds.items() for name, case in make().items()}


# -- votes -------------------------------------------------------------------------------------------


def _ballot_faults() -> Corpus:
    """Ballots that their voters signed as they are."""
    # Belenios knows no voters, only credentials, and reads a ballot's line without its end.
    holds_there = ("the ballot of another voter", "a newline behind it")
    found = Corpus()
    for name, (code, voter, ballot) in tampered_ballots().items():
        file = PollFile()
        file.cast(file.ballot_vote(voter, ballot))
        bel = None if name in holds_there else _with_ballots(ballot.encode())
        found[name] = Tampered(code, file.packed(), bel=bel)
    return found


def _with_ballots(first: bytes) -> BeleniosArchive:
    """Belenios' archive with another first ballot, whatever was decrypted."""
    return honest()._replace(ballots=(first, *honest().ballots[1:]))


def _with_another_roll() -> SecretElection:
    """The election with the same trustees, contests and uuid for other voters."""
    definition: Json = json.loads(json.dumps(PollFile().definition)) | {"roll_root": "ab" * 32}
    _bound(definition)
    return read_election(definition["belenios"].encode())


def _vote_faults() -> Corpus:
    file = PollFile()
    one, two = file.ballot_vote("voter-1"), file.ballot_vote("voter-2")
    again = poll().ballot_of(0, [[0, 1, 0], [0, 1, 0]]).decode()
    second = file.ballot_vote("voter-1", again)
    foreign = OTHER.ballot("voter-1", ((0, 0, 1, 0),))
    secret = secret_exponent(poll().credentials[0], poll().uuid)
    elsewhere = make_ballot(
        _with_another_roll(), secret, CHOICES["voter-1"], random.Random(4).randbytes
    ).decode()

    def of(code: str, *votes: Json, bel: BeleniosArchive | None = None) -> Tampered:
        made = PollFile()
        for vote in votes:
            made.cast(vote)
        return Tampered(code, made.packed(), bel=bel)

    return {
        "altered after casting": of("bad-signature", one | {"ballot": again}),
        "ballots change voters after casting": of("unknown-credential", one | {"ballot": two["ballot"]}, two),
        "signed by another voter": of("bad-signature", signed(file, "voter-2", one)),
        "of another voter with one's own key": of(
            "wrong-key",
            signed(file, "voter-2", one | {"voter_key": key_of("voter-2").public_hex}),
        ),
        "cast twice": of("voter-twice", one, one, bel=_twice()),
        "a second ballot": of("voter-twice", one, second),
        "a ballot of another election": of(
            "wrong-election",
            file.ballot_vote("voter-1", foreign),
            bel=_with_ballots(foreign.encode()),
        ),
        "a ballot of the same election with another roll": of(
            "wrong-election",
            file.ballot_vote("voter-1", elsewhere),
            bel=_with_ballots(elsewhere.encode()),
        ),
        "of another network": of(
            "network-mismatch", signed(file, "voter-1", one | {"network_id": "ab" * 32})
        ),
        "open choices beside the ballot": of(
            "bad-vote", signed(file, "voter-1", one | {"choices": [["Alice"], ["Dora"]]})
        ),
        "left out": Tampered(
            "bad-merkle-root",
            edited(lambda lines: lines[2]["votes"].pop()),
            bel=_left_out(),
        ),
        "put in": Tampered(
            "bad-merkle-root", edited(lambda lines: lines[2]["votes"].append(two)), bel=_put_in()
        ),
    }


def _twice() -> BeleniosArchive:
    return honest()._replace(ballots=(*honest().ballots, honest().ballots[0]))


def _left_out() -> BeleniosArchive:
    return honest()._replace(ballots=honest().ballots[:2])


def _put_in() -> BeleniosArchive:
    return honest()._replace(ballots=(*honest().ballots, poll().ballot_of(2, [[1, 0, 0], [1, 0, 0]])))


# -- rolls -------------------------------------------------------------------------------------------


def _roll_file(change: Callable[[list[list[Any]]], object], *, rooted: bool = True) -> bytes:
    """The roll file with a change to its rows; `rooted`: with the root of these."""
    record = json.loads(POLL.roll.to_file())
    change(record["voters"])
    if rooted:
        leaves = [leaf_hash(DOMAIN_ROLL + canonical(row)) for row in record["voters"]]
        record["root"] = merkle_root(leaves).hex()
    return canonical(record)


def _swapped(rows: list[list[Any]]) -> None:
    rows[0][3], rows[1][3] = rows[1][3], rows[0][3]


def _put(row: int, column: int, value: Any) -> Callable[[list[list[Any]]], None]:
    def change(rows: list[list[Any]]) -> None:
        rows[row][column] = value

    return change


def _roll_faults() -> Corpus:
    data = voted().packed(shares(1, 2))
    stranger = Point(multiply(BASE, 9)).written()

    def of(code: str, roll: bytes | None, bel: BeleniosArchive | None = None) -> Tampered:
        return Tampered(code, data, roll=roll, bel=bel)

    def credentials(**weights: Any) -> BeleniosArchive:
        return honest()._replace(credentials=write_public_credentials(weights["of"]))

    heavier = dict(zip(poll().roll, (7, 2, 1, 4, 1), strict=True))
    replaced = {Point.parse(stranger): 1, **dict(list(poll().roll.items())[1:])}
    missing = dict(list(poll().roll.items())[1:])
    return {
        "a credential replaced": of(
            "roll-mismatch", _roll_file(_put(0, 3, stranger)), credentials(of=replaced)
        ),
        "a credential replaced under the old root": of(
            "bad-roll", _roll_file(_put(0, 3, stranger), rooted=False)
        ),
        "credentials change voters": of("roll-mismatch", _roll_file(_swapped)),
        "a credential twice": of("bad-roll", _roll_file(_put(0, 3, poll().voter_credential(1)))),
        "no credential": of("bad-roll", _roll_file(_put(0, 3, ""))),
        "a credential outside the group": of("bad-roll", _roll_file(_put(0, 3, "00" * 32))),
        "the identity as a credential": of("bad-roll", _roll_file(_put(0, 3, "00" * 31 + "01"))),
        "a credential in capitals": of(
            "bad-roll", _roll_file(lambda rows: _put(0, 3, rows[0][3].upper())(rows))
        ),
        "a weight altered": of("roll-mismatch", _roll_file(_put(0, 2, 7)), credentials(of=heavier)),
        "a weight altered under the old root": of("bad-roll", _roll_file(_put(0, 2, 7), rooted=False)),
        "a voter left out": of(
            "roll-mismatch", _roll_file(lambda rows: rows.pop(0)), credentials(of=missing)
        ),
        "not there": of("roll-missing", None),
        "another election's": of("roll-mismatch", SecretSetup(seed=2).roll.to_file()),
    }


# -- definitions -------------------------------------------------------------------------------------


def _defined(change: Callable[[Json], object]) -> bytes:
    """The definition with a change, as an archive of an election that nobody has voted in yet."""
    definition: Json = json.loads(json.dumps(PollFile().definition))
    change(definition)
    return NamedFile(definition).pack()


def _text(old: str, new: str) -> Callable[[Json], None]:
    """A change of the text for Belenios."""

    def change(definition: Json) -> None:
        assert old in definition["belenios"]
        definition["belenios"] = definition["belenios"].replace(old, new, 1)

    return change


def _trustee_key(place: int, key: str) -> Callable[[Json], None]:
    def change(definition: Json) -> None:
        definition["trustees"]["keys"][place - 1]["key"] = key

    return change


def _bound(definition: Json) -> None:
    """Let the text for Belenios follow from all the rest."""
    made = with_belenios(msgspec.convert(definition | {"belenios": ""}, ElectionDefinition))
    definition["belenios"] = made.belenios


def _definition_faults() -> Corpus:
    """Those of one text alone: the network that the first line names is that of the definition."""
    key = json.loads(PollFile().definition["belenios"])["public_key"]
    intruder = Point(multiply(BASE, 5)).written()
    of = {
        "another name in Belenios' text": _text('"Pemilihan ketua"', '"Pemilihan"'),
        "another candidate in Belenios' text": _text('"Emil"', '"Emi1"'),
        "candidates change places in Belenios' text": _text('"Alice","Bob"', '"Bob","Alice"'),
        "a higher maximum in Belenios' text": _text('"max":2', '"max":3'),
        "no blank votes in Belenios' text": _text('"blank":true,', ""),
        "another uuid in Belenios' text": _text("Hq5cCAzXZnbL1p", "Hq5cCAzXZnbL1q"),
        "another key in Belenios' text": _text(key, intruder),
        "another version in Belenios' text": _text('"version":1', '"version":2'),
        "a member more in Belenios' text": _text('"version":1', '"version":1,"administrator":"x"'),
        "a blank in Belenios' text": _text('"version":1', '"version": 1'),
        "no text for Belenios": lambda one: one.update(belenios=""),
        "the text for Belenios of another election": lambda one: one.update(
            belenios=SecretSetup(contests=POLL.contests, seed=2).definition.belenios
        ),
        "a trustee's key replaced": _trustee_key(2, intruder),
        "a trustee's key outside the group": _trustee_key(2, "00" * 32),
        "keys of trustees change places": lambda one: one["trustees"]["keys"].reverse(),
        "a lower threshold": lambda one: one["trustees"].update(threshold=1),
        "a threshold of all": lambda one: one["trustees"].update(threshold=3),
        "a threshold of all that the text for Belenios is bound to": lambda one: [
            one["trustees"].update(threshold=3),
            _bound(one),
        ],
        "a trustee left out": lambda one: one["trustees"]["keys"].pop(),
        "another authority": lambda one: one.update(authority_key=key_of("another").public_hex),
        "nodes change places": lambda one: one["nodes"].reverse(),
        "a node left out": lambda one: one["nodes"].pop(),
        "no trustees": lambda one: one.update(trustees=None),
        "public ballots with trustees": lambda one: one.update(secrecy="public"),
        "a contest that is ranked": lambda one: one["contests"][1].update(method="instant-runoff"),
    }
    found = {name: Tampered("bad-genesis", _defined(change)) for name, change in of.items()}  # type: ignore[arg-type]
    edits: dict[str, Callable[[Json], object]] = {
        "the trustees' record replaced": lambda one: one["trustees"].update(record="ab" * 32),
        "a trustee renamed": lambda one: one["trustees"]["keys"][0].update(name="Somebody"),
        "a later closing": lambda one: one.update(closes=one["closes"] + 60),
        "the root of another roll": lambda one: one.update(roll_root="ab" * 32),
    }
    for name, change in edits.items():
        found[f"{name}, with the old text for Belenios"] = Tampered("bad-genesis", _defined(change))
        data = edited(lambda lines, change=change: _changed_whole(lines[1], change))
        found[f"{name}, under the old network"] = Tampered("network-mismatch", data)
    return found


def _changed_whole(line: Json, change: Callable[[Json], object]) -> None:
    """Change a definition, with the text for Belenios that follows from it."""
    change(line["definition"])
    _bound(line["definition"])


# -- shares ------------------------------------------------------------------------------------------


def _shared(*texts: str) -> bytes:
    return voted().packed(texts)


def _altered(text: str, **members: Any) -> str:
    return spelled(json.loads(text) | members)


def _inside(text: str, change: Callable[[Json], object]) -> str:
    """A share with a change to its partial decryption."""
    inner = json.loads(json.loads(text)["decryption"])
    change(inner)
    return _altered(text, decryption=spelled(inner))


def _other_tally(voters: Sequence[str]) -> EncryptedTally:
    """The sum of the ballots of these voters alone."""
    one = poll()
    checked = [check_ballot(one.election, one.ballot(voter).encode(), one.roll) for voter in voters]
    return sum_ballots(one.election, checked, one.roll)


def _parts(*owners: int, **changed: Any) -> BeleniosArchive:
    """Belenios' archive with the right partial decryptions of these trustees, and these members changed."""
    parts = {part.owner: part for part in honest().decryptions}
    return honest()._replace(decryptions=tuple(parts[owner] for owner in owners), **changed)


def _decrypted(tally: EncryptedTally, secret: int) -> bytes:
    return encode(decrypt_partially(poll().election, tally, secret, random.Random(3).randbytes))


def _share_faults() -> Corpus:
    one, two = shares(1, 2)
    part, other = honest().decryptions
    earlier = _other_tally(list(CHOICES)[:2])
    secret, entropy = poll().secrets[0], random.Random(5).randbytes
    wrong_key = secret + 1
    places = {"place": 2}, {"place": 1}
    faults: dict[str, tuple[str, tuple[str, ...], BeleniosArchive | None]] = {
        "of a wrong key": (
            "bad-decryption",
            (poll().share(1, secret=wrong_key), two),
            _parts(2)._replace(decryptions=(OwnedPart(1, _decrypted(poll().tally, wrong_key)), other)),
        ),
        "of an earlier count": (
            "bad-decryption",
            (poll().share(1, earlier), two),
            _parts(2)._replace(decryptions=(OwnedPart(1, _decrypted(earlier, poll().secrets[0])), other)),
        ),
        "of the same election with another roll": (
            "bad-decryption",
            (encode(make_share(_with_another_roll(), poll().tally, 1, secret, entropy)).decode(), two),
            _parts(2)._replace(
                decryptions=(
                    OwnedPart(
                        1, encode(decrypt_partially(_with_another_roll(), poll().tally, secret, entropy))
                    ),
                    other,
                )
            ),
        ),
        "of a single ballot": ("bad-decryption", (poll().share(1, _other_tally(["voter-1"])), two), None),
        "two change places": (
            "bad-decryption",
            (_altered(two, **places[1]), _altered(one, **places[0])),
            honest()._replace(decryptions=(OwnedPart(1, other.raw), OwnedPart(2, part.raw))),
        ),
        "at a place of nobody": (
            "bad-decryption",
            (two, _altered(one, place=4)),
            honest()._replace(decryptions=(other, OwnedPart(4, part.raw))),
        ),
        "at another trustee's place": ("bad-decryption", (two, _altered(one, place=3)), None),
        "in another order": ("bad-order", (two, one), None),
        "one twice": ("bad-order", (one, one), _parts(1, 1)),
        "one in two versions": ("bad-order", (one, poll().share(1, seed=9)), None),
    }
    found = {name: Tampered(code, _shared(*texts), bel=bel) for name, (code, texts, bel) in faults.items()}
    return found | _spelled_shares(one, two) | _moved_proofs(one, two)


def _spelled_shares(one: str, two: str) -> Corpus:
    challenge = json.loads(one)["proof"]["challenge"]
    response = json.loads(one)["proof"]["response"]
    texts = {
        "with a blank": ("not-canonical", one + " "),
        "with members in another order": (
            "not-canonical",
            spelled(dict(reversed(json.loads(one).items()))),
        ),
        "with an extra member": ("bad-document", _altered(one, more=1)),
        "without its proof": ("bad-document", spelled({"decryption": "", "place": 1})),
        "with the place as a text": ("bad-document", _altered(one, place="1")),
        "with a place below one": ("bad-document", _altered(one, place=0)),
        "with a challenge that is too large": (
            "bad-scalar",
            _altered(one, proof={"challenge": str(int(challenge) + GROUP_ORDER), "response": response}),
        ),
        "with a leading zero": (
            "bad-scalar",
            _altered(one, proof={"challenge": challenge, "response": "0" + response}),
        ),
        "empty": ("bad-document", ""),
    }
    return {name: Tampered(code, _shared(text, two)) for name, (code, text) in texts.items()}


def _moved_proofs(one: str, two: str) -> Corpus:
    """Partial decryptions with a change inside; the proof over all of them does not cover it."""
    theirs = json.loads(json.loads(two)["decryption"])

    def factor(point: str) -> Callable[[Json], None]:
        def change(inner: Json) -> None:
            inner["decryption_factors"][0][0] = point

        return change

    changes: dict[str, Callable[[Json], object]] = {
        "with factors that change places": lambda one: one["decryption_factors"][0].reverse(),
        "with contests that change places": lambda one: [row.reverse() for row in one.values()],
        "with the factors of another trustee": lambda one: one.update(
            decryption_factors=theirs["decryption_factors"]
        ),
        "with the proofs of another trustee": lambda one: one.update(
            decryption_proofs=theirs["decryption_proofs"]
        ),
        "with a factor less": lambda one: one["decryption_factors"][0].pop(),
        "with a contest less": lambda one: [row.pop() for row in one.values()],
        "with the identity as a factor": factor("00" * 31 + "01"),
        "with a factor outside the group": factor("00" * 31 + "02"),
        "with the key as a factor": factor(POLL.verification_keys[0].written()),
        "with an extra member inside": lambda one: one.update(more=1),
    }
    taken = ("with an extra member inside",)  # which the tool reads over
    found = Corpus()
    for name, change in changes.items():
        text = _inside(one, change)
        raw = json.loads(text)["decryption"].encode()
        bel = _parts(1, 2)._replace(decryptions=(OwnedPart(1, raw), honest().decryptions[1]))
        found[name] = Tampered("bad-decryption", _shared(text, two), bel=None if name in taken else bel)
    own = {"proof": json.loads(two)["proof"]}
    found["with another trustee's proof"] = Tampered("bad-decryption", _shared(_altered(one, **own), two))
    return found


# -- counts ------------------------------------------------------------------------------------------


def _checked(*places: int) -> ArchiveCheck:
    data = voted().packed(shares(*places))
    return ArchiveCheck(io.BytesIO(data), LATER, roll=POLL.roll)


def _result() -> bytes:
    check = _checked(1, 2)
    return encode_result(result_of_archive(check, check.blocks()))


def _count_faults() -> Corpus:
    """Results beside an archive, and what Belenios' archive has beside the votes."""
    right = json.loads(_result())
    whole = voted().packed(shares(1, 2))

    def lie(change: Callable[[Json], object]) -> bytes:
        made = json.loads(json.dumps(right))
        change(made)
        return canonical(made) + b"\n"

    def moved(made: Json) -> None:
        counts = made["contests"][1]["counts"]
        counts[0][1], counts[1][1] = counts[0][1] - 1, counts[1][1] + 1

    results = {
        "a vote moved": ("wrong-totals", lie(moved), whole),
        "a winner replaced": (
            "wrong-totals",
            lie(lambda one: one["contests"][1].update(winners=["Dora"])),
            whole,
        ),
        "more votes": ("wrong-totals", lie(lambda one: one.update(votes=4)), whole),
        "without enough shares": ("not-final", lie(lambda _: None), voted().packed(shares(2))),
        "without shares": ("not-final", lie(lambda _: None), voted().packed()),
    }
    bels = {
        "a vote moved": honest()._replace(result=_moved_count()),
        "more votes": honest()._replace(num_tallied=4),
        "without enough shares": _parts(2),
        "without shares": _parts(),
    }
    return {
        name: Tampered(code, data, "result", archive=archive, bel=bels.get(name))
        for name, (code, data, archive) in results.items()
    }


def _moved_count() -> bytes:
    raw = honest().result
    assert raw is not None
    rows = json.loads(raw)
    rows["result"][1][1:] = reversed(rows["result"][1][1:])
    return spelled(rows).encode()


# -- receipts ----------------------------------------------------------------------------------------


def _receipt(vote: Json) -> bytes:
    file = PollFile()
    ids = [record_id(vote)]
    return file.receipt(vote, acceptances=[file.acceptance(node, ids, 0) for node in (0, 2)])


def _receipt_faults() -> Corpus:
    """Of votes that two nodes accepted. Whose credential it is, is known only with the roll."""
    file = PollFile()
    chosen = ("two votes for one", "a copy under one's own credential", "a blank after a colon", "no point")
    all_of = tampered_ballots()
    found = Corpus()
    for name in chosen:
        code, voter, ballot = all_of[name]
        found[name] = Tampered(code, _receipt(file.ballot_vote(voter, ballot)), "receipt")
    code, voter, ballot = all_of["the ballot of another voter"]
    found["the ballot of another voter"] = Tampered(
        code, _receipt(file.ballot_vote(voter, ballot)), "receipt"
    )
    vote = file.ballot_vote("voter-1")
    altered = vote | {"ballot": poll().ballot_of(0, [[0, 1, 0], [0, 1, 0]]).decode()}
    good = json.loads(_receipt(vote))
    found["a ballot altered"] = Tampered(
        "bad-signature", canonical(good | {"vote": altered}) + b"\n", "receipt"
    )
    found["a ballot accepted instead of another"] = Tampered(
        "bad-acceptance", canonical(good | {"vote": signed(file, "voter-1", altered)}) + b"\n", "receipt"
    )
    return found
