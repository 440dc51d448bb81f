#!/usr/bin/env bash
# Twenty connections raise, resolve, start, finish and reclaim at once, then twenty repair the rows that others write (pgbench). Then
# the promises are checked by counting: one open alert for a key, one chain of episodes, a history without gaps, one running run, no
# write of the app's undone by a repair, one mark for a subscription, and no failed call. Next, people approve, take back and let stand
# what runs find and repair at the same time. Then alerts come and go while processes that die tell channels that come and go. Last,
# events come while passes over what is due begin, end, die, and give way to full runs.
#
#   scripts/race-sql.sh [SECONDS]    for each of the six parts; 10 if not given

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

# Who is told of what. Three channels, one of which comes, goes and breaks; claims that are finished at once, late, or never. Each claim
# and each end is noted in the transaction that makes it: both hold the lock of claims until then, so that places tell which came first.
cat >"$scripts/tell.sql" <<'SQL'
create sequence public.places;
create table public.hours (ticks integer not null);
insert into public.hours values (0);
create table public.claims (place bigint primary key default nextval('public.places'), ticks integer, claim uuid, delivery bigint, alert uuid,
  channel text, kind text, by_person boolean, too_early boolean);
create table public.ends (place bigint primary key default nextval('public.places'), claim uuid, delivery bigint, outcome text, counted boolean);
create index on public.claims (claim);
create function public.channels() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('channel', c, 'min_severity', s, 'fingerprint', case when c = 'webhook' and random() < 0.05 then 'g' else 'f' end))
  from (values ('slack', 'info'), ('pagerduty', 'high'), ('webhook', 'warning')) channels (c, s) where c <> 'webhook' or random() < 0.9
$$;
create function public.noted(p_answer jsonb, p_by_person boolean) returns bigint language sql as $$
  with noted as (
    insert into public.claims (ticks, claim, delivery, alert, channel, kind, by_person, too_early)
    select (select ticks from public.hours), (d ->> 'claim')::uuid, (d ->> 'id')::bigint, (d #>> '{alert,id}')::uuid, d ->> 'channel', d ->> 'kind', p_by_person,
      exists (select 1 from public.notification_deliveries e where e.alert_id = (d #>> '{alert,id}')::uuid and e.channel = d ->> 'channel'
        and e.status = 'due' and e.id < (d ->> 'id')::bigint)
    from jsonb_array_elements(p_answer -> 'deliveries') d
    returning 1)
  select count(*) from noted
$$;
create function public.ended(p_claim public.claims, p_outcome text) returns void language sql as $$
  insert into public.ends (claim, delivery, outcome, counted)
  select p_claim.claim, p_claim.delivery, p_outcome, (public.finish_deliveries(jsonb_build_array(jsonb_build_object('id', p_claim.delivery,
    'claim', p_claim.claim, 'outcome', p_outcome, 'answer', 'a', 'unanswered', random() < 0.2))) ->> 'finished')::integer = 1
$$;
-- Nobody lets go of what a person asked for.
create function public.outcome(p_claim public.claims) returns text language sql as $$
  select (array['sent', 'sent', 'sent', 'sent', 'sent', 'failed', 'failed', 'refused', case when p_claim.by_person then 'failed' else 'released' end,
    case when p_claim.channel = 'webhook' and random() < 0.6 then 'gone' else 'sent' end])[1 + floor(random() * 10)::integer]
$$;
select public.claim_deliveries('[{"channel": "slack", "min_severity": "info", "fingerprint": "f"}, {"channel": "pagerduty", "min_severity": "high", "fingerprint": "f"}]');
SQL
cat >"$scripts/happen" <<'SQL'
\set key random(1, 12)
select public.apply_monitor_outcomes(jsonb_build_array(jsonb_build_object('alert_key', 'k' || :key, 'alert_type', 't', 'message', 'm',
  'state', case when random() < 0.5 then 'holds' else 'clear' end, 'severity', (array['info', 'warning', 'high', 'critical'])[1 + floor(random() * 4)::integer])));
SQL
cat >"$scripts/attend" <<'SQL'
select public.attend_billing_alert(id, md5('person')::uuid, (array['acknowledge', 'unacknowledge', 'snooze', 'unsnooze', 'note'])[1 + floor(random() * 5)::integer], 15, 'n')
from public.billing_alerts where not resolved order by random() limit 1;
SQL
cat >"$scripts/claim" <<'SQL'
select public.noted(public.claim_deliveries(public.channels()), false);
SQL
# Some of those that hold: after the lock, or they would have run out before their turn came.
cat >"$scripts/end_new" <<'SQL'
begin;
select pg_advisory_xact_lock(hashtext('billing_ops.claim_deliveries'));
with picked as materialized (select c.* from public.claims c join public.notification_deliveries d using (claim) order by random() limit 5)
select public.ended(c, public.outcome(c)) from picked c;
commit;
SQL
cat >"$scripts/end_old" <<'SQL'
with old as (select * from public.claims order by place desc offset 20 limit 50), one as materialized (select * from old order by random() limit 1)
select public.ended(c, public.outcome(c)) from one c;
SQL
# A person tests the channel that breaks, or tries again what was given up.
cat >"$scripts/word" <<'SQL'
select public.noted(public.claim_delivery(public.channels(), case when d.id is null then 'webhook' end, d.id), true)
from (select 1) one left join (select id from public.notification_deliveries where status = 'dead' and random() < 0.5 order by id desc limit 1) d on true;
SQL
# Ten minutes pass, for all that is on record but for what somebody is writing.
cat >"$scripts/tick" <<'SQL'
begin;
select pg_advisory_xact_lock(hashtext('billing_ops.claim_deliveries'));
update public.hours set ticks = ticks + 1;
update public.notification_deliveries set due_since = due_since - interval '10 minutes', next_attempt_at = next_attempt_at - interval '10 minutes',
  claimed_until = claimed_until - interval '10 minutes', created_at = created_at - interval '10 minutes',
  last_attempt_at = last_attempt_at - interval '10 minutes', sent_at = sent_at - interval '10 minutes';
update public.notification_channels set since = since - interval '10 minutes', off_at = off_at - interval '10 minutes', wait_until = wait_until - interval '10 minutes',
  last_success_at = last_success_at - interval '10 minutes', last_failure_at = last_failure_at - interval '10 minutes';
update public.billing_alerts set acknowledged_until = acknowledged_until - interval '10 minutes', snoozed_until = snoozed_until - interval '10 minutes'
where id in (select id from public.billing_alerts where not resolved and (acknowledged_until is not null or snoozed_until is not null) for no key update skip locked);
commit;
SQL

# Events of two hundred subscriptions, several at once and in any order; each is noted in the transaction that notes it as due. Passes read
# what is due and say what became of it, now or too late; full runs come between, and settle what is older than their sweep.
cat >"$scripts/due.sql" <<'SQL'
create table public.happened (place bigint generated always as identity primary key, id text, version bigint);
create index on public.happened (id, version desc);
create table public.handed_out (run_id uuid, due jsonb);
create table public.outcomes (outcome text, scope text);
create function public.happen(p_delay integer) returns void language plpgsql as $$
declare
  v_ids text[] := array(select 'sub_' || n from generate_series(1, 200) n where random() < 0.03 order by random());
begin
  perform public.note_stripe_events((select jsonb_agg(jsonb_build_array(id, p_delay) order by random()) from unnest(v_ids || v_ids[:1]) id));
  insert into public.happened (id, version) select stripe_subscription_id, version from public.stripe_due where stripe_subscription_id = any (v_ids);
end
$$;
create function public.begin_run(p_scope text) returns void language plpgsql as $$
declare
  v_answer jsonb := public.start_reconciliation_run('request_' || gen_random_uuid(), 'request', 24, 3600, p_scope => p_scope);
begin
  if v_answer ->> 'outcome' = 'created' then
    insert into public.handed_out select (v_answer #>> '{run,id}')::uuid, public.read_due_subscriptions(20);
  end if;
  insert into public.outcomes values (v_answer ->> 'outcome', p_scope);
end
$$;
-- The run that runs, or one of the last ones, says what became of what it was handed, in any order.
create function public.end_run(p_late boolean, p_covered boolean) returns void language plpgsql as $$
declare
  v_run public.reconciliation_logs;
  v_answer jsonb;
begin
  select * into v_run from public.reconciliation_logs where p_late or status = 'running' order by (status = 'running') desc, started_at desc
  offset case when p_late then 1 + floor(random() * 3)::integer else 0 end limit 1;
  if v_run.id is null then return; end if;
  v_answer := public.finish_reconciliation_run(v_run.id, 1, 'success', '{}', 'm', p_result => to_jsonb(random()), p_covered => p_covered and v_run.scope = 'all', p_due => (
    select jsonb_build_object('done', coalesce(jsonb_agg(s order by random()) filter (where random() < 0.8), '[]'),
      'again', coalesce(jsonb_agg(s order by random()) filter (where random() < 0.2), '[]'))
    from public.handed_out h, jsonb_array_elements(h.due) s where h.run_id = v_run.id));
  insert into public.outcomes values (v_answer ->> 'outcome', v_run.scope);
  insert into public.outcomes select 'again', v_run.scope from public.stripe_due where attempts > 0 limit 1;
end
$$;
SQL
echo "select public.happen((random() * 2)::integer);" >"$scripts/event"
echo "select public.begin_run('due');" >"$scripts/pass"
echo "select public.begin_run('all');" >"$scripts/full"
echo "select public.end_run(false, random() < 0.5);" >"$scripts/end_run"
echo "select public.end_run(true, false);" >"$scripts/end_late"
# What there is grows older, or a scan would settle nothing.
cat >"$scripts/age" <<'SQL'
update public.stripe_due set last_event_at = last_event_at - interval '10 minutes', first_event_at = first_event_at - interval '10 minutes'
where stripe_subscription_id in (select stripe_subscription_id from public.stripe_due where random() < 0.05 for update skip locked);
SQL

failed=0
race() {
  local weighted=() script
  for script in "$@"; do weighted+=(-f "$scripts/$script"); done
  "$PG_BIN/pgbench" -n -c 20 -j 2 -T "${seconds}" "${weighted[@]}" "$url" >"$scripts/out" 2>&1 || failed=1
  grep -q '^number of failed transactions: 0 ' "$scripts/out" && ! grep -qi 'error' "$scripts/out" || failed=1
  sed -n 's/^number of transactions actually processed: /calls: /p; /^number of failed/p; /ERROR/p' "$scripts/out"
}
broken() { psql "$url" -Atc "select count(*) from ($1) broken"; }
# race_until QUERY SCRIPT…: on a slow machine not everything happens in that time. Then it goes on, three times at most, until the query
# finds nothing that is missing.
race_until() {
  local more
  race "${@:2}"
  for more in 1 2 3; do
    [ "$(broken "$1")" != 0 ] || return 0
    echo "not all of it has happened: once more ($more)"
    race "${@:2}"
  done
}
none() {
  local count
  count="$(broken "$2")"
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

new_database tell
url="$(database_url tell)"
apply_migrations "$url"
psql "$url" -q -v ON_ERROR_STOP=1 -f "$scripts/tell.sql" >/dev/null
missing="select 1 from unnest(array['raised', 'escalated', 'acknowledged', 'resolved', 'summary', 'test']) k
   where not exists (select from public.notification_deliveries where kind = k and status = 'sent')
   union all select 1 from unnest(array['below_severity', 'pagerduty_only', 'alarm_not_sent', 'channel_off', 'not_configured', 'summarised']) r
   where not exists (select from public.notification_deliveries where status = 'suppressed' and reason = r)
   union all select 1 where not exists (select from public.ends where not counted) or not exists (select from public.claims where by_person and kind <> 'test')
     or not exists (select from public.notification_deliveries where may_have_arrived and status = 'sent')"
race_until "$missing" happen@5 resolve@1 attend@2 claim@6 end_new@8 end_old@3 word@2 tick@4
none "of each event there is one delivery for each channel that was there" \
  "select 1 from public.billing_alert_events e cross join (values ('slack'), ('pagerduty')) c (channel)
   where e.event in ('raised', 'escalated', 'grown', 'acknowledged', 'resolved')
     and (select count(*) from public.notification_deliveries d where d.event_id = e.id and d.channel = c.channel) <> 1"
none "what is due has its claim, and what is not has none" \
  "select 1 from public.notification_deliveries where status in ('sent', 'suppressed') and claim is not null
     or status = 'due' and claim is null and claimed_until is not null"
none "a claim is finished once" "select claim from public.ends where counted group by 1 having count(*) > 1"
none "what was sent is sent once" "select delivery from public.ends e where counted and outcome = 'sent'
   and not exists (select from public.notification_deliveries d join public.notification_deliveries a on a.alert_id = d.alert_id and a.channel = d.channel
     join public.claims p on p.delivery = a.id and p.by_person where d.id = e.delivery) group by 1 having count(*) > 1"
none "what was finished with an old claim changed nothing" "select 1 from public.ends e where counted and exists (select from public.claims c
   where c.delivery = e.delivery and c.place < e.place and c.place > (select o.place from public.claims o where o.claim = e.claim))"
none "nobody else sends what is being sent" "select 1 from (select *, lag(place) over w as before, lag(ticks) over w as tick_before, lag(claim) over w as claim_before
   from public.claims window w as (partition by delivery order by place)) c
   where c.ticks = c.tick_before and not exists (select from public.ends e where e.claim = c.claim_before and e.counted and e.place < c.place)"
none "what happened first is told first" "select 1 from public.claims where too_early and not by_person"
none "after the end nothing is told of an alert" "select 1 from public.claims r join public.claims a on a.alert = r.alert and a.channel = r.channel
   where r.kind = 'resolved' and a.kind <> 'resolved' and a.place > r.place
     and not exists (select from public.claims p where p.delivery = a.delivery and p.by_person)"
none "nothing is queued behind an end" "select 1 from public.notification_deliveries r join public.notification_deliveries a on a.alert_id = r.alert_id
   and a.channel = r.channel where r.kind = 'resolved' and a.id > r.id"
none "who heard of the beginning hears of the end" "select 1 from public.notification_deliveries r join public.notification_deliveries a on a.alert_id = r.alert_id
   and a.channel = r.channel where r.kind = 'resolved' and r.reason = 'alarm_not_sent' and billing_ops.is_alarm(a.kind) and (a.status = 'sent' or a.may_have_arrived)"
none "and nobody else" "select 1 from public.notification_deliveries r where r.kind = 'resolved' and r.status = 'sent' and not exists (
   select from public.notification_deliveries a where a.alert_id = r.alert_id and a.channel = r.channel and billing_ops.is_alarm(a.kind)
     and (a.status = 'sent' or a.may_have_arrived))"
none "an alert that somebody was told of and that is over has an end to tell" "select 1 from public.billing_alerts b
   join public.notification_deliveries a on a.alert_id = b.id where b.resolved and billing_ops.is_alarm(a.kind) and a.status = 'sent' and not exists (
     select from public.notification_deliveries r where r.alert_id = b.id and r.channel = a.channel and r.kind = 'resolved')"
# What was released was not sent; a person's word is not held up.
psql "$url" -q -c "create view public.attempts as select c.* from public.claims c where not by_person and kind <> 'test'
  and not exists (select from public.ends e where e.claim = c.claim and e.counted and e.outcome = 'released')"
none "six a minute at most" "select channel, ticks from public.attempts group by 1, 2 having count(*) > 6"
none "thirty an hour at most" "select a.channel, t from (select distinct ticks as t from public.attempts) hour join public.attempts a on a.ticks between t - 5 and t
   group by 1, 2 having count(distinct a.delivery) > 30"
none "all of it happened" "$missing"

new_database due
url="$(database_url due)"
apply_migrations "$url"
psql "$url" -q -v ON_ERROR_STOP=1 -f "$scripts/due.sql" >/dev/null
race event@8 pass@4 full@1 end_run@4 end_late@1 age@1
none "what is due is as its last event left it" "select 1 from public.stripe_due d
   where d.version is distinct from (select max(h.version) from public.happened h where h.id = d.stripe_subscription_id)"
none "nobody settled what had an event since it was handed out" "select 1 from public.happened h
   where not exists (select from public.stripe_due d where d.stripe_subscription_id = h.id)
     and h.version = (select max(l.version) from public.happened l where l.id = h.id)
     and not exists (select from public.handed_out o where o.due @> jsonb_build_array(jsonb_build_array(h.id, h.version)))
     and not exists (select from public.reconciliation_logs r where r.scope = 'all' and r.status = 'success')"
none "at most one run is running" "select 1 from public.reconciliation_logs where status = 'running' having count(*) > 1"
none "only passes give way" "select 1 from public.reconciliation_logs where status = 'partial' and scope <> 'due'"
none "all of it happened" "select 1 from (values ('created', 'due'), ('created', 'all'), ('busy', 'due'), ('finished', 'due'), ('finished', 'all'), ('fenced', 'due'), ('again', 'due')) o (outcome, scope)
   where not exists (select from public.outcomes p where p.outcome = o.outcome and p.scope = o.scope)
   union all select 1 where not exists (select from public.reconciliation_logs where status = 'partial')"
exit "$failed"
