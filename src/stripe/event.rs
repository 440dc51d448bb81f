//! Which of Stripe's events are of use, and which subscription each names.
//!
//! Both those who are told of an event and those who list events read this here. Only ids are taken: an event says how its object
//! was when it happened, in the API version of whoever it was made for, and not how it is now.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use super::types::maybe_id_or_object;

/// The types to ask `GET /v1/events` for: whatever can change what a customer has paid for. Stripe takes up to twenty
/// (<https://docs.stripe.com/api/events/list>).
pub const TYPES: &[&str] = &[
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.trial_will_end",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "invoice.paid",
    "invoice.payment_failed",
];

/// An event of the list, as far as it is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeEvent {
    /// `evt_…`
    pub id: String,
    /// Its type, such as `customer.subscription.updated`.
    pub kind: String,
    /// When it happened, in Unix seconds.
    pub created: i64,
    /// Live or test.
    pub livemode: bool,
    /// `sub_…`: the subscription that it names, if it names one.
    pub subscription: Option<String>,
}

impl<'de> Deserialize<'de> for StripeEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Listed<'a> {
            id: String,
            #[serde(rename = "type")]
            kind: String,
            created: i64,
            livemode: bool,
            #[serde(borrow)]
            data: Data<'a>,
        }
        let Listed { id, kind, created, livemode, data } = Listed::deserialize(deserializer)?;
        let subscription = subscription_of(&kind, data.object).map_err(D::Error::custom)?;
        Ok(Self { id, kind, created, livemode, subscription })
    }
}

/// An event's `data`.
#[derive(Debug, Deserialize)]
pub struct Data<'a> {
    /// The object as it was, not read yet.
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// An event that should name a subscription, and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of this type has no id of a subscription where it should have one")]
pub struct NoSubscription;

/// What an event of a type is about.
enum About {
    Subscription,
    Checkout,
    Invoice,
    /// Nothing that names a subscription of ours.
    Else,
}

impl About {
    fn of(kind: &str) -> Self {
        match kind {
            kind if is_of_a_subscription(kind) => Self::Subscription,
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => Self::Checkout,
            "invoice.paid" | "invoice.payment_failed" => Self::Invoice,
            _ => Self::Else,
        }
    }
}

/// Whether an event's object is a subscription: `customer.subscription.` and one word. Stripe adds words
/// (<https://docs.stripe.com/api/events/types>), and each is a reason to look.
pub fn is_of_a_subscription(kind: &str) -> bool {
    kind.strip_prefix("customer.subscription.").is_some_and(|word| !word.is_empty() && !word.contains('.'))
}

/// The id of the subscription that an event of this type names with its `data.object`. None where it names none: a payment without
/// a subscription, or an event of another type. An error where it should name one and what stands there is not the id of a
/// subscription.
pub fn subscription_of(kind: &str, object: &RawValue) -> Result<Option<String>, NoSubscription> {
    #[derive(Deserialize)]
    struct Subscription {
        id: String,
    }
    #[derive(Deserialize)]
    struct Checkout {
        #[serde(default, deserialize_with = "maybe_id_or_object")]
        subscription: Option<String>,
    }
    let id = match About::of(kind) {
        About::Else => None,
        About::Subscription => read::<Subscription>(object).map(|of| Some(of.id))?,
        About::Checkout => read::<Checkout>(object)?.subscription,
        About::Invoice => read::<Invoice>(object)?.subscription(),
    };
    match id {
        Some(id) if !is_subscription_id(&id) => Err(NoSubscription),
        id => Ok(id),
    }
}

fn read<'a, T: Deserialize<'a>>(object: &'a RawValue) -> Result<T, NoSubscription> {
    // Serde takes a list for a struct as well.
    let object = Some(object.get()).filter(|object| object.starts_with('{')).ok_or(NoSubscription)?;
    serde_json::from_str(object).map_err(|_| NoSubscription)
}

/// An invoice. Since API version 2025-03-31.basil what it is for stands in `parent`
/// (<https://docs.stripe.com/changelog/basil/2025-03-31/adds-new-parent-field-to-invoicing-objects>).
#[derive(Deserialize)]
struct Invoice {
    #[serde(default)]
    parent: Option<Parent>,
    #[serde(default, deserialize_with = "maybe_id_or_object")]
    subscription: Option<String>,
}

#[derive(Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Deserialize)]
struct SubscriptionDetails {
    #[serde(default, deserialize_with = "maybe_id_or_object")]
    subscription: Option<String>,
}

impl Invoice {
    fn subscription(self) -> Option<String> {
        let details = self.parent.and_then(|parent| parent.subscription_details);
        details.and_then(|details| details.subscription).or(self.subscription)
    }
}

/// Whether a text is a subscription's id: `sub_` and 1 to 250 letters, digits and underscores. Stripe says of its ids only that
/// they have up to 255 characters (<https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backward-compatible>).
pub fn is_subscription_id(text: &str) -> bool {
    text.strip_prefix("sub_").is_some_and(|rest| {
        (1..=250).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, value::to_raw_value};

    use super::super::types::{Page, decode_page};
    use super::*;

    fn named(kind: &str, object: &Value) -> Result<Option<String>, NoSubscription> {
        subscription_of(kind, &to_raw_value(object).unwrap())
    }

    fn sub(id: &str) -> Result<Option<String>, NoSubscription> {
        Ok(Some(id.to_owned()))
    }

    #[test]
    fn each_type_names_its_subscription_in_its_own_place() {
        for kind in TYPES {
            let object = match About::of(kind) {
                About::Subscription => json!({"id": "sub_1", "subscription": "sub_no"}),
                About::Checkout => json!({"id": "cs_1", "subscription": "sub_1"}),
                About::Invoice => {
                    json!({"id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}}})
                }
                About::Else => panic!("{kind} is asked for and not read"),
            };
            assert_eq!(named(kind, &object), sub("sub_1"), "{kind}");
        }
        assert!(TYPES.len() <= 20, "Stripe takes no more");
    }

    #[test]
    fn a_subscription_is_an_id_or_an_object() {
        let expanded = json!({"object": "subscription", "customer": {"id": "cus_1"}, "id": "sub_1"});
        assert_eq!(named("checkout.session.completed", &json!({"subscription": expanded})), sub("sub_1"));
        let parent = json!({"subscription_details": {"metadata": {}, "subscription": expanded}});
        assert_eq!(named("invoice.paid", &json!({"parent": parent})), sub("sub_1"));
        assert_eq!(named("invoice.paid", &json!({"subscription": expanded})), sub("sub_1"));
    }

    #[test]
    fn an_invoice_of_before_basil_is_read_too() {
        let old = json!({"id": "in_1", "subscription": "sub_old", "subscription_details": {"metadata": {}}});
        assert_eq!(named("invoice.payment_failed", &old), sub("sub_old"));
        let both = json!({"parent": {"subscription_details": {"subscription": "sub_new"}}, "subscription": "sub_old"});
        assert_eq!(named("invoice.paid", &both), sub("sub_new"));
    }

    #[test]
    fn what_is_paid_once_names_nothing() {
        for (kind, object) in [
            ("checkout.session.completed", json!({"id": "cs_1", "mode": "payment", "subscription": null})),
            ("checkout.session.async_payment_succeeded", json!({"id": "cs_1", "mode": "payment"})),
            ("invoice.paid", json!({"id": "in_1", "parent": null})),
            ("invoice.paid", json!({"id": "in_1"})),
            ("invoice.paid", json!({"parent": {"type": "quote_details", "subscription_details": null}})),
            ("invoice.paid", json!({"parent": {"subscription_details": {"subscription": null}}})),
            ("invoice.payment_failed", json!({"id": "in_1", "subscription": null})),
        ] {
            assert_eq!(named(kind, &object), Ok(None), "{kind} {object}");
        }
    }

    #[test]
    fn an_event_of_another_type_names_nothing_whatever_it_holds() {
        let object = json!({"id": "sub_1", "subscription": "sub_1", "parent": 7});
        for kind in [
            "",
            "charge.succeeded",
            "invoice.created",
            "checkout.session.expired",
            "customer.subscription",
            "customer.subscription.",
            "customer.subscription.item.created",
            "subscription_schedule.updated",
            "v1.customer.subscription.updated",
        ] {
            assert_eq!(named(kind, &object), Ok(None), "{kind}");
        }
        assert_eq!(
            named("customer.subscription.renamed", &object),
            sub("sub_1"),
            "a word that Stripe may add"
        );
        let odd = RawValue::from_string(format!("{}{}", "[".repeat(9_000), "]".repeat(9_000))).unwrap();
        assert_eq!(subscription_of("charge.succeeded", &odd), Ok(None));
    }

    #[test]
    fn what_should_name_a_subscription_and_does_not_is_an_error() {
        for (kind, object) in [
            ("customer.subscription.updated", json!({})),
            ("customer.subscription.updated", json!({"id": null})),
            ("customer.subscription.updated", json!({"id": 7})),
            ("customer.subscription.updated", json!({"id": "cus_1"})),
            ("customer.subscription.updated", json!(["sub_1"])),
            ("customer.subscription.updated", json!("sub_1")),
            ("checkout.session.completed", json!({"subscription": "cs_1"})),
            ("checkout.session.completed", json!({"subscription": {"object": "subscription"}})),
            ("checkout.session.completed", json!({"subscription": {"id": null}})),
            ("checkout.session.completed", json!({"subscription": ["sub_1"]})),
            ("checkout.session.completed", json!(null)),
            ("invoice.paid", json!({"parent": "sub_1"})),
            ("invoice.paid", json!({"parent": {"subscription_details": {"subscription": ""}}})),
            ("invoice.paid", json!({"subscription": 1})),
        ] {
            assert_eq!(named(kind, &object), Err(NoSubscription), "{kind} {object}");
        }
        let deep = format!(r#"{{"id": {}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        let deep = RawValue::from_string(deep).unwrap();
        assert_eq!(subscription_of("customer.subscription.updated", &deep), Err(NoSubscription));
    }

    #[test]
    fn an_id_has_stripes_letters_and_a_length() {
        for (rest, taken) in [
            ("1", true),
            ("1MowQVLkdIwHu7ixeRlqHVzs", true),
            ("test_9", true),
            (&"a".repeat(250), true),
            (&"a".repeat(251), false),
            ("", false),
            ("a b", false),
            ("a-b", false),
            ("../x", false),
            ("a\n", false),
            ("é", false),
        ] {
            assert_eq!(is_subscription_id(&format!("sub_{rest}")), taken, "{rest:?}");
        }
        assert!(!is_subscription_id("Sub_1") && !is_subscription_id(" sub_1") && !is_subscription_id("si_1"));
    }

    #[test]
    fn a_list_is_read_event_by_event() {
        let event = |id: &str, object: Value| {
            json!({"id": id, "object": "event", "type": "customer.subscription.updated", "created": 5,
                   "livemode": false, "api_version": "2019-02-19", "data": {"object": object}})
        };
        let odd = [
            event("evt_2", json!({"id": "nobody"})),
            json!({"id": "evt_3", "created": 6, "type": "invoice.paid", "livemode": true}),
            json!(3),
        ];
        let mut data = vec![event("evt_1", json!({"id": "sub_1"}))];
        let page = |data: &[Value]| -> Page<StripeEvent> {
            decode_page(json!({"data": data, "has_more": true}).to_string().as_bytes()).unwrap()
        };
        let first = StripeEvent {
            id: "evt_1".into(),
            kind: "customer.subscription.updated".into(),
            created: 5,
            livemode: false,
            subscription: Some("sub_1".into()),
        };
        assert_eq!(page(&data).data, [Ok(first.clone())]);
        data.extend(odd);
        let read = page(&data).data;
        assert_eq!(read[0], Ok(first));
        let left: Vec<_> = read[1..].iter().map(|odd| odd.as_ref().unwrap_err()).collect();
        let seen: Vec<_> = left.iter().map(|odd| (odd.id.as_deref(), odd.created)).collect();
        assert_eq!(seen, [(Some("evt_2"), Some(5)), (Some("evt_3"), Some(6)), (None, None)]);
    }
}
