"""Output whose reader is slow, stopped or gone."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from votenet.cli.background_output import MAX_UNREAD_BYTES, BackgroundStream, Writer, background_output


def stream(descriptor: int, writer: Writer) -> BackgroundStream:
    return BackgroundStream(io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), "ascii"), writer)


def test_everything_reaches_a_reader_in_order() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing)
    ours = stream(writing, writer)
    got: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 65536):
            got.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(2000):
        assert ours.write(f"line {number}\n") == len(f"line {number}\n")
    ours.write("Zoë\n")  # what an ASCII terminal cannot say is no error here
    writer.close(60.0)
    os.close(writing)
    thread.join(60)
    os.close(reading)
    assert b"".join(got).decode() == "".join(f"line {number}\n" for number in range(2000)) + "Zo\\xeb\n"


def test_unread_output_is_dropped_and_a_line_says_so() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing)
    ours = stream(writing, writer)
    lines = 3 * MAX_UNREAD_BYTES // 100
    for _ in range(lines):
        ours.write("x" * 99 + "\n")  # far more than a pipe and we can hold: returns all the same
    got = b""
    while (shown := got.count(b"x" * 99)) + left_out(got) < lines:  # each is shown or counted
        assert select.select([reading], [], [], 60)[0], "nothing more comes"
        got += os.read(reading, 65536)
    assert shown + left_out(got) == lines
    assert MAX_UNREAD_BYTES // 100 <= shown < lines
    ours.write("later\n")
    assert select.select([reading], [], [], 60)[0]
    assert os.read(reading, 65536) == b"later\n"
    writer.close(60.0)
    os.close(writing)
    os.close(reading)


def left_out(output: bytes) -> int:
    return sum(int(number) for number in re.findall(rb"\.\.\. (\d+) lines were not shown[^\n]*\n", output))


def test_a_reader_that_is_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = Writer(writing)
    ours = stream(writing, writer)
    for _ in range(10):
        ours.write("x\n")
    writer.close(60.0)
    assert ours.write("x\n") == 2
    os.close(writing)


def test_a_non_blocking_terminal_gets_everything() -> None:
    own, other = pty.openpty()
    os.set_blocking(other, False)
    writer = Writer(other)
    stream(other, writer).write("x" * 20_000 + "\n")
    got = 0
    while got < 20_000:
        assert select.select([own], [], [], 60)[0]
        got += os.read(own, 65536).count(b"x")
    writer.close(60.0)
    os.close(own)
    os.close(other)


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(7)"])
def test_a_program_ends_though_its_output_is_unread(end: str) -> None:
    script = (
        "import sys\n"
        "from votenet.cli.background_output import background_output\n"
        "with background_output(0.2):\n"
        "    for _ in range(100): print('x' * 65536); print('y' * 65536, file=sys.stderr)\n"
        f"{end}\n"
    )
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writing, stderr=writing)
    try:
        assert process.wait(60) == (0 if end == "pass" else 7)
    finally:
        process.kill()
        os.close(reading)
        os.close(writing)


def test_a_file_on_a_disk_is_written_as_ever(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "from votenet.cli.background_output import background_output\n"
        "with background_output():\n"
        "    print('last words', flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", script], stdout=log, check=False)
    assert (tmp_path / "log").read_text() == "last words\n"


def test_streams_without_a_descriptor_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with background_output():
        print("here")
    assert sys.stdout is out
    assert out.getvalue() == "here\n"


def test_one_long_piece_is_whole() -> None:
    """A status of many nodes, as JSON: half of it would be none."""
    reading, writing = os.pipe()
    writer = Writer(writing)
    text = "x" * (2 * MAX_UNREAD_BYTES) + "\n"
    stream(writing, writer).write(text)
    got = 0
    while got < len(text):
        assert select.select([reading], [], [], 60)[0]
        got += len(os.read(reading, 65536))
    writer.close(60.0)
    os.close(reading)
    os.close(writing)
