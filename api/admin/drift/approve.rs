//! `POST /api/admin/drift/approve`

use billing_ops::endpoints::drift_approve::{MANY, handle_many};
use billing_ops::http::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve(MANY, handle_many).await
}
