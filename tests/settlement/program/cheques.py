"""A world in which any contract may be settled, made without a single instruction, and its settle and claim.

It shows that the program rebuilds the very bytes that were signed: for any program id, cluster, mint, wallets,
generation and number, which no sequence of instructions could bring about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from settlement.keys import IdentityKey
from settlement.program import instructions
from settlement.program.accounts import Config, Escrow, Line, Participant, Unpaid
from settlement.program.addresses import Addresses, token_account
from settlement.receipt import Receipt
from settlement.signing import SignatureKind, signed_bytes
from settlement.values import U64_MAX, ZERO
from tests.settlement.program.drafts_trades import terms_of
from tests.settlement.program.machine import metas_of
from tests.settlement.program.model_consent import ed25519_data
from tests.settlement.program.model_world import ED25519, SYSTEM, Account, Call, Plain, World
from tests.settlement.program.scene import LAMPORTS, mint_account, token

if TYPE_CHECKING:
    from settlement.contract import Contract

BATTERY: Final = IdentityKey(bytes([1]) * 32)
BUYER: Final = IdentityKey(bytes([2]) * 32)
RELAY: Final = Pubkey.from_bytes(bytes([33]) * 32)


def accounts_of(contract: Contract) -> dict[str, Pubkey]:
    """Return where everything is that a trade of this contract needs."""
    at = Addresses(Pubkey.from_bytes(contract.venue.program_id))
    mint, battery, buyer = (
        Pubkey.from_bytes(key) for key in (contract.venue.mint, contract.battery_wallet, contract.buyer_wallet)
    )
    escrow = at.escrow(buyer, mint)
    return {
        "config": at.config(),
        "battery": at.participant(battery),
        "buyer": at.participant(buyer),
        "escrow": escrow,
        "vault": at.vault(escrow),
        "line": at.line(escrow, battery),
        "trade": at.trade(contract.trade_id),
        "payee": token_account(battery, mint),
        "unpaid": at.unpaid(battery, escrow),
        "event_authority": at.event_authority(),
    }


def world_of(contract: Contract, on_line: int | None = None, **line_fields: Any) -> World:
    """Return a world with exactly what this contract's reserve needs on its Line, or with `on_line`."""
    venue, found = contract.venue, {name: bytes(key) for name, key in accounts_of(contract).items()}
    amount = contract.reserve if on_line is None else on_line
    battery, buyer, mint = contract.battery_wallet, contract.buyer_wallet, venue.mint
    base_no = max(0, min(contract.contract_no, U64_MAX - 255))
    line: dict[str, Any] = {
        "buyer_wallet": buyer,
        "battery_wallet": battery,
        "mint": mint,
        "escrow": found["escrow"],
        "payee": found["payee"],
        "amount": amount,
        "locked": 0,
        "release_amount": 0,
        "release_at": 0,
        "generation": contract.generation,
        "base_no": base_no,
        "used": ZERO,
        "open_trades": 0,
        "trades_settled": 0,
        "paid": 0,
    }
    counters = (ZERO, 0, 0, 0, 0, 0, 0, 0, 0)
    ours = {
        "config": Config(1, 255, 0, False, 0, 1, SYSTEM, SYSTEM, battery, venue.genesis_hash),
        "battery": Participant(1, 255, 1, battery, BATTERY.public_key, *counters),
        "buyer": Participant(1, 255, 2, buyer, BUYER.public_key, *counters),
        "escrow": Escrow(1, _bump(contract), buyer, mint, found["vault"], 0, amount, 0, 0, 0),
        "line": Line(1, 255, **{**line, **line_fields}),
        "unpaid": Unpaid(1, 255, battery, mint, found["escrow"], 0),
    }
    accounts = {found[name]: Account(venue.program_id, LAMPORTS, record) for name, record in ours.items()}
    accounts[found["vault"]] = token(found["escrow"], mint, amount)
    accounts[found["payee"]] = token(battery, mint)
    accounts[mint] = mint_account(6)
    accounts[bytes(RELAY)] = Account(SYSTEM, LAMPORTS, Plain())
    return World(venue.program_id, accounts)


def _bump(contract: Contract) -> int:
    """Return the bump of the escrow, with which it signs for its vault."""
    seeds = (b"escrow", contract.buyer_wallet, contract.venue.mint)
    return Pubkey.find_program_address(seeds, Pubkey.from_bytes(contract.venue.program_id))[1]


def final_receipt(contract: Contract, delivered_wh: int) -> Receipt:
    """Return the receipt of a whole delivery."""
    return Receipt(
        trade_id=contract.trade_id,
        final=True,
        delivered_wh=delivered_wh,
        started_at_s=contract.starts_at_s,
        ended_at_s=contract.ends_at_s,
        evidence=bytes([10]) * 32,
    )


def proof(*signed: tuple[IdentityKey, SignatureKind, bytes]) -> Instruction:
    """Return the Ed25519 instruction with these signatures of digests."""
    entries = []
    for key, kind, digest in signed:
        message = signed_bytes(kind, digest)
        entries.append((key.public_key, key.sign(message), message))
    return Instruction(Pubkey.from_bytes(ED25519), ed25519_data(entries), [])


def settle(contract: Contract, receipt: Receipt, **other: Any) -> list[Instruction]:
    """Return a relayed settle: both parties by precompile. `other` replaces arguments after the signing."""
    signed = proof((BATTERY, SignatureKind.RECEIPT, receipt.digest), (BUYER, SignatureKind.RECEIPT, receipt.digest))
    arguments: dict[str, Any] = {**accounts_of(contract), **terms_of(contract), **delivery_of(receipt), **other}
    program = Pubkey.from_bytes(contract.venue.program_id)
    back = instructions.INSTRUCTIONS
    return [signed, instructions.settle(program, **arguments, instructions=back)]


def claim(contract: Contract, receipt: Receipt, payer: Pubkey) -> list[Instruction]:
    """Return a relayed claim: the battery's receipt and the buyer's contract by precompile."""
    signed = proof((BATTERY, SignatureKind.RECEIPT, receipt.digest), (BUYER, SignatureKind.CONTRACT, contract.trade_id))
    named = ("config", "battery", "buyer", "line", "trade", "event_authority")
    accounts = {name: key for name, key in accounts_of(contract).items() if name in named}
    arguments: dict[str, Any] = {**accounts, **terms_of(contract), **delivery_of(receipt)}
    return [signed, instructions.claim(Pubkey.from_bytes(contract.venue.program_id), payer=payer, **arguments)]


def delivery_of(receipt: Receipt) -> dict[str, Any]:
    """Return the arguments that say a receipt."""
    return {name: getattr(receipt, name) for name in ("delivered_wh", "started_at_s", "ended_at_s", "evidence")}


def call_of(transaction: list[Instruction]) -> Call:
    """Return the last instruction as the model takes it."""
    proofs, ours = transaction[-2:]
    return Call(metas_of(ours, transaction), bytes(ours.data), (bytes(proofs.program_id), bytes(proofs.data)))
