"""What holds for every test.

Property tests have no deadline of their own: a busy machine is not a finding. Directories have short names: the path of
a unix socket has at most 107 bytes, and those of a test runner's workers eat most of them. Ctrl-C and a closed terminal
reach what a test starts, also where the tests themselves run in the background or under nohup. With
WATTBID_REQUIRE_SYSTEM set, what is marked `system` must run: continuous integration has installed its packages.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test that is marked `system` into a failure where its package is obligatory."""
    report = yield
    obligatory = os.environ.get("WATTBID_REQUIRE_SYSTEM") and item.get_closest_marker("system")
    if report.skipped and obligatory and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"WATTBID_REQUIRE_SYSTEM is set, and this did not run: {reason}"
    return report


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty directory of the test's own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="wb-") as directory:
        yield Path(directory)
