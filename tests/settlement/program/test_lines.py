"""Lines: open_line, allot, request_release, release, close, void."""

from __future__ import annotations

import pytest

from settlement.program.events import Allotted, LineClosed, LineOpened, Released, ReleaseRequested, Voided
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, refused
from tests.settlement.program.pieces import DEPOSITED, ON_LINE, RELEASE_DELAY_S, keypair, party

FREE = DEPOSITED - ON_LINE


@pytest.fixture
def bench() -> Bench:
    return Bench.ready()


def test_open_line() -> None:
    bench = Bench.ready()
    line = bench.line_account()
    assert (line.buyer_wallet, line.battery_wallet) == (bytes(bench.buyer.key), bytes(bench.battery.key))
    assert (line.mint, line.escrow, line.payee) == (bytes(bench.mint), bytes(bench.escrow), bytes(bench.payee))
    assert (line.generation, line.base_no, line.used) == (400_000_000, 0, bytes(32))
    unpaid = bench.unpaid_account()
    assert (unpaid.wallet, unpaid.escrow, unpaid.mint) == (line.battery_wallet, line.escrow, line.mint)
    with refused(Failure.BAD_STATE):
        bench.by_buyer("open_line")


def test_a_line_is_opened_by_a_buyer_to_a_battery(bench: Bench) -> None:
    other = party("another buyer")
    bench.svm.airdrop(other.key, 10**10)
    bench.register(other, 2)
    bench.battery = other
    with refused(Failure.BAD_ACCOUNT):
        bench.by_buyer("open_line")


def test_nobody_opens_a_line_to_himself() -> None:
    bench = Bench.initialized()
    bench.register(bench.buyer, 3)
    bench.by_buyer("open_escrow")
    bench.battery = bench.buyer
    with refused(Failure.SAME_PARTY):
        bench.by_buyer("open_line")


@pytest.mark.parametrize("name", ["line", "unpaid"])
def test_open_line_refuses_another_address(name: str) -> None:
    bench = Bench.initialized()
    for who, role in ((bench.buyer, 2), (bench.battery, 1)):
        bench.register(who, role)
    bench.by_buyer("open_escrow")
    with refused(Failure.WRONG_ADDRESS):
        bench.by_buyer("open_line", **{name: keypair("elsewhere").pubkey()})


def test_open_line_is_told_and_keeps_what_was_unpaid(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=ON_LINE)
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("release")
    bench.by_buyer("close")
    bench.wait(1)
    sent = bench.by_buyer("open_line")
    slot = bench.svm.get_clock().slot
    assert sent.events == (LineOpened(bytes(bench.line), bytes(bench.buyer.key), bytes(bench.battery.key), slot),)
    assert bench.line_account().generation == slot


def test_allot(bench: Bench) -> None:
    sequence = bench.participant(bench.buyer).sequence
    sent = bench.by_buyer("allot", amount=FREE)
    escrow, line = bench.escrow_account(), bench.line_account()
    assert (escrow.available, escrow.allotted, line.amount) == (0, DEPOSITED, DEPOSITED)
    assert sent.events == (Allotted(bytes(bench.line), FREE, DEPOSITED, sequence),)
    with refused(Failure.NOT_ENOUGH):
        bench.by_buyer("allot", amount=1)
    with refused(Failure.BAD_AMOUNT):
        bench.by_buyer("allot", amount=0)


def test_allot_while_paused_or_in_a_mint_that_is_no_longer_taken(bench: Bench) -> None:
    bench.set_mint_rule(allowed=False)
    with refused(Failure.MINT_NOT_ALLOWED):
        bench.by_buyer("allot", amount=1)
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    with refused(Failure.PAUSED):
        bench.by_buyer("allot", amount=1)


def test_money_leaves_a_line_eight_days_after_it_was_asked_back(bench: Bench) -> None:
    with refused(Failure.BAD_STATE):
        bench.by_buyer("release")
    sequence = bench.participant(bench.buyer).sequence
    asked = bench.by_buyer("request_release", amount=100)
    at = bench.now + RELEASE_DELAY_S
    assert asked.events == (ReleaseRequested(bytes(bench.line), 100, at, sequence),)
    bench.wait(RELEASE_DELAY_S - 1)
    with refused(Failure.TOO_EARLY):
        bench.by_buyer("release")
    bench.wait(1)
    sent = bench.by_buyer("release")
    line, escrow = bench.line_account(), bench.escrow_account()
    assert (line.amount, line.release_amount, line.release_at) == (ON_LINE - 100, 0, 0)
    assert (escrow.available, escrow.allotted) == (FREE + 100, ON_LINE - 100)
    assert sent.events == (Released(bytes(bench.line), 100, ON_LINE - 100, sequence + 1),)


def test_a_request_replaces_the_one_before(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=100)
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("request_release", amount=200)
    with refused(Failure.TOO_EARLY):
        bench.by_buyer("release")
    bench.by_buyer("request_release", amount=0)
    line = bench.line_account()
    assert (line.release_amount, line.release_at) == (0, 0)
    with refused(Failure.BAD_AMOUNT):
        bench.by_buyer("request_release", amount=ON_LINE + 1)


def test_no_release_while_paused(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=100)
    bench.wait(RELEASE_DELAY_S)
    bench.send(bench.call("set_pause", paused=True), signers=[bench.admin])
    with refused(Failure.PAUSED):
        bench.by_buyer("release")


def test_what_is_locked_is_not_released(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=ON_LINE)
    contract = bench.claimed()
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("release")
    line = bench.line_account()
    assert line.amount == line.locked == contract.reserve


@pytest.mark.parametrize("name", ["allot", "request_release", "release", "close"])
def test_only_the_buyer_changes_its_line(bench: Bench, name: str) -> None:
    given = {} if name in ("release", "close") else {"amount": 1}
    with refused(Failure.BAD_ACCOUNT):
        bench.send(bench.call(name, buyer_wallet=bench.stranger.pubkey(), **given), signers=[bench.stranger])


def _emptied(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=ON_LINE)
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("release")


def test_an_empty_line_is_closed_and_its_rent_goes_to_the_buyer(bench: Bench) -> None:
    with refused(Failure.NOT_EMPTY):
        bench.by_buyer("close")
    _emptied(bench)
    generation = bench.line_account().generation
    account, before = bench.svm.get_account(bench.line), bench.svm.get_balance(bench.buyer.key)
    assert account is not None
    assert before is not None
    sent = bench.by_buyer("close")
    assert sent.events == (LineClosed(bytes(bench.line), generation),)
    assert bench.data(bench.line) is None
    assert bench.svm.get_balance(bench.buyer.key) == before + account.lamports


def test_a_line_with_an_open_trade_is_not_closed(bench: Bench) -> None:
    bench.by_buyer("request_release", amount=ON_LINE)
    bench.claimed(price_e4=0)
    bench.wait(RELEASE_DELAY_S)
    bench.by_buyer("release")
    line = bench.line_account()
    assert (line.amount, line.locked, line.open_trades) == (0, 0, 1)
    with refused(Failure.NOT_EMPTY):
        bench.by_buyer("close")


def test_void_spends_a_number(bench: Bench) -> None:
    sent = bench.send(bench.call("void", contract_no=255), signers=[bench.battery.wallet])
    assert sent.events == (Voided(bytes(bench.line), 255),)
    assert bench.line_account().used == bytes(31) + b"\x80"
    for number, failure in ((255, Failure.NUMBER_USED), (256, Failure.NUMBER_OUT_OF_WINDOW)):
        with refused(failure):
            bench.send(bench.call("void", contract_no=number), signers=[bench.battery.wallet])
    bench.send(bench.call("void", contract_no=0), signers=[bench.battery.wallet])
    line = bench.line_account()
    assert (line.base_no, line.used) == (1, bytes(31) + b"\x40")
    with refused(Failure.NUMBER_USED):
        bench.send(bench.call("void", contract_no=0), signers=[bench.battery.wallet])


def test_only_the_battery_voids(bench: Bench) -> None:
    call = bench.call("void", contract_no=0, battery_wallet=bench.buyer.key)
    with refused(Failure.BAD_ACCOUNT):
        bench.send(call, signers=[bench.buyer.wallet])
