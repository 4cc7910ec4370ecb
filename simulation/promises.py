"""What is promised against what is there, at every step: a shortfall leaves nothing on offer (ETP section 6, rule 7).

Judged twice. By the agent's own knowledge: the last reading of its state of charge, what its awards hold and what its
deliveries are still to give. And by the truth: what it has told the world that it owes, and what is in the battery. An
offer is not asked; it is what is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import energy
from simulation.invariants import Breach, slack, usable

if TYPE_CHECKING:
    from agent.storefront import Storefront
    from simulation.battery import Device
    from simulation.ledger import Ledger

_Seen = tuple[int, int, int]


class PromiseWatch:
    """One battery's promises."""

    def __init__(self, device: Device, ledger: Ledger) -> None:
        self._device = device
        self._ledger = ledger
        self._seen: _Seen | None = None

    def check(self, front: Storefront) -> None:
        """Look when a reading, an event or the lot has changed. Raises Breach."""
        seller, device = front.seller, self._device
        lot_wh, _ = seller.desk.lots.open_lot()
        seen = (device.reads, self._ledger.events, lot_wh)
        if seen == self._seen:
            return
        self._seen = seen
        unconfirmed_wh = seller.desk.awards.unconfirmed_wh
        if not lot_wh and not unconfirmed_wh:
            return
        promised_wh = seller.desk.awards.energy_wh + front.delivery.committed_wh
        shown_wh = energy.usable_wh(
            device.shown_permille,
            front.site.floor_permille,
            device.model.config.capacity_wh,
            front.site.efficiency_permille,
        )
        if promised_wh > shown_wh:
            what = f"{device.name}: {promised_wh} Wh promised, {shown_wh} Wh usable as it shows"
            raise Breach(
                "a shortfall leaves nothing on offer", f"{what}; lot {lot_wh} Wh, unconfirmed {unconfirmed_wh} Wh"
            )
        owed_wh, there_wh = self._ledger.owed_wh(device.name), usable(front, device) + slack(device)
        if lot_wh and owed_wh > there_wh:
            what = f"{device.name}: {owed_wh} Wh owed, {there_wh} Wh there; lot {lot_wh} Wh"
            raise Breach("a shortfall leaves nothing on offer", what)
