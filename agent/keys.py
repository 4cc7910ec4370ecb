"""The keys of a gateway's batteries: from a root file, or from a keystore under a password; each read once.

What signs is only known by `etp.auth.Signer` (a public key, and a signature over bytes): a battery whose keys lie in
hardware needs another `Surroundings.signer` and `wallet`, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from settlement.errors import KeyFileError
from settlement.files import read_private
from settlement.keyring import KeyRing
from settlement.keys import load_or_create_root
from settlement.keystore import read_keystore

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_values import BatterySite, Site
    from etp.auth import Signer

PASSWORD_BYTES_MAX: Final = 1_024


class BatteryKeys:
    """Key rings by battery, in memory only."""

    def __init__(self) -> None:
        self._rings: dict[str, KeyRing] = {}

    def open_keystores(self, site: Site) -> None:
        """Open every keystore of a site, about a second each: before anything else starts. Raises KeyFileError."""
        for battery in site.batteries:
            if battery.keystore is not None:
                self._ring(battery)

    def identity(self, battery: BatterySite) -> Signer:
        """Return what signs a battery's frames, contracts and receipts. Raises KeyFileError."""
        return self._ring(battery).identity

    def wallet(self, battery: BatterySite) -> Signer:
        """Return what signs a battery's transactions. Raises KeyFileError."""
        return self._ring(battery).signer("wallet")

    def _ring(self, battery: BatterySite) -> KeyRing:
        if battery.name not in self._rings:
            self._rings[battery.name] = _read(battery)
        return self._rings[battery.name]


def _read(battery: BatterySite) -> KeyRing:
    if battery.keystore is not None and battery.password_file is not None:
        return read_keystore(battery.keystore, _password_in(battery.password_file))
    return KeyRing(load_or_create_root(battery.root_file))


def _password_in(path: Path) -> str:
    """Return the first line of a password file."""
    data = read_private(path, PASSWORD_BYTES_MAX)
    if data is None:
        raise KeyFileError(path, "is not there", "write the keystore's password into it, mode 0600")
    try:
        password = data.decode().splitlines()[0] if data else ""
    except UnicodeDecodeError:
        raise KeyFileError(path, "is no text in UTF-8", "write the keystore's password into it") from None
    if not password:
        raise KeyFileError(path, "has an empty first line", "write the keystore's password into it")
    return password
