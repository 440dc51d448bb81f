//! Somebody who follows Standard Webhooks 1.0 to the letter:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use crate::asked::{Asked, Reply, filled, is_time};
use crate::{WEBHOOK_KEY, WEBHOOK_PATH};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

/// How far the sender's clock may be off, in seconds.
const TOLERANCE: u64 = 300;
/// The longest body.
const LONGEST: usize = 20_000;

/// The secret as the sender is given it.
pub(crate) fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(WEBHOOK_KEY))
}

/// Takes a message.
pub(crate) fn answer(asked: &Asked) -> Reply {
    let refused = |status, why: &str| Reply::refused(status, &json!({ "error": why }), why);
    if asked.path != WEBHOOK_PATH {
        return refused(404, "no such webhook");
    }
    if asked.body.len() >= LONGEST {
        return refused(413, "20 kB or more");
    }
    let header = |name| asked.header(name).unwrap_or("");
    let (id, timestamp, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    if let Err(why) = verify(WEBHOOK_KEY, id, timestamp, signatures, &asked.body, asked.seconds()) {
        return refused(401, why);
    }
    if !asked.says_json() {
        return refused(400, "the content type is not JSON");
    }
    match asked.json().map_or(Err("no JSON"), |message| check(&message)) {
        Ok(()) => Reply::accepted(204, &Value::Null),
        Err(why) => refused(400, why),
    }
}

fn verify(
    key: &[u8],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: i64,
) -> Result<(), &'static str> {
    // With a full stop in it, a part of the id could pass for the time.
    if id.is_empty() || id.contains('.') {
        return Err("webhook-id is missing or holds a full stop");
    }
    if timestamp.is_empty() || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("webhook-timestamp is missing or no whole number");
    }
    let at: i64 = timestamp.parse().map_err(|_| "webhook-timestamp is no time")?;
    if at.abs_diff(now) > TOLERANCE {
        return Err("webhook-timestamp is more than 300 s off");
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let is_right = |signature: &str| {
        let signature = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
        signature.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
    };
    if signatures.split(' ').any(is_right) { Ok(()) } else { Err("no webhook-signature is right") }
}

fn check(message: &Value) -> Result<(), &'static str> {
    let kind = filled(message, "type").ok_or("type is missing")?;
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !kind.split('.').all(is_name) {
        return Err("type is not made of names with full stops between them");
    }
    if !filled(message, "timestamp").is_some_and(is_time) {
        return Err("timestamp is missing or no time");
    }
    if message.get("data").is_some_and(Value::is_object) {
        Ok(())
    } else {
        Err("data is missing or no object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn the_signature_of_the_standard_s_own_example_is_right() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let body = br#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let check = |id: &str, at: &str, signature: &str, now| verify(&key, id, at, signature, body, now);
        let (id, at, now) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", 1_614_265_330);
        assert_eq!(check(id, at, signature, now), Ok(()));
        assert_eq!(check(id, at, &format!("v1,AAAA v1a,AAAA {signature}"), now), Ok(()));
        assert!(check("msg_other", at, signature, now).is_err());
        assert!(check(id, "1614265331", signature, now).is_err());
        assert!(check(id, at, &signature.replace("v1,", "v2,"), now).is_err());
        assert_eq!(check(id, at, signature, now + 300), Ok(()));
        assert!(check(id, at, signature, now + 301).is_err());
        assert!(check(id, at, signature, now - 301).is_err());
    }
}
