//! `POST /api/admin/billing-alerts/reconcile`: Reconcile Now

use billing_ops::endpoints::reconcile_now::{ENDPOINT, handle};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(ENDPOINT, handle).await
}
