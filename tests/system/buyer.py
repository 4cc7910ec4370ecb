"""A buyer made of a bare socket: sends any bytes, reads frames, and knows what it has been told."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from etp.auth import NOBODY, sign_frame
from etp.frame import decode_frame, encode_frame, prefixed
from etp.messages import Body, MessageType, ReasonCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from etp.auth import Signer
    from etp.extensions import Extensions

TIMEOUT_S = 30.0
DEVICE_ID = 0xB0B
_UNASKED = {MessageType.QUERY_RESPONSE, MessageType.REGISTER, MessageType.BESS_STATUS, MessageType.TERMINATE}


class Said(NamedTuple):
    """One frame the battery sent."""

    body: Body
    extensions: Extensions

    @property
    def kind(self) -> int:
        return self.body.message_type

    @property
    def code(self) -> int:
        return self.body.termination_code


class Buyer:
    """One connection to a battery."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, signer: Signer | None) -> None:
        self._reader = reader
        self._writer = writer
        self._signer = signer
        self._battery_key = NOBODY
        self._last_id = 0
        self.unread: list[Said] = []

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def frame(self, body: Body, *, timestamp_ms: int | None = None) -> bytes:
        """Return a frame as this buyer would send it: signed if it has a key."""
        frame = encode_frame(body)
        if self._signer is not None:
            at_ms = time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
            frame = sign_frame(frame, signer=self._signer, peer=self._battery_key, timestamp_ms=at_ms)
        return prefixed(frame)

    async def send(self, *what: Body | bytes) -> None:
        """Send bodies (framed, signed) and bytes (as they are) in one write."""
        self._writer.write(b"".join(each if isinstance(each, bytes) else self.frame(each) for each in what))
        await self._writer.drain()

    async def introduce(self) -> None:
        """Exchange signed Registers."""
        await self.send(Body.register(self.next_id(), DEVICE_ID))
        answer = await self.until(MessageType.REGISTER)
        assert answer.extensions.auth is not None
        self._battery_key = answer.extensions.auth.signer

    async def next(self, timeout_s: float = TIMEOUT_S) -> Said:
        """Return the next frame, whatever it is."""
        if self.unread:
            return self.unread.pop(0)
        return await self._read(timeout_s)

    async def until(self, kind: int, message_id: int | None = None, timeout_s: float = TIMEOUT_S) -> Said:
        """Return the next frame of a type (and id); others stay to be read."""
        for index, said in enumerate(self.unread):
            if said.kind == kind and message_id in (None, said.body.message_id):
                return self.unread.pop(index)
        async with asyncio.timeout(timeout_s):
            while True:
                said = await self._read(timeout_s)
                if said.kind == kind and message_id in (None, said.body.message_id):
                    return said
                self.unread.append(said)

    async def answers(self, *what: Body | bytes) -> list[Said]:
        """Send, and return what the battery has to say to it; pushes, status and ends of earlier trades are left out.

        Two Queries one after the other mark the end: whatever the first wake-up had to say has left by then.
        """
        await self.send(*what)
        for _ in range(2):
            await self.ask()
        said = [each for each in self.unread if each.kind not in _UNASKED]
        self.unread = [each for each in self.unread if each.kind in _UNASKED]
        return said

    async def ask(self, energy_wh: int = 0) -> Body:
        """Query, and return the answer."""
        query = Body.query(self.next_id(), DEVICE_ID, energy_wh=energy_wh)
        await self.send(query)
        return (await self.until(MessageType.QUERY_RESPONSE, query.message_id)).body

    async def bid(self, price_c: float, kwh: float, message_id: int | None = None) -> Said:
        """Bid and return the answer: Accept or Reject."""
        bid = bid_body(self.next_id() if message_id is None else message_id, price_c, kwh)
        await self.send(bid)
        return await self.verdict(bid.message_id)

    async def verdict(self, bid_id: int, timeout_s: float = TIMEOUT_S) -> Said:
        """Return the Accept or Reject of a bid."""
        async with asyncio.timeout(timeout_s):
            while True:
                for index, said in enumerate(self.unread):
                    if said.body.message_id == bid_id and said.kind in {MessageType.BID_ACCEPT, MessageType.BID_REJECT}:
                        return self.unread.pop(index)
                self.unread.append(await self._read(timeout_s))

    async def confirm(self, accept: Body) -> Said:
        """Confirm an Accept and return what comes: BESSStatus or Reject."""
        await self.send(confirm_of(accept))
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                said = await self.next()
                if said.body.message_id == accept.message_id:
                    return said

    async def closed(self, timeout_s: float = TIMEOUT_S) -> list[Said]:
        """Wait until the battery closes the connection; return what it said before."""
        said, self.unread = self.unread, []
        try:
            while True:
                said.append(await self._read(timeout_s))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return said

    async def leave(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return

    async def _read(self, timeout_s: float) -> Said:
        async with asyncio.timeout(timeout_s):
            size = int.from_bytes(await self._reader.readexactly(4), "little")
            return Said(*decode_frame(await self._reader.readexactly(size)))


@asynccontextmanager
async def buyer(endpoint: tuple[str, int], signer: Signer | None = None) -> AsyncIterator[Buyer]:
    """Connect; a buyer with a key introduces itself."""
    made = Buyer(*await asyncio.open_connection(*endpoint), signer)
    try:
        if signer is not None:
            await made.introduce()
        yield made
    finally:
        await made.leave()


async def trades_fairly(endpoint: tuple[str, int], signer: Signer | None = None) -> None:
    """Prove that a well-behaved buyer is served: it wins, confirms, gets its delivery and stops it."""
    async with buyer(endpoint, signer) as fair:
        offer = await fair.ask()
        assert offer.termination_code == 0, offer
        accept = await fair.bid(max(60.0, offer.sale_price + 1.0), 0.1)
        assert accept.kind == MessageType.BID_ACCEPT, accept
        acknowledged = await fair.confirm(accept.body)
        assert acknowledged.kind == MessageType.BESS_STATUS, acknowledged
        await fair.send(Body.terminate(accept.body.message_id, DEVICE_ID, code=0, delivered_wh=0))
        ended = await fair.until(MessageType.TERMINATE, accept.body.message_id, timeout_s=40)
        # a stop by the buyer leaves energy undelivered: "not enough", unless all of it was there already
        assert ended.code in {ReasonCode.NONE, ReasonCode.NOT_ENOUGH_ENERGY}, ended


def bid_body(message_id: int, price_c: float, kwh: float) -> Body:
    """Return a Bid with any numbers, also those that no constructor would build."""
    return Body(MessageType.BID, message_id, DEVICE_ID, bid_price=price_c, required_energy_amount=kwh)


def confirm_of(accept: Body, *, price_c: float | None = None, kwh: float | None = None) -> Body:
    """Return the Confirm of an Accept, or one with another price or quantity."""
    return Body(
        MessageType.BID_CONFIRM,
        accept.message_id,
        DEVICE_ID,
        sale_price=accept.sale_price if price_c is None else price_c,
        required_energy_amount=accept.required_energy_amount if kwh is None else kwh,
    )
