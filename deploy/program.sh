#!/bin/sh
# Builds the settlement program as an SBPF v3 ELF and records what it was built with, its hash, size and costs.
# usage: deploy/program.sh           writes programs/settlement/settlement.so and build.json
#        deploy/program.sh --check   builds into a directory of its own and compares the hash with build.json
#        deploy/program.sh --caller  writes tests/settlement/program/caller/caller.so, which calls it as others might
#        deploy/program.sh --linker  builds the linker into the cache (some minutes; it is not Debian's)
# Installs no package. Exit status: 0 done, 1 failed or another hash, 3 a tool is missing, 4 another compiler than the
# recorded one, whose bytes may differ.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
mode=${1:-build}
LINKER_VERSION=0.2.6
LLVM=/usr/lib/llvm-22
# Debian's own, whatever rustup puts before them.
RUSTC=/usr/bin/rustc
CARGO=/usr/bin/cargo
cache=${WATTBID_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wattbid}
linker=$cache/sbpf-linker-$LINKER_VERSION/bin/sbpf-linker

say() { printf 'program: %s\n' "$*" >&2; }

missing() {
    say "missing: $1"
    say "$2"
    exit 3
}

packages=$(grep -v '^#' .ci/packages-program | tr '\n' ' ')
for tool in "$RUSTC" "$CARGO" "$LLVM/bin/llvm-config"; do
    [ -x "$tool" ] || missing "$tool" "apt-get install --no-install-recommends $packages"
done
sysroot=$("$RUSTC" --print sysroot)
[ -d "$sysroot/lib/rustlib/bpfel-unknown-none" ] ||
    missing "the core library for bpfel-unknown-none" "apt-get install --no-install-recommends $packages"

if [ "$mode" = --linker ]; then
    if [ -x "$linker" ]; then exit 0; fi
    mkdir -p "$cache"
    # Its own target directory goes away with it.
    target=$(mktemp -d)
    trap 'rm -rf "$target"' EXIT
    RUSTC=$RUSTC CARGO_TARGET_DIR=$target LLVM_SYS_221_PREFIX=$LLVM RUSTFLAGS="-L native=$LLVM/lib" "$CARGO" install \
        sbpf-linker --version "$LINKER_VERSION" --locked --no-default-features --features bpf-linker/llvm-22 \
        --root "$cache/sbpf-linker-$LINKER_VERSION"
    exit 0
fi
[ -x "$linker" ] || missing "$linker" "deploy/program.sh --linker builds it"

rustc_version=$("$RUSTC" --version)
llvm_version=$("$LLVM/bin/llvm-config" --version)
linker_version="sbpf-linker $LINKER_VERSION"
record=programs/settlement/build.json
if [ "$mode" = --check ]; then
    for version in "$rustc_version" "$linker_version"; do
        grep -qF "\"$version\"" "$record" || {
            say "built with another compiler than this: $version is not in $record"
            exit 4
        }
    done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
crate=programs/settlement
name=settlement
if [ "$mode" = --caller ]; then crate=tests/settlement/program/caller name=caller; fi
# The sources are built from a copy, so that nothing appears among them; no path of this machine is in the result.
mkdir "$work/program"
cp -r "$crate/Cargo.toml" "$crate/Cargo.lock" "$crate/src" "$work/program/"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
flags="-C panic=abort -C relocation-model=static -C target-cpu=v2 -C target-feature=+allows-misaligned-mem-access"
flags="$flags -C link-arg=--llvm-args=--bpf-stack-size=4096 -C link-arg=--export=memcpy,memmove,memset,memcmp"
flags="$flags --remap-path-prefix=$work/program=/program --remap-path-prefix=$cargo_home=/cargo"
flags="$flags --remap-path-prefix=$sysroot=/rust"
(
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    cd "$work/program"
    RUSTC=$RUSTC CARGO_TARGET_DIR=$work/target CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER=$linker \
        CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS=$flags \
        "$CARGO" build --quiet --release --locked --target bpfel-unknown-none
)
elf=$work/target/bpfel-unknown-none/release/lib$name.so
if [ "$mode" = --caller ]; then
    install -m 644 "$elf" "$crate/caller.so"
    exit 0
fi
hash=$(sha256sum "$elf" | cut -d' ' -f1)
if [ "$mode" = --check ]; then
    if ! grep -qF "\"$hash\"" "$record"; then
        say "another ELF than the recorded one: $hash"
        exit 1
    fi
    echo "$hash" " programs/settlement/settlement.so" | sha256sum --check --quiet
    say "the same ELF: $hash"
    exit 0
fi
install -m 644 "$elf" programs/settlement/settlement.so
"$root/.venv/bin/python" -m tests.settlement.program.units "$record" programs/settlement/settlement.so \
    "rustc=$rustc_version" "llvm=$llvm_version" "linker=$linker_version"
say "programs/settlement/settlement.so: $(wc -c <programs/settlement/settlement.so) bytes, $hash"
