#!/usr/bin/env bash
# Twenty connections raise, resolve, start, finish and reclaim at once (pgbench), then the promises are counted: one open alert
# for a key, one chain of episodes, a history without gaps, one running run, and no call that failed.
#
#   scripts/race-sql.sh [SECONDS]    for each of the two parts; 10 if not given

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
CLUSTER_OPTIONS="-c deadlock_timeout=200ms"
cluster_start
new_database race
url="$(database_url race)"
apply_migrations "$url"
scripts="$cluster_dir/race"
mkdir "$scripts"

cat >"$scripts/raise" <<'SQL'
\set key random(1, 3)
select public.apply_monitor_outcomes(jsonb_build_array(jsonb_build_object('alert_key', 'k' || :key, 'alert_type', 't', 'state', 'holds',
  'severity', (array['info', 'warning', 'high', 'critical'])[1 + (random() * 3)::int], 'message', 'm')));
SQL
cat >"$scripts/clear" <<'SQL'
\set key random(1, 3)
select public.apply_monitor_outcomes(jsonb_build_array(jsonb_build_object('alert_key', 'k' || :key, 'alert_type', 't', 'state', 'clear')));
SQL
cat >"$scripts/monitor" <<'SQL'
select public.apply_monitor_outcomes('[{"alert_key": "k3", "alert_type": "t", "state": "holds", "severity": "high", "message": "m"},
  {"alert_key": "k2", "alert_type": "t", "state": "clear"}, {"alert_key": "k1", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"}]');
SQL
cat >"$scripts/resolve" <<'SQL'
select public.resolve_billing_alert(id, null, 'note') from public.billing_alerts where not resolved limit 1;
SQL
# A lease of no length: every start finds it expired.
cat >"$scripts/start" <<'SQL'
\set key random(1, 50)
select public.start_reconciliation_run('scheduled_' || :key, 'scheduled', 24, 0);
SQL
cat >"$scripts/heartbeat" <<'SQL'
select public.heartbeat_reconciliation_run(id, attempt, 1) from public.reconciliation_logs where status = 'running';
SQL
cat >"$scripts/finish" <<'SQL'
select public.finish_reconciliation_run(id, attempt, 'error', '{}', 'm', null, null, null, null,
  '[{"alert_key": "k1", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"}, {"alert_key": "k2", "alert_type": "t", "state": "clear"}]')
from public.reconciliation_logs where status = 'running';
SQL

failed=0
race() {
  local weighted=() script
  for script in "$@"; do weighted+=(-f "$scripts/$script"); done
  "$PG_BIN/pgbench" -n -c 20 -j 2 -T "${seconds}" "${weighted[@]}" "$url" >"$scripts/out" 2>&1 || failed=1
  grep -q '^number of failed transactions: 0 ' "$scripts/out" && ! grep -qi 'error' "$scripts/out" || failed=1
  sed -n 's/^number of transactions actually processed: /calls: /p; /^number of failed/p; /ERROR/p' "$scripts/out"
}
none() {
  local count
  count="$(psql "$url" -Atc "select count(*) from ($2) broken")"
  if [ "$count" = 0 ]; then echo "ok      $1"; else echo "FAILED  $1: $count"; failed=1; fi
}

seconds="${1:-10}"
race raise raise clear monitor resolve
race start start heartbeat finish monitor
none "at most one open alert for a key" \
  "select alert_key from public.billing_alerts where not resolved group by 1 having count(*) > 1"
none "each episode was raised once, and resolved as often as it says" \
  "select 1 from public.billing_alerts a left join public.billing_alert_events e on e.alert_id = a.id group by a.id
   having count(*) filter (where event = 'raised') <> 1 or count(*) filter (where event = 'resolved') <> a.resolved::int"
none "each episode follows the one before" \
  "select 1 from (select previous_alert_id, lag(id) over (partition by alert_key order by created_at) as before
   from public.billing_alerts) episodes where previous_alert_id is distinct from before"
none "severity only rose" \
  "select 1 from (select event, billing_ops.severity_rank(severity) as rank, lag(billing_ops.severity_rank(severity)) over
   (partition by alert_id order by id) as before from public.billing_alert_events) steps where event = 'escalated' and rank <= before"
none "at most one run is running" \
  "select 1 from public.reconciliation_logs where status = 'running' having count(*) > 1"
none "attempts of a key have no gaps" \
  "select run_key from public.reconciliation_logs group by 1 having max(attempt) <> count(*)"
exit "$failed"
