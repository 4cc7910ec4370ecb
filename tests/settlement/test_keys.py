"""Root files, the keys derived from them, and everything a root file may be instead."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import settlement
from settlement import IdentityKey, KeyFileError, Purpose, SettlementError, derive, device_id, load_or_create_root

if TYPE_CHECKING:
    from pathlib import Path

ROOT = bytes(range(32))
VECTOR_SEED = "2a13cc64ed1dc8e79482ccf62a39feabee0d540d263bca80a7b4d37c2148a99a"
VECTOR_KEY = "609fadf622c1b5dd52277bc5143711a04ff3e8b6e55442672ac0c24662bb5f21"
PURPOSES = cast("tuple[Purpose, ...]", get_args(Purpose))


def hkdf_sha256(root: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block, written out."""
    extracted = hmac.digest(bytes(32), root, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_first_start_makes_a_private_root_and_later_starts_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "battery.root"
    root = load_or_create_root(path)
    assert len(root) == 32
    assert load_or_create_root(path) == root
    assert path.read_bytes() == root
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["battery.root"]


def test_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        load_or_create_root(tmp_path / "root")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o600


def test_roots_differ(tmp_path: Path) -> None:
    assert load_or_create_root(tmp_path / "a") != load_or_create_root(tmp_path / "b")


def test_starts_at_once_agree_on_one_root(tmp_path: Path) -> None:
    path = tmp_path / "root"
    together = threading.Barrier(8)

    def start(_: int) -> bytes:
        def entropy(count: int) -> bytes:
            together.wait(timeout=10)  # all have seen that there is no file
            return os.urandom(count)

        return load_or_create_root(path, entropy=entropy)

    with ThreadPoolExecutor(8) as pool:
        roots = set(pool.map(start, range(8)))
    assert roots == {path.read_bytes()}
    assert [entry.name for entry in tmp_path.iterdir()] == ["root"]


def test_stricter_mode_is_accepted(tmp_path: Path) -> None:
    assert load_or_create_root(write(tmp_path / "root", ROOT, 0o400)) == ROOT


@pytest.mark.parametrize(
    ("data", "mode", "problem"),
    [
        (b"", 0o600, "has 0 bytes"),
        (ROOT[:31], 0o600, "has 31 bytes"),
        (ROOT + b"\n", 0o600, "has 33 bytes"),
        (bytes(32), 0o600, "all zero"),
        (ROOT, 0o640, "0640"),
        (ROOT, 0o604, "0604"),
        (ROOT, 0o602, "0602"),
    ],
)
def test_bad_file_is_named_explained_and_left_alone(tmp_path: Path, data: bytes, mode: int, problem: str) -> None:
    path = write(tmp_path / "root", data, mode)
    with pytest.raises(KeyFileError) as caught:
        load_or_create_root(path)
    assert caught.value.path == path
    assert problem in caught.value.problem
    assert caught.value.remedy
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data


def test_directory_and_pipe_are_no_roots(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(0o700)
    for name in ("pipe", "directory"):
        with pytest.raises(KeyFileError, match="not a regular file"):
            load_or_create_root(tmp_path / name)


def test_unusable_paths_say_so(tmp_path: Path) -> None:
    write(tmp_path / "file", ROOT)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_or_create_root(tmp_path / "file" / "root")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_or_create_root(loop)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError, match="link to nothing"):
        load_or_create_root(dangling)


def test_failed_creation_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(KeyFileError, match="cannot be"):
        load_or_create_root(tmp_path / "occupied" / "deeper" / "root")
    with pytest.raises(KeyFileError, match="cannot be created"):
        load_or_create_root(tmp_path / ("n" * 250))  # the draft's name is too long
    assert [entry.name for entry in tmp_path.iterdir()] == ["occupied"]


def test_derivation_is_hkdf_sha256_without_salt() -> None:
    for purpose in PURPOSES:
        assert derive(ROOT, purpose) == hkdf_sha256(ROOT, b"wattbid/1/" + purpose.encode())
    assert len({derive(ROOT, purpose) for purpose in PURPOSES}) == 4


def test_derivation_never_changes() -> None:
    assert derive(ROOT, "identity").hex() == VECTOR_SEED
    assert IdentityKey.from_root(ROOT).public_key.hex() == VECTOR_KEY


def test_derivation_refuses_another_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        derive(ROOT[:31], "tls")


def test_identity_signs_and_names_the_device(tmp_path: Path) -> None:
    key = IdentityKey.from_file(tmp_path / "root")
    assert key.public_key == IdentityKey.from_file(tmp_path / "root").public_key
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(key.sign(b"frame"), b"frame")
    first = hashlib.sha256(key.public_key).digest()[:8]
    assert key.device_id == device_id(key.public_key) == sum(byte << 8 * at for at, byte in enumerate(first))
    assert derive(load_or_create_root(tmp_path / "root"), "identity").hex() not in repr(key)


def test_public_names() -> None:
    assert settlement.__all__ == sorted(settlement.__all__)
    assert all(hasattr(settlement, name) for name in settlement.__all__)
    assert issubclass(KeyFileError, SettlementError)
