"""Secret ballots with what the product makes and says of each; and ballots that the browser made, checked."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from core.election.test_secret_rules import BROKEN, SETUP
from support.belenios_tool import BeleniosTool, tool_program
from support.forged_ballots import BALLOT_FORGERIES, forged_ballots, sample, signed_again
from support.forged_points import ballot_with_identity, ballot_with_small_order
from support.secret_definitions import SecretSetup, contest
from support.secret_elections import TIME, SampleElection, random_question
from votenet.core.election.definition import Trustee
from votenet.core.election.definition_rules import definition_faults
from votenet.core.election.secret_rules import longest_vote
from votenet.core.election.voting_code import code_from
from votenet.core.encoding import canonical
from votenet.errors import NotProven
from votenet.secret.ballot import EncryptedBallot, check_ballot, make_ballot
from votenet.secret.belenios_archive import BeleniosArchive
from votenet.secret.credentials import (
    credential_of_code,
    public_credential,
    secret_exponent,
    write_public_credentials,
)
from votenet.secret.definition import HomomorphicQuestion, SecretElection, read_election, write_election
from votenet.secret.documents import encode
from votenet.secret.elgamal import encrypt
from votenet.secret.group import BASE, GROUP_ORDER, IDENTITY, Point, Scalar, multiply
from votenet.secret.trustees import prove_trustee_key, write_trustees
from web.corpus_files import Json
from web.corpus_vectors import any_text, key_vectors

ELECTIONS = 10
"""With random contests; as many ballots are made and compared, byte for byte."""


class Stream:
    """Bytes that follow from a seed, here and in the browser: SHA-256 of the seed and a counter."""

    def __init__(self, seed: str) -> None:
        self._seed, self._counter = seed, 0

    def __call__(self, count: int) -> bytes:
        made = b""
        while len(made) < count:
            made += hashlib.sha256(f"{self._seed}|{self._counter}".encode()).digest()
            self._counter += 1
        return made[:count]


def contests_of(number: int, dice: random.Random) -> list[HomomorphicQuestion]:
    """One to five contests of one to twenty candidates; the first elections have the most and the least."""
    if number < 2:
        return [
            random_question(dice, (20, 1)[number], blank=blank) for blank in ((True, False), (False,))[number]
        ]
    count = dice.randint(1, 5)
    return [random_question(dice, dice.randint(1, 20), blank=dice.random() < 0.5) for _ in range(count)]


def ballot_vectors() -> list[Json]:
    """Ballots from codes and seeds, with all that they follow from."""
    found = []
    for number in range(ELECTIONS):
        dice = random.Random(f"secret {number}")
        one = SampleElection(dice, contests_of(number, dice), voters=1, threshold=None, singles=1)
        code = code_from(dice.randbytes(14)).replace("-", "")
        credential = credential_of_code(code, one.uuid)
        secret, seed = secret_exponent(credential, one.uuid), f"entropy {number}"
        chosen = one.choose()
        found.append(
            {
                "election": one.election.raw.decode(),
                "fingerprint": one.election.fingerprint,
                "code": code,
                "credential": credential,
                "public": public_credential(credential, one.uuid).written(),
                "exponent": secret.written(),
                "choices": chosen,
                "seed": seed,
                "ballot": make_ballot(one.election, secret, chosen, Stream(seed)).decode(),
            }
        )
    return found


def forged_vectors() -> list[Json]:
    """Ballots of one election, each with the code of its refusal."""
    one = sample()
    found = [
        {"name": name, "ballot": raw.decode(), "code": code} for name, (raw, code) in forged_ballots().items()
    ]
    document = json.loads(one.ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
    other = json.loads(one.ballot_of(0, [[0, 1, 1], [0, 0, 1]]))
    raws = {f"unsigned/{name}": changed(document, change) for name, (change, _) in BALLOT_FORGERIES.items()}
    for path, value in leaves(other):
        raws["/".join(map(str, path))] = msgspec.json.encode(with_leaf(document, path, value))
        if path[0] == "answers":
            raws["signed/" + "/".join(map(str, path))] = signed_again(with_leaf(document, path, value))
    raws |= {f"spelling/{number}": raw for number, raw in enumerate(spellings(encode(document)))}
    raws |= {f"good/{number}": one.ballot_of(number % 2) for number in range(4)}
    found += [
        {"name": name, "ballot": raw.decode("latin-1"), "code": said(raw)} for name, raw in raws.items()
    ]
    return found


def changed(document: Json, change: Any) -> bytes:
    copy = json.loads(json.dumps(document))
    change(copy)
    return msgspec.json.encode(copy)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """All strings in a document, with their paths."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, str):
        yield path, value
    for name, inner in rows:
        yield from leaves(inner, (*path, name))


def with_leaf(document: Json, path: tuple[Any, ...], value: Any) -> Json:
    copy: Json = json.loads(json.dumps(document))
    inner: Any = copy
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return copy


def spellings(raw: bytes) -> list[bytes]:
    """The same ballot in other words, and what is none."""
    text = raw.decode()
    first = text.index('"challenge":"') + len('"challenge":"')
    point = text.index('"alpha":"') + len('"alpha":"')
    return [
        *(raw + b"\n", raw[:-1], b"", b"null", b"[]", b"\xef\xbb\xbf" + raw, raw[:40] + b"\xff" + raw[40:]),
        text.replace(":", ": ", 1).encode(),
        text.replace('"election_uuid"', r'"election\u005fuuid"', 1).encode(),
        text.replace('"signature":', '"signature":null,"signature":').encode(),
        (text[:-1] + ',"more":1}').encode(),
        *((text[:first] + more + text[first:]).encode() for more in ("0", "-", "+", " ", "1" * 40)),
        *((text[:point] + more + text[point + 1 :]).encode() for more in ("A", "", "00", "g")),
    ]


def said(raw: bytes, election: SecretElection | None = None) -> str:
    """The code of the product's refusal; empty for a ballot that holds."""
    try:
        check_ballot(election or sample().election, raw, sample().roll)
    except NotProven as error:
        return error.code
    return ""


def odd_vectors() -> list[Json]:
    """Ballots of which all proofs hold, but with a ciphertext that no honest maker gets."""
    question = HomomorphicQuestion(answers=("a",), min=0, max=1, question="?")
    one = SampleElection(random.Random(3), [question], voters=1, threshold=None, singles=1)
    with pytest.MonkeyPatch.context() as patch:
        small = ballot_with_small_order(one, [[1]], patch)
    ballots = (small, ballot_with_identity(one, [[1]]))
    return [
        {"election": one.election.raw.decode(), "ballot": raw.decode(), "code": "bad-point"}
        for raw in ballots
    ]


def point_vectors() -> list[tuple[str, str]]:
    """Texts of points, and the code of their refusal."""
    texts = [bytes.fromhex(key)[::-1].hex() for key, _ in key_vectors()]
    texts += [
        IDENTITY.written(),
        BASE.written(),
        BASE.written().upper(),
        BASE.written()[1:],
        BASE.written() + "0",
        "",
    ]
    return [(text, _code(Point.parse, text)) for text in texts]


def scalar_vectors() -> list[tuple[str, str]]:
    numbers = [0, 1, GROUP_ORDER - 1, GROUP_ORDER, GROUP_ORDER + 1, 2**252, 10**76, 10**80]
    texts = [*map(str, numbers), "", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "0x1", "1e3", "1.0", "\u0661"]
    return [(text, _code(Scalar.parse, text)) for text in texts]


def _code(parse: Any, text: Any) -> str:
    try:
        parse(text)
    except NotProven as error:
        return error.code
    return ""


def election_vectors() -> Json:
    """Elections with names of every script, as the product writes them; and texts that are none."""
    dice, written = random.Random(21), []
    for _ in range(200):
        questions = [
            HomomorphicQuestion(
                answers=tuple(any_text(dice, 20) for _ in range(dice.randint(1, 5))),
                blank=dice.random() < 0.5,
                min=0,
                max=1,
                question=any_text(dice, 40),
            )
            for _ in range(dice.randint(1, 3))
        ]
        definition = msgspec.structs.replace(
            sample().election.definition,
            description=any_text(dice, 40),
            name=any_text(dice, 40),
            questions=tuple(questions),
        )
        written.append(write_election(definition).raw.decode())
    document = json.loads(sample().election.raw)
    changes: list[tuple[tuple[Any, ...], Any]] = [
        *((("version",), 2), (("group",), "BELENIOS-2048"), (("uuid",), "1" * 13), (("uuid",), "0" * 14)),
        *((("questions",), []), (("questions", 0, "answers"), []), (("questions", 0, "max"), 4)),
        *((("questions", 0, "min"), 3), (("questions", 0, "min"), -1), (("questions", 0, "extra"), 1)),
        *(
            (("public_key",), IDENTITY.written()),
            (("administrator",), "x"),
            (("credential_authority",), None),
        ),
        *((("name",), 1), (("questions", 1, "blank"), False), (("version",), "1")),
    ]
    judged = []
    for path, value in changes:
        raw = msgspec.json.encode(with_leaf(document, path, value))
        judged.append((raw.decode(), _code(read_election, raw)))
    return {"written": written, "judged": judged}


def definition_vectors() -> Json:
    """Definitions with secret ballots: whether each keeps all rules, and the bytes of its longest vote."""
    setups = [SecretSetup(threshold=least, trustees=most) for least, most in ((1, 1), (1, 3), (2, 2), (3, 5))]
    definitions = [setup.definition for setup in (SETUP, *setups)]
    definitions += [SETUP.define(**change) for change, _ in BROKEN]
    for names in (["A", "A", "B"], ["A", "B", "C\u202e"]):
        trustees = SETUP.definition.trustees
        assert trustees is not None
        keys = tuple(Trustee(key=one.key, name=name) for one, name in zip(trustees.keys, names, strict=True))
        definitions.append(SETUP.define(trustees=msgspec.structs.replace(trustees, keys=keys)))
    dice = random.Random(5)
    for number in range(30):
        most = dice.choice([1, 1, 2, 3])
        fields: Json = {"id": str(number), "blank": dice.random() < 0.5, "max": most}
        names = [f'Çalon "{place}" \\' for place in range(dice.choice([most, 5, 94, 95, 96, 107, 120]))]
        method = "plurality" if most == 1 else "approval"
        definitions.append(SETUP.define(contests=(contest(names=names, method=method, **fields),)))
    return [
        {
            "definition": json.loads(canonical(one)),
            "holds": not [fault for fault, _ in definition_faults(one) if "does not hold yet" not in fault],
            "longest": longest_vote(one.uuid, one.contests),
        }
        for one in definitions
    ]


def secret_sample() -> Json:
    """The election of the forged ballots, with its voters' public credentials."""
    return {
        "election": sample().election.raw.decode(),
        "credentials": [one.written() for one in sample().roll],
    }


def secret_vectors() -> Json:
    return {
        "ballots": ballot_vectors(),
        "forged": {**secret_sample(), "cases": forged_vectors()},
        "odd": odd_vectors(),
        "points": point_vectors(),
        "scalars": scalar_vectors(),
        "elections": election_vectors(),
        "definitions": definition_vectors(),
    }


# -- Ballots that the other side made --------------------------------------------------------------


def check_ballots(path: Path) -> str:
    """That ballots of the other side hold here, and for belenios-tool where it is. Says for how many."""
    made = json.loads(path.read_text())
    for number, one in enumerate(made):
        election, roll = _election_of(one)
        try:
            ballot = check_ballot(election, one["ballot"].encode(), roll)
        except NotProven as error:
            raise SystemExit(f"ballot {number}: {error.code}: {error.message}\n{one['ballot']}") from None
        _check_opening(election, ballot, one["opening"], f"ballot {number}")
    program = tool_program()
    if program is None:
        return f"{len(made)} ballots hold; for belenios-tool none: it is not here"
    for number, one in enumerate(made):
        if not _tool_accepts(program, one):
            raise SystemExit(f"belenios-tool refuses ballot {number}:\n{one['ballot']}")
    return f"{len(made)} ballots hold; for belenios-tool {len(made)}"


def _election_of(one: Json) -> tuple[SecretElection, dict[Point, int]]:
    """The election of a ballot, written as the product writes it, and the voter with this code."""
    election = read_election(one["election"].encode())
    if write_election(election.definition).raw != election.raw:
        raise SystemExit(f"the product writes this election in another way: {one['election']}")
    if election.key != multiply(BASE, int(one["key"])):
        raise SystemExit("the election has another key")
    credential = credential_of_code(one["code"], election.definition.uuid)
    return election, {public_credential(credential, election.definition.uuid): 1}


def _check_opening(election: SecretElection, ballot: EncryptedBallot, opening: Json, where: str) -> None:
    """The choices and exponents of an opening make the same ciphertexts."""
    rows = zip(ballot.answers, opening["choices"], opening["randomness"], strict=True)
    for answer, numbers, exponents in rows:
        again = [
            encrypt(election.key, number, Scalar.parse(exponent))
            for number, exponent in zip(numbers, exponents, strict=True)
        ]
        if list(answer.choices) != again:
            raise SystemExit(f"{where}: its opening makes other ciphertexts")


def _tool_accepts(program: str, one: Json) -> bool:
    election, roll = _election_of(one)
    trustee = prove_trustee_key(int(one["key"]), Stream("trustee"))
    archive = BeleniosArchive(
        timestamp=TIME,
        election=election.raw,
        trustees=write_trustees([trustee]),
        credentials=write_public_credentials(roll),
    )
    with TemporaryDirectory() as folder:
        tool = BeleniosTool(program, Path(folder))
        return tool.accepts_ballot(archive, election.definition.uuid, one["ballot"].encode())
