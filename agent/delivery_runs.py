"""The runs of one battery: trades under delivery, what each has received, and what the journal and listener hear of it.

No driver and no decision lives here; `delivery` moves the runs as `delivery_plan` decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.delivery_plan import Run, final_code
from agent.delivery_resume import PROGRESS_MS, away_wh
from agent.delivery_view import measured
from agent.metering import Meter, Metered
from agent.trades import ActiveDelivery, Delivered
from etp.messages import ReasonCode
from settlement.evidence import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agent.delivery_log import DeliveryLog
    from agent.delivery_plan import Measured
    from agent.delivery_ports import DeliveryListener
    from agent.delivery_resume import Away
    from agent.guardrails import Obstacle
    from agent.records import TradeKey
    from agent.trades import Trade
    from drivers.device import BatteryInfo, BatteryState


PORTION_SAMPLES: Final = 240
"""Samples that go on record at once: four minutes of them, in a record of 13 KB."""


class Runs:
    """The table of runs, oldest first, and the meter they share."""

    def __init__(
        self, log: DeliveryLog, listener: DeliveryListener, *, time_lapse: int, wall_ms: Callable[[], int]
    ) -> None:
        self._log = log
        self._listener = listener
        self._lapse = time_lapse
        self._wall_ms = wall_ms
        self._runs: list[Run] = []
        self._away: dict[TradeKey, Away] = {}
        self._told_wh: dict[TradeKey, int] = {}
        self._ending = 0
        self._progress_at_ms = 0
        self._info: BatteryInfo | None = None
        self._meter: Meter | None = None
        self._baseline_w = 0

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def is_quiet(self) -> bool:
        """Whether no trade is under delivery and every end is on disk and told."""
        return not self._runs and not self._ending

    @property
    def is_reading_up(self) -> bool:
        """Whether the counter is still to tell what trades of an earlier start received meanwhile."""
        return bool(self._away)

    @property
    def baseline_w(self) -> int:
        """The discharge that ran before the take-over (magnitude)."""
        return self._baseline_w

    @property
    def read_at_ms(self) -> int:
        """When the last reading that energy is metered by was taken."""
        return self._meter.read_at_ms if self._meter else 0

    @property
    def granted_w(self) -> int:
        """The power promised to trades whose power is not gone yet (magnitude)."""
        return sum(r.trade.power_w for r in self._runs if r.closing is None or r.closing.cut_at_ms is None)

    @property
    def committed_wh(self) -> int:
        """The energy that trades are still to receive.

        A trade that is being ended counts until its end is on its way to the disk: a next start would go on with it.
        """
        return sum(run.trade.energy_wh - self._delivered_wh(run) for run in self._runs)

    @property
    def active(self) -> tuple[ActiveDelivery, ...]:
        """The runs, for looking."""
        return tuple(
            ActiveDelivery(
                trade=run.trade,
                phase=run.phase,
                delivered_wh=self._delivered_wh(run),
                started_at_ms=run.started_at_ms,
                ends_by_ms=run.ends_by_ms,
                begun_wall_ms=run.begun_wall_ms,
                evidence=_evidence(run).digest,
            )
            for run in self._runs
        )

    def serving(self) -> tuple[Run, ...]:
        """Return the runs that want power."""
        return tuple(run for run in self._runs if run.closing is None)

    def add(self, trade: Trade, now_ms: int) -> bool:
        """Take a trade on; its window runs from now. False: one of that name is here already, and stays."""
        if any(run.trade.key == trade.key for run in self._runs):
            return False
        evidence = Recorder(trade.evidence_name)
        self._runs.append(Run(trade=trade, ends_by_ms=now_ms + trade.window_ms, evidence=evidence))
        return True

    def dismiss(self, key: TradeKey, why: Obstacle, now_ms: int) -> None:
        """End a run that was only just taken on: nobody has served it."""
        run = next(run for run in self._runs if run.trade.key == key)
        self._runs.remove(run)
        self._end(run.close(why.code, why.reason, now_ms), now_ms)

    def restore(self, runs: Iterable[Run], away: Mapping[TradeKey, Away], *, baseline_w: int = 0) -> None:
        """Take on the runs of an earlier start, and the discharge that ran before its take-over."""
        self._runs.extend(runs)
        self._away = dict(away)
        self.set_baseline(baseline_w)

    def close(self, key: TradeKey | None, code: int, reason: str, now_ms: int) -> bool:
        """Close one run, or (None) all; False when there is none."""
        touched = [run for run in self._runs if key is None or run.trade.key == key]
        self._runs = [run.close(code, reason, now_ms) if run in touched else run for run in self._runs]
        return bool(touched)

    def observe(self, state: BatteryState, info: BatteryInfo) -> None:
        """Show the meter a reading of the battery."""
        if self._meter is None or (info != self._info and not self._runs):
            self._info = info
            self._meter = Meter(
                rated_power_w=info.rated_power_w, counter_step_wh=info.counter_step_wh, time_lapse=self._lapse
            )
            self._meter.baseline_w = self._baseline_w
        self._meter.read(power=state.power_w, counter=state.discharged_wh)

    def set_baseline(self, baseline_w: int) -> None:
        """A take-over begins: this discharge was running before it."""
        self._baseline_w = baseline_w
        if self._meter is not None:
            self._meter.baseline_w = baseline_w

    def served(self, keys: Collection[TradeKey], first_frame_at_ms: int, now_ms: int) -> None:
        """A setpoint is in the battery: runs it serves start with its first frame, closing runs without it are cut."""
        begun: list[Trade] = []
        for index, run in enumerate(self._runs):
            if run.trade.key not in keys:
                self._runs[index] = self._cut(run, now_ms)
            elif run.started_at_ms is None:
                begun_wall_ms = run.begun_wall_ms or self._wall_ms() - (now_ms - first_frame_at_ms)
                self._runs[index] = replace(run, started_at_ms=first_frame_at_ms, begun_wall_ms=begun_wall_ms)
                self._meter_from(run, first_frame_at_ms)
                begun.append(run.trade)
        for trade in begun:  # the table is right before anybody hears of it
            self._log.started(trade, first_setpoint_at_ms=first_frame_at_ms, counter_wh=self._counter_wh())
            self._listener.delivery_started(trade, first_frame_at_ms)

    def cut_all(self, now_ms: int) -> None:
        """The battery serves nobody any more."""
        self._runs = [self._cut(run, now_ms) for run in self._runs]

    def views(self, *, flow_w: int, now_ms: int) -> tuple[tuple[Run, Measured], ...]:
        """Return every run with what is known of its energy."""
        return tuple((run, self._measured(run, flow_w=flow_w, now_ms=now_ms)) for run in self._runs)

    def become(self, runs: Iterable[Run], ended: Iterable[Run], now_ms: int) -> None:
        """Let the runs be what a plan says, and end those that are over."""
        closing = {run.trade.key for run in self._runs if run.closing is not None}
        self._runs = list(runs)
        for run in self._runs:
            if run.closing is None and run.trade.key in closing and self._meter is not None:
                self._meter.resume(run.trade.key, now_ms)
        over = tuple(ended)
        if over:
            # First, and so never without this: what those who go on got beside them. A next start reads all that the
            # counter has moved since as theirs.
            self.report_progress(now_ms, at_once=True)
        for run in over:
            self._end(run, now_ms)

    def read_up(self, *, wall_ms: int, now_ms: int, baseline_w: int) -> None:
        """Read off the counter what trades of an earlier start received while nobody was metering.

        `baseline_w` is the discharge that ran all the while without them.
        """
        if not self._away or self._meter is None or self._info is None:
            return
        counter = self._meter.counter
        if counter is None and self._info.counter_step_wh:
            return
        parts: Mapping[TradeKey, int | None] = dict.fromkeys(self._away, 0)
        if counter is not None:
            parts = away_wh(
                self._away,
                counter.value,
                wall_ms=wall_ms,
                baseline_w=baseline_w,
                info=self._info,
                time_lapse=self._lapse,
            )
        self._away = {}
        self._runs = [self._credited(run, parts, now_ms) for run in self._runs]
        self.report_progress(now_ms, at_once=True)

    def report_progress(self, now_ms: int, *, at_once: bool = False) -> None:
        """Journal and tell every 5 s what the runs have received."""
        if now_ms < self._progress_at_ms and not at_once:
            return
        self._progress_at_ms = now_ms + PROGRESS_MS
        for run in self._runs:
            delivered_wh = self._delivered_wh(run)
            if run.started_at_ms is None and not delivered_wh:
                continue
            if delivered_wh >= self._told_wh.get(run.trade.key, 0):
                self._told_wh[run.trade.key] = delivered_wh
                self._log.progress(run.trade, delivered_wh=delivered_wh, counter_wh=self._counter_wh())
                self._listener.delivery_progress(run.trade, delivered_wh)
            if _evidence(run).fresh_samples >= PORTION_SAMPLES:
                portion = _evidence(run).take()
                if run.trade.trade_id:
                    self._log.evidence(run.trade, portion)

    def _meter_from(self, run: Run, first_frame_at_ms: int) -> None:
        trade = run.trade
        if self._meter is not None:
            self._meter.open(
                trade.key,
                granted_w=trade.power_w,
                agreed_wh=trade.energy_wh,
                now_ms=first_frame_at_ms,
                before_wh=run.before_wh,
                evidence=run.evidence,
            )

    def _cut(self, run: Run, now_ms: int) -> Run:
        if run.closing is not None and run.started_at_ms is not None and self._meter is not None:
            self._meter.cut(run.trade.key, now_ms)
        return run.cut(now_ms)

    def _credited(self, run: Run, parts: Mapping[TradeKey, int | None], now_ms: int) -> Run:
        part_wh = parts.get(run.trade.key, 0)
        if part_wh is None:
            return run.close(ReasonCode.FAULT, "the counter cannot tell what was delivered meanwhile", now_ms)
        return replace(run, before_wh=min(run.trade.energy_wh, run.before_wh + part_wh))

    def _end(self, run: Run, now_ms: int) -> None:
        code, reason = final_code(run, self._measured(run, flow_w=0, now_ms=now_ms))
        unread = run.trade.key in self._away
        metered = Metered(run.before_wh, derived=unread, evidence=_evidence(run).digest)
        if self._meter is not None and run.started_at_ms is not None:
            metered = self._meter.close(run.trade.key)
        delivered = Delivered(
            trade=run.trade,
            code=code,
            reason=reason,
            delivered_wh=metered.delivered_wh,
            derived=metered.derived or (self._info is not None and self._info.counter_point != "ac"),
            evidence=metered.evidence,
            started_at_ms=run.first_setpoint_at_ms,
            ended_at_ms=now_ms,
            begun_wall_ms=run.begun_wall_ms,
            ended_wall_ms=self._wall_ms(),
        )
        if run.trade.trade_id:
            self._log.evidence(run.trade, _evidence(run).take())
        self._away.pop(run.trade.key, None)
        self._told_wh.pop(run.trade.key, None)
        self._ending += 1
        self._log.ended(delivered, self._teller(delivered))

    def _teller(self, delivered: Delivered) -> Callable[[], None]:
        def tell() -> None:
            self._ending -= 1
            self._listener.delivery_ended(delivered)

        return tell

    def _measured(self, run: Run, *, flow_w: int, now_ms: int) -> Measured:
        step_wh = self._info.counter_step_wh if self._info else 1
        found = measured(run, self._meter, counter_step_wh=step_wh, flow_w=flow_w, now_ms=now_ms)
        return found._replace(unread=run.trade.key in self._away)

    def _delivered_wh(self, run: Run) -> int:
        return self._measured(run, flow_w=0, now_ms=0).delivered_wh

    def _counter_wh(self) -> int | None:
        return self._meter.counter.value if self._meter and self._meter.counter else None


def _evidence(run: Run) -> Recorder:
    return run.evidence or Recorder(run.trade.evidence_name)
