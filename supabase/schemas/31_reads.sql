-- What a run reads of subscriptions, in as few calls as there are pages: the rows to compare, the rows that Stripe did
-- not list, and organizations that pay twice.

create function billing_ops.subscription_facts(p_row public.subscriptions)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_array(
    p_row.id,
    p_row.row_version,
    p_row.organization_id,
    p_row.stripe_subscription_id,
    p_row.stripe_customer_id,
    p_row.status,
    p_row.tier,
    p_row.stripe_price_id,
    p_row.quantity,
    extract(epoch from p_row.current_period_start)::bigint,
    extract(epoch from p_row.current_period_end)::bigint,
    p_row.cancel_at_period_end,
    extract(epoch from p_row.trial_end)::bigint,
    p_row.livemode,
    extract(epoch from p_row.stripe_created)::bigint,
    floor(extract(epoch from pg_catalog.clock_timestamp() - p_row.updated_at) * 1000)::bigint
  )
$$;
comment on function billing_ops.subscription_facts(public.subscriptions) is
  'A row as the reconciler compares it: an array in fixed order, times as Unix seconds like Stripe''s; last,
  the milliseconds since the row was written: what changed after Stripe was asked is newer than Stripe''s answer. Arrays, since the
  names of sixteen fields are most of the bytes of a hundred thousand rows.';

create function public.read_subscriptions_for_reconcile(
  p_stripe_ids jsonb,
  p_created_from timestamptz default null,
  p_created_to timestamptz default null,
  p_unexplained_limit integer default 1000
)
returns json
language sql stable
set search_path = ''
as $$
  with ids as materialized (
    select array(select pg_catalog.jsonb_array_elements_text(p_stripe_ids)) as wanted
  ),
  known as (
    select pg_catalog.json_agg(billing_ops.subscription_facts(s)) as rows
    from public.subscriptions s
    where s.stripe_subscription_id = any ((select wanted from ids)::text[])
  ),
  unexplained as materialized (
    select s.stripe_subscription_id, s.stripe_created, s.id
    from public.subscriptions s
    where s.stripe_subscription_id is not null
      and s.stripe_created >= p_created_from and s.stripe_created < p_created_to
      and not exists (
        select 1 from pg_catalog.jsonb_array_elements_text(p_stripe_ids) wanted(id)
        where wanted.id = s.stripe_subscription_id)
  )
  select pg_catalog.json_build_object(
    'rows', coalesce((select rows from known), '[]'::json),
    'open', coalesce((select pg_catalog.json_agg(pg_catalog.json_build_array(d.stripe_subscription_id, d.drift_key))
                      from public.drift d
                      where d.closed_at is null
                        and d.stripe_subscription_id = any ((select wanted from ids)::text[])), '[]'::json),
    'unexplained', coalesce((select pg_catalog.json_agg(first.stripe_subscription_id)
                             from (select u.stripe_subscription_id from unexplained u
                                   order by u.stripe_created, u.id limit p_unexplained_limit) first), '[]'::json),
    'unexplained_count', (select count(*) from unexplained)
  )
$$;
comment on function public.read_subscriptions_for_reconcile(jsonb, timestamptz, timestamptz, integer) is
  'Answers {rows, open, unexplained, unexplained_count}: the facts of the rows with the given Stripe ids; the differences that
  stand of these, as [stripe_subscription_id, drift_key]; and the Stripe ids of rows created in [from, to) that are not among them (at most p_unexplained_limit; the count is of all).';

create function public.read_unplaced_subscriptions(p_after uuid default null, p_limit integer default 1000)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(page.id, page.stripe_subscription_id)), '[]'::json))
  from (
    select s.id, s.stripe_subscription_id from public.subscriptions s
    where s.stripe_created is null and s.stripe_subscription_id is not null
      and s.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
    order by s.id limit p_limit
  ) page
$$;
comment on function public.read_unplaced_subscriptions(uuid, integer) is
  'Answers {rows: [[id, stripe_subscription_id]]}: rows whose creation in Stripe is not known, by pages. A scan fills it in for
  every subscription that it sees, so what is left after a scan was not in Stripe''s list.';

create function public.read_duplicate_live_subscriptions(p_after uuid default null, p_limit integer default 100)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(page.organization_id, page.ids)), '[]'::json))
  from (
    select s.organization_id,
           pg_catalog.json_agg(s.stripe_subscription_id order by s.stripe_subscription_id) as ids
    from public.subscriptions s
    where s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') and s.stripe_subscription_id is not null
      and s.organization_id in (
        select d.organization_id from public.subscriptions d
        where d.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') and d.stripe_subscription_id is not null
          and (p_after is null or d.organization_id > p_after)
        group by d.organization_id having count(*) > 1
        order by d.organization_id limit p_limit)
    group by s.organization_id
    order by s.organization_id
  ) page
$$;
comment on function public.read_duplicate_live_subscriptions(uuid, integer) is
  'Answers {rows: [[organization_id, [stripe_subscription_id, …]]]}: organizations with more than one live
  subscription in Stripe. A plan that Stripe does not know is none of them.';
