"""A battery's weeks on a path of spot prices: what it stores, what it offers, and what it is paid.

Quarter hour by quarter hour: while the energy for sale fills a lot, one is offered at the reserve of its owner's rule;
the buyers draw their values anew for each (spot of the half hour + a private spread), so every rule meets the same
buyers at the same time. Solar fills the battery in its hours, except in a quarter hour whose lot is delivered; what is
not stored is exported at the flat tariff. A lot is 4.8 kW for a quarter of an hour, below the 5 kW of the inverter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from market.aest import HALF_HOURS_A_DAY, hour_of
from market.draws import normal
from market.heard_lot import hear
from market.setting import Setting, on_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from market.heard_lot import Heard

WEEK_SLOTS: Final = 7 * HALF_HOURS_A_DAY
CAPPED_E4: Final = 300_000
"""30 c: a second account counts no price above, so that one spike does not make a week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The battery and its house. Energies in cells are mWh, so that losses are whole."""

    capacity_wh: int = 13_500
    floor_permille: int = 200
    share_permille: int = 800
    power_w: int = 5_000
    permille: int = 950
    lot_wh: int = 1_200
    tariff_e4: int = 50_000
    wear_e4: int = 50_000
    solar_hours: range = range(9, 15)
    rule: str = "standing_bid"
    spread_e4: int = 30_000

    @property
    def range_wh(self) -> int:
        """What the cells hold for sale: the share of what lies between floor and full charge."""
        return self.capacity_wh * (1_000 - self.floor_permille) * self.share_permille // 1_000_000

    @property
    def solar_w(self) -> int:
        """The power of the sun that is left over for the battery: its hours fill the empty range exactly once a day."""
        return -(-self.range_wh * 1_000 // (self.permille * len(self.solar_hours)))

    @property
    def lot_mwh(self) -> int:
        """What a lot takes out of the cells."""
        return -(-self.lot_wh * 1_000_000 // self.permille)

    def delivered_wh(self, cells_mwh: int) -> float:
        """Return what energy in the cells comes to when it is delivered."""
        return cells_mwh * self.permille / 1_000_000

    def soc_permille(self, stored_mwh: int) -> int:
        """Return the state of charge; what is not for sale is there, too."""
        kept_wh = self.capacity_wh - self.range_wh
        return (kept_wh * 1_000 + stored_mwh) // self.capacity_wh

    @property
    def day_wh(self) -> float:
        """What becomes available a day, delivered: the range, once."""
        return self.delivered_wh(self.range_wh * 1_000)


class Rule(Protocol):
    """An owner's rule: names a reserve, and may learn."""

    @property
    def least_e4(self) -> int | None:
        """The reserve is never below this; None = the rule wants to be asked for every lot."""
        ...

    def reserve_e4(self, slot: int, stored_mwh: int) -> int:
        """Return the reserve for a lot now."""
        ...

    def heard(self, slot: int, heard: Heard, n: int, *, is_last: bool) -> None:
        """A lot is over; `is_last` says that it was the last of its half hour."""
        ...


class Account(NamedTuple):
    """What a week came to. Money is price_e4 x Wh; `capped` is `receipts` with no price above 30 c counted."""

    lots: int
    receipts: int
    capped: int
    exported_wh: float
    stored_wh: float
    """The change of the stored energy, delivered."""
    available_wh: float
    offered: int

    def per_kwh(self, site: Site, *, capped: bool = False) -> float:
        """Return receipts less wear, with what was exported or stored at the flat tariff, per kWh that came."""
        money = (self.capped if capped else self.receipts) - self.lots * site.lot_wh * site.wear_e4
        return (money + (self.exported_wh + self.stored_wh) * site.tariff_e4) / self.available_wh


class World(NamedTuple):
    """A site, its market, and the chance of one seed: spot prices from half hour `first` on, weeks before included."""

    site: Site
    seed: int
    first: int
    prices: Sequence[int]

    def values_e4(self, quarter: int, spot_e4: int, n: int) -> list[int]:
        """Return what a kWh is worth to each of the buyers in a quarter hour."""
        spread = self.site.spread_e4
        return [on_grid(spot_e4 + spread * normal(self.seed, quarter, buyer, "private")) for buyer in range(n)]


def play(world: World, rule: Rule, n: int, *, slots: range, stored_mwh: int) -> tuple[Account, int]:
    """Return what some half hours of a world come to for `n` buyers and one rule, and the energy that is left."""
    site = world.site
    room_mwh, gain_mwh = site.range_wh * 1_000, site.solar_w * site.permille // 4
    start_mwh = stored_mwh
    lots = receipts = capped = offered = 0
    exported = 0.0
    for slot in slots:
        spot_e4 = world.prices[slot - world.first]
        for quarter in (2 * slot, 2 * slot + 1):
            price_e4 = None
            if stored_mwh >= site.lot_mwh:
                offered += 1
                price_e4 = _offer(world, rule, quarter, world.values_e4(quarter, spot_e4, n), stored_mwh)
            if price_e4 is not None:
                lots += 1
                receipts += price_e4 * site.lot_wh
                capped += min(price_e4, CAPPED_E4) * site.lot_wh
                stored_mwh -= site.lot_mwh
            if hour_of(slot) in site.solar_hours:
                taken_mwh = 0 if price_e4 is not None else min(gain_mwh, room_mwh - stored_mwh)
                stored_mwh += taken_mwh
                exported += site.solar_w / 4 - taken_mwh / site.permille
    change_wh = site.delivered_wh(stored_mwh - start_mwh)
    available_wh = site.day_wh * len(slots) / HALF_HOURS_A_DAY
    return Account(lots, receipts, capped, exported, change_wh, available_wh, offered), stored_mwh


def _offer(world: World, rule: Rule, quarter: int, values: list[int], stored_mwh: int) -> int | None:
    """Return the price of a lot, None when nobody bids."""
    slot, is_last = quarter // 2, bool(quarter % 2)
    if rule.least_e4 is not None and max(values) < rule.least_e4:
        return None
    reserve_e4 = rule.reserve_e4(slot, stored_mwh)
    setting = Setting(world.site.rule, world.site.lot_wh, reserve_e4)
    heard = hear(setting, values, seed=world.seed, lot=quarter)
    rule.heard(slot, heard, len(values), is_last=is_last)
    return heard.price_e4
