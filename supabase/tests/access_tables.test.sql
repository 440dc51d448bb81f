-- Role x table x verb, each cell by trying it as that role.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.reconciliation_logs (id, run_key, run_type, status, finished_at) values
  ('00000000-0000-4000-8000-0000000000f1', 'scheduled_2026-11-23_10', 'scheduled', 'success', now());
insert into public.drift (id, drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id)
select '00000000-0000-4000-8000-0000000000f3', 'k', 't', 'info', 'i', 'none', now(), now(), id, id from public.reconciliation_logs;
insert into public.drift_events (drift_id, event) values ('00000000-0000-4000-8000-0000000000f3', 'none');
insert into public.drift_policies (type, mode) values ('status_mismatch', 'approve');
insert into public.billing_alerts (id, alert_key, alert_type, severity, message) values
  ('00000000-0000-4000-8000-0000000000f2', 'k', 't', 'info', 'm');
insert into public.billing_alert_events (alert_id, event, severity) values
  ('00000000-0000-4000-8000-0000000000f2', 'raised', 'info');
insert into public.notification_channels (channel, fingerprint, min_severity) values ('slack', 'f', 'warning');
insert into public.notification_deliveries (channel, kind, severity, status) values ('slack', 'raised', 'info', 'due');
insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('alerts', '192.0.2.1', now(), 1);
insert into public.subscriptions (organization_id, status, stripe_subscription_id) values
  ('00000000-0000-4000-8000-00000000000a', 'active', 'sub_1');
insert into billing_ops.subscription_marks (stripe_subscription_id, created) values ('sub_1', now());
insert into billing_ops.admins (user_id) values ('00000000-0000-4000-8000-000000000009');
insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_1', now());
insert into billing_ops.stripe_deliveries (asked_at) values (now());
insert into billing_ops.closed_drift_counts (type, action, entries) values ('t', 'cleared', 1);
insert into billing_ops.digests (week) values ('2026-11-16');

-- The expected answer by verb: select, insert, update, delete, truncate.
create temporary table cells (relation text, actor text, answers text[]);
insert into cells values
  ('reconciliation_logs', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('reconciliation_logs', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('reconciliation_logs', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('reconciliation_logs', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('reconciliation_logs', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('drift', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('drift', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('drift_events', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('drift_events', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_events', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_events', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_events', 'service_role', array['1 rows', '1 rows', 'denied', 'denied', 'denied']),
  ('drift_policies', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('drift_policies', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_policies', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_policies', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('drift_policies', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('billing_alerts', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alerts', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alerts', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alerts', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alerts', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('billing_alert_events', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alert_events', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alert_events', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alert_events', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('billing_alert_events', 'service_role', array['1 rows', '1 rows', 'denied', 'denied', 'denied']),
  ('notification_channels', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('notification_channels', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_channels', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_channels', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_channels', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('notification_deliveries', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('notification_deliveries', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_deliveries', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_deliveries', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('notification_deliveries', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('stripe_due', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_due', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_due', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_due', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_due', 'service_role', array['1 rows', '1 rows', '1 rows', '1 rows', 'denied']),
  ('stripe_deliveries', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_deliveries', 'member', array['0 rows', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_deliveries', 'admin', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('stripe_deliveries', 'owner', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  -- There is one row: a second one is refused as such, not as a right that is missing.
  ('stripe_deliveries', 'service_role', array['1 rows', '23505', '1 rows', 'denied', 'denied']),
  ('rate_limit_windows', 'anon', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('rate_limit_windows', 'member', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('rate_limit_windows', 'admin', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('rate_limit_windows', 'owner', array['denied', 'denied', 'denied', 'denied', 'denied']),
  ('rate_limit_windows', 'service_role', array['denied', 'denied', 'denied', 'denied', 'denied']);
insert into cells
select relation, actor, array['denied', 'denied', 'denied', 'denied', 'denied']
from unnest(array['subscription_marks', 'adoption', 'admins', 'closed_drift_counts', 'digests']) relation, unnest(array['anon', 'member', 'admin', 'owner']) actor
union all values
  ('subscription_marks', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('adoption', 'service_role', array['1 rows', 'denied', 'denied', 'denied', 'denied']),
  ('closed_drift_counts', 'service_role', array['1 rows', '1 rows', '1 rows', 'denied', 'denied']),
  ('digests', 'service_role', array['1 rows', '1 rows', 'denied', 'denied', 'denied']),
  -- Who holds the service key makes nobody an admin.
  ('admins', 'service_role', array['denied', 'denied', 'denied', 'denied', 'denied']);

create temporary table statements (relation text, verbs text[]);
insert into statements values
  ('reconciliation_logs', array[
    'select from public.reconciliation_logs',
    $$insert into public.reconciliation_logs (run_key, run_type) values ('k', 'manual')$$,
    $$update public.reconciliation_logs set message = 'x'$$,
    'delete from public.reconciliation_logs', 'truncate public.reconciliation_logs cascade']),
  ('drift', array[
    'select from public.drift',
    $$insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id)
      values ('k2', 't', 'info', 'i', 'none', now(), now(), gen_random_uuid(), gen_random_uuid())$$,
    $$update public.drift set issue = 'x'$$,
    'delete from public.drift', 'truncate public.drift cascade']),
  ('drift_events', array[
    'select from public.drift_events',
    $$insert into public.drift_events (drift_id, event) values ('00000000-0000-4000-8000-0000000000f3', 'cleared')$$,
    $$update public.drift_events set note = 'x'$$,
    'delete from public.drift_events', 'truncate public.drift_events']),
  ('drift_policies', array[
    'select from public.drift_policies',
    $$insert into public.drift_policies (type, mode) values ('tier_mismatch', 'observe')$$,
    $$update public.drift_policies set mode = 'auto'$$,
    'delete from public.drift_policies', 'truncate public.drift_policies']),
  ('billing_alerts', array[
    'select from public.billing_alerts',
    $$insert into public.billing_alerts (alert_key, alert_type, severity, message) values ('k2', 't', 'info', 'm')$$,
    $$update public.billing_alerts set message = 'x'$$,
    'delete from public.billing_alerts', 'truncate public.billing_alerts cascade']),
  ('billing_alert_events', array[
    'select from public.billing_alert_events',
    $$insert into public.billing_alert_events (alert_id, event, severity)
      values ('00000000-0000-4000-8000-0000000000f2', 'resolved', 'info')$$,
    $$update public.billing_alert_events set reason = 'x'$$,
    'delete from public.billing_alert_events', 'truncate public.billing_alert_events']),
  ('notification_channels', array[
    'select from public.notification_channels',
    $$insert into public.notification_channels (channel, fingerprint, min_severity) values ('email', 'f', 'high')$$,
    $$update public.notification_channels set min_severity = 'high'$$,
    'delete from public.notification_channels', 'truncate public.notification_channels']),
  ('notification_deliveries', array[
    'select from public.notification_deliveries',
    $$insert into public.notification_deliveries (channel, kind, severity, status) values ('slack', 'test', 'info', 'due')$$,
    $$update public.notification_deliveries set attempts = 1$$,
    'delete from public.notification_deliveries', 'truncate public.notification_deliveries']),
  ('stripe_due', array[
    'select from public.stripe_due',
    $$insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_2', now())$$,
    'update public.stripe_due set due_at = now()',
    'delete from public.stripe_due', 'truncate public.stripe_due']),
  ('stripe_deliveries', array[
    'select from billing_ops.stripe_deliveries',
    'insert into billing_ops.stripe_deliveries (asked_at) values (now())',
    'update billing_ops.stripe_deliveries set asked_at = now()',
    'delete from billing_ops.stripe_deliveries', 'truncate billing_ops.stripe_deliveries']),
  ('rate_limit_windows', array[
    'select from public.rate_limit_windows',
    $$insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('r', 'c', now(), 1)$$,
    'update public.rate_limit_windows set hits = 0',
    'delete from public.rate_limit_windows', 'truncate public.rate_limit_windows']),
  ('subscription_marks', array[
    'select from billing_ops.subscription_marks',
    $$insert into billing_ops.subscription_marks (stripe_subscription_id, created) values ('sub_2', now())$$,
    'update billing_ops.subscription_marks set livemode = true',
    'delete from billing_ops.subscription_marks', 'truncate billing_ops.subscription_marks']),
  ('adoption', array[
    'select from billing_ops.adoption',
    $$insert into billing_ops.adoption (mapping, fingerprint, granted, generator) values ('{}', '{}', '[]', 1)$$,
    $$update billing_ops.adoption set mapping = '{}'$$,
    'delete from billing_ops.adoption', 'truncate billing_ops.adoption']),
  ('closed_drift_counts', array[
    'select from billing_ops.closed_drift_counts',
    $$insert into billing_ops.closed_drift_counts (type, action, entries) values ('t', 'repaired', 1)$$,
    'update billing_ops.closed_drift_counts set entries = entries + 1',
    'delete from billing_ops.closed_drift_counts', 'truncate billing_ops.closed_drift_counts']),
  ('digests', array[
    'select from billing_ops.digests',
    $$insert into billing_ops.digests (week) values ('2026-11-23')$$,
    'update billing_ops.digests set facts = null',
    'delete from billing_ops.digests', 'truncate billing_ops.digests cascade']),
  ('admins', array[
    'select from billing_ops.admins',
    'insert into billing_ops.admins (user_id) values (gen_random_uuid())',
    $$update billing_ops.admins set note = 'x'$$,
    'delete from billing_ops.admins', 'truncate billing_ops.admins']);

select is(attempt(c.actor, s.verbs[verb]), c.answers[verb],
          format('%s: %s %s', c.actor, (array['select', 'insert', 'update', 'delete', 'truncate'])[verb], c.relation))
from cells c join statements s using (relation), generate_series(1, 5) verb
order by c.relation, c.actor, verb;

-- An empty project's own tables: its server writes them, people do not. (What people may do with an app's own tables is the
-- app's decision.)
select is(attempt('service_role', 'select from public.subscriptions'), '1 rows', 'service_role reads subscriptions');
select is(attempt('service_role', $$insert into public.subscriptions (organization_id, status) values
  ('00000000-0000-4000-8000-00000000000b', 'active')$$), '1 rows', 'service_role inserts subscriptions');
select is(attempt('service_role', $$update public.subscriptions set status = 'canceled'$$), '1 rows',
          'service_role updates subscriptions');
select is(attempt('service_role', 'select from public.organizations'), '2 rows', 'service_role reads organizations');
select is(attempt(actor, format(verb, relation)), 'denied', format('%s: %s', actor, format(verb, relation)))
from unnest(array['anon', 'member', 'admin']) actor,
  unnest(array['subscriptions', 'organizations', 'users', 'organization_members']) relation,
  unnest(array['select from public.%I', 'insert into public.%I default values', 'delete from public.%I', 'truncate public.%I cascade']) verb
order by relation, actor;
select is(attempt(actor, $$update public.users set role = 'owner'$$), 'denied', actor || ' makes nobody an owner')
from unnest(array['anon', 'member', 'admin']) actor;

-- A token that is no person's reads no row, though its role has the grant.
select is(attempt('admin', 'select from public.' || relation, claims), '0 rows', format('%s reads no %s', what, relation))
from unnest(array['reconciliation_logs', 'drift', 'drift_events', 'drift_policies', 'billing_alerts', 'billing_alert_events',
    'notification_channels', 'notification_deliveries', 'stripe_due']) relation,
  (values ('an anonymous sign-in', tests.claims(1, '{"is_anonymous": true}')),
          ('a token of another audience', tests.claims(1, '{"aud": "other"}')),
          ('a token without a person', tests.claims(1) - 'sub')) token (what, claims)
order by relation, what;

-- Sequences: nobody moves them.
select is(attempt(actor, format('select nextval(%L)', sequence)), 'denied', format('%s: %s', actor, sequence))
from unnest(array['anon', 'member', 'admin', 'service_role']) actor,
  unnest(array['public.drift_events_id_seq', 'public.billing_alert_events_id_seq', 'public.notification_deliveries_id_seq',
    'public.stripe_due_version_seq']) sequence
order by sequence, actor;

select * from finish();
rollback;
