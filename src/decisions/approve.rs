//! Approving a repair: Stripe is read afresh, then compared once more. What differs from what was shown is not written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::db::{self, NotDecided, Shown};
use super::desk::{Desk, Fate};
use crate::config::SettingError;
use crate::context::Context;
use crate::drift::class::Class;
use crate::drift::entry::Entry;
use crate::drift::policy::{Mode, Policy};
use crate::drift::repair::Action;
use crate::drift::terms::Terms;
use crate::reconcile::store::{Ground, Group};
use crate::reconcile::targeted::{Pass, look_at};
use crate::reconcile::{Failure, Fenced};
use crate::runs::perform::terms;
use crate::supabase::judged::{Admin, Refusal};

/// How long Stripe and the database may take: the function has 30 seconds.
const TIME: Duration = Duration::from_secs(22);

/// Why nothing could be approved at all.
#[derive(Debug, thiserror::Error)]
pub enum NoApproval {
    /// A setting is missing or unfit.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The person may not, or the database does not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Stripe or the database failed before anything was decided.
    #[error("{0:?}")]
    Failed(Failure),
}

/// What became of one of the entries.
pub type Approval = Result<db::Decided, NotDecided>;

/// Approves entries in a person's name, each by itself; answers in the order of `ids`. `now`: Unix seconds.
pub async fn approve(
    context: &Context,
    admin: &Admin<'_>,
    ids: &[Uuid],
    now: i64,
) -> Result<Vec<Approval>, NoApproval> {
    let terms = terms(&context.config)?;
    context.stripe()?;
    let Shown { user_id, drift, ground, group } = db::shown(admin, ids).await?;
    let ground = Ground::from(ground);
    let policy = Policy::new(terms.repair_mode, ground.policies.as_ref());
    let drift: HashMap<Uuid, Entry> = drift.into_iter().map(|entry| (entry.id, entry)).collect();
    let (mut fates, mut wanted): (HashMap<Uuid, Fate>, Vec<Entry>) = Default::default();
    for entry in ids.iter().filter_map(|id| drift.get(id)) {
        match objection(entry, &policy, &terms) {
            Some(why) => {
                let drift = Some(entry_of(entry));
                fates.insert(entry.id, Fate::Conflict { why: why.to_owned(), drift });
            }
            None if wanted.iter().any(|wanted| wanted.id == entry.id) => {}
            None => wanted.push(entry_of(entry)),
        }
    }
    let mut group = group.map(Group::from);
    let mut failure = None;
    let deadline = Instant::now() + TIME;
    while !wanted.is_empty() && failure.is_none() {
        // A row is written once in a pass: of two differences of one row, the second is compared with what the first has left.
        let mut subscriptions: HashSet<String> = HashSet::new();
        let (now_wanted, later): (Vec<Entry>, Vec<Entry>) = wanted.into_iter().partition(|entry| {
            entry.stripe_subscription_id.as_ref().is_some_and(|id| subscriptions.insert(id.clone()))
        });
        wanted = later;
        let desk = Desk::new(admin.database(), user_id, group.take(), now_wanted);
        let pass = Pass {
            now,
            subscriptions: subscriptions.into_iter().collect(),
            policy: Policy::new(Mode::Auto, Some(&BTreeMap::new())),
            deadline,
            stop: context.stopping(),
        };
        match look_at(context.stripe()?, &desk, &terms, &ground, pass).await {
            Ok(Ok(_)) | Err(Fenced) => {}
            Ok(Err(failed)) => failure = Some(failed),
        }
        fates.extend(desk.fates());
    }
    if let Some(failure) = failure.filter(|_| fates.is_empty()) {
        return Err(NoApproval::Failed(failure));
    }
    Ok(ids.iter().map(|id| answer(drift.get(id), fates.get(id).cloned())).collect())
}

fn answer(entry: Option<&Entry>, fate: Option<Fate>) -> Approval {
    let entry = entry.ok_or(NotDecided::NotFound)?;
    match fate {
        Some(Fate::Decided { outcome, drift }) => Ok(db::Decided { outcome, drift, excepted: None }),
        Some(Fate::Conflict { why, drift }) => {
            let drift = drift.unwrap_or_else(|| entry_of(entry));
            Err(NotDecided::Conflict(why, Some(Box::new(drift))))
        }
        None => {
            let why = "It cannot be decided now: Stripe changed it a moment ago or did not answer, or something else about it has to be settled first. Try again in two minutes.";
            Err(NotDecided::Conflict(why.to_owned(), Some(Box::new(entry_of(entry)))))
        }
    }
}

fn entry_of(entry: &Entry) -> Entry {
    entry.clone().worded()
}

/// What speaks against approving an entry, before Stripe is asked.
fn objection(entry: &Entry, policy: &Policy, terms: &Terms) -> Option<&'static str> {
    let class: Option<Class> = entry.class.parse().ok();
    if entry.closed_at.is_some() {
        return Some("It is closed: there is nothing left to decide.");
    }
    if entry.action == Action::Excepted {
        return Some("A person lets it stand: end the exception first.");
    }
    if terms.repair_mode == Mode::Observe {
        return Some("REPAIR_MODE is observe: nothing is written.");
    }
    if class.is_some_and(|class| policy.of(class) == Mode::Observe) {
        return Some("The policy of its class is observe: nothing is written.");
    }
    if entry.proposal.is_none() || !class.is_some_and(Class::is_repairable) {
        return Some(
            "There is no repair to approve: only a person can put this right, in the app or at Stripe.",
        );
    }
    None
}
