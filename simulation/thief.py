"""Somebody who wants money that is not his, or somebody else's paid twice: replays what lands and forges what does not.

Nothing he does may have an effect; that it has none is for `simulation.payments` to see.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from settlement.ledger.wire import receive
from settlement.program import instructions
from settlement.program.addresses import token_account
from settlement.signing import SignatureKind, sign_receipt, signed_bytes
from settlement.transaction import Consent, TransactionError, consent

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from etp.auth import Signer
    from settlement.ledger.records import Record
    from settlement.receipt import Receipt
    from simulation.chain import Chain
    from simulation.deals import Deal

_SHARE: Final = 0.15
"""Of the transactions that land, those he tries his hand at."""
_AGAIN_S: Final = (0.0, 120.0)
_FORGES_EVERY_S: Final = 1_800.0
_COMPUTE_BUDGET: Final = Pubkey.from_string("ComputeBudget111111111111111111111111111111")


class Thief:
    """One of them, with lamports of his own for fees."""

    def __init__(self, chain: Chain, deals: Mapping[bytes, Deal], key: Signer, rng: random.Random) -> None:
        self.tried = 0
        self._chain = chain
        self._deals = deals
        self._key = key
        self._rng = rng

    def saw(self, record: Record) -> None:
        """A transaction has landed, with success or without."""
        if self._rng.random() < _SHARE:
            self._chain.loop.call_outside(self._rng.uniform(*_AGAIN_S), self._send_again, record)
            self._chain.loop.call_outside(self._rng.uniform(*_AGAIN_S), self._submit_as_own, record)

    def begin(self) -> None:
        """Forge something now, and again after a while."""
        self._forge()
        self._chain.loop.call_outside(self._rng.uniform(0.0, 2 * _FORGES_EVERY_S), self.begin)

    def _send_again(self, record: Record) -> None:
        """The same bytes once more."""
        self.tried += 1
        self._chain.ledger.submit(receive(record.wire))

    def _submit_as_own(self, record: Record) -> None:
        """The same calls on a new blockhash, paid by himself, where nobody else must sign."""
        message = receive(record.wire).message
        if not isinstance(message, MessageV0):
            return
        keys, payer, own = message.account_keys, message.account_keys[0], Pubkey.from_bytes(self._key.public_key)
        calls = []
        for each in message.instructions:
            program = keys[each.program_id_index]
            if program == _COMPUTE_BUDGET:
                continue
            metas = [
                AccountMeta(
                    own if keys[at] == payer else keys[at], message.is_signer(at), message.is_maybe_writable(at)
                )
                for at in bytes(each.accounts)
            ]
            calls.append(Instruction(program, bytes(each.data), metas))
        self._try(calls)

    def _forge(self) -> None:
        """Take an unpaid trade and settle it with signatures that were given for something else."""
        open_deals = [deal for deal in self._deals.values() if deal.ended and deal.final_wh and not deal.cosigned]
        if not open_deals:
            return
        deal = self._rng.choice(open_deals)
        lower = replace(deal.final, delivered_wh=deal.final_wh // 2)
        battery, buyer = deal.battery.identity, deal.buyer.identity
        signed = self._rng.choice(("interim", "one signs", "two finals"))
        if signed == "interim" and deal.interim is not None:
            receipt = replace(deal.interim.receipt, final=True)
            pair = (deal.interim.battery_signature or b"", deal.interim.buyer_signature or b"")
        elif signed == "one signs":
            receipt = deal.final
            pair = (sign_receipt(receipt, deal.contract, battery),) * 2
        else:
            receipt = lower
            pair = (sign_receipt(deal.final, deal.contract, battery), sign_receipt(lower, deal.contract, buyer))
        message = signed_bytes(SignatureKind.RECEIPT, receipt.digest)
        parties = zip((battery.public_key, buyer.public_key), pair, strict=True)
        proof = consent([Consent(key, signature, message) for key, signature in parties])
        self._try([proof, settle_call(self._chain, deal, receipt)])

    def _try(self, calls: list[Instruction]) -> None:
        self.tried += 1
        try:
            self._chain.try_to(calls, self._key)
        except TransactionError:
            return  # somebody else would have to sign


def settle_call(chain: Chain, deal: Deal, receipt: Receipt) -> Instruction:
    """Return the call that settles a trade by a receipt, with both consents in the instruction before it."""
    contract, at, mint = deal.contract, chain.at, chain.mint
    battery, buyer = Pubkey.from_bytes(contract.battery_wallet), Pubkey.from_bytes(contract.buyer_wallet)
    escrow = at.escrow(buyer, mint)
    return instructions.settle(
        at.program_id,
        config=at.config(),
        battery=at.participant(battery),
        buyer=at.participant(buyer),
        escrow=escrow,
        vault=at.vault(escrow),
        line=at.line(escrow, battery),
        trade=at.trade(contract.trade_id),
        payee=token_account(battery, mint),
        unpaid=at.unpaid(battery, escrow),
        event_authority=at.event_authority(),
        contract_no=contract.contract_no,
        battery_device_id=contract.battery_device_id,
        buyer_device_id=contract.buyer_device_id,
        message_id=contract.message_id,
        price_e4=contract.price_e4,
        energy_wh=contract.energy_wh,
        base_units_per_cent=contract.base_units_per_cent,
        starts_at_s=contract.starts_at_s,
        ends_at_s=contract.ends_at_s,
        valid_until_s=contract.valid_until_s,
        fee_bps=contract.fee_bps,
        dispute_window_s=contract.dispute_window_s,
        resolver=contract.resolver,
        meter_key=contract.meter_key,
        delivered_wh=receipt.delivered_wh,
        started_at_s=receipt.started_at_s,
        ended_at_s=receipt.ended_at_s,
        evidence=receipt.evidence,
        instructions=instructions.INSTRUCTIONS,
    )
