"""One supervisor for each instance, and its saved settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.processes.conftest import free_block

from votenet.config import InstanceDirs
from votenet.errors import ConfigError, Locked
from votenet.processes import instance, ports
from votenet.processes.spec import NetworkSpec


def spec(block: ports.PortBlock) -> NetworkSpec:
    return NetworkSpec(instance="t", genesis="g", bootstrap_port=block.bootstrap, node_ports=block.nodes)


def test_one_claim_at_a_time_and_the_holder_is_named(dirs: InstanceDirs) -> None:
    with instance.claim(dirs), pytest.raises(Locked, match=f"pid {os.getpid()}") as caught:
        instance.claim(dirs)
    assert caught.value.exit_code == 75
    instance.claim(dirs).release()


@pytest.mark.parametrize("folder", ["state", "run", "logs"])
def test_scenario_19_a_linked_folder_is_refused(dirs: InstanceDirs, tmp_path: Path, folder: str) -> None:
    path: Path = getattr(dirs, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path)
    with pytest.raises(ConfigError) as caught:
        instance.claim(dirs)
    assert caught.value.code == "bad-directory"
    path.unlink()


def test_folders_are_private(dirs: InstanceDirs) -> None:
    instance.make_dirs(dirs)
    assert {path.stat().st_mode & 0o777 for path in (dirs.state, dirs.run, dirs.logs)} == {0o700}


def test_the_network_is_remembered(dirs: InstanceDirs) -> None:
    instance.make_dirs(dirs)
    with pytest.raises(ConfigError, match="no network yet"):
        instance.load_network(dirs)
    network = spec(ports.PortBlock(20000, (20001,)))
    instance.save_network(dirs, network)
    assert instance.load_network(dirs) == network
    fine = instance.network_file(dirs).read_bytes()
    wrong = [fine.replace(b"20001", port) for port in (b"70000", b"-1", b"20000")]
    for broken in (*wrong, b'{"instance": 5}', b'{"instance":"\xff"}', b'{"x":' + b"[" * 100_000):
        instance.network_file(dirs).write_bytes(broken)
        with pytest.raises(ConfigError, match="cannot be used"):
            instance.load_network(dirs)


def test_a_claim_can_be_inherited_only_as_it_is(dirs: InstanceDirs) -> None:
    lock = instance.claim(dirs)
    lease = ports.choose(1, preferred=free_block(1))
    claim = instance.Claim(lock, lease.locks)
    network = spec(lease.block)
    copies = tuple(os.dup(fd) for fd in claim.descriptors)
    claim.hand_over()
    with pytest.raises(ConfigError, match="expected 3 inherited locks"):
        instance.adopt(dirs, network, copies[:2])
    with pytest.raises(ConfigError, match="is not the lock"):
        instance.adopt(dirs, network, copies[::-1])
    adopted = instance.adopt(dirs, network, copies)
    with pytest.raises(Locked):
        instance.claim(dirs)
    adopted.release()

    cleared: list[str] = []
    again = instance.claim_again(dirs, network, lambda: cleared.append("yes") or ())
    assert cleared == ["yes"]
    again.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a folder of another user is made")
@pytest.mark.parametrize("folder", ["state", "run", "logs"])
def test_scenario_19_a_folder_of_another_user_is_refused(dirs: InstanceDirs, folder: str) -> None:
    path: Path = getattr(dirs, folder)
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match="another user") as caught:
        instance.claim(dirs)
    assert caught.value.exit_code == 78
    assert not dirs.supervisor_lock.exists()
