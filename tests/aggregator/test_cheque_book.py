"""What open trades may still take from a Line, what is on disk of them, and which are let go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from aggregator import cheque_book
from aggregator.cheque_book import ChequeBook, may_cost
from aggregator.entries import Entry
from aggregator.testing.seller import BATTERY_KEYS, BUYER_KEYS, TERMS
from aggregator.testing.settler import a_line
from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract
from settlement.cover import Promise
from settlement.receipt import Receipt

if TYPE_CHECKING:
    from settlement.lines import LineState

STARTS_S = 1_700_000_000
VALID_UNTIL_S = STARTS_S + 4_560 + 259_200
BATTERY = BATTERY_KEYS.public_keys["identity"]


def entry(number: int, *, is_void: bool = False) -> Entry:
    terms = Contract(
        venue=TERMS.venue,
        battery_wallet=BATTERY_KEYS.public_keys["wallet"],
        buyer_wallet=BUYER_KEYS.public_keys["wallet"],
        generation=431,
        contract_no=number,
        battery_device_id=1,
        buyer_device_id=2,
        message_id=100 + number,
        price_e4=50_000,
        energy_wh=5_000,
        base_units_per_cent=10_000,
        starts_at_s=STARTS_S,
        ends_at_s=STARTS_S + 4_560,
        valid_until_s=VALID_UNTIL_S,
        fee_bps=50,
        dispute_window_s=86_400,
        resolver=TERMS.resolver,
    )
    cheque = Cheque(
        role="buyer",
        contract=terms,
        battery_key=BATTERY,
        buyer_key=BUYER_KEYS.public_keys["identity"],
        battery_signature=bytes(64),
        buyer_signature=bytes(64),
    )
    at_ms = STARTS_S * 1_000
    return Entry(cheque=cheque, power_w=5_000, agreed_at_ms=at_ms, seen_at_ms=at_ms, is_void=is_void)


def agreed(number: int) -> Entry:
    open_ = entry(number)
    receipt = Receipt(
        trade_id=open_.contract.trade_id,
        final=True,
        delivered_wh=5_000,
        started_at_s=0,
        ended_at_s=0,
        evidence=bytes(32),
    )
    return open_.agreed(SignedReceipt(receipt=receipt, battery_signature=bytes(64), buyer_signature=bytes(64)))


@pytest.mark.parametrize(
    ("kept", "line", "costs"),
    [
        (entry(3), a_line(), True),
        (entry(3), a_line(base_no=3, used=1), False),
        (entry(3), a_line(base_no=4), False),
        (entry(3), a_line(generation=432), False),
        (entry(3, is_void=True), a_line(), False),
        (entry(3), a_line(read_at_s=VALID_UNTIL_S), True),
        (entry(3), a_line(read_at_s=VALID_UNTIL_S + 1), False),
        (agreed(3), a_line(read_at_s=VALID_UNTIL_S + 1), True),
        (agreed(3), a_line(base_no=3, used=1), False),
    ],
)
def test_a_trade_costs_until_the_ledger_or_the_calendar_says_no_more(kept: Entry, line: LineState, costs: bool) -> None:
    assert may_cost(kept, line) is costs
    expected = [Promise(3, kept.contract.reserve)] if costs else []
    assert ChequeBook([kept]).promises(BATTERY, line) == expected


def test_what_is_put_is_not_durable_until_that_very_entry_is_written() -> None:
    book = ChequeBook([entry(1)])
    assert book.is_durable(entry(1).key)
    first = book.put(entry(2))
    second = book.put(replace(first, seen_wh=5))
    book.written(first)
    assert not book.is_durable(first.key)
    book.written(second)
    assert book.is_durable(first.key)
    assert book.get(first.key) is second


def test_what_was_read_does_not_replace_what_is_known() -> None:
    book = ChequeBook()
    newer = book.put(replace(entry(1), seen_wh=9))
    book.found(entry(1))
    assert book.get(newer.key) is newer
    book.found(entry(2))
    assert (len(book), book.is_durable(entry(2).key)) == (2, True)


def test_what_is_dropped_is_gone_and_dropping_twice_is_nothing() -> None:
    book = ChequeBook([entry(1), entry(2)])
    book.drop(entry(1).key)
    book.drop(entry(1).key)
    assert ([kept.contract.contract_no for kept in book], len(book)) == ([2], 1)
    assert book.of(bytes(32)) == ()


def test_trades_that_cost_nothing_more_are_let_go_once_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cheque_book, "_SWEEP_AT", 4)
    book = ChequeBook([agreed(0), entry(1, is_void=True), entry(2)])
    book._sweep_at = 4
    line = a_line(used=0b1)
    book.sweep(STARTS_S, lambda _: line)
    assert len(book) == 3
    book.put(agreed(3))
    book.sweep(STARTS_S, lambda _: line)
    assert [kept.contract.contract_no for kept in book] == [2, 3]  # one is open, one is not paid yet
    book.put(agreed(4))
    book.put(agreed(5))
    book.sweep(STARTS_S, lambda _: None)
    assert len(book) == 4  # nothing is known of the Line
    for number in range(6, 10):
        book.put(agreed(number))
    book.sweep(STARTS_S, lambda _: a_line(base_no=20))
    assert [kept.contract.contract_no for kept in book] == [2, *range(3, 10)]  # what is not on disk stays
    for kept in book:
        book.written(kept)
    book._sweep_at = 4
    book.sweep(VALID_UNTIL_S + 86_401, lambda _: None)
    assert len(book) == 0
