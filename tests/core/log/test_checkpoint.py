"""Checkpoints: the example of C2SP, and text that is none."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.log.checkpoint import MAX_LOG_SIZE, Checkpoint, parse_checkpoint, parse_size
from votenet.errors import NotProven

# The example of tlog-checkpoint.
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
TEXT = f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"


def test_the_example_of_the_specification() -> None:
    checkpoint = parse_checkpoint(TEXT)
    assert checkpoint == Checkpoint("example.com/behind-the-sofa", 20_852_163, b64decode(ROOT))
    assert str(checkpoint) == TEXT


def test_extension_lines_are_kept() -> None:
    text = TEXT + "one\ntwo two\n"
    assert parse_checkpoint(text).extensions == ("one", "two two")
    assert str(parse_checkpoint(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "\nmore\n",
        "\n" + TEXT,
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "+20852163"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", " 20852163"),
        TEXT.replace("20852163", "٢"),
        TEXT.replace("20852163", str(MAX_LOG_SIZE + 1)),
        TEXT.replace("20852163", "9" * 5000),
        TEXT.replace("q2I=", "q2J="),
        TEXT.replace("q2I=", "q2I"),
        TEXT.replace(ROOT, "AAAA"),
        "origin\n1\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NotProven) as refused:
        parse_checkpoint(text)
    assert refused.value.code == "bad-checkpoint"


@given(st.integers(0, MAX_LOG_SIZE))
def test_sizes_have_one_spelling(size: int) -> None:
    assert parse_size(str(size)) == size
    assert parse_size(f"0{size}") is None
