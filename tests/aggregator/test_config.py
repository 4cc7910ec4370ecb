"""Configuration files: what a right one means, and one clear line for each wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.config import FILE_BYTES_MAX, AggregatorConfig, is_loopback, load_config, parse_endpoint
from aggregator.config_lines import line_of
from aggregator.errors import ConfigError
from etp.discovery import Endpoint

GOOD = """\
name = "north"
seed = 7
[network]
peers = "open"
batteries = ["127.0.0.1:4084", "[::1]:4085"]
[buy]
need_kwh = 10
budget_c = 150.5
[value]
forecast_c = [12.0, nan, -3]
fee_c = 1
[strategy]
name = "conservative"
room_c = 0.25
"""


def load(tmp_path: Path, text: str) -> AggregatorConfig:
    path = tmp_path / "buyer.toml"
    path.write_text(text)
    return load_config(path)


def test_a_right_file_means_what_it_says(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert (config.name, config.seed, config.buy.need_kwh, config.buy.budget_c) == ("north", 7, 10.0, 150.5)
    assert config.network.endpoints == (Endpoint("127.0.0.1", 4084), Endpoint("::1", 4085))
    assert config.network.trusted_keys is None
    assert config.make_strategy().name == "conservative"
    assert not config.is_sealed
    curve = config.value.curve(config.directory)
    assert curve.values_e4 == (120_000, None, -30_000)
    assert config.directory == tmp_path.resolve()


def test_defaults_are_signed_truthful_and_without_limit(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        f"""
name = "n"
root_file = "n.root"
[network]
trusted_peers = ["{"ab" * 32}"]
[value]
forecast_file = "spot.csv"
[strategy]
rule = "sealed_second"
""".replace("forecast_file", "forecast_c = [1]\n#"),
    )
    assert (config.network.peers, config.strategy.name, config.buy.need_kwh) == ("signed", "truthful", None)
    assert config.network.trusted_keys == frozenset({bytes.fromhex("ab" * 32)})
    assert config.is_sealed


def test_a_forecast_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "spot.csv").write_text("2026-01-01T00:00:00,1\n2026-01-01T01:00:00,2\n")
    config = load(tmp_path, GOOD.replace("forecast_c = [12.0, nan, -3]", 'forecast_file = "spot.csv"'))
    assert config.value.curve(config.directory).values_e4 == (10_000, 20_000)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('name = "north"', "", 0, "name: is missing: What people call"),
        ("seed = 7", "seed = -1", 2, "seed: input should be greater than or equal to 0, not -1 (Start of"),
        ("seed = 7", "sed = 7", 2, 'sed: unknown key, did you mean "seed"?; allowed: name, seed, root_file'),
        ('name = "north"', 'nam = "north"', 1, 'nam: unknown key, did you mean "name"?; allowed: name, seed'),
        ("[network]", "[netwrok]", 3, 'netwrok: unknown key, did you mean "network"?'),
        ('name = "north"', "zzz = 1", 0, "name: is missing"),
        ("seed = 7", "directory = 7", 2, "directory: allowed: name"),
        ("seed = 7", "seed = 7.5", 2, "seed: input should be a valid integer"),
        ("seed = 7", "seed = ", 2, "is not TOML"),
        ("seed = 7", f"seed = {'[' * 20_000}", 0, "is not TOML: nested too deeply"),
        ('"north"', '"no\\nrth"', 1, "name: 'no\\nrth': a name has no control characters"),
        ('"north"', '" "', 1, "name: ' ': a name has no control characters, and no spaces at its ends"),
        ("seed = 7", 'status_file = ""', 2, "status_file: '' is not a path"),
        ("seed = 7", 'status_file = "a\\u0000b"', 2, "status_file: 'a\\x00b' is not a path"),
        ("seed = 7", 'root_file = "a\\u0000b"', 2, "root_file: 'a\\x00b' is not a path"),
        ("need_kwh = 10", "need_kwh = 0.05", 6, "buy: need_kwh = 0.05 is less than min_bid_kwh = 0.1: no bid fits"),
        ("need_kwh = 10", "max_bid_kwh = 1\nmin_bid_kwh = 2", 6, "max_bid_kwh = 1 is less than min_bid_kwh = 2"),
        (
            "forecast_c = [12.0, nan, -3]",
            'forecast_file = "/dev/zero"',
            10,
            "cannot read /dev/zero: not a regular file",
        ),
        (
            "forecast_c = [12.0, nan, -3]",
            'forecast_file = "a\\u0000b"',
            10,
            "value.forecast_file: 'a\\x00b' is not a path",
        ),
        ('peers = "open"', 'peers = "maybe"', 4, "network.peers: input should be 'open' or 'signed'"),
        ('peers = "open"', "", 3, "network: trusted_peers is required"),
        ('peers = "open"', 'peers = "signed"\ntrusted_peers = "any"', 0, "root_file is required"),
        ('peers = "open"', 'peers = "open"\ntrusted_peers = ["abc"]', 5, "'abc' is not a key of 64 hex digits"),
        ('peers = "open"', 'peers = "open"\ntrusted_peers = "all"', 5, "network.trusted_peers"),
        ('peers = "open"', 'peers = "open"\nport = 5', 5, "network.port: unknown key; allowed: peers, trusted_peers"),
        ('peers = "open"', 'peers = "open"\ngroup = "224.0.0"', 5, "network.group: '224.0.0' does not appear"),
        ("127.0.0.1:4084", "127.0.0.1", 5, "'127.0.0.1' is not \"host:port\""),
        ("127.0.0.1:4084", "127.0.0.1:70000", 5, "port from 1 to 65535"),
        ("127.0.0.1:4084", f"127.0.0.1:{'9' * 5_000}", 5, "port from 1 to 65535"),
        ("127.0.0.1:4084", f"{'a' * 70}:4084", 5, "not an address or a host name"),
        ("127.0.0.1:4084", "ü..x:4084", 5, "'ü..x:4084': not an address or a host name"),
        ("127.0.0.1:4084", "a b:4084", 5, "not an address or a host name"),
        ("127.0.0.1:4084", f"{'a.' * 130}x:4084", 5, "not an address or a host name"),
        ("127.0.0.1:4084", "192.168.1.5:4084", 3, "192.168.1.5:4084 is not loopback"),
        ('batteries = ["127.0.0.1:4084", "[::1]:4085"]', "multicast = false", 3, "no batteries to buy from"),
        ("need_kwh = 10", "need_kwh = 0", 7, "buy.need_kwh: input should be greater than 0, not 0 (Energy to buy"),
        ("need_kwh = 10", "need_kwh = true", 7, "buy.need_kwh: input should be a valid number, not True"),
        ("need_kwh = 10", 'need_kwh = "10"', 7, "buy.need_kwh: input should be a valid number, not '10'"),
        ("forecast_c = [12.0, nan, -3]", "", 9, "value: exactly one of forecast_c and forecast_file"),
        ("forecast_c = [12.0, nan, -3]", "forecast_c = [inf]", 9, "prices are at most"),
        ("forecast_c = [12.0, nan, -3]", 'forecast_file = "no.csv"', 10, "value: cannot read"),
        ("forecast_c = [12.0, nan, -3]", 'forecast_c = [1, "x"]', 10, "value.forecast_c: input should be a valid num"),
        ("[value]\nforecast_c = [12.0, nan, -3]\nfee_c = 1", "", 0, "value: is missing: What a kWh is worth"),
        ('name = "conservative"', 'name = "greedy"', 13, "strategy.name: 'greedy' is not one of random"),
        ("room_c = 0.25", "edge_c = 1", 14, "strategy.edge_c: unknown; conservative takes room_c"),
        ("room_c = 0.25", "room_c = -1", 14, "strategy.room_c: must be a number from 0 to 1000"),
        ("room_c = 0.25", 'rule = "dutch"', 14, "strategy.rule: input should be 'standing_bid', 'sealed_first'"),
    ],
)
def test_a_wrong_file_gets_one_line_with_file_line_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    text = str(caught.value)
    place = f"buyer.toml:{line}: " if line else "buyer.toml: "
    assert place in text
    assert says in text
    assert "\n" not in text


def test_a_file_from_another_system_means_the_same(tmp_path: Path) -> None:
    path = tmp_path / "buyer.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_config(path).name == "north"


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "none.toml", "there is no such file; deploy/examples/aggregator.toml is one to start from"),
        (tmp_path, "cannot be read (Is a directory)"),
        (tmp_path / "a\0b", "cannot be read (embedded null byte)"),
        (Path("/dev/zero"), f"is too large; allowed: at most {FILE_BYTES_MAX} bytes"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value) == f"{path}: {says}"
    (tmp_path / "bytes.toml").write_bytes(b"# \n\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml:2: is not UTF-8 text"):
        load_config(tmp_path / "bytes.toml")


def test_a_status_file_takes_the_place_of_a_regular_file_or_of_none(tmp_path: Path) -> None:
    for name in (".", "/dev/null"):
        with pytest.raises(ConfigError, match=r"buyer\.toml:1: status_file: is there and no regular file"):
            load(tmp_path, f'status_file = "{name}"\n{GOOD}')
    assert load(tmp_path, f'status_file = "status.json"\n{GOOD}').status_file == "status.json"


def test_open_peers_beyond_this_machine_must_be_wanted(tmp_path: Path) -> None:
    text = GOOD.replace("127.0.0.1:4084", "10.0.0.5:4084").replace(
        'peers = "open"', 'peers = "open"\nopen_on_network = true'
    )
    assert load(tmp_path, text).network.endpoints[0] == Endpoint("10.0.0.5", 4084)


def test_endpoints_and_loopback() -> None:
    assert parse_endpoint("localhost:1") == Endpoint("localhost", 1)
    for bad in ("", ":1", "host:", "host:0", "host:x", "host:¹"):
        with pytest.raises(ValueError, match="host:port"):
            parse_endpoint(bad)
    assert [is_loopback(host) for host in ("localhost", "127.9.9.9", "::1", "example.org", "10.0.0.1")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_line_of_a_key_or_of_the_nearest_table() -> None:
    text = 'a = 1\n[b]\n"c" = 2\nd.e = 3\n[f.g]\nh = [\n 1,\n]\n'
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b", "c")) == 3
    assert line_of(text, ("b", "x")) == 2
    assert line_of(text, ("b", "d", "e")) == 4
    assert line_of(text, ("f", "g", "h")) == 6
    assert line_of(text, ("nowhere",)) == 0
