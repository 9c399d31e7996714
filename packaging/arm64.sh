#!/bin/sh
# Cross-builds the program for 64-bit ARM without a container engine. Usage: packaging/arm64.sh [cargo arguments]
#
# Needs: rustup target add aarch64-unknown-linux-gnu; apt-get install g++-aarch64-linux-gnu mmdebstrap arch-test clang
# The libraries of arm64 lie in a folder of their own: Debian's OpenCV of two kinds cannot be installed side by side.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/target/arm64-root libraries=$root/usr/lib/aarch64-linux-gnu
for tool in aarch64-linux-gnu-g++ mmdebstrap clang; do
  command -v "$tool" >/dev/null || { echo "arm64: $tool is missing: apt-get install g++-aarch64-linux-gnu mmdebstrap arch-test clang" >&2; exit 1; }
done
if [ ! -e "$libraries/libopencv_videoio.so" ]; then
  rm -rf "$root"
  # Unpacked, not configured: nothing of another kind of processor has to run, so no emulator is looked for.
  mmdebstrap --quiet --arch=arm64 --variant=extract --skip=check/qemu \
    --include=libopencv-core-dev,libopencv-imgproc-dev,libopencv-imgcodecs-dev,libopencv-videoio-dev,libc6-dev,libstdc++-12-dev \
    bookworm "$root"
fi
export CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-g++
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export OPENCV_LINK_LIBS=opencv_core,opencv_imgproc,opencv_imgcodecs,opencv_videoio
export OPENCV_LINK_PATHS=$libraries
export OPENCV_INCLUDE_PATHS=$root/usr/include/opencv4,$root/usr/include/aarch64-linux-gnu/opencv4
# Libraries that OpenCV needs in turn come with the package's dependencies; the linker need not follow them.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C link-arg=--sysroot=$root -C link-arg=-Wl,--allow-shlib-undefined"
# Tests run under qemu-user when it is there; slow, for function and not for speed.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L $root -E LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu/blas:/usr/lib/aarch64-linux-gnu/lapack"
if [ "$#" = 0 ]; then set -- build --locked --release; fi
exec "${CARGO:-cargo}" "$@"
