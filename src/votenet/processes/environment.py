"""The environment variables that a background supervisor, and each program of a network, start with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from votenet.config import CONFIG_VARIABLE, InstanceDirs, home_dir
from votenet.processes.identity import TAG_VARIABLE, tag
from votenet.processes.notify import SERVICE_VARIABLES
from votenet.processes.parent_death import PARENT_VARIABLE
from votenet.processes.spec import ProgramSpec


def inherited() -> dict[str, str]:
    """Ours, without relative paths, and without the socket of systemd: it waits for this process alone.

    Nor with the name of a configuration file: what stood in it has gone into the network.

    Raises:
        ConfigError: VOTENET_HOME is relative, and the working folder is gone.
    """
    home = home_dir()
    without = (*SERVICE_VARIABLES, CONFIG_VARIABLE)
    found = {key: value for key, value in os.environ.items() if key not in without}
    if home:
        found["VOTENET_HOME"] = str(home)
    if modules := found.get("PYTHONPATH"):
        with contextlib.suppress(FileNotFoundError):  # without a working folder nothing is below it
            here = os.getcwd()
            found["PYTHONPATH"] = os.pathsep.join(
                os.path.join(here, entry) for entry in modules.split(os.pathsep)
            )
    return found


def of_program(
    base: Mapping[str, str], dirs: InstanceDirs, spec: ProgramSpec, *, parent_death: bool
) -> dict[str, str]:
    """The environment that a program starts with.

    Args:
        base: what its supervisor hands on; see `inherited`.
        parent_death: whether it dies with this process.
    """
    env = {
        **base,
        "NOTIFY_SOCKET": os.fspath(dirs.notify_socket),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        TAG_VARIABLE: tag(dirs, spec.name),
    }
    env.pop(PARENT_VARIABLE, None)
    if parent_death:
        env[PARENT_VARIABLE] = str(os.getpid())
    return env
