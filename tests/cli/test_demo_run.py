"""The direct count that the demo compares with: it must itself be right."""

from __future__ import annotations

from votenet.cli.demo_run import direct_count


def test_the_direct_count_of_the_whole_record_is_the_published_one() -> None:
    counts = direct_count(80_101)
    assert counts.total() == 80_101
    assert len(counts) == 38
    published = {
        "BETSY HODGES": 28_935,
        "MARK ANDREW": 19_584,
        "DON SAMUELS": 8_335,
        "CAM WINTON": 7_511,
        "JACKIE CHERRYHOMES": 3_524,
        "BOB FINE": 2_094,
        "DAN COHEN": 1_798,
        "STEPHANIE WOODRUFF": 1_010,
        "MARK V ANDERSON": 975,
        "undervote": 834,
        "DOUG MANN": 779,
        "OLE SAVIOR": 693,
    }
    assert {name: counts[name] for name in published} == published


def test_a_sample_has_its_size() -> None:
    assert direct_count(5000).total() == 5000
