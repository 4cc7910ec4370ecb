"""Numbers of the program that its accounts, arguments and events hold, and addresses that it knows."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
SYSTEM_PROGRAM: Final = "11111111111111111111111111111111"
TOKEN_PROGRAM: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address
INSTRUCTIONS: Final = "Sysvar1nstructions1111111111111111111111111"

STATE_CLAIMED: Final = 1
STATE_DISPUTED: Final = 2
ROLE_BATTERY: Final = 1
ROLE_BUYER: Final = 2
HOW_COSIGNED: Final = 0
HOW_FINALIZED: Final = 1
HOW_RESOLVED: Final = 2
HOW_TIMED_OUT: Final = 3
