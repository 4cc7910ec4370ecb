"""Where a validator may be: what WATTBID_VALIDATOR names, the cache that `make validator` fills, or the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

VALIDATOR_VERSION: Final = "4.1.2"
_NAME: Final = "solana-test-validator"


def cached_validator() -> Path:
    """Return where `make validator` puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "wattbid" / f"agave-{VALIDATOR_VERSION}" / "bin" / _NAME


def find_validator() -> tuple[Path | None, str]:
    """Return a validator of the version that we know, or None and what to do about it."""
    named = os.environ.get("WATTBID_VALIDATOR")
    if named is not None:
        return _checked(Path(named))
    if cached_validator().exists():
        return _checked(cached_validator())
    on_path = shutil.which(_NAME)
    if on_path is None:
        return None, f"no {_NAME} at {cached_validator()} nor on the PATH: `make validator` builds one"
    return _checked(Path(on_path))


def _checked(binary: Path) -> tuple[Path | None, str]:
    try:
        ran = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"{binary} does not run: {error}"
    version = ran.stdout.split()[1:2]
    if version != [VALIDATOR_VERSION]:
        return None, f"{binary} is version {' '.join(version)}, the suite is for {VALIDATOR_VERSION}: `make validator`"
    return binary, ""
