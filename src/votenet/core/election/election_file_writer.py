"""Writing `election.toml`, with comments for the people who change it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from votenet.core.election.definition import Candidate, Contest, NamedNode
from votenet.core.election.election_file import ElectionFile, TrusteesTable
from votenet.core.election.local_time import local_time

_HEAD: Final = """\
# An election. Check this file with:  votenet election check election.toml
# See the ballot as voters will see it:  votenet election show election.toml
"""
_HOUR: Final = "2027-05-31T08:00:00+02:00"


def election_toml(file: ElectionFile) -> str:
    """The text of an election file."""
    return "\n".join((_HEAD, *_election_lines(file), ""))


def _election_lines(file: ElectionFile) -> Iterator[str]:
    definition = file.definition
    yield f"title = {_text(definition.title)}"
    yield f"organiser = {_text(definition.organiser)}"
    yield f"language = {_text(definition.language)}"
    yield f"time_zone = {_text(definition.time_zone)}"
    for key, seconds in (("opens", definition.opens), ("closes", definition.closes)):
        if seconds is None:
            yield f"# {key} = {_HOUR}"
        else:
            yield f"{key} = {local_time(seconds, definition.time_zone).isoformat()}"
    yield f"results = {_text(definition.results)}"
    named = {"roll": file.roll, "members": file.members, "enrolment": file.enrolment}
    yield from (f"{key} = {_text(value)}  # who may vote" for key, value in named.items() if value)
    if not any(named.values()):
        yield '# members = "members.csv"  # who may vote (id, name): each gets a card; else everybody may'
    if file.public_url:
        yield f"public_url = {_text(file.public_url)}  # where voters find the page"
    else:
        yield '# public_url = "https://vote.example.org"  # where voters find the page'
    yield f"weighted = {_flag(definition.weighted)}  # votes count as much as the roll says"
    if file.difficulty is not None:
        yield f"difficulty = {file.difficulty}  # leading zero bits of a block hash"
    yield f"grace = {definition.chain.grace_seconds}  # seconds after closing for votes that came in time"
    if file.trustees is not None:
        yield 'secrecy = "secret"  # ballots are encrypted; trustees decrypt the count'
        yield from _trustee_lines(file.trustees)
    for node in definition.nodes:
        yield "\n" + node_toml(node)
    for witness in definition.witnesses:
        yield f"\n[[witnesses]]\nname = {_text(witness.name)}"
        yield f"key = {_text(witness.key)}\nurl = {_text(witness.url)}"
    for contest in definition.contests:
        yield from _contest_lines(contest)


def _trustee_lines(trustees: TrusteesTable) -> Iterator[str]:
    yield "\n[trustees]  # their ceremony: votenet help trustee"
    yield f"names = [{', '.join(map(_text, trustees.names))}]"
    yield f"threshold = {trustees.threshold}  # of them are needed to count"
    yield f"folder = {_text(trustees.folder)}"


def node_toml(node: NamedNode) -> str:
    """The table [[nodes]] of one named node."""
    keys = ("name", "node_key", "statement_key", "cosign_key", "log_key")
    return "\n".join(("[[nodes]]", *(f"{key} = {_text(getattr(node, key))}" for key in keys)))


def _contest_lines(contest: Contest) -> Iterator[str]:
    yield f"\n[[contests]]\nid = {_text(contest.id)}"
    yield f"title = {_text(contest.title)}"
    yield f"description = {_text(contest.description)}"
    yield f"method = {_text(contest.method)}  # see docs/elections.md, Methods"
    yield f"seats = {contest.seats}"
    yield f"min = {contest.min}  # choices on a ballot, at least"
    yield f"max = {contest.max}  # and at most"
    yield f"blank = {_flag(contest.blank)}  # whether a ballot without a choice is taken and counted as blank"
    if contest.threshold is not None:
        of = "the roll" if contest.threshold.basis == "roll" else "votes cast"
        yield f"threshold = {_text(f'{contest.threshold.share} of {of}')}"
    if contest.quorum is not None:
        yield f"quorum = {contest.quorum.percent}  # percent of the roll that must vote"
    yield "candidates = ["
    yield from (f"    {_candidate(candidate)}," for candidate in contest.candidates)
    yield "]"


def _candidate(candidate: Candidate) -> str:
    if not candidate.statement:
        return _text(candidate.name)
    return f"{{ name = {_text(candidate.name)}, statement = {_text(candidate.statement)} }}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _text(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
