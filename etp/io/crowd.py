"""How many connections may be open at once: altogether, and from one address, over all doors that share the count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etp.limits import Limits


class Crowd:
    """The open connections of one gateway, whichever of its servers admitted them; bounded by `limits`."""

    __slots__ = ("_by_site", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_site: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_site.total()

    def enter(self, site: str) -> str:
        """Count a connection from one address in and return ""; one too many is not counted, and told why."""
        limits = self._limits
        if 0 < limits.connections <= len(self):
            return f"{limits.connections} connections are open"
        if 0 < limits.per_address <= self._by_site[site]:
            return f"{limits.per_address} connections from this address are open"
        self._by_site[site] += 1
        return ""

    def leave(self, site: str) -> None:
        """Count a connection out."""
        self._by_site[site] -= 1
        if not self._by_site[site]:
            del self._by_site[site]
