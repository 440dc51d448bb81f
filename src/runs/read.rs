//! What the database answers to the reads of a run, and of a decision.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::drift::row::Row;
use crate::drift::shape::Shape;
use crate::reconcile::store::{Checkout, Ground, Group, Horizon};

/// The answer of `read_adapter_for_reconcile`.
#[derive(Debug, Deserialize)]
pub struct Adapter {
    #[serde(deserialize_with = "number")]
    horizon: Horizon,
    granting: u64,
    livemode: Option<bool>,
    adopted: bool,
    changed: Option<String>,
    /// Whether the table can be read: all that has changed, if anything, is that nothing may be written.
    readable: bool,
    #[serde(default)]
    policies: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    shape: Shape,
}

impl From<Adapter> for Ground {
    fn from(adapter: Adapter) -> Self {
        let Adapter { horizon, granting, livemode, adopted, changed, readable, policies, shape } = adapter;
        let (shape, unwritable) = match (adopted, changed) {
            (false, _) => (Err("No table is adopted.".to_owned()), None),
            (true, Some(changed)) if readable => (Ok(shape), Some(changed)),
            (true, Some(changed)) => (Err(changed), None),
            (true, None) => (Ok(shape), None),
        };
        Self { shape, unwritable, granting, livemode, policies, horizon }
    }
}

/// The answer of `read_subscriptions_for_reconcile`.
#[derive(Debug, Deserialize)]
pub struct Found {
    #[serde(deserialize_with = "number")]
    horizon: Horizon,
    rows: Vec<Row>,
    other_mode: Vec<String>,
    looked_up: Vec<(String, Option<String>, Option<String>)>,
    open: Vec<(String, String)>,
    excepted: Vec<String>,
    unlisted: Vec<String>,
    unlisted_count: u64,
}

impl From<Found> for Group {
    fn from(found: Found) -> Self {
        let Found { horizon, mut rows, other_mode, looked_up, open, excepted, unlisted, unlisted_count } =
            found;
        if !other_mode.is_empty() {
            for row in &mut rows {
                row.other_mode = other_mode.contains(&row.stripe_subscription_id);
            }
        }
        let looked_up = looked_up.into_iter().map(|(stripe_subscription_id, owner, source)| Checkout {
            stripe_subscription_id,
            owner,
            source,
        });
        Self { rows, open, excepted, looked_up: looked_up.collect(), unlisted, unlisted_count, horizon }
    }
}

/// A transaction id: text, as it may be larger than what JSON's readers keep of a number.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Horizon, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
