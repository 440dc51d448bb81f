-- The shape: tables, columns, indexes with their predicates, functions, row level security, comments.
begin;
\ir helpers/actors.psql
select no_plan();

-- Tables and columns ---------------------------------------------------------------------------------------------------

-- needed: not null. Tables are in public unless their schema is named.
create temporary table expected_columns (relation text, attribute text, kind text, needed boolean);
create function tests.table_of(p_relation text) returns regclass language sql as $$
  select to_regclass(case when p_relation like '%.%' then p_relation else 'public.' || p_relation end)
$$;
insert into expected_columns values
  ('reconciliation_logs', 'id', 'uuid', true),
  ('reconciliation_logs', 'run_key', 'text', true),
  ('reconciliation_logs', 'run_type', 'text', true),
  ('reconciliation_logs', 'status', 'text', true),
  ('reconciliation_logs', 'lookback_hours', 'integer', true),
  ('reconciliation_logs', 'started_at', 'timestamp with time zone', true),
  ('reconciliation_logs', 'finished_at', 'timestamp with time zone', false),
  ('reconciliation_logs', 'created_at', 'timestamp with time zone', true),
  ('reconciliation_logs', 'attempt', 'integer', true),
  ('reconciliation_logs', 'waiting_count', 'integer', true),
  ('reconciliation_logs', 'held_count', 'integer', true),
  ('reconciliation_logs', 'heartbeat_at', 'timestamp with time zone', false),
  ('reconciliation_logs', 'lease_expires_at', 'timestamp with time zone', false),
  ('reconciliation_logs', 'cursor', 'jsonb', false),
  ('reconciliation_logs', 'scanned_count', 'bigint', true),
  ('reconciliation_logs', 'created_count', 'integer', true),
  ('reconciliation_logs', 'updated_count', 'integer', true),
  ('reconciliation_logs', 'mismatch_count', 'integer', true),
  ('reconciliation_logs', 'superseded_count', 'integer', true),
  ('reconciliation_logs', 'skipped_count', 'integer', true),
  ('reconciliation_logs', 'error_count', 'integer', true),
  ('reconciliation_logs', 'total_issues', 'integer', true),
  ('reconciliation_logs', 'message', 'text', false),
  ('reconciliation_logs', 'error_code', 'text', false),
  ('reconciliation_logs', 'error_message', 'text', false),
  ('reconciliation_logs', 'result', 'jsonb', false),
  ('reconciliation_logs', 'triggered_by', 'text', false),
  ('reconciliation_logs', 'triggered_by_user', 'uuid', false),
  ('reconciliation_logs', 'sweep_started_at', 'timestamp with time zone', false),
  ('reconciliation_logs', 'scope', 'text', true),
  ('reconciliation_logs', 'events_to', 'timestamp with time zone', false),
  ('stripe_due', 'stripe_subscription_id', 'text', true),
  ('stripe_due', 'first_event_at', 'timestamp with time zone', true),
  ('stripe_due', 'last_event_at', 'timestamp with time zone', true),
  ('stripe_due', 'due_at', 'timestamp with time zone', true),
  ('stripe_due', 'attempts', 'integer', true),
  ('stripe_due', 'version', 'bigint', true),
  ('drift', 'id', 'uuid', true),
  ('drift', 'drift_key', 'text', true),
  ('drift', 'type', 'text', true),
  ('drift', 'severity', 'text', true),
  ('drift', 'owner', 'text', false),
  ('drift', 'stripe_subscription_id', 'text', false),
  ('drift', 'stripe_customer_id', 'text', false),
  ('drift', 'livemode', 'boolean', false),
  ('drift', 'issue', 'text', true),
  ('drift', 'details', 'jsonb', true),
  ('drift', 'proposal', 'jsonb', false),
  ('drift', 'lowers_access', 'boolean', true),
  ('drift', 'action', 'text', true),
  ('drift', 'reason', 'text', false),
  ('drift', 'first_seen_at', 'timestamp with time zone', true),
  ('drift', 'last_seen_at', 'timestamp with time zone', true),
  ('drift', 'seen_count', 'integer', true),
  ('drift', 'first_run_id', 'uuid', true),
  ('drift', 'last_run_id', 'uuid', true),
  ('drift', 'closed_at', 'timestamp with time zone', false),
  ('drift', 'closed_run_id', 'uuid', false),
  ('drift', 'decided_by', 'uuid', false),
  ('drift', 'decided_at', 'timestamp with time zone', false),
  ('drift', 'note', 'text', false),
  ('drift', 'excepted_until', 'timestamp with time zone', false),
  ('drift', 'before', 'jsonb', false),
  ('drift', 'row_key', 'text', false),
  ('drift', 'row_version', 'text', false),
  ('drift_events', 'id', 'bigint', true),
  ('drift_events', 'drift_id', 'uuid', true),
  ('drift_events', 'event', 'text', true),
  ('drift_events', 'run_id', 'uuid', false),
  ('drift_events', 'actor', 'uuid', false),
  ('drift_events', 'note', 'text', false),
  ('drift_events', 'created_at', 'timestamp with time zone', true),
  ('drift_policies', 'type', 'text', true),
  ('drift_policies', 'mode', 'text', true),
  ('drift_policies', 'version', 'integer', true),
  ('drift_policies', 'updated_by', 'uuid', false),
  ('drift_policies', 'updated_at', 'timestamp with time zone', false),
  ('drift_policies', 'allowed_count', 'integer', false),
  ('drift_policies', 'allowed_until', 'timestamp with time zone', false),
  ('drift_policies', 'allowed_by', 'uuid', false),
  ('drift_policies', 'allowed_run', 'uuid', false),
  ('billing_alerts', 'id', 'uuid', true),
  ('billing_alerts', 'alert_key', 'text', true),
  ('billing_alerts', 'alert_type', 'text', true),
  ('billing_alerts', 'severity', 'text', true),
  ('billing_alerts', 'message', 'text', true),
  ('billing_alerts', 'metadata', 'jsonb', true),
  ('billing_alerts', 'resolved', 'boolean', true),
  ('billing_alerts', 'resolved_at', 'timestamp with time zone', false),
  ('billing_alerts', 'resolved_by', 'uuid', false),
  ('billing_alerts', 'created_at', 'timestamp with time zone', true),
  ('billing_alerts', 'occurrences', 'integer', true),
  ('billing_alerts', 'first_seen_at', 'timestamp with time zone', true),
  ('billing_alerts', 'last_seen_at', 'timestamp with time zone', true),
  ('billing_alerts', 'resolution', 'text', false),
  ('billing_alerts', 'resolution_note', 'text', false),
  ('billing_alerts', 'previous_alert_id', 'uuid', false),
  ('billing_alerts', 'severe_since', 'timestamp with time zone', false),
  ('billing_alerts', 'acknowledged_at', 'timestamp with time zone', false),
  ('billing_alerts', 'acknowledged_by', 'uuid', false),
  ('billing_alerts', 'acknowledged_until', 'timestamp with time zone', false),
  ('billing_alerts', 'snoozed_until', 'timestamp with time zone', false),
  ('billing_alerts', 'snoozed_by', 'uuid', false),
  ('billing_alerts', 'newest_member_at', 'timestamp with time zone', false),
  ('billing_alert_events', 'id', 'bigint', true),
  ('billing_alert_events', 'alert_id', 'uuid', true),
  ('billing_alert_events', 'event', 'text', true),
  ('billing_alert_events', 'severity', 'text', true),
  ('billing_alert_events', 'actor', 'uuid', false),
  ('billing_alert_events', 'reason', 'text', false),
  ('billing_alert_events', 'created_at', 'timestamp with time zone', true),
  ('notification_channels', 'channel', 'text', true),
  ('notification_channels', 'fingerprint', 'text', true),
  ('notification_channels', 'min_severity', 'text', true),
  ('notification_channels', 'configured', 'boolean', true),
  ('notification_channels', 'since', 'timestamp with time zone', true),
  ('notification_channels', 'off_at', 'timestamp with time zone', false),
  ('notification_channels', 'off_reason', 'text', false),
  ('notification_channels', 'wait_until', 'timestamp with time zone', false),
  ('notification_channels', 'last_success_at', 'timestamp with time zone', false),
  ('notification_channels', 'last_failure_at', 'timestamp with time zone', false),
  ('notification_channels', 'last_failure', 'text', false),
  ('notification_deliveries', 'id', 'bigint', true),
  ('notification_deliveries', 'event_id', 'bigint', false),
  ('notification_deliveries', 'alert_id', 'uuid', false),
  ('notification_deliveries', 'channel', 'text', true),
  ('notification_deliveries', 'kind', 'text', true),
  ('notification_deliveries', 'severity', 'text', true),
  ('notification_deliveries', 'status', 'text', true),
  ('notification_deliveries', 'reason', 'text', false),
  ('notification_deliveries', 'attempts', 'integer', true),
  ('notification_deliveries', 'due_since', 'timestamp with time zone', true),
  ('notification_deliveries', 'next_attempt_at', 'timestamp with time zone', true),
  ('notification_deliveries', 'claim', 'uuid', false),
  ('notification_deliveries', 'claimed_until', 'timestamp with time zone', false),
  ('notification_deliveries', 'may_have_arrived', 'boolean', true),
  ('notification_deliveries', 'message_id', 'uuid', true),
  ('notification_deliveries', 'summary', 'jsonb', false),
  ('notification_deliveries', 'created_at', 'timestamp with time zone', true),
  ('notification_deliveries', 'last_attempt_at', 'timestamp with time zone', false),
  ('notification_deliveries', 'sent_at', 'timestamp with time zone', false),
  ('notification_deliveries', 'digest_week', 'date', false),
  ('rate_limit_windows', 'route', 'text', true),
  ('rate_limit_windows', 'client', 'text', true),
  ('rate_limit_windows', 'window_started_at', 'timestamp with time zone', true),
  ('rate_limit_windows', 'hits', 'integer', true),
  ('subscriptions', 'id', 'uuid', true),
  ('subscriptions', 'organization_id', 'uuid', true),
  ('subscriptions', 'stripe_customer_id', 'text', false),
  ('subscriptions', 'stripe_subscription_id', 'text', false),
  ('subscriptions', 'status', 'text', true),
  ('subscriptions', 'tier', 'text', false),
  ('subscriptions', 'stripe_price_id', 'text', false),
  ('subscriptions', 'quantity', 'integer', false),
  ('subscriptions', 'current_period_start', 'timestamp with time zone', false),
  ('subscriptions', 'current_period_end', 'timestamp with time zone', false),
  ('subscriptions', 'cancel_at_period_end', 'boolean', false),
  ('subscriptions', 'trial_end', 'timestamp with time zone', false),
  ('subscriptions', 'created_at', 'timestamp with time zone', true),
  ('subscriptions', 'updated_at', 'timestamp with time zone', true),
  ('billing_ops.subscription_marks', 'stripe_subscription_id', 'text', true),
  ('billing_ops.subscription_marks', 'created', 'timestamp with time zone', true),
  ('billing_ops.subscription_marks', 'livemode', 'boolean', false),
  ('billing_ops.subscription_marks', 'seen_at', 'timestamp with time zone', true),
  ('billing_ops.subscription_marks', 'owner', 'text', false),
  ('billing_ops.subscription_marks', 'owner_source', 'text', false),
  ('billing_ops.subscription_marks', 'looked_up_at', 'timestamp with time zone', false),
  ('billing_ops.adoption', 'one', 'boolean', true),
  ('billing_ops.adoption', 'mapping', 'jsonb', true),
  ('billing_ops.adoption', 'fingerprint', 'jsonb', true),
  ('billing_ops.adoption', 'granted', 'jsonb', true),
  ('billing_ops.adoption', 'generator', 'integer', true),
  ('billing_ops.adoption', 'adopted_at', 'timestamp with time zone', true),
  ('billing_ops.adoption', 'adopted_by', 'text', true),
  ('billing_ops.stripe_deliveries', 'one', 'boolean', true),
  ('billing_ops.stripe_deliveries', 'asked_at', 'timestamp with time zone', true),
  ('billing_ops.stripe_deliveries', 'said', 'jsonb', false),
  ('billing_ops.closed_drift_counts', 'type', 'text', true),
  ('billing_ops.closed_drift_counts', 'action', 'text', true),
  ('billing_ops.closed_drift_counts', 'entries', 'bigint', true),
  ('billing_ops.digests', 'week', 'date', true),
  ('billing_ops.digests', 'facts', 'jsonb', false),
  ('billing_ops.digests', 'created_at', 'timestamp with time zone', true),
  ('billing_ops.admins', 'user_id', 'uuid', true),
  ('billing_ops.admins', 'added_at', 'timestamp with time zone', true),
  ('billing_ops.admins', 'note', 'text', false);

select is(format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end,
          e.kind || case when e.needed then ' not null' else '' end,
          format('column %s.%s', e.relation, e.attribute))
from expected_columns e
left join pg_attribute a on a.attrelid = table_of(e.relation) and a.attname = e.attribute and not a.attisdropped
order by e.relation, e.attribute;

select isnt(col_description(table_of(e.relation), a.attnum), null, format('column %s.%s has a comment', e.relation, e.attribute))
from expected_columns e
left join pg_attribute a on a.attrelid = table_of(e.relation) and a.attname = e.attribute
where e.relation <> 'subscriptions';

select isnt(obj_description(table_of(relation), 'pg_class'), null, format('table %s has a comment', relation))
from (select distinct relation from expected_columns union values ('organizations'), ('users'), ('organization_members')) tables
order by relation;

-- Of the two that are older than their migrations a database may have columns that we don't know.
select set_eq(
  $$select relation, attname::text from (select distinct relation from expected_columns) e
    join pg_attribute on attrelid = table_of(relation) and attnum > 0 and not attisdropped
    where relation not in ('reconciliation_logs', 'billing_alerts')$$,
  $$select relation, attribute from expected_columns where relation not in ('reconciliation_logs', 'billing_alerts')$$,
  'the tables of our own have these columns and no others');
select set_eq($$select relname::text from pg_class where relnamespace = 'billing_ops'::regnamespace and relkind <> 'i'$$,
  array['subscription_marks', 'adoption', 'admins', 'stripe_deliveries', 'closed_drift_counts', 'digests'], 'six tables, and nothing else, are out of sight');

-- Values that a column takes ----------------------------------------------------------------------------------------------

create function tests.refuses(p_sql text) returns boolean language plpgsql as $$
begin
  execute p_sql;
  raise exception using errcode = 'TTTTT';
exception
  when check_violation then return true;
  when sqlstate 'TTTTT' then return false;
end
$$;
select ok(not refuses(format('insert into public.reconciliation_logs (run_key, run_type, status) values (%L, %L, %L)',
                             'scheduled_2026-01-01_00', t, s)), format('a run may be %s and %s', t, s))
from unnest(array['scheduled', 'manual', 'webhook_failure', 'request']) t,
  unnest(array['running', 'success', 'partial', 'error']) s;
select ok(refuses($$insert into public.reconciliation_logs (run_key, run_type, status) values ('k', 'scheduled', 'paused')$$),
          'a run has no other status');
select ok(refuses($$insert into public.reconciliation_logs (run_key, run_type) values ('k', 'yearly')$$),
          'a run has no other type');
select ok(not refuses(format($$insert into public.reconciliation_logs (run_key, run_type, scope) values ('k', 'scheduled', %L)$$, s)), format('a run may be over %s', s))
from unnest(array['all', 'changed', 'due']) s;
select ok(refuses($$insert into public.reconciliation_logs (run_key, run_type, scope) values ('k', 'scheduled', 'some')$$), 'and over nothing else');
select ok(not refuses(format($$insert into public.billing_alerts (alert_key, alert_type, severity, message)
                               values ('k', 't', %L, 'm')$$, s)), format('an alert may be %s', s))
from unnest(array['critical', 'high', 'warning', 'info']) s;
select ok(not refuses(format('insert into public.drift_policies (type, mode) values (%L, %L)', 't', m)), format('a class may be %s', m))
from unnest(array['observe', 'approve', 'auto']) m;
select ok(refuses($$insert into public.drift_policies (type, mode) values ('t', 'always')$$), 'a class has no other mode');
select ok(refuses($$insert into public.billing_alerts (alert_key, alert_type, severity, message) values ('k', 't', 'bad', 'm')$$),
          'an alert has no other severity');
select ok(refuses($$insert into public.billing_alerts (alert_key, alert_type, severity, message, resolution)
                    values ('k', 't', 'info', 'm', 'magic')$$), 'an alert has no other resolution');
select ok(not refuses($$insert into public.subscriptions (organization_id, status)
                        values ('00000000-0000-4000-8000-00000000000a', 'great')$$),
          'a subscription may have any status: Stripe may have a ninth word tomorrow, and the row is the app''s');
select ok(refuses($$insert into public.billing_alert_events (alert_id, event, severity) values (gen_random_uuid(), 'lost', 'info')$$),
          'nothing else happens to an alert');
create function tests.delivery(p_channel text, p_kind text, p_status text) returns text language sql as $$
  select format('insert into public.notification_deliveries (channel, kind, severity, status) values (%L, %L, %L, %L)', p_channel, p_kind, 'info', p_status)
$$;
create function tests.channel(p_channel text, p_severity text) returns text language sql as $$
  select format('insert into public.notification_channels (channel, fingerprint, min_severity) values (%L, %L, %L)', p_channel, 'f', p_severity)
$$;
select ok(not refuses(delivery('slack', k, s)), format('what is told may be %s and %s', k, s))
from unnest(array['raised', 'escalated', 'grown', 'repeated', 'acknowledged', 'resolved', 'summary', 'test']) k,
  unnest(array['due', 'sent', 'suppressed', 'dead']) s;
select ok(refuses(delivery('slack', 'noted', 'due')), 'nothing else is told');
insert into billing_ops.digests (week) values ('2026-11-16'), ('2026-11-23');
select ok(refuses($$insert into billing_ops.digests (week) values ('2026-11-24')$$), 'a week begins with a Monday');
select ok(refuses(delivery('slack', 'digest', 'due')), 'a digest is of a week');
insert into public.notification_deliveries (channel, kind, severity, status, digest_week) values ('slack', 'digest', 'info', 'due', '2026-11-16');
select ok(refuses($$insert into public.notification_deliveries (channel, kind, severity, status, digest_week) values ('slack', 'test', 'info', 'due', '2026-11-23')$$),
  'and nothing else is');
select lives_ok(format($$insert into public.notification_deliveries (channel, kind, severity, status, digest_week) values (%L, 'digest', 'info', 'due', %L)$$, c, w),
  format('%s may get the digest of %s', c, w)) from (values ('email', '2026-11-16'), ('slack', '2026-11-23')) x (c, w);
select throws_ok($$insert into public.notification_deliveries (channel, kind, severity, status, digest_week) values ('slack', 'digest', 'info', 'sent', '2026-11-16')$$,
  '23505', null, 'a channel gets one digest of a week');
select ok(refuses(delivery('slack', 'raised', 'lost')), 'and nothing else becomes of it');
select ok(not refuses(channel(c, s)), format('%s is a channel, and %s a least severity', c, s))
from unnest(array['pagerduty', 'slack', 'discord', 'email', 'webhook']) c, unnest(array['critical', 'high', 'warning', 'info']) s;
select ok(refuses(channel('carrier_pigeon', 'info')), 'there is no other channel');
select ok(refuses(channel('slack', 'bad')), 'and no other least severity');
select throws_ok($$insert into billing_ops.adoption (one, mapping, fingerprint, granted, generator) values (false, '{}', '{}', '[]', 1)$$,
  '23514', null, 'one table at most is adopted');
select throws_ok($$insert into billing_ops.adoption (mapping, fingerprint, granted, generator) values ('{}', '{}', '[]', 1)$$,
  '23505', null, 'and not two');
select throws_ok($$insert into billing_ops.stripe_deliveries (one, asked_at) values (false, now())$$, '23514', null, 'what Stripe said last is one row');
insert into billing_ops.stripe_deliveries (asked_at) values (now());
select throws_ok($$insert into billing_ops.stripe_deliveries (asked_at) values (now())$$, '23505', null, 'and not two, either');

-- Indexes ------------------------------------------------------------------------------------------------------------------

create temporary table expected_indexes (name text, definition text);
insert into expected_indexes values
  ('reconciliation_logs_one_running_per_key', 'CREATE UNIQUE INDEX reconciliation_logs_one_running_per_key ON
    public.reconciliation_logs USING btree (run_key) WHERE (status = ''running''::text)'),
  ('reconciliation_logs_one_running', 'CREATE UNIQUE INDEX reconciliation_logs_one_running ON
    public.reconciliation_logs USING btree ((true)) WHERE (status = ''running''::text)'),
  ('reconciliation_logs_attempts', 'CREATE UNIQUE INDEX reconciliation_logs_attempts ON
    public.reconciliation_logs USING btree (run_key, attempt)'),
  ('reconciliation_logs_newest', 'CREATE INDEX reconciliation_logs_newest ON
    public.reconciliation_logs USING btree (started_at DESC, id DESC)'),
  ('reconciliation_logs_finished', 'CREATE INDEX reconciliation_logs_finished ON public.reconciliation_logs USING
    btree (finished_at DESC, id DESC) WHERE ((scope <> ''due''::text) AND (status = ANY (ARRAY[''success''::text, ''partial''::text, ''error''::text])))'),
  ('reconciliation_logs_events', 'CREATE INDEX reconciliation_logs_events ON public.reconciliation_logs USING
    btree (events_to DESC) WHERE (events_to IS NOT NULL)'),
  ('reconciliation_logs_sweeps', 'CREATE INDEX reconciliation_logs_sweeps ON public.reconciliation_logs USING btree (sweep_started_at DESC)
    WHERE ((scope = ''all''::text) AND (cursor IS NULL) AND (status = ANY (ARRAY[''success''::text, ''partial''::text])))'),
  ('reconciliation_logs_ended', 'CREATE INDEX reconciliation_logs_ended ON public.reconciliation_logs USING
    btree (scope, status, finished_at DESC) WHERE (finished_at IS NOT NULL)'),
  ('stripe_due_due_at', 'CREATE INDEX stripe_due_due_at ON public.stripe_due USING btree (due_at, stripe_subscription_id)'),
  ('billing_alerts_one_open_per_key', 'CREATE UNIQUE INDEX billing_alerts_one_open_per_key ON
    public.billing_alerts USING btree (alert_key) WHERE (resolved = false)'),
  ('billing_alerts_newest', 'CREATE INDEX billing_alerts_newest ON
    public.billing_alerts USING btree (created_at DESC, id DESC)'),
  ('billing_alerts_open', 'CREATE INDEX billing_alerts_open ON public.billing_alerts USING
    btree (created_at DESC, id DESC) INCLUDE (severity, alert_type) WHERE (resolved = false)'),
  ('billing_alerts_episodes', 'CREATE INDEX billing_alerts_episodes ON
    public.billing_alerts USING btree (alert_key, created_at DESC)'),
  ('billing_alerts_previous', 'CREATE INDEX billing_alerts_previous ON public.billing_alerts USING
    btree (previous_alert_id) WHERE (previous_alert_id IS NOT NULL)'),
  ('drift_one_open_per_key', 'CREATE UNIQUE INDEX drift_one_open_per_key ON public.drift USING btree (drift_key)
    WHERE (closed_at IS NULL)'),
  ('drift_open', 'CREATE INDEX drift_open ON public.drift USING btree (first_seen_at DESC, id DESC)
    INCLUDE (type, severity, action) WHERE (closed_at IS NULL)'),
  ('drift_open_subscription', 'CREATE INDEX drift_open_subscription ON public.drift USING btree (stripe_subscription_id)
    WHERE (closed_at IS NULL)'),
  ('drift_newest', 'CREATE INDEX drift_newest ON public.drift USING btree (first_seen_at DESC, id DESC)'),
  ('drift_first_run', 'CREATE INDEX drift_first_run ON public.drift USING btree (first_run_id)
    INCLUDE (type, first_seen_at, id)'),
  ('drift_closed_run', 'CREATE INDEX drift_closed_run ON public.drift USING btree (closed_run_id, drift_key)
    INCLUDE (type, first_seen_at, id) WHERE (closed_run_id IS NOT NULL)'),
  ('drift_age', 'CREATE INDEX drift_age ON public.drift USING btree (closed_at) INCLUDE (type, action)
    WHERE (closed_at IS NOT NULL)'),
  ('drift_row', 'CREATE INDEX drift_row ON public.drift USING btree (row_key) WHERE (row_key IS NOT NULL)'),
  ('drift_events_drift', 'CREATE INDEX drift_events_drift ON public.drift_events USING btree (drift_id, id)'),
  ('drift_events_time', 'CREATE INDEX drift_events_time ON public.drift_events USING btree (created_at, id)'),
  ('billing_alert_events_alert_id_idx', 'CREATE INDEX billing_alert_events_alert_id_idx ON
    public.billing_alert_events USING btree (alert_id, id)'),
  ('notification_deliveries_once', 'CREATE UNIQUE INDEX notification_deliveries_once ON public.notification_deliveries USING
    btree (event_id, channel) WHERE (event_id IS NOT NULL)'),
  ('notification_deliveries_digest', 'CREATE UNIQUE INDEX notification_deliveries_digest ON public.notification_deliveries USING
    btree (digest_week, channel) WHERE (digest_week IS NOT NULL)'),
  ('notification_deliveries_due', 'CREATE INDEX notification_deliveries_due ON public.notification_deliveries USING
    btree (channel, alert_id, id) WHERE (status = ''due''::text)'),
  ('notification_deliveries_told', 'CREATE INDEX notification_deliveries_told ON public.notification_deliveries USING
    btree (alert_id, channel, id)'),
  ('notification_deliveries_attempts', 'CREATE INDEX notification_deliveries_attempts ON public.notification_deliveries USING
    btree (channel, last_attempt_at) WHERE (last_attempt_at IS NOT NULL)'),
  ('notification_deliveries_dead', 'CREATE INDEX notification_deliveries_dead ON public.notification_deliveries USING
    btree (id) WHERE (status = ''dead''::text)'),
  ('notification_deliveries_age', 'CREATE INDEX notification_deliveries_age ON public.notification_deliveries USING
    btree (created_at) WHERE (status <> ''due''::text)'),
  ('rate_limit_windows_age', 'CREATE INDEX rate_limit_windows_age ON
    public.rate_limit_windows USING btree (window_started_at)'),
  ('subscriptions_stripe_subscription_id_key', 'CREATE UNIQUE INDEX subscriptions_stripe_subscription_id_key ON
    public.subscriptions USING btree (stripe_subscription_id)'),
  ('subscriptions_stripe_customer_id_idx', 'CREATE INDEX subscriptions_stripe_customer_id_idx ON public.subscriptions USING
    btree (stripe_customer_id)'),
  ('subscriptions_organization_id_idx', 'CREATE INDEX subscriptions_organization_id_idx ON
    public.subscriptions USING btree (organization_id)'),
  ('users_organization_id_idx', 'CREATE INDEX users_organization_id_idx ON public.users USING btree (organization_id)'),
  ('organization_members_user_id_idx', 'CREATE INDEX organization_members_user_id_idx ON
    public.organization_members USING btree (user_id)'),
  ('billing_ops.subscription_marks_created', 'CREATE INDEX subscription_marks_created ON billing_ops.subscription_marks
    USING btree (created, stripe_subscription_id)'),
  ('billing_ops.subscription_marks_pkey', 'CREATE UNIQUE INDEX subscription_marks_pkey ON billing_ops.subscription_marks
    USING btree (stripe_subscription_id)');

select is(pg_get_indexdef(table_of(name)), regexp_replace(definition, '\s+', ' ', 'g'), 'index ' || name)
from expected_indexes order by name;
select isnt(obj_description(table_of(name), 'pg_class'), null, format('index %s has a comment', name))
from expected_indexes where name not like '%pkey' order by name;
select is((select indisvalid from pg_index where indexrelid = table_of(name)), true, name || ' is valid')
from expected_indexes order by name;
select set_has(
  $$select pg_get_constraintdef(oid) from pg_constraint where conrelid in
      ('public.drift_events'::regclass, 'public.billing_alert_events'::regclass, 'public.billing_alerts'::regclass,
       'public.notification_deliveries'::regclass)$$,
  $$values ('FOREIGN KEY (drift_id) REFERENCES drift(id) ON DELETE CASCADE'),
           ('FOREIGN KEY (alert_id) REFERENCES billing_alerts(id) ON DELETE CASCADE'),
           ('FOREIGN KEY (event_id) REFERENCES billing_alert_events(id) ON DELETE CASCADE'),
           ('FOREIGN KEY (previous_alert_id) REFERENCES billing_alerts(id) ON DELETE SET NULL')$$,
  'history goes with its entry or alert, and an episode outlives the one before');

-- Functions ------------------------------------------------------------------------------------------------------------------

create temporary table our_functions as
select p.oid::regprocedure::text as signature, p.*
from pg_proc p
where p.pronamespace = 'billing_ops'::regnamespace
  or (p.pronamespace = 'public'::regnamespace and p.proname in (
    'start_reconciliation_run', 'heartbeat_reconciliation_run', 'finish_reconciliation_run', 'read_adapter_for_reconcile',
    'read_subscriptions_for_reconcile', 'read_owners_for_reconcile', 'read_rows_of_owners_for_reconcile', 'read_unplaced_subscriptions',
    'read_duplicate_live_subscriptions',
    'apply_reconciliation_batch', 'apply_drift_decisions', 'revert_drift', 'except_drift', 'unexcept_drift', 'set_drift_policy',
    'allow_held_drift', 'take_drift_allowances', 'resolve_billing_alert', 'attend_billing_alert', 'claim_deliveries', 'claim_delivery',
    'note_stripe_events', 'read_due_subscriptions', 'read_standing_drift', 'finish_deliveries', 'monitor_facts', 'apply_monitor_outcomes', 'read_metrics', 'billing_ops_schema', 'billing_ops_adoption', 'admin_authorize', 'admin_monitor_facts', 'admin_billing_alerts', 'admin_reconciliation_runs',
    'admin_reconciliation_run', 'admin_drift', 'admin_drift_for_approval', 'admin_drift_policies', 'admin_notifications', 'admin_export'));

select is(array[count(*), count(distinct proname)], array[40, 40]::bigint[], 'forty functions are callable from outside, none of them twice')
from our_functions where pronamespace = 'public'::regnamespace;
select ok(proconfig @> array['search_path=""'], signature || ' trusts no search path') from our_functions order by signature;
select isnt(obj_description(oid, 'pg_proc'), null, signature || ' has a comment') from our_functions order by signature;
select ok(not exists (select 1 from aclexplode(coalesce(proacl, acldefault('f', proowner))) acl
                      where acl.grantee in (0, 'anon'::regrole)),
          signature || ' is granted neither to public nor to anon')
from our_functions order by signature;
select set_eq(
  'select proname::text from our_functions where prosecdef',
  array['is_admin', 'consume_rate_limit', 'prune', 'adoption_report', 'rows_for_approval'],
  'five functions run with their owner''s rights, and none of them is callable from outside');
select ok(not exists (select 1 from our_functions where prosecdef and pronamespace = 'public'::regnamespace),
          'no function in public runs with its owner''s rights');
select isnt(obj_description('billing_ops'::regnamespace, 'pg_namespace'), null, 'schema billing_ops has a comment');

-- Row level security -----------------------------------------------------------------------------------------------------------

select ok((select relrowsecurity from pg_class where oid = table_of(relation)),
          'row level security is on for ' || relation)
from unnest(array['reconciliation_logs', 'drift', 'drift_events', 'drift_policies', 'billing_alerts', 'billing_alert_events',
                  'notification_channels', 'notification_deliveries', 'rate_limit_windows', 'stripe_due', 'billing_ops.stripe_deliveries',
                  'billing_ops.closed_drift_counts', 'billing_ops.subscription_marks', 'billing_ops.adoption', 'billing_ops.admins', 'billing_ops.digests', 'organizations', 'users',
                  'organization_members', 'subscriptions']) relation;
select is_empty($$select polname from pg_policy p join pg_class c on c.oid = p.polrelid
  where c.relnamespace = 'billing_ops'::regnamespace and c.relname <> 'stripe_deliveries'
  or p.polrelid = any (array['public.organizations', 'public.users', 'public.organization_members', 'public.subscriptions']::regclass[])$$,
  'none is let in to what is out of sight, but for what the monitor''s facts show an admin, nor to an empty project''s tables');
select set_eq(
  $$select concat_ws(' ', tablename, policyname, cmd, roles) from pg_policies
    where schemaname in ('public', 'billing_ops') and tablename in ('reconciliation_logs', 'drift', 'drift_events', 'drift_policies', 'billing_alerts',
      'billing_alert_events', 'notification_channels', 'notification_deliveries', 'rate_limit_windows', 'stripe_due', 'stripe_deliveries')$$,
  $$values ('billing_alert_events billing_alert_events_admin_read SELECT {authenticated}'),
           ('billing_alerts billing_alerts_admin_read SELECT {authenticated}'),
           ('notification_channels notification_channels_admin_read SELECT {authenticated}'),
           ('notification_deliveries notification_deliveries_admin_read SELECT {authenticated}'),
           ('rate_limit_windows rate_limit_windows_nobody ALL {public}'),
           ('stripe_due stripe_due_admin_read SELECT {authenticated}'),
           ('stripe_deliveries stripe_deliveries_admin_read SELECT {authenticated}'),
           ('drift drift_admin_read SELECT {authenticated}'),
           ('drift_events drift_events_admin_read SELECT {authenticated}'),
           ('drift_policies drift_policies_admin_read SELECT {authenticated}'),
           ('reconciliation_logs reconciliation_logs_admin_read SELECT {authenticated}')$$,
  'one policy a table, for reading, and no leftovers beside it');
select isnt(obj_description(oid, 'pg_policy'), null, format('policy %s has a comment', polname))
from pg_policy where polname ~ '_(admin_read|nobody)$' order by polname;

-- Triggers ---------------------------------------------------------------------------------------------------------------------

select is_empty($$select tgrelid::regclass, tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where p.pronamespace = 'billing_ops'::regnamespace$$, 'nothing of ours hangs on a table, the app''s least of all');

select * from finish();
rollback;
