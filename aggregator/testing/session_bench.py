"""A bench for one session: its clock, what it does, and short names for what a battery says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from aggregator.buyer import Buyer, Ids
from aggregator.effects import Effect, Fetch, HangUp, Keep, Note, Send
from aggregator.forecast import Forecast
from aggregator.purse import Purse
from aggregator.reputation import Reputation
from aggregator.session import Session
from aggregator.stages import Stage
from aggregator.strategies import make_strategy
from aggregator.value import ValueModel
from etp.connection import Received
from etp.extensions import NO_EXTENSIONS, Extensions
from etp.messages import FIRST_BATTERY_ID, Body, MessageType

if TYPE_CHECKING:
    from aggregator.settling import Settling

KEY: Final = bytes(range(32))
BATTERY: Final = 77
RESERVE: Final = 50_000


def make_buyer(*, strategy: str = "truthful", need_wh: int | None = None, **options: Any) -> Buyer:
    """Return a buyer to whom every kWh is worth 20 c."""
    return Buyer(
        strategy=make_strategy(strategy),
        value=ValueModel(forecast=Forecast.flat(200_000)),
        purse=Purse(need_wh=need_wh, budget=None),
        reputation=Reputation(),
        draws=lambda _: 0.5,
        wall_ms=lambda: 1_700_000_000_000,
        **options,
    )


class SessionBench:
    """A session with its clock and everything it has done."""

    def __init__(
        self,
        *,
        signed: bool = False,
        buyer: Buyer | None = None,
        ids: Ids | None = None,
        settling: Settling | None = None,
    ) -> None:
        self.buyer = buyer or make_buyer()
        self.now_ms = 1_000
        self.signer: bytes | None = KEY if signed else None
        self.session = Session(
            battery="127.0.0.1:4084",
            device_id=5,
            buyer=self.buyer,
            ids=ids or Ids(0),
            signed=signed,
            settling=settling,
        )
        self.sent: list[Send] = []
        self.notes: list[Note] = []
        self.hang_ups: list[str] = []
        self.pushes = itertools.count(FIRST_BATTERY_ID)

    def do(self, effects: list[Effect]) -> SessionBench:
        """Sort effects into what was sent, told and hung up."""
        self.sent, self.notes, self.hang_ups = [], [], []
        self.perform(effects)
        return self

    def perform(self, effects: list[Effect]) -> None:
        """Sort effects into what was sent, told and hung up; nothing settles here, so nothing has to be kept."""
        for effect in effects:
            match effect:
                case Send():
                    self.sent.append(effect)
                case Note():
                    self.notes.append(effect)
                case HangUp():
                    self.hang_ups.append(effect.reason)
                case Keep() | Fetch():
                    raise AssertionError("nothing is kept without settlement")

    def open(self) -> SessionBench:
        """Open the connection."""
        return self.do(self.session.opened(self.now_ms))

    def hear(self, *bodies: Body, extensions: Extensions = NO_EXTENSIONS, after_ms: int = 20) -> SessionBench:
        """Let the session receive frames in one read, a moment later."""
        self.now_ms += after_ms
        frames = [Received(body, extensions, "peer", self.signer, 0, "", self.now_ms - 1) for body in bodies]
        return self.do(self.session.received(frames, self.now_ms))

    def wait(self, ms: int) -> SessionBench:
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
            raise AssertionError("the session never rests")
        self.now_ms = end_ms
        return self.do(effects)

    def push(
        self, beat_e4: int = RESERVE, *, own_e4: int = 0, lot_wh: int = 5_000, code: int = 0, id_: int = 0
    ) -> Body:
        """Quote a lot, as a push or as the answer to the Query `id_`."""
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
        """Answer the one Query that was sent."""
        return self.push(beat_e4, id_=self.only(MessageType.QUERY).message_id, **options)

    def accept(self, bid: Body, **changes: Any) -> Body:
        """Accept a bid as it is, or with changes."""
        fields: dict[str, Any] = {"price_e4": bid.bid_price_e4, "energy_wh": bid.energy_wh, "power_w": -5_000}
        return Body.bid_accept(bid.message_id, BATTERY, **{**fields, **changes})

    def reject(self, bid: Body, code: int, beat_e4: int = 0) -> Body:
        """Refuse a bid or a Confirm."""
        return Body.bid_reject(bid.message_id, BATTERY, code=code, beat_e4=beat_e4)

    def only(self, kind: MessageType) -> Body:
        """Return the one frame of a type that was sent."""
        (send,) = [send for send in self.sent if send.body.message_type == kind]
        return send.body

    def kinds(self) -> list[MessageType]:
        """Return the types of what was sent, in order."""
        return [MessageType(send.body.message_type) for send in self.sent]

    def events(self) -> list[str]:
        """Return what was told, in order."""
        return [note.event for note in self.notes]

    def greet(self) -> SessionBench:
        """Open a connection, and let the battery register."""
        self.open()
        if self.session.stage is Stage.GREETING:
            self.hear(Body.register(FIRST_BATTERY_ID, BATTERY))
        return self

    def bidding(self, beat_e4: int = RESERVE) -> Body:
        """Open, ask, be answered: return the first bid."""
        self.greet()
        return self.hear(self.answer(beat_e4)).only(MessageType.BID)

    def agreed(self) -> Body:
        """Bid, be accepted, confirm: return the bid."""
        bid = self.bidding()
        self.hear(self.accept(bid)).only(MessageType.BID_CONFIRM)
        return bid
