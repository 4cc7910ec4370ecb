"""Who takes part in the acceptance suite, what they sign, and the instructions with their accounts filled in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

from solders.pubkey import Pubkey

from settlement import Contract, IdentityKey, Receipt, SeedKey, Venue, to_base58
from settlement.cluster.landing import Lander
from settlement.program import instructions as calls
from settlement.program.accounts import Escrow, Line, Participant, Trade, Unpaid
from settlement.program.addresses import Addresses, token_account
from settlement.program.constants import INSTRUCTIONS
from settlement.program.events import Settled
from settlement.signing import SignatureKind, sign_contract, sign_receipt, signed_bytes
from settlement.statements import Registration
from settlement.transaction import Consent, consent

if TYPE_CHECKING:
    from solders.instruction import Instruction

    from etp.auth import Signer
    from tests.acceptance.client import Client, Landed

FEE_BPS: Final = 50
MIN_BOND: Final = 1_000
SOON_S: Final = 1
"""Real seconds that a run sits out: until a delivery ends, and in a dispute window."""
TIMEOUT_S: Final = 5
"""Real seconds until a dispute times out: long enough to see that it cannot be ended before."""
LONG_S: Final = 86_400
"""One that never ends while the suite runs."""
PER_CENT: Final = 10_000
_INSTRUCTIONS: Final = Pubkey.from_string(INSTRUCTIONS)
_TERMS: Final = tuple(name for name in calls.SETTLE.names if name in Contract.__dataclass_fields__)


def address(signer: Signer) -> Pubkey:
    return Pubkey.from_bytes(signer.public_key)


@dataclass(frozen=True)
class Party:
    """A battery or a buyer: its wallet, and the key that signs contracts and receipts."""

    wallet: SeedKey
    identity: IdentityKey

    @cached_property
    def address(self) -> Pubkey:
        return address(self.wallet)

    def contract(self, contract: Contract) -> Consent:
        """Return its consent to a contract."""
        message = signed_bytes(SignatureKind.CONTRACT, contract.trade_id)
        return Consent(self.identity.public_key, sign_contract(contract, self.identity), message)

    def receipt(self, contract: Contract, receipt: Receipt) -> Consent:
        """Return its consent to a receipt."""
        message = signed_bytes(SignatureKind.RECEIPT, receipt.digest)
        return Consent(self.identity.public_key, sign_receipt(receipt, contract, self.identity), message)


@dataclass
class Market:
    """One run: a client of the cluster, the keys of all who take part, and what was agreed."""

    client: Client
    funder: Signer
    scale: int
    """Seconds of the cluster's clock in a real one."""
    run: bytes
    """What all keys of this run are derived from."""
    trades: dict[bytes, Contract] = field(default_factory=dict)
    """Every contract that was made, by its trade id."""
    ended: dict[bytes, Landed] = field(default_factory=dict)
    """The transaction that ended a trade."""
    told: list[str] = field(default_factory=list)
    """What a reader of the suite's output is told."""

    @property
    def soon_s(self) -> int:
        """SOON_S on the cluster's clock."""
        return SOON_S * self.scale

    @property
    def timeout_s(self) -> int:
        """TIMEOUT_S on the cluster's clock."""
        return TIMEOUT_S * self.scale

    def seed(self, name: str) -> bytes:
        return sha256(self.run + name.encode()).digest()

    def key(self, name: str) -> SeedKey:
        return SeedKey(self.seed(name))

    def party(self, name: str) -> Party:
        return Party(self.key(name), IdentityKey(self.seed(name + "'s identity")))

    @cached_property
    def program(self) -> SeedKey:
        return self.key("program")

    @cached_property
    def program_id(self) -> Pubkey:
        return address(self.program)

    @cached_property
    def at(self) -> Addresses:
        return Addresses(self.program_id)

    @cached_property
    def mint(self) -> Pubkey:
        return address(self.key("mint"))

    @cached_property
    def operator(self) -> SeedKey:
        """Upgrade authority, admin, and who issues the test money."""
        return self.key("operator")

    @cached_property
    def lander(self) -> Lander:
        """Sends for the operator."""
        return Lander(self.client.rpc, self.operator, sleep=asyncio.sleep)

    @cached_property
    def stranger(self) -> SeedKey:
        """Has nothing to do with any of it, and some SOL."""
        return self.key("stranger")

    @cached_property
    def resolver(self) -> SeedKey:
        return self.key("resolver")

    @cached_property
    def treasury(self) -> SeedKey:
        return self.key("treasury")

    @cached_property
    def buyer(self) -> Party:
        return self.party("buyer")

    @cached_property
    def battery(self) -> Party:
        return self.party("battery")

    @cached_property
    def other(self) -> Party:
        """Another battery."""
        return self.party("other battery")

    @cached_property
    def venue(self) -> Venue:
        genesis = self.client.rpc.genesis_hash
        return Venue(program_id=self.program.public_key, genesis_hash=genesis, mint=bytes(self.mint))

    @cached_property
    def escrow(self) -> Pubkey:
        return self.at.escrow(self.buyer.address, self.mint)

    def line(self, battery: Party) -> Pubkey:
        return self.at.line(self.escrow, battery.address)

    def unpaid(self, battery: Party) -> Pubkey:
        return self.at.unpaid(battery.address, self.escrow)

    def tokens(self, wallet: Pubkey) -> Pubkey:
        return token_account(wallet, self.mint)

    async def read_line(self, battery: Party) -> Line:
        return await self.client.record(Line, self.line(battery))

    async def read_escrow(self) -> Escrow:
        return await self.client.record(Escrow, self.escrow)

    async def read_trade(self, contract: Contract) -> Trade:
        return await self.client.record(Trade, self.at.trade(contract.trade_id))

    async def read_unpaid(self, battery: Party) -> Unpaid:
        return await self.client.record(Unpaid, self.unpaid(battery))

    async def read_participant(self, party: Party) -> Participant:
        return await self.client.record(Participant, self.at.participant(party.address))

    async def agree(
        self, contract_no: int, *, battery: Party | None = None, ends_in_s: int = -60, window_s: int = LONG_S
    ) -> Contract:
        """Return a contract over 2.5 kWh at 25.13 cents that ends so many seconds from now, on the cluster's clock."""
        battery = battery or self.battery
        ends_at_s = await self.client.now_s() + ends_in_s
        contract = Contract(
            venue=self.venue,
            battery_wallet=bytes(battery.address),
            buyer_wallet=bytes(self.buyer.address),
            generation=(await self.read_line(battery)).generation,
            contract_no=contract_no,
            battery_device_id=battery.identity.device_id,
            buyer_device_id=self.buyer.identity.device_id,
            message_id=4_711 + contract_no,
            price_e4=251_300,
            energy_wh=2_500,
            base_units_per_cent=PER_CENT,
            starts_at_s=ends_at_s - 2_310,
            ends_at_s=ends_at_s,
            valid_until_s=ends_at_s + 259_200,
            fee_bps=FEE_BPS,
            dispute_window_s=window_s,
            resolver=self.resolver.public_key,
        )
        self.trades[contract.trade_id] = contract
        return contract

    def receipt(self, contract: Contract, delivered_wh: int, *, final: bool = True) -> Receipt:
        return Receipt(
            trade_id=contract.trade_id,
            final=final,
            delivered_wh=delivered_wh,
            started_at_s=contract.starts_at_s + 3,
            ended_at_s=contract.ends_at_s - 1,
            evidence=self.seed("samples"),
        )

    def payment(self, contract: Contract) -> dict[str, Any]:
        """Return the accounts of every instruction that pays out of a Line."""
        battery = Pubkey.from_bytes(contract.battery_wallet)
        return {
            "battery": self.at.participant(battery),
            "buyer": self.at.participant(self.buyer.address),
            "escrow": self.escrow,
            "vault": self.at.vault(self.escrow),
            "line": self.at.line(self.escrow, battery),
            "trade": self.at.trade(contract.trade_id),
            "payee": self.tokens(battery),
            "unpaid": self.at.unpaid(battery, self.escrow),
            "event_authority": self.at.event_authority(),
        }

    def end(self, contract: Contract, landed: Landed, what: str) -> None:
        """Note the transaction that ended a trade."""
        self.ended[contract.trade_id] = landed
        split = landed.event(Settled)
        parts = f"payout {split.payout} + fee {split.fee} + returned {split.returned} = {split.reserved}"
        self.told.append(f"no {contract.contract_no} {what}: {parts}; {landed.units} CU, {to_base58(landed.signature)}")

    def settle(
        self, contract: Contract, receipt: Receipt, *present: str, rent_payer: SeedKey | None = None
    ) -> Instruction:
        """Return settle; `present` are the parties whose wallets sign the transaction itself."""
        return calls.settle(
            self.program_id,
            config=self.at.config(),
            **self.payment(contract),
            **_terms(contract),
            **_delivery(receipt),
            **self._present(contract, present),
            instructions=None if len(present) == 2 else _INSTRUCTIONS,
            rent_payer=None if rent_payer is None else address(rent_payer),
        )

    def claim(self, contract: Contract, receipt: Receipt, payer: SeedKey, *present: str) -> Instruction:
        accounts = self.payment(contract)
        return calls.claim(
            self.program_id,
            payer=address(payer),
            config=self.at.config(),
            **{name: accounts[name] for name in ("battery", "buyer", "line", "trade", "event_authority")},
            **_terms(contract),
            **_delivery(receipt),
            **self._present(contract, present),
        )

    def attest(self, contract: Contract, receipt: Receipt) -> Instruction:
        """Return attest, with nobody's wallet."""
        return calls.attest(self.program_id, **self.payment(contract), **_delivery(receipt), instructions=_INSTRUCTIONS)

    def finalize(self, contract: Contract, rent_payer: SeedKey) -> Instruction:
        return calls.finalize(self.program_id, **self.payment(contract), rent_payer=address(rent_payer))

    def dispute(self, contract: Contract, buyer_wh: int) -> Instruction:
        return calls.dispute(
            self.program_id,
            buyer_wallet=self.buyer.address,
            config=self.at.config(),
            **self.payment(contract),
            buyer_wh=buyer_wh,
        )

    def resolve(self, contract: Contract, ruling_wh: int, rent_payer: SeedKey) -> Instruction:
        return calls.resolve(
            self.program_id,
            resolver=address(self.resolver),
            **self.payment(contract),
            rent_payer=address(rent_payer),
            ruling_wh=ruling_wh,
        )

    def timeout(self, contract: Contract, rent_payer: SeedKey) -> Instruction:
        return calls.timeout(self.program_id, **self.payment(contract), rent_payer=address(rent_payer))

    def register(self, party: Party, role: int) -> list[Instruction]:
        """Return the key's proof of possession, and register."""
        registered = calls.register(
            self.program_id,
            wallet=party.address,
            config=self.at.config(),
            participant=self.at.participant(party.address),
            role=role,
            signing_key=party.identity.public_key,
        )
        return [self._proof(party, party.identity), registered]

    def rotate(self, party: Party, identity: IdentityKey) -> list[Instruction]:
        """Return the new key's proof of possession, and rotate_key."""
        rotated = calls.rotate_key(
            self.program_id,
            wallet=party.address,
            config=self.at.config(),
            participant=self.at.participant(party.address),
            new_key=identity.public_key,
        )
        return [self._proof(party, identity), rotated]

    def cosigned(self, contract: Contract, receipt: Receipt) -> Instruction:
        """Return both parties' consent to a receipt, the battery's first."""
        battery = self.other if contract.battery_wallet == bytes(self.other.address) else self.battery
        return consent([battery.receipt(contract, receipt), self.buyer.receipt(contract, receipt)])

    def _proof(self, party: Party, identity: IdentityKey) -> Instruction:
        said = Registration(
            program_id=self.program.public_key,
            genesis_hash=self.client.rpc.genesis_hash,
            wallet=party.wallet.public_key,
            key=identity.public_key,
        )
        message = signed_bytes(SignatureKind.REGISTRATION, said.digest)
        return consent([Consent(identity.public_key, said.sign(identity), message)])

    def _present(self, contract: Contract, present: tuple[str, ...]) -> dict[str, Any]:
        wallets = {"battery": contract.battery_wallet, "buyer": contract.buyer_wallet}
        return {f"{name}_wallet": Pubkey.from_bytes(wallets[name]) for name in present}


def _terms(contract: Contract) -> dict[str, Any]:
    return {name: getattr(contract, name) for name in _TERMS}


def _delivery(receipt: Receipt) -> dict[str, Any]:
    names = ("delivered_wh", "started_at_s", "ended_at_s", "evidence")
    return {name: getattr(receipt, name) for name in names}


@dataclass(frozen=True, slots=True)
class Balances:
    """Where the money is, base units."""

    payee: int
    """The first battery's token account."""
    vault: int
    line: int
    """On the first battery's Line."""
    available: int
    fees: int
    bonds: int

    @classmethod
    async def read(cls, market: Market) -> Self:
        escrow = await market.read_escrow()
        return cls(
            await market.client.tokens(market.tokens(market.battery.address)),
            await market.client.tokens(market.at.vault(market.escrow)),
            (await market.read_line(market.battery)).amount,
            escrow.available,
            escrow.fees_due,
            escrow.bonds,
        )

    def after(self, **changes: int) -> Self:
        """Return what they should be, given how each changes."""
        return replace(self, **{name: getattr(self, name) + change for name, change in changes.items()})
