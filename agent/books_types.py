"""The values that books are made of; `agent.books` folds records into them and says what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from agent import records
from agent.pricing import SalesHistory
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.books_cheques import BookedCheque, BookedNumbers
    from agent.pricing import Markup
    from agent.records import Deal, RecordBody, TradeKey

BUYERS_MAX: Final = 4_096
NOTES_MAX: Final = 16
ENDS_MAX: Final = 256
END_KEPT_MS: Final = 7 * 86_400_000
"""A buyer that has not come back after a week has closed its own books on a trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedAward:
    """An award that is neither confirmed nor void; `seq` and `at_ms` (wall) are its record's."""

    seq: int
    at_ms: int
    deal: Deal


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedTrade:
    """A confirmed trade that has not ended.

    `confirmed_wall_ms` starts its window. `started_wall_ms` is when the battery began to serve it; None until a
    setpoint was on the wire, and when it got all it has before the battery was let go. `counter_wh` is the discharge
    counter at the last record that named one, so that energy which left while nobody metered can be told;
    `counter_wall_ms` is that record's time. `confirmed_at_ms` and `first_setpoint_at_ms` are monotonic times of the
    process that wrote them, None = not on record; the latter is of the very first setpoint, whichever start sent it,
    and `begun_wall_ms` the time of day when that was put on record.
    """

    seq: int
    award_seq: int
    deal: Deal
    confirmed_wall_ms: int
    confirmed_at_ms: int | None = None
    started_wall_ms: int | None = None
    first_setpoint_at_ms: int | None = None
    begun_wall_ms: int | None = None
    delivered_wh: int = 0
    counter_wh: int | None = None
    counter_wall_ms: int | None = None
    chain: str = ""
    shared: tuple[str, ...] = ()
    """What is on record of its evidence: the hash so far in hex, and the trades that shared its counter."""

    @property
    def remaining_wh(self) -> int:
        """The energy still owed."""
        return max(0, self.deal.energy_wh - self.delivered_wh)


@dataclass(frozen=True, slots=True)
class BookedTakeOver:
    """The take-over in force: register values found before our first write, and the writes that release.

    `body` is the whole record, for whoever wrote more into it; `seq` is its number.
    """

    found: dict[str, int]
    recipe: tuple[tuple[str, int], ...]
    body: RecordBody = field(default_factory=dict, compare=False)
    seq: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedStanding:
    """A buyer's standing as of `at_wall_ms`."""

    score: int
    trades: int
    next_penalty_ms: int
    blocked_until_wall_ms: int
    at_wall_ms: int


class BookedShield(NamedTuple):
    """The price below which nothing is sold until a wall time, after a winning or leading bid was abandoned."""

    price_e4: int
    until_wall_ms: int


class BookedEnd(NamedTuple):
    """How a signed buyer's trade or award ended, so that it can be told again: reason code, energy, when (wall ms)."""

    code: int
    delivered_wh: int
    at_wall_ms: int


class BookedAlarm(NamedTuple):
    """An alarm that nobody has cleared."""

    detail: str
    blocks_selling: bool
    raised_wall_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One battery's state after a sequence of records; `open_lot_id` and `last_lot_id` are 0 when there is none.

    `ends` holds what signed buyers may not have heard, the oldest first: ends of trades, and awards that were voided
    when nobody could be told. At most `ENDS_MAX`, none `END_KEPT_MS` older than the battery's last record.
    `cheques` holds the trades that are to be paid on a ledger and are not yet, by trade id in hex; `numbers` the
    contract numbers of those that left the books unpaid, by the buyer's wallet in hex: no other contract may have them.
    `markup` is what past lots say about the mark-up, None where none was ever learned; `sales` what own sales fetched.
    `outlived`: the last process went on after its journal had failed, so the newest of what it did is not in here.
    """

    battery: str
    awards: Mapping[TradeKey, BookedAward] = field(default_factory=dict)
    trades: Mapping[TradeKey, BookedTrade] = field(default_factory=dict)
    ends: Mapping[TradeKey, BookedEnd] = field(default_factory=dict)
    cheques: Mapping[str, BookedCheque] = field(default_factory=dict)
    numbers: Mapping[str, BookedNumbers] = field(default_factory=dict)
    take_over: BookedTakeOver | None = None
    standings: Mapping[str, BookedStanding] = field(default_factory=dict)
    last_lot_id: int = 0
    open_lot_id: int = 0
    shield: BookedShield | None = None
    alarms: Mapping[str, BookedAlarm] = field(default_factory=dict)
    stopped: bool = False
    reserve_e4: int | None = None
    markup: Markup | None = None
    sales: SalesHistory = field(default_factory=SalesHistory)
    contradictions: tuple[str, ...] = ()
    outlived: bool = False

    @property
    def promised_wh(self) -> int:
        """Energy owed: open awards whole, trades less what was delivered."""
        awarded = sum(award.deal.energy_wh for award in self.awards.values())
        return awarded + sum(trade.remaining_wh for trade in self.trades.values())

    @property
    def blocks_selling(self) -> bool:
        """Whether an uncleared alarm forbids selling."""
        return any(alarm.blocks_selling for alarm in self.alarms.values())


def restart_voids(books: Books) -> list[RecordBody]:
    """Return the void records that a start owes: one for each award the last run left open, nobody blamed."""
    return [
        records.void(
            peer=peer,
            bid_id=bid_id,
            code=ReasonCode.NOT_CONFIRMED,
            blame=False,
            reason="agent restarted",
            untold=True,
        )
        for peer, bid_id in books.awards
    ]
