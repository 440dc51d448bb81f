//! `GET /api/admin/drift`, `GET /api/admin/export`, `GET /api/admin/reconciliation-logs`, `GET` and `PUT /api/admin/policies`,
//! `GET` and `POST /api/admin/notifications`

use billing_ops::endpoints::{drift, export, notifications, policies, runs};
use billing_ops::http::{Route, serve_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve_all(vec![
        Route::new(drift::ENDPOINT, drift::handle),
        Route::new(export::ENDPOINT, export::handle),
        Route::new(runs::ENDPOINT, runs::handle),
        Route::new(policies::ENDPOINT, policies::handle),
        Route::new(notifications::ENDPOINT, notifications::handle),
    ])
    .await
}
