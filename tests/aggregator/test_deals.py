"""From Accept to the end of a trade, driven by the frames a battery sends."""

from __future__ import annotations

import pytest

from aggregator.bids import ANSWER_MS
from aggregator.session import PUSHED_MS
from aggregator.stages import Stage
from aggregator.testing.session_bench import BATTERY, RESERVE, make_buyer
from aggregator.testing.session_bench import SessionBench as Bench
from aggregator.trades import TRADES_MAX
from etp.extensions import Extensions, Receipt
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode


def test_what_is_bid_and_accepted_is_confirmed_at_once_with_price_and_quantity() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.push(own_e4=RESERVE), bench.accept(bid))
    (confirm,) = bench.sent
    assert confirm.body == Body.bid_confirm(bid.message_id, 5, price_e4=RESERVE, energy_wh=5_000)
    assert confirm.cause_ms == bench.now_ms - 1
    assert bench.events() == ["accepted"]
    assert bench.buyer.purse.committed_wh == 5_000


def test_a_lower_uniform_price_is_confirmed_as_accepted() -> None:
    bench = Bench()
    bid = bench.bidding()
    confirm = bench.hear(bench.accept(bid, price_e4=RESERVE - 1_000)).only(MessageType.BID_CONFIRM)
    assert confirm.sale_price_e4 == RESERVE - 1_000
    assert bench.buyer.purse.committed == (RESERVE - 1_000) * 5_000


@pytest.mark.parametrize(
    "changes", [{"price_e4": RESERVE + 100}, {"price_e4": RESERVE - 50}, {"energy_wh": 4_900}, {"energy_wh": 5_100}]
)
def test_an_accept_of_something_else_is_not_confirmed(changes: dict[str, int]) -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.accept(bid, **changes))
    assert MessageType.BID_CONFIRM not in bench.kinds()
    assert bench.events() == ["not_confirmed"]
    assert bench.buyer.purse.committed_wh == 0


def test_an_accept_nobody_asked_for_is_not_confirmed() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.accept(bid._replace(message_id=bid.message_id + 9)))
    assert (bench.kinds(), bench.events()) == ([], ["not_confirmed"])
    assert bench.session.stage is Stage.PENDING


def test_a_repeated_accept_gets_its_confirm_again_until_it_is_acknowledged() -> None:
    bench = Bench()
    bid = bench.agreed()
    assert bench.hear(bench.accept(bid)).kinds() == [MessageType.BID_CONFIRM]
    assert bench.hear(bench.accept(bid, price_e4=RESERVE - 100)).events() == ["not_confirmed"]
    bench.hear(Body.bess_status(bid.message_id, BATTERY))
    assert bench.hear(bench.accept(bid)).kinds() == []


def test_a_confirm_is_resent_with_doubling_gaps_until_it_is_acknowledged() -> None:
    bench = Bench()
    bid = bench.agreed()
    start_ms = bench.now_ms
    times = [bench.now_ms - start_ms for _ in range(22_000 // 50) if MessageType.BID_CONFIRM in bench.wait(50).kinds()]
    assert times == [250, 750, 1_750, 3_750, 7_750, 12_750, 17_750]
    assert bench.hear(Body.bess_status(bid.message_id, BATTERY)).events() == ["confirmed"]
    assert MessageType.BID_CONFIRM not in bench.wait(20_000).kinds()


def test_delivery_is_followed_to_its_end_and_booked() -> None:
    bench = Bench(buyer=make_buyer(need_wh=5_000))
    bid = bench.agreed()
    bench.hear(Body.bess_status(bid.message_id, BATTERY))
    bench.hear(Body.bess_status(bid.message_id, BATTERY, delivered_wh=2_000))
    assert bench.events() == ["delivering"]
    assert bench.notes[0].fields["delivered_wh"] == 2_000
    bench.hear(Body.terminate(bid.message_id, BATTERY, code=ReasonCode.FAULT, delivered_wh=3_000))
    assert bench.events() == ["ended"]
    assert bench.notes[0].fields | {"bid_id": 0} == {
        "bid_id": 0,
        "code": 11,
        "price_e4": RESERVE,
        "energy_wh": 5_000,
        "delivered_wh": 3_000,
        "assumed": False,
    }
    purse = bench.buyer.purse
    assert (purse.bought_wh, purse.committed_wh, purse.spent) == (3_000, 0, 3_000 * RESERVE)
    assert bench.buyer.reputation.permille("127.0.0.1:4084") < 1_000
    assert bench.hear(Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=3_000)).events() == []
    assert bench.session.open_trades == 0


def test_a_status_that_already_reports_energy_confirms_and_reports() -> None:
    bench = Bench()
    bid = bench.agreed()
    assert bench.hear(Body.bess_status(bid.message_id, BATTERY, delivered_wh=9_000)).events() == [
        "confirmed",
        "delivering",
    ]
    assert bench.notes[1].fields["delivered_wh"] == 5_000
    assert bench.hear(Body.bess_status(12_345, BATTERY, delivered_wh=9)).events() == []


def test_an_overtaken_bid_that_wins_after_all_is_confirmed_too() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.push(52_000))
    assert bench.hear(bench.accept(bid)).kinds() == [MessageType.BID_CONFIRM]
    assert bench.session.stage is Stage.PENDING


def test_a_bid_that_is_never_answered_is_given_up_and_its_late_accept_not_confirmed() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert "unanswered" not in bench.wait(ANSWER_MS - 1).events()
    assert bench.wait(1).events() == ["unanswered", "bid"]
    bench.hear(bench.accept(bid))
    assert bench.events() == ["not_confirmed"]


def test_after_an_award_the_rest_of_the_lot_is_asked_for_if_nothing_is_pushed() -> None:
    bench = Bench(buyer=make_buyer(max_bid_wh=2_000))
    bench.agreed()
    assert bench.wait(PUSHED_MS).kinds() == [MessageType.QUERY]


def test_an_award_that_is_terminated_before_its_confirm_counts_frees_the_claim() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(Body.terminate(bid.message_id, BATTERY, code=ReasonCode.FAULT, delivered_wh=0))
    assert (bench.events()[0], bench.buyer.market.wins) == ("refused", 0)
    bench = Bench()
    bid = bench.agreed()
    bench.hear(Body.terminate(bid.message_id, BATTERY, code=ReasonCode.FAULT, delivered_wh=0))
    assert bench.events() == ["ended"]
    assert bench.buyer.reputation.trades("127.0.0.1:4084") == 0


def test_a_refused_confirm_is_no_trade() -> None:
    bench = Bench()
    bid = bench.agreed()
    bench.hear(bench.reject(bid, ReasonCode.NOT_CONFIRMED))
    assert bench.events() == ["ended"]
    assert bench.notes[0].fields["code"] == 10
    assert bench.buyer.purse.committed_wh == bench.buyer.purse.bought_wh == 0
    assert bench.hear(bench.reject(bid, ReasonCode.NOT_CONFIRMED)).events() == []


def test_a_running_trade_is_not_undone_by_a_refusal() -> None:
    bench = Bench()
    bid = bench.agreed()
    bench.hear(Body.bess_status(bid.message_id, BATTERY))
    assert bench.hear(bench.reject(bid, ReasonCode.DUPLICATE_ID)).events() == []
    assert bench.session.open_trades == 1


def test_an_unsigned_trade_is_adrift_without_its_connection_and_booked_in_full_when_it_must_be_over() -> None:
    bench = Bench()
    bench.agreed()
    assert bench.do(bench.session.closed()).events() == ["adrift"]
    assert MessageType.BID_CONFIRM not in bench.open().kinds()
    assert MessageType.BID_CONFIRM not in bench.wait(60_000).kinds()
    assert bench.buyer.purse.committed_wh == 5_000
    bench.do(bench.session.closed())
    bench.wait(4_500_000 + 60_000 + 90_000)
    assert bench.events() == ["ended"]
    assert (bench.notes[0].fields["code"], bench.notes[0].fields["assumed"]) == (None, True)
    assert bench.buyer.purse.bought_wh == 5_000
    assert bench.buyer.reputation.trades("127.0.0.1:4084") == 0


def test_a_signed_trade_survives_its_connection_and_is_confirmed_on_the_next() -> None:
    bench = Bench(signed=True)
    bid = bench.agreed()
    assert bench.do(bench.session.closed()).events() == []
    assert bench.wait(10_000).kinds() == []
    assert bench.open().kinds() == [MessageType.REGISTER]
    bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY))
    assert bench.kinds() == [MessageType.BID_CONFIRM, MessageType.QUERY]
    assert bench.sent[0].body.message_id == bid.message_id
    assert bench.wait(250).kinds() == [MessageType.BID_CONFIRM]
    bench.hear(Body.bess_status(bid.message_id, BATTERY))
    bench.do(bench.session.closed())
    bench.open()
    assert bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY)).kinds() == [MessageType.QUERY]
    assert bench.hear(Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=5_000)).events() == ["ended"]


def receipt(delivered_wh: int, *, final: int = 1) -> Receipt:
    return Receipt(final, delivered_wh, 1, 2, bytes(32))


@pytest.mark.parametrize("signed", [False, True])
def test_a_buyer_that_does_not_settle_does_not_answer_receipts(signed: bool) -> None:
    bench = Bench(signed=signed)
    bid = bench.agreed()
    status = Body.bess_status(bid.message_id, BATTERY, delivered_wh=1_000)
    bench.hear(status, extensions=Extensions(receipt=receipt(1_000, final=0)))
    assert bench.kinds() == []
    end = Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=5_000)
    assert bench.hear(end, extensions=Extensions(receipt=receipt(5_000))).kinds() == []
    assert bench.events() == ["ended"]


def test_a_full_table_of_trades_takes_no_more_bids() -> None:
    bench = Bench(buyer=make_buyer(max_bid_wh=100))
    bench.open()
    bench.hear(bench.answer(lot_wh=50_000))
    for _ in range(TRADES_MAX):
        bid = bench.only(MessageType.BID)
        bench.hear(bench.accept(bid))
        bench.hear(bench.push(lot_wh=50_000))
    assert MessageType.BID not in bench.kinds()
    assert bench.session.open_trades == TRADES_MAX
