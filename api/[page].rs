//! `GET /api/health`, `GET /api/config`, `GET /api/metrics`

use billing_ops::endpoints::{config, health, metrics};
use billing_ops::http::{Route, serve_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve_all(vec![
        Route::new(health::ENDPOINT, health::handle),
        Route::new(config::ENDPOINT, config::handle),
        Route::new(metrics::ENDPOINT, metrics::handle),
    ])
    .await
}
