"""A disk in virtual time, behind the journal's executor: slow now and then, full for a while, and gone with the power.

A job runs (really, into a SQLite file) at a drawn time after its submission and is reported at another one after that.
When the process dies in between, its record may be on disk without anybody having been told, or not be there at all.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


@dataclass(slots=True)
class Disk:
    """What a machine's disk does now; it outlives the processes that write to it."""

    commit_ms: tuple[float, float] = (0.5, 6.0)
    report_ms: tuple[float, float] = (0.05, 0.5)
    stall_ms: float = 0.0
    """Added to every commit while the disk is busy with itself."""
    full: bool = False
    fails_after_commit: bool = False
    """It keeps what it is given and reports an error all the same."""


class VirtualExecutor:
    """Implements `Executor` on a `Disk`; its timers belong to the process that submits."""

    def __init__(self, disk: Disk, rng: random.Random) -> None:
        self._disk = disk
        self._rng = rng
        self._waiting: deque[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = deque()
        self._busy = False

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Run the job after those before it."""
        self._waiting.append((job, done))
        if not self._busy:
            self._begin()

    def close(self) -> None:
        """Take no more jobs."""
        self._waiting.clear()

    def _begin(self) -> None:
        self._busy = True
        delay_ms = self._rng.uniform(*self._disk.commit_ms) + self._disk.stall_ms
        asyncio.get_running_loop().call_later(delay_ms / 1_000, self._commit)

    def _commit(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        job, done = self._waiting.popleft()
        error: BaseException | None = None
        if self._disk.full:
            error = OSError(errno.ENOSPC, "No space left on device")
        else:
            try:
                job()
                if self._disk.fails_after_commit:
                    error = OSError(errno.EIO, "Input/output error")
            except Exception as caught:  # noqa: BLE001 - an executor's outermost edge: every error goes to `done`
                error = caught
        delay_ms = self._rng.uniform(*self._disk.report_ms)
        asyncio.get_running_loop().call_later(delay_ms / 1_000, self._report, done, error)

    def _report(self, done: Callable[[BaseException | None], None], error: BaseException | None) -> None:
        self._busy = False
        if self._waiting:
            self._begin()
        done(error)
