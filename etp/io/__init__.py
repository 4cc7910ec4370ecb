"""The asyncio shells of ETP: TCP server and client, multicast, and the clock of causes.

Lives here: whatever touches a transport, a socket or a timer of the protocol. Never here: a rule about what a message
means (that is `etp.connection`, `etp.discovery` or the handler), a wall clock, a task per connection or per frame.
`agent`, `aggregator` and `simulation` import it; nothing else of `etp` does. Everything runs on asyncio, on uvloop and
on a virtual-time loop with transports of its own; TLS is done above the transport, so it runs there too.

LinkHandler   what the owner of a server or client implements
Link          one TCP conversation; `send`, `flush`, `close`
EtpServer     accepts links within the limits of `etp.limits`
Crowd         the count of open links that several servers share
connect       opens one
PollClock     the loop's milliseconds, and since when bytes could have been read
"""

from etp.io.client import ConnectError, connect
from etp.io.crowd import Crowd
from etp.io.datagrams import DatagramCounts
from etp.io.group import MulticastSettings, MulticastUnavailable
from etp.io.handler import LinkHandler
from etp.io.link import Link
from etp.io.maker import ConnectionMaker
from etp.io.multicast import BatteryAnnouncer, Finder, FinderListener
from etp.io.pollclock import PollClock
from etp.io.server import EtpServer, ListenError
from etp.io.sockets import ServiceSockets, open_service_sockets

__all__ = [
    "BatteryAnnouncer",
    "ConnectError",
    "ConnectionMaker",
    "Crowd",
    "DatagramCounts",
    "EtpServer",
    "Finder",
    "FinderListener",
    "Link",
    "LinkHandler",
    "ListenError",
    "MulticastSettings",
    "MulticastUnavailable",
    "PollClock",
    "ServiceSockets",
    "connect",
    "open_service_sockets",
]
