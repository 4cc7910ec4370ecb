"""What the ledger's money events say, held against what was agreed and what was true.

`Payments` takes every transaction that lands, in order. At each it asks: does somebody get more than the contract, or
twice, or without anybody's name under it; does every unit have its place. When all is over, `check_over` asks whether
everybody who delivered has been paid, and by which way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.money import fee_of
from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT
from settlement.program.events import EVENTS, Attested, Claimed, Collected, Disputed, Settled
from settlement.program.layout import DISCRIMINATOR_BYTES, EVENT_TAG
from settlement.progress import Rules, plausible_wh
from simulation.invariants import Breach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from settlement.program.codec import Record
    from simulation.deals import Deal, Person

RULES: Final = Rules(cosign_wait_s=600, tolerance_wh=20, tolerance_percent=2)
"""What all settlers here go by: the defaults."""
HOW: Final = {
    HOW_COSIGNED: "co-signed",
    HOW_FINALIZED: "finalized",
    HOW_RESOLVED: "resolved",
    HOW_TIMED_OUT: "timed out",
}
_EVENT_OF: Final = {event.DISCRIMINATOR: event for event in EVENTS}


class EscrowFigures(NamedTuple):
    """One escrow and what hangs on it, in base units."""

    vault: int
    available: int
    allotted: int
    bonds: int
    fees_due: int
    unpaid: int
    on_lines: int
    locked: int


def events_in(calls: Iterable[bytes]) -> list[Record]:
    """Return the events among the data of the calls that the program made to itself."""
    found = []
    for data in calls:
        if data.startswith(EVENT_TAG):
            body = data[len(EVENT_TAG) :]
            found.append(_EVENT_OF[body[:DISCRIMINATOR_BYTES]].decode(body))
    return found


class Payments:
    """All that has been claimed, disputed and paid so far, by trade."""

    def __init__(self, deals: Mapping[bytes, Deal]) -> None:
        self._deals = deals
        self.claimed: dict[bytes, Claimed] = {}
        self.disputed: dict[bytes, Disputed] = {}
        self.safe_wh: dict[bytes, int] = {}
        """Of each disputed trade, what is beyond dispute."""
        self.rulings: dict[bytes, int] = {}
        """Of each dispute that somebody ruled on, the ruling in Wh: whoever rules writes it down here first."""
        self.settled: dict[bytes, Settled] = {}
        self.attested = self.collected = self.voided = 0

    def take(self, event: Record) -> None:
        """Take the next event. Raises Breach."""
        match event:
            case Claimed():
                self._claimed(event)
            case Disputed():
                self._disputed(event)
            case Attested():
                self._attested(event)
            case Settled():
                self._settled(event)
            case Collected():
                self.collected += event.amount
            case _:
                pass

    def void(self, battery: Person, buyer: Person, number: int, *, now_s: int) -> None:
        """Take the void of a contract number, at a time of the ledger's clock. Raises Breach."""
        pair = battery, buyer
        deals = [deal for deal in self._deals.values() if (deal.battery, deal.buyer) == pair]
        for deal in [deal for deal in deals if deal.contract.contract_no == number]:
            is_paid = deal.cosigned or deal.trade_id in self.claimed or deal.trade_id in self.settled
            if is_paid or now_s < deal.contract.valid_until_s:
                raise Breach("only what nobody can be paid for is voided", f"{_name(deal)}: number {number}")
        self.voided += 1

    def received(self, battery_wallet: bytes) -> int:
        """Return what a battery has got or is owed for all trades that have ended, in base units."""
        ended = [event for event in self.settled.values() if event.battery_wallet == battery_wallet]
        return sum(event.payout - event.bond_to_buyer + event.bond_to_battery for event in ended)

    def by(self, how: int) -> int:
        """Return how many trades ended in a way."""
        return sum(event.how == how for event in self.settled.values())

    def _claimed(self, event: Claimed) -> None:
        deal = self._deal(event.trade_id)
        if event.trade_id in self.claimed or event.trade_id in self.settled:
            raise Breach("a trade is claimed once", _name(deal))
        if event.claimed_wh != min(deal.final_wh, deal.contract.energy_wh):
            raise Breach("an over-claim is cut to the contract", f"{_name(deal)}: {event.claimed_wh} Wh claimed")
        self.claimed[event.trade_id] = event

    def _disputed(self, event: Disputed) -> None:
        deal = self._deal(event.trade_id)
        if event.trade_id in self.disputed or event.trade_id not in self.claimed:
            raise Breach("what is disputed was claimed, and is disputed once", _name(deal))
        self.disputed[event.trade_id] = event
        self.safe_wh[event.trade_id] = event.safe_wh

    def _attested(self, event: Attested) -> None:
        deal = self._deal(event.trade_id)
        signed_wh = 0 if deal.interim is None else deal.interim.receipt.delivered_wh
        if event.safe_wh > max(signed_wh, self.safe_wh.get(event.trade_id, 0)):
            raise Breach("only what both signed is beyond dispute", f"{_name(deal)}: {event.safe_wh} Wh")
        self.attested += 1
        if event.trade_id in self.disputed:
            self.safe_wh[event.trade_id] = event.safe_wh

    def _settled(self, event: Settled) -> None:
        deal = self._deal(event.trade_id)
        if event.trade_id in self.settled:
            raise Breach("nobody is paid twice", _name(deal))
        contract = deal.contract
        if (event.battery_wallet, event.buyer_wallet) != (contract.battery_wallet, contract.buyer_wallet):
            raise Breach("the parties of the contract pay and are paid", _name(deal))
        if event.payout > contract.amount:
            raise Breach("nobody is paid beyond the contract", f"{_name(deal)}: {event.payout} of {contract.amount}")
        parts = (event.payout, event.fee, event.returned)
        if sum(parts) != event.reserved or event.reserved != contract.reserve:
            raise Breach("payout + fee + returned = reserved", f"{_name(deal)}: {parts} of {contract.reserve}")
        if event.fee != fee_of(event.payout, contract.fee_bps):
            raise Breach("the fee is the contract's", f"{_name(deal)}: {event.fee} on {event.payout}")
        self._check_payout(deal, event)
        self._check_bonds(deal, event)
        self.settled[event.trade_id] = event

    def _check_payout(self, deal: Deal, event: Settled) -> None:
        wh = self._payable_wh(deal, event)
        expected = deal.contract.split(wh).payout
        if event.payout != expected:
            what = f"{_name(deal)}, {HOW[event.how]}: {event.payout}, {wh} Wh cost {expected}"
            raise Breach("a payout is the formula's", what)

    def _check_bonds(self, deal: Deal, event: Settled) -> None:
        """A bond goes to the other side when its own was further from the ruling, else back."""
        to_battery = to_buyer = 0
        dispute = self.disputed.get(event.trade_id)
        if dispute is not None and event.how in (HOW_RESOLVED, HOW_TIMED_OUT):
            safe_wh, claimed_wh = self.safe_wh[event.trade_id], dispute.claimed_wh
            twice_wh = 2 * event.delivered_wh if event.how == HOW_RESOLVED else safe_wh + claimed_wh
            off_wh = (2 * claimed_wh - twice_wh) - (twice_wh - 2 * dispute.buyer_wh)
            to_battery, to_buyer = dispute.bond * (off_wh < 0), dispute.held * (off_wh > 0)
        if (event.bond_to_battery, event.bond_to_buyer) != (to_battery, to_buyer):
            what = f"{_name(deal)}: {event.bond_to_battery} to the battery, {event.bond_to_buyer} to the buyer"
            raise Breach("who was further from the truth pays", f"{what}, not {to_battery} and {to_buyer}")

    def _payable_wh(self, deal: Deal, event: Settled) -> int:
        """Return the Wh that such an end must pay."""
        trade_id, claim = event.trade_id, self.claimed.get(event.trade_id)
        if event.how == HOW_COSIGNED:
            if not deal.cosigned:
                raise Breach("only what both signed is settled", _name(deal))
            return deal.final_wh
        if claim is None or (event.how == HOW_FINALIZED) == (trade_id in self.disputed):
            raise Breach("a claim ends as claims do", f"{_name(deal)}: {HOW[event.how]}")
        if event.how == HOW_FINALIZED:
            return claim.claimed_wh
        safe_wh = self.safe_wh[trade_id]
        if event.how == HOW_TIMED_OUT:
            return safe_wh + (claim.claimed_wh - safe_wh) // 2
        ruling_wh = self.rulings.get(trade_id, -1)
        if not safe_wh <= ruling_wh <= claim.claimed_wh:
            raise Breach("a ruling lies between what is safe and what is claimed", f"{_name(deal)}: {ruling_wh} Wh")
        return ruling_wh

    def _deal(self, trade_id: bytes) -> Deal:
        deal = self._deals.get(trade_id)
        if deal is None:
            raise Breach("only what was agreed moves money", trade_id.hex())
        return deal


def check_escrow(who: str, figures: EscrowFigures) -> None:
    """Raise Breach unless every unit in a vault is spoken for exactly once."""
    owed = figures.available + figures.allotted + figures.bonds + figures.fees_due + figures.unpaid
    if figures.vault != owed:
        raise Breach("the vault holds what is owed", f"{who}: {figures}")
    if figures.allotted != figures.on_lines or figures.locked > figures.on_lines:
        raise Breach("what is allotted lies on Lines", f"{who}: {figures}")


def check_over(deals: Iterable[Deal], payments: Payments, rules: Rules = RULES) -> None:
    """Raise Breach unless everybody got what he delivered, when all has had its time; `rules` are the buyers'."""
    for deal in deals:
        paid = payments.settled.get(deal.trade_id)
        if paid is None:
            if deal.final_wh and deal.ended:
                raise Breach("what was delivered and covered is paid", f"{_name(deal)}: {deal.final_wh} Wh are not")
            continue
        is_disputed = deal.trade_id in payments.disputed
        is_honest = deal.final_wh == deal.true_wh
        if is_honest and is_disputed and deal.buyer.conduct != "lies":
            raise Breach("an honest buyer disputes no honest claim", _name(deal))
        if not is_disputed and deal.trade_id in payments.claimed and is_seen_through(deal, rules):
            raise Breach("an honest buyer disputes what it did not get", f"{_name(deal)}: {deal.final_wh} Wh")
        if not is_disputed and is_honest and paid.payout != deal.contract.split(deal.true_wh).payout:
            raise Breach("what was delivered is paid", f"{_name(deal)}: {paid.payout} for {deal.true_wh} Wh")


def is_seen_through(deal: Deal, rules: Rules) -> bool:
    """Whether an honest buyer has seen so much less than the battery claims that it must say so."""
    if deal.buyer.conduct != "honest" or deal.seen_wh is None:
        return False
    return min(deal.final_wh, deal.contract.energy_wh) > plausible_wh(deal.seen_wh, rules)


def _name(deal: Deal) -> str:
    return f"trade {deal.trade_id.hex()[:8]} of {deal.battery} and {deal.buyer}"
