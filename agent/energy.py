"""How much energy a battery has to sell, in what lots, and how well it is: pure arithmetic over integers.

Rules: ETP section 6 rule 1 and dispatch.md section 2; how long a delivery may take is `settlement.terms.window_s`.
Everything rounds towards selling less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etp.messages import Health
from etp.units import ENERGY_STEP_WH, floor_step

if TYPE_CHECKING:
    from collections.abc import Iterable

DISCHARGE_EFFICIENCY_PERMILLE: Final = 950
"""AC energy out per DC energy drawn where neither the site nor the device says otherwise."""

LOT_MAX_WH: Final = 50_000
_LOT_DEFAULT_MAX_WH: Final = 5_000
_LOT_DEFAULT_MINUTES: Final = 15
_HEALTH_FROM_PERMILLE: Final = ((900, Health.EXCELLENT), (800, Health.GOOD), (700, Health.FAIR))


def floor_of(site_permille: int, device_permille: Iterable[int | None] = ()) -> int:
    """Return the floor that holds: the highest of the site's and every one a device keeps itself."""
    return max(site_permille, *(floor for floor in device_permille if floor is not None), 0)


def usable_wh(
    soc_permille: int,
    floor_permille: int,
    capacity_wh: int,
    efficiency_permille: int = DISCHARGE_EFFICIENCY_PERMILLE,
) -> int:
    """Return the AC energy above the floor: (soc - floor) x capacity x discharge efficiency, never negative."""
    return max(0, soc_permille - floor_permille) * capacity_wh * efficiency_permille // 1_000_000


def sellable_wh(usable: int, usable_full: int, obligations: int, share_permille: int) -> int:
    """Return what may still be sold: usable less every promise less the share that is not for sale.

    `usable_full` is the usable energy at full charge, of which (1000 - share) stays with the owner.
    """
    kept = -(-(1_000 - share_permille) * usable_full // 1_000)
    return max(0, usable - obligations - kept)


def default_lot_wh(rated_power_w: int) -> int:
    """Return the lot size of a site that names none: 15 minutes at rated power, at most 5 kWh, in whole steps."""
    return floor_step(min(rated_power_w * _LOT_DEFAULT_MINUTES // 60, _LOT_DEFAULT_MAX_WH))


def lot_wh(sellable: int, lot_limit_wh: int, smallest_need_wh: int | None = None) -> int:
    """Return the energy of the next lot in whole steps of 0.1 kWh; 0 = none.

    At most what is sellable, the site's lot, 50 kWh, and the smallest need among regular buyers (None = nobody's need
    is known; a need below one step counts as one step, or a lot could never be sold).
    """
    energy_wh = min(sellable, lot_limit_wh, LOT_MAX_WH)
    if smallest_need_wh is not None:
        energy_wh = min(energy_wh, max(smallest_need_wh, ENERGY_STEP_WH))
    return floor_step(max(0, energy_wh))


def window_ms(window: int, time_lapse: int = 1) -> int:
    """Return a window of `window` seconds in real ms: a lab's time lapse divides delivery windows (dispatch 9)."""
    return -(-window * 1_000 // time_lapse)


def health_of(soh_permille: int | None) -> Health:
    """Return the health code: state of health from 90 % excellent, 80 % good, 70 % fair, below poor.

    A battery that does not tell its state of health is "fair": neither praised nor shut out.
    """
    if soh_permille is None:
        return Health.FAIR
    return next((health for least, health in _HEALTH_FROM_PERMILLE if soh_permille >= least), Health.POOR)
