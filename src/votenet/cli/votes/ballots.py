"""`votenet ballots`: look into a file of ballots before it is cast."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from votenet.ballots.check import BallotCheck, ContestFindings, check_ballots
from votenet.cli import ui
from votenet.cli.election.in_force import voters_here
from votenet.cli.options import FilePath, instance_option, json_option
from votenet.cli.votes.ballot_options import SHOWN_FAULTS, ballot_options, reading_options
from votenet.config import instance_dirs
from votenet.core.election.definition import Election
from votenet.errors import VotenetError
from votenet.lab.voter_keys import not_on_roll
from votenet.storage.ballot_source import read_ballot_file
from votenet.storage.genesis_file import read_genesis


@click.group()
def ballots() -> None:
    """Look into files of ballots."""


@ballots.command(
    epilog="""
Examples:

\b
  votenet ballots check ballots.csv
  votenet ballots check minneapolis-2013 --choice rank1 --json
  votenet ballots check ballots.csv --write-ins skip
  votenet ballots check ballots.csv --contest 1=first,second     (the columns of contest 1)

Nothing is cast. A file that votenet does not understand is refused as a whole, with the line and the column.
"""
)
@click.argument("file", type=FilePath())
@ballot_options
@click.option("--genesis", type=FilePath(), help="Genesis file of the election.  [default: the one here]")
@instance_option
@json_option
def check(file: Path, genesis: Path | None, instance: str, as_json: bool, **typed: Any) -> None:
    """Say what FILE holds: its form, its values, and every ballot that cannot be cast.

    FILE is a CSV file, a .blt file or a PrefLib file (.soi, .toi); it may be compressed, - for standard
    input, or the name of a record that comes with votenet: minneapolis-2013. Its ballots are compared with
    the contests of the election here, if there is one.
    """
    dirs = instance_dirs(instance)
    path = genesis or (dirs.genesis if dirs.genesis.exists() else None)
    election = None if path is None else read_genesis(path)
    contests = () if election is None else election.definition.contests
    roll = voters_here(instance) if election is not None and genesis is None else None
    found = check_ballots(
        read_ballot_file(file), reading_options(**typed), contests, partial(not_on_roll, roll)
    )
    if as_json:
        network = None if election is None else election.network_hex
        ui.print_json(found.to_json() | {"network_id": network})
    else:
        show_check(found, election)
    if found.fault_count:
        raise VotenetError(
            f"{ui.count_of(found.fault_count, 'fault')}: these ballots cannot be cast",
            code="ballots-refused",
            next_step=found.faults[0].next_step or "Mend the file, then check it again.",
            reported=True,
        )


def show_check(found: BallotCheck, election: Election | None) -> None:
    """Print a check for people."""
    fields = [(name.replace("_", " "), _words(value)) for name, value in found.form.items() if value]
    fields += [
        ("ballots", f"{len(found.rows) + found.blanks_left_out:,}"),
        ("castable", f"{len(found.ballots):,}"),
    ]
    if found.repeated_ids:
        fields.append(("repeated ids", f"{found.repeated_ids:,}"))
    if found.blanks_left_out:
        fields.append(("left out", f"{found.blanks_left_out:,} blank ballots: the election takes none"))
    compared = "compared with no election" if election is None else f"for {election.definition.title!r}"
    ui.print_fields(f"Ballots {compared}", [*fields, ("sha256", found.sha256)])
    for findings in found.contests:
        _show_contest(findings, titled=len(found.contests) > 1)
    for fault in found.faults[:SHOWN_FAULTS]:
        ui.echo(str(fault))
    if found.fault_count > SHOWN_FAULTS:
        ui.echo(f"… and {found.fault_count - SHOWN_FAULTS:,} more faults")


def _show_contest(findings: ContestFindings, *, titled: bool) -> None:
    told = findings.to_json()
    fields = [("layout", findings.layout), ("columns", ", ".join(findings.columns))]
    for name in ("blanks", "over_votes", "skips", "repeated_choices"):
        fields.append((name.replace("_", " "), f"{told[name]:,}" if told[name] else ""))
    contest = findings.contest if titled else None
    title = "Marks" if contest is None else f"Marks for {contest.title!r} ({contest.id})"
    ui.print_fields(title, [(name, text) for name, text in fields if text])
    _show_values("value", findings.values)
    _show_values("no candidate", findings.unknown)


def _show_values(title: str, values: Mapping[str, int]) -> None:
    if not values:
        return
    made = ui.table("", [(title, "left"), ("times", "right")])
    shown = sorted(values.items(), key=lambda pair: -pair[1])
    for name, times in shown[:SHOWN_FAULTS]:
        made.add_row(name, f"{times:,}")
    if len(shown) > SHOWN_FAULTS:
        made.add_row(f"… {len(shown) - SHOWN_FAULTS:,} more", "")
    ui.print_table(made)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
