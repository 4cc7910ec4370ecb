"""Whole lives of cheques on the real program, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from spl.token.instructions import close_account, transfer_checked
from spl.token.models import CloseAccountParams, TransferCheckedParams

from settlement.actions import CLAIM_LAMPORTS
from settlement.chain import LOOKED_UP_AT_ONCE
from settlement.program.constants import TOKEN_PROGRAM
from settlement.program.instructions import void
from settlement.progress import EXPIRE_MARGIN_S, FINALIZE_LATE_S
from settlement.settler_types import EventKind, Stage, TradeView
from tests.settlement.settler.world import LINE_UNITS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settlement import Contract


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


def paid(world: World, view: TradeView, contract: Contract, wh: int, how: str) -> None:
    """Check that a trade ended so, to the base unit."""
    split = contract.split(wh)
    assert (view.stage, view.how, view.delivered_wh) == (Stage.SETTLED, how, min(wh, contract.energy_wh))
    assert (view.payout, view.fee, view.returned) == tuple(split)
    assert sum(split) == contract.reserve
    assert view.problem is None
    line = world.line()
    assert line["amount"] == LINE_UNITS - split.payout - split.fee
    assert line["locked"] == 0


def test_a_buyer_settles_a_co_signed_delivery_at_once(world: World) -> None:
    settler = world.settler("buyer")
    contract = world.contract()
    one = world.final(world.cheque("buyer", contract), 2_000, cosigned=True)
    begun_s = world.now_s
    settler.put(one)
    paid(world, world.done(settler, one.trade_id), contract, 2_000, "co-signed")
    assert world.now_s - begun_s < 30
    assert world.tokens(world.wallet("battery")) == contract.split(2_000).payout
    kinds = world.kinds("buyer")
    assert kinds.count(EventKind.TRANSACTION_SENT) == 1
    assert EventKind.TRANSACTION_FAILED not in kinds
    assert settler.snapshot().state == "connected"
    assert settler.snapshot().stages["settled"] == 1
    assert settler.snapshot().uncashed == 0


def test_a_battery_settles_what_the_buyer_signed_and_does_not_bring(world: World) -> None:
    settler = world.settler("battery")
    contract = world.contract()
    one = world.final(world.cheque("battery", contract), 2_500, cosigned=True)
    settler.put(one)
    assert one.final is not None
    world.wait(30)
    assert world.kinds("battery").count(EventKind.TRANSACTION_SENT) == 0, "the buyer pays for it, if it does"
    paid(world, world.done(settler, one.trade_id), contract, 2_500, "co-signed")
    assert one.final.receipt.ended_at_s + 600 <= world.now_s <= one.final.receipt.ended_at_s + 660


def test_a_battery_alone_claims_and_finalizes(world: World) -> None:
    settler = world.settler("battery")
    contract = world.contract()
    before = world.lamports(world.wallet("battery"))
    one = world.final(world.cheque("battery", contract), 2_100, cosigned=False)
    settler.put(one)
    world.stage(settler, one.trade_id, Stage.CLAIMED)
    claimed_s = world.now_s
    assert world.line()["locked"] == contract.reserve
    view = world.done(settler, one.trade_id)
    paid(world, view, contract, 2_100, "finalized")
    assert contract.dispute_window_s <= world.now_s - claimed_s + 45 <= contract.dispute_window_s + 120
    assert before - world.lamports(world.wallet("battery")) == 3 * 5_000, "three signatures; the rent came back"
    stages = [event.fields["stage"] for event in world.events["battery"] if event.kind is EventKind.TRADE_MOVED]
    assert stages == ["claiming", "claimed", "settled"]


def test_a_delivery_of_nothing_is_paid_with_nothing_and_spends_its_number(world: World) -> None:
    settler = world.settler("buyer")
    contract = world.contract()
    one = world.final(world.cheque("buyer", contract), 0, cosigned=True)
    settler.put(one)
    paid(world, world.done(settler, one.trade_id), contract, 0, "co-signed")
    assert world.line()["base_no"] == 1


def test_more_than_the_contract_is_not_paid(world: World) -> None:
    settler = world.settler("buyer")
    contract = world.contract()
    one = world.final(world.cheque("buyer", contract), 9_999, cosigned=True)
    settler.put(one)
    paid(world, world.done(settler, one.trade_id), contract, 9_999, "co-signed")


def test_the_buyer_finalizes_when_the_battery_does_not(world: World) -> None:
    contract = world.contract(dispute_window_s=600)
    battery, buyer = world.settler("battery"), world.settler("buyer")
    one = world.final(world.cheque("battery", contract), 2_100, cosigned=False)
    buyer.put(world.cheque("buyer", contract))
    battery.put(one)
    world.stage(battery, one.trade_id, Stage.CLAIMED)
    world.crash(battery)
    claimed_s = world.now_s
    paid(world, world.done(buyer, one.trade_id), contract, 2_100, "finalized")
    assert 600 + FINALIZE_LATE_S - 60 <= world.now_s - claimed_s <= 600 + FINALIZE_LATE_S + 60


@pytest.mark.parametrize(("interim_wh", "safe_wh"), [(1_400, 1_400), (600, 1_000)])
def test_a_buyer_disputes_an_over_claim_and_the_time_out_ends_it(world: World, interim_wh: int, safe_wh: int) -> None:
    world.bring_bond_money()
    contract = world.contract(dispute_window_s=7_200)
    battery, buyer = world.settler("battery", poll_s=7_200), world.settler("buyer", poll_s=43_200)
    one = world.final(world.cheque("battery", contract), 2_500, cosigned=False)
    buyer.put(world.final(world.cheque("buyer", contract), 2_500, cosigned=False), seen_wh=1_000)
    battery.put(world.interim(one, interim_wh))
    world.stage(buyer, one.trade_id, Stage.DISPUTED)
    world.wait(7_300)
    attested = contract.split(safe_wh).payout - contract.split(1_000).payout
    assert world.tokens(world.wallet("battery")) == attested, "paid at once; the rest of it is held as the bond"
    world.crash(buyer)
    view = world.done(battery, one.trade_id, step_s=3_600, seconds=3_000_000)
    assert (view.stage, view.how) == (Stage.SETTLED, "timed out")
    assert view.delivered_wh == safe_wh + (2_500 - safe_wh) // 2
    assert tuple(contract.split(view.delivered_wh)) == (view.payout, view.fee, view.returned)
    assert EventKind.TRANSACTION_FAILED not in world.kinds("battery")


@pytest.mark.parametrize("disputed", [False, True])
def test_a_co_signature_ends_a_claim_or_a_dispute_at_once(world: World, *, disputed: bool) -> None:
    world.bring_bond_money()
    contract = world.contract(dispute_window_s=7_200)
    battery, buyer = world.settler("battery"), world.settler("buyer")
    one = world.final(world.cheque("battery", contract), 2_500, cosigned=False)
    buyer.put(world.cheque("buyer", contract), seen_wh=1_000 if disputed else None)
    battery.put(one)
    world.stage(buyer, one.trade_id, Stage.DISPUTED if disputed else Stage.CLAIMED)
    world.wait(30)
    buyer.put(world.final(world.cheque("buyer", contract), 2_500, cosigned=True))
    for settler in (buyer, battery):
        paid(world, world.done(settler, one.trade_id), contract, 2_500, "co-signed")
    assert world.tokens(world.wallet("battery")) == contract.split(2_500).payout


def test_both_bring_the_same_receipt_and_it_pays_once(world: World) -> None:
    contract = world.contract()
    battery, buyer = world.settler("battery", cosign_wait_s=0), world.settler("buyer")
    battery.put(world.final(world.cheque("battery", contract), cosigned=True))
    buyer.put(world.final(world.cheque("buyer", contract), cosigned=True))
    for settler in (buyer, battery):
        paid(world, world.done(settler, contract.trade_id), contract, 2_500, "co-signed")
    assert world.tokens(world.wallet("battery")) == contract.split(2_500).payout
    for role in ("battery", "buyer"):
        assert world.kinds(role).count(EventKind.TRANSACTION_SENT) == 1
        assert EventKind.TRANSACTION_FAILED not in world.kinds(role), "spent already is success"


def test_many_trades_go_side_by_side(world: World) -> None:
    settler = world.settler("buyer")
    contracts = [world.contract(number, energy_wh=100) for number in range(60)]
    for contract in contracts:
        settler.put(world.final(world.cheque("buyer", contract), cosigned=True))
    for contract in contracts:
        assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert world.line()["base_no"] == 60
    assert world.tokens(world.wallet("battery")) == sum(contract.split(100).payout for contract in contracts)
    assert world.kinds("buyer").count(EventKind.TRANSACTION_SENT) == 60


def test_what_an_unfit_account_could_not_take_is_collected_when_it_is_mended(world: World) -> None:
    battery, buyer = world.settler("battery"), world.settler("buyer")
    battery.watch(world.wallet("buyer"))
    wallet = Pubkey.from_bytes(world.wallet("battery"))
    tokens = world.opening.tokens(world.wallet("battery"))
    token_program = Pubkey.from_string(TOKEN_PROGRAM)
    closed = close_account(CloseAccountParams(account=tokens, dest=wallet, owner=wallet, program_id=token_program))
    world.land("battery", closed)
    contract = world.contract()
    buyer.put(world.final(world.cheque("buyer", contract), cosigned=True))
    view = world.done(buyer, contract.trade_id)
    assert view.unpaid == view.payout == contract.split(2_500).payout
    world.wait(60)
    assert world.kinds("battery").count(EventKind.TRANSACTION_SENT) == 0, "there is nowhere to collect it to"
    world.land("battery", *world.opening.open_tokens(world.wallet("battery")))
    world.until(lambda: world.tokens(world.wallet("battery")) == view.payout, seconds=90)


def test_a_number_that_was_voided_is_lost_and_said(world: World) -> None:
    settler = world.settler("battery")
    contract = world.contract()
    wallet, program_id = Pubkey.from_bytes(world.wallet("battery")), Pubkey.from_bytes(world.venue.program_id)
    line = world.opening.line(world.wallet("buyer"), world.wallet("battery"))
    world.land("battery", void(program_id, battery_wallet=wallet, line=line, contract_no=0))
    settler.put(world.final(world.cheque("battery", contract), cosigned=False))
    view = world.done(settler, contract.trade_id)
    assert view.stage is Stage.LOST
    assert view.problem is not None
    assert "its number is spent and nothing shows a payment" in view.problem


def test_a_cheque_nobody_stands_for_expires_and_a_co_signature_revives_it(world: World) -> None:
    settler = world.settler("buyer", poll_s=21_600)
    contract = world.contract()
    one = world.final(world.cheque("buyer", contract), cosigned=False)
    settler.put(one)
    view = world.done(settler, one.trade_id, step_s=3_600, seconds=3_000_000)
    assert view.stage is Stage.EXPIRED
    assert contract.valid_until_s + EXPIRE_MARGIN_S <= world.now_s <= contract.valid_until_s + EXPIRE_MARGIN_S + 7_300
    settler.put(one)
    world.wait(60)
    assert settler.snapshot().open_trades == 0, "the same again changes nothing"
    settler.put(world.final(world.cheque("buyer", contract), cosigned=True))
    world.run(settler.flush())
    paid(world, world.done(settler, one.trade_id), contract, 2_500, "co-signed")
    stages = [event.fields["stage"] for event in world.events["buyer"] if event.kind is EventKind.TRADE_MOVED]
    assert stages == ["expired", "waiting", "settling", "settled"]


def test_a_cheque_of_another_line_is_lost_when_it_expires(world: World) -> None:
    settler = world.settler("battery", poll_s=21_600)
    contract = world.contract(generation=5)
    settler.put(world.final(world.cheque("battery", contract), cosigned=False))
    view = world.done(settler, contract.trade_id, step_s=3_600, seconds=3_000_000)
    assert view.stage is Stage.LOST
    assert view.problem == "the Line it was made for is not on the ledger"
    assert EventKind.TRANSACTION_SENT not in world.kinds("battery")


def test_without_cover_a_claim_is_refused_with_the_programs_words_and_tried_again(world: World) -> None:
    contract = world.contract(energy_wh=1_000_000)
    assert contract.reserve > LINE_UNITS
    settler = world.settler("battery", cosign_wait_s=0)
    settler.put(world.final(world.cheque("battery", contract), cosigned=False))
    world.until(lambda: world.kinds("battery").count(EventKind.TRANSACTION_FAILED) >= 3)
    view = settler.trade(contract.trade_id)
    assert view is not None
    assert view.problem == "claim: the escrow or the Line holds less than this needs (6016)"
    waits = [e.fields["retry_in_s"] for e in world.events["battery"] if e.kind is EventKind.TRANSACTION_FAILED]
    assert waits == sorted(waits)
    assert waits[-1] >= 3 * waits[0], "less and less often"


def test_a_wallet_without_sol_is_told_before_anything_is_signed(world: World) -> None:
    settler = world.settler("battery", cosign_wait_s=0)
    world.wait(20)
    assert settler.can_pay_claim
    wallet, elsewhere = Pubkey.from_bytes(world.wallet("battery")), Pubkey.from_bytes(world.wallet("buyer"))
    lamports = world.lamports(world.wallet("battery")) - 1_500_000
    world.land("battery", transfer(TransferParams(from_pubkey=wallet, to_pubkey=elsewhere, lamports=lamports)))
    contract = world.contract()
    settler.put(world.final(world.cheque("battery", contract), cosigned=False))
    world.wait(60)
    assert settler.snapshot().can_pay_claim is False
    assert settler.snapshot().low_sol is True
    kinds = world.kinds("battery")
    assert kinds.count(EventKind.LOW_SOL) == 1
    assert kinds.count(EventKind.CANNOT_PAY_CLAIM) == 1
    assert EventKind.TRANSACTION_SENT not in kinds
    view = settler.trade(contract.trade_id)
    assert view is not None
    assert view.problem is not None
    assert f"send SOL to {wallet}" in view.problem
    back = TransferParams(from_pubkey=elsewhere, to_pubkey=wallet, lamports=CLAIM_LAMPORTS)
    world.land("buyer", transfer(back))
    assert world.done(settler, contract.trade_id).stage is Stage.SETTLED
    assert EventKind.CAN_PAY_CLAIM in world.kinds("battery")


def test_a_line_is_read_as_finalized_with_its_age(world: World) -> None:
    settler = world.settler("battery")
    buyer = world.wallet("buyer")
    assert (settler.line(buyer), settler.has_line(buyer), settler.line_age_s(buyer)) == (None, None, None)
    settler.watch(buyer)
    world.wait(2)
    line, found = settler.line(buyer), world.line()
    assert line is not None
    assert (line.generation, line.base_no, line.amount, line.used) == (found["generation"], 0, LINE_UNITS, 0)
    assert line.battery_key == world.rings["battery"].public_keys["identity"]
    assert line.buyer_key == world.rings["buyer"].public_keys["identity"]
    assert world.now_s - 16 <= line.read_at_s <= world.now_s - 10, "finalized is 32 blocks behind"
    age = settler.line_age_s(buyer)
    assert age is not None
    assert age < 10
    assert abs((settler.chain_now_s() or 0) - world.now_s) < 16
    nobody = bytes([7]) * 32
    settler.watch(nobody)
    world.wait(2)
    assert (settler.line(nobody), settler.has_line(nobody)) == (None, False)
    assert world.kinds("battery").count(EventKind.LINE_CHANGED) == 1


def test_a_line_that_is_watched_no_more_is_unknown_until_it_is_read_again(world: World) -> None:
    settler, wallet = world.settler("battery", poll_s=600), world.wallet("buyer")
    settler.watch(wallet)
    world.until(lambda: settler.line(wallet) is not None)
    settler.unwatch(wallet)
    assert (settler.line(wallet), settler.has_line(wallet), settler.line_age_s(wallet)) == (None, None, None)
    world.wait(60)
    settler.watch(wallet)
    assert settler.line(wallet) is None
    world.wait(1)
    age_s = settler.line_age_s(wallet)
    assert settler.line(wallet) is not None
    assert age_s is not None
    assert age_s < 2
    contract = world.contract()
    settler.put(world.cheque("battery", contract))
    world.wait(1)
    settler.unwatch(wallet)
    assert settler.has_line(wallet), "a cheque is open on it"


def test_hundreds_of_new_wallets_are_looked_up_a_few_at_a_time(world: World) -> None:
    settler = world.settler("battery")
    world.wait(20)
    atlas, counts = settler._desk.atlas, [0]
    look_up = atlas._look_up

    def counted(wallet: bytes) -> Any:
        if not counts[-1]:
            world.loop.call_soon(counts.append, 0)  # when others have the loop
        counts[-1] += 1
        return look_up(wallet)

    atlas._look_up = counted  # type: ignore[method-assign]
    for number in range(256):
        settler.watch(number.to_bytes(32, "little"))
    world.wait(1)
    assert sum(counts) == 256
    assert max(counts) <= LOOKED_UP_AT_ONCE


def test_what_is_put_again_is_known_already_also_after_a_restart(world: World) -> None:
    contract = world.contract()
    one = world.final(world.cheque("buyer", contract), cosigned=True)
    settler = world.settler("buyer")
    settler.put(one)
    settler.put(one)
    world.done(settler, one.trade_id)
    world.end(settler)
    settler = world.settler("buyer")
    settler.put(one)
    world.wait(60)
    view = settler.trade(one.trade_id)
    assert view is not None
    paid(world, view, contract, 2_500, "co-signed")
    assert world.kinds("buyer").count(EventKind.TRANSACTION_SENT) == 1


def test_cheques_that_do_not_hold_are_refused_one_by_one(world: World) -> None:
    settler = world.settler("battery")
    contract = world.contract()
    good = world.cheque("battery", contract)
    foreign = replace(world.venue, mint=bytes([4]) * 32)
    bad = [
        (replace(good, buyer_signature=bytes(64)), "signature refused"),
        (world.cheque("buyer", world.contract(1)), "a buyer's cheque in a battery's outbox"),
        (world.cheque("battery", world.contract(2, venue=foreign)), "another program, cluster or mint"),
        (world.cheque("battery", world.contract(3, battery_wallet=bytes([5]) * 32)), "another wallet's"),
    ]
    for cheque, _ in bad:
        settler.put(cheque)
    settler.put(world.cheque("battery", world.contract(4)))
    world.run(settler.flush())
    refused = [event for event in world.events["battery"] if event.kind is EventKind.CHEQUE_REFUSED]
    assert [event.fields["trade_id"] for event in refused] == [cheque.trade_id.hex() for cheque, _ in bad]
    for event, (_, problem) in zip(refused, bad, strict=True):
        assert problem in event.fields["problem"]
    assert settler.snapshot().open_trades == 1


def test_an_owner_who_moves_his_money_away_is_no_trouble(world: World) -> None:
    """A payee account that holds something is paid into as it is."""
    contract = world.contract()
    buyer, battery = world.wallet("buyer"), world.wallet("battery")
    sent = TransferCheckedParams(
        program_id=Pubkey.from_string(TOKEN_PROGRAM),
        source=world.opening.tokens(buyer),
        mint=world.opening.mint,
        dest=world.opening.tokens(battery),
        owner=Pubkey.from_bytes(buyer),
        amount=7,
        decimals=6,
        signers=[],
    )
    world.land("buyer", transfer_checked(sent))
    settler = world.settler("buyer")
    settler.put(world.final(world.cheque("buyer", contract), cosigned=True))
    world.done(settler, contract.trade_id)
    assert world.tokens(battery) == 7 + contract.split(2_500).payout
