"""Points and scalars: libsodium's group against plain numbers, and everything that is no member."""

from __future__ import annotations

import random

import pytest

from support import ed25519_reference as reference
from votenet.errors import NotProven
from votenet.secret import group
from votenet.secret.group import (
    BASE,
    GROUP_ORDER,
    IDENTITY,
    Point,
    Scalar,
    SumPoint,
    Sums,
    add,
    add_all,
    challenge_for,
    draw_scalar,
    hash_to_scalar,
    multiply,
    subtract,
)


def test_libsodium_computes_as_the_reference() -> None:
    rng = random.Random(1)
    assert reference.GENERATOR.packed() == BASE
    assert reference.ORDER == GROUP_ORDER
    # The generator's y is 4/5, its x is even (5.2.1).
    assert reference.GENERATOR.y == 4 * pow(5, -1, reference.FIELD) % reference.FIELD
    for _ in range(5):
        first, second = (draw_scalar(rng.randbytes) for _ in range(2))
        left, right = multiply(BASE, first), multiply(BASE, second)
        plain_left, plain_right = reference.GENERATOR.times(first), reference.GENERATOR.times(second)
        assert (left, right) == (plain_left.packed(), plain_right.packed())
        assert multiply(left, second) == plain_left.times(second).packed()
        assert add(left, right) == (plain_left + plain_right).packed()
        assert subtract(left, right) == (plain_left + plain_right.opposite()).packed()


def test_what_libsodium_refuses_has_its_value() -> None:
    point = multiply(BASE, 5)
    assert multiply(point, 0) == multiply(BASE, 0) == multiply(point, GROUP_ORDER) == IDENTITY
    assert multiply(IDENTITY, 7) == subtract(point, point) == add_all([]) == IDENTITY
    assert add(point, IDENTITY) == subtract(point, IDENTITY) == point
    assert multiply(point, -1) == subtract(IDENTITY, point)
    assert add(multiply(point, -1), point) == IDENTITY
    assert add_all([point, point]) == multiply(BASE, 10)


def test_sums_of_sums_have_their_places() -> None:
    one, two, three = (multiply(BASE, number) for number in (1, 2, 3))
    sums = Sums([one, two, three])
    five = sums.plus(1, 2)
    assert (five, sums.plus_all([0, 1, five]), sums.plus_all([2])) == (3, 5, 2)
    assert sums.computed() == [multiply(BASE, number) for number in (1, 2, 3, 5, 3, 8)]
    with pytest.raises(NotProven, match="not on the curve"):
        add_all([one, Point((2).to_bytes(32, "little"))])


def test_a_point_can_be_read_before_its_membership_is_known() -> None:
    order_two = Point((2**255 - 20).to_bytes(32, "little"))
    assert Point.read(order_two.written()) == order_two
    assert SumPoint.read(IDENTITY.written()) == IDENTITY
    for text in (IDENTITY.written(), "", multiply(BASE, 2).written().upper()):
        with pytest.raises(NotProven) as caught:
            Point.read(text)
        assert caught.value.code == "bad-point"


def test_every_form_that_is_no_member_is_refused() -> None:
    """Also what a libsodium with CVE-2025-69277 takes: a member plus the point of order two."""
    small = reference.small_points()
    assert len(set(small)) == 8
    outside = [point.packed() for point in small]
    outside += [(reference.GENERATOR.times(3) + point).packed() for point in small[1:]]
    outside += [(reference.FIELD + 1).to_bytes(32, "little"), bytes([1]) + bytes(30) + b"\x80"]
    outside += [(2).to_bytes(32, "little"), b"\xff" * 32]
    for raw in outside:
        with pytest.raises(NotProven) as caught:
            Point.parse(raw[::-1].hex())
        assert caught.value.code == "bad-point"
    assert Point.parse(BASE.written()) == BASE
    assert SumPoint.parse(IDENTITY.written()) == IDENTITY
    with pytest.raises(NotProven):
        SumPoint.parse(outside[1][::-1].hex())


def test_random_bytes_are_members_as_the_reference_says() -> None:
    rng = random.Random(2)
    raws = [rng.randbytes(31) + bytes([rng.randrange(128)]) for _ in range(20)]
    plain = [reference.unpacked(raw) for raw in raws]
    assert [Point(raw).is_member() for raw in raws] == [bool(one and one.is_member()) for one in plain]
    assert any(one is not None for one in plain)


@pytest.mark.parametrize(
    "text", ["", "58" * 31, multiply(BASE, 2).written().upper(), BASE.written() + "\n", " " * 64, 7]
)
def test_a_point_has_one_form(text: str) -> None:
    with pytest.raises(NotProven, match="point"):
        Point.parse(text)


def test_a_scalar_has_one_form() -> None:
    for number in (0, 1, GROUP_ORDER - 1):
        assert Scalar.parse(str(number)) == number
        assert Scalar.parse(str(number)).written() == str(number)
    wrong = ["", "00", "01", "-1", "+1", "1 ", "1\n", "1_0", "0x1", "１", str(GROUP_ORDER), "9" * 5000, 1]
    for text in wrong:
        with pytest.raises(NotProven) as caught:
            Scalar.parse(text)  # type: ignore[arg-type]
        assert caught.value.code == "bad-scalar"


def test_hashes_are_big_endian_numbers() -> None:
    # SHA-256 of "abc" begins with ba: it is larger than the order, and taken modulo it.
    digest = 0xBA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD
    assert hash_to_scalar("abc") == digest % GROUP_ORDER
    joined = f"x|{BASE.written()},{IDENTITY.written()}"
    assert challenge_for("x|", [BASE, IDENTITY]) == hash_to_scalar(joined)


def test_a_libsodium_that_takes_other_points_for_members_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "crypto_core_ed25519_is_valid_point", lambda point: True)
    with pytest.raises(ImportError, match="PyNaCl"):
        group.self_test()
