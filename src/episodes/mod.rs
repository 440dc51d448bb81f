//! Episodes of drift: one entry while a difference stands.
//!
//! - [`db`]: the pages of entries that admins read.

pub mod db;
