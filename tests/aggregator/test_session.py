"""The session, driven by the frames a battery sends: what it asks and bids, when, and what it never does."""

from __future__ import annotations

import pytest

from aggregator.bids import ANSWER_MS
from aggregator.buyer import Ids
from aggregator.session import ASK_MS, BID_GAP_MS, GREET_MS, HEARD_MS
from aggregator.stages import MOVES, Input, Stage
from aggregator.testing.session_bench import BATTERY, KEY, RESERVE, make_buyer
from aggregator.testing.session_bench import SessionBench as Bench
from etp.extensions import Extensions
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode


def test_the_table_covers_every_stage_for_what_peers_and_links_cause() -> None:
    for stage in Stage:
        assert MOVES[stage, Input.CLOSED] is Stage.DOWN
        assert ((stage, Input.OPENED) in MOVES) == (stage is Stage.DOWN)
        assert ((stage, Input.GREETED) in MOVES) == (stage is not Stage.DOWN)
        for ours in (Input.ASKED, Input.BID):
            assert ((stage, ours) in MOVES) == (stage is Stage.READY)
        assert ((stage, Input.ANSWERED) in MOVES) == (stage in (Stage.ASKING, Stage.PENDING))


def test_a_session_registers_asks_and_bids_the_price_to_beat() -> None:
    bench = Bench()
    assert bench.open().kinds() == [MessageType.REGISTER, MessageType.QUERY]
    bid = bench.hear(bench.answer()).only(MessageType.BID)
    assert (bid.bid_price_e4, bid.energy_wh, bid.device_id) == (RESERVE, 5_000, 5)
    assert bid.message_id < FIRST_BATTERY_ID
    assert bench.events() == ["bid"]
    assert bench.notes[0].fields["value_e4"] == 200_000
    assert bench.session.summary()["stage"] == "pending"


def test_a_signed_session_waits_until_the_battery_has_proved_its_key() -> None:
    bench = Bench(signed=True)
    assert bench.open().kinds() == [MessageType.REGISTER]
    assert bench.hear(bench.push()).kinds() == []
    unsigned, bench.signer = bench.signer, None
    assert bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY)).kinds() == []
    bench.signer = unsigned
    assert bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY)).kinds() == [MessageType.QUERY]
    assert bench.session.who == f"key:{KEY.hex()}"
    assert bench.hear(Body.register(FIRST_BATTERY_ID, BATTERY)).kinds() == []


def test_a_battery_that_does_not_register_is_left() -> None:
    bench = Bench(signed=True)
    bench.open()
    assert bench.wait(GREET_MS - 1).hang_ups == []
    assert bench.wait(1).hang_ups == ["did not register"]
    bench.do(bench.session.closed())
    assert bench.session.next_deadline() is None


def test_outbid_it_bids_again_with_a_new_id_at_the_price_to_beat() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.reject(bid, ReasonCode.OUTBID, 61_000))
    again = bench.only(MessageType.BID)
    assert again.message_id > bid.message_id
    assert again.bid_price_e4 == 61_000
    assert bench.events() == ["refused", "bid"]
    assert bench.hear(bench.reject(again, ReasonCode.OUTBID, 200_100)).kinds() == []
    assert bench.buyer.purse.committed_wh == 0
    assert bench.buyer.market.outbid == 2


def test_two_bids_are_never_closer_than_the_gap() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.reject(bid, ReasonCode.OUTBID, 61_000), after_ms=1)
    assert bench.kinds() == []
    assert bench.wait(BID_GAP_MS).only(MessageType.BID).bid_price_e4 == 61_000


def test_its_own_standing_bid_is_never_displaced() -> None:
    bench = Bench()
    bench.bidding()
    for beat in (51_000, 52_000):
        assert bench.hear(bench.push(beat, own_e4=RESERVE)).kinds() == []


def test_an_unanswered_bid_is_followed_only_when_a_push_shows_it_beaten() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(bench.push(RESERVE)).kinds() == []
    assert bench.hear(bench.push(51_000, own_e4=RESERVE)).kinds() == []
    again = bench.hear(bench.push(52_000)).only(MessageType.BID)
    assert again.bid_price_e4 == 52_000
    assert bench.buyer.purse.committed_wh == 5_000
    bench.hear(bench.reject(bid, ReasonCode.OUTBID, 52_000))
    assert (bench.kinds(), bench.buyer.purse.committed_wh) == ([], 5_000)
    assert bench.hear(bench.accept(again)).kinds() == [MessageType.BID_CONFIRM]


def test_need_for_one_bid_is_enough_to_follow_it() -> None:
    bench = Bench(buyer=make_buyer(need_wh=5_000))
    bid = bench.bidding()
    again = bench.hear(bench.push(52_000)).only(MessageType.BID)
    assert again.energy_wh == 5_000
    assert bench.buyer.purse.committed_wh == 5_000
    assert bench.hear(bench.reject(bid, ReasonCode.OUTBID, 52_000)).kinds() == []
    assert bench.hear(bench.accept(again)).kinds() == [MessageType.BID_CONFIRM]
    assert bench.buyer.purse.committed_wh == 5_000


def test_of_two_bids_for_one_need_the_second_award_is_not_confirmed() -> None:
    bench = Bench(buyer=make_buyer(need_wh=5_000))
    bid = bench.bidding()
    again = bench.hear(bench.push(52_000)).only(MessageType.BID)
    assert bench.hear(bench.accept(bid)).kinds() == [MessageType.BID_CONFIRM]
    assert bench.hear(bench.accept(again)).kinds() == []
    assert "not_confirmed" in bench.events()
    assert bench.buyer.purse.committed_wh == 5_000


def test_another_battery_may_not_have_what_a_bid_on_its_way_claims() -> None:
    buyer = make_buyer(need_wh=5_000)
    bench = Bench(buyer=buyer)
    bench.bidding()
    assert buyer.wanted_wh("elsewhere", 5_000, 0) == 0
    bench.hear(bench.push(52_000))
    assert buyer.wanted_wh("elsewhere", 5_000, 0) == 0


def test_an_overtaken_bid_is_given_up_as_well() -> None:
    bench = Bench()
    bench.bidding()
    bench.hear(bench.push(52_000))
    bench.hear(bench.push(52_000, own_e4=52_000), after_ms=ANSWER_MS // 2)
    assert bench.wait(ANSWER_MS // 2 - 15).events() == ["unanswered"]
    assert bench.buyer.purse.committed_wh == 5_000


@pytest.mark.parametrize("code", [2, 3, 8, 11, 12, 14, 15, 99])
def test_without_anything_to_sell_it_waits_for_the_next_push(code: int) -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(bench.reject(bid, code)).kinds() == []
    assert bench.wait(HEARD_MS // 2).kinds() == []
    assert bench.hear(bench.push(lot_wh=4_000)).kinds() == [MessageType.BID]


def test_a_lot_that_is_none_is_not_bid_for() -> None:
    bench = Bench()
    bench.open()
    assert bench.hear(bench.answer(lot_wh=0, code=14)).kinds() == []
    assert bench.hear(bench.push(lot_wh=99)).kinds() == []
    assert bench.hear(bench.push(lot_wh=5_000)).kinds() == [MessageType.BID]


def test_a_quantity_refused_as_too_small_is_not_bid_again_at_once() -> None:
    bench = Bench(buyer=make_buyer(max_bid_wh=1_000))
    bid = bench.bidding()
    assert bid.energy_wh == 1_000
    bench.hear(bench.reject(bid, ReasonCode.NOT_ENOUGH_ENERGY, RESERVE))
    assert bench.hear(bench.push()).kinds() == []
    assert bench.session.hungry
    assert bench.wait(HEARD_MS).kinds() == [MessageType.BID]


def test_what_is_left_after_anothers_award_is_bid_for_at_once() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(bench.push(lot_wh=2_000)).kinds() == []
    again = bench.hear(bench.reject(bid, ReasonCode.NOT_ENOUGH_ENERGY, RESERVE)).only(MessageType.BID)
    assert (again.energy_wh, again.bid_price_e4) == (2_000, RESERVE)


def test_after_a_device_failure_it_waits_for_the_next_push() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(Body.device_failure(FIRST_BATTERY_ID, BATTERY)).events() == ["failed"]
    assert bench.hear(bench.reject(bid, ReasonCode.FAULT)).kinds() == []
    assert bench.hear(bench.push()).kinds() == [MessageType.BID]


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        (ReasonCode.FAULT, "", "the battery has a fault or cannot be reached"),
        (ReasonCode.NOT_ENOUGH_ENERGY, "", "the battery has a fault or cannot be reached"),
        (ReasonCode.FAULT, "cell too hot", "cell too hot"),
        (ReasonCode.OFFLINE, "", "the battery cannot be reached"),
        (ReasonCode.WITHDRAWN, "", "the battery does not say why (code 12)"),
    ],
)
def test_a_device_failure_is_told_in_words_that_fit_a_lost_battery_too(code: int, told: str, reason: str) -> None:
    bench = Bench()
    bench.bidding()
    failure = Body.device_failure(FIRST_BATTERY_ID, BATTERY, code=code)
    (note,) = bench.hear(failure, extensions=Extensions(reason=told)).notes
    assert note == ("failed", {"code": code, "reason": reason})


def test_below_the_reserve_it_learns_the_reserve() -> None:
    bench = Bench(buyer=make_buyer(strategy="conservative"))
    bid = bench.bidding()
    assert bench.hear(bench.reject(bid, ReasonCode.PRICE_TOO_LOW, 70_000)).only(MessageType.BID).bid_price_e4 == 70_000


@pytest.mark.parametrize(("code", "first_ms"), [(6, 10_000), (7, 1_000), (9, 10_000), (5, 500), (13, 500), (10, 500)])
def test_after_a_rebuff_it_keeps_quiet_then_asks_before_it_bids(code: int, first_ms: int) -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(bench.reject(bid, code, RESERVE)).kinds() == []
    assert bench.hear(bench.push(51_000), after_ms=0).kinds() == []
    assert bench.wait(first_ms - 1).kinds() == []
    assert bench.wait(1).kinds() in ([MessageType.BID], [MessageType.QUERY])


def test_rebuffs_double() -> None:
    bench = Bench()
    bid = bench.bidding()
    waits = []
    for _ in range(3):
        bench.hear(bench.reject(bid, ReasonCode.NOT_TRUSTED, RESERVE))
        begun_ms = bench.now_ms
        while not bench.sent:
            bench.wait(100)
        waits.append(bench.now_ms - begun_ms)
        bid = bench.only(MessageType.BID)
    assert waits == [10_000, 20_000, 40_000]


def test_without_a_push_for_ten_seconds_it_asks() -> None:
    bench = Bench(buyer=make_buyer(strategy="timing"))
    bench.open()
    bench.hear(bench.answer(lot_wh=0, code=14))
    assert bench.wait(HEARD_MS - 1).kinds() == []
    assert bench.wait(1).kinds() == [MessageType.QUERY]


def test_three_questions_without_an_answer_end_the_connection() -> None:
    bench = Bench()
    bench.open()
    bench.hear(bench.answer(lot_wh=0, code=14))
    assert bench.wait(3 * HEARD_MS).hang_ups == []
    assert bench.wait(ASK_MS + HEARD_MS).hang_ups[:1] == ["does not answer"]


def test_a_wish_for_part_of_a_lot_is_asked_for_first() -> None:
    buyer = make_buyer(need_wh=7_000)
    bench = Bench(buyer=buyer)
    bid = bench.bidding()
    bench.hear(bench.accept(bid))
    bench.hear(bench.push(60_000, lot_wh=6_000))
    question = bench.only(MessageType.QUERY)
    assert question.energy_wh == 2_000
    assert bench.hear(bench.push(61_000, lot_wh=6_000)).kinds() == []
    assert (
        bench.hear(bench.push(75_000, lot_wh=6_000, id_=question.message_id)).only(MessageType.BID).bid_price_e4
        == 75_000
    )


def test_a_closed_connection_frees_the_claims_of_its_bids() -> None:
    bench = Bench()
    bench.bidding()
    bench.hear(bench.push(52_000))
    assert bench.buyer.purse.committed_wh == 5_000
    bench.do(bench.session.closed())
    assert bench.buyer.purse.committed_wh == 0
    assert bench.hear(bench.push()).kinds() == []


def test_lots_are_counted_once_as_won_or_lost() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.reject(bid, ReasonCode.OUTBID, 250_000))
    bench.hear(bench.push(lot_wh=0, code=14))
    bench.hear(bench.push(lot_wh=0, code=14))
    assert (bench.buyer.market.lots, bench.buyer.market.wins) == (1, 0)
    bid = bench.hear(bench.push()).only(MessageType.BID)
    bench.hear(bench.accept(bid))
    bench.hear(bench.push(lot_wh=0, code=14))
    assert (bench.buyer.market.lots, bench.buyer.market.wins) == (2, 1)


def test_reads_with_many_pushes_are_decided_once() -> None:
    bench = Bench()
    bench.open()
    bench.hear(bench.answer(), *(bench.push(RESERVE + 100 * k) for k in range(20)))
    assert bench.only(MessageType.BID).bid_price_e4 == RESERVE + 1_900


def test_ids_rise_across_restarts() -> None:
    early, late = Ids(1_700_000_000_000), Ids(1_700_000_000_001)
    assert max(early.next() for _ in range(100_000)) < late.next() < FIRST_BATTERY_ID
