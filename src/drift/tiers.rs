//! Tiers: what the prices of a subscription stand for, where that is configured.

use std::collections::HashMap;

use crate::stripe::Subscription;

/// Price id to tier, as configured in `PRICE_TIERS`.
#[derive(Clone, Debug, Default)]
pub struct Tiers(HashMap<String, String>);

impl Tiers {
    /// The map as configured; empty if tiers are not managed.
    pub fn new(map: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(map.into_iter().collect())
    }

    /// Whether no price is configured, so that tiers are not managed from here.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tier that a subscription's prices name, by the map or by a price's own metadata. The subscription's metadata are of the day
    /// on which it was bought, and stay as they are when its price changes: they count only where nothing else is known.
    pub(super) fn of(&self, subscription: &Subscription) -> Tier {
        let mut named: Option<&str> = None;
        for price in subscription.items.data.iter().filter_map(|item| item.price.as_ref()) {
            let metadata = price.metadata.as_ref().and_then(|metadata| metadata.get("tier"));
            match (named, self.0.get(&price.id).map(String::as_str).or(metadata)) {
                (Some(before), Some(tier)) if before != tier => return Tier::Ambiguous,
                (_, Some(tier)) => named = Some(tier),
                (_, None) => {}
            }
        }
        let own = subscription.metadata.as_ref().and_then(|metadata| metadata.get("tier"));
        match (named.filter(|tier| !tier.is_empty()), own) {
            (Some(tier), _) => Tier::Known(tier.to_owned()),
            (None, Some(tier)) => Tier::Hinted(tier.to_owned()),
            (None, None) => Tier::Unknown,
        }
    }
}

/// What a subscription's prices stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// By its prices.
    Known(String),
    /// By the subscription's own metadata: good enough to fill an empty tier, never to change one.
    Hinted(String),
    Unknown,
    /// Items of several tiers.
    Ambiguous,
}
