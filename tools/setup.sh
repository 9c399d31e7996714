#!/bin/sh
# Installs what is missing to build, run and test forecourt on Debian 12, and nothing else.
#
#   tools/setup.sh           compiler, OpenCV, ONNX Runtime
#   tools/setup.sh test      the same, and the broker, cameras and tools that the tests talk to
#   tools/setup.sh contract  the same, and Node packages, for the consumers and the document of contract/
#
# Debian packages come through apt-get (as root or with sudo); ONNX Runtime comes out of its Python wheel, by version
# and hash, into third_party/onnxruntime/. Rust is not installed by this script: it says how when it is missing.
set -eu
cd "$(dirname "$0")/.."

build_packages="gcc g++ libc6-dev clang ca-certificates
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev"
test_packages="mosquitto mosquitto-clients openssl ffmpeg strace procps faketime systemd python3 python3-gi python3-jsonschema
  python3-psycopg
  gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav"
rust_minor=95

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

missing() {
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "these packages are missing and this user may not install them; as root: apt-get install $wanted"
  fi
}

install_packages() {
  command -v dpkg-query >/dev/null || fail "this is no Debian system; install by hand what is the same as: $*"
  wanted=$(missing "$@")
  [ -n "$wanted" ] || return 0
  say "installing $wanted"
  as_root apt-get update -q
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $wanted
}

check_rust() {
  version=$(cargo --version 2>/dev/null) || fail "Rust is missing. Install rustup as https://rustup.rs says \
(it fetches the version that rust-toolchain.toml names), open a new shell, and run this again."
  minor=$(echo "$version" | sed 's/^cargo 1\.\([0-9]*\)\..*/\1/')
  [ "$minor" -ge "$rust_minor" ] || fail "$version is too old: 1.$rust_minor is needed, and Debian 12 ships 1.63. \
Install rustup as https://rustup.rs says, and make sure that its cargo comes first in PATH."
}

python_with_pip() {
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && { echo "$python"; return; }
  done
  return 1
}

# The library of the machine's own kind.
fetch_onnxruntime() {
  arch=$(uname -m)
  folder=third_party/onnxruntime/$arch
  [ ! -s "$folder/libonnxruntime.so" ] || return 0
  python_with_pip >/dev/null || install_packages python3 python3-pip
  python=$(python_with_pip) || fail "python3 with pip is needed to fetch ONNX Runtime"
  say "fetching ONNX Runtime for $arch"
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' EXIT
  "$python" -m pip download -q --no-deps --only-binary=:all: --require-hashes -r tools/onnxruntime.txt \
    --python-version 3.11 --implementation cp --abi cp311 \
    --platform "manylinux_2_28_$arch" --platform "manylinux_2_27_$arch" -d "$wheels"
  mkdir -p "$folder"
  "$python" - "$wheels" "$folder" <<'PY'
import glob, os, shutil, sys, zipfile
wheels, folder = sys.argv[1:]
with zipfile.ZipFile(glob.glob(wheels + "/*.whl")[0]) as wheel:
    for name in wheel.namelist():
        base = os.path.basename(name)
        if base.startswith("libonnxruntime.so"):
            base = "libonnxruntime.so"
        elif name not in ("onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"):
            continue
        # A file that is there is whole: written beside, then moved.
        part = os.path.join(folder, base + ".part")
        with wheel.open(name) as source, open(part, "wb") as sink:
            shutil.copyfileobj(source, sink)
        os.replace(part, os.path.join(folder, base))
PY
}

# For the consumer in contract/examples/python. Without it its tests are skipped, and say so.
fetch_paho() {
  [ ! -d third_party/python/paho ] || return 0
  python=$(python_with_pip) || { say "no pip: the Python consumer will not be tested"; return 0; }
  "$python" -m pip install -q --no-deps --only-binary=:all: --require-hashes --target third_party/python \
    -r contract/examples/python/requirements.txt || say "paho-mqtt was not fetched: the Python consumer will not be tested"
}

fetch_node_packages() {
  command -v npm >/dev/null || fail "Node 20 or newer with npm is needed for this"
  for folder in contract/examples/node tools/asyncapi; do
    [ -d "$folder/node_modules" ] || (cd "$folder" && npm ci --no-audit --no-fund)
  done
}

case ${1:-build} in
  build) packages=$build_packages ;;
  test|contract) packages="$build_packages $test_packages" ;;
  *) fail "usage: tools/setup.sh [build|test|contract]" ;;
esac
# shellcheck disable=SC2086
install_packages $packages
check_rust
fetch_onnxruntime
case ${1:-build} in test|contract) fetch_paho ;; esac
case ${1:-build} in contract) fetch_node_packages ;; esac
