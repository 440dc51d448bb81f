-- Alerts, who is told of them, the monitor, and how long rows are kept.

set local lock_timeout = '10s';

-- Alerts and their history. A condition that holds has one open alert; a condition that cleared has none; a condition
-- that could not be judged keeps what it has.

create policy billing_alerts_admin_read on public.billing_alerts
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alerts_admin_read on public.billing_alerts is
  'Admins of any organization read: global operational data, by intention.';

create table public.billing_alert_events (
  id bigint generated always as identity primary key,
  alert_id uuid not null references public.billing_alerts (id) on delete cascade,
  event text not null check (event in ('raised', 'escalated', 'grown', 'acknowledged', 'unacknowledged', 'snoozed',
                                                 'unsnoozed', 'noted', 'resolved')),
  severity text not null,
  actor uuid,
  reason text,
  created_at timestamptz not null default now()
);
comment on table public.billing_alert_events is
  'History of alerts, append only: what became of one, what people did about it, when and why.';
comment on column public.billing_alert_events.id is 'Rises in the order of events.';
comment on column public.billing_alert_events.alert_id is 'The alert that it happened to.';
comment on column public.billing_alert_events.event is
  'raised, escalated (to a higher severity), grown (new differences joined), resolved; and what people do: acknowledged,
  unacknowledged, snoozed, unsnoozed, noted.';
comment on column public.billing_alert_events.severity is 'The alert''s severity after the event.';
comment on column public.billing_alert_events.actor is 'The person who did it; null for the system.';
comment on column public.billing_alert_events.reason is 'The message it was raised with, or the note of the person who did it.';
comment on column public.billing_alert_events.created_at is 'When it happened.';
create index billing_alert_events_alert_id_idx on public.billing_alert_events (alert_id, id);
comment on index public.billing_alert_events_alert_id_idx is 'The history of one alert.';
alter table public.billing_alert_events enable row level security;
create policy billing_alert_events_admin_read on public.billing_alert_events
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alert_events_admin_read on public.billing_alert_events is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.severity_rank(p_severity text)
returns integer
language sql immutable
set search_path = ''
as $$
  select case p_severity when 'critical' then 4 when 'high' then 3 when 'warning' then 2 when 'info' then 1 else 0 end
$$;
comment on function billing_ops.severity_rank(text) is 'Orders severities: critical 4, high 3, warning 2, info 1.';

create function billing_ops.alert_json(p_alert public.billing_alerts)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'id', p_alert.id,
    'alert_key', p_alert.alert_key,
    'alert_type', p_alert.alert_type,
    'severity', p_alert.severity,
    'message', p_alert.message,
    'metadata', p_alert.metadata,
    'occurrences', p_alert.occurrences,
    'first_seen_at', billing_ops.utc(p_alert.first_seen_at),
    'last_seen_at', billing_ops.utc(p_alert.last_seen_at),
    'severe_since', billing_ops.utc(p_alert.severe_since),
    'created_at', billing_ops.utc(p_alert.created_at),
    'resolved', p_alert.resolved,
    'resolved_at', billing_ops.utc(p_alert.resolved_at),
    'resolved_by', p_alert.resolved_by,
    'resolution', p_alert.resolution,
    'resolution_note', p_alert.resolution_note,
    'previous_alert_id', p_alert.previous_alert_id,
    'acknowledged_at', billing_ops.utc(p_alert.acknowledged_at),
    'acknowledged_by', p_alert.acknowledged_by,
    'acknowledged_until', billing_ops.utc(p_alert.acknowledged_until),
    'snoozed_until', billing_ops.utc(p_alert.snoozed_until),
    'snoozed_by', p_alert.snoozed_by,
    'history', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('event', e.event, 'severity', e.severity, 'actor', e.actor,
        'reason', e.reason, 'created_at', billing_ops.utc(e.created_at)) order by e.id desc), '[]')
      from (select * from public.billing_alert_events h where h.alert_id = p_alert.id order by h.id desc limit 20) e)
  )
$$;
comment on function billing_ops.alert_json(public.billing_alerts) is 'An alert as callers see it, with the last 20 events of its history.';

create function billing_ops.attended(p_alert public.billing_alerts)
returns boolean
language sql stable
set search_path = ''
as $$
  select coalesce(p_alert.acknowledged_until > pg_catalog.clock_timestamp(), false)
    or coalesce(p_alert.snoozed_until > pg_catalog.clock_timestamp(), false)
$$;
comment on function billing_ops.attended(public.billing_alerts) is 'Whether somebody''s acknowledgement or snooze is in force.';

-- The one way into the history: what channels are told of an event is written in the same transaction, so that nothing is lost between the two.
create function billing_ops.record_alert_event(p_alert public.billing_alerts, p_event text, p_actor uuid, p_reason text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_event_id bigint;
begin
  insert into public.billing_alert_events (alert_id, event, severity, actor, reason)
  values (p_alert.id, p_event, p_alert.severity, p_actor, p_reason)
  returning id into v_event_id;
  perform billing_ops.queue_deliveries(v_event_id, p_alert, p_event);
end
$$;
comment on function billing_ops.record_alert_event(public.billing_alerts, text, uuid, text) is
  'Adds to an alert''s history (p_actor: the person, null for the system), and queues what each channel is to be told of it.';

create function billing_ops.raise_alert(
  p_alert_key text, p_alert_type text, p_severity text, p_message text, p_metadata jsonb
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_before public.billing_alerts;
  v_alert public.billing_alerts;
  v_newest timestamptz;
  v_rises boolean;
  v_grows boolean;
begin
  -- Growth goes by when differences were first seen, not by how many there are: if three went and three came, that is news.
  if p_alert_key like 'drift\_%' then
    select max(d.first_seen_at) into v_newest from public.drift d
    where d.closed_at is null and d.type = p_metadata ->> 'type'
      and (d.excepted_until is null or d.excepted_until <= clock_timestamp());
  end if;
  -- Bounded: on a table whose unique index lacks the predicate, a resolved alert would be in the way for ever.
  for v_round in 1..100 loop
    select * into v_before from public.billing_alerts
    where alert_key = p_alert_key and resolved = false for no key update;
    if found then
      v_rises := billing_ops.severity_rank(p_severity) > billing_ops.severity_rank(v_before.severity);
      -- An alert that spoke only of what had been repaired or was let stand has no newest member: then whatever came after it was last seen counts.
      v_grows := coalesce(v_newest > coalesce(v_before.newest_member_at, v_before.last_seen_at), false);
      update public.billing_alerts a
      set occurrences = a.occurrences + 1,
          last_seen_at = clock_timestamp(),
          severity = case when v_rises then p_severity else a.severity end,
          -- One that somebody else or an earlier version wrote has had its severity since it began.
          severe_since = case
            when billing_ops.severity_rank(a.severity) >= 3 then coalesce(a.severe_since, a.first_seen_at)
            when billing_ops.severity_rank(p_severity) >= 3 then clock_timestamp()
          end,
          message = p_message,
          metadata = p_metadata,
          newest_member_at = greatest(a.newest_member_at, v_newest)
      where a.id = v_before.id
      returning * into v_alert;
      if v_rises or v_grows then
        -- Whoever acknowledged or snoozed it did so when it was less severe, or smaller.
        update public.billing_alerts a
        set acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, snoozed_until = null, snoozed_by = null
        where a.id = v_alert.id
        returning * into v_alert;
        perform billing_ops.record_alert_event(v_alert, case when v_rises then 'escalated' else 'grown' end, null, p_message);
      end if;
      return 'refreshed';
    end if;

    insert into public.billing_alerts
      (alert_key, alert_type, severity, message, metadata, first_seen_at, last_seen_at, created_at, severe_since,
       newest_member_at, previous_alert_id)
    values
      (p_alert_key, p_alert_type, p_severity, p_message, p_metadata,
       clock_timestamp(), clock_timestamp(), clock_timestamp(),
       case when billing_ops.severity_rank(p_severity) >= 3 then clock_timestamp() end, v_newest,
       (select a.id from public.billing_alerts a where a.alert_key = p_alert_key and a.resolved
        order by a.created_at desc limit 1))
    on conflict (alert_key) where resolved = false do nothing
    returning * into v_alert;
    if found then
      perform billing_ops.record_alert_event(v_alert, 'raised', null, p_message);
      return 'raised';
    end if;
    -- Another caller raised it between the two statements: refresh theirs.
  end loop;
  raise exception 'alert % could be neither raised nor refreshed', p_alert_key using errcode = 'lock_not_available';
end
$$;
comment on function billing_ops.raise_alert(text, text, text, text, jsonb) is
  'Opens the alert of a condition (raised), or counts it again (refreshed). A rise in severity, and new members of a class of drift,
  end its acknowledgement and its snooze. For apply_condition_outcomes, which holds the lock.
  The conflict target names the predicate of the partial unique index: that is what PostgREST''s upsert cannot do.';

create function billing_ops.clear_alert(p_alert_key text, p_note text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.billing_alerts;
begin
  update public.billing_alerts
  set resolved = true, resolved_at = clock_timestamp(), resolution = 'auto', resolution_note = p_note,
      acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, snoozed_until = null, snoozed_by = null
  where alert_key = p_alert_key and resolved = false
  returning * into v_alert;
  if not found then
    return false;
  end if;
  perform billing_ops.record_alert_event(v_alert, 'resolved', null, p_note);
  return true;
end
$$;
comment on function billing_ops.clear_alert(text, text) is 'Resolves the open alert of a condition that cleared, if there is one.';

create function billing_ops.apply_condition_outcomes(p_outcomes jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_outcome jsonb;
  v_key text;
  v_raised text[] := array[]::text[];
  v_refreshed text[] := array[]::text[];
  v_resolved text[] := array[]::text[];
begin
  -- Outcomes are applied one caller at a time. The index alone would keep the promise, but an order of keys is not enough
  -- against deadlocks: a caller who waited for an episode that was resolved meanwhile keeps its lock, and whoever opens the
  -- next one refers to it. Nor could the index keep the chain of episodes from forking.
  perform pg_advisory_xact_lock(hashtext('billing_ops.apply_condition_outcomes'));
  for v_outcome in
    select value from jsonb_array_elements(coalesce(p_outcomes, '[]'::jsonb)) order by value ->> 'alert_key'
  loop
    v_key := v_outcome ->> 'alert_key';
    case v_outcome ->> 'state'
      when 'holds' then
        if billing_ops.raise_alert(v_key, v_outcome ->> 'alert_type', v_outcome ->> 'severity',
             v_outcome ->> 'message', coalesce(v_outcome -> 'metadata', '{}'::jsonb)) = 'raised' then
          v_raised := v_raised || v_key;
        else
          v_refreshed := v_refreshed || v_key;
        end if;
      when 'clear' then
        if billing_ops.clear_alert(v_key, coalesce(v_outcome ->> 'message', 'The condition cleared.')) then
          v_resolved := v_resolved || v_key;
        end if;
      when 'unknown' then
        null;
    end case;
  end loop;
  return jsonb_build_object('raised', to_jsonb(v_raised), 'refreshed', to_jsonb(v_refreshed),
                            'resolved', to_jsonb(v_resolved));
end
$$;
comment on function billing_ops.apply_condition_outcomes(jsonb) is
  'Applies [{alert_key, alert_type, state: holds|clear|unknown, severity, message, metadata}]; answers the keys that were
  raised, refreshed and resolved. Any other state is refused and nothing is applied.';

create function public.read_standing_drift(p_types jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.jsonb_object_agg(w.type, pg_catalog.jsonb_build_object(
    'count', standing.count + fixed.count, 'fixed', fixed.count, 'worst', standing.worst,
    'samples', standing.samples || fixed.samples)), '{}')
  from pg_catalog.jsonb_array_elements_text(p_types) w (type)
  cross join lateral (
    select count(*) as count,
      (array['info', 'warning', 'high', 'critical'])[max(billing_ops.severity_rank(d.severity))] as worst,
      coalesce(pg_catalog.to_jsonb((pg_catalog.array_agg(coalesce(d.stripe_subscription_id, d.owner, 'unnamed') order by d.first_seen_at desc))[:5]), '[]') as samples
    from public.drift d
    where d.closed_at is null and d.type = w.type and d.action <> 'superseded' and (d.excepted_until is null or d.excepted_until <= pg_catalog.clock_timestamp())
  ) standing
  cross join lateral (
    select count(*) as count,
      coalesce(pg_catalog.to_jsonb((pg_catalog.array_agg(coalesce(d.stripe_subscription_id, d.owner, 'unnamed') order by d.closed_at desc))[:5]), '[]') as samples
    from public.drift d join public.reconciliation_logs r on r.id = d.closed_run_id
    where d.closed_at > pg_catalog.clock_timestamp() - interval '1 hour' and d.type = w.type
      and d.action in ('repaired', 'created', 'moved') and r.scope <> 'all'
  ) fixed
$$;
comment on function public.read_standing_drift(jsonb) is
  'How much there is of these classes of drift, for runs that saw only some of it: {type: {count, fixed, worst, samples}}; fixed: what such runs
  have put right within the last hour; worst: the severity of the worst that stands.';

create function public.resolve_billing_alert(p_alert_id uuid, p_resolved_by uuid, p_note text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.billing_alerts;
begin
  update public.billing_alerts
  set resolved = true, resolved_at = clock_timestamp(), resolved_by = p_resolved_by, resolution = 'manual',
      resolution_note = p_note,
      acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, snoozed_until = null, snoozed_by = null
  where id = p_alert_id and resolved = false
  returning * into v_alert;
  if found then
    perform billing_ops.record_alert_event(v_alert, 'resolved', p_resolved_by, p_note);
    return jsonb_build_object('outcome', 'resolved', 'alert', billing_ops.alert_json(v_alert));
  end if;
  select * into v_alert from public.billing_alerts where id = p_alert_id;
  if found then
    return jsonb_build_object('outcome', 'already_resolved', 'alert', billing_ops.alert_json(v_alert));
  end if;
  return jsonb_build_object('outcome', 'not_found');
end
$$;
comment on function public.resolve_billing_alert(uuid, uuid, text) is
  'Resolves one alert in a person''s name. Answers {outcome: resolved|already_resolved|not_found, alert}; a second call
  changes nothing. The service role calls it after the person was found to be an admin.';

create function public.attend_billing_alert(
  p_alert_id uuid, p_actor uuid, p_action text, p_minutes integer default null, p_note text default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_alert public.billing_alerts;
  v_until timestamptz;
  v_event text;
begin
  select * into v_alert from public.billing_alerts where id = p_alert_id for no key update;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_alert.resolved then
    return jsonb_build_object('outcome', 'alert_resolved', 'alert', billing_ops.alert_json(v_alert));
  end if;
  v_until := v_now + make_interval(mins => coalesce(p_minutes, case v_alert.severity when 'critical' then 240 else 1440 end));

  -- The same again, as when a button is pressed twice, is no news.
  if p_action = 'acknowledge' and abs(extract(epoch from v_until - v_alert.acknowledged_until)) < 60
    or p_action = 'snooze' and abs(extract(epoch from v_until - v_alert.snoozed_until)) < 60
    or p_action = 'unacknowledge' and (v_alert.acknowledged_until > v_now) is not true
    or p_action = 'unsnooze' and (v_alert.snoozed_until > v_now) is not true
  then
    return jsonb_build_object('outcome', 'already', 'alert', billing_ops.alert_json(v_alert));
  end if;

  case p_action
    when 'acknowledge' then
      v_event := 'acknowledged';
      update public.billing_alerts set acknowledged_at = v_now, acknowledged_by = p_actor, acknowledged_until = v_until
      where id = p_alert_id returning * into v_alert;
    when 'unacknowledge' then
      v_event := 'unacknowledged';
      update public.billing_alerts set acknowledged_at = null, acknowledged_by = null, acknowledged_until = null
      where id = p_alert_id returning * into v_alert;
    when 'snooze' then
      v_event := 'snoozed';
      update public.billing_alerts set snoozed_until = v_until, snoozed_by = p_actor
      where id = p_alert_id returning * into v_alert;
    when 'unsnooze' then
      v_event := 'unsnoozed';
      update public.billing_alerts set snoozed_until = null, snoozed_by = null
      where id = p_alert_id returning * into v_alert;
    when 'note' then
      v_event := 'noted';
  end case;
  perform billing_ops.record_alert_event(v_alert, v_event, p_actor, p_note);
  return jsonb_build_object('outcome', 'done', 'alert', billing_ops.alert_json(v_alert));
end
$$;
comment on function public.attend_billing_alert(uuid, uuid, text, integer, text) is
  'What a person does about an open alert besides resolving it: p_action is acknowledge, unacknowledge, snooze, unsnooze or note;
  p_minutes for how long (null: 4 h for a critical alert, else 24 h). Answers {outcome:
  done|already|alert_resolved|not_found, alert}. The service role calls it after the person was found to be an admin.';

-- Who is told of what happens to alerts: the outbox. Each event of an alert becomes one delivery for each channel, in the transaction
-- that writes the event (40_alerts, record_alert_event). Whoever has time claims what is due, sends it, and says what became of it.

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

create table public.notification_channels (
  channel text primary key check (channel in ('pagerduty', 'slack', 'discord', 'email', 'webhook')),
  fingerprint text not null,
  min_severity text not null check (min_severity in ('critical', 'high', 'warning', 'info')),
  configured boolean not null default true,
  since timestamptz not null default clock_timestamp(),
  off_at timestamptz,
  off_reason text,
  wait_until timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_failure text
);
comment on table public.notification_channels is
  'The channels that the settings name, as the last claim passed them, and how they are doing.';
comment on column public.notification_channels.channel is 'pagerduty, slack, discord, email or webhook.';
comment on column public.notification_channels.fingerprint is 'A hash of its settings: another one is another destination.';
comment on column public.notification_channels.min_severity is 'The least severity that it is told of.';
comment on column public.notification_channels.configured is 'False once its settings are gone or wrong.';
comment on column public.notification_channels.since is
  'When it came, got these settings or was switched on again, whichever was last. What it was told before does not count as told.';
comment on column public.notification_channels.off_at is 'When its destination turned out to be gone. It stays off until its settings change or a test passes.';
comment on column public.notification_channels.off_reason is 'What the destination said.';
comment on column public.notification_channels.wait_until is 'Nothing is sent before then, as the receiver asked (Retry-After).';
comment on column public.notification_channels.last_success_at is 'When a message last arrived.';
comment on column public.notification_channels.last_failure_at is 'When one last did not.';
comment on column public.notification_channels.last_failure is 'Why not.';
alter table public.notification_channels enable row level security;
create policy notification_channels_admin_read on public.notification_channels
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy notification_channels_admin_read on public.notification_channels is
  'Admins of any organization read: global operational data, by intention.';

create table public.notification_deliveries (
  id bigint generated always as identity primary key,
  event_id bigint references public.billing_alert_events (id) on delete cascade,
  alert_id uuid references public.billing_alerts (id) on delete cascade,
  channel text not null,
  kind text not null check (kind in ('raised', 'escalated', 'grown', 'repeated', 'acknowledged', 'resolved', 'summary', 'digest', 'test')),
  severity text not null,
  status text not null check (status in ('due', 'sent', 'suppressed', 'dead')),
  reason text,
  attempts integer not null default 0,
  due_since timestamptz not null default clock_timestamp(),
  next_attempt_at timestamptz not null default clock_timestamp(),
  claim uuid,
  claimed_until timestamptz,
  may_have_arrived boolean not null default false,
  message_id uuid not null default gen_random_uuid(),
  summary jsonb,
  created_at timestamptz not null default clock_timestamp(),
  last_attempt_at timestamptz,
  sent_at timestamptz,
  digest_week date references billing_ops.digests (week) on delete cascade,
  check ((kind = 'digest') = (digest_week is not null))
);
comment on table public.notification_deliveries is
  'Messages to channels: one for each event of an alert and channel, and what became of it. Each silence has its reason here.';
comment on column public.notification_deliveries.id is 'Rises in the order of events of one alert.';
comment on column public.notification_deliveries.event_id is 'What it tells; null for repeats, summaries, digests and tests.';
comment on column public.notification_deliveries.alert_id is 'Of which alert; null for summaries, digests and tests.';
comment on column public.notification_deliveries.channel is 'To whom.';
comment on column public.notification_deliveries.kind is
  'What happened: raised, escalated, grown, repeated, acknowledged, resolved; or summary (of several), digest (of a week), test.';
comment on column public.notification_deliveries.severity is 'How bad it was then.';
comment on column public.notification_deliveries.status is 'due until it is finished: sent, suppressed (reason says why), or dead (given up).';
comment on column public.notification_deliveries.reason is
  'Why it was suppressed: below_severity, snoozed, pagerduty_only, alarm_not_sent, channel_off, not_configured, summarised, resolved_meanwhile. Else
  what the receiver said at the last attempt that failed.';
comment on column public.notification_deliveries.attempts is 'How often it was sent.';
comment on column public.notification_deliveries.due_since is 'From when its 24 hours count.';
comment on column public.notification_deliveries.next_attempt_at is 'It is not sent before then.';
comment on column public.notification_deliveries.claim is 'Who is sending it: only with this can it be finished.';
comment on column public.notification_deliveries.claimed_until is 'Until when nobody else may send it.';
comment on column public.notification_deliveries.may_have_arrived is 'An attempt ended without an answer: perhaps the receiver has it.';
comment on column public.notification_deliveries.message_id is 'The same at each attempt, so that receivers can tell when a message comes twice.';
comment on column public.notification_deliveries.summary is
  'Of a summary: {count, by_severity: [[severity, n], …], alert_ids, delivery_ids: those that it stands for}.';
comment on column public.notification_deliveries.created_at is 'When it was written.';
comment on column public.notification_deliveries.last_attempt_at is 'When it was last sent.';
comment on column public.notification_deliveries.sent_at is 'When the receiver took it.';
comment on column public.notification_deliveries.digest_week is 'Of a digest: the Monday that its week begins with.';
create unique index notification_deliveries_once on public.notification_deliveries (event_id, channel) where event_id is not null;
comment on index public.notification_deliveries_once is 'An event is told to a channel once.';
create unique index notification_deliveries_digest on public.notification_deliveries (digest_week, channel) where digest_week is not null;
comment on index public.notification_deliveries_digest is 'A channel gets one digest a week. Also finds what goes when retention deletes a digest.';
create index notification_deliveries_due on public.notification_deliveries (channel, alert_id, id) where status = 'due';
comment on index public.notification_deliveries_due is 'What is to be sent.';
create index notification_deliveries_told on public.notification_deliveries (alert_id, channel, id);
comment on index public.notification_deliveries_told is 'What a channel was told of an alert.';
create index notification_deliveries_attempts on public.notification_deliveries (channel, last_attempt_at) where last_attempt_at is not null;
comment on index public.notification_deliveries_attempts is 'How much a channel was sent of late: the caps, and what was given up.';
create index notification_deliveries_dead on public.notification_deliveries (id) where status = 'dead';
comment on index public.notification_deliveries_dead is 'What was given up, for the list and for the monitor.';
create index notification_deliveries_age on public.notification_deliveries (created_at) where status <> 'due';
comment on index public.notification_deliveries_age is 'What retention deletes.';
alter table public.notification_deliveries enable row level security;
create policy notification_deliveries_admin_read on public.notification_deliveries
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy notification_deliveries_admin_read on public.notification_deliveries is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.is_alarm(p_kind text)
returns boolean
language sql immutable
set search_path = ''
as $$
  select p_kind in ('raised', 'escalated', 'grown', 'repeated')
$$;
comment on function billing_ops.is_alarm(text) is 'Whether a delivery says that something is wrong.';

create function billing_ops.queue_deliveries(p_event_id bigint, p_alert public.billing_alerts, p_event text)
returns void
language sql
set search_path = ''
as $$
  insert into public.notification_deliveries (event_id, alert_id, channel, kind, severity, status, reason)
  select p_event_id, p_alert.id, told.channel, p_event, p_alert.severity,
    -- Whether the channel is off or gone is judged when it is claimed, under the lock: it may change while this is being written.
    case when told.silence is null then 'due' else 'suppressed' end, told.silence
  from (
    select c.channel, case
        when p_event = 'acknowledged' and c.channel <> 'pagerduty' then 'pagerduty_only'
        when not billing_ops.is_alarm(p_event) and not heard.of_it then 'alarm_not_sent'
        when billing_ops.is_alarm(p_event)
          and billing_ops.severity_rank(p_alert.severity) < billing_ops.severity_rank(c.min_severity) then 'below_severity'
        when billing_ops.is_alarm(p_event) and p_alert.snoozed_until > pg_catalog.clock_timestamp() then 'snoozed'
      end as silence
    from public.notification_channels c
    -- Whether the channel has heard of the alert, or may hear of it yet.
    cross join lateral (
      select exists (
        select 1 from public.notification_deliveries d
        where d.alert_id = p_alert.id and d.channel = c.channel and billing_ops.is_alarm(d.kind)
          and (d.status <> 'suppressed' or d.may_have_arrived)) as of_it
    ) heard
    where c.configured and (billing_ops.is_alarm(p_event) or p_event in ('acknowledged', 'resolved'))
      -- A channel that is gone may come back.
      or p_event = 'resolved' and heard.of_it
  ) told
$$;
comment on function billing_ops.queue_deliveries(bigint, public.billing_alerts, text) is
  'Writes what each channel is to be told of an event, or why it is not.';

create function billing_ops.sync_channels(p_channels jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  if not exists (
    select 1
    from jsonb_to_recordset(p_channels) as s (channel text, fingerprint text, min_severity text)
    full join (select * from public.notification_channels where configured) c using (channel)
    where (s.fingerprint, s.min_severity) is distinct from (c.fingerprint, c.min_severity)
  ) then
    return;
  end if;

  update public.notification_channels c set configured = false
  where c.configured and c.channel not in (select s ->> 'channel' from jsonb_array_elements(p_channels) s);

  -- A channel that comes back with the same settings is the same destination, and has not heard of what ended meanwhile.
  update public.notification_deliveries d
  set status = 'due', reason = null, due_since = v_now, next_attempt_at = v_now
  from public.notification_channels c
    join jsonb_to_recordset(p_channels) as s (channel text, fingerprint text) using (channel, fingerprint)
  where d.channel = c.channel and not c.configured and d.status = 'suppressed' and d.reason = 'not_configured' and d.kind = 'resolved';

  insert into public.notification_channels as c (channel, fingerprint, min_severity, since)
  select s.channel, s.fingerprint, s.min_severity, v_now
  from jsonb_to_recordset(p_channels) as s (channel text, fingerprint text, min_severity text)
  on conflict (channel) do update
    set fingerprint = excluded.fingerprint, min_severity = excluded.min_severity, configured = true,
        since = case when c.configured and c.fingerprint = excluded.fingerprint then c.since else v_now end,
        off_at = case when c.fingerprint = excluded.fingerprint then c.off_at end,
        off_reason = case when c.fingerprint = excluded.fingerprint then c.off_reason end,
        wait_until = case when c.fingerprint = excluded.fingerprint then c.wait_until end,
        last_success_at = case when c.fingerprint = excluded.fingerprint then c.last_success_at end,
        last_failure_at = case when c.fingerprint = excluded.fingerprint then c.last_failure_at end,
        last_failure = case when c.fingerprint = excluded.fingerprint then c.last_failure end;
end
$$;
comment on function billing_ops.sync_channels(jsonb) is
  'Takes over the channels that the settings name: [{channel, fingerprint, min_severity}]. Settings that changed switch a channel on again.
  For claim_deliveries and claim_delivery, which hold the lock.';

create function billing_ops.queue_digest(p_digest jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_week date := billing_ops.digest_week(clock_timestamp());
  v_told text[];
  v_facts jsonb;
begin
  -- This is how far it gets, except once a week: a look into an index of a few rows.
  if p_digest is null or exists (select from billing_ops.digests g where g.week = v_week) then
    return;
  end if;
  -- PagerDuty is for what somebody has to get up for.
  v_told := array(select c.channel from public.notification_channels c where c.configured and c.channel <> 'pagerduty');
  -- A database has little to tell of the week in which it was first used.
  if v_told <> '{}' and exists (select from billing_ops.digests) then
    -- A digest must not hold up an alarm: what cannot be counted is not told, and not tried again.
    begin
      v_facts := billing_ops.digest_facts(v_week, nullif(p_digest -> 'access', 'null'));
    exception when query_canceled or others then
      raise warning 'there is no digest of the week of %: % (%)', v_week, sqlerrm, sqlstate;
    end;
  end if;
  insert into billing_ops.digests (week, facts) values (v_week, v_facts);
  insert into public.notification_deliveries (channel, kind, severity, status, digest_week)
  select t.channel, 'digest', 'info', 'due', v_week from unnest(v_told) t (channel) where v_facts is not null;
end
$$;
comment on function billing_ops.queue_digest(jsonb) is
  'Makes the digest of a week once it is due, for every channel but PagerDuty, whatever its least severity. p_digest: {access: the statuses that
  grant access}; null: nobody wants digests. For claim_deliveries, which holds the lock.';

create function billing_ops.settle_silences()
returns void
language sql
set search_path = ''
as $$
  -- Two statements, not one with "or": one goes by the few alerts that are snoozed, the other by the few repeats that are due.
  update public.notification_deliveries d
  set status = 'suppressed', reason = 'snoozed', claim = null, claimed_until = null, may_have_arrived = d.may_have_arrived or d.claim is not null
  from public.billing_alerts a
  where d.status = 'due' and a.id = d.alert_id and (d.claimed_until > pg_catalog.clock_timestamp()) is not true
    and d.kind in ('raised', 'escalated', 'grown', 'repeated') and not a.resolved and a.snoozed_until > pg_catalog.clock_timestamp();
  update public.notification_deliveries d
  set status = 'suppressed', reason = 'resolved_meanwhile', claim = null, claimed_until = null,
      may_have_arrived = d.may_have_arrived or d.claim is not null
  where d.status = 'due' and d.kind = 'repeated' and (d.claimed_until > pg_catalog.clock_timestamp()) is not true
    and (select a.resolved from public.billing_alerts a where a.id = d.alert_id);
  -- Processes that die over a message each time must not send it for ever; and nobody waits for a test any more.
  update public.notification_deliveries d
  set status = 'dead', may_have_arrived = true,
      reason = case when d.kind = 'test' then '' else 'gave up after 24 h: ' end || coalesce(d.reason, 'no answer')
  where d.status = 'due' and d.claimed_until <= pg_catalog.clock_timestamp()
    and (d.kind = 'test' or d.due_since < pg_catalog.clock_timestamp() - interval '24 hours');
  -- Nobody is told who attends to what they were not told of. An alarm that is not finished goes first, and decides. (Ends come last of
  -- all, and there may be many: they are judged when their turn has come.)
  update public.notification_deliveries d
  set status = 'suppressed', reason = 'alarm_not_sent', claim = null, claimed_until = null
  where d.status = 'due' and d.kind = 'acknowledged'
    and not exists (
      select 1 from public.notification_deliveries e
      where e.alert_id = d.alert_id and e.channel = d.channel and e.id < d.id and billing_ops.is_alarm(e.kind)
        and (e.status in ('due', 'sent') or e.may_have_arrived));
  -- Whoever is sending it just now will say what came of it.
  update public.notification_deliveries d
  set status = 'suppressed', claim = null, claimed_until = null, may_have_arrived = d.may_have_arrived or d.claim is not null,
      reason = case when c.configured then 'channel_off' else 'not_configured' end
  from public.notification_channels c
  where d.status = 'due' and c.channel = d.channel and (c.off_at is not null or not c.configured)
    and (d.claimed_until > pg_catalog.clock_timestamp()) is not true;
$$;
comment on function billing_ops.settle_silences() is
  'Suppresses what is due and need not be sent any more, and gives up what has been tried for 24 hours by processes that died over it.';

create function billing_ops.repeat_alarms()
returns void
language sql
set search_path = ''
as $$
  insert into public.notification_deliveries (alert_id, channel, kind, severity, status)
  select a.id, c.channel, case when told.last_at is null then 'raised' else 'repeated' end, a.severity, 'due'
  from public.billing_alerts a
  cross join public.notification_channels c
  cross join lateral (
    -- What was given up counts, too, or it would be tried again at once, for ever.
    select max(coalesce(d.sent_at, d.last_attempt_at, d.created_at)) filter (
        where d.status in ('sent', 'dead') or d.reason = 'summarised') as last_at,
      -- A snooze has swallowed something since, and was taken back.
      coalesce(max(d.id) filter (where d.reason = 'snoozed')
        > max(d.id) filter (where d.status in ('sent', 'dead') or d.reason = 'summarised'), false) as missed,
      coalesce(bool_or(d.status = 'due'), false) as is_due
    from public.notification_deliveries d
    where d.alert_id = a.id and d.channel = c.channel
      and (d.status = 'due' or coalesce(d.sent_at, d.last_attempt_at, d.created_at) >= c.since)
  ) told
  where not a.resolved and not billing_ops.attended(a)
    and c.configured and c.off_at is null
    and array_position('{critical,high,warning,info}', a.severity) <= array_position('{critical,high,warning,info}', c.min_severity)
    and not told.is_due
    and (told.last_at is null or told.missed
      or told.last_at < a.snoozed_until
      or told.last_at <= pg_catalog.clock_timestamp() - case a.severity
        when 'critical' then interval '4 hours' when 'high' then interval '12 hours' when 'warning' then interval '24 hours' end)
  -- Whoever is about to resolve an alert has locked its row: then there is nothing to repeat. Whoever comes later waits, so what they
  -- write is younger than this, and is written for channels that are new here, too.
  for share of a skip locked
$$;
comment on function billing_ops.repeat_alarms() is
  'Queues the alarm of each open alert that nobody attends to: again after 4, 12 or 24 hours by severity since a channel was last told, once when a
  snooze has run out, and for the first time where a channel has been told nothing of it since it came.';

create function billing_ops.hand_out(p_ids bigint[])
returns jsonb
language sql
set search_path = ''
as $$
  with claimed as (
    update public.notification_deliveries d
    set attempts = d.attempts + 1,
        -- Claimed before and never finished: whoever claimed it may have sent it.
        may_have_arrived = d.may_have_arrived or d.claim is not null,
        claim = gen_random_uuid(),
        claimed_until = pg_catalog.clock_timestamp() + interval '60 seconds',
        last_attempt_at = pg_catalog.clock_timestamp()
    where d.id = any (p_ids)
    returning d.*
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', d.id, 'claim', d.claim, 'channel', d.channel, 'kind', d.kind, 'severity', d.severity, 'message_id', d.message_id,
    'created_at', billing_ops.utc(coalesce(e.created_at, d.created_at)), 'summary', d.summary - 'delivery_ids',
    'digest', g.facts || pg_catalog.jsonb_build_object('week', g.week),
    'alert', case when a.id is not null then billing_ops.alert_json(a) end,
    -- The receiver believes that somebody attends to it, and that has ended.
    'reopens', billing_ops.is_alarm(d.kind) and exists (
      select 1 from public.notification_deliveries k
      where k.alert_id = d.alert_id and k.channel = d.channel and k.id < d.id and k.kind = 'acknowledged'
        and (k.status = 'sent' or k.may_have_arrived)
        and not exists (
          select 1 from public.notification_deliveries l
          where l.alert_id = d.alert_id and l.channel = d.channel and l.id between k.id and d.id - 1
            and billing_ops.is_alarm(l.kind) and l.status = 'sent')))
    order by array_position(p_ids, d.id)), '[]')
  from claimed d
  left join public.billing_alerts a on a.id = d.alert_id
  left join public.billing_alert_events e on e.id = d.event_id
  left join billing_ops.digests g on g.week = d.digest_week
$$;
comment on function billing_ops.hand_out(bigint[]) is
  'Claims these deliveries for 60 seconds and answers them with all that is to be told, in this order.';

create function public.claim_deliveries(p_channels jsonb, p_client text default null, p_digest jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer;
  v_now timestamptz;
  v_channel record;
  v_room integer;
  v_ids bigint[];
  v_are_alarms boolean[];
  v_alerts uuid[];
  v_picked bigint[];
  v_places bigint[];
  v_alarms bigint[];
  v_summary bigint;
  v_claimed bigint[] := array[]::bigint[];
begin
  if p_client is not null then
    v_retry_after := billing_ops.consume_rate_limit('monitor', p_client);
    if v_retry_after is not null then
      return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
    end if;
  end if;
  -- One at a time: so an order is an order, a cap a cap, and a repeat one repeat, whoever else is at work.
  perform pg_advisory_xact_lock(hashtext('billing_ops.claim_deliveries'));
  perform billing_ops.sync_channels(p_channels);
  perform billing_ops.queue_digest(p_digest);
  perform billing_ops.settle_silences();
  perform billing_ops.repeat_alarms();

  v_now := clock_timestamp();
  for v_channel in
    select c.channel, least(
        6 - count(d.id) filter (where d.last_attempt_at > v_now - interval '1 minute'),
        30 - count(d.id)) as room
    from public.notification_channels c
    left join public.notification_deliveries d
      on d.channel = c.channel and d.last_attempt_at > v_now - interval '1 hour' and d.kind <> 'test'
    where c.configured and c.off_at is null and (c.wait_until > v_now) is not true
      and exists (select 1 from public.notification_deliveries w where w.channel = c.channel and w.status = 'due')
    group by c.channel order by c.channel
  loop
    v_room := v_channel.room;
    continue when v_room < 1;
    -- Of each alert only what comes first: the rest waits for it. (Ranks and kinds are written out, as a call for each costs more than all
    -- the rest where thousands are due.)
    select array_agg(sorted.id), array_agg(sorted.kind in ('raised', 'escalated', 'grown', 'repeated')), array_agg(sorted.alert_id)
    into v_ids, v_are_alarms, v_alerts
    from (
      select first.*
      from (
        select distinct on (d.alert_id, case when d.alert_id is null then d.id end) d.id, d.alert_id, d.severity, d.kind, d.next_attempt_at, d.claimed_until
        from public.notification_deliveries d
        where d.channel = v_channel.channel and d.status = 'due'
        order by d.alert_id, case when d.alert_id is null then d.id end, d.id
      ) first
      where first.next_attempt_at <= v_now and (first.claimed_until > v_now) is not true
      -- What is wrong goes before what is over: that can wait. What is no news at all can wait longest.
      order by first.kind = 'digest', first.kind in ('resolved', 'acknowledged'), array_position('{critical,high,warning,info}', first.severity), first.id
    ) sorted;

    -- A channel that was not told of a beginning is not told of the end. This is judged only for those whose turn has come, and for one
    -- more, which says whether there are too many.
    select array_agg(picked.id order by picked.place), array_agg(picked.place order by picked.place) into v_picked, v_places
    from (
      select waiting.id, waiting.place
      from (select * from unnest(v_ids, v_are_alarms, v_alerts) with ordinality x (id, is_alarm, alert_id, place) order by place) waiting
      where waiting.is_alarm or waiting.alert_id is null or exists (
        select 1 from public.notification_deliveries e
        where e.alert_id = waiting.alert_id and e.channel = v_channel.channel and e.id < waiting.id and billing_ops.is_alarm(e.kind)
          and (e.status = 'sent' or e.may_have_arrived))
      limit v_room + 1
    ) picked;
    update public.notification_deliveries set status = 'suppressed', reason = 'alarm_not_sent', claim = null, claimed_until = null
    where id in (
      select x.id from unnest(v_ids) with ordinality x (id, place)
      where x.place <> all (coalesce(v_places, '{}'))
        and (coalesce(cardinality(v_places), 0) <= v_room or x.place < v_places[v_room + 1]));

    -- What is over, and who attends to it, is told one by one: it ends what an alarm began.
    select array_agg(x.id order by x.place) into v_alarms
    from unnest(v_ids, v_are_alarms) with ordinality x (id, is_alarm, place)
    where x.is_alarm and x.place >= v_places[v_room];
    if cardinality(v_picked) > v_room and cardinality(v_alarms) > 1 then
      insert into public.notification_deliveries (channel, kind, severity, status, summary)
      select v_channel.channel, 'summary', (array_agg(d.severity order by array_position('{critical,high,warning,info}', d.severity)))[1], 'due',
        jsonb_build_object('count', count(*),
          'by_severity', (
            select jsonb_agg(jsonb_build_array(s.severity, s.n) order by billing_ops.severity_rank(s.severity) desc)
            from (select o.severity, count(*) as n from public.notification_deliveries o where o.id = any (v_alarms) group by o.severity) s),
          'delivery_ids', to_jsonb(v_alarms),
          'alert_ids', (
            select jsonb_agg(f.alert_id order by array_position(v_alarms, f.id)) from public.notification_deliveries f where f.id = any (v_alarms[:5])))
      from public.notification_deliveries d where d.id = any (v_alarms)
      returning id into v_summary;
      update public.notification_deliveries
      set status = 'suppressed', reason = 'summarised', claim = null, claimed_until = null, may_have_arrived = may_have_arrived or claim is not null
      where id = any (v_alarms);
      v_claimed := v_claimed || v_picked[:v_room - 1] || v_summary;
    else
      v_claimed := v_claimed || v_picked[:v_room];
    end if;
  end loop;
  return jsonb_build_object('outcome', 'ok', 'deliveries', billing_ops.hand_out(v_claimed));
end
$$;
comment on function public.claim_deliveries(jsonb, text, jsonb) is
  'What is to be sent now: {outcome: ok|rate_limited, deliveries, retry_after}. p_channels: those that the settings name, [{channel, fingerprint,
  min_severity}]. At most 6 a minute and 30 an hour for a channel; beyond that, the least severe are told in one summary. Of each alert
  and channel only the oldest, so that an end never comes before its beginning. A null p_client is not counted. p_digest: as queue_digest takes it.';

create function public.claim_delivery(p_channels jsonb, p_test text default null, p_retry bigint default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_delivery public.notification_deliveries;
  v_configured text[] := array(select s ->> 'channel' from jsonb_array_elements(p_channels) s);
begin
  perform pg_advisory_xact_lock(hashtext('billing_ops.claim_deliveries'));
  -- What is refused changes nothing: whoever asks may have other settings than those who send.
  if p_retry is null then
    if p_test <> all (v_configured) then
      return jsonb_build_object('outcome', 'not_configured');
    end if;
    perform billing_ops.sync_channels(p_channels);
    insert into public.notification_deliveries (channel, kind, severity, status) values (p_test, 'test', 'info', 'due')
    returning * into v_delivery;
  else
    select * into v_delivery from public.notification_deliveries where id = p_retry for update;
    if not found then
      return jsonb_build_object('outcome', 'not_found');
    elsif v_delivery.channel <> all (v_configured) then
      return jsonb_build_object('outcome', 'not_configured');
    elsif v_delivery.status <> 'dead' then
      return jsonb_build_object('outcome', 'conflict', 'status', v_delivery.status);
    end if;
    perform billing_ops.sync_channels(p_channels);
    update public.notification_deliveries
    set status = 'due', attempts = 0, due_since = clock_timestamp(), next_attempt_at = clock_timestamp(), claim = null, claimed_until = null
    where id = p_retry;
    -- Its alert may be over: whoever hears of the beginning now must hear of the end, even if it is once more.
    update public.notification_deliveries
    set status = 'due', reason = null, due_since = clock_timestamp(), next_attempt_at = clock_timestamp(), sent_at = null
    where alert_id = v_delivery.alert_id and channel = v_delivery.channel and id > p_retry and billing_ops.is_alarm(v_delivery.kind)
      and (status = 'suppressed' and reason = 'alarm_not_sent' or status = 'sent' and kind = 'resolved');
  end if;
  return jsonb_build_object('outcome', 'ok', 'deliveries', billing_ops.hand_out(array[v_delivery.id]));
end
$$;
comment on function public.claim_delivery(jsonb, text, bigint) is
  'One delivery at a person''s request: a test of a channel (p_test), or one that was given up (p_retry), from its first attempt. Answers {outcome:
  ok|not_configured|not_found|conflict, deliveries, status}. Caps and orders do not count here; a channel that is off is tried, too.';

create function public.finish_deliveries(p_results jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_result record;
  v_delivery public.notification_deliveries;
  v_channel public.notification_channels;
  v_asked interval;
  v_pause interval;
  v_finished integer := 0;
begin
  -- Under the same lock as claims, which write the same rows.
  perform pg_advisory_xact_lock(hashtext('billing_ops.claim_deliveries'));
  v_now := clock_timestamp();
  for v_result in
    select * from jsonb_to_recordset(p_results) as r (
      id bigint, claim uuid, outcome text, answer text, retry_after double precision, unanswered boolean)
    -- "gone" comes last, as it ends all that is left: what is said of the others counts, wherever it stands.
    order by r.outcome = 'gone'
  loop
    select * into v_delivery from public.notification_deliveries
    where id = v_result.id and claim = v_result.claim and status = 'due' for update;
    -- Somebody else has claimed it since, or it is finished.
    continue when not found;
    v_finished := v_finished + 1;
    -- Nobody may make a channel wait longer than a day.
    v_asked := make_interval(secs => greatest(0, least(coalesce(v_result.retry_after, 0), 86400)));
    -- 30 s, 1 min, 2 min, … 1 h.
    v_pause := greatest(v_asked, least(interval '1 hour', interval '30 seconds' * power(2, least(v_delivery.attempts - 1, 10))));
    -- Whatever is asked for, there is one more attempt at the end of the day.
    if v_delivery.due_since + interval '24 hours' > v_now then
      v_pause := least(v_pause, v_delivery.due_since + interval '24 hours' - v_now);
    end if;
    case v_result.outcome
      when 'sent' then
        update public.notification_deliveries
        set status = 'sent', sent_at = v_now, reason = null, claim = null, claimed_until = null where id = v_delivery.id;
        -- Whatever switched the channel off, it takes messages again. What it missed is told as if it were new. This takes a look at
        -- all that it was ever told, so it is done only then.
        select * into v_channel from public.notification_channels where channel = v_delivery.channel;
        if v_channel.off_at is not null then
          update public.notification_deliveries d
          set status = 'due', reason = null, due_since = v_now, next_attempt_at = v_now
          where d.channel = v_channel.channel
            and d.kind = 'resolved' and d.due_since >= v_channel.since
            and (d.status = 'suppressed' and d.reason = 'channel_off'
              -- The delivery that found it gone.
              or d.status = 'dead' and d.last_attempt_at >= v_channel.off_at - interval '1 minute');
        end if;
        update public.notification_channels
        set last_success_at = v_now, wait_until = null, since = case when off_at is null then since else v_now end,
            off_at = null, off_reason = null
        where channel = v_delivery.channel;
      when 'released' then
        update public.notification_deliveries
        -- The caps must know of an earlier attempt; that it was in fact a little earlier does no harm.
        set claim = null, claimed_until = null, attempts = attempts - 1, last_attempt_at = case when attempts > 1 then last_attempt_at end
        where id = v_delivery.id;
      when 'failed', 'refused', 'gone' then
        update public.notification_deliveries
        set claim = null, claimed_until = null,
            may_have_arrived = may_have_arrived or coalesce(v_result.unanswered, false),
            status = case when v_result.outcome = 'failed' and kind <> 'test' and v_now + v_pause <= due_since + interval '24 hours'
                     then 'due' else 'dead' end,
            reason = case when v_result.outcome = 'failed' and kind <> 'test' and v_now + v_pause > due_since + interval '24 hours'
                     then 'gave up after 24 h: ' else '' end || coalesce(v_result.answer, ''),
            next_attempt_at = v_now + v_pause
        where id = v_delivery.id;
        -- What a summary stands for was not told any more than the summary was.
        update public.notification_deliveries m
        set status = 'dead', reason = s.reason, last_attempt_at = v_now
        from public.notification_deliveries s
        where s.id = v_delivery.id and s.status = 'dead' and m.status = 'suppressed' and m.reason = 'summarised'
          and m.id in (select i::bigint from jsonb_array_elements_text(s.summary -> 'delivery_ids') i);
        update public.notification_channels
        set last_failure_at = v_now, last_failure = v_result.answer,
            wait_until = case when v_result.retry_after is not null then v_now + v_asked else wait_until end,
            off_at = case when v_result.outcome = 'gone' then coalesce(off_at, v_now) else off_at end,
            off_reason = case when v_result.outcome = 'gone' then v_result.answer else off_reason end
        where channel = v_delivery.channel;
        if v_result.outcome = 'gone' then
          update public.notification_deliveries
          set status = 'suppressed', reason = 'channel_off', claim = null, claimed_until = null,
              may_have_arrived = may_have_arrived or claim is not null
          where channel = v_delivery.channel and status = 'due';
        end if;
    end case;
  end loop;
  return jsonb_build_object('finished', v_finished);
end
$$;
comment on function public.finish_deliveries(jsonb) is
  'What became of claimed deliveries: [{id, claim, outcome: sent|failed|refused|gone|released, answer, retry_after, unanswered}]; released: not sent
  after all. What failed is tried again after 30 s, doubled up to an hour, until 24 h have passed; refused is given up; gone switches the
  channel off. Answers {finished: n}: one whose claim is not the last one is left alone.';

create function billing_ops.notification_facts()
returns jsonb
language sql stable
set search_path = ''
as $$
  with overdue as (
    select d.channel, d.due_since from public.notification_deliveries d
    where d.status = 'due' and d.kind <> 'test' and d.due_since < pg_catalog.clock_timestamp() - interval '15 minutes'
  ),
  dead as (
    select d.channel from public.notification_deliveries d join public.notification_channels c on c.channel = d.channel
    where d.status = 'dead' and d.kind <> 'test' and d.last_attempt_at > pg_catalog.clock_timestamp() - interval '24 hours'
      and (c.last_success_at > d.last_attempt_at) is not true
  ),
  off as (
    select c.channel from public.notification_channels c where c.configured and c.off_at is not null
  )
  select pg_catalog.jsonb_build_object(
    'overdue', (select count(*) from overdue),
    'oldest_due_since', (select billing_ops.utc(min(o.due_since)) from overdue o),
    'given_up', (select count(*) from dead),
    'off', (select count(*) from off),
    'configured', (select count(*) from public.notification_channels c where c.configured),
    'channels', (
      select coalesce(pg_catalog.jsonb_agg(distinct f.channel), '[]')
      from (select o.channel from overdue o union all select d.channel from dead d union all select f.channel from off f) f),
    'none_works', (
      select coalesce(bool_and(c.off_at is not null or coalesce(c.last_failure_at > coalesce(c.last_success_at, '-infinity'), false)), false)
      from public.notification_channels c where c.configured))
$$;
comment on function billing_ops.notification_facts() is
  'Whether messages arrive: {overdue, oldest_due_since, given_up, off, configured, channels, none_works}. Overdue: due for 15 minutes.
  Given up: within 24 hours, and nothing has arrived in that channel since. off: channels that are switched off. configured: how many
  there are. channels: those of overdue, given_up and off. none_works: there are channels, and the last attempt of each failed.';

create function public.admin_notifications(
  p_client text default null,
  p_channel text default null,
  p_status text default null,
  p_alert_id uuid default null,
  p_limit integer default 50,
  p_before bigint default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_refusal jsonb := billing_ops.admit('notifications', p_client);
begin
  if v_refusal is not null then
    return v_refusal;
  end if;
  return jsonb_build_object('outcome', 'ok',
    'channels', (
      select coalesce(jsonb_agg(jsonb_build_object('channel', c.channel, 'configured', c.configured, 'off_at', billing_ops.utc(c.off_at),
        'off_reason', c.off_reason, 'fingerprint', c.fingerprint, 'last_success_at', billing_ops.utc(c.last_success_at),
        'last_failure_at', billing_ops.utc(c.last_failure_at), 'last_failure', c.last_failure)), '[]')
      from public.notification_channels c),
    'items', (
      select coalesce(jsonb_agg(jsonb_build_object('id', page.id::text, 'channel', page.channel, 'kind', page.kind, 'severity', page.severity,
        'status', page.status, 'reason', page.reason, 'alert_id', page.alert_id, 'alert_key', page.alert_key, 'attempts', page.attempts,
        'created_at', billing_ops.utc(page.created_at), 'sent_at', billing_ops.utc(page.sent_at),
        'next_attempt_at', case when page.status = 'due' then billing_ops.utc(page.next_attempt_at) end) order by page.id desc), '[]')
      from (
        select d.*, a.alert_key from public.notification_deliveries d left join public.billing_alerts a on a.id = d.alert_id
        where (p_channel is null or d.channel = p_channel) and (p_status is null or d.status = p_status)
          and (p_alert_id is null or d.alert_id = p_alert_id) and (p_before is null or d.id < p_before)
        order by d.id desc limit billing_ops.page_size(p_limit) + 1
      ) page));
end
$$;
comment on function public.admin_notifications(text, text, text, uuid, integer, bigint) is
  'How channels are doing, and deliveries, newest first, before p_before: {outcome, channels, items}: one item more than p_limit says that there is a
  next page.';

-- The monitor's two round trips: the facts that it judges, then what it made of them. Pruning (51_retention) rides on
-- the second.

create table billing_ops.stripe_deliveries (
  one boolean primary key default true check (one),
  asked_at timestamptz not null,
  said jsonb
);
comment on table billing_ops.stripe_deliveries is 'What Stripe last said of the delivery of its events: one row, so that it is not asked at every pass.';
comment on column billing_ops.stripe_deliveries.one is 'There is one row.';
comment on column billing_ops.stripe_deliveries.asked_at is 'When Stripe was asked.';
comment on column billing_ops.stripe_deliveries.said is '{failing, oldest_at}: events that no endpoint has taken; null where Stripe did not say.';
alter table billing_ops.stripe_deliveries enable row level security;
create policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.gather_monitor_facts()
returns jsonb
language sql stable
set search_path = ''
as $$
  -- Alerts that nobody attends to. The monitor's own, which are left out, are named here and nowhere else.
  with unattended as (
    select a.id, a.alert_key, a.severity, coalesce(a.severe_since, least(a.created_at, a.first_seen_at)) as since
    from public.billing_alerts a
    where a.resolved = false and a.severity in ('critical', 'high')
      and a.alert_key not in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing', 'sweep_incomplete',
        'notifications_failing', 'stripe_deliveries_failing', 'events_backlog', 'settings_invalid')
      and not billing_ops.attended(a)
  )
  select pg_catalog.jsonb_build_object(
    'now', billing_ops.utc(pg_catalog.clock_timestamp()),
    'last_good_run_finished_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.scope <> 'due' and r.status in ('success', 'partial')),
    'last_complete_sweep_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.scope = 'all' and r.cursor is null and r.status in ('success', 'partial') and billing_ops.is_complete_sweep(r)),
    'first_run_started_at', (select billing_ops.utc(min(r.started_at)) from public.reconciliation_logs r where r.scope <> 'due'),
    'live_run_id', (
      select r.id from public.reconciliation_logs r
      where r.scope <> 'due' and r.status = 'running' and r.lease_expires_at > pg_catalog.clock_timestamp()),
    'latest_results', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'id', latest.id, 'status', latest.status, 'error_code', latest.error_code) order by latest.finished_at desc), '[]')
      from (
        select r.id, r.status, r.error_code, r.finished_at from public.reconciliation_logs r
        where r.scope <> 'due' and r.status in ('success', 'partial', 'error')
        order by r.finished_at desc, r.id desc limit 3
      ) latest),
    'oldest_high_severity_alert', (
      select pg_catalog.jsonb_build_object('id', a.id, 'alert_key', a.alert_key, 'severity', a.severity,
        'since', billing_ops.utc(a.since))
      from unattended a order by a.since limit 1),
    'open_high_severity_count', (select count(*) from unattended),
    'notifications', billing_ops.notification_facts(),
    'oldest_due_at', (select billing_ops.utc(min(d.due_at)) from public.stripe_due d),
    'deliveries_asked_at', (select billing_ops.utc(s.asked_at) from billing_ops.stripe_deliveries s),
    'deliveries', (select s.said from billing_ops.stripe_deliveries s),
    'reconcile_stale_since', (
      select billing_ops.utc(a.first_seen_at) from public.billing_alerts a
      where a.resolved = false and a.alert_key = 'reconcile_stale')
  )
$$;
comment on function billing_ops.gather_monitor_facts() is
  'What the monitor judges by, as of one snapshot. Alerts that the monitor raises itself are left out of the high severity
  ones, or that condition could never clear.';

create function public.monitor_facts(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('monitor', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'facts', billing_ops.gather_monitor_facts());
end
$$;
comment on function public.monitor_facts(text) is
  'For callers with a machine secret: counts the call and answers {outcome: ok|rate_limited, facts, retry_after}.';

create function public.apply_monitor_outcomes(p_outcomes jsonb, p_deliveries jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alerts jsonb := billing_ops.apply_condition_outcomes(p_outcomes);
  v_pruned jsonb;
begin
  if p_deliveries is not null then
    insert into billing_ops.stripe_deliveries (asked_at, said)
    values (clock_timestamp(), nullif(p_deliveries, '{}'))
    on conflict (one) do update set asked_at = excluded.asked_at, said = excluded.said;
  end if;
  -- Housekeeping must not undo an alarm. The block takes back what pruning did and nothing else. "others" leaves out the
  -- statement timeout, which would be the likeliest to come: it is caught by its name. It has then gone off for this statement
  -- and does not come again, so nothing may follow that could take long.
  begin
    v_pruned := billing_ops.prune(5000);
  exception when query_canceled or others then
    raise warning 'nothing was pruned: % (%)', sqlerrm, sqlstate;
    v_pruned := jsonb_build_object('error', sqlstate);
  end;
  return jsonb_build_object('alerts', v_alerts, 'pruned', v_pruned);
end
$$;
comment on function public.apply_monitor_outcomes(jsonb, jsonb) is
  'Raises, refreshes and resolves the monitor''s alerts in one transaction, then prunes what has been kept long enough. p_deliveries: what Stripe said
  when it was asked about its deliveries, {} where it did not answer; null: it was not asked. (PostgREST turns JSON''s null into SQL''s.) Answers
  {alerts: {raised, refreshed, resolved}, pruned}; where pruning failed, pruned is {error: <SQLSTATE>}, the alerts stand, and the
  next pass tries again.';

-- How long rows are kept, and what deletes them: nothing else does. Bounded, so that a pass of the monitor stays short.

create function billing_ops.prune(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
-- Whoever holds a row that pruning wants must not hold up the pass: what is due for deletion can wait for the next one.
set lock_timeout = '1s'
as $$
declare
  -- A quarter of the 8 s that hosted projects give a statement.
  v_until timestamptz := clock_timestamp() + interval '2 seconds';
  v_left integer := p_limit;
  v_piece integer;
  v_count bigint;
  v_seen bigint;
  v_drift bigint := 0;
  v_closed jsonb := '[]'::jsonb;
  v_runs bigint := 0;
  v_alerts bigint := 0;
  v_windows bigint := 0;
  v_deliveries bigint := 0;
  v_digests bigint := 0;
begin
  -- In pieces, as a row that is deleted takes its history with it, and nobody knows how long that is.
  while v_left > 0 loop
    v_piece := least(v_left, 1000);
    v_left := v_left - v_piece;
    v_seen := 0;

    delete from public.rate_limit_windows w
    where (w.route, w.client) in (
      select o.route, o.client from public.rate_limit_windows o
      where o.window_started_at < now() - interval '1 day' order by o.window_started_at limit v_piece
      for update skip locked);
    get diagnostics v_count = row_count;
    v_windows := v_windows + v_count;
    v_seen := v_seen + v_count;

    delete from public.notification_deliveries n
    where n.id in (
      select o.id from public.notification_deliveries o
      where o.status <> 'due' and o.created_at < now() - interval '90 days'
        -- What was told of an alert decides whether its end is told, and shows that the alert was told at all.
        and (o.kind = 'repeated' or (
          select coalesce(a.resolved_at, now()) >= now() - interval '90 days' from public.billing_alerts a where a.id = o.alert_id) is not true)
      order by o.created_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_deliveries := v_deliveries + v_count;
    v_seen := v_seen + v_count;

    -- By age, and by number: of the closed ones the 200,000 that ended last are kept.
    with gone as (
      delete from public.drift d
      where d.id in (
        select o.id from public.drift o
        where o.closed_at < greatest(now() - interval '90 days', (
          select n.closed_at from public.drift n where n.closed_at is not null order by n.closed_at desc offset 199999 limit 1))
        order by o.closed_at limit v_piece for update skip locked)
      returning d.type, d.action
    ),
    counted as (select g.type, g.action, count(*) as entries from gone g group by g.type, g.action)
    select coalesce(sum(c.entries), 0), v_closed || coalesce(jsonb_agg(jsonb_build_array(c.type, c.action, c.entries)), '[]')
    into v_count, v_closed from counted c;
    v_drift := v_drift + v_count;
    v_seen := v_seen + v_count;

    -- The newest run over everything stays whatever its age: it carries the cursor, and its age is what the monitor speaks of.
    delete from public.reconciliation_logs r
    where r.id in (
      select o.id from public.reconciliation_logs o
      where o.started_at < now() - interval '2 days' and o.status <> 'running'
        and (o.started_at < now() - interval '400 days' or (o.scope = 'due'
          and (o.started_at < now() - interval '14 days' or (o.status = 'success' and o.total_issues = 0))))
        and o.id <> (select n.id from public.reconciliation_logs n where n.scope = 'all' order by n.started_at desc, n.id desc limit 1)
      order by o.started_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_runs := v_runs + v_count;
    v_seen := v_seen + v_count;

    delete from public.billing_alerts a
    where a.id in (
      select o.id from public.billing_alerts o
      where o.resolved and o.created_at < now() - interval '400 days' and o.resolved_at < now() - interval '400 days'
      order by o.created_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_alerts := v_alerts + v_count;
    v_seen := v_seen + v_count;

    delete from billing_ops.digests g
    where g.week in (
      select o.week from billing_ops.digests o
      where o.created_at < now() - interval '400 days' order by o.week limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_digests := v_digests + v_count;
    v_seen := v_seen + v_count;

    exit when v_seen = 0 or clock_timestamp() > v_until;
  end loop;
  -- The counters go on counting what was deleted. At the end and in one order, so that two passes cannot wait for one another.
  insert into billing_ops.closed_drift_counts as c (type, action, entries)
  select e.item ->> 0, e.item ->> 1, sum((e.item ->> 2)::bigint) from jsonb_array_elements(v_closed) e (item)
  group by 1, 2 order by 1, 2
  on conflict (type, action) do update set entries = c.entries + excluded.entries;
  return jsonb_build_object('drift', v_drift, 'runs', v_runs, 'alerts', v_alerts, 'deliveries', v_deliveries,
    'digests', v_digests, 'rate_limit_windows', v_windows);
end
$$;
comment on function billing_ops.prune(integer) is
  'Deletes at most p_limit rows of each kind that have been kept long enough: closed drift 90 days, and at most 200,000 entries;
  deliveries 90 days, but what was told of an alert (repeats aside) until 90 days after its end; passes over what was due, of which there
  can be one every few seconds, 14 days, and 2 days where they found nothing; other runs, resolved alerts and their history, and digests
  400 days, so that a yearly audit finds them; rate limit windows 1 day. Open alerts and the newest run over everything stay for ever.
  What it deletes of drift goes on being counted in closed_drift_counts. It begins no further piece after two seconds: the next pass goes
  on. Definer: nobody else may delete.';
