//! What the tests of the functions share.

pub mod disturb;
pub mod matrix;
pub mod paths;
mod request;
pub mod shape;
mod stack;

pub use request::{Answer, Request, client};
pub use stack::{Setup, Stack};
