-- Passes over what was due, beside what history.sql leaves: one every five minutes for ten hours, so many that the newest page of
-- runs holds nothing else. The latest gave way to a run over more, some have found something, one has failed. And the run of three
-- hours ago looked at what had changed.

begin;
update public.reconciliation_logs set scope = 'changed', scanned_count = 14
where id = (select id from public.reconciliation_logs order by started_at desc offset 3 limit 1);

insert into public.reconciliation_logs (
  run_key, run_type, scope, status, lookback_hours, started_at, heartbeat_at, finished_at, scanned_count, updated_count, total_issues,
  message, error_code, error_message, triggered_by)
select
  'due_' || to_char(at at time zone 'utc', 'YYYY-MM-DD_HH24:MI') || case when i % 3 = 0 then ':07' else '' end, 'scheduled', 'due',
  case i when 0 then 'partial' when 2 then 'error' else 'success' end, 24, at, at, at + interval '900 milliseconds',
  case i when 0 then 0 else 1 + i % 3 end, (i % 40 = 5)::integer, (i % 40 = 5)::integer,
  case i when 0 then 'gave way to a run over more; what it had not come to is still due' else '0 issues found' end,
  case i when 2 then 'stripe_unavailable' end, case i when 2 then 'Stripe did not answer within the deadline.' end,
  case i % 3 when 0 then 'event' else 'cron' end
from generate_series(0, 119) as i, lateral (select now() - interval '40 seconds' - make_interval(mins => i * 5) as at) as times;
commit;
