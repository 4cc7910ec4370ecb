"""How request bodies reach an endpoint: HTTP in production, an in-process ledger in a simulation.

`HttpTransport` is httpx2 with what a gateway needs: a limit for every answer, one deadline for a whole request, no
redirects (a portal's), proxies from the environment, certificates always checked.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx2 import AsyncClient

REPLY_BYTES_MAX: Final = 512 * 1024
"""A hundred accounts of this program have some 60 kB; more is not for us, and would hold up the loop."""
CONNECTIONS_MAX: Final = 8
_KEEP_ALIVE_S: Final = 30.0
"""Longer than the time between two polls, so that one connection serves them all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: HTTP status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class TransportError(Exception):
    """No reply: no connection, a broken one, nothing in time, or more than an answer may have."""


class Transport(Protocol):
    """Carries one request to an endpoint."""

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:
        """Return the reply. Raises TransportError when there is none within `timeout_s` seconds."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class HttpTransport:
    """HTTP/1.1 with connections that are kept."""

    def __init__(self, *, reply_bytes_max: int = REPLY_BYTES_MAX) -> None:
        self._reply_bytes_max = reply_bytes_max
        self._opening = asyncio.Lock()
        self._client: AsyncClient | None = None
        self._errors: tuple[type[Exception], ...] = (OSError, ssl.SSLError)

    async def post(self, url: str, body: bytes, timeout_s: float) -> Reply:
        """Send one request and read its whole answer. Raises TransportError."""
        client = await self._opened()
        try:
            async with asyncio.timeout(timeout_s), client.stream("POST", url, content=body) as response:
                read = bytearray()
                async for part in response.aiter_bytes():
                    read += part
                    if len(read) > self._reply_bytes_max:
                        raise TransportError(f"an answer of more than {self._reply_bytes_max} bytes")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, bytes(read))
        except TimeoutError as error:
            raise TransportError(f"no whole answer within {timeout_s:.0f} s") from error
        except self._errors as error:
            raise TransportError(f"{type(error).__name__}: {error}".removesuffix(": ")) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _opened(self) -> AsyncClient:
        async with self._opening:
            if self._client is None:  # a tenth of a second of imports and certificates: not on the loop
                self._client = await asyncio.to_thread(self._make)
        return self._client

    def _make(self) -> AsyncClient:
        import httpx2  # noqa: PLC0415 - some 8 MB that only who settles shall pay

        self._errors = (OSError, ssl.SSLError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
        limits = httpx2.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=_KEEP_ALIVE_S,
        )
        headers = {"content-type": "application/json"}
        return httpx2.AsyncClient(limits=limits, timeout=None, follow_redirects=False, headers=headers)
