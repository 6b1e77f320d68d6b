"""Credentials: those that belenios-tool made, those that follow from a code, and every other text."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from support.belenios_check import read_archive, read_public_credentials
from votenet.core.election.voting_code import code_from
from votenet.errors import NotProven
from votenet.secret.credentials import (
    base58_characters,
    credential_of_code,
    public_credential,
    secret_exponent,
    write_public_credentials,
)
from votenet.secret.group import BASE, IDENTITY, multiply

VECTORS = Path(__file__).parent.parent / "vectors" / "belenios"
UUID = "JUKAAfQKwDeaXu"
G = BASE.written()


def test_the_credentials_of_the_tool_have_their_public_ones() -> None:
    private = json.loads((VECTORS / f"{UUID}.credentials.json").read_text())
    archive = read_archive((VECTORS / f"{UUID}.bel").read_bytes())
    public = read_public_credentials(archive.credentials)
    assert {public_credential(one, UUID) for one in private.values()} == set(public)
    assert set(public.values()) == {1}
    assert write_public_credentials(public) == archive.credentials


def test_a_code_leads_to_one_credential_in_each_election() -> None:
    code = code_from(bytes(14))
    assert credential_of_code(code, UUID) == "jDB7E-LBg3gA-5pxdv-15v5Pp"
    others = {credential_of_code(code, UUID[::-1]), credential_of_code(code_from(b"\1" * 14), UUID)}
    assert len(others | {credential_of_code(code, UUID)}) == 3
    secret_exponent(credential_of_code(code, UUID), UUID)


def test_base58_characters_are_equally_likely() -> None:
    counts = Counter(base58_characters(range(256), 1000))
    assert len(counts) == 58
    assert set(counts.values()) == {4}
    assert base58_characters([255, 0, 254, 57], 2) == "1z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dybvLs8Zc8DsDdK78hLuWe",
        "dybvL-s8Zc8D-sDdK7-8hLuW",
        "dybvL-s8Zc8D-sDdK7-8hLuWee",
        "dybv-Ls8Zc8D-sDdK7-8hLuWe",
        "0ybvL-s8Zc8D-sDdK7-8hLuWe",
        "lybvL-s8Zc8D-sDdK7-8hLuWe",
        "dybvL-s8Zc8D-sDdK7-8hLuWe\n",
        " dybvL-s8Zc8D-sDdK7-8hLuWe",
    ],
)
def test_any_other_text_is_no_credential(text: str) -> None:
    with pytest.raises(NotProven) as caught:
        secret_exponent(text, UUID)
    assert caught.value.code == "bad-credential"


def test_weights_are_written_where_one_is_not_one() -> None:
    rng = random.Random(5)
    public = [
        public_credential(credential_of_code(code_from(rng.randbytes(14)), UUID), UUID) for _ in range(3)
    ]
    weights = dict(zip(public, (1, 7, 2**30), strict=True))
    raw = write_public_credentials(weights)
    assert raw.decode().count(",") == 5
    assert read_public_credentials(raw) == weights
    assert read_public_credentials(f'["{G},100000000000"]'.encode()) == {BASE: 10**11}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([G, G], "credential-twice"),
        ([G, f"{G},2"], "credential-twice"),
        ([f"{G},"], "bad-document"),
        ([f"{G},02"], "bad-document"),
        ([f"{G},-1"], "bad-document"),
        ([f"{G},1,1"], "bad-document"),
        ([f"{G},1\n"], "bad-document"),
        ([IDENTITY.written()], "bad-point"),
        ([G[:-1]], "bad-point"),
        ([f"{G},100000000001"], "weights-too-large"),
        ([1], "bad-document"),
    ],
)
def test_other_lists_of_credentials_are_refused(lines: list[object], code: str) -> None:
    with pytest.raises(NotProven) as caught:
        read_public_credentials(json.dumps(lines, separators=(",", ":")).encode())
    assert caught.value.code == code


def test_the_exponent_is_of_the_election() -> None:
    credential = "dybvL-s8Zc8D-sDdK7-8hLuWe"
    assert public_credential(credential, UUID) == multiply(BASE, secret_exponent(credential, UUID))
    assert secret_exponent(credential, UUID) != secret_exponent(credential, UUID[::-1])
