"""Blocks for people and for programs: the table with its tree, reorganisations, amendments in words, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from votenet.cli import ui
from votenet.cli.election.amendment_view import change_words
from votenet.cli.network.block_tree import tree_rows
from votenet.client.block_list import BlockBody, Bodies, ShownBlock, ShownChain
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.election.quorum import NEVER_FINAL
from votenet.errors import VotenetError
from votenet.protocol.wire.client_messages import Switch

SHORT_HASH: Final = 12
"""Hexadecimal digits of a hash that are shown."""
_LEFT: Final = ("", "time", "hash", "found by", "tip of", "what")
_DISPENSABLE: Final = ("work", "round", "time", "signed")
"""Columns that a narrow terminal goes without, the first of these first."""


@dataclass
class ChainView:
    """What nodes show of their chains. `bodies`: by hash; `lost`: by address, why a node shows nothing.

    `election` as it is in force.
    """

    election: Election
    last: int
    bodies: Bodies
    chains: list[ShownChain]
    lost: dict[str, VotenetError]

    @cached_property
    def best(self) -> ShownChain:
        """The chain with the most work."""
        return max(self.chains, key=lambda chain: chain.work)

    @cached_property
    def _on_best(self) -> frozenset[str]:
        return frozenset(block.hash for block in self.best.blocks if block.best)

    @cached_property
    def blocks(self) -> list[ShownBlock]:
        """Each block once, of the last ones that any node shows; parents first."""
        found = {block.hash: block for chain in self.chains for block in chain.blocks}
        lowest = max((block.height for block in found.values()), default=0) - self.last
        return sorted((one for one in found.values() if one.height > lowest), key=lambda one: one.height)

    @cached_property
    def _own(self) -> dict[str, list[str]]:
        """By hash, the nodes that say that they have found a block."""
        found: dict[str, list[str]] = {}
        for chain in self.chains:
            for block in chain.blocks:
                if block.own:
                    found.setdefault(block.hash, []).append(chain.name)
        return found

    @cached_property
    def _most_signed(self) -> dict[str, ShownBlock]:
        """By hash, each block with the commit that has most signers."""
        every = [block for chain in self.chains for block in chain.blocks]
        return {block.hash: block for block in sorted(every, key=lambda block: len(block.signers))}

    def finders(self, block: ShownBlock) -> list[str]:
        """Who found a block: the named node that signed it, else the nodes that say so: at most one did."""
        body = self.bodies.get(block.hash)
        if body is not None and body.miner is not None:
            return [body.miner]
        return self._own.get(block.hash, [])

    @property
    def unknown_finders(self) -> bool:
        """Whether nobody says who found some block."""
        return any(block.height and not self.finders(block) for block in self.blocks)

    def commit_of(self, block: ShownBlock) -> tuple[int | None, tuple[str, ...]]:
        """Round and signers of its commit; where nodes have different ones, the one with the most."""
        found = self._most_signed[block.hash]
        return found.round, found.signers

    def is_final(self, block: ShownBlock) -> bool:
        heights = [chain.final_height for chain in self.chains if chain.final_height is not None]
        return block.height <= max(heights, default=-1)

    def tips(self, block: ShownBlock) -> list[str]:
        """Names of the nodes that stand on a block."""
        return [chain.name for chain in self.chains if chain.tip == block.hash]

    # -- for people ----------------------------------------------------------------------------------

    def show(self) -> None:
        """The table and the lines below it, on stdout; nodes that do not answer on stderr."""
        if self.chains:
            console = ui.console()
            rows = [self._cells(lanes, block) for lanes, block in tree_rows(self.blocks, self._on_best)]
            console.print(ui.fitting_table(rows, _LEFT, _DISPENSABLE, console.width))
            for line in self._lines():
                ui.echo(line)
        if self.chains:
            for address, error in self.lost.items():
                ui.say(f"Warning: {address} is left out: {error.message}")

    def _cells(self, lanes: str, block: ShownBlock | None) -> dict[str, str]:
        named, forked = bool(self.election.named), any(one.hash not in self._on_best for one in self.blocks)
        titles = ["", "block", "time", "hash", "votes", "found by"]
        titles += ["round", "signed", "final", "work"] if named else ["work"]
        titles += ["tip of"] if len(self.chains) > 1 else []
        titles += ["what"]
        cells = dict.fromkeys(titles if forked else titles[1:], "")
        if block is not None:
            told = self._told(block)
            cells = {title: told[title] for title in cells}
        return {**cells, "": lanes} if "" in cells else cells

    def _told(self, block: ShownBlock) -> dict[str, str]:
        body = self.bodies.get(block.hash)
        rounds, signers = self.commit_of(block)
        first = block.height == 0
        return {
            "": "",
            "block": f"{block.height:,}",
            "time": ui.when(block.time),
            "hash": block.hash[:SHORT_HASH],
            "votes": "-" if first else "?" if body is None else f"{body.votes:,}",
            "found by": "-" if first else ", ".join(self.finders(block)) or "?",
            "round": "-" if rounds is None else str(rounds),
            "signed": f"{len(signers)} of {self.election.named}" if signers else "-",
            "final": "yes" if self.is_final(block) else "no",
            "work": "-" if first else f"{block.work:,}",
            "tip of": ", ".join(self.tips(block)),
            "what": "genesis" if first else what_words(body),
        }

    def _lines(self) -> Iterator[str]:
        chain = self.best
        found = [(one.height, self.bodies[one.hash]) for one in self.blocks if one.hash in self.bodies]
        yield from amendments_in_words(found, self.election)
        yield from switch_lines(self.chains, self.blocks[0].height)
        if len({one.tip for one in self.chains}) > 1:
            yield f"The nodes stand on {len({one.tip for one in self.chains})} different blocks."
        if not self.election.named:
            yield f"Final: {NEVER_FINAL}. The branch with the most work counts."
        elif chain.final_height is None:
            yield "Final: nothing yet."
        else:
            last = max((one.final_height or 0, one.signed_by) for one in self.chains)
            signed = f"{len(last[1])} of {self.election.named}: {', '.join(last[1])}"
            yield f"Final up to block {last[0]:,}, signed by {signed}."

    # -- for programs --------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.election.definition.title,
            "network_id": self.election.network_hex,
            "nodes": [_chain_as_json(chain) for chain in self.chains],
            "blocks": [self.block_as_json(block) for block in self.blocks],
            "reorganisations": [
                {"node": chain.name, **msgspec.structs.asdict(one)}
                for chain in self.chains
                for one in chain.switches
            ],
            "unreachable": [
                {"node": address, "error": error.as_dict()} for address, error in self.lost.items()
            ],
        }

    def block_as_json(self, block: ShownBlock) -> dict[str, Any]:
        body = self.bodies.get(block.hash)
        rounds, signers = self.commit_of(block)
        return {
            "height": block.height,
            "hash": block.hash,
            "header": block.header.pack().hex(),
            "previous": block.previous,
            "time": block.time,
            "work": block.work,
            "best": block.hash in self._on_best,
            "final": bool(self.election.named) and self.is_final(block),
            "found_by": self.finders(block),
            "round": rounds,
            "signed_by": signers,
            "tip_of": self.tips(block),
            "votes": None if body is None else body.votes,
            "late_votes": None if body is None else body.late,
            "closing": body is not None and body.closing,
            "amendments": [] if body is None else [_amendment_as_json(one) for one in body.amendments],
        }


def _chain_as_json(chain: ShownChain) -> dict[str, Any]:
    return {
        "node": str(chain.address),
        "name": chain.name,
        "height": chain.height,
        "tip": chain.tip,
        "final_height": chain.final_height,
        "signed_by": chain.signed_by,
    }


def _amendment_as_json(amendment: Amendment) -> dict[str, Any]:
    return dict(msgspec.to_builtins(amendment))


# -- words -------------------------------------------------------------------------------------------


def what_words(body: BlockBody | None) -> str:
    """What a block has beside votes that count; empty for nothing."""
    if body is None:
        return ""
    found = ["closing block"] if body.closing else []
    found += [ui.count_of(len(body.amendments), "amendment")] if body.amendments else []
    found += [f"{ui.count_of(body.late, 'late vote')} not counted"] if body.late else []
    return ", ".join(found)


def amendments_in_words(bodies: Iterable[tuple[int, BlockBody]], election: Election) -> Iterator[str]:
    """A line for each amendment in these blocks, by their heights.

    Args:
        election: with all amendments: each is worded with the closing time before it.
    """
    before: dict[int, int | None] = {}
    closes = election.definition.closes
    for one in election.amendments:
        before[one.number] = closes
        closes = closes if one.closes is None else one.closes
    for height, body in bodies:
        for one in body.amendments:
            reason = f" ({one.reason})" if one.reason else ""
            words = change_words(one, before.get(one.number, closes))
            yield f"Block {height:,}, amendment {one.number}: {words}{reason}"


def switch_lines(chains: Sequence[ShownChain], lowest: int) -> Iterator[str]:
    """The reorganisations of nodes that took off blocks from height `lowest` on, each once, by their time."""
    found: dict[tuple[object, ...], tuple[Switch, list[str]]] = {}
    for chain in chains:
        for one in chain.switches:
            if one.fork + one.removed >= lowest:
                same = found.setdefault((one.fork, one.old, one.new, one.votes), (one, []))
                same[1].append(chain.name)
    for one, names in sorted(found.values(), key=lambda item: item[0].time):
        who = f"{', '.join(names)}: " if len(chains) > 1 else ""
        yield f"{ui.when(int(one.time))} {who}{switch_words(one)}"


def switch_words(one: Switch) -> str:
    """A reorganisation in words."""
    removed, added = ui.count_of(one.removed, "block"), ui.count_of(one.added, "block")
    wait = "waits" if one.votes == 1 else "wait"
    back = f", {ui.count_of(one.votes, 'vote')} {wait} again" if one.votes else ""
    return (
        f"reorganisation behind block {one.fork:,}: {removed} off (tip {one.old[:SHORT_HASH]}),"
        f" {added} on (tip {one.new[:SHORT_HASH]}){back}"
    )


# -- as it happens -----------------------------------------------------------------------------------


def block_events(
    before: ShownChain | None, chain: ShownChain, bodies: Bodies, election: Election
) -> Iterator[tuple[dict[str, Any], str]]:
    """What is new since a look before, each as JSON and as a line: reorganisations, blocks, what is final."""
    view = ChainView(election, len(chain.blocks), bodies, [chain], {})
    told = set() if before is None else {block.hash for block in before.blocks if block.best}
    known = () if before is None else before.switches
    for one in chain.switches:
        if before is not None and one not in known:
            event = {"event": "reorganisation", "node": chain.name, **msgspec.structs.asdict(one)}
            yield event, f"{ui.when(int(one.time))} {switch_words(one)}"
    lowest = 0 if before is None else min((block.height for block in before.blocks), default=0)
    for block in chain.blocks:
        if block.best and block.hash not in told and block.height >= lowest:
            yield {"event": "block", **view.block_as_json(block)}, _block_line(view, block)
    if chain.final_height is not None and (before is None or before.final_height != chain.final_height):
        signed = f"{len(chain.signed_by)} of {election.named}"
        event = {"event": "final", "height": chain.final_height, "signed_by": chain.signed_by}
        yield event, f"final up to block {chain.final_height:,}, signed by {signed}"


def _block_line(view: ChainView, block: ShownBlock) -> str:
    body, (rounds, signers) = view.bodies.get(block.hash), view.commit_of(block)
    votes = "genesis" if body is None else ui.count_of(body.votes, "vote")
    found = f", found by {', '.join(view.finders(block))}" if view.finders(block) else ""
    signed = f", decided in round {rounds} by {len(signers)} of {view.election.named}" if signers else ""
    more = what_words(body)
    line = f"{ui.when(block.time)} block {block.height:,} {block.hash[:SHORT_HASH]} {votes}{found}{signed}"
    return line + (f", {more}" if more else "")
