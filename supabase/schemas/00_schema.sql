-- The files of this folder are the database as it is today, each object once; they apply in the order of their names.
-- They are for reading: databases get them through supabase/migrations, whose README.md says how to change them.
--
-- Here are the schema of the helpers and the two functions that belong to no topic: how a time is written, and which
-- version of all this a database has.

create schema billing_ops;
comment on schema billing_ops is
  'Helpers of billing-ops. Not exposed through the API: only functions in public are callable from outside.';

-- plpgsql, since it keeps its plan for the session: a page of 200 alerts calls it 800 times.
create function billing_ops.utc(p_time timestamptz)
returns text
language plpgsql stable
set search_path = ''
as $$
begin
  return pg_catalog.to_char(p_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
end
$$;
comment on function billing_ops.utc(timestamptz) is 'RFC 3339 in UTC with microseconds, whatever the session''s time zone.';

create function public.billing_ops_schema(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('health', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'version', 2);
end
$$;
comment on function public.billing_ops_schema(text) is
  'For /api/health?deep=1: answers {outcome: ok|rate_limited, version, retry_after}. The version rises with each migration that
  the functions need; they say which one they were built for.';
