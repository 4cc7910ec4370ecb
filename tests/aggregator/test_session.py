"""The session, driven by the frames a battery sends: what it answers, when, and what it never does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aggregator.bids import ANSWER_MS
from aggregator.buyer import Buyer, Ids
from aggregator.effects import Effect, HangUp, Note, Send
from aggregator.forecast import Forecast
from aggregator.purse import Purse
from aggregator.reputation import Reputation
from aggregator.session import ASK_MS, BID_GAP_MS, GREET_MS, HEARD_MS, PUSHED_MS, Session
from aggregator.stages import MOVES, Input, Stage
from aggregator.strategies import make_strategy
from aggregator.trades import TRADES_MAX
from aggregator.value import ValueModel
from etp.connection import Received
from etp.extensions import NO_EXTENSIONS, Extensions, Receipt
from etp.messages import FIRST_BATTERY_ID, Body, MessageType, ReasonCode

KEY = bytes(range(32))
BATTERY = 77
RESERVE = 50_000


def make_buyer(*, strategy: str = "truthful", need_wh: int | None = None, **options: Any) -> Buyer:
    return Buyer(
        strategy=make_strategy(strategy),
        value=ValueModel(forecast=Forecast.flat(200_000)),
        purse=Purse(need_wh=need_wh, budget=None),
        reputation=Reputation(),
        draws=lambda _: 0.5,
        wall_ms=lambda: 1_700_000_000_000,
        **options,
    )


class Bench:
    """A session with its clock and everything it has done."""

    def __init__(self, *, signed: bool = False, buyer: Buyer | None = None, ids: Ids | None = None) -> None:
        self.buyer = buyer or make_buyer()
        self.now_ms = 1_000
        self.signer: bytes | None = KEY if signed else None
        self.session = Session(
            battery="127.0.0.1:4084", device_id=5, buyer=self.buyer, ids=ids or Ids(0), signed=signed
        )
        self.sent: list[Send] = []
        self.notes: list[Note] = []
        self.hang_ups: list[str] = []
        self.pushes = itertools.count(FIRST_BATTERY_ID)

    def do(self, effects: list[Effect]) -> Bench:
        self.sent, self.notes, self.hang_ups = [], [], []
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append(effect)
                case Note():
                    self.notes.append(effect)
                case HangUp():
                    self.hang_ups.append(effect.reason)
        return self

    def open(self) -> Bench:
        return self.do(self.session.opened(self.now_ms))

    def hear(self, *bodies: Body, extensions: Extensions = NO_EXTENSIONS, after_ms: int = 20) -> Bench:
        self.now_ms += after_ms
        frames = [Received(body, extensions, "peer", self.signer, 0, "", self.now_ms - 1) for body in bodies]
        return self.do(self.session.received(frames, self.now_ms))

    def wait(self, ms: int) -> Bench:
        """Let time pass as the shell does: tick at each deadline."""
        end_ms = self.now_ms + ms
        effects: list[Effect] = []
        for _ in range(1_000):
            deadline = self.session.next_deadline()
            if deadline is None or deadline > end_ms:
                break
            self.now_ms = max(self.now_ms, deadline)
            effects += self.session.tick(self.now_ms)
        else:
            pytest.fail("the session never rests")
        self.now_ms = end_ms
        return self.do(effects)

    def push(
        self, beat_e4: int = RESERVE, *, own_e4: int = 0, lot_wh: int = 5_000, code: int = 0, id_: int = 0
    ) -> Body:
        return Body.query_response(
            id_ or next(self.pushes),
            BATTERY,
            beat_e4=beat_e4,
            own_e4=own_e4,
            usable_wh=10_000,
            lot_wh=lot_wh,
            lot_power_w=-5_000,
            code=code,
        )

    def answer(self, beat_e4: int = RESERVE, **options: Any) -> Body:
        return self.push(beat_e4, id_=self.only(MessageType.QUERY).message_id, **options)

    def accept(self, bid: Body, **changes: Any) -> Body:
        fields: dict[str, Any] = {"price_e4": bid.bid_price_e4, "energy_wh": bid.energy_wh, "power_w": -5_000}
        return Body.bid_accept(bid.message_id, BATTERY, **{**fields, **changes})

    def reject(self, bid: Body, code: int, beat_e4: int = 0) -> Body:
        return Body.bid_reject(bid.message_id, BATTERY, code=code, beat_e4=beat_e4)

    def only(self, kind: MessageType) -> Body:
        (send,) = [send for send in self.sent if send.body.message_type == kind]
        return send.body

    def kinds(self) -> list[MessageType]:
        return [MessageType(send.body.message_type) for send in self.sent]

    def events(self) -> list[str]:
        return [note.event for note in self.notes]

    def bidding(self, beat_e4: int = RESERVE) -> Body:
        """Open, ask, be answered: return the first bid."""
        self.open()
        if self.session.stage is Stage.GREETING:
            self.hear(Body.register(FIRST_BATTERY_ID, BATTERY))
        return self.hear(self.answer(beat_e4)).only(MessageType.BID)

    def agreed(self) -> Body:
        """Bid, be accepted, confirm: return the bid."""
        bid = self.bidding()
        assert self.hear(self.accept(bid)).kinds() == [MessageType.BID_CONFIRM]
        return bid


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
    assert bench.buyer.purse.committed_wh == 10_000
    bench.hear(bench.reject(bid, ReasonCode.OUTBID, 52_000))
    assert (bench.kinds(), bench.buyer.purse.committed_wh) == ([], 5_000)
    assert bench.hear(bench.accept(again)).kinds() == [MessageType.BID_CONFIRM]


def test_an_overtaken_bid_that_wins_after_all_is_confirmed_too() -> None:
    bench = Bench()
    bid = bench.bidding()
    bench.hear(bench.push(52_000))
    assert bench.hear(bench.accept(bid)).kinds() == [MessageType.BID_CONFIRM]
    assert bench.session.stage is Stage.PENDING


def test_without_need_for_both_the_answer_is_awaited() -> None:
    bench = Bench(buyer=make_buyer(need_wh=5_000))
    bid = bench.bidding()
    assert bench.hear(bench.push(52_000)).kinds() == []
    assert bench.session.hungry
    assert bench.hear(bench.reject(bid, ReasonCode.OUTBID, 53_000)).kinds() == [MessageType.BID]


def test_a_bid_that_is_never_answered_is_given_up_and_its_late_accept_not_confirmed() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert "unanswered" not in bench.wait(ANSWER_MS - 1).events()
    assert bench.wait(1).events() == ["unanswered", "bid"]
    bench.hear(bench.accept(bid))
    assert bench.events() == ["not_confirmed"]


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


def test_after_a_device_failure_it_waits_for_the_next_push() -> None:
    bench = Bench()
    bid = bench.bidding()
    assert bench.hear(Body.device_failure(FIRST_BATTERY_ID, BATTERY)).events() == ["failed"]
    assert bench.hear(bench.reject(bid, ReasonCode.FAULT)).kinds() == []
    assert bench.hear(bench.push()).kinds() == [MessageType.BID]


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


def test_a_signed_buyer_answers_a_receipt_it_agrees_with() -> None:
    bench = Bench(signed=True)
    bid = bench.agreed()
    interim = receipt(1_000, final=0)
    status = Body.bess_status(bid.message_id, BATTERY, delivered_wh=1_000)
    bench.hear(status, extensions=Extensions(receipt=interim))
    assert [(send.body.message_type, send.receipt) for send in bench.sent] == [(MessageType.BESS_STATUS, interim)]
    final = receipt(5_000)
    end = Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=5_000)
    bench.hear(end, extensions=Extensions(receipt=final))
    (answer,) = bench.sent
    assert answer.body == Body.terminate(bid.message_id, 5, code=0, delivered_wh=5_000)
    assert answer.receipt == final


def test_a_signed_buyer_disputes_more_than_was_agreed_and_less_than_was_reported() -> None:
    bench = Bench(signed=True)
    bid = bench.agreed()
    bench.hear(Body.bess_status(bid.message_id, BATTERY, delivered_wh=3_000))
    bench.hear(
        Body.bess_status(bid.message_id, BATTERY, delivered_wh=9_000), extensions=Extensions(receipt=receipt(9_000))
    )
    assert (bench.sent[0].body.termination_code, bench.sent[0].body.energy_wh) == (15, 5_000)
    end = Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=1_000)
    bench.hear(end, extensions=Extensions(receipt=receipt(1_000)))
    (answer,) = bench.sent
    assert (answer.body.termination_code, answer.body.energy_wh) == (15, 5_000)
    assert answer.receipt is not None
    assert answer.receipt.delivered_wh == 5_000


def test_an_unsigned_buyer_does_not_answer_receipts() -> None:
    bench = Bench()
    bid = bench.agreed()
    end = Body.terminate(bid.message_id, BATTERY, code=0, delivered_wh=5_000)
    assert MessageType.TERMINATE not in bench.hear(end, extensions=Extensions(receipt=receipt(5_000))).kinds()


def test_a_closed_connection_frees_the_claims_of_its_bids() -> None:
    bench = Bench()
    bench.bidding()
    bench.hear(bench.push(52_000))
    assert bench.buyer.purse.committed_wh == 10_000
    bench.do(bench.session.closed())
    assert bench.buyer.purse.committed_wh == 0
    assert bench.hear(bench.push()).kinds() == []


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
