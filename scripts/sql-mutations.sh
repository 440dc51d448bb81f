#!/usr/bin/env bash
# Proves that the pgTAP suite can fail: breaks one thing after the other in a scratch database (the mutants of
# supabase/tests/mutations.sql, each inside the transaction of the test that it is to be noticed by) and wants some test
# to go red each time. Exits 1 if a mutant survives, 2 if one does not apply any more.
#
#   scripts/sql-mutations.sh [WORD]    only the mutants whose name holds WORD

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need pg_prove libtap-parser-sourcehandler-pgtap-perl
started=$SECONDS
tests="$repo_root/supabase/tests"

cluster_start
new_database fresh
apply_migrations "$(database_url fresh)"
pg_prove -Q -d "$(database_url fresh)" "$tests"/*.test.sql >/dev/null || die "the suite is red without a mutant"

# One file for each mutant, named by its place.
mutants="$cluster_dir/mutants"
mkdir "$mutants"
awk -v folder="$mutants" -v head="$repo_root/scripts/lib/rewrite.sql" '
  /^-- mutant: / {
    place++
    file = sprintf("%s/%03d.sql", folder, place)
    print > file
    while ((getline line < head) > 0) print line > file
    close(head)
    next
  }
  place { print > file }' "$tests/mutations.sql"
url="$(database_url fresh)"

# red MUTANT TEST...: is a test red with it?
red() {
  local mutant="$1"
  shift
  ! pg_prove -Q -d "$url" --set "mutant=$mutant" "$@" >"$cluster_dir/out" 2>&1
}
# A test that stops, instead of going red, may have met a mutant that is merely broken: worth a look.
how() { sed -n 's/.*Failed: \([1-9][0-9]*\))$/, \1 red/p; s/.*ERROR: */, stopped by: /p' "$cluster_dir/out" | head -2 | tr -d '\n'; }

killed=0
survived=0
for mutant in "$mutants"/*.sql; do
  IFS='|' read -r name expected < <(sed -n '1s/^-- mutant: //p' "$mutant")
  name="${name% }" expected="${expected// /}"
  case "$name" in *"${1:-}"*) ;; *) continue ;; esac
  psql "$url" -q -v ON_ERROR_STOP=1 -c begin -f "$mutant" -c rollback >/dev/null || die "it does not apply any more: $name"
  # The test that is expected to notice, and the whole suite only if it does not.
  if red "$mutant" "$tests/$expected.test.sql"; then
    echo "killed    $name ($expected$(how))"
    killed=$((killed + 1))
  elif red "$mutant" "$tests"/*.test.sql; then
    echo "killed    $name (not by $expected$(how))"
    killed=$((killed + 1))
  else
    echo "SURVIVED  $name"
    survived=$((survived + 1))
  fi
done
echo "$((killed + survived)) mutants: $killed killed, $survived survived, $((SECONDS - started)) s"
[ "$survived" -eq 0 ] && [ "$killed" -gt 0 ]
