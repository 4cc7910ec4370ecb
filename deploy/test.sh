#!/bin/sh
# The checks and the tests. usage: deploy/test.sh quick|full|counted
# `quick` leaves out the tests marked slow; `full` runs them all and holds the branch coverage of the rooms that trade;
# `counted` is the part of it that only counts, on what processor time is left.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
mode=${1:-full}
gated="etp agent drivers aggregator settlement"
# Hundreds of interpreters start here; what they import is compiled once.
unset PYTHONDONTWRITEBYTECODE
PYTHONPYCACHEPREFIX=$PWD/build/pycache
export PYTHONPYCACHEPREFIX

step() { printf '\n== %s\n' "$*"; }

if [ "$mode" = counted ]; then
    # A session of its own is scheduled as one, by its own niceness and not by those of its processes.
    if [ -w /proc/self/autogroup ]; then echo 19 >/proc/self/autogroup || :; fi
    exec nice -n 19 $bin/python -m pytest -q -n 2 --maxschedchunk 1 -p no:cacheprovider tests/simulation tests/market
fi
step "format and lint"
$bin/ruff format --check .
$bin/ruff check .
step "types"
$bin/mypy
step "import walls"
$bin/lint-imports --no-cache
if [ "$mode" = quick ]; then
    step "unit tests"
    exec $bin/python -m pytest -q -n 4 -m "not slow"
fi
# Simulations and studies only count: they take what the tests with real time limits leave of the processors. They run
# without coverage, which their millions of calls would wait for.
mkdir -p build
setsid deploy/test.sh counted >build/test-hours.log 2>&1 &
hours=$!
trap 'kill -TERM -- "-$hours" 2>/dev/null || :' EXIT
step "tests"
status=0
others="--ignore=tests/simulation --ignore=tests/market"
# shellcheck disable=SC2086 - two words
$bin/python -m pytest -q -n 4 --maxschedchunk 4 $others --cache-clear --cov --cov-report= || status=$?
if [ "$status" = 1 ]; then
    # Real processes with real time limits share two cores with other tests here: what failed is judged by itself.
    step "what failed, by itself"
    status=0
    # shellcheck disable=SC2086 - two words
    $bin/python -m pytest -q --last-failed --last-failed-no-failures=none $others --cov --cov-append --cov-report= || status=$?
fi
step "simulations and studies (beside the tests, build/test-hours.log)"
wait "$hours" || status=$?
trap - EXIT
cat build/test-hours.log
[ "$status" = 0 ] || exit "$status"
for room in $gated; do
    step "branch coverage of $room (at least 90 %)"
    $bin/coverage report --include="$room/*" --fail-under=90 --skip-covered | tail -n 12
done
