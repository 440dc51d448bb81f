//! `GET /api/admin/reconciliation-logs/{id}`

use billing_ops::endpoints::run::{ENDPOINT, handle};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(ENDPOINT, handle).await
}
