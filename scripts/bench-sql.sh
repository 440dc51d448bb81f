#!/usr/bin/env bash
# Fills a scratch Postgres with 100,000 subscriptions, 120,000 marks, 100,000 alerts and 220,000 entries of drift, and prints how
# long each public function takes: the median and the worst of 9 calls, by the clock and in processor time. With --plans it also
# prints how the admin pages and the reconciler's reads are executed. This is a command, not a test: nothing fails here.
# Results: docs/PERFORMANCE-SQL.md.
#
#   scripts/bench-sql.sh [--plans]

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
CLUSTER_OPTIONS="-c shared_buffers=512MB -c max_wal_size=8GB -c autovacuum=off"
cluster_start
new_database bench
url="$(database_url bench)"
apply_migrations "$url"
started=$SECONDS
psql "$url" -q -v ON_ERROR_STOP=1 -f "$repo_root/scripts/lib/bench-fill.sql" >/dev/null
echo "filled in $((SECONDS - started)) s"
# As a superuser: the processor's time is read from /proc.
psql "$(database_url bench supabase_admin)" -q -v ON_ERROR_STOP=1 -P pager=off -f "$repo_root/scripts/lib/bench-calls.sql"
new_database standing
apply_migrations "$(database_url standing)"
psql "$(database_url standing supabase_admin)" -q -v ON_ERROR_STOP=1 -P pager=off -f "$repo_root/scripts/lib/bench-standing.sql"
new_database tell
apply_migrations "$(database_url tell)"
psql "$(database_url tell supabase_admin)" -q -v ON_ERROR_STOP=1 -P pager=off -f "$repo_root/scripts/lib/bench-tell.sql"
if [ "${1:-}" = --plans ]; then
  psql "$(database_url bench supabase_admin)" -q -v ON_ERROR_STOP=1 -f "$repo_root/scripts/lib/bench-plans.sql" 2>&1 |
    sed "s/^psql:[^ ]* NOTICE:  //"
fi
