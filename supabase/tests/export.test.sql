-- The export: all that a span of time holds, oldest first, by pages that meet.
begin;
\ir helpers/actors.psql
select no_plan();

-- Nine runs, nine entries and an event for each, at three times: three of each time, so that the id decides. Ids fall as n rises, so that
-- neither the order of writing nor that of n is the right one by chance.
create function tests.id(p_n integer) returns uuid language sql as $$ select ('00000000-0000-4000-8000-00000000000' || 10 - p_n)::uuid $$;
create function tests.at(p_n integer) returns timestamptz language sql as $$ select timestamptz '2026-01-01Z' + make_interval(hours => (p_n + 2) / 3) $$;
insert into public.reconciliation_logs (id, run_key, run_type, status, started_at, finished_at)
select id(n), 'run_' || n, 'scheduled', 'success', at(n), at(n) + interval '1 second' from generate_series(1, 9) n;
insert into public.drift (id, drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, issue, action, first_seen_at,
  last_seen_at, first_run_id, last_run_id)
select id(n), 'key_' || n, 'status_mismatch', 'info', 'owner ' || n, 'sub_' || n, 'cus_' || n, 'issue ' || n, 'observed', at(n), at(n), id(n), id(n)
from generate_series(1, 9) n;
insert into public.drift_events (id, drift_id, event, run_id, note, created_at) overriding system value
select 1000010 - n, id(n), 'observed', id(n), 'note ' || n, at(n) from generate_series(1, 9) n;

-- Each call from an address of its own, but for those that count calls.
create function tests.export(p_what text, p_arguments text default '') returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_export(%L, p_client => %L %s)', p_what, gen_random_uuid(), p_arguments))
$$;
-- Which n a page has.
create function tests.shown(p_answer jsonb) returns text language sql as $$
  select string_agg(right(coalesce(item ->> 'run_key', item ->> 'drift_key'), 1), ' ' order by place)
  from jsonb_array_elements(p_answer -> 'items') with ordinality items (item, place)
$$;
-- The cursor of the row in a place of a page, from 0.
create function tests.place(p_answer jsonb, p_place integer) returns text language sql as $$
  select format($f$, p_cursor => %L$f$, jsonb_build_object('id', item ->> 'id', 'at',
    coalesce(item ->> 'started_at', item ->> 'first_seen_at', item ->> 'created_at')))
  from (select p_answer -> 'items' -> p_place) row (item)
$$;
-- All of it, page by page; as what the pages say one after the other.
create function tests.walk(p_what text, p_arguments text, p_limit integer) returns text language plpgsql as $$
declare
  v_cursor text := '';
  v_answer jsonb;
  v_shown text[] := '{}';
begin
  for v_page in 1 .. 20 loop
    v_answer := tests.export(p_what, p_arguments || format(', p_limit => %s', p_limit) || v_cursor);
    v_shown := v_shown || (string_to_array(tests.shown(v_answer), ' '))[1:p_limit];
    exit when jsonb_array_length(v_answer -> 'items') <= p_limit;
    v_cursor := tests.place(v_answer, p_limit - 1);
  end loop;
  return array_to_string(v_shown, ' ');
end
$$;

-- Order, span, pages ---------------------------------------------------------------------------------------------------------------

create temporary table kinds (what text);
insert into kinds values ('drift'), ('history'), ('runs');
select is(shown(export(what)), '3 2 1 6 5 4 9 8 7', what || ': oldest first, the id decides within one time') from kinds;
select is(shown(export(what, $$, p_from => '2026-01-01 02:00Z'$$)), '6 5 4 9 8 7', what || ': from is included') from kinds;
select is(shown(export(what, $$, p_to => '2026-01-01 02:00Z'$$)), '3 2 1', what || ': to is not') from kinds;
select is(shown(export(what, $$, p_from => '2026-01-01 02:00Z', p_to => '2026-01-01 03:00Z'$$)), '6 5 4', what || ': between') from kinds;
select is(export(what, $$, p_from => '2026-01-01 02:00Z', p_to => '2026-01-01 02:00Z'$$), '{"outcome": "ok", "items": [], "total": 0}',
  what || ': an empty span') from kinds;
select is(shown(export(what, ', p_limit => 4')), '3 2 1 6 5', what || ': a page, and one more that says there is a next') from kinds;
select is(walk(what, '', size), '3 2 1 6 5 4 9 8 7', format('%s: pages of %s meet without a gap or a double', what, size))
from kinds, unnest(array[1, 2, 3, 4, 9]) size;
select is(walk(what, $$, p_from => '2026-01-01 02:00Z', p_to => '2026-01-01 03:00Z'$$, 2), '6 5 4', what || ': within a span, too') from kinds;
select is(shown(export(what, $$, p_from => '2026-01-01 03:00Z'$$ || place(export(what), 1))), '9 8 7',
  what || ': a cursor of before the span begins with the span') from kinds;
select is(array[export(what) -> 'total', export(what, $$, p_from => '2026-01-01 02:00Z', p_limit => 1$$) -> 'total',
  export(what, $$, p_to => '2026-01-01 02:00Z'$$) -> 'total', export(what, place(export(what), 1)) -> 'total'],
  array['9', '6', '3', 'null']::jsonb[], what || ': how many there are in the span, with the first page only') from kinds;

-- What is written meanwhile: before the place, at its very time on either side, and after it.
select place(export('drift', ', p_limit => 4'), 3) as drift, place(export('history', ', p_limit => 4'), 3) as history,
  place(export('runs', ', p_limit => 4'), 3) as runs \gset next_
insert into public.drift (id, drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id)
select ('00000000-0000-4000-8000-0000000000' || n.id)::uuid, 'new_' || n.name, 'status_mismatch', 'info', 'new', 'none', n.at, n.at, id(1), id(1)
from (values ('90', 'a', at(1)), ('00', 'b', at(4)), ('91', 'c', at(4)), ('92', 'd', at(9) + interval '1 hour')) n (id, name, at);
insert into public.reconciliation_logs (id, run_key, run_type, status, started_at, finished_at)
select d.id, d.drift_key, 'scheduled', 'success', d.first_seen_at, d.first_seen_at from public.drift d where d.drift_key like 'new_%';
insert into public.drift_events (id, drift_id, event, created_at) overriding system value
select case right(d.drift_key, 1) when 'b' then 1000000 else 1000100 + row_number() over (order by d.drift_key) end, d.id, 'none', d.first_seen_at
from public.drift d where d.drift_key like 'new_%';
select is(shown(export('drift', :'next_drift')), '5 4 c 9 8 7 d', 'drift: the next page goes on where the last one ended, whatever was added');
select is(shown(export('history', :'next_history')), '5 4 c 9 8 7 d', 'history: the same');
select is(shown(export('runs', :'next_runs')), '5 4 c 9 8 7 d', 'runs: the same');
delete from public.drift where id in (id(6), id(5));
select is(array[shown(export('drift', :'next_drift')), shown(export('history', :'next_history'))], array['4 c 9 8 7 d', '4 c 9 8 7 d'],
  'nor does it matter that the last row of a page is gone');
delete from public.drift where drift_key like 'new_%';

-- What a row says --------------------------------------------------------------------------------------------------------------------

select is(export('drift', ', p_limit => 1') -> 'items' -> 0, (select billing_ops.drift_json(d) from public.drift d where d.id = id(3)), 'drift: an entry');
select is(export('runs', ', p_limit => 1') -> 'items' -> 0, (select billing_ops.run_json(r) from public.reconciliation_logs r where r.id = id(3)), 'runs: a run');
select is(export('history', ', p_limit => 1') -> 'items' -> 0, '{"id": "1000007", "created_at": "2026-01-01T01:00:00.000000Z", "event": "observed",
  "drift_id": "00000000-0000-4000-8000-000000000007", "drift_key": "key_3", "type": "status_mismatch", "owner": "owner 3",
  "stripe_subscription_id": "sub_3", "stripe_customer_id": "cus_3", "run_id": "00000000-0000-4000-8000-000000000007", "actor": null,
  "note": "note 3"}', 'history: an event, with what says whose entry it is');

-- Limits, and who is let in ------------------------------------------------------------------------------------------------------------

select is(call('member', format('public.admin_export(%L)', what)), '{"outcome": "forbidden"}', what || ': a member gets nothing') from kinds;
select is(export('alerts'), '{"outcome": "not_found"}', 'what there is no export of');
select is(export(null), '{"outcome": "not_found"}', 'nor of nothing');
truncate public.rate_limit_windows;
select is(call('admin', $$public.admin_export('runs', p_client => '192.0.2.1')$$) ->> 'outcome', case when n > 60 then 'rate_limited' else 'ok' end,
  'sixty pages a minute for one address: ' || n) from generate_series(1, 61) n;
select results_eq('select route, client, hits from public.rate_limit_windows', $$values ('export', '192.0.2.1', 60)$$, 'counted as calls of the export');
insert into public.drift_events (drift_id, event) select id(1), 'none' from generate_series(1, 1100);
select is(jsonb_array_length(export('history', ', p_limit => ' || said) -> 'items'), given, 'a page of at most 1,000 rows: ' || said)
from (values ('1000000', 1001), ('null', 1001), ('0', 2), ('-5', 2), ('999', 1000)) pages (said, given);

select * from finish();
rollback;
