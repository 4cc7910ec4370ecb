"""How much energy each delivery has received, from the battery's own counter. Pure: readings in, numbers out.

One `Meter` a battery. It is shown every reading, also between deliveries, so that a delivery starts from the last
counter value before it. What a reading adds is split over the deliveries that ran in its interval, in proportion to
granted power x time, the remainder to the oldest, so that the parts always sum to the whole.

The rules (dispatch.md sections 2 and 9, ETP section 7):
- The counter's difference counts where its step is at most 1 % of the trade.
- Else power integrated over time counts (gaps above 2 s count 0); it must lie within one step of the counter's
  difference, else the lower of both counts. Such a figure is marked `derived`.
- A counter that runs backwards, or further than twice the rated power allows, is absent for the deliveries of that
  moment: they go on by integration, from what they had.
- Discharge that was already running at the take-over is the baseline: it is nobody's delivery.
- Of an interval that began before it did, a delivery has no more than its power gave since, and the counter's step:
  what the house took between the last reading and the first setpoint is nobody's delivery either.
- A lab's time lapse multiplies elapsed time.

Inside, energy is millijoules (1 W x 1 ms), so that nothing is lost to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.evidence import ABSENT, Recorder, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.records import TradeKey
    from drivers.device import Value

MJ_PER_WH: Final = 3_600_000
GAP_MAX_MS: Final = 2_000
_COARSE_SHARE: Final = 100  # a counter step of more than 1/100 of the trade is too coarse


class Metered(NamedTuple):
    """What a delivery received: Wh up to what was agreed, whether integrated, and the evidence (32 bytes)."""

    delivered_wh: int
    derived: bool
    evidence: bytes


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total by weight; the remainder goes to the first (oldest) part that has a weight.

    The parts sum to the total exactly, or are all 0 when nothing has a weight.
    """
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    oldest = next(index for index, weight in enumerate(weights) if weight > 0)
    parts[oldest] += total - sum(parts)
    return parts


def is_fine(counter_step_wh: int, agreed_wh: int) -> bool:
    """Whether a counter's step is small enough for a trade: at most 1 % of it."""
    return counter_step_wh * _COARSE_SHARE <= agreed_wh


def is_plausible_step(step_wh: int, elapsed_ms: int, *, rated_power_w: int, counter_step_wh: int) -> bool:
    """Whether a counter may have moved by `step_wh`: not backwards, not above 2 x rated x elapsed (and one step)."""
    return 0 <= step_wh * MJ_PER_WH <= 2 * rated_power_w * elapsed_ms + counter_step_wh * MJ_PER_WH


@dataclass(slots=True, kw_only=True)
class _Account:
    """One delivery's books."""

    granted_w: int
    agreed_wh: int
    opened_at_ms: int
    evidence: Recorder
    fine_counter: bool
    has_counter: bool
    before_mj: int = 0
    counter_mj: int = 0
    integrated_mj: int = 0
    cut_at_ms: int | None = None

    def weight(self, from_ms: int, to_ms: int) -> int:
        """Return granted power x the time it was served within an interval."""
        until_ms = to_ms if self.cut_at_ms is None else min(to_ms, self.cut_at_ms)
        return self.granted_w * max(0, until_ms - max(from_ms, self.opened_at_ms))

    def own_mj(self, part_mj: int, from_ms: int, to_ms: int, *, time_lapse: int, slack_mj: int = 0) -> int:
        """Return what of a part of an interval's energy is its own: the interval may have begun before it did."""
        if self.opened_at_ms <= from_ms:
            return part_mj
        return min(part_mj, self.weight(from_ms, to_ms) * time_lapse + slack_mj)

    def delivered_mj(self, counter_step_wh: int) -> int:
        """Return what counts as delivered so far."""
        if not self.has_counter:
            return self.before_mj + self.integrated_mj
        if self.fine_counter:
            return self.before_mj + self.counter_mj
        if abs(self.integrated_mj - self.counter_mj) <= counter_step_wh * MJ_PER_WH:
            return self.before_mj + self.integrated_mj
        return self.before_mj + min(self.integrated_mj, self.counter_mj)

    def lose_counter(self, counter_step_wh: int) -> None:
        """Go on by integration from what was delivered."""
        self.before_mj = self.delivered_mj(counter_step_wh)
        self.counter_mj = self.integrated_mj = 0
        self.has_counter = False


class Meter:
    """Splits what one battery discharges over its deliveries. `counter_step_wh` 0 = the battery has no counter."""

    def __init__(self, *, rated_power_w: int, counter_step_wh: int, time_lapse: int = 1) -> None:
        self._rated_w = rated_power_w
        self._step_wh = counter_step_wh
        self._lapse = time_lapse
        self._accounts: dict[TradeKey, _Account] = {}
        self._counter: Value | None = None
        self._power: Value | None = None
        self._counter_debt_mj = 0
        self._power_debt_mj = 0
        self.baseline_w = 0
        """Discharge that was running before the take-over (magnitude)."""

    @property
    def counter(self) -> Value | None:
        """The last counter reading."""
        return self._counter

    @property
    def read_at_ms(self) -> int:
        """When what counts was read last: the counter, or power where there is no counter; 0 = never."""
        reading = self._counter or self._power
        return reading.at_ms if reading else 0

    def open(
        self,
        key: TradeKey,
        *,
        granted_w: int,
        agreed_wh: int,
        now_ms: int,
        before_wh: int = 0,
        evidence: Recorder | None = None,
    ) -> None:
        """Begin a delivery at `now_ms`; `before_wh` was delivered before a restart. Raises ValueError if it runs."""
        if key in self._accounts:
            raise ValueError(f"delivery {key} is metered already")
        if not any(account.cut_at_ms is None for account in self._accounts.values()):
            self._counter_debt_mj = self._power_debt_mj = 0
        self._accounts[key] = _Account(
            granted_w=granted_w,
            agreed_wh=agreed_wh,
            opened_at_ms=now_ms,
            evidence=evidence or Recorder(name_of(key)),
            fine_counter=is_fine(self._step_wh, agreed_wh),
            has_counter=self._step_wh > 0 and self._counter is not None,
            before_mj=before_wh * MJ_PER_WH,
        )

    def cut(self, key: TradeKey, now_ms: int) -> None:
        """A delivery's power is gone: of what is read later only the part up to now is its own."""
        account = self._accounts[key]
        if account.cut_at_ms is None:
            account.cut_at_ms = now_ms

    def resume(self, key: TradeKey, now_ms: int) -> None:
        """A delivery that was cut too early runs again."""
        account = self._accounts[key]
        if account.cut_at_ms is not None:
            # Its books so far are settled; a new span begins, so that the pause in between weighs nothing.
            account.opened_at_ms = now_ms
            account.cut_at_ms = None

    def close(self, key: TradeKey) -> Metered:
        """End a delivery and return what it received. Raises KeyError for one that is not metered."""
        account = self._accounts.pop(key)
        derived = not (account.fine_counter and account.has_counter)
        return Metered(self._clamped_wh(account), derived, account.evidence.digest)

    def delivered_wh(self, key: TradeKey) -> int:
        """Return what counts as delivered so far, at most what was agreed; 0 for a delivery that is not metered."""
        account = self._accounts.get(key)
        return self._clamped_wh(account) if account else 0

    def reached_at_ms(self, key: TradeKey, *, flow_w: int) -> int | None:
        """Return when a delivery will have what was agreed if the battery goes on discharging `flow_w` (magnitude).

        Counts from the last reading of what the delivery is metered by. None = not at this power.
        """
        account = self._accounts[key]
        missing_mj = account.agreed_wh * MJ_PER_WH - account.delivered_mj(self._step_wh)
        by_counter = account.has_counter and account.fine_counter
        reading = self._counter if by_counter else self._power
        since_ms = max(account.opened_at_ms, reading.at_ms if reading else account.opened_at_ms)
        if missing_mj <= 0:
            return since_ms
        granted = [other.granted_w for other in self._accounts.values() if other.cut_at_ms is None]
        share_w = max(0, flow_w - self.baseline_w) * account.granted_w * self._lapse
        whole = sum(granted)
        return since_ms + -(-missing_mj * whole // share_w) if share_w and whole else None

    def read(self, *, power: Value | None, counter: Value | None) -> None:
        """Take in what the battery told: power (positive = charging) and its discharge counter; None = absent."""
        new_power = power if power and (self._power is None or power.at_ms > self._power.at_ms) else None
        new_counter = counter if counter and (self._counter is None or counter.at_ms > self._counter.at_ms) else None
        if new_counter is not None:
            self._read_counter(new_counter)
        if new_power is not None:
            self._read_power(new_power)
        if (new_power or new_counter) and self._accounts:
            self._witness(new_power, new_counter)

    def _read_counter(self, reading: Value) -> None:
        last, self._counter = self._counter, reading
        if last is None:
            return
        elapsed_ms = (reading.at_ms - last.at_ms) * self._lapse
        step_wh = reading.value - last.value
        if not is_plausible_step(step_wh, elapsed_ms, rated_power_w=self._rated_w, counter_step_wh=self._step_wh):
            self._counter_debt_mj = 0
            for account in self._accounts.values():
                account.lose_counter(self._step_wh)
            return
        counted = [account for account in self._accounts.values() if account.has_counter]
        energy_mj = step_wh * MJ_PER_WH - self.baseline_w * elapsed_ms + self._counter_debt_mj
        self._counter_debt_mj = min(0, energy_mj)
        weights = [account.weight(last.at_ms, reading.at_ms) for account in counted]
        for account, part_mj in zip(counted, split(max(0, energy_mj), weights), strict=True):
            account.counter_mj += account.own_mj(
                part_mj, last.at_ms, reading.at_ms, time_lapse=self._lapse, slack_mj=self._step_wh * MJ_PER_WH
            )

    def _read_power(self, reading: Value) -> None:
        last, self._power = self._power, reading
        if last is None or reading.at_ms - last.at_ms > GAP_MAX_MS:
            return
        elapsed_ms = (reading.at_ms - last.at_ms) * self._lapse
        flow_mj = (max(0, -last.value) + max(0, -reading.value)) * elapsed_ms // 2
        energy_mj = flow_mj - self.baseline_w * elapsed_ms + self._power_debt_mj
        self._power_debt_mj = min(0, energy_mj)
        accounts = list(self._accounts.values())
        weights = [account.weight(last.at_ms, reading.at_ms) for account in accounts]
        for account, part_mj in zip(accounts, split(max(0, energy_mj), weights), strict=True):
            account.integrated_mj += account.own_mj(part_mj, last.at_ms, reading.at_ms, time_lapse=self._lapse)

    def _witness(self, power: Value | None, counter: Value | None) -> None:
        names = [account.evidence.name for account in self._accounts.values()]
        for account in self._accounts.values():
            since_ms = account.opened_at_ms
            sample = Sample(*_since(power, since_ms), *_since(counter, since_ms), self.baseline_w)
            account.evidence.add(sample, names)

    def _clamped_wh(self, account: _Account) -> int:
        return min(account.agreed_wh, account.delivered_mj(self._step_wh) // MJ_PER_WH)


def name_of(key: TradeKey) -> str:
    """Return what evidence calls a trade that is not paid on a ledger."""
    return f"{key[0]}/{key[1]}"


def _since(reading: Value | None, start_ms: int) -> tuple[int, int]:
    return (reading.value, reading.at_ms - start_ms) if reading else (ABSENT, ABSENT)
