"""The ETP message body: 14 fields, 84 bytes, little-endian, no padding (ETP section 1).

`Body` is a named tuple, so that one `struct` call makes one value and nothing is allocated per field. Its fields are
the wire's own units; the named constructors take the product's integers (`price_e4`, `energy_wh`, `power_w`).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from math import isfinite
from typing import Final, NamedTuple

from etp.errors import BodyError
from etp.units import (
    energy_from_wire,
    energy_to_wire,
    power_from_wire,
    power_to_wire,
    price_from_wire,
    price_to_wire,
)

BODY_BYTES: Final = 84
FIRST_BATTERY_ID: Final = 1 << 63
TTL_AT_BIRTH: Final = 5
_BODY: Final = struct.Struct("<BQQBdddddBdBdd")
_MAX: Final = 1.7976931348623157e308


class MessageType(IntEnum):
    """The ten message types (ETP section 3)."""

    REGISTER = 0
    QUERY = 1
    QUERY_RESPONSE = 2
    BID = 3
    BID_ACCEPT = 4
    BID_CONFIRM = 5
    BID_REJECT = 6
    TERMINATE = 7
    DEVICE_FAILURE = 8
    BESS_STATUS = 9


class ReasonCode(IntEnum):
    """Why something was refused or ended: the termination_code field (ETP section 5)."""

    NONE = 0
    PRICE_TOO_LOW = 1
    NOT_ENOUGH_ENERGY = 2
    OFFLINE = 3
    OUTBID = 4
    TOO_LATE = 5
    NOT_TRUSTED = 6
    BUSY = 7
    COVER_TOO_SMALL = 8
    MALFORMED = 9
    NOT_CONFIRMED = 10
    FAULT = 11
    WITHDRAWN = 12
    DUPLICATE_ID = 13
    NO_LOT = 14
    DISPUTED = 15


class Health(IntEnum):
    """Battery health status code (ETP section 1, field 12)."""

    EXCELLENT = 0
    GOOD = 1
    FAIR = 2
    POOR = 3


class Body(NamedTuple):
    """One message body in wire units; `decode` refuses what section 1 refuses, constructors cannot build it."""

    message_type: int
    message_id: int
    device_id: int
    ttl: int = TTL_AT_BIRTH
    bid_price: float = 0.0
    sale_price: float = 0.0
    energy_total: float = 0.0
    percentage_for_sale: float = 0.0
    required_energy_amount: float = 0.0
    termination_code: int = 0
    remaining_battery_energy: float = 0.0
    battery_health_status_code: int = 0
    battery_voltage: float = 0.0
    discharge_rate: float = 0.0

    def encode(self) -> bytes:
        """Return the 84 bytes of this body."""
        return _BODY.pack(*self)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview, offset: int = 0) -> Body:
        """Return the body in `data[offset:offset + 84]`.

        Raises BodyError on an unknown type, NaN or infinity, a negative price, energy, percentage, voltage or rate, a
        percentage above 100, or fewer than 84 bytes. A ttl of 0 is expired, not malformed: it is the caller's to drop.
        """
        try:
            body = cls._make(_BODY.unpack_from(data, offset))
        except struct.error:
            raise BodyError("body", f"{len(data) - offset} bytes, need {BODY_BYTES}") from None
        if (
            body[0] <= 9
            and 0.0 <= body[4] <= _MAX
            and 0.0 <= body[5] <= _MAX
            and 0.0 <= body[6] <= _MAX
            and 0.0 <= body[7] <= 100.0
            and 0.0 <= body[8] <= _MAX
            and 0.0 <= body[10] <= _MAX
            and 0.0 <= body[12] <= _MAX
            and 0.0 <= body[13] <= _MAX
        ):
            return body
        raise _fault_of(body)

    @property
    def bid_price_e4(self) -> int:
        """The bid price in 1/10 000 c/kWh."""
        return price_from_wire(self.bid_price)

    @property
    def sale_price_e4(self) -> int:
        """The sale price, or the price to beat, in 1/10 000 c/kWh."""
        return price_from_wire(self.sale_price)

    @property
    def energy_wh(self) -> int:
        """The required (lot, agreed or delivered) energy in Wh."""
        return energy_from_wire(self.required_energy_amount)

    @property
    def power_w(self) -> int:
        """The discharge rate as product power in W: zero or negative."""
        return power_from_wire(self.discharge_rate)

    @classmethod
    def register(cls, message_id: int, device_id: int) -> Body:
        """Announce a device to a group, or to a peer that shall push to it."""
        return cls(MessageType.REGISTER, message_id, device_id)

    @classmethod
    def query(cls, message_id: int, device_id: int, *, energy_wh: int = 0) -> Body:
        """Ask for the offer and the price to beat for `energy_wh` (0 = the whole lot)."""
        return cls(MessageType.QUERY, message_id, device_id, required_energy_amount=energy_to_wire(energy_wh))

    @classmethod
    def query_response(
        cls,
        message_id: int,
        device_id: int,
        *,
        beat_e4: int,
        own_e4: int = 0,
        usable_wh: int = 0,
        lot_wh: int = 0,
        lot_power_w: int = 0,
        remaining_wh: int = 0,
        voltage_mv: int = 0,
        health: int = Health.EXCELLENT,
        code: int = ReasonCode.NONE,
    ) -> Body:
        """Offer a lot: price to beat, the receiver's own standing price, lot energy and power (`lot_power_w` <= 0)."""
        percentage = min(100.0, 100.0 * lot_wh / usable_wh) if usable_wh > 0 else 0.0
        return cls(
            MessageType.QUERY_RESPONSE,
            message_id,
            device_id,
            TTL_AT_BIRTH,
            price_to_wire(own_e4),
            price_to_wire(beat_e4),
            energy_to_wire(usable_wh),
            percentage,
            energy_to_wire(lot_wh),
            code,
            energy_to_wire(remaining_wh),
            health,
            voltage_mv / 1_000,
            power_to_wire(lot_power_w),
        )

    @classmethod
    def bid(cls, message_id: int, device_id: int, *, price_e4: int, energy_wh: int) -> Body:
        """Bid a price for a quantity. Raises BodyError when the id is one that only batteries use."""
        if message_id >= FIRST_BATTERY_ID:
            raise BodyError("message_id", "bids use ids below 2^63")
        return cls(
            MessageType.BID,
            message_id,
            device_id,
            bid_price=price_to_wire(price_e4),
            required_energy_amount=energy_to_wire(energy_wh),
        )

    @classmethod
    def bid_accept(cls, bid_id: int, device_id: int, *, price_e4: int, energy_wh: int, power_w: int) -> Body:
        """Award a bid: the agreed price and quantity, and the power granted (`power_w` <= 0)."""
        return cls(
            MessageType.BID_ACCEPT,
            bid_id,
            device_id,
            sale_price=price_to_wire(price_e4),
            required_energy_amount=energy_to_wire(energy_wh),
            discharge_rate=power_to_wire(power_w),
        )

    @classmethod
    def bid_confirm(cls, bid_id: int, device_id: int, *, price_e4: int, energy_wh: int) -> Body:
        """Confirm an award: repeats its price and quantity."""
        return cls(
            MessageType.BID_CONFIRM,
            bid_id,
            device_id,
            sale_price=price_to_wire(price_e4),
            required_energy_amount=energy_to_wire(energy_wh),
        )

    @classmethod
    def bid_reject(cls, bid_id: int, device_id: int, *, code: int, beat_e4: int) -> Body:
        """Refuse a bid or a confirm, with the reason and the price to beat."""
        return cls(MessageType.BID_REJECT, bid_id, device_id, sale_price=price_to_wire(beat_e4), termination_code=code)

    @classmethod
    def terminate(cls, trade_id: int, device_id: int, *, code: int, delivered_wh: int) -> Body:
        """End a trade: the reason (0 = all of it) and the energy delivered."""
        return cls(
            MessageType.TERMINATE,
            trade_id,
            device_id,
            required_energy_amount=energy_to_wire(delivered_wh),
            termination_code=code,
        )

    @classmethod
    def device_failure(cls, message_id: int, device_id: int, *, code: int = ReasonCode.FAULT) -> Body:
        """Tell every peer that this battery cannot be used."""
        return cls(MessageType.DEVICE_FAILURE, message_id, device_id, termination_code=code)

    @classmethod
    def bess_status(
        cls,
        message_id: int,
        device_id: int,
        *,
        delivered_wh: int = 0,
        remaining_wh: int = 0,
        health: int = Health.EXCELLENT,
        voltage_mv: int = 0,
        power_w: int = 0,
        code: int = ReasonCode.NONE,
    ) -> Body:
        """Report the battery; with a bid's id also acknowledge its Confirm and report the energy delivered so far."""
        return cls(
            MessageType.BESS_STATUS,
            message_id,
            device_id,
            required_energy_amount=energy_to_wire(delivered_wh),
            termination_code=code,
            remaining_battery_energy=energy_to_wire(remaining_wh),
            battery_health_status_code=health,
            battery_voltage=voltage_mv / 1_000,
            discharge_rate=power_to_wire(power_w),
        )


def _fault_of(body: Body) -> BodyError:
    """Name the first field of a refused body that is at fault."""
    if body.message_type > MessageType.BESS_STATUS:
        return BodyError("message_type", f"unknown type {body.message_type}")
    for name in Body._fields:
        value = getattr(body, name)
        if not isinstance(value, float):
            continue
        if not isfinite(value):
            return BodyError(name, "not a finite number")
        if value < 0:
            return BodyError(name, "negative")
    return BodyError("percentage_for_sale", f"{body.percentage_for_sale} is above 100")
