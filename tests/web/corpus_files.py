"""Good and tampered files of every kind, with the code that the product and the second verifier give."""

from __future__ import annotations

import base64
import gzip
import io
import json
import lzma
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support import (
    amended_files,
    amended_records,
    archives,
    named_files,
    tampered_amendments,
    tampered_evidence,
    tampered_named_files,
    tampered_named_receipts,
    tampered_secret_files,
)
from support.elections import CREATED
from support.random_contests import random_election
from support.tampered_definitions import tampered_definitions
from verifier import test_contests, test_definitions, test_limits, test_named_files, test_random_closings
from verifier import test_votenet_verifier as second
from votenet.cli.archive.archive_files import read_final_chain
from votenet.core.election.roll import roll_from_file
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.evidence import check_evidence, decode_evidence
from votenet.core.records.final_result import check_result, decode_result, result_of_archive
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import ConfigError, NotProven

NOW = CREATED + 100_000
verifier = second.verifier
Json = dict[str, Any]


class Case(NamedTuple):
    """A file, what it is checked as, and what goes with it."""

    name: str
    check: str
    data: bytes
    roll: bytes | None = None
    archive: bytes | None = None
    file: str = "file"
    product: bool = True
    """Whether the product reads such a file by itself."""


# -- the two answers ---------------------------------------------------------------------------------


def product_says(case: Case, folder: Path) -> str:
    try:
        roll = None if case.roll is None else roll_from_file(case.roll)
        if case.check == "archive":
            ArchiveCheck(io.BytesIO(case.data), NOW, roll=roll).run()
        elif case.check == "receipt":
            check_receipt(decode_receipt(case.data), NOW, roll=roll)
        elif case.check == "evidence":
            made, chain = decode_evidence(case.data), None
            if case.archive is not None:
                (folder / "archive").write_bytes(case.archive)
                network = json.loads(case.archive.partition(b"\n")[0])["network_id"]
                chain = read_final_chain(folder / "archive", network, roll)
            check_evidence(made, None, chain)
        else:
            made_result, right = decode_result(case.data), None
            if case.archive is not None:
                check = ArchiveCheck(io.BytesIO(case.archive), NOW, roll=roll)
                right = result_of_archive(check, check.blocks())
            check_result(made_result, None, right)
    except (NotProven, ConfigError) as error:
        return error.code
    return ""


def second_says(case: Case, folder: Path) -> tuple[str, Json]:
    """The code of the second verifier, and its report."""
    paths = {}
    for name, data in (("file", case.data), ("roll", case.roll), ("archive", case.archive)):
        path = folder / (case.file if name == "file" else name)
        paths[name] = None if data is None else str(path)
        if data is not None:
            path.write_bytes(data)
    others = [paths["roll"]] if case.check in ("archive", "receipt") else [paths["archive"], paths["roll"]]
    try:
        report = getattr(verifier, f"check_{case.check}")(paths["file"], None, NOW, *others)
    except verifier.Fault as fault:
        return str(fault.code), {}
    return "", report


# -- cases -------------------------------------------------------------------------------------------


def listed(check: str, kind: str, corpus: Json, **more: Any) -> Iterator[Case]:
    for name, value in corpus.items():
        data = value[1] if isinstance(value, tuple) else value
        yield Case(f"{kind}/{name}", check, data, **more)


def first_cases() -> Iterator[Case]:
    """Elections without named nodes."""
    yield Case("good/archive", "archive", archives.good_archive())
    yield Case(
        "good/archive.gz", "archive", gzip.compress(archives.good_archive()), file="a.gz", product=False
    )
    packed = gzip.compress(archives.good_archive())
    yield Case("bad/cut.gz", "archive", packed[:-50], file="a.gz", product=False)
    yield Case("bad/not-gzip.gz", "archive", archives.good_archive(), file="b.gz", product=False)
    yield from packed_cases()
    yield Case("good/burst", "archive", archives.archive(archives.burst()))
    yield Case("good/empty", "archive", archives.archive(archives.chain([()])))
    yield from listed("archive", "archive", archives.tampered())
    yield from listed("receipt", "receipt", archives.tampered_receipts())
    for height, index in ((1, 0), (4, 2), (14, 3)):
        yield Case(f"good/receipt-{height}", "receipt", archives.good_receipt(height, index))
    yield from listed("archive", "definition", tampered_definitions())


def packed_cases() -> Iterator[Case]:
    """Files that xz has packed, in each way, and damaged ones."""
    dice, data = random.Random(7), archives.archive(archives.burst())
    for preset in range(10):
        yield packed_case(f"good/preset-{preset}", lzma.compress(data, preset=preset))
    for check in (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_SHA256):
        yield packed_case(f"good/check-{check}", lzma.compress(data, check=check))
    for lc, lp, pb in ((0, 0, 0), (4, 0, 4), (0, 4, 1), (1, 3, 2)):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": lc, "lp": lp, "pb": pb, "dict_size": 4096}]
        yield packed_case(f"good/context-{lc}-{lp}-{pb}", lzma.compress(data, filters=filters))
    packed, half = lzma.compress(data), len(data) // 2
    yield packed_case("good/streams", lzma.compress(data[:half]) + lzma.compress(data[half:]))
    yield packed_case("bad/streams-apart", lzma.compress(data[:half]) + bytes(8) + lzma.compress(data[half:]))
    yield packed_case("good/behind", packed + b"something else")
    noise = data + dice.randbytes(100_000)
    yield packed_case("bad/noise", lzma.compress(noise))
    for size in (0, 5, 11, 12, 20, 40, len(packed) // 2, len(packed) - 13, len(packed) - 12, len(packed) - 1):
        yield packed_case(f"bad/cut-at-{size}", packed[:size])
    # Damage further in may be seen as a damaged line first.
    for at in (*range(24), *range(len(packed) - 40, len(packed))):
        damaged = packed[:at] + bytes([packed[at] ^ 1 << dice.randrange(8)]) + packed[at + 1 :]
        yield packed_case(f"bad/byte-{at}", damaged)


def packed_case(name: str, data: bytes) -> Case:
    return Case(f"xz/{name}", "archive", data, file="a.xz", product=False)


def roll_cases() -> Iterator[Case]:
    for number, (votes, _) in enumerate(archives.ROLL_CASES):
        roll, data = archives.roll_archive(*votes)
        yield Case(f"roll/voters-{number}", "archive", data, roll.to_file())
        yield Case(f"roll/voters-{number}-alone", "archive", data)
    roll, _, _ = archives.roll_block(("ann", "ann"))
    _, data = archives.roll_archive(("ann", "ann"))
    for what in second.ROLL_FILES:
        yield Case(f"roll/{what}", "archive", data, second.changed_roll(roll, what))
    yield Case("roll/not-used", "archive", archives.good_archive(), roll.to_file())


def limit_cases() -> Iterator[Case]:
    for what, (_, at, beyond) in test_limits.EDGES.items():
        yield Case(f"limit/{what}/at", "archive", at())
        yield Case(f"limit/{what}/beyond", "archive", beyond())
    for size in (archives.MAX_ARCHIVE_LINE, archives.MAX_ARCHIVE_LINE + 1):
        yield Case(f"limit/line-{size}", "archive", test_limits.padded(size))
    for what, fields in test_definitions.CONTRADICTIONS.items():
        yield Case(f"contradiction/{what}", "archive", test_limits.definition(**fields))
    made = test_contests.named_contest
    for what, contest in (test_contests.GOOD_CONTESTS | test_contests.BAD_CONTESTS).items():
        yield Case(f"contest/{what}", "archive", test_limits.definition(contests=[made(**contest)]))
        both = test_limits.definition(contests=[made(2), made(**contest)])
        yield Case(f"contest/second-{what}", "archive", both)
    motion = made(method="motion", threshold=test_contests.CAST, quorum={"percent": 100})
    yield Case(
        "contest/motion-of-roll", "archive", test_limits.definition(contests=[motion], **test_contests.ROLL)
    )
    for voter in ("v\u200b", "v\u202e", "\u00a0v", "v\x00", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"):
        yield Case(f"voter/{voter!a}", "archive", test_limits.voted(voter))


def meeting_cases() -> Iterator[Case]:
    """A weighted election of several contests."""
    roll, held = test_contests.general_meeting()
    for what, (_, make) in test_contests.BALLOTS.items():
        yield Case(f"ballot/{what}", "archive", archives.archive_of(held, [make()]), roll.to_file())
    good = test_contests.BALLOTS["good"][1]()
    yield Case("ballot/without-the-roll", "archive", archives.archive_of(held, [good]))
    for seed in range(60):
        held, roll, votes = random_election(random.Random(seed))
        yield Case(f"random/election-{seed}", "archive", archives.archive_of(held, votes), roll.to_file())


def named_cases() -> Iterator[Case]:
    """Elections with named nodes: archives, receipts, results, evidence."""
    yield from listed("archive", "named-good", named_files.good_archives())
    yield from listed("archive", "named", tampered_named_files.tampered_archives())
    yield from listed("receipt", "named-receipt-good", tampered_named_receipts.good_receipts())
    yield from listed("receipt", "named-receipt", tampered_named_receipts.tampered_receipts())
    whole = named_files.whole_story().file.pack()
    for kind, corpus in (
        ("evidence-good", tampered_evidence.good_evidence()),
        ("evidence", tampered_evidence.tampered_evidence()),
    ):
        yield from listed("evidence", kind, corpus, archive=whole)
        yield from listed("evidence", f"{kind}-alone", corpus)
    yield Case("result/good", "result", tampered_evidence.result_with(), archive=whole)
    yield Case("result/good-alone", "result", tampered_evidence.result_with())
    yield from listed("result", "result", tampered_evidence.tampered_results(), archive=whole)
    yield from listed("result", "result-alone", tampered_evidence.tampered_results())
    for seed in range(150):
        yield Case(f"random/closing-{seed}", "archive", test_random_closings.RandomEnd(seed).pack())


def note_cases() -> Iterator[Case]:
    """Certificates at their limits, and names of keys that they may and may not have."""
    one = tampered_named_receipts.cast()
    note, stranger = one.file.certificate(), test_named_files.stranger

    def noted(what: str, lines: str = "", body: str = "") -> Case:
        proof = one.file.log_proof(one.index, (body or note) + lines)
        return Case(f"note/{what}", "receipt", one.proof(proof=proof))

    room = verifier.MAX_NOTE_SIZE - len(note) - len("\u2014 w \n")
    name, size = "w" * (room % 4 + 1), room // 4 * 3 - 4
    yield noted("longest", stranger(name, size))
    yield noted("too-long", stranger(name + "w", size))
    for count in (verifier.MAX_NOTE_SIGNATURES - 4, verifier.MAX_NOTE_SIGNATURES - 3):
        yield noted(f"{count}-more-signatures", count * stranger())
    for name in ("w" * 512, "w" * 513, "\U0001f600" * 512, "a b", "a+b", "", "\u00e9"):
        yield noted(f"name-{len(name)}-{name[:3]!a}", stranger(name))
    for point in (0x85, 0xA0, 0x1680, 0x180E, 0x2003, 0x200B, 0x2028, 0x202F, 0x3000, 0xFEFF, 0x1F, 0x7F):
        yield noted(f"name-with-{point:x}", stranger(f"a{chr(point)}b"))
    for length in (0, 1):
        yield noted(f"signature-of-{length}", stranger(size=length))
    for top, at in ((2**63 - 1, 2**63 - 1), (2**63, 1), (2**63 - 1, 2**63)):
        text = one.file.checkpoint(size=top)
        lines = "".join(one.file.cosignature(node, text, time=at) for node in range(4))
        yield noted(f"size-{top}-time-{at}", body=f"{text}\n{lines}")
    for hashes in (63, 64):
        lines = hashes * (base64.b64encode(bytes(32)).decode() + "\n")
        proof = f"c2sp.org/tlog-proof@v1\nindex 1\n{lines}\n{note}"
        yield Case(f"note/path-of-{hashes}", "receipt", one.proof(proof=proof))


def amended_cases() -> Iterator[Case]:
    def of(kind: str, name: str, made: amended_files.Amended) -> Iterator[Case]:
        yield Case(f"{kind}/{name}", "archive", made.data, made.roll and made.roll.to_file())

    for name, made in amended_files.good_amended().items():
        yield from of("amended-good", name, made)
    for name, (_, made) in tampered_amendments.broken_amendments().items():
        yield from of("amended", name, made)
    for check, cases in (
        ("receipt", amended_records.receipts()),
        ("evidence", amended_records.evidence()),
        ("result", amended_records.results()),
    ):
        for name, case in cases.items():
            roll = case.roll and case.roll.to_file()
            yield Case(f"amended-{check}/{name}", check, case.data, roll, case.archive or None)


def secret_case(name: str, made: tampered_secret_files.Tampered) -> Case:
    return Case(name, made.check, made.data, made.roll, made.archive)


def secret_cases() -> Iterator[Case]:
    """Elections with secret ballots: archives, receipts, results."""
    for kind, corpus in (
        ("secret-good", tampered_secret_files.good_files()),
        ("secret", tampered_secret_files.tampered_files()),
    ):
        for name, made in corpus.items():
            yield secret_case(f"{kind}/{name}", made)
