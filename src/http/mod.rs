//! What every endpoint has in common: how a request is read, guarded and answered, and what an error looks like.

pub mod call;
pub mod error;
pub mod reply;
pub mod serve;

pub use call::{Call, Parameters};
pub use error::ApiError;
pub use reply::Reply;
pub use serve::{Endpoint, serve};
