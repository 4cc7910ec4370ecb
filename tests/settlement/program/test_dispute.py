"""dispute, attest, resolve, timeout: what is undisputed is paid at once, what is left goes by a ruling or in halves."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from settlement.program.constants import HOW_COSIGNED, HOW_RESOLVED, HOW_TIMED_OUT, STATE_DISPUTED
from settlement.program.events import Attested, Disputed, Settled
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import DEPOSITED, MIN_BOND, ON_LINE, SYSTEM, TIMEOUT_S

FREE = DEPOSITED - ON_LINE
PRICE = {"price_e4": 100_000_000}
"""With it 2.5 kWh cost 250 000 000 base units and a Wh 100 000: the tenth of a difference is above the least bond."""
UNITS_PER_WH = 100_000


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


def _owed(bench: Bench) -> int:
    escrow = bench.escrow_account()
    return escrow.available + escrow.allotted + escrow.bonds + escrow.fees_due + escrow.unpaid


def test_a_dispute_pays_what_is_undisputed_but_for_the_bond(bench: Bench) -> None:
    contract = bench.claimed(**PRICE)
    sequences = [bench.participant(each).sequence for each in (bench.battery, bench.buyer)]
    sent = bench.dispute(contract, 1_000)
    safe, bond = 1_000 * UNITS_PER_WH, 1_500 * UNITS_PER_WH // 10
    trade = bench.trade_account(contract)
    assert (trade.state, trade.buyer_wh, trade.safe_wh) == (STATE_DISPUTED, 1_000, 1_000)
    assert (trade.bond, trade.held, trade.paid) == (bond, bond, safe - bond)
    assert trade.times_out_at == bench.now + TIMEOUT_S
    assert bench.tokens(bench.payee) == safe - bond
    escrow, line = bench.escrow_account(), bench.line_account()
    assert (escrow.available, escrow.bonds) == (FREE - bond, 2 * bond)
    assert (line.amount, line.locked) == (ON_LINE - safe, contract.reserve - safe)
    assert escrow.allotted == line.amount
    assert _owed(bench) == bench.tokens(bench.vault)
    told = (contract.trade_id, bytes(bench.line), 0, 2_500, 1_000, 1_000, safe - bond, bond, bond)
    assert sent.events == (Disputed(*told, trade.times_out_at, *sequences),)


def test_the_least_bond_and_what_can_be_held(bench: Bench) -> None:
    contract = bench.claimed()
    bench.dispute(contract, 2_400)
    trade = bench.trade_account(contract)
    safe = contract.split(2_400).payout
    assert safe < MIN_BOND
    assert (trade.bond, trade.held, trade.paid) == (MIN_BOND, safe, 0)


def test_nothing_is_held_of_nothing(bench: Bench) -> None:
    contract = bench.disputed(0)
    trade = bench.trade_account(contract)
    assert (trade.bond, trade.held, trade.paid) == (MIN_BOND, 0, 0)


def test_a_dispute_needs_its_window(bench: Bench) -> None:
    contract = bench.claimed()
    bench.wait(86_400)
    with refused(Failure.EXPIRED):
        bench.dispute(contract, 0)
    bench.wait(-1)
    bench.dispute(contract, 0)
    with refused(Failure.BAD_STATE):
        bench.dispute(contract, 0)


def test_a_dispute_says_less_than_is_claimed(bench: Bench) -> None:
    contract = bench.claimed(2_000)
    for wh in (2_000, 2_001, (1 << 64) - 1):
        with refused(Failure.BAD_AMOUNT):
            bench.dispute(contract, wh)
    bench.attest(contract, bench.receipt(contract, 2_000, final=False))
    with refused(Failure.BAD_AMOUNT):
        bench.dispute(contract, 1_000)


def test_a_dispute_needs_its_bond(bench: Bench) -> None:
    contract = bench.claimed()
    bench.by_buyer("allot", amount=FREE - MIN_BOND + 1)
    with refused(Failure.NOT_ENOUGH):
        bench.dispute(contract, 0)


def test_only_the_buyer_disputes(bench: Bench) -> None:
    contract = bench.claimed()
    call = bench.call("dispute", trade=bench.at.trade(contract.trade_id), buyer_wh=0, buyer_wallet=bench.battery.key)
    with refused(Failure.BAD_ACCOUNT):
        bench.send(call, signers=[bench.battery.wallet])


# attest


@pytest.mark.parametrize("present", [[], ["battery"], ["buyer"], ["battery", "buyer"]])
def test_a_co_signed_interim_receipt_is_beyond_dispute(bench: Bench, present: list[str]) -> None:
    contract = bench.claimed(**PRICE)
    sequences = [bench.participant(each).sequence for each in (bench.battery, bench.buyer)]
    sent = bench.attest(contract, bench.receipt(contract, 1_500, final=False), present)
    assert bench.trade_account(contract).attested_wh == 1_500
    assert sent.events == (Attested(contract.trade_id, bytes(bench.line), 0, 1_500, 0, *sequences),)
    bench.dispute(contract, 1_000)
    trade = bench.trade_account(contract)
    assert (trade.buyer_wh, trade.safe_wh, trade.bond) == (1_000, 1_500, 100 * UNITS_PER_WH)


def test_attested_during_a_dispute_it_is_paid_at_once(bench: Bench) -> None:
    contract = bench.disputed(1_000, **PRICE)
    before, line = bench.tokens(bench.payee), bench.line_account()
    bench.attest(contract, bench.receipt(contract, 1_600, final=False))
    more = 600 * UNITS_PER_WH
    assert bench.tokens(bench.payee) == before + more
    trade, after = bench.trade_account(contract), bench.line_account()
    assert (trade.safe_wh, trade.attested_wh) == (1_600, 1_600)
    assert (after.amount, after.locked) == (line.amount - more, line.locked - more)
    assert _owed(bench) == bench.tokens(bench.vault)


def test_attesting_less_or_the_same_or_more_than_is_claimed(bench: Bench) -> None:
    contract = bench.claimed(2_000)
    bench.attest(contract, bench.receipt(contract, 1_500, final=False))
    for wh in (0, 1_499, 1_500):
        with refused(Failure.BAD_AMOUNT):
            bench.attest(contract, bench.receipt(contract, wh, final=False))
    bench.attest(contract, bench.receipt(contract, 9_999, final=False))
    assert bench.trade_account(contract).attested_wh == 2_000


def test_attesting_what_the_buyer_grants_anyway(bench: Bench) -> None:
    contract = bench.disputed(1_000)
    with refused(Failure.BAD_AMOUNT):
        bench.attest(contract, bench.receipt(contract, 1_000, final=False))


def test_a_final_receipt_does_not_attest(bench: Bench) -> None:
    contract = bench.claimed()
    with refused(Failure.DIGEST_MISMATCH):
        bench.attest(contract, bench.receipt(contract, 1_500))


# The end of a dispute


class Ruling(NamedTuple):
    wh: int
    loser: str


RULINGS = [
    Ruling(1_000, "battery"),
    Ruling(1_749, "battery"),
    Ruling(1_750, "nobody"),
    Ruling(1_751, "buyer"),
    Ruling(2_500, "buyer"),
]


@pytest.mark.parametrize("ruling", RULINGS, ids=str)
def test_the_side_further_from_the_ruling_loses_its_bond_to_the_other(bench: Bench, ruling: Ruling) -> None:
    contract = bench.disputed(1_000, **PRICE)
    bond = 150 * UNITS_PER_WH
    split = contract.split(ruling.wh)
    (event,) = bench.resolve(contract, ruling.wh).events
    assert isinstance(event, Settled)
    assert (event.payout, event.fee, event.returned, event.how) == (*split, HOW_RESOLVED)
    to_battery, to_buyer = (bond * (ruling.loser == side) for side in ("buyer", "battery"))
    assert (event.bond_to_battery, event.bond_to_buyer) == (to_battery, to_buyer)
    assert bench.tokens(bench.payee) == split.payout + to_battery - to_buyer
    escrow, line = bench.escrow_account(), bench.line_account()
    assert (escrow.available, escrow.bonds) == (FREE - to_battery + to_buyer, 0)
    assert (line.amount, line.locked, line.open_trades) == (ON_LINE - split.payout - split.fee, 0, 0)
    assert escrow.allotted == line.amount
    assert _owed(bench) == bench.tokens(bench.vault)
    for side, who in (("battery", bench.battery), ("buyer", bench.buyer)):
        counters = bench.participant(who)
        assert (counters.trades_settled, counters.trades_claimed, counters.trades_disputed) == (1, 1, 1)
        assert counters.disputes_lost == (ruling.loser == side)
        assert counters.delivered_wh == ruling.wh


def test_the_resolver_rules_within_what_is_disputed(bench: Bench) -> None:
    contract = bench.disputed(1_000)
    for wh in (999, 2_501):
        with refused(Failure.BAD_AMOUNT):
            bench.resolve(contract, wh)


def test_only_the_contracts_resolver_rules(bench: Bench) -> None:
    contract = bench.disputed(1_000)
    given = {"trade": bench.at.trade(contract.trade_id), "rent_payer": bench.relay.pubkey(), "ruling_wh": 1_500}
    for other in (bench.admin, bench.buyer.wallet, bench.battery.wallet):
        with refused(Failure.NOT_RESOLVER):
            bench.send(bench.call("resolve", resolver=other.pubkey(), **given), signers=[other])


def test_a_claim_is_not_ruled_on_before_it_is_disputed(bench: Bench) -> None:
    contract = bench.claimed()
    with refused(Failure.BAD_STATE):
        bench.resolve(contract, 2_500)
    with refused(Failure.BAD_STATE):
        bench.timeout(contract)


def test_without_a_ruling_the_difference_is_halved(bench: Bench) -> None:
    contract = bench.disputed(1_001, **PRICE)
    bench.wait(TIMEOUT_S - 1)
    with refused(Failure.TOO_EARLY):
        bench.timeout(contract)
    bench.wait(1)
    (event,) = bench.timeout(contract).events
    assert isinstance(event, Settled)
    assert (event.delivered_wh, event.how) == (1_001 + 1_499 // 2, HOW_TIMED_OUT)
    assert (event.bond_to_battery, event.bond_to_buyer) == (0, 0)
    assert bench.tokens(bench.payee) == contract.split(1_750).payout
    assert bench.escrow_account().available == FREE


def test_a_time_out_costs_a_buyer_that_denied_what_it_had_signed(bench: Bench) -> None:
    contract = bench.claimed(**PRICE)
    bench.attest(contract, bench.receipt(contract, 1_500, final=False))
    bench.dispute(contract, 0)
    bench.wait(TIMEOUT_S)
    (event,) = bench.timeout(contract).events
    assert isinstance(event, Settled)
    assert (event.delivered_wh, event.bond_to_battery) == (2_000, 100 * UNITS_PER_WH)


@pytest.mark.parametrize("wh", [0, 999, 1_000, 2_000, 2_500])
def test_a_later_agreement_returns_both_bonds(bench: Bench, wh: int) -> None:
    """It pays what is not yet paid; what was undisputed stays paid, also when both now say less."""
    contract = bench.disputed(1_000, **PRICE)
    payout = contract.split(max(wh, 1_000)).payout
    (event,) = bench.settle(contract, bench.receipt(contract, wh), rent_payer=bench.relay.pubkey()).events
    assert isinstance(event, Settled)
    assert (event.payout, event.how, event.delivered_wh) == (payout, HOW_COSIGNED, wh)
    assert event.payout + event.fee + event.returned == event.reserved
    assert (bench.tokens(bench.payee), bench.escrow_account().available) == (payout, FREE)
    assert bench.line_account().locked == 0
    assert _owed(bench) == bench.tokens(bench.vault)
    counters = bench.participant(bench.buyer)
    assert (counters.trades_disputed, counters.disputes_lost) == (0, 0)


def test_an_unfit_payee_is_owed_payout_and_bond(bench: Bench) -> None:
    contract = bench.claimed(**PRICE)
    bench.set(bench.payee, SYSTEM, b"", 0)
    bench.dispute(contract, 1_000)
    first = bench.unpaid_account().amount
    assert first == bench.trade_account(contract).paid == 850 * 100_000
    (event,) = bench.resolve(contract, 2_500).events
    assert isinstance(event, Settled)
    owed = 2_500 * UNITS_PER_WH + 150 * UNITS_PER_WH
    assert event.unpaid == owed - first
    assert bench.unpaid_account().amount == bench.escrow_account().unpaid == owed
    assert _owed(bench) == bench.tokens(bench.vault)
    bench.set_token(bench.payee, bench.battery.key)
    bench.send(bench.call("collect", destination=bench.payee))
    assert bench.tokens(bench.payee) == owed
