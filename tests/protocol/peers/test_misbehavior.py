"""Scores and bans in virtual time."""

from __future__ import annotations

import pytest

from votenet.errors import REFUSALS, Kind
from votenet.protocol.peers import misbehavior
from votenet.protocol.peers.misbehavior import (
    BAN_SECONDS,
    LIMIT,
    MAX_BAN_SECONDS,
    MAX_SUBJECTS,
    POINTS,
    REMEMBERED_SECONDS,
    Ban,
    MisbehaviorScores,
    of_address,
    of_key,
)

NOW = 1_700_000_000.0
WHO = of_key("ab")


def test_the_table_has_only_existing_codes_and_none_for_temporary_trouble() -> None:
    clocks_and_races = {"unknown-parent"}
    for code, points in POINTS.items():
        assert 0 < points <= LIMIT
        assert REFUSALS[code][0] is Kind.PERMANENT or code in clocks_and_races, code


@pytest.mark.parametrize("code", ["bad-signature", "bad-work", "bad-merkle-root", "voter-twice"])
def test_a_lie_is_a_ban_at_once(code: str) -> None:
    scores = MisbehaviorScores()
    assert scores.note(WHO, code, NOW) == Ban(WHO, int(NOW) + BAN_SECONDS, 1, code)
    assert scores.banned(WHO, NOW) is not None
    assert scores.banned(of_key("other"), NOW) is None


@pytest.mark.parametrize("code", ["duplicate-connection", "idle-timeout", "slow-reader", "vote-from-future",
                                  "network-mismatch", "busy", "closed", "banned", "unreachable"])  # fmt: skip
def test_an_honest_mistake_costs_nothing_however_often(code: str) -> None:
    scores = MisbehaviorScores()
    assert [scores.note(WHO, code, NOW) for _ in range(1000)] == [None] * 1000
    assert scores.score(WHO, NOW) == 0


def test_odd_things_add_up_and_are_forgiven_within_an_hour() -> None:
    scores = MisbehaviorScores()
    assert [scores.note(WHO, "bad-json", NOW) for _ in range(3)] == [None] * 3
    assert scores.score(WHO, NOW) == 90
    assert scores.score(WHO, NOW + 1800) == pytest.approx(40)
    assert scores.score(WHO, NOW + 3600) == 0
    assert scores.score(WHO, NOW - 3600) == 90  # a clock that was set back forgives nothing
    later = [scores.note(WHO, "bad-json", NOW + 3600 + 60 * minute) for minute in range(4)]
    assert later[:3] == [None] * 3
    assert later[3] is not None


def test_a_ban_ends_by_itself_and_the_next_one_is_twice_as_long() -> None:
    scores, now = MisbehaviorScores(), NOW
    lengths = []
    for _ in range(7):
        ban = scores.ban(WHO, "bad-work", now)
        lengths.append(ban.until - int(now))
        assert scores.banned(WHO, ban.until - 1) is not None
        assert scores.banned(WHO, ban.until) is None
        now = float(ban.until)
    assert lengths == [h * 3600 for h in (1, 2, 4, 8, 16, 24, 24)]
    assert max(lengths) == MAX_BAN_SECONDS


def test_an_old_ban_is_forgotten() -> None:
    scores = MisbehaviorScores()
    until = scores.ban(WHO, "bad-work", NOW).until
    assert [ban.subject for ban in scores.remembered(until + REMEMBERED_SECONDS)] == [WHO]
    assert scores.remembered(until + REMEMBERED_SECONDS + 1) == []
    assert scores.ban(WHO, "bad-work", until + REMEMBERED_SECONDS + 1).times == 1


def test_bans_survive_a_restart_and_can_be_made_and_lifted_by_hand() -> None:
    scores = MisbehaviorScores()
    scores.ban(WHO, "bad-work", NOW, seconds=60)
    again = MisbehaviorScores(scores.remembered(NOW))
    assert not again.changed
    assert again.banned(WHO, NOW + 59) is not None
    assert again.banned(WHO, NOW + 60) is None
    assert (again.lift(WHO), again.lift(WHO), again.banned(WHO, NOW)) == (True, False, None)
    assert again.changed


def test_strangers_names_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misbehavior, "MAX_SUBJECTS", 3)
    scores = MisbehaviorScores()
    for number in range(10):
        scores.note(of_key(f"{number}"), "bad-json", NOW)
        scores.ban(of_key(f"b{number}"), "bad-work", NOW + number)
    assert [scores.score(of_key(f"{n}"), NOW) for n in range(10)] == [0] * 7 + [30] * 3
    assert [ban.subject for ban in scores.remembered(NOW)] == ["key:b7", "key:b8", "key:b9"]
    assert MAX_SUBJECTS == 4096


@pytest.mark.parametrize(
    ("host", "subject"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("127.0.0.66", "address:127.0.0.66"),
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8::7", "address:2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "address:2001:db8::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("simulated", None),
    ],
)
def test_an_address_is_one_subject_and_this_machine_is_none(host: str, subject: str | None) -> None:
    assert of_address(host) == subject
