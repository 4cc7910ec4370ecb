"""What must hold between the keys of a site file. Each rule yields problems with the path of the key to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config_errors import Problem, shown
from agent.config_fields import host_of, is_loopback
from agent.config_rules_reserve import reserve_problems
from etp.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config_model import BatterySection, SiteFile

_SOCKET_PATH_BYTES_MAX = 107


def problems_of(file: SiteFile) -> list[Problem]:
    """Return everything that is wrong between keys; the file has had its defaults filled in."""
    found = [*_site(file), *_network(file), *_limits(file), *_storage(file)]
    for position, battery in enumerate(file.battery):
        found += [
            Problem(("battery", position, *rest), what, allowed) for rest, what, allowed in _battery(file, battery)
        ]
    return [*found, *_unique(file)]


def _site(file: SiteFile) -> Iterator[Problem]:
    if file.site.time_lapse != 1 and not file.site.lab:
        yield Problem(("site", "time_lapse"), f"{file.site.time_lapse} without lab = true", "1")


def _network(file: SiteFile) -> Iterator[Problem]:
    network = file.network
    local = is_loopback(network.listen)
    if file.site.lab and not local:
        yield Problem(("network", "listen"), f"{network.listen} is not loopback in a lab", "127.0.0.1 or ::1")
    if file.site.lab and network.interface not in (None, network.listen) and not is_loopback(network.interface or ""):
        yield Problem(("network", "interface"), f"{network.interface} is not loopback in a lab", "127.0.0.1 or ::1")
    if network.peers == "open" and not (local or file.site.lab or network.open_on_network):
        yield Problem(
            ("network", "peers"),
            f'"open" while listening on {network.listen}: anybody could trade',
            '"signed"; or "open" with listen = "127.0.0.1" or with open_on_network = true',
        )
    if network.peers == "signed" and network.trusted_peers is None:
        yield Problem(
            ("network", "trusted_peers"),
            'missing while peers = "signed"',
            '"any", or a list of public keys of 64 hex digits',
        )


def _limits(file: SiteFile) -> Iterator[Problem]:
    try:
        Limits(**file.limits.model_dump())
    except ValueError as error:
        yield Problem(("limits", "burst"), str(error), "both 0, or both above 0")


def _storage(file: SiteFile) -> Iterator[Problem]:
    if file.storage.journal == file.storage.telemetry:
        yield Problem(("storage", "telemetry"), "the same file as the journal", "another name")
    length = len((file.control.socket or "").encode())
    if length > _SOCKET_PATH_BYTES_MAX:
        yield Problem(
            ("control", "socket"),
            f"the path has {length} bytes ({shown(file.control.socket)})",
            f"at most {_SOCKET_PATH_BYTES_MAX} bytes: a unix socket cannot have more",
        )


def _battery(file: SiteFile, battery: BatterySection) -> Iterator[Problem]:
    if file.site.lab and not is_loopback(host_of(battery.address)):
        yield Problem(("address",), f"{battery.address} is not loopback in a lab", "127.0.0.1, [::1] or localhost")
    if battery.rule == "first_acceptable" and not file.site.lab:
        yield Problem(("rule",), '"first_acceptable" without lab = true', "another rule")
    if battery.temp_min_c >= battery.temp_max_c:
        yield Problem(
            ("temp_max_c",), f"{battery.temp_max_c:.12g} is not above temp_min_c", f"above {battery.temp_min_c:.12g}"
        )
    if battery.max_power_w is not None and (battery.min_power_w or 0) > battery.max_power_w:
        yield Problem(("min_power_w",), f"{battery.min_power_w} is above max_power_w", f"at most {battery.max_power_w}")
    yield from _secrets(battery)
    yield from reserve_problems(battery)


def _secrets(battery: BatterySection) -> Iterator[Problem]:
    """A battery's keys come from one place."""
    if battery.keystore is not None and battery.password_file is None:
        yield Problem(("password_file",), "missing while keystore is set", "the file that holds its password")
    if battery.keystore is None and battery.password_file is not None:
        yield Problem(("password_file",), "set without keystore", "no password_file, or a keystore")


def _unique(file: SiteFile) -> Iterator[Problem]:
    """Names, ports, devices and secrets belong to one battery each."""
    aspects: list[tuple[str, Callable[[BatterySection], object], str]] = [
        ("name", lambda battery: battery.name, "a name of its own"),
        ("port", lambda battery: battery.port or None, "a port of its own, or 0 for any"),
        ("unit", lambda battery: (battery.address, battery.unit), "a device of its own: another address or unit"),
        ("root_file", lambda battery: battery.root_file, "a secret of its own"),
        ("keystore", lambda battery: battery.keystore, "a secret of its own"),
    ]
    told: set[int] = set()  # one problem for each battery: a copied table has them all
    for key, aspect, allowed in aspects:
        first: dict[object, int] = {}
        for position, battery in enumerate(file.battery):
            value = aspect(battery)
            earlier = first.setdefault(value, position)
            if value is not None and earlier != position and position not in told:
                told.add(position)
                what = f"{shown(getattr(battery, key))} is already battery #{earlier + 1}'s"
                yield Problem(("battery", position, key), what, allowed)
