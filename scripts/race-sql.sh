#!/usr/bin/env bash
# Twenty connections raise, resolve, start, finish and reclaim at once, then twenty repair the rows that others write (pgbench), and
# the promises are counted: one open alert for a key, one chain of episodes, a history without gaps, one running run, no write of the
# app's that a repair took back, one mark for a subscription, and no call that failed. Then people approve, take back and let stand what
# runs find and repair meanwhile.
#
#   scripts/race-sql.sh [SECONDS]    for each of the four parts; 10 if not given

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

# Fifty rows. The app counts seats up, and notes each time; the reconciler sets what it has read: the same number, so that nothing is
# lost but by overwriting what came between. Its batches come in any order, and find owners by their customers, though a third of the
# new rows' checkouts mostly name another.
cat >"$scripts/app" <<'SQL'
\set n random(1, 50)
begin;
update public.subscriptions set quantity = quantity + 1 where stripe_subscription_id = 'sub_' || :n;
insert into public.noted values (:n);
commit;
SQL
cat >"$scripts/repair" <<'SQL'
select public.apply_reconciliation_batch(r.id, r.attempt, 330, (
  select jsonb_agg(jsonb_build_object('kind', 'update', 'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text, 'quantity', s.quantity),
    'findings', '[]'::jsonb) order by random())
  from public.subscriptions s where random() < 0.3))
from public.reconciliation_logs r where r.status = 'running';
SQL
cat >"$scripts/create" <<'SQL'
\set n random(51, 100000)
select public.apply_reconciliation_batch(r.id, r.attempt, 330, jsonb_build_array(jsonb_build_object('kind', 'create',
  'named', case :n % 3 when 0 then jsonb_build_object('metadata', md5((:n % 50 + 1)::text)::uuid)
    when 1 then jsonb_build_object('checkout', md5((:n % 47 + 1)::text)::uuid) end, 'findings',
  jsonb_build_array(jsonb_build_object('drift_key', 'missing_in_database:sub_' || :n, 'type', 'missing_in_database', 'severity', 'high',
    'stripe_subscription_id', 'sub_' || :n, 'issue', 'i')),
  'row', jsonb_build_object('stripe_subscription_id', 'sub_' || :n, 'customer', 'cus_' || :n % 50 + 1, 'status', 'active', 'quantity', 0))),
  p_looked_up => jsonb_build_array(jsonb_build_array('sub_' || :n % 50 + 1, null, null)))
from public.reconciliation_logs r where r.status = 'running';
SQL
cat >"$scripts/read" <<'SQL'
select public.read_subscriptions_for_reconcile((
  select jsonb_agg(jsonb_build_array('sub_' || n, n) order by random()) from generate_series(1, 100000) n where random() < 0.002));
SQL

# What people decide beside the runs, several at once and in any order. Again each sets what has been read.
cat >"$scripts/functions.sql" <<'SQL'
create function public.difference(p_id text) returns jsonb language sql as $$
  select jsonb_build_object('drift_key', 'quantity_mismatch:' || p_id, 'type', 'quantity_mismatch', 'severity', 'high', 'stripe_subscription_id', p_id,
    'issue', 'i', 'sets', '["quantity"]'::jsonb, 'proposal', '{"quantity": 0}'::jsonb)
$$;
create function public.change(p_row public.subscriptions, p_version text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'row', jsonb_build_object('key', p_row.id::text, 'version', p_version, 'quantity', p_row.quantity),
    'was', jsonb_build_object('quantity', p_row.quantity), 'findings', jsonb_build_array(public.difference(p_row.stripe_subscription_id)))
$$;
SQL
cat >"$scripts/observe" <<'SQL'
select public.apply_reconciliation_batch(r.id, r.attempt, 330, (
  select jsonb_agg(jsonb_build_object('kind', 'none', 'action', 'waiting', 'findings', jsonb_build_array(public.difference('sub_' || n))) order by random())
  from generate_series(1, 50) n where random() < 0.3))
from public.reconciliation_logs r where r.status = 'running';
SQL
cat >"$scripts/mend" <<'SQL'
select public.apply_reconciliation_batch(r.id, r.attempt, 330, coalesce((
  select jsonb_agg(public.change(s, s.xmin::text) order by random()) from public.subscriptions s where random() < 0.1), '[]'))
from public.reconciliation_logs r where r.status = 'running';
SQL
# Each run knows nothing of what the one before has ended.
cat >"$scripts/next" <<'SQL'
update public.reconciliation_logs set status = 'success', finished_at = now() where status = 'running';
select public.start_reconciliation_run('request_' || gen_random_uuid(), 'request', 24, 3600);
SQL
cat >"$scripts/approve" <<'SQL'
select public.apply_drift_decisions(md5('person')::uuid, coalesce((
  select jsonb_agg(public.change(s, s.xmin::text) || jsonb_build_object('id', d.id) order by random())
  from public.subscriptions s join public.drift d on d.drift_key = 'quantity_mismatch:' || s.stripe_subscription_id and d.closed_at is null
  where random() < 0.1), '[]'));
SQL
cat >"$scripts/take_back" <<'SQL'
select public.revert_drift(id, md5('person')::uuid, 'note') from public.drift
where action = 'repaired' and closed_at > now() - interval '1 second' limit 1;
SQL
cat >"$scripts/let_stand" <<'SQL'
select public.except_drift(id, md5('person')::uuid, 7, 'note') from public.drift where closed_at is null and action <> 'excepted' limit 1;
SQL
cat >"$scripts/end" <<'SQL'
select public.unexcept_drift(id, md5('person')::uuid, 'auto') from public.drift where closed_at is null and action = 'excepted' limit 1;
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

psql "$url" -q -v ON_ERROR_STOP=1 <<'SQL' >/dev/null
update public.reconciliation_logs set status = 'error', finished_at = now() where status = 'running';
select public.start_reconciliation_run('request_race', 'request', 24, 3600);
create table public.noted (n integer);
insert into public.organizations (id, name) select md5(n::text)::uuid, 'o' from generate_series(1, 50) n;
insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, quantity)
select md5(n::text)::uuid, 'sub_' || n, 'cus_' || n, 'active', 0 from generate_series(1, 50) n;
SQL
race app app repair create read
none "no write of the app's was taken back" \
  "select stripe_subscription_id from public.subscriptions s where quantity <> (select count(*) from public.noted n where 'sub_' || n.n = stripe_subscription_id)"
none "both wrote" "select 1 where not exists (select from public.noted) or not exists (
  select from public.drift where action = 'created') or not exists (select from billing_ops.subscription_marks)"
none "each new row is its customer's owner's" \
  "select 1 from public.subscriptions where organization_id <> md5(substr(stripe_customer_id, 5))::uuid"
none "what contradicts has no row" "select 1 from public.drift d join public.subscriptions s using (stripe_subscription_id)
   where d.type = 'organization_mismatch' union all select 1 where not exists (select from public.drift where type = 'organization_mismatch')"
none "each new row is on record" "select 1 from public.subscriptions s where substr(stripe_subscription_id, 5)::integer > 50
   and not exists (select from public.drift d where d.stripe_subscription_id = s.stripe_subscription_id and d.action = 'created')"
none "each mark says what was listed" \
  "select 1 from billing_ops.subscription_marks where created <> to_timestamp(substr(stripe_subscription_id, 5)::integer)"

psql "$url" -q -v ON_ERROR_STOP=1 -f "$scripts/functions.sql" >/dev/null
race app app observe mend next approve approve take_back let_stand end
none "no write of the app's was taken back by a person either" \
  "select stripe_subscription_id from public.subscriptions s where quantity <> (select count(*) from public.noted n where 'sub_' || n.n = stripe_subscription_id)"
none "each repair is on record once" "select 1 from public.drift d where d.type = 'quantity_mismatch' and (
    select count(*) from public.drift_events e where e.drift_id = d.id and e.event = 'repaired') <> (d.action in ('repaired', 'reverted'))::integer"
none "each is taken back once" "select 1 from public.drift d where d.type = 'quantity_mismatch' and (
    select count(*) from public.drift_events e where e.drift_id = d.id and e.event = 'reverted') <> (d.action = 'reverted')::integer"
none "what is let stand can be ended" "select 1 from public.drift where closed_at is null and excepted_until > now() and action <> 'excepted'"
none "all of it happened" "select 1 from unnest(array['repaired', 'reverted', 'excepted', 'waiting', 'superseded']) a
   where not exists (select from public.drift_events where event = a) or not exists (select from public.drift where action = 'repaired' and decided_by is not null)"
exit "$failed"
