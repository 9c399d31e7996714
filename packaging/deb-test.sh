#!/bin/sh
# Tries the package in a Debian 12 of its own: install, the service inside its sandbox under a real systemd with a replayed
# camera, events at a Mosquitto outside, upgrade, refused downgrade, purge. As root; needs mmdebstrap,
# systemd-container, mosquitto and the network of apt. Usage: packaging/deb-test.sh dist/forecourt_*.deb
set -eu
deb=$(realpath "$1")
cd "$(dirname "$0")/.."
for tool in mmdebstrap systemd-nspawn mosquitto mosquitto_sub script; do
  command -v "$tool" >/dev/null || { echo "deb-test: $tool is missing; apt-get install mmdebstrap systemd-container mosquitto mosquitto-clients bsdutils" >&2; exit 1; }
done
work=$(mktemp -d) port=18893 pids=
root=$work/root
cleanup() { for pid in $pids; do kill "$pid" 2>/dev/null || true; done; umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$work"; }
trap cleanup EXIT
say() { echo "deb-test: $*"; }
fail() { say "FAILED: $*"; exit 1; }
inside() { chroot "$root" "$@"; }

base=target/deb-test/base.tar
if [ ! -s "$base" ]; then
  say "making a Debian 12"
  mkdir -p target/deb-test
  needed=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/ //g')
  mmdebstrap --quiet --variant=minbase --include="systemd-sysv,udev,dbus,$needed" bookworm "$base.part.tar"
  mv "$base.part.tar" "$base"
fi
mkdir "$root" && tar -C "$root" -xf "$base"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"

say "install"
cp "$deb" "$root/root/new.deb"
inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends /root/new.deb > "$work/install.log" 2>&1 \
  || { tail -20 "$work/install.log"; fail "apt-get install"; }
inside forecourt --version
inside forecourt models verify /usr/share/forecourt/packs/plate-cn >/dev/null || fail "the pack does not verify"
inside sh -c '! ldd /usr/bin/forecourt | grep "not found"' || fail "a library is missing"
[ "$(inside stat -c '%U:%G %a' /etc/forecourt)" = "root:forecourt 750" ] || fail "/etc/forecourt"
[ "$(inside stat -c '%U %a' /var/lib/forecourt)" = "forecourt 700" ] || fail "/var/lib/forecourt"

say "the service under systemd"
cat > "$root/etc/forecourt/forecourt.toml" <<TOML
[site]
tenant = "acme"
site = "deb-test"
device = "box-1"
[[camera]]
id = "gate"
source = "file:/usr/share/forecourt/demo/gate.mp4"
motion_gate = false
[visits]
absent_after = "8s"
dwell_gap = "4s"
[mqtt]
url = "mqtt://127.0.0.1:$port"
TOML
inside chgrp forecourt /etc/forecourt/forecourt.toml
inside runuser -u forecourt -- forecourt members import /usr/share/forecourt/demo/members.csv >/dev/null
cat > "$root/etc/systemd/system/probe.service" <<'UNIT'
[Unit]
After=forecourt.service
[Service]
Type=oneshot
ExecStart=/bin/sh /root/probe.sh
ExecStopPost=/bin/systemctl poweroff --no-block
TimeoutStartSec=300
[Install]
WantedBy=multi-user.target
UNIT
cat > "$root/root/probe.sh" <<'PROBE'
exec > /root/probe.txt 2>&1
for _ in $(seq 90); do
  systemctl is-active --quiet forecourt.service && [ -e /run/forecourt/control.sock ] && break
  sleep 1
done
systemctl show forecourt.service -p ActiveState -p SubState -p NRestarts -p ActiveEnterTimestampMonotonic -p InactiveExitTimestampMonotonic -p MemoryCurrent
systemctl show forecourt-key.service forecourt-clock.service -p Id -p Result -p ExecMainStatus
systemctl is-active forecourt-clock-save.timer
pid=$(systemctl show -P MainPID forecourt.service)
grep -E '^(Uid|Gid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status"
ls -l /run/credentials/forecourt.service/
nsenter -t "$pid" -m sh -c 'touch /usr/x 2>&1; ls /var/lib/forecourt-key 2>&1'
systemd-analyze security --no-pager forecourt.service | tail -1
sleep 60
runuser -u forecourt -- forecourt status
systemctl show forecourt.service -p ActiveState -p NRestarts -p MemoryPeak
journalctl -u forecourt --no-pager -o cat | tail -40
PROBE
inside systemctl enable probe.service >/dev/null 2>&1
umount "$root/proc"
mosquitto -p "$port" > "$work/mosquitto.log" 2>&1 & pids="$pids $!"
for _ in $(seq 50); do mosquitto_pub -p "$port" -t ready -n 2>/dev/null && break; sleep 0.1; done
mosquitto_sub -p "$port" -t 'forecourt/#' -v > "$work/events" 2>/dev/null & pids="$pids $!"
timeout 600 script -qfc "systemd-nspawn --quiet --register=no --keep-unit -D $root --boot" "$work/boot.log" </dev/null >/dev/null || true
cat "$root/root/probe.txt"
grep -q '^ActiveState=active' "$root/root/probe.txt" || { tail -40 "$work/boot.log"; fail "the service is not active"; }
grep -q '^NRestarts=0' "$root/root/probe.txt" || fail "the service was restarted"
grep -q 'evt/arrival' "$work/events" || { cat "$work/events"; fail "no arrival reached the broker"; }
say "events outside: $(cut -d' ' -f1 "$work/events" | sed 's#.*/##' | sort | uniq -c | tr -s ' \n' ' ')"

mount -t proc proc "$root/proc"
say "upgrade, downgrade, purge"
listed() { inside runuser -u forecourt -- forecourt members list --json | sha256sum; }
before=$(listed)
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$work/next/DEBIAN/control"
dpkg-deb -b "$work/next" "$root/root/next.deb" >/dev/null
inside dpkg -i /root/next.deb > "$work/upgrade.log" 2>&1 || fail "upgrade: $(tail -3 "$work/upgrade.log")"
[ "$(listed)" = "$before" ] || fail "the upgrade changed the members"
[ -s "$root/var/lib/forecourt/spool.db" ] || fail "the upgrade lost the outbox"
if inside dpkg -i /root/new.deb > "$work/downgrade.log" 2>&1; then fail "a downgrade was accepted"; fi
grep -q "could not read its databases" "$work/downgrade.log" || fail "the downgrade failed for another reason"
inside dpkg --configure -a >/dev/null 2>&1 || true
[ "$(inside dpkg-query -W -f '${Version} ${db:Status-Status}' forecourt)" = "99.0-1 installed" ] || fail "after the refused downgrade"
inside dpkg --purge forecourt > "$work/purge.log" 2>&1 || fail "purge: $(tail -3 "$work/purge.log")"
left=$(find "$root" -xdev -path "$root/proc" -prune -o -name '*forecourt*' -print | sed "s#^$root##" | grep -v '^/root\|^/var/cache\|^/var/lib/dpkg\|^/var/lib/apt' || true)
[ -z "$left" ] || fail "the purge left $left"
say "all is well"
