-- Who may do what, on one screen. Everything is taken away first and given back by name: hosted projects grant nothing
-- by themselves any more, and earlier ones granted too much. The policies, beside their tables, say which rows
-- an admin sees. The adapter's functions are not in the list: adopt makes them, and grants them and what they need of the app's table
-- when it does (23_adapter, 24_adopt).

revoke all on schema billing_ops from public;
grant usage on schema billing_ops to authenticated, service_role;

revoke all on public.reconciliation_logs, public.drift, public.drift_events, public.drift_policies,
  public.billing_alerts, public.billing_alert_events, public.notification_channels, public.notification_deliveries,
  public.rate_limit_windows, public.stripe_due, billing_ops.stripe_deliveries, billing_ops.closed_drift_counts, billing_ops.digests
  from public, anon, authenticated, service_role;
revoke all on sequence public.drift_events_id_seq, public.billing_alert_events_id_seq, public.notification_deliveries_id_seq,
  public.stripe_due_version_seq
  from public, anon, authenticated, service_role;
grant select on public.reconciliation_logs, public.drift, public.drift_events, public.drift_policies, public.billing_alerts,
  public.billing_alert_events, public.notification_channels, public.notification_deliveries, public.stripe_due,
  billing_ops.stripe_deliveries to authenticated;
grant select, insert, update on public.reconciliation_logs, public.drift, public.drift_policies, public.billing_alerts,
  public.notification_channels, public.notification_deliveries, billing_ops.stripe_deliveries, billing_ops.closed_drift_counts to service_role;
grant select, insert, update, delete on public.stripe_due to service_role;
grant select, insert on public.drift_events, public.billing_alert_events, billing_ops.digests to service_role;

do $$
declare
  v_function record;
begin
  for v_function in
    select * from (values
      -- The API's functions, with the service key.
      ('public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid, text, integer)', 'service_role'),
      ('public.heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb)', 'service_role'),
      ('public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb, text, jsonb, timestamptz, boolean)', 'service_role'),
      ('public.note_stripe_events(jsonb)', 'service_role'),
      ('public.read_due_subscriptions(integer, timestamptz)', 'service_role'),
      ('public.read_standing_drift(jsonb)', 'service_role'),
      ('public.read_adapter_for_reconcile(jsonb)', 'service_role'),
      ('public.read_subscriptions_for_reconcile(jsonb, jsonb, boolean, text, timestamptz, timestamptz, integer)', 'service_role'),
      ('public.read_owners_for_reconcile(jsonb)', 'service_role'),
      ('public.read_unplaced_subscriptions(text, integer, integer)', 'service_role'),
      ('public.read_duplicate_live_subscriptions(jsonb, text, integer, integer, integer)', 'service_role'),
      ('public.read_rows_of_owners_for_reconcile(jsonb)', 'service_role'),
      ('public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb)', 'service_role'),
      ('public.apply_drift_decisions(uuid, jsonb, jsonb, jsonb)', 'service_role'),
      ('public.revert_drift(uuid, uuid, text, text)', 'service_role'),
      ('public.except_drift(uuid, uuid, integer, text)', 'service_role'),
      ('public.unexcept_drift(uuid, uuid, text)', 'service_role'),
      ('public.set_drift_policy(text, text, integer, uuid)', 'service_role'),
      ('public.allow_held_drift(text, integer, text, uuid)', 'service_role'),
      ('public.take_drift_allowances(uuid, integer)', 'service_role'),
      ('public.resolve_billing_alert(uuid, uuid, text)', 'service_role'),
      ('public.attend_billing_alert(uuid, uuid, text, integer, text)', 'service_role'),
      ('public.claim_deliveries(jsonb, text, jsonb)', 'service_role'),
      ('public.claim_delivery(jsonb, text, bigint)', 'service_role'),
      ('public.finish_deliveries(jsonb)', 'service_role'),
      ('public.monitor_facts(text)', 'service_role'),
      ('public.apply_monitor_outcomes(jsonb, jsonb)', 'service_role'),
      ('public.read_metrics(text)', 'service_role'),
      ('public.billing_ops_schema(text)', 'service_role'),
      ('public.billing_ops_adoption()', 'service_role'),
      -- The API's functions, with a person's own token. Each asks first whether the person is an admin.
      ('public.admin_authorize(text, text)', 'authenticated'),
      ('public.admin_monitor_facts(text)', 'authenticated'),
      ('public.admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_reconciliation_runs(text, text, text, integer, timestamptz, uuid, text)', 'authenticated'),
      ('public.admin_reconciliation_run(uuid, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_drift(text, text, text, text, text, text, integer, timestamptz, uuid)', 'authenticated'),
      ('public.admin_drift_for_approval(jsonb, text)', 'authenticated'),
      ('public.admin_drift_policies(text)', 'authenticated'),
      ('public.admin_notifications(text, text, text, uuid, integer, bigint)', 'authenticated'),
      ('public.admin_export(text, timestamptz, timestamptz, jsonb, integer, text)', 'authenticated'),
      -- What those call with their caller's rights. The API does not show this schema to anyone.
      ('billing_ops.is_complete_sweep(public.reconciliation_logs)', 'authenticated, service_role'),
      ('billing_ops.changes_for_run(text)', 'service_role'),
      ('billing_ops.settle_due(jsonb, timestamptz)', 'service_role'),
      ('billing_ops.start_answer(text, public.reconciliation_logs)', 'service_role'),
      ('billing_ops.hold_run(uuid, integer, integer, jsonb, jsonb)', 'service_role'),
      ('billing_ops.adoption_report()', 'service_role'),
      ('billing_ops.ends_drift(text)', 'service_role'),
      ('billing_ops.record_drift(uuid, jsonb, uuid)', 'service_role'),
      ('billing_ops.row_said(json)', 'service_role'),
      ('billing_ops.write_items(jsonb, text[], text[], text[])', 'service_role'),
      ('billing_ops.recorded(jsonb, text, text, text, boolean, jsonb)', 'service_role'),
      ('billing_ops.lower_mode(text, text)', 'service_role'),
      ('billing_ops.policy_mode(text)', 'service_role'),
      ('billing_ops.exceptions_ending()', 'service_role'),
      ('billing_ops.policies_json()', 'authenticated, service_role'),
      ('billing_ops.clear_drift(uuid, text[])', 'service_role'),
      ('billing_ops.severity_rank(text)', 'service_role'),
      ('billing_ops.attended(public.billing_alerts)', 'authenticated, service_role'),
      ('billing_ops.record_alert_event(public.billing_alerts, text, uuid, text)', 'service_role'),
      ('billing_ops.is_alarm(text)', 'service_role'),
      ('billing_ops.queue_deliveries(bigint, public.billing_alerts, text)', 'service_role'),
      ('billing_ops.sync_channels(jsonb)', 'service_role'),
      ('billing_ops.digest_week(timestamptz)', 'service_role'),
      ('billing_ops.digest_facts(date, jsonb)', 'service_role'),
      ('billing_ops.queue_digest(jsonb)', 'service_role'),
      ('billing_ops.settle_silences()', 'service_role'),
      ('billing_ops.repeat_alarms()', 'service_role'),
      ('billing_ops.hand_out(bigint[])', 'service_role'),
      ('billing_ops.notification_facts()', 'authenticated, service_role'),
      ('billing_ops.raise_alert(text, text, text, text, jsonb)', 'service_role'),
      ('billing_ops.clear_alert(text, text)', 'service_role'),
      ('billing_ops.apply_condition_outcomes(jsonb)', 'service_role'),
      ('billing_ops.prune(integer)', 'service_role'),
      ('billing_ops.is_admin()', 'authenticated'),
      ('billing_ops.caller_standing()', 'authenticated'),
      ('billing_ops.admit(text, text)', 'authenticated'),
      ('billing_ops.page_size(integer)', 'authenticated'),
      ('billing_ops.alert_state(public.billing_alerts, text)', 'authenticated'),
      ('billing_ops.rows_for_approval(jsonb)', 'authenticated'),
      ('billing_ops.utc(timestamptz)', 'authenticated, service_role'),
      ('billing_ops.consume_rate_limit(text, text)', 'authenticated, service_role'),
      ('billing_ops.run_json(public.reconciliation_logs)', 'authenticated, service_role'),
      ('billing_ops.alert_json(public.billing_alerts)', 'authenticated, service_role'),
      ('billing_ops.drift_json(public.drift)', 'authenticated, service_role'),
      ('billing_ops.drift_event_json(public.drift_events, public.drift)', 'authenticated'),
      ('billing_ops.drift_of_run(public.reconciliation_logs, text)', 'authenticated'),
      ('billing_ops.gather_monitor_facts()', 'authenticated, service_role'),
      ('billing_ops.gather_metrics()', 'service_role'),
      -- Only for their owner: what migrations and definers call.
      ('billing_ops.rate_limit(text)', null)
    ) as listed (signature, roles)
  loop
    -- From public too, as every new function may be called by everyone until that is taken away.
    execute format('revoke all on function %s from public, anon, authenticated, service_role',
                   v_function.signature::regprocedure);
    if v_function.roles is not null then
      execute format('grant execute on function %s to %s', v_function.signature::regprocedure, v_function.roles);
    end if;
  end loop;
end
$$;
