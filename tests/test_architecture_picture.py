"""docs/architecture.svg is what docs/draw_architecture.py draws from the imports of today."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from draw_architecture import PICTURE, draw, reduced, room_graph, split_cycles, summary


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Two layers: `cli` uses `core/log` through `core/book`; the arrow to `core/log` follows from others."""
    sources = {
        "errors.py": "",
        "core/__init__.py": '"""Records. More."""',
        "core/log/tree.py": "from pkg.errors import X",
        "core/book/chain.py": "from pkg.core.log import tree\nfrom pkg.errors import X",
        "cli/main.py": "import pkg.core.book.chain\ndef f():\n    from pkg.core.log.tree import hash",
        "core/log/types.py": "if TYPE_CHECKING:\n    from pkg.cli import main",
    }
    for name, source in sources.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path / "pkg"


def test_the_picture_shows_the_imports_of_today() -> None:
    drawn = draw()
    assert drawn == PICTURE.read_text(encoding="utf-8"), "imports changed: make architecture"
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_imports_are_counted_for_rooms_and_those_for_the_type_checker_alone_are_not(package: Path) -> None:
    assert room_graph(package) == {
        "cli": {"core.book": 1, "core.log": 1},
        "core.book": {"core.log": 1, "errors": 1},
        "core.log": {"errors": 1},
        "errors": {},
    }


def test_arrows_that_follow_from_others_are_left_out(package: Path) -> None:
    graph, cycles = split_cycles(room_graph(package))
    assert cycles == []
    assert reduced(graph) == [("cli", "core.book"), ("core.book", "core.log"), ("core.log", "errors")]


def test_a_cycle_is_cut_at_its_weakest_arrow() -> None:
    graph, cycles = split_cycles({"a": {"b": 3}, "b": {"c": 2}, "c": {"a": 1}})
    assert cycles == [("c", "a")]
    assert graph == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_a_summary_is_the_first_sentence(package: Path) -> None:
    assert summary("core", package) == "Records"
    assert summary("errors", package) == ""


def test_every_room_has_a_row_in_the_page() -> None:
    page = (PICTURE.parent / "architecture.md").read_text(encoding="utf-8")
    rooms = [room.replace(".", "/") for room in room_graph()]
    missing = [room for room in rooms if f"`{room}`" not in page and f"`{room}.py`" not in page]
    assert not missing, f"describe them in docs/architecture.md: {missing}"


def test_no_two_rooms_import_each_other() -> None:
    _, cycles = split_cycles(room_graph())
    assert cycles == []
