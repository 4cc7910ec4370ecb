"""A bare append and fdatasync, over and over beside a run: what the disk itself costs, without a journal.

Options: `directory`, `size` (bytes of one append), `every_s` (0 = one right after the other). Orders: `{"do":
"figures"}`, `{"do": "run", "times": n}`.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from bench.children import options, say
from bench.stats import percentile


class Disk:
    """One file that grows."""

    def __init__(self, directory: Path, size: int) -> None:
        self._file = os.open(directory / "bare", os.O_RDWR | os.O_CREAT, 0o600)
        self._data = os.urandom(size)
        self.waits_ms: list[float] = []

    def sync(self) -> None:
        """Append, wait until it is on disk, and note how long that took."""
        began_s = time.monotonic()
        os.write(self._file, self._data)
        os.fdatasync(self._file)
        self.waits_ms.append((time.monotonic() - began_s) * 1e3)

    def figures(self) -> dict[str, float]:
        """Return what was noted so far."""
        return {
            "count": len(self.waits_ms),
            "p50_ms": percentile(self.waits_ms, 0.50),
            "p99_ms": percentile(self.waits_ms, 0.99),
        }


def main(given: dict[str, Any]) -> None:
    """Sync every so often until stdin ends."""
    disk = Disk(Path(given["directory"]), given["size"])
    say(ready=True)
    while True:
        if select.select([sys.stdin], [], [], given["every_s"])[0]:
            line = sys.stdin.readline()
            if not line:
                return
            for _ in range(json.loads(line).get("times", 0)):
                disk.sync()
            say(**disk.figures())
        else:
            disk.sync()


if __name__ == "__main__":
    main(options())
