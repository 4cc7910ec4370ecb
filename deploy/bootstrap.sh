#!/bin/sh
# Puts uv into a private venv (.uv) and the locked packages into .venv. Safe to run again; does nothing when up to date.
# usage: deploy/bootstrap.sh [uv sync arguments]
set -eu
cd "$(dirname "$0")/.."
UV_VERSION=0.13.9

say() { printf 'set-up: %s\n' "$*" >&2; }

has_ensurepip() { python3 -c 'import ensurepip' 2>/dev/null; }

install_venv_support() {
    # Debian ships the venv module's installer in a package of its own.
    package=python3-venv
    say "this python3 cannot make virtual environments; installing the Debian package $package"
    if [ "$(id -u)" = 0 ]; then sudo=""; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else
        say "no right to install packages: run 'apt-get install $package' as root, then this command again"
        exit 1
    fi
    $sudo apt-get update -q >&2 && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q $package >&2
}

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "python3 3.11 or newer is needed; found: $(python3 --version 2>&1 || echo none)"
    exit 1
fi
if [ "$(.uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    has_ensurepip || install_venv_support
    say "installing uv $UV_VERSION into .uv"
    python3 -m venv --clear .uv
    .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi
say "checking .venv against uv.lock"
exec .uv/bin/uv sync --locked --quiet --python "$(command -v python3)" "$@"
