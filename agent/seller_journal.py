"""What one seller writes into the journal besides awards and deliveries: lots, reputations, shields.

Nothing here waits for the disk: a lot's number is known at once, and whatever a lot leads to is written behind it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from agent import records
from agent.journal_errors import JournalError
from agent.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal import Journal
    from agent.pricing import LotSeen
    from agent.reputation import Standing
    from agent.watch import BatteryWatch
    from etp.auction import LotClosed, Terms


class SellerJournal:
    """The journal as one battery's seller uses it."""

    def __init__(self, battery: str, journal: Journal, *, watch: BatteryWatch, wall_ms: Callable[[], int]) -> None:
        self._battery = battery
        self._journal = journal
        self._watch = watch
        self._wall_ms = wall_ms

    def lot_opened(self, terms: Terms, *, energy_wh: int, power_w: int, rule: str, seed: bytes) -> int | None:
        """Write a lot and return its id, the record's number; None when the journal takes nothing."""
        record = records.lot_opened(
            energy_wh=energy_wh,
            power_w=power_w,
            reserve_e4=terms.reserve_e4,
            increment_e4=terms.increment_e4,
            standing_ms=terms.standing_ms,
            rule=rule,
            seed=seed,
        )
        try:
            return self._journal.append(self._battery, Kind.LOT_OPENED, record)[0]
        except JournalError:
            return None

    def lot_closed(self, closed: LotClosed) -> None:
        """Write that a lot is over; a journal that has failed will end it at the next start."""
        record = records.lot_closed(
            lot_id=closed.lot_id,
            reason=closed.reason,
            sold_wh=closed.sold_wh,
            bids=closed.entered,
            distinct_bidders=closed.distinct_bidders,
            first_acceptable_e4=closed.first_acceptable_e4,
        )
        with contextlib.suppress(JournalError):
            self._journal.append(self._battery, Kind.LOT_CLOSED, record)

    def lot_seen(self, seen: LotSeen, cap_e4: int) -> None:
        """Write what a lot taught; what a failed journal does not take is learned again after the next start."""
        with contextlib.suppress(JournalError):
            self._journal.append(self._battery, Kind.LOT_SEEN, records.lot_seen(seen, cap_e4=cap_e4))

    def reputation(self, buyer: str, standing: Standing, now_ms: int) -> None:
        """Write how a buyer stands as of now."""
        blocked_ms = max(0, standing.blocked_until_ms - now_ms)
        record = records.reputation(
            buyer=buyer,
            score=standing.score,
            trades=standing.trades,
            next_penalty_ms=standing.next_penalty_ms,
            blocked_until_wall_ms=self._wall_ms() + blocked_ms if blocked_ms else 0,
        )
        try:
            self._journal.append(self._battery, Kind.REPUTATION, record)
        except JournalError:
            self._watch.alarm("journal", "reputation not written", raised=True)

    def shield(self, price_e4: int, until_wall_ms: int, buyer: str) -> None:
        """Write a shield that no void record carries: a standing bid was abandoned."""
        record = records.shield(
            price_e4=price_e4, until_wall_ms=until_wall_ms, buyer=buyer, reason="standing bid abandoned"
        )
        try:
            self._journal.append(self._battery, Kind.SHIELD, record)
        except JournalError:
            self._watch.alarm("journal", "shield not written", raised=True)
