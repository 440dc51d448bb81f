//! Signing in, as `@supabase/auth-js` does it.

use crate::rig::{Rig, sent};
use devstack::keys::{Signer, now};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

impl Rig {
    fn token(&self, grant: &str, body: &Value) -> RequestBuilder {
        let url = self.auth(&format!("/token?grant_type={grant}"));
        self.http.post(url).header("apikey", &self.keys.publishable_key).json(body)
    }

    fn user(&self, token: &str) -> RequestBuilder {
        self.http.get(self.auth("/user")).header("apikey", &self.keys.publishable_key).bearer_auth(token)
    }

    async fn sign_in(&self, email: &str, password: &str) -> Value {
        let (status, session) =
            sent(self.token("password", &json!({"email": email, "password": password}))).await;
        assert_eq!(status, 200, "{session}");
        session
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_password_opens_a_session_that_the_database_knows() {
    let rig = Rig::new().await;
    let person = rig.person("Someone@Example.test", "a long password").await;
    let session = rig.sign_in("someone@example.TEST", "a long password").await;
    assert_eq!(session["user"]["id"], person["id"]);
    assert_eq!((&session["token_type"], &session["expires_in"]), (&json!("bearer"), &json!(3600)));

    let who = rig
        .who_am_i()
        .header("apikey", &rig.keys.publishable_key)
        .bearer_auth(text(&session["access_token"]));
    let (_, who) = rig.who(who).await;
    assert_eq!((&who["role"], &who["uid"]), (&json!("authenticated"), &person["id"]));
    assert_eq!(who["claims"]["email"], "someone@example.test");

    let (status, user) = sent(rig.user(text(&session["access_token"]))).await;
    assert_eq!((status.as_u16(), &user["email"]), (200, &json!("someone@example.test")));

    for (email, password) in [("someone@example.test", "wrong"), ("nobody@example.test", "a long password")] {
        let (status, body) =
            sent(rig.token("password", &json!({"email": email, "password": password}))).await;
        assert_eq!((status.as_u16(), &body["error_code"]), (400, &json!("invalid_credentials")));
    }
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_and_ends_with_the_session() {
    let rig = Rig::new().await;
    rig.person("someone@example.test", "a long password").await;
    let first = rig.sign_in("someone@example.test", "a long password").await;
    let refresh = |token: &Value| rig.token("refresh_token", &json!({"refresh_token": token}));
    let (status, second) = sent(refresh(&first["refresh_token"])).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);

    let url = rig.auth("/logout?scope=global");
    let logout = rig.http.post(url).header("apikey", &rig.keys.publishable_key);
    let (status, _) = sent(logout.bearer_auth(text(&second["access_token"]))).await;
    assert_eq!(status, 204);
    let (status, body) = sent(refresh(&second["refresh_token"])).await;
    assert_eq!((status.as_u16(), &body["error_code"]), (400, &json!("refresh_token_not_found")));
    let (status, body) = sent(rig.user(text(&second["access_token"]))).await;
    assert_eq!((status.as_u16(), &body["error_code"]), (403, &json!("session_not_found")));
}

#[tokio::test]
async fn a_mailed_link_signs_in_once() {
    let rig = Rig::new().await;
    let person = rig.person("someone@example.test", "a long password").await;
    let otp = |email: &str| {
        let url = rig.auth("/otp?redirect_to=http%3A%2F%2F127.0.0.1%3A3000%2F%3Fa%3Db");
        rig.http.post(url).header("apikey", &rig.keys.publishable_key).json(&json!({"email": email}))
    };
    assert_eq!(sent(otp("someone@example.test")).await.0, 200);
    assert_eq!(sent(otp("nobody@example.test")).await.0, 422);
    let inbox = rig.gateway.control().inbox();
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].to, "someone@example.test");

    let careful =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let follow = || async { careful.get(&inbox[0].link).send().await.expect("an answer") };
    let answer = follow().await;
    assert_eq!(answer.status(), 303);
    let location = answer.headers()["location"].to_str().expect("a URL").to_owned();
    let (page, fragment) = location.split_once('#').expect("a session in the fragment");
    assert_eq!(page, "http://127.0.0.1:3000/?a=b");
    let (_, token) = url::form_urlencoded::parse(fragment.as_bytes())
        .find(|(name, _)| name == "access_token")
        .expect("an access token");
    assert_eq!(sent(rig.user(&token)).await.1["id"], person["id"]);

    let again = follow().await.headers()["location"].to_str().expect("a URL").to_owned();
    assert!(again.contains("error_code=otp_expired"), "{again}");
}

#[tokio::test]
async fn a_mailed_code_signs_in_and_pkce_needs_the_verifier() {
    let rig = Rig::new().await;
    rig.person("someone@example.test", "a long password").await;
    let post = |path: &str, body: Value| {
        rig.http.post(rig.auth(path)).header("apikey", &rig.keys.publishable_key).json(&body)
    };
    assert_eq!(sent(post("/otp", json!({"email": "someone@example.test"}))).await.0, 200);
    let code = rig.gateway.control().inbox()[0].code.clone();
    let wrong = json!({"type": "email", "email": "someone@example.test", "token": "x"});
    assert_eq!(sent(post("/verify", wrong)).await.1["error_code"], "otp_expired");
    let right = json!({"type": "email", "email": "someone@example.test", "token": code});
    assert_eq!(sent(post("/verify", right)).await.0, 200);

    // The challenge is the example of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let asked = json!({"email": "someone@example.test", "code_challenge": challenge, "code_challenge_method": "s256"});
    for (verifier, expected) in [("wrong", 400), (verifier, 200)] {
        assert_eq!(sent(post("/otp", asked.clone())).await.0, 200);
        let link = rig.gateway.control().inbox().pop().expect("a mail").link;
        let careful =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = careful.get(link).send().await.expect("an answer");
        let location = url::Url::parse(answer.headers()["location"].to_str().expect("text")).expect("a URL");
        let (_, code) = location.query_pairs().find(|(name, _)| name == "code").expect("a code");
        let exchange = rig.token("pkce", &json!({"auth_code": code, "code_verifier": verifier}));
        assert_eq!(sent(exchange).await.0.as_u16(), expected);
    }
}

#[tokio::test]
async fn only_the_secret_key_makes_people() {
    let rig = Rig::new().await;
    let new = json!({"email": "new@example.test", "password": "a long password"});
    let create = |key: &str| rig.http.post(rig.auth("/admin/users")).header("apikey", key).json(&new);
    assert_eq!(sent(create(&rig.keys.publishable_key)).await.1["error_code"], "not_admin");
    assert_eq!(sent(create(&rig.keys.anon_token)).await.0, 403);
    let (status, person) = sent(create(&rig.keys.secret_key)).await;
    assert_eq!((status.as_u16(), &person["email_confirmed_at"]), (200, &Value::Null));
    assert_eq!(sent(create(&rig.keys.secret_key)).await.1["error_code"], "email_exists");
    let legacy = rig.http.get(rig.auth("/admin/users")).header("apikey", &rig.keys.service_role_token);
    let (_, list) = sent(legacy.bearer_auth(&rig.keys.service_role_token)).await;
    assert_eq!(list["users"].as_array().map(Vec::len), Some(1));
    let url = rig.auth(&format!("/admin/users/{}", text(&person["id"])));
    assert_eq!(sent(rig.http.delete(&url).header("apikey", &rig.keys.secret_key)).await.0, 200);
    assert_eq!(sent(rig.http.get(&url).header("apikey", &rig.keys.secret_key)).await.0, 404);
}

#[tokio::test]
async fn the_key_set_is_public_and_holds_no_secret() {
    let rig = Rig::new().await;
    let (status, jwks) = sent(rig.http.get(rig.auth("/.well-known/jwks.json"))).await;
    assert_eq!(status, 200);
    let keys = jwks["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 1);
    assert_eq!((&keys[0]["kty"], &keys[0]["alg"]), (&json!("EC"), &json!("ES256")));
    assert!(keys[0].get("d").is_none() && keys[0].get("k").is_none());
    // What the set publishes verifies what the stack signs.
    let token = rig.keys.sign(Signer::Es256, &json!({"sub": "x", "exp": now() + 60})).expect("signed");
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys[0].clone()).expect("a key");
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
    let rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    jsonwebtoken::decode::<Value>(&token, &key, &rules).expect("verified");
}
