//! The company: who its customers are, what they have bought, and what is to happen when. All chance comes from one seed, so that a
//! year can be played again.
//!
//! Whatever changes is changed at the simulated Stripe at its own time, which tells the app (`webhook.rs`). `life.rs` says what happens to
//! a subscription, and how likely it is.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use stripe_simulator::{
    Action, Delivery, ItemChange, PRICES, Script, SessionChange, Simulator, SubscriptionChange,
};
use uuid::Uuid;

use crate::webhook::{self, About, Event};

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;
/// 2026-01-01, a Thursday.
pub const START: i64 = 1_767_225_600;
/// An item that stands for no tier.
pub const ADD_ON: &str = "price_1PiAddOnMonthlyAAAAAAAA00";
/// The plans: their places in the price list. Monthly ones only, so that a year has many periods.
pub const PLANS: [usize; 3] = [0, 2, 4];

/// Who pays, or has paid.
pub struct Owner {
    pub id: String,
    pub customer: String,
    /// The app has deleted it.
    pub gone: bool,
    /// When Stripe last changed anything of theirs.
    pub changed_at: i64,
    /// What the app has not been told of, or not yet: the place of the subscription, and when.
    pub untold: Vec<(usize, About, i64)>,
    /// When an event last told the app what had been true before, and it believed it.
    pub misled_at: i64,
    /// What happened to them, for whoever has to understand it.
    pub history: Vec<String>,
}

impl Owner {
    /// Whether the app has been told of everything that happened from then on.
    pub fn is_told_since(&self, since: i64) -> bool {
        self.misled_at < since && self.untold.iter().all(|(.., at)| *at < since)
    }
}

/// Whose a subscription is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Owner(usize),
    /// Another app's in the same account, or paid by a stranger for somebody else.
    Nobody,
}

/// Where Stripe's data name the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// In the subscription's own metadata.
    Subscription,
    /// Only in those of its checkout session.
    Checkout,
    /// Nowhere: whoever has the customer.
    Customer,
}

pub struct Subscription {
    pub id: String,
    pub customer: String,
    pub whose: Whose,
    pub named: Named,
    pub status: &'static str,
    /// A place in [`PRICES`].
    pub plan: usize,
    pub seats: u64,
    /// An item beside the plan, and whether it comes first.
    pub add_on: Option<bool>,
    pub period: (i64, i64),
    pub trial_end: Option<i64>,
    pub ends_with_period: bool,
    pub created: i64,
    /// Counts its changes.
    pub version: u32,
    /// Of another app's products.
    foreign: bool,
    metadata: Map<String, Value>,
}

impl Subscription {
    /// Whether whoever has it may use what was bought.
    pub fn grants(&self) -> bool {
        matches!(self.status, "trialing" | "active" | "past_due")
    }

    pub fn ended(&self) -> bool {
        matches!(self.status, "canceled" | "incomplete_expired")
    }

    pub fn tier(&self) -> &'static str {
        PRICES[self.plan].tier
    }
}

/// What is to happen.
#[derive(Clone, Debug)]
pub enum Happening {
    SignUp,
    Checkout(usize),
    Pays(usize),
    CheckoutDone(usize),
    Expires(usize),
    PeriodEnds(usize, i64),
    PaymentFails(usize),
    DunningEnds(usize),
    Whim(usize),
    Cancels(usize),
    /// One of two that an owner has: the newer, or the older.
    GivesBack(usize, bool),
    Leaves(usize),
    Stranger,
    StrangerMoves(usize),
    Attack,
    Pass,
    WebhooksStop,
    WebhooksWork,
}

/// What the app or billing-ops has to do.
pub enum Deed {
    Joins(usize),
    Leaves(usize),
    Hears(Box<Delivery>),
    /// billing-ops is told of something.
    Notes(Box<Delivery>),
    /// A pass over what is due.
    Passes(i64),
}

pub struct Company<'a> {
    pub simulator: &'a Simulator,
    pub chance: StdRng,
    pub owners: Vec<Owner>,
    pub subscriptions: Vec<Subscription>,
    /// Where this company's app writes down whose a subscription is; `None`: here and there.
    pub named: Option<Named>,
    /// The endpoint of billing-ops.
    follower: Option<String>,
    /// The app answers 503 to every webhook.
    pub app_is_down: bool,
    /// When anything last changed at Stripe.
    pub changed_at: i64,
    /// What changes now does so at Stripe when so many more requests have come: in the middle of a run.
    pub in_a_run: Option<u64>,
    /// What was to change in the middle of a run, which may have ended before.
    late: Vec<SubscriptionChange>,
    agenda: BTreeMap<(i64, u64), Happening>,
    entries: u64,
    pub(super) deeds: VecDeque<Deed>,
    pub(super) seed: u64,
    /// What Stripe's clock was last set to.
    clock: i64,
}

impl<'a> Company<'a> {
    /// `follows`: billing-ops is told of events, too.
    pub fn new(seed: u64, simulator: &'a Simulator, named: Option<Named>, follows: bool) -> Self {
        let mut company = Self {
            simulator,
            chance: StdRng::seed_from_u64(seed),
            owners: Vec::new(),
            subscriptions: Vec::new(),
            named,
            follower: webhook::begin(simulator, seed, follows),
            app_is_down: false,
            changed_at: START,
            in_a_run: None,
            late: Vec::new(),
            agenda: BTreeMap::new(),
            entries: 0,
            deeds: VecDeque::new(),
            seed,
            clock: START,
        };
        for _ in 0..30 {
            let at = START + company.chance.random_range(0..3 * DAY);
            company.plan(at, Happening::SignUp);
        }
        for _ in 0..25 {
            let at = START + company.chance.random_range(0..DAY);
            company.plan(at, Happening::Stranger);
        }
        let attack = START + company.after_days(12.0);
        company.plan(attack, Happening::Attack);
        let outage = START + company.after_days(40.0);
        company.plan(outage, Happening::WebhooksStop);
        company
    }

    /// Some time, a given number of days on average.
    pub fn after_days(&mut self, mean: f64) -> i64 {
        let chance: f64 = self.chance.random_range(f64::EPSILON..1.0);
        ((-chance.ln() * mean * DAY as f64) as i64).max(MINUTE)
    }

    pub fn plan(&mut self, at: i64, happening: Happening) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), happening);
    }

    /// Lets happen what is due before `until`, as far as something that the app has to do.
    pub fn next(&mut self, until: i64) -> Option<Deed> {
        loop {
            if let Some(deed) = self.deeds.pop_front() {
                return Some(deed);
            }
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at).filter(|at| *at < until);
            // What arrives goes before what happens in the same second.
            let arrived = self.simulator.take_deliveries(next.unwrap_or(until - 1));
            for delivery in arrived {
                let ours = self.follower.as_ref() == Some(&delivery.endpoint);
                let delivery = Box::new(delivery);
                self.deeds.push_back(if ours { Deed::Notes(delivery) } else { Deed::Hears(delivery) });
            }
            if self.deeds.is_empty() {
                let ((at, _), happening) =
                    self.agenda.first_entry().filter(|_| next.is_some())?.remove_entry();
                self.set_clock(at);
                self.happens(at, happening);
            }
        }
    }

    /// It is so late at Stripe. Set to what it was set to, its clock would go back by some milliseconds.
    pub fn set_clock(&mut self, now: i64) {
        if now != self.clock {
            self.clock = now;
            self.simulator.set_now(now);
        }
    }

    /// A new subscription at Stripe.
    pub fn create(&mut self, at: i64, whose: Whose, customer: String, status: &'static str) -> usize {
        let place = self.subscriptions.len();
        let plan = PLANS[self.chance.random_range(0..PLANS.len())];
        let seats = if self.chance.random_bool(0.4) { self.chance.random_range(2..30) } else { 1 };
        let add_on = self.chance.random_bool(0.25).then(|| self.chance.random_bool(0.4));
        let anywhere = if self.chance.random_bool(0.8) { Named::Subscription } else { Named::Checkout };
        let named = self.named.unwrap_or(anywhere);
        let mut metadata = Map::new();
        if let (Whose::Owner(owner), Named::Subscription) = (whose, named) {
            metadata.insert("organization_id".into(), json!(self.owners[owner].id));
            // Written on the day of the purchase, and never again.
            metadata.insert("tier".into(), json!(PRICES[plan].tier));
        }
        self.subscriptions.push(Subscription {
            id: format!("sub_{place:05}"),
            customer,
            whose,
            named,
            status,
            plan,
            seats,
            add_on,
            period: (at, at + 30 * DAY),
            trial_end: None,
            ends_with_period: false,
            created: at,
            version: 0,
            foreign: false,
            metadata,
        });
        place
    }

    /// Makes it one of another app's, which names owners of its own, or none, and sells its own products, mostly.
    pub fn of_another_app(&mut self, place: usize) {
        let somebody = Uuid::from_u128(self.chance.random()).to_string();
        let (names, sells) = (self.chance.random_bool(0.5), self.chance.random_bool(0.8));
        let subscription = &mut self.subscriptions[place];
        if names {
            subscription.metadata.insert("organization_id".to_owned(), json!(somebody));
        }
        (subscription.foreign, subscription.add_on) = (sells, None);
    }

    /// Puts a subscription at Stripe as it is now, and tells the app.
    pub fn changed(&mut self, place: usize, at: i64, what: &str) {
        self.changed_at = at;
        let subscription = &mut self.subscriptions[place];
        subscription.version += 1;
        let change = facts(subscription);
        let new = subscription.version == 1;
        let (id, whose) = (subscription.id.clone(), subscription.whose);
        let line = format!(
            "{}  {id} {} {} x{}{}{}: {what}",
            moment(at),
            subscription.status,
            subscription.tier(),
            subscription.seats,
            if subscription.add_on.is_some() { " with an add-on" } else { "" },
            if subscription.ends_with_period { ", ends with its period" } else { "" },
        );
        let put = if let Some(request) = self.in_a_run {
            self.late.push(change.clone());
            let actions = vec![Action::PatchSubscription(change)];
            self.simulator.script(Script { path: "/v1/".into(), at: request, actions });
            Ok(Value::Null)
        } else if new {
            self.simulator.put_subscription(change)
        } else {
            self.simulator.patch_subscription(&id, change)
        };
        put.expect("the simulator takes it");
        if let Whose::Owner(owner) = whose {
            self.owners[owner].changed_at = at;
            self.owners[owner].history.push(line);
            self.owners[owner].untold.push((place, About::Subscription, at));
        }
    }

    /// The run is over: what was to change in it has changed, and will not do so once more in another.
    pub fn run_is_over(&mut self) {
        self.simulator.clear_scripts();
        for change in std::mem::take(&mut self.late) {
            self.simulator.apply(Action::PatchSubscription(change)).expect("the simulator takes it");
        }
    }

    /// The checkout session of a subscription is complete.
    pub fn checked_out(&mut self, place: usize, at: i64, client_reference_id: Option<&str>) {
        let subscription = &self.subscriptions[place];
        let owner = match subscription.whose {
            Whose::Owner(owner) if subscription.named != Named::Customer => {
                Some(self.owners[owner].id.clone())
            }
            _ => None,
        };
        let metadata = owner.as_ref().map_or(Value::Null, |owner| json!({"organization_id": owner}));
        let change = SessionChange {
            id: Some(format!("cs_live_{place:05}")),
            created: Some(subscription.created - 30),
            subscription: Some(subscription.id.clone()),
            customer: Some(subscription.customer.clone()),
            object: Some(json!({"client_reference_id": client_reference_id, "metadata": metadata})),
            ..SessionChange::default()
        };
        let whose = subscription.whose;
        self.changed_at = at;
        self.simulator.put_session(change).expect("the simulator takes it");
        if let Whose::Owner(owner) = whose {
            self.owners[owner].untold.push((place, About::Checkout, at));
        }
    }

    /// The app is told of it at that time. `misled`: something else has become true since, and it believes this.
    pub fn told(&mut self, event: &Event, at: i64, misled: bool) {
        let Some((place, owner)) = self.owner_of(&event.subscription) else { return };
        let (about, owner) = (event.about, &mut self.owners[owner]);
        // What changes in the middle of a run does so a moment after it began.
        let same = |of: &(usize, About, i64)| of.0 == place && of.1 == about && of.2 <= event.created;
        if let Some(found) = owner.untold.iter().rposition(same) {
            owner.untold.remove(found);
        }
        if misled {
            owner.misled_at = at;
        }
        if at - event.created > 20 || misled {
            let (told, changed) = (moment(at), moment(event.created));
            let words = if misled { ", when it is true no longer" } else { "" };
            owner
                .history
                .push(format!("{told}    is told of {} {about:?} of {changed}{words}", event.subscription));
        }
    }

    /// The app could not write what it was told.
    pub fn write_failed(&mut self, subscription: &str, at: i64, error: &str) {
        if let Some((_, owner)) = self.owner_of(subscription) {
            let line = format!("{}    the app's own write of {subscription} fails: {error}", moment(at));
            self.owners[owner].history.push(line);
        }
    }

    /// The place of a subscription and its owner, if it is one of an owner's.
    fn owner_of(&self, id: &str) -> Option<(usize, usize)> {
        let place = self.subscriptions.iter().position(|subscription| subscription.id == id)?;
        match self.subscriptions[place].whose {
            Whose::Owner(owner) => Some((place, owner)),
            Whose::Nobody => None,
        }
    }

    /// What an owner has at Stripe.
    pub fn of(&self, owner: usize) -> impl Iterator<Item = (usize, &Subscription)> {
        let all = self.subscriptions.iter().enumerate();
        all.filter(move |(_, subscription)| subscription.whose == Whose::Owner(owner))
    }
}

/// A subscription as the simulator is told of it.
fn facts(subscription: &Subscription) -> SubscriptionChange {
    let item = |price: &str, quantity: u64| ItemChange {
        price: Some(price.to_owned()),
        quantity: Some(quantity),
        ..ItemChange::default()
    };
    let price = if subscription.foreign { ADD_ON } else { PRICES[subscription.plan].id };
    let mut items = vec![item(price, subscription.seats)];
    if let Some(first) = subscription.add_on {
        items.insert(if first { 0 } else { 1 }, item(ADD_ON, 1));
    }
    let new = subscription.version == 1;
    SubscriptionChange {
        id: Some(subscription.id.clone()),
        customer: Some(subscription.customer.clone()),
        metadata: new.then(|| subscription.metadata.clone()),
        status: Some(subscription.status.to_owned()),
        cancel_at_period_end: Some(subscription.ends_with_period),
        trial_end: subscription.trial_end,
        current_period_start: Some(subscription.period.0),
        current_period_end: Some(subscription.period.1),
        created: new.then_some(subscription.created),
        items: Some(items),
        ..SubscriptionChange::default()
    }
}

/// A time for people.
pub fn moment(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0).unwrap_or_default().format("%m-%d %H:%M:%S").to_string()
}
