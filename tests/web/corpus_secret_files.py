"""More files of elections with secret ballots: rules before any proof, weights, definitions."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from core.election.test_secret_rules import BROKEN
from core.election.test_secret_rules import SETUP as RULES
from support.amended_files import Amended
from support.amended_records import broken
from support.elections import CREATED
from support.named_files import record_id
from support.secret_definitions import UUID, SecretSetup, code_of
from support.secret_files import (
    CHOSEN,
    SETUP,
    SecretFile,
    as_json,
    broken_amendments,
    broken_shares,
    broken_votes,
    random_election,
    replaced_credential,
    whole_election,
)
from verifier.test_secret_elections import of_definition
from votenet.core.encoding import canonical
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import encode_result, result_of_archive
from votenet.secret.ballot import make_ballot
from votenet.secret.credentials import credential_of_code, secret_exponent
from votenet.secret.group import draw_scalar
from web.corpus_files import NOW, Case

RANDOM_ELECTIONS = 6


def more_secret_cases() -> Iterator[Case]:
    for shares in ((), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)):
        yield archive_case(f"good/shares-{shares}", whole_election().rolled(shares=shares))
    yield archive_case("good/nobody-voted", SecretFile().close().rolled(shares=(1, 2)))
    yield archive_case("good/open", SecretFile().cast(SecretFile().secret_vote("voter-1")).rolled())
    yield archive_case("weights-without-the-roll", whole_election().rolled()._replace(roll=None))
    for seed in range(RANDOM_ELECTIONS):
        yield archive_case(f"random/{seed}", random_election(seed))
    for kind, corpus in (
        ("vote", broken_votes()),
        ("amendment", broken_amendments()),
        ("share", broken_shares()),
    ):
        for name, (_, made) in corpus.items():
            yield archive_case(f"{kind}/{name}", made)
    for name in ("voter-1", "new voter-1"):
        yield archive_case(f"vote/behind-a-replacement-by-{name}", replaced_credential(name))
    for name, ballot in altered_ballots().items():
        file = SecretFile()
        votes = file.secret_vote("voter-2"), file.secret_vote("voter-1", ballot=ballot)
        yield archive_case(f"ballot/{name}", file.cast(*votes).rolled())
        yield Case(f"secret/receipt/{name}", "receipt", receipt_of(ballot))
    yield from order_cases()
    yield from definition_cases()
    yield from result_cases()
    yield from evidence_cases()


def archive_case(name: str, made: Amended) -> Case:
    roll = None if made.roll is None else made.roll.to_file()
    return Case(f"secret/{name}", "archive", made.data, roll)


def altered_ballots() -> dict[str, str]:
    """A good ballot, and others that its voter signed as votes."""
    good = SETUP.ballot("voter-1", CHOSEN)

    def swapped(document: Any) -> None:
        choices = document["answers"][0]["choices"]
        choices[0], choices[1] = choices[1], choices[0]

    def with_text(name: str, value: Any) -> Any:
        return lambda document: document.update({name: value})

    changes = {
        "swapped": swapped,
        "without-answers": with_text("answers", []),
        "of-another-uuid": with_text("election_uuid", "1" * 14),
        "of-another-hash": with_text("election_hash", "h" * 43),
        "without-a-signature": lambda document: document.pop("signature"),
        "with-more": with_text("more", 1),
    }
    found = {"good": good, "spaced": good + " "}
    for name, change in changes.items():
        document = json.loads(good)
        change(document)
        found[name] = json.dumps(document, separators=(",", ":"))
    return found


def receipt_of(ballot: str) -> bytes:
    """The receipt of a vote with this ballot, accepted by two nodes."""
    file = SecretFile()
    vote = file.secret_vote("voter-1", ballot=ballot)
    acceptances = [file.acceptance(node, [record_id(vote)], 0) for node in (0, 2)]
    return bytes(file.receipt(vote, acceptances=acceptances))


def tested_ballot(claimed: Sequence[int]) -> bytes:
    """The file of a ballot for `CHOSEN` that was tested; its device says that it chose `claimed`."""
    seed = "tested"
    secret = secret_exponent(credential_of_code(code_of("voter-1"), UUID), UUID)
    election = SETUP.election.secret
    assert election is not None
    ballot = make_ballot(election, secret, CHOSEN, random.Random(seed).randbytes)
    drawn = random.Random(seed)  # a ballot of one contest takes its exponents first
    exponents = [str(draw_scalar(drawn.randbytes)) for _ in CHOSEN[0]]
    return (
        canonical(
            {
                "ballot": ballot.decode(),
                "choices": [list(claimed)],
                "definition": as_json(SETUP.definition),
                "format": "votenet-tested-ballot",
                "randomness": [exponents],
                "version": 1,
            }
        )
        + b"\n"
    )


def definition_cases() -> Iterator[Case]:
    for threshold, trustees in ((1, 1), (1, 3), (2, 2), (3, 5)):
        made = of_definition(SecretSetup(threshold=threshold, trustees=trustees).definition)
        yield archive_case(f"definition/{threshold}-of-{trustees}", made)
    for change, says in BROKEN:
        yield archive_case(f"definition/{says}", of_definition(RULES.define(**change)))


def order_cases() -> Iterator[Case]:
    """Two faults in one file, of which all readers tell the same one."""
    receipt = json.loads(receipt_of(SETUP.ballot("voter-1", CHOSEN)))
    receipt["vote"]["ballot"] = "{"
    yield Case("secret/receipt/not-signed-and-no-json", "receipt", canonical(receipt) + b"\n")
    share = whole_election().share(1)
    far = whole_election().with_shares([share.replace('"place":1', f'"place":{10**20}')])
    yield archive_case("share/of-a-place-beyond-all-numbers", far)
    document = json.loads(SETUP.ballot("voter-1", CHOSEN))
    document["answers"][0]["choices"][0]["alpha"] = ""
    del document["signature"]["hash"]
    ballot = json.dumps(document, separators=(",", ":"))
    file = SecretFile()
    made = file.cast(file.secret_vote("voter-1", ballot=ballot)).rolled()
    yield archive_case("ballot/a-point-before-a-missing-member", made)


def evidence_cases() -> Iterator[Case]:
    """A node accepted the ballot of a fifth voter, and left it out."""
    file, made = whole_election(), whole_election().rolled()
    assert made.roll is not None
    roll = made.roll.to_file()
    good = SETUP.ballot("voter-5", CHOSEN)
    for name, ballot in (
        ("good", good),
        ("spaced", good + " "),
        ("of-another", SETUP.ballot("voter-4", CHOSEN)),
    ):
        data = broken(file, file.secret_vote("voter-5", ballot=ballot), CREATED + 5)
        yield Case(f"secret/evidence/{name}", "evidence", data, roll, made.data)
        yield Case(f"secret/evidence/{name}-alone", "evidence", data)


def result_cases() -> Iterator[Case]:
    made = whole_election().rolled(shares=(1, 3))
    check = ArchiveCheck(io.BytesIO(made.data), NOW, roll=made.roll)
    result = encode_result(result_of_archive(check, check.blocks()))
    assert made.roll is not None
    roll = made.roll.to_file()
    lie = result.replace(b'["Bob",7],["Alice",0]', b'["Bob",6],["Alice",1]')
    sealed = whole_election().rolled(shares=(2,)).data
    for name, data, archive in (
        ("good", result, made.data),
        ("lie", lie, made.data),
        ("sealed", result, sealed),
    ):
        yield Case(f"secret/result/{name}", "result", data, roll, archive)
    yield Case("secret/result/alone", "result", result)
