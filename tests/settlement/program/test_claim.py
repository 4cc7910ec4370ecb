"""claim and finalize: a battery is paid without the buyer's co-signature, once the buyer had time to object."""

from __future__ import annotations

from typing import Any

import pytest

from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, STATE_CLAIMED
from settlement.program.events import Claimed, Settled
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import ON_LINE, keypair

RENT_OF_A_TRADE = (128 + 296) * 6_960


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


@pytest.mark.parametrize("present", [[], ["battery"]])
@pytest.mark.parametrize("wh", [0, 1_200, 2_500, 9_999])
def test_a_claim_locks_the_whole_contract(bench: Bench, present: list[str], wh: int) -> None:
    contract = bench.contract()
    receipt = bench.receipt(contract, wh)
    bench.wait(3_600)
    lamports = bench.svm.get_balance(bench.relay.pubkey())
    assert lamports is not None
    sequences = [bench.participant(each).sequence for each in (bench.battery, bench.buyer)]
    sent = bench.claim(contract, receipt, present)
    trade = bench.trade_account(contract)
    assert (trade.state, trade.trade_id, trade.line) == (STATE_CLAIMED, contract.trade_id, bytes(bench.line))
    assert (trade.rent_payer, trade.resolver) == (bytes(bench.relay.pubkey()), contract.resolver)
    assert (trade.price_e4, trade.energy_wh, trade.base_units_per_cent) == (251_300, 2_500, 10_000)
    assert (trade.fee_bps, trade.contract_no, trade.reserved) == (50, 0, contract.reserve)
    assert (trade.claimed_wh, trade.evidence) == (min(wh, 2_500), receipt.evidence)
    assert (trade.started_at, trade.ended_at) == (receipt.started_at_s, receipt.ended_at_s)
    assert trade.disputable_until == bench.now + 86_400
    assert (trade.buyer_wh, trade.safe_wh, trade.attested_wh, trade.paid, trade.bond, trade.held) == (0,) * 6
    line = bench.line_account()
    assert (line.amount, line.locked, line.open_trades, line.base_no) == (ON_LINE, contract.reserve, 1, 1)
    told = (contract.trade_id, bytes(bench.line), 0, trade.claimed_wh, contract.reserve, trade.disputable_until)
    assert sent.events == (Claimed(*told, *sequences),)
    after = bench.svm.get_balance(bench.relay.pubkey())
    assert after is not None
    assert lamports - after >= RENT_OF_A_TRADE


def test_only_between_the_end_and_the_last_day(bench: Bench) -> None:
    contract = bench.contract()
    receipt = bench.receipt(contract)
    bench.wait(3_599)
    with refused(Failure.TOO_EARLY):
        bench.claim(contract, receipt)
    bench.wait(1 + 259_200)
    with refused(Failure.EXPIRED):
        bench.claim(contract, receipt)
    bench.wait(-1)
    bench.claim(contract, receipt)


def test_a_number_is_claimed_once(bench: Bench) -> None:
    contract = bench.claimed()
    with refused(Failure.NUMBER_USED):
        bench.claim(contract, bench.receipt(contract, 1))
    far = bench.contract(contract_no=257)
    bench.wait(3_600)
    with refused(Failure.NUMBER_OUT_OF_WINDOW):
        bench.claim(far, bench.receipt(far))


def test_a_settled_trade_is_not_claimed(bench: Bench) -> None:
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    bench.wait(3_600)
    with refused(Failure.NUMBER_USED):
        bench.claim(contract, bench.receipt(contract))


def test_a_line_that_holds_too_little(bench: Bench) -> None:
    bench.claimed(price_e4=190_000_000)
    contract = bench.contract(price_e4=40_000_000)
    bench.wait(3_600)
    with refused(Failure.NOT_ENOUGH):
        bench.claim(contract, bench.receipt(contract, 0))


def test_at_another_address(bench: Bench) -> None:
    contract = bench.contract()
    bench.wait(3_600)
    with refused(Failure.WRONG_ADDRESS):
        bench.claim(contract, bench.receipt(contract), trade=keypair("elsewhere").pubkey())


def test_while_paused(bench: Bench) -> None:
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    contract = bench.claimed()
    bench.wait(86_400)
    bench.finalize(contract)
    assert bench.tokens(bench.payee) == contract.amount


# finalize


@pytest.mark.parametrize("wh", [0, 1_200, 2_500])
def test_an_undisputed_claim_is_paid_after_its_window(bench: Bench, wh: int) -> None:
    contract = bench.claimed(wh)
    split = contract.split(wh)
    bench.wait(86_399)
    with refused(Failure.TOO_EARLY):
        bench.finalize(contract)
    bench.wait(1)
    lamports = bench.svm.get_balance(bench.relay.pubkey())
    sent = bench.finalize(contract)
    (event,) = sent.events
    assert isinstance(event, Settled)
    assert (event.payout, event.fee, event.returned, event.how) == (*split, HOW_FINALIZED)
    assert event.payout + event.fee + event.returned == event.reserved == contract.reserve
    line, escrow = bench.line_account(), bench.escrow_account()
    assert (line.locked, line.open_trades, line.amount) == (0, 0, ON_LINE - split.payout - split.fee)
    assert (escrow.allotted, escrow.fees_due, bench.tokens(bench.payee)) == (line.amount, split.fee, split.payout)
    counters = bench.participant(bench.battery)
    assert (counters.trades_settled, counters.trades_claimed, counters.trades_disputed) == (1, 1, 0)
    assert bench.data(bench.at.trade(contract.trade_id)) is None
    after = bench.svm.get_balance(bench.relay.pubkey())
    assert lamports is not None
    assert after is not None
    assert after - lamports == RENT_OF_A_TRADE - 5_000
    with refused(Failure.WRONG_OWNER):
        bench.finalize(contract)


def test_the_rent_goes_to_who_paid_it(bench: Bench) -> None:
    contract = bench.claimed()
    bench.wait(86_400)
    with refused(Failure.BAD_ACCOUNT):
        bench.finalize(contract, rent_payer=bench.stranger.pubkey())


def test_a_disputed_claim_is_not_finalized(bench: Bench) -> None:
    contract = bench.disputed()
    bench.wait(86_400)
    with refused(Failure.BAD_STATE):
        bench.finalize(contract)


# A co-signed receipt that comes late


@pytest.mark.parametrize("wh", [0, 700, 2_500])
def test_a_co_signed_receipt_settles_a_claimed_trade(bench: Bench, wh: int) -> None:
    contract = bench.claimed()
    sent = bench.settle(contract, bench.receipt(contract, wh), rent_payer=bench.relay.pubkey())
    (event,) = sent.events
    assert isinstance(event, Settled)
    assert (event.payout, event.fee, event.returned, event.how) == (*contract.split(wh), HOW_COSIGNED)
    assert bench.line_account().locked == 0
    assert bench.participant(bench.buyer).trades_claimed == 1
    assert bench.data(bench.at.trade(contract.trade_id)) is None
    assert bench.settle(contract, bench.receipt(contract, wh)).events == ()


def test_a_claimed_trade_needs_its_rent_payer(bench: Bench) -> None:
    contract = bench.claimed()
    others: list[dict[str, Any]] = [{}, {"rent_payer": bench.stranger.pubkey()}]
    for given in others:
        with refused(Failure.BAD_ACCOUNT):
            bench.settle(contract, bench.receipt(contract), **given)
