"""Cheques in the books: from the buyer's signature to the ledger's payment, over checkpoints and in any order."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import records
from agent.books import BooksFold, books_of
from agent.books_cheques import (
    KEPT_AFTER_S,
    NUMBERED_MAX,
    BookedCheque,
    BookedNumbers,
    BookedReceipt,
    Numbers,
    keep_number,
)
from agent.books_codec import checkpoint
from agent.paper import Paper, cheque_of, with_paper
from agent.records import Deal, Kind, Record, RecordBody
from settlement import sign_contract, sign_receipt
from tests.settlement.terms import BATTERY, BUYER, CONTRACT, contract_with, receipt_with

PEER: Final = f"key:{BUYER.public_key.hex()}"
WALL_MS: Final = CONTRACT.starts_at_s * 1_000


def deal(number: int) -> Deal:
    """A confirmed deal whose bid has id `number` and whose contract has the same number."""
    contract = contract_with(contract_no=number, message_id=number)
    plain = Deal(
        peer=PEER,
        bid_id=number,
        price_e4=contract.price_e4,
        energy_wh=contract.energy_wh,
        power_w=5_000,
        lot_id=1,
        signer=BUYER.public_key.hex(),
    )
    signed = with_paper(plain, Paper(contract, BATTERY.public_key, sign_contract(contract, BATTERY)))
    return replace(signed, buyer_signature=sign_contract(contract, BUYER).hex())


DEALS: Final = [deal(number) for number in range(3)]


def receipt_record(number: int, *, final: bool, delivered_wh: int) -> RecordBody:
    contract = contract_with(contract_no=number, message_id=number)
    receipt = receipt_with(trade_id=contract.trade_id, final=final, delivered_wh=delivered_wh)
    return records.receipt(
        trade_id=contract.trade_id.hex(),
        receipt=receipt.encoded,
        final=final,
        battery_signature=sign_receipt(receipt, contract, BATTERY),
        buyer_signature=sign_receipt(receipt, contract, BUYER),
    )


def ended(number: int, delivered_wh: int) -> RecordBody:
    contract = contract_with(contract_no=number, message_id=number)
    receipt = receipt_with(trade_id=contract.trade_id, delivered_wh=delivered_wh)
    body = records.delivery_ended(peer=PEER, bid_id=number, code=0, delivered_wh=delivered_wh)
    return {**body, "trade_id": contract.trade_id.hex(), "receipt": receipt.encoded.hex()}


def entry(kind: str, number: int, wh: int) -> tuple[Kind, RecordBody]:
    trade_id = DEALS[number].trade_id
    plain = replace(DEALS[number], buyer_signature="")
    made: dict[str, tuple[Kind, RecordBody]] = {
        "award": (Kind.AWARD, records.award(plain)),
        "confirmed": (Kind.CONFIRMED, records.confirmed(DEALS[number], award_seq=1, confirmed_at_ms=5)),
        "void": (Kind.VOID, records.void(peer=PEER, bid_id=number, code=10, blame=True)),
        "interim": (Kind.RECEIPT, receipt_record(number, final=False, delivered_wh=wh)),
        "final": (Kind.RECEIPT, receipt_record(number, final=True, delivered_wh=wh)),
        "disputed": (Kind.RECEIPT, records.disputed(trade_id=trade_id, delivered_wh=wh)),
        "evidence": (
            Kind.EVIDENCE,
            records.evidence(
                peer=PEER,
                bid_id=number,
                trade_id=trade_id,
                samples=bytes(40),
                chain=bytes([wh % 256] * 32),
                shared=("x",),
            ),
        ),
        "ended": (Kind.DELIVERY_ENDED, ended(number, wh)),
        "cashed": (
            Kind.CASHED,
            records.cashed(trade_id=trade_id, stage="settled", payout=1, fee=0, signature=None),
        ),
    }
    return made[kind]


def history(*entries: tuple[Kind, RecordBody]) -> list[Record]:
    return [Record(seq, "home", kind, WALL_MS + seq, body) for seq, (kind, body) in enumerate(entries, start=1)]


def cheques(*entries: tuple[Kind, RecordBody]) -> dict[str, BookedCheque]:
    return dict(books_of(history(*entries))["home"].cheques)


def test_a_cheque_is_there_from_the_confirm_until_it_is_paid() -> None:
    path = [entry("award", 0, 0)]
    assert cheques(*path) == {}
    path.append(entry("confirmed", 0, 0))
    [(trade_id, cheque)] = cheques(*path).items()
    assert trade_id == DEALS[0].trade_id
    made = cheque_of(cheque.deal)
    assert made is not None
    made.check()
    path.append(entry("interim", 0, 700))
    [cheque] = cheques(*path).values()
    assert cheque.interim is not None
    path.append(entry("ended", 0, 2_000))
    [cheque] = cheques(*path).values()
    assert cheque.final == BookedReceipt(ended(0, 2_000)["receipt"])
    path.append(entry("disputed", 0, 1_500))
    [cheque] = cheques(*path).values()
    assert cheque.disputed_wh == 1_500
    path.append(entry("final", 0, 2_000))
    [cheque] = cheques(*path).values()
    assert cheque.final is not None
    assert cheque.final.buyer_signature
    assert cheque.disputed_wh is None
    path.append(entry("cashed", 0, 0))
    assert cheques(*path) == {}


def test_there_is_one_final_receipt() -> None:
    again = [entry("confirmed", 0, 0), entry("ended", 0, 2_000), entry("confirmed", 0, 0), entry("ended", 0, 1_000)]
    [cheque] = cheques(*again).values()
    assert cheque.final == BookedReceipt(ended(0, 2_000)["receipt"])


def test_a_cheque_nothing_can_come_of_any_more_is_forgotten_and_a_torn_one_is_noted() -> None:
    fold = BooksFold()
    for record in history(entry("confirmed", 0, 0)):
        fold.apply(record)
    late_ms = (CONTRACT.valid_until_s + KEPT_AFTER_S) * 1_000
    fold.apply(Record(9, "home", Kind.LOT_CLOSED, late_ms, {"lot_id": 1}))
    assert len(fold.books()["home"].cheques) == 1
    fold.apply(Record(10, "home", Kind.LOT_CLOSED, late_ms + 1_000, {"lot_id": 1}))
    books = fold.books()["home"]
    assert books.cheques == {}
    assert books.numbers == {CONTRACT.buyer_wallet.hex(): BookedNumbers(CONTRACT.generation, (0,))}
    torn = replace(DEALS[0], contract="00" * 328)
    found = books_of(history((Kind.CONFIRMED, records.confirmed(torn, award_seq=1, confirmed_at_ms=5))))["home"]
    assert found.cheques == {}
    assert "unreadable" in found.contradictions[-1]


def booked(number: int, **terms: Any) -> BookedCheque:
    contract = contract_with(contract_no=number, **terms)
    signed = replace(DEALS[0], contract=contract.encoded.hex())
    return BookedCheque(deal=signed, valid_until_s=contract.valid_until_s)


@pytest.mark.parametrize("stage", ["settled", "lost"])
def test_the_number_of_a_contract_that_was_not_paid_stays_taken_over_a_checkpoint(stage: str) -> None:
    body = records.cashed(trade_id=DEALS[2].trade_id, stage=stage, payout=None, fee=None, signature=None)
    fold = BooksFold()
    for record in history(entry("confirmed", 2, 0), (Kind.CASHED, body)):
        fold.apply(record)
    resumed = BooksFold()
    plain: Any = json.loads(json.dumps(checkpoint(fold.books().values())))
    resumed.apply(Record(9, "", Kind.CHECKPOINT, WALL_MS, plain))
    kept = {CONTRACT.buyer_wallet.hex(): BookedNumbers(CONTRACT.generation, (2,))}
    assert resumed.books()["home"].numbers == ({} if stage == "settled" else kept)
    assert resumed.books()["home"].cheques == {}


def test_numbers_are_kept_for_the_newest_line_as_long_as_it_can_have_them() -> None:
    numbers: Numbers = {}
    wallet, generation = CONTRACT.buyer_wallet.hex(), CONTRACT.generation
    for number in (300, 45, 44, 300):
        keep_number(numbers, booked(number))
    assert numbers == {wallet: BookedNumbers(generation, (45, 300))}
    keep_number(numbers, booked(3, generation=generation + 1))
    keep_number(numbers, booked(9))
    assert numbers == {wallet: BookedNumbers(generation + 1, (3,))}


def test_numbers_are_kept_for_so_many_buyers() -> None:
    numbers: Numbers = {}
    for buyer in range(1, NUMBERED_MAX + 4):
        keep_number(numbers, booked(1, buyer_wallet=buyer.to_bytes(32, "big")))
    assert len(numbers) == NUMBERED_MAX
    assert next(iter(numbers)) == (4).to_bytes(32, "big").hex()


KINDS = ("award", "confirmed", "void", "interim", "final", "disputed", "evidence", "ended", "cashed")
ENTRIES = st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 2_500))


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=25), st.integers(0, 25))
def test_a_checkpoint_keeps_every_cheque(drawn: list[tuple[str, int, int]], at: int) -> None:
    whole = history(*(entry(*each) for each in drawn))
    fold = BooksFold()
    for record in whole[:at]:
        fold.apply(record)
    body: Any = json.loads(json.dumps(checkpoint(fold.books().values())))
    resumed = BooksFold()
    resumed.apply(Record(at, "", Kind.CHECKPOINT, WALL_MS, body))
    for record in whole[at:]:
        fold.apply(record)
        resumed.apply(record)
    one, other = fold.books().get("home"), resumed.books().get("home")
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.cheques == other.cheques
        assert one.numbers == other.numbers
        assert one.trades == other.trades


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=25))
def test_whatever_comes_a_cheque_stays_what_both_signed(drawn: list[tuple[str, int, int]]) -> None:
    found = books_of(history(*(entry(*each) for each in drawn)))
    for trade_id, cheque in (found["home"].cheques if drawn else {}).items():
        assert cheque.deal.trade_id == trade_id
        made = cheque_of(cheque.deal)
        assert made is not None
        made.check()
