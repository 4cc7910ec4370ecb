"""A battery's keys: the same from a root file and from a keystore, and no start with a file that must not be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.config import load_site
from agent.keys import BatteryKeys
from settlement import KeyFileError, KeyRing, WrongPasswordError, create_keystore

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_values import Site

SITE = '[site]\nname = "test"\nlab = true\n[[battery]]\nname = "home"\nreserve_c_per_kwh = 1.0\n'
KEYSTORE = 'keystore = "home.keystore"\npassword_file = "home.password"\n'
ROOT = bytes([7]) * 32


def site(directory: Path, keys: str = KEYSTORE, password: str = "four words in a line") -> Site:
    (directory / "site.toml").write_text(SITE + keys)
    create_keystore(directory / "home.keystore", KeyRing(ROOT), "four words in a line", log2_n=4)
    (directory / "home.password").write_text(f"{password}\n")
    (directory / "home.password").chmod(0o600)
    return load_site(directory / "site.toml")


def test_a_keystore_holds_the_same_keys_as_the_root_file_it_was_made_from(tmp_path: Path) -> None:
    found = site(tmp_path)
    keys = BatteryKeys()
    keys.open_keystores(found)
    [battery] = found.batteries
    root = tmp_path / "root"
    root.write_bytes(ROOT)
    root.chmod(0o600)
    plain = replace(battery, keystore=None, password_file=None, root_file=root)
    for purpose in ("identity", "wallet"):
        mine = getattr(keys, purpose)(battery)
        assert mine.public_key == getattr(BatteryKeys(), purpose)(plain).public_key
        assert len(mine.sign(b"bytes")) == 64
    assert keys.identity(battery).public_key != keys.wallet(battery).public_key


def test_a_replaced_wallet_is_the_one_that_pays(tmp_path: Path) -> None:
    found = site(tmp_path)
    (tmp_path / "home.keystore").unlink()
    ring = KeyRing(ROOT).replace("wallet", bytes([9]) * 32)
    create_keystore(tmp_path / "home.keystore", ring, "four words in a line", log2_n=4)
    [battery] = found.batteries
    assert BatteryKeys().wallet(battery).public_key == ring.public_keys["wallet"]


def test_a_wrong_password_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(WrongPasswordError, match="this password does not open it"):
        BatteryKeys().open_keystores(site(tmp_path, password="another"))


@pytest.mark.parametrize("name", ["home.keystore", "home.password"])
def test_a_file_that_others_may_read_ends_the_start(tmp_path: Path, name: str) -> None:
    found = site(tmp_path)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(KeyFileError, match="group or others may use it"):
        BatteryKeys().open_keystores(found)


@pytest.mark.parametrize("name", ["home.keystore", "home.password"])
def test_a_file_that_is_missing_ends_the_start(tmp_path: Path, name: str) -> None:
    found = site(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(KeyFileError, match="is not there"):
        BatteryKeys().open_keystores(found)


def test_a_damaged_keystore_ends_the_start(tmp_path: Path) -> None:
    found = site(tmp_path)
    path = tmp_path / "home.keystore"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match="is damaged"):
        BatteryKeys().open_keystores(found)


@pytest.mark.parametrize(("content", "told"), [(b"", "empty first line"), (b"\nx", "empty"), (b"\xff\xfe", "no text")])
def test_a_password_file_without_a_password_ends_the_start(tmp_path: Path, content: bytes, told: str) -> None:
    found = site(tmp_path)
    (tmp_path / "home.password").write_bytes(content)
    with pytest.raises(KeyFileError, match=told):
        BatteryKeys().open_keystores(found)
