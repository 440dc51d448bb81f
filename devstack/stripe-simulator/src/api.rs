//! The endpoints: what a GET finds, or why it is refused.

use crate::account::Account;
use crate::error::Refusal;
use crate::filter::Filter;
use crate::query::{Params, Range};
use crate::render;
use crate::store::{Collection, Kind};
use serde_json::{Value, json};

/// The simulated account.
pub(crate) const ACCOUNT: &str = "acct_1SimuLatorAAAAAA";

const STATUSES: [&str; 10] = [
    "active",
    "past_due",
    "unpaid",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "trialing",
    "paused",
    "all",
    "ended",
];

/// An endpoint: its name in the statistics, the permission that a restricted key needs, and the object's id if the
/// path names one.
pub(crate) struct Route<'a> {
    pub(crate) name: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) id: Option<&'a str>,
}

/// The endpoint of a path.
pub(crate) fn route(path: &str) -> Option<Route<'_>> {
    let segments: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let (name, permission, id) = match segments[..] {
        ["subscriptions"] => ("/v1/subscriptions", "rak_subscription_read", None),
        ["subscriptions", id] => ("/v1/subscriptions/{id}", "rak_subscription_read", Some(id)),
        ["subscription_items"] => ("/v1/subscription_items", "rak_subscription_read", None),
        ["checkout", "sessions"] => ("/v1/checkout/sessions", "rak_checkout_session_read", None),
        ["checkout", "sessions", id] => ("/v1/checkout/sessions/{id}", "rak_checkout_session_read", Some(id)),
        ["events"] => ("/v1/events", "rak_event_read", None),
        ["events", id] => ("/v1/events/{id}", "rak_event_read", Some(id)),
        ["prices", id] => ("/v1/prices/{id}", "rak_plan_read", Some(id)),
        ["account"] => ("/v1/account", "rak_accounts_kyc_basic_read", None),
        _ => return None,
    };
    Some(Route { name, permission, id })
}

/// What a GET of `route` finds, for a key of live or test mode.
pub(crate) fn get(account: &Account, route: &Route<'_>, query: &str, live: bool) -> Result<Vec<u8>, Refusal> {
    let id = route.id.unwrap_or_default();
    let view = View { account, live };
    match route.name {
        "/v1/subscriptions" => view.subscriptions(query),
        "/v1/subscriptions/{id}" => view.retrieve(query, Kind::Subscription, id),
        "/v1/subscription_items" => view.items(query),
        "/v1/checkout/sessions" => view.sessions(query),
        "/v1/checkout/sessions/{id}" => view.retrieve(query, Kind::Session, id),
        "/v1/events" => view.events(query),
        "/v1/events/{id}" => view.retrieve(query, Kind::Event, id),
        "/v1/prices/{id}" => {
            Params::parse(query, &["expand[]"])?
                .check_expand(false, &["product", "tiers", "currency_options"])?;
            render::price(id, live).map(<[u8]>::to_vec).ok_or_else(|| Refusal::missing("price", id, "price"))
        }
        _ => {
            Params::parse(query, &["expand[]"])?.check_expand(false, &[])?;
            Ok(account_object(live))
        }
    }
}

/// The account as a key of one mode sees it.
struct View<'a> {
    account: &'a Account,
    live: bool,
}

impl View<'_> {
    fn collection(&self, kind: Kind) -> (&Collection, &'static str) {
        match kind {
            Kind::Subscription => (&self.account.subscriptions, "subscription"),
            Kind::Session => (&self.account.sessions, "checkout.session"),
            Kind::Event => (&self.account.events, "event"),
        }
    }

    /// Live and test mode are two data sets, of which the account has one.
    fn visible(&self) -> bool {
        self.live == self.account.generator.is_livemode()
    }

    fn subscriptions(&self, query: &str) -> Result<Vec<u8>, Refusal> {
        let params = Params::parse(
            query,
            &[
                "limit",
                "starting_after",
                "ending_before",
                "expand[]",
                "status",
                "customer",
                "customer_account",
                "price",
                "collection_method",
                "test_clock",
                "automatic_tax[enabled]",
                "created[*]",
                "current_period_start[*]",
                "current_period_end[*]",
            ],
        )?;
        params.check_expand(true, &SUBSCRIPTION_FIELDS)?;
        params.one_of("collection_method", &["charge_automatically", "send_invoice"])?;
        let taxed = params.one_of("automatic_tax[enabled]", &["false", "true"])? == Some("true");
        let periods = (params.range("current_period_start")?, params.range("current_period_end")?);
        let mut filter = Filter {
            status: params.one_of("status", &STATUSES)?,
            price: params.get("price"),
            periods: (periods != (Range::ALL, Range::ALL)).then_some(periods),
            test_clock: params.get("test_clock"),
            ..Filter::default()
        };
        for name in ["customer", "customer_account", "collection_method"] {
            filter.fields.extend(params.get(name).map(|value| (name, value)));
        }
        if taxed {
            // No simulated subscription has automatic tax.
            filter.fields.push(("automatic_tax", "enabled"));
        }
        let index = params.get("customer").map(|id| self.account.generator.index_of_customer(id));
        self.list(&params, Kind::Subscription, "/v1/subscriptions", &filter, index)
    }

    fn sessions(&self, query: &str) -> Result<Vec<u8>, Refusal> {
        let params = Params::parse(
            query,
            &[
                "limit",
                "starting_after",
                "ending_before",
                "expand[]",
                "status",
                "subscription",
                "customer",
                "customer_account",
                "payment_intent",
                "payment_link",
                "created[*]",
            ],
        )?;
        params.check_expand(
            true,
            &[
                "customer",
                "invoice",
                "line_items",
                "payment_intent",
                "payment_link",
                "setup_intent",
                "subscription",
            ],
        )?;
        params.one_of("status", &["open", "expired", "complete"])?;
        let mut filter = Filter::default();
        for name in
            ["status", "subscription", "customer", "customer_account", "payment_intent", "payment_link"]
        {
            filter.fields.extend(params.get(name).map(|value| (name, value)));
        }
        let generator = &self.account.generator;
        let by_subscription = params.get("subscription").map(|id| generator.index_of(id));
        let by_customer = params.get("customer").map(|id| generator.index_of_customer(id));
        let index = by_subscription.or(by_customer);
        self.list(&params, Kind::Session, "/v1/checkout/sessions", &filter, index)
    }

    fn events(&self, query: &str) -> Result<Vec<u8>, Refusal> {
        let params = Params::parse(
            query,
            &[
                "limit",
                "starting_after",
                "ending_before",
                "expand[]",
                "type",
                "types[]",
                "delivery_success",
                "created[*]",
            ],
        )?;
        params.check_expand(true, &[])?;
        let types = params.all("types[]").chain(params.get("type")).collect();
        let delivered = params.one_of("delivery_success", &["false", "true"])?.map(|word| word == "true");
        self.list(&params, Kind::Event, "/v1/events", &Filter { types, delivered, ..Filter::default() }, None)
    }

    /// One page. `index` is given where at most one generated object can match: its index, if there is one.
    fn list(
        &self,
        params: &Params,
        kind: Kind,
        url: &str,
        filter: &Filter<'_>,
        index: Option<Option<u32>>,
    ) -> Result<Vec<u8>, Refusal> {
        let limit = params.limit()?;
        let created = params.range("created")?;
        let (collection, name) = self.collection(kind);
        let generator = &self.account.generator;
        let cursor = |param: &str| match params.get(param) {
            None => Ok(None),
            Some(id) => match collection.key_of(generator, id) {
                Some(key) if self.visible() => Ok(Some(key)),
                Some(_) => Err(Refusal::other_mode(name, id, param, self.live)),
                None => Err(Refusal::missing(name, id, param)),
            },
        };
        let (after, before) = (cursor("starting_after")?, cursor("ending_before")?);
        if after.is_some() && before.is_some() {
            return Err(Refusal::invalid(
                "ending_before",
                "You cannot specify both `starting_after` and `ending_before`; choose one.",
            ));
        }
        let mut low = (created.low, 0);
        let mut high = (created.high + 1, 0);
        if let Some(key) = after {
            high = high.min(key);
        }
        if let Some((time, sequence)) = before {
            low = low.max((time, sequence + 1));
        }
        let mut rows = Vec::with_capacity(limit);
        let mut has_more = false;
        if self.visible() {
            let candidates = index.map(|index| collection.candidates(index));
            for row in collection.walk(generator, (low, high), before.is_none(), candidates) {
                if !filter.matches(kind, &row) {
                    continue;
                }
                if rows.len() == limit {
                    has_more = true;
                    break;
                }
                rows.push(row);
            }
            if before.is_some() {
                rows.reverse();
            }
        }
        let mut page = Page::new(rows.len());
        for row in &rows {
            page.object(|out| collection.write(out, generator, row));
        }
        Ok(page.finish(has_more, url))
    }

    fn items(&self, query: &str) -> Result<Vec<u8>, Refusal> {
        let known = ["limit", "starting_after", "ending_before", "expand[]", "subscription"];
        let params = Params::parse(query, &known)?;
        params.check_expand(true, &["price", "discounts", "tax_rates"])?;
        let limit = params.limit()?;
        let id = params.get("subscription").ok_or_else(|| Refusal::missing_parameter("subscription"))?;
        let generator = &self.account.generator;
        let found = self.account.subscriptions.copy(generator, id).filter(|_| self.visible());
        let items = found.ok_or_else(|| Refusal::missing("subscription", id, "subscription"))?.items;
        let cursor = |param: &str| match params.get(param) {
            None => Ok(None),
            Some(id) => items
                .iter()
                .position(|item| item["id"] == id)
                .map(Some)
                .ok_or_else(|| Refusal::missing("subscription_item", id, param)),
        };
        let start = cursor("starting_after")?.map_or(0, |place| place + 1);
        let end = cursor("ending_before")?.unwrap_or(items.len()).max(start);
        let (shown, has_more) = if params.get("ending_before").is_some() {
            (end.saturating_sub(limit).max(start)..end, end - start > limit)
        } else {
            (start..end.min(start + limit), end - start > limit)
        };
        let mut page = Page::new(shown.len());
        for item in &items[shown] {
            page.object(|out| serde_json::to_writer_pretty(out, item).expect("a Value always serializes"));
        }
        Ok(page.finish(has_more, "/v1/subscription_items"))
    }

    fn retrieve(&self, query: &str, kind: Kind, id: &str) -> Result<Vec<u8>, Refusal> {
        let fields: &[&str] = match kind {
            Kind::Subscription => &SUBSCRIPTION_FIELDS,
            Kind::Session => {
                &["customer", "invoice", "line_items", "payment_intent", "setup_intent", "subscription"]
            }
            Kind::Event => &[],
        };
        Params::parse(query, &["expand[]"])?.check_expand(false, fields)?;
        let (collection, name) = self.collection(kind);
        let param = if kind == Kind::Session { "session" } else { "id" };
        let row =
            collection.get(&self.account.generator, id).ok_or_else(|| Refusal::missing(name, id, param))?;
        if !self.visible() {
            return Err(Refusal::other_mode(name, id, param, self.live));
        }
        let mut out = Vec::with_capacity(OBJECT_SIZE);
        collection.write(&mut out, &self.account.generator, &row);
        Ok(out)
    }
}

/// Fields of a subscription that Stripe can expand.
const SUBSCRIPTION_FIELDS: [&str; 11] = [
    "application",
    "customer",
    "default_payment_method",
    "default_source",
    "discounts",
    "items",
    "latest_invoice",
    "on_behalf_of",
    "pending_setup_intent",
    "schedule",
    "test_clock",
];

/// Somewhat more than an object's JSON takes, so that a page is written without moving it.
const OBJECT_SIZE: usize = 4_608;

/// A list under construction.
struct Page {
    out: Vec<u8>,
    empty: bool,
}

impl Page {
    fn new(objects: usize) -> Self {
        let mut out = Vec::with_capacity(objects * OBJECT_SIZE + 128);
        out.extend_from_slice(b"{\n  \"object\": \"list\",\n  \"data\": [\n");
        Self { out, empty: true }
    }

    fn object(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.empty {
            self.out.extend_from_slice(b",\n");
        }
        self.empty = false;
        write(&mut self.out);
    }

    fn finish(mut self, has_more: bool, url: &str) -> Vec<u8> {
        let end = format!("\n  ],\n  \"has_more\": {has_more},\n  \"url\": \"{url}\"\n}}");
        self.out.extend_from_slice(end.as_bytes());
        self.out
    }
}

fn account_object(live: bool) -> Vec<u8> {
    let object: Value = json!({
        "id": ACCOUNT,
        "object": "account",
        "business_profile": { "name": "Simulated", "url": null },
        "business_type": null,
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": live,
        "controller": { "type": "account" },
        "country": "US",
        "created": 1_722_470_400,
        "default_currency": "usd",
        "details_submitted": true,
        "email": "billing@example.com",
        "metadata": {},
        "payouts_enabled": live,
        "settings": { "dashboard": { "display_name": "Simulated", "timezone": "Etc/UTC" } },
        "type": "standard",
    });
    serde_json::to_vec_pretty(&object).expect("a Value always serializes")
}
