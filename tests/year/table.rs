//! The tables of three apps: how each is made, written by its own webhooks, and read by whoever wants to know who gets in.
//!
//! No statement names a schema: the same app works on its own table and, in the schema `shadow`, on one that billing-ops never sees.
//! What that one says is what webhooks alone would have come to.

use support::Setup;
use support::shape::Shape as Fixture;

use crate::company::Named;

/// Whose table decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// That of an empty project: a row for each subscription.
    ManyRows,
    /// The same with a row for each owner.
    OneRow,
    /// vercel/nextjs-subscription-payments: Stripe's id is the key, and the customer in another table says whose it is.
    Vercel,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::ManyRows, Self::OneRow, Self::Vercel];

    pub fn name(self) -> &'static str {
        match self {
            Self::ManyRows => "many_rows",
            Self::OneRow => "one_row",
            Self::Vercel => "vercel",
        }
    }

    pub fn setup(self) -> Setup {
        match self {
            Self::ManyRows | Self::OneRow => Fixture::Seed.setup(),
            Self::Vercel => Fixture::Vercel.setup(),
        }
    }

    /// Where this app writes down whose a subscription is.
    pub fn named(self) -> Option<Named> {
        (self == Self::Vercel).then_some(Named::Customer)
    }

    /// What makes the table this one, and its shadow beside it.
    pub fn made(self, prices: &[&str]) -> String {
        match self {
            Self::ManyRows => SHADOW_OF_SEED.to_owned(),
            Self::OneRow => format!(
                "alter table public.subscriptions add constraint one_row_each unique (organization_id);
                 select billing_ops.adopt((mapping #- '{{owner,one_row_each}}')) from billing_ops.adoption;
                 {SHADOW_OF_SEED}"
            ),
            Self::Vercel => {
                let prices: Vec<String> =
                    prices.iter().map(|price| format!("('{price}', 'prod_pro')")).collect();
                format!(
                    "insert into public.prices (id, product_id) values {};
                     delete from public.subscriptions; delete from public.customers; delete from public.users;
                     create schema shadow;
                     create table shadow.users (like public.users including all);
                     create table shadow.customers (like public.customers including all);
                     create table shadow.subscriptions (like public.subscriptions including all);",
                    prices.join(", ")
                )
            }
        }
    }

    /// A new owner ($1), who is customer $2 at Stripe.
    pub fn joins(self) -> &'static [&'static str] {
        match self {
            Self::ManyRows => &[ORGANIZATION],
            // For some of them the row is there before anything is bought, for others the first checkout makes it.
            Self::OneRow => &[
                ORGANIZATION,
                "insert into subscriptions (organization_id, status)
                 select $1::text::uuid, 'incomplete' where right($2, 1) in ('0', '2', '4', '6', '8')",
            ],
            Self::Vercel => &[
                "insert into auth.users (id, email) select $1::text::uuid, $2 || '@example.test' on conflict do nothing",
                "insert into users (id, full_name) values ($1::text::uuid, $2)",
                "insert into customers (id, stripe_customer_id) values ($1::text::uuid, $2)",
            ],
        }
    }

    /// The owner ($1) is deleted, and whatever hangs on it.
    pub fn leaves(self) -> &'static [&'static str] {
        match self {
            Self::ManyRows | Self::OneRow => &[
                "delete from subscriptions where organization_id = $1::text::uuid",
                "delete from organizations where id = $1::text::uuid",
            ],
            Self::Vercel => &[
                "delete from subscriptions where user_id = $1::text::uuid",
                "delete from customers where id = $1::text::uuid",
                "delete from users where id = $1::text::uuid",
            ],
        }
    }

    /// A completed checkout of something that lives. The parameters are those of `app.rs`.
    pub fn bought(self) -> &'static str {
        match self {
            Self::ManyRows => UPSERT_BY_SUBSCRIPTION,
            Self::OneRow => UPSERT_BY_OWNER,
            Self::Vercel => UPSERT_BY_ID,
        }
    }

    /// A subscription has changed.
    pub fn changed(self) -> &'static str {
        match self {
            Self::ManyRows => UPSERT_BY_SUBSCRIPTION,
            Self::OneRow => UPDATE,
            Self::Vercel => UPSERT_BY_ID,
        }
    }

    /// Owner, subscription, status, tier or null, price, quantity.
    pub fn read(self) -> &'static str {
        match self {
            Self::ManyRows | Self::OneRow => {
                "select organization_id::text, stripe_subscription_id, status, tier, stripe_price_id, quantity::bigint
                 from subscriptions"
            }
            Self::Vercel => "select user_id::text, id, status::text, null::text, price_id, quantity::bigint from subscriptions",
        }
    }
}

const SHADOW_OF_SEED: &str = "
  create schema shadow;
  create table shadow.organizations (like public.organizations including all);
  create table shadow.subscriptions (like public.subscriptions including all);";

const ORGANIZATION: &str = "insert into organizations (id, name) values ($1::text::uuid, $2)";

/// Nobody's rows are made for owners who are not there.
const UPSERT_BY_SUBSCRIPTION: &str = "
  insert into subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity,
    current_period_start, current_period_end, cancel_at_period_end, trial_end)
  select o.id, $2, $3, $4, $5, $6, $7::bigint, to_timestamp($8::float8), to_timestamp($9::float8), $10, to_timestamp($11::float8)
  from organizations o
  where o.id = coalesce($1::text::uuid, (
    select s.organization_id from subscriptions s where s.stripe_subscription_id = $2 or s.stripe_customer_id = $3
    order by s.stripe_subscription_id = $2 desc limit 1))
  on conflict (stripe_subscription_id) do update set status = excluded.status, tier = excluded.tier,
    stripe_price_id = excluded.stripe_price_id, quantity = excluded.quantity, current_period_start = excluded.current_period_start,
    current_period_end = excluded.current_period_end, cancel_at_period_end = excluded.cancel_at_period_end,
    trial_end = excluded.trial_end";

/// The owner's row follows what was bought last.
const UPSERT_BY_OWNER: &str = "
  insert into subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity,
    current_period_start, current_period_end, cancel_at_period_end, trial_end)
  select o.id, $2, $3, $4, $5, $6, $7::bigint, to_timestamp($8::float8), to_timestamp($9::float8), $10, to_timestamp($11::float8)
  from organizations o where o.id = $1::text::uuid
  on conflict (organization_id) do update set stripe_subscription_id = excluded.stripe_subscription_id,
    stripe_customer_id = excluded.stripe_customer_id, status = excluded.status, tier = excluded.tier,
    stripe_price_id = excluded.stripe_price_id, quantity = excluded.quantity, current_period_start = excluded.current_period_start,
    current_period_end = excluded.current_period_end, cancel_at_period_end = excluded.cancel_at_period_end,
    trial_end = excluded.trial_end";

/// Of the subscription that the row is of; others are none of its business.
const UPDATE: &str = "
  update subscriptions set stripe_customer_id = $3, status = $4, tier = $5, stripe_price_id = $6, quantity = $7::bigint,
    current_period_start = to_timestamp($8::float8), current_period_end = to_timestamp($9::float8), cancel_at_period_end = $10,
    trial_end = to_timestamp($11::float8)
  where stripe_subscription_id = $2 and ($1::text is null or $1::text is not null)";

const UPSERT_BY_ID: &str = "
  insert into subscriptions (id, user_id, status, price_id, quantity, current_period_start, current_period_end, cancel_at_period_end,
    trial_end, ended_at, cancel_at, canceled_at, trial_start)
  select $2, c.id, $4::text::public.subscription_status, $6, $7::bigint, to_timestamp($8::float8), to_timestamp($9::float8), $10,
    to_timestamp($11::float8), null, null, null, null
  from customers c where c.stripe_customer_id = $3 and ($1::text is null or $1::text is not null) and ($5::text is null or $5::text is not null)
  on conflict (id) do update set status = excluded.status, price_id = excluded.price_id, quantity = excluded.quantity,
    current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
    cancel_at_period_end = excluded.cancel_at_period_end, trial_end = excluded.trial_end";
