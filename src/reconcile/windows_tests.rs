//! Properties of the scan's state machine, against a Stripe that is a sorted list in memory and changes while it is read.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_790_000_000;

/// Stripe's list: (created, id), of which pages are taken newest first, and by id within a second.
#[derive(Clone, Debug, Default)]
struct World(BTreeSet<(i64, String)>);

impl World {
    fn of(created: impl IntoIterator<Item = i64>) -> Self {
        Self(created.into_iter().enumerate().map(|(at, created)| (created, format!("sub_{at}"))).collect())
    }

    /// `None`: the cursor does not exist.
    fn page(&self, query: &Window, size: usize) -> Option<(Vec<(i64, String)>, bool)> {
        let after = match &query.starting_after {
            None => None,
            Some(id) => Some(self.0.iter().find(|(_, other)| other == id)?.clone()),
        };
        let mut left = self.0.iter().rev().filter(|item| {
            item.0 >= query.gte && item.0 < query.lt && after.as_ref().is_none_or(|after| *item < after)
        });
        let page: Vec<_> = left.by_ref().take(size).cloned().collect();
        Some((page, left.next().is_some()))
    }
}

/// Asserts that open and drained windows tile `[0, upper)`.
fn assert_tiled(scan: &Scan) {
    let mut spans: Vec<_> = scan.drained.iter().map(|(from, to)| (*from, *to)).collect();
    spans.extend(scan.open_windows().map(|window| (window.gte, window.lt)));
    spans.sort_unstable();
    let mut end = 0;
    for (from, to) in &spans {
        assert_eq!(*from, end, "a gap or an overlap in {spans:?}");
        assert!(to > from);
        end = *to;
    }
    assert_eq!(end, scan.upper());
}

struct Outcome {
    read: HashMap<String, u32>,
    requests: u64,
}

/// Reads everything with up to `readers` pages under way, which come back in an order that `choice` decides. After each
/// page `disturb` may change the world.
fn run(
    world: &mut World,
    scan: &mut Scan,
    readers: usize,
    page_size: usize,
    mut choice: impl FnMut(usize) -> usize,
    mut disturb: impl FnMut(&mut World, u64),
) -> Outcome {
    let mut outcome = Outcome { read: HashMap::new(), requests: 0 };
    let mut under_way: Vec<(WindowId, Window)> = Vec::new();
    loop {
        while under_way.len() < readers
            && let Some(page) = scan.next_page(true)
        {
            under_way.push(page);
            assert_tiled(scan);
        }
        if under_way.is_empty() {
            return outcome;
        }
        let (id, query) = under_way.swap_remove(choice(under_way.len()));
        outcome.requests += 1;
        match world.page(&query, page_size) {
            None => assert!(scan.cursor_vanished(id)),
            Some((items, has_more)) => {
                let heads: Vec<_> = items
                    .iter()
                    .map(|(created, id)| Head { id: Some(id), created: Some(*created) })
                    .collect();
                let read = scan.page_read(id, &query, &heads, has_more).unwrap();
                for ((_, id), keep) in items.iter().zip(&read.keep) {
                    *outcome.read.entry(id.clone()).or_default() += u32::from(*keep);
                }
            }
        }
        assert_tiled(scan);
        disturb(world, outcome.requests);
    }
}

fn creation_times() -> impl Strategy<Value = Vec<i64>> {
    let spread = prop::collection::vec(STRIPE_BEGAN..NOW, 0..400);
    let recent = prop::collection::vec(NOW - 5_000..NOW, 0..400);
    let burst = (NOW - 100_000..NOW, 0..300usize).prop_map(|(second, count)| vec![second; count]);
    (spread, recent, burst, burst_at_the_edge()).prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

fn burst_at_the_edge() -> impl Strategy<Value = Vec<i64>> {
    (0..40usize).prop_map(|count| vec![NOW - 1; count])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missed_and_nothing_is_read_twice(
        times in creation_times(), readers in 1..9usize, page_size in 1..31usize, seed: u64,
    ) {
        let mut world = World::of(times);
        let mut scan = Scan::new(NOW);
        let mut state = seed;
        let outcome = run(&mut world, &mut scan, readers, page_size, |count| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % count
        }, |_, _| ());
        prop_assert!(scan.is_complete());
        prop_assert_eq!(outcome.read.len(), world.0.len());
        prop_assert!(outcome.read.values().all(|count| *count == 1));
    }

    #[test]
    fn what_is_there_all_the_time_is_read_once_while_others_come_and_go(
        times in creation_times(), readers in 1..9usize, page_size in 1..30usize,
        deletions in prop::collection::vec(any::<prop::sample::Index>(), 0..200), seed: u64,
    ) {
        let mut world = World::of(times);
        let mut doomed: Vec<_> = if world.0.is_empty() { Vec::new() } else {
            let all: Vec<_> = world.0.iter().cloned().collect();
            deletions.iter().map(|index| index.get(&all).clone()).collect()
        };
        let mut stays = world.0.clone();
        for item in &doomed { stays.remove(item); }
        let mut scan = Scan::new(NOW);
        let mut state = seed;
        let outcome = run(&mut world, &mut scan, readers, page_size, |count| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % count
        }, |world, requests| {
            if let Some(item) = doomed.pop() { world.0.remove(&item); }
            world.0.insert((NOW + requests as i64, format!("sub_new_{requests}")));
        });
        prop_assert!(scan.is_complete());
        for (_, id) in &stays {
            prop_assert_eq!(outcome.read.get(id).copied(), Some(1), "{}", id);
        }
        prop_assert!(outcome.read.values().all(|count| *count <= 1));
    }

    #[test]
    fn a_scan_that_stopped_and_was_saved_goes_on_where_it_was(
        times in creation_times(), readers in 1..9usize, page_size in 1..31usize, stop_after in 0..60u64,
        deletions in 0..3usize,
    ) {
        let mut world = World::of(times);
        let mut scan = Scan::new(NOW);
        let mut read: HashMap<String, u32> = HashMap::new();
        for _ in 0..stop_after {
            let Some((id, query)) = scan.next_page(true) else { break };
            let (items, has_more) = world.page(&query, page_size).unwrap();
            let heads: Vec<_> =
                items.iter().map(|(created, id)| Head { id: Some(id), created: Some(*created) }).collect();
            let page = scan.page_read(id, &query, &heads, has_more).unwrap();
            for ((_, id), keep) in items.iter().zip(&page.keep) {
                *read.entry(id.clone()).or_default() += u32::from(*keep);
            }
        }
        let saved = serde_json::to_string(&scan.open_windows().collect::<Vec<_>>()).unwrap();
        for window in scan.open_windows().take(deletions) {
            let cursor = window.position.as_ref().and_then(|position| position.after.clone());
            world.0.retain(|(_, id)| Some(id) != cursor.as_ref());
        }
        let mut rest = Scan::resume(NOW, serde_json::from_str(&saved).unwrap()).unwrap();
        assert_tiled(&rest);
        let outcome = run(&mut world, &mut rest, readers, page_size, |count| count - 1, |_, _| ());
        for (id, count) in outcome.read {
            *read.entry(id).or_default() += count;
        }
        prop_assert!(rest.is_complete());
        for (_, id) in &world.0 {
            prop_assert_eq!(read.get(id).copied(), Some(1), "{}", id);
        }
    }
}

/// Requests needed for `times`, and the number of pages.
fn requests_for(times: Vec<i64>, readers: usize) -> (u64, u64) {
    let pages = times.len().div_ceil(PAGE_SIZE) as u64;
    let mut turn = 0;
    let in_turn = move |count: usize| {
        turn += 1;
        turn % count
    };
    let outcome = run(&mut World::of(times), &mut Scan::new(NOW), readers, PAGE_SIZE, in_turn, |_, _| ());
    (outcome.requests, pages.max(1))
}

#[test]
fn splitting_wastes_less_than_five_percent() {
    let year = 365 * 24 * 3_600;
    for (name, times) in [
        ("even over two years", (0..20_000).map(|at| NOW - 1 - at * (2 * year / 20_000)).collect()),
        ("growing", (0..20_000i64).map(|at| NOW - 1 - at * at / 10).collect::<Vec<_>>()),
        ("even over fifteen years", (0..20_000).map(|at| NOW - 1 - at * (15 * year / 20_000)).collect()),
    ] {
        let (requests, pages) = requests_for(times, 8);
        assert!(
            requests as f64 <= pages as f64 * 1.05 + 10.0,
            "{name}: {requests} requests for {pages} pages"
        );
    }
}

#[test]
fn a_small_account_costs_few_requests() {
    assert_eq!(requests_for(vec![], 8).0, 1);
    for (subscriptions, requests) in [(80, 1), (150, 2), (1_000, 10)] {
        let times = (0..subscriptions).map(|at| NOW - 1 - at * 1_000).collect();
        assert_eq!(requests_for(times, 8).0, requests, "{subscriptions} subscriptions");
    }
    let requests = requests_for((0..2_000).map(|at| NOW - 1 - at * 1_000).collect(), 8).0;
    assert!(requests <= 26, "{requests} requests for 20 pages");
}

#[test]
fn many_readers_are_kept_busy() {
    let mut world = World::of((0..20_000).map(|at| NOW - 1 - at * 1_000));
    let mut scan = Scan::new(NOW);
    let mut rounds = 0;
    while !scan.is_complete() {
        let pages: Vec<_> = std::iter::from_fn(|| scan.next_page(true)).take(8).collect();
        for (id, query) in pages {
            let (items, has_more) = world.page(&query, PAGE_SIZE).unwrap();
            let heads: Vec<_> =
                items.iter().map(|(created, id)| Head { id: Some(id), created: Some(*created) }).collect();
            scan.page_read(id, &query, &heads, has_more).unwrap();
        }
        rounds += 1;
    }
    world.0.clear();
    assert!(rounds <= 200 / 8 + 16, "{rounds} rounds of 8 pages for 200 pages");
}

#[test]
fn pages_that_cannot_be_right_are_refused() {
    let head = |created| Head { id: Some("sub_1"), created: Some(created) };
    for (page, has_more, nonsense) in [
        (vec![head(NOW)], false, Nonsense::OutsideWindow),
        (vec![head(5), head(6)], false, Nonsense::Unsorted),
        (vec![], true, Nonsense::Stuck),
        (vec![Head { id: None, created: Some(7) }], true, Nonsense::Stuck),
    ] {
        let mut scan = Scan::new(NOW);
        let (id, query) = scan.next_page(true).unwrap();
        assert_eq!(scan.page_read(id, &query, &page, has_more), Err(nonsense));
    }
}

#[test]
fn nameless_elements_at_the_end_of_a_page_are_counted_with_the_next() {
    let mut scan = Scan::new(NOW);
    let (id, query) = scan.next_page(true).unwrap();
    let named = |id, created| Head { id: Some(id), created: Some(created) };
    let nameless = Head { id: None, created: None };
    let first = scan.page_read(id, &query, &[nameless, named("sub_2", 20), nameless], true).unwrap();
    assert_eq!(first.keep, [true, true, false]);
    let (id, query) = scan.next_page(true).unwrap();
    assert_eq!(query.starting_after.as_deref(), Some("sub_2"));
    let second = scan.page_read(id, &query, &[nameless, named("sub_1", 10)], false).unwrap();
    assert_eq!(second.keep, [true, true]);
    assert!(scan.is_complete());
}

#[test]
fn saved_windows_that_overlap_are_refused() {
    let window = |gte, lt| OpenWindow { gte, lt, position: None };
    for windows in [
        vec![window(0, 10), window(9, 20)],
        vec![window(10, 10)],
        vec![window(0, NOW + 1)],
        vec![window(-1, 5)],
        vec![OpenWindow { gte: 5, lt: 9, position: Some(Position { created: 9, ..Position::default() }) }],
    ] {
        assert!(Scan::resume(NOW, windows.clone()).is_err(), "{windows:?}");
    }
}
