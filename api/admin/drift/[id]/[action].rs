//! `POST /api/admin/drift/{id}/approve`, `revert`, `except` and `unexcept`

use billing_ops::endpoints::{drift_approve, drift_except, drift_revert};
use billing_ops::http::{Route, serve_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve_all(vec![
        Route::new(drift_approve::ENDPOINT, drift_approve::handle),
        Route::new(drift_revert::ENDPOINT, drift_revert::handle),
        Route::new(drift_except::ENDPOINT, drift_except::handle),
        Route::new(drift_except::END, drift_except::handle_end),
    ])
    .await
}
