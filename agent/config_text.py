"""What a site file means, with everything filled in: as text with units for people, as integers for machines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.config_fields import Section
from agent.config_reference import default_of, unit_of
from agent.config_reserve import ReserveSection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config_model import SiteFile
    from agent.config_values import Site


_KEY_DIGITS: Final = 64


def effective_text(path: Path, file: SiteFile) -> str:
    """Return every key of a file whose defaults are filled in, with its unit."""
    lines = [f"{path}: valid"]
    for name in type(file).model_fields:
        value = getattr(file, name)
        if value is None:
            lines += ["", f"[{name}]", "  (not there)"]
        for section in value if isinstance(value, list) else [] if value is None else [value]:
            header = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            lines += ["", header, *_keys(section)]
    return "\n".join(lines)


def effective_json(site: Site) -> dict[str, Any]:
    """Return the agent's values as JSON-able objects; prices in 1/10 000 c/kWh, the rest as the names say."""
    plain = _plain(asdict(site))
    return plain if isinstance(plain, dict) else {}


def _keys(section: Section) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, ReserveSection) and value.kind == "tiers":
            for tier in value.tiers or ():
                yield f"  {'reserve':<20} {tier.c_per_kwh:.2f} c/kWh from {tier.from_soc_percent:.12g} % upwards"
        elif isinstance(value, ReserveSection):
            yield from _dynamic(value, "reserve")
        elif value is not None:
            yield f"  {name:<20} {_text(value)} {unit_of(field)}".rstrip()
        elif name not in ("reserve", "reserve_c_per_kwh"):
            yield f"  {name:<20} ({default_of(field)})"


def _dynamic(section: Section, prefix: str) -> Iterator[str]:
    """Return the keys of a dynamic reserve that say something, those of its forecasts with their place."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _dynamic(value, f"{prefix}.{name}")
        elif isinstance(value, list):
            for time in value:
                yield f"  {f'{prefix}.{name}':<20} {time.c_per_kwh:.2f} c/kWh from {time.from_time}"
        elif value is not None:
            yield f"  {f'{prefix}.{name}':<20} {_text(value)} {unit_of(field)}".rstrip()
        elif name.startswith(("wear", "end")):
            yield f"  {f'{prefix}.{name}':<20} ({default_of(field)})"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        texts = [str(one) for one in value]
        is_keys = all(len(text) == _KEY_DIGITS for text in texts)
        return f"{len(texts)} keys: {', '.join(text[:16] for text in texts)}" if is_keys else ", ".join(texts)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Return a value without types that JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, frozenset):
        return sorted(one.hex() for one in value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, Path) else value
