"""A stand-in battery that settles: it signs contracts and receipts as the real one does, or wrongly on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aggregator.testing.seller import Seller
from aggregator.testing.stand_in import Sold, StandInBattery
from etp.messages import Body, MessageType, ReasonCode
from settlement.errors import SettlementError
from settlement.receipt import Receipt as SettledReceipt
from settlement.signing import check_contract, check_receipt
from settlement.terms import check_confirm

if TYPE_CHECKING:
    from collections.abc import Callable

    from etp.connection import Received
    from etp.extensions import Contract, Receipt
    from etp.io.link import Link


def _as_it_is(wire: Contract) -> Contract:
    return wire


@dataclass(kw_only=True)
class SettledBattery(StandInBattery):
    """Needs a policy with its seller's identity. `cosigned` has the final receipts that came back signed."""

    seller: Seller = field(default_factory=Seller)
    twist: Callable[[Contract], Contract] = _as_it_is
    """What it does to the contract of an Accept after it has signed it."""
    overclaims_wh: int = 0
    """How much more its receipts say than was delivered."""
    interims: int = 0
    """How many receipts of the running delivery each trade has."""
    mute_finals: int = 0
    """How many final receipts it does not send: they come again with the next connection."""
    cosigned: dict[int, Receipt] = field(default_factory=dict)
    disputed: dict[int, Receipt] = field(default_factory=dict)
    interim_answers: list[Receipt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What was wrong with what buyers sent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._bids: dict[int, Contract] = {}
        self._accepted: dict[int, Contract] = {}
        self._finals: dict[tuple[str, int], tuple[Body, Receipt]] = {}

    def frames_received(self, link: Link, frames: list[Received]) -> None:
        """Answer one read."""
        for frame in frames:
            kind, contract, receipt = frame.body.message_type, frame.extensions.contract, frame.extensions.receipt
            if kind == MessageType.REGISTER:
                link.send(Body.register(self._id(), self.device_id), contract=self.seller.offer())
                self._repeat_finals(link)
            elif kind == MessageType.BID and contract is not None:
                self._bids[frame.body.message_id] = contract
            elif kind == MessageType.BID_CONFIRM and not self._is_signed(link, frame.body, contract):
                self._refuse(link, frame.body.message_id, ReasonCode.MALFORMED)
                return
            elif receipt is not None:
                self._answered(link, frame.body, receipt)
        super().frames_received(link, frames)

    def _is_signed(self, link: Link, confirm: Body, contract: Contract | None) -> bool:
        if contract is None or link.signer is None:
            self.problems.append("a Confirm without a contract")
            return False
        try:
            check_confirm(self._accepted[confirm.message_id], contract)
            check_contract(self.seller.contracts[confirm.message_id], "buyer", link.signer, contract.signature)
        except SettlementError as error:
            self.problems.append(str(error))
            return False
        return True

    def _accept(self, link: Link, sold: Sold) -> None:
        bid = self._bids.get(sold.bid_id)
        if bid is None or link.signer is None:
            self.problems.append("a Bid without a contract")
            return
        wire = self.seller.accept(
            bid, buyer_key=link.signer, bid_id=sold.bid_id, price_e4=sold.price_e4, energy_wh=sold.energy_wh
        )
        self._accepted[sold.bid_id] = wire = self.twist(wire)
        link.send(self._accept_body(sold), contract=wire)

    def _delivered(self, sold: Sold) -> None:
        sold.ended = True
        self._news.set()
        wh = sold.energy_wh * self.delivers_permille // 1_000
        self._report(sold, wh)
        code = ReasonCode.NONE if wh == sold.energy_wh else ReasonCode.NOT_ENOUGH_ENERGY
        body = Body.terminate(sold.bid_id, self.device_id, code=code, delivered_wh=wh)
        receipt = self.seller.receipt(sold.bid_id, wh + self.overclaims_wh, final=True)
        self._finals[sold.peer, sold.bid_id] = body, receipt
        peer = self._peers.get(sold.peer)
        if self.mute_finals:
            self.mute_finals -= 1
        elif peer is not None:
            peer.link.send(body, receipt=receipt)

    def _report(self, sold: Sold, wh: int) -> None:
        peer = self._peers.get(sold.peer)
        if peer is None:
            return
        body = Body.bess_status(sold.bid_id, self.device_id, delivered_wh=wh)
        interim = self.seller.receipt(sold.bid_id, wh + self.overclaims_wh, final=False) if self.interims else None
        peer.link.send(body, receipt=interim)

    def _repeat_finals(self, link: Link) -> None:
        for (name, bid_id), (body, receipt) in self._finals.items():
            if name == link.peer and bid_id not in self.cosigned:
                link.send(body, receipt=receipt)

    def _answered(self, link: Link, body: Body, receipt: Receipt) -> None:
        contract = self.seller.contracts.get(body.message_id)
        if contract is None or link.signer is None:
            self.problems.append("a receipt of no trade")
            return
        try:
            signed = SettledReceipt.from_wire(receipt, contract.trade_id)
            check_receipt(signed, contract, "buyer", link.signer, receipt.signature)
        except SettlementError as error:
            self.problems.append(str(error))
            return
        if not receipt.final:
            self.interim_answers.append(receipt)
        elif body.termination_code == ReasonCode.NONE:
            self.cosigned[body.message_id] = receipt
        else:
            self.disputed[body.message_id] = receipt
        self._news.set()
