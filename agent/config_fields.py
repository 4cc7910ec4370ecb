"""Building blocks of the site file: how a key is declared, and the checks of single values.

A check raises ValueError with what is wrong; what is allowed stands with the key.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticUndefined

from agent.pricing.forecast import ForecastError, zone_of
from etp.units import is_on_energy_grid, is_on_price_grid

PRICE_MAX: Final = 100_000.0
TRUE_FALSE: Final = "true or false"
PERCENT: Final = "0..100 in steps of 0.1"
PRICE: Final = f"0..{PRICE_MAX:.12g} in steps of 0.01"
SIGNED_PRICE: Final = f"-{PRICE_MAX:.12g}..{PRICE_MAX:.12g} in steps of 0.01"
SITE_NAME: Final = "3..40 of a-z, 0-9 and -, not beginning with -"
BATTERY_NAME: Final = "1..40 of a-z, 0-9 and -, not beginning with -"
IP_ADDRESS: Final = 'an IP address or "localhost"'
MULTICAST_ADDRESS: Final = "a multicast address"
ENDPOINT: Final = '"host:port", "[IPv6 address]:port"; port 1..65535'
PATH: Final = "a path without control characters, at most 1,000 long"
_PATH_PATTERN: Final = r"^[^\x00-\x1f\x7f]{1,1000}$"
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_KEY_DIGITS: Final = re.compile(r"[0-9a-fA-F]{64}")
_KEYS_MAX: Final = 1_024


class Section(BaseModel):
    """One table of the file: strict types, no unknown keys, never changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def key(
    default: Any = PydanticUndefined,
    *,
    text: str,
    unit: str = "",
    allowed: str = "",
    default_text: str = "",
    path: bool = False,
    **constraints: Any,
) -> Any:
    """Declare a key of the file; without a default it is required.

    `allowed` is derived from `ge` and `le` when it is not given; `default_text` says what a default of None means.
    """
    if path:
        allowed, constraints["pattern"] = PATH, _PATH_PATTERN
    about: dict[str, Any] = {
        "unit": unit,
        "allowed": allowed or f"{constraints['ge']}..{constraints['le']}",
        "default_text": default_text,
    }
    return Field(default, description=text, json_schema_extra=about, **constraints)


def on_price_grid(value: float) -> float:
    """Refuse a price that is not a whole number of 0.01 c/kWh."""
    if not is_on_price_grid(value):
        raise ValueError(f"{value:.12g} is not a multiple of 0.01")
    return value


def on_tenths(value: float) -> float:
    """Refuse a number with more than one decimal: per cent become permille, degrees tenths."""
    if not is_on_energy_grid(value):
        raise ValueError(f"{value:.12g} is not a multiple of 0.1")
    return value


Price = Annotated[float, AfterValidator(on_price_grid)]
Tenths = Annotated[float, AfterValidator(on_tenths)]


def time_zone(value: str) -> str:
    """Return the name of a time zone that this machine knows."""
    try:
        zone_of(value)
    except ForecastError as error:
        raise ValueError(str(error)) from None
    return value


def ip_address(value: str) -> str:
    """Return an IP address in its usual form; "localhost" is 127.0.0.1."""
    if value == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f'"{value[:60]}" is not an IP address') from None


def multicast_address(value: str) -> str:
    """Return a multicast address in its usual form."""
    address = ip_address(value)
    if not ipaddress.ip_address(address).is_multicast:
        raise ValueError(f'"{value[:60]}" is not a multicast address')
    return address


def endpoint(value: str) -> str:
    """Return "host:port" as it is when it can be connected to."""
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        good_host = _is_ip(host[1:-1], version=6)
    else:
        good_host = _HOST.fullmatch(host) is not None and all(0 < len(part) <= 63 for part in host.split("."))
    if not colon or not good_host or not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise ValueError(f'"{value[:60]}" is not an endpoint')
    return value


def host_of(address: str) -> str:
    """Return the host of an endpoint, without the brackets of an IPv6 address."""
    return address.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: a loopback address, or the name "localhost"."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusted_keys(value: object) -> object:
    """Return "any", or public keys as lower-case hex."""
    if value is None or value == "any":
        return value
    if not isinstance(value, list):
        raise ValueError('neither a list of keys nor "any"')  # noqa: TRY004 - pydantic collects ValueError
    if not 1 <= len(value) <= _KEYS_MAX:
        raise ValueError(f"{len(value)} keys")
    keys = [one.lower() if isinstance(one, str) else "" for one in value]
    for position, one in enumerate(keys, start=1):
        if not _KEY_DIGITS.fullmatch(one):
            raise ValueError(f"entry {position} is not a key of 64 hex digits")
    if len(set(keys)) != len(keys):
        raise ValueError("a key stands there twice")
    return keys


def _is_ip(text: str, *, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
