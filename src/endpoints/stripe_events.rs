//! `/api/stripe/events`: takes an event of Stripe's, and notes that its subscription must be read.

use std::sync::Arc;

use http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::config::SettingError;
use crate::config::events::EventsMode;
use crate::context::Context;
use crate::events::db::note;
use crate::events::event::read;
use crate::events::passes::{follow, wait_of};
use crate::events::signature::verify;
use crate::http::operation::{Body, Caller, Operation, Schema};
use crate::http::{ApiError, Call, Endpoint, Reply};

/// Its route and methods.
pub const ENDPOINT: Endpoint = Endpoint { route: "/api/stripe/events", methods: &[Method::POST] };

/// The largest event that is read, in bytes. Stripe's are a few kilobytes.
const LARGEST_EVENT: usize = 1024 * 1024;

/// What a webhook's URL may carry to get past the protection of a preview deployment
/// (<https://vercel.com/docs/deployment-protection/methods-to-bypass-deployment-protection/protection-bypass-automation>).
const BYPASS: [&str; 2] = ["x-vercel-protection-bypass", "x-vercel-set-bypass-cookie"];

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventAnswer {
    /// The event is taken: Stripe need not send it again.
    pub received: bool,
    /// How many subscriptions will be read because it spoke of them.
    pub due: usize,
}

/// An event as Stripe sends it, as far as it is looked at.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it stands for the document only: the body is read as raw bytes")]
pub struct EventBody {
    /// `event`, or `v2.core.event` where it is a thin one.
    object: String,
    /// Its type, such as `customer.subscription.updated`.
    r#type: String,
    /// Whether it is of live mode.
    livemode: bool,
}

/// What the OpenAPI document says of it.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "post",
        body: Some(Body {
            schema: Schema::of::<EventBody>(),
            required: true,
            example: json!({"object": "event", "type": "customer.subscription.updated", "livemode": true, "data": {"object": {"id": "sub_1"}}}),
        }),
        ..Operation::get(
            "stripeEvent",
            "Takes an event of Stripe's, snapshot or thin. Only the id of its subscription is used.",
            Caller::Stripe,
            Schema::of::<EventAnswer>(),
        )
    }]
}

/// Notes the subscription that a signed event speaks of: one round trip, none for anything else. What follows from it happens after the
/// answer.
pub async fn handle(context: Arc<Context>, mut call: Call) -> Result<Reply, ApiError> {
    let secrets = context.config.stripe_webhook_secrets()?;
    if secrets.is_empty() {
        return Err(SettingError("STRIPE_WEBHOOK_SECRET is not set.".into()).into());
    }
    let at_once = context.config.events_mode()? == EventsMode::Apply;
    let (database, stripe) = (context.supabase()?, context.stripe()?);
    let came = (Instant::now(), call.received_at);
    let signature = one_header(&call.headers, "stripe-signature")?.to_owned();
    let body = call.raw_body(LARGEST_EVENT).await?;
    verify(&signature, &body, &secrets, call.received_at.timestamp())
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    call.parameters(&BYPASS)?;
    let event = read(&body).map_err(|error| ApiError::invalid(error.to_string()))?;
    let of_this_mode = event.livemode == stripe.mode().livemode();
    let Some(subscription) = event.subscription.filter(|_| of_this_mode) else {
        return Reply::ok(&EventAnswer { received: true, due: 0 });
    };
    let wait = wait_of(at_once);
    note(database, &subscription, wait).await?;
    let reply = Reply::ok(&EventAnswer { received: true, due: 1 })?;
    Ok(reply.then(async move { follow(&context, wait, came).await }))
}

/// A header that comes once. Errors: 400.
fn one_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(ApiError::invalid("Stripe-Signature is missing, given twice, or not text.")),
    }
}
