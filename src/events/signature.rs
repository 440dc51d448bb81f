//! Whether Stripe signed what came (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! The header `Stripe-Signature` is `t=SECONDS,v1=HEX[,v1=HEX…][,v0=HEX]`. A `v1` is the HMAC-SHA256 of `SECONDS.BODY`; there is
//! one for each secret that is valid while one is rotated (<https://docs.stripe.com/webhooks#roll-endpoint-secrets>). `v0` is for
//! test events and proves nothing.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::secret::SigningSecret;

/// How far, in seconds, the time of a signature may be from ours, either way: the five minutes of Stripe's own libraries
/// (<https://docs.stripe.com/webhooks#replay-attacks>).
pub const TOLERANCE: u64 = 300;

/// Stripe signs once for each valid secret of an endpoint, of which there are two while one is rotated. Whoever sends far more
/// signatures is guessing.
const MOST_SIGNATURES: usize = 16;

/// Why a signature does not count. The sentences hold nothing of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// It is not what Stripe sends: no time, two of them, one that is not a number, no `v1`, or more than 16.
    #[error("The header Stripe-Signature is not of Stripe's form.")]
    Malformed,
    /// It was signed more than [`TOLERANCE`] ago, or that far ahead: the message may be a repetition, or one of the clocks is wrong.
    #[error("The signature is more than five minutes old, or of a time to come.")]
    OutsideTolerance,
    /// None of the signatures was made of this body with one of the secrets.
    #[error("The signature is not Stripe's.")]
    Wrong,
}

/// Succeeds if one of the secrets signed this body at about this time.
///
/// `header` is the value of `Stripe-Signature`, `body` the bytes as they came, `now` in Unix seconds. The form and the time, which
/// are not secret, are looked at first; then every signature is compared with what every secret makes of the body.
pub fn verify(header: &str, body: &[u8], secrets: &[SigningSecret], now: i64) -> Result<(), BadSignature> {
    let time = time(header).ok_or(BadSignature::Malformed)?;
    let seconds: i64 = time.parse().map_err(|_| BadSignature::Malformed)?;
    if now.abs_diff(seconds) > TOLERANCE {
        return Err(BadSignature::OutsideTolerance);
    }
    if is_signed(header, time, body, secrets) { Ok(()) } else { Err(BadSignature::Wrong) }
}

/// The text of `t`, if the header has Stripe's form. It is signed as it stands here.
fn time(header: &str) -> Option<&str> {
    // Stripe sends no white space, and what is not ASCII is not Stripe's.
    if !header.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (mut time, mut signatures) = (None, 0);
    for part in header.split(',') {
        match part.split_once('=')? {
            ("t", value) if time.is_none() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                time = Some(value);
            }
            ("t", _) => return None,
            ("v1", _) => signatures += 1,
            // Another scheme: not ours, but no reason to refuse what stands beside it.
            _ => {}
        }
    }
    time.filter(|_| (1..=MOST_SIGNATURES).contains(&signatures))
}

/// Whether one of the header's signatures is one that a secret makes of this time and body. Each is compared with each, even after
/// one fits. Not inlined: a test counts the instructions of this function by its name.
#[inline(never)]
fn is_signed(header: &str, time: &str, body: &[u8], secrets: &[SigningSecret]) -> bool {
    let found = secrets.iter().fold(Choice::from(0), |found, secret| {
        let own = signature(secret, time, body);
        signatures(header).fold(found, |found, sent| found | own.ct_eq(&sent))
    });
    found.into()
}

/// The signatures of a header. A `v1` that is not 64 digits of hexadecimal is left out.
fn signatures(header: &str) -> impl Iterator<Item = [u8; 32]> {
    header.split(',').filter_map(|part| part.strip_prefix("v1=")).filter_map(decoded)
}

/// What Stripe would send, decoded.
fn signature(secret: &SigningSecret, time: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// 32 bytes of 64 digits. In lower case only, as Stripe writes them: one signature has one spelling.
fn decoded(digits: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = digits.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"object": "event"}"#;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::new(text).expect("fit")
    }

    /// A `v1` as Stripe writes it.
    fn hex(secret: &SigningSecret, time: &str, body: &[u8]) -> String {
        signature(secret, time, body).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn signed(time: &str) -> String {
        format!("t={time},v1={}", hex(&secret("whsec_one"), time, BODY))
    }

    fn verified(header: &str) -> Result<(), BadSignature> {
        verify(header, BODY, &[secret("whsec_one"), secret("whsec_two")], NOW)
    }

    /// By another implementation: `printf '1790000000.{"object": "event"}' | openssl dgst -sha256 -hmac whsec_one`.
    const KNOWN: &str = "8a60c29b45e92f01eb5c4163146b3f92abbc2ecc749a6b247ecd1d56067ea6c4";

    #[test]
    fn a_known_signature_fits() {
        assert_eq!(hex(&secret("whsec_one"), "1790000000", BODY), KNOWN);
        assert_eq!(verified(&format!("t=1790000000,v1={KNOWN}")), Ok(()));
    }

    #[test]
    fn any_signature_by_any_secret_fits() {
        let time = NOW.to_string();
        let of = |text: &str| hex(&secret(text), &time, BODY);
        let (one, two, other) = (of("whsec_one"), of("whsec_two"), of("whsec_other"));
        for header in [
            format!("t={time},v1={one}"),
            format!("t={time},v1={two}"),
            format!("t={time},v1={other},v1={one}"),
            format!("t={time},v1={two},v1={other}"),
            format!("v1={one},t={time}"),
            format!("t={time},v1={one},v0={other}"),
            format!("t={time},v2=,scheme=a=b,v1={one}"),
            format!("t={time},v1=short,v1={one}"),
        ] {
            assert_eq!(verified(&header), Ok(()), "{header}");
        }
        let header = format!("t={time},v1={other}");
        assert_eq!(verified(&header), Err(BadSignature::Wrong));
        assert_eq!(verify(&header, BODY, &[], NOW), Err(BadSignature::Wrong), "no secret opens nothing");
    }

    #[test]
    fn only_v1_counts() {
        let one = hex(&secret("whsec_one"), &NOW.to_string(), BODY);
        for header in [format!("t={NOW},v0={one}"), format!("t={NOW},V1={one}"), format!("t={NOW},v11={one}")]
        {
            assert_eq!(verified(&header), Err(BadSignature::Malformed), "{header}");
        }
        let other = hex(&secret("whsec_other"), &NOW.to_string(), BODY);
        assert_eq!(verified(&format!("t={NOW},v1={other},v0={one}")), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_v1_that_is_not_64_digits_in_lower_case_fits_nothing() {
        let one = hex(&secret("whsec_one"), &NOW.to_string(), BODY);
        for v1 in
            ["", "00", &one[1..], &format!("{one}0"), &one.to_uppercase(), &one.replacen(&one[..1], "g", 1)]
        {
            assert_eq!(verified(&format!("t={NOW},v1={v1}")), Err(BadSignature::Wrong), "{v1}");
        }
    }

    #[test]
    fn what_is_not_of_stripes_form_is_malformed() {
        let one = hex(&secret("whsec_one"), &NOW.to_string(), BODY);
        for header in [
            String::new(),
            ",".into(),
            "t".into(),
            one.clone(),
            format!("v1={one}"),
            format!("t={NOW}"),
            format!("t={NOW},"),
            format!("t={NOW},v1={one},"),
            format!("t={NOW},v1={one},v1"),
            format!("t={NOW},t={NOW},v1={one}"),
            format!("t=,v1={one}"),
            format!("t=-{NOW},v1={one}"),
            format!("t=+{NOW},v1={one}"),
            format!("t={NOW}.0,v1={one}"),
            format!("t=0x6ab10000,v1={one}"),
            format!("t=soon,v1={one}"),
            format!("t=9223372036854775808,v1={one}"),
            format!("t={},v1={one}", "9".repeat(1_000)),
            format!("t={NOW}, v1={one}"),
            format!(" t={NOW},v1={one}"),
            format!("t={NOW},v1={one}\n"),
            format!("t={NOW},v1={one},v0=é"),
            format!("t={NOW};v1={one}"),
            format!("T={NOW},v1={one}"),
        ] {
            assert_eq!(verified(&header), Err(BadSignature::Malformed), "{header:?}");
        }
    }

    #[test]
    fn sixteen_signatures_are_looked_at_and_seventeen_are_not() {
        let one = hex(&secret("whsec_one"), &NOW.to_string(), BODY);
        let others = |count: usize| format!("t={NOW}{},v1={one}", ",v1=00".repeat(count));
        assert_eq!(verified(&others(15)), Ok(()));
        assert_eq!(verified(&others(16)), Err(BadSignature::Malformed));
    }

    #[test]
    fn five_minutes_either_way_are_near_enough() {
        for (time, expected) in [
            (NOW - 300, Ok(())),
            (NOW + 300, Ok(())),
            (NOW - 301, Err(BadSignature::OutsideTolerance)),
            (NOW + 301, Err(BadSignature::OutsideTolerance)),
            (0, Err(BadSignature::OutsideTolerance)),
            (i64::MAX, Err(BadSignature::OutsideTolerance)),
        ] {
            assert_eq!(verified(&signed(&time.to_string())), expected, "{time}");
        }
        let header = signed(&i64::MAX.to_string());
        assert_eq!(verify(&header, BODY, &[], i64::MIN), Err(BadSignature::OutsideTolerance), "no overflow");
    }

    #[test]
    fn errors_hold_nothing_of_the_header() {
        for header in ["t=canary", &format!("t=1,v1={}", "c".repeat(64)), &format!("t={NOW},v1=canary")] {
            let error = verified(header).expect_err("wrong");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary") && !shown.contains("ccc"), "{shown}");
        }
    }

    /// What a header may be made of.
    fn piece() -> impl Strategy<Value = String> {
        let time = prop_oneof![NOW - 310..NOW + 310, any::<i64>()].prop_map(|time| time.to_string());
        let digits = "[0-9a-f]{64}";
        prop_oneof![time, digits, "t=", "v1=", "v0=", ",", "=", "[ -~]{0,6}", "\\PC{0,3}"]
    }

    fn cases(cases: u32) -> ProptestConfig {
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(cases(300))]

        #[test]
        fn what_was_signed_is_accepted_and_any_flipped_bit_refuses_it(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            key in "whsec_[!-~]{1,80}",
            age in -300..301i64,
            place: prop::sample::Index,
            bit in 0..8u8,
        ) {
            let (secret, time) = (secret(&key), (NOW - age).to_string());
            let header = format!("t={time},v1={}", hex(&secret, &time, &body));
            let secrets = [secret];
            prop_assert_eq!(verify(&header, &body, &secrets, NOW), Ok(()));

            let flipped = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
                bytes
            };
            // A byte that is not ASCII never gets as far as this: a header is a text.
            if let Ok(header) = String::from_utf8(flipped(header.as_bytes())) {
                prop_assert!(verify(&header, &body, &secrets, NOW).is_err(), "{header}");
            }
            if !body.is_empty() {
                prop_assert_eq!(verify(&header, &flipped(&body), &secrets, NOW), Err(BadSignature::Wrong));
            }
            let longer = [body.as_slice(), b"\n"].concat();
            prop_assert_eq!(verify(&header, &longer, &secrets, NOW), Err(BadSignature::Wrong));
            let others = [SigningSecret::new(&format!("{key}x")).expect("fit")];
            prop_assert_eq!(verify(&header, &body, &others, NOW), Err(BadSignature::Wrong));
        }
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn no_header_makes_it_panic_or_is_taken_for_a_signature(
            header in prop_oneof!["\\PC*", proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())],
            now: i64,
        ) {
            for now in [now, NOW, i64::MIN, i64::MAX] {
                prop_assert!(verify(&header, BODY, &[secret("whsec_one")], now).is_err(), "{header}");
            }
        }
    }
}
