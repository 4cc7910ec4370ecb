"""The yardstick: a uvloop server that writes back what it reads, and does nothing else."""

from __future__ import annotations

import asyncio
from typing import cast

import uvloop

from bench.children import options, orders, say


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        self._write(data)


async def serve() -> None:
    """Echo on a free port until stdin ends."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    say(port=server.sockets[0].getsockname()[1])
    await (await orders()).read()


if __name__ == "__main__":
    options()
    uvloop.run(serve())
