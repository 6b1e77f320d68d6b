"""The files of a log out of an archive: an outsider who has only them comes to the cosigned root."""

from __future__ import annotations

import io
import json

import pytest

from support import named_files
from support.archives import good_archive
from support.log_tiles import decode_bundle, tile_widths
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.log.signed_note import parse_note
from votenet.core.log.tiles import bundle_path, tile_path
from votenet.core.records.archive_log import archive_log_files
from votenet.errors import NotProven

GOOD = named_files.good_archives()


def files_of(archive: bytes) -> dict[str, bytes]:
    return dict(archive_log_files(io.BytesIO(archive)))


@pytest.mark.parametrize("name", GOOD)
def test_the_entries_lead_to_the_root_of_the_certificate(name: str) -> None:
    files = files_of(GOOD[name])
    totals = json.loads(GOOD[name].splitlines()[-1])
    assert files.get("checkpoint", b"").decode() == totals["certificate"]
    size = parse_checkpoint(parse_note(totals["certificate"]).text).size if totals["certificate"] else 0
    widths = [(number, width) for level, number, width in tile_widths(size) if level == 0]
    entries = [entry for one in widths for entry in decode_bundle(files[bundle_path(*one)])]
    leaves = [leaf_hash(entry) for entry in entries]
    if totals["certificate"]:
        assert merkle_root(leaves) == parse_checkpoint(parse_note(totals["certificate"]).text).root
        assert b"".join(leaves) == b"".join(files[tile_path(0, *one)] for one in widths)
        assert files.keys() == {
            "checkpoint",
            "policy",
            *(tile_path(*tile) for tile in tile_widths(size)),
            *(bundle_path(*one) for one in widths),
        }


def test_without_named_nodes_there_is_no_checkpoint() -> None:
    archive = good_archive()
    files = files_of(archive)
    assert "checkpoint" not in files
    lines = [json.loads(line) for line in archive.splitlines()[2:-1]]
    records = sum(len(line["votes"]) + len(line["records"]) for line in lines)
    (bundle,) = (content for path, content in files.items() if path.startswith("tile/entries/"))
    assert len(decode_bundle(bundle)) == records + len(lines) + 1
    assert decode_bundle(bundle)[-1].hex() == lines[-1]["header"]


def test_a_certificate_of_another_log_is_refused() -> None:
    longest = max(GOOD.values(), key=len).splitlines(keepends=True)
    without = b"".join([*longest[:2], *longest[3:]])  # a block is missing
    with pytest.raises(NotProven) as refused:
        files_of(without)
    assert refused.value.code == "bad-checkpoint"
