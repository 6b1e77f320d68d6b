"""The registry in a real Redis: two servers over it, conflicts, kill -9, refused settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import exceptions as errors

from support.redis_server import RedisServer, redis_server
from votenet.errors import ConfigError, StorageError
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.storage.registry.peer_store import StoreConflict
from votenet.storage.registry.redis_peer_store import PREFIX, RedisPeerStore, remedy

NOW = 1000
KEY, NETWORK = "11" * 32, "22" * 32


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def two(redis: RedisServer) -> Iterator[tuple[RedisPeerStore, RedisPeerStore]]:
    one, other = RedisPeerStore(redis.url()), RedisPeerStore(redis.url())
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("query", "name", "certificate"),
    [
        ("", True, "required"),
        ("?ssl_check_hostname=no", False, "required"),
        ("?ssl_cert_reqs=none", False, "none"),
    ],
)
def test_the_name_in_a_servers_certificate_is_checked_unless_the_url_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, query: str, name: bool, certificate: str
) -> None:
    monkeypatch.setattr(RedisPeerStore, "_check_server", lambda store: None)
    store = RedisPeerStore(f"rediss://:secret@north.example:6379{query}")
    settings = store.client.connection_pool.connection_kwargs
    assert (settings["ssl_check_hostname"], settings["ssl_cert_reqs"]) == (name, certificate)
    store.close()
    plain = RedisPeerStore("redis://127.0.0.1:6379")
    assert not [setting for setting in plain.client.connection_pool.connection_kwargs if "ssl" in setting]
    plain.close()


def keyed(address: str, sequence: int = 1) -> PeerEntry:
    return PeerEntry(address, KEY, NETWORK, sequence, NOW + 10)


def test_changes_of_one_server_reach_the_other(two: tuple[RedisPeerStore, RedisPeerStore]) -> None:
    one, other = two
    with one.saving():
        one.put(keyed("a:1"))
        one.put(PeerEntry("b:2", source="10.0.0.1"))
        assert other.count() == 0
    assert other.addresses(10, NOW) == ["a:1", "b:2"]
    assert other.held("10.0.0.0/24") == 1


def test_of_two_that_change_the_same_entry_the_second_does_nothing(
    two: tuple[RedisPeerStore, RedisPeerStore],
) -> None:
    one, other = two

    def lose() -> None:
        with one.saving():
            assert one.find("a:1") is None
            one.put(PeerEntry("a:1"))
            one.put(PeerEntry("b:2", source="10.0.0.1"))
            other.put(keyed("a:1"))

    with pytest.raises(StoreConflict):
        lose()
    assert one.find("a:1") == keyed("a:1")
    assert one.addresses(10, NOW) == ["a:1"]
    assert one.held("10.0.0.1") == 0


def test_a_record_that_another_server_spent_meanwhile_is_not_taken(
    two: tuple[RedisPeerStore, RedisPeerStore],
) -> None:
    one, other = two

    def replay() -> None:
        with one.saving():
            assert one.find("a:1") is None
            assert one.retired(KEY, "a:1") == -1
            other.put(keyed("a:1", 5))
            other.remove("a:1")
            other.retire(KEY, "a:1", 5, NOW + 10)
            one.put(keyed("a:1", 3))

    with pytest.raises(StoreConflict):
        replay()
    assert one.find("a:1") is None
    assert one.retired(KEY, "a:1") == 5


def test_changes_of_different_entries_do_not_meet(two: tuple[RedisPeerStore, RedisPeerStore]) -> None:
    one, other = two
    with one.saving():
        one.put(PeerEntry("a:1"))
        with other.saving():
            other.put(PeerEntry("b:2"))
    assert one.addresses(10, NOW) == ["b:2", "a:1"]


def test_a_batch_reads_its_entries_in_one_go(redis: RedisServer) -> None:
    """However many requests a turn has, Redis is asked a handful of times."""
    store = RedisPeerStore(redis.url())
    store.put(keyed("a:1"))

    def commands() -> int:
        return int(store.client.info("stats")["total_commands_processed"])

    def turn(number: int) -> int:
        names = [f"a:{n}" for n in range(1, number + 1)]
        before = commands()
        with store.saving():
            store.prefetch(names)
            for name in names:
                assert store.count() >= 1
                if store.find(name) is None:
                    store.put(PeerEntry(name))
        return commands() - before

    turn(100)  # what the script does for each entry is counted, too
    assert turn(100) <= 5
    assert store.count() == 100
    store.close()


def test_a_batch_that_raised_is_undone(two: tuple[RedisPeerStore, RedisPeerStore]) -> None:
    one, other = two

    def fail() -> None:
        with one.saving():
            one.put(PeerEntry("a:1"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (one.count(), other.count()) == (0, 0)


def test_kill_9_of_redis_loses_nothing_and_is_a_storage_error_meanwhile(redis: RedisServer) -> None:
    store = RedisPeerStore(redis.url())
    for number in range(1, 200):
        store.put(PeerEntry(f"a:{number}"))
    redis.kill()
    for _ in range(2):
        with pytest.raises(StorageError):
            store.count()
    redis.start()
    again = RedisPeerStore(redis.url())
    assert again.count() == 199
    store.down_until = 0.0  # instead of waiting for FAILING_SECONDS
    assert store.count() == 199
    store.close()
    again.close()


def test_a_server_that_may_lose_changes_is_refused(redis: RedisServer) -> None:
    redis.kill()
    redis.start("--appendfsync", "everysec")
    with pytest.raises(ConfigError) as caught:
        RedisPeerStore(redis.url())
    assert caught.value.code == "redis-not-durable"
    assert "CONFIG SET appendfsync always" in caught.value.next_step


def test_a_server_that_comes_back_with_other_settings_is_refused_until_they_are_right(
    redis: RedisServer,
) -> None:
    store = RedisPeerStore(redis.url())
    store.put(PeerEntry("a:1"))
    redis.kill()
    redis.start("--appendfsync", "everysec")
    for _ in range(2):
        store.down_until = 0.0  # instead of waiting for FAILING_SECONDS
        with pytest.raises(StorageError, match="appendfsync is everysec") as caught:
            store.put(PeerEntry("a:2"))
        assert caught.value.code == "redis-not-durable"
        assert "CONFIG SET appendfsync always" in caught.value.next_step
    redis.kill()
    redis.start()
    store.down_until = 0.0
    assert store.addresses(10, NOW) == ["a:1"], "nothing was taken meanwhile"
    store.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_server_that_tells_no_settings_is_used_with_a_warning(
    redis: RedisServer, protocol: int, caplog: pytest.LogCaptureFixture
) -> None:
    first = RedisPeerStore(redis.url())
    first.client.acl_setuser("quiet", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    first.close()
    assert "redis-unchecked" not in caplog.text
    quiet = redis.url().replace("redis://", "redis://quiet:any@") + f"?protocol={protocol}"
    store = RedisPeerStore(quiet)
    assert "event=redis-unchecked" in caplog.text
    assert store.count() == 0
    store.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_settings_are_read_in_both_versions_of_the_protocol(redis: RedisServer, protocol: int) -> None:
    store = RedisPeerStore(f"{redis.url()}?protocol={protocol}")
    assert store.count() == 0
    store.client.config_set("appendonly", "no")
    store.close()
    with pytest.raises(ConfigError, match="appendonly is no"):
        RedisPeerStore(f"{redis.url()}?protocol={protocol}")


def test_a_foreign_registry_is_refused(redis: RedisServer) -> None:
    store = RedisPeerStore(redis.url())
    store.client.hset(PREFIX + "peers", "a:1", b"\xff[]")
    with pytest.raises(StorageError) as caught:
        store.find("a:1")
    assert caught.value.code == "storage-corrupt"
    store.client.set(PREFIX + "format", b"2")
    store.close()
    with pytest.raises(StorageError) as caught:
        RedisPeerStore(redis.url())
    assert caught.value.code == "storage-version"


@pytest.mark.parametrize(
    ("url", "code"), [("redis://127.0.0.1:1/0", "storage-failed"), ("http://a", "bad-store")]
)
def test_a_server_that_is_not_there_is_named(url: str, code: str) -> None:
    with pytest.raises((StorageError, ConfigError)) as caught:
        RedisPeerStore(url)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (errors.AuthenticationError("invalid username-password pair"), "PASSWORD"),
        (errors.ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"), "SSL_CERT_FILE"),
        (errors.ConnectionError("Error 111 connecting to 127.0.0.1:1"), "lets this machine in"),
        (errors.ResponseError("OOM command not allowed"), "has room"),
    ],
)
def test_each_cause_has_its_remedy(error: errors.RedisError, step: str) -> None:
    assert step in remedy(error)
