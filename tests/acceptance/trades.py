"""The middle chapters of the suite: what can become of a cheque. Each checks the money to the base unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solders.instruction import AccountMeta, Instruction

from settlement.program.constants import HOW_COSIGNED, HOW_FINALIZED, HOW_RESOLVED, HOW_TIMED_OUT, STATE_CLAIMED
from settlement.program.events import Attested, Claimed, Disputed, Settled
from settlement.program.failures import Failure
from settlement.transaction import consent
from tests.acceptance.market import LONG_S, MIN_BOND, Balances, address

if TYPE_CHECKING:
    from settlement import Contract, Receipt
    from tests.acceptance.client import Landed
    from tests.acceptance.market import Market


async def a_stranger_relays_a_cosigned_settle(market: Market) -> None:
    """Both signatures in the precompile, none of the parties there; once more changes nothing."""
    contract = await market.agree(0)
    receipt = market.receipt(contract, 2_137)
    calls = market.cosigned(contract, receipt), market.settle(contract, receipt)
    before = await Balances.read(market)
    landed = await market.client.do(*calls, signers=[market.stranger])
    market.end(contract, landed, "settled, relayed")
    _check_split(contract, landed, 2_137, HOW_COSIGNED)
    payout, fee, returned = contract.split(2_137)
    assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)
    assert contract.reserve == payout + fee + returned
    again = await market.client.do(*calls, signers=[market.stranger])
    assert again.events == ()
    assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)


async def a_party_settles_with_one_signature(market: Market) -> None:
    """The buyer's process signs the transaction itself and brings the battery's signature; then the reverse."""
    for contract_no, present, absent in ((1, market.buyer, market.battery), (2, market.battery, market.buyer)):
        contract = await market.agree(contract_no)
        receipt = market.receipt(contract, 2_600)
        name = "buyer" if present is market.buyer else "battery"
        proof = consent([absent.receipt(contract, receipt)])
        before = await Balances.read(market)
        landed = await market.client.do(proof, market.settle(contract, receipt, name), signers=[present.wallet])
        market.end(contract, landed, f"settled by the {name}")
        _check_split(contract, landed, 2_500, HOW_COSIGNED)
        payout, fee, returned = contract.split(2_600)
        assert returned == 0
        assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)


async def what_was_not_signed_is_not_paid(market: Market) -> None:
    """One digit more, another trade's signature, nobody's signature, and half of them."""
    contract = await market.agree(3)
    receipt, more = market.receipt(contract, 1_000), market.receipt(contract, 1_001)
    signed, stranger = market.cosigned(contract, receipt), [market.stranger]
    refused = market.client.refused
    await refused(Failure.DIGEST_MISMATCH, signed, market.settle(contract, more), signers=stranger)
    await refused(Failure.SIGNATURE_MISSING, market.settle(contract, receipt), signers=stranger)
    half = consent([market.battery.receipt(contract, receipt)])
    await refused(Failure.SIGNATURE_LAYOUT, half, market.settle(contract, receipt), signers=stranger)
    swapped = consent([market.buyer.receipt(contract, receipt), market.battery.receipt(contract, receipt)])
    await refused(Failure.DIGEST_MISMATCH, swapped, market.settle(contract, receipt), signers=stranger)
    interim = market.receipt(contract, 1_000, final=False)
    unfinished = market.cosigned(contract, interim)
    await refused(Failure.DIGEST_MISMATCH, unfinished, market.settle(contract, receipt), signers=stranger)
    landed = await market.client.land(signed, market.settle(contract, more), signers=stranger)
    assert landed.error == {"InstructionError": [2, {"Custom": int(Failure.DIGEST_MISMATCH)}]}
    assert landed.fee == 15_000, "a refusal on the cluster costs its fee, the precompile's signatures too"
    del market.trades[contract.trade_id]


async def the_battery_claims_alone(market: Market) -> None:
    """Not before the end; after the window anybody has it paid, and the rent goes back."""
    lasting, battery = await market.agree(3, ends_in_s=LONG_S), [market.battery.wallet]
    too_early = _claim(market, lasting, market.receipt(lasting, 2_400))
    await market.client.refused(Failure.TOO_EARLY, *too_early, signers=battery)
    del market.trades[lasting.trade_id]
    contract = await market.agree(4, ends_in_s=market.soon_s, window_s=market.soon_s)
    proof, claimed = _claim(market, contract, market.receipt(contract, 2_400))
    await market.client.until_s(contract.ends_at_s)
    before, lamports = await Balances.read(market), await market.client.balance(market.battery.address)
    landed = await market.client.do(proof, claimed, signers=battery)
    event = landed.event(Claimed)
    trade = await market.read_trade(contract)
    assert (event.claimed_wh, event.reserved) == (2_400, contract.reserve)
    assert event.disputable_until == trade.disputable_until
    assert (trade.state, trade.claimed_wh, trade.reserved) == (STATE_CLAIMED, 2_400, contract.reserve)
    assert trade.rent_payer == market.battery.wallet.public_key
    assert (await market.read_line(market.battery)).locked == contract.reserve
    assert await Balances.read(market) == before
    await market.client.refused(Failure.NUMBER_USED, proof, claimed, signers=battery)
    await market.client.until_s(trade.disputable_until)
    ended = await market.client.do(market.finalize(contract, market.battery.wallet), signers=[market.stranger])
    market.end(contract, ended, "claimed and finalized")
    _check_split(contract, ended, 2_400, HOW_FINALIZED)
    payout, fee, _ = contract.split(2_400)
    assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)
    assert await market.client.account(market.at.trade(contract.trade_id)) is None
    assert await market.client.balance(market.battery.address) == lamports - landed.fee


async def a_late_cosignature_ends_a_claim(market: Market) -> None:
    """From Claimed while nobody can finalize it yet, and from Disputed with both bonds going back."""
    for contract_no, disputed in ((5, False), (6, True)):
        contract = await claim_alone(market, contract_no, 2_000)
        before = await Balances.read(market)
        early = market.finalize(contract, market.battery.wallet)
        await market.client.refused(Failure.TOO_EARLY, early, signers=[market.stranger])
        if disputed:
            await market.client.do(market.dispute(contract, 1_000), signers=[market.buyer.wallet])
        receipt = market.receipt(contract, 1_800)
        settled = market.settle(contract, receipt, rent_payer=market.battery.wallet)
        landed = await market.client.do(market.cosigned(contract, receipt), settled, signers=[market.stranger])
        market.end(contract, landed, "co-signed after a dispute" if disputed else "co-signed after a claim")
        _check_split(contract, landed, 1_800, HOW_COSIGNED)
        payout, fee, _ = contract.split(1_800)
        assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)


async def a_dispute_is_ruled_on(market: Market) -> None:
    """The undisputed part is paid at once, an interim receipt raises it, the ruling decides whose bond goes."""
    contract = await claim_alone(market, 7, 2_000)
    before = await Balances.read(market)
    bond = await _disputed(market, contract, 1_000)
    interim = market.receipt(contract, 1_500, final=False)
    attested = await market.client.do(
        market.cosigned(contract, interim), market.attest(contract, interim), signers=[market.stranger]
    )
    paid = contract.split(1_500).payout - bond
    assert (attested.event(Attested).safe_wh, attested.event(Attested).paid) == (1_500, paid)
    assert await market.client.tokens(market.tokens(market.battery.address)) == before.payee + paid
    ruling = market.resolve(contract, 1_600, market.battery.wallet)
    await market.client.refused(Failure.NOT_RESOLVER, _ruled_by_a_stranger(market, ruling), signers=[market.stranger])
    too_much = market.resolve(contract, 2_001, market.battery.wallet)
    await market.client.refused(Failure.BAD_AMOUNT, too_much, signers=[market.resolver])
    landed = await market.client.do(ruling, signers=[market.resolver])
    market.end(contract, landed, "disputed, the buyer lost")
    settled = _check_split(contract, landed, 1_600, HOW_RESOLVED)
    assert (settled.bond_to_battery, settled.bond_to_buyer) == (bond, 0)
    payout, fee, _ = contract.split(1_600)
    after = before.after(payee=payout + bond, vault=-payout - bond, line=-payout - fee, fees=fee, available=-bond)
    assert await Balances.read(market) == after


async def an_overclaim_costs_its_bond(market: Market) -> None:
    """The ruling is what the buyer said: the battery's bond goes to the buyer."""
    contract = await claim_alone(market, 8, 2_500)
    before = await Balances.read(market)
    bond = await _disputed(market, contract, 700)
    landed = await market.client.do(market.resolve(contract, 700, market.battery.wallet), signers=[market.resolver])
    market.end(contract, landed, "disputed, the battery lost")
    settled = _check_split(contract, landed, 700, HOW_RESOLVED)
    assert (settled.bond_to_battery, settled.bond_to_buyer) == (0, bond)
    payout, fee, _ = contract.split(700)
    got = payout - bond
    after = before.after(payee=got, vault=-got, line=-payout - fee, fees=fee, available=bond)
    assert await Balances.read(market) == after


async def nobody_rules_and_time_does(market: Market) -> None:
    """After the time-out anybody ends the dispute: what is safe and half of the rest, each bond back to its side."""
    contract = await claim_alone(market, 9, 2_000)
    before = await Balances.read(market)
    await _disputed(market, contract, 1_000)
    over = market.timeout(contract, market.battery.wallet)
    trade = await market.read_trade(contract)
    await market.client.refused(Failure.TOO_EARLY, over, signers=[market.stranger])
    await market.client.until_s(trade.times_out_at)
    landed = await market.client.do(over, signers=[market.stranger])
    market.end(contract, landed, "disputed, timed out")
    settled = _check_split(contract, landed, 1_500, HOW_TIMED_OUT)
    assert (settled.bond_to_battery, settled.bond_to_buyer) == (0, 0)
    payout, fee, _ = contract.split(1_500)
    assert await Balances.read(market) == before.after(payee=payout, vault=-payout, line=-payout - fee, fees=fee)


async def claim_alone(market: Market, contract_no: int, delivered_wh: int) -> Contract:
    contract = await market.agree(contract_no)
    proof, claimed = _claim(market, contract, market.receipt(contract, delivered_wh))
    await market.client.do(proof, claimed, signers=[market.battery.wallet])
    return contract


async def _disputed(market: Market, contract: Contract, buyer_wh: int) -> int:
    """Have the buyer dispute; return the bond of either side."""
    trade, now_s = await market.read_trade(contract), await market.client.now_s()
    claimed, safe = contract.split(trade.claimed_wh).payout, contract.split(buyer_wh).payout
    bond = max(MIN_BOND, (claimed - safe) // 10)
    wrong = market.dispute(contract, trade.claimed_wh)
    await market.client.refused(Failure.BAD_AMOUNT, wrong, signers=[market.buyer.wallet])
    event = (await market.client.do(market.dispute(contract, buyer_wh), signers=[market.buyer.wallet])).event(Disputed)
    assert (event.claimed_wh, event.buyer_wh, event.safe_wh) == (trade.claimed_wh, buyer_wh, buyer_wh)
    assert (event.bond, event.held, event.paid) == (bond, bond, safe - bond)
    assert event.times_out_at >= now_s + market.timeout_s
    return bond


def _ruled_by_a_stranger(market: Market, ruling: Instruction) -> Instruction:
    stranger = AccountMeta(address(market.stranger), is_signer=True, is_writable=False)
    return Instruction(ruling.program_id, ruling.data, [stranger, *ruling.accounts[1:]])


def _claim(market: Market, contract: Contract, receipt: Receipt) -> tuple[Instruction, Instruction]:
    """Return the buyer's consent to the contract, and the battery's claim."""
    proof = consent([market.buyer.contract(contract)])
    return proof, market.claim(contract, receipt, market.battery.wallet, "battery")


def _check_split(contract: Contract, landed: Landed, delivered_wh: int, how: int) -> Settled:
    settled = landed.event(Settled)
    assert (settled.trade_id, settled.contract_no) == (contract.trade_id, contract.contract_no)
    assert (settled.delivered_wh, settled.how, settled.reserved) == (delivered_wh, how, contract.reserve)
    assert (settled.payout, settled.fee, settled.returned) == tuple(contract.split(delivered_wh))
    assert settled.unpaid == 0
    return settled
