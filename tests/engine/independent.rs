//! The Stripe client against a Stripe that others wrote from Stripe's own specification and recordings: the simulator and
//! the client could share a misunderstanding, as they come from the same hands. `scripts/stripe-world.sh` starts one.

use std::collections::BTreeMap;
use std::time::Duration;

use billing_ops::config::Config;
use billing_ops::context::Context;
use billing_ops::reconcile::windows::{Head, OpenWindow, Scan};
use billing_ops::stripe::client::Retries;
use billing_ops::stripe::key::SecretKey;
use billing_ops::stripe::pages::Window;
use billing_ops::stripe::{Status, Stripe, StripeError, Subscription};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

const ORGANIZATION: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
/// 2026-01-01, when each account begins. Its clock moves on by a second with each call.
const BEGAN: i64 = 1_767_225_600;
/// Later than anything that the tests create.
const UPPER: i64 = BEGAN + 1_000_000;

/// An account of its own at that server.
struct Account {
    http: reqwest::Client,
    url: String,
}

impl Account {
    async fn new() -> Self {
        let server = std::env::var("STRIPE_WORLD_URL").expect("scripts/stripe-world.sh sets it");
        let url = format!("{server}/worlds/{}", Uuid::new_v4().simple());
        let http = Context::new(Config::from_pairs([])).http().clone();
        let options = json!({
            "now": "2026-01-01T00:00:00.000Z", "clock_mode": "tick", "startup": {"livemode": false}
        });
        http.put(&url).json(&options).send().await.unwrap().error_for_status().unwrap();
        Self { http, url }
    }

    fn client(&self) -> Stripe {
        let key = SecretKey::parse("rk_test_anything").unwrap();
        Stripe::new(self.http.clone(), self.url.parse().unwrap(), &key, 10_000.0, Retries::default()).unwrap()
    }

    async fn send(&self, method: http::Method, path: &str, fields: &[(&str, &str)]) -> Value {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let request =
            self.http.request(method, format!("{}/v1/{path}", self.url)).bearer_auth("sk_test_anything");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.unwrap();
        let (status, body): (_, Value) = (answer.status(), answer.json().await.unwrap());
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        self.send(http::Method::POST, path, fields).await
    }

    async fn id(&self, path: &str, fields: &[(&str, &str)]) -> String {
        self.post(path, fields).await["id"].as_str().unwrap().to_owned()
    }

    async fn customer(&self) -> String {
        self.id("customers", &[("email", "jenny@example.com")]).await
    }

    async fn price(&self, tier: &str) -> String {
        let fields = [
            ("currency", "usd"),
            ("unit_amount", "2000"),
            ("recurring[interval]", "month"),
            ("product_data[name]", tier),
            ("metadata[tier]", tier),
        ];
        self.id("prices", &fields).await
    }

    async fn subscription(&self, customer: &str, items: &[(&str, &str)]) -> Value {
        let mut fields = vec![
            ("customer", customer),
            ("collection_method", "send_invoice"),
            ("days_until_due", "30"),
            ("metadata[organization_id]", ORGANIZATION),
        ];
        fields.extend_from_slice(items);
        self.post("subscriptions", &fields).await
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// What is compared: the fields that reconciling rests on, of the client's object and of the server's.
fn facts(subscription: &Subscription) -> Value {
    let item = &subscription.items.data[0];
    json!({
        "id": subscription.id, "status": subscription.status.as_str(), "customer": subscription.customer,
        "created": subscription.created, "livemode": subscription.livemode,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "organization": subscription.metadata.as_ref().unwrap().get("organization_id"),
        "price": item.price.as_ref().unwrap().id, "tier": item.price.as_ref().unwrap().metadata.as_ref().unwrap().get("tier"),
        "quantity": item.quantity, "start": subscription.period().start, "end": subscription.period().end,
    })
}

fn facts_of_json(subscription: &Value) -> Value {
    let item = &subscription["items"]["data"][0];
    json!({
        "id": subscription["id"], "status": subscription["status"], "customer": subscription["customer"],
        "created": subscription["created"], "livemode": subscription["livemode"],
        "cancel_at_period_end": subscription["cancel_at_period_end"],
        "organization": subscription["metadata"]["organization_id"],
        "price": item["price"]["id"], "tier": item["price"]["metadata"]["tier"],
        "quantity": item["quantity"], "start": item["current_period_start"], "end": item["current_period_end"],
    })
}

#[tokio::test]
#[ignore = "needs an independent Stripe server: scripts/stripe-world.sh"]
async fn a_scan_of_an_independent_stripe_reads_each_subscription_once_and_as_it_is() {
    let account = Account::new().await;
    let (customer, price) = (account.customer().await, account.price("pro").await);
    let mut expected = BTreeMap::new();
    for quantity in 1..=430 {
        let quantity = quantity.to_string();
        let items = [("items[0][price]", price.as_str()), ("items[0][quantity]", &quantity)];
        let created = account.subscription(&customer, &items).await;
        expected.insert(created["id"].as_str().unwrap().to_owned(), facts_of_json(&created));
    }

    let client = account.client();
    // Four windows, as a run has that was read for a while.
    let ends = [BEGAN + 100, BEGAN + 250, BEGAN + 330, UPPER];
    let windows = [0].iter().chain(&ends).zip(&ends);
    let windows = windows.map(|(gte, lt)| OpenWindow { gte: *gte, lt: *lt, position: None }).collect();
    let mut scan = Scan::resume(UPPER, windows).unwrap();
    let mut read = BTreeMap::new();
    let mut under_way = Vec::new();
    loop {
        while under_way.len() < 3
            && let Some(page) = scan.next_page(true)
        {
            under_way.push(page);
        }
        let Some((id, asked)) = under_way.pop() else { break };
        let page = client.subscriptions(&asked, soon()).await.unwrap();
        let data: Vec<Subscription> = page.data.into_iter().map(Result::unwrap).collect();
        let heads: Vec<Head<'_>> =
            data.iter().map(|one| Head { id: Some(&one.id), created: Some(one.created) }).collect();
        let keep = scan.page_read(id, &asked, &heads, page.has_more).unwrap().keep;
        for (subscription, _) in data.iter().zip(keep).filter(|(_, keep)| *keep) {
            let twice = read.insert(subscription.id.clone(), facts(subscription));
            assert_eq!(twice, None);
        }
    }
    assert!(scan.is_complete());
    assert_eq!(read, expected);
}

#[tokio::test]
#[ignore = "needs an independent Stripe server: scripts/stripe-world.sh"]
async fn an_independent_stripe_tells_what_has_ended_from_what_never_was() {
    let account = Account::new().await;
    let (customer, price) = (account.customer().await, account.price("pro").await);
    let subscription = account.subscription(&customer, &[("items[0][price]", &price)]).await;
    let id = subscription["id"].as_str().unwrap();
    let client = account.client();
    assert_eq!(client.subscription(id, soon()).await.unwrap().status, Status::Active);

    account.post(&format!("subscriptions/{id}"), &[("cancel_at_period_end", "true")]).await;
    assert_eq!(client.subscription(id, soon()).await.unwrap().cancel_at_period_end, Some(true));
    account.send(http::Method::DELETE, &format!("subscriptions/{id}"), &[]).await;
    let ended = client.subscription(id, soon()).await.unwrap();
    assert_eq!(ended.status, Status::Canceled);
    assert!(ended.ended_at.is_some_and(|moment| moment > BEGAN));
    let all = Window { gte: 0, lt: UPPER, starting_after: None };
    assert_eq!(client.subscriptions(&all, soon()).await.unwrap().data.len(), 1, "status=all lists it still");
    let before = Window { lt: BEGAN, ..all.clone() };
    assert_eq!(client.subscriptions(&before, soon()).await.unwrap().data.len(), 0);

    let error = client.subscription("sub_nobody", soon()).await.unwrap_err();
    assert!(matches!(error, StripeError::NotFound { .. }), "{error:?}");
    let vanished = Window { starting_after: Some("sub_nobody".to_owned()), ..all };
    let error = client.subscriptions(&vanished, soon()).await.unwrap_err();
    assert!(
        matches!(&error, StripeError::NotFound { parameter, .. } if parameter.as_deref() == Some("starting_after")),
        "{error:?}"
    );
    assert!(error.to_string().contains("req_"), "{error} has the request's id");
}

#[tokio::test]
#[ignore = "needs an independent Stripe server: scripts/stripe-world.sh"]
async fn all_items_of_a_subscription_of_an_independent_stripe_are_read() {
    let account = Account::new().await;
    let customer = account.customer().await;
    let mut fields = Vec::new();
    for place in 0..20 {
        fields.push((format!("items[{place}][price]"), account.price("pro").await));
    }
    let items: Vec<(&str, &str)> = fields.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    let id = account.subscription(&customer, &items).await["id"].as_str().unwrap().to_owned();
    let subscription = account.client().subscription(&id, soon()).await.unwrap();
    let mut read: Vec<&str> =
        subscription.items.data.iter().map(|item| item.price.as_ref().unwrap().id.as_str()).collect();
    let mut expected: Vec<&str> = fields.iter().map(|(_, id)| id.as_str()).collect();
    read.sort_unstable();
    expected.sort_unstable();
    assert_eq!(read, expected);
    assert!(!subscription.items.has_more && !subscription.has_mixed_periods());
}
