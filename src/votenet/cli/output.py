"""The door to the terminal: every word that a command says to a person or a program goes through here.

What lives here: descriptors and streams at the start, escaping, tables' console, what becomes of a write
that fails. What must not: what is said. rich is imported where a table is drawn.

Nothing else in `cli` may print (tests/cli/test_output.py looks): text of others reaches the terminal only
with its control characters made visible (`votenet.text`).
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
from typing import IO, TYPE_CHECKING, Any, Final

from votenet.errors import OutputError, VotenetError
from votenet.text import visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

DEFECT: Final = 70
"""Exit code of an error that votenet does not know: EX_SOFTWARE. 1 would say "does not hold"."""


class ReaderGone(BrokenPipeError):
    """Whoever read stdout has enough (`| head`): the end of the command, and no error."""


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
    """Its errors are VotenetErrors, whoever writes; a reader that is gone is ReaderGone."""

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
            select.select((), (self,), ())  # somebody has made it non-blocking: wait as if it were not


class _StandardError(io.FileIO):
    """What cannot be said there cannot be said at all: it is no reason to fail."""

    def write(self, data: Any, /) -> int:
        with contextlib.suppress(OSError):
            while (done := super().write(data)) is None:
                select.select((), (self,), ())
            return done
        return len(memoryview(data).cast("B"))


def finish(code: int) -> int:
    """Flush; the exit code: that of what was done, or of a result that did not get out."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        give_up()
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
    """Nobody reads, or nothing can be written: what is left in the buffer goes nowhere, quietly."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        sys.stdout.flush()


def stop_if_unread() -> None:
    """For whoever waits for news: raises ReaderGone once the reader of stdout is gone."""
    watch = select.poll()
    with contextlib.suppress(OSError, ValueError):  # a test's stream has no descriptor
        watch.register(sys.stdout.fileno(), 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0)):
        raise ReaderGone


# -- words -----------------------------------------------------------------------------------------


def echo(text: str = "", *, err: bool = False, prefix: str = "") -> None:
    """One line on stdout (or stderr). `prefix` is our own, shown as it is: it may hold colours.

    Raises:
        OutputError, ReaderGone: stdout does not take it.
    """
    _write(prefix + visible(text) + "\n", err)


def echo_json(value: object, *, indent: int | None = None) -> None:
    """A JSON document on stdout. Raises as `echo`."""
    pure = not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
    _write(visible_lines(json.dumps(value, ensure_ascii=pure, indent=indent, default=str)) + "\n", False)


def echo_bytes(data: bytes) -> None:
    """Part of a file that goes to stdout. Raises as `echo`, some of it at the end of the program only."""
    sys.stdout.buffer.write(data)


def show_error(error: VotenetError) -> None:
    """What happened and what to do, on stderr."""
    echo(f"Error: {error.message} [{error.code}]", err=True)
    if error.next_step:
        echo(f"  {error.next_step}", err=True)


def show_defect(error: BaseException) -> None:
    """The trace of an error that nobody foresaw. Lines within a message cannot pose as log lines."""
    import traceback

    first, *rest = "".join(traceback.format_exception(error)).splitlines()
    for line in (first, *(f"  {line}" for line in rest)):
        echo(line, err=True)
    echo("This is a defect of votenet: please report it with these lines.", err=True)


def _write(text: str, err: bool) -> None:
    stream: IO[str] = sys.stderr if err else sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        if not err:
            raise


# -- tables ----------------------------------------------------------------------------------------


def wants_colour(stream: IO[str] | None = None) -> bool:
    """Only for a terminal that can and a person who did not say no."""
    tty = (stream or sys.stdout).isatty()
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(*, err: bool = False, width: int | None = None) -> Console:
    """Where tables are drawn: no markup, and text of others as `echo` shows it.

    Args:
        width: where there is no terminal.
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


def _shown(renderable: Any) -> Any:
    """A text on one line; anything else as it is, its parts come through here, too."""
    from rich.text import Text

    if isinstance(renderable, str):
        return visible(renderable)
    if isinstance(renderable, Text) and visible(renderable.plain) != renderable.plain:
        return Text(visible(renderable.plain), style=renderable.style)
    return renderable
