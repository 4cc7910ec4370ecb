"""docs/mechanism.md says what the requests really are, and its examples what they answer."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path

import pytest

from aggregator.strategies import NAMES
from etp.auction import RULES
from market.mechanism import BIDS_MAX, WEIGHED_MAX, Outcome
from market.requests import LINE_MAX, answer
from market.sampling import AUCTIONS_MAX, ROWS_MAX, Summary
from market.setting import BUYERS_MAX, LOT_MAX_WH, WAY_MAX_MS, Buyer, Setting

PAGE = (Path(__file__).parents[2] / "docs" / "mechanism.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*)\n(.*)\n```", PAGE)


def rows_of(section: str) -> dict[str, list[str]]:
    """Return the cells of a section's table rows, by each key that the first cell names."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("| `")]
    return {key: row[1:] for row in cells for key in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize(("request_", "told"), EXAMPLES, ids=[json.loads(asked)["op"] for asked, _ in EXAMPLES])
def test_an_example_is_answered_so(request_: str, told: str) -> None:
    assert answer(request_.encode()) == told


def test_every_operation_has_an_example() -> None:
    assert [json.loads(asked)["op"] for asked, _ in EXAMPLES] == ["sample", "play", "winners", "bid"]


@pytest.mark.parametrize(("section", "kind"), [("Setting", Setting), ("Buyers", Buyer)])
def test_every_key_is_there_with_its_default(section: str, kind: type[Setting | Buyer]) -> None:
    rows = rows_of(section)
    known: dict[str, Field[object]] = {field.name: field for field in fields(kind)}
    assert set(known) <= set(rows)
    for name, field in known.items():
        default = rows[name][1].strip("`")
        assert (default == "required") == (field.default is MISSING)
        if field.default is not MISSING and field.default != "truthful":
            assert json.loads(default) == field.default


def test_rules_and_strategies_are_all_there() -> None:
    assert set(re.findall(r"`(\w+)`", rows_of("Setting")["rule"][2])) == set(RULES)
    assert {*NAMES, "reserve", "naive", "fraction:0.8"} <= set(rows_of("Buyers"))


def test_answers_have_these_fields() -> None:
    assert {field.name for field in fields(Summary)} <= set(rows_of("sample"))
    assert set(Outcome._fields) <= set(rows_of("play"))


def test_limits_are_the_real_ones() -> None:
    for text, number in (
        ("100 to 1 000 000", LOT_MAX_WH),
        ("to 10 000 000", AUCTIONS_MAX),
        ("with `rows` to 1 000 000", ROWS_MAX),
        ("buyers, 1 to 64", BUYERS_MAX),
        ("at most 60 000", WAY_MAX_MS),
        ("At most 10 000 bids", BIDS_MAX),
        ("at most 5 000 000", WEIGHED_MAX),
    ):
        assert text in PAGE
        assert int(re.findall(r"[\d ]+", text)[-1].replace(" ", "")) == number
    assert "at most 64 MiB" in PAGE
    assert LINE_MAX == 64 << 20
