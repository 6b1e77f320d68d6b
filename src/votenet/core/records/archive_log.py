"""The log of an election, leaf by leaf, out of its archive."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import msgspec

from votenet.core.election.definition import Election
from votenet.core.faults import fault
from votenet.core.ledger.block import genesis_header
from votenet.core.log.certificate import trust_policy
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import parse_note
from votenet.core.log.tiles import log_files
from votenet.core.records.archive import Definition, Totals


class _Leaves(msgspec.Struct, frozen=True):
    """A block's line as far as the log needs it: records as they are written."""

    header: str
    records: tuple[msgspec.Raw, ...]
    votes: tuple[msgspec.Raw, ...]


def archive_log_files(lines: Iterable[bytes]) -> Generator[tuple[str, bytes], None, None]:
    """The files of the log as C2SP tlog-tiles serves them, address and content.

    Where the archive has a certificate, `policy` (C2SP tlog-policy) and `checkpoint` come last.

    Args:
        lines: an archive that this program has made or checked.

    Raises:
        NotProven: bad-checkpoint, if the certificate is of another log than that of the archive.
    """
    source = iter(lines)
    next(source)  # the head
    election = Election(msgspec.json.decode(next(source), type=Definition).definition)
    certificates: list[str] = []
    frontier = yield from log_files(_leaves(election, source, certificates))
    for certificate in filter(None, certificates):
        checkpoint = parse_checkpoint(parse_note(certificate).text)
        if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root):
            raise fault("bad-checkpoint", "the certificate is not of the archive's last block")
        yield "policy", trust_policy(election.named_keys).encode()
        yield "checkpoint", certificate.encode()


def _leaves(
    election: Election, lines: Iterable[bytes], certificates: list[str]
) -> Generator[bytes, None, None]:
    """Every leaf in its order; puts the certificate of the totals into `certificates`."""
    yield genesis_header(election).pack()
    for line in lines:
        if line.startswith(b'{"certificate"'):
            certificates.append(msgspec.json.decode(line, type=Totals).certificate)
            return
        block = msgspec.json.decode(line, type=_Leaves)
        yield from map(bytes, block.votes)
        yield from map(bytes, block.records)
        yield bytes.fromhex(block.header)
