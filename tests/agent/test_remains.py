"""A start beside what an earlier one left: what is missing is made anew, and the owner hears of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import remains
from agent.gateway import Gateway
from settlement.keys import IdentityKey
from tests.agent.gateway_world import World, run, world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from agent.config_values import Site


def keys_on_disk(here: World) -> None:
    """Let the next start take its identity from the root file."""
    around = replace(here.gateway._around, signer=lambda battery: IdentityKey.from_file(battery.root_file))
    here.gateway = Gateway(here.site, around, hub=here.hub)


def alarms_after(tmp_path: Path, change: Callable[[Site], Any]) -> tuple[dict[str, str], bool]:
    """Start, stop, change the storage and start again: the alarms by name, and whether it sells."""
    found: list[tuple[dict[str, str], bool]] = []

    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.gateway.stop()
            here.site.storage.journal.unlink()
            here.boot()
            keys_on_disk(here)
            await here.start()
            assert not any(alarm["name"].startswith("new ") for alarm in here.seller.watch.alarms())
            here.gateway.owner_desk().set_reserve("battery-1", 555_000)
            await here.gateway.stop()
            change(here.site)
            here.boot()
            keys_on_disk(here)
            await here.start()
            alarms = {alarm["name"]: alarm["reason"] for alarm in here.seller.watch.alarms()}
            found.append((alarms, not here.seller.stopped))

    run(scenario())
    return found[0]


def test_a_first_start_and_a_second_one_have_nothing_to_tell(tmp_path: Path) -> None:
    alarms, sells = alarms_after(tmp_path, lambda _site: None)
    assert (alarms, sells) == ({}, True)


def test_a_root_alone_is_no_earlier_run(tmp_path: Path) -> None:
    """A battery may be registered on a ledger before its agent has ever started."""
    assert alarms_after(tmp_path, lambda site: site.storage.journal.unlink()) == ({}, True)


def test_a_journal_that_is_gone_beside_telemetry_is_told(tmp_path: Path) -> None:
    def change(site: Site) -> None:
        site.storage.journal.unlink()
        site.storage.telemetry.touch()

    alarms, sells = alarms_after(tmp_path, change)
    assert set(alarms) == {"new journal"}
    assert "journal.db: was missing and is begun anew, though there is telemetry.db:" in alarms["new journal"]
    assert sells


def test_an_identity_that_is_gone_is_told(tmp_path: Path) -> None:
    alarms, sells = alarms_after(tmp_path, lambda site: site.batteries[0].root_file.unlink())
    assert set(alarms) == {"new identity"}
    assert "battery 'battery-1' has a new identity" in alarms["new identity"]
    assert sells


def test_all_that_is_gone_is_a_first_start(tmp_path: Path) -> None:
    def change(site: Site) -> None:
        site.storage.journal.unlink()
        site.batteries[0].root_file.unlink()

    assert alarms_after(tmp_path, change) == ({}, True)


def test_an_empty_journal_stops_the_sale(tmp_path: Path) -> None:
    alarms, sells = alarms_after(tmp_path, lambda site: os.truncate(site.storage.journal, 0))
    assert set(alarms) == {"journal"}
    assert "empty (0 bytes)" in alarms["journal"]
    assert not sells


def test_a_file_behind_a_closed_door_counts_as_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_self: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.exists", closed)
    assert remains._is_there(tmp_path)
