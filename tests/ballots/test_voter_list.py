"""Lists of members: every member is read once, or the file is refused whole with its line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.elections import key_of
from votenet.ballots.voter_list import (
    MAX_MEMBER_NAME,
    Member,
    VoterColumns,
    read_member_list,
    read_voter_list,
)
from votenet.core.election.roll import Voter
from votenet.core.text import folded, twins
from votenet.errors import ConfigError

A, B, C = (key_of(name).public_hex for name in ("ann", "bo", "cy"))
KEYS, NO_KEYS = VoterColumns(), VoterColumns(keys=False)
ANN_AND_BO = [("ann", A, 1), ("bo", B, 1)]

TAKEN: list[tuple[str, VoterColumns, list[tuple[str, str, int]]]] = [
    (f"id,public_key\nann,{A}\nbo,{B.upper()}\n", KEYS, ANN_AND_BO),
    (f"\ufeffVoter_ID;Key\r\nann;{A}\r\nbo;{B}\r\n", KEYS, ANN_AND_BO),
    (f"id\tname\tpublic key\nann\tA, B\t{A}\n\n\t\t\nbo\t\t{B}\t\t\n", KEYS, ANN_AND_BO),
    (f"ann,{A}\nbo,{B}", KEYS, ANN_AND_BO),
    (f"Ann A,ann,{A}\nBo,bo,{B}", VoterColumns("2", "3"), ANN_AND_BO),
    (f"kind,member,k,w\nx,ann,{A},9\nx,bo,{B},1\n", VoterColumns("member", "k"), ANN_AND_BO),
    (f"id,key,Weight\nann,{A},3\nbo,{B},1000000\n", KEYS, [("ann", A, 3), ("bo", B, 1_000_000)]),
    (f"ann,{A},3\nbo,{B},1\n", VoterColumns(weight="3"), [("ann", A, 3), ("bo", B, 1)]),
    ("id\nann\nbo\n", NO_KEYS, [("ann", "", 1), ("bo", "", 1)]),
    ("ann\nbo\n", NO_KEYS._replace(header=False), [("ann", "", 1), ("bo", "", 1)]),
    ("who\nann\n", NO_KEYS._replace(header=True), [("ann", "", 1)]),
    ('id,note\nann,"two\nlines"\n0017,x\n', NO_KEYS, [("ann", "", 1), ("0017", "", 1)]),
    ("id;note,x\nann;", NO_KEYS._replace(delimiter=";"), [("ann", "", 1)]),
    ("id\n \u00a0ann\u3000\nZoe\u0308\n", NO_KEYS, [("ann", "", 1), ("Zoë", "", 1)]),
]
REFUSED: list[tuple[bytes | str, VoterColumns, str, str]] = [
    ("", KEYS, "bad-roll", "empty"),
    ("ann\nbo\n", NO_KEYS, "no-clear-header", "line 1 of f may be a heading or a voter: ann"),
    ("ann,member\nbo,member\n", NO_KEYS, "no-clear-header", "line 1"),
    (f"ann,{A[:-1]}\nbo,{B}\n", KEYS, "no-clear-header", "line 1"),
    (f"ann,{A[:-1]}\nbo,{B}\n", VoterColumns(key="2"), "no-clear-header", "line 1"),
    ("id\nann\n", KEYS, "no-such-column", "no column with keys"),
    (f"id,key\nann,{A}\n", VoterColumns("no"), "no-such-column", "'no'"),
    (f"ann,{A}\n", VoterColumns("3"), "no-such-column", "'3'"),
    ("id,id\nann,bo\n", NO_KEYS, "no-such-column", "2 columns"),
    (f"id,key\nann,{A}\nbo,\n", KEYS, "bad-roll", "line 3 of f: the key is missing"),
    (f"id,key\nann,{A}\nbo,ab\n", KEYS, "bad-roll", "line 3 of f: 'ab' is no Ed25519 public key"),
    (f"id,key\nbo,{'00' * 32}\n", KEYS, "bad-roll", "line 2 of f"),
    (f"id,key\nbo,{1:064x}\n", KEYS, "bad-roll", "line 2 of f"),
    (f"id,key\n,{A}\n", KEYS, "bad-roll", "line 2 of f: a voter id has 1 to"),
    ("id\na\u202eb\n", NO_KEYS, "bad-roll", "U+202E"),
    ("id\n" + "a" * 129, NO_KEYS, "bad-roll", "line 2 of f"),
    ("id\nann\nann\n", NO_KEYS, "bad-roll", "'ann' (line 2) and 'ann' (line 3)"),
    ('id,x\nAnn B,"\n"\nann\u00a0b,\n', NO_KEYS, "bad-roll", "'Ann B' (line 2) and 'ann\\xa0b' (line 4)"),
    ("id\n0017\n\uff10\uff10\uff11\uff17\n", NO_KEYS, "bad-roll", "(line 2) and "),
    ("id\nZoë\nZoe\u0308\n", NO_KEYS, "bad-roll", "people take for one"),
    (f"id,key\nann,{A}\nbo,{A}\n", KEYS, "bad-roll", "one key for two voters, who could vote for each other"),
    *((f"id,weight\nann,{w}\n", NO_KEYS, "bad-roll", "no weight") for w in ("0", "", "1.5", "-1", "1000001")),
    (f"id,weight\nann,{2**63}\n", NO_KEYS, "bad-roll", "line 2 of f"),
    ('id\nann\n"bo\n', NO_KEYS, "bad-roll", "f: line 3: not CSV"),
    ("id\nann\nbo,x\n", NO_KEYS, "bad-roll", "f: line 3, column 2: 'x' stands in no column"),
    (b"id\nann\nZo\xeb\n", NO_KEYS, "bad-roll", "f: line 3, column 1: these bytes are not UTF-8"),
    (b"\xff\xfei\x00d\x00\x00", NO_KEYS, "bad-roll", "these bytes are not UTF-16"),
    ("a;b,c\nann\n", NO_KEYS, "bad-roll", "the delimiter may be comma and semicolon"),
    ("id\nann\0\n", NO_KEYS, "bad-roll", "f: line 2, column 1: a byte of value 0"),
]


def test_lists_that_are_taken() -> None:
    for text, columns, voters in TAKEN:
        for encoding in ("utf-8", "utf-16"):
            data = text.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding)
            assert read_voter_list(data, "f", columns) == [Voter(*one) for one in voters], text


def test_lists_that_are_refused() -> None:
    for content, columns, code, says in REFUSED:
        data = content.encode() if isinstance(content, str) else content
        with pytest.raises(ConfigError) as refused:
            read_voter_list(data, "f", columns)
        assert refused.value.code == code, (content, refused.value)
        assert says in refused.value.message, content
        assert refused.value.next_step


IDS = st.lists(
    st.text("abcZë0017 ,;\"'-", min_size=1, max_size=8).map(str.strip).filter(bool),
    min_size=1,
    max_size=9,
    unique_by=folded,
)


@given(IDS, st.sampled_from(",;\t"), st.sampled_from(("\n", "\r\n", "\r")), st.booleans(), st.booleans())
def test_every_member_is_read_once_in_every_dialect(
    ids: list[str], delimiter: str, end: str, header: bool, wide: bool
) -> None:
    if not header:  # only a header says which of several characters divides
        ids = [one.translate(dict.fromkeys(map(ord, ",;"), "_")) for one in ids]
        assume(twins(ids) is None)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    rows = [("nr", "id", "more")] if header else []
    writer.writerows(rows + [(str(number), one, "") for number, one in enumerate(ids)])
    data = text.getvalue().encode("utf-16" if wide else "utf-8")
    columns = VoterColumns("id" if header else "2", keys=False, header=None if header else False)
    assert [voter.voter_id for voter in read_voter_list(data, "f", columns)] == ids


def test_members_with_names_weights_and_a_key_where_they_have_one() -> None:
    text = f"Name;ID;public_key;weight\nAnn Lee;0017;;2\n<b>Bo</b>;bo;{B};1\n=HYPERLINK(1);x;;1\n"
    assert read_member_list(text.encode(), "f") == [
        Member("0017", "Ann Lee", "", 2),
        Member("bo", "<b>Bo</b>", B, 1),
        Member("x", "=HYPERLINK(1)", "", 1),
    ]
    assert read_member_list(b"id\nann\n", "f") == [Member("ann")]


def test_lists_of_members_that_are_refused_whole() -> None:
    for text, code, says in (
        ("ann,Ann Lee\nbo,Bo\n", "no-such-column", "the first line of f names no column id"),
        ("id,name\n", "bad-roll", "f has no members"),
        ("id,name\nann,Ann\nbo,\n", "bad-roll", "line 3 of f: the name of 'bo' is missing"),
        ("id,name\nann,Ann\nANN,Bo\n", "bad-roll", "'ann' (line 2) and 'ANN' (line 3)"),
        (f"id,name,key\nann,Ann,{A}\nbo,Bo,{A}\n", "bad-roll", "one key for two voters"),
        ("id,name,key\nann,Ann,77\n", "bad-roll", "no Ed25519 public key"),
        ("id,name\nann,A\u202enn\n", "bad-roll", "a character that cannot be seen"),
        (f"id,name\nann,{'n' * (MAX_MEMBER_NAME + 1)}\n", "bad-roll", "more than 200 characters"),
        ("id,name,full name\nann,A,B\n", "no-such-column", "2 columns for 'name'"),
    ):
        with pytest.raises(ConfigError) as refused:
            read_member_list(text.encode(), "f")
        assert (refused.value.code, says in refused.value.message) == (code, True), refused.value
        assert "--make-keys" not in str(refused.value.next_step)
