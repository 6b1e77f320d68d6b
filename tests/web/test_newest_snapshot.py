"""Versions of the newest snapshot, and who is told of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.web_pages import shown
from votenet.errors import Stopping
from votenet.web.newest_snapshot import NewestSnapshot
from votenet.web.snapshot import Snapshot

FIRST = shown("open")


def test_the_version_grows_only_when_a_snapshot_says_more() -> None:
    newest = NewestSnapshot()
    assert newest.value is None
    versions = []
    for made in (FIRST, replace(FIRST, at=FIRST.at + 1), replace(FIRST, at=FIRST.at + 2, alarm="a lie")):
        newest.publish(made)
        assert newest.value is not None
        versions.append(newest.value.version)
        assert newest.value.at == made.at
    first = versions[0]
    assert versions == [first, first, first + 1]


def test_readers_are_woken_by_the_first_snapshot_and_by_one_that_says_more() -> None:
    async def scenario() -> None:
        newest = NewestSnapshot()

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:

            async def next_after(after: Snapshot | None) -> asyncio.Task[Snapshot]:
                reader = tasks.create_task(newest.changed(after))
                await asyncio.sleep(0)
                return reader

            reader = await next_after(None)
            newest.publish(FIRST)
            seen = await reader
            assert seen is newest.value
            assert await newest.changed(None) is seen
            reader = await next_after(seen)
            newest.publish(replace(FIRST, at=FIRST.at + 1))
            late_reader = await next_after(seen)
            assert not reader.done(), "a later look that shows nothing new wakes no reader"
            assert not late_reader.done()
            newest.publish(replace(FIRST, alarm="a lie"))
            assert (await reader).alarm == (await late_reader).alarm == "a lie"

    asyncio.run(scenario())


def test_at_the_end_those_who_wait_are_let_go_and_others_need_not_wait() -> None:
    async def scenario() -> None:
        newest = NewestSnapshot()
        async with asyncio.timeout(60):
            async with asyncio.TaskGroup() as tasks:

                async def waits() -> None:
                    with pytest.raises(Stopping):
                        await newest.changed(None)

                tasks.create_task(waits())
                await asyncio.sleep(0)
                newest.end()
            newest.publish(FIRST)
            with pytest.raises(Stopping):
                await newest.changed(None)

    asyncio.run(scenario())
