"""What a site file may say but surely does not mean: `wattbid check-site` tells it; the file works all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config_doubts_reserve import dynamic_doubts
from agent.config_errors import Problem, key_name
from agent.config_fields import host_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config_model import BatterySection, SiteFile

_FULL_PERCENT = 100


def doubts_of(file: SiteFile) -> list[str]:
    """Return each doubt about a file that has passed the rules, as one line with the key it is about."""
    found = [*_site(file), *_network(file)]
    for position, battery in enumerate(file.battery):
        found += [Problem(("battery", position, *rest), what) for rest, what, _ in _battery(file, battery)]
    return [f"{key_name(problem.path)}: {problem.what}" for problem in found]


def _site(file: SiteFile) -> Iterator[Problem]:
    if not file.site.lab:
        yield Problem(
            ("site", "lab"), "false: nothing is sold until the site is commissioned, which this version cannot do"
        )


def _network(file: SiteFile) -> Iterator[Problem]:
    if file.network.peers == "open" and file.network.trusted_peers is not None:
        yield Problem(("network", "trusted_peers"), 'nobody is asked for a key while peers = "open"')
    if file.settlement is not None and file.network.peers == "open":
        yield Problem(("network", "peers"), '"open" beside [settlement]: whoever does not sign is delivered to unpaid')


def _battery(file: SiteFile, battery: BatterySection) -> Iterator[Problem]:
    if battery.floor_percent == _FULL_PERCENT:
        yield Problem(("floor_percent",), "100: nothing lies above it, so nothing is ever sold")
    if battery.share_percent == 0:
        yield Problem(("share_percent",), "0: nothing is for sale, so nothing is ever sold")
    for position, seller in enumerate(file.battery):
        if seller.port and battery.address.rpartition(":")[2] == str(seller.port) and _is_ours(file, battery):
            what = f"{battery.address} is where this agent sells battery #{position + 1}, not a device"
            yield Problem(("address",), what)
    yield from _prices(battery)
    if battery.reserve is not None and battery.reserve.kind == "dynamic":
        yield from dynamic_doubts(battery, battery.reserve)


def _prices(battery: BatterySection) -> Iterator[Problem]:
    cap = battery.price_cap_c
    if battery.reserve_c_per_kwh == cap:
        yield Problem(("reserve_c_per_kwh",), f"{cap:.12g} is price_cap_c: no bid can be better than the reserve")
    if battery.reserve is not None and battery.reserve.floor_c_per_kwh == cap:
        what = f"{cap:.12g} is price_cap_c: no bid can be better than the reserve"
        yield Problem(("reserve", "floor_c_per_kwh"), what)
    for position, tier in enumerate((battery.reserve.tiers if battery.reserve else None) or ()):
        if tier.c_per_kwh == cap:
            what = f"{cap:.12g} is price_cap_c: no bid can be better than the reserve"
            yield Problem(("reserve", "tiers", position, "c_per_kwh"), what)
    if battery.reserve_min_c > cap:
        what = f"{battery.reserve_min_c:.12g} is above price_cap_c: no reserve can be set at run time"
        yield Problem(("reserve_min_c",), what)


def _is_ours(file: SiteFile, battery: BatterySection) -> bool:
    """Whether the agent's own ports are to be found on the host of a device."""
    host = host_of(battery.address)
    return host == file.network.listen or is_loopback(host)
