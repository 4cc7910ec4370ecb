"""Whether the buyer agrees with what a battery says it delivered, and what it answers (ETP section 7).

The buyer has no meter of its own here: it agrees with any figure within what was agreed, never beyond it, and never
with a final figure below what the battery reported before. The answering frame is signed by the connection; the
receipt's own signature is the settlement's business and stays as it was handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from etp.messages import Body, MessageType, ReasonCode

if TYPE_CHECKING:
    from aggregator.trades import Trade
    from etp.extensions import Receipt


class Answer(NamedTuple):
    """What to send back, with the receipt it answers."""

    body: Body
    receipt: Receipt


def answer_to(body: Body, receipt: Receipt, trade: Trade, device_id: int) -> Answer:
    """Return the answer to a Receipt that came with a BESSStatus or Terminate of a signed trade.

    Agreement repeats the receipt; disagreement is Terminate 15 with the buyer's own figure.
    """
    own_wh = min(trade.energy_wh, max(trade.delivered_wh, receipt.delivered_wh))
    if receipt.delivered_wh != own_wh:
        own = receipt._replace(delivered_wh=own_wh)
        return Answer(Body.terminate(trade.bid_id, device_id, code=ReasonCode.DISPUTED, delivered_wh=own_wh), own)
    if body.message_type == MessageType.TERMINATE:
        return Answer(Body.terminate(trade.bid_id, device_id, code=ReasonCode.NONE, delivered_wh=own_wh), receipt)
    return Answer(Body.bess_status(trade.bid_id, device_id, delivered_wh=own_wh), receipt)
