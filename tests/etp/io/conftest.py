"""Every async test of this room runs on asyncio's own loop and on uvloop."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def tidy() -> AsyncIterator[AsyncExitStack]:
    """What must be closed when a test ends; transports get the loop rounds they need to go."""
    async with AsyncExitStack() as stack:
        yield stack
    for _ in range(3):
        await asyncio.sleep(0)
