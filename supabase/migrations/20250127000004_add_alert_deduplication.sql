-- At most one unresolved alert for a condition. Duplicates that stand already are resolved, never deleted.

alter table public.billing_alerts add column if not exists alert_key text;
alter table public.billing_alerts add column if not exists resolved_at timestamptz;
comment on column public.billing_alerts.alert_key is
  'Dedup key: names the condition and nothing else. Severity is never part of it.';

-- The three conditions of the monitor are one alert each. Any other alert without a key is a duplicate of another
-- only where type and message agree: two messages may speak of two customers.
update public.billing_alerts
set alert_key = case
  when alert_type in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing') then alert_type
  else alert_type || ':' || md5(message)
end
where alert_key is null;

update public.billing_alerts a
set resolved = true, resolved_at = now()
where a.resolved is not true
  and exists (
    select 1 from public.billing_alerts newer
    where newer.alert_key = a.alert_key
      and newer.resolved is not true
      and (coalesce(newer.created_at, '-infinity'), newer.id) > (coalesce(a.created_at, '-infinity'), a.id)
  );

create unique index if not exists billing_alerts_one_open_per_key
  on public.billing_alerts (alert_key) where resolved = false;
comment on index public.billing_alerts_one_open_per_key is
  'Dedup: a condition has at most one unresolved alert, however many callers raise it at once.';
