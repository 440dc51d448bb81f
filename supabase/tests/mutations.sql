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
-- mutant: an alert may have any severity | structure
alter table public.billing_alerts drop constraint billing_alerts_severity_check;
-- mutant: history outlives its entry | structure
alter table public.drift_events drop constraint drift_events_drift_id_fkey;
-- mutant: a function without a comment | structure
comment on function billing_ops.admit(text, text) is null;

-- mutant: everybody may start runs | access_functions
grant execute on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid, text, integer) to public;
-- mutant: anon may ask for alerts | access_functions
grant execute on function public.admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid) to anon;
-- mutant: people may apply repairs | access_functions
grant execute on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb) to authenticated;
-- mutant: people may prune | access_functions
grant execute on function billing_ops.prune(integer) to authenticated;
-- mutant: anon sees the helpers' schema | access_functions
grant usage on schema billing_ops to anon;
-- mutant: the service role may not finish runs | access_functions
revoke execute on function
  public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb, text, jsonb, timestamptz, boolean) from service_role;
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
select pg_temp.rewrite('billing_ops.seed_admins', '"in": ["owner", "admin"]', '"in": ["owner", "admin", "member"]');
-- mutant: users.role does not count | caller_standing
select pg_temp.rewrite('billing_ops.seed_admins', '''[{"table": "public.users", "user": "id", "role": "role", "in": ["owner", "admin"]}]''', '''[]''');
-- mutant: users.role of any app counts | caller_standing
select pg_temp.rewrite('billing_ops.seed_admins', E'else ''[]'' end\n    end', E'else ''[]'' end\n    else ''[{"table": "public.users", "user": "id", "role": "role", "in": ["owner", "admin"]}]''::jsonb end');
-- mutant: somebody else's membership counts | caller_standing
select pg_temp.rewrite('billing_ops.admins_body', 'a.%I = p_user%s%s', 'a.%I is not null%s%s');
select pg_temp.rewrite('billing_ops.admins_body', '''::text''', ''''' ');
-- mutant: whatever the role | caller_standing
select pg_temp.rewrite('billing_ops.admins_body', 'when s ? ''role''', 'when false');
-- mutant: only one who is in all places is an admin | caller_standing
select pg_temp.rewrite('billing_ops.admins_body', ' or ', ' and ');
-- mutant: the list of admins does not count | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', 'a.user_id = auth.uid()', 'false');
-- mutant: somebody on the list is enough | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', 'a.user_id = auth.uid()', 'true');
-- mutant: only the list counts | caller_standing
select pg_temp.rewrite('billing_ops.is_admin', ' or billing_ops.adapter_is_admin(auth.uid())', '');
-- mutant: nobody is an admin before something is adopted | caller_standing
select pg_temp.rewrite('billing_ops.adapter_clear', 'billing_ops.seed_admins()', '''[]''::jsonb');
-- mutant: a mapping without admins has those of an empty project | caller_standing
select pg_temp.rewrite('billing_ops.adapter_generate', 'billing_ops.admins_body(p_mapping)', 'billing_ops.admins_body(jsonb_build_object(''admins'', coalesce(p_mapping -> ''admins'', billing_ops.seed_admins())))');
-- mutant: the service key makes admins | access_tables
grant insert on billing_ops.admins to service_role;
-- mutant: people see what is remembered | access_tables
grant select on billing_ops.subscription_marks to authenticated;
-- mutant: what is remembered can be forgotten | access_tables
grant delete on billing_ops.subscription_marks to service_role;
-- mutant: the service key asks who is an admin | access_functions
select pg_temp.rewrite('billing_ops.adapter_define', 'if v_function.for_service then', 'if true then');
-- mutant: people see what could be adopted | access_functions
grant execute on function billing_ops.adoption_report() to authenticated;
-- mutant: marks without row level security | structure
alter table billing_ops.subscription_marks disable row level security;
-- mutant: two tables may be adopted | structure
alter table billing_ops.adoption drop constraint adoption_pkey, drop constraint adoption_one_check;
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
alter function public.admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid) security definer;

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
select pg_temp.rewrite('billing_ops.raise_alert', 'severity = case when v_rises then p_severity else a.severity end', 'severity = p_severity');
-- mutant: outcomes are not applied one caller at a time | alerts
select pg_temp.rewrite('billing_ops.apply_condition_outcomes', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.apply_condition_outcomes''));', '');
-- mutant: a repeat is not counted | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'a.occurrences + 1', 'a.occurrences');
-- mutant: an escalation is not recorded | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'if v_rises or v_grows then', 'if v_grows then');
-- mutant: episodes are not linked | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'order by a.created_at desc limit 1', 'order by a.created_at desc limit 0');
-- mutant: an episode is linked to the first | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'order by a.created_at desc limit 1', 'order by a.created_at limit 1');
-- mutant: an alert that cleared leaves no trace | alerts
select pg_temp.rewrite('billing_ops.clear_alert', 'perform billing_ops.record_alert_event(v_alert, ''resolved'', null, p_note);', '');
-- mutant: resolving twice rewrites the note | alerts
select pg_temp.rewrite('public.resolve_billing_alert', 'where id = p_alert_id and resolved = false', 'where id = p_alert_id');
-- mutant: what cannot be judged is cleared | alerts
select pg_temp.rewrite('billing_ops.apply_condition_outcomes', 'when ''clear'' then', 'when ''clear'', ''unknown'' then');
-- mutant: an alert that has just become severe has waited since it began | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'coalesce(a.severe_since, least(a.created_at, a.first_seen_at))', 'least(a.created_at, a.first_seen_at)');
-- mutant: each look makes an alert severe anew | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'coalesce(a.severe_since, a.first_seen_at)', 'clock_timestamp()');
-- mutant: what rises is not severe | alerts
select pg_temp.rewrite('billing_ops.raise_alert', 'when billing_ops.severity_rank(p_severity) >= 3 then', 'when false then');
-- mutant: the monitor sees its own alerts | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', '''high_severity_stale'', ''reconcile_failing'', ''sweep_incomplete'',', '');
-- mutant: a failed run passes for a good one | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'r.scope <> ''due'' and r.status in (''success'', ''partial'')),', 'r.scope <> ''due'' and r.status <> ''running''),');
-- mutant: a part of a sweep passes for the whole | monitor
select pg_temp.rewrite('billing_ops.is_complete_sweep', 'p_run.cursor is null', 'true');
select pg_temp.rewrite('billing_ops.gather_monitor_facts', ' and r.cursor is null', '');
-- mutant: a failed run passes for a whole sweep | monitor
select pg_temp.rewrite('billing_ops.is_complete_sweep', 'p_run.status = ''success''', 'p_run.status in (''success'', ''error'')');
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'r.status in (''success'', ''partial'') and billing_ops', 'billing_ops');
-- mutant: a run that read nothing passes for a whole sweep | monitor
select pg_temp.rewrite('billing_ops.is_complete_sweep', ' and p_run.scanned_count > 0', '');
-- mutant: what ends with its period counts as paid twice | reads
select pg_temp.rewrite('billing_ops.adapter_generate', ' and %s is not true', ' and %s is not null');
-- mutant: a dead run passes for a live one | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', ' and r.lease_expires_at > pg_catalog.clock_timestamp()', '');

-- mutant: a repair overwrites a newer write | batch
select pg_temp.rewrite('billing_ops.adapter_generate', ' and s.xmin = r.version::xid', '');
-- mutant: a repair clears what it does not name | batch
select pg_temp.rewrite('billing_ops.adapter_generate', ') a (field, assignment) where a.field = any (p_fields))', ') a (field, assignment))');
-- mutant: one refused row takes the others with it | batch
select pg_temp.rewrite('billing_ops.adapter_write', 'if jsonb_array_length(p_rows) > 1 then', 'if false then');
-- mutant: a shared customer decides | batch
select pg_temp.rewrite('billing_ops.adapter_generate', 'case when count(distinct k.owner) = 1 then pg_catalog.min(k.owner) end', 'pg_catalog.min(k.owner)');
-- mutant: a customer's rows are counted, not its owners | batch
select pg_temp.rewrite('billing_ops.adapter_generate', 'count(distinct k.owner)', 'count(*)');
-- mutant: nobody is looked for by the customer | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(metadata.owner, holder.owner, checkout.owner) as owner', 'coalesce(metadata.owner, checkout.owner) as owner');
-- mutant: the metadata name nobody | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(metadata.owner, holder.owner, checkout.owner) as owner', 'coalesce(holder.owner, checkout.owner) as owner');
-- mutant: the checkout's metadata name nobody | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(metadata.owner, holder.owner, checkout.owner) as owner', 'coalesce(metadata.owner, holder.owner) as owner');
-- mutant: the payer's word goes before what is known | batch
select pg_temp.rewrite('billing_ops.write_items', 'then coalesce(trusted.owner, payer.owner) else', 'then coalesce(payer.owner, trusted.owner) else');
-- mutant: the payer's word is enough | batch
select pg_temp.rewrite('billing_ops.write_items', 'when payer.owner is not null then ''waiting''', 'when payer.owner is not null then null');
-- mutant: the payer's word is nothing | batch
select pg_temp.rewrite('billing_ops.write_items', 'when payer.owner is not null then ''waiting''', 'when false then ''waiting''');
-- mutant: the payer is waited for though the owner is known | batch
select pg_temp.rewrite('billing_ops.write_items', '      when trusted.owner is not null then null
      when payer', '      when payer');
-- mutant: whoever waits has no owner on record | batch
select pg_temp.rewrite('billing_ops.write_items', 'then coalesce(trusted.owner, payer.owner) else', 'then trusted.owner else');
-- mutant: nobody says what is waited for | batch
select pg_temp.rewrite('billing_ops.write_items', 'judged.outcome = ''waiting''
', 'false
');
-- mutant: what is unknown waits in its own words | batch
select pg_temp.rewrite('billing_ops.write_items', 'and judged.outcome = ''waiting''
', 'and trusted.owner is null and payer.owner is not null
');
-- mutant: nothing contradicts | batch
select pg_temp.rewrite('billing_ops.write_items', '> 1 then ''organization_mismatch''', '> 9 then ''organization_mismatch''');
-- mutant: two against one is a vote | batch
select pg_temp.rewrite('billing_ops.write_items', '> 1 then ''organization_mismatch''', '> 1 and metadata.owner is distinct from holder.owner then ''organization_mismatch''');
-- mutant: the metadata contradict nobody | batch
select pg_temp.rewrite('billing_ops.write_items', 'unnest(array[metadata.owner, holder.owner, checkout.owner])', 'unnest(array[holder.owner, checkout.owner])');
-- mutant: who has the customer contradicts nobody | batch
select pg_temp.rewrite('billing_ops.write_items', 'unnest(array[metadata.owner, holder.owner, checkout.owner])', 'unnest(array[metadata.owner, checkout.owner])');
-- mutant: the checkout's metadata contradict nobody | batch
select pg_temp.rewrite('billing_ops.write_items', 'unnest(array[metadata.owner, holder.owner, checkout.owner])', 'unnest(array[metadata.owner, holder.owner])');
-- mutant: the payer contradicts | batch
select pg_temp.rewrite('billing_ops.write_items', 'unnest(array[metadata.owner, holder.owner, checkout.owner])', 'unnest(array[metadata.owner, holder.owner, checkout.owner, payer.owner])');
-- mutant: one who is gone contradicts | batch
select pg_temp.rewrite('billing_ops.write_items', 'unnest(array[metadata.owner, holder.owner, checkout.owner])', 'unnest(array[metadata.owner, holder.owner, e.named ->> ''checkout''])');
-- mutant: two rows of one owner contradict each other | batch
select pg_temp.rewrite('billing_ops.write_items', 'count(distinct o) from', 'count(o) from');
-- mutant: what contradicts goes before an owner who is gone | batch
select pg_temp.rewrite('billing_ops.write_items', 'metadata.owner is null then ''organization_unknown''', 'metadata.owner is null and holder.owner is null and checkout.owner is null then ''organization_unknown''');
-- mutant: another comes in on an owner who is gone | batch
select pg_temp.rewrite('billing_ops.write_items', 'when e.named ->> ''metadata'' is not null and', 'when false and');
-- mutant: only one who has the customer comes in on an owner who is gone | batch
select pg_temp.rewrite('billing_ops.write_items', 'metadata.owner is null then ''organization_unknown''', 'metadata.owner is null and holder.owner is null then ''organization_unknown''');
-- mutant: only one whose checkout it was comes in on an owner who is gone | batch
select pg_temp.rewrite('billing_ops.write_items', 'metadata.owner is null then ''organization_unknown''', 'metadata.owner is null and checkout.owner is null then ''organization_unknown''');
-- mutant: the payer comes in on an owner who is gone | batch
select pg_temp.rewrite('billing_ops.write_items', 'metadata.owner is null then ''organization_unknown''', 'metadata.owner is null and payer.owner is null then ''organization_unknown''');
-- mutant: who has the customer need not exist | batch
select pg_temp.rewrite('billing_ops.write_items', '(holders h join existing holder on holder.owner = h.owner)', '(holders h join holders holder on holder.owner = h.owner)');
-- mutant: without a table of owners nobody has a customer | batch
select pg_temp.rewrite('billing_ops.write_items', 'lateral unnest(a.owners) o where not', 'lateral unnest(v_named) o where not');
select pg_temp.rewrite('billing_ops.write_items', 'lateral billing_ops.adapter_owners(a.owners) o', 'lateral billing_ops.adapter_owners(v_named) o');
-- mutant: whoever is named gets the row | batch
select pg_temp.rewrite('billing_ops.write_items', 'where not v_owners_known', 'where true');
-- mutant: without a table of owners only those count who have a row | batch
select pg_temp.rewrite('billing_ops.write_items', 'where not v_owners_known', 'where false');
-- mutant: a row without an owner is tried all the same | batch
select pg_temp.rewrite('billing_ops.write_items', 'else ''organization_unknown'' end as outcome', 'end as outcome');
-- mutant: a new row's owner is not on record | batch
select pg_temp.rewrite('billing_ops.recorded', 'coalesce(p_owner, p_finding ->> ''owner'')', 'p_finding ->> ''owner''');
-- mutant: what was cleared cannot be found again | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', ' and d.action <> ''cleared''', '');
-- mutant: a batch that is sent again writes again | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'coalesce(unknown.type, done.action)', 'null::text');
-- mutant: an unknown owner that is sent again is another difference | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'unknown.drift_key in (''organization_unknown:'' ||', 'unknown.drift_key in (''nothing:'' ||');
-- mutant: a contradiction that is sent again is another difference | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', '''organization_mismatch:'' || (e."row"', '''nothing:'' || (e."row"');
-- mutant: what waits and is sent again has another owner | batch
select pg_temp.rewrite('billing_ops.write_items', 'else v_owners[e.place] end order by', 'else coalesce(trusted.owner, payer.owner) end order by');
-- mutant: what waits and is sent again is decided again | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'd.closed_at is null and d.last_run_id = p_run_id
    limit 1', 'd.closed_at is null and d.last_run_id = p_run_id and d.action <> ''waiting''
    limit 1');
-- mutant: one difference's reason is every difference's | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'case when done.action in (''refused'', ''waiting'') then done.reason end', 'done.reason');
-- mutant: what waits and is sent again does not say why | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'done.action in (''refused'', ''waiting'')', 'done.action in (''refused'')');
-- mutant: a batch that is sent twice is not kept apart | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'perform pg_advisory_xact_lock(hashtextextended(p_run_id::text, jsonb_hash_extended(p_items, 0)));', '');
-- mutant: all batches of a run wait for one another | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'jsonb_hash_extended(p_items, 0)', '0');
-- mutant: a batch is not fenced | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'where id = p_run_id and attempt = p_attempt and status = ''running''', 'where id = p_run_id');
select pg_temp.rewrite('public.apply_reconciliation_batch', 'raise exception ''the attempt was given up for dead'' using errcode = ''BOFEN'';', 'null;');
-- mutant: a batch is fenced before it writes only | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'raise exception ''the attempt was given up for dead'' using errcode = ''BOFEN'';', 'null;');
-- mutant: a batch that is fenced keeps what it wrote | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'raise exception ''the attempt was given up for dead'' using errcode = ''BOFEN'';', 'return jsonb_build_object(''outcome'', ''fenced'');');
-- mutant: a refusal of a repair does not say why | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(v_reasons[e.place], changed.reason)', 'v_reasons[e.place]');
-- mutant: a refusal of a new row does not say why | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(v_reasons[e.place], created.reason,', 'coalesce(v_reasons[e.place],');
-- mutant: a row that has ended is found out after the one that takes its place | batch
select pg_temp.rewrite('billing_ops.write_items', 'where e.item ->> ''kind'' = ''update'' and v_outcomes[e.place] is null', 'where false');
-- mutant: a row in the way is overwritten | batch
select pg_temp.rewrite('billing_ops.write_items', 'not (t.id is null or coalesce(g.item -> ''gives_way'' ? t.status, false))', 'false');
-- mutant: a word of the app's own gives way | batch
select pg_temp.rewrite('billing_ops.write_items', 'coalesce(g.item -> ''gives_way'' ? t.status, false)', '(g.item -> ''gives_way'' ? t.status or t.status = ''lifetime'')');
-- mutant: an empty row is in the way | batch
select pg_temp.rewrite('billing_ops.write_items', 'not (t.id is null or coalesce(', 'not (coalesce(');
-- mutant: of two for one owner both get the row | batch
select pg_temp.rewrite('billing_ops.write_items', 'when g.rank > 1 or not (t.id', 'when not (t.id');
-- mutant: of two for one owner the first is followed | batch
select pg_temp.rewrite('billing_ops.write_items', 'order by jsonb_array_length(e.item -> ''gives_way'') desc, e.place', 'order by e.place');
-- mutant: what is in the way is not named | batch
select pg_temp.rewrite('billing_ops.write_items', 'case when each.outcome = ''occupied'' then each.id else v_reasons[o.place] end', 'v_reasons[o.place]');
-- mutant: what is in the way is told at once | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'not in (''postponed'', ''occupied'');
  v_entries', 'not in (''postponed'');
  v_entries');
-- mutant: what is put off is told at once | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'not in (''postponed'', ''occupied'');
  v_entries', 'not in (''occupied'');
  v_entries');
-- mutant: what is put off is made | batch
select pg_temp.rewrite('billing_ops.write_items', 'and not e.item ? ''postponed'' and v_outcomes', 'and v_outcomes');
-- mutant: what is put off is moved | batch
select pg_temp.rewrite('billing_ops.write_items', 'bool_or(j.item ? ''postponed'' or j.item ? ''action'') as waits', 'bool_or(j.item ? ''action'') as waits');
-- mutant: a moved row keeps what the old subscription was | batch
select pg_temp.rewrite('billing_ops.write_items', 'v_blank || jsonb_build_object(''key''', 'jsonb_build_object(''key''');
-- mutant: a row that is moved afresh keeps what the old subscription was | batch
select pg_temp.rewrite('billing_ops.write_items', 'then v_blank else ''{}'' end', 'then ''{}''::jsonb else ''{}'' end');
-- mutant: a move by compare-and-set is told as a repair | batch
select pg_temp.rewrite('billing_ops.write_items', 'case when e.moves and changed.outcome = ''repaired'' then ''moved'' else changed.outcome end', 'changed.outcome');
-- mutant: a row that may not be inserted is refused | batch
select pg_temp.rewrite('billing_ops.write_items', 'and v_mapping ->> ''writes'' = ''update_and_insert''', 'and true');
-- mutant: why a row was refused is not on record | batch
select pg_temp.rewrite('billing_ops.recorded', 'pg_catalog.jsonb_build_object(''reason'', p_reason)', '''{}''::jsonb');
-- mutant: a new row that is refused is no worse than a difference | batch
select pg_temp.rewrite('billing_ops.recorded', '{"severity": "critical"}', '{}');
-- mutant: a repair that is refused is as bad as a missing row | batch
select pg_temp.rewrite('billing_ops.recorded', ' and p_creates then ''{"severity"', ' then ''{"severity"');
-- mutant: a new row that waits is as bad as one that is refused | batch
select pg_temp.rewrite('billing_ops.recorded', 'p_outcome = ''refused'' and p_creates', 'p_creates');
-- mutant: what is repaired wakes somebody | batch
select pg_temp.rewrite('billing_ops.recorded', 'billing_ops.ends_drift(p_outcome) then', 'billing_ops.ends_drift(p_outcome) and p_outcome <> ''repaired'' then');
-- mutant: what is created wakes somebody | batch
select pg_temp.rewrite('billing_ops.recorded', 'billing_ops.ends_drift(p_outcome) then', 'billing_ops.ends_drift(p_outcome) and p_outcome <> ''created'' then');
-- mutant: what is moved wakes somebody | batch
select pg_temp.rewrite('billing_ops.recorded', 'billing_ops.ends_drift(p_outcome) then', 'billing_ops.ends_drift(p_outcome) and p_outcome <> ''moved'' then');
-- mutant: a contradiction keeps nobody awake | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'when ''organization_unknown'' then ''warning'' else ''critical'' end', 'when ''organization_unknown'' then ''warning'' else ''warning'' end');
-- mutant: an owner who is gone is as bad as a contradiction | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'when ''organization_unknown'' then ''warning'' else ''critical'' end', 'when '''' then ''warning'' else ''critical'' end');
-- mutant: what Stripe said of a checkout is forgotten | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'looked_up_at = clock_timestamp()', 'looked_up_at = null');
-- mutant: whose the checkout was is forgotten | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'set owner = l.said ->> 1, owner_source = l.said ->> 2,', 'set');
-- mutant: one checkout is every subscription's | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'where m.stripe_subscription_id = l.said ->> 0', 'where true');
-- mutant: what was cleared stays | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'select jsonb_array_elements_text(p_cleared)', 'select jsonb_array_elements_text(''[]'')');
-- mutant: an owner who turns up leaves the old difference open | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'array[''missing_in_database'', ''organization_unknown'', ''organization_mismatch'']', 'array[''missing_in_database'', ''organization_mismatch'']');
-- mutant: a contradiction that is gone stays | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'array[''missing_in_database'', ''organization_unknown'', ''organization_mismatch'']', 'array[''missing_in_database'', ''organization_unknown'']');
-- mutant: an owner who turns out to be unknown leaves the old difference open | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', 'array[''missing_in_database'', ''organization_unknown'', ''organization_mismatch'']', 'array[''organization_unknown'', ''organization_mismatch'']');
-- mutant: what is found is cleared at once | batch
select pg_temp.rewrite('public.apply_reconciliation_batch', '      and c.class <> case', '      and '''' <> case');
-- mutant: a batch that only records needs a table | batch
select pg_temp.rewrite('billing_ops.write_items', 'adapter_insert(given.rows) i where given.rows is not null', 'adapter_insert(given.rows) i');
-- mutant: a batch that only records needs a table to update | batch
select pg_temp.rewrite('billing_ops.write_items', 'adapter_update(given.rows) u where given.rows is not null', 'adapter_update(given.rows) u');
-- mutant: a run is not told the horizon | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', '''horizon''', '''h''');
-- mutant: any status grants access | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'array(select jsonb_array_elements_text(p_access))', 'array[''active'', ''past_due'', ''trialing'']');
-- mutant: every row grants access | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'select count(*) from %s s where %s = any (%s) and %s <> ''''', 'select count(*) from %s s where (%s = any (%s) or true) and %s <> ''''');
-- mutant: a plan that Stripe does not know grants access | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'select count(*) from %s s where %s = any (%s) and %s <> ''''', 'select count(*) from %s s where %s = any (%s) and %s is distinct from ''-''');
-- mutant: a table that has changed is looked into | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'and (v_state ->> ''readable'')::boolean then', 'and (v_state ->> ''adopted'')::boolean then');
-- mutant: strangers tell the mode | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'from seen s join billing_ops.adapter_present(array(select id from seen)) p on p = s.id', 'from seen s');
-- mutant: the least decide the mode | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'when 1 then true when -1 then false', 'when 1 then false when -1 then true');
-- mutant: one live row makes all live | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', '- count(*) filter (where not s.livemode)', '- 0');
-- mutant: a draw is live | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'when 1 then true when -1 then false', 'when 1 then true when 0 then true when -1 then false');
-- mutant: rows are of the mode of the oldest marks | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'order by m.created desc limit 1000', 'order by m.created limit 1000');
-- mutant: all marks are asked for the mode | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', ' limit 1000', '');
-- mutant: few marks are asked for the mode | reads
select pg_temp.rewrite('public.read_adapter_for_reconcile', ' limit 1000', ' limit 999');
-- mutant: every owner exists | reads
select pg_temp.rewrite('public.read_owners_for_reconcile', 'from billing_ops.adapter_owners(array(select pg_catalog.jsonb_array_elements_text(p_owners))) o', 'from pg_catalog.jsonb_array_elements_text(p_owners) o');
-- mutant: strangers are not remembered | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'where not exists (select 1 from unnest(v_marked)', 'where l.said ->> 0 <> ''sub_9'' and not exists (select 1 from unnest(v_marked)');
-- mutant: one that is listed twice is an error | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'on conflict do nothing', '');
-- mutant: what is remembered is overwritten | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'where not exists (select 1 from unnest(v_marked) k where k = l.said ->> 0)', '');
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'on conflict do nothing', 'on conflict (stripe_subscription_id) do update set created = excluded.created, livemode = excluded.livemode');
-- mutant: any number is a time | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'least(greatest((l.said ->> 1)::bigint, 0), 253402300799)', '(l.said ->> 1)::bigint');
-- mutant: the mode is not remembered | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', '253402300799)), p_livemode', '253402300799)), null');
-- mutant: the other mode is not told | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'm.livemode <> p_livemode', 'false');
-- mutant: a mode that is not known is another | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'm.livemode <> p_livemode', 'm.livemode is distinct from p_livemode');
-- mutant: a checkout that named nobody is looked up again and again | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'm.looked_up_at is not null', 'm.owner is not null');
-- mutant: what is named is not read | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'v_listed || array(select jsonb_array_elements_text(p_named))', 'v_listed');
-- mutant: what ended stands | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'd.closed_at is null and d.stripe', 'd.stripe');
-- mutant: a window includes its end | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'm.created < p_to', 'm.created <= p_to');
-- mutant: a window does not include its start | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'm.created >= p_from', 'm.created > p_from');
-- mutant: a mark passes for a row | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'and exists (select 1 from %2$s s where %1$s = m.stripe_subscription_id%3$s)', '');
-- mutant: what is listed is not listed | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'and not exists (select 1 from pg_catalog.unnest(p_listed) l where l = m.stripe_subscription_id)', '');
-- mutant: what is named is missed | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'p_created_to, v_all)', 'p_created_to, v_listed)');
-- mutant: the count is of the page | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'cardinality(v_unlisted));', 'cardinality(v_unlisted[1:p_unlisted_limit]));');
-- mutant: any number of them | reads
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'v_unlisted[1:p_unlisted_limit]', 'v_unlisted');
-- mutant: each page says what is odd | reads
select pg_temp.rewrite('public.read_unplaced_subscriptions', ' where p_after is null', '');
-- mutant: what a scan has seen has no place | reads
select pg_temp.rewrite('billing_ops.adapter_generate', ' and not exists (select 1 from billing_ops.subscription_marks m where m.stripe_subscription_id = w.id)', '');
-- mutant: a piece of rows without a place ends them | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'then v_last else v_end end', 'then v_last end');
-- mutant: what a full page leaves of a piece is not looked at | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'case when v_found = p_limit then v_last else v_end end', 'v_end');
-- mutant: a piece begins with the last row of the one before | reads
select pg_temp.rewrite('billing_ops.adapter_generate', '%2$s > v_from order by', '%2$s >= v_from order by');
-- mutant: an owner is looked at in each piece | reads
select pg_temp.rewrite('billing_ops.adapter_generate', '(p_pieces = 1 or ', '(true or ');
-- mutant: an empty Stripe id is not odd | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'where %4$s = '''' and (p_after', 'where false and %4$s = '''' and (p_after');
-- mutant: pages begin anew | reads
select pg_temp.rewrite('public.read_duplicate_live_subscriptions', 'adapter_duplicates(p_after,', 'adapter_duplicates(null,');
-- mutant: what ended counts as live | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'where %4$s = any (%5$s) and %2$s <> '''' and', 'where %2$s <> '''' and');
-- mutant: a plan that Stripe does not know counts as live | reads
select pg_temp.rewrite('billing_ops.adapter_generate', 'where %4$s = any (%5$s) and %2$s <> '''' and', 'where %4$s = any (%5$s) and');

-- mutant: one call more than the limit | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'w.hits < billing_ops', 'w.hits <= billing_ops');
-- mutant: a window never ends | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'where w.window_started_at <= v_now - interval ''1 minute'' or', 'where');
-- mutant: all clients share a window | rate_limits
select pg_temp.rewrite('billing_ops.consume_rate_limit', 'coalesce(p_client, ''unknown'')', '''unknown''');
-- mutant: duplicates of a start are free | rate_limits
select pg_temp.rewrite('public.start_reconciliation_run', 'if p_client is not null then', 'if false then');
-- mutant: Reconcile Now goes on with an old sweep | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'v_sweep_started_at > v_now - interval ''10 minutes''', 'v_sweep_started_at > v_now - interval ''10 hours''');
-- mutant: Reconcile Now never goes on | runs
select pg_temp.rewrite('public.start_reconciliation_run', '(v_sweep_started_at > v_now - interval ''10 minutes'') is not true', 'true');
-- mutant: every run begins a new sweep | runs
select pg_temp.rewrite('public.start_reconciliation_run', 'if p_run_type = ''manual'' and', 'if');
-- mutant: a start that is sent again meets the limit | rate_limits
select pg_temp.rewrite('public.start_reconciliation_run', 'where id = p_run_id and run_key = p_run_key', 'where false');
-- mutant: who is refused is counted | rate_limits
select pg_temp.rewrite('billing_ops.admit', 'if v_standing <> ''ok'' then', 'perform billing_ops.consume_rate_limit(p_route, p_client); if v_standing <> ''ok'' then');

-- mutant: the newest run is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'o.id <> (select n.id', 'o.id is distinct from (select null::uuid');
-- mutant: open alerts are pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'o.resolved and o.created_at < now() - interval ''400 days'' and o.resolved_at < now() - interval ''400 days''',
  'o.created_at < now() - interval ''400 days''');
-- mutant: what stands is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'where o.closed_at < greatest(', 'where coalesce(o.closed_at, o.first_seen_at) < greatest(');
-- mutant: closed drift of any number | retention_limit
select pg_temp.rewrite('billing_ops.prune', 'offset 199999', 'offset 299999');
-- mutant: pruning has no bound | retention
select pg_temp.rewrite('billing_ops.prune', 'limit v_piece', 'limit null');
-- mutant: pruning stops after its first piece | retention
select pg_temp.rewrite('billing_ops.prune', 'exit when v_seen = 0', 'exit when true');
-- mutant: pruning goes on for as long as it takes | retention
select pg_temp.rewrite('billing_ops.prune', ' or clock_timestamp() > v_until', '');
-- mutant: an error in pruning undoes the alerts | retention
select pg_temp.rewrite('public.apply_monitor_outcomes', 'when query_canceled or others then', 'when query_canceled then');
-- mutant: a timeout in pruning undoes the alerts | retention
select pg_temp.rewrite('public.apply_monitor_outcomes', 'when query_canceled or others then', 'when others then');
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
-- mutant: whoever is signed in may export | export
select pg_temp.rewrite('public.admin_export', 'if v_refusal is not null then', 'if false then');
-- mutant: an export is counted as something else | export
select pg_temp.rewrite('public.admin_export', 'billing_ops.admit(''export'', p_client)', 'billing_ops.admit(''drift'', p_client)');
-- mutant: a page of exported drift begins with the last of the one before | export
select pg_temp.rewrite('public.admin_export', '(d.first_seen_at, d.id) > (v_at, v_uuid)', '(d.first_seen_at, d.id) >= (v_at, v_uuid)');
-- mutant: a page of exported history begins with the last of the one before | export
select pg_temp.rewrite('public.admin_export', '(e.created_at, e.id) > (v_at, v_number)', '(e.created_at, e.id) >= (v_at, v_number)');
-- mutant: a page of exported runs begins with the last of the one before | export
select pg_temp.rewrite('public.admin_export', '(r.started_at, r.id) > (v_at, v_uuid)', '(r.started_at, r.id) >= (v_at, v_uuid)');
-- mutant: a page of exported drift leaves out what shares a time | export
select pg_temp.rewrite('public.admin_export', '(d.first_seen_at, d.id) > (v_at, v_uuid)', '(p_cursor is null or d.first_seen_at > v_at)');
-- mutant: a page of exported history leaves out what shares a time | export
select pg_temp.rewrite('public.admin_export', '(e.created_at, e.id) > (v_at, v_number)', '(p_cursor is null or e.created_at > v_at)');
-- mutant: a page of exported runs leaves out what shares a time | export
select pg_temp.rewrite('public.admin_export', '(r.started_at, r.id) > (v_at, v_uuid)', '(p_cursor is null or r.started_at > v_at)');
-- mutant: an export has what came with the end of its span | export
select pg_temp.rewrite('public.admin_export', ' < v_to', ' <= v_to');
-- mutant: an export lacks what came with the beginning of its span | export
select pg_temp.rewrite('public.admin_export', ' >= v_from', ' > v_from');
-- mutant: an export goes on before its span | export
select pg_temp.rewrite('public.admin_export', 'd.first_seen_at >= v_from and d.first_seen_at < v_to and (', 'd.first_seen_at < v_to and (');
-- mutant: an exported page of any size | export
select pg_temp.rewrite('public.admin_export', 'least(coalesce(p_limit, 1000), 1000)', 'coalesce(p_limit, 1000)');
-- mutant: every page of an export counts the whole span | export
select pg_temp.rewrite('public.admin_export', 'if p_cursor is null then', 'if true then');
-- mutant: an export says nothing of history's owner | export
select pg_temp.rewrite('billing_ops.drift_event_json', '''owner'', p_drift.owner', '''owner'', null');
-- mutant: anon may export | access_functions
grant execute on function public.admin_export(text, timestamptz, timestamptz, jsonb, integer, text) to anon;
-- mutant: every run that sees an entry again counts as new | batch
select pg_temp.rewrite('billing_ops.record_drift', 'seen_count = d.seen_count + coalesce((d.last_run_id <> p_run_id)::integer, 0)', 'seen_count = d.seen_count + 1');
-- mutant: a partial sweep closes what it has not seen | batch
select pg_temp.rewrite('public.finish_reconciliation_run', 'and d.type in (select jsonb_array_elements_text(p_judged))', '');
-- mutant: what was cleared stays open | batch
select pg_temp.rewrite('billing_ops.clear_drift', 'closed_at = pg_catalog.clock_timestamp(), ', '');

-- mutant: people approve by themselves | access_functions
grant execute on function public.apply_drift_decisions(uuid, jsonb, jsonb, jsonb) to authenticated;
-- mutant: people take back by themselves | access_functions
grant execute on function public.revert_drift(uuid, uuid, text, text) to authenticated;
-- mutant: people set modes by themselves | access_tables
grant update on public.drift_policies to authenticated;
-- mutant: policies without row level security | access_tables
alter table public.drift_policies disable row level security;
-- mutant: who approves is shown what their own rights show | decisions
alter function billing_ops.rows_for_approval(jsonb) security invoker;
-- mutant: whoever asks is shown the rows | decisions
select pg_temp.rewrite('public.admin_drift_for_approval', 'if v_refusal is not null then', 'if false then');
-- mutant: whoever asks by another way is shown the rows | decisions
select pg_temp.rewrite('billing_ops.rows_for_approval', 'if billing_ops.caller_standing() <> ''ok'' then', 'if false then');
-- mutant: who approves is not counted | rate_limits
select pg_temp.rewrite('public.admin_drift_for_approval', 'billing_ops.admit(''approve'', p_client)', 'billing_ops.admit(''policies'', p_client)');
-- mutant: the rows of what is closed are shown | decisions
select pg_temp.rewrite('public.admin_drift_for_approval', 'd.stripe_subscription_id is not null and d.closed_at is null', 'd.stripe_subscription_id is not null');
-- mutant: the row goes to another than who was shown | decisions
select pg_temp.rewrite('billing_ops.write_items', 'when e.owner <> trusted.owner then ''organization_mismatch''', 'when false then ''organization_mismatch''');
-- mutant: what is closed is approved again | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'case when d.id is null or d.excepted_until', 'case when d.excepted_until');
-- mutant: a row is written that no entry tells of | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'raise exception ''an entry was closed by somebody else'' using errcode = ''BOFEN'';', 'null;');
-- mutant: nobody knows who approved | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'update public.drift d set decided_by = p_actor, decided_at', 'update public.drift d set decided_at');
-- mutant: history does not say who approved | decisions
select pg_temp.rewrite('billing_ops.record_drift', 'select a.id, a.action, p_run_id, p_actor, a.reason from again a', 'select a.id, a.action, p_run_id, null::uuid, a.reason from again a');
-- mutant: a decision that changes no action has no history | decisions
select pg_temp.rewrite('billing_ops.record_drift', 'where p_actor is not null or (a.action', 'where (a.action');
-- mutant: what gets no row counts as decided | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'where v_outcomes[e.place] in (''repaired'', ''created'', ''moved'', ''superseded'', ''refused'')
    union', 'where true
    union');
-- mutant: what is gone stands | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'set action = ''cleared'', reason = null, proposal = null, closed_at = clock_timestamp()', 'set action = ''cleared'', reason = null, proposal = null');
-- mutant: what is closed is closed again | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'where d.id = any (v_open) and d.id in (select g', 'where d.id in (select g');
-- mutant: what is closed is changed | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'where d.id = c.id and d.id = any (v_open)', 'where d.id = c.id');
-- mutant: what would be done now is not shown | decisions
select pg_temp.rewrite('public.apply_drift_decisions', 'proposal = c.finding -> ''proposal'',', 'proposal = d.proposal,');
-- mutant: what is repaired proposes something | decisions
select pg_temp.rewrite('billing_ops.recorded', '"severity": "info", "proposal": null', '"severity": "info"');
-- mutant: each difference has what its neighbours overwrote | decisions
select pg_temp.rewrite('billing_ops.recorded', 'where p_finding -> ''sets'' ? w.word or', 'where true or');
-- mutant: a moved row is not moved back | decisions
select pg_temp.rewrite('billing_ops.recorded', 'and (w.word in (''stripe_subscription_id'', ''customer'') or p_written', 'and (p_written');
-- mutant: what a moved row lost is lost | decisions
select pg_temp.rewrite('billing_ops.recorded', ' or p_written -> ''blank'' ? w.word', '');
-- mutant: what a row lost that was moved by compare-and-set is lost | decisions
select pg_temp.rewrite('billing_ops.write_items', 'on r.said ->> 0 = e.item #>> ''{row,key}''
', 'on false
');
-- mutant: what a moved row lost is not told | decisions
select pg_temp.rewrite('billing_ops.recorded', ' and p_written -> ''was'' -> m.word <> ''null''', ' and false');
-- mutant: of an empty row it is told that it lost something | decisions
select pg_temp.rewrite('billing_ops.recorded', ' and p_written -> ''was'' -> m.word <> ''null''', '');
-- mutant: a repair is taken back over a newer write | decisions
select pg_temp.rewrite('public.revert_drift', '''version'', v_drift.row_version)', '''version'', (select v.version from billing_ops.adapter_versions(array[v_drift.row_key]) v))');
-- mutant: what was taken back over nobody is on record all the same | decisions
select pg_temp.rewrite('public.revert_drift', 'if v_done.outcome <> ''repaired'' then', 'if false then');
-- mutant: of what one write repaired only one can be taken back | decisions
select pg_temp.rewrite('public.revert_drift', 'where d.row_key = v_drift.row_key and d.row_version', 'where false and d.row_version');
-- mutant: a newer repair that is taken back opens the way to an older one | decisions
select pg_temp.rewrite('public.revert_drift', ' and d.row_version = v_drift.row_version and', ' and');
-- mutant: a repair of one row opens the way to another's | decisions
select pg_temp.rewrite('public.revert_drift', 'where d.row_key = v_drift.row_key and d.row_version', 'where d.row_version');
-- mutant: what is taken back can be taken back again | decisions
select pg_temp.rewrite('public.revert_drift', 'v_drift.action not in (''repaired'', ''moved'')', 'v_drift.action not in (''repaired'', ''moved'', ''reverted'')');
select pg_temp.rewrite('public.revert_drift', 'note = p_note, row_version = null', 'note = p_note, row_version = v_version');
-- mutant: what is taken back is repaired again | decisions
select pg_temp.rewrite('public.revert_drift', 'p_note, clock_timestamp() + make_interval(days => v_days))', 'p_note, null)');
-- mutant: what has come back by itself is not let stand | decisions
select pg_temp.rewrite('public.revert_drift', 'set action = ''excepted'', reason = null, decided_by', 'set reason = null, decided_by');
-- mutant: a row that was made can be taken back | decisions
select pg_temp.rewrite('public.revert_drift', 'if v_drift.action = ''created'' then', 'if false then');
-- mutant: a run repairs what a person lets stand | decisions
select pg_temp.rewrite('public.apply_reconciliation_batch', 'd.closed_at is null and d.excepted_until > clock_timestamp()', 'false');
-- mutant: a run repairs what people have set to less | policies
select pg_temp.rewrite('public.apply_reconciliation_batch', 'where billing_ops.policy_mode(f ->> ''type'') <> ''auto'' or exists', 'where exists');
-- mutant: a run may not put on record what it may not repair | policies
select pg_temp.rewrite('public.apply_reconciliation_batch', 'select e.item ->> ''kind'' <> ''none'' and not e.item ? ''action'' and (exists', 'select (exists');
-- mutant: a refresh is written though a person only lets its class be looked at | policies
select pg_temp.rewrite('public.apply_reconciliation_batch', 'or (e.item ->> ''kind'' = ''update'' and not', 'or (false and not');
-- mutant: an approval overrides what somebody lets stand | decisions
select pg_temp.rewrite('public.apply_drift_decisions', ' or d.excepted_until > clock_timestamp()', '');
-- mutant: an approval overrides a class that is only to be looked at | decisions
select pg_temp.rewrite('public.apply_drift_decisions', ' or billing_ops.policy_mode(d.type) = ''observe''', '');
-- mutant: the end of an exception comes unannounced | decisions
select pg_temp.rewrite('billing_ops.exceptions_ending', 'between now() and now() + interval ''3 days''', 'between now() and now()');
-- mutant: an exception that was short from the start is announced at once | decisions
select pg_temp.rewrite('billing_ops.exceptions_ending', 'and d.excepted_until - d.decided_at > interval ''3 days''', '');
-- mutant: what is let stand is what the next run makes of it | decisions
select pg_temp.rewrite('billing_ops.record_drift', 'coalesce(d.excepted_until > v_now, false) and f.closed_at is null as excepted', 'false as excepted');
-- mutant: what is let stand is so for ever | decisions
select pg_temp.rewrite('billing_ops.record_drift', 'coalesce(d.excepted_until > v_now, false)', 'd.excepted_until is not null');
-- mutant: a run is not told what is let stand | decisions
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'filter (where d.excepted_until > clock_timestamp())', 'filter (where false)');
-- mutant: a run is told what was let stand | decisions
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'filter (where d.excepted_until > clock_timestamp())', 'filter (where d.excepted_until is not null)');
-- mutant: what is closed can be let stand | decisions
select pg_temp.rewrite('public.except_drift', 'where d.id = p_id and d.closed_at is null returning', 'where d.id = p_id returning');
-- mutant: an exception that is ended goes on | decisions
select pg_temp.rewrite('public.unexcept_drift', 'set excepted_until = null, decided_by', 'set decided_by');
-- mutant: who ends an exception gets past the setting | decisions
select pg_temp.rewrite('public.unexcept_drift', 'billing_ops.lower_mode(billing_ops.policy_mode(v_drift.type), p_repair_mode)', 'billing_ops.policy_mode(v_drift.type)');
-- mutant: where nothing can be done somebody is waited for | decisions
select pg_temp.rewrite('public.unexcept_drift', 'when v_drift.proposal is null then ''none'' when v_mode', 'when v_mode');

-- mutant: who has not seen a change undoes it | policies
select pg_temp.rewrite('public.set_drift_policy', 'where type = p_type and version = p_if_version', 'where type = p_type');
-- mutant: a change makes no new version | policies
select pg_temp.rewrite('public.set_drift_policy', 'version = version + 1, ', '');
-- mutant: the higher of two modes counts | policies
select pg_temp.rewrite('billing_ops.lower_mode', 'order by m.rank limit 1', 'order by m.rank desc limit 1');
-- mutant: what nobody has set is not written | policies
select pg_temp.rewrite('billing_ops.policy_mode', '''auto''', '''observe''');
-- mutant: what cannot be read may be written | policies
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'v_policies := null;', 'v_policies := ''{}'';');
-- mutant: a run is not told what people have set | policies
select pg_temp.rewrite('public.read_adapter_for_reconcile', 'where p.mode <> ''auto''', 'where false');
-- mutant: any number can be allowed | policies
select pg_temp.rewrite('public.allow_held_drift', 'v_held = 0 or v_held <> p_count', 'v_held = 0');
-- mutant: nothing can be allowed | policies
select pg_temp.rewrite('public.allow_held_drift', 'v_held = 0 or v_held <> p_count', 'v_held <> p_count');
-- mutant: what was held counts | policies
select pg_temp.rewrite('public.allow_held_drift', 'where d.closed_at is null and d.type', 'where d.type');
-- mutant: what waits counts as held | policies
select pg_temp.rewrite('public.allow_held_drift', ' and d.action = ''held''', '');
-- mutant: what no run writes can be allowed | policies
select pg_temp.rewrite('public.allow_held_drift', 'billing_ops.lower_mode(billing_ops.policy_mode(p_type), p_repair_mode) <> ''auto''', 'false');
-- mutant: a number that is refused is on record | policies
select pg_temp.rewrite('public.allow_held_drift', ' where (select count(*) from held) = p_count', '');
-- mutant: what was allowed once cannot be again | policies
select pg_temp.rewrite('public.allow_held_drift', 'allowed_run = null', 'allowed_run = p.allowed_run');
-- mutant: each run may go past the breaker | policies
select pg_temp.rewrite('public.take_drift_allowances', 'and (p.allowed_run is null or p.allowed_run = p_run_id)', '');
-- mutant: a run that asks twice may write nothing | policies
select pg_temp.rewrite('public.take_drift_allowances', 'p.allowed_run is null or p.allowed_run = p_run_id', 'p.allowed_run is null');
-- mutant: nobody knows that it has been made use of | policies
select pg_temp.rewrite('public.take_drift_allowances', 'set allowed_run = p_run_id', 'set allowed_run = p.allowed_run');
-- mutant: what is allowed is so for ever | policies
select pg_temp.rewrite('public.take_drift_allowances', 'p.allowed_until > v_run.started_at', 'p.allowed_until is not null');
-- mutant: an attempt that was given up takes what is allowed | policies
select pg_temp.rewrite('public.take_drift_allowances', 'and attempt = p_attempt and status = ''running'' for share', 'for share');
-- mutant: who loses access counts as who gets it | policies
select pg_temp.rewrite('billing_ops.policies_json', 'd.severity = ''critical'' and not d.lowers_access', 'd.severity = ''critical''');
-- mutant: what is let stand counts as what would be repaired | policies
select pg_temp.rewrite('billing_ops.policies_json', ' and d.action <> ''excepted''', '');
-- mutant: what nobody can repair counts as what would be repaired | policies
select pg_temp.rewrite('billing_ops.policies_json', ' and d.proposal is not null', '');

-- mutant: people claim what others are to be told | access_functions
grant execute on function public.claim_deliveries(jsonb, text, jsonb) to authenticated;
-- mutant: people acknowledge past the endpoint | access_functions
grant execute on function public.attend_billing_alert(uuid, uuid, text, integer, text) to authenticated;
-- mutant: deliveries without row level security | access_tables
alter table public.notification_deliveries disable row level security;
-- mutant: an event is told to a channel twice | structure
drop index public.notification_deliveries_once;
-- mutant: who sends and judges nothing is not counted | rate_limits
select pg_temp.rewrite('public.claim_deliveries', 'if p_client is not null then', 'if false then');
-- mutant: a person's word is not limited | rate_limits
select pg_temp.rewrite('billing_ops.rate_limit', 'when ''snooze'' then 10', 'when ''snooze'' then 60');
-- mutant: what is acknowledged stays so however bad it gets | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'if v_rises or v_grows then', 'if v_grows then');
-- mutant: new members are no news | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'v_grows := coalesce(v_newest > coalesce(v_before.newest_member_at, v_before.last_seen_at), false)', 'v_grows := false');
-- mutant: members that were let stand make an alert grow | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'and (d.excepted_until is null or d.excepted_until <= clock_timestamp())', '');
-- mutant: members of another class make an alert grow | attending
select pg_temp.rewrite('billing_ops.raise_alert', ' and d.type = p_metadata ->> ''type''', '');
-- mutant: members that ended make an alert grow | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'where d.closed_at is null and d.type', 'where d.type');
-- mutant: what went and came back makes an alert grow | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'newest_member_at = greatest(a.newest_member_at, v_newest)', 'newest_member_at = v_newest');
-- mutant: a refresh ends what people said | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'if v_rises or v_grows then', 'if true then');
-- mutant: what cleared stays acknowledged | attending
select pg_temp.rewrite('billing_ops.clear_alert', ',
      acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, snoozed_until = null, snoozed_by = null', '');
-- mutant: what a person resolved stays acknowledged | attending
select pg_temp.rewrite('public.resolve_billing_alert', ',
      acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, snoozed_until = null, snoozed_by = null', '');
-- mutant: what is critical is acknowledged for a day | attending
select pg_temp.rewrite('public.attend_billing_alert', 'when ''critical'' then 240 else 1440', 'when ''critical'' then 1440 else 1440');
-- mutant: a button pressed twice is news | attending
select pg_temp.rewrite('public.attend_billing_alert', 'v_until - v_alert.acknowledged_until)) < 60', 'v_until - v_alert.acknowledged_until)) < 0');
-- mutant: what has run out cannot be told from what holds | attending
select pg_temp.rewrite('public.attend_billing_alert', '(v_alert.acknowledged_until > v_now) is not true', 'v_alert.acknowledged_until is null');
-- mutant: who is resolved can be snoozed | attending
select pg_temp.rewrite('public.attend_billing_alert', 'if v_alert.resolved then', 'if false then');
-- mutant: nobody knows who did it | attending
select pg_temp.rewrite('public.attend_billing_alert', 'v_event, p_actor, p_note', 'v_event, null, p_note');
-- mutant: history is as long as it is | attending
select pg_temp.rewrite('billing_ops.alert_json', 'limit 20', '');
-- mutant: what has run out still holds | monitor
select pg_temp.rewrite('billing_ops.attended', 'p_alert.acknowledged_until > pg_catalog.clock_timestamp()', 'p_alert.acknowledged_until is not null');
-- mutant: what somebody attends to is stale | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'and not billing_ops.attended(a)', '');
-- mutant: the monitor counts that it cannot tell anybody | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', '''notifications_failing'', ''stripe', '''stripe');
-- mutant: snoozed ones are nobody's | admin_views
select pg_temp.rewrite('billing_ops.alert_state', 'when ''snoozed'' then coalesce(p_alert.snoozed_until > pg_catalog.clock_timestamp(), false)', '');
-- mutant: every channel is told of an acknowledgement | notifications
select pg_temp.rewrite('billing_ops.queue_deliveries', 'when p_event = ''acknowledged'' and c.channel <> ''pagerduty'' then ''pagerduty_only''', '');
-- mutant: whoever wants less is told all | notifications
select pg_temp.rewrite('billing_ops.queue_deliveries', 'billing_ops.severity_rank(p_alert.severity) < billing_ops.severity_rank(c.min_severity)', 'false');
-- mutant: a channel that is gone never hears of the end | notifications
select pg_temp.rewrite('billing_ops.queue_deliveries', 'and (d.status <> ''suppressed'' or d.may_have_arrived))', 'and false)');
-- mutant: another destination has a past | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'since = case when c.configured and c.fingerprint = excluded.fingerprint then c.since else v_now end', 'since = c.since');
-- mutant: changed settings leave a channel off | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'off_at = case when c.fingerprint = excluded.fingerprint then c.off_at end', 'off_at = c.off_at');
-- mutant: another least severity switches a channel on | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'off_at = case when c.fingerprint = excluded.fingerprint then c.off_at end', 'off_at = null');
-- mutant: a channel that comes back has missed what ended | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'and d.reason = ''not_configured'' and d.kind = ''resolved''', 'and false');
-- mutant: another destination hears of what it knows nothing of | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'using (channel, fingerprint)', 'using (channel)');
-- mutant: a channel that is gone stays | notifications
select pg_temp.rewrite('billing_ops.sync_channels', 'update public.notification_channels c set configured = false
  where c.configured and', 'update public.notification_channels c set configured = false
  where false and');
-- mutant: the end is told where the beginning was refused | notifications
select pg_temp.rewrite('public.claim_deliveries', '
          and (e.status = ''sent'' or e.may_have_arrived))
      limit', ') limit');
-- mutant: the end is not told where the beginning may have arrived | notifications
select pg_temp.rewrite('public.claim_deliveries', '(e.status = ''sent'' or e.may_have_arrived))', '(e.status = ''sent''))');
-- mutant: what nobody is to be told of stays due until its turn comes | notifications
select pg_temp.rewrite('billing_ops.queue_deliveries', 'when not billing_ops.is_alarm(p_event) and not heard.of_it then ''alarm_not_sent''', '');
-- mutant: who attends is told where the beginning was refused | notifications
select pg_temp.rewrite('billing_ops.settle_silences', '(e.status in (''due'', ''sent'') or e.may_have_arrived)', 'true');
select pg_temp.rewrite('public.claim_deliveries', '
          and (e.status = ''sent'' or e.may_have_arrived))
      limit', ') limit');
-- mutant: who attends is not told while the beginning is tried | notifications
select pg_temp.rewrite('billing_ops.settle_silences', 'e.status in (''due'', ''sent'')', 'e.status = ''sent''');
-- mutant: what is due to a channel that is off stays due | notifications
select pg_temp.rewrite('billing_ops.settle_silences', '(c.off_at is not null or not c.configured)', 'not c.configured');
-- mutant: what is due to a channel that is gone stays due | notifications
select pg_temp.rewrite('billing_ops.settle_silences', '(c.off_at is not null or not c.configured)', 'c.off_at is not null');
-- mutant: what is silenced never arrived | notifications
select pg_temp.rewrite('billing_ops.settle_silences', ', may_have_arrived = d.may_have_arrived or d.claim is not null', '');
-- mutant: what is over is repeated | notifications
select pg_temp.rewrite('billing_ops.settle_silences', 'd.status = ''due'' and d.kind = ''repeated''', 'false');
-- mutant: what is snoozed is sent | notifications
select pg_temp.rewrite('billing_ops.settle_silences', 'and not a.resolved and a.snoozed_until > pg_catalog.clock_timestamp()', 'and false');
-- mutant: what kills processes is sent for ever | notifications
select pg_temp.rewrite('billing_ops.settle_silences', '(d.kind = ''test'' or d.due_since < pg_catalog.clock_timestamp() - interval ''24 hours'')', 'd.kind = ''test''');
-- mutant: a test that nobody finished is sent again | notifications
select pg_temp.rewrite('billing_ops.settle_silences', '(d.kind = ''test'' or d.due_since < pg_catalog.clock_timestamp() - interval ''24 hours'')', 'd.due_since < pg_catalog.clock_timestamp() - interval ''24 hours''');
-- mutant: what somebody attends to is repeated | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'and not billing_ops.attended(a)', '');
-- mutant: what is due is repeated | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'and not told.is_due', '');
-- mutant: what was given up is tried again at once | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'd.status in (''sent'', ''dead'')', 'd.status = ''sent''');
-- mutant: what was summed up is told one by one | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', ' or d.reason = ''summarised''', '');
-- mutant: nobody is reminded after a snooze | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'or told.last_at < a.snoozed_until', '');
-- mutant: a channel is repeated what it need not know | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'and array_position(''{critical,high,warning,info}'', a.severity) <= array_position(''{critical,high,warning,info}'', c.min_severity)', '');
-- mutant: warnings are repeated by the hour | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'interval ''24 hours''', 'interval ''1 hour''');
-- mutant: what is told goes by what another was told | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', 'where d.alert_id = a.id and d.channel = c.channel', 'where d.alert_id = a.id');
-- mutant: a claim that ran out leaves no trace | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'd.may_have_arrived or d.claim is not null', 'd.may_have_arrived');
-- mutant: a claim has the name of the one before | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'claim = gen_random_uuid()', 'claim = coalesce(d.claim, gen_random_uuid())');
-- mutant: a claim holds for a second | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'interval ''60 seconds''', 'interval ''1 second''');
-- mutant: what is handed out has no order | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'order by array_position(p_ids, d.id)', 'order by d.id desc');
-- mutant: claims are not one at a time | notifications
select pg_temp.rewrite('public.claim_deliveries', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.claim_deliveries''));', '');
-- mutant: who finishes does not wait for claims | notifications
select pg_temp.rewrite('public.finish_deliveries', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.claim_deliveries''));', '');
-- mutant: a person does not wait for claims | notifications
select pg_temp.rewrite('public.claim_delivery', 'perform pg_advisory_xact_lock(hashtext(''billing_ops.claim_deliveries''));', '');
-- mutant: seven a minute | notifications
select pg_temp.rewrite('public.claim_deliveries', '6 - count', '7 - count');
-- mutant: no cap an hour | notifications
select pg_temp.rewrite('public.claim_deliveries', '30 - count(d.id)', '300 - count(d.id)');
-- mutant: tests count for the caps | notifications
select pg_temp.rewrite('public.claim_deliveries', ' and d.kind <> ''test''', '');
-- mutant: nobody waits for a receiver that asks for it | notifications
select pg_temp.rewrite('public.claim_deliveries', '(c.wait_until > v_now) is not true', 'true');
-- mutant: what happened later is not held back | notifications
select pg_temp.rewrite('public.claim_deliveries', 'select distinct on (d.alert_id, case when d.alert_id is null then d.id end) d.id', 'select d.id');
-- mutant: what failed is sent again at once | notifications
select pg_temp.rewrite('public.claim_deliveries', 'first.next_attempt_at <= v_now and', '');
-- mutant: what is being sent is sent | notifications
select pg_temp.rewrite('public.claim_deliveries', ' and (first.claimed_until > v_now) is not true', '');
-- mutant: the oldest go first, however bad the others | notifications
select pg_temp.rewrite('public.claim_deliveries', 'array_position(''{critical,high,warning,info}'', first.severity), first.id', 'first.id');
-- mutant: ends are summed up | notifications
select pg_temp.rewrite('public.claim_deliveries', 'where x.is_alarm and x.place', 'where x.place');
-- mutant: one alarm is summed up | notifications
select pg_temp.rewrite('public.claim_deliveries', 'cardinality(v_alarms) > 1', 'cardinality(v_alarms) > 0');
-- mutant: nothing is summed up | notifications
select pg_temp.rewrite('public.claim_deliveries', 'cardinality(v_alarms) > 1', 'false');
-- mutant: a summary names all alerts | notifications
select pg_temp.rewrite('public.claim_deliveries', 'any (v_alarms[:5])', 'any (v_alarms)');
-- mutant: what is summed up never arrived | notifications
select pg_temp.rewrite('public.claim_deliveries', ', may_have_arrived = may_have_arrived or claim is not null', '');
-- mutant: what was sent is sent again at a person's word | notifications
select pg_temp.rewrite('public.claim_delivery', 'elsif v_delivery.status <> ''dead'' then', 'elsif false then');
-- mutant: a retry is the attempt after the last | notifications
select pg_temp.rewrite('public.claim_delivery', 'attempts = 0, ', '');
-- mutant: a retry has no day of its own | notifications
select pg_temp.rewrite('public.claim_delivery', 'set status = ''due'', attempts = 0, due_since = clock_timestamp(),', 'set status = ''due'', attempts = 0,');
-- mutant: the end of what was sent after all is not told | notifications
select pg_temp.rewrite('public.claim_delivery', 'status = ''suppressed'' and reason = ''alarm_not_sent'' or', '');
-- mutant: what was sent after the end stands for ever | notifications
select pg_temp.rewrite('public.claim_delivery', ' or status = ''sent'' and kind = ''resolved''', '');
-- mutant: any channel can be tested | notifications
select pg_temp.rewrite('public.claim_delivery', 'if p_test <> all (v_configured) then', 'if false then');
-- mutant: who comes late decides | notifications
select pg_temp.rewrite('public.finish_deliveries', 'and claim = v_result.claim and', 'and');
-- mutant: what is finished can be finished again | notifications
select pg_temp.rewrite('public.finish_deliveries', 'and claim = v_result.claim and status = ''due'' for update', 'and (claim = v_result.claim or claim is null) for update');
-- mutant: each pause is as long as the first | notifications
select pg_temp.rewrite('public.finish_deliveries', 'power(2, least(v_delivery.attempts - 1, 10))', '1');
-- mutant: pauses double for ever | notifications
select pg_temp.rewrite('public.finish_deliveries', 'least(interval ''1 hour'', interval ''30 seconds'' *', 'least(interval ''1 day'', interval ''30 seconds'' *');
-- mutant: nothing is given up | notifications
select pg_temp.rewrite('public.finish_deliveries', 'v_now + v_pause <= due_since + interval ''24 hours''', 'true');
-- mutant: what is refused is tried again | notifications
select pg_temp.rewrite('public.finish_deliveries', 'case when v_result.outcome = ''failed'' and kind <> ''test'' and v_now + v_pause <=', 'case when kind <> ''test'' and v_now + v_pause <=');
-- mutant: a test that fails is tried again | notifications
select pg_temp.rewrite('public.finish_deliveries', 'case when v_result.outcome = ''failed'' and kind <> ''test'' and v_now + v_pause <=', 'case when v_result.outcome = ''failed'' and v_now + v_pause <=');
-- mutant: the channel waits as long as the message | notifications
select pg_temp.rewrite('public.finish_deliveries', 'then v_now + v_asked else', 'then v_now + v_pause else');
-- mutant: a receiver may ask for years | notifications
select pg_temp.rewrite('public.finish_deliveries', 'least(coalesce(v_result.retry_after, 0), 86400)', 'least(coalesce(v_result.retry_after, 0), 86400000)');
-- mutant: a destination that is gone is tried again | notifications
select pg_temp.rewrite('public.finish_deliveries', 'case when v_result.outcome = ''gone'' then coalesce(off_at, v_now) else off_at end', 'off_at');
-- mutant: what is refused switches a channel off | notifications
select pg_temp.rewrite('public.finish_deliveries', 'case when v_result.outcome = ''gone'' then coalesce(off_at, v_now) else off_at end', 'coalesce(off_at, v_now)');
-- mutant: what arrives leaves a channel off | notifications
select pg_temp.rewrite('public.finish_deliveries', 'off_at = null, off_reason = null
', 'off_reason = null
');
-- mutant: a channel that is on again has missed what ended | notifications
select pg_temp.rewrite('public.finish_deliveries', 'and d.kind = ''resolved'' and d.due_since >= v_channel.since', 'and false');
-- mutant: a channel that is on again hears of what ended under other settings | notifications
select pg_temp.rewrite('public.finish_deliveries', ' and d.due_since >= v_channel.since', '');
-- mutant: a channel that is on again does not hear of what stands | notifications
select pg_temp.rewrite('public.finish_deliveries', 'since = case when off_at is null then since else v_now end', 'since = since');
-- mutant: what arrives makes no end of waiting | notifications
select pg_temp.rewrite('public.finish_deliveries', 'wait_until = null, since', 'since');
-- mutant: one that found its channel gone silences the others of its call | notifications
select pg_temp.rewrite('public.finish_deliveries', 'order by r.outcome = ''gone''', '');
-- mutant: what was released was tried | notifications
select pg_temp.rewrite('public.finish_deliveries', 'attempts = attempts - 1, ', '');
-- mutant: what was released was never tried | notifications
select pg_temp.rewrite('public.finish_deliveries', 'case when attempts > 1 then last_attempt_at end', 'null');
-- mutant: nobody remembers that there was no answer | notifications
select pg_temp.rewrite('public.finish_deliveries', 'may_have_arrived or coalesce(v_result.unanswered, false)', 'may_have_arrived');
-- mutant: what is a minute late is overdue | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'interval ''15 minutes''', 'interval ''1 minute''');
-- mutant: a test may be overdue | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'd.status = ''due'' and d.kind <> ''test''', 'd.status = ''due''');
-- mutant: a test is given up | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'd.status = ''dead'' and d.kind <> ''test''', 'd.status = ''dead''');
-- mutant: nothing makes up for what was given up | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'and (c.last_success_at > d.last_attempt_at) is not true', '');
-- mutant: what was given up worries for ever | notifications
select pg_temp.rewrite('billing_ops.notification_facts', ' and d.last_attempt_at > pg_catalog.clock_timestamp() - interval ''24 hours''', '');
-- mutant: one channel that fails is none that works | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'bool_and(', 'bool_or(');
-- mutant: a channel that is off works | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'c.off_at is not null or ', '');
-- mutant: a channel that is gone may work | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'from public.notification_channels c where c.configured))', 'from public.notification_channels c))');
-- mutant: a failure that was made up for counts | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'c.last_failure_at > coalesce(c.last_success_at, ''-infinity'')', 'c.last_failure_at is not null');
-- mutant: pages of deliveries overlap | notifications
select pg_temp.rewrite('public.admin_notifications', 'd.id < p_before', 'd.id <= p_before');
-- mutant: what is due is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'o.status <> ''due'' and o.created_at', 'o.created_at');
-- mutant: what was told of an open alert is pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'and (o.kind = ''repeated'' or (', 'and (true or (');
-- mutant: repeats are kept for ever | retention
select pg_temp.rewrite('billing_ops.prune', '(o.kind = ''repeated'' or (', '(false or (');
-- mutant: an alert without members grows by none | attending
select pg_temp.rewrite('billing_ops.raise_alert', 'coalesce(v_before.newest_member_at, v_before.last_seen_at)', 'v_before.newest_member_at');
-- mutant: what is over goes before what is wrong | notifications
select pg_temp.rewrite('public.claim_deliveries', 'first.kind in (''resolved'', ''acknowledged''), ', '');
-- mutant: a snooze that is taken back has swallowed it | notifications
select pg_temp.rewrite('billing_ops.repeat_alarms', ' or told.missed', '');
-- mutant: a channel that goes off forgets who is sending | notifications
select pg_temp.rewrite('public.finish_deliveries', 'may_have_arrived = may_have_arrived or claim is not null', 'may_have_arrived = may_have_arrived');
-- mutant: a summary that dies has told | notifications
select pg_temp.rewrite('public.finish_deliveries', 's.status = ''dead'' and', 's.status = ''sent'' and');
-- mutant: the end that found its channel gone stays dead | notifications
select pg_temp.rewrite('public.finish_deliveries', 'd.last_attempt_at >= v_channel.off_at - interval ''1 minute''', 'false');
-- mutant: a test that is refused changes channels | notifications
select pg_temp.rewrite('public.claim_delivery', 'if p_retry is null then', 'perform billing_ops.sync_channels(p_channels); if p_retry is null then');
-- mutant: whoever was told that somebody attends to it is never woken again | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'k.kind = ''acknowledged''', 'k.kind = ''none''');
-- mutant: an incident that rings again ends each time before | notifications
select pg_temp.rewrite('billing_ops.hand_out', 'billing_ops.is_alarm(l.kind) and l.status = ''sent''', 'false');
-- mutant: a channel that is off is at peace | notifications
select pg_temp.rewrite('billing_ops.notification_facts', 'c.configured and c.off_at is not null', 'false');
-- mutant: after a day there is no last try | notifications
select pg_temp.rewrite('public.finish_deliveries', 'v_pause := least(v_pause, v_delivery.due_since + interval ''24 hours'' - v_now)', 'null');

-- What is due, and runs over less than everything.
-- mutant: an event leaves the version | due
select pg_temp.rewrite('public.note_stripe_events', 'version = default,', '');
-- mutant: what changes all the time is put off for ever | due
select pg_temp.rewrite('public.note_stripe_events', 'least(excluded.due_at, d.first_event_at + interval ''10 minutes'')', 'excluded.due_at');
-- mutant: a later event moves nothing | due
select pg_temp.rewrite('public.note_stripe_events', 'least(excluded.due_at, d.first_event_at + interval ''10 minutes'')', 'd.due_at');
-- mutant: news put off what failed | due
select pg_temp.rewrite('public.note_stripe_events', 'when d.attempts > 0 then least(d.due_at, excluded.due_at)', 'when d.attempts > 0 then excluded.due_at');
-- mutant: news of what failed change nothing | due
select pg_temp.rewrite('public.note_stripe_events', 'when d.attempts > 0 then least(d.due_at, excluded.due_at)', 'when d.attempts > 0 then d.due_at');
-- mutant: what failed long ago does not wait for the app | due
select pg_temp.rewrite('public.note_stripe_events', 'when d.attempts > 0 then', 'when false then');
-- mutant: attempts outlive news | due
select pg_temp.rewrite('public.note_stripe_events', 'attempts = 0,', '');
-- mutant: the greatest delay counts | due
select pg_temp.rewrite('public.note_stripe_events', 'min((e.said', 'max((e.said');
-- mutant: the last event is the first | due
select pg_temp.rewrite('public.note_stripe_events', 'set last_event_at = v_now,', 'set');
-- mutant: what is not due is handed out | due
select pg_temp.rewrite('public.read_due_subscriptions', 's.due_at <= pg_catalog.clock_timestamp() and ', '');
-- mutant: the newest is handed out first | due
select pg_temp.rewrite('public.read_due_subscriptions', 's.due_at, s.stripe', 's.due_at desc, s.stripe');
-- mutant: what is handed out comes in any order | due
select pg_temp.rewrite('public.read_due_subscriptions', 'order by d.due_at, d.stripe_subscription_id)', 'order by d.stripe_subscription_id)');
-- mutant: all that is due is handed out | due
select pg_temp.rewrite('public.read_due_subscriptions', 'limit p_limit', '');
-- mutant: what was read before the last event is done | due
select pg_temp.rewrite('billing_ops.settle_due', E'where d.stripe_subscription_id = s.said ->> 0 and d.version = (s.said ->> 1)::bigint;\n  -- What', E'where d.stripe_subscription_id = s.said ->> 0;\n  -- What');
-- mutant: what failed before the last event is put off | due
select pg_temp.rewrite('billing_ops.settle_due', E'where d.stripe_subscription_id = s.said ->> 0 and d.version = (s.said ->> 1)::bigint;\n  delete', E'where d.stripe_subscription_id = s.said ->> 0;\n  delete');
-- mutant: what fails is tried every five minutes | due
select pg_temp.rewrite('billing_ops.settle_due', 'attempts = d.attempts + 1', 'attempts = d.attempts');
-- mutant: what fails is put off for hours | due
select pg_temp.rewrite('billing_ops.settle_due', 'least(interval ''5 minutes'' * power(2, least(d.attempts, 4)), interval ''1 hour'')', 'interval ''5 minutes'' * power(2, d.attempts)');
-- mutant: a run settles nothing | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'settle_due(p_due, case', 'settle_due(null, case');
-- mutant: any run settles what it has not read | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'or p_covered then', 'or true then');
select pg_temp.rewrite('public.finish_reconciliation_run', 'case when p_covered then', 'case when true then');
-- mutant: a scan settles only what it was handed | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'if p_due is not null or p_covered then', 'if p_due is not null then');
-- mutant: a scan settles nothing | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'case when p_covered then', 'case when false then');
-- mutant: a scan settles what is too young for it | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'v_run.sweep_started_at - interval ''5 minutes''', 'v_run.sweep_started_at');
-- mutant: a scan settles what happened since it began | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'v_run.sweep_started_at - interval ''5 minutes''', '''infinity''::timestamptz');
-- mutant: a sweep that is gone on with settles up to its last part | due
select pg_temp.rewrite('public.finish_reconciliation_run', 'then v_run.sweep_started_at', 'then v_run.started_at');

-- mutant: a run for nothing | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_next_due_at is null or v_next_due_at > clock_timestamp()', 'v_next_due_at is null');
-- mutant: whatever will be due is due | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_next_due_at is null or v_next_due_at > clock_timestamp()', 'v_next_due_at > clock_timestamp()');
-- mutant: nobody is told when something is due | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'ceil(extract(epoch from v_next_due_at - clock_timestamp()))', 'null');
-- mutant: a full run waits for a pass | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_run.scope <> ''due'' or p_scope = ''due''', 'true');
-- mutant: a pass gives way to a pass | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_run.scope <> ''due'' or p_scope = ''due''', 'v_run.scope <> ''due''');
-- mutant: a full run gives way to another | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_run.scope <> ''due'' or p_scope = ''due''', 'p_scope = ''due''');
-- mutant: a run gives way to a pass | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_run.scope <> ''due'' or p_scope = ''due''', 'v_run.scope = p_scope');
-- mutant: a dead pass gives way | scopes
select pg_temp.rewrite('public.start_reconciliation_run', E'if found and v_run.lease_expires_at > v_now then\n      if v_run.scope', E'if found and (v_run.lease_expires_at > v_now or v_run.scope = ''due'') then\n      if v_run.scope');
-- mutant: what gave way may end as partial | scopes
select pg_temp.rewrite('public.finish_reconciliation_run', 'and v_run.message is not distinct from p_message', '');
-- mutant: a pass hands on its cursor | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'ended.scope = ''all'' and', '');
-- mutant: a pass goes on with a sweep | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'p_scope <> ''due'' and ended', 'ended');
-- mutant: a run over what changed hands on its cursor | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'ended.scope = ''all'' and', 'ended.scope <> ''due'' and');
-- mutant: a person's run is over what changed | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'p_run_type = ''scheduled'' and', '');
-- mutant: a pass becomes a run over what changed | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'if p_scope = ''all'' and p_run_type', 'if p_run_type');
-- mutant: each hour is between | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'p_full_every_hours > 1 and', '');
select pg_temp.rewrite('public.start_reconciliation_run', ' - make_interval(hours => p_full_every_hours) + interval ''10 minutes''', ' - interval ''2 hours''');
-- mutant: an unfinished sweep waits | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'and v_resume is null and exists', 'and exists');
-- mutant: nothing but changes for ever | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'and r.sweep_started_at > v_now - make_interval(hours => p_full_every_hours) + interval ''10 minutes''', '');
-- mutant: a scheduler comes to the minute | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'make_interval(hours => p_full_every_hours) + interval ''10 minutes''', 'make_interval(hours => p_full_every_hours)');
-- mutant: Stripe keeps its events for ever | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_events_from > v_now - interval ''25 days''', 'v_events_from is not null');
-- mutant: changes are followed from nowhere | scopes
select pg_temp.rewrite('public.start_reconciliation_run', 'v_events_from > v_now - interval ''25 days''', '(v_events_from > v_now - interval ''25 days'') is not false');
-- mutant: a run over what changed has looked at everything | scopes
select pg_temp.rewrite('billing_ops.is_complete_sweep', 'p_run.scope = ''all''', 'p_run.scope <> ''due''');
select pg_temp.rewrite('public.start_reconciliation_run', 'r.scope = ''all''', 'r.scope <> ''due''');
-- mutant: one that failed for some has not looked at everything | scopes
select pg_temp.rewrite('billing_ops.is_complete_sweep', 'p_run.status = ''partial''', 'false');
-- mutant: events are listed since the first | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'max(r.events_to)', 'min(r.events_to)');
-- mutant: a part of a sweep tells how many there are | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'sum(r.scanned_count)', 'min(r.scanned_count)');
-- mutant: a sweep under way tells how many there are | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', ' and c.cursor is null and c.status in (''success'', ''partial'') and billing_ops.is_complete_sweep(c)', '');
-- mutant: runs over what changed tell how many there are | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'r.scope = ''all'' and r.sweep', 'r.sweep');
-- mutant: a full run reads again what its scan has read | due
select pg_temp.rewrite('public.read_due_subscriptions', '(p_since is null or s.last_event_at >= p_since)', 'true');
-- mutant: a start that is sent again forgets where events begin | scopes
select pg_temp.rewrite('public.start_reconciliation_run', '|| billing_ops.changes_for_run(v_run.scope)', '');
-- mutant: what a run has looked at after all is not on record | scopes
select pg_temp.rewrite('public.finish_reconciliation_run', 'coalesce(p_scope, scope)', 'scope');
-- mutant: which events are read is not on record | scopes
select pg_temp.rewrite('public.finish_reconciliation_run', 'events_to = p_events_to', 'events_to = null');
-- mutant: a pass uses up what people allow | scopes
select pg_temp.rewrite('public.finish_reconciliation_run', 'where v_run.scope = ''all'' and', 'where v_run.scope <> ''changed'' and');
-- mutant: a run over what changed uses up what people allow | scopes
select pg_temp.rewrite('public.finish_reconciliation_run', 'where v_run.scope = ''all'' and', 'where v_run.scope <> ''due'' and');
-- mutant: the breaker counts what full runs did twice | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', ' and r.scope <> ''all''', '');
-- mutant: the breaker counts for ever | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'd.closed_at > pg_catalog.clock_timestamp() - interval ''1 hour'' and', '');
-- mutant: the breaker counts differences and not subscriptions | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'count(distinct d.stripe_subscription_id)', 'count(d.stripe_subscription_id)');
-- mutant: the breaker counts every repair | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', ' and d.lowers_access', '');
-- mutant: the breaker counts what went away | scopes
select pg_temp.rewrite('billing_ops.changes_for_run', 'd.action = ''repaired'' and', '');
-- mutant: what is let stand counts | scopes
select pg_temp.rewrite('public.read_standing_drift', ' and (d.excepted_until is null or d.excepted_until <= pg_catalog.clock_timestamp())', '');
-- mutant: what was let stand never counts again | scopes
select pg_temp.rewrite('public.read_standing_drift', 'd.excepted_until is null or d.excepted_until <= pg_catalog.clock_timestamp()', 'd.excepted_until is null');
-- mutant: what ended stands | scopes
select pg_temp.rewrite('public.read_standing_drift', 'd.closed_at is null and d.type', 'd.type');
-- mutant: everything that stands is named | scopes
select pg_temp.rewrite('public.read_standing_drift', '[:5]', '');
-- mutant: what full runs put right is put right by others | scopes
select pg_temp.rewrite('public.read_standing_drift', ' and r.scope <> ''all''', '');
-- mutant: what went away was put right | scopes
select pg_temp.rewrite('public.read_standing_drift', 'and d.action in (''repaired'', ''created'', ''moved'')', '');
-- mutant: what was put right is new for ever | scopes
select pg_temp.rewrite('public.read_standing_drift', 'd.closed_at > pg_catalog.clock_timestamp() - interval ''1 hour'' and', '');

-- mutant: a pass is a good run | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'where r.scope <> ''due'' and r.status in (''success'', ''partial'')),', 'where r.status in (''success'', ''partial'')),');
-- mutant: runs over what changed leave the reconciler stale | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'where r.scope <> ''due'' and r.status in (''success'', ''partial'')),', 'where r.scope = ''all'' and r.status in (''success'', ''partial'')),');
-- mutant: passes that fail are runs that fail | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'r.scope <> ''due'' and r.status in (''success'', ''partial'', ''error'')', 'r.status in (''success'', ''partial'', ''error'')');
-- mutant: a pass is a live run | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'r.scope <> ''due'' and r.status = ''running''', 'r.status = ''running''');
-- mutant: a pass is the first run | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'from public.reconciliation_logs r where r.scope <> ''due''),', 'from public.reconciliation_logs r),');
-- mutant: a run over what changed passes for a whole sweep | monitor
select pg_temp.rewrite('billing_ops.is_complete_sweep', 'p_run.scope = ''all''', 'p_run.scope <> ''due''');
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'r.scope = ''all''', 'r.scope <> ''due''');
-- mutant: the monitor sees its alert of Stripe's deliveries | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', ', ''stripe_deliveries_failing''', '');
-- mutant: the monitor sees its alert of a backlog | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', ', ''events_backlog''', '');
-- mutant: the backlog is as old as its newest | monitor
select pg_temp.rewrite('billing_ops.gather_monitor_facts', 'min(d.due_at)', 'max(d.due_at)');
-- mutant: no answer of Stripe's is an answer | monitor
select pg_temp.rewrite('public.apply_monitor_outcomes', 'nullif(p_deliveries, ''{}'')', 'p_deliveries');
-- mutant: no answer of Stripe's leaves the last one | monitor
select pg_temp.rewrite('public.apply_monitor_outcomes', 'said = excluded.said', 'said = coalesce(excluded.said, stripe_deliveries.said)');
-- mutant: Stripe is asked each time | monitor
select pg_temp.rewrite('public.apply_monitor_outcomes', 'set asked_at = excluded.asked_at, said', 'set said');
-- mutant: a pass that did not ask forgets | monitor
select pg_temp.rewrite('public.apply_monitor_outcomes', 'if p_deliveries is not null then', 'if true then');
-- mutant: passes are kept as long as runs | retention
select pg_temp.rewrite('billing_ops.prune', 'interval ''14 days''', 'interval ''400 days''');
-- mutant: runs over what changed are kept as long as passes | retention
select pg_temp.rewrite('billing_ops.prune', '(o.scope = ''due''', '(o.scope <> ''all''');
-- mutant: passes that found something go with those that did not | retention
select pg_temp.rewrite('billing_ops.prune', ' and o.total_issues = 0', '');
-- mutant: passes that failed go with those that had nothing to do | retention
select pg_temp.rewrite('billing_ops.prune', 'o.status = ''success'' and o.total_issues = 0', 'o.total_issues = 0');
-- mutant: a list of runs over one thing has all | admin_views
select pg_temp.rewrite('public.admin_reconciliation_runs', '(p_scope is null or r.scope = p_scope) and', '');

-- mutant: people note events | access_functions
grant execute on function public.note_stripe_events(jsonb) to authenticated;
-- mutant: people ask what is due | access_functions
grant execute on function public.read_due_subscriptions(integer, timestamptz) to authenticated;
-- mutant: everybody signed in reads what is due | access_tables
drop policy stripe_due_admin_read on public.stripe_due;
create policy stripe_due_admin_read on public.stripe_due for select to authenticated using (true);
-- mutant: what Stripe said is shown to everybody signed in | access_tables
drop policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries;
create policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries for select to authenticated using (true);
-- mutant: admins are not shown what Stripe said | monitor
drop policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries;
-- mutant: people say what is due | access_tables
grant insert on public.stripe_due to authenticated;
-- mutant: anon reads what is due | access_tables
grant select on public.stripe_due to anon;
-- mutant: a run may be over anything | structure
alter table public.reconciliation_logs drop constraint reconciliation_logs_scope_check;

-- mutant: the digest of a week comes twice | structure
drop index public.notification_deliveries_digest;
-- mutant: people read what is counted for a digest | access_tables
grant select on billing_ops.digests to authenticated;
-- mutant: people make digests | access_functions
grant execute on function billing_ops.queue_digest(jsonb) to authenticated;
-- mutant: a digest needs no week | structure
alter table public.notification_deliveries drop constraint notification_deliveries_check;
-- mutant: a digest's week begins on any day | structure
alter table billing_ops.digests drop constraint digests_week_check;
-- mutant: PagerDuty gets the digest | digests
select pg_temp.rewrite('billing_ops.queue_digest', ' and c.channel <> ''pagerduty''', '');
-- mutant: a week's digest is made again and again | digests
select pg_temp.rewrite('billing_ops.queue_digest', ' or exists (select from billing_ops.digests g where g.week = v_week)', '');
-- mutant: the digest comes though nobody wants it | digests
select pg_temp.rewrite('billing_ops.queue_digest', 'p_digest is null or ', '');
-- mutant: a new database tells of the week before it | digests
select pg_temp.rewrite('billing_ops.queue_digest', ' and exists (select from billing_ops.digests)', '');
-- mutant: a digest is made for nobody | digests
select pg_temp.rewrite('billing_ops.queue_digest', 'v_told <> ''{}'' and ', '');
-- mutant: an error in a digest holds up alarms | digests
select pg_temp.rewrite('billing_ops.queue_digest', 'query_canceled or others', 'query_canceled');
-- mutant: a timeout in a digest holds up alarms | digests
select pg_temp.rewrite('billing_ops.queue_digest', 'query_canceled or others', 'others');
-- mutant: the digest does not know what access is | digests
select pg_temp.rewrite('billing_ops.queue_digest', 'nullif(p_digest -> ''access'', ''null'')', 'null');
-- mutant: a digest is due at midnight | digests
select pg_temp.rewrite('billing_ops.digest_week', ' - interval ''7 hours''', '');
-- mutant: a digest is of the week that has just begun | digests
select pg_temp.rewrite('billing_ops.digest_week', ' - interval ''7 days''', '');
-- mutant: a digest is due by the session's clock | digests
select pg_temp.rewrite('billing_ops.digest_week', ' at time zone ''utc''', '');
-- mutant: a digest goes before alarms | digests
select pg_temp.rewrite('public.claim_deliveries', 'first.kind = ''digest'', ', '');
-- mutant: a summary counts the digest | digests
select pg_temp.rewrite('public.claim_deliveries', 'sorted.kind in (''raised''', 'sorted.kind in (''digest'', ''raised''');
-- mutant: what a digest says is not handed out | digests
select pg_temp.rewrite('billing_ops.hand_out', 'g.facts || pg_catalog.jsonb_build_object(''week'', g.week)', 'null');
-- mutant: a digest does not say of which week it is | digests
select pg_temp.rewrite('billing_ops.hand_out', ' || pg_catalog.jsonb_build_object(''week'', g.week)', '');
-- mutant: passes over what was due count as runs | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'r.scope <> ''due'' and ', '');
-- mutant: a digest counts the first run of the next week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'r.finished_at < v_to', 'r.finished_at <= v_to');
-- mutant: a digest misses the first run of its week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'r.finished_at >= v_from', 'r.finished_at > v_from');
-- mutant: what is repaired later counts for the week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.closed_at < v_to)', 'd.closed_at <= v_to)');
-- mutant: a digest misses the first repair of its week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.closed_at >= v_from', 'd.closed_at > v_from');
-- mutant: what is found later counts for the week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.first_seen_at < v_to', 'd.first_seen_at <= v_to');
-- mutant: a digest misses what was found first | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.first_seen_at >= v_from', 'd.first_seen_at > v_from');
-- mutant: whose access rose twice counts twice | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'count(distinct d.stripe_subscription_id)', 'count(d.stripe_subscription_id)');
-- mutant: whoever had access gets it | digests
select pg_temp.rewrite('billing_ops.digest_facts', ' and (p_access ? s.before) is not true', '');
-- mutant: whoever keeps access loses it | digests
select pg_temp.rewrite('billing_ops.digest_facts', ' and not p_access ? s.after', '');
-- mutant: a row that is made gives nobody access | digests
select pg_temp.rewrite('billing_ops.digest_facts', ' and (p_access ? s.before) is not true', ' and not p_access ? s.before');
-- mutant: access is known by the name of the column alone | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'coalesce(d.details -> v_status, d.details -> ''status'')', 'd.details -> v_status');
-- mutant: access is known by one name of the column | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'coalesce(d.details -> v_status, d.details -> ''status'')', 'd.details -> ''status''');
-- mutant: what went away by itself gave access | digests
select pg_temp.rewrite('billing_ops.digest_facts', ' and d.action in (''repaired'', ''created'', ''moved'')', '');
-- mutant: other differences change access | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'and d.type in (''status_mismatch'', ''missing_in_database'')', '');
-- mutant: access changes in any week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'where d.closed_at >= v_from and d.closed_at < v_to and d.action', 'where d.action');
-- mutant: access that is not known counts as none | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'case when p_access is not null then', 'case when true then');
-- mutant: what is over still stands | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'from public.drift d where d.closed_at is null)', 'from public.drift d)');
-- mutant: an exception that has ended ends again | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.excepted_until > v_now and ', '');
-- mutant: exceptions end soon whenever they end | digests
select pg_temp.rewrite('billing_ops.digest_facts', ' and d.excepted_until <= v_now + interval ''168 hours''', '');
-- mutant: what the next run does waits for a person | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'd.action = ''waiting''', 'd.action in (''waiting'', ''observed'')');
-- mutant: alerts that are over are open | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'where a.resolved = false group by', 'group by');
-- mutant: alerts of any time are of the week | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'where a.created_at >= v_from and a.created_at < v_to', '');
-- mutant: the worst alerts are told last | digests
select pg_temp.rewrite('billing_ops.digest_facts', 'billing_ops.severity_rank(o.severity) desc', 'billing_ops.severity_rank(o.severity)');
-- mutant: digests are kept for ever | retention
select pg_temp.rewrite('billing_ops.prune', 'where o.created_at < now() - interval ''400 days'' order by o.week', 'where false order by o.week');
-- mutant: young digests are pruned | retention
select pg_temp.rewrite('billing_ops.prune', 'where o.created_at < now() - interval ''400 days'' order by o.week', 'where o.created_at < now() - interval ''300 days'' order by o.week');

-- Metrics -----------------------------------------------------------------------------------------------------------------------

-- mutant: people may read metrics | access_functions
grant execute on function public.read_metrics(text) to authenticated;
-- mutant: metrics are not counted | rate_limits
select pg_temp.rewrite('public.read_metrics', 'if v_retry_after is not null then', 'if false then');
-- mutant: metrics are counted with the monitor | metrics
select pg_temp.rewrite('public.read_metrics', '''metrics''', '''monitor''');
-- mutant: a counter of metrics falls when rows are pruned | metrics
select pg_temp.rewrite('billing_ops.prune', 'from jsonb_array_elements(v_closed) e', 'from jsonb_array_elements(''[]''::jsonb) e');
-- mutant: metrics count only the last piece that was pruned | metrics
select pg_temp.rewrite('billing_ops.prune', 'v_closed || coalesce(', 'coalesce(');
-- mutant: metrics forget what an earlier pass has pruned | metrics
select pg_temp.rewrite('billing_ops.prune', 'set entries = c.entries + excluded.entries', 'set entries = excluded.entries');
-- mutant: metrics mix the actions of what was pruned | metrics
select pg_temp.rewrite('billing_ops.prune', 'returning d.type, d.action', 'returning d.type, ''cleared''::text as action');
-- mutant: a counter of metrics falls when a repair is taken back | metrics
select pg_temp.rewrite('public.revert_drift', 'values (v_drift.type, v_action, 1)', 'values (v_drift.type, v_action, 0)');
-- mutant: metrics count what was taken back as reverted twice | metrics
select pg_temp.rewrite('public.revert_drift', 'values (v_drift.type, v_action, 1)', 'values (v_drift.type, v_drift.action, 1)');
-- mutant: metrics forget an earlier repair that was taken back | metrics
select pg_temp.rewrite('public.revert_drift', 'set entries = c.entries + excluded.entries', 'set entries = excluded.entries');
-- mutant: metrics know only what is pruned | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'd.closed_at is not null group by', 'false group by');
-- mutant: metrics count what stands as ended | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'd.closed_at is not null group by', 'true group by');
-- mutant: metrics count what ended as standing | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'd.closed_at is null group by', 'true group by');
-- mutant: metrics take the first run for the last | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'order by r.finished_at desc limit 1) last', 'order by r.finished_at limit 1) last');
-- mutant: metrics mix the scopes of runs | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'r.scope = s.scope and', 'true and');
-- mutant: metrics mix how runs ended | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'r.status = e.status and', 'true and');
-- mutant: metrics take a pass for a run over everything | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'r.scope <> ''due'' and', 'true and');
-- mutant: metrics tell how long a run took that ended in error | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'r.status in (''success'', ''partial'') and', 'true and');
-- mutant: metrics let a run end before it began | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'greatest(0, ', '(');
-- mutant: metrics count resolved alerts | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'a.resolved = false', 'true');
-- mutant: metrics know no deliveries of a channel that is gone | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'count(*) from public.notification_deliveries d group by',
  'count(*) from public.notification_deliveries d where d.channel = ''slack'' group by');
-- mutant: metrics have no zeros for a channel | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'where c.configured', 'where false');
-- mutant: metrics have zeros for channels that are not set up | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'where c.configured', 'where true');
-- mutant: metrics count only what may be read by now | metrics
select pg_temp.rewrite('billing_ops.gather_metrics', 'from public.stripe_due)', 'from public.stripe_due p where p.due_at <= pg_catalog.clock_timestamp())');
