//! What a run gives and what it takes, once it is known how much of it there is: the same for a scan and for what is due.

use super::breaker::Tripped;
use super::engine::{Engine, Interrupted};
use super::hold_back;
use super::look::{self, Queue};
use super::place;
use super::stop::Done;
use super::store::ReconcileStore;
use super::sweep::Sweep;

/// Makes the rows that are missing, and applies what would take something from a customer: each after a fresh look, unless the circuit
/// breaker holds it back.
pub(super) async fn write<S: ReconcileStore>(
    engine: &Engine<'_, S>,
    sweep: &mut Sweep,
    tripped: &mut Vec<Tripped>,
) -> Result<Done, Interrupted> {
    if place::create(engine, sweep, tripped).await? == Done::Stopped
        || place::contest(engine, sweep).await? == Done::Stopped
    {
        return Ok(Done::Stopped);
    }
    hold_back::lowering(engine, sweep, tripped).await?;
    if look::look(engine, sweep, Queue::Lowering).await? == Done::Stopped {
        return Ok(Done::Stopped);
    }
    place::contest_again(engine, sweep, tripped).await
}
