"""Which nodes are cut off, judged by their reports."""

from __future__ import annotations

from collections.abc import Callable

from votenet.processes.cut_off import CUT_OFF_PATIENCE, WINDOW_SECONDS, CutOffDetector, NodeReport


def node(number: int, tip: str = "a", peers: int = 4, **fields: object) -> NodeReport:
    return NodeReport(f"node-{number}", True, peers, tip, 7)._replace(**fields)


def shown(seconds: int, reports: Callable[[int], list[NodeReport]]) -> dict[str, str]:
    """The codes after that many looks, one a second."""
    detector = CutOffDetector()
    for second in range(seconds):
        detector.update(reports(second), float(second))
    return {name: fault.code for name, fault in detector.current.items()}


def test_no_node_is_cut_off_where_all_have_one_chain() -> None:
    assert shown(60, lambda now: [node(number) for number in range(1, 6)]) == {}
    assert shown(60, lambda now: [node(1, peers=0)]) == {}, "a network of one"
    assert CutOffDetector().current == {}


def test_nor_where_blocks_come_faster_than_reports_and_nodes_lag_behind() -> None:
    def reports(now: int) -> list[NodeReport]:
        return [node(n, tip=str(30 * now - n), height=30 * now - n) for n in range(1, 6)]

    assert shown(90, reports) == {}


def test_a_partition_is_said_at_once_with_the_names_and_the_way_out() -> None:
    detector = CutOffDetector()
    detector.update([node(1, cut=("node-2",)), node(2, cut=("node-1",)), node(3)], 0.0)
    assert list(detector.current) == ["node-1", "node-2"]
    assert detector.current["node-1"].message == "a partition keeps it from node-2"
    assert detector.current["node-1"].next_step == "votenet heal"


def test_a_node_without_peers_while_others_run_is_cut_off_after_a_moment() -> None:
    def reports(now: int) -> list[NodeReport]:
        return [node(1), node(2), node(3, peers=0)]

    assert shown(int(CUT_OFF_PATIENCE), reports) == {}
    assert shown(int(CUT_OFF_PATIENCE) + 1, reports) == {"node-3": "no-peers"}
    alone = [node(1, peers=0), node(2, runs=False)]
    assert shown(60, lambda now: alone) == {}, "no other node runs"


def test_of_two_chains_the_one_of_fewer_nodes_is_cut_off() -> None:
    patient = int(WINDOW_SECONDS + CUT_OFF_PATIENCE) + 2
    assert shown(patient, lambda now: [node(n, tip="ab"[n < 3]) for n in range(1, 6)]) == {
        "node-1": "other-tip", "node-2": "other-tip",
    }  # fmt: skip

    def both_grow(now: int) -> list[NodeReport]:
        return [node(n, tip=f"{'ab'[n < 3]}{now // 3}", height=now // 3) for n in range(1, 6)]

    assert shown(patient, both_grow) == {"node-1": "other-tip", "node-2": "other-tip"}


def test_a_node_that_stands_while_the_others_grow_is_cut_off() -> None:
    def reports(now: int) -> list[NodeReport]:
        return [node(1, "old", height=3), *(node(n, tip=str(now), height=now + 4) for n in (2, 3))]

    assert shown(40, reports) == {"node-1": "other-tip"}


def test_of_two_equal_halves_the_lower_one_is_cut_off() -> None:
    assert shown(60, lambda now: [node(1, tip="a", height=9), node(2, tip="b", height=8)]) == {
        "node-2": "other-tip"
    }


def test_a_node_that_was_paused_has_time_to_catch_up() -> None:
    def reports(now: int) -> list[NodeReport]:
        paused = 10 <= now < 60
        second = 9 if paused or now == 60 else now
        return [node(1, str(now), height=now), node(2, str(second), height=second, runs=not paused)]

    assert all(shown(seconds, reports) == {} for seconds in (50, 61, 62, 70))


def test_it_ends_as_soon_as_it_is_over() -> None:
    assert shown(60, lambda now: [node(1), node(2, peers=0 if now < 59 else 1)]) == {}
