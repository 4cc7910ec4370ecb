"""How a battery and a buyer begin, and how the buyer's money moves, on the real program."""

from __future__ import annotations

import pytest

from settlement import IdentityKey
from settlement.contract import Venue
from settlement.opening import Opening
from settlement.program.accounts import Escrow, Line
from settlement.program.failures import Failure
from tests.settlement.program.bench import Bench, RefusedError
from tests.settlement.program.pieces import GENESIS


@pytest.fixture
def bench() -> Bench:
    bench = Bench.initialized()
    bench.set_token(bench.purse, bench.buyer.key, 1_000_000)
    return bench


@pytest.fixture
def opening(bench: Bench) -> Opening:
    return Opening(Venue(program_id=bytes(bench.program), genesis_hash=GENESIS, mint=bytes(bench.mint)))


def test_from_nothing_to_a_line_and_back(bench: Bench, opening: Opening) -> None:
    buyer, battery = bytes(bench.buyer.key), bytes(bench.battery.key)
    bench.send(*opening.register(battery, bench.battery.identity, "battery"), signers=[bench.battery.wallet])
    bench.send(*opening.register(buyer, bench.buyer.identity, "buyer"), signers=[bench.buyer.wallet])
    assert (bench.participant(bench.battery).role, bench.participant(bench.buyer).role) == (1, 2)
    signers = [bench.buyer.wallet]
    bench.send(*opening.open_escrow(buyer), *opening.deposit(buyer, 900_000), signers=signers)
    bench.send(*opening.open_line(buyer, battery), *opening.allot(buyer, battery, 500_000), signers=signers)
    assert opening.line(buyer, battery) == bench.line
    assert bench.read(Line, opening.line(buyer, battery)).amount == 500_000
    bench.send(*opening.withdraw(buyer, 150_000), signers=signers)
    escrow = bench.read(Escrow, opening.escrow(buyer))
    assert (escrow.available, escrow.allotted, bench.tokens(opening.tokens(buyer))) == (250_000, 500_000, 250_000)
    bench.send(*opening.request_release(buyer, battery, 500_000), signers=signers)
    bench.wait(8 * 86_400)
    bench.send(*opening.release(buyer, battery), *opening.close(buyer, battery), signers=signers)
    assert bench.read(Escrow, opening.escrow(buyer)).available == 750_000
    assert bench.data(bench.line) is None


def test_another_key_signs_from_now_on(bench: Bench, opening: Opening) -> None:
    wallet, fresh = bytes(bench.battery.key), IdentityKey(b"\x77" * 32)
    bench.send(*opening.register(wallet, bench.battery.identity, "battery"), signers=[bench.battery.wallet])
    bench.send(*opening.rotate_key(wallet, fresh), signers=[bench.battery.wallet])
    assert bench.participant(bench.battery).signing_key == fresh.public_key
    with pytest.raises(RefusedError) as caught:
        bench.send(*opening.rotate_key(wallet, bench.battery.identity), signers=[bench.battery.wallet])
    assert caught.value.number == Failure.KEY_TOO_YOUNG


def test_a_token_account_is_made_where_there_is_none(bench: Bench, opening: Opening) -> None:
    wallet, payer = bytes(bench.battery.key), bytes(bench.relay.pubkey())
    for _ in range(2):
        bench.send(*opening.open_tokens(wallet, payer=payer))
    assert bench.tokens(opening.tokens(wallet)) == 0
