"""Sysvar accounts that the ledger makes itself, because their content differs from block to block."""

from __future__ import annotations

import struct
from typing import Final

from solders.account import Account
from solders.pubkey import Pubkey

from settlement.ledger.blocks import SLOTS_PER_EPOCH
from settlement.ledger.limits import SLOT_MS

CLOCK: Final = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_OWNER: Final = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")
_CLOCK: Final = struct.Struct("<QqQQq")
_LAMPORTS: Final = 1_169_280
_RENT_EPOCH: Final = (1 << 64) - 1


def epoch_started_s(slot: int, time_s: int) -> int:
    """Return when the epoch of a slot began, in UTC seconds."""
    return time_s - slot % SLOTS_PER_EPOCH * SLOT_MS // 1_000


def clock_account(slot: int, time_s: int) -> Account:
    """Return the Clock sysvar of a block: its slot, its epochs, its time in UTC seconds."""
    epoch = slot // SLOTS_PER_EPOCH
    data = _CLOCK.pack(slot, epoch_started_s(slot, time_s), epoch, epoch + 1, time_s)
    return Account(_LAMPORTS, data, _OWNER, False, _RENT_EPOCH)


def read_clock(account: Account) -> dict[str, int] | None:
    """Return what a Clock sysvar says, None for any other account."""
    if account.owner != _OWNER or len(account.data) != _CLOCK.size:
        return None
    slot, started_s, epoch, schedule, time_s = _CLOCK.unpack(account.data)
    return {
        "slot": slot,
        "epoch": epoch,
        "epochStartTimestamp": started_s,
        "leaderScheduleEpoch": schedule,
        "unixTimestamp": time_s,
    }
