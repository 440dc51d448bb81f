#!/bin/sh
# Builds the deployment exactly as Vercel does, offline, and checks the result: `make package`.
#
#   scripts/package.sh [FOLDER]     leaves the deployment in FOLDER/.vercel/output (default: <target>/package)
#
# It works on a copy of the tracked files, as they are in the work tree. So the checkout is not touched, and untracked files cannot
# end up in a deployment.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
# A folder of its own: to Cargo the copy is the same package, and it would take one's binaries for the other's.
export CARGO_TARGET_DIR="$target/package-build"
copy=${1:-$target/package}
tools=$root/tools/packaging

say() { printf '== %s\n' "$*"; }

for program in cargo git node npm tar; do
  command -v "$program" >/dev/null || { echo "package: $program is not installed" >&2; exit 1; }
done

# The lock file that npm leaves behind says which versions are there.
if ! cmp -s "$tools/package-lock.json" "$tools/node_modules/.installed-lock.json"; then
  say "installing the Vercel CLI"
  # No install scripts: none of them is needed to build, and they would run with the caller's rights. Not `npm ci`: it wants
  # the CLI's native builds for every other platform in the lock file, which not every registry mirror has. `--no-save`
  # takes the versions of the lock file, checks their hashes, and leaves the file as it is.
  npm install --prefix "$tools" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$tools/package-lock.json" "$tools/node_modules/.installed-lock.json"
fi

say "copying the tracked files to $copy"
rm -rf "$copy"
mkdir -p "$copy/.vercel"
# Times are kept, so that Cargo rebuilds only what has changed since the last time. Files deleted in the work tree are
# still listed by git until that is committed.
(cd "$root" && git ls-files -z --deduplicate && git ls-files -z --deleted) | sort -z | uniq -zu >"$copy/.files"
tar -C "$root" --null -T "$copy/.files" -cf - | tar -xf - -C "$copy"
rm "$copy/.files"
# No project is linked: its settings are those of vercel.json.
echo '{"settings":{}}' >"$copy/.vercel/project.json"

# The builder makes one function after the other, and linking one keeps a single core busy. Built before, all at once and by the same
# command otherwise, they are there when it asks for them.
say "cargo build"
(cd "$copy" && cargo build --quiet --release --bins)

say "vercel build"
# VERCEL_BUILD_IMAGE keeps the builder to plain cargo, as on the platform's own build machines. The folder for the CLI's
# configuration is empty: no login is used or needed.
(cd "$copy" && VERCEL_BUILD_IMAGE=local VERCEL_TELEMETRY_DISABLED=1 CI=1 \
  node "$tools/node_modules/vercel/dist/vc.js" build --prod --yes --global-config "$copy/.vercel/cli")

say "checking .vercel/output"
node "$tools/check-output.mjs" "$copy"

say "starting the functions as the platform does"
node "$tools/run-functions.mjs" "$copy"
