//! The account's objects, and how a change is carried out.

use crate::change::{Action, EventInput, InvoiceEventInput, ItemChange, SessionChange, SubscriptionChange};
use crate::generator::{Generator, IdKind, SubscriptionFacts};
use crate::invoice;
use crate::prices::PRICES;
use crate::render;
use crate::store::{Collection, ITEMS_SHOWN, Kind, Stored};
use crate::webhooks::Webhooks;
use serde_json::{Value, json};

const MONTH: i64 = 30 * 86_400;

/// The account's objects.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) generator: Generator,
    pub(crate) subscriptions: Collection,
    pub(crate) sessions: Collection,
    pub(crate) events: Collection,
    pub(crate) webhooks: Webhooks,
    /// New objects take their ids from the far end of the generator's indexes.
    next_index: u32,
}

impl Account {
    pub(crate) fn new(generator: Generator) -> Self {
        Self {
            generator,
            subscriptions: Collection::new(Kind::Subscription),
            sessions: Collection::new(Kind::Session),
            events: Collection::new(Kind::Event),
            webhooks: Webhooks::default(),
            next_index: u32::MAX,
        }
    }

    /// Does it, as of `now`, and gives back the object as it is then (`null` if it is gone).
    pub(crate) fn apply(&mut self, action: Action, now: i64) -> Result<Value, String> {
        match action {
            Action::PutSubscription(change) => self.put_subscription(change, now, true),
            Action::PatchSubscription(change) => self.put_subscription(change, now, false),
            Action::PutSession(change) => self.put_session(change, now, true),
            Action::PatchSession(change) => self.put_session(change, now, false),
            Action::PutEvent(event) => self.put_event(event, now),
            Action::PutInvoiceEvent(event) => self.put_invoice_event(event, now),
            Action::DeleteSubscription(id) => {
                let found = self.subscriptions.delete(&self.generator, &id);
                if found { Ok(Value::Null) } else { Err(format!("no subscription {id}")) }
            }
            Action::DeleteSession(id) => {
                let found = self.sessions.delete(&self.generator, &id);
                if found { Ok(Value::Null) } else { Err(format!("no session {id}")) }
            }
        }
    }

    fn put_subscription(
        &mut self,
        change: SubscriptionChange,
        now: i64,
        fresh: bool,
    ) -> Result<Value, String> {
        let existing = change.id.as_deref().and_then(|id| self.subscriptions.copy(&self.generator, id));
        let mut stored = match existing {
            Some(stored) if !fresh => stored,
            None if !fresh => return Err(format!("no subscription {}", change.id.unwrap_or_default())),
            existing => {
                let created = existing.and_then(|stored| stored.object["created"].as_i64());
                self.blank_subscription(change.created.or(created).unwrap_or(now))
            }
        };
        let was_canceled = !fresh && stored.object["status"] == "canceled";
        let silent = change.silent;
        change_subscription(&mut stored, change, now);
        let object = stored.object.clone();
        let new = self.subscriptions.put(&self.generator, stored)?;
        if !silent {
            let kind = match object["status"].as_str() {
                _ if new => "customer.subscription.created",
                Some("canceled") if !was_canceled => "customer.subscription.deleted",
                _ => "customer.subscription.updated",
            };
            let event = EventInput { kind: kind.into(), object: object.clone(), ..EventInput::default() };
            self.put_event(event, now)?;
        }
        Ok(object)
    }

    fn blank_subscription(&mut self, created: i64) -> Stored {
        let (index, facts) = self.blank(created);
        let mut json = Vec::new();
        render::subscription(&mut json, &self.generator, index, &facts);
        Stored::new(serde_json::from_slice(&json).expect("the template is JSON"))
    }

    /// What a new subscription is like before anything is said about it, and the index that its ids come from.
    fn blank(&mut self, created: i64) -> (u32, SubscriptionFacts) {
        let index = self.take_index();
        let generator = &self.generator;
        let facts = SubscriptionFacts {
            id: generator.id(IdKind::Subscription, index),
            customer: generator.id(IdKind::Customer, index),
            organization_id: generator.organization_id(index),
            status: "active",
            price: PRICES[0].id,
            quantity: 1,
            cancel_at_period_end: false,
            trial_end: None,
            current_period_start: created,
            current_period_end: created + MONTH,
            created,
            livemode: generator.is_livemode(),
        };
        (index, facts)
    }

    fn put_session(&mut self, change: SessionChange, now: i64, fresh: bool) -> Result<Value, String> {
        let existing = change.id.as_deref().and_then(|id| self.sessions.copy(&self.generator, id));
        let mut object = match existing {
            Some(stored) if !fresh => stored.object,
            None if !fresh => return Err(format!("no session {}", change.id.unwrap_or_default())),
            existing => {
                let created = existing.and_then(|stored| stored.object["created"].as_i64());
                self.blank_session(change.created.or(created).unwrap_or(now))
            }
        };
        if let Some(status) = change.status {
            if status != "complete" {
                for field in ["subscription", "customer", "invoice"] {
                    object[field] = Value::Null;
                }
                object["payment_status"] = json!("unpaid");
            }
            object["status"] = json!(status);
        }
        for (field, value) in [
            ("id", change.id),
            ("subscription", change.subscription),
            ("customer", change.customer),
            ("client_reference_id", change.organization_id.clone()),
        ] {
            if let Some(value) = value {
                object[field] = json!(value);
            }
        }
        if let Some(id) = change.organization_id {
            object["metadata"]["organization_id"] = json!(id);
        }
        if let Some(over) = change.object {
            merge(&mut object, over);
        }
        let new = self.sessions.put(&self.generator, Stored::new(object.clone()))?;
        if new && object["status"] == "complete" {
            let kind = "checkout.session.completed".into();
            self.put_event(EventInput { kind, object: object.clone(), ..EventInput::default() }, now)?;
        }
        Ok(object)
    }

    fn blank_session(&mut self, created: i64) -> Value {
        let (index, facts) = self.blank(created);
        let mut json = Vec::new();
        render::session(&mut json, &self.generator, index, &facts);
        let mut object: Value = serde_json::from_slice(&json).expect("the template is JSON");
        object["created"] = json!(created);
        object["expires_at"] = json!(created + 86_400);
        object
    }

    fn put_event(&mut self, event: EventInput, now: i64) -> Result<Value, String> {
        let id = match event.id {
            Some(id) => id,
            None => {
                let index = self.take_index();
                self.generator.id(IdKind::Event, index)
            }
        };
        // An error must not come after anything was announced.
        let created = event.created.unwrap_or(now);
        if let Some(replaced) = self.events.stored(&id) {
            if replaced.object["created"] != created {
                return Err("created never changes".to_owned());
            }
            self.webhooks.forget(&id);
        }
        let pending = match event.delivered {
            Some(true) => 0,
            Some(false) => 1,
            None => self.webhooks.announce(&id, &event.kind),
        };
        let object = json!({
            "id": id,
            "object": "event",
            "api_version": crate::API_VERSION,
            "created": created,
            "data": { "object": event.object },
            "livemode": self.generator.is_livemode(),
            "pending_webhooks": pending,
            "request": { "id": null, "idempotency_key": null },
            "type": event.kind,
        });
        self.events.put(&self.generator, Stored::new(object.clone()))?;
        Ok(object)
    }

    fn put_invoice_event(&mut self, event: InvoiceEventInput, now: i64) -> Result<Value, String> {
        let InvoiceEventInput { kind, subscription, created, id, delivered } = event;
        if !kind.starts_with("invoice.") {
            return Err(format!("{kind} is no event of an invoice"));
        }
        let found = self.subscriptions.copy(&self.generator, &subscription);
        let subscription = found.ok_or(format!("no subscription {subscription}"))?.object;
        let object = invoice::of_subscription(&kind, &subscription, created.unwrap_or(now));
        self.put_event(EventInput { kind, object, created, id, delivered }, now)
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next_index;
        self.next_index -= 1;
        index
    }
}

fn change_subscription(stored: &mut Stored, change: SubscriptionChange, now: i64) {
    let object = &mut stored.object;
    for (field, value) in [
        ("id", change.id.map(Value::from)),
        ("customer", change.customer.map(Value::from)),
        ("metadata", change.metadata.map(Value::from)),
        ("cancel_at_period_end", change.cancel_at_period_end.map(Value::from)),
        ("trial_end", change.trial_end.map(Value::from)),
        ("created", change.created.map(Value::from)),
        ("livemode", change.livemode.map(Value::from)),
    ] {
        if let Some(value) = value {
            object[field] = value;
        }
    }
    if let Some(id) = change.organization_id {
        object["metadata"]["organization_id"] = json!(id);
    }
    if change.trial_end.is_some() && object["trial_start"].is_null() {
        object["trial_start"] = object["created"].clone();
    }
    if let Some(status) = change.status {
        if status == "canceled" && object["ended_at"].is_null() {
            object["canceled_at"] = json!(now);
            object["ended_at"] = json!(now);
        }
        object["status"] = json!(status);
    }
    let id = object["id"].clone();
    if let (Some(items), Some(first)) = (change.items, stored.items.first().cloned()) {
        let copy = |(place, item): (usize, ItemChange)| {
            let mut copy = first.clone();
            if place > 0 {
                let id = first["id"].as_str().unwrap_or("si_");
                copy["id"] =
                    json!(format!("{}{place:02}", id.get(..id.len().saturating_sub(2)).unwrap_or(id)));
            }
            change_item(&mut copy, &item);
            copy
        };
        stored.items = items.into_iter().enumerate().map(copy).collect();
    }
    let of_every_item = ItemChange {
        current_period_start: change.current_period_start,
        current_period_end: change.current_period_end,
        ..ItemChange::default()
    };
    for item in &mut stored.items {
        item["subscription"] = id.clone();
        change_item(item, &of_every_item);
    }
    if let Some(first) = stored.items.first_mut() {
        change_item(
            first,
            &ItemChange { price: change.price, quantity: change.quantity, ..ItemChange::default() },
        );
    }
    let shown = &stored.items[..stored.items.len().min(ITEMS_SHOWN)];
    object["items"]["data"] = json!(shown);
    object["items"]["has_more"] = json!(shown.len() < stored.items.len());
    object["items"]["url"] =
        json!(format!("/v1/subscription_items?subscription={}", id.as_str().unwrap_or_default()));
    if let Some(over) = change.object {
        merge(object, over);
    }
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|field, _| !change.remove.contains(field));
    }
}

fn change_item(item: &mut Value, change: &ItemChange) {
    for (field, value) in [
        ("quantity", change.quantity.map(Value::from)),
        ("current_period_start", change.current_period_start.map(Value::from)),
        ("current_period_end", change.current_period_end.map(Value::from)),
    ] {
        if let Some(value) = value {
            item[field] = value;
        }
    }
    if let Some(id) = &change.price {
        let livemode = item["price"]["livemode"].as_bool().unwrap_or(false);
        item["price"] = price_object(id, livemode);
    }
}

/// The price of that id; one that is not on the list looks like the first one, but says nothing of a tier.
fn price_object(id: &str, livemode: bool) -> Value {
    let parse = |json: &[u8]| -> Value { serde_json::from_slice(json).expect("the price template is JSON") };
    if let Some(json) = render::price(id, livemode) {
        return parse(json);
    }
    let mut object = render::price(PRICES[0].id, livemode).map_or(Value::Null, parse);
    object["id"] = json!(id);
    object["lookup_key"] = Value::Null;
    object["metadata"] = json!({});
    object
}

/// Lays `over` upon `object`: objects into objects, everything else in the place of what was there.
pub(crate) fn merge(object: &mut Value, over: Value) {
    match (object, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (field, value) in over {
                merge(fields.entry(field).or_insert(Value::Null), value);
            }
        }
        (object, over) => *object = over,
    }
}
