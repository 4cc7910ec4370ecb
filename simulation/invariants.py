"""What must hold after every step, whatever the world does; a breach ends the run with its seed and its last events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.books import books_of
from agent.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.books_types import Books
    from agent.records import Record, TradeKey
    from agent.storefront import Storefront
    from simulation.battery import Device

ANSWER_MS: Final = 500
HELD_IDLE_MS: Final = 15_000
"""A battery may be held without a trade only while its release is on the way: retries of a silent line included."""
FLOOR_MS: Final = 3_000
"""From the reading that shows the floor until no power flows: a request on the way, the write, the ramp."""
STOP_MS: Final = 25_000
"""10 s for the battery's release, 10 s for the journal, and the last words of the links."""
UNWATCHED_MS: Final = 15_000
"""After a silence or a crash the battery may have run on until its revert timer: the next reading tells."""
_FLOW_SLACK_MS: Final = 3_000
"""A reading and a progress figure may be this old; the energy of that time is not known to either side."""


@dataclass(eq=False)
class Breach(Exception):  # noqa: N818 - it is what happened
    """An invariant that does not hold: which, and what was seen."""

    invariant: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.detail}"


def check_accept(front: Storefront, device: Device, fields: dict[str, Any], *, owed_wh: int, now_ms: int) -> None:
    """At each Accept: in time, at or above the reserve, and covered by what is in the battery."""
    took_ms = fields["awarded_at_ms"] - fields["asked_at_ms"]
    if took_ms > ANSWER_MS:
        raise Breach("nothing is accepted late", f"bid {fields['bid_id']} answered after {took_ms} ms")
    if fields["price_e4"] < fields["reserve_e4"]:
        raise Breach("nothing is sold below the reserve", f"{fields['price_e4']} < {fields['reserve_e4']}")
    device.advance(now_ms)
    usable_wh = usable(front, device)
    slack_wh = slack(device)
    if owed_wh > usable_wh + slack_wh:
        what = f"{owed_wh} Wh owed, {usable_wh} Wh usable (+{slack_wh}) in {device.name}"
        raise Breach("no energy is sold twice", what)


class DeviceWatch:
    """What must hold at a battery at every step; one for each device."""

    def __init__(self, device: Device, floor_permille: int) -> None:
        self._device = device
        self._floor_permille = floor_permille
        self._trusted_from_ms = 0
        self._idle_since_ms = 0
        self._at_floor_since_ms = 0

    def check(self, front: Storefront | None, now_ms: int) -> None:
        """The floor holds, and an idle battery is let go; neither can be asked of an agent that is dead or cut off.

        Then the device's own revert timer must do it: see `Device`.
        """
        device = self._device
        if front is None or device.troubles.silent:
            self._trusted_from_ms = now_ms + UNWATCHED_MS
            self._idle_since_ms = self._at_floor_since_ms = 0
            return
        if not device.held:
            self._idle_since_ms = self._at_floor_since_ms = 0
            return
        if now_ms >= self._trusted_from_ms and device.model.power_w < 0:
            self._check_floor(now_ms)
        else:
            self._at_floor_since_ms = 0
        if front.delivery.is_serving:
            self._idle_since_ms = 0
            return
        self._idle_since_ms = self._idle_since_ms or now_ms
        held_ms = now_ms - self._idle_since_ms
        if held_ms > HELD_IDLE_MS:
            raise Breach("a battery is released when nobody buys", f"{device.name} held for {held_ms} ms")

    def _check_floor(self, now_ms: int) -> None:
        device = self._device
        if device.shown_permille > self._floor_permille:
            self._at_floor_since_ms = 0
        else:
            self._at_floor_since_ms = self._at_floor_since_ms or now_ms
            if now_ms - self._at_floor_since_ms > FLOOR_MS:
                what = f"{device.name} discharges although it shows {device.shown_permille} permille"
                raise Breach("the floor is never crossed", what)
        floor_wh = device.model.config.capacity_wh * self._floor_permille / 1_000
        if device.model.stored_wh < floor_wh - slack(device):
            raise Breach("the floor is never crossed", f"{device.name} at {device.model.soc * 1_000:.1f} permille")


def check_stop(
    front: Storefront, device: Device, *, troubles: Sequence[str], books: Books | None, was_silent: bool, took_ms: int
) -> None:
    """When a process has stopped: what its device was told, and what the journal owes (None = it had failed)."""
    name = device.name
    if took_ms > STOP_MS:
        raise Breach("a stop ends", f"{name}: took {took_ms} ms")
    admits = any(trouble.startswith(f"{name}:") for trouble in troubles)
    if device.held and not admits:
        raise Breach("a stop leaves the battery released, or says that it could not", f"{name}: {list(troubles)}")
    if was_silent:
        return
    if device.held or admits or not front.delivery.released:
        raise Breach("a stop leaves a reachable battery released", f"{name}: {list(troubles)}")
    if books is not None and (books.awards or books.trades or books.take_over):
        what = f"{len(books.awards)} awards, {len(books.trades)} trades, take-over {books.take_over}"
        raise Breach("a stop ends what is open", f"{name}: {what}")


def check_lots(records: Iterable[Record], opened: Mapping[tuple[str, int], int]) -> None:
    """Over the journal: what a lot sold fits into it (`opened`: as told), and a trade is confirmed once."""
    lots = dict(opened)
    sold: dict[tuple[str, int], int] = {}
    confirmed: set[tuple[str, int]] = set()
    for record in records:
        body = record.body
        if record.kind == Kind.LOT_OPENED:
            lots[record.battery, record.seq] = body["energy_wh"]
        elif record.kind == Kind.CONFIRMED:
            award = (record.battery, body["award_seq"])
            if award in confirmed:
                raise Breach("no energy is sold twice", f"award {award} confirmed twice")
            confirmed.add(award)
            lot = (record.battery, body["lot_id"])
            sold[lot] = sold.get(lot, 0) + body["energy_wh"]
    for lot, sold_wh in sold.items():
        if sold_wh > lots.get(lot, 0):
            raise Breach("no energy is sold twice", f"lot {lot}: {sold_wh} Wh sold of {lots.get(lot, 0)} Wh")


def check_survival(records: Sequence[Record], acknowledged: Iterable[tuple[str, TradeKey]]) -> None:
    """After a restart: every trade that a buyer was told exists is on disk, ended or still open."""
    known = {(r.battery, (r.body["peer"], r.body["bid_id"])) for r in records if r.kind == Kind.CONFIRMED}
    for battery, key in acknowledged:
        if (battery, key) not in known:
            raise Breach("a confirmed trade survives any crash", f"bid {key[1]} of {key[0]} at {battery} is gone")


def check_end(
    records: Sequence[Record], sold_wh: Mapping[str, float], told: Counter[tuple[str, TradeKey, int]]
) -> None:
    """When everybody has gone quiet: every award ended, every trade too, and nothing was billed that did not flow.

    `sold_wh` is what left each battery less what its owner's house took (but for what nobody could meter), `told` the
    ends that buyers were told of.
    """
    for name, books in books_of(records).items():
        if books.awards:
            raise Breach("every Accept ends", f"{len(books.awards)} awards of {name} are neither trade nor void")
        if books.trades:
            raise Breach("every Accept ends", f"{len(books.trades)} trades of {name} have not ended")
        if books.take_over is not None:
            raise Breach("a battery is released when nobody buys", f"{name} is still taken over")
        if books.contradictions:
            raise Breach("the journal never contradicts itself", books.contradictions[0])
    ends: Counter[tuple[str, TradeKey, int]] = Counter()
    for record in records:
        if record.kind == Kind.DELIVERY_ENDED:
            body = record.body
            ends[record.battery, (body["peer"], body["bid_id"]), body["delivered_wh"]] += 1
    for name, flowed_wh in sold_wh.items():
        billed_wh = sum(wh * times for (battery, _, wh), times in ends.items() if battery == name)
        if billed_wh > flowed_wh + 1:
            raise Breach("payouts equal receipts", f"{name}: {billed_wh} Wh billed, {flowed_wh:.1f} Wh for buyers")
    for (name, (peer, bid_id), delivered_wh), times in (told - ends).items():
        what = f"bid {bid_id} of {peer} at {name} was told {delivered_wh} Wh, {times} x more often than it ended"
        raise Breach("what a buyer is told is on disk", what)


def usable(front: Storefront, device: Device) -> int:
    """Return what is really above the site's floor, in Wh at the battery's AC side."""
    above = device.model.soc - front.site.floor_permille / 1_000
    return int(max(0.0, above) * device.model.config.capacity_wh * front.site.efficiency_permille / 1_000)


def slack(device: Device) -> int:
    """Return what the agent cannot know yet: what has left since the last readings, and a permille of charge."""
    return int(device.flowed_wh(_FLOW_SLACK_MS) + device.model.config.capacity_wh / 1_000) + 1
