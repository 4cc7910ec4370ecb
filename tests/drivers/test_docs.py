"""docs/drivers.md names what there is."""

import dataclasses
import re
from pathlib import Path

import pytest

from drivers.codec import Kind
from drivers.declaration import Command, FamilyFile, Group, PointEntry, Section, Status
from drivers.device import LIVE_FIELDS, SLOW_FIELDS
from drivers.loader import load_family
from drivers.options import Options

TEXT = (Path(__file__).parents[2] / "docs" / "drivers.md").read_text("utf-8")


@pytest.mark.parametrize("kind", [Options, PointEntry, Section, Status, Command])
def test_every_key_is_documented(kind: type) -> None:
    named = set(re.findall(r"`([a-z_0-9]+)`", TEXT))
    assert {field.name for field in dataclasses.fields(kind)} <= named


def test_every_table_kind_group_and_value_is_documented() -> None:
    words = set(re.findall(r"[a-z_0-9]+", TEXT))
    assert {field.name for field in dataclasses.fields(FamilyFile)} <= words
    assert {kind.value for kind in Kind} | {group.value for group in Group} <= words
    assert {*LIVE_FIELDS, *SLOW_FIELDS} <= words


def test_the_dead_man_times_are_the_families() -> None:
    for command in load_family("sunspec").file.command:
        assert command.dead_man is not None
        bounds = f"{command.dead_man.default_s} s ({command.dead_man.min_s}..{command.dead_man.max_s:,})"
        assert bounds in TEXT
