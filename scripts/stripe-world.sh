#!/usr/bin/env bash
# Tests the Stripe client against a Stripe that others wrote: seahaven-stripe-world of PyPI, which needs Python 3.14. It uses
# python3.14 if there is one. As root on Debian it otherwise unpacks the first release that has it into a folder below target/. If
# neither works, it says so and skips. `scripts/stripe-world.sh`; takes a minute and a half the first time, then seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

version=0.3.0
# What it stands on, as it was when this last passed: others' releases are not to turn this red.
packages=("seahaven-stripe-world==$version" seahaven==0.6.0 starlette==1.10.0 uvicorn==0.54.0 apsw==3.54.1.0)
target=${CARGO_TARGET_DIR:-$root/target}
tree=$target/debian-forky
inside=()

skip() {
  echo "SKIPPED: the Stripe client was not held against an independent Stripe: $1"
  exit 0
}

# Another release's Python, in a folder: nothing of it reaches this system.
unpack() {
  [ -e "$tree/.complete" ] && return
  rm -rf "$tree"
  mkdir -p "$target"
  debootstrap --variant=minbase --include=python3.14,python3.14-venv,ca-certificates \
    forky "$tree" http://deb.debian.org/debian /usr/share/debootstrap/scripts/sid >"$target/debootstrap.log" 2>&1 &&
    # What this machine trusts and how it finds names, for the registry's sake.
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf" &&
    cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt" &&
    touch "$tree/.complete"
}

if command -v python3.14 >/dev/null; then
  venv=$target/stripe-world-$version
elif [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
  unpack || skip "Debian's Python 3.14 could not be unpacked; see $target/debootstrap.log"
  inside=(chroot "$tree")
  venv=/opt/stripe-world-$version
else
  skip "there is no python3.14, and without root and debootstrap none can be had"
fi
if ! "${inside[@]}" "$venv/bin/python" -c 'import seahaven_stripe_world, uvicorn' 2>/dev/null; then
  "${inside[@]}" python3.14 -m venv "$venv"
  "${inside[@]}" "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" ||
    skip "the registry does not have it"
fi

log=$(mktemp)
"${inside[@]}" "$venv/bin/python" -c '
from seahaven.http import serve
from seahaven_stripe_world import world
from seahaven_stripe_world.http_api import handle
serve(world, handle, port=0)
' >"$log" 2>&1 &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -f "$log"
}
trap stop EXIT
until url=$(grep -o 'http://127.0.0.1:[0-9]* (Press' "$log"); do
  kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
  sleep 0.1
done
# The whole workspace, so that nothing is compiled with other features than for the other tests.
STRIPE_WORLD_URL=${url% (Press} cargo test --workspace --test engine --quiet independent -- --ignored
