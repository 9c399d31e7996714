#!/bin/sh
# Checks what the program is made of: licences, origins, doubles (deny.toml), and known holes where the list of them
# can be fetched. Needs cargo-deny: `cargo install cargo-deny --locked`.
set -eu
cd "$(dirname "$0")/.."
command -v cargo-deny >/dev/null || { echo "deny: cargo-deny is missing: cargo install cargo-deny --locked" >&2; exit 1; }
cargo deny --locked check licenses bans sources
if cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "deny: the list of known holes cannot be fetched here; advisories were NOT checked" >&2
fi
