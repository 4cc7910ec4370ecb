"""The operation under way on a battery, one at a time, and what its failure means for the trades."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent import delivery_alarms as alarm
from agent import delivery_view
from agent.delivery_alarms import verdict_of
from agent.delivery_plan import TICK_MS, Act, Hold, setpoint_w
from agent.journal_errors import JournalError
from drivers.errors import DeviceError, ForeignWrite, NotReady

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.delivery_alarms import Alarms
    from agent.delivery_hands import Hands
    from agent.delivery_ports import DeliveryRules
    from agent.delivery_runs import Runs
    from drivers.device import Battery

RELEASE_RETRY_MS: Final = 1_000


class Operations:
    """Performs what a plan asks for; `done` is called when an operation has ended, and `reap` then says how."""

    def __init__(
        self,
        battery: Battery,
        *,
        hands: Hands,
        runs: Runs,
        alarms: Alarms,
        rules: DeliveryRules,
        now_ms: Callable[[], int],
        done: Callable[[], None],
    ) -> None:
        self._battery = battery
        self._hands = hands
        self._runs = runs
        self._alarms = alarms
        self._rules = rules
        self._now_ms = now_ms
        self._done = done
        self._act = Act.NONE
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self.retry_at_ms = 0
        """After a failure nothing is tried before this time."""

    @property
    def busy(self) -> bool:
        """Whether an operation is under way, or its end has not been looked at."""
        return self._task is not None

    def launch(self, act: Act) -> None:
        """Begin an operation."""
        self._act = act
        self._task = asyncio.create_task(self._perform(act))
        self._task.add_done_callback(lambda _task: self._done())

    def reap(self) -> None:
        """Look at how the last operation ended. Raises what is neither the device's nor the journal's failure."""
        task = self._task
        if task is None or not task.done():
            return
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._failures = 0
        elif isinstance(error, (DeviceError, JournalError)):
            self._failed(error)
        else:
            raise error

    async def cancel(self) -> None:
        """Break off what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def baseline_w(self) -> int:
        """Return the discharge that is not ours; shortly after a release ours still dies away in what is measured."""
        info = self._battery.info
        if info is None:
            return 0
        let_go_ms = self._hands.released_at_ms
        dies_away = let_go_ms is not None and self._now_ms() - let_go_ms < info.settle_ms
        if dies_away or self._hands.hold is not Hold.FREE:
            return self._runs.baseline_w
        return delivery_view.baseline_of(self._battery.state, info)

    async def _perform(self, act: Act) -> None:
        match act:
            case Act.TAKE_OVER:
                baseline_w = self.baseline_w()
                await self._hands.take_over(baseline_w=baseline_w)
                self._alarms.clear(alarm.NOT_READY)
                self._runs.set_baseline(baseline_w)
                await self._write()
            case Act.COMMAND:
                await self._write()
            case Act.REFRESH:
                await self._hands.refresh()
            case Act.RELEASE:
                await self._hands.release("no delivery")
                self._runs.cut_all(self._now_ms())
                self._alarms.clear(alarm.UNANSWERED)
            case Act.NONE:
                return

    async def _write(self) -> None:
        """Write the setpoint of everybody who wants power at this moment, be it not the moment of the decision."""
        info = self._battery.info
        serving = self._runs.serving()
        target_w = setpoint_w(
            serving,
            cap_w=delivery_view.cap_w(self._battery.state, info, self._rules) if info else 0,
            min_power_w=info.min_power_w if info else 0,
            baseline_w=self._runs.baseline_w,
        )
        if target_w:
            result = await self._hands.command(target_w)
            self._runs.served({run.trade.key for run in serving}, result.first_frame_at_ms, self._now_ms())

    def _failed(self, error: DeviceError | JournalError) -> None:
        now_ms = self._now_ms()
        releasing = self._act is Act.RELEASE
        verdict = verdict_of(error, releasing=releasing)
        self._failures += 1
        if releasing:
            self.retry_at_ms = now_ms + RELEASE_RETRY_MS
        elif self._failures <= verdict.retries:
            self.retry_at_ms = now_ms + TICK_MS
            return
        self._failures = 0
        self._runs.close(None, verdict.code, str(error), now_ms)
        if isinstance(error, ForeignWrite):
            self._hands.give_up(str(error))
            self._runs.cut_all(now_ms)
        if isinstance(error, NotReady) and not releasing:
            self._alarms.pause(str(error), now_ms + alarm.NOT_READY_PAUSE_MS)
        if verdict.alarm:
            self._alarms.raise_(verdict.alarm, str(error))
