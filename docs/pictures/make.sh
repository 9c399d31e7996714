#!/bin/sh
# Makes the pictures of docs/install.md from what the program really says: a box is provisioned from a stick folder, once with
# a wrong camera password and once with the right one, against a camera and a broker on loopback, and the service sees its
# first arrival. Usage: docs/pictures/make.sh [PROGRAM]. Needs what `make test` needs, and ffmpeg.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
program=$(realpath "${1:-target/release/forecourt}")
work=$(mktemp -d) pids=
cleanup() { for pid in $pids; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"; }
trap cleanup EXIT
draw() { python3 "$here/terminal.py" "$1" > "$here/$2.svg"; }
box() { "$program" provision --serial 10000000ABCDEF01 --root "$work/box" "$@"; }

/usr/bin/python3 tests/support/rtsp_camera.py models/demo/gate.mp4 --user viewer --password right > "$work/camera" & pids="$pids $!"
mosquitto -p 18895 > "$work/broker" 2>&1 & pids="$pids $!"
for _ in $(seq 100); do grep -q ready "$work/camera" && break; sleep 0.1; done
url=$(sed -n 's/^ready //p' "$work/camera")
mkdir -p "$work/stick" "$work/box/etc/forecourt"
cat > "$work/stick/forecourt-site.toml" <<TOML
[site]
tenant = "acme"
site = "shanghai-07"
device = "box-1"
time_zone = "Asia/Shanghai"

[[camera]]
id = "gate-in"
role = "entrance"
source = "$url"
credentials_file = "gate.credentials"

  [[camera.zone]]
  id = "lane"
  kind = "lane"
  polygon = [[0.05, 0.35], [0.95, 0.35], [0.95, 0.95], [0.05, 0.95]]

[mqtt]
url = "mqtt://127.0.0.1:18895"

[storage]
folder = "state"
control_socket = "state/control.sock"
TOML
draw "forecourt-site.toml on the stick" settings < "$work/stick/forecourt-site.toml"
echo "viewer:wrong" > "$work/stick/gate.credentials"
box apply "$work/stick" > /dev/null || true
draw "RESULT-10000000ABCDEF01.txt, back on the stick: the camera's password is wrong" result-wrong < "$work/stick/RESULT-10000000ABCDEF01.txt"
echo "viewer:right" > "$work/stick/gate.credentials"
box apply "$work/stick" > /dev/null
draw "RESULT-10000000ABCDEF01.txt after the password was corrected" result-good < "$work/stick/RESULT-10000000ABCDEF01.txt"
(cd "$work/stick" && ls -1) | draw "the stick afterwards" stick
box show --label "$work/stick" > "$work/show"
cp "$work/stick/label-10000000ABCDEF01.png" "$here/label.png"

export FORECOURT_CONFIG="$work/box/etc/forecourt/forecourt.toml"
sleep 4
"$program" camera snapshot gate-in --output "$work/snapshot.png" > /dev/null
ffmpeg -v error -y -i "$work/snapshot.png" -vf scale=640:-1 -q:v 5 "$here/snapshot.jpg"
"$program" members import models/demo/members.csv > /dev/null
"$program" run > "$work/log" 2>&1 & pids="$pids $!"
for _ in $(seq 100); do "$program" status > /dev/null 2>&1 && break; sleep 0.2; done
timeout 60 "$program" events tail > "$work/tail" 2>/dev/null & tail=$!
for _ in $(seq 300); do grep -q arrival "$work/tail" && break; sleep 0.2; done
{ echo '$ forecourt events tail'; grep -m3 . "$work/tail"; } | draw "the first arrival" arrival
for _ in $(seq 300); do "$program" status | grep -q "no picture" || break; sleep 0.2; done
{ echo '$ forecourt status'; "$program" status; } | draw "the box, on one screen" status
{ echo '$ forecourt doctor'; "$program" doctor || true; } | draw "what is wrong and what to do next" doctor
kill "$tail" 2>/dev/null || true
ls -l "$here"
