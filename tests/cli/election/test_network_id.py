"""The network id as people pass it on: both ends have the same, by ear and by eye."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import pytest

from support.elections import make_election
from support.qr_reader import read_qr_codes
from votenet.cli import ui
from votenet.cli.election.network_id import code_lines, code_svg, id_fields, show_code
from votenet.text import spoken

ELECTION = make_election()


def test_the_id_is_told_in_hexadecimal_and_in_eight_numbers() -> None:
    (_, shown), (_, aloud) = id_fields(ELECTION)
    assert shown == ELECTION.network_hex
    assert aloud == spoken(shown)
    assert [len(number) for number in aloud.split()] == [5] * 8
    assert spoken("0" * 63 + "1") == "00000 " * 7 + "00001"
    assert spoken(make_election(title="x").network_hex) != aloud


def test_the_code_on_a_terminal_is_the_id(tmp_path: Path) -> None:
    rows = []
    for line in code_lines(ELECTION.network_hex):
        rows += [[one in "▀█" for one in line], [one in "▄█" for one in line]]
    assert len({len(row) for row in rows}) == 1
    assert not any(rows[0] + rows[1] + rows[-1]), "light around it"
    assert read_qr_codes(tmp_path, [png(rows)]) == f"{ELECTION.network_hex}\n"


def png(rows: list[list[bool]], scale: int = 8) -> bytes:
    """A grey picture of the modules, dark ones black."""
    lines = [bytes(0 if dark else 255 for dark in row for _ in range(scale)) for row in rows]
    data = zlib.compress(b"".join(b"\0" + line for line in lines for _ in range(scale)))
    head = struct.pack(">IIBBBBB", len(rows[0]) * scale, len(rows) * scale, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_nothing_is_drawn_where_no_person_looks(capsys: pytest.CaptureFixture[str]) -> None:
    show_code(ELECTION)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_the_code_is_drawn_below_a_line_that_says_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(ui, "wants_colour", lambda: True)
    show_code(ELECTION)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "The network id as a QR code, for those who compare it with a camera:"
    assert len(lines) == len(list(code_lines(ELECTION.network_hex)))


def test_the_picture_has_as_many_modules_as_the_code_on_the_terminal() -> None:
    svg = code_svg(ELECTION).decode()
    side = 8 * (len(next(code_lines(ELECTION.network_hex))) + 4)
    assert f'width="{side}" height="{side}"' in svg
    assert "<script" not in svg
