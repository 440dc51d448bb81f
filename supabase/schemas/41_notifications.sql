-- Who is told of what happens to alerts: the outbox. Each event of an alert becomes one delivery for each channel, in the transaction
-- that writes the event (40_alerts, record_alert_event). Whoever has time claims what is due, sends it, and says what became of it.

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
