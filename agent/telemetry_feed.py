"""From the batteries to the telemetry ring: at most one sample a second of each, and never a reason to stop anything.

The file is opened, checked and written in a thread of its own. Whatever goes wrong with it is told once in the log, and
what is lost is counted; the batteries are read and sold all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.journal_errors import JournalError, journal_error
from agent.logs import get_logger
from agent.telemetry import ROWS_MAX, Sample, TelemetryRing
from settlement.executor import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drivers.device import Battery, BatteryState
    from settlement.executor import Executor

SAMPLE_EVERY_MS: Final = 1_000
_EARLY_MS: Final = 100
"""A poll once a second may be this early without costing its sample."""
_WAITING_MAX: Final = 256
"""Samples that wait while a large file is checked: some seconds of 32 batteries."""
_CLOSE_S: Final = 5.0
STALE: Final = 1
CLOCK_UNTRUSTED: Final = 4
_log = get_logger("telemetry")


class TelemetryFeed:
    """The ring of one agent and the batteries that fill it; its methods belong to the event loop's thread."""

    def __init__(self, path: Path, *, wall_ms: Callable[[], int], clock_trusted: Callable[[], bool]) -> None:
        self.path = path
        self.failed: JournalError | None = None
        self._wall_ms = wall_ms
        self._clock_trusted = clock_trusted
        self._ring: TelemetryRing | None = None
        self._made: TelemetryRing | None = None
        self._waiting: deque[Sample] = deque()
        self._lost = 0
        self._due_ms: dict[str, int] = {}
        self._silent: set[str] = set()
        self._closed = False
        self._opened = asyncio.Event()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        wall_ms: Callable[[], int],
        rows: int = ROWS_MAX,
        clock_trusted: Callable[[], bool] = lambda: True,
        executor: Executor | None = None,
    ) -> TelemetryFeed:
        """Return a feed at once; its file is opened, or made, in the background. Never raises for the file's sake.

        `executor` is where the file is worked on; None = a thread of its own.
        """
        feed = cls(path, wall_ms=wall_ms, clock_trusted=clock_trusted)
        executor = executor or ThreadExecutor("telemetry-writer")
        executor.submit(partial(feed._open, executor, rows), partial(feed._file_opened, executor))
        return feed

    @property
    def dropped(self) -> int:
        """Samples that are not in the ring, those that it has overwritten included."""
        return self._lost + (self._ring.dropped if self._ring is not None else 0)

    def watch(self, name: str, battery: Battery) -> None:
        """Take samples of a battery from now on, under a name."""
        battery.on_change(partial(self._changed, name))

    async def close(self) -> None:
        """Write what waits and close the file; a disk that does not answer within 5 s is left to itself."""
        self._closed = True
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._opened.wait()
                if self._ring is not None:
                    await self._ring.close()
        except TimeoutError:
            self._fail(JournalError(self.path, "the disk does not answer"))

    def _changed(self, name: str, state: BatteryState) -> None:
        now_ms = int(asyncio.get_running_loop().time() * 1_000)
        due_ms = self._due_ms.get(name, now_ms)
        if self._closed or now_ms < due_ms - _EARLY_MS:
            return
        sample = self._sample(name, state)
        if not _is_silent(sample):
            self._silent.discard(name)
        elif name in self._silent:
            return  # one row says when it fell silent; the next one, when it spoke again
        else:
            self._silent.add(name)
        self._due_ms[name] = max(due_ms, now_ms - _EARLY_MS) + SAMPLE_EVERY_MS
        self._add(sample)

    def _sample(self, name: str, state: BatteryState) -> Sample:
        return Sample(
            battery=name,
            at_ms=self._wall_ms(),
            soc_permille=state.soc_permille.value if state.soc_permille else None,
            voltage_mv=state.voltage_mv.value if state.voltage_mv else None,
            current_ma=state.current_ma.value if state.current_ma else None,
            power_w=state.power_w.value if state.power_w else None,
            temp_min_dc=state.temp_min_dc.value if state.temp_min_dc else None,
            temp_max_dc=state.temp_max_dc.value if state.temp_max_dc else None,
            soh_permille=state.soh_permille.value if state.soh_permille else None,
            charged_wh=state.charged_wh.value if state.charged_wh else None,
            discharged_wh=state.discharged_wh.value if state.discharged_wh else None,
            quality=(0 if state.connected else STALE) | (0 if self._clock_trusted() else CLOCK_UNTRUSTED),
        )

    def _add(self, sample: Sample) -> None:
        if self._ring is not None:
            self._ring.add(sample)
        elif self.failed is not None:
            self._lost += 1
        else:
            self._waiting.append(sample)
            if len(self._waiting) > _WAITING_MAX:
                self._waiting.popleft()
                self._lost += 1

    def _open(self, executor: Executor, rows: int) -> None:
        self._made = TelemetryRing.open(self.path, executor=executor, rows_max=rows)

    def _file_opened(self, executor: Executor, error: BaseException | None) -> None:
        ring = self._ring = self._made
        waiting, self._waiting = self._waiting, deque()
        if ring is not None:
            ring.on_failure = self._fail
            for sample in waiting:
                ring.add(sample)
        elif error is not None:
            self._lost += len(waiting)
            self._fail(journal_error(self.path, error, has_largest_size=False))
            executor.close()
        self._opened.set()

    def _fail(self, error: JournalError) -> None:
        self.failed = error
        _log.warning("telemetry is lost", reason=str(error), dropped=self.dropped)


def _is_silent(sample: Sample) -> bool:
    """Whether no live value is there; health is read so rarely that it outlives the others."""
    return sample._replace(battery="", at_ms=0, soh_permille=None, quality=0) == Sample("", 0)
