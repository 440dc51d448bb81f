//! Whose a subscription is: who may say so, and what nobody can bring about by paying.

use billing_ops::drift::repair::Action;
use billing_ops::reconcile::Status;
use serde_json::{Value, json};
use stripe_simulator::{SessionChange, SubscriptionChange};

use crate::world::{World, holding, now};

/// Its checkout, with what the app's server wrote into it and what was in the page's address.
fn checkout(world: &World, id: &str, metadata: Value, client_reference_id: Option<&str>) {
    let mut own = json!({"organization_id": null});
    own.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    let change = SessionChange {
        subscription: Some(id.into()),
        created: Some(now() - 9_060),
        object: Some(json!({"metadata": own, "client_reference_id": client_reference_id})),
        ..SessionChange::default()
    };
    world.simulator.put_session(change).unwrap();
}

/// Whoever opens a payment link can set `client_reference_id`, and pay for it, too: it brings nobody's row about and changes none.
#[tokio::test]
async fn nobody_gets_a_row_made_for_somebody_by_what_a_payer_can_set() {
    let world = World::of(50);
    let victim = world.with_status("active")[0].organization_id.clone();
    // In the address of a payment link, in the page of a buy button; also beside an owner who is named by the app itself.
    world.stranger("sub_attack", json!({}));
    checkout(&world, "sub_attack", json!({}), Some(&victim));
    let own = world.with_status("active")[1].organization_id.clone();
    world.stranger("sub_own", json!({"organization_id": own}));
    checkout(&world, "sub_own", json!({}), Some(&victim));
    let before = world.store.lock().rows.clone();

    let ending = world.run().await;
    assert_eq!(ending.status, Status::Success, "{ending:?}");
    assert!(world.store.row("sub_attack").is_none());
    assert_eq!(world.store.row("sub_own").unwrap().owner.as_ref(), Some(&own), "what the app says counts");
    for (id, row) in &before {
        assert_eq!(world.store.row(id).as_ref(), Some(row));
    }
    let told = ending.reconciliations.iter().find(|told| told.action == Action::Waiting).unwrap();
    assert_eq!(told.stripe_subscription_id.as_deref(), Some("sub_attack"));
    assert_eq!(told.organization_id.as_ref(), Some(&victim), "a person sees who is named");
}

#[tokio::test]
async fn a_deployment_may_trust_what_a_payer_can_set() {
    let mut world = World::of(50);
    world.terms.trust_client_reference_id = true;
    let owner = world.with_status("active")[0].organization_id.clone();
    world.stranger("sub_linked", json!({}));
    checkout(&world, "sub_linked", json!({}), Some(&owner));
    assert_eq!(world.run().await.counts.created_count, 1);
    assert_eq!(world.store.row("sub_linked").unwrap().owner, Some(owner));
}

#[tokio::test]
async fn the_first_key_of_metadata_that_is_there_names_the_owner() {
    let mut world = World::of(50);
    world.terms.owner_keys = vec!["team_id".into(), "organization_id".into()];
    let active = world.with_status("active");
    let (team, organization) = (active[0].organization_id.clone(), active[1].organization_id.clone());
    world.stranger("sub_team", json!({"team_id": team.to_uppercase(), "organization_id": organization}));
    world.stranger("sub_old", json!({"team_id": "", "organization_id": organization}));
    world.stranger("sub_checkout", json!({}));
    checkout(&world, "sub_checkout", json!({"team_id": team}), Some(&organization));
    world.run().await;
    assert_eq!(world.store.row("sub_team").unwrap().owner.as_ref(), Some(&team));
    assert_eq!(world.store.row("sub_old").unwrap().owner, Some(organization));
    assert_eq!(world.store.row("sub_checkout").unwrap().owner, Some(team));
}

#[tokio::test]
async fn what_contradicts_is_for_a_person() {
    let world = World::of(50);
    let active = world.with_status("active");
    // The customer is known as somebody else's.
    let change = SubscriptionChange {
        id: Some("sub_twofold".into()),
        customer: Some(active[0].customer.clone()),
        organization_id: Some(active[1].organization_id.clone()),
        created: Some(now() - 9_000),
        current_period_start: Some(now() - 9_000),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    // A row stands with another owner than Stripe names, and would gain and lose something besides.
    let wrong = active[2].organization_id.clone();
    for facts in [&active[3], &world.with_status("canceled")[0]] {
        world.store.change(&facts.id, |row| {
            row.owner = Some(wrong.clone());
            row.status = Some(if facts.status == "active" { "canceled" } else { "active" }.into());
        });
    }
    let before = world.store.lock().rows.clone();
    let ending = world.run().await;
    assert_eq!(world.store.lock().rows, before, "nobody's access changes");
    assert_eq!(holding(&ending), ["drift_organization_mismatch", "drift_duplicate_live_subscription"]);
    assert_eq!(ending.counts.total_issues, 4, "{ending:?}");
}

#[tokio::test]
async fn metadata_that_name_somebody_who_is_gone_let_nobody_else_in_and_stop_no_repair() {
    let world = World::of(50);
    let active = world.with_status("active");
    let gone = uuid::Uuid::new_v4().to_string();
    let change = SubscriptionChange {
        id: Some("sub_of_the_gone".into()),
        customer: Some(active[0].customer.clone()),
        organization_id: Some(gone.clone()),
        created: Some(now() - 9_000),
        current_period_start: Some(now() - 9_000),
        ..SubscriptionChange::default()
    };
    world.simulator.put_subscription(change).unwrap();
    let renamed = SubscriptionChange { organization_id: Some(gone), ..SubscriptionChange::default() };
    world.simulator.patch_subscription(&active[1].id, renamed).unwrap();
    world.store.change(&active[1].id, |row| row.status = Some("past_due".into()));
    let ending = world.run().await;
    assert!(world.store.row("sub_of_the_gone").is_none());
    assert_eq!(world.store.status(&active[1].id), "active", "its row is repaired all the same");
    assert_eq!(holding(&ending), ["drift_status_mismatch", "drift_organization_unknown"]);
}
