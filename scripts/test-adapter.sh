#!/usr/bin/env bash
# Tests the adapter on tables of other apps. Each fixture of supabase/fixtures gets a database of its own before billing-ops is
# installed there. Proves that nothing of the app's is created or changed, that grants are given and taken back one by one, that
# concurrent writes do no harm, and that transaction ids may wrap around.
#
#   scripts/test-adapter.sh              on a scratch Postgres
#   scripts/test-adapter.sh --mutants [WORD]    takes one guard out at a time (only those whose name contains WORD); some test must go red
#
# Needs pg_prove (libtap-parser-sourcehandler-pgtap-perl) and postgresql-15-pgtap. As root or not.

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need pg_prove libtap-parser-sourcehandler-pgtap-perl
started=$SECONDS
tests="$repo_root/supabase/tests/adapter"
fixtures="$repo_root/supabase/fixtures"
shapes=(vercel basejump better_auth saas_starter bigint_enum)

psql_wrapper="$repo_root/scripts/lib/psql-by-url.sh"

failed=0
# prove NAME TEST [ROLE]
prove() {
  SQL_TEST_URL="$(database_url "$1" "${3:-postgres}")" pg_prove -Q --failures --psql "$psql_wrapper" "$tests/$2.test.sql" || failed=1
}
run() {
  local url="$1"
  shift
  psql "$url" -q -v ON_ERROR_STOP=1 "$@" >/dev/null
}

# install NAME: billing-ops beside an app: all but the tables of an empty project.
install() {
  local file files=()
  for file in "$repo_root"/supabase/schemas/*.sql; do
    [ "$(basename "$file")" = 05_base.sql ] || files+=(-f "$file")
  done
  run "$(database_url "$1")" -1 "${files[@]}" || die "supabase/schemas do not apply beside $1"
}

# app NAME: a database that holds an app's own tables, made by their owner.
app() {
  new_database "$1"
  run "$(database_url "$1")" -1 -f "$fixtures/$1.sql" || die "fixtures/$1.sql does not apply"
}

# compare WHAT FILE FILE
compare() {
  if diff -u "$2" "$3" >"$cluster_dir/diff"; then
    echo "ok      $1"
  else
    echo "FAILED  $1"
    head -20 "$cluster_dir/diff"
    failed=1
  fi
}
list() { psql "$(database_url "$1" supabase_admin)" -qAt -v ON_ERROR_STOP=1 -f "$tests/$2.sql" >"$cluster_dir/$1.$3"; }

# untouched NAME MAPPING: adopts, writes a little, lets go, and compares the catalog and the rights with what they were.
untouched() {
  local url
  url="$(database_url "$1")"
  list "$1" catalog before
  list "$1" rights rights_before
  install "$1"
  list "$1" catalog installed
  [ -z "$(psql "$url" -Atc 'table billing_ops.adoption')" ] || { echo "FAILED  $1 is adopted before its owner says so"; failed=1; }
  run "$url" -c "select billing_ops.adopt($2)" || die "$1 cannot be adopted"
  # As a migration does where the generator has changed.
  run "$url" -c "select billing_ops.adopt(mapping) from billing_ops.adoption" || die "what is adopted in $1 cannot be adopted again"
  list "$1" catalog adopted
  run "$url" -c "select billing_ops.unadopt()"
  list "$1" catalog after
  list "$1" rights rights_after
  [ "$(wc -l <"$cluster_dir/$1.before")" -gt 50 ] || die "the catalog of $1 is suspiciously short"
  compare "$1: nothing of the app's is created or changed by billing-ops beside it" "$cluster_dir/$1.before" "$cluster_dir/$1.installed"
  compare "$1: nor by adopting it" "$cluster_dir/$1.before" "$cluster_dir/$1.adopted"
  compare "$1: nor by letting go of it" "$cluster_dir/$1.before" "$cluster_dir/$1.after"
  compare "$1: every right is given back" "$cluster_dir/$1.rights_before" "$cluster_dir/$1.rights_after"
}

# empty NAME: billing-ops without an app, and what only a superuser can make for the test of that name.
empty() {
  new_database "$1" installed
  [ ! -f "$tests/before_$1.sql" ] || run "$(database_url "$1" supabase_admin)" -f "$tests/before_$1.sql"
}

# move_ids TO: the cluster goes on as if so many transactions had been. The pages that say what became of them are made up.
move_ids() {
  psql "$(database_url template1 supabase_admin)" -Atc "update pg_database set datallowconn = true" -c "checkpoint" >/dev/null
  for name in $(psql "$(database_url template1 supabase_admin)" -Atc "select datname from pg_database"); do
    psql "$(database_url "$name" supabase_admin)" -qc "vacuum freeze" >/dev/null
  done
  as_server_user "$PG_BIN/pg_ctl" -D "$cluster_dir/data" -m fast -w -s stop
  as_server_user "$PG_BIN/pg_resetwal" -x "$1" -D "$cluster_dir/data" >/dev/null
  # 32 pages of 32,768 transactions in a file.
  as_server_user dd if=/dev/zero of="$cluster_dir/data/pg_xact/$(printf '%04X' $(($1 / 1048576)))" bs=8192 count=32 status=none
  (cd "$cluster_dir" && as_server_user "$PG_BIN/pg_ctl" -D "$cluster_dir/data" -l "$cluster_dir/data/log" -w -s start \
    -o "-p $CLUSTER_PORT -k $cluster_dir -c listen_addresses=127.0.0.1 -c fsync=off -c autovacuum=off") >/dev/null 2>&1 ||
    die "the server does not start at transaction $1: $(tail -5 "$cluster_dir/data/log")"
}

plans="create table public.plans (id text primary key, owner text, status text);
  select billing_ops.adopt('{\"table\": \"public.plans\", \"key\": \"id\", \"stripe_subscription_id\": \"id\", \"owner\": {\"column\": \"owner\"},
    \"status\": \"status\", \"writes\": \"update\"}');
  insert into public.plans values ('sub_frozen', 'o', 'active')"

tests_of() {
  local shape
  for shape in "${shapes[@]}"; do
    app "$shape"
    if [ "$shape" = bigint_enum ]; then
      untouched "$shape" "'{\"table\": \"app.contracts\", \"key\": \"contract_id\", \"stripe_subscription_id\": \"stripe_sub\", \"owner\": {\"column\": \"tenant_id\"},
        \"status\": \"state\", \"tier\": \"plan\", \"on_insert\": {\"note\": \"new\"}, \"writes\": \"update_and_insert\"}'"
    else
      untouched "$shape" "billing_ops.detect() -> 0 -> 'mapping' || '{\"writes\": \"update\"}'"
    fi
    prove "$shape" "$shape"
  done
  empty seed
  prove seed seed
  empty refusals
  prove refusals refusals
  empty races
  prove races races supabase_admin
  empty wraparound
  run "$(database_url wraparound)" -c "$plans"
  # In steps that are less than half of all numbers, or what is old would seem to lie ahead, and freezing in between.
  for id in 999292928 1998585856 2997878784 3997171712 4294966900; do move_ids "$id"; done
  prove wraparound wraparound supabase_admin
}

mutants() {
  local killed=0 survived=0 mutant database expected name
  mkdir "$cluster_dir/mutants"
  awk -v folder="$cluster_dir/mutants" '
    /^-- mutant: / { place++; file = sprintf("%s/%03d.sql", folder, place) }
    place { print > file }' "$tests/mutations.sql"
  for mutant in "$cluster_dir"/mutants/*.sql; do
    IFS='|' read -r name database expected < <(sed -n '1s/^-- mutant: //p' "$mutant")
    database="${database// /}" expected="${expected// /}" name="${name% }"
    case "$name" in *"${1:-}"*) ;; *) continue ;; esac
    if [ -f "$fixtures/$database.sql" ]; then
      app "$database"
      install "$database"
    else
      empty "$database"
    fi
    run "$(database_url "$database")" -f "$repo_root/scripts/lib/rewrite.sql" -f "$mutant" || die "it does not apply any more: $name"
    local role=postgres
    [ "$database" != races ] || role=supabase_admin
    if SQL_TEST_URL="$(database_url "$database" "$role")" pg_prove -Q --psql "$psql_wrapper" "$tests/$expected.test.sql" >"$cluster_dir/out" 2>&1; then
      echo "SURVIVED  $name"
      survived=$((survived + 1))
    else
      # A test that stops, instead of going red, may have met a mutant that is merely broken: worth a look.
      echo "killed    $name ($expected: $(sed -n 's/.*Failed: \([0-9]*\))$/\1 red/p' "$cluster_dir/out")$(sed -n 's/.*ERROR: */, stopped by: /p' "$cluster_dir/out" | head -1))"
      killed=$((killed + 1))
    fi
  done
  echo "$((killed + survived)) mutants: $killed killed, $survived survived"
  [ "$survived" -eq 0 ] && [ "$killed" -gt 0 ] || failed=1
}

cluster_start
new_database installed
install installed
case "${1:-}" in
  "") tests_of ;;
  --mutants) mutants "${2:-}" ;;
  *) die "usage: $(basename "$0") [--mutants [WORD]]" ;;
esac
echo "adapter: $((SECONDS - started)) s"
exit "$failed"
