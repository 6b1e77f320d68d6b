"""Both verifiers on archives and receipts of elections with named nodes, good ones and tampered ones."""

from __future__ import annotations

import importlib.util
import io
from base64 import b64encode
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import named_files, tampered_named_files, tampered_named_receipts
from support.elections import CREATED
from support.named_files import Batch, NamedFile, Story, closing_of, note_line, whole_story
from support.tampered_named_receipts import cast
from votenet.core.limits import MAX_CLOSING_IDS, MAX_OTHER_RECORDS
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import NotProven

SOURCE = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"
NOW = CREATED + 100_000
GOOD_ARCHIVES = named_files.good_archives()
BAD_ARCHIVES = tampered_named_files.tampered_archives()
GOOD_RECEIPTS = tampered_named_receipts.good_receipts()
BAD_RECEIPTS = tampered_named_receipts.tampered_receipts()


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verifier_of_named_files", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier: Any = load()


class Says:
    """What the verifier and the product answer about a file: the code of a fault, or nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"

    def archive(self, data: bytes) -> tuple[str, str]:
        return self._verifier(verifier.check_archive, data), self._product_archive(data)

    def receipt(self, data: bytes) -> tuple[str, str]:
        return self._verifier(verifier.check_receipt, data), self._product_receipt(data)

    def _verifier(self, check: Any, data: bytes) -> str:
        self.path.write_bytes(data)
        try:
            check(str(self.path), None, NOW)
        except verifier.Fault as fault:
            return str(fault.code)
        return ""

    def _product_archive(self, data: bytes) -> str:
        try:
            ArchiveCheck(io.BytesIO(data), NOW).run()
        except NotProven as error:
            return error.code
        return ""

    def _product_receipt(self, data: bytes) -> str:
        try:
            check_receipt(decode_receipt(data), NOW)
        except NotProven as error:
            return error.code
        return ""


@pytest.fixture
def says(tmp_path: Path) -> Says:
    return Says(tmp_path)


@pytest.mark.parametrize("name", GOOD_ARCHIVES)
def test_good_archives_of_named_nodes_hold(says: Says, name: str) -> None:
    assert says.archive(GOOD_ARCHIVES[name]) == ("", "")


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_a_tampered_archive_of_named_nodes_is_refused(says: Says, name: str) -> None:
    code, data = BAD_ARCHIVES[name]
    assert says.archive(data) == (code, code)


@pytest.mark.parametrize("name", GOOD_RECEIPTS)
def test_good_receipts_of_named_nodes_hold(says: Says, name: str) -> None:
    assert says.receipt(GOOD_RECEIPTS[name]) == ("", "")


@pytest.mark.parametrize("name", BAD_RECEIPTS)
def test_a_tampered_receipt_of_named_nodes_is_refused(says: Says, name: str) -> None:
    code, data = BAD_RECEIPTS[name]
    assert says.receipt(data) == (code, code)


def test_the_corpus_has_at_least_forty_faults_of_each_kind_of_file() -> None:
    assert len(BAD_ARCHIVES) > 40
    assert len(BAD_RECEIPTS) > 40


# -- who signed --------------------------------------------------------------------------------------


def report(folder: Path, check: Any, data: bytes) -> Any:
    path = folder / "file"
    path.write_bytes(data)
    return check(str(path), None, NOW)


@pytest.mark.parametrize(
    ("name", "final", "finality"),
    [
        ("whole", True, "final result: signed by 4 of 5: node 0, node 1, node 2, node 3"),
        ("signed-by-all", True, "final result: signed by 5 of 5: node 0, node 1, node 2, node 3, node 4"),
        ("whole-without-certificate", False, "not final: there is no certificate of named nodes"),
        ("while-voting", False, "these votes are final, more may come: signed by 4 of 5: node 0, node 1, "),
        ("closed-not-counted", False, "these votes are final, 7 votes of the closing are to come: signed by"),
        ("half-counted", False, "these votes are final, 3 votes of the closing are to come: signed by"),
    ],
)
def test_an_archive_says_who_signed_it(tmp_path: Path, name: str, final: bool, finality: str) -> None:
    found = report(tmp_path, verifier.check_archive, GOOD_ARCHIVES[name])
    ours = ArchiveCheck(io.BytesIO(GOOD_ARCHIVES[name]), NOW).run()
    assert (found["final"], found["finality"].startswith(finality)) == (final, True)
    assert (ours.final, ours.finality, list(ours.signed_by)) == (
        found["final"],
        found["finality"],
        list(found["signed_by"]),
    )


@pytest.mark.parametrize(
    ("name", "final", "finality"),
    [
        ("final", True, "final: signed by 4 of 5: node 0, node 1, node 2, node 3"),
        ("received", False, "received by 3 of 5: node 0, node 2, node 3; not final yet: wait for final"),
        ("chain", False, "never final: no nodes are named, anybody may rewrite this"),
    ],
)
def test_a_receipt_says_how_final_it_is(tmp_path: Path, name: str, final: bool, finality: str) -> None:
    found = report(tmp_path, verifier.check_receipt, GOOD_RECEIPTS[name])
    ours = check_receipt(decode_receipt(GOOD_RECEIPTS[name]), NOW)
    assert (found["final"], found["finality"], ours.final) == (final, finality, final)
    assert tuple(found.get("signed_by", ())) == ours.signed_by
    assert tuple(found.get("received_by", ())) == ours.received_by


def test_of_two_late_votes_of_a_voter_the_smaller_id_counts(tmp_path: Path) -> None:
    found = report(tmp_path, verifier.check_archive, GOOD_ARCHIVES["whole"])
    assert (found["votes"], sum(votes for _, votes in found["contests"][0]["counts"])) == (10, 10)


# -- limits of the log and of the closing -------------------------------------------------------------


def noted(says: Says, *, lines: str = "", body: str = "") -> tuple[str, str]:
    """What both say of a receipt whose certificate has more lines, or more text."""
    one = cast()
    note = body or one.file.certificate()
    return says.receipt(one.proof(proof=one.file.log_proof(one.index, note + lines)))


def stranger(name: str = "w", size: int = 72) -> str:
    return note_line(name, b"abcd" + bytes(size))


def test_the_longest_note(says: Says) -> None:
    room = verifier.MAX_NOTE_SIZE - len(cast().file.certificate()) - len("\u2014 w \n")
    bytes_of_one = room // 4 * 3 - 4
    name = "w" * (room % 4 + 1)
    assert noted(says, lines=stranger(name, bytes_of_one)) == ("", "")
    assert noted(says, lines=stranger(name + "w", bytes_of_one)) == ("bad-note", "bad-note")


def test_the_most_signatures_of_a_note(says: Says) -> None:
    rest = verifier.MAX_NOTE_SIGNATURES - 4
    assert noted(says, lines=rest * stranger()) == ("", "")
    assert noted(says, lines=(rest + 1) * stranger()) == ("bad-note", "bad-note")


def test_the_longest_name_of_a_key(says: Says) -> None:
    assert noted(says, lines=stranger("w" * 512)) == ("", "")
    assert noted(says, lines=stranger("w" * 513)) == ("bad-note", "bad-note")


@pytest.mark.parametrize("name", ["a b", "a+b", "a\u00a0b", "", "a\u2003b"])
def test_names_of_keys_have_no_white_space_and_no_plus(says: Says, name: str) -> None:
    assert noted(says, lines=stranger(name)) == ("bad-note", "bad-note")


@pytest.mark.parametrize("size", [0, 1])
def test_the_shortest_signature(says: Says, size: int) -> None:
    assert noted(says, lines=stranger(size=size)) == (2 * ("bad-note",) if size == 0 else ("", ""))


def test_the_largest_size_and_time(says: Says) -> None:
    file = cast().file
    text = file.checkpoint(size=2**63 - 1)
    whole = f"{text}\n{''.join(file.cosignature(node, text, time=2**63 - 1) for node in range(4))}"
    assert noted(says, body=whole) == ("bad-proof", "bad-proof"), "the path is of a smaller log"
    beyond = file.checkpoint(size=2**63)
    signed = f"{beyond}\n{''.join(file.cosignature(node, beyond) for node in range(4))}"
    assert noted(says, body=signed) == ("bad-checkpoint", "bad-checkpoint")
    late = f"{text}\n{''.join(file.cosignature(node, text, time=2**63) for node in range(4))}"
    assert noted(says, body=late) == ("bad-cosignature", "bad-cosignature")


@pytest.mark.parametrize("hashes", [63, 64])
def test_the_longest_path(says: Says, hashes: int) -> None:
    one = cast()
    lines = hashes * (b64encode(bytes(32)).decode() + "\n")
    note = "not a note" if hashes == 63 else one.file.certificate()
    proof = f"c2sp.org/tlog-proof@v1\nindex 1\n{lines}\n{note}"
    code = "bad-note" if hashes == 63 else "bad-proof"
    assert says.receipt(one.proof(proof=proof)) == (code, code)


def test_the_most_ids_of_a_closing_block() -> None:
    ids = b"".join(number.to_bytes(32, "big") for number in range(MAX_CLOSING_IDS))
    assert len(verifier.listed_ids(_listed(ids), 4)[0]) == MAX_CLOSING_IDS
    with pytest.raises(verifier.Fault, match="bits"):
        verifier.listed_ids(_listed(ids + b"\xff" * 32), 4)


def _listed(ids: bytes) -> dict[str, str]:
    return {"bits": b64encode(b"\x01" * (len(ids) // 32)).decode(), "ids": b64encode(ids).decode()}


def test_the_most_other_records_of_a_block(says: Says) -> None:
    story = Story().vote()
    record = story.lists()[0]
    for count, code in ((MAX_OTHER_RECORDS, "bad-merkle-root"), (MAX_OTHER_RECORDS + 1, "bad-record")):
        file = NamedFile()
        file.block(Batch((), [record], closing_of([])))
        file.lines[0]["records"] = count * [record]
        assert says.archive(file.pack())[0] == code


def test_a_good_archive_is_read_in_one_pass(tmp_path: Path) -> None:
    """The root of the log is kept as the roots of its complete subtrees."""
    log = verifier.Log()
    for leaf in whole_story().file.log:
        log.add(leaf)
    assert log.root() == verifier.tree_root(whole_story().file.log)
    assert len(log.roots) == len(whole_story().file.log).bit_count()


def test_winners_are_named_of_a_final_result_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, words in (("whole", "; won (Alice)"), ("while-voting", "; ahead (Bob)")):
        path = tmp_path / name
        path.write_bytes(GOOD_ARCHIVES[name])
        assert verifier.main(["archive", str(path)]) == 0
        assert words in capsys.readouterr().out
