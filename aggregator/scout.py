"""Finds batteries and keeps the pool to those that live: the directory of `etp.discovery` with hands.

A datagram only makes an endpoint worth dialling; what the connection then says is the proof. Whoever hears datagrams
(`etp.io.multicast.Finder`) checks source and signature and tells `heard`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aggregator.config import is_loopback
from etp.discovery import Directory, DiscoveryRules, Endpoint, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aggregator.pool import Pool
    from aggregator.slot import Slot
    from etp.messages import Body

SWEEP_S: Final = 10.0
"""How often silent batteries are looked for; they are silent for three minutes by then."""


class Scout:
    """Feeds a pool with endpoints. `everywhere` = also those beyond this machine."""

    def __init__(
        self, *, static: Iterable[Endpoint] = (), everywhere: bool = False, rules: DiscoveryRules | None = None
    ) -> None:
        self.directory = Directory(rules, static=static)
        self._everywhere = everywhere
        self._pool: Pool | None = None

    def serve(self, pool: Pool) -> None:
        """Dial the endpoints that are known, and from now on those that are found."""
        self._pool = pool
        self._dial()

    def heard(self, host: str, port: int, device_id: int, signer: bytes | None) -> None:
        """Take in a datagram from an endpoint; a new one is dialled."""
        if self._pool is None or not (self._everywhere or is_loopback(host)):
            return
        endpoint = Endpoint(host, port)
        if self.directory.saw(endpoint, device_id, signer, self._now_ms()) is Seen.NEW:
            self._pool.add(endpoint)

    def failed(self, host: str, port: int, body: Body, signer: bytes | None) -> None:
        """Do nothing: a battery that fails says so on its connection too."""

    def registered(self, slot: Slot, device_id: int, signer: bytes | None) -> None:
        """Note the proof of an endpoint; leave those that the same battery traded at before."""
        for left in self.directory.registered(slot.endpoint, device_id, signer, self._now_ms()):
            if self._pool is not None:
                self._pool.retire(left, slot)

    def alive(self, endpoint: Endpoint) -> None:
        """Note that an endpoint has said something."""
        self.directory.alive(endpoint, self._now_ms())

    def unreachable(self, endpoint: Endpoint) -> None:
        """Note that an endpoint could not be dialled: one that was only heard of is dropped."""
        self.directory.refused(endpoint, self._now_ms())

    async def sweep(self) -> None:
        """Forget the batteries that are silent, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.forget()

    def forget(self) -> None:
        """Let go of every battery that is no longer listed and has neither connection nor trades; dial the others."""
        self.directory.expire(self._now_ms())
        if self._pool is None:
            return
        for slot in self._pool:
            if self.directory.get(slot.endpoint) is None or slot.retired:
                self._pool.remove(slot.endpoint)
        self._dial()

    def _dial(self) -> None:
        for listing in self.directory:
            if self._pool is not None:
                self._pool.add(listing.endpoint)

    def _now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000)
