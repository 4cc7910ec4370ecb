"""Turns confirmed trades into a discharge: one `Delivery` a battery, one task, one operation on the battery at a time.

`delivery_plan` decides, `delivery_operations` acts, `delivery_runs` keeps the trades and their energy; this is the loop
that brings them together. It wakes for a new trade, for every reading of the battery, when an operation is done, when
the next thing is due, and every 250 ms while there is anything to watch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent import delivery_alarms as alarm
from agent import delivery_view
from agent.delivery_alarms import Alarms
from agent.delivery_hands import Hands
from agent.delivery_log import DeliveryLog
from agent.delivery_operations import Operations
from agent.delivery_plan import TICK_MS, Act, Hold, Snapshot, decide
from agent.delivery_ports import StopReport
from agent.delivery_resume import resume
from agent.delivery_runs import Runs
from agent.gauge import Gauge
from agent.guardrails import Obstacle, obstacle_of
from etp.messages import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.books_types import Books
    from agent.delivery_ports import DeliveryListener, DeliveryRules, JournalPort
    from agent.records import RecordBody
    from agent.trades import ActiveDelivery, Delivered, Trade
    from drivers.device import Battery, BatteryState

PATIENCE_MS: Final = 10_000
"""How long trades of an earlier start wait for a battery that has not answered since this one.

So long, too, no trade that was being delivered ends before the counter has told what it received, be its window over.
After that it ends with what is on record, and the figure is marked derived.
"""

UNANSWERED_MS: Final = 5_000
"""How long a release may wait for an answer before people are told."""

_SETTLE_DEFAULT_MS: Final = 10_000


class Delivery:
    """The deliveries of one battery. Everything belongs to the running event loop's thread."""

    def __init__(
        self,
        battery: Battery,
        journal: JournalPort,
        name: str,
        *,
        rules: DeliveryRules,
        listener: DeliveryListener,
        wall_ms: Callable[[], int],
        beat: Callable[[], None] | None = None,
        tick_ms: int = TICK_MS,
        papers: Callable[[Delivered], RecordBody] = lambda _: {},
    ) -> None:
        """`papers` says what belongs into the record of an end besides the delivery's own words."""
        self._battery = battery
        self._rules = rules
        self._wall_ms = wall_ms
        self._beat = beat
        self._tick_ms = tick_ms
        log = DeliveryLog(journal, name, papers)
        self._hands = Hands(battery, log, _now_ms)
        self._alarms = Alarms(log, listener)
        self._runs = Runs(log, listener, time_lapse=rules.time_lapse, wall_ms=wall_ms)
        self._gauge = Gauge()
        self._patient_until_ms = 0
        self._stopped: Obstacle | None = None
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._operations = Operations(
            battery,
            hands=self._hands,
            runs=self._runs,
            alarms=self._alarms,
            rules=rules,
            now_ms=_now_ms,
            done=self._wake.set,
        )
        battery.on_change(self._observe)

    # what the desk asks and sees

    def start(self, trade: Trade) -> bool:
        """Deliver a confirmed trade; its window runs from now. Once `stop_all` was called it ends at once instead.

        False: a trade of that name is under delivery already. It goes on, and this one is not taken on.
        """
        now_ms = _now_ms()
        if not self._runs.add(trade, now_ms):
            return False
        if self._stopped is not None:
            self._runs.dismiss(trade.key, self._stopped, now_ms)
        self._stir()
        return True

    def stop(self, peer: str, bid_id: int, code: int, reason: str = "stopped by the buyer") -> bool:
        """End one delivery early; False when there is none of that name."""
        found = self._runs.close((peer, bid_id), code, reason, _now_ms())
        self._wake.set()
        return found

    async def stop_all(self, code: int, reason: str = "stopped by the owner", *, timeout_s: float = 10.0) -> StopReport:
        """End every delivery, now and from now on, and give the battery back.

        Trades that are confirmed meanwhile end with the same code; their ends are waited for too. The report says how
        things stand when it is made: at rest, or what is still open after `timeout_s`.
        """
        if self._stopped is None:
            self._stopped = Obstacle(ReasonCode(code), reason)
        self._runs.close(None, *self._stopped, _now_ms())
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._quiet.is_set():
                    await self._quiet.wait()
        except TimeoutError:
            if not self.released or self._operations.busy:
                return StopReport(False, f"no answer to the release within {timeout_s:.0f} s")
            return StopReport(True, f"the journal has not taken the ends within {timeout_s:.0f} s")
        obstacle = self._alarms.obstacle(_now_ms())
        return StopReport(self.released, obstacle.reason if obstacle else "")

    def acknowledge(self) -> None:
        """An operator has looked into what blocks selling: it no longer does."""
        self._alarms.acknowledge()

    def obstacle(self) -> Obstacle | None:
        """Return what forbids a sale on the delivery's account: alarms, a pause, a release without answer."""
        return self._alarms.obstacle(_now_ms()) or self._alarms.unanswered()

    def reconcile(self, books: Books) -> None:
        """Take on what an earlier start has left, before `run`: trades, a take-over in force, blocking alarms."""
        left = resume(books, now_ms=_now_ms(), wall_ms=self._wall_ms(), time_lapse=self._rules.time_lapse)
        self._runs.restore(left.runs, left.away, baseline_w=left.baseline_w)
        self._alarms.restore(left.alarms, _now_ms())
        self._patient_until_ms = _now_ms() + PATIENCE_MS
        if left.take_over is not None:
            self._hands.inherit(left.take_over)
        if left.take_over is not None or left.runs:
            self._gauge.doubt()
        self._stir()

    @property
    def active(self) -> tuple[ActiveDelivery, ...]:
        """The trades that have not ended, oldest first."""
        return self._runs.active

    @property
    def is_serving(self) -> bool:
        """Whether any trade has not ended."""
        return bool(self._runs)

    @property
    def granted_w(self) -> int:
        """The power promised to trades whose power is not gone yet (magnitude)."""
        return self._runs.granted_w

    @property
    def committed_wh(self) -> int:
        """The energy that active trades are still to receive."""
        return self._runs.committed_wh

    @property
    def baseline_w(self) -> int:
        """The discharge that goes on (or went on before the take-over) without any trade (magnitude)."""
        return self._operations.baseline_w()

    @property
    def unseen_wh(self) -> int:
        """The energy that may have left since the state-of-charge gauge last moved: it is not for sale again."""
        return delivery_view.unseen_wh(self._gauge, self._battery.info, self._rules)

    @property
    def released(self) -> bool:
        """Whether nothing of ours is in force in the battery."""
        return self._hands.hold is Hold.FREE

    # the loop

    async def run(self) -> None:
        """Control the battery until cancelled. What is in force then stays in force: `stop_all` first."""
        try:
            while True:
                self._operations.reap()
                wake_at_ms = self._step()
                if self._beat is not None:
                    self._beat()
                await self._sleep(wake_at_ms)
        finally:
            await self._operations.cancel()

    async def _sleep(self, wake_at_ms: int | None) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_at(wake_at_ms / 1_000, self._wake.set) if wake_at_ms is not None else None
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    def _step(self) -> int | None:
        """Decide and act once; return when to look again, None = only when something happens."""
        now_ms = _now_ms()
        if not self._runs and self.released and not self._operations.busy:
            if self._runs.is_quiet:
                self._quiet.set()
                return now_ms + self._tick_ms if self._beat else None
            return now_ms + self._tick_ms
        self._check_effect(now_ms)
        self._check_release()
        if self.released:
            self._runs.read_up(wall_ms=self._wall_ms(), now_ms=now_ms, baseline_w=self._operations.baseline_w())
        plan = decide(self._snapshot(now_ms))
        self._runs.become(plan.runs, plan.ended, now_ms)
        self._runs.report_progress(now_ms)
        if plan.act is not Act.NONE:
            self._operations.launch(plan.act)
        return plan.wake_at_ms

    def _snapshot(self, now_ms: int) -> Snapshot:
        info, state = self._battery.info, self._battery.state
        obstacle = self._obstacle(state, now_ms)
        patient = now_ms < self._patient_until_ms and obstacle is not None and obstacle.code == ReasonCode.OFFLINE
        if obstacle is None:
            self._patient_until_ms = 0
        flow_w = self._hands.flow_w(state)
        return Snapshot(
            now_ms=now_ms,
            hold=self._hands.hold,
            busy=self._operations.busy,
            runs=self._runs.views(flow_w=flow_w, now_ms=now_ms),
            cap_w=delivery_view.cap_w(state, info, self._rules) if info else 0,
            min_power_w=info.min_power_w if info else 0,
            baseline_w=self._runs.baseline_w,
            target_w=self._hands.target_w,
            refresh_at_ms=self._hands.refresh_at_ms,
            retry_at_ms=self._operations.retry_at_ms,
            obstacle=obstacle,
            patient=patient,
            awaits_counter=self._runs.is_reading_up and now_ms < self._patient_until_ms,
            at_floor=info is not None
            and delivery_view.is_at_floor(
                state,
                info,
                self._rules,
                unseen_wh=self.unseen_wh,
                flow_w=flow_w,
                now_ms=now_ms,
                tick_ms=self._tick_ms,
            ),
            read_at_ms=self._runs.read_at_ms,
            tick_ms=self._tick_ms,
        )

    def _obstacle(self, state: BatteryState, now_ms: int) -> Obstacle | None:
        own = self._stopped or self._alarms.obstacle(now_ms)
        if own is not None:
            return own
        if self._runs.is_reading_up:
            return Obstacle(ReasonCode.OFFLINE, "the counter has not been read since the restart")
        if self._battery.info is None:
            return Obstacle(ReasonCode.OFFLINE, "battery has not answered yet")
        return obstacle_of(state, self._rules.guardrails, now_ms)

    # what the battery shows

    def _observe(self, state: BatteryState) -> None:
        info = self._battery.info
        if info is None:
            return
        self._gauge.observe(state)
        self._runs.observe(state, info)
        self._hands.observe(state, info)
        self._alarms.observe_grid(state.grid_ok, _now_ms())
        if self._runs or not self.released:
            self._wake.set()

    def _check_effect(self, now_ms: int) -> None:
        info = self._battery.info
        if not self._hands.is_without_effect(info.settle_ms if info else _SETTLE_DEFAULT_MS):
            return
        power = self._battery.state.power_w
        found = f"{power.value} W" if power else "nothing"
        reason = f"told {self._hands.written_w} W, measured {found}"
        self._runs.close(None, ReasonCode.FAULT, reason, now_ms)
        self._alarms.raise_(alarm.NO_EFFECT, reason)

    def _check_release(self) -> None:
        if self._hands.releasing_for_ms() >= UNANSWERED_MS:
            self._alarms.raise_(alarm.UNANSWERED, "the battery does not answer its release")

    def _stir(self) -> None:
        self._quiet.clear()
        self._wake.set()


def _now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1_000)
