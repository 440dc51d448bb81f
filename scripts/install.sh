#!/usr/bin/env bash
# Installs billing-ops beside an app that has migrations of its own: writes one migration into the app's folder, which the
# app then pushes like any other. (`supabase db push` from here would be refused: the app's own migrations are on record.)
#
#   scripts/install.sh APP_FOLDER    writes what APP_FOLDER/supabase/migrations lacks: everything the first time, what is
#                                    newer after an upgrade, nothing if all is there
#   scripts/install.sh --print       prints the migration for a database that has nothing of billing-ops
#
# The base tables and the four migrations of January 2025 are left out: an app has tables of its own, and the later files
# create what is missing. It must run on macOS too: nothing newer than bash 3.2, and only POSIX features of every other tool.

# Names of migrations hold nothing that a shell could split or expand.
# shellcheck disable=SC2046,SC2086

set -euo pipefail
export LC_ALL=C

root="$(cd "$(dirname "$0")/.." && pwd)"
sources="$root/supabase/migrations"
left_out="20250127000000 20250127000001 20250127000002 20250127000003 20250127000004"
# Lines that say what a migration holds, and where each of it begins and ends. No other line of a file looks like them.
marked='^-- billing-ops: (begin |end )?[0-9]+_'

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# Names of the migrations to install, in order.
ours() {
  local file name
  for file in "$sources"/*.sql; do
    name="$(basename "$file" .sql)"
    case " $left_out " in *" ${name%%_*} "*) ;; *) echo "$name" ;; esac
  done
}

version() { sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1; }

# lines FILE: its lines, however they end.
lines() { tr -d '\r' <"$1"; }
# text NAME: one of our migrations, its last line ended.
text() {
  ! grep -qE "$marked" "$sources/$1.sql" || die "$sources/$1.sql has a line that looks like the marks of an installed migration."
  lines "$sources/$1.sql"
  [ -z "$(tail -c 1 "$sources/$1.sql")" ] || echo
}
checksum() { cksum | tr ' ' '-'; }

# migration NAME...: one migration that holds these.
migration() {
  local name sum
  cat <<END
-- billing-ops $(version), which compares this app's subscriptions with Stripe's.
--
-- Written by its scripts/install.sh, which knows by the marked lines what is here already. Leave the file as it is, like every
-- migration that has been pushed. Nothing of the app's is created or changed by it, and no table is adopted, unless it has the very
-- shape that billing-ops began with: that takes a call of billing_ops.adopt(). What takes everything away again is
-- supabase/uninstall.sql, which comes with billing-ops.
--
END
  for name in "$@"; do echo "-- billing-ops: $name"; done
  for name in "$@"; do
    sum="$(text "$name" | checksum)"
    printf '\n-- billing-ops: begin %s\n' "$name"
    text "$name"
    printf -- '-- billing-ops: end %s %s\n' "$name" "$sum"
  done
}

# inside FILE: the names of what an installed migration holds; or fails, and says what is wrong with it.
inside() {
  local names name end sum
  names="$(lines "$1" | awk '
    function bad(what) { print what; failed = 1; exit 1 }
    !/^-- billing-ops: (begin |end )?[0-9]+_/ { next }
    $3 == "begin" {
      if (open != "") bad(open " has no end")
      if ($4 != listed[++begun]) bad($4 " begins where it should not")
      open = $4
      next
    }
    $3 == "end" {
      if ($4 != open) bad($4 " ends where it should not")
      open = ""
      next
    }
    begun { bad($3 " is listed where it should not be") }
    { listed[++count] = $3 }
    END {
      if (failed) exit 1
      if (open != "") bad(open " has no end")
      if (begun < count) bad(listed[begun + 1] " is listed and not there")
      if (!count) bad("nothing in it says what it holds")
      for (i = 1; i <= count; i++) print listed[i]
    }')" || { echo "$names"; return 1; }
  for name in $names; do
    end="$(lines "$1" | sed -n "s/^-- billing-ops: end $name //p")"
    sum="$(lines "$1" | sed -n "/^-- billing-ops: begin $name\$/,/^-- billing-ops: end $name /p" | sed '1d;$d' | checksum)"
    if [ -z "$end" ] || [ "$end" != "$sum" ]; then
      echo "$name is not as it was written"
      return 1
    fi
  done
  echo "$names"
}

# later_than FOLDER: a timestamp that is later than now and than every migration there. The CLI sorts them as text.
later_than() {
  local file stamp newest="" now next=""
  for file in "$1"/*_*.sql; do
    stamp="$(basename "$file")"
    stamp="${stamp%%_*}"
    case "$stamp" in "" | *[!0-9]*) continue ;; esac
    [[ ! "$stamp" > "$newest" ]] || newest="$stamp"
  done
  now="$(date -u +%Y%m%d%H%M%S)"
  if [[ "$now" > "$newest" ]]; then
    echo "$now"
    return
  fi
  [ ${#newest} -gt 18 ] || next=$((10#$newest + 1))
  [ ${#next} -eq ${#newest} ] || die "No timestamp sorts after the app's migration $newest: give that one a timestamp first."
  echo "$next"
}

unwritten() {
  if [ -e "$unfinished" ]; then
    rm -f "$unfinished"
    echo "$(basename "$0"): The migration could not be written; nothing was changed." >&2
  fi
}

install_into() {
  local folder="$1/supabase/migrations" all held="" missing="" file name found target
  [ -d "$folder" ] || die "$1 has no folder supabase/migrations: name the folder that holds the app's own supabase folder."
  all="$(ours)"
  for file in "$folder"/*.sql; do
    [ -f "$file" ] || continue
    name="$(basename "$file" .sql)"
    if grep -q "^-- billing-ops: uninstall" "$file"; then
      held=""
      continue
    elif [[ "$name" =~ ^[0-9]+_billing_ops$ ]] || grep -qE "$marked" "$file"; then
      found="$(inside "$file")" ||
        die "$file is damaged ($found): take it back from version control, or delete it if it has never been pushed."
    elif grep -qxF -e "$name" <<<"$all"; then
      # Copied by itself, under its own name.
      found="$name"
    else
      continue
    fi
    for name in $found; do
      grep -qxF -e "$name" <<<"$all" ||
        die "$file holds $name, which billing-ops $(version) does not know: install from the version that wrote it, or a newer one."
      ! grep -qxF -e "$name" <<<"$held" ||
        die "$file holds $name, which another migration there holds too: delete the one that has not been pushed."
      held="$held$name"$'\n'
    done
  done
  for name in $all; do
    grep -qxF -e "$name" <<<"$held" || missing="$missing $name"
  done
  if [ -z "$missing" ]; then
    echo "$folder holds everything of billing-ops $(version) already; nothing was changed."
    return
  fi

  target="$folder/$(later_than "$folder")_billing_ops.sql"
  # In the same folder, so that it gets there in one step, and under a name that the CLI takes for nothing.
  unfinished="$folder/.billing_ops.$$"
  trap unwritten EXIT
  # No "|| die": a function that is asked whether it failed goes on after what failed in it.
  migration $missing >"$unfinished"
  [ "$(inside "$unfinished" | tr '\n' ' ')" = "${missing# } " ]
  mv "$unfinished" "$target"

  echo "Wrote $target, which holds of billing-ops $(version):"
  printf '  %s\n' $missing
  if [ -n "$held" ]; then
    echo
    echo "Next, in $1: supabase db push, as for any migration of its own. What is adopted stays adopted."
  else
    cat <<END

Next:
  1. in $1: supabase db push, as for any migration of its own
  2. in the SQL editor, for a mapping of the table that fits: select billing_ops.detect();
  3. in a migration of the app's or in the SQL editor, with that mapping or your own: select billing_ops.adopt('{"table": …}');
Until a table is adopted, billing-ops reads and writes nothing of the app's. More in docs/INSTALL.md.
END
  fi
}

usage="usage: $(basename "$0") APP_FOLDER | --print"
[ -f "$sources/$(ours | head -n 1).sql" ] || die "$sources holds no migrations: this is not a whole copy of billing-ops."
[ $# -eq 1 ] || die "$usage"
case "$1" in
  --print) migration $(ours) ;;
  "" | -*) die "$usage" ;;
  *) install_into "${1%/}" ;;
esac
