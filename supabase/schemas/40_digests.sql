-- What the weekly digest says: counted once, so that every channel is told the same. Who gets it, and when, is in 41_notifications
-- (queue_digest).

create table billing_ops.digests (
  week date primary key check (extract(isodow from week) = 1),
  facts jsonb,
  created_at timestamptz not null default clock_timestamp()
);
comment on table billing_ops.digests is 'Weeks that are done with: each has been told of, or never will be.';
comment on column billing_ops.digests.week is 'The Monday that the week begins with, in UTC.';
comment on column billing_ops.digests.facts is
  'What digest_facts answered when the digest was made; null where nobody is told: the first week of a database, no channel that takes
  digests, or the facts could not be counted.';
comment on column billing_ops.digests.created_at is 'When the first claim came after its digest was due.';
alter table billing_ops.digests enable row level security;

create function billing_ops.digest_week(p_at timestamptz)
returns date
language sql immutable
set search_path = ''
as $$
  select (pg_catalog.date_trunc('week', p_at at time zone 'utc' - interval '7 hours') - interval '7 days')::date
$$;
comment on function billing_ops.digest_week(timestamptz) is
  'The last week whose digest is due at this time: it is due from 07:00 UTC on the Monday after the week.';

create function billing_ops.digest_facts(p_week date, p_access jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_from timestamptz := p_week::timestamp at time zone 'utc';
  -- In hours: a day may be longer or shorter in the session's time zone.
  v_to timestamptz := v_from + interval '168 hours';
  v_status text := (
    select m.attribute from billing_ops.adoption a cross join lateral billing_ops.mapped_columns(a.mapping) m where m.word = 'status');
begin
  return jsonb_build_object(
    -- Passes over what was due are no measure of anything: there may be one every few seconds, and most of them are deleted after two days.
    'runs', (
      select jsonb_build_object('ended', count(*), 'success', count(*) filter (where r.status = 'success'),
        'partial', count(*) filter (where r.status = 'partial'), 'error', count(*) filter (where r.status = 'error'),
        'sweeps', count(*) filter (where billing_ops.is_complete_sweep(r)))
      from public.reconciliation_logs r
      where r.scope <> 'due' and r.status in ('success', 'partial', 'error') and r.finished_at >= v_from and r.finished_at < v_to),
    'drift', (
      select jsonb_build_object('repaired', count(*) filter (where d.action = 'repaired'), 'created', count(*) filter (where d.action = 'created'),
        'moved', count(*) filter (where d.action = 'moved'), 'cleared', count(*) filter (where d.action = 'cleared'))
      from public.drift d where d.closed_at >= v_from and d.closed_at < v_to)
      || jsonb_build_object('found', (select count(*) from public.drift d where d.first_seen_at >= v_from and d.first_seen_at < v_to)),
    -- By what the row said and says now of the status: a repair that takes something else away leaves access as it was.
    'access', case when p_access is not null then (
      select jsonb_build_object(
        'raised', count(distinct d.stripe_subscription_id) filter (where p_access ? s.after and (p_access ? s.before) is not true),
        'lowered', count(distinct d.stripe_subscription_id) filter (where p_access ? s.before and not p_access ? s.after))
      from public.drift d
      cross join lateral (select coalesce(d.details -> v_status, d.details -> 'status') as said) x
      cross join lateral (select x.said ->> 'database' as before, x.said ->> 'stripe' as after) s
      where d.closed_at >= v_from and d.closed_at < v_to and d.action in ('repaired', 'created', 'moved')
        and d.type in ('status_mismatch', 'missing_in_database')) end)
    || (
      -- What stands is told as of now.
      select jsonb_build_object(
        'standing', count(*),
        'waiting', jsonb_build_object('approval', count(*) filter (where d.action = 'waiting'), 'held', count(*) filter (where d.action = 'held'),
          'refused', count(*) filter (where d.action = 'refused'), 'decision', count(*) filter (where d.action = 'none')),
        'exceptions_ending', count(*) filter (where d.excepted_until > v_now and d.excepted_until <= v_now + interval '168 hours'))
      from public.drift d where d.closed_at is null)
    || jsonb_build_object('alerts', (
      select jsonb_build_object(
        'raised', (select count(*) from public.billing_alerts a where a.created_at >= v_from and a.created_at < v_to),
        'open', coalesce(sum(o.n), 0),
        'by_severity', coalesce(jsonb_agg(jsonb_build_array(o.severity, o.n) order by billing_ops.severity_rank(o.severity) desc), '[]'))
      from (select a.severity, count(*) as n from public.billing_alerts a where a.resolved = false group by a.severity) o));
end
$$;
comment on function billing_ops.digest_facts(date, jsonb) is
  'The week that begins with this Monday, in numbers: {runs: {ended, success, partial, error, sweeps}, drift: {found, repaired, created, moved,
  cleared}, access: {raised, lowered}}; and as of now: {standing, waiting: {approval, held, refused, decision}, exceptions_ending: within a
  week, alerts: {raised: in that week, open, by_severity: [[severity, n], …]}}. p_access: the statuses that grant access; without them, access
  is null.';
