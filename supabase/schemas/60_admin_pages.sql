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
  'Null: the caller is an admin within the rate limit. Else {outcome: unauthorized|forbidden|rate_limited, retry_after}. Who is
  no admin is not counted, so that they can write nothing.';

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

create function public.admin_billing_alerts(
  p_client text default null,
  p_status text default 'open',
  p_severity text default null,
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
  v_refusal jsonb := billing_ops.admit('alerts', p_client);
  v_page jsonb;
  v_counts record;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;

  -- Two statements, not one with "or": each uses the index that is made for it.
  if p_status = 'all' then
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
        and (p_before_at is null or (a.created_at, a.id) < (p_before_at, p_before_id))
      order by a.created_at desc, a.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  elsif p_status = 'open' then
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where a.resolved = false
        and (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
        and (p_before_at is null or (a.created_at, a.id) < (p_before_at, p_before_id))
      order by a.created_at desc, a.id desc limit billing_ops.page_size(p_limit) + 1
    ) page;
  else
    select jsonb_agg(billing_ops.alert_json(page)) into v_page
    from (
      select a.* from public.billing_alerts a
      where a.resolved
        and (p_severity is null or a.severity = p_severity) and (p_type is null or a.alert_type = p_type)
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
comment on function public.admin_billing_alerts(text, text, text, text, integer, timestamptz, uuid) is
  'Alerts, newest first, after (p_before_at, p_before_id). Answers {outcome, items, count, critical_count, high_count,
  warning_count, info_count}: one item more than p_limit says that there is a next page; the counts are of all open alerts.';

create function public.admin_reconciliation_runs(
  p_client text default null,
  p_status text default null,
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
        and (p_before_at is null or (r.started_at, r.id) < (p_before_at, p_before_id))
      order by r.started_at desc, r.id desc limit billing_ops.page_size(p_limit) + 1
    ) page);
end
$$;
comment on function public.admin_reconciliation_runs(text, text, text, integer, timestamptz, uuid) is
  'Runs, newest first, after (p_before_at, p_before_id). Answers {outcome, items}: one item more than p_limit says that there is
  a next page.';

create function public.admin_reconciliation_run(
  p_id uuid,
  p_client text default null,
  p_type text default null,
  p_limit integer default 50,
  p_after_id bigint default 0
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('run', p_client);
  v_run public.reconciliation_logs;
  v_counts jsonb;
  v_findings jsonb;
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  select * into v_run from public.reconciliation_logs where id = p_id;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;

  select coalesce(jsonb_object_agg(counted.type, counted.n), '{}'::jsonb) into v_counts
  from (
    select f.type, count(*) as n from public.reconciliation_findings f
    where f.reconciliation_log_id = p_id group by f.type
  ) counted;

  -- A range rather than "= p_id order by id": of that the planner makes a walk along the primary key, through every run's
  -- findings up to this run's first.
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', page.id::text,
    'type', page.type,
    'severity', page.severity,
    'organization_id', page.organization_id,
    'stripe_subscription_id', page.stripe_subscription_id,
    'stripe_customer_id', page.stripe_customer_id,
    'livemode', page.livemode,
    'issue', page.issue,
    'details', page.details,
    'action', page.action,
    'fixed', page.action in ('repaired', 'created'),
    'action_taken', page.action_taken,
    'created_at', billing_ops.utc(page.created_at)) order by page.id), '[]'::jsonb)
  into v_findings
  from (
    select f.* from public.reconciliation_findings f
    where (f.reconciliation_log_id, f.id) > (p_id, p_after_id) and f.reconciliation_log_id <= p_id
      and (p_type is null or f.type = p_type)
    order by f.reconciliation_log_id, f.id limit billing_ops.page_size(p_limit) + 1
  ) page;

  return jsonb_build_object('outcome', 'ok', 'run', billing_ops.run_json(v_run), 'finding_counts', v_counts,
                            'items', v_findings);
end
$$;
comment on function public.admin_reconciliation_run(uuid, text, text, integer, bigint) is
  'One run with its findings in the order they were found, after p_after_id. Answers {outcome: ok|not_found|…, run,
  finding_counts, items}: one item more than p_limit says that there is a next page.';
