#!/bin/sh
# Wraps a root file system into a signed bundle of RAUC. Usage: bundle.sh ROOTFS VERSION ARCH KEYS FORMAT OUT.raucb
set -eu
rootfs=$1 version=$2 arch=$3 keys=$4 format=$5 out=$6
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bundle"
ln "$rootfs" "$folder/bundle/rootfs.img" 2>/dev/null || cp "$rootfs" "$folder/bundle/rootfs.img"
cat > "$folder/bundle/manifest.raucm" <<MANIFEST
[update]
compatible=forecourt-$arch
version=$version

[bundle]
format=$format

[image.rootfs]
filename=rootfs.img
MANIFEST
rm -f "$out"
# The root file system is compressed already.
rauc bundle --mksquashfs-args="-noD -noF -quiet -no-progress" --cert="$keys/release.crt" --key="$keys/release.key" --keyring="$keys/ca.crt" "$folder/bundle" "$out" > "$folder/log" 2>&1 \
  || { cat "$folder/log" >&2; exit 1; }
