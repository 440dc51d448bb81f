#!/usr/bin/env bash
# Proves that the pgTAP suite can fail. Breaks one thing after the other in a scratch database (the mutants of
# supabase/tests/mutations.sql, each inside the transaction of the test that should notice it) and expects a test to go red each
# time. Exits 1 if a mutant survives, 2 if one no longer applies.
#
#   scripts/sql-mutations.sh [WORD]    only the mutants whose name contains WORD

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need pg_prove libtap-parser-sourcehandler-pgtap-perl
started=$SECONDS
tests="$repo_root/supabase/tests"

cluster_start
new_database fresh
apply_migrations "$(database_url fresh)"
# Otherwise each test makes it, and takes it away again.
psql "$(database_url fresh)" -q -v ON_ERROR_STOP=1 -c 'create extension if not exists pgtap with schema extensions'
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

# Whether each can be made at all, before the first is judged: that takes seconds, and the rest minutes.
made() { for mutant in "$mutants"/*.sql; do printf 'begin;\n\\i %s\nrollback;\n' "$mutant"; done; }
unfit=$(made | psql "$(database_url fresh)" -q 2>&1 >/dev/null | sed -n 's/^psql:\([^:]*\):.* ERROR:.*/\1/p' | sort -u)
for mutant in $unfit; do
  echo "$(basename "$0"): it does not apply any more: $(sed -n '1s/^-- mutant: //p' "$mutant")" >&2
done
[ -z "$unfit" ] || exit 2

# red MUTANT TEST...: the first thing that is red with it, or that stops a test, which may mean that the mutant is merely broken: worth
# a look. Nothing after it is run. Fails if all is green.
red() {
  local mutant="$1" test
  shift
  for test in "$@"; do
    # As pg_prove calls psql, whose own failure is told by an ERROR or by the plan that never comes. What is red ends psql, too, whose
    # status therefore says nothing.
    { psql "$url" -XAtq -v ON_ERROR_STOP=1 -v "mutant=$mutant" -f "$test" 2>&1 || true; } |
      awk '/^not ok/ { sub(/^not ok [0-9]+( - )?/, ""); print; red = 1; exit }
           /ERROR: / { sub(/.*ERROR: */, "stopped by: "); print; red = 1; exit }
           /^1\.\.[0-9]+$/ { planned = 1 }
           END { if (!red && !planned) { print "no plan"; red = 1 } exit !red }' && return
  done
  return 1
}

# judge PLACE OF WORD: every OFth mutant from PLACE on, in a database of its own, as mutants of one would wait for each other.
judge() {
  local place="$1" of="$2" word="$3" mutant name expected noticed at=0
  url="$(database_url "fresh_$place")"
  for mutant in "$mutants"/*.sql; do
    [ $((at++ % of)) -eq "$place" ] || continue
    IFS='|' read -r name expected < <(sed -n '1s/^-- mutant: //p' "$mutant")
    name="${name% }" expected="${expected// /}"
    case "$name" in *"$word"*) ;; *) continue ;; esac
    # The test that is expected to notice, and the whole suite only if it does not.
    if noticed=$(red "$mutant" "$tests/$expected.test.sql"); then
      echo "killed    $name ($expected: $noticed)"
    elif noticed=$(red "$mutant" "$tests"/*.test.sql); then
      echo "killed    $name (not by $expected: $noticed)"
    else
      echo "SURVIVED  $name"
    fi
  done
}

workers=$(nproc)
judges=()
for ((place = 0; place < workers; place++)); do
  new_database "fresh_$place" fresh
  judge "$place" "$workers" "${1:-}" >"$cluster_dir/judged.$place" 2>"$cluster_dir/said.$place" &
  judges+=($!)
done
broken=0
for ((place = 0; place < workers; place++)); do
  wait "${judges[$place]}" || broken=1
  cat "$cluster_dir/judged.$place"
  cat "$cluster_dir/said.$place" >&2
done
killed=$(cat "$cluster_dir"/judged.* | grep -c '^killed' || true)
survived=$(cat "$cluster_dir"/judged.* | grep -c '^SURVIVED' || true)
echo "$((killed + survived)) mutants: $killed killed, $survived survived, $((SECONDS - started)) s"
[ "$broken" -eq 0 ] || exit 2
[ "$survived" -eq 0 ] && [ "$killed" -gt 0 ]
