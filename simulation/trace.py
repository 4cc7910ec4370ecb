"""What happened, as a hash: two runs of one seed must agree to the last byte."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from typing import Any, Final

_TAIL_EVENTS: Final = 200


class Trace:
    """Takes events, keeps their SHA-256, counts them by name, and remembers the last ones for a failure's report."""

    def __init__(self, directory: str) -> None:
        """`directory` is where this run has its files: its name is left out, the next run has another."""
        self._directory = directory
        self._hash = hashlib.sha256()
        self.counts: Counter[str] = Counter()
        self._tail: deque[str] = deque(maxlen=_TAIL_EVENTS)

    def add(self, now_ms: int, who: str, name: str, fields: dict[str, Any]) -> None:
        """Take an event: virtual ms, who tells it, what, and plain values."""
        line = f"{now_ms} {who} {name} {json.dumps(fields, sort_keys=True, default=str)}".replace(self._directory, "")
        self._hash.update(line.encode() + b"\n")
        self.counts[name] += 1
        self._tail.append(line)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything so far, in hex."""
        return self._hash.hexdigest()

    def tail(self, count: int) -> list[str]:
        """Return the last events."""
        return list(self._tail)[-count:]
