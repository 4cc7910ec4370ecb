from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from etp.auction.book import Book, Entry
from etp.auction.testing import best_by_force
from etp.auction.types import NEVER_MS
from etp.units import ceil_tick

BASE = 99_900
INCREMENT = 1_000
PRICES = st.integers(1_000, 1_060).map(lambda ticks: ticks * 100)
SETS = st.lists(st.tuples(PRICES, st.integers(1, 8)), min_size=1, max_size=7)


def book_of(bids: list[tuple[int, int]], left: int) -> Book:
    entries = tuple(
        Entry(f"p{index}", index, price, steps, steps * (price - BASE), index, 400 + index)
        for index, (price, steps) in enumerate(bids)
    )
    return Book(entries, left=left, base_e4=BASE, increment_e4=INCREMENT)


def test_an_empty_book_asks_for_nothing() -> None:
    book = book_of([], 50)
    assert book.beat_e4("a", 50) == 0
    assert book.due_ms == NEVER_MS


def test_where_nothing_is_lost_the_reserve_is_enough() -> None:
    book = book_of([(120_000, 30)], 50)
    assert book.beat_e4("a", 20) == 0
    assert book.beat_e4("a", 21) > 0


def test_the_price_to_beat_divides_what_is_lost_by_what_is_asked() -> None:
    book = book_of([(120_000, 10)], 20)
    # 10 steps at 12.00 c are worth 10 x (20 100); 20 steps must make that up, rounded up to a tick, and an increment.
    assert book.beat_e4("b", 20) == 99_900 + 10_100 + 1_000
    assert book.beat_e4("b", 11) == 118_200 + 1_000


def test_a_step_beside_it_is_room_for_a_bid_of_a_step() -> None:
    book = book_of([(120_000, 1), (110_000, 9)], 10)
    # 9 of 10 steps leave room for the bid of one: only the other is forgone.
    assert book.beat_e4("c", 9) == 110_000 + 1_000
    assert book.beat_e4("p1", 9) == 110_000 + 1_000


@given(SETS, st.integers(0, 10), st.integers(1, 60))
def test_the_quote_is_the_formula_over_brute_force(bids: list[tuple[int, int]], room: int, steps: int) -> None:
    total = sum(size for _, size in bids)
    left = total + room
    assume(steps <= left)
    items = [(size * (price - BASE), size) for price, size in bids]
    forgone = best_by_force(items, left)[0] - best_by_force(items, left - steps)[0]
    expected = ceil_tick(BASE + -(-forgone // steps)) + INCREMENT if forgone else 0
    book = book_of(bids, left)
    assert book.beat_e4("stranger", steps) == expected
    assert book.beat_e4("stranger", steps) == expected


@given(SETS, st.integers(0, 10), st.integers(1, 60), st.data())
def test_an_owner_must_beat_the_set_without_its_own_bid(
    bids: list[tuple[int, int]], room: int, steps: int, data: st.DataObject
) -> None:
    left = sum(size for _, size in bids) + room
    mine = data.draw(st.integers(0, len(bids) - 1))
    price, size = bids[mine]
    steps = max(steps, size)
    assume(steps <= left)
    items = [(other * (at - BASE), other) for at, other in bids]
    others = [item for index, item in enumerate(items) if index != mine]
    forgone = sum(value for value, _ in items) - best_by_force(others, left - steps)[0]
    expected = max(ceil_tick(BASE + -(-forgone // steps)) + INCREMENT, price + INCREMENT)
    assert book_of(bids, left).beat_e4(f"p{mine}", 1 if steps == size else steps) == expected
