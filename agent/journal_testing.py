"""An executor whose disk does what a test says: finish, fail, or lose power."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class HeldExecutor:
    """Holds every job until told what becomes of it; jobs and reports run on the caller's thread."""

    def __init__(self) -> None:
        self._held: deque[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = deque()
        self.closed = False

    def submit(self, job: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Keep a job for later."""
        self._held.append((job, done))

    def close(self) -> None:
        """Drop what is held."""
        self._held.clear()
        self.closed = True

    @property
    def held(self) -> int:
        """The number of jobs that wait."""
        return len(self._held)

    def complete(self) -> None:
        """Run the oldest job and report it, its own error included. Raises IndexError when none waits."""
        job, done = self._held.popleft()
        error: BaseException | None = None
        try:
            job()
        except Exception as caught:  # noqa: BLE001 - an executor's outermost edge: every error goes to `done`
            error = caught
        done(error)

    def fail(self, error: BaseException) -> None:
        """Report an error for the oldest job without running it: a disk that refuses."""
        _, done = self._held.popleft()
        done(error)

    def cut_power(self, *, reached_disk: bool) -> None:
        """Report nothing any more; the oldest job may or may not have reached the disk."""
        if reached_disk and self._held:
            self._held[0][0]()
        self._held.clear()
