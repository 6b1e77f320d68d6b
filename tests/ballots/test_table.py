"""Encodings, delimiters, rows and what is no table."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.ballots.table import MAX_CELL, Table, TableRow, _lines, read_table, trimmed
from votenet.errors import ConfigError


def test_rows_know_their_lines_and_surplus_is_cut() -> None:
    table = read_table(b'sep=;\r\na; b ;\r\n"x\ny";\xc2\xa0z;;\r\n;;\r\n\r\nshort\r\n')
    rows = (TableRow(2, ("a", "b", "")), TableRow(3, ("x\ny", "z", "", "")), TableRow(7, ("short",)))
    assert table == Table("utf-8", ";", rows, 2)
    assert table.width == 2


@given(st.text("a,\r\n\x0b\x1c\x85\u2028", max_size=30))
def test_lines_end_where_those_of_a_file_do(text: str) -> None:
    assert list(_lines(text)) == list(io.StringIO(text, newline=""))


def test_a_last_line_that_may_have_been_cut_is_refused() -> None:
    for text, line in (("a,b,c\n1,2", 2), ("a,b,c\n1,2,3\n1", 3), ("a,b,c\n1,2,3\n\n1,2", 4)):
        with pytest.raises(ConfigError, match=f"^line {line}, column .: the file ends within") as refused:
            read_table(text.encode())
        assert "end its last line with a newline" in str(refused.value.next_step)
        for end in ("\n", "\r\n", "\r"):
            assert len(read_table(f"{text}{end}".encode()).rows) > 1
    for whole in ("a,b\n1,2", "a,b,\n1,2", "a,b\n1,", "a\n1", "a,b\n1\n ", "a,b\n1\n,"):
        assert len(read_table(whole.encode()).rows) == 2


def test_names_are_trimmed_of_every_space_and_composed() -> None:
    assert trimmed("\u3000\t\u00a0Jose\u0301 Li\u2009\u2800") == "Jos\u00e9 Li"


def test_what_is_no_table_is_refused_with_its_place() -> None:
    long = b"a\n" + b"x" * (MAX_CELL + 1)
    for data, options, why in (
        (b"", {}, "the file is empty"),
        (b"\xef\xbb\xbf \n,,\n", {}, "the file is empty"),
        (b"a,b;c\n1,2;3\n", {}, "line 1: the delimiter may be comma and semicolon"),
        (b"a,b\n1,2\n1,2,3\n", {}, "line 3, column 3: '3' stands in no column"),
        (b'a,b\n1,"2\n', {}, "line 2: not CSV"),
        (b'a,b\n1,"2"x\n', {}, "line 2: not CSV"),
        (b"a,b\n1,\x072\n", {}, "line 2, column 2: a control character"),
        (b"a,b\n1,\x00\n", {}, "line 2, column 2: a byte of value 0"),
        (long, {}, "line 2, column 1: a cell of 65,537 characters"),
        (b"sep=|\na|b\n", {}, "line 1, column 5: the delimiter '|'"),
        (b"sep=;\na;b\n", {"delimiter": ","}, "line 1, column 5: the delimiter ';'"),
        (b"\xef\xbb\xbfa\n", {"encoding": "latin-1"}, "begins with the mark of UTF-8"),
        (b"a\n", {"encoding": "hex"}, "the encoding hex is not known"),
        (b"a\n", {"encoding": "no such"}, "the encoding no such is not known"),
        (b"a\nb\xff\n", {}, "line 2, column 1: these bytes are not UTF-8: ff"),
        (b"a\xc3\xa9\n", {"encoding": "ascii"}, "line 1, column 1: these bytes are not ASCII: c3 a9"),
    ):
        with pytest.raises(ConfigError) as refused:
            read_table(data, **options)
        assert refused.value.code == "bad-ballot-file"
        assert why in refused.value.message
        assert refused.value.next_step


def test_what_a_person_says_is_believed() -> None:
    table = read_table("é;a,b\n1;2,3\n".encode("latin-1"), "latin-1", ";")
    assert [row.cells for row in table.rows] == [("é", "a,b"), ("1", "2,3")]
    assert read_table("a\n1".encode("utf-16-le"), "utf-16-le").encoding == "utf-16-le"
