//! What happens to customers and their subscriptions, and how likely it is. Likelier than in life, so that a year holds what a company
//! sees in ten.

use rand::Rng as _;
use uuid::Uuid;

use crate::company::{Company, DAY, Deed, HOUR, Happening, MINUTE, Owner, PLANS, Whose, moment};
use crate::webhook;

impl Company<'_> {
    /// Lets it happen.
    pub fn happens(&mut self, at: i64, happening: Happening) {
        match happening {
            Happening::SignUp => self.signs_up(at),
            Happening::Checkout(owner) => self.checks_out(at, owner),
            Happening::Pays(place) => self.pays(at, place),
            Happening::CheckoutDone(place) => self.checked_out(place, at, None),
            Happening::Expires(place) => self.expires(at, place),
            Happening::PeriodEnds(place, end) => self.period_ends(at, place, end),
            Happening::PaymentFails(place) => self.payment_fails(at, place),
            Happening::DunningEnds(place) => self.dunning_ends(at, place),
            Happening::Whim(place) => self.whim(at, place),
            Happening::Cancels(place) => self.cancels(at, place, "is canceled"),
            Happening::GivesBack(owner, newer) => self.gives_back(at, owner, newer),
            Happening::Leaves(owner) => self.leaves(at, owner),
            Happening::Stranger => self.stranger(at),
            Happening::StrangerMoves(place) => self.stranger_moves(at, place),
            Happening::Attack => self.attack(at),
            Happening::Pass => self.deeds.push_back(Deed::Passes(at)),
            Happening::WebhooksStop => {
                // Either Stripe knows, and tells again for three days, or it does not.
                self.app_is_down = self.chance.random_bool(0.5);
                if !self.app_is_down {
                    webhook::all_get_lost(self.simulator);
                }
                self.plan(at + 2 * DAY, Happening::WebhooksWork);
            }
            Happening::WebhooksWork => {
                self.app_is_down = false;
                webhook::as_ever(self.simulator, self.seed);
                let again = at + self.after_days(60.0);
                self.plan(again, Happening::WebhooksStop);
            }
        }
    }

    fn signs_up(&mut self, at: i64) {
        let owner = self.owners.len();
        self.owners.push(Owner {
            id: Uuid::from_u128(self.chance.random()).to_string(),
            customer: format!("cus_{owner:04}"),
            gone: false,
            changed_at: at,
            untold: Vec::new(),
            misled_at: i64::MIN,
            history: vec![format!("{}  signs up", moment(at))],
        });
        self.deeds.push_back(Deed::Joins(owner));
        let checkout = at + self.chance.random_range(2 * MINUTE..3 * HOUR);
        self.plan(checkout, Happening::Checkout(owner));
    }

    /// Whether an owner has anything that has not ended.
    fn has_something(&self, owner: usize) -> bool {
        self.of(owner).any(|(_, subscription)| !subscription.ended())
    }

    fn checks_out(&mut self, at: i64, owner: usize) {
        if self.owners[owner].gone {
            return;
        }
        // A guest checkout makes another customer, where the app does not find its customers by theirs.
        let guest = self.named.is_none() && self.chance.random_bool(0.1);
        let customer = match guest {
            true => format!("cus_{owner:04}_guest_{}", self.subscriptions.len()),
            false => self.owners[owner].customer.clone(),
        };
        let (abandoned, trial) = (self.chance.random_bool(0.15), self.chance.random_bool(0.3));
        let status = if trial && !abandoned { "trialing" } else { "incomplete" };
        let place = self.create(at, Whose::Owner(owner), customer, status);
        if status == "trialing" {
            let end = at + 14 * DAY;
            let subscription = &mut self.subscriptions[place];
            (subscription.trial_end, subscription.period) = (Some(end), (at, end));
        }
        self.changed(place, at, "checkout");
        if abandoned {
            self.plan(at + 23 * HOUR, Happening::Expires(place));
            if self.chance.random_bool(0.7) {
                let again = at + self.chance.random_range(5 * MINUTE..40 * HOUR);
                self.plan(again, Happening::Checkout(owner));
            }
            return;
        }
        let paid = at + self.chance.random_range(2..2 * MINUTE);
        if status == "incomplete" {
            self.plan(paid, Happening::Pays(place));
        }
        self.plan(paid + 1, Happening::CheckoutDone(place));
        self.begins(at, place);
    }

    /// What a subscription that lives has before it.
    fn begins(&mut self, at: i64, place: usize) {
        let end = self.subscriptions[place].period.1;
        self.plan(end, Happening::PeriodEnds(place, end));
        let whim = at + self.after_days(12.0).max(10 * MINUTE);
        self.plan(whim, Happening::Whim(place));
    }

    fn pays(&mut self, at: i64, place: usize) {
        if self.subscriptions[place].status == "incomplete" {
            self.subscriptions[place].status = "active";
            self.changed(place, at, "the first payment");
        }
    }

    fn expires(&mut self, at: i64, place: usize) {
        if self.subscriptions[place].status == "incomplete" {
            self.subscriptions[place].status = "incomplete_expired";
            self.changed(place, at, "the first payment never came");
            if let Whose::Owner(owner) = self.subscriptions[place].whose
                && !self.has_something(owner)
                && self.chance.random_bool(0.5)
            {
                let next = at + self.after_days(2.0);
                self.plan(next, Happening::SignUp);
            }
        }
    }

    fn period_ends(&mut self, at: i64, place: usize, end: i64) {
        let subscription = &mut self.subscriptions[place];
        if subscription.ended() || subscription.period.1 != end {
            return;
        }
        if subscription.ends_with_period {
            return self.cancels(at, place, "ends with its period");
        }
        let trial = subscription.status == "trialing";
        subscription.period = (end, end + 30 * DAY);
        if trial {
            subscription.status = "active";
        }
        self.plan(end + 30 * DAY, Happening::PeriodEnds(place, end + 30 * DAY));
        self.changed(place, at, if trial { "the trial is over" } else { "the next period" });
        if self.subscriptions[place].status == "active" && self.chance.random_bool(0.12) {
            // The invoice is a draft for an hour.
            self.plan(at + HOUR, Happening::PaymentFails(place));
        }
    }

    fn payment_fails(&mut self, at: i64, place: usize) {
        if self.subscriptions[place].status != "active" {
            return;
        }
        self.subscriptions[place].status = "past_due";
        self.changed(place, at, "a payment failed");
        let end = at + self.after_days(5.0);
        self.plan(end, Happening::DunningEnds(place));
    }

    fn dunning_ends(&mut self, at: i64, place: usize) {
        let status = self.subscriptions[place].status;
        if !matches!(status, "past_due" | "unpaid") {
            return;
        }
        match self.chance.random_range(0..100) {
            0..55 => {
                self.subscriptions[place].status = "active";
                self.changed(place, at, "the payment came after all");
            }
            55..75 if status == "past_due" => {
                self.subscriptions[place].status = "unpaid";
                self.changed(place, at, "all retries failed");
                let end = at + self.after_days(8.0);
                self.plan(end, Happening::DunningEnds(place));
            }
            _ => self.cancels(at, place, "all retries failed"),
        }
    }

    /// Ends at once. Some come back, for others somebody new comes.
    fn cancels(&mut self, at: i64, place: usize, what: &str) {
        if self.subscriptions[place].ended() {
            return;
        }
        self.subscriptions[place].status = "canceled";
        self.changed(place, at, what);
        let Whose::Owner(owner) = self.subscriptions[place].whose else { return };
        if self.owners[owner].gone || self.has_something(owner) {
            return;
        }
        if self.chance.random_bool(0.65) {
            let soon = self.chance.random_bool(0.5);
            let back =
                if soon { self.chance.random_range(5 * MINUTE..3 * HOUR) } else { self.after_days(6.0) };
            self.plan(at + back, Happening::Checkout(owner));
        } else {
            let next = at + self.after_days(2.0);
            self.plan(next, Happening::SignUp);
        }
    }

    fn gives_back(&mut self, at: i64, owner: usize, newer: bool) {
        let has: Vec<usize> =
            self.of(owner).filter(|(_, has)| has.grants()).map(|(place, _)| place).collect();
        if let [older, .., newest] = has[..] {
            self.cancels(at, if newer { newest } else { older }, "bought twice, and given back");
        }
    }

    /// Something that a customer does out of their own mind.
    fn whim(&mut self, at: i64, place: usize) {
        let Whose::Owner(owner) = self.subscriptions[place].whose else { return };
        if self.subscriptions[place].ended() || self.owners[owner].gone {
            return;
        }
        let next = at + self.after_days(12.0);
        self.plan(next, Happening::Whim(place));
        let other = PLANS[self.chance.random_range(0..PLANS.len())];
        let seats = self.chance.random_range(1..30);
        let subscription = &mut self.subscriptions[place];
        match self.chance.random_range(0..100) {
            0..25 if subscription.plan != other => {
                subscription.plan = other;
                self.changed(place, at, "another plan, chosen in the portal");
            }
            25..47 if subscription.seats != seats => {
                subscription.seats = seats;
                self.changed(place, at, "another number of seats");
            }
            47..60 if !subscription.ends_with_period => {
                subscription.ends_with_period = true;
                self.changed(place, at, "is to end with its period");
            }
            60..68 if subscription.ends_with_period => {
                subscription.ends_with_period = false;
                self.changed(place, at, "is to go on");
            }
            68..76 => {
                subscription.add_on = match subscription.add_on {
                    Some(_) => None,
                    None => Some(seats % 3 == 0),
                };
                self.changed(place, at, "an add-on comes or goes");
            }
            76..83 => self.cancels(at, place, "refunded and canceled at once"),
            83..90 => {
                // Another plan by another subscription: either of the two changes may come first.
                let (old, new) = if seats % 2 == 0 { (20, 1) } else { (1, 20) };
                self.plan(at + new, Happening::Checkout(owner));
                self.plan(at + old, Happening::Cancels(place));
            }
            90..94 => {
                // Bought twice; one of the two is given back.
                self.plan(at + 5, Happening::Checkout(owner));
                let back = at + 5 * MINUTE + self.after_days(1.0);
                self.plan(back, Happening::GivesBack(owner, seats % 2 == 0));
            }
            94..97 => self.plan(at, Happening::Leaves(owner)),
            _ => self.changed(place, at, "nothing that anybody would see"),
        }
    }

    /// Something changes at Stripe after so many requests of a run.
    pub fn changes_in_a_run(&mut self, at: i64, request: u64) {
        let all = 0..self.subscriptions.len();
        let of = |company: &Self, place: usize| {
            let has = &company.subscriptions[place];
            has.grants() && matches!(has.whose, Whose::Owner(owner) if !company.owners[owner].gone)
        };
        let there: Vec<usize> = all.filter(|place| of(self, *place)).collect();
        if there.is_empty() {
            return;
        }
        let place = there[self.chance.random_range(0..there.len())];
        self.in_a_run = Some(request);
        match self.chance.random_range(0..3) {
            0 => self.cancels(at, place, "canceled while a run is under way"),
            1 => {
                self.subscriptions[place].seats += 1;
                self.changed(place, at, "another seat while a run is under way");
            }
            _ => {
                self.subscriptions[place].plan = PLANS[self.chance.random_range(0..PLANS.len())];
                self.changed(place, at, "another plan while a run is under way");
            }
        }
        self.in_a_run = None;
    }

    /// The app deletes an owner; what they had at Stripe ends some hours later.
    fn leaves(&mut self, at: i64, owner: usize) {
        if self.owners[owner].gone {
            return;
        }
        self.owners[owner].gone = true;
        self.owners[owner].history.push(format!("{}  is deleted", moment(at)));
        self.deeds.push_back(Deed::Leaves(owner));
        let left: Vec<usize> =
            self.of(owner).filter(|(_, has)| !has.ended()).map(|(place, _)| place).collect();
        for place in left {
            let end = at + self.chance.random_range(1..9 * HOUR);
            self.plan(end, Happening::Cancels(place));
        }
        let next = at + self.after_days(2.0);
        self.plan(next, Happening::SignUp);
    }

    /// A customer of another app in the same account.
    fn stranger(&mut self, at: i64) {
        let customer = format!("cus_stranger_{:04}", self.subscriptions.len());
        let place = self.create(at, Whose::Nobody, customer, "active");
        self.of_another_app(place);
        self.changed(place, at, "a stranger");
        if self.chance.random_bool(0.7) {
            self.checked_out(place, at + 1, None);
        }
        let (moves, next) = (at + self.after_days(20.0), at + self.after_days(120.0));
        self.plan(moves, Happening::StrangerMoves(place));
        self.plan(next, Happening::Stranger);
    }

    fn stranger_moves(&mut self, at: i64, place: usize) {
        if self.subscriptions[place].ended() {
            return;
        }
        let roll = self.chance.random_range(0..100);
        let subscription = &mut self.subscriptions[place];
        subscription.status = match roll {
            0..20 => "canceled",
            20..40 => "past_due",
            _ => "active",
        };
        self.changed(place, at, "a stranger's change");
        let next = at + self.after_days(20.0);
        self.plan(next, Happening::StrangerMoves(place));
    }

    /// Somebody pays by a payment link and says in its address that they are somebody else.
    fn attack(&mut self, at: i64) {
        let there: Vec<usize> = (0..self.owners.len()).filter(|owner| !self.owners[*owner].gone).collect();
        if !there.is_empty() {
            let victim = there[self.chance.random_range(0..there.len())];
            let named = self.owners[victim].id.clone();
            let customer = format!("cus_attacker_{:04}", self.subscriptions.len());
            let place = self.create(at, Whose::Nobody, customer, "active");
            self.subscriptions[place].add_on = None;
            let id = self.subscriptions[place].id.clone();
            self.owners[victim]
                .history
                .push(format!("{}    {id} is bought in their name by somebody else", moment(at)));
            self.changed(place, at, "bought in somebody else's name");
            self.checked_out(place, at + 1, Some(&named));
            let end = at + self.after_days(20.0);
            self.plan(end, Happening::Cancels(place));
        }
        let next = at + self.after_days(25.0);
        self.plan(next, Happening::Attack);
    }
}
