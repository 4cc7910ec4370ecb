"""What an aggregator believes about batteries it heard of, and how much a battery says to strangers (ETP section 4).

A datagram's source address is the trading endpoint; nothing inside a message names one. Source addresses can be
forged and a signed Register can be replayed from elsewhere, so hearing of a battery only makes its endpoint worth
dialling. A Register on the TCP connection is the proof, and from then on:

- datagrams that contradict a proven endpoint are ignored;
- a signed battery moves only when its new endpoint has proven the key;
- an endpoint the operator configured is never forgotten, and a battery proven there never moves.

Endpoints that were only heard of make room for newer ones when the table is full; proven ones never do.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUP_V4: Final = "239.192.84.14"
GROUP_V6: Final = "ff18::8414"
DEFAULT_PORT: Final = 4084
DEFAULT_TTL: Final = 5


class Endpoint(NamedTuple):
    """Where a battery trades: its TCP server, and the source of its datagrams."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryRules:
    """Intervals and bounds of discovery; rates are datagrams a second, 0 = no bound."""

    register_every_ms: int = 60_000  # section 4
    missed: int = 3  # Registers an aggregator may miss before it forgets a battery (section 4)
    change_gap_ms: int = 1_000  # a value that flickers must not flood the group
    query_every_ms: int = 10_000  # finds soon what a lost datagram hid
    batteries: int = 1_024
    per_host: int = 256  # a gateway holds 32, a laboratory machine more
    claims: int = 4  # unproven endpoints per key: replays must not crowd out a real move
    new_per_s: int = 50  # each new endpoint is dialled: bounds the connections a forger can direct
    new_burst: int = 256
    refused_ms: int = 15_000  # an endpoint that failed to prove its key waits this long
    answers_per_s: int = 100  # answers are no longer than their Query, so this bounds what a forger can direct
    answers_burst: int = 200
    answers_per_host_per_s: int = 10
    answers_per_host_burst: int = 64
    heard_per_s: int = 1_000  # a signature check takes about 0.1 ms
    heard_burst: int = 2_000
    heard_per_host_per_s: int = 200
    heard_per_host_burst: int = 400


class Bucket:
    """A rate with a burst: `take` says whether one more may pass at `now_ms`."""

    __slots__ = ("_at_ms", "_full", "_level", "_per_s")

    def __init__(self, per_s: int, burst: int, now_ms: int) -> None:
        self._per_s = per_s
        self._full = max(burst, 1) * 1_000
        self._level = self._full  # thousandths: one millisecond at one per second
        self._at_ms = now_ms

    def take(self, now_ms: int) -> bool:
        """Take one if there is one."""
        if not self._per_s:
            return True
        self._level = min(self._full, self._level + (now_ms - self._at_ms) * self._per_s)
        self._at_ms = now_ms
        if self._level < 1_000:
            return False
        self._level -= 1_000
        return True


class Budget:
    """How many datagrams may be dealt with: for each host, and for all of them together."""

    HOSTS: Final = 256  # the host seen longest ago makes room; the total still bounds everybody

    def __init__(self, total: tuple[int, int], host: tuple[int, int], now_ms: int) -> None:
        self._total = Bucket(*total, now_ms)
        self._host = host
        self._hosts: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, host: str, now_ms: int) -> bool:
        """Take one for a host, if it and all together have one left."""
        bucket = self._hosts.get(host)
        if bucket is None:
            if len(self._hosts) >= self.HOSTS:
                self._hosts.popitem(last=False)
            bucket = self._hosts[host] = Bucket(*self._host, now_ms)
        self._hosts.move_to_end(host)
        return bucket.take(now_ms) and self._total.take(now_ms)


class Announcements:
    """When a battery multicasts its Register: at once, every interval, and soon after a change."""

    def __init__(self, rules: DiscoveryRules, now_ms: int) -> None:
        self._rules = rules
        self._earliest_ms = now_ms
        self.due_ms = now_ms

    def changed(self, now_ms: int) -> None:
        """Note a change worth announcing."""
        self.due_ms = min(self.due_ms, max(now_ms, self._earliest_ms))

    def sent(self, now_ms: int) -> None:
        """Note that a Register left."""
        self._earliest_ms = now_ms + self._rules.change_gap_ms
        self.due_ms = now_ms + self._rules.register_every_ms


class Seen(Enum):
    """What hearing of an endpoint means for the aggregator."""

    NEW = "new"  # worth dialling
    KNOWN = "known"
    IGNORED = "ignored"  # contradicts something proven, or failed a short while ago
    FULL = "full"  # too many, or too many at once: it will be heard of again


class Listing(NamedTuple):
    """One endpoint in the directory."""

    endpoint: Endpoint
    device_id: int  # 0 until heard of; a label, never an identity
    signer: bytes | None  # claimed until `proven`
    proven: bool  # a Register came on its TCP connection
    static: bool
    seen_ms: int


class Directory:
    """The aggregator's table of batteries; pure, every call is given the time."""

    def __init__(self, rules: DiscoveryRules | None = None, *, static: Iterable[Endpoint] = ()) -> None:
        self._rules = rules or DiscoveryRules()
        self._listings: OrderedDict[Endpoint, Listing] = OrderedDict(
            (endpoint, Listing(endpoint, 0, None, proven=False, static=True, seen_ms=0)) for endpoint in static
        )
        self._refused: OrderedDict[Endpoint, int] = OrderedDict()
        self._new = Bucket(self._rules.new_per_s, self._rules.new_burst, 0)

    def __len__(self) -> int:
        return len(self._listings)

    def __iter__(self) -> Iterator[Listing]:
        return iter(tuple(self._listings.values()))

    def get(self, endpoint: Endpoint) -> Listing | None:
        """Return what is known of an endpoint."""
        return self._listings.get(endpoint)

    def home(self, signer: bytes) -> Listing | None:
        """Return where a key has been proven last."""
        for listing in self._listings.values():
            if listing.proven and listing.signer == signer:
                return listing
        return None

    def saw(self, endpoint: Endpoint, device_id: int, signer: bytes | None, now_ms: int) -> Seen:
        """Take in a datagram from an endpoint; `signer` is the key its valid signature belongs to, None without one."""
        known = self._listings.get(endpoint)
        if known is not None:
            return self._heard_again(known, device_id, signer, now_ms)
        if self._refused.get(endpoint, now_ms) > now_ms or self._contradicts(signer):
            return Seen.IGNORED
        if not self._new.take(now_ms) or not self._make_room(endpoint.host):
            return Seen.FULL
        self._listings[endpoint] = Listing(endpoint, device_id, signer, proven=False, static=False, seen_ms=now_ms)
        return Seen.NEW

    def registered(self, endpoint: Endpoint, device_id: int, signer: bytes | None, now_ms: int) -> tuple[Endpoint, ...]:
        """Take in a Register on the TCP connection to an endpoint; return the endpoints this battery has left.

        A static endpoint that is left stays listed, unproven.
        """
        known = self._listings.get(endpoint)
        left = tuple(
            listing
            for listing in self._listings.values()
            if signer is not None and listing.signer == signer and listing.proven and listing.endpoint != endpoint
        )
        for listing in left:
            if listing.static:
                self._listings[listing.endpoint] = listing._replace(proven=False)
            else:
                del self._listings[listing.endpoint]
        static = known is not None and known.static
        self._listings[endpoint] = Listing(endpoint, device_id, signer, proven=True, static=static, seen_ms=now_ms)
        self._refused.pop(endpoint, None)
        return tuple(listing.endpoint for listing in left)

    def alive(self, endpoint: Endpoint, now_ms: int) -> None:
        """Note life on the TCP connection to an endpoint: as good as a Register."""
        known = self._listings.get(endpoint)
        if known is not None:
            self._listings[endpoint] = known._replace(seen_ms=now_ms)

    def refused(self, endpoint: Endpoint, now_ms: int) -> None:
        """Drop an endpoint that could not be reached or did not prove its key; a static or proven one stays."""
        known = self._listings.get(endpoint)
        if known is None or known.static or known.proven:
            return
        del self._listings[endpoint]
        self._refused[endpoint] = now_ms + self._rules.refused_ms
        self._refused.move_to_end(endpoint)
        if len(self._refused) > self._rules.batteries:
            self._refused.popitem(last=False)

    def expire(self, now_ms: int) -> tuple[Endpoint, ...]:
        """Forget the endpoints that missed too many Registers, and return them."""
        silent_ms = self._rules.register_every_ms * self._rules.missed
        gone = tuple(
            listing.endpoint
            for listing in self._listings.values()
            if not listing.static and now_ms - listing.seen_ms > silent_ms
        )
        for endpoint in gone:
            del self._listings[endpoint]
        while self._refused and next(iter(self._refused.values())) <= now_ms:
            self._refused.popitem(last=False)
        return gone

    def _heard_again(self, known: Listing, device_id: int, signer: bytes | None, now_ms: int) -> Seen:
        """Refresh a listing by a datagram that does not contradict it."""
        if signer == known.signer or (known.proven and known.signer is None):
            self._listings[known.endpoint] = known._replace(device_id=device_id, seen_ms=now_ms)
            return Seen.KNOWN
        if known.proven:
            return Seen.KNOWN if signer is None else Seen.IGNORED
        if signer is not None and not self._contradicts(signer):
            self._listings[known.endpoint] = known._replace(device_id=device_id, signer=signer, seen_ms=now_ms)
        return Seen.KNOWN

    def _contradicts(self, signer: bytes | None) -> bool:
        """Whether a key may not be claimed anew: proven where the operator said, or claimed too often already."""
        if signer is None:
            return False
        claims = 0
        for listing in self._listings.values():
            if listing.signer == signer:
                if listing.proven and listing.static:
                    return True
                claims += not listing.proven
        return claims >= self._rules.claims

    def _make_room(self, host: str) -> bool:
        """Make room for one more endpoint of a host, at the cost of the oldest that was only heard of."""
        rules = self._rules
        same_host = [listing for listing in self._listings.values() if listing.endpoint.host == host]
        if len(same_host) >= rules.per_host:
            return self._evict(same_host)
        return len(self._listings) < rules.batteries or self._evict(self._listings.values())

    def _evict(self, listings: Iterable[Listing]) -> bool:
        """Drop the first listing that was only heard of."""
        for listing in listings:
            if not listing.proven and not listing.static:
                del self._listings[listing.endpoint]
                return True
        return False
