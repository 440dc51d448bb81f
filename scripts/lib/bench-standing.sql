-- What 20,000 standing differences cost over five runs: rows and bytes after each. Autovacuum is off, so this is the worst case;
-- what "HOT" counts are new versions of a row that touched no index.
truncate public.reconciliation_logs, public.drift, public.drift_events cascade;
create temporary table sizes (run integer, entries bigint, events bigint, table_size text, index_size text, updates bigint, hot bigint);
grant all on sizes to public;
create procedure pg_temp.standing_run(n integer) language plpgsql as $$
declare
  v_run uuid;
begin
  v_run := (public.start_reconciliation_run('scheduled_' || n, 'scheduled', 24, 330) -> 'run' ->> 'id')::uuid;
  for batch in 0..39 loop
    perform public.apply_reconciliation_batch(v_run, 1, 330, (
      select jsonb_agg(jsonb_build_object('kind', 'none', 'findings', jsonb_build_array(jsonb_build_object(
        'drift_key', 'unknown_price:sub_' || i, 'type', 'unknown_price', 'severity', 'warning', 'stripe_subscription_id', 'sub_' || i,
        'stripe_customer_id', 'cus_' || i, 'livemode', true, 'issue', 'No tier is configured for its price.',
        'details', jsonb_build_object('tier', '{"database": "pro", "stripe": null}'::jsonb, 'prices', jsonb_build_array('price_' || i))))))
      from generate_series(batch * 500 + 1, batch * 500 + 500) i));
    commit;
  end loop;
  perform public.finish_reconciliation_run(v_run, 1, 'success', '{}', 'm', p_judged => '["unknown_price"]');
end
$$;
-- Postgres counts a session's updates between two commands, not inside one: so each run is a command of its own.
select format('call pg_temp.standing_run(%s)', n), 'do $$begin perform pg_stat_force_next_flush(); end$$', format(
  $sql$insert into sizes select %s, (select count(*) from public.drift), (select count(*) from public.drift_events),
    pg_size_pretty(pg_relation_size('public.drift')), pg_size_pretty(pg_indexes_size('public.drift')), n_tup_upd, n_tup_hot_upd
  from pg_stat_user_tables where relid = 'public.drift'::regclass$sql$, n)
from generate_series(1, 5) n
\gexec
select * from sizes order by run;
