"""Whatever a battery says: no session breaks, promises too much, confirms what it did not bid, or spins."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aggregator.effects import Effect, Note, Send
from aggregator.stages import Stage
from aggregator.testing.session_bench import BATTERY, KEY, SessionBench, make_buyer
from etp.connection import Received
from etp.extensions import NO_EXTENSIONS, Extensions, Receipt
from etp.messages import FIRST_BATTERY_ID, Body, MessageType

NEED_WH = 20_000
PRICES = st.integers(0, 2_500).map(lambda ticks: ticks * 100)
ENERGIES = st.integers(0, 70).map(lambda steps: steps * 100)


class SessionMachine(RuleBasedStateMachine):
    """A battery that says anything to one session, over connections that come and go."""

    @initialize(signed=st.booleans(), name=st.sampled_from(["truthful", "zip", "random"]))
    def begin(self, signed: bool, name: str) -> None:
        self.bench = SessionBench(signed=signed, buyer=make_buyer(strategy=name, need_wh=NEED_WH, max_bid_wh=6_000))
        self.bids: dict[int, Body] = {}
        self.queries: list[int] = []
        self.confirmed: dict[int, Body] = {}

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                body = Body.decode(effect.body.encode())
                match body.message_type:
                    case MessageType.BID:
                        assert body.message_id not in self.bids
                        self.bids[body.message_id] = body
                    case MessageType.QUERY:
                        self.queries.append(body.message_id)
                    case MessageType.BID_CONFIRM:
                        bid = self.bids[body.message_id]
                        assert body.energy_wh == bid.energy_wh
                        assert body.sale_price_e4 <= bid.bid_price_e4
                        before = self.confirmed.setdefault(body.message_id, body)
                        assert before == body
            elif isinstance(effect, Note):
                assert effect.event
                self.bench.session.summary()

    def hear(self, body: Body, extensions: Extensions = NO_EXTENSIONS) -> None:
        if self.bench.session.stage is not Stage.DOWN:
            frame = Received(body, extensions, "peer", self.bench.signer, 0, "", self.bench.now_ms)
            self.take(self.bench.session.received([frame], self.bench.now_ms))

    def some_id(self, choice: int) -> int:
        known = [*list(self.bids)[-4:], 12_345]
        return known[choice % len(known)]

    @rule()
    def open(self) -> None:
        if self.bench.session.stage is Stage.DOWN:
            self.take(self.bench.session.opened(self.bench.now_ms))

    @rule()
    def close(self) -> None:
        if self.bench.session.stage is not Stage.DOWN:
            self.take(self.bench.session.closed())

    @rule(ms=st.sampled_from([0, 1, 20, 250, 3_000, 10_000, 100_000, 8_000_000]))
    def wait(self, ms: int) -> None:
        end_ms = self.bench.now_ms + ms
        for _ in range(20_000):
            deadline = self.bench.session.next_deadline()
            if deadline is None or deadline > end_ms:
                break
            self.bench.now_ms = max(self.bench.now_ms, deadline)
            self.take(self.bench.session.tick(self.bench.now_ms))
        else:
            raise AssertionError("the session never rests")
        self.bench.now_ms = end_ms

    @rule()
    def register(self) -> None:
        self.hear(Body.register(FIRST_BATTERY_ID, BATTERY))

    @rule(beat=PRICES, own=st.sampled_from([0, 0, 50_000]), lot=ENERGIES, code=st.sampled_from([0, 0, 0, 11, 14]))
    def push(self, beat: int, own: int, lot: int, code: int) -> None:
        self.hear(self.bench.push(beat, own_e4=own, lot_wh=lot, code=code))

    @rule(beat=PRICES, lot=ENERGIES)
    def answer(self, beat: int, lot: int) -> None:
        if self.queries:
            self.hear(self.bench.push(beat, lot_wh=lot, id_=self.queries[-1]))

    @rule(choice=st.integers(0, 9), code=st.integers(0, 16), beat=PRICES)
    def reject(self, choice: int, code: int, beat: int) -> None:
        self.hear(Body.bid_reject(self.some_id(choice), BATTERY, code=code, beat_e4=beat))

    @rule(choice=st.integers(0, 9), less=st.sampled_from([0, 0, 0, 100, -100, 50]), wh=st.sampled_from([0, 0, 0, 100]))
    def accept(self, choice: int, less: int, wh: int) -> None:
        bid = self.bids.get(self.some_id(choice), Body.bid(12_345, 1, price_e4=50_000, energy_wh=100))
        price = max(0, bid.bid_price_e4 - less)
        self.hear(
            Body.bid_accept(bid.message_id, BATTERY, price_e4=price, energy_wh=bid.energy_wh + wh, power_w=-5_000)
        )

    @rule(choice=st.integers(0, 9), delivered=ENERGIES, receipt=st.booleans())
    def status(self, choice: int, delivered: int, receipt: bool) -> None:
        extensions = Extensions(receipt=Receipt(0, delivered, 1, 2, KEY)) if receipt else NO_EXTENSIONS
        self.hear(Body.bess_status(self.some_id(choice), BATTERY, delivered_wh=delivered), extensions)

    @rule(choice=st.integers(0, 9), delivered=ENERGIES, code=st.sampled_from([0, 2, 10, 11]), receipt=st.booleans())
    def terminate(self, choice: int, delivered: int, code: int, receipt: bool) -> None:
        extensions = Extensions(receipt=Receipt(1, delivered, 1, 2, KEY)) if receipt else NO_EXTENSIONS
        self.hear(Body.terminate(self.some_id(choice), BATTERY, code=code, delivered_wh=delivered), extensions)

    @rule()
    def fail(self) -> None:
        self.hear(Body.device_failure(FIRST_BATTERY_ID, BATTERY))

    @invariant()
    def need_is_not_exceeded_and_every_claim_has_a_reason(self) -> None:
        purse, session = self.bench.buyer.purse, self.bench.session
        assert purse.bought_wh + purse.committed_wh <= NEED_WH
        waiting_wh = max((bid.energy_wh for bid in session._bids._all()), default=0)
        traded_wh = sum(trade.energy_wh for trade in session._deals._table)
        assert purse.committed_wh == waiting_wh + traded_wh
        assert (session._bids.latest is not None) == (session.stage is Stage.PENDING)


SessionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSession = SessionMachine.TestCase
