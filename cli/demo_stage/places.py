"""Where the demo may leave a file: found out before anything starts, and written as a whole at the end."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def why_not_writable(path: Path) -> str:
    """Return why a file cannot be written there, "" when it can. Nothing is made or changed to find out."""
    try:
        target = path.resolve()
        parent_mode = target.parent.stat().st_mode
        target_mode = target.stat().st_mode if target.exists() else None
    except FileNotFoundError:
        return f"there is no directory {target.parent}; make it first"
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, links in a circle, a zero byte
        return getattr(error, "strerror", None) or str(error)
    why = ""
    if not stat.S_ISDIR(parent_mode):
        why = f"{target.parent} is not a directory"
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        why = f"the directory {target.parent} is not writable"
    elif target_mode is not None and stat.S_ISDIR(target_mode):
        why = "is a directory; name a file in it"
    elif target_mode is not None and not stat.S_ISREG(target_mode):
        why = "is not a regular file"
    elif target_mode is not None and not os.access(target, os.W_OK):
        why = "is not writable"
    return why


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one. Raises OSError; then the old one is unharmed."""
    target = path.resolve()
    number, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    fresh = Path(name)
    try:
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
        fresh.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
