"""Reading `election.toml`: the definition of an election as people write it.

What only the making of an election gives (its time, salt, keys and nodes) is not in the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_type_hints

import msgspec

from votenet.core.election.definition import (
    UUID_LENGTH,
    Candidate,
    ChainParameters,
    Contest,
    ElectionDefinition,
    Name,
    NamedNode,
    Quorum,
    Threshold,
    Witness,
)
from votenet.core.election.definition_rules import (
    ONE_KEY_EACH,
    contest_faults,
    definition_faults,
    trustee_name_faults,
)
from votenet.core.election.local_time import time_of, zone_of
from votenet.core.election.node_line import read_node_line
from votenet.core.election.secret_rules import draft_faults
from votenet.core.election.toml_table import FaultList, FileFault, TomlPath, TomlTable, kind_fault
from votenet.core.limits import MAX_CHOICES
from votenet.core.log.signed_note import parse_key
from votenet.core.methods.registry import METHODS
from votenet.errors import ConfigError, NotProven
from votenet.pow import bits_for_zero_bits

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
USUAL_DIFFICULTY: Final = 8
"""In place of one that is measured when the election is made."""
USUAL_THRESHOLD: Final = 2
"""Trustees who are needed, of three or more."""
CEREMONY_FOLDER: Final = "ceremony"
_ROLL_SOURCES: Final = ("roll", "members", "enrolment")
"""Keys that say who may vote."""
NODES: Final = 'nodes = ["north:…", "south:…"]'
"""How the lines of nodes are written in the file."""
MOTION_OPTIONS: Final = ("Yes", "No", "Abstain")
EXAMPLES: Final = {
    "title": 'title = "Board 2027"',
    "organiser": 'organiser = "Rowing Club"',
    "language": 'language = "en"',
    "time_zone": 'time_zone = "Europe/Berlin"',
    "opens": "opens = 2027-05-31T08:00:00+02:00",
    "closes": "closes = 2027-05-31T20:00:00+02:00",
    "results": 'results = "live"',
    "registration": 'registration = "roll"',
    "roll": 'roll = "roll.json"',
    "members": 'members = "members.csv"',
    "enrolment": 'enrolment = "enrolment"',
    "public_url": 'public_url = "https://vote.example.org"',
    "weighted": "weighted = true",
    "secrecy": 'secrecy = "secret"',
    "names": 'names = ["Ann", "Bo", "Cy"]',
    "folder": 'folder = "ceremony"',
    "difficulty": "difficulty = 16",
    "grace": "grace = 30",
    "id": 'id = "chair"',
    "description": 'description = "Who leads the club."',
    "method": 'method = "plurality"',
    "seats": "seats = 1",
    "min": "min = 1",
    "max": "max = 1",
    "blank": "blank = true",
    "candidates": 'candidates = ["Ann", "Bo"]',
    "threshold": 'threshold = "two-thirds of votes cast"',
    "quorum": "quorum = 30",
    "name": 'name = "Ann"',
}
_ELECTION: Final = get_type_hints(ElectionDefinition, include_extras=True)
_CONTEST: Final = get_type_hints(Contest, include_extras=True)
_CANDIDATE: Final = get_type_hints(Candidate, include_extras=True)
_SHARES: Final = get_args(get_type_hints(Threshold)["share"])
_PERCENT: Final = get_type_hints(Quorum, include_extras=True)["percent"]
_THRESHOLD: Final = re.compile(
    rf"({'|'.join(_SHARES)})(?: majority)?(?: of (?:the )?(?:(votes cast)|(roll)))?"
)
_RULE_KEYS: Final = {
    "seat": "seats",
    "choices": "max",
    "counts one choice": "max",
    "threshold": "threshold",
    "quorum": "quorum",
    "motion": "candidates",
    "majority": "threshold",
    "description": "description",
    "candidate": "candidates",
    "the method": "method",
    "title": "title",
    "closes before": "closes",
    "held back": "results",
    "never closes": "results",
    "weights": "weighted",
    "organiser": "organiser",
    "shown after": "results",
    "weighted": "weighted",
    "blank": "blank",
}
"""A word of a broken rule, and the key to look at; the first that fits."""


class TrusteesTable(NamedTuple):
    """Who decrypts the count of secret ballots: any `threshold` of these."""

    names: tuple[str, ...]
    threshold: int = USUAL_THRESHOLD
    folder: str = CEREMONY_FOLDER
    """The name of the folder of their ceremony, beside the election file."""


@dataclass(frozen=True, slots=True)
class ElectionFile:
    """What an `election.toml` says. The definition has stand-ins for what the making gives: the time of its
    making, the salt, the authority's key, the root of the roll, and the difficulty where none is asked for.
    """

    definition: ElectionDefinition
    roll: str = ""
    """The name of the roll file, beside the election file."""
    difficulty: int | None = None
    members: str = ""
    """The name of the list of members who get voting codes, beside the election file."""
    enrolment: str = ""
    """The name of the folder in which members have enrolled, beside the election file."""
    public_url: str = ""
    """Where voters find the page: it stands on their cards."""
    trustees: TrusteesTable | None = None
    """Of an election with secret ballots; its definition is public until their ceremony is complete."""


def read_election_file(data: bytes) -> tuple[ElectionFile | None, list[FileFault]]:
    """The election, if nothing is wrong, and everything that is wrong otherwise."""
    try:
        text = data.decode()
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return None, [FileFault("", line, "the file is not text in UTF-8", "Save it as UTF-8.")]
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        return None, [_not_toml(str(error))]
    return election_of(values, text)


def election_of(values: Mapping[str, Any], text: str = "") -> tuple[ElectionFile | None, list[FileFault]]:
    """The same for the tables of a file; `text` is where they stand in."""
    faults = FaultList(text)
    found = _election(values, faults)
    return (None if faults.found else found), sorted(faults.found, key=lambda fault: fault.line or 0)


def _not_toml(message: str) -> FileFault:
    place = re.search(r" \(at line (\d+), column (\d+)\)", message)
    line = int(place[1]) if place else None
    if "('nodes',)" in message:
        wrong, step = "its nodes stand both in a list and in tables", "Write all of them in one form."
        return FileFault("nodes", line, wrong, step)
    wrong = (
        message.replace(place[0], "") if place else message.replace(" (at end of document)", " at its end")
    )
    column = f", in column {place[2]}" if place else ""
    step = "Put text between quotes, lists between [ ], and write every key once."
    return FileFault("", line, f"this is not TOML{column}: {wrong}", step)


# -- the election ----------------------------------------------------------------------------------


def _election(values: Mapping[str, Any], faults: FaultList) -> ElectionFile:
    table = TomlTable(values, (), faults, EXAMPLES)
    zone_name, zone = zone_of(table, _ELECTION["time_zone"])
    sources = {key: table.take(key, _ELECTION["title"], "") for key in _ROLL_SOURCES}
    public_url = _public_url(table)
    fields: dict[str, Any] = {
        "title": table.need("title", _ELECTION["title"], "Election"),
        "organiser": table.take("organiser", _ELECTION["organiser"], ""),
        "language": table.take("language", _ELECTION["language"], "en"),
        "results": table.take("results", _ELECTION["results"], "live"),
        "weighted": table.take("weighted", bool, False),
        "registration": _registration(table),
        "opens": time_of(table, "opens", zone),
        "closes": time_of(table, "closes", zone),
    }
    difficulty = table.take("difficulty", Annotated[int, msgspec.Meta(ge=1, le=64)], None)
    chain = get_type_hints(ChainParameters, include_extras=True)
    usual = ChainParameters(bits=bits_for_zero_bits(difficulty or USUAL_DIFFICULTY))
    grace = table.take("grace", chain["grace_seconds"], usual.grace_seconds)
    nodes = _nodes(table, faults)
    witnesses = [_witness(one, ("witnesses", n), faults) for n, one in _numbered(table.tables("witnesses"))]
    contests = _contests(table, fields, faults)
    trustees = _trustees(table, faults)
    table.end()
    if fields["closes"] is None and table.has("closes"):
        fields["results"] = "live"  # one fault is enough for a closing time that cannot be read
    if fields["registration"] == "roll":
        fields |= {"roll_root": "00" * 32, "roll_size": 1}
    definition = ElectionDefinition(
        chain=msgspec.structs.replace(usual, grace_seconds=grace),
        contests=tuple(contests) or (_STAND_IN,),
        created=0,
        nodes=tuple(nodes),
        time_zone=zone_name,
        uuid="1" * UUID_LENGTH,
        witnesses=tuple(one for one in witnesses if one is not None),
        **fields,
    )
    _check_rules(definition, table, faults)
    if trustees is not None:
        for wrong, next_step in draft_faults(definition):
            faults.add(_key_of(wrong, (), table.has) or ("secrecy",), wrong, next_step)
    return ElectionFile(
        definition, **sources, public_url=public_url, difficulty=difficulty, trustees=trustees
    )


_STAND_IN: Final = Contest(candidates=(Candidate(name="A"), Candidate(name="B")), title="Contest")
"""In place of contests that cannot be read."""


def _numbered(tables: Sequence[T]) -> list[tuple[int, T]]:
    return list(enumerate(tables, start=1))


def _registration(table: TomlTable) -> str:
    said = table.take("registration", _ELECTION["registration"], None)
    named = [key for key in _ROLL_SOURCES if table.has(key)]
    if said == "open" and named:
        table.blame(
            "registration", f"it is open to everybody, and {named[0]} says who may vote", "Leave one out."
        )
    if said == "roll" and not named:
        advice = f"Add: {EXAMPLES['roll']}, or: {EXAMPLES['members']}"
        table.blame("registration", "a roll is asked for, and its file is not named", advice)
    if "roll" in named and len(named) > 1:
        table.blame("roll", f"the roll is given, and {named[1]} would make one", "Leave one of them out.")
    return said or ("roll" if named else "open")


def _trustees(table: TomlTable, faults: FaultList) -> TrusteesTable | None:
    """The trustees of an election with secret ballots."""
    secrecy = table.take("secrecy", _ELECTION["secrecy"], "public")
    values = table.raw("trustees")
    if secrecy == "public":
        if values is not None:
            step = f"Leave them out, or write above all tables: {EXAMPLES['secrecy']}"
            table.blame("trustees", "trustees are for secret ballots, and these are public", step)
        return None
    if not isinstance(values, dict):
        step = f"Add a table [trustees] with their names: {EXAMPLES['names']}"
        table.blame("secrecy", "secret ballots need trustees, who decrypt the count", step)
        return None
    if table.has("enrolment"):
        wrong = "members who make codes of their own get no credential for secret ballots"
        table.blame("enrolment", wrong, f"Name the list of members: each gets a card. {EXAMPLES['members']}")
    one = TomlTable(values, ("trustees",), faults, EXAMPLES)
    names = one.need("names", tuple[Name, ...], ("A", "B", "C"))
    found = TrusteesTable(
        names=tuple(names),
        threshold=one.take("threshold", Annotated[int, msgspec.Meta(ge=1)], USUAL_THRESHOLD),
        folder=one.take("folder", _ELECTION["title"], CEREMONY_FOLDER),
    )
    one.end()
    for wrong, step in trustee_name_faults(found.names):
        one.blame("names", wrong, step)
    return found


def _public_url(table: TomlTable) -> str:
    url: str = table.take("public_url", _ELECTION["title"], "")
    if url and not is_public_url(url):
        table.blame("public_url", f"{url!r} is no address of a page")
    return url.rstrip("/")


def is_public_url(url: str) -> bool:
    """Whether it is the address of a page: http or https, a host, perhaps a port and a path."""
    return re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url) is not None and len(url) <= 200


def _check_rules(definition: ElectionDefinition, table: TomlTable, faults: FaultList) -> None:
    """The rules of every definition but those about one contest, which were checked with it."""
    several = len(definition.contests) > 1
    of_contests = {
        (f"contest {contest.id!r}: " if several else "") + wrong
        for contest in definition.contests
        for wrong, _ in contest_faults(contest, definition.registration)
    }
    for wrong, next_step in definition_faults(definition):
        if wrong not in of_contests:
            faults.add(_key_of(wrong, (), table.has), wrong, next_step)


def _key_of(wrong: str, path: TomlPath, has: Any) -> TomlPath:
    key = next((key for word, key in _RULE_KEYS.items() if word in wrong and has(key)), None)
    return path if key is None else (*path, key)


# -- contests --------------------------------------------------------------------------------------


def _contests(table: TomlTable, fields: Mapping[str, Any], faults: FaultList) -> list[Contest]:
    """Those that can be read; what is wrong with each is told."""
    tables = table.tables("contests")
    if not tables and not (table.has("contests") and table.raw("contests")):
        faults.add((), "it has no contests", "Add a table [[contests]] with a title and candidates.")
    found = []
    for number, values in _numbered(tables):
        before = len(faults.found)
        path = ("contests", number)
        one = TomlTable(values, path, faults, EXAMPLES)
        only = len(tables) == 1
        contest = read_contest(one, str(number), fields["title"] if only else None, path, faults)
        if len(faults.found) > before:
            continue
        found.append(contest)
        for wrong, next_step in contest_faults(contest, fields["registration"]):
            here = next_step.replace("--max-choices", "max").replace("--method", "method")
            faults.add(_key_of(wrong, path, one.has), wrong, here)
    return found


def read_contest(
    table: TomlTable, number: str, title: str | None, path: TomlPath, faults: FaultList
) -> Contest:
    """The contest in a table. Faults are added to the list; its values are then stand-ins.

    Args:
        number: its place, the id where the table has none.
        title: what is taken where the table has none.
    """
    title = table.take("title", _CONTEST["title"], title)
    if title is None:
        title = table.need("title", _CONTEST["title"], "Contest")
    method = table.take("method", _CONTEST["method"], "plurality")
    candidates = _candidates(table, method, path, faults)
    seats = table.take("seats", _CONTEST["seats"], 1)
    contest = Contest(
        blank=table.take("blank", bool, False),
        candidates=candidates,
        description=table.take("description", _CONTEST["description"], ""),
        id=table.take("id", _CONTEST["id"], number),
        max=table.take("max", _CONTEST["max"], usual_max(method, len(candidates), seats)),
        method=method,
        min=table.take("min", _CONTEST["min"], 1),
        quorum=_quorum(table),
        seats=seats,
        threshold=_threshold(table, path, faults),
        title=title,
    )
    table.end()
    return contest


def usual_max(method: str, candidates: int, seats: int) -> int:
    """How many choices a ballot may have where the file does not say."""
    if method == "block":
        return seats
    return METHODS[method].max_choices or max(1, min(candidates, MAX_CHOICES))


def _candidates(table: TomlTable, method: str, path: TomlPath, faults: FaultList) -> tuple[Candidate, ...]:
    values = table.raw("candidates")
    if values is None and method == "motion":
        values = list(MOTION_OPTIONS)
    if not isinstance(values, list):
        wrong = "candidates are missing" if values is None else "candidates must be a list"
        table.blame("candidates", wrong)
        return ()
    found: list[Candidate] = []
    for number, value in enumerate(values, start=1):
        here = (*path, "candidates", number)
        if isinstance(value, dict):
            one = _struct(Candidate, value, here, faults)
            found += [] if one is None else [one]
        elif wrong := kind_fault(value, _CANDIDATE["name"]):
            faults.add(here, wrong, f"Write a name between quotes: {EXAMPLES['candidates']}")
        else:
            found.append(Candidate(name=value))
    return tuple(found)


def _threshold(table: TomlTable, path: TomlPath, faults: FaultList) -> Threshold | None:
    value = table.raw("threshold")
    if isinstance(value, dict):
        return _struct(Threshold, {"basis": "cast"} | value, (*path, "threshold"), faults)
    if value is None:
        return None
    words = _THRESHOLD.fullmatch(value) if isinstance(value, str) else None
    if words is None:
        wrong = f"the threshold {repr(value)[:60]} is not known"
        table.blame("threshold", wrong, f"Give {' or '.join(_SHARES)}, then: of votes cast, or: of the roll.")
        return None
    return msgspec.convert({"share": words[1], "basis": "roll" if words[3] else "cast"}, Threshold)


def _quorum(table: TomlTable) -> Quorum | None:
    value = table.raw("quorum")
    if isinstance(value, dict) and value.keys() == {"percent"}:
        value = value["percent"]
    if value is None:
        return None
    if wrong := kind_fault(value, _PERCENT):
        table.blame("quorum", f"{wrong}: it is in percent of the roll")
        return None
    return Quorum(percent=value)


# -- nodes, witnesses, times -----------------------------------------------------------------------


def _struct(kind: type[S], values: Mapping[str, Any], path: TomlPath, faults: FaultList) -> S | None:
    """A struct whose members are the keys of a table, None where one is wrong."""
    before = len(faults.found)
    table = TomlTable(values, path, faults, EXAMPLES)
    hints = get_type_hints(kind, include_extras=True)
    fields = {}
    for field in msgspec.structs.fields(kind):
        reads = table.need if field.required else table.take
        fields[field.name] = reads(field.name, hints[field.name], None if field.required else field.default)
    table.end()
    return None if len(faults.found) > before else kind(**fields)


def _nodes(table: TomlTable, faults: FaultList) -> list[NamedNode]:
    """The named nodes, as lines of `votenet node init` or as tables; what is wrong with each is told."""
    value = table.raw("nodes")
    if not isinstance(value, list | None) or not all(isinstance(one, str | dict) for one in value or ()):
        table.blame("nodes", "nodes must be a list of lines, or tables", f"Write it like this: {NODES}")
        return []
    found: list[NamedNode] = []
    for number, one in _numbered(value or ()):
        path: TomlPath = ("nodes", number)
        before = (value or [])[: number - 1].count(one)
        if isinstance(one, str):
            node = _node_of_line(one, path, faults, before)
        else:
            node = _struct(NamedNode, one, path, faults)
        if node is None:
            continue
        twin = next((other for other in found if set(other.keys) & set(node.keys)), None)
        if twin is None:
            found.append(node)
        else:
            wrong = f"the nodes {twin.name!r} and {node.name!r} have the same key"
            step = ONE_KEY_EACH
            if twin == node:
                wrong = f"the node {node.name!r} stands here twice"
                step = "Put the line of another organisation in its place, or take it out."
            near = one if isinstance(one, str) else ""
            faults.add(path, wrong, step, near=near, before=before)
    return found


def _node_of_line(line: str, path: TomlPath, faults: FaultList, before: int) -> NamedNode | None:
    """`before`: how many lines above are the same."""
    try:
        return read_node_line(line)
    except ConfigError as error:
        faults.add(path, error.message, error.next_step, near=line, before=before)
        return None


def _witness(values: Mapping[str, Any], path: TomlPath, faults: FaultList) -> Witness | None:
    found = _struct(Witness, values, path, faults)
    if found is not None:
        try:
            parse_key(found.key)
        except NotProven as error:
            faults.add(
                (*path, "key"), f"the key cannot be read: {error.message}", "Copy the whole line of the key."
            )
            return None
    return found
