"""Ceremonies of trustees with all that the product makes and says of them, for those who must do the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from support.ceremonies import Ceremony, draft_for, run
from support.secret_archives import archived_setup
from votenet.cli.trustee.decrypt import _share
from votenet.core.election.recovery_code import RECOVERY_FORM, read_recovery_code, recovery_code
from votenet.core.records.secret_archive import SecretArchive
from votenet.errors import NotProven, Rejected, VotenetError
from votenet.secret.ceremony.bulletin import STEPS, CeremonyRecord
from votenet.secret.ceremony.draft import CeremonyDraft, read_draft
from votenet.secret.ceremony.trustee import next_record, restore_share
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import decode, encode
from votenet.secret.elgamal import SumCiphertext
from votenet.secret.group import GROUP_ORDER, IDENTITY, Scalar
from votenet.secret.key_generation import (
    PolynomialMessage,
    SecretShare,
    TrusteeSeed,
    make_trustee_certificate,
    send,
)
from votenet.storage.ceremony_folder import record_name

Json = Any
ODD_QUESTION: Final = HomomorphicQuestion(
    answers=('Ç"a\\', "b\u007f\u2028", "\U0001f600"), blank=True, min=0, max=2, question="\tWhich?\n"
)
DRAFTS: Final = (
    draft_for(2, 3),
    draft_for(2, 2, opens=1_700_000_000, trustees=("Zoë Ç", "बे")),
    draft_for(3, 4, questions=(ODD_QUESTION,), name='"Pemilihan"'),
)


def ceremony_vectors() -> Json:
    """Files of odd ceremonies are places in `texts`, from 0 on; each byte is a character there."""
    whole = run(STEPS)
    made: Json = {
        "ceremonies": [_whole(draft, number) for number, draft in enumerate(DRAFTS)],
        "judged": [_judged(name, one) for name, one in _odd(whole)],
        "steps": [_step(name, one, place) for name, one, place in _odd_steps(whole)],
        "drafts": [_draft(raw) for raw in _odd_drafts()],
        "codes": [_code(typed) for typed in _typed(whole.seeds[0])],
    }
    texts: dict[str, int] = {}
    for one in (*made["judged"], *made["steps"]):
        files = {name: texts.setdefault(text, len(texts)) for name, text in one["files"].items()}
        one["files"] = files
    return made | {"texts": list(texts)}


# -- whole ceremonies -------------------------------------------------------------------------------------


def _whole(draft: CeremonyDraft, number: int) -> Json:
    ceremony = run(STEPS, draft, seed=100 + number)
    bulletin = ceremony.bulletin
    rehearsal = bulletin.rehearsal
    nobody = SumCiphertext(alpha=IDENTITY, beta=IDENTITY)
    tally = (*rehearsal.tally, (nobody,))
    election = archived_setup(weights=(1,)).election
    found = SecretArchive(election, rehearsal.election, (), {}, 0)
    return {
        "election": rehearsal.election.raw.decode(),
        "tally": encode(tally).decode(),
        "shares": [
            encode(_share(found, tally, bulletin, place, seed)).decode()
            for place, seed in enumerate(ceremony.seeds, start=1)
        ],
        "draft": encode(draft).decode(),
        "digest": draft.digest,
        "seeds": [seed.text for seed in ceremony.seeds],
        "codes": [RECOVERY_FORM.shown(recovery_code(seed.text)) for seed in ceremony.seeds],
        "records": [
            {"file": record_name(record), "text": encode(record).decode()}
            for step in STEPS
            for record in bulletin.of_step(step)
        ],
        "spoken": bulletin.spoken(),
        "trustees": bulletin.trustees.decode(),
        "key": bulletin.key.written(),
        "secrets": [restore_share(bulletin, seed).secret.written() for seed in ceremony.seeds],
    }


# -- bulletins that are not as they should be ----------------------------------------------------------


def _judged(name: str, ceremony: Ceremony) -> Json:
    """What the product says of these files."""
    bulletin = ceremony.bulletin
    waiting = bulletin.waiting()
    return {
        "name": name,
        "draft": encode(ceremony.draft).decode(),
        "files": {source: raw.decode("latin-1") for source, raw in ceremony.files.items()},
        "refused": sorted([one.source, one.error.code] for one in bulletin.refused),
        "two_records": [
            [one.place, one.step, record_name(one.first), record_name(one.second)]
            for one in bulletin.equivocations
        ],
        "waiting": None if waiting is None else [waiting.step, list(waiting.places)],
    }


def _until(whole: Ceremony, steps: int, *without: str) -> Ceremony:
    """The records of the first steps, without some."""
    wanted = {
        name: raw
        for name, raw in whole.files.items()
        if name.partition("-")[2] in STEPS[:steps] and name not in without
    }
    return Ceremony(whole.draft, files=wanted)


def _odd(whole: Ceremony) -> Iterator[tuple[str, Ceremony]]:
    yield "whole", whole
    for number, step in enumerate(STEPS):
        record = whole.bulletin.records[step, 2]
        one = _until(whole, number + 1)
        one.hand_in(one.forged(record, 2), "another")
        yield f"two records: {step}", one
        one = _until(whole, number + 1, f"3-{step}")
        yield f"one is late: {step}", one
        one = _until(whole, number + 1, f"2-{step}")
        one.hand_in(one.forged(record, 1), "signed by another")
        one.hand_in(msgspec.structs.replace(record, place=1), "moved")
        one.hand_in(one.forged(record, 2, place=4), "nobody's")
        one.hand_in(one.forged(record, 2, seen="00" * 32), "saw others")
        one.hand_in(one.forged(record, 2, content="{}"), "empty content")
        one.hand_in(one.forged(record, 2, content=record.content.replace(":", ": ", 1)), "spelled otherwise")
        yield f"odd records: {step}", one
    one = _until(whole, 4)
    one.draft = draft_for(closes=1_800_000_001)
    yield "another draft", one
    one = _until(whole, 2, "2-certificate")
    yield "ahead", one
    yield "odd files", _odd_files(whole)
    yield "odd certificates", _odd_certificates(whole)
    one = _until(whole, 4, "3-rehearsal")
    one.hand_in(one.forged(whole.bulletin.records["rehearsal", 1], 3, place=3))
    yield "rehearsed with the key of another", one


def _odd_files(whole: Ceremony) -> Ceremony:
    one = _until(whole, 4)
    raw = whole.files["1-certificate"]
    one.files |= {
        "empty": b"",
        "text": b"\xff",
        "number": b"1",
        "newline": raw + b"\n",
        "more": raw[:-1] + b',"more":1}',
        "no place": raw.replace(b'"place":1', b'"place":0'),
        "no step": raw.replace(b'"certificate"', b'"other"', 1),
        "twice": raw.replace(b'"place":1', b'"place":1,"place":1'),
        "order": raw.replace(b'"place":1,"step":"certificate"', b'"step":"certificate","place":1'),
        "large number": raw.replace(b'"challenge":"', b'"challenge":"' + b"9" * 76, 1),
        "copy": raw,
    }
    return one


def _odd_certificates(whole: Ceremony) -> Ceremony:
    one = _until(whole, 1, "2-certificate", "3-certificate")
    entropy = random.Random(39).randbytes
    first = whole.bulletin.records["certificate", 1]

    def handed(name: str, seed: int, content: object, place: int) -> None:
        record = whole.bulletin.records["certificate", place]
        one.hand_in(one.forged(record, seed, content=encode(content).decode()), name)

    handed("the key of another", 1, make_trustee_certificate(whole.seeds[0], 2, 2, 3, entropy), 2)
    handed("another threshold", 2, make_trustee_certificate(whole.seeds[1], 2, 3, 3, entropy), 2)
    again = make_trustee_certificate(whole.seeds[2], 3, 2, 3, entropy)
    other = make_trustee_certificate(whole.seeds[2], 3, 2, 3, entropy)
    handed("not signed", 3, msgspec.structs.replace(again, signature=other.signature), 3)
    identity = first.content.replace(
        whole.bulletin.certificate_keys[1].verification.written(), "00" * 31 + "01"
    )
    one.hand_in(one.forged(first, 1, content=identity), "identity")
    return one


# -- steps that are refused ---------------------------------------------------------------------------------


def _step(name: str, ceremony: Ceremony, who: tuple[TrusteeSeed, int]) -> Json:
    """What the next step comes to: the code of its refusal, or its step, empty for none."""
    seed, place = who
    code = found = ""
    try:
        record = next_record(ceremony.bulletin, seed, place)
        found = record.step if record else ""
    except NotProven as error:
        code = error.code
    return {
        "name": name,
        "draft": encode(ceremony.draft).decode(),
        "files": {source: raw.decode("latin-1") for source, raw in ceremony.files.items()},
        "seed": seed.text,
        "place": place,
        "code": code,
        "step": found,
    }


def _odd_steps(whole: Ceremony) -> Iterator[tuple[str, Ceremony, tuple[TrusteeSeed, int]]]:
    first, second, third = whole.seeds
    yield "another key is there", _until(whole, 1), (TrusteeSeed("1" * 22), 1)
    yield "the place of another", _until(whole, 1, "2-certificate"), (first, 2)
    yield "waits", _until(whole, 1, "2-certificate"), (first, 1)
    yield "goes on", _until(whole, 1), (first, 1)
    yield "done", whole, (first, 1)
    yield "only a card is missing", _until(whole, 3), (first, 1)
    one = _until(whole, 1)
    one.hand_in(one.forged(whole.bulletin.records["certificate", 2], 2), "another")
    yield "ended", one, (first, 1)
    yield "a wrong share", _wrong_share(whole, Scalar(7)), (second, 2)
    yield "a wrong share of another", _wrong_share(whole, Scalar(7)), (third, 3)
    yield "sealed for another", _wrong_share(whole, None), (second, 2)


def _wrong_share(whole: Ceremony, value: Scalar | None) -> Ceremony:
    """The first trustee seals another number for the second, or the share of the third."""
    one = _until(whole, 2)
    record: CeremonyRecord = whole.bulletin.records["coefficients", 1]
    message = decode(record.content, PolynomialMessage, "the record")
    wrong = message.secrets[2]
    if value is not None:
        recipient = whole.bulletin.certificate_keys[2].encryption
        entropy = random.Random(34).randbytes
        wrong = send(whole.seeds[0].signing_key, recipient, SecretShare(secret=value), entropy)
    secrets = (message.secrets[0], wrong, message.secrets[2])
    content = encode(msgspec.structs.replace(message, secrets=secrets)).decode()
    one.hand_in(one.forged(record, 1, content=content))
    return one


# -- drafts and cards -----------------------------------------------------------------------------------


def _odd_drafts() -> Iterator[bytes]:
    raw = encode(draft_for())
    yield raw
    for changed in (
        draft_for(1, 3),
        draft_for(4, 3),
        draft_for(2, 1),
        draft_for(2, 3, trustees=("a", "b", "a")),
        draft_for(2, 3, trustees=("a", "b", " ")),
        draft_for(2, 17, trustees=tuple(map(str, range(17)))),
        draft_for(questions=()),
    ):
        yield encode(changed)
    yield raw + b"\n"
    yield raw.replace(b'"closes":', b'"closes":"1","more":')
    yield raw.replace(b'"name":', b'"opens":null,"name":')
    yield raw.replace(b'"threshold":2', b'"threshold":"2"')
    yield b"{}"
    yield b""


def _draft(raw: bytes) -> Json:
    try:
        read_draft(raw)
    except NotProven as error:
        return [raw.decode(), error.code]
    return [raw.decode(), ""]


def _typed(seed: TrusteeSeed) -> Iterator[str]:
    shown = RECOVERY_FORM.shown(recovery_code(seed.text))
    groups = shown.split("-")
    yield shown
    yield shown.lower().replace("-", " \u2013\t")
    yield shown.replace("1", "l").replace("0", "o")
    yield RECOVERY_FORM.shown(recovery_code("1" * 22))
    yield RECOVERY_FORM.shown(recovery_code("z" * 22))
    for number, group in enumerate(groups):
        changed = group[:-1] + ("0" if group[-1] != "0" else "1")
        yield "-".join([*groups[:number], changed, *groups[number + 1 :]])
    yield "-".join((groups[1], groups[0], *groups[2:]))
    yield RECOVERY_FORM.of_number(58**22)
    yield RECOVERY_FORM.of_number(GROUP_ORDER)
    yield shown.replace(shown[2], "U", 1)
    yield shown[:-1]
    yield ""


def _code(typed: str) -> Json:
    """The seed, or the number of the wrong group."""
    try:
        return [typed, read_recovery_code(typed)]
    except (Rejected, VotenetError) as error:
        return [typed, error.details["group"]]
