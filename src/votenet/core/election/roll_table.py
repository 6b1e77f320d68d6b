"""The rows of a roll in columns of bytes, and mappings that read them: a million voters take 80 MB.

As dicts of strings they would take 270. A look-up costs a microsecond more than in a dict, beside the 40 of a
signature. Nothing changes once a table is made.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Final, TypeVar

NOT_THERE: Final = -1
_CELL: Final = 32
"""Bytes of a key or a credential."""

Leaf = tuple[str, str, int, str]
"""A voter's id, key, weight and credential; both in hexadecimal, the credential empty for public ballots."""
Value = TypeVar("Value")


class RollTable:
    """Voters in ascending order of the UTF-8 bytes of their ids; a voter's number is the row, from 0 on."""

    def __init__(self, chunks: Iterable[Sequence[Leaf]]) -> None:
        """The rows of all chunks, well-formed, in any order; either all or none have credentials."""
        ids, ends, keys, credentials = bytearray(), array("Q", [0]), bytearray(), bytearray()
        weights: array[int] | None = None
        in_order, last = True, b""
        for rows in chunks:
            names = [row[0].encode() for row in rows]
            ids += b"".join(names)
            ends.extend(list(accumulate(map(len, names), initial=ends[-1]))[1:])
            keys += bytes.fromhex("".join([row[1] for row in rows]))
            credentials += bytes.fromhex("".join([row[3] for row in rows]))
            each = [row[2] for row in rows]
            if weights is None and each.count(1) != len(each):
                weights = array("Q", [1]) * (len(ends) - 1 - len(rows))
            if weights is not None:
                weights.extend(each)
            in_order = in_order and all(before <= after for before, after in pairwise([last, *names]))
            last = names[-1] if names else last
        self._ids, self._ends = bytes(ids), ends
        self._keys, self._credentials = bytes(keys), bytes(credentials)
        self._weights = weights
        """None where all weigh 1."""
        if not in_order:
            self._sort()

    def __getstate__(self) -> dict[str, object]:
        """Without the indexes: Python's hashes are others in each process."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, Index)}

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def has_credentials(self) -> bool:
        return bool(self._credentials)

    @property
    def weighted(self) -> bool:
        """Whether any voter has another weight than 1."""
        return self._weights is not None

    @property
    def weight(self) -> int:
        """Of all voters."""
        return len(self) if self._weights is None else sum(self._weights)

    def leaves(self) -> Iterator[Leaf]:
        return map(self.leaf, range(len(self)))

    def leaf(self, row: int) -> Leaf:
        return self.id_of(row), self.key_of(row), self.weight_of(row), self.credential_of(row)

    def id_of(self, row: int) -> str:
        return self.name(row).decode()

    def name(self, row: int) -> bytes:
        """The id in UTF-8."""
        return self._ids[self._ends[row] : self._ends[row + 1]]

    def key_of(self, row: int) -> str:
        return self.key(row).hex()

    def key(self, row: int) -> bytes:
        return self._keys[_CELL * row : _CELL * row + _CELL]

    def weight_of(self, row: int) -> int:
        return 1 if self._weights is None else self._weights[row]

    def credential_of(self, row: int) -> str:
        return self.credential(row).hex()

    def credential(self, row: int) -> bytes:
        return self._credentials[_CELL * row : _CELL * row + _CELL]

    def _sort(self) -> None:
        names = [self.name(row) for row in range(len(self))]
        order = sorted(range(len(self)), key=names.__getitem__)
        self._ids = b"".join([names[row] for row in order])
        self._ends = array("Q", accumulate([len(names[row]) for row in order], initial=0))
        self._keys = b"".join(map(self.key, order))
        self._credentials = b"".join(map(self.credential, order))
        if self._weights is not None:
            self._weights = array("Q", [self._weights[row] for row in order])

    # -- look-up -------------------------------------------------------------------------------

    def by_id(self) -> Index:
        return self._by_id

    def by_key(self) -> Index:
        return self._by_key

    def by_credential(self) -> Index:
        return self._by_credential

    @cached_property
    def _by_id(self) -> Index:
        return Index(self.name, len(self))

    @cached_property
    def _by_key(self) -> Index:
        return Index(self.key, len(self))

    @cached_property
    def _by_credential(self) -> Index:
        return Index(self.credential, len(self) if self.has_credentials else 0)


class Index:
    """Finds the row that has a cell, in a table of row numbers with open addressing."""

    def __init__(self, cell: Callable[[int], bytes], rows: int) -> None:
        self._cell, self._rows = cell, rows
        self._mask = (1 << max(3, (2 * rows).bit_length())) - 1  # at most half of the places are taken
        self._places = places = array("I", bytes(4 * (self._mask + 1)))
        """The number of a row, and one; 0 where no row is."""
        self.twin: int | None = None
        """The first row whose cell an earlier one has, too."""
        mask = self._mask
        for row in range(rows):
            value = cell(row)
            place = hash(value) & mask
            while taken := places[place]:
                if self.twin is None and cell(taken - 1) == value:
                    self.twin = row
                place = (place + 1) & mask
            places[place] = row + 1

    def __reduce__(self) -> tuple[object, ...]:
        return Index, (self._cell, self._rows)

    def find(self, value: bytes) -> int:
        """The first row with this cell, or NOT_THERE."""
        place = hash(value) & self._mask
        while taken := self._places[place]:
            if self._cell(taken - 1) == value:
                return taken - 1
            place = (place + 1) & self._mask
        return NOT_THERE


class Column(Mapping[str, Value]):
    """What voters have in one column, by voter id, in the order of the rows."""

    def __init__(self, table: RollTable, value: Callable[[int], Value]) -> None:
        self._table, self._value = table, value

    def __getitem__(self, voter_id: str) -> Value:
        row = self._row(voter_id)
        if row == NOT_THERE:
            raise KeyError(voter_id)
        return self._value(row)

    def __contains__(self, voter_id: object) -> bool:
        return isinstance(voter_id, str) and self._row(voter_id) != NOT_THERE

    def __iter__(self) -> Iterator[str]:
        return map(self._table.id_of, range(len(self._table)))

    def __len__(self) -> int:
        return len(self._table)

    def values(self) -> ValuesView[Value]:
        return _Values(self)

    def in_order(self) -> Iterator[Value]:
        """The values, without a look-up for each."""
        return map(self._value, range(len(self._table)))

    def _row(self, voter_id: str) -> int:
        return self._table.by_id().find(voter_id.encode(errors="surrogatepass"))


class _Values(ValuesView[Value]):
    def __init__(self, column: Column[Value]) -> None:
        super().__init__(column)
        self._column = column

    def __iter__(self) -> Iterator[Value]:
        return self._column.in_order()


class KeyColumn(Column[str]):
    """A column whose values are 32 bytes in hexadecimal, each of one voter: keys, or credentials."""

    def __init__(self, table: RollTable, value: Callable[[int], str], index: Callable[[], Index]) -> None:
        super().__init__(table, value)
        self._index = index

    @property
    def owners(self) -> Mapping[str, str]:
        """The voter ids by their values."""
        return _Owners(self._table, self, self._index())


class _Owners(Mapping[str, str]):
    def __init__(self, table: RollTable, column: Column[str], index: Index) -> None:
        self._table, self._column, self._index = table, column, index

    def __getitem__(self, value: str) -> str:
        try:
            cell = bytes.fromhex(value)
        except ValueError:
            raise KeyError(value) from None
        row = self._index.find(cell) if cell.hex() == value else NOT_THERE
        if row == NOT_THERE:
            raise KeyError(value)
        return self._table.id_of(row)

    def __iter__(self) -> Iterator[str]:
        return self._column.in_order()

    def __len__(self) -> int:
        return len(self._table)
