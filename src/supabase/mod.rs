//! The database, through PostgREST.
//!
//! Every change of state is a SQL function: PostgREST's upsert cannot name the predicate of a partial unique index, and
//! deduplication rests on two of those (<https://github.com/PostgREST/postgrest/issues/2123>).
//!
//! - [`client`]: one call; [`error`]: what went wrong with it.
//! - [`judged`]: functions that check their caller: admitted, or refused and why; [`page`]: places in a list.

pub mod client;
pub mod error;
pub mod judged;
pub mod page;

pub use client::{Asker, Retry, Supabase, counting_round_trips};
pub use error::{DatabaseError, Fault};
