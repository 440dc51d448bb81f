//! What the parameters of a list ask for, and which rows have it.

use crate::query::Range;
use crate::store::{Kind, Row, Stored};

/// Which rows a list shows.
#[derive(Default)]
pub(crate) struct Filter<'a> {
    /// String fields that must have that value, or an object with that id.
    pub(crate) fields: Vec<(&'static str, &'a str)>,
    /// The parameter `status` of subscriptions, where everything but canceled is the default.
    pub(crate) status: Option<&'a str>,
    pub(crate) price: Option<&'a str>,
    pub(crate) periods: Option<(Range, Range)>,
    pub(crate) test_clock: Option<&'a str>,
    pub(crate) types: Vec<&'a str>,
    /// Only events that every endpoint has taken, or only those that wait for one or have failed for good.
    pub(crate) delivered: Option<bool>,
}

impl Filter<'_> {
    /// Whether the list shows that row.
    pub(crate) fn matches(&self, kind: Kind, row: &Row<'_>) -> bool {
        let fields = self.fields.iter().all(|(name, value)| field(kind, row, name) == Some(value));
        match kind {
            Kind::Session => fields,
            Kind::Event => {
                let name = field(kind, row, "type").unwrap_or_default();
                fields
                    && self.delivered.is_none_or(|wanted| wanted == is_delivered(row))
                    && (self.types.is_empty() || self.types.iter().any(|wanted| type_matches(wanted, name)))
            }
            Kind::Subscription => {
                let status = field(kind, row, "status").unwrap_or_default();
                let status = match self.status {
                    None => status != "canceled",
                    Some("all") => true,
                    Some("ended") => matches!(status, "canceled" | "incomplete_expired"),
                    Some(wanted) => status == wanted,
                };
                fields
                    && status
                    && field(kind, row, "test_clock") == self.test_clock
                    && self.price.is_none_or(|price| has_price(row, price))
                    && self.periods.is_none_or(|(start, end)| in_periods(row, start, end))
            }
        }
    }
}

/// `customer.subscription.*` stands for every type that begins so.
fn type_matches(wanted: &str, name: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == name, |prefix| name.starts_with(prefix))
}

/// Stripe counts an endpoint that has failed for good as pending for ever.
fn is_delivered(row: &Row<'_>) -> bool {
    match row {
        Row::Stored(Stored { object, .. }) => object["pending_webhooks"] == 0,
        Row::Generated(..) => true,
    }
}

/// A field's string, or the id of the object that it holds.
fn field<'r>(kind: Kind, row: &'r Row<'_>, name: &str) -> Option<&'r str> {
    match row {
        Row::Stored(Stored { object, .. }) => object[name].as_str().or_else(|| object[name]["id"].as_str()),
        Row::Generated(_, facts) => match (kind, name) {
            (_, "customer") => Some(&facts.customer),
            (Kind::Session, "status") => Some("complete"),
            (Kind::Session, "subscription") => Some(&facts.id),
            (Kind::Subscription, "status") => Some(facts.status),
            (Kind::Subscription, "collection_method") => Some("charge_automatically"),
            _ => None,
        },
    }
}

fn has_price(row: &Row<'_>, price: &str) -> bool {
    match row {
        Row::Generated(_, facts) => facts.price == price,
        Row::Stored(stored) => stored.items.iter().any(|item| item["price"]["id"] == price),
    }
}

/// Stripe compares the latest start and the earliest end of all items.
fn in_periods(row: &Row<'_>, starts: Range, ends: Range) -> bool {
    match row {
        Row::Generated(_, facts) => {
            starts.contains(facts.current_period_start) && ends.contains(facts.current_period_end)
        }
        Row::Stored(Stored { items, .. }) => {
            let times = |name: &'static str| items.iter().filter_map(move |item| item[name].as_i64());
            let start = times("current_period_start").max();
            let end = times("current_period_end").min();
            start.is_some_and(|start| starts.contains(start)) && end.is_some_and(|end| ends.contains(end))
        }
    }
}
