"""What the demo says to people; a terminal or a pipe that has gone does not keep it from stopping cleanly."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """Say how things go (standard error)."""
    with contextlib.suppress(OSError):  # nobody listens any more: the processes must be stopped all the same
        print(text, file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Say what was found (standard output)."""
    with contextlib.suppress(OSError):
        print(text, flush=True)
