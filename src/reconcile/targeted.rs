//! A pass over named subscriptions: each is read afresh from Stripe, compared, and what follows is written, as a full run would.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;
use tokio::time::Instant;

use super::engine::{Clock, Engine, Interrupted};
use super::job::{Failure, Fenced};
use super::look::{self, Queue};
use super::place;
use super::source::Source;
use super::stop::{Done, Stop};
use super::store::{Ground, Lookup, ReconcileStore};
use super::sweep::Sweep;
use crate::drift::policy::Policy;
use crate::drift::terms::Terms;
use crate::stripe::Stripe;

/// What a pass needs.
#[derive(Debug)]
pub struct Pass {
    /// Unix seconds.
    pub now: i64,
    /// The subscriptions.
    pub subscriptions: Vec<String>,
    /// What may be written.
    pub policy: Policy,
    /// When it has to be over.
    pub deadline: Instant,
    /// Becomes true when the process must end.
    pub stop: watch::Receiver<bool>,
}

/// Looks at each subscription afresh and does what follows. The store is told what became of it. Answers whether there was time for
/// all of them.
pub async fn look_at<S: ReconcileStore>(
    stripe: &Stripe,
    store: &S,
    terms: &Terms,
    ground: &Ground,
    pass: Pass,
) -> Result<Result<bool, Failure>, Fenced> {
    let started = Instant::now();
    let shape = match ground.shape_for(terms.repair_mode) {
        Ok(shape) => shape,
        Err(why) => return Ok(Err(Failure::NotAdopted(why))),
    };
    let engine = Engine {
        source: Source::new(stripe, Stop { at: pass.deadline, signal: pass.stop }),
        store,
        shape,
        terms,
        clock: Clock { started_at: pass.now, started },
        bought: HashMap::new(),
        granting: 0,
        lookup_time: pass.deadline.saturating_duration_since(started),
        horizon: AtomicU64::new(ground.horizon),
        policy: pass.policy,
        excepted: Mutex::default(),
        changes: None,
        due_before: BTreeMap::new(),
    };
    Ok(match each(&engine, pass.now, pass.subscriptions).await {
        Ok(done) => Ok(done == Done::All),
        Err(interrupted) => Err(interrupted.explain()?),
    })
}

async fn each<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    now: i64,
    subscriptions: Vec<String>,
) -> Result<Done, Interrupted> {
    let named = subscriptions.iter().map(String::as_str).collect();
    let group = engine.read(Lookup { named, ..Lookup::default() }).await?;
    let mut sweep = Sweep::new(None, now);
    for id in subscriptions {
        let there = group.rows.iter().any(|row| row.stripe_subscription_id == id);
        if there {
            sweep.lowering.insert(id)
        } else {
            sweep.missing.insert(id)
        };
    }
    if look::look(engine, &mut sweep, Queue::Lowering).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    // No more rows are made than were named, so the circuit breaker has no say.
    if place::create(engine, &mut sweep, &mut Vec::new()).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    place::contest(engine, &mut sweep).await
}
