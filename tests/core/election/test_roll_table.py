"""The columns of a roll: the same answers as dicts give, in any order of the rows."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.election.roll_table import NOT_THERE, Column, Index, KeyColumn, RollTable

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
rows_of = st.dictionaries(ids, st.integers(1, 3), max_size=40)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def leaves(weights: dict[str, int], *, secret: bool = True) -> list[tuple[str, str, int, str]]:
    return [
        (voter, digest("k" + voter), weight, digest("c" + voter) if secret else "")
        for voter, weight in weights.items()
    ]


def table_of(rows: list[tuple[str, str, int, str]], chunk: int = 7) -> RollTable:
    return RollTable(rows[at : at + chunk] for at in range(0, len(rows), chunk))


@given(rows_of, st.booleans(), st.integers(1, 9))
def test_rows_come_back_in_the_order_of_the_ids_bytes(
    weights: dict[str, int], secret: bool, chunk: int
) -> None:
    rows = leaves(weights, secret=secret)
    table = table_of(rows, chunk)
    assert list(table.leaves()) == sorted(rows, key=lambda row: row[0].encode())
    assert (len(table), table.weight) == (len(rows), sum(weights.values()))
    assert table.weighted == any(weight != 1 for weight in weights.values())
    assert table.has_credentials == (secret and bool(rows))


@given(rows_of, ids)
def test_columns_answer_as_dicts_do(weights: dict[str, int], other: str) -> None:
    rows = leaves(weights)
    table = table_of(rows)
    keys, weighs = KeyColumn(table, table.key_of, table.by_key), Column(table, table.weight_of)
    secrets = KeyColumn(table, table.credential_of, table.by_credential)
    assert keys == {row[0]: row[1] for row in rows}
    assert weighs == weights
    assert keys.owners == {row[1]: row[0] for row in rows}
    assert secrets.owners == {row[3]: row[0] for row in rows}
    assert list(keys.values()) == [keys[voter] for voter in keys]
    assert (other in keys, keys.get(other)) == (other in weights, dict(keys).get(other))


def test_what_no_row_has_is_not_found() -> None:
    table = table_of(leaves({"ann": 1, "bo": 2}))
    keys = KeyColumn(table, table.key_of, table.by_key)
    for voter in ("", "an", "annb", "ANN", "\ud800"):
        assert voter not in keys
        with pytest.raises(KeyError):
            keys[voter]
    assert 7 not in keys
    for key in ("", "zz", digest("kann").upper(), digest("kann")[:62], digest("kcy"), "é"):
        assert key not in keys.owners


def test_a_table_without_rows_has_nothing() -> None:
    table = RollTable([])
    assert (len(table), table.weight, table.by_id().find(b"a")) == (0, 0, NOT_THERE)
    assert dict(KeyColumn(table, table.credential_of, table.by_credential)) == {}


def test_a_cell_that_is_there_twice_is_named_and_its_first_row_found() -> None:
    cells = [b"a", b"b", b"c", b"b", b"a"]
    index = Index(cells.__getitem__, len(cells))
    assert index.twin == 3
    assert [index.find(cell) for cell in (b"a", b"b", b"c", b"d")] == [0, 1, 2, NOT_THERE]
    assert Index(cells.__getitem__, 3).twin is None


def test_a_million_rows_take_eighty_megabytes() -> None:
    count = 16_000
    rows = [(f"member-{n:016}", digest(str(n)), 1, "") for n in range(count)]
    tracemalloc.start()
    try:
        table = table_of(rows, 1000)
        table.by_id(), table.by_key()
        assert tracemalloc.get_traced_memory()[0] < 90 * count
    finally:
        tracemalloc.stop()


def test_a_column_is_the_same_in_another_process_with_other_hashes() -> None:
    table = table_of(leaves({f"voter-{n}": 1 for n in range(100)}))
    keys = KeyColumn(table, table.key_of, table.by_key)
    assert "voter-1" in keys
    kept = pickle.dumps((keys, keys.owners))
    code = (
        "import pickle, sys; keys, owners = pickle.load(sys.stdin.buffer)\n"
        "print(sum(owners[keys[voter]] == voter for voter in keys))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=kept,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
            timeout=60,
        )
        assert done.stdout == b"100\n"
