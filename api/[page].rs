//! `GET /api/health`, `GET /api/config`

use billing_ops::endpoints::{config, health};
use billing_ops::http::{Route, serve_all};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    serve_all(vec![
        Route::new(health::ENDPOINT, health::handle),
        Route::new(config::ENDPOINT, config::handle),
    ])
    .await
}
