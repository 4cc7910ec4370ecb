"""A settling session under everything that can happen to it, in any order: nothing is said that is not on disk.

A battery that answers well or badly, a disk that is slow or full, connections and processes that end at any moment.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregator.entries import Key, State
from aggregator.testing.money_bench import MoneyBench
from aggregator.testing.session_bench import RESERVE
from etp.messages import Body, MessageType, ReasonCode
from settlement.cover import promised

if TYPE_CHECKING:
    from aggregator.effects import Effect, Send
    from etp.extensions import Receipt

LINE = 3_000_000
"""Covers two lots of 5 kWh at what a kWh is worth, and a bit."""


TWISTS = st.sampled_from([{}, {}, {}, {}, {"fee_bps": 49}, {"valid_until_s": 1_700_300_000}])


class WatchedBench(MoneyBench):
    """Holds every frame that leaves against the file on disk, at the moment at which it leaves."""

    def perform(self, effects: list[Effect]) -> None:
        before = len(self.sent)
        super().perform(effects)
        for send in self.sent[before:]:
            if send not in self.told:
                self.told.append(send)
                self.check(send)

    told: list[Send]
    finals: dict[int, set[Receipt]]

    def check(self, send: Send) -> None:
        entry = self.file.read(Key(self.seller.keys.public_keys["identity"], send.body.message_id))
        if send.body.message_type == MessageType.BID_CONFIRM:
            assert entry is not None
            assert send.contract == entry.contract.to_wire(entry.cheque.buyer_signature)
        if send.receipt is None:
            return
        assert entry is not None
        entry.cheque.check()
        if not send.receipt.final:
            return
        self.finals.setdefault(send.body.message_id, set()).add(send.receipt)
        own = entry.cheque.final if entry.state is State.AGREED else entry.own
        assert own is not None
        assert own.receipt.delivered_wh == send.receipt.delivered_wh
        assert own.buyer_signature == send.receipt.signature


class Market(RuleBasedStateMachine):
    """One battery, one buyer, one Line."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="wb-")
        self.bench = self.made(None)
        self.bids: list[Send] = []
        self.used = 0

    def made(self, after: WatchedBench | None) -> WatchedBench:
        bench = WatchedBench.__new__(WatchedBench)
        bench.told = []
        bench.finals = {} if after is None else after.finals
        bench.__init__(Path(self.directory.name) / "cheques.db", after=after)  # type: ignore[misc]
        return bench

    def teardown(self) -> None:
        self.bench.file.close()
        self.directory.cleanup()

    @property
    def is_up(self) -> bool:
        return self.bench.session.stage.value not in ("down", "greeting")

    @initialize()
    def funded(self) -> None:
        self.bench.allot(LINE)
        self.bench.register()

    @precondition(lambda self: not self.is_up)
    @rule()
    def connects(self) -> None:
        self.bench.register()
        self.note()

    @precondition(lambda self: self.is_up)
    @rule()
    def loses_the_connection(self) -> None:
        self.bench.do(self.bench.session.closed())

    @rule(holds=st.booleans())
    def crashes(self, holds: bool) -> None:
        self.bench.crash()
        self.bench.now_ms += 1_000
        self.bench = self.made(self.bench)
        self.bench.holds_disk = holds

    @rule(holds=st.booleans())
    def the_disk_changes(self, holds: bool) -> None:
        self.bench.holds_disk = holds

    @precondition(lambda self: self.bench.waiting)
    @rule(error=st.sampled_from(["", "", "No space left on device"]))
    def the_disk_writes(self, error: str) -> None:
        self.bench.write(error)

    @precondition(lambda self: self.is_up)
    @rule(lot_wh=st.sampled_from([500, 5_000]), twist=TWISTS)
    def sells(self, lot_wh: int, twist: dict[str, Any]) -> None:
        """Quote, answer what is asked, and accept the bid that comes of it."""
        self.quotes(lot_wh)
        self.bench.now_ms += 20
        self.bench.do(self.bench.session.tick(self.bench.now_ms))
        self.note()
        self.quotes(lot_wh)
        if self.is_up and self.bids:
            self.accepts(twist)

    @precondition(lambda self: self.is_up)
    @rule(lot_wh=st.sampled_from([500, 5_000]))
    def quotes(self, lot_wh: int) -> None:
        asked = [send.body.message_id for send in self.bench.told if send.body.message_type == MessageType.QUERY]
        self.bench.hear(self.bench.push(RESERVE, lot_wh=lot_wh, id_=asked[-1] if asked else 0))
        self.note()
        self.bench.hear(self.bench.push(RESERVE, lot_wh=lot_wh))
        self.note()

    @rule(ms=st.sampled_from([50, 500, 10_000, 600_000]))
    def time_passes(self, ms: int) -> None:
        self.bench.do([])
        if self.is_up:
            self.bench.now_ms += ms
            self.bench.do(self.bench.session.tick(self.bench.now_ms))
        else:
            self.bench.wait(ms)
        self.note()

    @precondition(lambda self: self.is_up and self.bids)
    @rule(twist=TWISTS)
    def accepts(self, twist: dict[str, Any]) -> None:
        self.bench.accepted(self.bids.pop(), **twist)
        self.note()

    @precondition(lambda self: self.is_up and self.bids)
    @rule(code=st.sampled_from([ReasonCode.OUTBID, ReasonCode.COVER_TOO_SMALL]))
    def refuses(self, code: ReasonCode) -> None:
        self.bench.hear(self.bench.reject(self.bids.pop().body, code, RESERVE))
        self.note()

    @precondition(lambda self: self.is_up and self.bench.seller.contracts)
    @rule(data=st.data())
    def voids(self, data: st.DataObject) -> None:
        bid = self.some(data)
        self.bench.end(bid, None, code=ReasonCode.NOT_CONFIRMED)

    @precondition(lambda self: self.is_up and self.bench.seller.contracts)
    @rule(data=st.data(), wh=st.integers(0, 6_000), after_ms=st.sampled_from([20, 5_000, 300_000]))
    def reports(self, data: st.DataObject, wh: int, after_ms: int) -> None:
        bid = self.some(data)
        receipt = None
        if data.draw(st.booleans()):
            receipt = self.bench.seller.receipt(bid.message_id, wh, final=False)
        self.bench.status(bid, wh, receipt, after_ms=after_ms)

    @precondition(lambda self: self.is_up and self.bench.seller.contracts)
    @rule(data=st.data(), wh=st.integers(0, 6_000) | st.sampled_from([0, 10, 500]))
    def ends(self, data: st.DataObject, wh: int) -> None:
        bid = self.some(data)
        self.bench.end(bid, self.bench.seller.receipt(bid.message_id, wh, final=True))

    @precondition(lambda self: self.bench.seller.contracts)
    @rule(data=st.data())
    def is_paid_on_the_ledger(self, data: st.DataObject) -> None:
        contract = data.draw(st.sampled_from(list(self.bench.seller.contracts.values())))
        if self.used >> contract.contract_no & 1:
            return
        self.used |= 1 << contract.contract_no
        line = self.bench.settler.lines[self.bench.seller.wallet]
        self.bench.allot(max(0, line.amount - contract.reserve), used=self.used)

    @rule()
    def more_is_allotted(self) -> None:
        self.bench.allot(LINE, used=self.used)

    @invariant()
    def one_final_answer_a_trade(self) -> None:
        for receipts in self.bench.finals.values():
            assert len(receipts) == 1, receipts

    @invariant()
    def what_the_settler_has_is_signed_by_both(self) -> None:
        for cheque, figure_wh in self.bench.settler.puts[-2:]:
            cheque.check()
            assert figure_wh is None or 0 <= figure_wh <= cheque.contract.energy_wh

    @invariant()
    def need_and_budget_know_every_open_trade(self) -> None:
        assert self.bench.buyer.purse.committed_wh >= 0
        assert len(self.bench.session._deals) <= len(self.bench.buyer.purse._claims)

    def note(self) -> None:
        """Remember the bids that wait for an answer; a Line never covers less than what is promised on it."""
        for send in self.bench.sent:
            if send.body.message_type == MessageType.BID and send not in self.bids:
                self.bids.append(send)
            if send.body.message_type == MessageType.BID_CONFIRM and send.contract is not None:
                self.covered(send)

    def covered(self, send: Send) -> None:
        line = self.bench.settler.lines[self.bench.seller.wallet]
        key = Key(self.bench.seller.keys.public_keys["identity"], send.body.message_id)
        entry = self.bench.settling.book.get(key)
        is_new = entry is not None and entry.agreed_at_ms == self.bench.wall_ms()
        if is_new:
            assert promised(line, self.bench.settling.book.promises(key.battery, line)) <= line.cover

    def some(self, data: st.DataObject) -> Body:
        """Return the bid of some contract that the battery has signed."""
        bid_id = data.draw(st.sampled_from(list(self.bench.seller.contracts)))
        contract = self.bench.seller.contracts[bid_id]
        return Body.bid(bid_id, 5, price_e4=contract.price_e4, energy_wh=contract.energy_wh)


TestMarket = Market.TestCase
TestMarket.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
