#!/bin/sh
# Starts an image in a virtual machine with UEFI and looks at what an installer and a year of updates do to it: the data
# partition grows, the root cannot be written, a stick at USB is applied and gets its result, the service runs and its
# events reach a Mosquitto outside, a bundle of an older version or of a strange authority is refused, a newer one goes into the
# other slot and is started and kept, a power cut in the middle of the next leaves the slot that runs.
# Usage: packaging/image/boot-test.sh dist/forecourt-VERSION-amd64.img KEYS; KEYS as for build.sh.
# BOOT_TEST_STICK=vda for images with a kernel without USB: the stick is another disk then, and its unit is started by hand.
# Needs qemu-system-x86, ovmf, mosquitto, mtools, e2fsprogs, rauc; no root. Without KVM it takes some minutes a start.
set -eu
cd "$(dirname "$0")/../.."
image=$1 keys=$2 here=packaging/image port=18894
for tool in qemu-system-x86_64 mosquitto mosquitto_sub mke2fs mcopy mkdosfs sfdisk rauc; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is missing: apt-get install qemu-system-x86 ovmf mosquitto mosquitto-clients e2fsprogs mtools dosfstools fdisk rauc"; exit 0; }
done
firmware=/usr/share/OVMF
work=${BOOT_TEST_FOLDER:-$(mktemp -d)}
mkdir -p "$work"
pids=
cleanup() { for pid in $pids; do kill "$pid" 2>/dev/null || true; done; [ -n "${BOOT_TEST_FOLDER:-}" ] || rm -rf "$work"; }
trap cleanup EXIT
say() { echo "boot-test: $*"; }
fail() { say "FAILED: $*"; exit 1; }

cp --sparse=always "$image" "$work/disk.img"
truncate -s 6G "$work/disk.img"
cp "$firmware/OVMF_VARS_4M.fd" "$work/vars.fd"
version=$(basename "$image" -amd64.img | sed 's/^forecourt-//')

say "what the machine is given: a probe on the data partition, bundles, a stick"
start=$(sfdisk -d "$image" | sed -n 's/.*start= *\([0-9]*\),.*name="data".*/\1/p')
units=$work/data/etc/upper/systemd/system
mkdir -p "$units/multi-user.target.wants" "$units/forecourt.service.d" "$work/courier" "$work/stick"
cat > "$units/probe.service" <<'UNIT'
[Unit]
After=multi-user.target rauc.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p /run/courier && mount LABEL=courier /run/courier && exec sh /run/courier/probe.sh'
TimeoutStartSec=infinity
StandardOutput=journal+console
StandardError=journal+console
UNIT
ln -sf ../probe.service "$units/multi-user.target.wants/probe.service"
# An emulated processor is slower than any box.
printf '[Service]\nWatchdogSec=0\nTimeoutStartSec=900\n' > "$units/forecourt.service.d/slow.conf"
mke2fs -q -t ext4 -L data -d "$work/data" "$work/data.ext4" 64M
dd if="$work/data.ext4" of="$work/disk.img" bs=512 seek="$start" conv=notrunc,sparse status=none
# Words of the kernel on the serial line; the image itself is silent. A slow emulator's timer makes the kernel give up.
echo 'set words="ro panic=10 console=ttyS0 no_timer_check systemd.show_status=1"' > "$work/words.cfg"
mcopy -i "$work/disk.img@@1M" "$work/words.cfg" ::grub/words.cfg
"$here/keys.sh" "$work/strange"
head -c 1000000 /dev/urandom > "$work/small.img"
"$here/bundle.sh" target/image/amd64/rootfs.img 90.0 amd64 "$keys" verity "$work/courier/newer.raucb"
"$here/bundle.sh" target/image/amd64/rootfs.img 91.0 amd64 "$keys" verity "$work/courier/newest.raucb"
"$here/bundle.sh" "$work/small.img" 0.0.1 amd64 "$keys" verity "$work/courier/older.raucb"
"$here/bundle.sh" "$work/small.img" 92.0 amd64 "$work/strange" verity "$work/courier/strange.raucb"
head -c 900000 "$work/courier/older.raucb" > "$work/courier/cut.raucb"
cat > "$work/courier/probe.sh" <<'PROBE'
turn=$(cat /run/courier/turn 2>/dev/null || echo 1)
echo $((turn + 1)) > /run/courier/turn
exec > "/run/courier/turn-$turn.txt" 2>&1
slot() { sed -n 's/.*rauc\.slot=\([AB]\).*/\1/p' /proc/cmdline; }
waits() { for _ in $(seq 600); do "$@" && return 0; sleep 2; done; return 1; }
refused() { if rauc install "/run/courier/$1" > /run/refused 2>&1; then echo "$1: INSTALLED"; else echo "$1: refused: $(grep LastError /run/refused)"; fi; }
echo "slot: $(slot)"
echo "root: $(findmnt -no FSTYPE /) $(touch /usr/x 2>&1)"
echo "data: $(df --output=size -BM /data | tail -1 | tr -d ' M') MiB"
if [ "$turn" = 1 ] && [ -e /run/courier/stick ]; then systemctl start "forecourt-stick@$(cat /run/courier/stick).service"; fi
waits test -e /etc/forecourt/forecourt.toml
waits systemctl --quiet is-active forecourt.service
echo "service: $(systemctl is-active forecourt.service)"
echo "boot: $(systemd-analyze 2>&1 | head -1)"
echo "failed: $(systemctl --failed --no-legend --plain | cut -d' ' -f1 | tr '\n' ' ')"
echo "listening: $(awk '$4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6 | tr '\n' ' ')"
echo "identity: $(sha256sum < /etc/forecourt/identity/device.key | cut -c1-16)"
runuser -u forecourt -- forecourt status | head -6
case $turn in
  1)
    refused older.raucb; refused strange.raucb; refused cut.raucb
    # Kept by the timer of the image, not by hand.
    waits sh -c 'grub-editenv /boot/efi/grub/grubenv list | grep -q A_TRY=0'; echo "A: kept"
    sleep 60
    rauc install /run/courier/newer.raucb && echo "newer.raucb: installed"
    grub-editenv /boot/efi/grub/grubenv list | tr '\n' ' '
    sync; systemctl reboot ;;
  2)
    waits sh -c 'grub-editenv /boot/efi/grub/grubenv list | grep -q B_TRY=0'; echo "B: kept"
    rauc install /run/courier/newest.raucb > /run/cut.txt 2>&1 &
    waits sh -c 'grub-editenv /boot/efi/grub/grubenv list | grep -q A_OK=0'
    sleep 2; echo "cut: $(tail -1 /run/cut.txt)"
    sync /run/courier; umount -l /run/courier; sleep 1
    echo b > /proc/sysrq-trigger ;;
  *)
    grub-editenv /boot/efi/grub/grubenv list | tr '\n' ' '
    echo; echo "END"
    sync; systemctl poweroff ;;
esac
PROBE
usb="-device qemu-xhci -device usb-storage,drive=stick"
if [ -n "${BOOT_TEST_STICK:-}" ]; then
  echo "$BOOT_TEST_STICK" > "$work/courier/stick"
  usb="-device virtio-blk,drive=stick"
fi
mke2fs -q -t ext4 -L courier -d "$work/courier" "$work/courier.img" 1200M
sed "s/@PORT@/$port/" > "$work/stick/forecourt-site.toml" <<'TOML'
[site]
tenant = "acme"
site = "image-test"
device = "box-1"
[[camera]]
id = "gate"
source = "file:/usr/share/forecourt/demo/gate.mp4"
analysis_fps = 2.0
[mqtt]
url = "mqtt://10.0.2.2:@PORT@"
TOML
rm -f "$work/stick.img"
truncate -s 64M "$work/stick.img" && mkdosfs -n INSTALLER "$work/stick.img" >/dev/null
mcopy -i "$work/stick.img" "$work/stick/forecourt-site.toml" ::

mosquitto -p "$port" > "$work/mosquitto.log" 2>&1 & pids="$pids $!"
for _ in $(seq 50); do mosquitto_pub -p "$port" -t ready -n 2>/dev/null && break; sleep 0.1; done
mosquitto_sub -p "$port" -t 'forecourt/#' -v > "$work/events" 2>/dev/null & pids="$pids $!"

say "three starts"
began=$(date +%s)
timeout "${BOOT_TEST_LIMIT:-5400}" qemu-system-x86_64 ${BOOT_TEST_ACCEL:--accel tcg,thread=multi} -cpu max -smp 2 -m 2048 -nographic -no-user-config \
  -drive if=pflash,format=raw,readonly=on,file="$firmware/OVMF_CODE_4M.fd" -drive if=pflash,format=raw,file="$work/vars.fd" \
  -drive if=virtio,format=raw,file="$work/disk.img" -drive if=virtio,format=raw,file="$work/courier.img" \
  -drive if=none,id=stick,format=raw,file="$work/stick.img" $usb \
  -netdev user,id=net -device virtio-net,netdev=net -smbios type=1,serial=TESTBOX001 > "$work/console.log" 2>&1 < /dev/null \
  || fail "the machine did not end by itself: $(tail -3 "$work/console.log")"
say "took $(($(date +%s) - began)) s"
for turn in 1 2 3; do
  debugfs -R "cat turn-$turn.txt" "$work/courier.img" 2>/dev/null > "$work/turn-$turn.txt"
  echo "--- start $turn"; cat "$work/turn-$turn.txt"
done
mcopy -i "$work/stick.img" ::RESULT-TESTBOX001.txt - | tr -d '\r' | tee "$work/result.txt"

has() { grep -q -e "$2" "$work/$1" || fail "$1 does not say: $2"; }
has turn-1.txt "^slot: A"; has turn-2.txt "^slot: B"; has turn-3.txt "^slot: B"
has turn-1.txt "^root: squashfs .*Read-only file system"
[ "$(sed -n 's/^data: \([0-9]*\) MiB/\1/p' "$work/turn-1.txt")" -gt 2500 ] || fail "the data partition did not grow"
for turn in 1 2 3; do has turn-$turn.txt "^service: active"; has turn-$turn.txt "^listening: $"; has turn-$turn.txt "^failed: $"; done
[ "$(grep -h ^identity "$work"/turn-?.txt | sort -u | wc -l)" = 1 ] || fail "the box is another one after an update"
for name in older strange cut; do has turn-1.txt "^$name.raucb: refused"; done
has turn-1.txt "^A: kept"; has turn-1.txt "^newer.raucb: installed"; has turn-1.txt "B_OK=1"
has turn-2.txt "^B: kept"
has turn-3.txt "A_OK=0"; has turn-3.txt "^END"
has result.txt "OK   settings"; has result.txt "OK   broker"
grep -q 'state/online' "$work/events" || fail "the box did not say at the broker that it is there"
say "all is well: version $version started, provisioned by stick, updated, and came through a power cut"
