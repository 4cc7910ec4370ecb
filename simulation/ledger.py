"""What the gateway owes, counted from what it tells the world and from nothing else it knows of itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from simulation.invariants import Breach

if TYPE_CHECKING:
    from agent.books_types import Books
    from agent.records import TradeKey

    Name = tuple[str, TradeKey]


class Ledger:
    """The lots, awards and trades of one gateway."""

    def __init__(self) -> None:
        self._lots: dict[tuple[str, int], int] = {}
        self._sold: dict[tuple[str, int], int] = {}
        self._awards: dict[Name, dict[str, Any]] = {}
        self._trades: dict[Name, int] = {}
        self._ended: set[Name] = set()
        self.events = 0
        """How many events of the gateway were heard."""
        self.confirmed: dict[Name, int] = {}
        """The agreed energy of every trade that its buyer was told exists."""
        self.told: Counter[tuple[str, TradeKey, int]] = Counter()
        """The ends that buyers were told of: battery, trade, what it got."""

    @property
    def lots(self) -> dict[tuple[str, int], int]:
        """The energy of every lot, by battery and lot id."""
        return self._lots

    def owed_wh(self, battery: str) -> int:
        """Return the energy promised and not yet delivered."""
        awarded = sum(int(fields["energy_wh"]) for (name, _), fields in self._awards.items() if name == battery)
        return awarded + sum(owed for (name, _), owed in self._trades.items() if name == battery)

    def has_awards(self, battery: str) -> bool:
        """Whether an award has become neither a trade nor void."""
        return any(name == battery for name, _ in self._awards)

    def heard(self, event: str, fields: dict[str, Any]) -> None:
        """Take an event of the gateway. Raises Breach when energy is promised that is not there to promise."""
        self.events += 1
        battery = fields.get("battery", "")
        match event:
            case "lot_opened":
                self._lots[battery, fields["lot_id"]] = fields["energy_wh"]
            case "bid_accepted":
                self._accepted((battery, (fields["peer"], fields["bid_id"])), fields)
            case "award_voided":
                self._voided((battery, (fields["peer"], fields["bid_id"])))
            case "trade_confirmed":
                self._confirmed((battery, (fields["peer"], fields["bid_id"])), fields)
            case "delivery_progress":
                name = (battery, (fields["peer"], fields["bid_id"]))
                if name in self._trades:
                    self._trades[name] = self.confirmed[name] - fields["delivered_wh"]
            case "delivery_ended":
                self._delivered((battery, (fields["peer"], fields["bid_id"])), fields["delivered_wh"])

    def crashed(self) -> None:
        """The process is gone: awards that nobody confirmed are void; trades stay owed."""
        for name in list(self._awards):
            self._voided(name)

    def booted(self, battery: str, books: Books) -> None:
        """A process starts on these books: what they say is owed, whoever was told what."""
        for name in [name for name in self._trades if name[0] == battery and name[1] not in books.trades]:
            del self._trades[name]
            self._ended.add(name)
        for key, trade in books.trades.items():
            name = (battery, key)
            if name not in self._trades:
                self._trades[name] = trade.remaining_wh
                self.confirmed[name] = trade.deal.energy_wh
                self._ended.discard(name)

    def _accepted(self, name: Name, fields: dict[str, Any]) -> None:
        lot = (name[0], fields["lot_id"])
        self._sold[lot] = self._sold.get(lot, 0) + fields["energy_wh"]
        if self._sold[lot] > self._lots.get(lot, 0):
            raise Breach("no energy is sold twice", f"lot {lot}: {self._sold[lot]} Wh of {self._lots.get(lot, 0)} Wh")
        if name in self._awards or name in self._trades:
            raise Breach("no energy is sold twice", f"bid {name} accepted twice")
        self._awards[name] = fields

    def _voided(self, name: Name) -> None:
        fields = self._awards.pop(name, None)
        if fields is not None:
            self._sold[name[0], fields["lot_id"]] -= fields["energy_wh"]

    def _delivered(self, name: Name, delivered_wh: int) -> None:
        if name in self._ended:
            raise Breach("a trade ends once", f"bid {name} was told to have ended before")
        self._ended.add(name)
        self._trades.pop(name, None)
        self.told[*name, delivered_wh] += 1

    def _confirmed(self, name: Name, fields: dict[str, Any]) -> None:
        self._awards.pop(name, None)
        self._ended.discard(name)
        self.confirmed[name] = self._trades[name] = fields["energy_wh"]
