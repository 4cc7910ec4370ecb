"""Where buyers reach a battery: its TCP server, and the UDP socket of the same number that answers and announces.

Without multicast a battery is still served to buyers that know its endpoint; that is told, not fatal.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.logs import Repeated, get_logger
from etp.io import (
    BatteryAnnouncer,
    EtpServer,
    ListenError,
    MulticastSettings,
    MulticastUnavailable,
    open_service_sockets,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config_values import NetworkSite
    from etp.auth import AuthPolicy
    from etp.discovery import Endpoint
    from etp.io import ConnectionMaker, Crowd, LinkHandler, PollClock
    from etp.messages import Body

JOIN_AGAIN_S: Final = 30.0
_log = get_logger("agent")


class Doors:
    """One battery's doors; `open` binds them, `close` gives them back."""

    def __init__(
        self,
        name: str,
        *,
        handler: LinkHandler,
        maker: ConnectionMaker,
        clock: PollClock,
        answer: Callable[[Body, Endpoint], Body | None],
        crowd: Crowd | None = None,
    ) -> None:
        """`crowd` counts the connections of all doors of a gateway together; None = these doors alone."""
        self.port = 0
        self._name = name
        self._maker = maker
        self._answer = answer
        self._server = EtpServer(handler=handler, maker=maker, clock=clock, crowd=crowd)
        self._announcer: BatteryAnnouncer | None = None
        self._wants_group = False
        self._speaks: AuthPolicy | None = maker.policy

    async def open(self, network: NetworkSite, port: int, *, datagrams: bool) -> None:
        """Listen; `datagrams` False where there is no UDP. Raises ListenError."""
        if not datagrams:
            self.port = await self._server.start(network.listen, port)
            return
        try:
            sockets = open_service_sockets(network.listen, port, group_port=network.group_port)
        except OSError as error:
            raise ListenError(
                f"battery {self._name}: cannot listen on {network.listen} port {port}: {error.strerror or error}; "
                "end what uses the port, or give the battery another one (port = 0: any)"
            ) from error
        self.port = await self._server.start(sock=sockets.tcp)
        self._announcer = BatteryAnnouncer(
            device_id=self._maker.device_id,
            policy=self._speaks,
            wall_ms=self._maker.wall_ms,
            answer=self._answer,
            settings=MulticastSettings(
                group=network.group,
                port=network.group_port or self.port,
                interface=network.interface,
                ttl=network.ttl,
            ),
        )
        await self._announcer.start(sockets.udp)
        self._wants_group = network.multicast

    async def announce(self) -> None:
        """Join the multicast group, again and again until the network has it."""
        trouble = Repeated(_log, "multicast is not available: buyers need this battery's endpoint in their files")
        while self._announcer is not None and self._wants_group:
            try:
                await self._announcer.join()
            except MulticastUnavailable as error:
                trouble.failed(battery=self._name, reason=str(error))
                await asyncio.sleep(JOIN_AGAIN_S)
            else:
                trouble.recovered(battery=self._name)
                return

    def admit(self, policy: AuthPolicy, *, announce: bool) -> None:
        """Judge new connections by this policy; signed conversations under another one end.

        Without `announce` the group hears nothing: what would be signed now could not be trusted.
        """
        self._speaks = policy if announce else None
        if self._announcer is not None and self._announcer.policy != self._speaks:
            self._announcer.policy = self._speaks
        if policy == self._maker.policy:
            return
        self._maker.policy = policy
        for link in self._server.links:
            if link.signer is not None or policy.peers == "signed":
                link.close("who may trade has changed: connect again")

    def changed(self) -> None:
        """What the battery offers has changed: announce it soon."""
        if self._announcer is not None:
            self._announcer.changed()

    def multicast(self, body: Body) -> None:
        """Tell the group."""
        if self._announcer is not None:
            self._announcer.multicast(body)

    async def close(self, reason: str) -> None:
        """End every conversation and give the ports back."""
        if self._announcer is not None:
            self._announcer.close()
        await self._server.close(reason)
