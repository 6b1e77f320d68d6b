#!/usr/bin/env python3
"""Checks votenet archives and receipts, and counts the votes again. One file, on purpose.

A second opinion: written from docs/protocol.md and docs/audit.md, it shares no code with votenet. It
needs Python 3.11 or newer, nothing else, and asks nobody anything. Where PyNaCl is installed (pip install
pynacl) it checks the signatures; otherwise this file does, some seventy times slower.

    python3 votenet_verifier.py archive election.jsonl.xz
    python3 votenet_verifier.py receipt receipt.json --network 5e1f...

Exit 0: everything holds. Exit 1: something does not; the last line names the code of the first fault.
Exit 2: the command is wrong, or a file cannot be read. 70: a defect of this program. 74: the answer could
not be written.
"""

import argparse
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
from itertools import pairwise

try:
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey
except ImportError:
    VerifyKey = None

# The limits of docs/audit.md, under the same names.
MAX_NAME = 200
MAX_CANDIDATES = 1000
MAX_CHOICES = 64
MAX_BLOCK_VOTES = 20_480
MAX_BLOCK_SECONDS = 3600
MAX_U32 = 2**32 - 1
MAX_VOTER_ID = 128
MAX_VOTE_BYTES = 16 * 1024
HEADER_BYTES = 80
BLOCK_VERSION = 1
MAX_BLOCK_BYTES = 8 * 1024 * 1024
MAX_CLOCK_AHEAD = 2 * 60 * 60
MEDIAN_SPAN = 11
RETARGET_SPAN = 48
LONG_GAP = 10
MAX_ARCHIVE_LINE = 16 * 1024 * 1024
MAX_RECEIPT = 1024 * 1024 * 1024
MAX_SAFE_INTEGER = 2**53 - 1
FORMAT_VERSION = 1

ARCHIVE_FORMAT = "votenet-archive"
RECEIPT_FORMAT = "votenet-receipt"
ROLL_FORMAT = "votenet-roll-1"
DOMAIN_GENESIS = b"votenet/genesis/1\n"
DOMAIN_VOTE = b"votenet/vote/1\n"
DOMAIN_ROLL = b"votenet/roll/1\n"
DOMAIN_TIE = b"votenet/tie/1\n"
METHODS = ("plurality", "approval", "instant-runoff")

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
DEFINITION = (
    *("authority_key", "candidates", "chain", "closes", "created", "max_choices", "method", "node_keys"),
    *("opens", "registration", "roll_root", "title", "version"),
)
HEX32 = re.compile("[0-9a-f]{64}")


class Fault(Exception):
    """Something does not hold: a code, and where."""

    def __init__(self, code, where):
        super().__init__(where)
        self.code = code


# -- records -------------------------------------------------------------------------------------------


def canonical(value):
    """RFC 8785, for records whose member names are ASCII and whose numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def parse(raw, check):
    """One record: JSON, no member twice, of the shape that `check` asks for, and in canonical spelling."""

    def unique(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Fault("duplicate-key", "a member stands twice")
        return found

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


def hash_text(value, what):
    need(isinstance(value, str) and HEX32.fullmatch(value) is not None, what)


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
        DEFINITION,
    )
    for name in ("authority_key", "roll_root"):
        if value[name] is not None:
            hash_text(value[name], name)
    need(isinstance(value["candidates"], list), "candidates")
    for name in value["candidates"]:
        text(name, 1, MAX_NAME, "candidates")
    need(isinstance(value["node_keys"], list), "node_keys")
    for key in value["node_keys"]:
        hash_text(key, "node_keys")
    members(value["chain"], ["bits", "block_seconds", "max_block_votes"])
    integer(value["chain"]["bits"], 1, MAX_U32, "bits")
    integer(value["chain"]["block_seconds"], 1, MAX_BLOCK_SECONDS, "block_seconds")
    integer(value["chain"]["max_block_votes"], 1, MAX_BLOCK_VOTES, "max_block_votes")
    for name in ("opens", "closes"):
        if value[name] is not None:
            integer(value[name], 0, MAX_SAFE_INTEGER, name)
    integer(value["created"], 0, MAX_U32, "created")
    integer(value["max_choices"], 1, MAX_CHOICES, "max_choices")
    need(value["method"] in METHODS, "method")
    need(value["registration"] in ("open", "roll"), "registration")
    text(value["title"], 1, MAX_NAME, "title")
    integer(value["version"], FORMAT_VERSION, FORMAT_VERSION, "version")


def shape_of_vote(value):
    members(value, ["choices", "network_id", "signature", "time", "voter_id", "voter_key"])
    need(isinstance(value["choices"], list) and 1 <= len(value["choices"]) <= MAX_CHOICES, "choices")
    for choice in value["choices"]:
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
        members(value, ["height", "tip", "votes"])
        integer(value["height"], 0, MAX_SAFE_INTEGER, "height")
        hash_text(value["tip"], "tip")
        integer(value["votes"], 0, MAX_SAFE_INTEGER, "votes")
        return
    members(value, ["header", "votes"])
    need(isinstance(value["header"], str), "header")
    need(isinstance(value["votes"], list), "votes")
    for vote in value["votes"]:
        shape_of_vote(vote)


def shape_of_receipt(value):
    members(value, ["definition", "format", "headers", "path", "position", "size", "version", "vote"])
    shape_of_definition(value["definition"])
    need(isinstance(value["format"], str), "format")
    need(isinstance(value["headers"], list), "headers")
    for header in value["headers"]:
        need(isinstance(header, str), "headers")
    need(isinstance(value["path"], list), "path")
    for sibling in value["path"]:
        hash_text(sibling, "path")
    for name in ("position", "size", "version"):
        integer(value[name], 0, MAX_SAFE_INTEGER, name)
    shape_of_vote(value["vote"])


def shape_of_roll(value):
    members(value, ["kind", "root", "voters"])
    need(value["kind"] == ROLL_FORMAT, "kind")
    hash_text(value["root"], "root")
    need(isinstance(value["voters"], list) and value["voters"], "voters")
    for pair in value["voters"]:
        need(isinstance(pair, list) and len(pair) == 2, "voters")
        text(pair[0], 1, MAX_VOTER_ID, "a voter id")
        hash_text(pair[1], "a key")
        need(not unprintable(pair[0]), f"the voter id {pair[0]!r}")
    for place in (0, 1):
        once = {pair[place] for pair in value["voters"]}
        need(len(once) == len(value["voters"]), "an id or a key is on the roll twice")


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


def network_of(definition):
    """The network id, 32 bytes, of a definition that does not contradict itself."""
    names = definition["candidates"]
    opens, closes = definition["opens"], definition["closes"]
    if not (
        1 <= len(names) <= MAX_CANDIDATES
        and len(set(map(skeleton, names))) == len(names)
        and not any(unprintable(name) for name in [*names, definition["title"]])
        and definition["max_choices"] <= len(names)
        and (definition["method"] != "plurality" or definition["max_choices"] == 1)
        and (opens is None or closes is None or opens < closes)
        and target_of(definition["chain"]["bits"]) is not None
        and (definition["registration"] == "open" or definition["roll_root"] is not None)
    ):
        raise Fault("bad-genesis", "the definition contradicts itself")
    return hashlib.sha256(DOMAIN_GENESIS + canonical(definition)).digest()


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

    def __init__(self, definition, network_id, now):
        self.floor = self.bits = definition["chain"]["bits"]
        self.interval = definition["chain"]["block_seconds"]
        self.now = now
        self.height = 0
        self.work = 0
        self.times = [definition["created"]]
        self.medians = [definition["created"]]
        genesis = struct.pack(
            "<I32s32sIII", BLOCK_VERSION, bytes(32), network_id, self.times[0], self.bits, 0
        )
        self.tip = double_hash(genesis)

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
        if at < self.medians[-1]:
            raise Fault("bad-time", "before the median of its ancestors")
        if at > self.now + MAX_CLOCK_AHEAD:
            raise Fault("bad-time", "in the future")
        self.tip, self.bits = block, bits
        self.height += 1
        self.work += 2**256 // (target_of(bits) + 1)
        self.times = [*self.times[1 - MEDIAN_SPAN :], at]
        self.medians = [*self.medians[-2:], sorted(self.times)[len(self.times) // 2]]
        return root, at

    def next_bits(self):
        """The difficulty of the next block: docs/protocol.md, "Difficulty"."""
        if self.height < MEDIAN_SPAN:
            return self.floor
        before, last, newest = self.medians
        span, long = RETARGET_SPAN * self.interval, LONG_GAP * self.interval
        gap = newest - last
        if gap > long:
            gap = long if last - before > long else self.interval
        target = max(target_of(self.bits) * (span + gap - self.interval) // span, 1)
        return self.floor if target >= target_of(self.floor) else compact(target)


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


def check_vote(vote, definition, network_hex, roll=None):
    """The rules for one vote, but for its signature; `roll`: voter id to key."""
    who = repr(vote["voter_id"])
    if vote["network_id"] != network_hex:
        raise Fault("network-mismatch", f"the vote of {who} is of another network")
    if len(canonical(vote)) > MAX_VOTE_BYTES:
        raise Fault("vote-too-large", "the vote of " + who)
    keys = vote["signature"] + vote["voter_key"]
    if unprintable(vote["voter_id"]) or keys != keys.lower():
        raise Fault("bad-vote", "the vote of " + who)
    choices = vote["choices"]
    if len(choices) > definition["max_choices"] or len(set(choices)) != len(choices):
        raise Fault("bad-choices", "the vote of " + who)
    if not set(choices) <= set(definition["candidates"]):
        raise Fault("unknown-candidate", "the vote of " + who)
    if roll is not None and vote["voter_id"] not in roll:
        raise Fault("not-on-roll", who + " is not on the roll")
    if roll is not None and roll[vote["voter_id"]] != vote["voter_key"]:
        raise Fault("wrong-key", who + " has another key on the roll")


def check_signature(vote):
    unsigned = {name: value for name, value in vote.items() if name != "signature"}
    try:
        key, signature = bytes.fromhex(vote["voter_key"]), bytes.fromhex(vote["signature"])
    except ValueError:
        key, signature = b"", b""
    if not signature_holds(key, DOMAIN_VOTE + canonical(unsigned), signature):
        raise Fault("bad-signature", f"the vote of {vote['voter_id']!r}")


def check_hours(at, definition):
    if definition["opens"] is not None and at < definition["opens"]:
        raise Fault("not-open", "the block is from before the opening")
    if definition["closes"] is not None and at >= definition["closes"]:
        raise Fault("closed", "the block is from after the closing")


def check_body(votes, root, at, definition, network_hex, roll):
    records = [canonical(vote) for vote in votes]
    ids = [leaf(record) for record in records]
    if tree_root(ids) != root:
        raise Fault("bad-merkle-root", "these are not the votes of the header")
    if len(votes) > definition["chain"]["max_block_votes"] or sum(map(len, records)) > MAX_BLOCK_BYTES:
        raise Fault("block-too-large", f"{len(votes)} votes")
    if any(left >= right for left, right in pairwise(ids)):
        raise Fault("bad-order", "the votes are not in order of their ids")
    if len({vote["voter_id"] for vote in votes}) != len(votes):
        raise Fault("voter-twice", "two votes of a voter in one block")
    if votes:
        check_hours(at, definition)
    for vote in votes:
        check_vote(vote, definition, network_hex, roll)


# -- counting ------------------------------------------------------------------------------------------


def count(ballots, definition, network_hex):
    """(votes of each candidate, most first, the winners): docs/elections.md."""

    def lot(name):
        return hashlib.sha256(DOMAIN_TIE + canonical([network_hex, name])).digest()

    counted = {"plurality": slice(1), "approval": slice(None), "instant-runoff": slice(1)}
    counts = dict.fromkeys(definition["candidates"], 0)
    for ballot, times in ballots.items():
        for choice in ballot[counted[definition["method"]]]:
            counts[choice] += times
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    if not ballots:
        return ranked, []
    if definition["method"] == "instant-runoff":
        return ranked, runoff(ballots, definition["candidates"], lot)
    leaders = [name for name, votes in ranked if votes == ranked[0][1]]
    return ranked, sorted(leaders, key=lot, reverse=True)


def runoff(ballots, standing, lot):
    """Who has more than half of the ballots that continue, once the weakest have left round by round.

    Two names, the winner first, where the last two were equal in every round: nothing but the lot chose.
    """
    lots = {name: lot(name) for name in standing}
    rank, equal = dict.fromkeys(standing, 0), []  # larger: more votes in the last round that tells
    while True:
        votes = dict.fromkeys(standing, 0)
        for ballot, times in ballots.items():
            choice = next((name for name in ballot if name in votes), None)
            if choice is not None:
                votes[choice] += times
        best = max(votes, key=votes.__getitem__)
        if 2 * votes[best] > sum(votes.values()):
            return [best, *equal]
        fewest = min(votes.values())
        out = [name for name in standing if votes[name] == fewest]
        if fewest:  # of several, the one that was weaker in the last round that tells, or by lot
            alike = len(standing) == len(out) == 2 and len({rank[name] for name in out}) == 1
            out = [min(out, key=lambda name: (rank[name], lots[name]))]
            equal = out if alike else []
        standing = [name for name in standing if name not in out]
        places = {pair: place for place, pair in enumerate(sorted({(votes[n], rank[n]) for n in standing}))}
        rank = {name: places[votes[name], rank[name]] for name in standing}


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
            yield opened.enter_context(lzma.LZMAFile(raw))
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
    """Voter id to key, out of the roll file whose root the definition names."""
    with open_file(path) as file:
        data = read_piece(file, -1)
    try:
        roll = json.loads(data.decode("utf-8"))
        shape_of_roll(roll)
        voters = sorted(map(tuple, roll["voters"]), key=lambda pair: pair[0].encode("utf-8"))
        root = tree_root([leaf(DOMAIN_ROLL + canonical(pair)) for pair in voters]).hex()
        need(root == roll["root"], "its voters do not give the root that it names")
    except (ValueError, RecursionError, Fault) as error:
        raise Fault("bad-roll", f"the roll file is not valid: {str(error)[:200]}") from None
    if definition["registration"] == "open":
        raise Fault("roll-not-used", "this election is open to everybody: it has no roll")
    if root != definition["roll_root"]:
        raise Fault("roll-mismatch", "this is not the roll of the election")
    return dict(voters)


def check_archive(path, expected, now, roll_path=None):
    """Everything that an archive claims; returns the report."""
    with open_file(path) as file:
        lines = numbered_lines(file)
        head = parse(whole(next(lines)[1]), shape_of_head)
        if head["format"] != ARCHIVE_FORMAT:
            raise Fault("wrong-format", repr(head["format"])[:200])
        if head["version"] != FORMAT_VERSION:
            raise Fault("wrong-version", str(head["version"]))
        definition = parse(whole(next(lines)[1]), shape_of_definition_line)["definition"]
        network_hex = network_of(definition).hex()
        if network_hex != head["network_id"] or expected not in (None, network_hex):
            raise Fault("network-mismatch", "the definition is that of " + network_hex)
        roll = None if roll_path is None else read_roll(roll_path, definition)
        headers = Headers(definition, bytes.fromhex(network_hex), now)
        voters, ballots = set(), Counter()
        for number, line in lines:
            try:
                record = parse(whole(line), shape_of_line)
                if "tip" in record:
                    break
                take_block(record, headers, definition, network_hex, roll, voters, ballots)
            except Fault as fault:
                raise Fault(fault.code, f"line {number}: {fault}") from None
        totals = {"height": headers.height, "tip": headers.tip.hex(), "votes": len(voters)}
        if record != totals:
            raise Fault("wrong-totals", f"the blocks come to {totals}")
        if next(lines)[1]:
            raise Fault("trailing-data", "something follows the totals")
    counts, winners = count(ballots, definition, network_hex)
    state = "undecided" if not winners else "won" if len(winners) == 1 else "tied"
    report = dict(
        totals, counts=counts, state=state, winners=winners, network_id=network_hex, work=headers.work
    )
    return dict(report, title=definition["title"], registration=registration(definition, roll))


def registration(definition, roll):
    """Who could vote, and whether that was looked up."""
    checked = "roll, checked" if roll is not None else "roll, not checked"
    return "open" if definition["registration"] == "open" else checked


def take_block(record, headers, definition, network_hex, roll, voters, ballots):
    root, at = headers.add(record["header"])
    check_body(record["votes"], root, at, definition, network_hex, roll)
    for vote in record["votes"]:
        if vote["voter_id"] in voters:
            raise Fault("voter-twice", f"{vote['voter_id']!r} has voted before")
        voters.add(vote["voter_id"])
    for vote in record["votes"]:
        check_signature(vote)
        ballots[tuple(vote["choices"])] += 1


def check_receipt(path, expected, now, roll_path=None):
    """Everything that a receipt claims; returns the report."""
    with open_file(path) as file:
        pieces, length = [], 0
        while length <= MAX_RECEIPT and (piece := read_piece(file, 16 * 1024 * 1024)):
            pieces.append(piece)
            length += len(piece)
        data = b"".join(pieces)
    if len(data) > MAX_RECEIPT:
        raise Fault("line-too-long", f"a receipt has at most {MAX_RECEIPT} bytes")
    receipt = parse(whole(data), shape_of_receipt)
    if receipt["format"] != RECEIPT_FORMAT:
        raise Fault("wrong-format", repr(receipt["format"])[:200])
    if receipt["version"] != FORMAT_VERSION:
        raise Fault("wrong-version", str(receipt["version"]))
    definition, vote = receipt["definition"], receipt["vote"]
    network_id = network_of(definition)
    if expected not in (None, network_id.hex()):
        raise Fault("network-mismatch", "the receipt is of network " + network_id.hex())
    roll = None if roll_path is None else read_roll(roll_path, definition)
    check_vote(vote, definition, network_id.hex(), roll)
    check_signature(vote)
    for digits in receipt["headers"]:
        check_header_digits(digits)
    headers = Headers(definition, network_id, now)
    root, at = None, 0
    for digits in receipt["headers"]:
        root, at = headers.add(digits)
    if root is None:
        raise Fault("broken-chain", "there are no headers")
    check_hours(at, definition)
    vote_id = leaf(canonical(vote))
    path_hashes = [bytes.fromhex(sibling) for sibling in receipt["path"]]
    if path_root(vote_id, receipt["position"], receipt["size"], path_hashes) != root:
        raise Fault("bad-merkle-path", "the path does not lead from the vote to the last header")
    return {
        "title": definition["title"],
        "network_id": network_id.hex(),
        "registration": registration(definition, roll),
        "voter_id": vote["voter_id"],
        "choices": vote["choices"],
        "vote_id": vote_id.hex(),
        "block": headers.tip.hex(),
        "height": headers.height,
        "position": receipt["position"],
        "work": headers.work,
    }


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
    parser = Parser(description="Check a votenet archive or receipt.")
    parser.add_argument("kind", choices=["archive", "receipt"])
    parser.add_argument("file", help="the file; - is standard input, .xz and .gz may compress it")
    parser.add_argument("--network", help="network id that it must be of, 64 hexadecimal digits")
    parser.add_argument("--roll", help="roll file to check the voters by")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    expected = None if options.network is None else options.network.strip().lower()
    if expected is not None and HEX32.fullmatch(expected) is None:
        parser.error("a network id has 64 hexadecimal digits")
    if "-" in (options.file, options.roll) and (sys.stdin is None or options.file == options.roll):
        parser.error("standard input is closed, or named twice: it can be read once")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a terminal may not know every letter
            stream.reconfigure(errors="backslashreplace")
    if VerifyKey is None and sys.stderr is not None:
        print("PyNaCl is not here (pip install pynacl): checking signatures takes longer", file=sys.stderr)
    check = check_archive if options.kind == "archive" else check_receipt
    try:
        report = check(options.file, expected, int(time.time()), options.roll)
        anchors = {"network_id": expected, "roll": options.roll}
        report["compared_with"] = {name: value for name, value in anchors.items() if value}
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
        for name, value in report.items():
            if name == "compared_with":
                value = ", ".join(value) or "nothing: give --network or --roll (anybody can make up a file)"
            if name != "holds":
                say(f"{name:<13}  {shown(value)}")
        say("holds" if report["holds"] else "does not hold: " + report["code"])
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
