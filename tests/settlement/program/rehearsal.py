"""Each instruction of the program on a stage where it would go through, so that a test can spoil one thing of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from solders.instruction import AccountMeta, Instruction

from settlement.program import instructions, schema
from settlement.program.addresses import token_account
from tests.settlement.program.bench import Bench
from tests.settlement.program.pieces import (
    GENESIS,
    ON_LINE,
    RELEASE_DELAY_S,
    SYSTEM,
    TIMEOUT_S,
    TOKEN,
    keypair,
    mint_bytes,
    party,
)

if TYPE_CHECKING:
    from settlement import Contract

CALLER = Path(__file__).with_name("caller") / "caller.so"
"""A program that hands on what it is given; its source is beside it."""
CALLS = {call.name: call for call in schema.CALLS}
NAMES = [call.name for call in schema.CALLS]
NEW = [
    ("initialize", "config"),
    ("set_mint_rule", "mint_rule"),
    ("register", "participant"),
    ("open_escrow", "escrow"),
    ("open_escrow", "vault"),
    ("open_line", "line"),
    ("open_line", "unpaid"),
    ("claim", "trade"),
]


def index_of(name: str, slot: str) -> int:
    return [each.name for each in CALLS[name].accounts].index(slot)


class Scene:
    """A bench on which every instruction would go through, and how each is called."""

    def __init__(self, name: str) -> None:
        self.bench = bench = Bench() if name == "initialize" else Bench.ready()
        self.signers = [
            bench.admin,
            bench.buyer.wallet,
            bench.battery.wallet,
            bench.resolver,
            bench.relay,
            bench.stranger,
        ]
        self.payer = keypair("pays for transactions and is nobody else")
        bench.svm.airdrop(self.payer.pubkey(), 10**12)
        self.before: list[Instruction] = []
        given: dict[str, Any] = getattr(self, f"_{name}", dict)()
        self.call = bench.call(name, **given)
        needed = {meta.pubkey for meta in self.call.accounts if meta.is_signer}
        self.signers = [each for each in self.signers if each.pubkey() in needed]

    def send(self, call: Instruction) -> None:
        needed = {meta.pubkey for meta in call.accounts if meta.is_signer}
        signers = [each for each in self.signers if each.pubkey() in needed]
        self.bench.send(*self.before, call, signers=signers, payer=self.payer)

    def with_account(self, index: int, **change: Any) -> Instruction:
        metas = list(self.call.accounts)
        old = metas[index]
        merged = {"pubkey": old.pubkey, "is_signer": old.is_signer, "is_writable": old.is_writable, **change}
        metas[index] = AccountMeta(**merged)
        return Instruction(self.bench.program, bytes(self.call.data), metas)

    def _initialize(self) -> dict[str, Any]:
        treasury = bytes(self.bench.treasury)
        return {"treasury": treasury, "fee_bps": 50, "min_bond": 1, "genesis": GENESIS, "timeout_s": TIMEOUT_S}

    def _set_config(self) -> dict[str, Any]:
        return {"treasury": bytes(self.bench.treasury), "fee_bps": 50, "min_bond": 1}

    def _propose_admin(self) -> dict[str, Any]:
        return {"new_admin": bytes(self.bench.stranger.pubkey())}

    def _accept_admin(self) -> dict[str, Any]:
        bench = self.bench
        bench.send(bench.call("propose_admin", new_admin=bytes(bench.stranger.pubkey())), signers=[bench.admin])
        return {"new_admin": bench.stranger.pubkey()}

    def _set_pause(self) -> dict[str, Any]:
        return {"paused": True}

    def _set_mint_rule(self) -> dict[str, Any]:
        return {"allowed": True, "base_units_per_cent": 7}

    def _register(self) -> dict[str, Any]:
        who = party("newcomer")
        self.bench.svm.airdrop(who.key, 10**10)
        self.signers.append(who.wallet)
        self.before = [self.bench.registration(who)]
        place = self.bench.at.participant(who.key)
        return {"wallet": who.key, "participant": place, "role": 3, "signing_key": who.identity.public_key}

    def _rotate_key(self) -> dict[str, Any]:
        who, key = self.bench.battery, party("newcomer").identity
        self.before = [self.bench.registration(who, key)]
        return {"wallet": who.key, "participant": self.bench.at.participant(who.key), "new_key": key.public_key}

    def _open_escrow(self) -> dict[str, Any]:
        self.bench.mint = keypair("second mint").pubkey()
        self.bench.set(self.bench.mint, TOKEN, mint_bytes())
        return {}

    def _deposit(self) -> dict[str, Any]:
        return {"amount": 1}

    def _withdraw(self) -> dict[str, Any]:
        return {"amount": 1, "destination": self.bench.purse}

    def _open_line(self) -> dict[str, Any]:
        self.bench.battery = who = party("newcomer")
        self.bench.svm.airdrop(who.key, 10**10)
        self.bench.register(who, 1)
        return {}

    def _allot(self) -> dict[str, Any]:
        return {"amount": 1}

    def _request_release(self) -> dict[str, Any]:
        return {"amount": 1}

    def _release(self) -> dict[str, Any]:
        self.bench.by_buyer("request_release", amount=ON_LINE)
        self.bench.wait(RELEASE_DELAY_S)
        return {}

    def _settle(self) -> dict[str, Any]:
        contract = self.bench.contract()
        receipt = self.bench.receipt(contract)
        return self._given(self.bench.settle_call(contract, receipt, ["battery", "buyer"]), "settle")

    def _claim(self) -> dict[str, Any]:
        contract = self.bench.contract()
        receipt = self.bench.receipt(contract)
        self.bench.wait(3_600)
        self.before = [self.bench.claim_consent(contract, receipt, ["battery"])]
        return self._given(self.bench.claim_call(contract, receipt, ["battery"]), "claim")

    def _attest(self) -> dict[str, Any]:
        contract = self.bench.disputed(1_000)
        names = {"delivered_wh": 2_000, "started_at_s": 1, "ended_at_s": 2, "evidence": bytes(32)}
        wallets = {"battery_wallet": self.bench.battery.key, "buyer_wallet": self.bench.buyer.key}
        return {**self._trade(contract), **names, **wallets}

    def _finalize(self) -> dict[str, Any]:
        contract = self.bench.claimed()
        self.bench.wait(86_400)
        return {**self._trade(contract), "rent_payer": self.bench.relay.pubkey()}

    def _dispute(self) -> dict[str, Any]:
        return {**self._trade(self.bench.claimed()), "buyer_wh": 1_000}

    def _resolve(self) -> dict[str, Any]:
        passed = {"rent_payer": self.bench.relay.pubkey(), "ruling_wh": 2_000}
        return {**self._trade(self.bench.disputed(1_000)), **passed}

    def _timeout(self) -> dict[str, Any]:
        contract = self.bench.disputed(1_000)
        self.bench.wait(TIMEOUT_S)
        return {**self._trade(contract), "rent_payer": self.bench.relay.pubkey()}

    def _close(self) -> dict[str, Any]:
        self._release()
        self.bench.by_buyer("release")
        return {}

    def _void(self) -> dict[str, Any]:
        return {"contract_no": 3}

    def _collect(self) -> dict[str, Any]:
        bench = self.bench
        bench.set(bench.payee, SYSTEM, b"", 0)
        contract = bench.contract()
        bench.settle(contract, bench.receipt(contract))
        bench.set_token(bench.payee, bench.battery.key)
        return {"destination": bench.payee, "battery_wallet": bench.battery.key}

    def _sweep_fees(self) -> dict[str, Any]:
        bench = self.bench
        contract = bench.contract()
        bench.settle(contract, bench.receipt(contract))
        place = token_account(bench.treasury, bench.mint)
        return {"destination": bench.set_token(place, bench.treasury)}

    def _trade(self, contract: Contract) -> dict[str, Any]:
        return {"trade": self.bench.at.trade(contract.trade_id)}

    def _given(self, call: Instruction, name: str) -> dict[str, Any]:
        slots = zip(CALLS[name].accounts, call.accounts, strict=True)
        fixed = ("token_program", "system_program", "program")
        accounts = {slot.name: meta.pubkey for slot, meta in slots if slot.name not in fixed}
        if name == "claim":
            accounts.pop("instructions")
        optional: dict[str, object] = {
            key: (None if value == self.bench.program else value) for key, value in accounts.items()
        }
        return {**optional, **getattr(instructions, name.upper()).decode(bytes(call.data))}
