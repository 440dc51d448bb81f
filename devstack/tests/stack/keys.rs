//! Which key and which token make whom of a caller, and which are refused.

use crate::rig::Rig;
use devstack::keys::{Signer, now};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

fn user_claims(id: Uuid, expires: u64) -> Value {
    json!({"sub": id, "role": "authenticated", "aud": "authenticated", "iat": now() - 10, "exp": expires})
}

#[tokio::test]
async fn keys_of_both_kinds_stand_for_a_role() {
    let rig = Rig::new().await;
    let keys = &rig.keys;
    let cases: [(&str, Option<&str>, &str, &str); 8] = [
        (&keys.publishable_key, None, "anon", "3s"),
        (&keys.secret_key, None, "service_role", "8s"),
        (&keys.publishable_key, Some(&keys.publishable_key), "anon", "3s"),
        (&keys.secret_key, Some(&keys.secret_key), "service_role", "8s"),
        (&keys.anon_token, Some(&keys.anon_token), "anon", "3s"),
        (&keys.service_role_token, Some(&keys.service_role_token), "service_role", "8s"),
        // The older keys say who calls only as a bearer token.
        (&keys.service_role_token, None, "anon", "3s"),
        (&keys.publishable_key, Some(&keys.service_role_token), "service_role", "8s"),
    ];
    for (key, bearer, role, timeout) in cases {
        let mut request = rig.who_am_i().header("apikey", key);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let (status, who) = rig.who(request).await;
        assert_eq!((status.as_u16(), &who["role"]), (200, &json!(role)), "{key} {bearer:?}: {who}");
        assert_eq!(who["timeout"], timeout, "{role}");
    }
}

#[tokio::test]
async fn tokens_of_people_work_with_both_algorithms_and_either_key() {
    let rig = Rig::new().await;
    let id = Uuid::new_v4();
    for signer in [Signer::Hs256, Signer::Es256] {
        let token = rig.keys.sign(signer, &user_claims(id, now() + 60)).expect("signed");
        for key in [&rig.keys.publishable_key, &rig.keys.secret_key, &rig.keys.anon_token] {
            let (status, who) = rig.who(rig.who_am_i().header("apikey", key).bearer_auth(&token)).await;
            assert_eq!(status, 200, "{signer:?} {key}: {who}");
            assert_eq!(who["role"], "authenticated");
            assert_eq!(who["uid"], json!(id));
            assert_eq!(who["timeout"], "8s");
            assert_eq!(who["claims"]["aud"], "authenticated");
        }
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_by_functions_and_tables_alike() {
    let rig = Rig::new().await;
    let good = user_claims(Uuid::new_v4(), now() + 60);
    let forged = |algorithm: Algorithm, secret: &[u8]| {
        jsonwebtoken::encode(&Header::new(algorithm), &good, &EncodingKey::from_secret(secret))
            .expect("signed")
    };
    let unsigned = {
        use base64::Engine;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.", encode(r#"{"alg":"none","typ":"JWT"}"#), encode(&good.to_string()))
    };
    let valid = rig.keys.sign(Signer::Es256, &good).expect("signed");
    let tampered = {
        let (head, tail) = valid.rsplit_once('.').expect("a token");
        let flipped = if tail.starts_with('A') { "B" } else { "A" };
        format!("{head}.{flipped}{}", &tail[1..])
    };
    let cases = [
        ("expired", rig.keys.sign(Signer::Es256, &user_claims(Uuid::new_v4(), now() - 300)).expect("signed")),
        ("another secret", forged(Algorithm::HS256, b"another secret of the same kind")),
        ("another algorithm", forged(Algorithm::HS384, rig.keys.jwt_secret.as_bytes())),
        ("unsigned", unsigned),
        ("tampered with", tampered),
        ("no token at all", "nonsense".to_owned()),
        ("a key of nobody", "sb_secret_0000000000000000000000_00000000".to_owned()),
    ];
    for (what, token) in cases {
        for path in ["/rpc/who_am_i", "/things"] {
            let url = rig.rest(path);
            let request = if path.starts_with("/rpc") {
                rig.http.post(url).json(&json!({}))
            } else {
                rig.http.get(url)
            };
            let request = request.header("apikey", &rig.keys.publishable_key).bearer_auth(&token);
            let (status, body) = crate::rig::sent(request).await;
            assert_eq!(status, 401, "{what} at {path}: {body}");
            assert!(
                body["code"].as_str().is_some_and(|code| code.starts_with("PGRST30")),
                "{what} at {path}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_role_that_no_key_may_take_is_refused() {
    let rig = Rig::new().await;
    let claims = json!({"role": "postgres", "exp": now() + 60});
    let token = rig.keys.sign(Signer::Hs256, &claims).expect("signed");
    let (status, body) =
        rig.who(rig.who_am_i().header("apikey", &rig.keys.publishable_key).bearer_auth(token)).await;
    assert_eq!((status.as_u16(), &body["code"]), (403, &json!("42501")), "{body}");
}

#[tokio::test]
async fn without_a_known_key_nothing_is_reached() {
    let rig = Rig::new().await;
    let (status, body) = rig.who(rig.who_am_i()).await;
    assert_eq!((status.as_u16(), &body["message"]), (401, &json!("No API key found in request")));
    let (status, body) = rig.who(rig.who_am_i().header("apikey", "sb_secret_wrong")).await;
    assert_eq!((status.as_u16(), &body["message"]), (401, &json!("Invalid API key")));
    // A valid token of a person is no key.
    let token = rig.keys.sign(Signer::Es256, &user_claims(Uuid::new_v4(), now() + 60)).expect("signed");
    let (status, _) = rig.who(rig.who_am_i().bearer_auth(token)).await;
    assert_eq!(status, 401);
    // A key may come in the query.
    let url = format!("{}?apikey={}", rig.rest("/things?select=id"), "x").replace("?apikey", "&apikey");
    let (status, _) = crate::rig::sent(rig.http.get(url)).await;
    assert_eq!(status, 401);
    let url = format!("{}&apikey={}", rig.rest("/things?select=id"), rig.keys.secret_key);
    let (status, body) = crate::rig::sent(rig.http.get(url)).await;
    assert_eq!((status.as_u16(), body), (200, json!([{"id": 1}, {"id": 2}, {"id": 3}])));
}

#[tokio::test]
async fn a_secret_key_is_refused_to_a_browser() {
    let rig = Rig::new().await;
    let browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36";
    let as_browser = |key: &str| rig.who_am_i().header("apikey", key).header("user-agent", browser);
    let (status, _) = rig.who(as_browser(&rig.keys.secret_key)).await;
    assert_eq!(status, 401);
    let (status, _) = rig.who(as_browser(&rig.keys.publishable_key)).await;
    assert_eq!(status, 200);
}
