"""Who trades in a world of cheques, how honestly, and what every trade really delivered: all of it drawn from a seed.

A `Deal` is the truth about one trade: what was agreed, what flowed, and what each side has put its name to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from settlement.cheque import Cheque, SignedReceipt
from settlement.contract import Contract, Venue
from settlement.keyring import KeyRing
from settlement.receipt import Receipt
from settlement.signing import sign_contract, sign_receipt

if TYPE_CHECKING:
    import random

    from settlement.keys import IdentityKey, SeedKey
    from settlement.signing import Party

Conduct = Literal["honest", "over-claims", "refuses", "lies", "vanishes"]
"""Of a battery: honest, or claims more than it delivered. Of a buyer: honest, never co-signs a final receipt, disputes
what is true, or is gone for ever after a Confirm."""

BASE_UNITS_PER_CENT: Final = 10_000
FEE_BPS: Final = 50
_DEVIATION_PERCENT: Final = 1
"""How far a buyer's own figure may be off: half of what its settler forgives."""


class Terms(NamedTuple):
    """What all contracts of a world have in common."""

    venue: Venue
    resolver: bytes
    dispute_window_s: int
    valid_for_s: int


class Person:
    """A battery or a buyer: its keys and its conduct."""

    def __init__(self, name: str, role: Party, conduct: Conduct = "honest") -> None:
        self.name = name
        self.role = role
        self.conduct = conduct
        self.keys = KeyRing(hashlib.sha256(b"simulated " + name.encode()).digest())
        self.identity: IdentityKey = self.keys.identity
        self.signer: SeedKey = self.keys.signer("wallet")
        self.wallet = self.signer.public_key

    def __repr__(self) -> str:
        return f"{self.name} ({self.conduct})"


@dataclass(eq=False, kw_only=True)
class Deal:
    """One trade; what it grows by is signed once and kept."""

    contract: Contract
    battery: Person
    buyer: Person
    lasts_s: int
    """From its start until the last Wh."""
    true_wh: int
    """What reached the buyer."""
    final_wh: int
    """What the battery's final receipt says."""
    seen_wh: int | None = None
    """What the buyer says it saw; None before the end, and if it is gone by then."""
    interim: SignedReceipt | None = None
    """The last that both have signed."""
    cosigned: bool = False
    """Whether the buyer has signed the final receipt."""
    ended: bool = False

    @property
    def trade_id(self) -> bytes:
        """The 32 bytes that name it."""
        return self.contract.trade_id

    @cached_property
    def final(self) -> Receipt:
        """The one final receipt."""
        return self.receipt(self.final_wh, at_s=self.contract.starts_at_s + self.lasts_s, final=True)

    def receipt(self, delivered_wh: int, *, at_s: int, final: bool) -> Receipt:
        """Return a receipt of this trade."""
        return Receipt(
            trade_id=self.trade_id,
            final=final,
            delivered_wh=delivered_wh,
            started_at_s=self.contract.starts_at_s,
            ended_at_s=at_s,
            evidence=hashlib.sha256(self.trade_id + delivered_wh.to_bytes(8, "little")).digest(),
        )

    def attest(self, delivered_wh: int, *, at_s: int) -> None:
        """Let both sign an interim receipt."""
        receipt = self.receipt(delivered_wh, at_s=at_s, final=False)
        self.interim = SignedReceipt(
            receipt=receipt,
            battery_signature=sign_receipt(receipt, self.contract, self.battery.identity),
            buyer_signature=sign_receipt(receipt, self.contract, self.buyer.identity),
        )

    def cheque(self, role: Party, *, cosigned: bool = False) -> Cheque:
        """Return what a side knows; `cosigned`: the buyer's signature of the final receipt has reached it."""
        return Cheque(
            role=role,
            contract=self.contract,
            battery_key=self.battery.identity.public_key,
            buyer_key=self.buyer.identity.public_key,
            battery_signature=self._contract_signatures[0],
            buyer_signature=self._contract_signatures[1],
            interim=self.interim,
            final=self._final(cosigned=cosigned) if self.ended else None,
        )

    @cached_property
    def _contract_signatures(self) -> tuple[bytes, bytes]:
        return sign_contract(self.contract, self.battery.identity), sign_contract(self.contract, self.buyer.identity)

    @cached_property
    def _final_signatures(self) -> tuple[bytes, bytes]:
        battery, buyer = self.battery.identity, self.buyer.identity
        return sign_receipt(self.final, self.contract, battery), sign_receipt(self.final, self.contract, buyer)

    def _final(self, *, cosigned: bool) -> SignedReceipt:
        battery, buyer = self._final_signatures
        return SignedReceipt(receipt=self.final, battery_signature=battery, buyer_signature=buyer if cosigned else None)


def draw_people(rng: random.Random) -> tuple[list[Person], list[Person]]:
    """Return one or two batteries and three or four buyers; the first of either kind is honest."""
    batteries = [Person("battery-1", "battery")]
    if rng.random() < 0.7:
        batteries.append(Person("battery-2", "battery", rng.choice(("honest", "over-claims", "over-claims"))))
    others: list[Conduct] = ["refuses", "lies", "vanishes"]
    rng.shuffle(others)
    conducts: list[Conduct] = ["honest", *others[: rng.randint(2, 3)]]
    return batteries, [Person(f"buyer-{at}", "buyer", conduct) for at, conduct in enumerate(conducts, start=1)]


def draw_deal(
    rng: random.Random,
    terms: Terms,
    battery: Person,
    buyer: Person,
    *,
    now_s: int,
    generation: int,
    contract_no: int,
    message_id: int,
) -> Deal:
    """Draw a trade that begins now: its size and price, what will flow of it, and what the battery will say."""
    energy_wh = rng.choice((100, 200, 500, 1_000, 2_500))
    window_s = rng.randint(120, 1_200)
    contract = Contract(
        venue=terms.venue,
        battery_wallet=battery.wallet,
        buyer_wallet=buyer.wallet,
        generation=generation,
        contract_no=contract_no,
        battery_device_id=battery.identity.device_id,
        buyer_device_id=buyer.identity.device_id,
        message_id=message_id,
        price_e4=rng.randint(800, 4_000) * 100,
        energy_wh=energy_wh,
        base_units_per_cent=BASE_UNITS_PER_CENT,
        starts_at_s=now_s,
        ends_at_s=now_s + window_s,
        valid_until_s=now_s + window_s + terms.valid_for_s,
        fee_bps=FEE_BPS,
        dispute_window_s=terms.dispute_window_s,
        resolver=terms.resolver,
    )
    true_wh = _drawn_delivery(rng, energy_wh)
    return Deal(
        contract=contract,
        battery=battery,
        buyer=buyer,
        lasts_s=rng.randint(window_s // 2, window_s),
        true_wh=true_wh,
        final_wh=_drawn_statement(rng, battery, true_wh),
    )


def seen_by(rng: random.Random, buyer: Person, deal: Deal) -> int:
    """Draw what a buyer says that it saw of a delivery."""
    if buyer.conduct == "lies":
        return int(deal.true_wh * rng.uniform(0.0, 0.8))
    off_wh = deal.true_wh * _DEVIATION_PERCENT // 100
    return deal.true_wh + rng.randint(-off_wh, off_wh)


def _drawn_delivery(rng: random.Random, energy_wh: int) -> int:
    """All of it, a part, nothing, or a little more than was sold."""
    kind = rng.random()
    if kind < 0.6:
        return energy_wh
    if kind < 0.9:
        return rng.randint(1, energy_wh)
    return 0 if kind < 0.95 else energy_wh + rng.randint(0, energy_wh // 50)


def _drawn_statement(rng: random.Random, battery: Person, true_wh: int) -> int:
    if battery.conduct != "over-claims" or rng.random() < 0.4:
        return true_wh
    return rng.choice((true_wh + 200, true_wh * 2 + 100, true_wh + 1_000_000, 2**63))
