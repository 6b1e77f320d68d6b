"""What `import votenet` offers, and that it costs nothing before it is used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import votenet
import votenet.client
from votenet.client import api


def test_every_public_name_exists_and_has_a_docstring() -> None:
    names = [name for name in vars(api) if not name.startswith("_") and name != "annotations"]
    assert len(names) > 20
    for name in names:
        found = getattr(votenet.client, name)
        assert found is getattr(api, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, f"{name} has no docstring"
            assert not found.__doc__.startswith(f"{name}("), f"{name} has no docstring of its own"
    assert votenet.connect is votenet.client.ElectionClient
    assert votenet.connect_async is votenet.client.AsyncElectionClient


def test_other_names_are_unknown() -> None:
    for module in (votenet, votenet.client):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018


def test_importing_votenet_loads_nothing_else() -> None:
    script = (
        "import sys, votenet\n"
        "print([name for name in sys.modules if name.startswith('votenet.')], 'asyncio' in sys.modules)\n"
        "votenet.client.connect; votenet.connect\n"
        "print('asyncio' in sys.modules, 'votenet.client.sync_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[] False", "True True"]
