//! What every endpoint has in common.
//!
//! - [`serve`]: from the runtime's request to a handler and back; [`call`], [`parameters`]: how a request is read.
//! - `origin`: pages of other origins; [`reply`]: how an answer becomes a response; [`error`]: what each status means.
//! - [`operation`]: what an endpoint says of itself in the OpenAPI document.

pub mod call;
pub mod error;
pub mod operation;
mod origin;
pub mod parameters;
pub mod reply;
pub mod serve;

pub use call::Call;
pub use error::ApiError;
pub use reply::Reply;
pub use serve::{Endpoint, Route, serve, serve_all};
