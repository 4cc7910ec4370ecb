"""`python -m fuzz`: run every target, or the named ones, for some seconds each; status 1 when something is found."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

from fuzz import by_hypothesis
from fuzz.seeds import ROOT, seeds_of
from fuzz.targets import TARGETS

WORK: Final = ROOT / "build" / "fuzz"
_INPUT_BYTES_MAX: Final = 8_192
_SLOW_S: Final = 10  # one input that takes so long is a find
_RSS_MB: Final = 2_048


def main() -> int:
    """Read the command line and fuzz."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be repeated; default: all")
    parser.add_argument(
        "--engine", choices=("atheris", "hypothesis"), default="atheris" if has_atheris else "hypothesis"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input of one --target and end")
    chosen = parser.parse_args()
    targets: list[str] = chosen.target or list(TARGETS)
    if chosen.replay is not None:
        if len(targets) != 1:
            parser.error("--replay needs one --target")
        TARGETS[targets[0]](chosen.replay.read_bytes())
        print(f"{chosen.replay}: nothing wrong")
        return 0
    run = _by_atheris if chosen.engine == "atheris" else _by_hypothesis
    found = [target for target in targets if not run(target, chosen.seconds)]
    print(f"found something in: {', '.join(found)}" if found else f"nothing found in {', '.join(targets)}")
    return 1 if found else 0


def _by_atheris(target: str, seconds: float) -> bool:
    corpus, finds = WORK / target / "corpus", WORK / target / "finds"
    seeds = WORK / target / "seeds"
    for directory in (corpus, finds, seeds):
        directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target)):
        (seeds / f"seed-{number:03d}").write_bytes(seed)
    options = (
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={_INPUT_BYTES_MAX}",
        f"-timeout={_SLOW_S}",
        f"-rss_limit_mb={_RSS_MB}",
        f"-artifact_prefix={finds}/",
        "-print_final_stats=1",
        "-verbosity=1",
    )
    print(f"== {target}: atheris for {seconds:g} s", flush=True)
    command = [sys.executable, "-m", "fuzz.by_atheris", target, *options, str(corpus), str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        print(
            done.stdout[-4_000:],
            done.stderr[-8_000:],
            f"replay: python -m fuzz --target {target} --replay FILE",
            sep="\n",
        )
        return False
    stats = [line for line in done.stderr.splitlines() if line.startswith("stat::")]
    print("   " + ", ".join(line.removeprefix("stat::").replace(" ", "") for line in stats[:2]))
    return True


def _by_hypothesis(target: str, seconds: float) -> bool:
    print(f"== {target}: hypothesis for {seconds:g} s", flush=True)
    tried, broke = by_hypothesis.fuzz(TARGETS[target], seeds_of(target), seconds)
    print(f"   number_of_executed_units:{tried}")
    if broke is None:
        return True
    finds = WORK / target / "finds"
    finds.mkdir(parents=True, exist_ok=True)
    path = finds / "hypothesis"
    path.write_bytes(broke)
    print(f"replay: python -m fuzz --target {target} --replay {path}")
    return False


if __name__ == "__main__":
    sys.exit(main())
