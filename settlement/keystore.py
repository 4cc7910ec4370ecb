"""The keystore: a key ring in a file, under a password (docs/contract.md says how each byte comes about).

Three lines of ASCII: a JSON header (public keys, scrypt and cipher parameters), the ring under AES-256-GCM in hex, and
SHA-256 of the two lines above. The header, byte for byte and with its line end, is the cipher's associated data. The
checksum tells damage from a wrong password; it proves nothing, the cipher's tag does.

scrypt rather than Argon2id: both are in `cryptography`, but Argon2id only where OpenSSL is 3.2 or newer. Python keeps
copies of what it reads, so secrets are not wiped from memory; who can read this process's memory has its keys.
"""

from __future__ import annotations

import hmac
import json
import os
import unicodedata
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from settlement.errors import KeyFileError, TermsError, WrongPasswordError
from settlement.files import RESTORE, create_private, read_private, replace_private
from settlement.keyring import RING_BYTES, KeyRing
from settlement.keys import PURPOSES, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEYSTORE_BYTES_MAX: Final = 4_096
"""A keystore has about 1,000 bytes; whatever is larger is something else."""
LOG2_N: Final = 16
"""64 MiB and, with `_P` 2, about a second on a gateway: a small one has 512 MiB and opens the keystore once a start."""
LOG2_N_MAX: Final = 18
"""256 MiB: a header that asks for more would only stop the machine."""

_FORMAT: Final = "wattbid-keystore"
_VERSION: Final = 1
_R: Final = 8
_P: Final = 2
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_START: Final = f'{{"format":"{_FORMAT}",'.encode()
_LINES: Final = 3


def seal(ring: KeyRing, password: str, *, log2_n: int = LOG2_N, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return a keystore's bytes. Raises ValueError for a password that is empty or no Unicode."""
    salt, nonce = entropy(_SALT_BYTES), entropy(_NONCE_BYTES)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "public": {purpose: key.hex() for purpose, key in ring.public_keys.items()},
        "kdf": {"name": "scrypt", "log2_n": log2_n, "r": _R, "p": _P, "salt": salt.hex()},
        "cipher": {"name": "aes-256-gcm", "nonce": nonce.hex()},
    }
    first = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    key = _stretch(password, salt, log2_n)
    body = first + AESGCM(key).encrypt(nonce, ring.encode(), first).hex().encode() + b"\n"
    return body + sha256(body).hexdigest().encode() + b"\n"


def unseal(data: bytes, password: str, path: Path) -> KeyRing:
    """Return the ring in a keystore's bytes; `path` is for the errors.

    Raises WrongPasswordError, KeyFileError when the bytes are no whole keystore, ValueError when the password is none.
    """
    first, header, sealed = _parse(data, path)
    try:
        key = _stretch(password, bytes.fromhex(header["kdf"]["salt"]), header["kdf"]["log2_n"])
    except MemoryError as error:
        problem = f"needs {1 << header['kdf']['log2_n'] - 10} MiB of memory to be opened"
        raise KeyFileError(path, problem, "end something else and try again") from error
    try:
        plain = AESGCM(key).decrypt(bytes.fromhex(header["cipher"]["nonce"]), sealed, first)
    except InvalidTag:
        remedy = "try again; without the password the keys are lost, restore a backup whose password you know"
        raise WrongPasswordError(path, "this password does not open it", remedy) from None
    try:
        ring = KeyRing.decode(plain)
    except TermsError as error:
        raise KeyFileError(path, f"opens, but does not hold keys ({error})", RESTORE) from error
    if {purpose: key.hex() for purpose, key in ring.public_keys.items()} != header["public"]:
        raise KeyFileError(path, "names other keys than it holds", RESTORE)
    return ring


def create_keystore(path: Path, ring: KeyRing, password: str, *, log2_n: int = LOG2_N) -> None:
    """Write a new keystore, mode 0600. Raises KeyFileError when something is there or it cannot be written."""
    if not create_private(path, seal(ring, password, log2_n=log2_n)):
        raise KeyFileError(path, "is there already", "name another file: a keystore is never overwritten by a new one")


def change_keystore(path: Path, ring: KeyRing, password: str, *, log2_n: int = LOG2_N) -> None:
    """Let other keys or another password take the place of what is in a keystore, in one step.

    Raises KeyFileError when there is no whole keystore, or it cannot be replaced; the old one is then still there.
    """
    _parse(_read(path), path)
    replace_private(path, seal(ring, password, log2_n=log2_n))


def read_keystore(path: Path, password: str) -> KeyRing:
    """Return the ring in a keystore file. Raises what `unseal` does, and KeyFileError for a file not to be trusted."""
    return unseal(_read(path), password, path)


def read_public_keys(path: Path) -> Mapping[Purpose, bytes]:
    """Return the public keys that a keystore's header names, without a password and therefore unproved.

    Raises KeyFileError when the file is no whole keystore.
    """
    header = _parse(_read(path), path)[1]
    return {purpose: bytes.fromhex(header["public"][purpose]) for purpose in PURPOSES}


def _read(path: Path) -> bytes:
    data = read_private(path, KEYSTORE_BYTES_MAX)
    if data is None:
        raise KeyFileError(path, "is not there", "name the keystore, or make one")
    return data


def _stretch(password: str, salt: bytes, log2_n: int) -> bytes:
    secret = unicodedata.normalize("NFC", password).encode()
    if not secret:
        raise ValueError("an empty password protects nothing")
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=_R, p=_P).derive(secret)


def _parse(data: bytes, path: Path) -> tuple[bytes, dict[str, Any], bytes]:
    """Return the header's line, the header and the sealed bytes, all of them as a keystore has them."""
    if not data:
        raise KeyFileError(path, "is empty", RESTORE)
    if not data.startswith(_START[: len(data)]):
        raise KeyFileError(path, "is no keystore", "name the file that `wattbid` made, or restore it from a backup")
    lines = data.splitlines(keepends=True)
    if len(lines) < _LINES or not lines[-1].endswith(b"\n"):
        raise KeyFileError(path, f"is cut off after {len(data)} bytes", RESTORE)
    first, second, *rest = lines
    if rest != [sha256(first + second).hexdigest().encode() + b"\n"]:
        raise KeyFileError(path, "is damaged: its checksum does not hold", RESTORE)
    header = _header_of(first, path)
    sealed = _unhex(second[:-1].decode("ascii", "replace"), RING_BYTES + _TAG_BYTES)
    if sealed is None:
        _refuse(path, "its second line")
    return first, header, sealed


def _header_of(first: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(first)
    except (ValueError, RecursionError):
        _refuse(path, "its header")
    if header.get("version") != _VERSION:
        raise KeyFileError(
            path, f"has version {header.get('version')!r}, not {_VERSION}", "use the release that made it"
        )
    match header:
        case {
            "public": {**public},
            "kdf": {"name": "scrypt", "log2_n": int(log2_n), "r": 8, "p": 2, "salt": salt},
            "cipher": {"name": "aes-256-gcm", "nonce": nonce},
        }:
            pass
        case _:
            _refuse(path, "its header")
    keys = [_unhex(public.get(purpose), 32) for purpose in PURPOSES]
    if None in (*keys, _unhex(salt, _SALT_BYTES), _unhex(nonce, _NONCE_BYTES)) or len(public) != len(PURPOSES):
        _refuse(path, "its header")
    if not 1 <= log2_n <= LOG2_N_MAX:
        raise KeyFileError(path, f"asks for scrypt with log2_n = {log2_n}, at most {LOG2_N_MAX}", RESTORE)
    return dict(header)


def _unhex(text: object, size: int) -> bytes | None:
    """Return the bytes of a lower-case hex text of this size, None for anything else."""
    if not isinstance(text, str) or len(text) != 2 * size:
        return None
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    return data if hmac.compare_digest(data.hex().encode(), text.encode()) else None


def _refuse(path: Path, what: str) -> NoReturn:
    raise KeyFileError(path, f"is no keystore of ours: {what} does not make sense", RESTORE)
