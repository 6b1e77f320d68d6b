"""What a command says to a person or a program: the console, tables, JSON, progress and words for values.

Nothing else in `cli` may print (tests/cli/test_ui.py looks): text of others reaches the terminal only with
its control characters made visible. rich is imported where a table or a bar is drawn: `--json` stays fast.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import select
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from votenet.client.refusals import when as when
from votenet.errors import OutputError, VotenetError
from votenet.text import visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

DEFECT: Final = 70
"""Exit code of an error that votenet does not know: EX_SOFTWARE. 1 would say "does not hold"."""
UNFOLDED: Final = 1_000_000
"""Columns where no person looks: programs read lines, and a key stays in one piece."""
BAR_WIDTH: Final = 30


class ReaderGone(BrokenPipeError):
    """The reader of stdout has enough (`| head`): the end of the command, and no error."""


# -- streams ---------------------------------------------------------------------------------------


def start() -> None:
    """Before anything else: descriptors 0 to 2 are open, and stdout and stderr are ours.

    A descriptor that is closed would be given to the next file opened, which then gets what is printed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = _opened(1, sys.stdout, _StandardOutput)
    sys.stderr = _opened(2, sys.stderr, _StandardError)


def _opened(descriptor: int, now: Any, kind: type[io.FileIO]) -> Any:
    """The stream in place of Python's; one that a test put there stays."""
    if now is not None and now is not (sys.__stdout__ if descriptor == 1 else sys.__stderr__):
        return now
    raw = kind(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8" if now is None else now.encoding,
        errors="backslashreplace",  # what this terminal cannot say is written as an escape, not as a trace
        line_buffering=descriptor == 2 or raw.isatty(),
        write_through=descriptor == 2,
    )


class _StandardOutput(io.FileIO):
    """Its errors are VotenetErrors, whatever writes; a reader that is gone is ReaderGone."""

    def write(self, data: Any, /) -> int:
        while True:
            try:
                done = super().write(data)
            except BrokenPipeError:
                raise ReaderGone from None
            except OSError as error:
                if error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode):
                    raise ReaderGone from None  # a terminal that was closed
                raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error
            if done is not None:
                return done
            select.select((), (self,), ())  # another program has made it non-blocking: wait all the same


class _StandardError(io.FileIO):
    """What cannot be said there cannot be said at all: it is no reason to fail."""

    def write(self, data: Any, /) -> int:
        with contextlib.suppress(OSError):
            while (done := super().write(data)) is None:
                select.select((), (self,), ())
            return done
        return len(memoryview(data).cast("B"))


def finish(code: int) -> int:
    """Flush stdout; returns `code`, or another code if the result could not be written."""
    try:
        sys.stdout.flush()
    except OutputError as error:
        give_up()
        show_error(error)
        code = code or error.exit_code
    except OSError:
        give_up()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code


def give_up() -> None:
    """Stdout has no reader, or cannot be written: what is left in the buffer goes nowhere, quietly."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        sys.stdout.flush()


def stop_if_unread() -> None:
    """For a command that waits for news: raises ReaderGone once the reader of stdout is gone."""
    watch = select.poll()
    with contextlib.suppress(OSError, ValueError):  # a test's stream has no descriptor
        watch.register(sys.stdout.fileno(), 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0)):
        raise ReaderGone


# -- lines and JSON --------------------------------------------------------------------------------


def echo(text: str = "", *, err: bool = False, prefix: str = "") -> None:
    """One line on stdout (or stderr). `prefix` is our own, shown as it is: it may hold colours.

    Raises:
        OutputError, ReaderGone: stdout does not take it.
    """
    _write(prefix + visible(text) + "\n", err)


def say(text: str) -> None:
    """One line on stderr: stdout is for data."""
    echo(text, err=True)


def echo_json(value: object, *, indent: int | None = None) -> None:
    """A JSON document on stdout. Raises as `echo`."""
    pure = not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
    _write(visible_lines(json.dumps(value, ensure_ascii=pure, indent=indent, default=str)) + "\n", False)


def print_json(value: object) -> None:
    """The same of a dataclass or a struct, indented."""
    import msgspec

    echo_json(msgspec.to_builtins(value), indent=2)


def echo_bytes(data: bytes) -> None:
    """Part of a file that goes to stdout. Raises as `echo`, some of it at the end of the program only."""
    sys.stdout.buffer.write(data)


def print_fields(heading: str, fields: Sequence[tuple[str, Any]]) -> None:
    echo(heading)
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        echo(f"  {name:<{width}}  {value}")


def print_lies(lies: Iterable[str]) -> None:
    """Lies of named nodes that are proven, each once, in red."""
    for lie in dict.fromkeys(lies):
        console().print(lie_text(lie))


def lie_text(lie: str) -> Text:
    from rich.text import Text

    return Text(f"PROVEN LIE: {lie} See: votenet evidence list", style="bold red")


def show_error(error: VotenetError) -> None:
    say(f"Error: {error.message} [{error.code}]")
    if error.next_step:
        say(f"  {error.next_step}")


def show_defect(error: BaseException) -> None:
    """The trace of an unforeseen error. Lines within a message cannot pose as log lines."""
    import traceback

    first, *rest = "".join(traceback.format_exception(error)).splitlines()
    for line in (first, *(f"  {line}" for line in rest)):
        say(line)
    say("This is a defect of votenet: please report it with these lines.")


def _write(text: str, err: bool) -> None:
    stream: IO[str] = sys.stderr if err else sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        if not err:
            raise


# -- tables and progress ---------------------------------------------------------------------------


def wants_colour(stream: IO[str] | None = None) -> bool:
    """Only for a terminal that can and a person who did not say no."""
    tty = (stream or sys.stdout).isatty()
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(*, err: bool = False, width: int = UNFOLDED) -> Console:
    """Where tables are drawn: no markup, and text of others as `echo` shows it.

    Args:
        width: where there is no terminal; by default nothing is folded there.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Door(Console):
        def render(self, renderable: Any, options: Any = None) -> Any:
            for one in super().render(_shown(renderable), options):
                yield one if one.control else Segment(visible_lines(one.text), one.style)

        def on_broken_pipe(self) -> None:
            raise

    stream = sys.stderr if err else sys.stdout
    plain = not wants_colour(stream)
    return Door(
        file=stream,
        width=None if stream.isatty() else width,
        no_color=plain,
        force_terminal=False if plain and not stream.isatty() else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(title: str, columns: Sequence[tuple[str, str]], **options: Any) -> Table:
    """An empty table; columns are (heading, "left" or "right"). Its cells are text, made visible.

    Args:
        options: of rich's Table.
    """
    from rich.table import Table
    from rich.text import Text

    class SafeTable(Table):
        def add_row(self, *cells: Any, **options: Any) -> None:
            texts = (Text(cell) if isinstance(cell, str) else cell for cell in cells)
            super().add_row(*map(_shown, texts), **options)

    heading = _shown(Text(title)) if title else None
    made = SafeTable(title=heading, box=None, pad_edge=False, header_style="bold", **options)
    made.title_justify = "left"
    for name, justify in columns:
        made.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return made


def fitting_table(
    rows: Sequence[Mapping[str, str | Text]], left: Collection[str], dispensable: Sequence[str], width: int
) -> Table:
    """A table of these rows (cells by the heading of their column) that is at most `width` wide, if possible.

    Args:
        left: headings of columns that are flush left.
        dispensable: headings of columns to go without, the first of these first.
    """
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in (rows[0] if rows else ())}
    for name in dispensable:
        if sum(widths.values()) + 2 * (len(widths) - 1) > width:
            widths.pop(name, None)
    made = table("", [(name, "left" if name in left else "right") for name in widths])
    for row in rows:
        made.add_row(*(row[name] for name in widths))
    return made


def print_table(made: Table) -> None:
    console().print(made)


def _shown(renderable: Any) -> Any:
    """A text on one line; anything else as it is, its parts come through here, too."""
    from rich.text import Text

    if isinstance(renderable, str):
        return visible(renderable)
    if isinstance(renderable, Text) and visible(renderable.plain) != renderable.plain:
        return Text(visible(renderable.plain), style=renderable.style)
    return renderable


@contextlib.contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar on a terminal, a line at every tenth elsewhere, all on stderr; nothing where `total` is unknown.

    Yields a function that takes how much is done, and a note for the place of `7 of 10`.
    """
    if total is not None and sys.stderr.isatty():
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        words = (TextColumn("{task.description}"), BarColumn(40), TaskProgressColumn())
        columns = (*words, TextColumn("{task.fields[note]}"), TimeRemainingColumn())
        with Progress(*columns, console=console(err=True)) as shown:
            task = shown.add_task(visible(what), total=total, note="")

            def draw(done: int, note: str = "") -> None:
                speed = shown.tasks[0].speed or 0.0
                shown.update(task, completed=done, note=note or f"{done:,} of {total:,}, {speed:,.0f}/s")

            yield draw
        return
    told = 0

    def tell(done: int, note: str = "") -> None:
        nonlocal told
        tenth = min(done, total) * 10 // max(total, 1) if total is not None else 0
        if tenth > told:
            told = tenth
            say(f"{what}: {10 * tenth}%, {note}" if note else f"{what}: {done:,} of {total:,}")

    yield tell


# -- words for values ------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """`4s`, `3m10s`, `2h05m`, `3d4h`."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def size(count: int | None) -> str:
    """Bytes as people read them: `78K`, `38M`, `1.2G`."""
    if count is None:
        return "-"
    if 0 < count < 2**20:
        return f"{count / 2**10:.0f}K"
    return f"{count / 2**20:.0f}M" if count < 2**30 else f"{count / 2**30:.1f}G"


def count_of(number: int, one: str) -> str:
    """`1 confirmation`, `2 confirmations`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def bar(share: float) -> str:
    full, rest = divmod(round(share * BAR_WIDTH * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def preferences(choices: Sequence[str], method: str) -> str:
    """The choices of a ballot: in order of preference where the method looks at it, else side by side."""
    from votenet.core.methods.registry import method_named

    return (" > " if method_named(method).ranked else ", ").join(choices)


def anchors(**given: object) -> dict[str, str]:
    """What a file was compared with that does not come out of the file itself, of what could be given."""
    return {name: str(value) for name, value in given.items() if value is not None}


def compared_with(found: Mapping[str, str], could: str) -> str:
    """Anchors in words; and in plain words that there were none, and which options give one."""
    return ", ".join(_anchor_words(found)) or f"nothing: give {could}"


def _anchor_words(found: Mapping[str, str]) -> list[str]:
    words = {
        "network_id": "the network id given",
        "remembered": "the network id remembered from {}",
        "roll": "the roll {}",
        "node": "the node {}",
    }
    return [words[name].format(value) for name, value in found.items()]


def check_heading(name: str, found: Mapping[str, str]) -> str:
    """What a check has shown about a file, with these anchors.

    The definition in a file names its nodes and its roll: only the network id, or a node that is trusted,
    says that it is the definition of the election in question.
    """
    if "network_id" in found or "node" in found:
        return f"{name} holds."
    if found:
        return f"{name} agrees with itself and with {', '.join(_anchor_words(found))}."
    return f"{name} agrees with itself; it was compared with nothing else."


def finality(sentence: str, signers: Sequence[str], found: Mapping[str, str]) -> str:
    """How final the content of a file is; without its network id the nodes are the file's own word."""
    own = signers and not {"network_id", "remembered", "node"} & set(found)
    return f"{sentence} (nodes that the file itself names: compare its network id)" if own else sentence
