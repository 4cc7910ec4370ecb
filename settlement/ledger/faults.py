"""What a node does wrong when it is told to: everything that real endpoints have been seen to do.

All is off by default. A count of n spoils every n-th request (or transaction): 1 is every one. Switches may be thrown
at any time; each fault counts for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

from settlement.ledger.errors import LedgerError
from settlement.ledger.limits import STALE_MAX

_COUNT_MAX: Final = 1_000_000
_RETRY_AFTER_S_MAX: Final = 3_600


class FaultError(LedgerError):
    """A fault that does not exist, or a value it cannot have."""


@dataclass(slots=True)
class Faults:
    """The switches of one node; 0 is off."""

    rate_limit: int = 0
    """Every n-th request is answered with HTTP 429."""
    retry_after_s: int = 1
    """What the Retry-After of those answers says, in seconds; 0 leaves the header out."""
    bad_gateway: int = 0
    """Every n-th request is answered with HTTP 502."""
    html: int = 0
    """Every n-th request is answered with HTTP 200 and a page of HTML."""
    drop: int = 0
    """Every n-th request is cut off before it is looked at."""
    mute: int = 0
    """Every n-th request is carried out and cut off before the answer."""
    lose: int = 0
    """Every n-th transaction sent is accepted and never executed."""
    stale: int = 0
    """This node shows the ledger as it was so many blocks ago."""
    wrong_genesis: int = 0
    """1: this node says that it belongs to another cluster."""
    _seen: dict[str, int] = field(default_factory=dict)

    def is_due(self, name: str) -> bool:
        """Count a request against a fault; True when it is to be spoiled."""
        every: int = getattr(self, name)
        if every == 0:
            return False
        self._seen[name] = self._seen.get(name, 0) + 1
        return self._seen[name] % every == 0

    def put(self, text: str) -> None:
        """Throw a switch, as in `rate-limit=3`. Raises FaultError."""
        name, _, value = text.partition("=")
        if name not in NAMES:
            raise FaultError(f"no fault {name!r}: there are {', '.join(NAMES)}")
        highest = _HIGHEST.get(name, _COUNT_MAX)
        if not value.isascii() or not value.isdigit() or not 0 <= int(value[:9]) <= highest or len(value) > 9:
            raise FaultError(f"fault {name} needs a number from 0 to {highest}, as in {name}=1")
        setattr(self, name.replace("-", "_"), int(value))


NAMES: Final = tuple(one.name.replace("_", "-") for one in fields(Faults) if not one.name.startswith("_"))
_HIGHEST: Final = {"stale": STALE_MAX, "wrong-genesis": 1, "retry-after-s": _RETRY_AFTER_S_MAX}
