"""The audit of a ledger's events: every way of paying what is not owed is a breach, by its own name."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from settlement.contract import Venue
from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT
from settlement.program.events import Attested, Claimed, Disputed, Settled
from settlement.program.layout import EVENT_TAG
from simulation.deals import Conduct, Deal, Person, Terms, draw_deal, draw_people, seen_by
from simulation.invariants import Breach
from simulation.payments import EscrowFigures, Payments, check_escrow, check_over, events_in

VENUE = Venue(program_id=b"\x01" * 32, genesis_hash=b"\x02" * 32, mint=b"\x03" * 32)
TERMS = Terms(VENUE, b"\x04" * 32, dispute_window_s=600, valid_for_s=86_400)
FINE = EscrowFigures(vault=15, available=5, allotted=4, bonds=3, fees_due=2, unpaid=1, on_lines=4, locked=2)


def deal_of(buyer: Conduct = "honest", *, true_wh: int = 400, final_wh: int = 400, cosigned: bool = True) -> Deal:
    """Return a trade of 1 kWh that has ended."""
    battery, other = Person("seller", "battery"), Person("customer", "buyer", buyer)
    drawn = draw_deal(
        random.Random(1), TERMS, battery, other, now_s=1_790_000_000, generation=5, contract_no=3, message_id=9
    )
    deal = replace(drawn, contract=replace(drawn.contract, energy_wh=1_000), true_wh=true_wh, final_wh=final_wh)
    deal.cosigned, deal.ended = cosigned, True
    return deal


def settled(deal: Deal, wh: int, how: int = HOW_COSIGNED, **changes: Any) -> Settled:
    split, contract = deal.contract.split(wh), deal.contract
    fields: dict[str, Any] = {
        "trade_id": deal.trade_id,
        "line": b"\x05" * 32,
        "contract_no": contract.contract_no,
        "battery_wallet": contract.battery_wallet,
        "buyer_wallet": contract.buyer_wallet,
        "delivered_wh": wh,
        "reserved": contract.reserve,
        "payout": split.payout,
        "fee": split.fee,
        "returned": split.returned,
        "bond_to_battery": 0,
        "bond_to_buyer": 0,
        "unpaid": 0,
        "battery_sequence": 1,
        "buyer_sequence": 1,
        "how": how,
    }
    return Settled(**(fields | changes))


def claimed(deal: Deal, wh: int) -> Claimed:
    return Claimed(deal.trade_id, b"\x05" * 32, 3, wh, deal.contract.reserve, 1_790_010_000, 1, 1)


def disputed(deal: Deal, wh: int, safe_wh: int) -> Disputed:
    return Disputed(deal.trade_id, b"\x05" * 32, 3, wh, safe_wh, safe_wh, 0, 10, 10, 1_790_020_000, 1, 1)


def taken(deal: Deal, *events: Any, rulings: dict[bytes, int] | None = None) -> Payments:
    payments = Payments({deal.trade_id: deal})
    payments.rulings.update(rulings or {})
    for event in events:
        payments.take(event)
    return payments


def breach_of(deal: Deal, *events: Any, rulings: dict[bytes, int] | None = None) -> str:
    with pytest.raises(Breach) as caught:
        taken(deal, *events, rulings=rulings)
    return caught.value.invariant


def test_what_both_signed_is_paid_by_the_formula() -> None:
    deal = deal_of()
    payments = taken(deal, settled(deal, 400))
    check_over([deal], payments)
    assert payments.received(deal.contract.battery_wallet) == deal.contract.split(400).payout


def test_nobody_is_paid_twice() -> None:
    deal = deal_of()
    assert breach_of(deal, settled(deal, 400), settled(deal, 400)) == "nobody is paid twice"


def test_nobody_is_paid_for_what_nobody_agreed() -> None:
    deal, other = deal_of(), deal_of(final_wh=401)
    changed = replace(settled(deal, 400), trade_id=bytes(32))
    assert breach_of(other, changed) == "only what was agreed moves money"


def test_nobody_is_paid_beyond_the_contract() -> None:
    deal = deal_of(final_wh=1_200)
    more = deal.contract.amount + 1
    assert breach_of(deal, settled(deal, 1_000, payout=more)) == "nobody is paid beyond the contract"


@pytest.mark.parametrize("name", ["fee", "returned", "reserved"])
def test_every_unit_of_a_reserve_has_its_place(name: str) -> None:
    deal = deal_of()
    event = settled(deal, 400)
    changed = replace(event, **{name: getattr(event, name) + 1})
    assert breach_of(deal, changed) == "payout + fee + returned = reserved"


def test_a_fee_beyond_the_contracts_is_noticed() -> None:
    deal = deal_of()
    event = settled(deal, 400)
    changed = replace(event, fee=event.fee + 1, returned=event.returned - 1)
    assert breach_of(deal, changed) == "the fee is the contract's"


def test_a_payout_for_other_energy_is_noticed() -> None:
    deal = deal_of()
    assert breach_of(deal, settled(deal, 399)) == "a payout is the formula's"


def test_other_parties_are_noticed() -> None:
    deal = deal_of()
    changed = settled(deal, 400, battery_wallet=b"\x09" * 32)
    assert breach_of(deal, changed) == "the parties of the contract pay and are paid"


def test_what_one_side_signed_is_not_settled_as_if_both_had() -> None:
    deal = deal_of(cosigned=False)
    assert breach_of(deal, settled(deal, 400)) == "only what both signed is settled"


def test_a_claim_is_finalized_or_ends_its_dispute_and_nothing_else() -> None:
    deal = deal_of(cosigned=False)
    assert breach_of(deal, settled(deal, 400, HOW_FINALIZED)) == "a claim ends as claims do"
    after = (claimed(deal, 400), disputed(deal, 400, 100))
    assert breach_of(deal, *after, settled(deal, 400, HOW_FINALIZED)) == "a claim ends as claims do"
    assert breach_of(deal, claimed(deal, 400), settled(deal, 400, HOW_TIMED_OUT)) == "a claim ends as claims do"
    check_over([deal], taken(deal, claimed(deal, 400), settled(deal, 400, HOW_FINALIZED)))


def test_an_over_claim_is_cut_to_the_contract() -> None:
    deal = deal_of(final_wh=5_000, cosigned=False)
    assert breach_of(deal, claimed(deal, 5_000)) == "an over-claim is cut to the contract"
    taken(deal, claimed(deal, 1_000))


def test_a_trade_is_claimed_and_disputed_once_in_this_order() -> None:
    deal = deal_of(cosigned=False)
    assert breach_of(deal, claimed(deal, 400), claimed(deal, 400)) == "a trade is claimed once"
    order = "what is disputed was claimed, and is disputed once"
    assert breach_of(deal, disputed(deal, 400, 0)) == order
    assert breach_of(deal, claimed(deal, 400), disputed(deal, 400, 0), disputed(deal, 400, 0)) == order


def test_a_dispute_ends_between_what_is_safe_and_what_is_claimed() -> None:
    deal = deal_of("lies", cosigned=False)
    begun = (claimed(deal, 400), disputed(deal, 400, 100))
    taken(deal, *begun, settled(deal, 250, HOW_TIMED_OUT))
    taken(deal, *begun, settled(deal, 300, HOW_RESOLVED, bond_to_battery=10), rulings={deal.trade_id: 300})
    assert breach_of(deal, *begun, settled(deal, 260, HOW_TIMED_OUT)) == "a payout is the formula's"
    invariant = "a ruling lies between what is safe and what is claimed"
    for ruling_wh in (99, 401):
        event = settled(deal, ruling_wh, HOW_RESOLVED)
        assert breach_of(deal, *begun, event, rulings={deal.trade_id: ruling_wh}) == invariant
    assert breach_of(deal, *begun, settled(deal, 300, HOW_RESOLVED)) == invariant


def test_only_what_both_signed_becomes_safe() -> None:
    deal = deal_of("lies", cosigned=False)
    deal.attest(200, at_s=deal.contract.starts_at_s + 1)
    begun = (claimed(deal, 400), disputed(deal, 400, 100))
    attested = Attested(deal.trade_id, b"\x05" * 32, 3, 200, 0, 1, 1)
    taken(deal, *begun, attested, settled(deal, 300, HOW_TIMED_OUT, bond_to_battery=10))
    assert breach_of(deal, *begun, replace(attested, safe_wh=201)) == "only what both signed is beyond dispute"


@pytest.mark.parametrize(("ruling_wh", "to_battery", "to_buyer"), [(200, 0, 10), (250, 0, 0), (300, 10, 0)])
def test_who_was_further_from_the_truth_pays(ruling_wh: int, to_battery: int, to_buyer: int) -> None:
    deal = deal_of("lies", cosigned=False)
    begun, rulings = (claimed(deal, 400), disputed(deal, 400, 100)), {deal.trade_id: ruling_wh}
    event = settled(deal, ruling_wh, HOW_RESOLVED, bond_to_battery=to_battery, bond_to_buyer=to_buyer)
    payments = taken(deal, *begun, event, rulings=rulings)
    assert payments.received(deal.contract.battery_wallet) == event.payout + to_battery - to_buyer
    for changed in (replace(event, bond_to_battery=7), replace(event, bond_to_buyer=7)):
        assert breach_of(deal, *begun, changed, rulings=rulings) == "who was further from the truth pays"


def test_a_trade_that_was_never_disputed_has_no_bonds() -> None:
    deal = deal_of(cosigned=False)
    event = settled(deal, 400, HOW_FINALIZED, bond_to_battery=1)
    assert breach_of(deal, claimed(deal, 400), event) == "who was further from the truth pays"


def test_when_all_is_over_what_was_delivered_is_paid() -> None:
    deal = deal_of(cosigned=False)
    with pytest.raises(Breach, match="what was delivered and covered is paid"):
        check_over([deal], taken(deal))
    check_over([deal_of(true_wh=0, final_wh=0)], taken(deal))


def test_when_all_is_over_an_honest_buyer_has_disputed_no_honest_claim() -> None:
    for conduct in ("honest", "refuses", "vanishes"):
        deal = deal_of(conduct, cosigned=False)
        payments = taken(deal, claimed(deal, 400), disputed(deal, 400, 100), settled(deal, 250, HOW_TIMED_OUT))
        with pytest.raises(Breach, match="an honest buyer disputes no honest claim"):
            check_over([deal], payments)


def test_an_over_claim_that_nobody_disputed_is_paid_and_may_be() -> None:
    deal = deal_of("vanishes", true_wh=400, final_wh=900, cosigned=False)
    check_over([deal], taken(deal, claimed(deal, 900), settled(deal, 900, HOW_FINALIZED)))


def test_an_honest_buyer_must_dispute_what_it_did_not_get() -> None:
    deal = deal_of(true_wh=400, final_wh=900, cosigned=False)
    payments = taken(deal, claimed(deal, 900), settled(deal, 900, HOW_FINALIZED))
    check_over([deal], payments)
    deal.seen_wh = 400
    with pytest.raises(Breach, match="an honest buyer disputes what it did not get"):
        check_over([deal], payments)


@pytest.mark.parametrize("name", ["vault", "available", "allotted", "bonds", "fees_due", "unpaid", "on_lines"])
def test_every_unit_in_a_vault_is_spoken_for_once(name: str) -> None:
    check_escrow("customer", FINE)
    with pytest.raises(Breach):
        check_escrow("customer", FINE._replace(**{name: getattr(FINE, name) + 1}))


def test_more_locked_than_there_is_on_lines_is_noticed() -> None:
    with pytest.raises(Breach, match="what is allotted lies on Lines"):
        check_escrow("customer", FINE._replace(locked=5))


def test_events_are_read_from_the_programs_calls_to_itself() -> None:
    event = settled(deal_of(), 400)
    assert events_in([b"something else", EVENT_TAG + event.encode()]) == [event]


def test_people_are_drawn_with_every_conduct_and_one_honest_pair() -> None:
    conducts = set()
    for seed in range(40):
        batteries, buyers = draw_people(random.Random(seed))
        assert batteries[0].conduct == buyers[0].conduct == "honest"
        conducts |= {person.conduct for person in (*batteries, *buyers)}
    assert conducts == {"honest", "over-claims", "refuses", "lies", "vanishes"}


def test_an_honest_buyer_sees_what_flowed_and_a_liar_less() -> None:
    deal = deal_of(true_wh=1_000, final_wh=1_000)
    for seed in range(100):
        rng = random.Random(seed)
        assert abs(seen_by(rng, Person("a", "buyer"), deal) - 1_000) <= 10
        assert seen_by(rng, Person("b", "buyer", "lies"), deal) <= 800
