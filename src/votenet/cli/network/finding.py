"""One line of `votenet doctor`, how its lines are printed, and what several nodes warn of alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from votenet.cli import ui
from votenet.errors import VotenetError

LOW_DISK: Final = 512 * 1024 * 1024
"""Bytes: with less free space a node will soon be stopped by a full disk."""

LEAVES_LISTS: Final = (
    "it was restored from a backup, and takes part again; because it may have forgotten votes, it leaves the"
    " closing list to the other named nodes, unless these are too few"
)
"""Of a node whose status says `leaves_lists`."""


class Finding(NamedTuple):
    """One line: `state` is ok, note or problem."""

    what: str
    state: str
    found: str
    next_step: str = ""


def by_warning(told: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each warning once: the names of the nodes that warn of it, and its text. Args: told: name and text."""
    names: dict[str, list[str]] = {}
    for name, text in told:
        names.setdefault(text, []).append(name)
    yield from ((", ".join(some), text) for text, some in names.items())


def show_findings(findings: Sequence[Finding], as_json: bool) -> None:
    """All findings on stdout. Raises VotenetError: problems-found, if one of them is a problem."""
    if as_json:
        ui.print_json([finding._asdict() for finding in findings])
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            ui.echo(f"{finding.state:7}  {finding.what:{width}}  {finding.found}")
            if finding.next_step:  # in one line, however long: commands in it are pasted
                ui.echo(f"{'':7}  {'':{width}}  -> {finding.next_step}")
    problems = [finding for finding in findings if finding.state == "problem"]
    if problems:
        raise VotenetError(
            f"{ui.count_of(len(problems), 'problem')} found",
            code="problems-found",
            next_step="What to do about each stands below it.",
            reported=True,
        )
