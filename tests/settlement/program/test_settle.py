"""settle: a delivery that both signed is paid once, by whoever brings it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from settlement.program.constants import HOW_COSIGNED
from settlement.program.events import Settled
from settlement.program.failures import Failure
from settlement.signing import SignatureKind
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import (
    FROZEN,
    INSTRUCTIONS,
    ON_LINE,
    SYSTEM,
    delivery_of,
    ed25519,
    entry,
    keypair,
    party,
    terms_of,
)

if TYPE_CHECKING:
    from settlement import Contract

I64_MAX = (1 << 63) - 1
U64_MAX = (1 << 64) - 1


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


def _check_sums(bench: Bench) -> None:
    escrow, line = bench.escrow_account(), bench.line_account()
    owed = escrow.available + escrow.allotted + escrow.bonds + escrow.fees_due + escrow.unpaid
    assert bench.tokens(bench.vault) == owed
    assert escrow.allotted == line.amount >= line.locked


@pytest.mark.parametrize("present", [[], ["battery"], ["buyer"], ["battery", "buyer"]])
@pytest.mark.parametrize("wh", [0, 1, 1_234, 2_500, 2_501, U64_MAX])
def test_what_was_delivered_is_paid(bench: Bench, present: list[str], wh: int) -> None:
    contract = bench.contract()
    split = contract.split(wh)
    sequences = [bench.participant(each).sequence for each in (bench.battery, bench.buyer)]
    sent = bench.settle(contract, bench.receipt(contract, wh), present)
    assert bench.tokens(bench.payee) == split.payout
    line, escrow = bench.line_account(), bench.escrow_account()
    assert (line.amount, line.locked, line.paid) == (ON_LINE - split.payout - split.fee, 0, split.payout)
    assert (line.base_no, line.trades_settled, escrow.fees_due) == (1, 1, split.fee)
    assert sent.events == (
        Settled(
            trade_id=contract.trade_id,
            line=bytes(bench.line),
            contract_no=0,
            battery_wallet=contract.battery_wallet,
            buyer_wallet=contract.buyer_wallet,
            delivered_wh=min(wh, 2_500),
            reserved=contract.reserve,
            payout=split.payout,
            fee=split.fee,
            returned=split.returned,
            bond_to_battery=0,
            bond_to_buyer=0,
            unpaid=0,
            battery_sequence=sequences[0],
            buyer_sequence=sequences[1],
            how=HOW_COSIGNED,
        ),
    )
    for each in (bench.battery, bench.buyer):
        counters = bench.participant(each)
        assert (counters.trades_settled, counters.trades_claimed, counters.trades_disputed) == (1, 0, 0)
        assert (counters.contracted_wh, counters.delivered_wh) == (2_500, min(wh, 2_500))
    _check_sums(bench)


def test_the_same_again_changes_nothing(bench: Bench) -> None:
    contract = bench.contract()
    receipt = bench.receipt(contract)
    bench.settle(contract, receipt)
    watched = (bench.line, bench.escrow, bench.vault, bench.payee, bench.at.participant(bench.battery.key))
    before = [bench.data(each) for each in watched]
    assert bench.settle(contract, receipt).events == ()
    assert bench.settle(contract, bench.receipt(contract, 1)).events == ()
    assert [bench.data(each) for each in watched] == before


def test_a_spent_number_needs_the_trades_own_address(bench: Bench) -> None:
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    with refused(Failure.WRONG_ADDRESS):
        bench.settle(contract, bench.receipt(contract), trade=keypair("elsewhere").pubkey())


def test_numbers_may_come_in_any_order_of_the_next_256(bench: Bench) -> None:
    for number in (255, 3, 0, 1, 2):
        contract = bench.contract(contract_no=number)
        bench.settle(contract, bench.receipt(contract))
    assert bench.line_account().base_no == 4
    contract = bench.contract(contract_no=4 + 256)
    with refused(Failure.NUMBER_OUT_OF_WINDOW):
        bench.settle(contract, bench.receipt(contract))


def test_it_does_not_expire(bench: Bench) -> None:
    contract = bench.contract()
    bench.wait(10 * 365 * 86_400)
    bench.settle(contract, bench.receipt(contract))
    assert bench.tokens(bench.payee) == contract.amount


def test_while_paused_and_in_a_mint_that_is_no_longer_taken(bench: Bench) -> None:
    bench.set_mint_rule(allowed=False)
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    assert bench.tokens(bench.payee) == contract.amount


def test_a_line_that_holds_too_little(bench: Bench) -> None:
    contract = bench.contract(price_e4=100_000_000 * 20)
    split = contract.split(2_500)
    assert split.payout > ON_LINE
    with refused(Failure.NOT_ENOUGH):
        bench.settle(contract, bench.receipt(contract))
    assert bench.line_account().base_no == 0
    bench.settle(contract, bench.receipt(contract, 100))


def test_what_is_locked_by_a_claim_is_not_free(bench: Bench) -> None:
    claimed = bench.claimed(price_e4=1_900_000_00)
    locked = bench.line_account().locked
    assert locked == claimed.reserve > ON_LINE * 9 // 10
    contract = bench.contract(price_e4=40_000_000)
    with refused(Failure.NOT_ENOUGH):
        bench.settle(contract, bench.receipt(contract))


# Payees that cannot take it


@pytest.mark.parametrize("what", ["closed", "frozen", "of another owner", "of another mint", "vault frozen"])
def test_an_unfit_payee_is_owed(bench: Bench, what: str) -> None:
    if what == "closed":
        bench.set(bench.payee, SYSTEM, b"", 0)
    elif what == "vault frozen":
        bench.set_token(bench.vault, bench.escrow, bench.tokens(bench.vault), state=FROZEN)
    else:
        owner = bench.stranger.pubkey() if what == "of another owner" else bench.battery.key
        mint = keypair("other mint").pubkey() if what == "of another mint" else bench.mint
        bench.set_token(bench.payee, owner, mint=mint, state=FROZEN if what == "frozen" else 1)
    contract = bench.contract()
    sent = bench.settle(contract, bench.receipt(contract))
    (event,) = sent.events
    assert isinstance(event, Settled)
    assert (event.payout, event.unpaid) == (contract.amount, contract.amount)
    assert bench.unpaid_account().amount == bench.escrow_account().unpaid == contract.amount
    _check_sums(bench)


def test_the_payee_is_the_one_of_the_line(bench: Bench) -> None:
    other = bench.set_token(keypair("other account").pubkey(), bench.battery.key)
    contract = bench.contract()
    with refused(Failure.BAD_ACCOUNT):
        bench.settle(contract, bench.receipt(contract), payee=other)


# Terms


def _settle_with(bench: Bench, **terms: Any) -> None:
    """Settle with arguments that no Contract would hold; both wallets sign, so that nothing else is wrong."""
    contract = bench.contract()
    arguments = {**terms_of(contract), **{k: v for k, v in terms.items() if k in terms_of(contract)}}
    delivery = {**delivery_of(bench.receipt(contract)), **{k: v for k, v in terms.items() if k not in arguments}}
    call = bench.call(
        "settle",
        trade=bench.at.trade(contract.trade_id),
        **arguments,
        **delivery,
        battery_wallet=bench.battery.key,
        buyer_wallet=bench.buyer.key,
    )
    bench.send(call, signers=[bench.battery.wallet, bench.buyer.wallet])


@pytest.mark.parametrize(
    "terms",
    [
        {"price_e4": 251_301},
        {"energy_wh": 0},
        {"energy_wh": 2_550},
        {"base_units_per_cent": 0},
        {"base_units_per_cent": 10_000_001},
        {"message_id": 1 << 63},
        {"starts_at_s": 0},
        {"starts_at_s": 1_800_003_660},
        {"valid_until_s": 1_800_003_660 + 86_399},
        {"valid_until_s": 1_800_003_660 + 604_801},
        {"valid_until_s": -I64_MAX},
        {"ends_at_s": I64_MAX},
        {"fee_bps": 501},
        {"dispute_window_s": 0},
        {"resolver": bytes(32)},
        {"meter_key": bytes([1]) * 32},
        {"started_at_s": -1},
        {"ended_at_s": 0},
    ],
    ids=lambda terms: " ".join(f"{name}={value!r:.24}" for name, value in terms.items()),
)
def test_terms_out_of_range(bench: Bench, terms: dict[str, Any]) -> None:
    assert bench.now + 3_600 == 1_800_003_660
    with refused(Failure.BAD_TERMS):
        _settle_with(bench, **terms)


def test_one_device_on_both_sides(bench: Bench) -> None:
    with refused(Failure.BAD_TERMS):
        _settle_with(bench, battery_device_id=bench.buyer.identity.device_id)


@pytest.mark.parametrize("who", ["battery", "buyer"])
def test_a_party_is_not_its_own_resolver(bench: Bench, who: str) -> None:
    with refused(Failure.SAME_PARTY):
        _settle_with(bench, resolver=bytes(bench.parties([who])[0].key))


def test_a_price_beyond_64_bits(bench: Bench) -> None:
    top = {"price_e4": 4_294_967_200, "energy_wh": 4_294_967_200, "base_units_per_cent": 10_000_000, "fee_bps": 500}
    with refused(Failure.OVERFLOW):
        _settle_with(bench, **top)


# Other accounts


def test_another_lines_accounts_do_not_mix(bench: Bench) -> None:
    """Each account of a payment that belongs to another battery is refused."""
    first = bench.battery
    contract = bench.contract()
    second = party("second battery")
    bench.svm.airdrop(second.key, 10**10)
    bench.register(second, 1)
    bench.battery = second
    bench.set_token(bench.payee, second.key)
    bench.by_buyer("open_line")
    theirs = {
        "battery": bench.at.participant(second.key),
        "line": bench.line,
        "unpaid": bench.unpaid,
        "payee": bench.payee,
    }
    bench.battery = first
    for name, address in theirs.items():
        given: dict[str, Any] = {name: address}
        with refused(Failure.BAD_ACCOUNT):
            bench.settle(contract, bench.receipt(contract), **given)


def test_a_wallet_in_its_slot_must_sign_and_be_the_partys(bench: Bench) -> None:
    contract = bench.contract()
    receipt = bench.receipt(contract)
    call = bench.settle_call(contract, receipt, ["buyer"])
    metas = [type(m)(m.pubkey, m.is_signer and m.pubkey != bench.buyer.key, m.is_writable) for m in call.accounts]
    with refused(Failure.NOT_SIGNER):
        bench.send(*bench.consent(receipt, ["buyer"]), type(call)(bench.program, bytes(call.data), metas))
    call = bench.settle_call(contract, receipt, ["battery"], battery_wallet=bench.stranger.pubkey())
    with refused(Failure.BAD_ACCOUNT):
        bench.send(*bench.consent(receipt, ["battery"]), call, signers=[bench.stranger])


def test_one_account_too_many_or_too_few(bench: Bench) -> None:
    contract = bench.contract()
    receipt = bench.receipt(contract)
    call = bench.settle_call(contract, receipt)
    for metas in (call.accounts[:-1], [*call.accounts, call.accounts[0]], [*call.accounts, *call.accounts]):
        with refused(Failure.BAD_ACCOUNT):
            bench.send(*bench.consent(receipt, []), type(call)(bench.program, bytes(call.data), metas))


def test_data_of_another_length(bench: Bench) -> None:
    contract = bench.contract()
    call = bench.settle_call(contract, bench.receipt(contract))
    for data in (b"", call.data[:7], call.data[:8], call.data[:-1], bytes(call.data) + b"\0", bytes(206)):
        with refused(Failure.UNKNOWN_INSTRUCTION):
            bench.send(type(call)(bench.program, bytes(data), call.accounts))


def test_a_receipt_of_an_older_generation_is_worthless(bench: Bench) -> None:
    old: Contract = bench.contract()
    line = bench.line_account()
    contract = bench.contract(generation=line.generation + 1)
    assert old.trade_id != contract.trade_id
    with refused(Failure.DIGEST_MISMATCH):
        bench.settle(contract, bench.receipt(contract))


def test_an_interim_receipt_does_not_settle(bench: Bench) -> None:
    contract = bench.contract()
    interim = bench.receipt(contract, final=False)
    proofs = [entry(SignatureKind.RECEIPT, interim.digest, each.identity) for each in (bench.battery, bench.buyer)]
    with refused(Failure.DIGEST_MISMATCH):
        bench.send(ed25519(*proofs), bench.settle_call(contract, interim, instructions=INSTRUCTIONS))
