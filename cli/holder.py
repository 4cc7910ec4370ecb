"""Who holds a wallet: the battery of a site file or the buyer of an aggregator file, and the ledger it is paid on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from etp.auth import Signer
    from settlement.cluster.landing import Lander
    from settlement.contract import Venue
    from settlement.opening import Opening
    from settlement.signing import Party

T = TypeVar("T")
_USAGE = 2
_PATIENCE_S = 15.0
"""Somebody sits before it."""


class HolderError(Exception):
    """A file that names no wallet to work with; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One party with its keys, and where it settles."""

    role: Party
    name: str
    identity: Signer
    wallet: Signer
    venue: Venue
    rpc: tuple[str, ...]
    base_units_per_cent: int

    def c(self, units: int) -> str:
        """Return an amount in base units as people write it."""
        return f"{units / self.base_units_per_cent:.2f} c"

    def run(self, work: Callable[[Lander, Opening], Awaitable[T]]) -> T:
        """Return what `work` returns, done with a lander that this wallet pays for."""
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[Lander, Opening], Awaitable[T]]) -> T:
        from settlement.cluster.landing import Lander
        from settlement.opening import Opening
        from settlement.rpc import HttpTransport, RpcClient

        transport = HttpTransport()
        try:
            client = RpcClient(
                self.rpc,
                self.venue.genesis_hash,
                transport,
                monotonic_s=time.monotonic,
                rng=random.Random(),  # noqa: S311 - jitter of back-offs
            )
            lander = Lander(
                client,
                self.wallet,
                sleep=asyncio.sleep,
                patience_s=_PATIENCE_S,
                tell=lambda text: typer.echo(text, err=True),
            )
            return await work(lander, Opening(self.venue))
        finally:
            await transport.close()


def holder_of(*, site: Path | None = None, battery: str | None = None, config: Path | None = None) -> Holder:
    """Return the party that exactly one of the two files names. Raises HolderError and what reading them raises."""
    if (site is None) == (config is None):
        raise HolderError("name one file: --site for a battery's, --config for an aggregator's")
    if config is not None:
        return _buyer(config)
    if site is None:
        raise AssertionError("one of the two is there")
    return _seller(site, battery)


@contextlib.contextmanager
def complaints(command: str) -> Iterator[None]:
    """Turn what a person can mend into one line and an exit status: 2 for files, 1 for the ledger."""
    from agent.config_errors import SiteError
    from aggregator.errors import ConfigError
    from settlement.errors import KeyFileError, SettlementError

    try:
        yield
    except (HolderError, ConfigError, SiteError, KeyFileError) as error:
        typer.echo(f"wattbid {command}: {error}", err=True)
        raise typer.Exit(_USAGE) from error
    except SettlementError as error:
        typer.echo(f"wattbid {command}: {error}", err=True)
        raise typer.Exit(1) from error


def _buyer(path: Path) -> Holder:
    from aggregator.config import load_config
    from aggregator.keys import open_keys

    config = load_config(path)
    if config.settlement is None:
        raise HolderError(f"{path}: has no [settlement], so there is no ledger to go to")
    ring = open_keys(config)
    if ring is None:
        raise HolderError(f"{path}: names no keys; set root_file, or keystore and password_file")
    return Holder(
        role="buyer",
        name=config.name,
        identity=ring.identity,
        wallet=ring.signer("wallet"),
        venue=config.settlement.venue,
        rpc=tuple(config.settlement.rpc),
        base_units_per_cent=config.settlement.base_units_per_cent,
    )


def _seller(path: Path, name: str | None) -> Holder:
    found = holders_of(path)
    names = [holder.name for holder in found]
    if name is None and len(names) > 1:
        raise HolderError(f"{path}: has {len(names)} batteries; name one with --battery: {', '.join(names)}")
    chosen = next((holder for holder in found if name in (None, holder.name)), None)
    if chosen is None:
        raise HolderError(f"{path}: has no battery {name!r}, only {', '.join(names)}")
    return chosen


def holders_of(path: Path) -> list[Holder]:
    """Return the batteries of a site file. Raises HolderError and what reading it raises."""
    from agent.config import load_site
    from agent.keys import BatteryKeys

    site = load_site(path)
    if site.settlement is None:
        raise HolderError(f"{path}: has no [settlement], so there is no ledger to go to")
    keys, settlement = BatteryKeys(), site.settlement
    return [
        Holder(
            role="battery",
            name=battery.name,
            identity=keys.identity(battery),
            wallet=keys.wallet(battery),
            venue=settlement.terms.venue,
            rpc=settlement.rpc,
            base_units_per_cent=settlement.terms.base_units_per_cent,
        )
        for battery in site.batteries
    ]
