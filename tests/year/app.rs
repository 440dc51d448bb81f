//! The app: an honest webhook handler, which reads the subscription again from Stripe, as good ones do, or believes what the event
//! carries. It writes its own table and the shadow, each by the same statements.

use serde_json::Value;
use stripe_simulator::{Delivery, PRICES, Simulator, price};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::company::{Company, Named, Owner};
use crate::table::Shape;
use crate::webhook::{About, Event};

/// One row of the table that decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub owner: String,
    pub subscription: Option<String>,
    pub status: Option<String>,
    pub tier: Option<String>,
    pub seats: Option<i64>,
}

impl Row {
    /// Whether the app lets its owner in for it.
    pub fn grants(&self) -> bool {
        matches!(self.status.as_deref(), Some("trialing" | "active" | "past_due"))
    }
}

pub struct App {
    pub shape: Shape,
    /// It writes what the event carries.
    pub believes_events: bool,
    /// Its table.
    own: Client,
    /// The table that nobody but the app writes.
    shadow: Client,
}

impl App {
    pub async fn new(shape: Shape, believes_events: bool, own: Client, shadow: Client) -> Self {
        let prices: Vec<&str> = PRICES.iter().map(|price| price.id).chain([crate::company::ADD_ON]).collect();
        own.batch_execute(&shape.made(&prices)).await.expect("the tables are made");
        own.batch_execute("set search_path = public").await.expect("a schema");
        shadow.batch_execute("set search_path = shadow").await.expect("a schema");
        Self { shape, believes_events, own, shadow }
    }

    /// The connection that billing-ops does not see.
    pub fn database(&self) -> &Client {
        &self.own
    }

    pub async fn joins(&self, owner: &Owner) {
        for statement in self.shape.joins() {
            self.write(statement, &[&owner.id, &owner.customer])
                .await
                .expect("a new owner is nobody's rival");
        }
    }

    pub async fn leaves(&self, owner: &Owner) {
        for statement in self.shape.leaves() {
            self.write(statement, &[&owner.id]).await.expect("nothing holds an owner");
        }
    }

    /// A webhook comes in. False: the answer is 500, and it comes again.
    pub async fn hears(&self, company: &mut Company<'_>, at: i64, delivery: &Delivery) -> bool {
        let Some(event) = Event::read(delivery) else { return true };
        let now = at_stripe(company.simulator, &event.subscription);
        // A session says nothing of the subscription's state: it is read in any case.
        let believes = self.believes_events && event.about == About::Subscription;
        company.told(&event, at, believes && event.object != now);
        let named = event.object["metadata"]["organization_id"].as_str().map(str::to_owned);
        let facts = Facts::of(if believes { &event.object } else { &now }, named);
        // Only what was paid for takes the place of what was there.
        let bought = event.about == About::Checkout && facts.grants();
        let statement = if bought { self.shape.bought() } else { self.shape.changed() };
        let written = self.write(statement, &facts.parameters()).await;
        if let Err(error) = &written {
            company.write_failed(&facts.subscription, at, error);
        }
        written.is_ok()
    }

    /// A person looks at an owner and puts the rows right by hand. The shadow has nobody who would.
    pub async fn put_right(&self, company: &Company<'_>, owner: usize) {
        for statement in [self.shape.changed(), self.shape.bought()] {
            for (_, subscription) in company.of(owner) {
                let named = (subscription.named != Named::Customer).then(|| company.owners[owner].id.clone());
                let facts = Facts::of(&at_stripe(company.simulator, &subscription.id), named);
                if statement == self.shape.changed() || facts.grants() {
                    // A row that cannot be written stays wrong, and is counted on.
                    let _ = self.own.execute(statement, &facts.parameters()).await;
                }
            }
        }
    }

    /// On the app's own table and on the shadow, which must both be tried.
    async fn write(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<(), String> {
        let own = self.own.execute(statement, parameters).await;
        self.shadow
            .execute(statement, parameters)
            .await
            .expect("what only the app writes takes what the app writes");
        own.map(drop).map_err(|error| {
            error.as_db_error().map_or(error.to_string(), |error| error.message().to_owned())
        })
    }

    /// All rows of the app's table.
    pub async fn rows(&self) -> Vec<Row> {
        self.read(&self.own).await
    }

    /// What they would be without billing-ops.
    pub async fn shadow_rows(&self) -> Vec<Row> {
        self.read(&self.shadow).await
    }

    async fn read(&self, database: &Client) -> Vec<Row> {
        let rows = database.query(self.shape.read(), &[]).await.expect("rows");
        let row = |row: &tokio_postgres::Row| {
            let (tier, of): (Option<String>, Option<String>) = (row.get(3), row.get(4));
            Row {
                owner: row.get(0),
                subscription: row.get(1),
                status: row.get(2),
                // Where the app has no word for it, the price says it.
                tier: if self.shape == Shape::Vercel {
                    of.and_then(|id| price(&id)).map(|price| price.tier.to_owned())
                } else {
                    tier
                },
                seats: row.get(5),
            }
        };
        rows.iter().map(row).collect()
    }
}

fn at_stripe(simulator: &Simulator, subscription: &str) -> Value {
    simulator.subscription(subscription).expect("Stripe forgets nothing")
}

/// What the app reads from a subscription.
struct Facts {
    owner: Option<String>,
    subscription: String,
    customer: String,
    status: String,
    tier: Option<String>,
    price: Option<String>,
    quantity: Option<i64>,
    period: (f64, f64),
    ends_with_period: bool,
    trial_end: Option<f64>,
}

impl Facts {
    /// The app knows its own plans, and takes the item of one of them, wherever it is.
    fn of(object: &Value, named_at_checkout: Option<String>) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let items = object["items"]["data"].as_array().expect("items");
        let plan =
            items.iter().find(|item| item["price"]["id"].as_str().is_some_and(|id| price(id).is_some()));
        let item = plan.or(items.first()).expect("an item");
        let id = text(&item["price"]["id"]);
        Self {
            owner: text(&object["metadata"]["organization_id"]).or(named_at_checkout),
            subscription: text(&object["id"]).expect("an id"),
            customer: text(&object["customer"]).expect("a customer"),
            status: text(&object["status"]).expect("a status"),
            tier: id.as_deref().and_then(price).map(|price| price.tier.to_owned()),
            price: id,
            quantity: item["quantity"].as_i64(),
            period: (
                item["current_period_start"].as_f64().expect("a time"),
                item["current_period_end"].as_f64().expect("a time"),
            ),
            ends_with_period: object["cancel_at_period_end"].as_bool().unwrap_or(false),
            trial_end: object["trial_end"].as_f64(),
        }
    }

    fn grants(&self) -> bool {
        matches!(self.status.as_str(), "trialing" | "active" | "past_due")
    }

    /// Of all statements that write a row.
    fn parameters(&self) -> [&(dyn ToSql + Sync); 11] {
        [
            &self.owner,
            &self.subscription,
            &self.customer,
            &self.status,
            &self.tier,
            &self.price,
            &self.quantity,
            &self.period.0,
            &self.period.1,
            &self.ends_with_period,
            &self.trial_end,
        ]
    }
}
