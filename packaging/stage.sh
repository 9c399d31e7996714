#!/bin/sh
# Makes the parts of the package that are not files of the source: man pages, completions, Debian's changelog, the list of
# components. Usage: packaging/stage.sh PROGRAM ARCH, where PROGRAM can be run on this machine (also through qemu-user).
set -eu
cd "$(dirname "$0")/.."
program=$1 arch=$2 out=target/package
rm -rf "$out"
mkdir -p "$out/completions" "$out/lib"
"$program" doc man "$out/man"
for shell in bash zsh fish; do "$program" doc completions "$shell" > "$out/completions/$shell"; done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml | head -1)
gzip -9n > "$out/changelog.Debian.gz" <<TEXT
forecourt ($version-1) stable; urgency=medium

  * What changed for users stands in CHANGELOG.md.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
TEXT
gzip -9nc CHANGELOG.md > "$out/changelog.gz"
cp "third_party/onnxruntime/$arch/libonnxruntime.so" "third_party/onnxruntime/$arch/ThirdPartyNotices.txt" "$out/lib/"
python3 packaging/sbom.py "$arch" > "$out/sbom.cdx.json"
# All files carry the age of the source, so that two builds give the same bytes.
find "$out" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
