"""`votenet status --network`: every node of a network as it is seen from this machine."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from votenet.cli import ui
from votenet.cli.election.amendment_view import closing_line
from votenet.cli.network.finality_view import TOO_FEW
from votenet.cli.network.finding import by_warning
from votenet.cli.where import no_node_answers
from votenet.client.network_view import NetworkView, SeenNode
from votenet.core.election.quorum import NEVER_FINAL
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    CANNOT_SAVE,
    KEY_TWICE,
    NO_QUORUM,
    RESTORED,
    GetResults,
    NodeStatus,
    Results,
)

if TYPE_CHECKING:
    from rich.table import Table

NETWORK_COLUMNS: Final = (
    "node", "address", "role", "version", "height", "final", "peers", "clock", "disk", "state",
)  # fmt: skip
_LEFT: Final = ("node", "address", "role", "version", "state")
_DISPENSABLE: Final = ("role", "peers", "version", "disk")
"""Columns that a narrow terminal goes without, the first of these first."""
_STEADY_SECONDS: Final = 2.0
"""A clock that differs by less shows no difference: it is told in whole seconds."""


def show_network(view: NetworkView, page: str, as_json: bool) -> None:
    """A view on stdout. Raises Unreachable if no node answers."""
    if as_json:
        ui.print_json(network_as_json(view, page))
    else:
        view = with_results(view)
        console = ui.console()
        console.print(network_table(view, console.width))
        for line in network_lines(view, page):
            ui.echo(line)
        ui.print_lies(lie for node in view.believed if node.status for lie in node.status.lies)
    if not view.answering:
        error = no_node_answers(view)
        error.reported = as_json
        raise error


def network_table(view: NetworkView, width: int) -> Table:
    """A row for each node, with as many columns as fit into `width`."""
    return ui.fitting_table([_cells(node) for node in view.nodes], _LEFT, _DISPENSABLE, width)


def _cells(node: SeenNode) -> dict[str, str]:
    status = node.status
    told: Sequence[str] = ("-",) * 6
    if status is not None:
        certificate = "-" if status.finality is None else f"{status.finality.certificate:,}"
        told = (
            status.version, f"{status.height:,}", certificate, str(status.peers), clock_words(node.ahead),
            ui.size(status.disk_free),
        )  # fmt: skip
    role = "relay" if node.index is None else "named"
    where = "-" if node.address is None else str(node.address)
    return dict(zip(NETWORK_COLUMNS, (node.name, where, role, *told, node_state(node)), strict=True))


def node_state(node: SeenNode) -> str:
    """In a word or two: up, behind, cut off, not proven, what keeps it out, or why it does not answer."""
    if node.status is None:
        codes = {"no-address": "not found", "other-network": "other genesis"}
        return codes.get(node.error.code if node.error else "", "unreachable")
    if node.index is not None and not node.proven:
        return "not proven"
    if node.status.cut_off:
        return "cut off"
    warned = {warning.code for warning in node.status.warnings}
    for code, word in ((KEY_TWICE, "key twice"), (CANNOT_SAVE, "cannot save"), (RESTORED, "restored")):
        if code in warned:
            return word
    return "up" if node.status.synced else "behind"


def clock_words(ahead: float | None) -> str:
    """`0s`, `+1d0h`, `-3m10s`; a dash for not known."""
    if ahead is None:
        return "-"
    if abs(ahead) < _STEADY_SECONDS:
        return "0s"
    return f"{'+' if ahead > 0 else '-'}{ui.duration(round(abs(ahead)))}"


def named_words(view: NetworkView) -> str:
    """`5 of 5 named nodes answer, 4 take part, 4 must agree`; the middle only where some do not."""
    up, part = view.named_answering, view.taking_part
    of_these = "" if part == up else f", {part} take{'s' if part == 1 else ''} part"
    return f"{up} of {view.election.named} named nodes answer{of_these}, {view.election.quorum} must agree"


def with_results(view: NetworkView) -> NetworkView:
    """The same with a count behind the end, once more named nodes than may lie tell of it.

    One liar must not talk operators into switching off nodes that are still needed.
    """
    told = [node.status for node in view.believed if node.status is not None]
    ends = [status.closes for status in told if status.closes is not None]
    over = any(status.cancelled for status in told) or (bool(ends) and time.time() >= max(ends))
    if not view.election.named or not over:
        return view
    named = [node.address for node in view.believed if node.proven and node.address is not None]
    told_by: dict[tuple[bool, bool], list[Results]] = {}
    for one in _results_of(named):
        if one.ended:
            told_by.setdefault((one.cancelled, bool(one.contests)), []).append(one)
    for alike in told_by.values():
        if len(alike) > view.election.faults:
            return dataclasses.replace(view, results=alike[0])
    return view


def _results_of(addresses: Sequence[Address]) -> list[Results]:
    """The counts of those of these nodes that answer."""
    from votenet.client.failover import ask_each

    answers = asyncio.run(ask_each(addresses, lambda node: node.ask(GetResults(), Results)))
    return [one for _, one in answers if isinstance(one, Results)]


def end_words(view: NetworkView) -> str:
    """Of a final result: whether nodes are still needed. A clause."""
    if view.results is not None and view.results.cancelled:
        return "the election is cancelled; once it is exported, nodes may be stopped"
    if view.results is not None and view.results.contests:
        return "the result is final; once it is exported, nodes may be stopped"
    return "the votes are final; nodes are needed until the trustees have decrypted the counts"


def _hours(view: NetworkView) -> Iterator[str]:
    """When voting closes by the node that has most amendments, and whether all is over."""
    told = [node.status for node in view.believed if node.status is not None]
    if not told:
        return
    latest = max(told, key=lambda status: status.amendments)
    if latest.cancelled:
        yield "Cancelled: nothing is counted."
    elif line := closing_line(latest.closes, view.election.definition.closes, final=view.final):
        yield line


def network_lines(view: NetworkView, page: str) -> Iterator[str]:
    """What stands below the table: which network, its hours, what is final, what nodes warn of."""
    election = view.election
    yield f"Network: {election.network_hex} ({election.definition.title})"
    if page:
        yield f"Page: {page}"
    yield from _hours(view)
    if election.named:
        yield from _final(view)
    else:
        yield f"Final: {NEVER_FINAL}."
    for node in view.nodes:
        if node.error is not None:
            yield f"{node.name}: {node.error.message}"
    yield from _warnings(view)
    if view.late:
        yield "The time was over before all nodes were asked."


def _final(view: NetworkView) -> Iterator[str]:
    """Up to where the chain is final, and what too few named nodes cost while votes are still awaited."""
    if not view.believed:
        yield f"Final: not known, no {'named ' if view.answering else ''}node answers."
        return
    height = max(_certificate(node.status) for node in view.believed)
    where = f"up to block {height:,}" if height else "nothing yet"
    yield f"Final: {where}; {named_words(view)}."
    if view.final:
        yield f"{end_words(view).capitalize()}."
    elif view.taking_part < view.election.quorum:
        yield TOO_FEW


def _certificate(status: NodeStatus | None) -> int:
    return 0 if status is None or status.finality is None else status.finality.certificate


def _warnings(view: NetworkView) -> Iterator[str]:
    told = (
        (node.name, warning.message)
        for node in view.answering
        if node.given or node in view.believed
        for warning in (node.status.warnings if node.status else ())
        if warning.code != NO_QUORUM
    )
    yield from (f"{names}: {text}" for names, text in by_warning(told))


def network_as_json(view: NetworkView, page: str) -> dict[str, Any]:
    """The view for programs."""
    election = view.election
    return {
        "network_id": election.network_hex,
        "title": election.definition.title,
        "page": page or None,
        "named": election.named,
        "quorum": election.quorum if election.named else None,
        "nodes": [node_as_json(node) for node in view.nodes],
        "bootstrap": [
            {"address": str(one.address)} | ({} if one.error is None else {"error": one.error.as_dict()})
            for one in view.servers
        ],
        "silent": [str(address) for address in view.silent],
        "left_out": view.left_out,
        "complete": not view.late,
    }


def node_as_json(node: SeenNode) -> dict[str, Any]:
    """One node: what the view knows of it, and in `status` all that it says of itself."""
    import msgspec

    status: dict[str, Any] | None = None
    if node.status is not None:
        status = msgspec.to_builtins(node.status)
        status.pop("type", None)
    return {
        "name": node.name,
        "named": node.index is not None,
        "address": None if node.address is None else str(node.address),
        "state": node_state(node),
        "proven": node.proven,
        "clock_offset": None if node.ahead is None else round(node.ahead, 1),
        "status": status,
    } | ({} if node.error is None else {"error": node.error.as_dict()})
