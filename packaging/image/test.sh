#!/bin/sh
# Tries updates with the real RAUC: what is signed verifies, what is not, is cut short, was changed or is older is refused, a
# newer one goes into the other slot, and a power cut while it is written leaves the slot that runs. As root; needs
# rauc, openssl, squashfs-tools, dbus-daemon, grub-common. Usage: packaging/image/test.sh [BUNDLE.raucb KEYRING.pem]
#
# Slots are files here and the boot loader's memory is a file, as it is on the box; settings are the image's own. Where the
# kernel has no device-mapper, bundles to be installed are of the format `plain` instead of `verity`.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD/packaging/image
for tool in rauc openssl mksquashfs dbus-daemon grub-editenv; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is missing: apt-get install rauc openssl squashfs-tools dbus grub-common"; exit 0; }
done
work=$(mktemp -d) service='' bus=''
cleanup() { for pid in $service $bus; do kill -9 "$pid" 2>/dev/null || true; done; umount "$work"/mnt/* 2>/dev/null || true; rm -rf --one-file-system "$work"; }
trap cleanup EXIT
say() { echo "image-test: $*"; }
fail() { say "FAILED: $*"; exit 1; }
verifies() { rauc info --keyring="$2" "$1" >"$work/info" 2>&1; }

"$here/keys.sh" "$work/ours"
"$here/keys.sh" "$work/strange"
head -c 4000000 /dev/urandom > "$work/rootfs.img"
bundle() { "$here/bundle.sh" "$work/rootfs.img" "$1" "$2" "$work/$3" "$4" "$work/$5"; }

if [ $# = 2 ]; then
  verifies "$1" "$2" || fail "the bundle $1 does not verify: $(tail -1 "$work/info")"
  grep -q "Verity" "$work/info" || grep -qi "format.*verity" "$work/info" || fail "$1 is no verity bundle"
  say "$1: $(grep -i -m1 "^ *version" "$work/info" | tr -s "\t " ' ')"
fi

say "signatures"
bundle 2.0 amd64 ours verity good.raucb
verifies "$work/good.raucb" "$work/ours/ca.crt" || fail "a good bundle: $(tail -1 "$work/info")"
verifies "$work/good.raucb" "$work/strange/ca.crt" && fail "a strange authority was believed"
bundle 2.0 amd64 strange verity strange.raucb
verifies "$work/strange.raucb" "$work/ours/ca.crt" && fail "a strange key was believed"
size=$(stat -c %s "$work/good.raucb")
for cut in 1 100 4096 $((size / 2)) $((size - 10)); do
  head -c $((size - cut)) "$work/good.raucb" > "$work/cut.raucb"
  verifies "$work/cut.raucb" "$work/ours/ca.crt" && fail "a bundle without its last $cut bytes was accepted"
done
cp "$work/good.raucb" "$work/changed.raucb"
# In the signature that stands at the end, before its length.
printf 'X' | dd of="$work/changed.raucb" bs=1 seek=$((size - 300)) conv=notrunc 2>/dev/null
verifies "$work/changed.raucb" "$work/ours/ca.crt" && fail "a changed signature was accepted"

if [ "$(id -u)" != 0 ]; then say "SKIPPED: installing needs root"; exit 0; fi
if ! [ -e /dev/loop-control ]; then say "SKIPPED: installing needs loop devices"; exit 0; fi
format=verity
[ -e /dev/mapper/control ] || { format=plain; say "no device-mapper here: bundles to be installed are plain"; }

say "installing ($format)"
mkdir "$work/mnt" "$work/data"
truncate -s 8M "$work/slot-a" "$work/slot-b"
grub-editenv "$work/grubenv" create
grub-editenv "$work/grubenv" set "ORDER=A B" A_OK=1 A_TRY=0 B_OK=0 B_TRY=0
echo 2.0 > "$work/version"
sed -e "s#@ARCH@#amd64#; s#/boot/efi/grub/grubenv#$work/grubenv#; s#/data/rauc#$work/data#; s#/run/rauc#$work/mnt#" \
  -e "s#/etc/rauc/keyring.pem#$work/ours/ca.crt#; s#bundle-formats=verity#bundle-formats=$format#" \
  -e "s#/usr/lib/forecourt/refuse-older#$here/root/usr/lib/forecourt/refuse-older#" \
  -e "s#/dev/disk/by-partlabel/rootfs-#$work/slot-#" "$here/root/etc/rauc/system.conf" > "$work/system.conf"
cat > "$work/bus.conf" <<CONF
<busconfig><type>system</type><listen>unix:path=$work/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
CONF
bus=$(dbus-daemon --config-file="$work/bus.conf" --fork --print-pid)
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$work/bus"
export FORECOURT_IMAGE_VERSION="$work/version"
serve() {
  rauc --conf="$work/system.conf" --override-boot-slot=A service >> "$work/service.log" 2>&1 &
  service=$!
  for _ in $(seq 100); do rauc --conf="$work/system.conf" status >/dev/null 2>&1 && return; sleep 0.1; done
  cat "$work/service.log"; fail "the service of RAUC does not start"
}
install() { rauc --conf="$work/system.conf" install "$1" > "$work/install.log" 2>&1; }
memory() { grub-editenv "$work/grubenv" list 2>/dev/null | sort | tr '\n' ' '; }
# Usage: refused BUNDLE WHAT WORDS, where WORDS must be among those that RAUC gives as its reason.
refused() {
  : > "$work/service.log"
  before=$(sha256sum "$work/slot-b" | cut -d' ' -f1)$(memory)
  if install "$1"; then fail "$2 was installed"; fi
  [ "$(sha256sum "$work/slot-b" | cut -d' ' -f1)$(memory)" = "$before" ] || fail "$2 was refused and left traces"
  grep -q -h -e "$3" "$work/install.log" "$work/service.log" || { cat "$work/install.log" "$work/service.log"; fail "$2 was refused for another reason"; }
  say "$2: refused ($3)"
}
serve
bundle 1.9 amd64 ours $format older.raucb
refused "$work/older.raucb" "an older version" "older than 2.0"
bundle 2.1 amd64 strange $format strange.raucb
refused "$work/strange.raucb" "a strange key" "signature verification failed"
bundle 2.1 arm64 ours $format other.raucb
refused "$work/other.raucb" "a bundle for other boxes" "Compatible mismatch"
bundle 2.1 amd64 ours $format newer.raucb
head -c $(($(stat -c %s "$work/newer.raucb") - 5000)) "$work/newer.raucb" > "$work/cut.raucb"
refused "$work/cut.raucb" "a truncated bundle" "exceeds bundle size"

install "$work/newer.raucb" || { cat "$work/install.log" "$work/service.log"; fail "a newer version was not installed"; }
cmp -n 4000000 "$work/rootfs.img" "$work/slot-b" || fail "the slot does not hold what was in the bundle"
case $(memory) in *"B_OK=1"*"ORDER=B A"*) ;; *) fail "the boot loader was not told: $(memory)" ;; esac
say "a newer version: in slot B, which is tried at the next start"

say "power cut while a slot is written"
grub-editenv "$work/grubenv" set "ORDER=A B" A_OK=1 A_TRY=0 B_OK=1 B_TRY=0
cuts=0
for turn in 1 2 3 4 5 6; do
  truncate -s 8M "$work/slot-b"
  grub-editenv "$work/grubenv" set "ORDER=A B" A_OK=1 A_TRY=0 B_OK=1 B_TRY=0
  (install "$work/newer.raucb" || true) &
  waiting=$!
  for _ in $(seq 2000); do
    [ -n "$(memory | grep B_OK=0)" ] && break
    sleep 0.005
  done
  sleep "0.0$turn"
  kill -9 "$service"; wait "$service" 2>/dev/null || true; wait "$waiting" || true
  case $(memory) in
    *"A_OK=1"*"B_OK=0"*"ORDER=A B"*) cuts=$((cuts + 1)) ;;
    # It was done before the cut came.
    *"A_OK=1"*"B_OK=1"*"ORDER=B A"*) cmp -n 4000000 "$work/rootfs.img" "$work/slot-b" || fail "half a slot is to be started: $(memory)" ;;
    *) fail "after a power cut: $(memory)" ;;
  esac
  umount "$work"/mnt/* 2>/dev/null || true
  serve
done
[ "$cuts" -gt 0 ] || fail "no cut came in time"
install "$work/newer.raucb" || fail "after the power cuts nothing can be installed"
say "$cuts of 6 cuts came in the middle: A stays the slot that starts; afterwards the update goes in"
say "all is well"
