"""What the books of an earlier start mean for this one: trades that go on, a take-over to give back. Pure.

Confirmed trades survive every crash. A take-over in force is released first whatever comes next: only a battery under
its own control can be taken over again with its own values on record. A trade then goes on with what was delivered so
far; what left while nobody was metering is read off the counter, if that moved as a counter can (dispatch.md
section 9), else the trade ends openly. The counter sees the house's own use too: the discharge that ran before the
take-over goes on all the while, and a trade gets no more than its power can have given until the dead-man stopped it.

Where the journal failed under a process that went on (a full disk), that bound is another: the delivery went on without
records, to its end or to the process's, and neither is known. Then a trade gets no more than its power can have given
until its window closed.

Monotonic times on record are taken over while the machine's monotonic clock is the one they were taken with: if the
confirm is as old by that clock as by the time of day. After a reboot, or when the time of day was set since, they
are not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.delivery_alarms import BLOCKING, GRID
from agent.delivery_plan import TAIL_MS, Run
from agent.metering import MJ_PER_WH, is_fine, is_plausible_step
from agent.trades import Trade, window_ms_of
from drivers.device import TakeOver
from settlement.evidence import Recorder

if TYPE_CHECKING:
    from agent.books_types import BookedTakeOver, BookedTrade, Books
    from agent.records import TradeKey
    from drivers.device import BatteryInfo

PROGRESS_MS: Final = 5_000
"""How often the counter is put on record while a delivery runs; the next process counts from the last record."""

CLOCKS_AGREE_MS: Final = 5_000
"""A confirm's ages by both clocks differ by less than this unless the machine was booted or its time of day set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A trade whose delivery ran when the last process ended: the counter on record, and when that was.

    `since_wall_ms` is when the delivery began: a counter cannot have moved further than the battery's power allows
    since then, wherever a clock was set meanwhile. `until_wall_ms` is when its window closed, if the last process may
    have delivered until then without a record; None when its records are complete.
    """

    counter_wh: int
    counter_wall_ms: int
    since_wall_ms: int
    energy_wh: int
    power_w: int
    until_wall_ms: int | None = None

    def served_ms(self, wall_ms: int, dead_man_ms: int | None) -> int:
        """Return how long its setpoint can have been followed since the counter was put on record."""
        elapsed_ms = max(0, wall_ms - self.counter_wall_ms)
        if self.until_wall_ms is not None:
            return min(elapsed_ms, max(0, self.until_wall_ms - self.counter_wall_ms) + TAIL_MS)
        if dead_man_ms is None:
            return elapsed_ms
        return min(elapsed_ms, PROGRESS_MS + dead_man_ms + TAIL_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What a start takes on: runs in the order of their confirms, what the counter is to tell, the take-over.

    `baseline_w` is the discharge (magnitude) that ran before that take-over, 0 without one.
    """

    runs: tuple[Run, ...]
    away: dict[TradeKey, Away]
    take_over: TakeOver | None
    baseline_w: int
    alarms: dict[str, str]
    """Alarms of deliveries that still forbid selling, be it for a while, name -> reason."""


def resume(books: Books, *, now_ms: int, wall_ms: int, time_lapse: int = 1) -> Resumed:
    """Return what one battery's books oblige this start to."""
    trades = sorted(books.trades.values(), key=lambda trade: trade.seq)
    return Resumed(
        runs=tuple(
            _run(books.battery, trade, now_ms=now_ms, wall_ms=wall_ms, time_lapse=time_lapse) for trade in trades
        ),
        away={
            trade.deal.key: away
            for trade in trades
            if (away := _away(trade, outlived=books.outlived, time_lapse=time_lapse)) is not None
        },
        take_over=_take_over(books.take_over) if books.take_over else None,
        baseline_w=_baseline_w(books.take_over) if books.take_over else 0,
        alarms={
            name: alarm.detail
            for name, alarm in books.alarms.items()
            if name == GRID or (name in BLOCKING and alarm.blocks_selling)
        },
    )


def away_wh(
    away: dict[TradeKey, Away],
    counter_wh: int,
    *,
    wall_ms: int,
    info: BatteryInfo,
    baseline_w: int = 0,
    time_lapse: int = 1,
) -> dict[TradeKey, int | None]:
    """Return what each trade received while no process was metering; None where the counter cannot be believed.

    The counter's movement less the baseline is split by granted power, rounded down: no trade is told it got what
    another, or the house, may have got. A trade for which the counter is too coarse got nothing: power was not
    measured meanwhile.
    """
    granted_w = sum(each.power_w for each in away.values())
    parts: dict[TradeKey, int | None] = {}
    for key, each in away.items():
        step_wh = counter_wh - each.counter_wh
        plausible = is_plausible_step(
            step_wh,
            (wall_ms - each.since_wall_ms) * time_lapse,
            rated_power_w=info.rated_power_w,
            counter_step_wh=info.counter_step_wh,
        )
        if not plausible:
            parts[key] = None
        elif is_fine(info.counter_step_wh, each.energy_wh):
            elapsed_ms = max(0, wall_ms - each.counter_wall_ms)
            energy_mj = max(0, step_wh * MJ_PER_WH - baseline_w * elapsed_ms * time_lapse)
            most_mj = each.power_w * each.served_ms(wall_ms, info.dead_man_ms) * time_lapse
            parts[key] = min(energy_mj * each.power_w // granted_w, most_mj) // MJ_PER_WH
        else:
            parts[key] = 0
    return parts


def _run(battery: str, booked: BookedTrade, *, now_ms: int, wall_ms: int, time_lapse: int) -> Run:
    window_ms = window_ms_of(booked.deal, time_lapse)
    # A wall clock that was set back must not stretch a window, one that was set forward may end it.
    elapsed_ms = max(0, wall_ms - booked.confirmed_wall_ms)
    datable = _is_datable(booked, now_ms=now_ms, wall_ms=wall_ms)
    trade = Trade.of_deal(
        booked.deal if datable else replace(booked.deal, asked_at_ms=0, awarded_at_ms=0),
        battery=battery,
        award_seq=booked.award_seq,
        confirmed_wall_ms=booked.confirmed_wall_ms,
        window_ms=window_ms,
        confirmed_at_ms=booked.confirmed_at_ms if datable else None,
    )
    return Run(
        trade=trade,
        ends_by_ms=now_ms + max(0, window_ms - elapsed_ms),
        before_wh=booked.delivered_wh,
        begun_before=bool(booked.first_setpoint_at_ms or booked.started_wall_ms or booked.delivered_wh),
        begun_at_ms=(booked.first_setpoint_at_ms or None) if datable else None,
        begun_wall_ms=booked.begun_wall_ms,
        evidence=Recorder(trade.evidence_name, chain=bytes.fromhex(booked.chain), shared=booked.shared),
    )


def _is_datable(booked: BookedTrade, *, now_ms: int, wall_ms: int) -> bool:
    """Whether a trade's monotonic times on record mean something to this process."""
    if not booked.confirmed_at_ms:
        return False
    age_ms = now_ms - booked.confirmed_at_ms
    return age_ms >= 0 and abs(age_ms - (wall_ms - booked.confirmed_wall_ms)) < CLOCKS_AGREE_MS


def _away(booked: BookedTrade, *, outlived: bool, time_lapse: int) -> Away | None:
    if booked.started_wall_ms is None or booked.counter_wh is None:
        return None
    return Away(
        counter_wh=booked.counter_wh,
        counter_wall_ms=booked.started_wall_ms if booked.counter_wall_ms is None else booked.counter_wall_ms,
        since_wall_ms=booked.started_wall_ms,
        energy_wh=booked.deal.energy_wh,
        power_w=booked.deal.power_w,
        until_wall_ms=booked.confirmed_wall_ms + window_ms_of(booked.deal, time_lapse) if outlived else None,
    )


def _take_over(booked: BookedTakeOver) -> TakeOver:
    try:
        return TakeOver.from_json(booked.body)
    except (KeyError, TypeError, ValueError):
        return TakeOver(found=booked.found, recipe=booked.recipe, addresses={})


def _baseline_w(booked: BookedTakeOver) -> int:
    try:
        return max(0, int(booked.body["baseline_w"]))
    except (KeyError, TypeError, ValueError):
        return 0
