"""The site file's description agrees with its documents and with the rooms whose values it sets."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from agent.config import load_site, parse_site, site_of
from agent.config_model import RULES as RULES_ALLOWED
from agent.config_model import BatterySection, LimitsSection
from agent.config_reference import reference
from agent.energy import DISCHARGE_EFFICIENCY_PERMILLE
from agent.guardrails import Guardrails
from agent.pricing import FixedReserve
from etp.auction import RULES
from etp.limits import Limits

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "site.toml"


def test_the_limits_are_those_of_the_protocol() -> None:
    ours = {name: field.default for name, field in LimitsSection.model_fields.items()}
    assert ours == {field.name: field.default for field in fields(Limits)}


def test_the_rules_are_those_of_the_auction() -> None:
    assert set(RULES_ALLOWED) == set(RULES)


def test_the_defaults_are_those_of_the_rules() -> None:
    default = {name: field.default for name, field in BatterySection.model_fields.items()}
    assert default["efficiency_percent"] * 10 == DISCHARGE_EFFICIENCY_PERMILLE
    assert (default["temp_min_c"] * 10, default["temp_max_c"] * 10) == (
        Guardrails().temp_min_dc,
        Guardrails().temp_max_dc,
    )


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "site-file.md").read_text()
    assert page == reference(), "run: python -m agent.config_reference > docs/site-file.md"


def test_the_example_runs_as_it_is() -> None:
    found = load_site(EXAMPLE)
    assert found.lab
    assert (found.network.peers, found.network.listen) == ("open", "127.0.0.1")
    [battery] = found.batteries
    assert (battery.address, battery.unit, battery.port) == ("127.0.0.1:5020", 1, 4084)
    assert battery.reserve == FixedReserve(300_000)


def test_the_example_names_every_key_and_shows_true_defaults() -> None:
    text = EXAMPLE.read_text()
    shown = set(re.findall(r"^#*\s*(\w+) =", text, re.MULTILINE))
    listed = set(re.findall(r"^\| `(\w+)`", reference(), re.MULTILINE)) - {"reserve", "tiers"}
    assert shown == listed
    spelled_out = re.sub(r"^#(?=\w+ =)", "", text, flags=re.MULTILINE)
    assert spelled_out != text
    assert site_of(EXAMPLE, parse_site(spelled_out.encode(), EXAMPLE)) == load_site(EXAMPLE)
