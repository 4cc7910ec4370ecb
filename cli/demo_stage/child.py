"""One process of the demo: a `wattbid` command that ends with its parent, even when that is killed.

`python -m cli.demo_stage.child PARENT_PID NICENESS COMMAND...`
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

from cli.main import main as wattbid

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main() -> None:
    """Ask the kernel for SIGTERM at the parent's death, then be the command."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the demo has gone")
    os.nice(int(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    wattbid()


if __name__ == "__main__":
    main()
