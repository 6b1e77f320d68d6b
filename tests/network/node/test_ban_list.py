"""Bans by the operator: the forms of a subject; a change is on the disk."""

from __future__ import annotations

import asyncio
import time

import pytest

from support.elections import key_of, make_election
from support.memory_block_store import MemoryBlockStore
from votenet.errors import Rejected
from votenet.network.node.ban_list import BanList
from votenet.network.node.connection_policy import ConnectionPolicy
from votenet.network.node.links import LinkTable
from votenet.network.node.persistence import Persistence
from votenet.protocol.wire.connection import LocalNode

KEY = "ab" * 32
NOW = time.time()


class Node:
    """A ban list on a store in memory, with no link open."""

    def __init__(self) -> None:
        self.store = MemoryBlockStore(make_election())
        self.policy = ConnectionPolicy(lambda: 0.0, lambda: NOW)
        identity = LocalNode(key_of("us"), make_election().network_hex, "us:1")
        links = LinkTable(identity, print, lambda: (0, 0), lambda: 0.0, print, self.policy)
        self.persistence = Persistence(self.store)
        self.bans = BanList(self.policy, links, self.persistence)

    def run(self, *calls: tuple[str, str]) -> list[object]:
        """Each `("ban" or "unban", text)` in turn: the subjects banned, or how many bans were lifted."""

        async def play() -> list[object]:
            told: list[object] = []
            for call, text in calls:
                if call == "unban":
                    told.append(await self.bans.unban(text))
                else:
                    told.append([ban.subject for ban in await self.bans.ban(text, 60)])
            return told

        with self.persistence.started():
            return asyncio.run(play())


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (KEY, f"key:{KEY}"),
        (f"key:{KEY}", f"key:{KEY}"),
        ("192.0.2.7", "address:192.0.2.7"),
        ("192.0.2.7:4000", "address:192.0.2.7"),
        ("address:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8::1", "address:2001:db8::/64"),
        ("address:2001:db8::/64", "address:2001:db8::/64"),
    ],
)
def test_a_key_or_an_address_in_any_spelling_is_banned_and_saved(text: str, subject: str) -> None:
    node = Node()
    assert node.run(("ban", text)) == [[subject]]
    assert [ban.subject for ban in node.store.known_bans()] == [subject]
    assert [ban.until for ban in node.bans.now()] == [int(NOW) + 60]


@pytest.mark.parametrize("text", ["", "127.0.0.1", "localhost:4000", "nobody", "ab" * 31])
def test_a_text_that_names_nothing_is_refused_and_changes_nothing(text: str) -> None:
    node = Node()
    with pytest.raises(Rejected) as refusal:
        node.run(("ban", text))
    assert refusal.value.code == "bad-address"
    assert node.store.known_bans() == []


def test_a_ban_is_lifted_once() -> None:
    node = Node()
    assert node.run(("ban", "192.0.2.7"), ("unban", "192.0.2.7"), ("unban", "192.0.2.7"))[1:] == [1, 0]
    assert node.store.known_bans() == node.bans.now() == []
