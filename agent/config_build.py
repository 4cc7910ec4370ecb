"""From the file's sections to the agent's values: defaults that depend on other keys, paths, integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.config_build_reserve import price_e4, reserve_of, tenths, with_paths
from agent.config_settlement import settlement_of
from agent.config_values import BatterySite, NetworkSite, Site, StorageSite
from etp.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_model import BatterySection, SiteFile

FIRST_PORT = 4084


def with_defaults(file: SiteFile, directory: Path) -> SiteFile:
    """Return the file with every default filled in that does not come from a device; paths are absolute."""
    network, storage = file.network, file.storage
    data = directory / storage.directory
    batteries = [
        battery.model_copy(
            update={
                "port": FIRST_PORT + position if battery.port is None else battery.port,
                **_secrets(battery, directory, data),
                "reserve": with_paths(battery.reserve, directory),
            }
        )
        for position, battery in enumerate(file.battery)
    ]
    return file.model_copy(
        update={
            "network": network.model_copy(
                update={
                    "peers": network.peers or ("open" if file.site.lab else "signed"),
                    "interface": network.interface or network.listen,
                }
            ),
            "storage": storage.model_copy(
                update={
                    "directory": str(data),
                    "journal": str(data / storage.journal),
                    "telemetry": str(data / storage.telemetry),
                }
            ),
            "control": file.control.model_copy(
                update={
                    "socket": str(directory / file.control.socket if file.control.socket else data / "control.sock")
                }
            ),
            "battery": batteries,
        }
    )


def site_of(path: Path, file: SiteFile) -> Site:
    """Return the values of a file that `with_defaults` has completed and the rules have passed."""
    return Site(
        path=path,
        name=file.site.name,
        lab=file.site.lab,
        time_lapse=file.site.time_lapse,
        state_age_max_ms=file.site.state_age_max_ms,
        clock=file.site.clock,
        network=_network_of(file),
        limits=Limits(**file.limits.model_dump()),
        storage=StorageSite(
            directory=_path(path, file.storage.directory),
            journal=_path(path, file.storage.journal),
            journal_max_bytes=file.storage.journal_max_mb << 20,
            telemetry=_path(path, file.storage.telemetry),
            telemetry_rows=file.storage.telemetry_rows,
        ),
        control_socket=_path(path, file.control.socket),
        batteries=tuple(_battery_of(path, battery) for battery in file.battery),
        settlement=None
        if file.settlement is None
        else settlement_of(file.settlement, _path(path, file.storage.directory)),
    )


def _secrets(battery: BatterySection, directory: Path, data: Path) -> dict[str, str | None]:
    """Return where a battery's keys lie: the files it names, and a root file of its own where it names none."""
    named = {
        name: None if (text := getattr(battery, name)) is None else str(directory / text)
        for name in ("root_file", "keystore", "password_file")
    }
    return {**named, "root_file": named["root_file"] or str(data / f"{battery.name}.root")}


def _network_of(file: SiteFile) -> NetworkSite:
    network = file.network
    trusted = network.trusted_peers
    return NetworkSite(
        listen=network.listen,
        peers=network.peers or "signed",
        trusted_peers=frozenset(bytes.fromhex(one) for one in trusted) if isinstance(trusted, list) else None,
        multicast=network.multicast,
        group=network.group,
        group_port=network.group_port,
        ttl=network.ttl,
        interface=network.interface or network.listen,
    )


def _battery_of(path: Path, battery: BatterySection) -> BatterySite:
    return BatterySite(
        name=battery.name,
        driver=battery.driver,
        address=battery.address,
        unit=battery.unit,
        port=battery.port or 0,
        root_file=_path(path, battery.root_file),
        keystore=None if battery.keystore is None else _path(path, battery.keystore),
        password_file=None if battery.password_file is None else _path(path, battery.password_file),
        capacity_wh=battery.capacity_wh,
        max_power_w=battery.max_power_w,
        min_power_w=battery.min_power_w,
        efficiency_permille=tenths(battery.efficiency_percent),
        floor_permille=tenths(battery.floor_percent),
        share_permille=tenths(battery.share_percent),
        temp_min_dc=tenths(battery.temp_min_c),
        temp_max_dc=tenths(battery.temp_max_c),
        lot_wh=None if battery.lot_kwh is None else tenths(battery.lot_kwh) * 100,
        rule=battery.rule,
        standing_ms=battery.standing_ms,
        reserve=reserve_of(battery),
        reserve_min_e4=price_e4(battery.reserve_min_c),
        increment_e4=price_e4(battery.increment_c),
        price_cap_e4=price_e4(battery.price_cap_c),
        reputation_floor=battery.reputation_floor,
    )


def _path(site_file: Path, text: Any) -> Path:
    return site_file.parent / str(text)
