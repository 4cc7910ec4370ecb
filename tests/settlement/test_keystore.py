"""The keystore: opens with its password alone, and says of anything else what is wrong with it."""

from __future__ import annotations

import json
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement import (
    KeyFileError,
    KeyRing,
    WrongPasswordError,
    change_keystore,
    create_keystore,
    read_keystore,
    read_public_keys,
)
from settlement import keystore as keystore_module
from settlement.keys import PURPOSES
from settlement.keystore import KEYSTORE_BYTES_MAX, LOG2_N, seal, unseal

RING = KeyRing(bytes(range(32))).replace("wallet", bytes([9]) * 32)
PASSWORD = "correct horse"
CHEAP = 4
"""scrypt's cost in tests that open many."""
SEALED = seal(RING, PASSWORD, log2_n=CHEAP)
NOWHERE = Path("keys.json")


def checked(first: bytes, second: bytes) -> bytes:
    """The two lines with a checksum that holds."""
    return first + second + sha256(first + second).hexdigest().encode() + b"\n"


def with_header(**changes: Any) -> bytes:
    first, second, _ = SEALED.splitlines(keepends=True)
    header = {**json.loads(first), **changes}
    return checked(json.dumps(header, separators=(",", ":")).encode() + b"\n", second)


def refusal(data: bytes, password: str = PASSWORD) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        unseal(data, password, NOWHERE)
    assert caught.value.path == NOWHERE
    assert caught.value.remedy
    return caught.value


def test_a_new_keystore_is_private_and_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "battery.keys"
    create_keystore(path, RING, PASSWORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["battery.keys"]
    assert read_keystore(path, PASSWORD) == RING
    assert read_public_keys(path) == RING.public_keys
    data = path.read_bytes()
    assert len(data) < 1_200 < KEYSTORE_BYTES_MAX
    assert json.loads(data.splitlines()[0])["kdf"]["log2_n"] == LOG2_N
    assert not any(RING.seed(purpose).hex().encode() in data for purpose in PURPOSES)


def test_the_bytes_are_as_the_page_says() -> None:
    first, second, third = SEALED.splitlines(keepends=True)
    header = json.loads(first)
    kdf, cipher = header["kdf"], header["cipher"]
    key = Scrypt(salt=bytes.fromhex(kdf["salt"]), length=32, n=1 << CHEAP, r=8, p=2).derive(PASSWORD.encode())
    plain = AESGCM(key).decrypt(bytes.fromhex(cipher["nonce"]), bytes.fromhex(second.decode().strip()), first)
    assert plain == RING.encode()
    assert third.decode() == sha256(first + second).hexdigest() + "\n"
    assert (kdf["name"], kdf["r"], kdf["p"], cipher["name"]) == ("scrypt", 8, 2, "aes-256-gcm")
    assert len(bytes.fromhex(kdf["salt"])) == 16


def test_salt_and_nonce_are_drawn_anew() -> None:
    again = seal(RING, PASSWORD, log2_n=CHEAP)
    one, two = json.loads(SEALED.splitlines()[0]), json.loads(again.splitlines()[0])
    assert one["kdf"]["salt"] != two["kdf"]["salt"]
    assert one["cipher"]["nonce"] != two["cipher"]["nonce"]


@settings(max_examples=40)
@given(
    root=st.binary(min_size=32, max_size=32).filter(any),
    password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)
def test_any_ring_under_any_password_comes_back(root: bytes, password: str) -> None:
    ring = KeyRing(root)
    assert unseal(seal(ring, password, log2_n=CHEAP), password, NOWHERE) == ring


def test_a_password_is_the_same_however_it_was_typed() -> None:
    composed, decomposed = "Schl\u00fcssel", "Schlu\u0308ssel"
    assert unseal(seal(RING, composed, log2_n=CHEAP), decomposed, NOWHERE) == RING


@pytest.mark.parametrize("password", ["", "\ud800"])
def test_what_is_no_password(password: str) -> None:
    with pytest.raises(ValueError, match=r"password|surrogates"):
        seal(RING, password, log2_n=CHEAP)


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text != PASSWORD))
def test_a_wrong_password_is_said_to_be_wrong(password: str) -> None:
    problem = refusal(SEALED, password)
    assert isinstance(problem, WrongPasswordError)
    assert problem.problem == "this password does not open it"


@settings(max_examples=200)
@given(st.integers(0, len(SEALED) * 8 - 1))
def test_any_bit_that_tips_over_is_damage_and_not_a_wrong_password(at: int) -> None:
    flipped = bytearray(SEALED)
    flipped[at // 8] ^= 1 << at % 8
    assert not isinstance(refusal(bytes(flipped)), WrongPasswordError)


@given(st.integers(1, len(SEALED) - 1))
def test_a_file_that_ends_early_is_cut_off(size: int) -> None:
    assert refusal(SEALED[:size]).problem == f"is cut off after {size} bytes"


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: b'{"format":"wattbid-keystore",' + rest))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    assert refusal(data).problem


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_any_header_with_a_checksum_that_holds_is_refused_by_name(value: object) -> None:
    for field in ("version", "public", "kdf", "cipher"):
        assert refusal(with_header(**{field: value})).problem


GOOD = json.loads(SEALED.splitlines()[0])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (bytes(range(32)), "is no keystore"),
        (b'{"format":"something else"}\n', "is no keystore"),
        (SEALED + b"\n", "is damaged: its checksum does not hold"),
        (SEALED.replace(b"\n", b"\r\n"), "is damaged: its checksum does not hold"),
        (with_header(version=2), "has version 2, not 1"),
        (with_header(kdf={**GOOD["kdf"], "log2_n": 19}), "asks for scrypt with log2_n = 19, at most 18"),
        (with_header(kdf={**GOOD["kdf"], "log2_n": 0}), "asks for scrypt with log2_n = 0, at most 18"),
        (with_header(kdf={**GOOD["kdf"], "p": 3}), "is no keystore of ours: its header does not make sense"),
        (with_header(kdf={**GOOD["kdf"], "salt": "00"}), "is no keystore of ours: its header does not make sense"),
        (
            with_header(kdf={**GOOD["kdf"], "name": "argon2id"}),
            "is no keystore of ours: its header does not make sense",
        ),
        (with_header(cipher={"name": "none"}), "is no keystore of ours: its header does not make sense"),
        (with_header(public={}), "is no keystore of ours: its header does not make sense"),
        (
            checked(SEALED.splitlines(keepends=True)[0], b"00ff\n"),
            "is no keystore of ours: its second line does not make sense",
        ),
    ],
)
def test_each_defect_has_its_own_words(data: bytes, problem: str) -> None:
    assert refusal(data).problem == problem


@pytest.mark.parametrize("field", ["public", "kdf", "cipher"])
def test_the_header_is_authenticated(field: str) -> None:
    """Someone who can write the file cannot make it show or use anything else, whatever checksum he adds."""
    changes: dict[str, dict[str, Any]] = {
        "public": {**GOOD["public"], "wallet": "11" * 32},
        "kdf": {**GOOD["kdf"], "log2_n": CHEAP - 1},
        "cipher": {**GOOD["cipher"], "nonce": "22" * 12},
    }
    assert isinstance(refusal(with_header(**{field: changes[field]})), WrongPasswordError)


def test_spaces_in_the_header_are_another_header() -> None:
    first, second, _ = SEALED.splitlines(keepends=True)
    spaced = first.replace(b'"version":1', b'"version": 1')
    assert isinstance(refusal(checked(spaced, second)), WrongPasswordError)


def sealed_with(plain: bytes, public: dict[str, str]) -> bytes:
    """What somebody who has the password could write."""
    header = {**GOOD, "public": public}
    first = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    key = Scrypt(salt=bytes.fromhex(GOOD["kdf"]["salt"]), length=32, n=1 << CHEAP, r=8, p=2).derive(PASSWORD.encode())
    sealed = AESGCM(key).encrypt(bytes.fromhex(GOOD["cipher"]["nonce"]), plain, first)
    return checked(first, sealed.hex().encode() + b"\n")


def test_contents_that_are_no_ring_or_another() -> None:
    assert refusal(sealed_with(bytes(161), GOOD["public"])).problem.startswith("opens, but does not hold keys")
    other: dict[str, str] = dict.fromkeys(PURPOSES, "33" * 32)
    assert refusal(sealed_with(RING.encode(), other)).problem == "names other keys than it holds"
    assert unseal(sealed_with(RING.encode(), GOOD["public"]), PASSWORD, NOWHERE) == RING


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_others_may_not_even_read_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    create_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    path.chmod(mode)
    for read in (lambda: read_keystore(path, PASSWORD), lambda: read_public_keys(path)):
        with pytest.raises(KeyFileError, match=f"has mode {mode:04o}: group or others may use it; run `chmod 600"):
            read()
    with pytest.raises(KeyFileError, match="has mode"):
        change_keystore(path, RING, "another", log2_n=CHEAP)


def test_what_is_there_is_never_overwritten_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    create_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="is there already"):
        create_keystore(path, KeyRing(bytes([1]) * 32), PASSWORD, log2_n=CHEAP)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_another_password_and_other_keys_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    create_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    renewed = RING.replace("tls", bytes([8]) * 32)
    change_keystore(path, renewed, "another", log2_n=CHEAP)
    assert read_keystore(path, "another") == renewed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(WrongPasswordError):
        read_keystore(path, PASSWORD)
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_only_a_whole_keystore_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(KeyFileError, match="is not there"):
        change_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="is no keystore"):
        change_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    assert path.read_bytes() == bytes(range(32))


def test_a_change_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    create_keystore(path, RING, PASSWORD, log2_n=CHEAP)
    before = path.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(KeyFileError, match="cannot be replaced"):
        change_keystore(path, RING, "another", log2_n=CHEAP)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_paths_that_are_no_keystore(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="is not there"):
        read_keystore(tmp_path / "nothing", PASSWORD)
    with pytest.raises(KeyFileError, match="not a regular file"):
        read_keystore(tmp_path, PASSWORD)
    large = tmp_path / "large"
    large.write_bytes(bytes(KEYSTORE_BYTES_MAX + 1))
    large.chmod(0o600)
    with pytest.raises(KeyFileError, match="has 4097 bytes, at most 4096"):
        read_keystore(large, PASSWORD)


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(password: str, salt: bytes, log2_n: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr(keystore_module, "_stretch", exhausted)
    problem = refusal(with_header(kdf={**GOOD["kdf"], "log2_n": 16}))
    assert problem.problem == "needs 64 MiB of memory to be opened"
