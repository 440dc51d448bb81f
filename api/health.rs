//! `GET /api/health`

use billing_ops::endpoints::health::{ENDPOINT, handle};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(ENDPOINT, handle).await
}
