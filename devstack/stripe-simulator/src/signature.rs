//! How Stripe signs what it sends to webhooks (<https://docs.stripe.com/webhooks#verify-manually>).

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt::Write as _;

/// The header `Stripe-Signature` of a body that is sent at `timestamp` (Unix seconds): `t=1795392000,v1=5257a8…`.
///
/// The key is the whole secret as Stripe shows it, with its `whsec_`.
pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    header(&[secret], timestamp, body)
}

/// The same with a `v1` for each secret: while one is rolled, Stripe signs with the old one too.
pub(crate) fn header(secrets: &[&str], timestamp: i64, body: &[u8]) -> String {
    let mut header = format!("t={timestamp}");
    for secret in secrets {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of HMAC may have any length");
        mac.update(format!("{timestamp}.").as_bytes());
        mac.update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            write!(header, "{byte:02x}").expect("writing to a String cannot fail");
        }
    }
    header
}
