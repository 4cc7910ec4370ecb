"""Promises on Lines, and the windows that Bids may name: what is remembered, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given
from hypothesis import strategies as st

from agent.promises import PromiseBook
from agent.quoted import QUOTE_KEPT_MS, QuotedWindows
from etp.messages import ReasonCode
from settlement.cover import Promise, free_number
from settlement.lines import LineState
from settlement.terms import Windows, window_s
from tests.agent import gateway_world as gw
from tests.agent.settling_world import buyer_in, settled_world
from tests.settlement.terms import CONTRACT, contract_with

if TYPE_CHECKING:
    from pathlib import Path

LINE: Final = LineState(
    generation=CONTRACT.generation,
    base_no=0,
    used=0,
    amount=10**12,
    locked=0,
    release_amount=0,
    release_at_s=0,
    read_at_s=CONTRACT.starts_at_s,
    slot=1,
)
WALLET: Final = CONTRACT.buyer_wallet


def number(contract_no: int, **terms: Any) -> Any:
    return contract_with(contract_no=contract_no, **terms)


def test_a_promise_is_the_whole_reserve_until_a_final_receipt_says_less() -> None:
    book = PromiseBook()
    book.add(CONTRACT)
    assert book.on(WALLET, LINE) == [Promise(7, CONTRACT.reserve)]
    book.reduce(CONTRACT, 1_000, cosigned=False)
    split = CONTRACT.split(1_000)
    assert book.on(WALLET, LINE) == [Promise(7, split.payout + split.fee)]
    assert book.open_units == split.payout + split.fee
    assert book.holds(WALLET)
    assert book.wallets() == {WALLET}


def test_a_void_award_frees_its_number_and_a_used_one_is_forgotten() -> None:
    book = PromiseBook()
    for each in (5, 6, 7):
        book.add(number(each))
    book.drop(number(6))
    assert [promise.contract_no for promise in book.on(WALLET, LINE)] == [5, 7]
    assert [promise.contract_no for promise in book.on(WALLET, replace(LINE, used=1 << 5))] == [7]
    assert [promise.contract_no for promise in book.on(WALLET, LINE)] == [7]
    assert book.on(WALLET, replace(LINE, base_no=8)) == []
    assert not book.holds(WALLET)
    book.add(number(7))
    book.drop(number(7))
    assert not book.holds(WALLET)
    assert book.open_units == 0


def test_a_cheque_that_has_expired_takes_nothing_but_keeps_its_number_unless_both_signed_its_end() -> None:
    book = PromiseBook()
    book.add(CONTRACT)
    late = replace(LINE, read_at_s=CONTRACT.valid_until_s + 1)
    assert book.on(WALLET, late) == [Promise(7, 0)]
    book.reduce(CONTRACT, 2_500, cosigned=True)
    assert book.on(WALLET, late) == [Promise(7, CONTRACT.reserve)]


def test_a_number_that_was_kept_is_nobody_elses_until_the_line_shows_it_used() -> None:
    book = PromiseBook()
    book.add(CONTRACT)
    book.take(WALLET, CONTRACT.generation, (0, 1, 7))
    promises = book.on(WALLET, LINE)
    assert set(promises) == {Promise(7, CONTRACT.reserve), Promise(0, 0), Promise(1, 0)}
    assert free_number(LINE, promises) == 2
    later = replace(LINE, used=1)
    assert [promise.contract_no for promise in book.on(WALLET, later)] == [7, 1]
    assert free_number(later, book.on(WALLET, later)) == 2
    book.drop(CONTRACT)
    assert book.wallets() == set(), "it need not be watched for a number's sake"
    assert book.holds(WALLET)


def test_a_line_opened_anew_forgets_the_old_one() -> None:
    book = PromiseBook()
    book.add(CONTRACT)
    again = replace(LINE, generation=CONTRACT.generation + 5)
    assert book.on(WALLET, again) == []
    book.reduce(CONTRACT, 1, cosigned=True)  # nobody is harmed by a late word about it
    assert book.on(WALLET, again) == []
    assert not book.holds(WALLET)


def test_a_line_of_unknown_age_covers_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with settled_world(tmp_path) as (world, ledger):
            buyer = await buyer_in(world)
            ledger.settler.line_age_s = lambda _wallet: None  # type: ignore[method-assign, assignment]
            answer = await buyer.bid(await buyer.terms())
            assert answer.body.termination_code == ReasonCode.COVER_TOO_SMALL
            assert "how long ago" in answer.extensions.reason

    gw.run(scenario())


def test_a_window_counts_for_ten_seconds_after_another_was_quoted() -> None:
    quoted = QuotedWindows()
    quoted.quoted(2_000, 5_000, 0)
    two, one = window_s(2_000, 5_000), window_s(1_000, 5_000)
    assert quoted.at(0) == Windows(two, two)
    quoted.quoted(1_000, 5_000, 100)
    assert quoted.at(100) == quoted.at(99 + QUOTE_KEPT_MS) == Windows(one, two)
    assert quoted.at(100 + QUOTE_KEPT_MS) == Windows(one, one)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 20_000), st.integers(0, 6_000)), min_size=1, max_size=20))
def test_whatever_was_quoted_within_ten_seconds_may_be_named(quotes: list[tuple[int, int, int]]) -> None:
    quoted, now_ms, seen = QuotedWindows(), 0, []
    for steps, power_w, later_ms in quotes:
        now_ms += later_ms
        quoted.quoted(steps * 100, power_w, now_ms)
        seen.append((window_s(steps * 100, power_w), now_ms))
    until = [*(at_ms for _, at_ms in seen[1:]), now_ms]
    windows = quoted.at(now_ms)
    for (length_s, _), superseded_ms in zip(seen, until, strict=True):
        if now_ms - superseded_ms < QUOTE_KEPT_MS:
            assert windows.shortest_s <= length_s <= windows.longest_s
    lengths = [length_s for length_s, _ in seen]
    assert min(lengths) <= windows.shortest_s <= windows.longest_s <= max(lengths)


def test_before_any_lot_every_window_is_for_others_to_judge() -> None:
    windows = QuotedWindows().at(0)
    assert windows.shortest_s <= 60
    assert windows.longest_s > 10**9


def test_a_lab_may_shorten_a_window_by_its_time_lapse() -> None:
    quoted = QuotedWindows(time_lapse=30)
    quoted.quoted(2_000, 5_000, 0)
    assert quoted.at(0) == Windows(-(-window_s(2_000, 5_000) // 30), window_s(2_000, 5_000))
