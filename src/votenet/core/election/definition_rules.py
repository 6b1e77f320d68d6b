"""The rules about a definition that its shape does not say: each broken one with what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from votenet.core.election.secret_rules import secret_faults
from votenet.core.encoding import canonical
from votenet.core.limits import MAX_CANDIDATES, MAX_NAME, MAX_STATEMENT
from votenet.core.methods.method import Method
from votenet.core.methods.registry import METHODS, method_named
from votenet.core.text import skeleton, text_fault
from votenet.errors import ConfigError, PowError
from votenet.pow import bits_to_target

if TYPE_CHECKING:
    from votenet.core.election.definition import Contest, ElectionDefinition, NamedNode

Fault = tuple[str, str]
"""What is wrong, and what to change; the second may be empty."""
ONE_KEY_EACH: Final = (
    "Each node has a key of its own: make one on each machine, and copy no node's folder to another."
)


def definition_faults(definition: ElectionDefinition) -> Iterator[Fault]:
    """(fault, what to change) for every broken rule, the most telling first."""
    yield from _name_faults("the title", definition.title)
    offered = sum(len(contest.candidates) for contest in definition.contests)
    if len(definition.contests) > 1 and offered > MAX_CANDIDATES:
        yield (
            f"its contests have {offered} candidates together, and {MAX_CANDIDATES} is the most",
            "Hold two elections.",
        )
    for contest in definition.contests:
        where = "" if len(definition.contests) == 1 else f"contest {contest.id!r}: "
        for wrong, next_step in contest_faults(contest, definition.registration):
            yield where + wrong, next_step
    ids = [contest.id for contest in definition.contests]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"two contests have the id {twice!r}", "Give each contest an id of its own."
    yield from _twins("a contest", tuple(contest.title for contest in definition.contests))
    if None not in (definition.opens, definition.closes) and definition.closes <= definition.opens:  # type: ignore[operator]
        yield "it closes before it opens", "Let it open first, then close."
    if definition.results == "after-close" and definition.closes is None:
        yield (
            "its results are shown after closing, but it never closes",
            "Give it a closing time, or show results live.",
        )
    yield from _roll_faults(definition)
    yield from _text_faults("the organiser", definition.organiser)
    yield from _node_faults(definition.nodes)
    for number, witness in enumerate(definition.witnesses, start=1):
        yield from _name_faults(f"the name of witness {number}", witness.name)
    if definition.trustees is not None:
        yield from trustee_name_faults(tuple(trustee.name for trustee in definition.trustees.keys))
    yield from secret_faults(definition)
    yield from _refusals(lambda: bits_to_target(definition.chain.bits))
    yield from _refusals(lambda: msgspec.json.decode(canonical(definition), type=type(definition)))


def trustee_name_faults(names: Sequence[str]) -> Iterator[Fault]:
    """The same for trustees. They make their key under these names: later none can be changed."""
    for number, name in enumerate(names, start=1):
        yield from _name_faults(f"the name of trustee {number}", name)
    yield from _twins("a trustee", tuple(names))


def contest_faults(contest: Contest, registration: str) -> Iterator[Fault]:
    """The same for one contest."""
    names = tuple(candidate.name for candidate in contest.candidates)
    yield from _name_faults("the title of the contest", contest.title)
    yield from _text_faults("the description of the contest", contest.description, lines=True)
    if not 1 <= len(names) <= MAX_CANDIDATES:
        yield f"it needs 1 to {MAX_CANDIDATES} candidates, not {len(names)}", "Change the list of candidates."
    for number, candidate in enumerate(contest.candidates, start=1):
        yield from _name_faults(f"candidate {number}", candidate.name)
        yield from _text_faults(f"the statement of candidate {number}", candidate.statement, lines=True)
    yield from _twins("a candidate", names)
    yield from _choice_faults(contest, len(names))
    yield from _method_faults(contest, len(names))
    yield from _motion_faults(contest, registration)


def _choice_faults(contest: Contest, candidates: int) -> Iterator[Fault]:
    if contest.min < 1:
        yield (
            "a ballot may have no choices",
            "Let a ballot have at least 1, and say that blank ones are allowed.",
        )
    if contest.min > contest.max:
        yield (
            f"at least {contest.min} choices and at most {contest.max} contradict each other",
            "Make min at most max.",
        )
    if contest.max > candidates:
        yield (
            f"{contest.max} choices are allowed but there are {candidates} candidates",
            "Allow as many choices as there are candidates, or fewer.",
        )
    if contest.seats > max(1, candidates - 1):
        yield (
            f"{contest.seats} seats for {candidates} candidates leave nothing to decide",
            "Leave fewer seats than candidates.",
        )


def _method_faults(contest: Contest, candidates: int) -> Iterator[Fault]:
    try:
        method = method_named(contest.method)
    except ConfigError as error:
        yield error.message, error.next_step
        return
    most = method.max_choices
    if most is not None and contest.max > most:
        others = " or ".join(_methods(lambda other: other.max_choices is None))
        count = "one choice" if most == 1 else f"{most} choices"
        yield (
            f"{method.name} counts {count} a ballot, not {contest.max}",
            f"Leave --max-choices out, or count with --method {others}.",
        )
    if method.max_seats is not None and contest.seats > method.max_seats:
        others = " or ".join(_methods(lambda other: other.max_seats is None))
        yield f"{method.name} fills one seat, not {contest.seats}", f"Leave one seat, or count with {others}."
    if method.max_candidates is not None and candidates > method.max_candidates:
        yield (
            f"{method.name} takes at most {method.max_candidates} candidates, not {candidates}",
            "Leave some out, or choose another method.",
        )


def _motion_faults(contest: Contest, registration: str) -> Iterator[Fault]:
    threshold, quorum = contest.threshold, contest.quorum
    if contest.method != "motion":
        if threshold is not None or quorum is not None:
            yield "only a motion has a threshold or a quorum", "Leave them out, or make it a motion."
        return
    if not 2 <= len(contest.candidates) <= 3:
        yield "a motion has two or three options: for, against, abstain", "List them in this order."
    if threshold is None:
        yield "a motion needs a threshold", 'Give it one, such as "simple" of the votes cast.'
    elif threshold.share == "simple" and threshold.basis == "roll":
        yield "a simple majority is one of the votes cast, not of the roll", 'Ask for "absolute" of the roll.'
    of_roll = quorum is not None or (threshold is not None and threshold.basis == "roll")
    if of_roll and registration != "roll":
        yield "it counts shares of a roll, and there is none", "Give the election a roll."


def _methods(wanted: Callable[[Method], bool]) -> list[str]:
    return [name for name, method in METHODS.items() if wanted(method)]


def _roll_faults(definition: ElectionDefinition) -> Iterator[Fault]:
    has_root, has_size = definition.roll_root is not None, definition.roll_size is not None
    if definition.registration == "open":
        if has_root or has_size:
            yield "it is open to everybody but names a roll", ""
        if definition.weighted:
            yield "its votes have weights, but no roll says which", "Give it a roll, or leave weights out."
        return
    if not has_root:
        yield "it has a roll but not its root", ""
    if not has_size:
        yield "it has a roll but not its size", ""


def _node_faults(nodes: Sequence[NamedNode]) -> Iterator[Fault]:
    for index, node in enumerate(nodes):
        yield from _name_faults(f"the name of node {index}", node.name)
    yield from _twins("a node", tuple(node.name for node in nodes))
    holders: dict[str, int] = {}
    for index, node in enumerate(nodes):
        other = nodes[min((holders.setdefault(key, index) for key in node.keys), default=index)]
        if len(set(node.keys)) < len(node.keys):
            yield f"the node {_cut(node.name)} has one key twice", "Give each node four keys of its own."
        elif other is not node:
            yield (
                f"the nodes {_cut(other.name)} and {_cut(node.name)} have the same key",
                ONE_KEY_EACH,
            )


def node_name_fault(name: str) -> str:
    """What is wrong with the name of a node, in words; empty for a name that an election may have."""
    return next((wrong for wrong, _ in _name_faults("the name of a node", name)), "")


def _name_faults(what: str, name: str) -> Iterator[Fault]:
    shown = f"{what}, {_cut(name)}," if name else what
    if not name:
        yield f"{what} is empty", "Give it a name, or leave it out."
    elif len(name) > MAX_NAME:
        yield (
            f"{shown} has {len(name)} characters, {len(name) - MAX_NAME} too many",
            (f"Shorten it: a title or a candidate has at most {MAX_NAME} characters."),
        )
    elif wrong := text_fault(name):
        yield f"{shown} has {wrong}", "Take it out and try again."


def _text_faults(what: str, text: str, *, lines: bool = False) -> Iterator[Fault]:
    """Faults of a longer text, which may be empty. With `lines` it may have several."""
    if len(text) > MAX_STATEMENT:
        yield f"{what} has {len(text)} characters", f"Shorten it to {MAX_STATEMENT} characters."
    elif wrong := text_fault(text.replace("\n", "x") if lines else text):
        yield f"{what} has {wrong}", "Take it out and try again."


def _cut(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "…")


def _twins(what: str, names: tuple[str, ...]) -> Iterator[Fault]:
    seen: dict[str, tuple[int, str]] = {}
    for number, name in enumerate(names, start=1):
        first, like = seen.setdefault(skeleton(name), (number, name))
        if first != number:
            how = "is listed twice" if like == name else "looks the same twice"
            yield f"{what} {how}: {_cut(name)} as number {first} and {number}", "Leave one of them out."


def _refusals(check: Callable[[], object]) -> Iterator[Fault]:
    try:
        check()
    except PowError as error:
        yield error.message, ""
    except (msgspec.DecodeError, UnicodeError) as error:
        yield str(error), ""
