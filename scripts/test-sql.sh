#!/usr/bin/env bash
# Runs the pgTAP suite. Every test file is one transaction that is rolled back.
#
#   scripts/test-sql.sh --own-cluster    a scratch Postgres: the suite on a fresh project, then on every older database
#                                        of supabase/tests/upgrade brought up to date
#   scripts/test-sql.sh DATABASE_URL     the suite on a database that has the migrations (as its owner or a superuser)
#
# Needs pg_prove (libtap-parser-sourcehandler-pgtap-perl) and, for a cluster, postgresql-15-pgtap. As root or not.

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
need pg_prove libtap-parser-sourcehandler-pgtap-perl
started=$SECONDS

# pg_prove cuts a connection string at its first "=": so psql gets it from the environment.
psql_wrapper="$(mktemp)"
trap 'rm -f "$psql_wrapper"; cluster_stop' EXIT
cat >"$psql_wrapper" <<'WRAPPER'
#!/bin/sh
exec psql --dbname "$SQL_TEST_URL" "$@"
WRAPPER
chmod 755 "$psql_wrapper"

failed=0
# prove URL FILE...
prove() {
  local url="$1"
  shift
  SQL_TEST_URL="$url" pg_prove --psql "$psql_wrapper" --timer "$@" || failed=1
}

suite=("$repo_root"/supabase/tests/*.test.sql)
case "${1:-}" in
  --own-cluster)
    cluster_start
    trap 'rm -f "$psql_wrapper"; cluster_stop' EXIT
    new_database fresh
    apply_migrations "$(database_url fresh)"
    echo "== a fresh project"
    prove "$(database_url fresh)" "${suite[@]}"
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
    ;;
  "" | -*) die "usage: $(basename "$0") --own-cluster | DATABASE_URL" ;;
  *)
    need psql postgresql-client
    prove "$1" "${suite[@]}"
    ;;
esac
echo "SQL tests: $((SECONDS - started)) s"
exit "$failed"
