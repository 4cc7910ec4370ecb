"""What a confirmed trade is, and what one looks like while it is being delivered: frozen values, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from agent import energy
from agent.metering import name_of
from settlement.terms import window_s

if TYPE_CHECKING:
    from agent.records import Deal, TradeKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Energy that is sold: its Confirm is on disk, so it is delivered or ends openly (ETP section 7).

    `power_w` is the magnitude granted. `window_ms` counts from the Confirm on disk and is real time (already divided by
    a lab's time lapse). `confirmed_wall_ms` is wall time; the other `*_at_ms` are monotonic, None = not known. Raises
    ValueError for a trade without energy, power or window.
    """

    battery: str
    peer: str
    bid_id: int
    price_e4: int
    energy_wh: int
    power_w: int
    lot_id: int
    award_seq: int
    confirmed_wall_ms: int
    window_ms: int
    buyer: str = ""
    signer: str | None = None
    reserve_e4: int = 0
    first_acceptable_e4: int = 0
    distinct_bidders: int = 0
    increment_e4: int = 0
    asked_at_ms: int | None = None
    awarded_at_ms: int | None = None
    confirmed_at_ms: int | None = None
    trade_id: str = ""
    """Of a trade that is paid on a ledger: SHA-256 of its contract, in hex."""

    def __post_init__(self) -> None:
        """Refuse what cannot be delivered."""
        for name in ("energy_wh", "power_w", "window_ms"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: a trade needs more than nothing")

    @property
    def key(self) -> TradeKey:
        """The trade's name: peer and the bid's message id (ETP section 2)."""
        return self.peer, self.bid_id

    @property
    def evidence_name(self) -> str:
        """What the evidence of this trade, and of those that share its counter, calls it."""
        return self.trade_id or name_of(self.key)

    @classmethod
    def of_deal(
        cls,
        deal: Deal,
        *,
        battery: str,
        award_seq: int,
        confirmed_wall_ms: int,
        window_ms: int,
        confirmed_at_ms: int | None = None,
    ) -> Self:
        """Return the trade that a confirmed deal became."""
        return cls(
            battery=battery,
            peer=deal.peer,
            bid_id=deal.bid_id,
            price_e4=deal.price_e4,
            energy_wh=deal.energy_wh,
            power_w=deal.power_w,
            lot_id=deal.lot_id,
            award_seq=award_seq,
            confirmed_wall_ms=confirmed_wall_ms,
            window_ms=window_ms,
            buyer=deal.buyer,
            signer=deal.signer,
            reserve_e4=deal.reserve_e4,
            first_acceptable_e4=deal.first_acceptable_e4,
            distinct_bidders=deal.distinct_bidders,
            increment_e4=deal.increment_e4,
            asked_at_ms=deal.asked_at_ms or None,
            awarded_at_ms=deal.awarded_at_ms or None,
            confirmed_at_ms=confirmed_at_ms,
            trade_id=deal.trade_id,
        )


def window_ms_of(deal: Deal, time_lapse: int = 1) -> int:
    """Return how long a deal's delivery may take, in real ms: what its lot gives it, and not beyond its contract."""
    length_ms = energy.window_ms(window_s(deal.energy_wh, deal.power_w), time_lapse)
    return min(length_ms, deal.window_s * 1_000) if deal.window_s else length_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How a trade ended: reason code (0 = all of it), energy metered, and how.

    `derived`: power was integrated over time because the counter was too coarse or absent, or the counter could not be
    read again after a restart. `evidence` is the hash of the metered samples (`settlement.evidence`), 32 bytes.
    `started_at_ms` is the first setpoint frame's monotonic
    time, be it an earlier start's; None when there was none, or its time means nothing any more. `begun_wall_ms` and
    `ended_wall_ms` are times of day.
    """

    trade: Trade
    code: int
    reason: str
    delivered_wh: int
    derived: bool
    evidence: bytes
    started_at_ms: int | None
    ended_at_ms: int
    begun_wall_ms: int | None = None
    ended_wall_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDelivery:
    """A trade under delivery, for looking: what was delivered so far and at what power it is served now."""

    trade: Trade
    phase: str
    delivered_wh: int
    started_at_ms: int | None
    ends_by_ms: int
    begun_wall_ms: int | None = None
    evidence: bytes = b""
    """Of what was metered so far, 32 bytes."""
