"""Why a document of a secret election is refused: a code, and what it means."""

from __future__ import annotations

from typing import Final

from votenet.errors import NotProven

SECRET_REFUSALS: Final[dict[str, str]] = {
    "bad-point": "A point is not 64 hexadecimal digits, or is outside the group, or is its identity.",
    "bad-scalar": "A number is not in base 10 without leading zeros, or is not below the group's order.",
    "bad-document": "A document of the election has a missing, unknown or malformed member.",
    "not-canonical": "A document is not in compact JSON with its members in Belenios' order.",
    "bad-election": "The election's definition contradicts itself, or asks for what secret ballots lack.",
    "bad-credential": "A credential is not 22 base58 characters, written XXXXX-XXXXXX-XXXXX-XXXXXX.",
    "unknown-credential": "A ballot has a credential that no voter of this election has.",
    "wrong-election": "A ballot belongs to another election.",
    "ballot-twice": "The same ballot is there twice.",
    "bad-answers": "A ballot does not answer each contest with one ciphertext and proof for each candidate.",
    "bad-choice-proof": "A ballot does not prove that each of its choices is zero or one.",
    "bad-total-proof": "A ballot does not prove that it chooses as many candidates as it may.",
    "bad-blank-proof": "A ballot does not prove that it chooses no candidate when it is blank.",
    "bad-ballot-signature": "A ballot is not signed with the credential that it names.",
    "bad-choices": "The choices are no answer to these contests.",
    "bad-trustee-proof": "A trustee does not prove that it knows the private key of its public key.",
    "bad-trustee-certificate": "A trustee's certificate is not signed, or belongs to another key generation.",
    "bad-key-generation": "A message of the key generation is unsigned, incomplete, or not what it must be.",
    "bad-share": "A private share cannot be opened, or does not fit what its sender published.",
    "wrong-election-key": "The election's public key is not the one of its trustees.",
    "bad-decryption": "A partial decryption is not proven, or belongs to another tally or trustee.",
    "too-few-decryptions": "Fewer trustees than the threshold decrypted the tally.",
    "bad-result": "The result is not what the partial decryptions come to.",
    "bad-draft": "The draft of an election for its trustees contradicts itself, or is of other contests.",
    "wrong-draft": "A trustee's record belongs to another election, or to an older draft of this one.",
    "bad-trustee-record": "A trustee's record is not signed by that trustee, or is not what this step needs.",
    "too-early": "A trustee's record belongs to a step that cannot begin yet: an earlier record is missing.",
    "two-records": "A trustee handed in two different records of one step: begin again with a new draft.",
    "ceremony-incomplete": "Not every trustee has made its key and decrypted the test tally.",
    "wrong-card": "The recovery card belongs to another trustee or another election.",
}
"""The codes of this room, each with its meaning."""


def refusal(code: str, message: str) -> NotProven:
    """An error for one of SECRET_REFUSALS; `message` says where."""
    return NotProven(message, code=code, next_step=SECRET_REFUSALS[code])
