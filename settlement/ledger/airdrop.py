"""The faucet: a transfer that is a transaction like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solders.compute_budget import set_compute_unit_limit
from solders.message import MessageV0
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from settlement.ledger.errors import INTERNAL_ERROR, RpcError
from settlement.ledger.wire import receive

if TYPE_CHECKING:
    from solders.hash import Hash
    from solders.pubkey import Pubkey
    from solders.signature import Signature

    from settlement.ledger.chain import Ledger

_UNITS: int = 1_000
_TRIES_MAX: int = 100_000
"""Equal airdrops on one blockhash; each takes another unit limit to be a transaction of its own."""


def airdrop(ledger: Ledger, to: Pubkey, lamports: int, blockhash: Hash) -> Signature:
    """Let the faucet pay an account. Raises RpcError when it cannot."""
    faucet = ledger.faucet
    paid = transfer(TransferParams(from_pubkey=faucet.pubkey(), to_pubkey=to, lamports=lamports))
    for units in range(_UNITS, _UNITS + _TRIES_MAX):
        message = MessageV0.try_compile(faucet.pubkey(), [set_compute_unit_limit(units), paid], [], blockhash)
        received = receive(bytes(VersionedTransaction(message, [faucet])))
        err = ledger.submit(received)
        if err is None:
            return received.signature
        if err != "AlreadyProcessed":
            raise RpcError(INTERNAL_ERROR, f"the faucet cannot pay: {err}")
    raise RpcError(INTERNAL_ERROR, "the faucet has paid too often on this blockhash")
