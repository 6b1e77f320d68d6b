"""The registry in Redis, for several bootstrap servers over one registry.

What lives here: RedisPeerStore, its keys and its two scripts. What must not: rules
(`protocol/bootstrap.py`), the import of the Redis client before somebody asks for this store.

Keys, all below `votenet:`: `peers` (hash: address in lower case -> entry as JSON), `order` (sorted set:
the same by number of registration; the rank in it is the slot), `expiry`, `checks` (sorted sets by
time), `held` (hash: counts by IP address and network), `retired` and `retired-until` (hash and sorted
set of "key address"), `last-id`, `format`.

Changes of a `saving` block wait in memory and go out as one script, which first sees whether every
entry that is changed, and every spent sequence that was looked at, is still as it was read: all is
done or nothing, whatever other servers do meanwhile. Redis answers it when it is on disk, because
this store takes only a server that appends every change and syncs it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from votenet.errors import ConfigError, StorageError
from votenet.protocol.address import network_group
from votenet.protocol.registry import PeerEntry
from votenet.storage.peer_store import StoreConflict

PREFIX: Final = "votenet:"
FORMAT: Final = b"1"
CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
"""Longer than any script here takes: one over MAX_BATCH requests some 0.1 s."""
DOWN_SECONDS: Final = 1.0
"""After a failure every call fails at once for this long: a dead Redis must not stop the server's loop."""
DURABLE: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""Settings with which a Redis server answers a change when it is on disk, and never forgets it."""
PAGE: Final = 1000
"""Entries fetched at a time where some of them may not be listed."""

_COMMIT: Final = """
local p, b = KEYS[1], cmsgpack.unpack(ARGV[1])
for _, e in ipairs(b.expects) do
  if (redis.call('HGET', p .. e[1], e[2]) or '') ~= e[3] then return 0 end
end
local function dated(key, name, when)
  if when < 0 then redis.call('ZREM', p .. key, name) else redis.call('ZADD', p .. key, when, name) end
end
for _, name in ipairs(b.gone) do
  redis.call('HDEL', p .. 'peers', name)
  for _, key in ipairs({'order', 'expiry', 'checks'}) do redis.call('ZREM', p .. key, name) end
end
for _, e in ipairs(b.puts) do
  redis.call('HSET', p .. 'peers', e[1], e[2])
  if not redis.call('ZSCORE', p .. 'order', e[1]) then
    redis.call('ZADD', p .. 'order', redis.call('INCR', p .. 'last-id'), e[1])
  end
  dated('expiry', e[1], e[3])
  dated('checks', e[1], e[4])
end
for _, h in ipairs(b.held) do
  if redis.call('HINCRBY', p .. 'held', h[1], h[2]) <= 0 then redis.call('HDEL', p .. 'held', h[1]) end
end
for _, r in ipairs(b.spent) do
  if tonumber(r[2]) > tonumber(redis.call('HGET', p .. 'retired', r[1]) or '-1') then
    redis.call('HSET', p .. 'retired', r[1], r[2])
  end
  redis.call('ZADD', p .. 'retired-until', 'GT', r[3], r[1])
end
for _, f in ipairs(b.forget) do
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', p .. 'retired-until', '-inf', f[2], 'LIMIT', 0, f[1])) do
    redis.call('HDEL', p .. 'retired', name)
    redis.call('ZREM', p .. 'retired-until', name)
  end
end
return 1
"""
_AT: Final = """
local found = {}
for _, slot in ipairs(cmsgpack.unpack(ARGV[1])) do
  local name = redis.call('ZRANGE', KEYS[1] .. 'order', slot, slot)[1]
  if name then found[#found + 1] = redis.call('HGET', KEYS[1] .. 'peers', name) end
end
return '[' .. table.concat(found, ',') .. ']'
"""

log = logging.getLogger("votenet.bootstrap")


@dataclass(slots=True)
class _Block:
    """What a `saving` block has read and changed. Values are as in `peers`, empty for no entry."""

    read: dict[str, bytes] = field(default_factory=dict)
    changed: dict[str, PeerEntry | None] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)  # removed and maybe added again: at the end of the order
    held: Counter[str] = field(default_factory=Counter)  # changes
    held_before: dict[str, int] = field(default_factory=dict)
    added: int = 0
    count_before: int | None = None
    looked_up: dict[str, bytes] = field(default_factory=dict)  # of `retired`
    spent: dict[str, tuple[int, int]] = field(default_factory=dict)
    forget: list[tuple[int, int]] = field(default_factory=list)


class RedisPeerStore:
    """A PeerStore in one database of a Redis server. Every method raises StorageError."""

    def __init__(self, url: str) -> None:
        """Connect to `redis://[user:password@]host:port/db`.

        Raises:
            ConfigError: redis-missing, bad-store, redis-not-durable.
            StorageError: it cannot be reached, or holds the registry of a newer votenet.
        """
        self._redis = _client_package()
        try:
            self._client: Any = self._redis.Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 1),
            )
        except ValueError as error:
            raise ConfigError(
                f"not the address of a Redis database: {error}",
                code="bad-store",
                next_step="Write it as redis://HOST:PORT/DB, e.g. redis://127.0.0.1:6379/0.",
            ) from error
        self._block: _Block | None = None
        self._down_until = 0.0
        self._commit, self._at = (self._client.register_script(text) for text in (_COMMIT, _AT))
        try:
            self._check_server()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(self._redis.RedisError):
            self._client.close()

    def prefetch(self, addresses: Sequence[str]) -> None:
        self._entries([address.lower().encode() for address in addresses])

    # -- changes -------------------------------------------------------------------------------

    def saving(self) -> AbstractContextManager[None]:
        return self._saving()

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        block = self._block = _Block()
        try:
            yield
        finally:
            self._block = None
        self._send(block)

    @contextlib.contextmanager
    def _within(self) -> Iterator[_Block]:
        """The open block, or one of its own for a single change."""
        if self._block is not None:
            yield self._block
            return
        with self._saving():
            assert self._block is not None
            yield self._block

    def put(self, entry: PeerEntry) -> None:
        with self._within() as block:
            name = entry.address.lower()
            before = self._find(name)
            if before is None:
                block.added += 1
            _count(block.held, before, -1)
            _count(block.held, entry, +1)
            block.changed[name] = entry

    def remove(self, address: str) -> None:
        with self._within() as block:
            name = address.lower()
            before = self._find(name)
            if before is not None:
                block.added -= 1
                _count(block.held, before, -1)
                block.changed[name] = None
                block.moved.add(name)

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        with self._within() as block:
            name = _spent_name(node_key, address)
            old = block.spent.get(name, (-1, 0))
            block.spent[name] = (max(old[0], sequence), max(old[1], until))

    def forget_retired(self, limit: int, now: int) -> None:
        with self._within() as block:
            block.forget.append((limit, now))

    def _send(self, block: _Block) -> None:
        if not (block.changed or block.spent or block.forget):
            return
        expects = [("peers", name, _text(block.read[name])) for name in block.changed]
        expects += [("retired", name, _text(value)) for name, value in block.looked_up.items()]
        batch = {
            "expects": expects,
            "gone": list(block.moved),
            "puts": [
                (name, _packed(entry), _when(entry.expires), _when(entry.check_at))
                for name, entry in block.changed.items()
                if entry is not None
            ],
            "held": [(name, change) for name, change in block.held.items() if change],
            "spent": [(name, str(sequence), until) for name, (sequence, until) in block.spent.items()],
            "forget": block.forget,
        }
        if not self._ask(self._commit, keys=[PREFIX], args=[msgspec.msgpack.encode(batch)]):
            raise StoreConflict("another server changed the same entries in this moment")

    # -- questions -----------------------------------------------------------------------------

    def count(self) -> int:
        block = self._block
        if block is not None and block.count_before is not None:
            return block.count_before + block.added
        found = int(self._ask(self._client.zcard, PREFIX + "order"))
        if block is None:
            return found
        block.count_before = found
        return found + block.added

    def held(self, name: str) -> int:
        block = self._block
        if block is not None and name in block.held_before:
            return block.held_before[name] + block.held[name]
        found = int(self._ask(self._client.hget, PREFIX + "held", name) or 0)
        if block is None:
            return found
        block.held_before[name] = found
        return found + block.held[name]

    def find(self, address: str) -> PeerEntry | None:
        return self._find(address.lower())

    def _find(self, name: str) -> PeerEntry | None:
        block = self._block
        if block is not None and name in block.changed:
            return block.changed[name]
        if block is not None and name in block.read:
            return _entry(block.read[name])
        value: bytes = self._ask(self._client.hget, PREFIX + "peers", name) or b""
        if block is not None:
            block.read[name] = value
        return _entry(value)

    def retired(self, node_key: str, address: str) -> int:
        name = _spent_name(node_key, address)
        value: bytes = self._ask(self._client.hget, PREFIX + "retired", name) or b""
        pending = -1
        if self._block is not None:
            self._block.looked_up[name] = value
            pending = self._block.spent.get(name, (-1, 0))[0]
        return max(int(value or -1), pending)

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        found: list[tuple[int, PeerEntry]] = []
        for number, entry in self._in_order(after, limit + 1):
            if entry.listed(now):
                found.append((number, entry))
                if len(found) > limit:
                    break
        cursor = found[limit - 1][0] if len(found) > limit else None
        return [entry for _, entry in found[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        found: list[str] = []
        for _, entry in self._in_order(0, min(limit, PAGE)):
            if len(found) >= limit:
                break
            if entry.listed(now):
                found.append(entry.address)
        return found

    def _in_order(self, after: int, some: int) -> Iterator[tuple[int, PeerEntry]]:
        """(number, entry) past a number, fetched some at a time."""
        while True:
            rows: list[tuple[bytes, float]] = self._ask(
                self._client.zrangebyscore, PREFIX + "order", f"({after}", "+inf", 0, some, withscores=True
            )
            for (_, number), entry in zip(rows, self._entries([name for name, _ in rows]), strict=True):
                if entry is not None:
                    yield int(number), entry
            if len(rows) < some:
                return
            after, some = int(rows[-1][1]), PAGE

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        if not slots:
            return []
        wanted = msgspec.msgpack.encode(list(slots))
        values: bytes = self._ask(self._at, keys=[PREFIX], args=[wanted])
        return [entry for entry in _entries(values) if entry.listed(now)]

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        return self._by_time("expiry", limit, now)

    def due(self, limit: int, now: int) -> list[PeerEntry]:
        return self._by_time("checks", limit, now)

    def _by_time(self, key: str, limit: int, now: int) -> list[PeerEntry]:
        names: list[bytes] = self._ask(self._client.zrangebyscore, PREFIX + key, "-inf", now, 0, limit)
        found = [entry for entry in self._entries(names) if entry is not None]
        changed = self._block.changed if self._block is not None else {}
        return [entry for entry in found if entry.address.lower() not in changed]

    def _entries(self, names: list[bytes]) -> list[PeerEntry | None]:
        if not names:
            return []
        values = self._ask(self._client.hmget, PREFIX + "peers", names)
        if self._block is not None:
            for name, value in zip(names, values, strict=True):
                self._block.read.setdefault(name.decode(), value or b"")
        return [_entry(value or b"") for value in values]

    # -- the server ----------------------------------------------------------------------------

    def _check_server(self) -> None:
        self._ask(self._client.setnx, PREFIX + "format", FORMAT)
        found = self._ask(self._client.get, PREFIX + "format")
        if found != FORMAT:
            raise StorageError(
                f"this Redis database has format {found!r}, this votenet knows {FORMAT!r}",
                code="storage-version",
                next_step="Run the newer votenet that wrote it, or name another database.",
            )
        try:
            settings = self._client.config_get("append*", "maxmemory*")
        except self._redis.RedisError:
            log.warning(
                "event=redis-unchecked why='CONFIG is not allowed: make sure that it keeps what it takes'"
            )
            return
        for name, wanted in (
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("maxmemory-policy", "noeviction"),
        ):
            if settings.get(name) != wanted:
                raise ConfigError(
                    f"this Redis server may lose registrations: {name} is {settings.get(name)}",
                    code="redis-not-durable",
                    next_step=f"redis-cli CONFIG SET {name} {wanted}; set it in its configuration, too.",
                )

    def _ask(self, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Ask the server; its errors become StorageError, and after one there is a pause."""
        if time.monotonic() < self._down_until:
            raise _unavailable("it did not answer a moment ago")
        try:
            return question(*args, **options)
        except (self._redis.ConnectionError, self._redis.TimeoutError) as error:
            self._down_until = time.monotonic() + DOWN_SECONDS
            raise _unavailable(str(error)) from error
        except self._redis.RedisError as error:
            raise _unavailable(str(error)) from error


def _client_package() -> Any:
    try:
        importlib.import_module("redis.backoff")
        importlib.import_module("redis.retry")
        return importlib.import_module("redis")
    except ImportError as error:
        raise ConfigError(
            "a registry in Redis needs the Python package redis",
            code="redis-missing",
            next_step="Install it with: pip install 'votenet[redis]'",
        ) from error


def _unavailable(why: str) -> StorageError:
    return StorageError(f"Redis: {why}", next_step="Check that the Redis server runs and has room.")


def _count(held: Counter[str], entry: PeerEntry | None, change: int) -> None:
    if entry is not None and entry.source:
        held[entry.source] += change
        held[network_group(entry.source)] += change


def _spent_name(node_key: str, address: str) -> str:
    return f"{node_key} {address.lower()}"


def _when(time: int | None) -> int:
    return -1 if time is None else time


_Row = tuple[str, str | None, str | None, int, int | None, str, bool, int, int | None]
_decoder = msgspec.json.Decoder(list[_Row])


def _packed(entry: PeerEntry) -> str:
    """The value of an entry: its fields as a JSON array. (Redis' scripts cannot take msgpack's binary.)"""
    row = msgspec.json.encode(
        (
            *(entry.address, entry.node_key, entry.network_id, entry.sequence, entry.expires),
            *(entry.source, entry.proved, entry.misses, entry.check_at),
        )
    )
    return row.decode()


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _entry(value: bytes) -> PeerEntry | None:
    """Raises StorageError for what this program did not write."""
    return _entries(b"[" + value + b"]")[0] if value else None


def _entries(values: bytes) -> list[PeerEntry]:
    """Entries out of a JSON array of their values. Raises StorageError as `_entry`."""
    try:
        return [PeerEntry(*row) for row in _decoder.decode(values)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            "Redis: an entry of the registry is damaged",
            code="storage-corrupt",
            next_step="Restore the database from its append-only file, or start with an empty one.",
        ) from error
