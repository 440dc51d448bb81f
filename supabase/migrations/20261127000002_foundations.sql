-- What everything else stands on.

set local lock_timeout = '10s';

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

-- How a time is written, and which version of all this a database has.

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

create function public.billing_ops_schema(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('health', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'version', 2);
end
$$;
comment on function public.billing_ops_schema(text) is
  'For /api/health?deep=1: answers {outcome: ok|rate_limited, version, retry_after}. The version rises with each migration that
  the functions need; they say which one they were built for.';

-- Who may read billing operations. Owners and admins of any organization do: they are global operational data, so a person who is
-- an admin in organization A and a member in B sees the same alerts and runs as any other admin. Intentional.

create table billing_ops.admins (
  user_id uuid primary key,
  added_at timestamptz not null default now(),
  note text
);
comment on table billing_ops.admins is
  'People who may read billing operations whatever the app''s own tables say. Written by the owner of the database only.';
comment on column billing_ops.admins.user_id is 'The id of their Supabase Auth user.';
comment on column billing_ops.admins.added_at is 'Since when.';
comment on column billing_ops.admins.note is 'Who they are, or why they are here.';
alter table billing_ops.admins enable row level security;
revoke all on billing_ops.admins from public, anon, authenticated, service_role;

-- "or replace": the migrations of 2025 have made one.
create or replace function billing_ops.is_admin()
returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return exists (select 1 from billing_ops.admins a where a.user_id = auth.uid()) or billing_ops.adapter_is_admin(auth.uid());
end
$$;
comment on function billing_ops.is_admin() is
  'True for a caller who is listed in billing_ops.admins, or is an admin by the adopted mapping''s "admins". Definer: the caller may
  read neither.';

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
