"""Inputs: a file or a pipe, plain or compressed, opened once and read as often as wanted."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.input_file import READ_ERRORS, STDIN, InputFile, read_input

TEXT = b"".join(b"line %d\n" % number for number in range(60_000))
"""More than a pipe and all buffers hold."""


@pytest.fixture(params=["file", "pipe", "fifo"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    """A path that gives these bytes, as a file or as a pipe of a shell's `<(…)`."""
    ends: list[int] = []
    writers: list[threading.Thread] = []

    def write(fd: int, data: bytes) -> None:
        with open(fd, "wb") as pipe:
            pipe.write(data)

    def make(data: bytes) -> Path:
        if request.param == "file":
            (tmp_path / "input").write_bytes(data)
            return tmp_path / "input"
        if request.param == "pipe":
            reading, writing = os.pipe()
            ends.append(reading)
            path = Path(f"/dev/fd/{reading}")
            writers.append(threading.Thread(target=write, args=(writing, data)))
        else:
            path = tmp_path / "fifo"
            os.mkfifo(path)
            writers.append(threading.Thread(target=lambda: path.write_bytes(data)))
        writers[-1].start()
        return path

    yield make
    for writer in writers:
        writer.join()
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_every_byte_is_read_each_time_under_any_name(
    given: Callable[[bytes], Path], pack: Callable[[bytes], bytes]
) -> None:
    source = InputFile(given(pack(TEXT)))
    assert source.stream().readline() == b"line 0\n"
    first, second = source.stream(), source.stream()
    assert first.readline() == second.readline() == b"line 0\n"
    assert first.read() == TEXT[7:]
    assert second.read() == TEXT[7:]
    assert source.stream().read() == TEXT
    assert source.position == len(pack(TEXT))
    source.close()


def test_a_pipe_that_gives_one_byte_first_is_uncompressed_too() -> None:
    reading, writing = os.pipe()
    packed = gzip.compress(b"text")
    os.write(writing, packed[:1])
    source = InputFile(Path(f"/dev/fd/{reading}"), again=False)
    rest = threading.Timer(0.05, lambda: (os.write(writing, packed[1:]), os.close(writing)))
    rest.start()
    assert source.stream().read() == b"text"
    rest.join()
    os.close(reading)


def test_a_small_file_is_read_whole(given: Callable[[bytes], Path]) -> None:
    assert read_input(given(TEXT), len(TEXT), code="bad-x") == TEXT


def test_a_large_one_is_refused(given: Callable[[bytes], Path]) -> None:
    with pytest.raises(ConfigError, match="longer than") as refused:
        read_input(given(TEXT[:4000]), 3999, code="bad-x", next_step="Do.")
    assert (refused.value.code, refused.value.next_step) == ("bad-x", "Do.")


def test_endless_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than 1,000 bytes"):
        read_input(Path("/dev/zero"), 1000, code="bad-x")


def test_a_process_that_is_our_child_reads_the_same(given: Callable[[bytes], Path]) -> None:
    source = InputFile(given(TEXT))
    while source.stream().read() != TEXT:
        pass
    command = [sys.executable, "-c", "import sys; print(len(open(sys.argv[1], 'rb').read()))"]
    done = subprocess.run([*command, source.elsewhere], capture_output=True, check=True)
    assert int(done.stdout) == len(TEXT)
    source.close()


def test_standard_input_is_a_dash_and_can_be_taken_once() -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom votenet.storage.input_file import InputFile, STDIN\n"
        "source = InputFile(STDIN)\nassert source.name == 'standard input'\n"
        "print(len(source.stream().read()), len(source.stream().read()), source.elsewhere)\n"
        "try: InputFile(STDIN)\nexcept Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=TEXT, capture_output=True, check=False)
    first, second = done.stdout.decode().splitlines()
    assert first.startswith(f"{len(TEXT)} {len(TEXT)} /proc/"), done.stderr
    assert "another file of this command was read from there" in second
    assert Path("-") == STDIN


@pytest.mark.parametrize("name", ["", "none", "none/none", "/dev/fd/999"])
def test_a_file_that_cannot_be_opened_is_named_with_the_cause(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*(folder|No such file)") as refused:
        InputFile(tmp_path / name, code="bad-x")
    assert refused.value.code == "bad-x"


@pytest.mark.parametrize(
    ("start", "kind"), [(b"\x28\xb5\x2f\xfd....", "zstd"), (b"BZh9....", "bzip2"), (b"PK\x03\x04....", "zip")]
)
def test_an_unknown_compression_is_named(tmp_path: Path, start: bytes, kind: str) -> None:
    (tmp_path / "a.csv").write_bytes(start)
    with pytest.raises(ConfigError, match=kind):
        InputFile(tmp_path / "a.csv").stream()


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_damaged_files_raise_the_documented_error(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    whole = pack(TEXT)
    for damaged in (
        whole[: len(whole) // 2],
        whole[:40] + bytes(40) + whole[80:],
        b"plain text\n",
        b"\x1f\x8b",
    ):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(READ_ERRORS):
            InputFile(path).stream().read()
        with pytest.raises(ConfigError, match="cannot read"):
            read_input(path, 10**9, code="bad-x")


def test_a_file_that_is_open_already_is_read_from_its_start(tmp_path: Path) -> None:
    """`votenet audit - < file` begins where the shell's descriptor stands; a file by its name at 0."""
    (tmp_path / "a").write_bytes(TEXT)
    assert isinstance(InputFile(tmp_path / "a").stream(), io.BufferedReader)
    assert InputFile(tmp_path / "a").size == len(TEXT)
