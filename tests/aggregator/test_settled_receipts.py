"""Receipts: what a settling buyer signs, what it answers with its own figure, and that it says one thing for good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from aggregator.entries import State
from aggregator.settling import INTERIM_GAP_MS
from aggregator.testing.money_bench import MoneyBench
from aggregator.testing.seller import BUYER_KEYS
from etp.extensions import ZERO_SIGNATURE, Receipt
from etp.messages import Body, MessageType, ReasonCode
from settlement.keyring import KeyRing
from settlement.receipt import Receipt as SignedReceipt
from settlement.signing import check_receipt, sign_receipt
from settlement.strict import SMALL_ORDER_POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.effects import Send

HOUR_MS = 3_600_000
LOT_WH = 5_000
"""At the 5 kW that are granted it takes an hour."""


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> MoneyBench:
    return MoneyBench(tmp_path / "cheques.db")


def answers(bench: MoneyBench) -> list[Send]:
    return [send for send in bench.sent if send.receipt is not None]


def answer(bench: MoneyBench) -> Send:
    (send,) = answers(bench)
    return send


def figure_wh(bench: MoneyBench) -> int | None:
    """Return what the settler was told last that the buyer stands for."""
    return bench.settler.puts[-1][1]


def holds(bench: MoneyBench, bid: Body, receipt: Receipt | None) -> bool:
    """Whether a receipt carries the buyer's signature of what it says."""
    assert receipt is not None
    contract = bench.seller.contracts[bid.message_id]
    signed = SignedReceipt.from_wire(receipt, contract.trade_id)
    check_receipt(signed, contract, "buyer", BUYER_KEYS.public_keys["identity"], receipt.signature)
    return True


def delivered(bench: MoneyBench, wh: int, *, share: float = 1.0) -> Body:
    """Agree on a trade, and let so much be delivered and reported in the time that it takes at the power granted."""
    bid = bench.agreed_bid()
    steps = 10
    for step in range(1, steps + 1):
        bench.status(bid, round(wh * share * step / steps), after_ms=HOUR_MS * wh // LOT_WH // steps)
    return bid


def test_a_running_delivery_is_signed_for_and_the_last_signature_is_on_disk(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=False)
    bench.holds_disk = True
    assert answers(bench.status(bid, 1_000, receipt)) == []
    bench.write()
    send = answer(bench)
    assert send.body == Body.bess_status(bid.message_id, BUYER_KEYS.identity.device_id, delivered_wh=1_000)
    assert send.receipt is not None
    assert send.receipt._replace(signature=ZERO_SIGNATURE) == receipt._replace(signature=ZERO_SIGNATURE)
    assert holds(bench, bid, send.receipt)
    kept = bench.on_disk(bid)
    assert kept is not None
    assert kept.cheque.interim is not None
    assert kept.cheque.interim.is_cosigned
    kept.cheque.check()
    assert (kept.seen_wh, kept.state) == (1_000, State.OPEN)


def test_the_same_interim_receipt_is_answered_again_and_a_flood_is_not(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=False)
    first = answer(bench.status(bid, 1_000, receipt))
    assert answers(bench.status(bid, 1_000, receipt)) == []
    assert answer(bench.status(bid, 1_000, receipt, after_ms=INTERIM_GAP_MS)) == first


def test_an_interim_figure_beyond_what_was_seen_is_answered_with_our_own(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_500, final=False)
    send = answer(bench.status(bid, 1_000, receipt))
    assert send.body == Body.terminate(
        bid.message_id, BUYER_KEYS.identity.device_id, code=ReasonCode.DISPUTED, delivered_wh=1_000
    )
    assert send.receipt is not None
    assert (send.receipt.final, send.receipt.delivered_wh) == (0, 1_000)
    assert holds(bench, bid, send.receipt)
    assert "disputed" in bench.events()
    kept = bench.on_disk(bid)
    assert kept is not None
    assert kept.cheque.interim is None


def test_the_final_receipt_is_signed_kept_first_and_handed_over_to_be_settled(bench: MoneyBench) -> None:
    bid = delivered(bench, LOT_WH)
    receipt = bench.seller.receipt(bid.message_id, LOT_WH, final=True)
    bench.holds_disk = True
    assert answers(bench.end(bid, receipt)) == []
    assert bench.events() == ["cosigned", "ended"]
    bench.write()
    send = answer(bench)
    assert send.body == Body.terminate(bid.message_id, BUYER_KEYS.identity.device_id, code=0, delivered_wh=LOT_WH)
    assert holds(bench, bid, send.receipt)
    cheque, figure_wh = bench.settler.puts[-1]
    assert cheque.final is not None
    assert (cheque.final.is_cosigned, figure_wh) == (True, LOT_WH)
    cheque.check()
    assert bench.buyer.purse.bought_wh == LOT_WH


@pytest.mark.parametrize("wh", [0, 1, 1_019, 1_020])
def test_a_final_figure_within_the_tolerance_is_signed(bench: MoneyBench, wh: int) -> None:
    bid = delivered(bench, 1_000)
    send = answer(bench.end(bid, bench.seller.receipt(bid.message_id, wh, final=True), code=2))
    assert send.body.termination_code == ReasonCode.NONE
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.figure_wh) == (State.AGREED, wh)


@pytest.mark.parametrize("wh", [1_021, 4_999, LOT_WH, 1 << 62])
def test_a_final_figure_beyond_what_was_seen_is_answered_with_our_own_which_is_kept(bench: MoneyBench, wh: int) -> None:
    bid = delivered(bench, 1_000)
    bench.holds_disk = True
    assert answers(bench.end(bid, bench.seller.receipt(bid.message_id, wh, final=True))) == []
    bench.write()
    send = answer(bench)
    assert (send.body.termination_code, send.body.energy_wh) == (ReasonCode.DISPUTED, 1_000)
    assert send.receipt is not None
    assert (send.receipt.final, send.receipt.delivered_wh) == (1, 1_000)
    assert holds(bench, bid, send.receipt)
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.figure_wh, kept.cheque.final) == (State.DISPUTED, 1_000, None)
    cheque, figure_wh = bench.settler.puts[-1]
    assert (cheque.final, figure_wh) == (None, 1_000)
    assert bench.buyer.purse.bought_wh == 1_000
    assert bench.buyer.reputation.permille(bench.session.who) < 1_000


def test_a_battery_cannot_say_it_delivered_faster_than_its_power(bench: MoneyBench) -> None:
    bid = bench.agreed_bid()
    bench.status(bid, LOT_WH, after_ms=HOUR_MS // 10)
    send = answer(bench.end(bid, bench.seller.receipt(bid.message_id, LOT_WH, final=True), after_ms=0))
    assert (send.body.termination_code, send.body.energy_wh) == (ReasonCode.DISPUTED, 500)


def test_what_could_not_be_seen_is_taken_at_the_power_granted(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    bench.do(bench.session.closed())
    bench.wait(HOUR_MS * 3 // 5)
    bench.register()
    send = answer(bench.end(bid, bench.seller.receipt(bid.message_id, 4_000, final=True)))
    assert send.body.termination_code == ReasonCode.NONE


def test_a_second_final_receipt_that_differs_is_refused_and_the_first_holds(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    first = bench.seller.receipt(bid.message_id, 1_000, final=True)
    said = answer(bench.end(bid, first))
    for other in (
        bench.seller.receipt(bid.message_id, 900, final=True),
        bench.seller.receipt(bid.message_id, 1_000, final=True, evidence=bytes(32)),
    ):
        send = answer(bench.end(bid, other))
        assert (send.body.termination_code, send.body.energy_wh) == (ReasonCode.DISPUTED, 1_000)
        assert send.receipt == said.receipt
        assert "second_receipt" in bench.events()
    assert answer(bench.end(bid, first)) == said
    assert len({receipt for cheque, _ in bench.settler.puts if (receipt := cheque.final)}) == 1


def test_a_figure_of_our_own_holds_too(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    said = answer(bench.end(bid, bench.seller.receipt(bid.message_id, 3_000, final=True)))
    again = answer(bench.end(bid, bench.seller.receipt(bid.message_id, 3_000, final=True), after_ms=HOUR_MS))
    assert again == said
    later = answer(bench.end(bid, bench.seller.receipt(bid.message_id, 1_000, final=True)))
    assert later == said
    kept = bench.on_disk(bid)
    assert kept is not None
    assert kept.state is State.DISPUTED


def _lax(at: int) -> bytes:
    return SMALL_ORDER_POINTS[at] + (1).to_bytes(32, "little")


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ZERO_SIGNATURE},
        {"signature": _lax(0)},
        {"signature": _lax(1)},
        {"delivered_wh": 999},
        {"started_at_s": 1_700_000_000},
        {"ended_at_s": 1_800_000_000},
        {"ended_at_s": 1},
        {"evidence": bytes(32)},
    ],
)
def test_a_receipt_that_was_tampered_with_is_not_answered(
    bench: MoneyBench, final: bool, changes: dict[str, Any]
) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=final)._replace(**changes)
    bench.end(bid, receipt) if final else bench.status(bid, 1_000, receipt)
    assert answers(bench) == []
    assert "receipt_refused" in bench.events()
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.cheque.interim, kept.cheque.final) == (State.OPEN, None, None)


def test_an_interim_receipt_is_no_final_one_and_the_reverse(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    assert answers(bench.status(bid, 1_000, bench.seller.receipt(bid.message_id, 1_000, final=True))) == []
    assert answers(bench.end(bid, bench.seller.receipt(bid.message_id, 1_000, final=False))) == []
    assert "receipt_refused" in bench.events()


def test_a_receipt_under_another_key_or_of_another_trade_is_not_answered(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    contract = bench.seller.contracts[bid.message_id]
    stranger = KeyRing(bytes([44]) * 32).identity
    good = bench.seller.receipt(bid.message_id, 1_000, final=True)
    digest = SignedReceipt.from_wire(good, contract.trade_id).digest
    assert answers(bench.end(bid, good._replace(signature=stranger.sign(digest)))) == []
    assert "receipt_refused" in bench.events()
    other = replace(contract, contract_no=contract.contract_no + 1)
    signed = SignedReceipt.from_wire(good, other.trade_id)
    moved = signed.to_wire(sign_receipt(signed, other, bench.seller.keys.identity))
    assert answers(bench.end(bid, moved)) == []
    assert "receipt_refused" in bench.events()


def test_a_receipt_of_a_trade_that_never_was_is_told_and_not_answered(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=True)
    unknown = bid._replace(message_id=12_345)
    assert answers(bench.end(unknown, receipt)) == []
    (note,) = bench.notes
    assert (note.event, note.fields["why"]) == ("receipt_refused", "no such trade was ever confirmed")


def test_a_buyer_that_does_not_cosign_signs_nothing_about_the_delivery(tmp_path: Path) -> None:
    bench = MoneyBench(tmp_path / "cheques.db", cosigns=False)
    bid = delivered(bench, 1_000)
    assert answers(bench.status(bid, 1_000, bench.seller.receipt(bid.message_id, 1_000, final=False))) == []
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=True)
    assert answers(bench.end(bid, receipt)) == []
    assert "not_cosigned" in bench.events()
    kept = bench.on_disk(bid)
    assert kept is not None
    assert (kept.state, kept.figure_wh) == (State.UNSIGNED, 1_000)
    cheque, figure_wh = bench.settler.puts[-1]
    assert (cheque.final, cheque.interim, figure_wh) == (None, None, 1_000)
    assert answers(bench.end(bid, receipt)) == []
    assert bench.events() == []


def test_it_still_has_a_figure_against_a_claim_that_says_too_much(tmp_path: Path) -> None:
    bench = MoneyBench(tmp_path / "cheques.db", cosigns=False)
    bid = delivered(bench, 1_000)
    bench.end(bid, bench.seller.receipt(bid.message_id, 4_000, final=True))
    assert figure_wh(bench) == 1_000


def test_a_battery_that_never_ends_its_trade_is_believed_what_can_be(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    assert figure_wh(bench) is None
    bench.do(bench.session.closed())
    contract = bench.seller.contracts[bid.message_id]
    ends_in_ms = contract.ends_at_s * 1_000 - bench.wall_ms()
    bench.wait(ends_in_ms - 1)
    assert (figure_wh(bench), bench.session.open_trades) == (None, 1)
    bench.wait(1)
    assert (figure_wh(bench), bench.session.open_trades) == (LOT_WH, 1)
    bench.wait(3 * HOUR_MS)
    assert "ended" in bench.events()
    bench.register()
    late = answer(bench.end(bid, bench.seller.receipt(bid.message_id, 3_000, final=True)))
    assert late.body.termination_code == ReasonCode.NONE
    assert figure_wh(bench) == 3_000


def test_an_answer_that_could_not_be_kept_waits_for_a_disk_that_works(bench: MoneyBench) -> None:
    bid = delivered(bench, 1_000)
    receipt = bench.seller.receipt(bid.message_id, 1_000, final=True)
    bench.disk_error = "Input/output error"
    assert answers(bench.end(bid, receipt)) == []
    assert answers(bench.end(bid, receipt)) == []
    bench.disk_error = ""
    assert answer(bench.end(bid, receipt)).body.termination_code == ReasonCode.NONE


def test_after_a_restart_the_final_receipt_is_answered_from_the_journal(tmp_path: Path) -> None:
    first = MoneyBench(tmp_path / "cheques.db")
    bid = delivered(first, 1_000)
    receipt = first.seller.receipt(bid.message_id, 1_000, final=True)
    said = answer(first.end(bid, receipt))
    first.crash()
    second = MoneyBench(tmp_path / "cheques.db", after=first)
    second.register()
    assert second.session.open_trades == 0
    assert answer(second.end(bid, receipt)) == said
    other = answer(second.end(bid, second.seller.receipt(bid.message_id, 1_010, final=True)))
    assert other.body.termination_code == ReasonCode.DISPUTED


def test_after_a_restart_an_open_trade_goes_on(tmp_path: Path) -> None:
    first = MoneyBench(tmp_path / "cheques.db")
    bid = delivered(first, 1_000)
    first.status(bid, 1_000, first.seller.receipt(bid.message_id, 1_000, final=False))
    first.crash()
    first.now_ms += HOUR_MS // 5
    second = MoneyBench(tmp_path / "cheques.db", after=first)
    assert second.buyer.purse.committed_wh == LOT_WH
    second.register()
    assert MessageType.BID_CONFIRM not in second.kinds()
    assert second.session.open_trades == 1
    second.status(bid, 2_000)
    send = answer(second.end(bid, second.seller.receipt(bid.message_id, 2_000, final=True)))
    assert send.body.termination_code == ReasonCode.NONE
    assert second.buyer.purse.bought_wh == 2_000


def test_after_a_restart_a_confirm_that_may_not_have_left_goes_out_again(tmp_path: Path) -> None:
    first = MoneyBench(tmp_path / "cheques.db")
    first.bidding()
    bid = first.bid_sent()
    (confirm,) = [send for send in first.accepted(bid).sent if send.contract is not None]
    first.crash()
    second = MoneyBench(tmp_path / "cheques.db", after=first)
    second.register()
    (again,) = [send for send in second.sent if send.body.message_type == MessageType.BID_CONFIRM]
    assert (again.body.message_id, again.contract) == (confirm.body.message_id, confirm.contract)
    second.hear(second.reject(bid.body, ReasonCode.NOT_CONFIRMED))
    assert (second.session.open_trades, second.buyer.purse.committed_wh) == (0, 0)
    assert second.session.summary()["line"]["promised"] == 0


def test_what_was_not_on_disk_when_the_process_ended_was_never_said(tmp_path: Path) -> None:
    first = MoneyBench(tmp_path / "cheques.db")
    first.holds_disk = True
    first.bidding()
    bid = first.bid_sent()
    first.accepted(bid)
    assert MessageType.BID_CONFIRM not in first.kinds()
    first.crash()
    second = MoneyBench(tmp_path / "cheques.db", after=first)
    second.register()
    assert second.session.open_trades == 0
    assert second.on_disk(bid.body) is None
