-- Mutants of the adapter (scripts/test-adapter.sh --mutants): each takes one guard out, and the test that it names must go red.
-- "-- mutant: NAME | DATABASE | FILE" begins one; pg_temp.rewrite(function, from, to) changes a function's text, and fails where that
-- text is not there.

-- mutant: compare-and-set does not compare | races | races
select pg_temp.rewrite('billing_ops.adapter_generate', ' and s.xmin = r.version::xid', '');
-- mutant: nothing is ever newer | races | races
select pg_temp.rewrite('billing_ops.horizon_window', 'else w.width end', 'else 0 end');
-- mutant: a horizon of another life proves that nothing is newer | races | races
select pg_temp.rewrite('billing_ops.horizon_window', 'then 4294967296', 'then 0');
-- mutant: a row that came meanwhile is a refusal | races | races
select pg_temp.rewrite('billing_ops.adapter_insert', 'when there.id is not null then ''superseded''', 'when false then ''superseded''');
-- mutant: ids are compared as they stand | races | races
select pg_temp.rewrite('billing_ops.adapter_generate', '((s.xmin::text::bigint - v_horizon) & 4294967295) < v_window', 's.xmin::text::bigint > v_horizon + v_window');
-- mutant: one row takes the batch with it | vercel | vercel
select pg_temp.rewrite('billing_ops.adapter_write', 'jsonb_array_length(p_rows) > 1', 'false');
-- mutant: the message of a trigger is told | vercel | vercel
select pg_temp.rewrite('billing_ops.refusal', 'trigger %s refuses it', 'the code %s says no');
-- mutant: defaults are believed | vercel | vercel
select pg_temp.rewrite('billing_ops.adapter_generate', 'm.word ^@ ''where.'' or m.word ^@ ''on_insert.''', 'm.word ^@ ''where.''');
-- mutant: what was granted stays | vercel | vercel
select pg_temp.rewrite('billing_ops.take_back_grants', 'revoke %s (%I) on %s from service_role', 'grant %s (%I) on %s to service_role');
-- mutant: rows of another provider are read | basejump | basejump
select pg_temp.rewrite('billing_ops.adapter_generate', 'from pg_catalog.jsonb_each(p_mapping -> ''where'') w (attribute, said);', 'from pg_catalog.jsonb_each(p_mapping -> ''where'') w (attribute, said) where false;');
-- mutant: times without a zone are the session's | better_auth | better_auth
select pg_temp.rewrite('billing_ops.adapter_written', 'pg_catalog.timezone(''''UTC'''', pg_catalog.to_timestamp(r.%I))', 'pg_catalog.to_timestamp(r.%I)');
-- mutant: text is cut to fit | saas_starter | saas_starter
select pg_temp.rewrite('billing_ops.adapter_written', 'else pg_catalog.format(''r.%I'', p_word)', 'else pg_catalog.format(''r.%I::varchar(20)'', p_word)');
-- mutant: constraints wait for the commit | bigint_enum | bigint_enum
select pg_temp.rewrite('billing_ops.adapter_write', 'set constraints all immediate;', '');
-- mutant: an assertion is not an error | bigint_enum | bigint_enum
select pg_temp.rewrite('billing_ops.adapter_write', 'when assert_failure or others', 'when others');
-- mutant: a lost transaction is a row's refusal | bigint_enum | bigint_enum
select pg_temp.rewrite('billing_ops.ends_transaction', 'pg_catalog.left(p_sqlstate, 2) in', 'pg_catalog.left(p_sqlstate, 3) in');
-- mutant: rights that are gone are not missed | bigint_enum | bigint_enum
select pg_temp.rewrite('billing_ops.adapter_state', 'where not coalesce(billing_ops.holds_grant', 'where false and not coalesce(billing_ops.holds_grant');
-- mutant: an enum is remembered by its oid | vercel | vercel
select pg_temp.rewrite('billing_ops.adapter_generate', 'v_status ->> ''type'', v_status ->> ''type'')', '(v_status ->> ''type'')::regtype::oid, v_status ->> ''type'')');
-- mutant: a customer's rows are counted, not its owners | seed | seed
select pg_temp.rewrite('billing_ops.adapter_generate', 'count(distinct k.owner)', 'count(*)');
-- mutant: a shared customer is somebody's | seed | seed
select pg_temp.rewrite('billing_ops.adapter_generate', 'case when count(distinct k.owner) = 1 then pg_catalog.min(k.owner) end', 'pg_catalog.min(k.owner)');
-- mutant: people of every role are admins | seed | seed
select pg_temp.rewrite('billing_ops.admins_body', 'when s ? ''role''', 'when false');
-- mutant: users.role is not proposed | seed | seed
select pg_temp.rewrite('billing_ops.seed_admins', '{id}', '{no_id}');

-- mutant: the second place of admins is not looked at | refusals | refusals
select pg_temp.rewrite('billing_ops.mapping_shape_objection', 'select ''admins'', s from billing_ops.admin_sources(v_mapping) s', 'select ''admins'', v_mapping -> ''admins'' where jsonb_typeof(v_mapping -> ''admins'') = ''object''');
-- mutant: a list of anything names admins | refusals | refusals
select pg_temp.rewrite('billing_ops.mapping_shape_objection', 'if pg_catalog.jsonb_typeof(v_object) <> ''object'' then', 'if false then');
-- mutant: a role without words goes | refusals | refusals
select pg_temp.rewrite('billing_ops.mapping_shape_objection', '(s ? ''role'') <> (s ? ''in'')', 'false');
-- mutant: the columns of admins are not looked up | refusals | refusals
select pg_temp.rewrite('billing_ops.mapping_column_objection', 'cross join lateral pg_catalog.unnest(array[s ->> ''user'', s ->> ''role'']) a where a is not null', 'cross join lateral pg_catalog.unnest(array[s ->> ''user'', s ->> ''role'']) a where false');
-- mutant: the horizon is taken after the reads | races | races
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', '''horizon'', v_horizon', '''horizon'', pg_snapshot_xmin(pg_current_snapshot())::text');
-- mutant: the horizon of a run is the end of the snapshot | races | races
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'pg_snapshot_xmin(pg_current_snapshot())', 'pg_snapshot_xmax(pg_current_snapshot())');
-- mutant: rows are not compared with the horizon | races | races
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'adapter_read(v_all, p_horizon::xid8)', 'adapter_read(v_all, null)');
-- mutant: a subscription that two see for the first time fails one | races | races
select pg_temp.rewrite('public.read_subscriptions_for_reconcile', 'on conflict do nothing', '');
-- mutant: a batch that is sent twice at once is applied twice | races | races
select pg_temp.rewrite('public.apply_reconciliation_batch', 'perform pg_advisory_xact_lock(hashtextextended(p_run_id::text, jsonb_hash_extended(p_items, 0)));', '');
-- mutant: a run that was given up for dead writes | races | races
select pg_temp.rewrite('public.apply_reconciliation_batch', 'raise exception ''the attempt was given up for dead'' using errcode = ''BOFEN'';', 'null;');
-- mutant: rows are locked as they are found | races | races
select pg_temp.rewrite('billing_ops.adapter_generate', 'order by %2$s for no key update', 'order by %2$s desc for no key update');
-- mutant: two who approve the same new row at once | races | races
select pg_temp.rewrite('public.apply_drift_decisions', 'perform pg_advisory_xact_lock(hashtextextended(''billing_ops.decide:'' || s.id, 0))', 'perform 1');
-- mutant: who approves several waits for a run | races | races
select pg_temp.rewrite('public.apply_drift_decisions', 'for update skip locked', 'for update');
-- mutant: a run's word goes before what a person has just let stand | races | races
select pg_temp.rewrite('billing_ops.record_drift', 'case when d.excepted_until > v_now then d.action else excluded.action end', 'excluded.action');
