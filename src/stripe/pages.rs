//! The endpoints that reconciling reads.

use tokio::time::Instant;

use super::client::Stripe;
use super::error::{RequestId, StripeError};
use super::event::StripeEvent;
use super::types::{CheckoutSession, Item, Page, Subscription, decode_page};

/// The most that Stripe puts on a page (<https://docs.stripe.com/api/pagination>).
pub const PAGE_SIZE: usize = 100;
const PAGE_SIZE_TEXT: &str = "100";

/// The most subscriptions of one customer that are looked through.
const OF_A_CUSTOMER: usize = 1_000;

/// Stripe allows twenty items in a subscription (<https://docs.stripe.com/billing/subscriptions/multiple-products>); whatever has
/// far more is not Stripe's.
const MOST_ITEMS: usize = 1_000;

/// Which part of all subscriptions a page is taken from. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Created at or after.
    pub gte: i64,
    /// Created before.
    pub lt: i64,
    /// Listed after this one.
    pub starting_after: Option<String>,
}

/// Which events a page is taken from. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsAsked<'a> {
    /// Their types, up to twenty: [`TYPES`](super::event::TYPES) or some of them.
    pub types: &'a [&'a str],
    /// Happened at or after. Stripe keeps events for 30 days.
    pub created_gte: i64,
    /// Happened at or before, if that matters.
    pub created_lte: Option<i64>,
    /// Only those that have not arrived at one of the account's webhook endpoints, whether Stripe is still trying or has given up.
    pub undelivered: bool,
    /// Listed after this one: `evt_…`
    pub starting_after: Option<&'a str>,
}

impl Stripe {
    /// One page of all subscriptions of a window, whatever their status, newest first. Stripe leaves out those of test
    /// clocks: that one is not listed does not prove that it is gone.
    pub async fn subscriptions(
        &self,
        window: &Window,
        deadline: Instant,
    ) -> Result<Page<Subscription>, StripeError> {
        let (gte, lt) = (window.gte.to_string(), window.lt.to_string());
        let mut query =
            vec![("limit", PAGE_SIZE_TEXT), ("status", "all"), ("created[gte]", &gte), ("created[lt]", &lt)];
        if let Some(id) = &window.starting_after {
            query.push(("starting_after", id));
        }
        self.get(&["subscriptions"], &query, deadline, decode_page).await
    }

    /// One subscription as it is now, with all its items.
    pub async fn subscription(&self, id: &str, deadline: Instant) -> Result<Subscription, StripeError> {
        let mut subscription: Subscription =
            self.get(&["subscriptions", id], &[], deadline, |body| serde_json::from_slice(body)).await?;
        self.complete_items(&mut subscription, deadline).await?;
        Ok(subscription)
    }

    /// The subscriptions of a customer that have not been canceled. What cannot be read is left out: nothing can be said of it.
    pub async fn not_canceled_of(
        &self,
        customer: &str,
        deadline: Instant,
    ) -> Result<Vec<Subscription>, StripeError> {
        let mut found: Vec<Subscription> = Vec::new();
        loop {
            // Without a status Stripe lists what has not been canceled (<https://docs.stripe.com/api/subscriptions/list>).
            let mut query = vec![("limit", PAGE_SIZE_TEXT), ("customer", customer)];
            if let Some(last) = found.last() {
                query.push(("starting_after", &last.id));
            }
            let page = self.get(&["subscriptions"], &query, deadline, decode_page).await;
            let page: Page<Subscription> = match page {
                // Somebody has deleted the customer, which ends all of theirs.
                Err(StripeError::NotFound { .. }) => return Ok(found),
                page => page?,
            };
            let before = found.len();
            found.extend(page.data.into_iter().flatten());
            // A customer has a few; a page with nothing to go on from ends the list as well.
            if !page.has_more || found.len() == before || found.len() >= OF_A_CUSTOMER {
                return Ok(found);
            }
        }
    }

    /// Fetches the items that did not come with the subscription. Errors: also where their list does not end.
    pub async fn complete_items(
        &self,
        subscription: &mut Subscription,
        deadline: Instant,
    ) -> Result<(), StripeError> {
        while subscription.items.has_more {
            let after = subscription.items.data.last().and_then(|item| item.id.clone());
            let mut query = vec![("limit", PAGE_SIZE_TEXT), ("subscription", subscription.id.as_str())];
            if let Some(after) = &after {
                query.push(("starting_after", after));
            }
            let page: Page<Item> = self.get(&["subscription_items"], &query, deadline, decode_page).await?;
            let before = subscription.items.data.len();
            for item in page.data {
                let item = item.map_err(|object| malformed(object.reason))?;
                subscription.items.data.push(item);
            }
            let (known, new) = subscription.items.data.split_at(before);
            let news = |item: &Item| item.id.is_some() && known.iter().all(|known| known.id != item.id);
            // Such a page would come again and again, for ever.
            if page.has_more && !new.last().is_some_and(news) {
                return Err(malformed("a page of items brings nothing new and is not the last".to_owned()));
            }
            if subscription.items.data.len() > MOST_ITEMS {
                return Err(malformed(format!("it has more than {MOST_ITEMS} items")));
            }
            subscription.items.has_more = page.has_more;
        }
        Ok(())
    }

    /// One page of the completed checkout sessions that were created at or after `gte`, newest first.
    pub async fn completed_sessions(
        &self,
        gte: i64,
        starting_after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<CheckoutSession>, StripeError> {
        let gte = gte.to_string();
        let mut query = vec![("limit", PAGE_SIZE_TEXT), ("status", "complete"), ("created[gte]", &gte)];
        if let Some(id) = starting_after {
            query.push(("starting_after", id));
        }
        self.get(&["checkout", "sessions"], &query, deadline, decode_page).await
    }

    /// One page of events, newest first (<https://docs.stripe.com/api/events/list>). Their objects are in the API version that was
    /// the account's when they happened, whatever is asked for.
    pub async fn events(
        &self,
        asked: &EventsAsked<'_>,
        deadline: Instant,
    ) -> Result<Page<StripeEvent>, StripeError> {
        let gte = asked.created_gte.to_string();
        let lte = asked.created_lte.map(|lte| lte.to_string());
        let mut query = vec![("limit", PAGE_SIZE_TEXT), ("created[gte]", gte.as_str())];
        query.extend(asked.types.iter().map(|kind| ("types[]", *kind)));
        query.extend(lte.as_deref().map(|lte| ("created[lte]", lte)));
        query.extend(asked.undelivered.then_some(("delivery_success", "false")));
        query.extend(asked.starting_after.map(|id| ("starting_after", id)));
        self.get(&["events"], &query, deadline, decode_page).await
    }

    /// The checkout session that made a subscription, if one did.
    pub async fn session_of_subscription(
        &self,
        subscription: &str,
        deadline: Instant,
    ) -> Result<Option<CheckoutSession>, StripeError> {
        let query = [("limit", "1"), ("subscription", subscription)];
        let page: Page<CheckoutSession> =
            self.get(&["checkout", "sessions"], &query, deadline, decode_page).await?;
        match page.data.into_iter().next() {
            Some(session) => session.map(Some).map_err(|object| malformed(object.reason)),
            None => Ok(None),
        }
    }
}

fn malformed(reason: String) -> StripeError {
    StripeError::Malformed { reason, request_id: RequestId::default() }
}
