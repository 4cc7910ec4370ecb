"""The aggregator's configuration file: TOML, strict, every key documented with its unit.

`load_config` gives one frozen value or one `ConfigError` line with file, line, key and what is allowed. Paths are
relative to the file. Nothing reads the file again later.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aggregator.config_lines import line_of
from aggregator.config_settlement import Settlement  # noqa: TC001 - the model reads its annotations
from aggregator.config_table import Table, shown, usable_path
from aggregator.errors import ConfigError, ForecastError, StrategyError
from aggregator.forecast import Forecast
from aggregator.strategies import Strategy, make_strategy
from etp.discovery import DEFAULT_PORT, DEFAULT_TTL, GROUP_V4, Endpoint

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_C: Final = 10_000
_RULES = Literal["standing_bid", "sealed_first", "sealed_second", "ascending_clock", "first_acceptable"]
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NAME_CHARS_MAX: Final = 253
FILE_BYTES_MAX: Final = 4 << 20
"""A forecast of 100,000 prices fits; a device that never ends does not."""
_SEALED: Final = frozenset({"sealed_first", "sealed_second", "ascending_clock"})


class Network(Table):
    """Where batteries are and with whom we trade."""

    peers: Literal["open", "signed"] = "signed"
    """"signed": both sides prove their keys; "open": nobody does (lab, loopback)."""
    trusted_peers: list[str] | Literal["any"] | None = None
    """Public keys (64 hex digits) of batteries to buy from, or "any"; required when peers = "signed"."""
    open_on_network: bool = False
    """Allow peers = "open" beyond this machine."""
    batteries: list[str] = Field(default=[], max_length=1_024)
    """Batteries to dial whether they announce themselves or not: "host:port"."""
    multicast: bool = True
    """Look for batteries by multicast."""
    group: str = GROUP_V4
    """Multicast group of the batteries."""
    group_port: int = Field(default=DEFAULT_PORT, ge=1, le=65_535)
    """UDP port of the group."""
    ttl: int = Field(default=DEFAULT_TTL, ge=0, le=255)
    """Hops that our multicast Query may take."""
    interface: str = ""
    """Interface to look on, by name or IPv4 address; "" = the system's choice."""
    max_batteries: int = Field(default=512, ge=1, le=4_096)
    """Batteries to be connected to at once."""

    @field_validator("trusted_peers")
    @classmethod
    def _keys(cls, value: list[str] | str | None) -> list[str] | str | None:
        for key in value if isinstance(value, list) else ():
            if len(key) != 64 or set(key) - set("0123456789abcdefABCDEF"):
                raise ValueError(f"{key[:70]!r} is not a key of 64 hex digits")
        return value

    @field_validator("batteries")
    @classmethod
    def _endpoints(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_endpoint(text)
        return value

    @field_validator("group")
    @classmethod
    def _is_group(cls, value: str) -> str:
        if not ipaddress.ip_address(value).is_multicast:
            raise ValueError(f"{value} is not a multicast address")
        return value

    @model_validator(mode="after")
    def _whom(self) -> Self:
        if self.peers == "signed" and self.trusted_peers is None:
            raise ValueError('trusted_peers is required with peers = "signed": a list of keys, or "any"')
        if self.peers == "open" and not self.open_on_network:
            for endpoint in self.endpoints:
                if not is_loopback(endpoint.host):
                    raise ValueError(f'{endpoint} is not loopback: peers = "open" needs open_on_network = true there')
        if not self.batteries and not self.multicast:
            raise ValueError("no batteries to buy from: list some, or multicast = true")
        return self

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The listed batteries."""
        return tuple(parse_endpoint(text) for text in self.batteries)

    @property
    def trusted_keys(self) -> frozenset[bytes] | None:
        """The keys to buy from, None = any."""
        return frozenset(map(bytes.fromhex, self.trusted_peers)) if isinstance(self.trusted_peers, list) else None


class Buy(Table):
    """How much to buy."""

    need_kwh: float | None = Field(default=None, gt=0, le=1e6)
    """Energy to buy in a period, kWh; without it, all there is."""
    budget_c: float | None = Field(default=None, gt=0, le=1e12)
    """Money to spend in a period, c; without it, no limit."""
    period_h: float = Field(default=24.0, ge=0, le=8_784)
    """Period after which need and budget start anew, h; 0 = never."""
    max_bid_kwh: float | None = Field(default=None, ge=0.1, le=1e6)
    """Largest quantity of one bid, kWh; without it, the whole lot."""
    min_bid_kwh: float = Field(default=0.1, ge=0.1, le=1e6)
    """Smallest quantity worth a bid, kWh."""

    @model_validator(mode="after")
    def _can_bid(self) -> Self:
        for key in ("need_kwh", "max_bid_kwh"):
            most_kwh = getattr(self, key)
            if most_kwh is not None and most_kwh < self.min_bid_kwh:
                raise ValueError(f"{key} = {most_kwh:g} is less than min_bid_kwh = {self.min_bid_kwh:g}: no bid fits")
        return self


class Value(Table):
    """What a kWh is worth."""

    forecast_c: list[float] = Field(default=[], max_length=100_000)
    """Expected resale prices, c/kWh, from local midnight on; repeats. One value = the same at all times; nan = none."""
    forecast_step_s: float | None = Field(default=None, gt=0, le=86_400)
    """How long each of them holds, s; by default they divide a day."""
    utc_offset_h: float = Field(default=0.0, ge=-14, le=14)
    """Local time less UTC, h."""
    forecast_file: str | None = None
    """Instead of forecast_c: a file of lines `2026-01-31T17:30:00+10:00,12.5` (time, c/kWh), evenly spaced."""
    fee_c: float = Field(default=0.0, ge=0, le=1e4)
    """Own cost of a kWh traded, c/kWh."""
    margin_c: float = Field(default=0.0, ge=0, le=1e4)
    """Risk margin, c/kWh."""
    private_spread_c: float = Field(default=0.0, ge=0, le=1e4)
    """Standard deviation of what a kWh is worth to this buyer alone, c/kWh, drawn anew each forecast step."""

    @field_validator("forecast_file")
    @classmethod
    def _is_path(cls, value: str | None) -> str | None:
        return usable_path(value)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.forecast_c) == (self.forecast_file is not None):
            raise ValueError("exactly one of forecast_c and forecast_file is needed")
        if any(math.isinf(value) or abs(value) > 1e5 for value in self.forecast_c):
            raise ValueError("forecast_c: prices are at most 100000 c/kWh")
        return self

    def curve(self, directory: Path) -> Forecast:
        """Return the forecast. Raises ForecastError."""
        if self.forecast_file is not None:
            path = directory / self.forecast_file
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise ForecastError(f"cannot read {path}: not a regular file")
            return Forecast.from_file(path)
        return Forecast.day(
            [None if math.isnan(value) else value for value in self.forecast_c],
            step_ms=None if self.forecast_step_s is None else round(self.forecast_step_s * 1_000),
            utc_offset_ms=round(self.utc_offset_h * 3_600_000),
        )


class Bidding(Table):
    """How to bid; every other key is a parameter of the strategy."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, use_attribute_docstrings=True)

    name: str = "truthful"
    """The strategy: random, conservative, aggressive, truthful, equilibrium, zip, win_rate or timing."""
    rule: _RULES = "standing_bid"
    """The auction rule of the batteries: sealed rules get one limit price, the others a rising bid."""


class AggregatorConfig(Table):
    """The whole file."""

    name: str = Field(min_length=1, max_length=64)
    """What people call this buyer."""
    seed: int = Field(default=0, ge=0, le=4_294_967_295)
    """Start of its chance: private values and random draws."""
    root_file: str | None = None
    """File with the 32 bytes that its keys come from, made at the first start; or a keystore, with peers = "signed"."""
    keystore: str | None = None
    """Instead of root_file: a keystore that `wattbid keys new` made."""
    password_file: str | None = None
    """Private file (mode 0600) with the password of the keystore."""
    status_file: str | None = None
    """File to write its state to every second, as JSON."""
    network: Network
    """Where batteries are and with whom we trade."""
    buy: Buy = Buy()
    """How much to buy."""
    value: Value
    """What a kWh is worth."""
    strategy: Bidding = Bidding()
    """How to bid."""
    settlement: Settlement | None = None
    """Where and how trades are paid."""
    directory: Path = Field(default=Path(), exclude=True)

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError(f"{shown(value)}: a name has no control characters, and no spaces at its ends")
        return value

    @field_validator("root_file", "keystore", "password_file", "status_file")
    @classmethod
    def _is_path(cls, value: str | None) -> str | None:
        return usable_path(value)

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if self.root_file is not None and self.keystore is not None:
            raise ValueError("root_file and keystore: its keys come from one of them")
        if (self.keystore is None) != (self.password_file is None):
            raise ValueError("keystore and password_file belong together: one of them is missing")
        has_keys = self.root_file is not None or self.keystore is not None
        if self.network.peers == "signed" and not has_keys:
            raise ValueError('root_file is required with peers = "signed", or keystore and password_file')
        if self.settlement is not None and self.network.peers != "signed":
            raise ValueError('settlement needs peers = "signed": what nobody signs cannot be paid')
        return self

    def make_strategy(self) -> Strategy:
        """Return the strategy. Raises StrategyError."""
        return make_strategy(
            self.strategy.name, self.strategy.model_extra or {}, spread_e4=round(self.value.private_spread_c * _C)
        )

    @property
    def is_sealed(self) -> bool:
        """Whether the batteries take one limit price a lot."""
        return self.strategy.rule in _SEALED


def load_config(path: Path) -> AggregatorConfig:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), line, "", "is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), 0, "", _why_unreadable(error)) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(str(path), 0, "", f"is too large; allowed: at most {FILE_BYTES_MAX} bytes")
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(str(path), 0, "", "is not TOML: nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        raise ConfigError(str(path), int(place[1]) if place else 0, "", f"is not TOML: {error}") from error
    if "directory" in tables:
        raise ConfigError(str(path), line_of(text, ("directory",)), "directory", _allowed(AggregatorConfig))
    try:
        config = AggregatorConfig.model_validate({**tables, "directory": path.resolve().parent})
        config.make_strategy()
        config.value.curve(config.directory)
    except ValidationError as error:
        raise _first_fault(path, text, error) from error
    except StrategyError as error:
        raise ConfigError(
            str(path), line_of(text, ("strategy", error.key)), f"strategy.{error.key}", error.reason
        ) from error
    except ForecastError as error:
        raise ConfigError(str(path), line_of(text, ("value", "forecast_file")), "value", str(error)) from error
    if config.status_file is not None and not _is_replaceable(config.directory / config.status_file):
        raise ConfigError(str(path), line_of(text, ("status_file",)), "status_file", "is there and no regular file")
    return config


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint of "host:port" or "[v6]:port". Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65_536:
        raise ValueError(f'{shown(text)} is not "host:port" with a port from 1 to 65535')
    if not _is_host(host):
        raise ValueError(
            f"{shown(text)}: not an address or a host name: its parts, between dots, have 1 to 63 letters, digits or -"
        )
    return Endpoint(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether an address, or the name localhost, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(host: str) -> bool:
    """Whether a name can be looked up: the system's resolver takes its parts in the form of RFC 3490."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            name = host.encode("idna").decode()
        except UnicodeError:
            return False
        return len(name) <= _NAME_CHARS_MAX and _NAME.fullmatch(name) is not None
    return True


def _is_replaceable(path: Path) -> bool:
    """Whether a file may be put there: it is written anew every second, in the place of what was there."""
    return path.is_file() or not path.exists()


def _why_unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; deploy/examples/aggregator.toml is one to start from"
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def _first_fault(path: Path, text: str, error: ValidationError) -> ConfigError:
    """Return the first fault of a file as one line."""
    fault = _misspelt_instead_of_missing(error.errors(include_url=False))
    keys = _keys_of(fault)
    model = _model_at(keys[:-1] if fault["type"] in {"extra_forbidden", "missing"} else keys)
    match fault["type"]:
        case "extra_forbidden":
            nearest = difflib.get_close_matches(keys[-1], _names(model), n=1)
            hint = f', did you mean "{nearest[0]}"?' if nearest else ""
            reason = f"unknown key{hint}; {_allowed(model)}"
        case "missing":
            field = model.model_fields.get(keys[-1])
            reason = f"is missing: {field.description if field else ''}"
        case "value_error":
            reason = str(fault["ctx"]["error"])
        case _:
            reason = f"{fault['msg'].lower()}, not {shown(fault['input'])}{_meaning(keys)}"
    return ConfigError(str(path), line_of(text, keys), ".".join(keys), reason)


def _misspelt_instead_of_missing(faults: list[ErrorDetails]) -> ErrorDetails:
    """Return the first fault; for a key that is missing an unknown one of its table: it is the same key, misspelt."""
    first = faults[0]
    if first["type"] == "missing":
        table = first["loc"][:-1]
        unknown = [fault for fault in faults if fault["type"] == "extra_forbidden" and fault["loc"][:-1] == table]
        near = difflib.get_close_matches(str(first["loc"][-1]), [str(fault["loc"][-1]) for fault in unknown], n=1)
        return next((fault for fault in unknown if fault["loc"][-1] in near), first)
    return first


def _keys_of(fault: ErrorDetails) -> tuple[str, ...]:
    return tuple(part for part in fault["loc"] if isinstance(part, str) and part not in {"list[str]", "literal['any']"})


def _model_at(keys: tuple[str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = AggregatorConfig
    for key in keys:
        field = model.model_fields.get(key)
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        table = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if table is None:
            break
        model = table
    return model


def _allowed(model: type[BaseModel]) -> str:
    return f"allowed: {', '.join(_names(model))}"


def _names(model: type[BaseModel]) -> list[str]:
    return [name for name in model.model_fields if name != "directory"]


def _meaning(keys: tuple[str, ...]) -> str:
    field = _model_at(keys[:-1]).model_fields.get(keys[-1]) if keys else None
    return f" ({field.description})" if field is not None and field.description else ""
