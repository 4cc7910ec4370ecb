"""Writes log lines from a thread of its own, so that a full pipe or a slow disk never stops the event loop.

The queue is bounded; lines that find no room are counted, and the count is written as soon as there is room again.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Final, TextIO

QUEUE_LINES: Final = 10_000
CLOSE_TIMEOUT_S: Final = 2.0


class LogSink(logging.Handler):
    """A logging handler whose `emit` never blocks. `close` writes what waits, for at most 2 s."""

    def __init__(self, stream: TextIO, *, limit: int = QUEUE_LINES) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(limit)
        self._closed = self._abandoned = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, name="wattbid-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it as dropped."""
        if self._closed:
            return
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits and end the thread; a stream that takes nothing is left alone after 2 s."""
        if not self._closed:
            self._closed = True
            try:
                self._lines.put(None, timeout=CLOSE_TIMEOUT_S)
            except queue.Full:
                self._abandoned = True
                self.dropped += self._lines.qsize()
            else:
                self._thread.join(CLOSE_TIMEOUT_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None and not self._abandoned:
            try:
                self._stream.write(line + "\n")
                if self.dropped and self._lines.empty():
                    lost, self.dropped = self.dropped, 0
                    self._stream.write(f'{{"event": "log lines dropped", "level": "warning", "lines": {lost}}}\n')
                self._stream.flush()
            except (OSError, ValueError):
                self.dropped += 1  # the stream is gone; nobody can be told there
