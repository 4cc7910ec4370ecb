"""What the tests of the program put into transactions and accounts: keys, signatures, contracts' arguments, tokens."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from settlement import Contract, IdentityKey, Receipt
from settlement.program import instructions as calls
from settlement.signing import SignatureKind, sign, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM: Final = Pubkey.from_string("11111111111111111111111111111111")
TOKEN: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
INSTRUCTIONS: Final = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")
ED25519: Final = Pubkey.from_string("Ed25519SigVerify111111111111111111111111111")
GENESIS: Final = bytes(range(32))
NOW: Final = 1_800_000_000
SLOT: Final = 400_000_000
TIMEOUT_S: Final = 1_209_600
MIN_BOND: Final = 1_000_000
RELEASE_DELAY_S: Final = 691_200
UNITS_PER_CENT: Final = 10_000
ON_LINE: Final = 500_000_000
DEPOSITED: Final = 1_000_000_000
FROZEN: Final = 2

_MINT: Final = struct.Struct("<I32sQBBI32s")
_TOKEN_ACCOUNT: Final = struct.Struct("<32s32sQI32sBIQQI32s")
_HERE: Final = 0xFFFF


@dataclass(frozen=True)
class Party:
    """A battery or a buyer: its wallet, and the identity key that signs contracts and receipts."""

    wallet: Keypair
    identity: IdentityKey

    @property
    def key(self) -> Pubkey:
        return self.wallet.pubkey()


def keypair(name: str) -> Keypair:
    """Return the test's key of this name."""
    return Keypair.from_seed(name.encode().ljust(32, b".")[:32])


def party(name: str) -> Party:
    """Return the test's party of this name."""
    return Party(keypair(f"wallet of {name}"), IdentityKey(f"identity of {name}".encode().ljust(32, b".")[:32]))


class Entry(NamedTuple):
    """One signature for the precompile."""

    key: bytes
    signature: bytes
    message: bytes


def entry(kind: SignatureKind, digest: bytes, signer: IdentityKey) -> Entry:
    """Return a party's signature of a digest as the precompile takes it."""
    return Entry(signer.public_key, sign(kind, digest, signer), signed_bytes(kind, digest))


def ed25519_data(entries: Sequence[Entry]) -> bytes:
    """Return the precompile's data in the one layout that counts; entries of one message share it."""
    shared = len({each.message for each in entries}) == 1
    start = 2 + 14 * len(entries)
    texts = start + 96 * len(entries)
    head = bytes((len(entries), 0))
    for index in range(len(entries)):
        key = start + 96 * index
        text = texts if shared else texts + 47 * index
        head += struct.pack("<HHHHHHH", key + 32, _HERE, key, _HERE, text, 47, _HERE)
    messages = entries[0].message if shared else b"".join(each.message for each in entries)
    return head + b"".join(each.key + each.signature for each in entries) + messages


def ed25519(*entries: Entry) -> Instruction:
    """Return the precompile's instruction."""
    return Instruction(ED25519, ed25519_data(entries), [])


def terms_of(contract: Contract) -> dict[str, Any]:
    """Return the arguments by which settle and claim say a contract."""
    names = calls.SETTLE.names[:14]
    return {name: getattr(contract, name) for name in names}


def delivery_of(receipt: Receipt) -> dict[str, Any]:
    """Return the arguments that say a delivery."""
    names = ("delivered_wh", "started_at_s", "ended_at_s", "evidence")
    return {name: getattr(receipt, name) for name in names}


def mint_bytes(decimals: int = 6, *, initialized: int = 1) -> bytes:
    """Return a mint that its authority can freeze."""
    authority = bytes(keypair("mint authority").pubkey())
    return _MINT.pack(1, authority, 10**18, decimals, initialized, 1, authority)


def token_bytes(mint: Pubkey, owner: Pubkey, amount: int = 0, state: int = 1) -> bytes:
    """Return a token account; state 2 is frozen."""
    return _TOKEN_ACCOUNT.pack(bytes(mint), bytes(owner), amount, 0, bytes(32), state, 0, 0, 0, 0, bytes(32))
