"""Signed notes and verifier keys (C2SP signed-note): text with signature lines below it."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, NamedTuple

from votenet.core.faults import fault
from votenet.core.keys import PUBLIC_KEY_BYTES, SigningKey, verify
from votenet.core.log.cosignature import cosignature_holds

ED25519: Final = 0x01
"""Signature type of a log: Ed25519 over the text."""
COSIGNATURE_V1: Final = 0x04
"""Signature type of a cosigner: Ed25519 over a time and the text."""
KEY_ID_BYTES: Final = 4
MAX_NOTE_SIZE: Final = 128 * 1024
"""Sixteen signatures of the longest kind (5 kB in base64) fit, as C2SP asks."""
MAX_NOTE_SIGNATURES: Final = 256
"""The named nodes of the largest election with their cosignatures and their log lines, and witnesses."""
MAX_KEY_NAME: Final = 512
"""Characters of a key's name."""
_NOT_IN_NOTES: Final = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NOT_IN_NAMES: Final = re.compile("[\\s+\x00-\x1f\ud800-\udfff]")
_DASH: Final = "\u2014 "


class NoteSignature(NamedTuple):
    """One line below a note. Name and id say which key made it."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line with its newline."""
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.signature).decode()}\n"


class VerifierKey(NamedTuple):
    """A public key as C2SP names it; `type` is ED25519 or COSIGNATURE_V1. `str()` gives its text (vkey)."""

    name: str
    type: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256 of name, newline, type and key; the first 4 bytes."""
        material = self.name.encode() + b"\n" + bytes([self.type]) + self.public
        return hashlib.sha256(material).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.type]) + self.public).decode()}"

    def signed(self, signature: bytes) -> NoteSignature:
        return NoteSignature(self.name, self.key_id, signature)

    def holds(self, text: str, signature: bytes) -> bool:
        """Whether the holder of this key made the signature over this note's text."""
        if self.type == ED25519:
            return verify(self.public, text.encode(), signature)
        return cosignature_holds(self.public, text, signature)


class SignedNote(NamedTuple):
    """`text` ends with a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(signature.line for signature in self.signatures)}"


def sign_note(key: SigningKey, name: str, text: str) -> NoteSignature:
    """The signature of a log, type ED25519."""
    return VerifierKey(name, ED25519, key.public).signed(key.sign(text.encode()))


def parse_key(text: str) -> VerifierKey:
    """A verifier key of one of the two types. Raises NotProven bad-key."""
    name, separator, rest = text.partition("+")
    key_id, separator, material = rest.partition("+")
    if not separator or not _is_name(name):
        raise fault("bad-key", "a verifier key is written name+id+key")
    raw = decode_base64(material)
    if raw is None or len(raw) != 1 + PUBLIC_KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE_V1):
        raise fault("bad-key", f"the key of {name!r} is no Ed25519 key of a log or a cosigner")
    key = VerifierKey(name, raw[0], raw[1:])
    if key_id != key.key_id.hex():
        raise fault("bad-key", f"the key id of {name!r} is not {key_id!r}")
    return key


def parse_note(note: str) -> SignedNote:
    """A note whose signatures are not checked yet. Raises NotProven bad-note."""
    if len(note) > MAX_NOTE_SIZE:
        raise fault("bad-note", f"a signed note has at most {MAX_NOTE_SIZE} characters")
    if _NOT_IN_NOTES.search(note):
        raise fault("bad-note", "a signed note is UTF-8 without control characters but newlines")
    end = note.rfind("\n\n")  # the text may have empty lines itself: the last one ends it
    if end < 0:
        raise fault("bad-note", "a signed note is a text, an empty line, and lines of signatures")
    return SignedNote(note[: end + 1], parse_signatures(note[end + 2 :]))


def parse_signatures(text: str) -> tuple[NoteSignature, ...]:
    """The lines below a note; a witness answers with such lines. Raises NotProven bad-note."""
    *lines, last = text.split("\n")
    if last or not 0 < len(lines) <= MAX_NOTE_SIGNATURES:
        raise fault("bad-note", f"a note has 1 to {MAX_NOTE_SIGNATURES} lines of signatures")
    return tuple(map(_parse_signature, lines))


def _parse_signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    raw = decode_base64(encoded)
    if not line.startswith(_DASH) or not _is_name(name) or raw is None or len(raw) <= KEY_ID_BYTES:
        raise fault("bad-note", f"this is no line of a signature: {line[:100]!r}")
    return NoteSignature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def verified_keys(note: SignedNote, keys: Iterable[VerifierKey]) -> dict[VerifierKey, NoteSignature]:
    """Those of `keys` that signed the note, each with its first signature.

    Lines of other keys are ignored. One line by a known key that does not hold spoils the note.

    Raises:
        NotProven: bad-note, where none of the keys signed it; bad-cosignature, for a line that does not hold.
    """
    known: dict[tuple[str, bytes], list[VerifierKey]] = {}  # a key id is short: two keys may have one
    for key in keys:
        known.setdefault((key.name, key.key_id), []).append(key)
    found: dict[VerifierKey, NoteSignature] = {}
    for line in note.signatures:
        named = known.get((line.name, line.key_id), [])
        signers = [key for key in named if key.holds(note.text, line.signature)]
        if named and not signers:
            raise fault("bad-cosignature", f"{line.name!r} did not make the signature that has its name")
        for key in signers:
            found.setdefault(key, line)
    if not found:
        raise fault("bad-note", "none of the known keys signed the note")
    return found


def decode_base64(text: str) -> bytes | None:
    """The bytes of base64 in its one canonical spelling (RFC 4648, 4); None for any other text."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if b64encode(raw).decode() == text else None


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_KEY_NAME and not _NOT_IN_NAMES.search(name)
