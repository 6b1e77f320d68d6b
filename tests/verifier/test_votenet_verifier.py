"""The independent verifier agrees with votenet's own on every archive and receipt, good and tampered."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import gzip
import hashlib
import importlib.util
import io
import json
import lzma
import os
import random
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError, CryptoError

from support.archives import (
    NOW,
    ROLL_CASES,
    archive,
    burst,
    chain,
    election,
    good_archive,
    good_receipt,
    roll_archive,
    roll_block,
    tampered,
    tampered_receipts,
)
from support.elections import key_of, make_election
from support.random_contests import random_choices, random_contest
from support.second_opinion import same_contests
from votenet.core.election.contest import CheckedContest
from votenet.core.election.roll import Roll, roll_from_file, with_roll
from votenet.core.encoding import canonical
from votenet.core.ledger.difficulty import next_bits
from votenet.core.limits import MAX_RISE
from votenet.core.methods.registry import METHODS
from votenet.core.methods.tally import Tally
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import ConfigError
from votenet.pow import bits_for_zero_bits, bits_to_target, target_to_bits

WARDS = Path(__file__).parents[1] / "vectors" / "scottish_wards_2017.json"
SOURCE = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("votenet_verifier", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier: Any = load()


def write(folder: Path, data: bytes, name: str = "file") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_it_shares_no_code_with_votenet() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert "votenet" not in imported
    assert imported - set(sys.stdlib_module_names) == {"nacl"}


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_both_count_the_same(tmp_path: Path, suffix: str) -> None:
    squeeze = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    report = verifier.check_archive(write(tmp_path, squeeze(good_archive()), "a" + suffix), None, NOW)
    ours = ArchiveCheck(io.BytesIO(good_archive()), NOW).run()
    same_contests(report["contests"], ours.contests)
    for name in ("height", "tip", "votes", "work", "network_id", "title"):
        assert report[name] == getattr(ours, name)
    assert ours.contests[0].outcome.winners != ()


def test_both_name_the_same_winners_in_close_elections() -> None:
    """Every method, few ballots and many candidates: ties in most rounds."""
    states = set()
    for seed in range(1500):
        dice = random.Random(seed)
        contest = random_contest(dice, seed)
        checked, ours, theirs = CheckedContest(contest, "ab" * 32, only=True), Tally(), verifier.Tally()
        weights = dice.choice([[1], [1, 2, 3], [1, 1_000_000]])
        for _ in range(dice.choice([0, 1, 2, 4, 8, 20, 40])):
            choices, weight = random_choices(dice, contest), dice.choice(weights)
            ours.add([choices], [weight])
            theirs.add(choices, weight)
        roll_weight = ours.weight + dice.randint(0, ours.weight)
        definition = json.loads(canonical(contest))
        found = verifier.count(theirs, definition, "ab" * 32, roll_weight)
        about = {name: definition[name] for name in ("id", "title", "method", "seats")}
        report = checked.report(ours, roll_weight)
        same_contests([about | found], [report])
        states.add((contest.method, report.outcome.state))
    assert states >= {(method, "tied") for method in METHODS if method != "motion"}
    assert states >= {("motion", "carried"), ("motion", "rejected"), ("motion", "undecided")}


def test_it_elects_whom_scottish_councils_elected() -> None:
    for ward in json.loads(WARDS.read_text())["wards"]:
        names, tally = ward["candidates"], verifier.Tally()
        for line in ward["ballots"].split(";"):
            times, *choices = map(int, line.split())
            tally.add(tuple(names[choice - 1] for choice in choices), times)
        contest = {"id": "1", "method": "stv", "seats": ward["seats"]}
        contest["candidates"] = [{"name": name} for name in names]
        found = verifier.count(tally, contest, "ab" * 32)
        assert (found["state"], found["quota"]) == ("won", ward["quota"]), ward["ward"]
        assert set(found["winners"]) == set(ward["elected"])


def test_a_runoff_of_a_thousand_equal_candidates_takes_few_steps() -> None:
    """A lot is drawn once for each name, and no round is looked up again."""
    names = [f"Name {number:03}" for number in range(1000)]
    equal = make_election(candidates=tuple(names), max_choices=2, method="instant-runoff", title="Equal")
    ballots = {(names[n], names[(7 * n + 1) % 1000]): 1 for n in range(1000)}
    theirs = verifier.Tally()
    for ballot in ballots:
        theirs.add(ballot)
    with counted_hashes() as count:
        found = verifier.count(theirs, json.loads(canonical(equal.definition.contests[0])), equal.network_hex)
    ours = equal.contests[0].decide(Tally(ballots))
    assert (tuple(found["winners"]), tuple(found["tied"])) == (ours.winners, ours.tied)
    assert count[0] == 1000


@contextlib.contextmanager
def counted_hashes() -> Iterator[list[int]]:
    """How many SHA-256 the verifier computes within."""
    count = [0]

    def sha256(data: bytes) -> Any:
        count[0] += 1
        return hashlib.sha256(data)

    before = verifier.hashlib
    verifier.hashlib = SimpleNamespace(sha256=sha256, sha512=hashlib.sha512)
    try:
        yield count
    finally:
        verifier.hashlib = before


@given(
    floor=st.integers(1, 64).map(bits_for_zero_bits),
    rise=st.integers(1, MAX_RISE),
    gaps=st.lists(st.integers(0, 30) | st.integers(0, 2**31), min_size=1, max_size=40),
    interval=st.sampled_from([1, 2, 60, 3600]),
)
def test_both_ask_for_the_same_difficulty(floor: int, rise: int, gaps: list[int], interval: int) -> None:
    definition = {"chain": {"bits": floor, "block_seconds": interval}, "created": 0}
    theirs = verifier.Headers(SimpleNamespace(definition=definition, network_id=bytes(32), nodes=[]), 0)
    theirs.height, theirs.medians = 11, [0, 0, 0]
    theirs.bits = ours = target_to_bits(bits_to_target(floor) // rise)
    before = 0
    for gap in gaps:
        theirs.medians = [*theirs.medians[-2:], theirs.medians[-1] + gap]
        ours, before = next_bits(ours, floor, interval, gap, before), gap
        theirs.bits = theirs.next_bits()
        assert theirs.bits == ours


@pytest.mark.parametrize("method", [name for name in METHODS if name != "motion"])
def test_it_takes_the_definition_of_an_election_with_default_settings(method: str) -> None:
    made = make_election(method=method, title="Election", bits=bits_for_zero_bits(24))
    definition = json.loads(canonical(made.definition))
    verifier.shape_of_definition(definition)
    assert verifier.Election(definition).network_id == made.network_id


def test_both_stop_at_the_same_difficulty_in_a_burst_of_blocks(tmp_path: Path) -> None:
    data = archive(burst())
    ours = ArchiveCheck(io.BytesIO(data), NOW).run()
    theirs = verifier.check_archive(write(tmp_path, data), None, NOW)
    assert (ours.height, ours.work) == (theirs["height"], theirs["work"])
    hardest = target_to_bits(bits_to_target(election().bits) // MAX_RISE)
    assert burst()[-1].header.bits == burst()[-2].header.bits == hardest


def test_an_election_without_votes(tmp_path: Path) -> None:
    report = verifier.check_archive(write(tmp_path, archive(chain([()]))), election().network_hex, NOW)
    assert (report["height"], report["votes"]) == (1, 0)


@pytest.mark.parametrize("name", tampered())
def test_a_tampered_archive_is_refused_with_the_right_reason(tmp_path: Path, name: str) -> None:
    code, data = tampered()[name]
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(write(tmp_path, data), None, NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("name", tampered_receipts())
def test_a_tampered_receipt_is_refused_with_the_right_reason(tmp_path: Path, name: str) -> None:
    code, data = tampered_receipts()[name]
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_receipt(write(tmp_path, data), None, NOW)
    assert caught.value.code == code


def test_good_receipts_hold(tmp_path: Path) -> None:
    for height, index in ((1, 0), (4, 2), (14, 3)):
        path = write(tmp_path, good_receipt(height, index))
        assert verifier.check_receipt(path, election().network_hex, NOW)["height"] == height
        with pytest.raises(verifier.Fault):
            verifier.check_receipt(path, "00" * 32, NOW)


def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    cut = write(tmp_path, lzma.compress(good_archive())[:-50], "a.xz")
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(cut, None, NOW)
    assert caught.value.code == "truncated"
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(write(tmp_path, good_archive(), "b.gz"), None, NOW)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
@pytest.mark.parametrize("kind", ["archive", "receipt"])
def test_compressed_files_without_a_suffix_and_standard_input(
    tmp_path: Path, kind: str, squeeze: Any
) -> None:
    """As `votenet audit` and `verify` take them."""
    data = squeeze(good_archive() if kind == "archive" else good_receipt())
    command = [sys.executable, str(SOURCE), kind]
    for where, fed in ((write(tmp_path, data), b""), ("-", data)):
        done = subprocess.run([*command, where], input=fed, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    own = {"archive": ["audit"], "receipt": ["verify"]}[kind]
    votenet = [sys.executable, "-m", "votenet", *own, write(tmp_path, data)]
    assert subprocess.run(votenet, capture_output=True, check=False).returncode == 0


def test_exit_codes_and_output(tmp_path: Path) -> None:
    good, bad = write(tmp_path, good_receipt()), write(tmp_path, tampered_receipts()["path-cut"][1], "bad")
    command = [sys.executable, "-I", str(SOURCE), "receipt"]
    shown = subprocess.run([*command, good], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "holds"
    assert "anchor         none: this proves only that the file agrees with itself" in shown.stdout
    anchored = subprocess.run(
        [*command, good, "--network", election().network_hex], capture_output=True, text=True, check=True
    )
    assert "compared_with  network_id\n" in anchored.stdout
    refused = subprocess.run([*command, bad, "--json"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "bad-merkle-path"
    refused = subprocess.run([*command, bad], capture_output=True, text=True, check=False)
    assert refused.stdout.splitlines()[-1] == "does not hold: bad-merkle-path"


@pytest.mark.parametrize(("votes", "code"), ROLL_CASES)
def test_with_its_roll_every_voter_and_key_is_checked(
    tmp_path: Path, votes: tuple[tuple[str, str], ...], code: str
) -> None:
    roll, data = roll_archive(*votes)
    path, roll_path = write(tmp_path, data), write(tmp_path, roll.to_file(), "roll")
    assert verifier.check_archive(path, None, NOW)["registration"] == "roll, not checked"
    if not code:
        assert verifier.check_archive(path, None, NOW, roll_path)["registration"] == "roll, checked"
        return
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(path, None, NOW, roll_path)
    assert caught.value.code == code


ANN, BOB, EVE = (key_of(name).public_hex for name in ("ann", "bob", "eve"))


def roll_of(*voters: tuple[str, Any], weight: Any = 1, credential: Any = "") -> dict[str, Any]:
    return {"voters": [[*voter, weight, credential] for voter in voters]}


def with_first(text: bytes) -> Callable[[bytes], bytes]:
    """Puts this before the members of a file."""
    return lambda data: data.replace(b"{", b"{" + text, 1)


def with_last(text: bytes) -> Callable[[bytes], bytes]:
    """Puts this behind the members of a file."""
    return lambda data: data.rstrip().removesuffix(b"}") + text + b"}"


ROLL_FILES: dict[str, tuple[dict[str, Any] | Callable[[bytes], bytes], str]] = {
    # What is changed in the roll of ann and bob; the code that all verifiers must answer.
    "good": ({}, ""),
    "in another order": (roll_of(("bob", BOB), ("ann", ANN)), ""),
    "another kind": ({"kind": "votenet-roll-1"}, "bad-roll"),
    "without kind": ({"kind": None}, "bad-roll"),
    "another member": ({"note": "x"}, "bad-roll"),
    "empty": ({"voters": []}, "bad-roll"),
    "another root": ({"root": "00" * 32}, "bad-roll"),
    "root in capitals": ({"root": "AB" * 32}, "bad-roll"),
    "id twice": (roll_of(("ann", ANN), ("ann", BOB)), "bad-roll"),
    "key twice": (roll_of(("ann", ANN), ("bob", ANN)), "bad-roll"),
    "key in capitals": (roll_of(("ann", ANN), ("bob", BOB.upper())), "bad-roll"),
    "a member more": (roll_of(("ann", ANN), ("bob", BOB), ("eve", EVE)), "bad-roll"),
    "id too long": (roll_of(("a" * 129, ANN)), "bad-roll"),
    "id unseen": (roll_of(("ann\u200b", ANN)), "bad-roll"),
    "a number": (roll_of(("ann", 7)), "bad-roll"),
    "the most weight, in an election without": (
        lambda _: Roll([("ann", ANN, 1_000_000), ("bob", BOB, 1)]).to_file(),
        "roll-mismatch",
    ),
    "no weight": (roll_of(("ann", ANN), ("bob", BOB), weight=0), "bad-roll"),
    "too much weight": (roll_of(("ann", ANN), ("bob", BOB), weight=1_000_001), "bad-roll"),
    "a weight as text": (roll_of(("ann", ANN), ("bob", BOB), weight="1"), "bad-roll"),
    "a weight as a truth": (roll_of(("ann", ANN), ("bob", BOB), weight=True), "bad-roll"),
    "a credential": (roll_of(("ann", ANN), ("bob", BOB), credential="c"), "bad-roll"),
    "of version 1": ({"voters": [["ann", ANN], ["bob", BOB]]}, "bad-roll"),
    "of another election": (lambda _: Roll([("ann", EVE)]).to_file(), "roll-mismatch"),
    "its kind twice": (with_first(b'"kind": "votenet-roll-2",'), "bad-roll"),
    "its root twice": (with_first(b'"root": "%b",' % (b"00" * 32)), "bad-roll"),
    "its voters twice": (with_first(b'"voters": [["eve", "%b", 1, ""]],' % EVE.encode()), "bad-roll"),
    "its root again behind": (lambda data: with_last(b', "root": %b' % root_in(data))(data), "bad-roll"),
    "its voters again behind": (
        lambda data: with_last(b', "voters": %b' % voters_in(data))(data),
        "bad-roll",
    ),
    "its voters again, in an escaped name": (
        lambda data: with_last(b', "voter\\u0073": %b' % voters_in(data))(data),
        "bad-roll",
    ),
    "colons and quotes in an id": (roll_of(('a":b', ANN)), "bad-roll"),
    "a form feed between members": (with_first(b"\f"), "bad-roll"),
}


def root_in(data: bytes) -> bytes:
    return json.dumps(json.loads(data)["root"]).encode()


def voters_in(data: bytes) -> bytes:
    return json.dumps(json.loads(data)["voters"]).encode()


def changed_roll(roll: Roll, what: str) -> bytes:
    """The file of ROLL_FILES with this name."""
    change, _ = ROLL_FILES[what]
    if callable(change):
        return change(roll.to_file())
    fields = {**json.loads(roll.to_file()), **change}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


@pytest.mark.parametrize("what", ROLL_FILES)
def test_both_read_rolls_alike(tmp_path: Path, what: str) -> None:
    roll, held, _ = roll_block(("ann", "ann"))
    data, code = changed_roll(roll, what), ROLL_FILES[what][1]
    definition = json.loads(canonical(held.definition))
    path = write(tmp_path, data)
    if not code:
        assert with_roll(held, roll_from_file(data)).registered == {
            voter: key for voter, (key, _, _) in verifier.read_roll(path, definition).items()
        }
        return
    with pytest.raises(ConfigError) as ours:
        with_roll(held, roll_from_file(data))
    with pytest.raises(verifier.Fault) as theirs:
        verifier.read_roll(path, definition)
    assert (ours.value.code, theirs.value.code) == (code, code)


def test_a_roll_is_refused_for_an_open_election(tmp_path: Path) -> None:
    roll, _, _ = roll_block(("ann", "ann"))
    path, archived = write(tmp_path, roll.to_file(), "roll"), write(tmp_path, good_archive())
    with pytest.raises(ConfigError) as ours:
        ArchiveCheck(io.BytesIO(good_archive()), NOW, roll=roll)
    with pytest.raises(verifier.Fault) as theirs:
        verifier.check_archive(archived, None, NOW, path)
    assert ours.value.code == theirs.value.code == "roll-not-used"


# -- signatures without PyNaCl ---------------------------------------------------------------------

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ed25519.json").read_text())["vectors"]


def libsodium_says(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, key)
    except (BadSignatureError, CryptoError, ValueError):
        return False
    return True


def small_order_points() -> list[Any]:
    """The eight points whose order divides the cofactor."""
    number = 2
    while True:
        point = verifier.decoded_point(number.to_bytes(32, "little"))
        number += 1
        if point is None:
            continue
        found = verifier.sum_of_products(verifier.ORDER, point, 0, verifier.NEUTRAL)
        four = verifier.doubled(verifier.doubled(found))
        if verifier.encoded_point(four) != verifier.encoded_point(verifier.NEUTRAL):
            return [verifier.sum_of_products(times, found, 0, verifier.NEUTRAL) for times in range(8)]


def times_base(scalar: int) -> Any:
    return verifier.sum_of_products(scalar, verifier.BASE, 0, verifier.NEUTRAL)


def crafted(key_part: Any, r_part: Any, secret: int, nonce: int, message: bytes) -> tuple[bytes, bytes]:
    """(key, signature) with points of small order mixed into the key and into R."""
    key = verifier.encoded_point(verifier.added(times_base(secret), key_part))
    first = verifier.encoded_point(verifier.added(times_base(nonce), r_part))
    digest = hashlib.sha512(first + key + message).digest()
    scalar = (nonce + int.from_bytes(digest, "little") * secret) % verifier.ORDER
    return key, first + scalar.to_bytes(32, "little")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_signatures_hold_without_pynacl(vector: dict[str, str]) -> None:
    key, message, signature = (bytes.fromhex(vector[name]) for name in ("public", "message", "signature"))
    assert verifier.ed25519_holds(key, message, signature)
    for place in range(64):
        flipped = bytearray(signature)
        flipped[place] ^= 1 << place % 8
        assert not verifier.ed25519_holds(key, message, bytes(flipped))
    assert not verifier.ed25519_holds(key, message + b"x", signature)
    assert not verifier.ed25519_holds(key[:-1], message, signature)
    scalar = int.from_bytes(signature[32:], "little") + verifier.ORDER
    above = signature[:32] + scalar.to_bytes(32, "little")
    assert not verifier.ed25519_holds(key, message, above)
    assert not libsodium_says(key, message, above)


def test_keys_and_signatures_with_parts_of_small_order_get_libsodiums_answer() -> None:
    dice, points, answers = random.Random(5), small_order_points(), Counter[bool]()
    for key_part in points:
        for r_part in points:
            for _ in range(2):
                message = dice.randbytes(8)
                secret, nonce = dice.randrange(verifier.ORDER), dice.randrange(verifier.ORDER)
                case = crafted(key_part, r_part, secret, nonce, message)
                said = libsodium_says(case[0], message, case[1])
                assert verifier.ed25519_holds(case[0], message, case[1]) == said
                answers[said] += 1
    assert min(answers.values()) > 10, "cases of both kinds"


def test_keys_and_signatures_of_small_order_alone_get_libsodiums_answer() -> None:
    dice = random.Random(6)
    for part in small_order_points():
        for secret, nonce in ((0, 0), (0, 9), (dice.randrange(verifier.ORDER), 0)):
            for r_part in small_order_points()[:3]:
                key, signature = crafted(part, r_part, secret, nonce, b"m")
                said = libsodium_says(key, b"m", signature)
                assert verifier.ed25519_holds(key, b"m", signature) == said


def test_keys_that_are_written_in_another_way_get_libsodiums_answer() -> None:
    """y from the prime on, and every sign: none of these is a key."""
    for y in range(19):
        for sign in (0, 1):
            for number in (y, y + verifier.PRIME):
                key = (number | sign << 255).to_bytes(32, "little")
                for signature in (bytes(64), key + bytes(32), bytes.fromhex(VECTORS[0]["signature"])):
                    assert verifier.ed25519_holds(key, b"", signature) == libsodium_says(key, b"", signature)


def test_without_pynacl_the_same_archives_hold_and_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_PYNACL.format(source=str(SOURCE)), "archive"]
    for name, data, code in (
        ("good", good_archive(), ""),
        ("bad", tampered()["signature-by-another-key"][1], "bad-signature"),
    ):
        done = subprocess.run(
            [*command, write(tmp_path, data, name), "--json"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, json.loads(done.stdout).get("code", "")) == (int(bool(code)), code)
        assert done.stderr.count("PyNaCl") == 1
        assert "Traceback" not in done.stderr


WITHOUT_PYNACL = """
import runpy, sys
sys.modules["nacl"] = None
runpy.run_path({source!r}, run_name="__main__")
"""


def test_a_network_id_in_capitals_is_the_same_id(tmp_path: Path) -> None:
    command = [sys.executable, str(SOURCE), "archive", write(tmp_path, good_archive()), "--network"]
    for network, code in ((election().network_hex.upper(), 0), ("00" * 32, 1), ("5e1f", 2)):
        done = subprocess.run([*command, network], capture_output=True, text=True, check=False)
        assert done.returncode == code


def test_only_a_file_that_does_not_hold_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty shell variable, a closed or twice named standard input, a defect: none is an answer."""
    path = write(tmp_path, good_receipt())
    command = [sys.executable, "-I", str(SOURCE), "receipt"]
    empty = subprocess.run([*command, path, "--network", ""], capture_output=True, text=True, check=False)
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "64 hexadecimal digits" in empty.stderr
    closed = ["sh", "-c", '"$@" <&-', "sh", *command, "-"]
    for wrong in (closed, [*command, "-", "--roll", "-"]):
        done = subprocess.run(wrong, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(verifier, "check_receipt", broken)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
    assert verifier.main(["receipt", path]) == 70


def test_names_that_the_terminal_cannot_write_are_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SOURCE), "archive", write(tmp_path, good_archive())],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\xc7elik" in done.stdout


def test_a_roll_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "roll.json")
    command = [sys.executable, str(SOURCE), "archive", write(tmp_path, roll_archive(("ann", "ann"))[1])]
    done = subprocess.run([*command, "--roll", missing], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert missing in done.stderr


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_it_reads_pipes_and_recognises_compression(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    done = subprocess.run(
        [sys.executable, SOURCE, "archive", "-", "--json"],
        input=pack(good_archive()),
        capture_output=True,
        check=False,
    )
    assert json.loads(done.stdout)["holds"], done.stderr
    path = write(tmp_path, pack(good_archive()), "no-suffix")
    assert verifier.check_archive(path, None, NOW)["height"] == 14


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
def test_a_pipe_that_gives_one_byte_first_is_uncompressed_too(pack: Callable[[bytes], bytes]) -> None:
    data = pack(good_archive())
    command = [sys.executable, SOURCE, "archive", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.write(process.stdin.fileno(), data[:1])
        while unread(process.stdin.fileno()):
            assert process.poll() is None
            time.sleep(0.01)
        process.stdin.write(data[1:])
        process.stdin.close()
        assert json.loads(process.stdout.read())["holds"]


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_closed_standard_input_is_no_answer() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" <&-', "-", sys.executable, str(SOURCE), "archive", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "standard input is closed" in done.stderr


def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """Python's own code would be 120 or 1, and 1 says that it does not hold."""
    path = write(tmp_path, good_archive())
    for options in ([], ["--json"]):
        command = [sys.executable, str(SOURCE), "archive", path, *options]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 74
        assert b"Traceback" not in done.stderr
        assert b"cannot write to standard output: No space left on device" in done.stderr
        closed = subprocess.run(["bash", "-c", '"$@" >&- 2>&-', "-", *command], check=False)
        assert closed.returncode == 0
        gone = subprocess.run(["bash", "-c", '"$@" > >(exec <&-)', "-", *command], stderr=subprocess.PIPE)
        assert (gone.returncode, gone.stderr.count(b"Broken")) == (0, 0)


def test_text_of_others_acts_on_no_terminal() -> None:
    hostile = "x\nholds\x1b[2J\x9b\u202e\u2028\x7f\udcff\U000e0041"
    assert verifier.shown(hostile) == r"x\nholds\u001b[2J\u009b\u202e\u2028\u007f\udcff\udb40\udc41"
    assert verifier.shown("Zoë 徐 🗳") == "Zoë 徐 🗳"
    for arguments in (["no\x1b[2J\nholds"], ["no", "\x1b[2J\nholds"], ["no", "--roll", "\x1b[2J\nholds"]):
        command = [sys.executable, "-I", str(SOURCE), "archive", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
        assert "\nholds" not in done.stderr
