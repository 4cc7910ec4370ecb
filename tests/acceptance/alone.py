"""A chapter without our hand: the product's settlers of both sides get cheques, and no help.

One cheque is co-signed: the buyer's settler pays. One is not: the battery's claims it and finalizes. In one the battery
says more than was delivered: the buyer's settler disputes it, and as nobody rules the time-out ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from settlement import Cheque, SignedReceipt, sign_contract, sign_receipt
from settlement.base58 import decode_base58
from settlement.program.events import Settled
from settlement.settler import open_settler
from settlement.settler_types import EventKind, SettlerSettings, Stage
from tests.acceptance.client import until

if TYPE_CHECKING:
    from pathlib import Path

    from settlement import Contract
    from settlement.settler import Settler
    from settlement.settler_types import SettlerEvent, TradeView
    from tests.acceptance.market import Market

_FAILURES: Final = (
    EventKind.CHEQUE_REFUSED,
    EventKind.TRANSACTION_FAILED,
    EventKind.WRONG_CLUSTER,
    EventKind.CANNOT_PAY_CLAIM,
    EventKind.OUTBOX_FAILED,
)
"""But for the time-out of a dispute, which both sides send at the same moment: the second fails."""
_SAW_WH: Final = 1_000
_OVER_WH: Final = 2_500


async def settlers_settle_by_themselves(market: Market, place: Path) -> None:
    """See above. Both settlers agree with the ledger, and neither did anything in vain."""
    told: list[SettlerEvent] = []
    paid, unsigned = await market.agree(11), await market.agree(12, window_s=market.soon_s)
    over = await market.agree(13)
    buyer, battery = (_settler(market, role, place, told) for role in ("buyer", "battery"))
    await buyer.start()
    await battery.start()
    try:
        buyer.put(_cheque(market, "buyer", paid, 2_000, cosigned=True), seen_wh=2_000)
        battery.put(_cheque(market, "battery", unsigned, 2_250))
        buyer.put(_cheque(market, "buyer", unsigned, None), seen_wh=2_250)
        battery.put(_cheque(market, "battery", over, _OVER_WH))
        buyer.put(_cheque(market, "buyer", over, None), seen_wh=_SAW_WH)
        await _ends(market, paid, 2_000, "co-signed", buyer)
        await _ends(market, unsigned, 2_250, "finalized", battery, buyer)
        await _ends(market, over, (_SAW_WH + _OVER_WH) // 2, "timed out", battery, buyer)
    finally:
        await buyer.close()
        await battery.close()
    failed = [event for event in told if event.kind in _FAILURES and event.fields.get("action") != "timeout"]
    assert not failed, [(event.kind.value, dict(event.fields)) for event in failed]


async def _ends(market: Market, contract: Contract, delivered_wh: int, how: str, *settlers: Settler) -> None:
    for settler in settlers:
        view = await _until_settled(settler, contract)
        assert (view.how, view.delivered_wh, view.unpaid) == (how, delivered_wh, 0)
        assert (view.payout, view.fee, view.returned) == tuple(contract.split(delivered_wh))
        assert view.signature is not None
        landed = await market.client.read(decode_base58(view.signature))
        assert landed.event(Settled).trade_id == contract.trade_id
    market.end(contract, landed, f"by the settlers alone, {how}")


async def _until_settled(settler: Settler, contract: Contract) -> TradeView:
    async def read() -> TradeView | None:
        return settler.trade(contract.trade_id)

    view = await until(read, lambda view: view is not None and view.is_done)
    assert view is not None
    assert view.stage is Stage.SETTLED, view
    return view


def _settler(market: Market, role: str, place: Path, told: list[SettlerEvent]) -> Settler:
    settings: dict[str, Any] = {"rpc": (market.client.url,), "venue": market.venue, "outbox": place / f"{role}.db"}
    party = market.buyer if role == "buyer" else market.battery
    return open_settler(
        SettlerSettings(role=role, cosign_wait_s=0, poll_s=1.0, **settings),  # type: ignore[arg-type]
        wallet=party.wallet,
        on_event=told.append,
    )


def _cheque(
    market: Market,
    role: Literal["battery", "buyer"],
    contract: Contract,
    delivered_wh: int | None,
    *,
    cosigned: bool = False,
) -> Cheque:
    """Return what one side knows: the contract, and a final receipt where it has one."""
    battery, buyer = market.battery.identity, market.buyer.identity
    final = None
    if delivered_wh is not None:
        receipt = market.receipt(contract, delivered_wh)
        final = SignedReceipt(
            receipt=receipt,
            battery_signature=sign_receipt(receipt, contract, battery),
            buyer_signature=sign_receipt(receipt, contract, buyer) if cosigned else None,
        )
    return Cheque(
        role=role,
        contract=contract,
        battery_key=battery.public_key,
        buyer_key=buyer.public_key,
        battery_signature=sign_contract(contract, battery),
        buyer_signature=sign_contract(contract, buyer),
        final=final,
    )
