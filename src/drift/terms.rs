//! How this deployment reads Stripe's data: what prices stand for, what grants access, who may say whose a subscription
//! is, and what may follow.

use uuid::Uuid;

use super::access::Access;
use super::policy::Mode;
use super::scope::Scope;
use super::tiers::Tiers;
use crate::stripe::Metadata;

/// The settings by which drift is judged.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Price to tier (`PRICE_TIERS`).
    pub tiers: Tiers,
    /// What grants access (`ACCESS_STATUSES`).
    pub access: Access,
    /// Which subscriptions without a row are this application's (`STRIPE_SCOPE`).
    pub scope: Scope,
    /// Keys of metadata that name the owner; the first that is there counts (`OWNER_METADATA_KEYS`).
    pub owner_keys: Vec<String>,
    /// Whether a checkout's `client_reference_id` counts without a person's word (`TRUST_CLIENT_REFERENCE_ID`): whoever opens a payment
    /// link can set it (<https://docs.stripe.com/payment-links/url-parameters>).
    pub trust_client_reference_id: bool,
    /// The most that may follow from a difference (`REPAIR_MODE`).
    pub repair_mode: Mode,
    /// Whether what an event speaks of is read at once (`EVENTS_MODE=apply`). Then repairs are routine; otherwise the app's own webhook
    /// goes first, and what it left undone is news.
    pub events_at_once: bool,
}

impl Terms {
    /// The owner that an object's metadata name.
    pub fn owner_in(&self, metadata: Option<&Metadata>) -> Option<String> {
        let metadata = metadata?;
        self.owner_keys.iter().find_map(|key| metadata.get(key)).and_then(as_owner)
    }
}

/// An owner, as far as text can name one: a UUID as databases write it, other text as it is. Only the database knows whether there
/// is such an owner.
pub fn as_owner(text: &str) -> Option<String> {
    let text = text.trim();
    match Uuid::try_parse(text) {
        Ok(id) => Some(id.to_string()),
        Err(_) => (!text.is_empty()).then(|| text.to_owned()),
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            tiers: Tiers::default(),
            access: Access::default(),
            scope: Scope::default(),
            owner_keys: vec!["organization_id".to_owned()],
            trust_client_reference_id: false,
            repair_mode: Mode::default(),
            events_at_once: false,
        }
    }
}
