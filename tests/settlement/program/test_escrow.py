"""A buyer's money: open_escrow, deposit, withdraw, collect, sweep_fees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from settlement.program.addresses import token_account
from settlement.program.events import Collected, Deposited, FeesSwept, Withdrawn
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import (
    DEPOSITED,
    FROZEN,
    ON_LINE,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    keypair,
    mint_bytes,
    token_bytes,
)

if TYPE_CHECKING:
    from solders.pubkey import Pubkey

FREE = DEPOSITED - ON_LINE
U64_MAX = (1 << 64) - 1


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


def _registered(role: int = 2) -> Bench:
    bench = Bench.initialized()
    bench.register(bench.buyer, role)
    return bench


def test_open_escrow_makes_an_empty_escrow_and_its_vault() -> None:
    bench = _registered()
    bench.by_buyer("open_escrow")
    escrow = bench.escrow_account()
    assert (escrow.buyer_wallet, escrow.mint, escrow.vault) == (
        bytes(bench.buyer.key),
        bytes(bench.mint),
        bytes(bench.vault),
    )
    assert (escrow.available, escrow.allotted, escrow.bonds, escrow.fees_due, escrow.unpaid) == (0, 0, 0, 0, 0)
    assert bench.data(bench.vault) == token_bytes(bench.mint, bench.escrow)
    with refused(Failure.BAD_STATE):
        bench.by_buyer("open_escrow")


def test_open_escrow_is_for_buyers() -> None:
    bench = _registered(role=1)
    with refused(Failure.BAD_ACCOUNT):
        bench.by_buyer("open_escrow")


@pytest.mark.parametrize("name", ["escrow", "vault"])
def test_open_escrow_refuses_another_address(name: str) -> None:
    bench = _registered()
    with refused(Failure.WRONG_ADDRESS):
        bench.by_buyer("open_escrow", **{name: keypair("elsewhere").pubkey()})


def test_open_escrow_refuses_a_mint_of_the_other_token_program() -> None:
    bench = _registered()
    bench.set(bench.mint, TOKEN_2022, mint_bytes())
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.by_buyer("open_escrow")


def test_deposit(bench: Bench) -> None:
    sequence = bench.participant(bench.buyer).sequence
    sent = bench.by_buyer("deposit", amount=7)
    assert bench.escrow_account().available == FREE + 7
    assert bench.tokens(bench.vault) == DEPOSITED + 7
    assert sent.events == (Deposited(bytes(bench.escrow), 7, FREE + 7, sequence),)
    assert bench.participant(bench.buyer).sequence == sequence + 1


def test_deposit_of_nothing_or_of_more_than_there_is(bench: Bench) -> None:
    with refused(Failure.BAD_AMOUNT):
        bench.by_buyer("deposit", amount=0)
    with refused(None):
        bench.by_buyer("deposit", amount=DEPOSITED + 1)
    with refused(Failure.OVERFLOW):
        bench.by_buyer("deposit", amount=U64_MAX - FREE + 1)


def test_deposit_while_paused_or_in_a_mint_that_is_no_longer_taken(bench: Bench) -> None:
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    with refused(Failure.PAUSED):
        bench.by_buyer("deposit", amount=1)
    bench.send(bench.call("set_pause", paused=False), signers=[bench.admin])
    bench.set_mint_rule(allowed=False)
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.by_buyer("deposit", amount=1)


def test_deposit_by_the_rule_of_another_mint(bench: Bench) -> None:
    other = keypair("other mint").pubkey()
    bench.set(other, TOKEN, mint_bytes())
    bench.set_mint_rule(mint=other, mint_rule=bench.at.mint_rule(other))
    with refused(Failure.BAD_ACCOUNT):
        bench.by_buyer("deposit", amount=1, mint_rule=bench.at.mint_rule(other))


def test_withdraw(bench: Bench) -> None:
    sequence = bench.participant(bench.buyer).sequence
    before = bench.tokens(bench.purse)
    sent = bench.by_buyer("withdraw", amount=FREE, destination=bench.purse)
    assert bench.escrow_account().available == 0
    assert (bench.tokens(bench.vault), bench.tokens(bench.purse)) == (ON_LINE, before + FREE)
    assert sent.events == (Withdrawn(bytes(bench.escrow), bytes(bench.purse), FREE, 0, sequence),)


def test_what_lies_on_lines_is_not_withdrawn(bench: Bench) -> None:
    with refused(Failure.NOT_ENOUGH):
        bench.by_buyer("withdraw", amount=FREE + 1, destination=bench.purse)
    with refused(Failure.BAD_AMOUNT):
        bench.by_buyer("withdraw", amount=0, destination=bench.purse)


def test_withdraw_goes_on_while_paused(bench: Bench) -> None:
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    bench.by_buyer("withdraw", amount=1, destination=bench.purse)


@pytest.mark.parametrize("name", ["deposit", "withdraw"])
def test_only_the_buyer_moves_its_money(bench: Bench, name: str) -> None:
    thief = bench.stranger
    bench.set_token(token_account(thief.pubkey(), bench.mint), thief.pubkey(), 10)
    given: dict[str, Any] = {"amount": 1, "buyer_wallet": thief.pubkey()}
    place = "source" if name == "deposit" else "destination"
    given[place] = token_account(thief.pubkey(), bench.mint)
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.call(name, **given), signers=[thief])


# What could not be paid


def _owing(bench: Bench) -> int:
    """Settle a trade whose payee is gone; return what is owed."""
    bench.set(bench.payee, SYSTEM, b"", 0)
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    owed = bench.unpaid_account().amount
    assert owed == contract.amount == bench.escrow_account().unpaid
    return owed


def test_anybody_collects_to_an_account_of_the_battery(bench: Bench) -> None:
    owed = _owing(bench)
    bench.set_token(bench.payee, bench.battery.key, 5)
    sequence = bench.participant(bench.battery).sequence
    sent = bench.send(bench.call("collect", destination=bench.payee))
    assert bench.tokens(bench.payee) == owed + 5
    assert (bench.unpaid_account().amount, bench.escrow_account().unpaid) == (0, 0)
    assert sent.events == (Collected(bytes(bench.unpaid), bytes(bench.payee), owed, sequence),)
    with refused(Failure.BAD_AMOUNT):
        bench.send(bench.call("collect", destination=bench.payee))


def test_the_battery_collects_where_it_likes(bench: Bench) -> None:
    owed = _owing(bench)
    place = bench.set_token(keypair("a friend's").pubkey(), bench.stranger.pubkey())
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.call("collect", destination=place))
    call = bench.call("collect", destination=place, battery_wallet=bench.battery.key)
    bench.send(call, signers=[bench.battery.wallet])
    assert bench.tokens(place) == owed


@pytest.mark.parametrize("what", ["frozen", "of another mint", "of another owner", "no token account"])
def test_collect_needs_a_fit_account(bench: Bench, what: str) -> None:
    _owing(bench)
    place = keypair("place").pubkey()
    if what == "no token account":
        bench.set(place, SYSTEM, b"")
    else:
        owner = bench.stranger.pubkey() if what == "of another owner" else bench.battery.key
        mint = keypair("other mint").pubkey() if what == "of another mint" else bench.mint
        bench.set_token(place, owner, mint=mint, state=FROZEN if what == "frozen" else 1)
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.call("collect", destination=place))


def test_another_wallet_does_not_collect(bench: Bench) -> None:
    _owing(bench)
    place = bench.set_token(keypair("thief's").pubkey(), bench.stranger.pubkey())
    call = bench.call("collect", destination=place, battery_wallet=bench.stranger.pubkey())
    with refused(Failure.BAD_ACCOUNT):
        bench.send(call, signers=[bench.stranger])


# Fees


def _treasury(bench: Bench) -> Pubkey:
    return bench.set_token(token_account(bench.treasury, bench.mint), bench.treasury)


def test_anybody_sweeps_fees_to_the_treasury(bench: Bench) -> None:
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    due = bench.escrow_account().fees_due
    assert due == contract.reserve - contract.amount > 0
    place, sequence = _treasury(bench), bench.participant(bench.buyer).sequence
    sent = bench.send(bench.call("sweep_fees", destination=place))
    assert (bench.tokens(place), bench.escrow_account().fees_due) == (due, 0)
    assert sent.events == (FeesSwept(bytes(bench.escrow), bytes(place), due, sequence),)
    with refused(Failure.BAD_AMOUNT):
        bench.send(bench.call("sweep_fees", destination=place))


@pytest.mark.parametrize("what", ["of another owner", "of another mint", "frozen"])
def test_fees_go_to_the_treasury_only(bench: Bench, what: str) -> None:
    contract = bench.contract()
    bench.settle(contract, bench.receipt(contract))
    owner = bench.stranger.pubkey() if what == "of another owner" else bench.treasury
    mint = keypair("other mint").pubkey() if what == "of another mint" else bench.mint
    place = bench.set_token(keypair("place").pubkey(), owner, mint=mint, state=FROZEN if what == "frozen" else 1)
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.call("sweep_fees", destination=place))
