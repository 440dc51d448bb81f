//! `POST /api/admin/billing-alerts/{id}/resolve`, `acknowledge`, `unacknowledge`, `snooze`, `unsnooze` and `note`

use billing_ops::endpoints::{attend, resolve};
use billing_ops::http::{Route, serve_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve_all(vec![
        Route::new(resolve::ENDPOINT, resolve::handle),
        Route::new(attend::ACKNOWLEDGE, attend::acknowledge),
        Route::new(attend::UNACKNOWLEDGE, attend::unacknowledge),
        Route::new(attend::SNOOZE, attend::snooze),
        Route::new(attend::UNSNOOZE, attend::unsnooze),
        Route::new(attend::NOTE, attend::leave_note),
    ])
    .await
}
