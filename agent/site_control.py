"""What the owner may ask of a running agent: implements `control.SiteControl` over the sellers.

Every command is journaled, so that it holds over a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agent import records
from agent.errors import CommandRefusedError
from agent.journal_errors import JournalError
from agent.pricing import PricingError
from agent.records import Kind
from agent.snapshot import battery_snapshot
from etp.units import PRICE_TICK_E4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.control_protocol import Snapshot
    from agent.loop_lag import LoopLag
    from agent.metrics import Metrics
    from agent.pricing import OwnerReserve
    from agent.seller import Seller
    from agent.supervisor import Supervisor

OWNER: Final = "owner"
CONTRADICTION: Final = "journal contradiction"
"""Causes for which selling is stopped until the owner says `resume`."""


class OwnerDesk:
    """The owner's side of one agent."""

    def __init__(
        self,
        *,
        site: str,
        version: str,
        sellers: Mapping[str, Seller],
        pricing: Mapping[str, OwnerReserve],
        endpoints: Mapping[str, str],
        metrics: Metrics,
        lag: LoopLag,
        supervisor: Supervisor,
        wall_ms: Callable[[], int],
    ) -> None:
        self._site = site
        self._version = version
        self._sellers = sellers
        self._pricing = pricing
        self._endpoints = endpoints
        self._metrics = metrics
        self._lag = lag
        self._supervisor = supervisor
        self._wall_ms = wall_ms
        self._started_at_ms = wall_ms()

    def snapshot(self) -> dict[str, Any]:
        """Return one look at everything."""
        look: Snapshot = {
            "site": self._site,
            "version": self._version,
            "at_ms": self._wall_ms(),
            "started_at_ms": self._started_at_ms,
            "batteries": [battery_snapshot(s, self._endpoints[name]) for name, s in self._sellers.items()],
            "alarms": [alarm for seller in self._sellers.values() for alarm in seller.watch.alarms()],
            "metrics": self._metrics.summary(),
            "loop_lag_ms": self._lag.summary(),
            "tasks": self._supervisor.summary(),
        }
        return dict(look)

    def stop_selling(self, battery: str | None, reason: str) -> None:
        """Offer nothing more from one battery (None = from any); deliveries go on. It holds over a restart."""
        for seller in self._named(battery):
            self._journal(seller, records.owner_stop(reason=reason))
            seller.block(OWNER, reason)

    def resume(self, battery: str | None) -> None:
        """Sell again, and acknowledge what blocked it."""
        for seller in self._named(battery):
            self._journal(seller, records.owner_resume())
            seller.delivery.acknowledge()
            seller.unblock(OWNER)
            seller.unblock(CONTRADICTION)

    def set_reserve(self, battery: str, price_e4: int | None) -> None:
        """Ask this price from the next empty lot on, or (None) what the site's own rule says."""
        (seller,) = self._named(battery)
        if price_e4 is not None and price_e4 % PRICE_TICK_E4:
            raise CommandRefusedError(f"price_e4 = {price_e4} is not a whole tick of {PRICE_TICK_E4} (0.01 c/kWh)")
        try:
            self._pricing[battery].set(price_e4)
        except PricingError as error:
            raise CommandRefusedError(str(error)) from error
        self._journal(seller, records.owner_set_reserve(reserve_e4=price_e4))
        seller.reconsider()

    def _named(self, battery: str | None) -> list[Seller]:
        if battery is None:
            return list(self._sellers.values())
        seller = self._sellers.get(battery)
        if seller is None:
            raise CommandRefusedError(f"no battery {battery!r} here; there are: {', '.join(self._sellers)}")
        return [seller]

    def _journal(self, seller: Seller, body: records.RecordBody) -> None:
        try:
            seller.journal.append(seller.name, Kind.OWNER, body)
        except JournalError as error:
            # Stopping must always work; what the journal cannot take holds until the end of this process only.
            seller.watch.alarm("journal", f"a command of the owner was not written: {error}", raised=True)
