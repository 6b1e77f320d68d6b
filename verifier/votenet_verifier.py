#!/usr/bin/env python3
"""Checks votenet archives, receipts, results and evidence, and counts again. One file, on purpose.

A second opinion: written from docs/protocol.md and docs/audit.md, it shares no code with votenet. It
needs Python 3.11 or newer, nothing else, and no network. Where PyNaCl is installed (pip install
pynacl) it checks the signatures; otherwise this file does, some seventy times slower. The proofs of secret
ballots are always checked by this file: about ten milliseconds for each candidate of a ballot.

    python3 votenet_verifier.py archive election.jsonl.xz
    python3 votenet_verifier.py receipt receipt.json --network 5e1f...
    python3 votenet_verifier.py result result.json --archive election.jsonl.xz
    python3 votenet_verifier.py evidence lie.json

Exit 0: everything holds. Exit 1: something does not; the last line names the code of the first fault.
Exit 2: the command is wrong, or a file cannot be read. 70: a defect of this program. 74: the answer could
not be written.
"""

import argparse
import base64
import contextlib
import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import struct
import sys
import time
import traceback
import zlib
from collections import Counter
from itertools import chain, combinations, pairwise, permutations

try:
    from nacl.bindings import crypto_core_ed25519_is_valid_point as is_valid_point
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey
except ImportError:
    VerifyKey = None
# The base point plus that of order two. A libsodium that takes it for a member (CVE-2025-69277) is not asked.
NO_MEMBER = bytes.fromhex("feaf9d07b868cc52786305312c376563c622b0386a10d105e3c1501b28d65f7e")
LIBRARY_KNOWS_THE_GROUP = VerifyKey is not None and not is_valid_point(NO_MEMBER)

# The limits of docs/audit.md, under the same names.
MAX_NAME = 200
MAX_STATEMENT = 2000
MAX_CANDIDATES = 1000
MAX_CHOICES = 64
MAX_SCHULZE_CANDIDATES = 100
MAX_STV_CANDIDATES = 200
MAX_CONTESTS = 64
MAX_WEIGHT = 1_000_000
MAX_AMENDMENTS = 10_000
NOTICE_SECONDS = 60
MAX_NAMED_NODES = 64
MAX_WITNESSES = 64
MAX_TRUSTEE_KEYS = 64
MAX_BLOCK_VOTES = 20_480
MAX_BLOCK_SECONDS = 3600
MAX_GRACE_SECONDS = 3600
MAX_U32 = 2**32 - 1
MAX_VOTER_ID = 128
MAX_VOTE_BYTES = 16 * 1024
MAX_RECORD_BYTES = 60_000
MAX_OTHER_RECORDS = 20_480
MAX_CLOSING_IDS = 262_144
HEADER_BYTES = 80
BLOCK_VERSION = 2
MAX_BLOCK_BYTES = 8 * 1024 * 1024
MAX_CLOCK_AHEAD = 2 * 60 * 60
MEDIAN_SPAN = 11
RETARGET_SPAN = 48
LONG_GAP = 10
MAX_RISE = 64
MAX_NOTE_SIZE = 128 * 1024
MAX_NOTE_SIGNATURES = 256
MAX_KEY_NAME = 512
MAX_LOG_SIZE = 2**63 - 1
MAX_PROOF_HASHES = 63
MAX_ARCHIVE_LINE = 16 * 1024 * 1024
MAX_RECEIPT = 1024 * 1024 * 1024
MAX_SAFE_INTEGER = 2**53 - 1
FORMAT_VERSION = 2

ARCHIVE_FORMAT = "votenet-archive"
RECEIPT_FORMAT = "votenet-receipt"
ROLL_FORMAT = "votenet-roll-2"
EVIDENCE_FORMAT = "votenet-evidence"
EVIDENCE_VERSION = 1
RESULT_FORMAT = "votenet-result"
RESULT_VERSION = 1
DOMAIN_GENESIS = b"votenet/genesis/2\n"
DOMAIN_BELENIOS = b"votenet/belenios/1\n"
DOMAIN_VOTE = b"votenet/vote/2\n"
DOMAIN_AMENDMENT = b"votenet/amendment/2\n"
DOMAIN_ROLL = b"votenet/roll/2\n"
DOMAIN_BLOCK = b"votenet/block/2\n"
DOMAIN_PROPOSAL = b"votenet/proposal/2\n"
DOMAIN_PREVOTE = b"votenet/prevote/2\n"
DOMAIN_PRECOMMIT = b"votenet/precommit/2\n"
DOMAIN_ACCEPTANCE = b"votenet/acceptance/2\n"
DOMAIN_CLOSING_LIST = b"votenet/closing-list/2\n"
DOMAIN_COUNTED = b"votenet/counted/1\n"
SHARE_PREFIX = b"votenet/decryption-share/1\n"
DOMAIN_TIE = b"votenet/tie/2\n"
ACTIONS = {
    # What an amendment does, and which members it has for that.
    "add-voter": ("key", "voter_id", "weight"),
    "replace-key": ("key", "voter_id"),
    "extend": ("closes",),
    "close": ("closes",),
    "cancel": (),
}
METHODS = ("plurality", "block", "approval", "motion", "instant-runoff", "stv", "schulze")
EVERY_CHOICE = ("block", "approval")
ONE_CHOICE = ("plurality", "motion")
ONE_SEAT = ("plurality", "motion", "instant-runoff")
MOST_CANDIDATES = {"stv": MAX_STV_CANDIDATES, "schulze": MAX_SCHULZE_CANDIDATES}
SHARES = {"two-thirds": (2, 3), "three-quarters": (3, 4)}
SECRET_METHODS = ("approval", "block", "motion", "plurality")
SECRET_WEIGHT = 10**11  # of a whole roll: what encrypted ballots come to is found by trying
AROUND_BALLOT = 1000  # bytes of a vote but for its ballot
STV_UNIT = 10**5  # votes of an STV count have five decimal places

# The characters of docs/audit.md: first and last code point of each range.
CONTROL = ((0x0, 0x1F), (0x7F, 0x9F), (0x2028, 0x2029))
INVISIBLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x200B, 0x200B)),
    *((0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFDD0, 0xFDEF)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFC), (0x13430, 0x13440), (0x1BCA0, 0x1BCA3)),
    *((0x1D173, 0x1D17A), (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF)),
    *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000)),
)
JOINERS = ((0x200C, 0x200D),)
JOINING = (
    *((0x620, 0x109F), (0x1780, 0x17B3), (0x17B6, 0x180A), (0x1810, 0x18AF), (0x1900, 0x1C7F)),
    *((0x1CD0, 0x1CFF), (0xA800, 0xA95F), (0xA980, 0xAB2F), (0xABC0, 0xABFF), (0xFB50, 0xFDCF)),
    *((0xFDF0, 0xFDFF), (0xFE70, 0xFEFC), (0x10A00, 0x11FFF), (0x1E900, 0x1E95F)),
)
MONGOLIAN_SELECTORS = ((0x180B, 0x180F),)
MONGOLIAN = ((0x1800, 0x180A), (0x1810, 0x18AF))
SELECTORS = ((0xFE00, 0xFE0F),)
PICTURES = (
    *((0xA9, 0xA9), (0xAE, 0xAE), (0x203C, 0x203C), (0x2049, 0x2049), (0x2100, 0x214F), (0x2190, 0x27FF)),
    *((0x2900, 0x2BFF), (0x3030, 0x3030), (0x303D, 0x303D), (0x3297, 0x3297), (0x3299, 0x3299)),
    (0x1F000, 0x1FAFF),
)
SELECTABLE = ((0x1000, 0x109F), (0xA840, 0xA87F))
IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FFFD), (0x30000, 0x3FFFD))
IDEOGRAPH_SELECTORS = ((0xE0100, 0xE01EF),)
BLANKS = (
    *((0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F)),
    *((0x2800, 0x2800), (0x3000, 0x3000)),
)
ALLOWED_AFTER = (
    # What may stand in a name only right after one of the characters named second.
    (((0x200C, 0x200C),), JOINING),
    (((0x200D, 0x200D),), JOINING + PICTURES + SELECTORS),
    (MONGOLIAN_SELECTORS, MONGOLIAN),
    (SELECTORS, IDEOGRAPHS + SELECTABLE + PICTURES),
    (IDEOGRAPH_SELECTORS, IDEOGRAPHS),
)
UNSEEN = JOINERS + MONGOLIAN_SELECTORS + SELECTORS + IDEOGRAPH_SELECTORS
HEX32 = re.compile("[0-9a-f]{64}")
HEX32_OR_NONE = re.compile("([0-9a-f]{64})?")
HEX64 = re.compile("[0-9a-f]{128}")
CONTEST_ID = re.compile("[A-Za-z0-9_-]{1,32}")
LANGUAGE = re.compile("(?=.{2,35}$)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
TIME_ZONE = re.compile("[A-Za-z0-9_+/-]{1,64}")
UUID = re.compile("[123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz]{14}")
WITNESS_KEY = re.compile("[!-*,-~]{1,200}[+][0-9a-f]{8}[+][A-Za-z0-9+/]{44}")
QUOTA = re.compile("([1-9][0-9]{0,15})?")
URL = re.compile("https?://[!-~]{1,500}")
NO_ANCHOR = "none: this proves only that the file agrees with itself (give its network id: --network)"
NODE_KEYS = ("cosign_key", "log_key", "node_key", "statement_key")
PROOF_HEADING = "c2sp.org/tlog-proof@v1"
COSIGNATURE = 4  # the C2SP type of a cosignature/v1 key


class Fault(Exception):
    """Something does not hold: a code, and where."""

    def __init__(self, code, where):
        super().__init__(where)
        self.code = code


# -- records -------------------------------------------------------------------------------------------


def canonical(value):
    """RFC 8785, for records whose member names are ASCII and whose numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def unique(pairs):
    """An object of JSON, no member twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Fault("duplicate-key", "a member stands twice")
    return found


def parse(raw, check):
    """One record: JSON, no member twice, of the shape that `check` asks for, and in canonical spelling."""

    def constant(text):
        raise ValueError(text)

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
        spelled = canonical(value)
    except (ValueError, RecursionError) as error:
        raise Fault("not-json", str(error)[:200]) from None
    check(value)
    if spelled != raw:
        raise Fault("not-canonical", "the record is spelled in another way")
    return value


def need(condition, what):
    if not condition:
        raise Fault("bad-record", what)


def members(value, names):
    need(isinstance(value, dict), "not an object")
    need(set(value) == set(names), f"members are {sorted(value)}")


def integer(value, low, high, what):
    need(type(value) is int and low <= value <= high, what)


def text(value, low, high, what):
    need(isinstance(value, str) and low <= len(value) <= high, what)


def pattern(value, expression, what):
    need(isinstance(value, str) and expression.fullmatch(value) is not None, what)


def hash_text(value, what):
    pattern(value, HEX32, what)


def items(value, low, high, what):
    need(isinstance(value, list) and low <= len(value) <= high, what)
    return value


def shape_of_head(value):
    members(value, ["format", "network_id", "version"])
    text(value["format"], 0, MAX_ARCHIVE_LINE, "format")
    hash_text(value["network_id"], "network_id")
    integer(value["version"], 0, MAX_SAFE_INTEGER, "version")


def shape_of_definition_line(value):
    members(value, ["definition"])
    shape_of_definition(value["definition"])


def shape_of_definition(value):
    members(
        value,
        (
            *("authority_key", "belenios", "chain", "closes", "contests", "created", "language", "nodes"),
            *("opens", "organiser", "registration", "results", "roll_root", "roll_size", "secrecy"),
            *("time_zone", "title", "trustees", "uuid", "version", "weighted", "witnesses"),
        ),
    )
    for name in ("authority_key", "roll_root"):
        if value[name] is not None:
            hash_text(value[name], name)
    need(isinstance(value["belenios"], str), "belenios")
    if value["trustees"] is not None:
        shape_of_trustees(value["trustees"])
    shape_of_chain(value["chain"])
    for name in ("opens", "closes"):
        if value[name] is not None:
            integer(value[name], 0, MAX_SAFE_INTEGER, name)
    for contest in items(value["contests"], 1, MAX_CONTESTS, "contests"):
        shape_of_contest(contest)
    integer(value["created"], 0, MAX_U32, "created")
    pattern(value["language"], LANGUAGE, "language")
    for each in items(value["nodes"], 0, MAX_NAMED_NODES, "nodes"):
        members(each, ("name", *NODE_KEYS))
        text(each["name"], 1, MAX_NAME, "the name of a node")
        for name in NODE_KEYS:
            hash_text(each[name], name)
    text(value["organiser"], 0, MAX_STATEMENT, "organiser")
    need(value["registration"] in ("open", "roll"), "registration")
    need(value["results"] in ("live", "after-close"), "results")
    if value["roll_size"] is not None:
        integer(value["roll_size"], 1, MAX_SAFE_INTEGER, "roll_size")
    need(value["secrecy"] in ("public", "secret"), "secrecy")
    pattern(value["time_zone"], TIME_ZONE, "time_zone")
    text(value["title"], 1, MAX_NAME, "title")
    pattern(value["uuid"], UUID, "uuid")
    integer(value["version"], FORMAT_VERSION, FORMAT_VERSION, "version")
    need(type(value["weighted"]) is bool, "weighted")
    for each in items(value["witnesses"], 0, MAX_WITNESSES, "witnesses"):
        members(each, ("key", "name", "url"))
        pattern(each["key"], WITNESS_KEY, "the key of a witness")
        text(each["name"], 1, MAX_NAME, "the name of a witness")
        pattern(each["url"], URL, "the url of a witness")


def shape_of_trustees(value):
    members(value, ("keys", "record", "threshold"))
    for each in items(value["keys"], 1, MAX_TRUSTEE_KEYS, "the keys of the trustees"):
        members(each, ("key", "name"))
        hash_text(each["key"], "the key of a trustee")
        text(each["name"], 1, MAX_NAME, "the name of a trustee")
    hash_text(value["record"], "record")
    integer(value["threshold"], 1, MAX_TRUSTEE_KEYS, "threshold")


def shape_of_chain(value):
    members(value, ("bits", "block_seconds", "grace_seconds", "max_block_votes"))
    integer(value["bits"], 1, MAX_U32, "bits")
    integer(value["block_seconds"], 1, MAX_BLOCK_SECONDS, "block_seconds")
    integer(value["grace_seconds"], 0, MAX_GRACE_SECONDS, "grace_seconds")
    integer(value["max_block_votes"], 1, MAX_BLOCK_VOTES, "max_block_votes")


def shape_of_contest(value):
    members(
        value,
        (
            *("blank", "candidates", "description", "id", "max", "method", "min", "quorum", "seats"),
            *("threshold", "title"),
        ),
    )
    need(type(value["blank"]) is bool, "blank")
    need(isinstance(value["candidates"], list), "candidates")
    for candidate in value["candidates"]:
        members(candidate, ("name", "statement"))
        text(candidate["name"], 1, MAX_NAME, "the name of a candidate")
        text(candidate["statement"], 0, MAX_STATEMENT, "statement")
    text(value["description"], 0, MAX_STATEMENT, "description")
    pattern(value["id"], CONTEST_ID, "the id of a contest")
    integer(value["max"], 1, MAX_CHOICES, "max")
    need(value["method"] in METHODS, "method")
    integer(value["min"], 0, MAX_CHOICES, "min")
    if value["quorum"] is not None:
        members(value["quorum"], ["percent"])
        integer(value["quorum"]["percent"], 1, 100, "percent")
    integer(value["seats"], 1, MAX_CHOICES, "seats")
    if value["threshold"] is not None:
        members(value["threshold"], ("basis", "share"))
        need(value["threshold"]["basis"] in ("cast", "roll"), "basis")
        need(value["threshold"]["share"] in ("simple", "absolute", *SHARES), "share")
    text(value["title"], 1, MAX_NAME, "the title of a contest")


def shape_of_vote(value):
    need(isinstance(value, dict), "not an object")
    names = ["choices", "network_id", "signature", "time", "voter_id", "voter_key"]
    if "ballot" in value:  # only the votes of secret elections have it
        names.append("ballot")
        text(value["ballot"], 0, MAX_ARCHIVE_LINE, "ballot")
        if value["ballot"] == "":
            raise Fault("not-canonical", "an empty ballot is left out")
    members(value, names)
    for choices in items(value["choices"], 0, MAX_CONTESTS, "choices"):
        for choice in items(choices, 0, MAX_CHOICES, "choices"):
            text(choice, 1, MAX_NAME, "choices")
    text(value["network_id"], 64, 64, "network_id")
    text(value["signature"], 128, 128, "signature")
    integer(value["time"], 0, MAX_SAFE_INTEGER, "time")
    text(value["voter_id"], 1, MAX_VOTER_ID, "voter_id")
    text(value["voter_key"], 64, 64, "voter_key")


def shape_of_line(value):
    """A block, or the totals."""
    need(isinstance(value, dict), "not an object")
    if "tip" in value and "header" not in value:
        names = ["certificate", "height", "tip", "votes"]
        if "shares" in value:  # only of secret elections, and only where there are some
            names.append("shares")
            need(
                all(isinstance(each, str) for each in items(value["shares"], 0, MAX_SAFE_INTEGER, "shares")),
                "shares",
            )
        members(value, names)
        need(isinstance(value["certificate"], str), "certificate")
        integer(value["height"], 0, MAX_SAFE_INTEGER, "height")
        hash_text(value["tip"], "tip")
        integer(value["votes"], 0, MAX_SAFE_INTEGER, "votes")
        return
    members(value, ["closing", "header", "miner", "records", "votes"])
    if value["closing"] is not None:
        members(value["closing"], ["bits", "ids"])
        need(all(isinstance(each, str) for each in value["closing"].values()), "closing")
    need(isinstance(value["header"], str), "header")
    if value["miner"] is not None:
        members(value["miner"], ["node", "signature"])
        shape_of_signer(value["miner"])
    for record in items(value["records"], 0, MAX_OTHER_RECORDS, "records"):
        shape_of_record(record)
    need(isinstance(value["votes"], list), "votes")
    for vote in value["votes"]:
        shape_of_vote(vote)


def shape_of_signer(value):
    integer(value["node"], 0, MAX_SAFE_INTEGER, "node")
    pattern(value["signature"], HEX64, "the signature of a node")


def shape_of_record(value):
    """A record of a block that is no vote."""
    need(isinstance(value, dict), "not an object")
    need(value.get("kind") in ("amendment", "closing-list", "not-counted"), "the kind of a record")
    need(len(canonical(value)) <= MAX_RECORD_BYTES, "the size of a record")
    if value["kind"] == "amendment":
        shape_of_amendment(value)
        return
    if value["kind"] == "not-counted":
        members(value, ["kind", "vote"])
        shape_of_vote(value["vote"])
        return
    members(value, ["closes", "count", "height", "kind", "network_id", "node", "root", "signature"])
    for name in ("closes", "count", "height"):
        integer(value[name], 0, MAX_SAFE_INTEGER, name)
    hash_text(value["network_id"], "network_id")
    hash_text(value["root"], "root")
    shape_of_signer(value)


def shape_of_amendment(value):
    names = ["action", "closes", "key", "kind", "network_id", "number", "reason", "signature", "voter_id"]
    names.append("weight")
    if "credential" in value:  # left out, not null, where there is none
        names.append("credential")
        hash_text(value["credential"], "credential")
    members(value, names)
    need(isinstance(value["action"], str) and value["action"] in ACTIONS, "action")
    if value["closes"] is not None:
        integer(value["closes"], 0, MAX_SAFE_INTEGER, "closes")
    if value["key"] is not None:
        hash_text(value["key"], "key")
    need(value["kind"] == "amendment", "kind")
    hash_text(value["network_id"], "network_id")
    integer(value["number"], 1, MAX_AMENDMENTS, "number")
    text(value["reason"], 0, MAX_STATEMENT, "reason")
    pattern(value["signature"], HEX64, "the signature of the authority")
    if value["voter_id"] is not None:
        text(value["voter_id"], 1, MAX_VOTER_ID, "voter_id")
    if value["weight"] is not None:
        integer(value["weight"], 1, MAX_WEIGHT, "weight")


def shape_of_amendments(value):
    for each in items(value, 0, MAX_AMENDMENTS, "amendments"):
        need(isinstance(each, dict), "not an object")
        shape_of_amendment(each)


def shape_of_receipt(value):
    members(
        value,
        ["acceptances", "amendments", "chain", "definition", "format", "proof", "version", "vote"],
    )
    shape_of_amendments(value["amendments"])
    for each in items(value["acceptances"], 0, MAX_NAMED_NODES, "acceptances"):
        shape_of_acceptance(each)
    if value["chain"] is not None:
        members(value["chain"], ["headers", "path", "position", "size"])
        need(isinstance(value["chain"]["headers"], list), "headers")
        for header in value["chain"]["headers"]:
            need(isinstance(header, str), "headers")
        shape_of_path(value["chain"]["path"])
        integer(value["chain"]["position"], 0, MAX_SAFE_INTEGER, "position")
        integer(value["chain"]["size"], 0, MAX_SAFE_INTEGER, "size")
    shape_of_definition(value["definition"])
    need(isinstance(value["format"], str), "format")
    need(isinstance(value["proof"], str), "proof")
    integer(value["version"], 0, MAX_SAFE_INTEGER, "version")
    shape_of_vote(value["vote"])


def shape_of_acceptance(value):
    members(value, ["count", "index", "node", "path", "signature", "time"])
    for name in ("count", "index", "time"):
        integer(value[name], 0, MAX_SAFE_INTEGER, name)
    shape_of_path(value["path"])
    shape_of_signer(value)


def shape_of_evidence(value):
    members(value, ["definition", "format", "kind", "node", "proof", "version"])
    shape_of_definition(value["definition"])
    need(isinstance(value["format"], str), "format")
    need(value["kind"] in EVIDENCE, "kind")
    integer(value["node"], 0, MAX_SAFE_INTEGER, "node")
    integer(value["version"], 0, MAX_SAFE_INTEGER, "version")
    kind, proof = value["kind"], value["proof"]
    if kind in SIGNED_TWICE:
        members(proof, ["first", "second"])
        for each in proof.values():
            members(each, ["signature", "statement"])
            pattern(each["signature"], HEX64, "the signature of a node")
            shape_of_statement(each["statement"], kind)
    elif kind == "two-roots":
        members(proof, ["first", "second"])
        need(all(isinstance(each, str) for each in proof.values()), "a checkpoint")
    elif kind == "bad-growth":
        members(proof, ["new", "nodes", "old"])
        need(isinstance(proof["new"], str) and isinstance(proof["old"], str), "a checkpoint")
        shape_of_path(proof["nodes"])
    else:
        members(proof, ["acceptance", "vote"])
        shape_of_acceptance(proof["acceptance"])
        shape_of_vote(proof["vote"])


def shape_of_statement(value, kind):
    """What a named node signs: a list of votes at the closing, or a message about a block."""
    if kind == "two-lists":
        members(value, ["closes", "count", "height", "network_id", "node", "root"])
        numbers = ("closes", "count", "height", "node")
        hash_text(value["root"], "root")
    elif kind == "two-proposals":
        members(value, ["block", "height", "network_id", "node", "round", "valid_round"])
        numbers = ("height", "node", "round")
        integer(value["valid_round"], -1, MAX_SAFE_INTEGER, "valid_round")
        hash_text(value["block"], "block")
    else:
        members(value, ["block", "height", "network_id", "node", "round"])
        numbers = ("height", "node", "round")
        pattern(value["block"], HEX32_OR_NONE, "block")
    for name in numbers:
        integer(value[name], 0, MAX_SAFE_INTEGER, name)
    hash_text(value["network_id"], "network_id")


def shape_of_result(value):
    members(
        value,
        (
            *("amendments", "certificate", "contests", "definition", "format", "height", "not_counted"),
            *("root", "tip", "version", "votes"),
        ),
    )
    shape_of_amendments(value["amendments"])
    need(isinstance(value["certificate"], str), "certificate")
    need(isinstance(value["contests"], list), "contests")
    for contest in value["contests"]:
        members(
            contest,
            (
                *("blank", "conditions", "counts", "id", "quota", "state", "tied", "votes", "weight"),
                "winners",
            ),
        )
        need(isinstance(contest["counts"], list), "contests")
        need(all(isinstance(contest[name], str) for name in ("id", "state")), "contests")
        pattern(contest["quota"], QUOTA, "quota")
        for condition in items(contest["conditions"], 0, MAX_SAFE_INTEGER, "conditions"):
            members(condition, ["got", "met", "name", "needed"])
            need(condition["name"] in ("threshold", "quorum"), "the name of a condition")
            need(type(condition["met"]) is bool, "whether a condition is met")
            for name in ("got", "needed"):
                integer(condition[name], 0, MAX_SAFE_INTEGER, name)
        for count in contest["counts"]:
            need(isinstance(count, list) and len(count) == 2 and isinstance(count[0], str), "counts")
            integer(count[1], 0, MAX_SAFE_INTEGER, "counts")
        for name in ("tied", "winners"):
            need(isinstance(contest[name], list), name)
            need(all(isinstance(one, str) for one in contest[name]), name)
            need(all(isinstance(each, str) for each in contest[name]), name)
        for name in ("blank", "votes", "weight"):
            integer(contest[name], 0, MAX_SAFE_INTEGER, name)
        for line in contest["counts"]:
            items(line, 2, 2, "counts")
            need(isinstance(line[0], str), "counts")
            integer(line[1], 0, MAX_SAFE_INTEGER, "counts")
    shape_of_definition(value["definition"])
    need(isinstance(value["format"], str), "format")
    need(isinstance(value["not_counted"], list), "not_counted")
    for each in value["not_counted"]:
        members(each, ["id", "lists"])
        hash_text(each["id"], "id")
        integer(each["lists"], 0, MAX_SAFE_INTEGER, "lists")
    hash_text(value["root"], "root")
    hash_text(value["tip"], "tip")
    for name in ("height", "version", "votes"):
        integer(value[name], 0, MAX_SAFE_INTEGER, name)


def shape_of_path(value):
    need(isinstance(value, list), "path")
    for sibling in value:
        hash_text(sibling, "path")


def shape_of_roll(value):
    members(value, ["kind", "root", "voters"])
    need(value["kind"] == ROLL_FORMAT, "kind")
    hash_text(value["root"], "root")
    need(isinstance(value["voters"], list) and value["voters"], "voters")
    for voter in value["voters"]:
        items(voter, 4, 4, "voters")
        text(voter[0], 1, MAX_VOTER_ID, "a voter id")
        hash_text(voter[1], "a key")
        integer(voter[2], 1, MAX_WEIGHT, "a weight")
        pattern(voter[3], HEX32_OR_NONE, "a credential")
        need(not unprintable(voter[0]), f"the voter id {voter[0]!r}")
    for place in (0, 1):
        once = {voter[place] for voter in value["voters"]}
        need(len(once) == len(value["voters"]), "an id or a key is on the roll twice")
    need(sum(voter[2] for voter in value["voters"]) <= MAX_SAFE_INTEGER, "the weights together")
    credentials = [voter[3] for voter in value["voters"] if voter[3]]
    need(len(set(credentials)) in (0, len(value["voters"])), "a credential is missing, or there twice")
    need(all(map(is_group_member, credentials)), "a credential is no member of the group")


# -- the election --------------------------------------------------------------------------------------


def target_of(bits):
    """The number that compact bits stand for; None if they stand for none."""
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << (8 * (exponent - 3)) if exponent > 3 else mantissa >> (8 * (3 - exponent))
    if bits & 0x800000 or not 0 < target < 2**256:
        return None
    return target


def within(character, ranges):
    return any(first <= ord(character) <= last for first, last in ranges)


def unprintable(name):
    """Whether a title, a candidate or a voter id has a character that it may not have."""
    if within(name[0], BLANKS) or within(name[-1], BLANKS):
        return True
    for index, character in enumerate(name):
        if " " <= character <= "~":
            continue
        if within(character, CONTROL + INVISIBLE):
            return True
        for ranges, before in ALLOWED_AFTER:
            if within(character, ranges) and not (index and within(name[index - 1], before)):
                return True
    return False


def skeleton(name):
    """A name as it looks: without what cannot be seen, and with one kind of space."""
    seen = (" " if within(each, BLANKS) else each for each in name if not within(each, UNSEEN))
    return re.sub(" +", " ", "".join(seen))


def unprintable_line(value):
    """The same for a longer text, which may be empty."""
    return value != "" and unprintable(value)


def unprintable_text(value):
    """The same for one that may have several lines."""
    return unprintable_line(value.replace("\n", "x"))


def alike(names):
    return len(set(map(skeleton, names))) < len(names)


class Election:
    """A definition that does not contradict itself, and what follows from it."""

    def __init__(self, definition):
        self.secret = definition["secrecy"] == "secret"
        if contradicts(definition) or (secret_contradicts if self.secret else public_contradicts)(definition):
            raise Fault("bad-genesis", "the definition contradicts itself, or asks for what is unknown here")
        self.definition = definition
        self.network_id = hashlib.sha256(DOMAIN_GENESIS + canonical(definition)).digest()
        self.network_hex = self.network_id.hex()
        self.origin = "votenet/" + self.network_hex
        self.contests = definition["contests"]
        self.candidates = [{each["name"] for each in contest["candidates"]} for contest in self.contests]
        self.nodes = definition["nodes"]
        self.liars = max(0, (len(self.nodes) - 1) // 3)
        self.quorum = (len(self.nodes) + self.liars) // 2 + 1
        self.roll = None  # voter id to key, weight and credential, where the roll file is given
        self.roll_keys = self.roll_credentials = frozenset()
        self.base_weight = None if definition["weighted"] else definition["roll_size"]  # before amendments
        self.force = InForce(definition["closes"])
        self.belenios_hash = fingerprint(definition["belenios"])
        self.key = group_point(json.loads(definition["belenios"])["public_key"]) if self.secret else None

    def take_roll(self, path, needed=False):
        """Read the roll file, if there is one; `needed`: the votes are to be counted."""
        if path is not None:
            self.roll = read_roll(path, self.definition)
            self.roll_keys = {key for key, _, _ in self.roll.values()}
            self.roll_credentials = {credential for _, _, credential in self.roll.values()}
            self.base_weight = sum(weight for _, weight, _ in self.roll.values())
        elif needed and self.definition["weighted"]:
            raise Fault("roll-missing", "its votes have weights: give the roll of the election (--roll)")

    def key_of(self, voter):
        """The key in force of a voter; None where it is not known here."""
        if voter in self.force.keys:
            return self.force.keys[voter]
        return self.roll[voter][0] if self.roll is not None and voter in self.roll else None

    def credential_of(self, voter):
        """The credential in force of a voter; None where it is not known here."""
        if voter in self.force.credentials:
            return self.force.credentials[voter]
        return self.roll[voter][2] if self.roll is not None and voter in self.roll else None

    def weight(self, voter):
        if not self.definition["weighted"]:
            return 1
        return self.force.added[voter] if voter in self.force.added else self.roll[voter][1]

    def roll_weight(self):
        """The weight of all voters on the roll in force; None without a roll, or where it is not known."""
        return None if self.base_weight is None else self.base_weight + sum(self.force.added.values())

    def names(self, nodes):
        return [self.nodes[index]["name"] for index in nodes]

    def said(self, domain, node, statement, signature):
        """Whether a named node signed a statement, which gets the network id and the node's number."""
        if node >= len(self.nodes):
            return False
        key = bytes.fromhex(self.nodes[node]["statement_key"])
        message = canonical(dict(statement, network_id=self.network_hex, node=node))
        return signature_holds(key, domain + message, bytes.fromhex(signature))


class InForce:
    """What the amendments so far have made of an election; it is not changed, `amended` makes the next one.

    `keys` and `credentials`: those that amendments gave voters, `added`: the weights of the voters whom they
    added, all by voter id; `used` and `used_credentials`: all that they ever gave.
    """

    def __init__(self, closes, before=None):
        self.closes = closes
        self.cancelled = before is not None and before.cancelled
        self.records = list(before.records) if before else []
        self.keys, self.credentials, self.added = (
            (dict(before.keys), dict(before.credentials), dict(before.added)) if before else ({}, {}, {})
        )
        self.used, self.used_credentials = (
            (set(before.used), set(before.used_credentials)) if before else (set(), set())
        )

    def amended(self, records, election, at=None, voted=()):
        """What is in force behind more amendments, once they are judged in the order of their numbers.

        `at`: the time of their block, `voted`: the voters with a vote before, and in it; both are known only
        where there is a chain.
        """
        found = InForce(self.closes, self)
        for record in sorted(records, key=lambda each: each["number"]):
            wrong = found.wrong_in_itself(record, election) or found.wrong_here(record, election, at, voted)
            if wrong:
                raise Fault("bad-amendment", f"amendment {record['number']}: {wrong}")
            found.take(record)
        return found

    def wrong_in_itself(self, record, election):
        """Why a record is no amendment of the authority of this election; empty if it is one."""
        definition, action = election.definition, record["action"]
        if not election.nodes or definition["authority_key"] is None:
            return "this election has none: no named nodes, or no authority"
        if record["network_id"] != election.network_hex:
            return "it is of another network"
        has = [name for name in ("closes", "key", "voter_id", "weight") if record[name] is not None]
        if has != sorted(ACTIONS[action]):
            return f"{action} has {', '.join(ACTIONS[action]) or 'no more members'}"
        if unprintable_line(record["reason"]) or unprintable_line(record["voter_id"] or ""):
            return "a character of its texts is not allowed"
        if "key" in has and definition["registration"] != "roll":
            return "this election has no roll"
        if "key" in has and not key_can_sign(bytes.fromhex(record["key"])):
            return "its key is none"
        if ("credential" in record) != (election.secret and "key" in has):
            return "a credential stands in changes of the roll of a secret election, and nowhere else"
        if "credential" in record and not is_group_member(record["credential"]):
            return "its credential is no member of the group"
        if "weight" in has and record["weight"] != 1 and not definition["weighted"]:
            return "this election has no weights"
        signed = {name: value for name, value in record.items() if name not in ("kind", "signature")}
        key, signature = bytes.fromhex(definition["authority_key"]), bytes.fromhex(record["signature"])
        if not signature_holds(key, DOMAIN_AMENDMENT + canonical(signed), signature):
            return "the authority did not sign it"
        return ""

    def wrong_here(self, record, election, at, voted):
        """Why an amendment does not fit what is in force; empty if it does."""
        action, voter, new = record["action"], record["voter_id"], record["closes"]
        if record["number"] != len(self.records) + 1:
            return f"the next one has number {len(self.records) + 1}"
        if self.cancelled:
            return "the election was cancelled"
        if new is not None:
            opens, now = election.definition["opens"], self.closes
            if action == "extend" and (now is None or new <= now):
                return "it does not make the closing later"
            if action == "close" and now is not None and new >= now:
                return "it does not make the closing earlier"
            if opens is not None and new <= opens:
                return "it closes before the opening"
            if at is not None and at + NOTICE_SECONDS > min(new, new if now is None else now):
                return f"its block is from less than {NOTICE_SECONDS} seconds before a closing"
        if voter is not None:
            roll = election.roll
            if record["key"] in self.used or record["key"] in election.roll_keys:
                return "its key is, or was, that of a voter"
            credential = record.get("credential")
            if credential in self.used_credentials or credential in election.roll_credentials:
                return "its credential is, or was, that of a voter"
            known = voter in self.keys or (roll is not None and voter in roll)
            if action == "add-voter" and known:
                return f"{voter!r} is on the roll"
            if action == "replace-key" and not known and roll is not None:
                return f"{voter!r} is not on the roll"
            if action == "replace-key" and any(voter in voters for voters in voted):
                return f"{voter!r} has voted"
            weight = (election.base_weight or 0) + sum(self.added.values())
            most = SECRET_WEIGHT if election.secret else MAX_SAFE_INTEGER
            if action == "add-voter" and weight + record["weight"] > most:
                return "the weights are too large together"
        return ""

    def take(self, record):
        self.records.append(record)
        self.cancelled = record["action"] == "cancel"
        if record["closes"] is not None:
            self.closes = record["closes"]
        if record["voter_id"] is not None:
            self.keys[record["voter_id"]] = record["key"]
            self.used.add(record["key"])
        if "credential" in record:
            self.credentials[record["voter_id"]] = record["credential"]
            self.used_credentials.add(record["credential"])
        if record["weight"] is not None:
            self.added[record["voter_id"]] = record["weight"]


def contradicts(definition):
    """Whether a definition of the right shape breaks a rule, or asks for what this version does not hold."""
    opens, closes = definition["opens"], definition["closes"]
    has_roll = definition["registration"] == "roll"
    nodes = definition["nodes"]
    keys = [each[name] for each in nodes for name in NODE_KEYS]
    names = [each["name"] for each in [*nodes, *definition["witnesses"]]]
    contests = definition["contests"]
    return (
        any(contest_contradicts(contest, has_roll) for contest in contests)
        or sum(len(contest["candidates"]) for contest in contests) > MAX_CANDIDATES
        or len({contest["id"] for contest in contests}) != len(contests)
        or alike([contest["title"] for contest in contests])
        or any(map(unprintable, [*names, definition["title"]]))
        or unprintable_line(definition["organiser"])
        or alike([each["name"] for each in nodes])
        or len(set(keys)) != len(keys)
        or (opens is not None and closes is not None and opens >= closes)
        or has_roll != (definition["roll_root"] is not None)
        or has_roll != (definition["roll_size"] is not None)
        or target_of(definition["chain"]["bits"]) is None
        or (definition["weighted"] and not has_roll)
        or (definition["results"] == "after-close" and closes is None)
    )


def public_contradicts(definition):
    """Whether a definition with public ballots has what only secret ones need."""
    return definition["belenios"] != "" or definition["trustees"] is not None


def secret_contradicts(definition):
    """Whether a definition breaks a rule of docs/secret-ballots.md, "The definition"."""
    trustees, contests = definition["trustees"], definition["contests"]
    if (
        definition["registration"] != "roll"
        or definition["closes"] is None
        or not definition["nodes"]
        or trustees is None
        or definition["results"] != "live"
        or any(contest["method"] not in SECRET_METHODS for contest in contests)
        or longest_secret_vote(definition) > MAX_RECORD_BYTES
        or definition["roll_size"] > SECRET_WEIGHT
        or trustees["threshold"] > len(trustees["keys"])
        or not all(is_group_member(each["key"]) for each in trustees["keys"])
    ):
        return True
    names = [each["name"] for each in trustees["keys"]]
    if any(map(unprintable, names)) or alike(names):
        return True
    key = key_of_trustees(trustees)
    return key is None or definition["belenios"] != belenios_text(definition, key)


def belenios_text(definition, key):
    """Belenios' `election` for this definition and this key (64 digits), byte for byte.

    Its description is the hash of the definition, with an empty `belenios`.
    """
    questions = []
    for contest in definition["contests"]:
        question = {"answers": [candidate["name"] for candidate in contest["candidates"]]}
        if contest["blank"]:
            question["blank"] = True
        questions.append(
            question | {"min": contest["min"], "max": contest["max"], "question": contest["title"]}
        )
    without = canonical(definition | {"belenios": ""})
    election = {"version": 1, "description": hashlib.sha256(DOMAIN_BELENIOS + without).hexdigest()}
    election |= {"name": definition["title"], "group": "Ed25519"}
    return spelled(election | {"public_key": key, "questions": questions, "uuid": definition["uuid"]})


def spelled(value):
    """How Belenios writes JSON: compact, members in the order of its specification."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def longest_secret_vote(definition):
    """Bytes that the record of a vote on these contests has at most."""
    point, number, digest = "0" * 64, str(ORDER - 1), "h" * 43
    proof, pair = {"challenge": number, "response": number}, {"alpha": point, "beta": point}
    answers = []
    for contest in definition["contests"]:
        choices = len(contest["candidates"]) + contest["blank"]
        totals = contest["max"] - contest["min"] + 1 + contest["blank"]
        answer = {"choices": [pair] * choices, "individual_proofs": [[proof] * 2] * choices}
        answer["overall_proof"] = [proof] * totals
        answers.append(answer | ({"blank_proof": [proof] * 2} if contest["blank"] else {}))
    ballot = {"election_uuid": definition["uuid"], "election_hash": digest, "credential": point}
    ballot |= {"answers": answers, "signature": {"hash": digest, "proof": proof}}
    return len(canonical(spelled(ballot))) + AROUND_BALLOT


def key_of_trustees(trustees):
    """The key that these trustees' keys stand for, as 64 digits; None if they do not fit their threshold."""
    keys, threshold = [group_point(each["key"]) for each in trustees["keys"]], trustees["threshold"]
    places = range(1, threshold + 1)
    fewer = value_at(keys, places[:-1], threshold)
    if threshold > 1 and encoded_point(fewer) == encoded_point(keys[threshold - 1]):
        return None  # fewer trustees suffice
    for place in range(threshold + 1, len(keys) + 1):
        if encoded_point(value_at(keys, places, place)) != encoded_point(keys[place - 1]):
            return None
    key = written_point(value_at(keys, places, 0))
    return key if is_group_member(key) else None


def value_at(keys, places, at):
    """The point at `at` of the polynomial through the keys at these places (Lagrange)."""
    total = NEUTRAL
    for place in places:
        total = added(total, times(lagrange(places, place, at), keys[place - 1]))
    return total


def lagrange(places, place, at):
    """The factor of the key, or share, at `place` when those at `places` give the value at `at`."""
    above = below = 1
    for other in places:
        if other != place:
            above, below = above * (other - at) % ORDER, below * (other - place) % ORDER
    return above * pow(below, -1, ORDER) % ORDER


def contest_contradicts(contest, has_roll):
    names = [candidate["name"] for candidate in contest["candidates"]]
    texts = [contest["description"], *(candidate["statement"] for candidate in contest["candidates"])]
    method = contest["method"]
    return (
        not 1 <= len(names) <= MOST_CANDIDATES.get(method, MAX_CANDIDATES)
        or any(map(unprintable, [*names, contest["title"]]))
        or any(map(unprintable_text, texts))
        or alike(names)
        or not 1 <= contest["min"] <= contest["max"] <= len(names)
        or contest["seats"] > max(1, len(names) - 1)
        or (method in ONE_CHOICE and contest["max"] != 1)
        or (method in ONE_SEAT and contest["seats"] != 1)
        or motion_contradicts(contest, has_roll)
    )


def motion_contradicts(contest, has_roll):
    threshold, quorum = contest["threshold"], contest["quorum"]
    if contest["method"] != "motion":
        return threshold is not None or quorum is not None
    return (
        not 2 <= len(contest["candidates"]) <= 3
        or threshold is None
        or threshold == {"basis": "roll", "share": "simple"}
        or (not has_roll and (quorum is not None or threshold["basis"] == "roll"))
    )


def check_header_digits(digits):
    if len(digits) != 2 * HEADER_BYTES or re.fullmatch("[0-9a-f]*", digits) is None:
        raise Fault("bad-header", f"a header is {2 * HEADER_BYTES} lower-case hexadecimal digits")


def double_hash(raw):
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()


# -- signatures ----------------------------------------------------------------------------------------


def signature_holds(key, message, signature):
    """Ed25519 (RFC 8032), as libsodium checks it."""
    if VerifyKey is None:
        return ed25519_holds(key, message, signature)
    try:
        VerifyKey(key).verify(message, signature)
    except (ValueError, BadSignatureError):
        return False
    return True


PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME
ROOT_OF_MINUS_1 = pow(2, (PRIME - 1) // 4, PRIME)
NEUTRAL = (0, 1, 1, 0)


def ed25519_holds(key, message, signature):
    """What libsodium answers: S below the order, key canonical, key and R not of small order, no cofactor."""
    if len(key) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    point = decoded_point(key)
    if scalar >= ORDER or point is None or of_small_order(point):
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    x, y, z, t = point
    minus = (PRIME - x, y, z, PRIME - t)
    found = sum_of_products(scalar, BASE, int.from_bytes(digest, "little") % ORDER, minus)
    return encoded_point(found) == signature[:32] and not of_small_order(found)


def decoded_point(raw):
    """(X, Y, Z, T) of 32 bytes; None if they stand for no point, or are not the way to write it."""
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= PRIME:
        return None
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * ROOT_OF_MINUS_1 % PRIME
    if (x * x - square) % PRIME or (x == 0 and sign):
        return None
    x = PRIME - x if x & 1 != sign else x
    return x, y, 1, x * y % PRIME


def encoded_point(point):
    inverse = pow(point[2], -1, PRIME)
    x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def added(one, other):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * t1 * t2 * CURVE_D % PRIME, 2 * z1 * z2
    e, f, g, h = (b - a) % PRIME, d - c, d + c, (b + a) % PRIME
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def doubled(point):
    x, y, z, _ = point
    a, b = x * x, y * y
    h, g = (a + b) % PRIME, (a - b) % PRIME
    e, f = (h - (x + y) * (x + y)) % PRIME, 2 * z * z + g
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def of_small_order(point):
    x, y, z, _ = doubled(doubled(doubled(point)))
    return x % PRIME == 0 and (y - z) % PRIME == 0


def key_can_sign(key):
    """Whether 32 bytes are a point of prime order, in its one spelling: what an honest signer may have."""
    return is_valid_point(key) if LIBRARY_KNOWS_THE_GROUP else point_can_sign(key)


def point_can_sign(key):
    """What libsodium answers to `key_can_sign`."""
    point = decoded_point(key)
    if point is None or of_small_order(point):
        return False
    x, y, z, _ = sum_of_products(ORDER, point, 0, NEUTRAL)
    return x % PRIME == 0 and (y - z) % PRIME == 0


def is_group_member(text):
    """Whether 64 digits, as Belenios writes points, are a member of its group other than the identity."""
    return key_can_sign(bytes.fromhex(text)[::-1])


def group_point(text):
    """(X, Y, Z, T) of a member of the group, from 64 digits with the most significant first."""
    return decoded_point(bytes.fromhex(text)[::-1])


def written_point(point):
    return encoded_point(point)[::-1].hex()


def sum_of_products(first, one, second, other):
    """first * one + second * other, bit by bit from the top."""
    both, total = added(one, other), NEUTRAL
    for bit in range(max(first.bit_length(), second.bit_length()) - 1, -1, -1):
        total = doubled(total)
        wanted = (first >> bit & 1, second >> bit & 1)
        if wanted != (0, 0):
            total = added(total, both if wanted == (1, 1) else one if wanted[0] else other)
    return total


BASE = decoded_point((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"))


# -- blocks and votes ----------------------------------------------------------------------------------


class Headers:
    """The chain of headers of one election, from its genesis block on."""

    def __init__(self, election, now):
        chain = election.definition["chain"]
        self.floor = self.bits = chain["bits"]
        self.interval = chain["block_seconds"]
        self.named = bool(election.nodes)
        self.now = now
        self.height = 0
        self.work = 0
        self.times = [election.definition["created"]]
        self.medians = [election.definition["created"]]
        self.genesis = struct.pack(
            "<I32s32sIII", BLOCK_VERSION, bytes(32), election.network_id, self.times[0], self.bits, 0
        )
        self.tip = double_hash(self.genesis)

    def add(self, digits):
        """Check the next header; returns (its Merkle root, its time)."""
        check_header_digits(digits)
        return self.add_checked(bytes.fromhex(digits))

    def add_checked(self, raw):
        version, previous, root, at, bits, _ = struct.unpack("<I32s32sIII", raw)
        block = double_hash(raw)
        if previous != self.tip:
            raise Fault("broken-chain", "it does not name the block before it")
        if version != BLOCK_VERSION:
            raise Fault("bad-version", f"version {version}")
        if bits != self.next_bits():
            raise Fault("bad-bits", f"bits {bits:08x}")
        if int.from_bytes(block, "little") > target_of(bits):
            raise Fault("bad-work", "its hash is above the target")
        if self.named and at < self.times[-1]:
            raise Fault("bad-time", "before the block before it")
        if not self.named and at < self.medians[-1]:
            raise Fault("bad-time", "before the median of its ancestors")
        if not self.named and at > self.now + MAX_CLOCK_AHEAD:
            raise Fault("bad-time", "in the future")
        self.tip, self.bits = block, bits
        self.height += 1
        self.work += 2**256 // (target_of(bits) + 1)
        self.times = [*self.times[1 - MEDIAN_SPAN :], at]
        self.medians = [*self.medians[-2:], sorted(self.times)[len(self.times) // 2]]
        return root, at

    def next_bits(self):
        """The difficulty of the next block: docs/protocol.md, "Difficulty"."""
        if self.named or self.height < MEDIAN_SPAN:
            return self.floor
        before, last, newest = self.medians
        span, long = RETARGET_SPAN * self.interval, LONG_GAP * self.interval
        gap = newest - last
        if gap > long:
            gap = long if last - before > long else self.interval
        target = target_of(self.bits) * (span + gap - self.interval) // span
        easiest = target_of(self.floor)
        if target >= easiest:
            return self.floor
        return compact(max(target, easiest // MAX_RISE, 1))


def compact(target):
    """The 32 bits that stand for the largest number they can that is not above the target."""
    size = (target.bit_length() + 7) // 8
    size += (target >> (8 * (size - 1))) > 0x7F  # the top bit of the mantissa is a sign
    mantissa = target >> (8 * (size - 3)) if size > 3 else target << (8 * (3 - size))
    return size << 24 | mantissa


def leaf(record):
    return hashlib.sha256(b"\x00" + record).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves):
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node(tree_root(leaves[:split]), tree_root(leaves[split:]))


def path_root(leaf_hash, index, size, path):
    """RFC 9162, section 2.1.3.2; None if the path cannot fit."""
    if index >= size:
        return None
    last, found = size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = node(sibling, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node(found, sibling)
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


class Log:
    """The root of a growing RFC 6962 tree: kept are the roots of its complete subtrees, largest first."""

    def __init__(self):
        self.size = 0
        self.roots = []

    def add(self, leaf_hash):
        self.roots.append(leaf_hash)
        self.size += 1
        grown = self.size
        while grown % 2 == 0:  # two subtrees of one size become one
            right = self.roots.pop()
            self.roots[-1] = node(self.roots[-1], right)
            grown //= 2

    def root(self):
        if not self.roots:
            return hashlib.sha256(b"").digest()
        *rest, found = self.roots
        for left in reversed(rest):
            found = node(left, found)
        return found


def check_vote(vote, election, counts=True):
    """The rules for one vote, but for its signature; one that does not count may have a key of before."""
    who = repr(vote["voter_id"])
    if vote["network_id"] != election.network_hex:
        raise Fault("network-mismatch", f"the vote of {who} is of another network")
    if len(canonical(vote)) > (MAX_RECORD_BYTES if election.secret else MAX_VOTE_BYTES):
        raise Fault("vote-too-large", "the vote of " + who)
    keys = vote["signature"] + vote["voter_key"]
    if unprintable(vote["voter_id"]) or keys != keys.lower():
        raise Fault("bad-vote", "the vote of " + who)
    if election.secret != ("ballot" in vote) or (election.secret and vote["choices"]):
        raise Fault("bad-vote", "the vote of " + who)
    if not election.secret:
        check_open_choices(vote, election, who)
    if counts or not replaced(vote, election):
        check_key(vote, election)


def check_open_choices(vote, election, who):
    if len(vote["choices"]) != len(election.contests):
        raise Fault("bad-choices", "the vote of " + who)
    for choices, contest, names in zip(vote["choices"], election.contests, election.candidates, strict=True):
        check_choices(choices, contest, names, who)


def check_key(vote, election):
    """That the voter is on the roll in force with this key, as far as it is known here."""
    who, key = repr(vote["voter_id"]), election.key_of(vote["voter_id"])
    if key is None and election.roll is not None:
        raise Fault("not-on-roll", who + " is not on the roll")
    if key not in (None, vote["voter_key"]):
        raise Fault("wrong-key", who + " has another key on the roll")
    credential = election.credential_of(vote["voter_id"])
    if election.secret and credential is not None and credential != named_credential(vote["ballot"], who):
        raise Fault("unknown-credential", who + " has another credential on the roll")


def named_credential(ballot, who):
    """The credential that a ballot says it is made with."""

    def constant(text):
        raise ValueError(text)

    try:
        found = json.loads(ballot, parse_constant=constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("credential"), str):
        raise Fault("bad-document", f"the ballot of {who} is none of Belenios")
    return found["credential"]


def replaced(vote, election):
    """Whether an amendment gave the voter another key than that of the vote."""
    return election.force.keys.get(vote["voter_id"], vote["voter_key"]) != vote["voter_key"]


def check_choices(choices, contest, names, who):
    """The rules for the ballot of one contest."""
    where = f"the vote of {who} in contest {contest['id']}"
    if not choices and contest["blank"]:
        return
    if not contest["min"] <= len(choices) <= contest["max"] or len(set(choices)) != len(choices):
        raise Fault("bad-choices", where)
    if not names.issuperset(choices):
        raise Fault("unknown-candidate", where)


def check_signature(vote):
    unsigned = {name: value for name, value in vote.items() if name != "signature"}
    try:
        key, signature = bytes.fromhex(vote["voter_key"]), bytes.fromhex(vote["signature"])
    except ValueError:
        key, signature = b"", b""
    if not signature_holds(key, DOMAIN_VOTE + canonical(unsigned), signature):
        raise Fault("bad-signature", f"the vote of {vote['voter_id']!r}")


def check_hours(at, election):
    opens, closes = election.definition["opens"], election.definition["closes"]
    if opens is not None and at < opens:
        raise Fault("not-open", "the block is from before the opening")
    if not election.nodes and closes is not None and at >= closes:
        raise Fault("closed", "the block is from after the closing")


def check_miner(miner, block, height, election):
    """The signature of the named node that found a block."""
    if (miner is None) != (not election.nodes):
        raise Fault("bad-miner", "a block of named nodes has a signature, any other has none")
    if miner is None:
        return
    statement = {"block": block.hex(), "height": height}
    if not election.said(DOMAIN_BLOCK, miner["node"], statement, miner["signature"]):
        raise Fault("bad-miner", f"node {miner['node']} did not sign the block")


class Body:
    """The votes and the other records of a block, with their bytes and ids."""

    def __init__(self, line):
        self.votes = line["votes"]
        self.others = line["records"]
        self.amendments = [each for each in self.others if each["kind"] == "amendment"]
        self.records = [canonical(each) for each in [*self.votes, *self.others]]
        self.ids = list(map(leaf, self.records))
        self.bytes = sum(map(len, self.records))

    def check(self, root, at, election):
        """The rules for a block as a whole."""
        count = len(self.votes)
        if tree_root(self.ids) != root:
            raise Fault("bad-merkle-root", "these are not the records of the header")
        if count > election.definition["chain"]["max_block_votes"] or self.bytes > MAX_BLOCK_BYTES:
            raise Fault("block-too-large", f"{count} votes, {self.bytes} bytes")
        places = [(record["kind"], each) for record, each in zip(self.others, self.ids[count:], strict=True)]
        for order in (places, self.ids[:count]):
            if any(left >= right for left, right in pairwise(order)):
                raise Fault("bad-order", "the votes or records are not in their order")
        if len({vote["voter_id"] for vote in self.votes}) != count:
            raise Fault("voter-twice", "two votes of a voter in one block")
        if self.votes:
            check_hours(at, election)


# -- secret ballots ------------------------------------------------------------------------------------

SCALAR = re.compile("0|[1-9][0-9]{0,75}")


def fingerprint(text):
    """SHA-256 in base64 without padding: of Belenios' election, and of a ballot."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def challenge(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % ORDER


def sum_of(points):
    total = NEUTRAL
    for point in points:
        total = added(total, point)
    return total


def times(factor, point):
    return sum_of_products(factor % ORDER, point, 0, NEUTRAL)


def read_belenios(text, shape, what):
    """A document of Belenios with its points and numbers read, and their text beside them.

    `shape`: a dict of members (those with a question mark may be absent), a list of one shape for all of its
    items, or a function that reads a text.
    """

    def constant(_):
        raise ValueError("no number")

    try:
        value = json.loads(text, parse_constant=constant)
        spelled(value).encode("utf-8")  # half a surrogate pair, escaped, is no text
        read = read_shape(value, shape, what)
        again = spelled(in_order(value, shape)).encode("utf-8")
    except (ValueError, RecursionError):
        raise Fault("bad-document", f"{what} is none of Belenios") from None
    if again != text.encode("utf-8"):
        raise Fault("not-canonical", f"{what} is spelled in another way")
    return read


def read_shape(value, shape, what):
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError("not a list")
        return [read_shape(each, shape[0], what) for each in value]
    if not isinstance(shape, dict):
        return shape(value, what)
    wanted = {name.rstrip("?"): inner for name, inner in shape.items()}
    optional = {name.rstrip("?") for name in shape if name.endswith("?")}
    if not isinstance(value, dict):
        raise ValueError("not an object")
    read = dict.fromkeys(optional)
    for name, inner in value.items():  # as they stand in the document: the first fault is told
        if name not in wanted:
            raise ValueError("unknown member")
        if inner is not None or name not in optional:
            read[name] = read_shape(inner, wanted[name], what)
    if set(read) != set(wanted):
        raise ValueError("a member is missing")
    return read


def in_order(value, shape):
    """A value of this shape with the members in the order of the specification, absent ones left out."""
    if isinstance(shape, list):
        return [in_order(each, shape[0]) for each in value]
    if not isinstance(shape, dict):
        return value
    wanted = {name.rstrip("?"): inner for name, inner in shape.items()}
    return {
        name: in_order(value[name], inner) for name, inner in wanted.items() if value.get(name) is not None
    }


def a_text(value, what):
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def a_place(value, what):
    if type(value) is not int or value < 1:
        raise ValueError("not a place")
    return value


def a_scalar(value, what):
    if not isinstance(value, str) or SCALAR.fullmatch(value) is None or int(value) >= ORDER:
        raise Fault("bad-scalar", f"{what}: a number is not a text below the order of the group")
    return int(value)


def a_point(value, what):
    """Text and coordinates of a member of the group other than the identity."""
    if not isinstance(value, str) or HEX32.fullmatch(value) is None or not is_group_member(value):
        raise Fault("bad-point", f"{what}: a point is not in the group")
    return value, group_point(value)


def a_sum(value, what):
    """The same, or the identity."""
    if value == written_point(NEUTRAL):
        return value, NEUTRAL
    return a_point(value, what)


PROOF = {"challenge": a_scalar, "response": a_scalar}
BALLOT = {
    "election_uuid": a_text,
    "election_hash": a_text,
    "credential": a_point,
    "answers": [
        {
            "choices": [{"alpha": a_point, "beta": a_point}],
            "individual_proofs": [[PROOF]],
            "overall_proof": [PROOF],
            "blank_proof?": [PROOF],
        }
    ],
    "signature?": {"hash": a_text, "proof": PROOF},
}
DECRYPTION = {"decryption_factors": [[a_sum]], "decryption_proofs": [[PROOF]]}
SHARE = {"decryption": a_text, "place": a_place, "proof": PROOF}


def knows(proof, powers, prefix):
    """Whether the maker of a proof knew one exponent that makes every (base, result) of `powers`."""
    found = [sum_of_products(proof["response"], base, proof["challenge"], result) for base, result in powers]
    return proof["challenge"] == challenge(prefix + ",".join(map(written_point, found)))


def one_is_zero(proofs, encryptions, key, prefix):
    """Whether one of these encryptions, each (alpha, beta), is proven to be of zero."""
    if len(proofs) != len(encryptions):
        return False
    found = []
    for proof, (alpha, beta) in zip(proofs, encryptions, strict=True):
        found.append(sum_of_products(proof["response"], BASE, proof["challenge"], alpha))
        found.append(sum_of_products(proof["response"], key, proof["challenge"], beta))
    total = sum(proof["challenge"] for proof in proofs) % ORDER
    return total == challenge(prefix + ",".join(map(written_point, found)))


def check_secret_ballot(vote, election):
    """Every proof of the ballot of a vote; returns its ciphertexts, (alpha, beta) by contest and choice."""
    what = f"the ballot of {vote['voter_id']!r}"
    ballot = read_belenios(vote["ballot"], BALLOT, what)
    about = (ballot["election_uuid"], ballot["election_hash"])
    if about != (election.definition["uuid"], election.belenios_hash):
        raise Fault("wrong-election", f"{what} is of another election")
    if len(ballot["answers"]) != len(election.contests):
        raise Fault("bad-answers", f"{what} has {len(ballot['answers'])} answers")
    written, signature = json.loads(vote["ballot"]), ballot["signature"]
    written.pop("signature", None)
    if signature is None or signature["hash"] != fingerprint(spelled(written)):
        raise Fault("bad-ballot-signature", f"{what} has no signature, or that of another ballot")
    credential, point = ballot["credential"]
    if not knows(signature["proof"], [(BASE, point)], f"sig|{signature['hash']}|"):
        raise Fault("bad-ballot-signature", f"{what} is not signed by its credential")
    for contest, answer in zip(election.contests, ballot["answers"], strict=True):
        check_answer(answer, contest, election, credential, f"{what}, contest {contest['id']}")
    return [
        [(pair["alpha"][1], pair["beta"][1]) for pair in answer["choices"]] for answer in ballot["answers"]
    ]


def check_answer(answer, contest, election, credential, what):
    """The proofs of one contest: each choice is zero or one, and so many choices are allowed."""
    blank, key, choices = contest["blank"], election.key, answer["choices"]
    length = len(contest["candidates"]) + blank
    if not len(choices) == len(answer["individual_proofs"]) == length:
        raise Fault("bad-answers", f"{what}: not one ciphertext and proof for each choice")
    if (answer["blank_proof"] is not None) != blank:
        raise Fault("bad-answers", f"{what}: a blank proof where none may be, or none where one must be")
    texts = [f"{pair['alpha'][0]},{pair['beta'][0]}" for pair in choices]
    pairs = [(pair["alpha"][1], pair["beta"][1]) for pair in choices]
    about = f"{election.belenios_hash}|{credential}"
    for proofs, pair, text in zip(answer["individual_proofs"], pairs, texts, strict=True):
        if not one_is_zero(proofs, [pair, less(pair, 1)], key, f"prove|{about}|{text}|"):
            raise Fault("bad-choice-proof", f"{what}: a choice is not proven to be zero or one")
    about += "|" + ",".join(texts)
    total = (sum_of(alpha for alpha, _ in pairs[blank:]), sum_of(beta for _, beta in pairs[blank:]))
    allowed = [less(total, number) for number in range(contest["min"], contest["max"] + 1)]
    prefix = f"bproof1|{about}|"
    if blank:
        allowed.insert(0, less(pairs[0], 1))
    else:
        prefix = f"prove|{about}|{written_point(total[0])},{written_point(total[1])}|"
    if not one_is_zero(answer["overall_proof"], allowed, key, prefix):
        raise Fault("bad-total-proof", f"{what}: the sum of the choices is not proven to be allowed")
    if blank and not one_is_zero(answer["blank_proof"], [pairs[0], total], key, f"bproof0|{about}|"):
        raise Fault("bad-blank-proof", f"{what}: a blank vote is not proven to choose nothing")


def less(pair, number):
    """The encryption of a number that is smaller by this."""
    return pair[0], added(pair[1], times(-number, BASE)) if number else pair[1]


class SecretSum:
    """The sums of all choices under encryption, (alpha, beta) by contest and choice, and what opens them."""

    def __init__(self, election):
        self.election = election
        self.rows = [
            [(NEUTRAL, NEUTRAL)] * (len(each["candidates"]) + each["blank"]) for each in election.contests
        ]

    def add(self, pairs, weight):
        for row, answer in zip(self.rows, pairs, strict=True):
            for place, (alpha, beta) in enumerate(answer):
                if weight != 1:
                    alpha, beta = times(weight, alpha), times(weight, beta)
                row[place] = added(row[place][0], alpha), added(row[place][1], beta)

    def check_share(self, text):
        """(place, factors by contest and choice) of the share of a trustee that belongs to these sums."""
        share = read_belenios(text, SHARE, "a share")
        place, keys = share["place"], self.election.definition["trustees"]["keys"]
        what = f"the share of trustee {place}"
        if place > len(keys):
            raise Fault("bad-decryption", what + ": there is no such trustee")
        try:
            found = read_belenios(share["decryption"], DECRYPTION, what)
        except Fault as fault:
            raise Fault("bad-decryption", str(fault)) from None
        factors, proofs = found["decryption_factors"], found["decryption_proofs"]
        lengths = list(map(len, self.rows))
        if list(map(len, factors)) != lengths or list(map(len, proofs)) != lengths:
            raise Fault("bad-decryption", what + ": not one factor and proof for each sum")
        key = keys[place - 1]["key"]
        prefix, point = f"decrypt|{self.election.belenios_hash}|{key}|", group_point(key)
        alphas = [alpha for row in self.rows for alpha, _ in row]
        points = [one for row in factors for _, one in row]
        for alpha, factor, proof in zip(alphas, points, chain(*proofs), strict=True):
            if not knows(proof, [(BASE, point), (alpha, factor)], prefix):
                raise Fault("bad-decryption", what + ": a factor is not proven")
        context = self.context(key, share["decryption"])
        both = [(BASE, point), (combined(alphas, context), combined(points, context))]
        if not knows(share["proof"], both, f"share|{context}|"):
            raise Fault("bad-decryption", what + ": its factors are not of one private key")
        return place, [[one for _, one in row] for row in factors]

    def context(self, key, decryption):
        """The hash of all that the added proof of a share is about."""
        sums = spelled(
            [
                [{"alpha": written_point(alpha), "beta": written_point(beta)} for alpha, beta in row]
                for row in self.rows
            ]
        )
        digest = hashlib.sha256(SHARE_PREFIX)
        parts = (self.election.definition["belenios"].encode(), sums.encode(), bytes.fromhex(key)[::-1])
        for part in (*parts, decryption.encode()):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def opened(self, shares, most):
        """The number behind each sum, up to `most`, from the factors of enough trustees by their places."""
        places = sorted(shares)[: self.election.definition["trustees"]["threshold"]]
        powers = []
        for number, row in enumerate(self.rows):
            powers.append([])
            for choice, (_, beta) in enumerate(row):
                parts = (
                    times(-lagrange(places, place, 0), shares[place][number][choice]) for place in places
                )
                powers[-1].append(added(beta, sum_of(parts)))
        return logarithms(powers, most)


def combined(points, context):
    return sum_of(times(challenge(f"combine|{context}|{n}"), point) for n, point in enumerate(points))


def logarithms(powers, most):
    """The exponent of the generator, from 0 to `most`, of each of these points (baby steps, giant steps)."""
    step = 1
    while step * step <= most:
        step += 1
    small, power = {}, NEUTRAL
    for exponent in range(step):
        small[encoded_point(power)] = exponent
        power = added(power, BASE)
    giant = times(-step, BASE)

    def find(point):
        for count in range(step):
            rest = small.get(encoded_point(point))
            if rest is not None and count * step + rest <= most:
                return count * step + rest
            point = added(point, giant)
        raise Fault("bad-result", "a sum is larger than the weight of all votes")

    return [[find(point) for point in row] for row in powers]


# -- the closing ---------------------------------------------------------------------------------------


class Closing:
    """The end of an election with named nodes: the closing block, and the votes that it lets in after it."""

    def __init__(self, election):
        self.election = election
        self.lists = {}  # by node: the ids in its list
        self.late = None  # ids that the blocks after the closing hold, ascending; None before the closing
        self.taken = 0
        self.room = (0, 0)  # votes and bytes that the block before this one had left

    @property
    def over(self):
        return self.late is not None and self.taken == len(self.late)

    def add(self, body, closing, height, on_chain, voters):
        """Check the place of a block, and the block if it closes the election."""
        lists = [record for record in body.others if record["kind"] == "closing-list"]
        if self.election.force.cancelled:
            raise Fault("cancelled", "the election was cancelled in a block before")
        if body.amendments and (closing is not None or lists or (self.late is not None and not self.over)):
            raise Fault("bad-amendment", "an amendment in the closing block, or after it")
        if self.late is None:
            if closing is not None or lists:
                self.late = self.counted(body, lists, closing, height, on_chain)
            elif len(body.amendments) != len(body.others):
                raise Fault("bad-late-votes", "votes are left out before the closing")
        elif closing is not None or lists:
            raise Fault("bad-closing", "the election has been closed before")
        elif self.over:
            raise Fault("closed", "the election has ended")
        else:
            self.take(body, voters)

    def counted(self, body, lists, closing, height, on_chain):
        """The ids that a closing block counts and that are in no block yet."""
        election = self.election
        nodes = sorted(each["node"] for each in lists)
        if election.force.closes is None or not election.nodes:
            raise Fault("bad-closing", "this election has no closing block")
        if closing is None or len(lists) != len(body.others) or body.votes:
            raise Fault("bad-closing", "a closing block holds closing lists and their ids, and no votes")
        if len(set(nodes)) != len(nodes) or len(nodes) < election.quorum:
            raise Fault("bad-closing", f"lists of {election.quorum} different nodes are needed")
        lists.sort(key=lambda each: each["node"])
        ids, bits = listed_ids(closing, len(lists))
        for place, each in enumerate(lists):
            own = [one for one, mask in zip(ids, bits, strict=True) if mask >> place & 1]
            self.check_list(each, own, height)
            self.lists[each["node"]] = set(own)
        enough = election.liars + 1
        return [
            one
            for one, mask in zip(ids, bits, strict=True)
            if mask.bit_count() >= enough and one not in on_chain
        ]

    def check_list(self, each, ids, height):
        statement = {name: each[name] for name in ("closes", "count", "height", "root")}
        if (
            each["network_id"] != self.election.network_hex
            or each["closes"] != self.election.force.closes
            or each["height"] > height
            or each["count"] != len(ids)
            or each["root"] != tree_root(ids).hex()
        ):
            raise Fault("bad-closing", f"the list of node {each['node']} is another one")
        if not self.election.said(DOMAIN_CLOSING_LIST, each["node"], statement, each["signature"]):
            raise Fault("bad-closing", f"node {each['node']} did not sign its list")

    def take(self, body, voters):
        """Check that a block holds the next of the counted ids, as many as fit, each where it belongs."""
        limit = self.election.definition["chain"]["max_block_votes"]
        held = [(leaf(canonical(vote)), vote, True) for vote in body.votes]
        held += [(leaf(canonical(each["vote"])), each["vote"], False) for each in body.others]
        sizes = dict(zip([one for one, _, _ in held], map(len, body.records), strict=True))
        held.sort(key=lambda each: each[0])
        ids = [one for one, _, _ in held]
        if not ids or ids != self.late[self.taken : self.taken + len(ids)]:
            raise Fault("bad-late-votes", "these are not the next votes that the closing counts")
        if self.room[0] >= 1 and self.room[1] >= sizes[ids[0]]:
            raise Fault("bad-late-votes", "the first of these votes had room in the block before")
        if len(ids) > limit:
            raise Fault("bad-late-votes", f"{len(ids)} votes, {limit} fit")
        here = set()
        for _, vote, counts in held:
            voter = vote["voter_id"]
            if counts == (voter in here or voter in voters or replaced(vote, self.election)):
                raise Fault("bad-late-votes", f"of the votes of {voter!r} the first counts, no other")
            if counts:
                here.add(voter)
        self.taken += len(ids)
        self.room = (limit - len(ids), MAX_BLOCK_BYTES - body.bytes)


def listed_ids(closing, lists):
    """(ids, for each the lists that it stands in as the bits of a number) of a closing block."""
    raw = [decoded_base64(closing[name]) for name in ("ids", "bits")]
    if None in raw or len(raw[0]) % 32:
        raise Fault("bad-closing", "ids and bits are written in base64")
    ids = [raw[0][start : start + 32] for start in range(0, len(raw[0]), 32)]
    width = (lists + 7) // 8
    if len(ids) > MAX_CLOSING_IDS or len(raw[1]) != width * len(ids):
        raise Fault("bad-closing", "each id has its bits")
    bits = [int.from_bytes(raw[1][start : start + width], "little") for start in range(0, len(raw[1]), width)]
    if any(left >= right for left, right in pairwise(ids)):
        raise Fault("bad-closing", "the ids do not ascend")
    if any(mask == 0 or mask >> lists for mask in bits):
        raise Fault("bad-closing", "an id stands in no list, or in one that is not there")
    return ids, bits


def decoded_base64(text):
    """The bytes of canonical base64; None if it is written in any other way."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode("ascii") == text else None


# -- certificates and proofs of the log ----------------------------------------------------------------


def read_note(note):
    """(text, [(name of a signer, bytes of the signature)]) of a signed note (C2SP)."""
    body, blank, signatures = note.rpartition("\n\n")
    if len(note) > MAX_NOTE_SIZE or not blank or not signatures.endswith("\n"):
        raise Fault("bad-note", "the certificate is not a signed note")
    if any(character < " " and character != "\n" for character in note):
        raise Fault("bad-note", "the certificate holds a control character")
    lines = []
    for line in signatures[:-1].split("\n"):
        found = re.fullmatch(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)", line)
        raw = decoded_base64(found[2]) if found else None
        if raw is None or len(raw) < 5 or len(found[1]) > MAX_KEY_NAME:
            raise Fault("bad-note", "a line of the certificate is not a signature")
        lines.append((found[1], raw))
    if len(lines) > MAX_NOTE_SIGNATURES:
        raise Fault("bad-note", "the certificate has too many signatures")
    return body + "\n", lines


def read_certificate(note, election):
    """(size, root, the named nodes that cosigned) of a certificate that a quorum cosigned."""
    body, lines = read_note(note)
    origin, size, root, more = read_checkpoint(body)
    if origin != election.origin or more:
        raise Fault("bad-checkpoint", "the certificate is no checkpoint of this election")
    signers = set()
    for name, raw in lines:
        index = signer_of(name, raw[:4], election)
        if index is None:
            continue  # the signature of a witness, or of a log key
        check_cosignature(raw, body, index, election)
        signers.add(index)
    if not signers:
        raise Fault("bad-note", "no named node signed the certificate")
    if len(signers) < election.quorum:
        raise Fault("bad-certificate", f"{len(signers)} named nodes signed, {election.quorum} are needed")
    return size, root, sorted(signers)


def read_checkpoint(body):
    """(origin, size, root, other lines) of the text of a checkpoint (C2SP)."""
    lines = body[:-1].split("\n")
    root, size = (decoded_base64(lines[2]), decimal(lines[1])) if len(lines) >= 3 else (None, None)
    if size is None or root is None or len(root) != 32 or not all(lines):
        raise Fault("bad-checkpoint", "it is no checkpoint")
    return lines[0], size, root, lines[3:]


def check_cosignature(raw, body, index, election):
    """That a named node made this cosignature of a checkpoint."""
    key = bytes.fromhex(election.nodes[index]["cosign_key"])
    at = int.from_bytes(raw[4:12], "big")
    message = f"cosignature/v1\ntime {at}\n{body}".encode()
    if len(raw) != 76 or at > MAX_LOG_SIZE or not signature_holds(key, message, raw[12:]):
        raise Fault("bad-cosignature", f"node {index} did not sign the checkpoint")


def signer_of(name, key_id, election):
    """The named node whose cosignature this claims to be, or None."""
    for index, each in enumerate(election.nodes):
        own = f"{election.origin}/{index}"
        key = bytes([COSIGNATURE]) + bytes.fromhex(each["cosign_key"])
        if name == own and key_id == hashlib.sha256(own.encode() + b"\n" + key).digest()[:4]:
            return index
    return None


def decimal(text):
    """A number of the log in decimal, written without leading zeroes; None for any other text."""
    if re.fullmatch("0|[1-9][0-9]{0,18}", text) is None or int(text) > MAX_LOG_SIZE:
        return None
    return int(text)


def read_log_proof(proof):
    """(index, path, certificate) of a C2SP proof of inclusion."""
    head, blank, certificate = proof.partition("\n\n")
    heading, *lines = head.split("\n")
    extra = lines.pop(0).removeprefix("extra ") if lines and lines[0].startswith("extra ") else None
    index = decimal(lines[0].removeprefix("index ")) if lines and lines[0].startswith("index ") else None
    path = [decoded_base64(line) for line in lines[1:]]
    if (
        not blank
        or heading != PROOF_HEADING
        or index is None
        or (extra is not None and not decoded_base64(extra))
        or len(path) > MAX_PROOF_HASHES
        or any(each is None or len(each) != 32 for each in path)
    ):
        raise Fault("bad-proof", "it is not a proof of the log")
    return index, path, certificate


def check_acceptances(acceptances, vote_id, election):
    """The named nodes that hold a signed acceptance of the vote, dated before the closing."""
    nodes = [each["node"] for each in acceptances]
    if any(left >= right for left, right in pairwise(nodes)):
        raise Fault("bad-acceptance", "each node accepts once, in the order of the nodes")
    for each in acceptances:
        if not accepted(each, vote_id, election) or not in_time(each, election.force.closes):
            raise Fault("bad-acceptance", f"node {each['node']} did not accept the vote in time")
    return nodes


def accepted(acceptance, vote_id, election):
    """Whether a named node signed that it received the vote."""
    path = [bytes.fromhex(sibling) for sibling in acceptance["path"]]
    root = path_root(vote_id, acceptance["index"], acceptance["count"], path)
    if root is None:
        return False
    statement = {"count": acceptance["count"], "root": root.hex(), "time": acceptance["time"]}
    return election.said(DOMAIN_ACCEPTANCE, acceptance["node"], statement, acceptance["signature"])


def in_time(acceptance, closes):
    return closes is None or acceptance["time"] < closes


# -- counting ------------------------------------------------------------------------------------------


class Tally:
    """The ballots of one contest: the weight of each different one; `()` is a blank ballot."""

    def __init__(self):
        self.ballots = Counter()
        self.votes = self.blank = self.weight = 0

    def add(self, ballot, weight=1):
        self.ballots[ballot] += weight
        self.votes += 1
        self.blank += not ballot
        self.weight += weight


def count(tally, contest, network_hex, roll_weight=None):
    """Votes and result of one contest: docs/elections.md."""

    def lot(name):
        return hashlib.sha256(DOMAIN_TIE + canonical([network_hex, contest["id"], name])).digest()

    method, names = contest["method"], [each["name"] for each in contest["candidates"]]
    if method not in METHODS:
        raise Fault("bad-record", f"the method {method!r} is not known")
    counts = dict.fromkeys(names, 0)
    for ballot, weight in tally.ballots.items():
        for choice in ballot if method in EVERY_CHOICE else ballot[:1]:
            counts[choice] += weight
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    found = {
        "counts": [list(line) for line in ranked],
        "votes": tally.votes,
        "blank": tally.blank,
        "weight": tally.weight,
        "state": "undecided",
        "winners": [],
        "tied": [],
        "quota": "",
        "conditions": [],
    }
    if method == "motion" and tally.votes:
        conditions = motion(counts, contest, tally.weight, roll_weight)
        carried = all(condition["met"] for condition in conditions)
        return found | {"state": "carried" if carried else "rejected", "conditions": conditions}
    # Of secret ballots the blank ones are known by their weight alone: it may be the number of all votes.
    ballots = {ballot: weight for ballot, weight in tally.ballots.items() if ballot and weight}
    if method == "motion" or not ballots:
        return found
    if method == "stv":
        winners, tied, quota = stv(ballots, names, contest["seats"], lot)
        found["quota"] = str(quota)
    elif method == "schulze":
        winners, tied = schulze(ballots, names, contest["seats"], lot)
    elif method == "instant-runoff":
        winners, tied = runoff(ballots, names, lot)
    else:
        winners, tied = most_votes(ranked, contest["seats"], lot)
    return found | {"state": "tied" if tied else "won", "winners": winners, "tied": tied}


def most_votes(ranked, seats, lot):
    """(winners, those whom the lot separates at the last seat) of a list with most votes first."""
    if len(ranked) == seats or ranked[seats - 1][1] > ranked[seats][1]:
        return [name for name, _ in ranked[:seats]], []
    level = [name for name, votes in ranked if votes == ranked[seats][1]]
    level.sort(key=lot, reverse=True)
    sure = [name for name, votes in ranked if votes > ranked[seats][1]]
    return [*sure, *level][:seats], level


def motion(counts, contest, weight, roll_weight):
    """What a motion needs, and what it got. `weight`: of all ballots."""
    yes, no, *_ = counts.values()
    share, of_roll = contest["threshold"]["share"], contest["threshold"]["basis"] == "roll"
    if share in SHARES:
        parts, whole = SHARES[share]
        base = roll_weight if of_roll else yes + no
        met, needed = whole * yes >= parts * base and yes > 0, max(1, -(-parts * base // whole))
    else:
        base = roll_weight if of_roll else weight if share == "absolute" else yes + no
        met, needed = 2 * yes > base, base // 2 + 1
    conditions = [{"name": "threshold", "needed": needed, "got": yes, "met": met}]
    if contest["quorum"] is not None:
        percent = contest["quorum"]["percent"]
        needed, met = -(-percent * roll_weight // 100), 100 * weight >= percent * roll_weight
        conditions.append({"name": "quorum", "needed": needed, "got": weight, "met": met})
    return conditions


def runoff(ballots, standing, lot):
    """(winners, tied) by instant runoff: the weakest leave round by round until one has more than half.

    The last two are tied where only the lot separated them: they were equal in every round.
    """
    lots = {name: lot(name) for name in standing}
    rank, equal = dict.fromkeys(standing, 0), []  # larger: more votes in the last round that differs
    while True:
        votes = dict.fromkeys(standing, 0)
        for ballot, times in ballots.items():
            choice = next((name for name in ballot if name in votes), None)
            if choice is not None:
                votes[choice] += times
        best = max(votes, key=votes.__getitem__)
        if 2 * votes[best] > sum(votes.values()):
            return [best], [best, *equal] if equal else []
        fewest = min(votes.values())
        out = [name for name in standing if votes[name] == fewest]
        if fewest:  # of several the weaker one in the last round that differs, or by lot
            alike = len(standing) == len(out) == 2 and len({rank[name] for name in out}) == 1
            out = [min(out, key=lambda name: (rank[name], lots[name]))]
            equal = out if alike else []
        standing = [name for name in standing if name not in out]
        places = {pair: place for place, pair in enumerate(sorted({(votes[n], rank[n]) for n in standing}))}
        rank = {name: places[votes[name], rank[name]] for name in standing}


def stv(ballots, names, seats, lot):
    """(winners in the order of election, tied, quota) by the rules of Scottish councils."""
    lots = {name: lot(name) for name in names}
    held = {name: [] for name in names}  # (ballot, its weight, the value of each in units)
    votes, past = dict.fromkeys(names, 0), {name: [] for name in names}
    standing, elected, surpluses, level = dict.fromkeys(names), [], [], []

    def give(ballot, weight, value):
        choice = next((name for name in ballot if name in standing), None)
        if choice is not None:
            held[choice].append((ballot, weight, value))
            votes[choice] += weight * value

    def hand_on(name, part, whole):
        for ballot, weight, value in held.pop(name):
            give(ballot, weight, value * part // whole)

    def strength(name):  # of equal votes those of the round before decide, and so on, at last the lot
        return past[name][::-1], lots[name]

    for ballot, weight in ballots.items():
        give(ballot, weight, STV_UNIT)
    quota = sum(ballots.values()) // (seats + 1) + 1
    while True:
        for name, now in votes.items():
            past[name].append(now)
        reached = [name for name in standing if votes[name] >= quota * STV_UNIT]
        reached.sort(key=strength, reverse=True)
        surpluses += [name for name in reached if votes[name] > quota * STV_UNIT]
        elected += reached
        standing = {name: None for name in standing if name not in reached}
        if len(standing) + len(elected) <= seats:
            elected += sorted(standing, key=strength, reverse=True)
        if len(elected) >= seats:
            break
        if surpluses:
            largest = max(surpluses, key=strength)
            surpluses.remove(largest)
            whole, votes[largest] = votes[largest], quota * STV_UNIT
            hand_on(largest, whole - quota * STV_UNIT, whole)
        else:
            weakest = min(standing, key=strength)
            level = [name for name in standing if past[name] == past[weakest]]
            del standing[weakest], votes[weakest]
            hand_on(weakest, 1, 1)
    # The lot gave a seat where it chose the last one to leave, and all others who were equal have seats.
    tied = len(level) > 1 and len(set(level).difference(elected)) == 1
    return elected, sorted(level, key=lots.get, reverse=True) if tied else [], quota


def schulze(ballots, names, seats, lot):
    """(winners, tied) by the strongest paths of pairwise preferences."""
    ranked, before, of_weight = Counter(), Counter(), {}
    for ballot, weight in ballots.items():
        of_weight.setdefault(weight, []).append(ballot)
        for name in ballot:
            ranked[name] += weight
    for weight, equals in of_weight.items():
        pairs = Counter(chain.from_iterable(combinations(ballot, 2) for ballot in equals))
        for pair, times in pairs.items():
            before[pair] += weight * times
    links = {one: {} for one in names}
    for one, other in permutations(names, 2):
        # One is preferred by all who rank it, but for those who rank the other before it.
        votes, against = ranked[one] - before[other, one], ranked[other] - before[one, other]
        if votes > against:
            links[one][other] = (votes, -against)
    paths = {one: strongest_paths(one, links) for one in names}
    none, left, winners = (0, 0), list(names), []
    while True:
        best = [
            one
            for one in left
            if all(paths[one].get(other, none) >= paths[other].get(one, none) for other in left)
        ]
        if len(winners) + len(best) >= seats:
            break
        winners += best
        left = [name for name in left if name not in best]
    if len(winners) + len(best) == seats:
        return winners + best, []
    best.sort(key=lot, reverse=True)
    return (winners + best)[:seats], best


def strongest_paths(source, links):
    """How strong the strongest path from one candidate to each other is, where there is one."""
    found, open_ends = {}, dict(links[source])
    while open_ends:
        nearest = max(open_ends, key=open_ends.get)
        found[nearest] = strength = open_ends.pop(nearest)
        for other, link in links[nearest].items():
            if other != source and other not in found:
                open_ends[other] = max(min(strength, link), open_ends.get(other, (0, 0)))
    return found


# -- whole files ---------------------------------------------------------------------------------------


class Again(io.RawIOBase):
    """A file, with its first bytes put back: a pipe gives them once, and perhaps one by one."""

    def __init__(self, head, file):
        self.head, self.file = head, file

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.head[: len(buffer)] or self.file.read1(len(buffer))
        self.head = self.head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def open_file(path):
    """A file, or standard input for `-`, uncompressed: by its first bytes, or as its name says."""
    with contextlib.ExitStack() as opened:
        if path == "-" and sys.stdin is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), path)
        file = sys.stdin.buffer if path == "-" else opened.enter_context(open(path, "rb"))
        head = file.read(6)
        raw = io.BufferedReader(Again(head, file), 1024 * 1024)
        if head.startswith(b"\xfd7zXZ\0") or path.endswith(".xz"):
            yield opened.enter_context(lzma.LZMAFile(raw, format=lzma.FORMAT_XZ))
        elif head.startswith(b"\x1f\x8b") or path.endswith(".gz"):
            yield opened.enter_context(gzip.GzipFile(fileobj=raw))
        else:
            yield raw


def read_piece(file, size, line=False):
    """The next bytes, up to a newline where a line is asked for."""
    try:
        return file.readline(size) if line else file.read(size)
    except EOFError:
        raise Fault("truncated", "the compressed file ends too early") from None
    except (lzma.LZMAError, zlib.error, OSError) as error:
        raise Fault("unreadable", str(error)) from None


def numbered_lines(file):
    """(number, line without its newline); never ends of itself."""
    number = 0
    while True:
        number += 1
        line = read_piece(file, MAX_ARCHIVE_LINE + 1, line=True)
        if len(line) > MAX_ARCHIVE_LINE:
            raise Fault("line-too-long", f"line {number}")
        yield number, line


def whole(line):
    if not line.endswith(b"\n"):
        raise Fault("truncated", "the file ends too early")
    return line[:-1]


def read_roll(path, definition):
    """Voter id to key, weight and credential, out of the roll file whose root the definition names."""
    data = read_all(path, "bad-roll")
    try:
        roll = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
        shape_of_roll(roll)
        voters = sorted(roll["voters"], key=lambda voter: voter[0].encode("utf-8"))
        root = tree_root([leaf(DOMAIN_ROLL + canonical(voter)) for voter in voters]).hex()
        need(root == roll["root"], "its voters do not give the root that it names")
    except (ValueError, RecursionError, Fault) as error:
        raise Fault("bad-roll", f"the roll file is not valid: {str(error)[:200]}") from None
    if definition["registration"] == "open":
        raise Fault("roll-not-used", "this election is open to everybody: it has no roll")
    if root != definition["roll_root"] or len(voters) != definition["roll_size"]:
        raise Fault("roll-mismatch", "this is not the roll of the election")
    if not definition["weighted"] and any(voter[2] != 1 for voter in voters):
        raise Fault("roll-mismatch", "the roll has weights, the election has none")
    secret = definition["secrecy"] == "secret"
    if secret != (voters[0][3] != ""):
        raise Fault("roll-mismatch", "a roll has credentials where ballots are secret, and only there")
    if secret and sum(voter[2] for voter in voters) > SECRET_WEIGHT:
        raise Fault("roll-mismatch", f"the weights are more than {SECRET_WEIGHT} together")
    return {voter[0]: (voter[1], voter[2], voter[3]) for voter in voters}


NOT_HELD = {
    "counts": [],
    "votes": 0,
    "blank": 0,
    "weight": 0,
    "state": "cancelled",
    "winners": [],
    "tied": [],
    "quota": "",
    "conditions": [],
}


class Books:
    """What a reader of an archive keeps while the blocks go by."""

    def __init__(self, election, now):
        self.election, self.now = election, now
        self.headers = Headers(election, now)
        self.log = Log()
        self.log.add(leaf(self.headers.genesis))
        self.closing = Closing(election)
        self.voters = {}  # voter id to the id of the vote
        self.ids = set()  # of votes; only with named nodes, whose closing lists may name some of them again
        self.tallies = [Tally() for _ in election.contests]
        self.weight = 0  # of all votes
        self.sums = SecretSum(election) if election.secret else None
        self.shares = {}  # of trustees: by their places, the factors of each
        self.open = not election.secret  # whether what was voted is known

    def take_block(self, line):
        election = self.election
        root, at = self.headers.add(line["header"])
        check_miner(line["miner"], self.headers.tip, self.headers.height, election)
        body = Body(line)
        body.check(root, at, election)
        self.closing.add(body, line["closing"], self.headers.height, self.ids, self.voters)
        voted = (self.voters, {vote["voter_id"] for vote in body.votes})
        after = election.force.amended(body.amendments, election, at, voted) if body.amendments else None
        second = [each["vote"] for each in body.others if each["kind"] == "not-counted"]
        for vote in body.votes:
            check_vote(vote, election)
        for vote in second:
            check_vote(vote, election, counts=False)
        for vote in body.votes:
            if vote["voter_id"] in self.voters:
                raise Fault("voter-twice", f"{vote['voter_id']!r} has voted before")
        self.voters.update((vote["voter_id"], one) for vote, one in zip(body.votes, body.ids, strict=False))
        ballots = []
        for vote in [*body.votes, *second]:
            check_signature(vote)
            if election.secret:
                ballots.append(check_secret_ballot(vote, election))
        for place, vote in enumerate(body.votes):
            weight = election.weight(vote["voter_id"])
            self.weight += weight
            if election.secret:
                self.sums.add(ballots[place], weight)
                continue
            for tally, choices in zip(self.tallies, vote["choices"], strict=True):
                tally.add(tuple(choices), weight)
        if election.nodes:
            self.ids.update(body.ids[: len(body.votes)])
        election.force = after or election.force
        for each in [*body.ids, leaf(bytes.fromhex(line["header"]))]:
            self.log.add(each)

    def counts_shown(self):
        """Whether the organisers want counts to be shown by now."""
        election = self.election
        closes = election.force.closes
        if election.secret:
            return election.force.cancelled or self.open
        if election.force.cancelled or election.definition["results"] == "live" or closes is None:
            return True
        return self.closing.over if election.nodes else self.now >= closes

    def counted(self):
        """Of each contest its definition, and what `count` says; nothing where the election was cancelled."""
        election = self.election
        if election.force.cancelled:
            return [(contest, NOT_HELD) for contest in election.contests]
        return [
            (contest, count(tally, contest, election.network_hex, election.roll_weight()))
            for contest, tally in zip(election.contests, self.tallies, strict=True)
        ]

    def take_shares(self, shares, signers):
        """Check the shares of trustees against the sums of the votes, and open these where they suffice."""
        election = self.election
        if not election.secret:
            raise Fault("bad-record", "the ballots are public, and there are shares of trustees")
        if not self.closing.over or election.force.cancelled or not signers:
            raise Fault("not-final", "trustees decrypt nothing before the result is final")
        # One more than there are trustees cannot be in order: none is checked behind it.
        found = [
            self.sums.check_share(text) for text in shares[: len(election.definition["trustees"]["keys"]) + 1]
        ]
        places = [place for place, _ in found]
        if not places or any(left >= right for left, right in pairwise(places)):
            raise Fault("bad-order", "the shares are not in the order of their trustees, each once")
        self.shares = dict(found)
        if len(places) < election.definition["trustees"]["threshold"]:
            return
        rows = self.sums.opened(self.shares, self.weight)
        for contest, tally, row in zip(election.contests, self.tallies, rows, strict=True):
            names = [(each["name"],) for each in contest["candidates"]]
            tally.ballots.update(dict(zip(names, row[contest["blank"] :], strict=True)))
            tally.votes, tally.weight = len(self.voters), self.weight
            tally.blank = row[0] if contest["blank"] else 0
            if tally.blank == tally.weight:  # how many of weighted ballots are blank is known only then
                tally.blank = tally.votes
        self.open = True

    def totals(self):
        return {"height": self.headers.height, "tip": self.headers.tip.hex(), "votes": len(self.voters)}

    def signers(self, certificate):
        """The named nodes that signed the log as it is now."""
        if certificate == "":
            return []
        if not self.election.nodes:
            raise Fault("bad-note", "a certificate, though no nodes are named")
        size, root, signers = read_certificate(certificate, self.election)
        if (size, root) != (self.log.size, self.log.root()):
            raise Fault("bad-checkpoint", "the certificate is of another log than these blocks")
        return signers


def check_archive(path, expected, now, roll_path=None):
    """Everything that an archive claims; returns the report."""
    return archive_report(*read_archive(path, expected, now, roll_path))


def read_archive(path, expected, now, roll_path=None):
    """(the books, the named nodes that signed the log) of an archive that holds."""
    with open_file(path) as file:
        lines = numbered_lines(file)
        head = parse(whole(next(lines)[1]), shape_of_head)
        check_format(head, ARCHIVE_FORMAT)
        election = Election(parse(whole(next(lines)[1]), shape_of_definition_line)["definition"])
        if election.network_hex != head["network_id"] or expected not in (None, election.network_hex):
            raise Fault("network-mismatch", "the definition is that of " + election.network_hex)
        election.take_roll(roll_path, needed=True)
        books = Books(election, now)
        for number, line in lines:
            try:
                record = parse(whole(line), shape_of_line)
                if "tip" in record:
                    break
                books.take_block(record)
            except Fault as fault:
                raise Fault(fault.code, f"line {number}: {fault}") from None
        if any(record[name] != value for name, value in books.totals().items()):
            raise Fault("wrong-totals", f"the blocks come to {books.totals()}")
        signers = books.signers(record["certificate"])
        if "shares" in record:
            books.take_shares(record["shares"], signers)
        if next(lines)[1]:
            raise Fault("trailing-data", "something follows the totals")
    return books, signers


def archive_report(books, signers):
    election, shown = books.election, books.counts_shown()
    contests = [
        {name: contest[name] for name in ("id", "title", "method", "seats")} | found
        for contest, found in (books.counted() if shown and books.open else [])
    ]
    return not_checked(books) | dict(
        books.totals(),
        contests=contests,
        counts_shown=shown,
        network_id=election.network_hex,
        work=books.headers.work,
        title=election.definition["title"],
        registration=registration(election),
        closes=election.force.closes,
        amendments=election.force.records,
        cancelled=election.force.cancelled,
        final=bool(signers) and (books.closing.over or election.force.cancelled),
        finality=finality_of_archive(books, signers),
        signed_by=election.names(signers),
    )


def not_checked(books):
    """What a report says first of votes whose sums nobody has opened yet."""
    if books.open:
        return {}
    needed = books.election.definition["trustees"]["threshold"]
    words = (
        f"the votes are encrypted, and this file has {len(books.shares)} of the {needed} shares of trustees"
    )
    return {"not_checked": f"what was voted: {words} that open their sums"}


def finality_of_archive(books, signers):
    """In words: what the signatures of named nodes say about the result."""
    election = books.election
    if not election.nodes:
        return "never final: no nodes are named, anybody may rewrite this"
    if not signers:
        return "not final: there is no certificate of named nodes"
    if election.force.cancelled:
        return "cancelled: " + signed_by(signers, election)
    if books.closing.over and not books.open:
        return "final, these votes and no others: " + signed_by(signers, election)
    if books.closing.over:
        return "final result: " + signed_by(signers, election)
    coming = "more may come"
    if books.closing.late is not None:
        coming = f"{len(books.closing.late) - books.closing.taken} votes of the closing are to come"
    return f"these votes are final, {coming}: {signed_by(signers, election)}"


def signed_by(nodes, election, verb="signed"):
    return f"{verb} by {len(nodes)} of {len(election.nodes)}: {', '.join(election.names(nodes))}"


def registration(election):
    """Who could vote, and whether that was looked up."""
    checked = "roll, not checked" if election.roll is None else "roll, checked"
    return "open" if election.definition["registration"] == "open" else checked


def check_format(head, expected, version=FORMAT_VERSION):
    if head["format"] != expected:
        raise Fault("wrong-format", repr(head["format"])[:200])
    if head["version"] != version:
        raise Fault("wrong-version", str(head["version"]))


def read_record(path):
    """The one record of a file."""
    return whole(read_all(path, "line-too-long"))


def read_all(path, code):
    """All bytes of a file, or the fault `code` where it has too many."""
    with open_file(path) as file:
        pieces, length = [], 0
        while length <= MAX_RECEIPT and (piece := read_piece(file, 16 * 1024 * 1024)):
            pieces.append(piece)
            length += len(piece)
    if length > MAX_RECEIPT:
        raise Fault(code, f"such a file has at most {MAX_RECEIPT} bytes")
    return b"".join(pieces)


def check_receipt(path, expected, now, roll_path=None):
    """Everything that a receipt claims; returns the report."""
    receipt = parse(read_record(path), shape_of_receipt)
    check_format(receipt, RECEIPT_FORMAT)
    election, vote = Election(receipt["definition"]), receipt["vote"]
    if expected not in (None, election.network_hex):
        raise Fault("network-mismatch", "the receipt is of network " + election.network_hex)
    election.take_roll(roll_path)
    carried = [receipt["chain"] is not None, receipt["proof"] != "", receipt["acceptances"] != []]
    if sum(carried) != 1 or carried[0] == bool(election.nodes):
        raise Fault("bad-receipt", "it does not carry the one kind of proof that the election calls for")
    take_amendments(receipt["amendments"], election)
    check_vote(vote, election)
    check_signature(vote)
    if election.secret:
        check_secret_ballot(vote, election)
    vote_id = leaf(canonical(vote))
    report = {
        "title": election.definition["title"],
        "network_id": election.network_hex,
        "registration": registration(election),
        "amendments": receipt["amendments"],
        "voter_id": vote["voter_id"],
        "choices": vote["choices"],
        "vote_id": vote_id.hex(),
    }
    if carried[0]:
        return report | chain_report(receipt["chain"], vote_id, election, now)
    if carried[1]:
        return report | log_report(receipt["proof"], vote_id, election)
    return report | acceptance_report(receipt["acceptances"], vote_id, election)


def take_amendments(records, election):
    """Let the amendments that a file carries hold, once they are judged as far as it goes without a chain."""
    if [record["number"] for record in records] != list(range(1, len(records) + 1)):
        raise Fault("bad-amendment", "the amendments are not numbered 1, 2, 3 and so on")
    election.force = election.force.amended(records, election)
    if election.force.cancelled:
        raise Fault("cancelled", "the election was cancelled")


SIGNED_TWICE = {
    # By kind of evidence: the prefix of the statement, its place, what must differ there, and what happened.
    "two-proposals": (DOMAIN_PROPOSAL, ("height", "round"), "block", "proposed two blocks"),
    "two-prevotes": (DOMAIN_PREVOTE, ("height", "round"), "block", "prevoted two blocks"),
    "two-precommits": (DOMAIN_PRECOMMIT, ("height", "round"), "block", "precommitted two blocks"),
    "two-lists": (DOMAIN_CLOSING_LIST, ("closes",), None, "signed two closing lists"),
}
EVIDENCE = (*SIGNED_TWICE, "two-roots", "bad-growth", "broken-acceptance")


def check_evidence(path, expected, now, archive=None, roll=None):
    """That a file proves the lie of a named node; `archive`: that of the whole election, with its roll."""
    evidence = parse(read_record(path), shape_of_evidence)
    check_format(evidence, EVIDENCE_FORMAT, EVIDENCE_VERSION)
    election, node, proof = Election(evidence["definition"]), evidence["node"], evidence["proof"]
    if expected not in (None, election.network_hex):
        raise Fault("network-mismatch", "the evidence is of network " + election.network_hex)
    if node >= len(election.nodes):
        raise Fault("bad-evidence", f"there is no named node {node}")
    if evidence["kind"] in SIGNED_TWICE:
        lie = signed_twice(proof["first"], proof["second"], node, evidence["kind"], election)
    elif evidence["kind"] == "two-roots":
        lie = two_roots(proof["first"], proof["second"], node, election)
    elif evidence["kind"] == "bad-growth":
        lie = bad_growth(proof, node, election)
    else:
        lie = broken_acceptance(proof, node, election, archive, now, roll)
    return {
        "title": election.definition["title"],
        "network_id": election.network_hex,
        "kind": evidence["kind"],
        "node": node,
        "name": election.nodes[node]["name"],
        "lie": f"node {node} ({election.nodes[node]['name']}) {lie}",
    }


def signed_twice(first, second, node, kind, election):
    domain, place, choice, what = SIGNED_TWICE[kind]
    one, other = first["statement"], second["statement"]
    for each in (first, second):
        said = each["statement"]
        if said["network_id"] != election.network_hex or said["node"] != node:
            raise Fault("bad-evidence", "a statement is of another node or network")
        if not election.said(domain, node, said, each["signature"]):
            raise Fault("bad-evidence", f"node {node} did not sign a statement")
    if canonical(one) >= canonical(other):
        raise Fault("bad-evidence", "the statements are equal, or not in their order")
    if any(one[name] != other[name] for name in place) or (choice and one[choice] == other[choice]):
        raise Fault("bad-evidence", "an honest node may sign both of these statements")
    return f"{what} for " + ", ".join(f"{name} {one[name]}" for name in place)


def two_roots(first, second, node, election):
    (size, root), (other_size, other_root) = (cosigned(each, node, election) for each in (first, second))
    if first >= second:
        raise Fault("bad-evidence", "the checkpoints are equal, or not in their order")
    if size != other_size or root == other_root:
        raise Fault("bad-evidence", "an honest node may cosign both of these checkpoints")
    return f"cosigned two logs of {size} records"


def bad_growth(proof, node, election):
    (old_size, old_root), (size, root) = (cosigned(proof[name], node, election) for name in ("old", "new"))
    hashes = [bytes.fromhex(each) for each in proof["nodes"]]
    found = grown_roots(old_size, size, hashes) if 0 < old_size < size else None
    if found is None or found[1] != root:
        raise Fault("bad-evidence", "the hashes do not lead to the root of the larger checkpoint")
    if found[0] == old_root:
        raise Fault("bad-evidence", "the larger checkpoint continues the smaller one")
    return f"cosigned a log of {size} records that does not begin with the {old_size} that it cosigned"


def grown_roots(old, new, hashes):
    """(root of the first `old` leaves, root of all `new`) that a consistency proof leads to, or None.

    RFC 6962, section 2.1.2, read from its end; the first hash is always that of a complete subtree.
    """
    if not hashes:
        return None
    *rest, last = hashes
    if old == new:
        return None if rest else (last, last)
    split = 1 << ((new - 1).bit_length() - 1)
    if old <= split:
        found = grown_roots(old, split, rest)
        return found and (found[0], node(found[1], last))
    found = grown_roots(old - split, new - split, rest)
    return found and (node(last, found[0]), node(last, found[1]))


def cosigned(note, index, election):
    """(size, root) of a checkpoint with one signature, that of this named node."""
    body, lines = read_note(note)
    if len(lines) != 1:
        raise Fault("bad-evidence", "the checkpoint has other signatures than that of the node")
    ((name, raw),) = lines
    signer = signer_of(name, raw[:4], election)
    if signer is None:
        raise Fault("bad-cosignature", "no named node signed the checkpoint")
    check_cosignature(raw, body, signer, election)
    if signer != index:
        raise Fault("bad-evidence", f"node {signer} signed this, not {index}")
    origin, size, root, more = read_checkpoint(body)
    if origin != election.origin or more:
        raise Fault("bad-evidence", "the checkpoint is of another log, or has more lines")
    return size, root


def broken_acceptance(proof, node, election, archive, now, roll):
    acceptance, vote = proof["acceptance"], proof["vote"]
    try:
        check_vote(vote, election)
        check_signature(vote)
    except Fault as fault:
        raise Fault("bad-evidence", str(fault)) from None
    vote_id = leaf(canonical(vote))
    if acceptance["node"] != node or not accepted(acceptance, vote_id, election):
        raise Fault("bad-evidence", f"node {node} did not accept the vote")
    if archive is None:
        raise Fault("needs-archive", "give the archive of the election with --archive")
    books = final_books(archive, election, now, roll)
    if not in_time(acceptance, books.election.force.closes):
        raise Fault("bad-evidence", f"node {node} accepted the vote after the closing")
    try:
        check_key(vote, books.election)
    except Fault as fault:
        raise Fault("bad-evidence", str(fault)) from None
    if node not in books.closing.lists or vote_id in books.closing.lists[node]:
        raise Fault("bad-evidence", f"node {node} has no list, or the vote stands in it")
    if vote["voter_id"] in books.voters:
        raise Fault("bad-evidence", f"a vote of {vote['voter_id']!r} is counted")
    if election.secret:
        try:
            check_secret_ballot(vote, election)
        except Fault as fault:
            raise Fault("bad-evidence", str(fault)) from None
    return f"accepted the vote of {vote['voter_id']!r} before the closing, and left it out"


def final_books(archive, election, now, roll):
    """The books of an archive that named nodes signed after the last vote of this election."""
    books, signers = read_archive(archive, election.network_hex, now, roll)
    if signers and books.election.force.cancelled:
        raise Fault("cancelled", "the election was cancelled")
    if not signers or not books.closing.over:
        raise Fault("not-final", "the archive does not hold a final result")
    return books


def check_result(path, expected, now, archive=None, roll=None):
    """Who signed a final result, and with `archive` (a path) that it is the result of that election."""
    result = parse(read_record(path), shape_of_result)
    check_format(result, RESULT_FORMAT, RESULT_VERSION)
    election = Election(result["definition"])
    if expected not in (None, election.network_hex):
        raise Fault("network-mismatch", "the result is of network " + election.network_hex)
    if not election.nodes:
        raise Fault("not-final", "an election without named nodes is never final")
    take_amendments(result["amendments"], election)
    size, root, signers = read_certificate(result["certificate"], election)
    if size <= result["votes"] + result["height"] + len(result["amendments"]):
        raise Fault("wrong-totals", "the certificate is of a log without these votes and amendments")
    if [contest["id"] for contest in result["contests"]] != [
        contest["id"] for contest in election.definition["contests"]
    ] or any(map(of_others, election.definition["contests"], result["contests"])):
        raise Fault("wrong-totals", "the contests are not those of the definition")
    said = "the counts are the file's own word (compare the archive: --archive)"
    if archive is not None:
        books = final_books(archive, election, now, roll)
        if not books.open:
            raise Fault("not-final", "the votes are encrypted, and too few trustees have opened their sums")
        rebuilt = result_of(books)
        wrong = [name for name, value in rebuilt.items() if result[name] != value]
        if wrong or (size, root) != (books.log.size, books.log.root()):
            raise Fault("wrong-totals", f"the archive gives another {', '.join(wrong) or 'log'}")
        said = "the archive gives the same counts"
    return {
        "title": election.definition["title"],
        "network_id": election.network_hex,
        "closes": election.force.closes,
        "amendments": result["amendments"],
        "votes": result["votes"],
        "contests": result["contests"],
        "not_counted": len(result["not_counted"]),
        "tip": result["tip"],
        "final": archive is not None,
        "finality": f"{signed_by(signers, election)}; {said}",
        "signed_by": election.names(signers),
    }


def of_others(contest, counted):
    """Whether counts are of other candidates than a contest has, or of a state that no count has."""
    names = sorted(candidate["name"] for candidate in contest["candidates"])
    return (
        sorted(name for name, _ in counted["counts"]) != names
        or not {*counted["winners"], *counted["tied"]} <= set(names)
        or counted["state"] not in ("carried", "rejected", "tied", "undecided", "won")
    )


def result_of(books):
    """The members of a final result that the blocks of an archive give."""
    counted = books.voters
    told = ("blank", "conditions", "counts", "quota", "state", "tied", "votes", "weight", "winners")
    contests = [
        {"id": contest["id"]} | {name: found[name] for name in told} for contest, found in books.counted()
    ]
    pairs = [
        canonical([voter, counted[voter].hex()])
        for voter in sorted(counted, key=lambda voter: voter.encode("utf-8"))
    ]
    lists, on_chain = Counter(), set(counted.values())
    for ids in books.closing.lists.values():
        lists.update(ids - on_chain)
    return books.totals() | {
        "amendments": books.election.force.records,
        "contests": contests,
        "not_counted": [{"id": one.hex(), "lists": lists[one]} for one in sorted(lists)],
        "root": tree_root([leaf(DOMAIN_COUNTED + pair) for pair in pairs]).hex(),
    }


def chain_report(chain, vote_id, election, now):
    for digits in chain["headers"]:
        check_header_digits(digits)
    headers = Headers(election, now)
    root, at = None, 0
    for digits in chain["headers"]:
        root, at = headers.add(digits)
    if root is None:
        raise Fault("broken-chain", "there are no headers")
    check_hours(at, election)
    path_hashes = [bytes.fromhex(sibling) for sibling in chain["path"]]
    if path_root(vote_id, chain["position"], chain["size"], path_hashes) != root:
        raise Fault("bad-merkle-path", "the path does not lead from the vote to the last header")
    return {
        "block": headers.tip.hex(),
        "height": headers.height,
        "position": chain["position"],
        "work": headers.work,
        "final": False,
        "finality": "never final: no nodes are named, anybody may rewrite this",
    }


def log_report(proof, vote_id, election):
    index, path, certificate = read_log_proof(proof)
    size, root, signers = read_certificate(certificate, election)
    if path_root(vote_id, index, size, path) != root:
        raise Fault("bad-proof", "the path does not lead from the vote to the certificate")
    return {
        "index": index,
        "size": size,
        "final": True,
        "finality": "final: " + signed_by(signers, election),
        "signed_by": election.names(signers),
    }


def acceptance_report(acceptances, vote_id, election):
    nodes = check_acceptances(acceptances, vote_id, election)
    promised = len(election.nodes) - election.quorum + 2 * election.liars + 1
    hope = "wait for final"
    if len(nodes) >= promised:
        hope = f"it will be counted unless more than {election.liars} of the nodes lie"
    return {
        "final": False,
        "finality": f"{signed_by(nodes, election, 'received')}; not final yet: {hope}",
        "received_by": election.names(nodes),
    }


SO_FAR = {"won": "ahead", "tied": "tied so far", "carried": "carried so far", "rejected": "rejected so far"}
"""What states are called in a count that is not final."""


def sentence(contest, final):
    """The count and the result of a contest in words."""
    title = f"{contest['title']} ({contest['method']}): " if "title" in contest else ""
    counts = ", ".join(f"{name} {votes}" for name, votes in contest["counts"])
    by_lot = f", of {', '.join(contest['tied'])} by lot" if contest["tied"] else ""
    winners = f" ({', '.join(contest['winners'])}{by_lot})" if contest["winners"] else ""
    state = contest["state"] if final else SO_FAR.get(contest["state"], contest["state"])
    return f"{title}{counts}; {state}{winners}; {contest['votes']} votes, {contest['blank']} blank"


def hour(at):
    """A closing time for people."""
    if at is None:
        return "never"
    if at >= 253_402_300_800:  # year 10000
        return f"{at} (Unix seconds)"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def amendment_in_words(record):
    """What an amendment does, and why."""
    words = record["action"]
    if record["closes"] is not None:
        words += f", closing {hour(record['closes'])}"
    if record["voter_id"] is not None:
        words += f", voter {record['voter_id']!r}, key {record['key']}"
    if "credential" in record:
        words += f", credential {record['credential']}"
    if record["weight"] is not None:
        words += f", weight {record['weight']}"
    return words + (f": {record['reason']}" if record["reason"] else "")


def shown(value):
    """A value on one line; a character that acts on a terminal is written as JSON writes it."""
    acting = (*CONTROL, *INVISIBLE, (0xD800, 0xDFFF))
    return "".join(
        json.dumps(c)[1:-1].replace("\x7f", "\\u007f") if within(c, acting) else c for c in str(value)
    )


def say(text):
    """A line on standard output; what does not take it ends the program with 74, not with an answer."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):  # a reader that has enough (`| head`) is no error
            print(f"cannot write to standard output: {error.strerror or error}", file=sys.stderr)
            sys.exit(74)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        super().error(shown(message))  # a file's name may be a stranger's


def main(argv=None):
    parser = Parser(description="Check a votenet archive, receipt, final result or piece of evidence.")
    parser.add_argument("kind", choices=["archive", "receipt", "result", "evidence"])
    parser.add_argument("file", help="the file; - is standard input, .xz and .gz may compress it")
    parser.add_argument("--network", help="network id that it must be of, 64 hexadecimal digits")
    parser.add_argument("--roll", help="roll file to check the voters by")
    parser.add_argument("--archive", help="archive of the election to compare a result or evidence with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    expected = None if options.network is None else options.network.strip().lower()
    if expected is not None and HEX32.fullmatch(expected) is None:
        parser.error("a network id has 64 hexadecimal digits")
    files = [options.file, options.roll, options.archive]
    if files.count("-") > 1 or ("-" in files and sys.stdin is None):
        parser.error("standard input is closed, or named twice: it can be read once")
    of_books = options.kind in ("result", "evidence")
    if options.archive is not None and not of_books:
        parser.error("--archive is for a result or evidence")
    if options.roll is not None and of_books and options.archive is None:
        parser.error("--roll checks the archive of a result or of evidence: give --archive, too")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a terminal may not know every letter
            stream.reconfigure(errors="backslashreplace")
    if VerifyKey is None and sys.stderr is not None:
        print("PyNaCl is not here (pip install pynacl): checking signatures takes longer", file=sys.stderr)
    check = {
        "archive": check_archive,
        "receipt": check_receipt,
        "result": check_result,
        "evidence": check_evidence,
    }[options.kind]
    try:
        others = [options.archive, options.roll] if of_books else [options.roll]
        report = check(options.file, expected, int(time.time()), *others)
        anchors = {"network_id": expected, "roll": options.roll, "archive": options.archive}
        report["compared_with"] = {name: value for name, value in anchors.items() if value}
        report["anchor"] = "the network id given" if expected else NO_ANCHOR
        if not expected and (report.get("signed_by") or report.get("received_by")):
            report["finality"] += " (nodes that the file itself names: compare its network id)"
        report["holds"] = True
    except Fault as fault:
        report = {"holds": False, "code": fault.code, "message": str(fault)}
    except OSError as error:
        parser.error(f"cannot read {error.filename or options.file}: {error.strerror or error}")
    except Exception:  # a defect, or no memory: it must not end with 1, which is an answer
        traceback.print_exc()
        return 70
    if options.json:
        say(json.dumps(report))
    else:
        final = options.kind == "result" or report.get("finality", "").startswith("final result")
        for name, value in report.items():
            if name in ("final", "signed_by", "received_by"):  # `finality` says it in words
                continue
            if name == "compared_with":
                value = ", ".join(value) or "nothing"
            if name == "choices" and value == []:  # of a public vote there is a list for each contest
                value = "encrypted"
            if name == "closes":
                value = hour(value)
            if name == "amendments":
                for record in value:
                    say(f"amendment {record['number']:<3}  {shown(amendment_in_words(record))}")
            elif name == "contests":
                for contest in value:
                    say(f"contest {contest['id']:<5}  {shown(sentence(contest, final))}")
            elif name == "counts_shown":
                if not value and "not_checked" not in report:
                    say("contests       counts are shown after closing, as the organisers want it")
            elif name != "holds":
                say(f"{name:<13}  {shown(value)}")
        say("holds" if report["holds"] else "does not hold: " + report["code"])
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
