"""The keys of everybody on stage: made before anything starts, so that each can be told whom to trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from settlement import SeedKey, derive, load_or_create_root

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """One site's or buyer's: where its root lies, the key that signs for it, and the wallet that pays or is paid."""

    root_file: Path
    identity: SeedKey
    wallet: SeedKey

    @property
    def key(self) -> str:
        """The public identity key, in hex."""
        return self.identity.public_key.hex()

    @property
    def peer(self) -> str:
        """The name that agents have for it."""
        return f"key:{self.key}"


def identity_of(name: str, directory: Path) -> Identity:
    """Return the identity of this name, made when there is none yet. Raises KeyFileError."""
    path = directory / f"{name}.root"
    root = load_or_create_root(path)
    return Identity(path, SeedKey(derive(root, "identity")), SeedKey(derive(root, "wallet")))
