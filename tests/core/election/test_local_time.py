"""Points in time by the clocks of one place."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from votenet.core.election.local_time import local_time, unix_seconds, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER = dt.datetime(2027, 5, 31, 6, tzinfo=dt.UTC)


def test_an_hour_is_shown_in_its_zone_or_else_in_utc() -> None:
    assert local_time(int(SUMMER.timestamp()), "Europe/Berlin").isoformat() == "2027-05-31T08:00:00+02:00"
    assert local_time(0, "Nowhere/Town").isoformat() == "1970-01-01T00:00:00+00:00"
    assert local_time(0, "Africa/Monrovia").isoformat() == "1970-01-01T00:00:00+00:00", "TOML has no seconds"


def test_a_point_in_time_is_read_in_the_zone_where_it_was_written() -> None:
    assert unix_seconds(dt.datetime(2027, 5, 31, 8), BERLIN) == int(SUMMER.timestamp())
    assert unix_seconds(SUMMER, None) == int(SUMMER.timestamp())
    assert zone_named("UTC") is dt.UTC


@pytest.mark.parametrize(
    ("value", "zone", "why"),
    [
        (dt.date(2027, 5, 31), BERLIN, "a day without an hour"),
        (dt.time(8), BERLIN, "no point in time"),
        (dt.datetime(2027, 5, 31, 8), None, "no offset"),
        (dt.datetime(2027, 3, 28, 2, 30), BERLIN, "there is no such hour"),
        (dt.datetime(2027, 10, 31, 2, 30), BERLIN, "this hour comes twice"),
    ],
)
def test_what_is_no_point_in_time_is_told(value: Any, zone: dt.tzinfo | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unix_seconds(value, zone)
