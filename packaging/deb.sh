#!/bin/sh
# Builds the Debian package from target/release/forecourt. Usage: packaging/deb.sh [PROGRAM]
#
# Same source, same compiler, same bytes: every time stamp in the package is that of the last commit
# (SOURCE_DATE_EPOCH, taken over when it is set).
set -eu
cd "$(dirname "$0")/.."
command -v cargo-deb >/dev/null || { echo "deb: cargo-deb is missing: cargo install cargo-deb --version 3.8.0 --locked" >&2; exit 1; }
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -u +%s)}"
export SOURCE_DATE_EPOCH
arch=$(uname -m)
program=${1:-target/release/forecourt}
[ -x "$program" ] || { echo "deb: there is no $program; make build" >&2; exit 1; }
if [ "$program" != target/release/forecourt ]; then
  mkdir -p target/release && cp "$program" target/release/forecourt
fi
touch -d "@$SOURCE_DATE_EPOCH" target/release/forecourt
packaging/stage.sh "$program" "$arch"
mkdir -p dist
cargo deb --locked --no-build --no-strip --output dist/
