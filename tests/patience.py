"""For tests that need the machine's attention for a moment: a busy machine may take it away, a defect stays."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")


def patient(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Run an async test up to five times; the last failure counts."""

    @functools.wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(4):
            try:
                await test(*args, **kwargs)
            except AssertionError:
                continue
            return
        await test(*args, **kwargs)

    return run
