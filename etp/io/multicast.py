"""Discovery over UDP: a battery that announces itself and answers, an aggregator that asks and listens (ETP section 4).

One datagram is one frame. A battery speaks from its service port only, so its datagrams' source is where it trades.
Its answers are never longer than the Query and bounded in number, for each host and altogether. What the datagrams mean
to an aggregator is decided with `etp.discovery.Directory`; here they are only checked, counted and passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from etp.auth import NOBODY, AuthPolicy, check_frame, sign_frame
from etp.discovery import Announcements, Budget, DiscoveryRules, Endpoint
from etp.errors import AuthError
from etp.frame import encode_frame
from etp.io.datagrams import DatagramPost
from etp.io.group import MulticastSettings, MulticastUnavailable, aim, ignore_other_groups, open_asker, open_listener
from etp.messages import BODY_BYTES, FIRST_BATTERY_ID, Body, MessageType

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from etp.extensions import Extensions

_HEARD: Final = frozenset({MessageType.REGISTER, MessageType.QUERY_RESPONSE, MessageType.DEVICE_FAILURE})


class BatteryAnnouncer(DatagramPost):
    """The battery's UDP side: `start` answers Queries on the service port, `join` adds the group.

    `answer` returns the QueryResponse for a Query (its `message_id` repeated), or None for silence. Without a `policy`
    it says nothing by itself: that is for signed sites whose time of day cannot be trusted, where every Register and
    DeviceFailure would be unsigned or wrongly dated.
    """

    def __init__(
        self,
        *,
        device_id: int,
        policy: AuthPolicy | None,
        wall_ms: Callable[[], int],
        answer: Callable[[Body, Endpoint], Body | None],
        settings: MulticastSettings | None = None,
        rules: DiscoveryRules | None = None,
    ) -> None:
        rules = rules or DiscoveryRules()
        budget = Budget(
            (rules.answers_per_s, rules.answers_burst), (rules.answers_per_host_per_s, rules.answers_per_host_burst), 0
        )
        super().__init__(wall_ms, budget)
        self._policy = policy
        self._device_id = device_id
        self._answer = answer
        self._settings = settings or MulticastSettings()
        self._rules = rules
        self._service: asyncio.DatagramTransport | None = None
        self._sock: socket.socket | None = None
        self._announcements: Announcements | None = None
        self._next_id = FIRST_BATTERY_ID

    @property
    def policy(self) -> AuthPolicy | None:
        """By which rules it announces the battery; None = it does not. Setting it announces what can be again."""
        return self._policy

    @policy.setter
    def policy(self, policy: AuthPolicy | None) -> None:
        is_news = policy is not None and policy != self._policy
        self._policy = policy
        if is_news:
            self.changed()

    async def start(self, sock: socket.socket) -> None:
        """Answer on a bound UDP socket with the TCP server's port number; the socket is ours from here on."""
        ignore_other_groups(sock)
        self._sock = sock
        self._service = await self._open(sock)

    async def join(self) -> None:
        """Hear the group and announce the battery to it, at once and from now on.

        Raises MulticastUnavailable; unicast Queries are answered all the same, and `join` may be tried again.
        """
        if self._sock is None:
            raise RuntimeError("start comes first")
        if self._announcements is not None:
            return
        listen = str(self._sock.getsockname()[0])
        aim(self._sock, self._settings, listen)
        await self._open(open_listener(self._settings, listen))
        self._announcements = Announcements(self._rules, self._now_ms())
        self._announce()

    def changed(self) -> None:
        """Announce the battery soon: what it offers has changed."""
        if self._announcements is not None:
            self._announcements.changed(self._now_ms())
            self._later(self._announcements.due_ms, self._announce)

    def multicast(self, body: Body) -> None:
        """Send a frame to the group, signed where the site's policy is; nothing before `join` or without a policy."""
        policy = self._policy
        if self._announcements is None or self._service is None or policy is None:
            return
        frame = encode_frame(body)
        if policy.peers == "signed" and policy.signer is not None:
            frame = sign_frame(frame, signer=policy.signer, peer=NOBODY, timestamp_ms=self._wall_ms())
        self._send(self._service, frame, self._settings.group, self._settings.port)

    def close(self) -> None:
        """Leave the group and give the port back."""
        super().close()
        self._service = self._sock = self._announcements = None

    def _announce(self) -> None:
        if self._announcements is None:
            return
        self.multicast(Body.register(self._next_id, self._device_id))
        self._next_id += 1
        self._announcements.sent(self._now_ms())
        self._later(self._announcements.due_ms, self._announce)

    def _take(self, body: Body, _extensions: Extensions, _data: bytes, source: Endpoint) -> bool:
        if body.message_type != MessageType.QUERY:
            return False
        answer = self._answer(body, source)
        if answer is not None and self._service is not None:
            self._send(self._service, encode_frame(answer), *source)
        return True


class FinderListener(Protocol):
    """What a finder tells the aggregator; source and signer are checked, the rest is for `Directory` to judge."""

    def heard(self, host: str, port: int, device_id: int, signer: bytes | None) -> object:
        """A battery spoke from its trading endpoint; `signer` is the key whose signature held, None without one."""

    def failed(self, host: str, port: int, body: Body, signer: bytes | None) -> object:
        """A battery multicast a DeviceFailure."""


class Finder(DatagramPost):
    """The aggregator's UDP side: asks the group, and passes on who answers and who announces himself."""

    def __init__(
        self,
        *,
        device_id: int,
        policy: AuthPolicy,
        wall_ms: Callable[[], int],
        listener: FinderListener,
        settings: MulticastSettings | None = None,
        rules: DiscoveryRules | None = None,
        listen: str = "",
    ) -> None:
        rules = rules or DiscoveryRules()
        budget = Budget(
            (rules.heard_per_s, rules.heard_burst), (rules.heard_per_host_per_s, rules.heard_per_host_burst), 0
        )
        super().__init__(wall_ms, budget)
        self._policy = policy
        self._device_id = device_id
        self._listener = listener
        self._settings = settings or MulticastSettings()
        self._rules = rules
        self._listen = listen
        self._asker: asyncio.DatagramTransport | None = None
        self._next_id = 1

    async def start(self) -> None:
        """Hear the group and ask it, at once and from now on. Raises MulticastUnavailable; it may be tried again."""
        if self._asker is not None:
            return
        asker = open_asker(self._settings, self._listen)
        try:
            listener = open_listener(self._settings, self._listen)
        except MulticastUnavailable:
            asker.close()
            raise
        await self._open(listener)
        self._asker = await self._open(asker)
        self._ask_again()

    def ask(self) -> None:
        """Multicast a Query for the whole lot."""
        if self._asker is not None:
            query = Body.query(self._next_id, self._device_id)
            self._next_id += 1
            self._send(self._asker, encode_frame(query), self._settings.group, self._settings.port)

    def close(self) -> None:
        """Leave the group."""
        super().close()
        self._asker = None

    def _ask_again(self) -> None:
        self.ask()
        self._later(self._now_ms() + self._rules.query_every_ms, self._ask_again)

    def _take(self, body: Body, extensions: Extensions, data: bytes, source: Endpoint) -> bool:
        if body.message_type not in _HEARD:
            return False
        try:
            signer = self._signer_of(body, extensions, data)
        except AuthError:
            self.counts.untrusted += 1
            return True
        if body.message_type == MessageType.DEVICE_FAILURE:
            self._listener.failed(*source, body, signer)
        else:
            self._listener.heard(*source, body.device_id, signer)
        return True

    def _signer_of(self, body: Body, extensions: Extensions, data: bytes) -> bytes | None:
        """Return who signed a frame, None for one that needs no signature. Raises AuthError."""
        if body.message_type == MessageType.QUERY_RESPONSE:
            return None
        auth, policy = extensions.auth, self._policy
        if auth is None:
            if policy.peers == "signed":
                raise AuthError("every frame but Query and QueryResponse needs Auth")
            return None
        if not policy.trusts(auth.signer):
            raise AuthError("this key is not trusted here")
        return check_frame(
            data[:BODY_BYTES],
            auth,
            extensions.rest,
            peers=(NOBODY,),
            wall_ms=self._wall_ms(),
            max_skew_ms=policy.max_skew_ms,
        )
