"""The name of a unix socket in the filesystem."""

from __future__ import annotations

import os
import socket
from pathlib import Path


class SocketFile:
    """A unix socket bound to a path, with mode 0600. A stale file is replaced: the caller holds a lock.

    Cleaners of temporary folders remove files that have not been used for days: the owner checks now and
    then whether it is `there`.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, kind: socket.SocketKind) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
        mask = os.umask(0o177)
        try:
            self.socket.bind(os.fspath(path))
            self._status = os.stat(path)
        except OSError:
            self.socket.close()
            raise
        finally:
            os.umask(mask)
        self.socket.setblocking(False)

    @property
    def there(self) -> bool:
        """Whether the name still leads to this socket."""
        try:
            return os.path.samestat(self._status, os.stat(self.path))
        except OSError:
            return False

    def close(self) -> None:
        """Close the socket and remove its name."""
        self.socket.close()
        if self.there:
            self.path.unlink(missing_ok=True)
