"""Settings of the programs, and their folders.

Every command imports this module, so rare needs are imported inside functions.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from votenet.errors import ConfigError
from votenet.text import is_unicode

DEFAULT_BOOTSTRAP_PORT: Final = 4000
"""The port of the reference server; `BOOTSTRAP_PORT` changes it."""
DEFAULT_NODE_PORT: Final = 3000
"""The port of node-1; node-2 has the next."""
DEFAULT_WEB_PORT: Final = 8080
"""The port of the page."""
DEFAULT_MINER_THREADS: Final = min(os.cpu_count() or 1, 2)
"""Two: after the last vote the cores have only its block to find. At low priority they hardly slow checks."""
DEFAULT_INSTANCE: Final = "default"
CONFIG_VARIABLE: Final = "VOTENET_CONFIG"
"""Names a configuration file, like `--config`."""
DEFAULT_DIFFICULTY: Final = 24
"""Leading zero bits of a block hash, as in the reference node."""
MAX_NODES: Final = 64
"""Nodes of one supervisor: their ports and the bootstrap server's form a block of 100."""

TEMPORARY: Final = Path("/tmp")
"""Every shell of a user finds it, with any TMPDIR."""
_KEYS: Final = "keys"
_KNOWN: Final = "known"
_NODES: Final = "nodes"
_INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


@dataclass(frozen=True, slots=True)
class BootstrapConfig:
    host: str
    port: int
    data_dir: Path
    name: str = "bootstrap"
    more_hosts: tuple[str, ...] = ()
    """Other addresses to listen on, at the same port."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    host: str
    port: int
    advertise: str
    data_dir: Path
    genesis: Path
    bootstrap: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    name: str = "node"
    mine: bool = True
    kernel: str = "auto"
    threads: int = DEFAULT_MINER_THREADS
    roll: Path | None = None
    more_hosts: tuple[str, ...] = ()
    """Other addresses to listen on, at the same port."""
    discovery: tuple[str, ...] = ("broadcast", "poll", "announce", "gossip")
    witnesses: tuple[tuple[str, str], ...] = ()
    """Key and URL of each witness beside those of the definition."""


@dataclass(frozen=True, slots=True)
class InstanceDirs:
    """Folders of one instance (`-i NAME`), each made on demand with mode 0700.

    `state` holds chains, logs and the genesis file, `run` the sockets of a running supervisor, `keys` the
    voters' keys (shared by all instances of this user). `run` is not below XDG_RUNTIME_DIR, which disappears
    when its user logs out, and which cron does not have.
    """

    instance: str
    state: Path
    run: Path
    keys: Path

    @property
    def genesis(self) -> Path:
        return self.state / "genesis.json"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def notify_socket(self) -> Path:
        return self.run / "notify.sock"

    @property
    def supervisor_lock(self) -> Path:
        return self.state / "supervisor.lock"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def data_dir(self, program: str) -> Path:
        """Data folder of one program: `node-1`, `bootstrap`."""
        return self.state / program


def instance_dirs(instance: str = DEFAULT_INSTANCE) -> InstanceDirs:
    """The folders of an instance: below `VOTENET_HOME` if set, else by the XDG rules.

    Raises:
        ConfigError: the name does not fit a folder name, or is that of another folder there; or its folder
            is closed to this user.
    """
    if not _INSTANCE_NAME.fullmatch(instance) or instance in (_KEYS, _KNOWN, _NODES):
        raise ConfigError(
            f"instance name {instance!r} is not usable",
            next_step="Use letters, digits, dot, dash and underscore, at most 32; not 'keys', 'known' or"
            " 'nodes'.",
        )
    base = home_dir()
    _refuse_closed((xdg_dir("XDG_STATE_HOME", ".local/state") if base is None else base) / instance)
    if base is not None:
        return InstanceDirs(instance, base / instance, short_run_dir(base / instance / "run"), base / _KEYS)
    state = xdg_dir("XDG_STATE_HOME", ".local/state") / instance
    keys = xdg_dir("XDG_DATA_HOME", ".local/share") / _KEYS
    return InstanceDirs(instance, state, short_run_dir(state / "run"), keys)


def node_dir(name: str) -> Path:
    """The usual folder of a node that `votenet node init` makes.

    Raises:
        ConfigError: the name does not fit a folder name; there is no home.
    """
    if not _INSTANCE_NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r} does not fit a folder name",
            code="bad-name",
            next_step="Use letters, digits, dot, dash and underscore, at most 32; or name a folder:"
            " --data-dir FOLDER",
        )
    return nodes_dir() / name


def nodes_dir() -> Path:
    """The folder of the nodes that this user has made. Raises ConfigError: no home, or a closed one."""
    folder = _state_base() / _NODES
    _refuse_closed(folder)
    return folder


def known_dir() -> Path:
    """Where elections that were seen are remembered for this user. Raises ConfigError without a home."""
    return _state_base() / _KNOWN


def _state_base() -> Path:
    """The folder of all instances. Raises ConfigError without a home."""
    return home_dir() or xdg_dir("XDG_STATE_HOME", ".local/state")


def instance_names() -> list[str]:
    """The instances in which this user has started a network."""
    base = _state_base()
    _refuse_closed(base)
    return sorted(path.parent.name for path in base.glob("*/network.json"))


def _refuse_closed(folder: Path) -> None:
    """Raises ConfigError for a folder that this user may not enter, as with the HOME of another user."""
    try:
        folder.stat()
    except PermissionError as error:
        raise ConfigError(
            f"this user may not look into the folder of {folder}",
            code="bad-directory",
            next_step="Set VOTENET_HOME, or HOME, to a folder of yours, or become the user of this network.",
        ) from error
    except OSError:  # not there yet, or wrong in a way that the command itself will meet
        return


def home_dir() -> Path | None:
    """The real path of the folder in `VOTENET_HOME`; None where that is not set.

    Raises:
        ConfigError: it is relative, and the working folder is gone.
    """
    home = os.environ.get("VOTENET_HOME")
    if not home:
        return None
    try:
        return _in_unicode(Path(home).expanduser().resolve(), "VOTENET_HOME")
    except (OSError, RuntimeError) as error:  # no working folder; `~` of an unknown user
        raise ConfigError(
            f"VOTENET_HOME is {home!r}, which leads nowhere from here: {error}",
            code="bad-directory",
            next_step="Give it as an absolute path, or go to another folder: cd",
        ) from error


def xdg_dir(variable: str, default: str) -> Path:
    """The folder `votenet` below an XDG base folder, which is `default` below the home without `variable`.

    A relative path in `variable` is ignored, as XDG asks.

    Raises:
        ConfigError: there is no home, or its name is not text.
    """
    named = os.environ.get(variable, "")
    if os.path.isabs(named):
        return _in_unicode(Path(named), variable) / "votenet"
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home):
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not os.path.isabs(home):
        raise ConfigError(
            "this user has no home folder: HOME is not set, and the system knows no user of this number",
            code="no-home",
            next_step="Say where votenet may keep its files: export VOTENET_HOME=/some/folder",
        )
    return _in_unicode(Path(home), "HOME") / default / "votenet"


def _in_unicode(path: Path, variable: str) -> Path:
    """The path, which must be text, because it goes into JSON."""
    if not is_unicode(str(path)):
        raise ConfigError(
            f"the folder {path} has a name that is not UTF-8 (see {variable})",
            code="bad-directory",
            next_step="Choose another place: export VOTENET_HOME=/some/folder",
        )
    return path


def private_dir(path: Path) -> Path:
    """Make a folder for this user only; an existing one stays readable, but not writable, by others.

    Raises:
        ConfigError: it cannot be made or written, is a symbolic link, or belongs to another user.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if not _is_ours(path):
            raise _foreign(path) from error
        raise ConfigError(
            f"cannot use the folder {path}: {error.strerror or error}",
            code="bad-directory",
            next_step="Check its owner, mode and free space, or choose another with VOTENET_HOME.",
        ) from error
    try:  # checked through the descriptor: the name may lead elsewhere by now
        found = os.fstat(handle)
        if found.st_uid != os.geteuid():
            raise _foreign(path)
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=handle):
            raise ConfigError(
                f"the folder {path} is read-only",
                code="bad-directory",
                next_step="Make it writable, or choose another with VOTENET_HOME.",
            )
        if others := found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # they could swap a socket or a lock
            os.fchmod(handle, stat.S_IMODE(found.st_mode) & ~others)
    finally:
        os.close(handle)
    return path


def _foreign(path: Path) -> ConfigError:
    step = "Choose another folder, with VOTENET_HOME or the option that names it."
    try:
        found = path.lstat()
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder:
            step += f" Or become its user: sudo -u '#{found.st_uid}' -s"
        whose = f"belongs to another user (uid {found.st_uid})"
        why = whose if is_folder else "is a link" if stat.S_ISLNK(found.st_mode) else "is not a folder"
    except OSError:  # taken away since
        why = "is a link, or not a folder, or belongs to another user"
    return ConfigError(
        f"{path} {why}: votenet keeps its data only in a folder of its user",
        code="bad-directory",
        next_step=step,
    )


def _is_ours(path: Path) -> bool:
    """False for a link, a file, or a folder of another user; true for a missing path."""
    try:
        found = path.lstat()
    except OSError:
        return True
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def parse_toml(data: bytes, path: Path) -> dict[str, Any]:
    """The content of a configuration file as nested dicts, one table per command.

    Raises:
        ConfigError: it is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a TOML file: {error}", next_step="Write it like: [up], below it nodes = 5."
        ) from error


def user_temp_dir() -> Path:
    """The folder for port locks and for sockets with short names; callers check its owner.

    All shells of a user must find the same one, so TMPDIR comes last.
    """
    return next(filter(_usable, _user_places()), next(_user_places()))


def short_run_dir(wanted: Path) -> Path:
    """`wanted`, or a short name for it if it is too deep: a unix socket path has at most 107 bytes."""
    if _fits(wanted):
        return wanted
    import hashlib

    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    places = [place for place in _user_places() if _fits(place / name)]
    for place in places:  # one in use, even if it is read-only by now
        if _is_ours(place) and (place / name / "control.sock").exists():
            return place / name
    return next(filter(_usable, places), next(_user_places())) / name


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / "control.sock")) <= 100


def _user_places() -> Iterator[Path]:
    name = f"votenet-{os.geteuid()}"
    yield TEMPORARY / name
    runtime, temporary = os.environ.get("XDG_RUNTIME_DIR", ""), os.environ.get("TMPDIR", "")
    if os.path.isabs(runtime):
        yield Path(runtime) / "votenet"
    with contextlib.suppress(ConfigError):  # no home
        yield _state_base() / ".run"  # no instance has this name
    if os.path.isabs(temporary):
        yield Path(temporary) / name


def _usable(folder: Path) -> bool:
    """Whether `private_dir` would accept it."""
    if folder.is_symlink() or folder.exists():
        return _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK)
    return os.access(next(p for p in folder.parents if p.exists()), os.W_OK | os.X_OK)
