"""The registry in Redis, for several bootstrap servers over one registry.

Keys, all below `votenet:`: `peers` (hash: address in lower case -> entry as JSON), `order` (sorted set: the
same by number of registration; the rank in it is the slot), `expiry`, `checks` (sorted sets by time), `held`
(hash: counts by IP address and network), `retired` and `retired-until` (hash and sorted set of "key
address"), `last-id`, `format`.

Changes of a `saving` block wait in memory and go out as one script, which first sees whether every entry that
is changed, and every spent sequence that was looked up, is still as it was read: all is done or nothing,
whatever other servers do meanwhile. Redis answers when it is on disk: other settings are refused, at each new
connection, for a Redis that was started again may have others.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from votenet.errors import ConfigError, StorageError
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import network_group
from votenet.storage.registry.peer_store import StoreConflict

PREFIX: Final = "votenet:"
FORMAT: Final = b"1"
CONNECT_SECONDS: Final = 2.0
REDIS_SECONDS: Final = 5.0
"""Longer than any script here takes: one over a batch of requests some 0.1 s."""
FAILING_SECONDS: Final = 1.0
"""After a failure every call fails at once for this long: a dead Redis must not stop the server's loop."""
DURABLE: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""Settings with which a Redis server answers a change when it is on disk, and never forgets it."""
NOT_DURABLE: Final = "redis-not-durable"
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


def _tls_checks(url: str) -> dict[str, Any]:
    """Settings of redis-py by which a server must have a certificate of its name; those in the URL win.

    Some releases check no names by themselves, and take no check of names without one of certificates.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return {}
    checked = parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[-1] != "none"
    return {"ssl_check_hostname": checked, "ssl_cert_reqs": "required"}


@dataclass(slots=True)
class _Transaction:
    """Reads and changes of a `saving` block. Values read are bytes, empty where there was none."""

    read: dict[str, bytes] = field(default_factory=dict)
    changed: dict[str, PeerEntry | None] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)  # and maybe added again: at the end of the order
    held_read: dict[str, int] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)  # changes
    count_read: int | None = None
    added: int = 0
    retired_read: dict[str, bytes] = field(default_factory=dict)
    spent: dict[str, tuple[int, int]] = field(default_factory=dict)
    forget: list[tuple[int, int]] = field(default_factory=list)

    def change(self, name: str, before: PeerEntry | None, after: PeerEntry | None) -> None:
        self.changed[name] = after
        self.added += (after is not None) - (before is not None)
        for entry, by in ((before, -1), (after, +1)):
            if entry is not None and entry.source:
                self.held[entry.source] += by
                self.held[network_group(entry.source)] += by


class _NotDurable(redis.RedisError):
    """A server that may forget what it has answered. redis-py closes a connection that ends so."""

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(f"this Redis server may lose registrations: {name} is {value}")
        wanted = DURABLE[name]
        self.next_step = f"redis-cli CONFIG SET {name} {wanted}; set it in its configuration, too."


def _connected(connection: Any) -> None:
    """Log in, as redis-py does without this, and look whether the server is durable. Raises _NotDurable."""
    connection.on_connect()
    try:
        settings = _settings(connection)
    except redis.ResponseError:
        log.warning(
            "event=redis-unchecked why='CONFIG is not allowed: make sure that it keeps what it takes'"
        )
        return
    for name, wanted in DURABLE.items():
        if settings.get(name) != wanted:
            raise _NotDurable(name, settings.get(name))


def _settings(connection: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in DURABLE:  # one by one: Redis before version 7 takes no list
        connection.send_command("CONFIG", "GET", name)
        reply = connection.read_response(disable_decoding=True)  # RESP3: a map, RESP2: names and values
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        found |= {_text(key): _text(value) for key, value in pairs}
    return found


class RedisPeerStore:
    """A PeerStore in one database of a Redis server. Every method raises StorageError."""

    def __init__(self, url: str) -> None:
        """Connect to `redis://[user:password@]host:port/db`.

        Raises:
            ConfigError: bad-store, redis-not-durable.
            StorageError: it cannot be reached, or holds the registry of a newer votenet.
        """
        try:
            self.client: Any = redis.Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=REDIS_SECONDS,
                retry=Retry(NoBackoff(), 1),
                redis_connect_func=_connected,
                **_tls_checks(url),
            )
        except ValueError as error:
            raise ConfigError(
                f"not the address of a Redis database: {error}",
                code="bad-store",
                next_step="Write it as redis://HOST:PORT/DB, e.g. redis://127.0.0.1:6379/0.",
            ) from error
        self._open: _Transaction | None = None
        self.down_until = 0.0
        self._commit, self._at = (self.client.register_script(text) for text in (_COMMIT, _AT))
        try:
            self._check_server()
        except BaseException as error:
            self.close()
            if isinstance(error, StorageError) and error.code == NOT_DURABLE:
                raise ConfigError(error.message, code=NOT_DURABLE, next_step=error.next_step) from error
            raise

    def close(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self.client.close()

    # -- changes -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        transaction = self._open = _Transaction()
        try:
            yield
        finally:
            self._open = None
        self._send(transaction)

    @contextlib.contextmanager
    def _change(self) -> Iterator[_Transaction]:
        """The open transaction, or a new one for a single change."""
        with self.saving() if self._open is None else contextlib.nullcontext():
            assert self._open is not None
            yield self._open

    def prefetch(self, addresses: Sequence[str]) -> None:
        self._entries([address.lower().encode() for address in addresses])

    def put(self, entry: PeerEntry) -> None:
        with self._change() as transaction:
            transaction.change(entry.address.lower(), self.find(entry.address), entry)

    def remove(self, address: str) -> None:
        with self._change() as transaction:
            before = self.find(address)
            if before is not None:
                transaction.change(address.lower(), before, None)
                transaction.removed.add(address.lower())

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        with self._change() as transaction:
            name = _spent_name(node_key, address)
            old = transaction.spent.get(name, (-1, 0))
            transaction.spent[name] = (max(old[0], sequence), max(old[1], until))

    def forget_retired(self, limit: int, now: int) -> None:
        with self._change() as transaction:
            transaction.forget.append((limit, now))

    def _send(self, done: _Transaction) -> None:
        if not (done.changed or done.spent or done.forget):
            return
        expects = [("peers", name, _text(done.read[name])) for name in done.changed]
        expects += [("retired", name, _text(value)) for name, value in done.retired_read.items()]
        batch = {
            "expects": expects,
            "gone": list(done.removed),
            "puts": [
                # (Redis' scripts cannot take msgpack's binary.)
                (name, msgspec.json.encode(entry).decode(), _when(entry.expires), _when(entry.check_at))
                for name, entry in done.changed.items()
                if entry is not None
            ],
            "held": [(name, change) for name, change in done.held.items() if change],
            "spent": [(name, str(sequence), until) for name, (sequence, until) in done.spent.items()],
            "forget": done.forget,
        }
        if not self._ask(self._commit, keys=[PREFIX], args=[msgspec.msgpack.encode(batch)]):
            raise StoreConflict("another server changed the same entries in this moment")

    # -- questions -----------------------------------------------------------------------------

    def count(self) -> int:
        seen = self._open or _Transaction()
        if seen.count_read is None:
            seen.count_read = int(self._ask(self.client.zcard, PREFIX + "order"))
        return seen.count_read + seen.added

    def held(self, name: str) -> int:
        seen = self._open or _Transaction()
        if name not in seen.held_read:
            seen.held_read[name] = int(self._ask(self.client.hget, PREFIX + "held", name) or 0)
        return seen.held_read[name] + seen.held[name]

    def find(self, address: str) -> PeerEntry | None:
        name, seen = address.lower(), self._open or _Transaction()
        if name in seen.changed:
            return seen.changed[name]
        if name not in seen.read:
            seen.read[name] = self._ask(self.client.hget, PREFIX + "peers", name) or b""
        return _entry(seen.read[name])

    def retired(self, node_key: str, address: str) -> int:
        name, seen = _spent_name(node_key, address), self._open or _Transaction()
        value = seen.retired_read[name] = self._ask(self.client.hget, PREFIX + "retired", name) or b""
        return max(int(value or -1), seen.spent.get(name, (-1, 0))[0])

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        rows: list[tuple[int, PeerEntry]] = []
        for number, entry in self._in_order(after, min(limit + 1, 2 * PAGE + 1)):
            if entry.listed(now):
                rows.append((number, entry))
                if len(rows) > limit:
                    break
        cursor = rows[limit - 1][0] if len(rows) > limit else None
        return [entry for _, entry in rows[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        return [entry.address for entry in self.page(0, limit, now)[0]]

    def _in_order(self, after: int, some: int) -> Iterator[tuple[int, PeerEntry]]:
        """(number, entry) past a number, fetched some at a time."""
        while True:
            rows: list[tuple[bytes, float]] = self._ask(
                self.client.zrangebyscore, PREFIX + "order", f"({after}", "+inf", 0, some, withscores=True
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
        names: list[bytes] = self._ask(self.client.zrangebyscore, PREFIX + key, "-inf", now, 0, limit)
        changed = self._open.changed if self._open is not None else {}
        entries = [entry for entry in self._entries(names) if entry is not None]
        return [entry for entry in entries if entry.address.lower() not in changed]

    def _entries(self, names: list[bytes]) -> list[PeerEntry | None]:
        if not names:
            return []
        values = self._ask(self.client.hmget, PREFIX + "peers", names)
        if self._open is not None:
            for name, value in zip(names, values, strict=True):
                self._open.read.setdefault(name.decode(), value or b"")
        return [_entry(value or b"") for value in values]

    # -- the server ----------------------------------------------------------------------------

    def _check_server(self) -> None:
        self._ask(self.client.setnx, PREFIX + "format", FORMAT)
        found = self._ask(self.client.get, PREFIX + "format")
        if found != FORMAT:
            raise StorageError(
                f"this Redis database has format {found!r}, this votenet knows {FORMAT!r}",
                code="storage-version",
                next_step="Run the newer votenet that wrote it, or name another database.",
            )

    def _ask(self, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Ask the server; its errors become StorageError, and after one there is a pause."""
        if time.monotonic() < self.down_until:
            raise _unavailable("it did not answer a moment ago")
        try:
            return question(*args, **options)
        except _NotDurable as error:
            self.down_until = time.monotonic() + FAILING_SECONDS
            raise StorageError(str(error), code=NOT_DURABLE, next_step=error.next_step) from error
        except redis.RedisError as error:
            if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self.down_until = time.monotonic() + FAILING_SECONDS
            raise _unavailable(str(error), remedy(error)) from error


def _unavailable(why: str, next_step: str = "Check that the Redis server runs and has room.") -> StorageError:
    return StorageError(f"Redis: {why}", next_step=next_step)


def remedy(error: redis.RedisError) -> str:
    """What to do about an error of a Redis server, or of the way to it."""
    if isinstance(error, redis.AuthenticationError):
        return "Put the password of that server into its address: rediss://:PASSWORD@HOST:6379"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "If an authority of your own signed the certificate of Redis, set SSL_CERT_FILE to the "
            "certificate of that authority. Else Redis needs a valid certificate for the name in its address."
        )
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return (
            "Check that the Redis server runs at that address, takes TLS as rediss:// says, or none as "
            "redis:// says, and lets this machine in."
        )
    return "Check that the Redis server runs and has room."


def _spent_name(node_key: str, address: str) -> str:
    return f"{node_key} {address.lower()}"


def _when(time: int | None) -> int:
    return -1 if time is None else time


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


_decoder = msgspec.json.Decoder(list[PeerEntry])


def _entry(value: bytes) -> PeerEntry | None:
    """Raises StorageError for a value that this program did not write."""
    return _entries(b"[" + value + b"]")[0] if value else None


def _entries(values: bytes) -> list[PeerEntry]:
    """Entries out of a JSON array of their values. Raises StorageError as `_entry`."""
    try:
        return _decoder.decode(values)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            "Redis: an entry of the registry is damaged",
            code="storage-corrupt",
            next_step="Restore the database from its append-only file, or start with an empty one.",
        ) from error
