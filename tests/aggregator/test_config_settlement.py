"""The `[settlement]` table and the keys that it needs: what a right one means, and one clear line for a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.config import AggregatorConfig, load_config
from aggregator.errors import ConfigError
from aggregator.keys import open_keys
from settlement import KeyFileError, KeyRing, WrongPasswordError, create_keystore, to_base58
from settlement.base58 import from_base58

EXAMPLE = Path(__file__).parents[2] / "deploy/examples/aggregator-settled.toml"
ADDRESS = to_base58(bytes([7]) * 32)
GOOD = f"""\
name = "north"
root_file = "north.root"
[network]
trusted_peers = "any"
[value]
forecast_c = [12]
[settlement]
rpc = ["http://127.0.0.1:8899", "https://api.devnet.solana.com"]
program_id = "{to_base58(bytes([4]) * 32)}"
genesis = "{to_base58(bytes([5]) * 32)}"
mint = "{to_base58(bytes([6]) * 32)}"
resolver = "{ADDRESS}"
"""


def load(tmp_path: Path, text: str) -> AggregatorConfig:
    path = tmp_path / "buyer.toml"
    path.write_text(text)
    return load_config(path)


def test_a_right_table_means_what_it_says(tmp_path: Path) -> None:
    settlement = load(tmp_path, GOOD + 'tolerance_wh = 7\noutbox = "o.db"\n').settlement
    assert settlement is not None
    terms = settlement.terms
    assert (terms.venue.program_id, terms.venue.genesis_hash, terms.venue.mint) == tuple(
        bytes([byte]) * 32 for byte in (4, 5, 6)
    )
    assert (terms.resolver, terms.fee_bps, terms.base_units_per_cent, terms.dispute_window_s) == (
        bytes([7]) * 32,
        50,
        10_000,
        86_400,
    )
    assert (settlement.tolerance_wh, settlement.tolerance_percent, settlement.cosign) == (7, 2, True)
    assert (settlement.cheques, settlement.outbox, settlement.valid_for_s) == ("cheques.db", "o.db", 259_200)


def test_without_the_table_nothing_is_settled(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.partition("[settlement]")[0]).settlement is None


def test_the_example_is_a_file_that_loads_and_names_real_addresses() -> None:
    config = load_config(EXAMPLE)
    assert config.settlement is not None
    assert config.settlement.terms.resolver == from_base58(config.settlement.resolver, field="resolver")
    shown = [line[1:] for line in EXAMPLE.read_text().splitlines() if line.startswith("#") and line[1:2] not in "# "]
    defaults = load_config(EXAMPLE).settlement
    assert defaults is not None
    for line in filter(None, shown):
        key, _, value = line.partition(" = ")
        assert str(getattr(defaults, key)) == value.strip('"'), line


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (f'resolver = "{ADDRESS}"\n', "", 7, "settlement.resolver: is missing: Wallet that rules on disputes"),
        ("resolver", "resolvr", 12, 'settlement.resolvr: unknown key, did you mean "resolver"?'),
        ("mint = ", "fee = 1\nmint = ", 11, "settlement.fee: unknown key"),
        (ADDRESS, ADDRESS[:-1], 12, "settlement.resolver: "),
        (ADDRESS, "0" + ADDRESS[1:], 12, "'0' is no letter of base58"),
        (ADDRESS, "1" * 32, 12, "is the address of nobody"),
        (ADDRESS, "", 12, "base58 of 0 bytes, not 32"),
        (ADDRESS, ADDRESS * 40, 12, "characters, 32 bytes have fewer in base58"),
        ('"https://api.devnet.solana.com"', '"api.devnet.solana.com"', 8, "is not a URL like http://127.0.0.1:8899"),
        ('"https://api.devnet.solana.com"', '"ftp://a"', 8, "is not a URL"),
        ('"https://api.devnet.solana.com"', '"http://:80"', 8, "is not a URL"),
        ('"https://api.devnet.solana.com"', '"http://a:99999"', 8, "is not a URL"),
        ('"https://api.devnet.solana.com"', '"http://[::1"', 8, "is not a URL"),
        ('"https://api.devnet.solana.com"', '"http://127.0.0.1:8899"', 8, "one endpoint twice"),
        (
            '"http://127.0.0.1:8899", "https://api.devnet.solana.com"',
            "",
            8,
            "settlement.rpc: list should have at least",
        ),
        ('"https://api.devnet.solana.com"', ", ".join(f'"http://a{n}"' for n in range(8)), 8, "at most 8 items"),
        ("resolver", "fee_bps = 501\nresolver", 12, "settlement.fee_bps: input should be less than or equal to 500"),
        ("resolver", "base_units_per_cent = 0\nresolver", 12, "greater than or equal to 1"),
        ("resolver", "base_units_per_cent = 10000001\nresolver", 12, "less than or equal to 10000000"),
        ("resolver", "valid_for_s = 86399\nresolver", 12, "greater than or equal to 86400"),
        ("resolver", "valid_for_s = 604801\nresolver", 12, "less than or equal to 604800"),
        ("resolver", "cosign = 1\nresolver", 12, "settlement.cosign: input should be a valid boolean"),
        ("resolver", 'cheques = ""\nresolver', 12, "settlement.cheques: '' is not a path"),
        ("resolver", 'cheques = "outbox.db"\nresolver', 7, "cheques and outbox are one file, 'outbox.db'"),
        ('trusted_peers = "any"', 'peers = "open"', 0, 'settlement needs peers = "signed"'),
        ('root_file = "north.root"', "", 0, "root_file is required with peers"),
        (
            'root_file = "north.root"',
            'root_file = "r"\nkeystore = "k"\npassword_file = "p"',
            0,
            "come from one of them",
        ),
        ('root_file = "north.root"', 'keystore = "k"', 0, "keystore and password_file belong together"),
        ('root_file = "north.root"', 'password_file = "p"\nroot_file = "r"', 0, "belong together"),
        ('root_file = "north.root"', 'keystore = "\\u0000"\npassword_file = "p"', 2, "is not a path"),
    ],
)
def test_a_wrong_table_gets_one_line_with_file_line_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    text = str(caught.value)
    assert says in text
    assert text.startswith(f"{tmp_path / 'buyer.toml'}:{line}: " if line else f"{tmp_path / 'buyer.toml'}: ")
    assert "\n" not in text


def test_keys_come_from_a_root_file_that_is_made_at_the_first_start(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    keys = open_keys(config)
    assert keys is not None
    assert keys == open_keys(config) == KeyRing((tmp_path / "north.root").read_bytes())


def with_keystore(tmp_path: Path, password: str | bytes | None) -> AggregatorConfig:
    if password is not None:
        path = tmp_path / "password"
        path.write_bytes(password if isinstance(password, bytes) else password.encode())
        path.chmod(0o600)
    text = GOOD.replace('root_file = "north.root"', 'keystore = "keys"\npassword_file = "password"')
    return load(tmp_path, text)


def test_keys_come_from_a_keystore_whose_password_lies_in_a_private_file(tmp_path: Path) -> None:
    ring = KeyRing(bytes([8]) * 32)
    create_keystore(tmp_path / "keys", ring, "correct horse", log2_n=4)
    for password in ("correct horse", "correct horse\n", "correct horse\r\n"):
        assert open_keys(with_keystore(tmp_path, password)) == ring
    with pytest.raises(WrongPasswordError):
        open_keys(with_keystore(tmp_path, "correct horse \n"))


@pytest.mark.parametrize(
    ("password", "says"),
    [(None, "password: is not there"), ("\n", "password: is empty"), (b"\xff", "password: is no UTF-8 text")],
)
def test_a_password_file_that_holds_none_is_named(tmp_path: Path, password: str | bytes | None, says: str) -> None:
    create_keystore(tmp_path / "keys", KeyRing(bytes([8]) * 32), "correct horse", log2_n=4)
    with pytest.raises(KeyFileError, match=says):
        open_keys(with_keystore(tmp_path, password))


def test_a_password_that_others_can_read_is_none(tmp_path: Path) -> None:
    config = with_keystore(tmp_path, "correct horse")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(KeyFileError, match="group or others may use it"):
        open_keys(config)


def test_a_buyer_may_have_no_keys(tmp_path: Path) -> None:
    text = 'name = "n"\n[network]\npeers = "open"\n[value]\nforecast_c = [1]\n'
    assert open_keys(load(tmp_path, text)) is None
