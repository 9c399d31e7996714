#!/bin/sh
# Last touches to the root file system of an image. Usage: settle.sh ROOT, called by mmdebstrap.
set -eu
root=$1
# Each box makes its own at the first start.
: > "$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/etc/hostname"
echo forecourt > "$root/etc/hostname"
# Settings live on the data partition alone: two whole folders change places there when they are applied, which the
# kernel does not do with a folder that also lies in the read-only system. systemd-tmpfiles makes it at the first start.
rmdir "$root/etc/forecourt"
ln -sf /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
echo "IMAGE_VERSION=$(cat "$root/usr/lib/forecourt/image-version")" >> "$root/usr/lib/os-release"
chroot "$root" systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd rauc forecourt-mark-good.timer
# Nobody logs in: there is no password and no console that asks for one.
chroot "$root" systemctl --quiet mask getty@tty1.service serial-getty@.service
chroot "$root" passwd --quiet --lock root
mkdir -p "$root/data" "$root/boot/efi"
rm -rf "$root/var/lib/apt/lists/"* "$root/var/cache/apt/"*
