"""Runs a command for which the kernel refuses some system calls, as an old kernel or a container does.

    python refused_calls.py NUMBER=ERRNO[,NUMBER=ERRNO …] COMMAND …

A real filter in a real process: children of the command inherit it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424
FLOCK = {"x86_64": 73, "aarch64": 32}.get(platform.machine(), -1)
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2


def command(refused: dict[int, int], *argv: str) -> tuple[str, ...]:
    """The command behind a filter that answers system call `number` with `errno`."""
    text = ",".join(f"{number}={errno}" for number, errno in refused.items())
    return (sys.executable, __file__, text, *argv)


def install(refused: dict[int, int]) -> None:
    """Raises OSError: this kernel has no filters, or permits none."""
    filters = [struct.pack("=HBBI", _LOAD, 0, 0, 0)]
    for number, errno in refused.items():
        filters.append(struct.pack("=HBBI", _JUMP_IF_EQUAL, 0, 1, number))
        filters.append(struct.pack("=HBBI", _RETURN, 0, 0, _ERRNO | errno))
    filters.append(struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(filters))
    program = struct.pack("@HP", len(filters), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _MODE_FILTER, program, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "no filter for system calls")


if __name__ == "__main__":
    pairs = (pair.split("=") for pair in sys.argv[1].split(","))
    install({int(number): int(errno) for number, errno in pairs})
    os.execvp(sys.argv[2], sys.argv[2:])
