"""Archive files: whole, compressed, cut, damaged, and receipts in their place."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from support.archives import good_archive, good_receipt
from votenet.client.archive_file import check_archive
from votenet.core.faults import FAULTS
from votenet.errors import ConfigError, NotProven


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(NotProven) as caught:
        check_archive(path)
    return caught.value.code


@pytest.mark.parametrize(("suffix", "squeeze"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_archives_good_and_damaged(tmp_path: Path, suffix: str, squeeze) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"a{suffix}"
    whole = squeeze(good_archive())
    path.write_bytes(whole)
    assert check_archive(path).height == 14
    assert refusal(path, whole[: len(whole) // 2]) == "truncated"
    assert refusal(path, good_archive()) == "unreadable"
    for place in (len(whole) // 2, -6):  # -6: in the checksum at the end
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        code = refusal(path, bytes(damaged))
        # gzip finds damage at its end only: until then it may read as any text.
        assert code in FAULTS if suffix == ".gz" and place > 0 else code == "unreadable"


def test_the_network_is_compared_and_a_receipt_is_known_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "-odd name"
    path.write_bytes(good_archive())
    report = check_archive(path)
    assert check_archive(path, report.network_id) == report
    with pytest.raises(NotProven) as refused:
        check_archive(path, "ab" * 32)
    assert refused.value.code == "network-mismatch"
    path.write_bytes(good_receipt())
    with pytest.raises(NotProven) as refused:
        check_archive(path)
    assert refused.value.code == "wrong-format"
    assert refused.value.next_step == f"Check it with: votenet verify '{path}'"
    with pytest.raises(ConfigError):
        check_archive(tmp_path / "none")
