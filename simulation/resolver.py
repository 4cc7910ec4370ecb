"""Whoever rules on disputes in a world of cheques: late, by the truth, and not on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from settlement.program.events import Disputed
    from simulation.chain import Chain
    from simulation.deals import Deal
    from simulation.payments import Payments

_RULES_ON: Final = 0.6
"""The share of disputes that end by a ruling; the others time out."""
_TAKES_S: Final = (60.0, 3_600.0)


class Resolver:
    """Rules for what really flowed, as far as the program lets it: between what is safe and what is claimed."""

    def __init__(self, chain: Chain, payments: Payments, deals: Mapping[bytes, Deal], rng: random.Random) -> None:
        self._chain = chain
        self._payments = payments
        self._deals = deals
        self._rng = rng

    def heard(self, dispute: Disputed) -> None:
        """Take on a dispute, or leave it to time."""
        if self._rng.random() < _RULES_ON:
            self._chain.loop.call_outside(self._rng.uniform(*_TAKES_S), self._rule, dispute)

    def _rule(self, dispute: Disputed) -> None:
        trade_id = dispute.trade_id
        if trade_id in self._payments.settled:
            return
        deal = self._deals[trade_id]
        safe_wh = self._payments.safe_wh[trade_id]
        ruling_wh = max(safe_wh, min(deal.true_wh, dispute.claimed_wh))
        self._payments.rulings[trade_id] = ruling_wh
        self._chain.resolve(deal.contract, ruling_wh)
