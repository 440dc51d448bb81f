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

# red OUTPUT MUTANT TEST...: is a test red with it?
red() {
  local output="$1" mutant="$2"
  shift 2
  ! pg_prove -Q -d "$url" --set "mutant=$mutant" "$@" >"$output" 2>&1
}
# A test that stops, instead of going red, may have met a mutant that is merely broken: worth a look.
how() { sed -n 's/.*Failed: \([1-9][0-9]*\))$/, \1 red/p; s/.*ERROR: */, stopped by: /p' "$1" | head -2 | tr -d '\n'; }

# judge PLACE OF WORD: every OFth mutant from PLACE on, in a database of its own, as mutants of one would wait for each other.
judge() {
  local place="$1" of="$2" word="$3" output="$cluster_dir/out.$1" mutant name expected at=0
  url="$(database_url "fresh_$place")"
  for mutant in "$mutants"/*.sql; do
    [ $((at++ % of)) -eq "$place" ] || continue
    IFS='|' read -r name expected < <(sed -n '1s/^-- mutant: //p' "$mutant")
    name="${name% }" expected="${expected// /}"
    case "$name" in *"$word"*) ;; *) continue ;; esac
    # The test that is expected to notice, and the whole suite only if it does not.
    if red "$output" "$mutant" "$tests/$expected.test.sql"; then
      echo "killed    $name ($expected$(how "$output"))"
    elif red "$output" "$mutant" "$tests"/*.test.sql; then
      echo "killed    $name (not by $expected$(how "$output"))"
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
