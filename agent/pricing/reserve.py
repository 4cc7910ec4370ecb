"""The reserve: the price below which the owner keeps the energy.

A pricing rule answers one question, purely: what is the reserve at this state of charge and time. `OwnerReserve` wraps
the site's rule with what the owner sets at run time; the site's minimum holds whatever is set. Prices are `price_e4`
on the tick of the trading grid; everything rounds up, so nobody sells below what was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from etp.units import ceil_tick


class PricingError(ValueError):
    """A reserve that cannot be: `price_e4` is what was asked for, `minimum_e4` what is allowed."""

    def __init__(self, price_e4: int, minimum_e4: int) -> None:
        super().__init__(
            f"reserve {price_e4 / 10_000:.2f} c/kWh is below the site's minimum of {minimum_e4 / 10_000:.2f} c/kWh"
        )
        self.price_e4 = price_e4
        self.minimum_e4 = minimum_e4


class Reserve(Protocol):
    """Anything that names a reserve."""

    def reserve_e4(self, soc_permille: int | None, wall_ms: int) -> int:
        """Return the reserve at a state of charge (None = not known) and a time of day."""
        ...


@dataclass(frozen=True, slots=True)
class FixedReserve:
    """The same reserve always. Raises PricingError when it is negative."""

    price_e4: int

    def __post_init__(self) -> None:
        """Refuse a price that would pay the buyer."""
        _at_least(self.price_e4, 0)

    def reserve_e4(self, soc_permille: int | None, wall_ms: int) -> int:  # noqa: ARG002 - the protocol's signature
        """Return the one price."""
        return ceil_tick(self.price_e4)


class Tier(NamedTuple):
    """From this state of charge upwards, this reserve."""

    from_soc_permille: int
    price_e4: int


@dataclass(frozen=True, slots=True)
class SocTiers:
    """A reserve by state of charge: the tier with the highest start not above it.

    Below the lowest tier, and while the state of charge is not known, the dearest tier holds: what is scarce or unsure
    is not sold cheaply. Raises ValueError without tiers or with two for the same state of charge, PricingError for a
    negative price.
    """

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        """Refuse a list that does not say one price for each state of charge."""
        starts = [tier.from_soc_permille for tier in self.tiers]
        if not starts or len(set(starts)) != len(starts):
            raise ValueError("reserve tiers: at least one, each from another state of charge")
        for tier in self.tiers:
            _at_least(tier.price_e4, 0)

    def reserve_e4(self, soc_permille: int | None, wall_ms: int) -> int:  # noqa: ARG002 - the protocol's signature
        """Return the price of the tier that the state of charge falls into."""
        reached = [tier for tier in self.tiers if soc_permille is not None and tier.from_soc_permille <= soc_permille]
        if not reached:
            return ceil_tick(max(tier.price_e4 for tier in self.tiers))
        return ceil_tick(max(reached).price_e4)


class OwnerReserve:
    """The site's rule, unless the owner has set a price; never below the site's minimum."""

    def __init__(self, rule: Reserve, *, minimum_e4: int = 0) -> None:
        self._rule = rule
        self._minimum_e4 = ceil_tick(minimum_e4)
        self._set_e4: int | None = None

    def follow(self, rule: Reserve) -> None:
        """Take another rule for the site's."""
        self._rule = rule

    @property
    def set_e4(self) -> int | None:
        """What the owner has set; None = the site's rule holds."""
        return self._set_e4

    def set(self, price_e4: int | None) -> None:
        """Replace the rule by a price, or (None) give it back. Raises PricingError below the site's minimum."""
        if price_e4 is not None:
            _at_least(price_e4, self._minimum_e4)
            price_e4 = ceil_tick(price_e4)
        self._set_e4 = price_e4

    def reserve_e4(self, soc_permille: int | None, wall_ms: int) -> int:
        """Return the reserve that holds now."""
        if self._set_e4 is not None:
            return self._set_e4
        return max(self._minimum_e4, self._rule.reserve_e4(soc_permille, wall_ms))


def _at_least(price_e4: int, minimum_e4: int) -> None:
    if price_e4 < minimum_e4:
        raise PricingError(price_e4, minimum_e4)
