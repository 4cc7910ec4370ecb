"""Where a validator is looked for, what is said where there is none, and `make validator` before it builds anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.found import VALIDATOR_VERSION, cached_validator, find_validator

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "validator.sh"


def put_validator(path: Path, version: str) -> Path:
    """Put something there that says which version it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'solana-test-validator {version} (src:1; feat:2, client:Agave)'\n")
    path.chmod(0o755)
    return path


def check(cache: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)} | ({} if path is None else {"PATH": path})
    command = ["/bin/sh", str(SCRIPT), "--check"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no validator on the PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("WATTBID_VALIDATOR", raising=False)
    return tmp_path


def test_the_cache_that_make_validator_fills(cache: Path) -> None:
    path = put_validator(cached_validator(), VALIDATOR_VERSION)
    assert path.is_relative_to(cache)
    assert find_validator() == (path, "")


def test_the_path(cache: Path) -> None:
    path = put_validator(cache / "solana-test-validator", VALIDATOR_VERSION)
    assert find_validator() == (path, "")


def test_none_at_all_says_how_to_get_one(cache: Path) -> None:
    found, problem = find_validator()
    assert found is None
    assert str(cached_validator()) in problem
    assert "make validator" in problem


def test_another_version_is_not_taken(cache: Path) -> None:
    put_validator(cached_validator(), "4.0.9")
    found, problem = find_validator()
    assert found is None
    assert "is version 4.0.9" in problem


def test_one_that_is_named_and_does_not_run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTBID_VALIDATOR", str(cache / "none"))
    found, problem = find_validator()
    assert found is None
    assert "does not run" in problem


def test_the_script_looks_in_the_same_place_for_the_same_version(cache: Path) -> None:
    path = put_validator(cached_validator(), VALIDATOR_VERSION)
    done = check(cache, os.defpath)
    assert (done.returncode, done.stdout) == (0, "")
    assert str(path) in done.stderr


def test_the_script_says_what_is_missing_and_builds_nothing(cache: Path) -> None:
    done = check(cache, "/usr/bin:/bin")
    assert done.returncode == 1
    assert f"there is no solana-test-validator {VALIDATOR_VERSION}" in done.stderr
    assert "make validator" in done.stderr
    assert list(cache.iterdir()) == []


def test_make_knows_it() -> None:
    assert "deploy/validator.sh" in (ROOT / "Makefile").read_text()


FAKES = {
    "dpkg-query": "printf 'install ok installed'",
    "df": "printf 'Filesystem 1M-blocks Used Available\\n/dev/x 9 9 %s\\n' \"${FREE:-9000}\"",
    "cargo": """[ "$1" = --version ] && { echo "cargo ${RUST:-1.95.0} (f2d3ce0bd 2026-03-21)"; exit; }
echo "$@ $CARGO_PROFILE_RELEASE_OPT_LEVEL $CARGO_PROFILE_RELEASE_LTO" >"$CALLED"
mkdir -p "$CARGO_TARGET_DIR"
while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin"
printf '#!/bin/sh\\necho solana-test-validator %s\\n' "$GIVES" >"$2/bin/solana-test-validator"
chmod +x "$2/bin/solana-test-validator"
""",
}


def build(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a compiler and package list that are not real."""
    fakes = cache / "fakes"
    fakes.mkdir()
    for name, text in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{text}\n")
        (fakes / name).chmod(0o755)
    given = {"PATH": f"{fakes}:/usr/bin:/bin", "XDG_CACHE_HOME": str(cache), "CALLED": str(cache / "called")}
    given |= {"GIVES": VALIDATOR_VERSION, "HOME": str(cache)} | environment
    command = ["/bin/sh", str(SCRIPT)]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)


def test_the_script_builds_once_and_cleans_up(cache: Path) -> None:
    done = build(cache)
    assert done.returncode == 0, done.stderr
    asked = (cache / "called").read_text().split()
    place = cached_validator().parents[1]
    wanted = f"install agave-validator --version {VALIDATOR_VERSION} --locked --bin solana-test-validator"
    assert asked == [*wanted.split(), "--root", str(place), "1", "off"]
    assert sorted(path.name for path in place.iterdir()) == ["bin"]
    assert check(cache, "/usr/bin:/bin").returncode == 0


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RUST": "1.75.0"}, "cargo 1.75.0 is too old, 1.89 is needed"),
        ({"FREE": "900"}, "has 900 MiB free, the build needs 4096"),
        ({"GIVES": "4.0.0"}, "it was built but does not run"),
    ],
)
def test_the_script_says_why_it_cannot(cache: Path, environment: dict[str, str], said: str) -> None:
    done = build(cache, **environment)
    assert done.returncode == 1
    assert said in done.stderr
