"""The demo's scene: its files are ones that agents and aggregators accept, and its commands ones that exist."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from agent.config import load_site
from aggregator.config import load_config
from cli.demo_stage import scene
from cli.demo_stage.group import own_group
from etp.io.group import MulticastUnavailable
from settlement import to_base58

if TYPE_CHECKING:
    from pathlib import Path

GROUP = scene.Group(address="239.255.7.9", port=41_000)
NAMES = ("program", "genesis", "mint", "resolver")
KEYS = ("ab" * 32, "cd" * 32)
TILL = scene.Till(rpc="http://127.0.0.1:8899", **{name: to_base58(bytes([n + 1]) * 32) for n, name in enumerate(NAMES)})


@pytest.mark.parametrize("group", [None, GROUP], ids=["static", "multicast"])
@pytest.mark.parametrize("site", scene.SITES, ids=lambda site: site.name)
def test_agents_accept_the_site_files(tmp_path: Path, site: scene.SiteScene, group: scene.Group | None) -> None:
    text = site.site_file(
        modbus="127.0.0.1:5020",
        port=0,
        socket=tmp_path / "c.sock",
        group=group,
        root_file=tmp_path / "r",
        buyers=KEYS,
        till=TILL,
    )
    loaded = load_site(scene.write(tmp_path, "site.toml", text))
    (battery,) = loaded.batteries
    assert (battery.name, battery.address, battery.port) == (site.name, "127.0.0.1:5020", 0)
    assert battery.floor_permille == site.floor_percent * 10
    assert loaded.time_lapse == scene.TIME_LAPSE
    assert loaded.control_socket == tmp_path / "c.sock"
    assert loaded.network.multicast == (group is not None)
    assert (loaded.network.peers, loaded.network.trusted_peers) == ("signed", frozenset(map(bytes.fromhex, KEYS)))


@pytest.mark.parametrize("group", [None, GROUP], ids=["static", "multicast"])
@pytest.mark.parametrize("buyer", scene.BUYERS, ids=lambda buyer: buyer.name)
def test_aggregators_accept_their_files(tmp_path: Path, buyer: scene.BuyerScene, group: scene.Group | None) -> None:
    text = buyer.config_file(
        seed=3, batteries=["127.0.0.1:4084"], group=group, root_file=tmp_path / "r", sellers=KEYS, till=TILL
    )
    config = load_config(scene.write(tmp_path, "buyer.toml", text))
    assert (config.name, config.strategy.name, config.network.multicast) == (
        buyer.name,
        buyer.strategy,
        group is not None,
    )


def test_the_market_is_what_the_demo_promises() -> None:
    assert len(scene.SITES) == 3
    assert len({buyer.strategy for buyer in scene.BUYERS}) == 4
    for site in scene.SITES:
        delivery_s = site.lot_kwh * 3_600_000 / site.power_w / scene.TIME_LAPSE
        assert 5 < delivery_s < 10  # long enough to be metered to 1 %, short enough for 20 trades in about a minute


def test_the_group_is_the_demos_own_and_works() -> None:
    try:
        group = own_group(Random(1))
    except MulticastUnavailable as error:
        pytest.skip(f"no multicast on loopback here: {error.reason}")
    assert group.address.startswith("239.255.")
    assert group.port > 0
