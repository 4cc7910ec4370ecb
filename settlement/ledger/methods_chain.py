"""Calls about the chain itself: slots, heights, blockhashes, fees, health."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from solders.litesvm import LiteSVM
from solders.message import from_bytes_versioned
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from settlement.exchange import to_base58
from settlement.ledger.blocks import SLOTS_PER_EPOCH
from settlement.ledger.errors import (
    BLOCK_NOT_AVAILABLE,
    INVALID_REQUEST,
    SLOT_SKIPPED,
    BehindError,
    ParamsError,
    RpcError,
)
from settlement.ledger.fees import fee_of
from settlement.ledger.limits import ACCOUNT_BYTES_MAX, BLOCKHASH_AGE, FEE_ADDRESSES_MAX, TRANSACTION_BYTES_MAX
from settlement.ledger.params import address, blockhash, decoded
from settlement.ledger.view import VERSION
from settlement.ledger.wire import receive

if TYPE_CHECKING:
    from settlement.ledger.view import Call

_WRONG: Final = b"another cluster's"


def get_health(call: Call) -> Any:
    """Return "ok". Raises BehindError when this node lags."""
    if call.faults.stale:
        raise BehindError(call.faults.stale)
    return "ok"


def get_version(_call: Call) -> Any:
    """Return which validator this behaves like, and a number for the features that are on."""
    return {"feature-set": _feature_set(), "solana-core": VERSION}


def get_genesis_hash(call: Call) -> Any:
    """Return what no other ledger has."""
    if call.faults.wrong_genesis:
        return to_base58(hashlib.sha256(_WRONG + bytes(call.ledger.genesis)).digest())
    return str(call.ledger.genesis)


def get_slot(call: Call) -> Any:
    """Return the slot of the newest block of a level."""
    return call.view(call.params.options(0)).slot


def get_block_height(call: Call) -> Any:
    """Return the height of the newest block of a level."""
    return call.view(call.params.options(0)).height


def get_transaction_count(call: Call) -> Any:
    """Return how many transactions there are up to the newest block of a level."""
    view = call.view(call.params.options(0))
    return call.ledger.count(view.height)


def get_epoch_info(call: Call) -> Any:
    """Return where in its epoch the newest block of a level is."""
    view = call.view(call.params.options(0))
    return {
        "absoluteSlot": view.slot,
        "blockHeight": view.height,
        "epoch": view.slot // SLOTS_PER_EPOCH,
        "slotIndex": view.slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": call.ledger.count(view.height),
    }


def get_epoch_schedule(_call: Call) -> Any:
    """Return how epochs are laid out."""
    return {
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
        "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
        "slotsPerEpoch": SLOTS_PER_EPOCH,
        "warmup": False,
    }


def get_block_time(call: Call) -> Any:
    """Return when a slot's block was built, in UTC seconds. Raises RpcError for a slot without one."""
    slot = call.params.whole(0)
    if slot > call.ledger.blocks.slot:
        raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
    height = call.ledger.blocks.height_of_slot(slot)
    if height is None:
        text = f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot"
        raise RpcError(SLOT_SKIPPED, text)
    return call.ledger.blocks.time_s_of(height)


def get_latest_blockhash(call: Call) -> Any:
    """Return the newest blockhash of a level, and the last height at which it is good."""
    view = call.view(call.params.options(0))
    blocks = call.ledger.blocks
    return view.context(
        {
            "blockhash": to_base58(blocks.latest_hash(view.height)),
            "lastValidBlockHeight": blocks.last_good_height(view.height),
        }
    )


def is_blockhash_valid(call: Call) -> Any:
    """Return whether the newest block of a level takes transactions with a blockhash."""
    asked = blockhash(call.params.text(0))
    view = call.view(call.params.options(1))
    return view.context(call.ledger.blocks.is_good(bytes(asked), view.height))


def get_fee_for_message(call: Call) -> Any:
    """Return what a message would cost in lamports; null when its blockhash is not good."""
    data = decoded(call.params.text(0), "base64", bytes_max=TRANSACTION_BYTES_MAX)
    view = call.view(call.params.options(1))
    try:
        message = from_bytes_versioned(data)
        signers = message.header.num_required_signatures
        unsigned = VersionedTransaction.populate(message, [Signature.default()] * signers)
    except ValueError as error:
        raise ParamsError(
            f"failed to deserialize solana_message::non_bpf_modules::versions::VersionedMessage: {error}"
        ) from None
    received = receive(bytes(unsigned))
    return view.context(fee_of(received.message) if call.ledger.would_take(received, view.height) else None)


def get_rent(call: Call) -> Any:
    """Return the lamports that an account of so many bytes must hold."""
    size = call.params.whole(0)
    if size > ACCOUNT_BYTES_MAX:
        raise RpcError(INVALID_REQUEST, "Invalid request")
    return call.ledger.rent(size)


def get_recent_prioritization_fees(call: Call) -> Any:
    """Return for each recent block the lowest price that was paid for writing all of some accounts."""
    asked = [address(text) for text in (call.params.listed(0) if len(call.params) else [])]
    if len(asked) > FEE_ADDRESSES_MAX:
        raise ParamsError(f"Too many inputs provided; max {FEE_ADDRESSES_MAX}")
    blocks, height = call.ledger.blocks, call.height("processed")
    return [
        {"slot": blocks.slot_of(one), "prioritizationFee": call.ledger.prices.lowest(one, asked)}
        for one in range(max(0, height - BLOCKHASH_AGE + 1), height + 1)
    ]


@cache
def _feature_set() -> int:
    names = sorted(str(feature) for feature in LiteSVM.mainnet_feature_set().active)
    return int.from_bytes(hashlib.sha256("".join(names).encode()).digest()[:4], "little")
