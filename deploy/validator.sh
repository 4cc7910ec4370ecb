#!/bin/sh
# Builds a real Solana validator for the acceptance tests, into a cache outside the tree. Safe to run again; does
# nothing when it is there. usage: deploy/validator.sh [--check]
# --check builds nothing: it says where the validator is, or what is missing to build one (exit status 1).
set -eu
VERSION=4.1.2
BINARY=solana-test-validator
PACKAGES="clang libclang-dev libudev-dev protobuf-compiler pkg-config libssl-dev"
RUST_MIN=1.89
DISK_MIB=4096

place=${XDG_CACHE_HOME:-$HOME/.cache}/wattbid/agave-$VERSION
built=$place/build

say() { printf 'validator: %s\n' "$*" >&2; }

works() { [ "$("$place/bin/$BINARY" --version 2>/dev/null | cut -d' ' -f2)" = "$VERSION" ]; }

missing_packages() {
    for package in $PACKAGES; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

rust_version() { cargo --version 2>/dev/null | cut -d' ' -f2; }

is_older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

install_packages() {
    if [ "$(id -u)" = 0 ]; then sudo=""; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else
        say "no right to install packages: run 'apt-get install $*' as root, then this command again"
        exit 1
    fi
    say "installing Debian packages: $*"
    # shellcheck disable=SC2086 - a command of several words, or none
    $sudo apt-get update -q >&2 && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >&2
}

check_rust() {
    rust=$(rust_version)
    if [ -z "$rust" ]; then
        say "there is no cargo; install Rust $RUST_MIN or newer (https://rustup.rs), then run this command again"
        return 1
    fi
    if is_older "$rust" "$RUST_MIN"; then
        say "cargo $rust is too old, $RUST_MIN is needed: run 'rustup update', then this command again"
        return 1
    fi
}

check_disk() {
    mkdir -p "$place"
    free=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$DISK_MIB" ]; then
        say "$place has $free MiB free, the build needs $DISK_MIB: make room, or set XDG_CACHE_HOME to another disk"
        return 1
    fi
}

if works; then
    say "$place/bin/$BINARY is there"
    exit 0
fi
missing=$(missing_packages)
if [ "${1:-}" = --check ]; then
    say "there is no $BINARY $VERSION in $place/bin; 'make validator' builds it"
    [ -z "$missing" ] || say "Debian packages that it would install: $missing"
    check_rust || :
    exit 1
fi
check_rust
check_disk
# shellcheck disable=SC2086 - a list of names
[ -z "$missing" ] || install_packages $missing
say "building $BINARY $VERSION in $place: some 13 minutes on two cores, some 800 crates; Ctrl-C keeps what is done"
# Optimised little: the tests wait for slots of 400 ms, not for code. What is built stays until the build is complete.
CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_TARGET_DIR=$built \
    cargo install agave-validator --version "$VERSION" --locked --bin "$BINARY" --root "$place"
if ! works; then
    say "it was built but does not run: start $place/bin/$BINARY --version by hand to see why"
    exit 1
fi
rm -rf "$built"
say "done: $place/bin/$BINARY"
