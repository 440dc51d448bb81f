-- What the channels were told of two of the alerts that history.sql leaves, with every fate that there is. Comes after history.sql.

insert into public.notification_deliveries (
  alert_id, channel, kind, severity, status, reason, attempts, due_since, next_attempt_at, message_id, created_at, last_attempt_at, sent_at)
select
  alert.id, told.channel, told.kind, alert.severity, told.status, told.reason, told.attempts,
  now() - told.ago, case when told.status = 'due' then now() + interval '20 minutes' else now() - told.ago end, gen_random_uuid(), now() - told.ago,
  case when told.attempts > 0 then now() - told.ago end, case when told.status = 'sent' then now() - told.ago end
from (values
  (1, 'drift_organization_unknown', 'slack', 'raised', 'sent', null, 1, interval '26 hours'),
  (2, 'drift_organization_unknown', 'email', 'raised', 'suppressed', 'below_severity', 0, interval '26 hours'),
  (3, 'drift_missing_in_stripe', 'slack', 'raised', 'sent', null, 1, interval '5 hours'),
  (4, 'drift_missing_in_stripe', 'pagerduty', 'raised', 'dead', 'gave up after 24 h: 503', 31, interval '5 hours'),
  (5, 'drift_missing_in_stripe', 'webhook', 'raised', 'suppressed', 'not_configured', 0, interval '5 hours'),
  (6, 'drift_missing_in_stripe', 'slack', 'repeated', 'suppressed', 'snoozed', 0, interval '1 hour'),
  (7, 'drift_missing_in_stripe', 'slack', 'grown', 'due', '503: service_unavailable', 3, interval '10 minutes')
) as told (n, alert_key, channel, kind, status, reason, attempts, ago)
join public.billing_alerts as alert on alert.alert_key = told.alert_key and not alert.resolved
order by told.n;
