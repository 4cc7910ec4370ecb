"""One direction of a buyer's link: latency, stalls, and (in studies only) messages that nobody hears.

A loss p on an ETP link is a stall: TCP sends again after 200 ms, then 400, 800, ... so a message meets k losses with
probability p^k (1 - p) and comes 200 (2^k - 1) ms late; what follows it waits behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market.draws import uniform

if TYPE_CHECKING:
    from market.setting import Buyer, Setting

GIVE_UP_MS: Final = 5_000
"""A buyer waits so long for an answer (`aggregator.bids`)."""
_RETRY_MS: Final = 200
_LOSSES_MAX: Final = 12
"""Twelve losses in a row stall for 13 minutes: longer than any lot."""


class Way:
    """Messages in order from one end to the other; `name` tells this direction's draws from the other's."""

    __slots__ = ("_buyer", "_count", "_drop", "_last_ms", "_latency_ms", "_loss", "_lot", "_name", "_seed")

    def __init__(
        self, name: str, latency_ms: float, *, drop: float, loss: float, seed: int, lot: int, buyer: int
    ) -> None:
        self._name = name
        self._latency_ms = latency_ms
        self._drop = drop
        self._loss = loss
        self._seed = seed
        self._lot = lot
        self._buyer = buyer
        self._count = 0
        self._last_ms = 0.0

    def arrival_ms(self, sent_ms: float) -> float | None:
        """Return when a message sent now arrives, None when it never does."""
        return self._arrival_ms(sent_ms, self._drop)

    def sure_arrival_ms(self, sent_ms: float) -> float:
        """Return when a message arrives that is never dropped."""
        return self._arrival_ms(sent_ms, 0.0) or 0.0

    def _arrival_ms(self, sent_ms: float, drop: float) -> float | None:
        if not self._drop and not self._loss:
            return sent_ms + self._latency_ms
        number = self._count
        self._count += 1
        if drop and uniform(self._seed, self._lot, self._buyer, f"drop-{self._name}", number) < drop:
            return None
        self._last_ms = max(self._last_ms, sent_ms + self._latency_ms + self._stall_ms(number))
        return self._last_ms

    def _stall_ms(self, number: int) -> int:
        if not self._loss:
            return 0
        draw = uniform(self._seed, self._lot, self._buyer, f"stall-{self._name}", number)
        losses, reach = 0, self._loss
        while draw < reach and losses < _LOSSES_MAX:
            losses += 1
            reach *= self._loss
        return _RETRY_MS * ((1 << losses) - 1)


def ways(setting: Setting, buyer: Buyer, *, seed: int, lot: int, index: int) -> tuple[Way, Way]:
    """Return the ways from the battery to a buyer and back."""
    down, up = (
        Way(name, latency_ms, drop=setting.drop, loss=setting.loss, seed=seed, lot=lot, buyer=index)
        for name, latency_ms in (("down", buyer.down_ms), ("up", buyer.up_ms))
    )
    return down, up
