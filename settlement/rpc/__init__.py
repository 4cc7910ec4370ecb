"""JSON-RPC to a ledger's nodes: envelope, answers as values, health of endpoints, one client over all of them.

Lives here: what any client of a Solana cluster needs. Never here: what this product's program means by its accounts,
keys, or a transaction that is not signed yet. `solders` is not imported. `settlement` and `cli` may import it.
"""

from settlement.rpc.answers import Account, Accounts, Blockhash, Commitment, Status
from settlement.rpc.client import ENDPOINTS_MAX, Question, RpcClient
from settlement.rpc.errors import (
    NOT_TAKEN,
    GarbledError,
    NoEndpointError,
    PreflightError,
    RefusedError,
    RpcError,
    StaleNodeError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
    WrongClusterError,
)
from settlement.rpc.transport import HttpTransport, Reply, Transport, TransportError

__all__ = [
    "ENDPOINTS_MAX",
    "NOT_TAKEN",
    "Account",
    "Accounts",
    "Blockhash",
    "Commitment",
    "GarbledError",
    "HttpTransport",
    "NoEndpointError",
    "PreflightError",
    "Question",
    "RefusedError",
    "Reply",
    "RpcClient",
    "RpcError",
    "StaleNodeError",
    "Status",
    "ThrottledError",
    "Transport",
    "TransportError",
    "UnavailableError",
    "UnreachableError",
    "WrongClusterError",
]
