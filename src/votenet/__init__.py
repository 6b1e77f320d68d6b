"""votenet: a voting network on machines that the voters' own organisation controls.

    with votenet.connect("host:3000") as election:
        print(election.cast("voter123", "Alice"))

`docs/client.md` explains the Python API, `docs/architecture.md` is the map of the packages. They are loaded
when they are used, so that `import votenet` and the command line stay fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from votenet import client as client
    from votenet.client import connect as connect
    from votenet.client import connect_async as connect_async

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in ("client", "connect", "connect_async"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = import_module("votenet.client")
    return found if name == "client" else getattr(found, name)
