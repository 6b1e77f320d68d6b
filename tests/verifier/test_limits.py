"""The tables of docs/audit.md, the product and the second verifier name the same limits, and keep to them."""

from __future__ import annotations

import importlib.util
import io
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from support.archives import NOW, full_block
from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    as_stored,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
)
from support.named_files import keys_of
from support.tampered_definitions import of_definition, trustees
from votenet.core import encoding, limits, text
from votenet.core.election import amendment
from votenet.core.election.definition import Election
from votenet.core.encoding import DOMAIN_GENESIS, canonical, domain_hash
from votenet.core.ledger import statement
from votenet.core.ledger.block import Block
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.difficulty import next_bits
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import LONG_GAP, MEDIAN_SPAN
from votenet.core.log import checkpoint, signed_note, tlog_proof
from votenet.core.methods.registry import METHODS
from votenet.core.records import evidence, final_result
from votenet.core.records.archive import ArchiveCheck, archive_lines
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import NotProven
from votenet.pow import bits_for_zero_bits, bits_to_target, target_to_bits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def _load() -> Any:
    spec = importlib.util.spec_from_file_location(
        "verifier_under_test", ROOT / "verifier/votenet_verifier.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = _load()


# -- the tables ------------------------------------------------------------------------------------


def rows(title: str) -> dict[str, list[str]]:
    """Name to the other cells of a row, out of the table under a heading of docs/audit.md."""
    part = PAGE.split(f"### {title}\n", 1)[1].split("\n#", 1)[0]
    found = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in found}


def value_in(cell: str) -> object:
    quoted = re.findall("`([^`]*)`", cell)
    if not quoted:
        return int(cell.replace(",", ""))
    return tuple(quoted) if len(quoted) > 1 else quoted[0]


def written(value: object) -> object:
    """A constant as the table writes it."""
    return value.decode().replace("\n", "\\n") if isinstance(value, bytes) else value


LIMITS: Final = rows("Limits")
CHARACTERS: Final = rows("Characters")


STATEMENTS: Final = {
    "DOMAIN_BLOCK": statement.MinerStatement,
    "DOMAIN_PROPOSAL": statement.ProposalStatement,
    "DOMAIN_PREVOTE": statement.PrevoteStatement,
    "DOMAIN_PRECOMMIT": statement.PrecommitStatement,
    "DOMAIN_ACCEPTANCE": statement.AcceptanceStatement,
    "DOMAIN_CLOSING_LIST": statement.ClosingListStatement,
}


def product(name: str) -> object:
    if name == "METHODS":
        return tuple(METHODS)
    if name in STATEMENTS:
        return written(STATEMENTS[name].domain)
    modules = (limits, encoding, amendment, signed_note, checkpoint, tlog_proof, evidence, final_result)
    return written(next(getattr(module, name) for module in modules if hasattr(module, name)))


@pytest.mark.parametrize("name", LIMITS)
def test_the_page_the_product_and_the_verifier_have_the_same_value(name: str) -> None:
    assert value_in(LIMITS[name][0]) == product(name) == written(getattr(verifier, name))


def test_no_limit_is_left_out_of_the_page() -> None:
    assert {name for name in vars(limits) if name.isupper()} <= set(LIMITS)
    assert {name for name in vars(verifier) if re.match("MAX_|DOMAIN_", name)} <= set(LIMITS)


def points_in(cell: str) -> set[int]:
    """The code points of a cell such as `U+0020, U+2000–200A`."""
    found = set[int]()
    for first, last in re.findall("U\\+([0-9A-F]{4,6})(?:–([0-9A-F]{4,6}))?", cell.partition(", and ")[0]):
        found |= set(range(int(first, 16), int(last or first, 16) + 1))
    if "of each of the 17 planes" in cell:
        found |= {plane * 0x10000 + end for plane in range(17) for end in (0xFFFE, 0xFFFF)}
    return found


def points_of(ranges: text.Ranges) -> set[int]:
    return {point for first, last in ranges for point in range(first, last + 1)}


@pytest.mark.parametrize("name", CHARACTERS)
def test_the_page_the_product_and_the_verifier_have_the_same_characters(name: str) -> None:
    ours = points_of(getattr(text, name))
    assert points_in(CHARACTERS[name][0]) == ours == points_of(getattr(verifier, name))


def test_no_characters_are_left_out_of_the_page() -> None:
    ranges = {name for name, value in vars(text).items() if name.isupper() and isinstance(value, tuple)}
    assert ranges == set(CHARACTERS)


# -- what both readers answer ----------------------------------------------------------------------


def product_says(data: bytes, now: int) -> str:
    try:
        ArchiveCheck(io.BytesIO(data), now).run()
    except NotProven as error:
        return error.code
    return ""


def verifier_says(folder: Path, data: bytes, now: int) -> str:
    path = folder / "archive"
    path.write_bytes(data)
    try:
        verifier.check_archive(str(path), None, now)
    except verifier.Fault as error:
        return str(error.code)
    return ""


def definition(**fields: Any) -> bytes:
    """An archive without blocks, of an unchecked definition.

    `fields` are its members, those of its `chain` and of its `contest`; in short also `candidates` (names),
    `max_choices` and `method`.
    """
    made = json.loads(canonical(make_election(bits=TRIVIAL_BITS).definition))
    chain = made["chain"] | fields.pop("chain", {})
    contest = made["contests"][0] | fields.pop("contest", {})
    if "candidates" in fields:
        contest["candidates"] = [{"name": name, "statement": ""} for name in fields.pop("candidates")]
    for member, short in (("max", "max_choices"), ("method", "method")):
        contest[member] = fields.pop(short, contest[member])
    made |= {"chain": chain, "contests": [contest]} | fields
    network = domain_hash(DOMAIN_GENESIS, canonical(made))
    header = b"".join(
        (2).to_bytes(4, "little") if part == "version" else part for part in ("version", bytes(32), network)
    ) + b"".join(max(0, min(n, 2**32 - 1)).to_bytes(4, "little") for n in (made["created"], chain["bits"], 0))
    tip = verifier.double_hash(header).hex()
    lines = [
        {"format": "votenet-archive", "network_id": network.hex(), "version": 2},
        {"definition": made},
        {"certificate": "", "height": 0, "tip": tip, "votes": 0},
    ]
    return b"".join(canonical(line) + b"\n" for line in lines)


def blocks(election: Election, *bodies: list[HashedVote], **fields: Any) -> bytes:
    """An archive of blocks with these votes; `fields` are of the last block."""
    headers, made = Chain(election), list[Block]()
    for index, body in enumerate(bodies):
        last = fields if index == len(bodies) - 1 else {}
        parent = made[-1].header if made else headers.genesis.header
        rules = {"bits": headers.next_bits(headers.tip)} | last
        made.append(mine_block(election, parent, body, **rules))
        if last is not fields:
            headers.add_body(headers.add_header(made[-1].header, made[-1].header.time), lambda _: ())
    return b"".join(archive_lines(election, map(as_stored, made)))


EASY = {"bits": TRIVIAL_BITS}


WIDE: Final = {"candidates": [f"{n:02}".ljust(200, "é") for n in range(64)], "max_choices": 64}


def sized(election: Election, size: int, tag: str = "v") -> HashedVote:
    """A vote whose record has exactly so many bytes; the voter's id begins with `tag`."""
    names = election.names
    base = len(make_vote(election, tag, *names[:1]).record)
    each = len(make_vote(election, tag, *names[:2]).record) - base
    count, rest = divmod(size - base, each)
    made = make_vote(election, tag + rest % 4 * "v" + rest // 4 * "\U0001f5f3", *names[: 1 + count])
    assert len(made.record) == size
    return made


def vote_of(size: int) -> bytes:
    """A block with one vote whose record has so many bytes."""
    election = make_election(**EASY, **WIDE, method="approval")
    return blocks(election, [sized(election, size)])


def block_of(size: int) -> bytes:
    """A block whose votes have so many bytes together."""
    election = make_election(**EASY, **WIDE, method="approval")
    full, rest = divmod(size - limits.MAX_VOTE_BYTES // 2, limits.MAX_VOTE_BYTES)
    sizes = [limits.MAX_VOTE_BYTES] * full + [limits.MAX_VOTE_BYTES // 2, rest]
    return blocks(election, [sized(election, one, f"{number:04}") for number, one in enumerate(sizes)])


def padded(size: int) -> bytes:
    """A second line of exactly so many bytes, newline included: white space is not canonical, but read."""
    lines = definition().splitlines(keepends=True)
    line = lines[1][:-1].ljust(size - 1) + b"\n"
    return lines[0] + line + lines[2]


def named(**fields: Any) -> bytes:
    return definition(**fields)


def ahead(seconds: int) -> bytes:
    return blocks(make_election(**EASY), [], time=NOW + seconds)


def after_median(behind: int) -> bytes:
    """Eleven blocks a minute apart, then one at the median of their times, or before it."""
    election = make_election(bits=TRIVIAL_BITS, block_seconds=60)
    headers, made = Chain(election), list[Block]()
    for number in range(1, 12):
        parent = headers.tip.header
        made.append(
            mine_block(election, parent, [], time=CREATED + 60 * number, bits=headers.next_bits(headers.tip))
        )
        headers.add_body(headers.add_header(made[-1].header, NOW), lambda _: ())
    bits = headers.next_bits(headers.tip)
    last = mine_block(election, headers.tip.header, [], time=CREATED + 60 * 6 - behind, bits=bits)
    return b"".join(archive_lines(election, map(as_stored, [*made, last])))


def with_header(**fields: Any) -> bytes:
    election = make_election(**EASY)
    block = mine_block(election, None, make_votes(election, 1))
    header = mine_header(block.header._replace(**fields))
    return b"".join(archive_lines(election, [as_stored(block._replace(header=header))]))


def cut_header(digits: int) -> bytes:
    lines = with_header().splitlines(keepends=True)
    return (
        lines[0]
        + lines[1]
        + re.sub(b'"header":"[0-9a-f]*"', lambda m: m[0][: 10 + digits] + b'"', lines[2])
        + lines[3]
    )


def many(count: int) -> list[str]:
    return [f"c{n}" for n in range(count)]


def voted(voter_id: str) -> bytes:
    election = make_election(**EASY)
    return blocks(election, [make_vote(election, voter_id)])


def approved(count: int) -> bytes:
    election = make_election(**EASY, candidates=many(70), max_choices=64, method="approval")
    return blocks(election, [make_vote(election, "v", *many(count))])


def described(words: str) -> bytes:
    return named(contest={"description": words})


def nodes(count: int) -> list[Any]:
    return [keys_of(node).public(f"node {node}") for node in range(count)]


def witnessed(count: int) -> bytes:
    return named(witnesses=count * [WITNESS])


WITNESS: Final = {"key": "w+00000000+" + 44 * "A", "name": "w", "url": "https://w.example"}
TOP: Final = {"max_choices": 64, "method": "approval", "candidates": many(70)}
EDGES: Final[dict[str, tuple[str, Callable[[], bytes], Callable[[], bytes]]]] = {
    # What: (a name of the table, at the limit, one beyond it)
    "title": ("MAX_NAME", lambda: named(title="\u00e9" * 200), lambda: named(title="\u00e9" * 201)),
    "candidate": ("MAX_NAME", lambda: named(candidates=["c" * 200]), lambda: named(candidates=["c" * 201])),
    "no title": ("MAX_NAME", lambda: named(title="t"), lambda: named(title="")),
    "no candidate": ("MAX_NAME", lambda: named(candidates=["c"]), lambda: named(candidates=["c", ""])),
    "candidates": (
        "MAX_CANDIDATES",
        lambda: named(candidates=many(1000)),
        lambda: named(candidates=many(1001)),
    ),
    "candidates of stv": (
        "MAX_STV_CANDIDATES",
        lambda: named(method="stv", candidates=many(200)),
        lambda: named(method="stv", candidates=many(201)),
    ),
    "candidates of schulze": (
        "MAX_SCHULZE_CANDIDATES",
        lambda: named(method="schulze", candidates=many(100)),
        lambda: named(method="schulze", candidates=many(101)),
    ),
    "none": ("MAX_CANDIDATES", lambda: named(candidates=["c"]), lambda: named(candidates=[])),
    "max_choices": ("MAX_CHOICES", lambda: named(**TOP), lambda: named(**TOP | {"max_choices": 65})),
    "choices": ("MAX_CHOICES", lambda: approved(64), lambda: approved(65)),
    "block_seconds": (
        "MAX_BLOCK_SECONDS",
        lambda: named(chain={"block_seconds": 3600}),
        lambda: named(chain={"block_seconds": 3601}),
    ),
    "no block_seconds": (
        "MAX_BLOCK_SECONDS",
        lambda: named(chain={"block_seconds": 1}),
        lambda: named(chain={"block_seconds": 0}),
    ),
    "max_block_votes": (
        "MAX_BLOCK_VOTES",
        lambda: named(chain={"max_block_votes": 20480}),
        lambda: named(chain={"max_block_votes": 20481}),
    ),
    "no max_block_votes": (
        "MAX_BLOCK_VOTES",
        lambda: named(chain={"max_block_votes": 1}),
        lambda: named(chain={"max_block_votes": 0}),
    ),
    "statement": ("MAX_STATEMENT", lambda: described("d" * 2000), lambda: described("d" * 2001)),
    "organiser": ("MAX_STATEMENT", lambda: named(organiser="o" * 2000), lambda: named(organiser="o" * 2001)),
    "grace_seconds": (
        "MAX_GRACE_SECONDS",
        lambda: named(chain={"grace_seconds": 3600}),
        lambda: named(chain={"grace_seconds": 3601}),
    ),
    "named nodes": ("MAX_NAMED_NODES", lambda: named(nodes=nodes(64)), lambda: named(nodes=nodes(65))),
    "witnesses": (
        "MAX_WITNESSES",
        lambda: named(witnesses=64 * [WITNESS]),
        lambda: named(witnesses=65 * [WITNESS]),
    ),
    "created": ("MAX_U32", lambda: named(created=2**32 - 1), lambda: named(created=2**32)),
    "opens": ("MAX_SAFE_INTEGER", lambda: named(opens=2**53 - 1), lambda: named(opens=2**53)),
    "method": ("METHODS", lambda: named(method="approval"), lambda: named(method="borda")),
    "version": ("FORMAT_VERSION", lambda: named(version=2), lambda: named(version=3)),
    "voter id": ("MAX_VOTER_ID", lambda: voted("v" * 128), lambda: voted("v" * 129)),
    "vote": ("MAX_VOTE_BYTES", lambda: vote_of(16384), lambda: vote_of(16385)),
    "block": ("MAX_BLOCK_BYTES", lambda: block_of(8388608), lambda: block_of(8388609)),
    "header": ("HEADER_BYTES", lambda: cut_header(160), lambda: cut_header(159)),
    "block version": ("BLOCK_VERSION", with_header, lambda: with_header(version=1)),
    "ahead": ("MAX_CLOCK_AHEAD", lambda: ahead(7200), lambda: ahead(7201)),
    "median": ("MEDIAN_SPAN", lambda: after_median(0), lambda: after_median(1)),
}
BEYOND_THIS_TABLE: Final = {
    # Names without an edge of their own, and the test that holds them.
    "RETARGET_SPAN": "test_both_ask_for_the_same_difficulty",
    "LONG_GAP": "test_both_take_the_same_gap_for_a_long_one",
    "MAX_RISE": "test_both_stop_at_the_same_difficulty_in_a_burst_of_blocks",
    "MAX_ARCHIVE_LINE": "test_the_longest_line",
    "MAX_RECEIPT": "test_the_longest_receipt",
    "MAX_AMENDMENTS": "test_the_largest_number_of_an_amendment",
    "MAX_WEIGHT": "test_both_read_rolls_alike",
    "MAX_CONTESTS": "test_both_hold_the_same_rules_of_several_contests",
    "MAX_TRUSTEE_KEYS": "test_the_most_trustees",
    "MAX_RECORD_BYTES": "test_a_tampered_archive_of_named_nodes_is_refused",
    "MAX_CLOSING_IDS": "test_the_most_ids_of_a_closing_block",
    "MAX_NOTE_SIZE": "test_the_longest_note",
    "MAX_OTHER_RECORDS": "test_the_most_other_records_of_a_block",
    "MAX_NOTE_SIGNATURES": "test_the_most_signatures_of_a_note",
    "MAX_KEY_NAME": "test_the_longest_name_of_a_key",
    "MAX_LOG_SIZE": "test_the_largest_size_and_time",
    "MAX_PROOF_HASHES": "test_the_longest_path",
    "NOTICE_SECONDS": "test_a_broken_rule_of_amendments_is_refused",
    "DOMAIN_AMENDMENT": "test_good_amendments_hold",
    "DOMAIN_BLOCK": "test_good_archives_of_named_nodes_hold",
    "DOMAIN_ACCEPTANCE": "test_good_receipts_of_named_nodes_hold",
    "DOMAIN_CLOSING_LIST": "test_good_archives_of_named_nodes_hold",
    "DOMAIN_PROPOSAL": "test_both_take_good_evidence",
    "DOMAIN_PREVOTE": "test_both_take_good_evidence",
    "DOMAIN_PRECOMMIT": "test_both_take_good_evidence",
    "DOMAIN_COUNTED": "test_both_make_the_same_final_result_of_an_archive",
    "EVIDENCE_FORMAT": "test_both_refuse_tampered_evidence",
    "EVIDENCE_VERSION": "test_both_refuse_tampered_evidence",
    "RESULT_FORMAT": "test_both_refuse_a_tampered_final_result",
    "RESULT_VERSION": "test_both_refuse_a_tampered_final_result",
    "ARCHIVE_FORMAT": "test_formats_and_versions",
    "RECEIPT_FORMAT": "test_formats_and_versions",
    "ROLL_FORMAT": "test_both_read_rolls_alike",
    "DOMAIN_GENESIS": "test_both_count_the_same",
    "DOMAIN_BELENIOS": "test_both_write_the_same_text_for_belenios",
    "DOMAIN_VOTE": "test_both_count_the_same",
    "DOMAIN_ROLL": "test_with_its_roll_every_voter_and_key_is_checked",
    "DOMAIN_TIE": "test_both_name_the_same_winners_in_close_elections",
}


@pytest.mark.parametrize("what", EDGES)
def test_both_accept_a_value_at_its_limit_and_refuse_one_more(tmp_path: Path, what: str) -> None:
    name, at, beyond = EDGES[what]
    assert (product_says(at(), NOW), verifier_says(tmp_path, at(), NOW)) == ("", "")
    code = LIMITS[name][-1].strip("`")
    assert (product_says(beyond(), NOW), verifier_says(tmp_path, beyond(), NOW)) == (code, code)


def test_a_block_holds_as_many_votes_as_its_election_says(tmp_path: Path) -> None:
    full, over = full_block(votes=6, allowed=6), full_block(votes=7, allowed=6)
    assert (product_says(full, NOW), verifier_says(tmp_path, full, NOW)) == ("", "")
    assert {product_says(over, NOW), verifier_says(tmp_path, over, NOW)} == {"block-too-large"}


@pytest.mark.parametrize("interval", [1, 60, 3600])
def test_both_take_the_same_gap_for_a_long_one(interval: int) -> None:
    long = LONG_GAP * interval
    floor = bits_for_zero_bits(8)
    bits = bits_for_zero_bits(12)
    for before, gap in itertools.product((0, long - 1, long, long + 1, 10 * long), repeat=2):
        chain = {"bits": floor, "block_seconds": interval}
        headers = verifier.Headers(
            SimpleNamespace(definition={"chain": chain, "created": 0}, network_id=bytes(32), nodes=[]), NOW
        )
        headers.height, headers.bits, headers.medians = MEDIAN_SPAN, bits, [0, before, before + gap]
        assert headers.next_bits() == next_bits(bits, floor, interval, gap, before), (before, gap)


def test_both_write_a_target_alike() -> None:
    for size, top, rest in itertools.product(range(1, 33), (1, 0x7F, 0x80, 0x81, 0xFF), (0, 1, 0xFF)):
        target = int.from_bytes(bytes([top, *[rest] * (size - 1)]), "big")
        assert verifier.compact(target) == target_to_bits(target), hex(target)
        assert verifier.target_of(verifier.compact(target)) == bits_to_target(target_to_bits(target))


def test_every_limit_of_the_page_is_tried() -> None:
    tried = {name for name, _, _ in EDGES.values()} | set(BEYOND_THIS_TABLE)
    assert tried == set(LIMITS)
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for test in BEYOND_THIS_TABLE.values():
        assert f"def {test}(" in source


def test_the_most_trustees(tmp_path: Path) -> None:
    """A public election has none, which is looked at after their number."""
    for count, code in (
        (limits.MAX_TRUSTEE_KEYS, "bad-genesis"),
        (limits.MAX_TRUSTEE_KEYS + 1, "bad-record"),
    ):
        data = of_definition(trustees=trustees(count))
        assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == (code, code)


def test_the_longest_line(tmp_path: Path) -> None:
    for size, code in (
        (limits.MAX_ARCHIVE_LINE, "not-canonical"),
        (limits.MAX_ARCHIVE_LINE + 1, "line-too-long"),
    ):
        data = padded(size)
        assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == (code, code)


def test_the_longest_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte would take long: the same number is made small in both."""
    from votenet.cli.votes import receipt as command

    path = tmp_path / "receipt"
    for size, code in ((100, "not-json"), (101, "line-too-long")):
        path.write_bytes(b" " * (size - 1) + b"\n")
        monkeypatch.setattr(command, "MAX_RECEIPT", 100)
        monkeypatch.setattr(verifier, "MAX_RECEIPT", 100)
        with pytest.raises(NotProven) as ours:
            check_receipt(decode_receipt(command.read_receipt(path)), NOW)
        with pytest.raises(verifier.Fault) as theirs:
            verifier.check_receipt(str(path), None, NOW)
        assert (ours.value.code, theirs.value.code) == (code, code)


def test_formats_and_versions(tmp_path: Path) -> None:
    good = definition()
    for old, new, code in (
        (b'"votenet-archive"', b'"votenet-receipt"', "wrong-format"),
        (b'"version":2}\n{"def', b'"version":1}\n{"def', "wrong-version"),
    ):
        data = good.replace(old, new, 1)
        assert data != good
        assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == (code, code)


def test_the_verifier_counts_no_unknown_method() -> None:
    tally = verifier.Tally()
    for _ in range(2):
        with pytest.raises(verifier.Fault, match="borda"):
            verifier.count(
                tally, {"candidates": [{"name": "A", "statement": ""}], "method": "borda"}, "00" * 32
            )
        tally.add(("A",))
