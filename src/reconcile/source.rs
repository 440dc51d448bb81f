//! Stripe, for one run: every read ends when the run must stop, so that no step carries a deadline.

use super::stop::Stop;
use crate::stripe::pages::{EventsAsked, Window};
use crate::stripe::{CheckoutSession, Page, Stripe, StripeError, StripeEvent, Subscription};

/// Stripe until the run must stop. Reads answer [`StripeError::Deadline`] from then on.
#[derive(Debug)]
pub(super) struct Source<'a> {
    stripe: &'a Stripe,
    pub(super) stop: Stop,
}

impl<'a> Source<'a> {
    pub(super) fn new(stripe: &'a Stripe, stop: Stop) -> Self {
        Self { stripe, stop }
    }

    /// Whether the key reads live data.
    pub(super) fn livemode(&self) -> bool {
        self.stripe.mode().livemode()
    }

    pub(super) async fn subscriptions(&self, window: &Window) -> Result<Page<Subscription>, StripeError> {
        self.stop.or_due(self.stripe.subscriptions(window, self.stop.at)).await
    }

    pub(super) async fn subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        self.stop.or_due(self.stripe.subscription(id, self.stop.at)).await
    }

    pub(super) async fn not_canceled_of(&self, customer: &str) -> Result<Vec<Subscription>, StripeError> {
        self.stop.or_due(self.stripe.not_canceled_of(customer, self.stop.at)).await
    }

    pub(super) async fn complete_items(&self, subscription: &mut Subscription) -> Result<(), StripeError> {
        self.stop.or_due(self.stripe.complete_items(subscription, self.stop.at)).await
    }

    pub(super) async fn completed_sessions(
        &self,
        gte: i64,
        after: Option<&str>,
    ) -> Result<Page<CheckoutSession>, StripeError> {
        self.stop.or_due(self.stripe.completed_sessions(gte, after, self.stop.at)).await
    }

    pub(super) async fn events(&self, asked: &EventsAsked<'_>) -> Result<Page<StripeEvent>, StripeError> {
        self.stop.or_due(self.stripe.events(asked, self.stop.at)).await
    }

    pub(super) async fn session_of(
        &self,
        subscription: &str,
    ) -> Result<Option<CheckoutSession>, StripeError> {
        self.stop.or_due(self.stripe.session_of_subscription(subscription, self.stop.at)).await
    }
}
