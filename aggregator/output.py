"""What the process tells: events as log lines and, for machines, as JSON lines; its state as a small JSON file.

A reader that does not keep up must not stop the trading loop: JSON lines pass through a bounded queue to a thread of
their own, and what does not fit is dropped and counted.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from typing import IO, TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES_MAX: Final = 20_000
"""Lines that may wait for a slow reader: minutes of a busy market."""
_STOP: Final = ""
_QUIET: Final = frozenset({"bid", "refused", "delivering", "transaction_sent", "line_changed"})
"""Events that happen all the time: debug."""
_BAD_FOR_MONEY: Final = frozenset(
    {
        "cheque_refused",
        "cheques_failed",
        "claim_unjudged",
        "disputed",
        "endpoint_failed",
        "low_sol",
        "not_cosigned",
        "not_payable",
        "offline",
        "outbox_failed",
        "outbox_full",
        "receipt_refused",
        "second_receipt",
        "transaction_failed",
        "wrong_cluster",
    }
)
_BAD: Final = frozenset({"not_confirmed", "unanswered", "failed", "adrift", "crashed", "lost"}) | _BAD_FOR_MONEY


class LineWriter:
    """Writes lines to a stream from a thread of its own."""

    def __init__(self, stream: IO[str], *, capacity: int = LINES_MAX) -> None:
        self.dropped = 0
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name="event lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queue a line; dropped and counted when the reader is too far behind."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is waiting, as far as the reader takes it in time."""
        try:
            self._lines.put(_STOP, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (line := self._lines.get()) != _STOP:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError) as error:
                structlog.get_logger("aggregator").warning("nobody reads the event lines", reason=str(error))
                return


class Events:
    """Gives each event a time and a name, logs it, and hands it on as JSON where somebody wants it."""

    def __init__(self, name: str, *, wall_ms: Callable[[], int], write: Callable[[str], None] | None = None) -> None:
        """Tell about the buyer called `name`; `write` gets one JSON object per event, without line end."""
        self._name = name
        self._wall_ms = wall_ms
        self._write = write
        self._unreachable: set[str] = set()
        self._log = structlog.get_logger("aggregator").bind(aggregator=name)

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        """Tell one event."""
        if event == "unreachable":
            self._tell_unreachable(fields)
        elif event in _QUIET:
            self._log.debug(event, **fields)
        elif event in _BAD:
            self._log.warning(event, **fields)
        else:
            self._unreachable.discard(str(fields.get("battery")))
            self._log.info(event, **fields)
        if self._write is not None:
            line = {"event": event, "at_ms": self._wall_ms(), "aggregator": self._name, **fields}
            self._write(json.dumps(line, separators=(",", ":")))

    def _tell_unreachable(self, fields: dict[str, Any]) -> None:
        """Warn of the first failure of a row; `connected` ends it."""
        battery = str(fields.get("battery"))
        (self._log.debug if battery in self._unreachable else self._log.warning)("unreachable", **fields)
        self._unreachable.add(battery)


def write_status(path: Path, status: dict[str, Any]) -> None:
    """Replace a status file as a whole: a reader sees the old or the new one. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(status, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, path)  # noqa: PTH105 (atomic on the same directory, and says so)
