"""The embedded ledger: Solana's runtime behind Solana's JSON-RPC, for demos, tests and simulations without a cluster.

Lives here: the ledger in process (`Ledger`), its state on disk, what answers JSON-RPC (`Node`), its server and faults,
and what `--init` makes on it. Never here: contracts, trades, an outbox, a client of other clusters (`cluster` is that).
What executes and answers knows nothing of the program; only `init` uses the rest of settlement.
`cli`, `simulation` and tests may import it. The agent and the buyers never do: they speak JSON-RPC.
"""

from settlement.ledger.chain import Commitment, Ledger, Settings
from settlement.ledger.errors import LedgerError, LedgerFileError, RpcError
from settlement.ledger.faults import FaultError, Faults
from settlement.ledger.node import Answer, Node

__all__ = [
    "Answer",
    "Commitment",
    "FaultError",
    "Faults",
    "Ledger",
    "LedgerError",
    "LedgerFileError",
    "Node",
    "RpcError",
    "Settings",
]
