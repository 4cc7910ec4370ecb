"""How a command that runs until it is stopped takes the end of its terminal."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def hang_up_ends() -> None:
    """Let SIGHUP (a closed terminal) end this process in order, as SIGTERM does; under nohup it stays ignored."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)


def terminate() -> None:
    """Ask this process to end in order; callable from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    terminate()
