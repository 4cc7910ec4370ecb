"""Running totals of the trades, for the view. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cli.demo_stage.records import Trade

_E4: Final = 10_000


@dataclass(slots=True)
class Tally:
    """Sums of all trades so far; averages are weighted by energy, in c/kWh, 0 without trades."""

    trades: int = 0
    agreed_wh: int = 0
    delivered_wh: int = 0
    _paid: int = 0
    _reserved: int = 0
    _first: int = 0

    def confirmed(self, trade: Trade) -> None:
        """Count a trade that has come about."""
        self.trades += 1
        self.agreed_wh += trade.energy_wh
        self._paid += trade.price_e4 * trade.energy_wh
        self._reserved += trade.reserve_e4 * trade.energy_wh
        self._first += trade.first_acceptable_e4 * trade.energy_wh

    def ended(self, delivered_wh: int) -> None:
        """Count what a trade received."""
        self.delivered_wh += delivered_wh

    @property
    def price_c(self) -> float:
        """Average price."""
        return self._average(self._paid)

    @property
    def over_reserve_c(self) -> float:
        """Average price above the reserve."""
        return self._average(self._paid - self._reserved)

    @property
    def over_first_c(self) -> float:
        """Average price above the first acceptable bid."""
        return self._average(self._paid - self._first)

    def _average(self, total: int) -> float:
        return total / max(1, self.agreed_wh) / _E4
