-- What admins are shown, and who may do what.

set local lock_timeout = '10s';

-- What a person calls, with their own token: each judges the caller, counts the call and answers, in one round trip.
-- They run with the caller's rights, under row level security: the policies guard the rows a second time.

create function billing_ops.admit(p_route text, p_client text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_standing text := billing_ops.caller_standing();
  v_retry_after integer;
begin
  if v_standing <> 'ok' then
    return jsonb_build_object('outcome', v_standing);
  end if;
  v_retry_after := billing_ops.consume_rate_limit(p_route, p_client);
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return null;
end
$$;
comment on function billing_ops.admit(text, text) is
  'Null: the caller is an admin within the rate limit. Else {outcome: unauthorized|forbidden|rate_limited, retry_after}. A caller
  who is not an admin is not counted, so that they can write nothing.';

create function billing_ops.page_size(p_limit integer)
returns integer
language sql immutable
set search_path = ''
as $$
  select greatest(1, least(coalesce(p_limit, 50), 200))
$$;
comment on function billing_ops.page_size(integer) is
  'Items a page may have: 1 to 200, 50 where nothing is said. PostgREST lets an admin call without the endpoint''s checks.';

create function public.admin_authorize(p_route text, p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  return coalesce(
    billing_ops.admit(p_route, p_client),
    jsonb_build_object('outcome', 'ok', 'user_id', auth.uid()));
end
$$;
comment on function public.admin_authorize(text, text) is
  'Before a write in a person''s name: {outcome: ok|unauthorized|forbidden|rate_limited, user_id, retry_after}.';

create function public.admin_monitor_facts(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  return coalesce(
    billing_ops.admit('monitor', p_client),
    jsonb_build_object('outcome', 'ok', 'facts', billing_ops.gather_monitor_facts()));
end
$$;
comment on function public.admin_monitor_facts(text) is
  'monitor_facts for an admin''s session: {outcome: ok|unauthorized|forbidden|rate_limited, facts, retry_after}.';

create function billing_ops.alert_state(p_alert public.billing_alerts, p_state text)
returns boolean
language sql stable
set search_path = ''
as $$
  select not p_alert.resolved and case p_state
    when 'acknowledged' then coalesce(p_alert.acknowledged_until > pg_catalog.clock_timestamp(), false)
    when 'snoozed' then coalesce(p_alert.snoozed_until > pg_catalog.clock_timestamp(), false)
    else not billing_ops.attended(p_alert) end
$$;
comment on function billing_ops.alert_state(public.billing_alerts, text) is
  'Whether an open alert is acknowledged, snoozed, or (any other word) unattended, by what is in force. One that is both is in both lists.';

create function public.admin_billing_alerts(
  p_client text default null,
  p_status text default 'open',
  p_severity text default null,
  p_type text default null,
  p_state text default null,
  p_limit integer default 50,
  p_before_at timestamptz default null,
  p_before_id uuid default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('alerts', p_client);
  v_page jsonb;
  v_counts record;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;

  -- Three statements, not one with "or": each uses the index that is made for it.
  if p_status = 'all' then
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
        and (p_state is null or billing_ops.alert_state(a, p_state))
        and (p_before_at is null or (a.created_at, a.id) < (p_before_at, p_before_id))
      order by a.created_at desc, a.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  elsif p_status = 'open' then
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where a.resolved = false
        and (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
        and (p_state is null or billing_ops.alert_state(a, p_state))
        and (p_before_at is null or (a.created_at, a.id) < (p_before_at, p_before_id))
      order by a.created_at desc, a.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  else
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where a.resolved
        and (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
        and (p_state is null or billing_ops.alert_state(a, p_state))
        and (p_before_at is null or (a.created_at, a.id) < (p_before_at, p_before_id))
      order by a.created_at desc, a.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  end if;

  select count(*) as open,
    count(*) filter (where severity = 'critical') as critical,
    count(*) filter (where severity = 'high') as high,
    count(*) filter (where severity = 'warning') as warning,
    count(*) filter (where severity = 'info') as info
  into v_counts from public.billing_alerts where resolved = false;

  return jsonb_build_object('outcome', 'ok', 'items', coalesce(v_page, '[]'::jsonb), 'count', v_counts.open,
    'critical_count', v_counts.critical, 'high_count', v_counts.high, 'warning_count', v_counts.warning,
    'info_count', v_counts.info);
end
$$;
comment on function public.admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid) is
  'Alerts, newest first, after (p_before_at, p_before_id); p_state as in alert_state. Answers {outcome, items, count, critical_count, high_count,
  warning_count, info_count}: one item more than p_limit says that there is a next page; the counts are of all open alerts.';

create function public.admin_reconciliation_runs(
  p_client text default null,
  p_status text default null,
  p_type text default null,
  p_limit integer default 50,
  p_before_at timestamptz default null,
  p_before_id uuid default null,
  p_scope text default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('runs', p_client);
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  return (
    select jsonb_build_object('outcome', 'ok', 'items', coalesce(jsonb_agg(billing_ops.run_json(page)), '[]'::jsonb))
    from (
      select r.* from public.reconciliation_logs r
      where (p_status is null or r.status = p_status) and (p_type is null or r.run_type = p_type)
        and (p_scope is null or r.scope = p_scope) and (p_before_at is null or (r.started_at, r.id) < (p_before_at, p_before_id))
      order by r.started_at desc, r.id desc limit billing_ops.page_size(p_limit) + 1
    ) page);
end
$$;
comment on function public.admin_reconciliation_runs(text, text, text, integer, timestamptz, uuid, text) is
  'Runs, newest first, after (p_before_at, p_before_id). Answers {outcome, items}: one item more than p_limit says that there is
  a next page.';

create function billing_ops.drift_json(p_drift public.drift)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'id', p_drift.id,
    'drift_key', p_drift.drift_key,
    'type', p_drift.type,
    'severity', p_drift.severity,
    'owner', p_drift.owner,
    'organization_id', p_drift.owner,
    'stripe_subscription_id', p_drift.stripe_subscription_id,
    'stripe_customer_id', p_drift.stripe_customer_id,
    'livemode', p_drift.livemode,
    'issue', p_drift.issue,
    'details', p_drift.details,
    'proposal', p_drift.proposal,
    'lowers_access', p_drift.lowers_access,
    'action', p_drift.action,
    'reason', p_drift.reason,
    'first_seen_at', billing_ops.utc(p_drift.first_seen_at),
    'last_seen_at', billing_ops.utc(p_drift.last_seen_at),
    'seen_count', p_drift.seen_count,
    'first_run_id', p_drift.first_run_id,
    'last_run_id', p_drift.last_run_id,
    'closed_at', billing_ops.utc(p_drift.closed_at),
    'closed_run_id', p_drift.closed_run_id,
    'decided_by', p_drift.decided_by,
    'decided_at', billing_ops.utc(p_drift.decided_at),
    'note', p_drift.note,
    'excepted_until', billing_ops.utc(p_drift.excepted_until)
  )
$$;
comment on function billing_ops.drift_json(public.drift) is 'An entry of drift as callers see it.';

create function public.admin_drift(
  p_client text default null,
  p_state text default 'open',
  p_type text default null,
  p_severity text default null,
  p_owner text default null,
  p_action text default null,
  p_limit integer default 50,
  p_before_at timestamptz default null,
  p_before_id uuid default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('drift', p_client);
  v_page jsonb;
  v_by_type jsonb;
  v_count bigint;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;

  -- Two statements, not one with "or": each uses the index that is made for it.
  if p_state = 'open' then
    select jsonb_agg(billing_ops.drift_json(page) order by page.first_seen_at desc, page.id desc) into v_page
    from (
      select d.* from public.drift d
      where d.closed_at is null
        and (p_type is null or d.type = p_type) and (p_severity is null or d.severity = p_severity)
        and (p_owner is null or d.owner = p_owner) and (p_action is null or d.action = p_action)
        and (p_before_at is null or (d.first_seen_at, d.id) < (p_before_at, p_before_id))
      order by d.first_seen_at desc, d.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  else
    select jsonb_agg(billing_ops.drift_json(page) order by page.first_seen_at desc, page.id desc) into v_page
    from (
      select d.* from public.drift d
      where (p_state = 'all' or d.closed_at is not null)
        and (p_type is null or d.type = p_type) and (p_severity is null or d.severity = p_severity)
        and (p_owner is null or d.owner = p_owner) and (p_action is null or d.action = p_action)
        and (p_before_at is null or (d.first_seen_at, d.id) < (p_before_at, p_before_id))
      order by d.first_seen_at desc, d.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  end if;

  select coalesce(jsonb_object_agg(counted.type, counted.n), '{}'), coalesce(sum(counted.n), 0)
  into v_by_type, v_count
  from (
    select d.type, count(*) as n from public.drift d
    where case p_state when 'open' then d.closed_at is null when 'closed' then d.closed_at is not null else true end
      and (p_type is null or d.type = p_type) and (p_severity is null or d.severity = p_severity)
      and (p_owner is null or d.owner = p_owner) and (p_action is null or d.action = p_action)
    group by d.type
  ) counted;

  return jsonb_build_object('outcome', 'ok', 'items', coalesce(v_page, '[]'::jsonb), 'count', v_count,
                            'by_type', v_by_type);
end
$$;
comment on function public.admin_drift(text, text, text, text, text, text, integer, timestamptz, uuid) is
  'Drift, newest first, after (p_before_at, p_before_id); p_state is open, closed or all. Answers {outcome, items, count,
  by_type}: one item more than p_limit says that there is a next page; the counts are of all that fits the filters.';

-- Definer: whoever decides about a difference is shown the row as it is, and no person may read the app's table by themselves.
create function billing_ops.rows_for_approval(p_subscriptions jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
begin
  -- Asked here, too, as these rights are not the caller's.
  if billing_ops.caller_standing() <> 'ok' then
    return null;
  end if;
  return jsonb_build_object('ground', public.read_adapter_for_reconcile(null),
    'group', case when (billing_ops.adapter_state() ->> 'fingerprint_ok')::boolean
      then public.read_subscriptions_for_reconcile('[]', p_subscriptions) end);
end
$$;
comment on function billing_ops.rows_for_approval(jsonb) is
  'For an admin: {ground: read_adapter_for_reconcile, group: read_subscriptions_for_reconcile of these subscriptions}; for others null.';

create function public.admin_drift_for_approval(p_ids jsonb, p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('approve', p_client);
  v_drift jsonb;
  v_subscriptions jsonb;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  select jsonb_agg(billing_ops.drift_json(d)), coalesce(jsonb_agg(distinct d.stripe_subscription_id)
    filter (where d.stripe_subscription_id is not null and d.closed_at is null), '[]')
  into v_drift, v_subscriptions
  from public.drift d where d.id in (select i::uuid from jsonb_array_elements_text(p_ids) i);
  return jsonb_build_object('outcome', 'ok', 'user_id', auth.uid(), 'drift', coalesce(v_drift, '[]'))
    || billing_ops.rows_for_approval(v_subscriptions);
end
$$;
comment on function public.admin_drift_for_approval(jsonb, text) is
  'What a person who approves has to know, in one round trip: {outcome: ok|unauthorized|forbidden|rate_limited, user_id, drift: [entry, …],
  ground: read_adapter_for_reconcile, group: read_subscriptions_for_reconcile of those that stand}.';

create function public.admin_drift_policies(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('policies', p_client);
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  return jsonb_build_object('outcome', 'ok') || billing_ops.policies_json();
end
$$;
comment on function public.admin_drift_policies(text) is
  'What people have set by class of drift, and how much of what stands a run would repair: {outcome, policies: {type: {mode, version, updated_by,
  updated_at}}, previews: {type: {repairs, raises, lowers, creates}}}.';

-- Only those columns of an entry by which it is counted and sorted: a run can end tens of thousands.
create function billing_ops.drift_of_run(p_run public.reconciliation_logs, p_show text)
returns table (id uuid, type text, first_seen_at timestamptz)
language plpgsql stable
set search_path = ''
as $$
#variable_conflict use_column
begin
  if p_show = 'new' then
    return query select d.id, d.type, d.first_seen_at from public.drift d where d.first_run_id = p_run.id;
  elsif p_show = 'ended' then
    return query select d.id, d.type, d.first_seen_at from public.drift d where d.closed_run_id = p_run.id;
  else
    return query select d.id, d.type, d.first_seen_at from public.drift d
      where d.first_seen_at <= coalesce(p_run.finished_at, clock_timestamp())
        and (d.closed_at is null or d.closed_at > p_run.finished_at);
  end if;
end
$$;
comment on function billing_ops.drift_of_run(public.reconciliation_logs, text) is
  'What was new in a run (new), what it ended (ended), or what stood at its end (standing).';

create function public.admin_reconciliation_run(
  p_id uuid,
  p_client text default null,
  p_show text default 'new',
  p_type text default null,
  p_limit integer default 50,
  p_before_at timestamptz default null,
  p_before_id uuid default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('run', p_client);
  v_run public.reconciliation_logs;
  v_show constant text := case when p_show in ('new', 'ended') then p_show else 'standing' end;
  v_count jsonb;
  v_counts jsonb;
  v_page jsonb;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  select * into v_run from public.reconciliation_logs where id = p_id;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;

  -- What is shown is read once, for its counts and for its page.
  with shown as materialized (select r.* from billing_ops.drift_of_run(v_run, v_show) r)
  select
    (select coalesce(jsonb_object_agg(counted.type, counted.n), '{}'::jsonb)
     from (select s.type, count(*) as n from shown s group by s.type) counted),
    (select jsonb_agg(billing_ops.drift_json(page) order by page.first_seen_at desc, page.id desc)
     from (
       select d.* from (
         select s.id from shown s
         where (p_type is null or s.type = p_type)
           and (p_before_at is null or (s.first_seen_at, s.id) < (p_before_at, p_before_id))
         order by s.first_seen_at desc, s.id desc limit billing_ops.page_size(p_limit) + 1
       ) first
       join public.drift d on d.id = first.id
     ) page)
  into v_count, v_page;
  select jsonb_object_agg(other.name, (
    select coalesce(jsonb_object_agg(counted.type, counted.n), '{}'::jsonb)
    from (select d.type, count(*) as n from billing_ops.drift_of_run(v_run, other.name) d group by d.type) counted))
  into v_counts
  from (values ('new'), ('ended'), ('standing')) other (name) where other.name <> v_show;

  return jsonb_build_object('outcome', 'ok', 'run', billing_ops.run_json(v_run), 'counts', v_counts || jsonb_build_object(v_show, v_count),
                            'items', coalesce(v_page, '[]'::jsonb));
end
$$;
comment on function public.admin_reconciliation_run(uuid, text, text, text, integer, timestamptz, uuid) is
  'One run, how much drift by type was new in it, ended in it and stood at its end, and a page of one of these three (p_show: new,
  ended, standing), newest first, after (p_before_at, p_before_id). Answers {outcome: ok|not_found|…, run, counts, items}: one
  item more than p_limit says that there is a next page.';

-- What Prometheus reads: numbers by their labels, all of one snapshot, in one round trip. No label holds an id. How they are written
-- down is not the database's business. All of them are whole: fractions do not survive every reader of JSON.

-- A counter never falls. Rows that are pruned (51_retention) and repairs that are taken back (33_decisions) go on being counted here.
create table billing_ops.closed_drift_counts (
  type text not null,
  action text not null,
  entries bigint not null,
  primary key (type, action)
);
comment on table billing_ops.closed_drift_counts is
  'Entries of drift that ended and that no row counts any more under that action: pruned, or reverted since. Added to what the rows say, they
  give how many have ever ended with that action.';
comment on column billing_ops.closed_drift_counts.type is 'The drift class.';
comment on column billing_ops.closed_drift_counts.action is 'How they had ended: repaired, created, moved, cleared, reverted.';
comment on column billing_ops.closed_drift_counts.entries is 'How many. Only ever rises.';
alter table billing_ops.closed_drift_counts enable row level security;

create function billing_ops.gather_metrics()
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    -- One look into the index for each pair, as there may be a hundred thousand passes.
    'last_runs', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.scope, e.status, floor(extract(epoch from last.finished_at) * 1000)::bigint)
        order by s.place, e.place), '[]')
      from pg_catalog.unnest(array['all', 'changed', 'due']) with ordinality s (scope, place)
      cross join pg_catalog.unnest(array['success', 'partial', 'error']) with ordinality e (status, place)
      cross join lateral (
        select r.finished_at from public.reconciliation_logs r
        where r.scope = s.scope and r.status = e.status and r.finished_at is not null
        order by r.finished_at desc limit 1) last),
    'last_run', (
      select pg_catalog.jsonb_build_object('duration_ms', greatest(0, floor(extract(epoch from r.finished_at - r.started_at) * 1000)::bigint),
        'scanned', r.scanned_count)
      from public.reconciliation_logs r
      where r.scope <> 'due' and r.status in ('success', 'partial') and r.finished_at is not null
      order by r.finished_at desc, r.id desc limit 1),
    'drift_open', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(o.type, o.action, o.entries) order by o.type, o.action), '[]')
      from (select d.type, d.action, count(*) as entries from public.drift d where d.closed_at is null group by d.type, d.action) o),
    'drift_closed', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.type, t.action, t.entries) order by t.type, t.action), '[]')
      from (
        select c.type, c.action, sum(c.entries)::bigint as entries
        from (
          select k.type, k.action, k.entries from billing_ops.closed_drift_counts k
          union all
          select d.type, d.action, count(*) from public.drift d where d.closed_at is not null group by d.type, d.action
        ) c
        group by c.type, c.action
      ) t),
    'alerts_open', (
      select pg_catalog.jsonb_build_object(
        'critical', count(*) filter (where a.severity = 'critical'), 'high', count(*) filter (where a.severity = 'high'),
        'warning', count(*) filter (where a.severity = 'warning'), 'info', count(*) filter (where a.severity = 'info'))
      from public.billing_alerts a where a.resolved = false),
    -- With zeros for the channels that are set up: a series that begins at one has not risen, for whoever watches it.
    'deliveries', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(n.channel, n.status, n.entries) order by n.channel, n.status), '[]')
      from (
        select m.channel, m.status, sum(m.entries)::bigint as entries
        from (
          select c.channel, s.status, 0 as entries
          from public.notification_channels c
          cross join pg_catalog.unnest(array['due', 'sent', 'suppressed', 'dead']) s (status)
          where c.configured
          union all
          select d.channel, d.status, count(*) from public.notification_deliveries d group by d.channel, d.status
        ) m
        group by m.channel, m.status
      ) n),
    'due', (select count(*) from public.stripe_due)
  )
$$;
comment on function billing_ops.gather_metrics() is
  'As of one snapshot: {last_runs: [[scope, status, Unix milliseconds when the last that ended so finished], …], last_run: {duration_ms, scanned}
  of the last that finished over more than what was due (null: none has), drift_open: [[type, action, entries], …], drift_closed: the same of
  all that ever ended, alerts_open: {critical, high, warning, info}, deliveries: [[channel, status, rows], …], due: rows}.';

create function public.read_metrics(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('metrics', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'facts', billing_ops.gather_metrics());
end
$$;
comment on function public.read_metrics(text) is
  'For /api/metrics, with its secret: counts the call and answers {outcome: ok|rate_limited, facts: gather_metrics, retry_after}.';

create function billing_ops.drift_event_json(p_event public.drift_events, p_drift public.drift)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    -- As text: more than 2^53 of them would not survive a reader of JSON.
    'id', p_event.id::text,
    'created_at', billing_ops.utc(p_event.created_at),
    'event', p_event.event,
    'drift_id', p_event.drift_id,
    'drift_key', p_drift.drift_key,
    'type', p_drift.type,
    'owner', p_drift.owner,
    'stripe_subscription_id', p_drift.stripe_subscription_id,
    'stripe_customer_id', p_drift.stripe_customer_id,
    'run_id', p_event.run_id,
    'actor', p_event.actor,
    'note', p_event.note
  )
$$;
comment on function billing_ops.drift_event_json(public.drift_events, public.drift) is
  'An event in the history of an entry as callers see it, with what says whose entry it is.';

create function public.admin_export(
  p_what text,
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_cursor jsonb default null,
  p_limit integer default 1000,
  p_client text default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('export', p_client);
  v_from constant timestamptz := coalesce(p_from, '-infinity');
  v_to constant timestamptz := coalesce(p_to, 'infinity');
  v_rows constant integer := greatest(1, least(coalesce(p_limit, 1000), 1000)) + 1;
  -- The first page starts after an id that no row has, so that every page is one range of an index.
  v_at constant timestamptz := coalesce((p_cursor ->> 'at')::timestamptz, v_from);
  v_uuid uuid := '00000000-0000-0000-0000-000000000000'::uuid;
  v_number bigint := 0;
  v_page jsonb;
  v_total bigint;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;

  if p_what = 'drift' then
    v_uuid := coalesce((p_cursor ->> 'id')::uuid, v_uuid);
    select jsonb_agg(billing_ops.drift_json(page) order by page.first_seen_at, page.id) into v_page
    from (
      select d.* from public.drift d
      where d.first_seen_at >= v_from and d.first_seen_at < v_to and (d.first_seen_at, d.id) > (v_at, v_uuid)
      order by d.first_seen_at, d.id limit v_rows
    ) page;
    if p_cursor is null then
      select count(*) into v_total from public.drift d where d.first_seen_at >= v_from and d.first_seen_at < v_to;
    end if;
  elsif p_what = 'history' then
    v_number := coalesce((p_cursor ->> 'id')::bigint, v_number);
    select jsonb_agg(billing_ops.drift_event_json(page.event, d) order by (page.event).created_at, (page.event).id) into v_page
    from (
      select e as event from public.drift_events e
      where e.created_at >= v_from and e.created_at < v_to and (e.created_at, e.id) > (v_at, v_number)
      order by e.created_at, e.id limit v_rows
    ) page
    join public.drift d on d.id = (page.event).drift_id;
    if p_cursor is null then
      select count(*) into v_total from public.drift_events e where e.created_at >= v_from and e.created_at < v_to;
    end if;
  elsif p_what = 'runs' then
    v_uuid := coalesce((p_cursor ->> 'id')::uuid, v_uuid);
    select jsonb_agg(billing_ops.run_json(page) order by page.started_at, page.id) into v_page
    from (
      select r.* from public.reconciliation_logs r
      where r.started_at >= v_from and r.started_at < v_to and (r.started_at, r.id) > (v_at, v_uuid)
      order by r.started_at, r.id limit v_rows
    ) page;
    if p_cursor is null then
      select count(*) into v_total from public.reconciliation_logs r where r.started_at >= v_from and r.started_at < v_to;
    end if;
  else
    return jsonb_build_object('outcome', 'not_found');
  end if;

  return jsonb_build_object('outcome', 'ok', 'items', coalesce(v_page, '[]'::jsonb), 'total', v_total);
end
$$;
comment on function public.admin_export(text, timestamptz, timestamptz, jsonb, integer, text) is
  'One page of what a span of time holds, oldest first. p_what: drift by when it was first seen, history by when an event happened, runs
  by when they started; from p_from to before p_to. p_cursor is {at, id} of the last row of the page before. A row never moves within
  this order, so pages fit together whatever is written meanwhile. Answers {outcome: ok|not_found|…, items, total}: one item more than p_limit
  (1 to 1,000) says that there is a next page; total is how many rows the span has, counted for the first page only.';

-- Who may do what, on one screen. Everything is taken away first and given back by name: hosted projects grant nothing
-- by themselves any more, and earlier ones granted too much. The policies, beside their tables, say which rows
-- an admin sees. The adapter's functions are not in the list: adopt makes them, and grants them and what they need of the app's table
-- when it does (23_adapter, 24_adopt).

revoke all on schema billing_ops from public;
grant usage on schema billing_ops to authenticated, service_role;

revoke all on public.reconciliation_logs, public.drift, public.drift_events, public.drift_policies,
  public.billing_alerts, public.billing_alert_events, public.notification_channels, public.notification_deliveries,
  public.rate_limit_windows, public.stripe_due, billing_ops.stripe_deliveries, billing_ops.closed_drift_counts, billing_ops.digests
  from public, anon, authenticated, service_role;
revoke all on sequence public.drift_events_id_seq, public.billing_alert_events_id_seq, public.notification_deliveries_id_seq,
  public.stripe_due_version_seq
  from public, anon, authenticated, service_role;
grant select on public.reconciliation_logs, public.drift, public.drift_events, public.drift_policies, public.billing_alerts,
  public.billing_alert_events, public.notification_channels, public.notification_deliveries, public.stripe_due,
  billing_ops.stripe_deliveries to authenticated;
grant select, insert, update on public.reconciliation_logs, public.drift, public.drift_policies, public.billing_alerts,
  public.notification_channels, public.notification_deliveries, billing_ops.stripe_deliveries, billing_ops.closed_drift_counts to service_role;
grant select, insert, update, delete on public.stripe_due to service_role;
grant select, insert on public.drift_events, public.billing_alert_events, billing_ops.digests to service_role;

do $$
declare
  v_function record;
begin
  for v_function in
    select * from (values
      -- The API's functions, with the service key.
      ('public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid, text, integer)', 'service_role'),
      ('public.heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb)', 'service_role'),
      ('public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb, text, jsonb, timestamptz, boolean)', 'service_role'),
      ('public.note_stripe_events(jsonb)', 'service_role'),
      ('public.read_due_subscriptions(integer, timestamptz)', 'service_role'),
      ('public.read_standing_drift(jsonb)', 'service_role'),
      ('public.read_adapter_for_reconcile(jsonb)', 'service_role'),
      ('public.read_subscriptions_for_reconcile(jsonb, jsonb, boolean, text, timestamptz, timestamptz, integer)', 'service_role'),
      ('public.read_owners_for_reconcile(jsonb)', 'service_role'),
      ('public.read_unplaced_subscriptions(text, integer, integer)', 'service_role'),
      ('public.read_duplicate_live_subscriptions(jsonb, text, integer, integer, integer)', 'service_role'),
      ('public.read_rows_of_owners_for_reconcile(jsonb)', 'service_role'),
      ('public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb)', 'service_role'),
      ('public.apply_drift_decisions(uuid, jsonb, jsonb, jsonb)', 'service_role'),
      ('public.revert_drift(uuid, uuid, text, text)', 'service_role'),
      ('public.except_drift(uuid, uuid, integer, text)', 'service_role'),
      ('public.unexcept_drift(uuid, uuid, text)', 'service_role'),
      ('public.set_drift_policy(text, text, integer, uuid)', 'service_role'),
      ('public.allow_held_drift(text, integer, text, uuid)', 'service_role'),
      ('public.take_drift_allowances(uuid, integer)', 'service_role'),
      ('public.resolve_billing_alert(uuid, uuid, text)', 'service_role'),
      ('public.attend_billing_alert(uuid, uuid, text, integer, text)', 'service_role'),
      ('public.claim_deliveries(jsonb, text, jsonb)', 'service_role'),
      ('public.claim_delivery(jsonb, text, bigint)', 'service_role'),
      ('public.finish_deliveries(jsonb)', 'service_role'),
      ('public.monitor_facts(text)', 'service_role'),
      ('public.apply_monitor_outcomes(jsonb, jsonb)', 'service_role'),
      ('public.read_metrics(text)', 'service_role'),
      ('public.billing_ops_schema(text)', 'service_role'),
      ('public.billing_ops_adoption()', 'service_role'),
      -- The API's functions, with a person's own token. Each asks first whether the person is an admin.
      ('public.admin_authorize(text, text)', 'authenticated'),
      ('public.admin_monitor_facts(text)', 'authenticated'),
      ('public.admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_reconciliation_runs(text, text, text, integer, timestamptz, uuid, text)', 'authenticated'),
      ('public.admin_reconciliation_run(uuid, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_drift(text, text, text, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_drift_for_approval(jsonb, text)', 'authenticated'),
      ('public.admin_drift_policies(text)', 'authenticated'),
      ('public.admin_notifications(text, text, text, uuid, integer, bigint)', 'authenticated'),
      ('public.admin_export(text, timestamptz, timestamptz, jsonb, integer, text)', 'authenticated'),
      -- What those call with their caller's rights. The API does not show this schema to anyone.
      ('billing_ops.is_complete_sweep(public.reconciliation_logs)', 'authenticated, service_role'),
      ('billing_ops.changes_for_run(text)', 'service_role'),
      ('billing_ops.settle_due(jsonb, timestamptz)', 'service_role'),
      ('billing_ops.start_answer(text, public.reconciliation_logs)', 'service_role'),
      ('billing_ops.hold_run(uuid, integer, integer, jsonb, jsonb)', 'service_role'),
      ('billing_ops.adoption_report()', 'service_role'),
      ('billing_ops.ends_drift(text)', 'service_role'),
      ('billing_ops.record_drift(uuid, jsonb, uuid)', 'service_role'),
      ('billing_ops.row_said(json)', 'service_role'),
      ('billing_ops.write_items(jsonb, text[], text[], text[])', 'service_role'),
      ('billing_ops.recorded(jsonb, text, text, text, boolean, jsonb)', 'service_role'),
      ('billing_ops.lower_mode(text, text)', 'service_role'),
      ('billing_ops.policy_mode(text)', 'service_role'),
      ('billing_ops.exceptions_ending()', 'service_role'),
      ('billing_ops.policies_json()', 'authenticated, service_role'),
      ('billing_ops.clear_drift(uuid, text[])', 'service_role'),
      ('billing_ops.severity_rank(text)', 'service_role'),
      ('billing_ops.attended(public.billing_alerts)', 'authenticated, service_role'),
      ('billing_ops.record_alert_event(public.billing_alerts, text, uuid, text)', 'service_role'),
      ('billing_ops.is_alarm(text)', 'service_role'),
      ('billing_ops.queue_deliveries(bigint, public.billing_alerts, text)', 'service_role'),
      ('billing_ops.sync_channels(jsonb)', 'service_role'),
      ('billing_ops.digest_week(timestamptz)', 'service_role'),
      ('billing_ops.digest_facts(date, jsonb)', 'service_role'),
      ('billing_ops.queue_digest(jsonb)', 'service_role'),
      ('billing_ops.settle_silences()', 'service_role'),
      ('billing_ops.repeat_alarms()', 'service_role'),
      ('billing_ops.hand_out(bigint[])', 'service_role'),
      ('billing_ops.notification_facts()', 'authenticated, service_role'),
      ('billing_ops.raise_alert(text, text, text, text, jsonb)', 'service_role'),
      ('billing_ops.clear_alert(text, text)', 'service_role'),
      ('billing_ops.apply_condition_outcomes(jsonb)', 'service_role'),
      ('billing_ops.prune(integer)', 'service_role'),
      ('billing_ops.is_admin()', 'authenticated'),
      ('billing_ops.caller_standing()', 'authenticated'),
      ('billing_ops.admit(text, text)', 'authenticated'),
      ('billing_ops.page_size(integer)', 'authenticated'),
      ('billing_ops.alert_state(public.billing_alerts, text)', 'authenticated'),
      ('billing_ops.rows_for_approval(jsonb)', 'authenticated'),
      ('billing_ops.utc(timestamptz)', 'authenticated, service_role'),
      ('billing_ops.consume_rate_limit(text, text)', 'authenticated, service_role'),
      ('billing_ops.run_json(public.reconciliation_logs)', 'authenticated, service_role'),
      ('billing_ops.alert_json(public.billing_alerts)', 'authenticated, service_role'),
      ('billing_ops.drift_json(public.drift)', 'authenticated, service_role'),
      ('billing_ops.drift_event_json(public.drift_events, public.drift)', 'authenticated'),
      ('billing_ops.drift_of_run(public.reconciliation_logs, text)', 'authenticated'),
      ('billing_ops.gather_monitor_facts()', 'authenticated, service_role'),
      ('billing_ops.gather_metrics()', 'service_role'),
      -- Only for their owner: what migrations and definers call.
      ('billing_ops.rate_limit(text)', null)
    ) as listed (signature, roles)
  loop
    -- From public too, as every new function may be called by everyone until that is taken away.
    execute format('revoke all on function %s from public, anon, authenticated, service_role',
                   v_function.signature::regprocedure);
    if v_function.roles is not null then
      execute format('grant execute on function %s to %s', v_function.signature::regprocedure, v_function.roles);
    end if;
  end loop;
end
$$;

-- The table that billing-ops began with is adopted where it is found, as nobody has it for anything else. Any other waits for its owner
-- to call billing_ops.adopt.

do $$
declare
  v_mapping jsonb := (
    select c -> 'mapping' from pg_catalog.jsonb_array_elements(billing_ops.detect()) c where c ->> 'preset' = 'seed');
begin
  if v_mapping is not null and not exists (select 1 from billing_ops.adoption) then
    perform billing_ops.adopt(v_mapping);
  end if;
exception when invalid_parameter_value or insufficient_privilege then
  raise warning 'public.subscriptions is not adopted, so nothing is reconciled yet: %', sqlerrm;
end
$$;

notify pgrst, 'reload schema';
