//! Signatures, held against another implementation of HMAC, and against one that was computed elsewhere.

use stripe_simulator::sign;

/// Whether one of the header's `v1` is that of the secret, as a receiver finds out.
pub(crate) fn verifies(header: &str, secret: &str, body: &[u8]) -> bool {
    let mut parts = header.split(',');
    let Some(time) = parts.next().and_then(|part| part.strip_prefix("t=")) else { return false };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [format!("{time}.").as_bytes(), body].concat();
    let hex: String =
        ring::hmac::sign(&key, &signed).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    parts.any(|part| part.strip_prefix("v1=") == Some(hex.as_str()))
}

#[test]
fn a_signature_is_the_one_that_python_computes() {
    // hmac.new(b"whsec_test_secret", b'1795392000.{"id":"evt_1"}', hashlib.sha256).hexdigest()
    assert_eq!(
        sign("whsec_test_secret", 1_795_392_000, br#"{"id":"evt_1"}"#),
        "t=1795392000,v1=9f35a0ec6cd03220bfef448d7a4e576932b2176e60c99570efb3d903ddb07e26"
    );
}

#[test]
fn a_signature_is_of_one_secret_one_time_and_one_body() {
    let header = sign("whsec_one", 1_795_392_000, b"{}");
    assert!(verifies(&header, "whsec_one", b"{}"));
    assert!(!verifies(&header, "whsec_two", b"{}"));
    assert!(!verifies(&header, "whsec_one", b"{ }"));
    assert!(!verifies(&header.replace("1795392000", "1795392001"), "whsec_one", b"{}"));
}
