//! The few fields of Stripe's objects that reconciling needs.
//!
//! Only `id`, `status`, `customer`, `created` and `items` of a subscription are required. Lists decode element by
//! element, so that one odd object is one odd object and not a lost page.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use strum::IntoEnumIterator as _;

/// A subscription's status (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>).
/// What Stripe may add one day is kept as it is and never taken for one of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, strum::EnumIter, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// First payment not made yet.
    Incomplete,
    /// First payment never made.
    IncompleteExpired,
    /// In its trial.
    Trialing,
    /// Paid.
    Active,
    /// A renewal could not be collected yet.
    PastDue,
    /// Ended.
    Canceled,
    /// Collection was given up; invoices stay drafts.
    Unpaid,
    /// The trial ended without a payment method.
    Paused,
    /// Not known to this program.
    #[strum(disabled)]
    Unknown(String),
}

impl Status {
    /// The status that Stripe's word names.
    pub fn of(word: &str) -> Self {
        word.parse().unwrap_or_else(|_| Self::Unknown(word.to_owned()))
    }

    /// Stripe's own word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown(raw) => raw,
            known => known.into(),
        }
    }

    /// Stripe's words for those that live.
    pub fn live() -> Vec<&'static str> {
        Self::iter().filter(Self::is_live).map(Into::into).collect()
    }

    /// Whether the subscription has not ended, and a second one beside it would be one too many.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Trialing | Self::Active | Self::PastDue | Self::Unpaid | Self::Paused)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Status;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a status")
            }
            fn visit_str<E>(self, raw: &str) -> Result<Status, E> {
                Ok(Status::of(raw))
            }
        }
        deserializer.deserialize_str(Word)
    }
}

/// An object's `metadata`: at most 50 texts by key (<https://docs.stripe.com/metadata>). What is not a text is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(String, String)>);

impl Metadata {
    /// What stands under a key; an empty text is nothing.
    pub fn get(&self, key: &str) -> Option<&str> {
        let entry = self.0.iter().find(|(known, value)| known == key && !value.is_empty());
        entry.map(|(_, value)| value.as_str())
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Metadata;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("metadata")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut texts = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
                    if let serde_json::Value::String(value) = value {
                        texts.push((key, value));
                    }
                }
                Ok(Metadata(texts))
            }
        }
        deserializer.deserialize_map(Texts)
    }
}

/// A subscription, as far as reconciling needs it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// Its status.
    pub status: Status,
    /// `cus_…`; Stripe sends the id or the object.
    #[serde(deserialize_with = "id_or_object")]
    pub customer: String,
    /// When it was created. Never changes, which is why scans are split by it.
    pub created: i64,
    /// Its items; more than ten have further pages.
    pub items: Items,
    /// Until API version 2025-03-31.basil the period was here.
    #[serde(default)]
    pub current_period_start: Option<i64>,
    /// See `current_period_start`.
    #[serde(default)]
    pub current_period_end: Option<i64>,
    /// Whether it ends with the period.
    #[serde(default)]
    pub cancel_at_period_end: Option<bool>,
    /// When the trial began.
    #[serde(default)]
    pub trial_start: Option<i64>,
    /// When the trial ends or ended.
    #[serde(default)]
    pub trial_end: Option<i64>,
    /// When somebody canceled it.
    #[serde(default)]
    pub canceled_at: Option<i64>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<i64>,
    /// Live or test.
    #[serde(default)]
    pub livemode: Option<bool>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// The items that came with a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Items {
    /// In Stripe's order.
    pub data: Vec<Item>,
    /// Whether there are more, to be had from `/v1/subscription_items`.
    #[serde(default)]
    pub has_more: bool,
}

/// One item: a price and how many of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// `si_…`
    #[serde(default)]
    pub id: Option<String>,
    /// What is sold.
    #[serde(default)]
    pub price: Option<Price>,
    /// How many; metered prices have none.
    #[serde(default)]
    pub quantity: Option<i64>,
    /// The period, since API version 2025-03-31.basil.
    #[serde(default)]
    pub current_period_start: Option<i64>,
    /// See `current_period_start`.
    #[serde(default)]
    pub current_period_end: Option<i64>,
}

/// A price.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// `prod_…`: what it is a price of; Stripe sends the id or the object.
    #[serde(default, deserialize_with = "maybe_id_or_object")]
    pub product: Option<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// A billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Unix seconds, never 0.
    pub start: Option<i64>,
    /// Unix seconds, never 0.
    pub end: Option<i64>,
}

impl Subscription {
    /// The current period: of the items the latest start and the earliest end (the span in which all are paid), else
    /// the old fields of the subscription, else unknown. Times that cannot be (0 and below) are unknown too.
    pub fn period(&self) -> Period {
        let items = &self.items.data;
        let start = items.iter().filter_map(|item| real(item.current_period_start)).max();
        let end = items.iter().filter_map(|item| real(item.current_period_end)).min();
        Period {
            start: start.or(real(self.current_period_start)),
            end: end.or(real(self.current_period_end)),
        }
    }

    /// Whether items have periods of their own that differ.
    pub fn has_mixed_periods(&self) -> bool {
        let mut periods = self
            .items
            .data
            .iter()
            .map(|item| (real(item.current_period_start), real(item.current_period_end)))
            .filter(|period| *period != (None, None));
        periods.next().is_some_and(|first| periods.any(|other| other != first))
    }

    /// The latest moment, not after `now`, at which Stripe is known to have changed this subscription by itself or by
    /// somebody's act. Stripe tells no time of the last change; these are the ones that leave a date.
    pub fn last_known_change(&self, now: i64) -> i64 {
        [self.trial_start, self.trial_end, self.canceled_at, self.ended_at, self.period().start]
            .into_iter()
            .flatten()
            .filter(|moment| *moment <= now)
            .fold(self.created, i64::max)
    }
}

fn real(moment: Option<i64>) -> Option<i64> {
    moment.filter(|moment| *moment > 0)
}

/// A checkout session, as far as reconciling needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// `payment`, `setup` or `subscription`.
    #[serde(default)]
    pub mode: Option<String>,
    /// The subscription that it made, if it made one.
    #[serde(default, deserialize_with = "maybe_id_or_object")]
    pub subscription: Option<String>,
    /// What the application named the buyer.
    #[serde(default)]
    pub client_reference_id: Option<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In Stripe's order, newest first.
    pub data: Vec<Result<T, MalformedObject>>,
    /// Whether there is a page after this.
    pub has_more: bool,
}

/// An element of a list that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedObject {
    /// Its id, if at least that could be read.
    pub id: Option<String>,
    /// When it was created, if at least that could be read.
    pub created: Option<i64>,
    /// What was wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
}

#[derive(Deserialize)]
struct SoundPage<T> {
    data: Vec<T>,
    has_more: bool,
}

/// Decodes a list. Fails only if the answer is not a list at all.
pub fn decode_page<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<Page<T>, serde_json::Error> {
    // Nearly always all of it can be read, and decoding it once is enough: decoding pages is most of what a run does.
    if let Ok(SoundPage { data, has_more }) = serde_json::from_slice(body) {
        return Ok(Page { data: data.into_iter().map(Ok).collect(), has_more });
    }
    let raw: RawPage<'_> = serde_json::from_slice(body)?;
    let data = raw.data.into_iter().map(decode_element).collect();
    Ok(Page { data, has_more: raw.has_more })
}

fn decode_element<T: for<'a> Deserialize<'a>>(raw: &RawValue) -> Result<T, MalformedObject> {
    serde_json::from_str(raw.get()).map_err(|error| {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        #[derive(Deserialize)]
        struct Created {
            created: i64,
        }
        MalformedObject {
            id: serde_json::from_str::<Id>(raw.get()).ok().map(|object| object.id),
            created: serde_json::from_str::<Created>(raw.get()).ok().map(|object| object.created),
            reason: error.to_string().chars().take(200).collect(),
        }
    })
}

struct IdOrObject;

impl<'de> Visitor<'de> for IdOrObject {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id or an object with an id")
    }

    fn visit_str<E>(self, id: &str) -> Result<Self::Value, E> {
        Ok(Some(id.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == "id" {
                id = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        id.map(Some).ok_or_else(|| serde::de::Error::missing_field("id"))
    }
}

/// Reads a field in which Stripe sends an id, the object with that id where it was expanded, or null.
pub(super) fn maybe_id_or_object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(IdOrObject)
}

fn id_or_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    maybe_id_or_object(deserializer)?.ok_or_else(|| serde::de::Error::custom("expected an id, found null"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscription(fields: serde_json::Value) -> Subscription {
        let mut object = json!({
            "id": "sub_1", "status": "active", "customer": "cus_1", "created": 1_700_000_000,
            "items": {"data": []}
        });
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn five_fields_are_enough() {
        assert_eq!(subscription(json!({})).period(), Period { start: None, end: None });
    }

    #[test]
    fn a_customer_is_an_id_or_an_object() {
        assert_eq!(subscription(json!({"customer": "cus_9"})).customer, "cus_9");
        let object = json!({"customer": {"object": "customer", "address": {"id": "no"}, "id": "cus_9", "deleted": true}});
        assert_eq!(subscription(object).customer, "cus_9");
    }

    #[test]
    fn an_unknown_status_is_kept_and_is_none_of_the_known() {
        let status = subscription(json!({"status": "hibernating"})).status;
        assert_eq!(status, Status::Unknown("hibernating".into()));
        assert_eq!(status.as_str(), "hibernating");
        assert!(!status.is_live());
    }

    #[test]
    fn every_status_keeps_its_word() {
        for word in [
            "incomplete",
            "incomplete_expired",
            "trialing",
            "active",
            "past_due",
            "canceled",
            "unpaid",
            "paused",
        ] {
            let status = Status::of(word);
            assert!(!matches!(status, Status::Unknown(_)), "{word}");
            assert_eq!(status.as_str(), word);
        }
    }

    #[test]
    fn the_period_comes_from_the_items_then_from_the_old_fields_and_is_never_1970() {
        let item = |start: i64, end: i64| json!({"current_period_start": start, "current_period_end": end});
        let old = json!({"current_period_start": 5, "current_period_end": 6, "items": {"data": [{}]}});
        for (fields, start, end) in [
            (json!({"items": {"data": [item(100, 200), item(120, 180)]}}), Some(120), Some(180)),
            (json!({"items": {"data": [item(0, 0)]}}), None, None),
            (json!({"current_period_start": 0, "current_period_end": -1}), None, None),
            (old, Some(5), Some(6)),
        ] {
            assert_eq!(subscription(fields.clone()).period(), Period { start, end }, "{fields}");
        }
    }

    #[test]
    fn one_odd_object_is_not_a_lost_page() {
        let good = json!({"id": "sub_1", "status": "active", "customer": "cus_1", "created": 1, "items": {"data": []}});
        let odd = json!({"id": "sub_2", "status": 7, "created": 1});
        let body = json!({"object": "list", "data": [good, odd, 3, good], "has_more": true}).to_string();
        let page: Page<Subscription> = decode_page(body.as_bytes()).unwrap();
        assert!(page.has_more);
        assert_eq!(page.data.iter().filter(|element| element.is_ok()).count(), 2);
        let odd = page.data[1].as_ref().unwrap_err();
        assert_eq!((odd.id.as_deref(), odd.created), (Some("sub_2"), Some(1)));
        assert_eq!(page.data[2].as_ref().unwrap_err().id, None);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for body in
            ["", "<html>", "{}", r#"{"data": []}"#, r#"{"data": {}, "has_more": false}"#, r#"{"data": ["#]
        {
            assert!(decode_page::<Subscription>(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_session_without_a_subscription_is_read_too() {
        let page: Page<CheckoutSession> = decode_page(
            br#"{"data": [{"id": "cs_1", "mode": "payment", "subscription": null, "metadata": {}},
                          {"id": "cs_2", "mode": "subscription", "subscription": "sub_1", "client_reference_id": "x"}],
                 "has_more": false}"#,
        )
        .unwrap();
        assert_eq!(page.data[0].as_ref().unwrap().subscription, None);
        assert_eq!(page.data[1].as_ref().unwrap().subscription.as_deref(), Some("sub_1"));
    }
}
