"""`wattbid keys`: make, show and move the keys of a device.

A password is asked for on the terminal or read from a private file, never taken from the command line, where every
process of the machine could read it. A key that is replaced is written to a file of its own first.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from settlement import KeyRing
    from settlement import Purpose as Name

app = typer.Typer(help="The keys of a device.", no_args_is_help=True, add_completion=False)
_USAGE: Final = 2
_PASSWORD_BYTES_MAX: Final = 1_024


class Purpose(Enum):
    """What a key is for."""

    identity = "identity"
    tls = "tls"
    wallet = "wallet"
    nonce = "nonce"


_File = Annotated[Path, typer.Argument(metavar="FILE", help="The keystore.")]
_Which = Annotated[Purpose, typer.Argument(metavar="PURPOSE", help="identity, tls, wallet or nonce.")]
_PasswordFile = Annotated[
    Path | None, typer.Option(help="A private file with the password; without it the terminal is asked.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Keep = Annotated[Path, typer.Option(help="A new private file for the key that goes (Solana's JSON).")]


@app.callback()
def keys() -> None:
    """Make, show and move the keys of a device."""


@app.command()
def new(
    file: _File,
    *,
    root_file: Annotated[Path | None, typer.Option(help="Take the keys of this root file; it stays as it is.")] = None,
    password_file: _PasswordFile = None,
    as_json: _Json = False,
) -> None:
    """Make a keystore with new keys, or with those of a root file."""
    from settlement import KeyRing, create_keystore

    with _complaints("new"):
        root = os.urandom(32) if root_file is None else _root_in(root_file)
        ring = KeyRing(root)
        create_keystore(file, ring, _password(password_file, new=True))
        _tell(file, ring.public_keys, as_json=as_json)


@app.command()
def show(
    file: _File,
    *,
    check: Annotated[bool, typer.Option("--check", help="Open it, which proves what it names.")] = False,
    password_file: _PasswordFile = None,
    as_json: _Json = False,
) -> None:
    """Show the public keys that a keystore names; no password is needed unless they shall be proved."""
    from settlement import read_keystore, read_public_keys

    with _complaints("show"):
        if check or password_file is not None:
            _tell(file, read_keystore(file, _password(password_file)).public_keys, as_json=as_json)
        else:
            _tell(file, read_public_keys(file), as_json=as_json)


@app.command()
def export(
    file: _File,
    purpose: _Which,
    *,
    to: Annotated[Path, typer.Option(help="The new private file; the key is in it unencrypted.")],
    pem: Annotated[bool, typer.Option("--pem", help="PEM instead of Solana's JSON.")] = False,
    password_file: _PasswordFile = None,
    as_json: _Json = False,
) -> None:
    """Write one key, unencrypted, to a new private file."""
    from settlement import read_keystore, to_pem, to_solana_json

    with _complaints("export"):
        ring = read_keystore(file, _password(password_file))
        seed = ring.seed(purpose.value)
        _write_new(to, to_pem(seed) if pem else to_solana_json(seed) + "\n")
        _tell(file, ring.public_keys, as_json=as_json, only=purpose)


@app.command(name="import")
def import_(
    file: _File,
    purpose: _Which,
    *,
    source: Annotated[Path, typer.Option(help="A private file with one key: Solana's JSON or PEM.")],
    keep: _Keep,
    password_file: _PasswordFile = None,
    as_json: _Json = False,
) -> None:
    """Put a key from elsewhere in the place of one."""
    from settlement import from_text
    from settlement.exchange import TEXT_BYTES_MAX

    with _complaints("import"):
        seed = from_text(_private_text(source, TEXT_BYTES_MAX))
        _replace(file, purpose, seed, keep, password_file, as_json=as_json)


@app.command()
def rotate(
    file: _File, purpose: _Which, *, keep: _Keep, password_file: _PasswordFile = None, as_json: _Json = False
) -> None:
    """Put a new key in the place of one. Move the money of a wallet first; a new identity is another device."""
    with _complaints("rotate"):
        _replace(file, purpose, os.urandom(32), keep, password_file, as_json=as_json)


def _replace(
    file: Path, purpose: Purpose, seed: bytes, keep: Path, password_file: Path | None, *, as_json: bool
) -> None:
    from settlement import change_keystore, read_keystore, to_solana_json

    password = _password(password_file)
    before = read_keystore(file, password)
    after: KeyRing = before.replace(purpose.value, seed)
    _write_new(keep, to_solana_json(before.seed(purpose.value)) + "\n")
    change_keystore(file, after, password)
    _tell(file, after.public_keys, as_json=as_json, only=purpose)


def _tell(file: Path, keys: Mapping[Name, bytes], *, as_json: bool, only: Purpose | None = None) -> None:
    from settlement import device_id, to_base58

    shown = {name: key for name, key in keys.items() if only in (None, Purpose(name))}
    if as_json:
        told = {name: {"public_key": key.hex(), "address": to_base58(key)} for name, key in shown.items()}
        print(json.dumps({"file": str(file), "device_id": str(device_id(keys["identity"])), "keys": told}))
        return
    for name, key in shown.items():
        print(f"{name:<10} {key.hex()}")
        if name == Purpose.wallet.value:
            print(f"{'address':<10} {to_base58(key)}")
        if name == Purpose.identity.value:
            print(f"{'device id':<10} {device_id(key)}")


def _root_in(path: Path) -> bytes:
    from settlement import KeyFileError
    from settlement.files import read_private
    from settlement.keys import ROOT_BYTES

    root = read_private(path, ROOT_BYTES)
    if root is None or len(root) != ROOT_BYTES:
        problem = "is not there" if root is None else f"has {len(root)} bytes, a root has {ROOT_BYTES}"
        raise KeyFileError(path, problem, "name the root file of an agent or a buyer")
    return root


def _password(path: Path | None, *, new: bool = False) -> str:
    """Return the password from its file or the terminal; a new one is asked for twice."""
    if path is not None:
        text = _private_text(path, _PASSWORD_BYTES_MAX)
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise ValueError("there is no terminal to ask for the password: name --password-file")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new, err=True)
    return password


def _private_text(path: Path, size_max: int) -> str:
    from settlement import KeyFileError
    from settlement.files import read_private

    data = read_private(path, size_max)
    if data is None:
        raise KeyFileError(path, "is not there", "name a file that is")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise KeyFileError(path, "is no UTF-8 text", "name a file of text") from None


def _write_new(path: Path, text: str) -> None:
    from settlement import KeyFileError
    from settlement.files import create_private

    if not create_private(path, text.encode()):
        raise KeyFileError(path, "is there already", "name another file: no key is ever overwritten")


@contextlib.contextmanager
def _complaints(name: str) -> Iterator[None]:
    """Say in one line what is wrong with a file or a password, and end with status 2."""
    from settlement import SettlementError

    try:
        yield
    except (SettlementError, ValueError) as error:
        print(f"wattbid keys {name}: {error}", file=sys.stderr)
        raise typer.Exit(_USAGE) from error
