-- Mutants: each breaks one thing in a scratch database, and some test must go red (scripts/sql-mutations.sh).
-- "-- mutant: NAME | FILE" begins one; FILE is the test that is expected to notice. pg_temp.rewrite(function, from, to)
-- changes a function's text, and fails where that text is not there: a mutant can't go stale unnoticed.

-- mutant: a second run may be running | structure
drop index public.reconciliation_logs_one_running;
-- mutant: one run for a key for ever | structure
drop index public.reconciliation_logs_one_running_per_key;
create unique index reconciliation_logs_one_running_per_key on public.reconciliation_logs (run_key);
-- mutant: the key's index watches another status | structure
drop index public.reconciliation_logs_one_running_per_key;
create unique index reconciliation_logs_one_running_per_key on public.reconciliation_logs (run_key) where status = 'success';
-- mutant: attempts need not be distinct | structure
drop index public.reconciliation_logs_attempts;
create index reconciliation_logs_attempts on public.reconciliation_logs (run_key, attempt);
-- mutant: alerts may be open twice | alerts
drop index public.billing_alerts_one_open_per_key;
-- mutant: the alert index forgets its predicate | alerts
drop index public.billing_alerts_one_open_per_key;
create unique index billing_alerts_one_open_per_key on public.billing_alerts (alert_key);
-- mutant: a subscription may have any status | structure
alter table public.subscriptions drop constraint subscriptions_status_check;
-- mutant: an alert may have any severity | structure
alter table public.billing_alerts drop constraint billing_alerts_severity_check;
-- mutant: history outlives its entry | structure
alter table public.drift_events drop constraint drift_events_drift_id_fkey;
-- mutant: a function without a comment | structure
comment on function billing_ops.admit(text, text) is null;

-- mutant: everybody may start runs | access_functions
grant execute on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid) to public;
-- mutant: anon may ask for alerts | access_functions
grant execute on function public.admin_billing_alerts(text, text, text, text, integer, timestamptz, uuid) to anon;
-- mutant: people may apply repairs | access_functions
grant execute on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb) to authenticated;
-- mutant: people may prune | access_functions
grant execute on function billing_ops.prune(integer) to authenticated;
-- mutant: anon sees the helpers' schema | access_functions
grant usage on schema billing_ops to anon;
-- mutant: the service role may not finish runs | access_functions
revoke execute on function
  public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb) from service_role;
-- mutant: anon reads alerts | access_tables
grant select on public.billing_alerts to anon;
-- mutant: people write runs | access_tables
grant insert on public.reconciliation_logs to authenticated;
-- mutant: the service role deletes history | access_tables
grant delete on public.billing_alert_events to service_role;
-- mutant: history can be rewritten | access_tables
grant update on public.billing_alert_events to service_role;
-- mutant: drift without row level security | access_tables
alter table public.drift disable row level security;
-- mutant: everybody signed in reads alerts | access_tables
drop policy billing_alerts_admin_read on public.billing_alerts;
create policy billing_alerts_admin_read on public.billing_alerts for select to authenticated using (true);
-- mutant: admins read no runs | access_tables
drop policy reconciliation_logs_admin_read on public.reconciliation_logs;
-- mutant: a second policy beside ours | structure
create policy leftover on public.billing_alert_events for select to authenticated using (auth.uid() is not null);
-- mutant: anybody moves a sequence | access_tables
grant usage on sequence public.drift_events_id_seq to anon;
-- mutant: members are admins | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', '''owner'', ''admin''', '''owner'', ''admin'', ''member''');
-- mutant: users.role does not count | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', 'u.id = (select auth.uid()) and', 'false and');
-- mutant: somebody else's membership counts | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', 'm.user_id = (select auth.uid()) and', '');
-- mutant: anonymous sign-ins count | caller_standing
select pg_temp.rewrite('billing_ops.caller_standing', '(v_claims ->> ''is_anonymous'')::boolean', 'false');
-- mutant: any audience will do | caller_standing
select pg_temp.rewrite('billing_ops.caller_standing', 'v_claims -> ''aud'' ? ''authenticated''', 'true');
-- mutant: nobody is judged | admin_views
select pg_temp.rewrite('billing_ops.admit', 'v_standing <> ''ok''', 'v_standing = ''unauthorized''');
-- mutant: is_admin trusts the search path | structure
alter function billing_ops.is_admin() reset search_path;
-- mutant: a helper runs with its owner's rights | structure
alter function billing_ops.gather_monitor_facts() security definer;
-- mutant: an admin view runs with its owner's rights | structure
alter function public.admin_billing_alerts(text, text, text, text, integer, timestamptz, uuid) security definer;

-- mutant: any attempt may write | runs
select pg_temp.rewrite('billing_ops.hold_run', ' and attempt = p_attempt', '');
-- mutant: a dead run may write | runs
select pg_temp.rewrite('billing_ops.hold_run', ' and status = ''running''', '');
-- mutant: a heartbeat shortens the lease | runs
select pg_temp.rewrite('billing_ops.hold_run', 'greatest(lease_expires_at, clock_timestamp() + make_interval(secs => p_lease_seconds))',
  'clock_timestamp() + make_interval(secs => p_lease_seconds)');
-- mutant: a heartbeat without a cursor forgets it | runs
select pg_temp.rewrite('billing_ops.hold_run', 'coalesce(p_cursor, cursor)', 'p_cursor');
-- mutant: a lease never expires | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'v_run.lease_expires_at > v_now', 'true');
-- mutant: a partial run is run again | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'if v_run.status in (''success'', ''partial'')', 'if v_run.status in (''success'')');
-- mutant: a reclaimed run says created | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'v_outcome := ''reclaimed''', 'v_outcome := ''created''');
-- mutant: a key may change its parameters | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'return billing_ops.start_answer(''conflict'', v_run);', 'null;');
-- mutant: a success hands on its cursor | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'case when ended.status <> ''success'' then ended.cursor end', 'ended.cursor');
update public.reconciliation_logs set cursor = null;
select pg_temp.rewrite('public.finish_reconciliation_run', 'cursor = p_cursor', 'cursor = coalesce(p_cursor, cursor)');
-- mutant: starts are not taken one by one | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.start_reconciliation_run''));', '');
-- mutant: a dead run does not say that it was stale | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'error_code = ''stale_run''', 'error_code = null');
-- mutant: another finish passes for the same | runs
select pg_temp.rewrite('public.finish_reconciliation_run', 'and v_run.result is not distinct from p_result', '');
-- mutant: a finished run keeps its lease | runs
select pg_temp.rewrite('public.finish_reconciliation_run', 'lease_expires_at = null, ', '');

-- mutant: severity falls | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'billing_ops.severity_rank(p_severity) > billing_ops.severity_rank(a.severity)', 'true');
-- mutant: outcomes are not applied one caller at a time | alerts
select pg_temp.rewrite('billing_ops.apply_condition_outcomes', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.apply_condition_outcomes''));', '');
-- mutant: a repeat is not counted | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'a.occurrences + 1', 'a.occurrences');
-- mutant: an escalation is not recorded | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'v_before <> v_after', 'false');
-- mutant: episodes are not linked | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'order by a.created_at desc limit 1', 'order by a.created_at desc limit 0');
-- mutant: an episode is linked to the first | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'order by a.created_at desc limit 1', 'order by a.created_at limit 1');
-- mutant: an alert that cleared leaves no trace | alerts
select pg_temp.rewrite('billing_ops.clear_alert', 'values (v_id, ''resolved'', v_severity, p_note)', 'select v_id, ''resolved'', v_severity, p_note where false');
-- mutant: resolving twice rewrites the note | alerts
select pg_temp.rewrite('public.resolve_billing_alert', 'where id = p_alert_id and resolved = false', 'where id = p_alert_id');
-- mutant: what cannot be judged is cleared | alerts
select pg_temp.rewrite('billing_ops.apply_condition_outcomes', 'when ''clear'' then', 'when ''clear'', ''unknown'' then');
-- mutant: the monitor sees its own alerts | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', '(''reconcile_stale'', ''high_severity_stale'', ''reconcile_failing'')', '(''reconcile_stale'')');
-- mutant: a failed run passes for a good one | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'where r.status in (''success'', ''partial'')),', 'where r.status <> ''running''),');
-- mutant: a dead run passes for a live one | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', ' and r.lease_expires_at > pg_catalog.clock_timestamp()', '');

-- mutant: a repair overwrites a newer write | batch
select pg_temp.rewrite('billing_ops.update_subscriptions', ' and s.row_version = r.row_version', '');
-- mutant: no row version | batch
drop trigger subscriptions_row_version on public.subscriptions;
-- mutant: the row version may be set by hand | batch
select pg_temp.rewrite('billing_ops.bump_row_version', 'old.row_version + 1', 'greatest(new.row_version, old.row_version + 1)');
-- mutant: a repair clears what it does not name | batch
select pg_temp.rewrite('billing_ops.update_subscriptions', 'coalesce(r.tier, s.tier)', 'r.tier');
-- mutant: one refused row takes the others with it | batch
select pg_temp.rewrite('billing_ops.insert_subscriptions', 'if jsonb_array_length(p_rows) > 1 then', 'if false then');
-- mutant: a shared customer decides | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'having count(distinct s.organization_id) = 1', 'having true');
-- mutant: a batch that is sent again writes again | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'when done.action is not null then done.action', 'when false then null');
-- mutant: a batch is not fenced | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'return jsonb_build_object(''outcome'', ''fenced'');', 'null;');
-- mutant: a window includes its end | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 's.stripe_created < p_created_to', 's.stripe_created <= p_created_to');
-- mutant: what ended counts as live | reads
select pg_temp.rewrite('public.read_duplicate_live_subscriptions', '''paused'')', '''paused'', ''canceled'')');

-- mutant: a plan that Stripe does not know counts as live | reads
select pg_temp.rewrite('public.read_duplicate_live_subscriptions', ' and d.stripe_subscription_id is not null', '');
select pg_temp.rewrite('public.read_duplicate_live_subscriptions', ' and s.stripe_subscription_id is not null', '');

-- mutant: one call more than the limit | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'w.hits < billing_ops', 'w.hits <= billing_ops');
-- mutant: a window never ends | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'where w.window_started_at <= v_now - interval ''1 minute'' or', 'where');
-- mutant: all clients share a window | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'coalesce(p_client, ''unknown'')', '''unknown''');
-- mutant: duplicates of a start are free | rate_limits
select pg_temp.rewrite('public.start_reconciliation_run', 'if p_client is not null then', 'if false then');
-- mutant: who is refused is counted | rate_limits
select pg_temp.rewrite('billing_ops.admit', 'if v_standing <> ''ok'' then', 'perform billing_ops.consume_rate_limit(p_route, p_client); if v_standing <> ''ok'' then');

-- mutant: the newest run is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'o.id <> (select n.id', 'o.id is distinct from (select null::uuid');
-- mutant: open alerts are pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'o.resolved and o.created_at < now() - interval ''400 days'' and o.resolved_at < now() - interval ''400 days''',
  'o.created_at < now() - interval ''400 days''');
-- mutant: what stands is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'where o.closed_at < greatest(', 'where coalesce(o.closed_at, o.first_seen_at) < greatest(');
-- mutant: closed drift of any number | retention
select pg_temp.rewrite('billing_ops.prune', 'offset 199999', 'offset 299999');
-- mutant: pruning has no bound | retention
select pg_temp.rewrite('billing_ops.prune', 'limit p_limit', 'limit null');
-- mutant: the monitor does not prune | retention
select pg_temp.rewrite('public.apply_monitor_outcomes', 'billing_ops.prune(5000)', 'billing_ops.prune(0)');

-- mutant: a page begins with the last of the one before | admin_views
select pg_temp.rewrite('public.admin_billing_alerts', '(a.created_at, a.id) < (', '(a.created_at, a.id) <= (');
-- mutant: the cursor ignores the id | admin_views
select pg_temp.rewrite('public.admin_reconciliation_runs', '(r.started_at, r.id) < (p_before_at, p_before_id)', 'r.started_at < p_before_at');
-- mutant: resolved alerts are counted as open | admin_views
select pg_temp.rewrite('public.admin_billing_alerts', 'from public.billing_alerts where resolved = false', 'from public.billing_alerts');
-- mutant: a page of any size | admin_views
select pg_temp.rewrite('billing_ops.page_size', '200', '1000000');
-- mutant: what ended in a run passes for standing at its end | admin_views
select pg_temp.rewrite('billing_ops.drift_of_run', '(d.closed_at is null or d.closed_at > p_run.finished_at)', 'true');
-- mutant: closed drift in the list of what stands | admin_views
select pg_temp.rewrite('public.admin_drift', 'where d.closed_at is null', 'where true');
-- mutant: every run that sees an entry again counts as new | batch
select pg_temp.rewrite('billing_ops.record_drift', 'seen_count = d.seen_count + (d.last_run_id <> p_run_id)::integer', 'seen_count = d.seen_count + 1');
-- mutant: a partial sweep closes what it has not seen | batch
select pg_temp.rewrite('public.finish_reconciliation_run', 'and d.type in (select jsonb_array_elements_text(p_judged))', '');
-- mutant: what was cleared stays open | batch
select pg_temp.rewrite('billing_ops.clear_drift', 'closed_at = pg_catalog.clock_timestamp(), ', '');
