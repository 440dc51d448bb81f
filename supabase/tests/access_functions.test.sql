-- Role x function, each cell by trying it as that role: allowed is every answer but a missing grant.
begin;
\ir helpers/actors.psql
select no_plan();

-- service: the service role alone. person: signed-in people, whom the function then judges. both; nobody.
create temporary table expected (signature text, callers text);
insert into expected values
  ('start_reconciliation_run(text,text,integer,integer,text,uuid,text,uuid,text,integer)', 'service'),
  ('heartbeat_reconciliation_run(uuid,integer,integer,jsonb,jsonb)', 'service'),
  ('finish_reconciliation_run(uuid,integer,text,jsonb,text,text,text,jsonb,jsonb,jsonb,jsonb,text,jsonb,timestamp with time zone,boolean)', 'service'),
  ('note_stripe_events(jsonb)', 'service'),
  ('read_due_subscriptions(integer,timestamp with time zone)', 'service'),
  ('read_standing_drift(jsonb)', 'service'),
  ('read_adapter_for_reconcile(jsonb)', 'service'),
  ('read_owners_for_reconcile(jsonb)', 'service'),
  ('read_subscriptions_for_reconcile(jsonb,jsonb,boolean,text,timestamp with time zone,timestamp with time zone,integer)', 'service'),
  ('read_unplaced_subscriptions(text,integer,integer)', 'service'),
  ('read_duplicate_live_subscriptions(jsonb,text,integer,integer,integer)', 'service'),
  ('read_rows_of_owners_for_reconcile(jsonb)', 'service'),
  ('apply_reconciliation_batch(uuid,integer,integer,jsonb,jsonb,jsonb,jsonb,jsonb)', 'service'),
  ('apply_drift_decisions(uuid,jsonb,jsonb,jsonb)', 'service'),
  ('revert_drift(uuid,uuid,text,text)', 'service'),
  ('except_drift(uuid,uuid,integer,text)', 'service'),
  ('unexcept_drift(uuid,uuid,text)', 'service'),
  ('set_drift_policy(text,text,integer,uuid)', 'service'),
  ('allow_held_drift(text,integer,text,uuid)', 'service'),
  ('take_drift_allowances(uuid,integer)', 'service'),
  ('billing_ops_adoption()', 'service'),
  ('resolve_billing_alert(uuid,uuid,text)', 'service'),
  ('attend_billing_alert(uuid,uuid,text,integer,text)', 'service'),
  ('claim_deliveries(jsonb,text,jsonb)', 'service'),
  ('claim_delivery(jsonb,text,bigint)', 'service'),
  ('finish_deliveries(jsonb)', 'service'),
  ('monitor_facts(text)', 'service'),
  ('apply_monitor_outcomes(jsonb,jsonb)', 'service'),
  ('read_metrics(text)', 'service'),
  ('billing_ops_schema(text)', 'service'),
  ('admin_authorize(text,text)', 'person'),
  ('admin_monitor_facts(text)', 'person'),
  ('admin_billing_alerts(text,text,text,text,text,integer,timestamp with time zone,uuid)', 'person'),
  ('admin_reconciliation_runs(text,text,text,integer,timestamp with time zone,uuid,text)', 'person'),
  ('admin_reconciliation_run(uuid,text,text,text,integer,timestamp with time zone,uuid)', 'person'),
  ('admin_drift(text,text,text,text,text,text,integer,timestamp with time zone,uuid)', 'person'),
  ('admin_drift_for_approval(jsonb,text)', 'person'),
  ('admin_drift_policies(text)', 'person'),
  ('admin_notifications(text,text,text,uuid,integer,bigint)', 'person'),
  ('admin_export(text,timestamp with time zone,timestamp with time zone,jsonb,integer,text)', 'person'),
  -- The app's own table.
  ('billing_ops.adapter_add(text[],jsonb)', 'service'),
  ('billing_ops.adapter_clear()', 'nobody'),
  ('billing_ops.adapter_customers(text[])', 'service'),
  ('billing_ops.adapter_define(text,text)', 'nobody'),
  ('billing_ops.adapter_duplicates(text,integer,text[],integer,integer)', 'service'),
  ('billing_ops.adapter_generate(jsonb)', 'nobody'),
  ('billing_ops.adapter_granting(text[])', 'service'),
  ('billing_ops.adapter_insert(jsonb)', 'service'),
  ('billing_ops.adapter_is_admin(uuid)', 'nobody'),
  ('billing_ops.adapter_lock(text[])', 'service'),
  ('billing_ops.adapter_names()', 'nobody'),
  ('billing_ops.adapter_odd(text,integer)', 'service'),
  ('billing_ops.adapter_owners(text[])', 'service'),
  ('billing_ops.adapter_present(text[])', 'service'),
  ('billing_ops.adapter_read(text[],xid8)', 'service'),
  ('billing_ops.adapter_readable(text,text,text,boolean)', 'nobody'),
  ('billing_ops.adapter_rows_of_owners(text[],xid8)', 'service'),
  ('billing_ops.adapter_set(text[],jsonb)', 'service'),
  ('billing_ops.adapter_state()', 'service'),
  ('billing_ops.adapter_unlisted(timestamp with time zone,timestamp with time zone,text[])', 'service'),
  ('billing_ops.adapter_unplaced(text,integer,integer)', 'service'),
  ('billing_ops.adapter_update(jsonb)', 'service'),
  ('billing_ops.adapter_versions(text[])', 'service'),
  ('billing_ops.adapter_write(boolean,text[],jsonb)', 'service'),
  ('billing_ops.adapter_written(text,text,text)', 'nobody'),
  ('billing_ops.admin_sources(jsonb)', 'nobody'),
  ('billing_ops.admins_body(jsonb)', 'nobody'),
  ('billing_ops.adopt(jsonb)', 'nobody'),
  ('billing_ops.as_integers(text[])', 'service'),
  ('billing_ops.as_labels(text[],oid)', 'service'),
  ('billing_ops.as_uuids(text[])', 'service'),
  ('billing_ops.column_facts(text,text)', 'service'),
  ('billing_ops.column_like(text,text[],text[])', 'nobody'),
  ('billing_ops.complete_mapping(jsonb)', 'nobody'),
  ('billing_ops.constant(jsonb,text)', 'nobody'),
  ('billing_ops.detect()', 'nobody'),
  ('billing_ops.ends_transaction(text)', 'service'),
  ('billing_ops.fingerprint(jsonb)', 'service'),
  ('billing_ops.fingerprint_difference(jsonb,jsonb)', 'service'),
  ('billing_ops.grant_needed(jsonb)', 'nobody'),
  ('billing_ops.holds_grant(text,text,text,text)', 'service'),
  ('billing_ops.horizon_window(xid8)', 'service'),
  ('billing_ops.mapped_columns(jsonb)', 'service'),
  ('billing_ops.mapping_column_objection(jsonb)', 'nobody'),
  ('billing_ops.mapping_fields()', 'service'),
  ('billing_ops.mapping_index_objection(jsonb)', 'nobody'),
  ('billing_ops.mapping_objection(jsonb)', 'nobody'),
  ('billing_ops.mapping_shape_objection(jsonb)', 'nobody'),
  ('billing_ops.mapping_table_objection(jsonb)', 'nobody'),
  ('billing_ops.mapping_words()', 'nobody'),
  ('billing_ops.mapping_write_objection(jsonb)', 'nobody'),
  ('billing_ops.needed_grants(jsonb)', 'service'),
  ('billing_ops.one_row_each(jsonb)', 'nobody'),
  ('billing_ops.owner_table(text,text,text[])', 'nobody'),
  ('billing_ops.quantity_column(jsonb)', 'service'),
  ('billing_ops.refusal(text,text,text,text,text,text[],jsonb)', 'service'),
  ('billing_ops.relation_name(text)', 'service'),
  ('billing_ops.relation_oid(text)', 'service'),
  ('billing_ops.relation_parts(text)', 'service'),
  ('billing_ops.seed_admins()', 'nobody'),
  ('billing_ops.take_back_grants()', 'nobody'),
  ('billing_ops.unadopt()', 'nobody'),
  ('billing_ops.unique_columns(text)', 'service'),
  ('billing_ops.without_nulls(jsonb)', 'nobody'),
  -- The rest of the schema.
  ('billing_ops.admit(text,text)', 'person'),
  ('billing_ops.adoption_report()', 'service'),
  ('billing_ops.alert_json(billing_alerts)', 'both'),
  ('billing_ops.apply_condition_outcomes(jsonb)', 'service'),
  ('billing_ops.caller_standing()', 'person'),
  ('billing_ops.alert_state(billing_alerts,text)', 'person'),
  ('billing_ops.attended(billing_alerts)', 'both'),
  ('billing_ops.changes_for_run(text)', 'service'),
  ('billing_ops.clear_alert(text,text)', 'service'),
  ('billing_ops.clear_drift(uuid,text[])', 'service'),
  ('billing_ops.consume_rate_limit(text,text)', 'both'),
  ('billing_ops.drift_json(drift)', 'both'),
  ('billing_ops.drift_event_json(drift_events,drift)', 'person'),
  ('billing_ops.policies_json()', 'both'),
  ('billing_ops.drift_of_run(reconciliation_logs,text)', 'person'),
  ('billing_ops.ends_drift(text)', 'service'),
  ('billing_ops.gather_metrics()', 'service'),
  ('billing_ops.gather_monitor_facts()', 'both'),
  ('billing_ops.hand_out(bigint[])', 'service'),
  ('billing_ops.hold_run(uuid,integer,integer,jsonb,jsonb)', 'service'),
  ('billing_ops.is_admin()', 'person'),
  ('billing_ops.is_alarm(text)', 'service'),
  ('billing_ops.is_complete_sweep(reconciliation_logs)', 'both'),
  ('billing_ops.lower_mode(text,text)', 'service'),
  ('billing_ops.notification_facts()', 'both'),
  ('billing_ops.page_size(integer)', 'person'),
  ('billing_ops.policy_mode(text)', 'service'),
  ('billing_ops.exceptions_ending()', 'service'),
  ('billing_ops.prune(integer)', 'service'),
  ('billing_ops.digest_week(timestamp with time zone)', 'service'),
  ('billing_ops.digest_facts(date,jsonb)', 'service'),
  ('billing_ops.queue_digest(jsonb)', 'service'),
  ('billing_ops.queue_deliveries(bigint,billing_alerts,text)', 'service'),
  ('billing_ops.raise_alert(text,text,text,text,jsonb)', 'service'),
  ('billing_ops.rate_limit(text)', 'nobody'),
  ('billing_ops.record_alert_event(billing_alerts,text,uuid,text)', 'service'),
  ('billing_ops.record_drift(uuid,jsonb,uuid)', 'service'),
  ('billing_ops.recorded(jsonb,text,text,text,boolean,jsonb)', 'service'),
  ('billing_ops.repeat_alarms()', 'service'),
  ('billing_ops.row_said(json)', 'service'),
  ('billing_ops.rows_for_approval(jsonb)', 'person'),
  ('billing_ops.run_json(reconciliation_logs)', 'both'),
  ('billing_ops.severity_rank(text)', 'service'),
  ('billing_ops.settle_due(jsonb,timestamp with time zone)', 'service'),
  ('billing_ops.settle_silences()', 'service'),
  ('billing_ops.start_answer(text,reconciliation_logs)', 'service'),
  ('billing_ops.sync_channels(jsonb)', 'service'),
  ('billing_ops.utc(timestamp with time zone)', 'both'),
  ('billing_ops.write_items(jsonb,text[],text[],text[])', 'service');

select set_eq(
  $$select oid::regprocedure::text from pg_proc where pronamespace = 'billing_ops'::regnamespace$$,
  $$select signature from expected where signature like 'billing\_ops.%'$$,
  'every function of the schema has its row here');

-- A call with a null for every argument.
create function tests.null_call(p_signature text) returns text language sql as $$
  select format('select %s.%I(%s)', p.pronamespace::regnamespace, p.proname,
    (select string_agg('null::' || format_type(t, null), ', ' order by place)
     from unnest(p.proargtypes::oid[]) with ordinality arguments (t, place)))
  from pg_proc p where p.oid = p_signature::regprocedure
$$;

-- The people first: what a person is refused by a grant, an admin is refused too.
select is(
  case when attempt(actor, null_call(signature)) = 'denied' then 'denied' else 'allowed' end,
  case when callers = 'both' and actor <> 'anon' then 'allowed'
       when callers = 'service' and actor = 'service_role' then 'allowed'
       when callers = 'person' and actor in ('member', 'admin') then 'allowed'
       else 'denied' end,
  format('%s: %s', actor, signature))
from expected, unnest(array['anon', 'member', 'admin', 'service_role']) actor
order by signature, actor;

-- The schema is closed to anon, so that trying says nothing about the grants behind it: those are read off.
select is(has_function_privilege(role, signature, 'execute'),
  (callers = 'both' and role <> 'anon') or (callers = 'service' and role = 'service_role')
    or (callers = 'person' and role = 'authenticated'),
  format('grant of %s to %s', signature, role))
from expected, unnest(array['anon', 'authenticated', 'service_role']) role
order by signature, role;

select is(has_schema_privilege('anon', 'billing_ops', 'usage'), false, 'anon does not even see the schema of the helpers');
select is(has_schema_privilege('authenticated', 'billing_ops', 'create'), false, 'people create nothing in it');
select is(has_schema_privilege('service_role', 'billing_ops', 'create'), false, 'nor does the service role');

select * from finish();
rollback;
