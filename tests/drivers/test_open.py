"""Opening a battery: addresses, options, shared lines, and what the agent's process never loads."""

import subprocess
import sys

import pytest

from drivers.errors import DeclarationError
from drivers.open import Lines, open_battery, parse_address
from drivers.options import Options


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:5020", ("127.0.0.1", 5_020)),
        ("battery.local", ("battery.local", 502)),
        ("[::1]:1502", ("::1", 1_502)),
        ("[fe80::1]", ("fe80::1", 502)),
    ],
)
def test_addresses(text: str, parsed: tuple[str, int]) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize("text", ["", ":502", "host:", "host:0", "host:65536", "host:x", "::1", "a:b:502", "host:-1"])
def test_wrong_addresses_are_named(text: str) -> None:
    with pytest.raises(DeclarationError, match="allowed: host"):
        parse_address(text)


def test_wrong_openings_are_named() -> None:
    with pytest.raises(DeclarationError, match="unit 256, allowed"):
        open_battery("127.0.0.1:502", name="b", unit=256)
    with pytest.raises(DeclarationError, match="unknown family"):
        open_battery("127.0.0.1:502", name="b", family="acme")
    with pytest.raises(DeclarationError, match=r"dead_man_s = 1, allowed by sunspec: 2\.\.3600, 10\.\.3600"):
        open_battery("127.0.0.1:502", name="b", options=Options(dead_man_s=1))
    with pytest.raises(DeclarationError, match=r"poll_ms = 1, allowed: 50\.\.60000"):
        Options(poll_ms=1)


def test_batteries_at_one_address_share_a_line() -> None:
    lines = Lines()
    assert lines.tcp("a", 502, 1_000) is lines.tcp("a", 502, 1_000)
    assert lines.tcp("a", 502, 1_000) is not lines.tcp("a", 503, 1_000)


def test_an_agent_loads_no_server_no_simulator_and_no_test_parts() -> None:
    code = """
import sys, drivers.open
banned = ("pymodbus.server", "drivers.sim", "drivers.testing", "numpy", "textual")
print([module for module in sys.modules if module.startswith(banned)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
