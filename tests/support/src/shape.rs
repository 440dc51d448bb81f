//! The tables of apps that suites run over: the one of an empty project, and those that people start from.

use crate::Setup;

/// Whose table decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The one that billing-ops began with.
    Seed,
    /// vercel/nextjs-subscription-payments: Stripe's id is the key, the status an enum, the customer in another table.
    Vercel,
    /// better-auth: quoted camel case, text keys that only the app can make, so that no row can be inserted.
    BetterAuth,
}

impl Shape {
    /// Over which the suites run.
    pub const ALL: [Self; 3] = [Self::Seed, Self::Vercel, Self::BetterAuth];

    /// A stack beside such an app.
    #[must_use]
    pub fn setup(self) -> Setup {
        match self {
            Self::Seed => Setup::default(),
            Self::Vercel => beside("vercel", VERCEL),
            Self::BetterAuth => beside("better_auth", BETTER_AUTH),
        }
    }

    /// Whether a missing row can be made.
    #[must_use]
    pub fn inserts(self) -> bool {
        self != Self::BetterAuth
    }
}

/// A stack beside the app of a fixture, with its table adopted as the mapping says.
#[must_use]
pub fn beside(fixture: &str, mapping: &str) -> Setup {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../supabase/fixtures");
    Setup::default()
        .argument("--app-schema")
        .argument(format!("{fixtures}/{fixture}.sql"))
        .file_argument("--adopt", mapping)
}

const VERCEL: &str = r#"{
  "table": "public.subscriptions", "key": "id", "stripe_subscription_id": "id",
  "owner": {"column": "user_id", "table": "public.users", "key": "id"},
  "customer": {"column": "stripe_customer_id", "table": "public.customers", "key": "id", "by": "user_id"},
  "status": "status", "price": "price_id", "quantity": "quantity",
  "period_start": "current_period_start", "period_end": "current_period_end",
  "cancel_at_period_end": "cancel_at_period_end", "trial_end": "trial_end",
  "on_insert": {"ended_at": null, "cancel_at": null, "canceled_at": null, "trial_start": null},
  "writes": "update_and_insert"
}"#;

const BETTER_AUTH: &str = r#"{
  "table": "public.subscription", "key": "id", "stripe_subscription_id": "stripeSubscriptionId",
  "owner": {"column": "referenceId", "table": "public.\"user\"", "key": "id"},
  "customer": {"column": "stripeCustomerId"},
  "status": "status", "tier": "plan", "quantity": "seats", "period_start": "periodStart", "period_end": "periodEnd",
  "cancel_at_period_end": "cancelAtPeriodEnd", "trial_end": "trialEnd",
  "keeps": ["status", "tier", "quantity", "period_start", "period_end", "cancel_at_period_end"],
  "writes": "update"
}"#;

/// Makes a test over each shape of a table of `async fn name(shape: Shape)`.
#[macro_export]
macro_rules! over_each_shape {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::shape::Shape;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn seed() {
                super::$name(Shape::Seed).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn vercel() {
                super::$name(Shape::Vercel).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn better_auth() {
                super::$name(Shape::BetterAuth).await;
            }
        }
    )+};
}
