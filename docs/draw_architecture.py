"""Draws docs/architecture.svg from the imports of src/votenet: a box for each room, an arrow for an import.

    python docs/draw_architecture.py           writes docs/architecture.svg (make architecture)
    python docs/draw_architecture.py --print   prints it instead

A room is a folder with modules, or a module directly below src/votenet; a layer is a folder there. Names come
from the folders, the text in a box from the docstring of its `__init__.py`.
"""

from __future__ import annotations

import argparse
import ast
import functools
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

DOCS: Final = Path(__file__).parent
PACKAGE: Final = DOCS.parent / "src" / "votenet"
PICTURE: Final = DOCS / "architecture.svg"
LAYERS_TEST: Final = DOCS.parent / "tests" / "test_layers.py"

Arrow = tuple[str, str]
Graph = dict[str, set[str]]


# -- what imports what -----------------------------------------------------------------------------


def modules(package: Path) -> dict[str, ast.Module]:
    """Dotted names to sources. An `__init__.py` counts if it holds more than a docstring."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        only_text = parts[-1] == "__init__" and all(isinstance(node, ast.Expr) for node in tree.body)
        if len(parts) + (parts[-1] != "__init__") > 1 and parts[0] != "__main__" and not only_text:
            found[".".join(parts)] = tree
    return found


def imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Dotted names below the package that a module imports at run time, at its top or in a function."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}."))
        todo += ast.iter_child_nodes(node)


def room_of(name: str, known: Mapping[str, object]) -> str | None:
    """The room of an imported name: it is a module, a package, or something in one of them."""
    while name:
        if name in known:
            return name.rpartition(".")[0] or name
        if f"{name}.__init__" in known:
            return name
        name = name.rpartition(".")[0]
    return None


@functools.cache
def room_graph(package: Path = PACKAGE) -> dict[str, dict[str, int]]:
    """Each room to the rooms that it imports, with the number of its modules that do."""
    known = modules(package)
    graph: dict[str, dict[str, int]] = {}
    for name, tree in known.items():
        room = room_of(name, known)
        assert room is not None
        others = graph.setdefault(room, {})
        for other in {room_of(one, known) for one in imported(tree, package.name)} - {room, None}:
            others[str(other)] = others.get(str(other), 0) + 1
    return dict(sorted(graph.items()))


def summary(room: str, package: Path = PACKAGE) -> str:
    """The first sentence of a room's docstring, or its first clause if the sentence is long, or nothing."""
    path = package.joinpath(*room.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    sentence = " ".join(said.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    return sentence if len(sentence) <= 54 else sentence.split(": ")[0]


# -- graphs ----------------------------------------------------------------------------------------


def reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        room = todo.pop()
        if room not in seen:
            seen.add(room)
            todo += graph[room]
    return seen


def split_cycles(weights: Mapping[str, Mapping[str, int]]) -> tuple[Graph, list[Arrow]]:
    """The graph without cycles, and the arrows left out for that: each time the weakest of a cycle."""
    graph = {room: set(others) for room, others in weights.items()}
    left_out: list[Arrow] = []
    while True:
        far = {room: reachable(graph, room) for room in graph}
        closing = [(room, other) for room in graph for other in graph[room] if room in far[other]]
        if not closing:
            return graph, left_out
        room, other = min(closing, key=lambda arrow: (weights[arrow[0]][arrow[1]], arrow))
        graph[room].remove(other)
        left_out.append((room, other))


def reduced(graph: Graph) -> list[Arrow]:
    """The arrows that do not follow from others."""
    far = {room: reachable(graph, room) for room in graph}
    return [
        (room, other)
        for room, others in graph.items()
        for other in sorted(others)
        if not any(other in far[third] for third in others)
    ]


def depth(graph: Graph, name: str) -> int:
    """The number of arrows on the longest way down."""
    return max((1 + depth(graph, other) for other in graph[name]), default=0)


# -- layers and ranks ------------------------------------------------------------------------------


def layer_of(room: str, package: Path) -> str:
    """The folder below the package. Modules that are no folder share a layer without a name."""
    top = room.partition(".")[0]
    return top if (package / top).is_dir() else ""


def declared_order() -> list[str]:
    """The layers from the innermost to the outermost, as the list LAYERS in tests/test_layers.py has them."""
    tree = ast.parse(LAYERS_TEST.read_text(encoding="utf-8"))
    assigned = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    lists = (
        node.value for node in assigned if "LAYERS" in ast.dump(node) and isinstance(node.value, ast.List)
    )
    return [str(ast.literal_eval(name)) for name in next(lists).elts]


def layers_of(graph: dict[str, dict[str, int]], package: Path) -> list[tuple[str, list[list[str]]]]:
    """The layers from the outermost to the innermost, each with its rooms in rows."""
    order = declared_order()
    layers: dict[str, list[str]] = {}
    for room in sorted(graph, key=lambda one: -order.index(one.partition(".")[0])):
        layers.setdefault(layer_of(room, package), []).append(room)
    found = []
    for name, rooms in layers.items():
        inner, _ = split_cycles({room: only(graph[room], rooms) for room in rooms})
        rows = defaultdict(list)
        for room in sorted(rooms):
            rows[-depth(inner, room)].append(room)
        found.append((name, [rows[key] for key in sorted(rows)]))
    return found


def only(others: Mapping[str, int], rooms: Sequence[str]) -> dict[str, int]:
    return {room: weight for room, weight in others.items() if room in rooms}


# -- places ----------------------------------------------------------------------------------------

WIDTH: Final = 1200
LEFT: Final = 128
"""Where rooms begin: the names of layers stand before."""
RIGHT: Final = WIDTH - 28
BOX_HEIGHT: Final = 50
ROW_GAP: Final = 26
LAYER_GAP: Final = 12
TOP: Final = 88
GAP: Final = 14
SWEEPS: Final = 60


@dataclass
class Spot:
    """A room, or the place where an arrow passes a row."""

    name: str
    row: int
    width: float
    x: float = 0.0
    """Of its middle."""


class Layout:
    """Rows of spots, and each arrow as the spots that it leads through."""

    def __init__(self, rows: Sequence[Sequence[str]], arrows: Sequence[Arrow]) -> None:
        most = max(len(row) for row in rows)
        self.box_width = min(186.0, (RIGHT - LEFT - GAP * (most + 3)) / most)
        self.rows: list[list[Spot]] = [
            [Spot(name, number, self.box_width) for name in row] for number, row in enumerate(rows)
        ]
        self.rooms = {spot.name: spot for row in self.rows for spot in row}
        self.ways = [self._way(arrow) for arrow in arrows]
        self.above: dict[int, list[Spot]] = defaultdict(list)
        self.below: dict[int, list[Spot]] = defaultdict(list)
        for way in self.ways:
            for upper, lower in pairwise(way):
                self.below[id(upper)].append(lower)
                self.above[id(lower)].append(upper)
        self._order()
        self._place()

    def _way(self, arrow: Arrow) -> list[Spot]:
        """A passing spot in every row between the two rooms."""
        start, end = (self.rooms[name] for name in arrow)
        passing = [Spot("", number, 6) for number in range(start.row + 1, end.row)]
        for spot in passing:
            self.rows[spot.row].append(spot)
        return [start, *passing, end]

    def _order(self) -> None:
        """Sorts each row by the middle of its neighbours, down and up in turn: few arrows cross."""
        for row in self.rows:
            self._spread(row)
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            near = self.below if sweep % 2 else self.above
            for row in reversed(self.rows) if sweep % 2 else self.rows:
                row.sort(key=lambda spot: self._wanted(spot, near))
                self._spread(row)
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _spread(self, row: list[Spot]) -> None:
        step = (RIGHT - LEFT) / len(row)
        for number, spot in enumerate(row):
            spot.x = LEFT + step * (number + 0.5)

    def _crossings(self) -> int:
        total = 0
        for upper, lower in pairwise(self.rows):
            place = {id(spot): number for number, spot in enumerate(lower)}
            ends = [sorted(place[id(other)] for other in self.below[id(spot)]) for spot in upper]
            flat = [end for group in ends for end in group]
            total += sum(a > b for i, a in enumerate(flat) for b in flat[i + 1 :])
        return total

    @staticmethod
    def _wanted(spot: Spot, near: Mapping[int, list[Spot]]) -> float:
        others = near.get(id(spot), [])
        return mean([other.x for other in others]) if others else spot.x

    def _place(self) -> None:
        """Moves each row near to its neighbours, as order and widths allow; then straightens long arrows."""
        for row in self.rows:
            self._spread(row)
        both = {key: self.above[key] + self.below[key] for key in {*self.above, *self.below}}
        for sweep in range(SWEEPS):
            near = (self.above, self.below, both)[sweep % 3]
            for row in self.rows:
                self._fit(row, [self._wanted(spot, near) for spot in row])
        for _ in range(8 * SWEEPS):
            straight = {
                id(spot): mean([one.x for one in way[1:-1]]) for way in self.ways for spot in way[1:-1]
            }
            for row in self.rows:
                self._fit(row, [straight.get(id(spot), spot.x) for spot in row])

    def _fit(self, row: list[Spot], wanted: Sequence[float]) -> None:
        """Least squares under "keep the order, keep the gaps": neighbours that collide share their mean."""
        offsets = [0.0]
        for one, other in pairwise(row):
            offsets.append(offsets[-1] + (one.width + other.width) / 2 + GAP)
        groups: list[list[float]] = []
        for want, offset in zip(wanted, offsets, strict=True):
            groups.append([want - offset])
            while len(groups) > 1 and mean(groups[-2]) > mean(groups[-1]):
                last = groups.pop()
                groups[-1] += last
        least = LEFT + row[0].width / 2
        most = RIGHT - row[-1].width / 2 - offsets[-1]
        places = [min(max(mean(group), least), most) for group in groups for _ in group]
        for spot, place, offset in zip(row, places, offsets, strict=True):
            spot.x = round(place + offset, 1)


def mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)  # the same in every version of Python


# -- the drawing -----------------------------------------------------------------------------------

PALETTE: Final = "#1f6fb2 #c0521f #2f8544 #8a3fa0 #a8801a #1b8a8a #b03060 #5c6bc0 #b07020 #3a8fc8 #777777"
COLOURS: Final = PALETTE.split()
STYLE: Final = """
  text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1d2733 }
  .card { fill: #ffffff } .band { fill: #f1f4f8 } .box { fill: #ffffff; stroke-width: 1.6 }
  .title { font-size: 21px; font-weight: 600 } .layer { font-size: 16px; font-weight: 600 }
  .room { font-size: 14px; font-weight: 600 } .small { font-size: 11.5px; fill: #465362 }
  .arrow { fill: none; stroke-width: 1.7 } .cycle { stroke-dasharray: 5 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6ebf1 } .small { fill: #b3bdc9 }
    .card { fill: #10161d } .band { fill: #1a222c } .box { fill: #10161d }
  }
"""


class Drawing:
    """The SVG of the rooms of a package."""

    def __init__(self, package: Path) -> None:
        self.graph = graph = room_graph(package)
        self.texts = {room: summary(room, package) for room in graph}
        self.layers = layers_of(graph, package)
        rows = [row for _, rows in self.layers for row in rows]
        row_of = {room: number for number, row in enumerate(rows) for room in row}
        acyclic, self.cycles = split_cycles(graph)
        arrows = reduced(acyclic)
        self.up = [*self.cycles, *(arrow for arrow in arrows if row_of[arrow[0]] >= row_of[arrow[1]])]
        self.layout = Layout(rows, [arrow for arrow in arrows if row_of[arrow[0]] < row_of[arrow[1]]])
        self.y: list[float] = []
        y = float(TOP)
        for _, layer_rows in self.layers:
            for _ in layer_rows:
                self.y.append(y)
                y += BOX_HEIGHT + ROW_GAP
            y += LAYER_GAP
        self.height = round(y - LAYER_GAP - ROW_GAP + 27)
        names = [name for name, _ in self.layers]
        self.colour = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
        self.layer = {room: name for name, rows in self.layers for row in rows for room in row}

    def svg(self) -> str:
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            "<title>The rooms of src/votenet and what they import</title>",
            f"<style>{STYLE}</style>",
            *self._markers(),
            f'<rect class="card" width="{WIDTH}" height="{self.height}" rx="10"/>',
            '<text class="title" x="24" y="38">src/votenet: rooms, and what they import</text>',
            f'<text class="small" x="24" y="60">{self._legend()}</text>',
            *self._bands(),
            *self._arrows(),
            *self._boxes(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _legend(self) -> str:
        said = (
            "A box is a folder of modules, a band is a layer. An arrow points to a room that is imported. "
            "Arrows that follow from others are left out."
        )
        return said + (" Dashed: rooms that import each other." if self.up else "")

    def _markers(self) -> Iterator[str]:
        for number, colour in enumerate(self.colour.values()):
            yield (
                f'<marker id="m{number}" viewBox="0 0 8 8" refX="7" refY="4" orient="auto" markerWidth="7" '
                f'markerHeight="7" markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{colour}"/>'
                "</marker>"
            )

    def _bands(self) -> Iterator[str]:
        row = 0
        for name, rows in self.layers:
            top, bottom = self.y[row] - 11, self.y[row + len(rows) - 1] + BOX_HEIGHT + 11
            row += len(rows)
            colour = self.colour[name]
            place = f'x="16" y="{top:g}" height="{bottom - top:g}"'
            yield f'<rect class="band" {place} width="{WIDTH - 32}" rx="8"/>'
            yield f'<rect {place} width="5" rx="2" fill="{colour}"/>'
            yield f'<text class="layer" x="30" y="{top + 30:g}">{escape(name or "modules")}</text>'

    def _boxes(self) -> Iterator[str]:
        width = self.layout.box_width
        for room, spot in self.layout.rooms.items():
            x, y = spot.x - width / 2, self.y[spot.row]
            others = ", ".join(one.replace(".", "/") for one in sorted(self.graph[room])) or "nothing"
            lines = textwrap.wrap(self.texts.get(room, ""), int(width / 6.5), max_lines=2, placeholder=" …")
            middle = y + BOX_HEIGHT / 2
            yield f"<g><title>{room.replace('.', '/')} imports {others}</title>"
            yield (
                f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{BOX_HEIGHT}" rx="6" '
                f'stroke="{self.colour[self.layer[room]]}"/>'
            )
            name_y = middle + 5 - 7 * len(lines)
            yield text("room", spot.x, name_y, room.replace(".", "/"))
            for number, line in enumerate(lines, 1):
                yield text("small", spot.x, name_y + 14 * number + 1, line)
            yield "</g>"

    def _arrows(self) -> Iterator[str]:
        for way in self.layout.ways:
            start, end = way[0], way[-1]
            leave = self._port(start, way[1], self.layout.below)
            reach = self._port(end, way[-2], self.layout.above)
            yield self._path(way[0].name, self._curve(way, leave, reach), "arrow")
        for start_name, end_name in self.up:
            start, end = self.layout.rooms[start_name], self.layout.rooms[end_name]
            yield self._path(start_name, self._back(start, end), "arrow cycle")

    def _path(self, room: str, path: str, kind: str) -> str:
        layer = self.layer[room]
        number = list(self.colour).index(layer)
        return f'<path class="{kind}" d="{path}" stroke="{self.colour[layer]}" marker-end="url(#m{number})"/>'

    def _port(self, spot: Spot, other: Spot, near: Mapping[int, list[Spot]]) -> float:
        """Where an arrow touches a box: spread over its middle, in the order of the other ends."""
        others = sorted(near[id(spot)], key=lambda one: one.x)
        step = min(22.0, (self.layout.box_width - 30) / max(len(others) - 1, 1))
        number = next(number for number, one in enumerate(others) if one is other)
        return spot.x + step * (number - (len(others) - 1) / 2)

    def _curve(self, way: Sequence[Spot], leave: float, reach: float) -> str:
        """Down through the gaps between rows in curves, past the boxes of a row straight."""
        x, y = leave, self.y[way[0].row] + BOX_HEIGHT
        path = [f"M{x:g} {y:g}"]
        for spot in way[1:]:
            last = spot is way[-1]
            to_x, to_y = (reach if last else spot.x), self.y[spot.row] - (2 if last else 0)
            bend = (y + to_y) / 2
            path.append(f"C{x:g} {bend:g} {to_x:g} {bend:g} {to_x:g} {to_y:g}")
            x, y = to_x, to_y
            if not last:
                y += BOX_HEIGHT
                path.append(f"V{y:g}")
        return "".join(path)

    def _back(self, start: Spot, end: Spot) -> str:
        """An arrow that closes a circle: upwards, or along a row."""
        x, y, to_x = start.x - 40, self.y[start.row], end.x + 40
        to_y = self.y[end.row] + (BOX_HEIGHT + 2 if end.row < start.row else -2)
        bend = (y + to_y) / 2 if end.row < start.row else y - 26
        return f"M{x:g} {y:g}C{x:g} {bend:g} {to_x:g} {bend:g} {to_x:g} {to_y:g}"


def text(kind: str, x: float, y: float, said: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(said)}</text>'


def draw(package: Path = PACKAGE) -> str:
    """The picture of a package as SVG."""
    return Drawing(package).svg()


def main() -> None:
    options = argparse.ArgumentParser(
        description="Draw docs/architecture.svg from the imports of src/votenet."
    )
    options.add_argument("--print", action="store_true", help="print the picture instead of writing it")
    if options.parse_args().print:
        print(draw(), end="")
    else:
        PICTURE.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
