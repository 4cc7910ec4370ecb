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
from agent.pricing import DynamicTerms, FixedReserve, Plant, TimeOfUse, appraise, horizon
from etp.auction import RULES
from etp.limits import Limits

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "site.toml"
DYNAMIC = EXAMPLE.with_name("site-dynamic.toml")
SETTLED = EXAMPLE.with_name("site-settled.toml")


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
    shown: set[str] = set()
    for example in (EXAMPLE, DYNAMIC, SETTLED):
        text = example.read_text()
        shown |= set(re.findall(r"^#*\s*(\w+) =", text, re.MULTILINE))
        spelled_out = re.sub(r"^#(?=\w+ =)", "", text, flags=re.MULTILINE)
        assert spelled_out != text
        assert site_of(example, parse_site(spelled_out.encode(), example)) == load_site(example)
    listed = set(re.findall(r"^\| `(\w+)`", reference(), re.MULTILINE))
    assert shown == listed - {"reserve", "tiers", "sell", "buy", "times", "settlement"}


def test_the_example_that_follows_the_market_is_worth_what_its_evening_pays() -> None:
    [battery] = load_site(DYNAMIC).batteries
    terms = battery.reserve
    assert isinstance(terms, DynamicTerms)
    assert isinstance(terms.sell, TimeOfUse)
    assert isinstance(terms.buy, TimeOfUse)
    assert (terms.floor_e4, terms.wear_e4, terms.wear_basis) == (50_000, 50_000, "set")
    noon_ms = 1_783_908_000_000  # 2026-07-13, noon in Melbourne
    plant = Plant(range_wh=10_000, discharge_w=5_000, charge_w=5_000, wear_e4=terms.wear_e4)
    at_noon = appraise(plant, horizon(terms.sell, terms.buy, noon_ms))
    at_six = appraise(plant, horizon(terms.sell, terms.buy, noon_ms + 6 * 3_600_000))
    assert at_noon.opportunity_e4(10_000, 1_000) < 50_000  # bought back at 3.3 c before the evening
    assert at_six.opportunity_e4(10_000, 1_000) == 130_000  # 18 c less the wear of the sale that is given up
