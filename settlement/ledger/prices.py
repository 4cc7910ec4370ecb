"""What was paid for priority in recent blocks, in millionths of a lamport a compute unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settlement.ledger.limits import BLOCKHASH_AGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from solders.pubkey import Pubkey


class Prices:
    """The lowest price in each of the last 150 blocks, at all and for writing each account; an empty block is free."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[int, dict[Pubkey, int]]] = {}

    def add(self, height: int, price: int, written: Iterable[Pubkey]) -> None:
        """Note a transaction of the newest block."""
        lowest, accounts = self._blocks.get(height, (price, {}))
        for key in written:
            accounts[key] = min(price, accounts.get(key, price))
        self._blocks[height] = (min(price, lowest), accounts)
        while next(iter(self._blocks)) <= height - BLOCKHASH_AGE:
            del self._blocks[next(iter(self._blocks))]

    def lowest(self, height: int, written: Iterable[Pubkey]) -> int:
        """Return the lowest price that bought a place in a block and the writing of each of these accounts."""
        lowest, accounts = self._blocks.get(height, (0, {}))
        return max([lowest, *(accounts.get(key, 0) for key in written)])
