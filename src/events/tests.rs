//! The readers against a corpus: bodies of each shape, as Stripe documents them, whole and damaged.

use proptest::prelude::*;
use serde_json::Value;

use super::event::{Noticed, read};

/// A name in the corpus, what it holds, its mode, its type and the subscription that it names.
type Entry = (&'static str, &'static str, bool, &'static str, Option<&'static str>);

macro_rules! entry {
    ($name:literal, $livemode:literal, $kind:literal, $subscription:expr) => {
        ($name, include_str!(concat!("corpus/", $name, ".json")), $livemode, $kind, $subscription)
    };
}

const TEAM: Option<&str> = Some("sub_1SxPzKJhW8mZ4kPdQe7rTn52");
const FAILED: Option<&str> = Some("sub_1NiEdExample3");

#[rustfmt::skip]
const CORPUS: &[Entry] = &[
    entry!("subscription_updated", false, "customer.subscription.updated", TEAM),
    entry!("subscription_deleted_before_basil", true, "customer.subscription.deleted", Some("sub_HgExampleOld1")),
    entry!("checkout_completed_subscription", false, "checkout.session.completed", TEAM),
    entry!("checkout_completed_payment", true, "checkout.session.completed", None),
    entry!("checkout_paid_later_expanded", false, "checkout.session.async_payment_succeeded", Some("sub_1SxAsyncExample2")),
    entry!("invoice_paid", false, "invoice.paid", TEAM),
    entry!("invoice_failed_before_basil", true, "invoice.payment_failed", FAILED),
    entry!("invoice_paid_once", false, "invoice.paid", None),
    entry!("of_no_use", false, "charge.succeeded", None),
    entry!("thin_subscription_updated", false, "v1.customer.subscription.updated", TEAM),
    entry!("thin_subscription_past_due", true, "v1.customer.subscription.past_due", FAILED),
    entry!("thin_invoice_paid", true, "v1.invoice.paid", None),
    entry!("thin_ping", true, "v2.core.event_destination.ping", None),
];

#[test]
fn the_corpus_is_read() {
    for (name, body, livemode, kind, subscription) in CORPUS {
        let expected = Noticed {
            livemode: *livemode,
            kind: (*kind).to_owned(),
            subscription: subscription.map(str::to_owned),
        };
        assert_eq!(read(body.as_bytes()), Ok(expected), "{name}");
    }
}

#[test]
fn every_file_of_the_corpus_is_in_the_table() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/events/corpus");
    for file in std::fs::read_dir(folder).expect("the corpus").flatten() {
        let name = file.file_name().into_string().expect("a name");
        assert!(CORPUS.iter().any(|entry| name == format!("{}.json", entry.0)), "{name}");
    }
}

/// Whether a text stands somewhere in a JSON value.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(fields) => fields.values().any(|value| holds(value, text)),
        _ => false,
    }
}

/// Reads what may be anything. What is read of it is in it.
fn read_warily(body: &[u8]) {
    let Ok(noticed) = read(body) else { return };
    // What is deeper than serde_json's own limit is no use as a value, and holds nothing that is read.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    assert!(holds(&value, &noticed.kind));
    if let Some(id) = noticed.subscription {
        assert!(id.starts_with("sub_") && holds(&value, &id), "{id}");
    }
}

/// One thing that can happen to bytes on their way.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Drop(prop::sample::Index, usize),
    Put(prop::sample::Index, Vec<u8>),
    /// A piece of another body of the corpus, from one place of it to another.
    Splice(prop::sample::Index, &'static str, prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    let bodies: Vec<&str> = CORPUS.iter().map(|entry| entry.1).collect();
    let pieces: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b",",
        b":",
        b"\\",
        b"\\u0073",
        b"null",
        b"1e999",
        b"-",
        b"\xff",
        b"\0",
        b"\"id\":\"sub_2\",",
    ];
    let bytes = prop_oneof![
        prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..20)
    ];
    prop_oneof![
        place().prop_map(Damage::Cut),
        (place(), 0..8u8).prop_map(|(place, bit)| Damage::Flip(place, bit)),
        (place(), 1..200usize).prop_map(|(place, length)| Damage::Drop(place, length)),
        (place(), bytes).prop_map(|(place, bytes)| Damage::Put(place, bytes)),
        (place(), prop::sample::select(bodies), place(), 1..400usize)
            .prop_map(|(place, body, from, length)| Damage::Splice(place, body, from, length)),
    ]
}

fn damaged(body: &str, all: &[Damage]) -> Vec<u8> {
    all.iter().fold(body.as_bytes().to_vec(), |mut bytes, damage| {
        let within = |place: &prop::sample::Index| place.index(bytes.len() + 1);
        let end = |start: usize, length: usize, of: usize| (start + length).min(of);
        match damage {
            Damage::Cut(place) => bytes.truncate(within(place)),
            Damage::Flip(place, bit) => {
                let place = within(place);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
            Damage::Drop(place, length) => {
                let start = within(place);
                bytes.drain(start..end(start, *length, bytes.len()));
            }
            Damage::Put(place, put) => {
                let place = within(place);
                bytes.splice(place..place, put.iter().copied());
            }
            Damage::Splice(place, body, from, length) => {
                let (place, start) = (within(place), from.index(body.len()));
                let piece = &body.as_bytes()[start..end(start, *length, body.len())];
                bytes.splice(place..place, piece.iter().copied());
            }
        }
        bytes
    })
}

/// A body with one field exchanged for what another body has at the same place: damage that leaves it JSON.
fn exchanged(body: &str, other: &str, path: &[prop::sample::Index]) -> String {
    let (mut whole, donor): (Value, Value) =
        (serde_json::from_str(body).expect("JSON"), serde_json::from_str(other).expect("JSON"));
    let (mut place, mut piece) = (&mut whole, &donor);
    for index in path {
        let Some(fields) = place.as_object().filter(|fields| !fields.is_empty()) else { break };
        let name = fields.keys().nth(index.index(fields.len())).expect("within").clone();
        piece = piece.get(&name).unwrap_or(&Value::Null);
        place = &mut place[&name];
    }
    *place = piece.clone();
    whole.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        read_warily(&body);
    }

    #[test]
    fn a_damaged_body_is_refused_or_read_for_what_it_is(
        entry in prop::sample::select(CORPUS), all in prop::collection::vec(damage(), 1..4),
    ) {
        read_warily(&damaged(entry.1, &all));
    }

    #[test]
    fn fields_of_other_events_are_read_for_what_they_are(
        entry in prop::sample::select(CORPUS),
        other in prop::sample::select(CORPUS),
        path in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        read_warily(exchanged(entry.1, other.1, &path).as_bytes());
    }
}
