"""Imports go one way: each layer uses only layers to its left, and the inner ones are pure."""

from __future__ import annotations

import ast
import functools
import sys
import tomllib
from pathlib import Path

import votenet

ROOT = Path(votenet.__file__).parent
LAYERS = [
    "errors",
    "text",
    "derive",
    "config",
    "pow",
    "secret",
    "core",
    "ballots",
    "protocol",
    "storage",
    "network",
    "client",
    "web",
    "processes",
    "lab",
    "cli",
]
PURE = {"errors", "text", "derive", "pow", "secret", "core", "ballots", "protocol"}
IMPURE = {
    *("asyncio", "multiprocessing", "os", "random", "secrets", "select", "selectors", "shutil"),
    *("signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time"),
}
ENTRANCES = {"__init__", "__main__"}
"""Of the package itself: the one is empty of work, the other starts the outermost layer."""
MODULES = [path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py"))]


@functools.cache
def imports(module: Path) -> set[str]:
    """Dotted names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_go_one_way() -> None:
    for module in MODULES:
        layer = module.parts[0].removesuffix(".py")
        if layer in ENTRANCES:
            continue
        to_the_left = LAYERS[: LAYERS.index(layer) + 1]
        for name in imports(module):
            top, _, rest = name.partition(".")
            if top == "votenet":
                inner = rest.partition(".")[0]
                the_c_core = module.name == "native.py" and inner == "_pow"
                allowed = inner in to_the_left or inner == "__version__" or the_c_core
                assert allowed, f"{module} imports {name}"
            elif layer in PURE:
                assert top not in IMPURE, f"{module} is pure and must not import {top}"


def test_only_packages_that_the_installation_brings_are_imported() -> None:
    """A package that an older installation left behind hides that a new one lacks it."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["redis"], *extras["dask"]]
    names = {line.partition(">")[0].lower().replace("pynacl", "nacl").replace("-", "_") for line in declared}
    used = {name.partition(".")[0] for module in MODULES for name in imports(module)}
    assert used - set(sys.stdlib_module_names) - {"votenet", "_cffi_backend"} <= names


def test_every_room_has_its_place() -> None:
    rooms = {module.parts[0].removesuffix(".py") for module in MODULES} - ENTRANCES - {"data"}
    assert rooms <= set(LAYERS)
    assert len(MODULES) > 60
