"""What holds for every test.

Property tests have no deadline of their own: a busy machine is not a finding. Directories have short names: the path of
a unix socket has at most 107 bytes, and those of a test runner's workers eat most of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty directory of the test's own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="wb-") as directory:
        yield Path(directory)
