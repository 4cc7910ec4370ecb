"""Whatever a site file holds: it is read, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import SiteError, parse_site, site_of
from agent.config_model import BatterySection

ROOT = Path(__file__).parents[2]
PATH = Path("/site/site.toml")
LAB = '[site]\nname = "lab-1"\nlab = true\n'
EXAMPLE = (ROOT / "deploy" / "examples" / "site.toml").read_bytes()
values = st.recursive(
    st.booleans() | st.integers() | st.integers(0, 500) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "tiers"]), inner, max_size=2),
    max_leaves=4,
)


def toml(value: Any) -> str:
    """Write a value as TOML does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value if not 0xD800 <= ord(char) < 0xE000) + '"'
    return str(value).lower()


def read_or_refused(data: bytes) -> None:
    try:
        site_of(PATH, parse_site(data, PATH))
        said = str(PATH)
    except SiteError as error:
        said = str(error)
    assert said.isprintable()
    assert said.startswith(str(PATH))


@given(st.sampled_from([*BatterySection.model_fields, "x"]), values)
@settings(max_examples=300)
def test_any_value_for_any_key_is_read_or_refused(name: str, value: Any) -> None:
    battery = {"name": "home", "reserve_c_per_kwh": 30.25, name: value}
    lines = "".join(f"{key} = {toml(one)}\n" for key, one in battery.items())
    read_or_refused(f"{LAB}[[battery]]\n{lines}".encode())


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(data)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.binary(max_size=6))
@settings(max_examples=300)
def test_an_example_with_a_bite_taken_out_is_read_or_refused(start: int, length: int, instead: bytes) -> None:
    read_or_refused(EXAMPLE[:start] + instead + EXAMPLE[start + length :])
