"""Environment files: written so that systemd and docker read the same, read by systemd's rules."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import ConfigError
from votenet.storage.env_file import MAX_ENV_FILE, read_env_file, unquoted, write_env_file

PLAIN = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\"'\\"), max_size=40)


@given(value=PLAIN)
def test_what_is_written_is_read_again_also_by_a_reader_without_quotes(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    path = tmp_path_factory.mktemp("env") / "node.env"
    if value != value.strip():
        with pytest.raises(ConfigError):
            write_env_file(path, {"VOTENET_NODE_NAME": value})
        assert not path.exists()
        return
    values = {"VOTENET_NODE_NAME": value, "VOTENET_NODE_PORT": "3000"}
    write_env_file(path, values)
    assert read_env_file(path) == values
    as_docker = dict(line.split("=", 1) for line in path.read_text("utf-8").split("\n") if line)
    assert as_docker == values
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("value", ['a"b', "it's", "a\\b", "a\nb", " a", "a ", "a\x00b", "\ta", "a\udcff"])
def test_what_systemd_and_docker_read_differently_is_not_written(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        write_env_file(tmp_path / "node.env", {"VOTENET_NODE_DATA_DIR": value})
    assert refused.value.code == "bad-value"
    assert not (tmp_path / "node.env").exists()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain", "plain"),
        ("  two words  ", "two words"),
        ('"two  words "', "two  words "),
        ("'$HOME \\ \"x\"'", '$HOME \\ "x"'),
        ('"a\\"b\\\\c\\$d\\`e"', 'a"b\\c$d`e'),
        ('"a\\nb"', "a\\nb"),
        ("a\\ b\\c", "a bc"),
        ("", ""),
        ('""', ""),
        ("x#y;z", "x#y;z"),
        ("a\\ ", "a "),
    ],
)
def test_quotes_and_backslashes_are_those_of_systemd(written: str, read: str) -> None:
    assert unquoted(written) == read


def test_a_file_that_people_changed(tmp_path: Path) -> None:
    path = tmp_path / "node.env"
    path.write_bytes(b'# mine\r\n\n ; and this\nA=1\n B = "two words"\nC=one\\\n two\nA=3\n')
    assert read_env_file(path) == {"A": "3", "B": "two words", "C": "one two"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"A=1\nnonsense\n", "line 2"),
        (b"1A=1\n", "line 1"),
        (b"export A=1\n", "line 1"),
        (b'A="open\n', "a quote is not closed"),
        (b"A=\xff\n", "not text in UTF-8"),
        (b"A=" + b"x" * MAX_ENV_FILE, "longer than"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "node.env"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_env_file(path)
    assert refused.value.code == "bad-env-file"
    assert said in refused.value.message
