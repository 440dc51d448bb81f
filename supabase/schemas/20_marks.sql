-- What has to be remembered of a Stripe subscription. It stands here and not on the app's table, which belongs to the app; and it
-- is kept for subscriptions that have no row there, too, so that a stranger is looked up once in its life.

grant usage on schema billing_ops to service_role;

create table billing_ops.subscription_marks (
  stripe_subscription_id text primary key,
  created timestamptz not null,
  livemode boolean,
  seen_at timestamptz not null default now(),
  owner text,
  owner_source text,
  looked_up_at timestamptz
);
comment on table billing_ops.subscription_marks is
  'One row for each Stripe subscription that a scan has seen, whether or not the app has a row for it.';
comment on column billing_ops.subscription_marks.stripe_subscription_id is 'Stripe''s sub_….';
comment on column billing_ops.subscription_marks.created is
  'When Stripe created it. It never changes, so scans are split by it.';
comment on column billing_ops.subscription_marks.livemode is 'Stripe''s live mode; null until it has been observed.';
comment on column billing_ops.subscription_marks.seen_at is 'When a scan first saw it.';
comment on column billing_ops.subscription_marks.owner is
  'Whose checkout it was, as text; null where nobody is known. A memory of Stripe''s answer, not proof that the owner still exists.';
comment on column billing_ops.subscription_marks.owner_source is
  'Where the owner was read, for example in the checkout session''s metadata.';
comment on column billing_ops.subscription_marks.looked_up_at is
  'When its checkout session was looked up; null if it never was. One that has a time here is not looked up again.';

create index subscription_marks_created on billing_ops.subscription_marks (created, stripe_subscription_id);
comment on index billing_ops.subscription_marks_created is 'The subscriptions of a scan''s window.';

alter table billing_ops.subscription_marks enable row level security;
revoke all on billing_ops.subscription_marks from public, anon, authenticated, service_role;
grant select, insert, update on billing_ops.subscription_marks to service_role;
