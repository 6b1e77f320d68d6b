"""Reading ballots: columns, broken lines, compressed files, the shipped record."""

from __future__ import annotations

import gzip
import lzma
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.cli.ballots import BadLine, Ballot, BallotColumns, BallotFile, distinct_choices
from votenet.errors import ConfigError

SHIPPED = Path("minneapolis-2013")


def _read(path: Path, columns: BallotColumns) -> list[Ballot | BadLine]:
    return list(BallotFile(path).ballots(columns))


def test_columns_make_a_ballot_and_repeated_ranks_count_once(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("id,first,second,third\nv1,A,B,A\nv2,,C,\n")
    rows = _read(file, BallotColumns(("first", "second", "third"), voter="id"))
    assert rows == [Ballot(1, 2, "v1", ("A", "B")), Ballot(2, 3, "v2", ("C",))]


def test_without_a_voter_column_the_number_is_the_voter(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("choice\nA\n\nB\n")
    rows = _read(file, BallotColumns(("choice",), prefix="x-"))
    assert [(row.voter_id, row.line) for row in rows if isinstance(row, Ballot)] == [
        ("x-000001", 2),
        ("x-000002", 4),
    ]


def test_a_broken_line_spoils_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_bytes(b'v,c\n1,A\n2,"B\n3\n4,\xff\n5,' + b"x" * 70_000 + b"\n,A\n6,\n7,C\n")
    rows = _read(file, BallotColumns(("c",), voter="v"))
    assert [row.voter_id for row in rows if isinstance(row, Ballot)] == ["1", "7"]
    assert [row.line for row in rows if isinstance(row, BadLine)] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files(tmp_path: Path, suffix: str, pack: object) -> None:
    file = tmp_path / f"b.csv{suffix}"
    file.write_bytes(pack(b"c\nA\n"))  # type: ignore[operator]
    assert _read(file, BallotColumns(("c",))) == [Ballot(1, 2, "ballot-000001", ("A",))]


def test_the_shipped_record_is_whole() -> None:
    ballots = BallotFile(SHIPPED)
    assert ballots.header == ["rank1", "Rank2", "rank3"]
    rows = list(ballots.ballots(BallotColumns(("rank1",), prefix="mpls-")))
    assert len(rows) == 80_101
    assert all(isinstance(row, Ballot) for row in rows)
    assert len(distinct_choices(SHIPPED, "rank1")) == 38


def test_blank_values_are_no_choice(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("a,b\nundervote,X\nundervote,undervote\n")
    rows = _read(file, BallotColumns(("a", "b"), blanks=frozenset({"", "undervote"})))
    assert rows == [Ballot(1, 2, "ballot-000001", ("X",)), BadLine(3, "no choice on this ballot")]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "bad-ballot-file"), (b"\xff\xfe\n", "bad-ballot-file"), (b'"a\n', "bad-ballot-file")],
)
def test_a_file_without_a_header_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "b.csv"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        BallotFile(file)
    assert refused.value.code == code


def test_damaged_compressed_files_are_refused(tmp_path: Path) -> None:
    for suffix in (".gz", ".xz"):
        file = tmp_path / f"b{suffix}"
        file.write_bytes(b"not compressed at all")
        with pytest.raises(ConfigError) as refused:
            BallotFile(file)
        assert refused.value.code == "bad-ballot-file"


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_damage_behind_the_header_is_refused_too(tmp_path: Path, suffix: str) -> None:
    """Found by fuzzing: a cut or overwritten file was read up to there, then ended in a trace."""
    text = b"c\n" + random.Random(1).randbytes(30_000).hex(" ").replace(" ", "\n").encode()
    whole = gzip.compress(text) if suffix == ".gz" else lzma.compress(text)
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + bytes(100) + whole[middle + 100 :]):
        file = tmp_path / f"b{suffix}"
        file.write_bytes(damaged)
        with pytest.raises(ConfigError) as refused:
            _read(file, BallotColumns(("c",)))
        assert refused.value.code == "bad-ballot-file"


def test_an_unknown_column_lists_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("one,two\n")
    with pytest.raises(ConfigError) as refused:
        BallotFile(file).check(BallotColumns(("three",)))
    assert refused.value.code == "no-such-column"
    assert "one, two" in refused.value.next_step


@given(lines=st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_give_ballots_or_bad_lines(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(b"v,c\n" + b"\n".join(lines) + b"\n")
    rows = _read(file, BallotColumns(("c",), voter="v"))
    assert len(rows) == sum(1 for line in file.read_bytes().split(b"\n")[1:] if line.strip())
