#!/usr/bin/env bash
# Runs the pgTAP suite. Every test file is one transaction that is rolled back.
#
#   scripts/test-sql.sh --own-cluster    a scratch Postgres: the suite on a fresh project, then on every older database
#                                        of supabase/tests/upgrade brought up to date; supabase/schemas compared with
#                                        what the migrations make; then scripts/test-adapter.sh
#   scripts/test-sql.sh DATABASE_URL     the suite on a database that has the migrations (as its owner or a superuser)
#
# Needs pg_prove (libtap-parser-sourcehandler-pgtap-perl) and, for a cluster, postgresql-15-pgtap. As root or not.

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need pg_prove libtap-parser-sourcehandler-pgtap-perl
started=$SECONDS

psql_wrapper="$repo_root/scripts/lib/psql-by-url.sh"

failed=0
# prove URL FILE...
prove() {
  local url="$1"
  shift
  SQL_TEST_URL="$url" pg_prove --psql "$psql_wrapper" --timer "$@" || failed=1
}

# same_definition NAME: is that database what the migrations make of an empty one? Prints the difference if not.
same_definition() {
  definition "$1" >"$cluster_dir/$1.sql" || die "$1 cannot be dumped"
  diff -u --label supabase/migrations --label supabase/schemas "$cluster_dir/fresh.sql" "$cluster_dir/$1.sql"
}

# notices WHAT STATEMENT: a comparison that cannot fail proves nothing, so it has to object to a change of each kind.
notices() {
  new_database changed fresh
  psql "$(database_url changed)" -q -v ON_ERROR_STOP=1 -c "$2" >/dev/null || die "it does not apply any more: $2"
  if same_definition changed >/dev/null; then
    echo "FAILED  the comparison overlooks $1"
    failed=1
  else
    echo "ok      the comparison notices $1"
  fi
}

suite=("$repo_root"/supabase/tests/*.test.sql)
case "${1:-}" in
  --own-cluster)
    cluster_start
    new_database fresh
    apply_migrations "$(database_url fresh)"
    echo "== a fresh project"
    prove "$(database_url fresh)" "${suite[@]}"
    echo "== supabase/schemas"
    new_database declared
    apply_schemas "$(database_url declared)"
    definition fresh >"$cluster_dir/fresh.sql"
    if same_definition declared; then
      echo "ok      supabase/schemas is what the migrations make"
    else
      echo "FAILED  supabase/schemas is not what the migrations make: lines with - are theirs, lines with + its own"
      failed=1
    fi
    notices "a comment" "comment on function billing_ops.utc(timestamptz) is 'another'"
    notices "a grant" "grant execute on function billing_ops.utc(timestamptz) to anon"
    notices "a grant that is missing" "revoke select on public.billing_alerts from authenticated"
    notices "an index" "drop index public.billing_alerts_open"
    notices "a function's text" "create or replace function billing_ops.page_size(p_limit integer) returns integer
      language sql immutable set search_path = '' as 'select 50'"
    notices "a policy" "alter policy billing_alerts_admin_read on public.billing_alerts using (true)"
    notices "a default" "alter table public.billing_alerts alter column occurrences set default 2"
    for scenario in "$repo_root"/supabase/tests/upgrade/*/; do
      name="$(basename "$scenario")"
      echo "== an older database: $name"
      new_database "$name"
      url="$(database_url "$name")"
      psql "$url" -q -v ON_ERROR_STOP=1 -1 -f "${scenario}before.sql" >/dev/null || die "$name/before.sql does not apply"
      mapfile -t pending < <(upgrade_files "$scenario")
      apply_migrations "$url" "${pending[@]}"
      prove "$url" "${scenario}after.test.sql" "${suite[@]}"
    done
    # In a cluster of its own, as it moves that to where transaction ids come round.
    echo "== the tables of other apps"
    "$repo_root/scripts/test-adapter.sh" || failed=1
    ;;
  "" | -*) die "usage: $(basename "$0") --own-cluster | DATABASE_URL" ;;
  *)
    need psql postgresql-client
    prove "$1" "${suite[@]}"
    ;;
esac
echo "SQL tests: $((SECONDS - started)) s"
exit "$failed"
