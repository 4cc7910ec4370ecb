"""What a desk needs from the battery it sells for: the seam between trading and the rest of the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.awards import OpenAward
    from agent.cashier import Cashier
    from agent.journal import Journal
    from agent.records import TradeKey
    from agent.reputation import ReputationBook
    from etp.auction import Award, Bid, Lot, LotClosed, Refuse
    from etp.connection import Received
    from etp.io.link import Link
    from etp.messages import Body


class BatteryView(NamedTuple):
    """What quotations tell of the battery: energy above the floor less promises, stored energy, voltage, health."""

    uncommitted_wh: int
    remaining_wh: int
    voltage_mv: int
    health: int


class Watch(Protocol):
    """Who is told what happens, for logs, metrics and the control socket; nothing depends on it."""

    def lot_opened(self, lot: Lot) -> None:
        """A lot is on offer."""

    def lot_closed(self, closed: LotClosed) -> None:
        """A lot is over."""

    def bids_placed(self, bids: Sequence[Bid]) -> None:
        """Bids of one wake-up reached the auction."""

    def bids_refused(self, refusals: Sequence[Refuse], waited_ms: int) -> None:
        """Bids that came together were answered with BidReject, so long after they were read."""

    def processed(self, bids: int, processing_ms: int) -> None:
        """Bids were decided, after so much work; the time they stood is not counted."""

    def unanswered(self, frames: int) -> None:
        """Frames that wanted an answer will get none, for reasons that their connection does not know."""

    def awarded(self, award: Award, peers_pushed: int) -> None:
        """The auction awarded a bid."""

    def accepted(self, award: OpenAward) -> None:
        """An Accept was handed to the kernel."""

    def voided(self, award: OpenAward, code: int) -> None:
        """An award fell through."""


class DeskPorts(Protocol):
    """The battery behind a desk."""

    name: str
    journal: Journal
    reputation: ReputationBook

    @property
    def watch(self) -> Watch:
        """Who is told."""
        ...

    @property
    def cashier(self) -> Cashier | None:
        """Who judges terms and cover, and signs; None where no trade is paid on a ledger."""
        ...

    def covers(self, received: Received, price_e4: int, energy_wh: int) -> bool:
        """Whether the buyer's collateral carries the bid; every bid is covered where no trade is paid on a ledger."""
        ...

    def take_receipt(self, received: Received) -> bool:
        """A buyer's BESSStatus or Terminate may answer a receipt; False when it says nothing of the kind."""
        ...

    def wall_ms(self) -> int:
        """Return the time of day."""
        ...

    def is_trade(self, key: TradeKey) -> bool:
        """Whether a bid's name belongs to a trade that has not ended."""
        ...

    def reconsider_soon(self) -> None:
        """`reconsider` once, after everything that happens now."""
        ...

    def now_ms(self) -> int:
        """Return monotonic ms of the event loop."""
        ...

    def lot_id(self, energy_wh: int, power_w: int, seed: bytes) -> int | None:
        """Journal a lot and return its id, the record's sequence number; None when the journal takes nothing."""
        ...

    def heed(self, bids: Sequence[Bid]) -> None:
        """Bids entered the lot or were only beaten: learn from them what energy is worth to buyers."""
        ...

    def lot_over(self, closed: LotClosed) -> None:
        """Journal that a lot is over."""
        ...

    def lot_seed(self) -> bytes:
        """Return 32 bytes that order bids of one instant."""
        ...

    def view(self) -> BatteryView:
        """Return what quotations tell of the battery."""
        ...

    def reconsider(self) -> None:
        """Something freed or took energy or power: work out the offer again and present it."""
        ...

    def name_free(self, peer: str, bid_id: int) -> None:
        """An award fell through: its bid's id may be used again."""
        ...

    def name_taken(self, peer: str, bid_id: int) -> None:
        """A bid was awarded: whatever its id was used for before is over."""
        ...

    def blamed(self, buyer: str) -> None:
        """A buyer let an award or a standing bid lapse."""
        ...

    def shielded(self, price_e4: int, until_wall_ms: int, buyer: str) -> None:
        """A buyer abandoned a standing bid: journal the shield that is up (wall ms)."""
        ...

    def disk_late(self, *, late: bool) -> None:
        """Awards do not reach the disk in time, or do again."""
        ...

    def tell_later(self, peer: str, end: Body) -> None:
        """A signed buyer that is away must hear this when it comes back."""
        ...

    def begin(self, award: OpenAward, confirmed_seq: int) -> None:
        """A trade exists: acknowledge it and deliver."""
        ...

    def acknowledge_again(self, link: Link, received: Received) -> bool:
        """Acknowledge a Confirm of a trade that exists already; False when it does not."""
        ...

    def returned(self, link: Link) -> None:
        """A buyer registered on a connection."""
        ...

    def stop(self, peer: str, bid_id: int) -> None:
        """The buyer ends its delivery."""
        ...
