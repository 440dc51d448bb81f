//! What agrees: nothing is written, nothing is said, nobody is asked twice.

use serde_json::{Value, json};

use support::disturb::{count, number};
use support::shape::Shape;

use crate::agreeing;

support::over_each_shape!(what_agrees_costs_no_write);

/// Not one row of the app's gets a new version, though no run has seen any of them before; and what it saw is remembered.
async fn what_agrees_costs_no_write(shape: Shape) {
    let (stack, database) = agreeing(shape).await;
    let versions = "select jsonb_object_agg(v.key, v.version)
                    from billing_ops.adapter_versions(array(select key::text from public.app_rows)) v";
    let versions = async || -> Value { database.query_one(versions, &[]).await.expect("versions").get(0) };
    let before = versions().await;
    for _ in 0..2 {
        let answer = stack.run().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("success")), "{answer:?}");
        assert_eq!((number(&answer.body, "scanned_count"), number(&answer.body, "total_issues")), (120, 0));
        assert_eq!(versions().await, before);
    }
    assert_eq!(count(&database, "select count(*) from billing_ops.subscription_marks").await, 120);
    assert_eq!(count(&database, "select count(*) from public.drift").await, 0);
    let retrieved = &stack.stripe_stats().await["retrieved"];
    assert!(retrieved.as_object().is_none_or(serde_json::Map::is_empty), "{retrieved}");
}
