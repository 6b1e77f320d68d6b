"""Points in time as an election's file and its voters have them: by the clocks of one place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec

from votenet.core.election.toml_table import TomlTable, kind_fault


def zone_of(table: TomlTable, kind: Any) -> tuple[str, tzinfo | None]:
    """Name and rules of the time zone that an election's file names; without a name there are no rules.

    Args:
        kind: the type of the name in a definition.
    """
    name = table.take("time_zone", kind, None)
    if name is None:
        return "UTC", UTC if table.has("time_zone") else None
    try:
        return name, zone_named(name)
    except (KeyError, ValueError, OSError):
        table.blame("time_zone", f"the time zone {name!r} is not known here")
        return "UTC", UTC


def time_of(table: TomlTable, key: str, zone: tzinfo | None) -> int | None:
    """A point in time of an election's file, as Unix seconds; None if there is none. A wrong one is told."""
    value = table.raw(key)
    if value is None:
        return None
    try:
        seconds = unix_seconds(value, zone)
    except (ValueError, OverflowError) as error:
        table.blame(key, str(error))
        return None
    if wrong := kind_fault(seconds, Annotated[int, msgspec.Meta(ge=0)]):
        table.blame(key, "it is before 1970" if seconds < 0 else wrong)
        return None
    return seconds


def zone_named(name: str) -> tzinfo:
    """The rules of a time zone. Raises KeyError, ValueError or OSError for one that is not known here."""
    return UTC if name == "UTC" else ZoneInfo(name)


def unix_seconds(value: Any, zone: tzinfo | None) -> int:
    """A point in time of a TOML file as Unix seconds.

    Args:
        zone: where an hour without an offset is meant.

    Raises:
        ValueError: it is no point in time, or not one; the text says why.
        OverflowError: no calendar has it.
    """
    if not isinstance(value, datetime):
        raise ValueError(
            "it is a day without an hour" if isinstance(value, date) else "it is no point in time"
        )
    if value.tzinfo is not None:
        return int(value.timestamp())
    if zone is None:
        raise ValueError("it has no offset, and the file names no time_zone")
    early, late = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        back = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        if back != value:
            raise ValueError("clocks are put forward then: there is no such hour in this time zone")
        raise ValueError("clocks are put back then: this hour comes twice, so it needs its offset")
    return int(early.timestamp())


def local_time(seconds: int, zone_name: str) -> datetime:
    """A point in time in the election's zone; in UTC where the zone is not known or has odd offsets.

    Raises:
        ValueError, OverflowError: no calendar has it.
    """
    try:
        zone = zone_named(zone_name)
    except (KeyError, ValueError, OSError):
        zone = UTC
    found = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    offset = found.utcoffset()
    return found if offset is not None and not offset % timedelta(minutes=1) else found.astimezone(UTC)
