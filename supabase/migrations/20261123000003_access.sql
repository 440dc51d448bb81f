-- Who may do what. Hosted projects grant nothing by themselves any more, and earlier projects granted too much: so
-- everything is taken away first and given back by name.

set local lock_timeout = '10s';

create or replace function billing_ops.is_admin()
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.organization_members m
    where m.user_id = (select auth.uid()) and m.role::text in ('owner', 'admin')
  ) or exists (
    select 1 from public.users u
    where u.id = (select auth.uid()) and u.role::text in ('owner', 'admin')
  )
$$;
comment on function billing_ops.is_admin() is
  'True for a caller who is owner or admin in any organization. Definer: the caller may not read memberships.';
revoke all on function billing_ops.is_admin() from public, anon, authenticated;

create function billing_ops.caller_standing()
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_claims jsonb := auth.jwt();
begin
  if auth.uid() is null
    or coalesce((v_claims ->> 'is_anonymous')::boolean, false)
    or not coalesce(v_claims -> 'aud' ? 'authenticated', false)
  then
    return 'unauthorized';
  end if;
  if not billing_ops.is_admin() then
    return 'forbidden';
  end if;
  return 'ok';
exception when invalid_text_representation then
  return 'unauthorized';
end
$$;
comment on function billing_ops.caller_standing() is
  'ok for an admin; forbidden for another person; unauthorized for an anonymous sign-in, a token of another audience or
  one that names no person. The signature and the expiry were checked by PostgREST before.';
revoke all on function billing_ops.caller_standing() from public, anon, authenticated;
grant execute on function billing_ops.is_admin() to authenticated;
grant execute on function billing_ops.caller_standing() to authenticated;

do $$
declare
  v_policy record;
begin
  -- Policies are ored: one left over from an earlier schema could let more people in than the one made below.
  for v_policy in
    select tablename, policyname from pg_catalog.pg_policies
    where schemaname = 'public' and tablename in ('reconciliation_logs', 'billing_alerts')
  loop
    execute format('drop policy %I on public.%I', v_policy.policyname, v_policy.tablename);
  end loop;
end
$$;

alter table public.reconciliation_logs enable row level security;
alter table public.billing_alerts enable row level security;

revoke all on public.reconciliation_logs, public.drift, public.drift_events, public.billing_alerts,
  public.billing_alert_events, public.rate_limit_windows from public, anon, authenticated, service_role;
revoke all on sequence public.drift_events_id_seq, public.billing_alert_events_id_seq
  from public, anon, authenticated, service_role;

-- The comparison is inside the sub-select: of a bare boolean the planner takes half the rows to pass, of "= 'ok'" one in two
-- hundred, and then it sorts a table whose first page an index would have given.
create policy reconciliation_logs_admin_read on public.reconciliation_logs
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy reconciliation_logs_admin_read on public.reconciliation_logs is
  'Admins of any organization read: global operational data, by intention.';
create policy drift_admin_read on public.drift
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_admin_read on public.drift is
  'Admins of any organization read: global operational data, by intention.';
create policy drift_events_admin_read on public.drift_events
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_events_admin_read on public.drift_events is
  'Admins of any organization read: global operational data, by intention.';
create policy billing_alerts_admin_read on public.billing_alerts
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alerts_admin_read on public.billing_alerts is
  'Admins of any organization read: global operational data, by intention.';
create policy billing_alert_events_admin_read on public.billing_alert_events
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alert_events_admin_read on public.billing_alert_events is
  'Admins of any organization read: global operational data, by intention.';
create policy rate_limit_windows_nobody on public.rate_limit_windows
  for all to public using (false);
comment on policy rate_limit_windows_nobody on public.rate_limit_windows is
  'Only consume_rate_limit and retention touch it, as its owner.';

grant select on public.reconciliation_logs, public.drift, public.drift_events, public.billing_alerts,
  public.billing_alert_events to authenticated;
grant select, insert, update on public.reconciliation_logs, public.drift, public.billing_alerts to service_role;
grant select, insert on public.drift_events, public.billing_alert_events to service_role;
grant select, insert, update on public.subscriptions to service_role;
grant select on public.organizations to service_role;

-- Rate limits ----------------------------------------------------------------------------------------------------

create function billing_ops.rate_limit(p_route text)
returns integer
language sql immutable
set search_path = ''
as $$
  select case p_route
    when 'reconcile' then 5
    when 'reconcile_now' then 10
    when 'resolve' then 10
    when 'monitor' then 30
    else 60
  end
$$;
comment on function billing_ops.rate_limit(text) is 'Calls a minute that one client address may make to a route.';
revoke all on function billing_ops.rate_limit(text) from public, anon, authenticated;

create function billing_ops.consume_rate_limit(p_route text, p_client text)
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_started timestamptz;
begin
  insert into public.rate_limit_windows as w (route, client, window_started_at, hits)
  values (p_route, coalesce(p_client, 'unknown'), v_now, 1)
  on conflict (route, client) do update set
    window_started_at = case
      when w.window_started_at <= v_now - interval '1 minute' then excluded.window_started_at
      else w.window_started_at end,
    hits = case when w.window_started_at <= v_now - interval '1 minute' then 1 else w.hits + 1 end
  where w.window_started_at <= v_now - interval '1 minute' or w.hits < billing_ops.rate_limit(p_route);
  if found then
    return null;
  end if;
  select w.window_started_at into v_started from public.rate_limit_windows w
  where w.route = p_route and w.client = coalesce(p_client, 'unknown');
  return greatest(1, ceil(extract(epoch from v_started + interval '1 minute' - v_now))::integer);
end
$$;
comment on function billing_ops.consume_rate_limit(text, text) is
  'Counts one call. Null: go on. A number: limited, for so many seconds; then nothing is written.
  Definer: a person''s call is counted too, and no person may touch the table.';
revoke all on function billing_ops.consume_rate_limit(text, text) from public, anon, authenticated;
grant execute on function billing_ops.consume_rate_limit(text, text) to authenticated, service_role;

-- Shapes ---------------------------------------------------------------------------------------------------------

-- plpgsql, since it keeps its plan for the session: a page of 200 alerts calls it 800 times.
create function billing_ops.utc(p_time timestamptz)
returns text
language plpgsql stable
set search_path = ''
as $$
begin
  return pg_catalog.to_char(p_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end
$$;
comment on function billing_ops.utc(timestamptz) is 'RFC 3339 in UTC with microseconds, whatever the session''s time zone.';
revoke all on function billing_ops.utc(timestamptz) from public, anon, authenticated;
grant execute on function billing_ops.utc(timestamptz) to authenticated, service_role;
