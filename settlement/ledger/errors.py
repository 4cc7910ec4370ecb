"""What can go wrong in the ledger.

SettlementError
  +- LedgerError             anything of the ledger's making
       +- LedgerFileError        the data directory cannot be used; says where, what and what to do
       +- RpcError               an answer with an error: code, message and data as a validator gives them
            +- ParamsError           -32602
            +- PreflightError        -32002: the simulation before sending failed
            +- BehindError           -32005: this node lags
            +- MinContextSlotError   -32016
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from settlement.errors import SettlementError

if TYPE_CHECKING:
    from pathlib import Path

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
BLOCK_NOT_AVAILABLE: Final = -32004
SLOT_SKIPPED: Final = -32007
UNSUPPORTED_VERSION: Final = -32015
TRANSACTION_NOT_FOUND: Final = -32020


class LedgerError(SettlementError):
    """Anything of the ledger's making."""


class LedgerFileError(LedgerError):
    """A data directory that cannot be used: the path, what is wrong with it, and what to do about it."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class RpcError(LedgerError):
    """An answer with an error: its code, its message and, where a validator gives any, its data."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


class ParamsError(RpcError):
    """Parameters that make no sense for the method."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_PARAMS, message)


class PreflightError(RpcError):
    """A transaction that its simulation shows to fail; `data` is the simulation's value."""

    def __init__(self, reason: str, data: dict[str, Any]) -> None:
        super().__init__(-32002, f"Transaction simulation failed: {reason}", data)


class BehindError(RpcError):
    """A node that lags behind the cluster."""

    def __init__(self, slots: int) -> None:
        super().__init__(-32005, f"Node is behind by {slots} slots", {"numSlotsBehind": slots})


class MinContextSlotError(RpcError):
    """A node that has not seen the slot the client has; `data` names the one it is at."""

    def __init__(self, slot: int) -> None:
        super().__init__(-32016, "Minimum context slot has not been reached", {"contextSlot": slot})
