"""Whether the time of day can be trusted: what the kernel's clock discipline says (adjtimex(2)).

A gateway has no battery-backed clock; after a power cut it may be years back. Durations never use this clock; what is
signed does, and nothing is signed without trust in it (architecture section 3).
"""

from __future__ import annotations

import ctypes
import time
from typing import Final

_TIME_ERROR: Final = 5  # adjtimex's return value: clock not synchronised
_TIMEX_BYTES: Final = 512  # struct timex is 208 bytes on 64-bit Linux; the kernel writes no more than it knows


def wall_ms() -> int:
    """Return the time of day in ms since 1970, as far as this machine knows it."""
    return time.time_ns() // 1_000_000


def is_kernel_synchronised() -> bool:
    """Whether the kernel says that its clock is disciplined by a time source; False where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: read only
    state: int = libc.adjtimex(buffer)
    return 0 <= state < _TIME_ERROR
