#!/bin/sh
# Makes an A/B disk image and a signed update bundle from the Debian package. Usage: packaging/image/build.sh dist/forecourt_*.deb
#
#   IMAGE_KEYS    folder with release.crt, release.key, ca.crt; made for trial (packaging/image/keys.sh) when absent
#   IMAGE_TRUST   file with the authorities that the box believes; ca.crt of IMAGE_KEYS when not set
#   IMAGE_VERSION version of the image; the package's with the time of the last commit when not set
#   IMAGE_GZIP    1 (fast) to 9 (small)
#   IMAGE_FORMAT  of the bundle: verity, or plain for machines without device-mapper
#
# Out comes dist/forecourt-VERSION-ARCH.img (to be written to eMMC, SSD or card) and dist/forecourt-VERSION-ARCH.raucb (update).
# Needs no loop device, and no root either where user namespaces are allowed (mmdebstrap takes them then).
set -eu
cd "$(dirname "$0")/../.."
here=packaging/image
deb=${1:?usage: packaging/image/build.sh dist/forecourt_*.deb}
[ -s "$deb" ] || { echo "image: there is no package \`$deb\`; make deb" >&2; exit 1; }
for tool in mmdebstrap mksquashfs genimage mke2fs mcopy mkdosfs grub-mkimage grub-editenv rauc openssl; do
  command -v "$tool" >/dev/null || { echo "image: $tool is missing: apt-get install mmdebstrap squashfs-tools genimage e2fsprogs mtools dosfstools grub-common rauc openssl" >&2; exit 1; }
done
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -u +%s)}"
export SOURCE_DATE_EPOCH
arch=$(dpkg-deb -f "$deb" Architecture)
version=${IMAGE_VERSION:-$(dpkg-deb -f "$deb" Version)+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M)}
keys=${IMAGE_KEYS:-target/image/keys}
[ -s "$keys/release.key" ] || "$here/keys.sh" "$keys"
trust=${IMAGE_TRUST:-$keys/ca.crt}
format=${IMAGE_FORMAT:-verity}
name=forecourt-$version-$arch
case $arch in
  amd64) kernel=linux-image-amd64 grub=x86_64-efi loader=BOOTX64.EFI root_type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709 ;;
  arm64) kernel=linux-image-arm64 grub=arm64-efi loader=BOOTAA64.EFI root_type=b921b045-1df0-41c3-af44-4c6f280d3fae ;;
  *) echo "image: no recipe for $arch" >&2; exit 1 ;;
esac
kernel=${IMAGE_KERNEL:-$kernel}
work=target/image/$arch
rm -rf "$work" && mkdir -p "$work/esp/EFI/BOOT" "$work/esp/grub" "$work/boot" "$work/root/data" dist
say() { echo "image: $*"; }

say "root file system, $kernel"
# What differs from box to box lies on the data partition; the root is the same on every box and never written to.
cp -r "$here/root" "$work/overlay"
sed -i "s/@ARCH@/$arch/" "$work/overlay/etc/rauc/system.conf"
cp "$trust" "$work/overlay/etc/rauc/keyring.pem"
printf '%s\n' "$version" > "$work/overlay/usr/lib/forecourt/image-version"
packages=systemd-sysv,udev,dbus,kmod,systemd-timesyncd,systemd-resolved,initramfs-tools,zstd,$kernel
packages=$packages,grub-efi-$arch-bin,grub-common,rauc,rauc-service,e2fsprogs,dosfstools,mount,util-linux,ca-certificates
# What the package needs is fetched with the rest: inside the root there is no resolver while it is made.
packages=$packages,$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/ //g')
mmdebstrap --quiet --architectures="$arch" --variant=minbase --include="$packages" \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/locale/*' \
  --essential-hook="copy-in $work/overlay/etc $work/overlay/usr /" \
  --customize-hook="upload $deb /forecourt.deb" \
  --customize-hook='chroot "$1" dpkg -i /forecourt.deb >/dev/null && rm "$1/forecourt.deb"' \
  --customize-hook="$here/settle.sh \"\$1\"" \
  --customize-hook="tar-out /usr/lib/grub/$grub $work/grub.tar" \
  bookworm "$work/root.tar"

say "slot"
# Not with sqfstar: that of Debian 12 does not take a compression level.
mksquashfs - "$work/rootfs.img" -tar -quiet -no-progress -comp gzip -Xcompression-level "${IMAGE_GZIP:-9}" < "$work/root.tar"
rm "$work/root.tar"

say "boot loader"
tar -C "$work/boot" -xf "$work/grub.tar"
modules="part_gpt fat squash4 normal linux echo test regexp loadenv configfile search sleep reboot all_video gzio"
grub-mkimage -O "$grub" -d "$work/boot/$grub" -p /grub -o "$work/esp/EFI/BOOT/$loader" $modules
cp "$here/grub.cfg" "$work/esp/grub/grub.cfg"
grub-editenv "$work/esp/grub/grubenv" create
grub-editenv "$work/esp/grub/grubenv" set "ORDER=A B" A_OK=1 A_TRY=0 B_OK=0 B_TRY=0

say "image"
sed "s/@ROOT_TYPE@/$root_type/" "$here/genimage.cfg" > "$work/genimage.cfg"
genimage --loglevel 1 --config "$work/genimage.cfg" --rootpath "$work/root" --inputpath "$work" --outputpath "$work/out" --tmppath "$work/tmp"
mv "$work/out/forecourt.img" "dist/$name.img"

say "bundle"
"$here/bundle.sh" "$work/rootfs.img" "$version" "$arch" "$keys" "$format" "dist/$name.raucb"
rauc info --keyring="$trust" "dist/$name.raucb" >/dev/null
ls -l "dist/$name.img" "dist/$name.raucb"
