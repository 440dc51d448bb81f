#!/usr/bin/env bash
# Fetches the genuine PostgREST that the suites can be run over, and prints where it lies. Quick when it is there already.
#   bin=$(scripts/postgrest.sh) && POSTGREST_BIN=$bin make test-rust
# Needs curl, xz and github.com; for Linux on x86-64, where a release is one file without dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."

# The checksum is of this one archive. A release publishes no list of them; GitHub shows each file's digest on the release's page, and
# several public projects that pin this file have the same one. Whoever raises the version takes the new checksum from that page, not
# from what was downloaded. What Supabase runs may be a patch ahead: scripts/test-supabase.sh runs over the one that its CLI brings.
VERSION=v16.3
SHA256=4eb414eb948c8800863cc8c9896a17b611b2dccf9ff581f4d57f42ec9ccee40d

archive=postgrest-$VERSION-linux-static-x86-64.tar.xz
folder=$PWD/target/postgrest-$VERSION
if [ ! -x "$folder/postgrest" ]; then
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "postgrest: the release pinned here is for Linux on x86-64; name another program in POSTGREST_BIN" >&2
    exit 1
  fi
  mkdir -p target
  scratch=$(mktemp -d target/postgrest.XXXXXX)
  trap 'rm -rf "$scratch"' EXIT
  curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --retry 3 --output "$scratch/$archive" \
    "https://github.com/PostgREST/postgrest/releases/download/$VERSION/$archive"
  # Before anything is unpacked.
  if ! echo "$SHA256  $scratch/$archive" | sha256sum --check --strict --quiet >&2; then
    echo "postgrest: $archive is not the file that was pinned" >&2
    exit 1
  fi
  tar -xJf "$scratch/$archive" -C "$scratch" postgrest
  rm "$scratch/$archive"
  chmod 755 "$scratch" "$scratch/postgrest"
  # In one step, so that what lies there is whole and has been checked.
  rm -rf "$folder"
  mv "$scratch" "$folder"
fi
echo "$folder/postgrest"
