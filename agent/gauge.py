"""What may have left a battery since its state-of-charge gauge last moved: pure, readings in, Wh out.

A gauge that moves in whole per cent stands still while a kilowatt-hour leaves a battery of 100 kWh, but what is
promised to buyers shrinks with every Wh delivered: uncorrected, that energy is sold twice. The discharge counter moves
in between; what it has counted since the gauge's last step is taken off what the gauge shows.

A gauge may round down, to the nearest step or up, or move only after a whole step: what it shows is within one step of
what is there. Where it falls it is right or too low; where it rises, and where it was met, a coarse one may be ahead by
all but a permille of its step. What is taken off is never less than what has left and never more than a gauge can hide,
so that a battery that is charged and discharged in turns does not seem to empty. At the next step it is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from drivers.device import BatteryInfo, BatteryState, Value

HIDDEN_PERMILLE: Final = 10
"""Up to here a counter is believed against a gauge that is said to be finer: many a register counts tenths of a per
cent and moves in whole ones."""


class Gauge:
    """The gauge of one battery since its last step. Show it every reading, in order."""

    def __init__(self) -> None:
        self._shown: int | None = None
        self._may_lead = True
        self._from_wh: int | None = None
        self._counter_wh: int | None = None
        self._is_counted = False
        self._has_flowed = False
        self._has_flowed_blindly = False
        self._has_missed = False

    def doubt(self) -> None:
        """An earlier process was discharging this battery: by how much the gauge lags behind is not known."""
        self._has_missed = True

    def observe(self, state: BatteryState) -> None:
        """Take in a reading. Of one without a state of charge only a discharge is kept, for the next one with it."""
        soc, power = state.soc_permille, state.power_w
        flows = self._has_flowed_blindly or (power is not None and power.value < 0)
        self._has_flowed_blindly = flows and soc is None
        if soc is None:
            return
        if soc.value != self._shown:
            self._step(soc.value)
        self._has_flowed = self._has_flowed or flows
        self._count(state.discharged_wh)

    def unseen_wh(self, info: BatteryInfo, *, capacity_wh: int, efficiency_permille: int) -> int:
        """Return the AC energy to take off what the gauge shows.

        Nothing for a gauge that counts permilles as long as nothing was discharged since it stepped. Without a counter,
        or where it has missed something, one whole step.
        """
        step, most = info.soc_step_permille, max(info.soc_step_permille, HIDDEN_PERMILLE)
        lead_wh, step_wh, most_wh = (
            -(-permille * capacity_wh * efficiency_permille // 1_000_000) for permille in (step - 1, step, most)
        )
        if not self._may_lead:
            lead_wh = 0
        gone_wh = 0
        if self._counter_wh is not None and self._from_wh is not None:
            gone_wh = self._counter_wh - self._from_wh
        if not (gone_wh or self._has_flowed or self._has_missed):
            return lead_wh
        is_counted = self._is_counted and not self._has_missed
        uncounted_wh = min(info.counter_step_wh, step_wh) if is_counted else step_wh
        return min(lead_wh + gone_wh + uncounted_wh, most_wh)

    def _step(self, shown: int) -> None:
        """Begin anew; the step came after the last reading, so what left since then counts already."""
        if self._shown is not None:
            self._has_missed = False
            self._may_lead = shown > self._shown
        self._shown, self._from_wh, self._has_flowed = shown, self._counter_wh, False

    def _count(self, counter: Value | None) -> None:
        """Take in the counter; one that comes late or runs backwards has missed what flowed before."""
        self._is_counted = counter is not None
        if counter is None:
            return
        if self._counter_wh is not None and counter.value < self._counter_wh:
            self._from_wh, self._has_missed = counter.value, True
        if self._from_wh is None:
            self._from_wh, self._has_missed = counter.value, self._has_missed or self._has_flowed
        self._counter_wh = counter.value
