#!/bin/sh
# Runs the tests of the pure part (src/domain) for 64-bit ARM under qemu-user, without OpenCV, ONNX Runtime, SQLite and TLS,
# so that it takes minutes on a small machine: the same sources, in a crate of their own with the same versions.
# Usage: packaging/arm64-domain.sh [arguments of cargo test, such as `-- gallery`]
#
# Needs: rustup target add aarch64-unknown-linux-gnu; apt-get install g++-aarch64-linux-gnu qemu-user-static
set -eu
cd "$(dirname "$0")/.."
for tool in aarch64-linux-gnu-gcc qemu-aarch64-static; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is missing: apt-get install g++-aarch64-linux-gnu qemu-user-static"; exit 0; }
done
root=$PWD crate=target/arm64-domain
mkdir -p "$crate/src"
for name in src/domain contract tests; do ln -sfn "$root/$name" "$crate/$name"; done
cp Cargo.lock rust-toolchain.toml "$crate/"
{ echo '#![allow(missing_docs)]'; echo 'pub mod domain;'; } > "$crate/src/lib.rs"
python3 - > "$crate/Cargo.toml" <<'PY'
import json, pathlib, re, tomllib

manifest = tomllib.loads(pathlib.Path("Cargo.toml").read_text())
source = "\n".join(path.read_text() for path in pathlib.Path("src/domain").rglob("*.rs"))


def used(name):
    return re.search(r"\b" + name.replace("-", "_") + r"(::|;)", source)


def line(name, value):
    value = {"version": value} if isinstance(value, str) else value
    fields = ", ".join(f"{key} = {json.dumps(each)}" for key, each in value.items() if key != "optional")
    return f"{name} = {{ {fields} }}"


print('[workspace]\n[package]\nname = "forecourt"\nversion = "0.0.0"\nedition = "2024"\nautotests = false\n[dependencies]')
print("\n".join(line(name, value) for name, value in manifest["dependencies"].items() if used(name)))
print("[dev-dependencies]")
print("\n".join(line(name, manifest["dev-dependencies"][name]) for name in ("proptest", "jsonschema")))
print("[profile.dev]\nopt-level = 1\ndebug = 0")
PY
export CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
cd "$crate"
exec "${CARGO:-cargo}" test --lib "$@"
