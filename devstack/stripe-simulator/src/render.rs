//! Facts to JSON, by templates that are taken apart once: a page of a hundred objects is a hundred runs of copying bytes.

use crate::generator::{Generator, IdKind, SubscriptionFacts};
use crate::prices::{PRICES, Price};
use std::io::Write as _;
use std::sync::LazyLock;

/// A template's pieces: literal text, each followed by the name of what comes after it (empty at the end).
struct Template(Vec<(&'static str, &'static str)>);

impl Template {
    /// Placeholders are written `%name%`.
    fn new(text: &'static str) -> Self {
        let mut parts = text.trim_end().split('%');
        let mut pieces = Vec::new();
        while let Some(literal) = parts.next() {
            pieces.push((literal, parts.next().unwrap_or("")));
        }
        Self(pieces)
    }

    fn write(&self, out: &mut Vec<u8>, mut field: impl FnMut(&mut Vec<u8>, &str)) {
        for (literal, name) in &self.0 {
            out.extend_from_slice(literal.as_bytes());
            if !name.is_empty() {
                field(out, name);
            }
        }
    }
}

static SUBSCRIPTION: LazyLock<Template> =
    LazyLock::new(|| Template::new(include_str!("templates/subscription.json")));
static SESSION: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("templates/session.json")));
/// Every price in test and in live mode.
static PRICE_OBJECTS: LazyLock<Vec<[Vec<u8>; 2]>> = LazyLock::new(|| {
    let template = Template::new(include_str!("templates/price.json"));
    PRICES
        .iter()
        .map(|price| [false, true].map(|livemode| render_price(&template, price, livemode)))
        .collect()
});

fn render_price(template: &Template, price: &Price, livemode: bool) -> Vec<u8> {
    let mut out = Vec::new();
    template.write(&mut out, |out, name| match name {
        "id" => text(out, price.id),
        "livemode" => text(out, if livemode { "true" } else { "false" }),
        "lookup_key" => text(out, price.lookup_key),
        "tier" => text(out, price.tier),
        "product" => text(out, price.product),
        "interval" => text(out, price.interval),
        "unit_amount" => number(out, price.unit_amount.into()),
        _ => unreachable!("the price template has no {name}"),
    });
    out
}

/// The JSON of one of [`PRICES`].
pub(crate) fn price(id: &str, livemode: bool) -> Option<&'static [u8]> {
    let place = PRICES.iter().position(|price| price.id == id)?;
    Some(&PRICE_OBJECTS[place][usize::from(livemode)])
}

/// Appends the JSON of generated subscription `index`, whose facts these are.
pub(crate) fn subscription(out: &mut Vec<u8>, generator: &Generator, index: u32, facts: &SubscriptionFacts) {
    // The time of the customer's request to cancel: some time in the period.
    let requested = facts.current_period_start
        + (facts.current_period_end.min(generator.now()) - facts.current_period_start) / 2;
    let canceled = facts.status == "canceled";
    let leaving = facts.cancel_at_period_end;
    SUBSCRIPTION.write(out, |out, name| match name {
        "id" => text(out, &facts.id),
        "created" => number(out, facts.created),
        "customer" => text(out, &facts.customer),
        "payment_method" => text(out, &generator.id(IdKind::PaymentMethod, index)),
        "item" => text(out, &generator.id(IdKind::Item, index)),
        "invoice" => text(out, &generator.id(IdKind::Invoice, index)),
        "price" => out.extend_from_slice(price(facts.price, facts.livemode).unwrap_or(b"null")),
        "quantity" => number(out, facts.quantity as i64),
        "current_period_start" => number(out, facts.current_period_start),
        "current_period_end" => number(out, facts.current_period_end),
        "cancel_at" => optional(out, leaving.then_some(facts.current_period_end)),
        "cancel_at_period_end" => text(out, if leaving { "true" } else { "false" }),
        "canceled_at" => optional(out, (leaving || canceled).then_some(requested)),
        "ended_at" => optional(out, canceled.then_some(requested)),
        "cancellation_reason" => {
            text(out, if leaving || canceled { "\"cancellation_requested\"" } else { "null" });
        }
        "livemode" => text(out, if facts.livemode { "true" } else { "false" }),
        "organization_id" => text(out, &facts.organization_id),
        "status" => text(out, facts.status),
        "trial_start" => optional(out, facts.trial_end.map(|_| facts.created)),
        "trial_end" => optional(out, facts.trial_end),
        _ => unreachable!("the subscription template has no {name}"),
    });
}

/// Appends the JSON of the checkout session of generated subscription `index`, whose facts these are.
pub(crate) fn session(out: &mut Vec<u8>, generator: &Generator, index: u32, facts: &SubscriptionFacts) {
    let created = generator.session_created(index);
    let unit = PRICES.iter().find(|price| price.id == facts.price).map_or(0, |price| price.unit_amount);
    let amount = if facts.trial_end.is_some() { 0 } else { i64::from(unit) * facts.quantity as i64 };
    SESSION.write(out, |out, name| match name {
        "session" => text(out, &generator.id(IdKind::Session, index)),
        "session_created" => number(out, created),
        "session_expires_at" => number(out, created + 86_400),
        "amount" => number(out, amount),
        "payment_status" => text(out, if amount == 0 { "no_payment_required" } else { "paid" }),
        "organization_id" => text(out, &facts.organization_id),
        "customer" => text(out, &facts.customer),
        "invoice" => text(out, &generator.id(IdKind::Invoice, index)),
        "livemode" => text(out, if facts.livemode { "true" } else { "false" }),
        "id" => text(out, &facts.id),
        _ => unreachable!("the session template has no {name}"),
    });
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: i64) {
    write!(out, "{number}").expect("writing to a Vec cannot fail");
}

fn optional(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => number(out, value),
        None => text(out, "null"),
    }
}
