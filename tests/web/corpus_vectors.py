"""Votes, signatures, keys, counts, names, difficulties and voting codes, with the product's answers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from support import tampered_amendments
from support.elections import key_of
from support.random_contests import random_choices, random_contest
from verifier import test_definitions
from verifier import test_votenet_verifier as second
from votenet.core import text
from votenet.core.election.contest import CheckedContest
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey, is_public_key
from votenet.core.ledger.difficulty import next_bits
from votenet.core.ledger.vote import sign_vote
from votenet.core.methods.tally import Tally
from votenet.derive import hkdf
from votenet.pow import bits_for_zero_bits, bits_to_target, target_to_bits
from web.corpus_files import Json, verifier


def vote_vectors(count: int = 2000) -> list[Json]:
    """Votes as the product signs them, with names in any script."""
    dice = random.Random(17)
    found = []
    for _ in range(count):
        seed = dice.randbytes(32)
        choices = [[any_text(dice, 40) for _ in range(dice.randint(0, 4))] for _ in range(dice.randint(1, 4))]
        fields = {"voter_id": any_text(dice, 30), "choices": choices, "time": dice.randrange(2**53)}
        network = dice.randbytes(32).hex()
        vote = sign_vote(SigningKey(seed), network_hex=network, **fields)
        made = {"record": vote.record.decode(), "id": vote.id.hex(), "seed": seed.hex(), "network": network}
        found.append(fields | made)
    return found


def any_text(dice: random.Random, most: int) -> str:
    """Letters of every plane, those that JSON escapes, and joined ones."""
    ranges = [
        (0x20, 0x7F),
        (0, 0x250),
        (0x600, 0x1100),
        (0x3000, 0xD800),
        (0xE000, 0x10000),
        (0x10000, 0x110000),
    ]
    first, last = dice.choice(ranges)
    return "".join(chr(dice.randrange(first, last)) for _ in range(dice.randint(1, most)))


def signature_vectors() -> list[Json]:
    """Signatures of honest keys and of crafted ones, and what libsodium answers."""
    found = []
    points, dice = second.small_order_points(), random.Random(5)
    for number in range(64):
        key_part, r_part = points[number % 8], points[number // 8]
        message = dice.randbytes(number)
        key, signature = second.crafted(
            key_part, r_part, dice.randrange(2, 2**200), dice.randrange(2, 2**200), message
        )
        found.append((key, message, signature))
    for number in range(8):
        small = verifier.encoded_point(points[number])
        found.append((small, b"m", small + bytes(32)))
    for vector in second.VECTORS:
        key, message, signature = (bytes.fromhex(vector[name]) for name in ("public", "message", "signature"))
        scalar = int.from_bytes(signature[32:], "little") + verifier.ORDER
        found += [(key, message, signature), (key, message + b"x", signature)]
        found.append((key, message, signature[:32] + scalar.to_bytes(32, "little")))
    says = second.libsodium_says
    return [
        {
            "key": key.hex(),
            "message": message.hex(),
            "signature": signature.hex(),
            "holds": says(key, message, signature),
        }
        for key, message, signature in found
    ]


def key_vectors() -> list[tuple[str, bool]]:
    dice = random.Random(4)
    torsion = [*tampered_amendments.POINTS_OF_SMALL_ORDER, tampered_amendments.NO_POINT]
    mixed = [
        verifier.encoded_point(verifier.added(verifier.decoded_point(key_of("x").public), point)).hex()
        for point in second.small_order_points()
    ]
    keys = [*torsion, tampered_amendments.NOT_CANONICAL, *mixed]
    keys += [key_of(str(n)).public_hex for n in range(9)] + [dice.randbytes(32).hex() for _ in range(60)]
    return [(key, is_public_key(key)) for key in keys]


def count_vectors(count: int = 1500) -> list[Json]:
    """Contests of every method with few ballots, so that most rounds have ties."""
    found = []
    for seed in range(count):
        dice = random.Random(seed)
        contest = random_contest(dice, seed)
        ours, theirs, ballots = Tally(), verifier.Tally(), []
        weights = dice.choice([[1], [1, 2, 3], [1, 1_000_000]])
        for _ in range(dice.choice([0, 1, 2, 4, 8, 20, 40])):
            choices, weight = random_choices(dice, contest), dice.choice(weights)
            ours.add([choices], [weight])
            theirs.add(choices, weight)
            ballots.append([choices, weight])
        roll_weight = ours.weight + dice.randint(0, ours.weight)
        definition = json.loads(canonical(contest))
        counted = verifier.count(theirs, definition, "ab" * 32, roll_weight)
        report = CheckedContest(contest, "ab" * 32, only=True).report(ours, roll_weight)
        outcome = json.loads(msgspec.json.encode(report))["outcome"]
        found.append(
            {"contest": definition, "ballots": ballots, "roll": roll_weight, "counted": counted}
            | {"rounds": outcome.get("rounds", []), "matrix": outcome.get("matrix", [])}
        )
    return found


def name_vectors() -> list[tuple[str, bool, str]]:
    names = [
        around.format(chr(point))
        for around in test_definitions.AROUND
        for point in test_definitions.EDGE_POINTS
    ]
    return [(name, text.is_plain(name), text.skeleton(name)) for name in names]


def difficulty_vectors() -> Json:
    dice = random.Random(3)
    targets = [dice.randrange(1, 2 ** dice.randint(1, 256)) for _ in range(500)]
    steps = []
    for _ in range(1000):
        interval, floor = dice.choice([1, 2, 60, 3600]), bits_for_zero_bits(dice.randint(1, 64))
        bits = target_to_bits(max(1, bits_to_target(floor) // dice.randint(1, 64)))
        gap, before = (
            dice.choice([0, 10 * interval, 10 * interval + 1, dice.randrange(2**31)]) for _ in range(2)
        )
        steps.append([bits, floor, interval, gap, before, next_bits(bits, floor, interval, gap, before)])
    return {"targets": [[hex(target), target_to_bits(target)] for target in targets], "steps": steps}


def code_vectors() -> list[Json]:
    """Voting codes and keys, from their description alone."""
    letters, dice, found = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", random.Random(9), []
    for _ in range(100):
        payload = "".join(dice.choice(letters) for _ in range(21))
        parts = [payload[at : at + 4] for at in range(0, 16, 4)] + [payload[16:]]
        groups = [
            part + letters[hashlib.sha256(f"votenet/code/1\n{number}{part}".encode()).digest()[0] % 32]
            for number, part in enumerate(parts, start=1)
        ]
        uuid = "".join(dice.choice("123456789ABCDEFGH") for _ in range(14))
        seed = hkdf("".join(groups).encode(), b"votenet/voter-key/1", 32, salt=uuid.encode())
        found.append({"payload": payload, "code": "-".join(groups), "uuid": uuid, "seed": seed.hex()})
    return found


VECTORS: dict[str, Callable[[], Any]] = {
    "votes": vote_vectors,
    "signatures": signature_vectors,
    "keys": key_vectors,
    "counts": count_vectors,
    "names": name_vectors,
    "difficulty": difficulty_vectors,
    "codes": code_vectors,
}
