"""What holds for every test.

Property tests have no deadline of their own: a busy machine is not a finding. Directories have short names: the path of
a unix socket has at most 107 bytes, and those of a test runner's workers eat most of them. Ctrl-C and a closed terminal
reach what a test starts, also where the tests themselves run in the background or under nohup. With
WATTBID_REQUIRE_SYSTEM set, what is marked `system` must run: continuous integration has installed its packages.

The long tests come first: the last of several workers must not end minutes after the others. Branch coverage is that of
a room's own quick tests: counting branches makes a simulated day several times as long, and only what is held anyway
would be counted twice.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TESTS: Final = Path(__file__).parent
COVERED: Final = {"etp", "agent", "drivers", "aggregator", "settlement"}

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, and count branches only for the quick tests of the rooms that are held to them."""
    for item in items:
        room = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if room not in COVERED or item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=lambda item: (not item.get_closest_marker("hours"), not item.get_closest_marker("slow")))


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
