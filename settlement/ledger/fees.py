"""What a transaction costs: 5,000 lamports a signature, with those that precompiles verify, and its priority fee."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from settlement.ledger.limits import LAMPORTS_PER_SIGNATURE

if TYPE_CHECKING:
    from solders.message import Message, MessageV0

_PRECOMPILES: Final = frozenset(
    Pubkey.from_string(name)
    for name in (
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
    )
)
_BUILTINS: Final = frozenset(
    [
        SYSTEM_PROGRAM,
        COMPUTE_BUDGET,
        *(
            Pubkey.from_string(name)
            for name in (
                "Vote111111111111111111111111111111111111111",
                "BPFLoader1111111111111111111111111111111111",
                "BPFLoader2111111111111111111111111111111111",
                "BPFLoaderUpgradeab1e11111111111111111111111",
                "LoaderV411111111111111111111111111111111111",
                "Ed25519SigVerify111111111111111111111111111",
                "KeccakSecp256k11111111111111111111111111111",
            )
        ),
    ]
)
_UNITS_MAX: Final = 1_400_000
_UNITS_OF_BUILTIN: Final = 3_000
_UNITS_OF_PROGRAM: Final = 200_000
_SET_LIMIT: Final = b"\x02"
_SET_PRICE: Final = b"\x03"
_MICRO: Final = 1_000_000


def price_of(message: Message | MessageV0) -> int:
    """Return what a message offers for priority, in millionths of a lamport a compute unit."""
    for instruction in message.instructions:
        if message.account_keys[instruction.program_id_index] == COMPUTE_BUDGET and instruction.data[:1] == _SET_PRICE:
            return int.from_bytes(instruction.data[1:9], "little")
    return 0


def fee_of(message: Message | MessageV0) -> int:
    """Return the lamports that the payer of a message is charged, whether it succeeds or not."""
    signatures = message.header.num_required_signatures
    limit: int | None = None
    by_default = 0
    for instruction in message.instructions:
        program, data = message.account_keys[instruction.program_id_index], instruction.data
        by_default += _UNITS_OF_BUILTIN if program in _BUILTINS else _UNITS_OF_PROGRAM
        if program in _PRECOMPILES and data:
            signatures += data[0]
        elif program == COMPUTE_BUDGET and data[:1] == _SET_LIMIT:
            limit = int.from_bytes(data[1:5], "little")
    units = min(by_default if limit is None else limit, _UNITS_MAX)
    return signatures * LAMPORTS_PER_SIGNATURE + -(-price_of(message) * units // _MICRO)
