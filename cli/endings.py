"""How a command takes the end of its terminal, and a wish that it ends."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from types import FrameType


_SIGNAL_BASE: Final = 128


def hang_up_ends() -> None:
    """Let SIGHUP (a closed terminal) end this process in order, as SIGTERM does; under nohup it stays ignored."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)


def leave_in_order() -> None:
    """Let SIGTERM and SIGHUP leave through every `finally`, as Ctrl-C does; the status is 128 + the signal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)


def terminate() -> None:
    """Ask this process to end in order; callable from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_SIGNAL_BASE + number)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    terminate()
