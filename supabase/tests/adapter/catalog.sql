-- All that the catalog knows of the app's objects, as lines that can be compared, but for who may do what and what vacuum counts.
with app as (
  select oid from pg_namespace
  where nspname not in ('information_schema', 'billing_ops', 'extensions') and nspname !~ '^pg_'
),
-- What billing-ops puts beside them, in public.
ours as (
  select c.oid, c.reltype from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relname in ('reconciliation_logs', 'drift', 'drift_events', 'drift_policies', 'billing_alerts',
    'billing_alert_events', 'notification_channels', 'notification_deliveries', 'rate_limit_windows', 'stripe_due')
),
relation as (
  select c.* from pg_class c
  where c.relnamespace in (select oid from app) and c.oid not in (select oid from ours)
    and not exists (select 1 from pg_index i join ours on ours.oid = i.indrelid where i.indexrelid = c.oid)
    and not exists (select 1 from pg_depend d join ours on ours.oid = d.refobjid where d.objid = c.oid and c.relkind = 'S')
),
function as (
  select p.* from pg_proc p
  where p.pronamespace in (select oid from app)
    and not (p.pronamespace = 'public'::regnamespace and p.proname in ('start_reconciliation_run', 'heartbeat_reconciliation_run',
      'finish_reconciliation_run', 'read_adapter_for_reconcile', 'read_subscriptions_for_reconcile', 'read_unplaced_subscriptions',
      'read_owners_for_reconcile', 'read_rows_of_owners_for_reconcile', 'read_duplicate_live_subscriptions', 'apply_reconciliation_batch', 'apply_drift_decisions',
      'revert_drift', 'except_drift', 'unexcept_drift', 'set_drift_policy', 'allow_held_drift', 'take_drift_allowances', 'resolve_billing_alert',
      'attend_billing_alert', 'claim_deliveries', 'claim_delivery', 'finish_deliveries', 'monitor_facts',
      'note_stripe_events', 'read_due_subscriptions', 'read_standing_drift', 'apply_monitor_outcomes', 'read_metrics', 'billing_ops_schema', 'billing_ops_adoption', 'admin_authorize', 'admin_monitor_facts',
      'admin_billing_alerts', 'admin_reconciliation_runs', 'admin_reconciliation_run', 'admin_drift',
      'admin_drift_for_approval', 'admin_drift_policies', 'admin_notifications', 'admin_export'))
),
type as (
  select t.* from pg_type t
  where t.typnamespace in (select oid from app)
    and not exists (select 1 from ours where ours.reltype in (t.oid, t.typelem))
)
select 'schema ' || ((to_jsonb(n) - 'nspacl'))::text from pg_namespace n where n.oid in (select oid from app)
union all select 'class ' || ((to_jsonb(c) - 'relacl' - 'relpages' - 'reltuples' - 'relallvisible' - 'relfrozenxid' - 'relminmxid'))::text from relation c
union all select 'attribute ' || ((to_jsonb(a) - 'attacl'))::text from pg_attribute a join relation c on c.oid = a.attrelid
union all select 'default ' || (to_jsonb(d))::text from pg_attrdef d join relation c on c.oid = d.adrelid
union all select 'constraint ' || (to_jsonb(k))::text from pg_constraint k where k.connamespace in (select oid from app)
  and (k.conrelid = 0 or k.confrelid in (select oid from relation) or k.conrelid in (select oid from relation))
union all select 'trigger ' || (to_jsonb(t))::text from pg_trigger t join relation c on c.oid = t.tgrelid
union all select 'index ' || (to_jsonb(i))::text from pg_index i join relation c on c.oid = i.indrelid
union all select 'policy ' || (to_jsonb(p))::text from pg_policy p join relation c on c.oid = p.polrelid
union all select 'rule ' || (to_jsonb(r))::text from pg_rewrite r join relation c on c.oid = r.ev_class
union all select 'function ' || ((to_jsonb(f) - 'proacl'))::text from function f
union all select 'type ' || ((to_jsonb(t) - 'typacl'))::text from type t
union all select 'label ' || (to_jsonb(e))::text from pg_enum e join type t on t.oid = e.enumtypid
union all select 'sequence ' || (to_jsonb(s))::text from pg_sequence s join relation c on c.oid = s.seqrelid
union all select 'comment ' || (to_jsonb(d))::text from pg_description d join relation c on c.oid = d.objoid
union all select 'statistics ' || (to_jsonb(s))::text from pg_statistic_ext s join relation c on c.oid = s.stxrelid
order by 1;
