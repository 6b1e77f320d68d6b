"""Folders of an instance, private folders, TOML files."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from votenet import config
from votenet.config import BootstrapConfig, NodeConfig, instance_dirs, parse_toml, private_dir
from votenet.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    return tmp_path


def test_the_default_ports_are_those_of_the_reference_programs() -> None:
    assert config.DEFAULT_BOOTSTRAP_PORT == 4000
    assert config.DEFAULT_NODE_PORT == 3000
    assert config.DEFAULT_DIFFICULTY == 24


def test_settings_do_not_change_under_a_running_program(tmp_path: Path) -> None:
    node = NodeConfig("127.0.0.1", 3000, "127.0.0.1:3000", tmp_path, tmp_path / "genesis.json")
    assert node.mine
    assert node.kernel == "auto"
    with pytest.raises(FrozenInstanceError):
        node.port = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        BootstrapConfig("127.0.0.1", 4000, tmp_path).port = 1  # type: ignore[misc]


# -- instances ------------------------------------------------------------------------------------


def test_votenet_home_holds_everything(home: Path) -> None:
    dirs = instance_dirs()
    assert dirs.instance == "default"
    assert dirs.state == home / "default"
    assert dirs.keys == home / "keys"
    assert dirs.genesis == home / "default" / "genesis.json"
    assert dirs.logs == home / "default" / "logs"
    assert dirs.supervisor_lock.parent == dirs.state
    assert dirs.data_dir("node-1") == home / "default" / "node-1"
    assert dirs.control_socket.parent == dirs.notify_socket.parent == dirs.run
    assert not list(home.iterdir()), "made on demand, not by asking"


def test_instances_share_nothing_but_the_voters_keys(home: Path) -> None:
    one, two = instance_dirs("one"), instance_dirs("two")
    assert one.keys == two.keys
    assert one.state != two.state
    assert one.run != two.run


def test_without_it_the_xdg_folders_hold_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOTENET_HOME", raising=False)
    for name in ("STATE_HOME", "DATA_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    dirs = instance_dirs("x")
    assert dirs.state == tmp_path / "STATE_HOME" / "votenet" / "x"
    assert dirs.keys == tmp_path / "DATA_HOME" / "votenet" / "keys"


def test_relative_xdg_folders_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOTENET_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for named in ("state", "./state", ""):
        monkeypatch.setenv("XDG_STATE_HOME", named)
        assert instance_dirs("x").state == tmp_path / ".local/state/votenet/x"


def test_an_unknown_user_is_told_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with a number for a user: it was a folder called `~` in the working folder, or a trace."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("VOTENET_HOME", "HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert instance_dirs("x").state == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/votenet/x"
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for home in ("", "relative"):
        monkeypatch.setenv("HOME", home)
        with pytest.raises(ConfigError) as refused:
            instance_dirs("x")
        assert (refused.value.code, "VOTENET_HOME" in refused.value.next_step) == ("no-home", True)


@pytest.mark.parametrize("variable", ["VOTENET_HOME", "HOME", "XDG_STATE_HOME"])
def test_a_folder_whose_name_is_no_text_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VOTENET_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/tmp/Zo\udceb")
    with pytest.raises(ConfigError, match=f"not UTF-8 .see {variable}") as refused:
        instance_dirs("x")
    assert refused.value.code == "bad-directory"


@pytest.mark.parametrize("depth", [1, 200])
def test_every_shell_of_a_user_finds_the_same_sockets(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a login session, cron without, another TMPDIR: a detached network is for all of them."""
    monkeypatch.delenv("VOTENET_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/" + "s" * depth)
    found = set()
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "LOGNAME"):
        monkeypatch.setenv(name, "/dev")
        found.add(instance_dirs("x").run)
    assert len(found) == 1


def test_a_relative_home_is_one_place_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOTENET_HOME", "here")
    assert instance_dirs().state == tmp_path / "here" / "default"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VOTENET_HOME", "~/there")
    assert instance_dirs().state == tmp_path / "there" / "default"


@pytest.mark.parametrize("depth", [1, 20, 90, 200])
def test_sockets_have_short_paths_however_deep_the_home(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", "/" + "d" * depth)
    one, two = instance_dirs("one"), instance_dirs("two")
    for dirs in (one, two):
        for socket in (dirs.control_socket, dirs.notify_socket):
            assert len(os.fsencode(socket)) <= 107, "sun_path of unix(7), with its zero"
    assert one.run != two.run
    assert one.run == instance_dirs("one").run


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "x" * 32, "0"])
def test_names_of_instances(home: Path, name: str) -> None:
    assert instance_dirs(name).state.parent == home


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a/b", "../x", "a b", "a\n", "é", "x" * 33, "a\x00", "keys"]
)
def test_names_that_are_no_folder_of_an_instance(home: Path, name: str) -> None:
    # "keys": the voters' keys live there, and `down --purge` removes an instance's folder.
    with pytest.raises(ConfigError, match="not usable") as caught:
        instance_dirs(name)
    assert caught.value.next_step


# -- private folders ------------------------------------------------------------------------------


def test_a_private_folder_is_this_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = private_dir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert path.is_dir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert private_dir(path) == path


def refuses(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        private_dir(path)
    assert caught.value.code == "bad-directory"
    assert str(path) in caught.value.message
    assert caught.value.next_step
    assert "Remove" not in caught.value.next_step, "whatever was named: --data-dir /etc/passwd"
    return caught.value.message


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert "link" in refuses(tmp_path / "link")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    refuses(tmp_path / "nowhere")
    monkeypatch.setattr(config.os, "geteuid", lambda: os.getuid() + 1)
    assert "another user" in refuses(tmp_path / "real")


def test_a_place_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refuses(tmp_path / "file")
    refuses(tmp_path / "file" / "below")


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere: what the system would say to another user is told here.
    monkeypatch.setattr(config.os, "access", lambda path, mode, dir_fd=None: not mode & os.W_OK)
    assert "read-only" in refuses(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_home_of_another_user_is_named_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`down`, `doctor` and `ls` ended in a trace."""
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home" / "votenet"))
    (tmp_path / "home").mkdir(mode=0o700)
    os.seteuid(54321)
    try:
        for look in (instance_dirs, config.instance_names):
            with pytest.raises(ConfigError, match="may not look into") as caught:
                look()
            assert "VOTENET_HOME" in caught.value.next_step
    finally:
        os.seteuid(0)
    assert instance_dirs().instance == "default"


# -- TOML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_toml_file_is_nested_tables(mark: bytes) -> None:
    data = mark + '[node]\r\nport = 3001\nname = "Zoë"\n'.encode()
    assert parse_toml(data, Path("f")) == {"node": {"port": 3001, "name": "Zoë"}}


@pytest.mark.parametrize(
    "data",
    [b"port = ", b"[node", b"a = 1\na = 2", b"a = '\xff'", b"a=" + b"[" * 9000, b"a=" + b"1" * 5000],
)
def test_invalid_toml_is_named(data: bytes) -> None:
    with pytest.raises(ConfigError, match="is not a TOML file") as caught:
        parse_toml(data, Path("/some/votenet.toml"))
    assert "/some/votenet.toml" in caught.value.message
    assert caught.value.exit_code == 78


def test_a_relative_home_in_a_folder_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("VOTENET_HOME", "home")
    assert config.home_dir() == tmp_path / "here" / "home"
    (tmp_path / "here").rmdir()
    with pytest.raises(ConfigError, match="leads nowhere"):
        instance_dirs()


def test_others_do_not_write_into_a_private_folder(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    private_dir(open_to_all)
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o755


# -- places without a home ------------------------------------------------------------------------


@pytest.fixture
def base() -> Iterator[Path]:
    """A short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def temporary(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own /tmp, and nothing else that could take its place."""
    path = base / "tmp"
    path.mkdir()
    monkeypatch.setattr(config, "TEMPORARY", path)
    monkeypatch.setenv("VOTENET_HOME", str(base / "h"))
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_the_usual_place_is_the_temporary_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary / "other"))
    assert config.user_temp_dir() == temporary / f"votenet-{os.geteuid()}"
    private_dir(config.user_temp_dir())
    assert config.user_temp_dir() == temporary / f"votenet-{os.geteuid()}"


def test_a_folder_that_another_prepared_is_passed_over(
    temporary: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = temporary / f"votenet-{os.geteuid()}"
    (base / "elsewhere").mkdir()
    usual.symlink_to(base / "elsewhere")
    assert config.user_temp_dir() == base / "h" / ".run"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    assert config.user_temp_dir() == base / "votenet"
    usual.unlink()
    usual.mkdir()
    assert config.user_temp_dir() == usual
    if os.geteuid() == 0:
        os.chown(usual, 12345, 12345)
        assert config.user_temp_dir() == base / "votenet"


def test_a_read_only_temporary_folder_is_passed_over(
    temporary: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    below = str(temporary)
    monkeypatch.setattr(
        config.os, "access", lambda path, mode: not str(path).startswith(below) and real(path, mode)
    )
    assert config.user_temp_dir() == base / "h" / ".run"
    deep = base / ("x" * 90) / "run"
    assert config.short_run_dir(deep).parent == base / "h" / ".run"
    (base / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(base / "t"))
    monkeypatch.setenv("VOTENET_HOME", str(base / ("x" * 90)))
    assert config.short_run_dir(deep).parent == base / "t" / f"votenet-{os.geteuid()}", "short enough"


def test_a_socket_that_is_there_is_found_where_it_is(temporary: Path, base: Path) -> None:
    deep = base / ("x" * 90) / "run"
    folder = config.short_run_dir(deep)
    assert folder.parent == temporary / f"votenet-{os.geteuid()}"
    other = base / "h" / ".run" / folder.name
    private_dir(other)
    assert config.short_run_dir(deep) == folder
    (other / "control.sock").touch()
    assert config.short_run_dir(deep) == other


def test_a_folder_is_checked_through_its_open_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a name and the use of it another user may put a link there."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    theirs.chmod(0o777)
    look, opened = Path.lstat, os.open

    def swap(path: object) -> None:
        if path == ours and not os.path.islink(ours):
            ours.rmdir()
            ours.symlink_to(theirs)

    def lstat(path: Path) -> os.stat_result:
        found = look(path)
        swap(path)
        return found

    def open_(path: Any, *args: Any, **options: Any) -> int:
        handle = opened(path, *args, **options)
        swap(path)
        return handle

    ours.chmod(0o777)
    monkeypatch.setattr(Path, "lstat", lstat)
    monkeypatch.setattr(os, "open", open_)
    with contextlib.suppress(ConfigError):
        private_dir(ours)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o777, "its mode was changed through a link"
