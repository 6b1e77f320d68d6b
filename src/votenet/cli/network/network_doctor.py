"""`votenet doctor --network`: what is wrong with a network, seen from this machine, a sentence for each."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from votenet.cli import ui
from votenet.cli.network.finality_view import TOO_FEW, named_up, of_answers
from votenet.cli.network.finding import LEAVES_LISTS, LOW_DISK, Finding
from votenet.cli.network.network_status import clock_words, end_words, named_words
from votenet.client.network_view import NetworkView, Oddity, SeenNode
from votenet.errors import VotenetError
from votenet.protocol.node.warnings import CLOCK_SECONDS, NOT_REGISTERED, time_difference
from votenet.protocol.wire.client_messages import (
    CANNOT_SAVE,
    CUT_OFF,
    KEY_TWICE,
    NO_QUORUM,
    OTHER_KEY,
    RESTORED,
    NodeStatus,
)

BEHIND: Final = 2
"""Blocks that a node lacks and that are worth a line: one block is on its way all the time."""
_SERVER_FAILED: Final = "bootstrap-failed"
_TOLD_ELSEWHERE: Final = frozenset(
    {NO_QUORUM, "clock-off", "peer-clock-off", CUT_OFF, CANNOT_SAVE, _SERVER_FAILED}
)
"""Warnings of nodes of which other findings tell."""
_LOOK_THERE: Final = "Its operator looks at that machine, and at the log of the node."
_STEPS: Final = {
    KEY_TWICE: "Its operator stops one of the two at once: two that sign are a lie by this node.",
    RESTORED: "Nothing has to be done: once the others have made two blocks since its start, it takes part.",
    "key-claimed": "Its operator looks whether a copy of its data folder runs elsewhere, and stops it.",
    "not-reached": "Its operator opens the port of the node, or gives its address with --advertise.",
    "unproven-address": "The operators of those nodes start them with --advertise.",
    OTHER_KEY: "The operator of that machine looks which node runs there, and with which node.key.",
}
"""What to do about warnings of nodes, by their codes."""
_START_SERVER: Final = (
    "Its operator starts it again; until then new nodes need another one: --bootstrap HOST:PORT"
)
_OTHER_SERVER: Final = "Its operator looks at its log, or starts it again; or these nodes get another one."
_REGISTRY: Final = (
    "It runs, and cannot read its registry: its operator looks at the disk, or at the Redis server that "
    "keeps it."
)
_LOOK: Final = "Its operator looks at that machine and at the log of the node, and starts it again."


def page_finding(url: str, error: VotenetError | None = None) -> Finding:
    """The page through which the network was found, or why it was not."""
    if error is None:
        return Finding("page", "ok", f"{url} answers")
    return Finding("page", "problem", error.message, error.next_step)


def network_findings(view: NetworkView, page: str) -> list[Finding]:
    """Everything that was found, problems and all else, network first."""
    clock = own_clock(view)
    found = [Finding("network", "ok", f"{view.election.definition.title}, id {view.election.network_hex}")]
    found += [page_finding(page)] if page else []
    found += _of_servers(view)
    found += [clock[0]] if clock[0] is not None else []
    for node in view.nodes:
        if not (node.error is not None and node.error.code == "other-network"):  # an oddity tells of it
            found += _of_node(node, view, clock[1])
    found += [_of_oddity(one, view) for one in view.oddities]
    return [*found, *_of_all(view)]


# -- servers and clocks ----------------------------------------------------------------------------


def _of_servers(view: NetworkView) -> Iterator[Finding]:
    """A finding for each server: what came of asking it, and what nodes say of it."""
    others = sum(server.error is None for server in view.servers)
    failed = _failed_servers(view)
    for address, error in view.servers:
        names = failed.pop((str(address), False), ([], ""))[0]
        missed = ", ".join(names)
        if error is None:
            last = f"; it failed {missed} when they asked last" if names else ""
            yield Finding(f"bootstrap {address}", "ok", f"lists its nodes{last}")
            continue
        rest = f"{others} more answer" if others else "no other one is known here"
        rest += f"; it fails {missed}, too" if names else ""
        why = error.message.rstrip(".")
        text = f"it gives no list of nodes: {why}. Nodes that know each other go on; {rest}"
        step = _REGISTRY if error.code == "storage-failed" else _START_SERVER
        yield _needed(view, Finding(f"bootstrap {address}", "problem", text, step))
    for (server, refuses), (names, why) in failed.items():
        text = f"it {'refuses' if refuses else 'fails'} {', '.join(names)}: {why}"
        yield _needed(view, Finding(f"bootstrap {server}", "problem", text, _OTHER_SERVER))


def _failed_servers(view: NetworkView) -> dict[tuple[str, bool], tuple[list[str], str]]:
    """By server, and whether it refuses: the nodes that warn of it, and what the first of them says."""
    found: dict[tuple[str, bool], tuple[list[str], str]] = {}
    for node in view.answering:
        for warning in node.status.warnings if node.status else ():
            if warning.code == _SERVER_FAILED:
                server, _, why = warning.message.removeprefix("Bootstrap server ").partition(": ")
                place = (server, why.startswith(NOT_REGISTERED))
                found.setdefault(place, ([], why))[0].append(node.name)
    return found


def _needed(view: NetworkView, problem: Finding) -> Finding:
    """Of what is down: a note once the result is final, for it may be stopped."""
    return problem._replace(state="note", next_step="") if view.final else problem


def own_clock(view: NetworkView) -> tuple[Finding | None, float]:
    """Whether the clock of this machine is off, by most nodes; and seconds that they are ahead of it then.

    One node, or two that differ, cannot say whose clock is wrong: ours is taken for right.
    """
    offsets = [node.ahead for node in view.believed if node.ahead is not None]
    median = statistics.median(offsets) if len(offsets) > 2 else 0.0
    agree = sum(abs(one - median) <= CLOCK_SECONDS for one in offsets)
    if abs(median) <= CLOCK_SECONDS or 2 * agree <= len(offsets):
        return None, 0.0
    text = f"it is {time_difference(-median)} those of {agree} of {len(offsets)} nodes"
    step = "Set the clock of this machine, with a time server: sudo timedatectl set-ntp true"
    return Finding("clock of this machine", "problem", text, step), median


# -- one node --------------------------------------------------------------------------------------


def _of_node(node: SeenNode, view: NetworkView, clock: float) -> Iterator[Finding]:
    if node.status is None:
        yield _absent(node, view)
        return
    problems = list(_troubles(node, node.status, view, clock))
    yield from problems or [Finding(node.name, "ok", _in_words(node, node.status))]
    if node.status.finality is not None and node.status.finality.leaves_lists:
        yield Finding(node.name, "note", LEAVES_LISTS)


def _in_words(node: SeenNode, status: NodeStatus) -> str:
    role = "" if node.index is not None else "relay "
    final = "" if status.finality is None else f", final up to {status.finality.certificate:,}"
    disk = "" if status.disk_free is None else f", {status.disk_free / 2**30:.1f} GiB free"
    clock = f", clock {clock_words(node.ahead)}" if node.ahead is not None else ""
    told = f"version {status.version}, block {status.height:,}{final}{clock}{disk}"
    return f"{role}up at {node.address}, {told}"


def _absent(node: SeenNode, view: NetworkView) -> Finding:
    """Why a node is not there; of a named one, how many more may fail, or that it is needed no more."""
    error = node.error
    why = "it does not answer" if error is None else error.message
    if node.index is None:
        return Finding(str(node.address), "problem", why, "Check the address, and that a node runs there.")
    found = error is None or error.code != "no-address"
    text = f"{'unreachable' if found else 'not found'}: {why.rstrip('.')}{_what_is_left(view)}"
    if not view.answering and not found and any(server.error is None for server in view.servers):
        text = "not started yet, or gone: no bootstrap server lists it"
        return Finding(node.name, "problem", text, "Its operator starts it.")
    step = _LOOK
    if not found:
        step = (
            "Its operator looks whether it runs, and whether it asks a bootstrap server of this network. If "
            "so, name the one where it is listed: --bootstrap HOST:PORT"
        )
    return _needed(view, Finding(node.name, "problem", text, step))


def _what_is_left(view: NetworkView) -> str:
    """A sentence behind that about a node that is out; empty where the line of all named nodes says it."""
    if view.final or view.taking_part < view.election.quorum:
        return ""
    return f". {_may_fail(view).capitalize()}"


def _may_fail(view: NetworkView) -> str:
    """`1 more named node may fail`, for the end of a sentence; where too few are up, how many must come."""
    spare = view.taking_part - view.election.quorum
    if spare < 0:
        return f"{ui.count_of(-spare, 'more named node')} must take part before anything becomes final"
    return f"{ui.count_of(spare, 'more named node')} may fail" if spare else "no other named node may fail"


def _troubles(node: SeenNode, status: NodeStatus, view: NetworkView, clock: float) -> Iterator[Finding]:
    """All that is wrong at a node that answers, a sentence each."""
    name, codes = node.name, {warning.code: warning.message for warning in status.warnings}
    if node.index is not None and not node.proven:
        yield _not_proven(node)
    if node.ahead is not None and abs(node.ahead - clock) > CLOCK_SECONDS:
        others = "those of most nodes" if clock else "that of this machine"
        text = f"its clock is {time_difference(node.ahead - clock)} {others}"
        step = (
            "Its operator sets the clock, with a time server: sudo timedatectl set-ntp true. Until then its "
            "blocks are refused, or it refuses votes."
        )
        yield Finding(name, "problem", text, step)
    if status.cut_off:
        step = "Its operator checks the network of that machine."
        yield _needed(view, Finding(name, "problem", status.cut_off, step))
    elif (lacks := _best(view) - status.height) >= BEHIND:
        text = f"behind: it has {status.height:,} of {_best(view):,} blocks"
        step = "It catches up by itself. If its height stands still, its operator looks at its log."
        yield Finding(name, "problem" if lacks else "ok", text, step)
    yield from _of_disk(name, status, codes)
    for code, message in codes.items():
        told = code in _TOLD_ELSEWHERE or (code == KEY_TWICE and view.has_twin(node))
        if not told and not (code == RESTORED and view.final):
            yield Finding(name, "problem", message, _STEPS.get(code, _LOOK_THERE))


def _not_proven(node: SeenNode) -> Finding:
    if node.error is not None:
        text = f"at {node.address} it does not prove its key: {node.error.message}"
        return Finding(node.name, "problem", text, "Ask again in a minute, and from another machine.")
    text = (
        f"the node at {node.address} has its key, and does not know this address as its own: another program "
        "may pass its answers on, or change them"
    )
    step = f"Its operator starts it with --advertise {node.address}, if that is its address."
    return Finding(node.name, "problem", text, step)


def _of_disk(name: str, status: NodeStatus, codes: dict[str, str]) -> Iterator[Finding]:
    free = status.disk_free
    step = "Its operator frees space there, or moves its data folder to a larger disk."
    if CANNOT_SAVE in codes:
        yield Finding(name, "problem", codes[CANNOT_SAVE], step)
    elif free is not None and free < LOW_DISK:
        left = f"{free / 2**20:.0f} MiB"
        yield Finding(
            name, "problem", f"its disk is nearly full: {left} free. A full disk stops a node", step
        )


def _best(view: NetworkView) -> int:
    """The height that named nodes have signed, or where none are named the highest that a node tells."""
    return max((one.status.height for one in view.believed if one.status is not None), default=0)


# -- what should not be so -------------------------------------------------------------------------


def _of_oddity(odd: Oddity, view: NetworkView) -> Finding:
    name = "" if odd.index is None else view.election.definition.nodes[odd.index].name
    match odd.kind:
        case "key-twice":
            text = f"two processes have its key: at {odd.detail} and at {odd.address}"
            step = (
                "Its operator stops one of the two at once: two that sign are a lie by this node, and others "
                "can prove it."
            )
            return Finding(name, "problem", text, step)
        case "other-network":
            text = f"it runs with another genesis file, of network {odd.detail[:16]}…, at {odd.address}"
            text += "" if odd.index is None else _what_is_left(view)
            step = (
                f"Its operator takes the genesis file of network {view.election.network_hex[:16]}…; one byte "
                "makes another network."
            )
            return Finding(name or str(odd.address), "problem", text, step)
    text = f"claims to be {name}, and has another key: it is not believed"
    step = f"If it is meant to be {name}, it needs the node.key of {name}; else it needs another name."
    return Finding(str(odd.address), "problem", text, step)


# -- the whole -------------------------------------------------------------------------------------


def _of_all(view: NetworkView) -> Iterator[Finding]:
    yield from _of_quorum(view)
    yield from _of_versions(view)
    lies = dict.fromkeys(lie for node in view.believed if node.status for lie in node.status.lies)
    for lie in lies:
        step = "The proof is at the nodes: votenet evidence list. Tell the organiser."
        yield Finding("proven lie", "problem", lie, step)
    if view.silent:
        listed = ", ".join(map(str, view.silent[:4])) + (", …" if len(view.silent) > 4 else "")
        text = f"{ui.count_of(len(view.silent), 'more address')} named to us, where no node answers: {listed}"
        yield Finding("other addresses", "note", text)
    if view.left_out:
        text = f"{ui.count_of(view.left_out, 'address')} more were named to us, and not dialled"
        yield Finding("other addresses", "note", text)
    if view.late:
        yield Finding("time", "note", "it was over before all addresses were asked", "Ask again.")


def _of_quorum(view: NetworkView) -> Iterator[Finding]:
    election = view.election
    if not election.named:
        yield Finding("named nodes", "note", "none are named: nothing is ever final")
        return
    told = named_words(view)
    final = max((one.finality.certificate for one in _statuses(view) if one.finality), default=0)
    if view.final:
        yield Finding("named nodes", "ok", f"{told}: {end_words(view)}")
        return
    if not view.believed:
        text = f"{told}. What is final is not known. {_may_fail(view).capitalize()}"
        yield Finding("named nodes", "problem", text, "Start named nodes until so many are up.")
        return
    if view.taking_part < election.quorum:
        step = "Start named nodes again until so many are up; votes that were received are kept."
        yield Finding("named nodes", "problem", f"{told}. {TOO_FEW} {_may_fail(view).capitalize()}", step)
        return
    joined = named_up(of_answers(_statuses(view), ()))
    if joined is not None and joined.too_few:
        step = "Their operators open the ports between them: each dials the others at their addresses."
        yield Finding("named nodes", "problem", f"{told}; but {joined}. {TOO_FEW}", step)
        return
    where = f"final up to block {final:,}" if final else "nothing is final yet"
    yield Finding("named nodes", "ok", f"{told}: {_may_fail(view)}; {where}")


def _statuses(view: NetworkView) -> Iterable[NodeStatus]:
    return [node.status for node in view.believed if node.status is not None]


def _of_versions(view: NetworkView) -> Iterator[Finding]:
    by_version: dict[str, list[str]] = defaultdict(list)
    for node in view.answering:
        if node.status is not None:
            by_version[node.status.version].append(node.name)
    if len(by_version) > 1:
        told = "; ".join(f"{version}: {', '.join(names)}" for version, names in sorted(by_version.items()))
        yield Finding("versions", "note", f"several run together, which is allowed: {told}")
    elif by_version:
        yield Finding("versions", "ok", f"all nodes that answer run {next(iter(by_version))}")
