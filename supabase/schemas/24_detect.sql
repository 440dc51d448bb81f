-- Tables that people start from, known by their shape. Proposals only: nothing is adopted here.

create function billing_ops.column_like(p_relation text, p_families text[], p_names text[])
returns text
language plpgsql stable
set search_path = ''
as $$
begin
  return (
    select n.name
    from pg_catalog.unnest(p_names) with ordinality n (name, place)
    cross join lateral billing_ops.column_facts(p_relation, n.name) f
    where f.family = any (p_families)
    order by n.place limit 1);
end
$$;
comment on function billing_ops.column_like(text, text[], text[]) is
  'The first of these columns that a table has, and whose type could serve; else null.';
revoke all on function billing_ops.column_like(text, text[], text[]) from public, anon, authenticated;

create function billing_ops.owner_table(p_relation text, p_attribute text, p_guesses text[])
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('table', g.relation, 'key', g.attribute)
  from (
    select 0::bigint as place, pg_catalog.format('%I.%I', n.nspname, c.relname) as relation, a.attname::text as attribute
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = k.confkey[1]
    where k.contype = 'f' and k.conrelid = (select billing_ops.relation_oid(p_relation)) and pg_catalog.cardinality(k.conkey) = 1
      and k.conkey[1] = (select f.attnum from billing_ops.column_facts(p_relation, p_attribute) f)
    union all
    select g.place, g.relation, 'id' from pg_catalog.unnest(p_guesses) with ordinality g (relation, place)
  ) g
  cross join lateral billing_ops.column_facts(g.relation, g.attribute) f
  -- Supabase's own auth.users belongs to another role, which grants nothing on it.
  where not g.relation ^@ 'auth.' and f.family = (select o.family from billing_ops.column_facts(p_relation, p_attribute) o)
    and exists (select 1 from billing_ops.unique_columns(g.relation) u where u.columns = array[g.attribute] and u.predicate is null)
  order by g.place limit 1
$$;
comment on function billing_ops.owner_table(text, text, text[]) is
  'Where the owners of a table are: what the column references, or else the first of the guesses that could be; null if there is none.';
revoke all on function billing_ops.owner_table(text, text, text[]) from public, anon, authenticated;

create function billing_ops.seed_admins()
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when billing_ops.column_like('public.organization_members', '{uuid,text}', '{user_id}') is not null
      and billing_ops.column_like('public.organization_members', '{text,enum}', '{role}') is not null
      and billing_ops.column_like('public.organization_members', '{uuid,text,integer}', '{organization_id}') is not null
    then '[{"table": "public.organization_members", "user": "user_id", "role": "role", "in": ["owner", "admin"]}]'::jsonb
      || case when billing_ops.column_like('public.users', '{uuid,text}', '{id}') is not null
          and billing_ops.column_like('public.users', '{text,enum}', '{role}') is not null
        then '[{"table": "public.users", "user": "id", "role": "role", "in": ["owner", "admin"]}]'::jsonb else '[]' end
    end
$$;
comment on function billing_ops.seed_admins() is
  'Where the seed''s shape has its admins: memberships, and users.role beside them; null where there are no such memberships.';
revoke all on function billing_ops.seed_admins() from public, anon, authenticated;

create function billing_ops.detect()
returns jsonb
language sql stable
set search_path = ''
as $$
  with families as (
    select '{uuid,text,integer}'::text[] as keys, '{text}'::text[] as texts, '{text,enum}'::text[] as words,
      '{integer,numeric}'::text[] as numbers, '{timestamptz,timestamp,integer}'::text[] as times, '{boolean}'::text[] as flags
  ),
  -- Tables by their usual names; then, in shapes, the columns that most schemas name alike.
  relations as (
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as relation, n.nspname, c.relname
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'billing_ops', 'auth', 'storage') and not n.nspname ^@ 'pg_'
      and c.relname in ('subscriptions', 'subscription', 'billing_subscriptions', 'teams')
  ),
  shapes as (
    select r.*,
      billing_ops.column_like(r.relation, f.keys, '{id}') as id,
      billing_ops.column_like(r.relation, f.texts, '{id}') as text_id,
      billing_ops.column_like(r.relation, f.texts, '{stripe_subscription_id,stripeSubscriptionId}') as stripe_id,
      billing_ops.column_like(r.relation, f.texts, '{stripe_customer_id,stripeCustomerId}') as customer,
      billing_ops.column_like(r.relation, f.keys, '{organization_id}') as organization,
      billing_ops.column_like(r.relation, f.keys, '{user_id}') as person,
      billing_ops.column_like(r.relation, f.keys, '{account_id}') as account,
      billing_ops.column_like(r.relation, f.keys, '{referenceId,reference_id}') as reference,
      billing_ops.column_like(r.relation, f.words, '{status}') as status,
      billing_ops.column_like(r.relation, f.words, '{tier}') as tier,
      billing_ops.column_like(r.relation, f.words, '{plan}') as plan,
      billing_ops.column_like(r.relation, f.texts, '{stripe_price_id,price_id}') as price,
      billing_ops.column_like(r.relation, f.numbers, '{quantity,seats}') as quantity,
      pg_catalog.jsonb_build_object(
        'period_start', billing_ops.column_like(r.relation, f.times, '{current_period_start,periodStart,period_start}'),
        'period_end', billing_ops.column_like(r.relation, f.times, '{current_period_end,periodEnd,period_end}'),
        'cancel_at_period_end', billing_ops.column_like(r.relation, f.flags, '{cancel_at_period_end,cancelAtPeriodEnd}'),
        'trial_end', billing_ops.column_like(r.relation, f.times, '{trial_end,trialEnd}')) as times
    from relations r cross join families f
  ),
  candidates as (
    select 1 as place, 'seed' as preset, s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.organization)
          || coalesce(billing_ops.owner_table(s.relation, s.organization, '{public.organizations}'), '{}'),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', s.status, 'tier', s.tier, 'price', s.price, 'quantity', s.quantity, 'writes', 'update_and_insert',
        'admins', billing_ops.seed_admins()) as mapping,
      '{}'::text[] as unkept,
      'It has organization_id, stripe_subscription_id and status, like the table that billing-ops began with.' as why
    from shapes s
    where s.relation = 'public.subscriptions'
      and s.id is not null and s.stripe_id = 'stripe_subscription_id' and s.organization is not null and s.status is not null
    union all
    select 2, 'vercel/nextjs-subscription-payments', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.id,
        'owner', pg_catalog.jsonb_build_object('column', s.person)
          || coalesce(billing_ops.owner_table(s.relation, s.person, array[pg_catalog.format('%I.users', s.nspname)]), '{}'),
        'customer', pg_catalog.jsonb_build_object('column', 'stripe_customer_id',
          'table', pg_catalog.format('%I.customers', s.nspname), 'key', 'id', 'by', s.person),
        'status', s.status, 'price', s.price, 'quantity', s.quantity,
        -- Each of these has now() for a default: a new row would say that it has ended.
        'on_insert', (
          select pg_catalog.jsonb_object_agg(a, null)
            from pg_catalog.unnest(array['ended_at', 'cancel_at', 'canceled_at', 'trial_start']) a
          where exists (select 1 from billing_ops.column_facts(s.relation, a) f where f.has_default and not f.required))),
      '{}',
      'Its key is Stripe''s subscription id, beside user_id and price_id, and customers has stripe_customer_id.'
    from shapes s
    where s.relname = 'subscriptions' and s.text_id is not null and s.stripe_id is null
      and s.person is not null and s.status is not null and s.price = 'price_id'
      and billing_ops.column_like(pg_catalog.format('%I.customers', s.nspname), '{text}', '{stripe_customer_id}') is not null
      and billing_ops.column_like(pg_catalog.format('%I.customers', s.nspname), '{uuid,text,integer}', '{id}') is not null
    union all
    select 3, 'basejump', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.id,
        'owner', pg_catalog.jsonb_build_object('column', s.account)
          || coalesce(billing_ops.owner_table(s.relation, s.account, array[pg_catalog.format('%I.accounts', s.nspname)]), '{}'),
        'customer', pg_catalog.jsonb_build_object('column', 'billing_customer_id'),
        'status', s.status, 'price', s.price, 'quantity', s.quantity,
        'where', case when billing_ops.column_like(s.relation, '{text}', '{provider}') is not null
          then '{"provider": "stripe"}'::jsonb end,
        'on_insert', (
          select pg_catalog.jsonb_object_agg(a, null)
            from pg_catalog.unnest(array['ended_at', 'cancel_at', 'canceled_at', 'trial_start']) a
          where exists (select 1 from billing_ops.column_facts(s.relation, a) f where f.has_default and not f.required))),
      '{}',
      'Its key is Stripe''s subscription id, beside account_id and billing_customer_id.'
    from shapes s
    where s.relname = 'billing_subscriptions' and s.text_id is not null and s.account is not null and s.status is not null
      and billing_ops.column_like(s.relation, '{text}', '{billing_customer_id}') is not null
    union all
    select 4, 'better-auth', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.reference)
          || coalesce(billing_ops.owner_table(s.relation, s.reference, array[pg_catalog.format('%I."user"', s.nspname), pg_catalog.format('%I.users', s.nspname)]), '{}'),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', s.status, 'tier', s.plan, 'quantity', s.quantity),
      -- Written at the checkout only.
      '{trial_end}',
      'It has referenceId, stripeSubscriptionId and plan. Its owners are looked for among users; where they are organizations, '
      'name that table in "owner".'
    from shapes s
    where s.relname in ('subscription', 'subscriptions') and s.id is not null and s.stripe_id is not null
      and s.reference is not null
      and s.plan is not null and s.status is not null
    union all
    select 5, 'nextjs/saas-starter', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.id, 'table', s.relation, 'key', s.id, 'one_row_each', true),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', billing_ops.column_like(s.relation, '{text,enum}', '{subscription_status}'),
        'tier', billing_ops.column_like(s.relation, '{text,enum}', '{plan_name}')),
      '{}',
      'Each team is its own owner: it has stripe_subscription_id and subscription_status.'
    from shapes s
    where s.relname = 'teams' and s.id is not null and s.stripe_id is not null
      and billing_ops.column_like(s.relation, '{text,enum}', '{subscription_status}') is not null
  ),
  proposals as (
    select c.*, m.mapping || pg_catalog.jsonb_build_object('keeps', (
        select coalesce(pg_catalog.jsonb_agg(f), '[]') from pg_catalog.unnest(billing_ops.mapping_fields()) f
        where m.mapping ? f and f <> all (c.unkept))) as whole
    from candidates c
    join shapes s on s.relation = c.relation
    cross join lateral billing_ops.without_nulls(
      '{"writes": "none"}'::jsonb || pg_catalog.jsonb_build_object('table', c.relation) || c.mapping
        || case c.preset when 'nextjs/saas-starter' then '{}' else s.times end) m (mapping)
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'preset', p.preset, 'table', p.relation, 'mapping', p.whole,
      'why', p.why || coalesce(' It cannot be adopted as it is: ' || billing_ops.mapping_objection(p.whole), '')
    ) order by p.place, p.relation), '[]')
  from proposals p
$$;
comment on function billing_ops.detect() is
  'Proposes a mapping for each table of a known shape, [{"preset", "table", "mapping", "why"}]; [] where there is none. "why" also says what
  stands in the way of adopting it. Only the seed''s shape is proposed with anything but "writes": "none".';
revoke all on function billing_ops.detect() from public, anon, authenticated;

select billing_ops.adapter_clear();
