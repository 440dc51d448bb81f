//! `POST /api/subscriptions/reconcile`, and GET for cron

use billing_ops::endpoints::reconcile::{ENDPOINT, handle};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(ENDPOINT, handle).await
}
