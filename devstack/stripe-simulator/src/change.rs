//! What tests may do to the account: put, patch and delete objects, and have that done in the middle of a scan.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A subscription in facts; what is not given stays as it is, or gets a default in a new one: active, one seat of the
/// first of [`PRICES`](crate::PRICES), created now, a month's period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of Stripe's object, or explained below")]
pub struct SubscriptionChange {
    pub id: Option<String>,
    pub customer: Option<String>,
    /// Goes into `metadata.organization_id`.
    pub organization_id: Option<String>,
    /// In the place of all metadata: `{}` makes an organization unknown.
    pub metadata: Option<Map<String, Value>>,
    /// Any word, also one that Stripe does not know. `canceled` sets `canceled_at` and `ended_at`.
    pub status: Option<String>,
    /// Of the first item. An id that is not in [`PRICES`](crate::PRICES) makes a price that nobody knows.
    pub price: Option<String>,
    /// Of the first item.
    pub quantity: Option<u64>,
    pub cancel_at_period_end: Option<bool>,
    pub trial_end: Option<i64>,
    /// Of every item.
    pub current_period_start: Option<i64>,
    /// Of every item.
    pub current_period_end: Option<i64>,
    /// Only for new ones: it never changes.
    pub created: Option<i64>,
    pub livemode: Option<bool>,
    /// In the place of all items. The object shows the first ten; the rest is behind `has_more`.
    pub items: Option<Vec<ItemChange>>,
    /// Merged over the rest at the end, objects into objects; `null` is a value like others.
    pub object: Option<Value>,
    /// Fields that the object is to lose.
    pub remove: Vec<String>,
    /// The change makes no event, as happens at Stripe.
    pub silent: bool,
}

/// One of several items; what is not given is as in the first item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of Stripe's object")]
pub struct ItemChange {
    pub price: Option<String>,
    pub quantity: Option<u64>,
    pub current_period_start: Option<i64>,
    pub current_period_end: Option<i64>,
}

/// A checkout session in facts; a new one is by default complete and created now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of Stripe's object, or explained below")]
pub struct SessionChange {
    pub id: Option<String>,
    pub created: Option<i64>,
    /// `open` and `expired` sessions have no subscription unless one is given.
    pub status: Option<String>,
    pub subscription: Option<String>,
    pub customer: Option<String>,
    /// Goes into `client_reference_id` and `metadata.organization_id`.
    pub organization_id: Option<String>,
    /// Merged over the rest at the end, objects into objects; `null` is a value like others.
    pub object: Option<Value>,
}

/// An event to appear in `GET /v1/events`.
///
/// [`EventInput::default`] has no type and no object: it is for `..` of those who name the few fields that they want.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventInput {
    /// Such as `customer.subscription.updated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's `data.object`.
    pub object: Value,
    /// Now, if it is not given.
    #[serde(default)]
    pub created: Option<i64>,
    /// A new one, if it is not given; the same id again replaces the event.
    #[serde(default)]
    pub id: Option<String>,
    /// What became of its delivery, for those who only look at lists: `pending_webhooks` is 0 or 1, and nothing is sent.
    /// If it is not given, the event is sent to each endpoint that wants it, and counts as delivered where there is none.
    #[serde(default)]
    pub delivered: Option<bool>,
}

/// An event about the invoice of a subscription's current period, with what the simulator knows of the subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceEventInput {
    /// `invoice.paid` and `invoice.payment_succeeded` carry a paid invoice, others an open one that could not be collected.
    #[serde(rename = "type")]
    pub kind: String,
    /// The subscription's id, `sub_…`.
    pub subscription: String,
    /// As in [`EventInput`].
    #[serde(default)]
    pub created: Option<i64>,
    /// As in [`EventInput`].
    #[serde(default)]
    pub id: Option<String>,
    /// As in [`EventInput`].
    #[serde(default)]
    pub delivered: Option<bool>,
}

/// One thing done to the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A new subscription, or a fresh one in the place of the one with that id.
    PutSubscription(SubscriptionChange),
    /// A change to the subscription with that id.
    PatchSubscription(SubscriptionChange),
    /// The subscription of that id disappears, as Stripe's never do: later retrieves are 404.
    DeleteSubscription(String),
    /// A new checkout session, or a fresh one in the place of the one with that id.
    PutSession(SessionChange),
    /// A change to the session with that id.
    PatchSession(SessionChange),
    /// The session of that id disappears.
    DeleteSession(String),
    /// An event that nothing else explains.
    PutEvent(EventInput),
    /// An event about a subscription's invoice.
    PutInvoiceEvent(InvoiceEventInput),
}

/// Actions that happen when a certain request comes, before it is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Requests whose path begins with this are counted.
    #[serde(default = "lists")]
    pub path: String,
    /// The number of the request, from 1, counted since the script was given.
    pub at: u64,
    /// What happens, in order.
    pub actions: Vec<Action>,
}

fn lists() -> String {
    "/v1/subscriptions".to_owned()
}
