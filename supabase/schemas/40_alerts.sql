-- Alerts and their history. A condition that holds has one open alert; a condition that cleared has none; a condition
-- that could not be judged keeps what it has.

create table public.billing_alerts (
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  severity text not null check (severity = any ('{critical,high,warning,info}'::text[])),
  message text not null,
  metadata jsonb not null default '{}'::jsonb,
  resolved boolean not null default false,
  resolved_at timestamptz,
  resolved_by uuid,
  created_at timestamptz not null default now(),
  alert_key text not null,
  occurrences integer not null default 1,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  resolution text check (resolution = any ('{manual,auto}'::text[])),
  resolution_note text,
  previous_alert_id uuid references public.billing_alerts (id) on delete set null,
  severe_since timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by uuid,
  acknowledged_until timestamptz,
  snoozed_until timestamptz,
  snoozed_by uuid,
  newest_member_at timestamptz
);
comment on table public.billing_alerts is 'Alarms about billing: one row for each episode of a condition.';
comment on column public.billing_alerts.id is 'The episode''s id.';
comment on column public.billing_alerts.alert_type is 'The kind of condition, for filters.';
comment on column public.billing_alerts.severity is 'critical, high, warning or info. It only rises while the alert is open.';
comment on column public.billing_alerts.message is 'What is wrong, in a sentence; as of last_seen_at.';
comment on column public.billing_alerts.metadata is 'Numbers and samples behind the message. Never a secret.';
comment on column public.billing_alerts.resolved is 'False while the alert is open.';
comment on column public.billing_alerts.resolved_at is 'When it was resolved.';
comment on column public.billing_alerts.resolved_by is 'The person who resolved it; null where the condition cleared.';
comment on column public.billing_alerts.created_at is 'When the row was written: the order of the list.';
comment on column public.billing_alerts.alert_key is
  'Dedup key: names the condition and nothing else. Severity is never part of it.';
comment on column public.billing_alerts.occurrences is 'How often the condition was seen in this episode.';
comment on column public.billing_alerts.first_seen_at is 'When this episode began.';
comment on column public.billing_alerts.last_seen_at is 'When the condition was last seen to hold.';
comment on column public.billing_alerts.resolution is 'manual (by a person) or auto (the condition cleared).';
comment on column public.billing_alerts.resolution_note is 'What the person wrote, or why it was resolved by itself.';
comment on column public.billing_alerts.previous_alert_id is 'The episode before this one, of the same alert_key.';
comment on column public.billing_alerts.severe_since is
  'Since when the alert has been critical or high without interruption; null while it is neither.';
comment on column public.billing_alerts.acknowledged_at is
  'When somebody said that they attend to it. A person sets this and the next four, and nothing else, on an open alert: they end with
  their time, when the alert rises or grows, and when it is resolved.';
comment on column public.billing_alerts.acknowledged_by is 'Who attends to it.';
comment on column public.billing_alerts.acknowledged_until is 'Until when: no repeats are sent before then.';
comment on column public.billing_alerts.snoozed_until is 'Until when nothing is sent. Then one reminder, if it still stands.';
comment on column public.billing_alerts.snoozed_by is 'Who snoozed it.';
comment on column public.billing_alerts.newest_member_at is
  'For a class of drift: when the newest difference that the alert speaks of was first seen. A newer one makes the alert grow.';

create unique index billing_alerts_one_open_per_key
  on public.billing_alerts (alert_key) where resolved = false;
comment on index public.billing_alerts_one_open_per_key is
  'Dedup: a condition has at most one unresolved alert, however many callers raise it at once.';
create index billing_alerts_newest on public.billing_alerts (created_at desc, id desc);
comment on index public.billing_alerts_newest is 'The list of all alerts, newest first, by keyset pages.';
create index billing_alerts_open on public.billing_alerts (created_at desc, id desc) include (severity, alert_type)
  where resolved = false;
comment on index public.billing_alerts_open is 'The list of open alerts, and their counts by severity.';
create index billing_alerts_episodes on public.billing_alerts (alert_key, created_at desc);
comment on index public.billing_alerts_episodes is 'Finds the previous episode.';
create index billing_alerts_previous on public.billing_alerts (previous_alert_id) where previous_alert_id is not null;
comment on index public.billing_alerts_previous is 'For the foreign key, when old episodes are pruned.';

alter table public.billing_alerts enable row level security;
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
