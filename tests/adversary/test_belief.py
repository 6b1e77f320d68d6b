"""Attacks on beliefs of nodes about each other, on real nodes: none makes honest nodes refuse each other,
keeps a node alone, or lets one that is alone say that it is ready."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from adversary.belief import forged_votes, idle_peers, relay, wrong_clock
from support.processes import Programs, cast, free_addresses, programs, status
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

STRANGER = "127.0.0.66"
DAY, HOUR = 86_400, 3_600


def bans(folder: Path) -> set[str]:
    with sqlite3.connect(f"file:{folder / 'chain.db'}?mode=ro", uri=True) as conn:
        found = {subject for (subject,) in conn.execute("SELECT subject FROM bans")}
    conn.close()
    return found


def joined(address: Address) -> int:
    found = status(address)
    return -1 if found is None else found.peers


def ready(made: Programs, name: str) -> bool:
    return " ready: " in made.log(name)


def said(address: Address, code: str) -> list[str]:
    """Warnings of a node with this code."""
    found = status(address)
    return [] if found is None else [one.message for one in found.warnings if one.code == code]


def codes(address: Address) -> set[str]:
    found = status(address)
    return set() if found is None else {warning.code for warning in found.warnings}


def test_a_stranger_that_relays_handshakes_and_sends_garbage_bans_only_its_own_address(
    tmp_path: Path,
) -> None:
    with programs(tmp_path) as made:
        one, two = free_addresses(2)
        made.node("n1", one, "--no-mine"), made.node("n2", two, "--no-mine")
        made.wait_for(lambda: status(one) and status(two))
        with relay(two, STRANGER, forged_votes(made.election)) as between:
            between.name_to(one)
            made.wait_for(lambda: between.shaken)
            made.wait_for(lambda: between.ended)
        time.sleep(1.5)  # bans are written once a second
        for name in ("n1", "n2"):
            assert not [ban for ban in bans(tmp_path / name) if ban.startswith("key:")]
        made.node("n3", free_addresses(1)[0], "--no-mine", "--peer", str(one), "--peer", str(two))
        made.wait_for(lambda: joined(one) == joined(two) == 2)


@pytest.mark.long
def test_after_relays_between_all_of_them_and_a_rolling_restart_five_nodes_are_one_network(
    tmp_path: Path,
) -> None:
    """Each had banned the keys of all others, on disk: five chains, five nodes that said they were ready."""
    with programs(tmp_path) as made:
        boot, *five = free_addresses(6)
        made.bootstrap(boot)
        for number, address in enumerate(five):
            made.node(f"n{number}", address)  # not joined yet: a stranger comes first
        made.wait_for(lambda: all(status(address) for address in five))
        for source, (one, two) in enumerate(itertools.combinations(five, 2), start=70):
            with relay(two, f"127.0.0.{source}", forged_votes(made.election)) as between:
                between.name_to(one)
                made.wait_for(lambda: between.ended)
        time.sleep(1.5)  # bans are written once a second
        for number, address in enumerate(five):
            made.stop(f"n{number}")
            begun = made.log(f"n{number}").count(" ready: ")
            made.node(f"n{number}", address, "--bootstrap", str(boot))
            said = lambda: made.log(f"n{number}").count(" ready: ") > begun  # noqa: B023, E731
            made.wait_for(said)
            made.wait_for(lambda a=address: (found := status(a)) and found.peers and found.synced)  # type: ignore[misc]
        cast(five[0], made.election, "somebody")
        made.wait_for(lambda: one_chain(five, votes=1))  # two may have found a block at once


def one_chain(addresses: list[Address], votes: int) -> bool:
    """Whether all nodes answer, and have one tip with so many votes."""
    found = [(one.tip, one.votes) if (one := status(address)) else None for address in addresses]
    return None not in found and len(set(found)) == 1 and {one[1] for one in found if one} == {votes}


def test_a_copied_folder_beside_the_original_is_told_by_both_and_neither_is_ready(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot, one, two = free_addresses(3)
        made.bootstrap(boot)
        made.node("n1", one, "--bootstrap", str(boot))
        made.wait_for(lambda: ready(made, "n1"))
        (tmp_path / "n2").mkdir(mode=0o700)
        shutil.copy2(tmp_path / "n1" / "node.key", tmp_path / "n2")
        made.node("n2", two, "--bootstrap", str(boot))
        for address in (one, two):
            made.wait_for(lambda a=address: "key-twice" in codes(a))  # type: ignore[misc]
            made.wait_for(lambda a=address: (found := status(a)) and not found.synced)  # type: ignore[misc]
        assert not ready(made, "n2")
        made.wait_for(lambda: "runs with the key of this one" in made.log("n2"))


def test_a_relayed_link_that_is_only_held_keeps_no_two_nodes_apart(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        one, two, three = free_addresses(3)
        made.node("n1", one, "--no-mine"), made.node("n2", two, "--no-mine")
        made.wait_for(lambda: status(one) and status(two))
        with relay(two, STRANGER) as between:
            between.name_to(one)
            made.wait_for(lambda: between.shaken)
            made.wait_for(lambda: joined(one) == joined(two) == 1)
            made.node("n3", three, "--no-mine", "--peer", str(one), "--peer", str(two))
            cast(one, made.election, "voter-of-one")
            made.wait_for(lambda: waiting(two) == 1)
            made.wait_for(lambda: joined(one) == joined(two) == 2)
            made.kill("n3")
            cast(one, made.election, "another")
            made.wait_for(lambda: waiting(two) == 2)


def waiting(address: Address) -> int:
    found = status(address)
    return -1 if found is None else found.waiting + found.votes


def test_idle_links_that_claim_the_addresses_of_others_do_not_keep_a_new_node_alone(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot, victim, *others = free_addresses(5)
        made.node("victim", victim, "--no-mine", "--bootstrap", str(boot))
        made.wait_for(lambda: status(victim))
        claims = [str(other) for other in others] + [str(boot)] * 5
        with idle_peers(victim, STRANGER, made.election.network_hex, claims) as keys:
            assert len(keys) == len(claims)
            assert not ready(made, "victim")
            made.bootstrap(boot)
            for number, other in enumerate(others):
                # By gossip alone none of them hears of the victim: it has to dial.
                made.node(f"n{number}", other, "--no-mine", "--bootstrap", str(boot), "--discover", "gossip",
                          "--peer", str(others[0]))  # fmt: skip
            made.wait_for(lambda: ready(made, "victim"))
            cast_when_up(made, others[0], "voter-of-one")
            made.wait_for(lambda: waiting(victim) == 1)


@pytest.mark.long
def test_eight_idle_links_make_no_node_ready_whose_peers_cannot_be_reached(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        victim, gone = free_addresses(2)
        made.node("victim", victim, "--no-mine", "--peer", str(gone))
        made.wait_for(lambda: status(victim))
        claims = [f"127.0.0.66:{port}" for port in range(1, 8)] + [str(gone)]
        with idle_peers(victim, STRANGER, made.election.network_hex, claims) as keys:
            made.wait_for(lambda: joined(victim) == len(keys) == 8)
            made.wait_for(lambda: "cut-off" in codes(victim))
            time.sleep(16.0)  # a start that waits for no peer any more
            found = status(victim)
            assert found is not None
            assert not found.synced
            assert not ready(made, "victim")
            cast(victim, made.election, "somebody")  # and yet a vote is saved there


def test_a_node_that_a_bootstrap_server_does_not_register_still_gets_its_list(tmp_path: Path) -> None:
    """As behind a port mapping: the server sees it come from another address than it names."""
    with programs(tmp_path) as made:
        boot, one, two = free_addresses(3)
        where = ("--host", boot.host, "--port", str(boot.port), "--data-dir", str(tmp_path / "boot"))
        made.start("boot", "bootstrap", *where, "--no-trust-loopback")
        made.node("n1", one, "--no-mine", "--bootstrap", str(boot))
        made.wait_for(lambda: ready(made, "n1"))
        elsewhere = Address("127.0.0.9", two.port)
        made.node("n2", elsewhere, "--no-mine", "--bootstrap", str(boot))
        made.wait_for(lambda: ready(made, "n2"))
        made.wait_for(lambda: (found := status(elsewhere)) and (found.peers, found.synced) == (1, True))
        made.wait_for(lambda: codes(elsewhere) == {"bootstrap-failed"}, seen=lambda: codes(elsewhere))


def test_a_node_whose_bootstrap_servers_names_do_not_resolve_says_so_and_is_not_ready(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        (address,) = free_addresses(1)
        made.node("n1", address, "--bootstrap", "no-such-name.invalid:4000")
        made.wait_for(lambda: codes(address) >= {"cut-off", "bootstrap-failed"})
        made.wait_for(lambda: "no bootstrap server has answered" in made.log("n1"))
        found = status(address)
        assert found is not None
        assert not found.synced
        assert not ready(made, "n1")


@pytest.mark.parametrize("off", [4 * DAY, -3 * HOUR])
def test_a_node_with_a_wrong_clock_says_so_and_is_not_banned(tmp_path: Path, off: int) -> None:
    with programs(tmp_path) as made:
        one, two = free_addresses(2)
        made.node("n1", one)
        cast_when_up(made, one, "first")
        made.wait_for(lambda: (found := status(one)) and found.height)
        wrong_clock(made, "n2", two, off, "--peer", str(one))
        says = "4 days ahead" if off > 0 else "3 hours behind"
        made.wait_for(lambda: any(says in words for words in said(two, "clock-off")))
        if off > 0:  # the other operator is told, too
            made.wait_for(lambda: codes(one) & {"clock-off", "peer-clock-off"})
            # One that is behind takes votes of now for votes of the future.
            cast(two, made.election, "second")
            made.wait_for(lambda: waiting(one) == 2)
            made.wait_for(lambda: ready(made, "n2"))
        time.sleep(5.0)
        assert bans(tmp_path / "n1") == bans(tmp_path / "n2") == set()
        alone = lambda: (found := status(two)) and found.cut_off  # noqa: E731
        made.wait_for(lambda: alone() or (off > 0 and joined(two) == 1))
        assert ready(made, "n2") is (off > 0), "it cannot take the blocks of its peer, and stays alone"


def cast_when_up(made: Programs, address: Address, voter: str) -> None:
    made.wait_for(lambda: status(address))
    cast(address, made.election, voter)
