"""The trades of one battery: from the Accept we confirm to the Terminate that ends them (ETP section 7).

                   ACKED     REJECTED   TERMINATED   CUT       EXPIRED   KEPT         LOST
    KEEPING        KEEPING   ENDED      ENDED        KEEPING   ENDED     CONFIRMING   ENDED
    CONFIRMING     RUNNING   ENDED      ENDED        ADRIFT    ENDED     CONFIRMING   CONFIRMING
    RUNNING        RUNNING   RUNNING    ENDED        ADRIFT    ENDED     RUNNING      RUNNING
    ADRIFT         ADRIFT    ADRIFT     ENDED        ADRIFT    ENDED     ADRIFT       ADRIFT

A settled trade begins as KEEPING: its contract is on its way to disk, and its Confirm waits for that. CUT is the loss
of the only connection on which an unsigned peer can be heard; a signed peer's trade is not cut: its Confirm goes out
again on the next connection. An adrift trade may still be delivered, so need and budget stay committed until it must be
over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aggregator.entries import Key
    from etp.extensions import Contract

RESEND_MS: Final = 250
RESEND_MAX_MS: Final = 5_000
TRADES_MAX: Final = 256
"""Open trades with one battery: more than a lot has steps is a battery that never ends them."""
_GRACE_MS: Final = 90_000
"""What a Terminate may be late after the window, a restart of the battery included."""


class Stage(Enum):
    """How far a trade is."""

    KEEPING = "keeping"
    CONFIRMING = "confirming"
    RUNNING = "running"
    ADRIFT = "adrift"
    ENDED = "ended"


class Move(Enum):
    """What happens to a trade."""

    ACKED = "acknowledged by BESSStatus"
    REJECTED = "Confirm refused"
    TERMINATED = "Terminate"
    CUT = "connection of an unsigned trade lost"
    EXPIRED = "no word until it must be over"
    KEPT = "its contract is on disk"
    LOST = "its contract cannot be put on disk"


MOVES: Final[dict[tuple[Stage, Move], Stage]] = {
    (Stage.KEEPING, Move.ACKED): Stage.KEEPING,
    (Stage.KEEPING, Move.REJECTED): Stage.ENDED,
    (Stage.KEEPING, Move.TERMINATED): Stage.ENDED,
    (Stage.KEEPING, Move.CUT): Stage.KEEPING,
    (Stage.KEEPING, Move.EXPIRED): Stage.ENDED,
    (Stage.KEEPING, Move.KEPT): Stage.CONFIRMING,
    (Stage.KEEPING, Move.LOST): Stage.ENDED,
    (Stage.CONFIRMING, Move.ACKED): Stage.RUNNING,
    (Stage.CONFIRMING, Move.REJECTED): Stage.ENDED,
    (Stage.CONFIRMING, Move.TERMINATED): Stage.ENDED,
    (Stage.CONFIRMING, Move.CUT): Stage.ADRIFT,
    (Stage.CONFIRMING, Move.EXPIRED): Stage.ENDED,
    (Stage.RUNNING, Move.ACKED): Stage.RUNNING,
    (Stage.RUNNING, Move.REJECTED): Stage.RUNNING,
    (Stage.RUNNING, Move.TERMINATED): Stage.ENDED,
    (Stage.RUNNING, Move.CUT): Stage.ADRIFT,
    (Stage.RUNNING, Move.EXPIRED): Stage.ENDED,
    (Stage.ADRIFT, Move.ACKED): Stage.ADRIFT,
    (Stage.ADRIFT, Move.REJECTED): Stage.ADRIFT,
    (Stage.ADRIFT, Move.TERMINATED): Stage.ENDED,
    (Stage.ADRIFT, Move.CUT): Stage.ADRIFT,
    (Stage.ADRIFT, Move.EXPIRED): Stage.ENDED,
    **{
        (stage, move): stage
        for stage in (Stage.CONFIRMING, Stage.RUNNING, Stage.ADRIFT)
        for move in (Move.KEPT, Move.LOST)
    },
}


@dataclass(slots=True, kw_only=True)
class Trade:
    """One trade: what was agreed, how far it is, and when its Confirm is due again."""

    bid_id: int
    price_e4: int
    energy_wh: int
    power_w: int
    signed: bool
    agreed_ms: int
    expires_ms: int
    key: Key | None = None
    """The name of a settled trade in the journal."""
    contract: Contract | None = None
    """What the Confirm of a settled trade carries, under our signature."""
    ends_ms: int | None = None
    """When the delivery's window is over, until that has been noted."""
    cause_ms: int | None = None
    """When the Accept could first have been read, until its Confirm has left."""
    stage: Stage = Stage.CONFIRMING
    delivered_wh: int = 0
    resend_gap_ms: int = 2 * RESEND_MS
    resend_at_ms: int = 0


def window_ms(lot_wh: int, power_w: int) -> int:
    """Return how long a trade may take from its Confirm: ceil(4500 x lot kWh / lot kW) + 60 s."""
    return 7_200_000 if power_w <= 0 else (-(-4_500 * lot_wh // power_w) + 60) * 1_000


class TradeTable:
    """The open trades of one battery, by bid id; ended ones are gone from it."""

    __slots__ = ("_link_up", "_trades")

    def __init__(self) -> None:
        self._trades: dict[int, Trade] = {}
        self._link_up = False

    def __iter__(self) -> Iterator[Trade]:
        return iter(tuple(self._trades.values()))

    def __len__(self) -> int:
        return len(self._trades)

    @property
    def is_full(self) -> bool:
        """Whether no further trade may be agreed."""
        return len(self._trades) >= TRADES_MAX

    def get(self, bid_id: int) -> Trade | None:
        """Return an open trade."""
        return self._trades.get(bid_id)

    def agree(
        self, bid_id: int, *, price_e4: int, energy_wh: int, power_w: int, signed: bool, takes_ms: int, now_ms: int
    ) -> Trade:
        """Add a trade whose Confirm leaves now; `takes_ms` is its window."""
        trade = Trade(
            bid_id=bid_id,
            price_e4=price_e4,
            energy_wh=energy_wh,
            power_w=power_w,
            signed=signed,
            agreed_ms=now_ms,
            expires_ms=now_ms + takes_ms + _GRACE_MS,
            resend_at_ms=now_ms + RESEND_MS,
        )
        self._trades[bid_id] = trade
        return trade

    def move(self, trade: Trade, move: Move) -> Stage:
        """Make a move and return the stage that follows; an ended trade leaves the table."""
        trade.stage = MOVES[trade.stage, move]
        if trade.stage is Stage.ENDED:
            del self._trades[trade.bid_id]
        return trade.stage

    def adopt(self, other: TradeTable) -> None:
        """Take over the signed trades of the same battery's former place."""
        for trade in [trade for trade in other if trade.signed]:
            self._trades[trade.bid_id] = trade
            del other._trades[trade.bid_id]

    def link_up(self, now_ms: int) -> None:
        """Note that a connection can carry Confirms: those of signed trades are due at once."""
        self._link_up = True
        for trade in self._trades.values():
            trade.resend_gap_ms = RESEND_MS
            trade.resend_at_ms = now_ms

    def link_down(self) -> list[Trade]:
        """Note that the connection is gone; return the trades that are adrift now."""
        self._link_up = False
        cut = [trade for trade in self if not trade.signed and trade.stage is not Stage.ADRIFT]
        for trade in cut:
            self.move(trade, Move.CUT)
        return cut

    def due(self, now_ms: int) -> list[Trade]:
        """Return the trades whose Confirm must go out again now, and put off the next time."""
        due = [trade for trade in self._resending() if trade.resend_at_ms <= now_ms]
        for trade in due:
            trade.resend_at_ms = now_ms + trade.resend_gap_ms
            trade.resend_gap_ms = min(RESEND_MAX_MS, 2 * trade.resend_gap_ms)
        return [trade for trade in due if trade.stage is Stage.CONFIRMING]

    def expired(self, now_ms: int) -> list[Trade]:
        """Return the trades of which no word came until they must be over."""
        return [trade for trade in self if trade.expires_ms <= now_ms]

    def windows_over(self, now_ms: int) -> list[Trade]:
        """Return, once, the settled trades whose windows are over."""
        over = [trade for trade in self if trade.ends_ms is not None and trade.ends_ms <= now_ms]
        for trade in over:
            trade.ends_ms = None
        return over

    def next_deadline(self) -> int | None:
        """Return when `due`, `windows_over` or `expired` has something to say."""
        times = [trade.expires_ms for trade in self._trades.values()]
        times += [trade.ends_ms for trade in self._trades.values() if trade.ends_ms is not None]
        times += [trade.resend_at_ms for trade in self._resending()]
        return min(times, default=None)

    def _resending(self) -> list[Trade]:
        if not self._link_up:
            return []
        return [trade for trade in self._trades.values() if trade.stage in (Stage.KEEPING, Stage.CONFIRMING)]
