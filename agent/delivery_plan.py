"""What the deliveries of one battery need next: pure decisions, a snapshot in, a plan out.

Theory of operation. A battery is in one of three hands:

```
            first trade                 no power wanted
   FREE ------------------> HELD --------------------------> RELEASING --> FREE
            (take-over record on disk,    (retried until it answers)
             then the first write)
```

A run is one trade's way through it: *waiting* (confirmed, no setpoint yet), *running*, *closing* (its power is to go,
or has gone and the counter is awaited), ended. All running trades share one setpoint; when one closes only its power
goes. Closing for energy is decided on the energy extrapolated from the last reading; when the counter then disagrees by
more than its step, the run opens once more and closes on the counter alone.

The decision names at most one operation on the battery; the shell performs it and asks again. An operation under way
(`busy`) is never joined by a second one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from etp.messages import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.guardrails import Obstacle
    from agent.trades import Trade
    from settlement.evidence import Recorder

TICK_MS: Final = 250
"""How often a battery under control is looked at even when it tells nothing."""

TAIL_MS: Final = 1_000
"""How long a battery may take to ramp down: energy of that time still belongs to the run that closed."""

CLOSE_MAX_MS: Final = 3_000
"""A closing run waits at most this long for the reading that completes it: two polls and the ramp."""

EFFECT_PATIENCE: Final = 3
"""New setpoints restart the settling time; after so many settling times without effect that no longer helps."""


class Hold(Enum):
    """In whose hands a battery is."""

    FREE = "free"
    HELD = "held"
    RELEASING = "releasing"


class Act(Enum):
    """An operation on the battery."""

    NONE = "none"
    TAKE_OVER = "take over"
    COMMAND = "command"
    REFRESH = "refresh"
    RELEASE = "release"


class Closing(NamedTuple):
    """Why and since when a run closes.

    `cut_at_ms` is when the battery had taken the setpoint without it. `for_energy`: its energy is thought to be there,
    which the counter has yet to confirm.
    """

    code: int
    reason: str
    since_ms: int
    cut_at_ms: int | None = None
    for_energy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One trade under delivery. `before_wh` was delivered before this start of the process.

    `started_at_ms` is the first setpoint frame of this start, `begun_at_ms` that of an earlier one: None when there was
    none, and when its time means nothing any more; `begun_before` tells which.
    """

    trade: Trade
    ends_by_ms: int
    before_wh: int = 0
    begun_before: bool = False
    begun_at_ms: int | None = None
    started_at_ms: int | None = None
    closing: Closing | None = None
    reopened: bool = False
    begun_wall_ms: int | None = None
    """The time of day of the first setpoint, whichever start sent it; None before it."""
    evidence: Recorder | None = None
    """The metered samples behind its energy, from the first setpoint of this start on."""

    @property
    def phase(self) -> str:
        """The run's phase in one word."""
        if self.closing is not None:
            return "closing"
        return "waiting" if self.started_at_ms is None else "running"

    @property
    def first_setpoint_at_ms(self) -> int | None:
        """When the first setpoint frame for this trade was on the wire, whichever start sent it; None = not known."""
        return self.begun_at_ms if self.begun_before else self.started_at_ms

    def close(self, code: int, reason: str, now_ms: int, *, for_energy: bool = False) -> Run:
        """Return the run closing; the first reason stands."""
        if self.closing is not None:
            return self
        return replace(self, closing=Closing(code, reason, now_ms, for_energy=for_energy))

    def cut(self, now_ms: int) -> Run:
        """Return a closing run whose power is gone."""
        if self.closing is None or self.closing.cut_at_ms is not None:
            return self
        return replace(self, closing=self.closing._replace(cut_at_ms=now_ms))

    def reopen(self) -> Run:
        """Return the run serving again."""
        return replace(self, closing=None, reopened=True)


class Measured(NamedTuple):
    """What the meter says of a run: Wh so far, when the agreed energy will be there, and how far it may fall short.

    `unread`: what flowed for it since an earlier start's last record is still to be read off the counter.
    """

    delivered_wh: int
    reached_at_ms: int | None
    tolerance_wh: int
    unread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a decision depends on.

    `cap_w`, `baseline_w`, `min_power_w` are magnitudes; `target_w` is the setpoint asked for last (<= 0, 0 = none).
    `patient`: a battery that was not seen yet since the start of the process gets time before its trades end.
    `awaits_counter`: there is time left to read what an earlier start's trades received; none of those ends before.
    `read_at_ms`: the last reading the meter has.
    """

    now_ms: int
    hold: Hold
    busy: bool
    runs: tuple[tuple[Run, Measured], ...]
    cap_w: int
    min_power_w: int
    baseline_w: int = 0
    target_w: int = 0
    refresh_at_ms: int | None = None
    retry_at_ms: int = 0
    obstacle: Obstacle | None = None
    patient: bool = False
    awaits_counter: bool = False
    at_floor: bool = False
    read_at_ms: int = 0
    tick_ms: int = TICK_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do: the runs as they become, those that ended, one operation, and when to ask again."""

    runs: tuple[Run, ...]
    ended: tuple[Run, ...]
    act: Act
    wake_at_ms: int


def setpoint_w(runs: Iterable[Run], *, cap_w: int, min_power_w: int, baseline_w: int = 0) -> int:
    """Return the one setpoint of all runs that want power: never positive, never beyond the cap, 0 = release."""
    granted_w = sum(run.trade.power_w for run in runs if run.closing is None)
    power_w = min(granted_w + baseline_w, cap_w) if granted_w else 0
    return -power_w if power_w >= max(1, min_power_w) else 0


def decide(now: Snapshot) -> Plan:
    """Return what the deliveries need now."""
    kept: list[Run] = []
    ended: list[Run] = []
    for run, measured in now.runs:
        moved = _close_if_over(run, measured, now)
        if _is_complete(moved, measured, now):
            reopened = _reopened(moved, measured, now)
            if reopened is None:
                ended.append(moved)
                continue
            moved = reopened
        kept.append(moved)
    return Plan(runs=tuple(kept), ended=tuple(ended), act=_act(kept, now), wake_at_ms=_wake_at_ms(now))


def final_code(run: Run, measured: Measured) -> tuple[int, str]:
    """Return the code and reason of an ended run: 0 only when the energy is there, 0 always when all of it is."""
    agreed_wh = run.trade.energy_wh
    closing = run.closing or Closing(ReasonCode.NONE, "", 0)
    if measured.delivered_wh >= agreed_wh:
        return ReasonCode.NONE, ""
    if closing.code == ReasonCode.NONE and measured.delivered_wh + measured.tolerance_wh < agreed_wh:
        return ReasonCode.NOT_ENOUGH_ENERGY, closing.reason or f"{measured.delivered_wh} of {agreed_wh} Wh metered"
    return closing.code, closing.reason


def effect_ok(power_w: int, written_w: int, *, rated_power_w: int, allowed_w: int | None) -> bool:
    """Whether a measured power shows the setpoint's effect (dispatch.md section 6).

    Within max(5 % of rated, 100 W) of it; or short of it because the battery's own limit (`allowed_w`) is, in which
    case it must still give what the limit allows.
    """
    tolerance_w = max(rated_power_w // 20, 100)
    if abs(power_w - written_w) <= tolerance_w:
        return True
    if allowed_w is None or allowed_w >= -written_w:
        return False
    return -allowed_w - tolerance_w <= power_w <= -allowed_w + tolerance_w


def effect_failed(now_ms: int, *, changed_at_ms: int, ok_at_ms: int, settle_ms: int) -> bool:
    """Whether a battery has had its time to follow and has not; `ok_at_ms` starts at the take-over."""
    return now_ms - max(changed_at_ms, ok_at_ms) > settle_ms or now_ms - ok_at_ms > EFFECT_PATIENCE * settle_ms


def _close_if_over(run: Run, measured: Measured, now: Snapshot) -> Run:
    if run.closing is not None:
        return run
    if now.obstacle is not None and not now.patient:
        return run.close(now.obstacle.code, now.obstacle.reason, now.now_ms)
    if measured.reached_at_ms is not None and measured.reached_at_ms <= now.now_ms:
        return run.close(ReasonCode.NONE, "", now.now_ms, for_energy=True)
    if now.at_floor and not now.patient:
        return run.close(ReasonCode.NOT_ENOUGH_ENERGY, "floor reached", now.now_ms)
    if now.now_ms >= run.ends_by_ms and not _awaits_counter(measured, now):
        part = f"{measured.delivered_wh} of {run.trade.energy_wh} Wh"
        return run.close(ReasonCode.NOT_ENOUGH_ENERGY, f"delivery window over after {part}", now.now_ms)
    return run


def _is_complete(run: Run, measured: Measured, now: Snapshot) -> bool:
    """Whether nothing that is still to be read can belong to a closing run."""
    closing = run.closing
    if closing is None or _awaits_counter(measured, now):
        return False
    if run.started_at_ms is None:
        # A write under way may yet start it; a release cannot.
        return not now.busy or now.hold is Hold.RELEASING
    if closing.code == ReasonCode.OFFLINE:
        return True
    if closing.cut_at_ms is None:
        return now.now_ms - closing.since_ms >= CLOSE_MAX_MS
    if measured.delivered_wh >= run.trade.energy_wh:
        return True
    tail_ms = TAIL_MS if closing.for_energy else 0
    return now.read_at_ms >= closing.cut_at_ms + tail_ms or now.now_ms >= closing.cut_at_ms + CLOSE_MAX_MS


def _awaits_counter(measured: Measured, now: Snapshot) -> bool:
    return measured.unread and now.awaits_counter


def _reopened(run: Run, measured: Measured, now: Snapshot) -> Run | None:
    """Return a run that closed on an estimate which the counter does not bear out; None when it ends."""
    if run.closing is None or not run.closing.for_energy or run.reopened:
        return None
    if measured.delivered_wh + measured.tolerance_wh >= run.trade.energy_wh:
        return None
    if now.obstacle is not None or now.at_floor or now.now_ms >= run.ends_by_ms:
        return None
    return run.reopen()


def _act(runs: list[Run], now: Snapshot) -> Act:
    if now.busy or now.now_ms < now.retry_at_ms:
        return Act.NONE
    target_w = 0
    if now.obstacle is None:
        target_w = setpoint_w(runs, cap_w=now.cap_w, min_power_w=now.min_power_w, baseline_w=now.baseline_w)
    match now.hold:
        case Hold.FREE:
            return Act.TAKE_OVER if target_w else Act.NONE
        case Hold.RELEASING:
            return Act.RELEASE
        case Hold.HELD if target_w == 0:
            return Act.RELEASE
        case Hold.HELD if _is_news(target_w, runs, now):
            return Act.COMMAND
        case Hold.HELD:
            due = now.refresh_at_ms is not None and now.now_ms >= now.refresh_at_ms
            return Act.REFRESH if due else Act.NONE


def _is_news(target_w: int, runs: list[Run], now: Snapshot) -> bool:
    """Whether a setpoint is worth a write: for a run that waits, for less power at once, for more by a whole step."""
    if any(run.closing is None and run.started_at_ms is None for run in runs):
        return True
    more_w = now.target_w - target_w
    return more_w < 0 or more_w >= max(1, now.min_power_w)


def _wake_at_ms(now: Snapshot) -> int:
    due = [now.now_ms + now.tick_ms]
    due += [measured.reached_at_ms for run, measured in now.runs if measured.reached_at_ms and run.closing is None]
    due += [run.ends_by_ms for run, _ in now.runs if run.closing is None]
    if now.refresh_at_ms is not None and not now.busy:
        due.append(now.refresh_at_ms)
    return max(now.now_ms + 1, min(due))
