"""Slots, block heights and blockhashes as the time runs.

A slot lasts 400 ms and holds one block. While the ledger is down there are none: a run is what lies between two starts,
and between two runs slots are skipped while heights go on. A height is never given out twice, so a blockhash is derived
from it and a secret of the data directory, and none needs to be stored.

The bank that is being built at height H knows the blockhashes up to H - 1; a bank that is finished knows its own, too.
A transaction is taken as long as at most 150 newer blockhashes than its own are known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from settlement.ledger.limits import BLOCKHASH_AGE, FINALIZED_LAG, SLOT_MS, STALE_MAX

_REMEMBERED: Final = BLOCKHASH_AGE + FINALIZED_LAG + STALE_MAX + 64
"""Blockhashes that any bank still on view could be asked about, with room for a longer lag."""
SLOTS_PER_EPOCH: Final = 432_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The blocks between two starts of the ledger."""

    first_slot: int
    first_height: int
    started_ms: int
    """When the first slot began, on the ledger's clock."""

    def slot_of(self, height: int) -> int:
        """Return the slot of a block of this run."""
        return self.first_slot + height - self.first_height

    def height_at(self, now_ms: int) -> int:
        """Return the height of the block that is being built."""
        return self.first_height + max(0, now_ms - self.started_ms) // SLOT_MS

    def time_ms_of(self, slot: int) -> int:
        """Return when a slot of this run began."""
        return self.started_ms + (slot - self.first_slot) * SLOT_MS


class Blocks:
    """The runs of one data directory, and the height that is being built. Time never goes back."""

    def __init__(self, secret: bytes, runs: list[Run]) -> None:
        """Runs come in their order; the last is the one that goes on."""
        self._secret = secret
        self._runs = runs
        self._heights: dict[bytes, int] = {}
        self.height = runs[-1].first_height
        """The height of the block that is being built."""
        self._remember(self.height - 1 - _REMEMBERED)

    @property
    def slot(self) -> int:
        """The slot of the block that is being built."""
        return self.slot_of(self.height)

    def advance(self, now_ms: int) -> bool:
        """Build on up to the present; True when a new block was begun."""
        height = self._runs[-1].height_at(now_ms)
        if height <= self.height:
            return False
        before = self.height
        self.height = height
        self._remember(before - 1)
        return True

    def slot_of(self, height: int) -> int:
        """Return the slot of a block."""
        return self._run_of_height(height).slot_of(height)

    def time_s_of(self, height: int) -> int:
        """Return the time of a block in UTC seconds, as its Clock has it."""
        run = self._run_of_height(height)
        return run.time_ms_of(run.slot_of(height)) // 1_000

    def height_of_slot(self, slot: int) -> int | None:
        """Return the height of the block of a slot; None for a slot that was skipped or is still to come."""
        if slot > self.slot:
            return None
        for run, after in zip(reversed(self._runs), [None, *reversed(self._runs)], strict=False):
            if slot >= run.first_slot:
                height = run.first_height + slot - run.first_slot
                return height if after is None or height < after.first_height else None
        return None

    def hash_of(self, height: int) -> bytes:
        """Return the 32 bytes of the blockhash of a block."""
        return hashlib.sha256(self._secret + height.to_bytes(8, "little")).digest()

    def latest_hash(self, bank: int) -> bytes:
        """Return the newest blockhash that the bank at this height knows."""
        return self.hash_of(self._newest(bank))

    def is_good(self, blockhash: bytes, bank: int) -> bool:
        """Whether the bank at this height takes a transaction with this blockhash."""
        height = self._heights.get(blockhash)
        return height is not None and 0 <= self._newest(bank) - height <= BLOCKHASH_AGE

    def last_good_height(self, bank: int) -> int:
        """Return the last height at which the newest blockhash of this bank is good, as clusters count it.

        That of a finished bank is in fact taken one block longer.
        """
        return bank + BLOCKHASH_AGE

    def _newest(self, bank: int) -> int:
        """Return the height of the newest blockhash that a bank knows."""
        return max(0, bank - 1) if bank >= self.height else bank

    def _run_of_height(self, height: int) -> Run:
        for run in reversed(self._runs):
            if height >= run.first_height:
                return run
        return self._runs[0]

    def _remember(self, known: int) -> None:
        """Learn the blockhashes after height `known`, and forget those that no bank takes any more."""
        oldest = max(0, self.height - 1 - _REMEMBERED)
        for height in range(max(known + 1, oldest), self.height):
            self._heights[self.hash_of(height)] = height
        while len(self._heights) > _REMEMBERED + 1:
            del self._heights[next(iter(self._heights))]
