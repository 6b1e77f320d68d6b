"""Archives and receipts of an election with secret ballots, good ones and broken ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from support.amended_files import AUTHORITY, Amended, AmendedFile, with_voters
from support.elections import key_of
from support.named_files import Json, keys_of, named_definition, record_id
from support.secret_definitions import SecretSetup, contest
from votenet.core.election.definition import ChainParameters, ElectionDefinition, NamedNode, Threshold
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import Vote, hash_vote


def setup_of_files(**fields: Any) -> SecretSetup:
    """A setup with the nodes, the authority and the difficulty of these files."""
    setup = SecretSetup(**fields)
    setup.__dict__["definition"] = setup.define(
        authority_key=AUTHORITY.public_hex,
        chain=msgspec.convert(named_definition()["chain"], ChainParameters),
        nodes=tuple(NamedNode(**keys_of(node).public(f"node {node}")) for node in range(5)),
    )
    return setup


SETUP: Final = setup_of_files(contests=(contest(blank=True),), weights=(1, 2, 1, 4, 1))
CHOSEN: Final = ((0, 0, 1, 0),)
"""A vote for the second candidate; the first number says whether it is blank."""


def as_json(definition: ElectionDefinition) -> Json:
    """A definition as a file has it."""
    made: Json = json.loads(canonical(definition))
    return made


class SecretFile(AmendedFile):
    """An archive of the election of `SETUP` that grows by blocks."""

    def __init__(self, setup: SecretSetup = SETUP) -> None:
        super().__init__(as_json(setup.definition))
        self.setup = setup

    def secret_vote(self, voter: str, *, seed: int = 0, **fields: Any) -> Json:
        """A vote with an encrypted ballot; `fields` replace members before it is signed."""
        if "ballot" not in fields:
            fields["ballot"] = self.setup.ballot(voter, CHOSEN, seed)
        return self.vote(voter, **{"choices": [], **fields})

    def secret_voter(self, action: str, voter: str, **members: Any) -> Json:
        """An amendment that gives a voter a key and the credential of the name `new <voter>`."""
        given = {"credential": SETUP.public_credential(f"new {voter}")} | members
        return self.voter(action, voter, **given)

    def share(self, place: int) -> str:
        """The share of the trustee at this place for the votes in all blocks."""
        votes = [msgspec.convert(vote, Vote) for line in self.lines for vote in line["votes"]]
        return self.setup.share(place, self.setup.counted(list(map(hash_vote, votes))))

    def rolled(self, *, shares: Iterable[int] = ()) -> Amended:
        """The archive with the shares of the trustees at these places, and its roll."""
        return self.with_shares([self.share(place) for place in shares])

    def with_shares(self, texts: Sequence[str]) -> Amended:
        return Amended(self.pack(**{"shares": texts} if texts else {}), self.setup.roll)


@cache
def whole_election() -> SecretFile:
    """Two votes, two amendments, a vote of the closing, and another that is the second of its voter."""
    file = SecretFile()
    file.cast(file.secret_vote("voter-1"), file.secret_vote("voter-2"))
    file.amend(file.secret_voter("replace-key", "voter-3"), file.secret_voter("add-voter", "di", number=2))
    late = sorted([file.secret_vote("voter-4"), file.secret_vote("voter-1", seed=1)], key=record_id)
    ids = [record_id(vote) for vote in late]
    file.close([ids, ids, [], []])
    file.end([late[0]] if late[0]["voter_id"] == "voter-4" else [late[1]], [_again(late)])
    return file


def _again(late: Sequence[Json]) -> Json:
    return next(vote for vote in late if vote["voter_id"] == "voter-1")


def broken_votes() -> dict[str, tuple[str, Amended]]:
    """Name to (code of both readers, archive and roll): what is refused before any proof is looked at."""

    def of(code: str, voter: str = "voter-1", **fields: Any) -> tuple[str, Amended]:
        file = SecretFile()
        return code, file.cast(file.secret_vote(voter, **fields)).rolled()

    stranger = SETUP.ballot("voter-2", CHOSEN)
    return {
        "open-choices": of("bad-vote", choices=[["Alice"]]),
        "open-choices-alone": ("bad-vote", _cast_open(SecretFile())),
        "another-voter's-ballot": of("unknown-credential", ballot=stranger),
        "no-json": of("bad-document", ballot="{"),
        "no-credential": of("bad-document", ballot="{}"),
        "a-list": of("bad-document", ballot="[]"),
        "a-credential-that-is-a-number": of("bad-document", ballot='{"credential":1}'),
        "deep": of("bad-document", ballot="[" * 50_000),
        "too-large": of("vote-too-large", ballot="x" * 60_000),
        "another-key": of("wrong-key", voter_key=key_of("voter-2").public_hex),
        "empty-ballot": of("not-canonical", ballot=""),
    }


def _cast_open(file: SecretFile) -> Amended:
    return file.cast(file.vote("voter-1")).rolled()


def broken_amendments() -> dict[str, tuple[str, Amended]]:
    """The same for amendments of credentials."""

    def of(code: str, *records: Json) -> tuple[str, Amended]:
        return code, SecretFile().amend(*records).rolled()

    file = SecretFile()
    given = {"credential": SETUP.public_credential("new di")}
    bare = {
        action: file.voter(action, voter)
        for action, voter in (("add-voter", "di"), ("replace-key", "voter-1"))
    }
    taken = {"credential": SETUP.public_credential("voter-2")}
    first = file.secret_voter("replace-key", "voter-1")
    second = file.secret_voter("add-voter", "di", number=2, credential=first["credential"])
    return {
        **{f"{action}-without-a-credential": of("bad-amendment", one) for action, one in bare.items()},
        "hours-with-a-credential": of("bad-amendment", file.hours("close", file.closes - 9, **given)),
        "cancel-with-a-credential": of("bad-amendment", file.amendment("cancel", **given)),
        "null": of("bad-record", file.voter("add-voter", "di", credential=None)),
        "in-capitals": of("bad-record", file.voter("add-voter", "di", credential="AB" * 32)),
        "no-member": of("bad-amendment", file.voter("add-voter", "di", credential="00" * 32)),
        "the-identity": of("bad-amendment", file.voter("add-voter", "di", credential="00" * 31 + "01")),
        "of-another-voter": of("bad-amendment", file.voter("add-voter", "di", **taken)),
        "given-twice": of("bad-amendment", first, second),
        "not-signed-for": of("bad-amendment", file.secret_voter("add-voter", "di") | taken),
    }


def replaced_credential(ballot_of: str) -> Amended:
    """A vote behind the replacement of its voter's credential, with the ballot of this credential's name."""
    file = SecretFile()
    file.amend(file.secret_voter("replace-key", "voter-1", key="voter-1 again"))
    credential = SETUP.public_credential(ballot_of)
    return file.cast(_keyed(file, credential)).rolled()


def _keyed(file: SecretFile, credential: str) -> Json:
    signer = key_of("voter-1 again")
    vote = file.secret_vote("voter-1", voter_key=signer.public_hex)
    unsigned = {name: value for name, value in vote.items() if name != "signature"}
    ballot = json.loads(vote["ballot"]) | {"credential": credential}
    unsigned["ballot"] = msgspec.json.encode(ballot).decode()
    return {**unsigned, "signature": signer.sign(b"votenet/vote/2\n" + canonical(unsigned)).hex()}


def random_election(seed: int) -> Amended:
    """Votes on three contests, with enough shares; every second one has weights."""
    dice = random.Random(seed)
    contests = (
        contest("One", blank=True, id="1"),
        contest("Some", method="approval", max=3, id="2"),
        contest(
            "Ya?",
            ("Ya", "Tidak"),
            method="motion",
            threshold=Threshold(basis="cast", share="simple"),
            blank=True,
            id="3",
        ),
    )
    setup = setup_of_files(contests=contests, seed=seed, weights=(3, 1, 2, 1, 1) if seed % 2 else (1,) * 5)
    file = SecretFile(setup)
    for voter in dice.sample(setup.voters, 3):
        one, some, motion = [0] * 4, [0] * 3, [0] * 3
        one[dice.randrange(4)] = motion[dice.randrange(3)] = 1
        for place in dice.sample(range(3), dice.randint(1, 3)):
            some[place] = 1
        file.cast(file.secret_vote(voter, ballot=setup.ballot(voter, (one, some, motion))))
    file.close()
    return file.rolled(shares=sorted(dice.sample((1, 2, 3), dice.randint(2, 3))))


@cache
def broken_shares() -> dict[str, tuple[str, Amended]]:
    """Name to (code of both readers, archive and roll): the shares in its last line."""
    file = whole_election()
    one, two = file.share(1), file.share(2)
    fewer = SecretFile().cast(file.secret_vote("voter-1"))
    changed = json.loads(one)
    changed["decryption"] = changed["decryption"].replace('"challenge"', '"chalenge"', 1)
    factor = json.loads(one)
    inner = json.loads(factor["decryption"])
    inner["decryption_factors"][0].reverse()
    factor["decryption"] = _spelled(inner)
    open_file = SecretFile().cast(file.secret_vote("voter-1"))
    public = with_voters()
    return {
        "in another order": ("bad-order", file.with_shares([two, one])),
        "one twice": ("bad-order", file.with_shares([one, one])),
        "none": ("bad-order", Amended(file.pack(shares=[]), SETUP.roll)),
        "of other votes": ("bad-decryption", file.with_shares([one, fewer.share(2)])),
        "of another trustee": (
            "bad-decryption",
            file.with_shares([one, one.replace('"place":1', '"place":3')]),
        ),
        "of nobody": ("bad-decryption", file.with_shares([one.replace('"place":1', '"place":4')])),
        "a proof of another share": (
            "bad-decryption",
            file.with_shares([_spelled(json.loads(one) | {"proof": json.loads(two)["proof"]})]),
        ),
        "factors that change places": ("bad-decryption", file.with_shares([_spelled(factor)])),
        "a decryption without a member": ("bad-decryption", file.with_shares([_spelled(changed)])),
        "no share": ("bad-document", file.with_shares(["{}"])),
        "not json": ("bad-document", file.with_shares(["x"])),
        "place zero": ("bad-document", file.with_shares([one.replace('"place":1', '"place":0')])),
        "a number that is too large": (
            "bad-scalar",
            file.with_shares(
                [_spelled(json.loads(one) | {"proof": {"challenge": "9" * 76, "response": "1"}})]
            ),
        ),
        "not as written": ("not-canonical", file.with_shares([one + " "])),
        "no text": ("bad-record", Amended(file.pack(shares=[1]), SETUP.roll)),
        "before the closing": ("not-final", open_file.with_shares([open_file.share(1)])),
        "without a certificate": ("not-final", Amended(file.pack("", shares=[one]), SETUP.roll)),
        "of a public election": ("bad-record", Amended(public.pack(shares=[one]), public.with_roll().roll)),
    }


def _spelled(value: Any) -> str:
    return msgspec.json.encode(value).decode()
