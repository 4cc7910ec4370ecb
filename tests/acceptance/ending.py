"""The last chapters of the suite: what goes wrong on the way of money, the operator's rights, and the reckoning."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from solders.system_program import TransferParams, transfer
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import close_account, create_idempotent_associated_token_account
from spl.token.models import CloseAccountParams

from settlement import IdentityKey
from settlement.base58 import decode_base58
from settlement.program import instructions as calls
from settlement.program.accounts import Config, Line
from settlement.program.events import (
    Claimed,
    Collected,
    ConfigChanged,
    FeesSwept,
    KeyRotated,
    LineClosed,
    LineOpened,
    Settled,
    Voided,
)
from settlement.program.failures import Failure
from tests.acceptance.beginning import DEPOSITED, ISSUED, WITHDRAWN, allot, deposit, open_line
from tests.acceptance.market import FEE_BPS, MIN_BOND, address

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.pubkey import Pubkey

    from settlement import SeedKey
    from settlement.program.codec import Record
    from tests.acceptance.market import Market, Party

R = TypeVar("R", bound="Record")


async def a_battery_changes_its_key(market: Market) -> None:
    """The new key proves itself; the old one's signatures count for eight days more, and so long there is no third."""
    other, wallet = market.other, [market.other.wallet]
    key, third = (IdentityKey(market.seed(name)) for name in ("new key", "third key"))
    _, alone = market.rotate(other, key)
    await market.client.refused(Failure.SIGNATURE_MISSING, alone, signers=wallet)
    rotated = (await market.client.do(*market.rotate(other, key), signers=wallet)).event(KeyRotated)
    found = await market.read_participant(other)
    assert (found.signing_key, found.previous_key) == (key.public_key, other.identity.public_key)
    assert found.previous_until == rotated.previous_until >= await market.client.now_s() + 7 * 86_400
    await market.client.refused(Failure.KEY_TOO_YOUNG, *market.rotate(other, third), signers=wallet)


async def a_closed_account_is_paid_later(market: Market) -> None:
    """The battery's token account is gone: the trade settles all the same, and the money waits to be collected.

    The battery signs with the key that it has just replaced.
    """
    other = market.other
    await market.client.do(open_line(market, other), signers=[market.buyer.wallet])
    contract = await market.agree(0, battery=other)
    await market.client.do(allot(market, other, contract.reserve), signers=[market.buyer.wallet])
    tokens = market.tokens(other.address)
    gone = CloseAccountParams(
        program_id=TOKEN_PROGRAM_ID, account=tokens, dest=other.address, owner=other.address, signers=[]
    )
    await market.client.do(close_account(gone), signers=[other.wallet])
    receipt = market.receipt(contract, 2_500)
    settled = market.settle(contract, receipt)
    landed = await market.client.do(market.cosigned(contract, receipt), settled, signers=[market.stranger])
    market.end(contract, landed, "settled, and its payee is closed")
    payout = contract.split(2_500).payout
    assert landed.event(Settled).unpaid == payout
    assert (await market.read_unpaid(other)).amount == payout
    await market.client.refused(Failure.BAD_ACCOUNT, _collect(market, other), signers=[market.stranger])
    made = create_idempotent_associated_token_account(address(market.stranger), other.address, market.mint)
    collected = await market.client.do(made, _collect(market, other), signers=[market.stranger])
    assert collected.event(Collected).amount == payout
    assert await market.client.tokens(tokens) == payout
    assert (await market.read_unpaid(other)).amount == 0
    await market.client.refused(Failure.BAD_AMOUNT, _collect(market, other), signers=[market.stranger])


async def a_line_is_closed_and_opened_again(market: Market) -> None:
    """Not while money is on it; a number that was voided is spent; the new Line is another generation."""
    buyer = [market.buyer.wallet]
    await market.client.refused(Failure.NOT_EMPTY, _close(market, market.battery), signers=buyer)
    before = await market.read_line(market.other)
    voided = await market.client.do(_void(market, market.other, 1), signers=[market.other.wallet])
    assert voided.event(Voided).contract_no == 1
    await market.client.refused(Failure.NUMBER_USED, _void(market, market.other, 1), signers=[market.other.wallet])
    assert (await market.read_line(market.other)).base_no == 2
    closed = await market.client.do(_close(market, market.other), signers=buyer)
    assert closed.event(LineClosed).generation == before.generation
    assert await market.client.account(market.line(market.other)) is None
    opened = await market.client.do(open_line(market, market.other), signers=buyer)
    after = await market.read_line(market.other)
    assert opened.event(LineOpened).generation == after.generation == opened.slot > before.generation
    assert (after.amount, after.base_no, after.trades_settled) == (0, 0, 0)


async def cover_leaves_only_after_its_delay(market: Market) -> None:
    """A request lowers the cover at once; the money stays eight days."""
    buyer = [market.buyer.wallet]
    asked = calls.request_release(
        market.program_id,
        buyer_wallet=market.buyer.address,
        buyer=market.at.participant(market.buyer.address),
        line=market.line(market.battery),
        event_authority=market.at.event_authority(),
        amount=1_000_000,
    )
    now_s = await market.client.now_s()
    await market.client.do(asked, signers=buyer)
    line = await market.read_line(market.battery)
    assert line.release_amount == 1_000_000
    assert line.release_at >= now_s + 8 * 86_400
    left = calls.release(
        market.program_id,
        buyer_wallet=market.buyer.address,
        config=market.at.config(),
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        line=market.line(market.battery),
        event_authority=market.at.event_authority(),
    )
    await market.client.refused(Failure.TOO_EARLY, left, signers=buyer)


async def a_pause_stops_new_money_only(market: Market) -> None:
    """No deposit and no allotment, by nobody but the admin; a cheque is paid as ever."""
    operator, buyer = [market.operator], [market.buyer.wallet]
    await market.client.refused(Failure.NOT_ADMIN, _pause(market, market.stranger, on=True), signers=[market.stranger])
    await market.client.do(_pause(market, market.operator, on=True), signers=operator)
    await market.client.refused(Failure.PAUSED, deposit(market, 1_000), signers=buyer)
    await market.client.refused(Failure.PAUSED, allot(market, market.battery, 1_000), signers=buyer)
    contract = await market.agree(10)
    receipt = market.receipt(contract, 0)
    cosigned = market.cosigned(contract, receipt), market.settle(contract, receipt)
    landed = await market.client.do(*cosigned, signers=[market.stranger])
    market.end(contract, landed, "settled in a pause, nothing delivered")
    assert tuple(contract.split(0)) == (0, 0, contract.reserve)
    await market.client.do(_pause(market, market.operator, on=False), signers=operator)
    await market.client.do(deposit(market, 1_000), signers=buyer)


async def the_operator_hands_over(market: Market) -> None:
    """Only who was named becomes admin; what he configures is for later contracts; then it goes back."""
    old, new = market.operator, market.key("next operator")
    await market.client.do(_propose(market, old, new), signers=[old])
    await market.client.refused(Failure.NOT_ADMIN, _accept(market, market.stranger), signers=[market.stranger])
    await market.client.do(_accept(market, new), signers=[old, new])
    await market.client.refused(Failure.NOT_ADMIN, _propose(market, old, old), signers=[old])
    changed = calls.set_config(
        market.program_id,
        admin=address(new),
        config=market.at.config(),
        treasury=market.treasury.public_key,
        fee_bps=FEE_BPS + 10,
        min_bond=MIN_BOND,
    )
    event = (await market.client.do(changed, _propose(market, new, old), signers=[old, new])).events[0]
    assert isinstance(event, ConfigChanged)
    assert (event.admin, event.fee_bps) == (new.public_key, FEE_BPS + 10)
    await market.client.do(_accept(market, old), signers=[old])
    assert (await market.client.record(Config, market.at.config())).admin == old.public_key


async def fees_reach_the_treasury(market: Market) -> None:
    """Anybody sweeps them, and nowhere else."""
    due = (await market.read_escrow()).fees_due
    assert due == sum(landed.event(Settled).fee for landed in market.ended.values())
    elsewhere = _sweep(market, market.tokens(market.battery.address))
    await market.client.refused(Failure.BAD_ACCOUNT, elsewhere, signers=[market.stranger])
    treasury = market.tokens(address(market.treasury))
    swept = await market.client.do(_sweep(market, treasury), signers=[market.stranger])
    assert swept.event(FeesSwept).amount == due
    assert await market.client.tokens(treasury) == due
    market.told.append(f"fees swept: {due}")


async def the_ledger_tells_the_same(market: Market) -> None:
    """Everything once more from finalized history alone: each trade, each sum, each Participant's sequence."""
    contracts = {contract.trade_id: contract for contract in market.trades.values()}
    assert contracts.keys() == market.ended.keys()
    history = await _history(market)
    settled = {event.trade_id: event for event in _of(history, Settled)}
    assert settled.keys() == contracts.keys()
    for trade_id, event in settled.items():
        assert event.payout + event.fee + event.returned == event.reserved == contracts[trade_id].reserve
        assert (event.payout, event.fee, event.returned) == tuple(contracts[trade_id].split(event.delivered_wh))
    assert len(_of(history, Claimed)) == 8
    numbers = sorted(event.buyer_sequence for event in history if hasattr(event, "buyer_sequence"))
    assert numbers == list(range(len(numbers))), "a money event is missing, or there twice"
    assert (await market.read_participant(market.buyer)).sequence == len(numbers)
    units = ", ".join(f"{name} {most}" for name, most in sorted(market.client.units.items()))
    market.told.append(f"compute units at most: {units}")
    await _check_participants(market, settled)
    await _check_money(market, settled)


async def _check_participants(market: Market, settled: dict[bytes, Settled]) -> None:
    for party in (market.battery, market.other):
        events = [event for event in settled.values() if event.battery_wallet == bytes(party.address)]
        found = await market.read_participant(party)
        assert found.trades_settled == len(events)
        assert found.delivered_wh == sum(event.delivered_wh for event in events)
        assert found.contracted_wh == sum(market.trades[event.trade_id].energy_wh for event in events)
    lost = [(await market.read_participant(party)).disputes_lost for party in (market.battery, market.buyer)]
    assert lost == [1, 1]


async def _check_money(market: Market, settled: dict[bytes, Settled]) -> None:
    """What was issued is somewhere, to the base unit."""
    owners = market.buyer.address, market.battery.address, market.other.address, address(market.treasury)
    held = [await market.client.tokens(market.tokens(owner)) for owner in owners]
    vault = await market.client.tokens(market.at.vault(market.escrow))
    assert sum(held) + vault == ISSUED
    assert held[0] == ISSUED - DEPOSITED + WITHDRAWN - 1_000
    bonds = sum(event.bond_to_battery for event in settled.values())
    lost = sum(event.bond_to_buyer for event in settled.values())
    assert held[1] + held[2] == sum(event.payout for event in settled.values()) + bonds - lost
    escrow = await market.read_escrow()
    assert vault == escrow.available + escrow.allotted + escrow.bonds + escrow.fees_due + escrow.unpaid
    assert (escrow.bonds, escrow.fees_due, escrow.unpaid) == (0, 0, 0)
    lines = [await market.client.record(Line, market.line(battery)) for battery in (market.battery, market.other)]
    assert escrow.allotted == sum(line.amount for line in lines)
    assert [(line.locked, line.open_trades) for line in lines] == [(0, 0), (0, 0)]
    market.told.append(f"issued {ISSUED} = buyer, batteries, treasury {held} + vault {vault}")


async def what_is_left_goes_back(market: Market) -> None:
    """SOL that nobody needs any more returns to who gave it."""
    for who in (market.operator, market.buyer.wallet, market.battery.wallet, market.other.wallet, market.stranger):
        rest = await market.client.balance(address(who)) - 5_000
        paid = TransferParams(from_pubkey=address(who), to_pubkey=address(market.funder), lamports=rest)
        await market.client.do(transfer(paid), signers=[who])
        assert await market.client.balance(address(who)) == 0


async def _history(market: Market) -> list[Record]:
    """Return the events of every finalized transaction of the program that succeeded."""
    last = market.client.sent[-1]
    await market.client.finalized(last.signature)
    options = {"commitment": "finalized", "limit": 1_000}
    told = await market.client.ask("getSignaturesForAddress", str(market.at.event_authority()), options)
    found: list[Record] = []
    for item in told:
        if item["err"] is None:
            found += (await market.client.read(decode_base58(item["signature"]))).events
    return found


def _of(history: list[Record], kind: type[R]) -> list[R]:
    return [event for event in history if isinstance(event, kind)]


def _collect(market: Market, battery: Party) -> Instruction:
    return calls.collect(
        market.program_id,
        battery=market.at.participant(battery.address),
        escrow=market.escrow,
        vault=market.at.vault(market.escrow),
        unpaid=market.unpaid(battery),
        destination=market.tokens(battery.address),
        event_authority=market.at.event_authority(),
    )


def _sweep(market: Market, destination: Pubkey) -> Instruction:
    return calls.sweep_fees(
        market.program_id,
        config=market.at.config(),
        buyer=market.at.participant(market.buyer.address),
        escrow=market.escrow,
        vault=market.at.vault(market.escrow),
        destination=destination,
        event_authority=market.at.event_authority(),
    )


def _close(market: Market, battery: Party) -> Instruction:
    return calls.close(market.program_id, buyer_wallet=market.buyer.address, line=market.line(battery))


def _void(market: Market, battery: Party, contract_no: int) -> Instruction:
    return calls.void(
        market.program_id, battery_wallet=battery.address, line=market.line(battery), contract_no=contract_no
    )


def _propose(market: Market, admin: SeedKey, successor: SeedKey) -> Instruction:
    return calls.propose_admin(
        market.program_id, admin=address(admin), config=market.at.config(), new_admin=successor.public_key
    )


def _accept(market: Market, successor: SeedKey) -> Instruction:
    return calls.accept_admin(market.program_id, new_admin=address(successor), config=market.at.config())


def _pause(market: Market, admin: SeedKey, *, on: bool) -> Instruction:
    return calls.set_pause(market.program_id, admin=address(admin), config=market.at.config(), paused=on)
