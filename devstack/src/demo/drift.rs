//! Drift of every class, put between the simulator and the database; and how a person settles what is left.
//!
//! Rows go into the database already wrong and a day old, because what changed in the last two minutes is rightly
//! left alone. A mix-up of live and test is the one class that is missing: it stops all repairs, which is its purpose.

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use stripe_simulator::{ItemChange, PRICES, Simulator, SubscriptionChange, SubscriptionFacts};
use tokio_postgres::Client;

use crate::seeding::{self, Row};
use crate::stack::Stack;

const DAY: i64 = 86_400;

/// The price that `PRICE_TIERS` does not know at first.
const UNKNOWN_PRICE: &str = "price_1PiLegacyPlanAAAAAAAA00";

/// One class of drift, and how much of it was seeded.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// The findings' `type`.
    pub(super) kind: &'static str,
    /// For people.
    pub(super) words: &'static str,
    /// Whether a run may repair it.
    pub(super) repaired: bool,
    /// How many there are.
    pub(super) seeded: i64,
}

/// The simulator's account and a database that does not agree with it.
#[derive(Debug, Default)]
pub(super) struct World {
    rows: Vec<Row>,
    organizations: Vec<String>,
    classes: Vec<Class>,
    added: u64,
    generated: u64,
    /// What a person will have to do, in order.
    unknown_organizations: Vec<SubscriptionFacts>,
    gone: Vec<String>,
    customers: Vec<(String, String)>,
    second_subscriptions: Vec<String>,
    unknown_price: Vec<String>,
    unknown_status: Vec<(String, String)>,
    mixed_periods: Vec<SubscriptionFacts>,
}

/// `PRICE_TIERS` for the simulator's price list.
pub(super) fn price_tiers() -> String {
    tiers().to_string()
}

fn tiers() -> Value {
    PRICES
        .iter()
        .map(|price| (price.id.to_owned(), Value::from(price.tier)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Takes generated subscriptions one after the other, each once.
struct Hand {
    facts: Vec<Option<SubscriptionFacts>>,
}

impl Hand {
    fn take(
        &mut self,
        count: usize,
        fits: impl Fn(&SubscriptionFacts) -> bool,
    ) -> Result<Vec<SubscriptionFacts>> {
        let mut taken = Vec::new();
        for slot in &mut self.facts {
            if taken.len() < count && slot.as_ref().is_some_and(&fits) {
                taken.extend(slot.take());
            }
        }
        if taken.len() < count {
            return Err(anyhow!("the simulator has too few subscriptions to seed every class of drift"));
        }
        Ok(taken)
    }
}

impl World {
    /// Changes the simulator's account and prepares the rows.
    pub(super) fn seed(simulator: &Simulator) -> Result<World> {
        let now = simulator.now();
        let mut hand = Hand { facts: simulator.generator().all().map(Some).collect() };
        let mut world = World { generated: hand.facts.len() as u64, ..World::default() };
        // Old enough that no webhook can be under way.
        let settled = move |facts: &SubscriptionFacts| {
            let latest =
                facts.trial_end.filter(|end| *end <= now).unwrap_or(0).max(facts.current_period_start);
            facts.created.max(latest) < now - DAY
        };
        let active = move |facts: &SubscriptionFacts| settled(facts) && facts.status == "active";

        let mut drifted = |kind, words, facts: Vec<SubscriptionFacts>, change: &dyn Fn(&mut Row)| {
            world.class(kind, words, true, facts.len());
            world.rows.extend(facts.into_iter().map(|facts| {
                let mut row = Row::of(facts);
                change(&mut row);
                row
            }));
        };
        let canceled = hand.take(3, |facts| settled(facts) && facts.status == "canceled")?;
        let mut statuses = hand.take(5, active)?;
        statuses.extend(canceled);
        drifted("status_mismatch", "status differs", statuses, &|row| {
            row.status = if row.status == "active" { "past_due" } else { "active" }.to_owned();
        });
        drifted("period_mismatch", "billing period differs", hand.take(6, active)?, &|row| {
            row.current_period_start -= 30 * DAY;
            row.current_period_end -= 30 * DAY;
        });
        let ending = hand.take(3, |facts| active(facts) && facts.cancel_at_period_end)?;
        drifted("cancel_at_period_end_mismatch", "ends with the period, or not", ending, &|row| {
            row.cancel_at_period_end = false;
        });
        let tried = hand.take(2, |facts| active(facts) && facts.trial_end.is_some())?;
        drifted("trial_end_mismatch", "end of the trial differs", tried, &|row| {
            row.trial_end = row.trial_end.map(|end| end + DAY);
        });
        drifted("quantity_mismatch", "seats differ", hand.take(4, active)?, &|row| {
            row.quantity = if row.quantity == 1 { 3 } else { 1 };
        });
        drifted("price_mismatch", "price differs, tier stays", hand.take(3, active)?, &|row| {
            let sibling = PRICES
                .iter()
                .find(|price| Some(price.tier) == row.tier.as_deref() && price.id != row.stripe_price_id);
            row.stripe_price_id =
                sibling.map_or_else(|| row.stripe_price_id.clone(), |price| price.id.to_owned());
        });
        let starters = hand.take(2, |facts| active(facts) && tiers()[facts.price] == "starter")?;
        drifted("tier_mismatch", "tier is not the price's", starters, &|row| {
            row.tier = Some("business".to_owned())
        });

        let missing = hand.take(4, active)?;
        world.class("missing_in_database", "not in the database", true, missing.len());
        world.organizations.extend(missing.into_iter().map(|facts| facts.organization_id));
        world.seed_what_needs_a_person(simulator, &mut hand, active)?;
        world.rows.extend(hand.facts.into_iter().flatten().map(Row::of));
        Ok(world)
    }

    fn seed_what_needs_a_person(
        &mut self,
        simulator: &Simulator,
        hand: &mut Hand,
        active: impl Fn(&SubscriptionFacts) -> bool + Copy,
    ) -> Result<()> {
        let now = simulator.now();
        let change = |outcome: Result<Value, String>| {
            outcome.map_err(|reason| anyhow!("the simulator refused: {reason}"))
        };

        for (index, template) in hand.take(2, active)?.into_iter().enumerate() {
            let facts = self.newcomer(&template, &format!("Nobodys{index}"), now);
            self.rows.push(Row::of(template));
            let unknown = SubscriptionChange { metadata: Some(serde_json::Map::new()), ..described(&facts) };
            change(simulator.put_subscription(SubscriptionChange { organization_id: None, ..unknown }))?;
            self.unknown_organizations.push(facts);
        }
        self.class("organization_unknown", "not in the database, owner unknown", false, 2);

        for (index, template) in hand.take(2, active)?.into_iter().enumerate() {
            let row = Row { stripe_subscription_id: format!("sub_1Gone{index:019}"), ..Row::of(template) };
            // The template's own subscription is settled under another organization, so that nothing else differs.
            self.gone.push(row.stripe_subscription_id.clone());
            let owner = uuid::Uuid::new_v4().to_string();
            self.rows.push(Row {
                organization_id: owner,
                stripe_customer_id: format!("cus_Gone{index:010}"),
                ..row.clone()
            });
            let id = self.original(simulator, &row)?;
            self.rows.push(id);
        }
        self.class("missing_in_stripe", "in the database, unknown to Stripe", false, 2);

        for (index, facts) in hand.take(2, active)?.into_iter().enumerate() {
            self.customers.push((facts.id.clone(), facts.customer.clone()));
            self.rows.push(Row { stripe_customer_id: format!("cus_Other{index:09}"), ..Row::of(facts) });
        }
        self.class("customer_mismatch", "customer differs", false, 2);

        for facts in hand.take(1, active)? {
            let second = SubscriptionFacts {
                organization_id: facts.organization_id.clone(),
                ..self.newcomer(&facts, "Second", now)
            };
            change(simulator.put_subscription(described(&second)))?;
            self.second_subscriptions.push(second.id.clone());
            self.rows.extend([Row::of(facts), Row::of(second)]);
        }
        self.class("duplicate_live_subscription", "two live subscriptions, one organization", false, 1);

        for facts in hand.take(1, active)? {
            let price =
                SubscriptionChange { price: Some(UNKNOWN_PRICE.to_owned()), ..SubscriptionChange::default() };
            change(simulator.patch_subscription(&facts.id, price))?;
            self.unknown_price.push(facts.id.clone());
            self.rows.push(Row { stripe_price_id: UNKNOWN_PRICE.to_owned(), ..Row::of(facts) });
        }
        self.class("unknown_price", "price without a tier", false, 1);

        for facts in hand.take(1, active)? {
            let status =
                SubscriptionChange { status: Some("on_hold".to_owned()), ..SubscriptionChange::default() };
            change(simulator.patch_subscription(&facts.id, status))?;
            self.unknown_status.push((facts.id.clone(), facts.status.to_owned()));
            self.rows.push(Row::of(facts));
        }
        self.class("unknown_status", "status that is new to us", false, 1);

        for facts in hand.take(1, active)? {
            change(simulator.patch_subscription(&facts.id, with_items(&facts, &[0, 7 * DAY])))?;
            self.mixed_periods.push(facts.clone());
            self.rows.push(Row::of(facts));
        }
        self.class("mixed_item_periods", "items with different periods", false, 1);
        Ok(())
    }

    /// A subscription like `template` that the generator does not know, a month old.
    fn newcomer(&mut self, template: &SubscriptionFacts, name: &str, now: i64) -> SubscriptionFacts {
        self.added += 1;
        SubscriptionFacts {
            id: format!("sub_1{name:A<23}"),
            customer: format!("cus_{name:A<14}"),
            organization_id: uuid::Uuid::new_v4().to_string(),
            created: now - 20 * DAY,
            trial_end: None,
            current_period_start: now - 20 * DAY,
            current_period_end: now + 10 * DAY,
            cancel_at_period_end: false,
            ..template.clone()
        }
    }

    /// The row of the generated subscription whose customer `row` has.
    fn original(&self, simulator: &Simulator, row: &Row) -> Result<Row> {
        let generator = simulator.generator();
        let index = generator.index_of_customer(&row.stripe_customer_id).context("a generated customer")?;
        Ok(Row::of(generator.facts(index)))
    }

    fn class(&mut self, kind: &'static str, words: &'static str, repaired: bool, seeded: usize) {
        self.classes.push(Class { kind, words, repaired, seeded: i64::try_from(seeded).unwrap_or(i64::MAX) });
    }

    /// What was seeded.
    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// How many subscriptions Stripe has.
    pub(super) fn subscriptions(&self) -> u64 {
        self.generated + self.added
    }

    /// Puts the rows into the database.
    pub(super) async fn fill(&self, database: &Client) -> Result<()> {
        for organization in &self.organizations {
            let id: uuid::Uuid = organization.parse()?;
            database
                .execute(
                    "insert into public.organizations (id, name) values ($1, 'Organization without a row')",
                    &[&id],
                )
                .await?;
        }
        seeding::fill(database, self.rows.iter().cloned()).await
    }

    /// Does what a person would, and says what that was.
    pub(super) async fn settle(&self, stack: &Stack, database: &Client) -> Result<Vec<String>> {
        let simulator = stack.simulator().context("only the simulator can be settled")?;
        let change = |outcome: Result<Value, String>| {
            outcome.map_err(|reason| anyhow!("the simulator refused: {reason}"))
        };
        let mut done = Vec::new();

        seeding::fill(database, self.unknown_organizations.iter().cloned().map(Row::of)).await?;
        done.push(counted(
            self.unknown_organizations.len(),
            "row added, under the organization that the customer named",
            "rows added, under the organizations that the customers named",
        ));
        for id in &self.gone {
            database
                .execute("delete from public.subscriptions where stripe_subscription_id = $1", &[id])
                .await?;
        }
        done.push(counted(
            self.gone.len(),
            "row deleted, of a test account long gone",
            "rows deleted, of test accounts long gone",
        ));
        for (id, customer) in &self.customers {
            let sql =
                "update public.subscriptions set stripe_customer_id = $2 where stripe_subscription_id = $1";
            database.execute(sql, &[id, customer]).await?;
        }
        done.push(counted(self.customers.len(), "customer id corrected", "customer ids corrected"));
        for id in &self.second_subscriptions {
            let status =
                SubscriptionChange { status: Some("canceled".to_owned()), ..SubscriptionChange::default() };
            change(simulator.patch_subscription(id, status))?;
            let sql = "update public.subscriptions set status = 'canceled' where stripe_subscription_id = $1";
            database.execute(sql, &[id]).await?;
        }
        done.push(counted(
            self.second_subscriptions.len(),
            "second subscription canceled at Stripe",
            "second subscriptions canceled at Stripe",
        ));
        for (id, status) in &self.unknown_status {
            let status = SubscriptionChange { status: Some(status.clone()), ..SubscriptionChange::default() };
            change(simulator.patch_subscription(id, status))?;
        }
        done.push(counted(
            self.unknown_status.len(),
            "subscription taken off hold at Stripe",
            "subscriptions taken off hold at Stripe",
        ));
        for facts in &self.mixed_periods {
            change(simulator.patch_subscription(&facts.id, with_items(facts, &[0, 0])))?;
        }
        done.push(counted(
            self.mixed_periods.len(),
            "subscription's items aligned at Stripe",
            "subscriptions' items aligned at Stripe",
        ));
        let mut tiers = tiers();
        tiers[UNKNOWN_PRICE] = json!("legacy");
        for id in &self.unknown_price {
            let sql = "update public.subscriptions set tier = 'legacy' where stripe_subscription_id = $1";
            database.execute(sql, &[id]).await?;
        }
        stack.functions().configure(&[("PRICE_TIERS", Some(&tiers.to_string()))]).await;
        done.push(counted(
            self.unknown_price.len(),
            "price added to PRICE_TIERS",
            "prices added to PRICE_TIERS",
        ));
        Ok(done)
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The change that makes a subscription of `facts`.
fn described(facts: &SubscriptionFacts) -> SubscriptionChange {
    SubscriptionChange {
        id: Some(facts.id.clone()),
        customer: Some(facts.customer.clone()),
        organization_id: Some(facts.organization_id.clone()),
        status: Some(facts.status.to_owned()),
        price: Some(facts.price.to_owned()),
        quantity: Some(facts.quantity),
        cancel_at_period_end: Some(facts.cancel_at_period_end),
        current_period_start: Some(facts.current_period_start),
        current_period_end: Some(facts.current_period_end),
        created: Some(facts.created),
        ..SubscriptionChange::default()
    }
}

/// Items like the first, each with a period that ends so many seconds later.
fn with_items(facts: &SubscriptionFacts, later: &[i64]) -> SubscriptionChange {
    let items = later.iter().map(|later| ItemChange {
        price: Some(facts.price.to_owned()),
        quantity: Some(facts.quantity),
        current_period_start: Some(facts.current_period_start),
        current_period_end: Some(facts.current_period_end + later),
    });
    SubscriptionChange { items: Some(items.collect()), ..SubscriptionChange::default() }
}
