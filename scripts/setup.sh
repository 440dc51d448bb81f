#!/usr/bin/env bash
# Makes sure that this machine has what `make demo` and `make test` need. Quick when there is nothing to do.
# usage: setup.sh demo|test
# As root (or with a sudo that asks no password) it installs Debian's packages. Otherwise it says exactly what is missing.
set -euo pipefail
what=${1:-demo}

missing=()
need() { # need PACKAGE CONDITION…: the package is missing unless the condition holds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }
any() { compgen -G "$1"; }
either() { has "$1" || has "$2"; }
# The version of Postgres whose extensions are wanted, which their packages have in their names: of the newest server here, or of the
# one that would be installed. Debian 12 has 15, Ubuntu 24.04 has 16.
postgres_version() {
  local servers
  servers=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' || true)
  if [ -n "$servers" ]; then
    cut -d/ -f5 <<<"$servers" | sort -V | tail -1
  else
    apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -1 || true
  fi
}

need postgresql any '/usr/lib/postgresql/*/bin/postgres'
if [ "$what" = test ]; then
  need postgresql-contrib any '/usr/share/postgresql/*/extension/pgcrypto.control'
  version=$(postgres_version)
  need "postgresql-${version:-15}-pgtap" any '/usr/share/postgresql/*/extension/pgtap.control'
  need "postgresql-${version:-15}-plpgsql-check" any '/usr/share/postgresql/*/extension/plpgsql_check.control'
  need libtap-parser-sourcehandler-pgtap-perl has pg_prove
  need chromium has chromium
  need valgrind has valgrind
  need python3-venv python3 -c 'import ensurepip, venv'
  need curl has curl
  # scripts/stripe-world.sh needs Python 3.14, and unpacks one where there is none.
  need debootstrap either python3.14 debootstrap
fi

if [ ${#missing[@]} -gt 0 ]; then
  install=(apt-get install --yes --no-install-recommends "${missing[@]}")
  if [ "$(id -u)" = 0 ]; then
    as=()
  elif sudo -n true 2>/dev/null; then
    as=(sudo -n)
  else
    echo "setup: please install first: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: these Debian packages are missing, and there is no apt-get here: ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}" >&2
  "${as[@]}" apt-get update --quiet --quiet >&2
  DEBIAN_FRONTEND=noninteractive "${as[@]}" "${install[@]}" >&2
fi

for tool in cargo:https://rustup.rs node:https://nodejs.org npm:https://nodejs.org; do
  if ! command -v "${tool%%:*}" >/dev/null; then
    echo "setup: ${tool%%:*} is missing: ${tool#*:}" >&2
    exit 1
  fi
done
