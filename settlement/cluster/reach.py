"""Whether endpoints answer now, and for the cluster that is meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from settlement.rpc.answers import hash_in
from settlement.rpc.envelope import decode_reply, encode_request
from settlement.rpc.errors import RpcError, UnreachableError, shown
from settlement.rpc.transport import TransportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settlement.rpc import Transport

TIMEOUT_S: Final = 10.0
_GENESIS: Final = "getGenesisHash"


class Reached(NamedTuple):
    """One endpoint."""

    url: str
    """Without what may be secret in it."""
    problem: str | None
    """Why it cannot be used, None when it can."""


async def reach(
    urls: Sequence[str], genesis: bytes, transport: Transport, *, timeout_s: float = TIMEOUT_S
) -> tuple[Reached, ...]:
    """Ask every endpoint at once which cluster it belongs to; takes `timeout_s` seconds at most."""
    return tuple(await asyncio.gather(*(_reached(url, genesis, transport, timeout_s) for url in urls)))


async def genesis_of(url: str, transport: Transport, *, timeout_s: float = TIMEOUT_S) -> bytes:
    """Return the 32 bytes of an endpoint's genesis hash: what it says is believed. Raises RpcError, ValueError."""
    try:
        reply = await transport.post(url, encode_request(1, _GENESIS, []), timeout_s)
    except (TransportError, OSError) as error:
        raise UnreachableError(url, _GENESIS, str(error)) from error
    return hash_in(decode_reply(reply, 1, url=url, method=_GENESIS))


async def _reached(url: str, genesis: bytes, transport: Transport, timeout_s: float) -> Reached:
    try:
        found = await genesis_of(url, transport, timeout_s=timeout_s)
    except RpcError as error:
        return Reached(shown(url), error.problem)
    except ValueError as error:
        return Reached(shown(url), f"answers what is no genesis hash: {error}")
    return Reached(shown(url), None if found == genesis else "belongs to another cluster than the file names")
