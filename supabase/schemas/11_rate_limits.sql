-- How often one address may call one route: the limits, the counter, and the table that holds the counts. One row
-- serves all instances of a function.

create table public.rate_limit_windows (
  route text not null,
  client text not null,
  window_started_at timestamptz not null,
  hits integer not null,
  primary key (route, client)
);
comment on table public.rate_limit_windows is
  'Calls by route and client address. A window of one minute begins with its first call; one row serves all instances.';
comment on column public.rate_limit_windows.route is 'What was called: reconcile, monitor, alerts, …';
comment on column public.rate_limit_windows.client is 'An IPv4 address, or the /64 of an IPv6 address.';
comment on column public.rate_limit_windows.window_started_at is 'When the window began: its first call.';
comment on column public.rate_limit_windows.hits is 'Calls in the window, up to the limit.';
create index rate_limit_windows_age on public.rate_limit_windows (window_started_at);
comment on index public.rate_limit_windows_age is 'What retention deletes.';
alter table public.rate_limit_windows enable row level security;
create policy rate_limit_windows_nobody on public.rate_limit_windows
  for all to public using (false);
comment on policy rate_limit_windows_nobody on public.rate_limit_windows is
  'Only consume_rate_limit and retention touch it, as its owner.';

create function billing_ops.rate_limit(p_route text)
returns integer
language sql immutable
set search_path = ''
as $$
  select case p_route
    when 'reconcile' then 5
    when 'reconcile_now' then 10
    when 'resolve' then 10
    when 'acknowledge' then 10
    when 'unacknowledge' then 10
    when 'snooze' then 10
    when 'unsnooze' then 10
    when 'note' then 10
    when 'notify' then 10
    when 'approve' then 10
    when 'revert' then 10
    when 'except' then 10
    when 'unexcept' then 10
    when 'set_policy' then 10
    when 'monitor' then 30
    else 60
  end
$$;
comment on function billing_ops.rate_limit(text) is 'Calls a minute that one client address may make to a route.';

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
  'Counts one call. Null: go on. A number: limited, for that many seconds; then nothing is written.
  Definer: a person''s call is counted too, and no person may touch the table.';
