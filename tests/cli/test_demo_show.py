"""How the demo decides where its buyers find the batteries."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from cli.demo_stage.cast import Ports
from cli.demo_stage.perform import Wishes, perform
from cli.demo_stage.scene import Group
from cli.demo_stage.screen import can_draw
from cli.demo_stage.show import Show
from etp.io.group import MulticastSettings, MulticastUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

import pytest


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def show(said: list[str], request: pytest.FixtureRequest) -> Iterator[Show]:
    made = Show(say=said.append, ports=Ports(), multicast=request.param)
    yield made
    shutil.rmtree(made.directory)


@pytest.mark.parametrize("show", [True], indirect=True)
def test_without_multicast_the_buyers_are_given_the_endpoints(
    show: Show, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Random) -> Group:
        raise MulticastUnavailable(MulticastSettings(), "lo", "no such device")

    monkeypatch.setattr("cli.demo_stage.show.own_group", refuse)
    assert show.find_group() is None
    assert said == ["multicast is not available here (no such device): the aggregators are given the endpoints"]


@pytest.mark.parametrize("show", [True], indirect=True)
def test_with_multicast_they_get_a_group_of_their_own(
    show: Show, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(address="239.255.1.2", port=40_001)
    monkeypatch.setattr("cli.demo_stage.show.own_group", lambda _: group)
    assert show.find_group() is group
    assert said == []


@pytest.mark.parametrize("show", [False], indirect=True)
def test_multicast_can_be_declined(show: Show, said: list[str]) -> None:
    assert show.find_group() is None
    assert said == []


def test_without_its_packages_there_is_no_view_and_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert not can_draw()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert perform(Wishes(picture=tmp_path / "demo.svg")) == 2
    assert "extra `demo`" in capsys.readouterr().err


def test_ports_stand_next_to_each_other_or_are_any() -> None:
    assert [Ports.of(4_084, number) for number in range(3)] == [4_084, 4_085, 4_086]
    assert Ports.of(0, 2) == 0
