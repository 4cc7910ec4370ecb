"""Print the reference of the site file from its description: `python -m agent.config_reference > docs/site-file.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from agent.config_model import (
    BatterySection,
    ControlSection,
    LimitsSection,
    NetworkSection,
    SiteSection,
    StorageSection,
)
from agent.config_reserve import ForecastSection, ReserveSection, TierSection, TimeSection
from agent.config_settlement import SettlementSection

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from agent.config_fields import Section

_HEAD: Final = """# The site file

One TOML file tells an agent which batteries it sells and how. `wattbid check-site FILE` checks it and prints what it
means; `wattbid agent --site FILE` runs it. `deploy/examples/site.toml` is a file to start from,
`site-dynamic.toml` beside it one whose reserve follows the market, `site-settled.toml` one whose trades are paid.

- It is read once, at start. Unknown keys, wrong types and values that cannot work are refused with one line: file,
  line, key, what is wrong, what is allowed.
- Prices stand on the grid of the market (0.01 c/kWh), energies in steps of 0.1 kWh, percentages in steps of 0.1.
- Paths are relative to the directory of the site file.
- Port 0 means any free port; the ready line names the one it became. The fixed defaults are 4084 (first battery, TCP
  and UDP; 4085 for the second, and so on), 4084 for the multicast group, and 5020 for the Modbus device.
- `wattbid check-site` also warns of what is allowed but surely not meant: a floor of 100 %, a share of 0 %, a device
  that is the agent's own port, a reserve as high as the price cap, wear that is only assumed, a forecast's file that
  cannot be read, keys that nobody asks for.
- A dynamic reserve is explained in [the owner's price](owners-price.md).
- Without `lab = true` nothing is sold yet, see [commands](commands.md#out-of-the-laboratory).

This page is the agent's own description of the file: `python -m agent.config_reference > docs/site-file.md`.
"""
_SECTIONS: Final[tuple[type[Section], ...]] = (
    SiteSection,
    NetworkSection,
    LimitsSection,
    StorageSection,
    ControlSection,
    SettlementSection,
    BatterySection,
    ReserveSection,
    TierSection,
    ForecastSection,
    TimeSection,
)


def reference() -> str:
    """Return the Markdown page that lists every key."""
    return "\n".join([_HEAD, *(_section(section) for section in _SECTIONS)])


def unit_of(field: FieldInfo) -> str:
    """Return the unit of a key, "" when it has none."""
    return _about(field, "unit")


def default_of(field: FieldInfo) -> str:
    """Return a key's default as it would stand in the file, or in words; "" when the key is required."""
    if field.is_required():
        return ""
    if words := _about(field, "default_text"):
        return words
    return f"`{_toml(field.default)}`"


def _section(section: type[Section]) -> str:
    title, _, text = (section.__doc__ or "").partition(": ")
    rows = [_row(name, field) for name, field in section.model_fields.items()]
    return "\n".join(
        [
            f"## {title}",
            "",
            f"{text[0].upper()}{text[1:]}",
            "",
            "| key | unit | default | allowed | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(name: str, field: FieldInfo) -> str:
    default = default_of(field) or "**required**"
    return f"| `{name}` | {unit_of(field)} | {default} | {_about(field, 'allowed')} | {field.description} |"


def _about(field: FieldInfo, what: str) -> str:
    about = field.json_schema_extra
    return str(about.get(what, "")) if isinstance(about, dict) else ""


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value:.12g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.stdout.write(reference())
