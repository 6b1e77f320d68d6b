"""The roll: its root, its file, its refusals, and votes that are checked against it."""

from __future__ import annotations

import hashlib
import json

import pytest

from support.elections import key_of, make_election, make_vote, mine_block
from support.secret_definitions import SecretSetup
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, check_voter, roll_from_file, with_roll
from votenet.core.ledger.block import check_body
from votenet.core.ledger.vote import check_vote
from votenet.errors import ConfigError, Rejected

PAIRS = [(name, key_of(name).public_hex) for name in ("bo", "Ann", "Zoë")]
ROLL = Roll(PAIRS)


def with_voters(roll: Roll = ROLL) -> Election:
    return with_roll(make_election(roll=roll), roll)


def refusal(election: Election, voter: str, key: str) -> str | None:
    """The code for a vote, alone; the same must come of a block that holds it."""
    hashed = make_vote(election, voter, key=key_of(key))
    codes: list[str | None] = []
    for check in (
        lambda: check_vote(hashed, election),
        lambda: check_body(mine_block(election, None, [hashed]), election),
    ):
        try:
            check()
            codes.append(None)
        except Rejected as error:
            codes.append(error.code)
    assert codes[0] == codes[1]
    return codes[0]


def test_the_root_is_the_merkle_root_over_ids_in_the_order_of_their_bytes() -> None:
    def leaf(voter: str) -> bytes:
        record = f'votenet/roll/2\n["{voter}","{key_of(voter).public_hex}",1,""]'.encode()
        return hashlib.sha256(b"\x00" + record).digest()

    left = hashlib.sha256(b"\x01" + leaf("Ann") + leaf("Zoë")).digest()
    assert ROLL.root_hex == hashlib.sha256(b"\x01" + left + leaf("bo")).hexdigest()
    assert Roll(reversed(PAIRS)).root_hex == ROLL.root_hex


def test_a_file_gives_the_roll_back_and_a_changed_one_nothing() -> None:
    data = ROLL.to_file()
    assert roll_from_file(data).keys == ROLL.keys
    other = data.replace(PAIRS[0][1].encode(), key_of("eve").public_hex.encode())
    heavy, known = data.replace(b"1,", b"2,"), data.replace(b'""', b'"x"')
    assert data not in (heavy, known)
    for wrong in (
        other,
        heavy,
        known,
        b"",
        b"{}",
        b"[" * 100_000,
        data.replace(b"roll-2", b"roll-1"),
        b"\xff",
    ):
        with pytest.raises(ConfigError) as refused:
            roll_from_file(wrong)
        assert refused.value.code == "bad-roll"


def test_a_file_is_read_some_voters_at_a_time_whatever_stands_in_their_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"{n}]," for n in range(50)] + [f'"{n}\\' for n in range(50)] + [f"[{n}" for n in range(50)]
    roll = Roll((name, key_of(name).public_hex, 1 + n % 2) for n, name in enumerate(names))
    data = roll.to_file()
    assert data == json.dumps(json.loads(data), indent=1, ensure_ascii=False).encode() + b"\n"
    monkeypatch.setattr("votenet.core.election.roll._CHUNK", 7)
    assert roll.to_file() == data
    for text in (data, json.dumps(json.loads(data)).encode(), data.replace(b"\n", b"\r\n")):
        read = roll_from_file(text)
        assert (read.keys, read.weights, read.root_hex) == (roll.keys, roll.weights, roll.root_hex)
    with pytest.raises(ConfigError, match=r"\$\.voters\[140\]\[2\]"):
        roll_from_file(_changed(data, 140, 2, 0))
    for cut in (data[:-3], data[: len(data) // 2], data.replace(b"],\n", b"]\n", 1), data + b"x"):
        with pytest.raises(ConfigError, match="not valid"):
            roll_from_file(cut)


def test_a_file_in_another_layout_is_read_and_a_member_that_stands_twice_in_it_refused() -> None:
    roll = Roll([('a": {"b\\', key_of("a").public_hex)])
    record = json.loads(roll.to_file())
    text = json.dumps({name: record[name] for name in ("voters", "root", "kind")})
    assert roll_from_file(text.encode()).keys == roll.keys
    with pytest.raises(ConfigError, match="a member stands twice"):
        roll_from_file(text.replace("}", f', "root" : "{record["root"]}"}}').encode())


def _changed(data: bytes, row: int, column: int, value: object) -> bytes:
    """The file with another value, in the same layout."""
    record = json.loads(data)
    record["voters"][row][column] = value
    return json.dumps(record, indent=1).encode()


KEY = key_of("x").public_hex


@pytest.mark.parametrize(
    ("voters", "says"),
    [
        ([], "empty"),
        ([("a", KEY), ("a", key_of("y").public_hex)], "'a' is on the roll twice"),
        ([("a", KEY), ("b", KEY)], "could vote twice"),
        ([("a\n", KEY)], "control"),
        ([(" a", KEY)], "a space at its beginning"),
        ([("", KEY)], "not valid"),
        ([("a" * 129, KEY)], "not valid"),
        ([("a", KEY.upper())], "not valid"),
        ([("a", "ab")], "not valid"),
        ([("\ud800", KEY)], "not valid"),
    ],
    ids=ascii,
)
def test_a_roll_that_could_not_be_voted_by(voters: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        Roll(voters)
    assert refused.value.code == "bad-roll"


def test_only_those_on_the_roll_vote_with_their_keys_in_pool_and_blocks_alike() -> None:
    election = with_voters()
    assert refusal(election, "Ann", "Ann") is None
    assert refusal(election, "Zoë", "Zoë") is None
    assert refusal(election, "eve", "eve") == "not-on-roll"
    assert refusal(election, "ann", "Ann") == "not-on-roll"
    assert refusal(election, "Ann", "eve") == "wrong-key"
    assert refusal(make_election(), "eve", "eve") is None


def test_the_roll_must_be_the_one_in_the_definition() -> None:
    closed, opened = with_voters(), make_election()
    miscounted = make_election(roll_root=ROLL.root_hex, roll_size=len(PAIRS) + 1)
    assert with_roll(opened, None) is opened
    other = Roll(PAIRS[:2])
    for election, roll, code in (
        (closed, None, "roll-missing"),
        (closed, other, "roll-mismatch"),
        (miscounted, ROLL, "roll-mismatch"),
        (opened, ROLL, "roll-not-used"),
    ):
        with pytest.raises(ConfigError) as refused:
            with_roll(election, roll)
        assert refused.value.code == code


def test_an_id_or_a_key_that_the_roll_does_not_have_is_refused_before_a_vote_is_sent() -> None:
    check_voter(ROLL.keys, "bo", key_of("bo").public_hex)
    for voter, key, code, says in (
        ("BO", "bo", "not-on-roll", "Did you mean bo?"),
        ("xyz", "bo", "not-on-roll", "authority"),
        ("bo", "Ann", "wrong-key", "votenet keys import"),
    ):
        with pytest.raises(Rejected) as refused:
            check_voter(ROLL.keys, voter, key_of(key).public_hex)
        assert (refused.value.code, says in str(refused.value.next_step)) == (code, True)


# -- credentials of secret elections ----------------------------------------------------------------

SECRET = SecretSetup()


def test_the_roll_of_a_secret_election_has_a_credential_for_each_voter() -> None:
    roll = SECRET.roll
    assert roll_from_file(roll.to_file()).credentials == roll.credentials
    assert SECRET.election.credentials == roll.credentials
    first = json.loads(roll.to_file())["voters"][0]
    assert first == ["voter-1", key_of("voter-1").public_hex, 1, SECRET.public_credential("voter-1")]


def test_the_credentials_change_the_root() -> None:
    without = Roll((voter, key) for voter, key in SECRET.roll.keys.items())
    assert without.root_hex != SECRET.roll.root_hex
    assert without.credentials is None


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (("", "one"), "has no credential"),
        (("one", "one"), "on the roll twice"),
        (("one", "00" * 32), "is not valid"),
        (("one", "AB" * 32), "not valid"),
    ],
)
def test_credentials_that_no_roll_may_have(credentials: tuple[str, str], says: str) -> None:
    written = [SECRET.public_credential("voter-1") if one == "one" else one for one in credentials]
    with pytest.raises(ConfigError, match=says) as caught:
        Roll((f"v{n}", key_of(f"v{n}").public_hex, 1, one) for n, one in enumerate(written))
    assert caught.value.code == "bad-roll"


def test_a_roll_fits_the_secrecy_of_the_ballots() -> None:
    plain = Roll((voter, key) for voter, key in SECRET.roll.keys.items())
    with pytest.raises(ConfigError, match="no credentials") as caught:
        with_roll(Election(SECRET.define(roll_root=plain.root_hex)), plain)
    assert caught.value.code == "roll-mismatch"
    public = SECRET.define(secrecy="public", trustees=None, belenios="")
    with pytest.raises(ConfigError, match="credentials, and the ballots of the election are public"):
        with_roll(Election(public), SECRET.roll)


def test_weights_that_no_secret_count_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = SecretSetup(weights=(10**6,) * 3)
    with_roll(Election(heavy.definition), heavy.roll)
    monkeypatch.setattr("votenet.core.election.roll.MAX_TOTAL_WEIGHT", 3 * 10**6 - 1)
    election = Election(heavy.definition)
    with pytest.raises(ConfigError, match="add up to more"):
        with_roll(election, heavy.roll)
