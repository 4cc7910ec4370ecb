"""The keys of a buyer: from its root file, or from a keystore whose password lies in a private file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from settlement.errors import KeyFileError
from settlement.files import read_private
from settlement.keyring import KeyRing
from settlement.keys import load_or_create_root
from settlement.keystore import read_keystore

if TYPE_CHECKING:
    from pathlib import Path

    from aggregator.config import AggregatorConfig

_PASSWORD_BYTES_MAX: Final = 1_024


def open_keys(config: AggregatorConfig) -> KeyRing | None:
    """Return the keys that a configuration names, None when it names none; a root file is made at the first start.

    Raises KeyFileError.
    """
    if config.root_file is not None:
        return KeyRing(load_or_create_root(config.directory / config.root_file))
    if config.keystore is None or config.password_file is None:
        return None
    password = read_password(config.directory / config.password_file)
    return read_keystore(config.directory / config.keystore, password)


def read_password(path: Path) -> str:
    """Return the password in a private file, without the end of its line. Raises KeyFileError."""
    data = read_private(path, _PASSWORD_BYTES_MAX)
    if data is None:
        raise KeyFileError(path, "is not there", "put the keystore's password into it, mode 0600")
    try:
        password = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise KeyFileError(path, "is no UTF-8 text", "put the keystore's password into it") from None
    if not password:
        raise KeyFileError(path, "is empty", "put the keystore's password into it")
    return password
