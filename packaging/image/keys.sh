#!/bin/sh
# An authority and a release key, for trial. Usage: keys.sh FOLDER. A fleet's authority is made offline and stays there.
set -eu
folder=$1
mkdir -p "$folder"
cd "$folder"
umask 077
openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/O=forecourt trial/CN=authority" -keyout ca.key -out ca.crt \
  -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
openssl req -newkey rsa:3072 -nodes -subj "/O=forecourt trial/CN=release" -keyout release.key -out release.csr 2>/dev/null
# No extended use: RAUC asks for S/MIME, and a certificate for code signing alone is refused.
printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n' > release.ext
openssl x509 -req -in release.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1825 -extfile release.ext -out release.crt 2>/dev/null
rm -f release.csr release.ext
