"""When could the loop first have read these bytes? The cause time of a frame (ETP section 3).

A frame's cause is the return of the previous poll: bytes that arrive while the loop is busy wait in the kernel, and
that wait is the receiver's fault. Neither uvloop nor asyncio tells when it polls, so two observations stand in:

- **Batch bracket.** The first read after a poll opens a batch and asks the loop to call back before the next poll.
  All reads of one batch share one cause. If the next batch begins at once, the poll between them did not wait: its
  bytes may have come any time since the previous batch began, so that is their cause. If it begins later, the poll
  waited and the bytes are as old as the poll's return: their cause is now. One callback per wake-up, none per frame.
- **Overdue ticker.** Work that reads nothing (a timer, a task) is seen by a timer that should run every 20 ms. If it
  is late by more than `SLACK_MS` the loop was busy, and the cause is the last moment at which it was known not to be.

Resolution: under read load one batch. Other work is noticed when it holds up the ticker, so a wait below
`TICK_MS + SLACK_MS` may go unseen; a longer one is never understated and overstated by at most that much.

The ticker runs only while links are open. In virtual time nothing blocks: build the clock with `ticking=False`.
"""

from __future__ import annotations

import asyncio
from typing import Final

TICK_MS: Final = 20
SLACK_MS: Final = 5  # timers of an idle loop are late by a millisecond or two
_AT_ONCE_MS: Final = 1  # the clock's own resolution


class PollClock:
    """The loop's clock in milliseconds, and the cause time of what is being read. One per loop, shared by its links."""

    __slots__ = (
        "_at_rest_ms",
        "_batch_began_ms",
        "_batch_ended_ms",
        "_batch_open",
        "_busy_since_ms",
        "_cause_ms",
        "_due_ms",
        "_links",
        "_moment",
        "_ticking",
        "_timer",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *, ticking: bool = True) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self._ticking = ticking
        self._links = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._at_rest_ms = self.now_ms()  # the loop was not behind at this moment
        self._batch_open = False
        self._moment: tuple[int, int] | None = None
        self._batch_began_ms = self._batch_ended_ms = self._at_rest_ms
        self._cause_ms = self._at_rest_ms
        self._busy_since_ms: int | None = None  # what the next poll returns may be this old

    def now_ms(self) -> int:
        """Return the loop's time in whole milliseconds."""
        return int(self.loop.time() * 1_000)

    def now_and_cause_ms(self) -> tuple[int, int]:
        """Return now and the cause of the bytes being read; the reads of one batch share both."""
        moment = self._moment
        if moment is None:
            now_ms = self.now_ms()
            moment = self._moment = now_ms, self.cause_ms(now_ms)
        return moment

    def cause_ms(self, now_ms: int) -> int:
        """Return the cause of bytes whose read callback began at `now_ms`. Call it first in the callback, once."""
        if self._batch_open:
            return self._cause_ms
        self._batch_open = True
        self.loop.call_soon(self._end_batch)
        if self._busy_since_ms is not None:
            cause_ms = self._busy_since_ms
        elif self._timer is not None and now_ms > self._due_ms + SLACK_MS:
            cause_ms = self._at_rest_ms
        elif now_ms <= self._batch_ended_ms + _AT_ONCE_MS:
            cause_ms = self._batch_began_ms
        else:
            cause_ms = now_ms
        self._cause_ms = cause_ms
        self._batch_began_ms = self._at_rest_ms = now_ms
        return cause_ms

    def link_opened(self) -> None:
        """Count a link; the first one starts the ticker."""
        self._links += 1
        if self._ticking and self._timer is None:
            self._at_rest_ms = self.now_ms()
            self._schedule(self._at_rest_ms)

    def link_closed(self) -> None:
        """Count a link out; the last one stops the ticker."""
        self._links -= 1
        if not self._links and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_batch(self) -> None:
        """Close the batch: the loop is about to poll."""
        self._batch_open = False
        self._moment = None
        self._batch_ended_ms = self.now_ms()

    def _schedule(self, now_ms: int) -> None:
        self._due_ms = now_ms + TICK_MS
        self._timer = self.loop.call_later(TICK_MS / 1_000, self._tick)

    def _tick(self) -> None:
        """Notice that the loop was busy; otherwise that it is not."""
        now_ms = self.now_ms()
        if now_ms > self._due_ms + SLACK_MS:
            if self._busy_since_ms is None:
                self._busy_since_ms = self._at_rest_ms
                # uvloop runs timers before it polls: two rounds of callbacks last until that poll's reads are done.
                self.loop.call_soon(self.loop.call_soon, self._caught_up)
        else:
            self._at_rest_ms = now_ms
        self._schedule(now_ms)

    def _caught_up(self) -> None:
        """Let go of a busy spell once the poll after it has been read."""
        self._busy_since_ms = None
        self._at_rest_ms = self.now_ms()
