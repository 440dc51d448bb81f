//! `POST /api/admin/billing-alerts/monitor`, and GET for cron

use billing_ops::endpoints::monitor::{ENDPOINT, handle};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(ENDPOINT, handle).await
}
