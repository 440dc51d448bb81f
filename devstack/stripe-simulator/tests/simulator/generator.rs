//! The generator: the same seed gives the same account, in order, and ids lead back to their objects.

use std::collections::HashSet;
use stripe_simulator::{DEFAULT_NOW, Generator, Spread};

#[test]
fn a_seed_says_everything() {
    let generator = Generator::new(7, 1_000);
    assert!(generator.all().eq(Generator::new(7, 1_000).all()));
    let other = Generator::new(8, 1_000);
    assert!(generator.all().zip(other.all()).all(|(left, right)| left.id != right.id));
}

#[test]
fn created_never_decreases_and_growth_makes_the_second_year_the_busier() {
    for generator in [Generator::new(3, 200_000), Generator::new(3, 200_000).spread(Spread::Bursts(1_000))] {
        let times: Vec<i64> = (0..generator.len()).map(|index| generator.created(index)).collect();
        assert!(times.is_sorted());
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!(last <= DEFAULT_NOW - 600, "nothing is younger than ten minutes");
        let earlier = times.partition_point(|time| *time < first + (last - first) / 2);
        assert!((40_000..60_000).contains(&earlier), "a quarter in the first half, not {earlier}");
    }
}

#[test]
fn a_million_need_no_memory_and_their_ids_lead_back() {
    let generator = Generator::new(1, 1_000_000);
    for index in (0..generator.len()).step_by(997).chain([999_999]) {
        let facts = generator.facts(index);
        assert_eq!(generator.index_of(&facts.id), Some(index));
        assert_eq!(generator.index_of_customer(&facts.customer), Some(index));
        assert_eq!(generator.index_of(&facts.customer), None);
        assert_eq!(facts.id.len(), 28);
    }
    for id in ["", "sub_", "sub_1", "sub_1000000", "sub_1é", "sub_1zzzzzzzzzzzzzzzzzzzzzzz"] {
        assert_eq!(generator.index_of(id), None, "{id}");
    }
    // An id of a larger account with the same seed is none of this one's.
    let larger = Generator::new(1, 2_000_000).facts(1_500_000).id;
    assert_eq!(generator.index_of(&larger), None);
}

#[test]
fn ids_and_organizations_are_unique() {
    let generator = Generator::new(5, 50_000);
    let mut seen = HashSet::new();
    for facts in generator.all() {
        assert_eq!(facts.organization_id.len(), 36);
        assert_eq!(facts.organization_id.as_bytes()[14], b'4', "a random UUID says that it is version 4");
        assert!(seen.insert(facts.id) && seen.insert(facts.customer) && seen.insert(facts.organization_id));
    }
}

#[test]
fn all_eight_statuses_come_with_plausible_times() {
    let generator = Generator::new(2, 200_000);
    let mut statuses = HashSet::new();
    for facts in generator.all() {
        let id = &facts.id;
        statuses.insert(facts.status);
        assert!(facts.current_period_start >= facts.created, "{id}");
        assert!(facts.current_period_end > facts.current_period_start, "{id}");
        assert!(facts.current_period_start <= DEFAULT_NOW, "{id}");
        if matches!(facts.status, "active" | "past_due" | "unpaid" | "paused" | "trialing") {
            assert!(facts.current_period_end > DEFAULT_NOW, "{id} {}", facts.status);
        }
        if facts.status == "trialing" {
            assert_eq!(facts.trial_end, Some(facts.current_period_end), "{id}");
        }
        assert!(facts.quantity > 0);
    }
    assert_eq!(statuses.len(), 8, "{statuses:?}");
}
